"""The page Prometheus asks for: one answer a connection, and bounds on everything."""

import socket

import pytest
import trio
import trio.testing

from botkit.config import MetricsConfig
from botkit.errors import ConfigError
from botkit.watch.serving import CONNECTIONS_MAX, HEAD_MAX, TIMEOUT_S, Page, is_loopback


async def ask(port: int, request: bytes) -> bytes:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        await stream.send_all(request)
        answer = b""
        while received := await stream.receive_some(65_536):
            answer += received
    return answer


async def open_page(nursery: trio.Nursery, body: bytes = b"x 1\n") -> tuple[Page, int]:
    page = Page(lambda: body, "text/plain; version=1.0.0")
    address = await page.listen(MetricsConfig(port=0), "bot.toml")
    nursery.start_soon(page.serve)
    return page, int(address.removeprefix("http://127.0.0.1:").removesuffix("/metrics"))


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /metrics HTTP/1.1", b"200 OK"),
        (b"GET /metrics?x=1 HTTP/1.0", b"200 OK"),
        (b"GET / HTTP/1.1", b"404 Not Found"),
        (b"POST /metrics HTTP/1.1", b"405 Method Not Allowed"),
        (b"x" * (HEAD_MAX + 1), b"400 Bad Request"),
    ],
)
async def test_there_is_one_page_to_get(request_line: bytes, status: bytes) -> None:
    async with trio.open_nursery() as nursery:
        _, port = await open_page(nursery)
        answer = await ask(port, request_line + b"\r\nHost: x\r\n\r\n")
        nursery.cancel_scope.cancel()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"Content-Length: %d\r\n" % len(body) in head
    assert (body == b"x 1\n") is (status == b"200 OK")


async def test_a_reader_that_says_nothing_or_half_is_let_go(autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        _, port = await open_page(nursery)
        mute = await trio.open_tcp_stream("127.0.0.1", port)
        with trio.fail_after(TIMEOUT_S + 1):
            assert await mute.receive_some() == b""
        half = await trio.open_tcp_stream("127.0.0.1", port)
        await half.send_all(b"GET /met")
        await half.send_eof()
        assert (await half.receive_some()).startswith(b"HTTP/1.1 400")
        gone = await trio.open_tcp_stream("127.0.0.1", port)
        await trio.aclose_forcefully(gone)
        assert (await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")).endswith(b"x 1\n")
        nursery.cancel_scope.cancel()
    for stream in (mute, half):
        await stream.aclose()


async def test_too_many_readers_at_once_are_sent_away() -> None:
    async with trio.open_nursery() as nursery:
        _, port = await open_page(nursery)
        waiting = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(CONNECTIONS_MAX)]
        await trio.testing.wait_all_tasks_blocked(0.05)
        one_more = await trio.open_tcp_stream("127.0.0.1", port)
        with trio.fail_after(TIMEOUT_S / 2):
            assert await one_more.receive_some() == b""
        for stream in (*waiting, one_more):
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert (await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")).endswith(b"x 1\n")
        nursery.cancel_scope.cancel()


async def test_a_port_that_is_taken_is_named_and_closing_gives_it_back() -> None:
    first, second = Page(lambda: b"", "text/plain"), Page(lambda: b"", "text/plain")
    address = await first.listen(MetricsConfig(port=0), "bot.toml")
    port = int(address.rpartition(":")[2].removesuffix("/metrics"))

    with pytest.raises(ConfigError) as caught:
        await second.listen(MetricsConfig(port=port), "bot.toml")
    first.close()
    again = await second.listen(MetricsConfig(port=port), "bot.toml")
    second.close()

    assert str(caught.value) == (
        f"bot.toml: metrics: cannot listen at 127.0.0.1 port {port}: Address already in use; "
        "give another port, or end what has it"
    )
    assert again == address


async def test_an_address_of_version_6_stands_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    page = Page(lambda: b"", "text/plain")
    address = await page.listen(MetricsConfig(port=0, host="::1"), "bot.toml")
    page.close()

    assert address.startswith("http://[::1]:")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_only_this_machine_reaches_a_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "10.0.0.1", "::", "example.org"])
def test_others_reach_the_rest(host: str) -> None:
    assert not is_loopback(host)
