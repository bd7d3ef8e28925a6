"""DigiFinex's adapter against its simulator: links that end, requests that cannot go."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from botkit.adapter import DryRunVenue, Network
from botkit.config import DryRunOptions
from botkit.errors import (
    ConfigError,
    FeedStaleError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
)
from botkit.model import (
    AskListing,
    AskStatus,
    BookDelta,
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
    RequestKind,
    SendFailed,
    Side,
    VenueOrderId,
    VenueStatus,
)
from botkit.ports import VenueSetup
from botkit.testing.conformance_session import Session
from botkit.testing.simulated import SimulatedVenuePair, open_simulated
from tests.unit.digifinex_bench import case, options
from venues.digifinex.simulator import DigiFinexSimulator
from venues.digifinex.venue import DigiFinexVenue

FREE: dict[str, Any] = {"rate_limits": False, "conduct": False}
MANY: dict[str, Any] = {"posts_per_minute": 10_000, "gets_per_minute": 10_000, "conduct": False}
QUIET: dict[str, Any] = {"repeats": 0.0, "disorder": 0.0}


@attrs.define(kw_only=True)
class Run:
    """A connection that may end, and both ends of it."""

    session: Session
    pair: SimulatedVenuePair
    simulator: DigiFinexSimulator
    ended: trio.Event = attrs.field(factory=trio.Event)
    error: VenueError | None = None

    async def serve(self) -> None:
        try:
            await self.session.serve()
        except VenueError as exc:
            self.error = exc
        self.ended.set()

    def of(self, kind: type, since: int = 0) -> list[Any]:
        """Return the events of a kind."""
        return [event for event in self.session.events[since:] if isinstance(event, kind)]

    def resting(self, member: str = "alice") -> list[Decimal | None]:
        account = self.simulator.market.exchange.accounts[member]
        return [order.price for order in account.open_orders()]

    async def up(self, since: int = 0) -> None:
        await self.session.expect(VenueStatus, "up", lambda status: status.up, since)

    async def end(self, within_s: float = 60) -> VenueError | None:
        with trio.fail_after(within_s):
            await self.ended.wait()
        return self.error


@asynccontextmanager
async def running(changes: Mapping[str, Any] | None = None, **quirks: Any) -> AsyncIterator[Run]:
    """Run a venue beside its simulator; nobody else trades unless quirks say `busy_market`."""
    trades = quirks.pop("busy_market", True)
    built = attrs.evolve(case(changes, **quirks), quiet=not trades)
    async with open_simulated(built) as pair, trio.open_nursery() as nursery:
        venue = pair.subject.venue
        await venue.prepare()
        session = Session(pair.subject, venue.instruments[pair.subject.symbol], "run")
        assert isinstance(pair.simulator, DigiFinexSimulator)
        run = Run(session=session, pair=pair, simulator=pair.simulator)
        nursery.start_soon(run.serve)
        yield run
        nursery.cancel_scope.cancel()


def ws_link(run: Run) -> Any:
    """Return the link of the socket: the first after `prepare`'s."""
    assert run.pair.network is not None
    return run.pair.network.links[1]


def setup(pair: SimulatedVenuePair, **terms: Any) -> VenueSetup:
    given = {
        "name": "digifinex",
        "options": options("ws://exchange.test"),
        "symbols": ("digifinex:BTC_USDT",),
        "source": "a.toml: venues.digifinex",
        "now_ns": pair.subject.clock.now_ns,
    }
    return VenueSetup(**{**given, **terms})


# --- connecting ---------------------------------------------------------------------------------


async def test_wrong_secret_is_an_authentication_error_that_does_not_show_it(
    autojump_clock: MockClock,
) -> None:
    async with running({"secret": "not-the-one"}) as run:
        error = await run.end()
    assert isinstance(error, VenueAuthenticationError)
    assert "look at key, secret" in str(error)
    assert "not-the-one" not in str(error)


async def test_error_of_the_venues_own_on_signing_in_is_a_lost_link(
    autojump_clock: MockClock,
) -> None:
    async with running({"secret": "wrong"}, ws_denied_code=2) as run:
        error = await run.end()
    assert isinstance(error, VenueDisconnectedError)
    assert "server.auth was answered error 2" in str(error)


