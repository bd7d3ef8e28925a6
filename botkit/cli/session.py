"""What the commands of one call share: the signals, and which words must not be shown."""

import contextlib
from collections.abc import Callable, Sequence

import attrs
import click

from botkit.cli.completing import config_files
from botkit.cli.signals import SignalWatch
from botkit.config import Config, load

__all__ = ["Session", "config_argument", "configs_argument", "set_option"]


def _unchanged(text: str) -> str:
    return text


@attrs.define(kw_only=True)
class Session:
    """One call of the command line; click hands it on as `ctx.obj`."""

    watch: SignalWatch = attrs.field(factory=SignalWatch)
    redact: Callable[[str], str] = _unchanged

    def load(self, paths: str | Sequence[str], overrides: Sequence[str] = ()) -> Config:
        """Return a config; from here on its secrets are kept out of every message."""
        config = load(paths, overrides)
        self.redact = config.redact
        return config

    def complain(self, text: str) -> None:
        """Say on stderr what went wrong, secrets left out; a closed stderr is no reason to fail."""
        with contextlib.suppress(OSError):
            click.echo(self.redact(text), err=True)


config_argument = click.argument(
    "config", type=click.Path(dir_okay=False), shell_complete=config_files
)
configs_argument = click.argument(
    "configs",
    metavar="CONFIG...",
    nargs=-1,
    required=True,
    type=click.Path(dir_okay=False),
    shell_complete=config_files,
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one value of the config, as in --set bot.name=second; may be repeated.",
)
