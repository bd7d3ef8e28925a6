"""The bot that the proof of the risk rules plays with: instruments, venues, limits."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import entry_points
from typing import Any, Final

import attrs

from botkit.engine.riskview import ScopedRule
from botkit.ports import FeeSchedule, RiskRule, RiskScope
from botkit.testing import build_instrument
from tests.property.plain_risk_parts import Placed, Thing

__all__ = [
    "ATOMIC",
    "BTC_USD",
    "FEES",
    "INSTRUMENTS",
    "INVERSE",
    "MIDDLE",
    "STRATEGIES",
    "SYMBOLS",
    "TAKER",
    "TERMS",
    "THINGS",
    "VENUES",
    "Pick",
    "Plant",
    "build",
    "honest",
    "limit_of",
    "placed_at",
]

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
# Reading the entry points takes longer than a whole walk.
RULES: Final[Mapping[str, Any]] = {
    each.name: each.load() for each in entry_points(group="botkit.risk")
}


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
    Term("self_trade", "b", limits=("refuse",)),
    Term("self_trade", limits=("refuse", "cancel")),
    Term("stale_data", limits=("5", "40")),
    Term("stale_data", venue="two", limits=("3", "40"), by_symbol=BTC_USD),
    Term("funds", limits=("prefunded",)),
    Term("funds", "b", limits=("prefunded",)),
    Term("funds", "a", limits=("credit",)),
    Term("max_daily_loss", limits=("8", "900"), currency="EUR"),
    Term("max_daily_loss", "a", limits=("6", "900"), currency="USD"),
    Term("max_drawdown", limits=("6", "900"), currency="EUR"),
    Term("max_drawdown", venue="two", limits=("5", "900"), currency="USD"),
)


def placed_at(term: Term, limit: str) -> Placed:
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
        setting=limit,
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


def build(chosen: Sequence[tuple[Term, str]], plant: Plant) -> list[RiskRule | ScopedRule]:
    """Return the rules as a config with these terms would have them."""
    built: list[RiskRule | ScopedRule] = []
    for term, limit in chosen:
        key = term.prefix + term.kind
        rule = plant(term.kind, RULES[term.kind].from_config(_configured(term, limit), key))
        scope = RiskScope(strategy=term.strategy, venue=term.venue)
        built.append(ScopedRule(key, scope, rule) if term.prefix else rule)
    return built


def limit_of(term: Term, pick: Pick, focus: str) -> str:
    """Return a limit that binds in one world of six, else a looser one.

    With `focus`, those of that kind bind in half of all worlds and all others are loose.
    """
    binds = term.kind == focus and bool(pick(2)) if focus else pick(6) == 0
    if binds or len(term.limits) == 1:
        return term.limits[0]
    return term.limits[-1] if focus != term.kind else term.limits[-1 - pick(len(term.limits) - 1)]
