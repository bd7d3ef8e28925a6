"""BlinkTrade's account calls, against its simulator."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from trio.testing import MockClock

from botkit.adapter import Network
from botkit.config import Secret
from botkit.errors import ConfigError, VenueAuthenticationError, VenueError
from botkit.ports import VenueSetup
from botkit.testing.simulated import START_NS, SimulatedVenuePair, open_simulated
from tests.unit.blinktrade_bench import case, options
from venues.blinktrade.account import Account, open_account
from venues.blinktrade.simulator import BlinkTradeSimulator

USER = {"key": "alice", "password": "test-password-alice"}


@asynccontextmanager
async def opened(
    **quirks: Any,
) -> AsyncIterator[tuple[Account, SimulatedVenuePair]]:
    async with (
        open_simulated(case(**quirks)) as pair,
        account_of(pair, **USER) as account,
    ):
        yield account, pair


@asynccontextmanager
async def account_of(pair: SimulatedVenuePair, **changes: Any) -> AsyncIterator[Account]:
    assert pair.network is not None
    setup = VenueSetup(
        name="blinktrade",
        options=options("ws://exchange.test", **changes),
        symbols=(),
        source="a.toml: venues.blinktrade",
        now_ns=lambda: START_NS,
    )
    async with open_account(setup, Network(dial=pair.network.dial)) as account:
        yield account


async def test_brokers_are_listed(autojump_clock: MockClock) -> None:
    async with opened() as (account, _):
        brokers = await account.brokers()
    assert [(each.broker_id, each.short_name) for each in brokers] == [
        (5, "testnet"), (11, "bitcambio"),
    ]  # fmt: skip
    assert brokers[0].more["Currencies"] == "BTC,USD"


@pytest.mark.parametrize("kind", ["U51", "U50"])
async def test_keys_are_made_listed_used_and_revoked(kind: str, autojump_clock: MockClock) -> None:
    async with opened(key_list=kind) as (account, pair):
        made = await account.create_api_key("bot", {"D": [["Side", "eq", "1"]], "U2": []})
        listed = await account.api_keys()
        assert [each.key for each in listed] == ["test-key-alice", made.key]
        assert (listed[1].label, listed[1].addresses) == ("bot", [])
        assert listed[1].permissions == {"D": [["Side", "eq", "1"]], "U2": []}
        password = made.password.reveal()
        assert password not in repr(made)
        async with account_of(pair, key=made.key, password=password):
            pass
        await account.revoke_api_key(made.key)
        assert [each.key for each in await account.api_keys()] == ["test-key-alice"]
        with pytest.raises(VenueAuthenticationError):
            async with account_of(pair, key=made.key, password=password):
                pass


async def test_long_lists_are_read_page_by_page(autojump_clock: MockClock) -> None:
    async with opened() as (account, pair):
        assert isinstance(pair.simulator, BlinkTradeSimulator)
        for _ in range(45):
            await account.create_api_key("bot", {"U2": []}, addresses=["127.0.0.1"])
        listed = await account.api_keys()
    assert len({each.key for each in listed}) == 46
    assert listed[-1].addresses == ["127.0.0.1"]


async def test_password_is_changed_with_the_old_one(autojump_clock: MockClock) -> None:
    async with opened() as (account, pair):
        await account.change_password(Secret("new-password"))
        async with account_of(pair, **{**USER, "password": "new-password"}):
            pass
        with pytest.raises(VenueError, match="password stands: MSG_LOGIN_ERROR_INVALID_PASSWORD"):
            await account.change_password(Secret("another"))  # the old one holds no more


async def test_profile_is_updated(autojump_clock: MockClock) -> None:
    async with opened() as (account, pair):
        await account.update_profile({"State": "NY"})
        assert isinstance(pair.simulator, BlinkTradeSimulator)
        assert pair.simulator.accounts["alice"].profile == {"State": "NY"}


async def test_what_is_not_allowed_ends_the_connection(autojump_clock: MockClock) -> None:
    async with open_simulated(case()) as pair:
        with pytest.raises(VenueAuthenticationError, match="Not authorized"):
            async with account_of(pair) as account:
                await account.api_keys()


async def test_answers_of_another_kind_are_errors(autojump_clock: MockClock) -> None:
    async with opened() as (account, pair):
        assert isinstance(pair.simulator, BlinkTradeSimulator)
        requests = pair.simulator.requests
        requests.private = {
            **requests.private,
            "U38": lambda _, asked, __: [{"MsgType": "U43", "PositionReqID": asked["UpdateReqID"]}],
            "U54": lambda _, asked, __: [
                {"MsgType": "U55", "APIKeyRevokeReqID": asked["APIKeyRevokeReqID"], "APIKey": "x"}
            ],
        }
        with pytest.raises(VenueError, match="answered by PositionsReply"):
            await account.update_profile({})
        with pytest.raises(VenueError, match="another key: 'x'"):
            await account.revoke_api_key("test-key-alice")


async def test_errors_of_the_callers_own_leave_as_they_are(autojump_clock: MockClock) -> None:
    async with open_simulated(case()) as pair:
        with pytest.raises(LookupError, match="mine"):
            async with account_of(pair, **USER):
                raise LookupError("mine")


async def test_key_and_password_are_needed(autojump_clock: MockClock) -> None:
    plain = dict(options("ws://exchange.test"))
    del plain["password"]
    setup = VenueSetup(name="b", options=plain, symbols=(), source="a.toml: venues.b")
    with pytest.raises(ConfigError, match=r"venues\.b: password"):
        async with open_account(setup):
            pass
