"""A whole bot's risk, played beside its plain model: every word of a rule is held against it.

Each move takes `pick`, which returns a number from 0 to below the one it is given: Hypothesis or
a seeded generator decides by it what happens.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import entry_points
from typing import Any, Final

import attrs
import numpy as np

from botkit.engine import Engine, EngineSettings
from botkit.engine.riskview import ScopedRule
from botkit.model import (
    Adjustment,
    Approved,
    Balance,
    CancelOrder,
    ClientOrderId,
    Command,
    ExecId,
    ExecType,
    FeedGap,
    FeeTold,
    Fill,
    NewOrder,
    Operation,
    OperatorCommand,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    OrdType,
    Refused,
    ReplaceOrder,
    RequestKind,
    RunStarted,
    SendFailed,
    Side,
    Tick,
    TimeInForce,
    VenueOrderId,
)
from botkit.orders import Order
from botkit.portfolio import carried_positions
from botkit.ports import Checked, FeeSchedule, RiskRule, RiskScope
from botkit.scope import CleanUpBudget
from botkit.testing import START_NS, build_instrument, build_report, build_venue_status
from botkit.testing.builders import build_quote
from botkit.testing.engine_rig import CAPABLE, Actor
from botkit.testing.memory_journal import MemoryJournal
from tests.property.plain_risk_model import (
    ACK_DUE_S,
    NOISE,
    SETTLE_S,
    Ask,
    Judgement,
    Placed,
    PlainModel,
    PlainOrder,
    Thing,
)

__all__ = ["MOVES", "Disagreement", "Pick", "Plant", "World", "honest", "walk"]

Pick = Callable[[int], int]
Plant = Callable[[str, RiskRule], RiskRule]
"""Given a rule's kind and the rule, return what is to stand in its place."""

BTC, MINI = "one:BTC-EUR", "one:BTX-EUR"
BTC_USD, INVERSE, EUR_USD = "two:BTC-USD", "two:XBT-USD", "two:EUR-USD"
INSTRUMENTS: Final = {
    BTC: build_instrument(BTC, tick_size="1", lot_size="1"),
    MINI: build_instrument(MINI, tick_size="1", lot_size="1", base="BTC", contract_multiplier=2),
    BTC_USD: build_instrument(BTC_USD, tick_size="1", lot_size="1"),
    INVERSE: build_instrument(
        INVERSE, tick_size="1", lot_size="1", base="BTC", contract_multiplier=20, inverse=True
    ),
    EUR_USD: build_instrument(EUR_USD, tick_size="0.25", lot_size="1"),
}
SYMBOLS: Final = tuple(INSTRUMENTS)
THINGS: Final = [
    Thing(
        symbol=each.symbol,
        venue=each.venue,
        base=each.base,
        quote=each.quote,
        multiplier=Fraction(each.contract_multiplier),
        inverse=each.inverse,
    )
    for each in INSTRUMENTS.values()
]
MIDDLE: Final = {BTC: 20, MINI: 20, BTC_USD: 25, INVERSE: 25, EUR_USD: 2}
VENUES: Final = ("one", "two")
ATOMIC: Final = "two"
FEES: Final = {"one": FeeSchedule(taker_bps=Decimal(500)), "two": FeeSchedule()}
TAKER: Final = {"one": Fraction(1, 20), "two": Fraction(0)}
STRATEGIES: Final = ("a", "b")
BEGIN_NS: Final = START_NS + 86_400_000_000_000 - 20_000_000_000  # 20 s before midnight
STATUSES: Final = {OrdStatus.CANCELED: ExecType.CANCELED, OrdStatus.EXPIRED: ExecType.EXPIRED}
WAITS_S: Final = ("0.25", "0.5", "1", "1", "2", "5", "6", "12")


# Reading the entry points takes longer than a whole walk.
RULES: Final[Mapping[str, Any]] = {
    each.name: each.load() for each in entry_points(group="botkit.risk")
}


class Disagreement(AssertionError):
    """The code and the plain model do not say the same."""


def expect(*, that: bool, or_else: object) -> None:
    if not that:
        raise Disagreement(or_else)


def honest(kind: str, rule: RiskRule) -> RiskRule:
    """Leave the rule as it is."""
    del kind
    return rule


@attrs.frozen
class Term:
    """A rule of the config that has loose and tight limits."""

    kind: str
    strategy: str = ""
    venue: str = ""
    limits: Sequence[str] = ()
    by_symbol: str = ""  # the one instrument it is about
    per_s: str = ""
    currency: str = ""

    @property
    def prefix(self) -> str:
        if self.strategy:
            return f"strategies.{self.strategy}."
        return f"venues.{self.venue}." if self.venue else ""


