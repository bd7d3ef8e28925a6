"""The simulated Moonbase: who it lets in, its frames and its rates, as its pages say."""

import json
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.errors import ConfigError, HandshakeRefusedError, VenueDisconnectedError
from botkit.testing.simulated import START_NS
from botkit.transport import open_http
from tests.unit.moonbase_simulator_bench import (
    BOOK,
    ETH,
    NOW_S,
    ORDERS,
    call,
    client,
    serving,
    signed,
)
from venues.moonbase import wire
from venues.moonbase.rows import number
from venues.moonbase.simulator import MoonbaseSimulator

# --- signing in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "nothing=1",
        signed(signer="wrong"),
        signed(key="nobody"),
        signed(timestamp_s=NOW_S - 600),
        signed(timestamp_s=NOW_S + 601),
        signed(variant="client"),
        signed().replace(str(NOW_S), str(NOW_S + 1)),
    ],
)
async def test_handshake_that_does_not_hold_is_refused_by_403(
    query: str, autojump_clock: MockClock
) -> None:
    async with serving() as served:
        with pytest.raises(HandshakeRefusedError) as refused:
            async with client(served, query):
                pass
    assert refused.value.status == 403


@pytest.mark.parametrize(("variant", "other"), [("seed", "client"), ("client", "seed")])
async def test_one_signature_variant_is_in_force(
    variant: wire.SignatureVariant, other: wire.SignatureVariant, autojump_clock: MockClock
) -> None:
    async with serving(signature=variant) as served:
        async with client(served, signed(variant=variant)) as alice:
            assert (await alice.ask("phoenix", "heartbeat"))["status"] == "ok"
        with pytest.raises(HandshakeRefusedError):
            async with client(served, signed(variant=other)):
                pass


async def test_clock_may_be_almost_ten_minutes_off(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served, signed(timestamp_s=NOW_S - 590)) as alice:
        assert await alice.join(BOOK)


async def test_rest_checks_signature_nonce_and_time(autojump_clock: MockClock) -> None:
    async with serving() as served:
        path = "/my/balances"
        assert (await call(served, "GET", path, 5, signer="wrong"))[0] == 403
        assert (await call(served, "GET", path, 5))[0] == 200
        assert (await call(served, "GET", path, 5))[0] == 403
        assert (await call(served, "GET", path, 4))[0] == 403
        assert (await call(served, "GET", path, 6, timestamp_s=NOW_S - 700))[0] == 403
        assert (await call(served, "GET", path, 7))[0] == 200
        status, told = await call(served, "GET", "/my/nothing", 8)
        assert (status, told["type"]) == (404, "not_found")


async def test_rest_without_a_key_shows_the_markets_alone(autojump_clock: MockClock) -> None:
    base = "http://moonbase.test/api/v1"
    async with serving() as served, open_http(base, dial=served.network.dial) as http:
        info = await http.request("GET", "info")
        balances = await http.request("GET", "my/balances")
    market = json.loads(info.body)["markets"][ETH]
    assert b'"tick_size":1.0e-6' in info.body
    assert (market["base"], market["quote"], market["price_precision"]) == ("ETH_D", "BTC_D", 6)
    assert balances.status == 403


async def test_quirk_it_has_not_is_an_error_that_lists_those_it_has() -> None:
    setup = SimulatorSetup(clock=LiveClock(origin_ns=START_NS), quirks={"slash": True})
    with pytest.raises(ConfigError, match=r"found 'slash', allowed: .*trailing_slash"):
        MoonbaseSimulator(setup)


# --- frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0.0"),
        ("1", "1.0"),
        ("-0.5", "-0.5"),
        ("0.001", "0.001"),
        ("0.00001", "1.0e-5"),
        ("0.00000123", "1.23e-6"),
        ("100000", "100000.0"),
        ("1234.50", "1234.5"),
        ("1e20", "1.0e20"),
    ],
)
def test_numbers_are_written_as_the_venue_writes_floats(value: str, text: str) -> None:
    assert bytes(number(Decimal(value))) == text.encode()
    assert Decimal(text) == Decimal(value)


@pytest.mark.parametrize(
    ("quirk", "seen"), [(True, {True}), (False, {False}), (None, {True, False})]
)
async def test_frames_carry_join_ref_or_do_not(
    quirk: object, seen: set[bool], autojump_clock: MockClock
) -> None:
    async with serving(join_ref=quirk) as served, client(served) as alice:
        await alice.join(BOOK)
        for _ in range(30):
            await alice.until(BOOK, "upsert")
    assert {"join_ref" in frame for frame in alice.seen} == seen


