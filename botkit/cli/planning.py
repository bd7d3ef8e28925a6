"""From config files to a plan, with all that is wrong told at once."""

from collections.abc import Sequence

from botkit.assembly import Plan, check
from botkit.cli.session import Session
from botkit.config import examine
from botkit.errors import ConfigError
from botkit.watch import problems_of

__all__ = ["make_plan"]


def make_plan(session: Session, paths: str | Sequence[str], overrides: Sequence[str]) -> Plan:
    """Load a config and build its plug-ins; from here on its secrets are kept out of messages.

    Raises
    ------
    ConfigError
        With the problems of the files and of their plug-ins together.
    """
    reading = examine(paths, overrides)
    if reading.config is None:
        raise ConfigError(reading.problems)
    session.redact = reading.config.redact
    return check(reading.config, (*reading.problems, *problems_of(reading.config)))
