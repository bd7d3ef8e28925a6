"""From config files to a plan, with all that is wrong told at once."""

from collections.abc import Sequence

from botkit.assembly import Plan, check
from botkit.cli.session import Session
from botkit.config import Reading, examine
from botkit.errors import ConfigError
from botkit.watch import problems_of

__all__ = ["make_plan", "plan_of", "read"]


def make_plan(
    session: Session, paths: str | Sequence[str], overrides: Sequence[str], *, live: bool = False
) -> Plan:
    """Load a config and build its plug-ins; from here on its secrets are kept out of messages.

    Raises
    ------
    ConfigError
        With the problems of the files and of their plug-ins together.
    """
    return plan_of(read(session, paths, overrides), live=live)


def read(session: Session, paths: str | Sequence[str], overrides: Sequence[str]) -> Reading:
    """Read a config, and import nothing that it names; secrets are kept out of messages then.

    Raises
    ------
    ConfigError
        So little of it can be read that its plug-ins cannot judge the rest.
    """
    reading = examine(paths, overrides)
    if reading.config is None:
        raise ConfigError(reading.problems)
    session.redact = reading.config.redact
    return reading


def plan_of(reading: Reading, *, live: bool) -> Plan:
    """Build the plug-ins of what was read; see `make_plan`."""
    config = reading.config
    assert config is not None
    return check(config, (*reading.problems, *problems_of(config)), live=live)
