from decimal import Decimal
from typing import Any

import msgspec
import pytest

from botkit.errors import InvariantError
from botkit.model import (
    AskListing,
    AskStatus,
    ClientOrderId,
    ExecId,
    ExecType,
    Fill,
    NewOrder,
    OrdStatus,
    ReplaceOrder,
    RequestKind,
    ResolveOrder,
    Side,
    VenueOrderId,
)
from botkit.ports import OrderRecord
from botkit.testing.builders import build_report
from tests.unit.order_bench import (
    BTC,
    DIM,
    Bench,
    S,
    instrument,
    status_of,
    stranger,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Doubt.


def test_an_unanswered_submit_becomes_unknown_and_is_asked_for_with_back_off(bench: Bench) -> None:
    order = bench.add(at_s=100)
    assert bench.orders.next_due_ns() == 105 * S
    assert bench.due(104) == []
    status, listing = bench.due(105)
    assert isinstance(status, AskStatus)
    assert isinstance(listing, AskListing)
    assert [status.client_order_id, listing.venue, listing.since_ns] == ["c-1", "kestrel", 40 * S]
    assert [status_of(order), bench.orders.take_changed()] == [OrdStatus.UNKNOWN, [order]]
    assert bench.orders.take_changed() == []
    asked = [at_s for at_s in range(106, 400) if bench.due(at_s)]
    assert asked == [107, 111, 119, 135, 167, 231, 295, 359]
    bench.say(order, OrdStatus.NEW)
    assert bench.due(500) == []


def test_answered_orders_wake_nobody(bench: Bench) -> None:
    for at_s in range(5):
        bench.say(bench.add(at_s=at_s), OrdStatus.NEW)
    bench.due(5)
    assert bench.orders.next_due_ns() is None


def test_a_lost_link_makes_orders_unknown_and_its_return_asks_at_once(bench: Bench) -> None:
    here, there = bench.add(), bench.add(DIM)
    assert bench.orders.link_lost("kestrel", S) == [here]
    assert [status_of(here), status_of(there)] == [OrdStatus.UNKNOWN, OrdStatus.PENDING_NEW]
    for at_s in range(1, 100):
        bench.due(at_s)
    bench.orders.link_restored("kestrel", 100 * S)
    assert any(isinstance(question, AskStatus) for question in bench.due(100))


def test_absence_needs_two_complete_listings_apart_and_after_the_deadline(bench: Bench) -> None:
    order = bench.add(at_s=0)
    bench.orders.link_lost("kestrel", 3 * S)
    bench.orders.link_restored("kestrel", 8 * S)
    for began_s in (4, 8, 14):  # two before the link's return, and the first that counts
        assert bench.listed(began_s) == []
    assert bench.listed(20, complete=False) == []
    assert bench.listed(20, venue="dim") == []
    assert bench.listed(18) == [], "only 4 s after the first"
    [outcome] = bench.listed(19)
    assert [outcome.order, outcome.changed] == [order, True]
    assert [status_of(order), bench.orders.open_orders()] == [OrdStatus.REJECTED, 0]
    bench.say(
        order, OrdStatus.PARTIALLY_FILLED, exec_id="e", last_qty=Decimal(1), last_px=Decimal(1)
    )
    assert status_of(order) is OrdStatus.PARTIALLY_FILLED
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 9


def test_no_such_order_said_again_and_again_neither_hurries_nor_delays(bench: Bench) -> None:
    """The answer to each question: asked at 105 s and with back-off, absent 5 s after the first."""
    order = bench.add(at_s=100)
    asked = []
    for at_s in range(105, 130):
        if bench.due(at_s):
            asked.append(at_s)
            bench.decline(
                order,
                response_to=RequestKind.NEW,
                unknown_order=True,
                receive_time_ns=at_s * S,
            )
            assert not bench.due(at_s), "the answer is no reason to ask at once"
    assert asked == [105, 107, 111, 119]
    assert bench.listed(106) == []
    [outcome] = bench.listed(111)
    assert [outcome.order, status_of(order)] == [order, OrdStatus.REJECTED]


def test_no_listing_begun_before_the_send_deadline_counts(bench: Bench) -> None:
    order = bench.add(at_s=0)
    bench.orders.link_lost("kestrel", 1 * S)
    for began_s in (4, 9):
        assert bench.listed(began_s) == []
    [outcome] = bench.listed(14)
    assert outcome.order is order


def test_unknown_said_of_an_absent_order_does_not_bring_it_back(bench: Bench) -> None:
    order = bench.add()
    bench.fail(order, RequestKind.NEW, reached=False)
    for status in (OrdStatus.UNKNOWN, OrdStatus.UNKNOWN):
        assert not bench.say(order, status).changed
    assert not bench.say(order, OrdStatus.REJECTED).changed
    assert "not followed by" in bench.say(order, OrdStatus.NEW).contradiction, "now it is certain"


def test_an_acknowledged_order_never_ends_by_absence(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.NEW)
    bench.orders.link_lost("kestrel", S)
    for began_s in range(10, 100, 10):
        assert bench.listed(began_s) == []
    assert status_of(order) is OrdStatus.UNKNOWN
    word = ResolveOrder(
        client_order_id=order.client_order_id,
        ord_status=OrdStatus.CANCELED,
        reason="seen gone on the venue's page",
    )
    outcome = bench.orders.resolve(order, word)
    assert (outcome.changed, order.is_closed, order.text) == (
        True,
        True,
        "seen gone on the venue's page",
    )
    with pytest.raises(InvariantError, match="it is CANCELED, allowed: an UNKNOWN order"):
        bench.orders.resolve(order, word)


def test_an_answer_of_unknown_is_not_an_answer(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.UNKNOWN)
    assert [status_of(order), order.acknowledged] == [OrdStatus.UNKNOWN, False]
    assert bench.due(0), "so it is asked for"


def test_a_fill_that_comes_with_an_answer_of_unknown_acknowledges_the_order(bench: Bench) -> None:
    order = bench.add()
    fill: dict[str, Any] = {"exec_id": ExecId("e"), "last_qty": Decimal(1), "last_px": Decimal(99)}
    bench.say(order, OrdStatus.UNKNOWN, **fill)
    assert [status_of(order), order.cum_qty, order.acknowledged] == [OrdStatus.UNKNOWN, 1, True]
    assert bench.fail(order, RequestKind.NEW, reached=False).contradiction, "it has filled"
    assert order.is_open


def test_a_fill_under_unknown_brings_back_an_order_that_was_told_as_never_sent(
    bench: Bench,
) -> None:
    order = bench.add()
    bench.fail(order, RequestKind.NEW, reached=False)
    assert status_of(order) is OrdStatus.REJECTED
    fill: dict[str, Any] = {"exec_id": ExecId("e"), "last_qty": Decimal(1), "last_px": Decimal(99)}
    bench.say(order, OrdStatus.UNKNOWN, **fill)
    assert [status_of(order), order.cum_qty, order.worst_leaves()] == [OrdStatus.UNKNOWN, 1, 9]


def test_a_status_ahead_of_its_fills_asks_for_them_when_they_are_due(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.CANCELED, at_s=1, cum_qty=Decimal(4))
    assert bench.due(2) == []
    assert {type(question) for question in bench.due(3)} == {AskStatus, AskListing}
    bench.say(order, OrdStatus.CANCELED, exec_id="e", last_qty=Decimal(4), last_px=Decimal(1))
    assert status_of(order) is OrdStatus.CANCELED
    assert bench.due(100) == []


def test_an_unanswered_replace_is_given_up_once_the_order_is_found_as_it_was(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.NEW)
    bench.replace(order, 20, at_s=10)
    early: dict[str, Any] = {"exec_type": ExecType.ORDER_STATUS, "order_qty": Decimal(10)}
    bench.say(order, OrdStatus.NEW, at_s=12, **early)
    assert status_of(order) is OrdStatus.PENDING_REPLACE
    bench.due(15)
    bench.say(order, OrdStatus.NEW, at_s=16, **early)
    assert [status_of(order), order.worst_leaves()] == [OrdStatus.UNKNOWN, 30]
    bench.say(order, OrdStatus.NEW, at_s=20, **early)
    assert [status_of(order), order.replacing] == [OrdStatus.NEW, None]
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 10


def test_orders_named_by_an_expired_clean_up_are_unknown(bench: Bench) -> None:
    order, closed = bench.add(), bench.add()
    bench.say(closed, OrdStatus.CANCELED)
    names = [order.client_order_id, closed.client_order_id, ClientOrderId("x")]
    assert bench.orders.mark_unknown(names, 0) == [order]


def test_an_order_recovered_from_a_journal_is_unknown_with_its_fills(bench: Bench) -> None:
    request = NewOrder(
        client_order_id=ClientOrderId("old-1"),
        symbol=BTC.symbol,
        strategy="maker",
        side=Side.BUY,
        order_qty=Decimal(10),
        price=Decimal(100),
    )
    fill = Fill(
        client_order_id=request.client_order_id,
        symbol=BTC.symbol,
        strategy="maker",
        side=Side.BUY,
        qty=Decimal(4),
        price=Decimal(99),
        exec_id=ExecId("e1"),
    )
    name = request.client_order_id
    record = OrderRecord(
        request=request,
        client_order_ids=[name],
        resting_ids=[name],
        venue_order_ids={VenueOrderId("v1"): name},
        fills=[fill],
    )
    order = bench.orders.recover(record, BTC, 100 * S)
    assert [status_of(order), order.cum_qty, order.avg_px] == [OrdStatus.UNKNOWN, 4, 99]
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 6
    again = bench.say(
        order, OrdStatus.PARTIALLY_FILLED, exec_id="e1", last_qty=Decimal(4), last_px=Decimal(99)
    )
    assert again.fill is None
    assert bench.orders.on_report(stranger(BTC, "v1")).order is order


def test_a_replaced_order_is_asked_for_by_every_name_and_its_fill_counted_once(
    bench: Bench,
) -> None:
    first, second, third = names = [ClientOrderId(f"old-{number}") for number in (1, 2, 3)]
    request = NewOrder(
        client_order_id=first,
        symbol=BTC.symbol,
        strategy="maker",
        side=Side.BUY,
        order_qty=Decimal(10),
        price=Decimal(100),
    )
    record = OrderRecord(
        request=request,
        client_order_ids=names,
        resting_ids=[second, third],
        venue_order_ids={VenueOrderId("v1"): second},
        replace=ReplaceOrder(
            client_order_id=third,
            orig_client_order_id=first,
            symbol=BTC.symbol,
            strategy="maker",
            side=Side.BUY,
            order_qty=Decimal(10),
            price=Decimal(101),
        ),
    )
    order = bench.orders.recover(record, BTC, 100 * S)
    (status,) = (each for each in bench.due(100) if isinstance(each, AskStatus))
    assert [status.client_order_id, status.client_order_ids] == [second, tuple(names)]
    deal = build_report(
        ClientOrderId("77"),  # by the number of its first name, which nobody has made yet
        OrdStatus.FILLED,
        symbol=BTC.symbol,
        exec_id="e1",
        venue_order_id=VenueOrderId("v2"),
        last_qty=10,
        last_px=101,
    )
    assert bench.orders.on_report(deal).order is None
    told = bench.orders.on_report(msgspec.structs.replace(deal, client_order_id=first))
    assert [told.order, order.cum_qty, status_of(order)] == [order, 10, OrdStatus.FILLED]
    assert [each.fill for each in told.then] == [None]
    assert bench.orders.get(first) is order


def test_a_recovered_order_that_was_never_acknowledged_can_be_absent(bench: Bench) -> None:
    request = NewOrder(
        client_order_id=ClientOrderId("old-1"),
        symbol=BTC.symbol,
        strategy="maker",
        side=Side.BUY,
        order_qty=Decimal(10),
    )
    name = request.client_order_id
    record = OrderRecord(request=request, client_order_ids=[name], resting_ids=[name])
    order = bench.orders.recover(record, BTC, 100 * S)
    assert bench.listed(100) == bench.listed(101) == []
    bench.listed(106)
    assert status_of(order) is OrdStatus.REJECTED


# Contradictions, strangers, venues without client order ids.


def test_a_contradiction_is_told_and_changes_nothing(bench: Bench) -> None:
    order, other = bench.add(), bench.add()
    bench.say(order, OrdStatus.NEW, venue_order_id=VenueOrderId("v1"))
    outcome = bench.say(order, OrdStatus.FILLED, cum_qty=Decimal(3))
    assert "FILLED with less than was ordered" in outcome.contradiction
    outcome = bench.say(other, OrdStatus.NEW, venue_order_id=VenueOrderId("v1"))
    assert "venue order v1 is c-1" in outcome.contradiction
    assert status_of(other) is OrdStatus.PENDING_NEW


def test_fills_told_before_the_ack_that_makes_them_ours_are_counted(bench: Bench) -> None:
    order = bench.add()
    for name in ("e1", "e2"):
        report = stranger(
            BTC,
            ord_status=OrdStatus.PARTIALLY_FILLED,
            exec_id=ExecId(name),
            last_qty=Decimal(2),
            last_px=Decimal(99),
        )
        assert bench.orders.on_report(report).order is None
    assert list(bench.orders.foreign) == [("kestrel", "v1")]
    outcome = bench.say(order, OrdStatus.NEW, venue_order_id=VenueOrderId("v1"))
    assert [then.fill and then.fill.qty for then in outcome.then] == [2, 2]
    assert [order.cum_qty, dict(bench.orders.foreign)] == [4, {}]


def test_a_lone_match_by_terms_is_ours_where_the_venue_knows_no_names(bench: Bench) -> None:
    order = bench.add(DIM, at_s=100)
    early = stranger(transact_time_ns=90 * S, venue_id="v0")
    for report in (stranger(price=Decimal(99), venue_id="v8"), early, stranger(BTC, "v9")):
        outcome = bench.orders.on_report(report)
        assert [outcome.order, outcome.ambiguous] == [None, ()]
    assert bench.orders.on_report(stranger(transact_time_ns=101 * S)).order is order
    assert order.venue_order_id == "v1"
    assert bench.orders.on_report(stranger(venue_id="v2")).order is None
    lost = stranger(instrument("mars:BTC-EUR"))
    assert bench.orders.on_report(lost).order is None


def test_an_ambiguous_match_is_left_and_told(bench: Bench) -> None:
    one, two = bench.add(DIM), bench.add(DIM)
    outcome = bench.orders.on_report(stranger())
    assert [outcome.order, outcome.ambiguous] == [None, ("c-1", "c-2")]
    assert ("dim", "v1") in bench.orders.foreign
    bench.due(5)
    assert status_of(one) is status_of(two) is OrdStatus.UNKNOWN
    bench.listed(10, stranger(), venue="dim")
    bench.listed(20, stranger(), venue="dim")
    assert one.is_open, "it may be the one that is listed"
    assert two.is_open


def test_two_listed_orders_that_fit_one_of_ours_are_nobodys(bench: Bench) -> None:
    order = bench.add(DIM)
    outcomes = bench.listed(1, stranger(venue_id="v1"), stranger(venue_id="v2"), venue="dim")
    assert [outcome.ambiguous for outcome in outcomes] == [("c-1",), ("c-1",)]
    assert order.venue_order_ids == ()


def test_an_order_without_any_name_is_asked_for_by_listing_alone(bench: Bench) -> None:
    bench.add(DIM)
    assert [type(question) for question in bench.due(5)] == [AskListing]
