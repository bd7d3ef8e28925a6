"""An engine alone: a test plays clock, venues and shell, and sees every command.

rig = EngineRig(Buyer())
rig.start()
rig.engine.handle(build_quote(1, 99, 101))
assert [each.symbol for each in rig.new_orders] == [SYMBOL]
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from botkit.engine import Engine, EngineSettings, StrategySlot
from botkit.engine.riskview import ScopedRule
from botkit.errors import JournalError
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    Bar,
    BookDelta,
    BookSnapshot,
    CancelOrder,
    Command,
    Fill,
    FillSource,
    NewOrder,
    OrdStatus,
    OrdType,
    Quote,
    ReplaceOrder,
    RunStarted,
    TimeInForce,
    Trade,
    VenueOrderId,
    VenueStatus,
)
from botkit.orders import Order
from botkit.ports import Capabilities, RiskRule
from botkit.scope import CleanUpBudget
from botkit.strategy import Strategy
from botkit.testing.builders import (
    SYMBOL,
    build_instrument,
    build_report,
    build_venue_status,
    time_ns,
)
from botkit.testing.memory_journal import MemoryJournal

__all__ = ["CAPABLE", "Actor", "EngineRig"]

CAPABLE: Final = Capabilities(
    client_order_ids=True,
    fill_source=FillSource.EXECUTIONS,
    replace=True,
    ord_types=frozenset(OrdType),
    times_in_force=frozenset(TimeInForce),
)


class Actor(Strategy):
    """Notes every hook that is called, and does at it what the test has put into `acts`.

    Attributes
    ----------
    seen
        (hook, arguments) in order; of orders their status at that moment.
    acts
        By hook name; called with the hook's arguments.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.acts: dict[str, Callable[..., object]] = {}

    def _note(self, hook: str, noted: tuple[Any, ...], *arguments: object) -> None:
        self.seen.append((hook, *noted))
        if hook in self.acts:
            self.acts[hook](*arguments)

    def on_start(self) -> None:
        """Note the start."""
        self._note("on_start", ())

    def on_stop(self) -> None:
        """Note the stop."""
        self._note("on_stop", ())

    def on_quote(self, quote: Quote) -> None:
        """Note the bid."""
        self._note("on_quote", (quote.bid_px,), quote)

    def on_trade(self, trade: Trade) -> None:
        """Note the price."""
        self._note("on_trade", (trade.price,), trade)

    def on_book(self, change: BookSnapshot | BookDelta) -> None:
        """Note the book's best bid."""
        self._note("on_book", (self.book.bid,), change)

    def on_bar(self, bar: Bar) -> None:
        """Note the bar."""
        self._note("on_bar", (bar,), bar)

    def on_timer(self, name: str) -> None:
        """Note name and time."""
        self._note("on_timer", (name, self.now_ns), name)

    def on_order(self, order: Order) -> None:
        """Note where the order stands."""
        self._note("on_order", (order.client_order_id, order.ord_status), order)

    def on_fill(self, order: Order, fill: Fill) -> None:
        """Note quantity and position."""
        noted = (order.client_order_id, fill.qty, self.position(order.instrument))
        self._note("on_fill", noted, order, fill)

    def on_venue(self, status: VenueStatus) -> None:
        """Note whether it is up."""
        self._note("on_venue", (status.venue, status.up), status)

    def of(self, *hooks: str) -> list[tuple[Any, ...]]:
        """Return what was noted of these hooks."""
        return [entry for entry in self.seen if entry[0] in hooks]


