"""The simulated BlinkTrade's market, orders and reports, by the venue's pages and open server."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.model import Side
from tests.unit.blinktrade_simulator_bench import (
    BTC,
    connect,
    open_client,
    open_exchange,
    order,
    stranger_trades,
    subscription,
)

BROKER = "5"


# --- market data --------------------------------------------------------------------------------


async def test_the_list_of_instruments_needs_no_login(autojump_clock: MockClock) -> None:
    async with open_client("") as client:
        await client.send(MsgType="x", SecurityReqID=7, SecurityListRequestType=0)
        told = await client.expect("y", SecurityReqID=7)
    assert told["Instruments"][0]["Symbol"] == "BTCUSD"
    assert {row["Code"]: row["Pip"] for row in told["Currencies"]} == {"BTC": 1, "USD": 10**6}


async def test_book_is_told_by_order_and_changed_by_position(autojump_clock: MockClock) -> None:
    async with open_client(interleave=False) as client:
        stranger_trades(client, Side.BUY, 500, "1")
        stranger_trades(client, Side.BUY, 500, "2")
        await client.send(**subscription())
        snapshot = await client.expect("W", MDReqID=77, Symbol="BTCUSD")
        rows = [row for row in snapshot["MDFullGrp"] if row["MDEntryType"] == "0"]
        assert [row["MDEntrySize"] // BTC for row in rows] == [1, 2]
        assert [row["MDEntryPositionNo"] for row in rows] == [1, 2]
        stranger_trades(client, Side.BUY, 501, "3")
        stranger_trades(client, Side.BUY, 500, "1")
        first, last = await client.expect("X"), await client.expect("X")
        await client.order("a", "2", 501, 1.5)
        update, trade = await client.expect("X"), await client.expect("X")
    (new,), (at_the_end,) = first["MDIncGrp"], last["MDIncGrp"]
    assert (new["MDUpdateAction"], new["MDEntryPositionNo"]) == ("0", 1)
    assert (at_the_end["MDUpdateAction"], at_the_end["MDEntryPositionNo"]) == ("0", 4)
    (changed,) = update["MDIncGrp"]
    assert (changed["MDUpdateAction"], changed["MDEntrySize"]) == ("1", int(1.5 * BTC))
    assert changed["OrderID"] == new["OrderID"]
    printed, volume = trade["MDIncGrp"]
    assert (printed["Side"], printed["SecondaryOrderID"]) == ("2", new["OrderID"])
    assert volume["BTC"] == int(1.5 * BTC)
    assert "MDUpdateAction" not in volume


async def test_deleted_orders_are_told_by_place_alone(autojump_clock: MockClock) -> None:
    async with open_client(interleave=False) as client:
        await client.order("a", "1", 500)
        await client.expect("8")
        await client.send(**subscription())
        await client.expect("W")
        await client.send(MsgType="F", ClOrdID="a")
        (gone,) = (await client.expect("X"))["MDIncGrp"]
    assert gone == {
        "MDUpdateAction": "2", "MDEntryPositionNo": 1, "Symbol": "BTCUSD", "MDEntryType": "0",
    }  # fmt: skip


async def test_unsubscribing_is_not_answered(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.send(**subscription())
        await client.send(MsgType="e", SecurityStatusReqID=55, SubscriptionRequestType="1",
                          Instruments=["BLINK:BTCUSD"])  # fmt: skip
        await client.expect("f", SecurityStatusReqID=55)
        await client.send(**subscription(SubscriptionRequestType="2"))
        await client.send(MsgType="e", SecurityStatusReqID=55, SubscriptionRequestType="2")
        await client.settle()
        stranger_trades(client, Side.BUY, 500, "1")
        assert await client.settle() == []


async def test_a_snapshot_alone_is_followed_by_nothing(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        stranger_trades(client, Side.BUY, 500, "1")
        stranger_trades(client, Side.BUY, 499, "1")
        await client.send(**subscription(SubscriptionRequestType="0", MarketDepth=1))
        best = [e for e in (await client.expect("W"))["MDFullGrp"] if e["MDEntryType"] == "0"]
        assert [row["MDEntryPx"] for row in best] == [500 * BTC]
        stranger_trades(client, Side.BUY, 501, "1")
        assert await client.settle() == []


async def test_ticker_comes_at_once_and_with_each_change(autojump_clock: MockClock) -> None:
    async with open_client(interleave=False) as client:
        await client.send(MsgType="e", SecurityStatusReqID=55, SubscriptionRequestType="1",
                          Instruments=["BTCUSD"])  # fmt: skip
        assert (await client.expect("f"))["BestBid"] is None
        stranger_trades(client, Side.BUY, 500, "1")
        assert (await client.expect("f"))["BestBid"] == 500 * BTC
        stranger_trades(client, Side.BUY, 499, "1")  # nothing that it tells has changed
        assert await client.settle() == []


async def test_ticker_names_its_market_to_who_named_it_and_each_subscription_is_told(
    autojump_clock: MockClock,
) -> None:
    async with open_client(interleave=False) as client:
        for req_id, name in ((55, "BLINK:BTCUSD"), (56, "BTCUSD")):
            await client.send(MsgType="e", SecurityStatusReqID=req_id,
                              SubscriptionRequestType="1", Instruments=[name])  # fmt: skip
            await client.expect("f")
        stranger_trades(client, Side.BUY, 500, "1")
        told = [await client.expect("f"), await client.expect("f")]
    assert [(row["SecurityStatusReqID"], row.get("Market")) for row in told] == [
        (55, "BLINK"),
        (56, None),
    ]
    assert {row["Symbol"] for row in told} == {"BTCUSD"}


# --- orders -------------------------------------------------------------------------------------


async def test_order_that_rests_is_new(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500)
        new = await client.expect("8")
    assert (new["OrdStatus"], new["ClOrdID"], new["LeavesQty"]) == ("0", "a", BTC)


async def test_prices_are_floored_to_the_pip(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.send(**{**order("a", "1", 500), "Price": 500 * BTC + 1_999_999})
        assert (await client.expect("8"))["Price"] == 500 * BTC + 1_000_000


async def test_taker_hears_new_then_each_fill(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        stranger_trades(client, Side.SELL, 500, "0.4")
        stranger_trades(client, Side.SELL, 501, "0.6")
        await client.order("a", "1", 502)
        reports = [await client.expect("8") for _ in range(3)]
    assert [each["OrdStatus"] for each in reports] == ["0", "1", "2"]
    assert [each["LastPx"] // BTC for each in reports] == [0, 500, 501]
    assert reports[2]["AvgPx"] == 50_060_000_000
    assert {each["ExecSide"] for each in reports} == {"1"}
    assert len({each["ExecID"] for each in reports}) == 3


async def test_maker_sees_the_aggressors_side(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500)
        await client.expect("8", OrdStatus="0")
        stranger_trades(client, Side.SELL, 500, "1")
        fill = await client.expect("8", OrdStatus="2")
    assert (fill["Side"], fill["ExecSide"]) == ("1", "2")


async def test_own_resting_order_makes_way(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500)
        await client.order("b", "2", 500)
        reports = [await client.expect("8") for _ in range(3)]
    told = [(each["ClOrdID"], each["OrdStatus"]) for each in reports]
    assert told == [("a", "0"), ("b", "0"), ("a", "4")]


@pytest.mark.parametrize(
    ("quirk", "status", "reason"), [("reject", "8", "3"), ("cancel", "4", None)]
)
async def test_order_without_money_never_works(
    quirk: str, status: str, reason: str | None, autojump_clock: MockClock
) -> None:
    async with open_client(no_funds=quirk) as client:
        await client.order("a", "2", 500, 11)
        report = await client.expect("8")
        assert (report["OrdStatus"], report.get("OrdRejReason")) == (status, reason)
        assert report["CumQty"] == 0
        await client.send(MsgType="U4", OrdersReqID=1)
        listed = await client.expect("U5")
        row = dict(zip(listed["Columns"], listed["OrdListGrp"][0], strict=True))
    assert (row["ClOrdID"], row["OrdStatus"], row["OrderID"]) == ("a", status, report["OrderID"])


async def test_order_below_the_least_size_is_rejected(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500, 0.00009)
        assert (await client.expect("8"))["OrdRejReason"] == "3"


async def test_no_new_precedes_an_end_at_once(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500, TimeInForce="4")
        report = await client.expect("8")
    assert (report["OrdStatus"], report["CxlQty"]) == ("4", BTC)


async def test_market_order_trades_as_far_as_the_money_goes(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        stranger_trades(client, Side.SELL, 200_000, "8")
        message = {**order("a", "1", 1, 8), "OrdType": "1"}
        del message["Price"]
        await client.send(**message)
        reports = [await client.expect("8") for _ in range(3)]
    assert [each["OrdStatus"] for each in reports] == ["0", "1", "4"]
    assert reports[2]["CumQty"] == 5 * BTC


async def test_time_in_force_is_forgotten_if_the_quirk_says_so(autojump_clock: MockClock) -> None:
    async with open_client(ignores_time_in_force=True) as client:
        await client.order("a", "1", 500, TimeInForce="4")
        assert (await client.expect("8"))["OrdStatus"] == "0"


@pytest.mark.parametrize("end", ["8", "4"])
async def test_post_only_never_takes(end: str, autojump_clock: MockClock) -> None:
    async with open_client(post_only_end=end) as client:
        stranger_trades(client, Side.SELL, 500, "1")
        await client.order("a", "1", 500, ExecInst="6")
        assert (await client.expect("8"))["OrdStatus"] == end


async def test_stop_waits_for_its_price(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        message = {**order("a", "1", 600), "OrdType": "4", "StopPx": 550 * BTC}
        await client.send(**message)
        assert (await client.expect("8"))["OrdStatus"] == "0"


async def test_names_are_not_unique_and_the_oldest_is_canceled_first(
    autojump_clock: MockClock,
) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500)
        await client.order("a", "1", 501)
        first, second = await client.expect("8"), await client.expect("8")
        await client.send(MsgType="F", OrigClOrdID="a")
        assert (await client.expect("8", OrdStatus="4"))["OrderID"] == first["OrderID"]
        await client.send(MsgType="F", OrderID=second["OrderID"])
        gone = await client.expect("8", OrdStatus="4")
    assert (gone["OrderID"], gone["CxlQty"]) == (second["OrderID"], BTC)


async def test_names_of_digits_may_come_back_as_numbers(autojump_clock: MockClock) -> None:
    async with open_client(number_as_id=True) as client:
        await client.order("17", "1", 500)
        assert (await client.expect("8"))["ClOrdID"] == 17
        await client.order("b17", "1", 500)
        assert (await client.expect("8"))["ClOrdID"] == "b17"


@pytest.mark.parametrize("named", [{"ClOrdID": "a"}, {"ClOrdID": "never"}, {"OrderID": 123_000}])
async def test_late_cancel_is_met_with_silence(
    named: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500)
        await client.send(MsgType="F", ClOrdID="a")
        await client.expect("8", OrdStatus="4")
        await client.settle()
        await client.send(MsgType="F", **named)
        assert await client.settle() == []


async def test_late_cancel_is_rejected_if_the_quirk_says_so(autojump_clock: MockClock) -> None:
    async with open_client(late_cancel="reject") as client:
        await client.send(MsgType="F", ClOrdID="never")
        assert (await client.expect("9"))["ClOrdID"] == "never"


async def test_nobody_cancels_the_orders_of_others(autojump_clock: MockClock) -> None:
    async with open_exchange() as ends, connect(*ends) as alice, connect(*ends) as bob:
        await alice.log_in()
        await bob.log_in("test-key-bob")
        await alice.order("a", "1", 500)
        order_id = (await alice.expect("8"))["OrderID"]
        await bob.send(MsgType="F", OrderID=order_id)
        await bob.send(MsgType="F", ClOrdID="a")
        assert await bob.settle() == []
        assert [each for each in await alice.settle() if each["MsgType"] == "8"] == []


async def test_cancel_by_side_cancels_both_sides(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500)
        await client.order("b", "2", 600)
        await client.send(MsgType="F", Side="1")
        ends = [await client.expect("8", OrdStatus="4") for _ in range(2)]
    assert {each["ClOrdID"] for each in ends} == {"a", "b"}


async def test_orders_are_listed_newest_first_page_by_page(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        for number in range(5):
            await client.order(f"a{number}", "1", 500)
        await client.send(MsgType="F", ClOrdID="a1")
        pages = []
        for page in range(3):
            await client.send(MsgType="U4", OrdersReqID=page + 1, Page=page, PageSize=2,
                              Filter=["has_leaves_qty eq 1"])  # fmt: skip
            told = await client.expect("U5", OrdersReqID=page + 1)
            assert (told["Page"], told["PageSize"]) == (page, 2)
            pages.append([row[0] for row in told["OrdListGrp"]])
        await client.send(MsgType="U4", OrdersReqID=9, Filter=["has_cxl_qty eq 1"])
        gone = [row[0] for row in (await client.expect("U5"))["OrdListGrp"]]
    assert pages == [["a4", "a3"], ["a2", "a0"], []]
    assert gone == ["a1"]


# --- who hears what -----------------------------------------------------------------------------


async def test_every_socket_of_a_user_gets_the_very_same_report(
    autojump_clock: MockClock,
) -> None:
    async with open_exchange() as ends, connect(*ends) as one, connect(*ends) as two:
        await one.log_in()
        await two.log_in("alice")
        await one.order("a", "1", 500)
        assert await one.expect("8") == await two.expect("8")


async def test_trades_bring_partial_balances_the_fee_last(autojump_clock: MockClock) -> None:
    async with open_client(locked=False) as client:
        stranger_trades(client, Side.SELL, 500, "1")
        await client.settle()
        await client.order("a", "1", 500)
        told = [each for each in await client.settle() if each["MsgType"] == "U3"]
    assert sorted(told[0][BROKER] | told[1][BROKER]) == ["BTC", "USD"]
    assert all("BalanceReqID" not in each and len(each[BROKER]) == 1 for each in told)
    assert told[2][BROKER] == {"BTC": 11 * BTC - BTC // 1000}
    assert told[0][BROKER].get("BTC", 11 * BTC) == 11 * BTC  # before the fee


async def test_locked_money_is_told_in_production_only(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500)
        locked = (await client.expect("U3"))[BROKER]
        assert locked == {"USD": 1_000_000 * BTC, "USD_locked": 500 * BTC}
    async with open_client(locked=False) as client:
        await client.order("a", "1", 500)
        assert {each["MsgType"] for each in await client.settle()} == {"8"}
        await client.send(MsgType="U2", BalanceReqID=11)
        told = await client.expect("U3", BalanceReqID=11)
    assert told[BROKER] == {"BTC": 10 * BTC, "USD": 1_000_000 * BTC}


async def test_kinds_of_messages_come_in_no_fixed_order(autojump_clock: MockClock) -> None:
    firsts = set()
    async with open_client() as client:
        await client.send(**subscription())
        await client.expect("W")
        for number in range(12):
            await trio.sleep(1.0)
            await client.order(f"a{number}", "1", 500 + number)
            told = await client.settle()
            firsts.add(told[0]["MsgType"])
    assert firsts == {"8", "U3", "X"}


async def test_copies_of_emails_follow_fills(autojump_clock: MockClock) -> None:
    for emails in (True, False):
        async with open_client(emails=emails) as client:
            stranger_trades(client, Side.SELL, 500, "1")
            await client.order("a", "1", 500)
            kinds = {each["MsgType"] for each in await client.settle()}
            assert ("C" in kinds) is emails


@pytest.mark.parametrize(
    ("flag", "quirks", "resting"),
    [
        ("1", {}, ["other"]),
        ("0", {}, ["other", "a"]),
        (None, {}, ["other", "a"]),
        ("1", {"ignores_cod": True}, ["other", "a"]),
    ],
)
async def test_orders_end_with_their_session_if_it_asked_for_that(
    flag: str | None, quirks: dict[str, Any], resting: list[str], autojump_clock: MockClock
) -> None:
    async with open_exchange(quirks) as ends:
        async with connect(*ends) as other:
            await other.log_in()
            await other.order("other", "1", 499)
            await other.expect("8")
            async with connect(*ends) as client:
                await client.log_in(**({"CancelOnDisconnect": flag} if flag else {}))
                await client.order("a", "1", 500)
                await client.expect("8")
            await trio.sleep(1.0)
            account = ends[0].market.exchange.accounts["alice"]
            names = [each.client_order_id for each in account.open_orders()]
        assert names == resting


async def test_cancel_on_disconnect_may_be_late(autojump_clock: MockClock) -> None:
    async with open_exchange({"cod_delay_s": 3.0}) as ends:
        async with connect(*ends) as client:
            await client.log_in(CancelOnDisconnect="1")
            await client.order("a", "1", 500)
            await client.expect("8")
        account = ends[0].market.exchange.accounts["alice"]
        await trio.sleep(2.5)
        assert len(account.open_orders()) == 1
        await trio.sleep(1.0)
        assert account.open_orders() == []


async def test_error_while_orders_are_in_flight_says_nothing_of_them(
    autojump_clock: MockClock,
) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500)
        await client.send(MsgType="ZZ")
        error, _ = await client.ended()
    assert "a" not in error
    assert client.simulator.market.exchange.accounts["alice"].open_orders()
