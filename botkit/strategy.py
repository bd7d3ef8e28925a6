"""Strategy: the page to read first.

A strategy overrides the hooks it wants; the others are never called. Hooks are plain functions
that react and return. `async def run` is for sequences: work an order, wait, then hedge. The
same object runs in backtest, paper and live.

    class Buyer(Strategy):
        @attrs.frozen
        class Params:
            qty: Decimal

        params: Params

        def on_quote(self, quote: Quote) -> None:
            if not self.orders():
                price = self.instrument.price(quote.bid_px)
                self.buy(self.instrument, self.params.qty, price=price, post_only=True)
"""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, Final, Protocol, Unpack

import attrs
import trio

from botkit.marketdata import Market
from botkit.model import (
    Action,
    Bar,
    Book,
    BookDelta,
    BookSnapshot,
    CancelAction,
    ClientOrderId,
    Fill,
    HaltAction,
    Instrument,
    Number,
    OrdType,
    Quote,
    ReplaceAction,
    Side,
    SubmitAction,
    TimeInForce,
    TimerAction,
    Trade,
    VenueStatus,
)
from botkit.orders import Order
from botkit.scope import CleanUpBudget, OrderScope, OrderTerms

__all__ = ["HOOKS", "Strategy", "StrategyContext", "StrategyDesk"]

NS_PER_S: Final = 1_000_000_000
# Looking a member up in its enum costs as much as a call (Python 3.11).
_LIMIT, _MARKET = OrdType.LIMIT, OrdType.MARKET
_GTC, _IOC = TimeInForce.GTC, TimeInForce.IOC
TERMS: Final = frozenset(OrderTerms.__annotations__)


class StrategyContext(Protocol):
    """What the engine offers one strategy. Strategies use the methods of `Strategy` instead."""

    budget: CleanUpBudget

    @property
    def now_ns(self) -> int:
        """The engine's time."""
        ...

    def act(self, action: Action) -> Any:
        """Do `action` now (inside a hook), or enter it as an event (from a coroutine)."""
        ...

    def market(self, symbol: str) -> Market:
        """Return the market of one instrument of this bot."""
        ...

    def working(self, symbol: str | None) -> list[Order]:
        """Return the strategy's open orders, oldest first, of one instrument or of all."""
        ...

    def position(self, symbol: str) -> Decimal:
        """Return the strategy's signed position."""
        ...

    def build_bars(self, symbol: str, interval_ns: int) -> None:
        """Start delivering bars."""
        ...

    def call_at(self, due_ns: int, wake: Callable[[], None]) -> None:
        """Call `wake` once the engine's time reaches `due_ns`."""
        ...

    def call_on_quote(self, symbol: str, wake: Callable[[], None]) -> None:
        """Call `wake` at the next quote."""
        ...

    def call_on_close(self, order: Order, wake: Callable[[], None]) -> None:
        """Call `wake` when the order closes."""
        ...

    def give_up(self, client_order_ids: Sequence[ClientOrderId]) -> None:
        """Declare these orders UNKNOWN."""
        ...

    def log(self, message: str, fields: dict[str, object]) -> None:
        """Pass a line to the log."""
        ...


