"""The engine: which hooks are called, in which order, and what a failing one ends."""

from decimal import Decimal
from math import nan
from typing import get_args

import pytest

from botkit import Order, Quote, Strategy
from botkit.engine.desk import REFUSALS_MAX
from botkit.model import (
    Bar,
    BookDelta,
    Event,
    ExecutionReport,
    FeedGap,
    OrdStatus,
    OrdType,
    Refused,
    RequestKind,
    RunStarted,
    SendFailed,
    Side,
    StopRequested,
    StrategyEnded,
    SubmitAction,
    Tick,
    TimeInForce,
)
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
FAR = "far:BTC-EUR"


def build_rig(*actors: Actor, symbols: tuple[str, ...] = (SYMBOL,)) -> EngineRig:
    rig = EngineRig(*actors, symbols=symbols)
    rig.start()
    for actor in actors:
        actor.seen.clear()
    return rig


def test_an_order_of_a_hook_leaves_after_the_hook_and_its_refusal_comes_after_it() -> None:
    actor = Actor()
    rig = build_rig(actor)

    def act(_: Quote) -> None:
        good = actor.buy(actor.instrument, 1, price="99")
        bad = actor.buy(actor.instrument, 1, price="99.001")
        assert (good.ord_status, bad.ord_status) == (OrdStatus.PENDING_NEW, OrdStatus.REJECTED)
        assert "99.00 or 99.01" in bad.text
        assert not bad.is_open
        assert rig.sent == []
        actor.seen.append(("hook ends",))

    actor.acts["on_quote"] = act
    rig.engine.handle(build_quote(1, 99, 101))
    assert [entry[0] for entry in actor.seen] == ["on_quote", "hook ends", "on_order"]
    assert actor.seen[-1] == ("on_order", "rig-run-2", OrdStatus.REJECTED)
    assert [request.client_order_id for request in rig.new_orders] == ["rig-run-1"]
    assert [entry.rule for entry in rig.recorded(Refused)] == ["grid"]
    assert (rig.engine.desk.counts.submitted, rig.engine.desk.counts.refused) == (1, 1)
    assert rig.lines("refused")[0]["rule"] == "grid"


def test_an_event_that_arises_while_another_is_handled_is_handled_after_it() -> None:
    """Two strategies hear a quote; what the first one causes comes when both have heard it."""
    first, second = Actor(), Actor()
    rig = build_rig(first, second)

    def deliver_more(_: Quote) -> None:
        first.acts.clear()
        assert rig.engine.busy
        rig.engine.handle(build_trade(1, 100))
        rig.engine.handle(build_quote(1, 98, 101))
        assert first.seen == [("on_quote", 99)]

    first.acts["on_quote"] = deliver_more
    rig.engine.handle(build_quote(1, 99, 101))
    assert first.seen == second.seen == [("on_quote", 99), ("on_trade", 100), ("on_quote", 98)]
    assert not rig.engine.busy


def test_only_overridden_hooks_are_kept() -> None:
    class Quiet(Strategy):
        def on_quote(self, quote: Quote) -> None:
            self.bid = quote.bid_px

    quiet = Quiet()
    rig = EngineRig(quiet)
    rig.start()
    assert list(rig.slots[0].hooks) == ["on_quote"]
    assert not rig.slots[0].has_run
    rig.engine.handle(build_trade(1, 5))
    rig.engine.handle(build_quote(2, 7, 8))
    assert quiet.bid == 7


def test_market_data_go_to_those_who_trade_the_instrument_in_the_order_of_the_config() -> None:
    heard: list[str] = []
    actors = [Actor(), Actor()]
    rig = build_rig(*actors, symbols=(SYMBOL, OTHER, FAR))
    for number, actor in enumerate(actors):
        actor.acts["on_quote"] = lambda quote, n=number: heard.append(f"{n} {quote.symbol}")
    for symbol in (OTHER, FAR, SYMBOL):
        rig.engine.handle(build_quote(1, 99, 101, symbol=symbol))
    assert heard == [f"{n} {symbol}" for symbol in (OTHER, FAR, SYMBOL) for n in (0, 1)]
    assert rig.engine.touch_of(FAR) == (99.0, 101.0)


