"""What earlier runs left: which record of an order counts, and what marks it as taken over."""

from decimal import Decimal
from typing import Any

from botkit.journal import OpenRun, taken_over
from botkit.live.sweep import orders_left, symbols_left
from botkit.model import ClientOrderId, NewOrder, Side, VenueOrderId
from botkit.ports import OrderRecord, Recovered

SYMBOL = "far:BTC-EUR"


def record(number: int, **terms: Any) -> OrderRecord:
    name = ClientOrderId(f"demo-r1-{number}")
    request = NewOrder(
        client_order_id=name, symbol=SYMBOL, strategy="a", side=Side.BUY, order_qty=Decimal(1)
    )
    return OrderRecord(request=request, client_order_ids=[name], resting_ids=[name], **terms)


def left_by(run_id: str, *orders: OrderRecord, **terms: Any) -> OpenRun:
    return OpenRun(run_id=run_id, mode="LIVE", started_ns=1, exit_code=None, orders=orders, **terms)


def test_an_order_that_a_later_run_took_over_counts_as_that_run_left_it() -> None:
    fresh, seen = record(1), record(1, cum_qty=Decimal(1))
    taken = frozenset(seen.client_order_ids)
    runs = [left_by("r1", fresh, record(2)), left_by("r2", seen, taken=taken)]
    assert [(each.record, each.run_id) for each in orders_left(runs)] == [
        (record(2), "r1"),
        (seen, "r2"),
    ]


def test_an_order_whose_end_a_later_run_saw_is_not_taken_over_again() -> None:
    first = record(1)
    later = left_by("r2", taken=frozenset(first.client_order_ids))
    assert orders_left([left_by("r1", first), later]) == []


def test_one_without_an_id_comes_with_those_that_the_venue_gave_to_others() -> None:
    named = record(2, venue_order_ids={VenueOrderId("v-2"): ClientOrderId("demo-r1-2")})
    told = frozenset({(SYMBOL, VenueOrderId("v-2")), ("far:ETH-EUR", VenueOrderId("v-3"))})
    nameless, other = orders_left([left_by("r1", record(1), named, told_ids=told)])
    assert nameless.others == ("v-2",)
    assert other.others == ()
    assert symbols_left([nameless, other]) == (SYMBOL,)


def test_what_a_run_took_over_is_told_by_its_journal() -> None:
    taken = Recovered(record=record(1), run_id="r1", receive_time_ns=1)
    assert taken_over([record(2).request, taken]) == {"demo-r1-1"}
