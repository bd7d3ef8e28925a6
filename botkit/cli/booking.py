"""The money of a run, worked out from its journal as the engine does while it runs."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

import attrs

from botkit.cli.lives import give_fee
from botkit.errors import JournalError
from botkit.model import (
    Adjustment,
    AdjustmentKind,
    ClientOrderId,
    EquityPoint,
    FeeTold,
    Fill,
    Instrument,
)
from botkit.portfolio import Portfolio, PositionView
from botkit.ports import JournalEntry, Traded

__all__ = ["MONEY", "Book", "Mark", "told_fills"]

MONEY: Final = (Traded, Adjustment, Fill, FeeTold, EquityPoint)
"""The kinds of entry that move money or say what it is counted by."""
ZERO: Final = Decimal(0)


def told_fills(entries: Iterable[JournalEntry]) -> list[Fill]:
    """Return fills in order, each with its fee if the venue told it at once or later."""
    rows: list[list[Fill]] = []
    of_order: dict[ClientOrderId, list[list[Fill]]] = {}
    for entry in entries:
        if isinstance(entry, Fill):
            rows.append([entry])
            of_order.setdefault(entry.client_order_id, []).append(rows[-1])
        elif isinstance(entry, FeeTold):
            give_fee(of_order.get(entry.client_order_id, ()), entry)
    return [fill for row in rows for fill in row]


@attrs.frozen(kw_only=True)
class Mark:
    """What a position was worth at `time_ns`, when it was `qty` entered at `average_px`."""

    qty: Decimal
    average_px: Decimal | None
    unrealised: Decimal
    time_ns: int


class Book:
    """Positions and profit of one run, folded from its entries in order.

    Fees that the venue has not told are not estimated here: the journal does not say the rate.
    `carried` holds what was carried on of instruments that no strategy of the run trades and
    whose venue no longer has them.
    """

    def __init__(self) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.portfolio = Portfolio(self.instruments)
        self.carried: list[Adjustment] = []
        self.points: dict[str, EquityPoint] = {}  # by currency, the last
        self.marks: dict[tuple[str, str], Mark] = {}  # by strategy and symbol

    def apply(self, entry: JournalEntry) -> None:
        """Take the next entry.

        Raises
        ------
        JournalError, InvariantError
            It moves a position in an instrument that the journal does not describe.
        """
        match entry:
            case Traded():
                self.instruments[entry.symbol] = entry.instrument()
            case Fill() if entry.symbol not in self.instruments:
                raise JournalError(
                    f"a fill of {entry.symbol} cannot be counted: the journal does not describe "
                    "that instrument, as one of an older botkit; botkit fills still lists it"
                )
            case Fill():
                self.portfolio.apply(entry)
            case FeeTold():
                self.portfolio.amend(entry)
            case Adjustment():
                self._adjust(entry)
            case EquityPoint():
                self._mark(entry)
            case _:
                pass

    def _adjust(self, adjustment: Adjustment) -> None:
        unknown = adjustment.symbol not in self.instruments
        if adjustment.kind is AdjustmentKind.CARRIED and unknown:
            self.carried.append(adjustment)
        else:
            self.portfolio.adjust(adjustment)

    def _mark(self, point: EquityPoint) -> None:
        """Note what a point says of a single position: where several are open, only of all."""
        self.points[point.currency] = point
        held = list(self._held(point.currency))
        for view in held:
            self.marks.pop((view.strategy, view.symbol), None)
        if len(held) == 1:
            (view,) = held
            self.marks[view.strategy, view.symbol] = Mark(
                qty=view.qty,
                average_px=view.average_px,
                unrealised=point.unrealised,
                time_ns=point.receive_time_ns,
            )

    def _held(self, currency: str) -> Iterator[PositionView]:
        for view in self.portfolio.positions():
            if view.currency == currency and view.average_px is not None:
                yield view

    def is_spot(self, symbol: str) -> bool:
        """Tell whether fees in base currency come out of what is held."""
        instrument = self.instruments[symbol]
        return not instrument.inverse and instrument.contract_multiplier == 1

    def mark_of(self, view: PositionView) -> Mark | None:
        """Return what the journal knows of a position as it is now; None if it knows nothing."""
        mark = self.marks.get((view.strategy, view.symbol))
        if mark is None or (mark.qty, mark.average_px) != (view.qty, view.average_px):
            return None
        return mark

    def mark_px(self, view: PositionView, mark: Mark) -> Decimal | None:
        """Return the bid (long) or ask (short) that a mark was made at; None if it cannot tell."""
        instrument = self.instruments[view.symbol]
        in_kind = view.fees.get(instrument.base, ZERO) if self.is_spot(view.symbol) else ZERO
        qty = view.qty + in_kind  # what its profit is counted on
        if instrument.inverse or view.average_px is None or not qty:
            return None
        per_unit = mark.unrealised / (qty * instrument.contract_multiplier)
        return instrument.price(view.average_px + per_unit)
