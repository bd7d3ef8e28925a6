"""`botkit storm` with its processes: seeds shared, workers that die, Ctrl-C, reports, one seed."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.testing.storm import SeedOutcome, Storm, run_storm

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / "configs" / "finery.toml")
BOTKIT = [sys.executable, "-c", "from botkit.cli import main; main()"]
MORTAL = """
import os, sys
from botkit import Strategy

class Mortal(Strategy):
    def on_start(self):
        print("last words", flush=True)
        {deed}
"""


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers run without coverage, which makes simulations five times as slow."""
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)


def own_strategy(folder: Path, deed: str) -> str:
    """Write a config with a strategy by path, which does `deed` at its start."""
    (folder / "mortal.py").write_text(MORTAL.format(deed=deed))
    text = Path(CONFIG).read_text().replace('type = "market_maker"', 'type = "./mortal.py:Mortal"')
    text = text[: text.index("[strategies.params]")] + text[text.index("[risk]") :]
    path = folder / "bot.toml"
    path.write_text(text)
    return str(path)


async def outcomes_of(storm: Storm, seeds: range, jobs: int) -> dict[int, SeedOutcome]:
    found: dict[int, SeedOutcome] = {}

    def take(outcome: SeedOutcome) -> None:
        assert outcome.seed not in found
        found[outcome.seed] = outcome

    await run_storm(storm, seeds, jobs=jobs, take=take)
    return found


async def test_every_seed_is_simulated_once_and_the_same_by_any_number_of_workers() -> None:
    storm = Storm(configs=(CONFIG,), seconds=10.0)

    together = await outcomes_of(storm, range(1, 4), jobs=2)
    alone = await outcomes_of(storm, range(3, 4), jobs=1)

    assert sorted(together) == [1, 2, 3]
    assert all(each.trace for each in together.values())
    assert len({each.trace for each in together.values()}) == 3
    assert together[3].trace == alone[3].trace


async def test_a_worker_that_dies_costs_its_seed_and_no_other(tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    deed = f"""
        for path, end in (({str(once)!r}, lambda: os._exit(7)), ({str(twice)!r}, os.abort)):
            if not os.path.exists(path):
                open(path, "w").close()
                end()
    """
    config = own_strategy(tmp_path, deed)

    found = await outcomes_of(Storm(configs=(config,), seconds=10.0), range(1, 5), jobs=1)

    assert sorted(found) == [1, 2, 3, 4]
    assert found[1].error.startswith("its process ended with exit code 7\nlast words")
    assert found[2].error.startswith("its process died of signal 6\nlast words")
    assert [found[3].error, found[4].error] == ["", ""]


async def test_a_hook_that_never_returns_costs_its_seed_and_is_shown(tmp_path: Path) -> None:
    config = own_strategy(tmp_path, "while True: pass")

    found = await outcomes_of(Storm(configs=(config,), seconds=10.0, limit_s=2.0), range(1, 2), 1)

    assert "Timeout" in found[1].error
    assert "mortal.py" in found[1].error


def test_the_command_ends_with_0_where_all_held_and_writes_what_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.jsonl"
    words = ("--seeds", "2", "--seconds", "24", "--json", "--report", str(report))
    code = call(["storm", CONFIG, *words], Session())

    lines = capsys.readouterr().out.splitlines()
    assert code == 0, lines
    assert report.read_text().splitlines() == lines
    *seeds, last = map(json.loads, lines)
    assert [each["seed"] for each in seeds] == [1, 2]
    assert last["summary"]["seeds"] == 2
    assert last["summary"]["orders"] == sum(each["orders"] for each in seeds)


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


def test_a_strategy_that_does_not_trade_fails_and_the_storm_stops_after_so_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    config = own_strategy(tmp_path, "pass")
    code = call(["storm", config, "--seconds", "10", "--stop-after", "1"], Session())

    out = capsys.readouterr().out
    assert code == 1
    assert "harness: only 0 orders" in out
    assert "99 seeds were not run: 1 have failed; --keep-going runs all" in out
    assert "seeds, 1 failed" in terminal.getvalue()


def test_ctrl_c_says_what_came_out_and_ends_with_130() -> None:
    command = [*BOTKIT, "storm", CONFIG, "--seconds", "24", "--seeds", "5000", "--jobs", "2"]
    with subprocess.Popen(  # noqa: S603  our own interpreter and command
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        threads = Path(f"/proc/{process.pid}/task").glob("*/children")
        workers = [pid for each in threads for pid in each.read_text().split()]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().splitlines()
        assert process.wait(20) == 130

    assert first["trace"]
    assert json.loads(rest[-1])["summary"]["seeds"] == len(rest)
    assert len(workers) == 2
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_one_seed_is_shown_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["storm", CONFIG, "--seed", "4", "--seconds", "20", "--trace"]
    code = call(words, Session())
    text = capsys.readouterr().out
    call([*words, "--json"], Session())
    fields = json.loads(capsys.readouterr().out)

    assert code == 0, text
    times = [float(line.split()[0]) for line in text.partition("\n\n")[0].splitlines()]
    assert times == sorted(times)
    assert "  fault     " in text
    assert text.splitlines()[-1].startswith("seed 4 held: ")
    assert fields["trace"] in text.splitlines()[-1]
    assert len(fields["timeline"]) == len(times)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--trace",), "--trace shows one seed: name it"),
        (("--seconds", "10", "--report", "/nonesuch/a.jsonl"), "--report /nonesuch/a.jsonl: "),
    ],
)
def test_what_cannot_be_done_is_said_at_once(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["storm", CONFIG, *words], Session()) != 0
    assert expected in capsys.readouterr().err
