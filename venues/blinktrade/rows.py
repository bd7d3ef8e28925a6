"""What the simulated exchange knows, as messages of BlinkTrade's wire. No I/O."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from botkit.matching.exchange import (
    BookAction,
    BookOrderChange,
    Execution,
    Leg,
    Market,
    OrderState,
    OrderTerms,
    PublicTrade,
)
from botkit.model import OrdStatus, OrdType, Side, TimeInForce
from venues.blinktrade.wire import UNITS, to_units

__all__ = [
    "ORDER_COLUMNS",
    "ORD_TYPES",
    "SIDES",
    "TIMES_IN_FORCE",
    "FatalError",
    "balances",
    "book_change",
    "book_snapshot",
    "date_time",
    "fill_report",
    "instruments",
    "integer",
    "order_report",
    "order_row",
    "public_id",
    "refused_report",
    "terms_of",
    "text",
    "ticker",
    "trade_entry",
    "volume_entry",
]

NS_PER_S: Final = 1_000_000_000
ID_STEP: Final = 1_000  # between the ids of two orders, for those that were refused meanwhile
MARKET_ORDER_PRICE: Final = 0
ACTIONS: Final = {BookAction.ADD: "0", BookAction.UPDATE: "1", BookAction.REMOVE: "2"}
SIDES: Final = {"1": Side.BUY, "2": Side.SELL}
SIDE_WORDS: Final = {side: word for word, side in SIDES.items()}
ORD_TYPES: Final = {
    "1": OrdType.MARKET,
    "2": OrdType.LIMIT,
    "3": OrdType.STOP,
    "4": OrdType.STOP_LIMIT,
}
TYPE_WORDS: Final = {kind: word for word, kind in ORD_TYPES.items()}
TIMES_IN_FORCE: Final = {"0": TimeInForce.DAY, "1": TimeInForce.GTC, "4": TimeInForce.FOK}
TIME_WORDS: Final = {kind: word for word, kind in TIMES_IN_FORCE.items()}
STATUS_WORDS: Final = {
    OrdStatus.NEW: "0",
    OrdStatus.PARTIALLY_FILLED: "1",
    OrdStatus.FILLED: "2",
    OrdStatus.CANCELED: "4",
    OrdStatus.EXPIRED: "4",
    OrdStatus.REJECTED: "8",
}
ORDER_COLUMNS: Final = (
    "ClOrdID", "OrderID", "CumQty", "OrdStatus", "LeavesQty", "CxlQty", "AvgPx", "Symbol", "Side",
    "OrdType", "OrderQty", "Price", "OrderDate", "Volume", "TimeInForce",
)  # fmt: skip


class FatalError(Exception):
    """What the venue answers by ERROR and a closed connection; `detail` "" just drops it."""

    def __init__(self, detail: str, description: str = "Invalid message") -> None:
        self.detail = detail
        self.description = description
        super().__init__(detail)

    def told(self) -> dict[str, str]:
        """Return what the client reads."""
        return {"MsgType": "ERROR", "Description": self.description, "Detail": self.detail}


# --- what a client sends ------------------------------------------------------------------------


def integer(message: Mapping[str, Any], tag: str, *, above: int = 0) -> int:
    """Return a tag that must be a whole number above `above`; refuse the message otherwise."""
    value = message.get(tag)
    if value is None:
        raise FatalError(f"Missing tag {tag}")
    if not isinstance(value, int) or isinstance(value, bool) or not above < value <= 10**18:
        raise FatalError(f"Invalid value tag({tag})={value}")
    return value


def text(message: Mapping[str, Any], tag: str) -> str:
    """Return a tag that must be text; refuse the message otherwise."""
    value = message.get(tag)
    if value is None:
        raise FatalError(f"Missing tag {tag}")
    if not isinstance(value, str) or not value:
        raise FatalError(f"Invalid value tag({tag})={value}")
    return value


def _word(message: Mapping[str, Any], tag: str, words: Mapping[str, Any], default: str = "") -> Any:
    value = message.get(tag, default)
    if value == "":
        raise FatalError(f"Missing tag {tag}")
    if not isinstance(value, str) or value not in words:
        raise FatalError(f"Invalid value tag({tag})={value}")
    return words[value]


def terms_of(
    message: Mapping[str, Any], market: Market, session: str, *, ignores_time: bool
) -> OrderTerms:
    """Return the order that a D asks for, its price floored to the grid as the venue does."""
    ord_type: OrdType = _word(message, "OrdType", ORD_TYPES)
    time_in_force: TimeInForce = _word(message, "TimeInForce", TIMES_IN_FORCE, "1")
    if ignores_time:
        time_in_force = TimeInForce.GTC
    if ord_type is OrdType.MARKET and time_in_force is TimeInForce.GTC:
        time_in_force = TimeInForce.IOC  # what finds nobody is canceled
    return OrderTerms(
        symbol=market.symbol,
        side=_word(message, "Side", SIDES),
        ord_type=ord_type,
        order_qty=_decimal(integer(message, "OrderQty")),
        price=_price(message, "Price", market, wanted="LIMIT" in ord_type),
        stop_px=_price(message, "StopPx", market, wanted="STOP" in ord_type),
        time_in_force=time_in_force,
        post_only=message.get("ExecInst") == "6",
        client_order_id=text(message, "ClOrdID"),
        session=session,
    )


def _price(message: Mapping[str, Any], tag: str, market: Market, *, wanted: bool) -> Decimal | None:
    if not wanted:
        return None
    tick = market.tick_size
    return _decimal(integer(message, tag)) // tick * tick


def _decimal(units: int) -> Decimal:
    return Decimal(units).scaleb(-8)


# --- orders -------------------------------------------------------------------------------------


def public_id(order_id: int) -> int:
    """Return the id that clients see of an order of the exchange's."""
    return order_id * ID_STEP


