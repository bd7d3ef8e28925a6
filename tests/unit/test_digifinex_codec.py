"""DigiFinex's codec: frames of the venue's pages in, events out; requests out, byte for byte."""

import json
import zlib
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from botkit.errors import VenueProtocolError
from botkit.model import (
    Balance,
    BookDelta,
    BookSnapshot,
    ClientOrderId,
    ExecId,
    ExecType,
    ExecutionReport,
    Instrument,
    NewOrder,
    OrdStatus,
    OrdType,
    Side,
    Trade,
    VenueOrderId,
)
from venues.digifinex import wire
from venues.digifinex.codec import (
    AlgoOrders,
    Codec,
    Replied,
    Tickers,
    WholeBook,
    cancel_parameters,
    encode_call,
    order_parameters,
)

NOW_NS = 1_700_000_000_000_000_000
ETH = Instrument(
    symbol="digifinex:ETH_USDT",
    base="ETH",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
)
BTC = Instrument(
    symbol="digifinex:BTC_USDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
)
NAME = ClientOrderId("demo-run1-1")
ID = "31b7f41c81787b4200c75eb074e6edc9"


def make(names: dict[str, ClientOrderId] | None = None) -> Codec:
    known = names or {}
    instruments = {"ETH_USDT": ETH, "BTC_USDT": BTC}
    return Codec("digifinex", instruments, lambda: NOW_NS, known.get)


def frame(method: str, params: Any, *, level: int | None = 9) -> bytes:
    text = json.dumps({"method": method, "params": params, "id": None}).encode()
    return text if level is None else zlib.compress(text, level)


def order(**terms: Any) -> NewOrder:
    given = NewOrder(
        client_order_id=NAME,
        symbol="digifinex:ETH_USDT",
        strategy="s",
        side=Side.SELL,
        order_qty=Decimal("0.5"),
        price=Decimal("1000.5"),
    )
    return msgspec.structs.replace(given, **terms)


# --- signing ------------------------------------------------------------------------------------


def test_auth_is_signed_as_the_page_says() -> None:
    sign = wire.auth_sign("test-secret", "1700000000000")
    assert sign == "hbU2bDZcT5Mp0enUjcEEAiD6lC1jCwtVIcuLXZTSoEI="


@pytest.mark.parametrize(
    ("parameters", "text", "sign"),
    [
        (
            order_parameters(order()),
            "amount=0.5&market=spot&price=1000.5&symbol=ETH_USDT&type=sell",
            "549a5373cd26ea999e64243bea50ee08b625e21aae48036f42ccc3879ed6f606",
        ),
        ({}, "", "a41bc6d81d6413576ae0994995e0ad89a416ec97389515c3604f47722122eeeb"),
    ],
)
def test_rest_is_signed_over_the_sorted_parameters(
    parameters: dict[str, str], text: str, sign: str
) -> None:
    assert wire.form(parameters) == text
    headers = wire.rest_headers("key", "test-secret", text, timestamp_s=1_700_000_000)
    assert headers == {
        "ACCESS-KEY": "key",
        "ACCESS-TIMESTAMP": "1700000000",
        "ACCESS-SIGN": sign,
    }


# --- frames -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, 6, 9, None])
def test_reply_is_read_at_any_level_of_compression_and_as_text(level: int | None) -> None:
    text = b'{"error":null,"result":"pong","id":1}'
    sent = text if level is None else zlib.compress(text, level)
    assert make().decode(sent) == [Replied(1, b'"pong"')]


def test_error_is_told_by_code_and_words() -> None:
    text = b'{"error":{"code":6,"message":"need auth"},"result":null,"id":3}'
    assert make().decode(text) == [Replied(3, failed=True, code=6, message="need auth")]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"[]",
        b"null",
        b"3",
        b"{",
        b'{"error":null,"result":"pong","id":1',
        zlib.compress(b"[]"),
        zlib.compress(b'{"id":1}')[:-1],
        zlib.compress(b'{"id":1}') + b"x",
        frame("depth.update", [True, {"asks": [["nan", "1"]]}, "ETH_USDT"]),
        frame("depth.update", [True, {"asks": [["1", "-1"]]}, "ETH_USDT"]),
        frame("depth.update", [True, {"asks": [["1"]]}, "ETH_USDT"]),
        frame("depth.update", [True, {}]),
        frame("depth.update", None),
        frame("order.update", [{"id": ID}]),
        frame("balance.update", [{"currency": "A", "free": "NaN", "total": "1"}]),
        frame("balance.update", [{"currency": "A", "free": "1e900", "total": "1"}]),
        frame("balance.update", [{"currency": "A", "free": "1e-900", "total": "1"}]),
        frame("balance.update", [{"currency": "A", "free": "1" + "0" * 60, "total": "1"}]),
    ],
)
def test_frame_that_is_none_is_a_protocol_error(bad: bytes) -> None:
    with pytest.raises(VenueProtocolError):
        make().decode(bad)


