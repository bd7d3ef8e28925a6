"""Which of the venue's orders are ours, by its ids: it takes no names from us."""

from collections import OrderedDict
from decimal import Decimal
from typing import Final

import attrs

from botkit.model import ClientOrderId, Side

__all__ = ["Own", "OwnOrders"]

REMEMBERED: Final = 10_000


@attrs.define(kw_only=True)
class Own:
    """One order of ours. `is_seen`: the venue has said more of it than that it was taken in."""

    order_id: int
    symbol: str
    side: Side
    client_order_id: ClientOrderId | None = None
    order_qty: Decimal | None = None
    price: Decimal | None = None
    keep: bool = False
    is_seen: bool = False
    is_open: bool = True


class OwnOrders:
    """Kept for the life of the adapter, from one connection to the next.

    Every open order is kept, and the last 10,000 that have ended.
    """

    def __init__(self) -> None:
        self._by_id: dict[int, Own] = {}
        self._by_name: dict[ClientOrderId, int] = {}
        self._ended: OrderedDict[int, None] = OrderedDict()
        self._told: OrderedDict[tuple[int, int], None] = OrderedDict()

    def get(self, order_id: int | None) -> Own | None:
        """Return an order of ours; None if it is not known as such."""
        return None if order_id is None else self._by_id.get(order_id)

    def id_of(self, client_order_id: ClientOrderId) -> int | None:
        """Return the venue's id of an order of ours, if it has told one."""
        return self._by_name.get(client_order_id)

    def learn(self, own: Own) -> Own:
        """Note an order; what was known of it stays, and is added to."""
        known = self._by_id.setdefault(own.order_id, own)
        if own.client_order_id is not None:
            known.client_order_id = own.client_order_id
            self._by_name[own.client_order_id] = own.order_id
            known.keep = own.keep
        if known.order_qty is None:
            known.order_qty, known.price = own.order_qty, own.price
        return known

    def saw(self, order_id: int, *, ended: bool) -> None:
        """Note what the venue has said of an order; one that has ended stays so."""
        own = self._by_id.get(order_id)
        if own is None:
            return
        own.is_seen = True
        if not ended or not own.is_open:
            return
        own.is_open = False
        self._ended[order_id] = None
        if len(self._ended) > REMEMBERED:
            oldest, _ = self._ended.popitem(last=False)
            forgotten = self._by_id.pop(oldest)
            if forgotten.client_order_id is not None:
                self._by_name.pop(forgotten.client_order_id, None)

    def tell(self, order_id: int, trade_id: int) -> bool:
        """Note that a trade is told; False if it was before: socket and REST both tell it."""
        if (order_id, trade_id) in self._told:
            return False
        self._told[order_id, trade_id] = None
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return True

    def ours(self) -> list[Own]:
        """Return the orders that we sent and that may rest, as far as we know."""
        return [
            own for own in self._by_id.values() if own.is_open and own.client_order_id is not None
        ]
