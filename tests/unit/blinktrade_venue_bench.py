"""What the tests of BlinkTrade's adapter share, beside its bench."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import trio
import trio.lowlevel

from botkit.errors import VenueError
from botkit.model import VenueStatus
from botkit.testing.simulated import SimulatedVenuePair, open_simulated
from tests.unit.blinktrade_bench import Bench, case

__all__ = ["FAR", "SYMBOL", "open_ending", "ready", "told"]

SYMBOL = "blinktrade:BTCUSD"
FAR = Decimal(40_000)


def told(bench: Bench, kind: type) -> list[Any]:
    return [event for event in bench.events if isinstance(event, kind)]


def ready(bench: Bench) -> tuple[bool, bool, bool]:
    last = told(bench, VenueStatus)[-1]
    return (last.market_data, last.private, last.order_entry)


@asynccontextmanager
async def open_ending(
    changes: dict[str, Any] | None = None, **quirks: Any
) -> AsyncIterator[tuple[SimulatedVenuePair, list[Any], Any]]:
    """Run a venue; the last value waits for the error that its run ends with."""
    async with open_simulated(case(changes, **quirks)) as pair:
        venue = pair.subject.venue
        events: list[Any] = []
        failures: list[Exception] = []
        over = trio.Event()

        async def run() -> None:
            try:
                await venue.run(events.append, pair.subject.clock)
            except VenueError as exc:
                failures.append(exc)
            over.set()

        async def ended() -> Exception:
            with trio.fail_after(60):
                await over.wait()
            return failures[0]

        await venue.prepare()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await trio.sleep(2)
            yield pair, events, ended
            nursery.cancel_scope.cancel()
