from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import IllegalTransitionError, InvariantError
from botkit.model import (
    ExecutionReport,
    FillSource,
    OrdStatus,
    OrdType,
    Side,
)
from botkit.orders import TRANSITIONS, Order
from botkit.orders.transitions import CLOSED
from tests.unit.order_state_bench import (
    BTC,
    EXECUTIONS,
    TOTALS,
    build_order,
    build_report,
    fill,
    look,
    status_of,
)

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


def test_an_execution_told_again_after_the_end_does_not_contradict_it() -> None:
    order = build_order()
    order.apply(fill("e1", "2", transact_time_ns=5), EXECUTIONS)
    order.apply(build_report(OrdStatus.CANCELED, transact_time_ns=10), EXECUTIONS)
    again = order.apply(fill("e1", "2", transact_time_ns=11), EXECUTIONS)
    assert (again.changed, order.ord_status) == (False, OrdStatus.CANCELED)


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


def test_mean_price_of_many_digits_prices_a_fill_on_its_grid() -> None:
    order = build_order(order_qty=Decimal(3))
    told = [("0.7", "33.33"), ("1.1", "66.67"), ("1.9", "50000.01"), ("3", "12.5")]
    worth, before = Decimal(0), Decimal(0)
    for total, price in told:
        worth += (Decimal(total) - before) * Decimal(price)
        before = Decimal(total)
        mean = str(worth / before)
        status = OrdStatus.FILLED if total == "3" else OrdStatus.PARTIALLY_FILLED
        fill = order.apply(build_report(status, cum_qty=total, avg_px=mean), TOTALS).fill
        assert fill is not None
        assert str(fill.price) == price


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
