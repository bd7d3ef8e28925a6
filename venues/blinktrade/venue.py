"""BlinkTrade's adapter: market data alone, or with orders."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

import trio

from botkit.adapter import Network, Readiness, attended, send_failed
from botkit.clock import Clock
from botkit.config import structure
from botkit.errors import VenueError
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    CancelOrder,
    Event,
    FeedGap,
    FillSource,
    Instrument,
    NewOrder,
    OrdType,
    ReplaceOrder,
    TimeInForce,
)
from botkit.ports import Capabilities, Deliver, FeeSchedule, Liveness, VenueSetup
from botkit.transport import Budget, WsLink, open_http, open_ws
from venues.blinktrade import outbound, wire
from venues.blinktrade.codec import Broken, Codec
from venues.blinktrade.connection import Connection
from venues.blinktrade.desk import Desk
from venues.blinktrade.liveness import liveness
from venues.blinktrade.options import BlinkTradeOptions, build_instruments
from venues.blinktrade.rest import Bridge, BridgeRoad

__all__ = ["BlinkTradeMarketData", "BlinkTradeVenue"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000


class BlinkTradeMarketData:
    """BlinkTrade's books and trades and nothing else: it has no way to send an order.

    It needs no key and does not log in. Implements `botkit.adapter.MarketDataVenue`.
    """

    Options = BlinkTradeOptions

    def __init__(self, setup: VenueSetup) -> None:
        self.name = setup.name
        self.options = options = structure(BlinkTradeOptions, setup.options, setup.source)
        self.fees: FeeSchedule = options.fees
        self.instruments: Mapping[str, Instrument] = {}
        self.keeps_orders = True
        self.network = Network()
        self.capabilities = Capabilities(
            client_order_ids=True,
            # After a lost link the order list tells how much has filled, and nothing tells fills.
            fill_source=FillSource.TOTALS,
            replace=False,
            cancel_on_disconnect=setup.on_disconnect == "cancel",
            rest_cancel=options.secret is not None,
            account_wide_cancel=False,  # F by side would be, and is not used
            shows_own_orders=True,
            post_only=options.post_only,
            ord_types=frozenset(OrdType(each) for each in options.ord_types),
            times_in_force=frozenset(TimeInForce(each) for each in options.times_in_force),
        )
        self._setup = setup
        names = (symbol.partition(":")[2] for symbol in setup.symbols)
        self._names = tuple(dict.fromkeys(names))
        self._budget = Budget(
            limit=options.max_messages_per_second, window_s=1.0, reserve=options.reserve
        )

    async def prepare(self) -> None:
        """Fetch the venue's list of instruments.

        Raises
        ------
        ConfigError
            It lacks one that a strategy trades.
        """
        listed: wire.Securities | None = None
        async with self._open() as ws:
            connection = Connection(self.name, ws, self._codec(), self.options, self._budget)

            async def ask() -> None:
                nonlocal listed
                question = outbound.SecurityListRequest(req_id=connection.codec.next_id())
                listed = await connection.ask(question, wire.Securities)
                nursery.cancel_scope.cancel()

            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(connection.serve, ask)
            except* VenueError as group:
                raise group.exceptions[0] from None
        assert listed is not None
        self.instruments = build_instruments(
            listed, self.options, self._setup.symbols, f"{self._setup.source}: instruments"
        )

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection's market data until canceled."""
        await self._serve(deliver, clock)

    # --- connecting -------------------------------------------------------------------------

    def _open(self) -> AbstractAsyncContextManager[WsLink]:
        return open_ws(
            self.options.url,
            connect_timeout_s=self.options.connect_within / NS_PER_S,
            ssl_context=self.network.ssl_context,
            dial=self.network.dial,
        )

    def _codec(self, now_ns: Callable[[], int] | None = None) -> Codec:
        return Codec(
            self.name,
            {each.name: each for each in self.instruments.values()},
            now_ns or self._setup.now_ns,
            broker_id=self.options.broker_id,
            tells_fees=self.options.commission == "computed",
            crossed_for_ns=self.options.crossed_for,
        )

    async def _serve(
        self,
        deliver: Deliver,
        clock: Clock,
        trade: Callable[[Connection, Readiness], Awaitable[None]] | None = None,
    ) -> None:
        """Connect, keep the books, with `trade` our orders too, and serve until the end."""
        deliver(FeedGap(self.name, reason="connecting", receive_time_ns=clock.now_ns()))
        readiness = Readiness(self.name, deliver, clock.now_ns)
        readiness.tell("connecting")

        def on_books(broken: Broken | None) -> None:
            reason = "every book is there" if broken is None else broken.reason
            readiness.tell(reason, market_data=broken is None)

        try:
            async with self._open() as ws:
                connection = Connection(
                    self.name,
                    ws,
                    self._codec(clock.now_ns),
                    self.options,
                    self._budget,
                    names=self._names,
                    deliver=deliver,
                    on_books=on_books,
                )
                also = None if trade is None else partial(trade, connection, readiness)
                try:
                    await connection.serve(also)
                finally:  # before the link is closed, which may take a while
                    self._lose(readiness)
        finally:
            self._lose(readiness)

    def _lose(self, readiness: Readiness) -> None:
        """Say that the connection has ended."""
        readiness.lost("the connection has ended")

    def liveness(self) -> Liveness:
        """Return how soon what dies is noticed, and how soon orders can be ended."""
        return liveness(self.options, asks=self.capabilities.cancel_on_disconnect)


