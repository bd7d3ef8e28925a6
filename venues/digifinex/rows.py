"""What the simulated exchange knows, as DigiFinex's wire has it. No I/O."""

import hashlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from botkit.matching.exchange import Execution, Leg, Market, OrderState, RejectReason
from botkit.model import Instrument, Liquidity, OrdStatus, OrdType, Side
from venues.digifinex.wire import ErrorCode, OrderStatus

__all__ = [
    "ERRORS",
    "DepthFeed",
    "RefusedError",
    "Show",
    "currency_row",
    "deal_row",
    "encode",
    "mean",
    "my_trade_row",
    "number",
    "order_push",
    "order_row",
    "public_id",
    "rest_ticker_row",
    "status_of",
    "symbol_row",
    "text",
    "ticker_row",
    "trade_row",
    "type_of",
]

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
ZERO: Final = Decimal(0)
AVERAGE_STEP: Final = Decimal("0.00000001")
CHANGE_STEP: Final = Decimal("0.01")
ERRORS: Final = {
    RejectReason.UNKNOWN_SYMBOL: ErrorCode.WRONG_PAIR,
    RejectReason.HALTED: ErrorCode.TRADING_SUSPENDED,
    RejectReason.NOT_POSITIVE: ErrorCode.PRICE_OR_AMOUNT_WRONG,
    RejectReason.BELOW_MIN_QTY: ErrorCode.BELOW_MINIMUM_AMOUNT,
    RejectReason.BELOW_MIN_NOTIONAL: ErrorCode.BELOW_MINIMUM_VALUE,
    RejectReason.WOULD_TAKE: ErrorCode.PRICE_OR_AMOUNT_WRONG,
    RejectReason.INSUFFICIENT_FUNDS: ErrorCode.NOT_ENOUGH_BALANCE,
}
"""By the exchange's reason; off the grid depends on the field, the rest are wrong parameters."""
ENDED: Final = (OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.REJECTED)
Show = Callable[[Decimal], Any]
"""How a number is written: as text, or as a number."""
encode: Final = msgspec.json.Encoder().encode


class RefusedError(Exception):
    """A call that the venue answers by an error code."""

    def __init__(self, code: int) -> None:
        self.code = int(code)
        super().__init__(f"code {self.code}")


def text(value: Decimal) -> str:
    """Return a number as text, without an exponent."""
    return f"{value:f}"


def number(value: Decimal) -> msgspec.Raw:
    """Return a number as a JSON number, without an exponent."""
    return msgspec.Raw(f"{value:f}".encode())


def public_id(order_id: int) -> str:
    """Return the id by which clients know an order of the exchange."""
    return hashlib.blake2b(b"order %d" % order_id, digest_size=16).hexdigest()


def status_of(order: OrderState) -> int:
    """Return the venue's number for where an order stands."""
    if order.ord_status in ENDED:
        partly = order.cum_qty > 0
        return OrderStatus.CANCELED_PARTIALLY_FILLED if partly else OrderStatus.CANCELED
    if order.ord_status is OrdStatus.FILLED:
        return OrderStatus.FILLED
    return OrderStatus.PARTIALLY_FILLED if order.cum_qty else OrderStatus.UNFILLED


def mean(order: OrderState) -> Decimal:
    """Return the mean price of the fills as the venue tells it: rounded."""
    return (order.avg_px or ZERO).quantize(AVERAGE_STEP)


def type_of(order: OrderState) -> str:
    """Return the type of an order as REST names it: buy, sell, buy_market or sell_market."""
    suffix = "" if order.ord_type is OrdType.LIMIT else "_market"
    return f"{order.side.lower()}{suffix}"


def order_push(order: OrderState, name: str) -> dict[str, Any]:
    """Return an order as it is pushed; `notional` and `filled` are totals."""
    by_cash = order.cash_order_qty is not None
    return {
        "id": public_id(order.order_id),
        "symbol": name,
        "mode": 1,
        "side": order.side.lower(),
        "type": "limit" if order.ord_type is OrdType.LIMIT else "market",
        "price": text(order.price or ZERO),
        "amount": "0" if by_cash else text(order.order_qty),
        "filled": text(order.cum_qty),
        "price_avg": text(mean(order)),
        "notional": text(order.cum_notional),
        "status": int(status_of(order)),
        "timestamp": order.updated_ns // NS_PER_S * 1_000,
    }


def order_row(order: OrderState, name: str, show: Show) -> dict[str, Any]:
    """Return an order as REST lists it; dates in seconds."""
    by_cash = order.cash_order_qty is not None
    is_over = order.ord_status in (*ENDED, OrdStatus.FILLED)
    return {
        "symbol": name,
        "order_id": public_id(order.order_id),
        "created_date": order.created_ns // NS_PER_S,
        "finished_date": order.updated_ns // NS_PER_S if is_over else 0,
        "price": show(order.price or ZERO),
        "amount": show(ZERO if by_cash else order.order_qty),
        "cash_amount": show(order.cum_notional),
        "executed_amount": show(order.cum_qty),
        "avg_price": show(mean(order)),
        "status": int(status_of(order)),
        "type": type_of(order),
        "kind": "limit" if order.ord_type is OrdType.LIMIT else "market",
    }


def deal_row(execution: Execution, leg: Leg, show: Show) -> dict[str, Any]:
    """Return a fill in the detail of its order."""
    return {
        "tid": str(leg.exec_id),
        "date": execution.time_ns // NS_PER_S,
        "executed_amount": show(execution.qty),
        "executed_price": show(execution.price),
        "fee": show(leg.fee),
        "fee_currency": leg.fee_currency,
    }


