"""Moonbase's messages as they are on the wire, both directions, and their signatures.

Frames are Phoenix's, serializer 1: JSON objects of `topic`, `event`, `payload`, `ref` and
`join_ref`. Numbers are JSON numbers; ours are made from their text, so that none goes through
a binary float, except in books and trades, which are for looking at. Amounts are signed: below
0 is a sell. Source: the venue's API page, and the only client that is known.
"""

import hmac
import urllib.parse
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from botkit.errors import VenueProtocolError

__all__ = [
    "Assign",
    "BalanceRow",
    "BookPush",
    "Candle",
    "CandleRequest",
    "CandleSnapshot",
    "Data",
    "DepositAddress",
    "DepositRow",
    "Details",
    "Frame",
    "Info",
    "MarketInfo",
    "OrderRow",
    "Place",
    "PositionRow",
    "Push",
    "Reply",
    "SignatureVariant",
    "TickerRow",
    "TradeRow",
    "Trouble",
    "WithdrawalRow",
    "checked",
    "encode",
    "handshake_query",
    "parse",
    "rest_headers",
    "sign",
    "time_ns",
]

MOST_DIGITS: Final = 18  # before the point: no price, amount or total has more
FINEST: Final = -40  # power of ten; no number is told finer
SHOWN: Final = 200
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
AUTH_VERSION: Final = "1.0"

Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Ref = str | int | None
SignatureVariant = Literal["seed", "client"]
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

NULL: Final = msgspec.Raw(b"null")
EMPTY: Final = msgspec.Raw(b"{}")


# --- what the server sends ----------------------------------------------------------------------


class Frame(msgspec.Struct, frozen=True, gc=False):
    """Any frame. `join_ref` is optional; an error without an envelope has `status` and `type`."""

    topic: str = ""
    event: str = ""
    payload: msgspec.Raw = EMPTY
    ref: Ref = None
    join_ref: Ref = None
    status: str = ""
    type: str = ""
    details: msgspec.Raw = NULL


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The payload of `phx_reply`. Errors have `type` and `details` here or in `response`."""

    status: str
    response: msgspec.Raw = NULL
    type: str = ""
    details: msgspec.Raw = NULL


class Trouble(msgspec.Struct, frozen=True, gc=False):
    """An error: of Phoenix by its `reason`, of the venue by `type` and `details`."""

    status: str = ""
    reason: str = ""
    type: str = ""
    details: msgspec.Raw = NULL


class Details(msgspec.Struct, frozen=True, gc=False):
    """Of `rate_limit_exceeded`: how many seconds to stay away."""

    retry_after: float | None = None


Level = tuple[float, float]
"""(price, amount): a bid if the amount is above 0, an ask if below, gone if it is 0."""


class BookPush(msgspec.Struct, frozen=True, gc=False):
    """`upsert` on `/orderbooks/<symbol>`."""

    data: list[Level]


class Data(msgspec.Struct, frozen=True, gc=False):
    """The payload of every other push, and of the reply to `assign`."""

    data: msgspec.Raw


class TradeRow(msgspec.Struct, frozen=True, gc=False):
    """A public trade; pushes name both orders."""

    id: Id
    symbol: str
    price: float
    amount: float
    timestamp: str
    taker_order_id: Id | None = None
    maker_order_id: Id | None = None


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """An order of ours. `filled_total` is in quote, of the opposite sign; `fee` is below 0."""

    id: Id
    symbol: str
    requested_amount: Decimal
    limit_price: Decimal | None
    filled_amount: Decimal
    fee: Decimal
    is_active: bool
    inserted_at: str
    filled_total: Decimal | None = None
    trigger_price: Decimal | None = None
    triggered_at: str | None = None
    cancelled_at: str | None = None
    updated_at: str | None = None
    external_id: str | int | None = None
    is_liquidation: bool = False
    user_id: Id | None = None


class BalanceRow(msgspec.Struct, frozen=True, gc=False):
    """What is held of an asset, by what it is tied to."""

    asset: str
    available_amount: Decimal
    placed_amount: Decimal = Decimal(0)
    withdrawn_amount: Decimal = Decimal(0)
    assigned_amount: Decimal = Decimal(0)
    borrowed_amount: Decimal = Decimal(0)
    loaned_amount: Decimal = Decimal(0)
    offered_amount: Decimal = Decimal(0)
    pledged_amount: Decimal = Decimal(0)
    drawn_amount: Decimal = Decimal(0)
    id: Id = 0


class TickerRow(msgspec.Struct, frozen=True, gc=False):
    """The state of a market; a side without orders has no price."""

    symbol: str
    base_amount: Decimal
    quote_amount: Decimal
    mark_price: Decimal | None = None
    bid_price: Decimal | None = None
    ask_price: Decimal | None = None
    updated_at: str | None = None


class Candle(msgspec.Struct, frozen=True, gc=False):
    """Trades of `resolution` seconds from `timestamp` (Unix seconds) on."""

    symbol: str
    timestamp: Id
    resolution: Id
    open: float
    high: float
    low: float
    close: float
    volume: float
    buys: float = 0.0
    sells: float = 0.0
    id: Id = 0


class CandleSnapshot(msgspec.Struct, frozen=True, gc=False):
    """Reply to joining `/candles/<symbol>` and to `get_snapshot`: candles, and the one before."""

    data: tuple[list[Candle], Id | None]


class PositionRow(msgspec.Struct, frozen=True, gc=False):
    """A margin position."""

    symbol: str
    amount: Decimal
    price: Decimal
    total: Decimal
    margin: Decimal
    fee: Decimal
    id: Id = 0
    user_id: Id | None = None


class DepositRow(msgspec.Struct, frozen=True, gc=False):
    """A deposit."""

    id: Id
    asset: str
    amount: Decimal
    address: str = ""
    transaction_hash: str = ""
    is_processed: bool = False
    confirmation_count: int = 0
    inserted_at: str = ""
    updated_at: str | None = None


class DepositAddress(msgspec.Struct, frozen=True, gc=False):
    """Where an asset can be deposited."""

    asset: str
    address: str


class WithdrawalRow(msgspec.Struct, frozen=True, gc=False):
    """A withdrawal."""

    id: Id
    asset: str
    amount: Decimal
    address: str = ""
    inserted_at: str = ""


class MarketInfo(msgspec.Struct, frozen=True, gc=False):
    """A market in the reply to GET /info; fees are fractions of the notional."""

    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    maker_fee: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal(0)
    price_precision: int = 0
    amount_precision: int = 0
    listed_at: str | None = None
    delisted_at: str | None = None


class Info(msgspec.Struct, frozen=True, gc=False):
    """The reply to GET /info."""

    markets: dict[str, MarketInfo]
    assets: dict[str, Any] = {}


# --- what the client sends ----------------------------------------------------------------------


class Push(msgspec.Struct, frozen=True, gc=False):
    """Any message to the server; for a join both refs are the same."""

    ref: str
    join_ref: str | None
    topic: str
    event: str
    payload: Any


class Place(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """`place`: without a limit a market order, with a trigger a stop."""

    requested_amount: Decimal
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    external_id: str | None = None


class CandleRequest(msgspec.Struct, frozen=True, gc=False, rename={"since": "from"}):
    """Joining `/candles/<symbol>`, and `get_snapshot`: Unix seconds, and seconds a candle."""

    since: int
    to: int
    resolution: int


Assign = Mapping[str, str]
"""`assign` on `/positions`: margin by symbol, as text."""

encode: Final = msgspec.json.Encoder(decimal_format="number").encode


# --- reading ------------------------------------------------------------------------------------


def parse(decoder: Callable[[Any], T], raw: bytes | msgspec.Raw, what: str) -> T:
    """Return `raw` decoded; raise `VenueProtocolError` if it is not `what`."""
    try:
        return decoder(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise VenueProtocolError(f"moonbase: cannot read {what} {_shown(raw)}: {exc}") from exc


def checked(row: S) -> S:
    """Return `row` if we can count with all of its numbers; raise `VenueProtocolError`."""
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if value.__class__ is Decimal and not _countable(value):
            raise VenueProtocolError(
                f"moonbase: {row.__class__.__name__}.{name}: found {str(value)[:SHOWN]}, allowed: "
                f"a number of at most {MOST_DIGITS} digits before the point"
            )
    return row


def _countable(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):  # not a number, or without end
        return False
    return exponent >= FINEST and exponent <= MOST_DIGITS and value.adjusted() < MOST_DIGITS


def time_ns(text: str) -> int:
    """Return a time of the venue's, UTC with or without a zone, in nanoseconds since 1970."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - EPOCH) // MICROSECOND * 1_000
    except (ValueError, OverflowError) as exc:
        raise VenueProtocolError(f"moonbase: cannot read the time {text[:SHOWN]!r}: {exc}") from exc


