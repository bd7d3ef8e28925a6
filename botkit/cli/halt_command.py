"""`botkit halt`: trip the kill switch, of a running bot or for its next start."""

from typing import Final

import click

from botkit.cli.asking import Line, dial, not_running, refused
from botkit.cli.choosing import BotChoice, bot_options
from botkit.cli.earlier_runs import IN_PROCESS
from botkit.cli.logs import format_time
from botkit.cli.operating_options import wait_option, why_option
from botkit.cli.summary import MEANING
from botkit.cli.telling import how_to_clear, may_rest, print_orders, record_text, tell_done
from botkit.cli.wording import plural
from botkit.clock import wall_time_ns
from botkit.control import Done, Operate
from botkit.errors import AlreadyRunningError, BeingSweptError, BotkitError
from botkit.journal import JournalReader, Run, SqliteJournal, hold_lock
from botkit.journal.database import journal_paths
from botkit.killswitch import KillSwitch
from botkit.model import Halted, Operation
from botkit.shell import ExitCode

__all__ = ["command"]

ENDED_S: Final = 15.0  # after the venues' word: what is left is writing


@click.command("halt")
@bot_options
@why_option
@wait_option()
def command(*, choice: BotChoice, reason: str, wait_s: float) -> int:
    """Trip the kill switch: cancel everything, end the bot, and keep it from starting again.

    The running bot cancels every order, waits for the venues to confirm, and ends with 4 (run
    with --keep-running it stays up for orders that reduce a position). A bot that is not running
    is kept from starting. Either way botkit risk clear lets it trade again. The exit code is 0
    once nothing of ours rests, and 3 if something may.
    """
    name, line = dial(choice)
    if line is None:
        return _halt_stopped(choice, name, reason)
    question = Operate(operation=Operation.HALT, reason=reason, wait_s=wait_s)
    with line:
        answer = line.ask(question)
        if answer is None:
            click.echo(f"{name}: the bot ended before it answered.")
            return _halt_stopped(choice, name, reason)
        done = refused(name, answer)
        click.echo(f"{name}: {done.text}; it is {done.halted}")
        code = tell_done(done)
        return _wait_for_end(choice, line, done) if done.ends else _stays_up(code)


def _stays_up(code: ExitCode) -> int:
    click.echo(
        "The bot was started with --keep-running: it stays up, and nothing but reducing orders "
        "passes."
    )
    return code


def _wait_for_end(choice: BotChoice, line: Line, done: Done) -> int:
    if line.ended(ENDED_S):
        return _tell_end(choice, line.bot, done)
    click.echo(
        f"Its process has not ended within {ENDED_S:g} s: see by botkit status --bot {line.bot}"
    )
    return ExitCode.ORDERS_MAY_REST


def _tell_end(choice: BotChoice, name: str, done: Done) -> int:
    """Tell from the journal how the run ended; it has the last word on what may rest."""
    path = journal_paths(choice.state_dir, name)[0]
    with JournalReader(path) as reader:
        run = reader.last_run()
        resting = [] if run is None else _resting(reader, run, done)
    if run is None or run.exit_code is None:
        click.echo(
            f"Its process has ended, but {path} does not tell how: it may have been killed. "
            "ORDERS MAY STILL REST: look at the venue"
        )
        return ExitCode.ORDERS_MAY_REST
    meaning = MEANING[ExitCode(run.exit_code)]
    click.echo(f"Its process has ended with exit code {run.exit_code}: {meaning}.")
    print_orders(f"{plural(len(resting), 'order')} MAY STILL REST:", resting)
    click.echo(how_to_clear(choice, name))
    in_doubt = resting or run.exit_code == ExitCode.ORDERS_MAY_REST
    return ExitCode.ORDERS_MAY_REST if in_doubt else ExitCode.CLEAN


def _resting(reader: JournalReader, run: Run, done: Done) -> list[str]:
    """Return a line for each order that was to be canceled and was not confirmed to the end."""
    asked = {order.client_order_id for order in may_rest(done.orders)}
    if not asked:
        return []
    return [
        record_text(record)
        for record in reader.orders(run.run_id)
        if record.may_rest and record.client_order_ids[0] in asked
    ]


def _halt_stopped(choice: BotChoice, name: str, reason: str) -> int:
    """Trip the switch on the disk, under the bot's lock, so that nobody starts it meanwhile."""
    has_run = journal_paths(choice.state_dir, name)[0].exists()
    if not has_run and choice.config is None:
        raise BotkitError(
            f"{choice.state_dir}: no bot {name!r} has run here: give its CONFIG to keep it from "
            "starting, or say where it runs with --state-dir"
        )
    try:
        left = _left_open(choice, name) if has_run else []
        with hold_lock(choice.state_dir, name):
            switch = KillSwitch.of(choice.state_dir, name)
            before = switch.halted
            switch.trip(Halted(rule="operator", reason=reason), wall_time_ns())
    except BeingSweptError as exc:  # which does not touch the switch, and cancels anyway
        switch = KillSwitch.of(choice.state_dir, name)
        switch.trip(Halted(rule="operator", reason=reason), wall_time_ns())
        click.echo(f"{exc}\nIts kill switch has tripped ({switch.path}): {reason}")
        return ExitCode.ORDERS_MAY_REST
    except AlreadyRunningError:
        raise not_running(choice, name) from None
    if before is None:
        click.echo(f"{name} is not running. Its kill switch has tripped ({switch.path}): {reason}")
    else:
        click.echo(
            f"{name} is not running, and was halted already by {before.rule} at "
            f"{format_time(switch.halted_ns)}: {before.reason}"
        )
    click.echo(how_to_clear(choice, name))
    print_orders(f"{plural(len(left), 'order')} of its last run MAY STILL REST:", left)
    return ExitCode.ORDERS_MAY_REST if left else ExitCode.CLEAN


def _left_open(choice: BotChoice, name: str) -> list[str]:
    """Return a line for each order that earlier runs left open at a venue that keeps it."""
    journal = SqliteJournal.open(choice.state_dir, name)
    try:
        return [
            record_text(order)
            for run in journal.unfinished()
            if run.mode not in IN_PROCESS
            for order in run.orders
        ]
    finally:
        journal.close()
