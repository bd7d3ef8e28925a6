"""The difference between two venues: taken above its fees, never held on one side alone."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botkit import OrdStatus, Side, TimeInForce
from botkit.model import FeedGap
from botkit.shell import ExitCode
from botkit.testing import (
    RunResult,
    Scripted,
    build_quote,
    build_snapshot,
    build_venue_status,
    run_strategy,
    time_ns,
)
from strategies.cross_venue import CrossVenue, depth_that_pays

NEAR, FAR = "near:BTC-EUR", "far:BTC-EUR"
FREE: Mapping[str, Any] = {"taker_bps": "0"}


def run(
    events: list[Scripted],
    *,
    for_s: float | None = None,
    symbols: tuple[str, ...] = (NEAR, FAR),
    venue_options: Mapping[str, Any] | None = None,
    risk: Mapping[str, Any] | None = None,
    may_fail: bool = False,
    **params: Any,
) -> RunResult:
    """Run it with legs of at most one unit, five in all, without fees unless told otherwise."""
    terms = {"first": FREE, "second": FREE, "qty": "1", "max_position": "5", **params}
    return run_strategy(
        CrossVenue,
        params=terms,
        events=events,
        for_s=for_s,
        symbols=symbols,
        venue_options=venue_options,
        risk=risk,
        may_fail=may_fail,
    )


def near(after_s: float, bid: float = 99, ask: float = 101, **terms: Any) -> Scripted:
    """Return a quote of the first venue."""
    return build_quote(after_s, bid, ask, symbol=NEAR, **terms)


def far(after_s: float, bid: float = 99, ask: float = 101, **terms: Any) -> Scripted:
    """Return a quote of the second venue."""
    return build_quote(after_s, bid, ask, symbol=FAR, **terms)


def both(begin: int, end: int) -> list[Scripted]:
    """Return a difference of two told anew by both venues every second."""
    return [
        quote
        for n in range(begin, end)
        for quote in (near(n, 99, 101, bid_qty=1 + n % 2), far(n, 103, 105, ask_qty=1 + n % 2))
    ]


def quantities(*values: int) -> list[Decimal]:
    """Return `values` as quantities."""
    return [Decimal(each) for each in values]


def told(result: RunResult) -> list[tuple[str, Side, Decimal, Decimal | None]]:
    """Return of each order where it went, its side, quantity and limit."""
    return [(each.symbol, each.side, each.order_qty, each.price) for each in result.requests]


def logged(result: RunResult, message: str) -> list[Mapping[str, object]]:
    """Return the fields of each line of that message."""
    return [line.fields for line in result.log if line.message == message]


def test_buys_where_it_is_cheap_and_sells_where_it_is_dear() -> None:
    """Both legs leave at once, at the touch of each venue, and what is held in all stays 0."""
    result = run([near(0, 99, 101), far(1, 103, 105)])
    assert told(result) == [
        (NEAR, Side.BUY, Decimal(1), Decimal(101)),
        (FAR, Side.SELL, Decimal(1), Decimal(103)),
    ]
    assert {each.transact_time_ns for each in result.requests} == {time_ns(1)}
    assert {each.time_in_force for each in result.requests} == {TimeInForce.IOC}
    assert [result.position(NEAR), result.position(FAR)] == quantities(1, -1)
    assert result.equity["EUR"] == -4  # gained 2; but what is held is marked across, 4 a pair
    assert not result.resting


def test_takes_the_other_direction_as_well() -> None:
    """Dear at the first, cheap at the second."""
    result = run([near(0, 103, 105), far(1, 99, 101)])
    assert [result.position(NEAR), result.position(FAR)] == quantities(-1, 1)


@pytest.mark.parametrize(("bid", "orders"), [(101.20, 0), (101.29, 0), (101.32, 2)])
def test_a_difference_has_to_pay_both_fees_and_the_edge(bid: float, orders: int) -> None:
    """Bought at 101 for 10 bps and sold for 10 bps with 10 bps to be left: 101.31 and above."""
    fee = {"taker_bps": "10"}
    result = run([near(0, 99, 101), far(1, bid, 105)], first=fee, second=fee, min_edge_bps="10")
    assert len(result.requests) == orders


def test_an_equal_price_pays_for_nothing() -> None:
    """Not even without fees and edge asked for is a difference of 0 below `min_edge_bps` taken."""
    result = run([near(0, 99, 101), far(1, 101, 103)])
    assert result.requests == []


def test_sizes_by_what_both_books_show_at_prices_that_pay() -> None:
    """Of three levels of asks two pay; the limit is the worst of those, at both venues."""
    result = run(
        [
            build_snapshot(0, bids=[(99, 9)], asks=[(101, 0.2), (102, 0.3), (104, 9)], symbol=NEAR),
            build_snapshot(1, bids=[(103, 0.4), (102.5, 9)], asks=[(106, 9)], symbol=FAR),
        ]
    )
    assert told(result)[:2] == [
        (NEAR, Side.BUY, Decimal("0.5"), Decimal(102)),
        (FAR, Side.SELL, Decimal("0.5"), Decimal("102.5")),
    ]
    assert result.position(NEAR) == -result.position(FAR) == Decimal("0.5")


def test_quantities_lie_on_the_grids_of_both() -> None:
    """A lot of 0.3 at one and of 0.2 at the other: 0.6 is the most below one that both take."""
    result = run(
        [near(0, 99, 101), far(1, 103, 105)],
        venue_options={
            "near": {"instruments": {"BTC-EUR": {"lot_size": "0.3"}}},
            "far": {"instruments": {"BTC-EUR": {"lot_size": "0.2"}}},
        },
    )
    assert {each.order_qty for each in result.requests} == {Decimal("0.6")}


def test_never_holds_more_than_max_position_at_either() -> None:
    """The difference stays; it stops at two and a half units."""
    events: list[Scripted] = [far(0, 103, 105, bid_qty=9)]
    for n in range(1, 20):
        events += [near(n, 99, 101 - n % 2 / 100, ask_qty=9), far(n, 103 + n % 2 / 100, 105)]
    result = run(events, max_position="2.5")
    assert (result.position(NEAR), result.position(FAR)) == (Decimal("2.5"), Decimal("-2.5"))
    assert [each.order_qty for each in result.requests if each.side is Side.BUY] == [
        Decimal(1),
        Decimal(1),
        Decimal("0.5"),
    ]


def test_a_leg_that_fills_in_part_is_hedged_where_that_is_best() -> None:
    """The bid is gone when the sale arrives: what was bought is sold again at the better bid."""
    result = run(
        [
            near(0, 99, 101),
            far(1, 103, 105, bid_qty=1),
            far(1.0005, 100, 105, bid_qty=0.4),
            far(3, 100, 105, bid_qty=5),
        ],
        venue_options={"near": {"latency": "100us"}},
        for_s=30,
    )
    bought, sold, *hedges = result.orders
    assert [bought.cum_qty, sold.cum_qty] == quantities(1, 0)
    assert {each.side for each in hedges} == {Side.SELL}
    assert [each.symbol for each in hedges][:1] == [FAR]  # 100 is more than 99
    assert hedges[0].price == Decimal("99.80")  # 20 bps through the touch
    assert result.position(NEAR) + result.position(FAR) == 0
    assert not result.resting


def test_a_leg_that_the_venue_refuses_is_hedged() -> None:
    """Nothing to sell at the second: what was bought at the first is sold there again."""
    result = run(
        [near(0, 99, 101), far(1, 103, 105), near(2, 99, 101, bid_qty=2)],
        venue_options={"far": {"balances": {"EUR": "1000"}}},
    )
    bought, sold, *hedges = result.orders
    assert (bought.ord_status, sold.ord_status) == (OrdStatus.FILLED, OrdStatus.REJECTED)
    assert hedges[-1].symbol == NEAR
    assert result.position(NEAR) == result.position(FAR) == 0


def test_a_leg_that_the_gate_refuses_leaves_neither() -> None:
    """The purchase is refused: the sale never leaves. It tries again after a pause."""
    events: list[Scripted] = [near(0, 99, 101), far(1, 103, 105), *both(2, 30)]
    result = run(events, risk={"max_order_qty": {NEAR: "0.1"}}, pause_s=9.5)
    assert result.requests == []
    assert len(result.refused) == 4  # at 1, 10.5, 20 and 29.5 s


def test_a_refused_second_leg_takes_the_first_back() -> None:
    """The sale is refused: the purchase is canceled, or sold again if it filled before."""
    events: list[Scripted] = [near(0, 99, 101), far(1, 103, 105), near(3, 98, 101)]
    result = run(events, risk={"max_order_qty": {FAR: "0.1"}}, for_s=10)
    assert len(result.cancels) >= 1
    assert result.position(NEAR) == 0
    assert not result.resting


def lost_midway(*then: Scripted, for_s: float) -> RunResult:
    """Run a chance whose second venue is gone before the sale has been answered."""
    return run(
        [
            near(0, 99, 101),
            far(1, 103, 105),
            build_venue_status(1.0005, up=False, venue="far"),
            FeedGap("far", reason="lost", receive_time_ns=time_ns(1.0005)),
            *[near(n, 99 + n % 2 / 100, 101) for n in range(2, 20)],
            *then,
        ],
        hedge_within_s=5.0,
        for_s=for_s,
    )


def test_a_leg_in_doubt_is_not_hedged_for() -> None:
    """Its venue is away, so the sale may have filled: selling what was bought could be too much."""
    result = lost_midway(for_s=8)
    bought, sold = result.orders
    assert [bought.cum_qty, sold.cum_qty] == quantities(1, 0)
    (left,) = logged(result, "left unhedged")
    assert left["in_doubt"] == [sold.client_order_id]
    assert logged(result, "stopped with a position unhedged")


def test_a_venue_that_comes_back_ends_the_doubt() -> None:
    """The sale never filled: what was bought is sold again, where it is worth most."""
    back = build_venue_status(20, up=True, venue="far")
    result = lost_midway(back, *[each(n) for n in range(21, 50) for each in (near, far)], for_s=60)
    bought, sold, hedge = result.orders
    assert [bought.cum_qty, sold.cum_qty, hedge.cum_qty] == quantities(1, 0, 1)
    assert hedge.transact_time_ns > time_ns(11)  # an absent order counts as such only then
    assert result.position(NEAR) + result.position(FAR) == 0
    assert not result.resting


def test_a_purchase_in_doubt_is_not_hedged_for_either() -> None:
    """What was sold may have been bought: buying it back could be too much."""
    result = run(
        [
            near(0, 103, 105),
            far(1, 99, 101),
            build_venue_status(1.0005, up=False, venue="far"),
            FeedGap("far", reason="lost", receive_time_ns=time_ns(1.0005)),
            *[near(n, 103, 105 + n % 2 / 100) for n in range(2, 20)],
        ],
        hedge_within_s=5.0,
        for_s=8,
    )
    bought, sold = result.orders
    assert [bought.cum_qty, sold.cum_qty] == quantities(0, 1)


def test_doubt_that_outlasts_the_clean_up_is_waited_for() -> None:
    """The second answers after three seconds: the scope's ten are over before the doubt is."""
    result = run(
        [
            near(0, 99, 101),
            far(1, 103, 105),
            build_venue_status(1.0005, up=False, venue="far"),
            FeedGap("far", reason="lost", receive_time_ns=time_ns(1.0005)),
            *[near(n, 99 + n % 2 / 100, 101) for n in range(2, 50)],
        ],
        venue_options={"far": {"latency": "6s"}},
        leg_within_s=0.1,
        hedge_within_s=0.5,
    )
    assert result.position(NEAR) == 0
    assert not result.error
    assert not result.resting


