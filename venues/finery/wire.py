"""Finery's messages as they are on the wire, both directions, and their signature.

Sizes, prices and money are integers of 10^-8; times are milliseconds since 1970 UTC. What the
server sends about feeds are JSON arrays `[feed, feedId, action, payload]`; rows may grow places
that we do not know, so rows are read by their first places. Source: the venue's API pages.
"""

import base64
import hmac
from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Final, TypeVar

import msgspec

from botkit.errors import VenueProtocolError

__all__ = [
    "MOST",
    "UNITS",
    "AddContent",
    "AddReply",
    "Bind",
    "CancelReason",
    "Content",
    "Currency",
    "Deal",
    "DealInReply",
    "DelAllReply",
    "DelReply",
    "ErrorCode",
    "FeedFrame",
    "InstrumentRow",
    "Instruments",
    "Level",
    "LevelChange",
    "Limit",
    "ModReply",
    "OrderRow",
    "OrderType",
    "Ping",
    "Position",
    "Positions",
    "Reply",
    "RequestMessage",
    "Side",
    "from_units",
    "handshake_headers",
    "parse",
    "rest_headers",
    "sign",
    "to_units",
]

UNITS: Final = 10**8
MOST: Final = 10**18  # ten thousand million: no size or price is above it
STEP: Final = Decimal("1e-8")

Unsigned = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
Signed = Annotated[int, msgspec.Meta(ge=-MOST, le=MOST)]
Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
T = TypeVar("T")


class Side(IntEnum):
    """Which side of the book an order is on."""

    BID = 0
    ASK = 1


class OrderType(IntEnum):
    """What places 1 of order and deal rows say; requests have the names in `ORDER_TYPE_TEXTS`."""

    LIMIT = 0
    POST_ONLY = 1
    LIMIT_IOC = 2
    LIMIT_FOK = 3
    MARKET_IOC = 4
    MARKET_FOK = 5


class CancelReason(IntEnum):
    """Why an order is not in the book; 0 while it is, and when it was filled."""

    NONE = 0
    BY_CLIENT = 1
    NOT_FOR_BOOK = 2  # what an IOC, FOK or market order left
    SELF_TRADE = 3
    DISCONNECTED = 4


class ErrorCode(IntEnum):
    """The codes with a meaning for us; others are kept as numbers."""

    OK = 0
    NOT_CONNECTED = 2
    NONCE_OR_SIGNATURE = 6
    TIMESTAMP = 7
    NO_METHOD = 8
    PARAMETER = 9
    NO_INSTRUMENT = 34
    SIZE = 70
    PRICE = 71
    ORDER_TYPE = 73
    CLIENT_ORDER_ID_IN_USE = 74
    POST_ONLY_WOULD_TAKE = 75
    IOC_NO_MATCH = 76
    FOK_NOT_ENOUGH = 77
    SELF_MATCH = 78
    LIMITS_EXCEEDED = 79
    ORDER_NOT_FOUND = 80
    SIZE_AND_VOLUME = 81
    VOLUME_NOT_ALLOWED = 82
    SIDE_MISMATCH = 91
    ALREADY_BOUND = 100
    NOT_BOUND = 101
    BAD_FEED = 102
    BAD_FEED_ID = 103


# --- what the server sends ----------------------------------------------------------------------


