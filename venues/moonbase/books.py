"""Moonbase's books: one signed amount a price, so that a level's side is known by its sign."""

from collections.abc import Callable, Mapping

from botkit.errors import VenueProtocolError
from botkit.model import BookDelta, BookSnapshot, Instrument
from venues.moonbase.wire import Level

__all__ = ["Books"]


class Books:
    """The books of one connection, by the venue's names of their instruments."""

    def __init__(self, instruments: Mapping[str, Instrument], now_ns: Callable[[], int]) -> None:
        self._symbols = {name: each.symbol for name, each in instruments.items()}
        self._now_ns = now_ns
        self._amounts: dict[str, dict[float, float]] = {}

    def snapshot(self, name: str, levels: list[Level]) -> BookSnapshot:
        """Take the whole of a book, which comes in no order."""
        amounts = self._amounts[name] = dict(levels)
        shown = sorted(amounts.items())
        return BookSnapshot(
            self._symbols[name],
            [level for level in reversed(shown) if level[1] > 0],
            [(price, -amount) for price, amount in shown if amount < 0],
            receive_time_ns=self._now_ns(),
        )

    def change(self, name: str, levels: list[Level]) -> BookDelta:
        """Take changed levels, each of which may have gone, or gone over to the other side.

        Raises
        ------
        VenueProtocolError
            There has been no snapshot that they could change.
        """
        amounts = self._amounts.get(name)
        if amounts is None:
            raise VenueProtocolError(f"moonbase: {name}: a book's change came before its snapshot")
        bids: list[Level] = []
        asks: list[Level] = []
        for level in levels:
            price, amount = level
            before = amounts.pop(price, 0.0)
            if amount:
                amounts[price] = amount
            if before and before * amount <= 0:
                (bids if before > 0 else asks).append((price, 0.0))
            if amount > 0:
                bids.append(level)
            elif amount < 0:
                asks.append((price, -amount))
        return BookDelta(self._symbols[name], bids, asks, receive_time_ns=self._now_ns())

    def drop(self, name: str) -> None:
        """Forget a book: only a snapshot brings it back."""
        self._amounts.pop(name, None)
