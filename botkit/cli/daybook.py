"""What one UTC day amounts to, over all runs of a bot in one mode."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import attrs

from botkit.cli.booking import Book, told_fills
from botkit.cli.lives import time_of
from botkit.model import Adjustment, AdjustmentKind, Fill, Side
from botkit.portfolio.position import EXACT
from botkit.ports import JournalEntry

__all__ = ["DayLine", "Daybook", "day_of"]

ZERO: Final = Decimal(0)
NS_PER_S: Final = 1_000_000_000
NS_PER_DAY: Final = 86_400 * NS_PER_S
Fees = dict[str, Decimal]


@attrs.define(kw_only=True)
class DayLine:
    """One instrument, or (`symbol` empty) the deposits in one currency, over a day.

    Quantities are of the instrument, all strategies together; `bought_for` and `sold_for` are in
    quote currency, `realised` is in `currency`, before fees. It adds up exactly: `opening` +
    `bought` - `sold` + `adjusted` - `fees_in_kind` + `not_carried` = `closing`, where
    `not_carried` is what a run began without although the one before had ended with it, as on a
    venue inside the process, and `fees_in_kind` are those a spot venue took out of the position.
    """

    symbol: str
    currency: str
    opening: Decimal = ZERO
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    bought_for: Decimal = ZERO
    sold_for: Decimal = ZERO
    adjusted: Decimal = ZERO
    fees_in_kind: Decimal = ZERO
    not_carried: Decimal = ZERO
    closing: Decimal = ZERO
    realised: Decimal = ZERO
    fills: int = 0
    fees: Fees = attrs.field(factory=dict)
    fees_untold: int = 0
    deposited: Decimal = ZERO

    @property
    def volume(self) -> Decimal:
        """What was bought and sold, in quote currency."""
        return EXACT.add(self.bought_for, self.sold_for)


@attrs.define(kw_only=True)
class _Standing:
    """An instrument at one moment of a run, all strategies together."""

    qty: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Fees = attrs.field(factory=dict)
    fees_untold: int = 0


class Daybook:
    """Takes the runs of one mode in the order they started; tells what was in [start, end)."""

    def __init__(self, start_ns: int, end_ns: int) -> None:
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._lines: dict[tuple[str, str], DayLine] = {}
        self._left: dict[str, Decimal] = {}  # by symbol, the position as the last run left it
        self._opened: set[str] = set()
        self.fills: list[Fill] = []

    def lines(self) -> list[DayLine]:
        """Return one line per instrument, then one per currency deposited."""
        return sorted(self._lines.values(), key=lambda line: (not line.symbol, line.symbol))

    def add_run(self, entries: Iterable[JournalEntry]) -> None:
        """Take one run's entries of the kinds `MONEY`."""
        book = Book()
        begun: dict[str, _Standing] | None = None
        spans = False
        day: list[JournalEntry] = []
        for entry in entries:
            time_ns = time_of(entry)
            if time_ns >= self._end_ns:
                continue
            if time_ns >= self._start_ns:
                if begun is None and not _is_carried(entry):
                    begun = _standings(book)
                day.append(entry)
            elif time_ns:  # what describes an instrument has no time
                spans = True
            book.apply(entry)
        ended = _standings(book)
        if day:
            self._note_day(book, day)
            self._note_run(book, ended if begun is None else begun, ended, spans=spans)
        self._left.update({symbol: standing.qty for symbol, standing in ended.items()})

    def _note_day(self, book: Book, day: Sequence[JournalEntry]) -> None:
        self.fills += told_fills(day)
        for entry in day:
            if isinstance(entry, Fill):
                self._note_fill(book, entry)
            elif isinstance(entry, Adjustment):
                self._note_adjustment(book, entry)

    def _note_fill(self, book: Book, fill: Fill) -> None:
        line = self._line(book, fill.symbol)
        line.fills += 1
        paid = book.instruments[fill.symbol].notional(fill.price, fill.qty)
        if fill.side is Side.BUY:
            line.bought = EXACT.add(line.bought, fill.qty)
            line.bought_for = EXACT.add(line.bought_for, paid)
        else:
            line.sold = EXACT.add(line.sold, fill.qty)
            line.sold_for = EXACT.add(line.sold_for, paid)

    def _note_adjustment(self, book: Book, adjustment: Adjustment) -> None:
        if adjustment.kind is AdjustmentKind.DEPOSIT:
            key = ("", adjustment.currency)
            line = self._lines.setdefault(key, DayLine(symbol="", currency=adjustment.currency))
            line.deposited = EXACT.add(line.deposited, adjustment.amount)
        elif not _is_carried(adjustment):
            line = self._line(book, adjustment.symbol)
            line.adjusted = EXACT.add(line.adjusted, adjustment.qty)

    def _note_run(
        self,
        book: Book,
        begun: Mapping[str, _Standing],
        ended: Mapping[str, _Standing],
        *,
        spans: bool,
    ) -> None:
        """Note what the run changed, and what it began with."""
        for symbol, after in ended.items():
            before = begun.get(symbol, _Standing())
            line = self._line(book, symbol)
            left = before.qty if spans else self._left.get(symbol, before.qty)
            if symbol not in self._opened:
                self._opened.add(symbol)
                line.opening = left
            line.not_carried = EXACT.add(line.not_carried, EXACT.subtract(before.qty, left))
            line.closing = after.qty
            line.realised = EXACT.add(
                line.realised, EXACT.subtract(after.realised, before.realised)
            )
            line.fees_untold += after.fees_untold
            self._note_fees(book, line, before, after)

    def _note_fees(self, book: Book, line: DayLine, before: _Standing, after: _Standing) -> None:
        instrument = book.instruments[line.symbol]
        for currency, paid in after.fees.items():
            more = EXACT.subtract(paid, before.fees.get(currency, ZERO))
            line.fees[currency] = EXACT.add(line.fees.get(currency, ZERO), more)
            if currency == instrument.base and book.is_spot(line.symbol):
                line.fees_in_kind = EXACT.add(line.fees_in_kind, more)

    def _line(self, book: Book, symbol: str) -> DayLine:
        instrument = book.instruments[symbol]
        currency = instrument.base if instrument.inverse else instrument.quote
        return self._lines.setdefault((symbol, ""), DayLine(symbol=symbol, currency=currency))


def _is_carried(entry: JournalEntry) -> bool:
    return isinstance(entry, Adjustment) and entry.kind is AdjustmentKind.CARRIED


def _standings(book: Book) -> dict[str, _Standing]:
    """Return every instrument of a book as it is now."""
    found: dict[str, _Standing] = {}
    for view in book.portfolio.positions():
        standing = found.setdefault(view.symbol, _Standing())
        standing.qty = EXACT.add(standing.qty, view.qty)
        standing.realised = EXACT.add(standing.realised, view.realised)
        standing.fees_untold += view.fees_untold
        for currency, paid in view.fees.items():
            standing.fees[currency] = EXACT.add(standing.fees.get(currency, ZERO), paid)
    return found


def day_of(text: str) -> tuple[int, int]:
    """Return the start and end of a UTC day written as YYYY-MM-DD, in ns.

    Raises
    ------
    ValueError
        It is no such day.
    """
    day = dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC)
    start_ns = int(day.timestamp()) * NS_PER_S
    return start_ns, start_ns + NS_PER_DAY
