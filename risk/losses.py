"""What the loss rules share: the limit as the config gives it, and the gauge that trips."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import attrs

from botkit.config import Duration, format_duration, parse_duration, structure
from botkit.model import NewOrder, ReplaceOrder
from botkit.ports import Finding, RiskAction, RiskContext, RiskView, Verdict
from risk.limits import Limits

__all__ = ["LossGauge", "LossTerms", "carried_number"]

ZERO = Decimal(0)
ABOVE_0 = attrs.validators.gt(0)


@attrs.frozen(kw_only=True)
class LossTerms:
    """A limit in `currency`: "" is the one currency all instruments settle in.

    `mark_stale`: for how long (ns) the loss may be untellable before the bot is halted.
    """

    limit: Decimal = attrs.field(validator=attrs.validators.gt(ZERO))
    currency: str = ""
    mark_stale: Duration = attrs.field(default=parse_duration("30s"), validator=ABOVE_0)

    @classmethod
    def from_config(cls, value: Any, source: str) -> "LossTerms":
        """Read `"500"` or `{ limit = "500", currency = "EUR", mark_stale = "30s" }`."""
        if isinstance(value, Mapping):
            return structure(cls, value, source)
        limit = Limits.from_config(value, source).everywhere
        assert limit is not None  # one number was given
        return cls(limit=limit)


@attrs.define
class LossGauge:
    """Measures a loss when told to watch; refuses and trips once it is at the limit.

    Between two looks (every fill, every second) orders are judged by the last. `open_profit` is
    what open positions were up at the last look: a run that is given them measures it again.
    """

    key: str
    terms: LossTerms
    open_profit: Decimal = ZERO
    _verdict: Verdict | None = None
    _unknown_since_ns: int | None = None
    _has_looked: bool = False

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Answer by the last look; a limit that is reached, or untellable, lets reducing pass."""
        verdict = self._verdict
        if verdict is None:
            verdict = self._untold("nobody has looked yet")
        if verdict.passed or not context.is_reducing(request):
            return verdict
        return Verdict(self.key, passed=True, limit=verdict.limit, measured=verdict.measured)

    def look(self, view: RiskView, measure: Callable[[Decimal], Decimal]) -> Sequence[Finding]:
        """Measure the loss from the profit as it stands; return the trip if it is at the limit."""
        terms = self.terms
        currency = terms.currency or _one_currency(view)
        profit = view.profit(currency) if currency else None
        settled = None if profit is None else view.profit(currency, settled=True)
        if profit is None or settled is None:
            return self._cannot_tell(view, currency)
        self._unknown_since_ns = None
        loss = measure(profit)
        self.open_profit = profit - settled
        if loss < terms.limit:
            self._verdict = Verdict(self.key, passed=True, limit=terms.limit, measured=loss)
            return ()
        text = f"a loss of {loss:.2f} {currency} has reached {self.key} {terms.limit}"
        self._verdict = Verdict(self.key, passed=False, limit=terms.limit, measured=loss, text=text)
        return (Finding(self._verdict, RiskAction.HALT),)

    def not_given(self, view: RiskView) -> Decimal:
        """Return, at the first look, what the last run's positions were up that this one lacks.

        A venue inside the process ends with it, positions included: their profit or loss stays.
        """
        if self._has_looked:
            return ZERO
        self._has_looked = True
        if not view.is_flat():
            return ZERO
        lacking, self.open_profit = self.open_profit, ZERO
        return lacking

    def _cannot_tell(self, view: RiskView, currency: str) -> Sequence[Finding]:
        if self._unknown_since_ns is None:
            self._unknown_since_ns = view.now_ns
        why = (
            f"a position has no mark, or no rate to {currency}, that is fresh"
            if currency
            else "the instruments settle in several currencies: name one, as currency"
        )
        self._verdict = self._untold(why)
        if view.now_ns - self._unknown_since_ns < self.terms.mark_stale:
            return ()
        text = f"{self._verdict.text}, for {format_duration(self.terms.mark_stale)}"
        halted = Verdict(self.key, passed=False, limit=self.terms.limit, text=text)
        return (Finding(halted, RiskAction.HALT),)

    def _untold(self, why: str) -> Verdict:
        text = f"{self.key} cannot be checked, since {why}; only reducing orders pass"
        return Verdict(self.key, passed=False, limit=self.terms.limit, text=text)


def carried_number(carried: Mapping[str, str], key: str) -> Decimal:
    """Return a number an earlier run left; 0 if it left none that can be read."""
    try:
        number = Decimal(carried.get(key, "0"))
    except InvalidOperation:
        return ZERO
    return number if number.is_finite() else ZERO


def _one_currency(view: RiskView) -> str:
    """Return what all instruments settle in; "" if that differs."""
    found = {each.base if each.inverse else each.quote for each in view.instruments.values()}
    return found.pop() if len(found) == 1 else ""
