"""What a feed is, and how fast it is played."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Final, Protocol

from botkit.errors import ConfigError
from botkit.model import MarketEvent

__all__ = ["Feed", "nearest", "parse_speed"]

TIMES_FASTER: Final = re.compile(r"(\d+(?:\.\d+)?)\s*x")


class Feed(Protocol):
    """Where the paper venue's market data come from.

    Attributes
    ----------
    speed
        How fast it is played: 1 is real time, `math.inf` as fast as it goes.
    """

    speed: float

    def first_time_ns(self) -> int | None:
        """Return the time stamp the feed starts with; None if it starts whenever it is run."""
        ...

    def events(self, start_ns: int) -> Iterator[MarketEvent]:
        """Yield from the beginning, ordered by `receive_time_ns`.

        `start_ns` is the time of the first event of a feed that has no times of its own.
        """
        ...

    def remarks(self) -> Sequence[str]:
        """Return what was out of order in it, a line each."""
        ...


def parse_speed(text: str, source: str) -> float:
    """Return how many times faster than real time `text` says: "realtime", "10x" or "max".

    Raises
    ------
    ConfigError
        `text` is something else, or "0x". `source` names the key's table.
    """
    wanted = text.strip().lower()
    if wanted == "realtime":
        return 1.0
    if wanted == "max":
        return math.inf
    match = TIMES_FASTER.fullmatch(wanted)
    speed = float(match[1]) if match else 0.0
    if not 0.0 < speed < math.inf:
        raise ConfigError(
            f'{source}: speed is {text!r}; it must be "realtime", "max", '
            'or how many times faster, such as "10x"'
        )
    return speed


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a clause that suggests the known name most like `name`; empty if none is."""
    found = get_close_matches(name, list(known), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
