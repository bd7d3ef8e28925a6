"""What earlier runs have left open: handed to the next run, or swept by a bot that does only that.

A sweep is a run without strategies: the orders enter its engine as UNKNOWN, are asked for and
canceled, and only the venue's word ends them, by the same rules as in any run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import attrs
import numpy as np
import trio

from botkit.assembly import Plan, assemble
from botkit.clock import Clock
from botkit.engine.core import Log
from botkit.errors import JournalError, VenueError
from botkit.journal import OpenRun
from botkit.live.links import serve_links
from botkit.model import Adjustment, ClientOrderId, Instrument
from botkit.orders import OrderTiming
from botkit.ports import Journal, JournalEntry, Recovered, Traded
from botkit.scope import CleanUpBudget
from botkit.shell import Bot, ExitCode, run_bot

__all__ = ["SWEEP_TIMING", "SweptJournal", "mark_taken", "orders_left", "sweep", "symbols_left"]

NS_PER_MS: Final = 1_000_000
PREPARE_AGAIN_S: Final = 1.0
RECORD_AGAIN_S: Final = 1.0
RECORD_TRIES: Final = 10
SWEEP_TIMING: Final = OrderTiming(
    cancel_due_ns=1_000 * NS_PER_MS, ask_every_ns=500 * NS_PER_MS, back_off=1
)
"""An order that reaches the venue late is found within a second: nobody else looks for it."""


class SweptJournal(Journal, Protocol):
    """What a sweep needs of a journal."""

    def unfinished(self) -> list[OpenRun]:
        """Return the runs whose orders may still rest."""
        ...

    def begin_run(self, *, run_id: str, mode: str, config: str, started_ns: int) -> None:
        """Open a run."""
        ...

    def end_run(self, *, ended_ns: int, exit_code: int, reason: str) -> None:
        """Close the run."""
        ...

    def mark_swept(self, run_id: str, note: str) -> None:
        """Note what was found of a run."""
        ...


def orders_left(runs: Sequence[OpenRun]) -> list[Recovered]:
    """Return the orders of `runs`, oldest first, each as the last run to have it left it."""
    latest: dict[ClientOrderId, Recovered] = {}
    for run in runs:
        for name in run.taken:  # it has them open still, or has seen their end
            latest.pop(name, None)
        for record in run.orders:
            symbol = record.request.symbol
            others = [name for told, name in run.told_ids if told == symbol]
            latest[record.client_order_ids[0]] = Recovered(
                record=record,
                run_id=run.run_id,
                receive_time_ns=0,
                others=() if record.venue_order_ids else tuple(sorted(others)),
            )
    return list(latest.values())


def symbols_left(left: Sequence[Recovered]) -> tuple[str, ...]:
    """Return the instruments that the orders `left` are of."""
    return tuple(dict.fromkeys(each.record.request.symbol for each in left))


async def sweep(
    plan: Plan,
    journal: SweptJournal,
    *,
    clock: Clock,
    run_id: str,
    log: Log,
    give_up_s: float,
    opening: Callable[[Mapping[str, Instrument]], Sequence[Adjustment]] = lambda _: (),
    rng: np.random.Generator | None = None,
    on_bot: Callable[[Bot], None] = lambda _: None,
) -> ExitCode:
    """Cancel what the journal says may rest, and return once the venues have confirmed it.

    Parameters
    ----------
    plan
        A guardian's: without strategies, with the instruments of what was left.
    give_up_s
        When to end all the same; what is not confirmed then is UNKNOWN, and the code is 3.
    opening
        What the run takes over of positions, so that later fills are added to them.
    on_bot
        Given the bot before it runs, to look on.

    A journal that cannot be written holds no cancel back: what is done then is not in it, and the
    next run looks at the same orders again.

    Raises
    ------
    JournalError
        The journal cannot be read.
    """
    runs = journal.unfinished()
    left = orders_left(runs)
    if not left:
        for run in runs:
            journal.mark_swept(run.run_id, "nothing of it rested")
        return ExitCode.CLEAN
    budget = CleanUpBudget(give_up_s)
    deadline = budget.start()
    instruments = _known(plan, runs)
    if not set(symbols_left(left)) <= set(instruments):  # an old journal does not say
        instruments = await _prepared(plan, log, deadline)
    record = _Record(journal, run_id, clock, log)
    recording, inventory = record.begin(
        runs[-1].mode, plan.config.show(), lambda: opening(instruments)
    )
    bot = assemble(
        plan,
        instruments,
        journal=recording,
        clock=clock,
        run_id=run_id,
        log=log,
        left_open=left,
        timing=SWEEP_TIMING,
    )
    bot.budget = budget
    bot.opening = inventory
    for symbol in dict.fromkeys([*bot.engine.channels, *(each.symbol for each in bot.opening)]):
        if symbol in instruments:
            recording.record(Traded.of(instruments[symbol]))
    if recording is journal:
        bot.taken_over = lambda: mark_taken(journal, runs, run_id)
    bot.stop.request(f"{len(left)} orders were left open")
    on_bot(bot)
    needed = {symbol.partition(":")[0] for symbol in symbols_left(left)}
    venues = [venue for name, venue in plan.venues.items() if name in needed]
    await run_bot(bot, lambda: serve_links(bot.engine, venues, clock, rng=rng))
    if recording is journal:
        await record.end(bot.exit_code(), bot.stop.reason)
    return bot.exit_code()


class _Unrecorded:
    """Stands in for a journal that cannot be written."""

    def record(self, entry: JournalEntry) -> None:
        """Forget it."""

    def commit(self) -> None:
        """Do nothing."""


@attrs.frozen
class _Record:
    """A sweep's own run in the journal."""

    journal: SweptJournal
    run_id: str
    clock: Clock
    log: Log

    def begin(
        self, mode: str, config: str, opening: Callable[[], Sequence[Adjustment]]
    ) -> tuple[Journal, Sequence[Adjustment]]:
        """Open the run; return where to record it, and the positions that it takes over.

        That is nowhere and none if it cannot be opened, or the positions not be read: a run that
        was recorded without them would lose them.
        """
        try:
            inventory = opening()
            self.journal.begin_run(
                run_id=self.run_id, mode=mode, config=config, started_ns=self.clock.now_ns()
            )
        except JournalError as exc:
            self.log("critical", "not journaled, canceled all the same", {"error": str(exc)})
            return _Unrecorded(), ()
        return self.journal, inventory

    async def end(self, code: ExitCode, reason: str) -> None:
        """Close the run, trying for a while; one that stays open is looked at again."""
        for _ in range(RECORD_TRIES):
            try:
                self.journal.end_run(ended_ns=self.clock.now_ns(), exit_code=code, reason=reason)
            except JournalError as exc:
                self.log("error", "the run cannot be closed", {"error": str(exc)})
            else:
                return
            await trio.sleep(RECORD_AGAIN_S)


def mark_taken(journal: SweptJournal, runs: Sequence[OpenRun], run_id: str) -> None:
    """Note that run `run_id` has the orders of `runs` in its journal now."""
    for run in runs:
        journal.mark_swept(run.run_id, f"taken over by run {run_id}")


def _known(plan: Plan, runs: Sequence[OpenRun]) -> dict[str, Instrument]:
    """Return the instruments that the venues or else the journals of `runs` have told."""
    told = {each.symbol: each.instrument() for run in runs for each in run.traded}
    venues = plan.venues.values()
    return told | {name: each for venue in venues for name, each in venue.instruments.items()}


async def _prepared(plan: Plan, log: Log, deadline: float) -> dict[str, Instrument]:
    """Let the venues prepare, again and again: what rests there is urgent."""
    while True:
        try:
            return await plan.prepare()
        except VenueError as exc:
            log("error", "a venue cannot be prepared, trying again", {"error": str(exc)})
            if trio.current_time() >= deadline:
                raise
        await trio.sleep(PREPARE_AGAIN_S)
