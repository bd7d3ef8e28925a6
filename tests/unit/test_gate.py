"""The gate: what it checks by itself, in which order, and that nobody else approves."""

import ast
from collections.abc import Callable
from decimal import Decimal
from math import nan
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from botkit.gate import Gate
from botkit.model import (
    Approved,
    ClientOrderId,
    FillSource,
    Instrument,
    NewOrder,
    OrdType,
    Refused,
    ReplaceOrder,
    RequestKind,
    Side,
    TimeInForce,
)
from botkit.orders import Orders
from botkit.ports import Capabilities, RiskContext, Verdict
from botkit.testing import SYMBOL, build_instrument, build_new_order

ROOT = Path(__file__).parents[2]
ALL_TYPES = frozenset(OrdType)
FULL = Capabilities(
    client_order_ids=True,
    fill_source=FillSource.EXECUTIONS,
    replace=True,
    ord_types=ALL_TYPES,
    times_in_force=frozenset(TimeInForce),
)


@attrs.frozen
class Rule:
    """A rule that notes that it was asked and answers as told."""

    name: str
    passes: bool
    asked: list[str]
    key: ClassVar[str] = "rule"

    @classmethod
    def from_config(cls, value: Any, source: str) -> "Rule":
        raise NotImplementedError(f"{source}: {value}")

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        self.asked.append(self.name)
        return Verdict(self.name, self.passes, limit=Decimal(5), measured=Decimal(7), text="no")


def context(instrument: Instrument, can: Capabilities = FULL) -> RiskContext:
    return RiskContext(
        instrument=instrument,
        bid_px=nan,
        ask_px=nan,
        now_ns=0,
        workload=Orders(capabilities={"paper": can}),
        position=lambda _: Decimal(0),
    )


def new(request: NewOrder, can: Capabilities = FULL, **terms: Any) -> Approved[NewOrder] | Refused:
    gate = Gate([], {"paper": can})
    return gate.approve_new(request, context(build_instrument(**terms), can))


def build_replace(**terms: Any) -> ReplaceOrder:
    fields: dict[str, Any] = {"order_qty": Decimal(1), "price": Decimal(100), **terms}
    return ReplaceOrder(
        client_order_id=ClientOrderId("test-2"),
        orig_client_order_id=ClientOrderId("test-1"),
        symbol=SYMBOL,
        strategy="test",
        side=Side.BUY,
        **fields,
    )


def replace(request: ReplaceOrder, can: Capabilities = FULL) -> Approved[ReplaceOrder] | Refused:
    return Gate([], {"paper": can}).approve_replace(request, context(build_instrument(), can))


def refused(answer: object) -> Refused:
    assert isinstance(answer, Refused)
    return answer


def test_what_is_in_order_is_approved_as_it_is() -> None:
    request, change = build_new_order(), build_replace()
    first, second = new(request), replace(change)
    assert isinstance(first, Approved)
    assert first.request is request
    assert isinstance(second, Approved)
    assert second.request is change


OFF_GRID: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"qty": "1.0005"}, "1.0005", ["1.000", "1.001", "quantity()"]),
    ({"price": "100.005"}, "100.005", ["100.00", "100.01", "price()"]),
    (
        {"stop_px": Decimal("90.001"), "ord_type": OrdType.STOP_LIMIT},
        "90.001",
        ["90.00", "90.01", "price()"],
    ),
    ({"qty": "-1.0005"}, "-1.0005", ["-1.001", "-1.000"]),
]


@pytest.mark.parametrize(("terms", "measured", "named"), OFF_GRID)
def test_off_the_grid_names_both_neighbours(
    terms: dict[str, Any], measured: str, named: list[str]
) -> None:
    answer = refused(new(build_new_order(**terms)))
    assert answer.rule == "grid"
    assert answer.measured == measured
    assert all(text in answer.text for text in named)


