"""The simulated BlinkTrade does what the venue's pages, and its open server, say of it."""

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
from botkit.errors import ConfigError, VenueDisconnectedError
from botkit.matching.exchange import OrderTerms
from botkit.model import Side
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.simulated import START_NS
from botkit.transport import HttpLink, WsLink, open_http, open_ws
from venues.blinktrade import wire
from venues.blinktrade.simulator import BlinkTradeSimulator

BTC = 10**8
BROKER = "5"


@attrs.define(kw_only=True, eq=False)
class Client:
    """One WebSocket, spoken to in JSON."""

    link: WsLink
    simulator: BlinkTradeSimulator
    network: SimulatedNetwork
    heard: list[dict[str, Any]] = attrs.field(factory=list)

    async def send(self, **message: Any) -> None:
        await self.link.send(json.dumps(message))

    async def expect(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the next message of a kind with these fields; what comes before is kept."""
        with trio.fail_after(5):
            while True:
                for message in [*self.heard]:
                    self.heard.remove(message)
                    if message["MsgType"] == kind and fields.items() <= message.items():
                        return message
                await self._receive()
        raise AssertionError("not reached")

    async def _receive(self) -> None:
        self.heard += [json.loads(frame) for frame in await self.link.receive_batch()]

    async def settle(self) -> list[dict[str, Any]]:
        """Return everything that comes within a second."""
        with trio.move_on_after(1.0):
            while True:
                await self._receive()
        heard, self.heard = self.heard, []
        return heard

    async def log_in(self, name: str = "test-key-alice", **fields: Any) -> dict[str, Any]:
        await self.send(**login(name, **fields))
        return await self.expect("BF")

    async def order(self, name: str, side: str, price: int, qty: float = 1, **more: Any) -> None:
        """Send a limit order in whole dollars and bitcoins."""
        await self.send(**order(name, side, price, qty), **more)

    async def ended(self) -> tuple[dict[str, Any], int | None]:
        """Return the ERROR that came, and the code the link was closed with."""
        error = await self.expect("ERROR")
        with pytest.raises(VenueDisconnectedError):
            await self._drain()
        return error, self.link.close_code

    async def _drain(self) -> None:
        while True:  # what was on its way
            await self._receive()


def login(name: str = "test-key-alice", **fields: Any) -> dict[str, Any]:
    member = name.rpartition("-")[2]
    return {
        "MsgType": "BE", "UserReqID": 7, "BrokerID": 5, "Username": name,
        "Password": f"test-password-{member}", "UserReqTyp": "1", "FingerPrint": 1, **fields,
    }  # fmt: skip


def order(name: str, side: str, price: int, qty: float = 1) -> dict[str, Any]:
    return {
        "MsgType": "D", "ClOrdID": name, "Symbol": "BTCUSD", "Side": side, "OrdType": "2",
        "Price": price * BTC, "OrderQty": int(qty * BTC), "BrokerID": 5,
    }  # fmt: skip


def subscription(req_id: int = 77, **fields: Any) -> dict[str, Any]:
    return {
        "MsgType": "V", "MDReqID": req_id, "SubscriptionRequestType": "1", "MarketDepth": 0,
        "MDUpdateType": "1", "MDEntryTypes": ["0", "1", "2"], "Instruments": ["BTCUSD"], **fields,
    }  # fmt: skip


@asynccontextmanager
async def open_exchange(
    quirks: Mapping[str, Any] | None = None, *, quiet: bool = True
) -> AsyncIterator[tuple[BlinkTradeSimulator, SimulatedNetwork]]:
    clock = LiveClock(origin_ns=START_NS)
    simulator = BlinkTradeSimulator(
        SimulatorSetup(clock=clock, seed=1, quirks=quirks or {}, quiet=quiet)
    )
    async with trio.open_nursery() as nursery, open_network() as network:
        nursery.start_soon(simulator.run)
        network.listen("exchange.test", 80, simulator.server.serve)
        yield simulator, network
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connect(
    simulator: BlinkTradeSimulator, network: SimulatedNetwork
) -> AsyncIterator[Client]:
    async with open_ws("ws://exchange.test/trade/", dial=network.dial) as link:
        yield Client(link=link, simulator=simulator, network=network)


@asynccontextmanager
async def open_client(name: str = "test-key-alice", **quirks: Any) -> AsyncIterator[Client]:
    """Connect and log in; "" stays a stranger."""
    async with open_exchange(quirks) as ends, connect(*ends) as client:
        if name:
            await client.log_in(name)
        yield client


def stranger_trades(client: Client, side: Side, price: int, qty: str) -> None:
    """Have bob send an order at the exchange."""
    market = client.simulator.market
    terms = OrderTerms(symbol="BTCUSD", side=side, order_qty=Decimal(qty), price=Decimal(price))
    market.tell(market.exchange.submit("bob", terms, market.catch_up()))


# --- the session --------------------------------------------------------------------------------


async def test_heartbeats_are_echoed_before_login_as_they_were_sent(
    autojump_clock: MockClock,
) -> None:
    async with open_client("") as client:
        await client.send(MsgType="1", TestReqID=5, SendTime=17)
        assert (await client.expect("0", TestReqID=5))["SendTime"] == 17
        await client.send(MsgType="1", TestReqID="five")
        reply = await client.expect("0", TestReqID="five")
        assert "SendTime" not in reply
        await trio.sleep(0.5)
        await client.send(MsgType="1", TestReqID=6)
        ahead_s = (await client.expect("0"))["ServerTimestamp"] - START_NS // 10**9
        assert ahead_s > 400  # the milliseconds are added to the seconds


async def test_login_tells_the_account_and_the_brokers_fees(autojump_clock: MockClock) -> None:
    async with open_client("") as client:
        told = await client.log_in()
    assert (told["UserStatus"], told["UserReqID"], told["UserID"]) == (1, 7, 90_000_002)
    assert told["TransactionFeeBuy"] is None
    assert told["Broker"]["TransactionFeeBuy"] == 5
    assert told["Broker"]["TakerTransactionFeeSell"] == 10
    assert told["PermissionList"]["D"] == []


async def test_own_fees_come_before_the_brokers(autojump_clock: MockClock) -> None:
    async with open_client("", own_fees=True, taker_fees=False) as client:
        told = await client.log_in("alice")
    assert told["TransactionFeeSell"] == 10
    assert "TakerTransactionFeeSell" not in told
    assert told["PermissionList"] == {"*": []}


@pytest.mark.parametrize("fields", [{"Password": "no"}, {"Username": "nobody"}, {"BrokerID": 3}])
async def test_failed_login_leaves_the_socket_open(
    fields: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with open_client("") as client:
        refused = await client.log_in(**fields)
        assert (refused["UserStatus"], refused["NeedSecondFactor"]) == (3, False)
        assert refused["UserStatusText"] == "MSG_LOGIN_ERROR_INVALID_USERNAME_OR_PASSWORD"
        assert (await client.log_in())["UserStatus"] == 1


async def test_second_factor_is_asked_of_user_names(autojump_clock: MockClock) -> None:
    async with open_client("", second_factor="123456") as client:
        refused = await client.log_in("alice", SecondFactor="1")
        assert refused["NeedSecondFactor"]
        assert refused["UserStatusText"] == "MSG_LOGIN_ERROR_INVALID_SECOND_STEP"
        assert (await client.log_in("alice", SecondFactor="123456"))["UserStatus"] == 1


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ({"MsgType": "U2", "BalanceReqID": "11"}, "Invalid value tag(BalanceReqID)=11"),
        ({"MsgType": "U2", "BalanceReqID": 0}, "Invalid value tag(BalanceReqID)=0"),
        ({"MsgType": "U2"}, "Missing tag BalanceReqID"),
        ({"MsgType": "U4", "OrdersReqID": 0}, "Invalid value tag(OrdersReqID)=0"),
        ({"MsgType": "U4", "OrdersReqID": 1, "Filter": ["x"]}, "Invalid value tag(Filter)=x"),
        ({**order("a", "1", 5), "ClOrdID": 17}, "Invalid value tag(ClOrdID)=17"),
        ({**order("a", "1", 5), "OrdType": "P"}, "Invalid value tag(OrdType)=P"),
        ({**order("a", "1", 5), "Side": "7"}, "Invalid value tag(Side)=7"),
        ({**order("a", "1", 5), "Symbol": "X"}, "Invalid value tag(Symbol)=X"),
        ({"MsgType": "D"}, "Missing tag Symbol"),
        ({"MsgType": "F"}, "Missing tag Side"),
        ({"MsgType": "ZZ"}, "Invalid Message Type (ZZ)"),
        ({"A": 1}, "Missing tag MsgType"),
        ({"MsgType": "1"}, "Missing tag TestReqID"),
        (login(), "User is already logged in"),
        ({**login(), "UserReqTyp": "2"}, "Invalid message"),
        ({"MsgType": "U50", "APIKeyListReqID": 1}, "Not authorized"),
    ],
)
async def test_every_error_closes_the_socket_without_a_code(
    message: dict[str, Any], detail: str, autojump_clock: MockClock
) -> None:
    async with open_client() as client:
        await client.send(**message)
        error, code = await client.ended()
    assert error == {"MsgType": "ERROR", "Description": "Invalid message", "Detail": detail}
    assert code == 1005


async def test_a_stranger_may_not_trade(autojump_clock: MockClock) -> None:
    async with open_client("") as client:
        await client.order("a", "1", 5)
        error, _ = await client.ended()
    assert error["Detail"] == "Not authorized"


@pytest.mark.parametrize("text", ["no json", "[]", json.dumps(subscription(Instruments=["X"]))])
async def test_some_things_just_drop_the_connection(text: str, autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.link.send(text)
        with pytest.raises(VenueDisconnectedError):
            await client.link.receive_batch()
        assert client.link.close_code == 1006


async def test_the_sixteenth_message_of_a_second_is_one_too_many(
    autojump_clock: MockClock,
) -> None:
    async with open_client() as client:
        for number in range(14):  # with the login: 15
            await client.send(MsgType="1", TestReqID=number)
        await client.expect("0", TestReqID=13)
        await trio.sleep(1.0)
        for number in range(16):
            await client.send(MsgType="1", TestReqID=number)
        error, code = await client.ended()
    assert error["Detail"] == "16 messages in the last second"
    assert error["Description"] == "Too many messages per second"
    assert code == 1005


async def test_idle_clients_are_cut_only_if_the_quirk_says_so(autojump_clock: MockClock) -> None:
    async with open_client(idle_timeout_s=60) as client:
        with pytest.raises(VenueDisconnectedError):
            await client.link.receive_batch()
    async with open_client() as client:
        await trio.sleep(10_000)
        await client.send(MsgType="1", TestReqID=1)
        await client.expect("0")


async def test_a_quirk_it_has_not_is_refused(autojump_clock: MockClock) -> None:
    with pytest.raises(ConfigError, match="interleave"):
        BlinkTradeSimulator(
            SimulatorSetup(clock=LiveClock(origin_ns=START_NS), quirks={"interleaf": 1})
        )


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


# --- the account --------------------------------------------------------------------------------


async def test_keys_made_by_a_user_open_what_they_permit(autojump_clock: MockClock) -> None:
    only_buys = json.dumps({"D": [["Side", "eq", "1", "OrdType", "eq", "2"]]})
    async with open_exchange() as ends, connect(*ends) as user:
        await user.log_in("alice")
        await user.send(MsgType="U52", APIKeyCreateReqID=3, Label="L", PermissionList=only_buys,
                        IPWhiteList="[]", Revocable=True)  # fmt: skip
        made = await user.expect("U53", APIKeyCreateReqID=3)
        await user.send(MsgType="U50", APIKeyListReqID=4)
        listed = await user.expect("U51", APIKeyListReqID=4)
        assert [row[0] for row in listed["ApiKeyListGrp"]] == ["test-key-alice", made["APIKey"]]
        async with connect(*ends) as client:
            await client.log_in(made["APIKey"], Password=made["APIPassword"])
            await client.order("a", "1", 500)
            await client.expect("8")
            await client.order("b", "2", 500)
            error, _ = await client.ended()
            assert error["Detail"] == "Not authorized"
        await user.send(MsgType="U54", APIKeyRevokeReqID=5, APIKey=made["APIKey"])
        assert (await user.expect("U55"))["Status"] == 0
        async with connect(*ends) as client:
            refused = await client.log_in(made["APIKey"], Password=made["APIPassword"])
            assert refused["UserStatus"] == 3


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ({"PermissionList": '{"BE": []}'}, "Not authorized"),
        ({"PermissionList": "no json"}, "Invalid Parameter"),
        ({"PermissionList": {}}, "Invalid value tag(PermissionList)={}"),
    ],
)
async def test_keys_are_not_made_with_what_none_may_have(
    message: dict[str, Any], detail: str, autojump_clock: MockClock
) -> None:
    async with open_client("alice") as client:
        plain = {"APIKeyCreateReqID": 3, "Label": "L", "IPWhiteList": "[]"}
        await client.send(MsgType="U52", **plain, **message)
        error, _ = await client.ended()
    assert error["Detail"] == detail


@pytest.mark.parametrize(
    ("key", "detail"), [("nobodys", "ApiKey is not valid"), ("test-key-bob", "Not authorized")]
)
async def test_keys_of_others_are_not_revoked(
    key: str, detail: str, autojump_clock: MockClock
) -> None:
    async with open_client("alice") as client:
        await client.send(MsgType="U54", APIKeyRevokeReqID=5, APIKey=key)
        assert (await client.ended())[0]["Detail"] == detail


async def test_passwords_change_with_the_old_one(autojump_clock: MockClock) -> None:
    async with open_exchange() as ends, connect(*ends) as user:
        await user.log_in("alice")
        wrong = {**login("alice"), "UserReqTyp": "3", "NewPassword": "new", "Password": "no"}
        await user.send(**wrong)
        assert (await user.expect("BF"))["UserStatusText"] == "MSG_LOGIN_ERROR_INVALID_PASSWORD"
        await user.send(**{**wrong, "Password": "test-password-alice"})
        assert (await user.expect("BF"))["UserStatusText"] == "MSG_SUCCESS_PASSWORD_CHANGE"
        async with connect(*ends) as again:
            changed = {"Password": "new"}
            assert (await again.log_in("alice", **changed))["UserStatus"] == 1


async def test_profile_brokers_positions_and_trades_are_answered(
    autojump_clock: MockClock,
) -> None:
    async with open_client("alice") as client:
        stranger_trades(client, Side.SELL, 500, "1")
        await client.order("a", "1", 500, 0.5)
        await client.send(MsgType="U38", UpdateReqID=1, Fields={"State": "NY"})
        await client.expect("U39", UpdateReqID=1)
        assert client.simulator.accounts["alice"].profile == {"State": "NY"}
        await client.send(MsgType="U28", BrokerListReqID=2)
        brokers = await client.expect("U29", BrokerListReqID=2)
        assert (
            dict(zip(brokers["Columns"], brokers["BrokerListGrp"][0], strict=True))["BrokerID"] == 5
        )
        await client.send(MsgType="U42", PositionReqID=3)
        await client.expect("U43", PositionReqID=3)
        await client.send(MsgType="U32", TradeHistoryReqID=4)
        told = await client.expect("U33", TradeHistoryReqID=4)
    row = dict(zip(told["Columns"], told["TradeHistoryGrp"][0], strict=True))
    assert (row["Market"], row["Side"], row["Price"], row["Size"]) == (
        "BTCUSD", "1", 500 * BTC, BTC // 2,
    )  # fmt: skip


# --- REST ---------------------------------------------------------------------------------------


@asynccontextmanager
async def open_rest(**quirks: Any) -> AsyncIterator[HttpLink]:
    async with (
        open_exchange(quirks) as (_, network),
        open_http("http://exchange.test", dial=network.dial) as http,
    ):
        yield http


async def post(http: HttpLink, message: object, nonce: int, **headers: str) -> Any:
    signed = wire.rest_headers("test-key-alice", "test-secret-alice", nonce=nonce)
    reply = await http.request(
        "POST",
        "tapi/v1/message",
        headers={**signed, **headers},
        content=json.dumps(message).encode(),
    )
    return json.loads(reply.body)


async def test_bridge_takes_the_same_messages(autojump_clock: MockClock) -> None:
    async with open_rest() as http:
        placed = await post(http, order("a", "1", 500), 5)
        assert placed["Status"] == 200
        report, balance = placed["Responses"]
        assert (report["MsgType"], report["OrdStatus"]) == ("8", "0")
        assert balance["MsgType"] == "U3"
        listed = await post(http, {"MsgType": "U4", "OrdersReqID": 1}, 6)
        assert listed["Responses"][0]["OrdListGrp"][0][0] == "a"
        gone = await post(http, {"MsgType": "F", "ClOrdID": "a"}, 7)
        assert gone["Responses"][0]["OrdStatus"] == "4"
        assert (await post(http, {"MsgType": "F", "ClOrdID": "a"}, 8))["Responses"] == []


@pytest.mark.parametrize(
    ("headers", "description"),
    [
        ({"APIKey": "nobodys"}, "ApiKey is not valid"),
        ({"Signature": "00"}, "Invalid Signature"),
        ({"Nonce": "6"}, "Invalid Signature"),
        ({"Nonce": "x"}, "Invalid Parameter"),
    ],
)
async def test_wrong_signatures_are_refused(
    headers: dict[str, str], description: str, autojump_clock: MockClock
) -> None:
    async with open_rest() as http:
        refused = await post(http, order("a", "1", 500), 5, **headers)
    assert refused == {"Status": 500, "Description": description, "Responses": []}


async def test_nonces_must_rise(autojump_clock: MockClock) -> None:
    async with open_rest() as http:
        balances = {"MsgType": "U2", "BalanceReqID": 1}
        assert (await post(http, balances, 5))["Status"] == 200
        assert (await post(http, balances, 5))["Description"] == "Invalid Nonce"
        assert (await post(http, balances, 4))["Description"] == "Invalid Nonce"
        assert (await post(http, balances, 6))["Status"] == 200


async def test_errors_by_rest_are_answers(autojump_clock: MockClock) -> None:
    async with open_rest() as http:
        assert (await post(http, {"MsgType": "U50"}, 5))["Description"] == "Not authorized"
        assert (await post(http, ["no object"], 6))["Description"] == "Invalid message"


async def test_public_rest_tells_plain_decimals(autojump_clock: MockClock) -> None:
    async with open_exchange() as (simulator, network):
        market = simulator.market
        for name, side, price in (("bob", Side.SELL, 500), ("carol", Side.BUY, 500)):
            terms = OrderTerms(
                symbol="BTCUSD", side=side, order_qty=Decimal("0.5"), price=Decimal(price)
            )
            market.exchange.submit(name, terms, market.catch_up())
        terms = OrderTerms(
            symbol="BTCUSD", side=Side.BUY, order_qty=Decimal("0.25"), price=Decimal("499.5")
        )
        market.exchange.submit("bob", terms, market.catch_up())
        told: dict[str, Any] = {}
        async with open_http("http://exchange.test", dial=network.dial) as http:
            for what in ("ticker", "orderbook", "trades"):
                reply = await http.request("GET", f"api/v1/USD/{what}?crypto_currency=BTC")
                told[what] = json.loads(reply.body)
            for path in ("api/v1/USD/other", "api/v1/EUR/ticker", "elsewhere"):
                assert (await http.request("GET", path)).status == 404
    assert (told["ticker"]["last"], told["ticker"]["buy"], told["ticker"]["vol"]) == (
        500.0, 499.5, 0.5,
    )  # fmt: skip
    assert told["orderbook"]["bids"] == [[499.5, 0.25, 90_000_003]]
    assert told["trades"][0]["amount"] == 0.5


async def test_public_trades_are_the_last_ones_or_those_after_one(
    autojump_clock: MockClock,
) -> None:
    async with open_exchange(quiet=False) as (_, network):
        await trio.sleep(30.0)
        told: list[list[int]] = []
        async with open_http("http://exchange.test", dial=network.dial) as http:
            for query in ("", "limit=3", "since=2", "limit=0", "limit=x&since=y"):
                reply = await http.request("GET", f"api/v1/USD/trades?{query}")
                told.append([row["tid"] for row in json.loads(reply.body)])
    everything, last, later, none, unreadable = told
    assert len(everything) > 5
    assert last == everything[-3:]
    assert later == [tid for tid in everything if tid > 2]
    assert none == []
    assert unreadable == everything


async def test_background_traders_make_a_market(autojump_clock: MockClock) -> None:
    async with open_exchange(quiet=False) as ends, connect(*ends) as client:
        await trio.sleep(30.0)
        await client.send(**subscription())
        kinds = [row["MDEntryType"] for row in (await client.expect("W"))["MDFullGrp"]]
        await client.expect("X")
    assert kinds.count("0") >= 10
    assert kinds.count("1") >= 10
    assert "2" in kinds


async def test_report_tells_each_members_doings(autojump_clock: MockClock) -> None:
    async with open_client() as client:
        await client.order("a", "1", 500)
        await client.expect("8")
        told = client.simulator.market.report(client.simulator.members)
    assert told["alice"]["orders"] == 1
    assert [each["client_order_id"] for each in told["alice"]["resting"]] == ["a"]