def test_a_hedge_keeps_to_max_position_as_well() -> None:
    """Three units too many by the inventory: one is sold at each, and one is left."""
    events = both(0, 30)
    result = run(events, inventory="-3", max_position="1", hedge_within_s=5.0, max_age_s=60.0)
    assert [result.position(NEAR), result.position(FAR)] == quantities(-1, -1)
    assert logged(result, "left unhedged")


def test_trades_nothing_while_a_venue_is_down() -> None:
    """The difference comes while orders cannot be sent, and is taken when they can."""
    result = run(
        [
            build_venue_status(0, up=False, venue="far"),
            near(1, 99, 101),
            far(2, 103, 105),
            build_venue_status(3, up=True, venue="far"),
            near(4, 99, 101, bid_qty=2),
        ]
    )
    assert [each.transact_time_ns for each in result.requests] == [time_ns(4)] * 2


def test_prices_that_are_old_are_not_believed() -> None:
    """The first has said nothing for eleven seconds."""
    result = run([near(0, 99, 101), far(11, 103, 105)])
    assert result.requests == []


def test_what_cannot_be_hedged_in_time_is_kept_in_the_books_and_tried_again() -> None:
    """Nobody bids for forty seconds: it gives up at 6, 21 and 36 s. Then somebody does."""
    result = run(
        [
            near(0, 99, 101),
            far(1, 103, 105),
            far(1.0002, ask=105, bid=float("nan")),
            near(1.0006, bid=float("nan"), ask=101),
            near(40, 99, 101),
        ],
        venue_options={"near": {"latency": "100us"}},
        hedge_within_s=5.0,
        for_s=60,
    )
    left = logged(result, "left unhedged")
    assert [Decimal(str(each["qty"])) for each in left] == [1, 1, 1]
    assert result.position(NEAR) == 0


