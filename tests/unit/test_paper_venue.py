"""The paper venue: built from a config, driven by a loop or by a clock, the same either way."""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest
import trio
from trio.testing import MockClock

from botkit.clock import LiveClock
from botkit.errors import ConfigError
from botkit.matching import ConstantLatency, PaperMatcher, RiskAverseQueue
from botkit.model import (
    AskListing,
    AskStatus,
    Balance,
    CancelOrder,
    ClientOrderId,
    Event,
    ExecutionReport,
    FeedGap,
    FillSource,
    MarketEvent,
    NewOrder,
    OrderListing,
    OrdType,
    Quote,
    ReplaceOrder,
    Side,
    TimeInForce,
    Trade,
    VenueStatus,
)
from botkit.ports import FeeSchedule, SimulatedVenue, Venue, VenueSetup
from tests.unit.matching_bench import MS, SYMBOL, approved, instrument
from venues.paper import PaperVenue

ORIGIN_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


@attrs.define
class ListFeed:
    """A feed that plays what it was given, times counted from the start."""

    given: tuple[MarketEvent, ...]
    speed: float = 1.0

    def first_time_ns(self) -> int | None:
        return None

    def events(self, start_ns: int) -> Iterator[MarketEvent]:
        for event in self.given:
            yield msgspec.structs.replace(event, receive_time_ns=start_ns + event.receive_time_ns)

    def remarks(self) -> tuple[str, ...]:
        return ()


def quote(at_ms: int, bid: float) -> Quote:
    return Quote(SYMBOL, bid, 1.0, bid + 1, 1.0, receive_time_ns=at_ms * MS)


def paper(*events: MarketEvent, latency_ms: int = 20) -> PaperVenue:
    instruments = {SYMBOL: instrument()}
    matcher = PaperMatcher(
        venue="paper",
        instruments=instruments,
        fees=FeeSchedule(),
        latency=ConstantLatency(delay_ns=latency_ms * MS),
        queue=RiskAverseQueue(),
        balances={"EUR": Decimal(10_000), "BTC": Decimal(10)},
        seed=0,
    )
    return PaperVenue(
        name="paper",
        feed=ListFeed(events),
        matcher=matcher,
        instruments=instruments,
        fees=FeeSchedule(),
    )


def order(name: str, at_ns: int, price: str = "100", **more: Any) -> NewOrder:
    return NewOrder(
        client_order_id=ClientOrderId(name),
        symbol=SYMBOL,
        strategy="test",
        side=Side.BUY,
        order_qty=Decimal(1),
        price=Decimal(price),
        transact_time_ns=at_ns,
        **more,
    )


