"""The way of our orders to Peatio: REST calls, and the questions about what became of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
import trio

from botkit.adapter import Outbox, Outgoing, Persistence, send_failed
from botkit.clock import Clock
from botkit.errors import (
    ConfigError,
    OrderOutcomeUnknownError,
    VenueAuthenticationError,
    VenueError,
    VenueUnreachableError,
)
from botkit.model import (
    AskListing,
    AskStatus,
    CancelOrder,
    Event,
    ExecType,
    ExecutionReport,
    Instrument,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    OrdType,
)
from botkit.ports import Deliver
from botkit.transport import Budget
from venues.peatio import wire
from venues.peatio.options import PeatioOptions
from venues.peatio.own import Own, OwnOrders
from venues.peatio.reports import CLOSED, Reports
from venues.peatio.rest import UNKNOWN_ORDER, Rest, RestRefusedError, TradingRest

__all__ = ["Desk", "Session", "Standby"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
FOLLOW_MOST_S: Final = 30.0
LOOK_BACK_NS: Final = 60 * NS_PER_S  # clocks differ, and what was told last may be late


class Session(Protocol):
    """What the desk needs of a connection."""

    rest: Rest
    reports: Reports
    clock: Clock
    traded: tuple[str, ...]

    @property
    def trading(self) -> TradingRest:
        """The calls that place and cancel."""
        ...

    def deliver(self, event: Event) -> None:
        """Deliver to the engine."""
        ...

    def taken_in(self, row: wire.OrderRow) -> list[Event]:
        """Return what the feed has told of an order before its POST was answered."""
        ...


class Standby:
    """What the desk works with while there is no connection: REST alone."""

    def __init__(
        self,
        rest: TradingRest,
        reports: Reports,
        instruments: Mapping[str, Instrument],
        deliver: Deliver,
        clock: Clock,
    ) -> None:
        self.rest: Rest = rest
        self.trading = rest
        self.reports = reports
        self.traded = tuple(instruments)
        self.deliver = deliver
        self.clock = clock

    def taken_in(self, row: wire.OrderRow) -> list[Event]:
        """Return nothing: there is no feed that could have told of it."""
        del row
        return []


class Desk:
    """One for the life of the venue: it knows our orders from one connection to the next.

    Attributes
    ----------
    session
        The connection, while it tells of our orders; new ones are sent only then.
    """

    def __init__(self, options: PeatioOptions, deliver: Deliver) -> None:
        self.own = OwnOrders()
        self.outbox = Outbox(deliver)
        self.session: Session | None = None
        self.standby: Standby | None = None
        self._deliver = deliver
        self._persistence: Persistence | None = None
        self._heard_ns = 0  # until when the feed has told everything
        self._options = options
        self.budget = Budget(
            limit=options.max_requests_per_second, window_s=1.0, reserve=options.cancel_reserve
        )

    async def serve(self, standby: Standby) -> None:
        """Send what the outbox gives until canceled; requests do not wait in line."""
        self.standby = standby
        self._persistence = Persistence(self._deliver, standby.clock.now_ns)
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    request = await self.outbox.take()
                    nursery.start_soon(self._tend, request, nursery.start_soon)
        finally:
            self.standby = None

    def line_up(self, session: Session) -> None:
        """Send new orders from now on: there is a feed that tells of them."""
        self.session = session
        self.outbox.open()
        if self._persistence is not None:
            self._persistence.wake()

    def line_down(self, reason: str, heard_ns: int) -> None:
        """Send no new orders; `heard_ns` is when the feed was last heard."""
        if self.session is not None:
            self._heard_ns = max(self._heard_ns, heard_ns)
        self.session = None
        self.outbox.close(f"not sent: {reason}")

    @property
    def _now(self) -> Session:
        """What there is now to work with."""
        session: Session | None = self.standby if self.session is None else self.session
        assert session is not None, "requests are taken while it serves"
        return session

    async def _tend(self, request: Outgoing, start_soon: Callable[..., object]) -> None:
        """Perform a request; a key that is refused ends connections, not this."""
        try:
            await self._perform(request, start_soon)
        except VenueError as exc:
            logger.warning("peatio: a request was not answered: %s", exc)

    async def _perform(self, request: Outgoing, start_soon: Callable[..., object]) -> None:
        session = self._now
        match request:
            case NewOrder():
                if await self._submit(session, request):
                    start_soon(self._follow, request)
            case CancelOrder():
                assert self._persistence is not None
                await self._persistence.see_through([request], self._cancel)
                await self._follow_cancel(request)
            case AskStatus():
                await self._answer_status(session, request)
            case AskListing():
                await self._answer_listing(session, request)
            case _:
                raise AssertionError(f"the gate lets no {type(request).__name__} pass")

    async def catch_up(self, session: Session) -> None:
        """Tell what rests, our trades since the last connection, and what rests no more."""
        for market in session.traded:
            missed: list[wire.TradeRow] = []
            if self._heard_ns:
                missed = await session.rest.fills(market, self._heard_ns - LOOK_BACK_NS)
            before = [own.order_id for own in self.own.ours() if own.symbol.endswith(f":{market}")]
            rows, is_all = await session.rest.open_orders(market)
            told = [session.reports.order(row) for row in rows]
            told += [each for trade in missed for each in session.reports.listed(trade)]
            for report in told:
                if report is not None:
                    session.deliver(report)
            gone = set(before) - {row.id for row in rows} if is_all else set()
            for order_id in sorted(gone):
                await self.tell_status(session, order_id)

    # --- new orders -------------------------------------------------------------------------

    async def _submit(self, session: Session, order: NewOrder) -> bool:
        """Send a new order and say what the venue made of it; tell whether it was taken in."""
        fate: Event = send_failed(
            order, "the link ended before the answer", reached_venue=True, now_ns=0
        )
        row: wire.OrderRow | None = None
        try:
            row = await session.trading.place(order)
        except OrderOutcomeUnknownError as exc:
            fate = send_failed(order, str(exc), reached_venue=True, now_ns=0)
        except (VenueUnreachableError, ConfigError) as exc:
            fate = send_failed(order, str(exc), reached_venue=False, now_ns=0)
        except (RestRefusedError, VenueAuthenticationError) as exc:
            fate = _rejected(order, str(exc))
        finally:
            if row is None:  # canceled as well: the request may be there then
                now_ns = session.clock.now_ns()
                session.deliver(msgspec.structs.replace(fate, receive_time_ns=now_ns))
        if row is None:
            return False
        self._tell_taken_in(session, order, row)
        return True

    def _tell_taken_in(self, session: Session, order: NewOrder, row: wire.OrderRow) -> None:
        if not row.symbol:
            row = msgspec.structs.replace(row, market=order.symbol.partition(":")[2])
        self.own.learn(
            Own(
                order_id=row.id,
                symbol=order.symbol,
                side=order.side,
                client_order_id=order.client_order_id,
                order_qty=row.qty or order.order_qty,
                price=order.price,
                keep=order.keep,
            )
        )
        report = session.reports.order(row, taken_in=True)
        events: list[Event] = [] if report is None else [report]
        for event in (*events, *session.reports.release(row.id), *session.taken_in(row)):
            session.deliver(event)

    async def _follow(self, order: NewOrder) -> None:
        """Ask about an order until the venue has said more than that it took it in.

        What is left of a market order ends without a word in the first generation, so it is
        followed to its end.
        """
        order_id = self.own.id_of(order.client_order_id)
        wait_s = self._options.check_after / NS_PER_S
        while True:
            await trio.sleep(wait_s)
            own = self.own.get(order_id)
            is_settled = own is not None and own.is_seen and order.ord_type is OrdType.LIMIT
            if own is None or not own.is_open or is_settled:
                return
            await self.tell_status(self._now, own.order_id)
            wait_s = min(2 * wait_s, FOLLOW_MOST_S)

    # --- cancels ----------------------------------------------------------------------------

    async def _cancel(self, cancels: Sequence[CancelOrder]) -> None:
        """Ask for the end of an order; raise `VenueError` if nobody knows what became of that."""
        (request,) = cancels
        session = self._now
        order_id = self._id_of(request)
        if order_id is None:
            session.deliver(
                _declined(request, session, "the venue has told no id of it", unknown_order=True)
            )
            return
        try:
            row = await session.trading.cancel(order_id)
        except RestRefusedError as exc:
            is_unknown = not UNKNOWN_ORDER.isdisjoint(exc.codes)
            session.deliver(_declined(request, session, str(exc), unknown_order=is_unknown))
            return
        report = session.reports.order(row)
        if report is None or report.ord_status not in CLOSED:
            return  # queued: the answer shows the order as it was
        await self.tell_status(session, order_id)
        text = f"the order has ended before: {row.state}"
        session.deliver(_declined(request, session, text, ord_status=report.ord_status))

    def _id_of(self, request: CancelOrder | AskStatus) -> int | None:
        told = request.venue_order_id
        if told is not None and told.isascii() and told.isdigit():
            return int(told)
        return self.own.id_of(request.client_order_id)

    async def _follow_cancel(self, request: CancelOrder) -> None:
        """Ask once about an order whose end is not told soon: a late cancel does nothing."""
        await trio.sleep(self._options.check_after / NS_PER_S)
        own = self.own.get(self._id_of(request))
        if own is not None and own.is_open and not await self.tell_status(self._now, own.order_id):
            text, now_ns = "what became of the cancel cannot be told", self._now.clock.now_ns()
            self._deliver(send_failed(request, text, reached_venue=True, now_ns=now_ns))

    # --- questions --------------------------------------------------------------------------

    async def tell_status(self, session: Session, order_id: int) -> bool:
        """Tell an order's trades and where it stands, as REST shows it; log if it does not."""
        await self.budget.wait()
        try:
            row = await session.rest.order(order_id)
            reports = session.reports.of_order(row)
        except VenueError as exc:
            logger.warning("cannot tell where order %d stands: %s", order_id, exc)
            return False
        for report in reports:
            session.deliver(report)
        return True

    async def _answer_status(self, session: Session, question: AskStatus) -> None:
        """Say where one order stands; nothing of one the venue has told no id of.

        The engine asks about its own alone: one of an earlier run is known by its name from now on.
        """
        order_id = self._id_of(question)
        if order_id is None:
            return
        await self.tell_status(session, order_id)
        known = self.own.get(order_id)
        if known is not None and known.client_order_id is None:
            self.own.learn(
                Own(
                    order_id=order_id,
                    symbol=known.symbol,
                    side=known.side,
                    client_order_id=question.client_order_id,
                )
            )

    async def _answer_listing(self, session: Session, question: AskListing) -> None:
        """Tell every open order, every one since a time that has ended, and every fill."""
        began_ns = session.clock.now_ns()
        since_ns = max(question.since_ns, began_ns - self._options.history)
        reports: list[ExecutionReport] = []
        complete = True
        try:
            for market in session.traded:
                found, is_all = await self._listed(session, market, since_ns)
                reports += found
                complete = complete and is_all
        except VenueError as exc:
            logger.warning("%s: cannot list our orders: %s", question.venue, exc)
            complete = False
        session.deliver(
            OrderListing(
                venue=question.venue,
                listing_id=question.listing_id,
                began_ns=began_ns,
                complete=complete,
                reports=tuple(reports),
                receive_time_ns=session.clock.now_ns(),
            )
        )

    async def _listed(
        self, session: Session, market: str, since_ns: int
    ) -> tuple[list[ExecutionReport], bool]:
        """Return one market's orders and then its fills; the orders tell whose the fills are."""
        rest, reports = session.rest, session.reports
        await self.budget.wait(2)
        working, is_all = await rest.open_orders(market)
        ended = await rest.closed_orders(market, since_ns)
        fills = await rest.fills(market, since_ns)
        latest = {row.id: row for row in (*working, *ended)}  # an end outdoes what was open before
        told = [reports.order(row) for row in latest.values()]
        return [
            *(each for each in told if each is not None),
            *(report for row in fills for report in reports.listed(row)),
        ], is_all


def _rejected(order: NewOrder, text: str) -> ExecutionReport:
    return ExecutionReport(
        symbol=order.symbol,
        ord_status=OrdStatus.REJECTED,
        exec_type=ExecType.REJECTED,
        client_order_id=order.client_order_id,
        side=order.side,
        order_qty=order.order_qty,
        price=order.price,
        text=text,
    )


def _declined(
    request: CancelOrder,
    session: Session,
    text: str,
    *,
    unknown_order: bool = False,
    ord_status: OrdStatus | None = None,
) -> OrderCancelReject:
    return OrderCancelReject(
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        venue_order_id=request.venue_order_id,
        ord_status=ord_status,
        unknown_order=unknown_order,
        text=text,
        receive_time_ns=session.clock.now_ns(),
    )
