"""What strategies are called when their config does not say, or says it twice."""

from collections.abc import Sequence

__all__ = ["effective_names", "short_name"]


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
