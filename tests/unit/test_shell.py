"""The shell: how a run starts and how it ends, and that orders are pulled before links are cut."""

import pytest
import trio
from trio.testing import MockClock

from botkit.live import serve_links
from botkit.model import OrdStatus
from botkit.ports import OrderRecord, Recovered
from botkit.shell import ExitCode, run_bot
from botkit.strategy import Strategy
from botkit.testing.builders import build_new_order
from tests.unit.shell_bench import DEAD, SlowVenue, build, buy, idle, play, run_alone, strategy_of

# --- the shell ----------------------------------------------------------------------------------


async def test_orders_are_pulled_before_the_links_are_cut(autojump_clock: MockClock) -> None:
    calls: list[str] = []

    def on_start(self: Strategy) -> None:
        buy(self, self)

    made = strategy_of(on_start=on_start, on_stop=lambda _: calls.append("on_stop"))
    venue = SlowVenue(2)
    ran = await play(made, venues=(venue,), stop_at=5)

    assert (ran.exit_code, venue.cut_at, ran.ended_at) == (ExitCode.CLEAN, 7, 7)
    assert calls == ["on_stop"]
    assert ran.bot.resting() == []


def halts_with_an_order_to_keep(self: Strategy) -> None:
    buy(self, self, keep=True)
    self.set_timer("halt", 1)


def halt(self: Strategy, _: str) -> None:
    self.halt("odd")


async def test_an_order_to_keep_that_a_halt_cancels_is_waited_for(
    autojump_clock: MockClock,
) -> None:
    made = strategy_of(on_start=halts_with_an_order_to_keep, on_timer=halt)
    venue = SlowVenue(2)
    ran = await play(made, venues=(venue,))

    assert (ran.exit_code, venue.cut_at) == (ExitCode.STOPPED_BY_RISK, 3)
    assert len(venue.canceled) == 1
    assert ran.bot.kept() == []


async def test_an_order_to_keep_whose_cancel_is_not_confirmed_may_rest(
    autojump_clock: MockClock,
) -> None:
    made = strategy_of(on_start=halts_with_an_order_to_keep, on_timer=halt)
    ran = await play(made, venues=(SlowVenue(DEAD),), clean_up_s=3)

    assert ran.exit_code is ExitCode.ORDERS_MAY_REST
    (order,) = ran.bot.resting()
    assert (order.keep, order.ord_status) == (True, OrdStatus.UNKNOWN)
    assert [each.client_order_ids for each in ran.expired] == [(order.client_order_id,)]
    assert ran.bot.kept() == []


async def test_an_order_to_keep_that_nobody_cancels_is_neither_waited_for_nor_counted(
    autojump_clock: MockClock,
) -> None:
    made = strategy_of(on_start=lambda self: buy(self, self, keep=True))
    venue = SlowVenue(DEAD)
    ran = await play(made, venues=(venue,), stop_at=5)

    assert (ran.exit_code, venue.cut_at, venue.canceled) == (ExitCode.CLEAN, 5, [])
    assert [order.keep for order in ran.bot.kept()] == [True]


async def test_a_run_that_does_not_end_is_abandoned_after_the_deadline_with_the_books_closed(
    autojump_clock: MockClock,
) -> None:
    async def run(self: Strategy) -> None:
        buy(self, self)
        with trio.CancelScope(shield=True) as shield:
            shields.append(shield)
            await trio.sleep_forever()

    shields: list[trio.CancelScope] = []
    seen: list[tuple[float, ExitCode, list[str]]] = []
    venue = SlowVenue(2)
    ran = build(strategy_of(run=run), venues=(venue,), clean_up_s=3)

    def abandon() -> None:
        seen.append((trio.current_time(), ran.bot.exit_code(), list(ran.bot.running)))
        shields[0].cancel()  # the process would end here

    ran.bot.abandon = abandon
    with trio.move_on_after(5):
        await run_bot(ran.bot, lambda: serve_links(ran.bot.engine, [venue], ran.bot.clock))

    assert seen == [(5 + 3 + 1, ExitCode.ERROR, list(ran.bot.engine.slots))]
    assert "went on after it was canceled" in ran.bot.stop.error
    assert not ran.bot.running


