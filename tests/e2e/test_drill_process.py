"""`botkit drill`: a few of its cases at one venue, as a process; it must also be able to fail."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 90.0


def drill(*words: str) -> tuple[int, list[dict[str, object]], str]:
    """Run `botkit drill` on the Finery config; return exit code, rows and stderr."""
    found = subprocess.run(  # noqa: S603  our own interpreter
        [
            *(sys.executable, "-c", "from botkit.cli import main; main()"),
            *("drill", "configs/finery.toml", "--json", *words),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    return found.returncode, [json.loads(line) for line in found.stdout.splitlines()], found.stderr


def test_links_disks_and_guardians_break_and_nothing_rests() -> None:
    names = ["cut in flight", "guardian dies", "full disk"]
    code, rows, errors = drill(*(f"--only={name}" for name in names), "--quoter")

    assert code == 0, (rows, errors)
    assert [row["case"] for row in rows] == names
    assert all(row["held"] and row["orders"] for row in rows)


def test_a_bot_without_a_guardian_does_not_hold() -> None:
    code, [row], errors = drill("--only=kill -9", "--quoter", "--set=bot.guardian.enabled=false")

    assert code == 1, errors
    assert row["held"] is False
    assert "is left open in the journal" in str(row["problems"])
