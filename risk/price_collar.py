"""Price collar: no order priced far through the market, against fat fingers and bad data."""

from decimal import Decimal
from math import inf
from typing import Any, ClassVar

import attrs

from botkit.model import NewOrder, ReplaceOrder, Side
from botkit.ports import RiskContext, Verdict
from risk.limits import Limits

__all__ = ["PriceCollar"]

BPS = Decimal(10_000)


@attrs.frozen
class PriceCollar:
    """`price_collar_bps = "200"`: how far beyond the other side's touch a price may reach.

    A buy may not be priced above ask x (1 + collar), a sell not below bid x (1 - collar). An
    order that waits for the market to come (a buy below the ask) is never too far away. Without
    a touch the collar cannot be told: all but reducing orders with a limit price are refused. A
    STOP_LIMIT is measured from its stop price; MARKET and STOP have no price, they need only a
    market.
    """

    key: ClassVar[str] = "price_collar_bps"
    Value: ClassVar[Any] = Limits.Value
    limits: Limits

    @classmethod
    def from_config(cls, value: Any, source: str) -> "PriceCollar":
        """Build from the config's value, in basis points."""
        return cls(Limits.from_config(value, source))

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse a price beyond the collar; `measured` is how far beyond the touch, in bps."""
        limit = self.limits.of(request.symbol)
        if limit is None:
            return Verdict(self.key, passed=True)
        is_buy = request.side is Side.BUY
        touch = context.ask_px if is_buy else context.bid_px
        price = request.price
        if not 0 < touch < inf:  # nan included
            if price is not None and context.is_reducing(request):
                return Verdict(self.key, passed=True, limit=limit)
            text = (
                f"{request.symbol} shows no {'ask' if is_buy else 'bid'}, so {self.key} "
                "cannot be checked: wait for market data; only orders that reduce a position at a "
                "limit price pass until then"
            )
            return Verdict(self.key, passed=False, limit=limit, text=text)
        if price is None:
            return Verdict(self.key, passed=True, limit=limit, measured=Decimal(0))
        stop_px = request.stop_px if isinstance(request, NewOrder) else None
        reference = stop_px if stop_px is not None else Decimal(repr(float(touch)))
        beyond = (price - reference if is_buy else reference - price) / reference * BPS
        if beyond <= limit:
            return Verdict(self.key, passed=True, limit=limit, measured=beyond)
        text = (
            f"price {price} of {request.symbol} is {beyond:.1f} bps beyond {reference}, more "
            f"than {self.key} {limit}: price it nearer"
        )
        return Verdict(self.key, passed=False, limit=limit, measured=beyond, text=text)