async def test_orders_need_a_key_and_market_data_none(autojump_clock: MockClock) -> None:
    async with open_simulated(case()) as pair:
        keyless = {k: v for k, v in options("ws://exchange.test").items() if k[-3:] != "key"}
        with pytest.raises(ConfigError, match=r"digifinex\.key: missing"):
            DigiFinexVenue.from_setup(setup(pair, options={**keyless, "secret": "s"}))
        source = DigiFinexVenue.market_data(setup(pair, options={**keyless, "secret": ""}))
        assert pair.network is not None
        source.network = Network(dial=pair.network.dial)
        dry = DryRunVenue(source, DryRunOptions(balances={"USDT": Decimal(1000)}))
        await dry.prepare()
        told: list[Any] = []
        with trio.move_on_after(30):
            await dry.run(told.append, pair.subject.clock)
        accounts = pair.simulator.market.exchange.accounts
        assert {accounts[member.name].orders_received for member in pair.simulator.members} == {0}
    assert not hasattr(source, "submit")
    assert any(isinstance(event, BookSnapshot) for event in told)
    assert any(isinstance(event, VenueStatus) and event.up for event in told)


async def test_market_the_venue_does_not_list_is_named_with_those_it_has(
    autojump_clock: MockClock,
) -> None:
    async with open_simulated(case(lower_case=True)) as pair:
        assert pair.network is not None
        venue = DigiFinexVenue.from_setup(setup(pair, symbols=("digifinex:XRP_USDT",)))
        venue.network = Network(dial=pair.network.dial)
        with pytest.raises(ConfigError, match=r"'digifinex:XRP_USDT'.*digifinex:BTC_USDT"):
            await venue.prepare()


async def test_clock_that_is_wrong_is_corrected(autojump_clock: MockClock) -> None:
    async with open_simulated(case()) as pair:
        behind = setup(pair, now_ns=lambda: pair.subject.clock.now_ns() - 100_000_000_000)
        venue = DigiFinexVenue.from_setup(behind)
        assert pair.network is not None
        venue.network = Network(dial=pair.network.dial)
        await venue.prepare()
        subject = attrs.evolve(pair.subject, venue=venue)
        session = Session(subject, venue.instruments[subject.symbol], "late")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.serve)
            await session.expect(VenueStatus, "up", lambda status: status.up)
            await session.rest()
            nursery.cancel_scope.cancel()


async def test_handshake_answered_502_is_a_lost_link(autojump_clock: MockClock) -> None:
    async with running(handshake_502=1.0) as run:
        assert "answered 502" in str(await run.end())


# --- links that end -----------------------------------------------------------------------------


async def test_order_under_way_when_the_link_is_lost_is_perhaps_there(
    autojump_clock: MockClock,
) -> None:
    async with running(push_first=True, **QUIET) as run:
        await run.up()
        order = run.session.submit(Side.BUY, price=Decimal(40_000))
        await trio.sleep(0.01)  # it is at the venue, whose answer is late
        ws_link(run).cut()
        await run.end()
        assert not run.of(VenueStatus)[-1].order_entry
        assert len(run.resting()) == 1
    failed = [each.reached_venue for each in run.of(SendFailed)]
    told = [each.ord_status for each in run.session.reports(order)]
    assert (failed, told) in (([True], []), ([], [OrdStatus.NEW, OrdStatus.NEW]))


async def test_black_hole_is_noticed_by_the_heartbeat(autojump_clock: MockClock) -> None:
    async with running() as run:
        await run.up()
        await run.session.rest()
        ws_link(run).black_hole()
        began = trio.current_time()
        error = await run.end()
        assert isinstance(error, FeedStaleError)
        assert "server.ping was not answered within 10 s" in str(error)
        assert trio.current_time() - began < 31


async def test_pings_keep_a_silent_link_open(autojump_clock: MockClock) -> None:
    async with running(busy_market=False) as run:
        await trio.sleep(200)
        assert run.error is None


