"""The engine: every event enters by `handle`, every command leaves by `dispatch`.

It never awaits, opens nothing, reads no clock and no random source. An event that arises while
another is handled is queued and handled after it, so a hook never sees half-applied state.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import attrs

from botkit.config import FlattenConfig
from botkit.engine.channel import Channel, Route, Targets
from botkit.engine.desk import OrderDesk, OrderNotice
from botkit.engine.flatten import Flattener
from botkit.engine.guard import Guard
from botkit.engine.lifecycle import MISTAKES, Lifecycle
from botkit.engine.money import Money
from botkit.engine.reconciling import Reconciler, VenueReviewed
from botkit.engine.resolving import Resolver
from botkit.engine.riskview import ScopedRule
from botkit.engine.slot import TIMERS_MAX, Hook, StrategySlot
from botkit.engine.timers import NEVER_NS, Timers
from botkit.marketdata import BarBuilder, DerivedQuote, Market
from botkit.model import (
    Action,
    Bar,
    BookDelta,
    BookSnapshot,
    Command,
    Event,
    FeedGap,
    Halted,
    Instrument,
    OwnLevels,
    Quote,
    Tick,
    TimerAction,
    Trade,
)
from botkit.orders import Order, Orders, OrderTiming, shown_levels
from botkit.portfolio import Portfolio
from botkit.ports import Capabilities, FeeSchedule, Journal, Recovered, RiskRule
from botkit.scope import CleanUpBudget
from botkit.strategy import Strategy

__all__ = ["Engine", "EngineSettings", "tell_nobody"]

SPINNING: Final = (
    f"timers fired {TIMERS_MAX} times within a millisecond, the last {{!r}}; set them further apart"
)

Happening = Event | Recovered | OrderNotice | VenueReviewed
Log = Callable[[str, str, Mapping[str, object]], None]
"""(level, message, fields): how the engine says something to a person."""


def tell_nobody(_: object) -> None:
    """Tell nobody."""


@attrs.frozen(kw_only=True)
class EngineSettings:
    """What an engine is made of; see the fields' types.

    `dispatch` gets the commands of one event after all of it was handled: it makes the journal
    durable, then hands the commands to the venues. `stamp` tells the time to actions that come
    from coroutines between events. `equity_every_ns` 0 records equity only at the end. `fees` are
    by venue, for fills whose fee is not told yet; `report_currency` None makes no total.
    `on_halt` is told once, after the cancels have left; `recall` takes back what `dispatch` has
    and has not handed to a venue; `carried` is what rules left behind at the last end.
    `on_disconnect` says by venue what becomes of orders whose link was lost ("cancel" if not
    said); `listed` are the venues whose orders are listed before anything trades; `exclusive`
    those on whose account nobody else trades.
    """

    bot: str
    instruments: Mapping[str, Instrument]
    capabilities: Mapping[str, Capabilities]
    rules: Sequence[RiskRule | ScopedRule]
    journal: Journal
    dispatch: Callable[[Sequence[Command]], None]
    stamp: Callable[[], int]
    log: Log
    timing: OrderTiming = attrs.field(factory=OrderTiming)
    equity_every_ns: int = 60_000_000_000
    on_halt: Callable[[Halted], None] = tell_nobody
    recall: Callable[[str], None] = tell_nobody
    carried: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    keep_running: bool = False
    fees: Mapping[str, FeeSchedule] = attrs.field(factory=dict)
    report_currency: str | None = None
    rate_stale_ns: int = 60_000_000_000
    flatten: FlattenConfig = attrs.field(factory=FlattenConfig)
    on_disconnect: Mapping[str, str] = attrs.field(factory=dict)
    listed: Sequence[str] = ()
    exclusive: Collection[str] = ()


class Engine:
    """Market data in, strategies, gate, orders and portfolio between, commands out.

    Attributes
    ----------
    now_ns
        The time of the event being handled: the latest `receive_time_ns` so far.
    next_due_ns
        When the next timer fires; the shell owes a `Tick` by then.
    busy
        True while an event is handled.
    on_due_sooner
        Called when `next_due_ns` has come nearer.
    woken
        Set when something a coroutine waits for has happened; the backtest clears it.
    stray_counts
        How many market events came by symbol that is not of this bot.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.log: Log = settings.log
        self.stamp = settings.stamp
        self.journal = settings.journal
        self._dispatch = settings.dispatch
        self.now_ns = 0
        self.next_due_ns = NEVER_NS
        self.busy = False
        self.on_due_sooner: Callable[[], None] = _no_alarm
        self.woken = False
        self.touched = False
        self.event_count = 0
        self.stray_counts: dict[str, int] = {}
        self.slots: dict[str, StrategySlot] = {}
        self.portfolio = Portfolio(settings.instruments, settings.fees)
        self.orders = Orders(
            capabilities=settings.capabilities,
            timing=settings.timing,
            exclusive=settings.exclusive,
        )
        self.channels = {
            symbol: Channel(instrument, self._own_levels(instrument))
            for symbol, instrument in settings.instruments.items()
        }
        self.desk = OrderDesk(self)
        self.lifecycle = Lifecycle(self)
        self.reconciler = Reconciler(self)
        self.money = Money(self)
        self.resolver = Resolver(self)
        self.guard = Guard(self)
        self.flattener = Flattener(self)
        self._timers = Timers()
        self._queue: deque[Happening] = deque()
        self._result: Any = None
        self._routes: dict[type, Route] = {
            Quote: self._on_quote,
            DerivedQuote: self._on_derived_quote,
            Trade: self._on_trade,
            BookSnapshot: self._on_book,
            BookDelta: self._on_book,
            Bar: self._on_bar,
            FeedGap: self._on_feed_gap,
            Tick: _nothing,
            **dict.fromkeys(self.desk.actions, self._on_action),
            **self.desk.routes,
            **self.lifecycle.routes,
            **self.reconciler.routes,
            **self.money.routes,
            **self.resolver.routes,
        }

    def _own_levels(self, instrument: Instrument) -> OwnLevels | None:
        """Return what tells the orders of ours that the instrument's book shows, if it does."""
        if not self.settings.capabilities[instrument.venue].shows_own_orders:
            return None
        symbol = instrument.symbol
        return lambda: shown_levels(self.orders.working(symbol=symbol))

    # --- the way in -------------------------------------------------------------------------

    def handle(self, event: Event | Recovered) -> None:
        """Handle `event` and everything it gives rise to, then dispatch the commands."""
        if self.busy:
            self.later(event)
            return
        self.busy = True
        try:
            following: Happening | None = event
            while following is not None:
                now_ns = following.receive_time_ns
                if now_ns >= self.next_due_ns:
                    self._fire_due(now_ns)  # due now counts: `sleep(0)` ends at this instant
                elif now_ns > self.now_ns:
                    self.now_ns = now_ns
                for slot, hook in self._routes[following.__class__](following) or ():
                    try:
                        hook(following)
                    except MISTAKES as exc:  # ends that strategy alone
                        self.lifecycle.fail(slot, exc)
                self.event_count += 1
                following = self._next() if self.touched else None
        finally:
            self.busy = False

    def perform(self, action: Action) -> Any:
        """Do what a strategy wants, inside the event that made it want it."""
        return self.desk.actions[action.__class__](action)

    def take_result(self) -> Any:
        """Return what the last action that entered as an event made."""
        result, self._result = self._result, None
        return result

    def add_strategy(
        self,
        strategy: Strategy,
        *,
        name: str,
        symbols: tuple[str, ...],
        params: object,
        budget: CleanUpBudget,
        stop_on_error: bool = False,
    ) -> StrategySlot:
        """Give `strategy` its place; before the run starts."""
        slot = StrategySlot(
            self,
            name=name,
            strategy=strategy,
            symbols=symbols,
            budget=budget,
            stop_on_error=stop_on_error,
        )
        strategy.bind(
            name=name,
            instruments=tuple(self.channels[symbol].instrument for symbol in symbols),
            params=params,
            context=slot,
            desk=slot.desk,
        )
        self.slots[name] = slot
        for symbol in symbols:
            self.channels[symbol].subscribers.append(slot)
        return slot

    def close_books(self, now_ns: int) -> None:
        """Record the final profit and loss; the run is over."""
        self.now_ns = max(self.now_ns, now_ns)
        self.busy = True
        try:
            self.lifecycle.record_equity()
            self._settle()
        finally:
            self.busy = False

    def touch_of(self, symbol: str) -> tuple[float, float]:
        """Return the best bid and ask of `symbol`; nan where there is none."""
        return self.channels[symbol].market.touch

    def quoted_ns(self, symbol: str) -> int:
        """Return when the present quote of `symbol`, or depth that bore it out, was received.

        0 if there is none.
        """
        channel = self.channels[symbol]
        quote = channel.market.quote
        return 0 if quote is None else max(quote.receive_time_ns, channel.book_ns)

    # --- what strategies' slots ask ---------------------------------------------------------

    def market(self, symbol: str) -> Market:
        """Return the market of `symbol`."""
        return self.channels[symbol].market

    def call_at(self, due_ns: int, callback: Callable[[], None]) -> None:
        """Call `callback` once the engine's time reaches `due_ns`."""
        self._timers.call_at(due_ns, callback)
        if due_ns < self.next_due_ns:
            self.next_due_ns = due_ns
            self.on_due_sooner()

    def call_on_quote(self, symbol: str, wake: Callable[[], None]) -> None:
        """Call `wake` once, at the next quote of `symbol`."""
        self.channels[symbol].quote_waiters.append(wake)

    def call_on_close(self, order: Order, wake: Callable[[], None]) -> None:
        """Call `wake` once, when `order` closes."""
        self.desk.close_waiters.setdefault(order.client_order_id, []).append(wake)

    def build_bars(self, slot: StrategySlot, symbol: str, interval_ns: int) -> None:
        """Build bars of `symbol` for `slot`."""
        builders = self.channels[symbol].bar_builders
        if interval_ns not in builders:
            builders[interval_ns] = (BarBuilder(symbol, interval_ns), [])
        slots = builders[interval_ns][1]
        if slot not in slots:
            slots.append(slot)

    def set_timer(self, action: TimerAction) -> None:
        """Set, move or (due_ns < 0) take away a named timer of a strategy."""
        slot = self.slots[action.strategy]
        if slot.ended or self.lifecycle.stopping:
            return
        timer = object()
        slot.timers[action.name] = timer
        if action.due_ns < 0:
            del slot.timers[action.name]
            return

        def fire() -> None:
            if slot.timers.get(action.name) is not timer:
                return  # moved or taken away since
            if slot.is_spinning(self.now_ns):
                self.lifecycle.fail(slot, RuntimeError(SPINNING.format(action.name)))
                return
            if action.every_ns > 0:
                self.call_at(self.now_ns + action.every_ns, fire)
            else:
                del slot.timers[action.name]
            self.call(slot, "on_timer", action.name)

        self.call_at(action.due_ns, fire)

    def flush(self) -> None:
        """Dispatch now what has gathered, in the middle of an event: for the kill switch."""
        self._dispatch(self.desk.take_outbox())

    def later(self, event: Happening) -> None:
        """Handle `event` after the one being handled."""
        self._queue.append(event)
        self.touched = True

    # --- run to completion ------------------------------------------------------------------

    def _next(self) -> Happening | None:
        """Return the next event that arose; dispatch once there is none, None when all is done."""
        while self.touched:
            if self._queue:
                return self._queue.popleft()
            self.touched = False
            self._dispatch(self.desk.take_outbox())
        due_ns = min(self._timers.next_due_ns, self.orders.pursuit.earliest_ns)
        if due_ns != self.next_due_ns:
            before, self.next_due_ns = self.next_due_ns, due_ns
            if due_ns < before:
                self.on_due_sooner()
        return None

    def _fire_due(self, now_ns: int) -> None:
        """Move time to `now_ns`; fire timers in order, each at its own time.

        What follows from one is done before the next fires; what had arisen before waits.
        """
        waiting, self._queue = self._queue, deque()
        while self.next_due_ns <= now_ns:
            self.now_ns = max(self.now_ns, self.next_due_ns)
            if self._timers.next_due_ns <= self.now_ns:
                self._timers.pop()()
            else:
                self.desk.pursue()
            self.touched = True
            self._settle()
        self.now_ns = max(self.now_ns, now_ns)
        self._queue, self.touched = waiting, bool(waiting)

    def _settle(self) -> None:
        """Handle everything that has arisen, and dispatch."""
        while (event := self._next()) is not None:
            self.now_ns = max(self.now_ns, event.receive_time_ns)
            for slot, hook in self._routes[event.__class__](event) or ():
                self._guard(slot, hook, event)
            self.event_count += 1

    def call(self, slot: StrategySlot, name: str, *args: object) -> None:
        """Call one hook of one strategy, if it has it."""
        hook = slot.hooks.get(name)
        if hook is None:
            return
        try:
            hook(*args)
        except MISTAKES as exc:
            self.lifecycle.fail(slot, exc)

    def _guard(self, slot: StrategySlot, hook: Hook, *args: object) -> None:
        """Call a hook; a strategy that raises ends, alone. `handle` has this in line."""
        try:
            hook(*args)
        except MISTAKES as exc:
            self.lifecycle.fail(slot, exc)

    # --- market data ------------------------------------------------------------------------

    def _on_quote(self, quote: Quote) -> Targets:
        try:
            channel = self.channels[quote.symbol]
        except KeyError:
            return self._stray(quote)
        market = channel.market
        market.quote = quote
        if not market.plain:
            market.on_quote(quote)
        if channel.quote_waiters:
            _wake_all(channel.quote_waiters)
        return channel.on_quote

    def _on_derived_quote(self, quote: DerivedQuote) -> Targets:
        channel = self.channels[quote.symbol]
        if channel.quote_waiters:
            _wake_all(channel.quote_waiters)
        return channel.on_quote

    def _on_trade(self, trade: Trade) -> Targets:
        channel = self.channels.get(trade.symbol)
        if channel is None:
            return self._stray(trade)
        channel.market.trade = trade
        for builder, slots in channel.bar_builders.values():
            if builder.is_empty:
                self._close_bar_at(builder.boundary_after(self.now_ns), builder, slots)
            builder.add(trade)
        return channel.trade_hooks

    def _close_bar_at(
        self, boundary_ns: int, builder: BarBuilder, slots: Sequence[StrategySlot]
    ) -> None:
        def close() -> None:
            bar = builder.close(boundary_ns)
            if not self.lifecycle.stopping:
                for slot in slots:
                    self.call(slot, "on_bar", bar)

        self.call_at(boundary_ns, close)

    def _on_book(self, change: BookSnapshot | BookDelta) -> Targets:
        channel = self.channels.get(change.symbol)
        if channel is None:
            return self._stray(change)
        channel.book_ns = self.now_ns
        quote = channel.market.on_book(change)
        if quote is not None:
            self.later(quote)
        return channel.book_hooks

    def _on_bar(self, bar: Bar) -> Targets:
        channel = self.channels.get(bar.symbol)
        return self._stray(bar) if channel is None else channel.bar_hooks

    def _stray(self, event: Quote | Trade | BookSnapshot | BookDelta | Bar) -> Targets:
        """Count market data of an instrument nobody asked for; a venue must not end the bot."""
        symbol = event.symbol
        self.stray_counts[symbol] = self.stray_counts.get(symbol, 0) + 1
        if self.stray_counts[symbol] == 1:
            known = ", ".join(self.channels)
            self.log("warning", "market data nobody asked for", {"symbol": symbol, "known": known})
        return ()

    def _on_feed_gap(self, gap: FeedGap) -> None:
        for symbol, channel in self.channels.items():
            if channel.instrument.venue == gap.venue and gap.symbol in {"", symbol}:
                channel.market.clear()

    def _on_action(self, action: Action) -> None:
        self._result = self.perform(action)


def _wake_all(waiters: list[Callable[[], None]]) -> None:
    waking, waiters[:] = waiters[:], []
    for wake in waking:
        wake()


def _no_alarm() -> None:
    """Nobody waits for `next_due_ns`: a loop looks at it before each event."""


def _nothing(_: Event) -> None:
    """Handle an event that only moves time."""