class Strategy:
    """Base of every strategy. Set up in `on_start`; `__init__` takes no arguments.

    Attributes
    ----------
    name
        Its name in this bot; orders, fills and P&L are kept per strategy.
    instrument, instruments
        The config's `instrument` (the first of `instruments`), and all of them.
    params
        The config's `params`, as the class `Params` of the subclass: an attrs class whose
        fields are checked before anything starts.
    """

    @attrs.frozen
    class Params:
        """No parameters. Override with an attrs class of your own."""

    name: str
    instrument: Instrument
    instruments: tuple[Instrument, ...]
    params: Any
    _context: StrategyContext
    _desk: "StrategyDesk"

    def bind(
        self,
        *,
        name: str,
        instruments: tuple[Instrument, ...],
        params: Any,
        context: StrategyContext,
        desk: "StrategyDesk",
    ) -> None:
        """Tie this object to a bot; called once, by the engine, before `on_start`."""
        self.name = name
        self.instrument, self.instruments = instruments[0], instruments
        self.params = params
        self._context, self._desk = context, desk

    # --- hooks: override what you want ------------------------------------------------------

    def on_start(self) -> None:
        """Prepare: venues are up, no market data has been seen."""

    def on_stop(self) -> None:
        """Take leave: the bot ends, this strategy's orders are about to be canceled."""

    def on_quote(self, quote: Quote) -> None:
        """React to a new best bid or ask."""

    def on_trade(self, trade: Trade) -> None:
        """React to a trade of the public's."""

    def on_book(self, change: BookSnapshot | BookDelta) -> None:
        """React to a change of depth; `self.book` has it already."""

    def on_bar(self, bar: Bar) -> None:
        """React to a finished bar; ask for bars by `self.build_bars`."""

    def on_timer(self, name: str) -> None:
        """React to a timer set by `self.set_timer`."""

    def on_order(self, order: Order) -> None:
        """React to a change of one of this strategy's orders, refusals included."""

    def on_fill(self, order: Order, fill: Fill) -> None:
        """React to a fill; position and order have it already. Called before `on_order`."""

    def on_venue(self, status: VenueStatus) -> None:
        """React to a venue becoming ready or unready."""

    async def run(self) -> None:
        """Work a sequence. When it returns the strategy is done and its orders are canceled."""

    # --- what the market looks like ---------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The time in nanoseconds since 1970 UTC: of the event being handled."""
        return self._context.now_ns

    @property
    def book(self) -> Book:
        """The book of `self.instrument`; `book.without_own()` is it less the bot's own orders."""
        return self._context.market(self.instrument.symbol).book

    def market(self, instrument: Instrument | None = None) -> Market:
        """Return the latest `quote`, `trade` and `book` of an instrument."""
        return self._context.market((instrument or self.instrument).symbol)

    def position(self, instrument: Instrument | None = None) -> Decimal:
        """Return this strategy's position: base units (contracts), negative when short."""
        return self._context.position((instrument or self.instrument).symbol)

    def orders(self, instrument: Instrument | None = None) -> list[Order]:
        """Return this strategy's open orders, oldest first, of one instrument or of all.

        Open means it may still fill: orders in flight and UNKNOWN ones are among them.
        """
        return self._context.working(instrument.symbol if instrument is not None else None)

    # --- actions: return at once ------------------------------------------------------------

    def buy(self, instrument: Instrument, qty: Number, **terms: Unpack[OrderTerms]) -> Order:
        """Ask to buy `qty` base units (contracts); see `OrderTerms` for the rest.

        Returns the order at once, PENDING_NEW, or REJECTED with the reason in `order.text` if
        the gate refuses it. Nothing is rounded: use `instrument.price()` and `.quantity()`.
        """
        return self._desk.submit(Side.BUY, instrument, qty, terms)

    def sell(self, instrument: Instrument, qty: Number, **terms: Unpack[OrderTerms]) -> Order:
        """Ask to sell; as `buy`."""
        return self._desk.submit(Side.SELL, instrument, qty, terms)

    def cancel_all(self, instrument: Instrument | None = None) -> None:
        """Cancel this strategy's open orders, of one instrument or of all."""
        self._desk.cancel_all(instrument.symbol if instrument is not None else "")

    def halt(self, reason: str) -> None:
        """Trip the kill switch: all strategies' orders are canceled and the bot ends with 4.

        It stays so across restarts, until a person clears it (`botkit risk clear`).
        """
        context = self._context
        context.act(HaltAction(reason=reason, strategy=self.name, receive_time_ns=context.now_ns))

    def set_timer(self, name: str, after_s: float, *, every_s: float | None = None) -> None:
        """Call `on_timer(name)` after `after_s` seconds, then every `every_s` if given.

        Setting a name again moves it; `after_s` of `math.inf` takes it away, one below 0 is 0.
        """
        context = self._context
        now_ns = context.now_ns
        context.act(
            TimerAction(
                name=name,
                due_ns=-1 if after_s == math.inf else now_ns + _wait_ns(after_s, "after_s"),
                every_ns=0 if every_s is None else _interval_ns(every_s, "every_s"),
                strategy=self.name,
                receive_time_ns=now_ns,
            )
        )

    def build_bars(self, interval_s: float, instrument: Instrument | None = None) -> None:
        """Deliver bars of the instrument's trades to `on_bar`, from now on; call in `on_start`."""
        symbol = (instrument or self.instrument).symbol
        self._context.build_bars(symbol, _interval_ns(interval_s, "interval_s"))

    def log(self, message: str, **fields: object) -> None:
        """Write a line to the log, with this strategy's name and the engine's time."""
        self._context.log(message, fields)

    # --- waiting: for `run` only ------------------------------------------------------------

    def order_scope(self, timeout_s: float | None = None) -> OrderScope:
        """Return a scope whose orders end with its block; `timeout_s` bounds its clean-up.

        The strategy's clean-up time is used if `timeout_s` is left out.
        """
        budget = self._context.budget
        return OrderScope(self._desk, budget.timeout_s if timeout_s is None else timeout_s)

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of the engine's time, exact in a backtest too.

        `math.inf` never returns; less than 0 is 0.
        """
        if seconds == math.inf:
            await trio.sleep_forever()
        due_ns = self._context.now_ns + _wait_ns(seconds, "seconds")
        await _woken(lambda wake: self._context.call_at(due_ns, wake))

    async def next_quote(self, instrument: Instrument | None = None) -> Quote:
        """Wait for the next quote and return the latest: more may have come before it wakes."""
        market = self.market(instrument)
        symbol = market.instrument.symbol
        while True:
            await _woken(lambda wake: self._context.call_on_quote(symbol, wake))
            if market.quote is not None:
                return market.quote


class StrategyDesk:
    """Where one strategy's orders are placed, changed and waited for.

    `Strategy`, its orders and its order scopes share it; strategies use those instead.
    """

    def __init__(self, strategy: str, context: StrategyContext) -> None:
        self._strategy = strategy
        self._context = context

    @property
    def budget(self) -> CleanUpBudget:
        """The clean-up deadline of the strategy."""
        return self._context.budget

    def buy(self, instrument: Instrument, qty: Number, **terms: Unpack[OrderTerms]) -> Order:
        """Place a buy."""
        return self.submit(Side.BUY, instrument, qty, terms)

    def sell(self, instrument: Instrument, qty: Number, **terms: Unpack[OrderTerms]) -> Order:
        """Place a sell."""
        return self.submit(Side.SELL, instrument, qty, terms)

    def submit(self, side: Side, instrument: Instrument, qty: Number, terms: OrderTerms) -> Order:
        """Enter a `SubmitAction`; return the order it made, refused or not."""
        if not TERMS.issuperset(terms):
            raise _unknown_terms(terms)
        context = self._context
        price = _money(terms.get("price"), "price")
        stop_px = _money(terms.get("stop_px"), "stop_px")
        ord_type = terms.get("ord_type") or _ord_type(price, stop_px)
        default_tif = _IOC if ord_type is _MARKET else _GTC
        order: Order = context.act(
            SubmitAction(
                symbol=instrument.symbol,
                side=side,
                order_qty=_decimal(qty, "qty"),
                ord_type=ord_type,
                price=price,
                stop_px=stop_px,
                time_in_force=terms.get("time_in_force") or default_tif,
                post_only=terms.get("post_only", False),
                reduce_only=terms.get("reduce_only", False),
                keep=terms.get("keep", False),
                expire_time_ns=terms.get("expire_time_ns", 0),
                strategy=self._strategy,
                receive_time_ns=context.now_ns,
            )
        )
        return order

    def cancel(self, order: Order, *, at_once: bool = False) -> None:
        """Enter the wish to cancel one order."""
        context = self._context
        context.act(
            CancelAction(
                client_order_id=order.client_order_id,
                at_once=at_once,
                strategy=self._strategy,
                receive_time_ns=context.now_ns,
            )
        )

    def cancel_all(self, symbol: str) -> None:
        """Enter the wish to cancel all open orders, of one instrument or ("") of all."""
        context = self._context
        context.act(
            CancelAction(
                client_order_id=None,
                symbol=symbol,
                strategy=self._strategy,
                receive_time_ns=context.now_ns,
            )
        )

    def replace(self, order: Order, price: Decimal | None, qty: Decimal | None) -> None:
        """Enter the wish to change one order."""
        context = self._context
        context.act(
            ReplaceAction(
                client_order_id=order.client_order_id,
                price=_money(price, "price"),
                order_qty=_money(qty, "qty"),
                strategy=self._strategy,
                receive_time_ns=context.now_ns,
            )
        )

    async def closed(self, order: Order) -> None:
        """Wait until an order is closed."""
        if order.is_open:
            await _woken(lambda wake: self._context.call_on_close(order, wake))
        else:
            await trio.lowlevel.checkpoint()

    def give_up(self, client_order_ids: Sequence[ClientOrderId]) -> None:
        """Record with the engine that these orders are in doubt; it keeps pursuing them."""
        self._context.give_up(client_order_ids)


HOOKS = (
    "on_start",
    "on_stop",
    "on_quote",
    "on_trade",
    "on_book",
    "on_bar",
    "on_timer",
    "on_order",
    "on_fill",
    "on_venue",
)


async def _woken(ask: Callable[[Callable[[], None]], None]) -> None:
    """Sleep until the callback handed to `ask` is called."""
    event = trio.Event()
    ask(event.set)
    await event.wait()


def _ord_type(price: Decimal | None, stop_px: Decimal | None) -> OrdType:
    if stop_px is None:
        return _MARKET if price is None else _LIMIT
    return OrdType.STOP if price is None else OrdType.STOP_LIMIT


def _money(value: Number | None, what: str) -> Decimal | None:
    return value if value is None else _decimal(value, what)


def _decimal(value: Number, what: str) -> Decimal:
    """Return `value` as it reads: a float as its shortest text."""
    try:
        exact = value if type(value) is Decimal else Decimal(str(value))
    except InvalidOperation:
        exact = Decimal("nan")
    if not exact.is_finite():
        raise ValueError(f"{what} is {value!r}; it must be a finite number")
    return exact


def _unknown_terms(terms: OrderTerms) -> TypeError:
    """Return the error for a misspelt term: taken silently, `pirce` would make a market order."""
    name = min(terms.keys() - TERMS)
    near = get_close_matches(name, TERMS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return TypeError(f"an order has no term {name!r}{hint}: it may have {', '.join(sorted(TERMS))}")


def _wait_ns(seconds: float, what: str) -> int:
    """Return a time to wait in nanoseconds, 0 for one that is over."""
    if not seconds < math.inf:
        raise ValueError(f"{what} is {seconds}; it must be a finite number of seconds")
    return round(seconds * NS_PER_S) if seconds > 0 else 0


def _interval_ns(seconds: float, what: str) -> int:
    """Return an interval in nanoseconds, at least one."""
    if not 0 < seconds < math.inf or not (interval_ns := round(seconds * NS_PER_S)):
        raise ValueError(f"{what} is {seconds}; it must be at least 1e-9 seconds, and finite")
    return interval_ns
