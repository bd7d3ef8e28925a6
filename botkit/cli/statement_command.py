"""`botkit statement`: a day's trading, exact, and held against the venue's own list of fills."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from botkit.cli.booking import MONEY
from botkit.cli.choosing import BotChoice, bot_options, newest_run, runs_of
from botkit.cli.daybook import Daybook, DayLine, day_of
from botkit.cli.fills_command import COLUMNS as FILL_COLUMNS
from botkit.cli.logs import format_time
from botkit.cli.tables import Column, Form, form_options, number_column, print_rows
from botkit.cli.venue_fills import Comparison, VenueFill, compare, read_venue_fills
from botkit.cli.wording import money, plural
from botkit.clock import wall_time_ns
from botkit.journal import JournalReader
from botkit.shell import ExitCode

__all__ = ["command"]

REPLAY: Final = "REPLAY"
RESULTS: Final = ("matched", "differing", "missing here", "missing there")


class DayType(click.ParamType[tuple[int, int]]):
    """A UTC day such as 2024-08-09."""

    name = "day"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return its start and end in ns."""
        try:
            return day_of(str(value))
        except ValueError:
            self.fail(f"{value!r} is no day: write it as YYYY-MM-DD, in UTC", param, ctx)


def _fees(line: DayLine) -> str:
    told = [f"{money(paid)} {currency}".rstrip() for currency, paid in line.fees.items()]
    untold = [f"{line.fees_untold} untold"] if line.fees_untold else []
    return " + ".join([*told, *untold])


COLUMNS: Final[tuple[Column[DayLine], ...]] = (
    Column(name="symbol", value=lambda line: line.symbol or None),
    Column(name="currency", value=lambda line: line.currency),
    Column(name="fills", value=lambda line: line.fills, right=True),
    Column(name="opening", value=lambda line: line.opening, right=True),
    Column(name="bought", value=lambda line: line.bought, right=True),
    Column(name="sold", value=lambda line: line.sold, right=True),
    Column(name="adjusted", value=lambda line: line.adjusted, right=True),
    Column(
        name="fees_in_kind",
        value=lambda line: line.fees_in_kind,
        heading="fees in kind",
        right=True,
    ),
    Column(
        name="not_carried", value=lambda line: line.not_carried, heading="not carried", right=True
    ),
    Column(name="closing", value=lambda line: line.closing, right=True),
    Column(name="bought_for", value=lambda line: line.bought_for, heading=""),
    Column(name="sold_for", value=lambda line: line.sold_for, heading=""),
    number_column("volume", lambda line: line.volume, show=money),
    number_column("realised", lambda line: line.realised, show=money),
    Column(
        name="fees",
        value=lambda line: {currency: f"{paid:f}" for currency, paid in line.fees.items()},
        text=_fees,
        right=True,
    ),
    Column(name="fees_untold", value=lambda line: line.fees_untold, heading=""),
    number_column("deposited", lambda line: line.deposited, show=money),
)


def _either(ours: str, theirs: str) -> Any:
    """Return the function that takes a value from our side of a comparison, or the venue's."""

    def value(row: Comparison) -> object:
        if row.ours is not None:
            return getattr(row.ours, ours)
        return getattr(row.theirs, theirs)

    return value


COMPARED: Final[tuple[Column[Comparison], ...]] = (
    Column(name="result", value=lambda row: row.result),
    Column(
        name="time",
        value=lambda row: None if row.ours is None else format_time(row.ours.receive_time_ns),
    ),
    *(
        Column(name=name, value=_either(name, name), right=name in ("qty", "price"))
        for name in ("symbol", "side", "qty", "price", "venue_order_id", "exec_id")
    ),
    Column(name="text", value=lambda row: row.text, heading="what differs"),
)


@click.command("statement")
@click.option(
    "--day",
    type=DayType(),
    metavar="YYYY-MM-DD",
    help="The UTC day; today if left out.",
)
@click.option("--mode", help="PAPER, LIVE or REPLAY; that of the newest run if left out.")
@click.option("--fills", "list_fills", is_flag=True, help="Print the day's fills instead.")
@click.option(
    "--venue-fills",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Compare with this CSV file of the venue's; any difference makes the exit code 1.",
)
@bot_options
@form_options
def command(
    *,
    day: tuple[int, int] | None,
    mode: str | None,
    list_fills: bool,
    venue_fills: Path | None,
    choice: BotChoice,
    form: Form | None,
) -> int:
    """Print a day's trading by instrument, over all runs of CONFIG's bot in one mode.

    opening + bought - sold + adjusted - fees in kind + not carried = closing, exactly. Of replays,
    which may play one day many times, only the newest counts.
    """
    theirs = None if venue_fills is None else read_venue_fills(venue_fills)
    newest, run = newest_run(choice)
    wanted = run.mode if mode is None else mode.upper()
    start_ns, end_ns = day_of(format_time(wall_time_ns())[:10]) if day is None else day
    book, counted = _read(newest, choice, wanted, (start_ns, end_ns))
    head = (
        f"{wanted}  bot {newest.stem}, {format_time(start_ns)[:10]} UTC, {plural(counted, 'run')}: "
        f"{plural(len(book.fills), 'fill')}"
    )
    if theirs is not None:
        return _compare(book, theirs, (start_ns, end_ns), form, head)
    if list_fills:
        print_rows(book.fills, FILL_COLUMNS, form, what="the fills", head=head)
    else:
        print_rows(book.lines(), COLUMNS, form, what="the statement", head=head)
    return ExitCode.CLEAN


def _read(path: Path, choice: BotChoice, mode: str, day: tuple[int, int]) -> tuple[Daybook, int]:
    """Return the day's book, and how many runs were read for it."""
    found = [run for each, run in runs_of(choice) if each == path and run.mode == mode]
    if mode == REPLAY:
        found = found[:1]
    book = Daybook(*day)
    with JournalReader(path) as reader:
        for run in reversed(found):
            book.add_run(reader.entries(run.run_id, MONEY))
    return book, len(found)


def _compare(
    book: Daybook,
    theirs: Sequence[VenueFill],
    day: tuple[int, int],
    form: Form | None,
    head: str,
) -> ExitCode:
    start_ns, end_ns = day
    rows = [
        row
        for row in compare(book.fills, theirs)
        # What the venue dates on another day, and we have not on this one, is no difference.
        if row.ours is not None
        or row.theirs is None
        or row.theirs.time_ns is None
        or start_ns <= row.theirs.time_ns < end_ns
    ]
    counts = Counter(row.result for row in rows)
    told = ", ".join(f"{counts[name]} {name}" for name in RESULTS)
    shown = rows if form is not None else [row for row in rows if row.result != "matched"]
    head = f"{head}; with the venue's: {told}"
    print_rows(shown, COMPARED, form, what="the comparison", head=head)
    return ExitCode.CLEAN if counts["matched"] == len(rows) else ExitCode.ERROR
