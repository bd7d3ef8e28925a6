"""A bot broken by everything a seed has drawn, beside its simulated exchange."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from botkit.config import load
from botkit.shell import ExitCode
from botkit.testing import SimulationResult, simulate
from venues.finery.simulator import QUIRKS

ROOT = Path(__file__).parents[2]
VENUES = ("blinktrade", "digifinex", "finery", "moonbase", "peatio")
PROCESSES = int(os.environ.get("BOTKIT_TRACE_PROCESSES", "2"))  # besides this one
SCRIPT = """
import sys
from botkit.config import load
from botkit.testing import simulate
print(simulate(load(sys.argv[1]), 4, seconds=60.0).trace)
"""


def run(name: str, seed: int, *, record: bool = False) -> SimulationResult:
    config = load(str(ROOT / "configs" / f"{name}.toml"))
    return simulate(config, seed, seconds=60.0, record=record)


@pytest.mark.parametrize("venue", VENUES)
def test_whatever_breaks_nothing_rests_and_every_book_agrees(venue: str) -> None:
    result = run(venue, 1)
    assert result.problems == ()
    assert result.exit_code is ExitCode.CLEAN
    assert result.orders >= 10
    assert sum(result.faults.values()) >= 3


def test_a_seed_tells_its_story_and_draws_all_that_its_venues_leave_open() -> None:
    result = run("finery", 2, record=True)
    assert result.problems == ()
    assert set(result.quirks["finery"]) == set(QUIRKS)
    told = "\n".join(result.timeline)
    for kind in result.faults:
        assert f"fault     {kind}: " in told
    assert told.count("  start  ") == result.restarts + 1
    assert told.count("  order  ") == result.orders
    assert told.count("  fill  ") == result.fills


def test_same_seed_has_the_same_faults_and_the_same_trace_in_other_processes() -> None:
    config = str(ROOT / "configs" / "finery.toml")
    traces = {
        subprocess.run(  # noqa: S603  our own interpreter
            [sys.executable, "-c", SCRIPT, config],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in range(1, 1 + PROCESSES)
    }
    assert traces == {run("finery", 4).trace}
