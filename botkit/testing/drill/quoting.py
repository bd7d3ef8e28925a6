"""The drill's own strategy: orders that always work and always move, and a hook that can hang."""

import os
import signal
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import isnan
from pathlib import Path
from typing import Final

import attrs
from attrs.validators import gt

from botkit import Instrument, Order, OrdStatus, Side, Strategy

__all__ = ["FORK", "FORKED", "HANG", "HANGING", "Quoter"]

PER_BPS: Final = 1e-4
LOOK_EVERY_S: Final = 0.05
HANG, HANGING = "hang", "hanging"
"""A file that tells it never to return from a hook, and the one it answers by."""
FORK, FORKED = "fork", "forked"
"""A file that tells it to fork a child that keeps every descriptor, and the one it answers by."""


class Quoter(Strategy):
    """Keeps an order on each side of each instrument, and moves one of them at every turn."""

    @attrs.frozen(kw_only=True)
    class Params:
        """Numbers of a quoter.

        Parameters
        ----------
        folder
            Where the files that tell it what to do appear.
        distance_bps
            From the best price on its side to an order, in basis points.
        every_s
            From one turn to the next, in seconds.
        retry_s
            Pause after a refusal, in seconds.
        """

        folder: str
        distance_bps: Decimal = attrs.field(default=Decimal(30), validator=gt(Decimal(0)))
        every_s: float = attrs.field(default=0.3, validator=gt(0.0))
        retry_s: float = attrs.field(default=1.0, validator=gt(0.0))

    params: Params

    def on_start(self) -> None:
        """Set the timers that everything here comes from."""
        self._folder = Path(self.params.folder)
        self._distance = float(self.params.distance_bps) * PER_BPS
        self._orders: dict[tuple[str, Side], Order] = {}
        self._turn = 0
        self._waits_until_ns = 0
        self.set_timer("move", self.params.every_s, every_s=self.params.every_s)
        self.set_timer("look", LOOK_EVERY_S, every_s=LOOK_EVERY_S)

    def on_timer(self, name: str) -> None:
        """Move the orders, or do what the folder tells."""
        if name == "look":
            self._do_as_told()
        elif self.now_ns >= self._waits_until_ns:
            self._turn += 1
            for instrument in self.instruments:
                self._quote(instrument)

    def on_order(self, order: Order) -> None:
        """Forget what has ended, and wait after a refusal."""
        key = (order.instrument.symbol, order.side)
        if order.is_closed and self._orders.get(key) is order:
            del self._orders[key]
        if order.ord_status is OrdStatus.REJECTED:
            self._waits_until_ns = self.now_ns + round(self.params.retry_s * 1e9)

    def on_stop(self) -> None:
        """Place nothing where the bot is about to cancel."""
        self.set_timer("move", float("inf"))

    def _quote(self, instrument: Instrument) -> None:
        """Place the orders that are missing; of two that rest, cancel one."""
        bid, ask = self.market(instrument).touch
        if isnan(bid) or isnan(ask):
            return
        for side, px, rounding in (
            (Side.BUY, bid * (1 - self._distance), ROUND_FLOOR),
            (Side.SELL, ask * (1 + self._distance), ROUND_CEILING),
        ):
            order = self._orders.get((instrument.symbol, side))
            if order is None:
                price = instrument.price(px, rounding)
                place = self.buy if side is Side.BUY else self.sell
                self._orders[instrument.symbol, side] = place(
                    instrument, _least(instrument, price), price=price
                )
            elif (side is Side.BUY) == bool(self._turn % 2) and not order.cancel_requested:
                order.cancel()

    def _do_as_told(self) -> None:
        if (self._folder / FORK).exists() and not (self._folder / FORKED).exists():
            (self._folder / FORKED).touch()
            if not os.fork():
                while True:
                    signal.pause()
        if (self._folder / HANG).exists():
            (self._folder / HANGING).touch()
            while True:
                pass


def _least(instrument: Instrument, price: Decimal) -> Decimal:
    """Return a quantity that the venue takes, about the least."""
    least = max(instrument.min_trade_vol, instrument.lot_size)
    return instrument.quantity(max(least, instrument.min_notional / price) * 2, ROUND_CEILING)
