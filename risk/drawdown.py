"""Drawdown: the kill switch trips once profit has fallen too far from its highest."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from botkit.model import NewOrder, ReplaceOrder
from botkit.ports import Finding, RiskContext, RiskView, Verdict
from risk.losses import LossGauge, LossTerms, carried_number

__all__ = ["MaxDrawdown"]

ZERO = Decimal(0)


@attrs.define
class MaxDrawdown:
    """`max_drawdown = "1000"`: how far profit may fall below the highest it has been.

    Realised and unrealised, after fees, over all runs until the kill switch is cleared; written
    like `max_daily_loss`.
    """

    key: ClassVar[str] = "max_drawdown"
    Value: ClassVar[Any] = Decimal | LossTerms
    gauge: LossGauge
    _highest: Decimal = ZERO
    _profit: Decimal = ZERO

    @classmethod
    def from_config(cls, value: Any, source: str) -> "MaxDrawdown":
        """Build from the config's value."""
        return cls(LossGauge(cls.key, LossTerms.from_config(value, source)))

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Answer by the last look."""
        return self.gauge.check(request, context)

    def watch(self, context: RiskView) -> Sequence[Finding]:
        """Measure how far profit is below its highest."""
        lacking = self.gauge.not_given(context)
        self._highest -= lacking
        self._profit -= lacking

        def measure(profit: Decimal) -> Decimal:
            self._highest, self._profit = max(self._highest, profit), profit
            return self._highest - profit

        return self.gauge.look(context, measure)

    def carried(self) -> Mapping[str, str]:
        """Return how far profit is below its highest, and what open positions are up in it."""
        return {
            "drawdown": str(self._highest - self._profit),
            "open": str(self.gauge.open_profit),
        }

    def carry_on(self, carried: Mapping[str, str]) -> None:
        """Start as far below the highest as the last run ended."""
        self.gauge.open_profit = self._profit = carried_number(carried, "open")
        self._highest = carried_number(carried, "drawdown") + self._profit
