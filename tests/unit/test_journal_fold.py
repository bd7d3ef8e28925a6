"""What may still rest, after each thing a run can have recorded of an order."""

from decimal import Decimal

import pytest

from botkit.journal import OrderFold, told_ids
from botkit.model import (
    CleanUpExpired,
    ClientOrderId,
    ExecType,
    ExecutionReport,
    Fill,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    Refused,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    Side,
    VenueOrderId,
    VenueStatus,
)
from botkit.ports import JournalEntry, OrderRecord, Recovered

SYMBOL = "kestrel:BTC-EUR"
FIRST, SECOND, THIRD = (ClientOrderId(f"demo-r1-{n}") for n in (1, 2, 3))
NEW = NewOrder(
    client_order_id=FIRST,
    symbol=SYMBOL,
    strategy="maker",
    side=Side.BUY,
    order_qty=Decimal(10),
    price=Decimal(100),
)


def replace(orig: ClientOrderId = FIRST, new: ClientOrderId = SECOND) -> ReplaceOrder:
    return ReplaceOrder(
        client_order_id=new,
        orig_client_order_id=orig,
        symbol=SYMBOL,
        strategy="maker",
        side=Side.BUY,
        order_qty=Decimal(12),
        price=Decimal(101),
    )


def report(
    status: OrdStatus,
    client_order_id: ClientOrderId | None = FIRST,
    *,
    exec_type: ExecType = ExecType.ORDER_STATUS,
    orig: ClientOrderId | None = None,
    venue_order_id: str | None = None,
    cum_qty: int | None = None,
) -> ExecutionReport:
    return ExecutionReport(
        symbol=SYMBOL,
        ord_status=status,
        exec_type=exec_type,
        client_order_id=client_order_id,
        orig_client_order_id=orig,
        venue_order_id=None if venue_order_id is None else VenueOrderId(venue_order_id),
        cum_qty=None if cum_qty is None else Decimal(cum_qty),
    )


def fill(qty: int, client_order_id: ClientOrderId = FIRST) -> Fill:
    return Fill(
        client_order_id=client_order_id,
        symbol=SYMBOL,
        strategy="maker",
        side=Side.BUY,
        qty=Decimal(qty),
        price=Decimal(100),
    )


def send_failed(
    request: RequestKind, client_order_id: ClientOrderId, *, reached: bool
) -> SendFailed:
    return SendFailed(
        symbol=SYMBOL,
        client_order_id=client_order_id,
        request=request,
        reached_venue=reached,
        text="",
    )


def refused(request: RequestKind, client_order_id: ClientOrderId) -> Refused:
    return Refused(
        client_order_id=client_order_id,
        symbol=SYMBOL,
        strategy="maker",
        request=request,
        rule="grid",
        limit="",
        measured="",
        text="",
    )


def reject(response_to: RequestKind, client_order_id: ClientOrderId | None) -> OrderCancelReject:
    return OrderCancelReject(
        symbol=SYMBOL, client_order_id=client_order_id, response_to=response_to
    )


def after(*entries: JournalEntry) -> list[OrderRecord]:
    fold = OrderFold()
    for entry in entries:
        fold.apply(entry)
    return fold.orders()


@pytest.mark.parametrize(
    "status", [OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED]
)
def test_an_order_the_venue_closed_is_gone(status: OrdStatus) -> None:
    assert after(NEW, report(status)) == []


@pytest.mark.parametrize(
    "status",
    [
        OrdStatus.PENDING_NEW,
        OrdStatus.NEW,
        OrdStatus.PARTIALLY_FILLED,
        OrdStatus.PENDING_CANCEL,
        OrdStatus.PENDING_REPLACE,
        OrdStatus.UNKNOWN,
    ],
)
def test_an_order_with_any_other_status_may_rest(status: OrdStatus) -> None:
    (order,) = after(NEW, report(status))

    assert order.ord_status is status
    assert order.may_rest


def test_a_report_after_the_end_does_not_bring_an_order_back() -> None:
    late = report(OrdStatus.NEW, None, venue_order_id="v1")

    assert after(NEW, report(OrdStatus.CANCELED, venue_order_id="v1"), late, fill(1)) == []


def test_an_ended_order_leaves_nothing_in_memory() -> None:
    fold = OrderFold()
    for entry in (NEW, report(OrdStatus.NEW, venue_order_id="v1"), report(OrdStatus.CANCELED)):
        fold.apply(entry)

    assert (fold._orders, fold._by_id, fold._by_venue_id) == ({}, {}, {})


