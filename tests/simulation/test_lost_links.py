"""Every adapter when its link is lost: found in time, cancels go on, what was missed is told."""

from decimal import Decimal
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from botkit.model import (
    AskListing,
    AskStatus,
    ExecutionReport,
    OrderListing,
    OrdStatus,
    SendFailed,
    Side,
    VenueStatus,
)
from tests.simulation.attended_bench import CASES, Attended, attended

EACH: Final = pytest.mark.parametrize("name", CASES)
FASTER: Final[dict[str, dict[str, Any]]] = {
    "finery": {"ping_every": "3s", "pong_within": "1s"},
    "blinktrade": {"beat_every": "3s", "beat_within": "1s"},
    "moonbase": {"heartbeat_every": "3s", "heartbeat_within": "1s"},
    "peatio-1": {"silent_for": "15s"},
    "peatio-2": {"ping_every": "3s", "pong_within": "1s"},
    "digifinex": {"ping_every": "3s", "pong_within": "1s"},
}
PAUSE_S: Final = 5.0  # the longest between two attempts to cancel


@EACH
@pytest.mark.parametrize("changed", [False, True])
async def test_half_open_link_is_found_within_the_seconds_that_are_told(
    name: str, *, changed: bool, autojump_clock: MockClock
) -> None:
    async with attended(name, FASTER[name] if changed else {}) as bench:
        (stream,) = bench.liveness.streams
        for after_s in (0.5, 0.6 * stream.noticed_s):
            link = await bench.connect()
            await trio.sleep(after_s)
            link.black_hole()
            began = trio.current_time()
            took_s = await bench.until_told_down() - began
            assert 0 < took_s <= stream.noticed_s + 0.011, stream
            await bench.down.wait()
        assert stream.noticed_s == pytest.approx(
            (15 if name == "peatio-1" else 4) if changed else stream.noticed_s
        )


@EACH
async def test_cancel_goes_by_rest_at_once_while_the_link_is_down(
    name: str, autojump_clock: MockClock
) -> None:
    async with attended(name) as bench:
        link = await bench.connect()
        order = await bench.session.rest()
        link.cut()
        await bench.down.wait()
        since = len(bench.session.events)
        bench.session.cancel(order)
        assert bench.liveness.cancel_while_down is not None
        await trio.sleep(sum(term.seconds for term in bench.liveness.cancel_while_down))
        assert bench.resting() == []
        ended = bench.reports(order, since)
        assert ended
        assert ended[-1].ord_status is OrdStatus.CANCELED
        assert not bench.told(VenueStatus, since)  # it has not connected for that


@EACH
async def test_cancel_that_was_on_a_dead_link_goes_by_rest_when_the_link_is_given_up(
    name: str, autojump_clock: MockClock
) -> None:
    async with attended(name, FASTER[name]) as bench:
        link = await bench.connect()
        order = await bench.session.rest()
        link.black_hole()
        bench.session.cancel(order)
        await bench.until_told_down()
        await trio.sleep(1)
        assert bench.resting() == []


@EACH
async def test_cancel_is_tried_until_the_venue_can_be_reached(
    name: str, autojump_clock: MockClock
) -> None:
    async with attended(name) as bench:
        await bench.connect()
        order = await bench.session.rest()
        network = bench.pair.network
        assert network is not None
        network.close("exchange.test", 80)
        for each in network.links:
            each.cut()
        await bench.down.wait()
        bench.session.cancel(order)
        await trio.sleep(30)
        assert len(bench.resting()) == 1
        network.listen("exchange.test", 80, bench.pair.simulator.server.serve)
        await trio.sleep(PAUSE_S + 1)
        assert bench.resting() == []


@EACH
async def test_new_order_while_the_link_is_down_is_not_sent(
    name: str, autojump_clock: MockClock
) -> None:
    async with attended(name) as bench:
        link = await bench.connect()
        price = await bench.session.far_price(Side.BUY)
        link.cut()
        await bench.down.wait()
        order = bench.session.submit(Side.BUY, price=price)
        (failed,) = bench.told(SendFailed)
        assert (failed.client_order_id, failed.reached_venue) == (order.client_order_id, False)
        await bench.connect()
        await trio.sleep(1)
        assert bench.resting() == []


