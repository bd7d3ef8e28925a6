"""The loop that moves time: order of things, exact sleeps, stops, and feeds that fail."""

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest
import trio

from botkit.backtest import drive
from botkit.clock import BacktestClock
from botkit.model import FeedEnded, FeedGap, MarketEvent, Quote, VenueStatus
from botkit.ports import Deliver
from botkit.shell import ExitCode, run_bot
from botkit.strategy import Strategy
from botkit.testing import START_NS, build_quote, run_strategy, time_ns
from tests.unit.shell_bench import Ran, SlowVenue, build, strategy_of

NS = 1_000_000_000


class Script:
    """A simulated venue: quotes at given seconds, and things due at others."""

    speed = math.inf

    def __init__(
        self, name: str, at_s: Iterable[float], due_s: Iterable[float] = (), *, ends: bool = True
    ) -> None:
        self.name = name
        self.symbol = f"{name}:BTC-EUR"
        self.at_s, self.due = list(at_s), [time_ns(each) for each in due_s]
        self.ends = ends
        self.fails_at: float = math.inf
        self.advance_fails = False
        self.done: list[object] = []
        self.applied = 0
        self._deliver: Deliver = lambda _: None

    def start(self, deliver: Deliver, now_ns: int) -> None:
        self._deliver = deliver
        deliver(FeedGap(self.name, reason="start", receive_time_ns=now_ns))
        deliver(
            VenueStatus(
                venue=self.name,
                market_data=True,
                private=True,
                order_entry=True,
                receive_time_ns=now_ns,
            )
        )

    def first_time_ns(self) -> int | None:
        return None

    def feed_events(self, start_ns: int) -> Iterator[MarketEvent]:
        for at_s in self.at_s:
            if at_s >= self.fails_at:
                raise ValueError("row 7 is malformed")
            yield build_quote(at_s, 99.0, 101.0, symbol=self.symbol)
        if self.ends:
            yield FeedEnded(self.name, receive_time_ns=time_ns(max(self.at_s, default=0)))

    def next_due_ns(self) -> int | None:
        return self.due[0] if self.due else None

    def advance(self, now_ns: int) -> None:
        while self.due and self.due[0] <= now_ns:
            self.done.append(self.due.pop(0) - START_NS)
            if self.advance_fails:
                raise RuntimeError("the matcher has a bug")

    def apply(self, event: MarketEvent) -> None:
        self.applied += 1
        self._deliver(event)


def play(
    strategy: type[Strategy],
    *scripts: Script,
    until_s: float | None = None,
    cancel_s: float = 0.0,
    instruments: Iterable[trio.abc.Instrument] = (),
    also: Callable[[Ran], Awaitable[None]] | None = None,
) -> Ran:
    """Run on the virtual clock; orders go to venues that never answer a cancel."""
    clock = BacktestClock()
    clock.begin(START_NS)
    until_ns = None if until_s is None else time_ns(until_s)

    async def main() -> Ran:
        venues = tuple(SlowVenue(cancel_s, script.name) for script in scripts)
        for venue in venues:
            venue.keeps_orders = False  # nothing of a replay rests anywhere before it starts
        ran = build(strategy, venues=venues)
        bot = ran.bot
        bot.clock = clock
        bot.engine.stamp = clock.now_ns
        async with trio.open_nursery() as nursery:
            if also is not None:
                nursery.start_soon(also, ran)
            links = partial(drive, bot.engine, scripts, clock, bot.stop, until_ns)
            await run_bot(bot, links)
            nursery.cancel_scope.cancel()
        ran.check()
        ran.ended_at = (clock.current_ns - START_NS) / NS
        return ran

    return trio.run(main, clock=clock, instruments=list(instruments))


def seconds(strategy: Strategy) -> float:
    return (strategy.now_ns - START_NS) / NS


