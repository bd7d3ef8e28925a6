"""Moonbase's codec: frames of the venue's page in, events out; requests out, byte for byte."""

import json
from collections.abc import Iterable
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
    Event,
    ExecType,
    ExecutionReport,
    Instrument,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    Side,
    Trade,
    VenueOrderId,
)
from venues.moonbase import wire
from venues.moonbase.codec import (
    Answered,
    ChannelLost,
    Codec,
    Joined,
    JoinFailed,
    Notice,
    RateLimited,
    Told,
)
from venues.moonbase.orders import Orders

ZERO = Decimal(0)
NOW_NS = 1_700_000_000_000_000_000
NAME = ClientOrderId("demo-run1-1")
SYMBOL = "moonbase:ETC_D:BTC_D"
ETC = Instrument(
    symbol=SYMBOL,
    base="ETC_D",
    quote="BTC_D",
    tick_size=Decimal("0.00000001"),
    lot_size=Decimal("0.00000001"),
)
ORDERS, BOOK = "/orders/ETC_D:BTC_D", "/orderbooks/ETC_D:BTC_D"
ROW = {
    "updated_at": "2019-02-17T20:37:41.679118",
    "triggered_at": "2019-02-17T20:37:41.678723",
    "trigger_price": None,
    "symbol": "ETC_D:BTC_D",
    "requested_amount": 1.0,
    "limit_price": 1.0,
    "is_liquidation": False,
    "is_active": True,
    "inserted_at": "2019-02-17T20:37:41.679112",
    "id": 10,
    "filled_total": 0.0,
    "filled_amount": 0.0,
    "fee": 0.0,
    "external_id": None,
    "cancelled_at": None,
}


def make(*, since_ns: int = 0, external_ids: bool = False, **options: Any) -> Codec:
    orders = Orders(since_ns, external_ids=external_ids)
    return Codec("moonbase", {"ETC_D:BTC_D": ETC}, orders, lambda: NOW_NS, **options)


def order(**terms: Any) -> NewOrder:
    plain = NewOrder(
        client_order_id=NAME,
        symbol=SYMBOL,
        strategy="s",
        side=Side.BUY,
        order_qty=Decimal("1.5"),
        price=Decimal("0.00001"),
    )
    return msgspec.structs.replace(plain, **terms)


def frame(topic: str, event: str, payload: object, **refs: object) -> bytes:
    return json.dumps(
        {"ref": None, "join_ref": None, "topic": topic, "event": event, "payload": payload, **refs}
    ).encode()


def reply(ref: str, response: object, *, topic: str = ORDERS, status: str = "ok") -> bytes:
    payload = {"status": status, "response": response}
    return frame(topic, "phx_reply", payload, ref=ref, join_ref="1")


def joined(codec: Codec, topic: str, response: object) -> list[Event | Notice]:
    ref = json.loads(codec.join(topic, {}))["ref"]
    return list(codec.decode(reply(ref, response, topic=topic)))


def upsert(row: dict[str, Any]) -> bytes:
    return frame(ORDERS, "upsert", {"data": [row]})


def only(events: Iterable[Event | Notice]) -> ExecutionReport:
    (event,) = events
    assert isinstance(event, ExecutionReport)
    return event


# --- signing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "signature"),
    [
        ("seed", "745e6dd69a18473c18570acede720fb2efe578a8c60cf02f04e817ff1b21530e"),
        ("client", "72a0d6a323c76fb2248c3f5ea1c0a69a819127aa3437c27805c31dd437db8799"),
    ],
)
def test_handshake_is_signed_as_the_vectors_say(
    variant: wire.SignatureVariant, signature: str
) -> None:
    query = wire.handshake_query(
        "test-key", "test-secret", timestamp_s=1_700_000_000, variant=variant
    )
    assert query == f"key=test-key&timestamp=1700000000&signature={signature}"


def test_rest_calls_sign_the_sorted_union_of_all_parameters() -> None:
    headers = wire.rest_headers(
        "k",
        "s",
        method="POST",
        path="/api/v1/my/orders",
        parameters={"symbol": "ETH:BTC", "requested_amount": "-1.5"},
        nonce_ms=7,
        timestamp_s=1_700_000_000,
    )
    text = (
        "POST\n/api/v1/my/orders\nauth_key=k&auth_nonce=7&auth_timestamp=1700000000&"
        "auth_version=1.0&requested_amount=-1.5&symbol=ETH%3ABTC"
    )
    assert headers == {
        "X-Key": "k",
        "X-Nonce": "7",
        "X-Timestamp": "1700000000",
        "X-Signature": wire.sign("s", text),
    }