@pytest.mark.parametrize(("quirk", "suffix"), [(False, ""), (True, "/")])
async def test_topics_of_the_account_have_one_spelling(
    quirk: object, suffix: str, autojump_clock: MockClock
) -> None:
    async with serving(trailing_slash=quirk) as served, client(served) as alice:
        for kind in ("balances", "positions", "deposits", "withdrawals"):
            other = "" if suffix else "/"
            refused = await alice.ask(f"/{kind}{other}", "phx_join")
            assert refused == {"status": "error", "response": {"reason": "unmatched topic"}}
            await alice.join(f"/{kind}{suffix}")


@pytest.mark.parametrize("topic", ["/orderbooks/NO:PAIR", "/nothing", "", "/orders", f"{BOOK}/"])
async def test_unknown_topic_is_unmatched(topic: str, autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        refused = await alice.ask(topic, "phx_join")
        assert refused["response"] == {"reason": "unmatched topic"}
        refused = await alice.ask(topic, "place", {"requested_amount": 1})
        assert refused["response"] == {"reason": "unmatched topic"}
    assert served.simulator.joins("alice") == 0


async def test_silence_of_a_minute_ends_the_socket_and_heartbeats_keep_it(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, client(served) as alice:
        for _ in range(3):
            await trio.sleep(50)
            assert await alice.ask("phoenix", "heartbeat") == {"status": "ok", "response": {}}
        with pytest.raises(VenueDisconnectedError):
            await alice.next()
        assert 209 < trio.current_time() < 213


async def test_frame_that_is_no_message_ends_the_socket(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        await alice.link.send("[]")
        with pytest.raises(VenueDisconnectedError):
            await alice.next()


async def test_leaving_is_answered_and_then_closed(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        await alice.join(BOOK)
        assert await alice.ask(BOOK, "phx_leave") == {"status": "ok", "response": {}}
        assert (await alice.until(BOOK, "phx_close"))["ref"] == "1"
        assert (await alice.ask(BOOK, "place"))["response"] == {"reason": "unmatched topic"}


async def test_second_join_closes_the_first(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        await alice.join(BOOK)
        await alice.join(BOOK)
    close, reply = alice.seen[-2:]
    assert (close["event"], close["ref"]) == ("phx_close", "1")
    assert (reply["event"], reply["ref"]) == ("phx_reply", "2")


async def test_event_that_a_channel_has_not_kills_it(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        await alice.join(BOOK)
        message = {"topic": BOOK, "event": "dance", "payload": {}, "ref": "9"}
        await alice.link.send(json.dumps(message))
        assert (await alice.until(BOOK, "phx_error"))["payload"] == {}


# --- rates --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["payload", "response", "bare"])
async def test_join_beyond_twenty_an_hour_is_refused_until_it_is_over(
    place: str, autojump_clock: MockClock
) -> None:
    async with (
        serving(quiet=True, error_place=place, idle_s=1e6) as served,
        client(served) as alice,
        client(served, signed(key="test-key-bob", signer="test-secret-bob")) as bob,
    ):
        await trio.sleep(10)
        for _ in range(20):
            await alice.join(BOOK)
        await trio.sleep(600)
        refused = await alice.ask(BOOK, "phx_join")
        error = refused["response"] if place == "response" else refused
        assert error == {
            "status": "error",
            "type": "rate_limit_exceeded",
            "details": {"retry_after": 3_000},
        }
        await bob.join(BOOK)
        await trio.sleep(3_000)
        await alice.join(BOOK)


async def test_requests_are_counted_and_cancels_are_not(autojump_clock: MockClock) -> None:
    async with serving(quiet=True, requests_a_minute=3) as served, client(served) as alice:
        await alice.join(ORDERS)
        ids = [(await alice.place(1, 0.01))["response"]["id"] for _ in range(3)]
        refused = await alice.place(1, 0.01)
        assert refused["type"] == "rate_limit_exceeded"
        assert refused["details"] == {"retry_after": 60}
        for order_id in ids:
            ended = await alice.ask(ORDERS, "cancel", {"id": order_id})
            assert ended["response"]["cancelled_at"]
        await trio.sleep(50)
        await alice.ask("phoenix", "heartbeat")
        await trio.sleep(11)
        assert (await alice.place(1, 0.01))["status"] == "ok"
