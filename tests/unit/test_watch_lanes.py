"""Alerts leave by threads: a URL that refuses or hangs holds nobody up, and loses little."""

import logging
import socket
import subprocess
import sys
import threading

import pytest
import trio
from trio.testing import MockClock

from botkit.config import Secret
from botkit.errors import ConfigError
from botkit.watch.channels import open_channels, pieces
from botkit.watch.lane import MOST_WAITING, Lane
from tests.unit.watch_bench import Hook, Lines, Taker, build_alert, serving

TOKEN = "s3cretpath"  # noqa: S105  a made-up secret to look for


@pytest.fixture
def patient_clock() -> MockClock:
    """Return a clock that jumps once all have been idle long enough for a thread to answer."""
    return MockClock(autojump_threshold=0.1)


async def until_sent(lane: Lane) -> None:
    for _ in range(1_000):
        await trio.sleep(5 if lane.waiting else 0)


async def test_alerts_arrive_in_order(patient_clock: MockClock) -> None:
    taker = Taker()
    lane = Lane(taker, sender="bot", log=lambda *_: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.serve)
        for name in ("one", "two", "three"):
            lane.put(build_alert(name))
            await trio.lowlevel.checkpoint()
        await until_sent(lane)
        nursery.cancel_scope.cancel()

    assert taker.titles == ["bot: one", "bot: two", "bot: three"]
    assert patient_clock.autojump_threshold == 0.1


async def test_a_refused_alert_is_tried_again_and_the_log_hears_of_it_twice(
    patient_clock: MockClock,
) -> None:
    log: Lines = []
    taker = Taker("hook", refusing="HTTP 500")
    lane = Lane(taker, sender="bot", log=lambda *line: log.append(line))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.serve)
        lane.put(build_alert("one"))
        await trio.sleep(16)  # tried at 0, 5 and 15
        lane.put(build_alert("two"))
        tried = len(taker.tried)
        taker.refusing = ""
        await until_sent(lane)
        nursery.cancel_scope.cancel()

    assert tried == 3
    assert taker.titles == ["bot: one", "bot: two"]
    assert log == [
        ("error", "hook does not work", {"error": "HTTP 500"}),
        ("info", "hook works again", {}),
    ]


async def test_a_channel_that_hangs_is_left_behind_and_nothing_is_sent_twice(
    patient_clock: MockClock,
) -> None:
    log: Lines = []
    taker = Taker("hook", hangs=True)
    lane = Lane(taker, sender="bot", log=lambda *line: log.append(line))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.serve)
        lane.put(build_alert("one"))
        await trio.sleep(100)
        assert len(taker.tried) == 1  # one thread at a time, however often it is tried
        assert log == [("error", "hook does not work", {"error": "no answer within 15 s"})]
        taker.released.set()
        await trio.sleep(100)
        nursery.cancel_scope.cancel()

    assert taker.titles == ["bot: one"]
    assert log[1:] == [("info", "hook works again", {})]
    assert not lane.waiting


def test_with_a_hundred_waiting_the_oldest_is_dropped() -> None:
    taker = Taker()
    lane = Lane(taker, sender="bot", log=lambda *_: None)
    for number in range(MOST_WAITING + 2):
        lane.put(build_alert(str(number)))
    lane.send_rest().join(5)

    assert lane.dropped == 2
    assert taker.titles == [f"bot: {number}" for number in range(2, MOST_WAITING + 2)]


async def test_one_dropped_while_it_is_being_sent_takes_no_other_along(
    patient_clock: MockClock,
) -> None:
    taker = Taker(hangs=True)
    lane = Lane(taker, sender="bot", log=lambda *_: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lane.serve)
        lane.put(build_alert("first"))
        await trio.sleep(1)
        for number in range(MOST_WAITING):
            lane.put(build_alert(str(number)))
        taker.hangs = False
        taker.released.set()
        await until_sent(lane)
        nursery.cancel_scope.cancel()

    assert len(taker.titles) == MOST_WAITING + 1


def channel_of(url: str) -> tuple[str, str]:
    """Return the channel's name, and what came of sending a message."""
    (channel,) = open_channels([Secret(url)], "bot.toml")
    return channel.name, channel.send("title", "1 < 2 & so on", "warning")


def test_a_message_arrives_as_it_was_written() -> None:
    with serving(Hook()) as hook:
        name, why = channel_of(f"json://127.0.0.1:{hook.port}/{TOKEN}")

    assert (name, why) == ("alerts.urls.0 (json)", "")
    ((path, body),) = hook.asked
    assert path == f"/{TOKEN}"
    assert '"title": "title", "message": "1 < 2 & so on"' in body
    assert '"type": "warning"' in body


