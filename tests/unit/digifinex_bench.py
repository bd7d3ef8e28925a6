"""A DigiFinex venue beside its simulator, for tests: what was delivered, and ways to act."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import trio

from botkit.model import Event, Side
from botkit.testing.conformance_session import Session
from botkit.testing.simulated import SimulatedVenueCase, SimulatedVenuePair, open_simulated
from venues.digifinex.simulator import DigiFinexSimulator
from venues.digifinex.venue import DigiFinexVenue

__all__ = ["Bench", "case", "open_bench", "options"]

WAIVED = {"accepts_MARKET": "a market buy is told in the money to spend, not in a quantity"}


def options(base: str, **changes: Any) -> Mapping[str, Any]:
    """Return the venue's table of the config."""
    return {
        "url": f"{base}/ws/v1/",
        "rest_url": f"{base.replace('ws', 'http', 1)}/v3",
        "key": "test-key-alice",
        "secret": "test-secret-alice",
        "fees": {"maker_bps": "10", "taker_bps": "20"},
        **changes,
    }


def case(
    changes: Mapping[str, Any] | None = None, *, pace: float = 1.0, **quirks: object
) -> SimulatedVenueCase:
    """Return both ends, `changes` made to the venue's options."""
    return SimulatedVenueCase(
        simulator=DigiFinexSimulator,
        venue=DigiFinexVenue.from_setup,
        options=lambda base: options(base, **(changes or {})),
        symbol="digifinex:BTC_USDT",
        qty=Decimal("0.01"),
        quirks=quirks,
        waived=WAIVED,
        pace=pace,
    )


@attrs.frozen(kw_only=True)
class Bench:
    """A session that is connected, and the exchange behind it."""

    session: Session
    pair: SimulatedVenuePair
    simulator: DigiFinexSimulator

    @property
    def events(self) -> list[Event]:
        """What the venue delivered."""
        return self.session.events

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
        await venue.prepare()
        session = Session(pair.subject, venue.instruments[pair.subject.symbol], "bench")
        assert isinstance(pair.simulator, DigiFinexSimulator)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.serve)
            await session.touch()
            yield Bench(session=session, pair=pair, simulator=pair.simulator)
            nursery.cancel_scope.cancel()
