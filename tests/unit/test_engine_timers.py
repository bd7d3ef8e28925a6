"""The engine's timers and the bars they close: exact, in order, and gone with their owners."""

from math import inf
from typing import Any

import pytest

from botkit.model import Bar, EquityPoint, RunStarted, StopRequested, StrategyEnded, Tick
from botkit.testing import (
    SYMBOL,
    build_quote,
    build_snapshot,
    build_trade,
    build_venue_status,
    time_ns,
)
from botkit.testing.engine_rig import Actor, EngineRig

OTHER = "paper:ETH-EUR"


def build_rig(*actors: Actor, **settings: Any) -> EngineRig:
    rig = EngineRig(*actors, **settings)
    rig.start()
    for actor in actors:
        actor.seen.clear()
    return rig


def tick(rig: EngineRig, after_s: float) -> None:
    rig.engine.handle(Tick(time_ns(after_s)))


def fired(actor: Actor) -> list[tuple[str, float]]:
    return [(name, (at - time_ns(0)) / 1e9) for _, name, at in actor.of("on_timer")]


def test_a_timer_fires_once_at_its_own_time_before_what_comes_later() -> None:
    actor = Actor()
    rig = build_rig(actor)
    actor.set_timer("t", 1.5)
    assert rig.engine.next_due_ns == time_ns(1.5)
    rig.engine.handle(build_quote(1, 99, 101))
    rig.engine.handle(build_quote(2, 98, 101))
    assert actor.seen == [
        ("on_quote", 99),
        ("on_timer", "t", time_ns(1.5)),
        ("on_quote", 98),
    ]
    tick(rig, 10)
    assert len(actor.seen) == 3
    assert rig.slots[0].timers == {}


def test_timers_fire_in_order_of_their_time_and_ties_as_they_were_set() -> None:
    first, second = Actor(), Actor()
    rig = build_rig(first, second)
    order: list[str] = []
    for actor in (first, second):
        actor.acts["on_timer"] = order.append
    first.set_timer("late", 2)
    second.set_timer("b", 1)
    first.set_timer("a", 1)
    first.set_timer("c", 1)
    tick(rig, 3)
    assert order == ["b", "a", "c", "late"]
    assert fired(first) == [("a", 1), ("c", 1), ("late", 2)]


def test_setting_a_name_again_moves_it_and_infinity_takes_it_away() -> None:
    actor = Actor()
    rig = build_rig(actor)
    actor.set_timer("moved", 1)
    actor.set_timer("moved", 3)
    actor.set_timer("gone", 2, every_s=1)
    actor.set_timer("gone", inf)
    actor.set_timer("never there", inf)
    tick(rig, 10)
    assert fired(actor) == [("moved", 3)]


def test_a_repeating_timer_does_not_drift_and_can_be_moved_at_any_firing() -> None:
    actor = Actor()
    rig = build_rig(actor)
    actor.set_timer("r", 0.25, every_s=0.5)
    tick(rig, 1.3)
    tick(rig, 2)
    assert fired(actor) == [("r", 0.25), ("r", 0.75), ("r", 1.25), ("r", 1.75)]
    actor.acts["on_timer"] = lambda _: actor.set_timer("r", 10)
    tick(rig, 20)
    assert fired(actor)[4:] == [("r", 2.25), ("r", 12.25)]


def test_what_follows_from_one_timer_is_done_before_the_next_fires() -> None:
    actor = Actor()
    rig = build_rig(actor)

    def refuse(name: str) -> None:
        if name == "one":
            actor.buy(actor.instrument, 0, price="99")

    actor.acts["on_timer"] = refuse
    actor.set_timer("one", 1)
    actor.set_timer("two", 1)
    tick(rig, 5)
    assert [entry[:2] for entry in actor.seen] == [
        ("on_timer", "one"),
        ("on_order", "rig-run-1"),
        ("on_timer", "two"),
    ]


def test_a_timer_due_at_once_leaves_what_has_arisen_in_its_order() -> None:
    """Two refusals wait when the timer fires; they are told as they came."""
    actor = Actor()
    rig = build_rig(actor)

    def act(_: object) -> None:
        actor.set_timer("now", 0)
        for _ in range(3):
            actor.buy(actor.instrument, 0, price="99")

    actor.acts["on_quote"] = act
    actor.acts["on_timer"] = lambda _: actor.buy(actor.instrument, 0, price="98")
    rig.engine.handle(build_quote(1, 99, 101))
    orders = [entry[1] for entry in actor.of("on_order")]
    assert sorted(orders) == ["rig-run-1", "rig-run-2", "rig-run-3", "rig-run-4"]
    assert [name for name in orders if name != "rig-run-4"] == [
        "rig-run-1",
        "rig-run-2",
        "rig-run-3",
    ]
    assert fired(actor) == [("now", 1)]


