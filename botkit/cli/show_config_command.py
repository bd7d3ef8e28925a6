"""`botkit show-config`: what a config means once everything has been filled in."""

from collections.abc import Sequence

import click

from botkit.cli.session import Session, configs_argument, set_option
from botkit.cli.tables import writing

__all__ = ["command"]


@click.command("show-config", short_help="Print CONFIG as it takes effect, secrets masked.")
@configs_argument
@set_option
@click.pass_obj
def command(session: Session, *, configs: Sequence[str], overrides: Sequence[str]) -> None:
    """Print CONFIG as it takes effect: files merged, defaults filled in, secrets as ***."""
    text = session.load(configs, overrides).show()
    with writing("the config"):
        click.echo(text, nl=False)
