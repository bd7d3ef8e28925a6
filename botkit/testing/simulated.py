"""A venue beside its simulated exchange: over streams in memory, loopback TCP or loopback TLS."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Literal, Protocol

import attrs
import trio

from botkit.adapter import Network, Simulator, SimulatorSetup
from botkit.clock import LiveClock
from botkit.matching.exchange import OrderTerms
from botkit.model import Side, TimeInForce
from botkit.ports import Venue, VenueSetup
from botkit.testing.conformance_session import VenueUnderTest
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.transport import open_server

__all__ = ["START_NS", "Over", "SimulatedVenueCase", "open_simulated"]

START_NS = 1_767_225_600_000_000_000  # 2026-01-01
HOST = "exchange.test"
Over = Literal["memory", "tcp", "tls"]


class _Adapter(Venue, Protocol):
    network: Network


@attrs.frozen(kw_only=True)
class SimulatedVenueCase:
    """What to build, and how to trade there.

    Parameters
    ----------
    simulator, venue
        Their classes.
    options
        Returns the venue's table of the config, given its base address (`ws://host:port` or
        `wss://...`; the HTTP one differs by the scheme alone).
    symbol, qty
        What to trade, and how much.
    quirks
        Of the simulator.
    """

    simulator: Callable[[SimulatorSetup], Simulator]
    venue: Callable[[VenueSetup], Any]
    options: Callable[[str], Mapping[str, Any]]
    symbol: str
    qty: Decimal
    seed: int = 1
    quirks: Mapping[str, Any] = attrs.field(factory=dict)
    waived: Mapping[str, str] = attrs.field(factory=dict)
    pace: float = 1.0
    quiet: bool = False


@attrs.frozen(kw_only=True)
class SimulatedVenuePair:
    """Both ends, running; `subject` is what `check_venue` takes."""

    subject: VenueUnderTest
    simulator: Simulator
    network: SimulatedNetwork | None


@asynccontextmanager
async def open_simulated(
    case: SimulatedVenueCase,
    over: Over = "memory",
    *,
    server_ssl: ssl.SSLContext | None = None,
    client_ssl: ssl.SSLContext | None = None,
) -> AsyncIterator[SimulatedVenuePair]:
    """Run the simulator for the length of the block, beside a venue that is yet to be run.

    Over TLS, `server_ssl` and `client_ssl` are the two ends' contexts.
    """
    clock = LiveClock(origin_ns=START_NS)
    simulator = case.simulator(
        SimulatorSetup(
            clock=clock, seed=case.seed, quirks=case.quirks, pace=case.pace, quiet=case.quiet
        )
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.run)
        if over == "memory":
            async with open_network() as network:
                network.listen(HOST, 80, simulator.server.serve)
                reach = Network(dial=network.dial)
                venue = _build(case, f"ws://{HOST}", reach, clock)
                yield _pair(case, venue, simulator, clock, network)
        else:
            async with open_server(simulator.server, ssl_context=server_ssl) as port:
                scheme = "ws" if server_ssl is None else "wss"
                reach = Network(ssl_context=client_ssl)
                venue = _build(case, f"{scheme}://localhost:{port}", reach, clock)
                yield _pair(case, venue, simulator, clock, None)
        nursery.cancel_scope.cancel()


def _build(case: SimulatedVenueCase, base: str, network: Network, clock: LiveClock) -> _Adapter:
    name = case.symbol.partition(":")[0]
    options = dict(case.options(base))
    on_disconnect = options.pop("on_disconnect", "cancel")  # a key of every venue's table
    venue: _Adapter = case.venue(
        VenueSetup(
            name=name,
            options=options,
            symbols=(case.symbol,),
            source=f"test: venues.{name}",
            now_ns=clock.now_ns,
            on_disconnect=on_disconnect,
        )
    )
    venue.network = network
    return venue


def _pair(
    case: SimulatedVenueCase,
    venue: _Adapter,
    simulator: Simulator,
    clock: LiveClock,
    network: SimulatedNetwork | None,
) -> SimulatedVenuePair:
    stranger = simulator.members[1].name

    async def trade(side: Side, price: Decimal, qty: Decimal) -> None:
        """Have another member take everything down to `price`, and `qty` there."""
        await trio.lowlevel.checkpoint()
        market = simulator.market
        now_ns = market.catch_up()
        name = case.symbol.partition(":")[2]
        levels = market.exchange.markets[name].levels(side.opposite)
        before = [size for px, size, _ in levels if (px - price) * side.sign < 0]
        terms = OrderTerms(
            symbol=name,
            side=side,
            order_qty=qty + sum(before, Decimal(0)),
            price=price,
            time_in_force=TimeInForce.IOC,
        )
        market.tell(market.exchange.submit(stranger, terms, now_ns))

    subject = VenueUnderTest(
        venue=venue,
        clock=clock,
        symbol=case.symbol,
        qty=case.qty,
        trade=trade,
        waived=case.waived,
    )
    return SimulatedVenuePair(subject=subject, simulator=simulator, network=network)
