"""What the engine costs: events per second of CPU, and the price of one order's whole life.

    python benchmarks/engine.py [--json] [--events 300000]
    python benchmarks/engine.py --where      # which part of one order's life costs what

All in one run, so that only ratios need comparing between machines:

(a) a bare Python loop that builds quotes and calls a method;
(b) the engine with a strategy whose `on_quote` is empty, built and fed the same way;
(c) the engine with `market_maker` on the paper venue, four risk rules and a buffered journal.

One order's life is what (c) costs beyond the same run with the empty strategy, divided by the
number of orders: submit, gate, journal, ack, cancel or fill, reports, portfolio, the strategy.
"""

import json
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import FrameType

import click
import numpy as np
import trio
from paths import BENCHMARKS

from botkit import Quote, Strategy
from botkit.assembly import Plan, assemble, check
from botkit.backtest import drive
from botkit.clock import BacktestClock
from botkit.config import load
from botkit.engine import Engine, EngineSettings
from botkit.journal import SqliteJournal
from botkit.model import FeedEnded, FillSource, Instrument, MarketEvent, RunStarted
from botkit.ports import Capabilities
from botkit.scope import CleanUpBudget
from botkit.shell import Bot, run_bot
from venues.paper import PaperVenue

SYMBOL = "paper:BTC-EUR"
START_NS = 1_700_000_000_000_000_000
STEP_NS = 10_000_000
SAMPLE_S = 0.0005
IDLE = f"{BENCHMARKS / 'engine.py'}:Empty"
COMPONENTS = (
    "botkit/orders", "botkit/engine", "botkit/matching", "botkit/journal", "botkit/backtest",
    "botkit/model", "botkit/gate.py", "botkit/strategy.py", "botkit/portfolio.py",
    "venues/paper", "risk", "strategies",
)  # fmt: skip
JUMP_TICKS = 500  # market_maker quotes about 300 from the fair price
CONFIG = """
[bot]
name = "bench"
[venues.paper]
type = "paper"
feed = {{ type = "synthetic", speed = "max" }}
balances = {{ BTC = "1000", EUR = "100000000" }}
fees = {{ maker_bps = "10", taker_bps = "20" }}
latency = "1ms"
[[strategies]]
type = "{strategy}"
instrument = "paper:BTC-EUR"
params = {{ {params} }}
[risk]
max_order_qty = "10"
max_order_notional = "1000000"
price_collar_bps = "500"
max_open_orders = 50
"""
MAKING = 'qty = "0.01", half_spread_bps = "0.5", requote_bps = "0.05", max_position = "100"'


class Bare:
    """What (a) calls."""

    def on_quote(self, quote: Quote) -> None:
        """Do nothing."""


class Empty(Strategy):
    """What (b) runs."""

    def on_quote(self, quote: Quote) -> None:
        """Do nothing."""


class NoJournal:
    """Records nothing; (b) has nothing to record."""

    def record(self, entry: object) -> None:
        """Forget it."""

    def commit(self) -> None:
        """Do nothing."""


class Scripted(PaperVenue):
    """The paper venue over quotes that were built beforehand."""

    quotes: Sequence[Quote] = ()

    def feed_events(self, start_ns: int) -> Iterator[MarketEvent]:
        """Yield the quotes."""
        yield from self.quotes
        yield FeedEnded(self.name, receive_time_ns=self.quotes[-1].receive_time_ns)


def cpu_s(work: Callable[[], None]) -> float:
    """Return the seconds of CPU that `work` took."""
    before = time.process_time()
    work()
    return time.process_time() - before


def bare_loop(count: int) -> None:
    """Run (a)."""
    strategy = Bare()
    for i in range(count):
        strategy.on_quote(Quote(SYMBOL, 60_000.0, 1.0, 60_000.01, 2.0, i, i))


def engine_loop(engine: Engine, count: int) -> None:
    """Run (b)."""
    handle = engine.handle
    for i in range(count):
        handle(Quote(SYMBOL, 60_000.0, 1.0, 60_000.01, 2.0, i, i))


def build_empty_engine() -> Engine:
    """Return an engine with the empty strategy and nothing else."""
    instrument = Instrument(
        symbol=SYMBOL,
        base="BTC",
        quote="EUR",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
    )
    can = Capabilities(client_order_ids=True, fill_source=FillSource.EXECUTIONS)
    engine = Engine(
        EngineSettings(
            bot="bench",
            instruments={SYMBOL: instrument},
            capabilities={"paper": can},
            rules=(),
            journal=NoJournal(),
            dispatch=lambda _: None,
            stamp=lambda: 0,
            log=lambda *_: None,
            equity_every_ns=0,
        )
    )
    engine.add_strategy(
        Empty(), name="empty", symbols=(SYMBOL,), params=None, budget=CleanUpBudget(1.0)
    )
    engine.handle(RunStarted(run_id="bench", receive_time_ns=0))
    return engine


