"""Flatten: orders gone first, then collared limits, and an honest report of what is left."""

from collections.abc import Mapping
from decimal import Decimal

import attrs
import pytest

from botkit.config import FlattenConfig, structure
from botkit.errors import ConfigError
from botkit.model import (
    Adjustment,
    AdjustmentKind,
    CancelOrder,
    CleanUpExpired,
    Flattened,
    FlattenedPosition,
    Operation,
    OrdStatus,
    Side,
    StopRequested,
    TimeInForce,
)
from botkit.ports import Capabilities
from botkit.testing import SYMBOL, build_quote, build_venue_status, time_ns
from botkit.testing.engine_rig import CAPABLE
from tests.unit.flatten_bench import FlatBench
from tests.unit.risk_bench import ETH

GTC_ONLY = attrs.evolve(CAPABLE, times_in_force=frozenset({TimeInForce.GTC}))


# --- the way it should go -------------------------------------------------------------------


def test_orders_are_canceled_and_confirmed_before_a_collared_ioc_closes_the_position() -> None:
    bench = FlatBench()
    bench.hold("2")
    resting, kept = bench.buy("1", "98"), bench.sell("1", "120", keep=True)
    for order in (resting, kept):
        bench.ack(order)
    before = len(bench.new_orders)
    bench.flatten()
    assert {each.client_order_id for each in bench.cancels} == {
        resting.client_order_id,
        kept.client_order_id,
    }
    bench.report(resting, OrdStatus.CANCELED, 1.5)
    assert len(bench.new_orders) == before
    bench.fills_at(kept, "0.5", "120", 2)  # it may fill until it is confirmed gone
    bench.report(kept, OrdStatus.CANCELED, 2)
    request = bench.last()
    assert (request.side, request.order_qty, request.strategy) == (Side.SELL, Decimal("1.5"), "a")
    assert request.price == Decimal("98.51")  # 99 less 50 bps is 98.505: no further than that
    assert request.time_in_force is TimeInForce.IOC
    bench.fill_last(after_s=2.5)
    assert bench.rows() == [
        FlattenedPosition(strategy="a", symbol=SYMBOL, before=Decimal(2), left=Decimal(0))
    ]
    assert bench.flattened().is_flat
    (line,) = bench.lines("flattened")
    assert line == {"target": "all", f"a {SYMBOL}": "2 to 0.0"}


def test_a_short_is_bought_back_above_the_ask() -> None:
    bench = FlatBench(flatten=FlattenConfig(collar_bps=Decimal(10)))
    bench.hold("-2")
    bench.flatten()
    request = bench.last()
    assert (request.side, request.order_qty) == (Side.BUY, Decimal(2))
    assert request.price == Decimal("101.10")  # 101 and 10 bps is 101.101


def test_what_an_ioc_leaves_is_tried_again_after_a_while_at_the_new_touch() -> None:
    bench = FlatBench()
    bench.hold("2")
    bench.flatten()
    bench.fill_last("0.5", 1.2)
    bench.end(OrdStatus.CANCELED, 1.3)
    sent = len(bench.new_orders)
    bench.quote(1.9, 89, 91)
    assert len(bench.new_orders) == sent
    bench.tick(2)
    assert len(bench.new_orders) == sent + 1
    assert (bench.last().order_qty, bench.last().price) == (Decimal("1.5"), Decimal("88.56"))
    bench.fill_last(after_s=2.1)
    assert bench.flattened().is_flat


def test_without_ioc_a_limit_rests_for_a_while_is_canceled_and_priced_anew() -> None:
    bench = FlatBench(capabilities=GTC_ONLY)
    bench.hold("2")
    bench.flatten()
    first = bench.order(bench.last())
    assert first.time_in_force is TimeInForce.GTC
    bench.ack(first)
    bench.tick(1.9)
    assert not bench.cancels
    bench.quote(1.95, 97, 99)
    bench.tick(2)
    assert [each.client_order_id for each in bench.cancels] == [first.client_order_id]
    assert bench.last().client_order_id == first.client_order_id
    bench.report(first, OrdStatus.CANCELED, 2.1)
    assert bench.last().price == Decimal("96.52")
    bench.fill_last(after_s=2.2)
    assert bench.flattened().is_flat


