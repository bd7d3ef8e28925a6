"""`botkit drill`: a few of its cases at one venue, as a process; it must also be able to fail."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 90.0


def run_drill(*words: str) -> tuple[int, str, str]:
    """Run `botkit drill` on the Finery config; return exit code, stdout and stderr."""
    found = subprocess.run(  # noqa: S603  our own interpreter
        [
            *(sys.executable, "-c", "from botkit.cli import main; main()"),
            *("drill", "configs/finery.toml", *words),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    return found.returncode, found.stdout, found.stderr


def test_links_disks_and_guardians_break_and_nothing_rests() -> None:
    names = ["cut in flight", "guardian dies", "full disk"]
    code, told, errors = run_drill("--json", *(f"--only={name}" for name in names), "--quoter")
    rows = [json.loads(line) for line in told.splitlines()]

    assert code == 0, (rows, errors)
    assert [row["case"] for row in rows] == names
    assert all(row["held"] and row["orders"] for row in rows)


def test_a_bot_without_a_guardian_does_not_hold_and_the_table_says_why(tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    code, told, errors = run_drill(
        "--only=kill -9", "--set=bot.guardian.enabled=false", f"--keep={keep}"
    )

    assert code == 1, errors
    assert "market_maker trades" in told
    assert "is left open in the journal" in told
    assert "\n0 of 1 case held; " in told
    assert (keep / "kill_-9" / "bot-1.log").read_text()
    assert list((keep / "kill_-9" / "state").glob("*.sqlite"))


def test_an_interrupted_drill_leaves_no_bot() -> None:
    marked = os.urandom(8).hex()
    with subprocess.Popen(  # noqa: S603  our own interpreter
        [
            *(sys.executable, "-c", "from botkit.cli import main; main()"),
            *("drill", "configs/finery.toml", "--only=half-open link"),
        ],
        cwd=ROOT,
        env={**os.environ, "DRILL_OF": marked},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not any("--child=" in each for each in commands_with(marked)):
            process.poll()
            assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 130
    assert "interrupted: 1 of 1 not done" in errors
    assert not commands_with(marked)


def commands_with(marked: str) -> list[str]:
    """Return the command line of every process that has a mark in its environment."""
    found = []
    for each in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if each.name.isdecimal() and marked.encode() in (each / "environ").read_bytes():
                found.append((each / "cmdline").read_bytes().decode(errors="replace"))
    return found
