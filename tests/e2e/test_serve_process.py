"""Two processes: a simulated exchange, and a bot that trades there by the venue's own wire."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

ROOT = Path(__file__).parents[2]
ENTRY = "from botkit.cli import main; main()"
TOO_LONG_S = 60.0


VENUES = ("blinktrade", "digifinex", "finery", "moonbase", "peatio")


def started(*words: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  our own entry points
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def serving(venue: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the simulator on a free port; give its process and the port."""
    process = started("-c", ENTRY, "serve", venue, "--port", "0", "--seed", "1", cwd=folder)
    alarm = Timer(TOO_LONG_S, process.kill)
    alarm.start()
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"ws://127\.0\.0\.1:(\d+)", first)
        assert found, first + process.stdout.read()
        yield process, int(found.group(1))
    finally:
        alarm.cancel()
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def last_word(process: subprocess.Popen[str]) -> dict[str, dict[str, object]]:
    """Interrupt the simulator; return the JSON object it ends with."""
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    *_, last = process.stdout.read().splitlines()
    assert process.wait() == 0
    told: dict[str, dict[str, object]] = json.loads(last)
    return told


def trade(venue: str, port: int, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the venue's own config against the simulator at `port`, in `folder`."""
    text = (ROOT / "configs" / f"{venue}.toml").read_text()
    moved = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", text)
    assert f"127.0.0.1:{port}" in moved
    (folder / "bot.toml").write_text(moved)
    (folder / "bot.toml").chmod(0o600)
    return subprocess.run(  # noqa: S603  our own entry point
        [sys.executable, str(ROOT / "run.py"), "bot.toml", "--no-status", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TOO_LONG_S,
        check=False,
    )


@pytest.mark.parametrize("venue", VENUES)
def test_live_bot_trades_at_the_simulator_and_leaves_nothing(venue: str, tmp_path: Path) -> None:
    with serving(venue, tmp_path) as (simulator, port):
        ended = trade(venue, port, tmp_path, "--live", "--for", "7s")
        told = last_word(simulator)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith("LIVE  ")
    assert "test-secret" not in ended.stdout + ended.stderr
    assert "Resting    nothing" in ended.stdout
    submitted = re.search(r"Orders +(\d+) submitted", ended.stdout)
    assert submitted
    assert int(submitted.group(1)) >= 2
    assert sum(int(str(account["orders"])) for account in told.values()) >= 2
    assert all(account["resting"] == [] for account in told.values())


@pytest.mark.parametrize("venue", VENUES)
def test_dry_run_trades_on_paper_and_the_simulator_sees_no_order(
    venue: str, tmp_path: Path
) -> None:
    with serving(venue, tmp_path) as (simulator, port):
        ended = trade(venue, port, tmp_path, "--for", "5s")
        told = last_word(simulator)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith("PAPER  ")
    submitted = re.search(r"Orders +(\d+) submitted", ended.stdout)
    assert submitted
    assert int(submitted.group(1)) >= 2
    assert [account["orders"] for account in told.values()] == [0] * len(told)


@pytest.mark.parametrize("venue", VENUES)
def test_interrupted_bot_leaves_nothing_at_the_simulator(venue: str, tmp_path: Path) -> None:
    with serving(venue, tmp_path) as (simulator, port):
        text = (ROOT / "configs" / f"{venue}.toml").read_text()
        (tmp_path / "bot.toml").write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", text))
        (tmp_path / "bot.toml").chmod(0o600)
        bot = started(str(ROOT / "run.py"), "bot.toml", "--live", "--no-status", cwd=tmp_path)
        assert bot.stdout is not None
        while "venue up" not in (line := bot.stdout.readline()):
            assert line, "the bot ended before its venue was up"
        with contextlib.suppress(subprocess.TimeoutExpired):
            bot.wait(2.0)
        bot.send_signal(signal.SIGINT)
        said = bot.stdout.read()
        assert bot.wait() == 0, said
        bot.stdout.close()
        told = last_word(simulator)
    assert all(account["resting"] == [] for account in told.values())
