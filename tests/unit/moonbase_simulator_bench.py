"""A simulated Moonbase, and clients that speak plain JSON to it, for tests."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.simulated import START_NS
from botkit.transport import HttpReply, WsLink, open_http, open_ws
from venues.moonbase import wire
from venues.moonbase.simulator import MoonbaseSimulator

__all__ = ["BOOK", "ETH", "NOW_S", "ORDERS", "call", "client", "serving", "signed"]

NOW_S = START_NS // 1_000_000_000
KEY, SECRET = "test-key-alice", "test-secret-alice"
ETH = "ETH_D:BTC_D"
ORDERS, BOOK = f"/orders/{ETH}", f"/orderbooks/{ETH}"


@attrs.frozen(kw_only=True)
class Served:
    """A simulator that listens, and its network."""

    simulator: MoonbaseSimulator
    network: SimulatedNetwork


@asynccontextmanager
async def serving(*, quiet: bool = False, **quirks: object) -> AsyncIterator[Served]:
    setup = SimulatorSetup(
        clock=LiveClock(origin_ns=START_NS), seed=1, quirks=quirks, quiet=quiet, pace=0.5
    )
    simulator = MoonbaseSimulator(setup)
    async with open_network() as network, trio.open_nursery() as nursery:
        nursery.start_soon(simulator.run)
        network.listen("moonbase.test", 80, simulator.server.serve)
        yield Served(simulator=simulator, network=network)
        nursery.cancel_scope.cancel()


def signed(
    *,
    key: str = KEY,
    signer: str = SECRET,
    timestamp_s: int = NOW_S,
    variant: wire.SignatureVariant = "seed",
) -> str:
    return wire.handshake_query(key, signer, timestamp_s=timestamp_s, variant=variant)


class Client:
    """A client that speaks plain JSON."""

    def __init__(self, link: WsLink) -> None:
        self.link = link
        self._waiting: list[Any] = []
        self._last_ref = 0
        self.seen: list[Any] = []

    async def next(self) -> Any:
        if not self._waiting:
            self._waiting = [json.loads(frame) for frame in await self.link.receive_batch()]
        self.seen.append(self._waiting[0])
        return self._waiting.pop(0)

    async def until(self, topic: str, event: str) -> Any:
        """Return the first frame of that topic and event."""
        with trio.fail_after(100):
            while True:
                frame = await self.next()
                if (frame.get("topic"), frame.get("event")) == (topic, event):
                    return frame

    def last(self, topic: str, event: str) -> Any:
        """Return the last such frame among those that came already."""
        found = [each for each in self.seen if (each["topic"], each["event"]) == (topic, event)]
        return found[-1]

    async def ask(self, topic: str, event: str, payload: Mapping[str, Any] | None = None) -> Any:
        """Return the payload of the reply, and drop what comes before it."""
        self._last_ref += 1
        ref = str(self._last_ref)
        message = {"ref": ref, "join_ref": ref, "topic": topic, "event": event}
        await self.link.send(json.dumps({**message, "payload": payload or {}}))
        with trio.fail_after(5):
            while True:
                frame = await self.next()
                if "topic" not in frame:
                    return frame
                if frame["event"] == "phx_reply" and frame["ref"] == ref:
                    return frame["payload"]

    async def join(self, topic: str, **terms: Any) -> Any:
        """Return the snapshot."""
        reply = await self.ask(topic, "phx_join", terms)
        assert reply["status"] == "ok", reply
        return reply["response"]

    async def place(self, amount: float, price: float | None = None, **terms: Any) -> Any:
        return await self.ask(
            ORDERS, "place", {"requested_amount": amount, "limit_price": price, **terms}
        )


@asynccontextmanager
async def client(served: Served, query: str = "") -> AsyncIterator[Client]:
    url = f"ws://moonbase.test/socket/api/websocket?{query or signed()}"
    async with open_ws(url, dial=served.network.dial) as link:
        yield Client(link)


async def call(
    served: Served,
    method: str,
    path: str,
    nonce: int,
    *,
    signer: str = SECRET,
    timestamp_s: int = NOW_S,
    **terms: str,
) -> tuple[int, Any]:
    headers = wire.rest_headers(
        KEY,
        signer,
        method=method,
        path=f"/api/v1{path}",
        parameters=terms,
        nonce_ms=nonce,
        timestamp_s=timestamp_s,
    )
    body = "&".join(f"{name}={value}" for name, value in terms.items()).encode()
    async with open_http("http://moonbase.test/api/v1", dial=served.network.dial) as http:
        reply: HttpReply = await http.request(
            method,
            path,
            headers=headers,
            **({"params": dict(terms)} if method == "GET" else {"content": body}),
        )
    return reply.status, json.loads(reply.body)
