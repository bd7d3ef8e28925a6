"""Finery's connections: market data alone, or with orders."""

import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from botkit.adapter import Network, Outbox, Readiness, send_failed
from botkit.clock import Clock
from botkit.config import structure
from botkit.errors import (
    HandshakeRefusedError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
)
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    CancelOrder,
    Event,
    ExecType,
    ExecutionReport,
    FeedGap,
    FillSource,
    Instrument,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    RequestKind,
    TimeInForce,
)
from botkit.ports import Capabilities, Deliver, FeeSchedule, VenueSetup
from botkit.transport import Budget, WsLink, open_http, open_ws
from venues.finery import wire
from venues.finery.chains import Chains
from venues.finery.codec import (
    Answered,
    Bound,
    Codec,
    Failed,
    GatewayStatus,
    Notice,
    encode_bind,
)
from venues.finery.ids import Numbers
from venues.finery.options import FineryOptions, build_instruments
from venues.finery.wire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FineryMarketData", "FineryVenue"]

logger = logging.getLogger(__name__)
ZERO: Final = Decimal(0)
NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
DEALS_PER_PAGE: Final = 250
SETTLED_S: Final = 0.5  # after a deal, until what is held is asked for
REFUSED: Final = frozenset({ErrorCode.NONCE_OR_SIGNATURE, ErrorCode.TIMESTAMP})
Feed = tuple[str, str]  # letter, and what it is of ("" for none)

_error = msgspec.json.Decoder(wire.Reply).decode
_instruments = msgspec.json.Decoder(wire.Instruments).decode


class FineryMarketData:
    """Finery's books and nothing else: it has no way to send an order.

    The venue has no data without a key, so even this signs in. Implements
    `botkit.adapter.MarketDataVenue`.
    """

    Options = FineryOptions

    def __init__(self, setup: VenueSetup) -> None:
        self.name = setup.name
        self.options = structure(FineryOptions, setup.options, setup.source)
        self.fees: FeeSchedule = self.options.fees
        self.instruments: Mapping[str, Instrument] = {}
        self.keeps_orders = True
        self.network = Network()
        self.capabilities = Capabilities(
            client_order_ids=True,
            fill_source=FillSource.EXECUTIONS,
            replace=True,
            replace_atomic=False,  # not proven
            cancel_on_disconnect=self.options.on_disconnect == "cancel",
            rest_cancel=False,  # the client order id would do, but cod makes it needless
            account_wide_cancel=False,
            shows_own_orders=True,
            post_only=True,
            ord_types=frozenset({OrdType.LIMIT, OrdType.MARKET}),
            times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        )
        self._setup = setup
        self._last_nonce = 0

    async def prepare(self) -> None:
        """Fetch the venue's list of instruments.

        Raises
        ------
        ConfigError
            It lacks one that a strategy trades.
        """
        listed = await self.call("instruments")
        self.instruments = build_instruments(
            wire.parse(_instruments, listed, "instruments"),
            self.options,
            self._setup.symbols,
            f"{self._setup.source}: instruments",
        )

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection's books until canceled."""
        await self._serve(deliver, clock)

    # --- connecting -------------------------------------------------------------------------

    def _nonce(self) -> int:
        self._last_nonce = max(self._last_nonce + 1, self._setup.now_ns())
        return self._last_nonce

    async def call(self, method: str, **parameters: object) -> bytes:
        """Return the body of a REST call's answer.

        Raises
        ------
        VenueAuthenticationError
            The key or signature was not accepted.
        VenueError
            Another error, or no answer.
        """
        options = self.options
        now_ms = self._setup.now_ns() // NS_PER_MS
        content = {"nonce": self._nonce(), "timestamp": now_ms, **parameters}
        body = msgspec.json.encode(content)
        headers = wire.rest_headers(
            options.key.reveal(), options.secret.reveal(), method=method, body=body.decode()
        )
        network = self.network
        async with open_http(
            options.rest_url, ssl_context=network.ssl_context, dial=network.dial
        ) as http:
            reply = await http.request(
                "POST",
                method,
                headers=headers,
                content=body,
                deadline_s=options.connect_within / NS_PER_S,
            )
        if not reply.ok:
            raise _refusal(f"{method} was answered {reply.status}", reply.body)
        return reply.body

    async def _serve(self, deliver: Deliver, clock: Clock, desk: "_Desk | None" = None) -> None:
        """Connect, bind the books, with `desk` our orders too, and serve until the end."""
        options, network = self.options, self.network
        deliver(FeedGap(self.name, reason="connecting", receive_time_ns=clock.now_ns()))
        readiness = Readiness(self.name, deliver, clock.now_ns)
        readiness.tell("connecting")
        try:
            async with open_ws(
                options.url,
                connect_timeout_s=options.connect_within / NS_PER_S,
                headers=wire.handshake_headers(
                    options.key.reveal(),
                    options.secret.reveal(),
                    nonce=self._nonce(),
                    timestamp_ms=self._setup.now_ns() // NS_PER_MS,
                ),
                ssl_context=network.ssl_context,
                dial=network.dial,
            ) as ws:
                await Connection(
                    self, ws, readiness, clock=clock, deliver=deliver, desk=desk
                ).serve()
        except HandshakeRefusedError as exc:
            raise _refusal(str(exc), exc.body) from exc
        finally:
            readiness.lost("the connection has ended")
            if desk is not None:
                desk.outbox.close()

    def books(self) -> tuple[Feed, ...]:
        """Return the feeds of the books that are traded."""
        names = (symbol.partition(":")[2] for symbol in self._setup.symbols)
        return tuple((self.options.book, name) for name in dict.fromkeys(names))


