from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import pytest

from botkit.errors import InvariantError
from botkit.model import (
    AskStatus,
    CancelOrder,
    ClientOrderId,
    ExecType,
    OrderCancelReject,
    OrdStatus,
    RequestKind,
    Side,
    VenueOrderId,
)
from botkit.orders import Order, Orders, OrderTiming
from tests.unit.order_bench import (
    BTC,
    DIM,
    ETH,
    NAMED,
    TIMING,
    Bench,
    S,
    instrument,
    status_of,
    stranger,
)


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

    def cancel(self, order: Order, *, at_once: bool = False) -> None:
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
