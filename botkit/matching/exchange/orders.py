"""The exchange's records: an order, the account it is of, the market it is in."""

from collections import deque
from decimal import Decimal
from typing import Final

import msgspec

from botkit.matching.exchange.book import BookSide, StopBook
from botkit.matching.exchange.messages import Execution, OrderState, OrderTerms, PublicTrade
from botkit.matching.exchange.money import Currency, Fees, Holding
from botkit.matching.exchange.tape import DAY_NS, Candle, Tape
from botkit.matching.exchange.words import CancelReason, FeeIn, SelfTradeRule
from botkit.model import Instrument, OrdStatus, Side

__all__ = ["Account", "AccountBalance", "Market", "Order", "Ticker"]

_BUY: Final = Side.BUY  # looking it up in its enum costs as much as a call (Python 3.11)
_QUOTE: Final = FeeIn.QUOTE
_RECEIVED: Final = FeeIn.RECEIVED
_NEW: Final = OrdStatus.NEW
TRADES_KEPT: Final = 1_000


class Ticker(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The last 24 hours of a market, to the minute, and its best prices now.

    What there is none of is None (prices) or 0 (quantities). `bought` and `sold` are base volume
    by the taker's side, `volume` both; `notional` is the same in quote currency.
    """

    symbol: str
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    last: Decimal | None
    last_qty: Decimal
    bought: Decimal
    sold: Decimal
    volume: Decimal
    notional: Decimal
    trades: int
    bid_px: Decimal | None
    bid_qty: Decimal
    ask_px: Decimal | None
    ask_qty: Decimal


class Market:
    """One instrument: its book, stops and tape. What reads is for everyone, the rest the desk's.

    Inside, prices are integers of ticks and quantities of lots; `base_unit` is a lot in units of
    base, `quote_unit` one lot at one tick in units of quote.
    """

    def __init__(self, instrument: Instrument, base: Currency, quote: Currency) -> None:
        self.instrument = instrument
        self.symbol = instrument.name
        self.base = base
        self.quote = quote
        self.tick_size = instrument.tick_size
        self.lot_size = instrument.lot_size
        self.base_unit = base.units(instrument.lot_size)
        self.quote_unit = quote.units(instrument.tick_size * instrument.lot_size)
        self.bids: BookSide[Order] = BookSide(Side.BUY)
        self.asks: BookSide[Order] = BookSide(Side.SELL)
        self.stops: StopBook[Order] = StopBook()
        self.tape = Tape()
        self.trades: deque[PublicTrade] = deque(maxlen=TRADES_KEPT)
        """The last prints, oldest first."""
        self.halted = False

    def price(self, ticks: int) -> Decimal:
        """Return ticks as a price."""
        return self.tick_size * ticks

    def qty(self, lots: int) -> Decimal:
        """Return lots as a quantity of base."""
        return self.lot_size * lots

    def own_side(self, side: Side) -> "BookSide[Order]":
        """Return where orders of `side` rest."""
        return self.bids if side is _BUY else self.asks

    def other_side(self, side: Side) -> "BookSide[Order]":
        """Return where orders rest that an order of `side` trades with."""
        return self.asks if side is _BUY else self.bids

    def levels(self, side: Side, depth: int | None = None) -> list[tuple[Decimal, Decimal, int]]:
        """Return (price, quantity, number of orders) of the best levels, best first."""
        return [
            (self.price(ticks), self.qty(total.lots), total.orders)
            for ticks, total in self.own_side(side).levels(depth)
        ]

    def orders(self, side: Side, depth: int | None = None) -> list[OrderState]:
        """Return the first `depth` orders of a side in price-time order."""
        found: list[OrderState] = []
        for order in self.own_side(side):
            if depth is not None and len(found) >= depth:
                break
            found.append(order.state())
        return found

    def candles(self, span_ns: int, from_ns: int, to_ns: int) -> list[Candle]:
        """Return candles in ticks, lots and quote units; see `Tape.candles`."""
        return self.tape.candles(span_ns, from_ns, to_ns)

    def ticker(self, now_ns: int) -> Ticker:
        """Return the 24 hours to `now_ns` and the best prices."""
        day = self.tape.day(now_ns) or Candle(now_ns - DAY_NS, 0)
        last = self.trades[-1] if self.trades else None
        bid_px, bid_qty = self._best(self.bids)
        ask_px, ask_qty = self._best(self.asks)
        traded = bool(day.trades)
        return Ticker(
            symbol=self.symbol,
            open=self.price(day.open) if traded else None,
            high=self.price(day.high) if traded else None,
            low=self.price(day.low) if traded else None,
            last=last.price if last else None,
            last_qty=last.qty if last else Decimal(0),
            bought=self.qty(day.lots_bought),
            sold=self.qty(day.lots_sold),
            volume=self.qty(day.lots_bought + day.lots_sold),
            notional=self.quote.decimal(day.quote_bought + day.quote_sold),
            trades=day.trades,
            bid_px=bid_px,
            bid_qty=bid_qty,
            ask_px=ask_px,
            ask_qty=ask_qty,
        )

    def _best(self, side: "BookSide[Order]") -> tuple[Decimal | None, Decimal]:
        if not len(side):
            return None, Decimal(0)
        return self.price(side.best), self.qty(side.total(side.best).lots)


class AccountBalance(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What an account holds of a currency. `available` may be below 0 by up to `credit`."""

    currency: str
    total: Decimal
    locked: Decimal
    available: Decimal
    credit: Decimal


class Account:
    """Someone who trades: holdings, orders, executions. Queries are for everyone.

    The last `history_limit` closed orders and executions are kept.
    """

    def __init__(self, name: str, fees: Fees, history_limit: int) -> None:
        self.name = name
        self.fees = fees
        self.holdings: dict[str, Holding] = {}
        self.open: dict[int, Order] = {}
        self.closed: deque[Order] = deque()
        self.by_id: dict[int, Order] = {}
        self.executions: deque[Execution] = deque(maxlen=history_limit)
        """What it traded, oldest first; `Execution.legs(name)` tells which side was its own."""
        self.orders_received = 0
        self.fills = 0
        self._history_limit = history_limit

    def balances(self) -> list[AccountBalance]:
        """Return every currency it ever held, in the order it first did."""
        return [
            AccountBalance(
                currency=name,
                total=held.currency.decimal(held.total),
                locked=held.currency.decimal(held.locked),
                available=held.currency.decimal(held.total - held.locked),
                credit=held.currency.decimal(held.credit),
            )
            for name, held in self.holdings.items()
        ]

    def open_orders(
        self, symbol: str | None = None, side: Side | None = None, session: str | None = None
    ) -> list[OrderState]:
        """Return what works, stops included, oldest first; only of what is named."""
        return [order.state() for order in self.select(symbol, side, session)]

    def select(self, symbol: str | None, side: Side | None, session: str | None) -> "list[Order]":
        """Return the open orders of what is named; None stands for any."""
        return [
            order
            for order in self.open.values()
            if (symbol is None or order.market.symbol == symbol)
            and (side is None or order.side is side)
            and (session is None or order.session == session)
        ]

    def order(self, order_id: int) -> OrderState | None:
        """Return an order of this account, open or closed; None if it has (or keeps) no such."""
        order = self.by_id.get(order_id)
        return None if order is None else order.state()

    def open_order_named(self, client_order_id: str) -> OrderState | None:
        """Return the oldest open order the client calls so; None if there is none."""
        for order in self.open.values():
            if order.client_order_id == client_order_id:
                return order.state()
        return None

    def history(self) -> list[OrderState]:
        """Return the closed orders, in the order they ended."""
        return [order.state() for order in self.closed]

    def enter(self, order: "Order") -> None:
        """Keep an order that was accepted."""
        self.open[order.order_id] = self.by_id[order.order_id] = order

    def close(self, order: "Order") -> None:
        """Keep an order among the closed ones."""
        del self.open[order.order_id]
        self.closed.append(order)
        if len(self.closed) > self._history_limit:
            del self.by_id[self.closed.popleft().order_id]


class Order:
    """One order, in ticks, lots and units; 0 stands for a price or stop price it has not.

    `cash` is the quote to trade for, of which `cash_left` is not traded; 0 for an order by
    quantity. `priority` is set while it rests (`resting`), `locked` is in units of `pays`.
    """

    __slots__ = (
        "account", "cancel_reason", "cash", "cash_left", "client_order_id", "created_ns", "cum",
        "cum_notional", "expire_time_ns", "fee_holding", "fees", "leaves", "locked", "lots",
        "market", "ord_type", "order_id", "pays", "post_only", "priority", "receives", "resting",
        "self_trade", "session", "side", "status", "stop_ticks", "ticks", "time_in_force",
        "triggered", "updated_ns",
    )  # fmt: skip

    def __init__(
        self, order_id: int, account: Account, market: Market, terms: OrderTerms, fee_in: FeeIn
    ) -> None:
        self.order_id = order_id
        self.account = account
        self.market = market
        self.client_order_id = terms.client_order_id
        self.session = terms.session
        self.side = terms.side
        self.ord_type = terms.ord_type
        self.time_in_force = terms.time_in_force
        self.post_only = terms.post_only
        self.self_trade: SelfTradeRule | None = terms.self_trade
        self.expire_time_ns = terms.expire_time_ns
        base = account.holdings[market.base.name]
        quote = account.holdings[market.quote.name]
        self.pays, self.receives = (quote, base) if self.side is _BUY else (base, quote)
        if fee_in is _QUOTE:
            self.fee_holding = quote
        else:
            self.fee_holding = self.receives if fee_in is _RECEIVED else base
        self.ticks = self.stop_ticks = self.lots = self.leaves = self.cum = 0
        self.cash = self.cash_left = self.cum_notional = self.fees = self.locked = 0
        self.priority = self.created_ns = self.updated_ns = 0
        self.resting = self.triggered = False
        self.status = _NEW
        self.cancel_reason: CancelReason | None = None

    @property
    def is_waiting(self) -> bool:
        """True for a stop that no print has reached."""
        return self.stop_ticks > 0 and not self.triggered

    def need(self, lots: int, ticks: int) -> int:
        """Return what `lots` at a limit of `ticks` lock; 0 without a limit.

        An order without a limit pays out of what is free when it trades.
        """
        if not ticks:
            return 0
        market = self.market
        paid = lots * (ticks * market.quote_unit if self.side is _BUY else market.base_unit)
        if self.fee_holding is not self.pays:
            return paid
        return paid + self.account.fees.worst.reserve(paid, self.pays.currency.fee_step)

    def lock(self, units: int) -> None:
        """Lock exactly `units`, more or less than before."""
        self.pays.locked += units - self.locked
        self.locked = units

    def state(self) -> OrderState:
        """Return how it stands, for others."""
        market = self.market  # the grid by name: methods would double what this costs
        tick_size, lot_size, quote = market.tick_size, market.lot_size, market.quote
        return OrderState(
            order_id=self.order_id,
            account=self.account.name,
            client_order_id=self.client_order_id,
            session=self.session,
            symbol=market.symbol,
            side=self.side,
            ord_type=self.ord_type,
            time_in_force=self.time_in_force,
            post_only=self.post_only,
            ord_status=self.status,
            price=tick_size * self.ticks if self.ticks else None,
            stop_px=tick_size * self.stop_ticks if self.stop_ticks else None,
            order_qty=lot_size * self.lots,
            cash_order_qty=quote.decimal(self.cash) if self.cash else None,
            cum_qty=lot_size * self.cum,
            leaves_qty=lot_size * self.leaves,
            cum_notional=quote.decimal(self.cum_notional),
            fees=self.fee_holding.currency.decimal(self.fees),
            fee_currency=self.fee_holding.currency.name,
            triggered=self.triggered,
            expire_time_ns=self.expire_time_ns,
            created_ns=self.created_ns,
            updated_ns=self.updated_ns,
            cancel_reason=self.cancel_reason,
        )
