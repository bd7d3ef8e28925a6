"""From an order's own methods to the desk of whoever owns it."""

from decimal import Decimal
from typing import TYPE_CHECKING

from botkit.engine.slot import StrategySlot
from botkit.orders import Order
from botkit.scope import CleanUpBudget
from botkit.strategy import Strategy, StrategyDesk

if TYPE_CHECKING:
    from botkit.engine.core import Engine

__all__ = ["DeskRouter"]

NO_DEADLINE_S = float("inf")


class DeskRouter:
    """Sends what an order's own methods ask to the desk of the strategy that owns it."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._slots = engine.slots
        self._absent: dict[str, StrategySlot] = {}  # owners that this run does not have

    def cancel(self, order: Order, *, at_once: bool = False) -> None:
        """Cancel inside a hook; from a coroutine the owner's wish enters as an event."""
        if self._engine.busy:
            self._engine.desk.cancel_wanted(order, at_once=at_once)
        else:
            self._desk_of(order).cancel(order, at_once=at_once)

    def replace(self, order: Order, price: Decimal | None, qty: Decimal | None) -> None:
        """Enter the owner's wish to replace."""
        self._desk_of(order).replace(order, price, qty)

    async def closed(self, order: Order) -> None:
        """Wait until the order is closed."""
        await self._desk_of(order).closed(order)

    def _desk_of(self, order: Order) -> StrategyDesk:
        """Return its owner's desk, or one of an owner that an earlier run had."""
        name = order.strategy
        slot = self._slots.get(name) or self._absent.get(name)
        if slot is None:
            slot = self._absent[name] = StrategySlot(
                self._engine,
                name=name,
                strategy=Strategy(),
                symbols=(),
                budget=CleanUpBudget(NO_DEADLINE_S),
                stop_on_error=False,
            )
        return slot.desk
