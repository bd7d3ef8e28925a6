"""Moonbase: market data alone, or with orders."""

import logging
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from botkit.adapter import Network, Readiness, attended, first_of, send_failed
from botkit.clock import Clock
from botkit.config import structure
from botkit.errors import (
    ConfigError,
    HandshakeRefusedError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
)
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
from botkit.transport import Budget, open_ws
from venues.moonbase import wire
from venues.moonbase.connection import Channel, Connection
from venues.moonbase.desk import Desk
from venues.moonbase.liveness import JOIN_WINDOW_S, liveness
from venues.moonbase.options import MoonbaseOptions, build_instruments
from venues.moonbase.orders import Orders
from venues.moonbase.rest import Nonces, Rest, fetch_info, open_rest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MoonbaseMarketData", "MoonbaseVenue"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
NS_PER_US: Final = 1_000

MINUTE_S: Final = 60.0
FORBIDDEN: Final = 403
SNAPSHOT_LIMIT: Final = 1_000


class MoonbaseMarketData:
    """Moonbase's books and trades and nothing else: it has no way to send an order.

    The venue has no data without a key, so even this signs in. Implements
    `botkit.ports.MarketDataVenue`.

    Attributes
    ----------
    joins
        What is left of the hour's joins to this process; the reserve is for reconnecting.
    requests
        What is left of the minute's requests; the reserve is for questions.
    spelt
        Topics that the venue was found to spell otherwise than its page.
    """

    Options = MoonbaseOptions

    def __init__(self, setup: VenueSetup) -> None:
        self.name = setup.name
        options = self.options = structure(MoonbaseOptions, setup.options, setup.source)
        self.fees: FeeSchedule = options.fees
        self.instruments: Mapping[str, Instrument] = {}
        self.keeps_orders = True
        self.network = Network()
        self.capabilities = Capabilities(
            client_order_ids=options.external_id == "send",
            fill_source=FillSource.TOTALS,
            rest_cancel=True,
            post_only=False,
            ord_types=frozenset({OrdType.LIMIT, OrdType.MARKET, OrdType.STOP, OrdType.STOP_LIMIT}),
            times_in_force=frozenset({TimeInForce.GTC}),
        )
        since_ns = setup.now_ns() // NS_PER_US * NS_PER_US
        self.orders = Orders(since_ns, external_ids=options.external_id == "send")
        self.spelt: dict[str, str] = {}
        most = options.max_requests_per_minute
        self.requests = Budget(limit=most, window_s=MINUTE_S, reserve=most // 10)
        self._setup = setup
        self.joins = self._join_budget(setup)
        self._was_connected = False

    def _join_budget(self, setup: VenueSetup) -> Budget:
        """Return what this process may join an hour; raise `ConfigError` if that is too little."""
        options = self.options
        cost = len(self.channels())
        limit = options.max_joins_per_hour - options.joins_for_watcher
        if limit < max(cost, 1):
            raise ConfigError(
                f"{setup.source}: found {cost} channels to join, allowed: "
                f"{options.max_joins_per_hour} an hour (max_joins_per_hour) less "
                f"{options.joins_for_watcher} for a watcher (joins_for_watcher); trade fewer "
                "instruments here, or set trades = false"
            )
        return Budget(limit=limit, window_s=JOIN_WINDOW_S, reserve=min(cost, limit - cost))

    def channels(self) -> list[Channel]:
        """Return what is to be joined, in the order of need."""
        names = self._traded()
        kinds = ("orderbooks", "trades") if self.options.trades else ("orderbooks",)
        return [
            Channel(topic=f"/{kind}/{name}", terms={}, private=False)
            for kind in kinds
            for name in names
        ]

    async def prepare(self) -> None:
        """Fetch the venue's list of instruments.

        Raises
        ------
        ConfigError
            It lacks one that a strategy trades.
        """
        listed = await fetch_info(self.options, self.network)
        self.instruments = build_instruments(
            listed, self.options, self._setup.symbols, f"{self._setup.source}: instruments"
        )

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection's books until canceled."""
        await self._serve(deliver, clock)

    def liveness(self) -> Liveness:
        """Return how soon what dies is noticed, and how soon orders can be ended."""
        return liveness(self.options)

    # --- connecting -------------------------------------------------------------------------

    async def _serve(self, deliver: Deliver, clock: Clock, desk: Desk | None = None) -> None:
        """Connect once there are joins for it, join, and serve until the end.

        With `desk` our orders are served too: by REST while there is no connection.
        """
        deliver(FeedGap(self.name, reason="connecting", receive_time_ns=clock.now_ns()))
        readiness = Readiness(self.name, deliver, clock.now_ns)
        channels = self.channels()
        wait_s = self.joins.wait_s(self._needed(channels), urgent=True)
        reason = f"no joins left this hour: connecting in {wait_s:.0f} s"
        readiness.tell(reason if wait_s else "connecting")
        try:
            if wait_s:
                logger.warning("%s: %s; cancels go by REST", self.name, reason)
                await trio.sleep(wait_s)
            await self._connect(channels, readiness, deliver, clock, desk)
        except* VenueError as group:
            raise first_of(group) from None
        finally:
            readiness.lost("the connection has ended")

    def _needed(self, channels: list[Channel]) -> int:
        """Return how many joins a connection is worth making for: those of our orders."""
        return sum(channel.private for channel in channels) or 1

    def _traded(self) -> tuple[str, ...]:
        """Return the venue's names of what the strategies trade."""
        return tuple(dict.fromkeys(each.partition(":")[2] for each in self._setup.symbols))

    async def _connect(
        self,
        channels: list[Channel],
        readiness: Readiness,
        deliver: Deliver,
        clock: Clock,
        desk: Desk | None,
    ) -> None:
        options, network = self.options, self.network
        query = wire.handshake_query(
            options.key.reveal(),
            options.secret.reveal(),
            timestamp_s=self._setup.now_ns() // NS_PER_S,
            variant=options.signature,
        )
        try:
            async with open_ws(
                f"{options.url}?{query}",
                connect_timeout_s=options.connect_within / NS_PER_S,
                ssl_context=network.ssl_context,
                dial=network.dial,
            ) as ws:
                self._was_connected = True
                connection = Connection(
                    *(self, ws, readiness),
                    channels=channels,
                    deliver=deliver,
                    clock=clock,
                    catch_up=None if desk is None else desk.catch_up,
                    cancel_again=None if desk is None else desk.outbox.put,
                )
                if desk is not None:
                    desk.line_up(connection)
                try:
                    await connection.serve()
                finally:  # before the link is closed, which may take a while
                    if desk is not None:
                        desk.line_down(clock.now_ns() - round(ws.idle_s * NS_PER_S))
                    readiness.lost("the connection has ended")
        except HandshakeRefusedError as exc:
            raise self._refusal(exc) from exc

    def _refusal(self, exc: HandshakeRefusedError) -> VenueError:
        """Return what a refused handshake means; a key that was taken before is no bad key."""
        if exc.status != FORBIDDEN or self._was_connected:
            return VenueDisconnectedError(str(exc))
        return VenueAuthenticationError(
            f'{exc}: look at key, secret and clock, then try signature = "client" or "seed"'
        )


class MoonbaseVenue(MoonbaseMarketData):
    """Moonbase with orders. Implements `botkit.ports.Venue`."""

    def __init__(self, setup: VenueSetup) -> None:
        super().__init__(setup)
        self._deliver: Deliver | None = None
        self._nonces = Nonces(setup.now_ns)
        self._desk = Desk(self._tell, self.orders, self._open_rest)

    @classmethod
    def from_setup(cls, setup: VenueSetup) -> "MoonbaseVenue":
        """Build from the config."""
        return cls(setup)

    @classmethod
    def market_data(cls, setup: VenueSetup) -> MoonbaseMarketData:
        """Build what a dry run may have of the venue."""
        return MoonbaseMarketData(setup)

    def channels(self) -> list[Channel]:
        """Return what is to be joined: our orders before anything else."""
        names = self._traded()
        terms = {"status": "open", "limit": SNAPSHOT_LIMIT}
        return [
            *(Channel(topic=f"/orders/{name}", terms=terms, private=True) for name in names),
            Channel(topic="/balances", terms={}, private=True),
            *super().channels(),
        ]

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection until canceled."""
        self._deliver = deliver
        serve = partial(self._serve, deliver, clock, self._desk)
        await attended(self, self._desk.outbox, serve, deliver, clock)

    async def stand_by(self, deliver: Deliver, clock: Clock) -> None:
        """Send cancels and answer questions until canceled, by REST while there is no link."""
        self._deliver = deliver
        with self._desk.outbox.standing_by():
            instruments = {each.name: each for each in self.instruments.values()}
            await self._desk.serve(instruments, self._traded(), clock)

    def _open_rest(self) -> AbstractAsyncContextManager[Rest]:
        return open_rest(self.options, self.network, self._nonces, self.requests)

    def _tell(self, event: Event) -> None:
        assert self._deliver is not None, "no request comes before `run`"
        self._deliver(event)

    def submit(self, order: Approved[NewOrder]) -> None:
        """Send a new order, or say that the venue's rate would not allow it."""
        request = order.request
        if self.requests.take():
            self._desk.outbox.put(request)
            return
        wait_s = self.requests.wait_s()
        text = (
            f"not sent: no request is left for {wait_s:.0f} s, of "
            f"{self.options.max_requests_per_minute} a minute less those kept for questions"
        )
        self._tell(send_failed(request, text, reached_venue=False, now_ns=request.transact_time_ns))

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        """Refuse: the venue cannot change an order, and the gate lets no replace pass."""
        request = order.request
        text = "not sent: Moonbase cannot change an order: cancel it and place another"
        self._tell(send_failed(request, text, reached_venue=False, now_ns=request.transact_time_ns))

    def cancel(self, order: CancelOrder) -> None:
        """Send a cancel, ahead of everything that waits; the venue does not count them."""
        self._desk.outbox.put(order)

    def ask(self, question: AskStatus | AskListing) -> None:
        """Look an order, or all of ours, up."""
        self._desk.outbox.put(question)
