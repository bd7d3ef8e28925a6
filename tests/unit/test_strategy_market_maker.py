"""The market maker: where it quotes, when it moves, and when it keeps still."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from botkit import OrdStatus, Side
from botkit.errors import ConfigError
from botkit.model import ExecutionReport, NewOrder
from botkit.testing import (
    RunResult,
    Scripted,
    build_quote,
    build_trade,
    build_venue_status,
    run_strategy,
    time_ns,
)
from strategies.market_maker import MarketMaker

CLOSED = {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED}


def run(
    events: Iterable[Scripted], *, risk: Any = None, latency: str = "1ms", **params: Any
) -> Any:
    """Run a market maker of one unit, 10 bps either side unless told otherwise."""
    return run_strategy(
        MarketMaker,
        params={"qty": "1", "half_spread_bps": "10", **params},
        events=events,
        risk=risk,
        venue_options={"latency": latency},
    )


def asked(result: RunResult, side: Side) -> list[tuple[object, object]]:
    """Return price and quantity of every order of one side."""
    return [(each.price, each.order_qty) for each in result.requests if each.side is side]


def prices(result: RunResult) -> list[tuple[str, Decimal | None]]:
    """Return side and price of every order."""
    return [(each.side.value, each.price) for each in result.requests]


def test_quotes_both_sides_around_the_mid_of_an_even_book() -> None:
    """Half a spread of 10 bps below and above 100, as post-only orders of the size asked."""
    result = run([build_quote(0, 99, 101)])
    assert asked(result, Side.BUY) == [(Decimal("99.90"), Decimal(1))]
    assert asked(result, Side.SELL) == [(Decimal("100.10"), Decimal(1))]
    assert all(order.post_only for order in result.requests)


def test_quotes_are_plain_limit_orders_where_a_venue_has_no_others() -> None:
    result = run([build_quote(0, 99, 101)], post_only=False)
    assert len(result.requests) == 2
    assert not any(order.post_only for order in result.requests)


def test_a_thin_ask_draws_the_quotes_up() -> None:
    """Three times as much at the bid moves the fair price three quarters of the way to the ask."""
    result = run([build_quote(0, 99, 101, bid_qty=3, ask_qty=1)])
    assert prices(result) == [("BUY", Decimal("100.39")), ("SELL", Decimal("100.61"))]


def test_quotes_never_cross_the_book() -> None:
    """A fair price at the very ask still leaves the bid a tick below it."""
    quote = build_quote(0, 99.99, 100.01, bid_qty=999, ask_qty=1)
    result = run([quote], half_spread_bps="0.1")
    assert prices(result) == [("BUY", Decimal("100.00")), ("SELL", Decimal("100.02"))]
    mirrored = build_quote(0, 99.99, 100.01, bid_qty=1, ask_qty=999)
    result = run([mirrored], half_spread_bps="0.1")
    assert prices(result) == [("BUY", Decimal("99.98")), ("SELL", Decimal("100.00"))]


def test_leaves_its_quotes_alone_within_the_tolerance() -> None:
    """A fair price that moves 4 bps under a tolerance of 5 causes no traffic but the end's."""
    moves = [0.0, 0.04, -0.04, 0.03, 0.0]
    events = [build_quote(n / 10, 99 + move, 101 + move) for n, move in enumerate(moves)]
    result = run(events, requote_bps="5")
    assert len(result.requests) == 2
    assert {each.transact_time_ns for each in result.cancels} == {time_ns(1.4)}


def test_moves_its_quotes_beyond_the_tolerance() -> None:
    """A fair price that moves 6 bps under a tolerance of 5 takes both quotes along."""
    result = run([build_quote(0, 99, 101), build_quote(1, 99.06, 101.06)], requote_bps="5")
    assert asked(result, Side.BUY) == [(Decimal("99.90"), 1), (Decimal("99.95"), 1)]
    assert asked(result, Side.SELL) == [(Decimal("100.10"), 1), (Decimal("100.17"), 1)]


