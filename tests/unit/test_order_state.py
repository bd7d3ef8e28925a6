from decimal import Decimal
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import IllegalTransitionError, InvariantError
from botkit.model import (
    ClientOrderId,
    ExecId,
    ExecType,
    ExecutionReport,
    Fill,
    FillSource,
    Instrument,
    Liquidity,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    Side,
    VenueOrderId,
)
from botkit.orders import TRANSITIONS, Order
from botkit.orders.state import Replacing
from botkit.orders.transitions import CLOSED

EXECUTIONS, TOTALS = FillSource.EXECUTIONS, FillSource.TOTALS
BTC = Instrument(
    symbol="kestrel:BTC-EUR",
    base="BTC",
    quote="EUR",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.1"),
)


def build_order(cls: type[Order] = Order, **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "client_order_id": ClientOrderId("c-1"),
        "current_client_order_id": ClientOrderId("c-1"),
        "instrument": BTC,
        "strategy": "maker",
        "side": Side.BUY,
        "ord_type": OrdType.LIMIT,
        "order_qty": Decimal(10),
        "price": Decimal(100),
    }
    return cls(**{**fields, **changes})


def build_report(status: OrdStatus = OrdStatus.NEW, **changes: Any) -> ExecutionReport:
    fields: dict[str, Any] = {
        "symbol": BTC.symbol,
        "ord_status": status,
        "exec_type": ExecType.TRADE if "last_qty" in changes else ExecType.NEW,
        "client_order_id": ClientOrderId("c-1"),
    }
    for name in ("last_qty", "last_px", "cum_qty", "avg_px", "order_qty", "price", "commission"):
        if changes.get(name) is not None:
            changes[name] = Decimal(changes[name])
    return ExecutionReport(**{**fields, **changes})


def fill(exec_id: str, qty: str, px: str = "100", **changes: Any) -> ExecutionReport:
    status = changes.pop("status", OrdStatus.PARTIALLY_FILLED)
    return build_report(status, exec_id=ExecId(exec_id), last_qty=qty, last_px=px, **changes)


def replacing(qty: str, *, atomic: bool = False, cum_qty: str = "0") -> Replacing:
    request = ReplaceOrder(
        client_order_id=ClientOrderId("c-2"),
        orig_client_order_id=ClientOrderId("c-1"),
        symbol=BTC.symbol,
        strategy="maker",
        side=Side.BUY,
        order_qty=Decimal(qty),
        price=Decimal(101),
    )
    return Replacing(request=request, cum_qty=Decimal(cum_qty), atomic=atomic, due_ns=5)


def look(entity: object, *names: str) -> tuple[Any, ...]:
    """Return what `entity` shows now; mypy would remember what it showed before."""
    return tuple(attrgetter(name)(entity) for name in names)


def status_of(order: Order) -> OrdStatus:
    return order.ord_status


# The table.


def test_nothing_leads_from_closed_back_to_open() -> None:
    for (now, _), then in TRANSITIONS.items():
        assert now not in CLOSED or then in CLOSED


def test_every_open_status_may_be_followed_by_every_end_but_refusal_of_a_fill() -> None:
    absent = {
        (now, end)
        for now in set(OrdStatus) - CLOSED
        for end in OrdStatus
        if (now, end) not in TRANSITIONS
    }
    refused = OrdStatus.REJECTED
    assert absent == {(OrdStatus.PARTIALLY_FILLED, refused), (OrdStatus.PENDING_REPLACE, refused)}


@pytest.mark.parametrize("now", OrdStatus)
@pytest.mark.parametrize("reported", OrdStatus)
def test_a_pair_outside_the_table_raises_and_changes_nothing(
    now: OrdStatus, reported: OrdStatus
) -> None:
    order = build_order(ord_status=now)
    if (now, reported) in TRANSITIONS:
        return
    with pytest.raises(IllegalTransitionError, match="ask the venue before trading"):
        order.apply(build_report(reported), EXECUTIONS)
    assert look(order, "ord_status", "acknowledged") == (now, False)


# Executions.


