"""The synchronous core: events in, commands out, run to completion, deterministic."""

from botkit.engine.core import Engine as Engine
from botkit.engine.core import EngineSettings as EngineSettings
from botkit.engine.lifecycle import MISTAKES as MISTAKES
from botkit.engine.slot import StrategySlot as StrategySlot
