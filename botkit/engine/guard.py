"""The risk desk of the engine: rules that watch, and the kill switch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import attrs

from botkit.engine.riskview import EngineView, ScopedRule
from botkit.model import (
    Balance,
    CancelOrder,
    CreditLimit,
    Fill,
    HaltAction,
    Halted,
    NewOrder,
    OrdType,
    ReplaceOrder,
    Side,
)
from botkit.orders import Order
from botkit.ports import (
    CarryingRule,
    Finding,
    ListeningRule,
    RiskAction,
    RiskRule,
    RiskScope,
    WatchingRule,
)

if TYPE_CHECKING:
    from botkit.engine.core import Engine

__all__ = ["Guard"]

WATCH_EVERY_NS: Final = 1_000_000_000


@attrs.frozen
class _Placed:
    """A rule of the config: where it stands there, what it looks at."""

    key: str
    scope: RiskScope
    rule: RiskRule


class Guard:
    """Lets rules watch, and halts the bot when one of them, a person or a strategy says so.

    Attributes
    ----------
    halted
        Why nothing but reducing orders passes; None while all may.
    listens
        Whether some rule wants to be told what is sent.
    view
        What rules that watch the whole bot see.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.halted: Halted | None = None
        self.view = EngineView(engine, RiskScope())
        self._is_watching = False
        self._rules = [_placed(rule) for rule in engine.settings.rules]
        self._watchers = [
            (each.key, each.rule, self.view.narrowed(each.scope))
            for each in self._rules
            if isinstance(each.rule, WatchingRule)
        ]
        self._listeners = [
            (each.rule, each.scope) for each in self._rules if isinstance(each.rule, ListeningRule)
        ]
        self.listens = bool(self._listeners)
        for each in self._rules:
            if isinstance(each.rule, CarryingRule):
                each.rule.carry_on(engine.settings.carried.get(each.key, {}))

    def carried(self) -> dict[str, Mapping[str, str]]:
        """Return what rules must know at the next start, by their keys."""
        return {
            each.key: each.rule.carried()
            for each in self._rules
            if isinstance(each.rule, CarryingRule)
        }

    # --- watching ---------------------------------------------------------------------------

    def start(self) -> None:
        """Watch from now on, once a second at least."""
        self._is_watching = bool(self._watchers)
        if self._is_watching:
            self._tick()

    def _tick(self) -> None:
        self.watch()
        self._engine.call_at(self._engine.now_ns + WATCH_EVERY_NS, self._tick)

    def watch(self) -> None:
        """Let every rule that watches look, and do what it wants done."""
        if not self._is_watching:
            return
        for key, rule, view in self._watchers:
            for finding in rule.watch(view):
                self._act(key, finding)

    def _act(self, key: str, finding: Finding) -> None:
        engine, verdict = self._engine, finding.verdict
        if finding.action is RiskAction.HALT:
            self.trip(
                Halted(
                    rule=key,
                    reason=verdict.text,
                    limit="" if verdict.limit is None else str(verdict.limit),
                    measured="" if verdict.measured is None else str(verdict.measured),
                    receive_time_ns=engine.now_ns,
                )
            )
            return
        for symbol in finding.symbols:
            resting = [order for order in engine.orders.working(symbol=symbol) if not order.keep]
            if any(not order.cancel_requested for order in resting):
                fields = {"rule": key, "symbol": symbol, "reason": verdict.text}
                engine.log("warning", "pulled what rested", fields)
            engine.desk.cancel_each(resting)

    def sent(self, request: NewOrder | ReplaceOrder | CancelOrder, strategy: str) -> None:
        """Tell the rules that count what is sent."""
        for rule, scope in self._listeners:
            if scope.covers(request.symbol, strategy):
                rule.sent(request, self._engine.now_ns)

    def on_fill(self, fill: Fill) -> None:
        """Note what a fill took from the account, until the venue tells the balance."""
        self.view.accounts.on_fill(fill)

    def on_fee_told(self, fill: Fill) -> None:
        """Note a fee that came after its fill."""
        self.view.accounts.on_fee_told(fill)

    def on_balance(self, balance: Balance) -> None:
        """Take the venue's word in place of what was noted since its last; then watch."""
        self.view.accounts.on_balance(balance)
        self.watch()

    def on_credit(self, limit: CreditLimit) -> None:
        """Take the venue's word on a counterparty's limit; then watch."""
        self.view.accounts.on_credit(limit)
        self.watch()

    # --- the kill switch --------------------------------------------------------------------

    def halt(self, action: HaltAction) -> None:
        """Trip on a strategy's word."""
        self.trip(
            Halted(
                rule=f"strategies.{action.strategy}",
                reason=action.reason or "no reason given",
                receive_time_ns=self._engine.now_ns,
            )
        )

    def trip(self, halted: Halted) -> None:
        """Drop what was not sent, cancel everything, let nothing but reducing orders pass.

        The first trip stays. Cancels leave before the trip is written to the disk.
        """
        engine = self._engine
        if self.halted is not None:
            return
        self.halted = halted
        engine.journal.record(halted)
        engine.touched = True
        engine.desk.restrain(f"the bot is halted by {halted.rule}: {halted.reason}")
        dropped = engine.desk.drop_unsent("dropped, not sent: the bot was halted before")
        engine.settings.recall("the bot was halted before")
        for order in engine.orders.working():
            if order.client_order_id not in dropped and not self._protects(order):
                engine.desk.cancel(order)
        engine.flush()
        fields = {"rule": halted.rule, "reason": halted.reason}
        engine.log("critical", "HALTED: nothing but reducing orders passes", fields)
        engine.settings.on_halt(halted)
        if not engine.settings.keep_running:
            engine.lifecycle.want_stop(f"halted by {halted.rule}: {halted.reason}")

    def _protects(self, order: Order) -> bool:
        """Tell whether a person wants `order` kept and it is a stop that can only reduce."""
        if not order.keep or order.ord_type not in (OrdType.STOP, OrdType.STOP_LIMIT):
            return False
        held = self.view.position(order.symbol)
        if not held or (held > 0) is (order.side is Side.BUY):
            return False
        return self.view.leaves(order.symbol, order.side) <= abs(held)


def _placed(rule: RiskRule | ScopedRule) -> _Placed:
    if isinstance(rule, ScopedRule):
        return _Placed(rule.key, rule.scope, rule.rule)
    return _Placed(rule.key, RiskScope(), rule)
