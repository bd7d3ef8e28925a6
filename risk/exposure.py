"""Exposure: no order that could carry the worth of all positions past a limit, in one currency."""

from collections.abc import Mapping
from decimal import Decimal
from math import inf
from typing import Any, ClassVar, Self

import attrs

from botkit.config import structure
from botkit.errors import ConfigError
from botkit.model import Instrument, NewOrder, ReplaceOrder, Side
from botkit.ports import RiskContext, RiskView, Verdict

__all__ = ["MaxExposure"]

ZERO = Decimal(0)


@attrs.frozen
class MaxExposure:
    """`max_exposure = { limit = "20000", currency = "EUR" }`: all positions at their worst.

    Each instrument counts with the larger of its two sides (position with all buys filled, and
    with all sells filled), at the ask or the order's price if that is higher; instruments are
    added up, never netted. Where a price or a rate is missing or stale only reducing orders pass.
    """

    key: ClassVar[str] = "max_exposure"
    Value: ClassVar[Any] = Self
    limit: Decimal = attrs.field(validator=attrs.validators.gt(ZERO))
    currency: str = attrs.field(validator=attrs.validators.min_len(1))

    @classmethod
    def from_config(cls, value: Any, source: str) -> "MaxExposure":
        """Build from the config's table."""
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"{source}: found {value!r}, allowed: a table such as "
                '{ limit = "20000", currency = "EUR" }'
            )
        return structure(cls, value, source)

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse what could raise the worth of all positions above the limit."""
        view = context.view
        total = ZERO
        for symbol, instrument in view.instruments.items():
            mine = request if symbol == request.symbol else None
            worth = self._worth(instrument, mine, context, view)
            if worth is None:
                return self._unknown(request, context, symbol)
            total += worth
        if total <= self.limit:
            return Verdict(self.key, passed=True, limit=self.limit, measured=total)
        if context.is_reducing(request):
            return Verdict(self.key, passed=True, limit=self.limit, measured=total)
        text = (
            f"with all that may fill, this included, positions could be worth {total:.2f} "
            f"{self.currency}, above {self.key} {self.limit}: reduce them or raise the limit"
        )
        return Verdict(self.key, passed=False, limit=self.limit, measured=total, text=text)

    def _worth(
        self,
        instrument: Instrument,
        request: NewOrder | ReplaceOrder | None,
        context: RiskContext,
        view: RiskView,
    ) -> Decimal | None:
        """Return the most the position may come to be worth; None if that cannot be told."""
        symbol = instrument.symbol
        held = view.position(symbol)
        buys, sells = view.leaves(symbol, Side.BUY), view.leaves(symbol, Side.SELL)
        if request is not None:
            added = context.added_leaves(request)
            buys, sells = (
                (buys + added, sells) if request.side is Side.BUY else (buys, sells + added)
            )
        qty = max(abs(held + buys), abs(held - sells))
        if not qty:
            return ZERO
        price = _price(view.mark(symbol)[1], request)
        if price is None and not instrument.inverse:
            return None
        notional = instrument.notional(ZERO if price is None else price, qty)
        worth = view.convert(-notional, instrument.quote, self.currency)  # as a debt: at most
        return None if worth is None else -worth

    def _unknown(
        self, request: NewOrder | ReplaceOrder, context: RiskContext, symbol: str
    ) -> Verdict:
        if context.is_reducing(request):
            return Verdict(self.key, passed=True, limit=self.limit)
        text = (
            f"{symbol} has no price, or none in {self.currency}, so {self.key} cannot be checked: "
            "only orders that reduce a position pass until it has"
        )
        return Verdict(self.key, passed=False, limit=self.limit, text=text)


def _price(ask_px: float, request: NewOrder | ReplaceOrder | None) -> Decimal | None:
    """Return the highest price that may come to count; None if there is none."""
    if not 0 < ask_px < inf:  # nan included
        return None
    ask = Decimal(repr(float(ask_px)))
    own = None if request is None else request.price
    return ask if own is None else max(ask, own)
