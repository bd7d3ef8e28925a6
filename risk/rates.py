"""A rate as the config gives it, and what was sent within its window."""

import re
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import attrs

from botkit.config import format_duration, parse_duration
from botkit.errors import ConfigError

__all__ = ["Rate", "Window"]

GRAINS: Final = 100
MOST: Final = 1_000_000  # at one time, of what a file says
PATTERN: Final = re.compile(r"([1-9][0-9]{0,8})/(.+)")


@attrs.frozen
class Rate:
    """No more than `count` within any `per_ns`."""

    count: int
    per_ns: int

    def __str__(self) -> str:
        return f"{self.count}/{format_duration(self.per_ns)}"

    @classmethod
    def from_config(cls, value: Any, source: str) -> "Rate":
        """Read `"20/1s"`.

        Raises
        ------
        ConfigError
            Naming `source` and what was found.
        """
        wrong = ConfigError(
            f"{source}: found {value!r}, allowed: a whole number above 0, a slash and a "
            'duration, such as "20/1s"'
        )
        match = PATTERN.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise wrong
        try:
            per_ns = parse_duration(match[2])
        except ValueError as exc:
            raise wrong from exc
        if not per_ns:
            raise wrong
        return cls(int(match[1]), per_ns)


@attrs.define
class Window:
    """Counts what was sent within the last `per_ns`."""

    per_ns: int
    _times_ns: deque[int] = attrs.field(factory=deque)

    def add(self, now_ns: int) -> None:
        """Count one more."""
        self._times_ns.append(now_ns)

    def count(self, now_ns: int) -> int:
        """Return how many there were in the window that ends now."""
        times_ns, since_ns = self._times_ns, now_ns - self.per_ns
        while times_ns and times_ns[0] <= since_ns:
            times_ns.popleft()
        return len(times_ns)

    def carried(self) -> Mapping[str, str]:
        """Return when, and how many then, for `carry_on` at the next start.

        What was sent within a hundredth of the window counts as sent at the end of that, so that
        there is little to keep, and nothing leaves the window sooner than it should.
        """
        groups: list[list[int]] = []
        for at_ns in reversed(self._times_ns):
            if at_ns <= self._times_ns[-1] - self.per_ns:
                break
            if groups and groups[-1][0] - at_ns < self.per_ns // GRAINS:
                groups[-1][1] += 1
            else:
                groups.append([at_ns, 1])
        return {"sent": " ".join(f"{at}x{count}" for at, count in reversed(groups))}

    def carry_on(self, carried: Mapping[str, str]) -> None:
        """Count what an earlier run sent; what cannot be read is left out."""
        for word in carried.get("sent", "").split():
            at, _, count = word.partition("x")
            if at.isdecimal() and count.isdecimal():
                self._times_ns.extend([int(at)] * min(int(count), MOST))
