"""Every command that reads, while a paper bot runs in another process, and after it has ended."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from botkit.cli.main import call
from botkit.cli.session import Session

ROOT = Path(__file__).parents[2]
START = [sys.executable, "-c", "from botkit.cli import main; main()"]

STRATEGY = """
from botkit import Fill, Order, Quote, Strategy


class Once(Strategy):
    has_begun = False

    def on_quote(self, quote: Quote) -> None:
        if not self.has_begun:
            self.has_begun = True
            self.buy(self.instrument, "0.01", price=self.instrument.price(quote.bid_px * 0.9))
            self.buy(self.instrument, "5", price=self.instrument.price(quote.bid_px))
            self.buy(self.instrument, "0.02")

    def on_fill(self, order: Order, fill: Fill) -> None:
        self.log("traded", key="hunter2")
"""

CONFIG = """
[bot]
name = "watched"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7, speed = "10x" }
balances = { EUR = "100000" }
fees = { maker_bps = "10", taker_bps = "20" }

[[strategies]]
type = "./once.py:Once"
instrument = "paper:BTC-EUR"

[risk]
max_order_qty = "1"
max_daily_loss = "500"
"""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the bot and wait until it has traded; it is ended in any case."""
    bot = subprocess.Popen(  # noqa: S603  our own entry point
        [*START, "run", "bot.toml", "--no-status", "--for", "5m"],  # half a minute of ours
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert bot.stdout is not None
    try:
        assert any("traded" in line for line in bot.stdout)
        yield bot
    finally:
        if bot.poll() is None:
            bot.kill()
        bot.stdout.close()
        bot.wait(20)


class Reader:
    """Calls commands in this process, on the folder that the bot runs in."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def people(self, *words: str) -> str:
        """Return what a person sees."""
        code = call(list(words), Session())
        out, err = self._capsys.readouterr()
        assert (code, err) == (0, ""), (words, err)
        return out

    def programs(self, *words: str) -> list[dict[str, Any]]:
        """Return what a program reads as JSON, having seen as many lines of CSV."""
        told = [json.loads(line) for line in self.people(*words, "--json").splitlines()]
        lines = list(csv.DictReader(io.StringIO(self.people(*words, "--csv"))))
        assert len(lines) == len([each for each in told if "history" not in each])
        return told


def look(read: Reader) -> None:
    """Call every command while the bot runs."""
    assert "  running\n" in read.people("history")

    resting, filled = read.programs("orders", "bot.toml")
    assert (resting["ord_status"], filled["ord_status"]) == ("NEW", "FILLED")
    assert "1 order that may rest" in read.people("orders", "--open")
    (refused,) = read.programs("orders", "--refused")

    (fill,) = read.programs("fills", "bot.toml")
    assert fill["client_order_id"] == filled["client_order_id"]
    assert fill["qty"] == "0.02"

    (position,) = read.programs("positions")
    assert (position["strategy"], position["qty"]) == ("Once", "0.02")
    assert "not known" in read.people("positions", "bot.toml")  # no equity point has come yet

    story = read.people("explain", filled["client_order_id"], "bot.toml")
    assert "by Once: filled" in story
    assert "max_order_qty" in story
    assert "refused by max_order_qty, so it never left" in read.people(
        "explain", refused["client_order_id"]
    )
    assert "rests at the venue" in read.people("explain", resting["venue_order_id"])
    assert read.programs("explain", resting["venue_order_id"])[0]["event"] == "outcome"

    switch, *rules = read.programs("risk", "show", "bot.toml")
    assert switch["halted"] is None
    assert {each["rule"]: each["refused"] for each in rules}["max_order_qty"] == 1
    assert "not tripped: bot watched may trade" in read.people("risk", "show")

    assert "traded  strategy=Once" in read.people("logs", "bot.toml")
    assert "refused" in read.people("logs", "--level", "warning")

    day = fill["time"][:10]
    (line,) = read.programs("statement", "--day", day)
    assert (line["bought"], line["closing"]) == ("0.02", "0.02")
    Path("venue.csv").write_text(read.people("fills", "--csv"))
    compared = read.people("statement", "bot.toml", "--day", day, "--venue-fills", "venue.csv")
    assert "1 matched, 0 differing, 0 missing here, 0 missing there" in compared


def test_every_reading_command_beside_a_running_bot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "once.py").write_text(STRATEGY)
    (tmp_path / "bot.toml").write_text(CONFIG)
    read = Reader(capsys)

    with running(tmp_path) as bot:
        look(read)
        with subprocess.Popen(  # noqa: S603  our own entry point
            [*START, "logs", "--follow", "--lines", "1000"], stdout=subprocess.PIPE, text=True
        ) as follower:
            assert follower.stdout is not None
            assert "venue up" in follower.stdout.readline()
            bot.send_signal(signal.SIGINT)
            assert bot.wait(20) == 0
            followed = follower.stdout.read()
            assert follower.wait(20) == 0

    assert "traded" in followed
    (run,) = read.programs("history", "bot.toml")
    assert (run["exit_code"], run["orders"], run["refused"], run["fills"]) == (0, 2, 1, 1)
    assert "by Once: canceled at our request" in read.people("explain", "1")
    (position,) = read.programs("positions")
    assert position["mark_px"] is not None  # the last equity point is of the end
    assert position["unrealised"] == run["profit"][0]["unrealised"]
    assert "0 orders that may rest" in read.people("orders", "--open")
