"""Finery's codec: frames of the venue's pages in, events out; requests out, byte for byte."""

import json
from collections.abc import Mapping
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
    Instrument,
    Liquidity,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    RequestKind,
    Side,
    TimeInForce,
    VenueOrderId,
)
from venues.finery import wire
from venues.finery.chains import Chains
from venues.finery.codec import Answered, Bound, Codec, Failed, GatewayStatus, encode_bind
from venues.finery.ids import Numbers

NOW_NS = 1_700_000_000_000_000_000
BTC = Instrument(
    symbol="finery:BTC-EUR",
    base="BTC",
    quote="EUR",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00001"),
)
NAME = ClientOrderId("demo-run1-1")


def make(by_number: Mapping[str, str] | None = None) -> Codec:
    return Codec(
        "finery", {"BTC-EUR": BTC}, Numbers(), Chains(), lambda: NOW_NS, by_number=by_number
    )


def order(**terms: Any) -> NewOrder:
    plain = NewOrder(
        client_order_id=NAME,
        symbol="finery:BTC-EUR",
        strategy="s",
        side=Side.BUY,
        order_qty=Decimal("1.5"),
        price=Decimal(25001),
    )
    return msgspec.structs.replace(plain, **terms)


def content_of(frame: bytes) -> dict[str, object]:
    message: dict[str, dict[str, object]] = json.loads(frame)
    return message["content"]


def only_report(codec: Codec, frame: bytes) -> ExecutionReport:
    (event,) = codec.decode(frame)
    assert isinstance(event, ExecutionReport)
    return event


SNAPSHOT = (
    b'["F","BTC-EUR","S",[[[2500000000000,100000000],[2499900000000,50000000]],'
    b"[[2500100000000,30000000]]]]"
)


# --- signing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "signature"),
    [
        (
            "cZpZ1vwzOaXuiONfIQVg8h6za97FoHhrwwgoSCNwDAR",
            "l+91S2f9TAovcwiWy2E1j7vArHCYCX5y+KtuBd2n7ubSaDdxUqv/lFWpCKTtsP07",
        ),
        ("test-secret", "NojJ5qbkv2y/6w6IQeLDimSffkWMhsWFUwei/aws7fwLF2cZbn648Tc2NgE8z4j0"),
    ],
)
def test_handshake_is_signed_as_the_vectors_say(secret: str, signature: str) -> None:
    headers = wire.handshake_headers("key", secret, nonce=12345, timestamp_ms=1_700_000_000_000)
    assert headers == {
        "EFX-Key": "key",
        "EFX-Sign": signature,
        "EFX-Content": '{"nonce":12345,"timestamp":1700000000000}',
    }


def test_rest_calls_are_signed_as_the_vector_says() -> None:
    body = (
        '{"nonce":12346,"timestamp":1700000000000,"instrument":"BTC-EUR","clientOrderId":1,'
        '"price":2500000000000,"size":100000,"side":"bid","type":"limit","cod":true}'
    )
    headers = wire.rest_headers("key", "test-secret", method="add", body=body)
    assert headers["EFX-Sign"] == (
        "CCDMm3xK+XPOkdmGuG8vIKlS4mSXHmKSH+kosNp1oO/T63NyOYZqxx7m9h1hMEps"
    )


# --- books --------------------------------------------------------------------------------------


def test_book_snapshot_becomes_levels_in_our_units() -> None:
    snapshot, bound = make().decode(SNAPSHOT)
    assert snapshot == BookSnapshot(
        "finery:BTC-EUR",
        bids=[(25000.0, 1.0), (24999.0, 0.5)],
        asks=[(25001.0, 0.3)],
        receive_time_ns=NOW_NS,
    )
    assert bound == Bound("F", "BTC-EUR")


def test_instrument_number_is_accepted_as_feed_id_if_it_is_known() -> None:
    frame = SNAPSHOT.replace(b'"BTC-EUR"', b"42")
    assert make().decode(frame) == []
    codec = make({"42": "BTC-EUR"})
    assert codec.decode(frame)[1] == codec.decode(SNAPSHOT)[1] == Bound("F", "BTC-EUR")


