"""Refused requests in the log: equal ones at most once in a while, with a count of the rest."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from botkit.model import Refused

if TYPE_CHECKING:
    from botkit.engine.core import Engine

__all__ = ["RefusalLog"]

QUIET_NS: Final = 10_000_000_000

Key = tuple[str, str, str]


@attrs.define
class _Heard:
    """What was logged of one kind of refusal, and how many since were not."""

    left_out: int = 0


class RefusalLog:
    """Logs refusals; of one rule, instrument and strategy at most one line in 10 s.

    Those left out are counted, and the count is in the line that ends the 10 s. The journal has
    each of them. While the bot stops they are worth a debug line alone.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._heard: dict[Key, _Heard] = {}

    def note(self, refused: Refused) -> None:
        """Log `refused`, or count it."""
        key = (refused.rule, refused.symbol, refused.strategy)
        heard = self._heard.get(key)
        if heard is not None:
            heard.left_out += 1
            return
        fields = msgspec.to_builtins(refused)
        self._say({name: value for name, value in fields.items() if value != "" and name != "type"})
        self._begin(key)

    def _begin(self, key: Key) -> None:
        heard = self._heard[key] = _Heard()
        engine = self._engine

        def end() -> None:
            del self._heard[key]
            if heard.left_out:
                rule, symbol, strategy = key
                told = {"symbol": symbol, "strategy": strategy, "rule": rule}
                self._say({**told, "more_in_10_s": heard.left_out})
                self._begin(key)

        engine.call_at(engine.now_ns + QUIET_NS, end)

    def _say(self, fields: Mapping[str, object]) -> None:
        level = "debug" if self._engine.lifecycle.stopping else "warning"
        self._engine.log(level, "refused", fields)
