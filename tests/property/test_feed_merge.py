"""Replayed files are merged as a stable sort by receive time would, whatever their rows."""

import csv
import tempfile
from decimal import Decimal
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from botkit.model import Instrument, Trade
from venues.paper.feeds.depth import DepthBuilder, DepthRows
from venues.paper.feeds.replay import build_replay

SYMBOL = "paper:BTC-EUR"
INSTRUMENT = Instrument(
    symbol=SYMBOL, base="BTC", quote="EUR", tick_size=Decimal("0.01"), lot_size=Decimal("0.001")
)
times = st.lists(st.integers(1, 12), max_size=8)


def write_trades(path: Path, file: int, rows: list[int]) -> None:
    with path.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["receive_time_ns", "price", "qty", "trade_id"])
        writer.writerows([time, 1, 1, f"{file}/{row}"] for row, time in enumerate(rows))


def play(files: list[list[int]], on_bad_row: str) -> tuple[list[tuple[int, str]], dict[str, int]]:
    with tempfile.TemporaryDirectory() as folder:
        for file, rows in enumerate(files):
            write_trades(Path(folder, f"{file}.csv"), file, rows)
        feed = build_replay(
            {
                "files": [
                    {"path": f"{file}.csv", "kind": "trades", "symbol": "BTC-EUR"}
                    for file in range(len(files))
                ],
                "on_bad_row": on_bad_row,
            },
            symbols=(SYMBOL,),
            instruments={SYMBOL: INSTRUMENT},
            source="test: feed",
            base_dir=folder,
        )
        events = [event for event in feed.events(0) if isinstance(event, Trade)]
        return [(event.receive_time_ns, event.trade_id) for event in events], feed.skipped


@settings(deadline=None, max_examples=50)
@given(st.lists(times.map(sorted), min_size=1, max_size=4))
def test_the_merge_is_a_stable_sort(files: list[list[int]]) -> None:
    laid_end_to_end = [
        (time, f"{file}/{row}") for file, rows in enumerate(files) for row, time in enumerate(rows)
    ]

    assert play(files, "error")[0] == sorted(laid_end_to_end, key=lambda event: event[0])


@settings(deadline=None, max_examples=50)
@given(times)
def test_skipping_leaves_out_exactly_the_rows_that_go_back_in_time(rows: list[int]) -> None:
    kept: list[int] = []
    for time in rows:
        if not kept or time >= kept[-1]:
            kept.append(time)

    events, skipped = play([rows], "skip")

    assert [time for time, _ in events] == kept
    assert skipped == ({"0.csv": len(rows) - len(kept)} if len(kept) < len(rows) else {})


level = st.tuples(
    st.integers(1, 4), st.integers(0, 1), st.integers(1, 3), st.integers(0, 1), st.integers(1, 9)
)


@settings(deadline=None)
@given(st.lists(level, min_size=1, max_size=20).map(sorted), st.data())
def test_book_events_do_not_depend_on_where_batches_end(
    levels: list[tuple[int, int, int, int, int]], data: st.DataObject
) -> None:
    columns = [list(column) for column in zip(*levels, strict=True)]
    rows = _rows(columns)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(levels)), max_size=4)))
    whole, pieces = DepthBuilder([SYMBOL]), DepthBuilder([SYMBOL])

    expected = [*whole.add(rows), *whole.finish()]
    found = [
        event
        for start, stop in zip([0, *cuts], [*cuts, len(levels)], strict=True)
        for event in pieces.add(rows.slice(start, stop))
    ]

    assert [*found, *pieces.finish()] == expected


def _rows(columns: list[list[int]]) -> DepthRows:
    time, is_snapshot, group, is_ask, price = (np.array(column) for column in columns)
    zeros = np.zeros(len(price), dtype=np.int64)
    return DepthRows(
        receive_time_ns=time,
        exchange_time_ns=zeros,
        symbol=zeros,
        is_snapshot=is_snapshot,
        group=group,
        is_ask=is_ask,
        price=price.astype(np.float64),
        qty=np.arange(1.0, len(price) + 1),
    )
