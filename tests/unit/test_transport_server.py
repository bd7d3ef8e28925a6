"""The server of the simulators: HTTP and WebSocket on one port, and clients that misbehave."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from botkit.errors import VenueUnreachableError
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.transport import (
    HttpReply,
    HttpRequest,
    Server,
    ServerLimits,
    WsLink,
    open_http,
    open_ws,
)

HOST, PORT = "venue.test", 80
GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


async def tell(request: HttpRequest) -> HttpReply:
    return HttpReply(200, {}, f"{request.method} {request.target} {len(request.body)}".encode())


async def echo(request: HttpRequest, link: WsLink) -> None:
    await link.send(request.target)
    while True:
        for message in await link.receive_batch():
            await link.send(message)


def admit(request: HttpRequest) -> HttpReply | None:
    return None if "key=good" in request.query else HttpReply(401, {}, b"who are you")


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[SimulatedNetwork]:
    async with open_network() as network:
        network.listen(HOST, PORT, server.serve)
        yield network


async def said_to(network: SimulatedNetwork, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send `parts` with pauses between them and return everything the server says to its end."""
    stream, heard = await network.dial(HOST, PORT), bytearray()

    async def talk() -> None:
        for part in parts:
            try:
                await stream.send_all(part)
            except trio.BrokenResourceError:
                return
            await trio.sleep(pause_s)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        try:
            while received := await stream.receive_some():
                heard += received
        except trio.BrokenResourceError:
            pass
        nursery.cancel_scope.cancel()
    return bytes(heard)


async def test_websocket_and_http_share_a_port(autojump_clock: MockClock) -> None:
    async with (
        serving(Server(http=tell, ws=echo)) as network,
        open_ws(f"ws://{HOST}/feed?x=1", dial=network.dial) as link,
        open_http(f"http://{HOST}", dial=network.dial) as http,
    ):
        assert await link.receive_batch() == [b"/feed?x=1"]
        assert (await http.request("GET", "/a")).body == b"GET /a 0"
        assert (await http.request("POST", "/a", content=b"12345")).body == b"POST /a 5"
        await link.send("still here")
        assert await link.receive_batch() == [b"still here"]
    assert len(network.dials) == 2


async def test_an_upgrade_can_be_refused_before_it_happens(autojump_clock: MockClock) -> None:
    async with serving(Server(http=tell, ws=echo, admit=admit)) as network:
        with pytest.raises(VenueUnreachableError, match="answered 401 instead"):
            async with open_ws(f"ws://{HOST}/?key=bad", dial=network.dial):
                pass
        async with open_ws(f"ws://{HOST}/?key=good", dial=network.dial) as link:
            assert await link.receive_batch() == [b"/?key=good"]


async def test_the_headers_of_an_upgrade_are_the_handlers_to_see(
    autojump_clock: MockClock,
) -> None:
    async def look(request: HttpRequest, link: WsLink) -> None:
        await link.send(f"{request.headers['user-agent']} {request.headers['x-key']}")

    async with (
        serving(Server(http=tell, ws=look)) as network,
        open_ws(f"ws://{HOST}/", headers={"X-Key": "k"}, dial=network.dial) as link,
    ):
        assert await link.receive_batch() == [b"botkit k"]


async def test_without_websockets_an_upgrade_is_a_request_like_others(
    autojump_clock: MockClock,
) -> None:
    async with serving(Server(http=tell)) as network:
        with pytest.raises(VenueUnreachableError, match="answered 200 instead"):
            async with open_ws(f"ws://{HOST}/", dial=network.dial):
                pass


