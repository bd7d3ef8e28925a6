"""The simulated DigiFinex: who it lets in, and what its pages say it does."""

import json
import zlib
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
from botkit.model import Side
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.simulated import START_NS
from botkit.transport import HttpLink, WsLink, open_http, open_ws
from venues.digifinex import wire
from venues.digifinex.simulator import DigiFinexSimulator

NOW_S = START_NS // 1_000_000_000
KEY, SECRET = "test-key-alice", "test-secret-alice"
BUY = {"symbol": "BTC_USDT", "type": "buy", "amount": "0.01", "price": "40000"}


@attrs.frozen(kw_only=True)
class Served:
    """A simulator that listens, its network, and a road to its REST."""

    simulator: DigiFinexSimulator
    network: SimulatedNetwork
    http: HttpLink

    async def call(
        self,
        method: str,
        path: str,
        sent: Mapping[str, str] | None = None,
        *,
        key: str = KEY,
        secret: str = SECRET,
        ahead_s: int = 0,
    ) -> Any:
        """Return the reply to a signed call, its code as a number."""
        text = wire.form(sent or {})
        now_s = self.simulator.market.clock.now_ns() // 1_000_000_000
        headers = wire.rest_headers(key, secret, text, timestamp_s=now_s + ahead_s)
        is_get = method == "GET"
        reply = await self.http.request(
            method,
            path,
            params=text if is_get and text else None,
            content=None if is_get else text.encode(),
            headers=headers,
        )
        value = json.loads(reply.body)
        return {**value, "code": int(value["code"])}

    async def new(self, **terms: str) -> Any:
        return await self.call("POST", "/spot/order/new", {**BUY, **terms})


@asynccontextmanager
async def serving(*, quiet: bool = False, **quirks: object) -> AsyncIterator[Served]:
    setup = SimulatorSetup(clock=LiveClock(origin_ns=START_NS), seed=1, quirks=quirks, quiet=quiet)
    simulator = DigiFinexSimulator(setup)
    async with open_network() as network, trio.open_nursery() as nursery:
        nursery.start_soon(simulator.run)
        network.listen("digifinex.test", 80, simulator.server.serve)
        async with open_http("http://digifinex.test/v3", dial=network.dial) as http:
            yield Served(simulator=simulator, network=network, http=http)
        nursery.cancel_scope.cancel()


class Client:
    """A client that speaks plain JSON; `raw` has the frames as they came."""

    def __init__(self, link: WsLink) -> None:
        self.link = link
        self.raw: list[bytes] = []
        self._last_id = 0

    async def next(self) -> Any:
        (frame,) = await self.link.receive_batch()
        self.raw.append(frame)
        return json.loads(frame if frame[:1] == b"{" else zlib.decompress(frame))

    async def drain(self, *, ping_every_s: float = float("inf")) -> None:
        """Read until the link ends, pinging or not."""
        while True:
            with trio.move_on_after(ping_every_s):
                while True:
                    await self.next()
            await self.ask("server.ping")

    async def until(self, method: str) -> Any:
        """Return the params of the next push of that method."""
        with trio.fail_after(90):
            while True:
                frame = await self.next()
                if frame.get("method") == method:
                    return frame["params"]

    async def ask(self, method: str, *params: object) -> Any:
        """Return the reply, and drop what comes before it."""
        self._last_id += 1
        request = {"id": self._last_id, "method": method, "params": params}
        await self.link.send(json.dumps(request))
        with trio.fail_after(5):
            while True:
                frame = await self.next()
                if frame.get("id") == self._last_id:
                    return frame

    async def auth(self, secret: str = SECRET, *, ahead_ms: int = 0, key: str = KEY) -> Any:
        timestamp = str(NOW_S * 1_000 + ahead_ms)
        return await self.ask("server.auth", key, timestamp, wire.auth_sign(secret, timestamp))


@asynccontextmanager
async def client(served: Served) -> AsyncIterator[Client]:
    async with open_ws("ws://digifinex.test/ws/v1/", dial=served.network.dial) as link:
        yield Client(link)


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


# --- market data --------------------------------------------------------------------------------


def side_of(served: Served, side: Side) -> dict[float, float]:
    levels = served.simulator.market.exchange.markets["BTC_USDT"].levels(side, 20)
    return {float(price): float(qty) for price, qty, _ in levels}


