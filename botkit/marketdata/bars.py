"""Bars from trades, cut on the clock: a bar spans [k * interval, (k + 1) * interval)."""

from botkit.model import Bar, Trade

__all__ = ["BarBuilder"]


class BarBuilder:
    """Builds the bars of one instrument and interval from its trades.

    Trades count by the engine's time when they came. An interval without trades yields no bar:
    a price nobody paid is not made up.
    """

    __slots__ = ("_close", "_count", "_high", "_key", "_low", "_open", "_volume")

    def __init__(self, symbol: str, interval_ns: int) -> None:
        if interval_ns <= 0:
            raise ValueError(f"{symbol}: bar interval is {interval_ns} ns, it must be above 0")
        self._key = (symbol, interval_ns)
        self._count = 0
        self._open = self._high = self._low = self._close = self._volume = 0.0

    @property
    def is_empty(self) -> bool:
        """True if nothing has traded since the last bar ended."""
        return self._count == 0

    def boundary_after(self, now_ns: int) -> int:
        """Return the first interval boundary after `now_ns`."""
        interval_ns = self._key[1]
        return (now_ns // interval_ns + 1) * interval_ns

    def add(self, trade: Trade) -> None:
        """Take one trade into the open bar."""
        price = trade.price
        if self._count == 0:
            self._open = self._high = self._low = price
            self._volume = 0.0
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._close = price
        self._volume += trade.qty
        self._count += 1

    def close(self, end_ns: int) -> Bar:
        """End the bar that spans the interval before `end_ns`, and return it; it is not empty."""
        symbol, interval_ns = self._key
        bar = Bar(
            symbol=symbol,
            interval_ns=interval_ns,
            start_time_ns=end_ns - interval_ns,
            open=self._open,
            high=self._high,
            low=self._low,
            close=self._close,
            volume=self._volume,
            trade_count=self._count,
            receive_time_ns=end_ns,
        )
        self._count = 0
        return bar
