"""One connection to a venue under test: what it delivered, and ways to ask something of it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final, TypeVar

import attrs
import trio

from botkit.clock import Clock
from botkit.gate import Gate
from botkit.model import (
    AskListing,
    AskStatus,
    Book,
    BookDelta,
    BookSnapshot,
    CancelOrder,
    ClientOrderId,
    Event,
    ExecutionReport,
    FeedGap,
    Instrument,
    NewOrder,
    OrdStatus,
    Quote,
    Refused,
    ReplaceOrder,
    SendFailed,
    Side,
    VenueOrderId,
    VenueStatus,
)
from botkit.orders import ClientOrderIds, Orders
from botkit.ports import RiskContext, Venue

__all__ = ["OpenVenue", "Session", "VenueUnderTest", "open_session"]

E = TypeVar("E")
TOLD: Final = 8  # events shown when one is missing


@attrs.frozen(kw_only=True)
class VenueUnderTest:
    """A venue, not running yet, and what is needed to try it.

    Parameters
    ----------
    symbol
        The instrument to trade; its feed must show both sides of the book.
    qty
        What to order: above every least size, and there must be money for ten times as much.
    away
        How far from the market an order rests untouched, as a fraction of the price.
    answer_s
        How long an answer may take, in seconds of trio's clock.
    quiet_s
        How long to listen for what must not come.
    trade
        Makes a stranger trade `(side, price, qty)` at the venue: `side` is the stranger's. The
        checks of resting orders that fill are skipped without it.
    waived
        Cases not run, by name, with the reason: what the venue is documented not to do.
    """

    venue: Venue
    clock: Clock
    symbol: str
    qty: Decimal
    away: Decimal = Decimal("0.1")
    answer_s: float = 5.0
    quiet_s: float = 2.0
    trade: Callable[[Side, Decimal, Decimal], Awaitable[None]] | None = None
    waived: Mapping[str, str] = attrs.field(factory=dict)


OpenVenue = Callable[[], AbstractAsyncContextManager[VenueUnderTest]]


class Session:
    """What a case works with: events as they came, requests, and waits with deadlines."""

    def __init__(self, subject: VenueUnderTest, instrument: Instrument, case: str) -> None:
        self.subject = subject
        self.venue = subject.venue
        self.capabilities = subject.venue.capabilities
        self.instrument = instrument
        self.events: list[Event] = []
        self.book = Book(instrument.symbol)
        self.link = trio.CancelScope()
        self.link_down = trio.Event()
        self._news = trio.Event()
        self._gate = Gate([], {self.venue.name: self.capabilities})
        self._orders = Orders(capabilities={self.venue.name: self.capabilities})
        self._ids = ClientOrderIds("check", f"{case}{subject.clock.now_ns()}")

    # --- the link ---------------------------------------------------------------------------

    async def serve(self) -> None:
        """Run the venue until `disconnect`, or until the case is over."""
        self.link, self.link_down = trio.CancelScope(), trio.Event()
        try:
            with self.link:
                await self.venue.run(self.deliver, self.subject.clock)
            if not self.link.cancel_called:
                raise AssertionError("run() returned without having been canceled")
        finally:
            self.link_down.set()

    async def disconnect(self) -> None:
        """Cancel the venue's `run` and wait for its end."""
        self.link.cancel()
        with self._deadline("run() did not end when it was canceled"):
            await self.link_down.wait()

    def deliver(self, event: Event) -> None:
        """Take one event of the venue's."""
        self.events.append(event)
        match event:
            case Quote() | BookSnapshot() | BookDelta() if event.symbol == self.book.symbol:
                self.book.apply(event)
            case FeedGap():
                self.book.clear()
            case _:
                pass
        self._news.set()
        self._news = trio.Event()

    # --- waiting ----------------------------------------------------------------------------

    async def expect(
        self, kind: type[E], what: str, holds: Callable[[E], bool] = lambda _: True, since: int = 0
    ) -> E:
        """Return the first event of `kind`, from index `since` on, for which `holds`."""
        found: E | None = None
        seen = since
        with self._deadline(f"no {what}", since):
            while found is None:
                news = (each for each in self.events[seen:] if isinstance(each, kind))
                found = next((each for each in news if holds(each)), None)
                seen = len(self.events)
                if found is None:
                    await self._news.wait()
        assert found is not None
        return found

    async def quiet(self) -> None:
        """Let the time pass in which something that must not come would come."""
        await trio.sleep(self.subject.quiet_s)

    @contextmanager
    def _deadline(self, fault: str, since: int = 0) -> Iterator[None]:
        """Turn a wait longer than `answer_s` into a failure that tells what came instead."""
        answer_s = self.subject.answer_s
        with trio.move_on_after(answer_s) as scope:
            yield
        if scope.cancelled_caught:
            raise AssertionError(f"{fault} within {answer_s:g} s; heard: {self.told(since)}")

    def told(self, since: int) -> str:
        """Return the last events that are not market data, for a message."""
        quiet = Quote | BookSnapshot | BookDelta
        heard = [each for each in self.events[since:] if not isinstance(each, quiet)]
        return "; ".join(map(repr, heard[-TOLD:])) or "nothing but market data"

    # --- prices -----------------------------------------------------------------------------

    async def touch(self) -> tuple[float, float]:
        """Return the best bid and ask once both are there."""
        with self._deadline("no book with both sides"):
            while not self.book.bid < self.book.ask:
                await self._news.wait()
        return self.book.bid, self.book.ask

    async def far_price(self, side: Side) -> Decimal:
        """Return a price at which an order of `side` rests untouched."""
        bid, ask = await self.touch()
        if side is Side.BUY:
            return self._on_grid(Decimal(repr(bid)) * (1 - self.subject.away), ROUND_FLOOR)
        return self._on_grid(Decimal(repr(ask)) * (1 + self.subject.away), ROUND_CEILING)

    async def crossing_price(self, side: Side) -> Decimal:
        """Return a price at which an order of `side` trades at once."""
        return await self.far_price(side.opposite)

    def _on_grid(self, price: Decimal, rounding: str) -> Decimal:
        tick = self.instrument.tick_size
        return (price / tick).to_integral_value(rounding) * tick

    # --- requests ---------------------------------------------------------------------------

    async def rest(self, side: Side = Side.BUY, **terms: Any) -> NewOrder:
        """Send a limit order far from the market and return it once it works."""
        order = self.submit(side, price=await self.far_price(side), **terms)
        await self.status(order, "NEW report", OrdStatus.NEW)
        return order

    def submit(self, side: Side, **terms: Any) -> NewOrder:
        """Send an order through a gate without rules; return it."""
        now_ns = self.subject.clock.now_ns()
        order = NewOrder(
            client_order_id=self._ids.next(),
            symbol=self.instrument.symbol,
            strategy="check",
            side=side,
            transact_time_ns=now_ns,
            **{"order_qty": self.subject.qty, **terms},
        )
        approved = self._gate.approve_new(order, self._context(now_ns))
        assert not isinstance(approved, Refused), f"the gate refuses: {approved.text}"
        self.venue.submit(approved)
        return order

    def replace(self, order: NewOrder, price: Decimal, qty: Decimal) -> ReplaceOrder:
        """Send a replace of `order`; return it."""
        now_ns = self.subject.clock.now_ns()
        request = ReplaceOrder(
            client_order_id=self._ids.next(),
            orig_client_order_id=order.client_order_id,
            symbol=order.symbol,
            strategy="check",
            side=order.side,
            order_qty=qty,
            price=price,
            venue_order_id=self.venue_id(order),
            transact_time_ns=now_ns,
        )
        approved = self._gate.approve_replace(request, self._context(now_ns))
        assert not isinstance(approved, Refused), f"the gate refuses: {approved.text}"
        self.venue.replace(approved)
        return request

    def cancel(self, order: NewOrder) -> None:
        """Send a cancel of `order`."""
        self.cancel_by(order.client_order_id, self.venue_id(order), order.side)

    def cancel_by(
        self, name: ClientOrderId, venue_id: VenueOrderId | None, side: Side = Side.BUY
    ) -> None:
        """Send a cancel of the order with these ids."""
        self.venue.cancel(
            CancelOrder(
                client_order_id=name,
                symbol=self.instrument.symbol,
                venue_order_id=venue_id,
                side=side,
                transact_time_ns=self.subject.clock.now_ns(),
            )
        )

    def unknown_id(self) -> ClientOrderId:
        """Return an id no order has."""
        return self._ids.next()

    def ask_status(self, order: NewOrder) -> None:
        """Ask where `order` stands."""
        self.venue.ask(
            AskStatus(
                client_order_id=order.client_order_id,
                symbol=order.symbol,
                venue_order_id=self.venue_id(order),
                transact_time_ns=self.subject.clock.now_ns(),
            )
        )

    def ask_listing(self, listing_id: int) -> None:
        """Ask for all our orders."""
        self.venue.ask(
            AskListing(
                venue=self.venue.name,
                listing_id=listing_id,
                transact_time_ns=self.subject.clock.now_ns(),
            )
        )

    def _context(self, now_ns: int) -> RiskContext:
        return RiskContext(
            instrument=self.instrument,
            bid_px=self.book.bid,
            ask_px=self.book.ask,
            now_ns=now_ns,
            workload=self._orders,
            position=lambda _: Decimal(0),
        )

    # --- answers ----------------------------------------------------------------------------

    def is_about(self, report: ExecutionReport, order: NewOrder) -> bool:
        """Tell whether `report` names `order`; by its terms where the venue takes no names."""
        if self.capabilities.client_order_ids:
            return report.client_order_id == order.client_order_id
        return (report.side, report.price, report.order_qty) == (
            order.side,
            order.price,
            order.order_qty,
        )

    def reports(self, order: NewOrder) -> list[ExecutionReport]:
        """Return what the venue has said of `order` so far."""
        ids = {r.venue_order_id for r in self._all_reports() if self.is_about(r, order)} - {None}
        return [
            report
            for report in self._all_reports()
            if self.is_about(report, order) or report.venue_order_id in ids
        ]

    def _all_reports(self) -> Iterator[ExecutionReport]:
        return (each for each in self.events if isinstance(each, ExecutionReport))

    def venue_id(self, order: NewOrder) -> VenueOrderId | None:
        """Return the venue's id of `order`, if it has told one."""
        ids = (report.venue_order_id for report in self.reports(order))
        return next((each for each in ids if each is not None), None)

    async def status(self, order: NewOrder, what: str, *wanted: OrdStatus) -> ExecutionReport:
        """Return the first report that says `order` is in one of the statuses `wanted`."""
        found: ExecutionReport | None = None
        with self._deadline(f"no {what} of order {order.client_order_id}"):
            while found is None:
                reports = self.reports(order)
                found = next((each for each in reports if each.ord_status in wanted), None)
                if found is None:
                    self._fail_if_refused(order, wanted)
                    await self._news.wait()
        assert found is not None
        return found

    def _fail_if_refused(self, order: NewOrder, wanted: tuple[OrdStatus, ...]) -> None:
        """Raise at once if the venue has refused what was to work."""
        for event in self.events:
            failed = (
                isinstance(event, SendFailed) and event.client_order_id == order.client_order_id
            )
            assert not failed, f"it was not sent: {event!r}"
        for report in self.reports(order):
            if report.ord_status is OrdStatus.REJECTED and OrdStatus.REJECTED not in wanted:
                raise AssertionError(
                    f"{order.ord_type} {order.time_in_force} order {order.client_order_id} "
                    f"({order.order_qty} at {order.price}) was REJECTED: {report.text}"
                )


@asynccontextmanager
async def open_session(subject: VenueUnderTest, case: str) -> AsyncIterator[Session]:
    """Prepare the venue, connect, and yield the session once the venue says it is up."""
    await subject.venue.prepare()
    instrument = subject.venue.instruments[subject.symbol]
    session = Session(subject, instrument, case)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.serve)
        await session.expect(VenueStatus, "VenueStatus that is up", lambda status: status.up)
        yield session
        nursery.cancel_scope.cancel()
