"""Recorded files that are wrong: rows, files, settings; each error says what, where, what to do."""

import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from botkit.errors import ConfigError, DataError
from botkit.model import BookDelta
from tests.unit.feed_bench import (
    BARS,
    DEPTH,
    QUOTES,
    TRADES,
    bar_row,
    build,
    level_row,
    play,
    quote_row,
    trade_row,
    write,
)


@pytest.fixture(params=["x.csv", "x.csv.gz", "x.parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name: str = request.param
    return tmp_path / name


# Malformed rows

BAD_QUOTES = [
    ("bid_px", "abc", "'abc'"),
    ("bid_px", "nan", "nan"),
    ("ask_px", "inf", "inf"),
    ("ask_px", "-1", "-1"),
    ("ask_px", "0", "0"),
    ("bid_qty", "-0.5", "-0.5"),
    ("ask_px", "", "nothing"),
    ("receive_time_ns", "", "nothing"),
    ("receive_time_ns", "soon", "'soon'"),
    ("receive_time_ns", "-5", "-5"),
    ("receive_time_ns", "9" * 25, "9" * 25),
    ("receive_time_ns", "1", "1"),
    ("exchange_time_ns", "x", "'x'"),
]


@pytest.mark.parametrize(("column", "value", "shown"), BAD_QUOTES)
def test_a_malformed_quote_is_named_by_file_row_and_column(
    tmp_path: Path, column: str, value: str, shown: str
) -> None:
    rows = [quote_row(time, exchange_time_ns=time) for time in (5, 6, 7)]
    rows[1][column] = value
    write(tmp_path / "x.csv", rows)

    with pytest.raises(DataError) as raised:
        play(tmp_path, {"path": "x.csv", **QUOTES})

    assert f"{tmp_path / 'x.csv'}: row 2, column {column!r}: " in str(raised.value)
    assert shown in str(raised.value)


@pytest.mark.parametrize(("column", "value", "shown"), BAD_QUOTES)
def test_a_malformed_quote_can_be_skipped_and_is_counted(
    tmp_path: Path, column: str, value: str, shown: str
) -> None:
    assert shown
    rows = [quote_row(time, exchange_time_ns=time) for time in (5, 6, 7)]
    rows[1][column] = value
    write(tmp_path / "x.csv", rows)
    feed = build(tmp_path, {"path": "x.csv", **QUOTES}, on_bad_row="skip")

    for _ in range(2):  # played again, the count starts again
        assert [event.receive_time_ns for event in feed.events(0)] == [5, 7]
        assert feed.skipped == {"x.csv": 1}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("bid_px", None),
        ("bid_px", math.nan),
        ("bid_px", math.inf),
        ("ask_px", -1.0),
        ("receive_time_ns", None),
        ("receive_time_ns", -1),
        ("receive_time_ns", 4),
    ],
)
def test_a_malformed_row_of_parquet_is_named_and_skipped(
    tmp_path: Path, column: str, value: object
) -> None:
    rows = [quote_row(time) for time in (5, 6, 7)]
    rows[1][column] = value
    write(tmp_path / "x.parquet", rows)
    file = {"path": "x.parquet", **QUOTES}
    shown = "nothing" if value is None else str(value)

    with pytest.raises(DataError, match=rf"x.parquet: row 2, column '{column}': {shown} found"):
        play(tmp_path, file)
    feed = build(tmp_path, file, on_bad_row="skip")
    assert [event.receive_time_ns for event in feed.events(0)] == [5, 7]
    assert feed.skipped == {"x.parquet": 1}


