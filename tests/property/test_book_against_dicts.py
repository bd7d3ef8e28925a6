"""The book against a model that is two plain dicts."""

from math import isnan

import hypothesis.strategies as st
from hypothesis import given, settings

from botkit.model import Book, BookDelta, BookSnapshot, Level, Quote, Side

SYMBOL = "paper:BTC-EUR"
prices = st.integers(1, 12).map(float)
levels = st.lists(st.tuples(prices, st.integers(0, 3).map(float)), max_size=6)
quotes = st.builds(
    lambda bid, bid_qty, gap, ask_qty: Quote(SYMBOL, bid, bid_qty, bid + gap, ask_qty),
    prices,
    st.integers(0, 3).map(float),
    st.integers(1, 3),
    st.integers(0, 3).map(float),
)
events = st.one_of(
    st.builds(BookSnapshot, st.just(SYMBOL), levels, levels),
    st.builds(BookDelta, st.just(SYMBOL), levels, levels),
    quotes,
)


class DictBook:
    """What a book means, said as plainly as possible."""

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.has_depth = False
        self.quote: Quote | None = None

    def apply(self, event: BookSnapshot | BookDelta | Quote) -> None:
        if isinstance(event, Quote):
            if not self.has_depth:
                self.bids, self.asks = {}, {}
            self.quote = event if self.has_depth else None
            bid = event.bid_px if event.bid_qty else 0.0
            ask = event.ask_px if event.ask_qty else float("inf")
            self.bids = {px: qty for px, qty in self.bids.items() if px < bid}
            self.asks = {px: qty for px, qty in self.asks.items() if px > ask}
            self.bids[event.bid_px] = event.bid_qty
            self.asks[event.ask_px] = event.ask_qty
        else:
            self.has_depth = True
            if isinstance(event, BookSnapshot):
                self.bids, self.asks, self.quote = {}, {}, None
            self.bids.update(event.bids)
            self.asks.update(event.asks)
        self.bids = {px: qty for px, qty in self.bids.items() if qty}
        self.asks = {px: qty for px, qty in self.asks.items() if qty}
        crossed = self.bids and self.asks and max(self.bids) >= min(self.asks)
        if crossed and isinstance(event, BookDelta) and self.quote:
            self.apply(self.quote)


@settings(deadline=None)
@given(st.lists(events, max_size=25))
def test_the_book_agrees_with_two_dicts_after_every_event(
    stream: list[BookSnapshot | BookDelta | Quote],
) -> None:
    book, model = Book(SYMBOL), DictBook()
    for event in stream:
        book.apply(event)
        model.apply(event)

        assert book.has_depth is model.has_depth
        assert book.bids() == sorted(model.bids.items(), reverse=True)
        assert book.asks() == sorted(model.asks.items())
        assert book.bid == max(model.bids) if model.bids else isnan(book.bid)
        assert book.ask == min(model.asks) if model.asks else isnan(book.ask)
        crossed = bool(model.bids and model.asks) and max(model.bids) >= min(model.asks)
        assert book.is_crossed is crossed
        for price in range(1, 13):
            assert book.qty_at(Side.BUY, price) == model.bids.get(price, 0.0)
            assert book.qty_at(Side.SELL, price) == model.asks.get(price, 0.0)


@settings(deadline=None)
@given(st.lists(events, max_size=8), levels, levels)
def test_less_our_own_orders_every_level_is_what_is_left(
    stream: list[BookSnapshot | BookDelta | Quote], own_bids: list[Level], own_asks: list[Level]
) -> None:
    book = Book(SYMBOL)
    for event in stream:
        book.apply(event)
    before = (book.bids(), book.asks())

    rest = book.without(own_bids, own_asks)

    for side, own, levels_before in (
        (Side.BUY, own_bids, before[0]),
        (Side.SELL, own_asks, before[1]),
    ):
        for price, qty in levels_before:
            left = qty - sum(ours for at, ours in own if at == price)
            assert rest.qty_at(side, price) == max(left, 0.0)
    assert len(rest.bids()) == sum(rest.qty_at(Side.BUY, px) > 0 for px, _ in before[0])
    assert (book.bids(), book.asks()) == before
