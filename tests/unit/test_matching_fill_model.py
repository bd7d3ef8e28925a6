"""Every rule of the fill model: prints, queues, crossings, taking, gaps, latency races."""

from decimal import Decimal
from math import nan

import pytest

from botkit.matching import ConstantLatency, ProbabilisticQueue, SelfTrade
from botkit.model import (
    Bar,
    ExecutionReport,
    FeedGap,
    Liquidity,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    Quote,
    RequestKind,
    SendFailed,
    TimeInForce,
)
from botkit.ports import FeeSchedule
from tests.unit.matching_bench import BUY, MS, SELL, SYMBOL, Bench, instrument

# -- queue ------------------------------------------------------------------------------------


def test_we_join_behind_the_displayed_size_and_a_print_fills_only_its_excess() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 5)
    name = bench.order(BUY, "2", "100")
    bench.trade(100.0, 4.0, "SELL")
    assert bench.fills() == []
    bench.trade(100.0, 1.0, "SELL")
    assert bench.fills() == []  # exactly the queue ahead
    bench.trade(100.0, 1.5, "SELL")
    assert bench.fills(name) == [("1.5", "100")]
    assert bench.last(name).liquidity is Liquidity.ADDED


def test_one_print_pays_off_the_queue_and_fills_us_with_the_rest() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 7)
    bench.order(SELL, "2", "101")
    bench.trade(101.0, 8.2, "BUY")
    assert bench.fills() == [("1.2", "101")]


def test_risk_averse_only_trades_advance_us() -> None:
    bench = Bench()
    bench.snapshot([(100, 5)], [(101, 5)])
    name = bench.order(BUY, "2", "100")
    bench.delta([(100, 1)], [])
    bench.trade(100.0, 4.0, "SELL")
    assert bench.filled(name) == 0
    bench.trade(100.0, 1.3, "SELL")
    assert bench.filled(name) == Decimal("0.3")


def test_probabilistic_cancellations_ahead_advance_us_by_the_power_law() -> None:
    # Ahead 5 of 5 when we join; 5 more behind us. A decrease of 4 comes from ahead with
    # probability 5**2 / (5**2 + 5**2), so 2 of it: 3 are left ahead.
    bench = Bench(queue=ProbabilisticQueue(2.0))
    bench.snapshot([(100, 5)], [(101, 5)])
    name = bench.order(BUY, "2", "100")
    bench.delta([(100, 10)], [])
    bench.delta([(100, 6)], [])
    bench.trade(100.0, 3.0, "SELL")
    assert bench.filled(name) == 0
    bench.trade(100.0, 0.5, "SELL")
    assert bench.filled(name) == Decimal("0.5")


def test_probabilistic_does_not_count_a_print_again_when_the_level_shrinks_by_it() -> None:
    bench = Bench(queue=ProbabilisticQueue(1.0))
    bench.snapshot([(100, 5)], [(101, 5)])
    name = bench.order(BUY, "2", "100")
    bench.delta([(100, 10)], [])
    bench.trade(100.0, 3.0, "SELL")
    bench.delta([(100, 7)], [])
    bench.trade(100.0, 2.0, "SELL")
    assert bench.filled(name) == 0
    bench.trade(100.0, 0.1, "SELL")
    assert bench.filled(name) == Decimal("0.1")


@pytest.mark.parametrize(
    ("ahead", "shown", "shown_now", "traded", "expected"),
    [
        (5.0, 5.0, 2.0, 0.0, 2.0),  # nobody behind us: all of it was ahead
        (0.0, 5.0, 2.0, 0.0, 0.0),  # nobody ahead
        (4.0, 5.0, 8.0, 0.0, 4.0),  # more joined behind us
        (9.0, 10.0, 2.0, 0.0, 9 - 8 * 729 / 730),  # 8 less: 9**3 / (9**3 + 1) of it from ahead
        (1.0, 10.0, 5.0, 5.0, 1.0),  # all explained by prints
        (0.0, 0.0, 0.0, 0.0, 0.0),
        (3.0, 3.0, 1.0, 3.0, 1.0),  # more printed than shrank: never more ahead than shown
    ],
)
def test_the_power_law_in_numbers(
    ahead: float, shown: float, shown_now: float, traded: float, expected: float
) -> None:
    result = ProbabilisticQueue(3.0).after_change(ahead, shown, shown_now, traded)
    assert result == pytest.approx(expected)


