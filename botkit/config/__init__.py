"""The configuration: TOML to checked attrs classes, secrets kept out of sight, plug-ins found."""

from botkit.config.durations import Duration as Duration
from botkit.config.durations import format_duration as format_duration
from botkit.config.durations import parse_duration as parse_duration
from botkit.config.secrets import Secret as Secret
from botkit.config.structuring import structure as structure
from botkit.config.structuring import unstructure as unstructure
