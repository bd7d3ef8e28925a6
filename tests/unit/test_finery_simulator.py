"""The simulated Finery: who it lets in, and what its pages say it does."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import msgspec
import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.errors import ConfigError, HandshakeRefusedError, VenueDisconnectedError
from botkit.model import Side
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.simulated import START_NS
from botkit.transport import HttpReply, WsLink, open_http, open_ws
from venues.finery import wire
from venues.finery.simulator import FinerySimulator

NOW_MS = START_NS // 1_000_000
KEY, SECRET = "test-key-alice", "test-secret-alice"


@attrs.frozen(kw_only=True)
class Served:
    """A simulator that listens, and its network."""

    simulator: FinerySimulator
    network: SimulatedNetwork


@asynccontextmanager
async def serving(**quirks: object) -> AsyncIterator[Served]:
    simulator = FinerySimulator(
        SimulatorSetup(clock=LiveClock(origin_ns=START_NS), seed=1, quirks=quirks)
    )
    async with open_network() as network, trio.open_nursery() as nursery:
        nursery.start_soon(simulator.run)
        network.listen("finery.test", 80, simulator.server.serve)
        yield Served(simulator=simulator, network=network)
        nursery.cancel_scope.cancel()


def signed(nonce: int = 1, *, signer: str = SECRET, timestamp_ms: int = NOW_MS) -> dict[str, str]:
    return wire.handshake_headers(KEY, signer, nonce=nonce, timestamp_ms=timestamp_ms)


@asynccontextmanager
async def client(served: Served, headers: dict[str, str] | None = None) -> AsyncIterator["Client"]:
    async with open_ws(
        "ws://finery.test/ws", headers=headers or signed(), dial=served.network.dial
    ) as link:
        yield Client(link)


class Client:
    """A client that speaks plain JSON."""

    def __init__(self, link: WsLink) -> None:
        self.link = link
        self._waiting: list[Any] = []
        self._last_req_id = 0

    async def next(self) -> Any:
        if not self._waiting:
            self._waiting = [json.loads(frame) for frame in await self.link.receive_batch()]
        return self._waiting.pop(0)

    async def until(self, feed: str, action: str) -> Any:
        """Return the first frame of that feed and action."""
        with trio.fail_after(5):
            while True:
                frame = await self.next()
                if isinstance(frame, list) and (frame[0], frame[2]) == (feed, action):
                    return frame

    async def send(self, **message: Any) -> None:
        await self.link.send(json.dumps(message))

    async def request(self, method: str, **content: Any) -> Any:
        """Return the reply, and drop what comes before it."""
        self._last_req_id += 1
        await self.send(event="request", reqId=self._last_req_id, method=method, content=content)
        with trio.fail_after(5):
            while True:
                frame = await self.next()
                if isinstance(frame, dict) and frame.get("reqId") == self._last_req_id:
                    return frame

    async def add(self, **terms: Any) -> Any:
        given = {"instrument": "BTC-EUR", "side": "bid", "type": "limit", "cod": True}
        plain = {**given, "price": 4_000_000_000_000, "size": 1_000_000, **terms}
        return await self.request("add", **{k: v for k, v in plain.items() if v is not None})


# --- signing in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 6),
        (signed(signer="wrong"), 6),
        (signed(timestamp_ms=NOW_MS - 61_000), 7),
        (signed(timestamp_ms=NOW_MS + 61_000), 7),
    ],
)
async def test_handshake_that_does_not_hold_is_refused_by_its_code(
    headers: dict[str, str], code: int, autojump_clock: MockClock
) -> None:
    async with serving() as served:
        with pytest.raises(HandshakeRefusedError) as refused:
            async with client(served, headers or {"EFX-Key": "nobody"}):
                pass
    assert json.loads(refused.value.body) == {"error": code}


async def test_nonce_is_refused_a_second_time(autojump_clock: MockClock) -> None:
    async with serving() as served:
        async with client(served):
            pass
        with pytest.raises(HandshakeRefusedError) as refused:
            async with client(served):
                pass
        await trio.sleep(121)
        later = signed(timestamp_ms=NOW_MS + 121_000)
        async with client(served, later) as again:
            assert await again.next() == ["X", 0, "Z", 0]
    assert json.loads(refused.value.body) == {"error": 6}


async def call(served: Served, method: str, body: bytes, *, signer: str = SECRET) -> HttpReply:
    headers = wire.rest_headers(KEY, signer, method=method, body=body.decode())
    async with open_http("http://finery.test/api", dial=served.network.dial) as http:
        return await http.request("POST", method, headers=headers, content=body)


async def test_rest_checks_signature_nonce_and_method(autojump_clock: MockClock) -> None:
    body = msgspec.json.encode({"nonce": 9, "timestamp": NOW_MS})
    async with serving() as served:
        wrong = await call(served, "positions", body, signer="wrong")
        good = await call(served, "positions", body)
        again = await call(served, "positions", body)
        no_method = await call(
            served, "nothing", msgspec.json.encode({"nonce": 10, "timestamp": NOW_MS})
        )
    assert (wrong.status, json.loads(wrong.body)) == (400, {"error": 6})
    assert good.status == 200
    assert (again.status, json.loads(again.body)) == (400, {"error": 6})
    assert json.loads(no_method.body) == {"error": 8}


async def test_quirk_it_has_not_is_an_error_that_lists_those_it_has() -> None:
    setup = SimulatorSetup(clock=LiveClock(origin_ns=START_NS), quirks={"ignore_cod": True})
    with pytest.raises(ConfigError, match=r"found 'ignore_cod', allowed: .*ignores_cod"):
        FinerySimulator(setup)


# --- feeds --------------------------------------------------------------------------------------


async def test_book_replayed_from_its_changes_equals_the_exchanges(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, client(served) as alice:
        await alice.send(event="bind", feed="F", feedId="BTC-EUR")
        _, _, _, sides = await alice.until("F", "S")
        book: list[dict[int, int]] = [dict(map(tuple, side)) for side in sides]
        tildes = 0
        for _ in range(200):
            _, _, _, changes = await alice.until("F", "M")
            for side, levels in zip(book, changes, strict=True):
                tildes += sum(level[0] == "~" for level in levels)
                replay(side, levels, bids=side is book[0])
        market = served.simulator.market.exchange.markets["BTC-EUR"]
        assert book == [side_of(market, "BUY"), side_of(market, "SELL")]
        assert tildes > 10


def replay(side: dict[int, int], levels: list[Any], *, bids: bool) -> None:
    for action, price, size in levels:
        if action == "~":
            better = [p for p in side if price == 0 or (p > price if bids else p < price)]
            for level in better:
                del side[level]
        if size and action != "-":
            side[price] = size
        else:
            side.pop(price, None)


def side_of(market: Any, side: str) -> dict[int, int]:
    return {
        wire.to_units(price): wire.to_units(size)
        for price, size, _ in market.levels(Side[side], 25)
    }


async def test_feed_id_may_be_the_instruments_number(autojump_clock: MockClock) -> None:
    async with serving(feed_id_number=True) as served, client(served) as alice:
        await alice.send(event="bind", feed="F", feedId="BTC-EUR")
        assert (await alice.until("F", "S"))[1] == 41


@pytest.mark.parametrize(("in_array", "told"), [(True, [103]), (False, 103)])
async def test_unknown_feed_id_fails_in_either_form(
    in_array: object, told: object, autojump_clock: MockClock
) -> None:
    async with serving(code_in_array=in_array) as served, client(served) as alice:
        await alice.send(event="bind", feed="F", feedId="NO-PAIR")
        assert await alice.until("F", "Z") == ["F", "NO-PAIR", "Z", told]


async def test_unbinding_what_is_not_bound_and_binding_twice_fail(
    autojump_clock: MockClock,
) -> None:
    async with serving(code_in_array=False) as served, client(served) as alice:
        await alice.send(event="unbind", feed="P")
        assert (await alice.until("P", "Z"))[3] == 101
        await alice.send(event="bind", feed="P")
        await alice.until("P", "S")
        await alice.send(event="bind", feed="P")
        assert (await alice.until("P", "Z"))[3] == 100
        await alice.send(event="unbind", feed="P")
        assert (await alice.until("P", "U"))[3] == 0


@pytest.mark.parametrize("feed", ["I", "G", "L", "M", "K", "O", "S", "R", "N"])
async def test_every_documented_feed_answers_a_bind_by_a_snapshot(
    feed: str, autojump_clock: MockClock
) -> None:
    async with serving() as served, client(served) as alice:
        await alice.send(event="bind", feed=feed)
        assert (await alice.until(feed, "S"))[2] == "S"


async def test_unknown_feed_fails(autojump_clock: MockClock) -> None:
    async with serving(code_in_array=False) as served, client(served) as alice:
        await alice.send(event="bind", feed="?")
        assert (await alice.until("?", "Z"))[3] == 102


async def test_gateway_that_is_cut_off_says_so_and_refuses(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        assert await alice.next() == ["X", 0, "Z", 0]
        served.simulator.set_gateway(2)
        assert await alice.next() == ["X", 0, "Z", 2]
        assert (await alice.add())["error"] == 2
        served.simulator.set_gateway(0)
        assert await alice.until("X", "Z") == ["X", 0, "Z", 0]


async def test_connection_that_is_silent_for_80_seconds_is_closed(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, client(served) as alice:
        await alice.next()
        await trio.sleep(60)
        await alice.link.ping(1)
        with pytest.raises(VenueDisconnectedError):
            await alice.next()
        assert 139 < trio.current_time() < 142


# --- orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply_first", [True, False])
async def test_order_that_rests_is_told_on_both_ways(
    reply_first: object, autojump_clock: MockClock
) -> None:
    async with serving(reply_first=reply_first) as served, client(served) as alice:
        await alice.send(event="bind", feed="P")
        await alice.until("P", "S")
        content = {
            "instrument": "BTC-EUR",
            "clientOrderId": 7,
            "price": 4_000_000_000_000,
            "size": 1_000_000,
            "side": "bid",
            "type": "postOnly",
        }
        await alice.send(event="request", reqId=5, method="add", content=content)
        first, second = await alice.next(), await alice.next()
        reply, frame = (first, second) if reply_first else (second, first)
    assert reply["reply"]["remainingSize"] == 1_000_000
    assert frame[:3] == ["O", 0, "+"]
    assert frame[3][:4] == ["BTC-EUR", 1, 0, 0]
    assert frame[3][4:9] == [reply["reply"]["id"], 7, 4_000_000_000_000, 1_000_000, 1_000_000]


async def test_deal_is_told_in_the_reply_and_by_its_feed_with_further_places(
    autojump_clock: MockClock,
) -> None:
    async with serving(reply_first=True) as served, client(served) as alice:
        await alice.send(event="bind", feed="P")
        await alice.until("P", "S")
        reply = await alice.add(type="limitIOC", price=6_000_000_000_000, clientOrderId=3)
        (deal, *_) = reply["reply"]["deals"]
        _, _, _, row = await alice.until("O", "D")
    assert row[11] == deal["id"]
    assert row[13:17] == [deal["price"], deal["size"], deal["volume"], deal["delta"]]
    assert len(row) == 21


@pytest.mark.parametrize(
    ("terms", "error", "param"),
    [
        ({"instrument": "NO-PAIR"}, 34, "instrument"),
        ({"size": 1}, 70, "size"),
        ({"price": 1}, 71, "price"),
        ({"type": "MarketIOC"}, 73, "type"),
        ({"type": "postOnly", "price": 6_000_000_000_000}, 75, "price"),
        ({"size": 10**16}, 79, ""),
        ({"volume": 5}, 81, "size"),
        ({"size": None, "volume": 5}, 82, "volume"),
        ({"side": "buy"}, 9, "side"),
        ({"price": "4"}, 9, "price"),
        ({"clientOrderId": -1}, 9, "clientOrderId"),
    ],
)
async def test_order_that_cannot_be_is_refused_by_code_and_parameter(
    terms: dict[str, Any], error: int, param: str, autojump_clock: MockClock
) -> None:
    async with serving() as served, client(served) as alice:
        reply = await alice.add(**terms)
    assert reply["error"] == error
    if param:
        assert reply["param"] == param


async def test_client_order_id_is_refused_while_an_order_has_it(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        await alice.add(clientOrderId=7)
        assert (await alice.add(clientOrderId=7))["error"] == 74
        await alice.request("del", clientOrderId=7)
        assert "reply" in await alice.add(clientOrderId=7)


async def test_rest_of_an_ioc_ends_with_reason_2(autojump_clock: MockClock) -> None:
    async with serving(reply_first=True) as served, client(served) as alice:
        await alice.send(event="bind", feed="P")
        await alice.until("P", "S")
        reply = await alice.add(type="limitIOC")
        _, _, _, row = await alice.until("O", "-")
    assert (reply["reply"]["cancelReason"], reply["reply"]["remainingSize"]) == (2, 1_000_000)
    assert row[3] == 2


async def test_cancel_of_what_is_gone_is_error_80(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        added = await alice.add()
        order_id = added["reply"]["id"]
        first = await alice.request("del", orderId=order_id)
        assert first["reply"] == {"id": order_id, "remainingSize": 1_000_000}
        assert (await alice.request("del", orderId=order_id))["error"] == 80
        assert (await alice.request("del", clientOrderId=99))["error"] == 80


async def test_delete_all_takes_the_instruments_orders(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        await alice.add()
        await alice.add()
        assert (await alice.request("delAll", instrument="ETH-EUR"))["reply"] == {"removed": 0}
        assert (await alice.request("delAll", instrument="NO"))["error"] == 34
        assert (await alice.request("delAll"))["reply"] == {"removed": 2}


async def test_mod_gives_the_order_a_new_id(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        old = (await alice.add())["reply"]["id"]
        changed = await alice.request("mod", orderId=old, price=4_100_000_000_000, size=2_000_000)
        new = changed["reply"]["id"]
        assert changed["reply"] == {
            "id": new,
            "initialSize": 2_000_000,
            "remainingSize": 2_000_000,
            "deals": [],
            "origId": old,
            "origRemainingSize": 1_000_000,
        }
        assert new != old
        assert (await alice.request("del", orderId=old))["error"] == 80
        assert "reply" in await alice.request("del", orderId=new)
        assert (await alice.request("mod", orderId=new, price=1, size=1))["error"] == 80


@pytest.mark.parametrize(("quirks", "rests"), [({}, False), ({"ignores_cod": True}, True)])
async def test_orders_tied_to_a_connection_end_with_it_unless_the_venue_fails_to(
    quirks: dict[str, Any], rests: object, autojump_clock: MockClock
) -> None:
    async with (
        serving(**quirks) as served,
        client(served) as alice,
        client(served, signed(2)) as other,
    ):
        await alice.add(price=4_000_000_000_000)
        await alice.add(price=3_900_000_000_000, cod=False)
        await other.add(price=3_800_000_000_000)
        await alice.link.abort()
        await trio.sleep(1)
        account = served.simulator.market.exchange.accounts["alice"]
        prices = {order.price for order in account.open_orders()}
    assert (40_000 in prices) is rests
    assert {39_000, 38_000} <= prices


async def test_deal_history_is_newest_first_and_paged_by_the_last_deal(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, client(served) as alice:
        for _ in range(5):
            await alice.add(type="marketIOC", price=None, size=1_000)
        everything = (await alice.request("dealHistory", instrument="BTC-EUR"))["reply"]
        page = (await alice.request("dealHistory", limit=2))["reply"]
        rest = (await alice.request("dealHistory", till=page[-1][11]))["reply"]
    assert [row[11] for row in everything] == sorted((row[11] for row in everything), reverse=True)
    assert page + rest == everything
    assert len(everything) >= 5


async def test_market_order_may_be_told_in_money(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        reply = await alice.add(type="marketIOC", price=None, size=None, volume=100 * 10**8)
    assert sum(deal["volume"] for deal in reply["reply"]["deals"]) <= 100 * 10**8
    assert reply["reply"]["deals"]


async def test_limits_and_book_and_instruments_are_told(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        limits = (await alice.request("limits"))["reply"]
        book = (await alice.request("book", instrument="BTC-EUR", tradable=True))["reply"]
        listed = (await alice.request("instruments"))["reply"]
        nothing = await alice.request("book", instrument="NO")
    assert {row[0] for row in limits} == {"BTC", "ETH", "EUR"}
    assert book[0][0][0] < book[1][0][0]
    assert [row[0] for row in listed[1]] == ["BTC-EUR", "ETH-EUR"]
    assert nothing["error"] == 34


async def test_what_is_no_request_is_left_unanswered(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as alice:
        await alice.next()
        await alice.link.send("nonsense")
        await alice.send(event="ping")
        await alice.send(event="request", reqId=1, method="add", content=3)
        assert await alice.next() == {
            "event": "request",
            "reqId": 1,
            "error": 9,
            "param": "content",
        }
