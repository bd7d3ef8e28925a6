"""The kill switch in real processes: trip, exit 4, refused start, clear, start again."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

STRATEGY = """
from botkit import Quote, Strategy


class Odd(Strategy):
    def on_quote(self, quote: Quote) -> None:
        if not self.orders():
            self.buy(self.instrument, "0.01", price=self.instrument.price(quote.bid_px * 0.9))
            self.set_timer("halt", 0.2)

    def on_timer(self, name: str) -> None:
        self.halt("the market looks odd")
"""

CONFIG = """
[bot]
name = "halting"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7 }

[[strategies]]
type = "./odd.py:Odd"
instrument = "paper:BTC-EUR"

[risk]
max_daily_loss = "500"
max_position = { "paper:BTC-EUR" = "2" }
"""
FAST = ("--set", "venues.paper.feed.speed=max")


def botkit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own entry point
        [sys.executable, "-c", "from botkit.cli import main; main()", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_a_halted_bot_ends_4_and_does_not_start_until_a_person_clears_it(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(STRATEGY)
    (tmp_path / "bot.toml").write_text(CONFIG)
    state = tmp_path / "var" / "halting.risk.json"

    first = botkit(tmp_path, "run", "bot.toml", "--for", "20s")
    assert first.returncode == 4, first.stdout + first.stderr
    assert "HALTED: nothing but reducing orders passes" in first.stdout
    assert "botkit risk clear bot.toml --reason TEXT" in first.stdout
    assert "Halted     by strategies.Odd: the market looks odd" in first.stdout
    assert "Resting    nothing" in first.stdout

    again = botkit(tmp_path, "run", "bot.toml", "--for", "20s")
    assert again.returncode == 4
    assert again.stderr.startswith("bot.toml: the bot was halted by strategies.Odd at ")
    assert "Clear it, once you know why, by: botkit risk clear bot.toml" in again.stderr

    assert botkit(tmp_path, "risk", "clear", "bot.toml").returncode == 2
    cleared = botkit(tmp_path, "risk", "clear", "bot.toml", "--reason", "it was a test")
    assert cleared.returncode == 0, cleared.stderr
    assert "Cleared: bot halting had been halted by strategies.Odd" in cleared.stdout
    kept = json.loads(state.read_text())
    assert kept["halted"] is None
    assert kept["history"][0]["reason"] == "it was a test"
    twice = botkit(tmp_path, "risk", "clear", "bot.toml", "--reason", "again")
    assert (twice.returncode, twice.stdout) == (2, "")

    last = botkit(tmp_path, "run", "bot.toml", "--for", "100ms")
    assert last.returncode == 0, last.stdout + last.stderr


def test_a_replay_ends_4_and_leaves_the_bot_free(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(STRATEGY)
    (tmp_path / "bot.toml").write_text(CONFIG)

    replay = botkit(tmp_path, "run", "bot.toml", *FAST, "--for", "20s")

    assert replay.returncode == 4
    assert not (tmp_path / "var" / "halting.risk.json").exists()


def test_kept_running_it_stays_up_and_ends_4_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(STRATEGY)
    (tmp_path / "bot.toml").write_text(CONFIG)

    done = botkit(tmp_path, "run", "bot.toml", "--for", "700ms", "--keep-running")

    assert done.returncode == 4, done.stdout + done.stderr
    assert "Ended      the time asked for has passed" in done.stdout
    assert "refused by the gate" in done.stdout


QUIET = """
from botkit import Quote, Strategy


class Odd(Strategy):
    def on_quote(self, quote: Quote) -> None:
        if not self.orders():
            self.sell(self.instrument, "0.01", price=self.instrument.price(quote.bid_px))
"""


def test_a_risk_file_that_cannot_be_written_is_complained_of_once(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(QUIET)
    (tmp_path / "bot.toml").write_text(CONFIG)
    (tmp_path / "var").mkdir(mode=0o755)
    (tmp_path / "var" / "halting.risk.tmp").mkdir()  # where the file is written before it counts

    ended = botkit(tmp_path, "run", "bot.toml", "--for", "4s")

    assert ended.returncode == 0
    assert (ended.stdout + ended.stderr).count("risk state not written") == 1
