"""Timers in real time: due on time, woken for a sooner one, and no work while nothing is due."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from botkit.clock import Clock, LiveClock
from botkit.engine import Engine
from botkit.errors import VenueDisconnectedError
from botkit.live import serve_links
from botkit.live.links import serve_timers
from botkit.model import VenueStatus
from botkit.ports import Deliver
from botkit.testing import START_NS
from tests.unit.shell_bench import SlowVenue, build, strategy_of

NS = 1_000_000_000


class Steps(trio.abc.Instrument):
    """Counts how often a task runs."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


@asynccontextmanager
async def ticking(engine: Engine, clock: LiveClock) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_timers, engine, clock)
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


def engine_alone() -> Engine:
    return build(strategy_of(), venues=(SlowVenue(),)).bot.engine


async def test_a_timer_fires_at_its_time(autojump_clock: MockClock) -> None:
    engine, fired = engine_alone(), []
    engine.call_at(START_NS + 7, lambda: fired.append((engine.now_ns, trio.current_time())))
    engine.call_at(START_NS + 3 * NS, lambda: fired.append((engine.now_ns, trio.current_time())))

    async with ticking(engine, LiveClock(origin_ns=START_NS)):
        await trio.sleep(10)

    assert fired == [(START_NS + 7, pytest.approx(7e-9)), (START_NS + 3 * NS, 3)]


async def test_a_sooner_timer_set_by_a_task_wakes_it_earlier(autojump_clock: MockClock) -> None:
    engine, fired = engine_alone(), []
    engine.call_at(START_NS + 100 * NS, lambda: fired.append(trio.current_time()))

    async with ticking(engine, LiveClock(origin_ns=START_NS)):
        await trio.sleep(1)
        engine.call_at(START_NS + 2 * NS, lambda: fired.append(trio.current_time()))
        await trio.sleep(200)

    assert fired == [2, 100]


async def test_a_timer_that_was_due_already_fires_at_once(autojump_clock: MockClock) -> None:
    engine, fired = engine_alone(), []
    async with ticking(engine, LiveClock(origin_ns=START_NS)):
        await trio.sleep(5)
        engine.call_at(START_NS + 2 * NS, lambda: fired.append(trio.current_time()))
        await trio.sleep(1)

    assert fired == [5]


async def test_nothing_is_done_while_nothing_is_due(autojump_clock: MockClock) -> None:
    engine, steps = engine_alone(), Steps()
    engine.call_at(START_NS + 10**6 * NS, lambda: None)

    async with ticking(engine, LiveClock(origin_ns=START_NS)):
        trio.lowlevel.add_instrument(steps)
        await trio.sleep(10**5)
        trio.lowlevel.remove_instrument(steps)

    assert steps.count <= 3


async def test_a_due_time_that_rounds_away_from_trios_clock_does_not_spin(
    autojump_clock: MockClock,
) -> None:
    engine, fired = engine_alone(), []
    clock = LiveClock(origin_ns=START_NS, speed=7.3)
    for days in range(1, 400, 7):  # here a float of seconds no longer tells single nanoseconds
        due_ns = START_NS + days * 86_400 * NS + 1
        engine.call_at(due_ns, lambda: fired.append(engine.now_ns))

    with trio.fail_after(10**9):
        async with ticking(engine, clock):
            await trio.sleep(10**7)

    assert len(fired) == 57


async def test_further_tasks_live_as_long_as_the_links(autojump_clock: MockClock) -> None:
    venue = SlowVenue()
    ran = build(strategy_of(), venues=(venue,))
    ended: list[float] = []

    async def beside() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    with trio.move_on_after(3):
        await serve_links(ran.bot.engine, [venue], ran.bot.clock, [beside])

    assert ended == [3]


class CutVenue(SlowVenue):
    """Connects for ten seconds, is up for `ups[0]`, is cut; and so on."""

    def __init__(self, *ups: float) -> None:
        super().__init__()
        self.ups = list(ups)
        self.started: list[float] = []

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        self.started.append(trio.current_time())
        await trio.sleep(10)
        up_s = self.ups.pop(0)
        for is_up in (up_s > 0, False):
            deliver(
                VenueStatus(
                    venue=self.name,
                    market_data=is_up,
                    private=is_up,
                    order_entry=is_up,
                    receive_time_ns=clock.now_ns(),
                )
            )
            await trio.sleep(up_s)
            up_s = 0
        raise VenueDisconnectedError("cut")


@pytest.mark.parametrize(("up_s", "most_s"), [(10.0, 0.5), (9.0, 8.0), (0.0, 8.0)])
async def test_session_that_was_up_for_ten_seconds_is_followed_by_the_next_at_once(
    up_s: float, most_s: float, autojump_clock: MockClock
) -> None:
    venue = CutVenue(*[up_s] * 9)
    ran = build(strategy_of(), venues=(venue,))
    with trio.move_on_after(5 * (10 + up_s) + 16):
        await serve_links(ran.bot.engine, [venue], ran.bot.clock)
    waits = np.diff(venue.started[:6]) - 10 - up_s
    assert len(waits) == 5
    assert most_s / 2 <= waits[-1] <= most_s
