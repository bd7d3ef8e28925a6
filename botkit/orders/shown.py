"""Which of our orders a venue's book shows, as levels to take off it."""

from collections.abc import Iterable
from typing import Final

from botkit.model import Level, OrdStatus, OrdType, Side, TimeInForce
from botkit.orders.state import Order

__all__ = ["shown_levels"]

RESTING: Final = frozenset(
    {
        OrdStatus.NEW,
        OrdStatus.PARTIALLY_FILLED,
        OrdStatus.PENDING_CANCEL,
        OrdStatus.PENDING_REPLACE,
    }
)
NEVER_REST: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})


def shown_levels(orders: Iterable[Order]) -> tuple[list[Level], list[Level]]:
    """Return our bids and asks among `orders` that the venue has confirmed as resting.

    UNKNOWN orders are left out: taking off what is not there would make a false hole in the book.
    """
    bids: list[Level] = []
    asks: list[Level] = []
    for order in orders:
        if order.price is not None and _rests(order):
            level = (float(order.price), float(order.leaves_qty))
            (bids if order.side is Side.BUY else asks).append(level)
    return bids, asks


def _rests(order: Order) -> bool:
    return (
        order.acknowledged
        and order.ord_status in RESTING
        and order.ord_type is OrdType.LIMIT
        and order.time_in_force not in NEVER_REST
    )
