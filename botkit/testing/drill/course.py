"""A drill from its config to its outcomes: each case on a stage of its own, several at once."""

import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from botkit.assembly import check
from botkit.clock import Clock
from botkit.config import Config, load
from botkit.config.emitting import quote
from botkit.errors import ConfigError
from botkit.testing.drill.books import Desk, JumpingClock
from botkit.testing.drill.bounds import bounds_of
from botkit.testing.drill.cases import CASES, Case
from botkit.testing.drill.stage import Setting, Stage
from botkit.testing.loopback import has_quirk, open_exchange
from botkit.testing.sandbox import at_simulators

__all__ = ["Drill", "Outcome", "Planned", "plan", "setting_of"]

HUNG_AFTER_S: Final = 2.0
CASE_WITHIN_S: Final = 150.0
ALONE: Final = "ignores_cod"  # what a venue does by itself would hide what we do


@attrs.frozen(kw_only=True)
class Planned:
    """A case, and the venue it breaks; of a case that breaks none, "" for all of them."""

    case: Case
    venue: str = ""


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of one case.

    Parameters
    ----------
    orders
        How many worked when the bot was broken.
    unattended_s, within_s
        How long at most an order was unattended, and may have been; None if none was.
    exit_code
        The bot's; None if it did not end.
    problems
        What should not be, a sentence each.
    took_s
        From its start to the last look.
    """

    planned: Planned
    orders: int
    unattended_s: float | None
    within_s: float
    exit_code: int | None
    problems: tuple[str, ...]
    took_s: float

    @property
    def held(self) -> bool:
        """Whether all was as it should be."""
        return not self.problems


def setting_of(files: Sequence[str], sets: Sequence[str] = (), *, quotes: bool = False) -> Setting:
    """Return what a drill of a config runs with; nobody outside is told of its bots.

    Raises
    ------
    ConfigError
        The config is wrong, or a venue of it has no simulated exchange.
    """
    config = load(files, sets)
    quiet = [*sets, *_turned(config), *_quiet(config)]
    config = load(files, quiet)
    venues = check(config, live=True).venues
    return Setting(
        files=tuple(files),
        sets=tuple(quiet),
        config=config,
        bounds={name: bounds_of(venue) for name, venue in venues.items()},
        quotes=quotes,
        tells_apart=frozenset(
            name for name, venue in venues.items() if venue.capabilities.client_order_ids
        ),
    )


def _turned(config: Config) -> Iterator[str]:
    """Yield what `--set` takes to have no address or key of a real venue left."""
    for name, table in at_simulators(config).venues.items():
        given = config.venues[name].options
        yield from _changed(f"venues.{name}", given, table.options)


def _changed(key: str, given: Mapping[str, Any], moved: Mapping[str, Any]) -> Iterator[str]:
    for name, value in moved.items():
        if isinstance(value, Mapping):
            yield from _changed(f"{key}.{name}", given.get(name, {}), value)
        elif given.get(name) != value:
            yield f"{key}.{name}={quote(str(value))}"


def _quiet(config: Config) -> Iterator[str]:
    """Yield what `--set` takes so that bots are found soon and tell nobody outside."""
    if config.bot.guardian.hung_after > HUNG_AFTER_S * 1e9:
        yield f'bot.guardian.hung_after="{HUNG_AFTER_S:g}s"'
    if config.alerts is not None:
        yield 'alerts={ urls = ["json://127.0.0.1:9"], on = [] }'
    if config.metrics is not None:
        yield "metrics.port=0"


def plan(setting: Setting, only: Sequence[str] = ()) -> list[Planned]:
    """Return the cases of a drill in order: all, or those named.

    Raises
    ------
    ConfigError
        There is no case of a name.
    """
    if unknown := [name for name in only if name not in CASES]:
        raise ConfigError(
            f"--only: found {', '.join(map(repr, unknown))}, allowed: {', '.join(CASES)}"
        )
    planned = []
    for case in CASES.values():
        if not only or case.name in only:
            venues = list(setting.bounds) if case.is_link else [""]
            planned += [Planned(case=case, venue=venue) for venue in venues]
    return planned


@attrs.frozen(kw_only=True)
class Drill:
    """Carries out cases.

    Parameters
    ----------
    seed
        Of the exchanges' traders.
    jobs
        How many cases at once.
    keep
        A folder that gets state and logs of each case that does not hold; None keeps none.
    """

    setting: Setting
    seed: int = 1
    jobs: int = 3
    keep: Path | None = None

    async def run(
        self, planned: Sequence[Planned], on_outcome: Callable[[Outcome], None]
    ) -> list[Outcome]:
        """Return an outcome for each case, in their order; `adopted_orphans` must hold."""
        outcomes: dict[int, Outcome] = {}
        limiter = trio.CapacityLimiter(self.jobs)

        async def one(number: int) -> None:
            async with limiter:
                outcomes[number] = await self.carry_out(planned[number], self.seed + number)
            on_outcome(outcomes[number])

        async with trio.open_nursery() as nursery:
            for number in sorted(range(len(planned)), key=lambda at: -planned[at].case.weight):
                nursery.start_soon(one, number)
                await trio.lowlevel.checkpoint()  # they get their turns in this order
        return [outcomes[number] for number in range(len(planned))]

    async def carry_out(self, planned: Planned, seed: int) -> Outcome:
        """Set a stage, play one case on it, and look at what is left."""
        began_s = trio.current_time()
        folder = Path(tempfile.mkdtemp(prefix="drill-"))
        try:
            async with AsyncExitStack() as stack:
                desks = await self._open(stack, seed)
                stage = Stage(
                    self._setting_for(planned.case),
                    desks,
                    planned.venue or next(iter(self.setting.bounds)),
                    folder,
                )
                code = await _play(stage, planned.case)
                if stage.problems and self.keep is not None:
                    self._keep(stage, planned)
                return Outcome(
                    planned=planned,
                    orders=stage.orders,
                    unattended_s=stage.unattended_s(),
                    within_s=planned.case.within_s(stage),
                    exit_code=code,
                    problems=tuple(stage.problems),
                    took_s=trio.current_time() - began_s,
                )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _setting_for(self, case: Case) -> Setting:
        return attrs.evolve(self.setting, quotes=self.setting.quotes or case.own)

    async def _open(self, stack: AsyncExitStack, seed: int) -> Mapping[str, Desk]:
        """Open an exchange for each venue, with the orders of others in its book."""
        config = self.setting.config
        desks = {}
        for name in self.setting.bounds:
            table = config.venues[name]
            clocks: list[JumpingClock] = []

            def make_clock(clock: Clock, clocks: list[JumpingClock] = clocks) -> JumpingClock:
                clocks.append(JumpingClock(clock))
                return clocks[-1]

            quirks = {ALONE: True} if has_quirk(table.type, ALONE) else {}
            exchange = await stack.enter_async_context(
                open_exchange(
                    table.type, seed=seed, quirks=quirks, proxied=True, make_clock=make_clock
                )
            )
            traded = [symbol for each in config.strategies for symbol in each.symbols]
            desk = Desk(
                name,
                exchange,
                clocks[0],
                exchange.account_of(table.options),
                [each.partition(":")[2] for each in traded if each.startswith(f"{name}:")],
            )
            desk.plant_others(on_same_account=name in self.setting.tells_apart)
            desks[name] = desk
        return desks

    def _keep(self, stage: Stage, planned: Planned) -> None:
        assert self.keep is not None
        name = "-".join(filter(None, (planned.case.name, planned.venue))).replace(" ", "_")
        with suppress(FileNotFoundError):
            shutil.rmtree(self.keep / name)
        shutil.copytree(stage.folder, self.keep / name, ignore=shutil.ignore_patterns("*.sock"))


async def _play(stage: Stage, case: Case) -> int | None:
    """Carry out a case; what goes wrong becomes a problem. Return the bot's exit code."""
    try:
        with trio.fail_after(CASE_WITHIN_S):
            try:
                await stage.start()
                await case.carry_out(stage)
                return await stage.finish(case.codes, case.within_s(stage))
            finally:
                stage.keep_logs()
                await stage.close()
    except Exception as exc:  # noqa: BLE001  whatever it was, the other cases go on
        told = "".join(traceback.format_exception_only(exc)).strip().partition("\n")[0]
        stage.problems.append(f"the case could not be carried out: {told}")
        return None
