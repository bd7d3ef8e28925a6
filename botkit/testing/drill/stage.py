"""Where one case of a drill plays: a bot, its exchanges, and what a case does with them."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import attrs
import trio

from botkit.config import Config
from botkit.testing.drill.books import Desk, disagreements, journal_at, kept_ids, open_runs
from botkit.testing.drill.bounds import Bounds
from botkit.testing.loopback import SeenOrder
from botkit.testing.processes import BotProcess, start_bot
from botkit.testing.proxy import Proxy

__all__ = ["Setting", "Stage"]

NS_PER_S: Final = 1e9
STARTS_WITHIN_S: Final = 40.0
WORKS_WITHIN_S: Final = 15.0
ENDS_WITHIN_S: Final = 20.0  # beyond the deadline for clean-up
GUARDIAN_ENDS_WITHIN_S: Final = 60.0
MOMENT_S: Final = 0.02
UP: Final = '"venue up"'
UP_AGAIN_S: Final = 40.0


@attrs.frozen(kw_only=True)
class Setting:
    """What all cases of a drill have in common.

    Parameters
    ----------
    files, sets
        Of the bot's config: what a command line gives, and `--set` takes.
    config
        As they read together.
    bounds
        By venue.
    quotes
        The bot's strategies are replaced by the drill's own.
    tells_apart
        The venues that know client order ids: others trade on the bot's account there.
    """

    files: tuple[str, ...]
    sets: tuple[str, ...]
    config: Config
    bounds: Mapping[str, Bounds]
    quotes: bool = False
    tells_apart: frozenset[str] = frozenset()

    @property
    def hung_s(self) -> float:
        """From which silence on the bot counts as hung."""
        return self.config.bot.guardian.hung_after / NS_PER_S

    @property
    def clean_up_s(self) -> float:
        """How long a bot that stops waits for its venues at most."""
        return self.config.bot.clean_up / NS_PER_S


class Stage:
    """One case's; `close` kills what is left of it.

    Attributes
    ----------
    bot
        The one that runs, or ran last.
    desk, proxy
        The venue that is broken, and what stands before it.
    bounds
        Of that venue.
    orders
        How many orders worked when the bot was broken.
    struck
        When that was, by the time of each exchange; empty until then.
    comes_back
        Whether the bot is to go on trading afterwards: then only what rested when it was broken
        must be gone, not what it has placed since.
    problems
        What should not be, a sentence each.
    """

    bot: BotProcess

    def __init__(
        self, setting: Setting, desks: Mapping[str, Desk], target: str, folder: Path
    ) -> None:
        self.setting = setting
        self.desks = dict(desks)
        self.desk = desks[target]
        self.bounds = setting.bounds[target]
        self.folder = folder
        self.orders = 0
        self.struck: dict[str, int] = {}
        self.comes_back = False
        self.problems: list[str] = []
        self._watched: list[tuple[Desk, SeenOrder]] = []
        self._stack = AsyncExitStack()
        self._bots: list[BotProcess] = []
        self._ups = 0

    @property
    def proxy(self) -> Proxy:
        """What stands before the venue that is broken."""
        return proxy_of(self.desk)

    @property
    def proxies(self) -> list[Proxy]:
        """What stands before every venue."""
        return [proxy_of(each) for each in self.desks.values()]

    # --- what cases do ----------------------------------------------------------------------

    async def start(self) -> None:
        """Start the bot, again in the same folder if it ran before, and wait for its venues."""
        exchanges = {name: desk.exchange for name, desk in self.desks.items()}
        sets = list(self.setting.sets)
        if self.setting.quotes:
            sets += quoting(self.setting.config, self.folder)
        self.bot = await self._stack.enter_async_context(
            start_bot(self.setting.files, exchanges, self.folder, sets=sets)
        )
        self._bots.append(self.bot)
        self._ups = 0
        with trio.fail_after(STARTS_WITHIN_S):
            while self.ups() < len(self.desks):
                await self._moment()

    async def working(self) -> None:
        """Wait until orders work at the venue that is broken; a bot may have none for long."""
        desk = self.desk
        await desk.exchange.until(lambda: len(desk.resting()) > 1, WORKS_WITHIN_S)

    def strike(self) -> None:
        """Note that this is the moment: from here on orders are unattended."""
        for name, desk in self.desks.items():
            self.struck[name] = desk.exchange.now_ns()
            self._watched += [(desk, each) for each in desk.resting()]
        self.orders = len(self._watched)
        self._ups = self.ups()

    async def at_next_order(self, act: Callable[[], None]) -> None:
        """Strike and `act` when the exchange has taken in an order and not yet said so."""
        done = trio.Event()

        def look(order: SeenOrder) -> None:
            if order.state.account == self.desk.account and order.rests and not done.is_set():
                self.strike()
                done.set()
                act()

        self.desk.exchange.on_order.append(look)
        with trio.move_on_after(WORKS_WITHIN_S):
            await done.wait()
        if not done.is_set():
            self.strike()
            done.set()
            act()

    async def comes_back_within(self, within_s: float) -> None:
        """Wait until what rested when its link was lost is gone, and the venue is up again."""
        self.comes_back = True
        if self.setting.config.venues[self.desk.name].on_disconnect != "keep":
            self._watched = [each for each in self._watched if each[0] is self.desk]
        else:
            self._watched = []  # they are the bot's again, and rest
        with trio.move_on_after(within_s + UP_AGAIN_S):
            while not self._all_gone() or self.ups() <= self._ups:
                if self.bot.process.returncode is not None:
                    self.problems.append(f"the bot ended: {tail(self.bot)}")
                    return
                await self._moment()
            return
        if self.ups() <= self._ups:
            self.problems.append(f"{self.desk.name} was not up again")

    async def ends(self, within_s: float | None = None) -> int | None:
        """Wait for the bot's end; hold its exit code against the book at that very moment."""
        limit_s = self.setting.clean_up_s + ENDS_WITHIN_S if within_s is None else within_s
        code = await self.bot.ended(limit_s)
        if code is None:
            self.problems.append(f"the bot had not ended after {limit_s:g} s")
        if code == 0:
            self.problems += [
                f"exit code 0, and {each.line()} rested" for each in self._resting_unkept()
            ]
        return code

    async def guardian_pid(self, within_s: float = WORKS_WITHIN_S) -> int:
        """Return the process id of the bot's guardian; raise `LookupError` if it has none."""
        with trio.move_on_after(within_s):
            while (guardian := self.bot.guardian()) is None:
                await self._moment()
            return guardian.pid
        raise LookupError("the bot has no guardian")

    async def another_guardian(self, than: int) -> None:
        """Wait until the bot has another guardian than the process `than`."""
        with trio.fail_after(WORKS_WITHIN_S):
            while await self.guardian_pid() == than:
                await self._moment()

    async def without_strays(self, guardian: int) -> None:
        """Wait for the guardian's end, then kill what else comes from the bot: it was asked to."""
        with trio.move_on_after(GUARDIAN_ENDS_WITHIN_S):
            for each in self.bot.relatives():
                if each.pid == guardian:
                    await each.gone()
            for each in self.bot.relatives():
                os.kill(each.pid, signal.SIGKILL)

    async def until_exists(self, name: str) -> None:
        """Wait until the bot has answered by a file in the case's folder."""
        with trio.fail_after(WORKS_WITHIN_S):
            while not (self.folder / name).exists():
                await self._moment()

    def ups(self) -> int:
        """Return how often a venue of this bot has come up."""
        return sum(UP in line for line in self.bot.lines)

    # --- and what is looked at afterwards ---------------------------------------------------

    async def finish(self, codes: Sequence[int], within_s: float) -> int | None:
        """End what runs, wait for the guardian, and compare; return the bot's exit code."""
        code = self.bot.process.returncode
        if code is None:
            self.bot.send(signal.SIGTERM)
            code = await self.ends()
        left = await self._relatives_gone()
        if code not in codes:
            wanted = " or ".join(map(str, codes))
            self.problems.append(f"the exit code is {code}, not {wanted}")
        self.problems += [f"process {each} is left over" for each in left]
        self.problems += [f"rests still: {each.line()}" for each in self._resting_unkept()]
        unattended_s = self.unattended_s()
        if unattended_s is not None and unattended_s > within_s:
            self.problems.append(f"unattended for {unattended_s:.1f} s, not {within_s:.1f} s")
        for desk in self.desks.values():
            self.problems += [f"touched, and not ours: {e.line()}" for e in desk.touched()]
        journal = self._journal()
        if journal.exists():
            self.problems += [*disagreements(journal, self.desks), *open_runs(journal)]
        return code

    def unattended_s(self) -> float | None:
        """Return how long at most an order was unattended; None if none was."""
        waits = []
        for desk, order in self._unattended():
            now_ns, struck_ns = desk.exchange.now_ns(), self.struck[desk.name]
            since_ns = max(struck_ns, order.reached_ns)
            waits.append(((order.left_ns or now_ns) - since_ns) / NS_PER_S)
        return max(waits, default=None)

    def keep_logs(self) -> None:
        """Write what the bots have said into the folder."""
        for number, bot in enumerate(self._bots, 1):
            (self.folder / f"bot-{number}.log").write_text(f"{bot.said()}\n")

    async def close(self) -> None:
        """Kill what is left; within the cancel scope that the bot was started in."""
        await self._stack.aclose()

    # --- inside -----------------------------------------------------------------------------

    def _unattended(self) -> list[tuple[Desk, SeenOrder]]:
        if self.comes_back or not self.struck:
            return self._watched
        late = [
            (desk, order)
            for desk in self.desks.values()
            for order in desk.exchange.orders(desk.account)
            if order.reached_ns > self.struck[desk.name]
        ]
        return self._watched + late

    def _all_gone(self) -> bool:
        return not any(order.rests for _, order in self._watched)

    def _resting_unkept(self) -> list[SeenOrder]:
        found = [(desk, each) for desk in self.desks.values() for each in desk.resting()]
        if not found or not self._journal().exists():
            return [each for _, each in found]
        kept = kept_ids(self._journal())
        return [each for desk, each in found if not kept & desk.names_of(each)]

    def _journal(self) -> Path:
        return journal_at(self.bot.state_dir, self.bot.name)

    async def _relatives_gone(self) -> list[str]:
        """Return the command of each process that does not end by itself."""
        with trio.move_on_after(GUARDIAN_ENDS_WITHIN_S):
            while found := [each for bot in self._bots for each in bot.relatives()]:
                await found[0].gone()
        return [
            f"{each.pid} ({each.command[:60]!r})" for bot in self._bots for each in bot.relatives()
        ]

    async def _moment(self) -> None:
        if self.bot.process.returncode is not None and not self.struck:
            raise RuntimeError(f"the bot ended by itself: {tail(self.bot)}")
        await trio.sleep(MOMENT_S)


def proxy_of(desk: Desk) -> Proxy:
    """Return what stands before a venue."""
    proxy = desk.exchange.proxy
    assert proxy is not None
    return proxy


def quoting(config: Config, folder: Path) -> list[str]:
    """Return what `--set` takes to have the drill's quoter in place of every strategy."""
    return [
        word
        for number, each in enumerate(config.strategies)
        for word in (
            f'strategies.{number}.name="{each.name}"',
            f'strategies.{number}.type="botkit.testing.drill.quoting:Quoter"',
            f'strategies.{number}.params={{ folder = "{folder}" }}',
        )
    ]


def tail(bot: BotProcess, lines: int = 3) -> str:
    """Return the last that a bot has said."""
    return " / ".join([*bot.lines, *bot.errors][-lines:])
