"""`botkit risk`: what the rules and the kill switch say, and what a person does about it."""

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from botkit.cli.choosing import BotChoice, bot_options, newest_run, runs_of
from botkit.cli.fills_command import run_line
from botkit.cli.logs import format_time
from botkit.cli.margins import RuleRecord, rule_records
from botkit.cli.operating_options import REASON
from botkit.cli.tables import (
    Column,
    Form,
    figures,
    form_options,
    number_column,
    print_rows,
    writing,
)
from botkit.cli.wording import plural
from botkit.clock import wall_time_ns
from botkit.journal import JournalReader, Run, hold_lock
from botkit.killswitch import KillSwitch
from botkit.model import Refused
from botkit.ports import Checked

__all__ = ["command"]

EPOCH: Final = dt.date(1970, 1, 1)
CARRIED_WORDS: Final = {"open": "open profit"}
LONGEST: Final = 60  # of a value that is shown


def _tightest(name: str) -> Column[RuleRecord]:
    def number(row: RuleRecord) -> Decimal | None:
        value: Decimal | None = getattr(row.tightest, name, None)
        return value

    return number_column(name, number, show=figures)


COLUMNS: Final[tuple[Column[RuleRecord], ...]] = (
    Column(name="rule", value=lambda row: row.rule),
    Column(name="asked", value=lambda row: row.asked, right=True),
    Column(name="refused", value=lambda row: row.refused, right=True),
    _tightest("margin"),
    _tightest("limit"),
    _tightest("measured"),
    Column(name="client_order_id", value=lambda row: row.tightest_id, heading="tightest for"),
    Column(
        name="last_refusal_time",
        value=lambda row: format_time(row.last_ns) if row.last_ns else None,
        heading="last refused",
    ),
    Column(
        name="last_refused_id",
        value=lambda row: None if row.last is None else row.last.client_order_id,
        heading="order",
    ),
    Column(
        name="last_refusal",
        value=lambda row: None if row.last is None else row.last.text,
        heading="why",
    ),
)


@click.group("risk")
def command() -> None:
    """Show what risk says of a bot, and clear its kill switch after it has tripped."""


@command.command("show")
@bot_options
@form_options
def show(*, choice: BotChoice, form: Form | None) -> None:
    """Print the kill switch, and what each rule said in the last run.

    The margin is the tightest seen: the one with the least of its limit left. With --json the
    first line is the kill switch, the rules follow; --csv has the rules alone.
    """
    path, run = next(iter(runs_of(choice, 1)), (None, None))
    name = choice.the_name() if path is None or choice.name is not None else path.stem
    switch = KillSwitch.of(choice.state_dir, name)
    if path is None and not switch.path.exists():
        newest_run(choice)  # says that there is nothing here, and what to do
    records: list[RuleRecord] = []
    if path is not None and run is not None:
        with JournalReader(path) as reader:
            records = rule_records(reader.entries(run.run_id, (Checked, Refused)))
    if form == "json":
        with writing("the kill switch"):
            click.echo(msgspec.json.encode(_told(name, switch)))
    head = "\n".join([*_switch_lines(name, choice, switch), "", _run_head(path, run, records)])
    print_rows(records, COLUMNS, form, what="what the rules said", head=head)


@command.command("clear", short_help="Let a halted bot trade again.")
@bot_options
@click.option(
    "--reason",
    type=REASON,
    metavar="TEXT",
    required=True,
    help="Why the bot may trade again; it is kept.",
)
def clear(*, choice: BotChoice, reason: str) -> None:
    """Let the bot of CONFIG trade again after its kill switch has tripped.

    The trip, the time and the reason are kept in the bot's state_dir. Losses counted so far, of
    the day and from the highest, count from 0 again. The bot must not be running.
    """
    name = choice.the_name()
    if KillSwitch.of(choice.state_dir, name).halted is None:
        newest_run(choice)  # says so where there is no such bot, and what to do
    with hold_lock(choice.state_dir, name):
        switch = KillSwitch.of(choice.state_dir, name)
        cleared = switch.clear(reason, wall_time_ns())
    click.echo(
        f"Cleared: bot {name} had been halted by {cleared.halted.rule} at "
        f"{format_time(cleared.halted_ns)}: {cleared.halted.reason}\n"
        f"It may trade again. Recorded in {switch.path}: {reason}"
    )


def _told(name: str, switch: KillSwitch) -> dict[str, Any]:
    """Return the kill switch for programs."""
    return {
        "bot": name,
        "halted": switch.halted,
        "halted_ns": switch.halted_ns or None,
        "history": switch.history,
        "carried": switch.carried,
    }


def _switch_lines(name: str, choice: BotChoice, switch: KillSwitch) -> Iterator[str]:
    halted = switch.halted
    if halted is None:
        yield f"Kill switch  not tripped: bot {name} may trade ({switch.path})"
    else:
        numbers = f" (limit {halted.limit}, measured {halted.measured})" if halted.measured else ""
        yield (
            f"Kill switch  TRIPPED at {format_time(switch.halted_ns)} by {halted.rule}: "
            f"{halted.reason}{numbers} ({switch.path})"
        )
        yield (
            "             Nothing but reducing orders passes, and no start trades. Clear it, once "
            f"you know why, by: botkit risk clear {_named(name, choice)} --reason TEXT"
        )
    for cleared in switch.history:
        yield (
            f"Cleared      {format_time(cleared.cleared_ns)}: {cleared.reason} (had been halted "
            f"by {cleared.halted.rule} at {format_time(cleared.halted_ns)}: "
            f"{cleared.halted.reason})"
        )
    for rule, values in switch.carried.items():
        kept = ", ".join(_carried_text(key, value) for key, value in values.items() if value)
        if kept:
            yield f"Carried      {rule}: {kept}"


def _short(text: str) -> str:
    """Return a value as it is, or its beginning where it is long, as the times of a rate are."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _carried_text(key: str, value: str) -> str:
    """Return one value that a rule carries: days and numbers as people read them."""
    if key == "day" and value.isdecimal():
        return f"day {EPOCH + dt.timedelta(days=int(value))}"
    with contextlib.suppress(InvalidOperation):  # a rule may carry text as well
        value = figures(Decimal(value))
    return f"{CARRIED_WORDS.get(key, key)} {_short(value)}"


def _named(name: str, choice: BotChoice) -> str:
    """Return how the bot is named on the command line."""
    if choice.config is not None and choice.config.bot.name == name:
        return choice.config.words
    where = "" if choice.state_dir == Path("var") else f" --state-dir {choice.state_dir}"
    return f"--bot {name}{where}"


def _run_head(path: Path | None, run: Run | None, records: Sequence[RuleRecord]) -> str:
    if path is None or run is None:
        return "It has not run here yet."
    refused = sum(record.refused for record in records)
    return run_line(path, run, plural(refused, "refusal"))
