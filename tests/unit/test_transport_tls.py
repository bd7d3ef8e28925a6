"""TLS over streams in memory: secure URLs run on a simulated network too."""

import ssl

import pytest
import trio
import trustme
from trio.testing import MockClock

from botkit.errors import OrderOutcomeUnknownError, VenueUnreachableError
from botkit.testing.network import open_network
from botkit.transport import HttpReply, HttpRequest, Server, WsLink, connect, open_http, open_ws
from botkit.transport.dialing import Target

HOST, PORT = "venue.test", 443


async def tell(request: HttpRequest) -> HttpReply:
    if request.path == "/forget":
        await trio.sleep_forever()
    return HttpReply(200, {}, request.target.encode())


async def echo(_request: HttpRequest, link: WsLink) -> None:
    while True:
        for message in await link.receive_batch():
            await link.send(message)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


class Secured:
    """Serves TLS for `server` under the certificate of HOST."""

    def __init__(self, authority: trustme.CA) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(HOST).configure_cert(self._context)
        self._server = Server(http=tell, ws=echo)

    async def serve(self, stream: trio.abc.Stream) -> None:
        await self._server.serve(
            trio.SSLStream(stream, self._context, server_side=True, https_compatible=True)
        )


async def test_websocket_and_http_speak_tls_over_links(
    authority: trustme.CA, trusting: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    async with open_network(latency_s=0.1) as network:
        network.listen(HOST, PORT, Secured(authority).serve)
        async with open_ws(f"wss://{HOST}/", dial=network.dial, ssl_context=trusting) as link:
            await link.send("hello")
            assert await link.receive_batch() == [b"hello"]
        base = f"https://{HOST}"
        async with open_http(base, dial=network.dial, ssl_context=trusting) as http:
            assert (await http.request("GET", "/a")).body == b"/a"
            await network.links[-1].server.aclose()
            await trio.sleep(1.0)
            assert (await http.request("POST", "/b")).body == b"/b"
            with pytest.raises(OrderOutcomeUnknownError):
                await http.request("POST", "/forget")
        assert len(network.dials) == 3


async def test_a_certificate_that_is_not_trusted_was_sent_nothing(
    authority: trustme.CA, autojump_clock: MockClock
) -> None:
    async with open_network() as network:
        network.listen(HOST, PORT, Secured(authority).serve)
        async with open_http(f"https://{HOST}", dial=network.dial) as http:
            with pytest.raises(VenueUnreachableError, match="certificate verify failed"):
                await http.request("POST", "/")
        with pytest.raises(VenueUnreachableError, match="certificate verify failed"):
            async with open_ws(f"wss://{HOST}/", dial=network.dial):
                pass
        assert len(network.links) == 2
        for link in network.links:
            with pytest.raises(trio.ClosedResourceError):
                await link.client.send_all(b"x")


async def test_connecting_that_is_canceled_leaves_nothing_open(autojump_clock: MockClock) -> None:
    async def stare(_stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    target = Target.of(f"wss://{HOST}/", ("wss",))
    async with open_network() as network:
        network.listen(HOST, PORT, stare)
        with trio.move_on_after(1.0) as scope:
            await connect(target, timeout_s=10.0, dial=network.dial)
        assert scope.cancelled_caught
        async with open_http(f"https://{HOST}", dial=network.dial) as http:
            with trio.move_on_after(1.0):
                await http.request("POST", "/")
        assert len(network.links) == 2
        for link in network.links:
            with pytest.raises(trio.ClosedResourceError):
                await link.client.send_all(b"x")


def test_a_target_shows_where_it_leads_and_no_secret() -> None:
    target = Target.of("wss://user:s3cret@[::1]:9000/feed?key=s3cret", ("wss",))
    assert (target.host, target.port, target.resource) == ("::1", 9000, "/feed?key=s3cret")
    assert str(target) == "wss://[::1]:9000/feed"
    assert "s3cret" not in f"{target!r}{target}"
    assert Target.of("ws://h", ("ws",)).authority == "h"