TERMS: Final = (
    Term("max_order_qty", limits=("3", "90")),
    Term("max_order_qty", "b", limits=("2", "90"), by_symbol=INVERSE),
    Term("max_order_notional", limits=("45", "5000")),
    Term("max_order_notional", venue="one", limits=("80", "5000"), by_symbol=MINI),
    Term("price_collar_bps", limits=("500", "9000")),
    Term("price_collar_bps", "a", limits=("1000", "9000"), by_symbol=BTC),
    Term("max_position", limits=("4", "6", "90"), by_symbol=BTC),
    Term("max_position", "a", limits=("3", "90")),
    Term("max_position", venue="two", limits=("5", "90")),
    Term("max_exposure", limits=("200", "9000"), currency="EUR"),
    Term("max_exposure", "b", limits=("150", "9000"), currency="USD"),
    Term("max_exposure", venue="two", limits=("120", "9000"), currency="USD"),
    Term("max_open_orders", limits=("3", "90")),
    Term("max_open_orders", "a", limits=("2", "90")),
    Term("max_open_orders", venue="one", limits=("1", "90"), by_symbol=BTC),
    Term("max_order_rate", limits=("4", "90"), per_s="4"),
    Term("max_order_rate", venue="two", limits=("1", "90"), per_s="2"),
    Term("max_cancel_rate", limits=("4", "90"), per_s="6"),
    Term("max_cancel_rate", "b", limits=("2", "90"), per_s="6"),
    Term("self_trade", limits=("refuse", "cancel")),
    Term("stale_data", limits=("5", "40")),
    Term("stale_data", venue="two", limits=("3", "40"), by_symbol=BTC_USD),
    Term("funds", limits=("prefunded",)),
    Term("max_daily_loss", limits=("8", "900"), currency="EUR"),
    Term("max_daily_loss", "a", limits=("6", "900"), currency="USD"),
    Term("max_drawdown", limits=("6", "900"), currency="EUR"),
    Term("max_drawdown", venue="two", limits=("5", "900"), currency="USD"),
)


def _placed(term: Term, limit: str) -> Placed:
    number = Fraction(limit) if limit[0].isdigit() else Fraction(0)
    return Placed(
        key=term.prefix + term.kind,
        kind=term.kind,
        strategy=term.strategy,
        venue=term.venue,
        limit=number,
        by_symbol={term.by_symbol: number} if term.by_symbol else None,
        per_s=Fraction(term.per_s or 0),
        currency=term.currency,
        mark_stale_s=Fraction(10),
    )


def _configured(term: Term, limit: str) -> Any:
    if term.kind.endswith(("loss", "drawdown")):
        return {"limit": limit, "currency": term.currency, "mark_stale": "10s"}
    if term.currency:
        return {"limit": limit, "currency": term.currency}
    if term.per_s:
        return f"{limit}/{term.per_s}s"
    value: Any = f"{limit}s" if term.kind == "stale_data" else limit
    if term.kind == "max_open_orders":
        value = int(limit)
    return {term.by_symbol: value} if term.by_symbol else value


def _build(chosen: Sequence[tuple[Term, str]], plant: Plant) -> list[RiskRule | ScopedRule]:
    """Return the rules as a config with these terms would have them."""
    built: list[RiskRule | ScopedRule] = []
    for term, limit in chosen:
        key = term.prefix + term.kind
        rule = plant(term.kind, RULES[term.kind].from_config(_configured(term, limit), key))
        scope = RiskScope(strategy=term.strategy, venue=term.venue)
        built.append(ScopedRule(key, scope, rule) if term.prefix else rule)
    return built


