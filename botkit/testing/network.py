"""A network in memory: addresses that listen, links between them, and what goes wrong."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import trio

from botkit.testing.links import WINDOW, Link

__all__ = ["SimulatedNetwork", "open_network"]

Handler = Callable[[trio.abc.Stream], Awaitable[None]]
Address = tuple[str, int]


@attrs.define(kw_only=True, eq=False)
class SimulatedNetwork:
    """Where adapters dial and simulators listen; hand `network.dial` to them. See `open_network`.

    Attributes
    ----------
    latency_s, window
        Of links made from now on; see `Pipe`.
    links
        Every link ever made, oldest first: faults are set there.
    dials
        Every address dialled, in order, whether it answered or not.
    refusals
        How many dials were refused.
    unanswered
        Addresses where a dial waits for ever.
    on_link
        Called with each new link before its first byte, to set faults.
    """

    latency_s: float = 0.0
    window: int = WINDOW
    links: list[Link] = attrs.field(factory=list)
    dials: list[Address] = attrs.field(factory=list)
    unanswered: set[Address] = attrs.field(factory=set)
    on_link: Callable[[Link], None] | None = None
    refusals: int = 0
    _listening: dict[Address, Handler] = attrs.field(factory=dict, init=False)
    _nursery: trio.Nursery

    def listen(self, host: str, port: int, handler: Handler) -> None:
        """Have `handler` serve every link to (host, port), each in a task of its own."""
        if (host, port) in self._listening:
            raise OSError(f"{host}:{port} is in use: close it first")
        self._listening[host, port] = handler

    def close(self, host: str, port: int) -> None:
        """Refuse new links to (host, port) from now on; those that are open stay."""
        del self._listening[host, port]

    def listens(self, host: str, port: int) -> bool:
        """Tell whether anybody serves links to (host, port)."""
        return (host, port) in self._listening

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Return a stream to who listens at (host, port); raise `ConnectionRefusedError`."""
        self.dials.append((host, port))
        if (host, port) in self.unanswered:
            await trio.sleep_forever()
        await trio.sleep(2 * self.latency_s)
        handler = self._listening.get((host, port))
        if handler is None:
            self.refusals += 1
            raise ConnectionRefusedError(f"nobody listens at {host}:{port}")
        link = Link.make(latency_s=self.latency_s, window=self.window)
        self.links.append(link)
        if self.on_link is not None:
            self.on_link(link)
        self._nursery.start_soon(_serve, handler, link.server)
        return link.client


async def _serve(handler: Handler, stream: trio.abc.Stream) -> None:
    try:
        await handler(stream)
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def open_network(
    *, latency_s: float = 0.0, window: int = WINDOW
) -> AsyncIterator[SimulatedNetwork]:
    """Give a network for the length of the block; leaving it ends every handler."""
    async with trio.open_nursery() as nursery:
        try:
            yield SimulatedNetwork(latency_s=latency_s, window=window, nursery=nursery)
        finally:
            nursery.cancel_scope.cancel()
