"""Moonbase's rows of our orders as reports: where each stands, and what was filled since the last.

The venue tells totals and no executions. `Orders` lives as long as the venue, over all its
connections, so that what a total adds is told once, with its fee.
"""

from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from botkit.errors import VenueProtocolError
from botkit.model import (
    ClientOrderId,
    ExecId,
    ExecType,
    ExecutionReport,
    Instrument,
    OrdStatus,
    Side,
    VenueOrderId,
)
from venues.moonbase.wire import OrderRow, checked, time_ns

__all__ = ["Orders"]

ZERO: Final = Decimal(0)
REMEMBERED: Final = 100_000
NEVER_NS: Final = (1 << 63) - 1
CLOSED: Final = frozenset({OrdStatus.FILLED, OrdStatus.CANCELED})
EXEC_TYPES: Final[Mapping[OrdStatus, ExecType]] = {
    OrdStatus.NEW: ExecType.NEW,
    OrdStatus.PARTIALLY_FILLED: ExecType.TRADE,
    OrdStatus.FILLED: ExecType.TRADE,
    OrdStatus.CANCELED: ExecType.CANCELED,
}


@attrs.frozen
class _Told:
    """What the last row of an order said; quantities without their signs."""

    filled: Decimal = ZERO
    total: Decimal | None = ZERO  # None: not told
    paid: Decimal | None = ZERO  # the fee; None: how much of it was told before is not known


class Orders:
    """What was told of the account's orders, and our names for those that we know to be ours.

    Parameters
    ----------
    since_ns
        Orders entered before were perhaps counted by an earlier run: what is filled of them when
        they are first seen is told without its fee, which may have been booked then.
    external_ids
        Whether `external_id` is our client order id.
    """

    def __init__(self, since_ns: int, *, external_ids: bool = False) -> None:
        self.external_ids = external_ids
        self._since_ns = since_ns
        self._names: OrderedDict[int, ClientOrderId] = OrderedDict()
        self._ids: dict[ClientOrderId, int] = {}
        self._told: OrderedDict[int, _Told] = OrderedDict()
        self._open: dict[int, int] = {}  # when orders of ours that may rest were entered
        self.echoes = False  # the venue was seen to give an `external_id` of ours back

    def name(self, order_id: int, client_order_id: ClientOrderId) -> None:
        """Note that the venue's order `order_id` is ours, called `client_order_id`."""
        if order_id in self._names:
            return
        self._names[order_id] = client_order_id
        self._ids[client_order_id] = order_id
        if len(self._names) > REMEMBERED:
            _, oldest = self._names.popitem(last=False)
            self._ids.pop(oldest, None)

    def order_id(
        self, client_order_id: ClientOrderId, venue_order_id: VenueOrderId | None
    ) -> int | None:
        """Return the venue's number of an order; None if nobody has told it.

        Raises
        ------
        ValueError
            `venue_order_id` is no number: it is of another venue.
        """
        if venue_order_id is not None:
            return int(venue_order_id)
        return self._ids.get(client_order_id)

    def oldest_open_ns(self) -> int:
        """Return when the oldest order of ours that may rest was entered; far ahead if none may."""
        return min(self._open.values(), default=NEVER_NS)

    def report(
        self,
        row: OrderRow,
        instrument: Instrument,
        now_ns: int,
        exec_type: ExecType | None = None,
    ) -> ExecutionReport:
        """Return what `row` says; `exec_type` None takes what follows from where it stands."""
        checked(row)
        if not row.requested_amount:
            raise VenueProtocolError(f"moonbase: order {row.id} is one of amount 0")
        if self.external_ids and isinstance(row.external_id, str):
            self.name(row.id, ClientOrderId(row.external_id))
        status = _status(row)
        name = self._names.get(row.id)
        entered_ns = time_ns(row.inserted_at)
        # Of an order that may be anybody's, when it was entered tells whether it may be ours.
        changed_ns = time_ns(row.updated_at) if name and row.updated_at else entered_ns
        if name is None or status in CLOSED:
            self._open.pop(row.id, None)
        else:
            self._open[row.id] = entered_ns
        filled = abs(row.filled_amount)
        total = None if row.filled_total is None else abs(row.filled_total)
        return ExecutionReport(
            symbol=instrument.symbol,
            ord_status=status,
            exec_type=exec_type or EXEC_TYPES[status],
            client_order_id=name,
            venue_order_id=VenueOrderId(str(row.id)),
            side=Side.BUY if row.requested_amount > 0 else Side.SELL,
            order_qty=abs(row.requested_amount),
            price=row.limit_price,
            cum_qty=filled,
            avg_px=total / filled if total and filled else None,
            **self._news(row, entered_ns, filled, total, instrument),
            text="liquidation" if row.is_liquidation else "",
            transact_time_ns=changed_ns,
            receive_time_ns=now_ns,
        )

    def _news(
        self,
        row: OrderRow,
        entered_ns: int,
        filled: Decimal,
        total: Decimal | None,
        instrument: Instrument,
    ) -> dict[str, Any]:
        """Return what was filled since the last row, for how much; nothing for a stale row."""
        before = self._told.get(row.id)
        if before is None:
            is_recent = entered_ns >= self._since_ns
            before = _Told() if is_recent or not filled else _Told(paid=None)
        elif filled <= before.filled:
            return {}
        paid = -row.fee
        self._told[row.id] = _Told(filled, total, paid)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        if filled <= before.filled:
            return {}
        qty = filled - before.filled
        worth = ZERO if total is None or before.total is None else total - before.total
        news: dict[str, Any] = {"exec_id": ExecId(f"{row.id}-{filled.normalize():f}")}
        if worth > 0:
            news |= {"last_qty": qty, "last_px": worth / qty}
        if before.paid is not None:
            news |= {"commission": paid - before.paid, "commission_currency": instrument.quote}
        return news


def _status(row: OrderRow) -> OrdStatus:
    """Return where an order stands; `is_active` is False of a stop that waits, too."""
    if abs(row.filled_amount) >= abs(row.requested_amount):
        return OrdStatus.FILLED
    if row.cancelled_at is not None:
        return OrdStatus.CANCELED
    return OrdStatus.PARTIALLY_FILLED if row.filled_amount else OrdStatus.NEW