def test_an_execution_counts_once() -> None:
    order = build_order()
    outcome = order.apply(fill("e1", "4", "99"), EXECUTIONS)
    assert outcome.changed
    assert outcome.fill is not None
    assert look(outcome, "fill.qty", "fill.price") == (4, 99)
    again = order.apply(fill("e1", "4", "99"), EXECUTIONS)
    assert look(again, "fill", "changed") == (None, False)
    assert look(order, "cum_qty", "leaves_qty", "avg_px") == (4, 6, 99)
    assert status_of(order) is OrdStatus.PARTIALLY_FILLED


def test_the_mean_price_weighs_quantities() -> None:
    order = build_order()
    order.apply(fill("e1", "1", "90"), EXECUTIONS)
    order.apply(fill("e2", "3", "98"), EXECUTIONS)
    assert order.avg_px == 96


def test_the_ack_overtaken_by_a_fill_changes_nothing() -> None:
    order = build_order()
    order.apply(fill("e1", "4"), EXECUTIONS)
    assert not order.apply(build_report(OrdStatus.NEW, cum_qty="0"), EXECUTIONS).changed
    assert status_of(order) is OrdStatus.PARTIALLY_FILLED


def test_executions_that_fill_all_of_it_close_it_whatever_status_they_carry() -> None:
    order = build_order()
    order.apply(fill("e1", "10"), EXECUTIONS)
    assert status_of(order) is OrdStatus.FILLED


def test_a_fill_told_with_any_open_status_makes_it_partially_filled() -> None:
    for status in (OrdStatus.PENDING_NEW, OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED):
        order = build_order()
        order.apply(fill("e1", "4", status=status), EXECUTIONS)
        assert status_of(order) is OrdStatus.PARTIALLY_FILLED


def test_a_late_fill_counts_after_a_cancel_and_may_fill_it() -> None:
    order = build_order()
    order.apply(build_report(OrdStatus.CANCELED), EXECUTIONS)
    assert order.apply(fill("e1", "4"), EXECUTIONS).fill is not None
    assert look(order, "ord_status", "leaves_qty") == (OrdStatus.CANCELED, 0)
    order.apply(fill("e2", "6", status=OrdStatus.FILLED), EXECUTIONS)
    assert status_of(order) is OrdStatus.FILLED
    assert not order.apply(build_report(OrdStatus.CANCELED, cum_qty="4"), EXECUTIONS).changed


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (fill("e1", "11"), "more than 10 would be filled"),
        (fill("e1", "5", cum_qty="11"), "more than 10 would be filled"),
        (build_report(OrdStatus.FILLED, cum_qty="9"), "FILLED with less"),
        (build_report(OrdStatus.FILLED, cum_qty="0"), "FILLED with less"),
        (build_report(OrdStatus.NEW, side=Side.SELL), "the order is a BUY"),
        (build_report(OrdStatus.NEW, symbol="kestrel:ETH-EUR"), "it is about kestrel:ETH-EUR"),
        (build_report(OrdStatus.REJECTED, cum_qty="1"), "REJECTED after a fill"),
        (build_report(last_qty="1", last_px="100"), "cannot be told from a repeat"),
        (fill("e1", "1", "0"), "both must be above 0"),
        (fill("e1", "-1"), "both must be above 0"),
    ],
)
def test_a_contradiction_names_itself_and_changes_nothing(
    report: ExecutionReport, why: str
) -> None:
    order = build_order()
    with pytest.raises(IllegalTransitionError, match=why):
        order.apply(report, EXECUTIONS)
    assert look(order, "ord_status", "cum_qty", "ledger") == (OrdStatus.PENDING_NEW, 0, None)


def test_an_execution_repeated_with_other_numbers_is_a_contradiction() -> None:
    order = build_order()
    order.apply(fill("e1", "4"), EXECUTIONS)
    with pytest.raises(IllegalTransitionError, match="was 4 at 100 when it was counted"):
        order.apply(fill("e1", "5"), EXECUTIONS)
    with pytest.raises(IllegalTransitionError, match="was 4 at 100"):
        order.apply(fill("e1", "4", "99"), EXECUTIONS)


def test_an_execution_without_an_id_is_told_from_a_repeat_by_its_total() -> None:
    order = build_order()
    report = build_report(OrdStatus.PARTIALLY_FILLED, last_qty="4", last_px="100", cum_qty="4")
    assert order.apply(report, EXECUTIONS).fill is not None
    assert order.apply(report, EXECUTIONS).fill is None


