"""What has to hold of a bot's orders at an exchange, by the exchange's own books, at all times."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs
import trio

from botkit.adapter import Simulator
from botkit.matching.exchange import (
    CancelReason,
    ExchangeEvent,
    Execution,
    Leg,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderReduced,
    OrderReplaced,
    OrderState,
    PublicTrade,
)
from botkit.model import Side
from botkit.testing.chronicle import Chronicle

__all__ = ["Books", "Death", "QuantityLimits", "WithinS"]

ZERO: Final = Decimal(0)
WithinS: Final = 2.0
"""How long after a death, or after reaching the book, an order may rest under a guardian."""


@attrs.frozen(kw_only=True)
class QuantityLimits:
    """The quantity limits of a config's `[risk]`: by symbol, or for all (None: no limit)."""

    risk: Mapping[str, Any]

    def of(self, key: str, symbol: str) -> Decimal | None:
        """Return the limit of one instrument."""
        value = self.risk.get(key)
        if isinstance(value, Mapping):
            value = value.get(symbol)
        return None if value is None else Decimal(value)

    def of_all(self, key: str) -> Decimal | None:
        """Return a limit that is for all instruments together."""
        value = self.risk.get(key)
        return None if value is None or isinstance(value, Mapping) else Decimal(value)


@attrs.define(kw_only=True, eq=False)
class Death:
    """A bot's end by force; times are trio's.

    `venue_orders` are those a guardian has to see gone: venue and id, and since when it rests.
    """

    number: int
    at: float
    guarded: bool
    venue_orders: dict[tuple[str, int], float] = attrs.field(factory=dict)


