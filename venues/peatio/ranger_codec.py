"""Frames of Peatio's second generation, "ranger", as our events; subscriptions as frames. No I/O.

One `RangerCodec` lives as long as one connection.
"""

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from botkit.errors import VenueProtocolError
from botkit.model import Event, FeedGap, Trade
from venues.peatio import wire
from venues.peatio.books import LevelBook
from venues.peatio.codec import MOST_KINDS, Notice
from venues.peatio.reports import SIDES, Reports
from venues.peatio.wire import parse, time_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "PING",
    "Broken",
    "Orphaned",
    "Pong",
    "RangerCodec",
    "Subscribed",
    "encode_subscribe",
    "public_trade",
]

PING: Final = b"ping"
PONG: Final = b"pong"

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_success = msgspec.json.Decoder(wire.Success).decode
_snapshot = msgspec.json.Decoder(wire.BookSnapshot, strict=False).decode
_increment = msgspec.json.Decoder(wire.BookIncrement).decode
_trades = msgspec.json.Decoder(wire.PublicTrades).decode
_order = msgspec.json.Decoder(wire.OrderRow).decode
_trade = msgspec.json.Decoder(wire.TradeRow).decode
_tickers = msgspec.json.Decoder(dict[str, wire.Ticker]).decode
_kline = msgspec.json.Decoder(wire.Kline).decode
_encode = msgspec.json.Encoder().encode


class Subscribed(Notice, frozen=True, gc=False):
    """Which streams are subscribed now; `message` is subscribed or unsubscribed."""

    message: str
    streams: list[str]


class Pong(Notice, frozen=True, gc=False):
    """The answer to a ping."""


class Broken(Notice, frozen=True, gc=False):
    """A book's sequence has a gap: its stream is to be subscribed anew."""

    market: str


class Orphaned(Notice, frozen=True, gc=False):
    """A trade of an order that nothing has named yet."""

    order_id: int


class RangerCodec:
    """Reads the frames of one connection; see `Codec` for the parameters."""

    def __init__(self, reports: Reports, *, private: bool = True) -> None:
        self._reports = reports
        self._private = private
        now_ns = reports.now_ns
        self.books: Mapping[str, LevelBook] = {
            name: LevelBook(each, now_ns) for name, each in reports.instruments.items()
        }
        self.unknown: dict[str, int] = {}
        self._streams: Mapping[str, Callable[[str, msgspec.Raw], list[Event | Notice]]] = {
            "ob-inc": self._on_increment,
            "ob-snap": self._on_snapshot,
            "trades": self._on_trades,
        }

    def decode(self, frame: bytes) -> list[Event | Notice]:
        """Return what `frame` says; nothing for what carries nothing for us.

        Raises
        ------
        VenueProtocolError
            It cannot be read.
        """
        if frame == PONG:
            return [Pong()]
        return [
            event
            for stream, payload in parse(_object, frame, "frame").items()
            for event in self._on_message(stream, payload)
        ]

    def _on_message(self, stream: str, payload: msgspec.Raw) -> list[Event | Notice]:
        market, dot, kind = stream.rpartition(".")
        if dot:
            if market in self.books and kind in self._streams:
                return self._streams[kind](market, payload)
            return self._on_other(stream, kind, payload)
        if stream == "success":
            success = parse(_success, payload, "success")
            return [Subscribed(success.message, success.streams)]
        if stream == "order" and self._private:
            row = parse(_order, payload, "order")
            report = self._reports.order(row)
            return [] if report is None else [report, *self._reports.release(row.id)]
        if stream == "trade" and self._private:
            return self._on_trade(parse(_trade, payload, "trade"))
        return self._left_out(stream)

    def _on_trade(self, row: wire.TradeRow) -> list[Event | Notice]:
        reports = self._reports.trades(row)
        if row.order_id is not None and self._reports.is_held(row.order_id):
            return [Orphaned(row.order_id)]
        return [*reports]

    def _on_other(self, stream: str, kind: str, payload: msgspec.Raw) -> list[Event | Notice]:
        """Check what is documented and not used here, and count it."""
        if stream == "global.tickers":
            parse(_tickers, payload, "tickers")
        elif kind.startswith("kline-"):
            parse(_kline, payload, "kline")
        return self._left_out(stream)

    def _left_out(self, what: str) -> list[Event | Notice]:
        if what in self.unknown or len(self.unknown) < MOST_KINDS:
            self.unknown[what] = self.unknown.get(what, 0) + 1
        return []

    # --- market data ------------------------------------------------------------------------

    def _on_snapshot(self, market: str, payload: msgspec.Raw) -> list[Event | Notice]:
        return [self.books[market].snapshot(parse(_snapshot, payload, "book snapshot"))]

    def _on_increment(self, market: str, payload: msgspec.Raw) -> list[Event | Notice]:
        book = self.books[market]
        was_known = book.is_known
        told = _of_pairs(payload) or parse(_increment, payload, "book increment")
        delta = book.change(told)
        if delta is not None:
            return [delta]
        if not was_known:
            return self._left_out("increment before its snapshot")
        gap = FeedGap(
            self._reports.venue,
            reason=f"the book's sequence jumped to {told.sequence}",
            symbol=self._reports.instruments[market].symbol,
            receive_time_ns=self._reports.now_ns(),
        )
        return [gap, Broken(market)]

    def _on_trades(self, market: str, payload: msgspec.Raw) -> list[Event | Notice]:
        rows = parse(_trades, payload, "trades").trades
        symbol = self._reports.instruments[market].symbol
        return [public_trade(row, symbol, self._reports.now_ns()) for row in rows]


def _of_pairs(payload: msgspec.Raw) -> wire.BookSnapshot | None:
    """Return an increment of many pairs, its numbers read in one go; None of any other."""
    if b"[[" not in bytes(payload):
        return None
    try:
        return _snapshot(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # a level to delete may have "" for its amount


def public_trade(row: wire.PublicTrade, symbol: str, now_ns: int) -> Trade:
    """Return a print of either generation; the first does not say who took."""
    qty = row.volume if row.amount is None else row.amount
    if qty is None:
        raise VenueProtocolError(f"peatio: the trade {row.number} has no amount")
    aggressor: Any = SIDES.get(row.taker_type or "")
    return Trade(
        symbol,
        price=float(row.price),
        qty=float(qty),
        aggressor="" if aggressor is None else aggressor.value,
        trade_id=str(row.number),
        exchange_time_ns=time_ns(row.created_at if row.date is None else row.date),
        receive_time_ns=now_ns,
    )


def encode_subscribe(
    streams: list[str], event: Literal["subscribe", "unsubscribe"] = "subscribe"
) -> bytes:
    """Return the frame that subscribes to `streams`, or leaves them."""
    return _encode(wire.Subscribe(event=event, streams=streams))
