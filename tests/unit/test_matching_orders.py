"""What a paper order goes through: funds, fees, checks, stops, expiry, replace."""

from decimal import Decimal
from typing import Any

import pytest

from botkit.matching import ConstantLatency
from botkit.model import (
    ExecType,
    ExecutionReport,
    Liquidity,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    RequestKind,
    TimeInForce,
)
from botkit.ports import FeeSchedule
from tests.unit.matching_bench import BUY, MS, SELL, Bench, instrument

FEES = FeeSchedule(maker_bps=Decimal(10), taker_bps=Decimal(20))
DAY_NS = 86_400_000_000_000


# -- funds and fees ---------------------------------------------------------------------------


def test_a_buy_reserves_its_notional_and_the_dearer_fee_until_it_is_canceled() -> None:
    bench = Bench(fees=FEES)
    bench.quote(100, 1, 101, 1)
    name = bench.order(BUY, "10", "100")
    assert bench.balance("EUR") == ("100000", "98998")  # 1,000 and 0.2 % of it
    bench.cancel(name)
    assert bench.balance("EUR") == ("100000", "100000")
    assert [balance.available for balance in bench.balance_events()] == [98_998, 100_000]


def test_a_sell_reserves_its_quantity() -> None:
    bench = Bench()
    bench.quote(100, 1, 101, 1)
    bench.order(SELL, "10", "102")
    assert bench.balance("BTC") == ("100", "90")


def test_a_maker_fill_pays_the_maker_fee_and_a_taker_fill_the_taker_fee() -> None:
    bench = Bench(fees=FEES)
    bench.quote(100, 1, 102, 1)
    maker = bench.order(BUY, "1", "101")
    bench.trade(100.5, 1.0)
    taker = bench.order(BUY, "1", "102")
    assert bench.last(maker).commission == Decimal("0.101")
    assert bench.last(taker).commission == Decimal("0.204")
    assert bench.last(taker).commission_currency == "EUR"
    spent = Decimal("101.101") + Decimal("102.204")
    assert Decimal(bench.balance("EUR")[0]) == 100_000 - spent
    assert bench.balance("EUR")[0] == bench.balance("EUR")[1]
    assert bench.balance("BTC") == ("102", "102")


def test_a_rebate_is_paid_to_us() -> None:
    bench = Bench(fees=FeeSchedule(maker_bps=Decimal(-10), taker_bps=Decimal(20)))
    bench.quote(100, 1, 102, 1)
    name = bench.order(SELL, "1", "101")
    bench.trade(101.5, 1.0)
    assert bench.last(name).commission == Decimal("-0.101")
    assert bench.balance("EUR")[0] == "100101.101"


def test_balances_follow_the_fill_that_changed_them() -> None:
    bench = Bench(fees=FEES)
    bench.quote(100, 1, 101, 1)
    bench.heard.clear()
    bench.order(BUY, "1", "101")
    assert [type(event).__name__ for event in bench.heard] == [
        "ExecutionReport",  # NEW
        "ExecutionReport",  # TRADE
        "Balance",  # BTC
        "Balance",  # EUR
    ]
    assert len({event.receive_time_ns for event in bench.heard}) == 1


def test_what_an_order_reserves_is_told_once_no_request_is_under_way() -> None:
    bench = Bench(fees=FEES, latency=ConstantLatency(delay_ns=2 * MS))
    bench.quote(100, 1, 101, 1)
    first, second = bench.order(BUY, "1", "99"), bench.order(BUY, "1", "98")
    bench.heard.clear()
    bench.matcher.advance(bench.now_ns + MS)
    assert bench.story(first) == ["NEW"]
    assert bench.balance_events() == []
    bench.matcher.advance(bench.now_ns + 2 * MS)
    assert bench.story(second) == ["NEW"]
    assert [(each.currency, each.available) for each in bench.balance_events()] == [
        ("EUR", Decimal(100000) - Decimal(197) * Decimal("1.002"))
    ]


