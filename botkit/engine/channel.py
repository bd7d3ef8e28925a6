"""What the engine keeps per instrument: its market, and whose hooks its events go to."""

from collections.abc import Callable, Iterable
from typing import Any

from botkit.engine.slot import Hook, StrategySlot
from botkit.marketdata import BarBuilder, Market
from botkit.model import Instrument, OwnLevels

__all__ = ["Channel", "Route", "Targets"]

Targets = tuple[tuple[StrategySlot, Hook], ...]
"""Whose hooks an event goes to, in the order of the config."""
Route = Callable[[Any], Targets | None]
"""What the engine does with one kind of event; it may return hooks to call with it."""


class Channel:
    """One instrument inside the engine.

    `blocked` says why no new order of this instrument passes, empty if they do. Market hooks
    are called only while it is awake: from the strategies' start to the bot's stop.
    """

    __slots__ = (
        "bar_builders",
        "bar_hooks",
        "blocked",
        "book_hooks",
        "book_ns",
        "is_awake",
        "market",
        "on_quote",
        "quote_waiters",
        "subscribers",
        "suspended",
        "trade_hooks",
    )

    def __init__(self, instrument: Instrument, own_levels: OwnLevels | None) -> None:
        self.market = Market(instrument, own_levels)
        self.subscribers: list[StrategySlot] = []
        self.blocked = ""
        self.suspended = ""
        self.book_ns = 0  # when the book last changed
        self.is_awake = False
        self.quote_waiters: list[Callable[[], None]] = []
        self.bar_builders: dict[int, tuple[BarBuilder, list[StrategySlot]]] = {}
        self.on_quote: Targets = ()
        self.trade_hooks: Targets = ()
        self.book_hooks: Targets = ()
        self.bar_hooks: Targets = ()

    @property
    def instrument(self) -> Instrument:
        """The instrument."""
        return self.market.instrument

    def rebuild(self) -> None:
        """Gather the hooks anew after a strategy has ended."""
        live = [slot for slot in self.subscribers if self.is_awake and not slot.ended]
        self.on_quote = _targets(live, "on_quote")
        self.trade_hooks = _targets(live, "on_trade")
        self.book_hooks = _targets(live, "on_book")
        self.bar_hooks = _targets(live, "on_bar")

    def wake(self) -> None:
        """Call market hooks from now on: the strategies have started."""
        self.is_awake = True
        self.rebuild()

    def silence(self) -> None:
        """Call no market hook any more: the bot is stopping."""
        self.is_awake = False
        self.rebuild()


def _targets(slots: Iterable[StrategySlot], hook: str) -> Targets:
    return tuple((slot, slot.hooks[hook]) for slot in slots if hook in slot.hooks)