# --- numbers and times --------------------------------------------------------------------------


def test_numbers_are_read_from_their_text_and_not_through_floats() -> None:
    text = json.dumps(ROW).replace('"limit_price": 1.0', '"limit_price": 0.12345678901234567891')
    payload = f'{{"topic":"{ORDERS}","event":"upsert","payload":{{"data":[{text}]}}}}'
    assert only(make().decode(payload.encode())).price == Decimal("0.12345678901234567891")


@pytest.mark.parametrize("number", ['"NaN"', '"-Infinity"', "1e19", "1e-50", '"sNaN"', '"x"'])
def test_numbers_nobody_can_count_with_are_a_protocol_error(number: str) -> None:
    text = json.dumps(ROW).replace('"fee": 0.0', f'"fee": {number}')
    payload = f'{{"topic":"{ORDERS}","event":"upsert","payload":{{"data":[{text}]}}}}'
    with pytest.raises(VenueProtocolError, match="moonbase"):
        list(make().decode(payload.encode()))


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2019-02-17T20:37:41.679112", 1_550_435_861_679_112_000),
        ("2017-12-24T12:30:01.234Z", 1_514_118_601_234_000_000),
        ("2017-12-24T12:30:01+00:00", 1_514_118_601_000_000_000),
    ],
)
def test_times_are_utc_with_or_without_a_zone(text: str, ns: int) -> None:
    assert wire.time_ns(text) == ns


@pytest.mark.parametrize("text", ["", "soon", "2019-13-01"])
def test_time_that_is_none_is_a_protocol_error(text: str) -> None:
    with pytest.raises(VenueProtocolError, match="cannot read the time"):
        wire.time_ns(text)


# --- books and trades ---------------------------------------------------------------------------


def test_book_snapshot_is_sorted_and_split_by_sign() -> None:
    levels = [[0.5, 1.0], [1.0e-5, 2], [1.5, -3.0], [1.0, -1.0]]
    snapshot, told = joined(make(), BOOK, levels)
    assert snapshot == BookSnapshot(
        SYMBOL,
        bids=[(0.5, 1.0), (1.0e-5, 2.0)],
        asks=[(1.0, 1.0), (1.5, 3.0)],
        receive_time_ns=NOW_NS,
    )
    assert told == Joined(BOOK)


def test_book_push_sets_deletes_and_moves_levels_to_the_other_side() -> None:
    codec = make()
    joined(codec, BOOK, [[0.5, 1.0], [0.4, 1.0], [1.0, -1.0], [1.1, -1.0]])
    changes = [[0.5, -2.0], [0.4, 0], [1.0, 3.0], [1.1, 0.0], [0.3, 4.0], [9.0, 0.0]]
    (delta,) = codec.decode(frame(BOOK, "upsert", {"data": changes}))
    assert isinstance(delta, BookDelta)
    assert delta.bids == [(0.5, 0.0), (0.4, 0.0), (1.0, 3.0), (0.3, 4.0)]
    assert delta.asks == [(0.5, 2.0), (1.0, 0.0), (1.1, 0.0)]


def test_book_push_before_its_snapshot_is_a_protocol_error() -> None:
    with pytest.raises(VenueProtocolError, match="before its snapshot"):
        make().decode(frame(BOOK, "upsert", {"data": [[1.0, 1.0]]}))


@pytest.mark.parametrize(
    ("amount", "signs", "aggressor"), [(1, True, "BUY"), (-1, True, "SELL"), (-1, False, "")]
)
def test_trade_push_becomes_a_trade_with_its_takers_side(
    amount: int, *, signs: bool, aggressor: str
) -> None:
    row = {
        "timestamp": "2019-02-17T20:37:41.682639",
        "taker_order_id": 10,
        "symbol": "ETC_D:BTC_D",
        "price": 1,
        "maker_order_id": 9,
        "id": 3,
        "amount": amount,
    }
    topic = "/trades/ETC_D:BTC_D"
    (trade,) = make(taker_signs=signs).decode(frame(topic, "insert", {"data": [row]}))
    assert trade == Trade(
        SYMBOL,
        1.0,
        1.0,
        aggressor,
        "3",
        exchange_time_ns=1_550_435_861_682_639_000,
        receive_time_ns=NOW_NS,
    )


