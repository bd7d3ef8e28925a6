"""What a bot and its guardian say to one another: bytes over a stream socket, either way.

The bot beats several times a second from the loop that trades; the guardian answers each beat.
"""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable
from enum import Enum
from typing import Final

import trio

__all__ = ["BEATS", "GuardianLink", "Process", "Word", "beat_every_s"]

NS_PER_S: Final = 1_000_000_000
BEATS: Final = 20  # in the time after which a silent bot counts as hung
SLOWEST_S: Final = 0.25
FASTEST_S: Final = 0.02
READ_MAX: Final = 4_096
LOOK_EVERY_S: Final = 0.05
TOLD_MAX: Final = 16_384
PIDFD_OPEN: Final[Callable[[int], int] | None] = getattr(os, "pidfd_open", None)


class Word(Enum):
    """One byte from the bot."""

    BEAT = b"."
    RESTS = b"-"  # the loop has ended: no more beats, and books are being closed
    CLEAN = b"!"  # the run is over and nothing rests


READY: Final = b"R"  # from the guardian: it has all it needs
FAILED: Final = b"\0"  # from the guardian: it never will; around the reason
HEARD: Final = b"."  # from the guardian: an answer to beats


def beat_every_s(hung_after_ns: int) -> float:
    """Return how often, in seconds, to beat for someone who waits for `hung_after_ns`."""
    return min(max(hung_after_ns / NS_PER_S / BEATS, FASTEST_S), SLOWEST_S)


class GuardianLink:
    """The bot's end of the link to one guardian. It never waits for the guardian.

    Attributes
    ----------
    ready
        Set once the guardian has all it needs, or it is known that it never will.
    failure
        Why it never will, if it has said so.
    gone
        Whether it was seen to have closed its end.
    heard_s
        When the guardian said something last, by trio's clock; None before.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(0)
        self._socket = sock
        self.ready = trio.Event()
        self.failure = ""
        self.gone = False
        self.heard_s: float | None = None

    def say(self, word: Word) -> bool:
        """Send one byte; return whether it went, which it does unless the guardian has gone."""
        try:
            return self._socket.send(word.value) == 1
        except OSError:  # gone, or so far behind that there is no more room
            return False

    async def listen(self) -> None:
        """Hear what the guardian says until it has gone."""
        told = b""
        while chunk := await self._heard():
            self.heard_s = trio.current_time()
            if FAILED in told or FAILED in chunk:
                told = (told + chunk)[:TOLD_MAX]
            if told.count(FAILED) > 1:
                self.failure = told.split(FAILED)[1].decode(errors="replace")
            if self.failure or READY in chunk:
                self.ready.set()
        self.gone = True
        self.ready.set()  # it will not be, any more

    async def _heard(self) -> bytes:
        """Return what comes next; nothing once the guardian has gone."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(READ_MAX)
            except BlockingIOError:
                continue
            except OSError:
                return b""

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


class Process:
    """Another process, known by its descriptor (pidfd) where there are any.

    Parameters
    ----------
    parent
        It is our parent, so that a changed parent shows its end where there is no descriptor.
    open_
        Opens a descriptor; None where the system has none.
    """

    def __init__(
        self,
        pid: int,
        *,
        parent: bool = False,
        open_: Callable[[int], int] | None = PIDFD_OPEN,
    ) -> None:
        self.pid = pid
        self._parent = parent
        self._descriptor: int | None = None
        if open_ is not None and pid > 0:
            with contextlib.suppress(OSError):  # it has ended, or is not of this machine
                self._descriptor = open_(pid)
        self._gone = parent and os.getppid() != pid  # and what was opened is somebody else

    @property
    def known(self) -> bool:
        """Whether its end can be seen, and it can be killed."""
        return self._descriptor is not None or self._parent

    def has_ended(self) -> bool:
        """Tell whether it is surely over."""
        if self._gone:
            return True
        if self._descriptor is not None:
            return bool(select.select([self._descriptor], [], [], 0)[0])
        return self._parent and os.getppid() != self.pid

    async def ended(self) -> None:
        """Return once it has ended; never, if that cannot be seen."""
        if not self.known:
            await trio.sleep_forever()
        while not self.has_ended():
            if self._descriptor is not None:
                await trio.lowlevel.wait_readable(self._descriptor)
            else:
                await trio.sleep(LOOK_EVERY_S)

    def kill(self) -> None:
        """End it by SIGKILL, if it can be told from others."""
        if self._gone or not self.known:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            elif not self.has_ended():
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