def test_book_changes_set_add_and_delete_levels() -> None:
    codec = make()
    codec.decode(SNAPSHOT)
    (delta,) = codec.decode(
        b'["F","BTC-EUR","M",[[["M",2500000000000,80000000],["+",2499800000000,10000000],'
        b'["-",2499900000000,0]],[]]]'
    )
    assert isinstance(delta, BookDelta)
    assert delta.bids == [(25000.0, 0.8), (24998.0, 0.1), (24999.0, 0.0)]
    assert delta.asks == []


def test_tilde_deletes_every_better_level_of_its_side() -> None:
    codec = make()
    codec.decode(SNAPSHOT)
    (delta,) = codec.decode(
        b'["F","BTC-EUR","M",[[["~",2499900000000,20000000]],[["~",2500300000000,20000000]]]]'
    )
    assert isinstance(delta, BookDelta)
    assert delta.bids == [(25000.0, 0.0), (24999.0, 0.2)]
    assert delta.asks == [(25001.0, 0.0), (25003.0, 0.2)]


def test_tilde_at_zero_empties_its_side() -> None:
    codec = make()
    codec.decode(SNAPSHOT)
    (delta,) = codec.decode(b'["F","BTC-EUR","M",[[["~",0,0]],[]]]')
    assert isinstance(delta, BookDelta)
    assert sorted(delta.bids) == [(24999.0, 0.0), (25000.0, 0.0)]


def test_book_change_before_its_snapshot_is_a_protocol_error() -> None:
    with pytest.raises(VenueProtocolError, match="before its snapshot"):
        make().decode(b'["F","BTC-EUR","M",[[],[]]]')


def test_level_action_that_is_not_documented_is_a_protocol_error() -> None:
    codec = make()
    codec.decode(SNAPSHOT)
    with pytest.raises(VenueProtocolError, match=r"found the level action '\?'"):
        codec.decode(b'["F","BTC-EUR","M",[[["?",1,1]],[]]]')


# --- session ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "told"), [(b"0", 0), (b"2", 2), (b"[2]", 2), (b"[]", 0)])
def test_gateway_status_is_told_plain_or_in_an_array(code: bytes, told: int) -> None:
    assert make().decode(b'["X",0,"Z",' + code + b"]") == [GatewayStatus(told)]


@pytest.mark.parametrize("code", [b"103", b"[103]"])
def test_failed_bind_is_told_in_both_forms(code: bytes) -> None:
    assert make().decode(b'["F","NO-PAIR","Z",' + code + b"]") == [Failed("F", "NO-PAIR", 103)]
    assert make().decode(b'["P",0,"Z",' + code + b"]") == [Failed("P", "", 103)]


def test_unbound_feed_needs_nothing_done() -> None:
    assert make().decode(b'["F","BTC-EUR","U",0]') == []


def test_frames_without_use_are_counted_and_left_out() -> None:
    codec = make()
    assert codec.decode(b'["R",0,"S",[]]') == []
    assert codec.decode(b'["R",0,"+",[]]') == []
    assert codec.decode(b'{"event":"pong"}') == []
    assert codec.unknown == {"R": 2, "pong without reqId, error 0": 1}


# --- orders -------------------------------------------------------------------------------------

DEAL = (
    b'["O",0,"D",["BTC-EUR",2,0,0,1001,%d,2500100000000,150000000,100000000,1700000000000,'
    b"1700000000001,5001,0,2500000000000,50000000,1250000000000,12500000,12,0,3,4,5]]"
)


def test_deal_becomes_a_fill_with_its_fee_and_liquidity() -> None:
    codec = make()
    codec.encode(order())
    report = only_report(codec, DEAL % Numbers().number(NAME))
    assert report == ExecutionReport(
        symbol="finery:BTC-EUR",
        ord_status=OrdStatus.PARTIALLY_FILLED,
        exec_type=ExecType.TRADE,
        client_order_id=NAME,
        venue_order_id=VenueOrderId("1001"),
        exec_id=report.exec_id,
        side=Side.BUY,
        last_qty=Decimal("0.5"),
        last_px=Decimal(25000),
        liquidity=Liquidity.REMOVED,
        commission=Decimal("0.125"),
        commission_currency="EUR",
        transact_time_ns=1_700_000_000_001_000_000,
        receive_time_ns=NOW_NS,
    )
    assert report.exec_id == "5001"


