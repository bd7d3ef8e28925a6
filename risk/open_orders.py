"""Working orders: no more than a number at once, those in flight and UNKNOWN included."""

from decimal import Decimal
from typing import Any, ClassVar

import attrs

from botkit.model import NewOrder, ReplaceOrder
from botkit.ports import RiskContext, Verdict
from risk.limits import Limits

__all__ = ["MaxOpenOrders"]


@attrs.frozen
class MaxOpenOrders:
    """`max_open_orders = 20` for the whole bot, or per instrument `{ "paper:BTC-EUR" = 4 }`."""

    key: ClassVar[str] = "max_open_orders"
    Value: ClassVar[Any] = Limits.WholeValue
    limits: Limits

    @classmethod
    def from_config(cls, value: Any, source: str) -> "MaxOpenOrders":
        """Build from the config's value."""
        return cls(Limits.from_config(value, source, whole=True))

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse one order too many; a replace adds none."""
        own = self.limits.by_symbol.get(request.symbol)
        limit = own if own is not None else self.limits.everywhere
        if limit is None:
            return Verdict(self.key, passed=True)
        count = context.workload.open_orders(request.symbol if own is not None else None)
        after = Decimal(count + 1 if isinstance(request, NewOrder) else count)
        if after <= limit:
            return Verdict(self.key, passed=True, limit=limit, measured=after)
        where = "" if own is None else f" in {request.symbol}"
        orders = "order" if count == 1 else "orders"
        text = (
            f"{count} {orders}{where} may be working already, {self.key} is {limit}: "
            "cancel some or raise the limit"
        )
        return Verdict(self.key, passed=False, limit=limit, measured=after, text=text)
