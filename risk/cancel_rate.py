"""Cancel rate: no new order that could not be canceled at once within the venue's rate."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from botkit.model import CancelOrder, NewOrder, ReplaceOrder, TimeInForce
from botkit.ports import RiskContext, Verdict
from risk.rates import Rate, Window

__all__ = ["MaxCancelRate"]

AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


@attrs.define
class MaxCancelRate:
    """`max_cancel_rate = "50/1s"`: cancels sent, plus one for every order that may be working.

    It never holds a cancel back: it refuses the new orders that would need one more than the
    rate allows. Replaces, IOC and FOK orders need none. Cancels of earlier runs count.
    """

    key: ClassVar[str] = "max_cancel_rate"
    rate: Rate
    _canceled: Window

    @classmethod
    def from_config(cls, value: Any, source: str) -> "MaxCancelRate":
        """Build from the config's value."""
        rate = Rate.from_config(value, source)
        return cls(rate, Window(rate.per_ns))

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse a new order whose cancel would be one too many."""
        if not isinstance(request, NewOrder) or request.time_in_force in AT_ONCE:
            return Verdict(self.key, passed=True)
        limit = Decimal(self.rate.count)
        canceled = self._canceled.count(context.now_ns)
        working = context.workload.open_orders()
        needed = Decimal(canceled + working + 1)
        if needed <= limit:
            return Verdict(self.key, passed=True, limit=limit, measured=needed)
        were = "cancel was" if canceled == 1 else "cancels were"
        need = "order may need one" if working == 1 else "orders may need one each"
        text = (
            f"{canceled} {were} sent within the time of {self.key} {self.rate} and "
            f"{working} working {need}: wait or keep fewer orders"
        )
        return Verdict(self.key, passed=False, limit=limit, measured=needed, text=text)

    def sent(self, request: NewOrder | ReplaceOrder | CancelOrder, now_ns: int) -> None:
        """Count cancels."""
        if isinstance(request, CancelOrder):
            self._canceled.add(now_ns)

    def carried(self) -> Mapping[str, str]:
        """Return what was canceled within the window."""
        return self._canceled.carried()

    def carry_on(self, carried: Mapping[str, str]) -> None:
        """Start with what earlier runs have canceled."""
        self._canceled.carry_on(carried)
