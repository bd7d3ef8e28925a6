"""At least one bug planted in each rule: walks against the plain model find every one."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib.metadata import entry_points
from math import nan
from typing import Any, Final

import attrs
import msgspec
import numpy as np
import pytest

from botkit.model import NewOrder, OrdStatus, ReplaceOrder, Side
from botkit.orders import Order
from botkit.ports import Finding, RiskContext, RiskRule, RiskScope, Verdict
from tests.property.risk_played import BEGIN_NS, DisagreementError
from tests.property.risk_walks import walk

WALKS = 300
STEPS = 60
HOUR_NS = 3_600_000_000_000
PASSED = Verdict("planted", passed=True)

Request = NewOrder | ReplaceOrder
Check = Callable[[Request, RiskContext], Verdict]
Bend = Callable[[RiskRule], RiskRule]


# --- how a bug is planted -------------------------------------------------------------------


class Lens:
    """A view in which some answers are bent."""

    def __init__(self, view: Any, bent: Mapping[str, object]) -> None:
        self._view = view
        self.__dict__.update(bent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


def through(context: RiskContext, **bent: object) -> RiskContext:
    """Return a context that sees everything through a lens."""
    lens: Any = Lens(context.view, bent)
    return attrs.evolve(context, workload=lens, view=lens, position=lens.position)


def rebuilt(rule: RiskRule, **bent: object) -> RiskRule:
    """Return `rule` as an instance of a subclass with other methods."""
    kind: Any = type(rule)
    fields = {field.alias: getattr(rule, field.name) for field in attrs.fields(kind)}
    made: RiskRule = type(f"Bent{kind.__name__}", (kind,), bent)(**fields)
    return made


def checks(bend: Callable[[Check, Any, Request, RiskContext], Verdict]) -> Bend:
    """Plant a bug in `check`: `bend` is given the honest check, rule, request and context."""

    def plant(rule: RiskRule) -> RiskRule:
        kind = type(rule)

        def check(self: RiskRule, request: Request, context: RiskContext) -> Verdict:
            return bend(lambda one, seen: kind.check(self, one, seen), self, request, context)

        return rebuilt(rule, check=check)

    return plant


def sees(**bends: Callable[..., object]) -> Bend:
    """Plant a bug in what `check` sees: each bend is given the honest view first."""

    def check(honest: Check, rule: Any, request: Request, context: RiskContext) -> Verdict:
        del rule
        return honest(request, through(context, **_bound(context.view, bends)))

    return checks(check)


def watches(**bends: Callable[..., object]) -> Bend:
    """Plant a bug in what `watch` sees; a bend that is no method is called at once."""

    def plant(rule: RiskRule) -> RiskRule:
        kind: Any = type(rule)

        def watch(self: RiskRule, context: Any) -> Sequence[Finding]:
            bent = _bound(context, bends)
            if "now_ns" in bent:
                bent["now_ns"] = bends["now_ns"](context)
            found: Sequence[Finding] = kind.watch(self, Lens(context, bent))
            return found

        return rebuilt(rule, watch=watch)

    return plant


def _bound(view: Any, bends: Mapping[str, Callable[..., object]]) -> dict[str, Any]:
    def bind(bend: Callable[..., object]) -> Callable[..., object]:
        return lambda *given, **named: bend(view, *given, **named)

    return {name: bind(bend) for name, bend in bends.items()}


def does(**methods: object) -> Bend:
    """Plant other methods."""
    return lambda rule: rebuilt(rule, **methods)


# --- the bugs -------------------------------------------------------------------------------


def leaves_of(counts: Callable[[Order], bool]) -> Callable[..., Decimal]:
    """Return `leaves` of those orders alone that count."""

    def leaves(view: Any, symbol: str, side: Side) -> Decimal:
        orders = [order for order in view._working(symbol) if order.side is side]
        return sum((order.worst_leaves() for order in orders if counts(order)), Decimal(0))

    return leaves


def number_of(counts: Callable[[Order], bool]) -> Callable[..., int]:
    """Return `open_orders` of those orders alone that count."""
    return lambda view, symbol=None: sum(counts(order) for order in view._working(symbol))


def meeting_of(counts: Callable[[Order], bool]) -> Callable[..., list[Order]]:
    """Return `meeting` of those orders alone that count."""
    return lambda view, *terms: [order for order in view.meeting(*terms) if counts(order)]


def net_leaves(view: Any, symbol: str, side: Side) -> Decimal:
    net: Decimal = view.leaves(symbol, side) - view.leaves(symbol, side.opposite)
    return max(Decimal(0), net)


def net_position(view: Any, symbol: str) -> Decimal:
    """Count half of the shorts against longs elsewhere."""
    held: Decimal = view.position(symbol)
    return max(held, Decimal(0))


def meets_apart(view: Any, symbol: str, side: Side, price: Decimal | None) -> list[Order]:
    step = view.instruments[symbol].tick_size * side.sign
    found: list[Order] = view.meeting(symbol, side, None if price is None else price - step)
    return found


def meets_the_old_price(view: Any, symbol: str, side: Side, price: Decimal | None) -> list[Order]:
    def meets(order: Order) -> bool:
        if price is None or order.price is None:
            return True
        return (price - order.price) * side.sign >= 0

    return [order for order in view.meeting(symbol, side, price) if meets(order)]


def added_once(view: Any, request: ReplaceOrder) -> Decimal:
    order = view._engine.orders.get(request.orig_client_order_id)
    more: Decimal = request.order_qty - order.order_qty
    return max(Decimal(0), more)


def profit_by(of: Callable[..., Decimal], *, middle: bool = False) -> Callable[..., Decimal | None]:
    """Return `profit` of another part of equity, or marked half way between bid and ask."""

    def profit(view: Any, currency: str, *, settled: bool = False) -> Decimal | None:
        def touch(symbol: str) -> tuple[float, float]:
            bid, ask = view.mark(symbol)
            return ((bid + ask) / 2,) * 2 if middle else (bid, ask)

        honest: Decimal | None = view.profit(currency, settled=settled)
        if honest is None or settled:
            return honest
        total = Decimal(0)
        scope = {"strategy": view.scope.strategy or None, "venue": view.scope.venue or None}
        for point in view._engine.portfolio.equity(touch, view.now_ns, **scope):
            converted = view.convert(of(point), point.currency, currency)
            if converted is None:
                return None
            total += converted
        return total

    return profit


def reserved_of(counts: Callable[[Order], bool]) -> Callable[..., Decimal | None]:
    """Return `reserved` of those orders alone that count."""

    def reserved(view: Any, venue: str, currency: str) -> Decimal | None:
        total: Decimal | None = view.reserved(venue, currency)
        if total is None:
            return total
        for order in view._engine.orders.working(venue=venue):
            thing = order.instrument
            if counts(order) or thing.inverse or thing.contract_multiplier != 1:
                continue
            if order.side is Side.SELL and thing.base == currency:
                total -= order.worst_leaves()
            if order.side is Side.BUY and thing.quote == currency:
                total -= view._worth_of(order) or Decimal(0)
        return total

    return reserved


def told_total(view: Any, venue: str, currency: str) -> Decimal | None:
    balance = view._engine.lifecycle.balances.get((venue, currency))
    return None if balance is None else balance.total


def largest_credit(view: Any, venue: str, currency: str) -> Decimal | None:
    accounts, key = view.accounts, (venue, currency)
    rows = accounts._credit.get(key)
    return None if rows is None else max(accounts._left(each, key) for each in rows.values())


def one_lot_more(honest: Check, rule: Any, request: Request, context: RiskContext) -> Verdict:
    del rule
    lot = context.instrument.lot_size
    return honest(msgspec.structs.replace(request, order_qty=request.order_qty - lot), context)


def refuses_at_the_limit(
    honest: Check, rule: Any, request: Request, context: RiskContext
) -> Verdict:
    verdict = honest(request, context)
    at_limit = verdict.limit is not None and verdict.limit == verdict.measured
    return Verdict(rule.key, passed=False, limit=verdict.limit) if at_limit else verdict


def passes_what_it_cannot_tell(
    honest: Check, rule: Any, request: Request, context: RiskContext
) -> Verdict:
    verdict = honest(request, context)
    if verdict.measured is not None:
        return verdict
    return Verdict(rule.key, passed=True, limit=verdict.limit or Decimal(1))


def passes_replaces(honest: Check, rule: Any, request: Request, context: RiskContext) -> Verdict:
    if isinstance(request, ReplaceOrder):
        return Verdict(rule.key, passed=True)
    return honest(request, context)


def values_sells_at_their_price(
    honest: Check, rule: Any, request: Request, context: RiskContext
) -> Verdict:
    del rule
    has_price = request.price is not None
    return honest(request, attrs.evolve(context, bid_px=nan) if has_price else context)


def forgets_the_multiplier(
    honest: Check, rule: Any, request: Request, context: RiskContext
) -> Verdict:
    del rule
    plain = attrs.evolve(context.instrument, contract_multiplier=Decimal(1))
    return honest(request, attrs.evolve(context, instrument=plain))


def uses_the_middle(honest: Check, rule: Any, request: Request, context: RiskContext) -> Verdict:
    del rule
    middle = (context.bid_px + context.ask_px) / 2
    return honest(request, attrs.evolve(context, bid_px=middle, ask_px=middle))


def uses_the_near_side(honest: Check, rule: Any, request: Request, context: RiskContext) -> Verdict:
    del rule
    bid, ask = context.bid_px, context.ask_px
    return honest(request, attrs.evolve(context, bid_px=ask, ask_px=bid))


def sees_the_whole_bot(honest: Check, rule: Any, request: Request, context: RiskContext) -> Verdict:
    del rule
    whole = context.view.narrowed(RiskScope())
    return honest(request, whole.context(request.symbol))


def counts_a_moment_longer(
    honest: Check, rule: Any, request: Request, context: RiskContext
) -> Verdict:
    del rule
    return honest(request, attrs.evolve(context, now_ns=context.now_ns - 1))


def counts_what_is_refused(
    honest: Check, rule: Any, request: Request, context: RiskContext
) -> Verdict:
    verdict = honest(request, context)
    rule._sent.add(context.now_ns)
    return verdict


def sent_without_replaces(self: Any, request: object, now_ns: int) -> None:
    if isinstance(request, NewOrder):
        self._sent.add(now_ns)


def trips_above_the_limit(rule: RiskRule) -> RiskRule:
    kind: Any = type(rule)

    def is_at_limit(verdict: Verdict) -> bool:
        return verdict.measured is not None and verdict.measured == verdict.limit

    def check(self: Any, request: Request, context: RiskContext) -> Verdict:
        verdict: Verdict = kind.check(self, request, context)
        return Verdict(self.key, passed=True) if is_at_limit(verdict) else verdict

    def watch(self: Any, context: object) -> Sequence[Finding]:
        return [each for each in kind.watch(self, context) if not is_at_limit(each.verdict)]

    return rebuilt(rule, check=check, watch=watch)


def carries_open_profit_twice(self: Any, carried: Mapping[str, str]) -> None:
    self._day = int(carried.get("day", "-1"))
    self._start, self._profit = Decimal(carried.get("loss", "0")), Decimal(0)


def forgets(self: Any, carried: Mapping[str, str]) -> None:
    """Do not carry on."""


def watches_nothing(self: Any, context: object) -> Sequence[Finding]:
    """Do not look."""
    return ()


def passes_all(self: Any, request: object, context: object) -> Verdict:
    """Pass all."""
    return Verdict(self.key, passed=True)


def hears_nothing(self: Any, request: object, now_ns: int) -> None:
    """Count nothing."""


def is_unknown(order: Order) -> bool:
    return order.ord_status is OrdStatus.UNKNOWN


BUGS: Final[Mapping[str, tuple[str, Bend]]] = {
    "max_order_qty is off by one lot": ("max_order_qty", checks(one_lot_more)),
    "max_order_qty ignores replaces": ("max_order_qty", checks(passes_replaces)),
    "max_order_qty takes > for >=": ("max_order_qty", checks(refuses_at_the_limit)),
    "max_order_notional takes a sell at its price": (
        "max_order_notional",
        checks(values_sells_at_their_price),
    ),
    "max_order_notional forgets the multiplier": (
        "max_order_notional",
        checks(forgets_the_multiplier),
    ),
    "max_order_notional takes > for >=": ("max_order_notional", checks(refuses_at_the_limit)),
    "max_order_notional passes what it cannot tell": (
        "max_order_notional",
        checks(passes_what_it_cannot_tell),
    ),
    "price_collar_bps starts half way": ("price_collar_bps", checks(uses_the_middle)),
    "price_collar_bps starts at the near side": ("price_collar_bps", checks(uses_the_near_side)),
    "price_collar_bps passes without a market": (
        "price_collar_bps",
        checks(passes_what_it_cannot_tell),
    ),
    "max_position ignores UNKNOWN": (
        "max_position",
        sees(leaves=leaves_of(lambda order: not is_unknown(order))),
    ),
    "max_position ignores PENDING_CANCEL": (
        "max_position",
        sees(leaves=leaves_of(lambda order: order.ord_status is not OrdStatus.PENDING_CANCEL)),
    ),
    "max_position ignores what is in flight": (
        "max_position",
        sees(leaves=leaves_of(lambda order: order.ord_status is not OrdStatus.PENDING_NEW)),
    ),
    "max_position forgets stops": (
        "max_position",
        sees(leaves=leaves_of(lambda order: order.stop_px is None)),
    ),
    "max_position nets the sides": ("max_position", sees(leaves=net_leaves)),
    "max_position counts a replace once": ("max_position", sees(added_leaves=added_once)),
    "max_position forgets leaves": ("max_position", sees(leaves=leaves_of(lambda _: False))),
    "max_position looks at the whole bot": ("max_position", checks(sees_the_whole_bot)),
    "max_position is off by one lot": ("max_position", checks(one_lot_more)),
    "max_exposure marks at the bid": (
        "max_exposure",
        sees(mark=lambda view, symbol: (view.mark(symbol)[0],) * 2),
    ),
    "max_exposure takes USD for EUR": (
        "max_exposure",
        sees(convert=lambda view, qty, source, target: qty),
    ),
    "max_exposure nets the sides": ("max_exposure", sees(leaves=net_leaves)),
    "max_exposure ignores shorts": ("max_exposure", sees(position=net_position)),
    "max_exposure ignores UNKNOWN": (
        "max_exposure",
        sees(leaves=leaves_of(lambda order: not is_unknown(order))),
    ),
    "max_open_orders is off by one": (
        "max_open_orders",
        sees(open_orders=lambda view, symbol=None: view.open_orders(symbol) - 1),
    ),
    "max_open_orders forgets what is in flight": (
        "max_open_orders",
        sees(open_orders=number_of(lambda order: order.acknowledged)),
    ),
    "max_open_orders ignores UNKNOWN": (
        "max_open_orders",
        sees(open_orders=number_of(lambda order: not is_unknown(order))),
    ),
    "max_open_orders counts the bot for a strategy": (
        "max_open_orders",
        checks(sees_the_whole_bot),
    ),
    "max_order_rate forgets replaces": ("max_order_rate", does(sent=sent_without_replaces)),
    "max_order_rate counts a moment too long": ("max_order_rate", checks(counts_a_moment_longer)),
    "max_order_rate counts what is refused": ("max_order_rate", checks(counts_what_is_refused)),
    "max_order_rate resets at restart": ("max_order_rate", does(carry_on=forgets)),
    "max_cancel_rate resets at restart": ("max_cancel_rate", does(carry_on=forgets)),
    "max_cancel_rate forgets working orders": (
        "max_cancel_rate",
        sees(open_orders=lambda view, symbol=None: 0),
    ),
    "max_cancel_rate forgets cancels": ("max_cancel_rate", does(sent=hears_nothing)),
    "max_cancel_rate counts the bot for a strategy": (
        "max_cancel_rate",
        checks(sees_the_whole_bot),
    ),
    "self_trade lets equal prices meet": ("self_trade", sees(meeting=meets_apart)),
    "self_trade ignores UNKNOWN": (
        "self_trade",
        sees(meeting=meeting_of(lambda order: not is_unknown(order))),
    ),
    "self_trade ignores PENDING_CANCEL": (
        "self_trade",
        sees(meeting=meeting_of(lambda order: not order.cancel_requested)),
    ),
    "self_trade forgets stops": (
        "self_trade",
        sees(meeting=meeting_of(lambda order: order.stop_px is None)),
    ),
    "self_trade sees one strategy": (
        "self_trade",
        sees(meeting=meeting_of(lambda order: order.strategy == "a")),
    ),
    "self_trade counts the bot for a strategy": ("self_trade", checks(sees_the_whole_bot)),
    "self_trade forgets the new price of a replace": (
        "self_trade",
        sees(meeting=meets_the_old_price),
    ),
    "stale_data sees no crossed market": (
        "stale_data",
        checks(
            lambda honest, rule, request, context: honest(
                request, through(context, touch=lambda symbol: (nan, nan))
            )
        ),
    ),
    "stale_data is late": (
        "stale_data",
        sees(age_ns=lambda view, symbol: _less(view.age_ns(symbol), 2_000_000_000)),
    ),
    "stale_data takes a gap for news": (
        "stale_data",
        sees(age_ns=lambda view, symbol: view.age_ns(symbol) or 0),
    ),
    "stale_data leaves what rests": ("stale_data", does(watch=watches_nothing)),
    "funds forgets what fills and fees took": ("funds", sees(total=told_total)),
    "funds ignores UNKNOWN": (
        "funds",
        sees(reserved=reserved_of(lambda order: not is_unknown(order))),
    ),
    "funds forgets stops": (
        "funds",
        sees(reserved=reserved_of(lambda order: order.stop_px is None)),
    ),
    "funds reserves nothing": ("funds", sees(reserved=lambda view, venue, currency: Decimal(0))),
    "funds passes what it cannot tell": ("funds", checks(passes_what_it_cannot_tell)),
    "funds forgets what others lock": (
        "funds",
        sees(foreign_locks=lambda view, venue, currency: Decimal(0)),
    ),
    "funds takes the largest credit": ("funds", sees(credit=largest_credit)),
    "max_daily_loss resets at restart": ("max_daily_loss", does(carry_on=forgets)),
    "max_daily_loss carries open profit twice": (
        "max_daily_loss",
        does(carry_on=carries_open_profit_twice),
    ),
    "max_daily_loss begins the day at 23:00": (
        "max_daily_loss",
        watches(now_ns=lambda view: view.now_ns + HOUR_NS),
    ),
    "max_daily_loss never begins a day": ("max_daily_loss", watches(now_ns=lambda view: BEGIN_NS)),
    "max_daily_loss forgets fees": (
        "max_daily_loss",
        watches(profit=profit_by(lambda point: point.realised + point.unrealised)),
    ),
    "max_daily_loss passes what it cannot tell": ("max_daily_loss", does(check=passes_all)),
    "max_drawdown takes > for >=": ("max_drawdown", trips_above_the_limit),
    "max_drawdown resets at restart": ("max_drawdown", does(carry_on=forgets)),
    "max_drawdown forgets what is open": (
        "max_drawdown",
        watches(profit=profit_by(lambda point: point.realised - point.fees)),
    ),
    "max_drawdown marks half way": (
        "max_drawdown",
        watches(profit=profit_by(lambda point: point.equity, middle=True)),
    ),
    "max_drawdown forgets fees not told yet": (
        "max_drawdown",
        watches(profit=profit_by(lambda point: point.equity + point.fees_estimated)),
    ),
    "max_drawdown waits for ever for a price": (
        "max_drawdown",
        watches(profit=lambda view, currency, settled=False: view.profit(currency) or Decimal(0)),
    ),
}


def _less(age_ns: int | None, by_ns: int) -> int | None:
    return None if age_ns is None else max(0, age_ns - by_ns)


# --- the search -----------------------------------------------------------------------------


@cache
def passes_honestly(focus: str, seed: int) -> bool:
    """Walk with honest rules; raises `DisagreementError` if they are at fault."""
    walk(np.random.default_rng(seed), STEPS, focus=focus, decisions_only=True)
    return True


def found_at(kind: str, bend: Bend) -> int | None:
    """Return the first walk that shows the bug; None if none does."""

    def plant(key: str, rule: RiskRule) -> RiskRule:
        return bend(rule) if key == kind else rule

    for seed in range(WALKS):
        try:
            walk(np.random.default_rng(seed), STEPS, plant=plant, focus=kind, decisions_only=True)
        except DisagreementError:
            return seed
    return None


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found_where_honest_rules_pass(name: str) -> None:
    kind, bend = BUGS[name]
    seed = found_at(kind, bend)
    assert seed is not None, f"{WALKS} walks show nothing of it"
    assert passes_honestly(kind, seed)


def test_a_rule_rebuilt_without_a_bug_passes() -> None:
    for seed in range(4):
        walk(np.random.default_rng(seed), STEPS, plant=lambda _, rule: rebuilt(rule))


def test_every_rule_has_a_bug_planted() -> None:
    assert {kind for kind, _ in BUGS.values()} == set(entry_points(group="botkit.risk").names)
