"""BlinkTrade's adapter against its simulator: options, links that end, books that break, REST."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import attrs
import pytest
import trio
import trio.lowlevel
import trio.testing
from trio.testing import MockClock

from botkit.adapter import Network
from botkit.clock import LiveClock
from botkit.errors import (
    ConfigError,
    FeedStaleError,
    OrderOutcomeUnknownError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
)
from botkit.model import (
    BookSnapshot,
    CancelOrder,
    ExecutionReport,
    FeedGap,
    OrdStatus,
    Side,
    TimeInForce,
    VenueStatus,
)
from botkit.ports import VenueSetup
from botkit.testing.conformance_session import Session
from botkit.testing.network import open_network
from botkit.testing.simulated import START_NS, SimulatedVenuePair, open_simulated
from botkit.transport import HttpReply, HttpRequest, Server, WsLink, open_http
from tests.unit.blinktrade_bench import Bench, case, open_bench, options
from tests.unit.blinktrade_venue_bench import SYMBOL, open_ending, ready, told
from venues.blinktrade import outbound
from venues.blinktrade.options import BlinkTradeOptions
from venues.blinktrade.rest import Bridge
from venues.blinktrade.simulator import BlinkTradeSimulator
from venues.blinktrade.venue import BlinkTradeMarketData, BlinkTradeVenue


def setup(symbols: tuple[str, ...] = (SYMBOL,), **changes: Any) -> VenueSetup:
    return VenueSetup(
        name="blinktrade",
        options=options("ws://exchange.test", **changes),
        symbols=symbols,
        source="a.toml: venues.blinktrade",
        now_ns=lambda: START_NS,
    )


def reach(venue: BlinkTradeMarketData, pair: SimulatedVenuePair) -> None:
    """Put the pair's network under another venue."""
    assert pair.network is not None
    venue.network = Network(dial=pair.network.dial)


def put(bench: Bench, message: dict[str, Any]) -> None:
    """Have the exchange say something to the bot's session."""
    bench.simulator.sessions[-1]._put(message)


def book_id(bench: Bench) -> int:
    return max(bench.simulator.sessions[-1]._feeds)


# --- options and instruments --------------------------------------------------------------------


async def test_orders_need_a_key_and_a_password(autojump_clock: MockClock) -> None:
    plain = dict(options("ws://exchange.test"))
    del plain["key"], plain["password"]
    lacking = VenueSetup(name="b", options=plain, symbols=(), source="a.toml: venues.b")
    with pytest.raises(ConfigError) as refused:
        BlinkTradeVenue.from_setup(lacking)
    assert len(refused.value.problems) == 2
    assert "dry run does not" in str(refused.value)
    assert not hasattr(BlinkTradeVenue.market_data(lacking), "submit")


async def test_market_data_need_no_login(autojump_clock: MockClock) -> None:
    plain = dict(options("ws://exchange.test"))
    del plain["key"], plain["password"]
    async with open_simulated(case()) as pair:
        venue = BlinkTradeVenue.market_data(
            VenueSetup(name="blinktrade", options=plain, symbols=(SYMBOL,), source="t")
        )
        reach(venue, pair)
        await venue.prepare()
        events: list[Any] = []
        with trio.move_on_after(5):
            await venue.run(events.append, pair.subject.clock)
    assert any(isinstance(event, BookSnapshot) for event in events)
    states = [event for event in events if isinstance(event, VenueStatus)]
    assert [each.market_data for each in states] == [False, True, False]
    assert not any(each.order_entry for each in states)
    exchange = pair.simulator.market.exchange
    assert {account.orders_received for name, account in exchange.accounts.items()
            if name in ("alice", "bob", "carol")} == {0}  # fmt: skip


async def test_what_a_dry_run_is_given_has_no_way_to_send_an_order() -> None:
    held = BlinkTradeVenue.market_data(setup())
    for name in ("submit", "replace", "cancel", "ask", "_desk", "_bridge"):
        assert not hasattr(held, name)


async def test_grids_come_from_the_pip_unless_the_config_has_them(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case()) as pair:
        await pair.subject.venue.prepare()
        told_grid = pair.subject.venue.instruments[SYMBOL]
    async with open_simulated(case({"instruments": {"BTCUSD": {"tick_size": "0.5"}}})) as pair:
        await pair.subject.venue.prepare()
        own_grid = pair.subject.venue.instruments[SYMBOL]
    assert (told_grid.tick_size, told_grid.lot_size) == (Decimal("0.01"), Decimal("0.000001"))
    assert (own_grid.tick_size, own_grid.lot_size) == (Decimal("0.5"), Decimal("1e-8"))
    assert (own_grid.base, own_grid.quote) == ("BTC", "USD")
    assert own_grid.min_trade_vol == Decimal("0.0001")


