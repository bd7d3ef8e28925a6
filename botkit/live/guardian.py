"""How a guardian sees that its bot is over: killed, hung, or ended in good order."""

import contextlib
import socket
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final

import attrs
import trio

from botkit.live.pulse import FAILED, HEARD, READ_MAX, READY, Process, Word

__all__ = ["End", "Watch"]

CLOSING_S: Final = 60.0  # that a bot may take to close its books, its loop being over
AGAIN_S: Final = 0.05
HELD_UP_S: Final = 0.5  # later than this we were held up ourselves, and know nothing
WORDS: Final = {word.value: word for word in Word}


class End(Enum):
    """What became of a bot."""

    CLEAN = "ended in good order"
    NEVER = "ended before it began"
    DEAD = "died"
    HUNG = "hangs"


@attrs.define(eq=False)
class Watch:
    """Watches one bot over a socket and its process, whichever tells first.

    Parameters
    ----------
    hung_after_s
        From which silence on the bot counts as hung: from its first beat on. That it closes its
        books may take a minute.
    """

    _socket: socket.socket
    process: Process
    hung_after_s: float
    _last_s: float = attrs.field(default=0.0, init=False)  # when it said something, by trio's clock
    _word: Word | None = attrs.field(default=None, init=False)
    _end: End | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._socket.settimeout(0)

    def tell_ready(self) -> None:
        """Tell the bot that its guardian has all it needs."""
        self._say(READY)

    def tell_failure(self, why: str) -> None:
        """Tell the bot that it has no guardian, and why."""
        self._say(FAILED + why.encode(errors="replace") + FAILED)

    def _say(self, words: bytes) -> None:
        with contextlib.suppress(OSError):  # it has gone, noticed elsewhere, or does not listen
            self._socket.send(words)

    async def run(self) -> End:
        """Return what became of the bot, once something has."""
        async with trio.open_nursery() as nursery:

            async def until(wait: Callable[[], Awaitable[None]]) -> None:
                await wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(until, self._heard_all)
            nursery.start_soon(until, self._process_ended)
            nursery.start_soon(until, self._hung)
        self._take()  # what it said last may still lie there
        if self._word is Word.CLEAN:
            return End.CLEAN
        if self._end is End.HUNG and not self.process.has_ended():
            return End.HUNG
        return End.NEVER if self._word is None else End.DEAD

    async def _heard_all(self) -> None:
        """Take what the bot says until it has closed its end, or has said that all is well."""
        while self._word is not Word.CLEAN:
            await trio.lowlevel.wait_readable(self._socket)
            if not self._take():
                return

    async def _process_ended(self) -> None:
        await self.process.ended()

    def _take(self) -> bool:
        """Take what lies there; return False at the end of it all."""
        while True:
            try:
                chunk = self._socket.recv(READ_MAX)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not chunk:
                return False
            self._last_s = trio.current_time()
            last = Word.CLEAN.value if Word.CLEAN.value in chunk else chunk[-1:]
            self._word = WORDS.get(last, Word.BEAT)
            self._say(HEARD)

    async def _hung(self) -> None:
        """Return once the bot has been silent for too long."""
        while True:
            limit_s = self.hung_after_s
            if self._word is Word.RESTS:
                limit_s = max(limit_s, CLOSING_S)
            due_s = self._last_s + limit_s if self._word is not None else trio.current_time() + 1
            await trio.sleep_until(due_s)
            if trio.current_time() > due_s + HELD_UP_S:
                self._last_s = trio.current_time()  # it may have beaten meanwhile: wait anew
            self._take()
            if self._word is not None and trio.current_time() >= self._last_s + limit_s:
                self._end = End.HUNG
                return
