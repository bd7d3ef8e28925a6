"""Where time comes from: the wall, a recording, or the engine of a backtest.

This is the only module that may read the clock.
"""

import time
from typing import Protocol

import attrs
import trio

__all__ = ["BacktestClock", "Clock", "LiveClock", "wall_time_ns"]

NS_PER_S = 1_000_000_000


def wall_time_ns() -> int:
    """Return nanoseconds since 1970 UTC by this machine's clock."""
    return time.time_ns()


class Clock(Protocol):
    """Tells the run's time in nanoseconds since 1970 UTC and waits for it."""

    def now_ns(self) -> int:
        """Return the time now."""
        ...

    async def sleep_until(self, due_ns: int) -> None:
        """Return once `due_ns` is reached; at once (after a checkpoint) if it has passed."""
        ...

    def trio_deadline(self, due_ns: int) -> float:
        """Return `due_ns` on trio's clock, for `trio.CancelScope(deadline=...)`."""
        ...


@attrs.define(kw_only=True)
class LiveClock:
    """Time that follows trio's clock from `origin_ns` on, `speed` times as fast.

    Wall-clock steps do not move it: timers neither jump nor stall. `speed` 1 and an origin read
    from the wall is live; the first time stamp of a recording as origin is a replay.
    Under `trio.testing.MockClock` it is simulated time.
    """

    origin_ns: int
    speed: float = attrs.field(default=1.0, validator=attrs.validators.gt(0.0))
    _started: float = attrs.field(factory=trio.current_time, init=False)

    def now_ns(self) -> int:
        """Return origin plus the time elapsed."""
        elapsed = (trio.current_time() - self._started) * self.speed
        return self.origin_ns + round(elapsed * NS_PER_S)

    def trio_deadline(self, due_ns: int) -> float:
        """Return `due_ns` on trio's clock, in seconds."""
        return self._started + (due_ns - self.origin_ns) / NS_PER_S / self.speed

    async def sleep_until(self, due_ns: int) -> None:
        """Return once `due_ns` is reached."""
        await trio.sleep_until(self.trio_deadline(due_ns))


@attrs.define(kw_only=True)
class BacktestClock:
    """Time that a loop moves: `current_ns` is set before each event. Nobody sleeps on it."""

    current_ns: int

    def now_ns(self) -> int:
        """Return the time of the event being handled."""
        return self.current_ns
