"""Follow the trend: hold while the fast moving average of bars' closes is above the slow one.

The averages are sums of whole ticks, so they are exact however long the bot runs, and two that
are equal are known to be equal.
"""

from collections import deque
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import attrs
from attrs.validators import ge, gt

from botkit import Bar, Strategy, TimeInForce

__all__ = ["MovingSum", "SmaCross"]


class MovingSum:
    """The sum of the last `length` whole numbers, kept up to date at the same cost each time."""

    def __init__(self, length: int) -> None:
        self._window: deque[int] = deque(maxlen=length)
        self.length = length
        self.total = 0

    @property
    def is_full(self) -> bool:
        """True once `length` numbers were seen."""
        return len(self._window) == self.length

    @property
    def mean(self) -> float:
        """The average of those seen, of the last `length` at most; 0 before the first."""
        return self.total / max(1, len(self._window))

    def add(self, value: int) -> None:
        """Take the next number in; the oldest falls out."""
        if self.is_full:
            self.total -= self._window[0]
        self._window.append(value)
        self.total += value


class SmaCross(Strategy):
    """Long above, flat (or short) below; unchanged where the averages are equal.

    Every bar compares the position with the one wanted and trades the difference, so what an
    order could not fill is traded at the next bar, if it is still wanted then.
    """

    @attrs.frozen(kw_only=True)
    class Params:
        """Numbers of a moving-average cross.

        Parameters
        ----------
        qty
            The position held, in base units (contracts).
        fast, slow
            Lengths of the averages, in bars that traded.
        interval_s
            Length of a bar, in seconds.
        allow_short
            Below, hold minus `qty` rather than nothing.
        collar_bps
            How far through the touch an order may trade, in basis points of it.
        """

        qty: Decimal = attrs.field(validator=gt(Decimal(0)))
        fast: int = attrs.field(default=10, validator=ge(1))
        slow: int = attrs.field(default=30, validator=ge(2))
        interval_s: float = attrs.field(default=1.0, validator=gt(0.0))
        allow_short: bool = False
        collar_bps: Decimal = attrs.field(default=Decimal(20), validator=ge(Decimal(0)))

        def __attrs_post_init__(self) -> None:
            if self.fast >= self.slow:
                raise ValueError(f"fast is {self.fast}: it must be below slow, {self.slow}")

    params: Params

    def on_start(self) -> None:
        """Ask for bars."""
        self._tick = float(self.instrument.tick_size)
        self._fast, self._slow = MovingSum(self.params.fast), MovingSum(self.params.slow)
        self.build_bars(self.params.interval_s)

    @property
    def averages(self) -> tuple[float, float]:
        """The fast and the slow average price, in quote currency."""
        return self._fast.mean * self._tick, self._slow.mean * self._tick

    def on_bar(self, bar: Bar) -> None:
        """Take the close in; trade towards the position that the averages ask for."""
        fast, slow = self._fast, self._slow
        for each in (fast, slow):
            each.add(round(bar.close / self._tick))
        if not slow.is_full or self.orders(self.instrument):
            return  # an order under way may still fill: look again at the next bar
        lead = fast.total * slow.length - slow.total * fast.length
        if lead:
            self._trade_towards(self._target(is_up=lead > 0))

    def _target(self, *, is_up: bool) -> Decimal:
        if is_up:
            return self.params.qty
        return -self.params.qty if self.params.allow_short else Decimal(0)

    def _trade_towards(self, target: Decimal) -> None:
        """Send a limit order that trades at once, no further than the collar, or not at all."""
        quote, instrument = self.market().quote, self.instrument
        missing = target - self.position()
        if quote is None or instrument.quantity(abs(missing)) < instrument.min_trade_vol:
            return
        collar = float(self.params.collar_bps) * 1e-4
        if missing > 0 and quote.ask_qty > 0:
            price = instrument.price(quote.ask_px * (1 + collar), ROUND_CEILING)
            self.buy(
                instrument,
                instrument.quantity(missing),
                price=price,
                time_in_force=TimeInForce.IOC,
            )
        elif missing < 0 and quote.bid_qty > 0:
            price = instrument.price(quote.bid_px * (1 - collar), ROUND_FLOOR)
            self.sell(
                instrument,
                instrument.quantity(-missing),
                price=price,
                time_in_force=TimeInForce.IOC,
            )