def test_trades_from_before_the_join_are_nobodys_news() -> None:
    row = {"timestamp": "2019-02-14T22:46:56.639608", "symbol": "ETC_D:BTC_D", "price": 1.0}
    topic = "/trades/ETC_D:BTC_D"
    (told,) = joined(make(), topic, [{**row, "id": 10, "amount": 1.0}])
    assert isinstance(told, Joined)


# --- orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "exec_type"),
    [
        ({}, OrdStatus.NEW, ExecType.NEW),
        ({"filled_amount": 0.4}, OrdStatus.PARTIALLY_FILLED, ExecType.TRADE),
        ({"filled_amount": 1.0, "is_active": False}, OrdStatus.FILLED, ExecType.TRADE),
        ({"cancelled_at": ROW["updated_at"]}, OrdStatus.CANCELED, ExecType.CANCELED),
        (
            {"cancelled_at": ROW["updated_at"], "filled_amount": 0.4, "is_active": False},
            OrdStatus.CANCELED,
            ExecType.CANCELED,
        ),
        (
            {"triggered_at": None, "trigger_price": 2.0, "is_active": False},
            OrdStatus.NEW,
            ExecType.NEW,
        ),
    ],
)
def test_order_row_says_where_the_order_stands(
    changes: dict[str, Any], status: OrdStatus, exec_type: ExecType
) -> None:
    report = only(make().decode(upsert({**ROW, **changes})))
    assert (report.ord_status, report.exec_type) == (status, exec_type)
    assert report.venue_order_id == "10"
    assert report.client_order_id is None
    assert report.cum_qty == Decimal(str(changes.get("filled_amount", 0)))


@pytest.mark.parametrize(("sign", "side"), [(1, Side.BUY), (-1, Side.SELL)])
def test_fill_is_what_the_totals_add_with_its_price_and_fee(sign: int, side: Side) -> None:
    codec = make()
    codec.decode(upsert({**ROW, "requested_amount": sign * 1.0}))
    first = {
        **ROW,
        "requested_amount": sign * 1.0,
        "filled_amount": sign * 0.4,
        "filled_total": -sign * 0.2,
        "fee": -0.0002,
    }
    second = {
        **first,
        "filled_amount": sign * 1.0,
        "filled_total": -sign * 0.8,
        "fee": -0.0008,
        "is_active": False,
    }
    one, again, two = (only(codec.decode(upsert(row))) for row in (first, first, second))
    assert (one.side, one.last_qty, one.last_px) == (side, Decimal("0.4"), Decimal("0.5"))
    assert (one.commission, one.commission_currency) == (Decimal("0.0002"), "BTC_D")
    assert (again.last_qty, again.commission, again.exec_id) == (ZERO, None, None)
    assert (two.last_qty, two.last_px, two.cum_qty) == (Decimal("0.6"), Decimal(1), Decimal(1))
    assert two.commission == Decimal("0.0006")
    assert two.avg_px == Decimal("0.8")
    assert two.exec_id != one.exec_id


def test_lower_total_that_comes_late_fills_nothing() -> None:
    codec = make()
    filled = {**ROW, "filled_amount": 0.4, "filled_total": -0.2}
    codec.decode(upsert(filled))
    stale = only(codec.decode(upsert(ROW)))
    assert (stale.cum_qty, stale.last_qty, stale.ord_status) == (ZERO, ZERO, OrdStatus.NEW)
    again = only(codec.decode(upsert(filled)))
    assert again.last_qty == 0


def test_fee_of_what_an_earlier_run_may_have_counted_is_not_told() -> None:
    codec = make(since_ns=NOW_NS)
    row = {**ROW, "filled_amount": 0.4, "filled_total": -0.2, "fee": -0.0002}
    assert only(codec.decode(upsert(row))).commission is None
    more = {**row, "filled_amount": 0.5, "filled_total": -0.25, "fee": -0.00025}
    assert only(codec.decode(upsert(more))).commission == Decimal("0.00005")