def test_what_an_order_reserves_is_told_with_the_next_market_event_at_the_latest() -> None:
    bench = Bench(fees=FEES, latency=ConstantLatency(delay_ns=3 * MS))
    bench.quote(100, 1, 101, 1)
    bench.order(SELL, "2", "103")
    bench.order(SELL, "1", "103")
    bench.order(SELL, "1", "103")
    bench.heard.clear()
    bench.quote(100, 1, 101, 2)  # the first has arrived, the others are under way
    assert [(each.currency, each.available) for each in bench.balance_events()] == [
        ("BTC", Decimal(98))
    ]


def test_a_currency_the_account_held_nothing_of_is_told_once_it_does() -> None:
    bench = Bench(balances={"EUR": Decimal(500)})
    bench.quote(100, 1, 101, 1)
    bench.order(BUY, "1", "101")
    assert bench.balance("BTC") == ("1", "1")
    assert {each.currency: each.total for each in bench.balance_events()} == {
        "EUR": Decimal(399),
        "BTC": Decimal(1),
    }


def test_a_balance_that_is_back_where_it_was_told_is_not_told_again() -> None:
    bench = Bench(latency=ConstantLatency(delay_ns=2 * MS))
    bench.quote(100, 1, 101, 1)
    name = bench.order(SELL, "2", "103")
    bench.cancel(name)
    bench.matcher.advance(bench.now_ns + 2 * MS)
    assert bench.story(name) == ["NEW", "CANCELED"]
    assert bench.balance_events() == []


@pytest.mark.parametrize(
    ("side", "price", "more", "needed"),
    [
        (BUY, "100", {}, "insufficient EUR: needed 100.200, available 50"),
        (BUY, None, {}, "insufficient EUR: needed 101.202"),
        (SELL, "100.5", {}, "insufficient BTC: needed 1, available 0.5"),
        (SELL, None, {}, "insufficient BTC: needed 1, available 0.5"),
        (BUY, None, {"stop_px": "200", "ord_type": OrdType.STOP}, "needed 200.400"),
    ],
)
def test_an_order_beyond_the_funds_is_rejected_naming_needed_and_available(
    side: Any, price: str | None, more: dict[str, Any], needed: str
) -> None:
    bench = Bench(fees=FEES, balances={"EUR": Decimal(50), "BTC": Decimal("0.5")})
    bench.quote(100, 5, 101, 5)
    name = bench.order(side, "1", price, **more)
    report = bench.last(name)
    assert (report.ord_status, report.exec_type) == (OrdStatus.REJECTED, ExecType.REJECTED)
    assert needed in report.text
    assert report.cum_qty == report.leaves_qty == 0
    assert bench.balance("EUR") == ("50", "50")


def test_orders_on_the_book_count_against_the_next() -> None:
    bench = Bench(balances={"EUR": Decimal(150)})
    bench.quote(100, 1, 101, 1)
    bench.order(BUY, "1", "100")
    assert bench.last(bench.order(BUY, "1", "100")).ord_status is OrdStatus.REJECTED


def test_contracts_need_no_funds_and_move_no_base() -> None:
    bench = Bench((instrument(inverse=True, contract_multiplier=Decimal(10)),), fees=FEES)
    bench.quote(100, 1, 101, 5000)
    bench.order(BUY, "5000")
    assert bench.balance("BTC") == ("100", "100")
    assert bench.balance("EUR")[0] == "99900"  # 0.2 % of 5,000 contracts of 10 EUR


# -- checks -----------------------------------------------------------------------------------

STRICT = instrument(
    min_trade_vol=Decimal("0.2"), max_trade_vol=Decimal(50), min_notional=Decimal(30)
)


