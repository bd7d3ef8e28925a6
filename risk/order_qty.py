"""Order size: no order larger than a limit in base units (contracts)."""

from typing import Any, ClassVar

import attrs

from botkit.model import NewOrder, ReplaceOrder
from botkit.ports import RiskContext, Verdict
from risk.limits import Limits

__all__ = ["MaxOrderQty"]


@attrs.frozen
class MaxOrderQty:
    """`max_order_qty = "5"`, or per instrument `{ "paper:BTC-EUR" = "0.5" }`."""

    key: ClassVar[str] = "max_order_qty"
    Value: ClassVar[Any] = Limits.Value
    limits: Limits

    @classmethod
    def from_config(cls, value: Any, source: str) -> "MaxOrderQty":
        """Build from the config's value."""
        return cls(Limits.from_config(value, source))

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse an `order_qty` above the limit."""
        limit = self.limits.of(request.symbol)
        qty = request.order_qty
        if limit is None or qty <= limit:
            return Verdict(self.key, passed=True, limit=limit, measured=qty)
        text = (
            f"order_qty {qty} {context.instrument.base} of {request.symbol} is above "
            f"{self.key} {limit}: split the order or raise the limit"
        )
        return Verdict(self.key, passed=False, limit=limit, measured=qty, text=text)