async def test_reconnected_it_tells_what_has_happened_meanwhile(
    autojump_clock: MockClock,
) -> None:
    async with running({"on_disconnect": "keep"}, **QUIET) as run:
        await run.up()
        order = await run.session.rest()
        gone = await run.session.rest(Side.SELL)
        ws_link(run).cut()
        await run.end()
        exchange, market = run.simulator.market.exchange, run.simulator.market
        ours = exchange.accounts["alice"].open_orders()[1]
        market.tell(exchange.cancel("alice", ours.order_id, market.catch_up()))
        since = len(run.session.events)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.session.serve)
            await run.up(since)
            nursery.cancel_scope.cancel()
        told = {each.client_order_id: each for each in run.of(ExecutionReport, since)}
    assert told[order.client_order_id].ord_status is OrdStatus.NEW
    assert told[gone.client_order_id].ord_status is OrdStatus.CANCELED


# --- books --------------------------------------------------------------------------------------


async def test_book_that_stays_crossed_is_voided_and_asked_for_anew(
    autojump_clock: MockClock,
) -> None:
    async with running({"snapshot_within": "3s"}, lost_changes=0.7, whole_every=0) as run:
        await run.up()
        run.simulator.quirks["lost_wholes"] = 2  # so that changes come meanwhile
        with trio.fail_after(600):
            gap = None
            while gap is None:
                await trio.sleep(1)
                gap = next((each for each in run.of(FeedGap) if each.symbol), None)
        since = run.session.events.index(gap)
        await trio.sleep(8)
        whole = next(each for each in run.of(BookSnapshot, since))
        between = run.session.events[since : run.session.events.index(whole)]
        assert not any(isinstance(each, BookDelta) for each in between)
        down, up = [each.market_data for each in run.of(VenueStatus, since)][:2]
    assert "crossed for too long" in gap.reason
    assert (down, up) == (False, True)


async def test_whole_book_that_does_not_come_is_asked_for_again(
    autojump_clock: MockClock,
) -> None:
    async with running(lost_wholes=2) as run:
        await run.session.expect(VenueStatus, "signed in", lambda status: status.private)
        assert not run.of(BookSnapshot)
        await trio.sleep(12)
        assert run.of(BookSnapshot)
        assert run.of(VenueStatus)[-1].up


async def test_book_that_never_comes_ends_the_link(autojump_clock: MockClock) -> None:
    async with running(lost_wholes=9) as run:
        error = await run.end()
    assert "no whole book of digifinex:BTC_USDT though asked 3 times" in str(error)


async def test_books_are_asked_for_as_a_routine(autojump_clock: MockClock) -> None:
    async with running({"refresh_every": "20s"}, whole_every=0) as run:
        await trio.sleep(90)
        assert len(run.of(BookSnapshot)) == 5


# --- orders -------------------------------------------------------------------------------------


async def test_refused_order_says_why(autojump_clock: MockClock) -> None:
    async with running() as run:
        await run.up()
        order = run.session.submit(Side.BUY, price=Decimal(40_000), order_qty=Decimal(1_000))
        end = await run.session.status(order, "REJECTED", OrdStatus.REJECTED)
    assert "digifinex error 20011 (not enough balance)" in end.text


async def test_market_buy_by_quantity_is_refused_with_what_to_do(
    autojump_clock: MockClock,
) -> None:
    async with running() as run:
        await run.up()
        run.session.submit(Side.BUY, ord_type=OrdType.MARKET)
        (failure,) = run.of(SendFailed)
    assert not failure.reached_venue
    assert "give it cash_order_qty" in failure.text


@pytest.mark.parametrize("side", list(Side))
async def test_market_orders_trade_by_money_or_by_quantity(
    side: Side, autojump_clock: MockClock
) -> None:
    cash = {"cash_order_qty": Decimal(1_000)} if side is Side.BUY else {}
    async with running(**QUIET) as run:
        await run.up()
        await run.session.touch()
        order = run.session.submit(side, ord_type=OrdType.MARKET, **cash)
        end = await run.session.status(order, "FILLED", OrdStatus.FILLED)
        account = run.simulator.market.exchange.accounts["alice"]
        (done,) = account.history()
    assert (end.cum_qty, end.avg_px) == (done.cum_qty, done.avg_px)


