"""The exchanges of a config, simulated, and the networks to them, in one process."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

import attrs
import numpy as np
import trio

from botkit.adapter import Network, Simulator, SimulatorSetup
from botkit.assembly import Plan, assemble, check
from botkit.clock import LiveClock
from botkit.config import Config, load_plugin
from botkit.live import serve_links
from botkit.shell import Bot
from botkit.testing.links import Link
from botkit.testing.memory_journal import MemoryJournal
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.process import Process
from botkit.testing.simulated import START_NS
from botkit.transport import HttpReply, HttpRequest, Server, WsLink

__all__ = ["HOST", "PORT", "Front", "World", "open_world", "say_nothing"]

HOST: Final = "exchange.test"
PORT: Final = 80
NO_HEADERS: Final[Mapping[str, str]] = {}


@attrs.define(kw_only=True, eq=False)
class Front:
    """What stands before one exchange, and may fail without it: its proxy.

    Attributes
    ----------
    open
        The links that are served now.
    sockets
        Those of them that carry a WebSocket.
    spoil
        Called with every HTTP request; returns how it fails, None if it does not.
    repeat
        Called with every WebSocket message to a client; returns whether it is sent twice.
    """

    name: str
    server: Server
    open: dict[trio.abc.Stream, Link] = attrs.field(factory=dict)
    sockets: dict[trio.abc.Stream, Link] = attrs.field(factory=dict)
    spoil: Callable[[HttpRequest], "Spoiling | None"] | None = None
    repeat: Callable[[bytes], bool] | None = None
    _at: ContextVar[trio.abc.Stream] = attrs.field(factory=lambda: ContextVar("stream"))
    _inner: Server = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        ws = None if self.server.ws is None else self._ws
        self._inner = attrs.evolve(self.server, http=self._http, ws=ws)

    def on_link(self, link: Link) -> None:
        """Take note of a new link."""
        self.open[link.server] = link

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one connection."""
        self._at.set(stream)
        try:
            await self._inner.serve(stream)
        finally:
            self.open.pop(stream, None)
            self.sockets.pop(stream, None)

    async def _ws(self, request: HttpRequest, link: WsLink) -> None:
        stream = self._at.get()
        self.sockets[stream] = self.open[stream]
        assert self.server.ws is not None
        await self.server.ws(request, cast("WsLink", _Repeating(link, self)))

    async def _http(self, request: HttpRequest) -> HttpReply:
        spoiling = None if self.spoil is None else self.spoil(request)
        if spoiling is None:
            return await self.server.http(request)
        if spoiling.carried_out:
            await self.server.http(request)
        if spoiling.status is None:
            raise trio.BrokenResourceError("the connection is cut before the answer")
        return HttpReply(spoiling.status, NO_HEADERS, b"<html>try again later</html>")


class _Repeating:
    """A client's link, on which some messages are sent twice."""

    def __init__(self, link: WsLink, front: Front) -> None:
        self._link = link
        self._front = front

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    async def send(self, message: bytes | str, *, binary: bool = False) -> None:
        await self._link.send(message, binary=binary)
        repeat = self._front.repeat
        if repeat is not None and repeat(message.encode() if isinstance(message, str) else message):
            await self._link.send(message, binary=binary)


@attrs.frozen(kw_only=True)
class Spoiling:
    """How a request fails: by a status, or (None) by the connection's end; done or not done."""

    status: int | None
    carried_out: bool


@attrs.define(kw_only=True, eq=False)
class World:
    """Exchanges by venue name, the networks to them, and the clock all go by."""

    clock: LiveClock
    simulators: Mapping[str, Simulator]
    networks: Mapping[str, SimulatedNetwork]
    fronts: Mapping[str, Front]

    def plan(
        self,
        config: Config,
        process: Process | None = None,
        *,
        symbols: Sequence[str] = (),
        guardian: bool = False,
    ) -> Plan:
        """Build a live bot of `config`, or its guardian, that reaches the simulated exchanges.

        With `process` its links are that process's. `symbols` are further instruments.
        """
        plan = check(
            config, live=True, guardian=guardian, symbols=symbols, now_ns=self.clock.now_ns
        )
        for name, venue in plan.venues.items():
            assert hasattr(venue, "network"), f"venue {name} has no network to be simulated"
            venue.network = Network(dial=self._dial_to(name, process))
        return plan

    def _dial_to(self, name: str, process: Process | None) -> Callable[[str, int], Any]:
        network = self.networks[name]
        if process is not None:
            return process.dial(name, network, HOST, PORT)

        async def dial(_: str, __: int) -> trio.abc.Stream:
            return await network.dial(HOST, PORT)

        return dial

    async def build(
        self, config: Config, *, run_id: str, seed: int
    ) -> tuple[Bot, MemoryJournal, Callable[[], Any]]:
        """Return a bot, its journal, and what serves its links."""
        plan = self.plan(config)
        journal = MemoryJournal()
        instruments = await plan.prepare()
        bot = assemble(
            plan,
            instruments,
            journal=journal,
            clock=self.clock,
            run_id=run_id,
            log=say_nothing,
        )
        rng = np.random.default_rng(seed)
        venues = list(plan.venues.values())
        return bot, journal, lambda: serve_links(bot.engine, venues, self.clock, rng=rng)


@asynccontextmanager
async def open_world(
    config: Config,
    seed: int,
    *,
    quirks: Mapping[str, Mapping[str, Any]] | None = None,
    latency_s: Mapping[str, float] | None = None,
) -> AsyncIterator[World]:
    """Run a simulated exchange for each venue of `config`, for the length of the block.

    `quirks` are the simulators', by venue name, as `latency_s` is: one way, in seconds.
    """
    clock = LiveClock(origin_ns=START_NS)
    simulators: dict[str, Simulator] = {}
    networks: dict[str, SimulatedNetwork] = {}
    fronts: dict[str, Front] = {}
    async with trio.open_nursery() as nursery:
        async with _networks(list(config.venues), latency_s or {}) as opened:
            for number, name in enumerate(config.venues):
                setup = SimulatorSetup(
                    clock=clock,
                    seed=seed + 1_000_003 * number,
                    quirks=(quirks or {}).get(name, {}),
                )
                simulator = simulator_of(config, name)(setup)
                networks[name], simulators[name] = opened[name], simulator
                fronts[name] = Front(name=name, server=simulator.server)
                opened[name].on_link = fronts[name].on_link
                opened[name].listen(HOST, PORT, fronts[name].serve)
                nursery.start_soon(simulator.run)
            yield World(clock=clock, simulators=simulators, networks=networks, fronts=fronts)
        nursery.cancel_scope.cancel()


def simulator_of(config: Config, venue: str) -> Callable[[SimulatorSetup], Simulator]:
    """Return the class of the simulator for a venue of `config`; raise `ConfigError` if none."""
    source = f"{config.source}: venues.{venue}.type"
    found: Any = load_plugin("botkit.simulators", config.venues[venue].type, source)
    build: Callable[[SimulatorSetup], Simulator] = found
    return build


@asynccontextmanager
async def _networks(
    names: Sequence[str], latency_s: Mapping[str, float]
) -> AsyncIterator[dict[str, SimulatedNetwork]]:
    if not names:
        yield {}
        return
    first, *rest = names
    async with (
        open_network(latency_s=latency_s.get(first, 0.0)) as network,
        _networks(rest, latency_s) as others,
    ):
        yield {first: network, **others}


def say_nothing(_: str, __: str, ___: Mapping[str, object]) -> None:
    """Log nothing: what went wrong is in the result."""
