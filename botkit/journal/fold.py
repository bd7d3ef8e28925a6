"""Where each order of a run stood, worked out from the run's journal entries in order.

An order that was replaced may rest under several client order ids until the venue says which
one it is; it may rest as long as one of them may.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from botkit.model import (
    CleanUpExpired,
    ClientOrderId,
    ExecType,
    ExecutionReport,
    Fill,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    Refused,
    ReplaceOrder,
    RequestKind,
    ResolveOrder,
    SendFailed,
    VenueOrderId,
)
from botkit.ports import JournalEntry, OrderRecord, Recovered, Traded

__all__ = ["OpenRun", "OrderFold", "taken_over", "told_ids"]

CLOSED: Final = frozenset(
    {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED}
)


class OpenRun(msgspec.Struct, kw_only=True, frozen=True):
    """A run whose orders may still rest: killed (`exit_code` None), or ended in doubt (3).

    `orders` are those that may rest or whose fills are not all counted, in order of submission;
    kept ones are among them. `told_ids` are the ids (after their symbols) that venues told of any
    order lately, if one of `orders` has none yet; `taken` the orders it took over from runs before,
    and `traded` the instruments that it began with.
    """

    run_id: str
    mode: str
    started_ns: int
    exit_code: int | None
    orders: tuple[OrderRecord, ...]
    told_ids: frozenset[tuple[str, VenueOrderId]] = frozenset()
    taken: frozenset[ClientOrderId] = frozenset()
    traded: tuple[Traded, ...] = ()

    @property
    def has_nameless(self) -> bool:
        """True if the venue has told no id of one of the orders."""
        return not all(order.venue_order_ids for order in self.orders)


def told_ids(entries: Iterable[JournalEntry]) -> frozenset[tuple[str, VenueOrderId]]:
    """Return the ids that venues told of orders that have a name of ours, after their symbols."""
    found: set[tuple[str, VenueOrderId]] = set()
    for entry in entries:
        if isinstance(entry, ExecutionReport):
            if entry.venue_order_id is not None and entry.client_order_id is not None:
                found.add((entry.symbol, entry.venue_order_id))
        elif isinstance(entry, Recovered):
            symbol = entry.record.request.symbol
            found.update((symbol, name) for name in entry.others)
    return frozenset(found)


def taken_over(entries: Iterable[JournalEntry]) -> frozenset[ClientOrderId]:
    """Return the orders, by their first ids, that a run took over at its start."""
    return frozenset(
        entry.record.client_order_ids[0] for entry in entries if isinstance(entry, Recovered)
    )


class OrderFold:
    """Takes journal entries in order and keeps what each order's state is.

    Orders that are over, with all their fills, are forgotten, unless `keep_closed`. Reports on
    orders that are not ours, or forgotten, change nothing.
    """

    def __init__(self, orders: Iterable[OrderRecord] = (), *, keep_closed: bool = False) -> None:
        self._keep_closed = keep_closed
        self._orders: dict[ClientOrderId, OrderRecord] = {}  # by first id
        self._by_id: dict[ClientOrderId, OrderRecord] = {}
        self._by_venue_id: dict[tuple[str, VenueOrderId], ClientOrderId] = {}
        self._take: dict[type, Callable[[Any], None]] = {
            NewOrder: self._on_new,
            ReplaceOrder: self._on_replace,
            ExecutionReport: self._on_report,
            Fill: self._on_fill,
            OrderCancelReject: self._on_cancel_reject,
            SendFailed: self._on_send_failed,
            Refused: self._on_refused,
            CleanUpExpired: self._on_clean_up_expired,
            ResolveOrder: self._on_resolve,
            Recovered: self._on_recovered,
        }
        for order in orders:
            self._add(order)

    def orders(self) -> list[OrderRecord]:
        """Return the orders, first submitted first; without `keep_closed`, those not settled."""
        return list(self._orders.values())

    def apply(self, entry: JournalEntry) -> None:
        """Take the next entry."""
        take = self._take.get(type(entry))
        if take is not None:
            take(entry)

    def order_of(self, entry: JournalEntry) -> OrderRecord | None:
        """Return the order that an entry is about, once it was applied; None if it is not ours."""
        name = self._name(entry)
        return None if name is None else self._by_id.get(name)

    def _add(self, order: OrderRecord) -> None:
        self._orders[order.client_order_ids[0]] = order
        for client_order_id in order.client_order_ids:
            self._by_id[client_order_id] = order
        for venue_order_id, client_order_id in order.venue_order_ids.items():
            self._by_venue_id[order.request.symbol, venue_order_id] = client_order_id

    def _on_new(self, request: NewOrder) -> None:
        first = request.client_order_id
        self._add(OrderRecord(request=request, client_order_ids=[first], resting_ids=[first]))

    def _on_recovered(self, recovered: Recovered) -> None:
        self._add(msgspec.convert(msgspec.to_builtins(recovered.record), OrderRecord))  # a copy

    def _on_replace(self, request: ReplaceOrder) -> None:
        order = self._by_id.get(request.orig_client_order_id)
        if order is None:
            return
        new = request.client_order_id
        order.replace = request
        self._by_id[new] = order
        if new not in order.client_order_ids:
            order.client_order_ids.append(new)
            order.resting_ids.append(new)

    def _on_report(self, report: ExecutionReport) -> None:
        client_order_id = self._name(report)
        order = None if client_order_id is None else self._by_id.get(client_order_id)
        if order is None or client_order_id is None:
            return
        venue_order_id = report.venue_order_id
        if venue_order_id is not None:
            self._by_venue_id[report.symbol, venue_order_id] = client_order_id
            order.venue_order_ids[venue_order_id] = client_order_id
        if report.cum_qty is not None and report.cum_qty > order.cum_qty:
            order.cum_qty = report.cum_qty
        if report.exec_type is ExecType.REPLACED and client_order_id in order.resting_ids:
            # The order lives on under this id alone.
            del order.resting_ids[: order.resting_ids.index(client_order_id)]
        if report.ord_status in CLOSED:
            if order.resting_ids and self._fills_latest(order, report):
                client_order_id = order.resting_ids[-1]  # some venues keep to the first id
            self._end(order, client_order_id, report.ord_status)
        elif order.resting_ids:
            order.ord_status = report.ord_status

    def _fills_latest(self, order: OrderRecord, report: ExecutionReport) -> bool:
        """Tell whether a report under an id that rests no more fills the order as it is now."""
        return (
            report.ord_status is OrdStatus.FILLED
            and report.client_order_id not in order.resting_ids
            and len(order.resting_ids) == 1
            and report.venue_order_id is not None
            and report.venue_order_id == list(order.venue_order_ids)[-1]
        )

    def _name(self, entry: Any) -> ClientOrderId | None:
        """Return the id under which we know the order that `entry` is about."""
        for field in ("client_order_id", "orig_client_order_id"):
            client_order_id: ClientOrderId | None = getattr(entry, field, None)
            if client_order_id is not None and client_order_id in self._by_id:
                return client_order_id
        venue_order_id: VenueOrderId | None = getattr(entry, "venue_order_id", None)
        if venue_order_id is None:
            return None
        return self._by_venue_id.get((entry.symbol, venue_order_id))

    def _on_fill(self, fill: Fill) -> None:
        order = self._by_id.get(fill.client_order_id)
        if order is not None:
            order.fills.append(fill)
            order.cum_qty = max(order.cum_qty, order.filled_qty)
            self._forget_settled(order)

    def _on_cancel_reject(self, reject: OrderCancelReject) -> None:
        if reject.response_to is RequestKind.REPLACE and reject.client_order_id is not None:
            self._drop_replace(reject.client_order_id)

    def _on_send_failed(self, failure: SendFailed) -> None:
        order = self._by_id.get(failure.client_order_id)
        if order is None:
            return
        if failure.reached_venue:
            order.ord_status = OrdStatus.UNKNOWN
        elif failure.request is RequestKind.NEW:
            self._end(order, failure.client_order_id, OrdStatus.REJECTED)
        elif failure.request is RequestKind.REPLACE:
            self._drop_replace(failure.client_order_id)

    def _on_refused(self, refused: Refused) -> None:
        order = self._by_id.get(refused.client_order_id)
        if order is None:
            return
        if refused.request is RequestKind.NEW:
            self._end(order, refused.client_order_id, OrdStatus.REJECTED)
        elif refused.request is RequestKind.REPLACE:
            self._drop_replace(refused.client_order_id)

    def _on_clean_up_expired(self, expired: CleanUpExpired) -> None:
        for client_order_id in expired.client_order_ids:
            order = self._by_id.get(client_order_id)
            if order is not None and order.resting_ids:
                order.ord_status = OrdStatus.UNKNOWN

    def _on_resolve(self, word: ResolveOrder) -> None:
        """End an order under all its ids; what it filled besides comes as a fill."""
        order = self._by_id.get(word.client_order_id)
        if order is not None:
            order.cum_qty = order.filled_qty
            for client_order_id in list(order.resting_ids):
                self._end(order, client_order_id, word.ord_status)
            self._forget_settled(order)

    def _drop_replace(self, client_order_id: ClientOrderId) -> None:
        """Forget the id a replace would have given; the order's first id is never one."""
        order = self._by_id.get(client_order_id)
        if order is not None and client_order_id != order.client_order_ids[0]:
            self._end(order, client_order_id, order.ord_status)

    def _end(self, order: OrderRecord, client_order_id: ClientOrderId, status: OrdStatus) -> None:
        """End what may rest under one id; the order is over when no id is left."""
        if client_order_id in order.resting_ids:
            order.resting_ids.remove(client_order_id)
        if order.resting_ids:
            return
        order.ord_status = status
        self._forget_settled(order)

    def _forget_settled(self, order: OrderRecord) -> None:
        if self._keep_closed or not order.is_settled:
            return
        self._orders.pop(order.client_order_ids[0], None)
        for known in order.client_order_ids:
            self._by_id.pop(known, None)
        for venue_order_id in order.venue_order_ids:
            self._by_venue_id.pop((order.request.symbol, venue_order_id), None)
