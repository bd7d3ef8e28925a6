"""Buy at one venue and sell at another while the difference pays for both fees, and then some.

Both legs leave together, in one order scope, each limited to the worst price that still pays.
What fills on one side alone is traded off at once, at the better venue that will take it. While
an order is in doubt nothing new begins, and only what is surely too much is hedged: what may yet
fill would otherwise be hedged twice.
"""

from collections.abc import Awaitable, Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import partial
from math import isnan
from typing import Final

import attrs
import trio
from attrs.validators import ge, gt, optional

from botkit import (
    Instrument,
    Order,
    OrderScope,
    OrdStatus,
    Side,
    Strategy,
    TimeInForce,
    VenueStatus,
)
from botkit.model import Level

__all__ = ["CrossVenue", "depth_that_pays"]

NS_PER_S: Final = 1_000_000_000
PER_BPS: Final = 1e-4
LEVELS: Final = 20  # of each book are looked at
PAIR: Final = 2
ZERO: Final = Decimal(0)


@attrs.frozen(kw_only=True)
class Place:
    """What a venue asks and offers.

    Parameters
    ----------
    taker_bps
        Its taker fee, in basis points of the notional.
    ioc
        It takes IOC orders; otherwise limits are sent, and canceled after `leg_within_s`.
    """

    taker_bps: Decimal = attrs.field(validator=ge(ZERO))
    ioc: bool = True


@attrs.frozen(kw_only=True)
class Chance:
    """A difference worth taking: what to buy where, what to sell where, and how much."""

    buy: Instrument
    sell: Instrument
    qty: Decimal
    buy_px: Decimal
    sell_px: Decimal


