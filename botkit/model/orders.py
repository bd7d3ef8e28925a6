"""Requests that leave for a venue, and the reports that come back. Money is exact Decimal."""

from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

from botkit.model.words import (
    ClientOrderId,
    ExecId,
    ExecType,
    Liquidity,
    OrdStatus,
    OrdType,
    RequestKind,
    Side,
    TimeInForce,
    VenueOrderId,
)

__all__ = [
    "Approved",
    "AskListing",
    "AskStatus",
    "CancelOrder",
    "ExecutionReport",
    "FeeTold",
    "Fill",
    "NewOrder",
    "OrderCancelReject",
    "OrderListing",
    "Refused",
    "ReplaceOrder",
    "Request",
    "SendFailed",
]

ZERO = Decimal(0)


class NewOrder(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="new_order", omit_defaults=True
):
    """Ask a venue to work an order (FIX D).

    `order_qty` is in base units (contracts where the instrument has a multiplier), `price` and
    `stop_px` in quote currency per unit. `price` is None for MARKET and STOP, `stop_px` is set
    for STOP and STOP_LIMIT only, `expire_time_ns` for GTD only. `cash_order_qty` [152] is the
    quote currency to spend, for venues whose market buys are told in money.
    """

    client_order_id: ClientOrderId
    symbol: str
    strategy: str
    side: Side
    order_qty: Decimal
    ord_type: OrdType = OrdType.LIMIT
    price: Decimal | None = None
    stop_px: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    keep: bool = False  # the person wants it to rest after the bot has gone
    cash_order_qty: Decimal | None = None
    expire_time_ns: int = 0
    transact_time_ns: int = 0  # engine time when it was made


class CancelOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="cancel_order"):
    """Ask a venue to end an order (FIX F). Needs no approval: nothing holds a cancel back."""

    client_order_id: ClientOrderId  # of the order to end, as the venue knows it now
    symbol: str
    venue_order_id: VenueOrderId | None = None
    side: Side = Side.BUY
    reason: str = ""
    transact_time_ns: int = 0


class ReplaceOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="replace_order"):
    """Ask a venue to change an order in place (FIX G), to `order_qty` in all and `price`."""

    client_order_id: ClientOrderId  # of the order as changed
    orig_client_order_id: ClientOrderId  # of the order as it is
    symbol: str
    strategy: str
    side: Side
    order_qty: Decimal
    price: Decimal | None
    ord_type: OrdType = OrdType.LIMIT
    venue_order_id: VenueOrderId | None = None
    post_only: bool = False
    reduce_only: bool = False
    transact_time_ns: int = 0


class AskStatus(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="ask_status"):
    """Ask a venue where one order stands. Answered by an ORDER_STATUS `ExecutionReport`.

    `client_order_ids` are all that the order has had through replaces, the first one first; empty
    if it has had one. A replace of which nobody has heard may have been done under any of them.
    """

    client_order_id: ClientOrderId
    symbol: str
    venue_order_id: VenueOrderId | None = None
    client_order_ids: tuple[ClientOrderId, ...] = ()
    transact_time_ns: int = 0


class AskListing(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="ask_listing"):
    """Ask a venue for all our orders and fills since a time. Answered by an `OrderListing`."""

    venue: str
    listing_id: int
    since_ns: int = 0
    transact_time_ns: int = 0


class ExecutionReport(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="execution_report", omit_defaults=True
):
    """What a venue says of one order (FIX 8).

    An order is named by `client_order_id`, `venue_order_id` or both. `last_qty` > 0 tells a
    fill at `last_px`. `commission` is positive when we pay, in `commission_currency`; None
    means not told (yet). `cum_qty`, `leaves_qty` and `order_qty` are None where the venue
    leaves them out. `orig_client_order_id` names the order before a replace.
    """

    symbol: str
    ord_status: OrdStatus
    exec_type: ExecType
    client_order_id: ClientOrderId | None = None
    venue_order_id: VenueOrderId | None = None
    orig_client_order_id: ClientOrderId | None = None
    exec_id: ExecId | None = None
    side: Side | None = None
    order_qty: Decimal | None = None
    price: Decimal | None = None
    last_qty: Decimal = ZERO
    last_px: Decimal = ZERO
    cum_qty: Decimal | None = None
    leaves_qty: Decimal | None = None
    avg_px: Decimal | None = None
    commission: Decimal | None = None
    commission_currency: str = ""
    liquidity: Liquidity | None = None
    text: str = ""
    transact_time_ns: int = 0
    receive_time_ns: int = 0


