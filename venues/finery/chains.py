"""What each order id of Finery's stands for: `mod` ends one and begins another.

An order of ours is then a chain of ids. Each id counts from nothing, so what the order has filled
in all is what its earlier ids had, and what this one has.
"""

from typing import Final

import attrs

__all__ = ["Chains"]

REMEMBERED: Final = 20_000


@attrs.define
class _Id:
    """One id: its own size, and what earlier ids had filled (None: not known), in units."""

    initial: int
    before: int | None
    filled: int = 0


class Chains:
    """The ids of the orders this process has placed; outlives connections."""

    def __init__(self) -> None:
        self._ids: dict[int, _Id] = {}
        self._latest: dict[int, int] = {}  # by client order id
        self._placed: dict[int, None] = {}  # client order ids
        self._changing: set[int] = set()
        self._successors: dict[int, int] = {}

    def place(self, number: int) -> None:
        """Note that an order of this client order id is about to be sent."""
        self._placed[number] = None
        for table in (self._placed, self._ids, self._latest, self._successors):
            if len(table) > REMEMBERED:
                del table[next(iter(table))]

    def see(self, number: int, order_id: int, initial: int) -> None:
        """Take note of a row: the first of an order's, or one ahead of the reply to a `mod`."""
        before = self._latest.get(number)
        if order_id in self._ids or number not in self._placed:
            return
        if before is None:
            self._ids[order_id] = _Id(initial, 0)
        elif before in self._changing:
            self._ids[order_id] = _Id(initial, None)
            self._successors[before] = order_id
        self._latest[number] = order_id

    def change(self, order_id: int) -> None:
        """Note that a `mod` of this id is about to be sent."""
        self._changing.add(order_id)

    def unchanged(self, order_id: int) -> None:
        """Note that the `mod` was declined."""
        self._changing.discard(order_id)

    def changed(self, old: int, old_remaining: int, new: int, initial: int) -> None:
        """Take the reply to a `mod`: the id that ended with something left, and the one after."""
        ended = self._ids.get(old)
        before = None
        if ended is not None and ended.before is not None:
            before = ended.before + ended.initial - old_remaining
        self._ids[new] = _Id(initial, before)
        self._successors[old] = new

    def was_changed(self, order_id: int) -> bool:
        """Tell whether a `mod` ends this id, or has ended it."""
        return order_id in self._changing

    def now(self, order_id: int) -> int:
        """Return the id that an order has now."""
        while order_id in self._successors:
            order_id = self._successors[order_id]
        return order_id

    def filled(self, order_id: int) -> int:
        """Return what an order has surely filled in all; see `fill`."""
        known = self._ids.get(order_id)
        return 0 if known is None else (known.before or 0) + known.filled

    def fill(self, order_id: int, remaining: int) -> None:
        """Note how much is left of an id."""
        known = self._ids.get(order_id)
        if known is not None:
            known.filled = max(known.filled, known.initial - remaining)

    def totals(self, order_id: int, remaining: int) -> tuple[int, int] | None:
        """Return the order's whole quantity and what has filled of it, if that is known."""
        known = self._ids.get(order_id)
        if known is None or known.before is None:
            return None
        return known.before + known.initial, known.before + known.initial - remaining
