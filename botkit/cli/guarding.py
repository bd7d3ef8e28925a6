"""What a guardian does: make ready, watch the bot, and once it is dead cancel what it left."""

import contextlib
import os
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio

from botkit.assembly import Plan, check
from botkit.cli.earlier_runs import IN_PROCESS
from botkit.cli.opening import opening_inventory
from botkit.cli.status import order_line
from botkit.cli.wording import plural
from botkit.clock import LiveClock, wall_time_ns
from botkit.config import Config
from botkit.engine.core import Log
from botkit.errors import (
    AlreadyRunningError,
    BeingSweptError,
    BotkitError,
    ConfigError,
    JournalError,
    VenueAuthenticationError,
)
from botkit.journal import JournalReader, OpenRun, Run, SqliteJournal
from botkit.journal.database import journal_paths
from botkit.live import End, Process, Watch
from botkit.live.sweep import orders_left, sweep, symbols_left
from botkit.shell import Bot, ExitCode
from botkit.watch.alert import Severity, guarding
from botkit.watch.alerts import Alerts
from botkit.watch.channels import open_channels

__all__ = ["Guardian"]

NS_PER_S: Final = 1_000_000_000
READY_AGAIN_S: Final = 2.0
LOCK_AGAIN_S: Final = (0.02, 0.5)  # first pause, longest pause
LEAVES_S: Final = 60.0  # that a bot may take to end once it has let go of us
ATTEMPT_S: Final = 60.0  # a link that has failed for good is not tried again within one
SWEEP_AGAIN_S: Final = 1.0
RUNS: Final = 50
ORDERS_TOLD: Final = 20


