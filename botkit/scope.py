"""Order scopes: a block of code at whose end nothing it placed rests at a venue.

Leaving the block cancels what is left in it and waits for the venue to confirm. All clean-up
shares one deadline, the earliest of the scope's, the strategy's and the bot's, and scopes that
unwind together share it too, so nesting does not add up waiting.
"""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Final, Protocol, Self, TypedDict, Unpack

import trio

from botkit.errors import OrdersInDoubtError
from botkit.model import ClientOrderId, Instrument, Number, OrdType, TimeInForce
from botkit.orders import Order

__all__ = ["CleanUpBudget", "OrderScope", "OrderTerms", "pull_orders"]

# Left on an exception that is leaving a scope: the deadline its clean-up had.
DEADLINE_MARK: Final = "_botkit_clean_up_deadline"


class CleanUpBudget:
    """The clean-up deadline of an owner: infinite until its clean-up starts.

    Parameters
    ----------
    timeout_s
        How long the owner's clean-up may take, in seconds of trio's clock.
    parent
        The budget of whoever owns the owner; its deadline binds too.
    """

    def __init__(self, timeout_s: float, parent: "CleanUpBudget | None" = None) -> None:
        self.timeout_s = timeout_s
        self._own_deadline = math.inf
        self._parent = parent

    @property
    def deadline(self) -> float:
        """The earliest deadline that binds, on trio's clock; infinite if none has started."""
        above = self._parent.deadline if self._parent is not None else math.inf
        return min(self._own_deadline, above)

    def start(self) -> float:
        """Start the clock, once; return the deadline that binds."""
        if self._own_deadline == math.inf:
            self._own_deadline = trio.current_time() + self.timeout_s
        return self.deadline


class OrderTerms(TypedDict, total=False):
    """What may be said of an order besides instrument, side and quantity.

    `price` and `stop_px` are quote currency per unit, on the tick grid. `ord_type` follows from
    them if left out: neither is MARKET, price LIMIT, stop_px STOP, both STOP_LIMIT.
    `time_in_force` is GTC if left out, IOC for MARKET. `keep` lets the order rest after the bot
    has gone; `expire_time_ns` belongs to GTD.
    """

    price: Decimal | str | int | None
    stop_px: Decimal | str | int | None
    ord_type: OrdType
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    keep: bool
    expire_time_ns: int


class Desk(Protocol):
    """What a scope needs of its strategy."""

    @property
    def budget(self) -> CleanUpBudget:
        """The strategy's clean-up deadline."""
        ...

    def buy(self, instrument: Instrument, qty: Number, **terms: Unpack[OrderTerms]) -> Order:
        """Place a buy."""
        ...

    def sell(self, instrument: Instrument, qty: Number, **terms: Unpack[OrderTerms]) -> Order:
        """Place a sell."""
        ...

    def give_up(self, client_order_ids: Sequence[ClientOrderId]) -> None:
        """Record with the engine that these orders are in doubt."""
        ...


async def pull_orders(orders: Sequence[Order], deadline: float) -> list[Order]:
    """Cancel `orders`, shielded, and wait for the venue's word; return those without it.

    The cancels are handed over before the first wait, even if `deadline` has passed.
    """
    left = [order for order in orders if order.is_open and not order.keep]
    for order in left:
        order.cancel()
    with trio.CancelScope(deadline=deadline, shield=True):
        for order in left:
            await order.closed()
    return [order for order in left if order.is_open]


class OrderScope:
    """Owns the orders placed through it; use as `async with self.order_scope() as scope`.

    Left in doubt (the deadline passed without the venue's word): by return, it raises
    `OrdersInDoubtError`; by an error, it raises an `ExceptionGroup` of both; by cancellation,
    the doubt is recorded with the engine and the cancellation goes on.
    """

    def __init__(self, desk: Desk, timeout_s: float) -> None:
        self._desk = desk
        self._timeout_s = timeout_s
        self._orders: list[Order] = []
        self._is_open = False

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders placed in this scope, oldest first, closed ones included."""
        return tuple(self._orders)

    def buy(self, instrument: Instrument, qty: Number, **terms: Unpack[OrderTerms]) -> Order:
        """Buy as `Strategy.buy` does; the order belongs to this scope."""
        return self._own(self._desk.buy)(instrument, qty, **terms)

    def sell(self, instrument: Instrument, qty: Number, **terms: Unpack[OrderTerms]) -> Order:
        """Sell as `Strategy.sell` does; the order belongs to this scope."""
        return self._own(self._desk.sell)(instrument, qty, **terms)

    def cancel_all(self) -> None:
        """Cancel every order of this scope that is still open."""
        for order in self._orders:
            if order.is_open:
                order.cancel()

    def _own(self, place: Callable[..., Order]) -> Callable[..., Order]:
        if not self._is_open:
            raise RuntimeError("this order scope has ended: place orders inside its block")

        def place_and_keep(*args: object, **terms: object) -> Order:
            order = place(*args, **terms)
            self._orders.append(order)
            return order

        return place_and_keep

    async def __aenter__(self) -> Self:
        self._is_open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        started = trio.current_time()
        deadline = min(
            started + self._timeout_s, self._desk.budget.deadline, _inherited_deadline(exc)
        )
        in_doubt = await pull_orders(self._orders, deadline)
        if not in_doubt:
            return
        ids = [order.client_order_id for order in in_doubt]
        self._desk.give_up(ids)
        doubt = OrdersInDoubtError(ids, waited_s=max(trio.current_time() - started, 0.0))
        if exc is None:
            leaving: BaseException = doubt
        elif _is_cancellation(exc):
            leaving = exc
        else:
            leaving = BaseExceptionGroup("left in doubt by an error", [exc, doubt])
        setattr(leaving, DEADLINE_MARK, deadline)
        if leaving is not exc:
            raise leaving from None


def _leaves(exc: BaseException) -> list[BaseException]:
    """Return `exc` and, if it is a group, everything in it."""
    if isinstance(exc, BaseExceptionGroup):
        return [exc, *(leaf for inner in exc.exceptions for leaf in _leaves(inner))]
    return [exc]


def _inherited_deadline(exc: BaseException | None) -> float:
    """Return the deadline of the clean-up that `exc` has already passed; infinite if none."""
    if exc is None:
        return math.inf
    return min(getattr(leaf, DEADLINE_MARK, math.inf) for leaf in _leaves(exc))


def _is_cancellation(exc: BaseException) -> bool:
    """Tell whether nothing but trio's cancellation is leaving."""
    return all(isinstance(leaf, trio.Cancelled | BaseExceptionGroup) for leaf in _leaves(exc))