@pytest.mark.parametrize(
    ("qty", "price", "more", "text"),
    [
        ("1.05", "100", {}, "off the lot grid of 0.1: use 1.0 or 1.1"),
        ("1", "100.3", {}, "price 100.3 is off the tick grid of 0.5: use 100.0 or 100.5"),
        ("0.1", "100", {}, "below the least quantity 0.2"),
        ("51", "100", {}, "above the greatest quantity 50"),
        ("0.2", "100", {}, "notional 20.0 EUR is below the least of 30 EUR"),
        ("0", "100", {}, "order_qty 0 must be above 0"),
        ("1", "-100", {}, "price -100 must be above 0"),
        ("1", None, {"ord_type": OrdType.LIMIT}, "a LIMIT order needs a price"),
        ("1", "100", {"ord_type": OrdType.MARKET}, "a MARKET order takes no price"),
        ("1", None, {"ord_type": OrdType.STOP}, "a STOP order needs a stop_px"),
        ("1", "100", {"stop_px": "99"}, "a LIMIT order takes no stop_px"),
        ("1", "100", {"cash_order_qty": Decimal(5)}, "cash_order_qty 5: only order_qty"),
        ("1", "100", {"time_in_force": TimeInForce.GTD}, "expire_time_ns 0 is not after"),
        ("1", "100", {"post_only": True, "time_in_force": TimeInForce.IOC}, "post_only with"),
        ("1", None, {"post_only": True}, "post_only with MARKET"),
        ("1", "100", {"symbol": "paper:ETH-EUR"}, "not traded here; paper has paper:BTC-EUR"),
    ],
)
def test_a_malformed_order_is_rejected_saying_what_is_allowed(
    qty: str, price: str | None, more: dict[str, Any], text: str
) -> None:
    bench = Bench((STRICT,))
    bench.quote(99, 1, 101, 1)
    report = bench.last(bench.order(BUY, qty, price, **more))
    assert report.ord_status is OrdStatus.REJECTED
    assert text in report.text


def test_a_client_order_id_names_one_order_for_ever() -> None:
    bench = Bench()
    bench.quote(99, 1, 101, 1)
    bench.order(BUY, "1", "99", name="twin")
    bench.order(BUY, "2", "99", name="twin")
    assert bench.story("twin") == ["NEW", "REJECTED"]
    answer = bench.ask("twin")
    assert isinstance(answer, ExecutionReport)
    assert (answer.ord_status, answer.order_qty) == (OrdStatus.NEW, Decimal(1))
    assert len(bench.matcher.resting()) == 1


# -- reduce-only ------------------------------------------------------------------------------


def test_reduce_only_needs_a_position_to_reduce() -> None:
    bench = Bench()
    bench.quote(100, 9, 101, 9)
    assert "reduce_only" in bench.last(bench.order(SELL, "1", "101", reduce_only=True)).text
    bench.order(BUY, "2")
    assert "reduce_only" in bench.last(bench.order(BUY, "1", "100", reduce_only=True)).text
    assert "reduce_only" in bench.last(bench.order(SELL, "2.1", "101", reduce_only=True)).text
    assert bench.story(bench.order(SELL, "2", "102", reduce_only=True)) == ["NEW"]


def test_reduce_only_never_fills_past_flat() -> None:
    bench = Bench()
    bench.quote(100, 9, 101, 9)
    bench.order(SELL, "2")
    first = bench.order(BUY, "2", "99", reduce_only=True)
    second = bench.order(BUY, "1", "99", reduce_only=True)
    bench.trade(98.0, 1.5)
    bench.order(BUY, "0.3")
    bench.trade(98.0, 9.0)
    assert bench.filled(first) == Decimal("1.7")
    assert bench.filled(second) == 0
    assert bench.last(second).ord_status is OrdStatus.CANCELED
    bench.trade(98.0, 9.0)
    assert bench.last(first).ord_status is OrdStatus.CANCELED
    assert bench.matcher.resting() == []


# -- stops ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "stop_px", "near", "through"),
    [(BUY, "105", (103.0, 104.5), (104.0, 105.0)), (SELL, "95", (95.5, 96.0), (95.0, 96.0))],
)
def test_a_quote_through_the_stop_triggers_it(
    side: Any, stop_px: str, near: tuple[float, float], through: tuple[float, float]
) -> None:
    bench = Bench()
    bench.quote(100, 9, 101, 9)
    name = bench.order(side, "1", stop_px=stop_px, ord_type=OrdType.STOP)
    bench.quote(near[0], 9, near[1], 9)
    assert bench.story(name) == ["NEW"]
    bench.quote(through[0], 9, through[1], 9)
    assert bench.story(name) == ["NEW", "TRIGGERED", "TRADE"]


def test_a_print_through_the_stop_triggers_it() -> None:
    bench = Bench()
    bench.quote(100, 9, 101, 9)
    name = bench.order(SELL, "1", stop_px="99", ord_type=OrdType.STOP)
    bench.trade(99.5, 1.0)
    assert bench.story(name) == ["NEW"]
    bench.trade(99.0, 1.0)
    assert bench.fills(name) == [("1", "100")]


