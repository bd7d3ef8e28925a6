"""Run thousands of seeds at each venue and of the bot at two, and write the figures as a table.

    python benchmarks/storm.py [--seeds 2000] [--jobs 2] [--only finery ...] [--table FIGURES.md]
    python benchmarks/storm.py --hour [--only finery]

Each seed that is done stands in `var/storm/CONFIG.jsonl`; called again, it goes on with those that
are missing (`--anew` begins from nothing, as it has to after a change of the code). Ctrl-C ends it.
The exit code is 1 if a seed did not hold. The machinery is that of `botkit storm`, which replays
any of them: the command is printed with each that did not hold.

`--hour` simulates one hour of each bot with faults, in this process, and prints its CPU time.
"""

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import msgspec
import trio
from paths import ROOT

sys.path.insert(0, str(ROOT))

from botkit.clock import cpu_time_ns
from botkit.config import load
from botkit.testing.simulation import simulate
from botkit.testing.storm import SeedOutcome, Storm, replay_command, run_storm
from botkit.testing.storm_figures import StormFigures, part
from tests.simulation.storming import CONFIGS

DONE = ROOT / "var" / "storm"
HOUR_S = 3600.0
SAY_EVERY = 50
HEAD = (
    "| bot | seeds | held | hours | CPU s an hour | orders | fills | restarts | faults "
    "| unattended, median / most |\n| --- |" + " ---: |" * 9
)


def done_so_far(file: Path, seeds: int) -> list[SeedOutcome]:
    """Return the outcomes that `file` has of the seeds asked for."""
    if not file.exists():
        return []
    found = [
        msgspec.json.decode(line, type=SeedOutcome)
        for line in file.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")  # the last may be cut off
    ]
    return [each for each in found if each.seed <= seeds]


def weather(name: str, seeds: int, jobs: int, *, anew: bool) -> StormFigures:
    """Run the seeds of one bot that are missing; return the figures of all."""
    DONE.mkdir(parents=True, exist_ok=True)
    file = DONE / f"{name}.jsonl"
    if anew:
        file.unlink(missing_ok=True)
    storm = Storm(configs=(os.path.relpath(ROOT / CONFIGS[name]),))
    figures = StormFigures()
    earlier = done_so_far(file, seeds)
    for each in earlier:
        figures.take(each)
    known = {each.seed for each in earlier}
    with file.open("ab") as lines:

        def take(outcome: SeedOutcome) -> None:
            lines.write(msgspec.json.encode(outcome) + b"\n")
            lines.flush()
            figures.take(outcome)
            if outcome.failed:
                print(f"{name} seed {outcome.seed}: {first_of(outcome)}", flush=True)
                print(f"  replay: {replay_command(storm, outcome.seed)}", flush=True)
            if figures.seeds % SAY_EVERY == 0:
                print(f"{name}: {figures.seeds} of {seeds}", file=sys.stderr, flush=True)

        missing = [seed for seed in range(1, seeds + 1) if seed not in known]
        trio.run(lambda: run_storm(storm, missing, jobs=jobs, take=take))
    return figures


def first_of(outcome: SeedOutcome) -> str:
    """Return the first line of what did not hold."""
    return (outcome.problems[0] if outcome.problems else outcome.error).splitlines()[0]


def row(name: str, figures: StormFigures) -> str:
    """Return one bot's line of the table."""
    after_s = figures.gone_after_s
    waits = "-"
    if after_s:
        waits = f"{part(after_s, 0.5):.3f} / {max(after_s):.3f} s of {len(after_s):,}"
    cells = (
        name,
        f"{figures.seeds:,}",
        f"{figures.seeds - len(figures.failed):,}",
        f"{figures.hours:,.1f}",
        f"{figures.cpu_s_an_hour:.0f}",
        f"{figures.orders:,}",
        f"{figures.fills:,}",
        f"{figures.restarts:,}",
        f"{figures.faults.total():,}",
        waits,
    )
    return f"| {' | '.join(cells)} |"


def faults_by_kind(all_figures: Iterable[StormFigures]) -> str:
    """Return how many faults took effect in all, by kind, as a table."""
    total = StormFigures()
    for each in all_figures:
        total.faults.update(each.faults)
    lines = [f"| `{kind}` | {count:,} |" for kind, count in total.faults.most_common()]
    return "\n".join(["| fault | took effect |", "| --- | ---: |", *lines])


def hours(names: Sequence[str]) -> None:
    """Print what one simulated hour of each bot costs."""
    logging.getLogger().addHandler(logging.NullHandler())
    print("| bot | CPU s for one hour | orders | faults | problems |\n| --- |" + " ---: |" * 4)
    for name in names:
        config = load(str(ROOT / CONFIGS[name]))
        began_ns = cpu_time_ns()
        result = simulate(config, 1, seconds=HOUR_S)
        cpu_s = (cpu_time_ns() - began_ns) / 1e9
        faults = sum(result.faults.values())
        print(f"| {name} | {cpu_s:.1f} | {result.orders:,} | {faults} | {len(result.problems)} |")


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=2000, show_default=True, help="Of each.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True)
@click.option("--only", type=click.Choice(sorted(CONFIGS)), multiple=True)
@click.option("--anew", is_flag=True, help="Forget what was done before.")
@click.option("--table", type=click.Path(dir_okay=False), help="Write the tables to this file.")
@click.option("--hour", is_flag=True, help="Measure one simulated hour of each instead.")
def main(
    *, seeds: int, jobs: int, only: Sequence[str], anew: bool, table: str | None, hour: bool
) -> None:
    """Run SEEDS seeds of each bot."""
    names = only or list(CONFIGS)
    if hour:
        hours(names)
        return
    found = {name: weather(name, seeds, jobs, anew=anew) for name in names}
    rows = [row(name, figures) for name, figures in found.items()]
    text = "\n".join([HEAD, *rows, "", faults_by_kind(found.values())])
    print(text)
    if table is not None:
        Path(table).write_text(f"{text}\n", encoding="utf-8")
    sys.exit(any(figures.failed for figures in found.values()))


if __name__ == "__main__":
    main()
