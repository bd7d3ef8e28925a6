"""The lives of one simulated bot: started, killed, swept after, started again.

Each life is a process of its own with its own links; all have one journal. After a kill the
guardian sweeps as it does in earnest, by a bot without strategies that is told to stop before it
starts; without a guardian the next start takes over what the journal left open.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs
import numpy as np
import trio

from botkit.assembly import Plan, assemble
from botkit.config import Config
from botkit.errors import BotkitError
from botkit.live import serve_links
from botkit.live.opening import Moved, opening_adjustments
from botkit.live.sweep import mark_taken, orders_left, sweep, symbols_left
from botkit.model import Adjustment, Instrument, NewOrder
from botkit.ports import JournalEntry, Traded
from botkit.shell import Bot, ExitCode, run_bot
from botkit.testing.chronicle import Chronicle
from botkit.testing.invariants import Death
from botkit.testing.links import Link
from botkit.testing.memory_journal import MemoryJournal
from botkit.testing.process import Process, ProcessJournal
from botkit.testing.world import World

__all__ = ["Life", "Lives"]

MODE: Final = "LIVE"
NOTICED_S: Final = (0.001, 0.003)  # after how long a guardian learns of a death
DIES_TOO: Final = 0.2  # the part of guardians that are killed while they sweep
DIES_AFTER_S: Final = (0.0, 0.3)
HUNG_AFTER_S: Final = 5.0
RESTART_S: Final = (0.2, 4.0)
AGAIN_S: Final = 1.0  # after a start that failed
SWEEP_AGAIN_S: Final = 1.0
ATTEMPT_S: Final = 60.0
NS_PER_S: Final = 1_000_000_000
IN_FLIGHT: Final = 0.7  # the part of kills around the sending of an order
PATIENCE_S: Final = 6.0  # how long a kill waits for its moment


@attrs.define(kw_only=True, eq=False)
class Life:
    """One process's life: a bot, or a guardian's sweep. `exit_code` is None if it was killed."""

    number: int
    process: Process
    is_guardian: bool = False
    bot: Bot | None = None
    trades: bool = False
    exit_code: ExitCode | None = None
    failure: str = ""
    over: trio.Event = attrs.field(factory=trio.Event)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)


@attrs.define(kw_only=True, eq=False)
class Lives:
    """Starts a bot, and again after each end by force, until `finish`.

    Attributes
    ----------
    deaths
        Its ends by force.
    lives
        All there were, oldest first.
    """

    world: World
    config: Config
    seed: int
    rng: np.random.Generator
    journal: MemoryJournal
    chronicle: Chronicle
    problem: Callable[[str], None]
    nursery: trio.Nursery
    deaths: list[Death] = attrs.field(factory=list)
    lives: list[Life] = attrs.field(factory=list)
    on_death: list[Callable[[Death], None]] = attrs.field(factory=list)
    on_entry: Callable[[JournalEntry], None] = lambda _: None
    failed_starts: int = 0
    finishing: bool = False
    crashed: bool = False
    _guarded: bool = True
    _on_submit: list[Callable[[], None]] = attrs.field(factory=list)

    # --- for faults and invariants ----------------------------------------------------------

    @property
    def current(self) -> Life | None:
        """The life that goes on, if any."""
        return self.lives[-1] if self.lives and not self.lives[-1].over.is_set() else None

    def bot_trades(self) -> bool:
        """Tell whether what reaches a book now is a living bot's."""
        life = self.current
        return life is not None and not life.is_guardian and life.trades

    def links_to(self, venue: str) -> list[Link]:
        """Return the links that the present process has made to a venue."""
        life = self.current
        return [] if life is None else [e for name, e in life.process.links if name == venue]

    async def kill(self, *, guarded: bool, hang: bool) -> bool:
        """End the bot by force, right away or around its next order; False if there is none."""
        life = self.current
        if life is None or life.bot is None or life.is_guardian or self.finishing:
            return False
        if self.rng.random() < IN_FLIGHT:
            submitted = trio.Event()
            self._on_submit.append(submitted.set)
            with trio.move_on_after(PATIENCE_S):
                await submitted.wait()
                await trio.sleep(self.rng.choice([0.0, 0.03, 0.1]) * self.rng.random())
        if not self._goes_on(life) or (hang and not life.process.runs):
            return False
        self._guarded = guarded
        if hang:
            self.chronicle.tell("hang", f"life {life.number}")
            life.process.freeze()
            self._unwind(life)
            await trio.sleep(HUNG_AFTER_S)
            if life.over.is_set():  # somebody else has killed it meanwhile
                return False
        self.chronicle.tell("kill", f"life {life.number}" + ("" if guarded else ", guardian too"))
        life.process.kill()
        self._die(guarded=guarded)
        self._unwind(life)
        life.over.set()
        return True

    async def _kill_guardian(self, after_s: float) -> None:
        """Kill a guardian that sweeps: what is left is for the next start."""
        await trio.sleep(after_s)
        life = self.current
        if life is None or not life.is_guardian or self.finishing:
            return
        self.chronicle.tell("kill", f"life {life.number}, which sweeps")
        self.deaths[-1].guarded = False
        life.process.kill()
        self._unwind(life)
        life.over.set()

    def _goes_on(self, life: Life) -> bool:
        return life is self.current and not self.finishing

    def _die(self, *, guarded: bool) -> None:
        death = Death(number=len(self.deaths) + 1, at=trio.current_time(), guarded=guarded)
        self.deaths.append(death)
        for each in self.on_death:
            each(death)

    def _unwind(self, life: Life) -> None:
        """Let the tasks of a life that is over end soon: nothing they do has an effect."""
        if life.bot is not None:
            life.bot.budget.timeout_s = 0.0
        life.scope.cancel()

    # --- a supervisor -----------------------------------------------------------------------

    async def keep_alive(self) -> None:
        """Start the bot whenever it is not there, until `finish`."""
        while not self.finishing:
            life = await self._live(is_guardian=False)
            if life.exit_code is None and not life.failure:
                if self._guarded:
                    await trio.sleep(self.rng.uniform(*NOTICED_S))
                    if self.rng.random() < DIES_TOO:
                        self.nursery.start_soon(
                            self._kill_guardian, self.rng.uniform(*DIES_AFTER_S)
                        )
                    swept = await self._live(is_guardian=True)
                    self.chronicle.tell("swept", f"exit code {swept.exit_code} {swept.failure}")
                await trio.sleep(self.rng.uniform(*RESTART_S))
            elif self.crashed:
                return
            elif not self.finishing:  # after a halt, a person clears it
                await trio.sleep(AGAIN_S)

    async def finish(self) -> Life | None:
        """Have the bot stop by itself and wait until it has; return its last life."""
        self.finishing = True
        life = self.current
        if life is not None and life.bot is not None:
            life.bot.stop.request("the time to simulate has passed")
        if life is not None:
            await life.over.wait()
        return life

    async def _live(self, *, is_guardian: bool) -> Life:
        number = len(self.lives) + 1
        name = f"{'guardian' if is_guardian else 'bot'} {number}"
        handle = ProcessJournal(self.journal)
        process = Process(name=name, journal=handle, rng=np.random.default_rng([self.seed, number]))
        life = Life(number=number, process=process, is_guardian=is_guardian)
        self.lives.append(life)
        handle.on_entry = partial(self._on_entry, life)
        self.chronicle.tell("sweep" if is_guardian else "start", f"life {number}")
        self.nursery.start_soon(self._run, life)
        await life.over.wait()
        return life

    def _on_entry(self, life: Life, entry: JournalEntry) -> None:
        self.on_entry(entry)
        if isinstance(entry, NewOrder):
            life.trades = True
            waiting, self._on_submit[:] = list(self._on_submit), []
            for each in waiting:
                each()

    async def _run(self, life: Life) -> None:
        try:
            with life.scope:
                await (self._sweep(life) if life.is_guardian else self._start(life))
        except* BotkitError as group:
            life.failure = "; ".join(str(each) for each in _leaves(group))
        except* Exception as group:  # noqa: BLE001  told as a problem
            life.failure = "".join(traceback.format_exception(group))
            if life.process.runs:
                self.crashed = True
                self.problem(f"life {life.number} failed: {life.failure}")
        if life.over.is_set() or not life.process.runs:
            return  # it was killed, and has only unwound now
        if life.failure:
            self.failed_starts += not life.is_guardian
            self.chronicle.tell("failed", life.failure)
        elif life.bot is not None:
            self._judge(life, life.bot)
        life.process.journal.let_go()
        life.over.set()

    async def _start(self, life: Life) -> None:
        """Do what a start does: look what was left, take it over, and run."""
        journal = life.process.journal
        runs = journal.unfinished()
        left = orders_left(runs)
        plan = self.world.plan(self.config, life.process, symbols=symbols_left(left))
        instruments = await plan.prepare()
        run_id = f"s{self.seed}x{life.number}"
        bot = assemble(
            plan,
            instruments,
            journal=journal,
            clock=self.world.clock,
            run_id=run_id,
            log=self._log,
            left_open=left,
        )
        bot.opening = self._opening(plan, instruments)
        bot.taken_over = lambda: mark_taken(journal, runs, run_id)
        journal.begin_run(run_id=run_id, mode=MODE, config="", started_ns=self.world.clock.now_ns())
        for symbol in bot.engine.channels:
            journal.record(Traded.of(instruments[symbol]))
        life.bot = bot
        venues = list(plan.venues.values())
        rng = np.random.default_rng([self.seed, life.number, 1])
        await run_bot(bot, lambda: serve_links(bot.engine, venues, self.world.clock, rng=rng))
        life.exit_code = bot.exit_code()
        journal.end_run(
            ended_ns=self.world.clock.now_ns(), exit_code=life.exit_code, reason=bot.stop.reason
        )

    async def _sweep(self, life: Life) -> None:
        """Do what a guardian does: sweep, again and again, until nothing rests or it is late."""
        deadline = trio.current_time() + self.config.bot.guardian.give_up_after / NS_PER_S
        attempt = 0
        while life.exit_code is not ExitCode.CLEAN and trio.current_time() < deadline:
            if attempt:
                await trio.sleep(SWEEP_AGAIN_S)
            attempt += 1
            try:
                await self._attempt(life, f"s{self.seed}x{life.number}g{attempt}")
            except BotkitError as exc:
                life.exit_code = ExitCode.ORDERS_MAY_REST
                life.failure = str(exc)
            if not life.process.runs:
                return

    async def _attempt(self, life: Life, run_id: str) -> None:
        journal = life.process.journal
        symbols = symbols_left(orders_left(journal.unfinished()))
        plan = self.world.plan(self.config, life.process, symbols=symbols, guardian=True)

        def note(bot: Bot) -> None:
            life.bot = bot

        life.exit_code = await sweep(
            plan,
            journal,
            clock=self.world.clock,
            run_id=run_id,
            log=self._log,
            give_up_s=ATTEMPT_S,
            opening=partial(self._opening, plan),
            rng=np.random.default_rng([self.seed, life.number, 1]),
            on_bot=note,
        )

    def _log(self, level: str, message: str, fields: Mapping[str, object]) -> None:
        """Show what a bot says for people; what happened is told by others."""
        if self.chronicle.keep:
            told = " ".join(f"{name}={value}" for name, value in fields.items())
            self.chronicle.note(level, f"{message} {told}".rstrip())

    def _opening(self, plan: Plan, instruments: Mapping[str, Instrument]) -> list[Adjustment]:
        return opening_adjustments(plan, instruments, self._last_moves, _ignore)

    def _last_moves(self) -> Sequence[Moved]:
        for run in reversed(self.journal.runs):
            moves = [each for each in run.entries if isinstance(each, Moved)]
            if moves:
                return moves
        return []

    def _judge(self, life: Life, bot: Bot) -> None:
        """Look how a life ended that nobody ended by force."""
        text = f"life {life.number}: {life.exit_code!r}, {bot.stop.reason} {bot.stop.error}"
        self.chronicle.tell("end", text)
        expected = life.is_guardian or self.finishing
        if not expected and life.exit_code is not ExitCode.STOPPED_BY_RISK:
            self.problem(f"a bot ended by itself: {text}")


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    found: list[BaseException] = []
    for each in group.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found


def _ignore(_: str) -> None:
    pass
