"""Moonbase's adapter against its simulator: joins that run out, links that end, lost answers."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from typing import Any, TypeVar

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
    VenueError,
    VenueProtocolError,
)
from botkit.matching.exchange import OrderTerms
from botkit.model import (
    AskStatus,
    BookSnapshot,
    CancelOrder,
    ClientOrderId,
    ExecutionReport,
    FeedGap,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    SendFailed,
    Side,
    Trade,
    VenueOrderId,
    VenueStatus,
)
from botkit.ports import VenueSetup
from botkit.testing.network import open_network
from botkit.testing.simulated import START_NS, open_simulated
from botkit.transport import HttpReply, HttpRequest, Server, WsLink
from tests.unit.moonbase_bench import SYMBOL, Bench, case, open_bench, options
from venues.moonbase.rest import Nonces, fetch_info, open_rest
from venues.moonbase.venue import MoonbaseMarketData, MoonbaseVenue

E = TypeVar("E")
HOUR_S = 3_600.0


def setup(*symbols: str, **changes: Any) -> VenueSetup:
    return VenueSetup(
        name="moonbase",
        options=options("ws://exchange.test", **changes),
        symbols=symbols or (SYMBOL,),
        source="a.toml: venues.moonbase",
        now_ns=lambda: START_NS,
    )


def told(bench: Bench, kind: type[E]) -> list[E]:
    return [event for event in bench.events if isinstance(event, kind)]


def last_status(bench: Bench) -> tuple[bool, bool, bool]:
    status = told(bench, VenueStatus)[-1]
    return status.market_data, status.private, status.order_entry


@contextmanager
def raises(kind: type[BaseException], match: str = "") -> Iterator[None]:
    """Expect an exception that leaves nurseries in groups."""
    with pytest.RaisesGroup(
        pytest.RaisesExc(kind, match=match), allow_unwrapped=True, flatten_subgroups=True
    ):
        yield


@asynccontextmanager
async def served_again(bench: Bench) -> AsyncIterator[None]:
    """Serve the venue's next connection for the length of the block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.session.serve)
        await trio.sleep(1)
        yield
        nursery.cancel_scope.cancel()


# --- what the config may say --------------------------------------------------------------------


def test_more_channels_than_joins_is_a_config_error_that_says_what_to_do() -> None:
    symbols = [f"moonbase:A{number}:B" for number in range(6)]
    with pytest.raises(ConfigError, match=r"found 19 channels.*20 an hour.*less 4 for a watcher"):
        MoonbaseVenue.from_setup(setup(*symbols))
    assert MoonbaseVenue.market_data(setup(*symbols)).joins.limit == 16
    without_trades = MoonbaseVenue.from_setup(setup(*symbols, trades=False))
    assert len(without_trades.channels()) == 13


def test_joins_are_kept_for_a_watcher_and_for_reconnecting() -> None:
    joins = MoonbaseVenue.from_setup(setup()).joins
    assert (joins.limit, joins.reserve) == (16, 4)
    joins = MoonbaseVenue.from_setup(setup(joins_for_watcher=15)).joins
    assert (joins.limit, joins.reserve) == (5, 1)


def test_heartbeat_slower_than_the_venue_allows_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="heartbeat_every"):
        MoonbaseVenue.from_setup(setup(heartbeat_every="60s"))


async def test_instrument_the_venue_does_not_list_is_named_with_those_it_has(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case()) as pair:
        assert pair.network is not None
        venue = MoonbaseVenue.from_setup(setup("moonbase:XRP:BTC"))
        venue.network = Network(dial=pair.network.dial)
        with pytest.raises(ConfigError, match=r"'moonbase:XRP:BTC'.*has moonbase:ETC_D:BTC_D"):
            await venue.prepare()


async def test_grids_come_from_the_venue_and_sizes_from_the_config(
    autojump_clock: MockClock,
) -> None:
    sizes = {"ETH_D:BTC_D": {"min_trade_vol": "0.1", "min_notional": "0.001"}}
    async with open_simulated(case({"instruments": sizes})) as pair:
        await pair.subject.venue.prepare()
        instrument = pair.subject.venue.instruments[SYMBOL]
    assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.000001"), Decimal("0.01"))
    assert (instrument.min_trade_vol, instrument.min_notional) == (
        Decimal("0.1"),
        Decimal("0.001"),
    )
    assert (instrument.base, instrument.quote) == ("ETH_D", "BTC_D")