def _mean(order: OrderState) -> int:
    return 0 if order.avg_px is None else int(order.avg_px * UNITS)


def order_report(order: OrderState, exec_id: int, exec_side: Side | None = None) -> dict[str, Any]:
    """Return the 8 that says where an order stands."""
    status = STATUS_WORDS[order.ord_status]
    left = to_units(order.order_qty - order.cum_qty)
    is_over = status == "4"
    return {
        "MsgType": "8",
        "OrderID": public_id(order.order_id),
        "ExecID": exec_id,
        "ExecType": status,
        "OrdStatus": status,
        "Symbol": order.symbol,
        "Side": SIDE_WORDS[order.side],
        "ExecSide": SIDE_WORDS[exec_side or order.side],
        "OrdType": TYPE_WORDS[order.ord_type],
        "TimeInForce": TIME_WORDS.get(order.time_in_force, "1"),
        "ClOrdID": order.client_order_id,
        "OrderQty": to_units(order.order_qty),
        "Price": MARKET_ORDER_PRICE if order.price is None else to_units(order.price),
        "CumQty": to_units(order.cum_qty),
        "LeavesQty": 0 if is_over else left,
        "CxlQty": left if is_over else 0,
        "LastShares": 0,
        "LastPx": 0,
        "AvgPx": _mean(order),
    }


def fill_report(execution: Execution, leg: Leg, exec_id: int) -> dict[str, Any]:
    """Return the 8 of one side of an execution."""
    return {
        **order_report(leg.order, exec_id, execution.side),
        "LastShares": to_units(execution.qty),
        "LastPx": to_units(execution.price),
    }


def refused_report(
    terms: OrderTerms, order_id: int, exec_id: int, status: str, reason: str
) -> dict[str, Any]:
    """Return the 8 of an order that never worked: rejected, or canceled at once."""
    assert terms.order_qty is not None
    qty = to_units(terms.order_qty)
    return {
        "MsgType": "8",
        "OrderID": order_id,
        "ExecID": exec_id,
        "ExecType": status,
        "OrdStatus": status,
        "Symbol": terms.symbol,
        "Side": SIDE_WORDS[terms.side],
        "ExecSide": SIDE_WORDS[terms.side],
        "OrdType": TYPE_WORDS[terms.ord_type],
        "TimeInForce": TIME_WORDS.get(terms.time_in_force, "1"),
        "ClOrdID": terms.client_order_id,
        "OrderQty": qty,
        "Price": MARKET_ORDER_PRICE if terms.price is None else to_units(terms.price),
        "CumQty": 0,
        "LeavesQty": 0,
        "CxlQty": qty if status == "4" else 0,
        "LastShares": 0,
        "LastPx": 0,
        "AvgPx": 0,
        **({"OrdRejReason": reason} if status == "8" else {}),
    }


def order_row(report: Mapping[str, Any], created_ns: int) -> dict[str, Any]:
    """Return what the order list has of an order, by column, made of an 8 about it."""
    return {
        **{column: report.get(column) for column in ORDER_COLUMNS},
        "OrderDate": date_time(created_ns),
        "Volume": report["CumQty"] * report["AvgPx"] // UNITS,
    }


# --- market data --------------------------------------------------------------------------------


def date_time(time_ns: int) -> str:
    """Return a time as the venue writes it."""
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _stamp(time_ns: int) -> dict[str, str]:
    date, _, time = date_time(time_ns).partition(" ")
    return {"MDEntryDate": date, "MDEntryTime": time}


def _order_entry(order: OrderState | BookOrderChange, user_id: int, qty: Decimal) -> dict[str, Any]:
    assert order.price is not None
    number = public_id(order.order_id)
    return {
        "MDEntryType": "0" if order.side is Side.BUY else "1",
        "MDEntryPx": to_units(order.price),
        "MDEntrySize": to_units(qty),
        "MDEntryID": number,
        "OrderID": number,
        "UserID": user_id,
        "Broker": "exchange",
        **_stamp(order.created_ns),
    }


