"""DigiFinex's messages as they are on the wire, both directions, and their signatures.

WebSocket frames are JSON, from the server zlib-compressed; numbers are text with plain decimals.
Pushes are `{"method": ..., "params": [...]}`, replies name the `id` of the request. REST replies
have a `code`, 0 for success, as a number or as text. Sources: the venue's pages for `ws/v1` and
REST v3.
"""

import base64
import hmac
import urllib.parse
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Final, TypeVar

import msgspec

from botkit.errors import VenueProtocolError

__all__ = [
    "MOST",
    "Answer",
    "AssetRow",
    "Assets",
    "BalanceRow",
    "BalanceUpdate",
    "Canceled",
    "Deal",
    "Depth",
    "DepthUpdate",
    "Detail",
    "DetailReply",
    "ErrorCode",
    "Level",
    "MyTrade",
    "MyTrades",
    "OrderAlgoRow",
    "OrderAlgoUpdate",
    "OrderPush",
    "OrderRow",
    "OrderStatus",
    "OrderUpdate",
    "Orders",
    "Placed",
    "Push",
    "Reply",
    "Request",
    "ServerTime",
    "SymbolRow",
    "Symbols",
    "TickerRow",
    "TickerUpdate",
    "TradeRow",
    "TradesUpdate",
    "WsError",
    "auth_sign",
    "exact",
    "form",
    "parse",
    "rest_headers",
]

MOST: Final = 10**18  # no price, size, money or time in ms is above it
SHOWN: Final = 200
MOST_DIGITS: Final = 40

