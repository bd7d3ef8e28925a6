"""What the simulated exchange knows, as rows of Moonbase's wire. No I/O."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from botkit.matching.exchange import AccountBalance, Market, OrderState, PublicTrade
from botkit.model import OrdStatus, OrdType, Side
from venues.moonbase.wire import encode

__all__ = [
    "BookFeed",
    "RefusedError",
    "balance_row",
    "candle_row",
    "encode",
    "iso",
    "number",
    "order_row",
    "ticker_row",
    "trade_row",
]

NS_PER_US: Final = 1_000
NS_PER_S: Final = 1_000_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PLAIN: Final = range(-3, 16)  # where the point may be in a number that is written in full
WORKING: Final = frozenset({OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED})
STOPS: Final = frozenset({OrdType.STOP, OrdType.STOP_LIMIT})


class RefusedError(Exception):
    """A request that the venue answers by an error."""

    def __init__(self, kind: str, details: dict[str, Any] | None = None) -> None:
        self.kind = kind
        self.details = details or {}
        super().__init__(kind)

    def told(self) -> dict[str, Any]:
        """Return what the client reads."""
        return {"status": "error", "type": self.kind, "details": self.details}


def number(value: Decimal) -> msgspec.Raw:
    """Return a number as the venue writes floats: 1.0, 0.001, 1.0e-5."""
    normal = value.normalize()
    point = normal.adjusted() + 1
    if point in PLAIN or not value:
        written = f"{normal:f}"
        return msgspec.Raw((written if "." in written else f"{written}.0").encode())
    digits = "".join(map(str, normal.as_tuple().digits))
    sign = "-" if normal.is_signed() else ""
    return msgspec.Raw(f"{sign}{digits[0]}.{digits[1:] or '0'}e{point - 1}".encode())


def _maybe(value: Decimal | None) -> msgspec.Raw | None:
    return None if value is None else number(value)


def iso(time_ns: int) -> str:
    """Return a time as the venue writes it: UTC to the microsecond, without a zone."""
    moment = EPOCH + timedelta(microseconds=time_ns // NS_PER_US)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def order_row(
    order: OrderState, triggered_ns: int | None, external_id: str | None
) -> dict[str, Any]:
    """Return an order; `triggered_ns` is that of a stop, None while it waits."""
    waits = order.ord_type in STOPS and not order.triggered
    since_ns = triggered_ns if order.ord_type in STOPS else order.created_ns
    sign, ended = order.side.sign, order.ord_status not in WORKING
    canceled = ended and order.ord_status is not OrdStatus.FILLED
    return {
        "updated_at": iso(order.updated_ns),
        "triggered_at": None if waits or since_ns is None else iso(since_ns),
        "trigger_price": _maybe(order.stop_px),
        "symbol": order.symbol,
        "requested_amount": number(order.order_qty * sign),
        "limit_price": _maybe(order.price),
        "is_liquidation": False,
        "is_active": not (ended or waits),
        "inserted_at": iso(order.created_ns),
        "id": order.order_id,
        "filled_total": number(-order.cum_notional * sign),
        "filled_amount": number(order.cum_qty * sign),
        "fee": number(-order.fees),
        "external_id": external_id,
        "cancelled_at": iso(order.updated_ns) if canceled else None,
    }


def trade_row(trade: PublicTrade, *, signed: bool, pushed: bool) -> dict[str, Any]:
    """Return a public trade; pushes name the orders."""
    sign = trade.side.sign if signed else 1
    row: dict[str, Any] = {
        "timestamp": iso(trade.time_ns),
        "symbol": trade.symbol,
        "price": number(trade.price),
        "id": trade.trade_id,
        "amount": number(trade.qty * sign),
    }
    if pushed:
        row |= {"taker_order_id": trade.taker_order_id, "maker_order_id": trade.maker_order_id}
    return row


def ticker_row(market: Market, now_ns: int, *, pushed: bool) -> dict[str, Any]:
    """Return the state of a market; pushes say when it changed."""
    ticker = market.ticker(now_ns)
    row: dict[str, Any] = {
        "symbol": ticker.symbol,
        "quote_amount": number(ticker.notional),
        "mark_price": _maybe(ticker.last),
        "bid_price": _maybe(ticker.bid_px),
        "base_amount": number(ticker.volume),
        "ask_price": _maybe(ticker.ask_px),
    }
    return {"updated_at": iso(now_ns), **row} if pushed else row


def candle_row(market: Market, candle: Any, resolution_s: int) -> dict[str, Any]:
    """Return a candle; `candle` is in ticks and lots."""
    lots = candle.lots_bought + candle.lots_sold
    return {
        "volume": number(market.qty(lots)),
        "timestamp": candle.start_ns // NS_PER_S,
        "symbol": market.symbol,
        "sells": number(market.qty(candle.lots_sold)),
        "resolution": resolution_s,
        "open": number(market.price(candle.open)),
        "low": number(market.price(candle.low)),
        "id": candle.start_ns // NS_PER_S // resolution_s,
        "high": number(market.price(candle.high)),
        "close": number(market.price(candle.close)),
        "buys": number(market.qty(candle.lots_bought)),
    }


def balance_row(
    place: int, balance: AccountBalance, withdrawn: Decimal, assigned: Decimal
) -> dict[str, Any]:
    """Return what an account holds of an asset; nobody lends here."""
    nothing = number(Decimal(0))
    lent = ("pledged", "offered", "loaned", "drawn", "borrowed")
    return {
        **{f"{name}_amount": nothing for name in lent},
        "withdrawn_amount": number(withdrawn),
        "placed_amount": number(balance.locked),
        "id": place,
        "available_amount": number(balance.available),
        "assigned_amount": number(assigned),
        "asset": balance.currency,
    }


class BookFeed:
    """One instrument's book as one client has it, so that only changes need be sent."""

    def __init__(self, market: Market, limit: int | None) -> None:
        self._market = market
        self._limit = limit
        self._sent: dict[Decimal, Decimal] = {}

    def snapshot(self) -> list[list[msgspec.Raw]]:
        """Return the whole of it, in no order that matters."""
        self._sent = self._now()
        return _levels(self._sent)

    def change(self) -> list[list[msgspec.Raw]]:
        """Return the levels that have changed since the last frame; 0 is gone."""
        before, now = self._sent, self._now()
        self._sent = now
        gone = {price: Decimal(0) for price in before if price not in now}
        news = {price: amount for price, amount in now.items() if before.get(price) != amount}
        return _levels(gone | news)

    def _now(self) -> dict[Decimal, Decimal]:
        market, limit = self._market, self._limit
        return {
            price: qty * side.sign
            for side in (Side.SELL, Side.BUY)
            for price, qty, _ in market.levels(side, limit)
        }


def _levels(amounts: dict[Decimal, Decimal]) -> list[list[msgspec.Raw]]:
    return [[number(price), number(amount)] for price, amount in amounts.items()]
