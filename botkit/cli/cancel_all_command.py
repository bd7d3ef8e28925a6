"""`botkit cancel-all`: cancel our orders, and tell what is left."""

import click

from botkit.cli.asking import ask
from botkit.cli.choosing import BotChoice, bot_options
from botkit.cli.completing_names import targets
from botkit.cli.operating_options import EVERYTHING, as_target, reason_option, wait_option
from botkit.cli.telling import tell_done
from botkit.control import Operate
from botkit.model import Operation

__all__ = ["command"]


@click.command("cancel-all")
@bot_options
@click.option(
    "--target",
    default=EVERYTHING,
    show_default=True,
    shell_complete=targets,
    help="A strategy or an instrument, for its orders alone.",
)
@reason_option
@wait_option()
def command(*, choice: BotChoice, target: str, reason: str, wait_s: float) -> int:
    """Cancel the orders of the running bot and wait until the venues confirm.

    Ours alone: orders on the account that the bot did not place are listed and left, and so are
    those that their strategy wants kept. Strategies go on and may place new ones at once; botkit
    pause all stops them. The exit code is 3 if an order of ours may still rest, kept ones aside.
    """
    question = Operate(
        operation=Operation.CANCEL_ALL, target=as_target(target), reason=reason, wait_s=wait_s
    )
    name, done = ask(choice, question)
    click.echo(f"{name}: {done.text}")
    return int(tell_done(done))
