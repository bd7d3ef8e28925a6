"""Signals to real processes: the first ends in good order, the second at once."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from botkit.journal import JournalReader, SqliteJournal

ROOT = Path(__file__).parents[2]

STRATEGIES = '''
import trio

from botkit import Quote, Strategy


class Quoter(Strategy):
    """Has two orders working at any time, and says when."""

    def on_quote(self, quote: Quote) -> None:
        working = self.orders()
        if len(working) < 2:
            price = self.instrument.price(quote.bid_px * 0.999)
            self.buy(self.instrument, "0.01", price=price)
        else:
            self.log("working")
            working[0].cancel()


class Hung(Strategy):
    """Places an order, and at the next quote never returns."""

    def on_quote(self, quote: Quote) -> None:
        if not self.orders():
            price = self.instrument.price(quote.bid_px * 0.9)
            self.buy(self.instrument, "0.01", price=price)
            return
        print("hung", flush=True)
        while True:
            pass


class Deaf(Strategy):
    """Places an order and does not end when it is canceled."""

    async def run(self) -> None:
        quote = await self.next_quote()
        self.buy(self.instrument, "0.01", price=self.instrument.price(quote.bid_px * 0.9))
        self.log("working")
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()
'''

CONFIG = """
[bot]
name = "signaled"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7, speed = "10x" }
latency = "50ms"

[[strategies]]
type = "./mine.py:CLASS"
instrument = "paper:BTC-EUR"
"""


@contextlib.contextmanager
def started(folder: Path, cls: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start the bot of one strategy class in `folder`."""
    (folder / "mine.py").write_text(STRATEGIES)
    (folder / "bot.toml").write_text(CONFIG.replace("CLASS", cls))
    with subprocess.Popen(  # noqa: S603  our own file
        [sys.executable, str(ROOT / "run.py"), "bot.toml", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], word: str, times: int = 1) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        times -= word in line
        if not times:
            return
    raise AssertionError(f"{word} was not printed")


def rest_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=50)
    return out, err


@pytest.mark.parametrize(
    ("number", "word", "times"),
    [
        (signal.SIGINT, "PAPER", 1),  # before anything has been prepared
        (signal.SIGINT, "venue up", 1),
        (signal.SIGINT, "working", 1),
        (signal.SIGINT, "working", 7),
        (signal.SIGTERM, "working", 3),
        (signal.SIGHUP, "working", 5),
    ],
)
def test_the_first_signal_ends_it_clean(
    tmp_path: Path, number: signal.Signals, word: str, times: int
) -> None:
    with started(tmp_path, "Quoter") as process:
        read_until(process, word, times)
        process.send_signal(number)
        out, err = rest_of(process)

    assert process.returncode == 0, out + err
    assert f"signal {number.name}" in out
    with JournalReader(tmp_path / "var" / "signaled.sqlite") as reader:
        run = reader.last_run()
        assert run is not None
        assert (run.exit_code, run.reason) == (0, f"signal {number.name}")
        orders = reader.orders(run.run_id)
        assert not [order for order in orders if order.may_rest]
        assert orders or word != "working"


def test_a_second_signal_ends_a_hook_that_never_returns(tmp_path: Path) -> None:
    with started(tmp_path, "Hung") as process:
        read_until(process, "hung")
        process.send_signal(signal.SIGINT)
        # Two pending signals of one number are one, so the second is of another.
        process.send_signal(signal.SIGTERM)
        _, err = rest_of(process)

    assert process.returncode == 3
    assert "These may rest:" in err
    assert "buy 0.01 paper:BTC-EUR" in err


def test_a_coroutine_that_never_ends_holds_up_the_end_no_longer_than_the_deadline(
    tmp_path: Path,
) -> None:
    with started(tmp_path, "Deaf", "--set", "bot.clean_up=100ms") as process:
        read_until(process, "working")
        process.send_signal(signal.SIGINT)
        out, err = rest_of(process)

    assert process.returncode == 1, out + err
    assert "run() of Deaf went on" in out
    assert "Exit code  1" in out
    with JournalReader(tmp_path / "var" / "signaled.sqlite") as reader:
        run = reader.last_run()
        assert run is not None
        assert run.exit_code == 1
        assert not [order for order in reader.orders(run.run_id) if order.may_rest]


def test_a_loop_at_full_speed_hears_a_signal(tmp_path: Path) -> None:
    with started(tmp_path, "Quoter", "--set", "venues.paper.feed.speed=max") as process:
        read_until(process, "working", 3)
        process.send_signal(signal.SIGINT)
        out, err = rest_of(process)

    assert process.returncode == 0, err
    assert "signal SIGINT" in out


def test_a_second_start_is_refused_and_does_no_harm(tmp_path: Path) -> None:
    with started(tmp_path, "Quoter") as first:
        read_until(first, "working")
        with started(tmp_path, "Quoter") as second:
            out, err = rest_of(second)
        assert second.returncode == 2
        assert "running already" in err
        assert not out
        first.send_signal(signal.SIGINT)
        rest_of(first)
        assert first.returncode == 0


def test_the_start_after_a_kill_says_what_became_of_the_orders(tmp_path: Path) -> None:
    with started(tmp_path, "Quoter") as first:
        read_until(first, "working", 2)
        first.kill()
        first.wait(50)

    with started(tmp_path, "Quoter", "--for", "5s") as second:
        out, err = rest_of(second)

    assert second.returncode == 0, err
    assert "was killed; its" in out
    assert "ended with it" in out
    journal = SqliteJournal.open(tmp_path / "var", "signaled")
    assert journal.unfinished() == []
    journal.close()


def test_on_a_terminal_it_draws_a_status_view_and_restores_the_cursor(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(STRATEGIES)
    (tmp_path / "bot.toml").write_text(CONFIG.replace("CLASS", "Quoter"))
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(  # noqa: S603  our own file
        [sys.executable, str(ROOT / "run.py"), "bot.toml", "--for", "20s"],
        cwd=tmp_path,
        env=environ,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # the other end is closed when it ends
            while piece := os.read(ours, 65536):
                seen += piece
        assert process.wait(50) == 0
    os.close(ours)
    text = seen.decode(errors="replace")
    assert "working orders" in text
    assert "events/s" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "Exit code" in text


def test_a_terminal_that_takes_nothing_holds_up_neither_the_bot_nor_its_end(
    tmp_path: Path,
) -> None:
    """As after Ctrl-S: nobody reads, and still it trades, stops, and its exit code is the truth."""
    (tmp_path / "mine.py").write_text(STRATEGIES)
    (tmp_path / "bot.toml").write_text(CONFIG.replace("CLASS", "Quoter"))
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603  our own file
        [sys.executable, str(ROOT / "run.py"), "bot.toml", "--for", "30s"],
        cwd=tmp_path,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        complaints = process.stderr.read()
        assert process.wait(50) == 0, complaints
    os.close(ours)
    assert not complaints
    with JournalReader(tmp_path / "var" / "signaled.sqlite") as reader:
        run = reader.last_run()
        assert run is not None
        assert run.exit_code == 0
