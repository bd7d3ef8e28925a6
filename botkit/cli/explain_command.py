"""`botkit explain`: what became of one order, and why, step by step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
import click

from botkit.cli.choosing import BotChoice, bot_options, newest_run, runs_of
from botkit.cli.completing_names import orders
from botkit.cli.fills_command import run_line
from botkit.cli.lives import REFUSED, Life, Lives
from botkit.cli.logs import format_time
from botkit.cli.tables import Column, Form, figures, form_options, number_column, print_rows
from botkit.cli.timeline import Step, outcome, steps
from botkit.cli.wording import plural
from botkit.errors import ConfigError, JournalError
from botkit.journal import JournalReader, Run

__all__ = ["command"]

NAMED_MOST: Final = 10
NS_PER_MS: Final = 1_000_000

COLUMNS: Final[tuple[Column[Step], ...]] = (
    Column(name="time", value=lambda step: format_time(step.time_ns)),
    Column(name="time_ns", value=lambda step: step.time_ns, heading=""),
    Column(name="event", value=lambda step: step.event),
    Column(name="rule", value=lambda step: step.rule),
    number_column("limit", lambda step: step.limit, show=figures),
    number_column("measured", lambda step: step.measured, show=figures),
    number_column("margin", lambda step: step.margin, show=figures),
    Column(name="text", value=lambda step: step.text, heading="what"),
)


@click.command("explain")
@click.argument("order", shell_complete=orders)
@click.option("--run", "run_id", metavar="ID", help="Look in this run alone; else newest first.")
@bot_options
@form_options
def command(*, order: str, run_id: str | None, choice: BotChoice, form: Form | None) -> None:
    """Tell what became of ORDER and why: each verdict, request, report and fill.

    ORDER is our id or the venue's, or a beginning or end of one that is unique in its run; ids
    of refused orders are in `botkit orders --refused`.
    """
    path, run, life = _find(choice, order, run_id)
    told = steps(life)
    summary = outcome(life)
    if form is not None:
        last_ns = told[-1].time_ns if told else 0
        told = [Step(time_ns=last_ns, event="outcome", text=summary), *told]
    else:  # the line at the top says why it was refused
        told = [attrs.evolve(each, text="") if _is_why(each, life) else each for each in told]
    ids = "  ".join(life.ids())
    head = f"{ids}\n{summary}.\n\n{run_line(path, run, plural(len(told), 'step'))}"
    print_rows(told, COLUMNS, form, what="the order's story", head=head)


def _is_why(step: Step, life: Life) -> bool:
    return step.event == "refused" and step.text == life.text and life.status == REFUSED


def _find(choice: BotChoice, order: str, run_id: str | None) -> tuple[Path, Run, Life]:
    """Return the order and its run; the newest run that has a match decides."""
    newest_run(choice)  # says what to do where there is none
    for path, run in runs_of(choice):
        if run_id not in (None, run.run_id):
            continue
        with JournalReader(path) as reader:
            if not reader.mentions(run.run_id, order):
                continue
            lives = Lives(reader.entries(run.run_id)).all()
        found = matching(lives, order)
        if len(found) > 1:
            raise ConfigError(_ambiguous(order, run, found))
        if found:
            return path, run, found[0]
    where = f"run {run_id}" if run_id is not None else "no run"
    who = "" if choice.name is None else f" of bot {choice.name!r}"
    has = "has no" if run_id is not None else "has an"
    raise JournalError(
        f"{choice.state_dir}: {where}{who} {has} order {order!r}; botkit orders, and "
        "botkit orders --refused, list the ids"
    )


def matching(lives: Sequence[Life], order: str) -> list[Life]:
    """Return the orders that `order` names: in full, by its last part, or by a beginning or end.

    The last part of an id of ours goes before that of a venue's: "71" is our 71st.
    """
    named = [life for life in lives if order in life.ids()]
    if named:
        return named
    ours = [life for life in lives if _last_part(life.client_order_id) == order]
    if ours:
        return ours
    theirs = [life for life in lives if order in map(_last_part, life.ids())]
    if theirs:
        return theirs
    return [
        life
        for life in lives
        if any(name.startswith(order) or name.endswith(order) for name in life.ids())
    ]


def _last_part(name: str) -> str:
    return name.rpartition("-")[2]


def _ambiguous(order: str, run: Run, found: Sequence[Life]) -> list[str]:
    more = len(found) - NAMED_MOST
    head = f"{order!r} may be any of {plural(len(found), 'order')} of run {run.run_id}"
    return [
        f"{head}; give more of its id:",
        *(f"  {'  '.join(life.ids())}  {outcome(life)}" for life in found[:NAMED_MOST]),
        *([f"  ... and {more} more"] if more > 0 else []),
    ]
