"""A BlinkTrade codec, and frames of the venue's pages, for tests."""

import json
from decimal import Decimal
from typing import Any

from botkit.model import Instrument
from venues.blinktrade.codec import Codec

__all__ = ["ENTRY", "NOW_NS", "Desk", "S", "only"]

NOW_NS = 1_700_000_000_000_000_000
S = 1_000_000_000
BTC = Instrument(
    symbol="blink:BTCUSD",
    base="BTC",
    quote="USD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.000001"),
)
ENTRY = {"MDEntryDate": "2026-01-01", "MDEntryTime": "15:02:26", "Broker": "exchange"}


class Desk:
    """A codec whose time the test sets."""

    def __init__(self, **options: Any) -> None:
        self.now_ns = NOW_NS
        self.codec = Codec("blink", {"BTCUSD": BTC}, lambda: self.now_ns, broker_id=5, **options)
        self.book_id, self.request = self.codec.subscribe("BTCUSD")

    def decode(self, message: Any) -> list[Any]:
        return list(self.codec.decode(json.dumps(message).encode()))

    def book(self, bids: list[tuple[int, int, int]], asks: list[tuple[int, int, int]]) -> list[Any]:
        """Give it a snapshot of (id, price, size) in whole units of currency and 0.01 BTC."""
        rows = [
            {**ENTRY, "MDEntryType": kind, "MDEntryPositionNo": number, "OrderID": order_id,
             "MDEntryPx": price * 10**8, "MDEntrySize": size * 10**6}
            for kind, side in (("0", bids), ("1", asks))
            for number, (order_id, price, size) in enumerate(side, 1)
        ]  # fmt: skip
        return self.decode(
            {"MsgType": "W", "MDReqID": self.book_id, "Symbol": "BTCUSD", "MDFullGrp": rows}
        )

    def change(self, *entries: dict[str, Any]) -> list[Any]:
        return self.decode({"MsgType": "X", "MDReqID": self.book_id, "MDIncGrp": list(entries)})


def only(events: list[Any]) -> Any:
    (event,) = events
    return event
