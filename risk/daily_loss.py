"""Daily loss: the kill switch trips once a UTC day has lost too much."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from botkit.model import NewOrder, ReplaceOrder
from botkit.ports import Finding, RiskContext, RiskView, Verdict
from risk.losses import LossGauge, LossTerms, carried_number

__all__ = ["MaxDailyLoss"]

NS_PER_DAY = 86_400_000_000_000
ZERO = Decimal(0)


@attrs.define
class MaxDailyLoss:
    """`max_daily_loss = "500"`: realised and unrealised, after fees, since midnight UTC.

    Longs are marked at the bid, shorts at the ask. Runs of one day add up. At the limit the bot
    is halted. `{ limit = "500", currency = "EUR", mark_stale = "30s" }` names the currency, and
    how long the loss may be untellable before that halts the bot as well.
    """

    key: ClassVar[str] = "max_daily_loss"
    Value: ClassVar[Any] = Decimal | LossTerms
    gauge: LossGauge
    _day: int = -1
    _profit: Decimal = ZERO  # at the last look
    _start: Decimal = ZERO  # profit at the day's beginning; loss of earlier runs above it

    @classmethod
    def from_config(cls, value: Any, source: str) -> "MaxDailyLoss":
        """Build from the config's value."""
        return cls(LossGauge(cls.key, LossTerms.from_config(value, source)))

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Answer by the last look."""
        return self.gauge.check(request, context)

    def watch(self, context: RiskView) -> Sequence[Finding]:
        """Measure what the day has lost."""
        day = context.now_ns // NS_PER_DAY
        lacking = self.gauge.not_given(context)
        self._start -= lacking
        self._profit -= lacking

        def measure(profit: Decimal) -> Decimal:
            if day != self._day:
                self._start = self._profit if self._day >= 0 else ZERO
                self._day = day
            self._profit = profit
            return self._start - profit

        return self.gauge.look(context, measure)

    def carried(self) -> Mapping[str, str]:
        """Return the day, what it has lost so far, and what open positions are up in that."""
        return {
            "day": str(self._day),
            "loss": str(self._start - self._profit),
            "open": str(self.gauge.open_profit),
        }

    def carry_on(self, carried: Mapping[str, str]) -> None:
        """Start with what earlier runs of the day have lost."""
        day = carried.get("day", "-1")
        self._day = int(day) if day.isdecimal() else -1
        if self._day < 0:
            return
        self.gauge.open_profit = self._profit = carried_number(carried, "open")
        self._start = carried_number(carried, "loss") + self._profit
