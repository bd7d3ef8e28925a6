"""What earlier runs left: which record of an order counts, and what marks it as taken over."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from botkit.assembly import Plan
from botkit.clock import LiveClock
from botkit.config import BotConfig, Config
from botkit.errors import JournalError, VenueDisconnectedError
from botkit.journal import OpenRun, taken_over
from botkit.live.sweep import orders_left, sweep, symbols_left
from botkit.model import (
    Adjustment,
    CancelOrder,
    ClientOrderId,
    ExecutionReport,
    NewOrder,
    Side,
    VenueOrderId,
)
from botkit.ports import OrderRecord, Recovered, Traded
from botkit.shell import ExitCode
from botkit.testing.builders import build_new_order
from botkit.testing.memory_journal import MemoryJournal
from tests.unit.shell_bench import DEAD, SlowVenue

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


class Abandoned(SlowVenue):
    """A venue where an order of an earlier run rests."""

    def __init__(self, order: NewOrder) -> None:
        super().__init__(1)
        self._orders[order.client_order_id] = order


def guardians_plan(venue: SlowVenue) -> Plan:
    bot = BotConfig(name="demo", clean_up=1_000_000_000)
    config = Config(bot=bot, venues={}, strategies=(), source="test", base_dir=".")
    return Plan(config=config, live=True, venues={venue.name: venue}, strategies=(), rules=())


def killed_with(order: NewOrder) -> MemoryJournal:
    journal = MemoryJournal()
    journal.begin_run(run_id="old", mode="LIVE", config="", started_ns=1)
    journal.record(order)
    journal.commit()
    journal.abandon()
    return journal


@pytest.mark.parametrize("fault", ["", "the disk is full"])
async def test_a_sweep_cancels_what_rests_whether_or_not_it_can_be_recorded(
    fault: str, autojump_clock: MockClock
) -> None:
    order = build_new_order(client_order_id="demo-old-1", symbol=SlowVenue().instrument.symbol)
    venue, journal = Abandoned(order), killed_with(order)
    journal.fault = fault

    code = await sweep(
        guardians_plan(venue),
        journal,
        clock=LiveClock(origin_ns=10**18),
        run_id="g1",
        log=lambda *_: None,
        give_up_s=30.0,
    )

    assert (code, set(venue.canceled)) == (ExitCode.CLEAN, {"demo-old-1"})
    journal.fault = ""
    assert [run.run_id for run in journal.unfinished()] == ["old"] * bool(fault)
    swept = [] if fault else [Recovered, CancelOrder, ExecutionReport]
    kinds = [type(entry) for entry in journal.entries[1:]]
    assert [kind for kind in dict.fromkeys(kinds) if kind in swept] == swept
    assert trio.current_time() == 3, "as late as the venue answers: it does not wait for a disk"


async def test_a_sweep_that_cannot_read_the_positions_cancels_and_records_no_run_without_them(
    autojump_clock: MockClock,
) -> None:
    order = build_new_order(client_order_id="demo-old-1", symbol=SlowVenue().instrument.symbol)
    venue, journal = Abandoned(order), killed_with(order)

    def opening(_: object) -> Sequence[Adjustment]:
        raise JournalError("the journal is locked")

    code = await sweep(
        guardians_plan(venue),
        journal,
        clock=LiveClock(origin_ns=10**18),
        run_id="g1",
        log=lambda *_: None,
        give_up_s=30.0,
        opening=opening,
    )

    assert (code, set(venue.canceled)) == (ExitCode.CLEAN, {"demo-old-1"})
    assert [run.run_id for run in journal.unfinished()] == ["old"]


async def test_a_sweep_that_gives_up_says_that_orders_may_rest(autojump_clock: MockClock) -> None:
    order = build_new_order(client_order_id="demo-old-1", symbol=SlowVenue().instrument.symbol)
    journal = killed_with(order)
    code = await sweep(
        guardians_plan(SlowVenue(DEAD)),
        journal,
        clock=LiveClock(origin_ns=10**18),
        run_id="g1",
        log=lambda *_: None,
        give_up_s=7.0,
    )
    assert (code, trio.current_time()) == (ExitCode.ORDERS_MAY_REST, 7)
    assert [run.run_id for run in journal.unfinished()] == ["g1"]


async def test_where_nothing_rests_no_run_is_made(autojump_clock: MockClock) -> None:
    journal = MemoryJournal()
    journal.begin_run(run_id="old", mode="LIVE", config="", started_ns=1)
    journal.abandon()
    code = await sweep(
        guardians_plan(SlowVenue()),
        journal,
        clock=LiveClock(origin_ns=10**18),
        run_id="g1",
        log=lambda *_: None,
        give_up_s=7.0,
    )
    assert (code, journal.unfinished(), len(journal.runs)) == (ExitCode.CLEAN, [], 1)


class Unreachable(SlowVenue):
    """A venue that tells its instruments only after 20 s."""

    async def prepare(self) -> None:
        if trio.current_time() < 20:
            raise VenueDisconnectedError(f"{self.name}: nobody listens")
        self.instruments = {self.instrument.symbol: self.instrument}


async def test_what_rests_at_one_venue_does_not_wait_for_another(
    autojump_clock: MockClock,
) -> None:
    venues = (SlowVenue(1, "near"), Unreachable(1, "far"))
    venues[1].instruments = {}
    journal = MemoryJournal()
    journal.begin_run(run_id="old", mode="LIVE", config="", started_ns=1)
    for venue in venues:
        journal.record(Traded.of(venue.instrument))
        order = build_new_order(client_order_id=venue.name, symbol=venue.instrument.symbol)
        venue._orders[order.client_order_id] = order
        journal.record(order)
    journal.commit()
    journal.abandon()

    code = await sweep(
        attrs.evolve(guardians_plan(venues[0]), venues={venue.name: venue for venue in venues}),
        journal,
        clock=LiveClock(origin_ns=0),
        run_id="g1",
        log=lambda *_: None,
        give_up_s=60.0,
    )

    assert code is ExitCode.CLEAN
    near, far = (
        entry.receive_time_ns for entry in journal.entries if isinstance(entry, ExecutionReport)
    )
    assert near < 5 * 10**9 < 20 * 10**9 < far