@pytest.mark.parametrize(
    ("settings", "row", "column"),
    [
        (TRADES, trade_row(3, aggressor="both"), "aggressor"),
        (TRADES, trade_row(3, qty=0), "qty"),
        (DEPTH, level_row(3, "snapshot", "x", 1.0, 1.0), "side"),
        (DEPTH, level_row(3, "whole", "b", 1.0, 1.0), "kind"),
        (DEPTH, level_row(3, "snapshot", "b", 1.0, -1.0), "qty"),
        (DEPTH, level_row(3, "snapshot", "b", 1.0, 1.0, group="a7"), "group"),
        (BARS, bar_row(3, high=1.5), "high"),
        (BARS, bar_row(3, low=2.5), "low"),
        (BARS, bar_row(3, close=0), "close"),
        (BARS, bar_row(0), "start_time_ns"),
        ({"kind": "trades"}, trade_row(3, symbol=""), "symbol"),
    ],
)
def test_every_kind_of_row_is_checked(
    tmp_path: Path, settings: Mapping[str, Any], row: Mapping[str, Any], column: str
) -> None:
    write(tmp_path / "x.csv", [row])

    with pytest.raises(DataError, match=f"row 1, column '{column}'"):
        play(tmp_path, {"path": "x.csv", **settings})


def test_the_first_bad_row_is_the_one_told_whatever_its_column(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", [quote_row(), quote_row(ask_px="y"), quote_row(bid_px="x")])

    with pytest.raises(DataError, match="row 2, column 'ask_px'"):
        play(tmp_path, {"path": "x.csv", **QUOTES})


@pytest.mark.parametrize(("line", "cells"), [("1,2.5", 2), ("1,2.5,3,4", 4)])
def test_a_row_with_too_few_or_many_cells_is_told_by_their_number_and_can_be_skipped(
    tmp_path: Path, line: str, cells: int
) -> None:
    path = tmp_path / "x.csv"
    rows = ["receive_time_ns,price,qty", "1,2.5,3", line, line, "2,bad,3", "3,2.5,3"]
    path.write_text("\n".join(rows), encoding="utf-8")

    with pytest.raises(DataError) as raised:
        play(tmp_path, {"path": "x.csv", **TRADES})
    feed = build(tmp_path, {"path": "x.csv", **TRADES}, on_bad_row="skip")

    assert str(raised.value).startswith(f"{path}: row 2: {cells} cells, the header has 3 (on_bad_")
    assert [event.receive_time_ns for event in feed.events(0)] == [1, 3]
    assert feed.skipped == {"x.csv": 3}


def test_truth_values_are_no_prices_and_numbers_no_dates(tmp_path: Path) -> None:
    write(tmp_path / "x.parquet", [trade_row(price=True)])
    with pytest.raises(DataError, match="column 'price': True found"):
        play(tmp_path, {"path": "x.parquet", **TRADES})

    write(tmp_path / "y.parquet", [trade_row()])
    columns = {"receive_time": "receive_time_ns"}
    with pytest.raises(DataError, match="column 'receive_time_ns': 1 found"):
        play(tmp_path, {"path": "y.parquet", **TRADES, "columns": columns})


def test_rows_are_counted_across_batches_and_time_may_not_go_back_between_them(
    tmp_path: Path,
) -> None:
    count = 65_536
    lines = [f"{time},2.5,3" for time in range(10, count + 10)]
    text = "\n".join(["receive_time_ns,price,qty", *lines, "9,2.5,3"])
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")

    with pytest.raises(DataError, match=f"row {count + 1}, column 'receive_time_ns': '9' found"):
        play(tmp_path, {"path": "x.csv", **TRADES})


def test_a_book_event_may_lie_across_batches(path: Path) -> None:
    count = 70_000
    first = level_row(1, "snapshot", "b", 1.0, 1.0)
    write(path, [first] + [level_row(2, "diff", "a", 2.0 + i, 1.0) for i in range(count)])

    events = play(path.parent, {"path": path.name, **DEPTH})

    assert [len(e.asks) for e in events if isinstance(e, BookDelta)] == [count]


def test_a_batch_of_only_bad_rows_is_counted_whole(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", [level_row(1, "diff", "?", 1, 1), level_row(2, "diff", "?", 1, 1)])
    feed = build(tmp_path, {"path": "x.csv", **DEPTH}, on_bad_row="skip")

    with pytest.raises(DataError, match="no snapshot"):
        list(feed.events(0))
    assert feed.skipped == {"x.csv": 2}


# Damaged files


def test_parquet_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write(path, [quote_row(time) for time in range(1, 1_000)])
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(DataError, match=r"x\.parquet: damaged or cut short"):
        build(tmp_path, {"path": path.name, **QUOTES})


def test_parquet_damaged_inside_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write(path, [quote_row(time) for time in range(1, 1_000)])
    content = bytearray(path.read_bytes())
    content[4:400] = b"\xff" * 396
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"x\.parquet: damaged or cut short"):
        play(tmp_path, {"path": path.name, **QUOTES})


def test_gzip_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    write(path, [quote_row(time) for time in range(1, 5_000)])
    path.write_bytes(path.read_bytes()[:-200])

    with pytest.raises(DataError, match=r"x\.csv\.gz: damaged or cut short"):
        play(tmp_path, {"path": path.name, **QUOTES})


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet"])
def test_what_is_not_of_its_format_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00no such thing")

    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        build(tmp_path, {"path": name, **QUOTES})


def test_an_empty_csv_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"")

    with pytest.raises(DataError, match="first line must name the columns"):
        build(tmp_path, {"path": "x.csv", **QUOTES})


