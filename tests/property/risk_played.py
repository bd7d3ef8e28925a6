"""A whole bot under every rule beside its plain model: each word of a rule is held against it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import attrs

from botkit.engine import Engine, EngineSettings
from botkit.model import (
    Adjustment,
    Approved,
    Balance,
    CancelOrder,
    Command,
    NewOrder,
    Refused,
    ReplaceOrder,
    RunStarted,
    Side,
    Tick,
    TimeInForce,
)
from botkit.orders import Order
from botkit.ports import Checked
from botkit.scope import CleanUpBudget
from botkit.testing import START_NS, build_venue_status
from botkit.testing.builders import build_quote
from botkit.testing.engine_rig import CAPABLE, Actor
from botkit.testing.memory_journal import MemoryJournal
from tests.property.plain_risk_model import PlainModel
from tests.property.plain_risk_parts import ACK_DUE_S, NOISE, Ask, Judgement, Placed, PlainOrder
from tests.property.risk_terms import (
    ATOMIC,
    FEES,
    INSTRUMENTS,
    STRATEGIES,
    SYMBOLS,
    TAKER,
    TERMS,
    THINGS,
    VENUES,
    Pick,
    Plant,
    build,
    honest,
    limit_of,
    placed_at,
)

__all__ = ["BEGIN_NS", "DisagreementError", "PlayedBot", "attrs_at"]

BEGIN_NS: Final = START_NS + 86_400_000_000_000 - 20_000_000_000  # 20 s before midnight


class DisagreementError(AssertionError):
    """The code and the plain model do not say the same."""


def expect(*, that: bool, or_else: object) -> None:
    if not that:
        raise DisagreementError(or_else)


class PlayedBot:
    """Two strategies on five instruments of two venues, under every rule at several scopes.

    Attributes
    ----------
    counts
        How often what happened: "max_position refused", "restart".
    """

    def __init__(
        self, pick: Pick, plant: Plant = honest, *, focus: str = "", decisions_only: bool = False
    ) -> None:
        self.decisions_only = decisions_only
        self.counts: dict[str, int] = {}
        self._plant = plant
        # A limit that binds hides those after it, so each is tight in some worlds only.
        self._chosen = [(term, limit_of(term, pick, focus)) for term in TERMS]
        turn = pick(len(TERMS))
        self._chosen = self._chosen[turn:] + self._chosen[:turn]
        self._chosen.sort(key=lambda each: each[0].kind != focus)
        self.now_ns = BEGIN_NS
        self.model = PlainModel(
            THINGS, [placed_at(*each) for each in self._chosen], TAKER, self.now_s
        )
        self._runs = self._numbers = 0
        self.begin({}, [])

    def begin(
        self, carried: Mapping[str, Mapping[str, str]], opening: Sequence[Adjustment]
    ) -> None:
        self._runs += 1
        self._was_halted = False
        self.journal = MemoryJournal()
        self._sent: list[Command] = []
        self._absorbed: dict[int, Command] = {}
        self.orders: dict[str, Order] = {}
        self.fills: list[tuple[PlainOrder, dict[str, Any]]] = []
        self.untold: list[tuple[PlainOrder, str]] = []
        self.engine = Engine(
            EngineSettings(
                bot="world",
                instruments=INSTRUMENTS,
                capabilities={
                    name: attrs.evolve(CAPABLE, replace_atomic=name == ATOMIC) for name in VENUES
                },
                rules=build(self._chosen, self._plant),
                journal=self.journal,
                dispatch=self._dispatch,
                stamp=lambda: 0,
                log=lambda *_: None,
                equity_every_ns=0,
                keep_running=True,
                rate_stale_ns=10_000_000_000,
                carried=carried,
                fees=FEES,
            )
        )
        self.actors = {name: Actor() for name in STRATEGIES}
        for name, actor in self.actors.items():
            self.engine.add_strategy(
                actor, name=name, symbols=SYMBOLS, params=None, budget=CleanUpBudget(10.0)
            )
        for adjustment in opening:
            self.engine.handle(attrs_at(adjustment, self.now_ns))
        for venue in VENUES:
            self.turn(venue, up=True)
        self.tell(RunStarted(run_id=f"run{self._runs}", receive_time_ns=self.now_ns))
        self.model.start()
        self.compare()

    # --- between the two --------------------------------------------------------------------

    @property
    def now_s(self) -> Fraction:
        return Fraction(self.now_ns, 1_000_000_000)

    @property
    def after_s(self) -> float:
        return (self.now_ns - START_NS) / 1e9

    def _dispatch(self, commands: Sequence[Command]) -> None:
        self.journal.commit()
        self._sent.extend(commands)

    def tell(self, event: Any) -> None:
        """Hand an event to the engine, and what left to the model."""
        self.engine.handle(event)
        self.absorb()

    def absorb(self) -> None:
        """Tell the model of each command that has left, or waits to leave when a hook is done."""
        for command in [*self._sent, *self.engine.desk._outbox]:
            if id(command) in self._absorbed:
                continue
            self._absorbed[id(command)] = command
            match command:
                case CancelOrder():
                    at_s = Fraction(command.transact_time_ns, 1_000_000_000)
                    self.model.cancels(self._named(command.client_order_id), at_s)
                case Approved(request=NewOrder() | ReplaceOrder() as request):
                    expect(that=self._is_noted(request), or_else=f"left unseen: {request}")
                case _:
                    pass  # a question
        self._sent.clear()

    @property
    def entries(self) -> list[Any]:
        """What the journal has, and what it is given when a hook is done."""
        return [*self.journal.entries, *self.journal._batch]

    def _named(self, name: str) -> PlainOrder:
        for order in self.model.orders.values():
            if name == order.name or name in self.orders[order.name].aliases:
                return order
        raise DisagreementError(f"a command names {name}, which nobody sent")

    def _is_noted(self, request: NewOrder | ReplaceOrder) -> bool:
        name = request.client_order_id
        return name in self.model.orders or any(
            order.change is not None and order.change[0] == name
            for order in self.model.orders.values()
        )

    def compare(self) -> None:
        """Hold what is seen from outside against the model."""
        model, engine = self.model, self.engine
        halted = engine.guard.halted
        expect(
            that=bool(model.halted) is (halted is not None),
            or_else=f"halted by {halted}, the model says {model.halted!r}",
        )
        for name, order in self.orders.items():
            plain = model.orders[name]
            expect(
                that=(order.is_open, Fraction(order.cum_qty)) == (plain.is_open, plain.cum),
                or_else=(order, plain),
            )
            if model.halted:
                told = plain.cancels > 0 or not plain.is_open or plain.after_halt or plain.keep
                expect(that=told, or_else=f"rests after the halt: {order}")
        if halted is not None and not self._was_halted:
            self._was_halted = True
            self.count(f"halted by {halted.rule.rpartition('.')[2]}")
        for plain in model.must_be_canceled:
            self.count("pulled for stale_data")
            told = plain.cancels > 0 or not plain.is_open
            expect(that=told, or_else=f"rests where data are stale: {plain}")
        model.must_be_canceled.clear()

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def place(
        self,
        symbol: str,
        strategy: str,
        side: Side,
        qty: Decimal,
        price: Decimal | None,
        **terms: Any,
    ) -> Order:
        """Place one order and hold what becomes of it against the model."""
        stop_px = terms.get("stop_px")
        is_market = price is None and stop_px is None
        ask = Ask(
            symbol=symbol,
            strategy=strategy,
            side=int(side.sign),
            qty=Fraction(qty),
            price=None if price is None else Fraction(price),
            stop=None if stop_px is None else Fraction(stop_px),
            at_once=is_market or terms.get("time_in_force") is TimeInForce.IOC,
        )
        judged, was_reducing = self.model.judge(ask), self._reduces(ask)
        actor, before = self.actors[strategy], self.mark()
        do = actor.buy if side is Side.BUY else actor.sell
        order = do(INSTRUMENTS[symbol], qty, price=price, **terms)
        if order.is_held:  # what is held is in the engine alone: leave it there
            order.cancel()
            self.count("held")
        self.hold_against(order.client_order_id, ask, judged, before, passed=order.is_open)
        if order.is_open:
            self.orders[order.client_order_id] = order
            plain = self.model.new(
                order.client_order_id,
                ask,
                is_atomic=symbol.startswith(ATOMIC),
                keep=bool(terms.get("keep")),
            )
            plain.after_halt = bool(self.model.halted)
            self.count("reducing order passed" if was_reducing else "order passed")
        self.absorb()
        self.compare()
        return order

    def mark(self) -> int:
        return len(self.entries)

    def _reduces(self, ask: Ask) -> bool:
        return self.model.reduces(Placed("", ""), ask)

    def hold_against(
        self,
        name: str,
        ask: Ask,
        judged: Mapping[str, Judgement],
        before: int,
        *,
        passed: bool,
    ) -> None:
        """Compare verdicts, and what came of them, with what the model says."""
        entries = self.entries[before:]
        for checked in entries:
            if isinstance(checked, Checked) and checked.client_order_id == name:
                for verdict in checked.verdicts:
                    self._compare_verdict(ask, verdict, judged[verdict.rule])
        if passed:
            wrong = {key: each for key, each in judged.items() if not each.passes and each.is_sure}
            expect(that=not wrong, or_else=f"{ask} left, against {wrong}")
            ready = self.is_ready(ask.symbol)
            expect(that=ready, or_else=f"{ask} left for a venue that is not ready")
            halted = bool(self.model.halted) and not self._reduces(ask)
            expect(that=not halted, or_else=f"{ask} left though {self.model.halted} has halted")
            return
        refused = [e for e in entries if isinstance(e, Refused) and e.client_order_id == name]
        rule = refused[0].rule
        self.count(f"{rule.rpartition('.')[2]} refused")
        if rule == "ready":
            expect(that=not self.is_ready(ask.symbol), or_else=refused)
        elif rule == "kill_switch":
            may = self.model.halted and not self._reduces(ask)
            expect(that=bool(may), or_else=refused)
        else:
            judgement = judged.get(rule)
            expect(that=judgement is not None, or_else=refused)
            assert judgement is not None
            is_right = not judgement.passes or not judgement.is_sure
            expect(that=is_right, or_else=(refused, judgement))

    def _compare_verdict(self, ask: Ask, verdict: Any, judgement: Judgement) -> None:
        agree = verdict.passed is judgement.passes or not judgement.is_sure
        for told, right in (
            ()
            if self.decisions_only
            else (
                (verdict.measured, judgement.measured),
                (verdict.limit, judgement.limit),
            )
        ):
            if told is not None and right is not None:
                agree = agree and abs(Fraction(told) - right) < NOISE
        expect(that=agree, or_else=(ask, verdict, judgement))

    def is_ready(self, symbol: str) -> bool:
        return symbol.split(":", maxsplit=1)[0] in self.model.up

    def open_orders(self) -> list[PlainOrder]:
        return [each for each in self.model.orders.values() if each.is_open]

    def turn(self, venue: str, *, up: bool) -> None:
        self.model.up = self.model.up | {venue} if up else self.model.up - {venue}
        self.tell(build_venue_status(self.after_s, up=up, venue=venue))

    def doubt(self, plain: PlainOrder) -> None:
        """From now on only a listing begun later, and after the send deadline, shows absence."""
        earliest = max(self.now_s, plain.sent_s + ACK_DUE_S)
        plain.doubted_s = max(plain.doubted_s or earliest, earliest)
        plain.absent_s = None

    def tell_quote(self, symbol: str, bid: float, ask: float) -> None:
        self.model.quotes[symbol] = (bid, ask, self.now_s)
        self.tell(build_quote(self.after_s, bid, ask, symbol=symbol))

    def set_balance(self, venue: str, currency: str, total: int) -> None:
        self.model.balances[venue, currency] = Fraction(total)
        self.model.look()
        self.tell(
            Balance(
                venue=venue,
                currency=currency,
                total=Decimal(total),
                available=Decimal(total),
                receive_time_ns=self.now_ns,
            )
        )

    def let_pass(self, seconds: Fraction) -> None:
        before_s = self.now_s
        self.now_ns += int(seconds * 1_000_000_000)
        self.model.advance(self.now_s)
        for plain in self.open_orders():  # unanswered until its deadline: nobody knows
            due_s = plain.sent_s + ACK_DUE_S
            if not plain.spoken_of and before_s < due_s <= self.now_s:
                plain.doubted_s = max(plain.doubted_s or due_s, due_s)
        self.tell(Tick(self.now_ns))


def attrs_at(adjustment: Adjustment, now_ns: int) -> Adjustment:
    fields = {name: getattr(adjustment, name) for name in adjustment.__struct_fields__}
    return Adjustment(**{**fields, "receive_time_ns": now_ns})
