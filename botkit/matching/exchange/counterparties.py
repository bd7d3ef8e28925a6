"""Who may trade how much with whom: net positions between two accounts, and limits on them."""

from decimal import Decimal

import msgspec

from botkit.matching.exchange.money import Currency
from botkit.matching.exchange.orders import Market, Order
from botkit.model import Side

__all__ = ["Counterparties", "CounterpartyPosition"]


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

    def reachable(self, account: str, market: Market, side: Side) -> list[tuple[int, int]]:
        """Return (ticks, lots) of the levels of `side` that `account` could trade with, best first.

        What limits leave with each maker is counted off from the best price on.
        """
        used: dict[str, tuple[int, int]] = {}
        levels: dict[int, int] = {}
        for maker in market.own_side(side):
            lots = self.cap(account, maker, maker.leaves, used)
            if lots:
                levels[maker.ticks] = levels.get(maker.ticks, 0) + lots
        return list(levels.items())

    def cap(self, taker: str, maker: Order, lots: int, used: dict[str, tuple[int, int]]) -> int:
        """Return how many of `lots` limits allow `taker` to trade with `maker`.

        They are added to `used`: base and quote units that are spoken for, by maker's account.
        """
        other, market, sign = maker.account.name, maker.market, -maker.side.sign
        if other == taker:
            return lots
        used_base, used_quote = used.get(other, (0, 0))
        unit_px = maker.ticks * market.quote_unit
        base_room = self._room(taker, other, market.base, sign)
        if base_room is not None:
            lots = min(lots, max(0, base_room - used_base) // market.base_unit)
        quote_room = self._room(taker, other, market.quote, -sign)
        if quote_room is not None:
            lots = min(lots, max(0, quote_room - used_quote) // unit_px)
        used[other] = (used_base + lots * market.base_unit, used_quote + lots * unit_px)
        return lots

    def _room(self, one: str, other: str, currency: Currency, sign: int) -> int | None:
        """Return how far `one`'s position with `other` may still move towards `sign`."""
        key = (one, other, currency.name)
        limit = self._limits.get(key)
        return None if limit is None else max(0, limit - sign * self._net.get(key, 0))
