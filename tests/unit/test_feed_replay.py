"""Recorded files as a feed: what is read, what is refused and how it is said."""

import math
from decimal import Decimal
from pathlib import Path

import pytest

from botkit.errors import DataError
from botkit.model import Bar, BookDelta, BookSnapshot, Quote, Trade
from tests.unit.feed_bench import (
    BARS,
    BTC,
    DEPTH,
    ETH,
    MINUTE_NS,
    QUOTES,
    TRADES,
    bar_row,
    build,
    level_row,
    pa,
    play,
    pq,
    quote_row,
    trade_row,
    write,
)


@pytest.fixture(params=["x.csv", "x.csv.gz", "x.parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name: str = request.param
    return tmp_path / name


def test_quotes_of_every_format_read_alike(path: Path) -> None:
    write(path, [quote_row(5, exchange_time_ns=3), quote_row(7, exchange_time_ns=9)])

    assert play(path.parent, {"path": path.name, **QUOTES}) == [
        Quote(BTC, 9.5, 1.0, 10.5, 2.0, exchange_time_ns=3, receive_time_ns=5),
        Quote(BTC, 9.5, 1.0, 10.5, 2.0, exchange_time_ns=9, receive_time_ns=7),
    ]


def test_a_side_without_quantity_is_empty(path: Path) -> None:
    write(path, [quote_row(bid_px=0, bid_qty=0)])

    (quote,) = play(path.parent, {"path": path.name, **QUOTES})

    assert isinstance(quote, Quote)
    assert math.isnan(quote.bid_px)
    assert quote.bid_qty == 0


def test_trades_of_every_format_read_alike(path: Path) -> None:
    write(path, [trade_row(trade_id=77), trade_row(trade_id=78, aggressor="Sell")])

    assert play(path.parent, {"path": path.name, **TRADES}) == [
        Trade(BTC, 10.25, 0.5, "BUY", "77", receive_time_ns=1),
        Trade(BTC, 10.25, 0.5, "SELL", "78", receive_time_ns=1),
    ]


@pytest.mark.parametrize(("said", "side"), [(True, "SELL"), (False, "BUY"), (1, "SELL")])
def test_where_the_buyer_made_the_seller_took(path: Path, *, said: object, side: str) -> None:
    write(path, [{"receive_time_ns": 1, "price": 2.0, "qty": 3.0, "m": said}])

    (trade,) = play(path.parent, {"path": path.name, **TRADES, "columns": {"buyer_is_maker": "m"}})

    assert trade == Trade(BTC, 2.0, 3.0, side, receive_time_ns=1)


def test_a_trade_whose_aggressor_is_not_told_has_none(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", [trade_row(aggressor=""), trade_row(aggressor="SELL")])

    events = play(tmp_path, {"path": "x.csv", **TRADES})

    assert [event.aggressor for event in events if isinstance(event, Trade)] == ["", "SELL"]


def test_a_file_without_sides_has_trades_without_them(path: Path) -> None:
    write(path, [{"receive_time_ns": 1, "price": 2.0, "qty": 3.0}])

    assert play(path.parent, {"path": path.name, **TRADES}) == [
        Trade(BTC, 2.0, 3.0, receive_time_ns=1)
    ]


def test_rows_of_one_time_and_group_make_one_book_event(path: Path) -> None:
    write(
        path,
        [
            level_row(1, "snapshot", "b", 9.0, 1.0, id=5),
            level_row(1, "snapshot", "b", 9.5, 2.0, id=5),
            level_row(1, "snapshot", "a", 11.0, 3.0, id=5),
            level_row(1, "snapshot", "a", 10.0, 4.0, id=5),
            level_row(1, "snapshot", "a", 12.0, 0.0, id=5),
            level_row(2, "diff", "a", 10.0, 0.0, id=6),
            level_row(2, "diff", "b", 9.75, 1.0, id=6),
            level_row(2, "diff", "b", 9.0, 7.0, id=7),
        ],
    )

    assert play(path.parent, {"path": path.name, **DEPTH, "columns": {"group": "id"}}) == [
        BookSnapshot(BTC, [(9.5, 2.0), (9.0, 1.0)], [(10.0, 4.0), (11.0, 3.0)], receive_time_ns=1),
        BookDelta(BTC, [(9.75, 1.0)], [(10.0, 0.0)], receive_time_ns=2),
        BookDelta(BTC, [(9.0, 7.0)], [], receive_time_ns=2),
    ]


def test_deltas_wait_for_their_snapshot_and_those_it_contains_are_left_out(path: Path) -> None:
    write(
        path,
        [
            level_row(1, "diff", "b", 1.0, 1.0, id=3),
            level_row(2, "diff", "b", 2.0, 1.0, id=6),
            level_row(3, "snapshot", "b", 9.0, 1.0, id=5),
            level_row(4, "diff", "b", 3.0, 1.0, id=5),
            level_row(5, "diff", "b", 4.0, 1.0, id=7),
        ],
    )

    assert play(path.parent, {"path": path.name, **DEPTH, "columns": {"group": "id"}}) == [
        BookSnapshot(BTC, [(9.0, 1.0)], [], receive_time_ns=3),
        BookDelta(BTC, [(2.0, 1.0)], [], receive_time_ns=3),
        BookDelta(BTC, [(4.0, 1.0)], [], receive_time_ns=5),
    ]


def test_without_groups_every_delta_after_the_snapshot_counts(path: Path) -> None:
    write(
        path,
        [
            level_row(1, "delta", "bid", 1.0, 1.0),
            level_row(2, "snapshot", "bid", 9.0, 1.0),
            level_row(3, "update", "sell", 10.0, 1.0),
        ],
    )

    assert play(path.parent, {"path": path.name, **DEPTH}) == [
        BookSnapshot(BTC, [(9.0, 1.0)], [], receive_time_ns=2),
        BookDelta(BTC, [], [(10.0, 1.0)], receive_time_ns=3),
    ]


def test_a_file_of_whole_books_needs_no_kind(path: Path) -> None:
    rows = [level_row(time, "", "buy", 9.0, time) for time in (1, 2)]
    write(path, [{key: row[key] for key in row if key != "kind"} for row in rows])

    events = play(path.parent, {"path": path.name, **DEPTH, "snapshots": True})

    assert events == [
        BookSnapshot(BTC, [(9.0, 1.0)], [], receive_time_ns=1),
        BookSnapshot(BTC, [(9.0, 2.0)], [], receive_time_ns=2),
    ]


def test_depth_without_a_snapshot_is_an_error(path: Path) -> None:
    write(path, [level_row(1, "diff", "b", 1.0, 1.0)])

    with pytest.raises(DataError, match=r"x\..*: no snapshot in it"):
        play(path.parent, {"path": path.name, **DEPTH})


def test_a_bar_is_received_at_its_end(path: Path) -> None:
    write(path, [bar_row(120 * 10**9, volume=5.5, trade_count=3)])

    assert play(path.parent, {"path": path.name, **BARS}) == [
        Bar(
            BTC, MINUTE_NS, 2 * MINUTE_NS, 2, 4, 1, 3, 5.5, trade_count=3,
            receive_time_ns=3 * MINUTE_NS,
        )
    ]  # fmt: skip


def test_a_bar_may_say_when_it_was_received(path: Path) -> None:
    write(path, [bar_row(MINUTE_NS, receive_time_ns=MINUTE_NS * 2 + 7)])

    (bar,) = play(path.parent, {"path": path.name, **BARS})

    assert bar.receive_time_ns == MINUTE_NS * 2 + 7


@pytest.mark.parametrize(
    ("key", "value", "time_ns"),
    [
        ("receive_time_ns", 1723161254087891268, 1723161254087891268),
        ("receive_time_us", 1723161254087891, 1723161254087891000),
        ("receive_time_ms", 1723161254087, 1723161254087000000),
        ("receive_time_s", 1723161254, 1723161254000000000),
        ("receive_time_s", 1723161254.087891, 1723161254087891000),
        ("receive_time_ms", 1723161254087.891, 1723161254087891000),
        ("receive_time", "2024-08-08T23:54:14.087891Z", 1723161254087891000),
        ("receive_time", "2024-08-09 01:54:14+02:00", 1723161254000000000),
        ("receive_time", "2024-08-08", 1723075200000000000),
    ],
)
def test_times_are_read_in_their_unit(path: Path, key: str, value: object, time_ns: int) -> None:
    row = quote_row()
    del row["receive_time_ns"]
    write(path, [row | {"t": value}])

    (quote,) = play(path.parent, {"path": path.name, **QUOTES, "columns": {key: "t"}})

    assert quote.receive_time_ns == time_ns


def test_times_as_decimal_text_keep_every_nanosecond(tmp_path: Path) -> None:
    row = quote_row()
    del row["receive_time_ns"]
    write(tmp_path / "x.csv", [row | {"receive_time_s": "1723161254.087891268"}])

    (quote,) = play(tmp_path, {"path": "x.csv", **QUOTES})

    assert quote.receive_time_ns == 1723161254087891268


def test_time_stamp_types_of_parquet_know_their_unit(tmp_path: Path) -> None:
    table = pa.table(
        {
            "ts": pa.array([1_735_689_600_000], pa.timestamp("ms", tz="UTC")),
            **{key: [value] for key, value in bar_row(0).items() if key != "start_time_ns"},
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")

    (bar,) = play(tmp_path, {"path": "x.parquet", **BARS, "columns": {"start_time": "ts"}})

    assert bar.receive_time_ns == 1_735_689_600_000_000_000 + MINUTE_NS


def test_a_missing_exchange_time_is_not_known(tmp_path: Path) -> None:
    rows = [quote_row(exchange_time_ns=None), quote_row(exchange_time_ns=1723161254087891269)]
    write(tmp_path / "some.parquet", rows)
    write(tmp_path / "none.parquet", rows[:1])

    events = play(tmp_path, {"path": "some.parquet", **QUOTES}, {"path": "none.parquet", **QUOTES})

    times = [event.exchange_time_ns for event in events if isinstance(event, Quote)]
    assert times == [0, 1723161254087891269, 0]


def test_numbers_may_be_text_or_decimal_or_dictionary_encoded(tmp_path: Path) -> None:
    table = pa.table(
        {
            "receive_time_ns": [1, 2],
            "price": ["10.5", "11"],
            "qty": [Decimal("0.5"), Decimal("0.25")],
            "aggressor": pa.array(["buy", "sell"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")

    assert play(tmp_path, {"path": "x.parquet", **TRADES}) == [
        Trade(BTC, 10.5, 0.5, "BUY", receive_time_ns=1),
        Trade(BTC, 11.0, 0.25, "SELL", receive_time_ns=2),
    ]


def test_a_column_may_tell_the_instrument_and_others_are_passed_over(path: Path) -> None:
    names = ["ETH-EUR", "XRP-EUR", "BTC-EUR"]
    write(path, [trade_row(time, symbol=name) for time, name in enumerate(names, 1)])

    events = play(path.parent, {"path": path.name, "kind": "trades"}, symbols=(BTC, ETH))

    assert [(event.symbol, event.receive_time_ns) for event in events if isinstance(event, Trade)
            ] == [(ETH, 1), (BTC, 3)]  # fmt: skip


def test_books_of_one_file_are_kept_apart_by_instrument(path: Path) -> None:
    write(
        path,
        [
            level_row(1, "snapshot", "b", 1.0, 1.0, symbol="BTC-EUR"),
            level_row(1, "snapshot", "b", 2.0, 1.0, symbol="ETH-EUR"),
        ],
    )

    events = play(path.parent, {"path": path.name, "kind": "depth"}, symbols=(BTC, ETH))

    assert [(e.symbol, e.bids) for e in events if isinstance(e, BookSnapshot)] == [
        (BTC, [(1.0, 1.0)]),
        (ETH, [(2.0, 1.0)]),
    ]


def test_files_for_instruments_nobody_trades_are_not_opened(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", [quote_row()])
    eth = {"path": "absent.csv", "kind": "quotes", "symbol": "ETH-EUR"}

    assert len(play(tmp_path, {"path": "x.csv", **QUOTES}, eth)) == 1


def test_files_are_merged_by_receive_time_and_ties_go_by_their_order(tmp_path: Path) -> None:
    write(tmp_path / "q.csv", [quote_row(1), quote_row(3), quote_row(3)])
    write(tmp_path / "t.csv", [trade_row(2), trade_row(3)])
    quotes, trades = {"path": "q.csv", **QUOTES}, {"path": "t.csv", **TRADES}

    names = [type(event).__name__[0] for event in play(tmp_path, quotes, trades)]
    turned = [type(event).__name__[0] for event in play(tmp_path, trades, quotes)]

    assert names == ["Q", "T", "Q", "Q", "T"]
    assert turned == ["Q", "T", "T", "Q", "Q"]


def test_the_first_time_is_that_of_the_first_event(tmp_path: Path) -> None:
    write(tmp_path / "q.csv", [quote_row(30)])
    write(tmp_path / "t.csv", [trade_row(20)])

    feed = build(tmp_path, {"path": "q.csv", **QUOTES}, {"path": "t.csv", **TRADES})

    assert feed.first_time_ns() == 20
    assert feed.speed == math.inf


def test_a_file_of_no_rows_has_no_events(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("receive_time_ns,price,qty\n", encoding="utf-8")
    feed = build(tmp_path, {"path": "x.csv", **TRADES})

    assert feed.first_time_ns() is None
    assert list(feed.events(0)) == []


def test_a_byte_order_mark_blank_lines_and_spaces_do_not_matter(tmp_path: Path) -> None:
    text = "\ufeffreceive_time_ns, price ,qty\n\n1, 2.5 ,3\n\n"
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")

    assert play(tmp_path, {"path": "x.csv", **TRADES}) == [Trade(BTC, 2.5, 3.0, receive_time_ns=1)]


def test_files_start_in_dir(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "x.csv", [quote_row()])

    assert len(play(tmp_path, {"path": "x.csv", **QUOTES}, dir="data")) == 1
    assert len(play(tmp_path / "data", {"path": "x.csv", **QUOTES}, dir=".")) == 1
    assert len(play(Path("/"), {"path": str(tmp_path / "data" / "x.csv"), **QUOTES})) == 1


def test_a_column_of_times_that_are_all_missing_is_not_known(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([quote_row()])
    table = table.append_column("exchange_time_ns", pa.array([None], pa.int64()))
    pq.write_table(table, tmp_path / "x.parquet")

    (quote,) = play(tmp_path, {"path": "x.parquet", **QUOTES})

    assert isinstance(quote, Quote)
    assert quote.exchange_time_ns == 0