class CrossVenue(Strategy):
    """Trades one instrument at two venues; what it holds at both together stays `inventory`."""

    @attrs.frozen(kw_only=True)
    class Params:
        """Of the first and the second of `instruments`, in that order.

        Parameters
        ----------
        first, second
            Each venue: its fee, and whether it has IOC orders.
        qty
            The most to trade at once, in base units (contracts).
        max_position
            The most to hold at either venue, long or short.
        min_edge_bps
            What has to be left of the difference after both fees, in basis points of the price.
        rate
            What a unit of the second's quote currency is worth in the first's; to be said where
            the two differ.
        inventory
            What both venues together are meant to hold; whatever is beyond it is traded off.
        collar_bps
            How far through the touch a hedge may cross.
        leg_within_s
            How long an order may take to fill before it is canceled.
        hedge_within_s
            How long a leg that filled alone may take to be hedged; what is left then is logged,
            and tried again after a pause.
        retry_s
            Pause between two hedges, in seconds.
        pause_s
            Pause after a round that needed a hedge, or in which an order was refused.
        max_age_s
            Nothing is taken while the best prices of either are older than this, or than the
            round before, which took some of what they show.
        """

        first: Place
        second: Place
        qty: Decimal = attrs.field(validator=gt(ZERO))
        max_position: Decimal = attrs.field(validator=gt(ZERO))
        min_edge_bps: Decimal = attrs.field(default=Decimal(1), validator=ge(ZERO))
        rate: Decimal | None = attrs.field(default=None, validator=optional(gt(ZERO)))
        inventory: Decimal = ZERO
        collar_bps: Decimal = attrs.field(default=Decimal(20), validator=ge(ZERO))
        leg_within_s: float = attrs.field(default=2.0, validator=gt(0.0))
        hedge_within_s: float = attrs.field(default=30.0, validator=gt(0.0))
        retry_s: float = attrs.field(default=0.5, validator=gt(0.0))
        pause_s: float = attrs.field(default=10.0, validator=gt(0.0))
        max_age_s: float = attrs.field(default=10.0, validator=gt(0.0))

    params: Params

    def on_start(self) -> None:
        """See that the two can be compared, and turn fees into floats once."""
        params = self.params
        first, second = _comparable(self.instruments, params.rate)
        self._places = {first.symbol: params.first, second.symbol: params.second}
        rates = {first.symbol: 1.0, second.symbol: float(params.rate or 1)}
        fees = {symbol: float(each.taker_bps) * PER_BPS for symbol, each in self._places.items()}
        # What buying or selling at a price of 1 comes to, in the first's quote currency.
        self._paid = {symbol: rate * (1 + fees[symbol]) for symbol, rate in rates.items()}
        self._got = {symbol: rate * (1 - fees[symbol]) for symbol, rate in rates.items()}
        self._least = 1 + float(params.min_edge_bps) * PER_BPS
        self._down: set[str] = set()
        self._acted_ns = 0  # the end of the last round
        self._failed_at = ""  # where the last hedge did not fill: the next goes elsewhere

    def on_venue(self, status: VenueStatus) -> None:
        """Trade only where orders can be sent."""
        if status.up:
            self._down.discard(status.venue)
        else:
            self._down.add(status.venue)

    def on_stop(self) -> None:
        """Say what is held beyond the inventory: no order passes any more."""
        if self.unhedged:
            self.log("stopped with a position unhedged", qty=f"{self.unhedged:f}")

    @property
    def unhedged(self) -> Decimal:
        """What both venues together hold beyond the inventory, by the fills so far."""
        held = sum((self.position(each) for each in self.instruments), ZERO)
        return held - self.params.inventory

    async def run(self) -> None:
        """Hedge what is to be hedged, take what pays, else wait for a quote of either venue."""
        while True:
            chance = None if self._to_hedge() else self._look()
            if chance is not None or self._to_hedge():
                await self._trade(chance)
            else:
                await _first_of(*(partial(self.next_quote, each) for each in self.instruments))

    # --- looking ----------------------------------------------------------------------------

    def _look(self) -> Chance | None:
        """Return a difference that pays now; None if there is none."""
        if any(self._is_blind(each) for each in self.instruments):
            return None
        first, second = self.instruments
        return self._compare(first, second) or self._compare(second, first)

    def _is_blind(self, instrument: Instrument) -> bool:
        """Tell whether a venue is down, or what we know of its market is old."""
        quote = self.market(instrument).quote
        if quote is None or instrument.venue in self._down:
            return True
        oldest_ns = self.now_ns - round(self.params.max_age_s * NS_PER_S)
        return quote.receive_time_ns < max(oldest_ns, self._acted_ns)

    def _compare(self, buy: Instrument, sell: Instrument) -> Chance | None:
        """Return what buying at one and selling at the other would gain enough by."""
        limit = self.params.max_position
        most = min(self.params.qty, limit - self.position(buy), limit + self.position(sell))
        qty, ask_px, bid_px = depth_that_pays(
            self.market(buy).book.without_own().asks(LEVELS),
            self.market(sell).book.without_own().bids(LEVELS),
            self._paid[buy.symbol] * self._least / self._got[sell.symbol],
            float(most),
        )
        if qty <= 0:
            return None
        chance = Chance(
            buy=buy,
            sell=sell,
            qty=_on_both_grids(min(buy.quantity(qty), most), buy, sell),
            buy_px=buy.price(ask_px, ROUND_FLOOR),
            sell_px=sell.price(bid_px, ROUND_CEILING),
        )
        can_buy = buy.takes(chance.buy_px, chance.qty)
        return chance if can_buy and sell.takes(chance.sell_px, chance.qty) else None

    # --- trading ----------------------------------------------------------------------------

    async def _trade(self, chance: Chance | None) -> None:
        """Take `chance`, if there is one, and see to it that nothing is left on one side alone."""
        async with self.order_scope() as scope:
            legs = [] if chance is None else self._place_legs(scope, chance)
            await self._settle(scope)
            in_doubt = [order.client_order_id for order in _open(scope)]
            self._tell(scope, legs, in_doubt)
            await _all_closed(scope.orders)  # the engine asks until the venue has spoken
        self._acted_ns = self.now_ns
        refused = any(order.ord_status is OrdStatus.REJECTED for order in scope.orders)
        if refused or in_doubt or len(scope.orders) > len(legs) or self._to_hedge():
            await self.sleep(self.params.pause_s)

    def _place_legs(self, scope: OrderScope, chance: Chance) -> list[Order]:
        """Send both legs; none remains if the gate refuses one."""
        bought = self._place(scope, Side.BUY, chance.buy, chance.qty, chance.buy_px)
        if bought.ord_status is OrdStatus.REJECTED:
            return [bought]
        sold = self._place(scope, Side.SELL, chance.sell, chance.qty, chance.sell_px)
        if sold.ord_status is OrdStatus.REJECTED:
            bought.cancel()
        return [bought, sold]

    def _place(
        self, scope: OrderScope, side: Side, instrument: Instrument, qty: Decimal, price: Decimal
    ) -> Order:
        place = scope.buy if side is Side.BUY else scope.sell
        ioc = self._places[instrument.symbol].ioc
        tif = TimeInForce.IOC if ioc else TimeInForce.GTC
        return place(instrument, qty, price=price, time_in_force=tif)

    async def _settle(self, scope: OrderScope) -> None:
        """End what is open, then hedge until nothing is left to hedge, or time is up."""
        until_ns = self.now_ns + round(self.params.hedge_within_s * NS_PER_S)
        await self._end(scope, until_ns)
        while self.now_ns < until_ns and (self._to_hedge() or _open(scope)):
            hedge = self._hedge(scope)
            if hedge is not None:
                await self._end(scope, until_ns)
                self._failed_at = "" if hedge.cum_qty else hedge.symbol
            if hedge is None or not hedge.cum_qty:
                await self.sleep(min(self.params.retry_s, (until_ns - self.now_ns) / NS_PER_S))

    async def _end(self, scope: OrderScope, until_ns: int) -> None:
        """Give open orders their time, cancel them, and give the venues as much to confirm it."""
        for _ in range(2):
            within_s = min(self.params.leg_within_s, (until_ns - self.now_ns) / NS_PER_S)
            closed = partial(_all_closed, scope.orders)
            await _first_of(closed, partial(self.sleep, within_s))
            for order in _open(scope):
                if not order.cancel_requested:
                    order.cancel()

    def _tell(self, scope: OrderScope, legs: Sequence[Order], in_doubt: Sequence[str]) -> None:
        """Log what a round has come to."""
        self.log(
            "round",
            legs=[f"{each.side} {each.cum_qty} {each.symbol} at {each.avg_px}" for each in legs],
            hedges=len(scope.orders) - len(legs),
            unhedged=f"{self.unhedged:f}",
        )
        if in_doubt or self._to_hedge():
            self.log("left unhedged", qty=f"{self.unhedged:f}", in_doubt=list(in_doubt))

    # --- hedging ----------------------------------------------------------------------------

    def _to_hedge(self) -> Decimal:
        """Return what is surely held beyond the inventory and not too little to trade.

        Surely: however what is still open, or in doubt, comes to fill.
        """
        low = high = self.unhedged
        for order in self.orders():
            if order.side is Side.BUY:
                high += order.worst_leaves()
            else:
                low -= order.worst_leaves()
        sure = max(low, ZERO) or min(high, ZERO)
        return sure if any(self._is_enough(each, abs(sure)) for each in self.instruments) else ZERO

    def _is_enough(self, instrument: Instrument, qty: Decimal) -> bool:
        """Tell whether a venue takes an order that small."""
        qty = instrument.quantity(qty)
        if qty <= 0 or qty < instrument.min_trade_vol:
            return False
        bid_px, _ = self.market(instrument).touch
        if not instrument.min_notional or isnan(bid_px):
            return True
        return instrument.notional(instrument.price(bid_px), qty) >= instrument.min_notional

    def _hedge(self, scope: OrderScope) -> Order | None:
        """Cross where it is best; None if there is nothing to, or neither venue can take it."""
        sure = self._to_hedge()
        if not sure:
            return None
        side = Side.SELL if sure > 0 else Side.BUY
        can = [each for each in self.instruments if self._cost(each, side) is not None]
        for instrument in sorted(can, key=lambda each: self._rank(each, side)):
            room = self.params.max_position - side.sign * self.position(instrument)
            qty = instrument.quantity(max(ZERO, min(abs(sure), room)))
            price = self._collared(instrument, side)
            if instrument.takes(price, qty):
                return self._place(scope, side, instrument, qty, price)
        return None

    def _rank(self, instrument: Instrument, side: Side) -> tuple[bool, float]:
        """Return what sorts the better venue first, where the last hedge failed last."""
        return instrument.symbol == self._failed_at, self._cost(instrument, side) or 0.0

    def _cost(self, instrument: Instrument, side: Side) -> float | None:
        """Return what a unit costs at the touch, fee included, below 0 for a sale; None unknown."""
        bid_px, ask_px = self.market(instrument).touch
        touch = ask_px if side is Side.BUY else bid_px
        if instrument.venue in self._down or isnan(touch):
            return None
        if side is Side.BUY:
            return touch * self._paid[instrument.symbol]
        return -touch * self._got[instrument.symbol]

    def _collared(self, instrument: Instrument, side: Side) -> Decimal:
        bid_px, ask_px = self.market(instrument).touch
        collar = float(self.params.collar_bps) * PER_BPS
        if side is Side.BUY:
            return instrument.price(ask_px * (1 + collar), ROUND_CEILING)
        return instrument.price(bid_px * (1 - collar), ROUND_FLOOR)


