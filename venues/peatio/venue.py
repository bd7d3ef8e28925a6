"""Peatio's adapter: market data alone, or with orders; either generation."""

import functools
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from botkit.adapter import Network, Readiness, attended, send_failed
from botkit.clock import Clock
from botkit.config import structure
from botkit.errors import (
    ConfigError,
    InvariantError,
    VenueAuthenticationError,
    VenueError,
    VenueUnreachableError,
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
from botkit.transport import HttpLink, open_http, open_ws
from venues.peatio.desk import Desk, Standby
from venues.peatio.link import Link, RangerLink, WebsocketApiLink
from venues.peatio.liveness import liveness
from venues.peatio.options import PeatioOptions, build_instruments, build_tokens
from venues.peatio.reports import Reports
from venues.peatio.rest import Rest, TradingRest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PeatioMarketData", "PeatioVenue"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
PRIVATE: Final = "private/?stream=order&stream=trade"
PUBLIC: Final = "public/"


@functools.cache
def _verifying() -> ssl.SSLContext:
    """Return the context of all connections: reading the certificates takes 25 ms each time."""
    return ssl.create_default_context()


class PeatioMarketData:
    """Peatio's books and trades and nothing else: it has no way to send an order.

    The second generation's are for everyone; the first needs a token even for these. Implements
    `botkit.ports.MarketDataVenue`.
    """

    Options = PeatioOptions

    def __init__(self, setup: VenueSetup) -> None:
        self.name = setup.name
        self.options = structure(PeatioOptions, setup.options, setup.source)
        self.fees: FeeSchedule = self.options.fees
        self.instruments: Mapping[str, Instrument] = {}
        self.keeps_orders = True
        self.network = Network()
        self.capabilities = Capabilities(
            client_order_ids=False,
            fill_source=FillSource.EXECUTIONS,
            replace=False,
            cancel_on_disconnect=False,
            rest_cancel=True,
            account_wide_cancel=True,
            shows_own_orders=True,
            post_only=False,
            ord_types=frozenset({OrdType.LIMIT, OrdType.MARKET}),
            times_in_force=frozenset({TimeInForce.GTC}),
        )
        self._setup = setup
        self._is_first = self.options.generation == "websocket_api"
        self.tokens = build_tokens(self.options, setup.source, setup.base_dir, setup.now_ns)
        self._check_token(needed=self._is_first)

    def _check_token(self, *, needed: bool) -> None:
        if needed and self.tokens is None:
            raise ConfigError(
                f"{self._setup.source}: token is missing: write one of token, token_file, signer"
            )

    async def prepare(self) -> None:
        """Fetch the venue's list of markets.

        Raises
        ------
        ConfigError
            It lacks one that a strategy trades, or does not tell its currencies.
        """
        async with self._open_rest() as rest:
            listed = await rest.markets()
        self.instruments = build_instruments(
            listed, self.options, self._setup.symbols, f"{self._setup.source}: instruments"
        )

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection's market data until canceled."""
        await self._serve(deliver, clock)

    @asynccontextmanager
    async def _open_rest(self) -> AsyncIterator[Rest]:
        """Open the calls that only look."""
        async with self._open_http() as link:
            deadline_s = self.options.answer_within / NS_PER_S
            yield Rest(self.options.generation, link, self.tokens, deadline_s=deadline_s)

    def _open_http(self) -> AbstractAsyncContextManager[HttpLink]:
        network = self.network
        return open_http(self.options.rest_url, ssl_context=network.ssl_context, dial=network.dial)

    async def _serve(self, deliver: Deliver, clock: Clock, desk: Desk | None = None) -> None:
        """Connect, and serve until the end; with `desk` our orders too."""
        deliver(FeedGap(self.name, reason="connecting", receive_time_ns=clock.now_ns()))
        readiness = Readiness(self.name, deliver, clock.now_ns)
        readiness.tell("connecting")
        try:
            async with self._open_rest() as rest:
                try:
                    await self._serve_link(rest, readiness, deliver, clock, desk)
                except VenueUnreachableError:
                    await self._blame_token(rest, desk)
                    raise
        finally:
            readiness.lost("the connection has ended")

    def _traded(self) -> "Mapping[str, Instrument]":
        """Return what is traded, by the venue's names."""
        names = dict.fromkeys(each.partition(":")[2] for each in self._setup.symbols)
        symbols = {name: f"{self.name}:{name}" for name in names}
        known = self.instruments
        return {name: known[symbol] for name, symbol in symbols.items() if symbol in known}

    def liveness(self) -> Liveness:
        """Return how soon what dies is noticed, and how soon orders can be ended."""
        return liveness(self.options)

    async def _serve_link(
        self, rest: Rest, readiness: Readiness, deliver: Deliver, clock: Clock, desk: Desk | None
    ) -> None:
        options, network = self.options, self.network
        kind: type[Link] = WebsocketApiLink if self._is_first else RangerLink
        url, headers = options.url, {}
        if not self._is_first:
            url = f"{url.rstrip('/')}/{PUBLIC if desk is None else PRIVATE}"
            if desk is not None and self.tokens is not None:
                headers = {"Authorization": self.tokens.bearer()}
        async with open_ws(
            url,
            connect_timeout_s=options.connect_within / NS_PER_S,
            headers=headers,
            ssl_context=network.ssl_context or _verifying(),
            dial=network.dial,
        ) as ws:
            await kind(
                self.name,
                options,
                self._traded(),
                rest=rest,
                ws=ws,
                tokens=self.tokens,
                readiness=readiness,
                deliver=deliver,
                clock=clock,
                desk=desk,
            ).serve()

    async def _blame_token(self, rest: Rest, desk: Desk | None) -> None:
        """Raise `VenueAuthenticationError` if REST does not accept the token either.

        The second generation drops a connection whose token is bad as if it were not there.
        """
        if desk is None or self._is_first:
            return
        try:
            await rest.accounts()
        except VenueAuthenticationError:
            raise
        except VenueError as exc:
            logger.info("%s: REST cannot be asked about the token: %s", self.name, exc)


class PeatioVenue(PeatioMarketData):
    """Peatio with orders. Implements `botkit.ports.Venue`."""

    def __init__(self, setup: VenueSetup) -> None:
        super().__init__(setup)
        self._check_token(needed=True)
        self._desk = Desk(self.options, self._tell)
        self._deliver: Deliver | None = None

    @classmethod
    def from_setup(cls, setup: VenueSetup) -> "PeatioVenue":
        """Build from the config."""
        return cls(setup)

    @classmethod
    def market_data(cls, setup: VenueSetup) -> PeatioMarketData:
        """Build what a dry run may have of the venue."""
        return PeatioMarketData(setup)

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection until canceled."""
        self._deliver = deliver
        serve = partial(self._serve, deliver, clock, self._desk)
        await attended(self, self._desk.outbox, serve, deliver, clock)

    async def stand_by(self, deliver: Deliver, clock: Clock) -> None:
        """Cancel and answer questions by REST until canceled, connected or not."""
        self._deliver = deliver
        desk, options = self._desk, self.options
        with desk.outbox.standing_by():
            async with self._open_trading() as rest:
                traded = self._traded()
                reports = Reports(
                    *(self.name, traded, desk.own, clock.now_ns),
                    fees=options.fees,
                    fee_in_received=options.fee_in == "received",
                )
                await desk.serve(Standby(rest, reports, traded, deliver, clock))

    @asynccontextmanager
    async def _open_rest(self) -> AsyncIterator[Rest]:
        """Give the calls that are open while it stands by: they outlive a connection."""
        standby = self._desk.standby
        if standby is not None:
            yield standby.rest
            return
        async with self._open_trading() as rest:
            yield rest

    @asynccontextmanager
    async def _open_trading(self) -> AsyncIterator[TradingRest]:
        """Open the calls that place and cancel as well."""
        deadline_s = self.options.answer_within / NS_PER_S
        async with self._open_http() as link, self._open_http() as urgent:
            yield TradingRest(
                self.options.generation, link, urgent, self.tokens, deadline_s=deadline_s
            )

    def _tell(self, event: Event) -> None:
        assert self._deliver is not None, "no request comes before `run`"
        self._deliver(event)

    def submit(self, order: Approved[NewOrder]) -> None:
        """Send a new order, or say that our own rate would not allow it."""
        request = order.request
        if self._desk.budget.take():
            self._desk.outbox.put(request)
            return
        options = self.options
        text = (
            f"not sent: more than {options.max_requests_per_second} requests a second, less the "
            f"{options.cancel_reserve} kept for cancels"
        )
        self._tell(send_failed(request, text, reached_venue=False, now_ns=request.transact_time_ns))

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        """Refuse: the venue has no replace, and the gate lets none pass."""
        raise InvariantError(f"{self.name} has no replace: {order.request.client_order_id}")

    def cancel(self, order: CancelOrder) -> None:
        """Send a cancel, ahead of everything that waits."""
        self._desk.budget.take(urgent=True)  # counted where it can be, sent in any case
        self._desk.outbox.put(order)

    def ask(self, question: AskStatus | AskListing) -> None:
        """Look an order, or all of ours, up."""
        self._desk.outbox.put(question)
