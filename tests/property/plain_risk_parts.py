"""What the plain risk model is made of: instruments, orders, positions, rules as configured.

Nothing of `botkit` is used. Quantities, prices and money are fractions, times are seconds.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

import attrs

__all__ = [
    "ACK_DUE_S",
    "CANCEL_DUE_S",
    "CANNOT_TELL",
    "DAY_S",
    "NOISE",
    "NOTHING",
    "PASSES",
    "SETTLE_S",
    "Ask",
    "Book",
    "Judgement",
    "Loss",
    "Placed",
    "PlainOrder",
    "Thing",
    "at_most",
    "known",
    "venue_of",
]

ACK_DUE_S: Final = Fraction(5)
CANCEL_DUE_S: Final = Fraction(5)
SETTLE_S: Final = Fraction(5)
DAY_S: Final = 86_400
NOISE: Final = Fraction(1, 10**15)  # quotients are rounded in the code, and not here
NOTHING: Final = Fraction(0)


def known(px: float) -> Fraction | None:
    """Return a price of the market; None if it is none."""
    return Fraction(str(px)) if 0 < px < math.inf else None


def venue_of(symbol: str) -> str:
    return symbol.partition(":")[0]


@attrs.frozen
class Thing:
    """An instrument."""

    symbol: str
    venue: str
    base: str
    quote: str
    multiplier: Fraction = Fraction(1)
    inverse: bool = False

    @property
    def is_spot(self) -> bool:
        return self.multiplier == 1 and not self.inverse

    @property
    def settles_in(self) -> str:
        return self.base if self.inverse else self.quote

    def value(self, qty: Fraction, price: Fraction) -> Fraction:
        """Return what a signed quantity is worth in the currency it settles in."""
        return -qty * self.multiplier / price if self.inverse else qty * self.multiplier * price

    def size(self, qty: Fraction, price: Fraction) -> Fraction:
        """Return the size of a trade in quote currency."""
        return qty * self.multiplier if self.inverse else qty * self.multiplier * price


@attrs.define(eq=False)
class PlainOrder:
    """One order: what was asked, and what the venue has said of it so far."""

    name: str
    symbol: str
    strategy: str
    side: int  # 1 buys, -1 sells
    qty: Fraction
    price: Fraction | None
    stop: Fraction | None
    is_atomic: bool  # where it is, a replace never fills old and new
    sent_s: Fraction
    keep: bool = False
    cum: Fraction = NOTHING
    is_open: bool = True
    spoken_of: bool = False  # by the venue
    change: "tuple[str, Fraction, Fraction | None, Fraction] | None" = None  # id, qty, price, cum
    told: Fraction = NOTHING  # how much of it has filled, counted or not
    over_when_counted: bool = False  # the venue has ended it, and owes fills
    cancels: int = 0
    presumed: bool = False  # ended by nobody's word
    doubted_s: Fraction | None = None  # from when on a listing can show that it is absent
    absent_s: Fraction | None = None
    canceled: bool = False  # the venue said so
    after_halt: bool = False  # sent, or found again, when the bot was halted already
    is_held: bool = False  # counts, and is not sent yet

    def left(self) -> Fraction:
        """Return the most that may still fill."""
        if not self.is_open:
            return NOTHING
        if self.change is None:
            return self.qty - self.cum
        _, qty, _, cum_then = self.change
        if self.is_atomic:
            return max(NOTHING, max(self.qty, qty) - self.cum)
        # The old one to its end, and all of the new one that was not filled when it was asked.
        return max(NOTHING, self.qty - self.cum + max(NOTHING, qty - cum_then))

    def prices(self) -> list[Fraction | None]:
        """Return the limits it may rest at; None is any price."""
        return [self.price] if self.change is None else [self.price, self.change[2]]


@attrs.frozen
class Ask:
    """A new order, or with `order` a replace, before it is sent."""

    symbol: str
    strategy: str
    side: int
    qty: Fraction
    price: Fraction | None
    stop: Fraction | None = None
    at_once: bool = False  # IOC, FOK
    order: PlainOrder | None = None

    def added(self) -> Fraction:
        """Return by how much it raises what may fill."""
        if self.order is None:
            return self.qty
        if self.order.is_atomic:
            return max(NOTHING, self.qty - self.order.qty)
        return max(NOTHING, self.qty - self.order.cum)


@attrs.frozen
class Placed:
    """One rule of the config: `strategy` and `venue` are its scope, "" is all."""

    key: str  # where the config has it
    kind: str
    strategy: str = ""
    venue: str = ""
    limit: Fraction = NOTHING
    by_symbol: Mapping[str, Fraction] | None = None
    per_s: Fraction = NOTHING
    currency: str = ""
    mark_stale_s: Fraction = Fraction(30)
    setting: str = ""  # where the limit is a word

    def covers(self, symbol: str, strategy: str) -> bool:
        return self.strategy in ("", strategy) and self.venue in (
            "",
            venue_of(symbol),
        )

    def limit_of(self, symbol: str) -> Fraction | None:
        return self.limit if self.by_symbol is None else self.by_symbol.get(symbol)


@attrs.frozen
class Judgement:
    """`is_sure` is False where the measure is too near the limit to tell after rounding."""

    passes: bool
    measured: Fraction | None = None
    limit: Fraction | None = None
    is_sure: bool = True


PASSES: Final = Judgement(passes=True)
CANNOT_TELL: Final = Judgement(passes=False)


def at_most(measured: Fraction, limit: Fraction) -> Judgement:
    is_sure = measured == limit or abs(measured - limit) > NOISE
    return Judgement(measured <= limit, measured, limit, is_sure)


@attrs.define
class Book:
    """What one strategy holds of one instrument, and what that has cost."""

    qty: Fraction = NOTHING
    cash: Fraction = NOTHING  # paid in for sales less paid out for purchases
    entry: Fraction = NOTHING  # what `qty` was entered at, on the average
    fees: dict[str, Fraction] = attrs.field(factory=dict)
    estimates: list[tuple[str, Fraction]] = attrs.field(factory=list)  # by execution
    last_px: Fraction | None = None

    def held(self, thing: Thing) -> Fraction:
        return self.qty - (self.fees.get(thing.base, NOTHING) if thing.is_spot else 0)

    def trade(self, thing: Thing, qty: Fraction, price: Fraction) -> None:
        value, before = thing.value(qty, price), self.qty
        after = before + qty
        if before * qty >= 0:
            self.entry += value
        elif before * after >= 0:
            self.entry = self.entry * after / before
        else:
            self.entry = thing.value(after, price)
        self.qty, self.cash, self.last_px = after, self.cash - value, price


@attrs.define
class Loss:
    """What one loss rule has seen."""

    day: int | None = None
    start: Fraction = NOTHING  # of the day; for a drawdown the highest
    profit: Fraction = NOTHING  # at the last look
    settled: Fraction = NOTHING  # the same, less what open positions were up
    unknown_since_s: Fraction | None = None
    judgement: Judgement = CANNOT_TELL
