"""The risk rules: limits as written, what passes with which margin, what is refused and why."""

from collections.abc import Callable
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from botkit.config import found
from botkit.errors import ConfigError
from botkit.model import (
    ClientOrderId,
    FillSource,
    NewOrder,
    OrdType,
    ReplaceOrder,
    Side,
)
from botkit.orders import Orders
from botkit.ports import Capabilities, RiskContext, RiskRule
from botkit.testing import SYMBOL, build_instrument, build_new_order
from risk.limits import Limits
from risk.open_orders import MaxOpenOrders
from risk.order_notional import MaxOrderNotional
from risk.order_qty import MaxOrderQty
from risk.price_collar import PriceCollar

OTHER = "paper:ETH-EUR"
SOURCE = "bot.toml: risk.rule"
RULES: list[Callable[[Any, str], RiskRule]] = [
    MaxOpenOrders.from_config,
    MaxOrderNotional.from_config,
    MaxOrderQty.from_config,
    PriceCollar.from_config,
]


def context(bid: float = 99.0, ask: float = 101.0, working: int = 0, **terms: Any) -> RiskContext:
    can = Capabilities(client_order_ids=True, fill_source=FillSource.EXECUTIONS)
    orders = Orders(capabilities={"paper": can})
    instrument = build_instrument(**terms)
    for number in range(working):
        orders.add(build_new_order(f"w-{number}"), instrument)
    return RiskContext(
        instrument=instrument,
        bid_px=bid,
        ask_px=ask,
        now_ns=0,
        workload=orders,
        position=lambda _: Decimal(0),
    )


def build_replace(side: Side = Side.BUY, **terms: Any) -> ReplaceOrder:
    fields: dict[str, Any] = {"order_qty": Decimal(1), "price": Decimal(100), **terms}
    return ReplaceOrder(
        client_order_id=ClientOrderId("r-2"),
        orig_client_order_id=ClientOrderId("r-1"),
        symbol=SYMBOL,
        strategy="test",
        side=side,
        **fields,
    )


# --- limits ---------------------------------------------------------------------------------


def test_a_limit_holds_everywhere_or_by_instrument() -> None:
    everywhere = Limits.from_config("5", SOURCE)
    assert everywhere.of(SYMBOL) == everywhere.of(OTHER) == 5
    by_symbol = Limits.from_config({SYMBOL: "0.5"}, SOURCE)
    assert (by_symbol.of(SYMBOL), by_symbol.of(OTHER)) == (Decimal("0.5"), None)
    assert Limits.from_config(20, SOURCE).of(SYMBOL) == 20


@pytest.mark.parametrize("value", [True, 1.5, "five", "", "0", 0, "-1", "nan", "inf", None, ["5"]])
def test_a_bad_limit_is_an_error_that_names_it(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        Limits.from_config(value, SOURCE)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{SOURCE}: found {found(value)}, allowed: a number above 0")


def test_all_bad_limits_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Limits.from_config({SYMBOL: "x", "BTC-EUR": "1", OTHER: 2}, SOURCE)
    assert [problem[: problem.index("allowed")] for problem in caught.value.problems] == [
        f'{SOURCE}.{SYMBOL}: found "x" (text), ',
        f'{SOURCE}: found "BTC-EUR" (text), ',
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.5, "1.5 (float)"), ("1.5", '"1.5" (text)'), (0, "0 (integer)"), ("nan", '"nan" (text)')],
)
def test_a_number_of_orders_is_whole(value: object, shown: str) -> None:
    for written, where in ((value, SOURCE), ({SYMBOL: value}, f"{SOURCE}.{SYMBOL}")):
        with pytest.raises(ConfigError) as caught:
            MaxOpenOrders.from_config(written, SOURCE)
        assert caught.value.problems == (
            f"{where}: found {shown}, allowed: a whole number above 0",
        )
    assert MaxOpenOrders.from_config("4", SOURCE).limits == Limits.from_config(4, SOURCE)


@pytest.mark.parametrize("build", RULES)
def test_every_rule_reads_its_limit_from_the_config(build: Callable[[Any, str], RiskRule]) -> None:
    with pytest.raises(ConfigError, match=r"bot\.toml: risk\.rule"):
        build("none", SOURCE)
    verdict = build({OTHER: "1"}, SOURCE).check(build_new_order(qty=1000, price=9999), context())
    assert verdict.passed
    assert verdict.limit is None
    assert verdict.margin is None


# --- order size -----------------------------------------------------------------------------


@pytest.mark.parametrize(("qty", "margin"), [("4.999", "0.001"), ("5", "0"), ("5.001", "-0.001")])
def test_order_qty_up_to_its_limit_passes(qty: str, margin: str) -> None:
    rule = MaxOrderQty.from_config("5", SOURCE)
    for request in (build_new_order(qty=qty), build_replace(order_qty=Decimal(qty))):
        verdict = rule.check(request, context())
        assert verdict.margin == Decimal(margin)
        assert verdict.passed is (Decimal(margin) >= 0)
    text = rule.check(build_new_order(qty="5.001"), context()).text
    assert text == (
        "order_qty 5.001 BTC of paper:BTC-EUR is above max_order_qty 5: split the order or "
        "raise the limit"
    )


# --- order value ----------------------------------------------------------------------------


def notional(request: NewOrder | ReplaceOrder, **market: Any) -> tuple[bool, Decimal | int | None]:
    verdict = MaxOrderNotional.from_config("500", SOURCE).check(request, context(**market))
    assert verdict.limit == 500
    assert bool(verdict.text) is not verdict.passed
    return verdict.passed, verdict.margin


