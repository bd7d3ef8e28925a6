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

# Left on an exception that is leaving a scope: the deadline its clean-up had, and when it ended.
MARK: Final = "_botkit_clean_up"
# An exception that reaches the next scope later than this was held back by code that went on.
UNWINDING_S: Final = 1.0


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
        self._waits: set[trio.CancelScope] = set()

    @property
    def deadline(self) -> float:
        """The earliest deadline that binds, on trio's clock; infinite if none has started."""
        above = self._parent.deadline if self._parent is not None else math.inf
        return min(self._own_deadline, above)

    def start(self) -> float:
        """Start the clock, once; return the deadline that binds, on waits under way as well."""
        if self._own_deadline == math.inf:
            self._own_deadline = trio.current_time() + self.timeout_s
            for wait in self._waits:
                wait.deadline = min(wait.deadline, self._own_deadline)
        return self.deadline

    def bind(self, wait: trio.CancelScope) -> None:
        """Have `wait` end by the deadline, also if that starts to run only during the wait."""
        self._waits.add(wait)
        wait.deadline = min(wait.deadline, self._own_deadline)
        if self._parent is not None:
            self._parent.bind(wait)

    def release(self, wait: trio.CancelScope) -> None:
        """Forget `wait`: it is over."""
        self._waits.discard(wait)
        if self._parent is not None:
            self._parent.release(wait)


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


async def pull_orders(
    orders: Sequence[Order], budget: CleanUpBudget, deadline: float = math.inf
) -> list[Order]:
    """Cancel `orders`, shielded, and wait for the venue's word; return those without it.

    The cancels are handed over before the first wait, even if the deadline has passed. What is to
    be kept, and nobody has asked to cancel, is left alone. Without an open order there is no wait.

    Parameters
    ----------
    budget
        Of the owner: its deadline binds, also if it starts to run while this waits.
    deadline
        A deadline of the caller's own, on trio's clock.
    """
    left = [order for order in orders if order.is_open and not order.is_kept]
    for order in left:
        order.cancel()
    with trio.CancelScope(deadline=deadline, shield=True) as wait:
        budget.bind(wait)
        try:
            for order in left:
                await order.closed()
        finally:
            budget.release(wait)
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
        self._has_begun = False

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
            state = "has ended" if self._has_begun else "has not begun"
            raise RuntimeError(f"this order scope {state}: place orders inside its block")

        def place_and_keep(*args: object, **terms: object) -> Order:
            order = place(*args, **terms)
            self._orders.append(order)
            return order

        return place_and_keep

    async def __aenter__(self) -> Self:
        if self._has_begun:
            raise RuntimeError("an order scope is entered once: ask for a new one")
        self._is_open = self._has_begun = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_open = False
        started = trio.current_time()
        own_deadline = min(started + self._timeout_s, _inherited_deadline(exc, started))
        in_doubt = await pull_orders(self._orders, self._desk.budget, own_deadline)
        ended = trio.current_time()
        leaving = exc
        if in_doubt:
            ids = [order.client_order_id for order in in_doubt]
            self._desk.give_up(ids)
            leaving = _join(exc, OrdersInDoubtError(ids, waited_s=ended - started))
        if leaving is not None:
            setattr(leaving, MARK, (min(own_deadline, self._desk.budget.deadline), ended))
            if leaving is not exc:
                raise leaving from None


def _join(exc: BaseException | None, doubt: OrdersInDoubtError) -> BaseException:
    """Return what leaves a scope in doubt: by return, by a cancellation, by an error."""
    if exc is None:
        return doubt
    if _is_cancellation(exc):
        return exc  # anything else would escape the timeout that canceled the block
    return BaseExceptionGroup("orders are in doubt after an error", [exc, doubt])


def _leaves(exc: BaseException) -> list[BaseException]:
    """Return `exc` and, if it is a group, everything in it."""
    if isinstance(exc, BaseExceptionGroup):
        return [exc, *(leaf for inner in exc.exceptions for leaf in _leaves(inner))]
    return [exc]


def _inherited_deadline(exc: BaseException | None, now: float) -> float:
    """Return the deadline of the clean-ups that `exc` has just passed; infinite if none."""
    if exc is None:
        return math.inf
    marks = (getattr(leaf, MARK, (math.inf, -math.inf)) for leaf in _leaves(exc))
    return min(
        (deadline for deadline, ended in marks if now - ended <= UNWINDING_S), default=math.inf
    )


def _is_cancellation(exc: BaseException) -> bool:
    """Tell whether nothing but trio's cancellation is leaving."""
    return all(isinstance(leaf, trio.Cancelled | BaseExceptionGroup) for leaf in _leaves(exc))
