"""Market data. Prices and quantities are floats: for looking at and for numpy, never for money.

`symbol` is everywhere the full name `venue:SYMBOL`, such as `paper:BTC-EUR`. Times are integer
nanoseconds since 1970 UTC; `exchange_time_ns` is 0 where the venue tells none, and a negative
latency (receive before exchange) is data, not an error.
"""

import msgspec

__all__ = ["Bar", "BookDelta", "BookSnapshot", "FeedEnded", "FeedGap", "Level", "Quote", "Trade"]

Level = tuple[float, float]
"""(price, quantity) in quote currency per unit and in base units (or contracts)."""


class Quote(msgspec.Struct, frozen=True, gc=False, tag="quote"):
    """Best bid and ask. A side that is empty has price nan and quantity 0."""

    symbol: str
    bid_px: float
    bid_qty: float
    ask_px: float
    ask_qty: float
    exchange_time_ns: int = 0
    receive_time_ns: int = 0

    @property
    def mid(self) -> float:
        """Half way between bid and ask; nan if a side is empty."""
        return (self.bid_px + self.ask_px) / 2

    @property
    def spread(self) -> float:
        """Ask less bid, in quote currency; nan if a side is empty."""
        return self.ask_px - self.bid_px


class Trade(msgspec.Struct, frozen=True, gc=False, tag="trade"):
    """A trade of the public's (ours are fills). `aggressor` is "BUY", "SELL" or ""."""

    symbol: str
    price: float
    qty: float
    aggressor: str = ""
    trade_id: str = ""
    exchange_time_ns: int = 0
    receive_time_ns: int = 0


class BookSnapshot(msgspec.Struct, frozen=True, gc=False, tag="book_snapshot"):
    """The whole book, as deep as the venue shows it; best level first on both sides."""

    symbol: str
    bids: list[Level]
    asks: list[Level]
    exchange_time_ns: int = 0
    receive_time_ns: int = 0


class BookDelta(msgspec.Struct, frozen=True, gc=False, tag="book_delta"):
    """Changed levels, in any order: the new total quantity at each price; 0 removes it."""

    symbol: str
    bids: list[Level]
    asks: list[Level]
    exchange_time_ns: int = 0
    receive_time_ns: int = 0


class Bar(msgspec.Struct, frozen=True, gc=False, tag="bar"):
    """Open, high, low, close and base volume of the trades in [start_time_ns, + interval_ns)."""

    symbol: str
    interval_ns: int
    start_time_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trade_count: int = 0
    receive_time_ns: int = 0


class FeedGap(msgspec.Struct, frozen=True, gc=False, tag="feed_gap"):
    """Messages were missed: books of `venue` (or of one `symbol`) are void until a snapshot."""

    venue: str
    reason: str
    symbol: str = ""
    receive_time_ns: int = 0


class FeedEnded(msgspec.Struct, frozen=True, gc=False, tag="feed_ended"):
    """A recording is over: no more market data will come from `venue`. Orders still work."""

    venue: str
    receive_time_ns: int = 0
