"""Frames of Peatio's first generation, "websocket_api", as our events. No I/O.

One `Codec` lives as long as one connection. Orders go by REST in both generations, so there is one
frame to encode: the one that signs in.
"""

from typing import TYPE_CHECKING, Final

import msgspec

from botkit.model import Event
from venues.peatio import wire
from venues.peatio.books import OrderBook
from venues.peatio.reports import Reports
from venues.peatio.wire import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Authenticated", "Challenged", "Codec", "Notice", "Refused", "encode_authenticate"]

_frame = msgspec.json.Decoder(wire.SessionFrame).decode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
ACTIONS: Final = frozenset({"new", "add", "update", "remove"})
MOST_KINDS: Final = 1_000


class Notice(msgspec.Struct, frozen=True, gc=False):
    """What concerns the session and not the engine."""


class Challenged(Notice, frozen=True, gc=False):
    """The server has spoken first; its challenge is not used."""


class Authenticated(Notice, frozen=True, gc=False):
    """The token was accepted: everything flows from now on."""


class Refused(Notice, frozen=True, gc=False):
    """Any error that the server sends."""

    text: str


class Codec:
    """Reads the frames of one connection.

    Parameters
    ----------
    reports
        Makes reports of our orders and trades.
    private
        Whether our orders are told; a dry run's are not at the venue.
    """

    def __init__(self, reports: Reports, *, private: bool = True) -> None:
        self._reports = reports
        self._private = private
        self.books: Mapping[str, OrderBook] = {
            name: OrderBook(instrument, reports.now_ns)
            for name, instrument in reports.instruments.items()
        }
        self.unknown: dict[str, int] = {}  # how often frames came that we have no use for

    def decode(self, frame: bytes) -> list[Event | Notice]:
        """Return what `frame` says; nothing for what carries nothing for us.

        Raises
        ------
        VenueProtocolError
            It cannot be read.
        """
        message = parse(_frame, frame, "frame")
        if message.orderbook is not None:
            return self._on_book(message.orderbook)
        if message.trade is not None:
            return [*self._reports.trades(message.trade)] if self._private else []
        if message.success is not None:
            return [Authenticated()]
        if message.error is not None:
            return [Refused(message.error.message)]
        if message.challenge is not None:
            return [Challenged()]
        kinds = parse(_object, frame, "frame")
        return self._left_out(next(iter(kinds), "empty object"))

    def _left_out(self, what: str) -> list[Event | Notice]:
        if what in self.unknown or len(self.unknown) < MOST_KINDS:
            self.unknown[what] = self.unknown.get(what, 0) + 1
        return []

    def _on_book(self, change: wire.BookChange) -> list[Event | Notice]:
        book = self.books.get(change.order.market)
        if book is None:
            return self._left_out(f"orderbook of {change.order.market}")
        if change.action not in ACTIONS:
            return self._left_out(f"orderbook action {change.action}")
        delta = book.change(change)
        events: list[Event | Notice] = [] if delta is None else [delta]
        own = self._reports.own.get(change.order.id) if self._private else None
        if own is not None and change.action != "new":
            gone = change.action == "remove"
            events.append(self._reports.resting(own, change.order.volume, gone=gone))
        return events

    def taken_in(self, row: wire.OrderRow) -> list[Event]:
        """Return what the book has told of an order before the answer to its POST named it."""
        own = self._reports.learn(row)
        if own is None:
            return []
        book = self.books[row.symbol]
        left, was_left = book.left(row.id), book.removed(row.id)
        if was_left is not None:
            return [self._reports.resting(own, was_left, gone=True)]
        return [] if left is None else [self._reports.resting(own, left)]


def encode_authenticate(bearer: str) -> bytes:
    """Return the frame that signs in with `Bearer TOKEN`."""
    return _encode(wire.Authenticate(jwt=bearer))
