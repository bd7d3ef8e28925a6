"""Finery's books: kept in its own whole numbers, since `~` cannot be read without them."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from botkit.errors import VenueProtocolError
from botkit.model import BookDelta, BookSnapshot, Instrument, Level
from venues.finery import wire
from venues.finery.wire import parse

__all__ = ["Books", "decode_snapshot"]

LEVEL_ACTIONS: Final = frozenset("+M-~")
Sides = tuple[dict[int, int], dict[int, int]]

decode_snapshot = msgspec.json.Decoder(tuple[list[wire.Level], list[wire.Level]]).decode
_changes = msgspec.json.Decoder(tuple[list[wire.LevelChange], list[wire.LevelChange]]).decode


class Books:
    """The books of one connection, by the venue's names of their instruments."""

    def __init__(self, instruments: Mapping[str, Instrument], now_ns: Callable[[], int]) -> None:
        self._instruments = instruments
        self._now_ns = now_ns
        self._sides: dict[str, Sides] = {}

    def snapshot(self, name: str, payload: msgspec.Raw) -> BookSnapshot:
        """Take the whole of a book."""
        bids, asks = parse(decode_snapshot, payload, "book snapshot")
        self._sides[name] = dict(bids), dict(asks)
        return BookSnapshot(
            self._instruments[name].symbol,
            _levels(bids),
            _levels(asks),
            receive_time_ns=self._now_ns(),
        )

    def change(self, name: str, payload: msgspec.Raw) -> BookDelta:
        """Take a change; raise `VenueProtocolError` if there is nothing that it could change."""
        sides = self._sides.get(name)
        if sides is None:
            raise VenueProtocolError(f"finery: {name}: a book's change came before its snapshot")
        bids, asks = parse(_changes, payload, "book change")
        return BookDelta(
            self._instruments[name].symbol,
            _apply(sides[0], bids, better=int.__gt__),
            _apply(sides[1], asks, better=int.__lt__),
            receive_time_ns=self._now_ns(),
        )


def _levels(levels: list[wire.Level]) -> list[Level]:
    # Both are whole numbers a float holds, so the quotient is the float nearest to the price.
    return [(price / wire.UNITS, size / wire.UNITS) for price, size in levels]


def _apply(
    side: dict[int, int], changes: list[wire.LevelChange], *, better: Callable[[int, int], bool]
) -> list[Level]:
    """Change one side of a book; return its changed levels in our own units."""
    changed: dict[int, int] = {}
    for action, price, size in changes:
        if action not in LEVEL_ACTIONS:
            raise VenueProtocolError(f"finery: found the level action {action!r}, allowed: + M - ~")
        if action == "~":  # the new best: nothing better is left; at price 0, nothing at all
            for level in [each for each in side if not price or better(each, price)]:
                del side[level]
                changed[level] = 0
            if not price:
                continue
        if size and action != "-":
            side[price] = changed[price] = size
        else:
            side.pop(price, None)
            changed[price] = 0
    return [(price / wire.UNITS, size / wire.UNITS) for price, size in changed.items()]
