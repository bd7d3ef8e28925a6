"""Finery's adapter against its simulator: links that end, requests that cannot go."""

from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import Network
from botkit.clock import LiveClock
from botkit.errors import (
    ConfigError,
    FeedStaleError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueProtocolError,
)
from botkit.model import (
    AskListing,
    AskStatus,
    Balance,
    BookSnapshot,
    CancelOrder,
    ClientOrderId,
    ExecutionReport,
    FeedGap,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    SendFailed,
    Side,
    TimeInForce,
    VenueOrderId,
    VenueStatus,
)
from botkit.ports import VenueSetup
from botkit.testing.network import open_network
from botkit.testing.simulated import START_NS, open_simulated
from tests.unit.finery_bench import Bench, case, open_bench, options
from venues.finery.venue import FineryVenue


def setup(**changes: Any) -> VenueSetup:
    clock = LiveClock(origin_ns=START_NS)
    return VenueSetup(
        name="finery",
        options=options("ws://finery.test", **changes),
        symbols=("finery:BTC-EUR",),
        source="test: venues.finery",
        now_ns=clock.now_ns,
    )


def statuses(bench: Bench) -> list[tuple[bool, bool, bool]]:
    return [
        (event.market_data, event.private, event.order_entry)
        for event in bench.events
        if isinstance(event, VenueStatus)
    ]


# --- connecting ---------------------------------------------------------------------------------


async def test_wrong_secret_is_an_authentication_error_that_does_not_show_it(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case({"secret": "not-the-one"})) as pair:
        with pytest.raises(VenueAuthenticationError, match="nonce or signature") as refused:
            await pair.subject.venue.prepare()
        with pytest.raises(VenueAuthenticationError, match="nonce or signature"):
            await pair.subject.venue.run(lambda _: None, pair.subject.clock)
    assert "not-the-one" not in str(refused.value)


async def test_clock_that_is_wrong_is_named(autojump_clock: MockClock) -> None:
    async with open_simulated(case()) as pair:
        venue = FineryVenue.from_setup(
            VenueSetup(
                name="finery",
                options=options("ws://exchange.test"),
                symbols=(),
                source="t",
                now_ns=lambda: START_NS - 100_000_000_000,
            )
        )
        assert pair.network is not None
        venue.network = Network(dial=pair.network.dial)
        with pytest.raises(VenueAuthenticationError, match="timestamp not accepted"):
            await venue.prepare()


async def test_instrument_the_venue_does_not_list_is_named_with_those_it_has(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case()) as pair:
        assert pair.network is not None
        venue = FineryVenue.from_setup(
            VenueSetup(
                name="finery",
                options=options("ws://exchange.test"),
                symbols=("finery:XRP-EUR",),
                source="a.toml: venues.finery",
                now_ns=pair.subject.clock.now_ns,
            )
        )
        venue.network = Network(dial=pair.network.dial)
        with pytest.raises(ConfigError, match=r"'finery:XRP-EUR'.*has finery:BTC-EUR"):
            await venue.prepare()


async def test_quantity_steps_come_from_the_venue_and_price_steps_from_the_config(
    autojump_clock: MockClock,
) -> None:
    changes = {"instruments": {"BTC-EUR": {"tick_size": "0.5"}}}
    async with open_simulated(case(changes)) as pair:
        await pair.subject.venue.prepare()
        instrument = pair.subject.venue.instruments["finery:BTC-EUR"]
    assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.5"), Decimal("0.00001"))
    assert (instrument.base, instrument.quote) == ("BTC", "EUR")


async def test_nobody_listening_is_a_lost_link(autojump_clock: MockClock) -> None:
    async with open_network() as network:
        venue = FineryVenue.from_setup(setup())
        venue.network = Network(dial=network.dial)
        told: list[Any] = []
        with pytest.raises(VenueDisconnectedError):
            await venue.run(told.append, LiveClock(origin_ns=START_NS))
    assert isinstance(told[0], FeedGap)


# --- links and feeds that end -------------------------------------------------------------------


