"""BlinkTrade's messages as the server sends them, numbers and times, and the REST signature.

FIX 4.4 words as JSON objects, told apart by `MsgType`. Prices, quantities and money are integers
of 10^-8, for fiat too; times are UTC, to the second. Fields that we have no use for are not
listed and may be there. Source: the venue's API page, its later documentation, its open server.
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

import msgspec

from botkit.errors import VenueProtocolError

__all__ = [
    "MOST",
    "UNITS",
    "ApiKeyCreated",
    "ApiKeyRevoked",
    "ApiKeys",
    "ApiKeysByOldName",
    "BalanceHead",
    "BrokerFees",
    "Brokers",
    "CancelRejected",
    "CurrencyRow",
    "Email",
    "Execution",
    "Failure",
    "Head",
    "Heartbeat",
    "Inbound",
    "InstrumentRow",
    "LoginReply",
    "MdEntry",
    "MdIncremental",
    "MdSnapshot",
    "OrderList",
    "OrderRow",
    "PositionsReply",
    "ProfileRefreshed",
    "ProfileUpdated",
    "Reply",
    "RestReply",
    "Securities",
    "Signed",
    "Table",
    "Ticker",
    "TradeHistory",
    "TradeRow",
    "Unsigned",
    "cut",
    "encode",
    "from_units",
    "parse",
    "parse_time_ns",
    "rest_headers",
    "sign",
    "to_units",
    "wire_name",
]

UNITS: Final = 10**8
MOST: Final = 10**18  # ten thousand million: no price or quantity is above it
STEP: Final = Decimal("1e-8")
NS_PER_S: Final = 1_000_000_000
SHOWN: Final = 200
WORDS: Final[Mapping[str, str]] = {"id": "ID", "md": "MD", "api": "API", "ip": "IP"}

Unsigned = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
Signed = Annotated[int, msgspec.Meta(ge=-MOST, le=MOST)]
Tag = int | str | None
"""A request id that we made, or another client of the account."""
T = TypeVar("T")


def wire_name(name: str) -> str:
    """Return `md_entry_px` as MDEntryPx."""
    return "".join(WORDS.get(part, part.capitalize()) for part in name.split("_"))


class Message(msgspec.Struct, frozen=True, gc=False, tag_field="MsgType", rename=wire_name):
    """What the server sends."""


class Reply(Message, frozen=True, gc=False, rename=wire_name):
    """The answer to the request of that id."""

    req_id: Tag = None


# --- the session --------------------------------------------------------------------------------


class Heartbeat(Message, frozen=True, gc=False, tag="0", rename=wire_name):
    """The answer to a test request. `ServerTimestamp` is no clock: it may be minutes ahead."""

    test_req_id: int | str | None = None
    server_timestamp: int | float | None = None


class BrokerFees(msgspec.Struct, frozen=True, gc=False, rename=wire_name):
    """What of a broker's model matters to us: fees, in 1/10000."""

    transaction_fee_buy: int | None = None
    transaction_fee_sell: int | None = None
    taker_transaction_fee_buy: int | None = None
    taker_transaction_fee_sell: int | None = None


class LoginReply(Reply, frozen=True, gc=False, tag="BF", rename=wire_name):
    """The answer to a user request; `user_status` 1 alone is success. Fees are in 1/10000."""

    req_id: Tag = msgspec.field(name="UserReqID", default=None)
    user_status: int = 0
    user_status_text: str = ""
    need_second_factor: bool = False
    user_id: Tag = None
    username: str | None = None
    broker_id: int | None = None
    transaction_fee_buy: int | None = None
    transaction_fee_sell: int | None = None
    taker_transaction_fee_buy: int | None = None
    taker_transaction_fee_sell: int | None = None
    broker: BrokerFees | None = None
    permission_list: Any = None


class Failure(Message, frozen=True, gc=False, tag="ERROR", rename=wire_name):
    """What the server says before it closes the connection."""

    description: str | None = None
    detail: str | None = None


class Email(Message, frozen=True, gc=False, tag="C", rename=wire_name):
    """The copy of an e-mail, such as one about a fill; nothing for us."""


# --- market data --------------------------------------------------------------------------------


class MdEntry(msgspec.Struct, frozen=True, gc=False, rename=wire_name):
    """One order in the book ("0", "1"), one trade ("2"), or the day's volume ("4")."""

    md_entry_type: str
    md_update_action: str = ""
    md_entry_position_no: int = 0
    md_entry_px: Unsigned = 0
    md_entry_size: Unsigned = 0
    order_id: Tag = None
    symbol: str = ""
    side: str = ""
    trade_id: Tag = None
    md_entry_date: str = ""
    md_entry_time: str = ""


class MdSnapshot(Message, frozen=True, gc=False, tag="W", rename=wire_name):
    """The whole book, an entry per order, each side in order of priority."""

    symbol: str
    md_full_grp: list[MdEntry]
    md_req_id: Tag = None


