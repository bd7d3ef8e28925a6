"""One order: commissions told again or apart from their fills, and replaces."""

from decimal import Decimal
from typing import Any

import pytest

from botkit.errors import IllegalTransitionError
from botkit.model import (
    ClientOrderId,
    ExecId,
    ExecType,
    Fill,
    Liquidity,
    OrdStatus,
    VenueOrderId,
)
from tests.unit.order_state_bench import (
    EXECUTIONS,
    TOTALS,
    build_order,
    build_report,
    fill,
    look,
    replacing,
    status_of,
)

# Commission: the other source, and repeats.


def test_under_totals_an_execution_only_brings_its_commission_once() -> None:
    order = build_order()
    order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="4", avg_px="100"), TOTALS)
    report = fill("e1", "4", commission="0.4", commission_currency="EUR", liquidity=Liquidity.ADDED)
    outcome = order.apply(report, TOTALS)
    assert [outcome.fill, outcome.changed, order.cum_qty] == [None, False, 4]
    (amended,) = outcome.amended
    assert look(amended, "qty", "commission") == (4, Decimal("0.4"))
    assert amended.liquidity is Liquidity.ADDED
    assert order.apply(report, TOTALS).amended == ()


def test_under_totals_a_commission_may_come_before_its_fill() -> None:
    order = build_order()
    for name, currency in (("e1", "EUR"), ("e2", "BNB"), ("e3", "EUR")):
        told = fill(name, "2", commission="0.1", commission_currency=currency)
        assert order.apply(told, TOTALS).amended == ()
        assert order.apply(told, TOTALS).amended == ()
    four = order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="4", avg_px="100"), TOTALS)
    assert four.fill is not None
    assert [each.exec_id for each in four.amended] == ["e1", "e2"]
    five = order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="5"), TOTALS)
    assert five.amended == (), "a commission for 2 is not that of a fill of 1"
    six = order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="6"), TOTALS)
    assert [each.exec_id for each in six.amended] == ["e3"]
    assert order.ledger is not None
    assert order.ledger.uncharged_qty == 0


def test_a_total_that_counts_more_than_the_execution_it_names_is_charged_for_that_alone() -> None:
    order = build_order()
    last = {"last_qty": "1", "last_px": "100", "commission": "0.1", "commission_currency": "EUR"}
    report = build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="3", exec_id=ExecId("e2"), **last)
    outcome = order.apply(report, TOTALS)
    assert outcome.fill is not None
    assert look(outcome.fill, "qty", "commission", "exec_id") == (3, None, None)
    assert [look(each, "qty", "commission") for each in outcome.amended] == [(1, Decimal("0.1"))]
    missed = fill("e1", "2", commission="0.2", commission_currency="EUR")
    assert [each.qty for each in order.apply(missed, TOTALS).amended] == [2]


def test_a_commission_that_came_with_a_total_is_not_charged_again_for_its_execution() -> None:
    order = build_order()
    fee = {"commission": "0.1", "commission_currency": "EUR"}
    with_fee = build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="2", last_px="100", **fee)
    named = build_report(
        OrdStatus.PARTIALLY_FILLED, cum_qty="4", last_px="100", exec_id=ExecId("e2"), **fee
    )
    booked = Decimal(0)
    for report in (fill("e2", "2", **fee), with_fee, fill("e1", "2", **fee), named):
        outcome = order.apply(report, TOTALS)
        charged = (*outcome.amended, *([outcome.fill] if outcome.fill else []))
        booked += sum(each.commission or 0 for each in charged)
    assert booked == Decimal("0.2")
    later = order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="8"), TOTALS)
    assert later.amended == ()


def test_a_commission_told_early_is_not_charged_again_once_its_total_brings_it() -> None:
    order = build_order()
    fee = {"commission": "0.1", "commission_currency": "EUR"}
    assert order.apply(fill("e1", "2", **fee), TOTALS).amended == ()
    counted = order.apply(fill("e1", "2", cum_qty="2", **fee), TOTALS)
    assert counted.fill is not None
    assert look(counted, "fill.commission", "amended") == (Decimal("0.1"), ())
    later = build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="4", avg_px="100")
    assert order.apply(later, TOTALS).amended == ()


def test_the_commission_of_what_a_person_told_replaces_the_estimate_under_totals() -> None:
    order = build_order()
    order.vouch(
        Fill(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            strategy=order.strategy,
            side=order.side,
            qty=Decimal(2),
            price=Decimal(100),
        )
    )
    told = fill("e1", "2", commission="0.4", commission_currency="EUR")
    assert [each.commission for each in order.apply(told, TOTALS).amended] == [Decimal("0.4")]


def test_an_execution_repeated_with_its_commission_amends_the_fill() -> None:
    order = build_order()
    order.apply(fill("e1", "4"), EXECUTIONS)
    told = fill("e1", "4", commission="0.4", commission_currency="EUR")
    outcome = order.apply(told, EXECUTIONS)
    (amended,) = outcome.amended
    assert look(amended, "qty", "commission") == (4, Decimal("0.4"))
    assert order.apply(told, EXECUTIONS).amended == ()
    unnamed = build_report(OrdStatus.PARTIALLY_FILLED, commission="0.4")
    assert order.apply(unnamed, EXECUTIONS).amended == ()
    unknown = build_report(OrdStatus.PARTIALLY_FILLED, commission="1", exec_id=ExecId("e9"))
    assert order.apply(unknown, EXECUTIONS).amended == ()


