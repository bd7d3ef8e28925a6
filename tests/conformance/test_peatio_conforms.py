"""Peatio's adapter, both generations, passes the suite that every adapter must pass."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import pytest
import trustme
from trio.testing import MockClock

from botkit.testing import VenueUnderTest, check_venue
from botkit.testing.simulated import SimulatedVenueCase, open_simulated
from venues.peatio.issuer import Issuer
from venues.peatio.simulator import PeatioSimulator
from venues.peatio.venue import PeatioVenue

GENERATIONS = ("websocket_api", "ranger")
LACKS = ["ioc_rest_is_canceled", "post_only_never_takes", "replace_changes_the_order"]
TOKEN = Issuer().members[0].secret


def case(generation: str, pace: float = 1.0, **quirks: object) -> SimulatedVenueCase:
    def options(base: str) -> Mapping[str, Any]:
        first = generation == "websocket_api"
        return {
            "generation": generation,
            "url": f"{base}/" if first else f"{base}/api/v2/ranger",
            "rest_url": f"{base.replace('ws', 'http', 1)}/api/v2",
            "token": TOKEN,
            "fees": {"maker_bps": "20", "taker_bps": "20"},
            "instruments": {"btcusd": {"tick_size": "0.01", "lot_size": "0.0001"}},
        }

    return SimulatedVenueCase(
        simulator=PeatioSimulator,
        venue=PeatioVenue.from_setup,
        options=options,
        symbol="peatio:btcusd",
        qty=Decimal("0.01"),
        quirks=quirks,
        pace=pace,
    )


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    "quirks",
    [
        {"answer_first": True, "trades_first": True},
        {"answer_first": False, "trades_first": False},
        {"enclosed_ahead": False, "cancel_delay_s": 0.5, "flat_pairs": None},
    ],
    ids=["answer_first", "events_first", "drawn"],
)
async def test_peatio_conforms_in_memory(
    generation: str, quirks: Mapping[str, Any], autojump_clock: MockClock
) -> None:
    @asynccontextmanager
    async def open_peatio() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(case(generation, **quirks)) as pair:
            yield pair.subject

    report = await check_venue(open_peatio)
    assert [each.name for each in report.skipped] == LACKS


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_peatio_conforms_over_tcp(generation: str) -> None:
    @asynccontextmanager
    async def open_peatio() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(case(generation, pace=4.0), "tcp") as pair:
            yield attrs.evolve(pair.subject, quiet_s=0.3)

    await check_venue(open_peatio)


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_peatio_conforms_over_tls(generation: str) -> None:
    authority = trustme.CA()
    server_ssl = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_ssl)
    client_ssl = ssl.create_default_context()
    authority.configure_trust(client_ssl)

    @asynccontextmanager
    async def open_peatio() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(
            case(generation, pace=4.0), "tls", server_ssl=server_ssl, client_ssl=client_ssl
        ) as pair:
            yield attrs.evolve(pair.subject, quiet_s=0.3)

    await check_venue(open_peatio)
