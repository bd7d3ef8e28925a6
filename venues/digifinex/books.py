"""DigiFinex's books: which of them are whole, and which are crossed and so cannot be right."""

from botkit.model import BookDelta, BookSnapshot, Instrument, Level
from venues.digifinex.wire import Depth

__all__ = ["Books"]

Sides = tuple[dict[float, float], dict[float, float]]


class Books:
    """The books of one connection. The venue numbers nothing, so a lost change shows only here."""

    def __init__(self) -> None:
        self._sides: dict[str, Sides] = {}

    def replace(self, instrument: Instrument, depth: Depth, now_ns: int) -> BookSnapshot:
        """Take the whole of a book; the venue sends its asks from the highest price down."""
        bids = sorted((level for level in depth.bids if level[1]), reverse=True)
        asks = sorted(level for level in depth.asks if level[1])
        self._sides[instrument.symbol] = dict(bids), dict(asks)
        return BookSnapshot(instrument.symbol, bids, asks, receive_time_ns=now_ns)

    def change(self, instrument: Instrument, depth: Depth, now_ns: int) -> BookDelta | None:
        """Take a change; None if there is no whole book yet that it could change."""
        sides = self._sides.get(instrument.symbol)
        if sides is None:
            return None
        _apply(sides[0], depth.bids)
        _apply(sides[1], depth.asks)
        return BookDelta(instrument.symbol, depth.bids, depth.asks, receive_time_ns=now_ns)

    def forget(self, symbol: str) -> None:
        """Wait for the whole of a book anew."""
        self._sides.pop(symbol, None)

    def is_whole(self, symbol: str) -> bool:
        """Tell whether a book has come."""
        return symbol in self._sides

    def is_crossed(self, symbol: str) -> bool:
        """Tell whether the best bid is at or above the best ask."""
        sides = self._sides.get(symbol)
        return sides is not None and all(sides) and max(sides[0]) >= min(sides[1])


def _apply(side: dict[float, float], levels: list[Level]) -> None:
    for price, qty in levels:
        if qty:
            side[price] = qty
        else:
            side.pop(price, None)
