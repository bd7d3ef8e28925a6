"""The money of a simulated account: totals, what resting orders reserve, net positions."""

from collections.abc import Mapping
from decimal import Decimal

from botkit.model import Balance

__all__ = ["Account", "Holding"]

ZERO = Decimal(0)


class Holding:
    """What the account holds of one currency: `total`, of which `available` is not reserved."""

    __slots__ = ("_told", "available", "currency", "total")

    def __init__(self, currency: str, total: Decimal) -> None:
        self.currency = currency
        self.total = self.available = total
        self._told = (total, total)

    def settle(self, change: Decimal) -> None:
        """Add `change` to what is held."""
        self.total += change
        self.available += change

    def is_news(self) -> bool:
        """Return True, once, if it stands otherwise than when this was last asked."""
        now = (self.total, self.available)
        if now == self._told:
            return False
        self._told = now
        return True


class Account:
    """Holdings by currency and positions by symbol; exact Decimals.

    What is spent was reserved or checked before, so on spot `available` never falls below 0.
    Derivatives (a contract multiplier other than 1, or inverse) keep a position and pay
    commissions in quote currency; margin, funding, liquidation and the settling of their P&L are
    not modelled.
    """

    __slots__ = ("_holdings", "positions", "venue")

    def __init__(self, venue: str, balances: Mapping[str, Decimal]) -> None:
        self.venue = venue
        self.positions: dict[str, Decimal] = {}
        self._holdings = {name: Holding(name, total) for name, total in balances.items()}

    def holding(self, currency: str) -> Holding:
        """Return the holding of `currency`; an empty one if there was none."""
        holding = self._holdings.get(currency)
        if holding is None:
            holding = self._holdings[currency] = Holding(currency, ZERO)
        return holding

    def move_position(self, symbol: str, change: Decimal) -> None:
        """Add a signed base quantity (contracts) to the net of our fills in `symbol`."""
        self.positions[symbol] = self.positions.get(symbol, ZERO) + change

    def balances(self, now_ns: int) -> list[Balance]:
        """Return where every currency stands, in the order they were first held."""
        return [self._balance(holding, now_ns) for holding in self._holdings.values()]

    def take_changes(self, now_ns: int) -> list[Balance]:
        """Return the balances that are other than when this was last called."""
        return [self._balance(each, now_ns) for each in self._holdings.values() if each.is_news()]

    def _balance(self, holding: Holding, now_ns: int) -> Balance:
        return Balance(
            venue=self.venue,
            currency=holding.currency,
            total=holding.total,
            available=holding.available,
            receive_time_ns=now_ns,
        )
