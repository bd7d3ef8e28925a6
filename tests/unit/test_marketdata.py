"""One instrument's market: quotes, books, quotes made of books, gaps; bars."""

from itertools import pairwise
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botkit.marketdata import BarBuilder, DerivedQuote, Market
from botkit.model import BookDelta, Quote, Trade
from botkit.testing import (
    SYMBOL,
    build_instrument,
    build_quote,
    build_snapshot,
    build_trade,
    time_ns,
)


def build_market() -> Market:
    return Market(build_instrument())


def known(market: Market) -> tuple[Quote | None, Trade | None, bool]:
    return market.quote, market.trade, market.plain


def test_before_anything_came_nothing_is_known() -> None:
    market = build_market()
    assert known(market) == (None, None, False)
    assert all(isnan(price) for price in market.touch)
    assert isnan(market.book.bid)


def test_without_depth_the_book_is_the_quote() -> None:
    market = build_market()
    market.on_quote(build_quote(0, 99, 101, bid_qty=2))
    assert known(market)[2]
    assert market.touch == (99.0, 101.0)
    assert (market.book.bids(), market.book.asks()) == ([(99, 2)], [(101, 1)])
    market.quote = build_quote(1, 98, 100)  # all the engine does while it is plain
    assert (market.book.bid, market.book.ask) == (98.0, 100.0)


def test_a_book_makes_quotes_where_the_feed_sends_none() -> None:
    market = build_market()
    quote = market.on_book(build_snapshot(1, [(99, 1), (98, 5)], [(101, 2)]))
    assert type(quote) is DerivedQuote
    assert market.quote is quote  # at once: the hook that sees the book sees its quote
    assert (quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty) == (99, 1, 101, 2)
    assert quote.receive_time_ns == quote.exchange_time_ns == time_ns(1)
    assert not known(market)[2]


def delta(bids: list[tuple[float, float]]) -> BookDelta:
    return BookDelta(SYMBOL, bids=bids, asks=[], receive_time_ns=time_ns(2))


def test_a_quote_is_made_only_when_the_best_bid_or_ask_changes() -> None:
    market = build_market()
    market.on_book(build_snapshot(1, [(99, 1), (98, 5)], []))
    assert market.on_book(delta([(98, 6)])) is None  # below the best
    assert market.on_book(delta([])) is None  # a side that stays empty is no change
    more = market.on_book(delta([(99, 3)]))
    assert more is not None
    assert (more.bid_px, more.bid_qty) == (99.0, 3.0)
    last = market.on_book(delta([(99, 0), (98, 0)]))
    assert last is not None
    assert isnan(last.bid_px)
    assert last.bid_qty == 0


def test_books_do_not_make_quotes_where_the_feed_sends_them() -> None:
    market = build_market()
    market.on_quote(build_quote(0, 99, 101))
    assert market.on_book(build_snapshot(1, [(97, 1)], [(103, 1)])) is None
    assert market.touch == (99.0, 101.0)
    assert not known(market)[2]
    market.on_quote(build_quote(2, 96, 102))
    assert (market.book.bid, market.book.ask) == (96.0, 102.0)  # the quote is newer than the depth


def test_a_gap_makes_everything_unknown_until_data_come_again() -> None:
    market = build_market()
    market.on_book(build_snapshot(1, [(99, 1)], [(101, 1)]))
    market.trade = build_trade(1, 100)
    market.clear()
    assert known(market) == (None, None, False)
    assert isnan(market.book.bid)
    assert market.on_book(build_snapshot(2, [(99, 1)], [(101, 1)])) is not None


# --- bars -----------------------------------------------------------------------------------


def test_a_bar_tells_open_high_low_close_volume_and_count() -> None:
    assert BarBuilder(SYMBOL, 10).is_empty
    builder = BarBuilder(SYMBOL, 10)
    for price, qty in [(5.0, 1.0), (7.0, 2.0), (4.0, 1.5), (6.0, 0.5)]:
        builder.add(build_trade(0, price, qty))
    bar = builder.close(20)
    assert (bar.open, bar.high, bar.low, bar.close) == (5.0, 7.0, 4.0, 6.0)
    assert (bar.volume, bar.trade_count) == (5.0, 4)
    assert (bar.start_time_ns, bar.interval_ns, bar.receive_time_ns) == (10, 10, 20)
    assert builder.is_empty
    builder.add(build_trade(1, 9, 1))
    again = builder.close(30)
    assert (again.open, again.low, again.volume, again.trade_count) == (9, 9, 1, 1)


@given(now_ns=st.integers(0, 10**19), interval_ns=st.integers(1, 10**15))
def test_a_boundary_is_a_multiple_of_the_interval_after_now(now_ns: int, interval_ns: int) -> None:
    boundary = BarBuilder(SYMBOL, interval_ns).boundary_after(now_ns)
    assert boundary % interval_ns == 0
    assert 0 < boundary - now_ns <= interval_ns


@given(prices=st.lists(st.floats(1, 1e6), min_size=1, max_size=30))
def test_a_bar_covers_its_trades(prices: list[float]) -> None:
    builder = BarBuilder(SYMBOL, 1)
    for price in prices:
        builder.add(build_trade(0, price))
    bar = builder.close(1)
    expected = (prices[0], max(prices), min(prices), prices[-1], len(prices))
    assert (bar.open, bar.high, bar.low, bar.close, bar.trade_count) == expected
    assert all(a <= b for a, b in pairwise([bar.low, bar.close, bar.high]))


@pytest.mark.parametrize("interval_ns", [0, -1])
def test_an_interval_is_above_zero(interval_ns: int) -> None:
    with pytest.raises(ValueError, match=f"bar interval is {interval_ns} ns"):
        BarBuilder(SYMBOL, interval_ns)


def test_a_quote_with_one_side_makes_a_touch_with_one_side() -> None:
    market = build_market()
    market.on_quote(build_quote(0, 99, nan))
    bid, ask = market.touch
    assert bid == 99
    assert isnan(ask)