@pytest.mark.parametrize("value", ["nan", "sNaN", "inf", "-inf", "1e40"])
@pytest.mark.parametrize("what", ["qty", "price", "stop_px"])
def test_what_no_decimal_can_settle_is_refused_and_never_raises(what: str, value: str) -> None:
    terms: dict[str, Any] = {what: value}
    if what == "stop_px":
        terms = {"stop_px": Decimal(value), "ord_type": OrdType.STOP_LIMIT}
    answer = refused(new(build_new_order(**terms)))
    assert answer.rule == "grid"
    assert str(Decimal(value)) in answer.text


SIZES: list[tuple[dict[str, Any], dict[str, Any], str, str, str]] = [
    ({"qty": "0.009"}, {"min_trade_vol": "0.01"}, "min_trade_vol", "0.01", "0.009"),
    ({"qty": "0"}, {}, "min_trade_vol", "0.001", "0"),
    ({"qty": "-1"}, {}, "min_trade_vol", "0.001", "-1"),
    ({"qty": "5.001"}, {"max_trade_vol": "5"}, "max_trade_vol", "5", "5.001"),
    ({"qty": "0.099"}, {"min_notional": "10"}, "min_notional", "10", "9.900"),
    ({"price": "0"}, {}, "price", "0", "0"),
    ({"price": "-1"}, {}, "price", "0", "-1"),
    (
        {"stop_px": Decimal(0), "ord_type": OrdType.STOP_LIMIT},
        {},
        "stop_px",
        "0",
        "0",
    ),
]


@pytest.mark.parametrize(("terms", "instrument", "rule", "limit", "measured"), SIZES)
def test_sizes_below_the_least_or_above_the_most_are_refused_by_name(
    terms: dict[str, Any], instrument: dict[str, Any], rule: str, limit: str, measured: str
) -> None:
    answer = refused(new(build_new_order(**terms), **instrument))
    assert (answer.rule, answer.limit, answer.measured) == (rule, limit, measured)
    assert SYMBOL in answer.text or rule == "min_notional"
    assert measured in answer.text


@pytest.mark.parametrize(
    ("terms", "instrument"),
    [
        ({"qty": "0.01"}, {"min_trade_vol": "0.01"}),
        ({"qty": "5"}, {"max_trade_vol": "5"}),
        ({"qty": "0.1"}, {"min_notional": "10"}),
        ({"qty": "0.1", "price": None, "time_in_force": TimeInForce.IOC}, {"min_notional": "10"}),
        ({"qty": "10", "price": "1"}, {"min_notional": "10", "inverse": True}),
    ],
)
def test_sizes_at_the_limit_pass(terms: dict[str, Any], instrument: dict[str, Any]) -> None:
    assert isinstance(new(build_new_order(**terms), **instrument), Approved)


POOR = Capabilities(
    client_order_ids=True,
    fill_source=FillSource.EXECUTIONS,
    post_only=False,
    ord_types=frozenset({OrdType.LIMIT, OrdType.STOP}),
    times_in_force=frozenset({TimeInForce.GTC, TimeInForce.DAY}),
)


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({"price": None}, "MARKET is not offered by paper; it offers LIMIT, STOP"),
        (
            {"time_in_force": TimeInForce.FOK},
            "FOK is not offered by paper; it offers DAY, GTC",
        ),
        ({"post_only": True}, "post-only is not offered by paper; it offers orders without"),
    ],
)
def test_what_the_venue_does_not_offer_is_refused_with_what_it_does(
    terms: dict[str, Any], text: str
) -> None:
    answer = refused(new(build_new_order(**terms), POOR))
    assert answer.rule == "venue_offers"
    assert answer.text.startswith(text)


def test_a_replace_where_there_is_none_is_refused_by_name() -> None:
    answer = refused(replace(build_replace(), POOR))
    assert (answer.rule, answer.request) == ("venue_offers", RequestKind.REPLACE)
    assert answer.text == "paper has no replace: cancel the order and send a new one"


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ({"price": None, "ord_type": OrdType.LIMIT}, "a LIMIT order needs price"),
        ({"price": 100, "ord_type": OrdType.MARKET}, "a MARKET order takes no price"),
        ({"stop_px": Decimal(90)}, "a LIMIT order takes no stop_px"),
        ({"price": None, "ord_type": OrdType.STOP}, "a STOP order needs stop_px"),
        (
            {"price": None, "ord_type": OrdType.MARKET, "post_only": True},
            "post_only goes with LIMIT, not with MARKET",
        ),
        (
            {"post_only": True, "time_in_force": TimeInForce.IOC},
            "post_only adds liquidity, IOC only takes it: leave one of them out",
        ),
        ({"time_in_force": TimeInForce.GTD}, "GTD needs expire_time_ns"),
        ({"expire_time_ns": 5}, "GTC takes no expire_time_ns"),
    ],
)
def test_parts_that_contradict_one_another_are_refused(terms: dict[str, Any], text: str) -> None:
    answer = refused(new(build_new_order(**terms)))
    assert (answer.rule, answer.text) == ("order_shape", text)


