"""Guardians as real processes: whatever ends a bot, nothing of it rests a moment later."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from botkit.config import load
from botkit.journal import JournalReader, Run
from botkit.model import Side
from botkit.testing.processes import (
    BotProcess,
    SimulatedExchange,
    adopted_orphans,
    open_exchange,
    redirected,
    start_bot,
)

STRATEGY = '''
import os
import signal
import sys

from botkit import Quote, Strategy


class Rester(Strategy):
    """Has two orders rest, far off; then does what the environment says."""

    def on_start(self) -> None:
        if os.environ.get("BOT_DOES") == "fork" and not os.fork():
            signal.pause()  # with every descriptor that the bot has

    def on_quote(self, quote: Quote) -> None:
        if len(self.orders()) < 2:
            price = self.instrument.price(quote.bid_px * 0.9)
            self.buy(self.instrument, "0.01", price=price)
        elif os.environ.get("BOT_DOES") == "hang" and all(o.is_open for o in self.orders()):
            while os.environ.get("BOT_DOES"):
                pass
'''

CONFIG = """
[bot]
name = "guarded"
state_dir = "STATE"

[venues.finery]
type = "finery"
url = "ws://127.0.0.1:9001/ws"
rest_url = "http://127.0.0.1:9001/api"
key = "test-key-alice"
secret = "test-secret-alice"
instruments = { BTC-EUR = { tick_size = "0.01" } }