def test_reports_of_strangers_change_nothing() -> None:
    entries = (
        report(OrdStatus.NEW, THIRD),
        report(OrdStatus.NEW, None),
        report(OrdStatus.CANCELED, None, venue_order_id="v9"),
        fill(1, THIRD),
        replace(THIRD, SECOND),
        reject(RequestKind.REPLACE, THIRD),
        reject(RequestKind.REPLACE, None),
        send_failed(RequestKind.NEW, THIRD, reached=False),
        refused(RequestKind.NEW, THIRD),
        CleanUpExpired(client_order_ids=(THIRD,), receive_time_ns=0),
        VenueStatus(venue="kestrel", market_data=True, private=True, order_entry=True),
    )

    assert after(NEW, *entries) == after(NEW)
    assert after(*entries) == []


def test_an_order_is_known_by_its_venue_id_too() -> None:
    acked = report(OrdStatus.NEW, venue_order_id="v1")
    (order,) = after(NEW, acked, report(OrdStatus.PARTIALLY_FILLED, None, venue_order_id="v1"))

    assert order.ord_status is OrdStatus.PARTIALLY_FILLED
    assert order.venue_order_ids == {"v1": FIRST}
    assert after(NEW, acked, report(OrdStatus.CANCELED, None, venue_order_id="v1")) == []


def test_the_same_venue_id_of_another_instrument_is_another_order() -> None:
    acked = report(OrdStatus.NEW, venue_order_id="v1")
    other = ExecutionReport(
        symbol="other:BTC-EUR",
        ord_status=OrdStatus.CANCELED,
        exec_type=ExecType.CANCELED,
        venue_order_id=VenueOrderId("v1"),
    )

    assert len(after(NEW, acked, other)) == 1


def test_cum_qty_is_the_most_that_reports_or_fills_tell() -> None:
    (by_report,) = after(NEW, fill(2), report(OrdStatus.PARTIALLY_FILLED, cum_qty=5), fill(1))
    (by_fills,) = after(NEW, report(OrdStatus.PARTIALLY_FILLED, cum_qty=1), fill(2), fill(2))
    (stale,) = after(
        NEW,
        report(OrdStatus.PARTIALLY_FILLED, cum_qty=5),
        report(OrdStatus.PARTIALLY_FILLED, cum_qty=3),
    )

    assert [order.cum_qty for order in (by_report, by_fills, stale)] == [5, 4, 5]


def test_a_replace_in_flight_may_rest_under_either_id() -> None:
    (order,) = after(NEW, replace())

    assert order.resting_ids == [FIRST, SECOND]
    assert order.replace == replace()
    assert len(after(NEW, replace(), report(OrdStatus.CANCELED, FIRST))) == 1
    assert len(after(NEW, replace(), report(OrdStatus.FILLED, SECOND))) == 1
    assert (
        after(NEW, replace(), report(OrdStatus.CANCELED, FIRST), report(OrdStatus.FILLED, SECOND))
        == []
    )


def test_an_end_told_twice_does_not_end_the_other_id() -> None:
    told = report(OrdStatus.CANCELED, FIRST)
    (order,) = after(NEW, replace(), told, told)

    assert order.resting_ids == [SECOND]


def test_a_confirmed_replace_leaves_the_new_id_alone() -> None:
    confirmed = report(OrdStatus.NEW, SECOND, exec_type=ExecType.REPLACED, orig=FIRST)
    (order,) = after(NEW, replace(), confirmed)

    assert order.resting_ids == [SECOND]
    assert order.client_order_ids == [FIRST, SECOND]
    assert after(NEW, replace(), confirmed, report(OrdStatus.CANCELED, SECOND)) == []


def test_a_replace_of_a_replaced_order_is_followed() -> None:
    (order,) = after(
        NEW,
        replace(),
        report(OrdStatus.NEW, SECOND, exec_type=ExecType.REPLACED),
        replace(SECOND, THIRD),
        fill(4, THIRD),
    )

    assert order.resting_ids == [SECOND, THIRD]
    assert order.request == NEW
    assert order.cum_qty == 4


def test_a_report_by_the_id_before_is_understood() -> None:
    foreign = ClientOrderId("unheard-of")
    (order,) = after(NEW, report(OrdStatus.PARTIALLY_FILLED, foreign, orig=FIRST))

    assert order.ord_status is OrdStatus.PARTIALLY_FILLED


@pytest.mark.parametrize(
    "answer",
    [
        reject(RequestKind.REPLACE, SECOND),
        refused(RequestKind.REPLACE, SECOND),
        send_failed(RequestKind.REPLACE, SECOND, reached=False),
    ],
)
def test_a_replace_that_came_to_nothing_leaves_the_order_as_it_was(answer: JournalEntry) -> None:
    (order,) = after(NEW, report(OrdStatus.NEW), replace(), answer)

    assert order.resting_ids == [FIRST]
    assert order.ord_status is OrdStatus.NEW