def test_fill_without_a_total_has_no_price_of_its_own() -> None:
    row = {key: value for key, value in ROW.items() if key != "filled_total"}
    report = only(make().decode(upsert({**row, "filled_amount": 0.4})))
    assert (report.cum_qty, report.last_qty, report.avg_px) == (Decimal("0.4"), ZERO, None)


def test_order_of_nothing_is_a_protocol_error() -> None:
    with pytest.raises(VenueProtocolError, match="amount 0"):
        make().decode(upsert({**ROW, "requested_amount": 0}))


def test_orders_of_instruments_not_listed_are_left_out_and_counted() -> None:
    codec = make()
    assert list(codec.decode(upsert({**ROW, "symbol": "A:B"}))) == []
    assert codec.unknown == {"order in an instrument that is not listed": 1}


def test_snapshot_of_orders_reports_each() -> None:
    report, told = joined(make(), ORDERS, [ROW])
    assert isinstance(report, ExecutionReport)
    assert report.exec_type is ExecType.ORDER_STATUS
    assert told == Joined(ORDERS)


# --- requests and their replies -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "payload"),
    [
        ({}, b'{"requested_amount":1.5,"limit_price":0.00001}'),
        ({"side": Side.SELL}, b'{"requested_amount":-1.5,"limit_price":0.00001}'),
        ({"ord_type": OrdType.MARKET, "price": None}, b'{"requested_amount":1.5}'),
        (
            {"ord_type": OrdType.STOP, "price": None, "stop_px": Decimal(2)},
            b'{"requested_amount":1.5,"trigger_price":2}',
        ),
        (
            {"ord_type": OrdType.STOP_LIMIT, "stop_px": Decimal(2)},
            b'{"requested_amount":1.5,"limit_price":0.00001,"trigger_price":2}',
        ),
    ],
)
def test_place_is_said_with_a_signed_amount(terms: dict[str, Any], payload: bytes) -> None:
    codec = make()
    codec.join(ORDERS, {})
    assert codec.encode(order(**terms)) == (
        b'{"ref":"2","join_ref":"1","topic":"/orders/ETC_D:BTC_D","event":"place","payload":'
        + payload
        + b"}"
    )


def test_join_has_the_same_ref_twice() -> None:
    assert json.loads(make().join(ORDERS, {"status": "open", "limit": 100})) == {
        "ref": "1",
        "join_ref": "1",
        "topic": ORDERS,
        "event": "phx_join",
        "payload": {"status": "open", "limit": 100},
    }


def test_order_that_the_venue_has_no_words_for_is_not_sent() -> None:
    with pytest.raises(ValueError, match="post-only"):
        make().encode(order(post_only=True))
    with pytest.raises(ValueError, match="needs a price"):
        make().encode(order(price=None))


def test_reply_to_place_names_our_order_and_later_rows_of_it_too() -> None:
    codec = make()
    codec.encode(order())
    ack = only(codec.decode(reply("1", ROW)))
    assert (ack.client_order_id, ack.venue_order_id, ack.ord_status) == (NAME, "10", OrdStatus.NEW)
    later = only(codec.decode(upsert({**ROW, "filled_amount": 0.1, "filled_total": -0.1})))
    assert later.client_order_id == NAME
    assert later.transact_time_ns == wire.time_ns(str(ROW["updated_at"]))


def test_row_before_its_reply_is_told_without_a_name_at_the_time_it_was_entered() -> None:
    codec = make()
    codec.encode(order())
    early = only(codec.decode(upsert({**ROW, "updated_at": "2020-01-01T00:00:00"})))
    assert early.client_order_id is None
    assert early.transact_time_ns == wire.time_ns(str(ROW["inserted_at"]))


def test_external_id_is_sent_and_read_only_where_asked_for() -> None:
    codec = make(external_ids=True)
    assert json.loads(codec.encode(order()))["payload"]["external_id"] == NAME
    assert only(codec.decode(upsert({**ROW, "external_id": NAME}))).client_order_id == NAME
    assert only(make().decode(upsert({**ROW, "external_id": NAME}))).client_order_id is None


@pytest.mark.parametrize(("told", "echoes"), [(NAME, True), (None, False)])
def test_external_id_counts_as_kept_once_a_reply_has_it(told: str | None, *, echoes: bool) -> None:
    orders = Orders(0, external_ids=True)
    codec = Codec("moonbase", {"ETC_D:BTC_D": ETC}, orders, lambda: NOW_NS)
    codec.encode(order())
    codec.decode(reply("1", {**ROW, "external_id": told}))
    assert orders.echoes is echoes