def test_order_of_another_client_keeps_its_number_as_name() -> None:
    report = only_report(make(), DEAL % 7)
    assert report.client_order_id == "7"


ROW = b'["O",0,"%s",["BTC-EUR",0,1,%d,1001,%d,2500100000000,150000000,%d,1700000000000,0]]'


@pytest.mark.parametrize(
    ("action", "reason", "remaining", "status"),
    [
        (b"+", 0, 150000000, OrdStatus.NEW),
        (b"+", 0, 100000000, OrdStatus.PARTIALLY_FILLED),
        (b"-", 0, 0, OrdStatus.FILLED),
        (b"-", 1, 150000000, OrdStatus.CANCELED),
        (b"-", 2, 100000000, OrdStatus.CANCELED),
        (b"-", 3, 100000000, OrdStatus.CANCELED),
        (b"-", 4, 100000000, OrdStatus.CANCELED),
        (b"-", 9, 100000000, OrdStatus.CANCELED),
    ],
)
def test_order_frames_tell_status_and_filled_quantity(
    action: bytes, reason: int, remaining: int, status: OrdStatus
) -> None:
    codec = make()
    codec.encode(order(side=Side.SELL))
    number = Numbers().number(NAME)
    codec.decode(ROW % (b"+", 0, number, 150000000))
    report = only_report(codec, ROW % (action, reason, number, remaining))
    assert report.ord_status is status
    assert report.side is Side.SELL
    assert report.order_qty == Decimal("1.5")
    assert report.cum_qty == Decimal(150000000 - remaining) / 10**8


def test_totals_of_an_order_we_have_not_placed_are_left_out() -> None:
    """It may have had other ids before, each of which counts from nothing."""
    report = only_report(make(), ROW % (b"+", 0, 7, 100000000))
    assert (report.order_qty, report.cum_qty) == (None, None)


def test_native_cancel_on_disconnect_is_told_by_name() -> None:
    report = only_report(make(), ROW % (b"-", 4, 7, 150000000))
    assert "connection was lost" in report.text


def test_positions_become_balances_over_all_counterparties_and_open_orders() -> None:
    events = make().decode(
        b'["P",0,"S",[9,[["BTC",150000000,12,0,0],["BTC",-50000000,13,0,0],["EUR",100,12,0,0]],'
        b'[["BTC-EUR",0,0,0,1001,7,2500100000000,150000000,150000000,1700000000000,0]],[]]]'
    )
    held = [(e.currency, e.total) for e in events if isinstance(e, Balance)]
    assert held == [("BTC", Decimal(1)), ("EUR", Decimal("0.000001"))]
    reports = [event for event in events if isinstance(event, ExecutionReport)]
    assert [(r.venue_order_id, r.ord_status) for r in reports] == [("1001", OrdStatus.NEW)]
    assert events[-1] == Bound("P", "")


# --- requests and their replies -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "type_text"),
    [
        ({}, "limit"),
        ({"post_only": True}, "postOnly"),
        ({"time_in_force": TimeInForce.IOC}, "limitIOC"),
        ({"time_in_force": TimeInForce.FOK}, "limitFOK"),
        ({"ord_type": OrdType.MARKET, "price": None}, "marketIOC"),
        (
            {"ord_type": OrdType.MARKET, "price": None, "time_in_force": TimeInForce.FOK},
            "marketFOK",
        ),
    ],
)
def test_order_types_have_the_venues_names(terms: dict[str, Any], type_text: str) -> None:
    assert content_of(make().encode(order(**terms)))["type"] == type_text


def test_new_order_is_told_in_units_with_cancel_on_disconnect() -> None:
    frame = json.loads(make().encode(order()))
    assert (frame["event"], frame["method"], frame["reqId"]) == ("request", "add", 1)
    assert frame["content"] == {
        "instrument": "BTC-EUR",
        "clientOrderId": Numbers().number(NAME),
        "price": 2500100000000,
        "size": 150000000,
        "side": "bid",
        "type": "limit",
        "cod": True,
    }


def test_order_to_be_kept_is_not_tied_to_the_connection() -> None:
    assert content_of(make().encode(order(keep=True)))["cod"] is False