class Steps(trio.abc.Instrument):
    """Counts how often trio is entered."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


def test_a_run_of_hooks_alone_never_enters_trio_between_events() -> None:
    seen: list[Quote] = []
    counts = []
    for events in (10, 1000):
        steps = Steps()
        script = Script("paper", range(events), due_s=range(events))
        play(strategy_of(on_quote=lambda _, quote: seen.append(quote)), script, instruments=[steps])
        counts.append(steps.count)

    assert len(seen) == 1010
    assert counts[0] == counts[1]


def test_venues_merge_by_time_and_their_order_breaks_ties() -> None:
    seen: list[tuple[float, str]] = []

    def on_quote(self: Strategy, quote: Quote) -> None:
        seen.append((seconds(self), quote.symbol[0]))

    play(strategy_of(on_quote=on_quote), Script("b", [1, 2, 4]), Script("a", [1, 3, 4]))

    assert seen == [(1, "b"), (1, "a"), (2, "b"), (3, "a"), (4, "b"), (4, "a")]


def test_sleep_is_exact_to_the_nanosecond() -> None:
    woken: list[int] = []

    async def run(self: Strategy) -> None:
        for _ in range(3):
            await self.sleep(0.1000000003)
            woken.append(self.now_ns - START_NS)
        await self.sleep(0)
        await self.sleep(-1)
        woken.append(self.now_ns - START_NS)

    play(strategy_of(run), Script("paper", [0, 10]))

    assert woken == [100_000_000, 200_000_000, 300_000_000, 300_000_000]


def test_deadlines_of_trio_are_kept_between_events() -> None:
    ends: list[float] = []

    async def run(self: Strategy) -> None:
        with trio.move_on_after(2.5):
            await self.sleep(math.inf)
        ends.append(seconds(self))
        await trio.sleep(3)
        ends.append(seconds(self))

    play(strategy_of(run), Script("paper", [1, 100, 200]))

    assert ends == [pytest.approx(2.5), pytest.approx(5.5)]


def test_at_one_instant_venues_come_first_then_timers_then_data() -> None:
    order: list[object] = []
    script = Script("paper", [1, 2, 3], due_s=[2])
    script.done = order

    def on_start(self: Strategy) -> None:
        self.set_timer("t", 2)

    made = strategy_of(
        on_start=on_start,
        on_timer=lambda *_: order.append("timer"),
        on_quote=lambda self, _: order.append(f"quote {seconds(self):g}"),
    )
    play(made, script)

    assert order == ["quote 1", 2 * NS, "timer", "quote 2", "quote 3"]


def test_the_run_ends_at_the_time_asked_for() -> None:
    fired: list[float] = []

    def on_start(self: Strategy) -> None:
        self.set_timer("t", 1, every_s=1)

    made = strategy_of(on_start=on_start, on_timer=lambda self, _: fired.append(seconds(self)))
    ran = play(made, Script("paper", [0, 1000]), until_s=3)

    assert fired == [1, 2, 3]
    assert (ran.ended_at, ran.bot.stop.reason) == (3, "the time asked for has passed")


def test_the_end_of_all_data_ends_the_run() -> None:
    ran = play(strategy_of(), Script("b", [1, 2]), Script("a", [5]))

    assert (ran.ended_at, ran.bot.stop.reason) == (5, "end of the data")
    assert ran.exit_code is ExitCode.CLEAN


def test_a_signal_is_seen_between_two_events() -> None:
    seen: list[Quote] = []
    noted: list[Ran] = []

    def on_quote(self: Strategy, quote: Quote) -> None:
        seen.append(quote)
        if len(seen) == 3:
            noted[0].bot.stop.note("signal SIGINT")  # as a handler does; trio hears of it later
            noted[0].bot.stop.request("signal SIGINT")

    async def also(ran: Ran) -> None:
        noted.append(ran)
        await trio.sleep_forever()

    ran = play(strategy_of(on_quote=on_quote), Script("paper", range(10)), also=also)

    assert (len(seen), ran.ended_at) == (3, 2)
    assert ran.bot.stop.reason == "signal SIGINT"


def test_a_stop_during_a_gap_in_the_data_is_not_overslept() -> None:
    fired: list[float] = []

    def on_timer(self: Strategy, name: str) -> None:
        fired.append(seconds(self))
        raise ValueError(name)

    made = strategy_of(on_start=lambda self: self.set_timer("t", 5, every_s=1), on_timer=on_timer)
    ran = play(made, Script("paper", [0, 3600]))

    assert (fired, ran.ended_at) == ([5], 5)
    assert ran.exit_code is ExitCode.ERROR


def test_no_data_are_played_while_a_clean_up_waits() -> None:
    def on_start(self: Strategy) -> None:
        self.buy(self.instrument, 1, price=100)
        self.set_timer("t", 5)

    def on_timer(self: Strategy, name: str) -> None:
        raise ValueError(name)

    script = Script("paper", [0, 8, 3600])
    ran = play(strategy_of(on_start=on_start, on_timer=on_timer), script)

    assert (script.applied, ran.ended_at) == (1, 5 + 10)


def test_coroutines_run_up_to_the_time_asked_for() -> None:
    woken: list[float] = []

    async def run(self: Strategy) -> None:
        while True:
            await self.sleep(1)
            woken.append(seconds(self))

    play(strategy_of(run), Script("paper", [0, 1000]), until_s=2.5)

    assert woken == [1, 2]


def test_a_strategy_that_shields_itself_is_waited_for() -> None:
    free = trio.Event()

    async def run(self: Strategy) -> None:
        with trio.CancelScope(shield=True):
            await free.wait()

    ran = play(strategy_of(run), Script("paper", [1, 2]), instruments=[Outside(free.set)])

    assert (ran.exit_code, ran.ended_at) == (ExitCode.CLEAN, 2)


def test_a_feed_that_fails_ends_the_run_in_order_and_time_goes_on() -> None:
    script = Script("paper", range(10))
    script.fails_at = 4
    made = strategy_of(on_start=lambda self: self.buy(self.instrument, 1, price=100))

    ran = play(made, script)

    assert ran.bot.stop.reason == "the feed failed: row 7 is malformed"
    assert ran.ended_at == pytest.approx(3 + 10)  # the venue of this test answers no cancel
    assert ran.exit_code is ExitCode.ORDERS_MAY_REST


def test_a_venue_that_fails_does_not_stop_the_time_its_clean_up_waits_by() -> None:
    script = Script("paper", [0, 1], due_s=[2, 3, 4])
    script.advance_fails = True
    made = strategy_of(on_start=lambda self: self.buy(self.instrument, 1, price=100))

    ran = play(made, script)

    assert ran.ended_at == pytest.approx(1 + 10, abs=2)
    assert "the matcher has a bug" in ran.bot.stop.error
    assert ran.exit_code is ExitCode.ORDERS_MAY_REST


class Outside(trio.abc.Instrument):
    """Does something from outside trio, as a signal would, once everything waits."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act: Callable[[], None] | None = act

    def before_io_wait(self, timeout: float) -> None:
        if timeout > 1 and self.act is not None:
            trio.lowlevel.current_trio_token().run_sync_soon(self.act)
            self.act = None