@pytest.mark.parametrize("mistake", [ValueError, SystemExit])
def test_a_failing_hook_ends_its_strategy_alone_and_cancels_its_orders(
    mistake: type[BaseException],
) -> None:
    name = mistake.__name__
    bad, good = Actor(), Actor()
    rig = build_rig(bad, good)

    def fail(_: Quote) -> None:
        bad.buy(bad.instrument, 1, price="90")
        raise mistake("cannot go on")

    bad.acts["on_quote"] = fail
    good.acts["on_quote"] = lambda _: good.buy(good.instrument, 1, price="91")
    rig.engine.handle(build_quote(1, 99, 101))
    assert [request.strategy for request in rig.new_orders] == ["a", "b"]
    assert [cancel.client_order_id for cancel in rig.cancels] == ["rig-run-1"]
    assert rig.slots[0].error == f"{name}: cannot go on"
    assert "cannot go on" in str(rig.lines("strategy failed")[0]["error"])
    (ended,) = rig.recorded(StrategyEnded)
    assert (ended.strategy, ended.error) == ("a", f"{name}: cannot go on")
    rig.engine.handle(build_quote(2, 98, 101))
    assert [bad.seen, good.seen] == [
        [("on_quote", 99)],
        [("on_quote", 99), ("on_quote", 98)],
    ]
    assert rig.engine.lifecycle.stop_wanted == ""
    refused = bad.buy(bad.instrument, 1, price="90")
    assert f"strategy a has ended: {name}" in refused.text


def test_when_all_strategies_have_ended_the_run_is_to_end() -> None:
    actors = [Actor(), Actor()]
    rig = build_rig(*actors)
    told: list[str] = []
    rig.engine.lifecycle.on_stop_wanted = lambda: told.append(rig.engine.lifecycle.stop_wanted)
    for name in ("a", "a", "b"):
        rig.engine.handle(StrategyEnded(strategy=name, error="", receive_time_ns=time_ns(1)))
    assert told == ["all strategies have ended"]
    assert len(rig.recorded(StrategyEnded)) == 2


def test_on_error_stop_takes_the_bot_along() -> None:
    actor, other = Actor(), Actor()
    rig = EngineRig(actor, other, stop_on_error=True)
    actor.acts["on_start"] = lambda: 1 / 0
    rig.start()
    assert rig.engine.lifecycle.stop_wanted == (
        "strategy a failed: ZeroDivisionError: division by zero"
    )
    assert not rig.slots[1].ended


def test_a_strategy_that_fails_at_a_fill_or_a_timer_ends_as_well() -> None:
    actor = Actor()
    rig = build_rig(actor)
    order = actor.buy(actor.instrument, 2, price="99")
    actor.acts["on_fill"] = lambda *_: 1 / 0
    rig.fill(order, "1", "99", 1, exec_id="e")
    assert rig.slots[0].ended
    assert [entry[0] for entry in actor.seen] == ["on_fill"]
    assert [cancel.client_order_id for cancel in rig.cancels] == [order.client_order_id]
    assert rig.engine.portfolio.position(SYMBOL) == 1


def test_an_order_that_appears_after_its_owner_ended_is_canceled() -> None:
    """It was thought never to have left; its owner is gone when the venue says it rests."""
    actor = Actor()
    rig = build_rig(actor, Actor())
    order = actor.buy(actor.instrument, 2, price="99")
    rig.engine.handle(
        SendFailed(
            symbol=SYMBOL,
            client_order_id=order.client_order_id,
            request=RequestKind.NEW,
            reached_venue=False,
            text="no link",
            receive_time_ns=time_ns(1),
        )
    )
    rig.engine.handle(StrategyEnded(strategy="a", error="", receive_time_ns=time_ns(1)))
    assert (order.ord_status, rig.cancels) == (OrdStatus.REJECTED, [])
    rig.report(order, OrdStatus.NEW, 2)
    assert [cancel.client_order_id for cancel in rig.cancels] == [order.client_order_id]
    kept = rig.slots[1].strategy.buy(actor.instrument, 1, price="99", keep=True)
    rig.engine.handle(StrategyEnded(strategy="b", error="", receive_time_ns=time_ns(20)))
    rig.report(kept, OrdStatus.NEW, 21)
    assert kept.client_order_id not in [cancel.client_order_id for cancel in rig.cancels]


def test_placing_again_whatever_is_refused_ends_the_strategy_not_the_bot() -> None:
    actor = Actor()
    rig = build_rig(actor, Actor())

    def again(order: Order) -> None:
        actor.buy(actor.instrument, "0.0001", price="99")
        actor.buy(actor.instrument, "0.0001", price="99")

    actor.acts["on_order"] = again
    actor.buy(actor.instrument, "0.0001", price="99")
    assert "orders were refused at one event" in rig.slots[0].error
    assert "set a timer" in rig.slots[0].error
    assert not rig.slots[1].ended