[[strategies]]
type = "./rester.py:Rester"
instrument = "finery:BTC-EUR"
"""
READY_S = 40.0
GONE_S = 20.0


@pytest.fixture(scope="module", autouse=True)
def _parent_of_all() -> Iterator[None]:
    with adopted_orphans():
        yield


@asynccontextmanager
async def resting(
    folder: Path, *, does: str = "", sets: tuple[str, ...] = ()
) -> AsyncIterator[tuple[BotProcess, SimulatedExchange]]:
    """Run a bot until its orders rest at an exchange that does not cancel them by itself."""
    (folder / "rester.py").write_text(STRATEGY)
    config = folder / "bot.toml"
    config.write_text(CONFIG.replace("STATE", str(folder / "state")))
    async with (
        open_exchange("finery", quirks={"ignores_cod": True}) as exchange,
        start_bot(config, {"finery": exchange}, folder, sets=sets, env={"BOT_DOES": does}) as bot,
    ):
        await exchange.until(lambda: len(exchange.resting("alice")) == 2, READY_S)
        assert len(exchange.resting("alice")) == 2, bot.said() + bot.guardian_log
        yield bot, exchange


def runs_of(bot: BotProcess) -> list[Run]:
    with JournalReader(bot.state_dir / "guarded.sqlite") as reader:
        return reader.runs()


async def until(holds: Callable[[], bool]) -> None:
    """Look again and again, for so long at most."""
    with trio.fail_after(GONE_S):
        while True:
            if holds():
                return
            await trio.sleep(0.02)


def check_swept(bot: BotProcess) -> None:
    """Assert that the journal holds the killed run, and a second one that has ended well."""
    swept, killed = runs_of(bot)
    assert killed.ended_ns is None
    assert killed.swept == f"taken over by run {swept.run_id}"
    assert (swept.mode, swept.exit_code) == ("LIVE", 0)
    assert '"nothing rests any more"' in bot.guardian_log


async def test_killed_with_its_whole_process_group_its_orders_go_and_nobody_elses(
    tmp_path: Path,
) -> None:
    async with resting(tmp_path) as (bot, exchange):
        person = exchange.plant("alice", Side.SELL)
        guardian = bot.guardian()
        assert guardian is not None, (bot.said(), bot.guardian_log, bot.relatives())
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            os.kill(guardian.pid, number)  # as a terminal and a service would
        bot.send_group(signal.SIGKILL)
        await bot.ended(GONE_S)

        assert await exchange.until(lambda: not exchange.resting("alice"), GONE_S)
        assert await guardian.ended(GONE_S) == 0
        assert exchange.untouched(person)
        check_swept(bot)


async def test_a_bot_that_has_forked_and_is_killed_is_noticed_all_the_same(tmp_path: Path) -> None:
    async with resting(tmp_path, does="fork") as (bot, exchange):
        guardian = bot.guardian()
        assert guardian is not None
        await bot.kill()

        assert await exchange.until(lambda: not exchange.resting("alice"), GONE_S)
        assert await guardian.ended(GONE_S) == 0
        assert [each.pid for each in bot.relatives()], "the child that it has forked"
        check_swept(bot)


@pytest.mark.parametrize("how", ["hang", "stop"])
async def test_a_bot_that_hangs_is_killed_and_its_orders_go(tmp_path: Path, how: str) -> None:
    sets = ("bot.guardian.hung_after=1s",)
    async with resting(tmp_path, does=how, sets=sets) as (bot, exchange):
        guardian = bot.guardian()
        assert guardian is not None
        if how == "stop":
            bot.send(signal.SIGSTOP)

        assert await bot.ended(GONE_S) == -signal.SIGKILL
        assert await exchange.until(lambda: not exchange.resting("alice"), GONE_S)
        assert await guardian.ended(GONE_S) == 0
        check_swept(bot)


async def test_a_guardian_that_dies_is_replaced_and_goes_when_the_bot_stops(tmp_path: Path) -> None:
    async with resting(tmp_path) as (bot, exchange):
        first = bot.guardian()
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        await bot.until_said("another is started", GONE_S)
        bot.send(signal.SIGTERM)

        assert await bot.ended(GONE_S) == 0, bot.said()
        assert not exchange.resting("alice")
        await until(lambda: not bot.relatives())
        assert [run.exit_code for run in runs_of(bot)] == [0]
        assert '"the bot ended in good order"' in bot.guardian_log


async def test_a_bot_whose_policy_says_so_stops_when_its_guardian_dies(tmp_path: Path) -> None:
    async with resting(tmp_path, sets=("bot.guardian.on_death=stop",)) as (bot, exchange):
        guardian = bot.guardian()
        assert guardian is not None
        os.kill(guardian.pid, signal.SIGKILL)

        assert await bot.ended(GONE_S) == 1
        assert not exchange.resting("alice")
        assert "the guardian is gone" in str(runs_of(bot)[0].reason)


async def test_a_guardian_elsewhere_sweeps_and_waits_for_the_next_bot(tmp_path: Path) -> None:
    async with resting(tmp_path, sets=("bot.guardian.enabled=false",)) as (bot, exchange):
        words = [f"--set={each}" for each in redirected(bot.config, {"finery": exchange})]
        guard = await trio.lowlevel.open_process(
            [
                *(sys.executable, "-c", "from botkit.cli import main; main()"),
                *("guard", str(tmp_path / "bot.toml"), *words),
            ],
            stdout=subprocess.PIPE,
        )
        try:
            await bot.until_said("a guardian elsewhere guards too", READY_S)
            await bot.kill()

            assert await exchange.until(lambda: not exchange.resting("alice"), GONE_S)
            await until(lambda: runs_of(bot)[0].exit_code is not None)
            guard.send_signal(signal.SIGINT)
            with trio.fail_after(GONE_S):
                assert await guard.wait() == 0
        finally:
            guard.kill()
        swept, killed = runs_of(bot)
        assert killed.swept == f"taken over by run {swept.run_id}"
        assert not list(bot.state_dir.glob("*.guard.sock"))


@asynccontextmanager
async def served(folder: Path, more: str) -> AsyncIterator[list[str]]:
    """Serve an exchange; give the words that send the bot of a config there, `more` added to it."""
    (folder / "rester.py").write_text(STRATEGY)
    (folder / "bot.toml").write_text(CONFIG.replace("STATE", str(folder / "state")) + more)
    async with open_exchange("finery") as exchange:
        sets = redirected(load(folder / "bot.toml"), {"finery": exchange})
        yield [str(folder / "bot.toml"), *(f"--set={each}" for each in sets)]


async def called(*words: str) -> tuple[int, str]:
    """Call botkit; return its exit code and all that it said."""
    command = [sys.executable, "-c", "from botkit.cli import main; main()", *words]
    with trio.fail_after(READY_S):
        done = await trio.run_process(
            command, capture_stdout=True, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode, done.stdout.decode()


async def test_the_doctor_asks_for_its_key_and_starts_one(tmp_path: Path) -> None:
    own = '[venues.finery.guardian]\nkey = "test-key-KEY"\nsecret = "test-secret-KEY"\n'
    async with served(tmp_path, own.replace("KEY", "bob")) as words:
        _, told = await called("doctor", *words, "--ntp", "127.0.0.1:9")
    lines = [line for line in told.splitlines() if " guardian " in line]
    assert "pass  guardian    finery: it has settings of its own" in lines
    assert lines[-1] == "pass  guardian    it starts and gets ready"


async def test_a_run_is_refused_where_its_guardian_could_not_guard_it(tmp_path: Path) -> None:
    own = '[venues.finery.guardian]\nkey = "rubbish"\n'
    async with served(tmp_path, own) as words:
        code, told = await called("run", *words, "--live", "--for", "1s", "--log", "json")
    assert code == 2, told
    assert "the guardian of this run cannot guard it: " in told
    assert "run without one: --set bot.guardian.enabled=false" in told
    with JournalReader(tmp_path / "state" / "guarded.sqlite") as reader:
        assert reader.runs() == []
