"""The one page of HTTP that Prometheus asks for."""

import ipaddress
from collections.abc import Callable
from typing import Final

import trio

from botkit.config import MetricsConfig
from botkit.errors import ConfigError

__all__ = ["Page", "is_loopback"]

PATH: Final = b"/metrics"
HEAD_MAX: Final = 8_192
CONNECTIONS_MAX: Final = 16
TIMEOUT_S: Final = 5.0
END_OF_HEAD: Final = b"\r\n\r\n"


class Page:
    """Serves what `body` returns at `/metrics`, to `CONNECTIONS_MAX` readers at once at most.

    A connection has `TIMEOUT_S` and carries one answer.
    """

    def __init__(self, body: Callable[[], bytes], content_type: str) -> None:
        self._body = body
        self._content_type = content_type.encode()
        self._listeners: list[trio.SocketListener] = []
        self._open = 0

    async def listen(self, config: MetricsConfig, source: str) -> str:
        """Take the port; return the page's address.

        Raises
        ------
        ConfigError
            The port is taken, or there is no such address here.
        """
        try:
            self._listeners = await trio.open_tcp_listeners(config.port, host=config.host)
        except OSError as exc:
            raise ConfigError(
                f"{source}: metrics: cannot listen at {config.host} port {config.port}: "
                f"{exc.strerror or exc}; give another port, or end what has it"
            ) from exc
        port = self._listeners[0].socket.getsockname()[1]
        host = f"[{config.host}]" if ":" in config.host else config.host
        return f"http://{host}:{port}{PATH.decode()}"

    async def serve(self) -> None:
        """Answer, until canceled."""
        await trio.serve_listeners(self._answer, self._listeners)

    def close(self) -> None:
        """Give the port back."""
        for listener in self._listeners:
            listener.socket.close()

    async def _answer(self, stream: trio.SocketStream) -> None:
        with trio.move_on_after(TIMEOUT_S):
            try:
                if self._open < CONNECTIONS_MAX:
                    self._open += 1
                    try:
                        await stream.send_all(self._answer_to(await _head(stream)))
                        await stream.send_eof()
                    finally:
                        self._open -= 1
            except trio.BrokenResourceError:
                pass  # the reader has gone
            finally:
                await trio.aclose_forcefully(stream)

    def _answer_to(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if END_OF_HEAD not in head:
            return _response(b"400 Bad Request", b"text/plain", b"not a request\n")
        if path != PATH:
            return _response(b"404 Not Found", b"text/plain", b"there is only /metrics\n")
        if method != b"GET":
            return _response(b"405 Method Not Allowed", b"text/plain", b"only GET\n")
        return _response(b"200 OK", self._content_type, self._body())


async def _head(stream: trio.SocketStream) -> bytes:
    """Return a request up to the end of its head, or what came of it."""
    head = b""
    while END_OF_HEAD not in head and len(head) < HEAD_MAX:
        received = await stream.receive_some(HEAD_MAX)
        if not received:
            break
        head += received
    return head


def _response(status: bytes, content_type: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (
        status,
        content_type,
        len(body),
    )
    return head + body


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
