"""DigiFinex's adapter, against its simulator, passes the suite that every adapter must pass."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from trio.testing import MockClock

from botkit.testing import VenueUnderTest, check_venue
from botkit.testing.simulated import open_simulated
from tests.conformance.sockets import conform_over_tcp, conform_over_tls
from tests.unit.digifinex_bench import case

LACKS = {
    "accepts_MARKET",  # a market buy's amount is the money to spend
    "ioc_rest_is_canceled",  # no time in force
    "replace_changes_the_order",  # no such call
}


@pytest.mark.parametrize(
    "quirks",
    [
        {"push_first": True, "text_replies": True, "code_as_text": True, "numbers": True},
        {"push_first": False, "text_replies": False, "code_as_text": False, "numbers": False},
        {"lower_case": True, "lingers": True, "whole_every": 3, "adds_up": True},
        {"repeats": 0.5, "disorder": 0.5, "post_only_taking": "reject"},
    ],
    ids=["pushes first", "answers first", "other spellings", "out of order"],
)
async def test_digifinex_conforms_in_memory(
    quirks: dict[str, Any], autojump_clock: MockClock
) -> None:
    @asynccontextmanager
    async def open_digifinex() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(case(**quirks)) as pair:
            yield pair.subject

    report = await check_venue(open_digifinex)
    assert {each.name for each in report.skipped} == LACKS


async def test_digifinex_conforms_over_tcp() -> None:
    await conform_over_tcp(case(pace=4.0))


async def test_digifinex_conforms_over_tls() -> None:
    await conform_over_tls(case(pace=4.0))