def test_market_data_that_arise_at_a_timer_reach_hooks_and_a_failing_one_ends_alone() -> None:
    actor, bad = Actor(), Actor()
    rig = build_rig(actor, bad)
    actor.acts["on_timer"] = lambda _: rig.engine.handle(build_quote(4, 99, 101))
    bad.acts["on_quote"] = lambda _: 1 / 0
    actor.set_timer("t", 1)
    tick(rig, 5)
    assert actor.of("on_quote") == [("on_quote", 99)]
    assert [slot.ended for slot in rig.slots] == [False, True]
    assert rig.engine.now_ns == time_ns(5)


def test_a_quote_made_of_a_book_wakes_who_waits_for_one() -> None:
    actor = Actor()
    rig = build_rig(actor)
    woken: list[str] = []
    rig.slots[0].call_on_quote(SYMBOL, lambda: woken.append("quote"))
    rig.engine.handle(build_snapshot(1, [(99, 1)], [(101, 1)]))
    assert woken == ["quote"]


def test_timers_of_an_ended_strategy_do_nothing_and_no_longer_wake_the_engine() -> None:
    actor, other = Actor(), Actor()
    rig = build_rig(actor, other)
    actor.set_timer("r", 1, every_s=1)
    other.set_timer("r", 1, every_s=1)
    rig.engine.handle(StrategyEnded(strategy="a", error="", receive_time_ns=time_ns(0.5)))
    actor.set_timer("again", 1)
    assert rig.slots[0].timers == {}
    tick(rig, 1.5)
    assert actor.seen == []
    assert fired(other) == [("r", 1)]
    rig.engine.handle(StopRequested(reason="enough", receive_time_ns=time_ns(1.7)))
    tick(rig, 9)
    assert fired(other) == [("r", 1)]
    other.set_timer("late", 1)
    assert rig.engine.next_due_ns == 2**63 - 1


@pytest.mark.parametrize("every_s", [1e-9, None])
def test_a_strategy_whose_timers_leave_time_no_way_on_ends_alone(every_s: float | None) -> None:
    spinner, other = Actor(), Actor()
    rig = build_rig(spinner, other)
    if every_s is None:
        spinner.acts["on_timer"] = lambda name: spinner.set_timer(name, 0)
    spinner.set_timer("again", 0, every_s=every_s)
    other.set_timer("steady", 0.001, every_s=0.001)
    tick(rig, 1)
    assert "timers fired 10000 times within a millisecond, the last 'again'" in rig.slots[0].error
    assert len(spinner.of("on_timer")) == 10_000
    assert not rig.slots[1].ended
    assert len(other.of("on_timer")) == 1_000


def test_the_shell_is_told_when_something_is_due_sooner() -> None:
    actor = Actor()
    rig = build_rig(actor)
    told: list[int] = []
    rig.engine.on_due_sooner = lambda: told.append(rig.engine.next_due_ns)
    actor.set_timer("a", 9)
    actor.set_timer("b", 10)
    actor.set_timer("c", 8)
    actor.buy(actor.instrument, 1, price="99")  # its answer is due in 5 seconds
    assert told == [time_ns(9), time_ns(8), time_ns(5)]


def test_a_waiter_is_woken_once_and_the_backtest_is_told() -> None:
    actor = Actor()
    rig = build_rig(actor)
    slot, woken = rig.slots[0], list[str]()
    slot.call_on_quote(SYMBOL, lambda: woken.append("quote"))
    slot.call_at(time_ns(5), lambda: woken.append("time"))
    order = actor.buy(actor.instrument, 1, price="99")
    slot.call_on_close(order, lambda: woken.append("closed"))
    assert (woken, rig.engine.woken) == ([], False)
    for after_s in (1, 2):
        rig.engine.handle(build_quote(after_s, 99, 101))
    assert (woken, rig.engine.woken) == (["quote"], True)
    rig.fill(order, "1", "99", 3, exec_id="e")
    tick(rig, 6)
    tick(rig, 7)
    assert woken == ["quote", "closed", "time"]