class FeedFrame(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`[feed, feedId, action, payload]`; the payload's shape depends on feed and action."""

    feed: str
    feed_id: int | str | None
    action: str
    payload: msgspec.Raw = msgspec.Raw(b"0")


class Reply(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The answer to a `request`: `reply`, or an `error` code and the parameter it is about."""

    event: str = ""
    req_id: int | None = None
    reply: msgspec.Raw = msgspec.Raw(b"null")
    error: int | None = None
    param: str = ""


Level = tuple[Unsigned, Unsigned]
LevelChange = tuple[str, Unsigned, Unsigned]


class OrderRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An order of ours: feed O, action `+` or `-`, and the list in a P snapshot."""

    instrument: str
    order_type: int
    side: Annotated[int, msgspec.Meta(ge=0, le=1)]
    cancel_reason: int
    order_id: Id
    client_order_id: Id
    price: Unsigned
    initial: Unsigned
    remaining: Unsigned
    created_ms: Unsigned
    by_volume: int = 0


class Deal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An execution: feed O, action `D`, and the rows of `dealHistory`."""

    instrument: str
    order_type: int
    side: Annotated[int, msgspec.Meta(ge=0, le=1)]
    cancel_reason: int
    order_id: Id
    client_order_id: Id
    order_price: Unsigned
    initial: Unsigned
    remaining: Unsigned
    created_ms: Unsigned
    deal_ms: Unsigned
    deal_id: Id
    aggressor: int
    price: Unsigned
    size: Unsigned
    volume: Unsigned
    delta: Signed = 0
    counterparty: int = 0
    by_volume: int = 0


class Position(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What is held of a currency with one counterparty, signed."""

    currency: str
    size: Signed
    counterparty: int = 0
    max_reachable: Signed = 0
    min_reachable: Signed = 0


class Limit(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How far we may go in a currency; used amounts below 0 are profit."""

    currency: str
    net: Signed
    gross: Signed
    net_used: Signed
    gross_used: Signed
    flags: int = 0
    counterparty: int = 0


class Positions(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The P snapshot, and the reply to `positions`."""

    next_id: int
    positions: list[Position]
    orders: list[OrderRow]


class Currency(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A currency; `balance_step` is the quantity step in units."""

    name: str
    currency_id: int
    balance_step: Unsigned
    usd_price: Signed = 0


class InstrumentRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An instrument: base is `asset`, quote is `balance`."""

    name: str
    instrument_id: int
    asset: str
    balance: str


class Instruments(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The I snapshot, and the reply to `instruments`."""

    currencies: list[Currency]
    instruments: list[InstrumentRow]


class DealInReply(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One deal as the replies to `add` and `mod` tell it."""

    id: Id
    price: Unsigned
    size: Unsigned
    volume: Unsigned = 0
    delta: Signed = 0
    counterparty_id: int = 0


class AddReply(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The reply to `add`."""

    id: Id
    client_order_id: Id = 0
    remaining_size: Unsigned | None = None
    remaining_volume: Unsigned | None = None
    cancel_reason: int = 0
    deals: list[DealInReply] = []


class DelReply(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The reply to `del`."""

    id: Id
    remaining_size: Unsigned | None = None


class DelAllReply(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The reply to `delAll`."""

    removed: Unsigned


class ModReply(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The reply to `mod`: the order goes on under a new id."""

    id: Id
    initial_size: Unsigned
    remaining_size: Unsigned
    orig_id: Id
    orig_remaining_size: Unsigned = 0
    deals: list[DealInReply] = []


# --- what the client sends ----------------------------------------------------------------------


class Bind(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """`bind` and `unbind` a feed; `feed_id` is left out where a feed has none."""

    event: str
    feed: str
    feed_id: str | int | dict[str, Any] | None = None


class Ping(msgspec.Struct, frozen=True, gc=False):
    """The text heartbeat some clients send."""

    event: str = "ping"


class AddContent(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What `add` takes; `size` in base, or `volume` in quote for takers."""

    instrument: str
    side: str
    type: str
    cod: bool
    client_order_id: Id | None = None
    price: Unsigned | None = None
    size: Unsigned | None = None
    volume: Unsigned | None = None


Content = AddContent | dict[str, Any]


class RequestMessage(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """`{"event": "request", ...}`: any REST method over the socket."""

    req_id: int
    method: str
    content: Any
    event: str = "request"


# --- numbers ------------------------------------------------------------------------------------


def to_units(value: Decimal) -> int:
    """Return a price or quantity in units of 10^-8.

    Raises
    ------
    ValueError
        It is no whole number of units: the venue could not be told exactly.
    """
    units = value * UNITS
    if units != units.to_integral_value():
        raise ValueError(f"{value} is finer than {STEP}, the venue's smallest step")
    return int(units)


def from_units(units: int) -> Decimal:
    """Return units of 10^-8 as a Decimal."""
    return Decimal(units).scaleb(-8)


def parse(decoder: Callable[[Any], T], raw: bytes | msgspec.Raw, what: str) -> T:
    """Return `raw` decoded; raise `VenueProtocolError` if it is not `what`."""
    try:
        return decoder(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise VenueProtocolError(f"finery: cannot read {what} {_shown(raw)}: {exc}") from exc


def _shown(raw: bytes | msgspec.Raw) -> str:
    text = bytes(raw)
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + b"...")


SHOWN: Final = 200

# --- signing ------------------------------------------------------------------------------------


def sign(secret: str, text: str) -> str:
    """Return base64 of HMAC-SHA384 over `text`."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha384")).decode()


def handshake_headers(key: str, secret: str, *, nonce: int, timestamp_ms: int) -> dict[str, str]:
    """Return the headers that open an authenticated WebSocket."""
    content = f'{{"nonce":{nonce},"timestamp":{timestamp_ms}}}'
    return {"EFX-Key": key, "EFX-Sign": sign(secret, content), "EFX-Content": content}


def rest_headers(key: str, secret: str, *, method: str, body: str) -> dict[str, str]:
    """Return the headers of a REST call; method and `body` are signed, byte for byte."""
    return {
        "EFX-Key": key,
        "EFX-Sign": sign(secret, method + body),
        "Content-Type": "application/json",
    }
