"""`botkit show-config`: what a config means once everything has been filled in."""

from collections.abc import Sequence

import click

from botkit.cli.session import Session, config_argument, set_option

__all__ = ["command"]


@click.command("show-config")
@config_argument
@set_option
@click.pass_obj
def command(session: Session, *, config: str, overrides: Sequence[str]) -> None:
    """Print CONFIG as it takes effect: overrides and defaults filled in, secrets as ***."""
    click.echo(session.load(config, overrides).show(), nl=False)
