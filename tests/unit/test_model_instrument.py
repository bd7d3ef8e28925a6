"""The instrument: the bridge between float market data and exact money."""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_UP, Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from botkit.model import Instrument
from botkit.testing import build_instrument

STEPS = st.sampled_from(["1e-8", "0.0001", "0.01", "0.05", "0.25", "0.3", "1", "5", "100"])
PRICES = st.floats(min_value=1e-7, max_value=1e9)
ROUNDINGS = st.sampled_from([ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_UP])
COUNTS = st.integers(1, 10**12)


@given(value=PRICES, step=STEPS, rounding=ROUNDINGS)
def test_a_price_lies_on_the_grid_within_one_step(value: float, step: str, rounding: str) -> None:
    instrument = build_instrument(tick_size=step)
    tick = instrument.tick_size
    assume(Decimal(value) > tick)
    price = instrument.price(value, rounding)
    assert price % tick == 0
    assert abs(price - Decimal(repr(value))) < tick


@given(value=st.floats(-1e9, 1e9), step=STEPS, rounding=ROUNDINGS)
def test_a_quantity_lies_on_the_grid_within_one_step(
    value: float, step: str, rounding: str
) -> None:
    lot = Decimal(step)
    qty = build_instrument(lot_size=step).quantity(value, rounding)
    assert qty % lot == 0
    assert abs(qty - Decimal(repr(value))) < lot


@given(count=COUNTS, step=STEPS, rounding=ROUNDINGS)
def test_a_grid_point_survives_text_and_float(count: int, step: str, rounding: str) -> None:
    point = count * Decimal(step)
    instrument = build_instrument(tick_size=step, lot_size=step)
    for told in (point, str(point), float(point), float(str(point))):
        assert instrument.price(told, rounding) == point
        assert instrument.quantity(told, rounding) == point
    assert float(str(point)) == float(point)  # so floats serve as keys of a book


@given(count=st.integers(1, 10**6), other=st.integers(1, 10**6), rounding=ROUNDINGS)
def test_what_float_arithmetic_leaves_beside_a_grid_point_is_that_point(
    count: int, other: int, rounding: str
) -> None:
    noisy = count * 0.1 + other * 0.1
    assert build_instrument(tick_size="0.1").price(noisy, rounding) == (count + other) * Decimal(
        "0.1"
    )


def test_rounding_is_as_asked_and_nothing_else() -> None:
    instrument = build_instrument()
    assert instrument.price(100.006) == Decimal("100.01")
    assert instrument.price("100.005") == Decimal("100.00")
    assert instrument.price(100.001, ROUND_CEILING) == Decimal("100.01")
    assert instrument.price(100.009, ROUND_FLOOR) == Decimal("100.00")
    assert instrument.quantity(0.0019) == Decimal("0.001")
    assert instrument.quantity(7) == 7
    # Text is taken at its word: it carries no float noise.
    assert instrument.price("100.00000000001", ROUND_CEILING) == Decimal("100.01")


@pytest.mark.parametrize("value", [np.float64(99.5), np.array([99.5])[0]])
def test_numpy_s_floats_are_floats(value: float) -> None:
    instrument = build_instrument()
    assert instrument.price(value) == instrument.quantity(value) == Decimal("99.5")


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), "nan", "-inf", "sNaN", "abc", ""]
)
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    instrument = build_instrument()
    with pytest.raises(ValueError, match="paper:BTC-EUR price"):
        instrument.price(value)
    with pytest.raises(ValueError, match="paper:BTC-EUR quantity"):
        instrument.quantity(value)


@pytest.mark.parametrize("value", [0, -1, 0.004, "-0.01"])
def test_a_price_is_above_zero(value: Any) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        build_instrument().price(value)
    assert build_instrument().quantity(0) == 0


def test_neighbours_are_the_grid_points_on_both_sides() -> None:
    instrument = build_instrument()
    assert instrument.neighbours(Decimal("1.234"), Decimal("0.05")) == (
        Decimal("1.20"),
        Decimal("1.25"),
    )


def test_notional_is_price_times_quantity_times_multiplier_or_contracts() -> None:
    price, qty = Decimal("200.5"), Decimal(3)
    assert build_instrument().notional(price, qty) == Decimal("601.5")
    contract = build_instrument(contract_multiplier="0.1")
    assert contract.notional(price, qty) == Decimal("60.15")
    inverse = build_instrument(contract_multiplier="100", inverse=True)
    assert inverse.notional(price, qty) == 300


def test_an_instrument_is_named_by_its_symbol() -> None:
    instrument = build_instrument("kestrel:BTC:PERP", base="BTC", quote="USD")
    assert (str(instrument), instrument.venue, instrument.name) == (
        "kestrel:BTC:PERP",
        "kestrel",
        "BTC:PERP",
    )


@pytest.mark.parametrize("symbol", ["BTC-EUR", ":BTC-EUR", "paper:", ""])
def test_a_symbol_has_a_venue_and_a_name(symbol: str) -> None:
    with pytest.raises(ValueError, match="write it as venue:SYMBOL"):
        Instrument(symbol=symbol, base="A", quote="B", tick_size=Decimal(1), lot_size=Decimal(1))


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("tick_size", "0"),
        ("lot_size", "-1"),
        ("tick_size", "NaN"),
        ("lot_size", "Infinity"),
        ("contract_multiplier", "0"),
        ("max_trade_vol", "0"),
        ("min_trade_vol", "-0.1"),
        ("min_notional", "NaN"),
    ],
)
def test_grids_and_sizes_that_make_no_sense_are_refused(field: str, bad: str) -> None:
    with pytest.raises(ValueError, match=f"{field} is {bad}: it must be a number"):
        build_instrument(**{field: bad})
