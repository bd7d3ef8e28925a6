"""TOML text from plain values; the standard library only reads it."""

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

__all__ = ["emit", "quote", "quote_key"]

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}
_UNSAFE: Final = re.compile(r'["\\\x00-\x1f\x7f\ud800-\udfff]')


def quote(text: str) -> str:
    """Return `text` as a TOML basic string; a lone surrogate, which TOML cannot say, as U+FFFD."""
    return f'"{_UNSAFE.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    return _ESCAPES.get(char, f"\\u{ord(char):04x}")


def quote_key(name: str) -> str:
    """Return `name` as a TOML key, quoted only if it must be."""
    return name if _BARE_KEY.fullmatch(name) else quote(name)


def emit(table: Mapping[str, Any]) -> str:
    """Return `table` as TOML text; `tomllib` reads the same table from it.

    Values are text, whole numbers, floats, booleans, dates and times, mappings, lists and
    tuples; a `Decimal` becomes text, and a key whose value is None is left out.

    Raises
    ------
    TypeError
        Any other value.
    """
    return "\n".join(_table(table, ())).lstrip("\n") + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of one table: its plain keys, then its tables, then its table arrays."""
    given = {name: value for name, value in table.items() if value is not None}
    for name, value in given.items():
        if not isinstance(value, Mapping) and not _is_table_array(value):
            yield f"{quote_key(name)} = {_inline(value)}"
    for name, value in given.items():
        inner = (*path, name)
        header = ".".join(map(quote_key, inner))
        if isinstance(value, Mapping):
            if not value or not all(isinstance(each, Mapping) for each in value.values()):
                yield f"\n[{header}]"
            yield from _table(value, inner)
        elif _is_table_array(value):
            for element in value:
                yield f"\n[[{header}]]"
                yield from _table(element, inner)


def _is_table_array(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(element, Mapping) for element in value)
    )


def _inline(value: Any) -> str:
    """Return a value as it stands to the right of an equals sign."""
    if isinstance(value, Mapping):
        pairs = (
            f"{quote_key(name)} = {_inline(inner)}"
            for name, inner in value.items()
            if inner is not None
        )
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str | Decimal):
        return quote(str(value))
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    raise TypeError(f"TOML has no {type(value).__name__}: {value!r}")
