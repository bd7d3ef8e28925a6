"""The transport over loopback TCP and TLS, on the real clock, with the environment's proxies."""

import base64
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio_websocket
import trustme

from botkit.errors import (
    OrderOutcomeUnknownError,
    VenueDisconnectedError,
    VenueUnreachableError,
)
from botkit.transport import (
    HttpReply,
    HttpRequest,
    Server,
    WsLink,
    open_http,
    open_server,
    open_ws,
    serve_ws,
)

Tls = tuple[ssl.SSLContext, ssl.SSLContext]


async def tell(request: HttpRequest) -> HttpReply:
    if request.path == "/forget":
        await trio.sleep_forever()
    return HttpReply(200, {}, f"{request.method} {request.target}".encode())


async def echo(_request: HttpRequest, link: WsLink) -> None:
    while True:
        for message in await link.receive_batch():
            await link.send(message)


SERVER = Server(http=tell, ws=echo)


@pytest.fixture(scope="module")
def tls() -> Tls:
    """Return contexts of a server that is `localhost`, and of a client that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the proxies of the machine the tests run on."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("secure", ["plain", "tls"])
async def test_websocket_and_http_over_real_sockets(secure: str, tls: Tls) -> None:
    server_tls, client_tls = tls if secure == "tls" else (None, None)
    end = "s" if secure == "tls" else ""
    async with open_server(SERVER, ssl_context=server_tls) as port:
        async with open_ws(f"ws{end}://localhost:{port}/", ssl_context=client_tls) as link:
            await link.send("x" * 3_000_000)
            assert await link.receive_batch() == [b"x" * 3_000_000]
            assert 0.0 < await link.ping(5.0) < 5.0
        async with open_http(f"http{end}://localhost:{port}", ssl_context=client_tls) as http:
            for number in range(3):
                reply = await http.request("GET", f"/{number}")
                assert reply.body == f"GET /{number}".encode()


async def test_nobody_listening_is_unreachable_for_both() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(VenueUnreachableError, match=r"cannot connect: .*refused"):
        async with open_ws(f"ws://127.0.0.1:{port}/"):
            pass
    async with open_http(f"http://127.0.0.1:{port}") as http:
        with pytest.raises(VenueUnreachableError, match="not sent"):
            await http.request("POST", "/")


async def test_a_certificate_we_do_not_trust_or_of_another_host_is_refused(tls: Tls) -> None:
    server_tls, client_tls = tls
    other_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority = trustme.CA()
    authority.issue_cert("venue.example").configure_cert(other_tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    for served, context, told in [
        (server_tls, None, "certificate verify failed"),
        (other_tls, trusting, "[Hh]ostname mismatch"),
        (other_tls, client_tls, "certificate verify failed"),
    ]:
        async with open_server(SERVER, ssl_context=served) as port:
            with pytest.raises(VenueUnreachableError, match=told):
                async with open_ws(f"wss://localhost:{port}/", ssl_context=context):
                    pass
            async with open_http(f"https://localhost:{port}", ssl_context=context) as http:
                with pytest.raises(VenueUnreachableError, match=told):
                    await http.request("POST", "/")


async def test_tls_spoken_to_a_plain_port_is_unreachable() -> None:
    async with open_server(SERVER) as port:
        with pytest.raises(VenueUnreachableError, match="cannot connect"):
            async with open_ws(f"wss://localhost:{port}/"):
                pass


async def test_a_request_nobody_answers_is_ambiguous_and_sent_once(tls: Tls) -> None:
    seen: list[str] = []

    async def count(request: HttpRequest) -> HttpReply:
        seen.append(request.method)
        return await tell(request)

    async with (
        open_server(Server(http=count), ssl_context=tls[0]) as port,
        open_http(f"https://localhost:{port}", ssl_context=tls[1]) as http,
    ):
        with pytest.raises(OrderOutcomeUnknownError, match=r"no answer within 0\.3 s"):
            await http.request("POST", "/forget", deadline_s=0.3)
        assert (await http.request("GET", "/")).ok
    assert seen == ["POST", "GET"]


async def test_a_server_that_stops_before_tls_is_agreed_was_sent_nothing() -> None:
    async def stare(_stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with listening(stare) as port, open_http(f"https://localhost:{port}") as http:
        with pytest.raises(VenueUnreachableError, match="not sent: "):
            await http.request("POST", "/", deadline_s=0.3)
        with pytest.raises(VenueUnreachableError, match=r"no connection within 0\.3 s"):
            async with open_ws(f"wss://localhost:{port}/", connect_timeout_s=0.3):
                pass


async def upgrade_and_ignore(stream: trio.abc.Stream) -> None:
    """Agree to a WebSocket and read nothing any more."""
    async with trio.open_nursery() as nursery:
        request = await trio_websocket.wrap_server_stream(nursery, stream)
        await request.accept()
        nursery.cancel_scope.cancel()


async def fill(link: WsLink) -> None:
    """Send until there is no room."""
    while True:
        await link.send("x" * 1_000_000)


@pytest.mark.parametrize("secure", ["plain", "tls"])
async def test_a_peer_that_reads_nothing_is_given_up_in_time_and_reset(
    secure: str, tls: Tls
) -> None:
    server_tls, client_tls = tls if secure == "tls" else (None, None)
    end = "s" if secure == "tls" else ""
    ended: list[str] = []
    given_up, noticed = trio.Event(), trio.Event()

    async def deaf(stream: trio.abc.Stream) -> None:
        await upgrade_and_ignore(stream)
        await given_up.wait()
        try:
            while await stream.receive_some():
                pass
            ended.append("end")
        except trio.BrokenResourceError:
            ended.append("reset")
        noticed.set()

    async with listening(deaf, server_tls) as port:
        started_at = trio.current_time()
        with pytest.raises(VenueDisconnectedError, match=r"no room to send for 0\.3 s"):
            async with open_ws(
                f"ws{end}://localhost:{port}/",
                send_timeout_s=0.3,
                close_timeout_s=0.3,
                ssl_context=client_tls,
            ) as link:
                await fill(link)
        assert trio.current_time() - started_at < 5.0
        given_up.set()
        with trio.fail_after(5.0):
            await noticed.wait()
    assert ended == ["reset"]


async def test_a_close_nobody_answers_is_bounded() -> None:
    async def deaf(stream: trio.abc.Stream) -> None:
        await upgrade_and_ignore(stream)
        await trio.sleep_forever()

    async with listening(deaf) as port:
        started_at = trio.current_time()
        async with open_ws(f"ws://127.0.0.1:{port}/", close_timeout_s=0.3):
            pass
        assert 0.3 <= trio.current_time() - started_at < 3.0


async def test_the_port_of_a_server_can_be_chosen_and_is_free_afterwards() -> None:
    async with open_server(SERVER) as port:
        with pytest.raises(OSError, match=r"in use|Address"):
            async with open_server(SERVER, port=port):
                pass
    async with open_server(SERVER, port=port) as again:
        assert again == port


@asynccontextmanager
async def listening(
    handler: Callable[[trio.abc.Stream], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve raw streams on a free port."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        if tls is None:
            nursery.start_soon(trio.serve_listeners, handler, listeners)
        else:
            secured = [trio.SSLListener(each, tls) for each in listeners]
            nursery.start_soon(trio.serve_listeners, handler, secured)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


class Proxy:
    """A tiny CONNECT proxy that notes what it was asked; `answer` other than 200 refuses."""

    def __init__(self, answer: bytes = b"200 Connection established") -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def serve(self, stream: trio.abc.Stream) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            received = await stream.receive_some()
            if not received:
                return
            head += received
        self.asked.append(head.decode())
        method, target, _ = head.split(b" ", 2)
        await stream.send_all(b"HTTP/1.1 " + self.answer + b"\r\n\r\n")
        if method != b"CONNECT" or not self.answer.startswith(b"200"):
            return
        host, _, port = target.decode().rpartition(":")
        onward = await trio.open_tcp_stream(host, int(port))
        async with onward, trio.open_nursery() as nursery:
            nursery.start_soon(pump, stream, onward)
            nursery.start_soon(pump, onward, stream)


async def pump(source: trio.abc.Stream, sink: trio.abc.Stream) -> None:
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while received := await source.receive_some():
            await sink.send_all(received)
    with contextlib.suppress(trio.BrokenResourceError):
        await sink.aclose()


async def test_wss_and_https_go_through_the_proxy_of_the_environment(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy()
    async with (
        open_server(SERVER, ssl_context=tls[0]) as port,
        listening(proxy.serve) as proxy_port,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass%21@127.0.0.1:{proxy_port}")
        async with open_ws(f"wss://localhost:{port}/", ssl_context=tls[1]) as link:
            await link.send("through")
            assert await link.receive_batch() == [b"through"]
        async with open_http(f"https://localhost:{port}", ssl_context=tls[1]) as http:
            assert (await http.request("POST", "/x")).body == b"POST /x"
            with pytest.raises(OrderOutcomeUnknownError):
                await http.request("POST", "/forget", deadline_s=0.3)
    assert len(proxy.asked) == 2
    pair = base64.b64encode(b"user:pass!").decode()
    for head in proxy.asked:
        assert head.startswith(f"CONNECT localhost:{port} HTTP/1.1")
        assert f"proxy-authorization: basic {pair}".lower() in head.lower()


async def test_a_plain_websocket_goes_through_all_proxy_and_no_proxy_excepts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = Proxy()
    async with open_server(SERVER) as port, listening(proxy.serve) as proxy_port:
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{proxy_port}")
        async with open_ws(f"ws://localhost:{port}/") as link:
            await link.send("through")
            assert await link.receive_batch() == [b"through"]
        monkeypatch.setenv("NO_PROXY", "localhost")
        async with open_ws(f"ws://localhost:{port}/") as link:
            await link.send("direct")
            assert await link.receive_batch() == [b"direct"]
    assert len(proxy.asked) == 1


async def test_a_proxy_that_refuses_was_asked_before_anything_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = Proxy(b"407 Proxy Authentication Required")
    async with listening(proxy.serve) as proxy_port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:s3cret@127.0.0.1:{proxy_port}")
        with pytest.raises(VenueUnreachableError, match="answered CONNECT with 407") as caught:
            async with open_ws("wss://venue.example/"):
                pass
        async with open_http("https://venue.example") as http:
            with pytest.raises(VenueUnreachableError, match="407") as refused:
                await http.request("POST", "/order")
    assert "s3cret" not in f"{caught.value} {refused.value}"


async def test_a_venue_that_stares_behind_its_proxy_was_sent_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def stare(_stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with listening(stare) as port, listening(Proxy().serve) as proxy_port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy_port}")
        async with open_http(f"https://localhost:{port}") as http:
            with pytest.raises(VenueUnreachableError, match="not sent"):
                await http.request("POST", "/order", deadline_s=0.3)


async def test_a_proxy_that_hangs_up_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang_up(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.aclose()

    async with listening(hang_up) as proxy_port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy_port}")
        with pytest.raises(VenueUnreachableError, match="cannot connect"):
            async with open_ws("wss://venue.example/"):
                pass


async def test_a_proxy_may_be_reached_by_tls(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stare(_stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with listening(stare) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"https://localhost:{port}")
        with pytest.raises(VenueUnreachableError, match=r"no connection within 0\.3 s"):
            async with open_ws("wss://venue.example/", connect_timeout_s=0.3):
                pass


async def test_a_websocket_library_we_did_not_write_talks_to_our_server(tls: Tls) -> None:
    async with (
        open_server(SERVER, ssl_context=tls[0]) as port,
        trio_websocket.open_websocket(
            "localhost", port, "/", use_ssl=tls[1], connect_timeout=5, disconnect_timeout=5
        ) as other,
    ):
        await other.send_message("hello")
        assert await other.get_message() == "hello"


async def test_a_client_that_leaves_does_not_disturb_the_others() -> None:
    async def serve(stream: trio.abc.Stream) -> None:
        async def talk(link: WsLink) -> None:
            while True:
                await link.send("tick")
                await trio.sleep(0.01)

        await serve_ws(stream, talk)

    async with listening(serve) as port, open_ws(f"ws://127.0.0.1:{port}/") as stays:
        async with open_ws(f"ws://127.0.0.1:{port}/") as goes:
            await goes.receive_batch()
            await goes.abort()
        for _ in range(10):
            assert await stays.receive_batch() == [b"tick"]
