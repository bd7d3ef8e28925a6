"""What one currency is worth in another, from the bot's own instruments: direct or over one hop."""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from math import inf, isnan, nan
from typing import Final, Literal

import attrs

from botkit.model import Instrument
from botkit.portfolio.position import QuoteOf

__all__ = ["Rate", "Rates"]

ROUNDED: Final = Context(prec=34, rounding=ROUND_HALF_EVEN)
ONE: Final = Decimal(1)
TWO: Final = Decimal(2)
NS_PER_S: Final = 1_000_000_000

At = Literal["mid", "bid", "ask"]
Leg = tuple[str, bool]
"""A symbol, and whether its price is to be turned over (quote into base)."""


@attrs.frozen(kw_only=True)
class Rate:
    """One unit of `currency` is worth `value` units of `into`.

    To 34 digits. `symbols` are the instruments it comes from, none
    where both are one currency; `age_ns` is the age of the older quote.
    """

    currency: str
    into: str
    value: Decimal
    symbols: tuple[str, ...] = ()
    age_ns: int = 0


class Rates:
    """The one place where currencies are converted: by the present quotes of instruments.

    Totals convert half way between bid and ask, risk limits at the cautious side; both know what
    is stale. No currency is taken for another: USDT is not USD.

    A direct instrument goes before an inverted one, one leg before two, spot before contracts,
    and of the rest the one named first. What has no bid, no ask or is older than `stale_ns` is
    passed over.

    Parameters
    ----------
    quoted_ns_of
        When the present quote of a symbol was received; 0 if there is none.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        quote_of: QuoteOf,
        quoted_ns_of: Callable[[str], int],
        stale_ns: int,
    ) -> None:
        self._quote_of = quote_of
        self._quoted_ns_of = quoted_ns_of
        self._stale_ns = stale_ns
        self._paths: dict[tuple[str, str], list[tuple[Leg, ...]]] = {}
        # Spot first: a contract's price may run away from what it is a contract on.
        ranked = sorted(
            instruments.values(), key=lambda each: each.inverse or each.contract_multiplier != 1
        )
        self._steps: dict[str, list[tuple[str, Leg]]] = {}
        for turned in (False, True):
            for each in ranked:
                ends = (each.quote, each.base) if turned else (each.base, each.quote)
                self._steps.setdefault(ends[0], []).append((ends[1], (each.symbol, turned)))

    def find(self, currency: str, into: str, now_ns: int, at: At = "mid") -> Rate | None:
        """Return the present rate; None if no instrument gives one that is fresh.

        Parameters
        ----------
        at
            Half way between bid and ask; or what selling a unit of `currency` brings ("bid"); or
            what buying one costs ("ask").
        """
        if currency == into:
            return Rate(currency=currency, into=into, value=ONE)
        for path in self._paths_between(currency, into):
            value = self._value(path, now_ns, at)
            if value is not None:
                symbols = tuple(symbol for symbol, _ in path)
                age_ns = max(now_ns - self._quoted_ns_of(symbol) for symbol in symbols)
                return Rate(
                    currency=currency, into=into, value=value, symbols=symbols, age_ns=age_ns
                )
        return None

    def least_worth(self, amount: Decimal, currency: str, into: str, now_ns: int) -> Decimal | None:
        """Return the least that `amount` may be worth in another currency; None without a rate.

        What is owned is sold at the bid, what is owed (below 0) bought at the ask.
        """
        if currency == into or not amount:
            return amount
        rate = self.find(currency, into, now_ns, "bid" if amount > 0 else "ask")
        return None if rate is None else ROUNDED.multiply(amount, rate.value)

    def why_not(self, currency: str, into: str, now_ns: int) -> str:
        """Return what a rate that `find` did not find lacks: "no rate for ..." and why."""
        legs = [leg for path in self._paths_between(currency, into) for leg in path]
        symbols = dict.fromkeys(symbol for symbol, _ in legs)
        if not symbols:
            return f"no rate for {currency}"
        told = "; ".join(text for each in symbols if (text := self.lack_of(each, now_ns)))
        return f"no rate for {currency} ({told})"

    def fresh_quote(self, symbol: str, now_ns: int) -> tuple[float, float]:
        """Return best bid and ask of `symbol`; nan where there is none or it is stale."""
        if now_ns - self._quoted_ns_of(symbol) > self._stale_ns:
            return nan, nan
        return self._quote_of(symbol)

    def lack_of(self, symbol: str, now_ns: int) -> str:
        """Return what is wrong with the quote of `symbol`; empty if it is whole and fresh."""
        bid_px, ask_px = self._quote_of(symbol)
        if isnan(bid_px) and isnan(ask_px):
            return f"{symbol} has no quote"
        if isnan(bid_px) or isnan(ask_px):
            return f"{symbol} has no {'bid' if isnan(bid_px) else 'ask'}"
        age_ns = now_ns - self._quoted_ns_of(symbol)
        if age_ns > self._stale_ns:
            limit_s = self._stale_ns / NS_PER_S
            return f"the quote of {symbol} is {age_ns / NS_PER_S:.1f} s old, limit {limit_s:g} s"
        return ""

    def _value(self, path: tuple[Leg, ...], now_ns: int, at: At) -> Decimal | None:
        value = ONE
        for symbol, turned in path:
            if self.lack_of(symbol, now_ns):
                return None
            bid_px, ask_px = self._quote_of(symbol)
            if not bid_px + ask_px > 0:
                return None
            if at == "mid":
                both = _exact(bid_px) + _exact(ask_px)
                leg = ROUNDED.divide(TWO, both) if turned else ROUNDED.divide(both, TWO)
            else:
                px = bid_px if (at == "bid") is not turned else ask_px
                if not 0 < px < inf:
                    return None
                leg = ROUNDED.divide(ONE, _exact(px)) if turned else _exact(px)
            value = ROUNDED.multiply(value, leg)
        return value

    def _paths_between(self, currency: str, into: str) -> list[tuple[Leg, ...]]:
        """Return the ways from one currency to another, best first."""
        key = (currency, into)
        if key not in self._paths:
            first = self._steps.get(currency, [])
            direct: list[tuple[Leg, ...]] = [(leg,) for to, leg in first if to == into]
            hops = [
                (leg, onward)
                for middle, leg in first
                if middle not in key
                for to, onward in self._steps.get(middle, [])
                if to == into
            ]
            self._paths[key] = [*direct, *hops]
        return self._paths[key]


def _exact(px: float) -> Decimal:
    return Decimal(repr(float(px)))
