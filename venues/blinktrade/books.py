"""BlinkTrade's books: one entry per order, changed by position, told on as price levels."""

from collections.abc import Mapping
from typing import Final

from botkit.model import BookDelta, BookSnapshot, Instrument, Level
from venues.blinktrade.wire import UNITS, MdEntry, Tag

__all__ = ["BIDS", "Books", "BrokenBookError"]

BIDS: Final = "0"
ASKS: Final = "1"
NEW, UPDATE, DELETE, DELETE_THROUGH = "0", "1", "2", "3"
SHOWN_ID: Final = 40


class BrokenBookError(Exception):
    """A change does not fit the book: it must be fetched anew."""


class _Side:
    """The orders of one side by position, and what they come to by price."""

    __slots__ = ("levels", "orders")

    def __init__(self) -> None:
        self.orders: list[tuple[Tag, int, int]] = []  # (id, price, size), best first
        self.levels: dict[int, int] = {}

    @property
    def best(self) -> int:
        """Price of the first order; 0 if there is none."""
        return self.orders[0][1] if self.orders else 0

    def append(self, entry: MdEntry) -> None:
        """Take an entry of a snapshot, which come in order."""
        price, size = entry.md_entry_px, entry.md_entry_size
        self.orders.append((entry.order_id, price, size))
        self.levels[price] = self.levels.get(price, 0) + size

    def change(self, entry: MdEntry, changed: dict[int, int]) -> None:
        """Do what `entry` says; note the prices it touches, with their quantities, in `changed`."""
        position, action = entry.md_entry_position_no, entry.md_update_action
        orders = self.orders
        if not 1 <= position <= len(orders) + (action == NEW):
            raise BrokenBookError(
                f"action {action!r} at position {position} of a side with {len(orders)} orders"
            )
        if action == NEW:
            price, size = entry.md_entry_px, entry.md_entry_size
            orders.insert(position - 1, (entry.order_id, price, size))
            self._add(price, size, changed)
        elif action == UPDATE:
            self._update(position - 1, entry, changed)
        elif action == DELETE:
            self._remove(position - 1, position, changed)
        elif action == DELETE_THROUGH:
            self._remove(0, position, changed)
        else:
            raise BrokenBookError(f"found the action {action[:SHOWN_ID]!r}, allowed: 0 1 2 3")

    def _update(self, index: int, entry: MdEntry, changed: dict[int, int]) -> None:
        held, price, size = self.orders[index]
        if entry.order_id not in (None, held) or entry.md_entry_px not in (0, price):
            raise BrokenBookError(
                f"an update of order {str(entry.order_id)[:SHOWN_ID]} at position {index + 1}, "
                f"where order {str(held)[:SHOWN_ID]} is"
            )
        self.orders[index] = (held, price, entry.md_entry_size)
        self._add(price, entry.md_entry_size - size, changed)

    def _remove(self, start: int, stop: int, changed: dict[int, int]) -> None:
        for _, price, size in self.orders[start:stop]:
            self._add(price, -size, changed)
        del self.orders[start:stop]

    def _add(self, price: int, size: int, changed: dict[int, int]) -> None:
        total = self.levels.get(price, 0) + size
        if total:
            self.levels[price] = total
        else:
            self.levels.pop(price, None)
        changed[price] = total


class _Book:
    """One instrument's book, as one subscription tells it."""

    __slots__ = ("asks", "bids", "crossed_since_ns", "instrument", "is_known")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bids, self.asks = _Side(), _Side()
        self.is_known = False  # the snapshot has come
        self.crossed_since_ns = 0

    @property
    def is_crossed(self) -> bool:
        """True if the best bid is at or above the best ask."""
        return bool(self.bids.orders and self.asks.orders) and self.bids.best >= self.asks.best


class Books:
    """The books of one connection, by the id of their subscription.

    Parameters
    ----------
    instruments
        By the venue's own names.
    crossed_for_ns
        How long a book may be crossed before it counts as broken.
    """

    def __init__(self, instruments: Mapping[str, Instrument], crossed_for_ns: int) -> None:
        self._instruments = instruments
        self._crossed_for_ns = crossed_for_ns
        self._books: dict[Tag, _Book] = {}

    def expect(self, name: str, req_id: int) -> None:
        """Expect the book of `name` under a new id; what comes under its old one is ignored."""
        for old in [key for key, book in self._books.items() if book.instrument.name == name]:
            del self._books[old]
        self._books[req_id] = _Book(self._instruments[name])

    def name_of(self, req_id: Tag) -> str | None:
        """Return whose book has this id now; None if none has."""
        book = self._books.get(req_id)
        return None if book is None else book.instrument.name

    def forget(self, req_id: Tag) -> None:
        """Take nothing under this id any more."""
        self._books.pop(req_id, None)

    def snapshot(self, req_id: Tag, entries: list[MdEntry], now_ns: int) -> BookSnapshot:
        """Take the whole of a book."""
        book = self._books[req_id]
        book.is_known, book.crossed_since_ns = True, 0
        book.bids, book.asks = bids, asks = _Side(), _Side()
        for entry in entries:
            kind = entry.md_entry_type
            if kind == BIDS:
                bids.append(entry)
            elif kind == ASKS:
                asks.append(entry)
        return BookSnapshot(
            book.instrument.symbol,
            _levels(bids.levels),
            _levels(asks.levels),
            receive_time_ns=now_ns,
        )

    def change(self, req_id: Tag, entries: list[MdEntry], now_ns: int) -> BookDelta | None:
        """Take changes in order; None if they leave the book as it was.

        Raises
        ------
        BrokenBookError
            They do not fit.
        """
        book = self._books[req_id]
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        for entry in entries:
            kind = entry.md_entry_type
            if kind not in (BIDS, ASKS):
                continue
            if not book.is_known:
                raise BrokenBookError("a change before the snapshot")
            if kind == BIDS:
                book.bids.change(entry, bids)
            else:
                book.asks.change(entry, asks)
        self._look_for_cross(book, now_ns)
        if not (bids or asks):
            return None
        return BookDelta(
            book.instrument.symbol, _levels(bids), _levels(asks), receive_time_ns=now_ns
        )

    def _look_for_cross(self, book: _Book, now_ns: int) -> None:
        if not book.is_crossed:
            book.crossed_since_ns = 0
        elif not book.crossed_since_ns:
            book.crossed_since_ns = now_ns
        elif now_ns - book.crossed_since_ns > self._crossed_for_ns:
            raise BrokenBookError(f"crossed, {book.bids.best} bid at {book.asks.best} asked")


def _levels(levels: Mapping[int, int]) -> list[Level]:
    # Both are whole numbers a float holds, so the quotient is the float nearest to the price.
    return [(price / UNITS, size / UNITS) for price, size in levels.items()]
