"""A run may be stopped at any moment: it ends clean, with nothing resting at the venue."""

from decimal import Decimal
from typing import Any

import attrs
import numpy as np
import pytest
import trio
from trio.testing import MockClock

from botkit import OrdStatus, Quote, Strategy
from botkit.assembly import Plan, PlannedStrategy, assemble
from botkit.backtest import drive
from botkit.clock import BacktestClock, Clock, LiveClock
from botkit.config import BotConfig, Config, StrategyConfig, VenueConfig
from botkit.journal import RunHash
from botkit.live import serve_links
from botkit.model import Fill
from botkit.ports import VenueSetup
from botkit.shell import Bot, ExitCode, run_bot
from botkit.testing.memory_journal import MemoryJournal
from venues.paper import PaperVenue

ORIGIN_NS = 1_704_067_200_000_000_000
SYMBOL = "paper:BTC-EUR"
STOP_MOMENTS = [float(at) for at in np.random.default_rng(20240101).uniform(0.0, 12.0, size=50)]
LATENCIES = ("0s", "5ms", "20ms", "300ms")


class Quoter(Strategy):
    """Keeps two bids working by its hooks, and moves them all the time."""

    def on_start(self) -> None:
        self.set_timer("clear", 1.0, every_s=1.7)

    def on_timer(self, name: str) -> None:
        self.cancel_all()

    def on_quote(self, quote: Quote) -> None:
        instrument = self.instrument
        mine = [order for order in self.orders() if order.order_qty == Decimal("0.01")]
        if len(mine) < 2:
            self.buy(instrument, "0.01", price=instrument.price(quote.bid_px), post_only=True)
        elif mine[0].price != instrument.price(quote.bid_px):
            mine[0].cancel()


class Busy(Quoter):
    """Works a third order by a coroutine as well."""

    async def run(self) -> None:
        while True:
            quote = await self.next_quote()
            async with self.order_scope() as scope:
                scope.sell(self.instrument, "0.02", price=self.instrument.price(quote.ask_px))
                await self.sleep(0.4)


def build_plan(latency: str, strategy_class: type[Strategy] = Busy) -> Plan:
    table = {
        "feed": {"type": "synthetic", "seed": 3},
        "balances": {"BTC": "10", "EUR": "1000000"},
        "latency": latency,
    }
    venue = PaperVenue.from_setup(
        VenueSetup(name="paper", options=table, symbols=(SYMBOL,), source="test")
    )
    strategy = StrategyConfig(type="busy", name="busy", instrument=SYMBOL, clean_up=10_000_000_000)
    config = Config(
        bot=BotConfig(name="stopped"),
        venues={"paper": VenueConfig(name="paper", type="paper", options=table)},
        strategies=(strategy,),
        source="test",
        base_dir=".",
    )
    planned = PlannedStrategy(
        config=strategy, strategy_class=strategy_class, params=Strategy.Params()
    )
    return Plan(config=config, venues={"paper": venue}, strategies=(planned,), rules=())


@attrs.frozen
class Ended:
    """What was found after a run."""

    bot: Bot
    venue: PaperVenue
    journal: MemoryJournal
    log: list[tuple[str, str]]
    met: set[OrdStatus] = attrs.field(factory=set)  # where orders stood when the stop came

    @property
    def hash(self) -> str:
        digest = RunHash()
        digest.update(self.journal.entries)
        return digest.hexdigest()


def put_together(plan: Plan, clock: Clock) -> Ended:
    journal = MemoryJournal()
    log: list[tuple[str, str]] = []
    venue: Any = plan.venues["paper"]
    bot = assemble(
        plan,
        venue.instruments,
        journal=journal,
        clock=clock,
        run_id="run",
        log=lambda level, message, _: log.append((level, message)),
    )
    return Ended(bot, venue, journal, log)


async def run_live(plan: Plan, stop_after_s: float) -> Ended:
    """Run the live shell and ask for a stop at one moment of its time."""
    ended = put_together(plan, LiveClock(origin_ns=ORIGIN_NS))
    bot = ended.bot

    async def stop() -> None:
        await bot.clock.sleep_until(ORIGIN_NS + round(stop_after_s * 1e9))
        ended.met.update(order.ord_status for order in bot.engine.orders.working())
        bot.stop.request("asked to")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        await run_bot(bot, lambda: serve_links(bot.engine, [ended.venue], bot.clock))
        nursery.cancel_scope.cancel()
    return ended


@pytest.mark.parametrize("stop_after_s", STOP_MOMENTS)
def test_whenever_it_is_stopped_nothing_rests(stop_after_s: float) -> None:
    """Fifty moments: between events, on them, with requests under way."""
    latency = LATENCIES[STOP_MOMENTS.index(stop_after_s) % len(LATENCIES)]

    ended = trio.run(
        run_live, build_plan(latency), stop_after_s, clock=MockClock(autojump_threshold=0)
    )

    assert ended.bot.exit_code() is ExitCode.CLEAN
    assert ended.venue.resting() == []
    assert ended.bot.engine.orders.working() == []
    assert not [line for line in ended.log if line[0] in {"error", "critical"}]


def test_the_moments_meet_orders_in_every_state_of_work() -> None:
    """The claim above is worth something only if there is something to cancel."""
    met: set[OrdStatus] = set()
    for index, moment in enumerate(STOP_MOMENTS):
        plan = build_plan(LATENCIES[index % len(LATENCIES)])
        ended = trio.run(run_live, plan, moment, clock=MockClock(autojump_threshold=0))
        met |= ended.met

    assert met >= {OrdStatus.PENDING_NEW, OrdStatus.NEW, OrdStatus.PENDING_CANCEL}


async def run_backtest(plan: Plan, clock: BacktestClock, stop_after_s: float) -> Ended:
    clock.begin(ORIGIN_NS)
    ended = put_together(plan, clock)
    bot = ended.bot
    until_ns = ORIGIN_NS + round(stop_after_s * 1e9)
    await run_bot(bot, lambda: drive(bot.engine, [ended.venue], clock, bot.stop, until_ns))
    return ended


def fills_of(ended: Ended) -> list[Fill]:
    return [entry for entry in ended.journal.entries if isinstance(entry, Fill)]


@pytest.mark.parametrize("latency", LATENCIES)
def test_paper_and_backtest_agree_by_construction(latency: str) -> None:
    """The live shell under simulated time and the loop make the same run, hash for hash.

    Hooks only: a coroutine is promised to wake after further events, at a live shell's leisure.
    """
    plan = build_plan(latency, Quoter)
    paper = trio.run(run_live, plan, 60.0, clock=MockClock(autojump_threshold=0))
    clock = BacktestClock()
    backtest = trio.run(run_backtest, build_plan(latency, Quoter), clock, 60.0, clock=clock)

    assert fills_of(paper)
    assert fills_of(paper) == fills_of(backtest)
    assert paper.hash == backtest.hash
