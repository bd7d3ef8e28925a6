"""The moving-average cross: exact averages, one order at a time, always towards its target."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit import Side, TimeInForce
from botkit.errors import ConfigError
from botkit.testing import RunResult, Scripted, build_quote, build_trade, run_strategy, time_ns
from strategies.sma_cross import MovingSum, SmaCross


def closes(*values: float) -> list[Scripted]:
    """Return a market whose bars of one second close at `values`, quoted 99 to 101."""
    trades = [build_trade(number + 0.5, value) for number, value in enumerate(values)]
    return [build_quote(0, 99, 101, bid_qty=50, ask_qty=50), *trades]


def run(events: list[Scripted], *, latency: str = "1ms", **params: Any) -> RunResult:
    """Run a cross of one and two bars, holding one unit."""
    return run_strategy(
        SmaCross,
        params={"qty": "1", "fast": 1, "slow": 2, **params},
        events=events,
        venue_options={"latency": latency},
    )


def trades(result: RunResult) -> list[tuple[str, Decimal, float]]:
    """Return side, quantity and time (seconds) of each order."""
    return [
        (each.side.value, each.order_qty, (each.transact_time_ns - time_ns(0)) / 1e9)
        for each in result.requests
    ]


@given(st.lists(st.integers(1, 10**9), min_size=1), st.integers(1, 7))
def test_a_moving_sum_is_the_sum_of_the_last_ones(values: list[int], length: int) -> None:
    """After each number, exactly, however many fell out."""
    moving = MovingSum(length)
    for count, value in enumerate(values, start=1):
        moving.add(value)
        last = values[max(0, count - length) : count]
        assert moving.total == sum(last)
        assert Fraction(moving.mean) == Fraction(sum(last) / len(last))
        assert moving.is_full is (count >= length)


def test_the_averages_are_those_of_the_closes() -> None:
    """Of the last three and the last five bars, in quote currency."""
    result = run(closes(100.01, 100.02, 100.04, 100.08, 100.16, 100.32), fast=3, slow=5)
    strategy = result.strategy
    assert isinstance(strategy, SmaCross)
    assert strategy.averages == pytest.approx((300.56 / 3, 500.62 / 5), abs=1e-9)


def test_goes_long_when_the_fast_average_is_above_and_flat_when_it_is_below() -> None:
    """Once each way, at the end of the bar that crossed, within the collar, for at once."""
    result = run(closes(100, 101, 102, 99, 98))
    assert trades(result) == [("BUY", Decimal(1), 2.0), ("SELL", Decimal(1), 4.0)]
    assert [each.price for each in result.requests] == [Decimal("101.21"), Decimal("98.80")]
    assert {each.time_in_force for each in result.requests} == {TimeInForce.IOC}
    assert result.position() == 0


def test_goes_short_where_allowed() -> None:
    """It turns a long position round in one order."""
    result = run(closes(100, 101, 99), allow_short=True)
    assert trades(result) == [("BUY", Decimal(1), 2.0), ("SELL", Decimal(2), 3.0)]
    assert result.position() == -1


def test_stays_as_it_is_while_the_averages_are_equal() -> None:
    """Neither a cross up nor a cross down."""
    assert trades(run(closes(100, 100, 100))) == []
    assert run(closes(100, 101, 101, 101)).position() == 1


def test_does_nothing_before_the_slow_average_is_full() -> None:
    """Four bars are not five."""
    assert trades(run(closes(100, 101, 102, 103), slow=5)) == []


def test_never_sends_a_second_order_while_the_first_is_open() -> None:
    """Answers take two and a half bars; the bars between change nothing."""
    result = run(closes(100, 101, 102, 103, 104, 105, 106), latency="2500ms")
    assert trades(result) == [("BUY", Decimal(1), 2.0)]
    assert result.position() == 1


def test_trades_the_rest_of_a_partial_fill_at_the_next_bar() -> None:
    """The position ends at the target to the last lot."""
    events: list[Scripted] = [
        build_quote(0, 99, 101, ask_qty=0.4),
        build_trade(0.5, 100),
        build_trade(1.5, 101),
        build_quote(2.4, 99, 101, ask_qty=0.7),
        build_trade(2.5, 102),
        build_trade(3.5, 103),
    ]
    result = run(events)
    assert trades(result) == [("BUY", Decimal(1), 2.0), ("BUY", Decimal("0.6"), 3.0)]
    assert result.position() == 1


@pytest.mark.parametrize("quote", [[], [build_quote(0, 99)], [build_quote(0)]])
def test_waits_while_nobody_offers(quote: list[Scripted]) -> None:
    """Without an ask there is no price to buy at."""
    assert trades(run([*quote, build_trade(0.5, 100), build_trade(1.5, 101)])) == []


def test_waits_while_nobody_bids() -> None:
    """Without a bid there is no price to sell at; it sells when there is one again."""
    events = [
        *closes(100, 101),
        build_quote(2.2, ask_px=101),
        build_trade(2.5, 99),
        build_quote(3.2, 99, 101),
        build_trade(3.5, 98),
    ]
    result = run(events)
    assert trades(result) == [("BUY", Decimal(1), 2.0), ("SELL", Decimal(1), 4.0)]


def test_refuses_a_fast_average_that_is_not_faster() -> None:
    """The sentence names both."""
    with pytest.raises(ConfigError, match="fast is 5: it must be below slow, 5"):
        run([], fast=5, slow=5)


def test_trades_on_the_synthetic_market_and_leaves_nothing() -> None:
    """A minute of it crosses at least once."""
    result = run_strategy("sma_cross", params={"qty": "0.01", "fast": 3, "slow": 8})
    assert result.fills
    assert not result.resting
    assert result.position() in {Decimal(0), Decimal("0.01")}
    assert {fill.side for fill in result.fills} == set(Side)
