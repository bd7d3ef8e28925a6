from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from botkit.errors import InvariantError
from botkit.model import (
    AskListing,
    AskStatus,
    CancelOrder,
    ClientOrderId,
    ExecId,
    ExecType,
    ExecutionReport,
    Fill,
    FillSource,
    Instrument,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    Side,
    VenueOrderId,
)
from botkit.orders import Order, Orders, OrderTiming, Outcome
from botkit.ports import Capabilities

S = 1_000_000_000
TIMING = OrderTiming(ask_every_ns=2 * S)
NAMED = Capabilities(client_order_ids=True, fill_source=FillSource.EXECUTIONS, replace=True)
NAMELESS = Capabilities(client_order_ids=False, fill_source=FillSource.EXECUTIONS)


def instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol, base="BTC", quote="EUR", tick_size=Decimal("0.01"), lot_size=Decimal(1)
    )


BTC, ETH = instrument("kestrel:BTC-EUR"), instrument("kestrel:ETH-EUR")
DIM = instrument("dim:BTC-EUR")


@attrs.define
class Bench:
    """Orders at two venues, one of which knows no client order ids, and the time."""

    orders: Orders = attrs.field(
        factory=lambda: Orders(capabilities={"kestrel": NAMED, "dim": NAMELESS}, timing=TIMING)
    )
    made: int = 0

    def add(self, where: Instrument = BTC, at_s: int = 0, **changes: Any) -> Order:
        self.made += 1
        fields: dict[str, Any] = {
            "client_order_id": ClientOrderId(f"c-{self.made}"),
            "symbol": where.symbol,
            "strategy": "maker",
            "side": Side.BUY,
            "order_qty": Decimal(10),
            "price": Decimal(100),
            "transact_time_ns": at_s * S,
        }
        return self.orders.add(NewOrder(**{**fields, **changes}), where)

    def say(self, order: Order, status: OrdStatus, at_s: int = 0, **changes: Any) -> Outcome:
        fields: dict[str, Any] = {
            "symbol": order.symbol,
            "ord_status": status,
            "exec_type": ExecType.NEW,
            "client_order_id": order.current_client_order_id,
            "receive_time_ns": at_s * S,
        }
        return self.orders.on_report(ExecutionReport(**{**fields, **changes}))

    def replace(self, order: Order, qty: int, at_s: int = 0) -> ClientOrderId:
        self.made += 1
        name = ClientOrderId(f"r-{self.made}")
        request = ReplaceOrder(
            client_order_id=name,
            orig_client_order_id=order.current_client_order_id,
            symbol=order.symbol,
            strategy=order.strategy,
            side=order.side,
            order_qty=Decimal(qty),
            price=Decimal(101),
            transact_time_ns=at_s * S,
        )
        self.orders.replace_sent(order, request)
        return name

    def decline(self, order: Order, **changes: Any) -> Outcome:
        fields = {"symbol": order.symbol, "client_order_id": order.client_order_id}
        return self.orders.on_cancel_reject(OrderCancelReject(**{**fields, **changes}))

    def fail(self, order: Order, request: RequestKind, *, reached: bool) -> Outcome:
        return self.orders.on_send_failed(
            SendFailed(
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                request=request,
                reached_venue=reached,
                text="no socket",
            )
        )

    def listed(
        self, began_s: int, *reports: ExecutionReport, venue: str = "kestrel", complete: bool = True
    ) -> list[Outcome]:
        listing = OrderListing(
            venue=venue,
            listing_id=1,
            began_ns=began_s * S,
            complete=complete,
            reports=reports,
            receive_time_ns=began_s * S,
        )
        return self.orders.on_listing(listing)

    def due(self, at_s: int) -> list[Any]:
        return list(self.orders.due(at_s * S))


def status_of(order: Order) -> OrdStatus:
    return order.ord_status