def test_positions_of_several_strategies_are_closed_under_their_own_names() -> None:
    bench = FlatBench()
    bench.hold("2")
    bench.hold("-5", of=1)
    bench.flatten()
    # The bot is 3 short: b's are bought back first, as far as that reduces the bot's position.
    steps = []
    while bench.engine.flattener.target is not None:
        steps.append((bench.last().strategy, bench.last().side, bench.last().order_qty))
        bench.fill_last(after_s=1)
    assert steps == [
        ("b", Side.BUY, Decimal(3)),
        ("a", Side.SELL, Decimal(2)),
        ("b", Side.BUY, Decimal(2)),
    ]
    assert bench.engine.portfolio.position(SYMBOL, "a") == 0
    assert bench.engine.portfolio.position(SYMBOL, "b") == 0


def test_what_others_may_sell_is_left_out_of_what_reduces() -> None:
    bench = FlatBench()
    bench.hold("2")
    bench.sell("1.5", "120", of=1)
    bench.flatten("a")
    assert bench.last().order_qty == Decimal("0.5")
    bench.fill_last()
    assert bench.last().order_qty == Decimal("1.5")  # none of it reduces: an order like any other


def test_a_position_of_nobodys_and_one_of_an_ended_strategy_are_closed_too() -> None:
    bench = FlatBench()
    bench.hold("1")
    bench.engine.handle(
        Adjustment(kind=AdjustmentKind.TRADE, symbol=SYMBOL, qty=Decimal(2), price=Decimal(100))
    )
    bench.engine.lifecycle.fail(bench.slots[0], ValueError("odd"))
    bench.flatten()
    for owner in ("a", ""):
        assert bench.last().strategy == owner
        bench.end(OrdStatus.NEW)
        bench.fill_last()
    assert not bench.of(CancelOrder)
    assert bench.flattened().is_flat


def test_only_the_target_is_touched() -> None:
    bench = FlatBench(symbols=(SYMBOL, ETH))
    bench.hold("1")
    bench.hold("1", symbol=ETH)
    others = [bench.buy("1", "98", symbol=ETH), bench.buy("1", "98", of=1)]
    for target, symbol in ((ETH, ETH), ("a", SYMBOL)):
        bench.flatten(target)
        if target == ETH:
            bench.report(others[0], OrdStatus.CANCELED, 1)
        assert (bench.last().symbol, bench.last().strategy) == (symbol, "a")
        bench.fill_last()
    assert others[1].is_open
    assert [each.target for each in bench.recorded(Flattened)] == [ETH, "a"]


# --- who may trade meanwhile ----------------------------------------------------------------


def test_the_target_is_paused_meanwhile_and_stays_so_until_it_is_resumed() -> None:
    bench = FlatBench()
    bench.hold("2")
    bench.flatten("a")
    assert bench.buy("1", "98").text == "a is being flattened: enough"
    closing = bench.order(bench.last())
    assert bench.buy("1", "98", of=1).is_open
    bench.fills_at(closing, "2", "99", 1)
    assert bench.flattened().is_flat
    assert bench.buy("1", "98").text == "a was flattened, and waits to be resumed"
    bench.operate(Operation.RESUME, "a", 2)
    assert bench.buy("1", "98").is_open


@pytest.mark.parametrize("target", ["", "a"])
def test_resuming_the_target_ends_it(target: str) -> None:
    bench = FlatBench()
    bench.hold("2")
    bench.flatten("a")
    bench.operate(Operation.RESUME, "b", 1.5)
    assert bench.engine.flattener.target == "a"
    bench.operate(Operation.RESUME, target, 2)
    (row,) = bench.rows()
    assert row.left == 2
    assert row.why.startswith("resumed by an operator; order ")
    assert bench.order(bench.last()).cancel_requested
    assert bench.buy("1", "90").is_open


