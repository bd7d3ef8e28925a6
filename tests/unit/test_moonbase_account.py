"""What can be done with a Moonbase account besides trading, against the simulated exchange."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import Network
from botkit.errors import (
    FeedStaleError,
    OrderOutcomeUnknownError,
    VenueAuthenticationError,
    VenueError,
)
from botkit.ports import VenueSetup
from botkit.testing.simulated import START_NS, open_simulated
from tests.unit.moonbase_bench import case, options
from venues.moonbase.account import Account, open_account
from venues.moonbase.simulator import MoonbaseSimulator

ETH = "ETH_D:BTC_D"
NOW_S = START_NS // 1_000_000_000


def setup(now_ns: Callable[[], int]) -> VenueSetup:
    return VenueSetup(
        name="moonbase",
        options=options("ws://exchange.test"),
        symbols=(),
        source="t",
        now_ns=now_ns,
    )


@asynccontextmanager
async def opened(**quirks: Any) -> AsyncIterator[tuple[Account, MoonbaseSimulator, Any]]:
    async with open_simulated(case(**quirks)) as pair:
        assert pair.network is not None
        assert isinstance(pair.simulator, MoonbaseSimulator)
        reach = Network(dial=pair.network.dial)
        async with open_account(setup(pair.subject.clock.now_ns), reach) as account:
            yield account, pair.simulator, pair.network


async def test_tickers_and_candles_are_read_and_candles_asked_for_again_without_a_join(
    autojump_clock: MockClock,
) -> None:
    async with opened(idle_s=1e6) as (account, simulator, _):
        await trio.sleep(130)
        (ticker,) = await account.tickers([ETH])
        assert ticker.symbol == ETH
        first = await account.candles(ETH, NOW_S + 60, NOW_S + 120, 60)
        assert [candle.timestamp for candle in first.candles] == [NOW_S + 60]
        assert first.nearest_before == NOW_S
        again = await account.candles(ETH, NOW_S, NOW_S + 60, 60)
        assert [candle.timestamp for candle in again.candles] == [NOW_S]
        assert again.nearest_before is None
        assert simulator.joins("alice") == 2


@pytest.mark.parametrize("slash", [True, False])
async def test_money_is_looked_at_by_either_spelling(
    slash: object, autojump_clock: MockClock
) -> None:
    async with opened(trailing_slash=slash, quiet=True) as (account, _, _):
        assert await account.deposit_address("BTC_D") == "BTC_D-alice"
        assert [row.amount for row in await account.deposits("BTC_D")] == [Decimal(100)]
        assert await account.withdrawals() == []
        assert [row.symbol for row in await account.positions()] == [ETH, "ETC_D:BTC_D"]


async def test_withdrawal_is_made_once_and_listed(autojump_clock: MockClock) -> None:
    async with opened(quiet=True) as (account, simulator, _):
        made = await account.create_withdrawal("BTC_D", "there", Decimal("1.5"))
        assert (made.asset, made.amount, made.address) == ("BTC_D", Decimal("1.5"), "there")
        assert [row.id for row in await account.withdrawals()] == [made.id]
        held = simulator.market.exchange.accounts["alice"].balances()
        assert next(each.total for each in held if each.currency == "BTC_D") == Decimal("98.5")
        with pytest.raises(VenueError, match="insufficient_funds"):
            await account.create_withdrawal("BTC_D", "there", Decimal(1_000))


async def test_margin_is_assigned(autojump_clock: MockClock) -> None:
    async with opened(quiet=True) as (account, _, _):
        (position,) = await account.assign_margin({ETH: Decimal(10)})
        assert (position.symbol, position.margin) == (ETH, Decimal(10))


async def test_withdrawal_without_an_answer_is_perhaps_made(autojump_clock: MockClock) -> None:
    async with opened(quiet=True) as (account, _, network):
        await account.withdrawals()
        await account.candles(ETH, NOW_S, NOW_S + 60, 60)
        network.links[-1].downward.stall(100)
        with pytest.raises(OrderOutcomeUnknownError, match="do not repeat it"):
            await account.create_withdrawal("BTC_D", "there", Decimal(1))
        with pytest.raises(VenueError, match="not answered in time"):
            await account.positions()
        with pytest.raises(FeedStaleError, match="no answer to get_snapshot"):
            await account.candles(ETH, NOW_S, NOW_S + 60, 60)


async def test_call_that_the_venue_refuses_says_why(autojump_clock: MockClock) -> None:
    async with opened(quiet=True, joins_an_hour=1, requests_a_minute=0, error_place="bare") as (
        account,
        _,
        _,
    ):
        await account.positions()
        with pytest.raises(VenueError, match="rate_limit_exceeded"):
            await account.assign_margin({ETH: Decimal(1)})
        with pytest.raises(VenueError, match=r"rate_limit_exceeded.*joining /deposits"):
            await account.deposits()


async def test_key_that_does_not_hold_is_an_authentication_error(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case(signature="client")) as pair:
        assert pair.network is not None
        reach = Network(dial=pair.network.dial)
        with pytest.raises(VenueAuthenticationError, match="clock and signature"):
            async with open_account(setup(pair.subject.clock.now_ns), reach):
                pass
