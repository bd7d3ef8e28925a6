"""The stream of one synthetic instrument: a book that follows a fair price, and its trades."""

import math
from collections.abc import Iterator
from typing import Final

import attrs

from botkit.model import BookDelta, BookSnapshot, Instrument, MarketEvent, Quote, Trade
from venues.paper.feeds.draws import Draws
from venues.paper.feeds.fair_price import FairPrice
from venues.paper.feeds.ladder import Ladder

__all__ = ["MarketShape", "flow"]

FEED_DELAY_NS: Final = 2_000_000
# Steps per event, measured: a step of the book brings 1.9 events, an order 3.4 or so.
BOOK_STEPS: Final = 0.37
ORDERS: Final = 0.068
# Orders excite further orders (Hawkes): each brings OFFSPRING more on average, within seconds.
OFFSPRING: Final = 0.5
DECAY_PER_S: Final = 2.0
SHOCK_ORDERS: Final = 8.0  # that a shock brings about
SWEEP_SHARE: Final = 0.3  # of orders that walk the book instead of nibbling at the touch
SWEEP_LEVELS: Final = 5.0
SIZE_SD: Final = 0.8  # of log sizes
NIBBLE: Final = 0.15  # median order size in median level sizes
TREND_LEAN: Final = 0.12  # how much likelier buying is in an upward trend
HABIT_LEAN: Final = 0.12  # and after a buy
IMPROVE: Final = 0.7  # chance that a step narrows a side that is too wide
TIGHTER: Final = 0.6  # what makers aim at, since a traded level leaves a wider spread
IMPACT: Final = 0.05  # part of a sweep's move that stays


@attrs.frozen(kw_only=True)
class MarketShape:
    """What a market looks like.

    `price` in quote currency, `volatility` a year (0.8 is 80 %), usual `spread_bps`, `rate` in
    events a second, `depth` in levels a side, `level_notional` the median size of a level in quote
    currency.
    """

    price: float
    volatility: float
    spread_bps: float
    rate: float
    depth: int
    level_notional: float


def flow(
    instrument: Instrument, shape: MarketShape, draws: Draws, start_ns: int
) -> Iterator[MarketEvent]:
    """Yield a snapshot, then deltas, quotes and trades without end, in order of receive time.

    The book is never crossed; a quote is the best of the book as of the delta just before it;
    trades precede the delta that they cause and lie at or beyond the touch they met.
    """
    return _Market(instrument, shape, draws).events(start_ns)


