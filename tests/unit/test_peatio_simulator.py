"""The simulated Peatio: who it lets in, and what its sources say it does."""

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.errors import ConfigError, VenueUnreachableError
from botkit.testing.simulated import START_NS
from tests.unit.peatio_bench import Client, serving
from venues.peatio.simulator import PeatioSimulator

RANGER = "api/v2/ranger"
PRIVATE = f"{RANGER}/private/?stream=order&stream=trade"
WRONG = "Bearer x"
NOW_S = START_NS // 1_000_000_000
SELL = {"side": "sell", "price": "41000"}
BAD: list[dict[str, Any]] = [
    {"exp": NOW_S - 1},
    {"iat": NOW_S + 60},
    {"jti": None},
    {"sub": "other"},
    {"email": "nobody@example.com", "uid": "ID0"},
]

# --- first generation: the socket ---------------------------------------------------------------


async def test_a_good_token_is_authenticated_whatever_else_the_frame_has(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, served.client() as client:
        challenge = await client.until("challenge")
        assert len(challenge) == 54
        await client.send(auth={"x": 1}, jwt=served.token())
        assert await client.next() == {"success": {"message": "Authenticated."}}


@pytest.mark.parametrize("claims", BAD)
async def test_a_token_that_does_not_hold_is_refused_and_may_be_followed_by_another(
    claims: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with serving() as served, served.client() as client:
        refused = {"error": {"message": "Authentication failed."}}
        assert await client.sign_in(served.token(**claims)) == refused
        for broken in ("", served.token()[7:], served.token()[:-4] + "AAAA", "Bearer x"):
            await client.send(jwt=broken)
            assert await client.next() == refused
        await client.send(jwt=served.token())
        assert "success" in await client.next()


async def test_nothing_is_said_to_no_json_and_nothing_flows_before_signing_in(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, served.client() as client:
        await client.until("challenge")
        for frame in ("{", "{}", "[]", "3"):
            await client.link.send(frame)
        await served.order()
        assert await client.silent()


async def test_signing_in_twice_doubles_everything(autojump_clock: MockClock) -> None:
    async with serving() as served, served.client() as client:
        await client.sign_in(served.token())
        await client.send(jwt=served.token())
        await client.until("success")
        await served.order()
        first, second = await client.until("orderbook"), await client.until("orderbook")
        assert first == second
        assert await client.silent()


async def test_the_book_is_single_orders_without_a_snapshot(autojump_clock: MockClock) -> None:
    async with serving() as served, served.client() as client:
        await served.order(price="39000")
        await trio.sleep(0.1)  # told by then
        await client.sign_in(served.token("carol"))
        order = await served.order()
        told = await client.until("orderbook")
        assert told == {
            "action": "add",
            "order": {
                "id": order["id"],
                "timestamp": NOW_S,
                "type": "bid",
                "volume": "0.5",
                "price": "40000.0",
                "market": "btcusd",
                "ord_type": "limit",
            },
            "locale": "en",
        }


async def test_the_only_word_of_a_cancel_is_the_book(autojump_clock: MockClock) -> None:
    async with serving() as served, served.client() as client:
        order = await served.order()
        await trio.sleep(0.1)
        await client.sign_in(served.token())
        answer = await served.json("POST", "order/delete", {"id": order["id"]})
        assert (answer["state"], answer["remaining_volume"]) == ("wait", "0.5")
        told = await client.until("orderbook")
        assert (told["action"], told["order"]["volume"]) == ("remove", "0.5")
        assert await client.silent()
        late = await served.json("POST", "order/delete", {"id": order["id"]})
        assert late["state"] == "cancel"


async def test_a_cancel_that_lies_in_the_queue_may_come_too_late(
    autojump_clock: MockClock,
) -> None:
    async with serving(cancel_delay_s=2.0) as served:
        order = await served.order()
        assert (await served.json("POST", "order/delete", {"id": order["id"]}))["state"] == "wait"
        await served.order(token=served.token("bob"), side="sell", price="40000")
        await trio.sleep(3)
        assert (await served.json("GET", f"order?id={order['id']}"))["state"] == "done"


@pytest.mark.parametrize(("ahead", "states"), [(True, ["done", "done"]), (False, ["wait", "done"])])
async def test_an_enclosed_order_may_be_ahead_of_its_trade(
    ahead: object,
    states: list[str],
    autojump_clock: MockClock,
) -> None:
    async with serving(enclosed_ahead=ahead) as served, served.client() as client:
        for _ in range(2):
            await served.order(token=served.token("bob"), volume="0.25")
        await client.sign_in(served.token())
        await served.order(side="sell", price="40000")
        trades = [await client.until("trade"), await client.until("trade")]
        assert [trade["ask"]["state"] for trade in trades] == states
        assert [trade["volume"] for trade in trades] == ["0.25", "0.25"]
        assert {trade["side"] for trade in trades} == {"ask"}


async def test_a_trade_is_told_to_its_members_alone_and_both_to_one_who_is_both(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, served.client() as client, served.client() as stranger:
        await client.sign_in(served.token())
        await stranger.sign_in(served.token("carol"))
        await served.order()
        await served.order(**{**SELL, "price": "40000"})
        trade = await client.until("trade")
        assert trade["side"] == "both"
        assert {"bid", "ask"} <= trade.keys()
        while not await stranger.silent():
            assert "trade" not in await stranger.next()


@pytest.mark.parametrize("first", [True, False])
async def test_trades_and_book_come_in_either_order(
    first: object,
    autojump_clock: MockClock,
) -> None:
    async with serving(trades_first=first) as served, served.client() as client:
        await client.sign_in(served.token())
        await served.order()
        await client.until("orderbook")
        await served.order(token=served.token("bob"), side="sell", price="40000")
        assert ("trade" in await client.next()) is first


async def test_the_server_pings_every_ten_seconds(autojump_clock: MockClock) -> None:
    async with serving() as served, served.client() as client:
        await client.until("challenge")
        await client.silent(35.0)
        assert client.link.idle_s < 10


# --- first generation: REST ---------------------------------------------------------------------


async def test_orders_are_answered_before_anything_trades(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.order(token=served.token("bob"), side="sell", price="40000")
        answer = await served.order()
        assert (answer["state"], answer["executed_volume"]) == ("wait", "0.0")
        now = await served.json("GET", f"order?id={answer['id']}")
        assert (now["state"], now["executed_volume"], len(now["trades"])) == ("done", "0.5", 1)


async def test_numbers_are_cut_to_the_markets_precision(autojump_clock: MockClock) -> None:
    async with serving() as served:
        answer = await served.order(volume="0.12349", price="40000.019")
        assert (answer["volume"], answer["price"]) == ("0.1234", "40000.01")


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"market": "dashusd"}, 1001),
        ({"side": "bid"}, 1001),
        ({"price": None}, 1001),
        ({"volume": "1000"}, 2002),
        ({"volume": "x"}, 2002),
        ({"volume": "0"}, 2002),
    ],
)
async def test_what_is_wrong_with_an_order_is_hardly_told(
    terms: dict[str, Any], code: int, autojump_clock: MockClock
) -> None:
    async with serving() as served:
        assert (await served.order(**terms))["error"]["code"] == code


async def test_errors_of_calls_have_their_codes(autojump_clock: MockClock) -> None:
    async with serving() as served:
        refused = await served.call("GET", "members/me", token=WRONG)
        assert (refused.status, json.loads(refused.body)["error"]["code"]) == (401, 2001)
        low = await served.order(token=served.token(level=1))
        assert low["error"]["code"] == 2000
        missing = await served.call("GET", "order?id=77")
        assert (missing.status, json.loads(missing.body)["error"]["code"]) == (404, 2004)
        unknown = await served.json("POST", "order/delete", {"id": 77})
        assert unknown["error"]["code"] == 2003
        for path in ("order?id=x", "order", "orders?market=x", "depth"):
            assert (await served.json("GET", path))["error"]["code"] == 1001
        assert (await served.call("GET", "nothing")).status == 404
        assert (await served.call("POST", "orders", [1])).status == 400


async def test_many_orders_and_all_cancels_in_one_call(autojump_clock: MockClock) -> None:
    async with serving() as served:
        many = {"market": "btcusd", "orders": [{"side": "buy", "volume": "1", "price": "2"}] * 3}
        assert len(await served.json("POST", "orders/multi", many)) == 3
        assert "error" in await served.json("POST", "orders/multi", {"market": "btcusd"})
        await served.order(**SELL)
        gone = await served.json("POST", "orders/clear", "side=buy")
        assert [row["state"] for row in gone] == ["wait"] * 3
        left = await served.json("GET", "orders?market=btcusd")
        assert [row["side"] for row in left] == ["sell"]
        canceled = await served.json("GET", "orders?market=btcusd&state=cancel&limit=2&page=2")
        assert len(canceled) == 1


async def test_money_is_locked_and_fees_come_from_what_is_received(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served:
        await served.order()
        accounts = (await served.json("GET", "members/me"))["accounts"]
        usd = next(row for row in accounts if row["currency"] == "usd")
        assert (usd["balance"], usd["locked"]) == ("980000.0", "20000.0")
        await served.order(token=served.token("bob"), side="sell", price="40000")
        accounts = (await served.json("GET", "members/me"))["accounts"]
        btc = next(row for row in accounts if row["currency"] == "btc")
        assert btc["balance"] == "10.499"


async def test_public_calls_need_no_token(autojump_clock: MockClock) -> None:
    async with serving() as served:
        for price in ("40000", "39999"):
            await served.order(price=price)
        for price in ("41000", "41001"):
            await served.order(side="sell", price=price)
        book = await served.json("GET", "order_book?market=btcusd&asks_limit=1", token="")
        assert [row["price"] for row in book["bids"]] == ["40000.0", "39999.0"]
        assert [row["price"] for row in book["asks"]] == ["41000.0"]
        depth = await served.json("GET", "depth?market=btcusd", token="")
        assert [row[0] for row in depth["asks"]] == ["41001.0", "41000.0"]  # the best is last
        assert [row[0] for row in depth["bids"]] == ["40000.0", "39999.0"]
        markets = await served.json("GET", "markets", token="")
        assert markets[0] == {"id": "btcusd", "name": "BTC/USD"}
        assert await served.json("GET", "timestamp", token="") == NOW_S
        await served.order(side="sell", price="40000")
        (trade,) = await served.json("GET", "trades?market=btcusd", token="")
        assert (trade["price"], trade["volume"]) == ("40000.0", "0.5")


async def test_own_trades_are_paged_by_id(autojump_clock: MockClock) -> None:
    async with serving() as served:
        for _ in range(3):
            await served.order()
            await served.order(token=served.token("bob"), side="sell", price="40000")
        path = "trades/my?market=btcusd&limit=2"
        newest = await served.json("GET", path)
        assert [row["side"] for row in newest] == ["bid", "bid"]
        older = await served.json("GET", f"{path}&to={newest[-1]['id']}")
        assert len(older) == 1
        upward = await served.json("GET", f"{path}&order_by=asc")
        assert upward[0]["id"] == older[0]["id"]


# --- second generation --------------------------------------------------------------------------


async def test_streams_of_the_query_are_subscribed_on_open(autojump_clock: MockClock) -> None:
    async with serving() as served:
        path = f"{RANGER}/public/?stream=global.tickers&stream=btcusd.trades"
        async with served.client(path) as client:
            told = {"message": "subscribed", "streams": ["global.tickers", "btcusd.trades"]}
            assert await client.next() == {"success": told}
            await client.send(event="unsubscribe", streams=["global.tickers"])
            told = {"message": "unsubscribed", "streams": ["btcusd.trades"]}
            assert await client.next() == {"success": told}


@pytest.mark.parametrize("claims", BAD)
async def test_a_bad_token_is_dropped_in_the_handshake_without_an_answer(
    claims: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with serving() as served:
        with pytest.raises(VenueUnreachableError, match="before the upgrade"):
            async with served.client(PRIVATE, served.token(**claims)):
                pass


async def test_ping_is_answered_by_bare_text_and_nonsense_by_nothing(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, served.client(f"{RANGER}/") as client:
        assert await client.next() == {"success": {"message": "subscribed", "streams": []}}
        await client.link.send("ping")
        assert await client.next() == b"pong"
        for frame in ("{", "[]", '{"event":"dance"}', '{"streams":1}'):
            await client.link.send(frame)
        assert await client.silent()


async def test_an_anonymous_client_of_private_streams_gets_nothing(
    autojump_clock: MockClock,
) -> None:
    async with serving() as served, served.client(PRIVATE) as client:
        assert (await client.until("success"))["streams"] == ["order", "trade"]
        await served.order("market/orders")
        assert await client.silent()


async def subscribed(client: Client, *streams: str) -> list[Any]:
    """Subscribe; return what came before the answer."""
    await client.until("success")
    await client.send(event="subscribe", streams=list(streams))
    before = []
    while "success" not in (frame := await client.next()):
        before.append(frame)
    return before


async def test_the_stored_book_comes_before_the_answer(autojump_clock: MockClock) -> None:
    async with serving() as served, served.client(f"{RANGER}/public/") as client:
        await served.order("market/orders")
        snapshot, increment = await subscribed(client, "btcusd.ob-inc")
        assert snapshot == {"btcusd.ob-snap": {"asks": [], "bids": [], "sequence": 1}}
        told = {"bids": ["40000.0", "0.5"], "sequence": 2}
        assert increment == {"btcusd.ob-inc": told}
        await served.json("POST", "market/orders/cancel", {})
        assert await client.until("btcusd.ob-inc") == {"bids": ["40000.0", ""], "sequence": 3}


async def test_snapshots_are_renewed_in_the_store_alone(autojump_clock: MockClock) -> None:
    async with serving() as served, served.client(f"{RANGER}/public/") as client:
        await subscribed(client, "btcusd.ob-inc")
        await trio.sleep(61)
        await served.order("market/orders")
        assert await client.until("btcusd.ob-inc")
        assert await client.silent()
        async with served.client(f"{RANGER}/public/") as another:
            (snapshot,) = await subscribed(another, "btcusd.ob-inc")
            assert snapshot["btcusd.ob-snap"]["sequence"] == 2
            assert snapshot["btcusd.ob-snap"]["bids"] == [["40000.0", "0.5"]]


async def test_without_a_snapshot_increments_are_dropped_until_the_first(
    autojump_clock: MockClock,
) -> None:
    async with (
        serving(first_snapshot_s=10.0) as served,
        served.client(f"{RANGER}/public/") as client,
    ):
        assert await subscribed(client, "btcusd.ob-inc") == []
        await served.order("market/orders")
        assert await client.silent(5)
        await trio.sleep(6)
        snapshot = await client.until("btcusd.ob-snap")
        assert snapshot["bids"] == [["40000.0", "0.5"]]


async def test_increments_can_be_lost_and_be_lists_of_pairs(autojump_clock: MockClock) -> None:
    async with (
        serving(gap_every=2, flat_pairs=False) as served,
        served.client(f"{RANGER}/public/") as client,
    ):
        await subscribed(client, "btcusd.ob-inc")
        for price in ("40001", "40002", "40003"):
            await served.order("market/orders", price=price)
        first, third = [await client.until("btcusd.ob-inc") for _ in range(2)]
        assert (first["sequence"], third["sequence"]) == (2, 4)
        assert first["bids"] == [["40001.0", "0.5"]]


async def test_orders_and_trades_are_told_to_their_member(autojump_clock: MockClock) -> None:
    async with (
        serving(trades_first=True) as served,
        served.client(PRIVATE, served.token()) as client,
    ):
        answer = await served.order("market/orders")
        assert answer["state"] == "pending"
        order = await client.until("order")
        assert (order["id"], order["state"], order["kind"]) == (answer["id"], "wait", "bid")
        bob = served.token("bob")
        await served.order("market/orders", bob, side="sell", price="40000", volume="0.2")
        trade, order = await client.until("trade"), await client.until("order")
        assert (trade["side"], trade["taker_type"], trade["amount"]) == ("buy", "sell", "0.2")
        assert (order["state"], order["remaining_volume"]) == ("wait", "0.3")
        await served.json("POST", f"market/orders/{answer['id']}/cancel", {})
        order = await client.until("order")
        assert (order["state"], order["executed_volume"]) == ("cancel", "0.2")


async def test_market_orders_are_announced_only_when_done(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.order("market/orders", served.token("bob"), side="sell", price="40000")
        async with served.client(PRIVATE, served.token()) as client:
            await served.order("market/orders", price=None, ord_type="market", volume="0.5")
            order = await client.until("order")
            assert (order["state"], order["ord_type"], order["price"]) == ("done", "market", None)


async def test_funds_that_lack_reject_at_once_or_by_an_event(autojump_clock: MockClock) -> None:
    async with serving(reject_late=False) as served:
        told = await served.order("market/orders", volume="1000")
        assert told == {"errors": ["market.account.insufficient_balance"]}
    async with (
        serving(reject_late=True) as served,
        served.client(PRIVATE, served.token()) as client,
    ):
        told = await served.order("market/orders", volume="1000")
        assert told["state"] == "pending"
        order = await client.until("order")
        assert (order["id"], order["state"]) == (told["id"], "reject")
        listed = await served.json("GET", "market/orders?state=reject")
        assert [row["id"] for row in listed] == [told["id"]]


@pytest.mark.parametrize(
    ("terms", "key"),
    [
        ({"market": "dashusd"}, "market.market.doesnt_exist_or_not_enabled"),
        ({"side": "bid"}, "market.order.invalid_side"),
        ({"price": None}, "market.order.invalid_volume_or_price"),
        ({"ord_type": "market"}, "market.order.market_order_price"),
        ({"volume": "0"}, "market.order.non_positive_volume"),
        ({"price": "0"}, "market.order.non_positive_price"),
        ({"volume": None}, "market.order.invalid_volume_or_price"),
    ],
)
async def test_what_is_wrong_with_an_order_is_told_by_a_key(
    terms: dict[str, Any], key: str, autojump_clock: MockClock
) -> None:
    async with serving() as served:
        assert await served.order("market/orders", **terms) == {"errors": [key]}


async def test_second_errors_and_lists(autojump_clock: MockClock) -> None:
    async with serving() as served:
        refused = await served.call("GET", "account/balances", token=WRONG)
        assert refused.status == 401
        assert json.loads(refused.body) == {"errors": ["jwt.decode_and_verify"]}
        for path in ("market/orders/77", "market/orders/x", "public/markets/x/depth", "market/x"):
            assert (await served.call("GET", path)).status == 404
        for _ in range(3):
            await served.order("market/orders")
        page = await served.call("GET", "market/orders?market=btcusd&limit=2&page=2")
        assert len(json.loads(page.body)) == 1
        assert (page.headers["total"], page.headers["per-page"], page.headers["page"]) == (
            "3",
            "2",
            "2",
        )
        await served.order("market/orders", served.token("bob"), side="sell", price="40000")
        (trade,) = await served.json("GET", "market/trades?order_by=asc")
        order = await served.json("GET", f"market/orders/{trade['order_id']}")
        assert order["trades"][0]["id"] == trade["id"]
        assert (await served.json("GET", f"market/orders/{order['uuid']}"))["id"] == order["id"]


async def test_second_public_calls(autojump_clock: MockClock) -> None:
    async with serving() as served:
        await served.order("market/orders")
        await served.order("market/orders", side="sell", price="40000", volume="0.2")
        market = (await served.json("GET", "public/markets", token=""))[0]
        assert (market["price_precision"], market["amount_precision"]) == (2, 4)
        depth = await served.json("GET", "public/markets/btcusd/depth", token="")
        assert depth["bids"] == [["40000.0", "0.3"]]
        book = await served.json("GET", "public/markets/btcusd/order-book", token="")
        assert [row["remaining_volume"] for row in book["bids"]] == ["0.3"]
        (trade,) = await served.json("GET", "public/markets/btcusd/trades", token="")
        assert trade["taker_type"] == "sell"


async def test_a_proxy_may_hide_the_answer_of_what_was_done(autojump_clock: MockClock) -> None:
    async with serving(bad_gateway_every=2) as served:
        body = {"market": "btcusd", "side": "buy", "volume": "1", "price": "2"}
        replies = [(await served.call("POST", "orders", body)).status for _ in range(2)]
        assert replies == [201, 502]
        assert len(await served.json("GET", "orders?market=btcusd")) == 2


async def test_a_quirk_it_has_not_is_named() -> None:
    with pytest.raises(ConfigError, match="found 'moody', allowed: answer_first"):
        PeatioSimulator(SimulatorSetup(clock=LiveClock(origin_ns=START_NS), quirks={"moody": 1}))


async def test_its_market_lives(autojump_clock: MockClock) -> None:
    async with serving(quiet=False) as served:
        await trio.sleep(30)
        served.simulator.catch_up()
        assert await served.json("GET", "trades?market=btcusd")
        assert served.simulator.market.report(served.simulator.members)["alice"]["orders"] == 0
