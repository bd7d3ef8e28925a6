"""`${NAME}` in a config's text: filled in from the environment, `$$` for a dollar sign."""

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from botkit.config.emitting import quote, quote_key
from botkit.config.secrets import MASK, EnvironmentText

__all__ = ["Expansion", "escaped"]

_DOLLAR: Final = re.compile(r"\$\$|\$\{([^${}]*)\}|\$\{")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NEEDS_ESCAPE: Final = re.compile(r"\$(?=[${])")


@attrs.define
class Expansion:
    """Fills in variables and gathers what is wrong: (dotted key, sentence) each."""

    environ: Mapping[str, str]
    problems: list[tuple[str, str]] = attrs.field(factory=list)

    def fill(self, value: Any, key: str = "") -> Any:
        """Return a nest of mappings and lists with every text in it filled in."""
        if isinstance(value, str):
            return self._fill_text(value, key) if "$" in value else value
        dot = "." if key else ""
        if isinstance(value, Mapping):
            return {
                name: self.fill(inner, f"{key}{dot}{quote_key(name)}")
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self.fill(inner, f"{key}{dot}{i}") for i, inner in enumerate(value)]
        return value

    def _fill_text(self, text: str, key: str) -> str:
        values: list[str] = []

        def fill_in(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            value = self._look_up(match, key)
            if value is None:
                return match[0]
            values.append(value)
            return value

        filled = _DOLLAR.sub(fill_in, text)
        if not values:
            return filled
        shown = _DOLLAR.sub(lambda match: "$" if match[0] == "$$" else MASK, text)
        return EnvironmentText(filled, shown, values)

    def _look_up(self, match: re.Match[str], key: str) -> str | None:
        name = match[1]
        if name is None or not _NAME.fullmatch(name):
            what = (
                f'found {quote(match[0])}, allowed: "${{NAME}}" for a variable, "$$" for a dollar'
            )
            self.problems.append((key, what))
            return None
        if name not in self.environ:
            what = f"the environment variable {name} is not set; set it before starting the bot"
            self.problems.append((key, what))
            return None
        return self.environ[name]


def escaped(value: Any) -> Any:
    """Return a nest of mappings and lists whose text `Expansion.fill` leaves as it is here."""
    if isinstance(value, str):
        return _NEEDS_ESCAPE.sub("$$", value)
    if isinstance(value, Mapping):
        return {name: escaped(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(inner) for inner in value]
    return value
