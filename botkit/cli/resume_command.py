"""`botkit resume`: take a pause back. What risk has halted stays halted."""

import click

from botkit.cli.asking import ask
from botkit.cli.choosing import BotChoice, bot_options
from botkit.cli.completing_names import targets
from botkit.cli.operating_options import as_target, reason_option
from botkit.cli.telling import how_to_clear
from botkit.control import Operate
from botkit.model import Operation
from botkit.shell import ExitCode

__all__ = ["command"]


@click.command("resume")
@click.argument("target", shell_complete=targets)
@bot_options
@reason_option
def command(*, target: str, choice: BotChoice, reason: str) -> int:
    """Let new orders of TARGET pass again after botkit pause.

    TARGET is a strategy, an instrument, or all, which takes back every pause. An instrument that
    was suspended because its reports contradict each other is resumed as well. The kill switch
    is not cleared: that is botkit risk clear. The exit code is 4 if the bot is halted, and 1 if
    it is stopping.
    """
    question = Operate(operation=Operation.RESUME, target=as_target(target), reason=reason)
    name, done = ask(choice, question)
    click.echo(f"{name}: {done.text}")
    if done.halted:
        click.echo(
            f"It is {done.halted}; resume does not clear that: nothing but reducing orders "
            f"passes. {how_to_clear(choice, name)}"
        )
        return ExitCode.STOPPED_BY_RISK
    if done.stopping:
        click.echo(f"It is stopping all the same: {done.stopping}")
        return ExitCode.ERROR
    return ExitCode.CLEAN
