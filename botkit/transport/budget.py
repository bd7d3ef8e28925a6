"""Rate limits kept on our side: what would exceed them is refused, never queued."""

import collections
import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import attrs
import trio

__all__ = ["Budget", "BudgetedVenue", "RateLimit"]


@attrs.define(kw_only=True, eq=False)
class Budget:
    """At most `limit` in any stretch of `window_s`, counted exactly: no burst at the seam of two.

    Parameters
    ----------
    reserve
        How many of `limit` only urgent takers may have: cancels, or the watcher's connection.
    """

    limit: int = attrs.field(validator=attrs.validators.ge(1))
    window_s: float = attrs.field(validator=attrs.validators.gt(0.0))
    reserve: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    _taken: collections.deque[float] = attrs.field(factory=collections.deque, init=False)
    _held_until: float = attrs.field(default=-math.inf, init=False)

    def left(self, *, urgent: bool = False) -> int:
        """Return how many may be taken now: the reserve counts only if `urgent`; 0 while held."""
        now = trio.current_time()
        while self._taken and self._taken[0] + self.window_s <= now:
            self._taken.popleft()
        if now < self._held_until:
            return 0
        return max(0, self._most(urgent=urgent) - len(self._taken))

    def take(self, count: int = 1, *, urgent: bool = False) -> bool:
        """Take `count` if there are that many; else take none and return False."""
        if count > self.left(urgent=urgent):
            return False
        self._taken.extend([trio.current_time()] * count)
        return True

    def give_back(self) -> None:
        """Take back the newest that was taken: it was not used."""
        if self._taken:
            self._taken.pop()

    def wait_s(self, count: int = 1, *, urgent: bool = False) -> float:
        """Return the seconds until `count` will be there; `inf` if never."""
        return max(0.0, self._free_at(count, urgent=urgent) - trio.current_time())

    async def wait(self, count: int = 1, *, urgent: bool = False) -> None:
        """Take `count`, after waiting for them: for connecting, not for orders.

        Raises `ValueError` if there never are so many.
        """
        if count > self._most(urgent=urgent):
            raise ValueError(
                f"cannot take {count} at once from a budget of {self.limit} with {self.reserve} "
                "reserved: raise the limit or take fewer"
            )
        await trio.lowlevel.checkpoint()
        while not self.take(count, urgent=urgent):
            free_at = self._free_at(count, urgent=urgent)
            await trio.sleep_until(free_at)

    def _most(self, *, urgent: bool) -> int:
        return self.limit - (0 if urgent else self.reserve)

    def _free_at(self, count: int, *, urgent: bool) -> float:
        most = self._most(urgent=urgent)
        if count > most:
            return math.inf
        self.left()
        missing = len(self._taken) + count - most
        free_at = self._taken[missing - 1] + self.window_s if missing > 0 else -math.inf
        return max(free_at, self._held_until)

    def hold(self, seconds: float) -> None:
        """Refuse everything for `seconds`: the venue said to come back later."""
        self._held_until = max(self._held_until, trio.current_time() + seconds)


@attrs.define(eq=False)
class RateLimit:
    """Several budgets that one request spends from, such as ten a second and 180 a minute."""

    budgets: Sequence[Budget]

    def left(self, *, urgent: bool = False) -> int:
        """Return how many the tightest budget has left."""
        return min(budget.left(urgent=urgent) for budget in self.budgets)

    def take(self, count: int = 1, *, urgent: bool = False) -> bool:
        """Take `count` from every budget, or none from any and return False."""
        if count > self.left(urgent=urgent):
            return False
        for budget in self.budgets:
            budget.take(count, urgent=urgent)
        return True

    def wait_s(self, count: int = 1, *, urgent: bool = False) -> float:
        """Return the seconds until `count` will be there; `inf` if never."""
        return max(budget.wait_s(count, urgent=urgent) for budget in self.budgets)

    def hold(self, seconds: float) -> None:
        """Refuse everything for `seconds`."""
        for budget in self.budgets:
            budget.hold(seconds)


@runtime_checkable
class BudgetedVenue(Protocol):
    """A venue that counts connections: each attempt to connect takes one of its budget."""

    connect_budget: Budget