def test_a_level_the_book_does_not_show_is_not_taken_for_empty() -> None:
    """Quotes tell of the best price only; the queue below it is unknown, not zero."""
    bench = Bench()
    bench.quote(100, 5, 101, 5)
    name = bench.order(BUY, "1", "99")
    bench.trade(99.0, 50.0, "SELL")
    assert bench.filled(name) == 0
    bench.quote(99, 3, 100, 5)
    bench.trade(99.0, 3.5, "SELL")
    assert bench.filled(name) == Decimal("0.5")


def test_inside_the_spread_nobody_is_ahead() -> None:
    bench = Bench()
    bench.quote(100, 5, 102, 5)
    name = bench.order(BUY, "1", "101")
    bench.trade(101.0, 0.4, "SELL")
    assert bench.filled(name) == Decimal("0.4")


# -- prints -----------------------------------------------------------------------------------


def test_a_print_through_our_price_fills_us_at_our_price_up_to_its_size() -> None:
    bench = Bench()
    bench.quote(100, 50, 101, 5)
    name = bench.order(BUY, "3", "100")
    bench.trade(99.5, 2.0, "SELL")
    assert bench.fills(name) == [("2.0", "100")]
    bench.trade(99.0, 2.0, "SELL")
    assert bench.fills(name) == [("2.0", "100"), ("1.0", "100")]
    assert bench.last(name).ord_status is OrdStatus.FILLED


def test_prints_are_shared_among_our_orders_best_price_and_oldest_first() -> None:
    bench = Bench()
    bench.quote(99, 1, 102, 5)
    old = bench.order(BUY, "1", "100")
    new = bench.order(BUY, "1", "100")
    best = bench.order(BUY, "1", "101")
    bench.trade(99.5, 2.4, "SELL")
    assert [bench.filled(name) for name in (best, old, new)] == [1, 1, Decimal("0.4")]


def test_what_one_order_gets_of_a_print_at_its_price_the_next_does_not() -> None:
    bench = Bench()
    bench.quote(100, 2, 101, 5)
    old = bench.order(BUY, "1", "100")
    bench.quote(100, 4, 101, 5)
    new = bench.order(BUY, "3", "100")
    bench.trade(100.0, 6.0, "SELL")  # old: 6 - 2 ahead; new: 6 - 1 of ours - 4 ahead
    assert (bench.filled(old), bench.filled(new)) == (1, 1)


def test_a_print_by_an_aggressor_of_our_own_side_leaves_our_level_alone() -> None:
    bench = Bench()
    bench.quote(100, 0.0, 101, 5)
    buy, sell = bench.order(BUY, "1", "99.5"), bench.order(SELL, "1", "100.5")
    bench.trade(99.5, 5.0, "BUY")
    bench.trade(100.5, 5.0, "SELL")
    assert (bench.filled(buy), bench.filled(sell)) == (0, 0)


def test_a_print_whose_aggressor_is_not_told_counts_for_either_side() -> None:
    bench = Bench()
    bench.quote(100, 1, 102, 1)
    buy, sell = bench.order(BUY, "1", "100.5"), bench.order(SELL, "1", "101.5")
    bench.trade(100.5, 5.0)
    bench.trade(101.5, 5.0)
    assert (bench.filled(buy), bench.filled(sell)) == (1, 1)


def test_a_print_smaller_than_a_lot_fills_nothing() -> None:
    bench = Bench()
    bench.quote(100, 1, 102, 1)
    name = bench.order(BUY, "1", "101")
    bench.trade(100.5, 0.04, "SELL")
    assert bench.fills(name) == []


