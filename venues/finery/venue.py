"""Finery's connections: market data alone, or with orders."""

import logging
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from botkit.adapter import Network, Readiness, attended, first_of, send_failed
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
    ExecutionReport,
    FeedGap,
    FillSource,
    Instrument,
    NewOrder,
    OrdType,
    ReplaceOrder,
    TimeInForce,
)
from botkit.ports import Capabilities, Deliver, FeeSchedule, Liveness, VenueSetup
from botkit.transport import Budget, HttpLink, WsLink, open_http, open_ws
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
from venues.finery.desk import Desk
from venues.finery.ids import Numbers
from venues.finery.liveness import liveness
from venues.finery.options import FineryOptions, build_instruments
from venues.finery.rest import Rest, RestRoad, refusal
from venues.finery.wire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FineryMarketData", "FineryVenue"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
Feed = tuple[str, str]  # letter, and what it is of ("" for none)

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
            cancel_on_disconnect=setup.on_disconnect == "cancel",
            rest_cancel=True,
            account_wide_cancel=False,
            shows_own_orders=True,
            post_only=True,
            ord_types=frozenset({OrdType.LIMIT, OrdType.MARKET}),
            times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        )
        self._setup = setup
        self._rest = Rest(self.options, setup.now_ns)
        self._by_number: Mapping[str, str] = {}  # of instruments
        self._was_connected = False

    async def prepare(self) -> None:
        """Fetch the venue's list of instruments.

        Raises
        ------
        ConfigError
            It lacks one that a strategy trades.
        """
        listed = wire.parse(_instruments, await self.call("instruments"), "instruments")
        self._by_number = {str(row.instrument_id): row.name for row in listed.instruments}
        self.instruments = build_instruments(
            listed,
            self.options,
            self._setup.symbols,
            f"{self._setup.source}: instruments",
        )

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection's books until canceled."""
        await self._serve(deliver, clock)

    # --- connecting -------------------------------------------------------------------------

    def _open_http(self) -> AbstractAsyncContextManager[HttpLink]:
        network = self.network
        return open_http(self.options.rest_url, ssl_context=network.ssl_context, dial=network.dial)

    async def call(self, method: str, **parameters: object) -> bytes:
        """Return the body of a REST call's answer.

        Raises
        ------
        VenueAuthenticationError
            The key or signature was not accepted.
        VenueError
            Another error, or no answer.
        """
        async with self._open_http() as http:
            return await self._rest.call(
                http, method, parameters, within_ns=self.options.connect_within
            )

    async def _serve(self, deliver: Deliver, clock: Clock, desk: Desk | None = None) -> None:
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
                    nonce=self._rest.nonce(),
                    timestamp_ms=self._setup.now_ns() // NS_PER_MS,
                ),
                ssl_context=network.ssl_context,
                dial=network.dial,
            ) as ws:
                self._was_connected = True
                await Connection(
                    self, ws, readiness, clock=clock, deliver=deliver, desk=desk
                ).serve()
        except HandshakeRefusedError as exc:
            raise self._refusal(exc) from exc

    def _refusal(self, exc: HandshakeRefusedError) -> VenueError:
        """Return what a refused handshake means; a key that was taken before is no bad key."""
        refused = refusal(str(exc), exc.body)
        if self._was_connected and isinstance(refused, VenueAuthenticationError):
            return VenueDisconnectedError(str(refused))
        return refused

    def liveness(self) -> Liveness:
        """Return how soon what dies is noticed, and how soon orders can be ended."""
        return liveness(self.options, asks=self.capabilities.cancel_on_disconnect)

    def codec(self, clock: Clock, desk: Desk | None) -> Codec:
        """Return what reads and writes the frames of one connection."""
        return Codec(
            self.name,
            {each.name: each for each in self.instruments.values()},
            Numbers() if desk is None else desk.numbers,
            Chains() if desk is None else desk.chains,
            clock.now_ns,
            fee_is_delta=self.options.delta == "fee",
            cod=self.capabilities.cancel_on_disconnect,
            by_number=self._by_number,
        )

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
        desk: Desk | None,
    ) -> None:
        self.ws = ws
        self.clock = clock
        self.deliver = deliver
        self.traded_anew = trio.Event()
        self.name = venue.name
        self.traded = tuple(name for _, name in venue.books())
        self.readiness = readiness
        self.codec = venue.codec(clock, desk)
        self._venue = venue
        self._desk = desk
        self._feeds = (*venue.books(), *(() if desk is None else (("P", ""),)))
        self._unbound: set[Feed] = set()
        self._has_bound = False
        self._private_up = trio.Event()
        self._losses = 0
        self._answers: dict[int, _Answer] = {}
        self._gateway_up = trio.Event()
        self._notices: Mapping[type, Callable[[Any], None]] = {
            GatewayStatus: self._on_gateway,
            Bound: self._on_bound,
            Failed: self._on_failed,
            Answered: self._on_answer,
        }

    async def serve(self) -> None:
        """Read, and let the desk send, until the connection ends; that is told at once."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._beat)
                nursery.start_soon(self._bind)
                if self._desk is not None:
                    nursery.start_soon(self._trade, self._desk)
                    nursery.start_soon(self._desk.keep_balances, self)
                await self._read()
        except* VenueError as group:
            raise first_of(group) from None
        finally:  # before the link is closed, which may take a while
            self._lose("the connection has ended")
            for answer in self._answers.values():
                answer.come.set()  # it will not

    async def _trade(self, desk: Desk) -> None:
        """Whenever our orders have been told, tell what else was missed; then let orders pass."""
        while True:
            await self._private_up.wait()
            self._private_up, losses = trio.Event(), self._losses
            await desk.catch_up(self)
            if losses == self._losses:  # not cut off from the exchange meanwhile
                desk.line_up(self)
                self.readiness.tell("connected", private=True, order_entry=True)

    def _lose(self, reason: str) -> None:
        self._losses += 1
        if self._desk is not None:
            heard_ns = self.clock.now_ns() - round(self.ws.idle_s * NS_PER_S)
            self._desk.line_down(self.codec, reason, heard_ns // NS_PER_MS)
        self.readiness.lost(reason)

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
            self._lose(f"the gateway is cut off from the exchange: error {status.code}")

    def _on_bound(self, bound: Bound) -> None:
        self._unbound.discard((bound.feed, bound.feed_id))
        books = {feed for feed in self._unbound if feed[1]}
        others = self._unbound - books
        self.readiness.tell("connected", market_data=not books)
        if bound.feed == "P" and not others:
            self._private_up.set()

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
        if answer.error is None:
            raise VenueDisconnectedError(f"{self._venue.name}: {method} had no answer at the end")
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
        self.error: int | None = None  # 0: there is none


class FineryVenue(FineryMarketData):
    """Finery Markets over one WebSocket, its cancel-on-disconnect asked for.

    Implements `botkit.ports.Venue`.
    """

    def __init__(self, setup: VenueSetup) -> None:
        super().__init__(setup)
        traded = [name for _, name in self.books()]
        self._desk = Desk(self.name, traded, self.options, self._tell)
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
        serve = partial(self._serve, deliver, clock, self._desk)
        await attended(self, self._desk.outbox, serve, deliver, clock)

    async def stand_by(self, deliver: Deliver, clock: Clock) -> None:
        """Send cancels and answer questions until canceled, by REST while there is no link."""
        self._deliver = deliver
        with self._desk.outbox.standing_by():
            async with self._open_http() as http:
                codec = self.codec(clock, self._desk)
                road = RestRoad(self._rest, http, codec, self.options)
                await self._desk.serve(road, clock)

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
