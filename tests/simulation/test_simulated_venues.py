"""A venue's own config, bot and exchange in one process on simulated time."""

import subprocess
import sys
from pathlib import Path

import pytest

from botkit.config import load
from botkit.shell import ExitCode
from botkit.testing.simulation import simulate

ROOT = Path(__file__).parents[2]
VENUES = ("blinktrade", "digifinex", "finery", "moonbase", "peatio")
SCRIPT = """
import sys
from botkit.config import load
from botkit.testing.simulation import simulate
print(simulate(load(sys.argv[1]), 5, seconds=20.0, faults=False).trace)
"""


@pytest.mark.parametrize("venue", VENUES)
def test_bot_and_exchange_agree_and_nothing_rests(venue: str) -> None:
    result = simulate(load(str(ROOT / "configs" / f"{venue}.toml")), 1, seconds=60.0, faults=False)
    assert result.differences == ()
    assert result.resting == ()
    assert result.exit_code is ExitCode.CLEAN
    assert result.orders >= 20


@pytest.mark.parametrize("venue", VENUES)
def test_same_seed_leaves_the_same_trace_in_another_process(venue: str) -> None:
    config = str(ROOT / "configs" / f"{venue}.toml")
    here = simulate(load(config), 5, seconds=20.0, faults=False).trace
    there = {
        subprocess.run(  # noqa: S603  our own interpreter
            [sys.executable, "-c", SCRIPT, config],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert there == {here}
    assert simulate(load(config), 6, seconds=20.0, faults=False).trace != here
