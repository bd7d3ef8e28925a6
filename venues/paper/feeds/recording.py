"""Turn one recorded file into market events, a batch of rows at a time."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import repeat
from typing import Any, Final, assert_never

import attrs
import numpy as np
import numpy.typing as npt

from botkit.errors import DataError
from botkit.model import Bar, MarketEvent, Quote, Trade
from venues.paper.feeds.checks import Batch, FloatArray, IntArray
from venues.paper.feeds.depth import DepthBuilder, DepthRows
from venues.paper.feeds.fields import RecordedFile, Source
from venues.paper.feeds.tables import BoolArray, Table

__all__ = ["Recording"]

IS_ASK: Final = {"bid": 0, "buy": 0, "b": 0, "ask": 1, "sell": 1, "a": 1, "s": 1}
AGGRESSORS: Final = {"buy": 0, "sell": 1, "b": 0, "s": 1}
IS_SNAPSHOT: Final = {"snapshot": 1, "diff": 0, "delta": 0, "update": 0}
TRUTH: Final = {"true": 1, "false": 0, "1": 1, "0": 0}
SIDE_NAMES: Final = ("BUY", "SELL", "")
NOT_TOLD: Final = 2


@attrs.frozen
class _Picked:
    """The rows of a batch that are used, and what all kinds of events have."""

    take: BoolArray | None  # None: all of them
    symbols: Iterable[str]
    symbol_codes: IntArray
    receive_time_ns: IntArray
    exchange_time_ns: IntArray

    def of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return those rows of `array`."""
        return array if self.take is None else array[self.take]


@attrs.define(kw_only=True)
class Recording:
    """One file of a replay and how it is read.

    Parameters
    ----------
    sources
        Field -> column, by `fields.resolve`.
    names
        The venue's name of an instrument -> its full symbol. Rows of others are passed over.
    skip_bad_rows
        Leave bad rows out and count them, instead of raising.
    """

    entry: RecordedFile
    table: Table
    sources: Mapping[str, Source]
    names: Mapping[str, str]
    skip_bad_rows: bool

    def events(self, skipped: MutableMapping[str, int]) -> Iterator[MarketEvent]:
        """Yield in the file's order, adding the number of bad rows left out to `skipped`.

        Raises
        ------
        DataError
            The file is damaged, or a row is bad and not to be skipped; it names file, row
            (1-based, the header not counted), column and value. Or depth has no snapshot.
        """
        columns = sorted({source.column for source in self.sources.values()})
        reading = _Reading(self, skipped)
        rows_before = 0
        for values in self.table.batches(columns):
            batch = Batch(values, str(self.table.path), rows_before + 1)
            yield from reading.decode(batch)
            rows_before += batch.rows
        yield from reading.finish()