@attrs.define(eq=False, kw_only=True)
class Guardian:
    """Guards the bot of one config.

    Parameters
    ----------
    live
        Whether the bot sends real orders; else what it leaves has ended with it.
    """

    config: Config
    live: bool
    log: Log
    _alerting: trio.Nursery | None = attrs.field(default=None, init=False)
    _sweeping: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def guard(self, watch: Watch) -> ExitCode:
        """Watch one bot to its end, and cancel what it leaves; return whether anything rests."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._make_ready, watch)
            end = await watch.run()
            nursery.cancel_scope.cancel()
        fields = {"pid": watch.process.pid}
        if end in {End.CLEAN, End.NEVER}:
            self.log("info", f"the bot {end.value}", fields)
            return ExitCode.CLEAN
        self.log("critical", f"the bot {end.value}", fields)
        if not await self._is_over(watch.process, end, max(watch.hung_after_s, LEAVES_S)):
            self.log("warning", "the bot lives, and has let go of this guardian", fields)
            return ExitCode.CLEAN
        return await self.take_over(f"process {watch.process.pid} {end.value}")

    async def take_over(self, why: str, *, patient: bool = True) -> ExitCode:
        """Cancel what the journal says may rest, once nobody else is at it.

        Canceled from outside, it still finishes what it has begun to cancel.

        Raises
        ------
        AlreadyRunningError
            It is not `patient`, and somebody is at it.
        """
        async with self._sweeping:
            journal = None if patient else self._open()
            async with trio.open_nursery() as nursery:
                self._alerting = nursery
                give_up_s = self.config.bot.guardian.give_up_after / NS_PER_S
                return await self._settle(journal, why, trio.current_time() + give_up_s)

    async def _settle(self, journal: SqliteJournal | None, why: str, deadline_s: float) -> ExitCode:
        """Sweep what `journal` has open; None has to be waited for, whoever holds its lock."""
        try:
            journal = journal or await self._wait_for_journal(deadline_s)
            if journal is None:
                self.log("info", "nothing to do: the next run has taken over", {})
                return ExitCode.CLEAN
            with trio.CancelScope(shield=True):
                code = await self._sweep(journal, why, deadline_s)
        except Exception as exc:  # noqa: BLE001  whatever it was, people are told to look
            self.log("critical", "failed", {"error": "".join(traceback.format_exception(exc))})
            return self._give_up(why, str(exc))
        finally:
            if journal is not None:
                journal.close()
        return code

    def left_open(self) -> bool:
        """Tell whether the journal has a run whose orders may rest at a venue, or that runs."""
        path = self._journal_path()
        if not path.exists():
            return False
        with JournalReader(path) as reader:
            return any(map(_is_open, reader.runs(RUNS)))

    def _journal_path(self) -> Path:
        return journal_paths(Path(self.config.bot.state_dir), self.config.bot.name)[0]

    # --- before -----------------------------------------------------------------------------

    async def _make_ready(self, watch: Watch) -> None:
        """Do ahead what can be done ahead, and tell the bot."""
        while True:
            try:
                plan = self._plan()
                await plan.prepare()
            except (ConfigError, VenueAuthenticationError) as exc:
                watch.tell_failure(str(exc))
                self.log("error", "cannot guard", {"error": str(exc)})
                return
            except BotkitError as exc:
                self.log("warning", "a venue cannot be prepared", {"error": str(exc)})
                await trio.sleep(READY_AGAIN_S)
                continue
            watch.tell_ready()
            self.log("info", "guarding", {"pid": watch.process.pid, "venues": [*plan.venues]})
            return

    def _plan(self, symbols: Sequence[str] = ()) -> Plan:
        return check(self.config, live=self.live, guardian=True, symbols=symbols)

    # --- after ------------------------------------------------------------------------------

    async def _is_over(self, process: Process, end: End, patience_s: float) -> bool:
        """Return whether the bot is no more: there must never be two who send orders for it."""
        if end is End.HUNG:
            process.kill()
        if not process.known:
            return True  # as far as can be known here; its lock says more
        with trio.move_on_after(patience_s):
            await process.ended()
        while end is End.HUNG and not process.has_ended():
            self.log("critical", "the bot was killed and does not die", {"pid": process.pid})
            with trio.move_on_after(patience_s):
                await process.ended()
        return process.has_ended()

    def _open(self) -> SqliteJournal:
        bot = self.config.bot
        return SqliteJournal.open(
            Path(bot.state_dir), bot.name, synchronous=bot.journal_synchronous, sweeps=True
        )

    async def _wait_for_journal(self, deadline_s: float) -> SqliteJournal | None:
        """Take over the lock and open the journal; None if the next run has seen to all of it."""
        began_ns = wall_time_ns()
        pause_s, longest_s = LOCK_AGAIN_S
        while True:
            try:
                return self._open()
            except AlreadyRunningError as exc:
                if not isinstance(exc, BeingSweptError) and self._is_seen_to(began_ns):
                    return None
                if trio.current_time() > deadline_s:
                    raise
            await trio.sleep(pause_s)
            pause_s = min(2 * pause_s, longest_s)

    def _is_seen_to(self, died_ns: int) -> bool:
        """Tell whether a run began since that has taken over what others had left open."""
        try:
            with JournalReader(self._journal_path()) as reader:
                runs = reader.runs(RUNS)
        except JournalError:  # it is being made, or mended
            return False
        return bool(runs) and runs[0].started_ns > died_ns and not any(map(_is_open, runs[1:]))

    async def _sweep(self, journal: SqliteJournal, why: str, deadline_s: float) -> ExitCode:
        """Cancel what may rest, again and again until that is confirmed or it is too late."""
        runs = self._to_sweep(journal)
        if not runs:
            self.log("info", "nothing was left open", {})
            return ExitCode.CLEAN
        if not self.live:
            raise ConfigError("orders of a run with --live are open, and this one has none")
        count = plural(len(orders_left(runs)), "order")
        self._tell(f"{count} may rest: canceling", [why])
        while True:
            left = await self._attempt(journal, runs, deadline_s)
            if not left:
                lines = [why, f"{count}: canceled or filled, as the venues have confirmed"]
                self._tell("nothing rests any more", lines, severity="success")
                return ExitCode.CLEAN
            if trio.current_time() >= deadline_s:
                return self._give_up(why, *left[:ORDERS_TOLD])
            self.log("error", "orders may still rest, trying again", {"orders": left})
            await trio.sleep(SWEEP_AGAIN_S)

    def _to_sweep(self, journal: SqliteJournal) -> list[OpenRun]:
        """Return the runs with orders that may rest at a venue; mark the others as swept."""
        for run in journal.unfinished():
            if run.mode in IN_PROCESS:
                journal.mark_swept(run.run_id, "its orders ended with its process")
        runs = journal.unfinished()
        if orders_left(runs):
            return runs
        for run in runs:
            journal.mark_swept(run.run_id, "nothing of it rested")
        return []

    async def _attempt(
        self, journal: SqliteJournal, runs: Sequence[OpenRun], deadline_s: float
    ) -> list[str]:
        """Sweep once; return a line for each order that may rest after it."""
        bots: list[Bot] = []
        try:
            plan = self._plan(symbols_left(orders_left(runs)))
            await sweep(
                plan,
                journal,
                clock=LiveClock(origin_ns=wall_time_ns()),
                run_id=os.urandom(4).hex(),
                log=self.log,
                give_up_s=min(ATTEMPT_S, max(deadline_s - trio.current_time(), 0.0)),
                opening=partial(
                    opening_inventory,
                    plan,
                    journal=journal.path,
                    mode=runs[-1].mode,
                    say=lambda text: self.log("info", text, {}),
                ),
                on_bot=bots.append,
            )
        except Exception as exc:  # noqa: BLE001  whatever it was: nobody else would try again
            told = "".join(traceback.format_exception(exc))
            self.log("error", "the sweep failed", {"error": told})
            with contextlib.suppress(BotkitError):
                code = ExitCode.ORDERS_MAY_REST
                journal.end_run(ended_ns=wall_time_ns(), exit_code=code, reason=str(exc))
            return [each.record.client_order_ids[0] for each in orders_left(runs)]
        return [order_line(order) for bot in bots for order in bot.resting()]

    def _give_up(self, *lines: str) -> ExitCode:
        self._tell("the guardian gave up: ORDERS MAY REST, look at the venue", lines)
        return ExitCode.ORDERS_MAY_REST

    # --- telling ----------------------------------------------------------------------------

    def _tell(self, what: str, lines: Sequence[str], *, severity: Severity = "failure") -> None:
        """Log it, and alert people without waiting for that."""
        level = "info" if severity == "success" else "critical"
        self.log(level, what, {"details": "; ".join(lines)})
        if self.config.alerts is None or not self.config.alerts.urls or self._alerting is None:
            return
        alert = guarding(what, lines, wall_time_ns(), severity=severity)
        alerts = Alerts(
            self.config.alerts,
            open_channels(self.config.alerts.urls, self.config.source),
            sender=f"{self.config.bot.name} guardian",
            redact=self.config.redact,
            log=self.log,
        )

        async def send() -> None:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(alerts.last_words, alert)

        self._alerting.start_soon(send)


def _is_open(run: Run) -> bool:
    """Tell whether orders of a run may rest at a venue, or it has not ended."""
    unsettled = run.ended_ns is None or run.exit_code == ExitCode.ORDERS_MAY_REST
    return unsettled and run.swept is None and run.mode not in IN_PROCESS
