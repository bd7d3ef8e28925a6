"""Whatever is ordered and whatever the market does: money adds up and no fill is too good."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botkit.matching import ConstantLatency, LogNormalLatency, ProbabilisticQueue, RiskAverseQueue
from botkit.model import (
    Balance,
    BookDelta,
    ExecType,
    ExecutionReport,
    Instrument,
    Liquidity,
    OrdType,
    Quote,
    Side,
    TimeInForce,
    Trade,
)
from botkit.ports import FeeSchedule
from tests.unit.matching_bench import MS, SYMBOL, Bench, instrument

START = {"BTC": Decimal(3), "EUR": Decimal(400)}
FEES = FeeSchedule(maker_bps=Decimal(-3), taker_bps=Decimal("7.5"))

prices = st.integers(190, 210).map(lambda ticks: Decimal(ticks) / 2)
quantities = st.integers(1, 20).map(lambda lots: Decimal(lots) / 10)
sizes = st.integers(0, 30).map(lambda lots: lots / 10)
levels = st.lists(st.tuples(prices.map(float), sizes), max_size=3)
sides = st.sampled_from(Side)

quotes = st.tuples(st.just("quote"), prices.map(float), sizes, st.integers(1, 4), sizes)
trades = st.tuples(st.just("trade"), prices.map(float), sizes, st.sampled_from(["", "BUY", "SELL"]))
deltas = st.tuples(st.just("delta"), levels, levels)
gaps = st.tuples(st.just("gap"))
orders = st.tuples(
    st.just("order"),
    sides,
    quantities,
    prices,
    prices,
    st.sampled_from(OrdType),
    st.sampled_from(TimeInForce),
    st.booleans(),
    st.booleans(),
)
cancels = st.tuples(st.just("cancel"), st.integers(1, 12))
replaces = st.tuples(st.just("replace"), st.integers(1, 12), quantities, prices)
lives = st.lists(
    st.one_of(quotes, quotes, trades, trades, deltas, orders, orders, cancels, replaces, gaps),
    max_size=40,
)
queues = st.sampled_from([RiskAverseQueue(), ProbabilisticQueue(2.0)])
latencies = st.sampled_from(
    [
        ConstantLatency(delay_ns=0),
        ConstantLatency(delay_ns=3 * MS),
        LogNormalLatency(median_ns=2 * MS, sigma=1.0),
    ]
)


def live(bench: Bench, steps: list[tuple[Any, ...]]) -> None:
    """Play `steps`, then let everything arrive and cancel what is left."""
    play: dict[str, Callable[..., object]] = {
        "quote": lambda bid, bid_qty, ticks, ask_qty: bench.quote(
            bid, bid_qty, bid + ticks / 2, ask_qty
        ),
        "trade": bench.trade,
        "delta": bench.delta,
        "gap": bench.gap,
        "order": lambda *values: place(bench, *values),
        "cancel": lambda number: bench.cancel(f"c{number}"),
        "replace": lambda number, qty, price: bench.replace(f"c{number}", str(qty), str(price)),
    }
    for kind, *values in steps:
        play[kind](*values)
    bench.matcher.advance(bench.now_ns + 1000 * MS)
    bench.now_ns += 1000 * MS
    for report in bench.matcher.resting():
        bench.cancel(str(report.client_order_id))
    bench.matcher.advance(bench.now_ns + 1000 * MS)


def place(
    bench: Bench, side: Side, qty: Decimal, price: Decimal, stop_px: Decimal, *how: Any
) -> None:
    ord_type, time_in_force, post_only, reduce_only = how
    more: dict[str, Any] = {}
    if ord_type in (OrdType.STOP, OrdType.STOP_LIMIT):
        more["stop_px"] = str(stop_px)
    if time_in_force is TimeInForce.GTD:
        more["expire_time_ns"] = bench.now_ns + 10 * MS
    priced = ord_type in (OrdType.LIMIT, OrdType.STOP_LIMIT)
    bench.order(
        side,
        str(qty),
        str(price) if priced else None,
        ord_type=ord_type,
        time_in_force=time_in_force,
        post_only=post_only and priced,
        reduce_only=reduce_only,
        **more,
    )


def bench_of(queue: Any, latency: Any, **more: Any) -> Bench:
    return Bench(queue=queue, latency=latency, fees=FEES, balances=dict(START), **more)


def fills_of(bench: Bench) -> Iterator[ExecutionReport]:
    return (report for report in bench.reports() if report.exec_type is ExecType.TRADE)


@given(lives, queues, latencies)
def test_balances_positions_and_fees_add_up_exactly(
    steps: list[tuple[Any, ...]], queue: Any, latency: Any
) -> None:
    bench = bench_of(queue, latency)
    live(bench, steps)
    expected = dict(START)
    for fill in fills_of(bench):
        assert fill.side is not None
        assert fill.commission is not None
        notional = fill.last_px * fill.last_qty
        rate = FEES.maker_bps if fill.liquidity is Liquidity.ADDED else FEES.taker_bps
        assert fill.commission == notional * rate / 10_000
        expected["BTC"] += fill.side.sign * fill.last_qty
        expected["EUR"] -= fill.side.sign * notional + fill.commission
    held = {balance.currency: balance for balance in bench.matcher.balances()}
    assert {currency: balance.total for currency, balance in held.items()} == expected
    told = {event.currency: event for event in bench.heard if isinstance(event, Balance)}
    for currency, last in told.items():
        assert (last.total, last.available) == (held[currency].total, held[currency].available)


@given(lives, queues, latencies)
def test_nothing_is_reserved_when_nothing_rests_and_available_never_falls_below_zero(
    steps: list[tuple[Any, ...]], queue: Any, latency: Any
) -> None:
    bench = bench_of(queue, latency)
    live(bench, steps)
    assert bench.matcher.resting() == []
    assert all(balance.available == balance.total for balance in bench.matcher.balances())
    assert all(balance.available >= 0 for balance in bench.balance_events())


@given(lives, queues, latencies)
def test_quantities_of_every_report_add_up_and_no_fill_is_worse_than_the_limit(
    steps: list[tuple[Any, ...]], queue: Any, latency: Any
) -> None:
    bench = bench_of(queue, latency)
    live(bench, steps)
    filled: dict[str | None, Decimal] = {}
    for report in bench.reports():
        order = report.venue_order_id
        assert report.cum_qty is not None
        assert report.leaves_qty is not None
        assert report.order_qty is not None
        filled[order] = filled.get(order, Decimal(0)) + report.last_qty
        assert report.cum_qty == filled[order] <= report.order_qty
        if report.ord_status in ("NEW", "PARTIALLY_FILLED", "FILLED"):
            assert report.cum_qty + report.leaves_qty == report.order_qty
        else:
            assert report.leaves_qty == 0
        if report.last_qty and report.price is not None:
            assert report.side is not None
            assert report.side.sign * (report.price - report.last_px) >= 0
    exec_ids = [report.exec_id for report in bench.reports()]
    assert len(exec_ids) == len(set(exec_ids))
    times = [event.receive_time_ns for event in bench.heard if isinstance(event, ExecutionReport)]
    assert times == sorted(times)


@given(lives, queues)
def test_no_more_is_filled_than_one_event_printed_or_displayed(
    steps: list[tuple[Any, ...]], queue: Any
) -> None:
    bench = bench_of(queue, ConstantLatency(delay_ns=0))
    live(bench, steps)
    has_depth = any(kind == "delta" for kind, *_ in steps)
    offered, filled = inf, Decimal(0)
    for event in bench.heard:
        if isinstance(event, Trade):
            offered, filled = event.qty, Decimal(0)
        elif isinstance(event, Quote) and not has_depth:
            offered, filled = event.bid_qty + event.ask_qty, Decimal(0)
        elif isinstance(event, Quote | BookDelta):
            offered = inf
        elif isinstance(event, ExecutionReport):
            if event.liquidity is Liquidity.REMOVED:
                offered = inf  # of an order that arrived, or a stop: the next test's
            filled += event.last_qty
            assert float(filled) <= offered + 1e-9


@given(st.lists(st.tuples(sides, quantities), min_size=1, max_size=8), sizes, sizes)
def test_takers_get_no_more_in_all_than_a_book_that_does_not_change_displays(
    wanted: list[tuple[Side, Decimal]], bid_qty: float, ask_qty: float
) -> None:
    bench = Bench()
    bench.quote(100, bid_qty, 101, ask_qty)
    got = {Side.BUY: Decimal(0), Side.SELL: Decimal(0)}
    for side, qty in wanted:
        got[side] += bench.filled(bench.order(side, str(qty)))
        bench.quote(100, bid_qty, 101, ask_qty)
    shown = {Side.BUY: Decimal(str(ask_qty)), Side.SELL: Decimal(str(bid_qty))}
    for side in Side:
        asked = sum((qty for each, qty in wanted if each is side), Decimal(0))
        assert got[side] == min(asked, shown[side])


@given(lives, queues, latencies)
@settings(max_examples=30)
def test_the_same_calls_give_the_same_events(
    steps: list[tuple[Any, ...]], queue: Any, latency: Any
) -> None:
    first, second = bench_of(queue, latency), bench_of(queue, latency)
    live(first, steps)
    live(second, steps)
    assert first.heard == second.heard


@given(lives, queues)
def test_remembering_a_quote_instead_of_applying_it_changes_nothing(
    steps: list[tuple[Any, ...]], queue: Any
) -> None:
    """A far order that never fills forces the book to be kept at every event."""
    no_latency = ConstantLatency(delay_ns=0)
    lazy, eager = bench_of(queue, no_latency), bench_of(queue, no_latency)
    eager.matcher = Bench(queue=queue, fees=FEES, balances=START | {"BTC": Decimal(4)}).matcher
    eager.matcher.start(eager.heard.append, 0)
    eager.order(Side.SELL, "1", "10000", name="far")
    lazy.order(Side.SELL, "1", "10000.3", name="far")  # rejected: it only keeps the counts alike
    live(lazy, steps)
    live(eager, steps)
    assert lazy.fills() == eager.fills()


def test_derivatives_leave_base_and_notional_alone() -> None:
    perpetual: Instrument = instrument(contract_multiplier=Decimal("0.1"))
    bench = Bench((perpetual,), fees=FEES, balances=dict(START))
    bench.quote(100, 5, 101, 5)
    bench.order(Side.BUY, "2")
    commission = Decimal("0.1") * 101 * 2 * Decimal("7.5") / 10_000
    assert [balance.total for balance in bench.matcher.balances()] == [
        Decimal(3),
        Decimal(400) - commission,
    ]


SCRIPT = """
from tests.unit.matching_bench import *
from botkit.matching import LogNormalLatency
bench = Bench(latency=LogNormalLatency(median_ns=2 * MS, sigma=1.0))
for i in range(200):
    bench.quote(100 - i % 5, 3, 101 + i % 3, 3)
    bench.order(BUY if i % 2 else SELL, "1", str(99 + i % 4))
    bench.trade(99.5 + i % 3, 1.7)
    bench.cancel(f"c{i - 3}")
bench.gap()
print(bench.heard)
"""


@pytest.mark.parametrize("other_seed", ["1", "77"])
def test_the_hash_seed_of_the_process_changes_nothing(other_seed: str) -> None:
    def run(seed: str) -> bytes:
        return subprocess.run(  # noqa: S603 - our own interpreter and script
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout

    first = run("0")
    assert SYMBOL.encode() in first
    assert run(other_seed) == first
