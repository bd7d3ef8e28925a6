"""Stale data: no order on a market nobody hears of, and nothing left resting in it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import isnan
from typing import Any, ClassVar

import attrs

from botkit.config import Duration, format_duration, parse_duration
from botkit.errors import ConfigError
from botkit.model import NewOrder, ReplaceOrder
from botkit.ports import Finding, RiskAction, RiskContext, RiskView, Verdict

__all__ = ["StaleData"]

NS_PER_S = Decimal(1_000_000_000)


@attrs.frozen
class StaleData:
    """`stale_data = "5s"`, or per instrument `{ "paper:BTC-EUR" = "5s" }`.

    Data are stale if the last quote or change of the book is older than this, if a gap has left
    none, or if the bid is above the ask. Then every order in the instrument is refused but a
    reducing one with a limit price, and once a second what rests there is canceled, except orders
    to be kept. `measured` is in seconds.

    A way out stays open, since what cannot be told must not lock a position in: it cannot make it
    larger, and its price is a person's or a strategy's own word on what it may cost at worst. A
    MARKET or STOP order has no such word, and would trade at a price nobody sees. What of such an
    order has not traded within a second is canceled like the rest.
    """

    key: ClassVar[str] = "stale_data"
    Value: ClassVar[Any] = Duration | Mapping[str, Duration]
    everywhere_ns: int | None
    by_symbol_ns: Mapping[str, int]

    @classmethod
    def from_config(cls, value: Any, source: str) -> "StaleData":
        """Build from the config's value."""
        if isinstance(value, Mapping):
            strays = [
                f"{source}: found {each!r}, allowed: venue:SYMBOL"
                for each in value
                if ":" not in each
            ]
            if strays:
                raise ConfigError(strays)
            return cls(None, {name: _age(text, f"{source}.{name}") for name, text in value.items()})
        return cls(_age(value, source), {})

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse while the instrument's data are stale, unless it reduces at a price of its own."""
        verdict = self._look(request.symbol, context.view)
        if verdict.passed or request.price is None or not context.is_reducing(request):
            return verdict
        return Verdict(self.key, passed=True, limit=verdict.limit, measured=verdict.measured)

    def watch(self, context: RiskView) -> Sequence[Finding]:
        """Pull what rests where data are stale."""
        return [
            Finding(verdict, RiskAction.PULL, (symbol,))
            for symbol in context.instruments
            if context.open_orders(symbol) and not (verdict := self._look(symbol, context)).passed
        ]

    def _look(self, symbol: str, view: RiskView) -> Verdict:
        limit_ns = self.by_symbol_ns.get(symbol, self.everywhere_ns)
        if limit_ns is None:
            return Verdict(self.key, passed=True)
        limit, age_ns = limit_ns / NS_PER_S, view.age_ns(symbol)
        measured = None if age_ns is None else age_ns / NS_PER_S
        bid_px, ask_px = view.touch(symbol)
        if age_ns is None:
            why = f"{symbol} has no market data"
        elif age_ns > limit_ns:
            why = f"the last word on {symbol} is {measured} s old"
        elif bid_px > ask_px and not isnan(bid_px + ask_px):
            why = f"{symbol} is crossed, bid {bid_px} above ask {ask_px}"
        else:
            return Verdict(self.key, passed=True, limit=limit, measured=measured)
        text = (
            f"{why}, and {self.key} is {format_duration(limit_ns)}: wait for fresh data; only "
            "orders that reduce a position at a limit price pass until then"
        )
        return Verdict(self.key, passed=False, limit=limit, measured=measured, text=text)


def _age(value: Any, source: str) -> int:
    try:
        age_ns = parse_duration(value) if isinstance(value, str) else 0
    except ValueError:
        age_ns = 0
    if not age_ns:
        raise ConfigError(f'{source}: found {value!r}, allowed: a duration above 0, such as "5s"')
    return age_ns
