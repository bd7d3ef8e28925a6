"""A bot as a process of a test's: its words, its end, and what it leaves behind."""

import signal
from pathlib import Path

import pytest
import trio

from botkit.testing.processes import adopted_orphans, open_exchange, start_bot

CONFIG = Path(__file__).parents[2] / "configs" / "finery.toml"
SOON_S = 60.0


async def test_what_a_bot_says_and_how_it_ends_are_told(tmp_path: Path) -> None:
    async with (
        open_exchange("finery") as exchange,
        start_bot(
            CONFIG, {"finery": exchange}, tmp_path, sets=["bot.guardian.enabled=false"]
        ) as bot,
    ):
        assert '"venue up"' in await bot.until_said('"venue up"', SOON_S)
        with pytest.raises(trio.TooSlowError):
            await bot.until_said("never said", 0.01)
        assert await bot.ended(0.01) is None
        assert bot.guardian() is None
        assert bot.guardian_log == ""
        bot.send(signal.SIGTERM)
        assert await bot.ended(SOON_S) == 0, bot.said()
        assert bot.events()[0]["mode"] == "LIVE"


async def test_nothing_that_a_bot_has_started_outlives_the_block(tmp_path: Path) -> None:
    with adopted_orphans():
        async with (
            open_exchange("finery") as exchange,
            start_bot(CONFIG, {"finery": exchange}, tmp_path) as bot,
        ):
            await bot.until_said('"venue up"', SOON_S)
            (guardian,) = bot.relatives()
            assert guardian == bot.guardian()
            assert await guardian.ended(0.01) is None
        assert not guardian.lives()
        assert bot.process.returncode == -signal.SIGKILL
