"""Timers of the engine: a heap of callbacks by due time."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

__all__ = ["NEVER_NS", "Timers"]

NEVER_NS: Final = 2**63 - 1


class Timers:
    """Calls callbacks in order of due time; those due at one instant in the order they were set."""

    __slots__ = ("_count", "_heap", "next_due_ns")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.next_due_ns = NEVER_NS  # when the next callback is due

    def call_at(self, due_ns: int, callback: Callable[[], None]) -> None:
        """Call `callback` once the engine's time reaches `due_ns`."""
        self._count += 1
        heappush(self._heap, (due_ns, self._count, callback))
        self.next_due_ns = self._heap[0][0]

    def pop(self) -> Callable[[], None]:
        """Take the next callback off."""
        callback = heappop(self._heap)[2]
        self.next_due_ns = self._heap[0][0] if self._heap else NEVER_NS
        return callback
