"""The public REST of the simulated BlinkTrade: plain decimals, no key."""

import urllib.parse
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from botkit.matching.exchange import Market
from botkit.model import Side
from botkit.transport import HttpRequest

__all__ = ["public_reply"]

NS_PER_S: Final = 1_000_000_000
PARTS: Final = 4  # api, v1, currency, what
TRADES_MOST: Final = 1_000


def public_reply(
    markets: Mapping[str, Market], request: HttpRequest, now_ns: int, user_ids: Mapping[str, int]
) -> Any:
    """Return what `GET /api/v1/USD/ticker?crypto_currency=BTC` answers; None for no such path."""
    parts = request.path.strip("/").split("/")
    if len(parts) != PARTS or parts[:2] != ["api", "v1"]:
        return None
    query = urllib.parse.parse_qs(request.query)
    market = markets.get(query.get("crypto_currency", ["BTC"])[0] + parts[2])
    if market is None:
        return None
    if parts[3] == "ticker":
        return _ticker(market, now_ns)
    if parts[3] == "orderbook":
        return _orderbook(market, user_ids)
    return _trades(market, query) if parts[3] == "trades" else None


def _ticker(market: Market, now_ns: int) -> dict[str, Any]:
    day = market.ticker(now_ns)
    return {
        "pair": market.symbol,
        "high": _number(day.high),
        "low": _number(day.low),
        "last": _number(day.last),
        "buy": _number(day.bid_px),
        "sell": _number(day.ask_px),
        "vol": _number(day.volume),
        f"vol_{market.instrument.quote.lower()}": _number(day.notional),
    }


def _orderbook(market: Market, user_ids: Mapping[str, int]) -> dict[str, Any]:
    sides = {
        name: [
            [_number(order.price), _number(order.leaves_qty), user_ids.get(order.account, 0)]
            for order in market.orders(side)
        ]
        for name, side in (("bids", Side.BUY), ("asks", Side.SELL))
    }
    return {"pair": market.symbol, **sides}


def _trades(market: Market, query: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Return the last `limit` trades, the oldest first; of those after the trade id `since`."""
    since, most = _integer(query, "since", 0), _integer(query, "limit", TRADES_MOST)
    told = [
        {
            "tid": trade.trade_id,
            "date": trade.time_ns // NS_PER_S,
            "price": _number(trade.price),
            "amount": _number(trade.qty),
            "side": trade.side.value.lower(),
        }
        for trade in market.trades
        if trade.trade_id > since
    ]
    return told[-most:] if most else []


def _integer(query: Mapping[str, list[str]], name: str, default: int) -> int:
    value = query.get(name, [""])[0]
    return int(value[:18]) if value.isdecimal() else default


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
