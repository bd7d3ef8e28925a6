"""A limit as the config gives it: one number for all instruments, or one for each."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import attrs

from botkit.config import found
from botkit.errors import ConfigError

__all__ = ["Limits"]


@attrs.frozen
class Limits:
    """`everywhere` holds where `by_symbol` has no limit of its own; None is no limit."""

    Value: ClassVar[Any] = Decimal | Mapping[str, Decimal]
    WholeValue: ClassVar[Any] = int | Mapping[str, int]
    everywhere: Decimal | None
    by_symbol: Mapping[str, Decimal]

    def of(self, symbol: str) -> Decimal | None:
        """Return the limit of one instrument."""
        return self.by_symbol.get(symbol, self.everywhere)

    @classmethod
    def from_config(cls, value: Any, source: str, *, whole: bool = False) -> "Limits":
        """Read `"5"` or `{ "venue:SYMBOL" = "5" }`; where `whole`, whole numbers alone.

        Raises
        ------
        ConfigError
            Naming `source` and each value that is not such a number above 0, or a float.
        """
        if isinstance(value, Mapping):
            problems: list[str] = []
            by_symbol: dict[str, Decimal] = {}
            for symbol, text in value.items():
                try:
                    by_symbol[symbol] = _positive(text, f"{source}.{symbol}", whole=whole)
                except ConfigError as exc:
                    problems.extend(exc.problems)
                if ":" not in symbol:
                    problems.append(f"{source}: found {found(symbol)}, allowed: venue:SYMBOL")
            if problems:
                raise ConfigError(problems)
            return cls(None, by_symbol)
        return cls(_positive(value, source, whole=whole), {})


def _positive(value: Any, source: str, *, whole: bool) -> Decimal:
    allowed = "a whole number above 0" if whole else 'a number above 0 as text, such as "5000"'
    wrong = ConfigError(f"{source}: found {found(value)}, allowed: {allowed}")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise wrong
    try:
        number = Decimal(value)
    except InvalidOperation as exc:
        raise wrong from exc
    if not (number.is_finite() and number > 0) or (whole and number % 1):
        raise wrong
    return number
