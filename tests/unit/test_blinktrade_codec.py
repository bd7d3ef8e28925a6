"""BlinkTrade's codec: frames of the venue's pages in, events out; requests out, byte for byte."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from botkit.errors import VenueProtocolError
from botkit.model import (
    Balance,
    BookDelta,
    BookSnapshot,
    CancelOrder,
    ClientOrderId,
    ExecType,
    ExecutionReport,
    FeedGap,
    Instrument,
    Liquidity,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    Side,
    TimeInForce,
    Trade,
    VenueOrderId,
)
from venues.blinktrade import wire
from venues.blinktrade.codec import (
    Answered,
    Beaten,
    Bound,
    Broken,
    Codec,
    Refusal,
    SecurityStatus,
)

NOW_NS = 1_700_000_000_000_000_000
S = 1_000_000_000
BTC = Instrument(
    symbol="blink:BTCUSD",
    base="BTC",
    quote="USD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.000001"),
)
ENTRY = {"MDEntryDate": "2026-01-01", "MDEntryTime": "15:02:26", "Broker": "exchange"}
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


class Desk:
    """A codec whose time the test sets."""

    def __init__(self, **options: Any) -> None:
        self.now_ns = NOW_NS
        self.codec = Codec("blink", {"BTCUSD": BTC}, lambda: self.now_ns, broker_id=5, **options)
        self.book_id, self.request = self.codec.subscribe("BTCUSD")

    def decode(self, message: Any) -> list[Any]:
        return list(self.codec.decode(json.dumps(message).encode()))

    def book(self, bids: list[tuple[int, int, int]], asks: list[tuple[int, int, int]]) -> list[Any]:
        """Give it a snapshot of (id, price, size) in whole units of currency and 0.01 BTC."""
        rows = [
            {**ENTRY, "MDEntryType": kind, "MDEntryPositionNo": number, "OrderID": order_id,
             "MDEntryPx": price * 10**8, "MDEntrySize": size * 10**6}
            for kind, side in (("0", bids), ("1", asks))
            for number, (order_id, price, size) in enumerate(side, 1)
        ]  # fmt: skip
        return self.decode(
            {"MsgType": "W", "MDReqID": self.book_id, "Symbol": "BTCUSD", "MDFullGrp": rows}
        )

    def change(self, *entries: dict[str, Any]) -> list[Any]:
        return self.decode({"MsgType": "X", "MDReqID": self.book_id, "MDIncGrp": list(entries)})


def entry(action: str, position: int, *order: int, kind: str = "0") -> dict[str, Any]:
    """Return a change: order is (id, price, size) as in `Desk.book`."""
    told = {"MDEntryType": kind, "MDUpdateAction": action, "MDEntryPositionNo": position}
    if order:
        order_id, price, size = order
        told |= {"OrderID": order_id, "MDEntryPx": price * 10**8, "MDEntrySize": size * 10**6}
    return {**ENTRY, "Symbol": "BTCUSD", **told}


def only(events: list[Any]) -> Any:
    (event,) = events
    return event


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


# --- signing ------------------------------------------------------------------------------------


def test_rest_calls_are_signed_as_the_vector_says() -> None:
    assert wire.rest_headers("key", "test-secret", nonce=1_700_000_000_000) == {
        "APIKey": "key",
        "Nonce": "1700000000000",
        "Signature": "85b5366c365c4f9329d1e9d48dc1040220fa942d630b0b5521cb8b5d94d2a042",
        "Content-Type": "application/json",
    }


# --- the book -----------------------------------------------------------------------------------


def test_a_book_is_asked_for_whole_with_trades() -> None:
    assert json.loads(Desk().request) == {
        "MsgType": "V",
        "MDReqID": 1,
        "SubscriptionRequestType": "1",
        "MarketDepth": 0,
        "MDUpdateType": "1",
        "MDEntryTypes": ["0", "1", "2"],
        "Instruments": ["BTCUSD"],
    }


def test_a_snapshot_of_orders_becomes_price_levels() -> None:
    snapshot, bound = Desk().book([(1, 500, 100), (2, 500, 50), (3, 499, 10)], [(4, 510, 30)])
    assert snapshot == BookSnapshot(
        "blink:BTCUSD",
        bids=[(500.0, 1.5), (499.0, 0.1)],
        asks=[(510.0, 0.3)],
        receive_time_ns=NOW_NS,
    )
    assert bound == Bound("BTCUSD")


def test_a_snapshot_tells_no_old_trade_and_no_volume() -> None:
    desk = Desk()
    rows = [
        {**ENTRY, "MDEntryType": "2", "Symbol": "BTCUSD", "MDEntryPx": 5, "MDEntrySize": 4},
        {"MDEntryType": "4", "BTC": 40000000, "USD": 20000000000},
    ]
    snapshot, _ = desk.decode(
        {"MsgType": "W", "MDReqID": 1, "Symbol": "BTCUSD", "MarketDepth": 0, "MDFullGrp": rows}
    )
    assert (snapshot.bids, snapshot.asks) == ([], [])


@pytest.mark.parametrize(
    ("changes", "bids"),
    [
        ([entry("0", 1, 9, 501, 5)], [(501.0, 0.05)]),
        ([entry("0", 3, 9, 500, 5)], [(500.0, 1.55)]),  # behind two of its price
        ([entry("0", 4, 9, 498, 5)], [(498.0, 0.05)]),  # at the end
        ([entry("1", 2, 2, 500, 20)], [(500.0, 1.2)]),
        ([entry("2", 1)], [(500.0, 0.5)]),
        ([entry("2", 3)], [(499.0, 0.0)]),
        ([entry("3", 2)], [(500.0, 0.0)]),
        ([entry("3", 3)], [(500.0, 0.0), (499.0, 0.0)]),
        ([entry("2", 1), entry("1", 1, 2, 500, 40)], [(500.0, 0.4)]),  # in the order told
    ],
)
def test_changes_are_applied_by_position(
    changes: list[dict[str, Any]], bids: list[tuple[float, float]]
) -> None:
    desk = Desk()
    desk.book([(1, 500, 100), (2, 500, 50), (3, 499, 10)], [(4, 510, 30)])
    delta = only(desk.change(*changes))
    assert delta == BookDelta("blink:BTCUSD", bids=bids, asks=[], receive_time_ns=NOW_NS)


def test_offers_are_kept_apart_from_bids() -> None:
    desk = Desk()
    desk.book([(1, 500, 100)], [(4, 510, 30)])
    delta = only(desk.change(entry("1", 1, 4, 510, 10, kind="1")))
    assert (delta.bids, delta.asks) == ([], [(510.0, 0.1)])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (entry("2", 0), "position 0"),
        (entry("2", 3), "position 3"),
        (entry("0", 4, 9, 499, 1), "position 4"),
        (entry("1", 1, 2, 500, 20), "order 1 is"),
        (entry("1", 1, 1, 501, 20), "order 1 is"),
        (entry("7", 1), "action '7'"),
    ],
)
def test_a_change_that_does_not_fit_breaks_the_book(change: dict[str, Any], what: str) -> None:
    desk = Desk()
    desk.book([(1, 500, 100), (2, 500, 50)], [])
    gap, broken = desk.change(change)
    assert isinstance(gap, FeedGap)
    assert gap.symbol == "blink:BTCUSD"
    assert what in gap.reason
    assert broken == Broken("BTCUSD", 1, gap.reason)
    assert desk.change(entry("2", 1)) == []  # under its old id nothing more is read


def test_a_change_before_the_snapshot_breaks_the_book() -> None:
    gap, broken = Desk().change(entry("0", 1, 9, 501, 5))
    assert isinstance(gap, FeedGap)
    assert isinstance(broken, Broken)


def test_a_book_that_stays_crossed_is_broken() -> None:
    desk = Desk()
    desk.book([(1, 500, 100)], [(4, 510, 30)])
    assert len(desk.change(entry("0", 1, 9, 511, 5))) == 1
    desk.now_ns += 5 * S
    assert len(desk.change(entry("1", 1, 9, 511, 6))) == 1
    desk.now_ns += 1
    _, broken = desk.change(entry("1", 1, 9, 511, 7))
    assert "crossed" in broken.reason


def test_a_cross_that_passes_is_none() -> None:
    desk = Desk()
    desk.book([(1, 500, 100)], [(4, 510, 30)])
    desk.change(entry("0", 1, 9, 511, 5))
    desk.change(entry("2", 1))
    desk.now_ns += 60 * S
    assert len(desk.change(entry("0", 1, 9, 511, 5))) == 1


def test_a_new_subscription_outdates_the_old_one() -> None:
    desk = Desk()
    desk.book([(1, 500, 100)], [])
    desk.codec.subscribe("BTCUSD")
    assert desk.change(entry("2", 1)) == []
    assert desk.book([(1, 500, 100)], []) == []
    assert sum(desk.codec.unknown.values()) == 2


def test_a_trade_is_told_with_its_aggressor_and_time() -> None:
    desk = Desk()
    desk.book([], [])
    told = {
        **ENTRY, "MDUpdateAction": "0", "MDEntryType": "2", "TradeID": 1, "Symbol": "BTCUSD",
        "MDEntryPx": 50000000000, "MDEntrySize": 40000000, "Side": "2", "OrderID": 8,
        "SecondaryOrderID": 1, "MDEntryBuyerID": 90000003, "MDEntrySellerID": 90000002,
    }  # fmt: skip
    volume = {"MDEntryType": "4", "BTC": 40000000, "USD": 20000000000}
    assert desk.change(told, volume) == [
        Trade(
            "blink:BTCUSD",
            price=500.0,
            qty=0.4,
            aggressor="SELL",
            trade_id="1",
            exchange_time_ns=1_767_279_746 * S,
            receive_time_ns=NOW_NS,
        )
    ]
    assert desk.change({**told, "Side": "", "TradeID": None})[0].aggressor == ""
    with pytest.raises(VenueProtocolError, match="is no time"):
        desk.change({**told, "MDEntryDate": "yesterday"})


def test_a_ticker_is_a_notice() -> None:
    notice = only(
        Desk().decode({
            "MsgType": "f", "SecurityStatusReqID": 55, "Symbol": "BTCUSD", "BestBid": 50000000000,
            "BestAsk": None, "LastPx": 0, "HighPx": 0, "LowPx": 0, "BuyVolume": 1, "SellVolume": 2,
        })
    )  # fmt: skip
    assert isinstance(notice, SecurityStatus)
    assert (notice.ticker.best_bid, notice.ticker.best_ask) == (50000000000, None)


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


# --- the session --------------------------------------------------------------------------------


def test_heartbeats_are_told_by_their_id() -> None:
    desk = Desk()
    told = {"MsgType": "0", "TestReqID": 5, "SendTime": 1, "ServerTimestamp": 1473241957}
    assert desk.decode(told) == [Beaten(5)]
    assert desk.decode({**told, "TestReqID": "five"}) == [Beaten("five")]


def test_an_error_is_a_refusal() -> None:
    told = {"MsgType": "ERROR", "Description": "Invalid message", "Detail": "Not authorized"}
    assert Desk().decode(told) == [Refusal("Invalid message", "Not authorized")]
    assert Desk().decode({"MsgType": "ERROR"}) == [Refusal("", "")]


def test_a_failed_login_is_an_answer() -> None:
    failed = {
        "MsgType": "BF", "UserReqID": 7, "UserStatus": 3, "Username": "", "NeedSecondFactor": False,
        "UserStatusText": "MSG_LOGIN_ERROR_INVALID_USERNAME_OR_PASSWORD",
    }  # fmt: skip
    answered = only(Desk().decode(failed))
    assert answered.reply.user_status == 3
    assert "INVALID_USERNAME" in answered.reply.user_status_text


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"MsgType": "y", "SecurityReqID": 3, "Instruments": []}, wire.Securities),
        ({"MsgType": "U33", "TradeHistoryReqID": 3, "Columns": [], "TradeHistoryGrp": []},
         wire.TradeHistory),
        ({"MsgType": "U29", "BrokerListReqID": 3, "Columns": [], "BrokerListGrp": []},
         wire.Brokers),
        ({"MsgType": "U51", "APIKeyListReqID": 3, "Columns": [], "ApiKeyListGrp": []},
         wire.ApiKeys),
        ({"MsgType": "U50", "APIKeyListReqID": 3, "Columns": [], "ApiKeyListGrp": []},
         wire.ApiKeys),
        ({"MsgType": "U53", "APIKeyCreateReqID": 3, "APIKey": "k", "APIPassword": "p",
          "APISecret": "s"}, wire.ApiKeyCreated),
        ({"MsgType": "U55", "APIKeyRevokeReqID": 3, "APIKey": "k", "Status": 0},
         wire.ApiKeyRevoked),
        ({"MsgType": "U39", "UpdateReqID": 3}, wire.ProfileUpdated),
        ({"MsgType": "U40", "UpdateReqID": 3}, wire.ProfileRefreshed),
        ({"MsgType": "U43", "PositionReqID": 3}, wire.PositionsReply),
    ],
)  # fmt: skip
def test_every_answer_is_known_by_its_request(message: dict[str, Any], kind: type) -> None:
    answered = only(Desk().decode(message))
    assert answered.req_id == 3
    assert isinstance(answered.reply, kind)


def test_copies_of_emails_and_kinds_we_do_not_know_are_no_events() -> None:
    desk = Desk()
    assert desk.decode({"MsgType": "C", "To": 1, "Subject": "OE"}) == []
    assert desk.decode({"MsgType": "ZZ"}) == []
    assert desk.decode({"MsgType": "ZZ", "A": 1}) == []
    assert desk.codec.unknown == {"message ZZ": 2}


def test_the_kinds_counted_are_bounded() -> None:
    desk = Desk()
    for number in range(1_100):
        desk.decode({"MsgType": f"Z{number}"})
    assert len(desk.codec.unknown) == 1_001
    assert sum(desk.codec.unknown.values()) == 1_100


@pytest.mark.parametrize(
    "frame",
    [
        b"[]", b"null", b"3", b"", b"{", b'{"MsgType":8}', b"{}", b"[" * 100_000, b'"\xff"',
        b'{"MsgType":"8","Symbol":"BTCUSD","OrdStatus":"0","OrderQty":"1"}',
        b'{"MsgType":"8","Symbol":"BTCUSD","OrdStatus":"0","OrderQty":NaN}',
        b'{"MsgType":"8","Symbol":"BTCUSD","OrdStatus":"0","OrderQty":-1}',
        b'{"MsgType":"8","Symbol":"BTCUSD","OrdStatus":"0","OrderQty":1000000000000000001}',
        b'{"MsgType":"W","MDReqID":1,"Symbol":"BTCUSD","MDFullGrp":[{"MDEntryType":0}]}',
        b'{"MsgType":"U3","5":{"BTC":"1"}}', b'{"MsgType":"U3","5":[]}',
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_protocol_error(frame: bytes) -> None:
    with pytest.raises(VenueProtocolError, match="blinktrade: cannot read"):
        Desk().codec.decode(frame)


def test_a_long_frame_is_shown_in_part() -> None:
    with pytest.raises(VenueProtocolError) as caught:
        Desk().codec.decode(b"[" + b"1," * 10_000 + b"1]")
    assert len(str(caught.value)) < 400


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
