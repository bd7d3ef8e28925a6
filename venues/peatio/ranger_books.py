"""The second generation's books as its server keeps them: a snapshot, and what came since."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import trio

from botkit.matching.exchange import BookLevelChange, ExchangeEvent, Market
from botkit.model import Side
from venues.peatio.rows import encode, levels, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from venues.peatio.simulator import PeatioSimulator

__all__ = ["RangerBooks"]

NS_PER_S: Final = 1_000_000_000
RENEW_COUNT: Final = 20  # increments, and
RENEW_NS: Final = 10 * NS_PER_S  # that long after the last snapshot
RENEW_ANYWAY_NS: Final = 60 * NS_PER_S


class _Stored:
    """One market: the snapshot, and the increments since."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.sequence = 0
        self.snapshot: bytes | None = None
        self.snapshot_ns = 0
        self.increments: list[bytes] = []

    def renew(self, now_ns: int) -> bytes:
        """Store a new snapshot; it is of the last increment's sequence."""
        self.sequence = max(self.sequence, 1)
        self.snapshot_ns, self.increments = now_ns, []
        self.snapshot = encode(
            {
                f"{self.market.symbol}.ob-snap": {
                    "asks": levels(self.market, Side.SELL),
                    "bids": levels(self.market, Side.BUY),
                    "sequence": self.sequence,
                }
            }
        )
        return self.snapshot

    def is_stale(self, now_ns: int) -> bool:
        """Whether the engine would publish a snapshot now."""
        age_ns = now_ns - self.snapshot_ns
        many = len(self.increments) >= RENEW_COUNT and age_ns >= RENEW_NS
        return many or age_ns >= RENEW_ANYWAY_NS


class RangerBooks:
    """What clients of `MARKET.ob-inc` are sent."""

    def __init__(self, simulator: "PeatioSimulator") -> None:
        self._simulator = simulator
        self._listeners: list[Callable[[str, bytes], None]] = []
        markets = simulator.market.exchange.markets
        self._stored = {name: _Stored(market) for name, market in markets.items()}
        if not simulator.quirks["first_snapshot_s"]:
            self._publish_all()

    async def run(self) -> None:
        """Publish the first snapshot, if that is late."""
        late_s = self._simulator.quirks["first_snapshot_s"]
        if late_s:
            await trio.sleep(late_s)
            self._simulator.catch_up()
            self._publish_all()

    def _publish_all(self) -> None:
        """Publish the first snapshots: they go to all who wait for one."""
        now_ns = self._simulator.market.now_ns()
        for stored in self._stored.values():
            self._send(stored, stored.renew(now_ns))

    def listen(self, listener: "Callable[[str, bytes], None]") -> None:
        """Tell `listener` every increment, by its market."""
        self._listeners.append(listener)

    def leave(self, listener: "Callable[[str, bytes], None]") -> None:
        """Tell `listener` nothing any more."""
        self._listeners.remove(listener)

    def stored(self, market: str) -> list[bytes]:
        """Return what a new subscriber is sent: the snapshot and the increments since."""
        stored = self._stored.get(market)
        if stored is None or stored.snapshot is None:
            return []
        return [stored.snapshot, *stored.increments]

    def on_events(self, events: Sequence[ExchangeEvent]) -> None:
        """Make an increment of every level that has changed."""
        now_ns = self._simulator.market.now_ns()
        for event in events:
            if isinstance(event, BookLevelChange):
                self._on_level(self._stored[event.symbol], event)
        for stored in self._stored.values():
            if stored.snapshot is not None and stored.is_stale(now_ns):
                stored.renew(now_ns)  # not sent to those who are subscribed

    def _on_level(self, stored: _Stored, change: BookLevelChange) -> None:
        stored.sequence += 1
        pair: list[Any] = [text(change.price), text(change.qty) if change.qty else ""]
        told = pair if self._simulator.draw("flat_pairs") else [pair]
        side = "bids" if change.side is Side.BUY else "asks"
        frame = encode({f"{change.symbol}.ob-inc": {side: told, "sequence": stored.sequence}})
        if stored.snapshot is not None:  # else dropped
            stored.increments.append(frame)
            self._send(stored, frame)

    def _send(self, stored: _Stored, frame: bytes) -> None:
        for listener in list(self._listeners):
            listener(stored.market.symbol, frame)