def test_a_strategy_that_cancels_all_cannot_stop_it() -> None:
    bench = FlatBench()
    bench.hold("2")
    bench.flatten()
    bench.actors[0].cancel_all()
    bench.end(OrdStatus.CANCELED, 1.1)
    bench.tick(2)
    bench.fill_last(after_s=2)
    assert bench.flattened().is_flat


def test_a_second_flatten_while_one_is_under_way_is_refused_in_words() -> None:
    bench = FlatBench()
    bench.hold("2")
    bench.flatten("a")
    bench.flatten("", 2)
    (line,) = bench.lines("not flattened")
    assert line["target"] == "all"
    assert line["problem"] == "a is being flattened, for 29.0 s more at most: wait for its end"
    bench.fill_last(after_s=2)
    assert bench.flattened().target == "a"
    assert bench.engine.flattener.problem() == ""


def test_who_waits_for_its_end_is_told_once() -> None:
    bench = FlatBench()
    told: list[Flattened | None] = []
    wait = bench.engine.flattener.call_on_end
    wait(lambda: told.append(bench.engine.flattener.last))
    assert told == [None]
    bench.hold("2")
    bench.flatten()
    wait(lambda: told.append(bench.engine.flattener.last))
    assert len(told) == 1
    bench.fill_last()
    bench.flatten(after_s=2)
    assert told == [None, bench.recorded(Flattened)[0]]


def test_with_nothing_held_and_nothing_working_it_is_flat_at_once() -> None:
    bench = FlatBench()
    bench.flatten()
    assert bench.flattened() == Flattened(
        target="", positions=(), orders=(), receive_time_ns=time_ns(1)
    )


# --- what stands in the way -----------------------------------------------------------------


def test_an_unknown_order_blocks_until_the_deadline_and_is_reported() -> None:
    bench = FlatBench()
    bench.hold("2")
    lost = bench.buy("1", "98")
    names = (lost.client_order_id,)
    bench.engine.handle(CleanUpExpired(client_order_ids=names, receive_time_ns=time_ns(0.5)))
    sent = len(bench.new_orders)
    bench.flatten()
    bench.tick(30)
    assert bench.engine.flattener.target == ""
    bench.tick(31)
    assert len(bench.new_orders) == sent
    report = bench.flattened()
    assert (report.orders, report.is_flat) == (names, False)
    (row,) = report.positions
    assert (row.left, row.is_dust) == (Decimal(2), False)
    assert row.why == (f"the deadline of 30s has passed; order {lost.client_order_id} is UNKNOWN")
    (line,) = bench.lines("not flat")
    assert line["may_rest"] == [lost.client_order_id]
    assert line[f"a {SYMBOL}"] == f"2 to 2 (residue: {row.why})"


def test_at_the_deadline_what_works_is_canceled() -> None:
    bench = FlatBench(capabilities=GTC_ONLY, flatten=FlattenConfig(retry=60 * 10**9))
    bench.hold("2")
    bench.flatten()
    bench.ack(bench.order(bench.last()))
    bench.tick(31)
    assert [each.client_order_id for each in bench.cancels] == [bench.last().client_order_id]
    assert bench.flattened().orders == (bench.last().client_order_id,)
    assert bench.buy("1", "98").text.startswith("everything was flattened as far as that went, and")


def test_it_ends_with_the_bot() -> None:
    bench = FlatBench()
    bench.hold("2")
    bench.flatten()
    bench.engine.handle(StopRequested(reason="done", receive_time_ns=time_ns(2)))
    (row,) = bench.rows()
    assert row.why.startswith("the bot is stopping: done; order ")
    assert bench.order(bench.last()).cancel_requested