class _Market:
    """The state of one instrument's market."""

    def __init__(self, instrument: Instrument, shape: MarketShape, draws: Draws) -> None:
        self._symbol = instrument.symbol
        # A ratio of integers divides into the same float that the price's text reads as.
        self._tick = instrument.tick_size.as_integer_ratio()
        self._lot = instrument.lot_size.as_integer_ratio()
        self._shape = shape
        self._draws = draws
        self._fair = FairPrice(shape.price, shape.volatility, draws)
        self._bids, self._asks = Ladder(), Ladder()
        self._level_lots = _level_lots(instrument, shape)
        self._excitation = shape.rate * ORDERS * OFFSPRING  # further orders a second
        self._last_sign = 0
        self._trade_count = 0
        self._quoted: tuple[int, int, int, int] | None = None
        self._follow()
        self._bids.changed.clear()
        self._asks.changed.clear()

    def events(self, start_ns: int) -> Iterator[MarketEvent]:
        """Yield the stream; see `flow`."""
        now_ns = start_ns
        yield self._snapshot(now_ns)
        yield from self._changes(now_ns)
        draws, rate = self._draws, self._shape.rate
        book_steps, orders = BOOK_STEPS * rate, ORDERS * rate * (1 - OFFSPRING)
        since_s = 0.0  # since the fair price was moved
        while True:
            # Ogata's thinning: excitation only falls until the next order, so the rate of now is
            # a bound, and a step that falls between the bound and the true rate does not happen.
            bound = book_steps + orders + self._excitation
            elapsed_s = draws.exponential() / bound
            now_ns += int(elapsed_s * 1e9) + 1
            since_s += elapsed_s
            self._excitation *= math.exp(-DECAY_PER_S * elapsed_s)
            which = draws.uniform() * bound
            if which >= book_steps + orders + self._excitation:
                continue
            shock = self._fair.advance(since_s)
            since_s = 0.0
            if shock:
                self._excitation += SHOCK_ORDERS * DECAY_PER_S
                yield from self._order(now_ns, shock, self._shape.depth)
            elif which < book_steps:
                self._follow()
            else:
                self._excitation += OFFSPRING * DECAY_PER_S
                yield from self._order(now_ns, self._aggressor(), self._levels())
            yield from self._changes(now_ns)

    def _follow(self) -> None:
        """Let makers follow the fair price: stale quotes go at once, better ones come by and by."""
        fair, shape = self._fair, self._shape
        ticks = fair.price * self._tick[1] / self._tick[0]
        half = ticks * shape.spread_bps * 0.5e-4 * TIGHTER * fair.heat**0.7
        bid = max(1, math.floor(ticks - half))
        ask = max(bid + 1, math.ceil(ticks + half))
        gap = max(1.0, ticks * shape.spread_bps * 0.5e-4)
        self._bids.retreat(-bid)
        self._asks.retreat(ask)
        self._refill(self._bids, -bid, gap, last=-1)
        self._refill(self._asks, ask, gap, last=None)

    def _refill(self, ladder: Ladder, target: int, gap: float, last: int | None) -> None:
        draws = self._draws
        if not ladder.keys:
            ladder.put(target, self._size(0))
        elif ladder.best > target and draws.uniform() < IMPROVE:
            ladder.put(target + (ladder.best - target) // 2, self._size(0))
        else:
            place = int(draws.uniform() ** 2 * len(ladder.keys))
            ladder.put(ladder.keys[place], self._size(place))
        while len(ladder.keys) < self._shape.depth:
            key = ladder.keys[-1] + 1 + int(draws.uniform() * (2 * gap - 1))
            if last is not None and key > last:
                break  # the next bid would be at 0
            ladder.put(key, self._size(len(ladder.keys)))
        ladder.trim(self._shape.depth)

    def _size(self, place: int) -> int:
        deeper = 1 + 0.15 * place
        return max(1, int(self._level_lots * deeper * math.exp(SIZE_SD * self._draws.normal())))

    def _aggressor(self) -> int:
        lean = TREND_LEAN * self._fair.trend + HABIT_LEAN * self._last_sign
        return 1 if self._draws.uniform() < 0.5 + lean else -1

    def _levels(self) -> int:
        """Return how many levels the next order walks; 1 for most."""
        if self._draws.uniform() >= SWEEP_SHARE:
            return 1
        return min(self._shape.depth, 2 + int(SWEEP_LEVELS * self._draws.exponential()))

    def _order(self, now_ns: int, sign: int, levels: int) -> Iterator[Trade]:
        """Yield the trades of one market order; `sign` is 1 for a buy."""
        ladder = self._asks if sign > 0 else self._bids
        touch = ladder.best
        lots = max(1, int(self._level_lots * NIBBLE * math.exp(SIZE_SD * self._draws.normal())))
        if levels > 1:
            lots += sum(ladder.lots[key] for key in ladder.keys[: levels - 1])
        side = "BUY" if sign > 0 else "SELL"
        for key, taken in ladder.take(lots, levels):
            self._trade_count += 1
            yield Trade(
                self._symbol,
                abs(key) * self._tick[0] / self._tick[1],
                taken * self._lot[0] / self._lot[1],
                side,
                str(self._trade_count),
                now_ns - FEED_DELAY_NS,
                now_ns,
            )
        self._fair.push(sign * IMPACT * (ladder.best - touch) / abs(touch))
        self._last_sign = sign

    def _snapshot(self, now_ns: int) -> BookSnapshot:
        bids, asks = (
            [self._level(key, ladder.lots[key]) for key in ladder.keys]
            for ladder in (self._bids, self._asks)
        )
        return BookSnapshot(self._symbol, bids, asks, now_ns - FEED_DELAY_NS, now_ns)

    def _level(self, key: int, lots: int) -> tuple[float, float]:
        return (
            abs(key) * self._tick[0] / self._tick[1],
            lots * self._lot[0] / self._lot[1],
        )

    def _changes(self, now_ns: int) -> Iterator[BookDelta | Quote]:
        """Yield what became of the book since the last call."""
        bids, asks, level = self._bids, self._asks, self._level
        if bids.changed or asks.changed:
            bid_levels = [level(key, lots) for key, lots in bids.changed.items()]
            ask_levels = [level(key, lots) for key, lots in asks.changed.items()]
            bids.changed.clear()
            asks.changed.clear()
            yield BookDelta(self._symbol, bid_levels, ask_levels, now_ns - FEED_DELAY_NS, now_ns)
        bid, ask = bids.best, asks.best
        best = (bid, bids.lots[bid], ask, asks.lots[ask])
        if best != self._quoted:
            self._quoted = best
            prices = (*level(bid, best[1]), *level(ask, best[3]))
            yield Quote(self._symbol, *prices, now_ns - FEED_DELAY_NS, now_ns)


def _level_lots(instrument: Instrument, shape: MarketShape) -> float:
    """Return the median size of a level, in lots."""
    of_one = float(instrument.contract_multiplier) * (1 if instrument.inverse else shape.price)
    return shape.level_notional / of_one / float(instrument.lot_size)
