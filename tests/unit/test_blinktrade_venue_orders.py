"""BlinkTrade's adapter against its simulator: orders within the rate, answers that get lost."""

from decimal import Decimal

import attrs
import trio
import trio.lowlevel
from trio.testing import MockClock

from botkit.matching.exchange import OrderTerms
from botkit.model import (
    AskListing,
    AskStatus,
    Balance,
    ClientOrderId,
    ExecutionReport,
    FeedGap,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    SendFailed,
    Side,
    VenueOrderId,
)
from tests.unit.blinktrade_bench import Bench, open_bench
from tests.unit.blinktrade_venue_bench import FAR, SYMBOL, open_ending, ready, told
from venues.blinktrade.simulator import BlinkTradeSimulator


def ask_status(bench: Bench, name: str, venue_id: str | None = None) -> None:
    bench.session.venue.ask(
        AskStatus(
            client_order_id=ClientOrderId(name),
            symbol=SYMBOL,
            venue_order_id=None if venue_id is None else VenueOrderId(venue_id),
            transact_time_ns=bench.pair.subject.clock.now_ns(),
        )
    )


# --- orders -------------------------------------------------------------------------------------


async def test_requests_beyond_the_rate_are_refused_and_cancels_still_go(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        await trio.sleep(2)
        orders = [bench.session.submit(Side.BUY, price=FAR) for _ in range(9)]
        await trio.sleep(0.5)
        assert len(bench.resting()) == 6  # of ten a second four are kept for cancels
        for order in orders[:6]:
            bench.session.cancel(order)
        await trio.sleep(0.1)
        assert len(bench.resting()) == 2  # four go at once
        await trio.sleep(0.5)
        assert bench.resting() == []  # two when the second is over
        failed = told(bench, SendFailed)
        assert [each.client_order_id for each in failed] == [
            order.client_order_id for order in orders[6:]
        ]
        assert all("more than 10 messages a second" in each.text for each in failed)
        assert not any(each.reached_venue for each in failed)
        assert ready(bench) == (True, True, True)


async def test_all_open_orders_can_be_canceled_within_the_rate(autojump_clock: MockClock) -> None:
    async with open_bench({"max_open_orders": 20}) as bench:
        orders = []
        for _ in range(22):
            await trio.sleep(0.5)
            orders.append(bench.session.submit(Side.BUY, price=FAR))
        await trio.sleep(1)
        assert len(bench.resting()) == 20
        failed = told(bench, SendFailed)
        assert [each.client_order_id for each in failed] == [
            order.client_order_id for order in orders[20:]
        ]
        assert "max_open_orders = 20 may work" in failed[0].text
        for order in orders[:20]:
            bench.session.cancel(order)
        await trio.sleep(2.5)
        assert bench.resting() == []
        bench.session.submit(Side.BUY, price=FAR)  # there is room again
        await trio.sleep(0.5)
        assert len(bench.resting()) == 1


async def test_orders_sent_in_one_breath_are_counted_one_by_one(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"max_open_orders": 3}) as bench:
        await trio.sleep(2)
        orders = [bench.session.submit(Side.BUY, price=FAR) for _ in range(5)]
        await trio.sleep(1)
        assert len(bench.resting()) == 3
        assert [each.client_order_id for each in told(bench, SendFailed)] == [
            order.client_order_id for order in orders[3:]
        ]


async def test_nothing_sent_ever_comes_to_the_venues_limit(autojump_clock: MockClock) -> None:
    async with open_bench({"max_messages_per_second": 15, "max_open_orders": 100}) as bench:
        for number in range(40):  # cancels that wait for the rate, with orders behind them
            orders = [bench.session.submit(Side.BUY, price=FAR) for _ in range(number % 12)]
            await trio.sleep(0.13)
            for order in orders:
                bench.session.cancel_by(order.client_order_id, None)
        await trio.sleep(10)
        assert bench.resting() == []
        assert ready(bench) == (True, True, True)
        assert len(told(bench, FeedGap)) == 1  # never cut off


