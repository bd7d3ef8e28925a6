"""Where orders are found again: by strategy and instrument, by venue."""

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import attrs

from botkit.model import ClientOrderId, VenueOrderId

if TYPE_CHECKING:
    from botkit.orders.state import Order
    from botkit.ports import Capabilities

__all__ = ["Group", "Tally", "VenueBook", "in_creation_order"]

ZERO: Final = Decimal(0)


@attrs.define(eq=False)
class Tally:
    """What may still fill on one side of one instrument."""

    qty: Decimal = ZERO


@attrs.define(eq=False)
class VenueBook:
    """What one venue can do, and the orders we know by its ids."""

    name: str
    capabilities: "Capabilities"
    by_venue_id: dict[VenueOrderId, "Order"] = attrs.field(factory=dict)
    others: set[VenueOrderId] = attrs.field(factory=set)  # of orders of earlier runs


@attrs.define(eq=False)
class Group:
    """The open orders of one strategy in one instrument, in creation order."""

    strategy: str
    symbol: str
    venue: VenueBook
    buy: Tally  # both shared by all strategies in the instrument
    sell: Tally
    orders: dict[ClientOrderId, "Order"] = attrs.field(factory=dict)

    def take_back(self, order: "Order") -> None:
        """Put an order that had been closed into its old place."""
        orders = in_creation_order([*self.orders.values(), order])
        self.orders = {each.client_order_id: each for each in orders}


def in_creation_order(orders: "list[Order]") -> "list[Order]":
    """Return `orders` as they were created."""
    return sorted(orders, key=_sequence)


def _sequence(order: "Order") -> int:
    return order.sequence
