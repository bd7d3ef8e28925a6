"""A run from its plan to its exit code."""

import contextlib
import math
import os
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio

from botkit.assembly import Plan, assemble, check, replay_run_id
from botkit.backtest import drive
from botkit.cli.earlier_runs import settle_earlier_runs
from botkit.cli.guarded import Guards
from botkit.cli.journal_opening import open_journal
from botkit.cli.logs import LogForm, format_time, library_logs, without_secrets
from botkit.cli.opening import opening_inventory
from botkit.cli.screen import Screen
from botkit.cli.session import Session
from botkit.cli.status import order_line, snapshot
from botkit.cli.summary import Outcome, summarise, summary_lines, write_summary
from botkit.cli.tally import Tally
from botkit.clock import BacktestClock, Clock, LiveClock, cpu_time_ns, wall_time_ns
from botkit.control import socket_path
from botkit.engine.dispatch import Dispatcher
from botkit.errors import ConfigError, JournalError
from botkit.journal import OpenRun, SqliteJournal
from botkit.killswitch import KillSwitch
from botkit.live import ControlSocket, DurableDispatcher, Operating, serve_links
from botkit.live.sweep import mark_taken, orders_left, symbols_left
from botkit.model import Halted, Instrument
from botkit.ports import Recovered, RemarkingVenue, Traded
from botkit.shell import Bot, ExitCode, run_bot
from botkit.watch import Lookout

__all__ = ["RunOptions", "run"]

SYNTHETIC_ORIGIN_NS: Final = 1_704_067_200_000_000_000  # 2024-01-01: any fixed time does
SNAPSHOT_EVERY_S: Final = 0.25
CARRY_EVERY_S: Final = 1.0
FORCE_EVERY_S: Final = 5.0
TIME_IS_UP: Final = "the time asked for has passed"


@attrs.frozen(kw_only=True)
class RunOptions:
    """What `botkit run` was asked for; `for_ns` None runs without an end."""

    for_ns: int | None = None
    form: LogForm = "console"
    log_level: str = "info"
    status: bool = True
    keep_running: bool = False


def run(plan: Plan, session: Session, options: RunOptions, guards: Guards) -> ExitCode:
    """Run the bot of `plan` to its end and say how it went; `guards` see to it that it has one."""
    bot = plan.config.bot
    full_speed = plan.is_full_speed()
    journal = open_journal(bot, session, full_speed=full_speed)
    with contextlib.ExitStack() as stack:
        stack.callback(journal.close)
        switch = KillSwitch.of(Path(bot.state_dir), bot.name)
        if switch.halted is not None and not full_speed:  # a replay moves nothing
            session.complain(_still_halted(switch, plan.config.words))
            return ExitCode.STOPPED_BY_RISK
        control = None
        if not full_speed:  # a replay is over soon, and nothing of it rests
            control = ControlSocket.open(socket_path(Path(bot.state_dir), bot.name))
            stack.callback(control.close)
        screen = Screen(
            form=options.form,
            level=options.log_level,
            status=options.status and sys.stdout.isatty() and not full_speed,
            patient=full_speed,
            redact=session.redact,
            log_file=None if full_speed else Path(bot.state_dir) / f"{bot.name}.log",
        )
        stack.callback(screen.close)
        the_run = _Run(
            plan,
            journal,
            screen,
            session,
            options=options,
            switch=switch,
            control=control,
            guards=guards,
        )
        stack.callback(the_run.lookout.close)
        stack.enter_context(library_logs(the_run.say))
        clock = BacktestClock() if full_speed else None
        return trio.run(the_run.main, clock, clock=clock)


def _still_halted(switch: KillSwitch, source: str) -> str:
    halted = switch.halted
    assert halted is not None
    return (
        f"{source}: the bot was halted by {halted.rule} at {format_time(switch.halted_ns)} and "
        f"does not trade: {halted.reason}\nClear it, once you know why, by: "
        f"botkit risk clear {source} --reason TEXT"
    )


def _only_here(_: Halted) -> None:
    """Leave the disk alone: a replay's trip is not the bot's."""


