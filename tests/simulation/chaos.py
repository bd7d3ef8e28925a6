"""A strategy that does anything at any time: for holding a bot against its exchange."""

from decimal import Decimal

import attrs
import numpy as np

from botkit import Order, Strategy
from botkit.model import TimeInForce

__all__ = ["Chaos"]


class Chaos(Strategy):
    """Places, changes and cancels orders at random, drawn from `seed`."""

    @attrs.frozen(kw_only=True)
    class Params:
        """What is drawn."""

        seed: int
        qty: Decimal
        every_s: float = 0.1
        most_open: int = 8

    def on_start(self) -> None:
        """Begin."""
        self.rng = np.random.default_rng(self.params.seed)
        self.mine: list[Order] = []
        self.is_held = False
        self.set_timer("act", self.params.every_s, every_s=self.params.every_s)

    def on_timer(self, name: str) -> None:
        """Do one thing."""
        if self.is_held:
            return
        self.mine = [order for order in self.mine if order.is_open]
        draw = self.rng.random()
        if self.mine and (draw < 0.3 or len(self.mine) >= self.params.most_open):
            self._pick().cancel()
        elif self.mine and draw < 0.4:
            self._change(self._pick())
        else:
            self._place()

    def _pick(self) -> Order:
        return self.mine[int(self.rng.integers(len(self.mine)))]

    def _price(self) -> Decimal:
        away = 1 + float(self.rng.normal()) * 0.001
        return self.instrument.price(self.book.mid * away)

    def _change(self, order: Order) -> None:
        if order.price is not None and not order.cancel_requested and order.replacing is None:
            order.replace(price=self._price(), qty=order.cum_qty + self.params.qty)

    def _place(self) -> None:
        if not self.book.bid < self.book.ask:
            return
        act = self.buy if self.rng.random() < 0.5 else self.sell
        qty = self.params.qty * int(self.rng.integers(1, 40))
        draw = self.rng.random()
        if draw < 0.1:
            self.mine.append(act(self.instrument, qty))
        elif draw < 0.3:
            self.mine.append(
                act(self.instrument, qty, price=self._price(), time_in_force=TimeInForce.IOC)
            )
        else:
            self.mine.append(act(self.instrument, qty, price=self._price()))
