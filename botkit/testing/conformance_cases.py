"""The cases of `check_venue()`, each a claim with a name."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import partial
from math import isfinite
from typing import Any, Final

import attrs
import trio

from botkit.model import (
    Balance,
    BookDelta,
    BookSnapshot,
    ExecutionReport,
    FeedGap,
    Liquidity,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    OrdType,
    Quote,
    RequestKind,
    SendFailed,
    Side,
    TimeInForce,
    Trade,
    VenueStatus,
)
from botkit.testing.conformance_session import Session, VenueUnderTest

__all__ = ["Case", "cases_for"]

MARKET_EVENTS: Final = 20
LISTING_ID: Final = 77
NS_PER_DAY: Final = 86_400_000_000_000
GONE: Final = (OrdStatus.CANCELED, OrdStatus.EXPIRED)
TAKERS: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})


@attrs.frozen
class Case:
    """One check; `skip` says why it does not apply here, "" if it does."""

    name: str
    check: Callable[[Session], Awaitable[None]]
    skip: str = ""


def cases_for(subject: VenueUnderTest) -> list[Case]:
    """Return every case, those that do not apply with the reason."""
    can = subject.venue.capabilities
    reasons = {
        "post_only_never_takes": "" if can.post_only else "post-only is not offered",
        "ioc_rest_is_canceled": ""
        if TimeInForce.IOC in can.times_in_force
        else "IOC is not offered",
        "replace_changes_the_order": "" if can.replace else "no replace: the gate refuses it",
        "resting_order_fills_as_maker": "" if subject.trade else "no counterparty was given",
        **subject.waived,
    }
    cases = [*CASES]
    cases += [(f"accepts_{each}", partial(_accepts_type, each)) for each in sorted(can.ord_types)]
    cases += [
        (f"accepts_{each}", partial(_accepts_time, each)) for each in sorted(can.times_in_force)
    ]
    return [Case(name, check, reasons.get(name, "")) for name, check in cases]


# --- market data ------------------------------------------------------------------------------


async def _starts_with_gap_then_status(session: Session) -> None:
    first = session.events[0]
    assert isinstance(first, FeedGap), f"the first event is {first!r}; it must be a FeedGap"
    assert first.venue == session.venue.name, f"{first!r} is not of {session.venue.name}"
    statuses = [isinstance(event, VenueStatus) for event in session.events]
    for event in session.events[: statuses.index(True)]:
        told = isinstance(event, FeedGap | Balance)
        assert told, f"{event!r} came before the first VenueStatus"


async def _reconnecting_is_like_connecting(session: Session) -> None:
    await session.disconnect()
    since = len(session.events)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(session.serve)
        await session.expect(VenueStatus, "VenueStatus on reconnecting", _is_up, since)
        nursery.cancel_scope.cancel()
    first = session.events[since]
    assert isinstance(first, FeedGap), f"reconnected, the first event is {first!r}, no FeedGap"


async def _market_data_is_well_formed(session: Session) -> None:
    await _market_events(session)
    for event in session.events:
        if isinstance(event, Quote | Trade | BookSnapshot | BookDelta):
            assert event.symbol in session.venue.instruments, (
                f"symbol {event.symbol!r} is not one of "
                f"{', '.join(session.venue.instruments)}: {event!r}"
            )
            assert event.receive_time_ns > 0, f"receive_time_ns is not set: {event!r}"
            for number in _numbers(event):
                assert isinstance(number, float), f"{number!r} is not a float: {event!r}"
                is_sane = isfinite(number) and number >= 0
                assert is_sane, f"{number!r} is no price or quantity: {event!r}"


async def _book_is_not_crossed(session: Session) -> None:
    await session.touch()
    for _ in range(MARKET_EVENTS):
        since = len(session.events)
        await session.expect(object, "market data", _is_market, since)
        book = session.book
        assert not book.is_crossed, f"the bid {book.bid} is not below the ask {book.ask}"
    for event in session.events:
        if isinstance(event, Quote):
            assert not event.bid_px >= event.ask_px, f"a crossed quote: {event!r}"


async def _times_do_not_fall(session: Session) -> None:
    await session.rest()
    await _market_events(session)
    latest = 0
    for event in session.events:
        assert event.receive_time_ns >= latest, f"receive_time_ns falls below {latest}: {event!r}"
        latest = event.receive_time_ns


async def _balances_are_told(session: Session) -> None:
    await session.expect(Balance, "Balance")
    for event in session.events:
        if isinstance(event, Balance):
            assert event.available <= event.total, f"more is available than there is: {event!r}"


# --- orders -----------------------------------------------------------------------------------


async def _limit_order_is_acknowledged(session: Session) -> None:
    order = await session.rest()
    ack = await session.status(order, "NEW report", OrdStatus.NEW)
    assert ack.symbol == order.symbol, f"the report names {ack.symbol}, not {order.symbol}"
    assert ack.venue_order_id, f"the venue's order id is missing: {ack!r}"
    assert ack.side in (None, order.side), f"the report says {ack.side}: {ack!r}"
    assert not ack.cum_qty, f"nothing can have filled: {ack!r}"


async def _cancel_ends_the_order(session: Session) -> None:
    order = await session.rest()
    session.cancel(order)
    await session.status(order, "CANCELED report", OrdStatus.CANCELED)


async def _cancel_of_an_unknown_order_is_answered(session: Session) -> None:
    await session.touch()
    name = session.unknown_id()
    session.cancel_by(name, None)
    reject = await session.expect(OrderCancelReject, "OrderCancelReject for an unknown order")
    assert reject.response_to is RequestKind.CANCEL, f"it answers something else: {reject!r}"
    assert reject.client_order_id in (None, name), f"it names another order: {reject!r}"


async def _cancel_of_a_closed_order_is_answered(session: Session) -> None:
    order = await session.rest()
    session.cancel(order)
    await session.status(order, "CANCELED report", OrdStatus.CANCELED)
    session.cancel(order)
    reject = await session.expect(OrderCancelReject, "OrderCancelReject for a closed order")
    assert reject.ord_status not in WORKING, f"a canceled order is said to work: {reject!r}"


async def _marketable_order_fills(session: Session) -> None:
    order = session.submit(Side.BUY, price=await session.crossing_price(Side.BUY))
    await session.status(order, "FILLED report", OrdStatus.FILLED)
    await session.quiet()  # a fill told twice comes late
    _check_fills(session, order, Liquidity.REMOVED)


async def _resting_order_fills_as_maker(session: Session) -> None:
    trade = session.subject.trade
    assert trade is not None
    order = await session.rest()
    assert order.price is not None
    await trade(Side.SELL, order.price, order.order_qty)
    await session.status(order, "FILLED report", OrdStatus.FILLED)
    await session.quiet()
    _check_fills(session, order, Liquidity.ADDED)


def _check_fills(session: Session, order: NewOrder, liquidity: Liquidity) -> None:
    """Check that the fills add up, by executions and by totals, and say what they cost."""
    reports = session.reports(order)
    fills = [each for each in reports if each.last_qty]
    exec_ids = [each.exec_id for each in fills]
    assert None not in exec_ids, f"a fill without exec_id: {fills!r}"
    assert len(set(exec_ids)) == len(exec_ids), f"an exec_id comes twice: {exec_ids}"
    total = sum((each.last_qty for each in fills), Decimal(0))
    totals = [each.cum_qty for each in reports if each.cum_qty is not None]
    if fills:
        assert total == order.order_qty, f"the fills add up to {total} of {order.order_qty}"
    assert max(totals, default=total) == order.order_qty, (
        f"cum_qty comes to {max(totals, default=total)} of {order.order_qty}"
    )
    for fill in fills:
        assert fill.last_px > 0, f"a fill without a price: {fill!r}"
        told = fill.liquidity in (None, liquidity)
        assert told, f"the fill is {fill.liquidity}, it must be {liquidity}: {fill!r}"
        paid = fill.commission is None or bool(fill.commission_currency)
        assert paid, f"a commission without its currency: {fill!r}"


async def _ioc_rest_is_canceled(session: Session) -> None:
    price = await session.far_price(Side.BUY)
    order = session.submit(Side.BUY, price=price, time_in_force=TimeInForce.IOC)
    end = await session.status(order, "CANCELED report", *GONE)
    assert not end.cum_qty, f"an IOC order far from the market has filled: {end!r}"


async def _post_only_never_takes(session: Session) -> None:
    price = await session.crossing_price(Side.BUY)
    order = session.submit(Side.BUY, price=price, post_only=True)
    await session.status(order, "end of a post-only order that crosses", OrdStatus.REJECTED, *GONE)
    await session.quiet()
    taken = [each for each in session.reports(order) if each.last_qty or each.cum_qty]
    assert not taken, f"a post-only order took liquidity: {taken!r}"


async def _replace_changes_the_order(session: Session) -> None:
    order = await session.rest()
    assert order.price is not None
    price = order.price - session.instrument.tick_size
    request = session.replace(order, price, order.order_qty * 2)

    def is_answer(report: ExecutionReport) -> bool:
        named = report.client_order_id in (request.client_order_id, order.client_order_id, None)
        return named and report.price == price and report.order_qty == order.order_qty * 2

    await session.expect(ExecutionReport, "report of the order with its new terms", is_answer)
    session.cancel_by(request.client_order_id, session.venue_id(order), order.side)
    await session.expect(ExecutionReport, "CANCELED report of the replaced order", _is_canceled)


async def _status_is_answered(session: Session) -> None:
    order = await session.rest()
    since = len(session.events)
    session.ask_status(order)

    def is_answer(report: ExecutionReport) -> bool:
        return report in session.reports(order)

    answer = await session.expect(ExecutionReport, "answer to AskStatus", is_answer, since)
    assert answer.ord_status is OrdStatus.NEW, f"the order works, the answer says {answer!r}"


async def _listing_holds_the_open_order(session: Session) -> None:
    order = await session.rest()
    session.ask_listing(LISTING_ID)
    listing = await session.expect(OrderListing, "OrderListing")
    assert listing.listing_id == LISTING_ID, f"it answers another question: {listing!r}"
    assert listing.complete, f"it is not complete: {listing!r}"
    assert listing.began_ns > 0, f"began_ns is not set: {listing!r}"
    ours = [r for r in listing.reports if r.venue_order_id == session.venue_id(order)]
    assert ours, f"order {order.client_order_id} works and is not in the listing: {listing!r}"
    assert ours[-1].ord_status is OrdStatus.NEW, f"the order works, the listing says {ours[-1]!r}"


async def _requests_on_a_cut_link_fail(session: Session) -> None:
    price = await session.far_price(Side.BUY)
    await session.disconnect()
    order = session.submit(Side.BUY, price=price)
    failure = await session.expect(SendFailed, "SendFailed for an order on a cut link")
    assert failure.client_order_id == order.client_order_id, f"it names another order: {failure!r}"
    assert not failure.reached_venue, f"it cannot have arrived: {failure!r}"


# --- what is offered is accepted -----------------------------------------------------------------


async def _accepts_type(ord_type: OrdType, session: Session) -> None:
    if ord_type is OrdType.LIMIT:
        await session.rest()
        return
    terms: dict[str, Any] = {"ord_type": ord_type}
    if ord_type is OrdType.MARKET:
        await session.touch()
        taker = TimeInForce.IOC in session.capabilities.times_in_force
        terms["time_in_force"] = TimeInForce.IOC if taker else TimeInForce.GTC
        order = session.submit(Side.BUY, **terms)
        await session.status(order, "FILLED report", OrdStatus.FILLED, *GONE)
        return
    terms["stop_px"] = await session.far_price(Side.SELL)  # above the market: it waits
    if ord_type is OrdType.STOP_LIMIT:
        terms["price"] = terms["stop_px"]
    order = session.submit(Side.BUY, **terms)
    await session.status(order, "NEW report", OrdStatus.NEW)


async def _accepts_time(time_in_force: TimeInForce, session: Session) -> None:
    terms: dict[str, Any] = {"time_in_force": time_in_force}
    if time_in_force is TimeInForce.GTD:
        terms["expire_time_ns"] = session.subject.clock.now_ns() + NS_PER_DAY
    if time_in_force not in TAKERS:
        await session.rest(**terms)
        return
    order = session.submit(Side.BUY, price=await session.crossing_price(Side.BUY), **terms)
    await session.status(order, "end of a taker", OrdStatus.FILLED, *GONE)


# --- parts ---------------------------------------------------------------------------------------

CASES: Final[tuple[tuple[str, Callable[[Session], Awaitable[None]]], ...]] = (
    ("starts_with_gap_then_status", _starts_with_gap_then_status),
    ("reconnecting_is_like_connecting", _reconnecting_is_like_connecting),
    ("market_data_is_well_formed", _market_data_is_well_formed),
    ("book_is_not_crossed", _book_is_not_crossed),
    ("times_do_not_fall", _times_do_not_fall),
    ("balances_are_told", _balances_are_told),
    ("limit_order_is_acknowledged", _limit_order_is_acknowledged),
    ("cancel_ends_the_order", _cancel_ends_the_order),
    ("cancel_of_an_unknown_order_is_answered", _cancel_of_an_unknown_order_is_answered),
    ("cancel_of_a_closed_order_is_answered", _cancel_of_a_closed_order_is_answered),
    ("marketable_order_fills", _marketable_order_fills),
    ("resting_order_fills_as_maker", _resting_order_fills_as_maker),
    ("ioc_rest_is_canceled", _ioc_rest_is_canceled),
    ("post_only_never_takes", _post_only_never_takes),
    ("replace_changes_the_order", _replace_changes_the_order),
    ("status_is_answered", _status_is_answered),
    ("listing_holds_the_open_order", _listing_holds_the_open_order),
    ("requests_on_a_cut_link_fail", _requests_on_a_cut_link_fail),
)
WORKING: Final = frozenset({OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED})


async def _market_events(session: Session) -> None:
    """Wait for some market data."""
    for _ in range(MARKET_EVENTS):
        await session.expect(object, "market data", _is_market, len(session.events))


def _is_market(event: object) -> bool:
    return isinstance(event, Quote | Trade | BookSnapshot | BookDelta)


def _is_up(status: VenueStatus) -> bool:
    return status.up


def _is_canceled(report: ExecutionReport) -> bool:
    return report.ord_status is OrdStatus.CANCELED


def _numbers(event: Quote | Trade | BookSnapshot | BookDelta) -> list[float]:
    """Return every price and quantity of `event`; not the price of an empty side."""
    match event:
        case Quote():
            sides = [(event.bid_px, event.bid_qty), (event.ask_px, event.ask_qty)]
            return [number for px, qty in sides for number in ((px, qty) if qty else (qty,))]
        case Trade():
            return [event.price, event.qty]
        case _:
            return [number for level in [*event.bids, *event.asks] for number in level]
