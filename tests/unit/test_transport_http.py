"""HTTP over streams in memory: what may have been sent is told from what was not."""

import contextlib
import gzip
import logging
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from botkit.errors import (
    ConfigError,
    OrderOutcomeUnknownError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
    VenueUnreachableError,
)
from botkit.testing.links import Link
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.transport import (
    HttpLimits,
    HttpLink,
    HttpReply,
    HttpRequest,
    Server,
    inflate,
    open_http,
)

BASE = "http://venue.test/api/v1"
HOST, PORT = "venue.test", 80
READS = pytest.mark.parametrize(
    ("method", "kind"), [("GET", VenueDisconnectedError), ("POST", OrderOutcomeUnknownError)]
)


async def tell(request: HttpRequest) -> HttpReply:
    seen = f"{request.method} {request.target} {request.body.decode()}"
    return HttpReply(200, {"X-Seen": request.headers.get("x-sign", "")}, seen.encode())


@asynccontextmanager
async def serving(
    http: Callable[[HttpRequest], Awaitable[HttpReply]] = tell, *, latency_s: float = 0.0
) -> AsyncIterator[SimulatedNetwork]:
    async with open_network(latency_s=latency_s) as network:
        network.listen(HOST, PORT, Server(http=http).serve)
        yield network


@asynccontextmanager
async def answering(said: bytes) -> AsyncIterator[SimulatedNetwork]:
    """Give a network with a server that reads once, says `said` and hangs up."""

    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(said)

    async with open_network() as network:
        network.listen(HOST, PORT, serve)
        yield network


async def failing(network: SimulatedNetwork, method: str, deadline_s: float = 5.0) -> VenueError:
    """Return what a request ends with."""
    async with open_http(BASE, dial=network.dial) as http:
        with pytest.raises(VenueError) as caught:
            await http.request(method, "/order?signature=s3cret", deadline_s=deadline_s)
    assert "s3cret" not in str(caught.value)
    assert f"{method} {BASE}/order:" in str(caught.value)
    return caught.value


async def test_a_request_goes_as_it_was_given_and_its_reply_comes_back(
    autojump_clock: MockClock,
) -> None:
    async with serving() as network, open_http(BASE, dial=network.dial) as http:
        reply = await http.request(
            "POST", "/order", content=b"qty=1", headers={"X-Sign": "abc"}, params={"a": "1 2"}
        )
    assert (reply.status, reply.ok, reply.headers["x-seen"]) == (200, True, "abc")
    assert reply.body == b"POST /api/v1/order?a=1+2 qty=1"


@pytest.mark.parametrize(
    ("path", "params", "target"),
    [
        ("/x", None, "/api/v1/x"),
        ("x", None, "/api/v1/x"),
        ("/x?b=2", {"a": "1"}, "/api/v1/x?b=2&a=1"),
        ("/x", [("m[]", "btc"), ("m[]", "eth")], "/api/v1/x?m%5B%5D=btc&m%5B%5D=eth"),
        ("/x", "m[]=btc&z=%2F", "/api/v1/x?m[]=btc&z=%2F"),
        ("", None, "/api/v1/"),
    ],
)
async def test_text_params_are_sent_byte_for_byte_and_pairs_are_encoded(
    path: str, params: object, target: str, autojump_clock: MockClock
) -> None:
    async with serving() as network, open_http(BASE, dial=network.dial) as http:
        reply = await http.request("GET", path, params=params)  # type: ignore[arg-type]  # a table
    assert reply.body.decode() == f"GET {target} "


async def test_a_status_of_failure_or_a_redirect_is_a_reply_as_well(
    autojump_clock: MockClock,
) -> None:
    async def refuse(request: HttpRequest) -> HttpReply:
        if request.path.endswith("/moved"):
            return HttpReply(302, {"Location": "http://elsewhere.test/"}, b"")
        return HttpReply(503, {}, b"busy")

    async with serving(refuse) as network, open_http(BASE, dial=network.dial) as http:
        assert (await http.request("GET", "/moved")).status == 302
        reply = await http.request("GET", "/x")
    assert (reply.status, reply.ok, reply.body) == (503, False, b"busy")


async def test_who_asks_is_told_and_compression_is_not_asked_for(
    autojump_clock: MockClock,
) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def look(request: HttpRequest) -> HttpReply:
        seen.append((request.headers.get("user-agent"), request.headers.get("accept-encoding")))
        return HttpReply(200, {}, b"")

    async with serving(look) as network, open_http(BASE, dial=network.dial) as http:
        await http.request("GET", "/")
        await http.request("GET", "/", headers={"User-Agent": "mine"})
    assert seen == [("botkit", "identity"), ("mine", "identity")]


