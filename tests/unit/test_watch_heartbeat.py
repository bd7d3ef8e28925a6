"""A heartbeat is a sign of life: it comes while the engine handles events, and only then."""

import socket

import pytest
import trio
from trio.testing import MockClock

from botkit.clock import LiveClock
from botkit.config import HeartbeatConfig, Secret
from botkit.shell import Bot
from botkit.testing.builders import START_NS, build_quote
from botkit.testing.engine_rig import Actor, EngineRig
from botkit.watch.heartbeat import Heartbeat
from tests.unit.watch_bench import Hook, Lines, bot_of, serving

EVERY_NS = 60_000_000_000


@pytest.fixture
def patient_clock() -> MockClock:
    """Return a clock that jumps once all have been idle long enough for a thread to answer."""
    return MockClock(autojump_threshold=0.1)


def heart(url: str, log: Lines, every_ns: int = EVERY_NS) -> Heartbeat:
    return Heartbeat(
        HeartbeatConfig(url=Secret(url), every=every_ns),
        redact=lambda text: text.replace("s3cret", "***"),
        log=lambda *line: log.append(line),
    )


def build_bot() -> Bot:
    rig = EngineRig(Actor())
    rig.start()
    bot = bot_of(rig)
    bot.clock = LiveClock(origin_ns=START_NS)
    return bot


async def beat(url: str, bot: Bot, log: Lines, seconds: float, quotes_until_s: float) -> None:
    """Let a heart beat for so long, with a quote a second for the first of it."""

    async def feed() -> None:
        for after_s in range(1, int(quotes_until_s)):
            await trio.sleep_until(started + after_s)
            bot.engine.handle(build_quote(after_s, 100.0, 101.0))

    started = trio.current_time()
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed)
            await heart(url, log).serve(bot)


async def test_it_beats_at_once_and_then_every_minute(patient_clock: MockClock) -> None:
    log: Lines = []
    with serving(Hook()) as hook:
        url = f"http://127.0.0.1:{hook.port}/ping/s3cret"
        await beat(url, build_bot(), log, seconds=130, quotes_until_s=5)

    assert [path for path, _ in hook.asked] == ["/ping/s3cret"] * 2
    assert log == [("error", "no heartbeat: the engine has handled nothing lately", {})]
    assert patient_clock.autojump_threshold


async def test_it_stops_for_an_engine_that_handles_nothing_and_goes_on_when_it_does(
    patient_clock: MockClock,
) -> None:
    log: Lines = []
    bot = build_bot()
    with serving(Hook()) as hook:
        url = f"http://127.0.0.1:{hook.port}/"
        with trio.move_on_after(250):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(heart(url, log).serve, bot)
                await trio.sleep(230)  # beats at 0 and 60
                assert len(hook.asked) == 2
                bot.engine.handle(build_quote(230, 100.0, 101.0))

    assert len(hook.asked) == 3  # the last at 240
    assert len(log) == 1


async def test_an_engine_whose_own_timer_is_slower_than_the_beat_is_given_that_time(
    patient_clock: MockClock,
) -> None:
    log: Lines = []
    rig = EngineRig(Actor(), equity_every_ns=10 * EVERY_NS)
    rig.start()
    bot = bot_of(rig)
    bot.clock = LiveClock(origin_ns=START_NS)
    with serving(Hook()) as hook, trio.move_on_after(599):
        await heart(f"http://127.0.0.1:{hook.port}/", log).serve(bot)

    assert len(hook.asked) == 10
    assert log == []


async def test_before_the_first_event_there_is_no_beat_and_no_complaint(
    patient_clock: MockClock,
) -> None:
    log: Lines = []
    bot = bot_of(EngineRig(Actor()))
    bot.clock = LiveClock(origin_ns=START_NS)
    with serving(Hook()) as hook:
        await beat(f"http://127.0.0.1:{hook.port}/", bot, log, seconds=130, quotes_until_s=0)

    assert (hook.asked, log) == ([], [])


@pytest.mark.parametrize("status", [404, 500])
async def test_a_failure_is_told_once_and_that_it_works_again_too(
    patient_clock: MockClock, status: int
) -> None:
    log: Lines = []
    with serving(Hook(status=status)) as hook:
        a_heart = heart(f"http://127.0.0.1:{hook.port}/s3cret", log, every_ns=1_000_000_000)
        with trio.move_on_after(4.5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(a_heart.serve, build_bot())
                await trio.sleep(2.5)
                hook.status = 200

    assert len(hook.asked) == 5
    assert log == [
        ("error", "the heartbeat does not work", {"error": f"HTTP status {status}"}),
        ("info", "the heartbeat works again", {}),
    ]


async def test_a_server_that_hangs_holds_nobody_up(patient_clock: MockClock) -> None:
    log: Lines = []
    with serving(Hook(hangs=True)) as hook:
        await beat(f"http://127.0.0.1:{hook.port}/", build_bot(), log, 30, 1)

    assert log == [("error", "the heartbeat does not work", {"error": "no answer within 10 s"})]


async def test_a_port_where_nobody_listens_is_told(patient_clock: MockClock) -> None:
    log: Lines = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    await beat(f"http://127.0.0.1:{port}/s3cret", build_bot(), log, 1, 1)

    ((_, _, fields),) = log
    assert "refused" in str(fields["error"])


async def test_a_server_that_speaks_no_http_is_told(patient_clock: MockClock) -> None:
    log: Lines = []

    async def mumble(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"s3cret\r\n\r\n")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, mumble, listeners)
        port = listeners[0].socket.getsockname()[1]
        await beat(f"http://127.0.0.1:{port}/", build_bot(), log, 1, 1)
        nursery.cancel_scope.cancel()

    ((_, _, fields),) = log
    assert fields["error"] == "BadStatusLine: ***\r\n"
