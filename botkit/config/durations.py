"""Durations as a config writes them, such as "250ms", and as the code counts them: nanoseconds."""

import re
from decimal import Decimal
from typing import Annotated, Final, TypeAlias

__all__ = ["DURATION", "Duration", "format_duration", "parse_duration"]

_NS: Final = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_PATTERN: Final = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?) ?(ns|us|ms|s|m|h|d)")
_MAX_NS: Final = 2**63 - 1

DURATION: Final = "botkit.Duration"
"""Marks an `int` annotation as a duration; see `Duration`."""
Duration: TypeAlias = Annotated[int, DURATION]
"""Nanoseconds in code, text such as "250ms" in a config."""


def parse_duration(text: str) -> int:
    """Return the nanoseconds in `text`: a number and one of ns, us, ms, s, m, h, d.

    Raises
    ------
    ValueError
        Not of that form, not a whole number of nanoseconds, or longer than 292 years.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError('a duration is a number and a unit (ns, us, ms, s, m, h, d), as in "1.5s"')
    number, unit = match.groups()
    length_ns = Decimal(number) * _NS[unit]
    if length_ns != int(length_ns):
        raise ValueError("a duration is a whole number of nanoseconds")
    if length_ns > _MAX_NS:
        raise ValueError("a duration is at most 106751 days")
    return int(length_ns)


def format_duration(length_ns: int) -> str:
    """Return `length_ns` (>= 0) in the largest unit that keeps it whole."""
    if length_ns == 0:
        return "0s"
    unit = next(unit for unit, ns in _NS.items() if length_ns % ns == 0)
    return f"{length_ns // _NS[unit]}{unit}"
