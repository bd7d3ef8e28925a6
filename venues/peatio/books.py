"""Peatio's books: single orders in the first generation, levels with a sequence in the second."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from math import inf
from typing import Final

from botkit.errors import VenueProtocolError
from botkit.model import BookDelta, BookSnapshot, Instrument, Level
from venues.peatio import wire

__all__ = ["MOST_ROWS", "LevelBook", "OrderBook"]

REMEMBERED: Final = 10_000
BUFFERED_MOST: Final = 100_000
INFINITE: Final = inf
MOST_ROWS: Final = 200  # of a side, that REST gives
Sides = dict[float, dict[int, Decimal]]  # by price: what is left of each order
Place = tuple[str, float]  # side and price


class OrderBook:
    """One market of the first generation.

    It begins empty, keeps what comes until a snapshot from REST is there, and replays that on it:
    the venue sends neither snapshot nor sequence.
    """

    def __init__(self, instrument: Instrument, now_ns: Callable[[], int]) -> None:
        self._instrument = instrument
        self._now_ns = now_ns
        self._sides: dict[str, Sides] = {"bid": {}, "ask": {}}
        self._places: dict[int, Place] = {}
        self._buffer: list[wire.BookChange] | None = []
        self._is_known = False
        self._removed: dict[int, Decimal] = {}  # what was left of orders that went, oldest first

    def left(self, order_id: int) -> Decimal | None:
        """Return what rests of an order; None if it is not in the book."""
        place = self._places.get(order_id)
        return None if place is None else self._sides[place[0]][place[1]][order_id]

    def removed(self, order_id: int) -> Decimal | None:
        """Return what was left of an order that has gone; None if none such has lately."""
        return self._removed.get(order_id)

    def load(self, snapshot: wire.OrderBook, limit: int = MOST_ROWS) -> BookSnapshot | None:
        """Take the book from REST, and on it what has come since it was asked for.

        A side of `limit` rows may have more behind them: there, what is known stays. None if all
        of it was as it is kept here.
        """
        before, had = self._sides, self._is_known
        self._sides, self._places = {"bid": {}, "ask": {}}, {}
        for side, rows in (("bid", snapshot.bids), ("ask", snapshot.asks)):
            priced = [(row.id, row.price, row.remaining_volume) for row in rows]
            if len(rows) >= limit:
                self._keep_behind(before[side], side, [px for _, px, _ in priced if px is not None])
            for order_id, price, left in priced:
                if price is not None and left:
                    self._put(order_id, (side, float(price)), left)
        buffered, self._buffer, self._is_known = self._buffer or [], None, True
        for change in buffered:
            self._apply(change)
        if had and before == self._sides:
            return None
        return BookSnapshot(
            self._instrument.symbol,
            self._levels("bid"),
            self._levels("ask"),
            receive_time_ns=self._now_ns(),
        )

    def _keep_behind(self, known: Sides, side: str, prices: list[Decimal]) -> None:
        """Keep what is known of the levels behind the worst of `prices`."""
        if not prices:
            return
        worst = float(min(prices) if side == "bid" else max(prices))
        for price, orders in known.items():
            if price < worst if side == "bid" else price > worst:
                for order_id, left in orders.items():
                    self._put(order_id, (side, price), left)

    def record(self) -> None:
        """Keep what comes from now on, to be replayed on what REST will say."""
        self._buffer = []

    def change(self, change: wire.BookChange) -> BookDelta | None:
        """Take a change; return what it did to the levels, None while they are not known."""
        if self._buffer is not None:
            if len(self._buffer) >= BUFFERED_MOST:
                raise VenueProtocolError("peatio: the book did not come from REST for too long")
            self._buffer.append(change)
        if not self._is_known:
            self._note_removed(change)
            return None
        changed = self._apply(change)
        return self._delta(changed) if changed else None

    def _note_removed(self, change: wire.BookChange) -> None:
        if change.action == "remove":
            self._removed[change.order.id] = change.order.volume
            if len(self._removed) > REMEMBERED:
                del self._removed[next(iter(self._removed))]

    def _apply(self, change: wire.BookChange) -> list[Place]:
        """Change the orders; return the levels that are other than before."""
        order = change.order
        self._note_removed(change)
        known = self._places.get(order.id)
        match change.action:
            case "new":
                emptied: list[Place] = [(order.type, price) for price in self._sides[order.type]]
                for order_id in [i for i, place in self._places.items() if place[0] == order.type]:
                    del self._places[order_id]
                self._sides[order.type] = {}
                return emptied
            case "add" if known is None and order.price is not None and order.volume:
                place: Place = (order.type, float(order.price))
                self._put(order.id, place, order.volume)
                return [place]
            case "update" if known is not None and order.volume:
                self._put(order.id, known, order.volume)
                return [known]
            case "remove" | "update" if known is not None:
                self._take(order.id, known)
                return [known]
        return []

    def _put(self, order_id: int, place: Place, left: Decimal) -> None:
        self._places[order_id] = place
        self._sides[place[0]].setdefault(place[1], {})[order_id] = left

    def _take(self, order_id: int, place: Place) -> None:
        del self._places[order_id]
        level = self._sides[place[0]][place[1]]
        del level[order_id]
        if not level:
            del self._sides[place[0]][place[1]]

    def _delta(self, places: Iterable[Place]) -> BookDelta:
        changed: dict[str, list[Level]] = {"bid": [], "ask": []}
        for side, price in places:
            orders = self._sides[side].get(price)
            changed[side].append((price, float(sum(orders.values())) if orders else 0.0))
        return BookDelta(
            self._instrument.symbol, changed["bid"], changed["ask"], receive_time_ns=self._now_ns()
        )

    def _levels(self, side: str) -> list[Level]:
        levels = self._sides[side]
        return [
            (price, float(sum(levels[price].values())))
            for price in sorted(levels, reverse=side == "bid")
        ]


class LevelBook:
    """One market of the second generation: nothing is kept but where the sequence stands."""

    def __init__(self, instrument: Instrument, now_ns: Callable[[], int]) -> None:
        self._symbol = instrument.symbol
        self._now_ns = now_ns
        self._sequence: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether a snapshot has come that nothing has broken since."""
        return self._sequence is not None

    def forget(self) -> None:
        """Wait for a snapshot."""
        self._sequence = None

    def snapshot(self, told: wire.BookSnapshot) -> BookSnapshot:
        """Take the whole of the book."""
        self._sequence = told.sequence
        return BookSnapshot(
            self._symbol,
            sorted(_filled(told.bids), reverse=True),
            sorted(_filled(told.asks)),
            receive_time_ns=self._now_ns(),
        )

    def change(self, told: wire.BookIncrement | wire.BookSnapshot) -> BookDelta | None:
        """Take an increment; None before a snapshot, and for one that breaks the sequence."""
        if self._sequence is None:
            return None
        if told.sequence != self._sequence + 1:
            self._sequence = None
            return None
        self._sequence = told.sequence
        if isinstance(told, wire.BookSnapshot):
            bids, asks = _checked(told.bids), _checked(told.asks)
        else:
            bids, asks = _levels(_pairs(told.bids)), _levels(_pairs(told.asks))
        return BookDelta(self._symbol, bids, asks, receive_time_ns=self._now_ns())


