"""The resting orders of one market in price-time order, and the stops that wait for a print."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from botkit.model import Side

__all__ = ["BookSide", "LevelTotal", "StopBook"]

_BUY: Final = Side.BUY  # looking it up in its enum costs as much as a call (Python 3.11)


class Resting(Protocol):
    """What the book needs to know of an order: integers of ticks and lots."""

    ticks: int
    leaves: int
    priority: int
    """Its place in time: larger is later. Unique in a market, given on each entry."""


R = TypeVar("R", bound=Resting)


class LevelTotal(NamedTuple):
    """What rests at one price."""

    lots: int
    orders: int


NOTHING: Final = LevelTotal(0, 0)


class BookSide(Generic[R]):
    """Bids (BUY) or asks (SELL), best first, by order and by level."""

    __slots__ = ("_keys", "_levels", "_queue", "_sign", "side")

    def __init__(self, side: Side) -> None:
        self.side = side
        self._sign = -1 if side is _BUY else 1  # a smaller key is a better price
        self._queue: list[tuple[int, int, R]] = []
        self._levels: dict[int, LevelTotal] = {}  # by key
        self._keys: list[int] = []

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[R]:
        return (order for _, _, order in self._queue)

    @property
    def best(self) -> int:
        """Best price in ticks; 0 if the side is empty."""
        return self._keys[0] * self._sign if self._keys else 0

    def crosses(self, ticks: int) -> bool:
        """Tell whether an order of the *other* side at `ticks` would trade with this one."""
        return bool(self._keys) and self._keys[0] <= ticks * self._sign

    def add(self, order: R) -> int:
        """Put `order` behind those of its price; return its index from the best, 0 first."""
        key = order.ticks * self._sign
        index = bisect_left(self._queue, (key, order.priority))
        self._queue.insert(index, (key, order.priority, order))
        self._change(key, order.leaves, 1)
        return index

    def remove(self, order: R) -> int:
        """Take `order` out, with the lots it has left; return the index it had."""
        index = self._index(order)
        del self._queue[index]
        self._change(order.ticks * self._sign, -order.leaves, -1)
        return index

    def shrink(self, order: R, lots: int) -> int:
        """Count `lots` less at its level; it keeps its place, which is returned.

        The caller lowers `order.leaves`.
        """
        self._change(order.ticks * self._sign, -lots, 0)
        return self._index(order)

    def total(self, ticks: int) -> LevelTotal:
        """Return what rests at a price."""
        return self._levels.get(ticks * self._sign, NOTHING)

    def levels(self, depth: int | None = None) -> list[tuple[int, LevelTotal]]:
        """Return (ticks, total) of each level, best first."""
        return [(key * self._sign, self._levels[key]) for key in self._keys[:depth]]

    def _index(self, order: R) -> int:
        return bisect_left(self._queue, (order.ticks * self._sign, order.priority))

    def _change(self, key: int, lots: int, orders: int) -> None:
        total = self._levels.get(key)
        if total is None:
            insort(self._keys, key)
            total = NOTHING
        if total.orders + orders:
            self._levels[key] = LevelTotal(total.lots + lots, total.orders + orders)
        else:
            del self._levels[key]
            del self._keys[bisect_left(self._keys, key)]


class Waiting(Protocol):
    """What the stops need to know of an order."""

    side: Side
    stop_ticks: int
    order_id: int


W = TypeVar("W", bound=Waiting)


class StopBook(Generic[W]):
    """Stops by the print that triggers them: a buy at or above its stop price, a sell at or below.

    A side is sorted nearest first; a print takes off each front those it reaches.
    """

    __slots__ = ("_buys", "_sells")

    def __init__(self) -> None:
        self._buys: list[tuple[int, int, W]] = []
        self._sells: list[tuple[int, int, W]] = []

    def add(self, order: W) -> None:
        """Wait for a print to reach `order.stop_ticks`."""
        insort(self._of(order), self._entry(order))

    def remove(self, order: W) -> None:
        """Wait no longer."""
        stops = self._of(order)
        del stops[bisect_left(stops, self._entry(order))]

    def take_triggered(self, last_ticks: int) -> list[W]:
        """Return the stops that a print reaches, oldest order first, and forget them."""
        reached = _take_front(self._buys, last_ticks) + _take_front(self._sells, -last_ticks)
        reached.sort(key=lambda order: order.order_id)
        return reached

    def _of(self, order: W) -> list[tuple[int, int, W]]:
        return self._buys if order.side is _BUY else self._sells

    def _entry(self, order: W) -> tuple[int, int, W]:
        key = order.stop_ticks if order.side is _BUY else -order.stop_ticks
        return (key, order.order_id, order)


def _take_front(stops: list[tuple[int, int, W]], key: int) -> list[W]:
    reached = 0
    while reached < len(stops) and stops[reached][0] <= key:
        reached += 1
    taken = [order for _, _, order in stops[:reached]]
    del stops[:reached]
    return taken
