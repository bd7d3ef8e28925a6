"""BlinkTrade's codec: orders out, byte for byte; their reports and balances in."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from botkit.errors import VenueProtocolError
from botkit.model import (
    Balance,
    CancelOrder,
    ClientOrderId,
    ExecType,
    ExecutionReport,
    Liquidity,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    Side,
    TimeInForce,
    VenueOrderId,
)
from tests.unit.blinktrade_codec_bench import NOW_NS, Desk, S, only
from venues.blinktrade import wire
from venues.blinktrade.codec import Answered

REPORT = {
    "MsgType": "8", "OrderID": 8, "ExecID": 9, "ExecType": "1", "OrdStatus": "1",
    "Symbol": "BTCUSD", "Side": "2", "ExecSide": "2", "OrdType": "2", "TimeInForce": "1",
    "ClOrdID": "u1", "OrderQty": 180000000, "Price": 49900000000, "CumQty": 60000000,
    "LeavesQty": 120000000, "CxlQty": 0, "LastShares": 60000000, "LastPx": 50000000000,
    "AvgPx": 50000000000,
}  # fmt: skip
LOGIN = {
    "MsgType": "BF", "UserReqID": 7, "UserStatus": 1, "UserID": 90000002, "Username": "alice",
    "BrokerID": 5, "IsBroker": False, "IsMarketMaker": False, "TwoFactorEnabled": False,
    "TransactionFeeBuy": None, "TransactionFeeSell": 20, "Profile": {"a": 0},
    "Broker": {"TransactionFeeBuy": 60, "TransactionFeeSell": 70}, "PermissionList": {"*": []},
}  # fmt: skip


def order(**terms: Any) -> NewOrder:
    plain = NewOrder(
        client_order_id=ClientOrderId("demo-run1-1"),
        symbol="blink:BTCUSD",
        strategy="s",
        side=Side.BUY,
        order_qty=Decimal("1.5"),
        price=Decimal("25001.01"),
    )
    return msgspec.structs.replace(plain, **terms)


# --- orders in ----------------------------------------------------------------------------------


def test_a_partial_fill_is_read_from_the_pages_example() -> None:
    report = only(Desk().decode(REPORT))
    assert report == ExecutionReport(
        symbol="blink:BTCUSD",
        ord_status=OrdStatus.PARTIALLY_FILLED,
        exec_type=ExecType.TRADE,
        client_order_id=ClientOrderId("u1"),
        venue_order_id=VenueOrderId("8"),
        exec_id=report.exec_id,
        side=Side.SELL,
        order_qty=Decimal("1.8"),
        price=Decimal(499),
        last_qty=Decimal("0.6"),
        last_px=Decimal(500),
        cum_qty=Decimal("0.6"),
        leaves_qty=Decimal("1.2"),
        avg_px=Decimal(500),
        liquidity=Liquidity.REMOVED,
        receive_time_ns=NOW_NS,
    )
    assert report.exec_id == "9"


@pytest.mark.parametrize(
    ("told", "status", "exec_type"),
    [
        ("A", OrdStatus.PENDING_NEW, ExecType.PENDING_NEW),
        ("0", OrdStatus.NEW, ExecType.NEW),
        ("1", OrdStatus.PARTIALLY_FILLED, ExecType.TRADE),
        ("2", OrdStatus.FILLED, ExecType.TRADE),
        ("4", OrdStatus.CANCELED, ExecType.CANCELED),
        ("8", OrdStatus.REJECTED, ExecType.REJECTED),
        ("Q", OrdStatus.UNKNOWN, ExecType.ORDER_STATUS),  # so that the order is asked for
    ],
)
def test_every_status_has_its_state(told: str, status: OrdStatus, exec_type: ExecType) -> None:
    desk = Desk()
    report = only(desk.decode({**REPORT, "OrdStatus": told, "ExecType": told}))
    assert (report.ord_status, report.exec_type) == (status, exec_type)
    fills = told in "12"
    assert report.last_qty == (Decimal("0.6") if fills else 0)
    assert (report.liquidity is not None) is fills
    assert bool(desk.codec.unknown) is (told == "Q")


def test_the_aggressors_side_tells_the_maker() -> None:
    assert only(Desk().decode({**REPORT, "ExecSide": "1"})).liquidity is Liquidity.ADDED
    assert only(Desk().decode({**REPORT, "ExecSide": None})).liquidity is None


def test_a_client_order_id_may_come_back_as_a_number() -> None:
    assert only(Desk().decode({**REPORT, "ClOrdID": 17})).client_order_id == "17"
    assert only(Desk().decode({**REPORT, "ClOrdID": None})).client_order_id is None


def test_a_rejection_tells_why() -> None:
    rejected = {**REPORT, "OrdStatus": "8", "ExecType": "8", "OrdRejReason": "3", "OrderID": None}
    report = only(Desk().decode(rejected))
    assert "not enough balance" in report.text
    assert report.venue_order_id is None
    assert only(Desk().decode({**rejected, "OrdRejReason": 99})).text == "reason 99"


def test_a_report_of_another_symbol_is_left_out_and_counted() -> None:
    desk = Desk()
    assert desk.decode({**REPORT, "Symbol": "BTCPKR"}) == []
    assert desk.codec.unknown == {"report of BTCPKR": 1}


@pytest.mark.parametrize(
    ("change", "fee", "currency"),
    [
        ({"Side": "1", "ExecSide": "1"}, "0.0036", "BTC"),  # the broker's 60: the own is null
        ({"Side": "2", "ExecSide": "1"}, "0.6", "USD"),  # the account's own 20
        ({"Side": "1", "ExecSide": "2", "LastShares": 199}, "1E-8", "BTC"),  # rounded down
    ],
)
def test_the_commission_is_taken_from_what_is_received(
    change: dict[str, Any], fee: str, currency: str
) -> None:
    desk = Desk()
    desk.decode(LOGIN)
    report = only(desk.decode({**REPORT, **change}))
    assert (report.commission, report.commission_currency) == (Decimal(fee), currency)


def test_takers_have_a_rate_of_their_own_where_the_venue_tells_one() -> None:
    desk = Desk()
    desk.decode({**LOGIN, "TakerTransactionFeeSell": -50})
    assert only(desk.decode(REPORT)).commission == Decimal("-1.5")


def test_commissions_can_be_left_untold() -> None:
    desk = Desk(tells_fees=False)
    desk.decode(LOGIN)
    assert only(desk.decode(REPORT)).commission is None


def test_an_order_list_is_read_by_its_columns() -> None:
    desk = Desk()
    answered = only(
        desk.decode({
            "MsgType": "U5", "OrdersReqID": 13, "Page": 0, "PageSize": 40,
            "Columns": ["OrderID", "ClOrdID", "CumQty", "OrdStatus", "LeavesQty", "CxlQty", "AvgPx",
                "Symbol", "Side", "OrdType", "OrderQty", "Price", "OrderDate", "Volume", "More"],
            "OrdListGrp": [[17, "b8", 40000000, "1", 60000000, 0, 48000000000, "BTCUSD", "1", "2",
                100000000, 49000000000, "2026-01-01 15:02:33", 0.5, None]],
        })
    )  # fmt: skip
    assert isinstance(answered, Answered)
    assert isinstance(answered.reply, wire.OrderList)
    assert answered.req_id == 13
    row = only(answered.reply.read(wire.OrderRow))
    assert desk.codec.row_report(row) == ExecutionReport(
        symbol="blink:BTCUSD",
        ord_status=OrdStatus.PARTIALLY_FILLED,
        exec_type=ExecType.ORDER_STATUS,
        client_order_id=ClientOrderId("b8"),
        venue_order_id=VenueOrderId("17"),
        side=Side.BUY,
        order_qty=Decimal(1),
        price=Decimal(490),
        cum_qty=Decimal("0.4"),
        leaves_qty=Decimal("0.6"),
        avg_px=Decimal(480),
        transact_time_ns=1_767_279_753 * S,
        receive_time_ns=NOW_NS,
    )
    assert desk.codec.row_report(msgspec.structs.replace(row, symbol="X")) is None


@pytest.mark.parametrize("row", [["b8"], ["b8", "17"], ["b8", 1, 2]])
def test_a_row_that_is_not_as_documented_is_a_protocol_error(row: list[Any]) -> None:
    table = wire.OrderList(columns=["ClOrdID", "OrderID"], rows=[row])
    with pytest.raises(VenueProtocolError, match="ClOrdID"):
        table.read(wire.OrderRow)


def test_a_cancel_reject_would_be_read() -> None:
    told = {"MsgType": "9", "OrigClOrdID": "u5", "OrdStatus": "2", "CxlRejReason": 0}
    reject = only(Desk().decode(told))
    assert isinstance(reject, OrderCancelReject)
    assert (reject.client_order_id, reject.ord_status) == ("u5", OrdStatus.FILLED)
    assert not reject.unknown_order
    assert only(Desk().decode({"MsgType": "9", "OrderID": 3})).unknown_order


# --- money --------------------------------------------------------------------------------------


def test_balances_are_totals_and_what_is_not_locked() -> None:
    told = {"BTC": 1000000000, "USD": 10000000000000, "BTC_locked": 100000000, "USD_locked": 0}
    btc, usd, answered = Desk().decode(
        {"MsgType": "U3", "ClientID": 90000002, "BalanceReqID": 11, "5": told}
    )
    assert btc == Balance(
        venue="blink",
        currency="BTC",
        total=Decimal(10),
        available=Decimal(9),
        receive_time_ns=NOW_NS,
    )
    assert (usd.total, usd.available) == (Decimal(100_000), Decimal(100_000))
    assert answered == Answered(11, wire.BalanceHead(req_id=11, client_id=90000002))


def test_a_partial_balance_is_merged_with_what_was_told() -> None:
    desk = Desk()
    desk.decode({"MsgType": "U3", "5": {"BTC": 500, "USD": 600, "BTC_locked": 100}})
    assert only(desk.decode({"MsgType": "U3", "5": {"BTC": 400}})).available == Decimal("0.000003")
    assert only(desk.decode({"MsgType": "U3", "5": {"BTC_locked": 0}})).total == Decimal("0.000004")
    assert desk.decode({"MsgType": "U3", "5": {"LTC_locked": 1}}) == []
    assert desk.decode({"MsgType": "U3", "9": {"BTC": 1}}) == []


def test_balances_of_another_client_are_left_out() -> None:
    desk = Desk()
    desk.decode(LOGIN)
    assert desk.decode({"MsgType": "U3", "ClientID": 1, "5": {"BTC": 500}}) == []
    assert len(desk.decode({"MsgType": "U3", "ClientID": "90000002", "5": {"BTC": 500}})) == 1


def test_the_currencies_kept_are_bounded() -> None:
    desk = Desk()
    for number in range(20):
        desk.decode({"MsgType": "U3", "5": {f"X{number}-{n}": 1 for n in range(1_000)}})
    assert sum(desk.codec.unknown.values()) == 10


# --- orders out ---------------------------------------------------------------------------------


def test_a_limit_order_is_written_in_units() -> None:
    assert json.loads(Desk().codec.encode(order())) == {
        "MsgType": "D",
        "ClOrdID": "demo-run1-1",
        "Symbol": "BTCUSD",
        "Side": "1",
        "OrdType": "2",
        "Price": 2500101000000,
        "OrderQty": 150000000,
        "BrokerID": 5,
        "TimeInForce": "1",
    }


@pytest.mark.parametrize(
    ("terms", "field", "value"),
    [
        ({"side": Side.SELL}, "Side", "2"),
        ({"post_only": True}, "ExecInst", "6"),
        ({"time_in_force": TimeInForce.FOK}, "TimeInForce", "4"),
        ({"time_in_force": TimeInForce.DAY}, "TimeInForce", "0"),
        ({"ord_type": OrdType.MARKET, "price": None}, "OrdType", "1"),
        ({"ord_type": OrdType.STOP, "price": None, "stop_px": Decimal(5)}, "OrdType", "3"),
        ({"ord_type": OrdType.STOP_LIMIT, "stop_px": Decimal(5)}, "StopPx", 500000000),
    ],
)
def test_every_kind_of_order_has_its_words(terms: dict[str, Any], field: str, value: Any) -> None:
    message = json.loads(Desk().codec.encode(order(**terms)))
    assert message[field] == value
    assert ("Price" in message) is (terms.get("price", 1) is not None)


@pytest.mark.parametrize(
    "terms",
    [
        {"time_in_force": TimeInForce.IOC},
        {"order_qty": Decimal("0.000000001")},
        {"price": Decimal("1.000000001")},
    ],
)
def test_what_the_venue_has_no_words_for_is_not_written(terms: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"venue"):
        Desk().codec.encode(order(**terms))


def test_a_cancel_names_the_venues_id_if_it_is_known() -> None:
    named = CancelOrder(client_order_id=ClientOrderId("u5"), symbol="blink:BTCUSD")
    codec = Desk().codec
    assert json.loads(codec.encode(named)) == {"MsgType": "F", "ClOrdID": "u5"}
    known = msgspec.structs.replace(named, venue_order_id=VenueOrderId("17"))
    assert json.loads(codec.encode(known)) == {"MsgType": "F", "OrderID": 17}