def depth_that_pays(
    asks: Sequence[Level], bids: Sequence[Level], least: float, most: float
) -> tuple[float, float, float]:
    """Return how much can be bought from `asks` and sold to `bids`, and the worst of both prices.

    Parameters
    ----------
    asks, bids
        (price, quantity), best first.
    least
        A bid pays for an ask from `least` x its price on.
    most
        The quantity to stop at.
    """
    asks_left, bids_left = list(reversed(asks)), list(reversed(bids))
    qty, ask_px, bid_px = 0.0, 0.0, 0.0
    while asks_left and bids_left and qty < most:
        ask, ask_qty = asks_left.pop()
        bid, bid_qty = bids_left.pop()
        if bid < ask * least:
            break
        step = min(ask_qty, bid_qty)
        qty, ask_px, bid_px = qty + step, ask, bid
        if ask_qty > step:
            asks_left.append((ask, ask_qty - step))
        if bid_qty > step:
            bids_left.append((bid, bid_qty - step))
    return min(qty, most), ask_px, bid_px


def _comparable(
    instruments: tuple[Instrument, ...], rate: Decimal | None
) -> tuple[Instrument, Instrument]:
    """Return the two instruments; raise `ValueError` if prices of one say nothing of the other."""
    names = ", ".join(each.symbol for each in instruments)
    if len(instruments) != PAIR or instruments[0].venue == instruments[1].venue:
        raise ValueError(f"instruments are {names}: give two, each at a venue of its own")
    first, second = instruments
    if _kind(first) != _kind(second):
        raise ValueError(
            f"instruments are {names}: they must be of the same base and contract size, "
            f"found {_kind(first)} and {_kind(second)}"
        )
    if first.quote != second.quote and rate is None:
        raise ValueError(
            f"{second.symbol} is quoted in {second.quote} and {first.symbol} in {first.quote}: "
            f"set rate, what one {second.quote} is worth in {first.quote}"
        )
    return first, second


def _kind(instrument: Instrument) -> tuple[str, str, bool]:
    return instrument.base, str(instrument.contract_multiplier), instrument.inverse


def _on_both_grids(qty: Decimal, first: Instrument, second: Instrument) -> Decimal:
    """Return `qty`, rounded down until it is on both lot grids."""
    while (lower := second.quantity(first.quantity(qty))) != qty:
        qty = lower
    return qty


def _open(scope: OrderScope) -> list[Order]:
    return [order for order in scope.orders if order.is_open]


async def _all_closed(orders: Sequence[Order]) -> None:
    for order in orders:
        await order.closed()


async def _first_of(*waits: Callable[[], Awaitable[object]]) -> None:
    """Wait until one of them has ended; the others are canceled."""
    async with trio.open_nursery() as nursery:

        async def wait_for(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            nursery.cancel_scope.cancel()

        for each in waits:
            nursery.start_soon(wait_for, each)