def test_a_refused_order_that_fills_or_works_is_a_contradiction() -> None:
    order = build_order()
    order.apply(build_report(OrdStatus.REJECTED, text="post-only"), EXECUTIONS)
    assert order.text == "post-only"
    assert not order.apply(build_report(OrdStatus.REJECTED), EXECUTIONS).changed
    for report in (fill("e1", "1"), build_report(OrdStatus.NEW)):
        with pytest.raises(IllegalTransitionError):
            order.apply(report, EXECUTIONS)


def test_an_order_that_works_again_after_its_end_is_a_contradiction() -> None:
    order = build_order()
    order.apply(build_report(OrdStatus.CANCELED, transact_time_ns=10), EXECUTIONS)
    assert not order.apply(build_report(OrdStatus.NEW, transact_time_ns=9), EXECUTIONS).changed
    late = fill("e1", "2", transact_time_ns=12)
    assert order.apply(late, EXECUTIONS).fill is not None
    assert not order.apply(late, EXECUTIONS).changed
    with pytest.raises(IllegalTransitionError, match="works again after its end"):
        order.apply(build_report(OrdStatus.NEW, transact_time_ns=13), EXECUTIONS)


# A status ahead of its fills.


@pytest.mark.parametrize("end", [OrdStatus.CANCELED, OrdStatus.EXPIRED])
def test_an_end_ahead_of_its_fills_waits_for_them(end: OrdStatus) -> None:
    order = build_order()
    order.apply(build_report(end, cum_qty="4"), EXECUTIONS)
    assert look(order, "ord_status", "in_doubt", "leaves_qty") == (OrdStatus.NEW, True, 10)
    order.apply(fill("e1", "1", cum_qty="1"), EXECUTIONS)
    assert status_of(order) is OrdStatus.PARTIALLY_FILLED
    order.apply(fill("e2", "3", cum_qty="4"), EXECUTIONS)
    assert look(order, "ord_status", "in_doubt") == (end, False)


def test_filled_ahead_of_its_fills_waits_for_them() -> None:
    order = build_order()
    order.apply(fill("e2", "4", cum_qty="10", status=OrdStatus.FILLED), EXECUTIONS)
    assert look(order, "ord_status", "cum_qty") == (OrdStatus.PARTIALLY_FILLED, 4)
    order.apply(fill("e1", "6", cum_qty="6"), EXECUTIONS)
    assert status_of(order) is OrdStatus.FILLED


def test_a_total_ahead_of_its_executions_counts_nothing_by_itself() -> None:
    order = build_order()
    outcome = order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="3"), EXECUTIONS)
    assert outcome.fill is None
    assert look(order, "ord_status", "in_doubt") == (OrdStatus.NEW, True)


def test_a_canceled_order_whose_late_fill_is_announced_stays_canceled_until_it_comes() -> None:
    order = build_order()
    order.apply(build_report(OrdStatus.CANCELED, cum_qty="0"), EXECUTIONS)
    order.apply(build_report(OrdStatus.FILLED), EXECUTIONS)
    assert look(order, "ord_status", "in_doubt") == (OrdStatus.CANCELED, True)
    order.apply(fill("e1", "10"), EXECUTIONS)
    assert look(order, "ord_status", "in_doubt") == (OrdStatus.FILLED, False)


def test_a_stale_report_does_not_end_unknown() -> None:
    order = build_order()
    order.apply(fill("e1", "4"), EXECUTIONS)
    order.mark_unknown("link lost")
    order.apply(build_report(OrdStatus.NEW, cum_qty="0"), EXECUTIONS)
    assert status_of(order) is OrdStatus.UNKNOWN
    order.apply(build_report(OrdStatus.NEW, cum_qty="4"), EXECUTIONS)
    assert status_of(order) is OrdStatus.PARTIALLY_FILLED


# Totals.


def test_totals_only_rise() -> None:
    order = build_order()
    first = order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="4", avg_px="99"), TOTALS)
    second = order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="6", avg_px="98"), TOTALS)
    assert first.fill is not None
    assert second.fill is not None
    assert look(first, "fill.qty", "fill.price") == (4, 99)
    assert look(second, "fill.qty", "fill.price") == (2, 96)
    stale = order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="5"), TOTALS)
    assert [stale.fill, stale.changed, order.cum_qty] == [None, False, 6]


