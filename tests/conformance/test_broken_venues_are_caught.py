"""The suite can fail: each venue here breaks one promise, and the case of that name says so."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from math import inf, nan
from typing import Any

import attrs
import msgspec
import pytest
import trio
from trio.testing import MockClock

from botkit.clock import Clock, LiveClock
from botkit.matching import ConstantLatency, PaperMatcher, RiskAverseQueue
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    Balance,
    BookSnapshot,
    CancelOrder,
    ClientOrderId,
    Event,
    ExecutionReport,
    FeedGap,
    Instrument,
    MarketEvent,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    OrdType,
    Quote,
    ReplaceOrder,
    SendFailed,
    Side,
    TimeInForce,
    Trade,
    VenueStatus,
)
from botkit.ports import Capabilities, Deliver, FeeSchedule, VenueSetup
from botkit.testing import (
    START_NS,
    SYMBOL,
    VenueUnderTest,
    build_instrument,
    check_venue,
    examine_venue,
)
from venues.paper import PaperVenue

STEP_NS = 100_000_000


class Pit:
    """A feed that shows one price, and any trade it is asked for."""

    speed = 1.0

    def __init__(self) -> None:
        self.wanted: list[tuple[float, float]] = []

    def first_time_ns(self) -> int | None:
        return None

    def remarks(self) -> tuple[str, ...]:
        return ()

    def events(self, start_ns: int) -> Iterator[MarketEvent]:
        time_ns = start_ns
        while True:
            time_ns += STEP_NS
            times = {"exchange_time_ns": time_ns, "receive_time_ns": time_ns}
            yield BookSnapshot(SYMBOL, [(99.0, 5.0)], [(101.0, 5.0)], **times)
            yield Quote(SYMBOL, 99.0, 5.0, 101.0, 5.0, **times)
            while self.wanted:
                price, qty = self.wanted.pop()
                through = price - 0.01  # the depth shown does not tell the queue at `price`
                yield Trade(SYMBOL, through, qty, "SELL", receive_time_ns=time_ns)


Bend = Callable[[Event], list[Event]]


class Bent:
    """The paper venue with its answers bent; implements `Venue`."""

    def __init__(self, bend: Bend, **can: Any) -> None:
        self.pit = Pit()
        self.name = "paper"
        self.keeps_orders = False
        self.fees = FeeSchedule(maker_bps=Decimal(1), taker_bps=Decimal(2))
        self.instruments: Mapping[str, Instrument] = {SYMBOL: build_instrument()}
        matcher = PaperMatcher(
            venue="paper",
            instruments=self.instruments,
            fees=self.fees,
            latency=ConstantLatency(delay_ns=1_000_000),
            queue=RiskAverseQueue(),
            balances={"BTC": Decimal(10), "EUR": Decimal(100_000)},
            seed=1,
        )
        self.paper = PaperVenue(
            name="paper",
            feed=self.pit,
            matcher=matcher,
            instruments=self.instruments,
            fees=self.fees,
        )
        self.capabilities: Capabilities = attrs.evolve(self.paper.capabilities, **can)
        self.bend = bend

    @classmethod
    def from_setup(cls, setup: VenueSetup) -> "Bent":
        raise NotImplementedError(setup.name)

    async def prepare(self) -> None:
        await self.paper.prepare()

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        def deliver_bent(event: Event) -> None:
            for each in self.bend(event):
                deliver(each)

        await self.paper.run(deliver_bent, clock)

    def submit(self, order: Approved[NewOrder]) -> None:
        self.paper.submit(order)

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        self.paper.replace(order)

    def cancel(self, order: CancelOrder) -> None:
        self.paper.cancel(order)

    def ask(self, question: AskStatus | AskListing) -> None:
        self.paper.ask(question)

    async def trade(self, side: Side, price: Decimal, qty: Decimal) -> None:
        assert side is Side.SELL
        self.pit.wanted.append((float(price), float(qty)))
        await trio.lowlevel.checkpoint()


def opener(build: Callable[[], Bent]) -> Any:
    @asynccontextmanager
    async def open_venue() -> AsyncIterator[VenueUnderTest]:
        venue = build()
        yield VenueUnderTest(
            venue=venue,
            clock=LiveClock(origin_ns=START_NS),
            symbol=SYMBOL,
            qty=Decimal(1),
            trade=venue.trade,
            waived={"replace_changes_the_order": "waived by a test"},
        )

    return open_venue


def edit(kind: type, holds: Callable[[Any], bool] = lambda _: True, **fields: Any) -> Bend:
    def bend(event: Event) -> list[Event]:
        if isinstance(event, kind) and holds(event):
            return [msgspec.structs.replace(event, **fields)]
        return [event]

    return bend


def drop(kind: type, holds: Callable[[Any], bool] = lambda _: True) -> Bend:
    return lambda event: [] if isinstance(event, kind) and holds(event) else [event]


def is_ack(report: ExecutionReport) -> bool:
    return report.ord_status is OrdStatus.NEW


def is_fill(report: ExecutionReport) -> bool:
    return bool(report.last_qty)


def fill_twice(event: Event) -> list[Event]:
    twice = isinstance(event, ExecutionReport) and is_fill(event)
    return [event, event] if twice else [event]


def cancel_is(status: OrdStatus) -> Callable[[ExecutionReport], bool]:
    return lambda report: report.ord_status is status


LIES: list[tuple[str, Bend, str]] = [
    ("starts_with_gap_then_status", drop(FeedGap), "must be a FeedGap"),
    ("starts_with_gap_then_status", edit(FeedGap, venue="other"), "is not of paper"),
    ("starts_with_gap_then_status", drop(VenueStatus), "no VenueStatus that is up"),
    ("reconnecting_is_like_connecting", drop(FeedGap), "no FeedGap"),
    ("market_data_is_well_formed", edit(Quote, symbol="BTC-EUR"), "is not one of paper:BTC-EUR"),
    ("market_data_is_well_formed", edit(Quote, receive_time_ns=0), "receive_time_ns is not set"),
    ("market_data_is_well_formed", edit(Quote, bid_px=inf), "inf is no price"),
    ("market_data_is_well_formed", edit(Quote, bid_qty=nan), "nan is no price or quantity"),
    ("market_data_is_well_formed", edit(BookSnapshot, asks=[(-1.0, 1.0)]), "-1.0 is no price"),
    ("market_data_is_well_formed", edit(Quote, ask_px=Decimal(101)), "is not a float"),
    ("book_is_not_crossed", edit(Quote, bid_px=101.0), "no book with both sides"),
    ("balances_are_told", drop(Balance), "no Balance"),
    ("balances_are_told", edit(Balance, available=Decimal(10**9)), "more is available"),
    ("limit_order_is_acknowledged", drop(ExecutionReport, is_ack), "no NEW report"),
    (
        "limit_order_is_acknowledged",
        edit(ExecutionReport, client_order_id=ClientOrderId("wrong")),
        "no NEW report",
    ),
    ("limit_order_is_acknowledged", edit(ExecutionReport, venue_order_id=None), "id is missing"),
    ("limit_order_is_acknowledged", edit(ExecutionReport, side=Side.SELL), "says SELL"),
    ("limit_order_is_acknowledged", edit(ExecutionReport, symbol="paper:X"), "names paper:X"),
    (
        "limit_order_is_acknowledged",
        edit(ExecutionReport, is_ack, cum_qty=Decimal(1)),
        "nothing can have filled",
    ),
    (
        "limit_order_is_acknowledged",
        edit(ExecutionReport, ord_status=OrdStatus.REJECTED, text="no"),
        "was REJECTED: no",
    ),
    (
        "cancel_ends_the_order",
        drop(ExecutionReport, cancel_is(OrdStatus.CANCELED)),
        "no CANCELED report",
    ),
    ("cancel_of_an_unknown_order_is_answered", drop(OrderCancelReject), "for an unknown order"),
    (
        "cancel_of_an_unknown_order_is_answered",
        edit(OrderCancelReject, client_order_id=ClientOrderId("other")),
        "names another order",
    ),
    ("cancel_of_a_closed_order_is_answered", drop(OrderCancelReject), "for a closed order"),
    (
        "cancel_of_a_closed_order_is_answered",
        edit(OrderCancelReject, ord_status=OrdStatus.NEW),
        "is said to work",
    ),
    ("marketable_order_fills", fill_twice, "an exec_id comes twice"),
    ("marketable_order_fills", edit(ExecutionReport, is_fill, exec_id=None), "without exec_id"),
    (
        "marketable_order_fills",
        edit(ExecutionReport, is_fill, last_qty=Decimal("0.5")),
        "add up to 0.5 of 1",
    ),
    (
        "marketable_order_fills",
        edit(ExecutionReport, is_fill, cum_qty=Decimal(2)),
        "cum_qty comes to 2 of 1",
    ),
    (
        "marketable_order_fills",
        edit(ExecutionReport, is_fill, last_qty=Decimal(0), cum_qty=None),
        "cum_qty comes to 0 of 1",
    ),
    ("marketable_order_fills", edit(ExecutionReport, last_px=Decimal(0)), "without a price"),
    ("marketable_order_fills", edit(ExecutionReport, liquidity="ADDED"), "must be REMOVED"),
    (
        "marketable_order_fills",
        edit(ExecutionReport, commission_currency=""),
        "without its currency",
    ),
    ("resting_order_fills_as_maker", edit(ExecutionReport, liquidity="REMOVED"), "must be ADDED"),
    (
        "ioc_rest_is_canceled",
        edit(ExecutionReport, cancel_is(OrdStatus.CANCELED), cum_qty=Decimal(1)),
        "has filled",
    ),
    (
        "post_only_never_takes",
        edit(ExecutionReport, cancel_is(OrdStatus.REJECTED), last_qty=Decimal(1)),
        "took liquidity",
    ),
    ("status_is_answered", drop(ExecutionReport, lambda r: r.exec_type == "ORDER_STATUS"), "no "),
    (
        "status_is_answered",
        edit(ExecutionReport, lambda r: r.exec_type == "ORDER_STATUS", ord_status="FILLED"),
        "the order works",
    ),
    ("listing_holds_the_open_order", drop(OrderListing), "no OrderListing"),
    ("listing_holds_the_open_order", edit(OrderListing, complete=False), "not complete"),
    ("listing_holds_the_open_order", edit(OrderListing, listing_id=1), "another question"),
    ("listing_holds_the_open_order", edit(OrderListing, began_ns=0), "began_ns"),
    ("listing_holds_the_open_order", edit(OrderListing, reports=()), "not in the listing"),
    ("requests_on_a_cut_link_fail", drop(SendFailed), "no SendFailed"),
    ("accepts_STOP", drop(ExecutionReport), "no NEW report"),
    ("accepts_FOK", drop(ExecutionReport), "no end of a taker"),
    ("accepts_GTD", drop(ExecutionReport), "no NEW report"),
    ("accepts_MARKET", drop(ExecutionReport), "no FILLED report"),
]


@pytest.mark.parametrize(("case", "bend", "text"), LIES)
async def test_a_lie_is_caught_by_the_case_of_its_name(
    case: str, bend: Bend, text: str, autojump_clock: MockClock
) -> None:
    if case == "requests_on_a_cut_link_fail":
        report = await examine_venue(opener(lambda: Silent(bend)), only=[case])
    else:
        report = await examine_venue(opener(lambda: Bent(bend)), only=[case])

    assert [each.name for each in report.failed] == [case]
    assert text in report.failed[0].text


class Silent(Bent):
    """Swallows what is sent on a cut link."""

    def submit(self, order: Approved[NewOrder]) -> None:
        """Send nothing."""


async def test_an_honest_venue_with_a_counterparty_passes(autojump_clock: MockClock) -> None:
    report = await check_venue(opener(lambda: Bent(lambda event: [event])))

    assert [(each.name, each.text) for each in report.skipped] == [
        ("replace_changes_the_order", "waived by a test")
    ]
    assert "resting_order_fills_as_maker" in [each.name for each in report.passed]


async def test_a_venue_without_client_ids_is_told_by_its_terms(autojump_clock: MockClock) -> None:
    nameless = edit(ExecutionReport, client_order_id=None)
    report = await check_venue(opener(lambda: Bent(nameless, client_order_ids=False)))

    assert not report.failed


async def test_reports_that_tell_no_terms_cannot_be_told_apart(autojump_clock: MockClock) -> None:
    bare = edit(ExecutionReport, client_order_id=None, price=None, order_qty=None)
    report = await examine_venue(
        opener(lambda: Bent(bare, client_order_ids=False)), only=["limit_order_is_acknowledged"]
    )

    assert [each.name for each in report.failed] == ["limit_order_is_acknowledged"]


async def test_falling_times_are_caught(autojump_clock: MockClock) -> None:
    count = 0

    def fall(event: Event) -> list[Event]:
        nonlocal count
        count += 1
        falls = isinstance(event, Quote) and count % 7 == 0
        return [msgspec.structs.replace(event, receive_time_ns=START_NS) if falls else event]

    report = await examine_venue(opener(lambda: Bent(fall)), only=["times_do_not_fall"])

    assert "receive_time_ns falls" in report.failed[0].text


async def test_a_book_that_becomes_crossed_is_caught(autojump_clock: MockClock) -> None:
    count = 0

    def cross(event: Event) -> list[Event]:
        nonlocal count
        count += isinstance(event, Quote)
        crosses = isinstance(event, Quote) and count % 5 == 0
        return [msgspec.structs.replace(event, bid_px=102.0) if crosses else event]

    report = await examine_venue(opener(lambda: Bent(cross)), only=["book_is_not_crossed"])

    assert "is not below the ask" in report.failed[0].text


async def test_what_is_not_offered_is_skipped_with_the_reason(autojump_clock: MockClock) -> None:
    can: dict[str, Any] = {
        "post_only": False,
        "times_in_force": frozenset({TimeInForce.GTC}),
        "ord_types": frozenset({OrdType.LIMIT, OrdType.MARKET}),
    }
    report = await check_venue(opener(lambda: Bent(lambda event: [event], **can)))

    skipped = {each.name: each.text for each in report.skipped}
    assert skipped["post_only_never_takes"] == "post-only is not offered"
    assert skipped["ioc_rest_is_canceled"] == "IOC is not offered"
    assert not {"accepts_STOP", "accepts_IOC"} & {each.name for each in report.results}


async def test_everything_wrong_is_told_at_once(autojump_clock: MockClock) -> None:
    with pytest.raises(AssertionError, match="paper fails") as caught:
        await check_venue(opener(lambda: Bent(drop(ExecutionReport))))

    for case in ("limit_order_is_acknowledged", "cancel_ends_the_order", "marketable_order_fills"):
        assert f"failed  {case}: no " in str(caught.value)


class Quitter(Bent):
    """Its run ends by itself."""

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        with trio.move_on_after(0.05):
            await super().run(deliver, clock)


class Raiser(Bent):
    """Its run raises."""

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        with trio.move_on_after(0.05):
            await super().run(deliver, clock)
        raise RuntimeError("the adapter has a bug")


class Stubborn(Bent):
    """Its run does not end when it is canceled."""

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        with trio.CancelScope(shield=True), trio.move_on_after(30):
            await super().run(deliver, clock)


@pytest.mark.parametrize(
    ("kind", "case", "text"),
    [
        (Quitter, "cancel_ends_the_order", "run() returned without having been canceled"),
        (Raiser, "cancel_ends_the_order", "the adapter has a bug"),
        (Stubborn, "requests_on_a_cut_link_fail", "run() did not end when it was canceled"),
    ],
)
async def test_a_run_that_ends_wrongly_is_caught(
    kind: type[Bent], case: str, text: str, autojump_clock: MockClock
) -> None:
    report = await examine_venue(opener(lambda: kind(lambda event: [event])), only=[case])

    assert text in report.failed[0].text


async def test_a_case_has_a_deadline(autojump_clock: MockClock) -> None:
    report = await examine_venue(
        opener(lambda: Bent(drop(ExecutionReport))), only=["cancel_ends_the_order"], case_s=1.0
    )

    assert report.failed[0].text == "not done within 1 s"


async def test_a_case_that_does_not_exist_is_named(autojump_clock: MockClock) -> None:
    with pytest.raises(ValueError, match="no such check: nonsense; there are starts_with"):
        await examine_venue(opener(lambda: Bent(lambda event: [event])), only=["nonsense"])