@pytest.mark.parametrize(
    "payload",
    [
        {"status": "error", "response": {"type": "insufficient_funds", "details": {"x": 1}}},
        {"status": "error", "type": "insufficient_funds", "details": {"x": 1}, "response": {}},
    ],
)
def test_error_to_place_is_a_rejection_with_its_text_from_either_place(payload: object) -> None:
    codec = make()
    codec.encode(order())
    report = only(codec.decode(frame(ORDERS, "phx_reply", payload, ref="1")))
    assert (report.ord_status, report.client_order_id) == (OrdStatus.REJECTED, NAME)
    assert report.text.replace(" ", "") == 'moonbase:insufficient_funds{"x":1}'


@pytest.mark.parametrize("response", ["no", 5, None, [1], {"details": {"retry_after": "x"}}])
def test_error_of_any_shape_is_a_rejection(response: object) -> None:
    codec = make()
    codec.encode(order())
    assert only(codec.decode(reply("1", response, status="error"))).ord_status is OrdStatus.REJECTED


RATE = {"type": "rate_limit_exceeded", "details": {"retry_after": 30}}


def test_rate_limit_on_place_is_a_rejection_and_says_when_to_come_back() -> None:
    codec = make()
    codec.encode(order())
    rejected, limited = codec.decode(reply("1", RATE, status="error"))
    assert isinstance(rejected, ExecutionReport)
    assert isinstance(limited, RateLimited)
    assert (limited.topic, limited.failure.retry_after_s) == (ORDERS, 30.0)


def test_rate_limit_without_an_envelope_is_told() -> None:
    (limited,) = make().decode(json.dumps({"status": "error", **RATE}).encode())
    assert isinstance(limited, RateLimited)
    assert (limited.topic, limited.failure.retry_after_s) == ("", 30.0)


@pytest.mark.parametrize(("told", "kept"), [(-5, 30), (1e300, 3_600), (None, 30), ("x", 30)])
def test_wait_that_is_told_is_kept_within_an_hour(told: object, kept: float) -> None:
    frames = {"status": "error", "type": "rate_limit_exceeded", "details": {"retry_after": told}}
    (limited,) = make().decode(json.dumps(frames).encode())
    assert isinstance(limited, RateLimited)
    assert limited.failure.retry_after_s == kept


def cancel(**terms: Any) -> CancelOrder:
    plain = CancelOrder(client_order_id=NAME, symbol=SYMBOL, venue_order_id=VenueOrderId("10"))
    return msgspec.structs.replace(plain, **terms)


def test_cancel_names_the_venues_id_and_ends_the_order() -> None:
    codec = make()
    assert json.loads(codec.encode(cancel()))["payload"] == {"id": 10}
    gone = {**ROW, "is_active": False, "cancelled_at": "2019-02-17T21:07:50.745530"}
    report = only(codec.decode(reply("1", gone)))
    assert (report.ord_status, report.client_order_id) == (OrdStatus.CANCELED, NAME)


def test_cancel_without_an_id_that_was_told_is_not_sent() -> None:
    codec = make()
    with pytest.raises(ValueError, match="has not told its id"):
        codec.encode(cancel(venue_order_id=None))
    codec.encode(order())
    codec.decode(reply("1", ROW))
    assert json.loads(codec.encode(cancel(venue_order_id=None)))["payload"] == {"id": 10}


@pytest.mark.parametrize(("kind", "unknown"), [("not_found", True), ("other", False)])
def test_error_to_cancel_declines_it(kind: str, *, unknown: bool) -> None:
    codec = make()
    codec.encode(cancel())
    (reject,) = codec.decode(reply("1", {"type": kind}, status="error"))
    assert isinstance(reject, OrderCancelReject)
    assert (reject.client_order_id, reject.unknown_order) == (NAME, unknown)
    assert reject.ord_status is None


def test_what_has_no_reply_is_given_up_with_its_channel() -> None:
    codec = make()
    codec.encode(order())
    codec.ask("phoenix", "heartbeat", {})
    assert codec.give_up(ORDERS) == [order()]
    assert list(codec.decode(reply("1", ROW))) == []


# --- channels -----------------------------------------------------------------------------------


