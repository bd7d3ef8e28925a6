"""Order value: no order worth more than a limit in quote currency."""

from decimal import Decimal
from math import inf
from typing import Any, ClassVar

import attrs

from botkit.model import NewOrder, ReplaceOrder, Side
from botkit.ports import RiskContext, Verdict
from risk.limits import Limits

__all__ = ["MaxOrderNotional"]

ZERO = Decimal(0)


@attrs.frozen
class MaxOrderNotional:
    """`max_order_notional = "5000"`, or per instrument `{ "paper:BTC-EUR" = "5000" }`.

    A buy is worth at most its price, a sell at least: it is valued at the bid if that is higher.
    An order without a price is valued at its stop price or at the touch it would meet; where
    neither is known its value cannot be told, and it is refused.
    """

    key: ClassVar[str] = "max_order_notional"
    Value: ClassVar[Any] = Limits.Value
    limits: Limits

    @classmethod
    def from_config(cls, value: Any, source: str) -> "MaxOrderNotional":
        """Build from the config's value."""
        return cls(Limits.from_config(value, source))

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse an order worth more than the limit, or of a worth nobody can tell."""
        limit = self.limits.of(request.symbol)
        if limit is None:
            return Verdict(self.key, passed=True)
        price = _worst_price(request, context)
        if price is None:
            text = f"{request.symbol} has no price yet, so {self.key} cannot be checked: wait"
            return Verdict(self.key, passed=False, limit=limit, text=text)
        value = context.instrument.notional(price, request.order_qty)
        if value <= limit:
            return Verdict(self.key, passed=True, limit=limit, measured=value)
        text = (
            f"{request.order_qty} x {price} of {request.symbol} is {value} "
            f"{context.instrument.quote}, above {self.key} {limit}: "
            "make the order smaller or raise the limit"
        )
        return Verdict(self.key, passed=False, limit=limit, measured=value, text=text)


def _worst_price(request: NewOrder | ReplaceOrder, context: RiskContext) -> Decimal | None:
    """Return the price at which the order may be worth most; None if nobody knows."""
    is_buy = request.side is Side.BUY
    stop_px = request.stop_px if isinstance(request, NewOrder) else None
    own = request.price if request.price is not None else stop_px
    if context.instrument.inverse:
        return ZERO if own is None else own  # its contracts are worth the same at any price
    if own is not None and (is_buy or stop_px is not None):
        return own
    touch = context.ask_px if is_buy else context.bid_px
    if not 0 < touch < inf:  # nan included
        return own
    market = Decimal(repr(float(touch)))
    return market if own is None else max(own, market)
