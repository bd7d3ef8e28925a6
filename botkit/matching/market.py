"""One instrument at a simulated venue: its book, what we took of it, our orders in line."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal
from math import inf
from operator import attrgetter
from typing import Final

from botkit.matching.queue import QueueModel
from botkit.matching.working import PaperOrder
from botkit.model import Book, BookDelta, BookSnapshot, Instrument, Level, Quote, Side, Trade

__all__ = ["Market", "Share", "Step"]

FIRST_LEVELS: Final = 4  # most orders end within these; deeper walks copy more at a time
by_rank = attrgetter("rank")

Step = tuple[float, float, Decimal]
"""Something to take: price, the quantity shown there, the quantity for us."""
Share = tuple[PaperOrder, Decimal]
"""One of our orders and what a print gives it."""


class Market:
    """Book and working orders of one instrument.

    While nothing of ours works here a quote is only remembered: a book made of quotes is its
    last quote, so applying it can wait until an order arrives.
    """

    __slots__ = (
        "_any_taken", "_seen_whole", "_taken", "_unread_quote", "book", "buys", "dark",
        "instrument", "is_spot", "sells", "stops",
    )  # fmt: skip

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.is_spot = instrument.contract_multiplier == 1 and not instrument.inverse
        self.book = Book(instrument.symbol)
        self.dark = False  # after a FeedGap, until the book is whole again
        self.buys: list[PaperOrder] = []  # best price first, then oldest first
        self.sells: list[PaperOrder] = []
        self.stops: list[PaperOrder] = []  # oldest first
        # Price -> (shown when taken, taken since), of the bids and of the asks.
        self._taken: dict[Side, dict[float, tuple[float, float]]] = {Side.BUY: {}, Side.SELL: {}}
        self._any_taken = False
        self._unread_quote: Quote | None = None
        self._seen_whole = False  # a quote or snapshot was seen, so deltas and prints end no gap

    # -- market data -----------------------------------------------------------------------

    def take_quote(self, quote: Quote) -> bool:
        """Bring the book up to date; return True if our orders have to look at it."""
        self.dark = False
        self._seen_whole = True
        if self.buys or self.sells or self.stops:
            self.book.apply_quote(quote)
            self._forget_taken()
            return True
        if self._any_taken or self.book.has_depth:
            self.book.apply_quote(quote)
            self._forget_taken()
        else:
            self._unread_quote = quote
        return False

    def take_depth(self, event: BookSnapshot | BookDelta) -> bool:
        """Bring the book up to date; return True if our orders have to look at it.

        A delta after a gap changes a book nobody knows: it is dropped.
        """
        if isinstance(event, BookSnapshot):
            self.dark = False
            self._seen_whole = True
            self._unread_quote = None
            self.book.apply_snapshot(event)
        elif self.dark and self._seen_whole:
            return False
        else:
            self.dark = False
            self.read_quote()
            self.book.apply_delta(event)
        self._forget_taken()
        return bool(self.buys or self.sells or self.stops)

    def take_print(self) -> bool:
        """Return True if a print counts: not in a gap, which it ends only for prints-only feeds."""
        if self.dark and not self._seen_whole:
            self.dark = False
        return not self.dark

    def read_quote(self) -> None:
        """Put the quote that was only remembered into the book. Call before using the book."""
        if self._unread_quote is not None:
            self.book.apply_quote(self._unread_quote)
            self._unread_quote = None
            self._forget_taken()

    def go_dark(self) -> None:
        """Forget the book: until it is whole again nothing fills."""
        self.dark = True
        self._unread_quote = None
        self.book.clear()
        self._forget_taken()
        for order in self.buys + self.sells:
            order.shown = order.traded = 0.0

    # -- liquidity -------------------------------------------------------------------------

    def plan(self, order: PaperOrder) -> list[Step]:
        """Return what `order` finds up to its price: best first, less what we took before."""
        steps: list[Step] = []
        if not self.crossed(order):
            return steps
        against = order.side.opposite
        taken, wanted, limit = self._taken[against], order.leaves_qty, order.price_px
        for price, shown in self._levels(against):
            if price > limit if order.is_buy else price < limit:
                break
            free = shown - taken[price][1] if price in taken else shown
            qty = wanted if free >= wanted else self.instrument.quantity(free)
            if qty > 0:
                steps.append((price, shown, qty))
                wanted -= qty
                if not wanted:
                    break
        return steps

    def take(self, against: Side, step: Step, qty: Decimal) -> None:
        """Mark `qty` of a level as gone until a message gives that level another quantity."""
        price, shown, _ = step
        before = self._taken[against].get(price, (shown, 0.0))[1]
        self._taken[against][price] = (shown, before + float(qty))
        self._any_taken = True

    def _levels(self, side: Side) -> Iterator[Level]:
        depth, done = FIRST_LEVELS, 0
        while True:
            levels = self.book.levels(side, depth)
            yield from levels[done:]
            if len(levels) < depth:
                return
            done, depth = depth, depth * FIRST_LEVELS

    def _forget_taken(self) -> None:
        if not self._any_taken:
            return
        for side, taken in self._taken.items():
            for price, (shown, _) in list(taken.items()):
                if self.book.qty_at(side, price) != shown:
                    del taken[price]
        self._any_taken = any(self._taken.values())

    # -- our orders ------------------------------------------------------------------------

    def add(self, order: PaperOrder) -> None:
        """Put a limit order in line, behind all that is shown at its price."""
        insort(self.buys if order.is_buy else self.sells, order, key=by_rank)
        order.ahead = inf
        order.traded = 0.0
        self._look(order)

    def add_stop(self, order: PaperOrder) -> None:
        """Let a stop wait for its price."""
        self.stops.append(order)

    def remove(self, order: PaperOrder) -> None:
        """Take an order out of line; one that is not in it is left alone."""
        if self.stops and order in self.stops:
            self.stops.remove(order)
            return
        line = self.buys if order.is_buy else self.sells
        at = bisect_left(line, order.rank, key=by_rank)
        if at < len(line) and line[at] is order:
            del line[at]

    def advance_queues(self, queue: QueueModel) -> None:
        """Let `queue` say what the levels' new sizes mean for our places in them."""
        for line in (self.buys, self.sells):
            for order in line:
                if not self.book.covers(order.side, order.price_px):
                    continue
                shown = self.book.qty_at(order.side, order.price_px)
                if order.ahead == inf:
                    order.ahead = order.shown = shown
                elif shown != order.shown:
                    order.ahead = queue.after_change(order.ahead, order.shown, shown, order.traded)
                    order.shown, order.traded = shown, 0.0

    def _look(self, order: PaperOrder) -> None:
        """Join the queue at the order's price once the book tells how long it is."""
        if self.book.covers(order.side, order.price_px):
            order.ahead = order.shown = self.book.qty_at(order.side, order.price_px)

    def share_print(self, trade: Trade) -> list[Share]:
        """Divide a print among our orders, best price and oldest first; move them up the queue.

        Through an order's price it fills the order, up to the print's size. At the price it
        fills only its excess over the queue ahead, and only orders on the passive side: one
        whose aggressor is not told counts for both. What an order gets the next does not.
        """
        price, aggressor = trade.price, trade.aggressor
        shares: list[Share] = []
        left = trade.qty
        for order in self.buys:
            if order.price_px < price or (order.price_px == price and aggressor == "BUY"):
                break
            left = self._share(order, trade, left, shares)
        for order in self.sells:
            if order.price_px > price or (order.price_px == price and aggressor == "SELL"):
                break
            left = self._share(order, trade, left, shares)
        return shares

    def _share(self, order: PaperOrder, trade: Trade, left: float, shares: list[Share]) -> float:
        free = left
        if order.price_px == trade.price:
            free = left - order.ahead
            order.ahead = max(-free, 0.0)
            order.traded += trade.qty  # the market's own queue lost all of it
        if free <= 0:
            return left
        leaves = order.leaves_qty
        filled = leaves if free >= leaves else self.instrument.quantity(free)
        if filled > 0:
            shares.append((order, filled))
        return left - float(filled)

    def crossed(self, order: PaperOrder) -> bool:
        """Return whether the best opposite price is at or through the order's price."""
        if order.is_buy:
            return self.book.ask <= order.price_px
        return self.book.bid >= order.price_px

    def stop_reached(self, order: PaperOrder, low: float, high: float) -> bool:
        """Return whether a buy stop is at or below `high`, or a sell stop at or above `low`."""
        assert order.stop_px is not None  # checked when it arrived
        stop_px = float(order.stop_px)
        return high >= stop_px if order.is_buy else low <= stop_px