def test_what_is_left_when_the_bot_stops_is_told() -> None:
    """It cannot be traded off any more; no order rests."""
    result = run(
        [
            near(0, 99, 101),
            far(1, 103, 105),
            far(1.0002, ask=105, bid=float("nan")),
            near(1.0006, bid=float("nan"), ask=101),
        ],
        venue_options={"near": {"latency": "100us"}},
        for_s=3,
    )
    (line,) = logged(result, "stopped with a position unhedged")
    assert Decimal(str(line["qty"])) == 1
    assert not result.resting
    assert result.exit_code is ExitCode.CLEAN


def test_too_little_to_trade_is_left() -> None:
    """A tenth of what either venue takes at least: no hedge, and trading goes on."""
    least = {"instruments": {"BTC-EUR": {"lot_size": "0.001", "min_trade_vol": "0.5"}}}
    result = run(
        [near(0, 99, 101), far(1, 103, 105), *both(2, 3)],
        venue_options={"near": least, "far": least},
        inventory="0.1",
    )
    assert len(result.requests) == 4
    assert result.position(NEAR) + result.position(FAR) == 0


def test_too_small_a_notional_is_left_as_well() -> None:
    """10 EUR at the least, 5 to hedge."""
    least = {"instruments": {"BTC-EUR": {"lot_size": "0.001", "min_notional": "10"}}}
    events: list[Scripted] = [near(0), far(1), near(2)]
    small = run(events, venue_options={"near": least, "far": least}, inventory="0.05")
    assert small.requests == []
    enough = run(events, venue_options={"near": least, "far": least}, inventory="0.2")
    assert [each.order_qty for each in enough.requests] == [Decimal("0.2")]


