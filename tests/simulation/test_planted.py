"""Known mistakes are found by simulations: three here, all of them by `benchmarks/planted.py`."""

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.planted import BUGS
from tests.simulation.storming import SEARCHED, TRACED

ROOT = Path(__file__).resolve().parents[2]
THREE = ("count_a_fill_twice", "forget_orders_on_a_lost_link", "start_without_positions")


def test_three_mistakes_are_found_soon_and_the_same_seeds_hold_without_them() -> None:
    words = [word for name in THREE for word in ("--only", name)]
    ran = subprocess.run(  # noqa: S603  our own interpreter and script, without coverage: it is slow
        [
            sys.executable,
            str(ROOT / "benchmarks" / "planted.py"),
            "--seeds",
            "6",
            "--honest",
            *words,
        ],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name not in TRACED},
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    for name in THREE:
        assert f"| {BUGS[name].what} | " in ran.stdout


def test_there_are_many_mistakes_each_for_configs_that_are_there() -> None:
    assert len(BUGS) >= 12
    assert {name for bug in BUGS.values() for name in bug.configs} <= set(SEARCHED)