def test_a_print_away_from_our_price_changes_nothing() -> None:
    bench = Bench()
    bench.quote(100, 1, 102, 1)
    bench.order(BUY, "1", "100")
    bench.order(SELL, "1", "102")
    bench.trade(101.0, 9.0)
    assert bench.fills() == []


def test_bars_and_unknown_symbols_are_delivered_and_not_matched() -> None:
    bench = Bench()
    bench.quote(100, 1, 102, 1)
    bench.order(BUY, "1", "101")
    bar = Bar(SYMBOL, MS, 0, 1.0, 1.0, 1.0, 1.0, 99.0, receive_time_ns=bench.now_ns)
    stranger = Quote("paper:X-Y", 1.0, 1.0, 2.0, 2.0, receive_time_ns=bench.now_ns)
    bench.matcher.apply(bar)
    bench.matcher.apply(stranger)
    assert bench.heard[-2:] == [bar, stranger]
    assert bench.fills() == []


# -- crossings --------------------------------------------------------------------------------


def test_a_market_that_crosses_our_price_fills_us_as_maker_up_to_what_crosses() -> None:
    bench = Bench()
    bench.quote(100, 5, 102, 5)
    name = bench.order(BUY, "3", "101")
    bench.quote(99, 5, 100, 2)
    assert bench.fills(name) == [("2", "101")]
    assert bench.last(name).liquidity is Liquidity.ADDED
    bench.quote(99, 5, 100, 2)  # the same two again: they are gone
    assert bench.filled(name) == 2
    bench.quote(99, 5, 100, 4)
    assert bench.filled(name) == 3


def test_crossing_liquidity_is_shared_among_our_orders() -> None:
    bench = Bench()
    bench.quote(100, 5, 104, 5)
    second, first = bench.order(SELL, "2", "103"), bench.order(SELL, "2", "102")
    bench.quote(103, 3, 104, 5)
    assert (bench.filled(first), bench.filled(second)) == (2, 1)


def test_depth_that_crosses_counts_level_by_level() -> None:
    bench = Bench()
    bench.snapshot([(100, 5)], [(103, 5)])
    name = bench.order(BUY, "9", "102")
    bench.delta([], [(101, 1), (102, 2), (102.5, 4)])
    assert bench.fills(name) == [("1", "102"), ("2", "102")]


# -- taking -----------------------------------------------------------------------------------


def test_a_market_order_walks_the_book_and_the_rest_is_canceled() -> None:
    bench = Bench()
    bench.snapshot([(100, 1)], [(101, 1), (102, 2), (103, 0.5)])
    name = bench.order(BUY, "5")
    assert bench.fills(name) == [("1", "101"), ("2", "102"), ("0.5", "103")]
    assert bench.story(name) == ["NEW", "TRADE", "TRADE", "TRADE", "CANCELED"]
    assert bench.last(name).cum_qty == Decimal("3.5")
    assert all(
        report.liquidity is Liquidity.REMOVED for report in bench.reports(name) if report.last_qty
    )


def test_a_marketable_limit_takes_up_to_its_price_and_rests_with_the_remainder() -> None:
    bench = Bench()
    bench.snapshot([(100, 1)], [(101, 1), (102, 2), (103, 5)])
    name = bench.order(BUY, "4", "102")
    assert bench.filled(name) == 3
    (resting,) = bench.matcher.resting()
    assert (resting.client_order_id, resting.leaves_qty) == (name, Decimal(1))


def test_a_deep_walk_sees_every_level() -> None:
    bench = Bench()
    bench.snapshot([(90.0 - i, 1.0) for i in range(30)], [(100.0 + i, 1.0) for i in range(30)])
    bench.order(BUY, "30")
    bench.order(SELL, "30")
    assert len(bench.fills()) == 60


