"""An order book by price level, kept from snapshots, deltas and quotes."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from math import nan
from typing import Final

from botkit.model.market import BookDelta, BookSnapshot, Level, Quote
from botkit.model.words import Side

__all__ = ["Book", "OwnLevels"]

OwnLevels = Callable[[], tuple[list[Level], list[Level]]]
"""Returns our own bids and asks, as (price, quantity), in any order."""
_BUY: Final = Side.BUY  # looking it up in its enum costs as much as a call (Python 3.11)
OVERTAKEN_NS: Final = 1_000_000_000


class _Ladder:
    """One side: quantity by price, and the prices in rising order."""

    __slots__ = ("prices", "qty")

    def __init__(self) -> None:
        self.qty: dict[float, float] = {}
        self.prices: list[float] = []

    def replace(self, levels: Iterable[Level]) -> None:
        latest = dict(levels)  # of a price named twice, the last quantity is the one that holds
        self.qty = {price: qty for price, qty in latest.items() if qty > 0}
        self.prices = sorted(self.qty)

    def replace_by_one(self, price: float, qty: float) -> None:
        """Be one level, or none if it is empty."""
        self.qty = {price: qty} if qty > 0 else {}
        self.prices = [price] if qty > 0 else []

    def change(self, levels: Iterable[Level]) -> None:
        """Give each price its quantity; 0 takes it away."""
        qty_of, prices = self.qty, self.prices
        for price, qty in levels:
            if qty > 0:
                if price not in qty_of:
                    insort(prices, price)
                qty_of[price] = qty
            elif qty_of.pop(price, None) is not None:
                del prices[bisect_left(prices, price)]

    def cut_above(self, price: float) -> None:
        """Drop every level above `price`."""
        while self.prices and self.prices[-1] > price:
            del self.qty[self.prices.pop()]

    def cut_below(self, price: float) -> None:
        """Drop every level below `price`."""
        cut = bisect_left(self.prices, price)
        for gone in self.prices[:cut]:
            del self.qty[gone]
        del self.prices[:cut]


class Book:
    """Bids and asks of one instrument. Prices and quantities are floats.

    With depth (a snapshot or delta was seen) a quote only trims and tops the book: it is newer
    than the depth, so levels better than it are gone, and all of a side that it shows empty.
    Without depth the book is the quote. A crossed quote makes a crossed book, never a hidden one.

    Venues send quotes and depth apart, so a delta may be older than a quote that overtook it. Where
    that crosses the book, the quote holds if it is at most `OVERTAKEN_NS` older by receipt.
    """

    __slots__ = ("_asks", "_bids", "_own_levels", "_quote", "has_depth", "symbol")

    def __init__(self, symbol: str, own_levels: OwnLevels | None = None) -> None:
        self.symbol = symbol
        self._own_levels = own_levels  # None where the book shows no order of ours
        self.clear()

    def clear(self) -> None:
        """Forget everything, as after a `FeedGap`."""
        self.has_depth = False
        self._bids = _Ladder()
        self._asks = _Ladder()
        self._quote: Quote | None = None

    def apply(self, event: BookSnapshot | BookDelta | Quote) -> None:
        """Bring the book up to date with one event."""
        match event:
            case BookDelta():
                self.apply_delta(event)
            case Quote():
                self.apply_quote(event)
            case _:
                self.apply_snapshot(event)

    def apply_snapshot(self, snapshot: BookSnapshot) -> None:
        """Replace everything."""
        self.has_depth = True
        self._quote = None
        self._bids.replace(snapshot.bids)
        self._asks.replace(snapshot.asks)

    def apply_delta(self, delta: BookDelta) -> None:
        """Set the changed levels; quantity 0 removes one."""
        self.has_depth = True
        self._bids.change(delta.bids)
        self._asks.change(delta.asks)
        quote = self._quote
        if quote is None or not self.is_crossed:
            return
        if delta.receive_time_ns - quote.receive_time_ns <= OVERTAKEN_NS:
            self._trim(quote)

    def apply_quote(self, quote: Quote) -> None:
        """Trim the book to a best bid and ask that are newer than its depth."""
        if not self.has_depth:
            self._bids.replace_by_one(quote.bid_px, quote.bid_qty)
            self._asks.replace_by_one(quote.ask_px, quote.ask_qty)
            return
        self._quote = quote
        self._trim(quote)

    def _trim(self, quote: Quote) -> None:
        if quote.bid_qty > 0:
            self._bids.cut_above(quote.bid_px)
            self._bids.change(((quote.bid_px, quote.bid_qty),))
        else:
            self._bids.replace(())
        if quote.ask_qty > 0:
            self._asks.cut_below(quote.ask_px)
            self._asks.change(((quote.ask_px, quote.ask_qty),))
        else:
            self._asks.replace(())

    @property
    def bid(self) -> float:
        """Best bid price; nan if there is none."""
        prices = self._bids.prices
        return prices[-1] if prices else nan

    @property
    def ask(self) -> float:
        """Best ask price; nan if there is none."""
        prices = self._asks.prices
        return prices[0] if prices else nan

    @property
    def mid(self) -> float:
        """Half way between best bid and ask; nan if a side is empty."""
        return (self.bid + self.ask) / 2

    @property
    def is_crossed(self) -> bool:
        """True if the best bid is at or above the best ask: the data are wrong."""
        return self.bid >= self.ask

    def qty_at(self, side: Side, price: float) -> float:
        """Quantity displayed at `price` on `side`'s own ladder (BUY: the bids); 0 if none."""
        return (self._bids if side is _BUY else self._asks).qty.get(price, 0.0)

    def covers(self, side: Side, price: float) -> bool:
        """Say whether the book tells what `side` shows at `price`: its last level is no better.

        A book made of quotes covers only what is at or better than the best price.
        """
        prices = (self._bids if side is _BUY else self._asks).prices
        if not prices:
            return self.has_depth
        return price >= prices[0] if side is _BUY else price <= prices[-1]

    def levels(self, side: Side, depth: int | None = None) -> list[Level]:
        """Return (price, quantity) of the bids (BUY) or asks (SELL), best first."""
        if side is _BUY:
            ladder = self._bids
            prices = ladder.prices[: None if depth is None else -depth - 1 : -1]
        else:
            ladder = self._asks
            prices = ladder.prices[:depth]
        qty = ladder.qty
        return [(price, qty[price]) for price in prices]

    def bids(self, depth: int | None = None) -> list[Level]:
        """Return the bids, best first."""
        return self.levels(Side.BUY, depth)

    def asks(self, depth: int | None = None) -> list[Level]:
        """Return the asks, best first."""
        return self.levels(Side.SELL, depth)

    def without_own(self) -> "Book":
        """Return the book less the bot's own orders, or itself where it shows none of them.

        Live books contain our orders and paper books do not. An order counts from its
        acknowledgement to its end; the venue's data may be a moment behind or ahead of that.
        """
        if self._own_levels is None:
            return self
        own_bids, own_asks = self._own_levels()
        return self.without(own_bids, own_asks) if own_bids or own_asks else self

    def without(self, own_bids: Iterable[Level], own_asks: Iterable[Level]) -> "Book":
        """Return a copy less the given own quantities; levels that are only ours disappear."""
        rest = Book(self.symbol)
        rest.has_depth = self.has_depth
        for ladder, source, own in (
            (rest._bids, self._bids, own_bids),
            (rest._asks, self._asks, own_asks),
        ):
            ladder.qty = dict(source.qty)
            ladder.prices = list(source.prices)
            for price, qty in own:
                if price in ladder.qty:
                    left = ladder.qty[price] - qty
                    ladder.change(((price, left if left > 1e-12 * qty else 0.0),))
        return rest