def test_between_events_a_strategy_s_time_is_no_earlier_than_the_clock_s() -> None:
    actor = Actor()
    rig = build_rig(actor)
    rig.engine.stamp = lambda: time_ns(3)
    assert actor.now_ns == time_ns(3)
    actor.acts["on_quote"] = lambda _: actor.seen.append(("now", actor.now_ns))
    rig.engine.handle(build_quote(1, 99, 101))
    assert actor.seen[-1] == ("now", time_ns(1))


# --- bars -----------------------------------------------------------------------------------


def spans(actor: Actor) -> list[tuple[float, float, float, float]]:
    bars: list[Bar] = [entry[1] for entry in actor.of("on_bar")]
    return [
        ((b.start_time_ns - time_ns(0)) / 1e9, b.interval_ns / 1e9, b.open, b.close) for b in bars
    ]


def test_a_bar_closes_at_its_boundary_and_a_trade_on_it_opens_the_next() -> None:
    actor = Actor()
    rig = build_rig(actor)
    actor.build_bars(10)
    for after_s, price in [(1, 5), (9.999, 6), (10, 7), (11, 8)]:
        rig.engine.handle(build_trade(after_s, price))
    assert spans(actor) == [(0, 10, 5, 6)]
    hooks = [entry[0] for entry in actor.seen]
    assert hooks == ["on_trade", "on_trade", "on_bar", "on_trade", "on_trade"]
    assert rig.engine.next_due_ns == time_ns(20)
    tick(rig, 20)  # no trade is needed to end it
    assert spans(actor)[1:] == [(10, 10, 7, 8)]
    assert actor.of("on_bar")[1][1].receive_time_ns == time_ns(20)


def test_an_interval_without_trades_has_no_bar() -> None:
    actor = Actor()
    rig = build_rig(actor)
    actor.build_bars(10)
    rig.engine.handle(build_trade(1, 5))
    rig.engine.handle(build_trade(45, 6))
    tick(rig, 99)
    assert spans(actor) == [(0, 10, 5, 5), (40, 10, 6, 6)]


def test_intervals_strategies_and_instruments_have_their_own_bars() -> None:
    actor, other = Actor(), Actor()
    rig = build_rig(actor, other, symbols=(SYMBOL, OTHER))
    for _ in range(2):  # asking twice is asking once
        actor.build_bars(10)
    actor.build_bars(20)
    other.build_bars(10, other.instruments[1])
    for after_s in (1, 11):
        rig.engine.handle(build_trade(after_s, 5))
        rig.engine.handle(build_trade(after_s, 7, symbol=OTHER))
    tick(rig, 30)
    assert spans(actor) == [(0, 10, 5, 5), (0, 20, 5, 5), (10, 10, 5, 5)]
    assert spans(other) == [(0, 10, 7, 7), (10, 10, 7, 7)]


def test_a_trade_whose_time_fell_counts_when_it_came() -> None:
    actor = Actor()
    rig = build_rig(actor)
    actor.build_bars(10)
    tick(rig, 15)
    rig.engine.handle(build_trade(3, 5))
    tick(rig, 30)
    assert spans(actor) == [(10, 10, 5, 5)]


def test_no_bar_is_told_after_the_stop() -> None:
    actor = Actor()
    rig = build_rig(actor)
    actor.build_bars(10)
    rig.engine.handle(build_trade(1, 5))
    rig.engine.handle(StopRequested(reason="enough", receive_time_ns=time_ns(2)))
    tick(rig, 30)
    assert spans(actor) == []


# --- equity ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("every_s", "at"), [(10, [10, 20, 25]), (0, [25])])
def test_equity_is_recorded_on_schedule_and_at_the_end(every_s: int, at: list[float]) -> None:
    actor = Actor()
    rig = EngineRig(actor, equity_every_ns=every_s * 10**9)
    rig.engine.handle(build_venue_status(0, up=True))
    rig.engine.handle(RunStarted(run_id="run", receive_time_ns=time_ns(0)))
    order = actor.buy(actor.instrument, 2, price="99")
    rig.fill(order, "2", "99", 1, exec_id="e")
    rig.engine.handle(build_quote(2, 100, 101))
    tick(rig, 21)
    rig.engine.close_books(time_ns(25))
    points = rig.recorded(EquityPoint)
    assert [point.receive_time_ns for point in points] == [time_ns(each) for each in at]
    assert {point.equity for point in points} == {2}
    assert not rig.engine.busy