def test_liquidity_we_take_stays_gone_until_the_level_updates() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 3)
    bench.order(BUY, "2")
    bench.quote(100, 5, 101, 3)
    second = bench.order(BUY, "2")
    assert bench.filled(second) == 1
    bench.quote(100, 5, 101, 2)
    third = bench.order(BUY, "9")
    assert bench.filled(third) == 2


def test_a_level_that_changed_and_changed_back_has_updated() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 3)
    bench.order(BUY, "3")
    bench.quote(100, 5, 101, 2)
    bench.quote(100, 5, 101, 3)
    assert bench.filled(bench.order(BUY, "3")) == 3


def test_an_empty_market_gives_nothing() -> None:
    bench = Bench()
    assert bench.story(bench.order(BUY, "1")) == ["NEW", "CANCELED"]
    bench.quote(nan, 0, 101, 1)
    assert bench.story(bench.order(SELL, "1")) == ["NEW", "CANCELED"]


def test_immediate_or_cancel_takes_what_is_there_and_never_rests() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 1)
    name = bench.order(BUY, "2", "101", time_in_force=TimeInForce.IOC)
    assert bench.story(name) == ["NEW", "TRADE", "CANCELED"]
    assert bench.matcher.resting() == []


def test_fill_or_kill_takes_all_or_nothing() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 1)
    killed = bench.order(BUY, "2", "101", time_in_force=TimeInForce.FOK)
    assert bench.story(killed) == ["NEW", "CANCELED"]
    assert "1 of 2" in bench.last(killed).text
    assert bench.filled(bench.order(BUY, "1", "101", time_in_force=TimeInForce.FOK)) == 1


def test_post_only_that_would_cross_is_rejected() -> None:
    bench = Bench()
    bench.quote(100, 5, 101, 1)
    rejected = bench.order(BUY, "1", "101", post_only=True)
    assert bench.last(rejected).ord_status is OrdStatus.REJECTED
    assert "post_only" in bench.last(rejected).text
    bench.order(SELL, "1", "100", post_only=True)
    assert bench.matcher.resting() == []
    assert bench.story(bench.order(BUY, "1", "100.5", post_only=True)) == ["NEW"]


# -- gaps -------------------------------------------------------------------------------------


def test_in_a_gap_nothing_fills_and_submits_end_unknown() -> None:
    bench = Bench()
    bench.quote(100, 1, 101, 1)
    resting = bench.order(BUY, "1", "100.5")
    bench.gap()
    bench.trade(99.0, 50.0)
    bench.delta([], [(90, 5)])
    lost = bench.order(BUY, "1")
    changed = bench.replace(resting, "2", "100.5")
    failures = [event for event in bench.heard if isinstance(event, SendFailed)]
    assert bench.fills() == []
    assert [(f.client_order_id, f.request, f.reached_venue) for f in failures] == [
        (lost, RequestKind.NEW, True),
        (changed, RequestKind.REPLACE, True),
    ]
    answer = bench.ask(lost)
    assert isinstance(answer, OrderCancelReject)
    assert answer.unknown_order
    bench.quote(99, 1, 100, 5)  # the book is whole again, and crosses us
    assert bench.filled(resting) == 1


def test_in_a_gap_cancels_and_questions_are_answered() -> None:
    bench = Bench()
    bench.quote(100, 1, 101, 1)
    name = bench.order(BUY, "1", "100.5")
    bench.gap(SYMBOL)
    answer = bench.ask(name)
    assert isinstance(answer, ExecutionReport)
    assert answer.ord_status is OrdStatus.NEW
    bench.cancel(name)
    assert bench.last(name).ord_status is OrdStatus.CANCELED


def test_a_gap_elsewhere_is_not_ours() -> None:
    bench = Bench()
    bench.quote(100, 1, 101, 1)
    bench.gap("paper:ETH-EUR")
    assert bench.filled(bench.order(BUY, "1")) == 1


def test_a_snapshot_ends_a_gap_and_an_old_queue_is_kept() -> None:
    bench = Bench()
    bench.snapshot([(100, 3)], [(101, 1)])
    name = bench.order(BUY, "1", "100")
    bench.gap()
    bench.snapshot([(100, 9)], [(101, 1)])
    bench.trade(100.0, 3.2, "SELL")
    assert bench.filled(name) == Decimal("0.2")


