"""The order desk of the engine: requests on their way out, reports on their way in."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import msgspec

from botkit.engine.channel import Channel, Route
from botkit.errors import InvariantError
from botkit.gate import Gate, refusal
from botkit.model import (
    AskStatus,
    CancelAction,
    CancelOrder,
    ClientOrderId,
    Command,
    ExecutionReport,
    Instrument,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    Refused,
    ReplaceAction,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    SubmitAction,
    TimerAction,
)
from botkit.orders import ClientOrderIds, Order, Outcome
from botkit.ports import RiskContext, Verdict

if TYPE_CHECKING:
    from botkit.engine.core import Engine

__all__ = ["OrderDesk", "OrderNotice"]

R = TypeVar("R", NewOrder, ReplaceOrder)
Wake = Callable[[], None]


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


class DeskRouter:
    """Sends what an order's own methods ask to the desk of the strategy that owns it."""

    def __init__(self, engine: "Engine") -> None:
        self._slots = engine.slots

    def cancel(self, order: Order) -> None:
        """Enter the owner's wish to cancel."""
        self._slots[order.strategy].desk.cancel(order)

    def replace(self, order: Order, price: Decimal | None, qty: Decimal | None) -> None:
        """Enter the owner's wish to replace."""
        self._slots[order.strategy].desk.replace(order, price, qty)

    async def closed(self, order: Order) -> None:
        """Wait until the order is closed."""
        await self._slots[order.strategy].desk.closed(order)


