"""Finery's adapter, against Finery's simulator, passes the suite that every adapter must pass."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from trio.testing import MockClock

from botkit.testing import VenueUnderTest, check_venue
from botkit.testing.simulated import SimulatedVenueCase, open_simulated
from tests.conformance.sockets import conform_over_tcp, conform_over_tls
from venues.finery.simulator import FinerySimulator
from venues.finery.venue import FineryVenue


def options(base: str) -> Mapping[str, Any]:
    return {
        "url": f"{base}/ws",
        "rest_url": f"{base.replace('ws', 'http', 1)}/api",
        "key": "test-key-alice",
        "secret": "test-secret-alice",
        "fees": {"maker_bps": "1", "taker_bps": "3"},
    }


def case(pace: float = 1.0, **quirks: object) -> SimulatedVenueCase:
    return SimulatedVenueCase(
        simulator=FinerySimulator,
        venue=FineryVenue.from_setup,
        options=options,
        symbol="finery:BTC-EUR",
        qty=Decimal("0.01"),
        quirks=quirks,
        pace=pace,
    )


@pytest.mark.parametrize("reply_first", [True, False, None])
async def test_finery_conforms_in_memory(reply_first: object, autojump_clock: MockClock) -> None:
    @asynccontextmanager
    async def open_finery() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(case(reply_first=reply_first)) as pair:
            yield pair.subject

    report = await check_venue(open_finery)
    assert [each.name for each in report.skipped] == []


async def test_finery_conforms_over_tcp() -> None:
    await conform_over_tcp(case(pace=4.0))


async def test_finery_conforms_over_tls() -> None:
    await conform_over_tls(case(pace=4.0))
