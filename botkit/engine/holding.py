"""New orders that wait for our own orders in their way: those are canceled, then they go."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from botkit.gate import refusal
from botkit.model import Approved, NewOrder, OrdStatus, Refused, RequestKind
from botkit.orders import Order
from botkit.ports import Held, Verdict

if TYPE_CHECKING:
    from botkit.engine.core import Engine

__all__ = ["Holding"]

NS_PER_S: Final = 1_000_000_000


@attrs.define(eq=False)
class _Waiting:
    """A request that waits, and the orders it waits for."""

    order: Order
    request: NewOrder
    verdict: Verdict
    ahead: Sequence[Order]


class Holding:
    """Holds orders back in the engine until what is in their way is confirmed gone.

    A held order counts in every limit and is nowhere else: canceling it drops it, and so does
    whatever cancels its owner's orders. Once the way is free every rule is asked again. It is
    refused if an order in its way turns UNKNOWN and is still in it, or after
    `OrderTiming.cancel_due_ns`, when a cancel counts as overdue.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._waiting: dict[Order, _Waiting] = {}

    def hold(self, request: NewOrder, verdict: Verdict) -> Order | Refused:
        """Return the order that waits, or the refusal: what is in its way will not go."""
        engine = self._engine
        ahead = self._ahead(verdict)
        stays = _stays(ahead)
        if stays:
            return _refused(request, verdict, stays)
        instrument = engine.channels[request.symbol].instrument
        order = engine.orders.add(request, instrument, held=True)
        order.text = verdict.text
        waiting = self._waiting[order] = _Waiting(order, request, verdict, ahead)
        names = tuple(each.client_order_id for each in ahead)
        engine.journal.record(
            Held(client_order_id=request.client_order_id, request=request, waits_for=names)
        )
        engine.touched = True
        engine.desk.onlookers["held"] = self.look
        patience_ns = engine.settings.timing.cancel_due_ns

        def expire() -> None:
            if self._waiting.get(order) is waiting:
                late = ", ".join(each.client_order_id for each in waiting.ahead if each.is_open)
                self._try(waiting, f"{late} not confirmed gone in {patience_ns / NS_PER_S:g} s")

        engine.call_at(engine.now_ns + patience_ns, expire)
        return order  # were those ahead held themselves, their drop is told, and `look` follows

    def look(self) -> None:
        """Send what has its way free, refuse what never will."""
        for waiting in list(self._waiting.values()):
            if waiting.order not in self._waiting:
                continue
            stays = _stays(waiting.ahead)
            if stays or not any(each.is_open for each in waiting.ahead):
                self._try(waiting, stays)
        if not self._waiting:
            self._engine.desk.onlookers.pop("held", None)

    def drop(self, order: Order, reason: str = "") -> None:
        """End a held order by its owner's word, or for a reason: it never left, nothing rests."""
        text = "canceled before it was sent" + (f", {reason}" if reason else "")
        waiting = self._waiting.pop(order)
        request, verdict = waiting.request, waiting.verdict
        self._engine.journal.record(
            refusal(request, RequestKind.NEW, Verdict(verdict.rule, passed=False, text=text))
        )
        self._end(order, OrdStatus.CANCELED, text)

    def _try(self, waiting: _Waiting, stays: str) -> None:
        """Ask every rule again, as if the order had just come; `stays` is why it waits no longer.

        What stays may be in the way no more, as where a replace was declined.
        """
        engine, order = self._engine, waiting.order
        blocked = engine.desk.blocked(waiting.request)
        if blocked:
            self._refuse(waiting, blocked)
            return
        request = msgspec.structs.replace(waiting.request, transact_time_ns=engine.now_ns)
        with engine.orders.without(order):
            answer = engine.desk.judge(request)
        if isinstance(answer, Approved):
            del self._waiting[order]
            engine.orders.release(order, engine.now_ns)
            engine.desk.hand_over(answer)
            return
        verdict = engine.desk.last_verdict
        if verdict is not None and verdict.waits:
            waiting.verdict, waiting.ahead = verdict, self._ahead(verdict)
            stays = stays or _stays(waiting.ahead)
            if not stays:
                return
            answer = _refused(request, verdict, stays)
        self._reject(waiting, answer)

    def _ahead(self, verdict: Verdict) -> list[Order]:
        found = (self._engine.orders.get(name) for name in verdict.in_the_way)
        return [order for order in found if order is not None]

    def _refuse(self, waiting: _Waiting, why: str) -> None:
        self._reject(waiting, _refused(waiting.request, waiting.verdict, why))

    def _reject(self, waiting: _Waiting, refused: Refused) -> None:
        del self._waiting[waiting.order]
        self._engine.desk.note_refusal(refused)
        self._end(waiting.order, OrdStatus.REJECTED, refused.text)

    def _end(self, order: Order, ord_status: OrdStatus, text: str) -> None:
        self._engine.orders.end_held(order, ord_status, text)
        self._engine.desk.tell_later(order)


def _stays(orders: Sequence[Order]) -> str:
    """Return why one of `orders` is not going to be gone; empty if they all may be."""
    for order in orders:
        if order.ord_status is OrdStatus.UNKNOWN:
            return f"{order.client_order_id} is UNKNOWN"
        if order.keep and order.is_open and not order.cancel_requested:
            return f"{order.client_order_id} is to be kept"
    return ""


def _refused(request: NewOrder, verdict: Verdict, why: str) -> Refused:
    text = f"{verdict.text}; it was not sent: {why}"
    return refusal(request, RequestKind.NEW, msgspec.structs.replace(verdict, text=text))
