"""A running bot in a process of its own, and the command line that talks to it."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer

from botkit.cli.asking import Line
from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.control import Look, StatusTold, socket_path

ROOT = Path(__file__).parents[2]
ENTRY = "from botkit.cli import main; main()"
TOO_LONG_S = 50.0

STRATEGY = """
from botkit import Quote, Strategy


class Quoter(Strategy):
    def on_quote(self, quote: Quote) -> None:
        instrument, bid_px = self.instrument, quote.bid_px
        if not any(order.keep for order in self.orders()):
            self.buy(instrument, "0.02", price=instrument.price(bid_px * 0.7), keep=True)
        for factor in (0.8, 0.9):
            price = instrument.price(bid_px * factor)
            if sum(not order.keep for order in self.orders()) < 2:
                self.buy(instrument, "0.01", price=price)
"""

VENUE = '''
"""A venue that falls silent once there is a file of the name "cut"."""

from pathlib import Path

from venues.paper.venue import PaperVenue


class Silent(PaperVenue):
    def __init__(self, **terms):
        super().__init__(**terms)
        self.keeps_orders = True
        self._listed = False

    def _hears(self):
        return not Path("cut").exists()

    def submit(self, order):
        if self._hears():
            super().submit(order)

    def cancel(self, order):
        if self._hears():
            super().cancel(order)

    def ask(self, question):
        first, self._listed = not self._listed, True
        if self._hears() or first:  # what rests at the start
            super().ask(question)
'''

CONFIG = """
[bot]
name = "NAME"
clean_up = "300ms"
guardian = { enabled = false }

[venues.paper]
type = "TYPE"
feed = { type = "synthetic", seed = 7, speed = "SPEED" }
balances = { BTC = "1", EUR = "1000000" }

[[strategies]]
type = "./quoter.py:Quoter"
name = "quoter"
instrument = "paper:BTC-EUR"
"""


def prepare(folder: Path, *, name: str = "e2e", type_: str = "paper", speed: str = "1x") -> str:
    """Write config, strategy and venue into `folder`; return the config's name."""
    (folder / "quoter.py").write_text(STRATEGY)
    (folder / "silent.py").write_text(VENUE)
    dist = folder / "silent-1.0.dist-info"
    dist.mkdir(exist_ok=True)
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: silent\nVersion: 1.0\n")
    (dist / "entry_points.txt").write_text("[botkit.venues]\nsilent = silent:Silent\n")
    text = CONFIG.replace("NAME", name).replace("TYPE", type_).replace("SPEED", speed)
    (folder / f"{name}.toml").write_text(text)
    return f"{name}.toml"


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    return subprocess.Popen(  # noqa: S603  our own entry point
        [sys.executable, "-c", ENTRY, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def botkit(folder: Path, *words: str) -> tuple[int, str]:
    """Call a command in a process of its own; return its exit code and all it said."""
    process = started(folder, *words)
    out, _ = process.communicate(timeout=TOO_LONG_S)
    return process.returncode, out


def botkit_here(folder: Path, *words: str) -> tuple[int, str]:
    """Call a command in this process, which is faster; return its exit code and all it said."""
    said = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        return call(list(words), Session()), said.getvalue()


@contextlib.contextmanager
def running(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a bot meanwhile; it is killed at the end, and if a test takes too long."""
    process = started(folder, "run", *words, "--no-status")
    alarm = Timer(TOO_LONG_S, process.kill)
    alarm.start()
    try:
        yield process
    finally:
        alarm.cancel()
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def look(folder: Path, bot: str = "e2e") -> StatusTold | None:
    """Return the status of `bot`, asked for in this process; None if it does not run."""
    line = Line.open(bot, socket_path(folder / "var", bot))
    if line is None:
        return None
    with line:
        status = line.ask(Look())
    assert status is None or isinstance(status, StatusTold)
    return status


def until(
    process: subprocess.Popen[str],
    folder: Path,
    holds: Callable[[StatusTold], bool],
    bot: str = "e2e",
) -> StatusTold:
    """Look at the bot until `holds`; its alarm ends this, for a process that is dead fails."""
    while process.poll() is None:
        status = look(folder, bot)
        if status is not None and holds(status):
            return status
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    raise AssertionError(process.communicate()[0])