def test_leans_against_its_inventory() -> None:
    """Long half of the most it may hold, both quotes go down by half the skew: 5 bps."""
    events: list[Scripted] = [
        build_quote(0, 99, 101),
        build_trade(1, 99.5, 5),
        build_quote(2, 99, 101),
    ]
    result = run(events, max_position="2", skew_bps="10")
    assert result.position() == 1
    assert asked(result, Side.BUY) == [(Decimal("99.90"), 1), (Decimal("99.85"), 1)]
    assert asked(result, Side.SELL) == [(Decimal("100.10"), 1), (Decimal("100.05"), 1)]


def test_a_partial_fill_moves_the_quotes_too() -> None:
    """Inventory from part of an order counts like any other."""
    events: list[Scripted] = [
        build_quote(0, 99, 101),
        build_trade(1, 99.5, 0.5),
        build_quote(2, 99, 101),
    ]
    result = run(events, max_position="1", skew_bps="20")
    assert asked(result, Side.SELL) == [(Decimal("100.10"), 1), (Decimal("100.00"), 1)]
    assert asked(result, Side.BUY)[1:] == [(Decimal("99.80"), Decimal("0.5"))]


def test_stops_buying_at_its_greatest_position() -> None:
    """Once it holds all it may, only the sell is quoted, and may carry it to the other end."""
    events: list[Scripted] = [
        build_quote(0, 99, 101),
        build_trade(1, 99.5, 5),
        build_quote(2, 99.5, 101.5),
    ]
    result = run(events, max_position="1")
    assert len(asked(result, Side.BUY)) == 1
    assert asked(result, Side.SELL)[-1] == (Decimal("100.61"), Decimal(1))


def test_stops_selling_at_its_least_position() -> None:
    """Short as far as it may be, only the bid is quoted."""
    events: list[Scripted] = [
        build_quote(0, 99, 101),
        build_trade(1, 100.5, 5),
        build_quote(2, 98.5, 100.5),
    ]
    result = run(events, max_position="1")
    assert result.position() == -1
    assert len(asked(result, Side.SELL)) == 1
    assert asked(result, Side.BUY)[-1] == (Decimal("99.40"), Decimal(1))


def test_leaning_stops_short_of_crossing_the_book() -> None:
    """Skewed beyond the touch, the quote that would trade stays a tick away from it."""
    opening, later = build_quote(0, 99.99, 100.01), build_quote(2, 99.99, 100.01)
    bought = run([opening, build_trade(1, 99, 5), later], max_position="1", skew_bps="90")
    assert asked(bought, Side.SELL)[-1][0] == Decimal("100.00")
    sold = run([opening, build_trade(1, 101, 5), later], max_position="1", skew_bps="90")
    assert asked(sold, Side.BUY)[-1][0] == Decimal("100.00")


def test_the_rest_of_a_partly_filled_quote_goes_on_resting() -> None:
    """No second order joins it on its side."""
    result = run([build_quote(0, 99, 101), build_trade(1, 99.5, 0.5)])
    assert result.position() == Decimal("0.5")
    assert len(result.requests) == 2


def test_quotes_what_is_left_of_its_greatest_position() -> None:
    """With room for half a quote, half a quote is what it asks for."""
    events: list[Scripted] = [
        build_quote(0, 99, 101),
        build_trade(1, 99.5, 5),
        build_quote(2, 99, 101),
    ]
    result = run(events, max_position="1.5")
    assert asked(result, Side.BUY) == [(Decimal("99.90"), 1), (Decimal("99.90"), Decimal("0.5"))]


@pytest.mark.parametrize("empty", [{"bid_px": 99.0}, {"ask_px": 101.0}, {}])
def test_pulls_its_quotes_while_a_side_of_the_book_is_empty(empty: dict[str, Any]) -> None:
    """Nobody knows a fair price then; both come back with the book."""
    events = [
        build_quote(0, 99, 101),
        build_quote(1, **empty),
        build_quote(2, **empty),
        build_quote(3, 99, 101),
    ]
    result = run(events)
    assert [each.transact_time_ns for each in result.cancels[:2]] == [time_ns(1)] * 2
    assert [each.transact_time_ns for each in result.requests] == [time_ns(0)] * 2 + [
        time_ns(3)
    ] * 2


