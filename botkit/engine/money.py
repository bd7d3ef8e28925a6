"""Money inside the engine: totals in one currency, adjustments, and balances held against ours."""

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from botkit.model import Adjustment, AdjustmentKind, Balance
from botkit.portfolio import BalanceCheck, Difference, Rates, Total, total_of

if TYPE_CHECKING:
    from botkit.engine.channel import Route
    from botkit.engine.core import Engine

__all__ = ["Money"]

QUIET_NS: Final = 5_000_000_000
"""How long a balance and our records must both stand still before a difference is one."""

Key = tuple[str, str]


class Money:
    """Keeps `rates`, books adjustments and looks after balances.

    Venues tell fills and balances on separate ways, so one may be ahead of the other for a
    moment. A difference is told once neither has moved for `QUIET_NS`, and once for each change.
    """

    def __init__(self, engine: "Engine") -> None:
        settings = engine.settings
        self._engine = engine
        self.rates = Rates(
            settings.instruments, engine.touch_of, engine.quoted_ns, settings.rate_stale_ns
        )
        self._check = BalanceCheck(engine.portfolio)
        self._watched: dict[Key, Difference | None] = {}  # a timer runs; None: not known now
        self.routes: dict[type, Route] = {Adjustment: self._on_adjustment}

    def total(
        self,
        *,
        strategy: str | None = None,
        symbol: str | None = None,
        venue: str | None = None,
    ) -> Total | None:
        """Return profit and loss in the report currency, of all or a part; None without one."""
        engine = self._engine
        currency = engine.settings.report_currency
        if currency is None:
            return None
        return total_of(
            engine.portfolio,
            self.rates,
            currency,
            engine.now_ns,
            strategy=strategy,
            symbol=symbol,
            venue=venue,
        )

    # --- adjustments ------------------------------------------------------------------------

    def _on_adjustment(self, adjustment: Adjustment) -> None:
        engine, symbol = self._engine, adjustment.symbol
        if adjustment.kind is AdjustmentKind.CARRIED and symbol not in engine.channels:
            engine.journal.record(adjustment)  # for the run that trades it again
            engine.touched = True
            engine.log("info", "carried on: no strategy trades it now", _fields(adjustment))
            return
        problem = self.problem(adjustment)
        if problem:
            engine.log("error", "adjustment refused", {"problem": problem})
            return
        engine.journal.record(adjustment)
        engine.touched = True
        engine.portfolio.adjust(adjustment)
        engine.log("info", "adjusted", _fields(adjustment))
        for venue, currency in list(engine.lifecycle.balances):
            self._look(venue, currency)

    def problem(self, adjustment: Adjustment) -> str:
        """Return why an adjustment cannot be booked; empty if it can."""
        engine = self._engine
        if adjustment.kind is AdjustmentKind.DEPOSIT:
            return self._deposit_problem(adjustment)
        if adjustment.symbol not in engine.channels:
            known = ", ".join(engine.channels)
            return f"symbol: found {adjustment.symbol!r}, allowed: {known}"
        if adjustment.qty and (adjustment.price is None or adjustment.price <= 0):
            return f"price: found {adjustment.price}, allowed: what it counts as bought at, above 0"
        return self._trade_problem(adjustment) if adjustment.kind is AdjustmentKind.TRADE else ""

    def _trade_problem(self, trade: Adjustment) -> str:
        slots = self._engine.slots
        if not trade.qty:
            return "qty: found 0, allowed: what was bought, or below 0 what was sold"
        if trade.strategy and trade.strategy not in slots:
            return f"strategy: found {trade.strategy!r}, allowed: {', '.join(slots)}, or none"
        return ""

    def _deposit_problem(self, adjustment: Adjustment) -> str:
        channels = self._engine.channels.values()
        venues = dict.fromkeys(each.instrument.venue for each in channels)
        if adjustment.venue not in venues:
            return f"venue: found {adjustment.venue!r}, allowed: {', '.join(venues)}"
        if not adjustment.currency:
            return "currency: missing, allowed: that of the deposit"
        known = self._currencies(adjustment.venue)
        if adjustment.currency not in known:
            return f"currency: found {adjustment.currency!r}, allowed: {', '.join(known)}"
        return "" if adjustment.amount else "amount: found 0, allowed: what came, below 0 what went"

    def _currencies(self, venue: str) -> list[str]:
        """Return what a venue's instruments trade, and what it has told balances in."""
        channels = self._engine.channels.values()
        instruments = [each.instrument for each in channels if each.instrument.venue == venue]
        known = {name for each in instruments for name in (each.base, each.quote)}
        known.update(name for where, name in self._engine.lifecycle.balances if where == venue)
        return sorted(known)

    # --- balances ---------------------------------------------------------------------------

    def check_balance(self, balance: Balance) -> None:
        """Hold a venue's word against what fills, fees and adjustments say."""
        if self._check.tell(balance):
            self._look(balance.venue, balance.currency)

    def _look(self, venue: str, currency: str) -> None:
        """Watch a balance that differs until it stands still, or no longer differs."""
        if (venue, currency) in self._watched:
            return
        difference = self._check.difference(venue, currency)
        if difference is not None:
            self._watch(difference)

    def _watch(self, difference: Difference) -> None:
        engine, key = self._engine, (difference.venue, difference.currency)
        self._watched[key] = difference

        def look_again() -> None:
            del self._watched[key]
            now = self._check.difference(*key)
            if now == difference:
                self._warn(difference)
            elif now is not None:
                self._watch(now)

        engine.call_at(engine.now_ns + QUIET_NS, look_again)

    def _warn(self, difference: Difference) -> None:
        self._check.accept(difference)
        self._engine.log(
            "warning",
            "balance differs: a deposit, or a trade by hand? tell of it with botkit adjust",
            {
                "venue": difference.venue,
                "currency": difference.currency,
                "venue_says": _short(difference.told),
                "fills_and_fees_say": _short(difference.expected),
                "difference": _short(difference.told - difference.expected),
            },
        )


def _short(value: Decimal) -> Decimal:
    """Return a number without the zeros that adding and dividing leave at its end."""
    return Decimal(f"{value.normalize():f}")


def _fields(adjustment: Adjustment) -> dict[str, object]:
    """Return what the log says of an adjustment."""
    if adjustment.kind is AdjustmentKind.DEPOSIT:
        told: dict[str, object] = {
            "venue": adjustment.venue,
            "currency": adjustment.currency,
            "amount": adjustment.amount,
        }
    else:
        told = {
            "symbol": adjustment.symbol,
            "strategy": adjustment.strategy,
            "qty": adjustment.qty,
            "price": adjustment.price,
        }
    for name, said in (("reason", adjustment.reason), ("by", adjustment.by)):
        if said:
            told[name] = said
    return {"kind": adjustment.kind, **told}
