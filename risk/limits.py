"""A limit as the config gives it: one number for all instruments, or one for each."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import attrs

from botkit.errors import ConfigError

__all__ = ["Limits"]


@attrs.frozen
class Limits:
    """`everywhere` holds where `by_symbol` has no limit of its own; None is no limit."""

    everywhere: Decimal | None
    by_symbol: Mapping[str, Decimal]

    def of(self, symbol: str) -> Decimal | None:
        """Return the limit of one instrument."""
        return self.by_symbol.get(symbol, self.everywhere)

    @classmethod
    def from_config(cls, value: Any, source: str) -> "Limits":
        """Read `"5"` or `{ "venue:SYMBOL" = "5" }`.

        Raises
        ------
        ConfigError
            Naming `source` and each value that is not a number above 0 written as text.
        """
        if isinstance(value, Mapping):
            problems: list[str] = []
            by_symbol: dict[str, Decimal] = {}
            for symbol, text in value.items():
                try:
                    by_symbol[symbol] = _positive(text, f"{source}.{symbol}")
                except ConfigError as exc:
                    problems.extend(exc.problems)
                if ":" not in symbol:
                    problems.append(f"{source}: found {symbol!r}, allowed: venue:SYMBOL")
            if problems:
                raise ConfigError(problems)
            return cls(None, by_symbol)
        return cls(_positive(value, source), {})


def _positive(value: Any, source: str) -> Decimal:
    wrong = ConfigError(
        f"{source}: found {value!r} ({type(value).__name__}), "
        'allowed: a number above 0 as text, such as "5000"'
    )
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise wrong
    try:
        number = Decimal(value)
    except InvalidOperation as exc:
        raise wrong from exc
    if not (number.is_finite() and number > 0):
        raise wrong
    return number