def test_a_feed_of_prints_alone_ends_its_gap_with_a_print() -> None:
    bench = Bench()
    name = bench.order(BUY, "1", "100")
    bench.gap()
    bench.trade(99.5, 0.2)
    assert bench.filled(name) == Decimal("0.2")


def test_a_feed_of_deltas_alone_ends_its_gap_with_a_delta() -> None:
    bench = Bench()
    bench.delta([(100, 1)], [(101, 1)])
    bench.gap()
    bench.delta([(100, 1)], [(101, 1)])
    assert bench.filled(bench.order(BUY, "1")) == 1


@pytest.mark.parametrize(("cancels", "left"), [(True, 0), (False, 2)])
def test_cancel_on_disconnect_pulls_everything_at_a_gap_of_the_venue(
    *, cancels: bool, left: int
) -> None:
    bench = Bench(cancel_on_disconnect=cancels)
    bench.quote(100, 1, 101, 1)
    bench.order(BUY, "1", "99")
    bench.order(SELL, "1", stop_px="90", ord_type=OrdType.STOP)
    bench.gap(SYMBOL)
    assert len(bench.matcher.resting()) == 2
    bench.gap()
    assert len(bench.matcher.resting()) == left


def test_another_venues_gap_is_not_ours() -> None:
    bench = Bench()
    bench.quote(100, 1, 101, 1)
    bench.matcher.apply(FeedGap("kestrel", reason="lost", receive_time_ns=bench.now_ns))
    assert bench.filled(bench.order(BUY, "1")) == 1


# -- latency ----------------------------------------------------------------------------------


def test_an_order_meets_the_market_of_its_arrival_and_is_stamped_with_it() -> None:
    bench = Bench(latency=ConstantLatency(delay_ns=20 * MS))
    bench.quote(100, 1, 101, 1, at_ns=0)
    name = bench.order(BUY, "1", at_ns=0)
    assert bench.matcher.next_due_ns() == 20 * MS
    bench.quote(102, 1, 103, 1, at_ns=10 * MS)
    assert bench.reports() == []
    bench.matcher.advance(25 * MS)
    assert bench.fills(name) == [("1", "103")]
    assert {report.receive_time_ns for report in bench.reports()} == {20 * MS}
    assert bench.matcher.next_due_ns() is None


def test_what_is_due_comes_before_a_market_event_of_the_same_instant() -> None:
    bench = Bench(latency=ConstantLatency(delay_ns=20 * MS))
    bench.quote(100, 1, 101, 1, at_ns=0)
    name = bench.order(BUY, "1", at_ns=0)
    bench.quote(102, 1, 103, 1, at_ns=20 * MS)
    assert bench.fills(name) == [("1", "101")]


def test_a_fill_beats_a_cancel_that_arrives_after_it() -> None:
    bench = Bench(cancel_latency=ConstantLatency(delay_ns=20 * MS))
    bench.quote(100, 1, 102, 1, at_ns=0)
    name = bench.order(BUY, "1", "101", at_ns=0)
    bench.cancel(name, at_ns=5 * MS)
    bench.trade(100.5, 1.0, at_ns=24 * MS)
    bench.matcher.advance(25 * MS)
    (reject,) = [event for event in bench.heard if isinstance(event, OrderCancelReject)]
    assert bench.filled(name) == 1
    assert (reject.ord_status, reject.unknown_order) == (OrdStatus.FILLED, False)


def test_a_cancel_beats_a_fill_that_comes_after_it() -> None:
    bench = Bench(cancel_latency=ConstantLatency(delay_ns=20 * MS))
    bench.quote(100, 1, 102, 1, at_ns=0)
    name = bench.order(BUY, "1", "101", at_ns=0)
    bench.cancel(name, at_ns=5 * MS)
    bench.trade(100.5, 1.0, at_ns=25 * MS)
    assert bench.filled(name) == 0
    assert bench.last(name).ord_status is OrdStatus.CANCELED


