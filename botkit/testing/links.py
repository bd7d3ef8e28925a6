"""Links in memory that behave as real ones do when things go wrong.

A link has two pipes. Each holds at most a window of bytes, delivers them after a latency, and can
be stalled, cut after so many bytes, or turned into a black hole. All waiting is trio's, so under
`trio.testing.MockClock(autojump_threshold=0)` hours pass in no time.
"""

import collections
import math
import operator

import attrs
import trio

__all__ = ["Link", "MemoryStream", "Pipe"]

WINDOW = 65_536


class _Signal:
    """Wakes the tasks that wait for something to change on a link, or on one pipe of it."""

    def __init__(self) -> None:
        self._waited_for: dict[int, trio.Event] = {}  # by id of the pipe

    def set(self) -> None:
        """Wake all who wait now."""
        for event in self._waited_for.values():
            event.set()
        self._waited_for.clear()

    def set_for(self, pipe: "Pipe") -> None:
        """Wake the reader or the sender of `pipe`, whichever waits."""
        event = self._waited_for.pop(id(pipe), None)
        if event is not None:
            event.set()

    async def wait(self, pipe: "Pipe", until: float) -> None:
        """Return when set, at the latest at `until` on trio's clock."""
        event = self._waited_for.setdefault(id(pipe), trio.Event())
        if until == math.inf:  # most waits: a scope costs as much as the wait itself
            await event.wait()
            return
        with trio.move_on_at(until):
            await event.wait()


@attrs.define(kw_only=True, eq=False)
class Pipe:
    """One direction of a link.

    Attributes
    ----------
    latency_s
        How long what is sent from now on takes to arrive; it never overtakes what was sent before.
    window
        Bytes that may be under way or unread before a sender waits.
    stalled_until
        Nothing arrives before this moment of trio's clock; set by `stall`.
    black_hole
        Whatever is sent or said is lost, the end of the connection too; the window fills.
    cut_after
        Once this many more bytes were sent the link is cut; those bytes still arrive.
    sent
        Bytes taken from the sender so far.
    """

    latency_s: float = 0.0
    window: int = WINDOW
    stalled_until: float = -math.inf
    black_hole: bool = False
    cut_after: int | None = None
    sent: int = 0
    _signal: _Signal = attrs.field(factory=_Signal, repr=False)
    _chunks: collections.deque[tuple[float, bytes]] = attrs.field(
        factory=collections.deque, init=False, repr=False
    )
    _held: int = attrs.field(default=0, init=False)  # bytes under way, unread or lost
    _last_due: float = attrs.field(default=-math.inf, init=False)
    _ends_at: float = attrs.field(default=math.inf, init=False)
    _breaks_at: float = attrs.field(default=math.inf, init=False)
    _reader_left: bool = attrs.field(default=False, init=False)

    def stall(self, seconds: float) -> None:
        """Let nothing arrive for `seconds`; then it all does."""
        self.stalled_until = trio.current_time() + seconds
        self._signal.set()

    def put(self, data: bytes) -> int:
        """Take as much of `data` as there is room for; return how much that was."""
        size = max(0, min(len(data), self.window - self._held))
        if self.cut_after is not None:
            size = min(size, self.cut_after)
            self.cut_after -= size
        self.sent += size
        if self._reader_left:
            return size  # into nowhere
        self._held += size
        if size and not self.black_hole:
            self._chunks.append((self._due(), data[:size]))
        self._signal.set_for(self)
        return size

    def get(self, max_bytes: int | None) -> bytes | None:
        """Return what has arrived, b"" at the end of the stream, None if there is nothing yet.

        Raises `trio.BrokenResourceError` once a reset has arrived and all before it was read.
        """
        now = trio.current_time()
        if self.next_event_at() > now:
            return None
        taken = bytearray()
        while self._chunks and self._chunks[0][0] <= now and len(taken) != max_bytes:
            due, chunk = self._chunks.popleft()
            size = len(chunk) if max_bytes is None else max_bytes - len(taken)
            if len(chunk) > size:
                self._chunks.appendleft((due, chunk[size:]))
            taken += chunk[:size]
        self._held -= len(taken)
        if taken:
            self._signal.set_for(self)
        elif self.broken:
            raise trio.BrokenResourceError("connection reset by the other side")
        return bytes(taken)

    @property
    def readable(self) -> bool:
        """Whether something has arrived: bytes, the end or a reset."""
        return self.next_event_at() <= trio.current_time()

    @property
    def full(self) -> bool:
        """Whether a sender has to wait."""
        return self._held >= self.window

    @property
    def broken(self) -> bool:
        """Whether a reset has arrived."""
        return self.breaks_at() <= trio.current_time()

    @property
    def reader_left(self) -> bool:
        """Whether the receiving end has closed."""
        return self._reader_left

    def next_event_at(self) -> float:
        """Return when the receiver will find something, as far as is known now."""
        return max(self._next_due(), self.stalled_until)

    def breaks_at(self) -> float:
        """Return when a reset that is under way arrives; `inf` if there is none."""
        return max(self._breaks_at, self.stalled_until)

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        if not self.black_hole:
            self._ends_at = min(self._ends_at, self._due())
        self._signal.set()

    def reset(self, *, drop: bool) -> None:
        """Say that the connection is no more; `drop` what is under way."""
        if drop:
            self._chunks.clear()
        if not self.black_hole:
            self._breaks_at = min(self._breaks_at, self._due())
        self._signal.set()

    def leave(self) -> None:
        """Stop receiving for good."""
        self._reader_left = True
        self._chunks.clear()
        self._held = 0
        self._signal.set()

    def wake(self) -> None:
        """Have all who wait for this link look again."""
        self._signal.set()

    async def wait(self, until: float) -> None:
        """Return when something changed on the link, at the latest at `until`."""
        await self._signal.wait(self, until)

    def _next_due(self) -> float:
        return self._chunks[0][0] if self._chunks else min(self._ends_at, self._breaks_at)

    def _due(self) -> float:
        self._last_due = max(self._last_due, trio.current_time() + self.latency_s)
        return self._last_due


