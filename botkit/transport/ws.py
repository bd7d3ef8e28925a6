"""WebSocket links: the seam every adapter and every simulator talks through."""

import itertools
import math
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, cast

import attrs
import h11
import trio
import trio_websocket
import wsproto.utilities

from botkit.errors import (
    ConfigError,
    FeedStaleError,
    HandshakeRefusedError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
    VenueUnreachableError,
)
from botkit.transport.dialing import USER_AGENT, Dial, Target, connect
from botkit.transport.streams import GuardedStream

__all__ = ["WsLimits", "WsLink", "open_ws", "serve_ws"]

NORMAL_CLOSURE: Final = 1000
UNHEARD_S: Final = 0.05  # for the good-bye to leave
NEVER_S: Final = math.inf
# Set by our own side as well: it found a frame that is none, or text that is not UTF-8.
_PROTOCOL_CODES: Final = frozenset({1002, 1003, 1007, 1009})
_QUEUED_MESSAGES: Final = 256  # then we stop reading, and the venue's sends will wait
_SCHEMES: Final = ("ws", "wss")
_UPGRADED: Final = 101


@attrs.frozen(kw_only=True)
class WsLimits:
    """What a link may take: seconds, and bytes of one message."""

    send_timeout_s: float = attrs.field(default=5.0, validator=attrs.validators.gt(0.0))
    close_timeout_s: float = attrs.field(default=2.0, validator=attrs.validators.gt(0.0))
    max_message_size: int = attrs.field(default=16 * 2**20, validator=attrs.validators.gt(0))


