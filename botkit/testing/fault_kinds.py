"""Each kind of fault: what it does to links, venues, the journal or the bot.

One that finds nothing to have an effect on says so, and is tried again later.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, Protocol

import attrs
import numpy as np
import trio

from botkit.testing.chronicle import Chronicle
from botkit.testing.invariants import Books
from botkit.testing.links import Link
from botkit.testing.memory_journal import MemoryJournal
from botkit.testing.world import HOST, PORT, Front, Spoiling, World
from botkit.transport import HttpRequest

__all__ = ["Fault", "Scene", "Victim"]

ATTEMPTS: Final = 8
PATIENCE_S: Final = 8.0  # how long one waits for its occasion
DIAL_S: Final = 10.0  # how long a dial may wait for an answer that does not come
STATUSES: Final = (500, 502, 503, 429)


class Victim(Protocol):
    """The bot, as far as faults go."""

    def links_to(self, venue: str) -> list[Link]:
        """Return the links its process has made to a venue."""
        ...

    async def kill(self, *, guarded: bool, hang: bool) -> bool:
        """End it by force at a drawn moment; return whether there was a bot to end."""
        ...


@attrs.define(kw_only=True, eq=False)
class Scene:
    """What faults are brought about in.

    Attributes
    ----------
    counts
        Those that took effect, by kind.
    trouble
        (venue, from, until): when a venue could be reached badly or not at all, on trio's clock.
    """

    world: World
    victim: Victim
    books: Mapping[str, Books]
    journal: MemoryJournal
    chronicle: Chronicle
    counts: dict[str, int] = attrs.field(factory=dict)
    trouble: list[tuple[str, float, float]] = attrs.field(factory=list)

    def excuses(self, venue: str, since: float, until: float) -> bool:
        """Tell whether a venue could not be reached well at some time between the two."""
        return any(
            name == venue and begun <= until and since <= ended
            for name, begun, ended in self.trouble
        )

    def note(self, kind: str, text: str) -> None:
        """Count a fault that has taken effect."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.chronicle.tell("fault", f"{kind}: {text}")


