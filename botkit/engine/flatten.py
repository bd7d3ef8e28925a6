"""Closing positions on an operator's word: orders gone first, then collared reducing limits."""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import inf
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from botkit.config import format_duration
from botkit.model import (
    ClientOrderId,
    Flattened,
    FlattenedPosition,
    Instrument,
    NewOrder,
    OrdStatus,
    Refused,
    Side,
    TimeInForce,
)
from botkit.orders import Order

if TYPE_CHECKING:
    from botkit.engine.core import Engine

__all__ = ["Flattener", "told_of"]

ZERO: Final = Decimal(0)
HALF: Final = Decimal("0.5")
BPS: Final = Decimal(10_000)
NS_PER_S: Final = 1_000_000_000
CUTS: Final = 12
LASTING: Final = frozenset({"kill_switch", "max_position"})  # what they refuse no time lets pass
TIMES_IN_FORCE: Final = (TimeInForce.IOC, TimeInForce.GTC, TimeInForce.DAY)


@attrs.define(eq=False)
class _Leg:
    """One instrument being flattened; one order of ours at a time works in it.

    `why` is what stands in the way now, the reason for a residue should it stay so. `is_over`
    once nothing more is to be done, whether flat or given up.
    """

    instrument: Instrument
    order: Order | None = None
    not_before_ns: int = 0
    why: str = ""
    refused_by: str = ""  # the rule, if one refused the latest
    dust: dict[str, str] = attrs.field(factory=dict)  # by strategy: why it is too little to trade
    is_over: bool = False


@attrs.define(eq=False)
class _Run:
    """One command: what it is about, what was held when it came, until when it may take."""

    target: str
    deadline_ns: int
    before: dict[tuple[str, str], Decimal]  # by strategy and symbol
    legs: list[_Leg]


