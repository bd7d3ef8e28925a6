"""Every venue beside its simulator, as a bot's links serve it: standing by, connected or not."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import trio
import trio.testing

from botkit.adapter import Network
from botkit.errors import VenueError
from botkit.model import Event, ExecutionReport, NewOrder, VenueStatus
from botkit.ports import AttendedVenue, Liveness, StandbyVenue, VenueSetup
from botkit.testing.conformance_session import Session
from botkit.testing.links import Link
from botkit.testing.simulated import SimulatedVenueCase, SimulatedVenuePair, open_simulated
from tests.unit import blinktrade_bench, digifinex_bench, finery_bench, moonbase_bench, peatio_bench

__all__ = ["CASES", "Attended", "attended", "case_of"]

CASES: Final = ("finery", "blinktrade", "moonbase", "peatio-1", "peatio-2", "digifinex")


def case_of(name: str, changes: Mapping[str, Any] | None = None) -> SimulatedVenueCase:
    """Return both ends of a venue."""
    changes = {"on_disconnect": "keep", **(changes or {})}  # so that orders rest to be looked at
    match name:
        case "finery":
            built = finery_bench.case(changes)
        case "blinktrade":
            built = blinktrade_bench.case({"secret": "test-secret-alice", **changes})
        case "moonbase":
            built = moonbase_bench.case(changes)
        case "peatio-1":
            built = peatio_bench.case("websocket_api", changes)
        case "peatio-2":
            built = peatio_bench.case("ranger", changes)
        case _:
            built = digifinex_bench.case(changes)
    return attrs.evolve(built, pace=0.05)  # little else happens there: it takes time


@attrs.define(kw_only=True, eq=False)
class Attended:
    """One process of ours at a venue, and the exchange."""

    pair: SimulatedVenuePair
    session: Session
    nursery: trio.Nursery
    down: trio.Event = attrs.field(factory=trio.Event)

    @property
    def liveness(self) -> Liveness:
        """The venue's figures."""
        venue = self.session.venue
        assert isinstance(venue, AttendedVenue)
        return venue.liveness()

    async def connect(self) -> Link:
        """Have the venue serve a connection; return its link once it is up."""
        assert self.pair.network is not None
        since, links = len(self.session.events), len(self.pair.network.links)
        self.down = trio.Event()
        self.nursery.start_soon(self._serve)
        await self.session.expect(VenueStatus, "up", lambda status: status.up, since)
        await trio.sleep(1)  # the rates of the second before are over
        return self.pair.network.links[links]

    async def _serve(self) -> None:
        with contextlib.suppress(VenueError):
            await self.session.serve()
        self.down.set()

    async def until_told_down(self) -> float:
        """Return when, on trio's clock, it was told that nothing is heard of our orders."""
        since = len(self.session.events)
        await self.session.expect(VenueStatus, "loss", lambda status: not status.private, since)
        return trio.current_time()

    def resting(self) -> list[str]:
        """Return the venue's ids of what alice has at the exchange."""
        account = self.pair.simulator.market.exchange.accounts["alice"]
        return [self.pair.simulator.venue_order_id(order) for order in account.open_orders()]

    def told(self, kind: type, since: int = 0) -> list[Any]:
        """Return the events of a kind."""
        return [event for event in self.session.events[since:] if isinstance(event, kind)]

    def reports(self, order: NewOrder, since: int = 0) -> list[ExecutionReport]:
        """Return what was said of an order."""
        news: list[Event] = self.session.events[since:]
        return [each for each in self.session.reports(order) if each in news]

    async def another(self) -> "Attended":
        """Return another process of the same key at the same exchange, standing by."""
        pair, old = self.pair, self.session.venue
        plugin: Any = type(old)
        setup: VenueSetup = vars(old)["_setup"]  # every venue of ours keeps it
        venue = plugin.from_setup(setup)
        assert pair.network is not None
        venue.network = Network(dial=pair.network.dial)
        await venue.prepare()
        subject = attrs.evolve(pair.subject, venue=venue)
        return await _standing(attrs.evolve(pair, subject=subject), self.nursery, "another")


async def _standing(pair: SimulatedVenuePair, nursery: trio.Nursery, name: str) -> Attended:
    venue = pair.subject.venue
    pair = attrs.evolve(pair, subject=attrs.evolve(pair.subject, answer_s=60.0))
    session = Session(pair.subject, venue.instruments[pair.subject.symbol], name)
    assert isinstance(venue, StandbyVenue)
    nursery.start_soon(venue.stand_by, session.deliver, pair.subject.clock)
    await trio.testing.wait_all_tasks_blocked()
    return Attended(pair=pair, session=session, nursery=nursery)


@asynccontextmanager
async def attended(name: str, changes: Mapping[str, Any] | None = None) -> AsyncIterator[Attended]:
    """Have a venue stand by for the length of the block; it is not connected yet."""
    async with open_simulated(case_of(name, changes)) as pair, trio.open_nursery() as nursery:
        await pair.subject.venue.prepare()
        yield await _standing(pair, nursery, "bench")
        nursery.cancel_scope.cancel()