async def test_lost_answer_is_unknown_and_the_push_follows(autojump_clock: MockClock) -> None:
    async with running(lost_answers=1.0, push_first=True, **QUIET) as run:
        await run.up()
        order = run.session.submit(Side.BUY, price=Decimal(40_000))
        failure = await run.session.expect(SendFailed, "SendFailed")
        push = await run.session.expect(ExecutionReport, "the push")
    assert failure.reached_venue
    assert (push.client_order_id, push.price) == (None, order.price)
    assert run.session.events.index(failure) < run.session.events.index(push)


async def test_fees_of_an_order_whose_answer_was_lost_are_told(
    autojump_clock: MockClock,
) -> None:
    async with running(lost_answers=1.0, **QUIET) as run:
        await run.up()
        price = await run.session.crossing_price(Side.BUY)
        run.session.submit(Side.BUY, price=price)
        await run.session.expect(SendFailed, "SendFailed")
        await trio.sleep(4)
        (done,) = run.simulator.market.exchange.accounts["alice"].history()
        told = [each.commission or Decimal(0) for each in run.of(ExecutionReport)]
    assert sum(told) == done.fees


async def test_pushes_of_others_while_an_answer_is_awaited_come_after_it(
    autojump_clock: MockClock,
) -> None:
    """An order like ours, sent by another program, is not taken for ours."""
    async with running(push_first=True, **QUIET) as run:
        await run.up()
        order = run.session.submit(Side.BUY, price=Decimal(40_000))
        await trio.sleep(0.02)
        assert run.of(ExecutionReport) == []
        await run.session.status(order, "NEW", OrdStatus.NEW)
        names = {each.client_order_id for each in run.of(ExecutionReport)}
    assert names == {order.client_order_id}


async def test_cancels_that_wait_go_by_one_call(autojump_clock: MockClock) -> None:
    async with running(**QUIET) as run:
        await run.up()
        orders = [await run.session.rest() for _ in range(3)]
        before = len(run.simulator.gatekeeper._calls["test-key-alice", "POST"])
        for order in orders:
            run.session.cancel(order)
        for order in orders:
            await run.session.status(order, "CANCELED", OrdStatus.CANCELED)
        calls = len(run.simulator.gatekeeper._calls["test-key-alice", "POST"]) - before
    assert calls == 1


async def test_cancel_without_an_answer_is_tried_until_it_has_one(
    autojump_clock: MockClock,
) -> None:
    async with running() as run:
        await run.up()
        order = await run.session.rest()
        run.simulator.quirks["busy"] = 1.0
        run.session.cancel(order)
        await trio.sleep(20)
        assert len(run.resting()) == 1
        run.simulator.quirks["busy"] = 0.0
        await trio.sleep(5)  # the longest pause between two attempts
        assert run.resting() == []
        assert run.session.reports(order)[-1].ord_status is OrdStatus.CANCELED


async def test_cancel_of_an_order_the_venue_does_not_know_says_so(
    autojump_clock: MockClock,
) -> None:
    async with running() as run:
        await run.up()
        run.session.cancel_by(ClientOrderId("check-a-1"), VenueOrderId("nothing"))
        reject = await run.session.expect(OrderCancelReject, "reject")
        run.simulator.quirks["failing_reads"] = 1.0
        run.session.cancel_by(ClientOrderId("check-a-2"), VenueOrderId("else"))
        unclear = await run.session.expect(
            OrderCancelReject, "reject", lambda each: each.client_order_id == "check-a-2"
        )
    assert reject.unknown_order
    assert (unclear.unknown_order, unclear.ord_status) == (False, None)


async def test_cancel_that_no_push_confirms_is_looked_up(autojump_clock: MockClock) -> None:
    async with running(disorder=1.0, push_first=False) as run:
        await run.up()
        order = await run.session.rest()
        ws_link(run).downward.stall(8)
        run.session.cancel(order)
        end = await run.session.status(order, "CANCELED", OrdStatus.CANCELED)
    assert end.exec_type.value == "ORDER_STATUS"


async def test_cancel_that_is_accepted_and_cannot_be_looked_up_is_told_as_perhaps_arrived(
    autojump_clock: MockClock,
) -> None:
    async with running(disorder=1.0, push_first=False) as run:
        await run.up()
        order = await run.session.rest()
        ws_link(run).downward.stall(8)
        run.simulator.quirks["failing_reads"] = 1.0
        run.session.cancel(order)
        failed = await run.session.expect(SendFailed, "word that nobody knows")
    assert (failed.client_order_id, failed.request) == (order.client_order_id, RequestKind.CANCEL)
    assert failed.reached_venue


