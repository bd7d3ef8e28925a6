"""A TCP proxy on loopback that does to a real connection what networks do.

It reads bytes, not protocols. Faults are set from within the same trio run, at any moment:

    async with open_proxy(port) as proxy:       # clients connect to proxy.port
        proxy.half_open()                        # every connection is silent, and none is closed
        proxy.heal()                             # new connections pass again
"""

import math
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import attrs
import trio

__all__ = ["Proxy", "open_proxy"]

HOST = "127.0.0.1"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER for no seconds: closing sends a reset
FAILURES = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


def _nothing(_: bytes) -> None:
    """Take no notice."""


@attrs.define(kw_only=True, eq=False)
class _Way:
    """One direction of one connection; `lost` once what it carries goes nowhere, for good."""

    lost: bool = False
    passes_at: float = -math.inf  # on trio's clock: nothing passes before
    cut_after: int | None = None
    changed: trio.Event = attrs.field(factory=trio.Event)

    def pass_at(self, moment: float) -> None:
        """Let nothing pass before `moment` of trio's clock."""
        self.passes_at = moment
        self.changed.set()
        self.changed = trio.Event()


@attrs.define(kw_only=True, eq=False)
class _Connection:
    """A client, and the server on its behalf."""

    client: trio.SocketStream
    server: trio.SocketStream | None = None
    upward: _Way = attrs.field(factory=_Way)
    downward: _Way = attrs.field(factory=_Way)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def abort(self) -> None:
        """Reset both sides."""
        for stream in filter(None, (self.client, self.server)):
            _reset(stream)
        self.scope.cancel()