def build_quotes(count: int) -> list[Quote]:
    """Return a random walk of quotes with a spread of two to six ticks.

    Every tenth quote jumps beyond where `market_maker` quotes, up or down, so one is filled.
    """
    rng = np.random.default_rng(1)
    moves = rng.integers(-60, 61, size=count)
    moves[::10] = rng.choice((-JUMP_TICKS, JUMP_TICKS), size=len(moves[::10]))
    mids = 6_000_000 + np.cumsum(moves)
    halves = rng.integers(1, 4, size=count)
    sizes = rng.uniform(0.5, 2.0, size=(count, 2))
    return [
        Quote(
            SYMBOL,
            float(mid - half) / 100.0,
            float(bid_qty),
            float(mid + half) / 100.0,
            float(ask_qty),
            START_NS + i * STEP_NS,
            START_NS + i * STEP_NS,
        )
        for i, (mid, half, (bid_qty, ask_qty)) in enumerate(zip(mids, halves, sizes, strict=True))
    ]


def trade(strategy: str, params: str, quotes: Sequence[Quote]) -> tuple[float, Bot]:
    """Run (c), or its idle twin; return the seconds of CPU of the run itself, and the bot."""
    with tempfile.TemporaryDirectory() as folder:
        config_path = Path(folder) / "bench.toml"
        config_path.write_text(CONFIG.format(strategy=strategy, params=params), encoding="utf-8")
        plan = check(load(config_path))
        journal = SqliteJournal.open(Path(folder), "bench", buffered=True)
        clock = BacktestClock(origin_ns=START_NS, current_ns=START_NS)
        journal.begin_run(run_id="bench", mode="REPLAY", config="", started_ns=START_NS)
        took_s, bot = trio.run(_trade, plan, journal, clock, quotes, clock=clock)
        journal.close()
    return took_s, bot


async def _trade(
    plan: Plan, journal: SqliteJournal, clock: BacktestClock, quotes: Sequence[Quote]
) -> tuple[float, Bot]:
    venue = plan.venues["paper"]
    assert isinstance(venue, PaperVenue)
    venue.__class__ = Scripted
    Scripted.quotes = quotes
    instruments = await plan.prepare()
    bot = assemble(
        plan, instruments, journal=journal, clock=clock, run_id="bench", log=lambda *_: None
    )
    before = time.process_time()
    await run_bot(bot, partial(drive, bot.engine, [venue], clock, bot.stop))
    journal.end_run(ended_ns=clock.current_ns, exit_code=0, reason=bot.stop.reason)
    return time.process_time() - before, bot


def measure(count: int) -> dict[str, float]:
    """Return every figure of one round."""
    engine = build_empty_engine()
    bare_s = cpu_s(lambda: bare_loop(count))
    empty_s = cpu_s(lambda: engine_loop(engine, count))
    quotes = build_quotes(max(count // 10, 1))
    idle_s, _ = trade(IDLE, "", quotes)
    busy_s, bot = trade("market_maker", MAKING, quotes)
    counts = bot.engine.desk.counts
    bare_us = bare_s / count * 1e6
    life_us = (busy_s - idle_s) / counts.submitted * 1e6
    return {
        "a_events_per_s": count / bare_s,
        "b_events_per_s": count / empty_s,
        "c_events_per_s": bot.engine.event_count / busy_s,
        "b_over_a": bare_s / empty_s,
        "orders": counts.submitted,
        "fills": counts.fills,
        "order_life_us": life_us,
        "order_life_in_events_of_a": life_us / bare_us,
    }


def component_of(path: str) -> str:
    """Return which part of the code a file belongs to."""
    for part in COMPONENTS:
        if f"/{part}" in path:
            return part.removesuffix(".py")
    return "everything else"


def sample(strategy: str, params: str, quotes: Sequence[Quote]) -> Counter[str]:
    """Run (c) or its twin; return how often each component was seen running."""
    seen: Counter[str] = Counter()

    def note(_: int, frame: FrameType | None) -> None:
        if frame is not None:
            seen[component_of(frame.f_code.co_filename)] += 1

    before = signal.signal(signal.SIGALRM, note)
    signal.setitimer(signal.ITIMER_REAL, SAMPLE_S, SAMPLE_S)
    try:
        trade(strategy, params, quotes)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return seen


def print_where(rounds: int, events: int) -> None:
    """Print the CPU of one order's life by component, idle twin subtracted."""
    life_us = float(np.median([measure(events)["order_life_us"] for _ in range(rounds)]))
    quotes = build_quotes(max(events // 10, 1))
    seen: Counter[str] = Counter()
    for _ in range(rounds):
        seen.update(sample("market_maker", MAKING, quotes))
        seen.subtract(sample(IDLE, "", quotes))
    print(f"one order's life, {life_us:.1f} us of CPU, by what was running ({seen.total()} looks)")
    for component, count in seen.most_common():
        share = count / seen.total()
        print(f"  {component:<28}{share * life_us:>8.1f} us{share:>8.0%}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--events", default=300_000, show_default=True, help="Events of (a) and (b).")
@click.option("--rounds", default=5, show_default=True, help="Rounds; the medians are printed.")
@click.option("--where", is_flag=True, help="Print where one order's life goes instead.")
def main(*, as_json: bool, events: int, rounds: int, where: bool) -> None:
    """Measure the engine."""
    if where:
        print_where(rounds, events)
        return
    results = [measure(events) for _ in range(rounds)]
    medians = {key: float(np.median([each[key] for each in results])) for key in results[0]}
    if as_json:
        print(json.dumps({key: round(value, 3) for key, value in medians.items()}))
        return
    print(f"medians of {rounds} rounds")
    for key, value in medians.items():
        print(f"  {key:<28}{value:>16,.2f}")
    print("  limits: b_over_a at least 0.20, order_life_in_events_of_a at most 250")


if __name__ == "__main__":
    main()
