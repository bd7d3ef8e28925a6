"""Kill a bot with SIGKILL at a chosen moment, and see what is left of it at the exchange.

    with adopted_orphans():
        scene = Scene(venue="finery", config="configs/finery.toml")
        outcome = await kill_once(scene, Kill.of(7), folder)
    assert not outcome.problems, outcome.problems

A fresh simulated exchange, a fresh bot process and the guardian that it starts, all for one kill.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import attrs
import numpy as np
import trio

from botkit.journal import JournalReader
from botkit.model import OrdStatus, Side
from botkit.testing.loopback import SeenOrder, SimulatedExchange, has_quirk, open_exchange
from botkit.testing.processes import BotProcess, start_bot
from botkit.testing.proxy import Proxy

__all__ = ["GONE_WITHIN_S", "MOMENTS", "Kill", "KillOutcome", "Moment", "Scene", "kill_once"]

GONE_WITHIN_S: Final = 2.0
"""How long an order may rest after the bot's death, or after it reached the book if later."""
STARTS_WITHIN_S: Final = 60.0
GUARDED_WITHIN_S: Final = 60.0
LATEST_ARRIVAL_S: Final = 1.0
NS_PER_S: Final = 1e9


class Moment(StrEnum):
    """At which moment the bot dies."""

    ANY = "any"  # so long after its process was started
    SENT = "sent"  # the network has a request of it that the exchange has not
    RENEWED = "renewed"  # the same, of the first after one of its orders ended: a new one, mostly
    TAKEN = "taken"  # the exchange has taken an order in and not said so yet
    LATER = "later"  # so long after the exchange took its first order in


MOMENTS: Final = (*[Moment.ANY] * 4, Moment.SENT, *[Moment.RENEWED] * 2, Moment.TAKEN)
"""What `Kill.of` draws from."""


@attrs.frozen(kw_only=True)
class Kill:
    """One kill.

    Parameters
    ----------
    seed
        Of the exchange's traders.
    after_s
        Seconds from the start of its process (`ANY`), its first order (`LATER`), else from when its
        venue is up, before which it is not killed.
    held_s
        What is under way at the death reaches the exchange so many seconds later.
    is_alone
        The venue's own cancel-on-disconnect does not work, where it has one.
    """

    seed: int
    moment: Moment
    after_s: float
    held_s: float = 0.0
    is_alone: bool = False

    @classmethod
    def of(cls, seed: int) -> "Kill":
        """Draw a kill: half at any moment, half at the instant of a request."""
        rng = np.random.default_rng(seed)
        moment = MOMENTS[int(rng.integers(len(MOMENTS)))]
        after_s = float(rng.uniform(0.0, 6.0 if moment is Moment.ANY else 2.5))
        held_s = float(rng.uniform(0.0, LATEST_ARRIVAL_S)) if rng.integers(2) else 0.0
        return cls(
            seed=seed,
            moment=moment,
            after_s=after_s,
            held_s=held_s,
            is_alone=bool(rng.integers(2)),
        )


@attrs.frozen(kw_only=True)
class Scene:
    """Who is killed where.

    Parameters
    ----------
    venue
        Of the config, and its plug-in's name.
    config
        A config file.
    sets
        What `--set` takes.
    pace
        Of the exchange's traders; see `SimulatorSetup`.
    other_ids
        Client order ids of another bot, for an order each; a person trades on the account as well.
        Without any nobody else does: the venue takes no such ids.
    """

    venue: str
    config: str | Path
    sets: tuple[str, ...] = ()
    pace: float = 1.0
    other_ids: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class KillOutcome:
    """What became of one kill's orders.

    Parameters
    ----------
    orders
        How many the bot had placed.
    rested, late
        How many of them rested when it died, and how many reached the book after that.
    waits_s
        Of each order that rested or was late, less the filled ones: seconds from the death, or
        from reaching the book if that was later, to its end.
    guardian_s
        From the death to the guardian's end; None if the bot died before it had one.
    problems
        What should not be, a sentence each.
    """

    kill: Kill
    orders: int
    rested: int
    late: int
    waits_s: tuple[float, ...]
    guardian_s: float | None
    problems: tuple[str, ...]


@attrs.define(kw_only=True, eq=False)
class _Killer:
    """Waits for the moment and kills; `died_ns` is just before the signal, 0 until then."""

    bot: BotProcess
    exchange: SimulatedExchange
    proxy: Proxy
    account: str
    kill: Kill
    died_ns: int = 0
    _struck: trio.Event = attrs.field(factory=trio.Event)

    async def run(self) -> None:
        """Return once the bot is dead."""
        moment, after_s = self.kill.moment, self.kill.after_s
        if moment in (Moment.ANY, Moment.LATER):
            if moment is Moment.LATER:
                await self.exchange.until(self.has_traded, math.inf)
            await trio.sleep(after_s)
            self.strike()
        else:
            await self.bot.until_said('"venue up"', math.inf)
            await trio.sleep(after_s)
            self.exchange.on_order.append(self.on_order)
            is_first = moment is Moment.RENEWED and not self.has_traded()
            if moment is Moment.SENT or is_first:
                self.proxy.on_upward = self.on_upward
        await self._struck.wait()
        await self.bot.process.wait()

    def has_traded(self) -> bool:
        """Return whether the exchange has had an order of the bot."""
        return bool(self.exchange.orders(self.account))

    def strike(self) -> None:
        """Kill, and hold up what is under way."""
        if not self.died_ns:
            self.died_ns = self.exchange.now_ns()
            self.bot.process.kill()
            self.proxy.stall(self.kill.held_s, new=False)
            self._struck.set()

    def on_upward(self, chunk: bytes) -> None:
        """Strike while a request is under way that may change something."""
        if not chunk.startswith(b"GET "):
            self.strike()

    def on_order(self, order: SeenOrder) -> None:
        """Strike when an order was taken in, or at the first request after one has ended."""
        if order.state.account != self.account or order.planted:
            return
        if self.kill.moment is Moment.TAKEN and order.rests:
            self.strike()
        elif self.kill.moment is Moment.RENEWED and not order.rests:
            self.proxy.on_upward = self.on_upward


