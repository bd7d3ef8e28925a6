"""Streams we own: writes that are whole or the end, closes that cannot hang, bytes put back."""

import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GuardedStream", "PushbackStream", "abort"]

_LINGER_NOT: Final = struct.pack("ii", 1, 0)
_HEAD_MAX: Final = 200


@runtime_checkable
class Abortable(Protocol):
    """A stream, such as a simulated one, that can be reset."""

    def abort(self) -> None:
        """End the connection at once, dropping what was not delivered."""
        ...


async def abort(stream: trio.abc.AsyncResource) -> None:
    """Reset the connection under `stream`: what still waits to be sent is dropped, nothing waits.

    A plain close would leave the operating system trying to deliver it: an order could reach the
    venue long after we have given the link up.
    """
    inner = stream
    while isinstance(inner, trio.SSLStream | GuardedStream | PushbackStream):
        inner = inner.transport_stream
    if isinstance(inner, trio.SocketStream) and inner.socket.fileno() >= 0:
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    elif isinstance(inner, Abortable):
        inner.abort()
    await trio.aclose_forcefully(stream)


class PushbackStream(trio.abc.Stream):
    """A stream whose first bytes were read already and are to be read again."""

    def __init__(self, transport_stream: trio.abc.Stream, pushed_back: bytes) -> None:
        self.transport_stream = transport_stream
        self._pushed_back = pushed_back

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the bytes put back first, then what comes."""
        if not self._pushed_back:
            return bytes(await self.transport_stream.receive_some(max_bytes))
        await trio.lowlevel.checkpoint()
        size = len(self._pushed_back) if max_bytes is None else max_bytes
        chunk, self._pushed_back = self._pushed_back[:size], self._pushed_back[size:]
        return chunk

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send through the stream beneath."""
        await self.transport_stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait as the stream beneath does."""
        await self.transport_stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream beneath."""
        await self.transport_stream.aclose()


class GuardedStream(trio.abc.Stream):
    """Watches a stream for the WebSocket on top of it.

    A write is finished, canceled or not, or ends the connection after `send_timeout_s`: half a
    frame would make everything after it unreadable. A close under cancellation resets.

    Attributes
    ----------
    heard_at
        When bytes last came, by trio's clock, in seconds.
    head
        The first bytes received: what a server said instead of upgrading.
    failure
        Why the connection ended, as far as this side of it knows; "" while it is open.
    on_end
        Called when nothing more can be received.
    """

    def __init__(self, transport_stream: trio.abc.Stream, *, send_timeout_s: float) -> None:
        self.transport_stream = transport_stream
        self.heard_at = trio.current_time()
        self.head = b""
        self.failure = ""
        self.on_end: Callable[[], object] = lambda: None
        self._send_timeout_s = send_timeout_s
        self._closed = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what has come, b"" at the end."""
        try:
            received = bytes(await self.transport_stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self._end(_reason(exc))
            raise
        if received:
            self.heard_at = trio.current_time()
            if len(self.head) < _HEAD_MAX:
                self.head += received[: _HEAD_MAX - len(self.head)]
        else:
            self._end("the other side closed the connection")
        return received

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`, or abort the connection and raise `trio.BrokenResourceError`."""
        with trio.move_on_after(self._send_timeout_s, shield=True) as scope:
            try:
                await self.transport_stream.send_all(data)
            except trio.BrokenResourceError as exc:
                self._end(_reason(exc))
                raise
        if scope.cancelled_caught:
            self._end(f"no room to send for {self._send_timeout_s:g} s")
            await self.abort()
            raise trio.BrokenResourceError(self.failure)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait as the stream beneath does."""
        await self.transport_stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close, once; if the deadline has passed already, reset instead."""
        if self._closed:
            return
        if trio.current_effective_deadline() <= trio.current_time():
            await self.abort()
        self._closed = True
        self._end("closed by us")
        await self.transport_stream.aclose()

    async def abort(self) -> None:
        """Reset the connection, whatever state it is in; at once, even under cancellation."""
        if not self._closed:
            self._closed = True
            self._end("given up by us")
            with trio.CancelScope(shield=True):
                await abort(self.transport_stream)

    def _end(self, reason: str) -> None:
        self.failure = self.failure or reason
        self.on_end()


def _reason(exc: BaseException) -> str:
    """Return what the operating system or TLS had to say, or that the connection broke."""
    cause = exc.__cause__ or exc
    return f"the connection broke: {cause}" if str(cause) else "the connection broke"
