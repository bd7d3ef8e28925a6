"""Work a large order in equal slices over time: resting first, crossing the spread in the end.

What a slice could not fill is carried to the next, so the slices never add up to more than the
order, and to less only if the market (or the limit) would not give it; the log says so.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import attrs
import trio
from attrs.validators import ge, gt, optional

from botkit import Order, OrderScope, Quote, Side, Strategy, TimeInForce

__all__ = ["Twap"]

NS_PER_S = 1_000_000_000


class Twap(Strategy):
    """An order scope around a loop: left by its end, an error or Ctrl-C, nothing rests."""

    @attrs.frozen(kw_only=True)
    class Params:
        """The parent order.

        Parameters
        ----------
        side, qty
            What to trade, in base units (contracts).
        slices, interval_s
            Into how many parts, and how many seconds each has.
        limit_px
            The worst price to trade at, in quote currency; none if left out.
        collar_bps
            How far through the touch a slice may cross at its end, in basis points of it.
        """

        side: Side
        qty: Decimal = attrs.field(validator=gt(Decimal(0)))
        slices: int = attrs.field(default=10, validator=ge(1))
        interval_s: float = attrs.field(default=30.0, validator=gt(0.0))
        limit_px: Decimal | None = attrs.field(default=None, validator=optional(gt(Decimal(0))))
        collar_bps: Decimal = attrs.field(default=Decimal(10), validator=ge(Decimal(0)))

    params: Params

    async def run(self) -> None:
        """Work every slice in its time."""
        params = self.params
        interval_ns = round(params.interval_s * NS_PER_S)
        async with self.order_scope() as scope:
            await self.next_quote()
            start_ns = self.now_ns
            for number in range(1, params.slices + 1):
                target = self.instrument.quantity(params.qty * number / params.slices)
                await self._work_slice(scope, target, start_ns + number * interval_ns)
            filled = self._filled(scope)
        self.log("twap done", filled=str(filled), of=str(params.qty))

    def _filled(self, scope: OrderScope) -> Decimal:
        return sum((order.cum_qty for order in scope.orders), Decimal(0))

    async def _work_slice(self, scope: OrderScope, target: Decimal, end_ns: int) -> None:
        """Trade until `target` has filled in all: rest at the touch, cross it at `end_ns`."""
        resting = self._place(scope, target, is_crossing=False)
        if resting is not None and await self._closed_by(resting, end_ns):
            resting = None  # filled, or refused: what is left is for the end of the slice
        is_last = target == self.instrument.quantity(self.params.qty)
        if not (is_last and self._filled(scope) == target):
            await self.sleep(max(0, end_ns - self.now_ns) / NS_PER_S)
        if resting is not None:
            resting.cancel()
            await resting.closed()  # until then it may fill, and a crossing order be too much
        crossing = self._place(scope, target, is_crossing=True)
        if crossing is not None:
            await crossing.closed()

    async def _closed_by(self, order: Order, end_ns: int) -> bool:
        """Wait until `order` has closed, but not beyond `end_ns`; return whether it has."""
        async with trio.open_nursery() as nursery:

            async def time_out() -> None:
                await self.sleep(max(0, end_ns - self.now_ns) / NS_PER_S)
                nursery.cancel_scope.cancel()

            nursery.start_soon(time_out)
            await order.closed()
            nursery.cancel_scope.cancel()
        return order.is_closed

    def _place(self, scope: OrderScope, target: Decimal, *, is_crossing: bool) -> Order | None:
        """Place an order for what `target` lacks; None if nothing can be placed now."""
        instrument, quote = self.instrument, self.market().quote
        qty = instrument.quantity(target - self._filled(scope))
        price = None if quote is None else self._price(quote, is_crossing=is_crossing)
        if price is None or qty <= 0 or qty < instrument.min_trade_vol:
            return None
        place = scope.buy if self.params.side is Side.BUY else scope.sell
        return place(
            instrument,
            qty,
            price=price,
            post_only=not is_crossing,
            time_in_force=TimeInForce.IOC if is_crossing else TimeInForce.GTC,
        )

    def _price(self, quote: Quote, *, is_crossing: bool) -> Decimal | None:
        """Return the price to rest or to cross at; None where that side of the book is empty."""
        is_buy = self.params.side is Side.BUY
        touch = quote.ask_px if is_buy is is_crossing else quote.bid_px
        if not touch > 0:  # nan as well
            return None
        collar = float(self.params.collar_bps) * 1e-4 if is_crossing else 0.0
        sign = 1 if is_buy else -1
        rounding = ROUND_CEILING if is_buy else ROUND_FLOOR
        price = self.instrument.price(touch * (1 + sign * collar), rounding)
        limit = self.params.limit_px
        if limit is None:
            return price
        return min(price, limit) if is_buy else max(price, limit)