async def test_canceled_from_outside_the_links_still_live(autojump_clock: MockClock) -> None:
    venue = SlowVenue(2)
    ran = build(strategy_of(on_start=lambda self: buy(self, self)), venues=(venue,))

    with trio.move_on_after(5):
        await run_bot(ran.bot, lambda: serve_links(ran.bot.engine, [venue], ran.bot.clock))

    assert (ran.exit_code, venue.cut_at) == (ExitCode.CLEAN, 7)
    assert ran.bot.stop.reason == "canceled from outside"


async def test_a_dead_venue_holds_up_the_end_for_exactly_the_deadline(
    autojump_clock: MockClock,
) -> None:
    venue = SlowVenue(DEAD)
    made = strategy_of(on_start=lambda self: buy(self, self))
    ran = await play(made, venues=(venue,), stop_at=5, clean_up_s=3)

    assert (ran.exit_code, ran.ended_at, venue.cut_at) == (ExitCode.ORDERS_MAY_REST, 8, 8)
    assert [len(each.client_order_ids) for each in ran.expired] == [1]
    assert [order.ord_status for order in ran.bot.resting()] == [OrdStatus.UNKNOWN]


async def test_links_that_fail_leave_the_orders_in_doubt(autojump_clock: MockClock) -> None:
    venue = SlowVenue(0)
    ran = build(strategy_of(on_start=lambda self: buy(self, self)), venues=(venue,), clean_up_s=3)

    async def links() -> None:
        with trio.move_on_after(2):
            await serve_links(ran.bot.engine, [venue], ran.bot.clock)
        raise OSError("the cable is cut")

    await run_bot(ran.bot, links)

    assert (ran.exit_code, trio.current_time()) == (ExitCode.ORDERS_MAY_REST, 5)
    assert "the cable is cut" in ran.bot.stop.reason
    assert "OSError" in ran.bot.stop.error


async def test_links_that_end_by_themselves_are_an_error(autojump_clock: MockClock) -> None:
    ran = build(strategy_of(), venues=(SlowVenue(),))

    await run_bot(ran.bot, trio.lowlevel.checkpoint)

    assert ran.bot.stop.reason == "the links have ended"
    assert ran.exit_code is ExitCode.ERROR


@pytest.mark.parametrize("end", [OSError("the cable is cut"), None])
async def test_one_link_that_fails_leaves_the_others_to_be_cleaned_up(
    end: Exception | None, autojump_clock: MockClock
) -> None:
    broken, healthy = SlowVenue(0, "paper"), SlowVenue(0.5, "other")
    broken.end = end

    def on_start(self: Strategy) -> None:
        self.buy(healthy.instrument, 1, price=100)
        self.set_timer("break", 2)

    def on_timer(self: Strategy, name: str) -> None:
        broken.breaks.set()

    made = strategy_of(on_start=on_start, on_timer=on_timer)
    ran = await play(made, venues=(broken, healthy))

    assert (ran.exit_code, ran.ended_at) == (ExitCode.ERROR, 2.5)
    assert ran.bot.resting() == []
    assert ran.bot.stop.reason.startswith("the link to paper failed")
    told = "the cable is cut" if end else "ended its link by itself"
    assert told in ran.bot.stop.error


async def test_stopped_before_it_was_ready_nothing_is_done(autojump_clock: MockClock) -> None:
    calls: list[str] = []
    made = strategy_of(
        on_start=lambda _: calls.append("on_start"), on_stop=lambda _: calls.append("on_stop")
    )
    venue = SlowVenue(up=False)
    ran = await play(made, venues=(venue,), stop_at=5)

    assert (ran.exit_code, ran.ended_at, calls) == (ExitCode.CLEAN, 5, [])


