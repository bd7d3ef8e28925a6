"""`python run.py` as a user starts it: real processes, their output and exit codes."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HASH = re.compile(r"[0-9a-f]{64}")
FAST = ("--set", "venues.paper.feed.speed=max")

CONFIG = """
[bot]
name = "e2e"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7 }
balances = { BTC = "1", EUR = "100000" }
fees = { maker_bps = "1", taker_bps = "5" }

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = { qty = "0.01", half_spread_bps = "2" }
"""


def write_config(folder: Path) -> Path:
    path = folder / "e2e.toml"
    path.write_text(CONFIG)
    return path


def run(
    folder: Path, *words: str, seed: str = "0", code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run `run.py` in `folder`, so that its journal lies there."""
    done = subprocess.run(  # noqa: S603  our own file
        [sys.executable, str(ROOT / "run.py"), *words],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def fills(folder: Path, *words: str) -> str:
    return subprocess.run(  # noqa: S603  our own file
        [sys.executable, "-c", "from botkit.cli import main; main()", "fills", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_run_at_full_speed_ends_with_its_hash_the_same_in_two_processes(tmp_path: Path) -> None:
    config = str(write_config(tmp_path))

    first = run(tmp_path, config, *FAST, "--for", "5m", seed="1")
    second = run(tmp_path, config, *FAST, "--for", "5m", seed="2")

    lines = first.stdout.splitlines()
    assert lines[0].startswith("PAPER")
    assert HASH.fullmatch(lines[-1])
    assert lines[-1] == second.stdout.splitlines()[-1]
    assert "events/s" in first.stdout
    assert not first.stderr


def test_the_hash_tells_another_run(tmp_path: Path) -> None:
    config = str(write_config(tmp_path))

    first = run(tmp_path, config, *FAST, "--for", "5m")
    other = run(tmp_path, config, *FAST, "--for", "5m", "--set", "venues.paper.feed.seed=8")

    assert first.stdout.splitlines()[-1] != other.stdout.splitlines()[-1]


def test_fills_prints_what_the_last_run_traded(tmp_path: Path) -> None:
    config = str(write_config(tmp_path))
    done = run(tmp_path, config, *FAST, "--for", "5m")
    told = re.search(r"^Fills +([\d,]+)$", done.stdout, re.MULTILINE)
    assert told is not None

    rows = list(csv.DictReader(io.StringIO(fills(tmp_path, "--csv"))))

    assert len(rows) == int(told[1].replace(",", "")) > 0
    assert {row["symbol"] for row in rows} == {"paper:BTC-EUR"}


def test_a_run_in_real_time_ends_after_the_time_asked_for(tmp_path: Path) -> None:
    config = str(write_config(tmp_path))

    done = run(tmp_path, config, "--set", "venues.paper.feed.speed=20x", "--for", "20s")

    assert "the time asked for has passed, after 0:00:20" in done.stdout
    assert re.search(r"^Orders +\d+ submitted", done.stdout, re.MULTILINE)
    assert re.search(r"^Resting +nothing$", done.stdout, re.MULTILINE)


def test_json_lines_are_json_up_to_the_hash(tmp_path: Path) -> None:
    done = run(tmp_path, str(write_config(tmp_path)), *FAST, "--for", "1m", "--log", "json")

    *lines, run_hash = done.stdout.splitlines()
    told = [json.loads(line) for line in lines]
    assert told[0]["mode"] == "PAPER"
    assert told[-1]["event"] == "summary"
    assert told[-1]["exit_code"] == 0
    assert HASH.fullmatch(run_hash)


def test_nothing_is_live_without_a_real_venue(tmp_path: Path) -> None:
    done = run(tmp_path, str(write_config(tmp_path)), "--live", code=2)

    assert "nothing to be live on" in done.stderr
    assert not done.stdout


def test_without_arguments_it_says_how_to_use_it(tmp_path: Path) -> None:
    done = run(tmp_path, code=2)

    assert "python run.py configs/paper.toml" in done.stderr


def test_a_reader_that_leaves_early_does_not_disturb_the_run(tmp_path: Path) -> None:
    """As in `python run.py CONFIG | head -1`: the run goes on to its end, and ends clean."""
    command = [sys.executable, str(ROOT / "run.py"), str(write_config(tmp_path)), *FAST]
    with subprocess.Popen(  # noqa: S603  our own file
        [*command, "--for", "30m"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("PAPER")
        process.stdout.close()
        complaints = process.stderr.read()
        assert process.wait(50) == 0
    assert not complaints


def test_streams_that_were_closed_before_the_start_are_no_reason_to_fail(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "run.py"), str(write_config(tmp_path)), "--for=1m", *FAST]

    done = subprocess.run(  # noqa: S603  our own file
        ["/bin/sh", "-c", 'exec "$@" >&- 2>&-', "sh", *words], cwd=tmp_path, check=False, timeout=50
    )

    assert done.returncode == 0
    assert "exit code 0" in fills(tmp_path)
    assert (tmp_path / "var" / "e2e.lock").read_text().strip().isdigit()
