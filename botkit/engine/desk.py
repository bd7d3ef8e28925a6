"""The order desk of the engine: requests on their way out, reports on their way in."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from botkit.engine.channel import Channel, Route
from botkit.engine.dispatch import not_sent
from botkit.engine.holding import Holding
from botkit.engine.refusals import RefusalLog
from botkit.engine.router import DeskRouter
from botkit.errors import InvariantError
from botkit.gate import Gate, refusal
from botkit.model import (
    Approved,
    CancelAction,
    CancelOrder,
    ClientOrderId,
    Command,
    ExecType,
    ExecutionReport,
    FeeTold,
    Fill,
    HaltAction,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    Refused,
    ReplaceAction,
    ReplaceOrder,
    RequestKind,
    ResolveOrder,
    SendFailed,
    SubmitAction,
    TimerAction,
)
from botkit.orders import ClientOrderIds, Order, Outcome
from botkit.orders.pursuit import ask_status
from botkit.ports import Checked, Verdict

if TYPE_CHECKING:
    from botkit.engine.core import Engine
    from botkit.engine.slot import StrategySlot

__all__ = ["OrderDesk", "OrderNotice"]

Answer = ExecutionReport | OrderCancelReject | SendFailed | ResolveOrder
Wake = Callable[[], None]
REFUSALS_MAX: Final = 10_000  # of one strategy by one event: it places again what was refused


@attrs.frozen
class OrderNotice:
    """An order changed inside a hook (it was refused): its strategy is told after the hook."""

    order: Order
    receive_time_ns: int


@attrs.define
class Counts:
    """What the run has done so far, for the status view and the summary."""

    submitted: int = 0
    refused: int = 0
    cancels: int = 0
    fills: int = 0
    foreign: int = 0  # reports about orders that are not ours


class OrderDesk:
    """Turns wishes into recorded requests, and answers into fills, positions and hooks."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._gate = Gate(engine.settings.rules, engine.settings.capabilities)
        engine.orders.desk = DeskRouter(engine)
        self._outbox: list[Command] = []
        self._ids: ClientOrderIds | None = None
        self._refusals: dict[str, int] = {}  # by strategy, of the event being handled
        self._asked_ns: dict[ClientOrderId, int] = {}  # when a contradiction was last asked about
        self._refusal_log = RefusalLog(engine)
        self.holding = Holding(engine)
        self.onlookers: dict[str, Callable[[], None]] = {}  # told of every order that changed
        self._wanted: set[ClientOrderId] = set()  # to be canceled when they are old enough
        self.counts = Counts()
        self.close_waiters: dict[ClientOrderId, list[Wake]] = {}
        self.actions: dict[type, Callable[[Any], Any]] = {
            SubmitAction: self._submit,
            CancelAction: self._cancel_wish,
            ReplaceAction: self._replace,
            TimerAction: engine.set_timer,
            HaltAction: self._halt,
        }
        self.routes: dict[type, Route] = {
            ExecutionReport: self._on_report,
            OrderCancelReject: self._on_cancel_reject,
            OrderListing: self._on_listing,
            SendFailed: self._on_send_failed,
            OrderNotice: self._on_notice,
        }

    def start(self, run_id: str) -> None:
        """Make client order ids of this run from now on."""
        self._ids = ClientOrderIds(self._engine.settings.bot, run_id)

    def take_outbox(self) -> list[Command]:
        """Return the commands gathered since last asked."""
        commands, self._outbox = self._outbox, []
        self._refusals.clear()
        return commands

    def restrain(self, reason: str) -> None:
        """Let nothing but reducing orders pass from now on."""
        self._gate.restraint = reason

    def drop_unsent(self, reason: str) -> set[ClientOrderId]:
        """Take new orders and replaces out of the outbox; return the new orders' ids.

        Their strategies are told as of a request that never left.
        """
        dropped: set[ClientOrderId] = set()
        kept: list[Command] = []
        for command in self._outbox:
            if not isinstance(command, Approved):
                kept.append(command)
                continue
            request = command.request
            if isinstance(request, NewOrder):
                dropped.add(request.client_order_id)
            self._engine.later(not_sent(request, reason, self._engine.now_ns))
        self._outbox = kept
        return dropped

    def _halt(self, action: HaltAction) -> None:
        self._engine.guard.halt(action)

    # --- requests ---------------------------------------------------------------------------

    def next_id(self) -> ClientOrderId:
        """Return a client order id that no order has had."""
        if self._ids is None:
            raise InvariantError("an order was placed before the run started")
        return self._ids.next()

    def _submit(self, action: SubmitAction) -> Order:
        engine = self._engine
        slot = engine.slots[action.strategy]
        channel = engine.channels[action.symbol]
        request = NewOrder(
            client_order_id=self.next_id(),
            symbol=action.symbol,
            strategy=action.strategy,
            side=action.side,
            order_qty=action.order_qty,
            ord_type=action.ord_type,
            price=action.price,
            stop_px=action.stop_px,
            time_in_force=action.time_in_force,
            post_only=action.post_only,
            reduce_only=action.reduce_only,
            keep=action.keep,
            expire_time_ns=action.expire_time_ns,
            transact_time_ns=engine.now_ns,
        )
        return self.place(request, slot.blocked or channel.blocked)

    def place(self, request: NewOrder, blocked: str) -> Order:
        """Send `request` if it passes; hold it until the way is free; or return it as REJECTED.

        `blocked` is why none may pass now; empty if they may.
        """
        engine = self._engine
        channel = engine.channels[request.symbol]
        if blocked:
            return self._refuse(channel, request, _not_now(request, RequestKind.NEW, blocked))
        answer = self.judge(request)
        if isinstance(answer, Refused):
            verdict = self.last_verdict
            if verdict is not None and verdict.waits:
                waiting = self.holding.hold(request, verdict)
                if isinstance(waiting, Order):
                    return waiting
                answer = waiting
            return self._refuse(channel, request, answer)
        order = engine.orders.add(request, channel.instrument)
        self.hand_over(answer)
        return order

    def blocked(self, request: NewOrder) -> str:
        """Return why no order like `request` may pass now; empty if they may."""
        engine = self._engine
        if engine.flattener.owns(request.client_order_id):
            return engine.lifecycle.hindrance(request.symbol)
        slot = engine.slots.get(request.strategy)
        return (slot.blocked if slot is not None else "") or engine.channels[request.symbol].blocked

    def judge(self, request: NewOrder) -> Approved[NewOrder] | Refused:
        """Return the gate's answer; its verdicts are recorded, what is in the way is canceled."""
        answer = self._gate.approve_new(request, self._engine.guard.view.context(request.symbol))
        if self._gate.verdicts:
            self._note_verdicts(request)
        return answer

    def clears(self, request: NewOrder) -> bool:
        """Tell whether refusing `request` now would cancel orders that are in its way."""
        self.foresee(request)
        verdict = self.last_verdict
        return verdict is not None and bool(verdict.in_the_way)

    def foresee(self, request: NewOrder) -> Refused | None:
        """Return how the gate would refuse `request` now; None if it would pass or be held.

        Nothing is recorded, canceled or sent.
        """
        answer = self._gate.approve_new(request, self._engine.guard.view.context(request.symbol))
        verdict = self.last_verdict
        if isinstance(answer, Approved) or (verdict is not None and verdict.waits):
            return None
        return answer

    @property
    def last_verdict(self) -> Verdict | None:
        """The verdict that decided the latest request; None if no rule did."""
        verdicts = self._gate.verdicts
        return verdicts[-1] if verdicts else None

    def hand_over(self, approved: Approved[NewOrder]) -> None:
        """Record an approved order that counts already, and queue it for its venue."""
        engine, request = self._engine, approved.request
        self.counts.submitted += 1
        engine.journal.record(request)
        self._outbox.append(approved)
        if engine.guard.listens:
            engine.guard.sent(request, request.strategy)
        engine.touched = True

    def _note_verdicts(self, request: NewOrder | ReplaceOrder) -> None:
        """Record why `request` passed or not; cancel what a refusal wants out of the way."""
        verdicts = self._gate.verdicts
        self._engine.journal.record(
            Checked(client_order_id=request.client_order_id, verdicts=tuple(verdicts))
        )
        if verdicts[-1].in_the_way:
            self._clear_the_way(request, verdicts[-1])

    def _clear_the_way(self, request: NewOrder | ReplaceOrder, verdict: Verdict) -> None:
        """Cancel what the refusal of `request` wants gone, but for what is to be kept."""
        engine = self._engine
        reduces = engine.guard.view.context(request.symbol).is_reducing(request)
        what = f"an order of {request.strategy or 'nobody'}{' that reduces' if reduces else ''}"
        reason = f"by {verdict.rule}: {what} would meet it ({request.client_order_id})"
        for name in verdict.in_the_way:
            order = engine.orders.get(name)
            if order is not None and not order.keep:
                self.cancel(order, reason)

    def _refuse(self, channel: Channel, request: NewOrder, refused: Refused) -> Order:
        """Return the order as REJECTED: it never left, and `on_order` is told after this hook.

        While the bot stops nobody is told: a strategy that quotes again where an order has
        ended would be told of one refusal after the other.

        Raises
        ------
        RuntimeError
            The strategy answers every refusal with a new order, without end.
        """
        count = self._refusals[request.strategy] = self._refusals.get(request.strategy, 0) + 1
        if count > REFUSALS_MAX:
            raise RuntimeError(
                f"{REFUSALS_MAX} orders were refused at one event, the last because of: "
                f"{refused.text}; do not place again in on_order what was refused, set a timer"
            )
        order = self._engine.orders.refused(request, channel.instrument, refused.text)
        self.note_refusal(refused)
        if not self._engine.lifecycle.stopping:
            self.tell_later(order)
        return order

    def tell_later(self, order: Order) -> None:
        """Tell the strategy of a changed order once the present event is handled."""
        self._engine.later(OrderNotice(order, self._engine.now_ns))

    def note_refusal(self, refused: Refused) -> None:
        """Count, record and log a refusal."""
        self.counts.refused += 1
        self._engine.touched = True
        self._engine.journal.record(refused)
        self._refusal_log.note(refused)

    def _cancel_wish(self, action: CancelAction) -> None:
        orders = self._engine.orders
        if action.client_order_id is None:
            for order in orders.working(strategy=action.strategy, symbol=action.symbol or None):
                self.cancel_wanted(order)
            return
        named = orders.get(action.client_order_id)
        if named is not None:
            self.cancel_wanted(named, at_once=action.at_once)

    def cancel_wanted(self, order: Order, *, at_once: bool = False) -> None:
        """Cancel `order` because its strategy wants it: unfilled, when it is as old as it must be.

        The wish waits here and not at the venue, so that any other cancel overtakes it.
        """
        engine, name = self._engine, order.client_order_id
        life_ns = engine.settings.capabilities[order.instrument.venue].min_life_ns
        due_ns = order.transact_time_ns + life_ns
        may_go = at_once or order.cum_qty or engine.lifecycle.stopping
        if may_go or not life_ns or engine.now_ns >= due_ns:
            self.cancel(order)
        elif name not in self._wanted:
            self._wanted.add(name)
            engine.call_at(due_ns, partial(self._cancel_now, order))

    def _cancel_now(self, order: Order) -> None:
        """Carry out a wish that has waited."""
        self._wanted.discard(order.client_order_id)
        self.cancel(order)

    def cancel(self, order: Order, reason: str = "") -> None:
        """Send a cancel for `order` if one is due. No rule, pause or fault holds it back."""
        if order.is_held:
            self.holding.drop(order, reason)
            return
        request = self._engine.orders.cancel_sent(order, self._engine.now_ns, reason)
        if request is not None:
            self.send(request)

    def cancel_each(self, orders: Sequence[Order]) -> None:
        """Cancel `orders`, except those a person wants kept; what was not sent cannot be kept."""
        for order in orders:
            if not order.keep or order.is_held:
                self.cancel(order)

    def send(self, command: Command) -> None:
        """Queue a command that needs no approval; a cancel is recorded."""
        if isinstance(command, CancelOrder):
            self.counts.cancels += 1
            self._engine.journal.record(command)
            if self._engine.guard.listens:
                order = self._engine.orders.get(command.client_order_id)
                self._engine.guard.sent(command, "" if order is None else order.strategy)
        self._outbox.append(command)
        self._engine.touched = True

    def _replace(self, action: ReplaceAction) -> None:
        engine = self._engine
        order = engine.orders.get(action.client_order_id)
        if order is None or not order.is_open:
            return
        slot, channel = engine.slots[action.strategy], engine.channels[order.symbol]
        request = ReplaceOrder(
            client_order_id=self.next_id(),
            orig_client_order_id=order.current_client_order_id,
            symbol=order.symbol,
            strategy=order.strategy,
            side=order.side,
            order_qty=order.order_qty if action.order_qty is None else action.order_qty,
            price=order.price if action.price is None else action.price,
            ord_type=order.ord_type,
            venue_order_id=order.venue_order_id,
            post_only=order.post_only,
            reduce_only=order.reduce_only,
            transact_time_ns=engine.now_ns,
        )
        blocked = slot.blocked or channel.blocked
        if order.replacing is not None:
            blocked = f"order {order.client_order_id} is being replaced: wait for the answer"
        elif order.is_held:
            blocked = f"order {order.client_order_id} is not sent yet: cancel it, send another"
        if blocked:
            self.note_refusal(_not_now(request, RequestKind.REPLACE, blocked))
            return
        answer = self._gate.approve_replace(request, engine.guard.view.context(order.symbol))
        if self._gate.verdicts:
            self._note_verdicts(request)
        if isinstance(answer, Refused):
            self.note_refusal(answer)
            return
        engine.orders.replace_sent(order, request)
        engine.journal.record(request)
        self._outbox.append(answer)
        if engine.guard.listens:
            engine.guard.sent(request, request.strategy)
        engine.touched = True

    # --- answers ----------------------------------------------------------------------------

    def _on_report(self, report: ExecutionReport) -> None:
        is_nameless = self._is_nameless(report)
        outcome = self._engine.orders.on_report(report)
        self._record(report, is_nameless=is_nameless)
        self.conclude(report, outcome)

    def _on_cancel_reject(self, reject: OrderCancelReject) -> None:
        self._engine.journal.record(reject)
        self.conclude(reject, self._engine.orders.on_cancel_reject(reject))

    def _on_send_failed(self, failure: SendFailed) -> None:
        self._engine.journal.record(failure)
        self.conclude(failure, self._engine.orders.on_send_failed(failure))

    def _on_listing(self, listing: OrderListing) -> None:
        """Take a listing as the reports in it; what it ends by absence is recorded as one more."""
        engine, reports = self._engine, listing.reports
        nameless = [self._is_nameless(report) for report in reports]
        outcomes = engine.orders.on_listing(listing)
        for report, is_nameless in zip(reports, nameless, strict=True):
            self._record(report, is_nameless=is_nameless)
        engine.reconciler.on_listing(listing)
        for report, outcome in zip(reports, outcomes, strict=False):  # then come the absent
            self._book(report, outcome)
        for outcome in outcomes[len(reports) :]:
            self._record_absent(outcome)
        engine.guard.watch()
        for outcome in outcomes:
            self._announce(outcome)

    def _is_nameless(self, report: ExecutionReport) -> bool:
        """Return whether nothing but its terms tells so far which order `report` is about."""
        if report.client_order_id is not None:
            return False
        return self._engine.orders.by_venue_id(report.symbol, report.venue_order_id) is None

    def _record(self, report: ExecutionReport, *, is_nameless: bool) -> None:
        """Record a report; by our name of its order if that was just found by its terms.

        Whoever takes the order over has the journal alone to know the venue's id for it by.
        """
        if is_nameless:
            order = self._engine.orders.by_venue_id(report.symbol, report.venue_order_id)
            if order is not None:
                name = order.client_order_id
                report = msgspec.structs.replace(report, client_order_id=name)
        self._engine.journal.record(report)

    def _on_notice(self, notice: OrderNotice) -> None:
        self.tell(notice.order)

    def conclude(self, answer: Answer, outcome: Outcome) -> None:
        """Book all that an answer did, then tell the strategy: no hook sees half of it."""
        if outcome.is_plain and outcome.order is not None:
            self._engine.touched = True
            if outcome.changed:
                self.tell(outcome.order)
            return
        self._book(answer, outcome)
        if outcome.fill is not None or outcome.then:
            self._engine.guard.watch()
        self._announce(outcome)

    def _book(self, answer: Answer, outcome: Outcome) -> None:
        engine = self._engine
        engine.touched = True
        if outcome.contradiction:
            self._contradicted(outcome)
        if outcome.order is None:
            self.counts.foreign += 1
            fields = {"report": msgspec.to_builtins(answer), "may_be": list(outcome.ambiguous)}
            engine.log("warning", "report about an order that is not ours", fields)
            if isinstance(answer, ExecutionReport):
                engine.reconciler.on_foreign(answer, outcome)
        if outcome.fill is not None:
            engine.portfolio.apply(outcome.fill)
            engine.guard.on_fill(outcome.fill)
            engine.journal.record(outcome.fill)
            self.counts.fills += 1
        for amended in outcome.amended:
            # Not recorded as a fill, which would count it twice.
            engine.portfolio.amend(amended)
            engine.guard.on_fee_told(amended)
            engine.journal.record(_fee_told(amended))
        for further in outcome.then:
            self._book(answer, further)

    def _announce(self, outcome: Outcome) -> None:
        """Tell the strategy: the fill first, then the order."""
        order, fill = outcome.order, outcome.fill
        if order is not None and fill is not None:
            slot = self._owner(order)
            if slot is not None:
                self._engine.call(slot, "on_fill", order, fill)
        if order is not None and outcome.changed:
            self.tell(order)
        for further in outcome.then:
            self._announce(further)

    def _record_absent(self, outcome: Outcome) -> None:
        """Journal the end of an order that no report told of, under every name it may have."""
        order, engine = outcome.order, self._engine
        assert order is not None  # only orders of ours can be missed
        engine.touched = True
        for name in (order.client_order_id, *order.aliases):
            engine.journal.record(
                ExecutionReport(
                    symbol=order.symbol,
                    ord_status=order.ord_status,
                    exec_type=ExecType.REJECTED,
                    client_order_id=name,
                    text=order.text,
                    receive_time_ns=engine.now_ns,
                )
            )

    def tell(self, order: Order) -> None:
        """Tell the strategy of a changed order; wake who waits; cancel what has no owner."""
        engine = self._engine
        slot = self._owner(order)
        if slot is not None:
            engine.call(slot, "on_order", order)
        if self.onlookers:
            for look in tuple(self.onlookers.values()):
                look()
        if engine.reconciler.unsettled:
            engine.reconciler.look(order)
        if order.is_open:
            if engine.lifecycle.stopping or slot is None or slot.ended:
                self._cancel_orphan(order)
        elif self.close_waiters or self._asked_ns:
            self._forget(order)

    def _owner(self, order: Order) -> "StrategySlot | None":
        """Return the strategy to be told of `order`; None if nobody here knows of it."""
        if order.orphaned or not self._engine.lifecycle.has_started:
            return None
        return self._engine.slots.get(order.strategy)

    def _forget(self, order: Order) -> None:
        """Wake who waits for the end of a closed order; keep no question about it."""
        self._asked_ns.pop(order.client_order_id, None)
        for wake in self.close_waiters.pop(order.client_order_id, ()):
            wake()

    def _cancel_orphan(self, order: Order) -> None:
        engine = self._engine
        if engine.lifecycle.stopping or not engine.flattener.owns(order.client_order_id):
            self.cancel_each([order])

    def _contradicted(self, outcome: Outcome) -> None:
        """Stop trading an instrument whose reports contradict each other, and ask the venue.

        Answers that contradict again are not answered by a question at once, or it would never end.
        """
        engine, order = self._engine, outcome.order
        assert order is not None  # a report contradicts what we know of an order
        engine.log(
            "error", "contradiction", {"symbol": order.symbol, "detail": outcome.contradiction}
        )
        engine.lifecycle.suspend(order.symbol, outcome.contradiction)
        asked_ns = self._asked_ns.get(order.client_order_id)
        if asked_ns is None or engine.now_ns - asked_ns >= engine.settings.timing.ask_every_ns:
            self._asked_ns[order.client_order_id] = engine.now_ns
            self.send(ask_status(order, engine.now_ns))

    def pursue(self) -> None:
        """Do what is due about orders the venue owes an answer for."""
        orders = self._engine.orders
        for command in orders.due(self._engine.now_ns):
            self.send(command)
        for order in orders.take_changed():
            self.tell(order)


def _fee_told(fill: Fill) -> FeeTold:
    assert fill.commission is not None  # the portfolio has booked it
    return FeeTold(
        client_order_id=fill.client_order_id,
        symbol=fill.symbol,
        strategy=fill.strategy,
        exec_id=fill.exec_id,
        qty=fill.qty,
        commission=fill.commission,
        commission_currency=fill.commission_currency,
        receive_time_ns=fill.receive_time_ns,
    )


def _not_now(request: NewOrder | ReplaceOrder, kind: RequestKind, reason: str) -> Refused:
    return refusal(request, kind, Verdict("ready", passed=False, text=reason))
