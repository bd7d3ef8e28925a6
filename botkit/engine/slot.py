"""A strategy's place in the engine: its hooks, its timers, and what it may ask for."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from botkit.marketdata import Market
from botkit.model import Action, CleanUpExpired, ClientOrderId
from botkit.orders import Order
from botkit.scope import CleanUpBudget
from botkit.strategy import HOOKS, Strategy, StrategyDesk

if TYPE_CHECKING:
    from botkit.engine.core import Engine

__all__ = ["TIMERS_MAX", "Hook", "StrategySlot"]

Hook = Callable[..., None]
NS_PER_MS: Final = 1_000_000
TIMERS_MAX: Final = 10_000  # of one strategy in a millisecond of the engine's time


class StrategySlot:
    """One strategy in the engine; implements `botkit.strategy.StrategyContext`.

    `hooks` holds the overridden hooks by name, empty once the strategy has ended.
    """

    def __init__(
        self,
        engine: "Engine",
        *,
        name: str,
        strategy: Strategy,
        symbols: tuple[str, ...],
        budget: CleanUpBudget,
        stop_on_error: bool,
    ) -> None:
        self._engine = engine
        self.name = name
        self.strategy = strategy
        self.symbols = symbols
        self.budget = budget
        self.stop_on_error = stop_on_error
        self.desk = StrategyDesk(name, self)
        self.hooks: dict[str, Hook] = {
            hook: getattr(strategy, hook)
            for hook in HOOKS
            if getattr(type(strategy), hook) is not getattr(Strategy, hook)
        }
        self.has_run = type(strategy).run is not Strategy.run
        self.timers: dict[str, object] = {}  # by name, what tells one setting from another
        self._timers_at = 0  # the millisecond that `_timers_fired` is of
        self._timers_fired = 0
        self.ended = False
        self.error = ""
        self.blocked = ""  # why its new orders are refused
        self.on_end: Callable[[], None] = _nothing

    def is_spinning(self, now_ns: int) -> bool:
        """Count a timer that fires; True if they come so close that time would not go on."""
        millisecond = now_ns // NS_PER_MS
        if millisecond != self._timers_at:
            self._timers_at, self._timers_fired = millisecond, 0
        self._timers_fired += 1
        return self._timers_fired > TIMERS_MAX

    # --- StrategyContext --------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The engine's time; between events, no earlier than the clock's."""
        engine = self._engine
        return engine.now_ns if engine.busy else max(engine.now_ns, engine.stamp())

    def act(self, action: Action) -> Any:
        """Do `action` at once inside a hook; from a coroutine it enters as an event."""
        engine = self._engine
        if engine.busy:
            return engine.perform(action)
        engine.handle(action)
        return engine.take_result()

    def market(self, symbol: str) -> Market:
        """Return the market of one instrument of this bot."""
        return self._engine.market(symbol)

    def working(self, symbol: str | None) -> list[Order]:
        """Return this strategy's open orders, oldest first."""
        return self._engine.orders.working(strategy=self.name, symbol=symbol)

    def position(self, symbol: str) -> Decimal:
        """Return this strategy's signed position."""
        return self._engine.portfolio.position(symbol, self.name)

    def build_bars(self, symbol: str, interval_ns: int) -> None:
        """Deliver bars of `symbol` to this strategy's `on_bar`."""
        self._engine.build_bars(self, symbol, interval_ns)

    def call_at(self, due_ns: int, wake: Callable[[], None]) -> None:
        """Call `wake` once the engine's time reaches `due_ns`."""
        self._engine.call_at(due_ns, self._waking(wake))

    def call_on_quote(self, symbol: str, wake: Callable[[], None]) -> None:
        """Call `wake` at the next quote of `symbol`."""
        self._engine.call_on_quote(symbol, self._waking(wake))

    def call_on_close(self, order: Order, wake: Callable[[], None]) -> None:
        """Call `wake` when `order` closes."""
        self._engine.call_on_close(order, self._waking(wake))

    def give_up(self, client_order_ids: Sequence[ClientOrderId]) -> None:
        """Declare these orders UNKNOWN: their clean-up ended without the venue's word."""
        self._engine.handle(
            CleanUpExpired(client_order_ids=tuple(client_order_ids), receive_time_ns=self.now_ns)
        )

    def log(self, message: str, fields: dict[str, object]) -> None:
        """Pass a line to the log."""
        self._engine.log("info", message, {"strategy": self.name, **fields})

    def _waking(self, wake: Callable[[], None]) -> Callable[[], None]:
        engine = self._engine

        def wake_and_tell() -> None:
            engine.woken = True
            wake()

        return wake_and_tell


def _nothing() -> None:
    pass