class Trader:
    """Hears everything; answers the nth quote with a request of its own."""

    def __init__(self, venue: PaperVenue) -> None:
        self.venue = venue
        self.heard: list[Event] = []
        self.quotes = 0

    def hear(self, event: Event) -> None:
        self.heard.append(event)
        if not isinstance(event, Quote):
            return
        self.quotes += 1
        now_ns = event.receive_time_ns
        name = ClientOrderId(f"o{self.quotes}")
        self.venue.submit(approved(order(name, now_ns)))
        if self.quotes == 2:
            self.venue.cancel(
                CancelOrder(client_order_id=name, symbol=SYMBOL, transact_time_ns=now_ns)
            )
        if self.quotes == 3:
            self.venue.ask(AskStatus(client_order_id=name, symbol=SYMBOL, transact_time_ns=now_ns))

    def reports(self) -> list[tuple[str | None, str, int]]:
        return [
            (event.client_order_id, str(event.exec_type), (event.receive_time_ns - ORIGIN_NS) // MS)
            for event in self.heard
            if isinstance(event, ExecutionReport)
        ]


DAY_OF_DATA = (
    quote(0, 100.0),
    quote(5, 101.0),
    Trade(SYMBOL, 99.0, 0.4, receive_time_ns=20 * MS),
    quote(33, 98.0),
    quote(33, 97.0),
    quote(2000, 101.0),
)


def loop(venue: PaperVenue, trader: Trader) -> None:
    """Drive `venue` as a backtest does."""
    venue.start(trader.hear, ORIGIN_NS)
    for event in venue.feed_events(ORIGIN_NS):
        while (due_ns := venue.next_due_ns()) is not None and due_ns <= event.receive_time_ns:
            venue.advance(due_ns)
        venue.apply(event)
    while (due_ns := venue.next_due_ns()) is not None:
        venue.advance(due_ns)


def test_it_is_a_venue_and_a_simulated_venue() -> None:
    venue = paper()
    as_venue: Venue = venue
    assert isinstance(venue, SimulatedVenue)
    can = as_venue.capabilities
    assert (can.client_order_ids, can.replace, can.replace_atomic, can.post_only) == (True,) * 4
    assert can.fill_source is FillSource.EXECUTIONS
    assert can.ord_types == frozenset(OrdType)
    assert can.times_in_force == frozenset(TimeInForce)


def test_it_starts_with_a_gap_then_balances_then_its_status() -> None:
    heard: list[Event] = []
    paper().start(heard.append, ORIGIN_NS)
    assert [type(event) for event in heard] == [FeedGap, Balance, Balance, VenueStatus]
    assert {event.receive_time_ns for event in heard} == {ORIGIN_NS}
    status = heard[-1]
    assert isinstance(status, VenueStatus)
    assert status.up


@pytest.mark.parametrize("speed", [1.0, 10.0, 1e6])
async def test_a_clock_and_a_loop_deliver_the_same_events_in_the_same_order(
    autojump_clock: MockClock, speed: float
) -> None:
    looped, timed = paper(*DAY_OF_DATA), paper(*DAY_OF_DATA)
    loop_trader, clock_trader = Trader(looped), Trader(timed)
    loop(looped, loop_trader)
    with trio.move_on_after(10 / speed):
        await timed.run(clock_trader.hear, LiveClock(origin_ns=ORIGIN_NS, speed=speed))
    assert clock_trader.heard == loop_trader.heard
    assert ("o1", "TRADE", 20) in clock_trader.reports()
    assert ("o2", "CANCELED", 25) in clock_trader.reports()
    assert ("o5", "NEW", 2020) in clock_trader.reports()


async def test_events_come_when_they_are_due_and_requests_wake_it_sooner(
    autojump_clock: MockClock,
) -> None:
    venue = paper(quote(0, 100.0), quote(10_000, 100.0))
    clock = LiveClock(origin_ns=ORIGIN_NS)
    seen: list[tuple[str, int]] = []

    def hear(event: Event) -> None:
        lag_ns = clock.now_ns() - event.receive_time_ns
        seen.append((type(event).__name__, round((event.receive_time_ns - ORIGIN_NS) / MS)))
        assert abs(lag_ns) < MS  # neither early nor late by this clock

    async with trio.open_nursery() as nursery:
        nursery.start_soon(venue.run, hear, clock)
        nursery.cancel_scope.deadline = trio.current_time() + 20
        await trio.sleep(1.0)
        venue.submit(approved(order("a", clock.now_ns(), "99")))
        await trio.sleep(1.0)
        venue.replace(
            approved(
                ReplaceOrder(
                    client_order_id=ClientOrderId("b"),
                    orig_client_order_id=ClientOrderId("a"),
                    symbol=SYMBOL,
                    strategy="test",
                    side=Side.BUY,
                    order_qty=Decimal(2),
                    price=Decimal(99),
                    transact_time_ns=clock.now_ns(),
                )
            )
        )
    assert [item for item in seen if item[0] in ("Quote", "ExecutionReport")] == [
        ("Quote", 0),
        ("ExecutionReport", 1020),
        ("ExecutionReport", 2020),
        ("Quote", 10_000),
    ]
    (resting,) = venue.resting()
    assert resting.client_order_id == "b"


async def test_after_the_feeds_end_orders_expire_and_requests_are_answered(
    autojump_clock: MockClock,
) -> None:
    venue = paper(quote(0, 100.0))
    heard: list[Event] = []

    def hear(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Quote):
            until_ns = ORIGIN_NS + 60 * SECOND_NS
            gtd = TimeInForce.GTD
            request = order(
                "a", event.receive_time_ns, "99", time_in_force=gtd, expire_time_ns=until_ns
            )
            venue.submit(approved(request))

    clock = LiveClock(origin_ns=ORIGIN_NS)
    await venue.prepare()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(venue.run, hear, clock)
        await trio.sleep(30)
        assert len(venue.resting()) == 1
        await trio.sleep(31)
        assert venue.resting() == []
        last = heard[-2]
        assert isinstance(last, ExecutionReport)
        assert last.receive_time_ns == ORIGIN_NS + 60 * SECOND_NS
        venue.ask(AskListing(venue="paper", listing_id=1, transact_time_ns=clock.now_ns()))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert isinstance(heard[-1], OrderListing)


async def test_a_feed_that_is_behind_still_lets_others_run(autojump_clock: MockClock) -> None:
    venue = paper(*(quote(0, 100.0) for _ in range(1000)))
    turns = turns_at_the_end = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    def hear(event: Event) -> None:
        nonlocal turns_at_the_end
        turns_at_the_end = turns

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        nursery.start_soon(venue.run, hear, LiveClock(origin_ns=ORIGIN_NS))
        while turns < 100:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert 5 < turns_at_the_end < 50


# -- from the config --------------------------------------------------------------------------


def setup(symbols: tuple[str, ...] = ("demo:BTC-EUR",), **options: Any) -> VenueSetup:
    return VenueSetup(
        name="demo", options=options, symbols=symbols, source="configs/x.toml: venues.demo"
    )


FULL: dict[str, Any] = {
    "feed": {"type": "synthetic", "seed": 7},
    "balances": {"BTC": "1", "EUR": "100000"},
    "fees": {"maker_bps": "10", "taker_bps": "20"},
    "latency": {"kind": "lognormal", "median": "20ms", "sigma": "0.25"},
    "cancel_latency": "5ms",
    "queue": "probabilistic",
    "queue_power": "2",
    "instruments": {"BTC-EUR": {"tick_size": "0.1", "lot_size": "0.001", "min_notional": "5"}},
    "on_disconnect": "cancel",
    "self_trade": "reject-incoming",
    "seed": 3,
}


def test_a_full_table_builds_a_venue_that_trades() -> None:
    venue = PaperVenue.from_setup(setup(**FULL))
    traded = venue.instruments["demo:BTC-EUR"]
    assert (traded.base, traded.quote, traded.tick_size) == ("BTC", "EUR", Decimal("0.1"))
    assert traded.min_trade_vol == Decimal("0.001")
    assert venue.fees.taker_bps == 20
    assert venue.capabilities.cancel_on_disconnect
    heard: list[Event] = []
    venue.start(heard.append, ORIGIN_NS)
    feed = venue.feed_events(ORIGIN_NS)
    for _ in range(200):
        venue.apply(next(feed))
    price = str(round(next(e.ask_px for e in reversed(heard) if isinstance(e, Quote)) * 1.01))
    request = msgspec.structs.replace(
        order("a", ORIGIN_NS, price), symbol="demo:BTC-EUR", order_qty=Decimal("0.01")
    )
    venue.submit(approved(request))
    venue.advance(ORIGIN_NS + 3600 * SECOND_NS)
    reports = [event for event in heard if isinstance(event, ExecutionReport)]
    assert [report.exec_type for report in reports][:2] == ["NEW", "TRADE"]


def test_an_empty_table_is_a_synthetic_feed_with_defaults() -> None:
    venue = PaperVenue.from_setup(setup())
    traded = venue.instruments["demo:BTC-EUR"]
    assert (traded.tick_size, traded.lot_size) == (Decimal("0.01"), Decimal("0.00001"))
    assert traded.min_trade_vol == traded.lot_size
    assert not venue.capabilities.cancel_on_disconnect
    assert venue.first_time_ns() is None
    assert 0 < venue.speed <= math.inf


def test_currencies_can_be_told_where_the_symbol_does_not() -> None:
    table = {"BTCUSDT": {"base": "BTC", "quote": "USDT", "min_trade_vol": "0.5"}}
    venue = PaperVenue.from_setup(setup(("demo:BTCUSDT",), instruments=table))
    traded = venue.instruments["demo:BTCUSDT"]
    assert (traded.base, traded.quote, traded.min_trade_vol) == ("BTC", "USDT", Decimal("0.5"))


def test_every_symbol_without_currencies_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        PaperVenue.from_setup(setup(("demo:BTCUSDT", "demo:A-B-C", "demo:BTC-EUR")))
    assert len(raised.value.problems) == 2
    assert "'BTCUSDT'" in raised.value.problems[0]
    assert "configs/x.toml: venues.demo" in raised.value.problems[0]
    assert 'base = "..."' in raised.value.problems[1]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"latencey": "20ms"}, "latency"),
        ({"queue": "fifo"}, "risk-averse"),
        ({"latency": "20 parsecs"}, "20 parsecs"),
        ({"balances": {"EUR": 1.5}}, "balances"),
        ({"balances": {"EUR": "1", "X": "-5"}}, "demo.balances: X: found a number below 0"),
        ({"queue_power": "0"}, "queue_power"),
        ({"feed": {"type": "telepathy"}}, "synthetic"),
    ],
)
def test_a_bad_option_is_a_config_error_naming_it(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text) as raised:
        PaperVenue.from_setup(setup(**options))
    assert "venues.demo" in str(raised.value)
