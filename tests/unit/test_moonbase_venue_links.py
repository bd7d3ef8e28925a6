"""Moonbase's adapter against its simulator: options, joins that run out, links that end."""

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
    VenueError,
)
from botkit.model import (
    BookSnapshot,
    ClientOrderId,
    FeedGap,
    NewOrder,
    OrdStatus,
    SendFailed,
    Side,
    Trade,
    VenueStatus,
)
from botkit.testing.network import open_network
from botkit.testing.simulated import START_NS, open_simulated
from botkit.transport import HttpReply, HttpRequest, Server, WsLink
from tests.unit.moonbase_bench import SYMBOL, Bench, case, open_bench
from tests.unit.moonbase_venue_bench import served_again, setup, told
from venues.moonbase.venue import MoonbaseMarketData, MoonbaseVenue

HOUR_S = 3_600.0


def last_status(bench: Bench) -> tuple[bool, bool, bool]:
    status = told(bench, VenueStatus)[-1]
    return status.market_data, status.private, status.order_entry


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