async def test_instrument_the_venue_does_not_list_is_named_with_those_it_has(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case()) as pair:
        venue = BlinkTradeVenue.from_setup(setup(symbols=("blinktrade:BTCPKR",)))
        reach(venue, pair)
        with pytest.raises(ConfigError, match=r"'blinktrade:BTCPKR'.*it has blinktrade:BTCUSD"):
            await venue.prepare()


def test_abilities_are_what_the_config_says_the_broker_takes() -> None:
    changes: dict[str, Any] = {"times_in_force": ["GTC"], "post_only": False, "secret": "s"}
    can = BlinkTradeVenue.from_setup(setup(**changes)).capabilities
    assert can.times_in_force == {TimeInForce.GTC}
    assert not can.post_only
    assert can.rest_cancel
    assert not can.replace
    assert not BlinkTradeVenue.from_setup(setup()).capabilities.rest_cancel


# --- links that end -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"password": "not-the-one"}, {"key": "nobodys"}, {"broker_id": 3}]
)
async def test_refused_login_is_an_authentication_error_that_shows_no_secret(
    changes: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with open_simulated(case(changes)) as pair:
        await pair.subject.venue.prepare()
        with pytest.raises(VenueAuthenticationError, match="INVALID_USERNAME") as refused:
            await pair.subject.venue.run(lambda _: None, pair.subject.clock)
    assert "not-the-one" not in str(refused.value)
    assert isinstance(pair.subject.venue, BlinkTradeVenue)
    assert "not-the-one" not in repr(pair.subject.venue.options)


async def test_second_factor_is_asked_for_by_name(autojump_clock: MockClock) -> None:
    user = {"key": "alice"}
    async with open_simulated(case(user, second_factor="123456")) as pair:
        await pair.subject.venue.prepare()
        with pytest.raises(VenueAuthenticationError, match="set second_factor"):
            await pair.subject.venue.run(lambda _: None, pair.subject.clock)
    async with open_bench({**user, "second_factor": "123456"}, second_factor="123456") as bench:
        assert ready(bench) == (True, True, True)


async def test_nobody_listening_is_a_lost_link(autojump_clock: MockClock) -> None:
    async with open_network() as network:
        venue = BlinkTradeVenue.from_setup(setup())
        venue.network = Network(dial=network.dial)
        events: list[Any] = []
        with pytest.raises(VenueDisconnectedError):
            await venue.run(events.append, LiveClock(origin_ns=START_NS))
        with pytest.raises(VenueDisconnectedError):
            await venue.prepare()
    assert isinstance(events[0], FeedGap)


async def test_link_that_is_cut_ends_the_run_and_says_that_nothing_is_ready(
    autojump_clock: MockClock,
) -> None:
    async with open_ending() as (pair, events, ended):
        assert pair.network is not None
        pair.network.links[-1].cut()
        assert isinstance(await ended(), VenueDisconnectedError)
    last = [event for event in events if isinstance(event, VenueStatus)][-1]
    assert (last.market_data, last.private, last.order_entry) == (False, False, False)


async def test_link_that_is_half_open_is_found_by_its_heartbeat(autojump_clock: MockClock) -> None:
    async with open_ending() as (pair, _, ended):
        began = trio.current_time()
        assert pair.network is not None
        pair.network.links[-1].black_hole()
        assert isinstance(await ended(), FeedStaleError)
        assert trio.current_time() - began <= 20 + 10 + 3  # beat_every, beat_within, close


async def test_link_that_lives_is_left_alone(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        await trio.sleep(200)
        assert ready(bench) == (True, True, True)


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ("Session timeout", VenueDisconnectedError),
        ("16 messages in the last second", VenueDisconnectedError),
        ("Not authorized", VenueAuthenticationError),
        ("ApiKey is not valid", VenueAuthenticationError),
    ],
)
async def test_error_ends_the_run_by_what_it_says(
    detail: str, kind: type, autojump_clock: MockClock
) -> None:
    async with open_ending() as (pair, _, ended):
        assert isinstance(pair.simulator, BlinkTradeSimulator)
        error = {"MsgType": "ERROR", "Description": "Invalid message", "Detail": detail}
        pair.simulator.sessions[-1]._put(error)
        failure = await ended()
        assert isinstance(failure, kind)
        assert detail in str(failure)


async def test_frame_that_cannot_be_read_ends_the_run(autojump_clock: MockClock) -> None:
    async with open_ending() as (pair, _, ended):
        assert isinstance(pair.simulator, BlinkTradeSimulator)
        pair.simulator.sessions[-1]._put({"MsgType": "8", "Symbol": 5})
        assert isinstance(await ended(), VenueProtocolError)


