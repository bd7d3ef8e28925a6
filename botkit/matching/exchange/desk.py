"""What changes the exchange: trades, rests, cancels; each change is told as events."""

from collections import deque
from typing import TYPE_CHECKING, Final

from botkit.matching.exchange.checks import Numbers
from botkit.matching.exchange.counterparties import Counterparties
from botkit.matching.exchange.messages import (
    BalanceChanged,
    BookLevelChange,
    BookOrderChange,
    ExchangeEvent,
    Execution,
    Leg,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderReduced,
    PublicTrade,
    StopTriggered,
)
from botkit.matching.exchange.money import Holding
from botkit.matching.exchange.orders import Market, Order
from botkit.matching.exchange.plan import Match, MatchKind, Plan, make_plan
from botkit.matching.exchange.words import BookAction, CancelReason, SelfTradeRule
from botkit.model import Liquidity, OrdStatus, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Desk"]

_BUY: Final = Side.BUY  # looking a member up in its enum costs as much as a call (Python 3.11)
_FILLED: Final = OrdStatus.FILLED
_PARTIALLY_FILLED: Final = OrdStatus.PARTIALLY_FILLED
_FOK: Final = TimeInForce.FOK
_IOC: Final = TimeInForce.IOC
_TRADE: Final = MatchKind.TRADE
_CANCEL: Final = MatchKind.CANCEL
_DECREMENT: Final = MatchKind.DECREMENT
_ADD: Final = BookAction.ADD
_UPDATE: Final = BookAction.UPDATE
_REMOVE: Final = BookAction.REMOVE
_ADDED: Final = Liquidity.ADDED
_REMOVED: Final = Liquidity.REMOVED


