"""What strategies are called when their config does not say, or says it twice."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from botkit.config.emitting import quote_key

__all__ = [
    "NAME_PATTERN",
    "NAME_WORDS",
    "IsName",
    "effective_names",
    "name_and_type",
    "short_name",
    "strategy_key",
    "strategy_keys",
]

NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}"
NAME_WORDS: Final = (
    'up to 32 letters, digits, ".", "_" and "-", without accents, the first a letter or a digit'
)


@attrs.frozen
class IsName:
    """A validator that says in words what `NAME_PATTERN` allows."""

    pattern: re.Pattern[str] = re.compile(NAME_PATTERN)  # looked at for the JSON Schema too

    def __call__(self, _: object, attribute: "attrs.Attribute[str]", value: str) -> None:
        """Object to what is no name, as validators of attrs do."""
        if not self.pattern.fullmatch(value):
            raise ValueError(f"'{attribute.name}' must be {NAME_WORDS}")


def short_name(type_: str) -> str:
    """Return what a strategy is called if nothing else is said: its class, file or entry point."""
    name = type_.rpartition(":")[2] if ":" in type_ else type_
    return name.rpartition("/")[2].removesuffix(".py")


def effective_names(strategies: Sequence[tuple[str | None, str]]) -> list[str]:
    """Return one name for each (name, type): as given, else the short name, numbered if taken."""
    given = {name for name, _ in strategies if name}
    names: list[str] = []
    for name, type_ in strategies:
        names.append(name or _free_name(short_name(type_), {*names, *given}))
    return names


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free and free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def strategy_key(name: str) -> str:
    """Return the dotted key of the strategy called `name`, as messages and `--set` have it."""
    return f"strategies.{quote_key(name)}"


def strategy_keys(tables: Any) -> list[str]:
    """Return the dotted key of each of `[[strategies]]`: by name, by index if it has none."""
    elements = tables if isinstance(tables, list) else []
    names = effective_names([name_and_type(element) for element in elements])
    return [
        strategy_key(name)
        if re.fullmatch(NAME_PATTERN, name) and names.count(name) == 1
        else f"strategies.{i}"
        for i, name in enumerate(names)
    ]


def name_and_type(element: Any) -> tuple[str | None, str]:
    """Return the name and the type that one of `[[strategies]]` gives; None and "" for none."""
    if not isinstance(element, Mapping):
        return None, ""
    name, type_ = element.get("name"), element.get("type")
    return name if isinstance(name, str) else None, type_ if isinstance(type_, str) else ""