@attrs.define(kw_only=True, eq=False)
class Fault:
    """One fault: at its moment, or at later ones until it has an effect."""

    faults: Scene
    kind: str
    rng: np.random.Generator

    async def happen(self, moment: float) -> None:
        """Bring it about in `moment` seconds, or soon after; if it never can be, a cut instead."""
        await trio.sleep(moment)
        for attempt in range(ATTEMPTS):
            if attempt == ATTEMPTS // 2:
                self.kind = "cut"  # which all venues have links for
            action: Callable[[], Awaitable[bool]] = getattr(self, f"_{self.kind}")
            if await action():
                return
            await trio.sleep(self.rng.uniform(0.5, 4.0))

    def _chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    # --- where ------------------------------------------------------------------------------

    def _venue(self) -> str:
        names = list(self.faults.world.fronts)
        return names[int(self.rng.integers(len(names)))]

    def _open_links(self, venue: str, *, sockets: bool = False) -> list[Link]:
        front = self.faults.world.fronts[venue]
        is_open = front.sockets if sockets else front.open
        return [link for link in self.faults.victim.links_to(venue) if link.server in is_open]

    def _expect_trouble(self, venue: str, lasts_s: float) -> None:
        now = trio.current_time()
        self.faults.trouble.append((venue, now, now + lasts_s))

    def _note(self, venue: str, text: str, lasts_s: float = 0.0) -> None:
        self._expect_trouble(venue, lasts_s)
        self.faults.note(self.kind, f"{venue}: {text}")

    async def _until(self, waiting: list[Callable[[], None]], act: Callable[[], bool]) -> bool:
        """Have `act` called once `waiting` are; return whether it did anything."""
        happened: list[bool] = []
        event = trio.Event()

        def call() -> None:
            happened.append(act())
            event.set()

        waiting.append(call)
        with trio.move_on_after(PATIENCE_S):
            await event.wait()
        if call in waiting:
            waiting.remove(call)
        return any(happened)

    # --- links ------------------------------------------------------------------------------

    async def _cut(self) -> bool:
        await trio.lowlevel.checkpoint()
        venue = self._venue()
        links = self._open_links(venue, sockets=True)
        if self._chance(0.3):
            links = self._open_links(venue)
        elif links:
            links = [links[int(self.rng.integers(len(links)))]]
        for link in links:
            link.cut()
        if links:
            self._note(venue, f"{len(links)} links")
        return bool(links)

    async def _cut_mid_frame(self) -> bool:
        venue = self._venue()
        links = self._open_links(venue, sockets=True)
        if not links:
            return False
        link = links[int(self.rng.integers(len(links)))]
        upward = self._chance(0.5)
        pipe = link.upward if upward else link.downward
        pipe.cut_after = int(self.rng.integers(1, 400))
        await trio.sleep(self.rng.uniform(1.0, PATIENCE_S))
        if pipe.cut_after:
            pipe.cut_after = None
            return False
        self._note(venue, f"after so many bytes {'to' if upward else 'from'} the venue")
        return True

    async def _half_open(self) -> bool:
        await trio.lowlevel.checkpoint()
        venue = self._venue()
        links = self._open_links(venue, sockets=True)
        for link in links:
            link.black_hole()
        if links:
            self._note(venue, f"{len(links)} links")
        return bool(links)

    async def _stall(self) -> bool:
        await trio.lowlevel.checkpoint()
        venue = self._venue()
        links = self._open_links(venue)
        if not links:
            return False
        if self._chance(0.6):  # what comes by the others overtakes it
            links = [links[int(self.rng.integers(len(links)))]]
        seconds = float(self.rng.choice([0.3, 1.0, 3.0]) * self.rng.uniform(0.5, 1.5))
        for link in links:
            link.stall(seconds)
        self._note(venue, f"{len(links)} links for {seconds:.3f} s", seconds)
        return True

    async def _late_fill(self) -> bool:
        venue = self._venue()
        seconds = float(self.rng.uniform(0.5, 4.0))

        def act() -> bool:
            links = self._open_links(venue, sockets=True)
            for link in links:
                link.downward.stall(seconds)
            if links:
                self._note(venue, f"told {seconds:.3f} s later", seconds)
            return bool(links)

        return await self._until(self.faults.books[venue].on_fill, act)

    async def _lost_ack(self) -> bool:
        venue = self._venue()
        struck: list[Link] = []

        def act() -> bool:
            links = self._open_links(venue)
            for link in links:
                link.downward.black_hole = True
            struck.extend(links)
            if links:
                self._note(venue, f"{len(links)} links lose the answer")
            return bool(links)

        if not await self._until(self.faults.books[venue].on_accept, act):
            return False
        await trio.sleep(self.rng.uniform(0.0, 1.0))
        for link in struck:
            link.downward.black_hole = False
            link.cut()
        return True

    async def _duplicate(self) -> bool:
        """Have the venue say something of an order twice."""
        venue = self._venue()
        books, front = self.faults.books[venue], self.faults.world.fronts[venue]
        waiting = books.on_fill if self._chance(0.5) else books.on_accept
        left = count = int(self.rng.integers(1, 4))

        def repeat(message: bytes) -> bool:
            nonlocal left
            if not left or books.latest_id not in message:
                return False
            left -= 1
            if left == count - 1:
                self._note(venue, f"{count} messages on {books.latest_id.decode()}")
            return True

        def act() -> bool:
            if front.repeat is not None:
                return False
            front.repeat = repeat
            return True

        if await self._until(waiting, act):
            try:
                await trio.sleep(self.rng.uniform(1.0, 5.0))
            finally:
                front.repeat = None
        return left < count

    # --- venues -----------------------------------------------------------------------------

    async def _http_error(self) -> bool:
        status = int(self.rng.choice(STATUSES))
        done = status != HTTPStatus.TOO_MANY_REQUESTS and self._chance(0.5)
        return await self._spoil(Spoiling(status=status, carried_out=done))

    async def _http_lost(self) -> bool:
        return await self._spoil(Spoiling(status=None, carried_out=self._chance(0.7)))

    async def _spoil(self, spoiling: Spoiling) -> bool:
        venue = self._venue()
        front: Front = self.faults.world.fronts[venue]
        count = int(self.rng.integers(1, 4))
        left = count
        if front.spoil is not None:
            return False

        def spoil(request: HttpRequest) -> Spoiling | None:
            nonlocal left
            if not left:
                return None
            left -= 1
            how = "the end of the link" if spoiling.status is None else str(spoiling.status)
            done = "done" if spoiling.carried_out else "not done"
            if left == count - 1:
                self._note(venue, f"{request.method} {request.path}: {how}, {done}", 1.0)
            return spoiling

        front.spoil = spoil
        try:
            await trio.sleep(self.rng.uniform(1.0, 8.0))
        finally:
            front.spoil = None
        return left < count

    async def _refused_dials(self) -> bool:
        venue = self._venue()
        world = self.faults.world
        network, front = world.networks[venue], world.fronts[venue]
        seconds = float(self.rng.uniform(0.5, 8.0))
        if not network.listens(HOST, PORT):
            return False
        before = network.refusals
        network.close(HOST, PORT)
        self._expect_trouble(venue, seconds)
        try:
            if self._chance(0.8):
                for link in self._open_links(venue):
                    link.cut()
            await trio.sleep(seconds)
        finally:
            network.listen(HOST, PORT, front.serve)
        if network.refusals == before:
            return False
        self._note(venue, f"for {seconds:.3f} s until now")
        return True

    async def _unanswered_dials(self) -> bool:
        venue = self._venue()
        network = self.faults.world.networks[venue]
        seconds = float(self.rng.uniform(0.5, 6.0))
        before = len(network.dials)
        network.unanswered.add((HOST, PORT))
        self._expect_trouble(venue, seconds + DIAL_S)
        try:
            for link in self._open_links(venue):
                link.cut()
            await trio.sleep(seconds)
        finally:
            network.unanswered.discard((HOST, PORT))
        if len(network.dials) == before:
            return False
        self._note(venue, f"for {seconds:.3f} s until now")
        return True

    async def _market_pause(self) -> bool:
        venue = self._venue()
        simulator = self.faults.world.simulators[venue]
        self.faults.note(self.kind, venue)
        simulator.market.pause()
        try:
            await trio.sleep(self.rng.uniform(1.0, 5.0))
        finally:
            simulator.market.pause(paused=False)
        return True

    # --- the bot ----------------------------------------------------------------------------

    async def _journal(self) -> bool:
        journal = self.faults.journal
        seconds = float(self.rng.uniform(0.3, 4.0))
        if journal.fault:
            return False
        before = journal.failures
        journal.fault = "the disk is full"
        try:
            await trio.sleep(seconds)
        finally:
            journal.fault = ""
        if journal.failures == before:
            return False
        self.faults.note(self.kind, f"cannot write for {seconds:.3f} s until now")
        return True

    async def _kill(self) -> bool:
        return await self._end(guarded=True, hang=False)

    async def _hang(self) -> bool:
        return await self._end(guarded=True, hang=True)

    async def _kill_both(self) -> bool:
        return await self._end(guarded=False, hang=False)

    async def _end(self, *, guarded: bool, hang: bool) -> bool:
        ended = await self.faults.victim.kill(guarded=guarded, hang=hang)
        if ended:
            self.faults.note(self.kind, "")
        return ended
