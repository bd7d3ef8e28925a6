"""The configuration: TOML to checked attrs classes, secrets kept out of sight, plug-ins found."""

from botkit.config.describing import found as found
from botkit.config.durations import Duration as Duration
from botkit.config.durations import format_duration as format_duration
from botkit.config.durations import parse_duration as parse_duration
from botkit.config.emitting import emit as emit
from botkit.config.loading import Reading as Reading
from botkit.config.loading import examine as examine
from botkit.config.loading import load as load
from botkit.config.naming import strategy_key as strategy_key
from botkit.config.plugins import load_plugin as load_plugin
from botkit.config.plugins import names as names
from botkit.config.secrets import Secret as Secret
from botkit.config.sections import BotConfig as BotConfig
from botkit.config.sections import Config as Config
from botkit.config.sections import FlattenConfig as FlattenConfig
from botkit.config.sections import OpeningConfig as OpeningConfig
from botkit.config.sections import StrategyConfig as StrategyConfig
from botkit.config.sections import VenueConfig as VenueConfig
from botkit.config.sections import show as show
from botkit.config.strategy_classes import load_strategy_class as load_strategy_class
from botkit.config.structuring import structure as structure
from botkit.config.structuring import unstructure as unstructure
from botkit.config.watching import AlertKind as AlertKind
from botkit.config.watching import AlertsConfig as AlertsConfig
from botkit.config.watching import HeartbeatConfig as HeartbeatConfig
from botkit.config.watching import MetricsConfig as MetricsConfig