def test_a_stop_limit_that_is_triggered_works_as_a_limit() -> None:
    bench = Bench()
    bench.quote(100, 9, 101, 9)
    name = bench.order(SELL, "1", "98", stop_px="99", ord_type=OrdType.STOP_LIMIT)
    bench.quote(97, 9, 101, 9)
    assert bench.story(name) == ["NEW", "TRIGGERED"]
    bench.trade(98.5, 1.0, "BUY")
    assert bench.fills(name) == [("1", "98")]
    assert bench.last(name).liquidity is Liquidity.ADDED


def test_a_stop_that_is_reached_when_it_arrives_triggers_at_once() -> None:
    bench = Bench()
    bench.quote(100, 9, 101, 9)
    name = bench.order(BUY, "1", stop_px="101", ord_type=OrdType.STOP)
    assert bench.story(name) == ["NEW", "TRIGGERED", "TRADE"]
    assert bench.balance("EUR") == ("99899", "99899")


def test_a_stop_that_cannot_pay_when_triggered_is_canceled() -> None:
    bench = Bench(balances={"EUR": Decimal(110)})
    bench.quote(100, 9, 101, 9)
    name = bench.order(BUY, "1", stop_px="105", ord_type=OrdType.STOP)
    bench.quote(119, 9, 120, 9)
    assert bench.story(name) == ["NEW", "TRIGGERED", "CANCELED"]
    assert "insufficient EUR: needed 120" in bench.last(name).text
    assert bench.balance("EUR") == ("110", "110")


def test_a_waiting_stop_can_be_canceled_and_replaced() -> None:
    bench = Bench()
    bench.quote(100, 9, 101, 9)
    name = bench.order(BUY, "1", stop_px="105", ord_type=OrdType.STOP)
    bigger = bench.replace(name, "2", None)
    assert bench.last(bigger).exec_type is ExecType.REPLACED
    bench.replace(bigger, "2", "105")
    (reject,) = [event for event in bench.heard if isinstance(event, OrderCancelReject)]
    assert "has no price to change" in reject.text
    bench.cancel(bigger)
    assert bench.balance("EUR") == ("100000", "100000")
    bench.quote(105, 9, 106, 9)
    assert bench.fills() == []


# -- time in force ----------------------------------------------------------------------------


def test_good_till_date_expires_at_its_time() -> None:
    bench = Bench()
    bench.quote(100, 9, 101, 9)
    name = bench.order(
        BUY, "1", "100", time_in_force=TimeInForce.GTD, expire_time_ns=50 * MS, at_ns=10 * MS
    )
    assert bench.matcher.next_due_ns() == 50 * MS
    bench.matcher.advance(60 * MS)
    assert bench.last(name).ord_status is OrdStatus.EXPIRED
    assert bench.last(name).receive_time_ns == 50 * MS
    assert bench.balance("EUR") == ("100000", "100000")


def test_day_expires_at_midnight_utc() -> None:
    bench = Bench()
    bench.quote(100, 9, 101, 9, at_ns=3 * DAY_NS + 5)
    name = bench.order(BUY, "1", "100", time_in_force=TimeInForce.DAY, at_ns=3 * DAY_NS + 6)
    bench.matcher.advance(4 * DAY_NS - 1)
    assert bench.story(name) == ["NEW"]
    bench.matcher.advance(4 * DAY_NS)
    assert bench.story(name) == ["NEW", "EXPIRED"]


def test_nothing_is_due_for_an_order_that_ended_before_its_time() -> None:
    bench = Bench()
    bench.quote(100, 9, 101, 9)
    name = bench.order(BUY, "1", "100", time_in_force=TimeInForce.DAY)
    other = bench.order(BUY, "1", "99", time_in_force=TimeInForce.DAY)
    bench.cancel(name)
    assert bench.matcher.next_due_ns() == DAY_NS
    bench.cancel(other)
    bench.matcher.advance(2 * DAY_NS)
    assert bench.matcher.next_due_ns() is None
    assert bench.story(other) == ["NEW", "CANCELED"]


# -- replace ----------------------------------------------------------------------------------


