"""The simulated DigiFinex: its market and its orders, as its pages say."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.model import Side
from tests.unit.digifinex_simulator_bench import KEY, NOW_S, SECRET, Client, Served, client, serving
from venues.digifinex import wire

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