async def test_native_cancel_on_disconnect_takes_the_orders_of_a_lost_link(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        await bench.session.rest()
        assert len(bench.resting()) == 1
        await bench.session.disconnect()
        await trio.sleep(1)
        assert bench.resting() == []


async def test_orders_that_rest_after_all_are_told_on_reconnecting(
    autojump_clock: MockClock,
) -> None:
    async with open_bench(ignores_cod=True) as bench:
        order = await bench.session.rest()
        await bench.session.disconnect()
        since = len(bench.events)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.session.serve)
            report = await bench.session.expect(ExecutionReport, "report", since=since)
            nursery.cancel_scope.cancel()
    assert (report.client_order_id, report.ord_status) == (order.client_order_id, OrdStatus.NEW)


# --- books --------------------------------------------------------------------------------------


async def test_broken_book_is_fetched_anew_and_its_old_frames_are_ignored(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        await trio.sleep(10)
        before, since = book_id(bench), len(bench.events)
        gone = {"MDUpdateAction": "2", "MDEntryPositionNo": 999, "MDEntryType": "0"}
        put(bench, {"MsgType": "X", "MDReqID": before, "MDIncGrp": [gone]})
        await bench.session.expect(FeedGap, "gap", since=since)
        await trio.sleep(0.1)
        assert [each.market_data for each in told(bench, VenueStatus)[-2:]] == [False, True]
        assert ready(bench) == (True, True, True)
        snapshot = await bench.session.expect(BookSnapshot, "snapshot", since=since)
        assert snapshot.symbol == SYMBOL
        assert list(bench.simulator.sessions[-1]._feeds) == [book_id(bench)] != [before]
        await trio.sleep(5)
        assert_book_is_the_exchanges(bench)


async def test_book_that_breaks_again_and_again_is_asked_for_at_intervals(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"resubscribe_every": "30s"}) as bench:
        await trio.sleep(60)
        bench.session.subject = attrs.evolve(bench.pair.subject, answer_s=60.0)
        asked: list[float] = []
        gone = {"MDUpdateAction": "2", "MDEntryPositionNo": 999, "MDEntryType": "0"}
        for _ in range(3):
            since = len(bench.events)
            put(bench, {"MsgType": "X", "MDReqID": book_id(bench), "MDIncGrp": [gone]})
            await bench.session.expect(FeedGap, "gap", since=since)
            await bench.session.expect(BookSnapshot, "snapshot", since=since)
            asked.append(trio.current_time())
    assert [round(after - before) for before, after in pairwise(asked)] == [30, 30]


