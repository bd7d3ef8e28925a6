"""What is examined, and the words of what was found."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from botkit.assembly import Plan
from botkit.config import Config
from botkit.errors import InvariantError
from botkit.model import Instrument
from botkit.ports import Diagnosis, Health

__all__ = ["Subject", "fail", "ok", "warn"]


@attrs.define(kw_only=True)
class Subject:
    """What the checks look at; the first ones fill in what later ones need.

    Parameters
    ----------
    files, overrides
        As they were given.
    time_server
        HOST or HOST:PORT, asked for the time.
    running
        Whether the bot was found to run meanwhile.
    """

    files: Sequence[str]
    overrides: Sequence[str] = ()
    time_server: str = "pool.ntp.org"
    loaded: Config | None = None
    built: Plan | None = None
    instruments: Mapping[str, Instrument] = attrs.field(factory=dict)
    running: bool = False

    @property
    def config(self) -> Config:
        """The config, once it was read."""
        if self.loaded is None:
            raise InvariantError("the config was not read: this check comes too early")
        return self.loaded

    @property
    def plan(self) -> Plan:
        """The config with its plug-ins built, once they were."""
        if self.built is None:
            raise InvariantError("the plug-ins were not built: this check comes too early")
        return self.built

    @property
    def state_dir(self) -> Path:
        """Where the bot keeps its journal."""
        return Path(self.config.bot.state_dir)


def ok(text: str) -> Diagnosis:
    """Return that all is well."""
    return Diagnosis(health=Health.OK, text=text)


def warn(text: str, todo: str) -> Diagnosis:
    """Return what a person should know, and what to do."""
    return Diagnosis(health=Health.WARN, text=text, todo=todo)


def fail(text: str, todo: str) -> Diagnosis:
    """Return what should be mended before the bot runs."""
    return Diagnosis(health=Health.FAIL, text=text, todo=todo)