async def test_link_that_is_cut_ends_the_run_and_says_that_nothing_is_ready(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case()) as pair:
        venue = pair.subject.venue
        told: list[Any] = []
        await venue.prepare()

        async def cut() -> None:
            await trio.sleep(1)
            assert pair.network is not None
            pair.network.links[-1].cut()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            with pytest.raises(VenueDisconnectedError):
                await venue.run(told.append, pair.subject.clock)
    last = [event for event in told if isinstance(event, VenueStatus)][-1]
    assert (last.market_data, last.private, last.order_entry) == (False, False, False)


async def test_link_that_is_half_open_is_found_by_its_heartbeat(autojump_clock: MockClock) -> None:
    async with open_simulated(case()) as pair:
        venue = pair.subject.venue
        await venue.prepare()

        async def fall_silent() -> None:
            await trio.sleep(1)
            assert pair.network is not None
            pair.network.links[-1].black_hole()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fall_silent)
            with pytest.raises(FeedStaleError):
                await venue.run(lambda _: None, pair.subject.clock)
    assert trio.current_time() <= 1 + 20 + 10 + 3  # ping_every, pong_within, close


async def test_gateway_cut_off_stops_orders_and_coming_back_binds_all_anew(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        await trio.sleep(1)
        bench.simulator.set_gateway(2)
        await trio.sleep(1)
        assert statuses(bench)[-1] == (False, False, False)
        order = bench.session.submit(Side.BUY, price=Decimal(40_000))
        await trio.sleep(1)
        failed = [event for event in bench.events if isinstance(event, SendFailed)]
        assert [(f.client_order_id, f.reached_venue) for f in failed] == [
            (order.client_order_id, False)
        ]
        since = len(bench.events)
        bench.simulator.set_gateway(0)
        await trio.sleep(1)
        assert statuses(bench)[-1] == (True, True, True)
        news = bench.events[since:]
        assert any(isinstance(event, FeedGap) for event in news)
        assert any(isinstance(event, BookSnapshot) for event in news)


async def test_feed_that_cannot_be_bound_is_a_protocol_error_that_names_it(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case()) as pair:
        assert pair.network is not None
        venue = FineryVenue.from_setup(
            VenueSetup(
                name="finery",
                options=options("ws://exchange.test"),
                symbols=("finery:NO-PAIR",),
                source="t",
                now_ns=pair.subject.clock.now_ns,
            )
        )
        venue.network = Network(dial=pair.network.dial)
        with pytest.raises(VenueProtocolError, match="feed F NO-PAIR not bound: error 103"):
            await venue.run(lambda _: None, pair.subject.clock)


async def test_native_cancel_on_disconnect_takes_the_orders_of_a_lost_link(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        await bench.session.rest()
        assert len(bench.resting()) == 1
        await bench.session.disconnect()
        await trio.sleep(1)
        assert bench.resting() == []


# --- orders -------------------------------------------------------------------------------------


async def test_requests_beyond_the_rate_are_refused_and_cancels_still_go(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"max_requests_per_second": 5}) as bench:
        orders = [bench.session.submit(Side.BUY, price=Decimal(40_000)) for _ in range(6)]
        await trio.sleep(0.5)
        assert len(bench.resting()) == 4
        for order in orders:
            bench.session.cancel_by(order.client_order_id, None)
        await trio.sleep(1)
        failed = [e for e in bench.events if isinstance(e, SendFailed)]
        beyond = [each.client_order_id for each in failed if "requests a second" in each.text]
        assert beyond == [order.client_order_id for order in orders[4:]]
        assert bench.resting() == []


async def test_price_the_venue_cannot_be_told_is_not_sent(autojump_clock: MockClock) -> None:
    changes = {"instruments": {"BTC-EUR": {"tick_size": "0.000000001"}}}
    async with open_bench(changes) as bench:
        bench.session.submit(Side.BUY, price=Decimal("40000.000000001"))
        await trio.sleep(1)
        (failed,) = [event for event in bench.events if isinstance(event, SendFailed)]
    assert "finer than" in failed.text
    assert not failed.reached_venue


async def test_status_of_an_order_the_venue_ended_while_nobody_heard_is_found(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        order = await bench.session.rest()
        await bench.session.disconnect()  # the venue cancels it now
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.session.serve)
            await trio.sleep(1)
            since = len(bench.events)
            bench.session.ask_status(order)
            report = await bench.session.expect(ExecutionReport, "status", since=since)
            nursery.cancel_scope.cancel()
    assert (report.ord_status, report.cum_qty) == (OrdStatus.CANCELED, Decimal(0))


async def test_status_of_an_order_that_filled_unheard_comes_with_its_fills(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        price = await bench.session.crossing_price(Side.BUY)
        order = bench.session.submit(Side.BUY, price=price, time_in_force=TimeInForce.IOC)
        await bench.session.status(order, "fill", OrdStatus.FILLED)
        since = len(bench.events)
        bench.session.ask_status(order)
        await trio.sleep(1)
        reports = [e for e in bench.events[since:] if isinstance(e, ExecutionReport)]
    assert sum((report.last_qty for report in reports), Decimal(0)) == order.order_qty
    assert reports[-1].ord_status is OrdStatus.FILLED


async def test_status_of_an_order_the_venue_has_never_heard_of_is_told_as_unknown(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        name = ClientOrderId("demo-r-99")
        bench.session.venue.ask(AskStatus(client_order_id=name, symbol="finery:BTC-EUR"))
        reject = await bench.session.expect(OrderCancelReject, "unknown order")
    assert (reject.client_order_id, reject.unknown_order) == (name, True)


async def test_listing_holds_open_orders_and_fills_and_says_that_it_is_complete(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        resting = await bench.session.rest()
        price = await bench.session.crossing_price(Side.SELL)
        taker = bench.session.submit(Side.SELL, price=price)
        await bench.session.status(taker, "fill", OrdStatus.FILLED)
        bench.session.venue.ask(AskListing(venue="finery", listing_id=5))
        listing = await bench.session.expect(OrderListing, "listing")
    assert (listing.listing_id, listing.complete) == (5, True)
    names = {report.client_order_id for report in listing.reports}
    assert names == {resting.client_order_id, taker.client_order_id}


async def test_listing_that_gets_no_answer_is_not_complete(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        bench.session.venue.ask(AskListing(venue="finery", listing_id=5))
        bench.simulator.gateway = 2  # every method is answered by an error
        listing = await bench.session.expect(OrderListing, "listing")
    assert not listing.complete


async def test_balances_follow_fills(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        before = [event for event in bench.events if isinstance(event, Balance)]
        price = await bench.session.crossing_price(Side.BUY)
        order = bench.session.submit(Side.BUY, price=price)
        await bench.session.status(order, "fill", OrdStatus.FILLED)
        await trio.sleep(3)
        after = [event for event in bench.events if isinstance(event, Balance)][len(before) :]
    held = {balance.currency: balance.total for balance in after}
    assert held["BTC"] == Decimal("10.01")


async def test_cancel_by_the_venues_id_ends_an_order_of_an_earlier_run(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        order = await bench.session.rest()
        venue_id = bench.session.venue_id(order)
        other = FineryVenue.from_setup(
            VenueSetup(
                name="finery",
                options=options("ws://exchange.test"),
                symbols=("finery:BTC-EUR",),
                source="t",
                now_ns=lambda: bench.pair.subject.clock.now_ns() + 1_000_000,
            )
        )
        assert bench.pair.network is not None
        other.network = Network(dial=bench.pair.network.dial)
        await other.prepare()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run, lambda _: None, bench.pair.subject.clock)
            await trio.sleep(1)
            assert isinstance(venue_id, str)
            other.cancel(
                CancelOrder(
                    client_order_id=order.client_order_id,
                    symbol=order.symbol,
                    venue_order_id=VenueOrderId(venue_id),
                )
            )
            await trio.sleep(1)
            assert bench.resting() == []
            nursery.cancel_scope.cancel()


# --- dry run ------------------------------------------------------------------------------------


async def test_what_a_dry_run_is_given_has_no_way_to_send_an_order() -> None:
    held = FineryVenue.market_data(setup())
    for name in ("submit", "replace", "cancel", "ask", "_desk"):
        assert not hasattr(held, name)


@pytest.mark.parametrize("number", [False, True])
async def test_books_are_found_by_name_and_by_number(
    number: object, autojump_clock: MockClock
) -> None:
    async with open_bench(feed_id_number=number) as bench:
        assert statuses(bench)[-1] == (True, True, True)
        assert any(isinstance(event, BookSnapshot) for event in bench.events)