@EACH
async def test_what_filled_and_what_rests_is_told_before_the_venue_is_up_again(
    name: str, autojump_clock: MockClock
) -> None:
    async with attended(name) as bench:
        link = await bench.connect()
        filled = await bench.session.rest()
        stays = await bench.session.rest(Side.SELL)
        link.cut()
        await bench.down.wait()
        trade = bench.pair.subject.trade
        assert trade is not None
        assert filled.price is not None
        await trade(Side.SELL, filled.price, filled.order_qty)
        since = len(bench.session.events)
        await bench.connect()
        up = next(
            at
            for at, event in enumerate(bench.session.events)
            if at >= since and isinstance(event, VenueStatus) and event.private
        )
        before = bench.session.events[since:up]
        told = [each for each in bench.reports(filled, since) if each in before]
        most = max((each.cum_qty or Decimal(0) for each in told), default=Decimal(0))
        fills = {each.exec_id: each.last_qty for each in told if each.last_qty}
        assert filled.order_qty in (most, sum(fills.values())), told
        assert any(each in before for each in bench.reports(stays, since))


@EACH
async def test_another_process_of_the_same_key_lists_and_cancels_what_the_first_left(
    name: str, autojump_clock: MockClock
) -> None:
    async with attended(name) as bench:
        link = await bench.connect()
        qty = bench.pair.subject.qty
        orders = [await bench.session.rest(order_qty=qty * count) for count in (1, 2, 3)]
        link.cut()
        await bench.down.wait()
        for order in orders[1:]:  # by REST, as fast as it goes: the nonces of the first process
            bench.session.cancel(order)
        await trio.sleep(3)
        assert len(bench.resting()) == 1
        other = await bench.another()
        question = AskListing(venue=other.session.venue.name, listing_id=1)
        other.session.venue.ask(question)
        listing: OrderListing = await other.session.expect(OrderListing, "listing")
        assert listing.complete
        venue_id = bench.session.venue_id(orders[0])
        open_ids = [
            each.venue_order_id
            for each in listing.reports
            if each.ord_status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)
        ]
        assert set(open_ids) == {venue_id}
        by_name = other.session.capabilities.client_order_ids
        name_of = orders[0].client_order_id
        other.session.cancel_by(name_of, None if by_name else venue_id)
        await trio.sleep(3)
        assert bench.resting() == []
        other.session.venue.ask(  # as the engine does of an order in doubt, until it is answered
            AskStatus(
                client_order_id=name_of,
                symbol=orders[0].symbol,
                venue_order_id=venue_id,
            )
        )
        await trio.sleep(3)
        assert _ended(other, venue_id)


@EACH
async def test_orders_of_another_process_are_left_alone(
    name: str, autojump_clock: MockClock
) -> None:
    async with attended(name) as bench:
        await bench.connect()
        other = await bench.another()
        link = await other.connect()
        theirs = await other.session.rest()
        ours = await bench.session.rest(Side.SELL)
        link.cut()
        await other.down.wait()
        other.session.cancel(theirs)
        await trio.sleep(3)
        assert bench.resting() == [bench.session.venue_id(ours)]
        bench.session.cancel(ours)
        await trio.sleep(3)
        assert bench.resting() == []


def _ended(bench: Attended, venue_id: str | None) -> bool:
    reports: list[ExecutionReport] = bench.told(ExecutionReport)
    return any(
        each.ord_status is OrdStatus.CANCELED for each in reports if each.venue_order_id == venue_id
    )


@pytest.mark.parametrize("name", ["finery", "blinktrade"])
async def test_venues_own_cancel_is_verified_and_not_believed(
    name: str, autojump_clock: MockClock
) -> None:
    async with attended(name, {"on_disconnect": "cancel"}) as bench:
        assert bench.session.capabilities.cancel_on_disconnect
        simulator: Any = bench.pair.simulator
        for ignores in (True, False):
            simulator.quirks["ignores_cod"] = ignores
            link = await bench.connect()
            order = await bench.session.rest()
            since = len(bench.session.events)
            link.cut()
            await bench.down.wait()
            await bench.connect()
            bench.session.ask_status(order)
            await trio.sleep(2)
            ends = [each.ord_status for each in bench.reports(order, since)]
            assert (OrdStatus.CANCELED in ends) is not ignores
            assert len(bench.resting()) == int(ignores)
            bench.session.cancel(order)
            await trio.sleep(2)
            await bench.session.disconnect()
