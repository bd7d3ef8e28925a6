"""DigiFinex's connections: market data alone, or with orders."""

import itertools
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from botkit.adapter import Network, Readiness, attended, first_of
from botkit.clock import Clock
from botkit.config import structure
from botkit.errors import (
    ConfigError,
    FeedStaleError,
    InvariantError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
)
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    CancelOrder,
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
from botkit.transport import WsLink, open_http, open_ws
from venues.digifinex import wire
from venues.digifinex.codec import (
    AlgoOrders,
    Codec,
    Notice,
    Replied,
    Tickers,
    WholeBook,
    encode_call,
)
from venues.digifinex.desk import OrderDesk, Roads
from venues.digifinex.lists import Lists
from venues.digifinex.liveness import liveness
from venues.digifinex.options import DigiFinexOptions, build_instruments
from venues.digifinex.rest import Rest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DigiFinexMarketData", "DigiFinexVenue"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
LOOK_EVERY_S: Final = 0.5
SNAPSHOTS_ASKED: Final = 3
PASSING: Final = frozenset({2, 3, 5})
"""Codes of the WebSocket that may be over soon: internal error, not available, too slow."""

_symbols = msgspec.json.Decoder(wire.Symbols, strict=False).decode
_seconds = msgspec.json.Decoder(float, strict=False).decode


class DigiFinexMarketData:
    """DigiFinex's books and trades and nothing else: it has no way to send an order.

    Needs no key. Implements `botkit.adapter.MarketDataVenue`.
    """

    Options = DigiFinexOptions

    def __init__(self, setup: VenueSetup) -> None:
        self.name = setup.name
        self.options = structure(DigiFinexOptions, setup.options, setup.source)
        self.fees: FeeSchedule = self.options.fees
        self.instruments: Mapping[str, Instrument] = {}
        self.keeps_orders = True
        self.network = Network()
        self.capabilities = Capabilities(
            client_order_ids=False,
            fill_source=FillSource.TOTALS,
            cancel_on_disconnect=False,
            rest_cancel=True,
            min_life_ns=self.options.min_life,
            shows_own_orders=True,
            post_only=True,
            ord_types=frozenset({OrdType.LIMIT, OrdType.MARKET}),
            times_in_force=frozenset({TimeInForce.GTC}),
        )
        self.rest = Rest(self.options, setup.now_ns)
        self._setup = setup

    async def prepare(self) -> None:
        """Fetch the venue's list of markets.

        Raises
        ------
        ConfigError
            It lacks one that a strategy trades.
        """
        network = self.network
        async with open_http(
            self.options.rest_url, ssl_context=network.ssl_context, dial=network.dial
        ) as http:
            listed = await self.rest.read(http, "/spot/symbols", _symbols, private=False)
        self.instruments = build_instruments(
            listed.symbol_list, self._setup.symbols, f"{self._setup.source}: instruments"
        )

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection's market data until canceled."""
        self._begin(deliver, clock)
        await self._serve(Readiness(self.name, deliver, clock.now_ns), deliver, clock)

    @property
    def names(self) -> tuple[str, ...]:
        """The venue's names of the markets that are traded."""
        traded = (symbol.partition(":")[2] for symbol in self._setup.symbols)
        return tuple(dict.fromkeys(traded))

    def now_ns(self) -> int:
        """Return the time that requests are signed with."""
        return self._setup.now_ns() + self.rest.ahead_s * NS_PER_S

    def _begin(self, deliver: Deliver, clock: Clock) -> None:
        deliver(FeedGap(self.name, reason="connecting", receive_time_ns=clock.now_ns()))

    def _codec(self, clock: Clock, desk: OrderDesk | None = None) -> Codec:
        return Codec(
            self.name,
            {each.name: each for each in self.instruments.values()},
            clock.now_ns,
            (lambda _: None) if desk is None else desk.name_of,
        )

    async def _serve(
        self,
        readiness: Readiness,
        deliver: Deliver,
        clock: Clock,
        private: OrderDesk | None = None,
    ) -> None:
        """Connect, subscribe, with `private` to our orders too, and serve until the end."""
        options, network = self.options, self.network
        readiness.tell("connecting")
        try:
            async with open_ws(
                options.url,
                connect_timeout_s=options.connect_within / NS_PER_S,
                ssl_context=network.ssl_context,
                dial=network.dial,
            ) as ws:
                codec = self._codec(clock, private)
                connection = Connection(
                    *(self, ws, codec, readiness), deliver=deliver, clock=clock, private=private
                )
                try:
                    await connection.serve()
                finally:  # before the link is closed, which may take a while
                    self._lose(readiness, private)
        finally:
            self._lose(readiness, private)

    def _lose(self, readiness: Readiness, private: OrderDesk | None) -> None:
        if private is not None:
            private.outbox.close()
        readiness.lost("the connection has ended")

    def liveness(self) -> Liveness:
        """Return how soon what dies is noticed, and how soon orders can be ended."""
        return liveness(self.options)