class Desk:
    """Carries out what was checked, at `now_ns`, and gathers the events of the call."""

    def __init__(self, self_trade: SelfTradeRule, counterparties: Counterparties | None) -> None:
        self.now_ns = 0
        self.counterparties = counterparties
        self.observers: list[Callable[[Sequence[ExchangeEvent]], None]] = []
        self._self_trade = self_trade
        self._events: list[ExchangeEvent] = []
        self._touched: dict[Holding, None] = {}
        self._triggered: deque[Order] = deque()
        self._last_exec_id = 0
        self._last_trade_id = 0
        self._last_priority = 0

    def tell(self, event: ExchangeEvent) -> None:
        """Add an event to those of this call."""
        self._events.append(event)

    def tell_balances(self) -> None:
        """Tell of every holding that stands otherwise than it was last told."""
        for held in self._touched:
            if held.is_news():
                currency = held.currency
                self.tell(
                    BalanceChanged(
                        time_ns=self.now_ns,
                        account=held.account,
                        currency=currency.name,
                        total=currency.decimal(held.total),
                        locked=currency.decimal(held.locked),
                    )
                )
        self._touched.clear()

    def take_events(self) -> list[ExchangeEvent]:
        """Return the events of this call, balances last."""
        self.tell_balances()
        events, self._events = self._events, []
        for observe in self.observers:
            observe(events)
        return events

    def touch(self, holding: Holding) -> None:
        """Remember that a holding may have changed."""
        self._touched[holding] = None

    def plan(self, order: Order) -> Plan:
        """Return what `order` would trade now."""
        return make_plan(order, order.self_trade or self._self_trade, self.counterparties)

    def accept(self, order: Order) -> None:
        """Take a new order in: it is the account's from now on, its money locked."""
        order.created_ns = order.updated_ns = self.now_ns
        order.account.enter(order)
        self._relock(order)
        self.tell(OrderAccepted(time_ns=self.now_ns, order=order.state()))

    def start(self, order: Order) -> None:
        """Let an order loose, and whatever stops it sets off: they run one after another."""
        self._start(order)
        while self._triggered:
            stop = self._triggered.popleft()
            if stop.post_only and stop.market.other_side(stop.side).crosses(stop.ticks):
                self.cancel(stop, CancelReason.WOULD_TAKE)
            else:
                self._work(stop)

    def cancel(self, order: Order, reason: CancelReason) -> None:
        """End an order."""
        canceled_qty = order.market.qty(order.leaves)
        order.cancel_reason = reason
        change = self._take_out(order)
        self._close(order, OrdStatus.CANCELED)
        self.tell(
            OrderCanceled(
                time_ns=self.now_ns, order=order.state(), reason=reason, canceled_qty=canceled_qty
            )
        )
        self._tell_taken_out(order, change)

    def expire(self, order: Order) -> None:
        """End an order whose time is over."""
        expired_qty = order.market.qty(order.leaves)
        change = self._take_out(order)
        self._close(order, OrdStatus.EXPIRED)
        self.tell(OrderExpired(time_ns=self.now_ns, order=order.state(), expired_qty=expired_qty))
        self._tell_taken_out(order, change)

    def lower(self, order: Order, lots: int) -> None:
        """Take `lots` from what an order that goes on has left; it keeps its place."""
        order.updated_ns = self.now_ns
        index = order.market.own_side(order.side).shrink(order, lots) if order.resting else 0
        order.lots -= lots
        order.leaves -= lots
        self._relock(order)
        if order.resting and lots:
            self._tell_book(order, _UPDATE, index, order.leaves)

    def pull(self, order: Order) -> None:
        """Take an order that goes on out of the book or the stops, to be started again."""
        self._tell_taken_out(order, self._take_out(order))

    def change(self, order: Order, numbers: Numbers) -> None:
        """Give an order that was pulled its new terms."""
        order.leaves += numbers.lots - order.lots
        order.lots, order.ticks, order.stop_ticks = numbers.lots, numbers.ticks, numbers.stop_ticks
        order.updated_ns = self.now_ns
        self._relock(order)

    def _start(self, order: Order) -> None:
        if not order.is_waiting:
            self._work(order)
            return
        order.market.stops.add(order)
        if order.market.tape.last_ticks:
            self._trigger_stops(order.market)

    def _work(self, order: Order) -> None:
        plan = self.plan(order)
        if order.time_in_force is _FOK and not plan.is_whole:
            self.cancel(order, CancelReason.NOT_ALL)
            return
        fills = plan.last_trade if plan.used_up else None
        for match in plan.matches:
            self._carry_out(order, match, is_filled=match is fills)
        if order.status is not _FILLED:
            self._end_or_rest(order, plan)

    def _carry_out(self, order: Order, match: Match, *, is_filled: bool) -> None:
        kind, maker, lots = match
        if kind is _TRADE:
            self._trade(order, maker, lots, is_filled=is_filled)
            return
        notional = lots * maker.ticks * order.market.quote_unit
        if kind is _CANCEL or lots == maker.leaves:
            self.cancel(maker, CancelReason.SELF_TRADE)
        else:
            self._reduce(maker, lots, 0)
        if kind is _DECREMENT and (order.cash_left > notional or order.leaves > lots):
            self._reduce(order, lots, notional)

    def _reduce(self, order: Order, lots: int, notional: int) -> None:
        """Take from an order, by self-trade prevention, what it would have traded with itself."""
        if order.cash:
            order.cash -= notional
            order.cash_left -= notional
            order.updated_ns = self.now_ns
        else:
            self.lower(order, lots)
        self.tell(
            OrderReduced(
                time_ns=self.now_ns, order=order.state(), reduced_qty=order.market.qty(lots)
            )
        )

    def _end_or_rest(self, order: Order, plan: Plan) -> None:
        if plan.end is not None:
            self.cancel(order, plan.end)
        elif plan.unreachable:
            self.cancel(order, CancelReason.COUNTERPARTY_LIMIT)
        elif not order.ticks or order.time_in_force in (_IOC, _FOK):
            self.cancel(order, CancelReason.REMAINDER if order.cum else CancelReason.NO_MATCH)
        else:
            self._last_priority += 1
            order.priority = self._last_priority
            order.resting = True
            index = order.market.own_side(order.side).add(order)
            self._tell_book(order, _ADD, index, order.leaves)

    def _trade(self, taker: Order, maker: Order, lots: int, *, is_filled: bool) -> None:
        market, ticks = taker.market, maker.ticks
        base, quote = lots * market.base_unit, lots * ticks * market.quote_unit
        self._last_trade_id += 1
        if self.counterparties is not None:
            self.counterparties.book(taker, maker, base, quote)
        action, index = self._take_from_book(maker, lots)
        maker_leg = self._fill(maker, lots, quote, _ADDED, is_filled=not maker.resting)
        taker_leg = self._fill(taker, lots, quote, _REMOVED, is_filled=is_filled)
        execution = Execution(
            time_ns=self.now_ns,
            trade_id=self._last_trade_id,
            symbol=market.symbol,
            side=taker.side,
            price=market.price(ticks),
            qty=market.qty(lots),
            notional=market.quote.decimal(quote),
            maker=maker_leg,
            taker=taker_leg,
        )
        self._events.append(execution)
        maker.account.executions.append(execution)
        if taker.account is not maker.account:
            taker.account.executions.append(execution)
        self._tell_book(maker, action, index, maker.leaves)
        self._print(market, execution, ticks, lots, quote)

    def _take_from_book(self, maker: Order, lots: int) -> tuple[BookAction, int]:
        side = maker.market.own_side(maker.side)
        if lots < maker.leaves:
            return _UPDATE, side.shrink(maker, lots)
        maker.resting = False
        return _REMOVE, side.remove(maker)

    def _fill(
        self, order: Order, lots: int, quote: int, liquidity: Liquidity, *, is_filled: bool
    ) -> Leg:
        """Move the money of one side of a trade and count it."""
        market, account = order.market, order.account
        base = lots * market.base_unit
        paid, received = (quote, base) if order.side is _BUY else (base, quote)
        order.pays.total -= paid
        order.receives.total += received
        held = order.fee_holding
        rate = account.fees.maker if liquidity is _ADDED else account.fees.taker
        charged_on = quote if held.currency is market.quote else base
        fee = rate.charge(charged_on, held.currency.fee_step)
        held.total -= fee
        held.currency.fees += fee
        order.fees += fee
        order.cum += lots
        order.cum_notional += quote
        if order.cash:
            order.cash_left -= quote
        else:
            order.leaves -= lots
        account.fills += 1
        self._last_exec_id += 1
        self.touch(order.receives)
        if is_filled:
            self._close(order, _FILLED)
        else:
            order.status = _PARTIALLY_FILLED
            order.updated_ns = self.now_ns
            self._relock(order)
        return Leg(
            order=order.state(),
            exec_id=self._last_exec_id,
            liquidity=liquidity,
            fee=held.currency.decimal(fee),
            fee_currency=held.currency.name,
        )

    def _print(
        self, market: Market, execution: Execution, ticks: int, lots: int, quote: int
    ) -> None:
        maker, taker = execution.maker.order, execution.taker.order
        bought = execution.side is _BUY
        trade = PublicTrade(
            time_ns=self.now_ns,
            symbol=execution.symbol,
            trade_id=execution.trade_id,
            price=execution.price,
            qty=execution.qty,
            side=execution.side,
            maker_order_id=maker.order_id,
            taker_order_id=taker.order_id,
            buyer=taker.account if bought else maker.account,
            seller=maker.account if bought else taker.account,
        )
        self.tell(trade)
        market.trades.append(trade)
        market.tape.note(self.now_ns, trade.trade_id, ticks, lots, quote, bought=bought)
        self._trigger_stops(market)

    def _trigger_stops(self, market: Market) -> None:
        tape = market.tape
        for stop in market.stops.take_triggered(tape.last_ticks):
            stop.triggered = True
            stop.updated_ns = self.now_ns
            self.tell(
                StopTriggered(time_ns=self.now_ns, order=stop.state(), trade_id=tape.last_trade_id)
            )
            self._triggered.append(stop)

    def _take_out(self, order: Order) -> tuple[int, int] | None:
        """Take an order out of the book or the stops; return the index and lots it had there."""
        if order.resting:
            order.resting = False
            return order.market.own_side(order.side).remove(order), order.leaves
        if order.is_waiting:
            order.market.stops.remove(order)
        return None

    def _tell_taken_out(self, order: Order, place: tuple[int, int] | None) -> None:
        if place is not None:
            self._tell_book(order, _REMOVE, *place)

    def _close(self, order: Order, status: OrdStatus) -> None:
        order.status = status
        order.updated_ns = self.now_ns
        order.leaves = order.cash_left = 0
        order.lock(0)
        self.touch(order.pays)
        order.account.close(order)

    def _relock(self, order: Order) -> None:
        order.lock(order.need(order.leaves, order.ticks))
        self.touch(order.pays)

    def _tell_book(self, order: Order, action: BookAction, index: int, lots: int) -> None:
        """Tell of a change in the book: the order, then what its level has become."""
        market = order.market
        price = market.price(order.ticks)
        total = market.own_side(order.side).total(order.ticks)
        self.tell(
            BookOrderChange(
                time_ns=self.now_ns,
                symbol=market.symbol,
                side=order.side,
                action=action,
                index=index,
                order_id=order.order_id,
                account=order.account.name,
                price=price,
                qty=market.qty(lots),
                created_ns=order.created_ns,
            )
        )
        self.tell(
            BookLevelChange(
                time_ns=self.now_ns,
                symbol=market.symbol,
                side=order.side,
                price=price,
                qty=market.qty(total.lots),
                orders=total.orders,
            )
        )