class Flattener:
    """Brings a strategy, an instrument or everything to a position of zero; one at a time.

    The target is paused, and stays so until it is resumed. Its orders are canceled, those to be
    kept too; an UNKNOWN one blocks its instrument, since what it may fill nobody knows. Then each
    strategy's position is closed under its own name by limit orders, IOC where the venue has it,
    priced through the touch by no more than the collar. They pass the gate like any other: where a
    rule would refuse one, the gate is asked beforehand what passes, at the touch itself or less of
    it. What passes in no size is refused, and recorded, once for each rule.

    Attributes
    ----------
    last
        What came of the latest; None before there was one.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._terms = engine.settings.flatten
        self._run: _Run | None = None
        self._own: set[ClientOrderId] = set()
        self._wakes: list[Callable[[], None]] = []
        self.last: Flattened | None = None

    @property
    def target(self) -> str | None:
        """What is being flattened now, "" for everything; None if nothing is."""
        return None if self._run is None else self._run.target

    def owns(self, client_order_id: ClientOrderId) -> bool:
        """Tell whether an order is one of ours, which no pause holds back."""
        return client_order_id in self._own

    def problem(self) -> str:
        """Return why none can begin now; empty if one can."""
        run = self._run
        if run is None:
            return ""
        left_s = (run.deadline_ns - self._engine.now_ns) / NS_PER_S
        what = run.target or "everything"
        return f"{what} is being flattened, for {left_s:.1f} s more at most: wait for its end"

    def call_on_end(self, wake: Callable[[], None]) -> None:
        """Call `wake` once, when what is under way is over; at once if nothing is."""
        if self._run is None:
            wake()
        else:
            self._wakes.append(wake)

    def start(self, target: str, reason: str) -> None:
        """Pause the target and begin; refused, and logged, while another is under way."""
        engine, terms = self._engine, self._terms
        problem = self.problem()
        if problem:
            engine.log("error", "not flattened", {"target": target or "all", "problem": problem})
            return
        engine.lifecycle.pause(target, f"is being flattened: {reason}")
        held = {(each.strategy, each.symbol): each.qty for each in engine.portfolio.positions()}
        before = {key: qty for key, qty in held.items() if qty and _concerns(target, *key)}
        working = {each.symbol: None for each in self._working(target)}
        symbols = [each for each in engine.channels if each in working or _names(before, each)]
        legs = [_Leg(engine.channels[symbol].instrument) for symbol in symbols]
        engine.desk.onlookers["flatten"] = self.look
        run = self._run = _Run(target, engine.now_ns + terms.deadline, before, legs)

        def expire() -> None:
            if self._run is run:
                self.stop(f"the deadline of {format_duration(terms.deadline)} has passed")

        engine.call_at(run.deadline_ns, expire)
        self.look()

    def stop(self, why: str) -> None:
        """End what is under way, and report what is left."""
        run = self._run
        if run is not None:
            self._break_off(run, why)
            self._stay_paused(run)

    def resumed(self, target: str) -> None:
        """Take note that a pause has been taken back: what may trade again is not flattened."""
        run = self._run
        if run is not None and target in ("", run.target):
            self._break_off(run, "resumed by an operator")

    def look(self) -> None:
        """Do what is due; after every change of an order, and when a wait is over."""
        run = self._run
        if run is None:
            return
        for leg in run.legs:
            while not leg.is_over and self._step(run, leg):
                pass
        if all(leg.is_over for leg in run.legs):
            self._finish(run)
            self._stay_paused(run)

    # --- one instrument ---------------------------------------------------------------------

    def _step(self, run: _Run, leg: _Leg) -> bool:
        """Do the next thing; True if there may be another at once."""
        engine = self._engine
        if not self._is_clear(run, leg) or engine.now_ns < leg.not_before_ns:
            return False
        hindrance = engine.lifecycle.hindrance(leg.instrument.symbol)
        if hindrance:
            leg.why = hindrance
            self._wait(leg)
            return False
        owner = self._owner(run, leg)
        if owner is None:
            leg.is_over = True
            return False
        return self._close(leg, owner)

    def _is_clear(self, run: _Run, leg: _Leg) -> bool:
        """Cancel what is in the way; True once all of it is confirmed gone."""
        if leg.order is not None and leg.order.is_closed:
            if leg.order.ord_status is OrdStatus.FILLED:
                leg.not_before_ns = 0  # what did not fill waits, for the market to come
            leg.order = None
        working = self._working(run.target, leg.instrument.symbol)
        for order in working:
            if order is not leg.order:
                self._engine.desk.cancel(order)
        open_orders = [order for order in working if order.is_open]
        if open_orders:
            told = ", ".join(f"{each.client_order_id} is {each.ord_status}" for each in open_orders)
            leg.why = f"order {told}"
        return not open_orders

    def _owner(self, run: _Run, leg: _Leg) -> str | None:
        """Return whose position comes next: first those on the side of the bot's own."""
        symbol = leg.instrument.symbol
        net = self._engine.portfolio.position(symbol)
        held = [
            (each.strategy, each.qty)
            for each in self._engine.portfolio.positions()
            if each.symbol == symbol
            and each.qty
            and each.strategy not in leg.dust
            and _concerns(run.target, each.strategy, symbol)
        ]
        held.sort(key=lambda each: each[1] * net < 0)
        return held[0][0] if held else None

    def _close(self, leg: _Leg, owner: str) -> bool:
        """Send one order to close a position; True if it is dust, so that another may follow."""
        engine, instrument = self._engine, leg.instrument
        held = engine.portfolio.position(instrument.symbol, owner)
        least = max(instrument.min_trade_vol, instrument.lot_size)
        if abs(held) < least:
            leg.dust[owner] = f"less than {instrument} trades, {least}"
            return True
        lack = self._lack(instrument.symbol)
        if lack:
            leg.why, leg.is_over = lack, True
            return False
        side = Side.SELL if held > 0 else Side.BUY
        touch = engine.touch_of(instrument.symbol)[side is Side.BUY]
        whole = self._reducible(instrument, held)
        if instrument.min_notional > instrument.notional(_exact(touch), whole):
            leg.dust[owner] = (
                f"worth less than {instrument} trades, {instrument.min_notional} {instrument.quote}"
            )
            return True
        request, refused = self._fitting(self._request(instrument, owner, side, whole), touch)
        self._submit(leg, request, refused)
        return False

    def _submit(self, leg: _Leg, request: NewOrder, refused: Refused | None) -> None:
        """Send what passes; what does not is tried again later, unless it never would pass."""
        engine = self._engine
        rule = "" if refused is None else refused.rule
        if refused is not None and rule == leg.refused_by and not engine.desk.clears(request):
            leg.why = refused.text  # recorded already
        else:
            self._own.add(request.client_order_id)
            hindrance = engine.lifecycle.hindrance(request.symbol)
            order = engine.desk.place(request, hindrance)
            leg.order, leg.why = (order, leg.why) if order.is_open else (None, order.text)
        leg.refused_by = rule
        if rule.rpartition(".")[2] in LASTING and not self._may_fill(request.symbol):
            leg.is_over = True
        else:
            self._wait(leg, NS_PER_S if leg.order is None else 0)

    def _may_fill(self, symbol: str) -> bool:
        return any(self._engine.orders.leaves(symbol, side) for side in Side)

    def _reducible(self, instrument: Instrument, held: Decimal) -> Decimal:
        """Return how much of a strategy's position to close by one order.

        As much as reduces the bot's position too, since only that passes while it is halted; all
        of it where others hold the opposite.
        """
        engine, symbol = self._engine, instrument.symbol
        side = Side.SELL if held > 0 else Side.BUY
        net = engine.portfolio.position(symbol) * (1 if held > 0 else -1)
        both = min(abs(held), net - engine.orders.leaves(symbol, side))
        qty = instrument.quantity(both if both >= instrument.min_trade_vol else abs(held))
        qty = qty or instrument.quantity(abs(held))
        most = instrument.max_trade_vol
        return qty if most is None else min(qty, instrument.quantity(most))

    def _fitting(self, request: NewOrder, touch: float) -> tuple[NewOrder, Refused | None]:
        """Return as much of `request` as passes, and None; or the least, and how it is refused.

        What a rule refuses is cut to the share that its limit is of what it measured; if that is
        still too much for it (it counts other things too), in half.
        """
        desk, instrument = self._engine.desk, self._engine.channels[request.symbol].instrument
        found: tuple[NewOrder, Refused | None] = request, None
        qty, rule = request.order_qty, ""
        for _ in range(CUTS):
            tried, refused = self._tried(msgspec.structs.replace(request, order_qty=qty), touch)
            if refused is None:
                return tried, None
            has_limit = desk.last_verdict is not None
            if has_limit or found[1] is None:  # that less is too little to trade tells nobody why
                found = tried, refused
            qty = instrument.quantity(qty * (HALF if refused.rule == rule else _share(refused)))
            if not has_limit or not qty or qty < instrument.min_trade_vol:
                break
            rule = refused.rule
        return found

    def _tried(self, request: NewOrder, touch: float) -> tuple[NewOrder, Refused | None]:
        """Return `request` priced through the touch, else at it, and how that is refused."""
        instrument = self._engine.channels[request.symbol].instrument
        best = _exact(touch)
        reach = best * self._terms.collar_bps / BPS
        if request.side is Side.SELL:
            through = instrument.price(best - reach, ROUND_CEILING)
        else:
            through = instrument.price(best + reach, ROUND_FLOOR)
        tried = msgspec.structs.replace(request, price=through)
        refused = self._engine.desk.foresee(tried)
        if refused is None:
            return tried, None
        tried = msgspec.structs.replace(request, price=instrument.price(best))
        return tried, self._engine.desk.foresee(tried)

    def _request(self, instrument: Instrument, owner: str, side: Side, qty: Decimal) -> NewOrder:
        engine = self._engine
        offered = engine.settings.capabilities[instrument.venue].times_in_force
        return NewOrder(
            client_order_id=engine.desk.next_id(),
            symbol=instrument.symbol,
            strategy=owner,
            side=side,
            order_qty=qty,
            time_in_force=next(each for each in TIMES_IN_FORCE if each in offered),
            transact_time_ns=engine.now_ns,
        )

    def _wait(self, leg: _Leg, least_ns: int = 0) -> None:
        """Look again after a while; what rests until then is canceled, to be priced anew."""
        engine, order = self._engine, leg.order
        leg.not_before_ns = engine.now_ns + max(self._terms.retry, least_ns)

        def look_again() -> None:
            if order is not None and order is leg.order and not order.is_held:
                engine.desk.cancel(order)
            self.look()

        engine.call_at(leg.not_before_ns, look_again)

    def _lack(self, symbol: str) -> str:
        """Return why no price can be made; empty if one can."""
        engine, stale_ns = self._engine, self._terms.quote_stale
        age_ns = engine.guard.view.age_ns(symbol)
        bid_px, ask_px = engine.touch_of(symbol)
        if age_ns is None or not (0 < bid_px < inf and 0 < ask_px < inf):
            return f"{symbol} shows no bid and ask"
        if age_ns > stale_ns:
            told = f"{format_duration(age_ns)} old, limit {format_duration(stale_ns)}"
            return f"the quote of {symbol} is {told}"
        return f"{symbol} is crossed, bid {bid_px} above ask {ask_px}" if bid_px > ask_px else ""

    # --- all of them ------------------------------------------------------------------------

    def _working(self, target: str, symbol: str | None = None) -> list[Order]:
        found = self._engine.orders.working(symbol=symbol)
        return [each for each in found if _concerns(target, each.strategy, each.symbol)]

    def _break_off(self, run: _Run, why: str) -> None:
        for leg in run.legs:
            if not leg.is_over:
                leg.why = f"{why}; {leg.why}" if leg.why else why
            if leg.order is not None:
                self._engine.desk.cancel(leg.order)
        self._finish(run)

    def _stay_paused(self, run: _Run) -> None:
        is_flat = self.last is not None and self.last.is_flat
        came = "was flattened" if is_flat else "was flattened as far as that went"
        self._engine.lifecycle.pause(run.target, f"{came}, and waits to be resumed")

    def _finish(self, run: _Run) -> None:
        engine, symbols = self._engine, {leg.instrument.symbol: leg for leg in run.legs}
        self._run = None
        del engine.desk.onlookers["flatten"]
        self._own.clear()
        held = {(each.strategy, each.symbol): each.qty for each in engine.portfolio.positions()}
        rows: list[FlattenedPosition] = []
        for (strategy, symbol), qty in held.items():
            leg, before = symbols.get(symbol), run.before.get((strategy, symbol), ZERO)
            if leg is None or not (qty or before) or not _concerns(run.target, strategy, symbol):
                continue
            dust = leg.dust.get(strategy, "")
            rows.append(
                FlattenedPosition(
                    strategy=strategy,
                    symbol=symbol,
                    before=before,
                    left=qty,
                    is_dust=bool(qty and dust),
                    why=(dust or leg.why) if qty else "",
                )
            )
        flattened = self.last = Flattened(
            target=run.target,
            positions=tuple(rows),
            orders=tuple(each.client_order_id for each in self._working(run.target)),
            receive_time_ns=engine.now_ns,
        )
        engine.journal.record(flattened)
        engine.touched = True
        level = "info" if flattened.is_flat else "warning"
        engine.log(level, "flattened" if flattened.is_flat else "not flat", told_of(flattened))
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()


def told_of(flattened: Flattened) -> dict[str, object]:
    """Return what the log says of it: each position before and after, and why any is left."""
    told: dict[str, object] = {"target": flattened.target or "all"}
    for each in flattened.positions:
        state = f"{each.before} to {each.left}"
        if each.left:
            state += f" ({'dust' if each.is_dust else 'residue'}: {each.why})"
        told[f"{each.strategy} {each.symbol}".strip()] = state
    if flattened.orders:
        told["may_rest"] = list(flattened.orders)
    return told


def _concerns(target: str, strategy: str, symbol: str) -> bool:
    return target in ("", strategy, symbol)


def _names(held: dict[tuple[str, str], Decimal], symbol: str) -> bool:
    return any(name == symbol for _, name in held)


def _share(refused: Refused) -> Decimal:
    """Return how much of an order may fit a limit that all of it has passed."""
    if not (refused.limit and refused.measured):
        return HALF
    limit, measured = Decimal(refused.limit), Decimal(refused.measured)
    return limit / measured if 0 < limit < measured else HALF


def _exact(price: float) -> Decimal:
    return Decimal(repr(float(price)))
