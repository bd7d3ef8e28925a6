"""The grid: what should rest follows from the position, and what is missing is placed."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from botkit import Side
from botkit.testing import (
    RunResult,
    Scripted,
    build_instrument,
    build_quote,
    build_trade,
    build_venue_status,
    run_strategy,
    time_ns,
)
from strategies.grid import Grid

Asked = list[tuple[str, Decimal | None, Decimal]]


def run(events: list[Scripted], *, risk: Any = None, **params: Any) -> RunResult:
    """Run a grid of two levels of one unit, one apart."""
    return run_strategy(
        Grid, params={"qty": "1", "step": "1", "levels": 2, **params}, events=events, risk=risk
    )


def asked(result: RunResult, since_s: float = 0.0) -> Asked:
    """Return side, price and quantity of the orders placed at `since_s` or later."""
    return [
        (each.side.value, each.price, each.order_qty)
        for each in result.requests
        if each.transact_time_ns >= time_ns(since_s)
    ]


def level(side: str, price: int, qty: str = "1") -> tuple[str, Decimal, Decimal]:
    """Return what `asked` shows of one order."""
    return side, Decimal(price), Decimal(qty)


WHOLE = [level("BUY", 98), level("BUY", 99), level("SELL", 101), level("SELL", 102)]
OPENING = build_quote(0, 99.5, 100.5)


def test_places_every_level_around_the_first_mid_price() -> None:
    """Two buys below a hundred and two sells above, once."""
    result = run([build_quote(0), OPENING, build_quote(1, 99.6, 100.6)])
    assert sorted(asked(result)) == WHOLE
    assert not result.refused
    assert not result.resting


def test_a_filled_buy_is_sold_one_level_higher_and_bought_again() -> None:
    """Down through 99, up through 100: one turn earns one step."""
    events: list[Scripted] = [OPENING, build_trade(1, 98.5, 5), build_trade(2, 100.5, 5)]
    result = run(events)
    assert asked(result, since_s=1) == [level("SELL", 100), level("BUY", 99)]
    assert result.position() == 0
    assert sum(-fill.side.sign * fill.qty * fill.price for fill in result.fills) == 1


def test_a_filled_sell_is_bought_back_one_level_lower_and_sold_again() -> None:
    """The mirror image."""
    events: list[Scripted] = [OPENING, build_trade(1, 101.5, 5), build_trade(2, 99.5, 5)]
    result = run(events)
    assert asked(result, since_s=1) == [level("BUY", 100), level("SELL", 101)]
    assert result.position() == 0


def test_a_partial_fill_is_answered_by_its_own_quantity() -> None:
    """0.4 of a level, then the rest of it: as much is offered a level higher, no more."""
    events: list[Scripted] = [OPENING, build_trade(1, 98.9, 0.4), build_trade(2, 98.9, 0.6)]
    result = run(events)
    assert asked(result, since_s=1) == [level("SELL", 100, "0.4"), level("SELL", 100, "0.6")]
    assert result.position() == 1


def test_a_level_half_sold_back_is_filled_up_again() -> None:
    """0.4 sold at 100 is bought at 99 again, then offered at 100 beside the 0.6 still there."""
    turn = [build_trade(1, 98.5, 5), build_trade(2, 99.99, 1), build_trade(3, 100.1, 0.4)]
    result = run([OPENING, *turn, build_trade(4, 98.5, 0.4)])
    assert asked(result, since_s=1) == [
        level("SELL", 100),
        level("BUY", 99, "0.4"),
        level("SELL", 100, "0.4"),
    ]
    assert result.position() == 1


def test_all_levels_filled_it_only_sells() -> None:
    """Two levels down, it holds two and buys no more however low the price."""
    events: list[Scripted] = [OPENING, build_trade(1, 90, 50), build_trade(2, 80, 50)]
    result = run(events)
    assert sorted(asked(result, since_s=1)) == [level("SELL", 99), level("SELL", 100)]
    assert result.position() == 2


def test_what_was_refused_is_placed_once_there_is_room() -> None:
    """Three orders may work: the fourth is refused until one has filled and left."""
    result = run([OPENING, build_trade(3, 101.5, 5)], risk={"max_open_orders": 3}, retry_s=2.0)
    assert {each.rule for each in result.refused} == {"max_open_orders"}
    assert len(asked(result)) == 4
    assert len(result.fills) == 1


def test_levels_beyond_the_market_wait_until_it_has_come_back() -> None:
    """Around a centre of 90 the sells would cross; post-only, they are refused and tried again."""
    events: list[Scripted] = [OPENING, build_quote(3, 89.5, 90.5), build_quote(7, 89.6, 90.5)]
    result = run(events, centre="90")
    resting = [order for order in result.orders if order.acknowledged and order.cancel_requested]
    assert sorted((each.side.value, each.price) for each in resting) == [
        ("BUY", Decimal(88)),
        ("BUY", Decimal(89)),
        ("SELL", Decimal(91)),
        ("SELL", Decimal(92)),
    ]
    assert not result.fills


def test_levels_below_zero_are_left_out() -> None:
    """Nobody can buy at minus one."""
    result = run([build_quote(0, 1.4, 1.6)], levels=3)
    assert [price for side, price, _ in asked(result) if side == "BUY"] == [Decimal("0.50")]


def test_places_nothing_while_the_venue_is_down() -> None:
    """The level that filled just before is answered once the venue is back."""
    events: list[Scripted] = [
        build_venue_status(0, up=False),
        OPENING,
        build_venue_status(7, up=True),
        build_venue_status(8, up=False, venue="elsewhere"),
        build_quote(12, 99.5, 100.6),
    ]
    result = run(events)
    assert not result.refused
    assert {each.transact_time_ns for each in result.requests} == {time_ns(10)}
    assert sorted(asked(result)) == WHOLE


@given(st.integers(-3000, 3000))
def test_the_levels_always_lead_back_to_the_ends(position: int) -> None:
    """All buys filling ends at the greatest position, all sells at the least; none would cross."""
    grid = Grid()
    grid.instrument = build_instrument()
    grid.params = Grid.Params(qty=Decimal(1), step=Decimal(1), levels=3)
    held = Decimal(position) / 1000
    wanted = grid.wanted(Decimal(100), held)
    buys = {price: qty for (side, price), qty in wanted.items() if side is Side.BUY and qty}
    sells = {price: qty for (side, price), qty in wanted.items() if side is Side.SELL and qty}
    assert held + sum(buys.values()) == 3
    assert held - sum(sells.values()) == -3
    assert not buys or not sells or max(buys) < min(sells)
    assert all(0 < qty <= 1 for qty in [*buys.values(), *sells.values()])


def test_trades_on_the_synthetic_market_and_leaves_nothing() -> None:
    """A minute of it fills levels on both sides; the position stays within the grid."""
    result = run_strategy("grid", params={"qty": "0.01", "step": "10"})
    assert {fill.side for fill in result.fills} == set(Side)
    assert not result.resting
    assert abs(result.position()) <= Decimal("0.05")