def test_a_total_takes_its_own_last_price_where_it_fits() -> None:
    order = build_order()
    report = build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="4", last_qty="4", last_px="97")
    outcome = order.apply(report, TOTALS)
    assert outcome.fill is not None
    assert outcome.fill.price == 97
    skipped = build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="8", last_qty="1", last_px="96")
    outcome = order.apply(skipped, TOTALS)
    assert outcome.fill is not None
    assert look(outcome, "fill.qty", "fill.price") == (4, 96)


def test_a_total_without_a_price_is_booked_at_the_limit_or_awaits_one() -> None:
    limit, market = build_order(), build_order(ord_type=OrdType.MARKET, price=None)
    report = build_report(OrdStatus.FILLED, cum_qty="10")
    outcome = limit.apply(report, TOTALS)
    assert outcome.fill is not None
    assert outcome.fill.price == 100
    assert market.apply(report, TOTALS).fill is None
    assert look(market, "ord_status", "in_doubt") == (OrdStatus.NEW, True)
    market.apply(build_report(OrdStatus.FILLED, cum_qty="10", avg_px="101"), TOTALS)
    assert look(market, "ord_status", "in_doubt") == (OrdStatus.FILLED, False)


def test_a_mean_price_that_cannot_be_is_a_contradiction() -> None:
    order = build_order()
    order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="5", avg_px="100"), TOTALS)
    with pytest.raises(IllegalTransitionError, match="would price the last 1"):
        order.apply(build_report(OrdStatus.PARTIALLY_FILLED, cum_qty="6", avg_px="50"), TOTALS)


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


# Cash-denominated orders.


def test_an_order_in_cash_is_filled_when_the_venue_says_so() -> None:
    order = build_order(cash_order_qty=Decimal(1000), ord_type=OrdType.MARKET, price=None)
    order.apply(build_report(OrdStatus.FILLED), EXECUTIONS)
    assert status_of(order) is OrdStatus.UNKNOWN, "filled by how much?"
    order.apply(fill("e1", "11"), EXECUTIONS)
    assert order.is_open
    assert order.worst_leaves() == 0
    order.apply(fill("e2", "1", cum_qty="12", status=OrdStatus.FILLED), EXECUTIONS)
    assert look(order, "ord_status", "order_qty", "cum_qty") == (OrdStatus.FILLED, 12, 12)


# The handle.


def test_an_order_without_an_engine_says_so() -> None:
    order = build_order()
    with pytest.raises(InvariantError, match="belongs to no engine"):
        order.cancel()
    with pytest.raises(ValueError, match="needs a price or a qty"):
        order.replace()
    assert look(order, "symbol", "avg_px", "venue_order_id") == (BTC.symbol, 0, None)


class Thorough(Order):
    """An order that takes the long way for every report."""

    def _is_plain(self, report: ExecutionReport) -> bool:
        return False


@given(
    now=st.sampled_from(sorted(set(OrdStatus) - {OrdStatus.PARTIALLY_FILLED, OrdStatus.FILLED})),
    reported=st.sampled_from(OrdStatus),
    source=st.sampled_from(FillSource),
    presumed=st.booleans(),
    venue_id=st.none() | st.just("v1"),
    cum_qty=st.none() | st.just("0"),
)
def test_the_short_way_ends_where_the_long_one_does(
    now: OrdStatus,
    reported: OrdStatus,
    source: FillSource,
    venue_id: str | None,
    cum_qty: str | None,
    *,
    presumed: bool,
) -> None:
    presumed = presumed and now in CLOSED
    short = build_order(ord_status=now, presumed=presumed)
    long = build_order(Thorough, ord_status=now, presumed=presumed)
    report = build_report(
        reported, venue_order_id=venue_id, cum_qty=cum_qty, text="why", transact_time_ns=3
    )
    told = []
    for order in (short, long):
        try:
            told.append(order.apply(report, source).changed)
        except IllegalTransitionError as exc:
            told.append(bool(str(exc)))
    assert told[0] == told[1]
    for name in ("ord_status", "acknowledged", "venue_order_ids", "text", "closed_time_ns"):
        assert getattr(short, name) == getattr(long, name), name
