"""`botkit positions`: what a run holds, has earned and paid, also while it runs."""

from decimal import Decimal
from pathlib import Path
from typing import Final

import attrs
import click

from botkit.cli.booking import MONEY, Book, Mark
from botkit.cli.choosing import run_options
from botkit.cli.fills_command import run_line
from botkit.cli.logs import format_time
from botkit.cli.tables import Column, Form, form_options, number_column, print_rows
from botkit.cli.wording import money, plural, price
from botkit.journal import JournalReader, Run
from botkit.portfolio import PositionView

__all__ = ["command", "fees_told"]

UNKNOWN: Final = "not known"


@attrs.frozen(kw_only=True)
class Row:
    """One position, and what the journal knows of its price."""

    view: PositionView
    mark: Mark | None
    mark_px: Decimal | None

    @property
    def is_open(self) -> bool:
        """Whether there is anything to mark."""
        return self.view.average_px is not None


def fees_told(row: Row) -> str:
    """Return fees by currency, and how many are not told."""
    told = [f"{money(paid)} {currency}".rstrip() for currency, paid in row.view.fees.items()]
    untold = row.view.fees_untold
    return " + ".join([*told, *([f"{untold} untold"] if untold else [])]) or "0.00"


def _mark_text(row: Row) -> str:
    if not row.is_open:
        return ""
    return UNKNOWN if row.mark_px is None else price(row.mark_px)


def _unrealised_text(row: Row) -> str:
    if not row.is_open:
        return "0.00"
    return UNKNOWN if row.mark is None else money(row.mark.unrealised)


def _unrealised(row: Row) -> Decimal | None:
    if not row.is_open:
        return Decimal(0)
    return None if row.mark is None else row.mark.unrealised


COLUMNS: Final[tuple[Column[Row], ...]] = (
    Column(
        name="strategy",
        value=lambda row: row.view.strategy,
        text=lambda row: row.view.strategy or "no strategy",
    ),
    Column(name="symbol", value=lambda row: row.view.symbol),
    Column(name="qty", value=lambda row: row.view.qty, right=True),
    number_column("average_px", lambda row: row.view.average_px, "entered at"),
    Column(
        name="mark_px", value=lambda row: row.mark_px, heading="mark", text=_mark_text, right=True
    ),
    Column(
        name="mark_time",
        value=lambda row: None if row.mark is None else format_time(row.mark.time_ns),
        heading="marked",
    ),
    Column(name="unrealised", value=_unrealised, text=_unrealised_text, right=True),
    number_column("realised", lambda row: row.view.realised, show=money),
    Column(name="currency", value=lambda row: row.view.currency),
    Column(
        name="fees",
        value=lambda row: {currency: f"{paid:f}" for currency, paid in row.view.fees.items()},
        text=fees_told,
        right=True,
    ),
    Column(name="fees_untold", value=lambda row: row.view.fees_untold, heading=""),
)


@click.command("positions")
@run_options
@form_options
def command(*, path: Path, run: Run, form: Form | None) -> None:
    """Print what a run holds by strategy and instrument: the last of CONFIG's bot, or of any bot.

    Worked out from the journal. A mark is the last that the journal knows for just this position;
    where it knows none, it says so. Realised profit is before fees.
    """
    book = Book()
    with JournalReader(path) as reader:
        for entry in reader.entries(run.run_id, MONEY):
            book.apply(entry)
    rows = [_row(book, view) for view in book.portfolio.positions()]
    head = run_line(path, run, plural(len(rows), "position"))
    print_rows(rows, COLUMNS, form, what="the positions", head="\n".join([head, *_notes(book)]))


def _row(book: Book, view: PositionView) -> Row:
    mark = book.mark_of(view)
    return Row(view=view, mark=mark, mark_px=None if mark is None else book.mark_px(view, mark))


def _notes(book: Book) -> list[str]:
    """Return what is to be said besides the positions."""
    profit = [
        f"{point.currency} at {format_time(point.receive_time_ns)}: {money(point.equity)} in all, "
        f"realised {money(point.realised)}, unrealised {money(point.unrealised)}, "
        f"fees {money(point.fees)}"
        + (f" ({money(point.fees_estimated)} of it estimated)" if point.fees_estimated else "")
        for point in book.points.values()
    ]
    carried = [
        f"Carried on, not traded by this run: {each.qty} {each.symbol} "
        f"({each.strategy or 'no strategy'})"
        for each in book.carried
        if each.qty
    ]
    return [*profit, *carried]
