"""Peatio's messages as they are on the wire, of both generations.

Numbers are plain decimals as text; markets are lower case, base then quote: `btcusd`. The first
generation is "websocket_api" (`SessionFrame`), the second "ranger" (frames of one key, the stream's
name). Rows of orders and trades are the same in REST and on the socket but for some names, which
are all taken. Source: the venue's page and its source code.
"""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from botkit.errors import VenueProtocolError

__all__ = [
    "STATES",
    "AccountRow",
    "Authenticate",
    "BookChange",
    "BookFrame",
    "BookIncrement",
    "BookOrder",
    "BookSnapshot",
    "Kline",
    "MarketRow",
    "Member",
    "Message",
    "OrderBook",
    "OrderRow",
    "PublicTrade",
    "PublicTrades",
    "SessionFrame",
    "Subscribe",
    "Success",
    "Ticker",
    "TradeRow",
    "parse",
    "time_ns",
]

NS_PER_S: Final = 1_000_000_000
MOST: Final = Decimal(10) ** 18  # no price or quantity is above it
LATEST_S: Final = 2**33  # the year 2242
STATES: Final = frozenset({"pending", "wait", "done", "cancel", "reject"})
SHOWN: Final = 200
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Time = int | float | str | None
T = TypeVar("T")


def _check(**numbers: Decimal | None) -> None:
    """Raise ValueError for a number that is no price or quantity; msgspec makes it its own."""
    for name, number in numbers.items():
        if number is not None and not (number.is_finite() and 0 <= number <= MOST):
            raise ValueError(f"{name} must be a number from 0 to 1e18")


# --- rows ---------------------------------------------------------------------------------------


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """An order: from REST, inside a trade, or of the stream `order`.

    The page names `market_id` and `origin_volume`; the first generation sends `market` and
    `volume`, the second `market` and `origin_volume`.
    """

    id: Id
    state: str
    side: Literal["buy", "sell"]
    ord_type: str = "limit"
    market: str = ""
    market_id: str = ""
    price: Decimal | None = None
    avg_price: Decimal | None = None
    volume: Decimal | None = None
    origin_volume: Decimal | None = None
    remaining_volume: Decimal | None = None
    executed_volume: Decimal | None = None
    trades_count: int = 0
    trades: "list[TradeRow] | None" = None
    kind: str = ""
    uuid: str = ""
    at: Time = None
    created_at: Time = None
    updated_at: Time = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(
            price=self.price,
            avg_price=self.avg_price,
            volume=self.volume,
            origin_volume=self.origin_volume,
            remaining_volume=self.remaining_volume,
            executed_volume=self.executed_volume,
        )

    @property
    def symbol(self) -> str:
        """The market's name."""
        return self.market or self.market_id

    @property
    def qty(self) -> Decimal | None:
        """What was ordered, in base currency."""
        return self.volume if self.origin_volume is None else self.origin_volume

    @property
    def filled(self) -> Decimal | None:
        """What has been traded of it; the most that is told."""
        if self.executed_volume is not None:
            return self.executed_volume
        if self.qty is None or self.remaining_volume is None:
            return None
        return self.qty - self.remaining_volume


class TradeRow(msgspec.Struct, frozen=True, gc=False):
    """A trade of ours. `volume` and `funds` are `amount` and `total` in the second generation.

    `side` says which order is ours: "ask", "bid" or "both" in the first generation, where that
    order is enclosed; "buy" or "sell" in the second.
    """

    id: Id
    price: Decimal
    volume: Decimal | None = None
    amount: Decimal | None = None
    funds: Decimal | None = None
    total: Decimal | None = None
    market: str = ""
    side: str | None = None
    taker_type: str | None = None
    order_id: Id | None = None
    created_at: Time = None
    bid: OrderRow | None = None
    ask: OrderRow | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(price=self.price, volume=self.volume, amount=self.amount)
        if self.volume is None and self.amount is None:
            raise ValueError("neither volume nor amount is there")

    @property
    def qty(self) -> Decimal:
        """How much was traded, in base currency."""
        qty = self.volume if self.amount is None else self.amount
        assert qty is not None
        return qty


class AccountRow(msgspec.Struct, frozen=True, gc=False):
    """What is held of a currency: `balance` is free, `locked` is not."""

    currency: str
    balance: Decimal
    locked: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(balance=self.balance, locked=self.locked)


class Member(msgspec.Struct, frozen=True, gc=False):
    """`/members/me` of the first generation."""

    accounts: list[AccountRow]


class MarketRow(msgspec.Struct, frozen=True, gc=False):
    """A market. The first generation tells `id` and `name` ("BTC/USD") alone."""

    id: str
    name: str = ""
    base_unit: str = ""
    quote_unit: str = ""
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_amount: Decimal | None = None
    amount_precision: Annotated[int, msgspec.Meta(ge=0, le=18)] | None = None
    price_precision: Annotated[int, msgspec.Meta(ge=0, le=18)] | None = None
    state: str = "enabled"