def test_price_finer_than_the_venue_can_be_told_is_an_error_and_not_rounded() -> None:
    with pytest.raises(ValueError, match="finer than"):
        make().encode(order(price=Decimal("1.000000001")))


def test_reply_to_add_acknowledges_and_tells_deals_once_by_their_ids() -> None:
    codec = make()
    codec.encode(order())
    ack, fill = codec.decode(
        b'{"event":"request","reqId":1,"reply":{"id":1001,"remainingSize":100000000,'
        b'"clientOrderId":7,"cancelReason":0,"deals":[{"id":5001,"price":2500000000000,'
        b'"size":50000000,"volume":1250000000000,"delta":0,"counterpartyId":12}]}}'
    )
    assert isinstance(ack, ExecutionReport)
    assert isinstance(fill, ExecutionReport)
    assert (ack.ord_status, ack.client_order_id, ack.venue_order_id) == (
        OrdStatus.NEW,
        NAME,
        "1001",
    )
    assert (fill.exec_id, fill.last_qty, fill.last_px) == ("5001", Decimal("0.5"), Decimal(25000))


def test_rest_of_an_ioc_ends_with_the_reply() -> None:
    codec = make()
    codec.encode(order(time_in_force=TimeInForce.IOC))
    *_, end = codec.decode(
        b'{"event":"request","reqId":1,"reply":{"id":1001,"remainingSize":150000000,'
        b'"cancelReason":2,"deals":[]}}'
    )
    assert isinstance(end, ExecutionReport)
    assert (end.ord_status, end.cum_qty) == (OrdStatus.CANCELED, Decimal(0))


def test_error_of_add_rejects_the_order_and_names_the_reason() -> None:
    codec = make()
    codec.encode(order())
    report = only_report(codec, b'{"event":"request","reqId":1,"error":70,"param":"size"}')
    assert (report.ord_status, report.client_order_id) == (OrdStatus.REJECTED, NAME)
    assert report.text == "finery error 70 (size), parameter size"


def test_cancel_names_the_venues_id_where_it_is_known() -> None:
    codec = make()
    by_name = CancelOrder(client_order_id=NAME, symbol="finery:BTC-EUR")
    by_id = CancelOrder(
        client_order_id=NAME, symbol="finery:BTC-EUR", venue_order_id=VenueOrderId("1001")
    )
    assert content_of(codec.encode(by_name)) == {"clientOrderId": Numbers().number(NAME)}
    assert content_of(codec.encode(by_id)) == {"orderId": 1001}


@pytest.mark.parametrize("placed", [True, False])
def test_reply_to_del_confirms_the_cancel_of_our_own_and_has_another_process_s_asked_for(
    *, placed: bool
) -> None:
    codec = make()
    if placed:
        codec.encode(order())
    codec.encode(CancelOrder(client_order_id=NAME, symbol="finery:BTC-EUR"))
    reply = b'{"reqId":%d,"reply":{"id":1001,"remainingSize":100000000}}'
    report = only_report(codec, reply % (2 if placed else 1))
    # What filled before this process came, no feed has told it.
    status = OrdStatus.CANCELED if placed else OrdStatus.UNKNOWN
    assert (report.ord_status, report.client_order_id) == (status, NAME)


def test_late_cancel_is_declined_as_an_unknown_order() -> None:
    codec = make()
    codec.encode(CancelOrder(client_order_id=NAME, symbol="finery:BTC-EUR"))
    (reject,) = codec.decode(b'{"event":"request","reqId":1,"error":80}')
    assert isinstance(reject, OrderCancelReject)
    assert (reject.client_order_id, reject.unknown_order) == (NAME, True)


def replace(codec: Codec) -> bytes:
    return codec.encode(
        ReplaceOrder(
            client_order_id=ClientOrderId("demo-run1-2"),
            orig_client_order_id=NAME,
            symbol="finery:BTC-EUR",
            strategy="s",
            side=Side.BUY,
            order_qty=Decimal(2),
            price=Decimal(24000),
            venue_order_id=VenueOrderId("1001"),
        )
    )