async def test_order_to_be_kept_is_refused_where_the_venue_would_end_it(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        bench.session.submit(Side.BUY, price=FAR, keep=True)
        (failed,) = told(bench, SendFailed)
        assert "on_disconnect" in failed.text
    async with open_bench({"on_disconnect": "keep"}) as bench:
        await bench.session.rest(keep=True)
        await bench.session.disconnect()
        await trio.sleep(1)
        assert len(bench.resting()) == 1


async def test_price_the_venue_cannot_be_told_is_not_sent(autojump_clock: MockClock) -> None:
    changes = {"instruments": {"BTCUSD": {"tick_size": "0.000000001"}}}
    async with open_bench(changes) as bench:
        bench.session.submit(Side.BUY, price=Decimal("40000.000000001"))
        await trio.sleep(1)
        (failed,) = told(bench, SendFailed)
    assert "finer than" in failed.text
    assert not failed.reached_venue


async def test_cancel_in_the_same_breath_as_its_order_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        order = bench.session.submit(Side.BUY, price=FAR)
        await trio.lowlevel.checkpoint()
        bench.session.cancel_by(order.client_order_id, None)
        await trio.sleep(1)
        assert bench.resting() == []


async def test_late_cancel_is_looked_up_and_told_with_the_fill_that_won(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        price = await bench.session.crossing_price(Side.BUY)
        order = bench.session.submit(Side.BUY, price=price)
        await bench.session.status(order, "fill", OrdStatus.FILLED)
        since = len(bench.events)
        bench.session.cancel(order)
        reject = await bench.session.expect(OrderCancelReject, "reject", since=since)
        report = await bench.session.expect(ExecutionReport, "status", since=since)
    assert (reject.ord_status, reject.unknown_order) == (OrdStatus.FILLED, False)
    assert (report.ord_status, report.cum_qty) == (OrdStatus.FILLED, order.order_qty)


async def test_cancel_of_an_order_nobody_knows_is_said_to_be_unknown(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        began = trio.current_time()
        bench.session.cancel_by(ClientOrderId("demo-r-99"), None)
        reject = await bench.session.expect(OrderCancelReject, "reject")
        assert 2.0 <= trio.current_time() - began < 2.5
    assert (reject.unknown_order, reject.ord_status) == (True, None)


async def test_cancel_that_got_lost_leaves_the_order_told_as_working(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        order = await bench.session.rest()
        deaf = {**bench.simulator.requests.private, "F": lambda *_: []}
        bench.simulator.requests.private = deaf
        since = len(bench.events)
        bench.session.cancel(order)
        bench.session.cancel(order)
        report = await bench.session.expect(ExecutionReport, "status", since=since)
        await trio.sleep(5)
        assert not told(bench, OrderCancelReject)
    assert report.ord_status is OrdStatus.NEW


async def test_question_that_gets_no_answer_tells_nothing(autojump_clock: MockClock) -> None:
    async with open_bench({"answer_within": "1s"}) as bench:
        order = await bench.session.rest()
        bench.simulator.requests.private = {
            **bench.simulator.requests.private, "U4": lambda *_: [], "U2": lambda *_: [],
        }  # fmt: skip
        since = len(bench.events)
        ask_status(bench, order.client_order_id)
        bench.session.cancel_by(ClientOrderId("demo-r-99"), None)
        bench.session.ask_listing(5)
        listing = await bench.session.expect(OrderListing, "listing")
        await trio.sleep(60)
        assert not listing.complete
        assert not told(bench, OrderCancelReject)
        assert not [e for e in bench.events[since:] if isinstance(e, ExecutionReport)]
        assert ready(bench) == (True, True, True)


async def test_answer_of_another_kind_is_done_without(autojump_clock: MockClock) -> None:
    async with open_ending() as (pair, _, _):
        assert isinstance(pair.simulator, BlinkTradeSimulator)
        requests = pair.simulator.requests
        requests.private = {
            **requests.private,
            "U2": lambda _, message, __: [
                {"MsgType": "U43", "PositionReqID": message["BalanceReqID"]}
            ],
        }
        await trio.sleep(31)
        assert len(pair.simulator.sessions) == 1


async def test_status_of_an_order_that_filled_unheard_is_found_with_its_mean_price(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        order = bench.session.submit(Side.BUY, price=FAR, order_qty=Decimal("0.02"))
        await trio.sleep(1)
        venue_id = bench.session.venue_id(order)
        await bench.session.disconnect()
        assert bench.session.subject.trade is not None
        await bench.session.subject.trade(Side.SELL, FAR, Decimal("0.015"))
        since = len(bench.events)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.session.serve)
            report = await bench.session.expect(ExecutionReport, "status", since=since)
            since = len(bench.events)
            await trio.sleep(1)
            ask_status(bench, order.client_order_id, venue_id)
            again = await bench.session.expect(ExecutionReport, "status", since=since)
            nursery.cancel_scope.cancel()
    for told_now in (report, again):
        assert told_now.ord_status is OrdStatus.PARTIALLY_FILLED
        assert (told_now.cum_qty, told_now.avg_px) == (Decimal("0.015"), FAR)


async def test_status_of_an_order_the_venue_has_never_heard_of_is_told_as_unknown(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        ask_status(bench, "demo-r-99")
        reject = await bench.session.expect(OrderCancelReject, "unknown order")
    assert (reject.client_order_id, reject.unknown_order) == ("demo-r-99", True)


async def test_order_that_was_acknowledged_and_is_not_listed_is_said_nothing_of(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        ask_status(bench, "demo-r-99", "123")
        await trio.sleep(10)
        assert not told(bench, OrderCancelReject)
        assert not told(bench, ExecutionReport)


async def test_cancel_of_an_order_too_far_back_to_be_found_is_told_as_perhaps_arrived(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        market = bench.simulator.market
        for number in range(201):  # five pages and one
            terms = OrderTerms(
                symbol="BTCUSD",
                side=Side.BUY,
                order_qty=Decimal("0.001"),
                price=FAR,
                client_order_id=f"x{number}",
            )
            market.exchange.submit("alice", terms, market.catch_up())
        bench.session.cancel_by(ClientOrderId("demo-r-99"), None)
        failed = await bench.session.expect(SendFailed, "word that nobody knows")
    assert (failed.client_order_id, failed.reached_venue) == ("demo-r-99", True)


async def test_old_orders_are_found_pages_back_by_the_venues_id(autojump_clock: MockClock) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        order = await bench.session.rest()
        venue_id = bench.session.venue_id(order)
        bench.session.cancel(order)
        await bench.session.status(order, "end", OrdStatus.CANCELED)
        market = bench.simulator.market
        for number in range(100):
            terms = OrderTerms(
                symbol="BTCUSD",
                side=Side.BUY,
                order_qty=Decimal("0.001"),
                price=FAR,
                client_order_id=f"x{number}",
            )
            market.exchange.submit("alice", terms, market.catch_up())
        since = len(bench.events)
        ask_status(bench, order.client_order_id, venue_id)
        report = await bench.session.expect(ExecutionReport, "status", since=since)
        bench.session.venue.ask(AskListing(venue="blinktrade", listing_id=5))
        listing = await bench.session.expect(OrderListing, "listing")
    assert (report.venue_order_id, report.ord_status) == (venue_id, OrdStatus.CANCELED)
    names = {each.client_order_id for each in listing.reports}
    assert listing.complete
    assert names == {order.client_order_id, *(f"x{number}" for number in range(100))}


async def test_list_that_is_too_long_is_not_complete(autojump_clock: MockClock) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        market = bench.simulator.market
        market.pause()
        for number in range(2_000):
            terms = OrderTerms(
                symbol="BTCUSD",
                side=Side.BUY,
                order_qty=Decimal("0.001"),
                price=FAR,
                client_order_id=f"x{number}",
            )
            now_ns = market.catch_up()
            market.exchange.submit("alice", terms, now_ns)
        market.exchange.cancel_all("alice", market.catch_up())
        bench.session.subject = attrs.evolve(bench.pair.subject, answer_s=60.0)
        bench.session.venue.ask(AskListing(venue="blinktrade", listing_id=5))
        listing = await bench.session.expect(OrderListing, "listing")
        assert not listing.complete
        assert len(listing.reports) == 2_000


async def test_listing_since_a_time_holds_what_came_later_and_what_rests(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"on_disconnect": "keep"}) as bench:
        await trio.sleep(2)
        old = await bench.session.rest()
        over = await bench.session.rest()
        bench.session.cancel(over)
        await trio.sleep(10)
        since_ns = bench.pair.subject.clock.now_ns()
        await trio.sleep(10)
        later = await bench.session.rest()
        bench.session.venue.ask(AskListing(venue="blinktrade", listing_id=5, since_ns=since_ns))
        listing = await bench.session.expect(OrderListing, "listing")
    names = {each.client_order_id for each in listing.reports}
    assert {old.client_order_id, later.client_order_id} <= names
    assert listing.complete


async def test_balances_follow_fills_and_are_asked_for_now_and_then(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bench:
        price = await bench.session.crossing_price(Side.BUY)
        order = bench.session.submit(Side.BUY, price=price)
        await bench.session.status(order, "fill", OrdStatus.FILLED)
        await trio.sleep(1)
        held = {each.currency: each.total for each in told(bench, Balance)}
        assert held["BTC"] == Decimal("10.01") - Decimal("0.01") / 1000
        fill = next(each for each in told(bench, ExecutionReport) if each.last_qty)
        assert fill.commission_currency == "BTC"
        count = len(told(bench, Balance))
        await trio.sleep(30)
        assert len(told(bench, Balance)) > count


async def test_an_order_sent_by_hand_is_told_as_well(autojump_clock: MockClock) -> None:
    async with open_bench() as bench:
        market = bench.simulator.market
        terms = OrderTerms(
            symbol="BTCUSD",
            side=Side.BUY,
            order_qty=Decimal("0.001"),
            price=FAR,
            client_order_id="by-hand",
        )
        market.tell(market.exchange.submit("alice", terms, market.catch_up()))
        report = await bench.session.expect(ExecutionReport, "report")
    assert report.client_order_id == "by-hand"
