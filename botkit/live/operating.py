"""What a running bot does when a person's command comes over its control socket.

Everything a person says enters the engine as an event, which the journal keeps. What would be
refused is refused here already, so that whoever said it is told why.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

import attrs
import msgspec
import trio

from botkit.control import (
    Adjust,
    Answer,
    Done,
    Look,
    MarketTold,
    Operate,
    OrderTold,
    PositionTold,
    Question,
    Refusal,
    Resolve,
    StatusTold,
    StrategyTold,
    TotalTold,
    VenueTold,
)
from botkit.engine import StrategySlot
from botkit.live.control import Peer
from botkit.model import (
    AdjustmentKind,
    ExecutionReport,
    Flattened,
    Operation,
    OperatorCommand,
    OrdStatus,
    ResolveOrder,
)
from botkit.orders import Order
from botkit.shell import Bot

__all__ = ["Operating"]

WAIT_MAX_S: Final = 60.0
ORDERS_MAX: Final = 1_000  # told in one answer
DIGITS_MAX: Final = 40
NS_PER_S: Final = 1_000_000_000
BY_HAND: Final = frozenset({AdjustmentKind.DEPOSIT, AdjustmentKind.TRADE})
CLOSED: Final = frozenset(
    {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED}
)


@attrs.define(kw_only=True, eq=False)
class Operating:
    """Answers the questions about one bot; `answer` is for `ControlSocket.serve`.

    Parameters
    ----------
    mode, started_ns, began_ns
        What status tells of the run: when it began by the machine's clock, and by the bot's.
    keep_running
        A halted bot stays up.
    counts
        How many orders, fills and so on there were so far.
    """

    bot: Bot
    mode: str
    started_ns: int
    began_ns: int
    keep_running: bool
    counts: Callable[[], Mapping[str, int]]
    _over: bool = attrs.field(default=False, init=False)
    _looks: list[Callable[[], None]] = attrs.field(factory=list, init=False)

    def end(self) -> None:
        """Let nobody wait any longer: the run is over, and what stands now is the answer."""
        self._over = True
        for look in self._looks:
            look()

    async def answer(self, question: Question, peer: Peer) -> Answer:
        """Do what a person wants, and say what came of it."""
        problem = _number_problem(question)
        if problem:
            return self._refuse(problem, peer)
        match question:
            case Look():
                return self._look()
            case Operate():
                return await self._operate(question, peer)
            case Resolve():
                return self._resolve(question, peer)
            case Adjust():
                return self._adjust(question, peer)

    # --- what acts --------------------------------------------------------------------------

    def _refuse(self, problem: str, peer: Peer) -> Refusal:
        self.bot.engine.log("warning", "operator refused", {"problem": problem, "by": str(peer)})
        return Refusal(text=problem)

    async def _operate(self, ask: Operate, peer: Peer) -> Answer:
        engine = self.bot.engine
        if ask.target and ask.target not in engine.slots and ask.target not in engine.channels:
            known = ", ".join([*engine.slots, *engine.channels])
            return self._refuse(f"target: found {ask.target!r}, allowed: {known}, all", peer)
        is_flatten = ask.operation is Operation.FLATTEN
        if is_flatten and (problem := engine.flattener.problem()):
            return self._refuse(problem, peer)
        before = self._working(ask.target)
        known_ids = {order.client_order_id for order in before}
        paused = dict(engine.lifecycle.paused)
        engine.handle(
            OperatorCommand(
                operation=ask.operation,
                target=ask.target,
                reason=ask.reason,
                by=str(peer),
                receive_time_ns=self.bot.clock.now_ns(),
            )
        )
        canceled = [order for order in before if order.cancel_requested or order.is_closed]
        if is_flatten:
            await self._wait_for_flat(ask.wait_s)
        elif ask.operation is not Operation.RESUME:
            await self._wait(canceled, ask.wait_s)
        now = self._working(ask.target)
        return self._done(
            self._told_of(ask, paused),
            orders=canceled,
            kept=[order for order in before if order not in canceled and order.is_open],
            placed=[order for order in now if order.client_order_id not in known_ids],
            ends=ask.operation is Operation.HALT and not self.keep_running,
            flattened=engine.flattener.last
            if is_flatten and not engine.flattener.problem()
            else None,
        )

    def _told_of(self, ask: Operate, paused: Mapping[str, str]) -> str:
        """Return a sentence on what was done besides canceling."""
        what = ask.target or "everything"
        match ask.operation:
            case Operation.PAUSE:
                return f"{what} is paused: no new order and no replace of it passes"
            case Operation.RESUME:
                left = "; ".join(self.bot.engine.lifecycle.paused.values())
                if ask.target and ask.target not in paused:
                    done = f"{what} was not paused by itself"
                else:
                    done = f"{what} is resumed"
                return f"{done}; still: {left}" if left else done
            case Operation.HALT:
                return "the kill switch has tripped"
            case Operation.FLATTEN:
                return f"{what} stays paused until it is resumed"
            case _:
                return f"canceled what rests of {what}"

    async def _wait(self, orders: Sequence[Order], wait_s: float) -> None:
        """Return once none of `orders` is open, time is up, or the run is over."""

        def subscribe(look: Callable[[], None]) -> None:
            for order in orders:
                if order.is_open:
                    self.bot.engine.call_on_close(order, look)

        await self._until(lambda: not any(each.is_open for each in orders), subscribe, wait_s)

    async def _wait_for_flat(self, wait_s: float) -> None:
        """Return once nothing is being flattened, time is up, or the run is over."""
        flattener = self.bot.engine.flattener
        await self._until(lambda: flattener.target is None, flattener.call_on_end, wait_s)

    async def _until(
        self,
        holds: Callable[[], bool],
        subscribe: Callable[[Callable[[], None]], None],
        wait_s: float,
    ) -> None:
        """Return once `holds`, looked at whenever what was subscribed to calls."""
        over = trio.Event()

        def look() -> None:
            if self._over or holds():
                over.set()

        look()
        subscribe(look)
        self._looks.append(look)
        with trio.move_on_after(min(max(wait_s, 0.0), WAIT_MAX_S)):
            await over.wait()
        self._looks.remove(look)

    def _done(
        self,
        text: str,
        *,
        orders: Iterable[Order] = (),
        kept: Iterable[Order] = (),
        placed: Iterable[Order] = (),
        ends: bool = False,
        flattened: Flattened | None = None,
    ) -> Done:
        return Done(
            run_id=self.bot.run_id,
            text=text,
            orders=_told(orders),
            kept=_told(kept),
            placed=_told(placed),
            foreign=self._foreign(),
            halted=self._halted(),
            stopping=self.bot.engine.lifecycle.stopping,
            ends=ends,
            flattened=flattened,
        )

    def _resolve(self, ask: Resolve, peer: Peer) -> Answer:
        engine = self.bot.engine
        word = ResolveOrder(
            client_order_id=ask.client_order_id,
            ord_status=ask.ord_status,
            cum_qty=ask.cum_qty,
            avg_px=ask.avg_px,
            reason=ask.reason,
            by=str(peer),
            receive_time_ns=self.bot.clock.now_ns(),
        )
        problem = engine.resolver.problem(word)
        order = engine.orders.get(ask.client_order_id)
        if problem or order is None:
            return self._refuse(problem, peer)
        engine.handle(word)
        return self._done("the order is over by your word; the journal keeps it", orders=[order])

    def _adjust(self, ask: Adjust, peer: Peer) -> Answer:
        engine = self.bot.engine
        adjustment = msgspec.structs.replace(
            ask.adjustment, by=str(peer), receive_time_ns=self.bot.clock.now_ns()
        )
        if adjustment.kind not in BY_HAND:
            return self._refuse(f"kind: found {adjustment.kind}, allowed: DEPOSIT, TRADE", peer)
        problem = engine.money.problem(adjustment)
        if problem:
            return self._refuse(problem, peer)
        engine.handle(adjustment)
        if adjustment.kind is AdjustmentKind.DEPOSIT:
            return self._done(
                f"booked {adjustment.amount} {adjustment.currency} at {adjustment.venue}; "
                "it is no profit and no loss"
            )
        held = engine.portfolio.position(adjustment.symbol, adjustment.strategy)
        return self._done(
            f"booked {adjustment.qty} {adjustment.symbol} at {adjustment.price}; the position of "
            f"{adjustment.strategy or 'no strategy'} is {held:f} now; it is no profit and no loss"
        )

    # --- what looks -------------------------------------------------------------------------

    def _look(self) -> StatusTold:
        bot, engine = self.bot, self.bot.engine
        now_ns = bot.clock.now_ns()
        working = engine.orders.working()
        total = engine.money.total()
        return StatusTold(
            bot=bot.name,
            mode=self.mode,
            run_id=bot.run_id,
            pid=os.getpid(),
            started_ns=self.started_ns,
            run_ns=now_ns - self.began_ns,
            now_ns=now_ns,
            stopping=engine.lifecycle.stopping,
            halted=self._halted(),
            paused=dict(engine.lifecycle.paused),
            venues=tuple(self._venue(name) for name in self._venues()),
            markets=tuple(self._market(symbol, now_ns) for symbol in engine.channels),
            strategies=tuple(self._strategy(slot, now_ns) for slot in engine.slots.values()),
            positions=tuple(
                PositionTold(
                    strategy=view.strategy,
                    symbol=view.symbol,
                    qty=view.qty,
                    average_px=view.average_px,
                )
                for view in engine.portfolio.positions()
                if view.qty
            ),
            orders=_told(working),
            order_count=len(working),
            in_doubt=sum(order.in_doubt for order in working),
            foreign=self._foreign(),
            counts=dict(self.counts()),
            profit=tuple(engine.portfolio.equity(engine.touch_of, now_ns)),
            total=None
            if total is None
            else TotalTold(currency=total.currency, point=total.point, missing=total.missing),
        )

    def _working(self, target: str) -> list[Order]:
        """Return the open orders of a strategy, an instrument, or all ("")."""
        engine = self.bot.engine
        if target in engine.slots:
            return engine.orders.working(strategy=target)
        return engine.orders.working(symbol=target or None)

    def _halted(self) -> str:
        halted = self.bot.engine.guard.halted
        return "" if halted is None else f"halted by {halted.rule}: {halted.reason}"

    def _venues(self) -> list[str]:
        channels = self.bot.engine.channels.values()
        return list(dict.fromkeys(channel.instrument.venue for channel in channels))

    def _venue(self, name: str) -> VenueTold:
        status = self.bot.engine.lifecycle.venue_status.get(name)
        if status is None:
            return VenueTold(name=name, up=False, reason="not connected yet")
        return VenueTold(name=name, up=status.up, reason=status.reason)

    def _market(self, symbol: str, now_ns: int) -> MarketTold:
        channel = self.bot.engine.channels[symbol]
        told = [
            event.receive_time_ns
            for event in (channel.market.quote, channel.market.trade)
            if event is not None
        ]
        bid_px, ask_px = channel.market.touch
        return MarketTold(
            symbol=symbol,
            bid_px=_number(bid_px),
            ask_px=_number(ask_px),
            age_s=max(0, now_ns - max(told)) / NS_PER_S if told else None,
            blocked=channel.blocked,
        )

    def _strategy(self, slot: StrategySlot, now_ns: int) -> StrategyTold:
        engine = self.bot.engine
        state, reason = "trading", ""
        if slot.ended:
            state, reason = ("failed" if slot.error else "ended"), slot.error
        elif blocked := slot.blocked or engine.lifecycle.paused.get("", ""):
            state, reason = "paused", blocked
        points = engine.portfolio.equity(engine.touch_of, now_ns, strategy=slot.name)
        return StrategyTold(
            name=slot.name,
            state=state,
            reason=reason,
            symbols=slot.symbols,
            open_orders=len(engine.orders.working(strategy=slot.name)),
            profit=tuple(points),
        )

    def _foreign(self) -> tuple[str, ...]:
        """Return a line for each order of others that was last told as open."""
        return tuple(
            _foreign_line(report)
            for report in self.bot.engine.orders.foreign.values()
            if report.ord_status not in CLOSED
        )


def _foreign_line(report: ExecutionReport) -> str:
    side = "" if report.side is None else f"{report.side.value.lower()} "
    qty = "" if report.order_qty is None else f"{report.order_qty} "
    price = "" if report.price is None else f" at {report.price}"
    name = report.venue_order_id or report.client_order_id
    return f"{name}  {side}{qty}{report.symbol}{price}  {report.ord_status.value}"


def _told(orders: Iterable[Order]) -> tuple[OrderTold, ...]:
    return tuple(
        OrderTold(
            client_order_id=order.client_order_id,
            strategy=order.strategy,
            symbol=order.symbol,
            side=order.side,
            order_qty=order.order_qty,
            price=order.price,
            ord_status=order.ord_status,
            cum_qty=order.cum_qty,
            keep=order.keep,
            in_doubt=order.in_doubt,
            text=order.text,
        )
        for order in list(orders)[:ORDERS_MAX]
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _number_problem(question: Question) -> str:
    """Return which number of `question` is none to reckon with; empty if all are."""
    told = question.adjustment if isinstance(question, Adjust) else question
    for name in told.__struct_fields__:
        value = getattr(told, name)
        if isinstance(value, Decimal) and not _is_sane(value):
            return f"{name}: found {value}, allowed: a number of at most {DIGITS_MAX} digits"
    return ""


def _is_sane(value: Decimal) -> bool:
    return value.is_finite() and abs(value.adjusted()) < DIGITS_MAX > len(value.as_tuple().digits)