async def test_an_upgrade_may_follow_a_request_on_the_same_connection(
    autojump_clock: MockClock,
) -> None:
    upgrade = (
        b"GET /feed HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade"
        b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    goodbye = b"\x88\x82\x00\x00\x00\x00\x03\xe8"
    async with serving(Server(http=tell, ws=echo)) as network:
        heard = await said_to(network, GET + upgrade, goodbye, pause_s=1.0)
    assert heard.startswith(b"HTTP/1.1 200")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in heard  # the answer to that key, by RFC 6455
    assert b"\x81\x05/feed" in heard


async def test_requests_may_come_in_pieces_or_all_at_once(autojump_clock: MockClock) -> None:
    async with serving(Server(http=tell)) as network:
        pieces = [GET[i : i + 1] for i in range(len(GET))]
        assert (await said_to(network, *pieces, pause_s=0.1)).count(b"GET /a 0") == 1
        close = b"GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        heard = await said_to(network, GET + GET + close)
    assert (heard.count(b"GET /a 0"), heard.count(b"GET /b 0")) == (2, 1)


async def test_a_client_that_waits_for_permission_to_send_its_body_gets_it(
    autojump_clock: MockClock,
) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    async with serving(Server(http=tell)) as network:
        heard = await said_to(network, head, b"abc", pause_s=1.0)
    assert heard.startswith(b"HTTP/1.1 100")
    assert b"POST /a 3" in heard


async def test_a_request_sent_too_slowly_ends_the_connection(autojump_clock: MockClock) -> None:
    async with serving(Server(http=tell)) as network:
        heard = await said_to(network, *(b"x" for _ in range(100)), pause_s=1.0)
        assert trio.current_time() <= 10.0
    assert heard == b""


async def test_a_body_that_never_comes_ends_the_connection(autojump_clock: MockClock) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"
    async with serving(Server(http=tell)) as network:
        heard = await said_to(network, head)
        assert trio.current_time() == 10.0
    assert heard == b""


async def test_a_connection_that_idles_is_closed(autojump_clock: MockClock) -> None:
    async with serving(Server(http=tell)) as network:
        assert (await said_to(network, GET)).count(b"HTTP/1.1 200") == 1
        assert trio.current_time() == 75.0
        assert await said_to(network) == b""


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"\x16\x03\x01 TLS hello\r\n\r\n", b"400"),
        (b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20_000, b"431"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999\r\n\r\n" + b"x" * 9999, b"413"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_request_is_answered_as_such(
    said: bytes, status: bytes, autojump_clock: MockClock
) -> None:
    limits = ServerLimits(max_body_size=5000)
    async with serving(Server(http=tell, limits=limits)) as network:
        heard = await said_to(network, said)
    assert heard.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in heard.lower()


async def test_a_client_that_hangs_up_in_the_middle_of_a_request_is_forgotten(
    autojump_clock: MockClock,
) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"
    for said in (b"", b"GET /a HT", head):
        async with serving(Server(http=tell)) as network:
            stream = await network.dial(HOST, PORT)
            await stream.send_all(said)
            await stream.aclose()
            await trio.sleep(1.0)
            assert (await said_to(network, GET)).startswith(b"HTTP/1.1 200")


async def test_a_client_that_reads_nothing_ends_after_the_send_timeout(
    autojump_clock: MockClock,
) -> None:
    async def long_answer(_request: HttpRequest) -> HttpReply:
        return HttpReply(200, {}, b"x" * 1_000_000)

    ended: list[float] = []
    server = Server(http=long_answer)

    async def serve(stream: trio.abc.Stream) -> None:
        await server.serve(stream)
        ended.append(trio.current_time())

    async with open_network() as network:
        network.listen(HOST, PORT, serve)
        stream = await network.dial(HOST, PORT)
        await stream.send_all(GET)
        await trio.sleep(20.0)
    assert ended == [10.0]


async def test_a_handlers_own_mistake_is_not_swallowed(autojump_clock: MockClock) -> None:
    async def trip(_request: HttpRequest) -> HttpReply:
        raise KeyError("mine")

    with pytest.raises(ExceptionGroup) as caught:
        async with serving(Server(http=trip)) as network:
            await said_to(network, GET)
    assert caught.group_contains(KeyError, match="mine")
