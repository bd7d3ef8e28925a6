"""`botkit pause`: no new orders of a strategy, an instrument, or the whole bot."""

import click

from botkit.cli.asking import ask
from botkit.cli.choosing import BotChoice, bot_options
from botkit.cli.completing_names import targets
from botkit.cli.operating_options import as_target, reason_option, wait_option
from botkit.cli.telling import tell_done
from botkit.control import Operate
from botkit.model import Operation

__all__ = ["command"]


@click.command("pause")
@click.argument("target", shell_complete=targets)
@bot_options
@reason_option
@wait_option()
def command(*, target: str, choice: BotChoice, reason: str, wait_s: float) -> int:
    """Cancel the orders of TARGET and let no new one pass, until botkit resume.

    TARGET is a strategy, an instrument such as paper:BTC-EUR, or all. No new order and no replace
    passes, not even one that would reduce a position; cancels do. The strategy goes on seeing the
    market. The exit code is 3 if an order may still rest.
    """
    question = Operate(
        operation=Operation.PAUSE, target=as_target(target), reason=reason, wait_s=wait_s
    )
    name, done = ask(choice, question)
    click.echo(f"{name}: {done.text}")
    return int(tell_done(done))