def stranger(where: Instrument = DIM, venue_id: str = "v1", **changes: Any) -> ExecutionReport:
    """Return a report that names no client order id, with the terms of `Bench.add`."""
    fields: dict[str, Any] = {
        "symbol": where.symbol,
        "ord_status": OrdStatus.NEW,
        "exec_type": ExecType.ORDER_STATUS,
        "venue_order_id": VenueOrderId(venue_id),
        "side": Side.BUY,
        "order_qty": Decimal(10),
        "price": Decimal(100),
    }
    return ExecutionReport(**{**fields, **changes})


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Sending.


def test_an_order_counts_from_before_it_is_sent_until_it_ends(bench: Bench) -> None:
    order = bench.add()
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 10
    assert bench.orders.leaves(BTC.symbol, Side.SELL) == 0
    assert bench.orders.leaves("kestrel:XRP-EUR", Side.SELL) == 0
    bench.say(order, OrdStatus.CANCELED)
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 0
    assert bench.orders.open_orders() == 0


def test_a_name_is_used_once(bench: Bench) -> None:
    bench.add()
    bench.made = 0
    with pytest.raises(InvariantError, match="client order id c-1 is taken"):
        bench.add()
    with pytest.raises(InvariantError, match="at no venue of this bot"):
        bench.add(instrument("mars:BTC-EUR"))


def test_working_orders_come_in_creation_order(bench: Bench) -> None:
    first, second = bench.add(strategy="b"), bench.add(ETH, strategy="a")
    third, fourth = bench.add(strategy="a"), bench.add(DIM, strategy="b")
    assert bench.orders.working() == [first, second, third, fourth]
    assert bench.orders.working(strategy="a") == [second, third]
    assert bench.orders.working(symbol=BTC.symbol) == [first, third]
    assert bench.orders.working(venue="dim") == [fourth]
    assert bench.orders.working(strategy="a", symbol=BTC.symbol) == [third]
    assert bench.orders.working(strategy="c", symbol=BTC.symbol) == []
    assert bench.orders.open_orders(BTC.symbol) == 2


def test_a_cancel_is_sent_once_until_it_is_overdue(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.NEW, venue_order_id=VenueOrderId("v1"))
    command = bench.orders.cancel_sent(order, S, reason="requote")
    assert command is not None
    assert (command.client_order_id, command.venue_order_id, command.reason) == (
        "c-1",
        "v1",
        "requote",
    )
    assert status_of(order) is OrdStatus.PENDING_CANCEL
    assert bench.orders.cancel_sent(order, 2 * S) is None
    assert bench.orders.cancel_sent(order, 6 * S) is not None
    bench.say(order, OrdStatus.CANCELED)
    assert bench.orders.cancel_sent(order, 20 * S) is None


def test_an_unconfirmed_cancel_is_sent_again_with_back_off(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.NEW)
    bench.orders.cancel_sent(order, 0)
    sent = [at_s for at_s in range(100) if any(isinstance(c, CancelOrder) for c in bench.due(at_s))]
    assert sent == [5, 15, 35, 75]
    bench.say(order, OrdStatus.CANCELED)
    bench.due(1_000)
    assert bench.orders.next_due_ns() is None


def test_a_cancel_waits_for_the_venues_id_where_ours_is_not_known(bench: Bench) -> None:
    order = bench.add(DIM)
    assert bench.orders.cancel_sent(order, 0) is None
    assert order.cancel_requested
    bench.say(order, OrdStatus.NEW, at_s=1, venue_order_id=VenueOrderId("v1"))
    [command] = bench.due(1)
    assert isinstance(command, CancelOrder)
    assert command.venue_order_id == "v1"


