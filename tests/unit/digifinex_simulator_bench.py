"""A simulated DigiFinex, and clients that speak to it, for tests."""

import json
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.simulated import START_NS
from botkit.transport import HttpLink, WsLink, open_http, open_ws
from venues.digifinex import wire
from venues.digifinex.simulator import DigiFinexSimulator

__all__ = ["KEY", "NOW_S", "SECRET", "Client", "Served", "client", "serving"]

NOW_S = START_NS // 1_000_000_000
KEY, SECRET = "test-key-alice", "test-secret-alice"
BUY = {"symbol": "BTC_USDT", "type": "buy", "amount": "0.01", "price": "40000"}


@attrs.frozen(kw_only=True)
class Served:
    """A simulator that listens, its network, and a road to its REST."""

    simulator: DigiFinexSimulator
    network: SimulatedNetwork
    http: HttpLink

    async def call(
        self,
        method: str,
        path: str,
        sent: Mapping[str, str] | None = None,
        *,
        key: str = KEY,
        secret: str = SECRET,
        ahead_s: int = 0,
    ) -> Any:
        """Return the reply to a signed call, its code as a number."""
        text = wire.form(sent or {})
        now_s = self.simulator.market.clock.now_ns() // 1_000_000_000
        headers = wire.rest_headers(key, secret, text, timestamp_s=now_s + ahead_s)
        is_get = method == "GET"
        reply = await self.http.request(
            method,
            path,
            params=text if is_get and text else None,
            content=None if is_get else text.encode(),
            headers=headers,
        )
        value = json.loads(reply.body)
        return {**value, "code": int(value["code"])}

    async def new(self, **terms: str) -> Any:
        return await self.call("POST", "/spot/order/new", {**BUY, **terms})


@asynccontextmanager
async def serving(*, quiet: bool = False, **quirks: object) -> AsyncIterator[Served]:
    setup = SimulatorSetup(clock=LiveClock(origin_ns=START_NS), seed=1, quirks=quirks, quiet=quiet)
    simulator = DigiFinexSimulator(setup)
    async with open_network() as network, trio.open_nursery() as nursery:
        nursery.start_soon(simulator.run)
        network.listen("digifinex.test", 80, simulator.server.serve)
        async with open_http("http://digifinex.test/v3", dial=network.dial) as http:
            yield Served(simulator=simulator, network=network, http=http)
        nursery.cancel_scope.cancel()


class Client:
    """A client that speaks plain JSON; `raw` has the frames as they came."""

    def __init__(self, link: WsLink) -> None:
        self.link = link
        self.raw: list[bytes] = []
        self._last_id = 0

    async def next(self) -> Any:
        (frame,) = await self.link.receive_batch()
        self.raw.append(frame)
        return json.loads(frame if frame[:1] == b"{" else zlib.decompress(frame))

    async def drain(self, *, ping_every_s: float = float("inf")) -> None:
        """Read until the link ends, pinging or not."""
        while True:
            with trio.move_on_after(ping_every_s):
                while True:
                    await self.next()
            await self.ask("server.ping")

    async def until(self, method: str) -> Any:
        """Return the params of the next push of that method."""
        with trio.fail_after(90):
            while True:
                frame = await self.next()
                if frame.get("method") == method:
                    return frame["params"]

    async def ask(self, method: str, *params: object) -> Any:
        """Return the reply, and drop what comes before it."""
        self._last_id += 1
        request = {"id": self._last_id, "method": method, "params": params}
        await self.link.send(json.dumps(request))
        with trio.fail_after(5):
            while True:
                frame = await self.next()
                if frame.get("id") == self._last_id:
                    return frame

    async def auth(self, secret: str = SECRET, *, ahead_ms: int = 0, key: str = KEY) -> Any:
        timestamp = str(NOW_S * 1_000 + ahead_ms)
        return await self.ask("server.auth", key, timestamp, wire.auth_sign(secret, timestamp))


@asynccontextmanager
async def client(served: Served) -> AsyncIterator[Client]:
    async with open_ws("ws://digifinex.test/ws/v1/", dial=served.network.dial) as link:
        yield Client(link)
