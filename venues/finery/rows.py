"""What the simulated exchange knows, as rows of Finery's wire. No I/O."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from botkit.matching.exchange import CancelReason as WhyCanceled
from botkit.matching.exchange import Execution, Leg, Market, OrderState, RejectReason
from botkit.model import OrdType, Side, TimeInForce
from venues.finery import wire
from venues.finery.wire import CancelReason, ErrorCode, OrderType, to_units

__all__ = [
    "DEPTH",
    "ERRORS",
    "BookFeed",
    "Ids",
    "RefusedError",
    "cancel_reason",
    "deal_in_reply",
    "deal_row",
    "encode",
    "order_row",
    "side_levels",
]

DEPTH: Final = 25
NS_PER_MS: Final = 1_000_000
COUNTERPARTY: Final = 12
ERRORS: Final = {
    RejectReason.UNKNOWN_SYMBOL: ErrorCode.NO_INSTRUMENT,
    RejectReason.OFF_GRID: ErrorCode.SIZE,
    RejectReason.NOT_POSITIVE: ErrorCode.SIZE,
    RejectReason.BELOW_MIN_QTY: ErrorCode.SIZE,
    RejectReason.ABOVE_MAX_QTY: ErrorCode.SIZE,
    RejectReason.BELOW_MIN_NOTIONAL: ErrorCode.SIZE,
    RejectReason.WOULD_TAKE: ErrorCode.POST_ONLY_WOULD_TAKE,
    RejectReason.CANNOT_REST: ErrorCode.ORDER_TYPE,
    RejectReason.DUPLICATE_CLIENT_ORDER_ID: ErrorCode.CLIENT_ORDER_ID_IN_USE,
    RejectReason.INSUFFICIENT_FUNDS: ErrorCode.LIMITS_EXCEEDED,
    RejectReason.UNKNOWN_ORDER: ErrorCode.ORDER_NOT_FOUND,
    RejectReason.ORDER_CLOSED: ErrorCode.ORDER_NOT_FOUND,
    RejectReason.QTY_NOT_ABOVE_FILLED: ErrorCode.SIZE,
}
REASONS: Final = {
    WhyCanceled.CLIENT: CancelReason.BY_CLIENT,
    WhyCanceled.OPERATOR: CancelReason.BY_CLIENT,
    WhyCanceled.DISCONNECTED: CancelReason.DISCONNECTED,
    WhyCanceled.SELF_TRADE: CancelReason.SELF_TRADE,
}
TYPES: Final = {
    (OrdType.LIMIT, TimeInForce.GTC): OrderType.LIMIT,
    (OrdType.LIMIT, TimeInForce.IOC): OrderType.LIMIT_IOC,
    (OrdType.LIMIT, TimeInForce.FOK): OrderType.LIMIT_FOK,
    (OrdType.MARKET, TimeInForce.IOC): OrderType.MARKET_IOC,
    (OrdType.MARKET, TimeInForce.FOK): OrderType.MARKET_FOK,
}
encode: Final = msgspec.json.Encoder().encode


class RefusedError(Exception):
    """A request that the venue answers by an error code."""

    def __init__(self, code: int, param: str = "") -> None:
        self.code = int(code)
        self.param = param
        super().__init__(f"error {self.code} {param}".rstrip())

    def told(self) -> dict[str, Any]:
        """Return what the client reads."""
        return {"error": self.code, **({"param": self.param} if self.param else {})}


class Ids:
    """The venue's ids of orders: `mod` gives an order a new one and starts its count anew."""

    def __init__(self) -> None:
        self.last = 1_000
        self._public: dict[int, int] = {}
        self._inside: dict[int, int] = {}
        self._before: dict[int, Decimal] = {}

    def public(self, order: OrderState) -> int:
        """Return the id that clients see."""
        known = self._public.get(order.order_id)
        return self._give(order.order_id) if known is None else known

    def inside(self, public: int) -> int | None:
        """Return the exchange's own id; None of one that no order has any more."""
        inside = self._inside.get(public)
        return inside if inside is not None and self._public[inside] == public else None

    def change(self, order: OrderState) -> None:
        """Give a changed order a new id; what has filled so far belongs to the old one."""
        self._before[order.order_id] = order.cum_qty
        self._give(order.order_id)

    def before(self, order: OrderState) -> Decimal:
        """Return what had filled under earlier ids."""
        return self._before.get(order.order_id, Decimal(0))

    def _give(self, inside: int) -> int:
        self.last += 1
        self._public[inside], self._inside[self.last] = self.last, inside
        return self.last


