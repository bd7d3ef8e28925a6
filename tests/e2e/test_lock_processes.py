"""The lock of a bot between real processes: forks do not hold it on, nobody holds it twice."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from botkit.errors import AlreadyRunningError, BeingSweptError
from botkit.journal import hold_lock
from botkit.journal.database import LockFile

HOLD = """
import os, signal, sys, time
from pathlib import Path
from botkit.journal.database import LockFile

lock = LockFile(Path(sys.argv[1]), "demo", sweeps=sys.argv[2] == "sweeps")
child = os.fork() if sys.argv[2] == "forks" else 1
if child == 0:
    signal.pause()
print(child, flush=True)
signal.pause()
"""


@contextmanager
def holder(path: Path, how: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a process that holds the lock; with it, the process that it has forked."""
    with subprocess.Popen(  # noqa: S603  our own script
        [sys.executable, "-c", HOLD, str(path), how], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_a_forked_child_does_not_hold_the_lock_of_a_killed_bot(tmp_path: Path) -> None:
    with holder(tmp_path / "demo.lock", "forks") as (process, child):
        with pytest.raises(AlreadyRunningError, match=f"as process {process.pid},"):
            LockFile(tmp_path / "demo.lock", "demo")
        process.kill()
        process.wait()

        os.kill(child, 0)  # it lives, and has every descriptor that the bot had
        LockFile(tmp_path / "demo.lock", "demo").close()
        os.kill(child, 9)


def test_a_guardian_at_work_is_told_from_a_bot_that_runs(tmp_path: Path) -> None:
    with (
        holder(tmp_path / "demo.lock", "sweeps") as (process, _),
        pytest.raises(BeingSweptError, match=f"its guardian, process {process.pid}, is canceling"),
    ):
        LockFile(tmp_path / "demo.lock", "demo")


def test_a_second_try_in_the_same_process_is_refused_and_does_not_free_the_lock(
    tmp_path: Path,
) -> None:
    with hold_lock(tmp_path, "demo"):
        with pytest.raises(AlreadyRunningError, match=f"as process {os.getpid()},"):
            LockFile(tmp_path / "demo.lock", "demo")
        asked = subprocess.run(  # noqa: S603  our own script
            [sys.executable, "-c", HOLD, str(tmp_path / "demo.lock"), "once"],
            capture_output=True,
            text=True,
            check=False,
        )

    assert "AlreadyRunningError" in asked.stderr
