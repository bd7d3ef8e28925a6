"""WebSocket links over streams in memory: every wait ends, and every end has its reason."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import wsproto
from trio.testing import MockClock, memory_stream_pair
from wsproto.connection import Connection, ConnectionType
from wsproto.events import AcceptConnection, CloseConnection, Ping, Request, TextMessage

from botkit.errors import (
    ConfigError,
    FeedStaleError,
    HandshakeRefusedError,
    VenueDisconnectedError,
    VenueProtocolError,
    VenueUnreachableError,
)
from botkit.testing.links import Link
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.transport import WsLimits, WsLink, open_ws, serve_ws

URL = "ws://venue.test/feed?signature=s3cret"
HOST, PORT = "venue.test", 80


async def echo(link: WsLink) -> None:
    while True:
        for message in await link.receive_batch():
            await link.send(message)


@asynccontextmanager
async def serving(
    handler: Callable[[WsLink], Awaitable[None]], *, latency_s: float = 0.0, window: int = 65_536
) -> AsyncIterator[SimulatedNetwork]:
    """Give a network with a WebSocket server at HOST:PORT."""
    async with open_network(latency_s=latency_s, window=window) as network:
        network.listen(HOST, PORT, lambda stream: serve_ws(stream, handler))
        yield network


@asynccontextmanager
async def raw_serving(after: bytes, *, end: bool = False) -> AsyncIterator[SimulatedNetwork]:
    """Give a network with a server that agrees to upgrade and then sends `after`."""

    async def serve(stream: trio.abc.Stream) -> None:
        server = wsproto.WSConnection(ConnectionType.SERVER)
        server.receive_data(bytes(await stream.receive_some()))
        assert isinstance(next(server.events()), Request)
        await stream.send_all(server.send(AcceptConnection()) + after)
        if not end:
            await trio.sleep_forever()

    async with open_network() as network:
        network.listen(HOST, PORT, serve)
        yield network


@asynccontextmanager
async def answering(said: bytes) -> AsyncIterator[SimulatedNetwork]:
    """Give a network with a server that reads once, says `said` and hangs up."""

    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(said)

    async with open_network(latency_s=0.5) as network:
        network.listen(HOST, PORT, serve)
        yield network


async def test_a_client_that_goes_before_the_server_has_agreed_is_forgotten() -> None:
    client, server = memory_stream_pair()
    asking = wsproto.WSConnection(ConnectionType.CLIENT)
    await client.send_all(asking.send(Request(host=HOST, target="/")))
    await client.aclose()

    await serve_ws(server, echo)  # and does not fail


@pytest.mark.parametrize("kind", ["text", "binary"])
async def test_messages_come_back_in_order_as_bytes(kind: str, autojump_clock: MockClock) -> None:
    async def mirror(link: WsLink) -> None:
        while True:
            for message in await link.receive_batch():
                await link.send(message, binary=kind == "binary")

    async with serving(mirror) as network, open_ws(URL, dial=network.dial) as link:
        await link.send("grüße")
        await link.send(b'{"a":1}')
        await link.send("as bytes", binary=True)
        received: list[bytes] = []
        while len(received) < 3:
            received += await link.receive_batch()

    assert received == ["grüße".encode(), b'{"a":1}', b"as bytes"]


async def test_binary_messages_need_not_be_text(autojump_clock: MockClock) -> None:
    async def compressed(link: WsLink) -> None:
        await link.send(b"\xff\x00", binary=True)
        await link.receive_batch()

    async with serving(compressed) as network, open_ws(URL, dial=network.dial) as link:
        assert await link.receive_batch() == [b"\xff\x00"]


async def test_a_refused_connection_is_unreachable_and_says_where(
    autojump_clock: MockClock,
) -> None:
    async with open_network() as network:
        with pytest.raises(VenueUnreachableError, match=r"ws://venue\.test/feed: cannot connect: "):
            async with open_ws(URL, dial=network.dial):
                pass


async def test_a_dial_that_nobody_answers_ends_at_the_deadline(autojump_clock: MockClock) -> None:
    async with open_network() as network:
        network.unanswered.add((HOST, PORT))
        with pytest.raises(VenueUnreachableError, match="no connection within 3 s"):
            async with open_ws(URL, dial=network.dial, connect_timeout_s=3.0):
                pass
        assert trio.current_time() == 3.0


async def test_a_server_that_never_upgrades_ends_at_the_same_deadline(
    autojump_clock: MockClock,
) -> None:
    async def silent(_stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with open_network(latency_s=0.5) as network:
        network.listen(HOST, PORT, silent)
        with pytest.raises(VenueUnreachableError, match="no answer in time, before the upgrade"):
            async with open_ws(URL, dial=network.dial, connect_timeout_s=3.0):
                pass
        assert trio.current_time() == 3.0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "answered 403 instead"),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", "answered 429 instead"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n<html>", "answered 502 instead"),
        (b"", "closed the connection, before the upgrade"),
        (b"220 smtp ready\r\n\r\n", "before the upgrade"),
        (b"HTTP/1.1 101 Sw\r\nUpgrade: tea\r\nConnection: Upgrade\r\n\r\n", "before the upgrade"),
    ],
)
async def test_a_server_that_does_not_upgrade_is_unreachable_at_once(
    said: bytes, told: str, autojump_clock: MockClock
) -> None:
    async with answering(said) as network:
        with pytest.raises(VenueUnreachableError, match=told) as caught:
            async with open_ws(URL, dial=network.dial):
                pass
        assert trio.current_time() < 3.0
    if isinstance(caught.value, HandshakeRefusedError):
        assert told == f"answered {caught.value.status} instead"
    else:
        assert "before the upgrade" in told


@pytest.mark.parametrize(
    "url",
    [
        "http://x/",
        "ws:///path",
        "ws://h:99999/",
        "ws://h:0/",
        "wss",
        "ws://u:pw@/",
        "ws://[pw",
        "ws://h/é",
    ],
)
async def test_a_url_that_is_none_is_a_mistake_in_the_config(
    url: str, autojump_clock: MockClock
) -> None:
    with pytest.raises(ConfigError, match=r"is not usable: it needs one of ws, wss") as caught:
        async with open_ws(url):
            pass
    assert "pw" not in str(caught.value)


async def test_a_header_that_cannot_be_sent_is_named_without_its_value(
    autojump_clock: MockClock,
) -> None:
    for value in ("s3cret\n", "s3cret\r\nX: y", "s3cret ", "s3crét"):
        with pytest.raises(ConfigError, match="header X-Key has a character") as caught:
            async with open_ws(URL, headers={"X-Key": value}):
                pass
        assert "s3cr" not in str(caught.value)


async def test_what_came_before_a_close_is_read_before_its_code(
    autojump_clock: MockClock,
) -> None:
    async def say_and_leave(link: WsLink) -> None:
        await link.send("one")
        await link.send("two")
        await link.aclose(4001, "maintenance")

    async with serving(say_and_leave) as network, open_ws(URL, dial=network.dial) as link:
        assert await link.receive_batch() == [b"one"]
        assert await link.receive_batch() == [b"two"]
        with pytest.raises(VenueDisconnectedError, match="closed with code 4001 'maintenance'"):
            await link.receive_batch()
    assert (link.close_code, link.close_reason) == (4001, "maintenance")


async def test_sending_after_the_end_tells_why_it_ended(autojump_clock: MockClock) -> None:
    async def leave(link: WsLink) -> None:
        await link.aclose(4002, "kicked")

    async with serving(leave) as network:
        async with open_ws(URL, dial=network.dial) as link:
            await trio.sleep(1.0)
            with pytest.raises(VenueDisconnectedError, match="4002 'kicked'"):
                await link.send("late")
            with pytest.raises(VenueDisconnectedError, match="4002 'kicked'"):
                await link.ping(1.0)
        assert trio.current_time() == 1.0


async def test_a_cut_in_the_middle_of_a_frame_is_a_lost_link(autojump_clock: MockClock) -> None:
    async def talk(link: WsLink) -> None:
        await link.receive_batch()
        await link.send("x" * 100)
        await link.receive_batch()

    async with serving(talk) as network, open_ws(URL, dial=network.dial) as link:
        network.links[0].downward.cut_after = 50
        await link.send("go")
        with pytest.raises(VenueDisconnectedError, match="reset by the other side"):
            await link.receive_batch()
        assert link.close_code == 1006


async def test_a_peer_that_stops_sending_without_goodbye_is_a_lost_link(
    autojump_clock: MockClock,
) -> None:
    async def half_close(stream: trio.abc.Stream) -> None:
        async def talk(link: WsLink) -> None:
            await link.send("last words")
            assert isinstance(stream, trio.abc.HalfCloseableStream)
            await stream.send_eof()
            await trio.sleep_forever()

        await serve_ws(stream, talk)

    async with open_network() as network:
        network.listen(HOST, PORT, half_close)
        async with open_ws(URL, dial=network.dial) as link:
            assert await link.receive_batch() == [b"last words"]
            with pytest.raises(VenueDisconnectedError, match="other side closed the connection"):
                await link.receive_batch()


async def test_closing_into_a_black_hole_takes_its_deadline_and_resets(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo) as network:
        async with open_ws(URL, dial=network.dial, close_timeout_s=2.0) as link:
            network.links[0].upward.black_hole = True
        assert trio.current_time() == 2.0
        with pytest.raises(VenueDisconnectedError):
            await link.receive_batch()
        with pytest.raises(trio.ClosedResourceError):
            await network.links[0].client.send_all(b"x")


async def test_closing_waits_for_nobody_under_cancellation(autojump_clock: MockClock) -> None:
    async with serving(echo) as network:
        with trio.move_on_after(1.0):
            async with open_ws(URL, dial=network.dial, close_timeout_s=2.0):
                network.links[0].black_hole()
                await trio.sleep_forever()
        assert trio.current_time() == 1.05


async def test_a_send_without_room_ends_the_link_and_drops_what_waited(
    autojump_clock: MockClock,
) -> None:
    async def deaf(_link: WsLink) -> None:
        await trio.sleep_forever()

    async with serving(deaf, window=1000) as network:
        async with open_ws(URL, dial=network.dial, send_timeout_s=5.0) as link:
            network.links[0].upward.black_hole = True
            with pytest.raises(VenueDisconnectedError, match="no room to send for 5 s"):
                await link.send("x" * 2000)
            assert trio.current_time() == 5.0
            with pytest.raises(VenueDisconnectedError, match="no room to send for 5 s"):
                await link.receive_batch()
            with pytest.raises(VenueDisconnectedError):
                await link.send("more")
        assert trio.current_time() == 5.0


async def test_a_send_canceled_under_way_still_goes_out_whole(autojump_clock: MockClock) -> None:
    heard: list[bytes] = []

    async def listen(link: WsLink) -> None:
        while True:
            heard.extend(await link.receive_batch())

    async with serving(listen, window=1000) as network, open_ws(URL, dial=network.dial) as link:
        network.links[0].upward.stall(3.0)
        with trio.move_on_after(1.0) as scope:
            await link.send("x" * 5000)
        assert trio.current_time() == 3.0
        await link.send("after")
        await trio.sleep(1.0)
    assert heard == [b"x" * 5000, b"after"]
    assert not scope.cancelled_caught


async def test_a_send_canceled_before_it_began_leaves_the_link_as_it_was(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo) as network, open_ws(URL, dial=network.dial) as link:
        with trio.CancelScope() as scope:
            scope.cancel()
            await link.send("never")
        await link.send("next")
        assert await link.receive_batch() == [b"next"]
    assert scope.cancelled_caught


async def test_receiving_can_be_given_up_and_taken_up_again(autojump_clock: MockClock) -> None:
    async with serving(echo) as network, open_ws(URL, dial=network.dial) as link:
        with trio.move_on_after(1.0):
            await link.receive_batch()
        await link.send("still here")
        assert await link.receive_batch() == [b"still here"]


async def test_a_message_over_the_limit_ends_the_link_as_a_protocol_error(
    autojump_clock: MockClock,
) -> None:
    closed: list[str] = []

    async def shout(link: WsLink) -> None:
        await link.send("x" * 5000)
        try:
            await link.receive_batch()
        except VenueProtocolError as exc:
            closed.append(str(exc))
            raise

    async with serving(shout) as network:
        with pytest.raises(VenueProtocolError, match="1009 Exceeded maximum message size: 1000"):
            async with open_ws(URL, dial=network.dial, max_message_size=1000) as link:
                await link.receive_batch()
        await trio.sleep(1.0)
    assert "1009" in closed[0]


async def test_a_message_in_many_frames_is_measured_as_one(autojump_clock: MockClock) -> None:
    sender = Connection(ConnectionType.SERVER)
    parts = b"".join(
        sender.send(TextMessage(data="x" * 400, message_finished=last))
        for last in (False, False, True)
    )
    async with raw_serving(parts) as network:
        with pytest.raises(VenueProtocolError, match="1009"):
            async with open_ws(URL, dial=network.dial, max_message_size=1000) as link:
                await link.receive_batch()
    async with (
        raw_serving(parts) as network,
        open_ws(URL, dial=network.dial, max_message_size=1200) as link,
    ):
        assert await link.receive_batch() == [b"x" * 1200]


@pytest.mark.parametrize(
    "frame",
    [
        b"\xc1\x02ok",  # compressed, which nobody agreed on
        b"\x81\x02\xff\xfe",  # text that is no UTF-8
        b"\x83\x00",  # an opcode that there is not
        b"\x80\x01x",  # goes on with a message that never began
        b"\x09\x00",  # a ping in parts
        b"\x89\x7e\x01\x00" + b"x" * 256,  # a ping too long
        b"\x81\x82\x00\x00\x00\x00ok",  # masked, as only a client may
        b"\x88\x02\x03\xe7",  # closed with a code that may not be sent
        b"\x88\x01\x03",  # closed with half a code
    ],
)
async def test_a_frame_that_is_none_is_a_protocol_error(
    frame: bytes, autojump_clock: MockClock
) -> None:
    async with raw_serving(frame) as network:
        with pytest.raises(VenueProtocolError, match="broke the WebSocket protocol"):
            async with open_ws(URL, dial=network.dial) as link:
                await link.receive_batch()
        assert trio.current_time() <= 2.0


async def test_a_frame_of_claimed_exabytes_costs_nothing_and_stops_at_the_limit(
    autojump_clock: MockClock,
) -> None:
    frame = b"\x82\x7f" + (2**62).to_bytes(8, "big") + b"x" * 5000
    async with raw_serving(frame) as network:
        with pytest.raises(VenueProtocolError, match="1009"):
            async with open_ws(URL, dial=network.dial, max_message_size=1000) as link:
                await link.receive_batch()


async def test_a_ping_of_the_server_is_answered_without_anyone_receiving(
    autojump_clock: MockClock,
) -> None:
    took: list[float] = []

    async def ask(link: WsLink) -> None:
        took.append(await link.ping(10.0))

    async with serving(ask, latency_s=0.25) as network, open_ws(URL, dial=network.dial):
        await trio.sleep(2.0)
    assert took == pytest.approx([0.5])


async def test_a_ping_without_pong_says_how_long_it_has_been_silent(
    autojump_clock: MockClock,
) -> None:
    async with serving(echo) as network, open_ws(URL, dial=network.dial) as link:
        assert await link.ping(1.0) == 0.0
        await trio.sleep(7.0)
        network.links[0].black_hole()
        with pytest.raises(FeedStaleError, match=r"no pong within 3 s, nothing heard for 10 s"):
            await link.ping(3.0)


async def test_anything_heard_ends_the_silence(autojump_clock: MockClock) -> None:
    pings = Connection(ConnectionType.SERVER).send(Ping(payload=b"p"))
    async with raw_serving(pings) as network, open_ws(URL, dial=network.dial) as link:
        await trio.sleep(4.0)
        assert link.idle_s == 4.0
    async with serving(echo) as network, open_ws(URL, dial=network.dial) as link:
        await trio.sleep(4.0)
        await link.ping(1.0)
        assert link.idle_s == 0.0


async def test_what_the_block_raises_leaves_in_no_group(autojump_clock: MockClock) -> None:
    async with serving(echo) as network:
        with pytest.raises(KeyError, match="mine"):
            async with open_ws(URL, dial=network.dial):
                raise KeyError("mine")


async def test_a_group_of_the_block_stays_one(autojump_clock: MockClock) -> None:
    async with serving(echo) as network:
        with pytest.raises(ExceptionGroup, match="two") as caught:
            async with open_ws(URL, dial=network.dial):
                raise ExceptionGroup("two", [KeyError("a"), ValueError("b")])
    assert len(caught.value.exceptions) == 2


async def test_cancellation_from_outside_goes_through(autojump_clock: MockClock) -> None:
    async with serving(echo) as network:
        with trio.move_on_after(1.0) as scope:
            async with open_ws(URL, dial=network.dial) as link:
                await link.receive_batch()
        assert scope.cancelled_caught
        assert link.close_code == 1000


async def test_an_aborted_link_says_no_goodbye(autojump_clock: MockClock) -> None:
    ends: list[str] = []

    async def listen(link: WsLink) -> None:
        try:
            await link.receive_batch()
        except VenueDisconnectedError as exc:
            ends.append(str(exc))

    async with serving(listen) as network:
        async with open_ws(URL, dial=network.dial) as link:
            await link.abort()
            with pytest.raises(VenueDisconnectedError, match="given up by us"):
                await link.receive_batch()
        await trio.sleep(1.0)
    assert ends == ["client: the connection broke: connection reset by the other side"]


async def test_both_sides_agree_on_a_subprotocol(autojump_clock: MockClock) -> None:
    agreed: list[str | None] = []

    async def look(link: WsLink) -> None:
        agreed.append(link.subprotocol)
        await link.receive_batch()

    async with open_network() as network:
        network.listen(HOST, PORT, lambda s: serve_ws(s, look, subprotocol="v2"))
        async with open_ws(URL, dial=network.dial, subprotocols=["v1", "v2"]) as link:
            agreed.append(link.subprotocol)
        async with open_ws(URL, dial=network.dial, subprotocols=["v1"]) as link:
            agreed.append(link.subprotocol)
    assert agreed == ["v2", "v2", None, None]


async def test_a_reader_that_falls_behind_slows_the_sender_down(autojump_clock: MockClock) -> None:
    sent = 0

    async def flood(link: WsLink) -> None:
        nonlocal sent
        while True:
            await link.send("x" * 500)
            sent += 1

    async with serving(flood, window=10_000) as network, open_ws(URL, dial=network.dial) as link:
        await trio.sleep(1.0)
        stuck_at = sent
        await trio.sleep(1.0)
        assert sent == stuck_at < 256 + 100
        await link.receive_batch()
        await trio.sleep(0.1)
        assert sent > stuck_at


async def test_neither_query_nor_headers_are_in_an_error_or_a_repr(
    autojump_clock: MockClock,
) -> None:
    shown: list[str] = []
    headers = {"X-Api-Key": "k3y"}
    for said in (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", b"", b"nonsense\r\n\r\n"):
        async with answering(said) as network:
            with pytest.raises(VenueUnreachableError) as caught:
                async with open_ws(URL, headers=headers, dial=network.dial):
                    pass
            shown += [str(caught.value), repr(caught.value.__cause__)]
    async with serving(echo) as network, open_ws(URL, headers=headers, dial=network.dial) as link:
        shown += [repr(link), link.name]
        network.links[0].cut()
        with pytest.raises(VenueDisconnectedError) as lost:
            await link.receive_batch()
        shown += [str(lost.value), repr(lost.value.__cause__)]
    assert "s3cret" not in " ".join(shown)
    assert "k3y" not in " ".join(shown)


async def test_a_client_that_breaks_the_protocol_ends_only_its_own_handler(
    autojump_clock: MockClock,
) -> None:
    ends: list[type[BaseException]] = []

    async def listen(link: WsLink) -> None:
        try:
            await link.receive_batch()
        except VenueProtocolError as exc:
            ends.append(type(exc))
            raise

    client, request = wsproto.WSConnection(ConnectionType.CLIENT), Request(host=HOST, target="/")
    async with serving(listen) as network:
        stream = await network.dial(HOST, PORT)
        await stream.send_all(client.send(request))
        await stream.receive_some()
        await stream.send_all(b"\x81\x02ok")  # not masked
        await trio.sleep(3.0)
        async with open_ws(URL, dial=network.dial):
            pass
    assert ends == [VenueProtocolError]


@pytest.mark.parametrize(
    "request_head", [b"", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"\x00\x01\r\n\r\n", b"GET / HT"]
)
async def test_a_client_that_asks_for_no_websocket_is_dropped(
    request_head: bytes, autojump_clock: MockClock
) -> None:
    async with serving(echo) as network:
        stream = await network.dial(HOST, PORT)
        await stream.send_all(request_head)
        with trio.move_on_after(30.0):
            try:
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
        assert trio.current_time() <= 10.0


async def test_a_close_of_the_peer_is_answered(autojump_clock: MockClock) -> None:
    closes = Connection(ConnectionType.SERVER).send(CloseConnection(code=1001, reason="away"))
    async with raw_serving(closes, end=True) as network:
        with pytest.raises(VenueDisconnectedError, match="closed with code 1001 'away'"):
            async with open_ws(URL, dial=network.dial) as link:
                await link.receive_batch()


@pytest.mark.parametrize("field", ["send_timeout_s", "close_timeout_s", "max_message_size"])
def test_a_limit_of_nothing_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        WsLimits(**{field: 0})


def test_a_link_is_the_same_both_ways(autojump_clock: MockClock) -> None:
    assert autojump_clock.current_time() == 0.0
    link = Link.make(latency_s=1.0, window=7)
    assert (link.upward.latency_s, link.downward.window) == (1.0, 7)