def test_order_value_up_to_its_limit_passes() -> None:
    assert notional(build_new_order(qty=5, price=100)) == (True, 0)
    assert notional(build_new_order(qty=5, price="100.01")) == (False, Decimal("-0.05"))
    assert notional(build_replace(order_qty=Decimal(6))) == (False, -100)


def test_a_sell_is_worth_the_bid_if_that_is_above_its_price() -> None:
    """A sell of 6 at 1 into a bid of 99 trades 594, not 6."""
    low = build_new_order(side=Side.SELL, qty=6, price=1)
    assert notional(low) == (False, -94)
    assert notional(low, bid=nan) == (True, 494)
    assert notional(build_new_order(side=Side.SELL, qty=5, price=101)) == (False, -5)
    assert notional(build_new_order(qty=6, price=1)) == (True, 494)  # a buy pays its price at most


def test_without_a_price_the_touch_it_would_meet_counts() -> None:
    assert notional(build_new_order(qty=5, price=None)) == (False, -5)
    assert notional(build_new_order(side=Side.SELL, qty=5, price=None)) == (True, 5)


def test_a_stop_is_valued_at_its_stop_price() -> None:
    stop = build_new_order(qty=5, price=None, ord_type=OrdType.STOP, stop_px=Decimal(90))
    assert notional(stop) == (True, 50)
    sell = build_new_order(
        side=Side.SELL, qty=5, price=80, ord_type=OrdType.STOP_LIMIT, stop_px=Decimal(90)
    )
    assert notional(sell) == (True, 100)


@pytest.mark.parametrize("ask", [nan, inf, 0.0, -1.0])
def test_a_value_nobody_can_tell_is_refused(ask: float) -> None:
    assert notional(build_new_order(price=None), ask=ask) == (False, None)


def test_an_inverse_contract_is_worth_the_same_at_any_price() -> None:
    terms: dict[str, Any] = {"inverse": True, "contract_multiplier": "100"}
    assert notional(build_new_order(qty=5, price=60000), **terms) == (True, 0)
    assert notional(build_new_order(qty=6, price=1), **terms) == (False, -100)
    assert notional(build_new_order(qty=5, price=None), ask=nan, **terms) == (True, 0)


# --- price collar ---------------------------------------------------------------------------


def collar(request: NewOrder | ReplaceOrder, **market: Any) -> tuple[bool, Decimal | int | None]:
    verdict = PriceCollar.from_config("100", SOURCE).check(
        request, context(bid=200.0, ask=200.0, **market)
    )
    assert bool(verdict.text) is not verdict.passed
    return verdict.passed, verdict.margin


@pytest.mark.parametrize(
    ("side", "price", "margin"),
    [
        (Side.BUY, "202", 0),
        (Side.BUY, "202.01", Decimal("-0.5")),
        (Side.BUY, "100", 5100),
        (Side.SELL, "198", 0),
        (Side.SELL, "197.99", Decimal("-0.5")),
        (Side.SELL, "400", 10100),
    ],
)
def test_a_price_reaches_only_so_far_through_the_market(
    side: Side, price: str, margin: Decimal
) -> None:
    expected = (margin >= 0, margin)
    assert collar(build_new_order(side=side, price=price)) == expected
    assert collar(build_replace(side, price=Decimal(price))) == expected


@pytest.mark.parametrize("touch", [nan, inf, 0.0, -5.0])
@pytest.mark.parametrize(("side", "name"), [(Side.BUY, "ask"), (Side.SELL, "bid")])
def test_without_a_market_the_collar_refuses(touch: float, side: Side, name: str) -> None:
    market: dict[str, Any] = {"bid": 200.0, "ask": 200.0, name: touch}
    rule = PriceCollar.from_config("100", SOURCE)
    verdict = rule.check(build_new_order(side=side), context(**market))
    assert not verdict.passed
    assert f"paper:BTC-EUR shows no {name}" in verdict.text
    other = build_new_order(side=side.opposite, price=200)
    assert rule.check(other, context(**market)).passed


def test_stops_are_measured_from_their_stop_price_and_market_orders_need_a_market() -> None:
    stop: dict[str, Any] = {"ord_type": OrdType.STOP_LIMIT, "stop_px": Decimal(300)}
    assert collar(build_new_order(price=303, **stop)) == (True, 0)
    assert collar(build_new_order(price=306, **stop)) == (False, -100)
    assert collar(build_new_order(price=None)) == (True, 100)


# --- working orders -------------------------------------------------------------------------


def test_one_order_too_many_is_refused_and_a_replace_adds_none() -> None:
    rule = MaxOpenOrders.from_config(3, SOURCE)
    assert rule.check(build_new_order(), context(working=2)).margin == 0
    verdict = rule.check(build_new_order(), context(working=3))
    assert not verdict.passed
    assert verdict.margin == -1
    assert verdict.text == (
        "3 orders may be working already, max_open_orders is 3: cancel some or raise the limit"
    )
    one = MaxOpenOrders.from_config(1, SOURCE).check(build_new_order(), context(working=1))
    assert one.text.startswith("1 order may be working already")
    assert rule.check(build_replace(), context(working=3)).margin == 0


def test_working_orders_of_one_instrument_count_for_its_own_limit() -> None:
    rule = MaxOpenOrders.from_config({SYMBOL: 1}, SOURCE)
    assert not rule.check(build_new_order(), context(working=1)).passed
    elsewhere = context(symbol=OTHER)
    elsewhere.workload = context(working=5).workload
    assert rule.check(build_new_order(symbol=OTHER), elsewhere).passed
    own = MaxOpenOrders.from_config({OTHER: 1}, SOURCE)
    assert own.check(build_new_order(symbol=OTHER), elsewhere).margin == 0
