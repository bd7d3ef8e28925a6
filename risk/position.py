"""Position: no order that could, with everything that may still fill, carry it past a limit."""

from typing import Any, ClassVar

import attrs

from botkit.model import NewOrder, ReplaceOrder, Side
from botkit.ports import RiskContext, Verdict
from risk.limits import Limits

__all__ = ["MaxPosition"]


@attrs.frozen
class MaxPosition:
    """`max_position = { "paper:BTC-EUR" = "2" }`, in base units (contracts), long or short.

    Each side is measured by itself: the position with all buys filled and no sell, and with all
    sells filled and no buy. In flight, UNKNOWN, being canceled, stops that wait and both sides
    of a replace count in full.
    """

    key: ClassVar[str] = "max_position"
    Value: ClassVar[Any] = Limits.Value
    limits: Limits

    @classmethod
    def from_config(cls, value: Any, source: str) -> "MaxPosition":
        """Build from the config's value."""
        return cls(Limits.from_config(value, source))

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse what could take the position past the limit on the request's side."""
        symbol, side = request.symbol, request.side
        limit = self.limits.of(symbol)
        if limit is None:
            return Verdict(self.key, passed=True)
        held = context.position(symbol)
        may_fill = context.workload.leaves(symbol, side) + context.added_leaves(request)
        worst = may_fill + held if side is Side.BUY else may_fill - held
        if worst <= limit:
            return Verdict(self.key, passed=True, limit=limit, measured=worst)
        bought, long = ("bought", "long") if side is Side.BUY else ("sold", "short")
        text = (
            f"holding {held} {symbol} and with {may_fill} that may be {bought}, this included, "
            f"it could become {worst} {long}, above {self.key} {limit}: cancel some, make it "
            "smaller or raise the limit"
        )
        return Verdict(self.key, passed=False, limit=limit, measured=worst, text=text)
