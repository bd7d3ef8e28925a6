"""Every hook, action and awaitable of a strategy, through the real engine and the paper venue."""

import math
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.model import (
    Bar,
    BookSnapshot,
    Fill,
    OrdStatus,
    OrdType,
    Quote,
    TimeInForce,
    Trade,
    VenueStatus,
)
from botkit.orders import Order, shown_levels
from botkit.strategy import Strategy
from botkit.testing import (
    START_NS,
    RunResult,
    build_quote,
    build_snapshot,
    build_trade,
    build_venue_status,
    run_strategy,
)
from tests.unit.shell_bench import SlowVenue, play, strategy_of

QUOTES = [build_quote(second, 99, 101, bid_qty=5, ask_qty=5) for second in range(8)]


def run(strategy: type[Strategy], **terms: Any) -> RunResult:
    return run_strategy(strategy, **{"events": QUOTES, **terms})


def at(strategy: Strategy) -> float:
    return (strategy.now_ns - START_NS) / 1e9


# --- actions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "ord_type", "time_in_force"),
    [
        ({}, OrdType.MARKET, TimeInForce.IOC),
        ({"price": "99.5"}, OrdType.LIMIT, TimeInForce.GTC),
        ({"stop_px": "105"}, OrdType.STOP, TimeInForce.GTC),
        ({"price": 106, "stop_px": "105"}, OrdType.STOP_LIMIT, TimeInForce.GTC),
        ({"price": "99.5", "time_in_force": TimeInForce.DAY}, OrdType.LIMIT, TimeInForce.DAY),
        ({"price": "99.5", "ord_type": OrdType.LIMIT}, OrdType.LIMIT, TimeInForce.GTC),
    ],
)
def test_the_kind_of_an_order_follows_from_its_prices(
    terms: Any, ord_type: OrdType, time_in_force: TimeInForce
) -> None:
    class Buyer(Strategy):
        def on_start(self) -> None:
            self.buy(self.instrument, 1, **terms)

    request = run(Buyer).requests[0]

    assert (request.ord_type, request.time_in_force) == (ord_type, time_in_force)


def test_terms_are_passed_on_and_numbers_are_exact() -> None:
    class Seller(Strategy):
        def on_start(self) -> None:
            for qty in (0.1, "0.1", Decimal("0.1"), 1):
                self.sell(self.instrument, qty, price="101.5", post_only=True, reduce_only=True)
            expire_ns = START_NS + 10**12
            gtd = TimeInForce.GTD
            self.sell(
                self.instrument,
                1,
                price=102,
                time_in_force=gtd,
                expire_time_ns=expire_ns,
                keep=True,
            )

    requests = run(Seller).requests

    assert [str(each.order_qty) for each in requests] == ["0.1", "0.1", "0.1", "1", "1"]
    assert all(each.post_only and each.reduce_only for each in requests[:4])
    assert (requests[4].keep, requests[4].expire_time_ns) == (True, START_NS + 10**12)


@pytest.mark.parametrize(
    ("terms", "error", "text"),
    [
        ({"pirce": "99"}, TypeError, "no term 'pirce'; did you mean 'price'"),
        ({"zzz": 1}, TypeError, "no term 'zzz': it may have"),
        ({"price": "ten"}, ValueError, "price is 'ten'; it must be a finite number"),
        ({"stop_px": math.nan}, ValueError, "stop_px is nan"),
        ({"price": Decimal("Infinity")}, ValueError, "price is Decimal"),
    ],
)
def test_a_term_that_cannot_be_meant_is_refused(
    terms: Any, error: type[Exception], text: str
) -> None:
    class Buyer(Strategy):
        def on_start(self) -> None:
            with pytest.raises(error, match=text):
                self.buy(self.instrument, 1, **terms)
            with pytest.raises(ValueError, match="qty is inf"):
                self.buy(self.instrument, math.inf)

    assert not run(Buyer).requests


def test_orders_are_changed_and_canceled_by_their_handles() -> None:
    class Mover(Strategy):
        async def run(self) -> None:
            order = self.buy(self.instrument, 1, price=90)
            await self.sleep(1)
            order.replace(price=Decimal(91), qty=Decimal(2))
            await self.sleep(1)
            assert (order.price, order.order_qty) == (Decimal(91), Decimal(2))
            order.cancel()
            await order.closed()
            assert order.ord_status is OrdStatus.CANCELED
            await order.closed()  # at once

    assert not run(Mover).error


