"""What must be settled at a venue before its strategies hear that it is up.

After a lost link, and at the start after a run that was killed, orders of ours may rest there that
nobody watched. They are asked for and, unless they are to be kept, canceled; until the venue has
said of each where it stands, no new order passes.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from botkit.model import (
    AskListing,
    CancelOrder,
    ClientOrderId,
    ExecutionReport,
    NewOrder,
    OrderListing,
    Side,
    VenueStatus,
)
from botkit.orders import ClientOrderIds, Order, Outcome
from botkit.orders.state import CLOSED
from botkit.ports import OrderRecord, Recovered

if TYPE_CHECKING:
    from botkit.engine.channel import Route
    from botkit.engine.core import Engine

__all__ = ["Reconciler", "VenueReviewed"]

LIST_AGAIN_NS: Final = 2_000_000_000


@attrs.frozen
class VenueReviewed:
    """What strategies may know of a venue has to be worked out anew, after the present event."""

    venue: str
    receive_time_ns: int


class Reconciler:
    """Keeps the orders of before a link was lost, or the run began, until they are settled.

    Attributes
    ----------
    unsettled
        By venue; a venue without any is not in it.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._owns = ClientOrderIds(engine.settings.bot, "any").owns
        self.unsettled: dict[str, dict[Order, None]] = {}
        self._unlisted = dict.fromkeys(engine.settings.listed)  # venues not listed since the start
        self._asked: dict[str, int] = {}  # by venue, the listing that is awaited
        self._told: dict[str, VenueStatus] = {}  # by venue, its own latest word
        self.routes: dict[type, Route] = {
            Recovered: self._on_recovered,
            VenueReviewed: self._on_reviewed,
        }

    # --- orders of an earlier run -----------------------------------------------------------

    def _on_recovered(self, event: Recovered) -> None:
        engine = self._engine
        record = event.record
        if engine.orders.get(record.request.client_order_id) is not None:
            return  # told of twice
        instrument = engine.channels[record.request.symbol].instrument
        engine.journal.record(event)
        engine.touched = True
        order = engine.orders.recover(record, instrument, engine.now_ns, event.others)
        self._await([order])
        engine.log(
            "warning",
            "order left open by an earlier run",
            {"order": order.client_order_id, "run": event.run_id, "filled": str(order.cum_qty)},
        )
        status = self._told.get(instrument.venue)
        if status is not None and status.private:  # adopted while the link is up
            self._clear(instrument.venue)
            engine.lifecycle.review(instrument.venue)

    def on_foreign(self, report: ExecutionReport, outcome: Outcome) -> None:
        """Take a report about an order that is not known: it may be ours all the same."""
        if outcome.ambiguous:
            self._end_rival(report)
        else:
            self._adopt(report)

    def _end_rival(self, report: ExecutionReport) -> None:
        """Cancel an order that may be ours where nobody else trades on the account."""
        venue = report.symbol.partition(":")[0]
        if venue in self._engine.settings.exclusive and report.ord_status not in CLOSED:
            self._engine.desk.send(
                CancelOrder(
                    client_order_id=report.client_order_id or ClientOrderId(""),
                    symbol=report.symbol,
                    venue_order_id=report.venue_order_id,
                    side=report.side or Side.BUY,
                    reason="it may be an order of ours",
                    transact_time_ns=self._engine.now_ns,
                )
            )

    def _adopt(self, report: ExecutionReport) -> None:
        """Take over an open order that carries our tag and that no journal of ours knew."""
        engine = self._engine
        name = report.client_order_id
        if (
            name is None
            or not self._owns(name)
            or engine.orders.get(name) is not None
            or report.ord_status in CLOSED
            or report.symbol not in engine.channels
            or report.side is None
            or report.order_qty is None
        ):
            return
        engine.later(
            Recovered(record=_record_of(report, name), run_id="", receive_time_ns=engine.now_ns)
        )

    # --- links ------------------------------------------------------------------------------

    def lost(self, venue: str, orders: Iterable[Order]) -> None:
        """Note the orders that nobody watches now; cancel them by another way, if there is one."""
        self._await(orders)
        self._asked.pop(venue, None)
        capabilities = self._engine.settings.capabilities.get(venue)
        if capabilities is not None and capabilities.rest_cancel:
            self._clear(venue)

    def restored(self, venue: str) -> None:
        """Ask for every order in doubt; cancel what is not to be kept; list the venue once."""
        engine = self._engine
        engine.orders.link_restored(venue, engine.now_ns)
        self._clear(venue)
        if venue in self._unlisted:
            self._list(venue)

    def effective(self, status: VenueStatus) -> VenueStatus:
        """Return what strategies may know: not ready while orders of before are unsettled."""
        self._told[status.venue] = status
        hindrance = self._hindrance(status.venue)
        if not hindrance or not (status.private and status.order_entry):
            return status
        return msgspec.structs.replace(status, order_entry=False, reason=hindrance)

    def told(self, venue: str) -> VenueStatus | None:
        """Return the venue's own latest word."""
        return self._told.get(venue)

    def look(self, order: Order) -> None:
        """Note that `order` has changed; the venue may be ready now."""
        venue = order.instrument.venue
        unsettled = self.unsettled.get(venue)
        if not unsettled or order not in unsettled or not self._is_settled(order):
            return
        del unsettled[order]
        if not unsettled:
            del self.unsettled[venue]
            self._review(venue)

    def on_listing(self, listing: OrderListing) -> None:
        """Take the listing asked for at the start; one that is not complete is asked for again."""
        venue = listing.venue
        if self._asked.get(venue) != listing.listing_id:
            return
        del self._asked[venue]
        if not listing.complete:
            return  # asked for again when its time is up
        del self._unlisted[venue]
        for report in self._engine.orders.foreign.values():
            if report.symbol.partition(":")[0] == venue and report.ord_status not in CLOSED:
                fields = {
                    "order": report.venue_order_id or report.client_order_id,
                    "symbol": report.symbol,
                }
                self._engine.log("warning", "an order of others rests here: left alone", fields)
        self._review(venue)

    # --- inside -----------------------------------------------------------------------------

    def _review(self, venue: str) -> None:
        self._engine.later(VenueReviewed(venue, self._engine.now_ns))

    def _on_reviewed(self, event: VenueReviewed) -> None:
        self._engine.lifecycle.review(event.venue)

    def _await(self, orders: Iterable[Order]) -> None:
        for order in orders:
            self.unsettled.setdefault(order.instrument.venue, {})[order] = None

    def _keeps(self, order: Order) -> bool:
        policy = self._engine.settings.on_disconnect.get(order.instrument.venue, "cancel")
        return order.is_kept or (policy == "keep" and not order.orphaned)

    def _is_settled(self, order: Order) -> bool:
        if order.is_closed:
            return True
        return self._keeps(order) and not (order.in_doubt or order.cancel_requested)

    def _clear(self, venue: str) -> None:
        """Cancel what rests at `venue`, but for what is to be kept and nobody asked to cancel."""
        for order in list(self.unsettled.get(venue, ())):
            if order.cancel_requested or not self._keeps(order):
                self._engine.desk.cancel(order, "its link was lost")

    def _hindrance(self, venue: str) -> str:
        unsettled = self.unsettled.get(venue)
        if unsettled:
            count = len(unsettled)
            what = "1 order" if count == 1 else f"{count} orders"
            return f"{what} of before not settled yet"
        if venue in self._unlisted:
            return "what rests there is not listed yet"
        return ""

    def _list(self, venue: str) -> None:
        """Ask for all orders at `venue`, again and again until a complete answer has come."""
        engine = self._engine
        status = self._told.get(venue)
        if venue not in self._unlisted or status is None or not status.private:
            return  # done; or asked anew when the link is there again
        ask: AskListing = engine.orders.pursuit.ask_listing(venue, engine.now_ns, engine.now_ns)
        self._asked[venue] = ask.listing_id
        engine.desk.send(ask)
        engine.touched = True

        def again() -> None:
            if self._asked.get(venue, ask.listing_id) == ask.listing_id:
                self._list(venue)

        engine.call_at(engine.now_ns + LIST_AGAIN_NS, again)


def _record_of(report: ExecutionReport, name: ClientOrderId) -> OrderRecord:
    """Return what is known of an order that only the venue remembers."""
    assert report.side is not None
    assert report.order_qty is not None
    venue_ids = {} if report.venue_order_id is None else {report.venue_order_id: name}
    return OrderRecord(
        request=NewOrder(
            client_order_id=name,
            symbol=report.symbol,
            strategy="",
            side=report.side,
            order_qty=report.order_qty,
            price=report.price,
            transact_time_ns=report.transact_time_ns,
        ),
        client_order_ids=[name],
        resting_ids=[name],
        venue_order_ids=venue_ids,
        ord_status=report.ord_status,
    )