async def test_cancel_that_no_push_confirms_of_an_order_to_keep_is_looked_up(
    autojump_clock: MockClock,
) -> None:
    async with running(disorder=1.0, push_first=False) as run:
        await run.up()
        order = await run.session.rest(keep=True)
        ws_link(run).downward.stall(8)
        since = trio.current_time()
        run.session.cancel(order)
        end = await run.session.status(order, "CANCELED", OrdStatus.CANCELED)
    assert end.exec_type.value == "ORDER_STATUS"
    assert trio.current_time() - since < 3


async def test_fees_are_told_for_every_total(autojump_clock: MockClock) -> None:
    async with running(**QUIET) as run:
        await run.up()
        price = await run.session.crossing_price(Side.BUY)
        order = run.session.submit(Side.BUY, price=price, order_qty=Decimal(1))
        await run.session.status(order, "FILLED", OrdStatus.FILLED)
        await trio.sleep(5)
        (done,) = run.simulator.market.exchange.accounts["alice"].history()
        told = [each for each in run.session.reports(order) if each.commission is not None]
    totals = {each.exec_id for each in run.session.reports(order) if each.cum_qty}
    assert len(told) > 1
    assert {each.exec_id for each in told} == totals
    assert sum(each.commission or Decimal(0) for each in told) == done.fees
    assert {each.commission_currency for each in told} == {"BTC"}


# --- rates and conduct --------------------------------------------------------------------------


async def test_orders_leave_enough_of_the_rate_to_cancel_them_all(
    autojump_clock: MockClock,
) -> None:
    async with running({"posts_per_minute": 8}) as run:
        await run.up()
        orders = [run.session.submit(Side.BUY, price=Decimal(40_000 + n)) for n in range(6)]
        refused = [each.client_order_id for each in run.of(SendFailed)]
        assert refused == [order.client_order_id for order in orders[4:]]
        assert "of 8 calls a minute 4 are left, and 4 orders" in run.of(SendFailed)[0].text
        for order in orders[:4]:
            await run.session.status(order, "NEW", OrdStatus.NEW)
        for order in orders[:4]:
            run.session.cancel(order)
            await run.session.status(order, "CANCELED", OrdStatus.CANCELED)
        assert len(run.of(SendFailed)) == 2


async def test_successor_counts_what_was_sent_in_the_minute_before_it_and_cancels_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with running() as run:
        await run.up()
        orders = [run.session.submit(Side.BUY, price=Decimal(40_000 + n)) for n in range(25)]
        await run.session.status(orders[-1], "NEW", OrdStatus.NEW)
        await trio.sleep(1)
        names = [each.venue_order_id for each in run.of(ExecutionReport) if each.venue_order_id]
        again = DigiFinexVenue.from_setup(setup(run.pair))
        assert run.pair.network is not None
        again.network = Network(dial=run.pair.network.dial)
        await again.prepare()
        told: list[Any] = []
        clock = run.pair.subject.clock
        async with trio.open_nursery() as nursery:
            nursery.start_soon(again.run, told.append, clock)
            await trio.sleep(2)
            assert again.rest.orders_left() == 60 - 25 - 25 // 4
            for name in dict.fromkeys(names):
                cancel = CancelOrder(
                    client_order_id=ClientOrderId(f"c{name}"),
                    symbol="digifinex:BTC_USDT",
                    venue_order_id=name,
                    side=Side.BUY,
                )
                again.cancel(cancel)
                again.ask(
                    AskStatus(
                        client_order_id=cancel.client_order_id,
                        symbol=cancel.symbol,
                        venue_order_id=name,
                    )
                )
            await trio.sleep(4)
            assert run.resting() == []
            assert again.rest.posts.left(urgent=True) == 58  # twenty orders a call
            assert not any(isinstance(each, SendFailed | OrderCancelReject) for each in told)
            await trio.sleep(62)
            assert again.rest.orders_left() == 60
            nursery.cancel_scope.cancel()


