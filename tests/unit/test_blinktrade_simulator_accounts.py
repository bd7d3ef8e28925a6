"""The simulated BlinkTrade's sessions, accounts and REST, by the venue's pages and open server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.errors import ConfigError, VenueDisconnectedError
from botkit.matching.exchange import OrderTerms
from botkit.model import Side
from botkit.testing.simulated import START_NS
from botkit.transport import HttpLink, open_http
from tests.unit.blinktrade_simulator_bench import (
    BTC,
    connect,
    login,
    open_client,
    open_exchange,
    order,
    stranger_trades,
    subscription,
)
from venues.blinktrade import wire
from venues.blinktrade.simulator import BlinkTradeSimulator

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
