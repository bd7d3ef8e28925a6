"""A whole bot under every rule beside its plain model: each word of a rule is held against it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    ClientOrderId,
    Command,
    CreditLimit,
    NewOrder,
    Refused,
    ReplaceOrder,
    RunStarted,
    Side,
    Tick,
    TimeInForce,
)
from botkit.orders import Order
from botkit.ports import Checked, Held
from botkit.scope import CleanUpBudget
from botkit.testing import START_NS, build_venue_status
from botkit.testing.builders import build_quote
from botkit.testing.engine_rig import CAPABLE, Actor
from botkit.testing.memory_journal import MemoryJournal
from tests.property.plain_risk_model import PlainModel
from tests.property.plain_risk_parts import (
    ACK_DUE_S,
    CANCEL_DUE_S,
    NOISE,
    Ask,
    Judgement,
    Placed,
    PlainOrder,
)
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

__all__ = ["BEGIN_NS", "Bend", "DisagreementError", "PlayedBot", "attrs_at", "expect"]

Bend = Callable[[Engine], None]
"""Plants a bug in an engine that was just made."""

AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.FOK)
CURRENCIES: Final = ("EUR", "USD", "BTC")
EVERYTHING: Final = Placed("", "")
STEP_S: Final = Fraction(1, 4)
BEGIN_NS: Final = START_NS + 86_400_000_000_000 - 20_000_000_000  # 20 s before midnight


class DisagreementError(AssertionError):
    """The code and the plain model do not say the same."""


def expect(*, that: bool, or_else: object) -> None:
    if not that:
        raise DisagreementError(or_else)


@attrs.define
class HeldAsk:
    """An order that waits: what it asks, and for which orders, since when."""

    ask: Ask
    plain: PlainOrder
    waits_for: Sequence[str]
    since_s: Fraction


def ask_of(request: NewOrder | Refused) -> Ask:
    """Return what was asked for; what is refused is known to be a limit order that is IOC."""
    stop_px = request.stop_px if isinstance(request, NewOrder) else None
    assert request.side is not None
    assert request.order_qty is not None
    return Ask(
        symbol=request.symbol,
        strategy=request.strategy,
        side=int(request.side.sign),
        qty=Fraction(request.order_qty),
        price=None if request.price is None else Fraction(request.price),
        stop=None if stop_px is None else Fraction(stop_px),
        at_once=isinstance(request, Refused) or request.time_in_force in AT_ONCE,
    )


class PlayedBot:
    """Two strategies on five instruments of two venues, under every rule at several scopes.

    Attributes
    ----------
    counts
        How often what happened: "max_position refused", "restart".
    """

    def __init__(
        self,
        pick: Pick,
        plant: Plant = honest,
        *,
        focus: str = "",
        decisions_only: bool = False,
        bend: Bend = lambda _: None,
    ) -> None:
        self.decisions_only = decisions_only
        self.counts: dict[str, int] = {}
        self._plant, self._bend = plant, bend
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
        self._read = self._cancels = 0
        self._asked: set[str] = set()  # names of what the test itself has asked for
        self.held: dict[str, HeldAsk] = {}
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
                on_disconnect=dict.fromkeys(VENUES, "keep"),
                rate_stale_ns=10_000_000_000,
                carried=carried,
                fees=FEES,
            )
        )
        self._bend(self.engine)
        for venue in VENUES:
            for currency in CURRENCIES:  # what others lock is looked after once somebody asks
                self.engine.guard.view.foreign_locks(venue, currency)
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
        """Hand an event to the engine, and what left to the model; do at once what is due by it."""
        self.engine.handle(event)
        if self.engine.next_due_ns <= self.engine.now_ns:  # as a shell does
            self.engine.handle(Tick(self.engine.now_ns))
        self.absorb()

    def absorb(self) -> None:
        """Tell the model of what the journal has, in order; then look at what has left."""
        takes: Mapping[type, Callable[[Any], None]] = {
            CancelOrder: self._cancel,
            Held: self._hold,
            Checked: self._check_again,
            NewOrder: self._leave,
            Refused: self._stay,
        }
        entries = self.entries
        while self._read < len(entries):
            entry, self._read = entries[self._read], self._read + 1
            take = takes.get(type(entry))
            if take is not None:
                take(entry)
        told = [*self._sent, *self.engine.desk._outbox]
        cancels = sum(isinstance(command, CancelOrder) for command in told)
        expect(that=cancels == self._cancels, or_else="cancels recorded are not those that left")
        for command in told:
            if isinstance(command, Approved):
                expect(that=self._is_noted(command.request), or_else=f"left unseen: {command}")
        self._sent = [each for each in self._sent if isinstance(each, CancelOrder)]

    def _cancel(self, cancel: CancelOrder) -> None:
        at_s = Fraction(cancel.transact_time_ns, 1_000_000_000)
        self.model.cancels(self._named(cancel.client_order_id), at_s)
        self._cancels += 1

    # --- what the bot sends of itself: what was held, what flattens -----------------------------

    def _ask_named(self, name: str) -> Ask | None:
        """Return what the entries from here on say that was asked for; None if it is the test's."""
        held = self.held.get(name)
        if held is not None:
            return held.ask
        if name in self._asked:
            return None
        for entry in self.entries[self._read - 1 :]:
            if isinstance(entry, Held | NewOrder | Refused) and entry.client_order_id == name:
                return ask_of(entry.request if isinstance(entry, Held) else entry)
        return None

    @contextmanager
    def _without(self, name: str) -> Iterator[None]:
        """Leave an order that is held out of what is counted: it does not count against itself."""
        held = self.held.get(name)
        if held is not None:
            held.plain.is_open = False
        yield
        if held is not None:
            held.plain.is_open = True

    def _check_again(self, entry: Checked) -> None:
        name = entry.client_order_id
        ask = self._ask_named(name)
        if ask is None:
            return
        with self._without(name):
            judged = self.model.judge(ask)
        for verdict in entry.verdicts:
            self._compare_verdict(ask, verdict, judged[verdict.rule])
        if name in self.held and entry.verdicts[-1].in_the_way:
            self.held[name].waits_for = entry.verdicts[-1].in_the_way

    def _hold(self, entry: Held) -> None:
        request, name = entry.request, entry.client_order_id
        ask = ask_of(request)
        plain = self.model.holds(
            name, ask, is_atomic=ask.symbol.startswith(ATOMIC), keep=request.keep
        )
        plain.after_halt = bool(self.model.halted)
        self._note_order(name)
        self.held[name] = HeldAsk(ask, plain, entry.waits_for, self.now_s)
        self.count("held")

    def _note_order(self, name: str) -> None:
        order = self.engine.orders.get(ClientOrderId(name))
        assert order is not None
        self.orders[name] = order

    def _leave(self, request: NewOrder) -> None:
        """Hold against the model what leaves and was not just placed by the test."""
        name = request.client_order_id
        ask = self._ask_named(name)
        if ask is None:
            return
        with self._without(name):
            self._may_leave(ask, self.model.judge(ask))
        held = self.held.pop(name, None)
        if held is not None:
            expect(that=self._is_allowed(name, ask), or_else=f"{ask} left against a pause")
            self.model.releases(held.plain)
            self.count("held order released")
        else:
            self._reduces_its_own(ask)
            self.model.new(name, ask, is_atomic=ask.symbol.startswith(ATOMIC))
            self._note_order(name)
            self.count("order to flatten")
        self.model.orders[name].after_halt = bool(self.model.halted)

    def _reduces_its_own(self, ask: Ask) -> None:
        held = self.model.position(Placed("", "", strategy=ask.strategy), ask.symbol)
        is_right = held * ask.side < 0 and ask.qty <= abs(held)
        expect(that=is_right, or_else=f"{ask} is to flatten {held}")

    def _stay(self, refused: Refused) -> None:
        name = refused.client_order_id
        ask = self._ask_named(name)
        if ask is None:
            return
        if refused.text.startswith("canceled before it was sent"):
            self.count("held order dropped")
        else:
            with self._without(name):
                self._is_right(ask, self.model.judge(ask), refused)
            self.count("held order refused" if name in self.held else "flatten order refused")
        held = self.held.pop(name, None)
        if held is not None:
            held.plain.is_open = held.plain.is_held = False

    def _is_allowed(self, name: str, ask: Ask) -> bool:
        """Tell whether neither its venue nor a pause holds it back; what flattens is not paused."""
        is_paused = name in self._asked and not self.model.may_trade(ask.symbol, ask.strategy)
        return self.is_ready(ask.symbol) and not is_paused

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
        known = self.model.orders.get(name)
        return (known is not None and not known.is_held) or any(
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
        if engine.busy:  # in a hook: what follows from it is still to come
            return
        for held in self.held.values():
            waits = any(model.orders[name].is_open for name in held.waits_for)
            expect(that=waits, or_else=f"held, though its way is free: {held}")
            in_time = self.now_s - held.since_s <= CANCEL_DUE_S
            expect(that=in_time, or_else=f"held for too long: {held}")

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
        name = order.client_order_id
        self._asked.add(name)
        if any(isinstance(e, Held) and e.client_order_id == name for e in self.entries[before:]):
            self._held_rightly(name, ask, judged, before)
            self.absorb()
            self.compare()
            return order
        self.hold_against(name, ask, judged, before, passed=order.is_open)
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
        return self.model.reduces(EVERYTHING, ask)

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
        self._asked.add(name)
        entries = self.entries[before:]
        for checked in entries:
            if isinstance(checked, Checked) and checked.client_order_id == name:
                for verdict in checked.verdicts:
                    self._compare_verdict(ask, verdict, judged[verdict.rule])
        if passed:
            self._may_leave(ask, judged)
            paused = not self.model.may_trade(ask.symbol, ask.strategy)
            expect(that=not paused, or_else=f"{ask} left against a pause")
            return
        refused = [e for e in entries if isinstance(e, Refused) and e.client_order_id == name]
        self.count(f"{refused[0].rule.rpartition('.')[2]} refused")
        self._is_right(ask, judged, refused[0])

    def _held_rightly(
        self, name: str, ask: Ask, judged: Mapping[str, Judgement], before: int
    ) -> None:
        """Compare the verdict an order is held by: it reduces, and meets others of the bot's own.

        What it meets may be held as well; that is dropped, and more follows at once.
        """
        found = (e for e in self.entries[before:] if isinstance(e, Checked))
        first = next(each for each in found if each.client_order_id == name)
        for verdict in first.verdicts:
            self._compare_verdict(ask, verdict, judged[verdict.rule])
        rule = first.verdicts[-1].rule
        (placed,) = (each for each in self.model.placed if each.key == rule)
        is_right = placed.kind == "self_trade" and self.model.reduces(placed, ask)
        expect(that=is_right and not judged[rule].passes, or_else=f"{ask} is held by {rule}")

    def _may_leave(self, ask: Ask, judged: Mapping[str, Judgement]) -> None:
        wrong = {key: each for key, each in judged.items() if not each.passes and each.is_sure}
        expect(that=not wrong, or_else=f"{ask} left, against {wrong}")
        ready = self.is_ready(ask.symbol)
        expect(that=ready, or_else=f"{ask} left for a venue that is not ready")
        halted = bool(self.model.halted) and not self._reduces(ask)
        expect(that=not halted, or_else=f"{ask} left though {self.model.halted} has halted")

    def _is_right(self, ask: Ask, judged: Mapping[str, Judgement], refused: Refused) -> None:
        """Find the reason of a refusal in the model."""
        rule, name = refused.rule, refused.client_order_id
        is_allowed = self._is_allowed(name, ask)
        if rule == "ready" or (name in self.held and not is_allowed):
            expect(that=not is_allowed, or_else=refused)
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

    def is_linked(self, symbol: str) -> bool:
        """Tell whether the venue can be talked to."""
        return symbol.split(":", maxsplit=1)[0] in self.model.up

    def is_ready(self, symbol: str) -> bool:
        """Tell whether new orders may go there: linked, and all of before the loss is settled."""
        venue = symbol.split(":", maxsplit=1)[0]
        unsettled = self.engine.reconciler.unsettled.get(venue, {})
        expect(that=all(each.is_open for each in unsettled), or_else=f"{unsettled} unsettled")
        return self.is_linked(symbol) and not unsettled

    def open_orders(self) -> list[PlainOrder]:
        """Return the open orders that have left."""
        return [each for each in self.model.orders.values() if each.is_open and not each.is_held]

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

    def set_balance(self, venue: str, currency: str, total: int, locked: int = 0) -> None:
        self.model.told_balance(venue, currency, Fraction(total), Fraction(locked))
        self.model.look()
        self.tell(
            Balance(
                venue=venue,
                currency=currency,
                total=Decimal(total),
                available=Decimal(total - locked),
                receive_time_ns=self.now_ns,
            )
        )

    def set_credit(self, venue: str, currency: str, counterparty: str, headroom: int) -> None:
        rows = self.model.credit.setdefault((venue, currency), {})
        rows[counterparty] = Fraction(headroom)
        self.model.look()
        self.tell(
            CreditLimit(
                venue=venue,
                currency=currency,
                counterparty=counterparty,
                net=Decimal(headroom + 7),
                gross=Decimal(2 * headroom),
                net_used=Decimal(7),
                gross_used=Decimal(headroom - 1),
                receive_time_ns=self.now_ns,
            )
        )

    def let_pass(self, seconds: Fraction) -> None:
        """Let time pass; in small steps where the bot may act by itself."""
        while seconds > STEP_S and (self.held or self.engine.flattener.target is not None):
            self._pass(STEP_S)
            seconds -= STEP_S
        self._pass(seconds)

    def _pass(self, seconds: Fraction) -> None:
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