@pytest.mark.parametrize("lingers", [False, True])
async def test_book_replayed_from_its_changes_equals_the_exchanges(
    lingers: object, autojump_clock: MockClock
) -> None:
    zeros: set[str] = set()
    wholes = 0
    async with (
        serving(lingers=lingers, whole_every=0, idle_s=1e9) as served,
        client(served) as anyone,
    ):
        await anyone.ask("depth.subscribe", "BTC_USDT")
        book: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
        for _ in range(300):
            clean, sides, name = await anyone.until("depth.update")
            wholes += clean
            assert name == "BTC_USDT"
            for key, levels in sides.items():
                zeros |= {qty for _, qty in levels if not float(qty)}
                changed = {float(price): float(qty) for price, qty in levels}
                merged = changed if clean else {**book[key], **changed}
                book[key] = {price: qty for price, qty in merged.items() if qty}
        for key, side in (("bids", Side.BUY), ("asks", Side.SELL)):
            shown = sorted(book[key].items(), reverse=side is Side.BUY)
            ours = dict(shown[: len(side_of(served, side))])
            assert ours == side_of(served, side)
    assert wholes == 1
    assert zeros == {"0", "0.0", "0.00000000"}


async def test_asks_of_the_whole_book_come_from_the_highest_down(
    autojump_clock: MockClock,
) -> None:
    async with serving(whole_every=5) as served, client(served) as anyone:
        await anyone.ask("depth.subscribe", "BTC_USDT")
        wholes = [params async for params in pushes(anyone, "depth.update", 60) if params[0]]
    assert len(wholes) > 5
    for _, sides, _ in wholes:
        asks = [float(price) for price, _ in sides["asks"]]
        bids = [float(price) for price, _ in sides["bids"]]
        assert asks == sorted(asks, reverse=True)
        assert bids == sorted(bids, reverse=True)


async def pushes(anyone: Client, method: str, count: int) -> AsyncIterator[Any]:
    for _ in range(count):
        yield await anyone.until(method)


async def test_trades_begin_with_history_and_are_newest_first(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as anyone:
        await trio.sleep(30)
        await anyone.ask("trades.subscribe", "BTC_USDT")
        clean, history, _ = await anyone.until("trades.update")
        again, news, _ = await anyone.until("trades.update")
    ids = [row["id"] for row in history]
    assert clean
    assert not again
    assert ids == sorted(ids, reverse=True)
    assert news[-1]["id"] > ids[0]


@pytest.mark.parametrize("adds_up", [False, True])
async def test_second_subscription_replaces_the_first_or_adds_to_it(
    adds_up: object, autojump_clock: MockClock
) -> None:
    async with serving(adds_up=adds_up, lower_case=True) as served, client(served) as anyone:
        await anyone.ask("ticker.subscribe", "BTC_USDT")
        await anyone.ask("ticker.subscribe", "ETH_USDT")
        rows = [params async for params in pushes(anyone, "ticker.update", 30)]
    names = {row["symbol"] for params in rows for row in params}
    assert names == ({"btc_usdt", "eth_usdt"} if adds_up else {"eth_usdt"})


async def test_unsubscribing_ends_some_pushes_or_all(autojump_clock: MockClock) -> None:
    async with serving() as served, client(served) as anyone:
        await anyone.ask("ticker.subscribe", "BTC_USDT", "ETH_USDT")
        await anyone.ask("all_ticker.subscribe")
        await anyone.ask("ticker.unsubscribe", "BTC_USDT")
        rows = [params async for params in pushes(anyone, "ticker.update", 10)]
        all_rows = [params async for params in pushes(anyone, "all_ticker.update", 10)]
        await anyone.ask("ticker.unsubscribe")
        with trio.move_on_after(20) as patience:
            await anyone.until("ticker.update")
    assert {row["symbol"] for params in rows for row in params} == {"ETH_USDT"}
    assert {row["symbol"] for params in all_rows for row in params} == {"BTC_USDT", "ETH_USDT"}
    assert patience.cancelled_caught


async def test_others_may_trade_while_the_background_pauses(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await trio.sleep(1)
        served.simulator.market.pause()
        await trio.sleep(5)
        await served.new()
        served.simulator.market.pause(paused=False)
        await trio.sleep(1)
        assert (await served.new())["code"] == 0


async def test_public_calls_tell_the_market(autojump_clock: MockClock) -> None:
    async with serving(lower_case=True) as served:
        await trio.sleep(30)
        of_btc = {"symbol": "btc_usdt"}
        symbols = await served.call("GET", "/spot/symbols")
        markets = await served.call("GET", "/markets")
        book = await served.call("GET", "/order_book", {**of_btc, "limit": "3"})
        trades = await served.call("GET", "/trades", of_btc)
        ticker = await served.call("GET", "/ticker", of_btc)
        tickers = await served.call("GET", "/ticker")
        time = await served.call("GET", "/time")
        nothing = await served.call("GET", "/order_book", {"symbol": "x"})
        bad = await served.call("GET", "/order_book", {**of_btc, "limit": "x"})
    assert {row["symbol"] for row in symbols["symbol_list"]} == {"btc_usdt", "eth_usdt"}
    assert {row["market"] for row in markets["data"]} == {"btc_usdt", "eth_usdt"}
    asks = [float(price) for price, _ in book["asks"]]
    assert len(asks) == 3
    assert asks == sorted(asks, reverse=True)
    assert trades["data"][0]["id"] > trades["data"][-1]["id"]
    assert float(ticker["ticker"][0]["buy"]) < float(ticker["ticker"][0]["sell"])
    assert float(ticker["ticker"][0]["low"]) <= float(ticker["ticker"][0]["high"])
    assert abs(float(ticker["ticker"][0]["change"])) < 5
    assert [row["symbol"] for row in tickers["ticker"]] == ["btc_usdt", "eth_usdt"]
    assert time["server_time"] == NOW_S + 30
    assert [nothing["code"], bad["code"]] == [20019, 10004]


async def test_clients_for_everything_find_currencies_and_no_swaps(
    autojump_clock: MockClock,
) -> None:
    async with serving(quiet=True) as served:
        currencies = await served.call("GET", "/currencies")
        swaps = await served.call("GET", "/swap/v2/public/instruments")
    assert {row["currency"] for row in currencies["data"]} == {"BTC", "ETH", "USDT"}
    assert (int(swaps["code"]), swaps["data"]) == (0, [])


# --- orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({}, 0),
        ({"symbol": "btc_usdt"}, 0),
        ({"symbol": "DOGE_USDT"}, 20019),
        ({"type": "hold"}, 20012),
        ({"amount": "x"}, 10004),
        ({"amount": "0"}, 20003),
        ({"amount": "NaN"}, 20003),
        ({"amount": "0.000001"}, 20008),
        ({"price": "40000.001"}, 20007),
        ({"amount": "0.00005"}, 20009),
        ({"price": "1"}, 20010),
        ({"amount": "1000"}, 20011),
        ({"post_only": "2"}, 10004),
        ({"type": "buy_market", "amount": "1000"}, 0),
        ({"type": "sell_market", "amount": "0.01"}, 0),
    ],
)
async def test_order_is_taken_or_refused_by_its_code(
    terms: dict[str, str], code: int, autojump_clock: MockClock
) -> None:
    async with serving() as served:
        await trio.sleep(1)
        assert (await served.new(**terms))["code"] == code


