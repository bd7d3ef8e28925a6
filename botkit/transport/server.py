"""A small server: WebSocket and HTTP on one port, over TCP, TLS or streams in memory.

It is the exchange's side of the wire for simulators; it is not meant for the open internet.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Final

import attrs
import h11
import trio

from botkit.transport.http import HttpReply
from botkit.transport.streams import PushbackStream
from botkit.transport.ws import WsLimits, WsLink, serve_ws

__all__ = ["HttpRequest", "Server", "ServerLimits", "open_server"]

_RECEIVE_BYTES: Final = 65_536


@attrs.frozen(repr=False)
class HttpRequest:
    """A request as it came: `target` is path and query; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    def __repr__(self) -> str:  # the rest may hold a key or a signature
        return f"HttpRequest({self.method} {self.path}, {len(self.body)} bytes)"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query as it was sent, without the question mark."""
        return self.target.partition("?")[2]


@attrs.frozen(kw_only=True)
class ServerLimits:
    """What a client may take: seconds, and bytes.

    `request_timeout_s` is for a whole request, so that one sent byte by byte holds no connection;
    `idle_s` for the time between two.
    """

    request_timeout_s: float = attrs.field(default=10.0, validator=attrs.validators.gt(0.0))
    idle_s: float = attrs.field(default=75.0, validator=attrs.validators.gt(0.0))
    send_timeout_s: float = attrs.field(default=10.0, validator=attrs.validators.gt(0.0))
    max_head_size: int = attrs.field(default=16_384, validator=attrs.validators.gt(0))
    max_body_size: int = attrs.field(default=2**20, validator=attrs.validators.gt(0))
    ws: WsLimits = attrs.field(factory=WsLimits)


@attrs.frozen(kw_only=True)
class Server:
    """What answers. `await server.serve(stream)` for one connection, `open_server` for a port.

    Parameters
    ----------
    http
        Answers a request.
    ws
        Serves one WebSocket until it returns; without it an upgrade is asked of `http` as well.
    admit
        Looks at a request to upgrade: None lets it pass, a reply refuses it.
    subprotocol
        Agreed on if the client proposes it.
    """

    http: Callable[[HttpRequest], Awaitable[HttpReply]]
    ws: Callable[[HttpRequest, WsLink], Awaitable[None]] | None = None
    admit: Callable[[HttpRequest], HttpReply | None] | None = None
    subprotocol: str | None = None
    limits: ServerLimits = attrs.field(factory=ServerLimits)

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one connection to its end and close it; raises only what a handler raises."""
        connection = _Connection(stream, self.limits)
        try:
            while await self._serve_next(connection):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            return  # the client has gone, or takes too long
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    async def _serve_next(self, connection: "_Connection") -> bool:
        """Serve one request; return whether another may follow."""
        try:
            request = await connection.read_request()
        except h11.RemoteProtocolError as exc:
            status = exc.error_status_hint or HTTPStatus.BAD_REQUEST
            await connection.refuse(HttpReply(status, {}, b""))
            return False
        if request is None:
            return False
        if self.ws is not None and _is_upgrade(request):
            refusal = self.admit(request) if self.admit else None
            if refusal is None:
                await self._upgrade(connection, request, self.ws)
                return False
            return await connection.reply(refusal)
        return await connection.reply(await self.http(request))

    async def _upgrade(
        self,
        connection: "_Connection",
        request: HttpRequest,
        ws: Callable[[HttpRequest, WsLink], Awaitable[None]],
    ) -> None:
        await serve_ws(
            PushbackStream(connection.stream, connection.raw),
            partial(ws, request),
            name=f"client at {request.path}",
            limits=self.limits.ws,
            handshake_timeout_s=self.limits.request_timeout_s,
            subprotocol=self.subprotocol,
        )


@asynccontextmanager
async def open_server(
    server: Server,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve on a TCP port for the length of the block and give its number; 0 takes a free one.

    Leaving the block ends every connection. Raises `OSError` if the port is taken.
    """
    listeners = await trio.open_tcp_listeners(port, host=host)
    bound: int = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        if ssl_context is None:
            nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        else:
            secured = [
                trio.SSLListener(each, ssl_context, https_compatible=True) for each in listeners
            ]
            nursery.start_soon(trio.serve_listeners, server.serve, secured)
        try:
            yield bound
        finally:
            nursery.cancel_scope.cancel()


class _Connection:
    """One client's HTTP/1.1, a request at a time. `raw` is the request as it came off the wire."""

    def __init__(self, stream: trio.abc.Stream, limits: ServerLimits) -> None:
        self.stream = stream
        self.raw = b""
        self._limits = limits
        self._parser = self._new_parser()

    def _new_parser(self) -> h11.Connection:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.max_head_size)

    async def read_request(self) -> HttpRequest | None:
        """Return the next request, None if the client is done; raise if it takes too long."""
        with trio.move_on_after(self._limits.idle_s):
            if not self.raw:
                await self._receive()
        if not self.raw:
            return None
        with trio.fail_after(self._limits.request_timeout_s):
            head = await self._next_event()
            if not isinstance(head, h11.Request):
                return None
            body = await self._read_body()
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        return HttpRequest(head.method.decode(), head.target.decode(), headers, body)

    async def _read_body(self) -> bytes:
        body = bytearray()
        while not isinstance(event := await self._next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                body += event.data
            if not isinstance(event, h11.Data) or len(body) > self._limits.max_body_size:
                raise h11.RemoteProtocolError(
                    "body cut short or too long",
                    error_status_hint=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                )
        return bytes(body)

    async def _next_event(self) -> object:
        while (event := self._parser.next_event()) is h11.NEED_DATA:
            if self._parser.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            if not await self._receive():
                self._parser.receive_data(b"")
        return event

    async def _receive(self) -> bytes:
        received = bytes(await self.stream.receive_some(_RECEIVE_BYTES))
        self.raw += received
        if received:
            self._parser.receive_data(received)
        return received

    async def reply(self, reply: HttpReply) -> bool:
        """Send `reply`; return whether the connection can take another request."""
        headers = {"content-length": str(len(reply.body)), **reply.headers}
        await self._send(
            h11.Response(status_code=reply.status, headers=list(headers.items())),
            *([h11.Data(data=reply.body)] if reply.body else []),
            h11.EndOfMessage(),
        )
        if self._parser.our_state is h11.MUST_CLOSE or self._parser.their_state is not h11.DONE:
            return False
        self.raw = self._parser.trailing_data[0]
        self._parser = self._new_parser()
        if self.raw:
            self._parser.receive_data(self.raw)
        return True

    async def refuse(self, reply: HttpReply) -> None:
        """Answer what was no request, if anything can still be said."""
        if self._parser.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self.reply(attrs.evolve(reply, headers={"connection": "close"}))

    async def _send(self, *events: h11.Event) -> None:
        encoded = b"".join(self._parser.send(event) or b"" for event in events)
        if encoded:
            with trio.fail_after(self._limits.send_timeout_s):
                await self.stream.send_all(encoded)


def _is_upgrade(request: HttpRequest) -> bool:
    tokens = {each.strip().lower() for each in request.headers.get("connection", "").split(",")}
    return "upgrade" in tokens and request.headers.get("upgrade", "").lower() == "websocket"
