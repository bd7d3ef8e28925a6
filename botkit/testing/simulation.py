"""A whole bot and the exchanges it trades on, in one process, on simulated time, from one seed.

    result = simulate(load("configs/finery.toml"), seed=7)
    assert not result.problems, result.problems

Strategy, engine, gate, adapters, WebSocket framing and REST are the real ones; they reach the
venues' simulators over streams in memory. Faults drawn from the seed cut links, lose answers,
kill the bot; its guardian sweeps and it starts again from its journal. What must hold is checked
by the exchanges' own books, all the time and once more at the end.
"""

import gc
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import attrs
import msgspec
import numpy as np
import trio
import trio._core._run as trio_run
import trio.testing

from botkit.adapter import Simulator
from botkit.assembly import check
from botkit.config import Config
from botkit.shell import Bot, ExitCode
from botkit.testing.chronicle import Chronicle
from botkit.testing.comparing import differing_books, differing_orders
from botkit.testing.drawing import draw_latencies, draw_quirks, eased
from botkit.testing.faults import FEWEST_FAULTS, Faults
from botkit.testing.invariants import Books, QuantityLimits
from botkit.testing.lives import Lives
from botkit.testing.memory_journal import MemoryJournal
from botkit.testing.planting import plant
from botkit.testing.precedence import Precedence
from botkit.testing.settling import QUIET_S, settle, sums_of
from botkit.testing.world import HOST, PORT, World, open_world

__all__ = [
    "HOST",
    "PORT",
    "QUIET_S",
    "SimulationResult",
    "World",
    "differing_books",
    "differing_orders",
    "open_world",
    "run_seeded",
    "simulate",
]

T = TypeVar("T")
ORDERED: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
YOUNG_MOST: Final = 50_000  # objects between two looks for garbage, which cost a tenth otherwise
FEWEST_ORDERS: Final = 20  # in `ORDERS_PER_S`
PER_S: Final = 120.0


@attrs.frozen(kw_only=True)
class SimulationResult:
    """How one seed went.

    Parameters
    ----------
    exit_code
        What the bot's last run ended with.
    problems
        Everything that must hold and did not, a line each with its simulated time.
    differences
        What the bot thinks and the exchange knows otherwise; among the problems too.
    resting
        Orders of the bot still in an exchange's book at the end; among the problems too.
    orders, fills
        As the exchanges counted them.
    restarts
        How often the bot was started again.
    faults
        How many took effect, by kind.
    gone_after_s
        How long each order that a guardian had to see gone outlived its bot, or its own arrival
        in the book, in seconds; without those whose venue could not be reached.
    quirks
        What the venues' simulators were told to do, by venue.
    timeline
        What happened, a line each, if it was asked for.
    trace
        A hash of everything that happened: the same for the same seed.
    """

    seed: int
    seconds: float
    exit_code: ExitCode
    problems: tuple[str, ...]
    differences: tuple[str, ...]
    resting: tuple[str, ...]
    orders: int
    fills: int
    restarts: int
    faults: Mapping[str, int]
    gone_after_s: tuple[float, ...]
    quirks: Mapping[str, Mapping[str, Any]]
    timeline: tuple[str, ...]
    trace: str


def simulate(
    config: Config,
    seed: int,
    *,
    seconds: float = 120.0,
    quirks: Mapping[str, Mapping[str, Any]] | None = None,
    faults: bool = True,
    record: bool = False,
) -> SimulationResult:
    """Run the bot of `config` for `seconds` of simulated time and hold it against its exchanges.

    Parameters
    ----------
    quirks
        By venue, how its simulator decides what the venue leaves open; with `faults` the others
        are drawn.
    faults
        Whether anything goes wrong.
    record
        Whether to keep a timeline.

    Raises
    ------
    ConfigError
        The config is wrong, or a venue of it has no simulator.
    """
    story = _Story(
        config=config, seed=seed, seconds=seconds, quirks=quirks or {}, faults=faults, record=record
    )
    return run_seeded(story.run, seed)


