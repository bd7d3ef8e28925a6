"""A proxy on loopback does what networks do, to real connections."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from botkit.testing.proxy import Proxy, open_proxy

SOON_S = 5.0
CLIENTS: list[trio.SocketStream] = []  # of the test that runs
SILENT_S = 0.05  # nothing that came within it comes later


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[Proxy, bytearray]]:
    """Run a proxy to a server that echoes; give what the server has received; an end is a dot.

    A reset is a bang.
    """
    received = bytearray()

    async def echo(stream: trio.SocketStream) -> None:
        try:
            async for chunk in stream:
                received.extend(chunk)
                await stream.send_all(chunk)
            received.extend(b".")
        except trio.BrokenResourceError:
            received.extend(b"!")

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, echo, listeners)
        port: int = listeners[0].socket.getsockname()[1]
        async with open_proxy(port) as proxy:
            try:
                yield proxy, received
            finally:
                while CLIENTS:
                    CLIENTS.pop().socket.close()
        nursery.cancel_scope.cancel()


async def connected(proxy: Proxy) -> trio.SocketStream:
    stream = await trio.open_tcp_stream("127.0.0.1", proxy.port)
    CLIENTS.append(stream)
    return stream


async def answer(stream: trio.SocketStream, asked: bytes = b"") -> bytes:
    """Send and return what comes back; raise `TooSlowError` if nothing does soon."""
    if asked:
        await stream.send_all(asked)
    with trio.fail_after(SOON_S):
        return await stream.receive_some()


async def is_silent(stream: trio.SocketStream, asked: bytes = b"") -> bool:
    """Return whether nothing comes back, not even the end."""
    if asked:
        await stream.send_all(asked)
    with trio.move_on_after(SILENT_S) as scope:
        await stream.receive_some()
    return scope.cancelled_caught


async def until_received(received: bytearray, wanted: bytes) -> None:
    with trio.fail_after(SOON_S):
        for _ in itertools.takewhile(lambda _: wanted not in received, itertools.count()):
            await trio.sleep(0.001)


async def until_over(stream: trio.SocketStream) -> None:
    """Read on until it is cut."""
    with trio.fail_after(SOON_S):
        while await stream.receive_some():
            pass


async def until_refused(proxy: Proxy) -> None:
    with trio.fail_after(SOON_S):
        while True:
            await trio.aclose_forcefully(await connected(proxy))


async def test_bytes_and_the_end_pass_both_ways() -> None:
    async with echoing() as (proxy, received):
        stream = await connected(proxy)
        assert await answer(stream, b"hello") == b"hello"
        await stream.send_eof()
        assert await answer(stream) == b""
        assert received == b"hello."
        assert proxy.accepted == 1


async def test_a_cut_resets_what_is_open_and_new_connections_pass() -> None:
    async with echoing() as (proxy, _):
        stream = await connected(proxy)
        assert await answer(stream, b"a") == b"a"
        proxy.cut()
        with pytest.raises(trio.BrokenResourceError):
            await answer(stream)
        assert await answer(await connected(proxy), b"b") == b"b"


@pytest.mark.parametrize(("upward", "arrived"), [(False, b"abcdef"), (True, b"abc")])
async def test_a_connection_is_cut_in_the_middle_of_what_it_carries(
    *, upward: bool, arrived: bytes
) -> None:
    async with echoing() as (proxy, received):
        stream = await connected(proxy)
        assert await answer(stream, b"x") == b"x"
        proxy.cut_after(3, upward=upward)
        await stream.send_all(b"abcdef")
        await until_received(received, b"x" + arrived)
        with pytest.raises(trio.BrokenResourceError):
            await until_over(stream)
        assert received.strip(b"!") == b"x" + arrived


async def test_a_half_open_connection_is_silent_for_good_and_its_end_is_not_passed_on() -> None:
    async with echoing() as (proxy, received):
        stream = await connected(proxy)
        assert await answer(stream, b"a") == b"a"
        proxy.half_open()
        assert await is_silent(stream, b"b")
        late = await connected(proxy)
        assert await is_silent(late, b"c")
        proxy.heal()
        assert await is_silent(stream)
        await stream.aclose()
        assert await answer(await connected(proxy), b"d") == b"d"
        assert received == b"ad"
        assert proxy.connections == 3


async def test_a_half_open_connection_that_is_reset_stays_open_for_the_server() -> None:
    async with echoing() as (proxy, received):
        stream = await connected(proxy)
        assert await answer(stream, b"a") == b"a"
        proxy.half_open()
        await stream.send_all(b"b")
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await stream.aclose()
        await trio.sleep(SILENT_S)
        assert received == b"a"


async def test_answers_are_swallowed_while_requests_go_through() -> None:
    async with echoing() as (proxy, received):
        stream = await connected(proxy)
        assert await answer(stream, b"a") == b"a"
        proxy.swallow_answers()
        assert await is_silent(stream, b"b")
        assert received == b"ab"


@pytest.mark.parametrize("new", [True, False])
async def test_a_stall_holds_everything_back_and_loses_nothing(*, new: bool) -> None:
    async with echoing() as (proxy, _):
        stream = await connected(proxy)
        assert await answer(stream, b"a") == b"a"
        proxy.stall(3600.0, new=new)
        assert await is_silent(stream, b"b")
        assert await is_silent(await connected(proxy), b"c") is new
        proxy.heal()
        assert await answer(stream) == b"b"


async def test_answers_that_are_delayed_come_in_the_end() -> None:
    async with echoing() as (proxy, received):
        stream = await connected(proxy)
        assert await answer(stream, b"a") == b"a"
        proxy.delay_answers(0.05)
        await stream.send_all(b"b")
        await until_received(received, b"b")
        assert await answer(stream) == b"b"


async def test_a_stall_ends_by_itself() -> None:
    async with echoing() as (proxy, _):
        stream = await connected(proxy)
        proxy.stall(0.05)
        assert await answer(stream, b"a") == b"a"


async def test_new_connections_are_refused_and_the_old_go_on() -> None:
    async with echoing() as (proxy, _):
        stream = await connected(proxy)
        assert await answer(stream, b"a") == b"a"
        proxy.refuse()
        with pytest.raises(OSError, match="connect"):
            await until_refused(proxy)
        assert await answer(stream, b"b") == b"b"
        proxy.heal()
        with trio.fail_after(SOON_S):
            assert await answer(await _at_last(proxy), b"c") == b"c"


async def _at_last(proxy: Proxy) -> trio.SocketStream:
    while True:
        try:
            return await connected(proxy)
        except OSError:
            await trio.sleep(0.001)


async def test_a_request_is_noticed_before_it_is_passed_on_and_arrives_though_its_sender_dies() -> (
    None
):
    async with echoing() as (proxy, received):
        stream = await connected(proxy)
        seen: list[bytes] = []

        def notice(chunk: bytes) -> None:
            seen.append(bytes(received))
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            stream.socket.close()
            proxy.stall(SILENT_S, new=False)

        proxy.on_upward = notice
        await stream.send_all(b"order")
        await until_received(received, b"order")
        assert seen == [b""]


async def test_a_request_arrives_though_an_answer_finds_its_sender_dead() -> None:
    async with echoing() as (proxy, received):
        stream = await connected(proxy)
        proxy.delay_answers(3600.0)
        await stream.send_all(b"first")
        await until_received(received, b"first")

        def notice(_: bytes) -> None:
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            stream.socket.close()
            proxy.stall(2 * SILENT_S, new=False)
            proxy.delay_answers(SILENT_S)

        proxy.on_upward = notice
        await stream.send_all(b"second")
        await until_received(received, b"second")


async def test_a_server_that_is_gone_is_a_reset_for_the_client() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    async with open_proxy(port) as proxy, await connected(proxy) as stream:
        CLIENTS.clear()
        with pytest.raises(trio.BrokenResourceError):
            await answer(stream)