def _pairs(side: "list[str | wire.PriceAmount]") -> list[wire.PriceAmount]:
    """Return pairs of what is one flat pair or a list of pairs."""
    if side and isinstance(side[0], str):
        if len(side) != len(("price", "amount")) or not isinstance(side[1], str):
            raise VenueProtocolError(f"peatio: found the increment {side!r}, not [price, amount]")
        return [(side[0], side[1])]
    pairs = [each for each in side if not isinstance(each, str)]
    if len(pairs) != len(side):
        raise VenueProtocolError(f"peatio: found the increment {side!r}, not [price, amount] pairs")
    return pairs


def _levels(pairs: list[wire.PriceAmount]) -> list[Level]:
    try:
        levels = [(float(price), float(amount or "0")) for price, amount in pairs]
    except ValueError as exc:
        raise VenueProtocolError(f"peatio: cannot read a level of the book: {exc}") from None
    return _checked(levels)


def _filled(levels: list[Level]) -> list[Level]:
    """Return the levels that have a quantity."""
    filled = [each for each in levels if 0.0 < each[1] < INFINITE and 0.0 <= each[0] < INFINITE]
    return filled if len(filled) == len(levels) else [e for e in _checked(levels) if e[1]]


def _checked(levels: list[Level]) -> list[Level]:
    """Return levels whose numbers are numbers; raise `VenueProtocolError` for others."""
    for price, qty in levels:
        if not (0.0 <= price < INFINITE and 0.0 <= qty < INFINITE):
            raise VenueProtocolError(f"peatio: found the level {price}, {qty} in a book")
    return levels