class _Turn:
    """Lets one task in at a time. A class, not a generator: every frame passes it twice."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._busy = False

    def __enter__(self) -> None:
        if self._busy:
            raise trio.BusyResourceError(f"another task is about to {self._what} on this stream")
        self._busy = True

    def __exit__(self, *_: object) -> None:
        self._busy = False


class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of a link: sends into one pipe, receives from the other."""

    def __init__(self, outgoing: Pipe, incoming: Pipe) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._closed = False
        self._finished = False
        self._sending = _Turn("send")
        self._receiving = _Turn("receive")

    @property
    def has_ended(self) -> bool:
        """Whether something unasked has come: on a connection that idles, its end."""
        return self._incoming.readable

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`, waiting for room in the window."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            rest = bytes(data)
            self._check_sending()
            while rest:
                rest = rest[self._outgoing.put(rest) :]
                self._notice_faults()
                if rest:
                    await self._outgoing.wait(self._incoming.breaks_at())
                    self._check_sending()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait for room in the window."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            self._check_sending()
            while self._outgoing.full:
                await self._outgoing.wait(self._incoming.breaks_at())
                self._check_sending()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what has arrived, b"" once the other side has closed."""
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError(f"max_bytes is {max_bytes}, at least 1 is needed")
        with self._receiving:
            await trio.lowlevel.checkpoint_if_cancelled()
            if (received := self._arrived(max_bytes)) is not None:
                await trio.lowlevel.cancel_shielded_checkpoint()
                return received
            while received is None:
                await self._incoming.wait(self._incoming.next_event_at())
                received = self._arrived(max_bytes)
            return received

    async def send_eof(self) -> None:
        """Say that nothing more will be sent; receiving goes on."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            if self._closed:
                raise trio.ClosedResourceError("this end was closed")
            self._finished = True
            self._outgoing.finish()

    async def aclose(self) -> None:
        """Close in good order: what was sent still arrives; what comes in from now on does not."""
        if not self._closed:
            self._closed = True
            self._outgoing.finish()
            self._incoming.leave()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Reset the connection: what was not delivered is dropped."""
        if not self._closed:
            self._closed = True
            self._outgoing.reset(drop=True)
            self._incoming.leave()

    def detach(self) -> None:
        """Take this end from its owner, to whom it looks reset; nothing happens on the link.

        For a process that ends, or that stands still: what it does with its end has no effect.
        """
        waiting = (self._outgoing, self._incoming)
        self._outgoing, self._incoming = Pipe(), Pipe()
        self._incoming.reset(drop=True)
        for pipe in waiting:
            pipe.wake()

    def _arrived(self, max_bytes: int | None) -> bytes | None:
        if self._closed:
            raise trio.ClosedResourceError("this end was closed")
        return self._incoming.get(max_bytes)

    def _check_sending(self) -> None:
        if self._closed or self._finished:
            raise trio.ClosedResourceError("this end was closed for sending")
        if self._incoming.broken or self._outgoing.cut_after == 0:
            raise trio.BrokenResourceError("connection reset by the other side")

    def _notice_faults(self) -> None:
        """Bring about what the bytes just sent lead to: a cut, or a reset from a closed end."""
        if self._outgoing.cut_after == 0:
            self._outgoing.reset(drop=False)
            self._incoming.reset(drop=False)
        elif self._outgoing.reader_left and not self._outgoing.black_hole:
            self._incoming.reset(drop=False)


@attrs.define(kw_only=True, eq=False)
class Link:
    """Two ends and the two pipes between them.

    Attributes
    ----------
    client, server
        The streams.
    upward, downward
        The pipes: client to server, server to client. Faults are set on them.
    """

    upward: Pipe
    downward: Pipe
    client: MemoryStream
    server: MemoryStream

    @classmethod
    def make(cls, *, latency_s: float = 0.0, window: int = WINDOW) -> "Link":
        """Make a link, the same both ways."""
        signal = _Signal()
        upward = Pipe(latency_s=latency_s, window=window, signal=signal)
        downward = Pipe(latency_s=latency_s, window=window, signal=signal)
        return cls(
            upward=upward,
            downward=downward,
            client=MemoryStream(upward, downward),
            server=MemoryStream(downward, upward),
        )

    def cut(self) -> None:
        """Reset the connection from both sides; what was sent before still arrives."""
        self.upward.reset(drop=False)
        self.downward.reset(drop=False)

    def black_hole(self) -> None:
        """Lose everything from now on, both ways; nobody is told."""
        self.upward.black_hole = self.downward.black_hole = True

    def stall(self, seconds: float) -> None:
        """Let nothing arrive for `seconds`, either way."""
        self.upward.stall(seconds)
        self.downward.stall(seconds)
