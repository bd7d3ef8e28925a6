"""Account calls: their tables, what they are given, and what the venues' simulators answer."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
import trio
from trio.testing import MockClock

from botkit import Side
from botkit.adapter import Network
from botkit.adapter.account import AccountCall, AccountDesk, AccountParameter, Kind
from botkit.config import Secret
from botkit.errors import ConfigError, VenueAuthenticationError
from botkit.matching.exchange import OrderTerms
from botkit.model import Instrument
from botkit.ports import VenueSetup
from botkit.testing.simulated import Over, SimulatedVenueCase, open_simulated
from tests.unit import blinktrade_bench, finery_bench, moonbase_bench
from venues.blinktrade.calls import account_calls as blinktrade_calls
from venues.finery.account import account_calls as finery_calls
from venues.moonbase.calls import account_calls as moonbase_calls

USER: dict[str, Any] = {"key": "alice", "password": "test-password-alice"}
Build = Callable[[VenueSetup, Network | None], AccountDesk[Any]]


# --- a desk of our own ----------------------------------------------------------------------------


class Row(msgspec.Struct):
    """What a call may answer with."""

    qty: Decimal
    pair: tuple[int, Decimal]


@attrs.frozen
class Key:
    """Likewise, with something that must not be shown."""

    secret: Secret


PARAMETERS = (
    AccountParameter(name="asset", help="What."),
    AccountParameter(name="qty", kind=Kind.NUMBER, help="How much."),
    AccountParameter(name="count", kind=Kind.INTEGER, help="How often.", default=1),
    AccountParameter(name="sure", kind=Kind.YES_NO, help="Whether.", default=False),
    AccountParameter(name="tags", kind=Kind.TEXTS, help="Words.", default=()),
    AccountParameter(name="terms", kind=Kind.JSON, help="By name.", default=None),
)


async def echo(_account: str, values: Mapping[str, Any]) -> object:
    """Answer with what was given."""
    await trio.lowlevel.checkpoint()
    return values


SEND = AccountCall[str](
    name="send",
    help="Send it.",
    run=echo,
    parameters=PARAMETERS,
    moves="sends {qty} {asset}, {tags} and {terms}",
)


def test_parameters_are_read_from_text() -> None:
    given = {
        "asset": "BTC", "qty": "1e-7", "count": "3", "sure": "true", "tags": "a, b",
        "terms": '{"x": [1]}',
    }  # fmt: skip
    values = SEND.read(given, "send")
    assert values == {
        "asset": "BTC", "qty": Decimal("1e-7"), "count": 3, "sure": True, "tags": ["a", "b"],
        "terms": {"x": [1]},
    }  # fmt: skip
    assert SEND.consequence(values) == 'sends 0.0000001 BTC, ["a", "b"] and {"x": [1]}'
    assert SEND.read({"asset": "BTC", "qty": "1"}, "send")["count"] == 1


def test_all_that_is_wrong_with_parameters_is_said_at_once() -> None:
    given = {"qty": "much", "count": "1.5", "sure": "yes", "terms": "[1]", "colour": "red"}
    with pytest.raises(ConfigError) as caught:
        SEND.read(given, "account x send")
    text = str(caught.value)
    for part in (
        "found parameter 'colour', allowed: asset, qty, count",
        "asset is missing; give asset=VALUE",
        "qty: found 'much', allowed: a number such as 0.1",
        "count: found '1.5', allowed: an integer",
        "sure: found 'yes', allowed: true or false",
        "terms: found '[1]', allowed: a JSON object",
    ):
        assert f"account x send: {part}" in text
    with pytest.raises(ConfigError, match="allowed: a number"):
        SEND.read({"asset": "BTC", "qty": "nan"}, "send")


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        (None, []),
        ({"a": Decimal("1E-7")}, [{"a": "0.0000001"}]),
        ([Row(Decimal("1.50"), (1, Decimal(2)))], [{"qty": "1.50", "pair": (1, "2")}]),
        (Key(Secret("hush")), [{"secret": "***"}]),
        (("x", "y"), [{"value": "x"}, {"value": "y"}]),
    ],
)
async def test_answers_become_rows_of_plain_values(
    answer: object, rows: list[dict[str, Any]]
) -> None:
    @asynccontextmanager
    async def nothing() -> AsyncIterator[str]:
        yield "account"

    async def tell(account: str, _: Mapping[str, Any]) -> object:
        assert account == "account"
        await trio.lowlevel.checkpoint()
        return answer

    desk = AccountDesk(nothing, [AccountCall[str](name="tell", help="Tell.", run=tell)])
    assert await desk.call("tell", {}) == rows


# --- the venues -----------------------------------------------------------------------------------


@asynccontextmanager
async def opened(
    case: SimulatedVenueCase,
    build: Build,
    *,
    over: Over = "memory",
    **changes: Any,
) -> AsyncIterator[tuple[AccountDesk[Any], Any]]:
    """Run a simulator; give its account's calls, and both ends."""
    async with open_simulated(case, over) as pair:
        venue: Any = pair.subject.venue
        base = "ws://exchange.test"
        setup = VenueSetup(
            name="here",
            options={**case.options(base), **changes},
            symbols=(),
            source="a.toml: venues.here",
            now_ns=pair.subject.clock.now_ns,
        )
        yield build(setup, venue.network), pair


