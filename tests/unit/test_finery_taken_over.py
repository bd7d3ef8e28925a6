"""Orders of an earlier run at Finery, which a replace that nobody heard of gave another id."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import attrs
import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import Network
from botkit.model import (
    AskStatus,
    ClientOrderId,
    ExecutionReport,
    NewOrder,
    OrdStatus,
    Side,
    VenueOrderId,
)
from botkit.ports import VenueSetup
from botkit.testing.conformance_session import Session
from tests.unit.finery_bench import Bench, open_bench, options
from venues.finery.venue import FineryVenue

NEVER_HEARD = ClientOrderId("bench-never-3")


@attrs.frozen
class Left:
    """An order that was replaced, and the id that it had before: all that the journal knows."""

    order: NewOrder
    names: tuple[ClientOrderId, ...]
    venue_id: VenueOrderId


async def leave(bench: Bench, *, crossing: bool = False) -> Left:
    order = await bench.session.rest()
    venue_id = bench.session.venue_id(order)
    assert venue_id is not None
    price = await bench.session.crossing_price(Side.BUY) if crossing else order.price
    assert price is not None
    request = bench.session.replace(order, price - (0 if crossing else 1), order.order_qty)
    await trio.sleep(1)
    return Left(order, (order.client_order_id, request.client_order_id, NEVER_HEARD), venue_id)


@asynccontextmanager
async def next_run(bench: Bench) -> AsyncIterator[Session]:
    """Connect an adapter that has sent nothing, as after a kill."""
    subject = bench.pair.subject
    venue = FineryVenue.from_setup(
        VenueSetup(
            name="finery",
            options=options("ws://exchange.test"),
            symbols=(subject.symbol,),
            source="t",
            now_ns=lambda: subject.clock.now_ns() + 1_000_000,  # ahead of the first one's nonces
        )
    )
    assert bench.pair.network is not None
    venue.network = Network(dial=bench.pair.network.dial)
    await venue.prepare()
    session = Session(attrs.evolve(subject, venue=venue), venue.instruments[subject.symbol], "next")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.serve)
        await trio.sleep(1)
        yield session
        nursery.cancel_scope.cancel()


async def answers(session: Session, left: Left) -> list[ExecutionReport]:
    """Return what is said of the order when it is asked for as the engine would."""
    since = len(session.events)
    session.venue.ask(
        AskStatus(
            client_order_id=left.names[1],
            symbol=left.order.symbol,
            venue_order_id=left.venue_id,
            client_order_ids=left.names,
            transact_time_ns=session.subject.clock.now_ns(),
        )
    )
    await trio.sleep(2)
    return [e for e in session.events[since:] if isinstance(e, ExecutionReport)]


async def test_order_that_rests_under_its_successors_id_is_found_by_its_first_name(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        left = await leave(bench)
        async with next_run(bench) as session:
            (report,) = await answers(session, left)
            assert report.ord_status is OrdStatus.NEW
            assert report.client_order_id == left.order.client_order_id
            assert report.venue_order_id not in (None, left.venue_id)
            session.cancel_by(left.names[1], report.venue_order_id)
            await trio.sleep(1)
        assert bench.resting() == []


async def test_order_that_filled_under_its_successors_id_is_told_with_its_fill(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        left = await leave(bench, crossing=True)
        async with next_run(bench) as session:
            reports = await answers(session, left)
    assert sum((each.last_qty for each in reports), Decimal(0)) == left.order.order_qty
    assert {each.client_order_id for each in reports} <= set(left.names)
    assert reports[-1].ord_status is OrdStatus.FILLED


async def test_order_that_was_canceled_after_its_replace_has_ended(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        left = await leave(bench)
        bench.session.cancel(left.order)
        await trio.sleep(1)
        async with next_run(bench) as session:
            (report,) = await answers(session, left)
    assert (report.ord_status, report.cum_qty) == (OrdStatus.CANCELED, Decimal(0))


@pytest.mark.parametrize("crossing", [False, True])
async def test_run_that_sent_the_replace_itself_finds_the_order_by_any_of_its_names(
    autojump_clock: MockClock, *, crossing: bool
) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        left = await leave(bench, crossing=crossing)
        reports = await answers(bench.session, left)
    assert reports[-1].ord_status is (OrdStatus.FILLED if crossing else OrdStatus.NEW)
