"""Moonbase's adapter passes the suite that every adapter must pass, against its simulator."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from trio.testing import MockClock

from botkit.testing import VenueUnderTest, check_venue
from botkit.testing.simulated import SimulatedVenueCase, open_simulated
from tests.conformance.sockets import conform_over_tcp, conform_over_tls
from venues.moonbase.simulator import MoonbaseSimulator
from venues.moonbase.venue import MoonbaseVenue


def options(base: str) -> Mapping[str, Any]:
    return {
        "url": f"{base}/socket/api/websocket",
        "rest_url": f"{base.replace('ws', 'http', 1)}/api/v1",
        "key": "test-key-alice",
        "secret": "test-secret-alice",
    }


def case(pace: float = 1.0, **quirks: object) -> SimulatedVenueCase:
    return SimulatedVenueCase(
        simulator=MoonbaseSimulator,
        venue=MoonbaseVenue.from_setup,
        options=options,
        symbol="moonbase:ETH_D:BTC_D",
        qty=Decimal("0.5"),
        quirks=quirks,
        pace=pace,
    )


SKIPPED = ["ioc_rest_is_canceled", "post_only_never_takes", "replace_changes_the_order"]


@pytest.mark.parametrize(
    "quirks",
    [
        {"reply_first": True, "join_ref": True, "error_place": "response"},
        {"reply_first": False, "join_ref": False, "trailing_slash": True, "trade_sign": False},
    ],
)
async def test_moonbase_conforms_in_memory(
    quirks: dict[str, Any], autojump_clock: MockClock
) -> None:
    @asynccontextmanager
    async def open_moonbase() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(case(**quirks)) as pair:
            yield pair.subject

    report = await check_venue(open_moonbase)
    assert [each.name for each in report.skipped] == SKIPPED


async def test_moonbase_conforms_over_tcp() -> None:
    await conform_over_tcp(case(pace=4.0))


async def test_moonbase_conforms_over_tls() -> None:
    await conform_over_tls(case(pace=4.0))
