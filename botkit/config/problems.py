"""What is wrong with one value, on its way up through the tables and arrays that hold it."""

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from botkit.config.describing import allowed, found

__all__ = ["Hook", "Problem", "ProblemsError", "attempt", "refusal"]

Hook = Callable[[Any, Any], Any]


@attrs.frozen
class Problem:
    """One sentence about the value at `path`."""

    path: tuple[str, ...]
    text: str

    def under(self, name: str) -> "Problem":
        """Return this problem as the table or array sees it that holds the value as `name`."""
        return Problem((name, *self.path), self.text)


class ProblemsError(Exception):
    """What is wrong with one value; never leaves this package."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__()
        self.problems = list(problems)


def attempt(hook: Hook, value: Any, type_: Any) -> tuple[Any, list[Problem]]:
    """Return what `hook` made of `value` and no problems, or None and the problems."""
    try:
        return hook(value, type_), []
    except ProblemsError as error:
        return None, error.problems


def refusal(value: Any, type_: Any, why: str = "") -> ProblemsError:
    """Return the error that says what was found and what `type_` allows."""
    return ProblemsError([Problem((), f"found {found(value)}, allowed: {allowed(type_)}{why}")])
