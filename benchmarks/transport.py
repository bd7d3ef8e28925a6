"""What the transport costs per frame received, per frame sent and per request.

    python benchmarks/transport.py [--json] [--frames 20000] [--size 300]

CPU time of one process, the medians of three rounds:

(a) wsproto alone, finding the messages in the same bytes;
(b) `WsLink.receive_batch` over loopback TCP, (c) over TLS, (d) over a simulated link;
(e) `WsLink.send` over loopback TCP;
(f) a GET over a connection that is kept alive, TCP, with our own server's share.
"""

import contextlib
import json
import ssl
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial

import click
import trio
import trio_websocket
import trustme
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from botkit.testing.network import open_network
from botkit.transport import Dial, HttpReply, HttpRequest, Server, open_http, open_server, open_ws

ROUNDS = 3
CHUNK = 65_536
FRAMES_A_REQUEST = 20  # about what a request costs, so that rounds last alike
HOST = "localhost"


class Clock:
    """CPU time since it was made."""

    def __init__(self) -> None:
        self._started_ns = time.process_time_ns()

    def us_each(self, count: int) -> float:
        """Return the microseconds since then, divided by `count`."""
        return (time.process_time_ns() - self._started_ns) / count / 1_000


def framing_us(frames: bytes, count: int) -> float:
    """Measure (a)."""
    connection, found, clock = Connection(ConnectionType.CLIENT), 0, Clock()
    for start in range(0, len(frames), CHUNK):
        connection.receive_data(frames[start : start + CHUNK])
        for event in connection.events():
            found += isinstance(event, TextMessage) and event.message_finished
    assert found == count
    return clock.us_each(count)


async def blast(frames: bytes, stream: trio.abc.Stream) -> None:
    """Agree to a WebSocket, send `frames`, encoded before, and then read whatever comes."""
    async with trio.open_nursery() as nursery:
        request = await trio_websocket.wrap_server_stream(nursery, stream)
        await request.accept()
        nursery.cancel_scope.cancel()
    await stream.send_all(frames)
    with contextlib.suppress(trio.BrokenResourceError):
        while await stream.receive_some():
            pass


async def receiving_us(
    url: str, count: int, ssl_context: ssl.SSLContext | None = None, dial: Dial | None = None
) -> float:
    """Measure (b), (c) or (d)."""
    async with open_ws(url, ssl_context=ssl_context, dial=dial, close_timeout_s=0.01) as link:
        left, clock = count, Clock()
        while left > 0:
            left -= len(await link.receive_batch())
        return clock.us_each(count)


async def sending_us(url: str, count: int, message: str) -> float:
    """Measure (e)."""
    async with open_ws(url, close_timeout_s=0.01) as link:
        clock = Clock()
        for _ in range(count):
            await link.send(message)
        return clock.us_each(count)


async def requesting_us(count: int) -> float:
    """Measure (f)."""

    async def answer(_request: HttpRequest) -> HttpReply:
        return HttpReply(200, {}, b'{"ok": true}')

    async with (
        open_server(Server(http=answer)) as port,
        open_http(f"http://{HOST}:{port}") as http,
    ):
        await http.request("GET", "/")
        clock = Clock()
        for _ in range(count):
            await http.request("GET", "/")
        return clock.us_each(count)


async def serving(
    handler: Callable[[trio.abc.Stream], Awaitable[None]],
    measure: Callable[[str], Awaitable[float]],
    server_tls: ssl.SSLContext | None = None,
) -> float:
    """Return what `measure` finds at a port that `handler` serves."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        if server_tls is None:
            nursery.start_soon(trio.serve_listeners, handler, listeners)
        else:
            secured = [trio.SSLListener(each, server_tls) for each in listeners]
            nursery.start_soon(trio.serve_listeners, handler, secured)
        found = await measure(f"ws{'s' if server_tls else ''}://{HOST}:{port}/")
        nursery.cancel_scope.cancel()
    return found


async def simulated(handler: Callable[[trio.abc.Stream], Awaitable[None]], count: int) -> float:
    """Return (d)."""
    async with open_network() as network:
        network.listen(HOST, 80, handler)
        return await receiving_us(f"ws://{HOST}/", count, dial=network.dial)


async def measure(frames: bytes, count: int, message: str) -> dict[str, float]:
    """Measure everything once."""
    authority, server_tls = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    handler = partial(blast, frames)
    tcp = partial(receiving_us, count=count)
    tls = partial(receiving_us, count=count, ssl_context=client_tls)
    send = partial(sending_us, count=count, message=message)
    return {
        "a_framing_us": framing_us(frames, count),
        "b_receive_tcp_us": await serving(handler, tcp),
        "c_receive_tls_us": await serving(handler, tls, server_tls),
        "d_receive_simulated_us": await simulated(handler, count),
        "e_send_us": await serving(partial(blast, b""), send),
        "f_request_us": await requesting_us(max(1, count // FRAMES_A_REQUEST)),
    }


@click.command()
@click.option("--frames", "count", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--size", type=click.IntRange(min=1), default=300, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(count: int, size: int, *, as_json: bool) -> None:
    """Measure what the transport costs, for `--frames` messages of `--size` bytes."""
    message = "x" * size
    encoder = Connection(ConnectionType.SERVER)
    frames = b"".join(encoder.send(TextMessage(data=message)) for _ in range(count))
    rounds = [trio.run(measure, frames, count, message) for _ in range(ROUNDS)]
    result = {
        name: round(statistics.median(each[name] for each in rounds), 2) for name in rounds[0]
    }
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:<24} {value}")


if __name__ == "__main__":
    main()
