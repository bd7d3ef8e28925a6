"""`botkit flatten`: cancel our orders and close our positions."""

import click

from botkit.cli.asking import ask
from botkit.cli.choosing import BotChoice, bot_options
from botkit.cli.operating_options import EVERYTHING, as_target, reason_option, wait_option
from botkit.cli.telling import tell_done
from botkit.control import Operate
from botkit.model import Operation

__all__ = ["command"]


@click.command("flatten")
@bot_options
@click.option(
    "--target",
    default=EVERYTHING,
    show_default=True,
    help="A strategy or an instrument, for its positions alone.",
)
@click.option("--yes", is_flag=True, help="Do not ask before trading.")
@reason_option
@wait_option
def command(*, choice: BotChoice, target: str, yes: bool, reason: str, wait_s: float) -> int:
    """Cancel our orders, then close our positions by limit orders at the market."""
    if not yes:
        click.confirm(f"Close the positions of {target} at the market?", abort=True)
    question = Operate(
        operation=Operation("FLATTEN"), target=as_target(target), reason=reason, wait_s=wait_s
    )
    name, done = ask(choice, question)
    click.echo(f"{name}: {done.text}")
    return int(tell_done(done))
