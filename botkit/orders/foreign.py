"""Reports about orders we do not know, and the search for which of ours they may be about."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from botkit.model import ExecutionReport, OrdStatus, VenueOrderId
from botkit.orders.state import Order
from botkit.orders.transitions import CLOSED

__all__ = ["ForeignOrders", "candidates", "contested", "paired", "with_name"]

Key = tuple[str, str]  # venue, its order id (or the client order id, where it told none)
KEEP_REPORTS: Final = 64  # of one foreign order: enough to catch up when it proves to be ours
CLOCK_SKEW_NS: Final = 5_000_000_000  # how far a venue's clock may be behind ours


class ForeignOrders:
    """Keeps every foreign order that may be working, and the last `keep_closed` that have ended."""

    def __init__(self, keep_closed: int) -> None:
        self.latest: dict[Key, ExecutionReport] = {}
        self._reports: dict[Key, deque[ExecutionReport]] = {}
        self._keep_closed = keep_closed
        self._closed: deque[Key] = deque()

    def keep(self, venue: str, report: ExecutionReport) -> None:
        """Keep `report`; the oldest of an order's many, and of too many closed orders, go."""
        key = (venue, report.venue_order_id or report.client_order_id or "")
        before = self.latest.get(key)
        self.latest[key] = report
        reports = self._reports.get(key)
        if reports is None:
            reports = self._reports[key] = deque(maxlen=KEEP_REPORTS)
        if report not in reports:
            reports.append(report)
        if report.ord_status in CLOSED and (before is None or before.ord_status not in CLOSED):
            self._closed.append(key)
            if len(self._closed) > self._keep_closed:
                self._forget_closed(self._closed.popleft())

    def claim(self, venue: str, name: str) -> list[ExecutionReport]:
        """Take out the reports of an order that has turned out to be ours, oldest first.

        `name` is the venue's id; its client order id where the venue has told none.
        """
        key = (venue, name)
        self.latest.pop(key, None)
        return list(self._reports.pop(key, ()))

    def _forget_closed(self, key: Key) -> None:
        report = self.latest.get(key)
        if report is not None and report.ord_status in CLOSED:
            del self.latest[key], self._reports[key]


def candidates(report: ExecutionReport, orders: Iterable[Order]) -> list[Order]:
    """Return the `orders` that `report` may be about, told by side, price, quantity and time.

    Only orders without a venue id are looked at. What the report leaves out rules nobody out.
    """
    return [
        order
        for order in orders
        if not order.venue_order_ids
        and order.instrument.symbol == report.symbol
        and report.side in (None, order.side)
        and report.price in (None, order.price)
        and report.order_qty in (None, order.order_qty)
        and (
            report.transact_time_ns == 0
            or report.transact_time_ns >= order.transact_time_ns - CLOCK_SKEW_NS
        )
    ]


Unknown = Iterable[tuple[ExecutionReport, list[Order]]]
"""Reports of orders we do not know, each with those of ours it may be about."""


def contested(unknown: Unknown) -> set[VenueOrderId]:
    """Return the venue's ids of those that may be one order of ours, as others may: nobody's."""
    claims: dict[Order, set[VenueOrderId]] = {}
    for report, orders in unknown:
        for order in orders:
            assert report.venue_order_id is not None  # else it would fit none
            claims.setdefault(order, set()).add(report.venue_order_id)
    return set().union(*(ids for ids in claims.values() if len(ids) > 1))


def paired(unknown: Unknown) -> dict[VenueOrderId, Order]:
    """Return which of our orders each of the venue's ids is, where nobody else trades.

    Orders of equal terms are as good as one another, so that it makes no difference which of
    them is which: the oldest goes with the oldest. More ids than orders are nobody's.
    """
    fit: dict[VenueOrderId, list[Order]] = {}
    since: dict[VenueOrderId, int] = {}
    for report, orders in unknown:
        doubted = [order for order in orders if order.ord_status is OrdStatus.UNKNOWN]
        name = report.venue_order_id
        if name is not None and doubted:
            fit[name] = doubted
            since[name] = min(since.get(name, report.transact_time_ns), report.transact_time_ns)
    pairs: dict[VenueOrderId, Order] = {}
    for name in sorted(fit, key=lambda each: (since[each], each)):
        rivals = [other for other in fit if not set(fit[other]).isdisjoint(fit[name])]
        wanted = {order for other in rivals for order in fit[other]}
        free = [order for order in fit[name] if order not in pairs.values()]
        if free and len(rivals) <= len(wanted):
            pairs[name] = free[0]
    return pairs


def with_name(report: ExecutionReport, pairs: Mapping[VenueOrderId, Order]) -> ExecutionReport:
    """Return `report`, by our name of its order if that is in `pairs`."""
    order = None if report.venue_order_id is None else pairs.get(report.venue_order_id)
    if order is None:
        return report
    return msgspec.structs.replace(report, client_order_id=order.client_order_id)