def test_a_replace_needs_an_open_order_that_is_not_being_replaced(bench: Bench) -> None:
    order = bench.add()
    bench.replace(order, 6)
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 16
    with pytest.raises(InvariantError, match="is being replaced"):
        bench.replace(order, 7)
    bench.say(order, OrdStatus.FILLED, exec_id="e1", last_qty=Decimal(10), last_px=Decimal(1))
    with pytest.raises(InvariantError, match="is FILLED"):
        bench.replace(order, 7)
    other = bench.add()
    bench.made = 1
    with pytest.raises(InvariantError, match="r-2 is taken"):
        bench.replace(other, 7)


def test_a_replaced_order_is_found_by_every_name_it_had(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.NEW, venue_order_id=VenueOrderId("v1"))
    name = bench.replace(order, 6)
    bench.say(order, OrdStatus.NEW, client_order_id=name, venue_order_id=VenueOrderId("v2"))
    assert bench.orders.get(name) is bench.orders.get(ClientOrderId("c-1")) is order
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 6
    for venue_id in ("v1", "v2"):
        assert bench.orders.on_report(stranger(BTC, venue_id)).order is order
    renamed = stranger(
        BTC, "v3", client_order_id="x", orig_client_order_id=name, exec_type=ExecType.REPLACED
    )
    assert bench.orders.on_report(renamed).order is order


def test_a_cancel_during_a_replace_tries_both_names(bench: Bench) -> None:
    order = bench.add()
    name = bench.replace(order, 6)
    first = bench.orders.cancel_sent(order, 0)
    assert first is not None
    [again] = [command for command in bench.due(5) if isinstance(command, CancelOrder)]
    assert [first.client_order_id, again.client_order_id] == ["c-1", name]


# Refusals and failures.


def test_a_cancel_refused_because_the_order_works_leaves_it_working(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.NEW)
    bench.orders.cancel_sent(order, 0)
    assert bench.decline(order, ord_status=OrdStatus.NEW, text="busy").changed
    assert [status_of(order), order.text] == [OrdStatus.NEW, "busy"]
    assert bench.orders.cancel_sent(order, S) is not None, "a person may try again at once"


@pytest.mark.parametrize(
    "answer", [{"ord_status": OrdStatus.FILLED}, {"unknown_order": True}, {"ord_status": None}]
)
def test_a_cancel_refused_as_too_late_or_unknown_is_asked_about(
    bench: Bench, answer: dict[str, Any]
) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.NEW)
    bench.orders.cancel_sent(order, 0)
    bench.decline(order, **answer)
    assert status_of(order) is OrdStatus.UNKNOWN
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 10
    assert isinstance(bench.due(0)[0], AskStatus)


def test_a_cancel_refused_after_the_fill_is_no_news(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.FILLED, exec_id="e1", last_qty=Decimal(10), last_px=Decimal(1))
    assert not bench.decline(order, ord_status=OrdStatus.FILLED).changed
    nobody = OrderCancelReject(symbol=BTC.symbol, client_order_id=ClientOrderId("x"))
    assert bench.orders.on_cancel_reject(nobody).order is None


def test_a_replace_declined_leaves_the_order_as_it_was(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.NEW)
    bench.replace(order, 20)
    bench.decline(order, response_to=RequestKind.REPLACE, ord_status=OrdStatus.NEW)
    assert status_of(order) is OrdStatus.NEW
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 10


def test_a_replace_declined_after_the_old_quantity_filled_ends_the_order(bench: Bench) -> None:
    order = bench.add()
    bench.replace(order, 20)
    bench.orders.cancel_sent(order, 0)
    partly = OrdStatus.PARTIALLY_FILLED
    bench.say(order, partly, exec_id="e1", last_qty=Decimal(10), last_px=Decimal(1))
    assert order.is_open
    bench.decline(order, response_to=RequestKind.REPLACE, ord_status=partly)
    assert status_of(order) is OrdStatus.FILLED