def test_replace_asks_for_what_is_to_work_and_takes_the_new_id() -> None:
    codec = make()
    codec.encode(order())
    codec.decode(DEAL % Numbers().number(NAME))
    assert content_of(replace(codec)) == {
        "orderId": 1001,
        "price": 2400000000000,
        "size": 150000000,
    }
    report = only_report(
        codec,
        b'{"reqId":2,"reply":{"id":1002,"initialSize":150000000,"remainingSize":150000000,'
        b'"deals":[],"origId":1001,"origRemainingSize":100000000}}',
    )
    assert (report.exec_type, report.venue_order_id) == (ExecType.REPLACED, "1002")
    assert (report.order_qty, report.orig_client_order_id) == (Decimal(2), NAME)


def test_declined_replace_names_the_order_as_it_is() -> None:
    codec = make()
    replace(codec)
    (reject,) = codec.decode(b'{"reqId":1,"error":90}')
    assert isinstance(reject, OrderCancelReject)
    assert (reject.client_order_id, reject.response_to) == (NAME, RequestKind.REPLACE)


def test_questions_are_answered_by_their_req_id() -> None:
    codec = make()
    req_id, frame = codec.ask("positions", {})
    assert json.loads(frame)["content"] == {}
    (answer,) = codec.decode(b'{"reqId":%d,"reply":[0,[],[],[]]}' % req_id)
    assert isinstance(answer, Answered)
    assert answer.value == wire.Positions(next_id=0, positions=[], orders=[])
    req_id, _ = codec.ask("dealHistory", {"limit": 250})
    assert codec.decode(b'{"reqId":%d,"error":10}' % req_id) == [Answered(req_id, error=10)]


def test_bind_leaves_the_feed_id_out_where_a_feed_has_none() -> None:
    assert json.loads(encode_bind("P")) == {"event": "bind", "feed": "P"}
    assert json.loads(encode_bind("F", "BTC-EUR", event="unbind")) == {
        "event": "unbind",
        "feed": "F",
        "feedId": "BTC-EUR",
    }


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"3",
        b"null",
        b"[]",
        b'["F"]',
        b'["F","BTC-EUR","S",',
        b'["F","BTC-EUR","S",[[["1",2]],[]]]',
        b'["F","BTC-EUR","S",[[[-1,2]],[]]]',
        b'["F","BTC-EUR","S",[[[NaN,2]],[]]]',
        b'["F","BTC-EUR","S",[[[1e400,2]],[]]]',
        b'["O",0,"D",[]]',
        b'{"reqId":"1"}',
        b"\xff\xfe",
    ],
)
def test_frame_that_cannot_be_read_is_a_protocol_error(frame: bytes) -> None:
    with pytest.raises(VenueProtocolError, match="finery: cannot read"):
        make().decode(frame)


def test_fill_between_a_replace_and_its_reply_is_in_the_new_quantity() -> None:
    codec = make()
    codec.encode(order())
    codec.decode(DEAL % Numbers().number(NAME))
    replace(codec)
    report = only_report(
        codec,
        b'{"reqId":2,"reply":{"id":1002,"initialSize":150000000,"remainingSize":150000000,'
        b'"deals":[],"origId":1001,"origRemainingSize":90000000}}',
    )
    assert report.order_qty == Decimal("2.1")


def test_end_of_the_old_id_by_a_replace_is_not_the_orders_end() -> None:
    codec = make()
    codec.encode(order(side=Side.SELL))
    number = Numbers().number(NAME)
    codec.decode(ROW % (b"+", 0, number, 150000000))
    replace(codec)
    assert codec.decode(ROW % (b"-", 1, number, 150000000)) == []


def test_cancel_of_a_replaced_order_names_its_latest_id() -> None:
    codec = make()
    codec.encode(order())
    codec.decode(ROW % (b"+", 0, Numbers().number(NAME), 150000000))
    replace(codec)
    codec.decode(ROW.replace(b"1001", b"1002") % (b"+", 0, Numbers().number(NAME), 150000000))
    cancel = CancelOrder(
        client_order_id=ClientOrderId("demo-run1-2"),
        symbol="finery:BTC-EUR",
        venue_order_id=VenueOrderId("1001"),
    )
    assert content_of(codec.encode(cancel)) == {"orderId": 1002}
    by_name = msgspec.structs.replace(cancel, venue_order_id=None)
    assert content_of(codec.encode(by_name)) == {"clientOrderId": Numbers().number(NAME)}
