"""Order rate: no more new orders and replaces within a time than a number."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from botkit.model import CancelOrder, NewOrder, ReplaceOrder
from botkit.ports import RiskContext, Verdict
from risk.rates import Rate, Window

__all__ = ["MaxOrderRate"]


@attrs.define
class MaxOrderRate:
    """`max_order_rate = "20/1s"`: new orders and replaces sent within any second.

    What another rule refuses is not sent, and does not count; cancels do not either.
    What earlier runs sent counts.
    """

    key: ClassVar[str] = "max_order_rate"
    rate: Rate
    _sent: Window

    @classmethod
    def from_config(cls, value: Any, source: str) -> "MaxOrderRate":
        """Build from the config's value."""
        rate = Rate.from_config(value, source)
        return cls(rate, Window(rate.per_ns))

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse one too many."""
        limit = self.rate.count
        sent = self._sent.count(context.now_ns)
        after = sent + 1
        if after <= limit:
            return Verdict(self.key, passed=True, limit=Decimal(limit), measured=Decimal(after))
        were = "order or replace was" if sent == 1 else "orders and replaces were"
        text = (
            f"{sent} {were} sent within the time of {self.key} "
            f"{self.rate}: send fewer or raise the limit"
        )
        return Verdict(
            self.key, passed=False, limit=Decimal(limit), measured=Decimal(after), text=text
        )

    def sent(self, request: NewOrder | ReplaceOrder | CancelOrder, now_ns: int) -> None:
        """Count what was sent."""
        if not isinstance(request, CancelOrder):
            self._sent.add(now_ns)

    def carried(self) -> Mapping[str, str]:
        """Return what was sent within the window."""
        return self._sent.carried()

    def carry_on(self, carried: Mapping[str, str]) -> None:
        """Start with what earlier runs have sent."""
        self._sent.carry_on(carried)
