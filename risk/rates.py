"""A rate as the config gives it, and what was sent within its window."""

import re
from collections import deque
from typing import Any, Final

import attrs

from botkit.config import format_duration, parse_duration
from botkit.errors import ConfigError

__all__ = ["Rate", "Window"]

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