# --- connecting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "quirks"),
    [({"secret": "not-the-one"}, {}), ({}, {"signature": "client"}), ({"signature": "client"}, {})],
)
async def test_refused_handshake_names_what_to_look_at_and_shows_no_secret(
    changes: dict[str, Any], quirks: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with open_simulated(case(changes, **quirks)) as pair:
        venue = pair.subject.venue
        await venue.prepare()
        with pytest.raises(VenueAuthenticationError, match="secret and clock") as refused:
            await venue.run(lambda _: None, pair.subject.clock)
    assert "not-the-one" not in str(refused.value)
    assert "test-key" not in str(refused.value)


async def test_other_signature_variant_is_a_setting(autojump_clock: MockClock) -> None:
    async with open_bench({"signature": "client"}, signature="client") as bench:
        assert last_status(bench) == (True, True, True)


async def test_handshake_refused_later_is_a_lost_link(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        await bench.session.disconnect()
        bench.simulator.quirks["signature"] = "client"
        with pytest.raises(VenueDisconnectedError, match="403"):
            await bench.venue.run(lambda _: None, bench.pair.subject.clock)


async def test_nobody_listening_is_a_lost_link_and_costs_no_join(autojump_clock: MockClock) -> None:
    async with open_network() as network:
        venue = MoonbaseVenue.from_setup(setup())
        venue.network = Network(dial=network.dial)
        seen: list[Any] = []
        with pytest.raises(VenueDisconnectedError):
            await venue.run(seen.append, LiveClock(origin_ns=START_NS))
    assert isinstance(seen[0], FeedGap)
    assert venue.joins.left(urgent=True) == 16


async def test_link_that_is_cut_ends_the_run_and_says_that_nothing_is_ready(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case()) as pair:
        venue = pair.subject.venue
        seen: list[Any] = []
        await venue.prepare()

        async def cut() -> None:
            await trio.sleep(1)
            assert pair.network is not None
            pair.network.links[-1].cut()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            with pytest.raises(VenueDisconnectedError):
                await venue.run(seen.append, pair.subject.clock)
    last = [event for event in seen if isinstance(event, VenueStatus)][-1]
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
            with pytest.raises(FeedStaleError, match="no heartbeat within 10 s"):
                await venue.run(lambda _: None, pair.subject.clock)
    assert trio.current_time() <= 30 + 10 + 3  # heartbeat_every, heartbeat_within, close


async def test_heartbeats_keep_an_idle_link_open(autojump_clock: MockClock) -> None:
    async with open_bench(quiet=True) as bench:
        await trio.sleep(300)
        assert last_status(bench) == (True, True, True)


# --- joins --------------------------------------------------------------------------------------


async def test_orders_are_joined_before_anything_else(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        assert bench.simulator.sessions[0].topics == [
            "/orders/ETH_D:BTC_D",
            "/balances",
            "/orderbooks/ETH_D:BTC_D",
            "/trades/ETH_D:BTC_D",
        ]
        assert bench.simulator.joins("alice") == 4
        await trio.sleep(10)
        assert told(bench, Trade)


async def test_connection_waits_for_joins_and_cancels_go_by_rest_meanwhile(
    autojump_clock: MockClock,
) -> None:
    async with open_bench(pace=0.02) as bench:
        order = await bench.session.rest(order_qty=Decimal(9))
        for lots in range(1, 4):  # 16 joins of 20 are ours
            await bench.session.disconnect()
            async with served_again(bench):
                assert last_status(bench) == (True, True, True)
                order = await bench.session.rest(order_qty=Decimal(lots))
        assert bench.simulator.joins("alice") == 16
        dialled = len(bench.links)
        async with served_again(bench):
            assert (
                "no joins left this hour: connecting in 35" in told(bench, VenueStatus)[-1].reason
            )
            assert len(bench.links) == dialled  # a connection would be of no use yet
            assert len(bench.resting()) == 4
            bench.session.cancel(order)
            refused = bench.session.submit(Side.BUY, price=Decimal("0.04"))
            await trio.sleep(1)
            assert len(bench.resting()) == 3
            ended = bench.session.reports(order)[-1]
            assert (ended.ord_status, ended.client_order_id) == (
                OrdStatus.CANCELED,
                order.client_order_id,
            )
            (failed,) = told(bench, SendFailed)
            assert (failed.client_order_id, failed.reached_venue) == (
                refused.client_order_id,
                False,
            )
            await trio.sleep(HOUR_S)
            assert last_status(bench) == (True, True, True)


async def test_venue_that_counts_otherwise_is_obeyed(autojump_clock: MockClock) -> None:
    for place in ("payload", "response", "bare"):
        async with open_simulated(case(pace=0.02, joins_an_hour=2, error_place=place)) as pair:
            venue: Any = pair.subject.venue
            await venue.prepare()
            seen: list[Any] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(venue.run, seen.append, pair.subject.clock)
                await trio.sleep(10)
                status = [event for event in seen if isinstance(event, VenueStatus)][-1]
                # The two joins that there were went to our orders and balances.
                assert (status.market_data, status.private) == (False, True)
                assert len(venue.joins._taken) == 3  # tried once, and left alone since
                assert venue.requests.left() > 0
                await trio.sleep(HOUR_S)
                assert any(isinstance(event, BookSnapshot) for event in seen)
                nursery.cancel_scope.cancel()


async def test_slash_at_the_end_is_found_out_once(autojump_clock: MockClock) -> None:
    async with open_bench(trailing_slash=True) as bench:
        assert "/balances/" in bench.simulator.sessions[0].topics
        assert bench.venue.joins.left(urgent=True) == 16 - 5
        await bench.session.disconnect()
        async with served_again(bench):
            assert last_status(bench) == (True, True, True)
            assert bench.venue.joins.left(urgent=True) == 16 - 5 - 4


async def test_join_that_the_venue_refuses_ends_the_link_and_says_why(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case()) as pair:
        assert pair.network is not None
        venue = MoonbaseVenue.from_setup(setup("moonbase:NO:PAIR"))
        venue.network = Network(dial=pair.network.dial)
        with pytest.raises(VenueError, match=r"unmatched topic.*joining /orders/NO:PAIR"):
            await venue.run(lambda _: None, pair.subject.clock)


async def test_book_whose_channel_dies_is_void_until_it_is_joined_again(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        since = len(bench.events)
        bench.simulator.crash("/orderbooks/ETH_D:BTC_D")
        await trio.sleep(1)
        assert last_status(bench) == (False, True, True)
        gap = next(event for event in bench.events[since:] if isinstance(event, FeedGap))
        assert gap.symbol == SYMBOL
        await trio.sleep(2)  # rejoin_after
        assert last_status(bench) == (True, True, True)
        assert any(isinstance(event, BookSnapshot) for event in bench.events[since:])


async def test_market_data_leave_the_joins_kept_for_reconnecting_alone(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"joins_for_watcher": 11}, pace=0.02) as bench:  # 9 for us, 4 kept
        assert bench.venue.joins.left() == 1
        bench.simulator.crash("/orderbooks/ETH_D:BTC_D")
        await trio.sleep(5)
        assert last_status(bench) == (True, True, True)
        bench.simulator.crash("/orderbooks/ETH_D:BTC_D")
        await trio.sleep(60)
        assert last_status(bench) == (False, True, True)
        bench.simulator.crash("/orders/ETH_D:BTC_D")  # our orders may have them
        await trio.sleep(5)
        assert last_status(bench) == (False, True, True)
        await trio.sleep(HOUR_S)
        assert last_status(bench) == (True, True, True)


async def test_orders_whose_channel_dies_are_in_doubt_and_new_ones_not_sent(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        resting = await bench.session.rest()
        bench.simulator.crash("/orders/ETH_D:BTC_D")
        await trio.sleep(1)
        assert last_status(bench) == (True, False, False)
        refused = bench.session.submit(Side.BUY, price=Decimal("0.04"))
        bench.session.cancel(resting)
        await trio.sleep(0.5)
        assert [each.client_order_id for each in told(bench, SendFailed)] == [
            refused.client_order_id
        ]
        assert bench.resting() == []  # by REST
        await trio.sleep(2)
        assert last_status(bench) == (True, True, True)


async def test_order_without_an_answer_when_its_channel_dies_is_perhaps_placed(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        bench.links[-1].upward.stall(2)
        order = bench.session.submit(Side.BUY, price=Decimal("0.04"))
        await trio.sleep(0.1)
        bench.simulator.crash("/orders/ETH_D:BTC_D")
        await trio.sleep(0.1)
        (failed,) = told(bench, SendFailed)
        assert (failed.client_order_id, failed.reached_venue) == (order.client_order_id, True)


async def test_join_that_is_not_answered_ends_the_link(autojump_clock: MockClock) -> None:
    async def silent(_: HttpRequest, __: WsLink) -> None:
        await trio.sleep_forever()

    async def nothing(_: HttpRequest) -> HttpReply:
        await trio.lowlevel.checkpoint()
        return HttpReply(404, {}, b"")

    venue = MoonbaseVenue.from_setup(setup())
    async with open_network() as network:
        network.listen("exchange.test", 80, Server(http=nothing, ws=silent).serve)
        venue.network = Network(dial=network.dial)
        with pytest.raises(VenueError, match=r"joining .* was not answered within 5 s"):
            await venue.run(lambda _: None, LiveClock(origin_ns=START_NS))


# --- orders -------------------------------------------------------------------------------------


async def test_order_on_a_link_that_breaks_under_it_is_perhaps_placed(
    autojump_clock: MockClock,
) -> None:
    seen: list[Any] = []
    with raises(VenueDisconnectedError, "no room to send for 5 s"):
        async with open_bench() as bench:
            seen = bench.events
            bench.links[-1].upward.window = 0  # nothing more gets through
            bench.session.submit(Side.BUY, price=Decimal("0.03"))
            await trio.sleep(20)
    (failed,) = [event for event in seen if isinstance(event, SendFailed)]
    assert failed.reached_venue
    assert failed.text.startswith("perhaps sent")


async def test_order_that_cannot_be_said_is_not_sent(autojump_clock: MockClock) -> None:
    class Passed:
        request = NewOrder(
            client_order_id=ClientOrderId("b-1-1"),
            symbol=SYMBOL,
            strategy="s",
            side=Side.BUY,
            order_qty=Decimal(1),
            price=Decimal(1),
            post_only=True,
        )

    async with open_bench() as bench:
        passed: Any = Passed()
        bench.venue.submit(passed)
        await trio.sleep(1)
        (failed,) = told(bench, SendFailed)
    assert failed.text == "not sent: the venue has no post-only orders"
    assert not failed.reached_venue


async def test_questions_that_cannot_be_answered_are_not_answered_by_guesses(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        order = await bench.session.rest()
        assert bench.pair.network is not None
        bench.pair.network.close("exchange.test", 80)
        await trio.sleep(1)
        since = len(bench.events)
        bench.session.ask_status(order)
        bench.session.ask_listing(1)
        listing = await bench.session.expect(OrderListing, "listing")
        assert (listing.complete, listing.reports) == (False, ())
        assert not [e for e in bench.events[since:] if isinstance(e, ExecutionReport)]


async def test_fills_are_told_with_the_exchanges_own_prices_and_fees(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        for side in (Side.BUY, Side.SELL):
            order = bench.session.submit(
                side, order_qty=Decimal(40), price=await bench.session.crossing_price(side)
            )
            await bench.session.status(order, "end", OrdStatus.FILLED)
            fills = [each for each in bench.session.reports(order) if each.last_qty]
            account = bench.simulator.market.exchange.accounts["alice"]
            legs = [(each, leg) for each in account.executions for leg in each.legs("alice")]
            theirs = [
                (each.qty, each.price, leg.fee) for each, leg in legs if leg.order.side is side
            ]
            assert [(each.last_qty, each.last_px, each.commission) for each in fills] == theirs
            assert len(fills) > 1


async def test_stop_that_waits_is_new_and_trades_when_triggered(autojump_clock: MockClock) -> None:
    async with open_bench(quiet=True) as bench:
        market = bench.simulator.market
        for price in ("0.05", "0.06"):
            terms = OrderTerms(
                symbol="ETH_D:BTC_D", side=Side.SELL, order_qty=Decimal(1), price=Decimal(price)
            )
            market.tell(market.exchange.submit("bob", terms, market.catch_up()))
        stop = bench.session.submit(Side.BUY, ord_type=OrdType.STOP, stop_px=Decimal("0.05"))
        waiting = await bench.session.status(stop, "NEW report", OrdStatus.NEW)
        assert waiting.cum_qty == 0
        terms = OrderTerms(
            symbol="ETH_D:BTC_D", side=Side.BUY, order_qty=Decimal(1), price=Decimal("0.05")
        )
        market.tell(market.exchange.submit("carol", terms, market.catch_up()))
        filled = await bench.session.status(stop, "FILLED report", OrdStatus.FILLED)
        assert (filled.last_px, filled.last_qty) == (Decimal("0.06"), Decimal("0.5"))


async def test_rejection_keeps_the_venues_words(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        order = bench.session.submit(Side.BUY, price=Decimal("0.04"), order_qty=Decimal(1_000_000))
        report = await bench.session.status(order, "REJECTED report", OrdStatus.REJECTED)
    assert "insufficient_funds" in report.text
    assert "is free" in report.text


async def test_requests_beyond_the_rate_are_refused_and_cancels_still_go(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"max_requests_per_minute": 10}) as bench:
        prices = [Decimal(n).scaleb(-3) for n in range(11, 22)]
        orders = [bench.session.submit(Side.BUY, price=price) for price in prices]
        await trio.sleep(0.5)
        assert len(bench.resting()) == 9  # a tenth is kept for questions
        for order in orders[:9]:
            bench.session.cancel(order)
        await trio.sleep(1)
        failed = told(bench, SendFailed)
        assert [each.client_order_id for each in failed] == [
            order.client_order_id for order in orders[9:]
        ]
        assert "of 10 a minute" in failed[0].text
        assert bench.resting() == []


async def test_venue_that_wants_to_be_left_alone_is(autojump_clock: MockClock) -> None:
    async with open_bench(requests_a_minute=1) as bench:
        await bench.session.rest()
        refused = bench.session.submit(Side.BUY, price=Decimal("0.03"))
        report = await bench.session.status(refused, "REJECTED report", OrdStatus.REJECTED)
        assert "rate_limit_exceeded" in report.text
        bench.session.submit(Side.BUY, price=Decimal("0.04"))
        await trio.sleep(1)
        (failed,) = told(bench, SendFailed)
        assert "no request is left for" in failed.text
        await trio.sleep(60)
        later = bench.session.submit(Side.BUY, price=Decimal("0.02"))
        await bench.session.status(later, "NEW report", OrdStatus.NEW)


async def test_replace_is_refused_by_name(autojump_clock: MockClock) -> None:
    class Passed:
        request = ReplaceOrder(
            client_order_id=ClientOrderId("b-1-2"),
            orig_client_order_id=ClientOrderId("b-1-1"),
            symbol=SYMBOL,
            strategy="s",
            side=Side.BUY,
            order_qty=Decimal(1),
            price=Decimal(1),
        )

    async with open_bench() as bench:
        passed: Any = Passed()
        bench.venue.replace(passed)
        (failed,) = told(bench, SendFailed)
    assert "Moonbase cannot change an order" in failed.text


# --- external ids -------------------------------------------------------------------------------


async def test_external_ids_name_orders_where_the_venue_keeps_them(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"external_id": "send"}, takes_external_id=True) as bench:
        order = await bench.session.rest()
        bench.session.ask_listing(1)
        listing = await bench.session.expect(OrderListing, "listing")
        assert listing.complete
        assert [each.client_order_id for each in listing.reports] == [order.client_order_id]


async def test_no_listing_is_complete_until_external_ids_were_seen_to_be_kept(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"external_id": "send"}) as bench:
        await bench.session.rest()
        bench.session.ask_listing(1)
        listing = await bench.session.expect(OrderListing, "listing")
        assert not listing.complete
        assert len(listing.reports) == 1


# --- questions ----------------------------------------------------------------------------------


async def test_order_the_venue_ended_while_nobody_heard_is_found(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        order = await bench.session.rest()
        venue_id = bench.session.venue_id(order)
        await bench.session.disconnect()
        market = bench.simulator.market
        market.tell(market.exchange.cancel("alice", int(venue_id or 0), market.catch_up()))
        since = len(bench.events)
        async with served_again(bench):
            bench.session.ask_status(order)
            await trio.sleep(1)
        reports = [e for e in bench.events[since:] if isinstance(e, ExecutionReport)]
        assert [each.ord_status for each in reports] == [OrdStatus.CANCELED]


@pytest.mark.parametrize("venue_id", ["999999", None, "x"])
async def test_nothing_is_said_of_an_order_the_venue_does_not_list(
    venue_id: str | None, autojump_clock: MockClock
) -> None:
    async with open_bench() as bench:
        await bench.session.rest()
        await trio.sleep(1)
        since = len(bench.events)
        bench.venue.ask(
            AskStatus(
                client_order_id=ClientOrderId("b-1-1"),
                symbol=SYMBOL,
                venue_order_id=None if venue_id is None else VenueOrderId(venue_id),
            )
        )
        await trio.sleep(10)
        assert not [e for e in bench.events[since:] if isinstance(e, ExecutionReport)]


async def test_cancel_of_an_order_nobody_knows_the_id_of_is_declined(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        for number, venue_id in enumerate((None, VenueOrderId("x"))):
            bench.venue.cancel(
                CancelOrder(
                    client_order_id=ClientOrderId(f"b-1-{number}"),
                    symbol=SYMBOL,
                    venue_order_id=venue_id,
                )
            )
        await trio.sleep(1)
        rejects = told(bench, OrderCancelReject)
    assert [each.unknown_order for each in rejects] == [True, True]


async def test_listing_reads_every_page_back_to_its_time(autojump_clock: MockClock) -> None:
    async with open_bench(quiet=True) as bench:
        market = bench.simulator.market
        for number in range(2_500):
            terms = OrderTerms(
                symbol="ETH_D:BTC_D",
                side=Side.BUY,
                order_qty=Decimal("0.01"),
                price=Decimal("0.01"),
            )
            market.exchange.submit("alice", terms, market.catch_up())
            if number % 500 == 0:
                await trio.sleep(1)
        bench.session.ask_listing(1)
        listing = await bench.session.expect(OrderListing, "listing")
        assert listing.complete
        assert len(listing.reports) == 2_500
        ids = [int(each.venue_order_id or 0) for each in listing.reports]
        assert ids == sorted(ids)


# --- REST ---------------------------------------------------------------------------------------


@asynccontextmanager
async def rest_against(answer: Any, **changes: Any) -> AsyncIterator[Any]:
    """Give REST calls to a server that answers each by `answer(request)`."""

    async def http(request: HttpRequest) -> HttpReply:
        reply: HttpReply = await answer(request)
        return reply

    venue = MoonbaseVenue.from_setup(setup(**changes))
    async with open_network() as network:
        network.listen("exchange.test", 80, Server(http=http).serve)
        reach = Network(dial=network.dial)
        nonces = Nonces(lambda: START_NS)
        async with open_rest(venue.options, reach, nonces, venue.requests) as rest:
            yield rest


async def test_calls_go_one_at_a_time_with_rising_nonces_and_cancels_first(
    autojump_clock: MockClock,
) -> None:
    seen: list[tuple[str, int]] = []
    busy = 0

    async def answer(request: HttpRequest) -> HttpReply:
        nonlocal busy
        assert not busy
        busy += 1
        await trio.sleep(1)
        busy -= 1
        seen.append((request.method, int(request.headers["x-nonce"])))
        return HttpReply(404, {}, b'{"type":"not_found","details":{}}')

    async def look(rest: Any) -> None:
        with raises(VenueError, "not_found.*GET /my/orders"):
            await rest.orders("ETH_D:BTC_D", 0)

    async with rest_against(answer) as rest, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(look, rest)
        await trio.sleep(0.5)
        for order_id in (1, 2):
            nursery.start_soon(rest.cancel, order_id)
        await trio.sleep(0.1)
        with trio.move_on_after(0.1):  # one that is canceled leaves the queue
            await rest.cancel(3)
    assert [method for method, _ in seen] == ["GET", "PUT", "PUT", "GET", "GET"]
    nonces = [nonce for _, nonce in seen]
    assert nonces == sorted(set(nonces))


async def test_rate_limit_by_rest_holds_further_requests(autojump_clock: MockClock) -> None:
    async def answer(_: HttpRequest) -> HttpReply:
        body = b'{"type":"rate_limit_exceeded","details":{"retry_after":30}}'
        return HttpReply(429, {}, body)

    async with rest_against(answer) as rest:
        for _ in range(2):
            with pytest.raises(VenueError, match="rate_limit_exceeded"):
                await rest.orders("ETH_D:BTC_D", 0)
    assert trio.current_time() >= 30


async def test_page_that_does_not_go_back_is_a_protocol_error(autojump_clock: MockClock) -> None:
    row = (
        b'{"id":5,"symbol":"ETH_D:BTC_D","requested_amount":1,"limit_price":1,"filled_amount":0,'
        b'"fee":0,"is_active":true,"inserted_at":"2026-01-01T00:00:00"}'
    )

    async def answer(_: HttpRequest) -> HttpReply:
        return HttpReply(200, {}, b"[" + row + b"]")

    async with rest_against(answer) as rest:
        with pytest.raises(VenueProtocolError, match="before 5 begins with 5"):
            await rest.orders("ETH_D:BTC_D", 0)


async def test_list_of_markets_that_does_not_come_is_an_error(autojump_clock: MockClock) -> None:
    async def http(_: HttpRequest) -> HttpReply:
        await trio.lowlevel.checkpoint()
        return HttpReply(502, {}, b"")

    async with open_network() as network:
        network.listen("exchange.test", 80, Server(http=http).serve)
        with pytest.raises(VenueError, match="answered 502"):
            await fetch_info(MoonbaseVenue.from_setup(setup()).options, Network(dial=network.dial))


async def test_cancel_by_rest_that_is_not_answered_is_perhaps_done(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        order = await bench.session.rest()
        bench.simulator.crash("/orders/ETH_D:BTC_D")
        await trio.sleep(0.1)
        assert bench.pair.network is not None
        bench.pair.network.on_link = lambda link: link.downward.stall(100)
        bench.session.cancel(order)
        await trio.sleep(6)
        (failed,) = told(bench, SendFailed)
        assert failed.reached_venue
        bench.pair.network.on_link = None
        bench.pair.network.close("exchange.test", 80)
        bench.simulator.crash("/orders/ETH_D:BTC_D")
        await trio.sleep(0.1)
        bench.session.cancel(order)
        await trio.sleep(1)
        assert [each.reached_venue for each in told(bench, SendFailed)] == [True, False]


async def test_cancel_by_rest_that_the_venue_declines_is_told(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        order = await bench.session.rest()
        bench.session.cancel(order)
        await bench.session.status(order, "CANCELED report", OrdStatus.CANCELED)
        bench.simulator.crash("/orders/ETH_D:BTC_D")
        await trio.sleep(0.1)
        bench.session.cancel(order)
        reject = await bench.session.expect(OrderCancelReject, "reject")
    assert "order_closed" in reject.text


# --- dry run ------------------------------------------------------------------------------------


async def test_market_data_alone_joins_no_channel_of_orders_and_sends_none(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case()) as pair:
        venue = MoonbaseVenue.market_data(setup())
        assert isinstance(venue, MoonbaseMarketData)
        assert not isinstance(venue, MoonbaseVenue)
        assert pair.network is not None
        venue.network = Network(dial=pair.network.dial)
        await venue.prepare()
        seen: list[Any] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(venue.run, seen.append, pair.subject.clock)
            await trio.sleep(5)
            simulator: Any = pair.simulator
            assert simulator.sessions[0].topics == [
                "/orderbooks/ETH_D:BTC_D",
                "/trades/ETH_D:BTC_D",
            ]
            nursery.cancel_scope.cancel()
    status = [event for event in seen if isinstance(event, VenueStatus)][-2]
    assert (status.market_data, status.private, status.order_entry) == (True, False, False)
    assert not hasattr(venue, "submit")


def test_order_can_only_be_asked_for_through_the_gate() -> None:
    order = NewOrder(
        client_order_id=ClientOrderId("b-1-1"),
        symbol=SYMBOL,
        strategy="s",
        side=Side.BUY,
        order_qty=Decimal(1),
    )
    venue = MoonbaseVenue.from_setup(setup())
    unapproved: Any = order
    with pytest.raises(AttributeError):
        venue.submit(unapproved)
