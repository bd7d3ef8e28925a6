"""Plant known mistakes into the product, one at a time, and see whether simulations find them.

    python benchmarks/planted.py [--seeds 500] [--only NAME ...] [--honest]

For each it prints after how many seeds the first problem showed, and which. The seeds are shared
out among the configs that the mistake is looked for with. The exit code is 1 if one was not found.
`--honest` runs the seeds that found something once more without the mistake: all must hold.
"""

import logging
import sys
from collections.abc import Iterator, Sequence

import attrs
import click
from paths import ROOT

sys.path.insert(0, str(ROOT))

from botkit.config import Config, load
from botkit.testing.simulation import simulate
from tests.simulation.planted import BUGS, Bug
from tests.simulation.storming import SEARCHED


@attrs.frozen
class Found:
    """The first seed that showed a mistake, and how."""

    seeds: int
    config: str
    seed: int
    problem: str


def tries(bug: Bug, seeds: int) -> Iterator[tuple[str, int]]:
    """Return configs and seeds to look with, in turn."""
    for number in range(seeds):
        yield bug.configs[number % len(bug.configs)], number // len(bug.configs) + 1


def problems_of(config: Config, seed: int) -> Sequence[str]:
    """Return what did not hold; what is raised is a problem, too."""
    try:
        problems = simulate(config, seed).problems
    except Exception as exc:  # noqa: BLE001  a mistake that is found by an error is found
        return [f"{type(exc).__name__}: {exc}"]
    return [each for each in problems if "harness: " not in each]


def look_for(bug: Bug, seeds: int, configs: dict[str, Config]) -> Found | None:
    """Return the first seed in which `bug` shows."""
    with bug.plant():
        for count, (name, seed) in enumerate(tries(bug, seeds), 1):
            problems = problems_of(configs[name], seed)
            if problems:
                return Found(count, name, seed, problems[0].splitlines()[0])
    return None


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=500, show_default=True)
@click.option("--only", type=click.Choice(sorted(BUGS)), multiple=True)
@click.option("--honest", is_flag=True, help="Run the same seeds without the mistake, too.")
def main(*, seeds: int, only: Sequence[str], honest: bool) -> None:
    """Look for every planted mistake."""
    logging.getLogger().addHandler(logging.NullHandler())
    configs = {name: load(str(ROOT / path)) for name, path in SEARCHED.items()}
    lost: list[str] = []
    print("| planted | seeds needed | with | the problem it showed |\n| --- | ---: | --- | --- |")
    for name in only or BUGS:
        bug = BUGS[name]
        found = look_for(bug, seeds, configs)
        if found is None:
            lost.append(name)
            print(f"| {bug.what} | **not found in {seeds}** | | |", flush=True)
            continue
        where = f"{found.config}, seed {found.seed}"
        print(f"| {bug.what} | {found.seeds} | {where} | {found.problem} |", flush=True)
        if honest and (problems := problems_of(configs[found.config], found.seed)):
            lost.append(name)
            print(f"without it, {where}: {problems[0]}", flush=True)
    if lost:
        print(f"\nnot shown: {', '.join(lost)}")
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
