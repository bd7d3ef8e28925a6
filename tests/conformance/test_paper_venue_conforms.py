"""The paper venue passes the suite that every adapter must pass."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from trio.testing import MockClock

from botkit.clock import LiveClock
from botkit.ports import VenueSetup
from botkit.testing import START_NS, SYMBOL, VenueUnderTest, check_venue
from venues.paper import PaperVenue


def build_paper(options: Mapping[str, Any]) -> PaperVenue:
    table = {
        "feed": {"type": "synthetic", "seed": 3},
        "balances": {"BTC": "100", "EUR": "10000000"},
        "instruments": {"BTC-EUR": {"lot_size": "0.001"}},
        **options,
    }
    setup = VenueSetup(name="paper", options=table, symbols=(SYMBOL,), source="test: venues.paper")
    return PaperVenue.from_setup(setup)


@pytest.mark.parametrize("latency", ["0s", "20ms"])
async def test_the_paper_venue_conforms(latency: str, autojump_clock: MockClock) -> None:
    @asynccontextmanager
    async def open_paper() -> AsyncIterator[VenueUnderTest]:
        yield VenueUnderTest(
            venue=build_paper({"latency": latency}),
            clock=LiveClock(origin_ns=START_NS),
            symbol=SYMBOL,
            qty=Decimal("0.01"),
        )

    report = await check_venue(open_paper)

    assert [each.name for each in report.skipped] == ["resting_order_fills_as_maker"]
    assert len(report.passed) >= 26
    assert "skipped resting_order_fills_as_maker: no counterparty was given" in report.text()