class _Reading:
    """One pass over a file."""

    def __init__(self, recording: Recording, skipped: MutableMapping[str, int]) -> None:
        self._recording = recording
        self._entry = recording.entry
        self._sources = recording.sources
        self._skipped = skipped
        self._last_ns = 0
        self._symbols = tuple(recording.names.values())
        self._codes = {name: code for code, name in enumerate(recording.names)}
        self._depth = DepthBuilder(self._symbols)

    def decode(self, batch: Batch) -> Iterable[MarketEvent]:
        """Return the events of one batch."""
        match self._entry.kind:
            case "quotes":
                return self._quotes(batch)
            case "trades":
                return self._trades(batch)
            case "depth":
                return self._depth.add(self._levels(batch))
            case "bars":
                return self._bars(batch)
            case _:
                assert_never(self._entry.kind)

    def finish(self) -> Iterable[MarketEvent]:
        """Return what was waiting for more rows."""
        if self._entry.kind != "depth":
            return
        yield from self._depth.finish()
        if not self._depth.has_snapshot:
            raise DataError(
                f"{self._recording.table.path}: no snapshot in it, so no book can be built; map a "
                "column to `kind`, or say snapshots = true if every event is a whole book"
            )

    def _quotes(self, batch: Batch) -> Iterable[Quote]:
        bid_px, bid_qty = self._side(batch, "bid_px", "bid_qty")
        ask_px, ask_qty = self._side(batch, "ask_px", "ask_qty")
        rows = self._pick(batch)
        arrays = (bid_px, bid_qty, ask_px, ask_qty, rows.exchange_time_ns, rows.receive_time_ns)
        return map(Quote, rows.symbols, *(rows.of(array).tolist() for array in arrays))

    def _side(self, batch: Batch, px: str, qty: str) -> tuple[FloatArray, FloatArray]:
        """Return price and quantity of one side; a side without quantity has no price."""
        quantities = self._number(batch, qty, zero_allowed=True)
        prices = self._number(batch, px, zero_allowed=True)
        empty = quantities == 0
        batch.fault(self._sources[px].column, (prices == 0) & ~empty, "a number above 0")
        return np.where(empty, np.nan, prices), quantities

    def _trades(self, batch: Batch) -> Iterable[Trade]:
        price = self._number(batch, "price")
        qty = self._number(batch, "qty")
        aggressor = self._aggressor(batch)
        id_source = self._sources.get("trade_id")
        ids = np.array(batch.text(id_source.column), dtype=object) if id_source else None
        rows = self._pick(batch)
        return map(
            Trade,
            rows.symbols,
            rows.of(price).tolist(),
            rows.of(qty).tolist(),
            repeat("") if aggressor is None else rows.of(aggressor).tolist(),
            repeat("") if ids is None else rows.of(ids).tolist(),
            rows.of(rows.exchange_time_ns).tolist(),
            rows.of(rows.receive_time_ns).tolist(),
        )

    def _aggressor(self, batch: Batch) -> npt.NDArray[Any] | None:
        if source := self._sources.get("aggressor"):
            codes = batch.word(source.column, AGGRESSORS, missing=NOT_TOLD)
        elif source := self._sources.get("buyer_is_maker"):
            codes = batch.word(
                source.column, TRUTH, missing=NOT_TOLD
            )  # the maker bought: the taker sold
        else:
            return None
        return np.array(SIDE_NAMES, dtype=object)[codes]

    def _levels(self, batch: Batch) -> DepthRows:
        is_ask = batch.word(self._sources["side"].column, IS_ASK)
        price = self._number(batch, "price")
        qty = self._number(batch, "qty", zero_allowed=True)
        kind, group = self._sources.get("kind"), self._sources.get("group")
        is_snapshot = (
            batch.word(kind.column, IS_SNAPSHOT)
            if kind
            else np.full(batch.rows, int(self._entry.snapshots), dtype=np.int64)
        )
        groups = batch.count(group.column) if group else np.zeros(batch.rows, dtype=np.int64)
        rows = self._pick(batch)
        return DepthRows(
            receive_time_ns=rows.of(rows.receive_time_ns),
            exchange_time_ns=rows.of(rows.exchange_time_ns),
            symbol=rows.of(rows.symbol_codes),
            is_snapshot=rows.of(is_snapshot),
            group=rows.of(groups),
            is_ask=rows.of(is_ask),
            price=rows.of(price),
            qty=rows.of(qty),
        )

    def _bars(self, batch: Batch) -> Iterable[Bar]:
        start = self._time(batch, "start_time")
        prices = [self._number(batch, name) for name in ("open", "high", "low", "close")]
        highest, lowest = np.maximum.reduce(prices), np.minimum.reduce(prices)
        batch.fault(self._sources["high"].column, highest > prices[1], "the bar's highest price")
        batch.fault(self._sources["low"].column, lowest < prices[2], "the bar's lowest price")
        zeros = np.zeros(batch.rows)
        volume, trades = (
            self._number(batch, name, zero_allowed=True) if name in self._sources else zeros
            for name in ("volume", "trade_count")
        )
        rows = self._pick(batch)
        return map(
            Bar,
            rows.symbols,
            repeat(self._entry.interval or 0),
            rows.of(start).tolist(),
            *(rows.of(array).tolist() for array in (*prices, volume)),
            rows.of(trades.astype(np.int64)).tolist(),
            rows.of(rows.receive_time_ns).tolist(),
        )

    def _number(self, batch: Batch, field: str, *, zero_allowed: bool = False) -> FloatArray:
        return batch.number(self._sources[field].column, zero_allowed=zero_allowed)

    def _time(self, batch: Batch, field: str, *, optional: bool = False) -> IntArray:
        source = self._sources.get(field)
        if source is None:
            return np.zeros(batch.rows, dtype=np.int64)
        return batch.time_ns(source.column, source.unit_ns, optional=optional)

    def _receive_time(self, batch: Batch) -> tuple[IntArray, str]:
        if source := self._sources.get("receive_time"):
            return self._time(batch, "receive_time"), source.column
        end = self._time(batch, "start_time") + (self._entry.interval or 0)
        return end, self._sources["start_time"].column

    def _pick(self, batch: Batch) -> _Picked:
        """Check times and symbols, deal with bad rows, and choose the rows to use.

        Called last, when every other column has been checked.
        """
        receive, column = self._receive_time(batch)
        exchange = self._time(batch, "exchange_time", optional=True)
        wanted, codes = self._wanted(batch)
        batch.order(column, receive, self._last_ns)
        if not self._recording.skip_bad_rows:
            batch.raise_first()
        take = wanted & ~batch.bad
        count = int(batch.bad.sum())
        if count:
            path = self._entry.path
            self._skipped[path] = self._skipped.get(path, 0) + count
        if count < batch.rows:
            self._last_ns = int(receive[~batch.bad].max())
        if bool(take.all()):
            return _Picked(None, self._named(codes), codes, receive, exchange)
        return _Picked(take, self._named(codes[take]), codes, receive, exchange)

    def _wanted(self, batch: Batch) -> tuple[BoolArray, IntArray]:
        """Return which rows are of our instruments, and the place of each one's symbol."""
        if self._entry.symbol:
            return np.ones(batch.rows, dtype=np.bool_), np.zeros(batch.rows, dtype=np.int64)
        names = batch.text(self._sources["symbol"].column)
        batch.fault(
            self._sources["symbol"].column,
            np.array([not name for name in names], dtype=np.bool_),
            "the name of an instrument",
        )
        codes = np.array([self._codes.get(name, -1) for name in names], dtype=np.int64)
        return codes >= 0, codes

    def _named(self, codes: IntArray) -> Iterable[str]:
        if self._entry.symbol:
            return repeat(self._symbols[0], len(codes))
        return [self._symbols[code] for code in codes.tolist()]
