"""`botkit risk`: what a person does about the kill switch."""

from collections.abc import Sequence
from pathlib import Path

import click

from botkit.cli.logs import format_time
from botkit.cli.session import Session, config_argument, set_option
from botkit.clock import wall_time_ns
from botkit.journal import hold_lock
from botkit.killswitch import KillSwitch

__all__ = ["command"]


@click.group("risk")
def command() -> None:
    """Clear the kill switch of a bot that was halted."""


@command.command("clear")
@config_argument
@click.option("--reason", required=True, help="Why the bot may trade again; it is kept.")
@set_option
@click.pass_obj
def clear(session: Session, *, config: str, reason: str, overrides: Sequence[str]) -> None:
    """Let the bot of CONFIG trade again after its kill switch has tripped.

    The trip, the time and the reason are kept in the bot's state_dir. Losses counted so far, of
    the day and from the highest, count from 0 again. The bot must not be running.
    """
    bot = session.load(config, overrides).bot
    state_dir = Path(bot.state_dir)
    with hold_lock(state_dir, bot.name):
        switch = KillSwitch.of(state_dir, bot.name)
        cleared = switch.clear(reason, wall_time_ns())
    click.echo(
        f"Cleared: bot {bot.name} had been halted by {cleared.halted.rule} at "
        f"{format_time(cleared.halted_ns)}: {cleared.halted.reason}\n"
        f"It may trade again. Recorded in {switch.path}: {reason}"
    )