class MdIncremental(Message, frozen=True, gc=False, tag="X", rename=wire_name):
    """Changes of the book by position, trades and volume, to be applied in order."""

    md_inc_grp: list[MdEntry]
    md_req_id: Tag = None


class Ticker(Message, frozen=True, gc=False, tag="f", rename=wire_name):
    """Security status: best prices and the day so far; None or 0 for what there is none of."""

    symbol: str
    security_status_req_id: Tag = None
    best_bid: Unsigned | None = None
    best_ask: Unsigned | None = None
    last_px: Unsigned | None = None
    high_px: Unsigned | None = None
    low_px: Unsigned | None = None
    buy_volume: Unsigned | None = None  # quote currency
    sell_volume: Unsigned | None = None  # base currency
    market: str | None = None


class InstrumentRow(msgspec.Struct, frozen=True, gc=False, rename=wire_name):
    """An instrument: what its symbol has besides the quote `currency` is the base."""

    symbol: str
    currency: str
    description: str = ""


class CurrencyRow(msgspec.Struct, frozen=True, gc=False, rename=wire_name):
    """A currency; `pip`, the step of prices in it, is in units of 10^-8."""

    code: str
    pip: Unsigned | None = None
    is_crypto: bool = False
    number_of_decimals: int | None = None


class Securities(Reply, frozen=True, gc=False, kw_only=True, tag="y", rename=wire_name):
    """The list of instruments and currencies."""

    instruments: list[InstrumentRow]
    currencies: list[CurrencyRow] = []
    req_id: Tag = msgspec.field(name="SecurityReqID", default=None)


# --- orders and money ---------------------------------------------------------------------------


class Execution(Message, frozen=True, gc=False, tag="8", rename=wire_name):
    """An execution report."""

    symbol: str
    ord_status: str
    exec_type: str = ""
    order_id: Tag = None
    exec_id: Tag = None
    cl_ord_id: int | str | None = None
    side: str = ""
    exec_side: str | None = None  # the aggressor's
    ord_type: str | None = None
    order_qty: Unsigned | None = None
    price: Unsigned | None = None
    cum_qty: Unsigned | None = None
    leaves_qty: Unsigned | None = None
    cxl_qty: Unsigned | None = None
    last_shares: Unsigned | None = None
    last_px: Unsigned | None = None
    avg_px: int | float | None = None
    ord_rej_reason: int | str | None = None
    text: str | None = None


class CancelRejected(Message, frozen=True, gc=False, tag="9", rename=wire_name):
    """A cancel was declined: documented, never seen."""

    order_id: Tag = None
    cl_ord_id: int | str | None = None
    orig_cl_ord_id: int | str | None = None
    symbol: str | None = None
    ord_status: str | None = None
    cxl_rej_reason: int | str | None = None
    text: str | None = None


class BalanceHead(Reply, frozen=True, gc=False, tag="U3", rename=wire_name):
    """Balances, under the broker's id as text; without `req_id` only what changed."""

    client_id: Tag = None
    req_id: Tag = msgspec.field(name="BalanceReqID", default=None)


class PositionsReply(Reply, frozen=True, gc=False, tag="U43", rename=wire_name):
    """Positions with brokers: empty for ordinary users."""

    req_id: Tag = msgspec.field(name="PositionReqID", default=None)


class OrderRow(msgspec.Struct, frozen=True, gc=False, kw_only=True, rename=wire_name):
    """A row of the order list."""

    order_id: int
    symbol: str
    side: str
    ord_status: str
    cl_ord_id: int | str | None = None
    ord_type: str | None = None
    order_qty: Unsigned
    cum_qty: Unsigned
    leaves_qty: Unsigned | None = None
    price: Unsigned | None = None
    avg_px: int | float | None = None
    order_date: str = ""


class TradeRow(msgspec.Struct, frozen=True, gc=False, kw_only=True, rename=wire_name):
    """A row of the public's trade history."""

    trade_id: int
    market: str
    side: str
    price: Unsigned
    size: Unsigned
    created: str = ""


class Table(Reply, frozen=True, gc=False, kw_only=True, rename=wire_name):
    """A list whose rows are read by `columns`, never by fixed place."""

    columns: list[str]
    rows: list[list[Any]]
    page: int = 0
    page_size: int = 0

    def read(self, row_type: type[T]) -> list[T]:
        """Return the rows; raise `VenueProtocolError` if one is not as documented."""
        try:
            return [
                msgspec.convert(dict(zip(self.columns, row, strict=True)), row_type)
                for row in self.rows
            ]
        except (msgspec.ValidationError, ValueError) as exc:
            raise VenueProtocolError(
                f"blinktrade: cannot read a row of columns {cut(repr(self.columns))}: {exc}"
            ) from exc


class OrderList(Table, frozen=True, gc=False, kw_only=True, tag="U5", rename=wire_name):
    """Orders, newest first."""

    req_id: Tag = msgspec.field(name="OrdersReqID", default=None)
    rows: list[list[Any]] = msgspec.field(name="OrdListGrp")