async def test_cookies_are_not_kept(autojump_clock: MockClock) -> None:
    seen: list[str | None] = []

    async def bake(request: HttpRequest) -> HttpReply:
        seen.append(request.headers.get("cookie"))
        return HttpReply(200, {"Set-Cookie": "session=1"}, b"")

    async with serving(bake) as network, open_http(BASE, dial=network.dial) as http:
        await http.request("GET", "/")
        await http.request("GET", "/")
    assert seen == [None, None]


async def test_a_connection_is_used_again_until_it_has_idled_too_long(
    autojump_clock: MockClock,
) -> None:
    limits = HttpLimits(idle_s=30.0)
    async with serving() as network, open_http(BASE, dial=network.dial, limits=limits) as http:
        for _ in range(3):
            await http.request("GET", "/")
            await trio.sleep(29.0)
        assert len(network.dials) == 1
        await trio.sleep(2.0)
        await http.request("POST", "/")
        assert len(network.dials) == 2


async def test_a_connection_the_server_closed_meanwhile_is_not_used_again(
    autojump_clock: MockClock,
) -> None:
    async with serving() as network, open_http(BASE, dial=network.dial) as http:
        await http.request("GET", "/")
        await network.links[0].server.aclose()
        reply = await http.request("POST", "/")
    assert reply.ok
    assert len(network.dials) == 2


async def test_no_more_connections_than_allowed_and_waiting_for_one_is_not_sent(
    autojump_clock: MockClock,
) -> None:
    async def slow(_request: HttpRequest) -> HttpReply:
        await trio.sleep(10.0)
        return HttpReply(200, {}, b"")

    limits = HttpLimits(max_connections=2)
    async with serving(slow) as network, open_http(BASE, dial=network.dial, limits=limits) as http:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(lambda: http.request("POST", "/", deadline_s=20.0))
            await trio.sleep(1.0)
            with pytest.raises(VenueUnreachableError, match="not sent: no answer within 2 s"):
                await http.request("POST", "/", deadline_s=2.0)
        assert len(network.dials) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_connection_was_surely_not_sent(
    method: str, autojump_clock: MockClock
) -> None:
    async with open_network() as network:
        error = await failing(network, method)
    assert type(error) is VenueUnreachableError
    assert "not sent: nobody listens at venue.test:80" in str(error)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_that_never_comes_about_was_surely_not_sent(
    method: str, autojump_clock: MockClock
) -> None:
    async with open_network() as network:
        network.unanswered.add((HOST, PORT))
        error = await failing(network, method)
        assert trio.current_time() == 5.0
    assert type(error) is VenueUnreachableError


@READS
async def test_a_server_that_never_answers_leaves_the_outcome_open(
    method: str, kind: type[VenueError], autojump_clock: MockClock
) -> None:
    async def forget(_request: HttpRequest) -> HttpReply:
        await trio.sleep_forever()
        raise AssertionError

    async with serving(forget) as network:
        error = await failing(network, method)
        assert trio.current_time() == 5.0
        assert len(network.dials) == 1
    assert type(error) is kind
    assert "no answer within 5 s" in str(error)


@READS
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nConte",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
async def test_an_answer_that_breaks_off_leaves_the_outcome_open(
    method: str, kind: type[VenueError], said: bytes, autojump_clock: MockClock
) -> None:
    async with answering(said) as network:
        error = await failing(network, method)
        assert len(network.dials) == 1
    assert type(error) is kind


@READS
async def test_a_reset_leaves_the_outcome_open(
    method: str, kind: type[VenueError], autojump_clock: MockClock
) -> None:
    def cut_soon(link: Link) -> None:
        link.upward.cut_after = 30

    async with serving() as network:
        network.on_link = cut_soon
        error = await failing(network, method)
        assert len(network.dials) == 1
    assert type(error) is kind