@pytest.mark.parametrize(
    "answer",
    [
        reject(RequestKind.REPLACE, FIRST),
        reject(RequestKind.CANCEL, FIRST),
        refused(RequestKind.REPLACE, FIRST),
        refused(RequestKind.CANCEL, FIRST),
        send_failed(RequestKind.REPLACE, FIRST, reached=False),
        send_failed(RequestKind.CANCEL, FIRST, reached=False),
    ],
)
def test_a_refusal_that_names_the_order_itself_does_not_end_it(answer: JournalEntry) -> None:
    (order,) = after(NEW, answer)

    assert order.resting_ids == [FIRST]


def test_a_replace_recorded_twice_counts_once() -> None:
    (order,) = after(NEW, replace(), replace())

    assert order.resting_ids == [FIRST, SECOND]


def test_a_new_order_that_never_left_is_gone() -> None:
    assert after(NEW, send_failed(RequestKind.NEW, FIRST, reached=False)) == []
    assert after(NEW, refused(RequestKind.NEW, FIRST)) == []


def test_a_new_order_that_may_have_arrived_is_unknown() -> None:
    for doubt in (
        send_failed(RequestKind.NEW, FIRST, reached=True),
        CleanUpExpired(client_order_ids=(FIRST,), receive_time_ns=0),
    ):
        (order,) = after(NEW, doubt)
        assert order.ord_status is OrdStatus.UNKNOWN


def test_with_keep_closed_ended_orders_stay_with_their_last_status() -> None:
    fold = OrderFold(keep_closed=True)
    for entry in (
        NEW,
        report(OrdStatus.CANCELED),
        report(OrdStatus.NEW),
        CleanUpExpired(client_order_ids=(FIRST,), receive_time_ns=0),
        fill(3),
    ):
        fold.apply(entry)

    (order,) = fold.orders()
    assert not order.may_rest
    assert order.ord_status is OrdStatus.CANCELED
    assert order.cum_qty == 3  # a fill after the cancel counts


def test_a_fold_taken_up_again_goes_on_as_if_never_left() -> None:
    before = (NEW, report(OrdStatus.NEW, venue_order_id="v1"), replace())
    later = (
        report(OrdStatus.NEW, SECOND, exec_type=ExecType.REPLACED),
        report(OrdStatus.PARTIALLY_FILLED, None, venue_order_id="v1", cum_qty=2),
    )
    resumed = OrderFold(after(*before))
    for entry in later:
        resumed.apply(entry)

    assert resumed.orders() == after(*before, *later)


def test_an_order_that_is_over_is_remembered_until_its_fills_are_counted() -> None:
    told: list[JournalEntry] = [NEW, fill(2), report(OrdStatus.CANCELED, cum_qty=5)]
    (record,) = after(*told)
    assert (record.may_rest, record.is_settled) == (False, False)
    assert record.filled_qty == Decimal(2)
    assert after(*told, fill(3)) == []


def test_an_order_taken_over_is_followed_as_one_of_the_run_s_own() -> None:
    (record,) = after(NEW, fill(2), report(OrdStatus.NEW, venue_order_id="v-1"))
    taken = Recovered(record=record, run_id="before", receive_time_ns=1)
    (followed,) = after(taken, fill(1))
    assert followed.filled_qty == Decimal(3)
    assert record.filled_qty == Decimal(2), "the other run's record is its own"
    assert after(taken, report(OrdStatus.CANCELED, None, venue_order_id="v-1")) == []


def test_ids_of_orders_are_found_in_reports_and_in_what_was_taken_over() -> None:
    (record,) = after(NEW)
    others = (VenueOrderId("v-0"),)
    taken = Recovered(record=record, run_id="r", receive_time_ns=1, others=others)
    stray = report(OrdStatus.NEW, None, venue_order_id="v-2")  # it may be the one without an id
    told = told_ids([taken, report(OrdStatus.CANCELED, venue_order_id="v-1"), stray, fill(1)])
    assert told == {(SYMBOL, "v-0"), (SYMBOL, "v-1")}


@pytest.mark.parametrize(("venue_order_id", "left"), [("v-2", 0), ("v-1", 1)])
def test_a_venue_that_keeps_to_the_first_id_ends_the_order_by_its_own_latest(
    venue_order_id: str, left: int
) -> None:
    replaced = report(
        OrdStatus.NEW, SECOND, exec_type=ExecType.REPLACED, orig=FIRST, venue_order_id="v-2"
    )
    told: list[JournalEntry] = [NEW, report(OrdStatus.NEW, venue_order_id="v-1")]
    told += [replace(), replaced]
    assert len(after(*told, report(OrdStatus.FILLED, FIRST, venue_order_id=venue_order_id))) == left
