"""One `run` of a venue that stands by, whether somebody has it do so all the time or not."""

from collections.abc import Awaitable, Callable

import trio

from botkit.adapter.outbox import Outbox
from botkit.clock import Clock
from botkit.errors import VenueError
from botkit.ports import Deliver, StandbyVenue

__all__ = ["attended", "first_of"]


async def attended(
    venue: StandbyVenue,
    outbox: Outbox,
    serve: Callable[[], Awaitable[None]],
    deliver: Deliver,
    clock: Clock,
) -> None:
    """Await `serve()`; let `venue` stand by meanwhile if nobody has it do so.

    Raises the `VenueError` that `serve` raised, in no group.
    """
    if outbox.is_standing:
        await serve()
        return
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(venue.stand_by, deliver, clock)
            await serve()
            nursery.cancel_scope.cancel()
    except* VenueError as group:
        raise first_of(group) from None


def first_of(group: BaseExceptionGroup[VenueError]) -> BaseException:
    """Return the first of what went wrong."""
    found = group.exceptions[0]
    return first_of(found) if isinstance(found, BaseExceptionGroup) else found