@attrs.define(kw_only=True, eq=False)
class Proxy:
    """Passes connections on to `target`, a port of this machine, until told otherwise.

    A fault stays until `heal`; what a connection has lost meanwhile stays lost, so one that was
    half-open or deaf never recovers, as a real one whose bytes are gone does not.

    Attributes
    ----------
    target, port
        Where connections go; where it listens itself.
    on_upward, on_downward
        Called with what a client, or the server, has sent, just before it is passed on: a plain
        call, so that a process can be killed at that instant.
    accepted
        How many connections clients have made.
    """

    target: int
    port: int = 0
    on_upward: Callable[[bytes], None] = _nothing
    on_downward: Callable[[bytes], None] = _nothing
    accepted: int = 0
    _open: list[_Connection] = attrs.field(factory=list, init=False)
    _new_lost: tuple[bool, bool] = attrs.field(default=(False, False), init=False)
    _new_pass_at: float = attrs.field(default=-math.inf, init=False)
    _listening: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _may_listen: trio.Event = attrs.field(factory=trio.Event, init=False)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def cut(self) -> None:
        """Reset every open connection; new ones pass."""
        for each in list(self._open):
            each.abort()

    def cut_after(self, count: int, *, upward: bool = False) -> None:
        """Reset each open connection once `count` more bytes have come down (or gone up) it."""
        for each in self._open:
            (each.upward if upward else each.downward).cut_after = count

    def half_open(self) -> None:
        """Pass nothing, neither way, nor the end of a connection; close none, accept new ones."""
        self._lose(upward=True, downward=True)

    def swallow_answers(self) -> None:
        """Let what clients send through, and nothing that the server answers."""
        self._lose(upward=False, downward=True)

    def stall(self, seconds: float, *, new: bool = True) -> None:
        """Pass nothing for `seconds`, then all of it; with `new` False on open connections only."""
        until = trio.current_time() + seconds
        for each in self._open:
            each.upward.pass_at(until)
            each.downward.pass_at(until)
        if new:
            self._new_pass_at = until

    def delay_answers(self, seconds: float) -> None:
        """Hold back for `seconds` what the server answers on open connections, then pass it all."""
        until = trio.current_time() + seconds
        for each in self._open:
            each.downward.pass_at(until)

    def refuse(self) -> None:
        """Refuse new connections; those that are open go on."""
        self._may_listen = trio.Event()
        self._listening.cancel()

    def heal(self) -> None:
        """Let everything pass again that is not lost already."""
        self._new_lost, self._new_pass_at = (False, False), -math.inf
        for each in self._open:
            for way in (each.upward, each.downward):
                way.pass_at(-math.inf)
                way.cut_after = None
        self._may_listen.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and pass on until canceled."""
        self._may_listen.set()
        async with trio.open_nursery() as nursery:
            while True:
                await self._may_listen.wait()
                listeners = await trio.open_tcp_listeners(self.port, host=HOST)
                self.port = listeners[0].socket.getsockname()[1]
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                with trio.CancelScope() as self._listening:
                    await trio.serve_listeners(self._serve, listeners, handler_nursery=nursery)

    def _lose(self, *, upward: bool, downward: bool) -> None:
        self._new_lost = (upward, downward)
        for each in self._open:
            each.upward.lost |= upward
            each.downward.lost |= downward

    async def _serve(self, client: trio.SocketStream) -> None:
        """Pass one connection on, until both sides have ended or it is cut."""
        connection = _Connection(client=client)
        connection.upward.lost, connection.downward.lost = self._new_lost
        connection.upward.passes_at = connection.downward.passes_at = self._new_pass_at
        self.accepted += 1
        self._open.append(connection)
        try:
            with connection.scope:
                await self._pass_on(connection)
        finally:
            self._open.remove(connection)
            with trio.CancelScope(shield=True):
                for stream in filter(None, (client, connection.server)):
                    await trio.aclose_forcefully(stream)

    async def _pass_on(self, connection: _Connection) -> None:
        if connection.upward.lost and connection.downward.lost:
            await trio.sleep_forever()
        try:
            connection.server = await trio.open_tcp_stream(HOST, self.target)
        except OSError:
            connection.abort()
            return
        client, server = connection.client, connection.server
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pump, connection, client, server, connection.upward)
            nursery.start_soon(self._pump, connection, server, client, connection.downward)

    async def _pump(
        self,
        connection: _Connection,
        source: trio.SocketStream,
        sink: trio.SocketStream,
        way: _Way,
    ) -> None:
        """Carry one way to its end, all that was read before it included."""
        is_up = way is connection.upward
        try:
            while chunk := await source.receive_some():
                (self.on_upward if is_up else self.on_downward)(chunk)
                if not await self._carry(connection, sink, way, chunk):
                    return  # who reads `sink` is gone, which the other way finds out
        except FAILURES:
            await _due(way)
            if way.lost:
                await trio.sleep_forever()
            _reset(sink)
        else:
            await self._carry(connection, sink, way, b"")

    async def _carry(
        self, connection: _Connection, sink: trio.SocketStream, way: _Way, chunk: bytes
    ) -> bool:
        """Pass `chunk` on when it is time; the end, if it is empty. Return False if it cannot."""
        await _due(way)
        if way.lost:
            return True
        is_cut = way.cut_after is not None and len(chunk) >= way.cut_after
        if is_cut:
            chunk = chunk[: way.cut_after]
        elif way.cut_after is not None:
            way.cut_after -= len(chunk)
        try:
            await (sink.send_all(chunk) if chunk else sink.send_eof())
        except FAILURES:
            return False
        if is_cut:
            connection.abort()
            await trio.lowlevel.checkpoint()
        return True


def _reset(stream: trio.SocketStream) -> None:
    """Close with a reset, at once."""
    with suppress(*FAILURES):  # it may be closed already
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    stream.socket.close()


async def _due(way: _Way) -> None:
    """Return when something may pass."""
    while way.passes_at > trio.current_time():
        with trio.move_on_at(way.passes_at):
            await way.changed.wait()


@asynccontextmanager
async def open_proxy(target: int) -> AsyncIterator[Proxy]:
    """Run a proxy to port `target` for the length of the block; leaving it cuts everything."""
    proxy = Proxy(target=target)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.run)
        try:
            yield proxy
        finally:
            nursery.cancel_scope.cancel()
