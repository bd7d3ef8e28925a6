"""Cancels that are tried until an attempt does not fail, and outboxes somebody stands by."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import Outbox, Persistence, send_failed
from botkit.errors import OrderOutcomeUnknownError, VenueUnreachableError
from botkit.model import (
    AskStatus,
    CancelOrder,
    ClientOrderId,
    Event,
    ExecType,
    ExecutionReport,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    RequestKind,
    SendFailed,
    Side,
    VenueOrderId,
    VenueStatus,
)


def cancel(name: str, venue_id: str | None = None) -> CancelOrder:
    return CancelOrder(
        client_order_id=ClientOrderId(name),
        symbol="v:A-B",
        venue_order_id=None if venue_id is None else VenueOrderId(venue_id),
    )


def order(name: str = "n") -> NewOrder:
    return NewOrder(
        client_order_id=ClientOrderId(name),
        symbol="v:A-B",
        strategy="s",
        side=Side.BUY,
        order_qty=Decimal(1),
    )


class Venue:
    """Fails as often as it is told to, and notes when it was tried."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.tried: list[tuple[float, list[str]]] = []

    async def attempt(self, cancels: Sequence[CancelOrder]) -> None:
        await trio.lowlevel.checkpoint()
        self.tried.append((trio.current_time(), [each.client_order_id for each in cancels]))
        if self.failures:
            raise self.failures.pop(0)


def made() -> tuple[Persistence, list[Event]]:
    told: list[Event] = []
    return Persistence(told.append, lambda: 7), told


async def test_pauses_double_up_to_five_seconds(autojump_clock: MockClock) -> None:
    persistence, told = made()
    venue = Venue(*(VenueUnreachableError("no") for _ in range(6)))
    await persistence.see_through([cancel("a")], venue.attempt)
    assert [at for at, _ in venue.tried] == [0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5]
    assert told == []