class _Run:
    """One run and everything around it."""

    def __init__(
        self,
        plan: Plan,
        journal: SqliteJournal,
        screen: Screen,
        session: Session,
        *,
        options: RunOptions,
        switch: KillSwitch,
        control: ControlSocket | None,
        guards: Guards,
    ) -> None:
        self._plan = plan
        self._journal = journal
        self._tally = Tally(journal, session.redact)
        self._redact = session.redact
        self._screen = screen
        self._watch = session.watch
        self._options = options
        self._switch = switch
        self._carry_fails = False
        self._control = control
        self._guards = guards
        self._mode = "LIVE" if plan.live else "PAPER"
        self._exit_code = ExitCode.CLEAN
        self.lookout = Lookout(
            None if plan.is_full_speed() else plan.config,
            mode=self._mode,
            redact=session.redact,
            log=self.say,
        )

    async def main(self, backtest_clock: BacktestClock | None) -> ExitCode:
        """Announce, prepare, trade, close the books, sum up."""
        config = self._plan.config
        full_speed = backtest_clock is not None
        self._screen.announce(self._banner(full_speed=full_speed), mode=self._mode)
        left_runs, left = self._left()
        instruments = await self._prepared()
        clock = backtest_clock or self._live_clock()
        if backtest_clock is not None:
            backtest_clock.begin(self._origin_ns(SYNTHETIC_ORIGIN_NS))
        await self.lookout.open(clock)
        token = os.urandom(4).hex()
        run_id = replay_run_id(config) if full_speed else token
        durable = config.bot.journal_synchronous == "FULL" and not full_speed
        bot = assemble(
            self._plan,
            instruments,
            journal=self.lookout.tap(self._tally),
            clock=clock,
            run_id=run_id,
            log=self._screen.log_by(clock.now_ns, token),
            make_dispatcher=self.lookout.measured(DurableDispatcher if durable else Dispatcher),
            on_halt=_only_here if full_speed else self._on_halt,
            carried={} if full_speed else self._switch.carried,
            keep_running=self._options.keep_running,
            left_open=left,
        )
        bot.taken_over = lambda: mark_taken(self._journal, left_runs, run_id)
        self._watch.attach(bot.stop, lambda: [order_line(each) for each in bot.resting()])
        mode = "REPLAY" if full_speed else self._mode
        bot.opening = opening_inventory(
            self._plan, instruments, journal=self._journal.path, mode=mode, say=self._screen.say
        )
        self._journal.begin_run(
            # A replay's own id is the same every time; the journal needs a name for each.
            run_id=f"{run_id}-{token}" if full_speed else token,
            mode=mode,
            config=config.show(),
            started_ns=wall_time_ns(),
        )
        for symbol in dict.fromkeys([*bot.engine.channels, *(each.symbol for each in bot.opening)]):
            if symbol in instruments:
                self._journal.record(Traded.of(instruments[symbol]))
        started_ns, cpu_ns = clock.now_ns(), cpu_time_ns()

        def finish() -> None:
            self._finish(
                bot,
                run_ns=max(clock.now_ns(), bot.engine.now_ns) - started_ns,
                cpu_ns=cpu_time_ns() - cpu_ns,
                full_speed=full_speed,
            )

        def abandon() -> None:
            finish()
            self.lookout.close()
            self._screen.close()
            self._journal.close()
            self._watch.end_process(self._exit_code)

        bot.abandon = abandon
        with self.lookout:
            if isinstance(clock, BacktestClock):
                await self._play(bot, clock)
            else:
                await self._live(bot)
            finish()
        return self._exit_code

    def say(self, level: str, message: str, fields: Mapping[str, object]) -> None:
        self._screen.log(level, message, fields)  # which is another once there is a clock

    # --- before -----------------------------------------------------------------------------

    def _left(self) -> tuple[list[OpenRun], list[Recovered]]:
        """Return the earlier runs to take over, and their orders; the plan has their instruments.

        A venue gives what its table's strategies trade; one may have traded another then.
        """
        plan = self._plan
        runs = settle_earlier_runs(self._journal, plan.venues, self._screen.say, live=plan.live)
        left = orders_left(runs)
        traded = {symbol for each in plan.strategies for symbol in each.config.symbols}
        further = [symbol for symbol in symbols_left(left) if symbol not in traded]
        if further:
            self._plan = check(plan.config, live=True, symbols=further)
        return runs, left

    async def _prepared(self) -> dict[str, Instrument]:
        """Let the venues prepare, and the guardian: without one that is ready nobody trades."""
        instruments = await self._plan.prepare()
        await self._guards.ready()
        if self._guards.banner:
            self._screen.say(self._guards.banner)
        return instruments

    def _banner(self, *, full_speed: bool) -> str:
        config = self._plan.config
        what = "a replay at full speed" if full_speed else "orders are matched in this process"
        what = "real orders at real venues" if self._plan.live else f"{what}, no money moves"
        who = ", ".join(
            f"{each.config.name} on {' '.join(each.config.symbols)}"
            for each in self._plan.strategies
        )
        return f"{self._mode}  {config.bot.name}: {who} ({what})"

    def _origin_ns(self, default_ns: int) -> int:
        """Return the time the earliest recording starts with; `default_ns` if there is none."""
        firsts = [venue.first_time_ns() for venue in self._plan.simulated()]
        return min((each for each in firsts if each is not None), default=default_ns)

    def _live_clock(self) -> Clock:
        speeds = {venue.name: venue.speed for venue in self._plan.simulated()}
        if len(set(speeds.values())) > 1:
            told = ", ".join(f"{name} at {speed:g}x" for name, speed in speeds.items())
            raise ConfigError(
                f"{self._plan.config.source}: feeds play at different speeds ({told}): "
                "give all the same speed"
            )
        speed = next(iter(speeds.values()), 1.0)
        assert math.isfinite(speed)  # else it had been a full-speed run
        return LiveClock(origin_ns=self._origin_ns(wall_time_ns()), speed=speed)

    # --- during -----------------------------------------------------------------------------

    async def _play(self, bot: Bot, clock: BacktestClock) -> None:
        """Run at full speed."""
        engine = bot.engine
        self._screen.progress = lambda: (clock.current_ns, engine.event_count)
        until_ns = None if self._options.for_ns is None else clock.now_ns() + self._options.for_ns
        venues = self._plan.simulated()
        await run_bot(bot, lambda: drive(engine, venues, clock, bot.stop, until_ns))

    async def _live(self, bot: Bot) -> None:
        """Run in real time, the status view beside the bot."""
        venues = list(self._plan.venues.values())
        dispatcher = bot.dispatcher
        also = [dispatcher.serve] if isinstance(dispatcher, DurableDispatcher) else []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._or_stop, bot, "the status view", partial(self._beside, bot))
            nursery.start_soon(self._or_stop, bot, "alerts or metrics", partial(self._look, bot))
            guarded = self._guards.guarding(bot, self.say, self.lookout.tell)
            async with guarded, self._controlled(bot):
                await run_bot(bot, lambda: serve_links(bot.engine, venues, bot.clock, also))
            nursery.cancel_scope.cancel()

    @contextlib.asynccontextmanager
    async def _controlled(self, bot: Bot) -> AsyncIterator[None]:
        """Serve the control socket meanwhile, also while the bot stops, however it is stopped."""
        control = self._control
        assert control is not None  # this run is in real time
        operating = Operating(
            bot=bot,
            mode=self._mode,
            started_ns=wall_time_ns(),
            began_ns=bot.clock.now_ns(),
            keep_running=self._options.keep_running,
            counts=lambda: self._tally.counts,
        )

        async def serve() -> None:
            with trio.CancelScope(shield=True):
                await control.serve(operating.answer)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._or_stop, bot, "the control socket", serve)
            try:
                yield
            finally:
                operating.end()
                control.finish()

    async def _or_stop(self, bot: Bot, what: str, task: Callable[[], Awaitable[None]]) -> None:
        """Do `task`; a mistake in it stops the bot in good order."""
        try:
            await task()
        except Exception as exc:  # noqa: BLE001  told as the reason of the stop
            told = "".join(traceback.format_exception(exc))
            bot.stop.request(f"{what} failed", error=told)

    async def _beside(self, bot: Bot) -> None:
        """Watch the time and show the status."""
        started_ns = bot.clock.now_ns()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._carry_each_second, bot)
            nursery.start_soon(self._force_what_was_carried)
            if self._screen.has_status:
                nursery.start_soon(self._show, bot, started_ns)
            if self._options.for_ns is not None:
                await bot.clock.sleep_until(started_ns + self._options.for_ns)
                bot.stop.request(TIME_IS_UP)

    async def _look(self, bot: Bot) -> None:
        """Tell others of the run: alerts, heartbeat, metrics."""
        lookout, dispatcher = self.lookout, bot.dispatcher
        lookout.counts = lambda: self._tally.counts
        lookout.queues = {
            "dispatcher": lambda: dispatcher.waiting,
            "screen": lambda: self._screen.waiting,
        }
        await lookout.serve(bot, self._banner(full_speed=False))

    async def _carry_each_second(self, bot: Bot) -> None:
        while True:
            await trio.sleep(CARRY_EVERY_S)
            self._carry(bot)

    async def _force_what_was_carried(self) -> None:
        """Let a loss of power forget no more than a few seconds; a thread waits for the disk."""
        while True:
            await trio.sleep(FORCE_EVERY_S)
            try:
                await trio.to_thread.run_sync(self._switch.sync, abandon_on_cancel=True)
            except JournalError as exc:
                self._screen.log("error", "risk state not on the disk", {"error": str(exc)})

    def _carry(self, bot: Bot, *, durable: bool = False) -> None:
        """Keep what rules have measured for the next start; without a disk the run goes on."""
        try:
            self._switch.carry(bot.engine.guard.carried(), durable=durable)
        except JournalError as exc:
            if not self._carry_fails:  # it is tried every second, and told once
                self._screen.log("error", "risk state not written", {"error": str(exc)})
            self._carry_fails = True
        else:
            if self._carry_fails:
                self._screen.log("info", "risk state is written again", {})
            self._carry_fails = False

    def _on_halt(self, halted: Halted) -> None:
        """Make the trip outlive the process."""
        clear = f"botkit risk clear {self._plan.config.words} --reason TEXT"
        try:
            self._switch.trip(halted, wall_time_ns())
        except JournalError as exc:
            fields = {"error": str(exc), "then": "the next start will not know of it"}
            self._screen.log("critical", "the kill switch could not be written", fields)
        else:
            self._screen.log("warning", "no start trades until it is cleared", {"by": clear})

    async def _show(self, bot: Bot, started_ns: int) -> None:
        while True:
            self._screen.show(snapshot(bot, self._tally, mode=self._mode, started_ns=started_ns))
            await trio.sleep(SNAPSHOT_EVERY_S)

    # --- after ------------------------------------------------------------------------------

    def _finish(self, bot: Bot, *, run_ns: int, cpu_ns: int, full_speed: bool) -> None:
        """Close the run's journal and say how it went."""
        if not full_speed:
            self._carry(bot, durable=True)
        code = bot.exit_code()
        reason = self._redact(bot.stop.reason or "canceled")
        outcome = Outcome(
            mode=self._mode,
            exit_code=code,
            reason=reason,
            run_ns=run_ns,
            cpu_ns=cpu_ns,
            full_speed=full_speed,
            remarks=tuple(
                remark
                for venue in self._plan.venues.values()
                if isinstance(venue, RemarkingVenue)
                for remark in venue.remarks()
            ),
        )
        summary = without_secrets(summarise(bot, self._tally, outcome), self._redact)
        complaint = bot.stop.error
        try:
            run_hash = self._journal.run_hash()
            self._journal.end_run(
                ended_ns=wall_time_ns(), exit_code=code, reason=reason, summary=summary
            )
        except JournalError as exc:
            complaint = f"{complaint}\n{exc}; the run is not closed in it".lstrip()
            run_hash = ""
            code = code or ExitCode.ERROR  # 3 and 4 outrank 1
            outcome = attrs.evolve(outcome, exit_code=code)
        self._exit_code = code
        self._guards.end(clean=bool(run_hash) and code != ExitCode.ORDERS_MAY_REST)
        self._watch.finish(code)
        self._screen.end(complaint)
        if self._options.form == "json":
            self._screen.log("info", "summary", {**summary, "exit_code": int(code)})
        else:
            write_summary(bot, self._tally, outcome, self._screen.say)
        self.lookout.ended(code, summary_lines(bot, self._tally, outcome))
        if full_speed and run_hash:
            self._screen.say_last(run_hash)