async def test_orders_stop_at_80_percent_of_a_ban(autojump_clock: MockClock) -> None:
    changes = {**MANY, "conduct": True}
    async with running(changes, rate_limits=False, **QUIET) as run:
        await run.up()
        sent = 0
        while not run.of(SendFailed):
            order = run.session.submit(Side.BUY, price=Decimal(40_000))
            await trio.sleep(0.2)
            run.session.cancel(order)
            await trio.sleep(0.2)
            sent += 1
        assert sent - 1 == 39  # of the 49 that value is not looked at for
        assert "in value ordered in the last ten minutes has filled" in run.of(SendFailed)[0].text
        taken = run.session.submit(Side.SELL, ord_type=OrdType.MARKET)
        await run.session.status(taken, "FILLED", OrdStatus.FILLED)
        since = len(run.session.events)
        again = await run.session.rest()  # enough has filled now
        assert again.client_order_id not in {e.client_order_id for e in run.of(SendFailed, since)}
        assert run.simulator.gatekeeper.bans == {}


async def test_conduct_is_recalled_from_the_venues_history(autojump_clock: MockClock) -> None:
    changes = {**MANY, "conduct": True}
    async with running(changes, rate_limits=False, **QUIET) as run:
        await run.up()
        for _ in range(30):
            run.session.submit(Side.BUY, price=Decimal(40_000))
        await trio.sleep(1)
        assert len(run.resting()) == 30
        market = run.simulator.market
        market.tell(market.exchange.cancel_all("alice", market.catch_up()))
        venue = DigiFinexVenue.from_setup(
            setup(run.pair, options=options("ws://exchange.test", **changes))
        )
        assert run.pair.network is not None
        venue.network = Network(dial=run.pair.network.dial)
        await venue.prepare()
        subject = attrs.evolve(run.pair.subject, venue=venue)
        session = Session(subject, venue.instruments[subject.symbol], "again")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session.serve)
            await session.expect(VenueStatus, "up", lambda status: status.up)
            for _ in range(10):
                session.submit(Side.BUY, price=Decimal(40_000))
            refusal = await session.expect(SendFailed, "refusal of the 40th order")
            await trio.sleep(1)
            assert len(run.resting()) == 9
            nursery.cancel_scope.cancel()
        assert "has filled, allowed: 1.25% or more of it" in refusal.text


# --- questions ----------------------------------------------------------------------------------


async def test_listing_comes_whole_by_small_pages(autojump_clock: MockClock) -> None:
    async with running({**MANY, "page_size": 3}, **FREE, **QUIET) as run:
        await run.up()
        orders: list[NewOrder] = []
        for _ in range(8):
            orders.append(await run.session.rest())
            await trio.sleep(1.5)
        run.session.ask_listing(5)
        listing = await run.session.expect(OrderListing, "listing")
    assert listing.complete
    assert {each.client_order_id for each in listing.reports} == {
        order.client_order_id for order in orders
    }


async def test_listing_with_more_in_a_second_than_a_page_is_not_complete(
    autojump_clock: MockClock,
) -> None:
    async with running({**MANY, "page_size": 2}, **FREE, **QUIET) as run:
        await run.up()
        for _ in range(6):
            await run.session.rest()
        run.session.ask_listing(5)
        listing = await run.session.expect(OrderListing, "listing")
    assert not listing.complete


async def test_listing_that_fails_is_not_complete(autojump_clock: MockClock) -> None:
    async with running() as run:
        await run.up()
        run.simulator.quirks["failing_reads"] = 1.0
        run.session.ask_listing(5)
        listing = await run.session.expect(OrderListing, "listing")
    assert not listing.complete


async def test_order_the_venue_has_not_named_is_not_asked_for(autojump_clock: MockClock) -> None:
    async with running() as run:
        await run.up()
        since = len(run.session.events)
        for venue_order_id in (None, VenueOrderId("nothing")):
            run.session.venue.ask(
                AskStatus(
                    client_order_id=ClientOrderId("check-a-1"),
                    symbol="digifinex:BTC_USDT",
                    venue_order_id=venue_order_id,
                )
            )
        await trio.sleep(3)
        assert run.of(ExecutionReport, since) == []
        run.session.venue.ask(AskListing(venue="digifinex", listing_id=1))
        await run.session.expect(OrderListing, "listing")
