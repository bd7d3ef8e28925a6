"""The simulated Moonbase: who it lets in, and what its pages say it does."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.errors import ConfigError, HandshakeRefusedError, VenueDisconnectedError
from botkit.matching.exchange import OrderTerms
from botkit.model import Side
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.simulated import START_NS
from botkit.transport import HttpReply, WsLink, open_http, open_ws
from venues.moonbase import wire
from venues.moonbase.rows import number
from venues.moonbase.simulator import MoonbaseSimulator

NOW_S = START_NS // 1_000_000_000
KEY, SECRET = "test-key-alice", "test-secret-alice"
ETH = "ETH_D:BTC_D"
ORDERS, BOOK = f"/orders/{ETH}", f"/orderbooks/{ETH}"


@attrs.frozen(kw_only=True)
class Served:
    """A simulator that listens, and its network."""

    simulator: MoonbaseSimulator
    network: SimulatedNetwork


@asynccontextmanager
async def serving(*, quiet: bool = False, **quirks: object) -> AsyncIterator[Served]:
    setup = SimulatorSetup(
        clock=LiveClock(origin_ns=START_NS), seed=1, quirks=quirks, quiet=quiet, pace=0.5
    )
    simulator = MoonbaseSimulator(setup)
    async with open_network() as network, trio.open_nursery() as nursery:
        nursery.start_soon(simulator.run)
        network.listen("moonbase.test", 80, simulator.server.serve)
        yield Served(simulator=simulator, network=network)
        nursery.cancel_scope.cancel()


def signed(
    *,
    key: str = KEY,
    signer: str = SECRET,
    timestamp_s: int = NOW_S,
    variant: wire.SignatureVariant = "seed",
) -> str:
    return wire.handshake_query(key, signer, timestamp_s=timestamp_s, variant=variant)


class Client:
    """A client that speaks plain JSON."""

    def __init__(self, link: WsLink) -> None:
        self.link = link
        self._waiting: list[Any] = []
        self._last_ref = 0
        self.seen: list[Any] = []

    async def next(self) -> Any:
        if not self._waiting:
            self._waiting = [json.loads(frame) for frame in await self.link.receive_batch()]
        self.seen.append(self._waiting[0])
        return self._waiting.pop(0)

    async def until(self, topic: str, event: str) -> Any:
        """Return the first frame of that topic and event."""
        with trio.fail_after(100):
            while True:
                frame = await self.next()
                if (frame.get("topic"), frame.get("event")) == (topic, event):
                    return frame

    def last(self, topic: str, event: str) -> Any:
        """Return the last such frame among those that came already."""
        found = [each for each in self.seen if (each["topic"], each["event"]) == (topic, event)]
        return found[-1]

    async def ask(self, topic: str, event: str, payload: Mapping[str, Any] | None = None) -> Any:
        """Return the payload of the reply, and drop what comes before it."""
        self._last_ref += 1
        ref = str(self._last_ref)
        message = {"ref": ref, "join_ref": ref, "topic": topic, "event": event}
        await self.link.send(json.dumps({**message, "payload": payload or {}}))
        with trio.fail_after(5):
            while True:
                frame = await self.next()
                if "topic" not in frame:
                    return frame
                if frame["event"] == "phx_reply" and frame["ref"] == ref:
                    return frame["payload"]

    async def join(self, topic: str, **terms: Any) -> Any:
        """Return the snapshot."""
        reply = await self.ask(topic, "phx_join", terms)
        assert reply["status"] == "ok", reply
        return reply["response"]

    async def place(self, amount: float, price: float | None = None, **terms: Any) -> Any:
        return await self.ask(
            ORDERS, "place", {"requested_amount": amount, "limit_price": price, **terms}
        )


@asynccontextmanager
async def client(served: Served, query: str = "") -> AsyncIterator[Client]:
    url = f"ws://moonbase.test/socket/api/websocket?{query or signed()}"
    async with open_ws(url, dial=served.network.dial) as link:
        yield Client(link)


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


async def call(
    served: Served,
    method: str,
    path: str,
    nonce: int,
    *,
    signer: str = SECRET,
    timestamp_s: int = NOW_S,
    **terms: str,
) -> tuple[int, Any]:
    headers = wire.rest_headers(
        KEY,
        signer,
        method=method,
        path=f"/api/v1{path}",
        parameters=terms,
        nonce_ms=nonce,
        timestamp_s=timestamp_s,
    )
    body = "&".join(f"{name}={value}" for name, value in terms.items()).encode()
    async with open_http("http://moonbase.test/api/v1", dial=served.network.dial) as http:
        reply: HttpReply = await http.request(
            method,
            path,
            headers=headers,
            **({"params": dict(terms)} if method == "GET" else {"content": body}),
        )
    return reply.status, json.loads(reply.body)


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


# --- market data --------------------------------------------------------------------------------


async def test_book_replayed_from_its_changes_equals_the_exchanges(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, client(served) as alice:
        book = dict(await alice.join(BOOK))
        moved = 0
        for _ in range(150):
            for price, amount in (await alice.until(BOOK, "upsert"))["payload"]["data"]:
                moved += amount * book.get(price, 0) < 0
                book[price] = amount
        market = served.simulator.market.exchange.markets[ETH]
        theirs = {
            float(price): float(qty) * side.sign
            for side in Side
            for price, qty, _ in market.levels(side)
        }
    assert {price: amount for price, amount in book.items() if amount} == theirs


async def test_level_may_change_its_side_by_one_push(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        market = served.simulator.market

        def submit(side: Side, qty: int) -> None:
            terms = OrderTerms(symbol=ETH, side=side, order_qty=Decimal(qty), price=Decimal("0.05"))
            market.tell(market.exchange.submit("bob", terms, market.catch_up()))

        other = OrderTerms(symbol=ETH, side=Side.SELL, order_qty=Decimal(3), price=Decimal("0.05"))
        submit(Side.BUY, 1)
        assert await alice.join(BOOK) == [[0.05, 1.0]]
        market.tell(market.exchange.submit("carol", other, market.catch_up()))
        assert (await alice.until(BOOK, "upsert"))["payload"] == {"data": [[0.05, -2.0]]}
        submit(Side.BUY, 2)
        assert (await alice.until(BOOK, "upsert"))["payload"] == {"data": [[0.05, 0.0]]}


async def test_book_may_be_limited(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        await trio.sleep(1)
        assert len(await alice.join(BOOK, limit=2)) == 4


@pytest.mark.parametrize(("quirk", "signs"), [(True, {-1, 1}), (False, {1})])
async def test_trades_are_told_newest_first_then_one_by_one_with_their_orders(
    quirk: object, signs: set[int], autojump_clock: MockClock
) -> None:
    async with serving(trade_sign=quirk) as served, client(served) as alice:
        await alice.join(BOOK)
        await trio.sleep(40)
        topic = f"/trades/{ETH}"
        rows = await alice.join(topic)
        ids = [row["id"] for row in rows]
        assert ids == sorted(ids, reverse=True)
        assert {1 if row["amount"] > 0 else -1 for row in rows} == signs
        (row,) = (await alice.until(topic, "insert"))["payload"]["data"]
        assert row["id"] > ids[0]
        assert {"taker_order_id", "maker_order_id"} <= row.keys()


async def test_ticker_of_an_empty_side_has_no_price(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        rows = await alice.join("/tickers", symbols=[ETH])
        assert [row["symbol"] for row in rows] == [ETH]
        assert (rows[0]["bid_price"], rows[0]["ask_price"]) == (None, None)
        await alice.join(ORDERS)
        await alice.place(1, 0.01)
        (row,) = (await alice.until("/tickers", "upsert"))["payload"]["data"]
        assert (row["bid_price"], row["ask_price"]) == (0.01, None)
        assert row["updated_at"].startswith("2026-01-01T00:00:00.")


async def test_tickers_are_pushed_of_the_markets_that_were_asked_for(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, client(served) as alice:
        await alice.join("/tickers", symbols=[ETH])
        seen = [
            row["symbol"]
            for _ in range(20)
            for row in (await alice.until("/tickers", "upsert"))["payload"]["data"]
        ]
    assert set(seen) == {ETH}


async def test_candles_come_by_join_by_question_and_by_push(autojump_clock: MockClock) -> None:
    async with serving(idle_s=1e6) as served, client(served) as alice:
        topic = f"/candles/{ETH}"
        await trio.sleep(150)
        terms = {"from": NOW_S + 60, "to": NOW_S + 120, "resolution": 60}
        (candles, before) = (await alice.join(topic, **terms))["data"]
        assert [candle["timestamp"] for candle in candles] == [NOW_S + 60]
        assert before == NOW_S
        assert candles[0]["low"] <= candles[0]["open"] <= candles[0]["high"]
        again = await alice.ask(topic, "get_snapshot", terms)
        assert again["response"]["data"] == [candles, before]
        (pushed,) = (await alice.until(topic, "upsert"))["payload"]["data"]
        assert pushed["timestamp"] >= NOW_S + 120
        for wrong in ({}, {**terms, "resolution": 7}, {**terms, "from": "x"}):
            assert (await alice.ask(topic, "get_snapshot", wrong))["type"] == "invalid_params"


# --- orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply_first", [True, False])
async def test_order_is_told_by_reply_and_by_push_in_either_order(
    reply_first: object, autojump_clock: MockClock
) -> None:
    async with serving(quiet=True, reply_first=reply_first) as served, client(served) as alice:
        assert await alice.join(ORDERS) == []
        reply = await alice.place(-1.5, 0.00002)
        if reply_first:
            await alice.until(ORDERS, "upsert")
        frames = alice.seen[-2:]
    row = reply["response"]
    assert [frame["event"] for frame in frames] == (
        ["phx_reply", "upsert"] if reply_first else ["upsert", "phx_reply"]
    )
    pushed = next(frame for frame in frames if frame["event"] == "upsert")["payload"]["data"][0]
    assert "user_id" not in row
    assert pushed == {**row, "user_id": 5}
    assert (row["requested_amount"], row["limit_price"], row["is_active"]) == (-1.5, 2.0e-5, True)
    assert row["triggered_at"] == row["inserted_at"]


async def test_reply_shows_nothing_filled_even_if_it_was_at_once(
    autojump_clock: MockClock,
) -> None:
    async with serving(reply_first=True) as served, client(served) as alice:
        await trio.sleep(1)
        await alice.join(ORDERS)
        reply = await alice.place(1.0, 0.06)
        assert reply["response"]["filled_amount"] == 0.0
        row = reply["response"]
        while row["filled_amount"] != 1.0:
            row = (await alice.until(ORDERS, "upsert"))["payload"]["data"][0]
    assert row["filled_total"] < 0 > row["fee"]
    assert row["is_active"] is False
    assert row["cancelled_at"] is None


async def test_rest_of_a_market_order_ends_as_canceled(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        market = served.simulator.market
        terms = OrderTerms(symbol=ETH, side=Side.SELL, order_qty=Decimal(1), price=Decimal("0.05"))
        market.tell(market.exchange.submit("bob", terms, market.catch_up()))
        await alice.join(ORDERS)
        await alice.place(3.0)
        row: Any = {"cancelled_at": None}
        while not row["cancelled_at"]:
            row = (await alice.until(ORDERS, "upsert"))["payload"]["data"][0]
    assert (row["filled_amount"], row["requested_amount"]) == (1.0, 3.0)


async def test_stop_waits_inactive_until_it_is_triggered(autojump_clock: MockClock) -> None:
    async with serving(quiet=True, reply_first=True) as served, client(served) as alice:
        market = served.simulator.market

        def submit(name: str, side: Side, qty: int) -> None:
            terms = OrderTerms(symbol=ETH, side=side, order_qty=Decimal(qty), price=Decimal("0.05"))
            market.tell(market.exchange.submit(name, terms, market.catch_up()))

        await alice.join(ORDERS)
        row = (await alice.place(1.0, 0.05, trigger_price=0.05))["response"]
        assert (row["is_active"], row["triggered_at"], row["trigger_price"]) == (False, None, 0.05)
        submit("bob", Side.SELL, 2)
        await trio.sleep(1)
        submit("carol", Side.BUY, 1)
        while row["filled_amount"] != 1.0:
            row = (await alice.until(ORDERS, "upsert"))["payload"]["data"][0]
        assert row["triggered_at"] > row["inserted_at"]


@pytest.mark.parametrize(
    ("terms", "kind"),
    [
        ({"requested_amount": None}, "invalid_params"),
        ({"requested_amount": "x"}, "invalid_params"),
        ({"requested_amount": 0}, "not_positive"),
        ({"requested_amount": 0.001}, "off_grid"),
        ({"limit_price": 0.0000001}, "off_grid"),
        ({"limit_price": True}, "invalid_params"),
        ({"requested_amount": -1_000_000}, "insufficient_funds"),
    ],
)
async def test_order_that_cannot_be_is_refused(
    terms: dict[str, Any], kind: str, autojump_clock: MockClock
) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        await alice.join(ORDERS)
        plain = {"requested_amount": 1.0, "limit_price": 0.05}
        refused = await alice.ask(ORDERS, "place", {**plain, **terms})
    assert (refused["status"], refused["type"]) == ("error", kind)


async def test_cancel_of_what_is_gone_or_another_members_is_refused(
    autojump_clock: MockClock,
) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        await alice.join(ORDERS)
        order_id = (await alice.place(1.0, 0.05))["response"]["id"]
        ended = (await alice.ask(ORDERS, "cancel", {"id": order_id}))["response"]
        assert (ended["is_active"], ended["filled_amount"]) == (False, 0.0)
        again = await alice.ask(ORDERS, "cancel", {"id": order_id})
        assert again["type"] == "order_closed"
        assert (await alice.ask(ORDERS, "cancel", {"id": 999}))["type"] == "not_found"
        assert (await alice.ask(ORDERS, "cancel", {"id": "x"}))["type"] == "not_found"


@pytest.mark.parametrize(("quirk", "kept"), [(True, "mine"), (False, None)])
async def test_external_id_is_kept_or_is_not(
    quirk: object, kept: str | None, autojump_clock: MockClock
) -> None:
    async with serving(quiet=True, takes_external_id=quirk) as served, client(served) as alice:
        await alice.join(ORDERS)
        reply = await alice.place(1.0, 0.05, external_id="mine")
    assert reply["response"]["external_id"] == kept


async def test_snapshot_of_orders_holds_the_open_ones_or_all(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        await alice.join(ORDERS)
        ids = [(await alice.place(1.0, 0.05))["response"]["id"] for _ in range(3)]
        await alice.ask(ORDERS, "cancel", {"id": ids[1]})
        opened = await alice.join(ORDERS, status="open", limit=100)
        assert [row["id"] for row in opened] == [ids[2], ids[0]]
        assert [row["id"] for row in await alice.join(ORDERS, status=None)] == ids[::-1]
        assert [row["id"] for row in await alice.join(ORDERS, limit=1)] == [ids[2]]


async def test_rest_places_lists_by_pages_and_cancels(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served:
        placed = [
            await call(
                served,
                "POST",
                "/my/orders",
                nonce,
                symbol=ETH,
                requested_amount="-1.5",
                limit_price="0.05",
            )
            for nonce in (1, 2, 3)
        ]
        ids = [told["id"] for status, told in placed if status == 200]
        assert len(ids) == 3
        _, page = await call(served, "GET", "/my/orders", 4, symbol=ETH, limit="2")
        assert [row["id"] for row in page] == ids[:0:-1]
        _, page = await call(served, "GET", "/my/orders", 5, symbol=ETH, to_id=str(ids[1]))
        assert [row["id"] for row in page] == ids[:1]
        status, row = await call(served, "PUT", f"/my/orders/{ids[0]}/cancel", 6)
        assert (status, row["is_active"]) == (200, False)
        status, told = await call(served, "PUT", f"/my/orders/{ids[0]}/cancel", 7)
        assert (status, told["type"]) == (422, "order_closed")
        status, told = await call(served, "PUT", "/my/orders/x/cancel", 8)
        assert (status, told["type"]) == (404, "not_found")


# --- money --------------------------------------------------------------------------------------


async def test_balances_show_what_orders_hold(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        rows = {row["asset"]: row for row in await alice.join("/balances")}
        assert (rows["ETH_D"]["available_amount"], rows["ETH_D"]["placed_amount"]) == (1000.0, 0.0)
        await alice.join(ORDERS)
        await alice.place(-2.0, 0.05)
        (row,) = (await alice.until("/balances", "upsert"))["payload"]["data"]
        assert (row["asset"], row["available_amount"], row["placed_amount"]) == (
            "ETH_D",
            998.0,
            2.0,
        )
        _, told = await call(served, "GET", "/my/balances", 1)
        assert {each["asset"]: each["placed_amount"] for each in told}["ETH_D"] == 2.0


async def test_withdrawing_takes_from_what_is_free(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        assert await alice.join("/withdrawals") == []
        await alice.join("/balances")
        terms = {"asset": "BTC_D", "address": "there", "amount": "40.5"}
        row = (await alice.ask("/withdrawals", "create_withdrawal", terms))["response"]
        assert (row["asset"], row["amount"], row["address"]) == ("BTC_D", 40.5, "there")
        (balance,) = alice.last("/balances", "upsert")["payload"]["data"]
        assert (balance["available_amount"], balance["withdrawn_amount"]) == (59.5, 40.5)
        for wrong, kind in (
            ({"amount": "60"}, "insufficient_funds"),
            ({"amount": "-1"}, "invalid_params"),
            ({"amount": "NaN"}, "invalid_params"),
            ({"amount": "x"}, "invalid_params"),
            ({"asset": "XRP"}, "invalid_params"),
        ):
            refused = await alice.ask("/withdrawals", "create_withdrawal", {**terms, **wrong})
            assert refused["type"] == kind
        assert [each["id"] for each in await alice.join("/withdrawals", asset="BTC_D")] == [1]
        assert await alice.join("/withdrawals", asset="ETH_D") == []
        _, rows = await call(served, "GET", "/my/withdrawals", 1)
        assert [each["amount"] for each in rows] == [40.5]


async def test_deposits_and_their_addresses(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        assert len(await alice.join("/deposits")) == 3
        rows = await alice.join("/deposits", asset="BTC_D", limit=10)
        assert [(row["asset"], row["amount"]) for row in rows] == [("BTC_D", 100.0)]
        told = await alice.ask("/deposits", "get_deposit_address", {"asset": "BTC_D"})
        assert told["response"] == {"asset": "BTC_D", "address": "BTC_D-alice"}
        refused = await alice.ask("/deposits", "get_deposit_address", {"asset": "X"})
        assert refused["type"] == "not_found"
        _, address = await call(served, "GET", "/my/deposits/address", 1, asset="BTC_D")
        assert address["address"] == "BTC_D-alice"


async def test_margin_is_put_aside_and_given_back(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        positions = await alice.join("/positions")
        assert [(row["symbol"], row["margin"], row["amount"]) for row in positions] == [
            (ETH, 0.0, 0.0),
            ("ETC_D:BTC_D", 0.0, 0.0),
        ]
        await alice.join("/balances")
        reply = await alice.ask("/positions", "assign", {ETH: "10"})
        assert [row["margin"] for row in reply["response"]["data"]] == [10.0]
        (row,) = alice.last("/balances", "upsert")["payload"]["data"]
        assert (row["available_amount"], row["assigned_amount"]) == (90.0, 10.0)
        assert alice.last("/positions", "upsert")["payload"] == reply["response"]
        await alice.ask("/positions", "assign", {ETH: "4"})
        (row,) = alice.last("/balances", "upsert")["payload"]["data"]
        assert (row["available_amount"], row["assigned_amount"]) == (96.0, 4.0)
        for wrong, kind in (
            ({ETH: "1000"}, "insufficient_funds"),
            ({ETH: "-1"}, "invalid_params"),
            ({"NO:PAIR": "1"}, "invalid_params"),
        ):
            assert (await alice.ask("/positions", "assign", wrong))["type"] == kind


async def test_report_tells_orders_fills_and_what_rests(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served, client(served) as alice:
        await alice.join(ORDERS)
        await alice.place(1.0, 0.05)
        report = served.simulator.market.report(served.simulator.members)
        assert (report["alice"]["orders"], report["alice"]["fills"]) == (1, 0)
        assert len(report["alice"]["resting"]) == 1
        order = served.simulator.market.exchange.accounts["alice"].open_orders()[0]
        assert served.simulator.venue_order_id(order) == str(order.order_id)