def test_waits_until_a_canceled_quote_is_gone_before_placing_the_next() -> None:
    """However fast the market moves, no side ever has two orders that could fill."""
    events = [build_quote(n / 100, 99 + n / 10, 101 + n / 10) for n in range(50)]
    result = run(events, latency="70ms")
    sides = {each.client_order_id: each.side for each in result.requests}
    working: dict[Side, int] = dict.fromkeys(Side, 0)
    for entry in result.journal:
        if isinstance(entry, NewOrder):
            working[entry.side] += 1
            assert working[entry.side] == 1
        elif isinstance(entry, ExecutionReport) and entry.ord_status in CLOSED:
            assert entry.client_order_id is not None
            working[sides[entry.client_order_id]] -= 1
    assert len(result.requests) > 6
    assert len(result.cancels) == len(result.requests)


def test_places_nothing_while_the_venue_is_down() -> None:
    """The market runs away meanwhile; afterwards the next quote brings both sides back."""
    events: list[Scripted] = [
        build_quote(0, 99, 101),
        build_venue_status(1, up=False),
        build_quote(2, 109, 111),
        build_quote(4, 119, 121),
        build_venue_status(5, up=True),
        build_quote(6, 129, 131),
    ]
    result = run(events)
    assert not result.refused
    assert sum(time_ns(1) <= each.transact_time_ns < time_ns(6) for each in result.requests) == 0
    assert asked(result, Side.BUY)[-1][0] == Decimal("129.87")


def test_the_word_of_another_venue_does_not_concern_it() -> None:
    """It goes on quoting here while another venue is down."""
    down = build_venue_status(1, up=False, venue="elsewhere")
    result = run([build_quote(0, 99, 101), down, build_quote(2, 109, 111)])
    assert len(result.requests) == 4


def test_a_refused_quote_is_tried_again_once_a_second() -> None:
    """Neither never again nor with every move of the market."""
    events = [build_quote(n / 10, 99 + n, 101 + n) for n in range(31)]
    result = run(events, risk={"max_order_qty": "0.5"})
    assert not result.requests
    seconds = [(each.transact_time_ns - time_ns(0)) / 1e9 for each in result.refused]
    assert seconds[::2] == pytest.approx([0, 1.0, 2.0, 3.0], abs=0.11)
    assert len(seconds) == 8


def test_a_refusal_is_not_tried_again_while_the_venue_is_down() -> None:
    """The pause after a refusal ends in the outage, which goes on."""
    quotes = [build_quote(n / 10, 99 + n, 101 + n) for n in range(6, 31)]
    down = build_venue_status(0.5, up=False)
    result = run([build_quote(0, 99, 101), down, *quotes], risk={"max_order_qty": "0.5"})
    assert len(result.refused) == 2


def test_is_silent_once_the_bot_stops() -> None:
    """The end cancels its quotes, and it does not try to place them again."""
    result = run([build_quote(0, 99, 101)])
    assert len(result.requests) == len(result.cancels) == 2
    assert not result.refused
    assert not result.resting


def test_refuses_parameters_that_make_no_sense() -> None:
    """All of them are named at once."""
    with pytest.raises(ConfigError) as caught:
        run([], qty="0", half_spread_bps="-1", max_position="0", skew_bps="-1", retry_s=0.0)
    assert len(caught.value.problems) == 5


def test_trades_on_the_synthetic_market_and_leaves_nothing() -> None:
    """A minute of it fills something, most quotes cause no order, and nothing rests."""
    result = run_strategy("market_maker", params={"qty": "0.01", "half_spread_bps": "2"})
    assert result.fills
    assert not result.resting
    assert abs(result.position()) <= Decimal("0.05")
    assert "EUR" in result.equity
