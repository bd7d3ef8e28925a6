"""Background traders: a seeded market around a wandering fair price."""

from decimal import Decimal
from math import ceil, exp, log
from typing import TYPE_CHECKING, Any, Final

import attrs

from botkit.matching.exchange.exchange import Exchange
from botkit.matching.exchange.messages import ExchangeEvent, OrderTerms
from botkit.model import OrdType, Side, TimeInForce

if TYPE_CHECKING:
    import numpy as np

__all__ = ["TraderParams", "Traders"]

SECOND_NS: Final = 1_000_000_000
FARTHEST: Final = log(10)  # the fair price stays within a factor of ten of where it began
LEAST_STEP_NS: Final = 1_000
SWEEPS: Final = 100  # orders at most to take prices that are off, one a level
SLIPPAGE: Final = 20  # takers go up to one part in so many beyond the best price
TOP_UP: Final = 100  # times what an order needs


def _above_0(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if not value > 0:
        raise ValueError(f"{attribute.name} is {value}: it must be above 0")


@attrs.frozen(kw_only=True)
class TraderParams:
    """What the market looks like.

    Parameters
    ----------
    fair_px
        Where the fair price begins, and what it is drawn back to.
    half_spread_bps
        From the fair price to the best bid and ask, at least; in basis points, or a tick.
    levels, level_gap_bps
        Prices quoted on each side; between two of them, of `fair_px`, or a tick.
    size
        Mean quantity of a quote in base currency; sizes are spread exponentially around it.
    quote_interval_ns
        How often the makers look at their quotes.
    takes_per_s
        Mean number of market-moving orders per second; 0 for none.
    volatility_bps
        Of the fair price over one second; it grows with the square root of time.
    pull
        Part of its distance from `fair_px` (in logarithms) that the fair price loses per second.
    refresh
        Chance that a quote whose price stands is given a new size at a look.
    """

    fair_px: Decimal
    half_spread_bps: float = attrs.field(default=5.0, validator=_above_0)
    levels: int = attrs.field(default=10, validator=_above_0)
    level_gap_bps: float = attrs.field(default=2.0, validator=_above_0)
    size: Decimal = Decimal("0.5")
    quote_interval_ns: int = attrs.field(default=SECOND_NS // 4, validator=_above_0)
    takes_per_s: float = 1.0
    volatility_bps: float = 2.0
    pull: float = 0.001
    refresh: float = 0.1


class Traders:
    """Makers and takers in one market, on accounts of their own that never run dry.

    `act(now_ns)` does everything that is due by then, each thing at its own time, so it makes no
    difference how often it is called. Afterwards both sides have a quote of theirs, they have at
    most `levels` orders on each side, and quotes of others beyond the fair price are taken. The
    first act puts up the quotes; it is due at once.
    """

    def __init__(
        self,
        exchange: Exchange,
        symbol: str,
        rng: "np.random.Generator",
        params: TraderParams,
        *,
        start_ns: int,
    ) -> None:
        self._exchange = exchange
        self._market = exchange.markets[symbol]
        self._rng = rng
        self._params = params
        self._maker = f"makers {symbol}"
        self._taker = f"takers {symbol}"
        for name in (self._maker, self._taker):
            exchange.open_account(name, history_limit=1_000)
        self._start_log = log(float(params.fair_px / self._market.tick_size))
        self._fair_log = self._start_log  # natural log of the fair price in ticks
        # Quotes keep to a grid of this many ticks, so that most stand when the fair price moves.
        self._gap = max(1, int(exp(self._start_log) * params.level_gap_bps / 1e4))
        self._quote_ns = start_ns
        self._take_ns = self._draw_take_ns(start_ns)

    @property
    def accounts(self) -> tuple[str, str]:
        """The names of the makers' and the takers' account."""
        return self._maker, self._taker

    @property
    def fair_px(self) -> float:
        """What the traders think a unit is worth now, in quote currency."""
        return exp(self._fair_log) * float(self._market.tick_size)

    @property
    def next_due_ns(self) -> int:
        """When there is something to do next."""
        return min(self._quote_ns, self._take_ns)

    def act(self, now_ns: int) -> list[ExchangeEvent]:
        """Do what is due by `now_ns`, and return what happened; nothing while it is halted."""
        events: list[ExchangeEvent] = []
        while self.next_due_ns <= now_ns:
            due_ns = self.next_due_ns
            at_ns = max(due_ns, self._exchange.now_ns)  # others may have been served first
            if due_ns == self._quote_ns:
                self._quote_ns += self._params.quote_interval_ns
                self._wander()
                events += self._quote(at_ns)
            else:
                self._take_ns = self._draw_take_ns(due_ns)
                events += self._take(at_ns)
        return events

    def _draw_take_ns(self, now_ns: int) -> int:
        rate = self._params.takes_per_s
        if rate <= 0:
            return 2**63 - 1
        wait_ns = int(self._rng.exponential(SECOND_NS / rate))
        return now_ns + max(LEAST_STEP_NS, wait_ns)

    def _wander(self) -> None:
        params = self._params
        step_s = params.quote_interval_ns / SECOND_NS
        away = self._fair_log - self._start_log
        away -= away * min(1.0, params.pull * step_s)
        away += float(self._rng.standard_normal()) * params.volatility_bps / 1e4 * step_s**0.5
        self._fair_log = self._start_log + min(max(away, -FARTHEST), FARTHEST)

    def _quote(self, now_ns: int) -> list[ExchangeEvent]:
        """Take what others quote beyond the fair price, and bring our own quotes up to date."""
        if self._market.halted:
            return []
        bids, asks = self._ladders()
        events, standing = self._clear({Side.BUY: bids, Side.SELL: asks}, now_ns)
        events += self._sweep(Side.BUY, bids[0], now_ns)
        events += self._sweep(Side.SELL, asks[0], now_ns)
        for side, prices in ((Side.BUY, bids), (Side.SELL, asks)):
            for ticks in prices:
                if (side, ticks) not in standing:
                    lots = self._lots(self._draw_lots(), ticks)
                    events += self._submit(self._maker, side, lots, ticks, now_ns, post_only=True)
        return events

    def _ladders(self) -> tuple[list[int], list[int]]:
        """Return the prices to bid and to ask, in ticks, best first; all above 0."""
        fair, count, gap = exp(self._fair_log), self._params.levels, self._gap
        spread = max(1.0, fair * self._params.half_spread_bps / 1e4)
        best_bid, bid_gap = int((fair - spread) // gap) * gap, gap
        if best_bid <= count * gap:  # too near to 0 for that grid
            best_bid = max(count, int(fair - spread))
            bid_gap = max(1, (best_bid - 1) // count)
        best_ask = max(best_bid, int((fair + spread) // gap) * gap) + gap
        return (
            [best_bid - bid_gap * level for level in range(count)],
            [best_ask + gap * level for level in range(count)],
        )

    def _clear(
        self, wanted: dict[Side, list[int]], now_ns: int
    ) -> tuple[list[ExchangeEvent], set[tuple[Side, int]]]:
        """Cancel our quotes at other prices and some of those that may stand; return the rest."""
        events: list[ExchangeEvent] = []
        standing: set[tuple[Side, int]] = set()
        for order in tuple(self._exchange.accounts[self._maker].open.values()):
            if order.ticks in wanted[order.side] and self._rng.random() >= self._params.refresh:
                standing.add((order.side, order.ticks))
            else:
                events += self._exchange.cancel(self._maker, order.order_id, now_ns)
        return events, standing

    def _sweep(self, side: Side, limit: int, now_ns: int) -> list[ExchangeEvent]:
        """Trade with everyone who quotes at `limit` or beyond it on the other side."""
        events: list[ExchangeEvent] = []
        other = self._market.other_side(side)
        for _ in range(SWEEPS):
            if not other.crosses(limit):
                break
            lots = self._lots(other.total(other.best).lots, limit)
            events += self._submit(self._taker, side, lots, limit, now_ns)
        return events

    def _take(self, now_ns: int) -> list[ExchangeEvent]:
        """Trade a random quantity on a random side."""
        side = Side.BUY if self._rng.random() < 1 / 2 else Side.SELL
        wanted = self._draw_lots()
        best = self._market.other_side(side).best
        if self._market.halted or not best:
            return []
        limit = max(1, best + side.sign * best // SLIPPAGE)
        events = self._submit(self._taker, side, self._lots(wanted, limit), limit, now_ns)
        if not (len(self._market.bids) and len(self._market.asks)):
            events += self._quote(now_ns)
        return events

    def _draw_lots(self) -> int:
        mean = float(self._params.size / self._market.lot_size)
        return 1 + int(self._rng.exponential(mean))

    def _lots(self, wanted: int, ticks: int) -> int:
        """Return `wanted` brought within what one order at `ticks` may be."""
        market, most_notional = self._market, self._exchange.rules.max_notional
        instrument = market.instrument
        lot_value = market.price(ticks) * market.lot_size
        least = max(instrument.min_trade_vol / market.lot_size, instrument.min_notional / lot_value)
        lots = max(wanted, ceil(least))
        if instrument.max_trade_vol is not None:
            lots = min(lots, int(instrument.max_trade_vol / market.lot_size))
        if most_notional is not None:
            lots = min(lots, int(most_notional / lot_value))
        return max(1, lots)

    def _submit(
        self,
        account: str,
        side: Side,
        lots: int,
        ticks: int,
        now_ns: int,
        *,
        post_only: bool = False,
    ) -> list[ExchangeEvent]:
        """Send a quote (post-only) or an order that takes (IOC), the money brought in first."""
        market = self._market
        buys = side is Side.BUY
        currency = market.quote if buys else market.base
        enough = 2 * lots * (ticks * market.quote_unit if buys else market.base_unit)
        events: list[ExchangeEvent] = []
        if self._exchange.accounts[account].holdings[currency.name].free < enough:
            change = currency.decimal(TOP_UP * enough)
            events += self._exchange.deposit(account, currency.name, change, now_ns)
        terms = OrderTerms(
            symbol=market.symbol,
            side=side,
            ord_type=OrdType.LIMIT,
            order_qty=market.qty(lots),
            price=market.price(ticks),
            time_in_force=TimeInForce.GTC if post_only else TimeInForce.IOC,
            post_only=post_only,
        )
        return events + self._exchange.submit(account, terms, now_ns)
