"""Orders that a person ends, since nobody else can say what became of them."""

from typing import TYPE_CHECKING

from botkit.model import ResolveOrder
from botkit.orders import word_problem

if TYPE_CHECKING:
    from botkit.engine.channel import Route
    from botkit.engine.core import Engine

__all__ = ["Resolver"]


class Resolver:
    """Takes a person's word on an UNKNOWN order, and books what it says has filled."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.routes: dict[type, Route] = {ResolveOrder: self._on_resolve}

    def problem(self, word: ResolveOrder) -> str:
        """Return why `word` cannot be taken; empty if it can."""
        orders = self._engine.orders
        order = orders.get(word.client_order_id)
        if order is not None:
            return word_problem(order, word)
        doubted = [each.client_order_id for each in orders.working() if each.in_doubt]
        if not doubted:
            return (
                f"order {word.client_order_id!r}: no order is UNKNOWN, so there is none to resolve"
            )
        return (
            f"order {word.client_order_id!r} is not UNKNOWN; those that are: {', '.join(doubted)}"
        )

    def _on_resolve(self, word: ResolveOrder) -> None:
        engine = self._engine
        problem = self.problem(word)
        order = engine.orders.get(word.client_order_id)
        if problem or order is None:
            engine.log("error", "order not resolved", {"problem": problem})
            return
        engine.journal.record(word)
        outcome = engine.orders.resolve(order, word)
        told = {"order": order.client_order_id, "as": word.ord_status, "reason": word.reason}
        engine.log("warning", "order resolved by a person's word", {**told, "by": word.by})
        engine.desk.conclude(word, outcome)
