"""Where time comes from: the wall, a recording, or the engine of a backtest.

This is the only module that may read the clock.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import attrs
import trio

__all__ = [
    "BacktestClock",
    "Clock",
    "LiveClock",
    "boot_time_ns",
    "cpu_time_ns",
    "monotonic_ns",
    "wall_time_ns",
]

NS_PER_S: Final = 1_000_000_000
FOREVER_S: Final = 1e6


def wall_time_ns() -> int:
    """Return nanoseconds since 1970 UTC by this machine's clock."""
    return time.time_ns()


def cpu_time_ns() -> int:
    """Return the CPU time this process has used, in nanoseconds."""
    return time.process_time_ns()


monotonic_ns: Final = time.perf_counter_ns
"""Return nanoseconds since some moment, for measuring how long something takes."""


boot_time_ns: Final[Callable[[], int]] = (
    partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic_ns
)
"""Return nanoseconds since the machine was started, those it slept through included (on Linux)."""


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


@attrs.define(kw_only=True, eq=False)
class BacktestClock(trio.abc.Clock):
    """Time that a loop moves, for the engine and, handed to `trio.run`, for trio as well.

    Attributes
    ----------
    origin_ns
        Where the run starts; 0 on trio's clock.
    current_ns
        The time of the event being handled. Never moved back.
    """

    origin_ns: int = 0
    current_ns: int = 0

    def begin(self, origin_ns: int) -> None:
        """Set the start, once, before anybody has looked at the clock."""
        self.origin_ns = self.current_ns = origin_ns

    def now_ns(self) -> int:
        """Return the time of the event being handled."""
        return self.current_ns

    def trio_deadline(self, due_ns: int) -> float:
        """Return `due_ns` on trio's clock, in seconds since the start."""
        return (due_ns - self.origin_ns) / NS_PER_S

    async def sleep_until(self, due_ns: int) -> None:
        """Return once the loop has reached `due_ns`."""
        await trio.sleep_until(self.trio_deadline(due_ns))

    def start_clock(self) -> None:
        """Do nothing: the loop moves this clock."""

    def current_time(self) -> float:
        """Return the seconds since the start."""
        return (self.current_ns - self.origin_ns) / NS_PER_S

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Return 0 for a deadline that has come; else a wait that only the loop ends."""
        return 0.0 if deadline <= self.current_time() else FOREVER_S