def test_a_service_that_takes_html_shows_the_same_text() -> None:
    with serving(Hook()) as hook:
        channel_of(f"json://127.0.0.1:{hook.port}/?format=html")

    assert '"message": "1&nbsp;&lt;&nbsp;2&nbsp;&amp;&nbsp;so&nbsp;on"' in hook.asked[0][1]


class Heard(logging.Handler):
    """What reaches the handlers of the process."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_what_apprise_logs_reaches_no_handler_of_the_process() -> None:
    heard = Heard()
    logging.getLogger().addHandler(heard)
    try:
        with serving(Hook(status=500)) as hook:
            _, why = channel_of(f"json://127.0.0.1:{hook.port}/{TOKEN}")
    finally:
        logging.getLogger().removeHandler(heard)

    assert why
    assert [record.name for record in heard.records if record.name == "apprise"] == []


def test_an_answer_that_is_an_error_is_told_without_the_url(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with serving(Hook(status=500)) as hook:
        _, why = channel_of(f"json://user:passw0rd@127.0.0.1:{hook.port}/{TOKEN}")

    assert "500" in why
    assert not any(word in why for word in (TOKEN, "passw0rd", "127.0.0.1"))
    assert capfd.readouterr() == ("", "")


def test_a_port_where_nobody_listens_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    _, why = channel_of(f"json://127.0.0.1:{port}/{TOKEN}")

    assert "Connection error" in why
    assert capfd.readouterr() == ("", "")


def test_a_server_that_never_answers_gives_the_thread_back_in_the_end() -> None:
    with serving(Hook(hangs=True)) as hook:
        _, why = channel_of(f"json://127.0.0.1:{hook.port}/{TOKEN}?rto=0.2")

    assert why


def test_apprise_keeps_no_thread_that_the_interpreter_would_wait_for() -> None:
    with serving(Hook()) as hook:
        channel_of(f"json://127.0.0.1:{hook.port}/")

    waited_for = [thread for thread in threading.enumerate() if not thread.daemon]
    assert waited_for == [threading.main_thread()]


@pytest.mark.parametrize("url", [f"foo://{TOKEN}", "json://", f"json://a/{TOKEN}, json://b", ""])
def test_what_apprise_cannot_read_as_one_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_channels([Secret("json://host"), Secret(url)], "bot.toml")

    (problem,) = caught.value.problems
    assert problem.startswith("bot.toml: alerts.urls.1: found *** (text), allowed: one URL")
    assert TOKEN not in problem


def test_a_service_that_raises_is_a_failure_like_any_other() -> None:
    (channel,) = open_channels([Secret(f"json://{TOKEN}")], "bot.toml")
    broken: object = object()
    object.__setattr__(channel, "_service", broken)

    why = channel.send("title", "body", "info")

    assert why.startswith("AttributeError: ")


def test_every_part_of_a_url_but_its_scheme_is_hidden_as_written_and_unquoted() -> None:
    hidden = pieces("tgram://12345:abc%20def/chat?cto=1")

    assert {"12345", "abc%20def", "abc def", "chat"} <= hidden
    assert "tgram" not in hidden


WITHOUT_EXTRAS = """
import sys
sys.modules["apprise"] = sys.modules["prometheus_client"] = None  # as where they are not installed
from botkit.config import load
from botkit.watch import problems_of
print(*problems_of(load("bot.toml")), sep="\\n")
"""
BOTH = """
[bot]
name = "x"
[venues.paper]
type = "paper"
[[strategies]]
type = "grid"
instrument = "paper:BTC-EUR"
[alerts]
urls = ["json://host"]
[metrics]
port = 0
"""


def test_without_the_extras_the_errors_name_the_install_commands(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("extras")
    (folder / "bot.toml").write_text(BOTH)
    told = subprocess.run(  # noqa: S603  our own interpreter and the text above
        [sys.executable, "-c", WITHOUT_EXTRAS],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()

    assert told == [
        (
            "bot.toml: alerts: needs apprise, which is not installed; pip install "
            "'botkit[alerts]', or leave [alerts] out"
        ),
        (
            "bot.toml: metrics: needs prometheus-client, which is not installed; "
            "pip install 'botkit[metrics]', or leave [metrics] out"
        ),
    ]


def test_what_is_not_configured_is_not_imported() -> None:
    optional = "{'apprise', 'requests', 'prometheus_client'}"
    code = f"import sys, botkit.cli.running; print({optional} & {{*sys.modules}})"
    told = subprocess.run(  # noqa: S603  our own interpreter and the text above
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout

    assert told == "set()\n"