# Replace.


def test_a_replace_in_flight_counts_old_plus_new_or_the_larger_if_atomic() -> None:
    order = build_order(cum_qty=Decimal(2), ord_status=OrdStatus.PARTIALLY_FILLED)
    order.mark_replace(replacing("6", cum_qty="2"))
    assert order.worst_leaves() == 8 + 4
    order.cum_qty = Decimal(3)
    assert order.worst_leaves() == 8 + 4 - 1
    order.replacing = replacing("6", atomic=True)
    assert order.worst_leaves() == 7
    order.replacing = replacing("15", atomic=True)
    assert order.worst_leaves() == 12


@pytest.mark.parametrize(
    "answer",
    [
        {"client_order_id": ClientOrderId("c-2")},
        {"exec_type": ExecType.REPLACED, "order_qty": "6", "price": "101"},
        {"client_order_id": None, "order_qty": "6", "price": "101"},
    ],
)
def test_a_replace_is_answered_by_its_name_or_its_terms(answer: dict[str, Any]) -> None:
    order = build_order(venue_order_ids=(VenueOrderId("v1"),))
    order.mark_replace(replacing("6"))
    report = build_report(OrdStatus.NEW, venue_order_id=VenueOrderId("v2"), **answer)
    assert order.apply(report, EXECUTIONS).changed
    assert look(order, "ord_status", "order_qty", "price") == (OrdStatus.NEW, 6, 101)
    assert look(order, "client_order_id", "current_client_order_id") == ("c-1", "c-2")
    assert order.venue_order_ids == ("v1", "v2")
    assert order.replacing is None


def test_an_ack_of_the_order_as_it_was_leaves_the_replace_in_flight() -> None:
    order = build_order()
    order.mark_replace(replacing("6"))
    order.apply(build_report(OrdStatus.NEW, order_qty="10", price="100"), EXECUTIONS)
    assert look(order, "ord_status", "order_qty") == (OrdStatus.PENDING_REPLACE, 10)
    order.apply(build_report(OrdStatus.PENDING_REPLACE, client_order_id="c-2"), EXECUTIONS)
    assert order.replacing is not None


def test_a_replace_to_less_than_has_filled_fills_the_order() -> None:
    order = build_order()
    order.mark_replace(replacing("3"))
    order.apply(fill("e1", "5"), EXECUTIONS)
    order.apply(build_report(OrdStatus.PARTIALLY_FILLED, client_order_id="c-2"), EXECUTIONS)
    assert look(order, "ord_status", "order_qty", "cum_qty") == (OrdStatus.FILLED, 5, 5)


def test_filled_at_the_new_quantity_answers_the_replace() -> None:
    order = build_order()
    order.mark_replace(replacing("6"))
    order.apply(fill("e1", "6", cum_qty="6", status=OrdStatus.FILLED), EXECUTIONS)
    assert look(order, "ord_status", "order_qty") == (OrdStatus.FILLED, 6)


def test_a_cancel_during_a_replace_that_is_not_atomic_may_be_its_old_half() -> None:
    order = build_order()
    order.mark_replace(replacing("6"))
    order.apply(build_report(OrdStatus.CANCELED), EXECUTIONS)
    assert status_of(order) is OrdStatus.UNKNOWN
    order.apply(build_report(OrdStatus.CANCELED, exec_type=ExecType.ORDER_STATUS), EXECUTIONS)
    assert status_of(order) is OrdStatus.CANCELED
    atomic = build_order()
    atomic.mark_replace(replacing("6", atomic=True))
    atomic.apply(build_report(OrdStatus.CANCELED), EXECUTIONS)
    assert status_of(atomic) is OrdStatus.CANCELED


def test_a_replace_given_up_is_ours_again_when_its_name_appears() -> None:
    order = build_order()
    order.mark_replace(replacing("6"))
    order.give_up_replace()
    order.restore("declined")
    assert look(order, "ord_status", "text") == (OrdStatus.PENDING_NEW, "declined")
    assert not order.apply(build_report(OrdStatus.PENDING_NEW, order_qty="6"), EXECUTIONS).changed
    order.apply(build_report(OrdStatus.NEW, client_order_id="c-2"), EXECUTIONS)
    assert order.order_qty == 6


def test_another_venue_order_under_our_name_is_a_contradiction() -> None:
    order = build_order()
    order.apply(build_report(OrdStatus.NEW, venue_order_id="v1"), EXECUTIONS)
    with pytest.raises(IllegalTransitionError, match="names venue order v2, the order is v1"):
        order.apply(build_report(OrdStatus.NEW, venue_order_id="v2"), EXECUTIONS)
    assert order.venue_order_id == "v1"
