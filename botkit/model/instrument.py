"""The instrument: the bridge between float market data and exact Decimal money."""

from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Decimal,
    InvalidOperation,
)
from typing import Final

import attrs

__all__ = ["Instrument", "Number"]

Number = float | str | Decimal | int
SNAP: Final = Decimal("1e-6")  # of a step: what float arithmetic leaves beside a grid point
ZERO: Final = Decimal(0)


def _positive(instance: object, attribute: "attrs.Attribute[Decimal]", value: Decimal) -> None:
    if not (value.is_finite() and value > 0):
        raise ValueError(f"{attribute.name} is {value}: it must be a number above 0")


def _not_negative(instance: object, attribute: "attrs.Attribute[Decimal]", value: Decimal) -> None:
    if not (value.is_finite() and value >= 0):
        raise ValueError(f"{attribute.name} is {value}: it must be a number, 0 or above")


def _split(symbol: str) -> tuple[str, str]:
    venue, colon, name = symbol.partition(":")
    if not (venue and colon and name):
        raise ValueError(f"symbol {symbol!r}: write it as venue:SYMBOL, such as paper:BTC-EUR")
    return venue, name


@attrs.frozen(kw_only=True, eq=False)
class Instrument:
    """One thing traded at one venue, with its grids and least sizes.

    Prices are quote currency per base unit. A quantity is base units, or contracts of
    `contract_multiplier` base units each; an *inverse* contract is `contract_multiplier` quote
    units each and settles in base.

    Parameters
    ----------
    symbol
        `venue:SYMBOL`; unique in a bot.
    tick_size, lot_size
        Price step in quote currency; quantity step.
    min_trade_vol, max_trade_vol
        Least and greatest `order_qty`; None for no upper bound.
    min_notional
        Least price x quantity in quote currency.
    """

    symbol: str
    base: str
    quote: str
    tick_size: Decimal = attrs.field(validator=_positive)
    lot_size: Decimal = attrs.field(validator=_positive)
    min_trade_vol: Decimal = attrs.field(default=ZERO, validator=_not_negative)
    max_trade_vol: Decimal | None = attrs.field(
        default=None, validator=attrs.validators.optional(_positive)
    )
    min_notional: Decimal = attrs.field(default=ZERO, validator=_not_negative)
    contract_multiplier: Decimal = attrs.field(default=Decimal(1), validator=_positive)
    inverse: bool = False
    venue: str = attrs.field(init=False)
    name: str = attrs.field(init=False)  # the venue's own symbol

    def __attrs_post_init__(self) -> None:
        venue, name = _split(self.symbol)
        object.__setattr__(self, "venue", venue)
        object.__setattr__(self, "name", name)

    def __str__(self) -> str:
        return self.symbol

    def price(self, value: Number, rounding: str = ROUND_HALF_EVEN) -> Decimal:
        """Return `value` as a price on the tick grid, rounded as asked (to nearest if not).

        A float within a millionth of a tick beside a grid point is taken to mean that point.

        Raises
        ------
        ValueError
            Not a finite number, or not above 0 once rounded.
        """
        price = _to_grid(value, self.tick_size, rounding, f"{self.symbol} price")
        if price <= 0:
            raise ValueError(
                f"{self.symbol} price {value!r} is {price} on the grid of {self.tick_size}: "
                "a price must be above 0"
            )
        return price

    def quantity(self, value: Number, rounding: str = ROUND_DOWN) -> Decimal:
        """Return `value` as a quantity on the lot grid, rounded down if not asked otherwise.

        The result may be 0 or below `min_trade_vol`; the gate refuses such an order.

        Raises
        ------
        ValueError
            Not a finite number.
        """
        return _to_grid(value, self.lot_size, rounding, f"{self.symbol} quantity")

    def notional(self, price: Decimal, qty: Decimal) -> Decimal:
        """Return the size of a trade in quote currency (exact)."""
        if self.inverse:
            return qty * self.contract_multiplier
        if self.contract_multiplier == 1:
            return price * qty
        return price * qty * self.contract_multiplier

    def takes(self, price: Decimal, qty: Decimal) -> bool:
        """Tell whether both lie on their grids, above 0 and within the least and greatest sizes."""
        try:
            return (
                price > 0
                and qty > 0
                and qty >= self.min_trade_vol
                and not price % self.tick_size
                and not qty % self.lot_size
                and (self.max_trade_vol is None or qty <= self.max_trade_vol)
                and (not self.min_notional or self.notional(price, qty) >= self.min_notional)
            )
        except InvalidOperation:  # no numbers, or too long to be on a grid
            return False

    def neighbours(self, value: Decimal, step: Decimal) -> tuple[Decimal, Decimal]:
        """Return the grid points just below and above `value`, for messages."""
        steps = value / step
        return (
            steps.to_integral_value(ROUND_FLOOR) * step,
            steps.to_integral_value(ROUND_CEILING) * step,
        )


def _to_grid(value: Number, step: Decimal, rounding: str, what: str) -> Decimal:
    is_float = isinstance(value, float)
    try:  # numpy's floats are floats, but their own repr is not a number
        exact = Decimal(float.__repr__(value) if is_float else value)
    except InvalidOperation as exc:
        raise ValueError(f"{what} {value!r}: it must be a number") from exc
    if not exact.is_finite():
        raise ValueError(f"{what} {value!r}: it must be a finite number")
    steps = exact / step
    if is_float:
        nearest = steps.to_integral_value()
        if abs(steps - nearest) < SNAP:
            return nearest * step
    return steps.to_integral_value(rounding) * step
