"""A bot in a process of its own, those who are told of it on real sockets."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.unit.watch_bench import Hook, serving

ROOT = Path(__file__).parents[2]
WORDS = ("s3cretpath", "s3cretbeat", "passw0rd")
FAST = ("--set", "venues.paper.feed.speed=max")

STRATEGY = """
from botkit import Quote, Strategy


class Odd(Strategy):
    def on_quote(self, quote: Quote) -> None:
        if not self.orders():
            self.buy(self.instrument, "0.01", price=self.instrument.price(quote.bid_px * 0.9))
            self.set_timer("halt", {halt_s})

    def on_timer(self, name: str) -> None:
        self.halt("the market looks odd")
"""

CONFIG = """
[bot]
name = "watched"
report_currency = "EUR"

[venues.paper]
type = "paper"
feed = {{ type = "synthetic", seed = 7 }}
balances = {{ EUR = "100000" }}

[[strategies]]
type = "./odd.py:Odd"
instrument = "paper:BTC-EUR"

[alerts]
urls = ["json://user:passw0rd@127.0.0.1:{port}/s3cretpath"]
heartbeat = {{ url = "http://127.0.0.1:{port}/s3cretbeat", every = "200ms" }}

[metrics]
port = 0
"""


def write(folder: Path, port: int, halt_s: float = 60.0) -> None:
    (folder / "odd.py").write_text(STRATEGY.format(halt_s=halt_s))
    (folder / "bot.toml").write_text(CONFIG.format(port=port))


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603  our own entry point
        [sys.executable, "-c", "from botkit.cli import main; main()", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def botkit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    with started(folder, *words) as process:
        stdout, stderr = process.communicate(timeout=50)
    return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)


def messages(hook: Hook) -> list[tuple[str, str]]:
    posted = [json.loads(body) for path, body in hook.asked if path == "/s3cretpath"]
    return [(each["title"], each["message"]) for each in posted]


def test_start_halt_and_stop_are_told_metrics_are_read_meanwhile_and_no_secret_shows(
    tmp_path: Path,
) -> None:
    with serving(Hook()) as hook:
        write(tmp_path, hook.port, halt_s=1.5)
        with started(tmp_path, "run", "bot.toml", "--for", "20s") as process:
            assert process.stdout is not None
            lines, text = [], ""
            for line in process.stdout:
                lines.append(line)
                if address := re.search(r"at=(http://127\.0\.0\.1:\d+/metrics)", line):
                    with urllib.request.build_opener().open(address[1], timeout=5) as page:
                        text = page.read().decode()
            code, errors = process.wait(20), process.stderr
            assert errors is not None
            said = "".join(lines) + errors.read()

    assert code == 4, said
    told = messages(hook)
    assert [title for title, _ in told] == [
        "watched: started",
        "watched: HALTED by strategies.Odd",
        "watched: ended with exit code 4",
    ]
    assert told[0][1].startswith("PAPER  watched: Odd on paper:BTC-EUR")
    assert told[1][1].startswith("the market looks odd\n")
    assert "Resting    nothing\n" in told[2][1]
    assert "Halted     by strategies.Odd: the market looks odd\n" in told[2][1]
    assert [path for path, _ in hook.asked].count("/s3cretbeat") >= 3
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"botkit_events", "botkit_halted", "botkit_tick_to_order_seconds"} <= names
    shown = botkit(tmp_path, "show-config", "bot.toml").stdout
    assert 'urls = ["***"]' in shown
    kept = b"".join(path.read_bytes() for path in (tmp_path / "var").iterdir() if path.is_file())
    for word in WORDS:
        assert word not in said + shown + text
        assert word.encode() not in kept


def test_a_hook_that_hangs_delays_the_end_by_five_seconds_at_most_and_no_cancel(
    tmp_path: Path,
) -> None:
    with serving(Hook(hangs=True)) as hook:
        write(tmp_path, hook.port)
        began = time.monotonic()
        done = botkit(tmp_path, "run", "bot.toml", "--for", "500ms", "--log", "json")
        took_s = time.monotonic() - began

    assert done.returncode == 0, done.stdout + done.stderr
    events = {line["event"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert events["summary"]["seconds"] < 2
    assert events["alerts were not sent"]["count"] == 2
    assert events["alerts were not sent"]["to"] == "alerts.urls.0 (json)"
    assert took_s < 15
    assert not any(word in done.stdout + done.stderr for word in WORDS)


def test_a_port_that_is_taken_ends_the_start_before_anything_trades(tmp_path: Path) -> None:
    with serving(Hook()) as hook, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        write(tmp_path, hook.port)
        done = botkit(tmp_path, "run", "bot.toml", "--for", "1s", "--set", f"metrics.port={port}")

    assert done.returncode == 2
    assert f"bot.toml: metrics: cannot listen at 127.0.0.1 port {port}: " in done.stderr
    assert hook.asked == []


def test_a_replay_at_full_speed_tells_nobody_not_even_of_a_halt(tmp_path: Path) -> None:
    with serving(Hook()) as hook:
        write(tmp_path, hook.port, halt_s=1.0)
        done = botkit(tmp_path, "run", "bot.toml", "--for", "1m", *FAST)

    assert done.returncode == 4, done.stdout + done.stderr
    assert hook.asked == []
    assert "metrics" not in done.stdout


def test_the_alerts_can_be_tried_and_each_says_whether_it_worked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"json://127.0.0.1:{closed.getsockname()[1]}/s3cretpath"
    with serving(Hook()) as hook:
        write(tmp_path, hook.port)
        one = botkit(tmp_path, "alerts", "test", "bot.toml")
        urls = f'alerts.urls=["json://127.0.0.1:{hook.port}/s3cretpath", "{dead}"]'
        two = botkit(tmp_path, "alerts", "test", "bot.toml", "--set", urls)

    assert (one.returncode, one.stdout) == (0, "alerts.urls.0 (json)         sent\n")
    assert two.returncode == 1
    worked, failed = two.stdout.splitlines()
    assert worked == "alerts.urls.0 (json)         sent"
    assert failed.startswith("alerts.urls.1 (json)         FAILED: ")
    assert messages(hook)[0][0] == "watched: test"
    assert [path for path, _ in hook.asked] == ["/s3cretpath"] * 2
    assert not any(word in two.stdout + two.stderr for word in WORDS)


def test_without_a_url_there_is_nothing_to_try(tmp_path: Path) -> None:
    write(tmp_path, 1)

    done = botkit(tmp_path, "alerts", "test", "bot.toml", "--set", "alerts.urls=[]")

    assert done.returncode == 2
    assert done.stderr.startswith("bot.toml: alerts.urls: missing, allowed: one URL or more")
