"""Seeds of a config, in processes without coverage: it makes simulations five times as slow."""

import os
from collections.abc import Iterable
from pathlib import Path

import trio

from botkit.testing.storm import SeedOutcome, Storm, replay_command, run_storm

__all__ = ["CONFIGS", "SEARCHED", "TRACED", "told", "weather"]

ROOT = Path(__file__).resolve().parents[2]
JOBS = 2
TRACED = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
CONFIGS = {
    **{
        name: f"configs/{name}.toml"
        for name in ("blinktrade", "digifinex", "finery", "moonbase", "peatio")
    },
    "two_venues": "tests/simulation/two_venues.toml",
}
SEARCHED = {
    **CONFIGS,
    "pushing": "tests/simulation/pushing.toml",
    "pushing_rest": "tests/simulation/pushing_rest.toml",
}


def weather(config: str, seeds: Iterable[int]) -> tuple[Storm, list[SeedOutcome]]:
    """Simulate `seeds` of one of `CONFIGS`, and return how each went, in order."""
    storm = Storm(configs=(os.path.relpath(ROOT / CONFIGS[config]),))
    found: list[SeedOutcome] = []
    traced = {name: os.environ.pop(name, None) for name in TRACED}
    try:
        trio.run(lambda: run_storm(storm, seeds, jobs=JOBS, take=found.append))
    finally:
        os.environ.update({name: value for name, value in traced.items() if value is not None})
    return storm, sorted(found, key=lambda each: each.seed)


def told(storm: Storm, outcomes: Iterable[SeedOutcome]) -> str:
    """Return what did not hold, each seed with the command that replays it."""
    return "\n".join(
        line
        for each in outcomes
        if each.failed
        for line in (
            *each.problems,
            *each.error.splitlines(),
            f"  replay: {replay_command(storm, each.seed)}",
        )
    )
