"""Quote both sides around a fair price, lean against the inventory, requote when it matters.

The fair price is the micro-price: the mean of bid and ask, each weighted by the size that waits
at the other. A thin ask says that the price is about to rise, so it draws the fair price up.
Live, the quote contains our own orders; keep `half_spread_bps` wide of the touch there.

Source: Stoikov (2018), The micro-price, Quantitative Finance 18(12), 1959-1966.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import inf, isnan, nan

import attrs
from attrs.validators import ge, gt, optional

from botkit import Order, OrdStatus, Quote, Side, Strategy, VenueStatus

__all__ = ["MarketMaker"]

PER_BPS = 1e-4
BUY, SELL = BOTH = (Side.BUY, Side.SELL)


class MarketMaker(Strategy):
    """Keeps one order on each side, post-only; replaces it by canceling it and placing the next."""

    @attrs.frozen(kw_only=True)
    class Params:
        """Numbers of a market maker; basis points are of the fair price.

        Parameters
        ----------
        qty
            Size of each quote, in base units (contracts).
        half_spread_bps
            From the fair price to each quote.
        max_position
            Neither side is quoted beyond this position, long or short; 5 x `qty` if left out.
        skew_bps
            How far both quotes have moved against the position when it is `max_position`.
        requote_bps
            A quote this near to where it should be is left alone.
        retry_s
            Pause after a quote was refused, in seconds.
        post_only
            Say that quotes must not take; False where the venue knows no such order.
        """

        qty: Decimal = attrs.field(validator=gt(Decimal(0)))
        half_spread_bps: Decimal = attrs.field(default=Decimal(5), validator=gt(Decimal(0)))
        max_position: Decimal | None = attrs.field(default=None, validator=optional(gt(Decimal(0))))
        skew_bps: Decimal = attrs.field(default=Decimal(0), validator=ge(Decimal(0)))
        requote_bps: Decimal = attrs.field(default=Decimal(1), validator=ge(Decimal(0)))
        retry_s: float = attrs.field(default=1.0, validator=gt(0.0))
        post_only: bool = True

    params: Params

    def on_start(self) -> None:
        """Turn the parameters into floats once, since `on_quote` runs for every quote."""
        params = self.params
        self._qty = self.instrument.quantity(params.qty)
        self._max_position = params.max_position or 5 * params.qty
        self._half_spread = float(params.half_spread_bps) * PER_BPS
        self._skew = float(params.skew_bps) * PER_BPS / float(self._max_position)
        self._requote = float(params.requote_bps) * PER_BPS
        self._tick = float(self.instrument.tick_size)
        self._orders: dict[Side, Order | None] = {Side.BUY: None, Side.SELL: None}
        self._quoted_at = nan  # the fair price of the quotes we have out
        self._tolerance = 0.0  # how far from it the fair price may move, in quote currency
        self._is_quoting = True

    def on_quote(self, quote: Quote) -> None:
        """Requote once the fair price has moved by more than the tolerance."""
        bid_qty, ask_qty = quote.bid_qty, quote.ask_qty
        if bid_qty > 0 and ask_qty > 0:
            fair = (quote.bid_px * ask_qty + quote.ask_px * bid_qty) / (bid_qty + ask_qty)
            if abs(fair - self._quoted_at) > self._tolerance or isnan(self._quoted_at):
                self._quote_around(fair)
        elif not isnan(self._quoted_at):
            self._pull()

    def on_order(self, order: Order) -> None:
        """Quote anew after a fill and where an order has ended; after a refusal wait."""
        if order.is_open and not order.cum_qty:
            return  # it is on its way, or rests
        if order.is_closed and self._orders[order.side] is order:
            self._orders[order.side] = None
        if order.ord_status is OrdStatus.REJECTED:
            self._is_quoting = False  # or it would be refused again, and again
            self.set_timer("retry", self.params.retry_s)
        elif not isnan(self._quoted_at):
            # A fill has moved the centre of both; a cancel has only left its own place free.
            self._quote_around(self._quoted_at, BOTH if order.cum_qty else (order.side,))

    def on_timer(self, name: str) -> None:
        """Quote again, from the next quote on."""
        self._is_quoting, self._quoted_at = True, nan

    def on_venue(self, status: VenueStatus) -> None:
        """Place nothing while the venue is not ready; afterwards start from a fresh quote."""
        if status.venue == self.instrument.venue:
            self._is_quoting, self._quoted_at = status.up, nan
            self.set_timer("retry", inf)  # none is under way

    def on_stop(self) -> None:
        """Place nothing where the bot is about to cancel."""
        self._is_quoting = False

    def _pull(self) -> None:
        """Cancel both quotes: with a side of the book empty, nobody knows a fair price."""
        self._quoted_at = nan
        self.cancel_all(self.instrument)

    def _quote_around(self, fair: float, sides: tuple[Side, ...] = BOTH) -> None:
        if not self._is_quoting:
            return
        self._quoted_at, self._tolerance = fair, fair * self._requote
        position = self.position()
        centre = fair * (1.0 - self._skew * float(position))
        bid_px, ask_px = self.market().touch
        if BUY in sides:  # post-only may not cross
            bid = min(centre * (1.0 - self._half_spread), ask_px - self._tick)
            self._quote_side(BUY, bid, self._max_position - position)
        if SELL in sides:
            ask = max(centre * (1.0 + self._half_spread), bid_px + self._tick)
            self._quote_side(SELL, ask, self._max_position + position)

    def _quote_side(self, side: Side, px: float, room: Decimal) -> None:
        """Bring one side's order to `px`; `room` is what it may still trade."""
        order = self._orders[side]
        if order is not None:
            is_near = abs(float(order.price or 0) - px) <= self._tolerance
            if not is_near and not order.cancel_requested:
                order.cancel()  # `on_order` places the next once this one is surely gone
            return
        instrument = self.instrument
        qty = self._qty if room >= self._qty else instrument.quantity(room)
        if qty < instrument.min_trade_vol or qty <= 0 or isnan(px):
            return
        place, rounding = (self.buy, ROUND_FLOOR) if side is BUY else (self.sell, ROUND_CEILING)
        self._orders[side] = place(
            instrument, qty, price=instrument.price(px, rounding), post_only=self.params.post_only
        )