def test_frame_that_grows_beyond_bounds_is_a_protocol_error() -> None:
    with pytest.raises(VenueProtocolError, match="hold more than"):
        make().decode(zlib.compress(b" " * (17 * 2**20)))


def test_unknown_methods_and_markets_are_counted_and_left_out() -> None:
    codec = make()
    told = [
        *codec.decode(frame("weather.update", ["rain"])),
        *codec.decode(frame("depth.update", [True, {}, "DOGE_USDT"])),
        *codec.decode(frame("trades.update", [True, [], "DOGE_USDT"])),
        *codec.decode(b'{"result":1}'),
    ]
    assert told == []
    assert codec.unknown == {
        "weather.update": 1,
        "depth of DOGE_USDT": 1,
        "trades of DOGE_USDT": 1,
        "object without method and id": 1,
    }


# --- market data --------------------------------------------------------------------------------


def whole(name: str = "ETH_USDT", **sides: Any) -> bytes:
    return frame("depth.update", [True, sides, name])


def change(name: str = "ETH_USDT", **sides: Any) -> bytes:
    return frame("depth.update", [False, sides, name])


def test_snapshot_is_sorted_though_its_asks_come_from_the_highest_down() -> None:
    told = make().decode(
        whole(
            asks=[["103", "3"], ["102.50", "2"], ["102", "1"]],
            bids=[["101", "1"], ["100.5", "0.00000000"], ["100", "2"]],
        )
    )
    assert told == [
        BookSnapshot(
            ETH.symbol,
            [(101.0, 1.0), (100.0, 2.0)],
            [(102.0, 1.0), (102.5, 2.0), (103.0, 3.0)],
            receive_time_ns=NOW_NS,
        ),
        WholeBook(ETH.symbol),
    ]


@pytest.mark.parametrize("zero", ["0", "0.0", "0.00000000", 0])
def test_change_of_one_side_deletes_by_any_zero(zero: object) -> None:
    codec = make()
    codec.decode(whole(asks=[["102", "1"]], bids=[["101", "1"]]))
    assert codec.decode(change(asks=[["102", zero], ["103", "5"]])) == [
        BookDelta(ETH.symbol, [], [(102.0, 0.0), (103.0, 5.0)], receive_time_ns=NOW_NS)
    ]


def test_changes_before_the_whole_book_are_ignored() -> None:
    codec = make()
    codec.decode(whole(name="btc_usdt", bids=[["1", "1"]]))
    assert codec.decode(change(bids=[["1", "1"]])) == []
    assert not codec.books.is_whole(ETH.symbol)
    assert codec.books.is_whole(BTC.symbol)


def test_crossed_book_is_noticed_until_it_is_right_again() -> None:
    codec = make()
    codec.decode(whole(asks=[["102", "1"]], bids=[["101", "1"]]))
    assert not codec.books.is_crossed(ETH.symbol)
    codec.decode(change(bids=[["102", "1"]]))
    assert codec.books.is_crossed(ETH.symbol)
    codec.decode(change(asks=[["102", "0"]]))
    assert not codec.books.is_crossed(ETH.symbol)
    codec.decode(change(asks=[["101.5", "1"]]))
    codec.books.forget(ETH.symbol)
    assert not codec.books.is_crossed(ETH.symbol)


def trade(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "time": 1523339279.761838,
        "price": "398.59",
        "amount": "0.027",
        "type": "buy",
        **fields,
    }


def test_trades_are_told_once_oldest_first_and_history_is_no_news() -> None:
    codec = make()
    assert codec.decode(frame("trades.update", [True, [trade(2), trade(1)], "ETH_USDT"])) == []
    told = codec.decode(
        frame("trades.update", [False, [trade(4, type="sell"), trade(3), trade(2)], "ETH_USDT"])
    )
    assert told == [
        Trade(ETH.symbol, 398.59, 0.027, "BUY", "3", 1_523_339_279_761_838_000, NOW_NS),
        Trade(ETH.symbol, 398.59, 0.027, "SELL", "4", 1_523_339_279_761_838_000, NOW_NS),
    ]
    again = codec.decode(frame("trades.update", [True, [trade(5), trade(4)], "ETH_USDT"]))
    assert [each.trade_id for each in again if isinstance(each, Trade)] == ["5"]


def test_trades_told_are_remembered_within_bounds() -> None:
    codec = make()
    codec.decode(frame("trades.update", [False, [trade(n) for n in range(3_000)], "ETH_USDT"]))
    assert len(codec._trades[ETH.symbol]) == 2_000


