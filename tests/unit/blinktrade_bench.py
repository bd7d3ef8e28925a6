"""A BlinkTrade venue beside its simulator, for tests: what was delivered, and ways to act."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import trio

from botkit.model import Event, Side, VenueStatus
from botkit.testing.conformance_session import Session
from botkit.testing.simulated import SimulatedVenueCase, SimulatedVenuePair, open_simulated
from venues.blinktrade.simulator import BlinkTradeSimulator
from venues.blinktrade.venue import BlinkTradeVenue

__all__ = ["Bench", "case", "open_bench", "options"]


def options(base: str, **changes: Any) -> Mapping[str, Any]:
    """Return the venue's table of the config."""
    return {
        "url": f"{base}/trade/",
        "rest_url": f"{base.replace('ws', 'http', 1)}/tapi/v1",
        "broker_id": 5,
        "key": "test-key-alice",
        "password": "test-password-alice",
        "fees": {"maker_bps": "5", "taker_bps": "10"},
        "instruments": {"BTCUSD": {"lot_size": "0.000001"}},
        **changes,
    }


def case(
    changes: Mapping[str, Any] | None = None,
    *,
    pace: float = 1.0,
    quiet: bool = False,
    seed: int = 1,
    **quirks: object,
) -> SimulatedVenueCase:
    """Return both ends, `changes` made to the venue's options."""
    return SimulatedVenueCase(
        simulator=BlinkTradeSimulator,
        venue=BlinkTradeVenue.from_setup,
        options=lambda base: options(base, **(changes or {})),
        symbol="blinktrade:BTCUSD",
        qty=Decimal("0.01"),
        quirks=quirks,
        pace=pace,
        quiet=quiet,
        seed=seed,
    )


@attrs.frozen(kw_only=True)
class Bench:
    """A session that is connected, and the exchange behind it."""

    session: Session
    pair: SimulatedVenuePair
    simulator: BlinkTradeSimulator

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
        assert isinstance(pair.simulator, BlinkTradeSimulator)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.serve)
            await session.expect(VenueStatus, "VenueStatus that is up", lambda status: status.up)
            await session.touch()
            yield Bench(session=session, pair=pair, simulator=pair.simulator)
            nursery.cancel_scope.cancel()