class BlinkTradeVenue(BlinkTradeMarketData):
    """BlinkTrade over one WebSocket, its cancel-on-disconnect asked for.

    Implements `botkit.ports.Venue`.
    """

    def __init__(self, setup: VenueSetup) -> None:
        super().__init__(setup)
        self.options.check_keys(setup.source)
        self._deliver: Deliver = _nowhere
        self._desk = Desk(self.options, self._tell, setup.now_ns)
        self._bridge = Bridge(self.options, setup.now_ns)

    @classmethod
    def from_setup(cls, setup: VenueSetup) -> "BlinkTradeVenue":
        """Build from the config."""
        return cls(setup)

    @classmethod
    def market_data(cls, setup: VenueSetup) -> BlinkTradeMarketData:
        """Build what a dry run may have of the venue."""
        return BlinkTradeMarketData(setup)

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection until canceled."""
        self._deliver = deliver
        self._desk.now_ns = clock.now_ns
        serve = partial(self._serve, self._desk.take, clock, self._trade)
        await attended(self, self._desk.outbox, serve, deliver, clock)

    async def stand_by(self, deliver: Deliver, clock: Clock) -> None:
        """Send cancels and answer questions until canceled, by REST while there is no link.

        Without a secret there is no REST: cancels wait for the next connection then.
        """
        self._deliver = deliver
        self._desk.now_ns = clock.now_ns
        options, network = self.options, self.network
        with self._desk.outbox.standing_by():
            if options.secret is None:
                await self._desk.serve(None)
                return
            async with open_http(
                options.rest_url, ssl_context=network.ssl_context, dial=network.dial
            ) as http:
                codec = self._codec(clock.now_ns)
                road = BridgeRoad(self.name, self._bridge, http, codec, options.broker_id)
                await self._desk.serve(road)

    def _lose(self, readiness: Readiness) -> None:
        self._desk.line_down()
        super()._lose(readiness)

    def _tell(self, event: Event) -> None:
        self._deliver(event)

    async def _trade(self, connection: Connection, readiness: Readiness) -> None:
        """Log in, tell what is held and what rests, then let orders pass."""
        await connection.log_in(cancels=self.capabilities.cancel_on_disconnect)
        await self._desk.ask_balances(connection)
        resting = await self._desk.catch_up(connection)
        if resting and self.capabilities.cancel_on_disconnect:
            logger.info("%s: %d orders rest though a session of theirs ended", self.name, resting)
        self._desk.line_up(connection)
        readiness.tell("logged in", private=True, order_entry=True)
        await self._desk.keep_balances(connection)

    # --- orders -----------------------------------------------------------------------------

    def submit(self, order: Approved[NewOrder]) -> None:
        """Send a new order, or say that it may not be sent.

        One beyond the venue's rate, or beyond what could be canceled at once, is refused when its
        turn comes; it does not wait.
        """
        request = order.request
        if not (request.keep and self.capabilities.cancel_on_disconnect):
            self._desk.outbox.put(request)
            return
        self._tell(
            send_failed(
                request,
                'not sent: it is to be kept, and on_disconnect = "cancel" would end it',
                reached_venue=False,
                now_ns=request.transact_time_ns,
            )
        )

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        """Refuse: the venue has no replace, and the gate lets none pass."""
        request = order.request
        self._tell(
            send_failed(
                request,
                "not sent: blinktrade has no replace",
                reached_venue=False,
                now_ns=request.transact_time_ns,
            )
        )

    def cancel(self, order: CancelOrder) -> None:
        """Send a cancel, ahead of everything that waits."""
        self._desk.outbox.put(order)

    def ask(self, question: AskStatus | AskListing) -> None:
        """Look an order, or all of ours, up."""
        self._desk.outbox.put(question)


def _nowhere(_: Event) -> None:
    raise RuntimeError("no event comes before `run`")
