"""The tasks that feed the engine in real time: one a venue, and one for its timers."""

from collections.abc import Awaitable, Callable, Sequence

import trio

from botkit.clock import Clock
from botkit.engine import Engine
from botkit.model import Tick
from botkit.ports import Venue

__all__ = ["serve_links", "serve_timers"]


async def serve_links(
    engine: Engine,
    venues: Sequence[Venue],
    clock: Clock,
    also: Sequence[Callable[[], Awaitable[None]]] = (),
) -> None:
    """Serve the engine's timers and every venue until canceled or one of them fails.

    `also` are further tasks that must live as long as the links.
    """
    async with trio.open_nursery() as nursery:
        for task in also:
            nursery.start_soon(task)
        nursery.start_soon(serve_timers, engine, clock)
        for venue in venues:
            nursery.start_soon(venue.run, engine.handle, clock)


async def serve_timers(engine: Engine, clock: Clock) -> None:
    """Give the engine a `Tick` whenever its next timer is due, stamped with the due time."""
    while True:
        with trio.CancelScope() as sleeping:

            def alarm() -> None:
                sleeping.deadline = clock.trio_deadline(engine.next_due_ns)

            engine.on_due_sooner = alarm
            alarm()
            await trio.sleep_forever()
        if engine.next_due_ns <= clock.now_ns():
            engine.handle(Tick(receive_time_ns=engine.next_due_ns))
