"""Whether an account holds what our fills, fees and adjustments say it holds."""

from decimal import Decimal
from typing import Final

import attrs

from botkit.model import Balance
from botkit.portfolio.ledger import Portfolio
from botkit.portfolio.position import EXACT

__all__ = ["BalanceCheck", "Difference"]

DUST: Final = Decimal("1e-18")
"""Finer than any currency: what is left where a venue tells mean prices in place of fills."""


@attrs.frozen(kw_only=True)
class Difference:
    """A venue holds `told` of a currency where our records say `expected`."""

    venue: str
    currency: str
    told: Decimal
    expected: Decimal


class BalanceCheck:
    """Compares what venues tell of their balances with our records, to the last digit there is.

    The first word of a venue about a currency is where the comparison starts from. What cannot
    be known (a fee is not told yet, contracts settle in the currency) is not compared.
    """

    def __init__(self, portfolio: Portfolio) -> None:
        self._portfolio = portfolio
        self._told: dict[tuple[str, str], Decimal] = {}
        self._start: dict[tuple[str, str], Decimal] = {}  # total less our change until then
        self._revision: dict[tuple[str, str], int] = {}  # of the portfolio, when last told

    def tell(self, balance: Balance) -> bool:
        """Take a venue's word; return False if neither it nor our records have moved since."""
        key = (balance.venue, balance.currency)
        revision = self._portfolio.revision
        if self._revision.get(key) == revision and self._told[key] == balance.total:
            return False
        self._revision[key] = revision
        self._told[key] = balance.total
        if key not in self._start:
            self._begin(*key)
        return True

    def difference(self, venue: str, currency: str) -> Difference | None:
        """Return how the venue's last word differs from our records; None if it does not."""
        start = self._start.get((venue, currency))
        change = self._portfolio.balance_change(venue, currency)
        if start is None or change is None:
            return None
        expected, told = EXACT.add(start, change), self._told[venue, currency]
        if abs(EXACT.subtract(told, expected)) < DUST:
            return None
        return Difference(venue=venue, currency=currency, told=told, expected=expected)

    def accept(self, difference: Difference) -> None:
        """Start anew from what the venue told: this difference has been reported."""
        self._begin(difference.venue, difference.currency)

    def _begin(self, venue: str, currency: str) -> None:
        change = self._portfolio.balance_change(venue, currency)
        if change is not None:
            self._start[venue, currency] = EXACT.subtract(self._told[venue, currency], change)