async def test_halted_market_refuses_orders(autojump_clock: MockClock) -> None:
    async with serving() as served:
        served.simulator.market.exchange.halt("BTC_USDT")
        assert (await served.new())["code"] == 20002


async def test_market_buy_spends_money_and_is_told_by_totals(autojump_clock: MockClock) -> None:
    async with serving(repeats=0.0, disorder=0.0) as served, client(served) as alice:
        await alice.auth()
        await alice.ask("order.subscribe", "BTC_USDT")
        placed = await served.new(type="buy_market", amount="25000")
        rows: list[Any] = []
        while not rows or rows[-1]["status"] != 2:
            rows += await alice.until("order.update")
        detail = await served.call("GET", "/spot/order/detail", {"order_id": placed["order_id"]})
    assert all((row["amount"], row["price"]) == ("0", "0") for row in rows)
    assert [Decimal(row["filled"]) for row in rows] == sorted(Decimal(r["filled"]) for r in rows)
    assert 24_999 < Decimal(rows[-1]["notional"]) <= 25_000
    fills = detail["data"]["detail"]
    assert len(fills) > 1
    qty = sum(Decimal(str(fill["executed_amount"])) for fill in fills)
    assert qty == Decimal(rows[-1]["filled"])
    assert {fill["fee_currency"] for fill in fills} == {"BTC"}


@pytest.mark.parametrize("push_first", [True, False])
async def test_push_comes_before_the_answer_or_after_it(
    push_first: object, autojump_clock: MockClock
) -> None:
    quirks = {"push_first": push_first, "repeats": 0.0, "disorder": 0.0}
    heard: list[str] = []
    async with serving(quiet=True, **quirks) as served, client(served) as alice:
        await alice.auth()
        await alice.ask("order.subscribe", "BTC_USDT")
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                await alice.until("order.update")
                heard.append("push")

            nursery.start_soon(listen)
            await served.new()
            heard.append("answer")
    assert heard == (["push", "answer"] if push_first else ["answer", "push"])


async def test_pushes_are_repeated_and_come_out_of_order(autojump_clock: MockClock) -> None:
    async with serving(quiet=True, repeats=0.5, disorder=0.5) as served, client(served) as alice:
        await alice.auth()
        await alice.ask("order.subscribe", "BTC_USDT")
        for _ in range(10):
            placed = await served.new()
            await served.call("POST", "/spot/order/cancel", {"order_id": placed["order_id"]})
        rows: list[Any] = []
        with trio.move_on_after(5):
            while True:
                rows += await alice.until("order.update")
    seen = [(row["id"], row["status"]) for row in rows]
    assert len(set(seen)) == 20
    assert len(seen) > 22
    late = [
        i for i, (order_id, status) in enumerate(seen) if (order_id, 3) in seen[:i] and not status
    ]
    assert late


