"""A whole bot and the exchanges it trades on, in one process, on simulated time, from one seed.

    result = simulate(load("configs/finery.toml"), seed=7)
    assert not result.differences, result.differences

Strategy, engine, gate, adapters, WebSocket framing and REST are the real ones; they reach the
venues' simulators over streams in memory. After the run every book, order, fill and balance of
the bot is held against the exchange's own.
"""

import gc
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import attrs
import msgspec
import numpy as np
import trio
import trio._core._run as trio_run
import trio.testing

from botkit.adapter import Network, Simulator, SimulatorSetup
from botkit.assembly import Plan, assemble, check
from botkit.clock import LiveClock
from botkit.config import Config, load_plugin
from botkit.live import serve_links
from botkit.matching.exchange import OrderState
from botkit.model import Side, VenueOrderId
from botkit.shell import Bot, ExitCode, run_bot
from botkit.testing.memory_journal import MemoryJournal
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.simulated import START_NS

__all__ = ["SimulationResult", "World", "open_world", "run_seeded", "simulate"]

T = TypeVar("T")
HOST: Final = "exchange.test"
PORT: Final = 80
ORDERED: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
YOUNG_MOST: Final = 50_000  # objects between two looks for garbage, which cost a tenth otherwise
QUIET_S: Final = 5.0  # for what is under way to arrive


@attrs.frozen(kw_only=True)
class SimulationResult:
    """How one seed went.

    Parameters
    ----------
    exit_code
        What the bot's run ended with.
    differences
        What the bot thinks and the exchange knows otherwise; a line each.
    resting
        Orders of the bot's account still in an exchange's book.
    orders, fills
        As the exchanges counted them.
    trace
        A hash of everything the journal holds: the same for the same seed.
    """

    seed: int
    exit_code: ExitCode
    differences: tuple[str, ...]
    resting: tuple[str, ...]
    orders: int
    fills: int
    trace: str


@attrs.define(kw_only=True, eq=False)
class World:
    """Exchanges by venue name, the networks to them, and the clock all go by."""

    clock: LiveClock
    simulators: Mapping[str, Simulator]
    networks: Mapping[str, SimulatedNetwork]

    def plan(self, config: Config) -> Plan:
        """Build a live bot of `config` whose venues reach the simulated exchanges."""
        plan = check(config, live=True, now_ns=self.clock.now_ns)
        for name, venue in plan.venues.items():
            assert hasattr(venue, "network"), f"venue {name} has no network to be simulated"
            venue.network = Network(dial=self._dial_to(name))
        return plan

    def _dial_to(self, name: str) -> Callable[[str, int], Any]:
        network = self.networks[name]

        async def dial(_: str, __: int) -> trio.abc.Stream:
            return await network.dial(HOST, PORT)

        return dial

    async def build(
        self, config: Config, *, run_id: str, seed: int
    ) -> tuple[Bot, MemoryJournal, Callable[[], Any]]:
        """Return a bot, its journal, and what serves its links."""
        plan = self.plan(config)
        journal = MemoryJournal()
        instruments = await plan.prepare()
        bot = assemble(
            plan,
            instruments,
            journal=journal,
            clock=self.clock,
            run_id=run_id,
            log=_say_nothing,
        )
        rng = np.random.default_rng(seed)
        venues = list(plan.venues.values())
        return bot, journal, lambda: serve_links(bot.engine, venues, self.clock, rng=rng)


@asynccontextmanager
async def open_world(
    config: Config, seed: int, *, quirks: Mapping[str, Mapping[str, Any]] | None = None
) -> AsyncIterator[World]:
    """Run a simulated exchange for each venue of `config`, for the length of the block.

    `quirks` are the simulators', by venue name.
    """
    clock = LiveClock(origin_ns=START_NS)
    simulators: dict[str, Simulator] = {}
    networks: dict[str, SimulatedNetwork] = {}
    async with trio.open_nursery() as nursery:
        async with _networks(list(config.venues)) as opened:
            for number, (name, table) in enumerate(config.venues.items()):
                source = f"{config.source}: venues.{name}.type"
                build: Any = load_plugin("botkit.simulators", table.type, source)
                simulator: Simulator = build(
                    SimulatorSetup(
                        clock=clock,
                        seed=seed + 1_000_003 * number,
                        quirks=(quirks or {}).get(name, {}),
                    )
                )
                networks[name], simulators[name] = opened[name], simulator
                opened[name].listen(HOST, PORT, simulator.server.serve)
                nursery.start_soon(simulator.run)
            yield World(clock=clock, simulators=simulators, networks=networks)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _networks(names: Sequence[str]) -> AsyncIterator[dict[str, SimulatedNetwork]]:
    if not names:
        yield {}
        return
    async with open_network() as network, _networks(names[1:]) as others:
        yield {names[0]: network, **others}


