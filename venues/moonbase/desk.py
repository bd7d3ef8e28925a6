"""The way of our orders to Moonbase: over a connection, or by REST for cancels if there is none."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Final

import attrs
import trio

from botkit.adapter import Outbox, Outgoing, Persistence, send_failed
from botkit.clock import Clock
from botkit.errors import VenueError
from botkit.model import (
    AskListing,
    AskStatus,
    CancelOrder,
    ExecType,
    ExecutionReport,
    Instrument,
    NewOrder,
    OrderListing,
    ReplaceOrder,
)
from botkit.ports import Deliver
from venues.moonbase.codec import Failure, cancel_reject
from venues.moonbase.orders import Orders
from venues.moonbase.rest import Rest
from venues.moonbase.wire import OrderRow

if TYPE_CHECKING:
    from venues.moonbase.connection import Connection

__all__ = ["Desk", "Shift"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
LOOK_BACK_NS: Final = 60 * NS_PER_S  # clocks differ, and what was told last may be late
NO_CHANNEL: Final = "not sent: its channel of orders is not joined"


@attrs.frozen(kw_only=True)
class Shift:
    """What a desk works with during one `run`.

    Parameters
    ----------
    instruments
        By the venue's names.
    traded
        Those names that a strategy trades.
    """

    rest: Rest
    clock: Clock
    instruments: Mapping[str, Instrument]
    traded: tuple[str, ...]

    def instrument(self, symbol: str) -> Instrument:
        """Return an instrument by its full symbol."""
        return self.instruments[symbol.partition(":")[2]]


class Desk:
    """Sends what the outbox gives: one for the life of the venue."""

    def __init__(
        self,
        deliver: Deliver,
        orders: Orders,
        open_rest: Callable[[], AbstractAsyncContextManager[Rest]],
    ) -> None:
        self.outbox = Outbox(deliver)
        self.connection: Connection | None = None
        self._deliver = deliver
        self._orders = orders
        self._open_rest = open_rest
        self._shift: Shift | None = None
        self._persistence: Persistence | None = None
        self._heard_ns = 0  # until when the channels of orders have told everything

    async def serve(
        self, instruments: Mapping[str, Instrument], traded: tuple[str, ...], clock: Clock
    ) -> None:
        """Send, and answer the engine's questions, until canceled.

        `instruments` are by the venue's names, `traded` those names that a strategy trades.
        """
        async with self._open_rest() as rest, trio.open_nursery() as nursery:
            shift = Shift(rest=rest, clock=clock, instruments=instruments, traded=traded)
            self._shift, self._persistence = shift, Persistence(self._deliver, clock.now_ns)
            while True:
                await self._send(await self.outbox.take(), shift, nursery)

    def line_up(self, connection: "Connection") -> None:
        """Send over a connection from now on, in those instruments whose channel is joined."""
        self.connection = connection
        self.outbox.open()
        if self._persistence is not None:
            self._persistence.wake()

    def line_down(self, heard_ns: int) -> None:
        """Send by REST; send those cancels anew that the connection had no reply to.

        `heard_ns` is when it was last heard.
        """
        connection, self.connection = self.connection, None
        if connection is None:
            return
        self._heard_ns = max(self._heard_ns, heard_ns)
        self.outbox.close()
        for request in connection.codec.give_up():
            if isinstance(request, CancelOrder):
                self.outbox.put(request)

    async def catch_up(self) -> None:
        """Tell what became of the orders entered lately, all pages; nothing the first time."""
        shift = self._shift
        if shift is None or not self._heard_ns:
            return
        try:
            for name in shift.traded:
                rows = await shift.rest.orders(name, self._since_ns())
                for row in rows:
                    self._deliver(self._report(row, name, shift))
        except VenueError as exc:
            logger.warning("moonbase: what was missed is not told: %s", exc)

    def _since_ns(self) -> int:
        """Return when the oldest order was entered whose end may have been missed."""
        return min(self._heard_ns, self._orders.oldest_open_ns()) - LOOK_BACK_NS

    async def _send(self, request: Outgoing, shift: Shift, nursery: trio.Nursery) -> None:
        match request:
            case NewOrder():
                await self._place(request, shift)
            case CancelOrder():
                assert self._persistence is not None
                nursery.start_soon(self._persistence.see_through, [request], self._cancel)
            case AskStatus():
                nursery.start_soon(self._tell_status, request, shift)
            case AskListing():
                nursery.start_soon(self._tell_listing, request, shift)
            case ReplaceOrder():
                raise AssertionError("no replace is put into the outbox")

    # --- orders -----------------------------------------------------------------------------

    async def _place(self, order: NewOrder, shift: Shift) -> None:
        connection = self.connection
        why, reached = NO_CHANNEL, False
        if connection is not None and connection.takes(order.symbol):
            try:
                await connection.ws.send(connection.codec.encode(order))
            except ValueError as exc:
                why = f"not sent: {exc}"
            except VenueError as exc:
                why, reached = f"perhaps sent: {exc}", True
            else:
                return
        now_ns = shift.clock.now_ns()
        self._deliver(send_failed(order, why, reached_venue=reached, now_ns=now_ns))

    async def _cancel(self, cancels: Sequence[CancelOrder]) -> None:
        """Send a cancel; raise `VenueError` if nobody knows what became of it."""
        (cancel,) = cancels
        connection, shift = self.connection, self._shift
        assert shift is not None
        if connection is not None and connection.takes(cancel.symbol):
            with suppress(ValueError, VenueError):
                await connection.ws.send(connection.codec.encode(cancel))
                return
        now_ns = shift.clock.now_ns
        order_id: int | None = None
        with suppress(ValueError):
            order_id = self._orders.order_id(cancel.client_order_id, cancel.venue_order_id)
        if order_id is None:
            text = "moonbase: not_found: the venue has told no id of this order"
            self._deliver(cancel_reject(cancel, Failure(text, "not_found"), now_ns()))
            return
        found = await shift.rest.cancel(order_id)
        if isinstance(found, Failure):
            self._deliver(cancel_reject(cancel, found, now_ns()))
            return
        if cancel.client_order_id:
            self._orders.name(found.id, cancel.client_order_id)
        instrument = shift.instrument(cancel.symbol)
        self._deliver(self._orders.report(found, instrument, now_ns()))

    # --- questions of the engine's ----------------------------------------------------------

    async def _tell_status(self, question: AskStatus, shift: Shift) -> None:
        """Say where one order stands, as the venue's list has it; nothing if it does not list it.

        One whose id we were not told is looked for by listings alone: more than one order may
        have its terms.
        """
        name = question.symbol.partition(":")[2]
        try:
            order_id = self._orders.order_id(question.client_order_id, question.venue_order_id)
            row = None if order_id is None else await shift.rest.order(name, order_id)
            if row is None:
                logger.warning("%s: the venue lists no order %s", question.symbol, order_id)
                return
            report = self._report(row, name, shift)
        except (ValueError, VenueError) as exc:
            logger.warning(
                "%s: cannot tell where order %s stands: %s",
                *(question.symbol, question.client_order_id, exc),
            )
            return
        self._deliver(report)

    async def _tell_listing(self, question: AskListing, shift: Shift) -> None:
        """Tell every order since a time; complete if every page came.

        Where orders are known by an `external_id` only, one that lacks it may be ours until the
        venue was seen to keep it: then no listing can tell that an order is absent.
        """
        began_ns = shift.clock.now_ns()
        reports: list[ExecutionReport] = []
        complete = self._orders.echoes or not self._orders.external_ids
        try:
            for name in shift.traded:
                rows = await shift.rest.orders(name, question.since_ns)
                reports += [self._report(row, name, shift) for row in rows]
        except VenueError as exc:
            logger.warning("%s: the list of orders is not complete: %s", question.venue, exc)
            complete = False
        self._deliver(
            OrderListing(
                venue=question.venue,
                listing_id=question.listing_id,
                began_ns=began_ns,
                complete=complete,
                reports=tuple(reports),
                receive_time_ns=shift.clock.now_ns(),
            )
        )

    def _report(self, row: OrderRow, name: str, shift: Shift) -> ExecutionReport:
        now_ns = shift.clock.now_ns()
        return self._orders.report(row, shift.instruments[name], now_ns, ExecType.ORDER_STATUS)
