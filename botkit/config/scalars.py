"""How single values are read from a config: strictly, since a guess here becomes an order."""

import datetime as dt
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, get_args

from botkit.config.describing import allowed, found, nearest, options_of
from botkit.config.durations import parse_duration
from botkit.config.problems import Hook, Problem, ProblemsError, refusal
from botkit.config.secrets import MASK, EnvironmentText, Secret

__all__ = ["SCALARS", "take_duration", "take_option", "take_scalar"]

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,40}")


def _take_text(value: Any, type_: Any) -> str:
    if not isinstance(value, str):
        raise refusal(value, type_)
    return value if isinstance(value, EnvironmentText) else str(value)


def _take_secret(value: Any, type_: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        kind = found(value).rpartition(" (")[2].rstrip(")")
        text = f"found {MASK} ({kind}), allowed: {allowed(type_)}"
        raise ProblemsError([Problem((), text)])
    return Secret(value)


def _take_path(value: Any, type_: Any) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or "\0" in value:
        raise refusal(value, type_)
    return Path(value)


def _take_bool(value: Any, type_: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, EnvironmentText) and value in {"true", "false"}:
        return value == "true"  # the environment holds nothing but text
    raise refusal(value, type_)


def _take_int(value: Any, type_: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, EnvironmentText) and _WHOLE.fullmatch(value):
        return int(value)
    raise refusal(value, type_)


def _take_float(value: Any, type_: Any) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        number = float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = _to_float(value)
    else:
        raise refusal(value, type_)
    if not math.isfinite(number):
        raise refusal(value, type_, " that is finite")
    return number


def _to_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _take_decimal(value: Any, type_: Any) -> Decimal:
    if isinstance(value, float):
        why = f"; write it in quotes, {value!r} as float is not exact"
        raise refusal(value, type_, why)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise refusal(value, type_)


def take_duration(value: Any, type_: Any) -> int:
    """Read a `Duration`."""
    if not isinstance(value, str):
        raise refusal(value, type_)
    try:
        return parse_duration(value)
    except ValueError as error:
        raise refusal(value, type_, f"; {error}") from None


def take_option(value: Any, type_: Any) -> Any:
    """Take a member of an enum or `Literal` by its value; True is not 1."""
    members = list(get_args(type_) or type_)
    for member, option in zip(members, options_of(type_), strict=True):
        if value == option and isinstance(value, bool) is isinstance(option, bool):
            return member
        if value is member:
            return member
    is_word = isinstance(value, str) and not isinstance(value, EnvironmentText)
    raise refusal(value, type_, nearest(value, options_of(type_)) if is_word else "")


def _take_anything(value: Any, _: Any) -> Any:
    return value


def _take_instance(value: Any, type_: Any) -> Any:
    """Take what TOML reads into a type of its own: dates and times."""
    if type(value) is not type_:
        raise refusal(value, type_)
    return value


SCALARS: Final[Mapping[Any, Hook]] = {
    str: _take_text,
    Secret: _take_secret,
    Path: _take_path,
    bool: _take_bool,
    int: _take_int,
    float: _take_float,
    Decimal: _take_decimal,
    Any: _take_anything,
    object: _take_anything,
    dt.datetime: _take_instance,
    dt.date: _take_instance,
    dt.time: _take_instance,
}


def take_scalar(value: Any, type_: Any) -> Any:
    """Read a single value of one of the types in `SCALARS`, or an enum's member."""
    hook = take_option if options_of(type_) else SCALARS.get(type_, _take_instance)
    return hook(value, type_)