async def test_a_road_that_has_come_up_is_tried_at_once(autojump_clock: MockClock) -> None:
    persistence, _ = made()
    venue = Venue(*(VenueUnreachableError("no") for _ in range(4)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(persistence.see_through, [cancel("a")], venue.attempt)
        await trio.sleep(4)
        persistence.wake()
    assert [at for at, _ in venue.tried] == [0, 0.5, 1.5, 3.5, 4]


async def test_the_same_cancel_is_under_way_once(autojump_clock: MockClock) -> None:
    persistence, _ = made()
    venue = Venue(VenueUnreachableError("no"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(persistence.see_through, [cancel("a")], venue.attempt)
        await trio.testing.wait_all_tasks_blocked()
        await persistence.see_through([cancel("a"), cancel("b")], venue.attempt)
        await persistence.see_through([cancel("a")], venue.attempt)
    await persistence.see_through([cancel("a")], venue.attempt)  # the first is over
    assert [names for _, names in venue.tried] == [["a"], ["b"], ["a"], ["a"]]


async def test_a_cancel_repeated_while_it_succeeds_is_tried_once_more(
    autojump_clock: MockClock,
) -> None:
    persistence, _ = made()
    tried: list[tuple[float, str]] = []

    async def attempt(cancels: Sequence[CancelOrder]) -> None:
        tried.extend((trio.current_time(), each.client_order_id) for each in cancels)
        await trio.sleep(2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(persistence.see_through, [cancel("a"), cancel("b")], attempt)
        await trio.sleep(1)
        await persistence.see_through([cancel("a")], attempt)
        await trio.sleep(1.5)
        await persistence.see_through([cancel("b")], attempt)  # b's own is over, a's is not
    assert tried == [(0, "a"), (0, "b"), (2, "a"), (2.5, "b")]


def report(status: OrdStatus, name: str | None = "a", venue_id: str | None = None) -> Event:
    return ExecutionReport(
        symbol="v:A-B",
        ord_status=status,
        exec_type=ExecType.ORDER_STATUS,
        client_order_id=None if name is None else ClientOrderId(name),
        venue_order_id=None if venue_id is None else VenueOrderId(venue_id),
    )


def reject(of: RequestKind) -> Event:
    return OrderCancelReject(symbol="v:A-B", client_order_id=ClientOrderId("a"), response_to=of)


def failed(of: RequestKind) -> Event:
    return send_failed(
        order("a") if of is RequestKind.NEW else cancel("a"),
        "perhaps",
        reached_venue=True,
        now_ns=7,
    )


@pytest.mark.parametrize(
    ("event", "is_answered"),
    [
        (report(OrdStatus.CANCELED), True),
        (report(OrdStatus.FILLED, None, "1"), True),
        (report(OrdStatus.CANCELED, "b", "2"), False),
        (report(OrdStatus.NEW), False),
        (reject(RequestKind.CANCEL), True),
        (reject(RequestKind.NEW), False),
        (failed(RequestKind.CANCEL), True),
        (failed(RequestKind.NEW), False),
        (VenueStatus(venue="v", market_data=True, private=True, order_entry=True), False),
    ],
)
async def test_a_repeated_cancel_that_was_answered_since_is_not_tried_again(
    event: Event, *, is_answered: bool, autojump_clock: MockClock
) -> None:
    persistence, _ = made()
    tried: list[float] = []

    async def attempt(cancels: Sequence[CancelOrder]) -> None:
        tried.append(trio.current_time())
        await trio.sleep(2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(persistence.see_through, [cancel("a", "1")], attempt)
        await trio.sleep(1)
        await persistence.see_through([cancel("a", "1")], attempt)
        persistence.told(event)
    assert tried == ([0] if is_answered else [0, 2])


@pytest.mark.parametrize(
    ("failure", "reached"),
    [(VenueUnreachableError("no"), False), (OrderOutcomeUnknownError("perhaps"), True)],
)
async def test_what_is_under_way_at_the_end_is_told(
    failure: Exception, *, reached: bool, autojump_clock: MockClock
) -> None:
    persistence, told = made()
    with trio.move_on_after(0.2):
        await persistence.see_through([cancel("a")], Venue(failure).attempt)
    (failed,) = told
    assert isinstance(failed, SendFailed)
    assert (failed.client_order_id, failed.reached_venue) == ("a", reached)


# --- the outbox ---------------------------------------------------------------------------------


async def test_who_stands_by_gets_cancels_and_questions_and_no_orders() -> None:
    told: list[Event] = []
    outbox = Outbox(told.append)
    question = AskStatus(client_order_id=ClientOrderId("a"), symbol="v:A-B")
    with outbox.standing_by():
        assert outbox.is_standing
        for request in (order(), question, cancel("a")):
            outbox.put(request)
        assert [await outbox.take(), await outbox.take()] == [cancel("a"), question]
        outbox.put(cancel("b"))
    assert [(e.client_order_id, e.reached_venue) for e in told if isinstance(e, SendFailed)] == [
        ("n", False),
        ("b", False),
    ]
    outbox.put(cancel("c"))
    assert len(told) == 3


def test_closing_gives_orders_back_and_keeps_cancels_for_who_stands_by() -> None:
    told: list[Event] = []
    outbox = Outbox(told.append)
    with outbox.standing_by():
        outbox.open()
        outbox.put(order())
        outbox.put(cancel("a"))
        outbox.close("not sent: gone")
        (failed,) = told
        assert isinstance(failed, SendFailed)
        assert (failed.client_order_id, failed.text) == ("n", "not sent: gone")
        assert len(outbox) == 1


async def test_orders_without_a_name_of_ours_are_told_apart_by_the_venues_id() -> None:
    told: list[Event] = []
    outbox = Outbox(told.append)
    with outbox.standing_by():
        for venue_id in ("1", "2", "1"):
            outbox.put(cancel("", venue_id))
        assert len(outbox) == 2