def test_cancel_all_takes_an_instrument_or_all() -> None:
    symbols = ("paper:BTC-EUR", "paper:ETH-EUR")

    class Both(Strategy):
        async def run(self) -> None:
            btc, eth = self.instruments
            orders = [self.buy(each, 1, price=90) for each in (btc, eth, eth)]
            await self.sleep(1)
            assert self.orders() == orders
            assert self.orders(eth) == orders[1:]
            self.cancel_all(eth)
            await orders[2].closed()
            assert self.orders() == [orders[0]]
            self.cancel_all()
            await orders[0].closed()

    assert not run(Both, symbols=symbols).error


def test_a_refused_order_is_closed_and_told_once() -> None:
    class Refused(Strategy):
        def on_start(self) -> None:
            self.told: list[Order] = []

        def on_order(self, order: Order) -> None:
            self.told.append(order)

        async def run(self) -> None:
            order = self.buy(self.instrument, "0.0001", price=90)
            assert order.ord_status is OrdStatus.REJECTED
            assert "off the grid" in order.text
            await order.closed()
            assert self.told == [order]
            assert self.orders() == []

    result = run(Refused)

    assert not result.error
    assert len(result.refused) == 1


# --- timers --------------------------------------------------------------------------------------


def test_timers_are_set_moved_repeated_and_taken_away() -> None:
    class Timed(Strategy):
        def on_start(self) -> None:
            self.fired: list[tuple[float, str]] = []
            self.set_timer("once", 1)
            self.set_timer("moved", 1)
            self.set_timer("moved", 2.5)
            self.set_timer("gone", 1)
            self.set_timer("gone", math.inf)
            self.set_timer("past", -1)
            self.set_timer("every", 3, every_s=1)

        def on_timer(self, name: str) -> None:
            self.fired.append((at(self), name))
            if at(self) == 5:
                self.set_timer("every", math.inf)

    strategy: Any = run(Timed).strategy

    assert strategy.fired == [
        (0, "past"),
        (1, "once"),
        (2.5, "moved"),
        (3, "every"),
        (4, "every"),
        (5, "every"),
    ]


@pytest.mark.parametrize("every_s", [0, -1, 1e-12, math.inf, math.nan])
def test_an_interval_must_be_an_interval(every_s: float) -> None:
    class Timed(Strategy):
        def on_start(self) -> None:
            with pytest.raises(ValueError, match="every_s is"):
                self.set_timer("t", 1, every_s=every_s)
            with pytest.raises(ValueError, match="interval_s"):
                self.build_bars(every_s)
            with pytest.raises(ValueError, match="after_s is nan"):
                self.set_timer("t", math.nan)

    assert not run(Timed).error


# --- looking and waiting -------------------------------------------------------------------------


def test_the_market_is_what_came_last() -> None:
    class Looker(Strategy):
        def on_start(self) -> None:
            self.seen: list[object] = []
            self.build_bars(2)

        def on_trade(self, trade: Trade) -> None:
            assert self.market().trade == trade
            self.seen.append("trade")

        def on_book(self, change: Any) -> None:
            assert isinstance(change, BookSnapshot)
            assert (self.book.bid, self.book.ask) == (98, 102)
            self.seen.append("book")

        def on_quote(self, quote: Quote) -> None:
            assert self.market(self.instrument).quote == quote
            self.seen.append("quote")

        def on_bar(self, bar: Bar) -> None:
            self.seen.append((bar.open, bar.volume))

        def on_venue(self, status: VenueStatus) -> None:
            self.seen.append(status.up)

        def on_stop(self) -> None:
            self.seen.append("stop")

    events = [
        build_snapshot(0, [(98.0, 1.0)], [(102.0, 1.0)]),
        build_trade(1, 100, 3),
        build_venue_status(3, up=False),
    ]
    strategy: Any = run(Looker, events=events).strategy

    assert strategy.seen == ["book", "quote", "trade", (100, 3), False, "stop"]


def test_a_fill_is_told_before_its_order_and_the_position_has_it() -> None:
    class Taker(Strategy):
        def on_start(self) -> None:
            self.seen: list[str] = []

        def on_fill(self, order: Order, fill: Fill) -> None:
            assert self.position() == self.position(self.instrument) == order.cum_qty == fill.qty
            self.seen.append("fill")

        def on_order(self, order: Order) -> None:
            self.seen.append(order.ord_status)

        async def run(self) -> None:
            await self.next_quote()
            await self.buy(self.instrument, 2).closed()
            assert self.seen[-2:] == ["fill", "FILLED"]

    assert not run(Taker).error


