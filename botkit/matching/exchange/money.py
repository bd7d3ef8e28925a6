"""Money inside the exchange: integers of each currency's smallest unit, so sums are exact."""

from decimal import Decimal
from fractions import Fraction
from typing import Final

from botkit.ports import FeeSchedule

__all__ = ["Currency", "Fees", "Holding", "Rate"]

MOST_UNITS: Final = 10**27  # what a Decimal of 28 digits holds exactly, with one to spare
BPS: Final = 10_000


class Currency:
    """A currency, counted in units of 10^-`digits`. Fees are whole multiples of `fee_step`."""

    __slots__ = ("_unit", "brought_in", "digits", "fee_step", "fees", "name")

    def __init__(self, name: str, digits: int, fee_digits: int) -> None:
        self.name = name
        self.digits = max(digits, fee_digits)
        self._unit = Decimal(1).scaleb(-self.digits)
        self.fee_step = 10 ** (self.digits - fee_digits)
        self.fees = 0  # what the exchange has earned; below 0 if rebates outweigh fees
        self.brought_in = 0  # deposits less withdrawals

    def units(self, value: Decimal) -> int:
        """Return `value` in units.

        Raises
        ------
        ValueError
            `value` is not a finite number, has more digits than a unit, or is too large.
        """
        if not value.is_finite():
            raise ValueError(f"{self.name} {value}: it must be a finite number")
        scale: int = 10**self.digits
        units, rest = divmod(Fraction(value) * scale, 1)
        if rest:
            raise ValueError(
                f"{self.name} {value}: at most {self.digits} digits after the point are kept"
            )
        if abs(units) > MOST_UNITS:
            raise ValueError(
                f"{self.name} {value}: at most {self.decimal(MOST_UNITS)} can be counted exactly"
            )
        return units

    def decimal(self, units: int) -> Decimal:
        """Return units as the number of whole ones."""
        return self._unit * units


class Rate:
    """A fee rate as an exact fraction of what it is charged on; negative for a rebate."""

    __slots__ = ("_denominator", "_numerator", "fraction")

    def __init__(self, bps: Decimal) -> None:
        if not (bps.is_finite() and abs(bps) < BPS):
            raise ValueError(f"fee of {bps} bps: it must be between -{BPS} and {BPS}")
        self.fraction = Fraction(bps) / BPS
        self._numerator, self._denominator = self.fraction.as_integer_ratio()

    def charge(self, units: int, step: int) -> int:
        """Return the fee on `units`, rounded towards 0 to a multiple of `step`."""
        exact = abs(self._numerator) * units
        fee = exact // (self._denominator * step) * step
        return fee if self._numerator >= 0 else -fee

    def reserve(self, units: int, step: int) -> int:
        """Return what surely covers the fees on `units` however they are split; at least 0.

        Parts rounded down and a rest rounded up never exceed the whole rounded up, so a lock
        that is made anew after each fill never grows.
        """
        if self._numerator <= 0:
            return 0
        return -(-self._numerator * units // (self._denominator * step)) * step

    def most(self, units: int) -> int:
        """Return the largest amount that, with the fee on top of it, `units` pays for."""
        if self._numerator <= 0:
            return units
        return units * self._denominator // (self._denominator + self._numerator)


class Fees:
    """An account's two rates, and the worse of them, which locks are made for."""

    __slots__ = ("maker", "taker", "worst")

    def __init__(self, schedule: FeeSchedule) -> None:
        self.maker = Rate(schedule.maker_bps)
        self.taker = Rate(schedule.taker_bps)
        self.worst = max(self.maker, self.taker, key=lambda rate: rate.fraction)


class Holding:
    """What an account has of one currency, in units: `total`, of which `locked` backs orders.

    `credit` is how far below 0 what is free may go.
    """

    __slots__ = ("_told", "account", "credit", "currency", "locked", "total")

    def __init__(self, account: str, currency: Currency, credit: int = 0) -> None:
        self.account = account
        self.currency = currency
        self.credit = credit
        self.total = 0
        self.locked = 0
        self._told = (0, 0)

    @property
    def free(self) -> int:
        """What new orders may use, credit included."""
        return self.total - self.locked + self.credit

    def is_news(self) -> bool:
        """Return True, once, if it stands otherwise than when this was last asked."""
        now = (self.total, self.locked)
        if now == self._told:
            return False
        self._told = now
        return True