TICKER = {
    "symbol": "BTC_USDT",
    "open_24h": "1760",
    "low_24h": "1.00",
    "base_volume_24h": "9.40088557",
    "quote_volume_24h": "21786.30588557",
    "last": "4000",
    "last_qty": "1",
    "best_bid": "3397",
    "best_bid_size": "0.85",
    "best_ask": "4000",
    "best_ask_size": "109.2542",
    "timestamp": 1586762372864,
}


@pytest.mark.parametrize("method", ["ticker.update", "all_ticker.update"])
def test_tickers_are_told_to_the_session_as_they_are(method: str) -> None:
    (told,) = make().decode(frame(method, [TICKER]))
    assert isinstance(told, Tickers)
    assert told.rows[0].best_bid == 3397.0
    assert told.rows[0].timestamp == 1586762372864


# --- our account --------------------------------------------------------------------------------

PUSH = {
    "id": ID,
    "symbol": "BTC_USDT",
    "mode": 1,
    "side": "buy",
    "type": "limit",
    "price": "9700",
    "amount": "1",
    "filled": "0.4",
    "price_avg": "9700",
    "notional": "3880",
    "status": 1,
    "timestamp": 1589272547000,
}


def pushed(codec: Codec | None = None, **fields: Any) -> ExecutionReport:
    (report,) = (codec or make()).decode(frame("order.update", [{**PUSH, **fields}]))
    assert isinstance(report, ExecutionReport)
    return report


def test_order_is_told_by_totals() -> None:
    assert pushed() == ExecutionReport(
        symbol=BTC.symbol,
        ord_status=OrdStatus.PARTIALLY_FILLED,
        exec_type=ExecType.TRADE,
        venue_order_id=VenueOrderId(ID),
        exec_id=ExecId("total 0.4"),
        side=Side.BUY,
        order_qty=Decimal(1),
        price=Decimal(9700),
        cum_qty=Decimal("0.4"),
        avg_px=Decimal(9700),
        transact_time_ns=1589272547_000_000_000,
        receive_time_ns=NOW_NS,
    )


@pytest.mark.parametrize(
    ("status", "ord_status", "exec_type"),
    [
        (0, OrdStatus.NEW, ExecType.NEW),
        (1, OrdStatus.PARTIALLY_FILLED, ExecType.TRADE),
        (2, OrdStatus.FILLED, ExecType.TRADE),
        (3, OrdStatus.CANCELED, ExecType.CANCELED),
        (4, OrdStatus.CANCELED, ExecType.CANCELED),
        (9, OrdStatus.UNKNOWN, ExecType.ORDER_STATUS),
    ],
)
def test_every_status_has_its_meaning(
    status: int, ord_status: OrdStatus, exec_type: ExecType
) -> None:
    report = pushed(status=status)
    assert (report.ord_status, report.exec_type) == (ord_status, exec_type)


def test_market_buy_has_no_price_and_no_quantity() -> None:
    report = pushed(type="market", price="0", amount="0", filled="0.9969", notional="9713.82")
    assert (report.price, report.order_qty) == (None, None)
    assert report.avg_px == Decimal("9713.82") / Decimal("0.9969")


def test_mean_price_is_the_money_over_the_quantity_and_else_as_told() -> None:
    assert pushed(price_avg="9699.99").avg_px == Decimal(9700)
    assert pushed(price_avg="9699.99", notional="0").avg_px == Decimal("9699.99")
    assert pushed(price_avg=None, notional=None).avg_px is None
    assert pushed(filled="0").avg_px is None


def test_order_whose_name_is_known_is_told_by_it() -> None:
    assert pushed(make({ID: NAME})).client_order_id == NAME
    assert pushed().client_order_id is None


def test_margin_orders_and_those_of_other_markets_are_left_out() -> None:
    codec = make()
    assert codec.decode(frame("order.update", [{**PUSH, "mode": 2}])) == []
    assert codec.decode(frame("order.update", [{**PUSH, "symbol": "DOGE_USDT"}])) == []
    assert sum(codec.unknown.values()) == 2


def test_side_that_is_none_is_a_protocol_error() -> None:
    with pytest.raises(VenueProtocolError, match="found the side 'both', allowed: buy, sell"):
        pushed(side="both")


def test_trigger_orders_are_told_to_the_session_alone() -> None:
    row = {
        "algo_price": "4000",
        "amount": "1",
        "id": "ff07",
        "mode": 1,
        "side": "buy",
        "status": 0,
        "symbol": "BTC_USDT",
        "timestamp": 1586767202000,
        "trigger_price": "4000",
    }
    (told,) = make().decode(frame("order_algo.update", [row]))
    assert isinstance(told, AlgoOrders)
    assert told.rows[0].trigger_price == Decimal(4000)