def order_row(order: OrderState, ids: Ids, reason: int = 0) -> list[Any]:
    """Return the 11 places of an order."""
    by_volume = order.cash_order_qty is not None
    before = ids.before(order)
    if by_volume:
        assert order.cash_order_qty is not None
        initial, remaining = order.cash_order_qty, order.cash_order_qty - order.cum_notional
    else:
        initial, remaining = order.order_qty - before, order.order_qty - order.cum_qty
    kind = OrderType.POST_ONLY if order.post_only else TYPES[order.ord_type, order.time_in_force]
    return [
        order.symbol,
        kind.value,
        (wire.Side.BID if order.side is Side.BUY else wire.Side.ASK).value,
        reason,
        ids.public(order),
        int(order.client_order_id or 0),
        0 if order.price is None else to_units(order.price),
        to_units(initial),
        max(0, to_units(remaining)),
        order.created_ns // NS_PER_MS,
        int(by_volume),
    ]


def deal_row(execution: Execution, leg: Leg, ids: Ids, further: Sequence[Any] = ()) -> list[Any]:
    """Return the 19 places of a deal as one side sees it, and `further` ones."""
    row = order_row(leg.order, ids)
    return [
        *row[:10],
        execution.time_ns // NS_PER_MS,
        execution.trade_id,
        (wire.Side.BID if execution.side is Side.BUY else wire.Side.ASK).value,
        to_units(execution.price),
        to_units(execution.qty),
        to_units(execution.notional),
        to_units(leg.fee),
        COUNTERPARTY,
        row[10],
        *further,
    ]


def deal_in_reply(execution: Execution, leg: Leg) -> dict[str, int]:
    """Return a deal as the replies to `add` and `mod` tell it."""
    return {
        "id": execution.trade_id,
        "price": to_units(execution.price),
        "size": to_units(execution.qty),
        "volume": to_units(execution.notional),
        "delta": to_units(leg.fee),
        "counterpartyId": COUNTERPARTY,
    }


def cancel_reason(why: WhyCanceled) -> int:
    """Return the venue's number for the end of an order."""
    return REASONS.get(why, CancelReason.NOT_FOR_BOOK).value


def side_levels(market: Market, side: Side) -> dict[int, int]:
    """Return size by price of the best levels, best first."""
    tick, lot = to_units(market.tick_size), to_units(market.lot_size)
    levels = market.own_side(side).levels(DEPTH)
    return {ticks * tick: total.lots * lot for ticks, total in levels}


class BookFeed:
    """One instrument's book as one client has it, so that only changes need be sent."""

    def __init__(self, market: Market, feed: str, feed_id: str | int) -> None:
        self._market = market
        self._feed = feed
        self._feed_id = feed_id
        self._sent: tuple[dict[int, int], dict[int, int]] = ({}, {})

    @property
    def symbol(self) -> str:
        """The instrument."""
        return self._market.symbol

    def snapshot(self) -> bytes:
        """Return the whole of it."""
        self._sent = self._now()
        sides = [[[price, size] for price, size in side.items()] for side in self._sent]
        return encode([self._feed, self._feed_id, "S", sides])

    def change(self) -> bytes | None:
        """Return what has changed since the last frame; None if nothing has."""
        before, self._sent = self._sent, self._now()
        bids = _changes(before[0], self._sent[0], bids=True)
        asks = _changes(before[1], self._sent[1], bids=False)
        if not (bids or asks):
            return None
        return encode([self._feed, self._feed_id, "M", [bids, asks]])

    def _now(self) -> tuple[dict[int, int], dict[int, int]]:
        return side_levels(self._market, Side.BUY), side_levels(self._market, Side.SELL)


def _changes(before: dict[int, int], now: dict[int, int], *, bids: bool) -> list[list[Any]]:
    """Return how one side got from `before` to `now`, both best first."""
    if not now:
        return [["~", 0, 0]] if before else []
    best = next(iter(now))
    gone = [price for price in before if price not in now]
    better = {price for price in gone if (price > best if bids else price < best)}
    changes: list[list[Any]] = [["~", best, now[best]]] if better else []
    changes += [["-", price, 0] for price in gone if price not in better]
    changes += _set(before, now.items(), skip=best if better else None)
    return changes


def _set(
    before: dict[int, int], levels: Iterable[tuple[int, int]], *, skip: int | None
) -> list[list[Any]]:
    return [
        ["M" if price in before else "+", price, size]
        for price, size in levels
        if price != skip and before.get(price) != size
    ]
