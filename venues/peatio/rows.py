"""What the simulated exchange knows, as rows of Peatio's wire, and its error replies. No I/O."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from botkit.matching.exchange import Execution, Leg, Market, OrderState, PublicTrade
from botkit.model import OrdStatus, OrdType, Side
from botkit.transport import HttpReply
from venues.peatio.wire import NS_PER_S

__all__ = [
    "RefusedError",
    "book_side",
    "digits",
    "encode",
    "iso",
    "json_reply",
    "levels",
    "order_first",
    "order_second",
    "page_of",
    "public_trade_first",
    "public_trade_second",
    "side_word",
    "state_of",
    "text",
    "trade_first",
    "trade_second",
]

STATES: Final = {OrdStatus.FILLED: "done", OrdStatus.CANCELED: "cancel"}
ROWS: Final = 100
ROWS_MOST: Final = 1_000
encode: Final = msgspec.json.Encoder().encode


class RefusedError(Exception):
    """A request that the venue answers by an error of either generation's shape."""

    def __init__(self, status: int, told: Any) -> None:
        self.status = status
        self.told = told
        super().__init__(f"{status}: {told}")

    @classmethod
    def first(cls, status: int, code: int, message: str) -> "RefusedError":
        """Return an error of the first generation."""
        return cls(status, {"error": {"code": code, "message": message}})

    @classmethod
    def second(cls, status: int, *keys: str) -> "RefusedError":
        """Return an error of the second generation."""
        return cls(status, {"errors": list(keys)})


def json_reply(status: int, value: Any, headers: dict[str, str] | None = None) -> HttpReply:
    """Return an HTTP reply."""
    return HttpReply(status, {"content-type": "application/json", **(headers or {})}, encode(value))


def text(number: Decimal) -> str:
    """Return a number as Ruby writes one: plain, with a point."""
    plain = format(number.normalize(), "f")
    return plain if "." in plain else f"{plain}.0"


def optional(number: Decimal | None) -> str | None:
    """Return a number that may not be there."""
    return None if number is None else text(number)


def iso(time_ns: int) -> str:
    """Return a time to the second."""
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def digits(step: Decimal) -> int:
    """Return how many digits after the point a grid has."""
    return max(0, -int(step.normalize().as_tuple().exponent))


def page_of(asked: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many rows a page has and which it is, counted from 1."""
    limit, page = (str(asked.get(name, default)) for name, default in (("limit", 100), ("page", 1)))
    size = int(limit) if limit.isdigit() else ROWS
    return min(max(size, 1), ROWS_MOST), max(int(page) if page.isdigit() else 1, 1)


def side_word(side: Side) -> str:
    """Return which side of the book it is."""
    return "bid" if side is Side.BUY else "ask"


def taker_word(side: Side) -> str:
    """Return which way it trades."""
    return "buy" if side is Side.BUY else "sell"


def state_of(order: OrderState) -> str:
    """Return the venue's word for where an order stands."""
    return STATES.get(order.ord_status, "wait")


def trades_count(order: OrderState, executions: Sequence[Execution]) -> int:
    """Return how often an order has traded."""
    mine = (leg.order.order_id for each in executions for leg in (each.maker, each.taker))
    return sum(order_id == order.order_id for order_id in mine)


# --- first generation ---------------------------------------------------------------------------


def order_first(order: OrderState, executions: Sequence[Execution] = ()) -> dict[str, Any]:
    """Return an order as the first generation shows one, in REST and inside a trade."""
    return {
        "id": order.order_id,
        "side": taker_word(order.side),
        "ord_type": "market" if order.ord_type is OrdType.MARKET else "limit",
        "price": optional(order.price),
        "avg_price": text(order.avg_px or Decimal(0)),
        "state": state_of(order),
        "market": order.symbol,
        "created_at": iso(order.created_ns),
        "volume": text(order.order_qty),
        "remaining_volume": text(order.order_qty - order.cum_qty),
        "executed_volume": text(order.cum_qty),
        "trades_count": trades_count(order, executions),
    }


def trade_first(execution: Execution, legs: Sequence[Leg]) -> dict[str, Any]:
    """Return a trade of the first generation, less the orders; `legs` are the member's own."""
    both = len(legs) > 1
    return {
        "id": execution.trade_id,
        "price": text(execution.price),
        "volume": text(execution.qty),
        "funds": text(execution.notional),
        "market": execution.symbol,
        "created_at": iso(execution.time_ns),
        "side": "both" if both else side_word(legs[0].order.side),
    }


def public_trade_first(trade: PublicTrade) -> dict[str, Any]:
    """Return a print."""
    return {
        "id": trade.trade_id,
        "price": text(trade.price),
        "volume": text(trade.qty),
        "funds": text(trade.price * trade.qty),
        "market": trade.symbol,
        "created_at": iso(trade.time_ns),
        "side": None,
    }


# --- second generation --------------------------------------------------------------------------


def order_second(
    order: OrderState, executions: Sequence[Execution] = (), state: str = ""
) -> dict[str, Any]:
    """Return an order as the stream `order` shows one."""
    return {
        "id": order.order_id,
        "market": order.symbol,
        "kind": side_word(order.side),
        "side": taker_word(order.side),
        "ord_type": "market" if order.ord_type is OrdType.MARKET else "limit",
        "price": optional(order.price),
        "avg_price": text(order.avg_px or Decimal(0)),
        "state": state or state_of(order),
        "origin_volume": text(order.order_qty),
        "remaining_volume": text(order.order_qty - order.cum_qty),
        "executed_volume": text(order.cum_qty),
        "at": order.created_ns // NS_PER_S,
        "created_at": order.created_ns // NS_PER_S,
        "updated_at": order.updated_ns // NS_PER_S,
        "trades_count": trades_count(order, executions),
    }


def trade_second(execution: Execution, leg: Leg) -> dict[str, Any]:
    """Return a trade as the stream `trade` shows one side's."""
    return {
        "id": execution.trade_id,
        "price": text(execution.price),
        "amount": text(execution.qty),
        "total": text(execution.notional),
        "market": execution.symbol,
        "side": taker_word(leg.order.side),
        "taker_type": taker_word(execution.side),
        "created_at": execution.time_ns // NS_PER_S,
        "order_id": leg.order.order_id,
    }


def public_trade_second(trade: PublicTrade) -> dict[str, Any]:
    """Return a print of `MARKET.trades`."""
    return {
        "tid": trade.trade_id,
        "taker_type": taker_word(trade.side),
        "date": trade.time_ns // NS_PER_S,
        "price": text(trade.price),
        "amount": text(trade.qty),
    }


# --- books --------------------------------------------------------------------------------------


def book_side(market: Market, side: Side, depth: int) -> list[dict[str, Any]]:
    """Return the best orders of a side, best first."""
    return [order_first(order) for order in market.orders(side, depth)]


def levels(market: Market, side: Side, depth: int | None = None) -> list[list[str]]:
    """Return the best levels of a side, best first."""
    return [[text(price), text(qty)] for price, qty, _ in market.levels(side, depth)]
