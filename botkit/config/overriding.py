"""`--set a.b.c=value`: one value of a config replaced from the command line."""

import re
import tomllib
from collections.abc import Sequence
from typing import Any, Final

from botkit.config.describing import listed, nearest
from botkit.config.naming import effective_names, name_and_type

__all__ = ["apply_overrides"]

_SEGMENT: Final = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^.="'\s]+))\s*([.=])""")


class _OverrideError(Exception):
    """An override that cannot be applied; the text says why."""


def apply_overrides(document: dict[str, Any], overrides: Sequence[str]) -> list[str]:
    """Change `document` as each of "a.b.c=value" asks; return what is wrong, a sentence each.

    A value is read as TOML (`7`, `true`, `"text"`, `{ a = 1 }`) and is text if it is none. A number
    with a point stays text, which fields of every kind of number read exactly. Tables on the way
    are made; an entry of an array is named by its index, a strategy by its name as well.
    """
    problems = []
    for override in overrides:
        try:
            keys, text = _split(override)
            _set(document, keys, _parsed(text))
        except _OverrideError as error:
            problems.append(str(error))
    return problems


def _split(override: str) -> tuple[list[str], str]:
    keys: list[str] = []
    position = 0
    while match := _SEGMENT.match(override, position):
        keys.append(next(part for part in match.groups() if part is not None))
        position = match.end()
        if match[4] == "=":
            return keys, override[position:].strip()
    raise _OverrideError("--set: found no key and value, allowed: KEY.KEY=VALUE")


def _parsed(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}", parse_float=str)
    except (ValueError, RecursionError):
        return text
    return document["value"] if len(document) == 1 else text


def _set(document: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    here: Any = document
    for depth, key in enumerate(keys):
        trail = ".".join(keys[:depth])
        place = _place(here, key, trail)
        if depth == len(keys) - 1:
            here[place] = value
        elif isinstance(here, dict):
            here = here.setdefault(place, {})
        else:
            here = here[place]


def _place(here: Any, key: str, trail: str) -> str | int:
    """Return the key or index in `here` that `key` names."""
    if isinstance(here, dict):
        return key
    if not isinstance(here, list):
        raise _OverrideError(f"--set {trail}.{key}: {trail} is a single value, it holds no {key}")
    if key.isascii() and key.isdigit() and len(key) < 6 and int(key) < len(here):  # noqa: PLR2004
        return int(key)
    names = effective_names([name_and_type(element) for element in here])
    if names.count(key) == 1:
        return names.index(key)
    known = [*map(str, range(len(here))), *filter(None, names)]
    raise _OverrideError(
        f"--set {trail}.{key}: found no such entry, or several, allowed: "
        f"{listed(known)}{nearest(key, known)}"
    )