@pytest.mark.parametrize("said", [OrdStatus.NEW, None])
def test_a_replace_declined_after_more_than_the_old_quantity_filled_was_done(
    bench: Bench, said: OrdStatus | None
) -> None:
    """The fills are facts and the decline is not: the order is UNKNOWN, and all of it counts."""
    order = bench.add()
    bench.say(order, OrdStatus.NEW)
    bench.replace(order, 1)
    fill: dict[str, Any] = {"exec_id": "e1", "last_qty": Decimal(11), "last_px": Decimal(1)}
    bench.say(order, OrdStatus.PARTIALLY_FILLED, **fill)
    bench.decline(order, response_to=RequestKind.REPLACE, ord_status=said)
    assert status_of(order) is OrdStatus.UNKNOWN
    assert order.cum_qty == 11
    assert order.replacing is not None


def test_declines_take_back_only_what_they_are_about(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.NEW)
    bench.replace(order, 6)
    bench.orders.cancel_sent(order, 0)
    bench.decline(order, ord_status=OrdStatus.NEW)
    assert status_of(order) is OrdStatus.PENDING_REPLACE
    bench.orders.cancel_sent(order, 0)
    bench.decline(order, response_to=RequestKind.REPLACE, ord_status=OrdStatus.NEW)
    assert status_of(order) is OrdStatus.PENDING_CANCEL
    bench.orders.mark_unknown([order.client_order_id], 0)
    bench.decline(order, ord_status=OrdStatus.NEW)
    assert status_of(order) is OrdStatus.UNKNOWN


def test_what_never_left_is_over_and_what_may_have_arrived_is_unknown(bench: Bench) -> None:
    gone, lost = bench.add(), bench.add()
    assert bench.fail(gone, RequestKind.NEW, reached=False).changed
    assert [status_of(gone), gone.text] == [OrdStatus.REJECTED, "no socket"]
    bench.fail(lost, RequestKind.NEW, reached=True)
    assert status_of(lost) is OrdStatus.UNKNOWN
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 10
    assert not bench.fail(gone, RequestKind.NEW, reached=False).changed


def test_an_order_said_to_have_never_left_is_ours_again_if_it_appears(bench: Bench) -> None:
    order, other = bench.add(), bench.add()
    bench.fail(order, RequestKind.NEW, reached=False)
    assert bench.say(order, OrdStatus.NEW).changed
    assert bench.orders.working(strategy="maker", symbol=BTC.symbol) == [order, other]
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 20
    outcome = bench.fail(order, RequestKind.NEW, reached=False)
    assert "told as never sent" in outcome.contradiction


def test_a_cancel_or_replace_that_failed_restores_the_order(bench: Bench) -> None:
    order = bench.add()
    bench.say(order, OrdStatus.NEW)
    bench.orders.cancel_sent(order, 0)
    bench.fail(order, RequestKind.CANCEL, reached=False)
    assert status_of(order) is OrdStatus.NEW
    assert isinstance(bench.due(5)[0], CancelOrder), "it is still wanted"
    bench.fail(order, RequestKind.CANCEL, reached=True)
    assert status_of(order) is OrdStatus.PENDING_CANCEL
    other = bench.add()
    bench.replace(other, 20)
    bench.fail(other, RequestKind.REPLACE, reached=False)
    assert [status_of(other), other.worst_leaves()] == [OrdStatus.PENDING_NEW, 10]
    bench.replace(other, 20)
    bench.fail(other, RequestKind.REPLACE, reached=True)
    assert [status_of(other), other.worst_leaves()] == [OrdStatus.UNKNOWN, 30]


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
    outcome = bench.orders.resolve(order, OrdStatus.CANCELED, "seen gone on the venue's page")
    assert (outcome.changed, order.is_closed, order.text) == (
        True,
        True,
        "seen gone on the venue's page",
    )
    with pytest.raises(InvariantError, match="only an order in doubt can be resolved"):
        bench.orders.resolve(order, OrdStatus.CANCELED, "again")


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
    order = bench.orders.recover(
        request, BTC, now_ns=100 * S, venue_order_id=VenueOrderId("v1"), fills=[fill]
    )
    assert [status_of(order), order.cum_qty, order.avg_px] == [OrdStatus.UNKNOWN, 4, 99]
    assert bench.orders.leaves(BTC.symbol, Side.BUY) == 6
    again = bench.say(
        order, OrdStatus.PARTIALLY_FILLED, exec_id="e1", last_qty=Decimal(4), last_px=Decimal(99)
    )
    assert again.fill is None
    assert bench.orders.on_report(stranger(BTC, "v1")).order is order