async def test_a_venue_that_comes_up_after_the_stop_starts_nothing(
    autojump_clock: MockClock,
) -> None:
    calls: list[str] = []
    venue = SlowVenue()
    ran = build(strategy_of(on_start=lambda _: calls.append("on_start")), venues=(venue,))
    ran.bot.stop.note("a signal before anything")  # heard, and nobody has been woken yet

    async def links() -> None:
        ran.bot.stop.request("a signal")
        await serve_links(ran.bot.engine, [venue], ran.bot.clock)

    await run_bot(ran.bot, links)

    assert (ran.exit_code, calls) == (ExitCode.CLEAN, [])
    assert ran.bot.stop.reason == "a signal before anything"


@pytest.mark.parametrize("mistake", [ValueError, SystemExit])
async def test_a_failing_strategy_ends_alone(
    mistake: type[BaseException], autojump_clock: MockClock
) -> None:
    async def fail(self: Strategy) -> None:
        buy(self, self)
        await self.sleep(1)
        raise mistake("mine")

    async def work(self: Strategy) -> None:
        await self.sleep(5)

    ran = await play(strategy_of(fail), strategy_of(work), venues=(SlowVenue(),))

    assert (ran.exit_code, ran.ended_at) == (ExitCode.ERROR, 5)
    assert ran.bot.engine.slots["made0"].error == f"{mistake.__name__}: mine"
    assert ran.bot.stop.reason == "all strategies have ended"


async def test_a_failing_strategy_takes_the_bot_along_if_told_to(autojump_clock: MockClock) -> None:
    async def fail(self: Strategy) -> None:
        await self.sleep(1)
        raise ValueError("mine")

    other = strategy_of(idle)
    ran = await play(strategy_of(fail), other, venues=(SlowVenue(),), on_error="stop")

    assert (ran.exit_code, ran.ended_at) == (ExitCode.ERROR, 1)


async def test_orders_that_may_rest_outrank_an_error(autojump_clock: MockClock) -> None:
    async def fail(self: Strategy) -> None:
        buy(self, self)
        raise ValueError("mine")

    assert (await run_alone(fail, DEAD)).exit_code is ExitCode.ORDERS_MAY_REST


async def test_failing_while_being_canceled_ends_the_strategy_not_the_run(
    autojump_clock: MockClock,
) -> None:
    async def run(self: Strategy) -> None:
        async def fail_late() -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("while unwinding")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fail_late)

    ran = await run_alone(run, stop_at=5)

    assert (ran.exit_code, ran.ended_at) == (ExitCode.ERROR, 5)
    assert "while unwinding" in ran.bot.engine.slots["made0"].error


@pytest.mark.parametrize("fault", ["the disk is full", ""])
async def test_earlier_runs_are_marked_only_once_their_orders_are_in_the_journal(
    fault: str, autojump_clock: MockClock
) -> None:
    venue = SlowVenue()
    ran = build(strategy_of(), venues=(venue,))
    request = build_new_order(client_order_id="test-old-1", symbol=venue.instrument.symbol)
    name = request.client_order_id
    record = OrderRecord(request=request, client_order_ids=[name], resting_ids=[name])
    ran.bot.left_open = [Recovered(record=record, run_id="old", receive_time_ns=0)]
    marked: list[float] = []
    ran.bot.taken_over = lambda: marked.append(trio.current_time())
    ran.journal.fault = fault

    async def mend() -> None:
        await trio.sleep(1)
        assert marked == ([] if fault else [0.0])
        ran.journal.fault = ""
        await trio.sleep(2)
        ran.bot.stop.request("enough")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(mend)
        await run_bot(ran.bot, lambda: serve_links(ran.bot.engine, [venue], ran.bot.clock))

    assert len(marked) == 1
    assert any(isinstance(entry, Recovered) for entry in ran.journal.entries)