def test_reply_is_known_by_its_ref_with_and_without_join_ref() -> None:
    for join_ref in ({"join_ref": "1"}, {}):
        codec = make()
        codec.join(BOOK, {})
        payload = {"status": "ok", "response": []}
        message = {"topic": BOOK, "event": "phx_reply", "payload": payload, "ref": "1", **join_ref}
        assert list(codec.decode(json.dumps(message).encode()))[1] == Joined(BOOK)


def test_topic_may_be_spelt_with_a_slash_at_the_end() -> None:
    codec = make()
    codec.join("/balances/", {})
    row = {"asset": "BTC_D", "available_amount": 90, "placed_amount": 7, "withdrawn_amount": 3}
    told = list(codec.decode(reply("1", [row], topic="/balances/")))
    balance = Balance(
        venue="moonbase",
        currency="BTC_D",
        total=Decimal(100),
        available=Decimal(90),
        receive_time_ns=NOW_NS,
    )
    assert told == [balance, Joined("/balances")]
    assert list(codec.decode(frame("/balances/", "upsert", {"data": [row]}))) == [balance]


def test_refused_join_says_why() -> None:
    codec = make()
    codec.join(BOOK, {})
    (failed,) = codec.decode(reply("1", {"reason": "unmatched topic"}, topic=BOOK, status="error"))
    assert isinstance(failed, JoinFailed)
    assert failed.failure.is_unmatched
    assert failed.topic == BOOK


@pytest.mark.parametrize(("event", "died"), [("phx_error", "died"), ("phx_close", "closed")])
@pytest.mark.parametrize("refs", [{"ref": "1"}, {"ref": "1", "join_ref": "1"}, {}])
def test_channel_that_ends_is_lost_and_its_book_void(
    event: str, died: str, refs: dict[str, str]
) -> None:
    codec = make()
    joined(codec, BOOK, [])
    (lost,) = codec.decode(frame(BOOK, event, {}, **refs))
    assert isinstance(lost, ChannelLost)
    assert died in lost.reason
    with pytest.raises(VenueProtocolError, match="before its snapshot"):
        codec.decode(frame(BOOK, "upsert", {"data": [[1.0, 1.0]]}))


def test_end_of_an_earlier_join_is_left_out() -> None:
    codec = make()
    joined(codec, BOOK, [])
    joined(codec, BOOK, [])
    assert list(codec.decode(frame(BOOK, "phx_close", {}, ref="1"))) == []
    assert codec.unknown == {"phx_close of an earlier join": 1}


# --- the rest of the page -----------------------------------------------------------------------

TICKER = {
    "symbol": "ETC_D:BTC_D",
    "quote_amount": 3.82,
    "mark_price": 1.0,
    "bid_price": 1.0,
    "base_amount": 3.82,
    "ask_price": None,
}
CANDLE = {
    "volume": 1.0,
    "timestamp": 1550184300,
    "symbol": "ETC_D:BTC_D",
    "sells": 0.0,
    "resolution": 60,
    "open": 1.0,
    "low": 1.0,
    "id": 69,
    "high": 1.0,
    "close": 1.0,
    "buys": 1.0,
}
POSITION = {"total": -1, "symbol": "A:B", "price": 1, "margin": 10, "id": 1, "fee": -0.001}
DEPOSIT = {
    "updated_at": "2019-02-17T20:36:30.299646",
    "transaction_hash": "BONUS",
    "is_processed": True,
    "inserted_at": "2019-02-17T20:36:30.299632",
    "id": 15,
    "confirmation_count": 3,
    "asset": "BTC_D",
    "amount": 100,
    "address": "0a421c84",
}
WITHDRAWAL = {
    "inserted_at": "2017-12-24T12:30:01.234Z",
    "id": 123,
    "asset": "ETH",
    "amount": 10.25,
    "address": "3Ff",
}


@pytest.mark.parametrize(
    ("topic", "response", "read"),
    [
        ("/tickers", [TICKER], [wire.TickerRow]),
        ("/positions", [{**POSITION, "amount": 1, "user_id": 5}], [wire.PositionRow]),
        ("/deposits", [DEPOSIT], [wire.DepositRow]),
        ("/withdrawals", [WITHDRAWAL], [wire.WithdrawalRow]),
    ],
)
def test_snapshots_of_account_channels_are_typed(
    topic: str, response: list[Any], read: list[type]
) -> None:
    (told,) = joined(make(), topic, response)
    assert isinstance(told, Joined)
    assert [each.__class__ for each in told.value] == read


