"""Without --live no frame and no request that leaves could place, change or cancel an order."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import trio

from botkit.adapter import Network
from botkit.assembly import assemble, check
from botkit.config import Config, load
from botkit.live import serve_links
from botkit.shell import ExitCode, run_bot
from botkit.testing import MemoryJournal
from botkit.testing.simulation import HOST, PORT, World, open_world, run_seeded
from botkit.transport import HttpReply, HttpRequest, Server, WsLink

ROOT = Path(__file__).parents[2]
# What may leave without --live: a part of the message or the request's line, by venue.
ALLOWED: Mapping[str, Sequence[str]] = {
    "blinktrade": ('"MsgType":"x"', '"MsgType":"V"', '"MsgType":"1"', '"MsgType":"e"', "GET "),
    "digifinex": ("depth.subscribe", "trades.subscribe", "server.ping", "server.time", "GET /"),
    "finery": ('"event":"bind"', '"event":"unbind"', "POST /api/instruments"),
    "moonbase": ("phx_join", '"heartbeat"', "GET /"),
    "peatio": ("ping", '"jwt"', "subscribe", "GET /"),
}
PRIVATE = {
    "moonbase": ("/orders/", "/balances", "/my/"),
    "digifinex": ("server.auth", "/spot/order"),
}


@attrs.define
class Tap:
    """A link of the exchange's side that notes what the client has sent."""

    link: WsLink
    heard: list[str]

    async def receive_batch(self) -> list[bytes]:
        batch = await self.link.receive_batch()
        self.heard += [frame.decode() for frame in batch]
        return batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.link, name)


def tapped(server: Server, heard: list[str]) -> Server:
    """Return `server` with everything noted that it is sent."""

    async def http(request: HttpRequest) -> HttpReply:
        heard.append(f"{request.method} {request.target}")
        return await server.http(request)

    async def ws(request: HttpRequest, link: WsLink) -> None:
        assert server.ws is not None
        tap: Any = Tap(link, heard)
        await server.ws(request, tap)

    return attrs.evolve(server, http=http, ws=ws)


async def dry_run(config: Config, heard: list[str]) -> tuple[ExitCode, int, int]:
    """Run the bot dry for a minute; return its exit code, its orders, and the exchange's count."""
    (name,) = config.venues
    async with open_world(config, 1) as world:
        simulator = world.simulators[name]
        network = world.networks[name]
        network.close(HOST, PORT)
        network.listen(HOST, PORT, tapped(simulator.server, heard).serve)
        plan = check(config, now_ns=world.clock.now_ns)
        venue: Any = plan.venues[name]
        venue._source.network = Network(dial=dialing(world, name))
        journal = MemoryJournal()
        instruments = await plan.prepare()
        bot = assemble(
            plan, instruments, journal=journal, clock=world.clock, run_id="dry", log=say_nothing
        )
        venues = list(plan.venues.values())
        links = partial(serve_links, bot.engine, venues, world.clock, rng=np.random.default_rng(1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_bot, bot, links)
            await trio.sleep(60)
            bot.stop.request("the minute is over")
        received = sum(
            account.orders_received
            for member in simulator.members
            for account in [simulator.market.exchange.accounts[member.name]]
        )
        return bot.exit_code(), bot.engine.desk.counts.submitted, received


def dialing(world: World, name: str) -> Any:
    async def dial(_: str, __: int) -> trio.abc.Stream:
        return await world.networks[name].dial(HOST, PORT)

    return dial


def say_nothing(_: str, __: str, ___: Mapping[str, object]) -> None:
    pass


@pytest.mark.parametrize("venue", ALLOWED)
def test_nothing_leaves_that_could_touch_an_order(venue: str) -> None:
    heard: list[str] = []
    config = load(str(ROOT / "configs" / f"{venue}.toml"))

    code, submitted, received = run_seeded(lambda: dry_run(config, heard), 1)

    assert (code, received) == (ExitCode.CLEAN, 0)
    assert submitted > 2
    assert heard
    strays = {
        each
        for each in heard
        if not any(part in each for part in ALLOWED[venue])
        or any(part in each for part in PRIVATE.get(venue, ()))
    }
    assert strays == set()