class OrderBook(msgspec.Struct, frozen=True, gc=False):
    """`/order_book` of the first generation: whole orders, best first."""

    asks: list[OrderRow]
    bids: list[OrderRow]


# --- first generation ---------------------------------------------------------------------------


class Message(msgspec.Struct, frozen=True, gc=False):
    """What `success` and `error` hold."""

    message: str = ""


class BookOrder(msgspec.Struct, frozen=True, gc=False):
    """One order of the public book: `volume` is what is left of it."""

    id: Id
    type: Literal["ask", "bid"]
    market: str
    volume: Decimal = Decimal(0)
    price: Decimal | None = None
    timestamp: Time = None
    ord_type: str = "limit"

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(volume=self.volume, price=self.price)


class BookChange(msgspec.Struct, frozen=True, gc=False):
    """`orderbook`: `action` is new (the side is to be emptied), add, update or remove."""

    action: str
    order: BookOrder


class SessionFrame(msgspec.Struct, frozen=True, gc=False):
    """Any frame of the first generation: one of these is there."""

    challenge: str | None = None
    success: Message | None = None
    error: Message | None = None
    orderbook: BookChange | None = None
    trade: TradeRow | None = None


class Authenticate(msgspec.Struct, frozen=True, gc=False):
    """The answer to the challenge, which is not used: `Bearer TOKEN`."""

    jwt: str


# --- second generation --------------------------------------------------------------------------


class Success(msgspec.Struct, frozen=True, gc=False):
    """`success`: all streams that are subscribed now."""

    message: str
    streams: list[str] = []


class Subscribe(msgspec.Struct, frozen=True, gc=False):
    """`event` is subscribe or unsubscribe."""

    event: Literal["subscribe", "unsubscribe"]
    streams: list[str]


PriceAmount = tuple[str, str]


class BookSnapshot(msgspec.Struct, frozen=True, gc=False):
    """`MARKET.ob-snap`: levels, best first; read with `strict=False`, which makes text numbers."""

    sequence: Id
    asks: list[tuple[float, float]] = []
    bids: list[tuple[float, float]] = []


class BookIncrement(msgspec.Struct, frozen=True, gc=False):
    """`MARKET.ob-inc`: one pair, or a list of pairs; the amount "" deletes the level."""

    sequence: Id
    asks: list[str | PriceAmount] = []
    bids: list[str | PriceAmount] = []


class BookFrame(msgspec.Struct, frozen=True, gc=False):
    """The book's levels as `/public/markets/MARKET/depth` tells them."""

    asks: list[PriceAmount]
    bids: list[PriceAmount]


class PublicTrade(msgspec.Struct, frozen=True, gc=False):
    """A print: of `MARKET.trades`, or of REST with `id`, `volume` and `created_at`."""

    price: Decimal
    tid: Id | None = None
    id: Id | None = None
    amount: Decimal | None = None
    volume: Decimal | None = None
    taker_type: str | None = None
    date: Time = None
    created_at: Time = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        _check(price=self.price, amount=self.amount, volume=self.volume)

    @property
    def number(self) -> int:
        """Its id; 0 if there is none."""
        return self.tid or self.id or 0


class PublicTrades(msgspec.Struct, frozen=True, gc=False):
    """`MARKET.trades`."""

    trades: list[PublicTrade]


class Ticker(msgspec.Struct, frozen=True, gc=False):
    """One market of `global.tickers`: 24 hours."""

    low: Decimal
    high: Decimal
    last: Decimal
    volume: Decimal
    open: Decimal | None = None
    amount: Decimal | None = None
    avg_price: Decimal | None = None
    price_change_percent: str = ""
    at: Time = None


Kline = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]
"""`MARKET.kline-1m` and so on: time in seconds, open, high, low, close, volume."""


# --- reading ------------------------------------------------------------------------------------


def parse(decoder: Callable[[Any], T], raw: bytes | msgspec.Raw, what: str) -> T:
    """Return `raw` decoded; raise `VenueProtocolError` if it is not `what`."""
    try:
        return decoder(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise VenueProtocolError(f"peatio: cannot read {what} {_shown(raw)}: {exc}") from exc


def _shown(raw: bytes | msgspec.Raw) -> str:
    text = bytes(raw)
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + b"...")


def time_ns(told: Time) -> int:
    """Return Unix seconds or ISO 8601 text as ns; 0 for none.

    Raises
    ------
    VenueProtocolError
        It is no time.
    """
    if told is None:
        return 0
    seconds: float = -1
    if isinstance(told, str):
        with contextlib.suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(told)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    else:
        seconds = told
    if not 0 <= seconds < LATEST_S:
        raise VenueProtocolError(
            f"peatio: found the time {str(told)[:SHOWN]!r}, allowed: seconds since 1970, ISO 8601"
        )
    return int(seconds) * NS_PER_S + round((seconds % 1) * 1e6) * 1_000
