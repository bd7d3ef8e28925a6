"""What the tests of Moonbase's adapter share, beside its bench."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio

from botkit.ports import VenueSetup
from botkit.testing.simulated import START_NS
from tests.unit.moonbase_bench import SYMBOL, Bench, options

__all__ = ["served_again", "setup", "told"]

E = TypeVar("E")


def setup(*symbols: str, **changes: Any) -> VenueSetup:
    return VenueSetup(
        name="moonbase",
        options=options("ws://exchange.test", **changes),
        symbols=symbols or (SYMBOL,),
        source="a.toml: venues.moonbase",
        now_ns=lambda: START_NS,
    )


def told(bench: Bench, kind: type[E]) -> list[E]:
    return [event for event in bench.events if isinstance(event, kind)]


@asynccontextmanager
async def served_again(bench: Bench) -> AsyncIterator[None]:
    """Serve the venue's next connection for the length of the block."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.session.serve)
        await trio.sleep(1)
        yield
        nursery.cancel_scope.cancel()
