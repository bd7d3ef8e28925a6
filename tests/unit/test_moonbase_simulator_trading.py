"""The simulated Moonbase: its market, orders and money, as its pages say."""

from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.matching.exchange import OrderTerms
from botkit.model import Side
from tests.unit.moonbase_simulator_bench import BOOK, ETH, NOW_S, ORDERS, call, client, serving

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
