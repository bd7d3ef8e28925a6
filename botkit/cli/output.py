"""Text on its way to the terminal, written by a thread of its own.

A terminal that stands still (Ctrl-S, a stopped pager, a full pipe) must not hold the bot up.
"""

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Final, Generic, Protocol, TextIO, TypeVar

__all__ = ["Output", "Sink", "StreamSink", "is_stuck", "silence"]

LINES_MAX: Final = 10_000
THREAD_NAME: Final = "botkit output"
T_contra = TypeVar("T_contra", contravariant=True)
T = TypeVar("T")


class Sink(Protocol[T_contra]):
    """Where items end up; called by the writing thread alone."""

    def write(self, item: T_contra) -> None:
        """Show one item."""
        ...

    def idle(self) -> None:
        """Show that time passes: called when nothing came for a while."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was found."""
        ...


class StreamSink:
    """Lines on a stream, each there at once.

    Parameters
    ----------
    progress
        What to say when nothing else was said for a while; empty for nothing.
    """

    def __init__(self, stream: TextIO, progress: Callable[[], str] | None = None) -> None:
        self._stream = stream
        self._progress = progress

    def write(self, item: str) -> None:
        """Write one line."""
        self._stream.write(f"{item}\n")
        self._stream.flush()

    def idle(self) -> None:
        """Say how far the run is."""
        line = self._progress() if self._progress is not None else ""
        if line:
            self.write(line)

    def close(self) -> None:
        """Leave the stream open: it is not ours."""


class Output(Generic[T]):
    """Hands items to a sink in a thread.

    At most 10,000 wait. Where `patient`, whoever adds one more waits; otherwise it is dropped
    and counted in `dropped`: trading goes before talking. Once the terminal, or the reader of a
    pipe, has gone, everything goes nowhere, and the run goes on.
    """

    def __init__(self, sink: Sink[T], *, patient: bool = False, idle_s: float = 2.0) -> None:
        self.dropped = 0
        self._sink = sink
        self._patient = patient
        self._idle_s = idle_s
        self._waiting: queue.Queue[T | None] = queue.Queue(LINES_MAX)
        self._thread = threading.Thread(target=self._serve, name=THREAD_NAME, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many items have not been shown yet."""
        return self._waiting.qsize()

    def put(self, item: T) -> None:
        """Hand one item over."""
        if self._patient:
            self._waiting.put(item)
            return
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            self.dropped += 1

    def close(self, timeout_s: float = 2.0) -> None:
        """Show what waits, for as long as `timeout_s`, and end the thread."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=timeout_s)
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """Show the next item, or that none came; return False after the last."""
        try:
            item = self._waiting.get(timeout=self._idle_s)
        except queue.Empty:
            self._try(self._sink.idle)
            return True
        if item is None:
            self._try(self._sink.close)
            return False
        self._try(lambda: self._sink.write(item))
        return True

    @staticmethod
    def _try(show: Callable[[], None]) -> None:
        try:
            show()
        except OSError:
            silence(sys.stdout)


def is_stuck() -> bool:
    """Tell whether a thread still waits for a terminal that takes nothing."""
    return any(thread.name == THREAD_NAME for thread in threading.enumerate())


def silence(stream: TextIO) -> None:
    """Let what is written to `stream` from now on, also at the interpreter's end, go nowhere."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor, or closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