class Connection:
    """One WebSocket: its subscriptions, its heartbeat, and the requests it answers."""

    def __init__(
        self,
        venue: DigiFinexMarketData,
        ws: WsLink,
        codec: Codec,
        readiness: Readiness,
        *,
        deliver: Deliver,
        clock: Clock,
        private: OrderDesk | None,
    ) -> None:
        self._venue = venue
        self._options = venue.options
        self._ws = ws
        self._codec = codec
        self._readiness = readiness
        self._deliver = deliver
        self._clock = clock
        self._private = private
        self._ids = itertools.count(1)
        self._answers: dict[int, _Answer] = {}
        self._symbols = {f"{venue.name}:{name}": name for name in venue.names}
        self._missing = set(self._symbols)
        self._handlers: dict[type, Callable[[Any], None]] = {
            Replied: self._on_reply,
            WholeBook: self._on_whole_book,
            Tickers: lambda _: None,  # we ask for none
            AlgoOrders: self._on_algo_orders,
        }
        if private is not None:
            self._handlers[ExecutionReport] = private.on_report

    async def serve(self) -> None:
        """Read, and send what the desk takes, until the connection ends."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._beat)
                nursery.start_soon(self._follow_books)
                if self._private is not None:
                    nursery.start_soon(self._trade, self._private)
                await self._read()
        except* VenueError as group:
            raise first_of(group) from None

    async def _read(self) -> None:
        decode, deliver, handlers = self._codec.decode, self._deliver, self._handlers
        while True:
            for frame in await self._ws.receive_batch():
                for event in decode(frame):
                    handler = handlers.get(event.__class__)
                    if handler is not None:
                        handler(event)
                    elif not isinstance(event, Notice):
                        deliver(event)

    async def _beat(self) -> None:
        """Ping: on a client that is silent the venue closes after 60 s, whatever it sends."""
        options = self._options
        while True:
            await trio.sleep(options.ping_every / NS_PER_S)
            await self._call("server.ping", within_ns=options.pong_within)

    # --- requests ---------------------------------------------------------------------------

    async def _call(self, method: str, *params: str, within_ns: int | None = None) -> bytes:
        """Return the result of a request, as JSON.

        Raises
        ------
        _RequestFailedError
            The venue answered by an error.
        FeedStaleError
            No answer in time: the link is as good as dead.
        """
        number, answer = next(self._ids), _Answer()
        within_s = (within_ns or self._options.answer_within) / NS_PER_S
        self._answers[number] = answer
        try:
            with trio.fail_after(within_s):
                await self._ws.send(encode_call(number, method, params))
                await answer.come.wait()
        except trio.TooSlowError:
            raise FeedStaleError(
                f"{self._venue.name}: {method} was not answered within {within_s:g} s"
            ) from None
        finally:
            del self._answers[number]
        assert answer.reply is not None
        if answer.reply.failed:
            raise _RequestFailedError(self._venue.name, method, answer.reply)
        return answer.reply.result

    def _on_reply(self, reply: Replied) -> None:
        answer = self._answers.get(reply.id)
        if answer is not None:
            answer.reply = reply
            answer.come.set()

    # --- books ------------------------------------------------------------------------------

    async def _follow_books(self) -> None:
        """Subscribe, and ask for whole books where one is late, stays crossed, or is long ago."""
        names = self._venue.names
        await self._call("trades.subscribe", *names)
        await self._call("depth.subscribe", *names)
        options = self._options
        asked, asked_at = 1, trio.current_time()
        crossed_at: dict[str, float] = {}
        while True:
            await trio.sleep(LOOK_EVERY_S)
            now = trio.current_time()
            wait_s = now - asked_at
            self._note_crossed(crossed_at, now)
            is_late = bool(self._missing) and wait_s >= options.snapshot_within / NS_PER_S
            if not self._missing:
                asked = 0
            if is_late and asked >= SNAPSHOTS_ASKED:
                raise VenueDisconnectedError(
                    f"{self._venue.name}: no whole book of {', '.join(sorted(self._missing))} "
                    f"though asked {asked} times"
                )
            has_gone = self._give_up_crossed(crossed_at, now)
            if is_late or has_gone or wait_s >= options.refresh_every / NS_PER_S:
                asked, asked_at = asked + 1, now
                await self._call("depth.subscribe", *names)

    def _note_crossed(self, crossed_at: dict[str, float], now: float) -> None:
        for symbol in self._symbols:
            if self._codec.books.is_crossed(symbol):
                crossed_at.setdefault(symbol, now)
            else:
                crossed_at.pop(symbol, None)

    def _give_up_crossed(self, crossed_at: dict[str, float], now: float) -> bool:
        """Void the books that have been crossed for too long; say whether there are any."""
        patience_s = self._options.snapshot_within / NS_PER_S
        stuck = [symbol for symbol, since in crossed_at.items() if now - since >= patience_s]
        for symbol in stuck:
            del crossed_at[symbol]
            self._codec.books.forget(symbol)
            self._missing.add(symbol)
            reason = "its book was crossed for too long: a change has been lost"
            self._deliver(
                FeedGap(
                    self._venue.name,
                    reason=reason,
                    symbol=symbol,
                    receive_time_ns=self._clock.now_ns(),
                )
            )
            self._readiness.tell(f"{symbol}: {reason}", market_data=False)
        return bool(stuck)

    def _on_whole_book(self, book: WholeBook) -> None:
        self._missing.discard(book.symbol)
        self._readiness.tell("connected", market_data=not self._missing)

    # --- our account ------------------------------------------------------------------------

    async def _trade(self, private: OrderDesk) -> None:
        """Sign in, subscribe to what is ours, catch up with it, and send orders from then on."""
        await self._sign_in()
        names = self._venue.names
        currencies: dict[str, None] = {}
        for symbol in self._symbols:
            instrument = self._venue.instruments[symbol]
            currencies |= {instrument.base: None, instrument.quote: None}
        await self._call("balance.subscribe", *currencies)
        await self._call("order.subscribe", *names)
        await private.catch_up()
        private.line_up()
        self._readiness.tell("connected", private=True, order_entry=True)

    async def _sign_in(self) -> None:
        options = self._options
        told_s = wire.parse(_seconds, await self._call("server.time"), "time")
        self._venue.rest.set_clock(told_s)
        timestamp = str(self._venue.now_ns() // NS_PER_MS)
        sign = wire.auth_sign(options.secret.reveal(), timestamp)
        try:
            await self._call("server.auth", options.key.reveal(), timestamp, sign)
        except _RequestFailedError as exc:
            if exc.code in PASSING:
                raise
            raise VenueAuthenticationError(
                f"{exc}: look at key, secret, its rights and its addresses"
            ) from exc

    def _on_algo_orders(self, orders: AlgoOrders) -> None:
        logger.warning(
            "%s: the account has trigger orders that are not ours: %s",
            self._venue.name,
            ", ".join(f"{row.side} {row.amount} {row.symbol}" for row in orders.rows),
        )


class _Answer:
    """What a request waits for."""

    def __init__(self) -> None:
        self.come = trio.Event()
        self.reply: Replied | None = None


class _RequestFailedError(VenueDisconnectedError):
    """A request over the WebSocket was answered by an error."""

    def __init__(self, venue: str, method: str, reply: Replied) -> None:
        self.code = reply.code
        super().__init__(f"{venue}: {method} was answered error {reply.code} ({reply.message})")


class DigiFinexVenue(DigiFinexMarketData):
    """DigiFinex with orders. Implements `botkit.ports.Venue`."""

    def __init__(self, setup: VenueSetup) -> None:
        super().__init__(setup)
        missing = [each for each in ("key", "secret") if not getattr(self.options, each)]
        if missing:
            raise ConfigError(
                [f"{setup.source}.{each}: missing; orders need it" for each in missing]
            )
        self._desk = OrderDesk(self.options, self.rest)

    @classmethod
    def from_setup(cls, setup: VenueSetup) -> "DigiFinexVenue":
        """Build from the config."""
        return cls(setup)

    @classmethod
    def market_data(cls, setup: VenueSetup) -> DigiFinexMarketData:
        """Build what a dry run may have of the venue."""
        return DigiFinexMarketData(setup)

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection until canceled."""
        self._desk.begin(deliver, clock)
        serve = partial(self._serve_private, deliver, clock)
        await attended(self, self._desk.outbox, serve, deliver, clock)

    async def _serve_private(self, deliver: Deliver, clock: Clock) -> None:
        self._begin(deliver, clock)
        readiness = Readiness(self.name, deliver, clock.now_ns)
        await self._serve(readiness, deliver, clock, self._desk)

    async def stand_by(self, deliver: Deliver, clock: Clock) -> None:
        """Cancel and answer questions by REST until canceled, connected or not."""
        desk, options = self._desk, self.options
        desk.begin(deliver, clock)
        to_rest = partial(
            open_http,
            options.rest_url,
            ssl_context=self.network.ssl_context,
            dial=self.network.dial,
        )
        with desk.outbox.standing_by():
            async with to_rest() as calls, to_rest() as cancels:
                codec = self._codec(clock, desk)
                lists = Lists(self.rest, calls, codec, self.names, options.page_size)
                await desk.serve(Roads(calls=calls, cancels=cancels), lists)

    def submit(self, order: Approved[NewOrder]) -> None:
        """Send a new order, or say why the venue's rates or rules do not allow it."""
        self._desk.submit(order.request)

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        """Refuse: there is no replace here, and the gate lets none pass."""
        raise InvariantError(f"{self.name} has no replace: {order.request.client_order_id}")

    def cancel(self, order: CancelOrder) -> None:
        """Send a cancel, ahead of everything that waits."""
        self._desk.cancel(order)

    def ask(self, question: AskStatus | AskListing) -> None:
        """Look an order, or all of ours, up."""
        self._desk.outbox.put(question)
