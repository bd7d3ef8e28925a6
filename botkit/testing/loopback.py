"""A venue's simulated exchange on a real loopback port, and a look at its books.

    async with open_exchange("finery", seed=3, proxied=True) as exchange:
        exchange.plant("alice", Side.BUY)          # a person's order: nobody else's business
        ...                                         # a bot trades at 127.0.0.1:{exchange.port}
        assert not exchange.resting("alice")        # what was planted does not count

It lives in the trio run that opens it, on the real clock, with the venue's own rate limits.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

import attrs
import trio

from botkit.adapter import Simulator, SimulatorSetup
from botkit.clock import BacktestClock, Clock, LiveClock, wall_time_ns
from botkit.config import load_plugin
from botkit.errors import ConfigError
from botkit.matching.exchange import (
    ExchangeEvent,
    Execution,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderState,
    OrderTerms,
)
from botkit.model import OrdStatus, Side
from botkit.testing.proxy import Proxy, open_proxy
from botkit.transport import open_server

__all__ = ["SeenOrder", "SimulatedExchange", "has_quirk", "open_exchange"]

FAR: Final = {Side.BUY: Decimal("0.8"), Side.SELL: Decimal("1.25")}  # of the price there


@attrs.define(kw_only=True, eq=False)
class SeenOrder:
    """An order as the exchange had it; times are of its own clock, which no wall clock moves.

    Parameters
    ----------
    reached_ns, left_ns
        When it was taken in, and when nothing of it was left to trade; None while it rests.
    ended_as
        What it was when it left: FILLED, CANCELED or EXPIRED.
    planted
        It is a person's, or another bot's: put there by `plant`.
    """

    state: OrderState
    reached_ns: int
    planted: bool = False
    left_ns: int | None = None
    ended_as: OrdStatus | None = None

    @property
    def rests(self) -> bool:
        """Whether it may still trade."""
        return self.left_ns is None

    def rested_at(self, time_ns: int) -> bool:
        """Return whether it was in the book at `time_ns`."""
        return self.reached_ns <= time_ns and (self.left_ns is None or self.left_ns > time_ns)

    def line(self) -> str:
        """Return it in words, for people."""
        state = self.state
        name = state.client_order_id or "no id of the client's"
        return (
            f"order {state.order_id} ({name}) of {state.account}: {state.side} "
            f"{state.order_qty} {state.symbol} at {state.price}"
        )


class SimulatedExchange:
    """One venue's simulator at a port; see `open_exchange`.

    Attributes
    ----------
    venue
        The plug-in's name.
    simulator
        Its `market.exchange` is the truth.
    clock
        What all times here are of.
    port
        Where clients connect: the proxy's, if there is one.
    proxy
        What stands in front of it.
    on_order
        Called with each order that is taken in or ends, at that instant, before any client knows.
    """

    def __init__(self, venue: str, simulator: Simulator, clock: LiveClock) -> None:
        self.venue = venue
        self.simulator = simulator
        self.clock = clock
        self.port = 0
        self.proxy: Proxy | None = None
        self.on_order: list[Callable[[SeenOrder], None]] = []
        self._seen: dict[int, SeenOrder] = {}
        self._planting = False
        self._changed = trio.Event()
        self._members = {member.name for member in simulator.members}
        simulator.market.exchange.observe(self._on_events)

    def now_ns(self) -> int:
        """Return the time now."""
        return self.clock.now_ns()

    def account_of(self, options: Mapping[str, Any]) -> str:
        """Return the account that a venue's table of a config trades on, told by its key."""
        words = {str(value) for value in options.values()}
        owners = [each.name for each in self.simulator.members if words & {each.key, each.name}]
        return owners[0] if owners else self.simulator.members[0].name

    def orders(self, account: str, *, planted: bool = False) -> list[SeenOrder]:
        """Return every order of an account so far, oldest first; or those that were planted."""
        return [
            each
            for each in self._seen.values()
            if each.state.account == account and each.planted is planted
        ]

    def resting(self, account: str) -> list[SeenOrder]:
        """Return what rests of an account, less what was planted; stops included."""
        return [each for each in self.orders(account) if each.rests]

    def planted(self) -> list[SeenOrder]:
        """Return everything that was planted, of any account."""
        return [each for each in self._seen.values() if each.planted]

    def untouched(self, planted: SeenOrder) -> bool:
        """Return whether an order rests as it was planted."""
        account = self.simulator.market.exchange.accounts[planted.state.account]
        now = account.order(planted.state.order_id)
        return now is not None and _terms(now) == _terms(planted.state)

    def plant(
        self, account: str, side: Side, *, client_order_id: str = "", symbol: str | None = None
    ) -> SeenOrder:
        """Put a person's order into the book, or another bot's, too far off to trade soon."""
        market = self.simulator.market
        now_ns = market.catch_up()
        traded = market.exchange.markets[symbol or next(iter(market.exchange.markets))]
        instrument = traded.instrument
        touch = traded.levels(side, 1) or traded.levels(side.opposite, 1)
        price = instrument.price(touch[0][0] * FAR[side], ROUND_FLOOR)
        least = max(instrument.min_trade_vol, instrument.lot_size)
        notional = (instrument.min_notional or Decimal(0)) / price
        terms = OrderTerms(
            symbol=instrument.name,
            side=side,
            order_qty=instrument.quantity(max(least, notional * 2) * 3, ROUND_FLOOR),
            price=price,
            client_order_id=client_order_id,
        )
        self._planting = True
        events = market.exchange.submit(account, terms, now_ns)
        market.tell(events)
        self._planting = False
        accepted = [each for each in events if isinstance(each, OrderAccepted)]
        if not accepted:
            raise ValueError(f"{self.venue} does not take {terms}: {events}")
        return self._seen[accepted[0].order.order_id]

    async def until(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Wait until `holds()`, looked at whenever an order comes or ends; return whether it is."""
        with trio.move_on_after(within_s):
            while not holds():
                await self._changed.wait()
            return True
        return holds()

    def _on_events(self, events: Sequence[ExchangeEvent]) -> None:
        for event in events:
            match event:
                case OrderAccepted(order=order) if order.account in self._members:
                    self._enter(order)
                case OrderCanceled(order=order):
                    self._end(order, OrdStatus.CANCELED)
                case OrderExpired(order=order):
                    self._end(order, OrdStatus.EXPIRED)
                case Execution(maker=maker, taker=taker):
                    for leg in (maker, taker):
                        if leg.order.ord_status is OrdStatus.FILLED:
                            self._end(leg.order, OrdStatus.FILLED)
                case _:
                    pass

    def _enter(self, order: OrderState) -> None:
        seen = SeenOrder(state=order, reached_ns=self.now_ns(), planted=self._planting)
        self._seen[order.order_id] = seen
        self._tell(seen)

    def _end(self, order: OrderState, ended_as: OrdStatus) -> None:
        seen = self._seen.get(order.order_id)
        if seen is None or not seen.rests:
            return
        seen.left_ns, seen.ended_as = self.now_ns(), ended_as
        self._tell(seen)

    def _tell(self, seen: SeenOrder) -> None:
        for look in list(self.on_order):
            look(seen)
        self._changed.set()
        self._changed = trio.Event()


def _terms(order: OrderState) -> tuple[object, ...]:
    return (order.price, order.order_qty, order.cum_qty, order.leaves_qty, order.ord_status)


def has_quirk(venue: str, name: str) -> bool:
    """Return whether the simulator of a venue plug-in lets `name` be decided."""
    plugin: Any = load_plugin("botkit.simulators", venue, "has_quirk")
    try:
        plugin(SimulatorSetup(clock=BacktestClock(), quirks={name: True}))
    except ConfigError:
        return False
    return True


@asynccontextmanager
async def open_exchange(
    venue: str,
    *,
    seed: int = 0,
    quirks: Mapping[str, Any] | None = None,
    pace: float = 1.0,
    proxied: bool = False,
    make_clock: Callable[[LiveClock], Clock] = lambda clock: clock,
) -> AsyncIterator[SimulatedExchange]:
    """Run the simulator of a venue plug-in at a free port of 127.0.0.1 for the block's length.

    Parameters
    ----------
    seed, quirks, pace
        See `SimulatorSetup`.
    proxied
        Put a `Proxy` in front of it.
    make_clock
        Makes the venue's own clock of the one that times here are of.
    """
    plugin: Any = load_plugin("botkit.simulators", venue, "open_exchange")
    clock = LiveClock(origin_ns=wall_time_ns())
    setup = SimulatorSetup(clock=make_clock(clock), seed=seed, quirks=quirks or {}, pace=pace)
    exchange = SimulatedExchange(venue, plugin(setup), clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange.simulator.run)
        async with open_server(exchange.simulator.server) as port:
            exchange.port = port
            if proxied:
                async with open_proxy(port) as proxy:
                    exchange.proxy, exchange.port = proxy, proxy.port
                    yield exchange
            else:
                yield exchange
        nursery.cancel_scope.cancel()