def test_brings_what_is_held_to_the_inventory() -> None:
    """A unit is meant to be there: it is bought where there is somebody to buy from."""
    result = run([near(0, 99, 101), far(1), near(2)], inventory="1")
    (order,) = result.orders
    assert (order.symbol, order.side, order.cum_qty) == (NEAR, Side.BUY, Decimal(1))


def test_without_ioc_a_limit_is_canceled_after_its_time() -> None:
    """The bid of the second is gone: its limit rests two seconds, is canceled, then hedged."""
    result = run(
        [
            near(0, 99, 101),
            far(1, 103, 105),
            far(1.0002, 100, 105),
            near(4, 99, 101, bid_qty=3),
        ],
        second={"taker_bps": "0", "ioc": False},
        for_s=20,
    )
    legs = {each.symbol: each.time_in_force for each in result.requests[:2]}
    assert legs == {NEAR: TimeInForce.IOC, FAR: TimeInForce.GTC}
    assert [each.transact_time_ns for each in result.cancels][:1] == [time_ns(3)]
    assert result.position(NEAR) + result.position(FAR) == 0
    assert not result.resting


def test_another_quote_currency_needs_a_rate() -> None:
    """BTC-USD at half a euro a dollar: 206 USD are 103 EUR."""
    dollars = "far:BTC-USD"
    events: list[Scripted] = [near(0, 99, 101), build_quote(1, 206, 210, symbol=dollars)]
    result = run(events, symbols=(NEAR, dollars), rate="0.5")
    assert told(result)[1] == (dollars, Side.SELL, Decimal(1), Decimal(206))
    nothing = run(events, symbols=(NEAR, dollars), rate="0.49")
    assert nothing.requests == []