class EngineRig:
    """An engine with `strategies` named a, b, c ..., each on all of `symbols`.

    `instrument_terms` are those of every instrument, `further` more of `EngineSettings`.

    Attributes
    ----------
    sent
        Every command that left, oldest first. While the journal has a fault, nothing leaves.
    log
        (level, message, fields) of every line.
    """

    def __init__(
        self,
        *strategies: Strategy,
        symbols: Sequence[str] = (SYMBOL,),
        rules: Sequence[RiskRule | ScopedRule] = (),
        capabilities: Capabilities = CAPABLE,
        stop_on_error: bool = False,
        equity_every_ns: int = 0,
        instrument_terms: Mapping[str, Any] | None = None,
        **further: Any,
    ) -> None:
        self.journal = MemoryJournal()
        self.sent: list[Command] = []
        self.log: list[tuple[str, str, Mapping[str, object]]] = []
        self.venues = tuple(dict.fromkeys(symbol.partition(":")[0] for symbol in symbols))
        self.engine = Engine(
            EngineSettings(
                bot="rig",
                instruments={
                    symbol: build_instrument(symbol, **(instrument_terms or {}))
                    for symbol in symbols
                },
                capabilities=dict.fromkeys(self.venues, capabilities),
                rules=rules,
                journal=self.journal,
                dispatch=self._dispatch,
                stamp=lambda: 0,
                log=lambda *line: self.log.append(line),
                equity_every_ns=equity_every_ns,
                **further,
            )
        )
        self.slots: list[StrategySlot] = [
            self.engine.add_strategy(
                strategy,
                name=chr(ord("a") + number),
                symbols=tuple(symbols),
                params=None,
                budget=CleanUpBudget(10.0),
                stop_on_error=stop_on_error,
            )
            for number, strategy in enumerate(strategies)
        ]

    def _dispatch(self, commands: Sequence[Command]) -> None:
        try:
            self.journal.commit()
        except JournalError:
            return
        self.sent.extend(commands)

    def start(self) -> None:
        """Bring every venue up and start the run, at second 0."""
        for venue in self.venues:
            self.engine.handle(build_venue_status(0, up=True, venue=venue))
        self.engine.handle(RunStarted(run_id="run", receive_time_ns=time_ns(0)))

    def report(self, order: Order, ord_status: OrdStatus, after_s: float, **fields: Any) -> None:
        """Deliver what the venue says of `order`; its venue order id is V and its own."""
        name = order.current_client_order_id
        terms = {"symbol": order.symbol, "venue_order_id": VenueOrderId(f"V-{name}"), **fields}
        stamp = time_ns(after_s)
        self.engine.handle(build_report(name, ord_status, receive_time_ns=stamp, **terms))

    def fill(
        self, order: Order, qty: str, px: str, after_s: float, *, exec_id: str, **fields: Any
    ) -> None:
        """Deliver a fill of `order`."""
        is_full = order.cum_qty + Decimal(qty) == order.order_qty
        status = OrdStatus.FILLED if is_full else OrdStatus.PARTIALLY_FILLED
        self.report(order, status, after_s, last_qty=qty, last_px=px, exec_id=exec_id, **fields)

    def of(self, *kinds: type) -> list[Any]:
        """Return the commands of these kinds, approvals taken off."""
        requests = [each.request if isinstance(each, Approved) else each for each in self.sent]
        return [request for request in requests if isinstance(request, kinds)]

    @property
    def new_orders(self) -> list[NewOrder]:
        """The new orders that left."""
        return self.of(NewOrder)

    @property
    def replaces(self) -> list[ReplaceOrder]:
        """The replaces that left."""
        return self.of(ReplaceOrder)

    @property
    def cancels(self) -> list[CancelOrder]:
        """The cancels that left."""
        return self.of(CancelOrder)

    @property
    def questions(self) -> list[AskStatus | AskListing]:
        """What the venues were asked."""
        return self.of(AskStatus, AskListing)

    def recorded(self, kind: type) -> list[Any]:
        """Return the journal's entries of one kind."""
        return [entry for entry in self.journal.entries if isinstance(entry, kind)]

    def lines(self, message: str) -> list[Mapping[str, object]]:
        """Return the fields of every log line of that message."""
        return [fields for _, text, fields in self.log if text == message]
