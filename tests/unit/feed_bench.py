"""Recorded files for tests: rows written in every format, and the feed that plays them."""

import csv
import gzip
import importlib
import io
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from botkit.model import Instrument, MarketEvent
from venues.paper.feeds.replay import ReplayFeed, build_replay

pa: Any = importlib.import_module("pyarrow")
pq: Any = importlib.import_module("pyarrow.parquet")
SOURCE = "configs/replay.toml: venues.paper.feed"
BTC, ETH = "paper:BTC-EUR", "paper:ETH-EUR"
INSTRUMENTS = {
    symbol: Instrument(
        symbol=symbol,
        base=symbol[6:9],
        quote="EUR",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
    )
    for symbol in (BTC, ETH)
}
Rows = Sequence[Mapping[str, Any]]
MINUTE_NS = 60_000_000_000


def write_csv(path: Path, rows: Rows) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_parquet(path: Path, rows: Rows) -> None:
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)


def write(path: Path, rows: Rows) -> None:
    (write_parquet if path.suffix == ".parquet" else write_csv)(path, rows)


def build(
    folder: Path, *files: Mapping[str, Any], symbols: tuple[str, ...] = (BTC,), **options: Any
) -> ReplayFeed:
    return build_replay(
        {"files": list(files), "speed": "max", **options},
        symbols=symbols,
        instruments=INSTRUMENTS,
        source=SOURCE,
        base_dir=str(folder),
    )


def play(folder: Path, *files: Mapping[str, Any], **options: Any) -> list[MarketEvent]:
    return list(build(folder, *files, **options).events(0))


def quote_row(time_ns: int = 1, **changes: Any) -> dict[str, Any]:
    row = {"receive_time_ns": time_ns, "bid_px": 9.5, "bid_qty": 1.0, "ask_px": 10.5, "ask_qty": 2}
    return row | changes


def trade_row(time_ns: int = 1, **changes: Any) -> dict[str, Any]:
    return {"receive_time_ns": time_ns, "price": 10.25, "qty": 0.5, "aggressor": "buy"} | changes


def level_row(time_ns: int, kind: str, side: str, price: float, qty: float, **more: Any) -> Any:
    row = {"receive_time_ns": time_ns, "kind": kind, "side": side, "price": price, "qty": qty}
    return row | more


QUOTES = {"kind": "quotes", "symbol": "BTC-EUR"}
TRADES = {"kind": "trades", "symbol": "BTC-EUR"}
DEPTH = {"kind": "depth", "symbol": "BTC-EUR"}
BARS = {"kind": "bars", "symbol": "BTC-EUR", "interval": "1m"}


def bar_row(start: Any, **changes: Any) -> dict[str, Any]:
    return {"start_time_ns": start, "open": 2, "high": 4.0, "low": 1.0, "close": 3.0} | changes
