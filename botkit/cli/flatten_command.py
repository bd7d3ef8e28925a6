"""`botkit flatten`: cancel our orders and close our positions."""

import click

from botkit.cli.asking import ask
from botkit.cli.choosing import BotChoice, bot_options
from botkit.cli.completing_names import targets
from botkit.cli.operating_options import EVERYTHING, as_target, reason_option, wait_option
from botkit.cli.telling import print_orders, tell_done
from botkit.cli.wording import exact_text
from botkit.control import Done, Operate
from botkit.model import FlattenedPosition, Operation
from botkit.shell import ExitCode

__all__ = ["command"]


@click.command("flatten")
@bot_options
@click.option(
    "--target",
    default=EVERYTHING,
    show_default=True,
    shell_complete=targets,
    help="A strategy or an instrument, for its positions alone.",
)
@click.option("--yes", is_flag=True, help="Do not ask before trading.")
@reason_option
@wait_option(default="60s")
def command(*, choice: BotChoice, target: str, yes: bool, reason: str, wait_s: float) -> int:
    """Cancel our orders, then close our positions by limit orders near the market.

    The target is paused and stays so until botkit resume. What could not be closed is listed with
    the reason: no fresh quote, an order in doubt, the deadline of [bot.flatten]. The exit code is
    0 once nothing is left but dust, too little to trade; 3 if an order may still rest; else 1.
    """
    if not yes and not _agreed(target):
        click.echo("Nothing was done.", err=True)
        return ExitCode.ERROR
    question = Operate(
        operation=Operation.FLATTEN, target=as_target(target), reason=reason, wait_s=wait_s
    )
    name, done = ask(choice, question)
    click.echo(f"{name}: {_headline(done)}")
    if done.flattened is not None:
        print_orders("Positions:", map(_position_text, done.flattened.positions))
    return int(tell_done(done)) or _left(done)


def _agreed(target: str) -> bool:
    """Ask; where there is nobody to answer, as at the end of a pipe, that is a no."""
    named = "everything" if target == EVERYTHING else target
    question = f"Cancel the orders of {named} and close its positions by limit orders?"
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def _headline(done: Done) -> str:
    if done.flattened is None:
        return "still closing positions, see botkit status; what was told is what stands now"
    if not done.flattened.positions:
        return f"nothing was held; {done.text}"
    return f"{'flat' if done.flattened.is_flat else 'NOT FLAT'}; {done.text}"


def _position_text(position: FlattenedPosition) -> str:
    owner = position.strategy or "no strategy"
    text = (
        f"{position.symbol} of {owner}  {exact_text(position.before)} before, "
        f"{exact_text(position.left)} left"
    )
    if not position.left:
        return text
    return f"{text}: {'dust, ' if position.is_dust else ''}{position.why}"


def _left(done: Done) -> ExitCode:
    """Return 1 if a position is left that could be traded, or nobody can tell yet."""
    flattened = done.flattened
    if flattened is None or any(each.left and not each.is_dust for each in flattened.positions):
        return ExitCode.ERROR
    return ExitCode.CLEAN
