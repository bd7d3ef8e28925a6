"""A guardian in this process: whose turn it is, what it leaves alone, when it gives up."""

import os
import socket
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from botkit.cli.guarded import Guards
from botkit.cli.guarding import Guardian
from botkit.cli.journal_opening import open_journal
from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.cli.signals import SignalWatch
from botkit.cli.standing import standing_socket
from botkit.clock import wall_time_ns
from botkit.config import Config, load
from botkit.errors import AlreadyRunningError, BeingSweptError, ConfigError
from botkit.journal import JournalReader, SqliteJournal
from botkit.journal.database import LockFile
from botkit.killswitch import KillSwitch
from botkit.live import Process, Watch, Word
from botkit.shell import ExitCode, Stop
from botkit.testing import build_new_order

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = """
[bot]
name = "unit"
state_dir = "STATE"

[bot.guardian]
give_up_after = "5s"
hung_after = "2s"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7 }

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = { qty = "0.02" }
"""


class Folder:
    """A config with its state, a guardian over it, and what that logs."""

    def __init__(self, path: Path, more: str = "") -> None:
        self.state = path / "var"
        self.file = path / "unit.toml"
        self.file.write_text(CONFIG.replace("STATE", str(self.state)) + more)
        self.config: Config = load(self.file)
        self.logged: list[str] = []
        self.guardian = Guardian(config=self.config, live=True, log=self.log)

    def log(self, level: str, message: str, fields: object) -> None:
        self.logged.append(f"{level} {message} {fields}")

    def journal(self) -> SqliteJournal:
        return SqliteJournal.open(self.state, "unit")

    def leave_open(
        self, mode: str, *, orders: int = 1, symbol: str = "paper:BTC-EUR", run_id: str = "r1"
    ) -> None:
        """Leave a run as a killed bot does."""
        with closing(self.journal()) as journal:
            journal.begin_run(run_id=run_id, mode=mode, config="", started_ns=1)
            for number in range(orders):
                journal.record(build_new_order(f"unit-{run_id}-{number}", symbol=symbol))
            journal.commit()

    def swept(self) -> dict[str, str | None]:
        with JournalReader(self.state / "unit.sqlite") as reader:
            return {run.run_id: run.swept for run in reader.runs()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def test_orders_that_ended_with_their_process_need_no_sweep(folder: Folder) -> None:
    folder.leave_open("PAPER")
    assert not folder.guardian.left_open()

    assert await folder.guardian.take_over("it died") is ExitCode.CLEAN
    assert folder.swept() == {"r1": "its orders ended with its process"}


async def test_a_run_that_left_nothing_is_closed_without_a_venue(folder: Folder) -> None:
    folder.leave_open("LIVE", orders=0)
    assert folder.guardian.left_open()

    assert await folder.guardian.take_over("it died") is ExitCode.CLEAN
    assert folder.swept() == {"r1": "nothing of it rested"}


async def test_a_guardian_of_a_paper_bot_leaves_real_orders_to_others_and_says_so(
    tmp_path: Path,
) -> None:
    folder = Folder(tmp_path, '[alerts]\nurls = ["json://127.0.0.1:9/x"]\n')
    folder.leave_open("LIVE")
    guardian = Guardian(config=folder.config, live=False, log=folder.log)

    assert await guardian.take_over("it died") is ExitCode.ORDERS_MAY_REST
    assert folder.swept() == {"r1": None}
    assert any("gave up: ORDERS MAY REST" in line for line in folder.logged)
    assert any("alerts were not sent" in line for line in folder.logged), "nobody listens there"


async def test_it_gives_up_with_the_orders_named_when_a_venue_says_nothing_of_them(
    folder: Folder, autojump_clock: MockClock
) -> None:
    folder.leave_open("LIVE")  # at a venue that has never heard of it, and lists no orders

    code = await folder.guardian.take_over("it died")

    told = "\n".join(folder.logged)
    assert code is ExitCode.ORDERS_MAY_REST
    assert trio.current_time() == pytest.approx(5.0, abs=1.0)
    assert "1 order may rest: canceling" in told
    assert "gave up: ORDERS MAY REST" in told
    assert "unit-r1-0  buy 1 paper:BTC-EUR at 100  UNKNOWN" in folder.logged[-1]


async def test_a_sweep_that_breaks_is_tried_again_and_then_told(
    folder: Folder, autojump_clock: MockClock
) -> None:
    folder.leave_open("LIVE", symbol="other:BTC-EUR")  # of a venue that the config has not

    assert await folder.guardian.take_over("it died") is ExitCode.ORDERS_MAY_REST
    assert sum("the sweep failed" in line for line in folder.logged) > 2
    assert "unit-r1-0" in folder.logged[-1]


async def test_while_somebody_else_is_at_it_the_guardian_waits_then_looks(
    folder: Folder, autojump_clock: MockClock
) -> None:
    folder.leave_open("LIVE", orders=0)
    lock = LockFile(folder.state / "unit.lock", "unit", sweeps=True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(folder.guardian.take_over, "it died")
        await trio.sleep(3.0)
        assert folder.swept() == {"r1": None}
        lock.close()
    assert folder.swept() == {"r1": "nothing of it rested"}


async def test_a_next_run_that_has_taken_over_is_left_alone(
    folder: Folder, autojump_clock: MockClock
) -> None:
    folder.leave_open("LIVE")
    with closing(folder.journal()) as journal:
        journal.mark_swept("r1", "taken over by run r2")

        async def begin() -> None:
            await trio.sleep(1.0)
            journal.begin_run(run_id="r2", mode="LIVE", config="", started_ns=wall_time_ns())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            assert await folder.guardian.take_over("it died") is ExitCode.CLEAN
    assert trio.current_time() < 2.0


async def test_a_lock_that_is_never_free_is_given_up_or_refused_at_once(
    folder: Folder, autojump_clock: MockClock
) -> None:
    folder.leave_open("LIVE")
    with closing(LockFile(folder.state / "unit.lock", "unit")):
        assert await folder.guardian.take_over("it died") is ExitCode.ORDERS_MAY_REST
        assert trio.current_time() == pytest.approx(5.0, abs=1.0)
        with pytest.raises(AlreadyRunningError):
            await folder.guardian.take_over("asked", patient=False)


async def test_a_bot_that_lives_on_after_the_line_was_cut_is_left_alone(
    folder: Folder, autojump_clock: MockClock
) -> None:
    bot_end, guardian_end = socket.socketpair()
    bot_end.send(b".")
    bot_end.close()
    with guardian_end, closing(Process(os.getpid())) as alive:
        code = await folder.guardian.guard(Watch(guardian_end, alive, 2.0))
    assert code is ExitCode.CLEAN
    assert any("lives, and has let go of this guardian" in line for line in folder.logged)


# The bot's side -------------------------------------------------------------------------------


class Guarded:
    """As much of a bot as its guards touch."""

    def __init__(self) -> None:
        self.dispatcher = self
        self.lease: Callable[[], str] | None = None
        self.stop = Stop()


async def test_a_bot_without_a_guardian_that_lives_stops_after_three(folder: Folder) -> None:
    bot: Any = Guarded()
    alerts: list[Any] = []
    with Guards(folder.config, [str(folder.file.with_name("none.toml"))], wanted=True) as guards:
        with pytest.raises(ConfigError, match="cannot guard it: it has ended, see "):
            await guards.ready()
        async with guards.guarding(bot, folder.log, alerts.append):
            with trio.fail_after(40.0):
                await bot.stop.wait()
        guards.end(clean=True)
    assert bot.stop.reason == "the guardian is gone (it has ended)"
    assert [alert.lines for alert in alerts] == [("another is started",)] * 2 + [("the bot stops",)]
    assert "none.toml" in (folder.state / "unit.guardian.log").read_text()


async def test_a_bot_that_was_held_up_loses_its_lease_and_stops(folder: Folder) -> None:
    bot: Any = Guarded()
    hasty = attrs.evolve(folder.config.bot.guardian, hung_after=500_000_000)
    config = attrs.evolve(folder.config, bot=attrs.evolve(folder.config.bot, guardian=hasty))
    async with Guards(config, [], wanted=True).guarding(bot, folder.log, lambda _: None):
        assert bot.lease() == ""
        threading.Event().wait(0.6)  # nothing else runs here meanwhile
        with trio.fail_after(5.0):
            await bot.stop.wait()
        assert "it cancels and ends" in bot.lease()
    assert bot.stop.reason == "the lease is gone"


async def test_a_guardian_elsewhere_is_found_and_missed(folder: Folder) -> None:
    bot: Any = Guarded()
    alerts: list[Any] = []
    guards = Guards(folder.config, [], wanted=False)
    folder.state.mkdir(mode=0o700)
    with standing_socket(folder.config) as listening, trio.fail_after(10.0):
        async with guards.guarding(bot, folder.log, alerts.append):
            await trio.lowlevel.wait_readable(listening)
            sock, _ = listening.accept()
            with sock:
                await trio.lowlevel.wait_readable(sock)
                assert sock.recv(1) == Word.BEAT.value
            while not alerts:
                await trio.lowlevel.checkpoint()
    assert alerts[0].headline == "the guardian elsewhere is gone"
    assert not bot.stop.requested


async def test_a_bot_that_nobody_guards_has_no_lease(
    folder: Folder, autojump_clock: MockClock
) -> None:
    bot: Any = Guarded()
    guards = Guards(folder.config, [], wanted=False)
    assert guards.banner == ""
    async with guards.guarding(bot, folder.log, lambda _: None):
        await trio.sleep(100.0)
        assert not bot.stop.requested
        assert bot.lease is None, "nobody would kill it"
    guards.end(clean=True)


# A start, and the command -------------------------------------------------------------------------


def test_a_start_waits_for_a_guardian_at_work(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = LockFile(folder.state / "unit.lock", "unit", sweeps=True)
    release = threading.Timer(0.3, lock.close)
    release.start()

    open_journal(folder.config.bot, Session(), full_speed=False).close()

    release.join()
    assert "its guardian, process" in (told := capsys.readouterr().err)
    assert told.count("waiting for it") == 1


def test_a_start_that_is_to_end_does_not_wait(folder: Folder) -> None:
    asked = Session(watch=SignalWatch([2]))
    with ExitStack() as stack:
        stack.callback(LockFile(folder.state / "unit.lock", "unit", sweeps=True).close)
        with pytest.raises(BeingSweptError, match="start again once it has ended"):
            open_journal(folder.config.bot, asked, full_speed=False)


def test_a_halt_meanwhile_keeps_the_bot_from_starting(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.leave_open("LIVE")
    with closing(LockFile(folder.state / "unit.lock", "unit", sweeps=True)):
        code = call(["halt", str(folder.file), "--reason", "enough"], Session())
    out = capsys.readouterr().out
    assert (int(code), "its guardian, process" in out) == (3, True)
    assert "Its kill switch has tripped" in out
    assert KillSwitch.of(folder.state, "unit").halted is not None


def test_now_sweeps_once_unless_the_bot_runs(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    def guard(*words: str) -> tuple[int, str]:
        code = call(["guard", str(folder.file), *words], Session())
        return int(code), "".join(capsys.readouterr())

    code, told = guard("--now")
    assert (code, "nothing was left open" in told) == (0, True)
    folder.leave_open("LIVE", orders=0)
    with closing(LockFile(folder.state / "unit.lock", "unit")):
        code, told = guard("--now")
        assert (code, "is running already" in told) == (2, True)
    assert guard("--now")[0] == 0
    assert folder.swept() == {"r1": "nothing of it rested"}
    code, told = guard("--child", "nobody")
    assert (code, "gives its guardian DESCRIPTOR:PID" in told) == (2, True)


def test_one_guardian_elsewhere_is_enough(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(LockFile(folder.state / "unit.guard.lock", "unit")):
        code = call(["guard", str(folder.file)], Session(watch=SignalWatch([2])))
    assert code == 2
    assert "stands there already: one is enough" in capsys.readouterr().err
