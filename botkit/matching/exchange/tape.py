"""What was traded in a market: the last prints, candles, and the last 24 hours."""

from collections import deque
from typing import Final

__all__ = ["DAY_NS", "MINUTE_NS", "Candle", "Tape"]

MINUTE_NS: Final = 60 * 1_000_000_000
DAY_NS: Final = 1_440 * MINUTE_NS
MINUTES_KEPT: Final = 7 * 1_440


class Candle:
    """Prints of one span of time in ticks, lots and quote units, by the side that took."""

    __slots__ = (
        "close",
        "high",
        "lots_bought",
        "lots_sold",
        "low",
        "open",
        "quote_bought",
        "quote_sold",
        "start_ns",
        "trades",
    )  # fmt: skip

    def __init__(self, start_ns: int, ticks: int) -> None:
        self.start_ns = start_ns
        self.open = self.high = self.low = self.close = ticks
        self.lots_bought = self.lots_sold = self.quote_bought = self.quote_sold = 0
        self.trades = 0

    def merge(self, later: "Candle") -> None:
        """Take in a candle that begins no earlier than this one ends."""
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.lots_bought += later.lots_bought
        self.lots_sold += later.lots_sold
        self.quote_bought += later.quote_bought
        self.quote_sold += later.quote_sold
        self.trades += later.trades


class Tape:
    """Prints by the minute, seven days of minutes in which something traded.

    `last_ticks` and `last_trade_id` are 0 before the first print.
    """

    __slots__ = ("_minutes", "last_ticks", "last_trade_id")

    def __init__(self) -> None:
        self.last_ticks = 0
        self.last_trade_id = 0
        self._minutes: deque[Candle] = deque(maxlen=MINUTES_KEPT)

    def note(
        self, time_ns: int, trade_id: int, ticks: int, lots: int, quote: int, *, bought: bool
    ) -> None:
        """Record a print; `bought` if the taker was a buyer."""
        self.last_ticks, self.last_trade_id = ticks, trade_id
        start_ns = time_ns - time_ns % MINUTE_NS
        if not self._minutes or self._minutes[-1].start_ns != start_ns:
            self._minutes.append(Candle(start_ns, ticks))
        minute = self._minutes[-1]
        minute.high = max(minute.high, ticks)
        minute.low = min(minute.low, ticks)
        minute.close = ticks
        minute.trades += 1
        if bought:
            minute.lots_bought += lots
            minute.quote_bought += quote
        else:
            minute.lots_sold += lots
            minute.quote_sold += quote

    def candles(self, span_ns: int, from_ns: int, to_ns: int) -> list[Candle]:
        """Return candles of `span_ns` that begin in [from_ns, to_ns), oldest first.

        Spans are counted from 1970 and are whole minutes; one without a print is left out.
        """
        merged: list[Candle] = []
        for minute in self._minutes:
            start_ns = minute.start_ns - minute.start_ns % span_ns
            if not from_ns <= start_ns < to_ns:
                continue
            if not merged or merged[-1].start_ns != start_ns:
                merged.append(Candle(start_ns, minute.open))
            merged[-1].merge(minute)
        return merged

    def day(self, now_ns: int) -> Candle | None:
        """Return the last 24 hours in one, to the minute; None if nothing traded."""
        found: Candle | None = None
        for minute in self._minutes:
            if minute.start_ns > now_ns - DAY_NS:
                if found is None:
                    found = Candle(minute.start_ns, minute.open)
                found.merge(minute)
        return found