async def test_book_that_breaks_as_it_comes_is_asked_for_once_more(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        await trio.sleep(10)
        gone = {"MDUpdateAction": "2", "MDEntryPositionNo": 999, "MDEntryType": "0"}
        session = bench.simulator.sessions[-1]
        answer = session._kinds["V"]

        def spoil(message: dict[str, Any]) -> None:
            answer(message)
            if message["SubscriptionRequestType"] == "1":
                put(bench, {"MsgType": "X", "MDReqID": message["MDReqID"], "MDIncGrp": [gone]})
                session._kinds = {**session._kinds, "V": answer}

        session._kinds = {**session._kinds, "V": spoil}
        put(bench, {"MsgType": "X", "MDReqID": book_id(bench), "MDIncGrp": [gone]})
        await trio.sleep(20.1)
        assert ready(bench) == (True, True, True)
        assert len(told(bench, FeedGap)) == 3  # connecting, and two that broke
        assert_book_is_the_exchanges(bench)


async def test_book_that_does_not_come_ends_the_run(autojump_clock: MockClock) -> None:
    async def say_nothing(_: HttpRequest, link: WsLink) -> None:
        while True:
            await link.receive_batch()

    async with open_simulated(case()) as pair, open_network() as network:
        network.listen("deaf.test", 80, attrs.evolve(pair.simulator.server, ws=say_nothing).serve)
        venue = BlinkTradeVenue.market_data(setup(url="ws://deaf.test/trade/"))
        reach(venue, pair)
        await pair.subject.venue.prepare()
        venue.instruments = pair.subject.venue.instruments
        venue.network = Network(dial=network.dial)
        with pytest.raises(VenueDisconnectedError, match="book of BTCUSD did not come"):
            await venue.run(lambda _: None, pair.subject.clock)
        with pytest.raises(VenueError, match="SecurityListRequest was not answered in time"):
            await venue.prepare()


def assert_book_is_the_exchanges(bench: Bench) -> None:
    market = bench.simulator.market.exchange.markets["BTCUSD"]
    for side in Side:
        theirs = [(float(px), float(qty)) for px, qty, _ in market.levels(side)]
        assert bench.session.book.levels(side) == theirs


# --- REST ---------------------------------------------------------------------------------------


async def test_rest_that_refuses_leaves_the_orders_to_reconnecting(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {"secret": "wrong", "on_disconnect": "keep"}
    async with open_simulated(case(changes)) as pair, trio.open_nursery() as nursery:
        venue, clock = pair.subject.venue, pair.subject.clock
        assert isinstance(venue, BlinkTradeVenue)
        await venue.prepare()
        session = Session(pair.subject, venue.instruments[SYMBOL], "bench")
        nursery.start_soon(venue.stand_by, session.deliver, clock)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(session.serve)
        await session.expect(VenueStatus, "up", lambda status: status.up)
        await trio.sleep(1)
        order = await session.rest()
        await session.disconnect()
        session.cancel(order)
        await trio.sleep(3)
        account = pair.simulator.market.exchange.accounts["alice"]
        assert len(account.open) == 1
        assert "look at key, secret and clock; it is tried again" in caplog.text
        assert "wrong" not in caplog.text
        nursery.start_soon(session.serve)
        await trio.sleep(1)
        assert not account.open
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (HttpReply(200, {}, b'{"Status":500,"Description":"Invalid Nonce"}'),
         VenueAuthenticationError),
        (HttpReply(401, {}, b"<html>"), VenueAuthenticationError),
        (HttpReply(200, {}, b'{"Status":500,"Description":"down"}'), VenueError),
        (HttpReply(502, {}, b"<html>"), VenueError),
        (HttpReply(200, {}, b"<html>"), VenueProtocolError),
    ],
)  # fmt: skip
async def test_refusals_by_rest_have_their_errors(
    reply: HttpReply, error: type[Exception], autojump_clock: MockClock
) -> None:
    async def answer(_: HttpRequest) -> HttpReply:
        await trio.lowlevel.checkpoint()
        return reply

    async with open_network() as network:
        network.listen("exchange.test", 80, Server(http=answer).serve)
        with pytest.raises(VenueError) as refused:
            await send_by_rest(network.dial)
    assert type(refused.value) is error


async def test_rest_that_answers_nothing_leaves_the_outcome_unknown(
    autojump_clock: MockClock,
) -> None:
    async def answer(_: HttpRequest) -> HttpReply:
        await trio.sleep_forever()
        raise AssertionError("not reached")

    async with open_network() as network:
        network.listen("exchange.test", 80, Server(http=answer).serve)
        with pytest.raises(OrderOutcomeUnknownError):
            await send_by_rest(network.dial)


async def send_by_rest(dial: Any) -> None:
    bridge = Bridge(
        BlinkTradeOptions(broker_id=5, key=secret("k"), secret=secret("s")), lambda: START_NS
    )
    async with open_http("http://exchange.test/tapi/v1", dial=dial) as http:
        await bridge.send(http, outbound.Cancel(cl_ord_id="a"))


def secret(value: str) -> Any:
    held = BlinkTradeVenue.from_setup(setup(secret=value)).options.secret
    assert held is not None
    return held


async def test_nonces_rise_even_if_the_clock_stands(autojump_clock: MockClock) -> None:
    nonces: list[int] = []

    async def answer(request: HttpRequest) -> HttpReply:
        await trio.lowlevel.checkpoint()
        nonces.append(int(request.headers["nonce"]))
        return HttpReply(200, {}, b'{"Status":200,"Responses":[]}')

    bridge = Bridge(
        BlinkTradeOptions(broker_id=5, key=secret("k"), secret=secret("s")), lambda: START_NS
    )
    async with open_network() as network:
        network.listen("exchange.test", 80, Server(http=answer).serve)
        async with open_http("http://exchange.test/tapi/v1", dial=network.dial) as http:
            for _ in range(3):
                await bridge.send(http, outbound.Cancel(cl_ord_id="a"))
    assert nonces == [START_NS // 1000 + step for step in range(3)]


async def test_cancel_by_the_venues_id_ends_an_order_of_an_earlier_run(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        order = await bench.session.rest()
        venue_id = bench.session.venue_id(order)
        other = BlinkTradeVenue.from_setup(setup())
        reach(other, bench.pair)
        await other.prepare()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run, lambda _: None, bench.pair.subject.clock)
            await trio.sleep(1)
            other.cancel(
                CancelOrder(
                    client_order_id=order.client_order_id,
                    symbol=order.symbol,
                    venue_order_id=venue_id,
                )
            )
            await trio.sleep(1)
            assert bench.resting() == []
            nursery.cancel_scope.cancel()