def _shown(raw: bytes | msgspec.Raw) -> str:
    text = bytes(raw)
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + b"...")


# --- signing ------------------------------------------------------------------------------------


def sign(secret: str, text: str) -> str:
    """Return HMAC-SHA256 over `text`, in lower-case hex."""
    return hmac.digest(secret.encode(), text.encode(), "sha256").hex()


def handshake_query(
    key: str, secret: str, *, timestamp_s: int, variant: SignatureVariant = "seed"
) -> str:
    """Return the query that opens an authenticated WebSocket.

    Both variants send the same fields; "client" signs more than it sends.
    """
    sent = {"key": key, "timestamp": str(timestamp_s)}
    signed = sent if variant == "seed" else {**_auth(key, timestamp_s), **sent}
    signature = sign(secret, f"GET\n/users/verify\n{urllib.parse.urlencode(signed)}")
    return urllib.parse.urlencode({**sent, "signature": signature})


def rest_headers(
    key: str,
    secret: str,
    *,
    method: str,
    path: str,
    parameters: Mapping[str, str],
    nonce_ms: int,
    timestamp_s: int,
) -> dict[str, str]:
    """Return the headers of a REST call; `path` from the root, `parameters` of query and body."""
    signed = {**parameters, "auth_nonce": str(nonce_ms), **_auth(key, timestamp_s)}
    query = urllib.parse.urlencode(sorted(signed.items()))
    return {
        "X-Key": key,
        "X-Nonce": str(nonce_ms),
        "X-Timestamp": str(timestamp_s),
        "X-Signature": sign(secret, f"{method}\n{path}\n{query}"),
    }


def _auth(key: str, timestamp_s: int) -> dict[str, str]:
    return {"auth_key": key, "auth_timestamp": str(timestamp_s), "auth_version": AUTH_VERSION}