def test_a_fast_cancel_does_not_overtake_the_order_it_names_but_others() -> None:
    bench = Bench(
        latency=ConstantLatency(delay_ns=20 * MS), cancel_latency=ConstantLatency(delay_ns=1 * MS)
    )
    bench.quote(100, 1, 102, 1, at_ns=0)
    old = bench.order(BUY, "1", "99", at_ns=0)
    bench.matcher.advance(20 * MS)
    new = bench.order(BUY, "1", "98", at_ns=20 * MS)
    bench.cancel(old, at_ns=21 * MS)
    bench.cancel(new, at_ns=22 * MS)
    bench.matcher.advance(60 * MS)
    assert bench.last(old).receive_time_ns == 22 * MS
    assert bench.story(new) == ["NEW", "CANCELED"]
    assert bench.last(new).receive_time_ns == 40 * MS


# -- self-trade -------------------------------------------------------------------------------


def test_an_order_that_would_meet_our_own_cancels_the_resting_one() -> None:
    bench = Bench()
    bench.quote(100, 1, 110, 1)
    far, near = bench.order(SELL, "1", "105"), bench.order(SELL, "1", "103")
    taker = bench.order(BUY, "1", "104")
    assert bench.story(near) == ["NEW", "CANCELED"]
    assert taker in bench.last(near).text
    assert bench.story(far) == ["NEW"]
    assert bench.filled(taker) == 0


def test_an_order_at_the_very_price_of_our_own_meets_it() -> None:
    bench = Bench()
    bench.quote(100, 1, 110, 1)
    sell = bench.order(SELL, "1", "103")
    buy = bench.order(BUY, "1", "103")
    bench.order(SELL, "1", "103")
    assert bench.story(sell) == bench.story(buy) == ["NEW", "CANCELED"]


def test_an_order_that_is_full_before_it_reaches_our_own_leaves_it() -> None:
    bench = Bench()
    bench.snapshot([(100, 1)], [(101, 1), (106, 1)])
    own = bench.order(SELL, "1", "105")
    assert bench.filled(bench.order(BUY, "1")) == 1
    assert bench.story(own) == ["NEW"]
    bench.order(BUY, "2")
    assert bench.story(own) == ["NEW", "CANCELED"]


def test_self_trade_can_reject_the_incoming_or_be_allowed() -> None:
    bench = Bench(self_trade=SelfTrade.REJECT_INCOMING)
    bench.quote(100, 1, 110, 1)
    own = bench.order(BUY, "1", "103")
    rejected = bench.order(SELL, "1", "102")
    assert bench.last(rejected).ord_status is OrdStatus.REJECTED
    assert own in bench.last(rejected).text
    bench = Bench(self_trade=SelfTrade.ALLOW)
    bench.quote(100, 1, 110, 1)
    bench.order(BUY, "1", "103")
    bench.order(SELL, "1", "102")
    assert len(bench.matcher.resting()) == 2
    assert bench.fills() == []


def test_a_killed_order_cancels_none_of_ours() -> None:
    bench = Bench()
    bench.quote(100, 1, 110, 1)
    own = bench.order(SELL, "1", "103")
    bench.order(BUY, "1", "104", time_in_force=TimeInForce.FOK)
    assert bench.story(own) == ["NEW"]


def test_contracts_keep_a_position_and_pay_commission_in_quote() -> None:
    bench = Bench(
        (instrument(contract_multiplier=Decimal("0.01")),),
        fees=FeeSchedule(taker_bps=Decimal(10)),
        balances={"EUR": Decimal(1)},
    )
    bench.quote(100, 5, 101, 5)
    name = bench.order(SELL, "5")
    assert bench.last(name).commission == Decimal("0.005")  # 100 * 5 * 0.01 * 0.001
    assert bench.balance("EUR") == ("0.995", "0.995")