def simulate(
    config: Config,
    seed: int,
    *,
    seconds: float = 120.0,
    quirks: Mapping[str, Mapping[str, Any]] | None = None,
) -> SimulationResult:
    """Run the bot of `config` for `seconds` of simulated time and hold it against its exchanges.

    Raises
    ------
    ConfigError
        The config is wrong, or a venue of it has no simulator.
    """
    return run_seeded(lambda: _simulate(config, seed, seconds, quirks), seed)


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


async def _simulate(
    config: Config,
    seed: int,
    seconds: float,
    quirks: Mapping[str, Mapping[str, Any]] | None,
) -> SimulationResult:
    async with open_world(config, seed, quirks=quirks) as world:
        bot, journal, links = await world.build(config, run_id=f"s{seed}", seed=seed)
        differences: list[str] = []

        async def end() -> None:
            await trio.sleep(seconds)
            for simulator in world.simulators.values():
                simulator.market.pause()
            await trio.sleep(QUIET_S)
            differences.extend(differing_books(bot, world.simulators))
            bot.stop.request("the time to simulate has passed")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end)
            await run_bot(bot, links)
            nursery.cancel_scope.cancel()
        await trio.sleep(QUIET_S)
        member_of = _members(config, world.simulators)
        differences += differing_orders(bot, world.simulators, member_of)
        reports = {
            name: simulator.market.exchange.report()[member_of[name]]
            for name, simulator in world.simulators.items()
        }
        return SimulationResult(
            seed=seed,
            exit_code=bot.exit_code(),
            differences=tuple(differences),
            resting=tuple(
                f"{name} order {row['order_id']}: {row['side']} {row['leaves_qty']} {row['symbol']}"
                for name, report in reports.items()
                for row in report["resting"]
            ),
            orders=sum(report["orders"] for report in reports.values()),
            fills=sum(report["fills"] for report in reports.values()),
            trace=_trace(journal),
        )


def _members(config: Config, simulators: Mapping[str, Simulator]) -> dict[str, str]:
    """Return the account each venue of `config` trades on, told by its key."""
    found: dict[str, str] = {}
    for name, simulator in simulators.items():
        words = {str(value) for value in config.venues[name].options.values()}
        owner = next((each for each in simulator.members if words & {each.key, each.name}), None)
        found[name] = (owner or simulator.members[0]).name
    return found


def _trace(journal: MemoryJournal) -> str:
    """Return a hash of everything that was journaled."""
    running = hashlib.blake2b(digest_size=12)
    for entry in journal.entries:
        running.update(msgspec.json.encode(entry))
    return running.hexdigest()


# --- what the bot thinks, held against what the exchange knows ---------------------------------


def differing_books(bot: Bot, simulators: Mapping[str, Simulator]) -> list[str]:
    """Return a line for each side of a book that is not as the exchange has it.

    Only as deep as the bot's own book is; where the venue shows fewer levels it has fewer.
    """
    told: list[str] = []
    for symbol, channel in bot.engine.channels.items():
        venue, _, name = symbol.partition(":")
        market = simulators[venue].market.exchange.markets[name]
        for side in Side:
            ours = channel.market.book.levels(side)
            theirs = [(float(px), float(qty)) for px, qty, _ in market.levels(side, len(ours))]
            if ours != theirs or not ours:
                told.append(f"{symbol} {side} book: the bot has {ours[:3]}, it is {theirs[:3]}")
    return told


def differing_orders(
    bot: Bot, simulators: Mapping[str, Simulator], member_of: Mapping[str, str]
) -> list[str]:
    """Return a line for each order, fill or balance that the two sides do not agree on."""
    told: list[str] = []
    for name, simulator in simulators.items():
        account = simulator.market.exchange.accounts[member_of[name]]
        known = [*account.history(), *account.open_orders()]
        for order in known:
            told += _differing(bot, name, simulator.venue_order_id(order), order)
        for balance in account.balances():
            ours = bot.engine.lifecycle.balances.get((name, balance.currency))
            if ours is not None and ours.total != balance.total:
                told.append(
                    f"{name} {balance.currency}: the bot was told {ours.total}, "
                    f"the exchange has {balance.total}"
                )
    return told


def _differing(bot: Bot, venue: str, venue_id: str, order: OrderState) -> list[str]:
    ours = bot.engine.orders.by_venue_id(f"{venue}:{order.symbol}", VenueOrderId(venue_id))
    if ours is None:
        return [f"{venue} order {venue_id} ({order.side} {order.symbol}): the bot knows none"]
    if ours.cum_qty != order.cum_qty:
        return [f"{venue} order {venue_id}: {ours.cum_qty} filled for the bot, {order.cum_qty} so"]
    if ours.is_open is (order.cancel_reason is not None or not order.leaves_qty):
        return [f"{venue} order {venue_id}: {ours.ord_status} for the bot, {order.ord_status} so"]
    return []


def _say_nothing(_: str, __: str, ___: Mapping[str, object]) -> None:
    """Log nothing: what went wrong is in the result."""
