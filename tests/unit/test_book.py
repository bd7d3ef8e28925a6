"""The order book: snapshots, deltas, quotes, and what is left less our own orders."""

from math import isnan, nan

import pytest

from botkit.model import Book, BookDelta, BookSnapshot, Quote, Side

SYMBOL = "paper:BTC-EUR"


def build_book() -> Book:
    book = Book(SYMBOL)
    book.apply(
        BookSnapshot(
            SYMBOL, bids=[(99.0, 1.0), (98.0, 2.0), (97.0, 3.0)], asks=[(101.0, 4.0), (102.0, 5.0)]
        )
    )
    return book


def test_an_empty_book_has_no_prices_and_is_not_crossed() -> None:
    book = Book(SYMBOL)

    assert isnan(book.bid)
    assert isnan(book.ask)
    assert isnan(book.mid)
    assert not book.is_crossed
    assert book.bids() == []
    assert book.asks() == []


def test_a_snapshot_in_any_order_reads_best_first_and_drops_empty_levels() -> None:
    book = build_book()

    book.apply(BookSnapshot(SYMBOL, bids=[(9.0, 1.0), (10.0, 2.0), (8.0, 0.0)], asks=[(11.0, 1.0)]))

    assert book.bids() == [(10.0, 2.0), (9.0, 1.0)]
    assert book.asks() == [(11.0, 1.0)]
    assert (book.bid, book.ask, book.mid) == (10.0, 11.0, 10.5)


def test_a_delta_sets_adds_and_removes_levels() -> None:
    book = build_book()

    book.apply(BookDelta(SYMBOL, bids=[(99.0, 0.0), (98.5, 7.0), (50.0, 0.0)], asks=[(101.0, 4.5)]))

    assert book.bids() == [(98.5, 7.0), (98.0, 2.0), (97.0, 3.0)]
    assert book.asks() == [(101.0, 4.5), (102.0, 5.0)]


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 9, None])
def test_depth_limits_the_levels_from_the_best_on(depth: int | None) -> None:
    book = build_book()

    assert book.bids(depth) == [(99.0, 1.0), (98.0, 2.0), (97.0, 3.0)][:depth]
    assert book.levels(Side.SELL, depth) == [(101.0, 4.0), (102.0, 5.0)][:depth]


def test_without_depth_the_book_is_the_latest_quote() -> None:
    book = Book(SYMBOL)

    book.apply(Quote(SYMBOL, 99.0, 1.0, 101.0, 2.0))
    book.apply(Quote(SYMBOL, 98.0, 3.0, nan, 0.0))

    assert not book.has_depth
    assert book.bids() == [(98.0, 3.0)]
    assert book.asks() == []


def test_a_quote_trims_levels_better_than_it_and_keeps_the_depth_behind() -> None:
    book = build_book()

    book.apply(Quote(SYMBOL, 98.0, 2.5, 103.0, 1.0))

    assert book.bids() == [(98.0, 2.5), (97.0, 3.0)]
    assert book.asks() == [(103.0, 1.0)]


def test_a_quote_that_steps_through_the_other_side_leaves_no_crossed_book() -> None:
    book = build_book()

    book.apply(Quote(SYMBOL, 101.5, 1.0, 102.0, 4.0))

    assert (book.bid, book.ask) == (101.5, 102.0)
    assert not book.is_crossed


def test_a_quote_with_an_empty_side_empties_that_side() -> None:
    book = build_book()

    book.apply(Quote(SYMBOL, nan, 0.0, 101.0, 4.0))
    assert book.bids() == []
    assert book.asks(1) == [(101.0, 4.0)]

    book.apply(Quote(SYMBOL, 99.0, 1.0, nan, 0.0))
    assert book.bids() == [(99.0, 1.0)]
    assert book.asks() == []


@pytest.mark.parametrize("book", [build_book(), Book(SYMBOL)], ids=["depth", "quotes only"])
def test_a_crossed_quote_is_seen_as_crossed(book: Book) -> None:
    book.apply(Quote(SYMBOL, 101.0, 1.0, 100.0, 1.0))

    assert (book.bid, book.ask) == (101.0, 100.0)
    assert book.is_crossed


def test_a_locked_book_counts_as_crossed() -> None:
    book = build_book()

    book.apply(BookDelta(SYMBOL, bids=[(101.0, 1.0)], asks=[]))

    assert book.is_crossed


def test_clearing_forgets_the_depth() -> None:
    book = build_book()

    book.clear()

    assert not book.has_depth
    assert book.bids() == []
    assert book.asks() == []


def test_quantity_at_a_price_is_that_of_its_own_side() -> None:
    book = build_book()

    assert book.qty_at(Side.BUY, 98.0) == 2.0
    assert book.qty_at(Side.SELL, 98.0) == 0.0
    assert book.qty_at(Side.SELL, 102.0) == 5.0


def test_without_own_orders_levels_shrink_or_disappear_and_the_book_stays() -> None:
    book = build_book()

    rest = book.without(own_bids=[(99.0, 1.0), (98.0, 0.5), (96.0, 1.0)], own_asks=[(101.0, 4.0)])

    assert rest.bids() == [(98.0, 1.5), (97.0, 3.0)]
    assert rest.asks() == [(102.0, 5.0)]
    assert rest.has_depth
    assert book.bids(2) == [(99.0, 1.0), (98.0, 2.0)]
    assert book.asks(1) == [(101.0, 4.0)]


def test_own_orders_of_several_parts_leave_no_dust_at_their_price() -> None:
    book = Book(SYMBOL)
    book.apply(BookSnapshot(SYMBOL, bids=[(99.0, 0.8)], asks=[]))

    assert book.without([(99.0, 0.1), (99.0, 0.7)], []).bids() == []


def test_a_book_covers_prices_as_far_as_its_last_level() -> None:
    book = build_book()

    assert book.covers(Side.BUY, 100.0)
    assert book.covers(Side.BUY, 97.0)
    assert not book.covers(Side.BUY, 96.99)
    assert book.covers(Side.SELL, 102.0)
    assert not book.covers(Side.SELL, 102.01)


def test_an_empty_side_is_covered_only_if_depth_says_it_is_empty() -> None:
    book = Book(SYMBOL)
    assert not book.covers(Side.BUY, 99.0)

    book.apply(BookSnapshot(SYMBOL, bids=[], asks=[]))

    assert book.covers(Side.BUY, 99.0)


@pytest.mark.parametrize(("late_ns", "best"), [(10**9, (96.0, 97.0)), (10**9 + 1, (98.5, 97.0))])
def test_a_delta_that_a_quote_overtook_does_not_cross_the_book(
    late_ns: int, best: tuple[float, float]
) -> None:
    book = build_book()

    book.apply(Quote(SYMBOL, 96.0, 1.0, 97.0, 1.0, receive_time_ns=5))
    book.apply(BookDelta(SYMBOL, bids=[(98.5, 1.0)], asks=[], receive_time_ns=5 + late_ns))

    assert (book.bid, book.ask) == best


def test_a_quote_before_the_snapshot_says_nothing_of_the_deltas_after_it() -> None:
    book = build_book()
    book.apply(Quote(SYMBOL, 96.0, 1.0, 97.0, 1.0))

    book.apply(BookSnapshot(SYMBOL, bids=[(99.0, 1.0)], asks=[(101.0, 1.0)]))
    book.apply(BookDelta(SYMBOL, bids=[(102.0, 1.0)], asks=[]))

    assert book.is_crossed
