"""The simulated DigiFinex: who it lets in, its socket and its rates, as its pages say."""

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.errors import ConfigError, HandshakeRefusedError, VenueDisconnectedError
from botkit.testing.simulated import START_NS
from tests.unit.digifinex_simulator_bench import KEY, NOW_S, SECRET, client, serving
from venues.digifinex import wire
from venues.digifinex.simulator import DigiFinexSimulator

SUCCESS = {"status": "success"}


# --- signing in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({}, 0),
        ({"key": "nobody"}, 10002),
        ({"secret": "wrong"}, 10003),
        ({"ahead_s": 61}, 10008),
        ({"ahead_s": -61}, 10008),
        ({"ahead_s": -59}, 0),
    ],
)
async def test_rest_checks_key_signature_and_time(
    terms: dict[str, Any], code: int, autojump_clock: MockClock
) -> None:
    async with serving() as served:
        assert (await served.call("GET", "/spot/assets", **terms))["code"] == code


async def test_signature_covers_the_parameters_as_sent(autojump_clock: MockClock) -> None:
    async with serving() as served:
        headers = wire.rest_headers(KEY, SECRET, "order_id=a", timestamp_s=NOW_S)
        reply = await served.http.request("GET", "/spot/order?order_id=b", headers=headers)
    assert int(json.loads(reply.body)["code"]) == 10003


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", "/spot/order/new", 10001), ("GET", "/nothing", 10009), ("GET", "/ping", 0)],
)
async def test_wrong_method_and_endpoint_are_told_apart(
    method: str, path: str, code: int, autojump_clock: MockClock
) -> None:
    async with serving() as served:
        assert (await served.call(method, path))["code"] == code


@pytest.mark.parametrize(
    ("secret", "ahead_ms", "key"),
    [("wrong", 0, KEY), (SECRET, 61_000, KEY), (SECRET, -61_000, KEY), (SECRET, 0, "nobody")],
)
async def test_socket_signs_in_only_who_holds_the_key_now(
    secret: str, ahead_ms: int, key: str, autojump_clock: MockClock
) -> None:
    async with serving() as served, client(served) as alice:
        refused = await alice.auth(secret, ahead_ms=ahead_ms, key=key)
        without = await alice.ask("order.subscribe", "BTC_USDT")
        good = await alice.auth()
        with_it = await alice.ask("order.subscribe", "BTC_USDT")
    assert [refused["error"]["code"], without["error"]["code"]] == [6, 6]
    assert [good["result"], with_it["result"]] == [SUCCESS, SUCCESS]


async def test_quirk_it_has_not_is_an_error_that_lists_those_it_has() -> None:
    setup = SimulatorSetup(clock=LiveClock(origin_ns=START_NS), quirks={"linger": True})
    with pytest.raises(ConfigError, match=r"found 'linger', allowed: .*lingers"):
        DigiFinexSimulator(setup)


# --- the socket ---------------------------------------------------------------------------------


async def test_answers_are_zlib_at_various_levels_or_text(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as anyone:
        for _ in range(40):
            assert (await anyone.ask("server.ping"))["result"] == "pong"
        headers = {frame[:2] for frame in anyone.raw}
    assert b'{"' in headers
    assert {b"\x78\x01", b"\x78\x9c", b"\x78\xda"} <= headers


async def test_time_is_told_in_seconds(autojump_clock: MockClock) -> None:
    async with serving(level=9, text_replies=False) as served, client(served) as anyone:
        assert (await anyone.ask("server.time"))["result"] == NOW_S


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("server.nothing", [], 4),
        ("depth.unheard", [], 4),
        ("server.auth", ["a"], 1),
        ("depth.subscribe", ["DOGE_USDT"], 1),
    ],
)
async def test_bad_request_is_answered_by_an_error(
    method: str, params: list[str], code: int, autojump_clock: MockClock
) -> None:
    async with serving() as served, client(served) as anyone:
        await anyone.link.send("no json")
        assert (await anyone.ask(method, *params))["error"]["code"] == code


async def test_silent_client_is_cut_off_though_data_flow(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as anyone:
        await anyone.ask("depth.subscribe", "BTC_USDT")
        began = trio.current_time()
        with pytest.raises(VenueDisconnectedError):
            await anyone.drain()
        assert 59 <= trio.current_time() - began <= 61
        assert anyone.link.close_code == 1006


async def test_every_link_is_cut_off_after_two_hours(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as anyone:
        began = trio.current_time()
        with pytest.raises(VenueDisconnectedError):
            await anyone.drain(ping_every_s=50)
        assert 7_150 <= trio.current_time() - began <= 7_260


async def test_handshake_may_be_answered_502(autojump_clock: MockClock) -> None:
    async with serving(handshake_502=1.0) as served:
        with pytest.raises(HandshakeRefusedError) as refused:
            async with client(served):
                pass
    assert refused.value.status == 502


# --- rates and conduct --------------------------------------------------------------------------


async def test_too_many_calls_are_shut_out_for_five_minutes(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served:
        codes = [(await served.call("GET", "/spot/assets"))["code"] for _ in range(181)]
        shut_out = (await served.new())["code"]
        other: dict[str, Any] = {"key": "test-key-bob", "secret": "test-secret-bob"}
        bobs = (await served.call("GET", "/spot/assets", **other))["code"]
        await trio.sleep(301)
        again = (await served.new())["code"]
    assert codes == [0] * 180 + [10005]
    assert [shut_out, bobs, again] == [10005, 0, 0]


async def test_venue_may_be_busy(autojump_clock: MockClock) -> None:
    async with serving(busy=1.0) as served:
        assert (await served.new())["code"] == 10005


async def test_nothing_filled_of_a_hundred_orders_is_a_ban_of_half_an_hour(
    autojump_clock: MockClock,
) -> None:
    async with serving(quiet=True, rate_limits=False) as served:
        codes = [(await served.new(amount="0.0001"))["code"] for _ in range(51)]
        await trio.sleep(1_799)
        still = (await served.new())["code"]
        await trio.sleep(2)
        again = (await served.new())["code"]
    assert codes == [0] * 50 + [20020]
    assert [still, again] == [20020, 0]


async def test_third_ban_within_three_hours_is_for_a_day(autojump_clock: MockClock) -> None:
    async with serving(quiet=True, rate_limits=False) as served:
        for _ in range(3):
            codes = [(await served.new(amount="0.0001"))["code"] for _ in range(51)]
            assert codes[-1] == 20020
            await trio.sleep(1_801)
        still = (await served.new())["code"]
        await trio.sleep(86_400)
        again = (await served.new())["code"]
    assert [still, again] == [20020, 0]