class TradeHistory(Table, frozen=True, gc=False, kw_only=True, tag="U33", rename=wire_name):
    """The public's trades, newest first."""

    req_id: Tag = msgspec.field(name="TradeHistoryReqID", default=None)
    rows: list[list[Any]] = msgspec.field(name="TradeHistoryGrp")


class Brokers(Table, frozen=True, gc=False, kw_only=True, tag="U29", rename=wire_name):
    """The brokers of the exchange."""

    req_id: Tag = msgspec.field(name="BrokerListReqID", default=None)
    rows: list[list[Any]] = msgspec.field(name="BrokerListGrp")


class ApiKeys(Table, frozen=True, gc=False, kw_only=True, tag="U51", rename=wire_name):
    """The account's API keys."""

    req_id: Tag = msgspec.field(name="APIKeyListReqID", default=None)
    rows: list[list[Any]] = msgspec.field(name="ApiKeyListGrp")


class ApiKeysByOldName(ApiKeys, frozen=True, gc=False, kw_only=True, tag="U50", rename=wire_name):
    """The same under the name that the venue's page gives it."""


# --- the account --------------------------------------------------------------------------------


class ApiKeyCreated(Reply, frozen=True, gc=False, tag="U53", rename=wire_name, kw_only=True):
    """A new API key; password and secret are told this once."""

    req_id: Tag = msgspec.field(name="APIKeyCreateReqID", default=None)
    api_key: str
    api_password: str
    api_secret: str
    label: str = ""
    permission_list: Any = None
    ip_white_list: Any = None
    revocable: bool = True
    created: str | None = None
    last_used: str | None = None
    status: int | None = None


class ApiKeyRevoked(Reply, frozen=True, gc=False, tag="U55", rename=wire_name, kw_only=True):
    """An API key that holds no more."""

    req_id: Tag = msgspec.field(name="APIKeyRevokeReqID", default=None)
    api_key: str
    status: int | None = None


class ProfileUpdated(Reply, frozen=True, gc=False, tag="U39", rename=wire_name):
    """A profile was changed."""

    req_id: Tag = msgspec.field(name="UpdateReqID", default=None)


class ProfileRefreshed(Reply, frozen=True, gc=False, tag="U40", rename=wire_name):
    """A profile was changed, told to whom it concerns."""

    req_id: Tag = msgspec.field(name="UpdateReqID", default=None)


Inbound = (
    MdIncremental
    | MdSnapshot
    | Execution
    | BalanceHead
    | Ticker
    | Heartbeat
    | LoginReply
    | Failure
    | Email
    | Securities
    | CancelRejected
    | OrderList
    | TradeHistory
    | PositionsReply
    | Brokers
    | ApiKeys
    | ApiKeysByOldName
    | ApiKeyCreated
    | ApiKeyRevoked
    | ProfileUpdated
    | ProfileRefreshed
)


class Head(msgspec.Struct, frozen=True, gc=False, rename=wire_name):
    """What every message has."""

    msg_type: str


class RestReply(msgspec.Struct, frozen=True, gc=False, rename=wire_name):
    """The REST bridge's answer; status 500 means failure."""

    status: int = 200
    description: str | None = None
    responses: list[msgspec.Raw] | None = None


# --- numbers and times --------------------------------------------------------------------------

encode: Final = msgspec.json.Encoder().encode


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


def parse_time_ns(date: str, time: str = "") -> int:
    """Return "2026-01-01 15:02:33", or its two halves, as ns since 1970 UTC; 0 for no text.

    Raises
    ------
    VenueProtocolError
        It is no such time.
    """
    text = f"{date} {time}".strip()
    if not text:
        return 0
    try:
        return int(datetime.fromisoformat(f"{text}+00:00").timestamp()) * NS_PER_S
    except (ValueError, OverflowError) as exc:
        raise VenueProtocolError(f"blinktrade: {cut(text)!r} is no time: {exc}") from exc


def parse(decoder: Callable[[Any], T], raw: bytes | msgspec.Raw, what: str) -> T:
    """Return `raw` decoded; raise `VenueProtocolError` if it is not `what`."""
    try:
        return decoder(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        shown = cut(repr(bytes(raw)[: SHOWN + 1]))
        raise VenueProtocolError(f"blinktrade: cannot read {what} {shown}: {exc}") from exc


def cut(text: str) -> str:
    """Return as much of a text as a message may show."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


# --- signing ------------------------------------------------------------------------------------


def sign(secret: str, nonce: int) -> str:
    """Return lower-case hex of HMAC-SHA256 over the nonce as text."""
    return hmac.digest(secret.encode(), str(nonce).encode(), "sha256").hex()


def rest_headers(key: str, secret: str, *, nonce: int) -> dict[str, str]:
    """Return the headers of a REST call; the body is not signed."""
    return {
        "APIKey": key,
        "Nonce": str(nonce),
        "Signature": sign(secret, nonce),
        "Content-Type": "application/json",
    }
