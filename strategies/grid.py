"""Buy at every level below a centre, sell at every level above; take each level's profit.

A buy that filled at one level is sold one level higher, a sell bought back one level lower. The
grid earns on a price that swings and loses on one that leaves.

Everything follows from the position: a long position of 2.5 quantities means that two levels
below the centre have filled and a third is half filled, whatever orders brought it there. So
after a fill, a partial fill, a refusal or a lost order the grid compares what should rest at
each price with what does, and places the difference. There is nothing else to remember.
"""

from collections import defaultdict
from decimal import Decimal

import attrs
from attrs.validators import ge, gt, optional

from botkit import Fill, Order, Quote, Side, Strategy, VenueStatus

__all__ = ["Grid"]

ZERO = Decimal(0)
Levels = dict[tuple[Side, Decimal], Decimal]


class Grid(Strategy):
    """Post-only orders at `levels` prices on each side of the centre."""

    @attrs.frozen(kw_only=True)
    class Params:
        """The grid.

        Parameters
        ----------
        qty
            Size of each level, in base units (contracts).
        step
            From one level to the next, in quote currency.
        levels
            How many on each side; the position stays within `levels` x `qty`.
        centre
            Price in the middle, in quote currency; the first mid price if left out.
        retry_s
            How often missing orders are placed again, in seconds.
        """

        qty: Decimal = attrs.field(validator=gt(Decimal(0)))
        step: Decimal = attrs.field(validator=gt(Decimal(0)))
        levels: int = attrs.field(default=5, validator=ge(1))
        centre: Decimal | None = attrs.field(default=None, validator=optional(gt(Decimal(0))))
        retry_s: float = attrs.field(default=5.0, validator=gt(0.0))

    params: Params

    def on_start(self) -> None:
        """Wait for a price to build the grid around, and look after it from then on."""
        self._centre = self.params.centre
        self._is_up = True
        self.set_timer("mend", self.params.retry_s, every_s=self.params.retry_s)

    def on_quote(self, quote: Quote) -> None:
        """Build the grid around the first mid price, unless it stands already."""
        if self._centre is None and quote.bid_qty > 0 and quote.ask_qty > 0:
            self._centre = self.instrument.price(quote.mid)
            self._mend()

    def on_fill(self, order: Order, fill: Fill) -> None:
        """Place the opposite of what has filled one level away."""
        self._mend()

    def on_timer(self, name: str) -> None:
        """Place again what was refused or got lost."""
        self._mend()

    def on_venue(self, status: VenueStatus) -> None:
        """Place nothing while the venue is not ready."""
        if status.venue == self.instrument.venue:
            self._is_up = status.up

    def on_stop(self) -> None:
        """Place nothing where the bot is about to cancel."""
        self._is_up = False

    def wanted(self, centre: Decimal, position: Decimal) -> Levels:
        """Return the quantity that should rest, by side and price."""
        params, instrument = self.params, self.instrument
        levels: Levels = defaultdict(Decimal)
        for number in range(1, params.levels + 1):
            for side in Side:
                held = side.sign * position - (number - 1) * params.qty
                filled = min(max(held, ZERO), params.qty)  # of this level
                price = centre - side.sign * number * params.step
                if price <= 0:
                    continue
                levels[side, instrument.price(price)] += params.qty - filled
                back = instrument.price(price + side.sign * params.step)
                levels[side.opposite, back] += filled
        return levels

    def _mend(self) -> None:
        """Place what should rest and does not; never more."""
        if self._centre is None or not self._is_up:
            return
        instrument = self.instrument
        missing = self.wanted(self._centre, self.position())
        for order in self.orders(instrument):
            if order.price is not None:
                missing[order.side, order.price] -= order.leaves_qty
        for (side, price), qty in missing.items():
            if qty >= max(instrument.min_trade_vol, instrument.lot_size):
                place = self.buy if side is Side.BUY else self.sell
                place(instrument, instrument.quantity(qty), price=price, post_only=True)
