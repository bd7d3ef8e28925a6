"""Peatio beside its simulator, for tests: raw clients, and a venue with what it delivered."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import trio
import trio.testing

from botkit.adapter import SimulatorSetup
from botkit.clock import LiveClock
from botkit.errors import VenueError
from botkit.model import Event, Side
from botkit.testing.conformance_session import Session
from botkit.testing.links import Link
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.simulated import (
    START_NS,
    SimulatedVenueCase,
    SimulatedVenuePair,
    open_simulated,
)
from botkit.transport import HttpReply, WsLink, open_http, open_ws
from venues.peatio.issuer import Issuer
from venues.peatio.simulator import PeatioSimulator
from venues.peatio.venue import PeatioVenue

__all__ = ["Bench", "Client", "Served", "case", "open_bench", "options", "serving"]

ISSUER = Issuer()
HOST = "peatio.test"


# --- raw ----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Served:
    """A simulator that listens, and its network."""

    simulator: PeatioSimulator
    network: SimulatedNetwork

    def token(self, name: str = "alice", **changes: Any) -> str:
        """Return `Bearer TOKEN`."""
        return f"Bearer {self.simulator.issuer.issue(name, **changes)}"

    @asynccontextmanager
    async def client(self, path: str = "", token: str | None = None) -> AsyncIterator["Client"]:
        """Open a socket, with a token in its handshake if one is given."""
        headers = {} if token is None else {"Authorization": token}
        url = f"ws://{HOST}/{path}"
        async with open_ws(url, headers=headers, dial=self.network.dial) as link:
            yield Client(link)

    async def call(
        self, method: str, path: str, body: Any = None, token: str | None = None
    ) -> HttpReply:
        """Make a REST call; `body` as JSON, or as a form if it is text."""
        is_form = isinstance(body, str)
        headers = {"Authorization": self.token() if token is None else token}
        content = None
        if body is not None:
            kind = "application/x-www-form-urlencoded" if is_form else "application/json"
            headers["Content-Type"] = kind
            content = body.encode() if is_form else json.dumps(body).encode()
        async with open_http(f"http://{HOST}/api/v2", dial=self.network.dial) as http:
            return await http.request(method, path, headers=headers, content=content)

    async def json(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        """Return what a call was answered."""
        return json.loads((await self.call(method, path, body, token)).body)

    async def order(self, path: str = "orders", token: str | None = None, **terms: Any) -> Any:
        """Place an order; return the answer."""
        plain = {"market": "btcusd", "side": "buy", "volume": "0.5", "price": "40000"}
        given = {k: v for k, v in {**plain, **terms}.items() if v is not None}
        return await self.json("POST", path, given, token)


@asynccontextmanager
async def serving(*, quiet: bool = True, **quirks: object) -> AsyncIterator[Served]:
    """Run a simulator; its book is empty unless told otherwise."""
    simulator = PeatioSimulator(
        SimulatorSetup(clock=LiveClock(origin_ns=START_NS), seed=1, quirks=quirks, quiet=quiet)
    )
    async with open_network() as network, trio.open_nursery() as nursery:
        nursery.start_soon(simulator.run)
        network.listen(HOST, 80, simulator.server.serve)
        await trio.testing.wait_all_tasks_blocked()
        yield Served(simulator=simulator, network=network)
        nursery.cancel_scope.cancel()


class Client:
    """A client that speaks plain JSON."""

    def __init__(self, link: WsLink) -> None:
        self.link = link
        self._waiting: list[Any] = []

    async def next(self) -> Any:
        """Return the next frame; text that is no JSON as it is."""
        with trio.fail_after(5):
            while not self._waiting:
                for frame in await self.link.receive_batch():
                    self._waiting.append(frame if frame == b"pong" else json.loads(frame))
        return self._waiting.pop(0)

    async def until(self, kind: str) -> Any:
        """Return what the next frame of that key holds."""
        while True:
            frame = await self.next()
            if isinstance(frame, dict) and kind in frame:
                return frame[kind]

    async def silent(self, seconds: float = 5.0) -> bool:
        """Tell whether nothing comes for a while."""
        with trio.move_on_after(seconds):
            frames = await self.link.receive_batch()
            self._waiting += [json.loads(frame) for frame in frames]
            return False
        return True

    async def send(self, **message: Any) -> None:
        """Send a message."""
        await self.link.send(json.dumps(message))

    async def sign_in(self, token: str) -> Any:
        """Answer the challenge."""
        await self.until("challenge")
        await self.send(jwt=token)
        return await self.next()


# --- with a venue -------------------------------------------------------------------------------


def options(base: str, generation: str, **changes: Any) -> Mapping[str, Any]:
    """Return the venue's table of the config; a change to None leaves a key out."""
    path = "" if generation == "websocket_api" else "api/v2/ranger"
    plain = {
        "generation": generation,
        "url": f"{base}/{path}",
        "rest_url": f"{base.replace('ws', 'http', 1)}/api/v2",
        "token": ISSUER.members[0].secret,
        "fees": {"maker_bps": "20", "taker_bps": "20"},
        "instruments": {"btcusd": {"lot_size": "0.0001"}},
        **changes,
    }
    return {key: value for key, value in plain.items() if value is not None}


def case(
    generation: str, changes: Mapping[str, Any] | None = None, **quirks: object
) -> SimulatedVenueCase:
    """Return both ends, `changes` made to the venue's options."""
    return SimulatedVenueCase(
        simulator=PeatioSimulator,
        venue=PeatioVenue.from_setup,
        options=lambda base: options(base, generation, **(changes or {})),
        symbol="peatio:btcusd",
        qty=Decimal("0.01"),
        quirks=quirks,
    )


@attrs.frozen(kw_only=True)
class Bench:
    """A session that is connected, and the exchange behind it."""

    session: Session
    pair: SimulatedVenuePair
    simulator: PeatioSimulator
    socket: Link

    @property
    def events(self) -> list[Event]:
        """What the venue delivered."""
        return self.session.events

    def resting(self) -> list[tuple[Side, Decimal | None]]:
        """Return what alice has at the exchange."""
        account = self.simulator.market.exchange.accounts["alice"]
        return [(order.side, order.price) for order in account.open_orders()]


@asynccontextmanager
async def open_bench(
    generation: str, changes: Mapping[str, Any] | None = None, **quirks: Any
) -> AsyncIterator[Bench]:
    """Connect a venue to its simulator over streams in memory."""
    async with open_simulated(case(generation, changes, **quirks)) as pair:
        venue = pair.subject.venue
        await venue.prepare()
        session = Session(pair.subject, venue.instruments[pair.subject.symbol], "bench")
        assert isinstance(pair.simulator, PeatioSimulator)
        assert pair.network is not None
        links = len(pair.network.links)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve, session)
            await session.touch()
            await trio.sleep(0.5)
            socket = pair.network.links[links]  # REST connects when it is first asked
            yield Bench(session=session, pair=pair, simulator=pair.simulator, socket=socket)
            nursery.cancel_scope.cancel()


async def _serve(session: Session) -> None:
    """Serve one connection; its end is for the tests to look at."""
    with contextlib.suppress(VenueError):
        await session.serve()
