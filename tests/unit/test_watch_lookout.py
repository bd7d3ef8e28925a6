"""All that looks at a run: nothing where nothing is asked for, and last words however it ends."""

from pathlib import Path

import pytest
import trio
import trio.testing

from botkit.clock import BacktestClock, Clock
from botkit.config import Config, load
from botkit.engine.dispatch import Dispatcher
from botkit.model import Halted
from botkit.shell import ExitCode
from botkit.testing.builders import START_NS
from botkit.testing.engine_rig import Actor, EngineRig
from botkit.testing.memory_journal import MemoryJournal
from botkit.watch import Lookout
from tests.unit.watch_bench import Hook, Lines, bot_of, serving

BASE = """
[bot]
name = "x"
[venues.paper]
type = "paper"
[[strategies]]
type = "grid"
instrument = "paper:BTC-EUR"
"""
COUNTS = dict.fromkeys(("submitted", "replaces", "cancels", "rejected", "fills"), 0)
CLOCK: Clock = BacktestClock(origin_ns=START_NS, current_ns=START_NS)


def config_of(folder: Path, text: str) -> Config:
    (folder / "bot.toml").write_text(BASE + text)
    return load(folder / "bot.toml")


def lookout_of(config: Config | None, log: Lines) -> Lookout:
    return Lookout(
        config, mode="PAPER", redact=lambda text: text, log=lambda *line: log.append(line)
    )


async def looking(lookout: Lookout) -> None:
    """Look at a bot for a moment."""
    rig = EngineRig(Actor())
    rig.start()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lookout.serve, bot_of(rig), "PAPER  a bot")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("sections", [None, ""])
async def test_where_nothing_is_asked_for_the_run_is_as_if_nobody_looked(
    tmp_path: Path, sections: str | None
) -> None:
    log: Lines = []
    journal = MemoryJournal()
    with lookout_of(None if sections is None else config_of(tmp_path, sections), log) as lookout:
        await lookout.open(CLOCK)
        assert lookout.tap(journal) is journal
        assert lookout.measured(Dispatcher) is Dispatcher
        await looking(lookout)
        lookout.ended(ExitCode.CLEAN, ["nothing rests"])

    assert log == []


async def test_a_run_that_breaks_down_says_so_and_that_orders_may_rest(tmp_path: Path) -> None:
    with serving(Hook()) as hook:
        config = config_of(tmp_path, f'[alerts]\nurls = ["json://127.0.0.1:{hook.port}/"]\n')
        lookout = lookout_of(config, [])

        async def run() -> None:
            with lookout:
                await lookout.open(CLOCK)
                await looking(lookout)
                raise RuntimeError("out of memory")

        with pytest.raises(RuntimeError):
            await run()
        lookout.close()

    bodies = [body for _, body in hook.asked]
    assert (
        '"title": "x: broke down", "message": "RuntimeError: out of memory\\nORDERS MAY REST'
        in (bodies[-1])
    )
    assert '"title": "x: started"' in bodies[0]
    assert len(bodies) == 2


async def test_an_error_before_there_is_a_bot_alerts_nobody(tmp_path: Path) -> None:
    with serving(Hook()) as hook:
        config = config_of(tmp_path, f'[alerts]\nurls = ["json://127.0.0.1:{hook.port}/"]\n')
        with pytest.raises(RuntimeError), lookout_of(config, []):
            raise RuntimeError("no such instrument")

    assert hook.asked == []


async def test_a_halt_that_ends_the_run_at_once_is_told_before_the_last_words(
    tmp_path: Path,
) -> None:
    rig = EngineRig(Actor())
    rig.start()
    with serving(Hook()) as hook:
        config = config_of(tmp_path, f'[alerts]\nurls = ["json://127.0.0.1:{hook.port}/"]\n')
        with lookout_of(config, []) as lookout:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lookout.serve, bot_of(rig), "PAPER  a bot")
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            journal = lookout.tap(MemoryJournal())
            journal.record(Halted(rule="operator", reason="off", receive_time_ns=START_NS))
            lookout.ended(ExitCode.STOPPED_BY_RISK, ["nothing rests"])

    titles = [body.partition('"title": "')[2].partition('"')[0] for _, body in hook.asked]
    assert titles == ["x: started", "x: HALTED by operator", "x: ended with exit code 4"]


@pytest.mark.parametrize(
    ("code", "severity"), [(ExitCode.CLEAN, "success"), (ExitCode.ORDERS_MAY_REST, "failure")]
)
async def test_the_last_words_are_the_summary(
    tmp_path: Path, code: ExitCode, severity: str
) -> None:
    with serving(Hook()) as hook:
        text = f'[alerts]\nurls = ["json://127.0.0.1:{hook.port}/"]\non = ["stop"]\n'
        with lookout_of(config_of(tmp_path, text), []) as lookout:
            await looking(lookout)
            lookout.ended(code, ["Resting    1 order MAY REST"])

    ((_, body),) = hook.asked
    assert f'"title": "x: ended with exit code {int(code)}"' in body
    assert '"message": "Resting    1 order MAY REST\\n2024-01-01 00:00:00 UTC"' in body
    assert f'"type": "{severity}"' in body


async def test_metrics_are_served_while_looking_and_their_place_is_logged(tmp_path: Path) -> None:
    log: Lines = []
    config = config_of(tmp_path, "[metrics]\nport = 0\n")
    rig = EngineRig(Actor())
    with lookout_of(config, log) as lookout:
        lookout.counts = lambda: COUNTS
        await lookout.open(CLOCK)
        assert lookout.tap(rig.journal) is not rig.journal
        rig.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lookout.serve, bot_of(rig), "PAPER  a bot")
            ((_, _, fields),) = log
            port = int(str(fields["at"]).rpartition(":")[2].removesuffix("/metrics"))
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            async with stream:
                await stream.send_all(b"GET /metrics HTTP/1.1\r\n\r\n")
                answer = b"".join([part async for part in stream])
            nursery.cancel_scope.cancel()

    assert b'botkit_queue_depth{queue="alerts"} 0.0' in answer
    assert log[0][:2] == ("info", "metrics")


async def test_an_address_that_others_reach_is_warned_about(tmp_path: Path) -> None:
    log: Lines = []
    every_address = ".".join("0000")
    config = config_of(tmp_path, f'[metrics]\nport = 0\nhost = "{every_address}"\n')
    with lookout_of(config, log) as lookout:
        await lookout.open(CLOCK)

    assert [line[:2] for line in log] == [
        ("info", "metrics"),
        ("warning", "other machines can read the metrics"),
    ]


async def test_a_heartbeat_alone_needs_no_apprise_and_beats(tmp_path: Path) -> None:
    with serving(Hook()) as hook:
        text = f'[alerts]\nheartbeat = {{ url = "http://127.0.0.1:{hook.port}/beat" }}\n'
        with lookout_of(config_of(tmp_path, text), []) as lookout:
            rig = EngineRig(Actor())
            rig.start()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lookout.serve, bot_of(rig), "PAPER  a bot")
                for _ in range(500):
                    await trio.sleep(0 if hook.asked else 0.01)
                nursery.cancel_scope.cancel()

    assert [path for path, _ in hook.asked] == ["/beat"]
