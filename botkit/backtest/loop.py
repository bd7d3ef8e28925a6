"""The loop that moves time: market data, due requests, timers and coroutines, in time order.

With hooks alone nothing is awaited between events. Where strategies have coroutines, trio is
entered only when something they wait for has happened, or one of their deadlines has come.
"""

import heapq
import math
import traceback
from collections.abc import Iterator, Sequence
from typing import Final

import trio
import trio.testing

from botkit.clock import BacktestClock
from botkit.engine import Engine
from botkit.model import MarketEvent, Tick
from botkit.ports import SimulatedVenue
from botkit.shell import Stop

__all__ = ["drive"]

NEVER_NS: Final = 2**63 - 1
NS_PER_S: Final = 1_000_000_000


async def drive(
    engine: Engine,
    venues: Sequence[SimulatedVenue],
    clock: BacktestClock,
    stop: Stop,
    until_ns: int | None = None,
) -> None:
    """Play every venue's feed into the engine, then keep time moving until canceled.

    A feed that fails ends the run as an error; time moves on, since the clean-up waits by it.

    Parameters
    ----------
    until_ns
        Ask for a stop at this time, unless the data end before.
    """
    loop = _Loop(engine, venues, clock, stop)
    try:
        for venue in venues:
            venue.start(engine.handle, clock.current_ns)
        await loop.settle()
        await _play(loop, venues, stop, NEVER_NS if until_ns is None else until_ns)
    except Exception as exc:  # noqa: BLE001  told as the reason of the stop
        _report(stop, "the feed failed", exc)
    try:
        await loop.run_on()
    except Exception as exc:  # noqa: BLE001  told as the reason of the stop
        _report(stop, "the simulation failed", exc)
        loop.cut()
        await loop.run_on()


async def _play(loop: "_Loop", venues: Sequence[SimulatedVenue], stop: Stop, until_ns: int) -> None:
    """Play the feeds to their end, or until a stop is asked for."""
    clock, engine = loop.clock, loop.engine
    for event, venue in _merged(venues, clock.current_ns):
        if stop.requested:
            break
        now_ns = event.receive_time_ns
        if now_ns > until_ns:
            await loop.advance(until_ns)
            clock.current_ns = max(clock.current_ns, until_ns)
            stop.request("the time asked for has passed")
            break
        if now_ns >= loop.next_due_ns() and not await loop.advance(now_ns):
            break
        clock.current_ns = max(clock.current_ns, now_ns)
        venue.apply(event)
        if engine.woken:
            await loop.settle()


def _report(stop: Stop, what: str, exc: Exception) -> None:
    stop.request(f"{what}: {exc}", error="".join(traceback.format_exception(exc)))


def _merged(
    venues: Sequence[SimulatedVenue], start_ns: int
) -> Iterator[tuple[MarketEvent, SimulatedVenue]]:
    """Yield all venues' market data by receive time; the venues' order breaks ties."""
    feeds = [_tagged(venue, start_ns) for venue in venues]
    if len(feeds) == 1:
        return feeds[0]
    return heapq.merge(*feeds, key=_receive_time)


def _tagged(venue: SimulatedVenue, start_ns: int) -> Iterator[tuple[MarketEvent, SimulatedVenue]]:
    for event in venue.feed_events(start_ns):
        yield event, venue


def _receive_time(item: tuple[MarketEvent, SimulatedVenue]) -> int:
    return item[0].receive_time_ns


class _Loop:
    """Knows what is due next: a venue's request or report, an engine timer, a trio deadline."""

    def __init__(
        self,
        engine: Engine,
        venues: Sequence[SimulatedVenue],
        clock: BacktestClock,
        stop: Stop,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self._venues = venues
        self._stop = stop
        self._trio_due_ns = NEVER_NS
        self._is_cut = False

    def next_due_ns(self) -> int:
        """Return when the next thing is due."""
        due_ns = self._trio_due_ns
        if self._is_cut:
            return due_ns
        due_ns = min(due_ns, self.engine.next_due_ns)
        for venue in self._venues:
            venue_due_ns = venue.next_due_ns()
            if venue_due_ns is not None and venue_due_ns < due_ns:
                due_ns = venue_due_ns
        return due_ns

    def cut(self) -> None:
        """Move time for trio's deadlines alone from now on: engine or venue cannot go on."""
        self._is_cut = True

    async def advance(self, now_ns: int) -> bool:
        """Bring about everything due by `now_ns`; False if a stop was asked for meanwhile."""
        while (due_ns := self.next_due_ns()) <= now_ns:
            await self._reach(due_ns)
            if self._stop.requested:
                return False
        return True

    async def run_on(self) -> None:
        """Keep time moving, from one thing due to the next, until canceled."""
        await self.settle()
        while (due_ns := self.next_due_ns()) != NEVER_NS or not self._stop.requested:
            if due_ns == NEVER_NS:
                await self._stop.wait()  # nothing else can happen any more
                await self.settle()
            else:
                await self._reach(due_ns)
        await trio.sleep_forever()

    async def _reach(self, due_ns: int) -> None:
        """Move time to `due_ns`: at one instant venues, then timers, then coroutines."""
        self.clock.current_ns = max(self.clock.current_ns, due_ns)
        if not self._is_cut:
            for venue in self._venues:
                venue_due_ns = venue.next_due_ns()
                if venue_due_ns is not None and venue_due_ns <= due_ns:
                    venue.advance(due_ns)
            if self.engine.next_due_ns <= due_ns:
                self.engine.handle(Tick(receive_time_ns=due_ns))
        if self.engine.woken or self._trio_due_ns <= due_ns or self._stop.requested:
            await self.settle()

    async def settle(self) -> None:
        """Let every coroutine run until it waits; note when trio's next deadline is."""
        self.engine.woken = False
        await trio.testing.wait_all_tasks_blocked()
        left_s = trio.lowlevel.current_statistics().seconds_to_next_deadline
        now_ns = self.clock.current_ns
        self._trio_due_ns = (
            NEVER_NS if math.isinf(left_s) else now_ns + max(math.ceil(left_s * NS_PER_S), 1)
        )