async def kill_once(scene: Scene, kill: Kill, folder: Path) -> KillOutcome:
    """Start the bot of `scene`, kill it as `kill` says, and wait until its guardian has ended.

    `adopted_orphans` must hold. Raises `trio.TooSlowError`, with what the bot said, if it never
    came to the moment.
    """
    quirks = (
        {"ignores_cod": True} if kill.is_alone and has_quirk(scene.venue, "ignores_cod") else {}
    )
    async with open_exchange(
        scene.venue, seed=kill.seed, quirks=quirks, pace=scene.pace, proxied=True
    ) as exchange:
        exchanges = {scene.venue: exchange}
        async with start_bot(scene.config, exchanges, folder, sets=scene.sets) as bot:
            account = exchange.account_of(bot.config.venues[scene.venue].options)
            others = _plant_others(exchange, account, scene)
            assert exchange.proxy is not None
            killer = _Killer(
                bot=bot, exchange=exchange, proxy=exchange.proxy, account=account, kill=kill
            )
            with trio.move_on_after(STARTS_WITHIN_S):
                await killer.run()
            if not killer.died_ns:
                raise trio.TooSlowError(f"it never came to be killed:\n{bot.said()}")
            guardian = bot.guardian()
            exit_code = await guardian.ended(GUARDED_WITHIN_S) if guardian else 0
            guardian_s = (exchange.now_ns() - killer.died_ns) / NS_PER_S
            # What is held up in the network may still arrive.
            await trio.sleep(max(0.0, kill.held_s + 0.2 - guardian_s))
            problems = [
                f"touched, and not ours: {o.line()}" for o in others if not exchange.untouched(o)
            ]
            if guardian is None and exchange.orders(account):
                problems.append("orders were placed without a guardian")
            if guardian is not None:
                problems += _guardian_problems(bot, exit_code, traded=killer.has_traded())
            return judged(
                exchange,
                account,
                kill,
                killer.died_ns,
                guardian_s=guardian_s if guardian else None,
                problems=problems,
            )


def _plant_others(exchange: SimulatedExchange, account: str, scene: Scene) -> list[SeenOrder]:
    """Have others trade there: another account, and on ours a person and another bot."""
    stranger = next(each.name for each in exchange.simulator.members if each.name != account)
    planted = [exchange.plant(stranger, side) for side in Side]
    if scene.other_ids:
        planted += [exchange.plant(account, side) for side in Side]
    for number, name in enumerate(scene.other_ids):
        side = (Side.BUY, Side.SELL)[number % 2]
        planted.append(exchange.plant(account, side, client_order_id=name))
    return planted


def judged(
    exchange: SimulatedExchange,
    account: str,
    kill: Kill,
    died_ns: int,
    *,
    guardian_s: float | None,
    problems: Sequence[str],
) -> KillOutcome:
    """Look at every order of the bot's, and add what is wrong with them to `problems`."""
    orders = exchange.orders(account)
    rested = [each for each in orders if each.rested_at(died_ns)]
    late = [each for each in orders if each.reached_ns > died_ns]
    waits: list[float] = []
    wrong: list[str] = []
    for each in (*rested, *late):
        since_ns = max(died_ns, each.reached_ns)
        wait_s = ((each.left_ns or exchange.now_ns()) - since_ns) / NS_PER_S
        if each.rests:
            wrong.append(f"{each.line()} rests still, {wait_s:.3f} s later")
        elif wait_s > GONE_WITHIN_S:
            wrong.append(f"{each.line()} was gone after {wait_s:.3f} s, not {GONE_WITHIN_S:g} s")
        if each.ended_as is not OrdStatus.FILLED:
            waits.append(wait_s)
    return KillOutcome(
        kill=kill,
        orders=len(orders),
        rested=len(rested),
        late=len(late),
        waits_s=tuple(waits),
        guardian_s=guardian_s,
        problems=(*wrong, *problems),
    )


def _guardian_problems(bot: BotProcess, exit_code: int | None, *, traded: bool) -> list[str]:
    """Return what the guardian and its journal should have said and have not."""
    if exit_code != 0:
        told = "did not end" if exit_code is None else f"ended with {exit_code}"
        return [f"the guardian {told}; it wrote:\n{bot.guardian_log}"]
    # Without an order it may have died while it made its journal.
    return journal_problems(bot.state_dir / f"{bot.name}.sqlite") if traded else []


def journal_problems(path: Path) -> list[str]:
    """Return a line for each run that the journal has open, and for each order that may rest."""
    problems: list[str] = []
    with JournalReader(path) as reader:
        runs = reader.runs()
        swept = {"nothing of it rested"}
        swept |= {f"taken over by run {each.run_id}" for each in runs if each.exit_code == 0}
        for run in runs:
            if run.exit_code == 0:
                resting = [each for each in reader.orders(run.run_id) if each.may_rest]
                problems += [f"for the journal may rest: {each.request}" for each in resting]
            elif run.swept not in swept:
                problems.append(f"run {run.run_id} was left open, and then: {run.swept}")
    return problems
