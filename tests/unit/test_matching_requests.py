"""Questions to the paper matcher, its latency, and what is asked of it at odd moments."""

from decimal import Decimal
from typing import Any

import pytest

from botkit.errors import InvariantError
from botkit.matching import ConstantLatency, LogNormalLatency, PaperMatcher, RiskAverseQueue
from botkit.model import (
    Approved,
    ExecType,
    ExecutionReport,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    Quote,
    TimeInForce,
)
from botkit.ports import FeeSchedule
from tests.unit.matching_bench import BUY, MS, SELL, SYMBOL, Bench, instrument

FEES = FeeSchedule(maker_bps=Decimal(10), taker_bps=Decimal(20))
DAY_NS = 86_400_000_000_000


# -- questions --------------------------------------------------------------------------------


def test_a_status_question_is_answered_with_where_the_order_stands() -> None:
    bench = Bench()
    bench.quote(100, 1, 102, 1)
    name = bench.order(BUY, "3", "102")
    answer = bench.ask(name)
    assert isinstance(answer, ExecutionReport)
    assert answer.exec_type is ExecType.ORDER_STATUS
    assert (answer.ord_status, answer.cum_qty, answer.leaves_qty, answer.avg_px) == (
        OrdStatus.PARTIALLY_FILLED,
        Decimal(1),
        Decimal(2),
        Decimal(102),
    )
    assert answer.exec_id is None
    unknown = bench.ask("ghost")
    assert isinstance(unknown, OrderCancelReject)
    assert unknown.unknown_order


def test_a_listing_names_every_order_and_fill_since_the_time_asked() -> None:
    bench = Bench()
    bench.quote(100, 1, 102, 1)
    filled, resting = bench.order(BUY, "1"), bench.order(BUY, "1", "99")
    everything = bench.listing()
    assert isinstance(everything, OrderListing)
    assert everything.complete
    assert (everything.listing_id, everything.began_ns) == (7, bench.now_ns)
    assert [(r.client_order_id, r.exec_type) for r in everything.reports] == [
        (filled, ExecType.TRADE),
        (filled, ExecType.ORDER_STATUS),
        (resting, ExecType.ORDER_STATUS),
    ]
    recent = bench.listing(since_ns=bench.now_ns)
    assert isinstance(recent, OrderListing)
    assert [report.client_order_id for report in recent.reports] == [resting]


def test_old_closed_orders_are_forgotten_and_a_listing_from_before_says_it_lacks_them() -> None:
    bench = Bench(keep_closed=10)
    bench.quote(100, 1, 102, 1)
    resting = bench.order(BUY, "1", "99")
    before_ns = bench.now_ns
    closed = [bench.order(BUY, "0.1", "98", time_in_force=TimeInForce.IOC) for _ in range(30)]
    after_ns = bench.now_ns
    first, last = bench.ask(closed[0]), bench.ask(closed[-1])
    assert isinstance(first, OrderCancelReject)
    assert isinstance(last, ExecutionReport)
    assert isinstance(bench.ask(resting), ExecutionReport)
    assert [listing_since(bench, since_ns).complete for since_ns in (before_ns, after_ns)] == [
        False,
        True,
    ]
    bench.cancel(resting)
    assert bench.matcher.resting() == []


def listing_since(bench: Bench, since_ns: int) -> OrderListing:
    answer = bench.listing(since_ns=since_ns)
    assert isinstance(answer, OrderListing)
    return answer


def test_ids_are_counted() -> None:
    bench = Bench()
    bench.quote(100, 1, 102, 1)
    bench.order(BUY, "1", "102")
    bench.order(BUY, "1", "99")
    assert [(report.venue_order_id, report.exec_id) for report in bench.reports()] == [
        ("P-1", "P-1.1"),
        ("P-1", "P-1.2"),
        ("P-2", "P-2.1"),
    ]


# -- latency and set-up -----------------------------------------------------------------------


def test_log_normal_latency_is_seeded_and_never_lets_orders_overtake_each_other() -> None:
    def arrivals(seed: int) -> list[int]:
        latency = LogNormalLatency(median_ns=20 * MS, sigma=1.0)
        bench = Bench(latency=latency, seed=seed)
        for at_ms in range(300):
            bench.order(BUY, "0.1", "99", at_ns=at_ms * MS)
        bench.matcher.advance(10_000 * MS)
        reports = [report for report in bench.reports() if report.exec_type is ExecType.NEW]
        assert [report.client_order_id for report in reports] == [f"c{i + 1}" for i in range(300)]
        return [report.receive_time_ns for report in reports]

    assert arrivals(1) == arrivals(1) != arrivals(2)


def test_log_normal_draws_have_the_median_asked_for() -> None:
    sample = LogNormalLatency(median_ns=20 * MS, sigma=0.5).sampler((1, 0))
    draws = sorted(sample() for _ in range(2001))
    assert draws[1000] == pytest.approx(20 * MS, rel=0.05)
    assert draws[1900] == pytest.approx(20 * MS * 2.276, rel=0.1)


def test_a_matcher_that_was_not_started_says_so() -> None:
    matcher = PaperMatcher(
        venue="paper",
        instruments={SYMBOL: instrument()},
        fees=FEES,
        latency=ConstantLatency(delay_ns=0),
        queue=RiskAverseQueue(),
        balances={},
        seed=0,
    )
    with pytest.raises(InvariantError, match="call `start`"):
        matcher.apply(Quote(SYMBOL, 1.0, 1.0, 2.0, 1.0))


def test_requests_made_while_a_report_is_delivered_are_handled_after_it() -> None:
    """A hook that answers a fill with an order never sees half-applied state."""
    bench = Bench()
    bench.quote(100, 1, 102, 1)
    followed: list[Approved[Any]] = []

    def hear(event: object) -> None:
        bench.heard.append(event)  # type: ignore[arg-type]  # any event will do
        if isinstance(event, ExecutionReport) and event.last_qty and not followed:
            followed.append(object.__new__(Approved))
            bench.order(SELL, "1", "102", name="answer")

    bench.matcher.start(hear, bench.now_ns)
    first = bench.order(BUY, "2", "102")
    bench.matcher.advance(bench.now_ns)
    order = [(r.client_order_id, str(r.exec_type)) for r in bench.reports()]
    assert order[:2] == [(first, "NEW"), (first, "TRADE")]
    assert ("answer", "NEW") in order