@pytest.mark.parametrize(
    "said",
    [
        b"220 smtp ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)
async def test_an_answer_that_is_none_breaks_the_protocol_unless_an_order_was_sent(
    said: bytes, autojump_clock: MockClock
) -> None:
    limits = HttpLimits(max_body_size=10_000)
    async with (
        answering(said) as network,
        open_http(BASE, dial=network.dial, limits=limits) as http,
    ):
        with pytest.raises(VenueProtocolError):
            await http.request("GET", "/")
        with pytest.raises(OrderOutcomeUnknownError, match="ask for its status"):
            await http.request("POST", "/")


async def test_compressed_answers_are_read_up_to_the_limit(autojump_clock: MockClock) -> None:
    async def squeeze(request: HttpRequest) -> HttpReply:
        plain = b"x" * (10_000 if request.path.endswith("/ok") else 10_001)
        packed = gzip.compress(plain) if request.query else zlib.compress(plain)
        coding = "gzip" if request.query else "deflate"
        return HttpReply(200, {"Content-Encoding": coding}, packed)

    limits = HttpLimits(max_body_size=10_000)
    async with (
        serving(squeeze) as network,
        open_http(BASE, dial=network.dial, limits=limits) as http,
    ):
        assert len((await http.request("GET", "/ok?gzip")).body) == 10_000
        assert len((await http.request("GET", "/ok")).body) == 10_000
        with pytest.raises(VenueProtocolError, match="more than the 10000 bytes allowed"):
            await http.request("GET", "/bomb?gzip")


async def test_cancellation_goes_through_and_the_link_can_be_used_again(
    autojump_clock: MockClock,
) -> None:
    async def slow(request: HttpRequest) -> HttpReply:
        await trio.sleep(10.0 if request.path.endswith("/slow") else 0.0)
        return HttpReply(200, {}, b"")

    async with serving(slow) as network, open_http(BASE, dial=network.dial) as http:
        with trio.move_on_after(1.0) as scope:
            await http.request("POST", "/slow")
        assert scope.cancelled_caught
        assert trio.current_time() == 1.0
        assert (await http.request("POST", "/fast")).ok


async def test_a_key_that_cannot_be_a_header_is_named_without_showing_it(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with serving() as network, open_http(BASE, dial=network.dial) as http:
        for key in ("s3cret\nkey", "s3cret key é"):
            with pytest.raises(ConfigError, match="look at the key") as caught:
                await http.request("POST", "/", headers={"X-Key": key})
            told = [str(caught.value), repr(caught.value.__cause__)]
            assert "s3cret" not in " ".join(told)
            assert caught.value.__suppress_context__
        with pytest.raises(ConfigError):
            await http.request("POST", "/é")
    assert "s3cret" not in caplog.text


async def test_nothing_of_a_request_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    with caplog.at_level(logging.INFO):
        async with serving() as network, open_http(BASE, dial=network.dial) as http:
            await http.request("GET", "/x?signature=s3cret", headers={"X-Key": "k3y"})
            shown = f"{http!r} {http}"
    assert "s3cret" not in caplog.text + shown
    assert "k3y" not in caplog.text + shown


def test_a_reply_and_a_request_show_nothing_that_may_be_secret() -> None:
    reply = HttpReply(200, {"set-cookie": "t0ken"}, b"t0ken")
    request = HttpRequest("GET", "/a?sign=t0ken", {"authorization": "t0ken"}, b"t0ken")
    assert repr(reply) == "HttpReply(200, 5 bytes)"
    assert repr(request) == "HttpRequest(GET /a, 5 bytes)"


@pytest.mark.parametrize("url", ["ws://x/", "http://", "ftp://x/"])
async def test_a_base_url_that_is_none_is_a_mistake_in_the_config(
    url: str, autojump_clock: MockClock
) -> None:
    with pytest.raises(ConfigError, match="needs one of http, https"):
        async with open_http(url):
            pass


async def test_a_proxy_that_cannot_be_used_is_a_mistake_in_the_config(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(ConfigError, match="only http:// and https:// proxies"):
        async with open_http(BASE):
            pass


async def test_many_requests_at_once_share_the_connections(autojump_clock: MockClock) -> None:
    async with serving(latency_s=0.1) as network:
        async with open_http(BASE, dial=network.dial) as http:

            async def ask(http: HttpLink, number: int) -> None:
                reply = await http.request("GET", f"/{number}")
                assert reply.body.decode() == f"GET /api/v1/{number} "

            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(ask, http, number)
        assert len(network.dials) == 8


def test_inflating_stops_at_the_limit_and_at_nonsense() -> None:
    plain = b"book" * 1000
    raw = zlib.compressobj(wbits=-15)
    assert inflate(zlib.compress(plain), 4000) == plain
    assert inflate(gzip.compress(plain), 4000) == plain
    assert inflate(raw.compress(plain) + raw.flush(), 4000, raw=True) == plain
    for broken, told in [
        (zlib.compress(plain)[:-5], "cut short"),
        (zlib.compress(plain) + b"x", "more after their end"),
        (b"plain text", "cannot decompress 10 bytes"),
        (b"", "cut short"),
    ]:
        with pytest.raises(VenueProtocolError, match=told):
            inflate(broken, 4000)
    with pytest.raises(VenueProtocolError, match="more than the 3999 bytes"):
        inflate(zlib.compress(plain), 3999)


def test_a_bomb_is_stopped_before_it_fills_the_memory() -> None:
    bomb = zlib.compress(bytes(16_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(VenueProtocolError, match="more than the 1000 bytes"):
            inflate(bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