@pytest.mark.parametrize(("taking", "code"), [("cancel", 0), ("reject", 20003)])
async def test_post_only_that_would_take_is_canceled_or_refused(
    taking: str, code: int, autojump_clock: MockClock
) -> None:
    async with serving(post_only_taking=taking) as served, client(served) as alice:
        await alice.auth()
        await alice.ask("order.subscribe", "BTC_USDT")
        await trio.sleep(1)
        placed = await served.new(post_only="1", price="60000")
        assert placed["code"] == code
        if taking == "cancel":
            (row,) = await alice.until("order.update")
            listed = await served.call("GET", "/spot/order", {"order_id": placed["order_id"]})
            history = await served.call("GET", "/spot/order/history", {"symbol": "BTC_USDT"})
            assert (row["status"], row["filled"]) == (3, "0")
            assert listed["data"][0]["status"] == 3
            assert history["data"][0]["order_id"] == placed["order_id"]


async def test_cancel_tells_which_ids_it_took(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served:
        one, two = await served.new(), await served.new()
        ids = [one["order_id"], two["order_id"]]
        first = await served.call("POST", "/spot/order/cancel", {"order_id": ids[0]})
        both = await served.call("POST", "/spot/order/cancel", {"order_id": ",".join([*ids, "x"])})
        none = await served.call("POST", "/spot/order/cancel", {})
        status = await served.call("GET", "/spot/order", {"order_id": ids[1]})
        unknown = await served.call("GET", "/spot/order", {"order_id": "x"})
    assert (first["success"], first["error"]) == ([ids[0]], [])
    assert (both["success"], both["error"]) == ([ids[1]], [ids[0], "x"])
    assert none["code"] == 10004
    assert status["data"][0]["status"] == 3
    assert unknown["code"] == 20013


async def test_orders_of_others_are_unknown(autojump_clock: MockClock) -> None:
    async with serving(quiet=True) as served:
        order_id = (await served.new())["order_id"]
        bobs: dict[str, Any] = {"key": "test-key-bob", "secret": "test-secret-bob"}
        seen = await served.call("GET", "/spot/order", {"order_id": order_id}, **bobs)
        gone = await served.call("POST", "/spot/order/cancel", {"order_id": order_id}, **bobs)
    assert seen["code"] == 20013
    assert gone["error"] == [order_id]


async def test_lists_come_by_pages(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await trio.sleep(1)
        for _ in range(12):
            await served.new(type="buy_market", amount="10")
        await served.new()
        of_btc = {"symbol": "BTC_USDT"}
        history = await served.call("GET", "/spot/order/history", of_btc)
        later = {**of_btc, "limit": "100", "start_time": str(NOW_S + 60)}
        none = await served.call("GET", "/spot/order/history", later)
        fills = await served.call("GET", "/spot/mytrades", {**of_btc, "limit": "5"})
        current = await served.call("GET", "/spot/order/current", of_btc)
        everywhere = await served.call("GET", "/spot/order/current")
        assets = await served.call("GET", "/spot/assets")
    assert (len(history["data"]), len(none["data"]), len(fills["list"])) == (10, 0, 5)
    assert len(current["data"]) == len(everywhere["data"]) == 1
    assert fills["list"][0]["is_maker"] is False
    assert fills["list"][0]["side"] == "buy_market"
    usdt = next(row for row in assets["list"] if row["currency"] == "USDT")
    assert float(usdt["total"]) - float(usdt["free"]) == 400.0


async def test_code_and_numbers_come_as_text_or_as_numbers(autojump_clock: MockClock) -> None:
    kinds: set[tuple[type, type]] = set()
    async with serving() as served:
        for _ in range(40):
            headers = wire.rest_headers(KEY, SECRET, "", timestamp_s=NOW_S)
            reply = await served.http.request("GET", "/spot/assets", headers=headers)
            value = json.loads(reply.body)
            kinds.add((type(value["code"]), type(value["list"][0]["total"])))
    assert {code for code, _ in kinds} == {int, str}
    assert len(kinds) == 4


async def test_answers_may_be_lost_and_reads_may_fail(autojump_clock: MockClock) -> None:
    async with serving(quiet=True, lost_answers=1.0, failing_reads=1.0) as served:
        with pytest.raises(json.JSONDecodeError):
            await served.new()
        account = served.simulator.market.exchange.accounts["alice"]
        assert len(account.open_orders()) == 1
        assert (await served.call("GET", "/spot/assets"))["code"] == 50000


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