class Connection:
    """One connection to Finery: its feeds, its heartbeat, and the questions it asks."""

    def __init__(
        self,
        venue: FineryMarketData,
        ws: WsLink,
        readiness: Readiness,
        *,
        deliver: Deliver,
        clock: Clock,
        desk: "_Desk | None",
    ) -> None:
        self.ws = ws
        self.clock = clock
        self.deliver = deliver
        self.traded_anew = trio.Event()
        self.name = venue.name
        self.traded = tuple(name for _, name in venue.books())
        self.readiness = readiness
        self.codec = Codec(
            venue.name,
            {each.name: each for each in venue.instruments.values()},
            Numbers() if desk is None else desk.numbers,
            Chains() if desk is None else desk.chains,
            clock.now_ns,
            fee_is_delta=venue.options.delta == "fee",
        )
        self._venue = venue
        self._desk = desk
        self._feeds = (*venue.books(), *(() if desk is None else (("P", ""),)))
        self._unbound: set[Feed] = set()
        self._has_bound = False
        self._answers: dict[int, _Answer] = {}
        self._gateway_up = trio.Event()
        self._notices: Mapping[type, Callable[[Any], None]] = {
            GatewayStatus: self._on_gateway,
            Bound: self._on_bound,
            Failed: self._on_failed,
            Answered: self._on_answer,
        }

    async def serve(self) -> None:
        """Read, and send what the desk takes, until the connection ends."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._beat)
                nursery.start_soon(self._bind)
                if self._desk is not None:
                    nursery.start_soon(self._desk.serve, self)
                await self._read()
        except* VenueError as group:
            raise _first(group) from None

    async def _read(self) -> None:
        decode, deliver, notices = self.codec.decode, self.deliver, self._notices
        while True:
            for frame in await self.ws.receive_batch():
                for event in decode(frame):
                    if isinstance(event, Notice):
                        notices[event.__class__](event)
                    else:
                        deliver(event)
                        if isinstance(event, ExecutionReport) and event.last_qty:
                            self.traded_anew.set()

    async def _beat(self) -> None:
        options = self._venue.options
        while True:
            await trio.sleep(options.ping_every / NS_PER_S)
            await self.ws.ping(options.pong_within / NS_PER_S)

    # --- feeds ------------------------------------------------------------------------------

    async def _bind(self) -> None:
        """Bind every feed whenever the gateway has come up."""
        while True:
            await self._gateway_up.wait()
            self._gateway_up = trio.Event()
            if self._has_bound:
                for feed, feed_id in self._feeds:
                    await self.ws.send(encode_bind(feed, feed_id or None, event="unbind"))
            self._unbound, self._has_bound = set(self._feeds), True
            for feed, feed_id in self._feeds:
                await self.ws.send(encode_bind(feed, feed_id or None))

    def _on_gateway(self, status: GatewayStatus) -> None:
        if status.code == ErrorCode.OK:
            if self._has_bound:
                gap = FeedGap(
                    self._venue.name,
                    reason="the gateway was cut off from the exchange",
                    receive_time_ns=self.clock.now_ns(),
                )
                self.deliver(gap)
            self._gateway_up.set()
        else:
            reason = f"the gateway is cut off from the exchange: error {status.code}"
            self.readiness.lost(reason)
            if self._desk is not None:
                self._desk.outbox.close(f"not sent: {reason}")

    def _on_bound(self, bound: Bound) -> None:
        self._unbound.discard((bound.feed, bound.feed_id))
        books = {feed for feed in self._unbound if feed[1]}
        others = self._unbound - books
        trades = self._desk is not None and not others
        if trades and self._desk is not None:
            self._desk.outbox.open()
        self.readiness.tell("connected", market_data=not books, private=trades, order_entry=trades)

    def _on_failed(self, failed: Failed) -> None:
        if failed.code == ErrorCode.NOT_BOUND:
            return  # unbinding what the venue had forgotten itself
        what = f"{failed.feed} {failed.feed_id}".rstrip()
        raise VenueProtocolError(f"{self._venue.name}: feed {what} not bound: error {failed.code}")

    # --- questions --------------------------------------------------------------------------

    async def ask(self, method: str, **content: object) -> Any:
        """Return the answer to a question.

        Raises
        ------
        VenueError
            The venue answered by an error code, or not in time.
        """
        req_id, frame = self.codec.ask(method, content)
        answer = self._answers[req_id] = _Answer()
        try:
            await self.ws.send(frame)
            with trio.fail_after(self._venue.options.answer_within / NS_PER_S):
                await answer.come.wait()
        except trio.TooSlowError:
            raise VenueError(f"{self._venue.name}: {method} was not answered in time") from None
        finally:
            del self._answers[req_id]
        if answer.error:
            raise VenueError(f"{self._venue.name}: {method} was answered error {answer.error}")
        return answer.value

    def _on_answer(self, answered: Answered) -> None:
        answer = self._answers.get(answered.req_id)
        if answer is not None:
            answer.value, answer.error = answered.value, answered.error
            answer.come.set()


class _Answer:
    """What a question waits for."""

    def __init__(self) -> None:
        self.come = trio.Event()
        self.value: Any = None
        self.error = 0


class _Desk:
    """The way of orders to a connection, whichever there is: one for the life of the venue."""

    def __init__(self, options: FineryOptions, deliver: Deliver) -> None:
        self.numbers = Numbers()
        self.chains = Chains()
        self.outbox = Outbox(deliver)
        self._options = options

    async def serve(self, connection: Connection) -> None:
        """Send what the outbox gives, over `connection`, until it ends."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_balances, connection)
            while True:
                request = await self.outbox.take()
                if isinstance(request, AskStatus):
                    self.numbers.number(request.client_order_id)
                    nursery.start_soon(self._tell_status, connection, request)
                elif isinstance(request, AskListing):
                    nursery.start_soon(self._tell_listing, connection, request)
                else:
                    await self._send(connection, request)

    async def _send(
        self, connection: Connection, request: NewOrder | ReplaceOrder | CancelOrder
    ) -> None:
        try:
            frame = connection.codec.encode(request)
        except ValueError as exc:
            connection.deliver(
                send_failed(
                    request,
                    f"not sent: {exc}",
                    reached_venue=False,
                    now_ns=connection.clock.now_ns(),
                )
            )
        else:
            await connection.ws.send(frame)

    async def _keep_balances(self, connection: Connection) -> None:
        """Ask for what is held soon after each deal, and now and then: no feed tells of it."""
        while True:
            connection.traded_anew = trio.Event()
            with trio.move_on_after(self._options.balances_every / NS_PER_S):
                await connection.traded_anew.wait()
            await trio.sleep(SETTLED_S)
            try:
                held: wire.Positions = await connection.ask("positions")
            except VenueDisconnectedError:
                raise
            except VenueError as exc:
                logger.warning("%s: balances not told: %s", connection.name, exc)
            else:
                for balance in connection.codec.balances(held.positions):
                    connection.deliver(balance)

    # --- questions of the engine's ----------------------------------------------------------

    async def _tell_status(self, connection: Connection, question: AskStatus) -> None:
        """Say where one order stands: in the book, or gone with what it had filled.

        One that the venue has never acknowledged, and does not list, it does not know; which is
        no word that the order is gone, since it may still arrive.
        """
        since_ns = question.transact_time_ns - self._options.history
        try:
            reports = await self._everything(connection, since_ns)
        except VenueError as exc:
            logger.warning(
                "%s: cannot tell where order %s stands: %s",
                *(question.symbol, question.client_order_id, exc),
            )
            return
        mine = [each for each in reports if _is_about(each, question)]
        for report in mine:
            connection.deliver(report)
        if not (mine or question.venue_order_id):
            connection.deliver(_unknown(question, connection.clock.now_ns()))
            return
        if any(each.exec_type is ExecType.ORDER_STATUS for each in mine):
            return  # it rests
        full = any(each.ord_status is OrdStatus.FILLED for each in mine)
        connection.deliver(
            ExecutionReport(
                symbol=question.symbol,
                ord_status=OrdStatus.FILLED if full else OrdStatus.CANCELED,
                exec_type=ExecType.ORDER_STATUS,
                client_order_id=question.client_order_id,
                venue_order_id=question.venue_order_id,
                cum_qty=sum((each.last_qty for each in mine), ZERO),
                text="the venue does not list it among the open orders",
                receive_time_ns=connection.clock.now_ns(),
            )
        )

    async def _tell_listing(self, connection: Connection, question: AskListing) -> None:
        """Tell every open order and every fill since a time."""
        began_ns = connection.clock.now_ns()
        try:
            reports, complete = await self._everything(connection, question.since_ns), True
        except VenueError:
            reports, complete = [], False
        connection.deliver(
            OrderListing(
                venue=question.venue,
                listing_id=question.listing_id,
                began_ns=began_ns,
                complete=complete,
                reports=tuple(reports),
                receive_time_ns=connection.clock.now_ns(),
            )
        )

    async def _everything(self, connection: Connection, since_ns: int) -> list[ExecutionReport]:
        """Return our open orders, then our fills since a time, the oldest first."""
        codec, traded = connection.codec, connection.traded
        held: wire.Positions = await connection.ask("positions")
        resting = [codec.status_report(row) for row in held.orders if row.instrument in traded]
        fills: list[ExecutionReport] = []
        for name in traded:
            deals = await self._deals(connection, name, since_ns)
            fills += [codec.deal_report(deal) for deal in reversed(deals)]
        return [*resting, *fills]

    async def _deals(self, connection: Connection, name: str, since_ns: int) -> list[wire.Deal]:
        """Return our deals of one instrument since a time, newest first, page by page."""
        found: list[wire.Deal] = []
        further: dict[str, int] = {}
        while True:
            page: list[wire.Deal] = await connection.ask(
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


class FineryVenue(FineryMarketData):
    """Finery Markets over one WebSocket, its cancel-on-disconnect asked for.

    Implements `botkit.ports.Venue`.
    """

    def __init__(self, setup: VenueSetup) -> None:
        super().__init__(setup)
        self._desk = _Desk(self.options, self._tell)
        self._deliver: Deliver | None = None
        limit = self.options.max_requests_per_second
        self._budget = Budget(limit=limit, window_s=1.0, reserve=limit // 5)

    @classmethod
    def from_setup(cls, setup: VenueSetup) -> "FineryVenue":
        """Build from the config."""
        return cls(setup)

    @classmethod
    def market_data(cls, setup: VenueSetup) -> FineryMarketData:
        """Build what a dry run may have of the venue."""
        return FineryMarketData(setup)

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection until canceled."""
        self._deliver = deliver
        await self._serve(deliver, clock, self._desk)

    def _tell(self, event: Event) -> None:
        assert self._deliver is not None, "no request comes before `run`"
        self._deliver(event)

    def submit(self, order: Approved[NewOrder]) -> None:
        """Send a new order, or say that the venue's rate would not allow it."""
        self._send_within_rate(order.request)

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        """Send a replace, or say that the venue's rate would not allow it."""
        self._send_within_rate(order.request)

    def _send_within_rate(self, request: NewOrder | ReplaceOrder) -> None:
        if self._budget.take():
            self._desk.outbox.put(request)
            return
        limit = self.options.max_requests_per_second
        text = f"not sent: more than {limit} requests a second, less those kept for cancels"
        self._tell(send_failed(request, text, reached_venue=False, now_ns=request.transact_time_ns))

    def cancel(self, order: CancelOrder) -> None:
        """Send a cancel, ahead of everything that waits."""
        self._budget.take(urgent=True)  # counted where it can be, sent in any case
        self._desk.outbox.put(order)

    def ask(self, question: AskStatus | AskListing) -> None:
        """Look an order, or all of ours, up."""
        self._desk.outbox.put(question)


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
    return report.client_order_id == question.client_order_id


def _refusal(what: str, body: bytes) -> VenueError:
    """Return the error for a refusal whose body names the code."""
    try:
        code = _error(body).error or 0
    except msgspec.MsgspecError:
        code = 0
    if code in REFUSED:
        why = "nonce or signature" if code == ErrorCode.NONCE_OR_SIGNATURE else "timestamp"
        return VenueAuthenticationError(
            f"finery: {what}: error {code}, {why} not accepted: look at key, secret and clock"
        )
    return VenueDisconnectedError(f"finery: {what}: error {code}")


def _first(group: BaseExceptionGroup[VenueError]) -> BaseException:
    """Return the first of what went wrong."""
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
