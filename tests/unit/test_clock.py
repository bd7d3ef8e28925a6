"""Clocks: live time follows trio's, a backtest's moves only when told."""

import math

import pytest
import trio
from trio.testing import MockClock

from botkit.clock import BacktestClock, LiveClock, cpu_time_ns, wall_time_ns

NS = 1_000_000_000


@pytest.mark.parametrize("speed", [1.0, 10.0])
async def test_live_time_follows_trio_at_its_speed(speed: float, autojump_clock: MockClock) -> None:
    await trio.sleep(3)
    clock = LiveClock(origin_ns=500, speed=speed)
    assert clock.now_ns() == 500

    await clock.sleep_until(500 + 20 * NS)

    assert trio.current_time() == 3 + 20 / speed
    assert clock.now_ns() == 500 + 20 * NS
    assert clock.trio_deadline(500 + 40 * NS) == 3 + 40 / speed


async def test_sleeping_until_a_past_time_only_yields(autojump_clock: MockClock) -> None:
    clock = LiveClock(origin_ns=500)
    await clock.sleep_until(0)
    assert trio.current_time() == 0


def test_a_live_clock_runs_forward() -> None:
    with pytest.raises(RuntimeError):
        LiveClock(origin_ns=0)  # outside trio there is no time to follow
    with pytest.raises(ValueError, match="speed"):
        trio.run(make_standing)


async def make_standing() -> None:
    LiveClock(origin_ns=0, speed=0.0)


def test_a_backtests_clock_moves_when_told() -> None:
    clock = BacktestClock()
    clock.begin(7 * NS)
    assert (clock.now_ns(), clock.current_time()) == (7 * NS, 0.0)

    clock.current_ns = 9 * NS + 1

    assert clock.now_ns() == 9 * NS + 1
    assert clock.current_time() == 2.000000001
    assert clock.trio_deadline(10 * NS) == 3.0
    assert clock.deadline_to_sleep_time(2.0) == 0.0
    assert clock.deadline_to_sleep_time(3.0) > 1000
    assert clock.deadline_to_sleep_time(math.inf) > 1000


def test_trio_runs_on_a_backtests_clock() -> None:
    clock = BacktestClock()
    clock.begin(NS)

    async def main() -> float:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clock.sleep_until, 3 * NS)
            await trio.testing.wait_all_tasks_blocked()
            clock.current_ns = 3 * NS
        return trio.current_time()

    assert trio.run(main, clock=clock) == 2.0


def test_the_machines_clocks_are_read() -> None:
    assert wall_time_ns() > 1_700_000_000 * NS
    assert cpu_time_ns() > 0
