"""A sign of life to a service that raises the alarm when it stops: a dead host cannot."""

from collections.abc import Callable
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import build_opener

import trio

from botkit.config import HeartbeatConfig
from botkit.shell import Bot
from botkit.watch.outage import Log, Outage

__all__ = ["Heartbeat"]

TIMEOUT_S: Final = 10.0
GRACE_NS: Final = 5_000_000_000
NS_PER_S: Final = 1_000_000_000


class Heartbeat:
    """Asks for an address every so often, as long as the engine handles events.

    The loop that sends it is the one the engine runs in, so a hook that never returns stops it
    as well. A halted bot that is kept running goes on: its halt has been told by an alert.
    """

    def __init__(self, config: HeartbeatConfig, *, redact: Callable[[str], str], log: Log) -> None:
        self._url = config.url
        self._every_ns = config.every
        self._redact = redact
        self._outage = Outage("the heartbeat", log)
        self._log = log
        self._limiter = trio.CapacityLimiter(1)

    async def serve(self, bot: Bot) -> None:
        """Beat while `bot` is well, until canceled."""
        was_well = False
        while True:
            is_well = self._is_well(bot)
            if is_well:
                await self._beat()
            elif was_well:
                self._log("error", "no heartbeat: the engine has handled nothing lately", {})
            was_well = is_well
            await trio.sleep(self._every_ns / NS_PER_S)

    def _is_well(self, bot: Bot) -> bool:
        """Tell whether the engine has handled an event lately.

        Its timer of the equity points is one, so silence for longer than that, or than the time
        between two beats, means that something is stuck.
        """
        longest_ns = max(self._every_ns, bot.engine.settings.equity_every_ns) + GRACE_NS
        return bot.clock.now_ns() - bot.engine.now_ns <= longest_ns

    async def _beat(self) -> None:
        why = f"no answer within {TIMEOUT_S:g} s"
        with trio.move_on_after(TIMEOUT_S):
            why = await trio.to_thread.run_sync(
                self._ask, abandon_on_cancel=True, limiter=self._limiter
            )
        if why:
            self._outage.failed(self._redact(why))
        else:
            self._outage.worked()

    def _ask(self) -> str:
        """Ask for the address; in a thread. Return why that failed, or nothing."""
        try:
            with build_opener().open(self._url.reveal(), timeout=TIMEOUT_S):
                return ""
        except HTTPError as exc:
            with exc:
                return f"HTTP status {exc.code}"
        except URLError as exc:
            return str(exc.reason)
        except (OSError, ValueError, HTTPException) as exc:  # no HTTP, or broken off
            return f"{type(exc).__name__}: {exc}"
