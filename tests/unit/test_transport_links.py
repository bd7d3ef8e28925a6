"""Simulated links: the contract of a stream, and every fault they are for."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from botkit.testing.links import Link, MemoryStream
from botkit.testing.network import open_network
from botkit.transport import PushbackStream


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    received = bytearray()
    while chunk := await stream.receive_some(7):
        received += chunk
    return bytes(received)


async def test_they_keep_the_contract_of_a_half_closeable_stream(
    autojump_clock: MockClock,
) -> None:
    async def make() -> tuple[MemoryStream, MemoryStream]:
        link = Link.make()
        return link.client, link.server

    async def make_clogged() -> tuple[MemoryStream, MemoryStream]:
        link = Link.make()
        await link.client.send_all(b"x" * link.upward.window)
        await link.server.send_all(b"x" * link.downward.window)
        return link.client, link.server

    await trio.testing.check_half_closeable_stream(make, make_clogged)


async def test_bytes_arrive_after_the_latency_and_in_order(autojump_clock: MockClock) -> None:
    link = Link.make(latency_s=2.0)
    await link.client.send_all(b"slow")
    link.upward.latency_s = 0.5
    await link.client.send_all(b"fast")
    assert await link.server.receive_some(2) == b"sl"
    assert trio.current_time() == 2.0
    assert await link.server.receive_some() == b"owfast"


async def test_a_sender_waits_when_the_window_is_full(autojump_clock: MockClock) -> None:
    link = Link.make(window=10)
    with trio.move_on_after(5.0) as scope:
        await link.client.send_all(b"x" * 11)
    assert scope.cancelled_caught
    assert link.upward.sent == 10
    assert await link.server.receive_some() == b"x" * 10
    await link.client.send_all(b"y")
    await link.client.aclose()
    assert await read_all(link.server) == b"y"


async def test_the_end_arrives_after_the_last_byte(autojump_clock: MockClock) -> None:
    link = Link.make(latency_s=1.0)
    await link.client.send_all(b"bye")
    await link.client.send_eof()
    assert await read_all(link.server) == b"bye"
    assert trio.current_time() == 1.0
    await link.server.send_all(b"still talking")
    assert await link.client.receive_some() == b"still talking"


async def test_a_cut_lets_exactly_so_many_bytes_through(autojump_clock: MockClock) -> None:
    link = Link.make(latency_s=1.0)
    link.upward.cut_after = 4
    await link.client.send_all(b"abcd")
    with pytest.raises(trio.BrokenResourceError):
        await link.client.send_all(b"e")
    assert await link.server.receive_some() == b"abcd"
    with pytest.raises(trio.BrokenResourceError):
        await link.server.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await link.server.send_all(b"x")
    with pytest.raises(trio.BrokenResourceError):
        await link.client.receive_some()


async def test_cutting_a_link_breaks_both_ends_and_wakes_who_waits(
    autojump_clock: MockClock,
) -> None:
    link, broken = Link.make(window=10), []

    async def send() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await link.client.send_all(b"x" * 100)
        broken.append("sender")

    async def receive() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await link.client.receive_some()
        broken.append("receiver")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        nursery.start_soon(receive)
        await trio.sleep(1.0)
        link.cut()
    assert sorted(broken) == ["receiver", "sender"]
    assert trio.current_time() == 1.0


async def test_an_abort_drops_what_is_under_way(autojump_clock: MockClock) -> None:
    link = Link.make(latency_s=1.0)
    await link.client.send_all(b"an order")
    link.client.abort()
    link.client.abort()
    with pytest.raises(trio.BrokenResourceError):
        await link.server.receive_some()
    assert trio.current_time() == 1.0
    with pytest.raises(trio.ClosedResourceError):
        await link.client.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await link.client.send_eof()


async def test_sending_to_an_end_that_has_closed_breaks_the_link(
    autojump_clock: MockClock,
) -> None:
    link = Link.make(latency_s=0.5)
    await link.server.aclose()
    await link.client.send_all(b"are you there")
    await trio.sleep(1.0)
    with pytest.raises(trio.BrokenResourceError):
        await link.client.send_all(b"hello")
    with pytest.raises(trio.BrokenResourceError):
        await link.client.wait_send_all_might_not_block()


async def test_a_black_hole_swallows_bytes_and_the_end_and_tells_nobody(
    autojump_clock: MockClock,
) -> None:
    link = Link.make(window=10)
    await link.client.send_all(b"before")
    link.black_hole()
    await link.client.send_all(b"lost")
    with trio.move_on_after(3600.0) as sending:
        await link.client.send_all(b"no room")
    await link.client.aclose()
    assert await link.server.receive_some() == b"before"
    with trio.move_on_after(3600.0) as receiving:
        await link.server.receive_some()
    assert sending.cancelled_caught
    assert receiving.cancelled_caught
    link.server.abort()


async def test_a_stall_delivers_everything_when_it_is_over(autojump_clock: MockClock) -> None:
    link = Link.make()
    link.stall(60.0)
    await link.client.send_all(b"one")
    await link.client.send_all(b"two")
    await link.client.aclose()
    assert await read_all(link.server) == b"onetwo"
    assert trio.current_time() == 60.0


async def test_an_idle_end_tells_that_the_other_has_closed(autojump_clock: MockClock) -> None:
    link = Link.make(latency_s=1.0)
    assert not link.client.has_ended
    await link.server.aclose()
    assert not link.client.has_ended
    await trio.sleep(1.0)
    assert link.client.has_ended


async def test_a_network_knows_who_listens(autojump_clock: MockClock) -> None:
    async def greet(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"hello")

    async with open_network(latency_s=0.25) as network:
        network.listen("a", 1, greet)
        with pytest.raises(OSError, match="a:1 is in use"):
            network.listen("a", 1, greet)
        stream = await network.dial("a", 1)
        assert trio.current_time() == 0.5
        assert await read_all(stream) == b"hello"
        network.close("a", 1)
        with pytest.raises(ConnectionRefusedError, match="nobody listens at a:1"):
            await network.dial("a", 1)
        assert network.dials == [("a", 1), ("a", 1)]
        assert len(network.links) == 1


async def test_leaving_the_network_ends_its_handlers(autojump_clock: MockClock) -> None:
    async def hold(_stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with open_network() as network:
        network.listen("a", 1, hold)
        stream = await network.dial("a", 1)
    assert await stream.receive_some() == b""


async def test_bytes_put_back_come_first(autojump_clock: MockClock) -> None:
    link = Link.make()
    stream = PushbackStream(link.server, b"abcdef")
    await link.client.send_all(b"ghi")
    assert await stream.receive_some(2) == b"ab"
    assert await stream.receive_some() == b"cdef"
    assert await stream.receive_some() == b"ghi"
    await stream.wait_send_all_might_not_block()
    await stream.send_all(b"back")
    assert await link.client.receive_some() == b"back"
    await stream.aclose()
    assert await link.client.receive_some() == b""
