"""What `botkit storm` says: how far it is, what came out, what happened in one seed."""

from collections.abc import Iterator
from typing import Final

from botkit.cli.wording import clock_time, number, plural
from botkit.testing.storm import SeedOutcome, Storm, replay_command
from botkit.testing.storm_figures import StormFigures, part

__all__ = ["progress_line", "summary_lines"]

NS_PER_S: Final = 1_000_000_000
FAILED_SHOWN: Final = 10
PROBLEMS_SHOWN: Final = 5
LINES_SHOWN: Final = 12  # of a traceback, its last


def progress_line(figures: StormFigures, count: int, took_ns: int) -> str:
    """Return how far it is."""
    failed = f", {len(figures.failed)} failed" if figures.failed else ""
    return f"{figures.seeds:,} of {plural(count, 'seed')}{failed}, {clock_time(took_ns)}"


def summary_lines(storm: Storm, figures: StormFigures, took_ns: int) -> Iterator[str]:
    """Return what came out, for people."""
    held = figures.seeds - len(figures.failed)
    yield f"held        {held:,} of {plural(figures.seeds, 'seed')}"
    yield (
        f"simulated   {number(figures.hours)} h in {clock_time(took_ns)}, "
        f"{number(figures.cpu_s_an_hour)} s of CPU an hour"
    )
    yield (
        f"orders      {figures.orders:,}, {plural(figures.fills, 'fill')}, "
        f"{plural(figures.restarts, 'restart')}"
    )
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in figures.faults.most_common())
    yield f"faults      {figures.faults.total():,}" + (f": {kinds}" if kinds else "")
    yield f"unattended  {_unattended(figures)}"
    yield from _advice(figures)
    for each in sorted(figures.failed, key=_badness)[:FAILED_SHOWN]:
        yield ""
        yield from _failed_lines(storm, each)
    if len(figures.failed) > FAILED_SHOWN:
        others = sorted(each.seed for each in sorted(figures.failed, key=_badness)[FAILED_SHOWN:])
        yield ""
        yield f"and {len(others)} more that failed: {', '.join(map(str, others))}"
    if figures.slowest:
        yield ""
        yield "The longest that an order was unattended where all held:"
        for each in figures.slowest:
            yield (
                f"  seed {each.seed}: {max(each.gone_after_s):.3f} s   "
                f"{replay_command(storm, each.seed)}"
            )


def _unattended(figures: StormFigures) -> str:
    after_s = figures.gone_after_s
    if not after_s:
        return "no order had to be canceled by a guardian"
    median, most = part(after_s, 0.5), part(after_s, 0.95)
    return (
        f"{plural(len(after_s), 'order')} of a killed bot gone after {median:.3f} s (median), "
        f"{most:.3f} s (95 %), {max(after_s):.3f} s (at most)"
    )


def _advice(figures: StormFigures) -> Iterator[str]:
    if figures.weak:
        yield (
            f"\n{plural(len(figures.weak), 'seed')} broke nothing, but too little happened to show "
            "anything: give them longer, --seconds 600"
        )


def _badness(outcome: SeedOutcome) -> tuple[bool, int, int]:
    """Return what worse outcomes have less of."""
    return (not outcome.error, -len(outcome.problems), outcome.seed)


def _failed_lines(storm: Storm, outcome: SeedOutcome) -> Iterator[str]:
    yield f"seed {outcome.seed}: {plural(len(outcome.problems) + bool(outcome.error), 'problem')}"
    for problem in outcome.problems[:PROBLEMS_SHOWN]:
        first, *more = problem.splitlines()
        yield f"  {first}"
        yield from (f"    {line}" for line in more[-LINES_SHOWN:])
    if len(outcome.problems) > PROBLEMS_SHOWN:
        yield f"  and {len(outcome.problems) - PROBLEMS_SHOWN} more"
    yield from (f"  {line}" for line in outcome.error.splitlines()[-LINES_SHOWN:])
    yield f"  replay: {replay_command(storm, outcome.seed)}"