async def test_next_quote_returns_the_latest(autojump_clock: MockClock) -> None:
    got: list[float] = []
    venue = SlowVenue()

    async def wait(self: Strategy) -> None:
        quote = await self.next_quote()
        got.append(quote.bid_px)

    async def feed(self: Strategy) -> None:
        await trio.sleep(1)
        for bid in (97, 98, 99):  # in one go: who waits wakes after all three
            venue.send(build_quote(1, bid, 101))

    await play(strategy_of(wait), strategy_of(feed), venues=(venue,))

    assert got == [99]


async def test_a_gap_that_overtakes_a_quote_is_waited_out(autojump_clock: MockClock) -> None:
    got: list[float] = []
    venue = SlowVenue()

    async def wait(self: Strategy) -> None:
        got.append((await self.next_quote()).bid_px)

    async def feed(self: Strategy) -> None:
        await trio.sleep(1)
        venue.send(build_quote(1, 97, 101))
        venue.gap()
        await trio.sleep(1)
        venue.send(build_quote(2, 98, 101))

    await play(strategy_of(wait), strategy_of(feed), venues=(venue,))

    assert got == [98]


async def test_sleeping_for_ever_can_be_canceled(autojump_clock: MockClock) -> None:
    async def nap(self: Strategy) -> None:
        with pytest.raises(ValueError, match="seconds is nan"):
            await self.sleep(math.nan)
        with trio.move_on_after(3):
            await self.sleep(math.inf)

    assert (await play(strategy_of(nap), venues=(SlowVenue(),))).ended_at == 3


def test_a_run_that_returns_ends_its_strategy_and_its_orders() -> None:
    class Brief(Strategy):
        async def run(self) -> None:
            self.buy(self.instrument, 1, price=90)
            await self.sleep(1)

    result = run(Brief)

    assert [order.ord_status for order in result.orders] == [OrdStatus.CANCELED]
    assert not result.resting


# --- the book without our own orders ------


async def test_live_books_are_told_less_our_own_orders(autojump_clock: MockClock) -> None:
    venue = SlowVenue(1)

    async def look(self: Strategy) -> None:
        venue.send(build_snapshot(0, [(100.0, 1.0), (99.0, 5.0)], [(101.0, 4.0)]))
        assert self.book.without_own() is self.book
        bid = self.buy(self.instrument, 1, price="100")
        self.buy(self.instrument, 2, price="99")
        self.sell(self.instrument, 1, price="101")
        rest = self.book.without_own()
        assert (rest.bids(), rest.asks()) == ([(99.0, 3.0)], [(101.0, 3.0)])
        assert rest.without_own() is rest
        assert self.book.bid == 100
        bid.cancel()
        assert self.book.without_own().bid == 99  # it shows until the venue has let it go
        await bid.closed()
        assert self.book.without_own().bids() == [(100.0, 1.0), (99.0, 3.0)]

    ran = await play(strategy_of(look), venues=(venue,))

    assert ran.bot.engine.slots["made0"].error == ""


def test_paper_books_hold_none_of_ours() -> None:
    class Looker(Strategy):
        async def run(self) -> None:
            await self.next_quote()
            self.buy(self.instrument, 1, price=99)
            await self.sleep(1)
            assert self.orders()
            assert self.book.without_own() is self.book

    assert not run(Looker).error


def test_only_what_surely_rests_is_taken_off() -> None:
    class Various(Strategy):
        async def run(self) -> None:
            self.pending = shown_levels([self.buy(self.instrument, 1, price=90)])
            await self.sleep(1)
            early = self.buy(self.instrument, 1, price=92)
            early.cancel()  # before its acknowledgement
            self.early = shown_levels([early])
            unknown = self.buy(self.instrument, 1, price=91)
            stop = self.buy(self.instrument, 1, price=111, stop_px=110)
            await self.sleep(1)
            unknown.mark_unknown("told by a test")
            self.resting = shown_levels([*self.orders(), stop])

    strategy: Any = run(Various).strategy

    assert strategy.pending == strategy.early == ([], [])
    assert strategy.resting == ([(90.0, 1.0)], [])