def test_candles_come_with_the_nearest_before_them() -> None:
    response = {"data": [[CANDLE], 1550089080]}
    (told,) = joined(make(), "/candles/ETC_D:BTC_D", response)
    assert isinstance(told, Joined)
    candles, before = told.value.data
    assert (candles[0].close, before) == (1.0, 1550089080)


@pytest.mark.parametrize(
    ("topic", "row"),
    [
        ("/tickers", {**TICKER, "updated_at": "2019-02-17T20:37:41.689411"}),
        ("/candles/ETC_D:BTC_D", CANDLE),
        ("/positions", {**POSITION, "amount": 0.0}),
    ],
)
def test_pushes_that_are_nobodys_event_are_told_typed(topic: str, row: dict[str, Any]) -> None:
    (told,) = make().decode(frame(topic, "upsert", {"data": [row]}))
    assert isinstance(told, Told)
    assert told.topic == topic
    assert told.value[0].symbol == row["symbol"]


@pytest.mark.parametrize(
    ("topic", "event", "payload", "response", "kind"),
    [
        ("phoenix", "heartbeat", {}, {}, type(None)),
        (
            "/candles/ETC_D:BTC_D",
            "get_snapshot",
            wire.CandleRequest(since=1, to=2, resolution=60),
            {"data": [[], None]},
            wire.CandleSnapshot,
        ),
        (
            "/positions",
            "assign",
            {"A:B": "10"},
            {"data": [{**POSITION, "amount": 0}]},
            list,
        ),
        (
            "/deposits",
            "get_deposit_address",
            {"asset": "BTC_T"},
            {"asset": "BTC_T", "address": "some"},
            wire.DepositAddress,
        ),
        (
            "/withdrawals",
            "create_withdrawal",
            {"asset": "ETH", "address": "3Ff", "amount": "1.0"},
            WITHDRAWAL,
            wire.WithdrawalRow,
        ),
    ],
)
def test_questions_are_answered_typed(
    topic: str, event: str, payload: Any, response: object, kind: type
) -> None:
    codec = make()
    ref, sent = codec.ask(topic, event, payload)
    assert (json.loads(sent)["event"], json.loads(sent)["ref"]) == (event, ref)
    (answered,) = codec.decode(reply(ref, response, topic=topic))
    assert isinstance(answered, Answered)
    assert isinstance(answered.value, kind)
    again, _ = codec.ask(topic, event, payload)
    (failed,) = codec.decode(reply(again, {"type": "no"}, topic=topic, status="error"))
    assert isinstance(failed, Answered)
    assert failed.failure is not None
    assert failed.failure.kind == "no"


def test_candle_request_says_from_where() -> None:
    sent = make().join("/candles/A:B", wire.CandleRequest(since=1, to=2, resolution=60))
    assert json.loads(sent)["payload"] == {"from": 1, "to": 2, "resolution": 60}


def test_frames_without_use_are_counted_and_left_out() -> None:
    codec = make()
    frames = [
        frame("/news", "insert", {}),
        frame("/orderbooks/NO:PAIR", "upsert", {"data": []}),
        frame("/orders", "upsert", {"data": []}),
        b'{"status":"error","type":"other"}',
        frame(ORDERS, "phx_reply", {"status": "ok"}, ref="77"),
        frame(ORDERS, "phx_reply", {"status": "ok"}),
    ]
    assert [list(codec.decode(each)) for each in frames] == [[]] * len(frames)
    assert codec.unknown == {
        "news insert": 1,
        "orderbooks upsert": 1,
        "orders upsert": 1,
        "no topic": 1,
        "reply to nothing asked": 2,
    }
    for number in range(200):
        codec.decode(frame(f"/kind{number}", "x", {}))
    assert len(codec.unknown) <= 100


@pytest.mark.parametrize(
    "junk", [b"", b"[]", b"null", b"3", b'{"topic":5}', b"\xff", b"[" * 100_000, b'{"payload":']
)
def test_what_is_no_frame_is_a_protocol_error(junk: bytes) -> None:
    with pytest.raises(VenueProtocolError, match="moonbase: cannot read frame"):
        make().decode(junk)
