"""What a stage looks at after a case: real exchanges, and small processes in place of bots."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import attrs
import pytest
import trio
import trio.testing

from botkit.matching.exchange import OrderTerms
from botkit.model import Side
from botkit.testing.drill import setting_of
from botkit.testing.drill.books import Desk, JumpingClock
from botkit.testing.drill.stage import Stage
from botkit.testing.loopback import open_exchange
from botkit.testing.processes import BotProcess

FINERY = str(Path(__file__).resolve().parents[2] / "configs" / "finery.toml")
BOT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(sys.argv[1])))
print('{"event": "venue up"}', flush=True)
while True:
    signal.pause()
"""
AS_SOON_S = 5.0


class SmallStage(Stage):
    """A stage whose bot is a process that ends with a code of one's choice when told to."""

    code = 0

    async def start(self) -> None:
        """Start it and wait until it has spoken."""
        process = await trio.lowlevel.open_process(
            [sys.executable, "-S", "-E", "-c", BOT, str(self.code)],
            stdout=subprocess.PIPE,
        )
        self.bot = BotProcess(process, self.setting.config, self.folder, "no mark")
        self._bots.append(self.bot)
        assert process.stdout is not None
        self.bot.lines.append((await process.stdout.receive_some()).decode())


@asynccontextmanager
async def staged(folder: Path, code: int = 0) -> AsyncIterator[SmallStage]:
    """Give a stage where the bot has an order at the exchange."""
    setting = setting_of([FINERY])
    async with open_exchange("finery", proxied=True) as exchange:
        market = exchange.simulator.market
        market.pause()
        clock = JumpingClock(exchange.clock)
        desk = Desk("finery", exchange, clock, "alice", ["BTC-EUR"])
        stage = SmallStage(setting, {"finery": desk}, "finery", folder)
        stage.code = code
        await stage.start()
        touch = market.exchange.markets["BTC-EUR"].levels(Side.BUY, 1)
        terms = OrderTerms(
            symbol="BTC-EUR",
            side=Side.BUY,
            order_qty=market.exchange.markets["BTC-EUR"].instrument.min_trade_vol * 2,
            price=touch[0][0],
        )
        market.tell(market.exchange.submit("alice", terms, market.catch_up()))
        assert len(desk.resting()) == 1
        try:
            yield stage
        finally:
            await stage.bot.kill()
            await stage.close()


def cancel(stage: Stage) -> None:
    """Have the order end, as if the bot had canceled it."""
    market = stage.desk.exchange.simulator.market
    market.tell(market.exchange.cancel_all("alice", market.catch_up()))


async def test_a_bot_that_leaves_an_order_and_says_0_does_not_tell_the_truth(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        stage.strike()
        assert stage.orders == 1
        stage.bot.send(signal.SIGTERM)
        assert await stage.ends(AS_SOON_S) == 0
        assert await stage.finish((3,), within_s=0.0) == 0

    said = "\n".join(stage.problems)
    assert said.count("\n") == 3
    assert "exit code 0, and order " in said
    assert "the exit code is 0, not 3" in said
    assert "rests still: order " in said
    assert "unattended for 0." in said


async def test_an_end_in_good_order_holds(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.strike()
        cancel(stage)
        assert await stage.finish((0, 1), within_s=AS_SOON_S) == 0
        stage.keep_logs()

    assert not stage.problems
    waited_s = stage.unattended_s()
    assert waited_s is not None
    assert 0 < waited_s < AS_SOON_S
    assert "venue up" in (tmp_path / "bot-1.log").read_text()


async def test_a_bot_that_does_not_end_is_told(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        assert await stage.ends(0.05) is None

    assert stage.problems == ["the bot had not ended after 0.05 s"]


async def test_a_bot_that_ends_instead_of_coming_back_is_told(tmp_path: Path) -> None:
    async with staged(tmp_path, code=1) as stage:
        stage.strike()
        stage.bot.send(signal.SIGTERM)
        await stage.bot.ended(AS_SOON_S)
        await stage.comes_back_within(AS_SOON_S)

    assert stage.problems == ['the bot ended: {"event": "venue up"}\n']


async def test_who_comes_back_answers_for_what_rested_at_the_break_alone(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.strike()
        cancel(stage)
        stage.bot.lines.append('{"event": "venue up"}')
        await stage.comes_back_within(AS_SOON_S)
        waited_s = stage.unattended_s()

    assert not stage.problems
    assert stage.comes_back
    assert waited_s is not None
    assert waited_s < AS_SOON_S


async def test_a_case_strikes_at_the_instant_an_order_is_taken_in(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        done: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stage.at_next_order, lambda: done.append(stage.orders))
            await trio.testing.wait_all_tasks_blocked()
            stage.desk.exchange.plant("bob", Side.BUY)
            stage.desk.exchange.plant("alice", Side.BUY)

    assert done == [1]
    assert stage.orders == 1


async def test_a_bot_without_a_guardian_is_an_error_of_a_case_that_needs_one(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        stage.strike()
        with pytest.raises(LookupError, match="the bot has no guardian"):
            await stage.guardian_pid(0.05)


@pytest.mark.parametrize("policy", [None, "cancel", "keep"])
async def test_what_rested_when_a_link_was_lost_must_go_unless_it_is_to_be_kept(
    policy: Literal["cancel", "keep"] | None, tmp_path: Path
) -> None:
    async with staged(tmp_path) as stage:
        config = stage.setting.config
        table = attrs.evolve(config.venues["finery"], on_disconnect=policy)
        config = attrs.evolve(config, venues={"finery": table})
        stage.setting = attrs.evolve(stage.setting, config=config)
        stage.strike()
        stage.bot.lines.append('{"event": "venue up"}')
        with trio.move_on_after(0.1):
            await stage.comes_back_within(AS_SOON_S)

        assert (stage.unattended_s() is None) is (policy == "keep")
