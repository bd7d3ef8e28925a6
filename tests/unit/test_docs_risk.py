"""docs/risk.md against the rules: each example is run, and its refusal is what the rule says."""

import re
import textwrap
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from botkit.config import FlattenConfig, format_duration, names
from botkit.model import (
    Flattened,
    Operation,
    OperatorCommand,
    OrdStatus,
)
from botkit.orders import Order, OrderTiming
from botkit.ports import FeeSchedule
from botkit.testing import SYMBOL, time_ns
from tests.unit.risk_bench import RiskBench

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "risk.md").read_text("utf-8")
BLOCK = re.compile(r"```(toml|text)\n(.*?)```", re.DOTALL)
FEES = {"paper": FeeSchedule(maker_bps=Decimal(10), taker_bps=Decimal(20))}


def section(heading: str) -> str:
    """Return what stands under a heading, to the next of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", PAGE, re.MULTILINE)
    assert found is not None, f"no heading {heading!r}"
    rest = PAGE[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end is not None else rest


def blocks(heading: str) -> list[tuple[str, str]]:
    """Return the blocks of a section: (language, text)."""
    return [(kind, text) for kind, text in BLOCK.findall(section(heading))]


def open_bench(risk: Mapping[str, Any]) -> RiskBench:
    """Return a bench at the prices of the page: 59990 to 60010."""
    bench = RiskBench(risk, quoted=False, fees=FEES, keep_running=True)
    bench.quote(0, 59990, 60010)
    return bench


# --- what each example tries, as the page says it ---------------------------------------------


def order_notional(bench: RiskBench) -> Order:
    return bench.buy("0.1", "59990")


def order_qty(bench: RiskBench) -> Order:
    return bench.buy("0.6", "59990")


def price_collar(bench: RiskBench) -> Order:
    return bench.buy("0.01", "61500")


def open_orders(bench: RiskBench) -> Order:
    for price in ("59980", "59970"):
        bench.buy("0.01", price)
    return bench.buy("0.01", "59960")


def position(bench: RiskBench) -> Order:
    bench.hold("1", "60000")
    bench.buy("0.5", "59980")
    return bench.buy("0.6", "59970")


def exposure(bench: RiskBench) -> Order:
    bench.hold("0.3", "60000")
    return bench.buy("0.1", "59990")


def order_rate(bench: RiskBench) -> Order:
    return open_orders(bench)


def cancel_rate(bench: RiskBench) -> Order:
    bench.buy("0.01", "59980").cancel()
    return bench.buy("0.01", "59960")


def self_trade(bench: RiskBench) -> Order:
    bench.sell("0.1", "60020", of=1)
    return bench.buy("0.1", "60030")


def stale_data(bench: RiskBench) -> Order:
    bench.tick(7.5)
    return bench.buy("0.1", "59990")


def funds(bench: RiskBench) -> Order:
    bench.balance("EUR", "10000", locked="1000")
    bench.buy("0.1", "59000")
    return bench.buy("0.1", "59990")


def credit(bench: RiskBench) -> Order:
    bench.credit("EUR", net="50000", gross="80000", net_used="-1000", gross_used="20000")
    bench.credit("EUR", "12", net="6000", gross="20000", net_used="500", gross_used="1500")
    return bench.buy("0.1", "59990")


def loss(bench: RiskBench) -> Order:
    bench.hold("1", "60000")
    bench.quote(1, 59470, 59480)
    bench.tick(2)
    return bench.buy("0.1", "59400")


def drawdown(bench: RiskBench) -> Order:
    bench.hold("1", "60000")
    bench.quote(1, 60400, 60410)
    bench.tick(2)
    bench.quote(3, 59390, 59400)
    bench.tick(4)
    return bench.buy("0.1", "59400")


def scope(bench: RiskBench) -> Order:
    bench.buy("0.9", "59980", of=1)
    return bench.buy("0.6", "59980")


SCENES: Mapping[str, Callable[[RiskBench], Order]] = {
    "`max_order_notional`": order_notional,
    "`max_order_qty`": order_qty,
    "`price_collar_bps`": price_collar,
    "`max_open_orders`": open_orders,
    "`max_position`": position,
    "`max_exposure`": exposure,
    "`max_order_rate`": order_rate,
    "`max_cancel_rate`": cancel_rate,
    "`self_trade`": self_trade,
    "`stale_data`": stale_data,
    "`funds`": funds,
    "Credit": credit,
    "`max_daily_loss`": loss,
    "`max_drawdown`": drawdown,
    "Scopes": scope,
}


@pytest.mark.parametrize("heading", SCENES)
def test_the_refusal_on_the_page_is_what_the_rule_says(heading: str) -> None:
    (_, config), (_, refusal) = blocks(heading)[:2]
    bench = open_bench(tomllib.loads(config)["risk"])
    order = SCENES[heading](bench)
    assert order.ord_status is OrdStatus.REJECTED
    assert textwrap.fill(order.text, 96, break_on_hyphens=False) + "\n" == refusal


def test_every_rule_has_a_section_with_an_example() -> None:
    told = re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)
    assert sorted(told) == names("botkit.risk")
    assert {f"`{name}`" for name in told} <= set(SCENES)


def test_the_log_of_a_flatten_is_what_it_says() -> None:
    bench = open_bench({})
    bench.hold("0.5", "60000")
    bench.hold("-0.2", "60000", of=1)
    lost = bench.buy("0.1", "59980", of=1)
    bench.report(lost, OrdStatus.UNKNOWN, 1)
    bench.quote(1, 59990, 60010)
    command = OperatorCommand(operation=Operation.FLATTEN, receive_time_ns=time_ns(1))
    bench.engine.handle(command)
    bench.tick(31)
    (line,) = bench.lines("not flat")
    told = "".join(f"{name}: {value}\n" for name, value in line.items())
    assert "".join(text for _, text in blocks("Flatten")) == told
    (report,) = bench.recorded(Flattened)
    assert not report.is_flat


def test_the_numbers_it_names_are_the_codes() -> None:
    terms, timing = FlattenConfig(), OrderTiming()
    flatten = section("Flatten")
    assert f"{terms.collar_bps} bps" in flatten
    for duration in (terms.deadline, terms.quote_stale, terms.retry):
        assert f"({format_duration(duration)})" in flatten
    assert f"within {format_duration(timing.cancel_due_ns)}" in section("`self_trade`")
    assert SYMBOL in PAGE