@pytest.mark.parametrize(
    "terms",
    [
        {"price": None},
        {"price": None, "stop_px": Decimal(90), "ord_type": OrdType.STOP},
        {"stop_px": Decimal(90), "ord_type": OrdType.STOP_LIMIT},
        {"post_only": True},
        {"time_in_force": TimeInForce.GTD, "expire_time_ns": 5},
    ],
)
def test_every_type_of_order_passes_with_its_parts(terms: dict[str, Any]) -> None:
    assert isinstance(new(build_new_order(**terms)), Approved)


@pytest.mark.parametrize(
    ("terms", "rule"),
    [
        ({"order_qty": Decimal("0.0001")}, "grid"),
        ({"price": Decimal("1.001")}, "grid"),
        ({"order_qty": Decimal(0)}, "min_trade_vol"),
        ({"price": None}, "order_shape"),
        ({"ord_type": OrdType.STOP}, "order_shape"),
    ],
)
def test_a_replace_is_held_to_grid_sizes_and_shape(terms: dict[str, Any], rule: str) -> None:
    answer = refused(replace(build_replace(**terms)))
    assert (answer.rule, answer.request) == (rule, RequestKind.REPLACE)
    assert answer.client_order_id == "test-2"


def test_rules_are_asked_in_order_until_one_refuses() -> None:
    asked: list[str] = []
    rules = [Rule(name, passes=name != "b", asked=asked) for name in ("a", "b", "c")]
    gate = Gate(rules, {"paper": FULL})
    first = refused(gate.approve_new(build_new_order(transact_time_ns=3), context(INSTRUMENT)))
    assert asked == ["a", "b"]
    assert (first.rule, first.limit, first.measured, first.text) == ("b", "5", "7", "no")
    assert (first.client_order_id, first.symbol, first.strategy) == ("test-1", SYMBOL, "test")
    assert (first.request, first.transact_time_ns) == (RequestKind.NEW, 3)
    assert refused(gate.approve_replace(build_replace(), context(INSTRUMENT))).rule == "b"
    assert asked == ["a", "b", "a", "b"]


def test_rules_are_not_asked_about_what_the_gate_refuses_itself() -> None:
    asked: list[str] = []
    gate = Gate([Rule("a", passes=True, asked=asked)], {"paper": FULL})
    assert refused(gate.approve_new(build_new_order(qty=0), context(INSTRUMENT))).rule
    assert asked == []


INSTRUMENT = build_instrument()


def make_approval() -> object:
    return Approved()


def make_subclass() -> object:
    class Mine(Approved[NewOrder]):
        pass

    return Mine()


@pytest.mark.parametrize("forge", [make_approval, make_subclass])
def test_nobody_but_the_gate_makes_an_approval(forge: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"only botkit\.gate approves requests"):
        forge()


def imports(path: Path) -> set[str]:
    """Return what `path` imports, as modules and as names in them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{each.name}" for each in node.names)})
    return found


def test_no_plug_in_and_no_strategy_imports_the_gate() -> None:
    files = [
        path for name in ("strategies", "risk", "venues") for path in ROOT.glob(f"{name}/**/*.py")
    ]
    files.append(ROOT / "botkit/strategy.py")
    assert len(files) > 10
    guilty = [path.name for path in files if "botkit.gate" in imports(path)]
    assert guilty == []
    assert "botkit.gate" in imports(
        ROOT / "botkit/engine/desk.py"
    )  # the search finds what is there
