"""What open orders could meet and may spend, looked up for risk rules."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from botkit.model import Side

if TYPE_CHECKING:
    from botkit.orders.groups import Group
    from botkit.orders.state import Order

__all__ = ["meeting", "reserved"]

ZERO: Final = Decimal(0)


def meeting(
    groups: "Iterable[Group]", symbol: str, side: Side, price: Decimal | None
) -> "list[Order]":
    """Return the open orders that an order of `side` at `price` could trade with."""
    is_buy = side is Side.BUY
    found: list[Order] = []
    for group in groups:
        if group.symbol != symbol:
            continue
        for order in group.orders.values():
            if order.side is side:
                continue
            resting = order.price
            if order.replacing is None and resting is not None and price is not None:
                meets = price >= resting if is_buy else price <= resting
            else:
                meets = _meets(price, order.prices(), is_buy=is_buy)
            if meets:
                found.append(order)
    return found


def _meets(price: Decimal | None, resting: Iterable[Decimal | None], *, is_buy: bool) -> bool:
    return price is None or any(
        each is None or (price >= each if is_buy else price <= each) for each in resting
    )


def reserved(
    groups: "Iterable[Group]",
    symbols: Iterable[str],
    worth_of: "Callable[[Order], Decimal | None]",
) -> Decimal | None:
    """Return the most the open buys in `symbols` may pay; None if `worth_of` cannot tell."""
    wanted = frozenset(symbols)
    buys = (
        order
        for group in groups
        if group.symbol in wanted and group.buy.qty
        for order in group.orders.values()
        if order.side is Side.BUY
    )
    total = ZERO
    for order in buys:
        if order.replacing is None and order.price is not None:
            total += order.price * order.counted_qty
            continue
        worth = worth_of(order)
        if worth is None:
            return None
        total += worth
    return total
