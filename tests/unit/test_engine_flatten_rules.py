"""Flatten against rules that refuse: as much as passes, few refusals, an end where none would."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from botkit.config import FlattenConfig
from botkit.model import (
    Halted,
    OrdStatus,
    Refused,
)
from botkit.ports import Held
from tests.unit.flatten_bench import FlatBench


def test_it_works_while_the_bot_is_halted() -> None:
    bench = FlatBench(keep_running=True)
    bench.hold("2")
    bench.engine.guard.trip(Halted(rule="operator", reason="enough"))
    bench.flatten()
    bench.fill_last()
    assert bench.flattened().is_flat


def test_while_halted_only_what_reduces_the_bots_own_position_is_closed() -> None:
    bench = FlatBench(keep_running=True)
    bench.hold("2")
    bench.hold("-1", of=1)
    bench.engine.guard.trip(Halted(rule="operator", reason="enough"))
    sent = len(bench.new_orders)
    bench.flatten()
    assert bench.last().order_qty == 1
    bench.fill_last()
    assert len(bench.new_orders) == sent + 1
    rows = bench.rows()
    assert [(each.strategy, each.left) for each in rows] == [("a", Decimal(1)), ("b", Decimal(-1))]
    assert len(bench.recorded(Refused)) == 1  # and it ends: no wait would let it pass
    assert all("only orders that reduce a position pass" in each.why for each in rows)


def test_an_order_that_a_rule_finds_too_large_is_sent_in_parts() -> None:
    bench = FlatBench({"max_order_qty": "3"})
    for _ in range(4):
        bench.hold("2.5")
    bench.flatten()
    sizes = []
    while bench.engine.flattener.target is not None:
        sizes.append(bench.last().order_qty)
        bench.fill_last()
    assert sum(sizes) == 10
    assert max(sizes) <= 3


def test_a_price_that_the_collar_rule_refuses_is_tried_at_the_touch() -> None:
    bench = FlatBench({"price_collar_bps": "20"})
    bench.hold("2", "99")
    bench.flatten()
    assert bench.last().price == 99


def test_an_order_of_another_strategy_in_its_way_is_canceled_first() -> None:
    bench = FlatBench({"self_trade": "refuse"})
    bench.hold("2")
    other = bench.buy("1", "98.9", of=1)
    bench.ack(other)
    sent = len(bench.new_orders)
    bench.flatten("a")
    bench.tick(3)
    assert len(bench.new_orders) == sent
    assert len(bench.recorded(Held)) == 1  # and is not dropped and sent again meanwhile
    bench.report(other, OrdStatus.CANCELED, 3.5)
    bench.fill_last(after_s=3.5)
    assert bench.flattened().is_flat


def test_what_every_rule_refuses_is_a_residue_with_its_reason() -> None:
    bench = FlatBench({"max_order_rate": "1/1h"})
    bench.hold("2")
    bench.flatten()
    bench.wait_for(31)
    (row,) = bench.rows()
    assert row.left == 2
    assert "1 order or replace was sent within the time of max_order_rate 1/1h" in row.why


def test_the_first_slice_is_as_large_as_a_limit_allows_and_none_is_refused() -> None:
    bench = FlatBench({"max_order_notional": "400"})
    for _ in range(5):
        bench.hold("2")
    bench.flatten()
    sizes = []
    while bench.engine.flattener.target is not None:
        sizes.append(bench.last().order_qty)
        bench.fill_last()
    assert sizes == [Decimal("4.04"), Decimal("4.04"), Decimal("1.92")]  # at 99
    assert not bench.recorded(Refused)


def test_a_limit_on_more_than_the_order_itself_is_met_by_halves() -> None:
    bench = FlatBench({"max_position": "4.5"})
    bench.hold("2")
    bench.hold("-5", of=1)
    bench.flatten("a")  # selling all of it makes the bot 5 short, nine tenths of it 4.8
    assert bench.last().order_qty == Decimal("0.9")
    assert not bench.recorded(Refused)


def test_a_rate_is_waited_for_a_second_at_least_and_refuses_once() -> None:
    bench = FlatBench({"max_order_rate": "1/1500ms"}, flatten=FlattenConfig(retry=10**8))
    bench.hold("2")
    sent = len(bench.new_orders)
    bench.flatten()
    for tenth in range(11, 20):
        bench.tick(tenth / 10)
    assert len(bench.new_orders) == sent
    bench.tick(2)
    assert len(bench.new_orders) == sent + 1
    assert bench.last().order_qty == 2
    (refused,) = bench.recorded(Refused)
    assert refused.rule == "max_order_rate"
    bench.fill_last(after_s=2)
    assert bench.flattened().is_flat


def test_the_reason_is_the_rules_also_where_less_is_too_little_to_trade() -> None:
    bench = FlatBench({"max_order_rate": "1/1h"}, instrument_terms={"min_notional": "150"})
    bench.hold("2")
    bench.flatten()
    bench.wait_for(31)
    (row,) = bench.rows()
    assert "max_order_rate 1/1h" in row.why
    assert len(bench.recorded(Refused)) == 1


@pytest.mark.parametrize("least", ["0", "60"])
def test_whatever_comes_in_its_way_is_canceled_each_time(least: str) -> None:
    bench = FlatBench({"self_trade": "cancel"}, instrument_terms={"min_notional": least})
    bench.hold("1")
    bench.hold("-2", of=1)
    ahead = []
    for second in (1, 2):
        ahead.append(bench.buy("1", "99", of=1))
        bench.ack(ahead[-1])
        if second == 1:
            bench.flatten("a")  # which widens the bot's position: it is not held
        else:
            bench.tick(2)
    canceled = [each.client_order_id for each in bench.cancels]
    assert canceled == [each.client_order_id for each in ahead]
    for order in ahead:
        bench.report(order, OrdStatus.CANCELED, 2.5)
    bench.quote(3, 99, 101)
    bench.fill_last(after_s=3)
    assert bench.flattened().is_flat


@pytest.mark.parametrize(
    "risk", [{"max_position": "1"}, {"venues": {"paper": {"max_position": "1"}}}]
)
def test_what_widens_the_bots_position_beyond_its_limit_is_given_up_at_once(
    risk: Mapping[str, Any],
) -> None:
    bench = FlatBench(risk)
    bench.hold("1")
    bench.hold("-1", of=1)
    bench.hold("-1", of=1)
    bench.flatten("a")
    (row,) = bench.rows()
    assert row.left == 1
    assert "max_position" in row.why
    (refused,) = bench.recorded(Refused)
    assert refused.strategy == "a"


def test_while_an_order_may_fill_it_waits_for_what_that_changes() -> None:
    bench = FlatBench({"max_position": "1"})
    bench.hold("1")
    bench.hold("-1", of=1)
    bench.hold("-1", of=1)
    other = bench.buy("1", "98", of=1)
    bench.ack(other)
    bench.flatten("a")
    assert bench.engine.flattener.target == "a"
    bench.fills_at(other, "1", "98", 1.5)
    bench.wait_for(3)
    bench.fill_last(after_s=3)
    assert bench.flattened().is_flat
    assert len(bench.recorded(Refused)) == 1
