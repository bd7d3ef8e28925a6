"""Peatio's adapter beside its simulator: what goes wrong, and what becomes of our orders then."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import DryRunVenue, Network
from botkit.clock import LiveClock
from botkit.config import DryRunOptions
from botkit.errors import (
    ConfigError,
    FeedStaleError,
    VenueAuthenticationError,
    VenueUnreachableError,
)
from botkit.matching.exchange import OrderState
from botkit.model import (
    Balance,
    BookSnapshot,
    Event,
    ExecutionReport,
    FeedGap,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    OrdType,
    RequestKind,
    SendFailed,
    Side,
    Trade,
    VenueOrderId,
    VenueStatus,
)
from botkit.ports import VenueSetup
from botkit.testing.network import open_network
from botkit.testing.simulated import START_NS, open_simulated
from tests.unit.peatio_bench import ISSUER, Bench, case, open_bench, options
from venues.peatio.rest import Rest, TradingRest
from venues.peatio.venue import PeatioMarketData, PeatioVenue

FIRST, SECOND = "websocket_api", "ranger"
BOTH = pytest.mark.parametrize("generation", [FIRST, SECOND])


def statuses(bench: Bench, order: NewOrder) -> list[OrdStatus]:
    return [each.ord_status for each in bench.session.reports(order)]


def of(bench: Bench, kind: type[Any], since: int = 0) -> list[Any]:
    return [event for event in bench.events[since:] if isinstance(event, kind)]


async def fails(
    generation: str,
    changes: Mapping[str, Any],
    error: type[Exception],
    *,
    black_hole: bool = False,
    **quirks: Any,
) -> str:
    """Run a venue that cannot go on; return what it says."""
    async with open_simulated(case(generation, changes, **quirks)) as pair:
        venue, network = pair.subject.venue, pair.network
        assert network is not None
        await venue.prepare()
        links = len(network.links)

        async def fall_silent() -> None:
            await trio.sleep(1)
            network.links[links].black_hole()

        async with trio.open_nursery() as nursery:
            if black_hole:
                nursery.start_soon(fall_silent)
            with pytest.raises(error) as caught, trio.fail_after(120):
                await venue.run(lambda _: None, pair.subject.clock)
        return str(caught.value)


# --- connecting ---------------------------------------------------------------------------------


@BOTH
async def test_a_token_the_venue_does_not_take_ends_the_venue(
    generation: str, autojump_clock: MockClock
) -> None:
    token = ISSUER.issue("alice", sub="other")
    text = await fails(generation, {"token": token}, VenueAuthenticationError)
    assert "token" in text
    assert token not in text


@pytest.mark.parametrize(("generation", "what"), [(FIRST, "nothing heard"), (SECOND, "no pong")])
async def test_a_link_that_is_half_open_is_found_by_its_heartbeat(
    generation: str, what: str, autojump_clock: MockClock
) -> None:
    assert what in await fails(generation, {}, FeedStaleError, black_hole=True)
    assert trio.current_time() < 50


@BOTH
async def test_nobody_listening_is_a_lost_link(generation: str, autojump_clock: MockClock) -> None:
    async with open_network() as network:
        clock = LiveClock(origin_ns=START_NS)
        setup = VenueSetup(
            name="peatio",
            options=options("ws://peatio.test", generation),
            symbols=("peatio:btcusd",),
            source="test",
            now_ns=clock.now_ns,
        )
        venue = PeatioVenue.from_setup(setup)
        venue.network = Network(dial=network.dial)
        told: list[Event] = []
        with pytest.raises(VenueUnreachableError):
            await venue.run(told.append, clock)
    assert isinstance(told[0], FeedGap)


@pytest.mark.parametrize(
    ("symbols", "grids", "why"),
    [
        (("peatio:dashusd",), {}, "'peatio:dashusd', which the venue does not list; it has peatio"),
        (("peatio:btcusd",), {"btcusd": {"lot_size": "0"}}, "lot_size"),
    ],
)
async def test_instruments_that_cannot_be_made_are_named(
    symbols: tuple[str, ...], grids: Mapping[str, Any], why: str, autojump_clock: MockClock
) -> None:
    async with open_simulated(case(FIRST)) as pair:
        assert pair.network is not None
        setup = VenueSetup(
            name="peatio",
            options=options("ws://exchange.test", FIRST, instruments=grids),
            symbols=symbols,
            source="a.toml: venues.peatio",
            now_ns=pair.subject.clock.now_ns,
        )
        network = Network(dial=pair.network.dial)

        async def prepare() -> None:
            venue = PeatioVenue.from_setup(setup)
            venue.network = network
            await venue.prepare()

        with pytest.raises(ConfigError, match=why):
            await prepare()


async def test_grids_come_from_the_venue_where_it_tells_them(autojump_clock: MockClock) -> None:
    grids = {"btcusd": {"tick_size": "0.5"}}
    for generation, lot in ((FIRST, "0.00000001"), (SECOND, "0.0001")):
        async with open_simulated(case(generation, {"instruments": grids})) as pair:
            await pair.subject.venue.prepare()
            instrument = pair.subject.venue.instruments["peatio:btcusd"]
            assert (instrument.base, instrument.quote) == ("BTC", "USD")
            assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.5"), Decimal(lot))


# --- books --------------------------------------------------------------------------------------


async def test_a_gap_in_the_sequence_has_the_book_sent_again(autojump_clock: MockClock) -> None:
    async with open_bench(SECOND, gap_every=7) as bench:
        await trio.sleep(20)
        gaps = [each for each in of(bench, FeedGap) if each.symbol]
        assert gaps
        assert len(of(bench, BookSnapshot)) > len(gaps) / 2
        assert not bench.session.book.is_crossed


async def test_market_data_wait_for_the_first_snapshot(autojump_clock: MockClock) -> None:
    async with open_simulated(case(SECOND, first_snapshot_s=10.0)) as pair:
        venue, told = pair.subject.venue, list[Event]()
        await venue.prepare()
        with trio.move_on_after(5):
            await venue.run(told.append, pair.subject.clock)
        assert not any(isinstance(e, VenueStatus) and e.market_data for e in told)


async def test_the_first_generations_book_is_compared_with_rest(autojump_clock: MockClock) -> None:
    async with open_bench(FIRST, {"check_books_every": "1s"}) as bench:
        await trio.sleep(10)
        bench.simulator.market.pause(paused=True)
        await trio.sleep(0.5)  # so that everything is told
        market = bench.simulator.market.exchange.markets["btcusd"]
        bids = market.levels(Side.BUY, 300)
        assert [(float(px), float(qty)) for px, qty, _ in bids] == bench.session.book.bids(300)


@BOTH
async def test_prints_and_balances_are_told(generation: str, autojump_clock: MockClock) -> None:
    async with open_bench(generation) as bench:
        await trio.sleep(30)
        prints = of(bench, Trade)
        assert prints
        assert len({each.trade_id for each in prints}) == len(prints)
        assert {each.currency for each in of(bench, Balance)} == {"BTC", "ETH", "USD"}


# --- orders -------------------------------------------------------------------------------------


@BOTH
async def test_an_order_is_followed_from_pending_to_its_end(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation, answer_first=True) as bench:
        order = await bench.session.rest()
        assert statuses(bench, order)[:2] == [OrdStatus.PENDING_NEW, OrdStatus.NEW]
        named = [r.client_order_id for r in bench.session.reports(order)]
        assert named[0] == order.client_order_id
        bench.session.cancel(order)
        await bench.session.status(order, "end", OrdStatus.CANCELED)
        assert bench.resting() == []


@BOTH
async def test_an_order_that_the_feed_told_first_is_matched_by_its_answer(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation, answer_first=False) as bench:
        order = await bench.session.rest()
        await trio.sleep(1)
        last = bench.session.reports(order)[-1]
        assert last.client_order_id == order.client_order_id


@BOTH
async def test_an_answer_a_proxy_hides_leaves_the_order_unknown(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation, bad_gateway_every=1) as bench:
        price = await bench.session.far_price(Side.BUY)
        order = bench.session.submit(Side.BUY, price=price)
        await trio.sleep(2)
        (failed,) = of(bench, SendFailed)
        assert (failed.client_order_id, failed.reached_venue) == (order.client_order_id, True)
        assert bench.resting() == [(Side.BUY, price)]
        bench.session.ask_listing(7)
        listing = await bench.session.expect(OrderListing, "listing")
        assert listing.complete
        assert [(r.side, r.price, r.ord_status) for r in listing.reports] == [
            (Side.BUY, price, OrdStatus.NEW)
        ]


@BOTH
async def test_what_the_venue_refuses_is_rejected(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation, reject_late=False) as bench:
        price = await bench.session.far_price(Side.BUY)
        order = bench.session.submit(Side.BUY, price=price, order_qty=Decimal(9_000))
        end = await bench.session.status(order, "refusal", OrdStatus.REJECTED)
        assert end.client_order_id == order.client_order_id
        assert "422" in end.text


async def test_what_the_engine_refuses_later_is_rejected_too(autojump_clock: MockClock) -> None:
    async with open_bench(SECOND, reject_late=True) as bench:
        price = await bench.session.far_price(Side.BUY)
        order = bench.session.submit(Side.BUY, price=price, order_qty=Decimal(9_000))
        await bench.session.status(order, "refusal", OrdStatus.REJECTED)
        assert OrdStatus.PENDING_NEW in statuses(bench, order)


async def test_what_is_left_of_a_market_order_is_asked_for(autojump_clock: MockClock) -> None:
    """The first generation has no word for its end."""
    async with open_bench(FIRST) as bench:
        order = bench.session.submit(
            Side.SELL, ord_type=OrdType.MARKET, order_qty=Decimal("9.9999")
        )
        end = await bench.session.status(order, "end", OrdStatus.CANCELED)
        await trio.sleep(2)
        fills = [r.last_qty for r in bench.session.reports(order)]
        assert end.cum_qty == sum(fills, Decimal(0))


@BOTH
async def test_a_cancel_that_comes_too_late_ends_in_what_the_order_is(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation, cancel_delay_s=3.0) as bench:
        order = await bench.session.rest()
        bench.session.cancel(order)
        await trio.sleep(0.5)
        assert bench.pair.subject.trade is not None
        assert order.price is not None
        await bench.pair.subject.trade(Side.SELL, order.price, order.order_qty)
        await bench.session.status(order, "fill", OrdStatus.FILLED)
        assert OrdStatus.CANCELED not in statuses(bench, order)


@BOTH
async def test_a_cancel_nothing_is_told_of_is_asked_for(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation, cancel_delay_s=60.0) as bench:
        order = await bench.session.rest()
        since = len(bench.events)
        bench.session.cancel(order)
        await trio.sleep(3)
        told = [r.ord_status for r in of(bench, ExecutionReport, since)]
        assert told == [OrdStatus.NEW]


@BOTH
async def test_a_cancel_that_cannot_be_asked_for_is_told_as_perhaps_arrived(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation, cancel_delay_s=60.0) as bench:
        order = await bench.session.rest()
        bench.session.cancel(order)
        await trio.sleep(0.5)
        assert bench.pair.network is not None
        for link in bench.pair.network.links:
            if link is not bench.socket:
                link.cut()
        bench.pair.network.close("exchange.test", 80)
        failed = await bench.session.expect(SendFailed, "word that nobody knows")
        assert failed.client_order_id == order.client_order_id
        assert (failed.request, failed.reached_venue) == (RequestKind.CANCEL, True)


@BOTH
async def test_cancels_of_orders_that_are_not_there_are_declined(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation) as bench:
        for told_id in (None, VenueOrderId("777"), VenueOrderId("x")):
            bench.session.cancel_by(bench.session.unknown_id(), told_id)
        await trio.sleep(1)
        assert [each.unknown_order for each in of(bench, OrderCancelReject)] == [True] * 3
        order = await bench.session.rest()
        for _ in range(2):
            bench.session.cancel(order)
            await trio.sleep(1)
        assert of(bench, OrderCancelReject)[-1].ord_status is OrdStatus.CANCELED


@BOTH
async def test_status_of_an_order_tells_its_fills_once(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation) as bench:
        order = bench.session.submit(Side.BUY, price=await bench.session.crossing_price(Side.BUY))
        await bench.session.status(order, "fill", OrdStatus.FILLED)
        await trio.sleep(1)
        bench.session.ask_status(order)
        await trio.sleep(1)
        fills = [r.exec_id for r in bench.session.reports(order) if r.last_qty]
        assert len(set(fills)) == len(fills)
        bench.session.ask_listing(3)
        listing = await bench.session.expect(OrderListing, "listing")
        assert [r.exec_id for r in listing.reports if r.last_qty] == fills


@BOTH
async def test_orders_beyond_our_own_rate_are_refused_and_cancels_are_not(
    generation: str, autojump_clock: MockClock
) -> None:
    changes = {"max_requests_per_second": 6, "cancel_reserve": 3}
    async with open_bench(generation, changes) as bench:
        order = await bench.session.rest()
        await trio.sleep(3)
        for _ in range(6):
            bench.session.submit(Side.BUY, price=order.price)
        for _ in range(8):
            bench.session.cancel(order)
        await trio.sleep(1)
        refused = [each for each in of(bench, SendFailed) if "requests a second" in each.text]
        assert 3 <= len(refused) <= 6
        assert not any(each.reached_venue for each in refused)
        assert OrdStatus.CANCELED in [r.ord_status for r in bench.session.reports(order)]


# --- the end of a link --------------------------------------------------------------------------


@BOTH
async def test_losing_the_feed_is_told_at_once_and_new_orders_are_not_sent(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation) as bench:
        await bench.session.rest()
        bench.socket.cut()
        await bench.session.link_down.wait()
        status = of(bench, VenueStatus)[-1]
        assert (status.market_data, status.private, status.order_entry) == (False, False, False)
        bench.session.submit(Side.BUY, price=Decimal(40_000))
        assert not of(bench, SendFailed)[-1].reached_venue


@BOTH
async def test_an_order_of_an_earlier_run_is_canceled_by_the_venues_id(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation) as bench:
        simulator, price = bench.simulator, await bench.session.far_price(Side.BUY)
        asked = {"market": "btcusd", "side": "buy", "volume": "0.01", "price": str(price)}
        earlier = simulator.place(simulator.members[0], asked)
        assert isinstance(earlier, OrderState)
        name, venue_id = bench.session.unknown_id(), VenueOrderId(str(earlier.order_id))
        bench.session.cancel_by(name, venue_id)
        await trio.sleep(2)
        assert bench.resting() == []
        ended = [r for r in of(bench, ExecutionReport) if r.venue_order_id == venue_id]
        assert ended[-1].ord_status is OrdStatus.CANCELED


@BOTH
async def test_rest_that_fails_leaves_a_listing_incomplete_and_cancels_to_be_tried_again(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation) as bench:
        order = await bench.session.rest()
        assert bench.pair.network is not None
        for link in bench.pair.network.links:
            if link is not bench.socket:
                link.cut()
        bench.pair.network.close("exchange.test", 80)
        bench.session.ask_listing(5)
        bench.session.cancel(order)
        bench.session.ask_status(order)
        bench.session.submit(Side.BUY, price=order.price)
        listing = await bench.session.expect(OrderListing, "listing")
        assert not listing.complete
        await trio.sleep(1)
        assert [each.reached_venue for each in of(bench, SendFailed)] == [False]
        bench.pair.network.listen("exchange.test", 80, bench.simulator.server.serve)
        await trio.sleep(5)  # the longest pause between two attempts to cancel
        assert bench.resting() == []


@BOTH
async def test_open_orders_are_told_again_after_reconnecting(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation) as bench:
        order = await bench.session.rest()
        await bench.session.disconnect()
        since = len(bench.events)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.session.serve)
            await trio.sleep(1)
            told = of(bench, ExecutionReport, since)
            assert [(r.client_order_id, r.ord_status) for r in told] == [
                (order.client_order_id, OrdStatus.NEW)
            ]
            nursery.cancel_scope.cancel()


@BOTH
async def test_an_order_under_way_when_the_link_ends_is_perhaps_there(
    generation: str, autojump_clock: MockClock
) -> None:
    async with open_bench(generation) as bench:
        assert bench.pair.network is not None
        for link in bench.pair.network.links:
            if link is not bench.socket:
                link.stall(60)
        order = bench.session.submit(Side.BUY, price=Decimal(40_000))
        await trio.sleep(0.1)
        await bench.session.disconnect()
        (failed,) = of(bench, SendFailed)
        assert (failed.client_order_id, failed.reached_venue) == (order.client_order_id, True)


# --- without orders -----------------------------------------------------------------------------


@BOTH
async def test_a_dry_run_has_no_way_to_send_an_order(
    generation: str, autojump_clock: MockClock
) -> None:
    keyless = {"token": None} if generation == SECOND else {}
    async with open_simulated(case(generation)) as pair:
        assert pair.network is not None
        setup = VenueSetup(
            name="peatio",
            options=options("ws://exchange.test", generation, **keyless),
            symbols=("peatio:btcusd",),
            source="test",
            now_ns=pair.subject.clock.now_ns,
        )
        source = PeatioVenue.market_data(setup)
        assert type(source) is PeatioMarketData
        source.network = Network(dial=pair.network.dial)
        async with source._open_rest() as rest:
            assert type(rest) is Rest
            assert not hasattr(rest, "place")
            assert not isinstance(rest, TradingRest)
        venue = DryRunVenue(source, DryRunOptions(balances={"USD": Decimal(1_000)}))
        await venue.prepare()
        told: list[Event] = []
        with trio.move_on_after(20):
            await venue.run(told.append, pair.subject.clock)
        assert any(isinstance(event, VenueStatus) and event.up for event in told)
        assert any(isinstance(event, BookSnapshot) for event in told)
        report = pair.simulator.market.report(pair.simulator.members)
        assert [each["orders"] for each in report.values()] == [0, 0, 0]
