"""The way of orders to a BlinkTrade connection, and of questions about them."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, TypeVar

import attrs
import trio

from botkit.adapter import Outbox, Persistence, send_failed
from botkit.errors import VenueDisconnectedError, VenueError, VenueUnreachableError
from botkit.model import (
    AskListing,
    AskStatus,
    CancelOrder,
    ClientOrderId,
    Event,
    ExecutionReport,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    RequestKind,
    VenueOrderId,
)
from botkit.ports import Deliver
from venues.blinktrade import outbound, wire
from venues.blinktrade.codec import Codec
from venues.blinktrade.connection import Connection
from venues.blinktrade.options import BlinkTradeOptions
from venues.blinktrade.rest import BridgeRoad

__all__ = ["Desk"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
PAGE_SIZE: Final = 40
MOST_PAGES: Final = 50  # of one list; what is further back is not looked for
LOOKS: Final = 3  # at a list of several pages, whose rows move from one to another meanwhile
SEARCHED_PAGES: Final = 5  # for an order whose venue id is not known
OPEN: Final = ["has_leaves_qty eq 1"]
CLOSED: Final = frozenset({OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED})
Question = AskStatus | CancelOrder
R = TypeVar("R", bound=wire.Reply)


class Road(Protocol):
    """What questions are asked over: a connection, or REST."""

    name: str
    codec: Codec

    async def ask(self, question: outbound.Question, kind: type[R]) -> R:
        """Return the answer; raise `VenueError` if there is none."""
        ...


@attrs.define
class _Working:
    """An order of ours that may work."""

    request: NewOrder
    venue_order_id: VenueOrderId | None = None


@attrs.define(eq=False)
class _Canceling:
    """A cancel that nothing was said of yet."""

    cancel: CancelOrder
    is_lost: bool = False  # the link was, before it was over
    over: trio.Event = attrs.field(factory=trio.Event)


class Desk:
    """Takes requests for whichever road there is: one for the life of the venue.

    Attributes
    ----------
    line
        The connection, while orders can be sent over it.
    """

    def __init__(
        self, options: BlinkTradeOptions, deliver: Deliver, now_ns: Callable[[], int]
    ) -> None:
        self.outbox = Outbox(deliver)
        self.line: Connection | None = None
        self._rest: BridgeRoad | None = None
        self._persistence = Persistence(deliver, self._time)
        self.working: dict[ClientOrderId, _Working] = {}
        self._options = options
        self._deliver = deliver
        self.now_ns = now_ns
        self._canceling: list[_Canceling] = []

    def _time(self) -> int:
        return self.now_ns()  # which each run sets

    # --- what comes back --------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Note what is said of our orders, and deliver it."""
        if isinstance(event, ExecutionReport):
            self._note(event)
        self._persistence.told(event)
        self._deliver(event)

    def _note(self, report: ExecutionReport) -> None:
        name = report.client_order_id
        if name in self.working:
            self.working[name].venue_order_id = report.venue_order_id
        if report.ord_status not in CLOSED:
            return
        if name is not None:
            self.working.pop(name, None)
        for canceling in self._canceling:
            venue_id = canceling.cancel.venue_order_id
            if canceling.cancel.client_order_id == name or (
                venue_id is not None and venue_id == report.venue_order_id
            ):
                canceling.over.set()

    # --- what goes out ----------------------------------------------------------------------

    async def serve(self, rest: BridgeRoad | None) -> None:
        """Send what the outbox gives until canceled: cancels and questions by REST at need.

        Without REST a cancel waits for the next connection.
        """
        self._rest = rest
        async with trio.open_nursery() as nursery:
            through = self._persistence.see_through
            while True:
                request = await self.outbox.take()
                match request:
                    case NewOrder():
                        await self._send_new(request)
                    case CancelOrder():
                        nursery.start_soon(through, [request], self._cancel)
                    case AskStatus():
                        nursery.start_soon(self._tell_status, request)
                    case AskListing():
                        nursery.start_soon(self._tell_listing, request)
                    case _:
                        raise AssertionError("a replace passes no gate: the venue has none")

    def line_up(self, line: Connection) -> None:
        """Send over a connection from now on."""
        self.line = line
        self.outbox.open()
        self._persistence.wake()

    def line_down(self) -> None:
        """Send orders no more; have those cancels sent anew that nothing was said of."""
        self.line = None
        self.outbox.close()
        for canceling in self._canceling:
            canceling.is_lost = canceling.is_lost or not canceling.over.is_set()
            canceling.over.set()

    @property
    def _road(self) -> Road:
        road: Road | None = self._rest if self.line is None else self.line
        if road is None:
            raise VenueUnreachableError(
                "blinktrade: the link is down, and without a secret there is no REST"
            )
        return road

    async def _cancel(self, cancels: Sequence[CancelOrder]) -> None:
        """Send a cancel and see to it that its end is told; raise `VenueError` if it is not."""
        (cancel,) = cancels
        line = self.line
        if line is not None:
            with suppress(VenueDisconnectedError):
                await line.send(line.codec.encode(cancel), urgent=True)
                if await self._confirm(cancel):
                    return
        if self._rest is None:
            raise VenueUnreachableError(f"{cancel.symbol}: the link is down: it waits for the next")
        name, is_over = cancel.client_order_id, False
        for event in await self._rest.cancel(cancel):
            self.take(event)
            is_over = is_over or (
                event.ord_status in CLOSED
                and (event.client_order_id == name or event.venue_order_id == cancel.venue_order_id)
            )
        if not is_over:  # late cancels are not answered
            await self._look_up_canceled(cancel)

    async def _send_new(self, order: NewOrder) -> None:
        """Send a new order, or say why it was not; it never waits for the rate."""
        options, name, line = self._options, order.client_order_id, self.line
        if line is None:
            self._refuse(order, "the link is down")
            return
        if len(self.working) >= options.max_open_orders:
            self._refuse(order, f"max_open_orders = {options.max_open_orders} may work already")
            return
        try:
            frame = line.codec.encode(order)
        except ValueError as exc:
            self._refuse(order, str(exc))
            return
        self.working[name] = _Working(order)
        try:
            is_sent = await line.send_now(frame)
        except VenueError as exc:
            text, now_ns = f"perhaps sent: {exc}", self.now_ns()
            self._deliver(send_failed(order, text, reached_venue=True, now_ns=now_ns))
            return
        if not is_sent:
            del self.working[name]
            limit, reserve = options.max_messages_per_second, options.reserve
            self._refuse(
                order, f"more than {limit} messages a second, less {reserve} kept for cancels"
            )

    def _refuse(self, order: NewOrder, why: str) -> None:
        now_ns = self.now_ns()
        self._deliver(send_failed(order, f"not sent: {why}", reached_venue=False, now_ns=now_ns))

    async def keep_balances(self, connection: Connection) -> None:
        """Ask for all balances now and then: what the venue tells by itself is of trades only."""
        while True:
            await trio.sleep(self._options.balances_every / NS_PER_S)
            await self._try(partial(self.ask_balances, connection), "balances")

    async def ask_balances(self, connection: Connection) -> None:
        """Have every balance told."""
        question = outbound.BalanceRequest(req_id=connection.codec.next_id())
        await connection.ask(question, wire.BalanceHead)

    async def _try(self, ask: Callable[[], Awaitable[object]], what: str) -> None:
        """Do without what could not be asked."""
        try:
            await ask()
        except VenueError as exc:
            logger.warning("blinktrade: %s not told: %s", what, exc)

    # --- cancels that nothing is said of ----------------------------------------------------

    async def _confirm(self, cancel: CancelOrder) -> bool:
        """Wait for the end of an order; look it up if it is not told: late cancels never are.

        False: the link was lost, or the order could not be looked up.
        """
        canceling = _Canceling(cancel)
        self._canceling.append(canceling)
        try:
            with trio.move_on_after(self._options.cancel_within / NS_PER_S):
                await canceling.over.wait()
                return not canceling.is_lost
            with suppress(VenueError):
                await self._look_up_canceled(cancel)
                return True
            return False
        finally:
            self._canceling.remove(canceling)

    async def _look_up_canceled(self, cancel: CancelOrder) -> None:
        report, is_complete = await self._find(self._road, cancel)
        if report is not None:
            self.take(report)
            if report.ord_status in CLOSED:
                self._decline(cancel, report.ord_status, "the order had ended before")
        elif is_complete:
            self._decline(cancel, None, "the venue lists no such order")
        else:
            text, now_ns = "the venue lists more orders than may be looked through", self.now_ns()
            self.take(send_failed(cancel, text, reached_venue=True, now_ns=now_ns))

    def _decline(self, about: Question, status: OrdStatus | None, text: str) -> None:
        is_cancel = isinstance(about, CancelOrder)
        self.take(
            OrderCancelReject(
                symbol=about.symbol,
                client_order_id=about.client_order_id,
                venue_order_id=about.venue_order_id,
                response_to=RequestKind.CANCEL if is_cancel else RequestKind.NEW,
                ord_status=status,
                unknown_order=status is None,
                text=text,
                receive_time_ns=self.now_ns(),
            )
        )

    # --- questions --------------------------------------------------------------------------

    async def _tell_status(self, question: AskStatus) -> None:
        """Say where one order stands.

        Of one that the venue has acknowledged and does not list nothing is said: it lists all.
        """

        async def tell() -> None:
            report, is_complete = await self._find(self._road, question)
            if report is not None:
                self.take(report)
            elif is_complete and question.venue_order_id is None:
                self._decline(question, None, "the venue lists no such order")

        await self._try(tell, f"where order {question.client_order_id} stands")

    async def _find(self, road: Road, wanted: Question) -> tuple[ExecutionReport | None, bool]:
        """Return what the order list says of one order; and whether all of it was looked at."""
        venue_id = wanted.venue_order_id
        number = int(venue_id) if venue_id is not None and venue_id.isdecimal() else None
        since_ns = wanted.transact_time_ns - self._options.history

        def is_it(row: wire.OrderRow) -> bool:
            if number is not None:
                return row.order_id == number
            return str(row.cl_ord_id) == wanted.client_order_id

        def is_enough(row: wire.OrderRow) -> bool:
            if number is not None:
                return row.order_id <= number  # the newest come first
            return is_it(row) or _made_before(row, since_ns)

        is_complete = True
        for filters, most in ((OPEN, MOST_PAGES), ([], MOST_PAGES if number else SEARCHED_PAGES)):
            rows, is_complete = await self._rows(road, filters, is_enough, most)
            found = next((row for row in rows if is_it(row)), None)
            if found is not None:
                return road.codec.row_report(found), True
        return None, is_complete

    async def _rows(
        self,
        road: Road,
        filters: list[str],
        is_enough: Callable[[wire.OrderRow], bool],
        most_pages: int = MOST_PAGES,
    ) -> tuple[list[wire.OrderRow], bool]:
        """Return rows of the order list, newest first, until one `is_enough`.

        The second value is False if there are more pages than may be read. Rows move on to later
        pages by new orders, so that some come twice and none of the unfiltered list is missed.
        """
        found: dict[int, wire.OrderRow] = {}
        for page in range(most_pages):
            question = outbound.OrderListRequest(
                req_id=road.codec.next_id(), page=page, page_size=PAGE_SIZE, filter=filters
            )
            reply = await road.ask(question, wire.OrderList)
            rows = reply.read(wire.OrderRow)
            found.update({row.order_id: row for row in rows})
            is_last = len(rows) < (reply.page_size or PAGE_SIZE)
            if is_last or any(is_enough(row) for row in rows):
                return list(found.values()), True
        return list(found.values()), False

    async def _tell_listing(self, question: AskListing) -> None:
        """Tell every open order, and every order made since a time."""
        began_ns = self.now_ns()
        reports: list[ExecutionReport] = []
        is_complete = False

        async def tell() -> None:
            nonlocal reports, is_complete
            road, since_ns = self._road, question.since_ns
            recent, has_recent = await self._rows(road, [], lambda row: _made_before(row, since_ns))
            resting, has_resting = await self._open_rows(road)
            reports = _reports(road, [*recent, *resting])
            is_complete = has_recent and has_resting

        await self._try(tell, "the list of orders")
        self._deliver(
            OrderListing(
                venue=question.venue,
                listing_id=question.listing_id,
                began_ns=began_ns,
                complete=is_complete,
                reports=tuple(reports),
                receive_time_ns=self.now_ns(),
            )
        )

    async def _open_rows(self, road: Road) -> tuple[list[wire.OrderRow], bool]:
        """Return what rests, and whether that is surely all; forget those of ours that do not.

        While pages are read, an order that ends moves later ones to an earlier page, so several
        pages are read until a further look finds nothing new.
        """
        before = list(self.working)
        rows, has_all = await self._rows(road, OPEN, lambda _: False)
        found = {row.order_id: row for row in rows}
        looks = 1
        while has_all and len(rows) >= PAGE_SIZE:
            rows, has_all = await self._rows(road, OPEN, lambda _: False)
            looks, has_all = looks + 1, has_all and looks < LOOKS
            if all(row.order_id in found for row in rows):
                break
            found.update({row.order_id: row for row in rows})
        if has_all:
            rest = {str(row.cl_ord_id) for row in found.values()}
            for name in before:
                if name not in rest:
                    self.working.pop(name, None)
        return list(found.values()), has_all

    async def catch_up(self, connection: Connection) -> int:
        """Tell what rests and what became of ours that rest no more; return how many rest."""
        before = dict(self.working)
        rows, _ = await self._open_rows(connection)
        missed = {name: each for name, each in before.items() if name not in self.working}
        if missed:
            since_ns = min(each.request.transact_time_ns for each in missed.values())
            recent, _ = await self._rows(connection, [], lambda row: _made_before(row, since_ns))
            rows = [*(row for row in recent if str(row.cl_ord_id) in missed), *rows]
        for report in _reports(connection, rows):
            self.take(report)
        return len(rows)


def _reports(road: Road, rows: Sequence[wire.OrderRow]) -> list[ExecutionReport]:
    """Return the latest word on each order, the oldest order first."""
    latest = {row.order_id: row for row in rows}
    reports = (road.codec.row_report(latest[order_id]) for order_id in sorted(latest))
    return [report for report in reports if report is not None]


def _made_before(row: wire.OrderRow, since_ns: int) -> bool:
    """Tell whether an order was made before a time; the venue tells whole seconds."""
    made_ns = wire.parse_time_ns(row.order_date)
    return 0 < made_ns + NS_PER_S < since_ns
