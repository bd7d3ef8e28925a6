"""The outbox between the engine's plain calls and a venue's socket."""

from decimal import Decimal

import msgspec

from botkit.adapter import Outbox, Outgoing
from botkit.model import (
    AskListing,
    CancelOrder,
    ClientOrderId,
    Event,
    NewOrder,
    RequestKind,
    SendFailed,
    Side,
)


def order(number: int) -> NewOrder:
    return NewOrder(
        client_order_id=ClientOrderId(f"demo-r-{number}"),
        symbol="v:A-B",
        strategy="s",
        side=Side.BUY,
        order_qty=Decimal(1),
        price=Decimal(1),
        transact_time_ns=number,
    )


def cancel(number: int) -> CancelOrder:
    return CancelOrder(
        client_order_id=ClientOrderId(f"demo-r-{number}"), symbol="v:A-B", transact_time_ns=9
    )


def opened() -> tuple[Outbox, list[Event]]:
    told: list[Event] = []
    outbox = Outbox(told.append)
    outbox.open()
    return outbox, told


async def test_cancels_overtake_everything_that_waits() -> None:
    outbox, _ = opened()
    requests: list[Outgoing] = [order(1), order(2), cancel(8), order(3), cancel(9)]
    for request in requests:
        outbox.put(request)
    taken = [await outbox.take() for _ in requests]
    assert taken == [cancel(8), cancel(9), order(1), order(2), order(3)]


def test_order_canceled_while_it_waits_is_never_sent() -> None:
    outbox, told = opened()
    outbox.put(order(1))
    outbox.put(order(2))
    outbox.put(cancel(1))
    (failure,) = told
    assert isinstance(failure, SendFailed)
    assert (failure.client_order_id, failure.request) == ("demo-r-1", RequestKind.NEW)
    assert failure.text == "not sent: canceled before"
    assert len(outbox) == 1


async def test_second_cancel_of_an_order_that_waits_is_left_out() -> None:
    outbox, _ = opened()
    outbox.put(cancel(1))
    outbox.put(cancel(1))
    assert await outbox.take() == cancel(1)
    assert len(outbox) == 0


def test_cancels_that_wait_can_be_taken_together() -> None:
    outbox, _ = opened()
    for request in (cancel(7), order(1), cancel(8), cancel(9)):
        outbox.put(request)
    assert outbox.take_cancels(2) == [cancel(7), cancel(8)]
    assert outbox.take_cancels(5) == [cancel(9)]
    assert outbox.take_cancels(5) == []
    assert len(outbox) == 1


def test_closed_it_gives_requests_back_as_not_sent() -> None:
    told: list[Event] = []
    outbox = Outbox(told.append)
    outbox.close()
    outbox.put(order(1))
    outbox.put(cancel(1))
    assert [(e.request, e.reached_venue) for e in told if isinstance(e, SendFailed)] == [
        (RequestKind.NEW, False),
        (RequestKind.CANCEL, False),
    ]
    assert len(outbox) == 0


def test_a_question_gets_no_answer_while_it_is_closed() -> None:
    told: list[Event] = []
    outbox = Outbox(told.append)
    outbox.close()
    outbox.put(AskListing(venue="v", listing_id=1))
    assert told == []
    assert len(outbox) == 0


def test_before_anything_has_begun_cancels_wait_and_orders_come_back() -> None:
    told: list[Event] = []
    outbox = Outbox(told.append)
    outbox.put(order(1))
    outbox.put(cancel(2))
    assert [e.request for e in told if isinstance(e, SendFailed)] == [RequestKind.NEW]
    with outbox.standing_by():
        assert outbox.take_cancels(5) == [cancel(2)]


def test_closing_gives_back_what_nobody_had_taken_and_says_why() -> None:
    outbox, told = opened()
    outbox.put(order(1))
    outbox.close("not sent: the gateway is gone")
    (failure,) = told
    assert isinstance(failure, SendFailed)
    assert (failure.client_order_id, failure.text) == (
        "demo-r-1",
        "not sent: the gateway is gone",
    )
    outbox.put(order(2))
    assert isinstance(told[1], SendFailed)
    assert told[1].text == "not sent: the gateway is gone"


def test_cancel_that_is_repeated_whenever_it_comes_back_does_so_once_a_moment() -> None:
    returned: list[int] = []

    def repeat(event: Event) -> None:
        returned.append(event.receive_time_ns)
        assert len(returned) < 10
        box.put(msgspec.structs.replace(cancel(1), transact_time_ns=event.receive_time_ns))

    box = Outbox(repeat)
    box.close()
    for now_ns in (5, 6):
        box.put(msgspec.structs.replace(cancel(1), transact_time_ns=now_ns))
    assert returned == [5, 6]