def test_balance_is_exact() -> None:
    row = {
        "currency": "usdt",
        "free": "99944652.8478545303601106",
        "total": "99944653.8478545303601106",
        "used": "1.0",
    }
    assert make().decode(frame("balance.update", [row])) == [
        Balance(
            venue="digifinex",
            currency="USDT",
            total=Decimal("99944653.8478545303601106"),
            available=Decimal("99944652.8478545303601106"),
            receive_time_ns=NOW_NS,
        )
    ]


# --- answers to questions -----------------------------------------------------------------------

ROW = {
    "symbol": "btc_usdt",
    "order_id": ID,
    "created_date": 1589272547,
    "finished_date": 0,
    "price": 9700.5,
    "amount": "1",
    "executed_amount": "0.4",
    "avg_price": "9700.13",
    "status": 1,
    "type": "sell",
    "kind": "limit",
}


def test_row_of_a_listing_says_where_the_order_stands() -> None:
    row = msgspec.convert(ROW, wire.OrderRow, strict=False)
    assert make().order_report(row) == ExecutionReport(
        symbol=BTC.symbol,
        ord_status=OrdStatus.PARTIALLY_FILLED,
        exec_type=ExecType.ORDER_STATUS,
        venue_order_id=VenueOrderId(ID),
        exec_id=ExecId("total 0.4"),
        side=Side.SELL,
        order_qty=Decimal(1),
        price=Decimal("9700.5"),
        cum_qty=Decimal("0.4"),
        avg_px=Decimal("9700.13"),
        transact_time_ns=1589272547_000_000_000,
        receive_time_ns=NOW_NS,
    )
    other = msgspec.convert({**ROW, "symbol": "doge_usdt"}, wire.OrderRow, strict=False)
    assert make().order_report(other) is None


def test_detail_prices_an_order_by_its_fills_if_they_are_all_there() -> None:
    fills = [
        {"tid": 1, "executed_amount": "0.1", "executed_price": "9700"},
        {"tid": 2, "executed_amount": "0.3", "executed_price": "9701"},
    ]
    full = msgspec.convert({**ROW, "detail": fills}, wire.Detail, strict=False)
    part = msgspec.convert({**ROW, "detail": fills[:1]}, wire.Detail, strict=False)
    reports = [make().order_report(full), make().order_report(part)]
    assert [each.avg_px for each in reports if each] == [Decimal("9700.75"), Decimal("9700.13")]


# --- requests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "text"),
    [
        ("server.ping", [], b'{"id":1,"method":"server.ping","params":[]}'),
        (
            "depth.subscribe",
            ["ETH_USDT", "BTC_USDT"],
            b'{"id":1,"method":"depth.subscribe","params":["ETH_USDT","BTC_USDT"]}',
        ),
    ],
)
def test_call_is_written_as_the_page_has_it(method: str, params: list[str], text: bytes) -> None:
    assert encode_call(1, method, params) == text


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({}, {"type": "sell", "amount": "0.5", "price": "1000.5"}),
        (
            {"post_only": True},
            {"type": "sell", "amount": "0.5", "price": "1000.5", "post_only": "1"},
        ),
        (
            {"order_qty": Decimal("1E+2"), "side": Side.BUY},
            {"type": "buy", "amount": "100", "price": "1000.5"},
        ),
        (
            {"ord_type": OrdType.MARKET, "price": None},
            {"type": "sell_market", "amount": "0.5"},
        ),
        (
            {
                "ord_type": OrdType.MARKET,
                "price": None,
                "side": Side.BUY,
                "cash_order_qty": Decimal("25.5"),
            },
            {"type": "buy_market", "amount": "25.5"},
        ),
    ],
)
def test_order_is_said_in_the_venues_words(terms: dict[str, Any], said: dict[str, str]) -> None:
    assert order_parameters(order(**terms)) == {"market": "spot", "symbol": "ETH_USDT", **said}


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"ord_type": OrdType.MARKET, "side": Side.BUY}, "give it cash_order_qty"),
        ({"ord_type": OrdType.STOP}, "STOP orders are not offered"),
    ],
)
def test_order_that_cannot_be_said_is_refused_with_what_can(
    terms: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        order_parameters(order(**terms))


def test_several_orders_are_canceled_by_one_call() -> None:
    assert cancel_parameters(["a", "b"]) == {"order_id": "a,b"}


@pytest.mark.parametrize("text", ["1e999999999999999999", "-1e-999999999999999999", "NaN", "1e19"])
def test_number_that_cannot_be_counted_with_is_a_protocol_error(text: str) -> None:
    with pytest.raises(VenueProtocolError, match="found total"):
        wire.exact(Decimal(text), "total")