class WsLink:
    """One open WebSocket, of either side. One task receives; any task may send.

    At most 256 messages wait to be received; then nothing more is read from the peer.
    """

    def __init__(
        self,
        name: str,
        connection: trio_websocket.WebSocketConnection,
        stream: GuardedStream,
        limits: WsLimits,
    ) -> None:
        self.name = name
        self._connection = connection
        self._stream = stream
        self._limits = limits
        self._ping_numbers = itertools.count()

    def __repr__(self) -> str:
        return f"WsLink({self.name!r})"

    @property
    def idle_s(self) -> float:
        """How long nothing has been heard, be it a message, a pong or part of one."""
        return trio.current_time() - self._stream.heard_at

    @property
    def subprotocol(self) -> str | None:
        """What both sides agreed on, if anything."""
        return self._connection.subprotocol

    @property
    def close_code(self) -> int | None:
        """The code the link was closed with; None while it is open, 1006 if it broke."""
        closed = self._connection.closed
        return closed.code if closed else None

    @property
    def close_reason(self) -> str:
        """What the peer said when it closed; "" if nothing."""
        closed = self._connection.closed
        return (closed.reason or "") if closed else ""

    async def receive_batch(self) -> list[bytes]:
        """Wait for a message and return what is there, at least one, text as UTF-8.

        Messages that came before the end are still returned. Raises `VenueDisconnectedError` with
        code and reason at the end of the link, `VenueProtocolError` if the peer broke the
        protocol or sent more than `max_message_size`.
        """
        try:
            message = await self._connection.get_message()
        except trio_websocket.ConnectionClosed as exc:
            raise self._failure() from exc
        return [message.encode() if isinstance(message, str) else message]

    async def send(self, message: bytes | str, *, binary: bool = False) -> None:
        """Send one message, as text unless `binary`; return once it is handed to the system.

        Sent whole or not at all: cancellation waits for a frame under way, and one that finds no
        room within `send_timeout_s` ends the link. Raises `VenueDisconnectedError`; the message
        may have reached the peer then.
        """
        if binary:
            payload: bytes | str = message.encode() if isinstance(message, str) else message
        else:
            payload = message if isinstance(message, str) else message.decode()
        try:
            await self._connection.send_message(payload)
        except (trio_websocket.ConnectionClosed, wsproto.utilities.LocalProtocolError) as exc:
            raise self._failure() from exc

    async def ping(self, timeout_s: float) -> float:
        """Send a ping; return the seconds until its pong. Needs no receiving task.

        Raises `FeedStaleError` after `timeout_s`, `VenueDisconnectedError` if the link has ended.
        """
        sent_at = trio.current_time()
        payload = str(next(self._ping_numbers)).encode()
        try:
            with trio.fail_after(timeout_s):
                await self._connection.ping(payload)
        except trio.TooSlowError:
            raise FeedStaleError(
                f"{self.name}: no pong within {timeout_s:g} s, nothing heard for {self.idle_s:g} s"
            ) from None
        except (trio_websocket.ConnectionClosed, wsproto.utilities.LocalProtocolError) as exc:
            raise self._failure() from exc
        return trio.current_time() - sent_at

    async def aclose(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Say good-bye and close; after `close_timeout_s` reset the connection instead.

        Never raises for a peer that is gone, and is not cut short by cancellation.
        """
        # Whoever is canceled has lost the task that reads: no answer can be heard any more.
        is_canceled = trio.current_effective_deadline() == -math.inf
        patience_s = min(UNHEARD_S if is_canceled else NEVER_S, self._limits.close_timeout_s)
        with trio.move_on_after(patience_s, shield=True):
            await self._connection.aclose(code, reason or None)
            await self._stream.aclose()

    async def abort(self) -> None:
        """Reset the connection at once, without a good-bye: what is not sent yet is dropped."""
        await self._stream.abort()

    def _failure(self) -> VenueError:
        """Return why nothing more can be received or sent."""
        closed = self._connection.closed
        if closed is None or closed.code in _PROTOCOL_CODES:
            said = f"{closed.code} {closed.reason or ''}".rstrip() if closed else "no reason given"
            return VenueProtocolError(f"{self.name}: the link broke the WebSocket protocol: {said}")
        if closed.code == wsproto.frame_protocol.CloseReason.ABNORMAL_CLOSURE:
            return VenueDisconnectedError(f"{self.name}: {self._stream.failure or 'link lost'}")
        reason = f" {closed.reason!r}" if closed.reason else ""
        return VenueDisconnectedError(f"{self.name}: closed with code {closed.code}{reason}")


@asynccontextmanager
async def open_ws(
    url: str,
    *,
    connect_timeout_s: float = 10.0,
    send_timeout_s: float = 5.0,
    close_timeout_s: float = 2.0,
    max_message_size: int = 16 * 2**20,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    dial: Dial | None = None,
) -> AsyncIterator[WsLink]:
    """Open a WebSocket to `url` (`ws:` or `wss:`) for the length of the block.

    See `WsLink` for the deadlines. `connect_timeout_s` covers everything until the upgrade. The
    proxies of the environment are used and TLS is verified as `botkit.transport.connect` says;
    `dial` replaces the network.

    Raises `ConfigError` for a URL or a header that is none, `VenueUnreachableError` if there is no
    connection or the server does not upgrade it (`HandshakeRefusedError` if it says so). What the
    block raises leaves as it is, in no group.
    """
    target = Target.of(url, _SCHEMES)
    sent_headers = _encoded(target, headers or {})
    limits = WsLimits(
        send_timeout_s=send_timeout_s,
        close_timeout_s=close_timeout_s,
        max_message_size=max_message_size,
    )
    connect_by = trio.current_time() + connect_timeout_s
    transport = await connect(
        target, timeout_s=connect_timeout_s, ssl_context=ssl_context, dial=dial
    )
    stream = GuardedStream(transport, send_timeout_s=send_timeout_s)

    async def shake_hands(nursery: trio.Nursery) -> trio_websocket.WebSocketConnection:
        return await trio_websocket.wrap_client_stream(
            nursery,
            cast("trio.SocketStream", stream),  # annotated so, documented to take any stream
            target.authority,
            target.resource,
            subprotocols=subprotocols,
            extra_headers=sent_headers,
            message_queue_size=_QUEUED_MESSAGES,
            max_message_size=max_message_size,
            receive_buffer_size=None,
        )

    async with _linked(str(target), stream, limits, shake_hands, connect_by) as link:
        yield link


async def serve_ws(
    stream: trio.abc.Stream,
    handler: Callable[[WsLink], Awaitable[None]],
    *,
    name: str = "client",
    limits: WsLimits | None = None,
    handshake_timeout_s: float = 10.0,
    subprotocol: str | None = None,
) -> None:
    """Serve one WebSocket on `stream`, the exchange's side; return when `handler` has.

    The upgrade request is still to be read from `stream`; see `PushbackStream`. A client that
    goes away ends the handler by `VenueDisconnectedError`, which is not raised further. `stream`
    is closed in any case.
    """
    limits = limits or WsLimits()
    guarded = GuardedStream(stream, send_timeout_s=limits.send_timeout_s)

    async def shake_hands(nursery: trio.Nursery) -> trio_websocket.WebSocketConnection:
        request = await trio_websocket.wrap_server_stream(
            nursery,
            guarded,
            message_queue_size=_QUEUED_MESSAGES,
            max_message_size=limits.max_message_size,
            receive_buffer_size=None,
        )
        wanted = subprotocol if subprotocol in request.proposed_subprotocols else None
        return await request.accept(subprotocol=wanted)

    by = trio.current_time() + handshake_timeout_s
    try:
        async with _linked(name, guarded, limits, shake_hands, by) as link:
            await handler(link)
    except (VenueDisconnectedError, VenueProtocolError):
        return


def _encoded(target: Target, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the headers as they are sent; raise `ConfigError` for one that cannot be."""
    headers = {"User-Agent": USER_AGENT, **headers}
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise ConfigError(
                f"{target}: the value of the header {name} has a character that HTTP does not "
                "allow; look at the key for a line break, a space at its end or a letter beyond "
                "ASCII"
            )
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


@asynccontextmanager
async def _linked(
    name: str,
    stream: GuardedStream,
    limits: WsLimits,
    shake_hands: Callable[[trio.Nursery], Awaitable[trio_websocket.WebSocketConnection]],
    connect_by: float,
) -> AsyncIterator[WsLink]:
    """Run a WebSocket's reader for the length of the block; whatever happens, close `stream`."""
    linked = False
    try:
        async with trio.open_nursery() as nursery:
            connection = await _upgraded(name, stream, nursery, shake_hands, connect_by)
            link, linked = WsLink(name, connection, stream, limits), True
            try:
                yield link
            finally:
                await link.aclose()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _sole(name, stream, group, linked=linked) from None
    finally:
        await stream.abort()


async def _upgraded(
    name: str,
    stream: GuardedStream,
    nursery: trio.Nursery,
    shake_hands: Callable[[trio.Nursery], Awaitable[trio_websocket.WebSocketConnection]],
    connect_by: float,
) -> trio_websocket.WebSocketConnection:
    """Return the connection, both sides agreed; raise `VenueUnreachableError` if they do not."""
    with trio.CancelScope(deadline=connect_by) as scope:
        # The library waits for the answer for ever if the peer hangs up instead of giving one.
        stream.on_end = scope.cancel
        try:
            connection = await shake_hands(nursery)
        except trio_websocket.ConnectionClosed:  # it went away with its question half answered
            raise _not_upgraded(name, stream) from None
        stream.on_end = lambda: None
        return connection
    raise _not_upgraded(name, stream)


def _not_upgraded(name: str, stream: GuardedStream) -> VenueUnreachableError:
    status = _status(stream.head)
    if status is not None and status != _UPGRADED:
        body = stream.head.partition(b"\r\n\r\n")[2]
        return HandshakeRefusedError(
            f"{name}: the server answered {status} instead of upgrading", status, body
        )
    return VenueUnreachableError(
        f"{name}: {stream.failure or 'no answer in time'}, before the upgrade to WebSocket"
    )


def _status(head: bytes) -> int | None:
    """Return the status of the HTTP response that starts with `head`; None if it is none."""
    protocol, _, rest = head.partition(b" ")
    code = rest[:3]
    return int(code) if protocol.startswith(b"HTTP/") and code.isdigit() else None


def _sole(
    name: str, stream: GuardedStream, group: BaseExceptionGroup, *, linked: bool
) -> BaseException:
    """Return the one exception to raise instead of a group: the block's, else the reader's."""
    found = [each for each in group.exceptions if not isinstance(each, trio.Cancelled)]
    foreign = (
        trio_websocket.HandshakeError,
        wsproto.utilities.ProtocolError,
        h11.ProtocolError,
    )
    ours = [each for each in found if not isinstance(each, foreign)]
    if ours or not found:
        return ours[0] if len(ours) == 1 else group
    if not linked:
        return _not_upgraded(name, stream)
    return VenueProtocolError(f"{name}: the link broke the WebSocket protocol: {found[0]}")