# Wrong settings


def config_problems(base: Path, *files: Mapping[str, Any], **options: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        build(base, *files, **options)
    return str(raised.value)


def test_an_absent_file_says_which_path_was_tried_and_how_to_point_elsewhere(
    tmp_path: Path,
) -> None:
    said = config_problems(tmp_path, {"path": "x.parquet", **QUOTES}, dir="sub")

    assert f"venues.paper.feed.files[0]: no file {tmp_path / 'sub' / 'x.parquet'}" in said
    assert "--set 'venues.paper.feed.dir=FOLDER'" in said


def test_missing_columns_list_what_the_file_has_and_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", [{"recv_ns": 1, "bidpx": 1, "bid_qty": 1, "ask_qty": 1, "a": 1}])

    said = config_problems(
        tmp_path,
        {"path": "x.csv", **QUOTES, "columns": {"ask_px": "ask", "bid_quantity": "bid_qty"}},
    )

    assert "columns.ask_px: no column 'ask'; the file has recv_ns, bidpx, bid_qty" in said
    assert "columns.bid_quantity: quotes have no such field" in said
    assert "did you mean 'bid_qty'?" in said
    assert "quotes need bid_px" in said
    assert "did you mean 'bidpx'?" in said
    assert "quotes need receive_time_ns" in said


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", [bar_row(1)])
    write(tmp_path / "x.txt", [quote_row()])

    said = config_problems(
        tmp_path,
        {"path": "x.csv", "kind": "bars"},
        {"path": "x.txt", **QUOTES},
        {"path": "y.csv", **QUOTES},
    )

    assert "files[0]: whose data are these?" in said
    assert "files[0]: how long is a bar?" in said
    assert "files[1]: " in said
    assert "cannot tell its format; name it *.parquet, *.csv, *.csv.gz" in said
    assert "files[2]: no file" in said


def test_an_instrument_without_a_file_is_told_with_the_nearest(tmp_path: Path) -> None:
    said = config_problems(tmp_path, {"path": "x", "kind": "quotes", "symbol": "BTC-EUX"})

    assert "no file is for BTC-EUR, which a strategy trades" in said
    assert "did you mean 'BTC-EUX'?" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_bad_row": "ignore"}, "on_bad_row"),
        ({"speed": "quick"}, "speed"),
        ({"files": []}, "files"),
        ({"folders": "x"}, "folders"),
    ],
)
def test_a_bad_option_is_named(tmp_path: Path, options: Mapping[str, Any], said: str) -> None:
    write(tmp_path / "x.csv", [quote_row()])

    assert said in config_problems(tmp_path, {"path": "x.csv", **QUOTES}, **options)


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None  # as where it is not installed
from pathlib import Path
from botkit.errors import ConfigError
from venues.paper.feeds.tables import open_table
try:
    open_table(Path("x.parquet"))
except ConfigError as exc:
    print(exc)
"""


def test_without_pyarrow_the_error_names_the_install_command() -> None:
    ran = subprocess.run(  # noqa: S603  our own interpreter and the text above
        [sys.executable, "-c", WITHOUT_PYARROW], check=True, capture_output=True, text=True
    )

    assert "pip install 'botkit[data]'" in ran.stdout
