"""httpx over connections that a test's network makes, by httpcore's public network backend."""

import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore
import httpx
import trio

from botkit.transport.dialing import Dial

__all__ = ["DialedTransport", "reason_of"]


class _Body(httpx.AsyncByteStream):
    """The body of an answer, read as it comes."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        """Give the connection back, or close it if the body was not read to its end."""
        await self._response.aclose()


class DialedTransport(httpx.AsyncBaseTransport):
    """httpx over connections that `dial` makes, by httpcore's public network backend."""

    def __init__(
        self, dial: Dial, ssl_context: ssl.SSLContext | None, limits: httpx.Limits
    ) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_DialedBackend(dial),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; the answer's body is read later."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class _DialedBackend(httpcore.AsyncNetworkBackend):
    """Connections for httpcore, made by `dial`."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect; the request's deadline is the only timeout."""
        try:
            return _DialedStream(await self._dial(host, port))
        except (OSError, trio.BrokenResourceError) as exc:
            raise httpcore.ConnectError(str(exc)) from exc


class _DialedStream(httpcore.AsyncNetworkStream):
    """A trio stream as httpcore wants it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come, b"" at the end."""
        try:
            return bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise httpcore.ReadError(reason_of(exc)) from exc

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`; the end of a request is often none."""
        if not buffer:
            return
        try:
            await self._stream.send_all(buffer)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise httpcore.WriteError(reason_of(exc)) from exc

    async def aclose(self) -> None:
        """Close, waiting for nobody."""
        await trio.aclose_forcefully(self._stream)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Speak TLS from here on."""
        secured = trio.SSLStream(
            self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True
        )
        try:
            await secured.do_handshake()
        except BaseException as exc:  # httpcore does not close it for us
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(secured)
            if isinstance(exc, trio.BrokenResourceError):
                raise httpcore.ConnectError(reason_of(exc)) from exc
            raise
        return _DialedStream(secured)

    def get_extra_info(self, info: str) -> Any:
        """Tell whether an idle connection has ended; nothing else is known."""
        if info != "is_readable":
            return None
        inner = self._stream
        while isinstance(inner, trio.SSLStream):
            inner = inner.transport_stream
        return getattr(inner, "has_ended", False)


def reason_of(exc: BaseException) -> str:
    """Return the first text found on the way to the cause; the type's name if there is none."""
    cause: BaseException | None = exc
    while cause is not None:
        if str(cause):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return type(exc).__name__
