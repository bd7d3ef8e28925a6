"""The way of our orders to Finery: over the connection, or by REST for cancels while it is down."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final, Protocol

import trio

from botkit.adapter import Outbox, Persistence, send_failed
from botkit.clock import Clock
from botkit.errors import VenueDisconnectedError, VenueError
from botkit.model import (
    AskListing,
    AskStatus,
    CancelOrder,
    ExecType,
    ExecutionReport,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    ReplaceOrder,
    RequestKind,
)
from botkit.ports import Deliver
from botkit.transport import WsLink
from venues.finery import wire
from venues.finery.chains import Chains
from venues.finery.codec import Codec, Notice
from venues.finery.ids import Numbers
from venues.finery.options import FineryOptions
from venues.finery.rest import RestRoad

__all__ = ["Desk", "Line"]

logger = logging.getLogger(__name__)
ZERO: Final = Decimal(0)
NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
DEALS_PER_PAGE: Final = 250
SETTLED_S: Final = 0.5  # after a deal, until what is held is asked for; between two looks
LOOK_BACK_MS: Final = 60_000  # deals may be told late


class Road(Protocol):
    """What questions are asked over: a connection, or REST."""

    codec: Codec

    async def ask(self, method: str, **content: object) -> Any:
        """Return the answer; raise `VenueError` if there is none."""
        ...


class Line(Road, Protocol):
    """What the desk needs of a connection."""

    ws: WsLink
    traded_anew: trio.Event


class Desk:
    """Takes requests for whichever road there is: one for the life of the venue.

    Attributes
    ----------
    line
        The connection, while orders can be sent over it.
    """

    def __init__(
        self, name: str, traded: Sequence[str], options: FineryOptions, deliver: Deliver
    ) -> None:
        self.numbers = Numbers()
        self.chains = Chains()
        self.outbox = Outbox(deliver)
        self.line: Line | None = None
        self._name = name
        self._traded = tuple(traded)
        self._options = options
        self._deliver = deliver
        self._persistence: Persistence | None = None
        self._rest: RestRoad | None = None
        self._heard_ms = 0  # until when deals are known

    # --- whichever road there is ------------------------------------------------------------

    async def serve(self, rest: RestRoad, clock: Clock) -> None:
        """Send what the outbox gives until canceled: cancels and questions by REST at need."""
        self._rest = rest
        self._persistence = Persistence(self._deliver, clock.now_ns)
        async with trio.open_nursery() as nursery:
            while True:
                request = await self.outbox.take()
                match request:
                    case CancelOrder():
                        through = self._persistence.see_through
                        nursery.start_soon(through, [request], self._cancel)
                    case AskStatus():
                        names = request.client_order_ids or (request.client_order_id,)
                        self.numbers.number(names[0])  # it keeps its first through every `mod`
                        nursery.start_soon(self._tell_status, request, clock)
                    case AskListing():
                        nursery.start_soon(self._tell_listing, request, clock)
                    case _:
                        await self._send(request, clock)

    async def _send(self, request: NewOrder | ReplaceOrder, clock: Clock) -> None:
        line, why, reached = self.line, "not sent: the link is down", False
        try:
            if line is not None:
                await line.ws.send(line.codec.encode(request))
                return
        except ValueError as exc:
            why = f"not sent: {exc}"
        except VenueError as exc:
            why, reached = f"perhaps sent: {exc}", True
        now_ns = clock.now_ns()
        self._deliver(send_failed(request, why, reached_venue=reached, now_ns=now_ns))

    async def _cancel(self, cancels: Sequence[CancelOrder]) -> None:
        """Send a cancel; raise `VenueError` if nobody knows what became of it."""
        (order,) = cancels
        line = self.line
        if line is not None:
            with suppress(VenueDisconnectedError):
                await line.ws.send(line.codec.encode(order))
                return
        assert self._rest is not None
        for event in await self._rest.cancel(order):
            if not isinstance(event, Notice):
                self._deliver(event)

    def line_up(self, line: Line) -> None:
        """Send over a connection from now on."""
        self.line = line
        self.outbox.open()
        if self._persistence is not None:
            self._persistence.wake()

    def line_down(self, codec: Codec, reason: str, heard_ms: int = 0) -> None:
        """Send orders no more; send those cancels anew that the connection had no reply to.

        `heard_ms` is when it was last heard.
        """
        self.line = None
        self._heard_ms = max(self._heard_ms, heard_ms)
        self.outbox.close(f"not sent: {reason}")
        for request in codec.unanswered():
            if isinstance(request, CancelOrder):
                self.outbox.put(request)

    # --- what the connection keeps up --------------------------------------------------------

    async def keep_balances(self, line: Line) -> None:
        """Ask for what is held soon after each deal, and now and then: no feed tells of it."""
        while True:
            line.traded_anew = trio.Event()
            with trio.move_on_after(self._options.balances_every / NS_PER_S):
                await line.traded_anew.wait()
            await trio.sleep(SETTLED_S)
            try:
                held: wire.Positions = await line.ask("positions")
            except VenueDisconnectedError:
                raise
            except VenueError as exc:
                logger.warning("%s: balances not told: %s", self._name, exc)
            else:
                for balance in line.codec.balances(held.positions):
                    self._deliver(balance)

    async def catch_up(self, line: Line) -> None:
        """Tell the deals since the last connection, all pages; nothing before the first one."""
        if not self._heard_ms:
            return
        since_ns = (self._heard_ms - LOOK_BACK_MS) * NS_PER_MS
        for name in self._traded:
            for deal in reversed(await self._deals(line, name, since_ns)):
                self._deliver(line.codec.deal_report(deal))

    # --- questions of the engine's ----------------------------------------------------------

    @property
    def _road(self) -> Road:
        road: Road | None = self._rest if self.line is None else self.line
        assert road is not None, "questions are taken while it serves"
        return road

    async def _tell_status(self, question: AskStatus, clock: Clock) -> None:
        """Say where one order stands: in the book, or gone with what it had filled.

        One that the venue has never acknowledged, and does not list, it does not know; which is
        no word that the order is gone, since it may still arrive. One that it had acknowledged
        has ended if it is not listed at two looks, the deals asked for after the open orders.
        """
        try:
            mine = await self._look_up(question)
            if not _rests(mine) and question.venue_order_id:
                await trio.sleep(SETTLED_S)
                mine = await self._look_up(question)
        except VenueError as exc:
            logger.warning(
                "%s: cannot tell where order %s stands: %s",
                *(question.symbol, question.client_order_id, exc),
            )
            return
        for report in mine:
            self._deliver(report)
        if not (mine or question.venue_order_id):
            self._deliver(_unknown(question, clock.now_ns()))
        elif not _rests(mine):
            self._deliver(_ended(question, mine, clock.now_ns()))

    async def _look_up(self, question: AskStatus) -> list[ExecutionReport]:
        since_ns = question.transact_time_ns - self._options.history
        reports = await self._everything(self._road, since_ns)
        return [each for each in reports if _is_about(each, question)]

    async def _tell_listing(self, question: AskListing, clock: Clock) -> None:
        """Tell every open order, of any instrument, and every fill since a time."""
        began_ns = clock.now_ns()
        try:
            reports, complete = await self._everything(self._road, question.since_ns), True
        except VenueError as exc:
            logger.warning("%s: cannot list our orders: %s", question.venue, exc)
            reports, complete = [], False
        self._deliver(
            OrderListing(
                venue=question.venue,
                listing_id=question.listing_id,
                began_ns=began_ns,
                complete=complete,
                reports=tuple(reports),
                receive_time_ns=clock.now_ns(),
            )
        )

    async def _everything(self, road: Road, since_ns: int) -> list[ExecutionReport]:
        """Return our open orders, then our fills since a time, the oldest first."""
        codec = road.codec
        held: wire.Positions = await road.ask("positions")
        resting = [codec.status_report(row) for row in held.orders if codec.trades(row.instrument)]
        fills: list[ExecutionReport] = []
        for name in self._traded:
            deals = await self._deals(road, name, since_ns)
            fills += [codec.deal_report(deal) for deal in reversed(deals)]
        return [*resting, *fills]

    async def _deals(self, road: Road, name: str, since_ns: int) -> list[wire.Deal]:
        """Return our deals of one instrument since a time, newest first, page by page."""
        found: list[wire.Deal] = []
        further: dict[str, int] = {}
        while True:
            page: list[wire.Deal] = await road.ask(
                "dealHistory",
                instrument=name,
                limit=DEALS_PER_PAGE,
                **{"from": max(0, since_ns) // NS_PER_MS},
                **further,
            )
            found += page
            if len(page) < DEALS_PER_PAGE:
                return found
            further = {"till": page[-1].deal_id}


def _rests(reports: Sequence[ExecutionReport]) -> bool:
    return any(each.exec_type is ExecType.ORDER_STATUS for each in reports)


def _ended(question: AskStatus, deals: Sequence[ExecutionReport], now_ns: int) -> ExecutionReport:
    full = any(each.ord_status is OrdStatus.FILLED for each in deals)
    return ExecutionReport(
        symbol=question.symbol,
        ord_status=OrdStatus.FILLED if full else OrdStatus.CANCELED,
        exec_type=ExecType.ORDER_STATUS,
        client_order_id=question.client_order_id,
        venue_order_id=question.venue_order_id,
        cum_qty=sum((each.last_qty for each in deals), ZERO),
        text="the venue does not list it among the open orders",
        receive_time_ns=now_ns,
    )


def _unknown(question: AskStatus, now_ns: int) -> OrderCancelReject:
    return OrderCancelReject(
        symbol=question.symbol,
        client_order_id=question.client_order_id,
        response_to=RequestKind.NEW,
        unknown_order=True,
        text="finery lists neither the order nor a deal of it",
        receive_time_ns=now_ns,
    )


def _is_about(report: ExecutionReport, question: AskStatus) -> bool:
    if question.venue_order_id is not None and report.venue_order_id == question.venue_order_id:
        return True
    names = (question.client_order_id, *question.client_order_ids)
    return report.client_order_id in names