@pytest.mark.parametrize(
    ("symbols", "why"),
    [
        ((NEAR,), "give two, each at a venue of its own"),
        ((NEAR, "near:ETH-EUR"), "give two, each at a venue of its own"),
        ((NEAR, "far:ETH-EUR"), "same base"),
        ((NEAR, "far:BTC-USD"), "set rate, what one USD is worth in EUR"),
    ],
)
def test_instruments_that_cannot_be_compared_are_refused(
    symbols: tuple[str, ...], why: str
) -> None:
    """With the reason, before anything is traded."""
    result = run([build_quote(0, 99, 101, symbol=NEAR)], symbols=symbols, may_fail=True)
    assert why in result.error


def test_depth_stops_at_what_pays_and_at_what_is_wanted() -> None:
    """Levels are met best with best."""
    asks, bids = [(100.0, 1.0), (101.0, 1.0)], [(103.0, 1.5), (100.5, 9.0)]
    assert depth_that_pays(asks, bids, 1.0, 9.0) == (1.5, 101.0, 103.0)
    assert depth_that_pays(asks, bids, 1.0, 1.25) == (1.25, 101.0, 103.0)
    assert depth_that_pays(asks, bids, 1.025, 9.0) == (1.0, 100.0, 103.0)
    assert depth_that_pays(asks, bids, 1.04, 9.0)[0] == 0
    assert depth_that_pays([], bids, 1.0, 9.0)[0] == 0


walk = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(9_900, 10_100),
        st.integers(1, 80),
        st.integers(1, 3000),
        st.integers(1, 3000),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=40)
@given(walk=walk, far_latency=st.sampled_from(["1ms", "300ms", "900ms"]), ioc=st.booleans())
def test_it_ends_hedged_within_its_position_and_with_nothing_resting(
    walk: list[tuple[bool, int, int, int, int]], far_latency: str, *, ioc: bool
) -> None:
    """Whatever the two markets do; at the end both show enough to trade anything off."""
    events: list[Scripted] = []
    for n, (is_near, bid, spread, bid_qty, ask_qty) in enumerate(walk):
        quote = near if is_near else far
        sizes = {"bid_qty": bid_qty / 1000, "ask_qty": ask_qty / 1000}
        events.append(quote(n / 2, bid / 100, (bid + spread) / 100, **sizes))
    end = len(walk) / 2
    for n in range(20):
        events += [each(end + 3 * n, 99, 101 + n % 2, bid_qty=9, ask_qty=9) for each in (near, far)]
    result = run(
        events,
        second={"taker_bps": "5", "ioc": ioc},
        max_position="1.5",
        venue_options={"far": {"latency": far_latency}},
    )
    assert result.position(NEAR) + result.position(FAR) == 0
    assert max(abs(result.position(each)) for each in (NEAR, FAR)) <= Decimal("1.5")
    assert not result.resting
    assert result.exit_code is ExitCode.CLEAN
