"""Moonbase's adapter against its simulator: orders, lost answers, questions, REST."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import Network
from botkit.clock import LiveClock
from botkit.errors import VenueDisconnectedError, VenueError, VenueProtocolError
from botkit.matching.exchange import OrderTerms
from botkit.model import (
    AskStatus,
    CancelOrder,
    ClientOrderId,
    ExecutionReport,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    Side,
    VenueOrderId,
)
from botkit.testing.network import open_network
from botkit.testing.simulated import START_NS
from botkit.transport import HttpReply, HttpRequest, Server
from tests.unit.moonbase_bench import SYMBOL, open_bench
from tests.unit.moonbase_venue_bench import served_again, setup, told
from venues.moonbase.rest import Nonces, fetch_info, open_rest
from venues.moonbase.venue import MoonbaseVenue


@contextmanager
def raises(kind: type[BaseException], match: str = "") -> Iterator[None]:
    """Expect an exception that leaves nurseries in groups."""
    with pytest.RaisesGroup(
        pytest.RaisesExc(kind, match=match), allow_unwrapped=True, flatten_subgroups=True
    ):
        yield


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
        assert {each.ord_status for each in reports} == {OrdStatus.CANCELED}


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


async def test_cancel_by_rest_that_is_not_answered_is_tried_until_it_is(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"rejoin_after": "60s"}) as bench:
        order = await bench.session.rest()
        bench.simulator.crash("/orders/ETH_D:BTC_D")
        await trio.sleep(0.1)
        assert bench.pair.network is not None
        bench.pair.network.on_link = lambda link: link.upward.stall(100)
        bench.session.cancel(order)
        await trio.sleep(6)
        assert len(bench.resting()) == 1
        bench.pair.network.on_link = None
        await trio.sleep(6)  # answer_within, and the pause before the next attempt
        assert bench.resting() == []
        ended = bench.session.reports(order)[-1]
        assert ended.ord_status is OrdStatus.CANCELED


async def test_cancel_without_an_answer_at_the_end_is_perhaps_done(
    autojump_clock: MockClock,
) -> None:
    async with open_bench({"rejoin_after": "60s"}) as bench:
        order = await bench.session.rest()
        bench.simulator.crash("/orders/ETH_D:BTC_D")
        await trio.sleep(0.1)
        assert bench.pair.network is not None
        bench.pair.network.close("exchange.test", 80)
        bench.session.cancel(order)
        await trio.sleep(1)
        await bench.session.disconnect()
        (failed,) = told(bench, SendFailed)
        assert (failed.request, failed.reached_venue) == (RequestKind.CANCEL, False)


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


async def test_nonces_rise_and_never_run_ahead_of_the_clock(autojump_clock: MockClock) -> None:
    clock = LiveClock(origin_ns=START_NS)
    nonces = Nonces(clock.now_ns)
    drawn = [(await nonces.next())[0] for _ in range(50)]
    assert drawn == sorted(set(drawn))
    assert drawn[-1] <= clock.now_ns() // 1_000_000
    await trio.sleep(0.001)
    another, _ = await Nonces(clock.now_ns).next()  # of a process that starts now
    assert another > drawn[-1]
