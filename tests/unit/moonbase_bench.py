"""A Moonbase venue beside its simulator, for tests: what was delivered, and ways to act."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import trio

from botkit.model import Event, Side
from botkit.testing.conformance_session import Session
from botkit.testing.links import Link
from botkit.testing.simulated import SimulatedVenueCase, SimulatedVenuePair, open_simulated
from venues.moonbase.simulator import MoonbaseSimulator
from venues.moonbase.venue import MoonbaseVenue

__all__ = ["Bench", "case", "open_bench", "options"]

SYMBOL = "moonbase:ETH_D:BTC_D"


def options(base: str, **changes: Any) -> Mapping[str, Any]:
    """Return the venue's table of the config."""
    return {
        "url": f"{base}/socket/api/websocket",
        "rest_url": f"{base.replace('ws', 'http', 1)}/api/v1",
        "key": "test-key-alice",
        "secret": "test-secret-alice",
        **changes,
    }


def case(
    changes: Mapping[str, Any] | None = None,
    *,
    pace: float = 1.0,
    quiet: bool = False,
    **quirks: Any,
) -> SimulatedVenueCase:
    """Return both ends, `changes` made to the venue's options."""
    return SimulatedVenueCase(
        simulator=MoonbaseSimulator,
        venue=MoonbaseVenue.from_setup,
        options=lambda base: options(base, **(changes or {})),
        symbol=SYMBOL,
        qty=Decimal("0.5"),
        quirks=quirks,
        pace=pace,
        quiet=quiet,
    )


@attrs.frozen(kw_only=True)
class Bench:
    """A session that is connected, and the exchange behind it."""

    session: Session
    pair: SimulatedVenuePair
    simulator: MoonbaseSimulator
    venue: MoonbaseVenue

    @property
    def events(self) -> list[Event]:
        """What the venue delivered."""
        return self.session.events

    @property
    def links(self) -> list[Link]:
        """Every link made: the first is that of `prepare`, then the WebSocket's."""
        assert self.pair.network is not None
        return self.pair.network.links

    def resting(self) -> list[tuple[Side, Decimal | None]]:
        """Return what alice has at the exchange."""
        account = self.simulator.market.exchange.accounts["alice"]
        return [(order.side, order.price) for order in account.open_orders()]


@asynccontextmanager
async def open_bench(
    changes: Mapping[str, Any] | None = None, **quirks: Any
) -> AsyncIterator[Bench]:
    """Connect a venue to its simulator over streams in memory."""
    async with open_simulated(case(changes, **quirks)) as pair:
        venue = pair.subject.venue
        assert isinstance(venue, MoonbaseVenue)
        assert isinstance(pair.simulator, MoonbaseSimulator)
        await venue.prepare()
        session = Session(pair.subject, venue.instruments[pair.subject.symbol], "bench")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.serve)
            if not quirks.get("quiet"):
                await session.touch()
            await trio.sleep(0.5)
            yield Bench(session=session, pair=pair, simulator=pair.simulator, venue=venue)
            nursery.cancel_scope.cancel()
