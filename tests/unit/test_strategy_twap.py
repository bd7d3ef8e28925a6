"""The slicer: its slices add up to the order, and nothing of it rests when it is gone."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from botkit import Side, TimeInForce
from botkit.model import StrategyEnded
from botkit.testing import (
    RunResult,
    Scripted,
    build_quote,
    build_trade,
    run_strategy,
    time_ns,
)
from strategies.twap import Twap


def run(
    events: list[Scripted], *, for_s: float | None = None, latency: str = "1ms", **params: Any
) -> RunResult:
    """Run a purchase of one unit in four slices of ten seconds each."""
    return run_strategy(
        Twap,
        params={"side": "BUY", "qty": "1", "slices": 4, "interval_s": 10.0, **params},
        events=events,
        for_s=for_s,
        venue_options={"latency": latency},
    )


def quoted(seconds: int = 60, bid_qty: float = 1, ask_qty: float = 1) -> list[Scripted]:
    """Return a market quoted 99 to 101 all the time, its sizes told anew every second."""
    return [
        build_quote(n, 99, 101, bid_qty=bid_qty + n % 2 / 1000, ask_qty=ask_qty + n % 2 / 1000)
        for n in range(seconds)
    ]


def seconds(result: RunResult) -> list[tuple[float, bool, Decimal]]:
    """Return of each order when it was placed, whether it crosses, and its quantity."""
    return [
        (
            round((each.transact_time_ns - time_ns(0)) / 1e9, 1),
            each.time_in_force is TimeInForce.IOC,
            each.order_qty,
        )
        for each in result.requests
    ]


def ended_s(result: RunResult) -> float:
    """Return when the strategy had done, in seconds."""
    (ended,) = (entry for entry in result.journal if isinstance(entry, StrategyEnded))
    return round((ended.receive_time_ns - time_ns(0)) / 1e9, 1)


def test_each_slice_rests_at_the_bid_then_crosses_at_its_end() -> None:
    """Nobody sells to it, so every slice crosses; four quarters make one."""
    result = run(quoted(bid_qty=9, ask_qty=9))
    quarter = Decimal("0.25")
    assert seconds(result) == [
        (0.0, False, quarter),
        (10.0, True, quarter),
        (10.0, False, quarter),
        (20.0, True, quarter),
        (20.0, False, quarter),
        (30.0, True, quarter),
        (30.0, False, quarter),
        (40.0, True, quarter),
    ]
    assert [each.transact_time_ns for each in result.cancels] == [
        time_ns(at) for at in (10, 20, 30, 40)
    ]
    assert {each.price for each in result.requests if each.post_only} == {Decimal(99)}
    assert {each.price for each in result.requests if not each.post_only} == {Decimal("101.11")}
    assert result.position() == 1
    assert ended_s(result) == 40.0


def test_a_slice_that_fills_resting_does_not_cross() -> None:
    """Someone sells through the bid in every slice; the last fill ends it early."""
    trades = [build_trade(5 + 10 * n, 98, 3) for n in range(4)]
    result = run([build_quote(0, 99, 101), *trades])
    assert [crosses for _, crosses, _ in seconds(result)] == [False] * 4
    assert result.position() == 1
    assert ended_s(result) == 35.0


def test_a_fill_that_overtakes_the_cancel_is_not_traded_twice() -> None:
    """The resting order fills between the cancel and its arrival: nothing is left to cross for."""
    events: list[Scripted] = [build_quote(0, 99, 101, ask_qty=9), build_trade(10.05, 98, 0.7)]
    result = run(events, slices=1, latency="100ms", for_s=30)
    assert [fill.qty for fill in result.fills] == [Decimal("0.7"), Decimal("0.3")]
    assert result.position() == 1


def test_sells_as_it_buys() -> None:
    """Resting at the ask, crossing below the bid."""
    result = run(quoted(bid_qty=9, ask_qty=9), side="SELL", slices=1)
    assert [each.price for each in result.requests] == [Decimal(101), Decimal("98.90")]
    assert result.position() == -1


def test_what_a_slice_could_not_fill_is_carried_to_the_next() -> None:
    """A thin offer at the first crossing leaves more for the second slice."""
    events: list[Scripted] = [
        build_quote(0, 99, 101, ask_qty=0.1),
        build_quote(11, 99, 101, ask_qty=9),
        build_quote(30, 99, 101, ask_qty=8),
    ]
    result = run(events, for_s=60)
    assert [fill.qty for fill in result.fills][:2] == [Decimal("0.1"), Decimal("0.4")]
    assert result.position() == 1


def test_never_trades_beyond_its_limit_and_says_what_is_left() -> None:
    """With every offer above the limit it rests at the limit or below and ends unfilled."""
    result = run(quoted(bid_qty=9, ask_qty=9), limit_px="98.5")
    assert {each.price for each in result.requests} == {Decimal("98.5")}
    assert result.position() == 0
    (line,) = (line for line in result.log if line.message == "twap done")
    assert line.fields == {"strategy": "Twap", "filled": "0", "of": "1"}


def test_a_limit_above_the_market_changes_nothing() -> None:
    """The prices are the market's."""
    result = run(quoted(bid_qty=9, ask_qty=9), limit_px="150", slices=1)
    assert [each.price for each in result.requests] == [Decimal(99), Decimal("101.11")]
    lower = run(quoted(bid_qty=9, ask_qty=9), side="SELL", limit_px="50", slices=1)
    assert [each.price for each in lower.requests] == [Decimal(101), Decimal("98.90")]