def my_trade_row(execution: Execution, leg: Leg, name: str, show: Show) -> dict[str, Any]:
    """Return a fill as the list of the account's fills has it."""
    return {
        "symbol": name,
        "order_id": public_id(leg.order.order_id),
        "id": str(leg.exec_id),
        "price": show(execution.price),
        "amount": show(execution.qty),
        "fee": show(leg.fee),
        "fee_currency": leg.fee_currency,
        "timestamp": execution.time_ns // NS_PER_S,
        "side": type_of(leg.order),
        "is_maker": leg.liquidity is Liquidity.ADDED,
    }


def trade_row(trade_id: int, time_ns: int, price: Decimal, qty: Decimal, side: Side) -> Any:
    """Return a trade of the public's."""
    return {
        "id": trade_id,
        "time": time_ns / NS_PER_S,
        "price": text(price),
        "amount": text(qty),
        "type": side.lower(),
    }


def ticker_row(market: Market, name: str, now_ns: int) -> dict[str, Any]:
    """Return the last 24 hours of a market."""
    ticker = market.ticker(now_ns)
    return {
        "symbol": name,
        "open_24h": text(ticker.open or ZERO),
        "low_24h": text(ticker.low or ZERO),
        "base_volume_24h": text(ticker.volume),
        "quote_volume_24h": text(ticker.notional),
        "last": text(ticker.last or ZERO),
        "last_qty": text(ticker.last_qty),
        "best_bid": text(ticker.bid_px or ZERO),
        "best_bid_size": text(ticker.bid_qty),
        "best_ask": text(ticker.ask_px or ZERO),
        "best_ask_size": text(ticker.ask_qty),
        "timestamp": now_ns // NS_PER_MS,
    }


def rest_ticker_row(market: Market, now_ns: int) -> dict[str, Any]:
    """Return the last 24 hours of a market as REST tells them; `change` in percent."""
    ticker = market.ticker(now_ns)
    first, last = ticker.open or ZERO, ticker.last or ZERO
    change = (last - first) / first * 100 if first else ZERO
    return {
        "symbol": market.symbol.lower(),
        "last": text(last),
        "buy": text(ticker.bid_px or ZERO),
        "sell": text(ticker.ask_px or ZERO),
        "high": text(ticker.high or ZERO),
        "low": text(ticker.low or ZERO),
        "vol": text(ticker.volume),
        "base_vol": text(ticker.notional),
        "change": text(change.quantize(CHANGE_STEP)),
    }


def currency_row(currency: str, show: Show) -> dict[str, Any]:
    """Return a currency as `/currencies` lists it; nobody deposits or withdraws here."""
    limits = ("min_deposit_amount", "min_withdraw_amount", "min_withdraw_fee", "withdraw_fee_rate")
    return {
        "currency": currency,
        "chain": "",
        "deposit_status": 0,
        "withdraw_status": 0,
        "withdraw_fee_currency": currency,
        **{name: show(ZERO) for name in limits},
    }


def symbol_row(instrument: Instrument, show: Show) -> dict[str, Any]:
    """Return a market as `/spot/symbols` lists it."""
    return {
        "symbol": instrument.name,
        "base_asset": instrument.base,
        "quote_asset": instrument.quote,
        "price_precision": -int(instrument.tick_size.as_tuple().exponent),
        "amount_precision": -int(instrument.lot_size.as_tuple().exponent),
        "minimum_amount": show(instrument.min_trade_vol),
        "minimum_value": show(instrument.min_notional),
        "status": "TRADING",
        "is_allow": 1,
        "order_types": ["LIMIT", "MARKET"],
        "zone": "MAIN",
    }


class DepthFeed:
    """One market's book as one client has it, so that only changes need be sent.

    Parameters
    ----------
    depth
        Levels a side that are shown.
    lingers
        Whether a level that leaves the window is left with the client, however old it grows.
    """

    def __init__(self, market: Market, depth: int, *, lingers: bool) -> None:
        self.symbol = market.symbol
        self._market = market
        self._depth = depth
        self._lingers = lingers
        self._sent: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})

    def _now(self, side: Side) -> dict[Decimal, Decimal]:
        return {price: qty for price, qty, _ in self._market.levels(side, self._depth)}

    def whole(self) -> dict[str, Any]:
        """Return all of it: asks from the highest price down, bids best first."""
        bids, asks = self._sent = self._now(Side.BUY), self._now(Side.SELL)
        return {
            "asks": [[text(price), text(qty)] for price, qty in reversed(asks.items())],
            "bids": [[text(price), text(qty)] for price, qty in bids.items()],
        }

    def change(self, zero: str) -> dict[str, Any] | None:
        """Return what has changed since the last frame; None if nothing has."""
        changes: dict[str, Any] = {}
        for key, side, sent in zip(
            ("bids", "asks"), (Side.BUY, Side.SELL), self._sent, strict=True
        ):
            levels = self._changes(side, sent, zero)
            if levels:
                changes[key] = levels
        return changes or None

    def _changes(
        self, side: Side, sent: dict[Decimal, Decimal], zero: str
    ) -> Sequence[Sequence[str]]:
        """Bring `sent` up to date; return how."""
        now = self._now(side)
        worst = next(reversed(now), None)
        gone = [
            price
            for price in sent
            if price not in now and not (self._lingers and _is_beyond(price, worst, side))
        ]
        levels = [[text(price), zero] for price in gone]
        for price in gone:
            del sent[price]
        for price, qty in now.items():
            if sent.get(price) != qty:
                sent[price] = qty
                levels.append([text(price), text(qty)])
        return levels


def _is_beyond(price: Decimal, worst: Decimal | None, side: Side) -> bool:
    if worst is None:
        return False
    return price < worst if side is Side.BUY else price > worst
