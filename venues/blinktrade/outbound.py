"""BlinkTrade's messages as clients send them.

Fields left at None are not sent. Source: see `venues.blinktrade.wire`.
"""

from typing import Any, Literal

import msgspec

from venues.blinktrade.wire import Unsigned, wire_name

__all__ = [
    "ApiKeyCreateRequest",
    "ApiKeyListRequest",
    "ApiKeyRevokeRequest",
    "BalanceRequest",
    "BrokerListRequest",
    "Cancel",
    "Login",
    "MarketDataRequest",
    "NewOrderMessage",
    "OrderListRequest",
    "PageRequest",
    "PositionRequest",
    "ProfileRequest",
    "Question",
    "Request",
    "SecurityListRequest",
    "SecurityStatusRequest",
    "TestRequest",
    "TradeHistoryRequest",
]


class Request(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    tag_field="MsgType",
    rename=wire_name,
    omit_defaults=True,
):
    """A message of ours; fields left at None are not sent."""


class Question(Request, frozen=True, gc=False, kw_only=True, rename=wire_name):
    """A message that is answered under its id."""

    req_id: int


class Login(Question, frozen=True, gc=False, kw_only=True, tag="BE", rename=wire_name):
    """`user_req_typ` "1" logs in, "3" changes the password."""

    req_id: int = msgspec.field(name="UserReqID")
    broker_id: int
    username: str
    password: str
    user_req_typ: str
    finger_print: str
    new_password: str | None = None
    second_factor: str | None = None
    cancel_on_disconnect: Literal["0", "1"] | None = None
    user_agent: str | None = None
    user_agent_language: str | None = None
    user_agent_timezone_offset: int | None = None
    user_agent_platform: str | None = None


class MarketDataRequest(Request, frozen=True, gc=False, kw_only=True, tag="V", rename=wire_name):
    """`subscription_request_type`: "0" snapshot, "1" and updates, "2" no more of `md_req_id`."""

    md_req_id: int
    subscription_request_type: str
    market_depth: int | None = None
    md_update_type: str | None = None
    md_entry_types: list[str] | None = None
    instruments: list[str] | None = None


class NewOrderMessage(Request, frozen=True, gc=False, kw_only=True, tag="D", rename=wire_name):
    """A new order; `cl_ord_id` must be text."""

    cl_ord_id: str
    symbol: str
    side: str
    ord_type: str
    order_qty: Unsigned
    broker_id: int
    price: Unsigned | None = None
    stop_px: Unsigned | None = None
    time_in_force: str | None = None
    exec_inst: str | None = None


class Cancel(Request, frozen=True, gc=False, kw_only=True, tag="F", rename=wire_name):
    """A cancel, by one of its fields; `side` alone cancels everything of the account."""

    cl_ord_id: str | None = None
    order_id: int | None = None
    side: str | None = None


class TestRequest(Request, frozen=True, gc=False, kw_only=True, tag="1", rename=wire_name):
    """A heartbeat, answered at once."""

    test_req_id: int
    send_time: int | None = None


class SecurityListRequest(
    Question, frozen=True, gc=False, kw_only=True, tag="x", rename=wire_name, omit_defaults=False
):
    """The question what is traded here."""

    req_id: int = msgspec.field(name="SecurityReqID")
    security_list_request_type: int = 0


class SecurityStatusRequest(
    Question, frozen=True, gc=False, kw_only=True, tag="e", rename=wire_name
):
    """Tickers; "1" subscribes, "2" ends that."""

    req_id: int = msgspec.field(name="SecurityStatusReqID")
    subscription_request_type: str
    instruments: list[str] | None = None


class BalanceRequest(Question, frozen=True, gc=False, kw_only=True, tag="U2", rename=wire_name):
    """The question what is held. The id must be a number: text is refused, whatever a page says."""

    req_id: int = msgspec.field(name="BalanceReqID")
    client_id: int | None = None


class PageRequest(
    Question, frozen=True, gc=False, kw_only=True, rename=wire_name, omit_defaults=False
):
    """One page of a list."""

    page: int = 0
    page_size: int = 40


class OrderListRequest(
    PageRequest, frozen=True, gc=False, kw_only=True, tag="U4", rename=wire_name
):
    """My orders, newest first; `filter` has texts such as "has_leaves_qty eq 1"."""

    req_id: int = msgspec.field(name="OrdersReqID")
    filter: list[str] = []


class TradeHistoryRequest(
    PageRequest, frozen=True, gc=False, kw_only=True, tag="U32", rename=wire_name
):
    """The public's trades, newest first."""

    req_id: int = msgspec.field(name="TradeHistoryReqID")


class BrokerListRequest(
    PageRequest, frozen=True, gc=False, kw_only=True, tag="U28", rename=wire_name
):
    """The brokers of the exchange."""

    req_id: int = msgspec.field(name="BrokerListReqID")
    status_list: list[str] = msgspec.field(default_factory=lambda: ["1"])


class ApiKeyListRequest(
    PageRequest, frozen=True, gc=False, kw_only=True, tag="U50", rename=wire_name
):
    """My API keys."""

    req_id: int = msgspec.field(name="APIKeyListReqID")


class PositionRequest(Question, frozen=True, gc=False, kw_only=True, tag="U42", rename=wire_name):
    """My positions with brokers."""

    req_id: int = msgspec.field(name="PositionReqID")


class ProfileRequest(Question, frozen=True, gc=False, kw_only=True, tag="U38", rename=wire_name):
    """Change my profile."""

    req_id: int = msgspec.field(name="UpdateReqID")
    fields: dict[str, Any]
    user_id: int | None = None


class ApiKeyCreateRequest(
    Question, frozen=True, gc=False, kw_only=True, tag="U52", rename=wire_name, omit_defaults=False
):
    """Make an API key; permissions and addresses are JSON inside a text."""

    req_id: int = msgspec.field(name="APIKeyCreateReqID")
    label: str
    permission_list: str
    ip_white_list: str
    revocable: bool = True


class ApiKeyRevokeRequest(
    Question, frozen=True, gc=False, kw_only=True, tag="U54", rename=wire_name
):
    """Let an API key hold no more."""

    req_id: int = msgspec.field(name="APIKeyRevokeReqID")
    api_key: str
