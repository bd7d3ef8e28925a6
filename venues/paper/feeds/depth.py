"""Turn rows of price levels into book snapshots and deltas that can be applied as they come."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import attrs
import msgspec
import numpy as np

from botkit.model import BookDelta, BookSnapshot, Level
from venues.paper.feeds.checks import FloatArray, IntArray

__all__ = ["DepthBuilder", "DepthRows"]

HELD_MAX: Final = 1_000  # deltas kept while waiting for the snapshot they follow


@attrs.frozen(kw_only=True)
class DepthRows:
    """Price levels, one a row, oldest first; arrays of one length."""

    receive_time_ns: IntArray
    exchange_time_ns: IntArray
    symbol: IntArray  # place in the builder's symbols
    is_snapshot: IntArray  # 1 or 0
    group: IntArray  # which message the row is of, rising; all 0 if the file does not say
    is_ask: IntArray  # 1 or 0
    price: FloatArray
    qty: FloatArray

    def __len__(self) -> int:
        return len(self.price)

    def slice(self, start: int, stop: int) -> "DepthRows":
        """Return the rows in [start, stop)."""
        return attrs.evolve(self, **{name: getattr(self, name)[start:stop] for name in _NAMES})

    def then(self, later: "DepthRows") -> "DepthRows":
        """Return these rows and `later`."""
        return DepthRows(
            **{n: np.concatenate((getattr(self, n), getattr(later, n))) for n in _NAMES}
        )

    def starts(self) -> IntArray:
        """Return the first row of every event: rows of one message, or else of one instant."""
        changed = np.zeros(len(self) - 1, dtype=np.bool_)
        for column in (self.receive_time_ns, self.group, self.is_snapshot, self.symbol):
            changed |= np.diff(column) != 0
        return np.concatenate(([0], np.flatnonzero(changed) + 1))


_NAMES: Final = tuple(field.name for field in attrs.fields(DepthRows))


@attrs.define
class _Sequence:
    """Where one instrument's book stands: `group` of its snapshot, None while there is none."""

    group: int | None = None
    held: deque[tuple[int, BookDelta]] = attrs.field(factory=lambda: deque(maxlen=HELD_MAX))


class DepthBuilder:
    """Builds the events of one file.

    Recorders ask for a snapshot after subscribing, so deltas arrive that the snapshot already
    contains, and deltas newer than it arrive before it. Going by `group`, the former are left
    out, and the latter follow the snapshot, at its time.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = symbols
        self._sequences = [_Sequence() for _ in symbols]
        self._open: DepthRows | None = None  # the last message: more of it may follow
        self.has_snapshot = False

    def add(self, rows: DepthRows) -> Iterator[BookSnapshot | BookDelta]:
        """Yield the events that are complete."""
        if self._open is not None:
            rows = self._open.then(rows)
        if not len(rows):
            return
        last = int(rows.starts()[-1])
        self._open = rows.slice(last, len(rows))
        yield from self._build(rows.slice(0, last))

    def finish(self) -> Iterator[BookSnapshot | BookDelta]:
        """Yield the last event: the file has ended."""
        if self._open is not None:
            yield from self._build(self._open)
            self._open = None

    def _build(self, rows: DepthRows) -> Iterator[BookSnapshot | BookDelta]:
        if not len(rows):
            return
        starts = rows.starts()
        event = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(rows))))
        order = np.argsort(event * 2 + rows.is_ask, kind="stable")  # an event's bids, its asks
        levels = list(zip(rows.price[order].tolist(), rows.qty[order].tolist(), strict=True))
        asks_from = np.append(starts[1:], len(rows)) - np.add.reduceat(rows.is_ask, starts)
        for start, middle, stop, symbol, is_snapshot, group, exchange_ns, receive_ns in zip(
            starts.tolist(),
            asks_from.tolist(),
            [*starts[1:].tolist(), len(rows)],
            rows.symbol[starts].tolist(),
            rows.is_snapshot[starts].tolist(),
            rows.group[starts].tolist(),
            rows.exchange_time_ns[starts].tolist(),
            rows.receive_time_ns[starts].tolist(),
            strict=True,
        ):
            bids, asks = levels[start:middle], levels[middle:stop]
            name = self._symbols[symbol]
            if is_snapshot:
                bids, asks = _best_first(bids, reverse=True), _best_first(asks, reverse=False)
                snapshot = BookSnapshot(name, bids, asks, exchange_ns, receive_ns)
                yield from self._restart(self._sequences[symbol], group, snapshot)
                continue
            delta = BookDelta(name, bids, asks, exchange_ns, receive_ns)
            sequence = self._sequences[symbol]
            if sequence.group is None:
                sequence.held.append((group, delta))
            elif group > sequence.group or not group:
                yield delta

    def _restart(
        self, sequence: _Sequence, group: int, snapshot: BookSnapshot
    ) -> Iterator[BookSnapshot | BookDelta]:
        self.has_snapshot = True
        sequence.group = group
        yield snapshot
        for held_group, delta in sequence.held:
            if held_group > group:
                yield msgspec.structs.replace(delta, receive_time_ns=snapshot.receive_time_ns)
        sequence.held.clear()


def _best_first(levels: list[Level], *, reverse: bool) -> list[Level]:
    return sorted((level for level in levels if level[1] > 0), reverse=reverse)