@attrs.define(kw_only=True, eq=False)
class Books:
    """The books of one exchange, as far as one bot's account is concerned.

    Attributes
    ----------
    open
        The bot's orders that work, by the exchange's id.
    net, fees
        What it bought less what it sold, by symbol; fees taken, by currency.
    planting, planted
        Whose order is being put into the book now, if not the bot's; those of others there are,
        by the exchange's id: they have to be left alone.
    latest_id
        By which clients know the order that something happened to last.
    deaths
        Of the bot, oldest first; while it is dead, what reaches the book is of the last.
    """

    venue: str
    simulator: Simulator
    member: str
    limits: QuantityLimits
    chronicle: Chronicle
    problem: Callable[[str], None]
    deaths: Sequence[Death]
    is_alive: Callable[[], bool]
    tells_orders_apart: bool = False
    excused: Callable[[str, float, float], bool] = lambda _, __, ___: False
    open: dict[int, OrderState] = attrs.field(factory=dict)
    net: dict[str, Decimal] = attrs.field(factory=dict)
    fees: dict[str, Decimal] = attrs.field(factory=dict)
    money: dict[str, Decimal] = attrs.field(factory=dict)
    planting: str = ""
    planted: dict[int, str] = attrs.field(factory=dict)
    latest_id: bytes = b""
    gone_after_s: list[float] = attrs.field(factory=list)
    orders: int = 0
    fills: int = 0
    on_accepted: Callable[[str, OrderState], None] = lambda _, __: None
    on_accept: list[Callable[[], None]] = attrs.field(factory=list)
    on_fill: list[Callable[[], None]] = attrs.field(factory=list)
    _take: Mapping[type, Callable[[Any], None]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._take = {
            OrderAccepted: self._on_accepted,
            OrderReplaced: self._on_replaced,
            OrderReduced: self._on_changed,
            OrderCanceled: self._on_ended,
            OrderExpired: self._on_ended,
            Execution: self._on_execution,
            PublicTrade: self._on_trade,
        }

    def on_events(self, events: Sequence[ExchangeEvent]) -> None:
        """Take what happened at the exchange."""
        for event in events:
            take = self._take.get(type(event))
            if take is not None:
                take(event)

    def on_death(self, death: Death) -> None:
        """Take note that the bot is dead: what works now has to be gone soon."""
        for order_id in self.open:
            death.venue_orders[self.venue, order_id] = death.at

    def resting(self) -> list[str]:
        """Return a line for each order of the bot that works."""
        return [f"{self.text(order)} rests" for order in self.open.values()]

    def differing_money(self) -> list[str]:
        """Return a line for each balance that is not what it began with and what was traded."""
        opened = next(e for e in self.simulator.members if e.name == self.member).balances
        account = self.simulator.market.exchange.accounts[self.member]
        told: list[str] = []
        for balance in account.balances():
            name = balance.currency
            expected = opened.get(name, ZERO) + self.money.get(name, ZERO)
            if balance.total != expected:
                told.append(
                    f"{self.venue} {name}: the account has {balance.total}, by its trades and fees "
                    f"it is {expected}"
                )
        return told

    # --- events -----------------------------------------------------------------------------

    def _is_ours(self, order: OrderState) -> bool:
        return order.account == self.member and order.order_id not in self.planted

    def _on_trade(self, trade: PublicTrade) -> None:
        self.chronicle.mark(f"{trade.time_ns} {trade.price} {trade.qty};".encode())

    def _on_accepted(self, event: OrderAccepted) -> None:
        order = event.order
        if self.planting:
            self.planted[order.order_id] = self.planting
        if not self._is_ours(order):
            return
        self.orders += 1
        self.open[order.order_id] = order
        self.chronicle.tell("order", self.text(order))
        if not self.is_alive() and self.deaths:
            self.deaths[-1].venue_orders[self.venue, order.order_id] = trio.current_time()
        self._check(order)
        self.on_accepted(self.venue, order)
        self._call(self.on_accept, order)

    def _on_replaced(self, event: OrderReplaced) -> None:
        if self._is_ours(event.order):
            self.open[event.order.order_id] = event.order
            self.chronicle.tell("replace", self.text(event.order))
            self._check(event.order)

    def _on_changed(self, event: OrderReduced) -> None:
        if self._is_ours(event.order):
            self.open[event.order.order_id] = event.order

    def _on_ended(self, event: OrderCanceled | OrderExpired) -> None:
        order = event.order
        if order.account != self.member and order.order_id not in self.planted:
            return
        reason = event.reason if isinstance(event, OrderCanceled) else "expired"
        self.chronicle.tell("gone", f"{self.text(order)} ({reason})")
        if order.order_id in self.planted:
            if reason is CancelReason.CLIENT:
                whose = self.planted[order.order_id]
                self.problem(f"{self.venue} order {order.order_id} of {whose} was canceled")
            return
        self._forget(order)

    def _on_execution(self, event: Execution) -> None:
        for leg in event.legs(self.member):
            if leg.order.order_id in self.planted:
                self._pay(event, leg)
            else:
                self._book(event, leg)

    def _pay(self, event: Execution, leg: Leg) -> None:
        """Keep account of the money alone; others' orders may fill as well."""
        market = self.simulator.market.exchange.markets[event.symbol]
        sign = leg.order.side.sign
        for currency, change in (
            (market.base.name, event.qty * sign),
            (market.quote.name, -event.notional * sign),
            (leg.fee_currency, -leg.fee),
        ):
            self.money[currency] = self.money.get(currency, ZERO) + change

    def _book(self, event: Execution, leg: Leg) -> None:
        order = leg.order
        market = self.simulator.market.exchange.markets[order.symbol]
        self._pay(event, leg)
        self.fills += 1
        self.net[order.symbol] = self.net.get(order.symbol, ZERO) + event.qty * order.side.sign
        if leg.fee_currency == market.base.name:
            self.fees[order.symbol] = self.fees.get(order.symbol, ZERO) + leg.fee
        self.chronicle.tell("fill", f"{self.text(order)}: {event.qty} at {event.price}")
        if order.leaves_qty:
            self.open[order.order_id] = order
        else:
            self._forget(order)
        self._call(self.on_fill, order)

    def _forget(self, order: OrderState) -> None:
        self.open.pop(order.order_id, None)
        for death in self.deaths:
            since = death.venue_orders.pop((self.venue, order.order_id), None)
            if since is not None:
                self._judge(death, order, since)

    def _judge(self, death: Death, order: OrderState, since: float) -> None:
        """Hold how long an order outlived its bot against the promise."""
        now = trio.current_time()
        if not death.guarded:
            return
        after_s = now - max(death.at, since)
        if self.excused(self.venue, death.at, now):
            return
        self.gone_after_s.append(after_s)
        if after_s > WithinS:
            self.problem(
                f"{self.text(order)} rested {after_s:.3f} s after death {death.number} of its "
                f"bot, {WithinS:g} s is the limit"
            )

    def _call(self, waiting: list[Callable[[], None]], order: OrderState) -> None:
        """Call what waits for this to happen, once."""
        venue_id = self.simulator.venue_order_id
        self.latest_id = (order.client_order_id or venue_id(order)).encode()
        called, waiting[:] = list(waiting), []
        for each in called:
            each()

    # --- limits -----------------------------------------------------------------------------

    def _check(self, order: OrderState) -> None:
        """Hold the books against every quantity limit, after an order was added or changed."""
        symbol = f"{self.venue}:{order.symbol}"
        self._check_order(order, symbol)
        limit = self.limits.of("max_position", symbol)
        if limit is not None:
            worst = self._worst(order.symbol, order.side)
            if worst > limit:
                self.problem(
                    f"{self.text(order)}: the position could become {worst} on the side of "
                    f"{order.side}, max_position is {limit}"
                )
        most = self.limits.of_all("max_open_orders") or self.limits.of("max_open_orders", symbol)
        if most is not None and len(self.open) > most:
            self.problem(
                f"{self.text(order)}: {len(self.open)} orders work, max_open_orders is {most}"
            )

    def _check_order(self, order: OrderState, symbol: str) -> None:
        qty = self.limits.of("max_order_qty", symbol)
        if qty is not None and order.order_qty > qty:
            self.problem(f"{self.text(order)}: max_order_qty is {qty}")
        notional = self.limits.of("max_order_notional", symbol)
        if notional is not None and (order.price or ZERO) * order.order_qty > notional:
            self.problem(f"{self.text(order)}: max_order_notional is {notional}")

    def _worst(self, symbol: str, side: Side) -> Decimal:
        """Return what is held on `side` if all that works there fills, fees told or not."""
        leaves = sum(
            (
                each.leaves_qty
                for each in self.open.values()
                if (each.symbol, each.side) == (symbol, side)
            ),
            ZERO,
        )
        gross = self.net.get(symbol, ZERO)
        net = gross - self.fees.get(symbol, ZERO)
        return leaves + min(gross * side.sign, net * side.sign)

    def text(self, order: OrderState) -> str:
        """Return what tells an order of the bot."""
        name = f" {order.client_order_id}" if order.client_order_id else ""
        return (
            f"{self.venue} {order.order_id}{name} {order.side.lower()} {order.order_qty} "
            f"{order.symbol} at {order.price}"
        )
