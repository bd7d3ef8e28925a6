"""What goes into the exchange and what comes out: exact Decimals, integer ids, integer ns.

Every event has `time_ns`. An event about an order carries the order as it was at that moment.
"""

from decimal import Decimal

import msgspec

from botkit.matching.exchange.words import BookAction, CancelReason, RejectReason, SelfTradeRule
from botkit.model import Liquidity, OrdStatus, OrdType, RequestKind, Side, TimeInForce

__all__ = [
    "BalanceChanged",
    "BookLevelChange",
    "BookOrderChange",
    "ExchangeEvent",
    "Execution",
    "Leg",
    "OrderAccepted",
    "OrderCanceled",
    "OrderExpired",
    "OrderReduced",
    "OrderReplaced",
    "OrderState",
    "OrderTerms",
    "PublicTrade",
    "Rejection",
    "RequestRejected",
    "StopTriggered",
]

ZERO = Decimal(0)


class OrderTerms(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A new order as a client asks for it.

    `symbol` is the exchange's own name. `order_qty` is in base currency; a MARKET order may have
    `cash_order_qty`, the quote currency to trade for (fees apart), in its place. `session` is
    whatever the caller wants to find the order by later, such as its connection.
    """

    symbol: str
    side: Side
    ord_type: OrdType = OrdType.LIMIT
    order_qty: Decimal | None = None
    cash_order_qty: Decimal | None = None
    price: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_time_ns: int = 0  # GTD only
    post_only: bool = False
    self_trade: SelfTradeRule | None = None  # None: the exchange's own rule
    client_order_id: str = ""
    session: str = ""


class Rejection(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Why, in which field, what was found and what the limit is; `text` is the whole sentence."""

    reason: RejectReason
    text: str
    field: str = ""
    found: Decimal | None = None
    limit: Decimal | None = None


class OrderState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An order at one moment.

    `cum_notional` is the quote currency traded so far. An order by cash has `order_qty` and
    `leaves_qty` 0 while it works. `triggered` is True for a stop that has become active.
    """

    order_id: int
    account: str
    client_order_id: str
    session: str
    symbol: str
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce
    post_only: bool
    ord_status: OrdStatus
    price: Decimal | None
    stop_px: Decimal | None
    order_qty: Decimal
    cash_order_qty: Decimal | None
    cum_qty: Decimal
    leaves_qty: Decimal
    cum_notional: Decimal
    fees: Decimal  # paid so far, in `fee_currency`
    fee_currency: str
    triggered: bool
    expire_time_ns: int
    created_ns: int
    updated_ns: int
    cancel_reason: CancelReason | None

    @property
    def avg_px(self) -> Decimal | None:
        """Mean price of what was filled, to 28 digits; None before the first fill."""
        return self.cum_notional / self.cum_qty if self.cum_qty else None


class OrderAccepted(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """An order was taken in. What it traded at once follows."""

    time_ns: int
    order: OrderState


class RequestRejected(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """A new order, a cancel or a replace was refused.

    `terms` is the refused new order, `order_id` what a cancel or replace named; `order` is that
    order where it is the account's own.
    """

    time_ns: int
    account: str
    request: RequestKind
    rejection: Rejection
    terms: OrderTerms | None = None
    order_id: int | None = None
    order: OrderState | None = None


class Leg(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One side of an execution; `order` stands as after it. A negative fee is a rebate."""

    order: OrderState
    exec_id: int
    liquidity: Liquidity
    fee: Decimal
    fee_currency: str


class Execution(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Two orders traded, at the resting one's price. `side` is the taker's."""

    time_ns: int
    trade_id: int
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    notional: Decimal
    maker: Leg
    taker: Leg

    def legs(self, account: str) -> tuple[Leg, ...]:
        """Return what is `account`'s of it: both legs if it traded with itself."""
        return tuple(leg for leg in (self.maker, self.taker) if leg.order.account == account)


class OrderCanceled(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """An order ended with `canceled_qty` not filled (0 for an order by cash)."""

    time_ns: int
    order: OrderState
    reason: CancelReason
    canceled_qty: Decimal


class OrderExpired(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """A DAY or GTD order reached its end with `expired_qty` not filled."""

    time_ns: int
    order: OrderState
    expired_qty: Decimal


class OrderReplaced(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """An order has new terms. What it traded at once follows."""

    time_ns: int
    order: OrderState
    previous: OrderState
    kept_priority: bool


class OrderReduced(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """Self-trade prevention took `reduced_qty` from an order that goes on."""

    time_ns: int
    order: OrderState
    reduced_qty: Decimal


class StopTriggered(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """A stop became active, at the print `trade_id`; what it trades comes after that order's."""

    time_ns: int
    order: OrderState
    trade_id: int


class BookOrderChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """One order in the book, by its place: `index` counts from 0 at the best of its side.

    ADD inserts there, UPDATE gives the order there `qty`, REMOVE takes it away. `qty` is 0 for a
    REMOVE of a filled order, else what it was removed with.
    """

    time_ns: int
    symbol: str
    side: Side
    action: BookAction
    index: int
    order_id: int
    account: str
    price: Decimal
    qty: Decimal
    created_ns: int


class BookLevelChange(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """The whole quantity and number of orders that now rest at a price; 0 of each: nothing."""

    time_ns: int
    symbol: str
    side: Side
    price: Decimal
    qty: Decimal
    orders: int


class PublicTrade(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """A print. `side` is the taker's."""

    time_ns: int
    symbol: str
    trade_id: int
    price: Decimal
    qty: Decimal
    side: Side
    maker_order_id: int
    taker_order_id: int
    buyer: str
    seller: str


class BalanceChanged(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """What an account holds once a call is over: one for each currency it moved or locked."""

    time_ns: int
    account: str
    currency: str
    total: Decimal
    locked: Decimal

    @property
    def available(self) -> Decimal:
        """What is not locked; below 0 where credit is in use."""
        return self.total - self.locked


ExchangeEvent = (
    OrderAccepted
    | RequestRejected
    | Execution
    | OrderCanceled
    | OrderExpired
    | OrderReplaced
    | OrderReduced
    | StopTriggered
    | BookOrderChange
    | BookLevelChange
    | PublicTrade
    | BalanceChanged
)
