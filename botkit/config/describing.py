"""The words of a problem: what was found, what is allowed, which known name is nearest."""

import datetime as dt
import difflib
import enum
import types
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import attrs

from botkit.config.durations import DURATION
from botkit.config.emitting import quote
from botkit.config.secrets import MASK, EnvironmentText, Secret

__all__ = ["allowed", "found", "listed", "nearest", "options_of", "unwrapped"]

_LONGEST: Final = 60
_PLAIN: Final[Mapping[Any, str]] = {
    str: "text",
    Path: "a path as text",
    Secret: 'text, best taken from the environment as "${NAME}"',
    int: "an integer",
    float: "a number",
    bool: "true or false",
    Decimal: 'a number as text such as "0.1", or an integer',
    dt.datetime: "a date with a time",
    dt.date: "a date",
    dt.time: "a time of day",
    types.NoneType: "nothing",
    Any: "anything",
}


def found(value: Any) -> str:
    """Return `value` and its kind as a TOML reader knows them.

    What came from the environment is masked. What tables and arrays hold is not shown, since a
    secret may be in there.
    """
    if isinstance(value, Secret):
        return f"{MASK} (text)"
    if isinstance(value, str):
        shown = value.masked if isinstance(value, EnvironmentText) else str(value)
        return f"{quote(_shortened(shown))} (text)"
    if isinstance(value, Mapping):
        return f"a table of {len(value)}"
    if isinstance(value, list | tuple | AbstractSet):
        return f"an array of {len(value)}"
    if isinstance(value, bool):
        return f"{str(value).lower()} (boolean)"
    return f"{_shortened(_plain_text(value))} ({_kind(value)})"


def _kind(value: Any) -> str:
    if isinstance(value, dt.date | dt.time):
        return "date or time"
    return {int: "integer", float: "float"}.get(type(value), type(value).__name__)


def _plain_text(value: Any) -> str:
    """Return a number as TOML writes it; Python refuses to write out a very long integer."""
    if isinstance(value, int) and value.bit_length() > 4 * _LONGEST:
        return f"an integer of {value.bit_length()} bits"
    return str(value) if isinstance(value, dt.date | dt.time) else repr(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def unwrapped(type_: Any) -> Any:
    """Return `type_` less its names: `NewType` and every `Annotated` that is not a duration."""
    while True:
        if hasattr(type_, "__supertype__"):
            type_ = type_.__supertype__
        elif get_origin(type_) is Annotated and DURATION not in type_.__metadata__:
            type_ = type_.__origin__
        else:
            return type_


def options_of(type_: Any) -> list[Any]:
    """Return the values an enum or a `Literal` allows, as a config writes them; else none."""
    if get_origin(type_) is Literal:
        return [value.value if isinstance(value, enum.Enum) else value for value in get_args(type_)]
    if isinstance(type_, type) and issubclass(type_, enum.Enum):
        return [member.value for member in type_]
    return []


def listed(words: Iterable[Any]) -> str:
    """Return words as a message lists them: text in quotes, joined by commas."""
    return ", ".join(quote(word) if isinstance(word, str) else str(word) for word in words)


def allowed(type_: Any) -> str:
    """Return what a config may write where `type_` is asked for."""
    type_ = unwrapped(type_)
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return 'a duration as text such as "20ms"'
    if options := options_of(type_):
        return listed(options)
    if origin in {Union, types.UnionType}:
        members = (allowed(member) for member in arguments if member is not types.NoneType)
        return " or ".join(dict.fromkeys(members))
    if attrs.has(type_):
        return "a table"
    return _allowed_collection(origin or type_, arguments) or _PLAIN.get(
        type_, f"a {getattr(type_, '__name__', type_)}"
    )


def _allowed_collection(origin: Any, arguments: Sequence[Any]) -> str:
    if not isinstance(origin, type) or issubclass(origin, str):
        return ""
    if issubclass(origin, Mapping):
        return f"a table of {allowed(arguments[1])}" if arguments else "a table"
    if issubclass(origin, Sequence | AbstractSet):
        inner = [argument for argument in arguments if argument is not ...]
        if not inner:
            return "an array"
        fixed = origin is tuple and ... not in arguments
        return ("an array of " + ", ".join(map(allowed, inner))) + (" in turn" if fixed else "")
    return ""


def nearest(word: Any, known: Iterable[Any]) -> str:
    """Return "; did you mean 'x'?" if one of `known` is close to `word`, else nothing."""
    by_folded = {str(name).lower(): str(name) for name in known}
    close = difflib.get_close_matches(str(word)[:100].lower(), by_folded, n=1)
    return f"; did you mean '{by_folded[close[0]]}'?" if close else ""
