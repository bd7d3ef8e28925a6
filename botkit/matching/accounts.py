"""The money of a simulated account: totals, what resting orders reserve, net positions."""

from collections.abc import Mapping
from decimal import Decimal

from botkit.model import Balance

__all__ = ["Account"]

ZERO = Decimal(0)


class Account:
    """Balances by currency and positions by symbol; exact Decimals.

    `available` is the total less what orders reserve, and what is spent was reserved or
    checked before, so on spot it never falls below 0. Derivatives (a contract multiplier other
    than 1, or inverse) keep a position and pay commissions in quote currency; margin, funding,
    liquidation and the settling of their P&L are not modelled.
    """

    __slots__ = ("_reserved", "_totals", "_touched", "positions", "venue")

    def __init__(self, venue: str, balances: Mapping[str, Decimal]) -> None:
        self.venue = venue
        self.positions: dict[str, Decimal] = {}
        self._totals = dict(balances)
        self._reserved = dict.fromkeys(balances, ZERO)
        self._touched: dict[str, None] = {}  # a dict, for its order

    def total(self, currency: str) -> Decimal:
        """Return what the account holds of `currency`, reserved or not."""
        return self._totals.get(currency, ZERO)

    def reserved(self, currency: str) -> Decimal:
        """Return what working orders hold back of `currency`."""
        return self._reserved.get(currency, ZERO)

    def available(self, currency: str) -> Decimal:
        """Return what a new order may use of `currency`."""
        return self.total(currency) - self.reserved(currency)

    def reserve(self, currency: str, change: Decimal) -> None:
        """Hold back `change` more of `currency`; less, if it is negative."""
        if change:
            self._reserved[currency] = self.reserved(currency) + change
            self._touched[currency] = None

    def settle(self, currency: str, change: Decimal) -> None:
        """Add `change` to what the account holds of `currency`."""
        if change:
            self._totals[currency] = self.total(currency) + change
            self._touched[currency] = None

    def move_position(self, symbol: str, change: Decimal) -> None:
        """Add a signed base quantity (contracts) to the net of our fills in `symbol`."""
        self.positions[symbol] = self.positions.get(symbol, ZERO) + change

    def balance(self, currency: str, now_ns: int) -> Balance:
        """Return where `currency` stands."""
        return Balance(
            venue=self.venue,
            currency=currency,
            total=self.total(currency),
            available=self.available(currency),
            receive_time_ns=now_ns,
        )

    def balances(self, now_ns: int) -> list[Balance]:
        """Return where every currency stands, in the order they were first held."""
        return [self.balance(currency, now_ns) for currency in self._totals]

    def take_changes(self, now_ns: int) -> list[Balance]:
        """Return the balances that changed since this was last called."""
        if not self._touched:
            return []
        changed = [self.balance(currency, now_ns) for currency in self._touched]
        self._touched = {}
        return changed