Number = Annotated[float, msgspec.Meta(ge=0, le=1e18)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
T = TypeVar("T")


class OrderStatus(IntEnum):
    """Where an order stands."""

    UNFILLED = 0
    PARTIALLY_FILLED = 1
    FILLED = 2
    CANCELED = 3  # with nothing filled
    CANCELED_PARTIALLY_FILLED = 4


class ErrorCode(IntEnum):
    """The codes of REST replies that we know; others are kept as numbers."""

    OK = 0
    WRONG_METHOD = 10001
    WRONG_KEY = 10002
    WRONG_SIGN = 10003
    WRONG_PARAMETERS = 10004
    TOO_MANY_REQUESTS = 10005
    UNAUTHORIZED = 10006
    ADDRESS_NOT_ALLOWED = 10007
    TIMESTAMP_OUT_OF_RANGE = 10008
    NO_ENDPOINT = 10009
    KEY_EXPIRED = 10011
    PAIR_NOT_OPEN = 20001
    TRADING_SUSPENDED = 20002
    PRICE_OR_AMOUNT_WRONG = 20003
    PRICE_PRECISION = 20007
    AMOUNT_PRECISION = 20008
    BELOW_MINIMUM_AMOUNT = 20009
    BELOW_MINIMUM_VALUE = 20010
    NOT_ENOUGH_BALANCE = 20011
    WRONG_TYPE = 20012
    NO_SUCH_ORDER = 20013
    WRONG_DATE = 20014
    WRONG_DATES = 20015
    ACCOUNT_BANNED = 20018
    WRONG_PAIR = 20019
    BANNED_FOR_CONDUCT = 20020
    PAIR_NOT_OPEN_TO_API = 20042
    EXCEPTION = 50000


# --- pushes -------------------------------------------------------------------------------------

Level = tuple[Number, Number]


class Depth(msgspec.Struct, frozen=True, gc=False):
    """Levels by side; a side may be missing."""

    asks: list[Level] = []
    bids: list[Level] = []


class DepthUpdate(msgspec.Struct, tag_field="method", tag="depth.update", frozen=True, gc=False):
    """`[clean, depth, market]`: the whole book, or changes of it."""

    params: tuple[bool, Depth, str]


class TradeRow(msgspec.Struct, frozen=True, gc=False):
    """A trade of the public's; `type` is the taker's side, `time` in seconds."""

    id: int | str
    time: Seconds
    price: Number
    amount: Number
    type: str = ""


class TradesUpdate(msgspec.Struct, tag_field="method", tag="trades.update", frozen=True, gc=False):
    """`[clean, trades, market]`: recent history, or new trades; newest first."""

    params: tuple[bool, list[TradeRow], str]


class TickerRow(msgspec.Struct, frozen=True, gc=False):
    """The last 24 hours of a market and its best prices, not in step with the depth."""

    symbol: str
    open_24h: Number | None = None
    low_24h: Number | None = None
    base_volume_24h: Number | None = None
    quote_volume_24h: Number | None = None
    last: Number | None = None
    last_qty: Number | None = None
    best_bid: Number | None = None
    best_bid_size: Number | None = None
    best_ask: Number | None = None
    best_ask_size: Number | None = None
    timestamp: Milliseconds = 0


class TickerUpdate(msgspec.Struct, tag_field="method", tag="ticker.update", frozen=True, gc=False):
    """Tickers of the markets subscribed to."""

    params: list[TickerRow]


class AllTickerUpdate(
    msgspec.Struct, tag_field="method", tag="all_ticker.update", frozen=True, gc=False
):
    """Tickers of every market."""

    params: list[TickerRow]


class OrderPush(msgspec.Struct, frozen=True, gc=False):
    """An order of ours: `filled`, `notional` and `price_avg` are totals so far."""

    id: str
    symbol: str
    side: str
    status: int
    filled: Decimal
    type: str = "limit"
    mode: int = 1  # 1 is spot, 2 margin
    price: Decimal | None = None
    amount: Decimal | None = None
    notional: Decimal | None = None
    price_avg: Decimal | None = None
    timestamp: Milliseconds = 0


class OrderUpdate(msgspec.Struct, tag_field="method", tag="order.update", frozen=True, gc=False):
    """Orders of ours that have changed."""

    params: list[OrderPush]


class OrderAlgoRow(msgspec.Struct, frozen=True, gc=False):
    """A trigger order of the account's; we send none."""

    id: str
    symbol: str
    side: str = ""
    status: int = 0
    algo_price: Decimal | None = None
    trigger_price: Decimal | None = None
    amount: Decimal | None = None
    mode: int = 1
    timestamp: Milliseconds = 0


class OrderAlgoUpdate(
    msgspec.Struct, tag_field="method", tag="order_algo.update", frozen=True, gc=False
):
    """Trigger orders that have changed."""

    params: list[OrderAlgoRow]


class BalanceRow(msgspec.Struct, frozen=True, gc=False):
    """What is held of a currency."""

    currency: str
    free: Decimal
    total: Decimal
    used: Decimal | None = None


class BalanceUpdate(
    msgspec.Struct, tag_field="method", tag="balance.update", frozen=True, gc=False
):
    """Balances that have changed."""

    params: list[BalanceRow]


Push = (
    DepthUpdate
    | TradesUpdate
    | OrderUpdate
    | BalanceUpdate
    | TickerUpdate
    | AllTickerUpdate
    | OrderAlgoUpdate
)


class WsError(msgspec.Struct, frozen=True, gc=False):
    """Why a request failed."""

    code: int = 0
    message: str = ""


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The answer to the request of that `id`; `method` is set in pushes alone."""

    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: WsError | None = None
    method: str | None = None


class Request(msgspec.Struct, frozen=True, gc=False):
    """What a client sends."""

    id: int
    method: str
    params: list[Any]


# --- REST ---------------------------------------------------------------------------------------


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What every reply has."""

    code: int


class ServerTime(Answer, frozen=True, gc=False):
    """Of `/time`."""

    server_time: Seconds = 0.0


class SymbolRow(msgspec.Struct, frozen=True, gc=False):
    """A market."""

    symbol: str
    base_asset: str
    quote_asset: str
    price_precision: Annotated[int, msgspec.Meta(ge=0, le=30)]
    amount_precision: Annotated[int, msgspec.Meta(ge=0, le=30)]
    minimum_amount: Decimal = Decimal(0)
    minimum_value: Decimal = Decimal(0)
    status: str = "TRADING"
    is_allow: int = 1
    order_types: list[str] = []
    zone: str = ""


class Symbols(Answer, frozen=True, gc=False):
    """Of `/spot/symbols`."""

    symbol_list: list[SymbolRow]


class Placed(Answer, frozen=True, gc=False):
    """Of `/spot/order/new`."""

    order_id: str


class Canceled(Answer, frozen=True, gc=False):
    """Of `/spot/order/cancel`: ids accepted, and ids filled, canceled or unknown."""

    success: list[str] = []
    error: list[str] = []


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """An order of ours; dates in seconds."""

    order_id: str
    symbol: str
    status: int
    executed_amount: Decimal
    type: str
    price: Decimal | None = None
    amount: Decimal | None = None
    avg_price: Decimal | None = None
    cash_amount: Decimal | None = None
    created_date: Seconds = 0.0
    finished_date: Seconds | None = None
    kind: str = ""


class Orders(Answer, frozen=True, gc=False):
    """Of `/spot/order`, `/spot/order/current` and `/spot/order/history`."""

    data: list[OrderRow]


class Deal(msgspec.Struct, frozen=True, gc=False):
    """One fill in the detail of an order."""

    tid: int | str
    executed_amount: Decimal
    executed_price: Decimal
    fee: Decimal | None = None
    fee_currency: str = ""
    date: Seconds = 0.0


class Detail(OrderRow, frozen=True, gc=False, kw_only=True):
    """An order with its fills."""

    detail: list[Deal] = []


class DetailReply(Answer, frozen=True, gc=False):
    """Of `/spot/order/detail`."""

    data: Detail


class MyTrade(msgspec.Struct, frozen=True, gc=False):
    """A fill of ours."""

    symbol: str
    order_id: str
    id: int | str
    price: Decimal
    amount: Decimal
    fee: Decimal | None = None
    fee_currency: str = ""
    timestamp: Seconds = 0.0
    side: str = ""
    is_maker: bool | None = None


class MyTrades(Answer, frozen=True, gc=False):
    """Of `/spot/mytrades`."""

    rows: list[MyTrade] = msgspec.field(name="list")


class AssetRow(msgspec.Struct, frozen=True, gc=False):
    """What is held of a currency."""

    currency: str
    free: Decimal
    total: Decimal


class Assets(Answer, frozen=True, gc=False):
    """Of `/spot/assets`."""

    rows: list[AssetRow] = msgspec.field(name="list")


# --- reading ------------------------------------------------------------------------------------


def parse(decoder: Callable[[Any], T], raw: bytes | msgspec.Raw, what: str) -> T:
    """Return `raw` decoded; raise `VenueProtocolError` if it is not `what`."""
    try:
        return decoder(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        text = bytes(raw)
        shown = text if len(text) <= SHOWN else text[:SHOWN] + b"..."
        raise VenueProtocolError(f"digifinex: cannot read {what} {shown!r}: {exc}") from exc


def exact(value: Decimal, what: str) -> Decimal:
    """Return `value` if it is an amount that can be counted with: finite, not huge, not endless.

    Raises
    ------
    VenueProtocolError
        It is not.
    """
    _, digits, exponent = value.as_tuple()
    if (
        not isinstance(exponent, int)
        or len(digits) > MOST_DIGITS
        or abs(exponent) > MOST_DIGITS  # before the size is looked at, which may overflow
        or abs(value) > MOST
    ):
        raise VenueProtocolError(
            f"digifinex: found {what} {str(value)[:SHOWN]}, allowed: a number up to {MOST} of at "
            f"most {MOST_DIGITS} digits"
        )
    return value


# --- signing ------------------------------------------------------------------------------------


def auth_sign(secret: str, timestamp_ms: str) -> str:
    """Return what `server.auth` is signed with: base64 of HMAC-SHA256 over the time as text."""
    digest = hmac.digest(secret.encode(), timestamp_ms.encode(), "sha256")
    return base64.b64encode(digest).decode()


def form(parameters: Mapping[str, str]) -> str:
    """Return parameters as they are sent and signed: sorted by name, URL-encoded."""
    return urllib.parse.urlencode(sorted(parameters.items()))


def rest_headers(key: str, secret: str, text: str, *, timestamp_s: int) -> dict[str, str]:
    """Return the headers of a private call; `text` is the query or form, as it is sent."""
    return {
        "ACCESS-KEY": key,
        "ACCESS-TIMESTAMP": str(timestamp_s),
        "ACCESS-SIGN": hmac.digest(secret.encode(), text.encode(), "sha256").hex(),
    }