class World:
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
        self._chosen = [(term, _limit(term, pick, focus)) for term in TERMS]
        turn = pick(len(TERMS))
        self._chosen = self._chosen[turn:] + self._chosen[:turn]
        self._chosen.sort(key=lambda each: each[0].kind != focus)
        self.now_ns = BEGIN_NS
        self.model = PlainModel(
            THINGS, [_placed(*each) for each in self._chosen], TAKER, self._now_s
        )
        self._runs = self._numbers = 0
        self._begin({}, [])

    def _begin(
        self, carried: Mapping[str, Mapping[str, str]], opening: Sequence[Adjustment]
    ) -> None:
        self._runs += 1
        self._was_halted = False
        self.journal = MemoryJournal()
        self._sent: list[Command] = []
        self.orders: dict[str, Order] = {}
        self._fills: list[tuple[PlainOrder, dict[str, Any]]] = []
        self._untold: list[tuple[PlainOrder, str]] = []
        self.engine = Engine(
            EngineSettings(
                bot="world",
                instruments=INSTRUMENTS,
                capabilities={
                    name: attrs.evolve(CAPABLE, replace_atomic=name == ATOMIC) for name in VENUES
                },
                rules=_build(self._chosen, self._plant),
                journal=self.journal,
                dispatch=self._dispatch,
                stamp=lambda: 0,
                log=lambda *_: None,
                equity_every_ns=0,
                keep_running=True,
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
            self._status(venue, up=True)
        self._tell(RunStarted(run_id=f"run{self._runs}", receive_time_ns=self.now_ns))
        self.model.start()
        self.compare()

    # --- between the two --------------------------------------------------------------------

    @property
    def _now_s(self) -> Fraction:
        return Fraction(self.now_ns, 1_000_000_000)

    @property
    def _after_s(self) -> float:
        return (self.now_ns - START_NS) / 1e9

    def _dispatch(self, commands: Sequence[Command]) -> None:
        self.journal.commit()
        self._sent.extend(commands)

    def _tell(self, event: Any) -> None:
        """Hand an event to the engine, and what left to the model."""
        self.engine.handle(event)
        self._absorb()

    def _absorb(self) -> None:
        sent, self._sent = self._sent, []
        for command in sent:
            match command:
                case CancelOrder():
                    at_s = Fraction(command.transact_time_ns, 1_000_000_000)
                    self.model.cancels(self._named(command.client_order_id), at_s)
                case Approved(request=NewOrder() | ReplaceOrder() as request):
                    expect(that=self._is_noted(request), or_else=f"left unseen: {request}")

    def _named(self, name: str) -> PlainOrder:
        for order in self.model.orders.values():
            if name == order.name or name in self.orders[order.name].aliases:
                return order
        raise Disagreement(f"a command names {name}, which nobody sent")

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
            self._count(f"halted by {halted.rule.rpartition('.')[2]}")
        for plain in model.must_be_canceled:
            self._count("pulled for stale_data")
            told = plain.cancels > 0 or not plain.is_open
            expect(that=told, or_else=f"rests where data are stale: {plain}")
        model.must_be_canceled.clear()

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # --- requests ---------------------------------------------------------------------------

    def send(self, pick: Pick) -> None:
        """Place an order of any kind."""
        symbol = SYMBOLS[(0, 0, 0, 1, 2, 2, 3, 4)[pick(8)]]
        strategy = STRATEGIES[pick(2)]
        side = Side.BUY if pick(2) else Side.SELL
        qty = Decimal((1, 1, 2, 2, 3, 4)[pick(6)])
        tick = INSTRUMENTS[symbol].tick_size
        price: Decimal | None = max(tick, MIDDLE[symbol] + (pick(9) - 4) * tick)
        kind = pick(8)
        terms: dict[str, Any] = {}
        if kind == 0:
            price = None
        elif kind == 1:
            price, terms["stop_px"] = None, MIDDLE[symbol] + side.sign * 2 * tick
        elif kind == 2:
            terms["stop_px"] = max(tick, price - side.sign * tick)
        elif kind == 3:
            terms["time_in_force"] = TimeInForce.IOC
        elif kind == 4:
            terms["post_only"] = True
        elif kind == 5:
            terms["keep"] = True
        self.place(symbol, strategy, side, qty, price, **terms)

    def trade(self, pick: Pick) -> None:
        """Place an order at the middle and fill all of it."""
        symbol = SYMBOLS[pick(len(SYMBOLS))]
        side = Side.BUY if pick(2) else Side.SELL
        price = Decimal(MIDDLE[symbol])
        order = self.place(symbol, STRATEGIES[pick(2)], side, Decimal(1 + pick(2)), price)
        if order.is_open and self._is_ready(symbol):
            plain = self.model.orders[order.client_order_id]
            self._fill(plain, plain.qty, pick)

    def make_market(self, pick: Pick) -> None:
        """Place a buy below the middle and a sell above it."""
        symbol, strategy = SYMBOLS[pick(len(SYMBOLS))], STRATEGIES[pick(2)]
        apart = (1 + pick(3)) * INSTRUMENTS[symbol].tick_size
        for side in Side:
            price = MIDDLE[symbol] - side.sign * apart
            self.place(symbol, strategy, side, Decimal(1 + pick(3)), price)

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
        actor, before = self.actors[strategy], self._mark()
        do = actor.buy if side is Side.BUY else actor.sell
        order = do(INSTRUMENTS[symbol], qty, price=price, **terms)
        self._hold_against(order.client_order_id, ask, judged, before, passed=order.is_open)
        if order.is_open:
            self.orders[order.client_order_id] = order
            plain = self.model.new(
                order.client_order_id,
                ask,
                is_atomic=symbol.startswith(ATOMIC),
                keep=bool(terms.get("keep")),
            )
            plain.after_halt = bool(self.model.halted)
            self._count("reducing order passed" if was_reducing else "order passed")
        self._absorb()
        self.compare()
        return order

    def replace(self, pick: Pick) -> None:
        """Change an order's quantity, price or both."""
        found = [
            each
            for each in self._open()
            if each.change is None and each.price is not None and each.stop is None
        ]
        if not found:
            return
        plain = found[pick(len(found))]
        handle = self.orders[plain.name]
        qty = max(Decimal(1), handle.order_qty + pick(4) - 1)
        assert handle.price is not None
        price = max(handle.instrument.tick_size, handle.price + (pick(3) - 1))
        ask = Ask(
            symbol=plain.symbol,
            strategy=plain.strategy,
            side=plain.side,
            qty=Fraction(qty),
            price=Fraction(price),
            order=plain,
        )
        if qty <= handle.cum_qty:
            return
        judged, before = self.model.judge(ask), self._mark()
        handle.replace(price=price, qty=qty)
        sent = [e for e in self.journal.entries[before:] if isinstance(e, ReplaceOrder)]
        if sent:
            name: str = sent[0].client_order_id
        else:
            refused = [e for e in self.journal.entries[before:] if isinstance(e, Refused)]
            name = refused[0].client_order_id
        self._hold_against(name, ask, judged, before, passed=bool(sent))
        if sent:
            self.model.replaces(name, ask)
            self._count("replace passed")
        self._absorb()
        self.compare()

    def _mark(self) -> int:
        return len(self.journal.entries)

    def _reduces(self, ask: Ask) -> bool:
        return self.model.reduces(Placed("", ""), ask)

    def _hold_against(
        self,
        name: str,
        ask: Ask,
        judged: Mapping[str, Judgement],
        before: int,
        *,
        passed: bool,
    ) -> None:
        """Compare verdicts, and what came of them, with what the model says."""
        entries = self.journal.entries[before:]
        for checked in entries:
            if isinstance(checked, Checked) and checked.client_order_id == name:
                for verdict in checked.verdicts:
                    self._compare_verdict(ask, verdict, judged[verdict.rule])
        if passed:
            wrong = {key: each for key, each in judged.items() if not each.passes and each.is_sure}
            expect(that=not wrong, or_else=f"{ask} left, against {wrong}")
            ready = self._is_ready(ask.symbol)
            expect(that=ready, or_else=f"{ask} left for a venue that is not ready")
            halted = bool(self.model.halted) and not self._reduces(ask)
            expect(that=not halted, or_else=f"{ask} left though {self.model.halted} has halted")
            return
        refused = [e for e in entries if isinstance(e, Refused) and e.client_order_id == name]
        rule = refused[0].rule
        self._count(f"{rule.rpartition('.')[2]} refused")
        if rule == "ready":
            expect(that=not self._is_ready(ask.symbol), or_else=refused)
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
        for told, right in () if self.decisions_only else (
            (verdict.measured, judgement.measured),
            (verdict.limit, judgement.limit),
        ):
            if told is not None and right is not None:
                agree = agree and abs(Fraction(told) - right) < NOISE
        expect(that=agree, or_else=(ask, verdict, judgement))

    def _is_ready(self, symbol: str) -> bool:
        return symbol.split(":")[0] in self.model.up

    # --- what venues say --------------------------------------------------------------------

    def _open(self) -> list[PlainOrder]:
        return [each for each in self.model.orders.values() if each.is_open]

    def _reachable(self) -> list[PlainOrder]:
        """Return the open orders whose venue can speak."""
        return [each for each in self._open() if self._is_ready(each.symbol)]

    def _report(self, plain: PlainOrder, status: OrdStatus, **fields: Any) -> None:
        """Deliver a report; `venue_order_id` is always the same for one order."""
        handle = self.orders[plain.name]
        report = build_report(
            handle.current_client_order_id,
            status,
            symbol=plain.symbol,
            receive_time_ns=self.now_ns,
            venue_order_id=VenueOrderId(f"V{plain.name}"),
            **fields,
        )
        self._tell(report)

    def acknowledge(self, pick: Pick) -> None:
        """Let the venue say that an order works."""
        found = self._reachable()
        if found:
            plain = found[pick(len(found))]
            plain.spoken_of, plain.presumed = True, False
            self._report(plain, OrdStatus.NEW)
            self.compare()

    def fill(self, pick: Pick) -> None:
        """Fill some of an open order, or more of one that has ended with fills on their way."""
        found = [each for each in self._reachable() if each.qty > each.cum]
        if found:
            plain = found[pick(len(found))]
            room = int((plain.told if plain.over_when_counted else plain.qty) - plain.cum)
            self._fill(plain, Fraction(1 + pick(room)), pick)

    def fill_late(self, pick: Pick) -> None:
        """Fill an order that was canceled: the match came first."""
        found = [
            each
            for each in self.model.orders.values()
            if each.canceled and each.cum < each.qty and self._is_ready(each.symbol)
        ]
        if found:
            plain = found[pick(len(found))]
            self._fill(plain, Fraction(1), pick)
            self._count("fill after cancel")

    def _fill(self, plain: PlainOrder, qty: Fraction, pick: Pick) -> None:
        self._numbers += 1
        exec_id = f"x{self._numbers}"
        handle, thing = self.orders[plain.name], self.model.things[plain.symbol]
        price = handle.price
        if price is None:
            tick = INSTRUMENTS[plain.symbol].tick_size
            price = MIDDLE[plain.symbol] + plain.side * pick(3) * tick
        is_full = plain.cum + qty == plain.qty
        fee: tuple[Fraction, str] | None = None
        fields: dict[str, Any] = {}
        how = pick(6)  # the last two: not told yet
        if how < 4:
            currency = (thing.quote, thing.base, "EUR", thing.quote)[how]
            number = Decimal(("0", "0.25", "0.5", "1")[pick(4)])
            fee = (Fraction(number), currency)
            fields = {"commission": number, "commission_currency": currency}
        told = {
            "last_qty": Decimal(int(qty)),
            "last_px": price,
            "exec_id": ExecId(exec_id),
            **fields,
        }
        status = OrdStatus.FILLED if is_full else OrdStatus.PARTIALLY_FILLED
        self.model.fills(plain, qty, Fraction(price), exec_id, fee)
        if is_full or (plain.over_when_counted and plain.cum >= plain.told):
            self._closed(plain)
        if fee is None:
            self._untold.append((plain, exec_id))
        self.model.look()
        self._report(plain, status, **told)
        self._fills.append((plain, told))
        self._count("fill")
        self.compare()

    def _closed(self, plain: PlainOrder) -> None:
        plain.is_open, plain.change = False, None

    def repeat(self, pick: Pick) -> None:
        """Tell a fill once more, as a second stream does."""
        found = [each for each in self._fills if each[1].get("commission") is not None]
        if found:
            plain, told = found[pick(len(found))]
            if self._is_ready(plain.symbol):
                is_full = plain.cum == plain.qty
                self._report(plain, OrdStatus.FILLED if is_full else OrdStatus.PARTIALLY_FILLED, **told)
                self.compare()

    def tell_fee(self, pick: Pick) -> None:
        """Tell the fee of a fill that came without one."""
        if not self._untold:
            return
        plain, exec_id = self._untold.pop(pick(len(self._untold)))
        told = next(told for each, told in self._fills if told["exec_id"] == exec_id)
        thing = self.model.things[plain.symbol]
        fee = Decimal(("0.25", "0.5", "1")[pick(3)])
        self.model.fee_told(plain, exec_id, (Fraction(fee), thing.quote))
        told.update(commission=fee, commission_currency=thing.quote)
        is_full = plain.cum == plain.qty
        self._report(plain, OrdStatus.FILLED if is_full else OrdStatus.PARTIALLY_FILLED, **told)
        self._count("fee told later")
        self.compare()

    def end(self, pick: Pick) -> None:
        """Let the venue end an order, asked to or not; it may owe fills that came before."""
        found = [
            each for each in self._reachable() if each.change is None and not each.over_when_counted
        ]
        if not found:
            return
        plain = found[pick(len(found))]
        status = (OrdStatus.CANCELED, OrdStatus.CANCELED, OrdStatus.EXPIRED)[pick(3)]
        owed = pick(2) * int(plain.qty - plain.cum > 1)
        plain.spoken_of = True
        if owed:
            plain.told, plain.over_when_counted = plain.cum + owed, True
            self._report(plain, status, cum_qty=Decimal(int(plain.told)))
        else:
            self._closed(plain)
            plain.canceled = status is OrdStatus.CANCELED
            self._report(plain, status)
        self._count("end before its fills" if owed else "end")
        self.compare()

    def reject(self, pick: Pick) -> None:
        """Let the venue refuse an order it has not spoken of."""
        found = [each for each in self._reachable() if not each.spoken_of and each.change is None]
        if found:
            plain = found[pick(len(found))]
            plain.spoken_of = True
            self._closed(plain)
            self._report(plain, OrdStatus.REJECTED)
            self.compare()

    def cancel(self, pick: Pick) -> None:
        """Cancel one order."""
        found = self._open()
        if found:
            self.orders[found[pick(len(found))].name].cancel()
            self._absorb()
            self._count("cancel")
            self.compare()

    def decline_cancel(self, pick: Pick) -> None:
        """Let the venue decline a cancel: the order works on, or nobody knows."""
        found = [each for each in self._reachable() if each.cancels]
        if not found:
            return
        plain = found[pick(len(found))]
        is_unknown = bool(pick(2))
        if is_unknown:
            self._doubt(plain)
        self._tell(
            OrderCancelReject(
                symbol=plain.symbol,
                client_order_id=self.orders[plain.name].current_client_order_id,
                response_to=RequestKind.CANCEL,
                ord_status=None if is_unknown else OrdStatus.NEW,
                unknown_order=is_unknown,
                receive_time_ns=self.now_ns,
            )
        )
        self.compare()

    def confirm_replace(self, pick: Pick) -> None:
        """Let the venue do a replace."""
        found = [
            each
            for each in self._reachable()
            if each.change is not None and each.change[1] > each.cum
        ]
        if not found:
            return
        plain = found[pick(len(found))]
        assert plain.change is not None
        name, qty, price, _ = plain.change
        plain.qty, plain.price, plain.change = qty, price, None
        plain.spoken_of = True
        status = OrdStatus.PARTIALLY_FILLED if plain.cum else OrdStatus.NEW
        self._tell(
            build_report(
                name,
                status,
                symbol=plain.symbol,
                exec_type=ExecType.REPLACED,
                order_qty=Decimal(int(qty)),
                receive_time_ns=self.now_ns,
                venue_order_id=VenueOrderId(f"V{plain.name}"),
            )
        )
        self._count("replaced")
        self.compare()

    def decline_replace(self, pick: Pick) -> None:
        """Let the venue decline a replace: the order stands as it was, or nobody knows."""
        found = [each for each in self._reachable() if each.change is not None]
        if not found:
            return
        plain = found[pick(len(found))]
        assert plain.change is not None
        name, plain.change = plain.change[0], None
        self._tell(
            OrderCancelReject(
                symbol=plain.symbol,
                client_order_id=ClientOrderId(name),
                response_to=RequestKind.REPLACE,
                ord_status=OrdStatus.NEW,
                receive_time_ns=self.now_ns,
            )
        )
        self.compare()

    def lose_request(self, pick: Pick) -> None:
        """Let the transport say that an order did not leave, or that nobody knows."""
        found = [
            each
            for each in self._open()
            if not each.spoken_of and each.change is None and not each.cum
        ]
        if not found:
            return
        plain = found[pick(len(found))]
        reached = bool(pick(3))
        if reached:
            self._doubt(plain)
        else:
            self._closed(plain)
            plain.presumed = True
        self._tell(
            SendFailed(
                symbol=plain.symbol,
                client_order_id=ClientOrderId(plain.name),
                request=RequestKind.NEW,
                reached_venue=reached,
                text="told by a test",
                receive_time_ns=self.now_ns,
            )
        )
        self.compare()

    def appear(self, pick: Pick) -> None:
        """Let an order turn up that had been given up."""
        found = [
            each
            for each in self.model.orders.values()
            if each.presumed and not each.is_open and self._is_ready(each.symbol)
        ]
        if found:
            plain = found[pick(len(found))]
            plain.presumed, plain.is_open, plain.spoken_of = False, True, True
            plain.after_halt = bool(self.model.halted)
            self._report(plain, OrdStatus.NEW)
            self._count("appeared late")
            self.compare()

    # --- links ------------------------------------------------------------------------------

    def _status(self, venue: str, *, up: bool) -> None:
        self.model.up = self.model.up | {venue} if up else self.model.up - {venue}
        self._tell(build_venue_status(self._after_s, up=up, venue=venue))

    def _doubt(self, plain: PlainOrder) -> None:
        """From now on only a listing begun later, and after the send deadline, shows absence."""
        earliest = max(self._now_s, plain.sent_s + ACK_DUE_S)
        plain.doubted_s = max(plain.doubted_s or earliest, earliest)
        plain.absent_s = None

    def turn_link(self, pick: Pick) -> None:
        """Lose a venue's link, or find it again."""
        venue = VENUES[pick(2)]
        is_up = venue in self.model.up
        if is_up and pick(3):
            return
        for plain in self._open():
            if plain.symbol.startswith(venue):
                self._doubt(plain)
        self._status(venue, up=not is_up)
        self._count("link lost" if is_up else "link found")
        self.compare()

    def list_orders(self, pick: Pick) -> None:
        """Let a venue list its orders twice, far apart; those it never got are not in it."""
        venue = VENUES[pick(2)]
        is_complete = pick(3) > 0
        gaps = ((0, 6), (6, 6), (6, 2))[pick(3)]
        for gap in gaps:
            self._wait(Fraction(gap))
            if venue not in self.model.up:
                return
            began_ns = self.now_ns
            self._wait(Fraction(1, 4))
            if is_complete:
                self._miss(venue, Fraction(began_ns, 1_000_000_000))
            self.model.look()
            self._tell(
                OrderListing(
                    venue=venue,
                    listing_id=1,
                    began_ns=began_ns,
                    complete=is_complete,
                    receive_time_ns=self.now_ns,
                )
            )
            self.compare()
        self._count("listed")

    def _miss(self, venue: str, began_s: Fraction) -> None:
        """Note who is absent from a listing: twice, far enough apart, is the end of an order."""
        for plain in self._open():
            doubted_s = plain.doubted_s
            if plain.spoken_of or doubted_s is None or began_s <= doubted_s:
                continue
            if not plain.symbol.startswith(venue):
                continue
            if plain.absent_s is None:
                plain.absent_s = began_s
            elif began_s - plain.absent_s >= SETTLE_S:
                self._closed(plain)
                plain.presumed = True
                self._count("ended by absence")

    # --- market, money, time ----------------------------------------------------------------

    def quote(self, pick: Pick) -> None:
        """Tell a quote near the middle."""
        symbol = SYMBOLS[pick(len(SYMBOLS))]
        tick = float(INSTRUMENTS[symbol].tick_size)
        bid = MIDDLE[symbol] + (pick(9) - 5) * tick
        self._quote(symbol, bid, bid + pick(3) * tick)

    def quote_all(self, pick: Pick) -> None:
        """Tell a quote of every instrument."""
        for symbol in SYMBOLS:
            tick = float(INSTRUMENTS[symbol].tick_size)
            bid = MIDDLE[symbol] + (pick(3) - 1) * tick
            self._quote(symbol, bid, bid + (1 + pick(2)) * tick)

    def quote_oddly(self, pick: Pick) -> None:
        """Tell a quote with a side missing, at 0, or crossed."""
        symbol = SYMBOLS[pick(len(SYMBOLS))]
        bid = float(MIDDLE[symbol])
        odd = ((bid, math.nan), (math.nan, bid), (0.0, bid), (bid + 1, bid), (math.nan, math.nan))
        self._quote(symbol, *odd[pick(len(odd))])

    def _quote(self, symbol: str, bid: float, ask: float) -> None:
        self.model.quotes[symbol] = (bid, ask, self._now_s)
        self._tell(build_quote(self._after_s, bid, ask, symbol=symbol))

    def miss_messages(self, pick: Pick) -> None:
        """Tell that market data were missed."""
        venue = VENUES[pick(2)]
        for symbol in SYMBOLS:
            if symbol.startswith(venue):
                self.model.quotes.pop(symbol, None)
        self._tell(FeedGap(venue=venue, reason="told by a test", receive_time_ns=self.now_ns))

    def tell_balance(self, pick: Pick) -> None:
        """Tell a balance."""
        venue, currency = VENUES[pick(2)], ("EUR", "USD", "BTC")[pick(3)]
        total = (4, 9)[pick(2)] if currency == "BTC" else (100, 250, 2000)[pick(3)]
        self._balance(venue, currency, total)
        self.compare()

    def _balance(self, venue: str, currency: str, total: int) -> None:
        self.model.balances[venue, currency] = Fraction(total)
        self.model.look()
        self._tell(
            Balance(
                venue=venue,
                currency=currency,
                total=Decimal(total),
                available=Decimal(1),
                receive_time_ns=self.now_ns,
            )
        )

    def wait(self, pick: Pick) -> None:
        """Let time pass."""
        self._wait(Fraction(WAITS_S[pick(len(WAITS_S))]))
        self.compare()
        if pick(3):
            self.quote_all(pick)

    def _wait(self, seconds: Fraction) -> None:
        before_s = self._now_s
        self.now_ns += int(seconds * 1_000_000_000)
        self.model.advance(self._now_s)
        for plain in self._open():  # unanswered until its deadline: nobody knows
            due_s = plain.sent_s + ACK_DUE_S
            if not plain.spoken_of and before_s < due_s <= self._now_s:
                plain.doubted_s = max(plain.doubted_s or due_s, due_s)
        self._tell(Tick(self.now_ns))

    # --- the bot ----------------------------------------------------------------------------

    def halt(self, pick: Pick) -> None:
        """Trip the kill switch by a person's or a strategy's word; seldom."""
        if pick(8):
            return
        self.model.halted = self.model.halted or "by word"
        if pick(2):
            self.actors["a"].halt("odd")
            self._absorb()
        else:
            self._tell(OperatorCommand(operation=Operation.HALT, receive_time_ns=self.now_ns))
        self._count("halt")
        self.compare()

    def restart(self, pick: Pick) -> None:
        """End the bot and start it again, as the command line does."""
        guard, kept = self.engine.guard, (Adjustment, Fill, FeeTold)
        carried = {} if guard.halted else guard.carried()  # cleared: losses begin anew
        entries = [each for each in self.journal.entries if isinstance(each, kept)]
        opening = carried_positions(entries, INSTRUMENTS)
        self.now_ns += int((61, 86_400)[pick(4) == 0] * 1_000_000_000)
        self.model.next_look_s = None
        self.model.advance(self._now_s)
        self.model.restart(
            {
                (each.strategy, each.symbol): (
                    Fraction(each.qty),
                    None if each.price is None else Fraction(each.price),
                )
                for each in opening
            }
        )
        self._count("restart")
        self._begin(carried, opening)
        self.fund(pick)
        self.quote_all(pick)

    def fund(self, pick: Pick) -> None:
        """Tell balances that pay for much."""
        for venue in VENUES:
            for currency, total in (("EUR", 900), ("USD", 900), ("BTC", 30)):
                if pick(8):
                    self._balance(venue, currency, total)


def attrs_at(adjustment: Adjustment, now_ns: int) -> Adjustment:
    fields = {name: getattr(adjustment, name) for name in adjustment.__struct_fields__}
    return Adjustment(**{**fields, "receive_time_ns": now_ns})


def _limit(term: Term, pick: Pick, focus: str) -> str:
    """Return a limit that binds in one world of six, else a looser one.

    With `focus`, those of that kind bind in half of all worlds and all others are loose.
    """
    if focus:
        binds = term.kind == focus and bool(pick(2))
    else:
        binds = pick(6) == 0
    if binds or len(term.limits) == 1:
        return term.limits[0]
    return term.limits[-1] if focus != term.kind else term.limits[-1 - pick(len(term.limits) - 1)]


Move = Callable[[World, Pick], None]
MOVES: Final[Sequence[Move]] = (
    *(World.send,) * 8,
    *(World.trade,) * 3,
    *(World.quote,) * 2,
    *(World.quote_all,) * 2,
    World.quote_oddly,
    World.miss_messages,
    *(World.fill,) * 3,
    World.fill_late,
    *(World.acknowledge,) * 2,
    *(World.replace,) * 2,
    World.confirm_replace,
    World.decline_replace,
    World.cancel,
    World.decline_cancel,
    World.end,
    World.reject,
    World.lose_request,
    World.appear,
    World.repeat,
    World.tell_fee,
    World.turn_link,
    World.list_orders,
    World.tell_balance,
    *(World.wait,) * 2,
    World.make_market,
    World.halt,
    World.restart,
)
# What a rule is about happens more often where it is looked at.
IN_FOCUS: Final[Mapping[str, Sequence[Move]]] = {
    "funds": (*(World.tell_balance,) * 4, *(World.send,) * 4, World.turn_link, World.tell_fee),
    "max_cancel_rate": (World.cancel, World.cancel, World.make_market),
    "max_daily_loss": (*(World.trade,) * 4, World.quote, World.miss_messages, World.restart),
    "max_drawdown": (*(World.trade,) * 4, *(World.quote,) * 4, World.wait, World.restart),
    "max_exposure": (*(World.make_market,) * 4, World.turn_link, World.trade),
    "max_open_orders": (World.make_market, World.turn_link),
    "max_order_notional": (*(World.quote_oddly,) * 3, *(World.miss_messages,) * 2),
    "max_order_rate": (*(World.wait,) * 3, *(World.send,) * 4, *(World.replace,) * 4),
    "max_position": (*(World.make_market,) * 4, World.turn_link, World.trade, World.cancel),
    "price_collar_bps": (*(World.quote_oddly,) * 3, *(World.miss_messages,) * 2),
    "self_trade": (*(World.replace,) * 3, *(World.cancel,) * 2, World.turn_link),
    "stale_data": (World.wait, World.miss_messages, *(World.quote_oddly,) * 3),
}


def walk(
    generator: np.random.Generator,
    steps: int,
    *,
    plant: Plant = honest,
    focus: str = "",
    decisions_only: bool = False,
) -> World:
    """Return a world after some moves, all by a generator's word."""

    def pick(below: int) -> int:
        return int(generator.integers(below))

    world = World(pick, plant, focus=focus, decisions_only=decisions_only)
    world.fund(pick)
    world.quote_all(pick)
    moves = (*MOVES, *IN_FOCUS.get(focus, ()))
    for _ in range(steps):
        moves[pick(len(moves))](world, pick)
    return world
