"""A strategy for simulations: it quotes on both sides at every instrument it was given.

Where the venue can change a resting order it does so, else it cancels and places anew.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import inf

import attrs

from botkit import Instrument, Order, OrdStatus, Quote, Side, Strategy, VenueStatus

__all__ = ["Pushing", "Quoting"]

WORKING = (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)


class Quoting(Strategy):
    """Keeps an order on each side of each instrument, so far from the touch."""

    @attrs.frozen(kw_only=True)
    class Params:
        """How far, how much, and where orders are changed instead of canceled."""

        qty: Decimal
        max_position: Decimal
        away_bps: float = 1.0
        requote_bps: float = 2.0
        changes_at: str = ""

    params: Params

    def on_start(self) -> None:
        self._ready = {each.venue for each in self.instruments}  # a start waits for all

    def on_venue(self, status: VenueStatus) -> None:
        if status.up:
            self._ready.add(status.venue)
        else:
            self._ready.discard(status.venue)

    def on_quote(self, quote: Quote) -> None:
        instrument = next(each for each in self.instruments if each.symbol == quote.symbol)
        if instrument.venue in self._ready and quote.bid_qty > 0 and quote.ask_qty > 0:
            away = self.params.away_bps * 1e-4
            self._keep(instrument, Side.BUY, quote.bid_px * (1.0 - away))
            self._keep(instrument, Side.SELL, quote.ask_px * (1.0 + away))

    def on_stop(self) -> None:
        self._ready.clear()

    def _keep(self, instrument: Instrument, side: Side, px: float) -> None:
        """Bring this side's order to `px`, or place one."""
        price = instrument.price(px, ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)
        ours = [each for each in self.orders(instrument) if each.side is side]
        for order in ours:
            self._move(instrument, order, price)
        room = self.params.max_position - self.position(instrument) * side.sign
        if not ours and room >= self.params.qty:
            place = self.buy if side is Side.BUY else self.sell
            place(instrument, self.params.qty, price=price)

    def _move(self, instrument: Instrument, order: Order, price: Decimal) -> None:
        assert order.price is not None
        off = abs(float(order.price - price)) / float(price)
        if off < self.params.requote_bps * 1e-4 or order.cancel_requested:
            return
        if instrument.venue != self.params.changes_at:
            order.cancel()
        elif order.ord_status in WORKING:
            order.replace(price=price)


class Pushing(Strategy):
    """Sends an order to each side every 0.3 s, refused or not, and cancels the oldest ones."""

    @attrs.frozen(kw_only=True)
    class Params:
        """How much, and how many orders it leaves on a side."""

        qty: Decimal = Decimal("0.01")
        most: int = 5

    params: Params

    def on_start(self) -> None:
        self.set_timer("push", 0.3, every_s=0.3)

    def on_timer(self, name: str) -> None:
        quote = self.market().quote
        if quote is None or not (quote.bid_qty > 0 and quote.ask_qty > 0):
            return
        for side, px, place in (
            (Side.BUY, quote.bid_px, self.buy),
            (Side.SELL, quote.ask_px, self.sell),
        ):
            ours = [each for each in self.orders() if each.side is side]
            for order in ours[: -self.params.most]:
                order.cancel()
            place(self.instrument, self.params.qty, price=self.instrument.price(px))

    def on_stop(self) -> None:
        self.set_timer("push", inf)
