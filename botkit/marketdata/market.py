"""The latest state of one instrument's market."""

from math import nan

from botkit.model import Book, BookDelta, BookSnapshot, Instrument, OwnLevels, Quote, Trade

__all__ = ["DerivedQuote", "Market"]


class DerivedQuote(Quote, frozen=True, gc=False, tag="quote"):
    """The best bid and ask of a book whose feed sends no quotes; the market has it already."""


class Market:
    """Quote, last trade and book of one instrument. Only the engine updates it.

    `quote` and `trade` are None until the first one, and again after a `FeedGap`. `own_levels`
    tells the bot's own orders where the venue's book shows them.
    """

    __slots__ = ("_book", "_quoted", "instrument", "plain", "quote", "trade")

    def __init__(self, instrument: Instrument, own_levels: OwnLevels | None = None) -> None:
        self.instrument = instrument
        self.quote: Quote | None = None
        self.trade: Trade | None = None
        self.plain = False  # the feed sends quotes and no depth: setting `quote` is enough
        self._quoted = False  # the feed sends quotes; otherwise they are derived from the book
        self._book = Book(instrument.symbol, own_levels)

    @property
    def book(self) -> Book:
        """The book; where the feed has no depth, the best bid and ask alone."""
        book = self._book
        if not book.has_depth and self.quote is not None:
            book.apply_quote(self.quote)
        return book

    @property
    def touch(self) -> tuple[float, float]:
        """Best bid and ask price; nan where there is none."""
        quote = self.quote
        return (quote.bid_px, quote.ask_px) if quote is not None else (nan, nan)

    def on_quote(self, quote: Quote) -> None:
        """Take a quote; only needed while the market is not `plain`."""
        self.quote = quote
        self._quoted = True
        if self._book.has_depth:
            self._book.apply_quote(quote)
        else:
            self.plain = True

    def on_book(self, event: BookSnapshot | BookDelta) -> DerivedQuote | None:
        """Take a change of depth; return the quote it makes where the feed sends none itself.

        None if best bid and ask are as before, quantities included.
        """
        book = self._book
        book.apply(event)
        self.plain = False
        if self._quoted:
            return None
        before, derived = self.quote, _top_of(book, event)
        if before is not None and _prices(before) == _prices(derived):
            return None
        self.quote = derived
        return derived

    def clear(self) -> None:
        """Forget everything: messages were missed."""
        self.quote = None
        self.trade = None
        self.plain = False
        self._book.clear()


def _prices(quote: Quote) -> tuple[float, float, float, float]:
    """Return what a quote says; compared as tuples, for `math.nan` in one equals itself."""
    return quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty


def _top_of(book: Book, event: BookSnapshot | BookDelta) -> DerivedQuote:
    """Return the best bid and ask of `book` with the times of `event`."""
    bids, asks = book.bids(1), book.asks(1)
    bid_px, bid_qty = bids[0] if bids else (nan, 0.0)
    ask_px, ask_qty = asks[0] if asks else (nan, 0.0)
    return DerivedQuote(
        symbol=event.symbol,
        bid_px=bid_px,
        bid_qty=bid_qty,
        ask_px=ask_px,
        ask_qty=ask_qty,
        exchange_time_ns=event.exchange_time_ns,
        receive_time_ns=event.receive_time_ns,
    )
