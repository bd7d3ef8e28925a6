"""Moonbase's codec: orders in; requests out, byte for byte, and their replies."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from botkit.errors import VenueProtocolError
from botkit.model import (
    CancelOrder,
    ClientOrderId,
    ExecType,
    ExecutionReport,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    Side,
    VenueOrderId,
)
from tests.unit.moonbase_codec_bench import (
    ETC,
    NOW_NS,
    ORDERS,
    ROW,
    SYMBOL,
    frame,
    joined,
    make,
    only,
    reply,
)
from venues.moonbase import wire
from venues.moonbase.codec import Codec, Joined, RateLimited
from venues.moonbase.orders import Orders

ZERO = Decimal(0)
NAME = ClientOrderId("demo-run1-1")


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


def upsert(row: dict[str, Any]) -> bytes:
    return frame(ORDERS, "upsert", {"data": [row]})


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
