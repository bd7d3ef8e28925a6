"""Who may trade how much with whom: net positions between two accounts, and limits on them."""

from decimal import Decimal

import msgspec

from botkit.matching.exchange.money import Currency
from botkit.matching.exchange.orders import Order

__all__ = ["Counterparties", "CounterpartyPosition", "Reach"]


class CounterpartyPosition(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What an account has had of another in one currency, less what it gave. Fees are not in it."""

    counterparty: str
    currency: str
    net: Decimal
    limit: Decimal | None


class Counterparties:
    """Net positions by pair of accounts, for exchanges without prefunding.

    A limit holds in both directions: the size of the net position between two accounts in a
    currency stays at or below it. No limit means any size.
    """

    def __init__(self) -> None:
        self._net: dict[tuple[str, str, str], int] = {}
        self._limits: dict[tuple[str, str, str], int] = {}
        self._currencies: dict[str, Currency] = {}

    def set_limit(self, one: str, other: str, currency: Currency, limit: Decimal | None) -> None:
        """Limit the net position between two accounts from now on; None lifts the limit."""
        self._currencies[currency.name] = currency
        for key in ((one, other, currency.name), (other, one, currency.name)):
            if limit is None:
                self._limits.pop(key, None)
            else:
                self._limits[key] = currency.units(limit)

    def positions(self, account: str) -> list[CounterpartyPosition]:
        """Return `account`'s positions and limits, sorted by counterparty and currency."""
        keys = sorted(key for key in {*self._net, *self._limits} if key[0] == account)
        return [
            CounterpartyPosition(
                counterparty=other,
                currency=name,
                net=self._currencies[name].decimal(self._net.get((account, other, name), 0)),
                limit=None if limit is None else self._currencies[name].decimal(limit),
            )
            for _, other, name in keys
            for limit in (self._limits.get((account, other, name)),)
        ]

    def book(self, taker: Order, maker: Order, base: int, quote: int) -> None:
        """Count a trade of `base` against `quote` units; trading with oneself moves nothing."""
        one, other = taker.account.name, maker.account.name
        if one == other:
            return
        sign = taker.side.sign
        for currency, change in (
            (taker.market.base, sign * base),
            (taker.market.quote, -sign * quote),
        ):
            self._currencies[currency.name] = currency
            for key, moved in (((one, other), change), ((other, one), -change)):
                entry = (*key, currency.name)
                self._net[entry] = self._net.get(entry, 0) + moved

    def room(self, one: str, other: str, currency: Currency, sign: int) -> int | None:
        """Return how far `one`'s position with `other` may still move towards `sign`."""
        key = (one, other, currency.name)
        limit = self._limits.get(key)
        return None if limit is None else max(0, limit - sign * self._net.get(key, 0))


class Reach:
    """How many lots one taker may trade with each maker's account, while its trades are planned."""

    __slots__ = ("_counterparties", "_taker", "_used")

    def __init__(self, counterparties: Counterparties, taker: Order) -> None:
        self._counterparties = counterparties
        self._taker = taker
        self._used: dict[str, tuple[int, int]] = {}  # base and quote units planned, by account

    def cap(self, maker: Order, lots: int) -> int:
        """Return how many of `lots` limits allow with `maker`, and count them as planned."""
        taker, other = self._taker, maker.account.name
        if other == taker.account.name:
            return lots
        market, sign, name = taker.market, taker.side.sign, taker.account.name
        used_base, used_quote = self._used.get(other, (0, 0))
        unit_px = maker.ticks * market.quote_unit
        base_room = self._counterparties.room(name, other, market.base, sign)
        if base_room is not None:
            lots = min(lots, max(0, base_room - used_base) // market.base_unit)
        quote_room = self._counterparties.room(name, other, market.quote, -sign)
        if quote_room is not None:
            lots = min(lots, max(0, quote_room - used_quote) // unit_px)
        self._used[other] = (used_base + lots * market.base_unit, used_quote + lots * unit_px)
        return lots