def book_snapshot(
    market: Market, depth: int, types: Sequence[str], user_ids: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return the entries of a W: every order of the book, the last trades, the volume."""
    entries: list[dict[str, Any]] = []
    for kind, side in (("0", Side.BUY), ("1", Side.SELL)):
        if kind in types:
            entries += [
                {
                    **_order_entry(order, user_ids.get(order.account, 0), order.leaves_qty),
                    "MDEntryPositionNo": position,
                }
                for position, order in enumerate(market.orders(side, depth or None), 1)
            ]
    if "2" in types:
        entries += [trade_entry(trade, user_ids) for trade in list(market.trades)[-20:]]
        entries.append(volume_entry(market, market.trades[-1].time_ns if market.trades else 0))
    return entries


def book_change(change: BookOrderChange, user_ids: Mapping[str, int]) -> dict[str, Any]:
    """Return the entry of an X for one order; of a deleted one only its place is told."""
    entry = {
        "MDUpdateAction": ACTIONS[change.action],
        "MDEntryPositionNo": change.index + 1,
        "Symbol": change.symbol,
    }
    if change.action is BookAction.REMOVE:
        return {**entry, "MDEntryType": "0" if change.side is Side.BUY else "1"}
    return {**_order_entry(change, user_ids.get(change.account, 0), change.qty), **entry}


def trade_entry(trade: PublicTrade, user_ids: Mapping[str, int]) -> dict[str, Any]:
    """Return the entry of a W or X for one trade."""
    resting, taking = public_id(trade.maker_order_id), public_id(trade.taker_order_id)
    return {
        "MDUpdateAction": "0",
        "MDEntryType": "2",
        "TradeID": trade.trade_id,
        "Symbol": trade.symbol,
        "MDEntryPx": to_units(trade.price),
        "MDEntrySize": to_units(trade.qty),
        "Side": SIDE_WORDS[trade.side],
        "OrderID": taking,
        "SecondaryOrderID": resting,
        "MDEntryBuyerID": user_ids.get(trade.buyer, 0),
        "MDEntrySellerID": user_ids.get(trade.seller, 0),
        **_stamp(trade.time_ns),
    }


def volume_entry(market: Market, now_ns: int) -> dict[str, Any]:
    """Return the entry that tells the day's volume in both currencies."""
    day = market.ticker(now_ns)
    return {
        "MDEntryType": "4",
        market.instrument.base: to_units(day.volume),
        market.instrument.quote: int(day.notional * UNITS),
    }


def ticker(market: Market, now_ns: int) -> dict[str, Any]:
    """Return what an f tells of a market."""
    day = market.ticker(now_ns)

    def units(price: Decimal | None) -> int | None:
        return None if price is None else to_units(price)

    return {
        "MsgType": "f",
        "Symbol": market.symbol,
        "BestBid": units(day.bid_px),
        "BestAsk": units(day.ask_px),
        "LastPx": units(day.last) or 0,
        "HighPx": units(day.high) or 0,
        "LowPx": units(day.low) or 0,
        "BuyVolume": int(day.notional * UNITS),
        "SellVolume": to_units(day.volume),
    }


# --- the rest -----------------------------------------------------------------------------------


def instruments(markets: Mapping[str, Market]) -> dict[str, Any]:
    """Return the y without its request's id."""
    listed = [market.instrument for market in markets.values()]
    quotes = {each.quote: to_units(each.tick_size) for each in listed}
    currencies = {**{each.base: 1 for each in listed}, **quotes}
    return {
        "MsgType": "y",
        "SecurityResponseID": "1",
        "SecurityRequestResult": 2,
        "TotalNumSecurities": len(listed),
        "NoRelatedSym": len(listed),
        "Instruments": [
            {
                "Symbol": each.name,
                "Currency": each.quote,
                "Description": f"{each.base} / {each.quote}",
            }
            for each in listed
        ],
        "TotalNumCurrencies": len(currencies),
        "NoRelatedCurr": len(currencies),
        "Currencies": [
            {
                "Code": code,
                "Sign": code[0],
                "Description": code,
                "IsCrypto": code not in quotes,
                "Pip": pip,
                "NumberOfDecimals": 2,
            }
            for code, pip in currencies.items()
        ],
    }


def balances(held: Mapping[str, tuple[Decimal, Decimal]], *, locked: bool) -> dict[str, int]:
    """Return totals, and what of them is locked where the venue tells it, in units."""
    told = {currency: to_units(total) for currency, (total, _) in held.items()}
    if locked:
        told |= {f"{currency}_locked": to_units(part) for currency, (_, part) in held.items()}
    return told