class OrderCancelReject(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="cancel_reject", omit_defaults=True
):
    """A venue declines a cancel or a replace (FIX 9). `ord_status` is what it says of the order.

    `unknown_order` is set when the venue says it does not know the order: that is not an
    answer to where the order stands, so the order is asked for.
    """

    symbol: str
    client_order_id: ClientOrderId | None = None
    venue_order_id: VenueOrderId | None = None
    response_to: RequestKind = RequestKind.CANCEL
    ord_status: OrdStatus | None = None
    unknown_order: bool = False
    text: str = ""
    receive_time_ns: int = 0


class OrderListing(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="order_listing"):
    """The answer to `AskListing`: every order and fill of ours the venue knows since then.

    `complete` is False if any part (open orders, history, fills) failed or was cut short;
    only a complete listing can tell that an order is absent.
    """

    venue: str
    listing_id: int
    began_ns: int
    complete: bool
    reports: tuple[ExecutionReport, ...] = ()
    receive_time_ns: int = 0


class SendFailed(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="send_failed"):
    """A request did not get its answer from the transport.

    `reached_venue` False: it surely never left (refused before the socket), so a new order is
    over. True: it may have arrived, so the order is UNKNOWN.
    """

    symbol: str
    client_order_id: ClientOrderId
    request: RequestKind
    reached_venue: bool
    text: str
    receive_time_ns: int = 0


class Fill(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="fill", omit_defaults=True):
    """One execution of ours, counted once: what the portfolio books and `on_fill` receives.

    `qty` > 0 in base units (contracts), `price` in quote currency; `commission` positive when
    we pay, None while the venue has not told it.
    """

    client_order_id: ClientOrderId
    symbol: str
    strategy: str
    side: Side
    qty: Decimal
    price: Decimal
    exec_id: ExecId | None = None
    venue_order_id: VenueOrderId | None = None
    commission: Decimal | None = None
    commission_currency: str = ""
    liquidity: Liquidity | None = None
    transact_time_ns: int = 0
    receive_time_ns: int = 0


class FeeTold(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="fee_told"):
    """The commission of a fill that was counted without one, told by the venue later.

    `qty` is what it was charged for: some of a fill or several, where the venue tells totals; 0 in
    older journals, for all of the fill.
    """

    client_order_id: ClientOrderId
    symbol: str
    strategy: str
    exec_id: ExecId | None
    commission: Decimal
    commission_currency: str
    receive_time_ns: int = 0
    qty: Decimal = Decimal(0)


class Refused(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="refused", omit_defaults=True
):
    """A request that did not pass the gate: a value, not an exception.

    `rule` names the rule (`grid`, `venue_ready`, `max_order_qty`, ...), `limit` and `measured`
    are text as a person reads them, `text` the whole sentence. What was asked for follows, since
    the request itself is recorded nowhere; `orig_client_order_id` names the order that a replace
    was to change.
    """

    client_order_id: ClientOrderId
    symbol: str
    strategy: str
    request: RequestKind
    rule: str
    limit: str
    measured: str
    text: str
    side: Side | None = None
    order_qty: Decimal | None = None
    price: Decimal | None = None
    ord_type: OrdType | None = None
    orig_client_order_id: ClientOrderId | None = None
    transact_time_ns: int = 0


Request = NewOrder | CancelOrder | ReplaceOrder | AskStatus | AskListing
R_co = TypeVar("R_co", bound=NewOrder | ReplaceOrder, covariant=True)


class Approved(Generic[R_co]):
    """A request that passed the gate; venues accept new orders and replaces only as this.

    It cannot be made from here: the one class that can be made is `botkit.gate`'s.
    """

    __slots__ = ("request",)
    request: R_co

    def __init__(self) -> None:
        raise TypeError("only botkit.gate approves requests; submit through a strategy")

    def __init_subclass__(cls) -> None:
        """Refuse a subclass anywhere but in the gate."""
        if cls.__module__ != "botkit.gate":
            raise TypeError(f"{cls.__module__}.{cls.__name__}: only botkit.gate approves requests")