def test_many_refusals_at_many_events_end_nothing() -> None:
    actor = Actor()
    rig = build_rig(actor)
    count = REFUSALS_MAX // 2 + 1
    actor.acts["on_quote"] = lambda _: [
        actor.buy(actor.instrument, 0, price="99") for _ in range(count)
    ]
    for after_s in (1, 2):
        rig.engine.handle(build_quote(after_s, 99, 101))
    assert rig.engine.desk.counts.refused == 2 * count
    assert not rig.slots[0].ended


def test_a_fill_is_told_before_its_order_and_both_are_whole_by_then() -> None:
    actor = Actor()
    rig = build_rig(actor)
    order = actor.buy(actor.instrument, 2, price="99")

    def look(filled: Order, _: object) -> None:
        assert filled.cum_qty == 2
        assert rig.engine.portfolio.position(SYMBOL) == 2

    actor.acts["on_fill"] = look
    rig.fill(order, "2", "99", 1, exec_id="e")
    assert actor.seen == [
        ("on_fill", "rig-run-1", Decimal(2), Decimal(2)),
        ("on_order", "rig-run-1", OrdStatus.FILLED),
    ]
    assert not rig.slots[0].ended
    rig.fill(order, "2", "99", 2, exec_id="e")  # told again
    assert len(actor.seen) == 2
    assert rig.engine.desk.counts.fills == 1
    assert len(rig.recorded(ExecutionReport)) == 2


def test_an_action_between_events_is_handled_and_recorded_as_one_from_a_hook_is() -> None:
    def place(actor: Actor) -> Order:
        order = actor.buy(actor.instrument, 1, price="99", post_only=True)
        order.replace(price=Decimal(98))
        order.cancel()
        actor.sell(actor.instrument, 0, price="99")
        return order

    inside, outside = Actor(), Actor()
    rigs = [build_rig(inside), build_rig(outside)]
    inside.acts["on_quote"] = lambda _: place(inside)
    rigs[0].engine.handle(build_quote(5, 90, 91))
    rigs[1].engine.handle(build_quote(5, 90, 91))
    assert place(outside).ord_status is OrdStatus.PENDING_CANCEL
    assert rigs[0].journal.entries == rigs[1].journal.entries
    kinds = [type(entry).__name__ for entry in rigs[0].journal.entries]
    assert kinds == ["VenueStatus", "NewOrder", "ReplaceOrder", "CancelOrder", "Refused"]
    assert rigs[0].of(object) == rigs[1].of(object)
    assert outside.seen[-1][0] == "on_order"


def test_a_recorded_action_does_the_same_without_a_coroutine() -> None:
    rig = build_rig(Actor())
    rig.engine.handle(
        SubmitAction(
            symbol=SYMBOL,
            side=Side.BUY,
            order_qty=Decimal(1),
            ord_type=OrdType.LIMIT,
            price=Decimal(99),
            stop_px=None,
            time_in_force=TimeInForce.GTC,
            post_only=False,
            reduce_only=False,
            keep=False,
            expire_time_ns=0,
            strategy="a",
            receive_time_ns=time_ns(3),
        )
    )
    assert [request.transact_time_ns for request in rig.new_orders] == [time_ns(3)]
    assert isinstance(rig.engine.take_result(), Order)
    assert rig.engine.take_result() is None


def test_replaces_are_refused_while_one_is_under_way_and_as_the_gate_says() -> None:
    actor = Actor()
    rig = build_rig(actor)
    order = actor.buy(actor.instrument, 1, price="99")
    rig.report(order, OrdStatus.NEW, 1)
    order.replace(price=Decimal("98.001"))
    order.replace(qty=Decimal(2))
    order.replace(qty=Decimal(3))
    (replace,) = rig.replaces
    assert (replace.order_qty, replace.price) == (Decimal(2), Decimal(99))
    assert replace.orig_client_order_id == "rig-run-1"
    texts = [str(line["text"]) for line in rig.lines("refused")]
    assert texts[0].startswith("price 98.001 is off the grid")
    assert texts[1] == "order rig-run-1 is being replaced: wait for the answer"
    rig.report(order, OrdStatus.CANCELED, 2, venue_order_id=None)
    order.replace(qty=Decimal(4))  # of an order that has ended: nothing
    assert len(rig.replaces) == 1


