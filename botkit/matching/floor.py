"""The trading floor of a simulated venue: orders meet the book, prints and each other."""

import copy
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

from botkit.matching.desk import Desk
from botkit.matching.market import Market, Step
from botkit.matching.queue import QueueModel
from botkit.matching.working import PaperOrder
from botkit.model import (
    BookDelta,
    BookSnapshot,
    ExecType,
    Liquidity,
    OrdStatus,
    Quote,
    ReplaceOrder,
    TimeInForce,
    Trade,
)

__all__ = ["Floor", "SelfTrade"]

ZERO: Final = Decimal(0)
# Looking a member up in its enum costs as much as a call (Python 3.11).
_NEW: Final = OrdStatus.NEW
_ACK: Final = ExecType.NEW
_FOK: Final = TimeInForce.FOK


class SelfTrade(StrEnum):
    """What to do about an order that would meet one of our own.

    `ALLOW` does not trade them with each other: they pass through, each meeting the market.
    """

    CANCEL_RESTING = "cancel-resting"
    REJECT_INCOMING = "reject-incoming"
    ALLOW = "allow"


class Floor:
    """Admits, changes, fills and triggers orders; `PaperMatcher` says when, `Desk` books it."""

    __slots__ = ("_cancels_own", "_desk", "_markets", "_priority", "_queue", "_rejects_own")

    def __init__(
        self,
        desk: Desk,
        markets: Mapping[str, Market],
        queue: QueueModel,
        self_trade: SelfTrade,
    ) -> None:
        self._desk = desk
        self._markets = markets
        self._queue = queue
        self._cancels_own = self_trade is SelfTrade.CANCEL_RESTING
        self._rejects_own = self_trade is SelfTrade.REJECT_INCOMING
        self._priority = 0  # of the last order that joined a line

    # -- orders arriving --------------------------------------------------------------------

    def admit(self, order: PaperOrder, market: Market) -> str:
        """Accept a well-formed order and work it; return "", or why it is not accepted."""
        desk = self._desk
        self._priority += 1
        order.set_price(order.price, self._priority)
        market.read_quote()
        steps = [] if order.is_stop else market.plan(order)
        objection = self._objection(order, market, steps)
        if objection:
            return objection
        order.ord_status = _NEW
        if order.is_stop:
            market.add_stop(order)
        desk.deliver(order.report(_ACK, desk.now_ns))
        if not order.is_stop:
            self._work(order, market, steps)
        elif market.stop_reached(order, market.book.bid, market.book.ask):
            self._trigger(order, market)
        return ""

    def change(self, order: PaperOrder, market: Market, request: ReplaceOrder) -> str:
        """Change a working order as a well-formed request says; return "", or why not.

        Less at the same price leaves the order where it stands; anything else queues anew, and
        may trade at once. Nothing has changed when it is refused.
        """
        desk = self._desk
        changed = copy.copy(order)
        self._priority += 1
        changed.change(request, self._priority)
        market.read_quote()
        moves = not order.is_stop and changed.priority != order.priority
        steps = market.plan(changed) if moves else []
        objection = self._objection(changed, market, steps)
        if objection:
            return objection
        if moves:
            market.remove(order)
        order.change(request, self._priority)
        order.reserved = changed.reserved
        report = order.report(ExecType.REPLACED, desk.now_ns, "", request.orig_client_order_id)
        desk.deliver(report)
        if moves:
            self._work(order, market, steps)
        return ""

    def _objection(self, order: PaperOrder, market: Market, steps: list[Step]) -> str:
        """Return why `order`, well formed as it is, cannot be accepted now.

        "" if it can: then what it needs is reserved.
        """
        if order.reduce_only and order.leaves_qty > self._desk.reducible(order):
            return (
                f"reduce_only: {order.side} {order.leaves_qty} is more than the position "
                f"leaves to reduce ({self._desk.reducible(order)})"
            )
        if self._rejects_own and (market.buys or market.sells):
            for own in self._own_against(order, market, steps):
                return f"self-trade: it would meet our own order {own.client_order_id}"
        return self._trading_objection(order, market, steps)

    def _trading_objection(self, order: PaperOrder, market: Market, steps: list[Step]) -> str:
        if order.post_only and not order.is_stop and market.crossed(order):
            best = market.book.ask if order.is_buy else market.book.bid
            return f"post_only: {order.side} at {order.price} would trade against {best!r} at once"
        return self._desk.secure(order, market, steps)

    def _work(self, order: PaperOrder, market: Market, steps: list[Step]) -> None:
        """Take what the book offers an accepted order; let the rest queue, or cancel it."""
        desk = self._desk
        if order.time_in_force is _FOK:
            found = sum((qty for _, _, qty in steps), ZERO)
            if found < order.leaves_qty:
                text = f"fill or kill: {found} of {order.leaves_qty} is to be had"
                desk.end(order, market, OrdStatus.CANCELED, text)
                return
        if self._cancels_own and (market.buys or market.sells):
            for own in self._own_against(order, market, steps):
                text = f"self-trade: our own order {order.client_order_id} would meet it"
                desk.end(own, market, OrdStatus.CANCELED, text)
        if steps:
            self._fill(order, market, steps, Liquidity.REMOVED)
        if not order.leaves_qty:
            return
        if order.takes_only:
            text = f"nothing more to take: {order.leaves_qty} of {order.order_qty} left"
            desk.end(order, market, OrdStatus.CANCELED, text)
        else:
            market.add(order)

    def _own_against(
        self, order: PaperOrder, market: Market, steps: list[Step]
    ) -> list[PaperOrder]:
        """Return our resting orders that `order` would reach on its way through the book."""
        line = market.sells if order.is_buy else market.buys
        if not line or order.is_stop:
            return []
        reach = order.price_px
        if steps and sum((qty for _, _, qty in steps), ZERO) == order.leaves_qty:
            reach = steps[-1][0]
        if order.is_buy:
            return [own for own in line if own.price_px <= reach]
        return [own for own in line if own.price_px >= reach]

    # -- market data --------------------------------------------------------------------------

    def match_quote(self, quote: Quote) -> None:
        """Take a quote into the book and our orders to it."""
        market = self._markets.get(quote.symbol)
        if market is not None and market.take_quote(quote):
            self._match_book(market)

    def match_depth(self, event: BookSnapshot | BookDelta) -> None:
        """Take depth into the book and our orders to it."""
        market = self._markets.get(event.symbol)
        if market is not None and market.take_depth(event):
            self._match_book(market)

    def _match_book(self, market: Market) -> None:
        """Move up the queues, fill what the market has crossed, trigger stops."""
        market.advance_queues(self._queue)
        for line in (market.buys, market.sells):
            if line and market.crossed(line[0]):
                for order in [own for own in line if market.crossed(own)]:
                    self._fill(order, market, market.plan(order), Liquidity.ADDED)
        if market.stops:
            self._trigger_stops(market, market.book.bid, market.book.ask)

    def match_trade(self, trade: Trade) -> None:
        """Share a print among our orders and let it trigger stops."""
        market = self._markets.get(trade.symbol)
        if market is None or not market.take_print():
            return
        if market.buys or market.sells:
            for order, qty in market.share_print(trade):
                self._fill_one(order, market, qty, order.price, Liquidity.ADDED)
        if market.stops:
            self._trigger_stops(market, trade.price, trade.price)

    # -- orders at work -----------------------------------------------------------------------

    def _fill(
        self, order: PaperOrder, market: Market, steps: list[Step], liquidity: Liquidity
    ) -> None:
        """Fill `order` by the book: as taker at the levels' prices, as maker at its own."""
        for step in steps:
            price = Decimal(repr(step[0])) if liquidity is Liquidity.REMOVED else order.price
            filled = self._fill_one(order, market, step[2], price, liquidity)
            market.take(order.side.opposite, step, filled)

    def _fill_one(
        self,
        order: PaperOrder,
        market: Market,
        qty: Decimal,
        price: Decimal | None,
        liquidity: Liquidity,
    ) -> Decimal:
        """Fill up to `qty`; return how much. A reduce-only order fills no further than to flat."""
        assert price is not None  # only orders with a price rest
        if order.reduce_only:
            qty = min(qty, self._desk.reducible(order))
            if not qty and order.is_working:
                text = "reduce_only: no position is left to reduce"
                self._desk.end(order, market, OrdStatus.CANCELED, text)
        if qty:
            self._desk.fill(order, market, qty, price, liquidity)
        return qty

    def _trigger_stops(self, market: Market, low: float, high: float) -> None:
        for order in [own for own in market.stops if market.stop_reached(own, low, high)]:
            self._trigger(order, market)

    def _trigger(self, order: PaperOrder, market: Market) -> None:
        """Turn a stop whose price was reached into the order it stands for."""
        desk = self._desk
        market.remove(order)
        order.trigger()
        market.read_quote()
        desk.reserve(order, market)
        desk.deliver(order.report(ExecType.TRIGGERED, desk.now_ns))
        steps = market.plan(order)
        objection = self._trading_objection(order, market, steps)
        if objection:
            desk.end(order, market, OrdStatus.CANCELED, objection)
        else:
            self._work(order, market, steps)
