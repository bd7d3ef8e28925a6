"""BlinkTrade's adapter, against its simulator, passes the suite that every adapter must pass."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trustme
from trio.testing import MockClock

from botkit.testing import VenueUnderTest, check_venue
from botkit.testing.simulated import open_simulated
from tests.unit.blinktrade_bench import case

LACKING = ["ioc_rest_is_canceled", "replace_changes_the_order"]  # the venue has neither
EVERY_TYPE = {"ord_types": ["LIMIT", "MARKET", "STOP", "STOP_LIMIT"]}
PRODUCTION: Mapping[str, Any] = {}
SERVER_OF_2015 = {
    "ignores_cod": True,
    "locked": False,
    "no_funds": "cancel",
    "taker_fees": False,
    "post_only_end": "4",
}


@pytest.mark.parametrize(
    "quirks", [PRODUCTION, SERVER_OF_2015, {"interleave": False, "late_cancel": "reject"}]
)
async def test_blinktrade_conforms_in_memory(
    quirks: Mapping[str, Any], autojump_clock: MockClock
) -> None:
    @asynccontextmanager
    async def open_blinktrade() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(case(EVERY_TYPE, **quirks)) as pair:
            yield pair.subject

    report = await check_venue(open_blinktrade)
    assert [each.name for each in report.skipped] == LACKING


async def test_blinktrade_conforms_over_tcp() -> None:
    @asynccontextmanager
    async def open_blinktrade() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(case(FASTER, pace=4.0), "tcp") as pair:
            yield attrs.evolve(pair.subject, quiet_s=0.3)

    await check_venue(open_blinktrade)


async def test_blinktrade_conforms_over_tls() -> None:
    authority = trustme.CA()
    server_ssl = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server_ssl)
    client_ssl = ssl.create_default_context()
    authority.configure_trust(client_ssl)

    @asynccontextmanager
    async def open_blinktrade() -> AsyncIterator[VenueUnderTest]:
        async with open_simulated(
            case(FASTER, pace=4.0), "tls", server_ssl=server_ssl, client_ssl=client_ssl
        ) as pair:
            yield attrs.evolve(pair.subject, quiet_s=0.3)

    await check_venue(open_blinktrade)


FASTER = {"cancel_within": "100ms"}