def test_a_recovered_order_that_was_never_acknowledged_can_be_absent(bench: Bench) -> None:
    request = NewOrder(
        client_order_id=ClientOrderId("old-1"),
        symbol=BTC.symbol,
        strategy="maker",
        side=Side.BUY,
        order_qty=Decimal(10),
    )
    order = bench.orders.recover(request, BTC, now_ns=100 * S)
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


# Memory.


def test_closed_orders_are_remembered_for_late_fills_and_then_forgotten() -> None:
    bench = Bench(orders=Orders(capabilities={"kestrel": NAMED}, timing=TIMING, keep_closed=3))
    made = []
    for number in range(6):
        order = bench.add()
        bench.say(order, OrdStatus.NEW, venue_order_id=VenueOrderId(f"v{number}"))
        bench.say(order, OrdStatus.CANCELED)
        made.append(order)
    assert [bench.orders.get(order.client_order_id) for order in made] == [None] * 3 + made[3:]
    late: dict[str, Any] = {"exec_id": "e", "last_qty": Decimal(1), "last_px": Decimal(1)}
    assert bench.say(made[3], OrdStatus.CANCELED, **late).fill is not None
    assert bench.say(made[0], OrdStatus.CANCELED, **late).order is None
    assert status_of(made[0]) is OrdStatus.CANCELED, "the handle stays valid"
    assert bench.orders.on_report(stranger(BTC, "v0")).order is None


def test_an_order_that_came_back_is_not_forgotten_while_it_works() -> None:
    bench = Bench(orders=Orders(capabilities={"kestrel": NAMED}, keep_closed=1))
    order = bench.add()
    bench.fail(order, RequestKind.NEW, reached=False)
    bench.say(order, OrdStatus.NEW)
    for _ in range(3):
        bench.say(bench.add(), OrdStatus.CANCELED)
    assert bench.orders.get(order.client_order_id) is order


def test_open_strangers_are_kept_and_ended_ones_up_to_a_bound() -> None:
    orders = Orders(capabilities={"kestrel": NAMED}, keep_closed=2)
    orders.on_report(stranger(BTC, "open"))
    for number in range(5):
        report = stranger(BTC, f"v{number}", ord_status=OrdStatus.CANCELED)
        orders.on_report(report)
        orders.on_report(report)
    orders.on_report(stranger(BTC, "v3"))  # works after all
    orders.on_report(stranger(BTC, "v5", ord_status=OrdStatus.CANCELED))
    assert {key for _, key in orders.foreign} == {"open", "v3", "v4", "v5"}


# The handle.


class Desk:
    """Notes what orders ask of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def cancel(self, order: Order) -> None:
        self.asked.append(("cancel", order))

    def replace(self, order: Order, price: Decimal | None, qty: Decimal | None) -> None:
        self.asked.append(("replace", order, price, qty))

    def closed(self, order: Order) -> Awaitable[None]:
        async def note() -> None:
            self.asked.append(("closed", order))

        return note()


async def test_an_orders_methods_go_to_the_engines_desk(bench: Bench) -> None:
    desk = bench.orders.desk = Desk()
    order = bench.add()
    order.cancel()
    order.replace(price=Decimal(99))
    await order.closed()
    assert desk.asked == [
        ("cancel", order),
        ("replace", order, Decimal(99), None),
        ("closed", order),
    ]


def test_deadlines_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="ask_every_ns"):
        OrderTiming(ask_every_ns=0)
