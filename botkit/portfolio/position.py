"""One strategy's holding of one instrument, and its profit.

It is kept as a signed quantity and the signed *worth* it was entered at, not as an average
price, so that money always adds up: what was realised plus what is still held at cost is exactly
what the fills paid. Worth is price x quantity x multiplier in quote currency; for an inverse
contract it is minus quantity x multiplier / price, in base currency, which makes profit of both
the worth now less the worth at entry.

Only two things are divided, and so rounded, to 24 decimal places: the share of the worth that a
partial close releases, and the worth of an inverse contract. Nothing is lost by it: what one
part does not get the other keeps.
"""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact
from math import inf
from typing import Final

from botkit.model import Instrument

__all__ = ["DIVIDE", "EXACT", "ZERO", "Position", "QuoteOf"]

QuoteOf = Callable[[str], tuple[float, float]]
"""Best bid and ask of a symbol; nan where unknown."""

ZERO: Final = Decimal(0)
EXACT: Final = Context(prec=120, traps=[Inexact])  # refuses to round rather than do it silently
DIVIDE: Final = Context(prec=64, rounding=ROUND_HALF_EVEN)
SHARE: Final = Decimal("1e-24")


class Position:
    """One strategy's holding of one instrument.

    `qty` is the sum of fills and adjustments. Profit is of `qty`, also where a fee was taken in
    the base currency of a spot instrument: that fee is under its currency in `fees`, and `held`
    is what is left after it.
    """

    __slots__ = (
        "currency",
        "fees",
        "fees_estimated",
        "fees_untold",
        "instrument",
        "is_spot",
        "last_px",
        "qty",
        "realised",
        "taker_rate",
        "worth",
    )

    def __init__(self, instrument: Instrument, taker_bps: Decimal) -> None:
        self.instrument = instrument
        self.is_spot = not instrument.inverse and instrument.contract_multiplier == 1
        self.currency = instrument.base if instrument.inverse else instrument.quote
        self.taker_rate = taker_bps.scaleb(-4, EXACT)
        self.qty = ZERO
        self.worth = ZERO  # what `qty` was entered at; of its sign (opposite for inverse)
        self.last_px: Decimal | None = None
        self.realised = ZERO
        self.fees: dict[str, Decimal] = {}
        self.fees_estimated = ZERO  # of the fills below, in `currency`
        self.fees_untold = 0

    @property
    def held(self) -> Decimal:
        """What there is to sell: `qty` less the fees that were taken out of it."""
        paid = self.fees.get(self.instrument.base) if self.is_spot else None
        return EXACT.subtract(self.qty, paid) if paid else self.qty

    def worth_of(self, qty: Decimal, price: Decimal) -> Decimal:
        """Return the signed worth of a signed quantity at `price`."""
        instrument = self.instrument
        if instrument.inverse:
            contracts = EXACT.multiply(qty, instrument.contract_multiplier)
            return -DIVIDE.quantize(DIVIDE.divide(contracts, price), SHARE)
        worth = EXACT.multiply(qty, price)
        if instrument.contract_multiplier == 1:
            return worth
        return EXACT.multiply(worth, instrument.contract_multiplier)

    def trade(self, qty: Decimal, price: Decimal) -> None:
        """Book a signed quantity at `price`."""
        held, worth = self.qty, self.worth_of(qty, price)
        after = EXACT.add(held, qty)
        self.qty = after
        self.last_px = price
        if not held or (held > 0) is (qty > 0):
            self.worth = EXACT.add(self.worth, worth)
            return
        if not after or (after > 0) is (held > 0):
            kept = self._share(self.worth, after, held)
            left = ZERO
        else:  # through zero: part of this trade closes, the rest opens the other way
            kept = ZERO
            left = self._share(worth, after, qty)
        # Realised is what closing paid less what the closed part was entered at.
        closing = EXACT.subtract(worth, left)
        released = EXACT.subtract(self.worth, kept)
        self.realised = EXACT.subtract(self.realised, EXACT.add(closing, released))
        self.worth = EXACT.add(kept, left)

    def adjust(self, qty: Decimal, price: Decimal) -> Decimal:
        """Book a signed quantity without profit: what leaves, leaves at its average price.

        What enters, enters at `price`. Returns by how much the worth has changed.
        """
        held, before = self.qty, self.worth
        after = EXACT.add(held, qty)
        self.qty = after
        self.last_px = price
        if not held or (held > 0) is (qty > 0):
            self.worth = EXACT.add(before, self.worth_of(qty, price))
        elif not after or (after > 0) is (held > 0):
            self.worth = self._share(before, after, held)
        else:
            self.worth = self.worth_of(after, price)
        return EXACT.subtract(self.worth, before)

    @staticmethod
    def _share(worth: Decimal, part: Decimal, whole: Decimal) -> Decimal:
        if not part:
            return ZERO
        return DIVIDE.quantize(DIVIDE.divide(EXACT.multiply(worth, part), whole), SHARE)

    def pay(self, commission: Decimal, currency: str) -> None:
        """Book a fee; negative for a rebate."""
        self.fees[currency] = EXACT.add(self.fees.get(currency, ZERO), commission)

    def estimate_fee(self, qty: Decimal, price: Decimal) -> Decimal:
        """Book what taking would cost for a fill whose fee is not told yet, and return it."""
        fee = EXACT.multiply(abs(self.worth_of(qty, price)), self.taker_rate)
        self.fees_untold += 1
        self.fees_estimated = EXACT.add(self.fees_estimated, fee)
        return fee

    def forget_estimate(self, fee: Decimal) -> None:
        """Take back an estimate: the fee has been told."""
        self.fees_untold -= 1
        self.fees_estimated = EXACT.subtract(self.fees_estimated, fee)

    def average_px(self) -> Decimal | None:
        """Return the price at which `qty` has this worth; None when flat."""
        if not self.qty:
            return None
        contracts = self.qty * self.instrument.contract_multiplier
        return -contracts / self.worth if self.instrument.inverse else self.worth / contracts

    def unrealised(self, bid_px: float, ask_px: float) -> Decimal | None:
        """Return profit if it were closed at the bid (long) or ask (short); None if unknown."""
        if not self.qty:
            return ZERO
        mark = bid_px if self.qty > 0 else ask_px
        if not 0 < mark < inf:  # nan included
            return None
        now = self.worth_of(self.qty, Decimal(repr(float(mark))))
        return EXACT.subtract(now, self.worth)

    def balance_change(self, currency: str) -> Decimal:
        """Return what the fills and fees of a spot instrument did to the balance of `currency`."""
        change = -self.fees.get(currency, ZERO)
        if currency == self.instrument.quote:  # what selling paid less what buying cost
            change = EXACT.add(change, EXACT.subtract(self.realised, self.worth))
        if currency == self.instrument.base:
            change = EXACT.add(change, self.qty)
        return change