async def ask(desk: AccountDesk[Any], name: str, **given: str) -> list[dict[str, Any]]:
    """Do what `botkit account` does, a moment later: nonces come from the clock."""
    await trio.sleep(0.001)
    return await desk.call(name, desk.calls[name].read(given, name))


async def test_finery_tells_what_is_held_and_what_may_be_traded(autojump_clock: MockClock) -> None:
    async with opened(finery_bench.case(), finery_calls) as (desk, _):
        held = await ask(desk, "positions")
        assert sum(Decimal(row["held"]) for row in held if row["currency"] == "BTC") == 10
        assert {row["counterparty"] for row in held} == {12, 13}
        limits = await ask(desk, "limits")
        assert {row["currency"] for row in limits} == {"BTC", "ETH", "EUR"}
        assert all(
            Decimal(row["free"]) == Decimal(row["net"]) - Decimal(row["net_used"]) for row in limits
        )
        assert await ask(desk, "climits") == limits
        listed = await ask(desk, "instruments")
        assert listed[0] == {
            "instrument": "BTC-EUR", "number": 41, "base": "BTC", "quote": "EUR",
            "lot_size": "0.00001000",
        }  # fmt: skip


async def test_finery_tells_our_deals_page_by_page(autojump_clock: MockClock) -> None:
    async with opened(attrs.evolve(finery_bench.case(), quiet=True), finery_calls) as (desk, pair):
        exchange, now_ns = pair.simulator.market.exchange, pair.simulator.market.catch_up()
        instrument: Instrument = exchange.markets["BTC-EUR"].instrument
        for n in range(3):
            for account, side in (("bob", Side.SELL), ("alice", Side.BUY)):
                terms = order_terms(instrument, side, Decimal(50_000 + n))
                pair.simulator.market.tell(exchange.submit(account, terms, now_ns))
        deals = await ask(desk, "deals", instrument="BTC-EUR", limit="2")
        assert [Decimal(row["price"]) for row in deals] == [50_002, 50_001]
        assert {(row["side"], Decimal(row["qty"])) for row in deals} == {("BUY", Decimal("0.1"))}
        (rest,) = await ask(desk, "deals", till=str(deals[-1]["deal_id"]))
        assert Decimal(rest["price"]) == 50_000
        assert await ask(desk, "deals", since_ms=str(now_ns // 1_000_000 + 1)) == []


def order_terms(instrument: Instrument, side: Side, price: Decimal) -> OrderTerms:
    return OrderTerms(symbol=instrument.name, side=side, order_qty=Decimal("0.1"), price=price)


async def test_finery_over_loopback_refuses_a_wrong_secret() -> None:
    case = finery_bench.case()
    async with opened(case, finery_calls, over="tcp") as (_, pair):
        venue = pair.subject.venue
        urls = {"url": venue.options.url, "rest_url": venue.options.rest_url}
        for secret, held in (("test-secret-alice", True), ("guessed", False)):
            setup = VenueSetup(
                name="here",
                options={**urls, "key": "test-key-alice", "secret": secret},
                symbols=(),
                source="a.toml: venues.here",
                now_ns=pair.subject.clock.now_ns,
            )
            desk = finery_calls(setup)
            if held:
                assert await ask(desk, "positions")
            else:
                with pytest.raises(VenueAuthenticationError, match="look at key, secret"):
                    await ask(desk, "positions")


async def test_blinktrade_keys_are_made_and_revoked_by_name(autojump_clock: MockClock) -> None:
    async with opened(blinktrade_bench.case(), blinktrade_calls, **USER) as (desk, _):
        assert [row["broker_id"] for row in await ask(desk, "brokers")] == [5, 11]
        call = desk.calls["create-api-key"]
        given = {"label": "bot", "permissions": '{"D": []}', "addresses": "10.0.0.1"}
        assert call.consequence(call.read(given, "x")) == (
            'makes an API key bot that may do {"D": []}, from ["10.0.0.1"]'
        )
        (made,) = await ask(desk, "create-api-key", **given)
        assert len(made["secret"]) > 8, "told once, so it has to be shown"
        assert "*" not in made["password"]
        keys = [row["key"] for row in await ask(desk, "api-keys")]
        assert keys == ["test-key-alice", made["key"]]
        assert await ask(desk, "revoke-api-key", key=made["key"]) == []
        assert len(await ask(desk, "api-keys")) == 1


async def test_blinktrade_profile_and_password_are_changed(autojump_clock: MockClock) -> None:
    async with opened(blinktrade_bench.case(), blinktrade_calls, **USER) as (desk, _):
        await ask(desk, "update-profile", fields='{"Country": "BR"}')
        await ask(desk, "change-password", new="another-password")
        with pytest.raises(VenueAuthenticationError):
            await ask(desk, "brokers")


async def test_moonbase_money_is_looked_at_and_sent(autojump_clock: MockClock) -> None:
    async with opened(moonbase_bench.case(), moonbase_calls) as (desk, pair):
        await trio.sleep(130)
        now_s = pair.subject.clock.now_ns() // 1_000_000_000
        assert len(await ask(desk, "tickers", symbols="ETH_D:BTC_D")) == 1
        assert await ask(
            desk, "candles", symbol="ETH_D:BTC_D", since_s=str(now_s - 120), to_s=str(now_s),
            resolution_s="60",
        )  # fmt: skip
        (address,) = await ask(desk, "deposit-address", asset="BTC_D")
        assert address["address"]
        (sent,) = await ask(desk, "withdraw", asset="BTC_D", address="elsewhere", amount="0.1")
        assert sent in await ask(desk, "withdrawals", asset="BTC_D")
        assert isinstance(await ask(desk, "deposits"), list)


async def test_moonbase_margin_is_assigned_by_market(autojump_clock: MockClock) -> None:
    async with opened(moonbase_bench.case(), moonbase_calls) as (desk, _):
        before = await ask(desk, "positions")
        name = before[0]["symbol"] if before else "ETH_D:BTC_D"
        assert await ask(desk, "assign-margin", margins=json.dumps({name: "0.1"}))
        with pytest.raises(ConfigError, match="found 'much', allowed: a number"):
            await ask(desk, "assign-margin", margins='{"X:Y": "much"}')


@pytest.mark.parametrize("build", [finery_calls, blinktrade_calls, moonbase_calls])
def test_nothing_connects_until_a_call_is_made(build: Build) -> None:
    """Their lists can be had without keys; each names its calls and parameters once."""
    desk = build(VenueSetup(name="here", options={}, symbols=(), source="t"), None)
    assert desk.calls
    for call in desk.calls.values():
        names = [each.name for each in call.parameters]
        assert len(names) == len(set(names))
        given = {each.name: each.name for each in call.parameters}
        call.moves.format(**given)  # names no parameter that it has not


@pytest.mark.parametrize(
    ("build", "moves"),
    [
        (finery_calls, []),
        (
            blinktrade_calls,
            ["create-api-key", "revoke-api-key", "update-profile", "change-password"],
        ),
        (moonbase_calls, ["withdraw", "assign-margin"]),
    ],
)
def test_what_moves_money_or_rights_says_so(build: Build, moves: list[str]) -> None:
    desk = build(VenueSetup(name="here", options={}, symbols=(), source="t"), None)
    assert [call.name for call in desk.calls.values() if call.moves] == moves


def test_no_venue_has_a_way_to_its_account_calls() -> None:
    """What is given to an engine can be had without a module of them being imported."""
    code = (
        "import sys\n"
        "import botkit.assembly, botkit.engine, botkit.shell, botkit.live, venues.paper\n"
        "import venues.blinktrade, venues.finery, venues.moonbase\n"
        "bad = [n for n in sys.modules if n == 'botkit.adapter.account'\n"
        "       or n.startswith('venues.') and n.rpartition('.')[2] in ('account', 'calls')]\n"
        "assert not bad, bad\n"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)  # noqa: S603  our own code