def run_seeded(main: Callable[[], Awaitable[T]], seed: int) -> T:
    """Run `main` on a clock that jumps, trio's own choices drawn from `seed`.

    Trio shuffles the tasks of a batch by a random source of its own; both it and the switch that
    makes batches ordered are private, so trio is pinned and this is the only place that knows.
    """
    inside = vars(trio_run)
    draws, often = inside["_r"], gc.get_threshold()
    before, was_ordered = draws.getstate(), inside[ORDERED]
    draws.seed(seed)
    inside[ORDERED] = True
    gc.set_threshold(YOUNG_MOST)
    try:
        return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        gc.set_threshold(*often)
        draws.setstate(before)
        inside[ORDERED] = was_ordered


@attrs.define(kw_only=True, eq=False)
class _Story:
    """One seed, from its first start to what is found at the end."""

    config: Config
    seed: int
    seconds: float
    quirks: Mapping[str, Mapping[str, Any]]
    faults: bool
    record: bool
    _problems: list[str] = attrs.field(factory=list)
    _chronicle: Chronicle = attrs.field(init=False)
    _nameless: list[str] = attrs.field(init=False)
    _journal: MemoryJournal = attrs.field(factory=MemoryJournal)

    async def run(self) -> SimulationResult:
        """Let it happen."""
        plan = check(self.config, live=True)
        self._nameless = [
            name for name, e in plan.venues.items() if not e.capabilities.client_order_ids
        ]
        self._chronicle = Chronicle(keep=self.record)
        rng = np.random.default_rng([self.seed, 0xFA])
        quirks, latencies = self.quirks, {}
        if self.faults:
            self.config = eased(self.config)
            quirks = draw_quirks(self.config, rng, self.quirks)
            latencies = draw_latencies(self.config, rng)
            self._chronicle.tell("world", f"latency {latencies}, quirks {quirks}")
        async with (
            open_world(self.config, self.seed, quirks=quirks, latency_s=latencies) as world,
            trio.open_nursery() as nursery,
        ):
            lives = self._lives(world, nursery, rng)
            books = self._books(world, lives)
            faults = self._faults(world, lives, books, rng)
            nursery.start_soon(lives.keep_alive)
            if self.faults:
                for each in books.values():
                    plant(each)
                await faults.bring_about(self.seconds)
            else:
                await trio.sleep(self.seconds)
            result = await self._end(world, lives, books, faults)
            nursery.cancel_scope.cancel()
        return attrs.evolve(result, quirks=quirks)

    # --- the parts --------------------------------------------------------------------------

    def _problem(self, text: str) -> None:
        self._problems.append(f"{trio.current_time():.3f} s: {text}")
        self._chronicle.tell("PROBLEM", text)

    def _lives(self, world: World, nursery: trio.Nursery, rng: np.random.Generator) -> Lives:
        return Lives(
            world=world,
            config=self.config,
            seed=self.seed,
            rng=np.random.default_rng(int(rng.integers(2**32))),
            journal=self._journal,
            chronicle=self._chronicle,
            problem=self._problem,
            nursery=nursery,
        )

    def _books(self, world: World, lives: Lives) -> dict[str, Books]:
        members = _members(self.config, world.simulators)
        found: dict[str, Books] = {}
        for name, simulator in world.simulators.items():
            found[name] = Books(
                venue=name,
                simulator=simulator,
                member=members[name],
                limits=QuantityLimits(risk=self.config.risk),
                chronicle=self._chronicle,
                problem=self._problem,
                deaths=lives.deaths,
                tells_orders_apart=name not in self._nameless,
                is_alive=lives.bot_trades,
            )
            simulator.market.exchange.observe(found[name].on_events)
            lives.on_death.append(found[name].on_death)
        self._order(found, lives)
        return found

    def _order(self, books: Mapping[str, Books], lives: Lives) -> None:
        """Have looked at in which order things happen."""
        precedence = Precedence(
            books=books,
            journal=self._journal,
            keeps=lambda venue: self.config.venues[venue].on_disconnect == "keep",
        )
        lives.on_entry = precedence.on_entry
        lives.on_death.append(precedence.on_death)
        for each in books.values():
            each.on_accepted = precedence.on_accepted

    def _faults(
        self, world: World, lives: Lives, books: Mapping[str, Books], rng: np.random.Generator
    ) -> Faults:
        faults = Faults(
            world=world,
            victim=lives,
            books=books,
            journal=self._journal,
            chronicle=self._chronicle,
            rng=np.random.default_rng(int(rng.integers(2**32))),
        )
        for each in books.values():
            each.excused = faults.excuses
        return faults

    # --- the end ----------------------------------------------------------------------------

    async def _end(
        self, world: World, lives: Lives, books: Mapping[str, Books], faults: Faults
    ) -> SimulationResult:
        differences = await settle(lives, world)
        last = await lives.finish()
        await trio.sleep(QUIET_S)
        if last is None or last.bot is None:
            self._problem("no bot was running in the end")
        elif last.exit_code is not ExitCode.STOPPED_BY_RISK:
            differences += self._differing(last.bot, world, books)
        sums = sums_of(self._journal, books, None if last is None else last.bot)
        resting = tuple(line for each in books.values() for line in each.resting())
        exit_code = ExitCode.ERROR if last is None or last.exit_code is None else last.exit_code
        for line in (*differences, *sums, *resting):
            self._problem(line)
        if (exit_code is ExitCode.ORDERS_MAY_REST) is not bool(resting) or exit_code in (1, 2):
            self._problem(f"exit code {exit_code!r} with {len(resting)} orders resting")
        orders = sum(each.orders for each in books.values())
        if self.faults:
            self._check_harness(faults, orders)
        return SimulationResult(
            seed=self.seed,
            seconds=self.seconds,
            exit_code=exit_code,
            problems=tuple(self._problems),
            differences=tuple(differences),
            resting=resting,
            orders=orders,
            fills=sum(each.fills for each in books.values()),
            restarts=sum(not each.is_guardian for each in lives.lives) - 1,
            faults=dict(sorted(faults.counts.items())),
            gone_after_s=tuple(each for book in books.values() for each in book.gone_after_s),
            quirks={},
            timeline=tuple(self._chronicle.lines),
            trace=self._trace(),
        )

    def _differing(self, bot: Bot, world: World, books: Mapping[str, Books]) -> list[str]:
        members = {name: each.member for name, each in books.items()}
        if not self.faults:
            return differing_orders(bot, world.simulators, members)
        others = {name: {*each.planted, *self._unknown(each)} for name, each in books.items()}
        return differing_orders(bot, world.simulators, members, but=others)

    def _unknown(self, books: Books) -> list[int]:
        """Return the orders a bot need not know: of earlier runs, or gone without a trace.

        One whose answer was lost, and that ended before anybody asked, is known as absent.
        """
        begun_ns = self._journal.runs[-1].started_ns
        account = books.simulator.market.exchange.accounts[books.member]
        return [
            each.order_id
            for each in account.history()
            if each.updated_ns < begun_ns or not each.cum_qty
        ]

    def _check_harness(self, faults: Faults, orders: int) -> None:
        share = min(1.0, self.seconds / PER_S)
        count = faults.so_many()
        if count < FEWEST_FAULTS * share:
            self._problem(f"harness: only {count} faults")
        if orders < FEWEST_ORDERS * share:
            self._problem(f"harness: only {orders} orders")

    def _trace(self) -> str:
        """Return a hash of everything that was journaled and of what else happened."""
        running = hashlib.blake2b(self._chronicle.hexdigest().encode(), digest_size=12)
        for entry in self._journal.entries:
            running.update(msgspec.json.encode(entry))
        return running.hexdigest()


def _members(config: Config, simulators: Mapping[str, Simulator]) -> dict[str, str]:
    """Return the account each venue of `config` trades on, told by its key."""
    found: dict[str, str] = {}
    for name, simulator in simulators.items():
        words = {str(value) for value in config.venues[name].options.values()}
        owner = next((each for each in simulator.members if words & {each.key, each.name}), None)
        found[name] = (owner or simulator.members[0]).name
    return found