def test_while_the_venue_is_not_ready_it_waits() -> None:
    bench = FlatBench()
    bench.hold("2")
    sent = len(bench.new_orders)
    bench.engine.handle(build_venue_status(1, up=False))
    bench.flatten()
    bench.tick(3)
    assert len(bench.new_orders) == sent
    bench.engine.handle(build_venue_status(3.5, up=True))
    bench.quote(3.5, 99, 101)
    bench.tick(4)
    assert len(bench.new_orders) == sent + 1
    bench.fill_last(after_s=4)
    assert bench.flattened().is_flat


@pytest.mark.parametrize(
    ("quote", "why"),
    [
        ((99.0, 101.0, 0.0), f"the quote of {SYMBOL} is 6s old, limit 5s"),
        ((float("nan"), 101.0, 6.0), f"{SYMBOL} shows no bid and ask"),
        ((99.0, float("inf"), 6.0), f"{SYMBOL} shows no bid and ask"),
        ((102.0, 101.0, 6.0), f"{SYMBOL} is crossed, bid 102.0 above ask 101.0"),
    ],
)
def test_without_a_fresh_quote_the_position_stays(
    quote: tuple[float, float, float], why: str
) -> None:
    bench = FlatBench(quoted=False)
    bench.hold("2")
    bid_px, ask_px, after_s = quote
    bench.engine.handle(build_quote(after_s, bid_px, ask_px))
    sent = len(bench.new_orders)
    bench.flatten(after_s=6)
    assert len(bench.new_orders) == sent
    (row,) = bench.rows()
    assert (row.left, row.is_dust, row.why) == (Decimal(2), False, why)


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"min_trade_vol": "3"}, f"less than {SYMBOL} trades, 3"),
        ({"lot_size": "0.3"}, f"less than {SYMBOL} trades, 0.3"),
        ({"min_notional": "500"}, f"worth less than {SYMBOL} trades, 500 EUR"),
    ],
)
def test_what_is_too_little_to_trade_is_dust(terms: Mapping[str, str], why: str) -> None:
    bench = FlatBench(instrument_terms=terms)
    qty = Decimal("0.2") if "lot_size" in terms else Decimal(2)
    bench.engine.handle(
        Adjustment(
            kind=AdjustmentKind.TRADE, symbol=SYMBOL, strategy="b", qty=qty, price=Decimal(100)
        )
    )
    bench.flatten()
    assert not bench.new_orders
    (row,) = bench.rows()
    assert row == FlattenedPosition(
        strategy="b", symbol=SYMBOL, before=qty, left=qty, is_dust=True, why=why
    )
    assert bench.lines("not flat")[0][f"b {SYMBOL}"] == f"{qty} to {qty} (dust: {why})"


def test_no_order_is_larger_than_the_instrument_takes() -> None:
    bench = FlatBench(instrument_terms={"max_trade_vol": "1.5"})
    bench.hold("1.5")
    bench.hold("1")
    bench.flatten()
    assert bench.last().order_qty == Decimal("1.5")
    bench.fill_last()
    assert bench.last().order_qty == 1


# --- terms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["-1", "10000", "x"])
def test_a_collar_is_a_share_of_the_price(value: str) -> None:
    with pytest.raises(ConfigError, match="flatten: collar_bps"):
        structure(FlattenConfig, {"collar_bps": value}, "flatten")


def test_a_venue_that_knows_only_day_orders_is_sent_those() -> None:
    day = attrs.evolve(CAPABLE, times_in_force=frozenset({TimeInForce.DAY}))
    assert isinstance(day, Capabilities)
    bench = FlatBench(capabilities=day)
    order = bench.buy("2", "100", time_in_force=TimeInForce.DAY)
    bench.fills_at(order, "2", "100")
    bench.flatten()
    assert bench.last().time_in_force is TimeInForce.DAY