def test_less_at_the_same_price_keeps_the_place_in_line() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 5)
    name = bench.order(BUY, "3", "100")
    bench.quote(100, 50, 101, 5)
    changed = bench.replace(name, "2", "100")
    report = bench.last(changed)
    assert (report.exec_type, report.orig_client_order_id) == (ExecType.REPLACED, name)
    assert (report.order_qty, report.leaves_qty, str(report.venue_order_id)) == (
        Decimal(2),
        Decimal(2),
        "P-1",
    )
    assert bench.balance("EUR") == ("100000", "99800")
    bench.trade(100.0, 6.0, "SELL")
    assert bench.filled(changed) == 1


@pytest.mark.parametrize(("qty", "price"), [("4", "100"), ("3", "100.5")])
def test_more_or_another_price_queues_anew(qty: str, price: str) -> None:
    bench = Bench()
    bench.snapshot([(100.5, 7), (100, 5)], [(101, 5)])
    name = bench.order(BUY, "3", "100")
    bench.delta([(100, 7)], [])
    changed = bench.replace(name, qty, price)
    bench.delta([(100.5, 0)], [] if price == "100" else [(102, 1)])
    bench.trade(float(price), 7.0, "SELL")
    assert bench.filled(changed) == 0
    bench.trade(float(price), 1.0, "SELL")
    assert bench.filled(changed) == 1


def test_a_replace_into_the_market_takes() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 5)
    name = bench.order(BUY, "3", "100")
    changed = bench.replace(name, "3", "101")
    assert bench.story(changed) == ["REPLACED", "TRADE"]
    assert bench.balance("EUR") == ("99697", "99697")


def test_both_names_of_a_replaced_order_are_good_and_so_is_the_venues() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 5)
    name = bench.order(BUY, "3", "100")
    changed = bench.replace(name, "2", "99")
    bench.cancel(name)
    assert bench.last(changed).ord_status is OrdStatus.CANCELED
    again = bench.order(BUY, "3", "100")
    moved = bench.replace(
        "no such name", "2", None, venue_order_id=bench.last(again).venue_order_id
    )
    assert bench.last(moved).price == 100


@pytest.mark.parametrize(
    ("qty", "price", "more", "text"),
    [
        ("0.5", "100", {}, "is not above the 1.0 that is filled already"),
        ("3.05", "100", {}, "off the lot grid"),
        ("3", "100.2", {}, "off the tick grid"),
        ("3", "101", {"post_only": True}, "post_only"),
        ("3", "100", {"reduce_only": True}, "reduce_only"),
        ("5000", "100", {}, "insufficient EUR"),
        ("3", "100", {"new_name": "c1"}, "was used before"),
    ],
)
def test_a_refused_replace_changes_nothing(
    qty: str, price: str, more: dict[str, Any], text: str
) -> None:
    bench = Bench()
    bench.quote(100, 0.5, 101, 5)
    name = bench.order(BUY, "3", "100")
    bench.trade(100.0, 1.5, "SELL")
    before = bench.balance("EUR")
    bench.replace(name, qty, price, **more)
    reject = bench.heard[-1]
    assert isinstance(reject, OrderCancelReject)
    assert (reject.response_to, reject.ord_status) == (
        RequestKind.REPLACE,
        OrdStatus.PARTIALLY_FILLED,
    )
    assert text in reject.text
    assert bench.balance("EUR") == before
    (resting,) = bench.matcher.resting()
    assert (resting.client_order_id, resting.order_qty, resting.cum_qty) == (
        name,
        Decimal(3),
        Decimal(1),
    )
    bench.trade(100.0, 2.0, "SELL")  # still first in line
    assert bench.filled(name) == 3


def test_a_replace_or_cancel_of_what_is_not_there_is_declined() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 5)
    bench.cancel("ghost")
    bench.replace("ghost", "1", "100")
    name = bench.order(BUY, "1")
    bench.cancel(name)
    bench.replace(name, "2", "100")
    rejects = [event for event in bench.heard if isinstance(event, OrderCancelReject)]
    assert [(r.response_to, r.unknown_order, r.ord_status) for r in rejects] == [
        (RequestKind.CANCEL, True, None),
        (RequestKind.REPLACE, True, None),
        (RequestKind.CANCEL, False, OrdStatus.FILLED),
        (RequestKind.REPLACE, False, OrdStatus.FILLED),
    ]