def test_waits_for_the_book_while_a_side_is_empty() -> None:
    """No bid to rest at in the first slice, no offer to cross at its end: the second has both."""
    events: list[Scripted] = [build_quote(0), build_quote(12, 99, 101, ask_qty=9)]
    result = run(events, for_s=60)
    assert seconds(result)[0] == (20.0, True, Decimal("0.5"))
    assert result.position() == 1


def test_canceled_midway_it_leaves_nothing_resting() -> None:
    """The run ends five seconds into a slice whose order rests half filled."""
    result = run([build_quote(0, 99, 101), build_trade(2, 98.99, 0.1)], for_s=5)
    assert result.position() == Decimal("0.1")
    assert [order.cum_qty for order in result.orders] == [Decimal("0.1")]
    assert not result.resting
    assert result.exit_code == 0


def test_refused_orders_are_nothing_filled() -> None:
    """With every order refused it comes to its end all the same."""
    result = run_strategy(
        Twap,
        params={"side": "BUY", "qty": "1", "slices": 2, "interval_s": 1.0},
        events=quoted(10, ask_qty=9),
        risk={"max_order_qty": "0.1"},
    )
    assert len(result.refused) == 4
    assert ended_s(result) == 2.0


prints = st.tuples(st.integers(1, 400), st.sampled_from([98.0, 99.0, 101.0]), st.integers(1, 900))


@settings(max_examples=40)
@given(
    qty=st.integers(1, 2000),
    slices=st.integers(1, 7),
    market=st.lists(prints, max_size=25),
    side=st.sampled_from(Side),
)
def test_the_slices_add_up_to_the_order_whatever_fills(
    qty: int, slices: int, market: list[tuple[int, float, int]], side: Side
) -> None:
    """To the last lot, never a lot more, over any fills while it rests."""
    parent = Decimal(qty) / 1000
    prints = [build_trade(at / 10, price, size / 1000) for at, price, size in market]
    events = sorted(
        [*quoted(42, bid_qty=9, ask_qty=9), *prints], key=lambda event: event.receive_time_ns
    )
    result = run(
        events, qty=str(parent), slices=slices, interval_s=5.0, side=side.value, latency="400ms"
    )
    assert result.position() == side.sign * parent
    assert sum(order.cum_qty for order in result.orders) == parent
    assert not result.resting


def test_trades_on_the_synthetic_market_and_leaves_nothing() -> None:
    """Its order is done within a minute, exactly."""
    result = run_strategy(
        "twap", params={"side": "SELL", "qty": "0.5", "slices": 5, "interval_s": 10.0}
    )
    assert result.position() == Decimal("-0.5")
    assert not result.resting