class OrderDesk:
    """Turns wishes into recorded requests, and answers into fills, positions and hooks."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._gate = Gate(engine.settings.rules, engine.settings.capabilities)
        self._router = DeskRouter(engine)
        engine.orders.desk = self._router
        self._outbox: list[Command] = []
        self._ids: ClientOrderIds | None = None
        self.counts = Counts()
        self.close_waiters: dict[ClientOrderId, list[Wake]] = {}
        self.actions: dict[type, Callable[[Any], Any]] = {
            SubmitAction: self._submit,
            CancelAction: self._cancel_wish,
            ReplaceAction: self._replace,
            TimerAction: engine.set_timer,
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
        return commands

    # --- requests ---------------------------------------------------------------------------

    def _next_id(self) -> ClientOrderId:
        if self._ids is None:
            raise InvariantError("an order was placed before the run started")
        return self._ids.next()

    def _submit(self, action: SubmitAction) -> Order:
        engine = self._engine
        slot = engine.slots[action.strategy]
        channel = engine.channels[action.symbol]
        request = NewOrder(
            client_order_id=self._next_id(),
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
        blocked = slot.blocked or channel.blocked
        if blocked:
            return self._refuse(channel, request, _not_now(request, RequestKind.NEW, blocked))
        answer = self._gate.approve_new(request, self._risk(channel))
        if isinstance(answer, Refused):
            return self._refuse(channel, request, answer)
        order = engine.orders.add(request, channel.instrument)
        self.counts.submitted += 1
        engine.journal.record(request)
        self._outbox.append(answer)
        engine.touched = True
        return order

    def _risk(self, channel: Channel) -> RiskContext:
        """Return the channel's risk context, brought up to date."""
        risk = channel.risk
        risk.bid_px, risk.ask_px = channel.market.touch
        risk.now_ns = self._engine.now_ns
        return risk

    def _refuse(self, channel: Channel, request: NewOrder, refused: Refused) -> Order:
        """Return the order as REJECTED: it never left, and `on_order` is told after this hook."""
        order = _refused_order(request, channel.instrument, refused.text, self._router)
        self._note_refusal(refused)
        self._engine.later(OrderNotice(order, self._engine.now_ns))
        return order

    def _note_refusal(self, refused: Refused) -> None:
        self.counts.refused += 1
        self._engine.touched = True
        self._engine.journal.record(refused)
        self._engine.log("warning", "refused", msgspec.to_builtins(refused))

    def _cancel_wish(self, action: CancelAction) -> None:
        orders = self._engine.orders
        if action.client_order_id is None:
            for order in orders.working(strategy=action.strategy, symbol=action.symbol or None):
                self.cancel(order)
            return
        named = orders.get(action.client_order_id)
        if named is not None:
            self.cancel(named)

    def cancel(self, order: Order) -> None:
        """Send a cancel for `order` if one is due. No rule, pause or fault holds it back."""
        request = self._engine.orders.cancel_sent(order, self._engine.now_ns)
        if request is not None:
            self.send(request)

    def cancel_each(self, orders: Sequence[Order]) -> None:
        """Cancel `orders`, except those a person wants kept."""
        for order in orders:
            if not order.keep:
                self.cancel(order)

    def send(self, command: Command) -> None:
        """Queue a command that needs no approval; a cancel is recorded."""
        if isinstance(command, CancelOrder):
            self.counts.cancels += 1
            self._engine.journal.record(command)
        self._outbox.append(command)
        self._engine.touched = True

    def _replace(self, action: ReplaceAction) -> None:
        engine = self._engine
        order = engine.orders.get(action.client_order_id)
        if order is None or not order.is_open:
            return
        slot, channel = engine.slots[action.strategy], engine.channels[order.symbol]
        request = ReplaceOrder(
            client_order_id=self._next_id(),
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
        if blocked:
            self._note_refusal(_not_now(request, RequestKind.REPLACE, blocked))
            return
        answer = self._gate.approve_replace(request, self._risk(channel))
        if isinstance(answer, Refused):
            self._note_refusal(answer)
            return
        engine.orders.replace_sent(order, request)
        engine.journal.record(request)
        self._outbox.append(answer)
        engine.touched = True

    # --- answers ----------------------------------------------------------------------------

    def _on_report(self, report: ExecutionReport) -> None:
        self._engine.journal.record(report)
        self._conclude(report.symbol, self._engine.orders.on_report(report))

    def _on_cancel_reject(self, reject: OrderCancelReject) -> None:
        self._engine.journal.record(reject)
        self._conclude(reject.symbol, self._engine.orders.on_cancel_reject(reject))

    def _on_send_failed(self, failure: SendFailed) -> None:
        self._engine.journal.record(failure)
        self._conclude(failure.symbol, self._engine.orders.on_send_failed(failure))

    def _on_listing(self, listing: OrderListing) -> None:
        for report in listing.reports:
            self._engine.journal.record(report)
        for outcome in self._engine.orders.on_listing(listing):
            symbol = outcome.order.symbol if outcome.order is not None else ""
            self._conclude(symbol, outcome)

    def _on_notice(self, notice: OrderNotice) -> None:
        self.tell(notice.order)

    def _conclude(self, symbol: str, outcome: Outcome) -> None:
        """Book what an answer did, then tell the strategy: the fill first, then the order."""
        engine = self._engine
        engine.touched = True
        if outcome.contradiction:
            self._contradicted(symbol, outcome)
        order = outcome.order
        if order is None:
            engine.log("warning", "report about an order that is not ours", {"symbol": symbol})
            return
        fill = outcome.fill
        if fill is not None:
            engine.portfolio.apply(fill)
            engine.journal.record(fill)
            self.counts.fills += 1
            slot = engine.slots.get(order.strategy)
            if slot is not None:
                engine.call(slot, "on_fill", order, fill)
        if outcome.amended is not None:
            engine.portfolio.amend(outcome.amended)
            engine.journal.record(outcome.amended)
        if outcome.changed:
            self.tell(order)
        for further in outcome.then:
            self._conclude(symbol, further)

    def tell(self, order: Order) -> None:
        """Tell the strategy of a changed order; wake who waits; cancel what has no owner."""
        engine = self._engine
        slot = engine.slots.get(order.strategy)
        if slot is not None:
            engine.call(slot, "on_order", order)
        if order.is_open:
            if slot is None or slot.ended or engine.lifecycle.stopping:
                self.cancel_each([order])
            return
        for wake in self.close_waiters.pop(order.client_order_id, ()):
            wake()

    def _contradicted(self, symbol: str, outcome: Outcome) -> None:
        """Stop trading an instrument whose reports contradict each other, and ask the venue."""
        engine = self._engine
        engine.log("error", "contradiction", {"symbol": symbol, "detail": outcome.contradiction})
        engine.lifecycle.suspend(symbol, outcome.contradiction)
        order = outcome.order
        if order is not None:
            self.send(
                AskStatus(
                    client_order_id=order.current_client_order_id,
                    symbol=order.symbol,
                    venue_order_id=order.venue_order_id,
                    transact_time_ns=engine.now_ns,
                )
            )

    def pursue(self) -> None:
        """Do what is due about orders the venue owes an answer for."""
        orders = self._engine.orders
        for command in orders.due(self._engine.now_ns):
            self.send(command)
        for order in orders.take_changed():
            self.tell(order)


def _refused_order(request: NewOrder, instrument: Instrument, text: str, desk: DeskRouter) -> Order:
    """Return the handle of an order that never left: closed, and in no one's count."""
    return Order(
        client_order_id=request.client_order_id,
        current_client_order_id=request.client_order_id,
        instrument=instrument,
        strategy=request.strategy,
        side=request.side,
        ord_type=request.ord_type,
        order_qty=request.order_qty,
        price=request.price,
        stop_px=request.stop_px,
        time_in_force=request.time_in_force,
        post_only=request.post_only,
        reduce_only=request.reduce_only,
        keep=request.keep,
        transact_time_ns=request.transact_time_ns,
        ord_status=OrdStatus.REJECTED,
        text=text,
        desk=desk,
    )


def _not_now(request: NewOrder | ReplaceOrder, kind: RequestKind, reason: str) -> Refused:
    return refusal(request, kind, Verdict("ready", passed=False, text=reason))
