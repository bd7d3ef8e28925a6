"""Kill bots with SIGKILL at random moments, and see how soon their orders are gone.

    python benchmarks/kills.py finery --kills 100 [--seed 1] [--jobs 3]

For each kill a fresh simulated exchange with the venue's own rate limits, a fresh bot process that
makes a market there, and the guardian it starts. Half of the kills come at any moment of the first
seconds, half at the instant of a request or of its outcome; in half of them what is under way
arrives up to a second later, and in half the venue's own cancel-on-disconnect does not work, where
it has one. Others trade there as well, on the same account too where client order ids tell whose
an order is.

A kill holds if every order of the bot is gone within 2 s of the death, or of reaching the book if
that is later, by the exchange's clock; if nobody else's was touched; if the guardian ends with 0
and the journal agrees that nothing rests. The exit code is 1 if any did not. The same seed draws
the same kill: `--kills 1 --seed N` repeats one, as far as processes repeat anything.
"""

import statistics
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import click
import trio
from paths import ROOT

from botkit.clock import monotonic_ns
from botkit.testing.killing import MOMENTS, Kill, KillOutcome, Scene, kill_once
from botkit.testing.processes import adopted_orphans

CONFIGS = ROOT / "configs"
# As fast as each venue's request budget lets two quotes be moved without a pause.
PACES = {
    "blinktrade": {"half_spread_bps": "30", "requote_bps": "3", "retry_s": "0.3"},
    "digifinex": {"half_spread_bps": "20", "requote_bps": "1", "retry_s": "0.5"},
    "finery": {"half_spread_bps": "20", "requote_bps": "2", "retry_s": "0.3"},
    "moonbase": {"half_spread_bps": "20", "requote_bps": "2", "retry_s": "0.3"},
    "peatio": {"half_spread_bps": "20", "requote_bps": "3", "retry_s": "0.3"},
}
# Of another bot, where the venue takes client order ids.
OTHERS = {
    "blinktrade": ("other-abcdefgh-1", "other-abcdefgh-2"),
    "finery": ("4611686018427387904", "4611686018427387905"),
}


def scene_of(venue: str) -> Scene:
    """Return the market maker of the venue's config, at a fast pace."""
    words = [f'strategies.market_maker.params.{key}="{text}"' for key, text in PACES[venue].items()]
    sets = [each.replace('"', "") if "retry_s" in each else each for each in words]
    return Scene(
        venue=venue,
        config=CONFIGS / f"{venue}.toml",
        sets=tuple(sets),
        other_ids=OTHERS.get(venue, ()),
    )


async def kill_all(scene: Scene, seeds: Sequence[int], jobs: int) -> list[KillOutcome]:
    """Kill once for each seed, `jobs` at a time; a line of print for each that does not hold."""
    outcomes: list[KillOutcome] = []
    limiter = trio.CapacityLimiter(jobs)

    async def one(seed: int) -> None:
        kill = Kill.of(seed)
        async with limiter:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    outcome = await kill_once(scene, kill, Path(folder))
                except ExceptionGroup as exc:  # as everything leaves the nurseries inside
                    outcome = failed(kill, exc)
        outcomes.append(outcome)
        for problem in outcome.problems:
            print(f"seed {seed} ({kill}): {problem}", flush=True)
        if sys.stderr.isatty():
            print(f"\r{len(outcomes)} of {len(seeds)}", end="", file=sys.stderr, flush=True)

    async with trio.open_nursery() as nursery:
        for seed in seeds:
            nursery.start_soon(one, seed)
    return outcomes


def failed(kill: Kill, exc: ExceptionGroup[Exception]) -> KillOutcome:
    """Return the outcome of a kill that could not be carried out."""
    told = "".join(traceback.format_exception(exc))
    return KillOutcome(
        kill=kill, orders=0, rested=0, late=0, waits_s=(), guardian_s=None, problems=(told,)
    )


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def distribution(values: Sequence[float]) -> str:
    """Return least, median, 95th percentile and most, in seconds."""
    if not values:
        return "none"
    figures = (min(values), statistics.median(values), percentile(values, 0.95), max(values))
    return "min {:.3f}  median {:.3f}  p95 {:.3f}  max {:.3f} s".format(*figures)


def counted(orders: Sequence[int]) -> str:
    """Return how many orders in how many kills."""
    return f"{sum(orders)} (in {sum(map(bool, orders))} kills)"


def told(venue: str, outcomes: Sequence[KillOutcome], took_s: float) -> list[str]:
    """Return the figures, a line each."""
    waits = [wait_s for each in outcomes for wait_s in each.waits_s]
    guarded = [each.guardian_s for each in outcomes if each.guardian_s is not None]
    drawn = dict.fromkeys(MOMENTS)
    moments = ", ".join(f"{sum(o.kill.moment is m for o in outcomes)} {m}" for m in drawn)
    broken = sum(bool(each.problems) for each in outcomes)
    return [
        f"{venue}: {len(outcomes)} kills ({moments}) in {took_s:.0f} s; {broken} did not hold",
        f"  orders placed before        {sum(each.orders for each in outcomes)}",
        f"  rested at the death         {counted([each.rested for each in outcomes])}",
        f"  reached the book after it   {counted([each.late for each in outcomes])}",
        f"  until gone                  {distribution(waits)}",
        f"  until the guardian ended    {distribution(guarded)} ({len(guarded)} guardians)",
    ]


@click.command()
@click.argument("venue", type=click.Choice(sorted(PACES)))
@click.option("--kills", type=click.IntRange(1), default=100, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first kill.")
@click.option("--jobs", type=click.IntRange(1), default=3, show_default=True)
def main(venue: str, kills: int, seed: int, jobs: int) -> None:
    """Kill VENUE's market maker so many times."""
    began_ns = monotonic_ns()
    with adopted_orphans():
        outcomes = trio.run(kill_all, scene_of(venue), range(seed, seed + kills), jobs)
    print()
    print("\n".join(told(venue, outcomes, (monotonic_ns() - began_ns) / 1e9)))
    sys.exit(any(each.problems for each in outcomes))


if __name__ == "__main__":
    main()