def test_stray_market_data_are_counted_and_told_once() -> None:
    actor = Actor()
    rig = build_rig(actor)
    stray = "paper:DOGE-EUR"
    for event in (
        build_quote(1, 9, 10, symbol=stray),
        build_trade(2, 9, symbol=stray),
        build_snapshot(3, [], [], symbol=stray),
        BookDelta(stray, bids=[], asks=[]),
        rig_bar(stray),
    ):
        rig.engine.handle(event)
    rig.engine.handle(FeedGap("paper", "lost", symbol=stray))
    assert rig.engine.stray_counts == {stray: 5}
    assert rig.lines("market data nobody asked for") == [{"symbol": stray, "known": SYMBOL}]
    rig.engine.handle(build_quote(4, 9, 10))
    assert actor.seen == [("on_quote", 9)]


def rig_bar(symbol: str) -> Bar:
    return Bar(symbol, 1, 0, 1.0, 1.0, 1.0, 1.0, 1.0)


def test_bars_of_a_feed_reach_on_bar() -> None:
    actor = Actor()
    rig = build_rig(actor)
    bar = rig_bar(SYMBOL)
    rig.engine.handle(bar)
    assert actor.seen == [("on_bar", bar)]


def test_every_kind_of_event_has_a_route() -> None:
    routes = EngineRig().engine._routes
    assert [kind for kind in get_args(Event) if kind not in routes] == []


def test_books_tell_the_book_first_then_the_quote_made_of_it() -> None:
    actor = Actor()
    rig = build_rig(actor)
    seen: list[float] = []
    actor.acts["on_book"] = lambda _: seen.append(rig.engine.touch_of(SYMBOL)[0])
    rig.engine.handle(build_snapshot(1, [(99, 1)], [(101, 1)]))
    assert actor.seen == [("on_book", 99), ("on_quote", 99)]
    assert seen == [99]  # in the hook quote and book agree
    rig.engine.handle(BookDelta(SYMBOL, bids=[(98, 4)], asks=[], receive_time_ns=time_ns(2)))
    assert actor.seen[2:] == [("on_book", 99)]


def test_books_that_come_in_one_go_still_make_quotes() -> None:
    actor = Actor()
    rig = build_rig(actor)

    def more(_: object) -> None:
        actor.acts.clear()
        for price in (98, 97):
            rig.engine.handle(build_snapshot(1, [(price, 1)], [(101, 1)]))

    actor.acts["on_book"] = more
    rig.engine.handle(build_snapshot(1, [(99, 1)], [(101, 1)]))
    rig.engine.handle(build_snapshot(2, [(96, 1)], [(101, 1)]))
    assert [bid for _, bid in actor.of("on_quote")] == [99, 98, 97, 96]
    assert rig.engine.touch_of(SYMBOL) == (96.0, 101.0)


@pytest.mark.parametrize(("symbol", "clears"), [("", [nan, nan]), (OTHER, [99.0, nan])])
def test_a_gap_clears_one_instrument_or_all_of_its_venue(symbol: str, clears: list[float]) -> None:
    rig = build_rig(Actor(), symbols=(SYMBOL, OTHER, FAR))
    for each in (SYMBOL, OTHER, FAR):
        rig.engine.handle(build_quote(1, 99, 101, symbol=each))
    rig.engine.handle(FeedGap("paper", "lost", symbol=symbol, receive_time_ns=time_ns(2)))
    bids = [rig.engine.touch_of(each)[0] for each in (SYMBOL, OTHER, FAR)]
    assert bids == pytest.approx([*clears, 99.0], nan_ok=True)


def test_receive_times_that_fall_do_not_turn_the_clock_back() -> None:
    actor = Actor()
    rig = build_rig(actor)
    rig.engine.handle(build_quote(5, 99, 101))
    rig.engine.handle(build_quote(3, 98, 101))
    assert rig.engine.now_ns == actor.now_ns == time_ns(5)
    rig.engine.handle(Tick(0))
    assert rig.engine.now_ns == time_ns(5)


def test_no_hook_is_called_before_the_start_nor_a_market_hook_after_the_stop() -> None:
    actor, other = Actor(), Actor()
    rig = EngineRig(actor, other)
    rig.engine.handle(build_venue_status(0, up=True))
    rig.engine.handle(build_quote(0, 99, 101))
    assert actor.seen == []
    rig.engine.handle(RunStarted(run_id="run", receive_time_ns=time_ns(0)))
    rig.engine.handle(StopRequested(reason="", receive_time_ns=time_ns(1)))
    # One that ends during the stop must not give the others their hooks back.
    rig.engine.handle(StrategyEnded(strategy="b", error="", receive_time_ns=time_ns(1)))
    rig.engine.handle(build_quote(2, 99, 101))
    rig.engine.handle(build_trade(2, 99))
    assert actor.seen == [("on_start",), ("on_stop",)]
    assert rig.engine.lifecycle.stopping == "no reason given"
