"""The way of orders to a BlinkTrade connection, and of questions about them."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import attrs
import trio

from botkit.adapter import Outbox, send_failed
from botkit.errors import VenueDisconnectedError, VenueError
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
from venues.blinktrade.connection import Connection
from venues.blinktrade.options import BlinkTradeOptions

__all__ = ["Desk"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
PAGE_SIZE: Final = 40
MOST_PAGES: Final = 50  # of one list; what is further back is not looked for
SEARCHED_PAGES: Final = 5  # for an order whose venue id is not known
OPEN: Final = ["has_leaves_qty eq 1"]
CLOSED: Final = frozenset({OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED})
Question = AskStatus | CancelOrder


@attrs.define
class _Working:
    """An order of ours that may work."""

    request: NewOrder
    venue_order_id: VenueOrderId | None = None


@attrs.define(eq=False)
class _Canceling:
    """A cancel that nothing was said of yet."""

    venue_order_id: VenueOrderId | None
    over: trio.Event = attrs.field(factory=trio.Event)


class Desk:
    """Takes requests for whichever connection there is: one for the life of the venue."""

    def __init__(
        self, options: BlinkTradeOptions, deliver: Deliver, now_ns: Callable[[], int]
    ) -> None:
        self.outbox = Outbox(deliver)
        self.working: dict[ClientOrderId, _Working] = {}
        self._options = options
        self._deliver = deliver
        self.now_ns = now_ns
        self._canceling: dict[ClientOrderId, _Canceling] = {}

    # --- what comes back --------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Note what is said of our orders, and deliver it."""
        if isinstance(event, ExecutionReport):
            self._note(event)
        self._deliver(event)

    def _note(self, report: ExecutionReport) -> None:
        name = report.client_order_id
        if name in self.working:
            self.working[name].venue_order_id = report.venue_order_id
        if report.ord_status not in CLOSED:
            return
        if name is not None:
            self.working.pop(name, None)
        for key, canceling in self._canceling.items():
            venue_id = canceling.venue_order_id
            if key == name or (venue_id is not None and venue_id == report.venue_order_id):
                canceling.over.set()

    # --- what goes out ----------------------------------------------------------------------

    async def serve(self, connection: Connection) -> None:
        """Send what the outbox gives, over `connection`, until it ends."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_balances, connection)
            while True:
                request = await self.outbox.take()
                match request:
                    case NewOrder():
                        await self._send_new(connection, request)
                    case CancelOrder():
                        frame = connection.codec.encode(request)
                        await connection.send(frame, urgent=True)
                        nursery.start_soon(self._confirm, connection, request)
                    case AskStatus():
                        nursery.start_soon(self._tell_status, connection, request)
                    case AskListing():
                        nursery.start_soon(self._tell_listing, connection, request)
                    case _:
                        raise AssertionError("a replace passes no gate: the venue has none")

    async def _send_new(self, connection: Connection, order: NewOrder) -> None:
        """Send a new order, or say why it was not; it never waits for the rate."""
        options, name = self._options, order.client_order_id
        if len(self.working) >= options.max_open_orders:
            self._refuse(order, f"max_open_orders = {options.max_open_orders} may work already")
            return
        try:
            frame = connection.codec.encode(order)
        except ValueError as exc:
            self._refuse(order, str(exc))
            return
        self.working[name] = _Working(order)
        if not await connection.send_now(frame):
            del self.working[name]
            limit, reserve = options.max_messages_per_second, options.reserve
            self._refuse(
                order, f"more than {limit} messages a second, less {reserve} kept for cancels"
            )

    def _refuse(self, order: NewOrder, why: str) -> None:
        now_ns = self.now_ns()
        self._deliver(send_failed(order, f"not sent: {why}", reached_venue=False, now_ns=now_ns))

    async def _keep_balances(self, connection: Connection) -> None:
        """Ask for all balances now and then: what the venue tells by itself is of trades only."""
        while True:
            await trio.sleep(self._options.balances_every / NS_PER_S)
            await self.attempt(connection, partial(self.ask_balances, connection), "balances")

    async def ask_balances(self, connection: Connection) -> None:
        """Have every balance told."""
        question = outbound.BalanceRequest(req_id=connection.codec.next_id())
        await connection.ask(question, wire.BalanceHead)

    async def attempt(
        self, connection: Connection, ask: Callable[[], Awaitable[object]], what: str
    ) -> bool:
        """Do without what could not be asked, unless the link is lost; tell whether it could."""
        try:
            await ask()
        except VenueDisconnectedError:
            raise
        except VenueError as exc:
            logger.warning("%s: %s not told: %s", connection.name, what, exc)
            return False
        return True

    # --- cancels that nothing is said of ----------------------------------------------------

    async def _confirm(self, connection: Connection, cancel: CancelOrder) -> None:
        """Wait for the end of an order; look it up if it is not told: late cancels never are."""
        name = cancel.client_order_id
        if name in self._canceling:
            return  # sent again; the first one waits already
        canceling = self._canceling[name] = _Canceling(cancel.venue_order_id)
        try:
            with trio.move_on_after(self._options.cancel_within / NS_PER_S):
                await canceling.over.wait()
                return
            look_up = partial(self._look_up_canceled, connection, cancel)
            await self.attempt(connection, look_up, f"what became of the cancel of {name}")
        finally:
            del self._canceling[name]

    async def _look_up_canceled(self, connection: Connection, cancel: CancelOrder) -> None:
        report, is_complete = await self._find(connection, cancel)
        if report is not None:
            self.take(report)
            if report.ord_status in CLOSED:
                self._decline(cancel, report.ord_status, "the order had ended before")
        elif is_complete:
            self._decline(cancel, None, "the venue lists no such order")

    def _decline(self, about: Question, status: OrdStatus | None, text: str) -> None:
        is_cancel = isinstance(about, CancelOrder)
        self._deliver(
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

    async def _tell_status(self, connection: Connection, question: AskStatus) -> None:
        """Say where one order stands.

        Of one that the venue has acknowledged and does not list nothing is said: it lists all.
        """

        async def tell() -> None:
            report, is_complete = await self._find(connection, question)
            if report is not None:
                self.take(report)
            elif is_complete and question.venue_order_id is None:
                self._decline(question, None, "the venue lists no such order")

        what = f"where order {question.client_order_id} stands"
        await self.attempt(connection, tell, what)

    async def _find(
        self, connection: Connection, wanted: Question
    ) -> tuple[ExecutionReport | None, bool]:
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
            rows, is_complete = await self._rows(connection, filters, is_enough, most)
            found = next((row for row in rows if is_it(row)), None)
            if found is not None:
                return connection.codec.row_report(found), True
        return None, is_complete

    async def _rows(
        self,
        connection: Connection,
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
                req_id=connection.codec.next_id(), page=page, page_size=PAGE_SIZE, filter=filters
            )
            reply = await connection.ask(question, wire.OrderList)
            rows = reply.read(wire.OrderRow)
            found.update({row.order_id: row for row in rows})
            is_last = len(rows) < (reply.page_size or PAGE_SIZE)
            if is_last or any(is_enough(row) for row in rows):
                return list(found.values()), True
        return list(found.values()), False

    async def _tell_listing(self, connection: Connection, question: AskListing) -> None:
        """Tell every open order, and every order made since a time."""
        began_ns = self.now_ns()
        reports: list[ExecutionReport] = []
        is_complete = False

        async def tell() -> None:
            nonlocal reports, is_complete
            since_ns = question.since_ns
            recent, has_all = await self._rows(
                connection, [], lambda row: _made_before(row, since_ns)
            )
            resting = await self.open_rows(connection)
            reports = _reports(connection, [*recent, *resting])
            is_complete = has_all

        if not await self.attempt(connection, tell, "the list of orders"):
            is_complete = False
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

    async def open_rows(self, connection: Connection) -> list[wire.OrderRow]:
        """Return what rests; of orders that are not there, and were sent before, forget ours."""
        before = list(self.working)
        rows, has_all = await self._rows(connection, OPEN, lambda _: False)
        if not has_all:
            raise VenueError(f"{connection.name}: more open orders than {MOST_PAGES} pages")
        rest = {str(row.cl_ord_id) for row in rows}
        for name in before:
            if name not in rest:
                self.working.pop(name, None)
        return rows

    async def tell_open(self, connection: Connection) -> int:
        """Tell what rests, and return how many orders that is."""
        rows = await self.open_rows(connection)
        for report in _reports(connection, rows):
            self.take(report)
        return len(rows)


def _reports(connection: Connection, rows: Sequence[wire.OrderRow]) -> list[ExecutionReport]:
    """Return the latest word on each order, the oldest order first."""
    latest = {row.order_id: row for row in rows}
    reports = (connection.codec.row_report(latest[order_id]) for order_id in sorted(latest))
    return [report for report in reports if report is not None]


def _made_before(row: wire.OrderRow, since_ns: int) -> bool:
    """Tell whether an order was made before a time; the venue tells whole seconds."""
    made_ns = wire.parse_time_ns(row.order_date)
    return 0 < made_ns + NS_PER_S < since_ns
