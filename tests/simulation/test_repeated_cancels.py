"""Every adapter answers every cancel, at whatever moment it is repeated."""

from typing import Final

import pytest
import trio
from trio.testing import MockClock

from botkit.model import (
    ExecutionReport,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    RequestKind,
    SendFailed,
)
from botkit.testing.conformance_session import Session
from tests.simulation.attended_bench import CASES, attended

EACH: Final = pytest.mark.parametrize("name", CASES)
PAUSES_S: Final = (0.0, 0.002, 0.01, 0.05, 0.2, 0.6, 1.1)


async def answered(session: Session, order: NewOrder, since: int, what: str) -> None:
    """Wait for an answer to a cancel of an order, among the events from `since` on."""
    name, venue_id = order.client_order_id, session.venue_id(order)

    def is_answer(event: object) -> bool:
        match event:
            case ExecutionReport():
                is_one = event.ord_status is OrdStatus.CANCELED
            case OrderCancelReject():
                is_one = event.response_to is RequestKind.CANCEL
            case SendFailed():
                return event.client_order_id == name
            case _:
                return False
        return is_one and (event.client_order_id == name or event.venue_order_id == venue_id)

    await session.expect(object, what, is_answer, since)


@EACH
async def test_cancel_repeated_while_the_first_is_under_way_is_answered(
    name: str, autojump_clock: MockClock
) -> None:
    async with attended(name) as bench:
        await bench.connect()
        for pause_s in PAUSES_S:
            order = await bench.session.rest()
            bench.session.cancel(order)
            await trio.sleep(pause_s)
            since = len(bench.session.events)
            bench.session.cancel(order)
            what = f"answer to a cancel repeated after {pause_s} s"
            await answered(bench.session, order, since, what)
            await trio.sleep(1)  # the rates of a second are over


@EACH
@pytest.mark.parametrize("is_cut", [False, True])
async def test_cancel_repeated_in_the_moment_of_its_answer_is_answered(
    name: str, *, is_cut: bool, autojump_clock: MockClock
) -> None:
    async with attended(name) as bench:
        link = await bench.connect()
        order = await bench.session.rest()
        if is_cut:  # it goes by REST
            link.cut()
            await bench.down.wait()
        since = len(bench.session.events)
        bench.session.cancel(order)
        await answered(bench.session, order, since, "answer to the first")
        since = len(bench.session.events)
        bench.session.cancel(order)
        await answered(bench.session, order, since, "answer to the second")