def test_when_nothing_can_happen_any_more_a_stop_is_waited_for() -> None:
    bots: list[Ran] = []

    async def also(ran: Ran) -> None:
        bots.append(ran)
        await trio.sleep_forever()

    operator = Outside(lambda: bots[0].bot.stop.request("enough"))
    ran = play(strategy_of(), Script("paper", [1], ends=False), also=also, instruments=[operator])

    assert (ran.bot.stop.reason, ran.exit_code) == ("enough", ExitCode.CLEAN)


def test_a_day_of_waiting_is_simulated_time_only() -> None:
    woken: list[int] = []

    async def run(self: Strategy) -> None:
        while True:
            await self.sleep(60)
            woken.append(self.now_ns)

    play(strategy_of(run), Script("paper", [0, 86_400]))

    assert len(woken) == 1440
    assert woken[-1] == START_NS + 86_400 * NS


def test_time_is_never_moved_back_by_late_data() -> None:
    seen: list[float] = []

    class Late(Script):
        def feed_events(self, start_ns: int) -> Iterator[MarketEvent]:
            yield build_quote(5, 99, 101)
            yield build_quote(2, 99, 101)
            yield FeedEnded(self.name, receive_time_ns=time_ns(5))

    play(strategy_of(on_quote=lambda *_: seen.append(trio.current_time())), Late("paper", []))

    assert seen == [5, 5]


def test_a_coroutine_and_the_paper_venue_share_the_clock() -> None:
    class Taker(Strategy):
        async def run(self) -> None:
            await self.next_quote()
            order = self.buy(self.instrument, 1)
            await order.closed()
            self.log("closed", at=seconds(self))

    result = run_strategy(Taker, events=[build_quote(1, 99, 101), build_quote(60, 99, 101)])

    closed: Any = next(line.fields for line in result.log if line.message == "closed")
    assert closed["at"] == 1.001  # the venue's latency after the quote, not at the next event
