"""What the simulated BlinkTrade answers to each message, but for logins and subscriptions."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from botkit.adapter import Member
from botkit.matching.exchange import BalanceChanged, OrderState, RequestRejected
from venues.blinktrade.keys import ApiKey
from venues.blinktrade.rows import (
    ID_STEP,
    ORDER_COLUMNS,
    SIDES,
    FatalError,
    balances,
    date_time,
    instruments,
    integer,
    order_report,
    order_row,
    terms_of,
    text,
)

if TYPE_CHECKING:
    from venues.blinktrade.simulator import BlinkTradeSimulator

__all__ = ["Account", "Requests"]

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
AHEAD_S: Final = 999  # by how much at most the server's time stamp is wrong
PAGE_SIZE: Final = 20
FILTERS: Final[Mapping[str, str]] = {
    "has_leaves_qty eq 1": "LeavesQty",
    "has_cum_qty eq 1": "CumQty",
    "has_cxl_qty eq 1": "CxlQty",
}
BROKER_COLUMNS: Final = ["BrokerID", "ShortName", "BusinessName", "Currencies", "Status"]
BROKERS: Final = [
    [5, "testnet", "Testnet", "BTC,USD", "1"],
    [11, "bitcambio", "BitCambio", "", "1"],
]
KEY_COLUMNS: Final = ["APIKey", "Label", "IPWhiteList", "PermissionList", "Created", "LastUsed"]
TRADE_COLUMNS: Final = ["TradeID", "Market", "Side", "Price", "Size", "Buyer", "Seller", "Created"]
Replies = list[dict[str, Any]]

_conditions = msgspec.json.Decoder(dict[str, list[list[str]]]).decode
_addresses = msgspec.json.Decoder(list[str]).decode


@attrs.define
class Account:
    """What the exchange does not keep of an account: refused orders, profile, totals told."""

    refused: list[tuple[int, dict[str, Any]]] = attrs.field(factory=list)
    profile: dict[str, Any] = attrs.field(factory=dict)
    totals: dict[str, Decimal] = attrs.field(factory=dict)

    def moves(self, change: BalanceChanged, *, tells_locks: bool) -> bool:
        """Tell whether a change is news: to who is told of locks any is, else only a total's."""
        before = self.totals.get(change.currency)
        self.totals[change.currency] = change.total
        return tells_locks or before != change.total


class Requests:
    """Handlers by MsgType: `open` for everybody, `private` for those who are logged in."""

    def __init__(self, simulator: "BlinkTradeSimulator") -> None:
        self._simulator = simulator
        self._key_count = count(1)
        self.open: Mapping[Any, Callable[[dict[str, Any]], Replies]] = {
            "1": self._beat,
            "x": self._securities,
            "U28": self._brokers,
        }
        self.private: Mapping[str, Callable[[Member, dict[str, Any], str], Replies]] = {
            "D": self._new_order,
            "F": self._cancel,
            "U2": self._balances,
            "U4": self._orders,
            "U32": self._trades,
            "U38": self._profile,
            "U42": self._positions,
            "U50": self._list_keys,
            "U52": self._create_key,
            "U54": self._revoke_key,
        }

    # --- for everybody ----------------------------------------------------------------------

    def _beat(self, message: dict[str, Any]) -> Replies:
        if "TestReqID" not in message:
            raise FatalError("Missing tag TestReqID")
        now_ns = self._simulator.market.now_ns()
        wrong = now_ns // NS_PER_S + now_ns // NS_PER_MS % (AHEAD_S + 1)  # as the server adds it
        sent = {"SendTime": message["SendTime"]} if "SendTime" in message else {}
        reply = {"MsgType": "0", "TestReqID": message["TestReqID"], **sent}
        return [{**reply, "ServerTimestamp": wrong}]

    def _securities(self, message: dict[str, Any]) -> Replies:
        req_id = integer(message, "SecurityReqID")
        markets = self._simulator.market.exchange.markets
        return [{**instruments(markets), "SecurityReqID": req_id}]

    def _brokers(self, message: dict[str, Any]) -> Replies:
        req_id = integer(message, "BrokerListReqID")
        rows, page = _page(BROKERS, message, 100)
        table = {"Columns": BROKER_COLUMNS, "BrokerListGrp": rows}
        return [{"MsgType": "U29", "BrokerListReqID": req_id, **page, **table}]

    # --- orders -----------------------------------------------------------------------------

    def _new_order(self, member: Member, message: dict[str, Any], session: str) -> Replies:
        market = self._simulator.market
        wanted = market.exchange.markets.get(text(message, "Symbol"))
        if wanted is None:
            raise FatalError(f"Invalid value tag(Symbol)={message['Symbol']}")
        integer(message, "BrokerID")
        ignores_time = self._simulator.quirks["ignores_time_in_force"]
        terms = terms_of(message, wanted, session, ignores_time=ignores_time)
        market.tell(market.exchange.submit(member.name, terms, market.now_ns()))
        return []

    def _cancel(self, member: Member, message: dict[str, Any], _: str) -> Replies:
        market = self._simulator.market
        exchange, now_ns = market.exchange, market.now_ns()
        names = ("OrigClOrdID", "ClOrdID", "OrderID")
        if not any(name in message for name in names):
            if message.get("Side") not in SIDES:
                raise FatalError("Missing tag Side")
            market.tell(exchange.cancel_all(member.name, now_ns))  # of both sides
            return []
        order = self._named(member, message)
        events = [] if order is None else exchange.cancel(member.name, order.order_id, now_ns)
        if order is None or any(isinstance(event, RequestRejected) for event in events):
            return self._too_late(message)
        market.tell(events)
        return []

    def _named(self, member: Member, message: dict[str, Any]) -> OrderState | None:
        """Return the order that a cancel names, the oldest one of several."""
        account = self._simulator.market.exchange.accounts[member.name]
        name = message.get("OrigClOrdID", message.get("ClOrdID"))
        if name is not None:
            return account.open_order_named(str(name))
        return account.order(integer(message, "OrderID") // ID_STEP)

    def _too_late(self, message: dict[str, Any]) -> Replies:
        """Return what is said of an order that is not open: nothing, or what is documented."""
        if self._simulator.quirks["late_cancel"] == "silence":
            return []
        named: dict[str, Any] = {
            key: message[key] for key in ("ClOrdID", "OrderID") if key in message
        }
        symbol = next(iter(self._simulator.market.exchange.markets))
        return [{**named, "MsgType": "9", "Symbol": symbol, "CxlRejReason": "1"}]

    def _orders(self, member: Member, message: dict[str, Any], _: str) -> Replies:
        req_id = integer(message, "OrdersReqID")
        account = self._simulator.market.exchange.accounts[member.name]
        listed = [*account.open_orders(), *account.history()]
        rows = [order_row(order_report(order, 0), order.created_ns) for order in listed]
        refused = self._simulator.accounts[member.name].refused
        rows += [order_row({**report}, created_ns) for created_ns, report in refused]
        for name in message.get("Filter") or []:
            if name not in FILTERS:
                raise FatalError(f"Invalid value tag(Filter)={name}")
            rows = [row for row in rows if self._holds(FILTERS[name], row)]
        rows.sort(key=lambda row: int(row["OrderID"]), reverse=True)
        values, page = _page([list(row.values()) for row in rows], message, PAGE_SIZE)
        table = {"Columns": list(ORDER_COLUMNS), "OrdListGrp": values}
        return [{"MsgType": "U5", "OrdersReqID": req_id, **page, **table}]

    def _holds(self, column: str, row: Mapping[str, Any]) -> bool:
        return bool(row[column])

    # --- looking ----------------------------------------------------------------------------

    def _balances(self, member: Member, message: dict[str, Any], _: str) -> Replies:
        req_id = integer(message, "BalanceReqID")
        account = self._simulator.market.exchange.accounts[member.name]
        held = {each.currency: (each.total, each.locked) for each in account.balances()}
        told = balances(held, locked=self._simulator.quirks["locked"])
        user_id = self._simulator.user_ids[member.name]
        return [{"MsgType": "U3", "ClientID": user_id, "BalanceReqID": req_id, "5": told}]

    def _trades(self, _: Member, message: dict[str, Any], __: str) -> Replies:
        req_id = integer(message, "TradeHistoryReqID")
        simulator = self._simulator
        ids, since = simulator.user_ids, message.get("Since", 0)
        wanted = message.get("SymbolList") or list(simulator.market.exchange.markets)
        trades = [
            trade
            for name, market in simulator.market.exchange.markets.items()
            if name in wanted
            for trade in market.trades
            if trade.trade_id > since
        ]
        trades.sort(key=lambda trade: trade.trade_id, reverse=True)
        rows = [
            [t.trade_id, t.symbol, {"BUY": "1", "SELL": "2"}[t.side], int(t.price * 10**8),
             int(t.qty * 10**8), ids.get(t.buyer, 0), ids.get(t.seller, 0), date_time(t.time_ns)]
            for t in trades
        ]  # fmt: skip
        values, page = _page(rows, message, 80)
        table = {"Columns": TRADE_COLUMNS, "TradeHistoryGrp": values}
        return [{"MsgType": "U33", "TradeHistoryReqID": req_id, **page, **table}]

    def _positions(self, _: Member, message: dict[str, Any], __: str) -> Replies:
        return [{"MsgType": "U43", "PositionReqID": integer(message, "PositionReqID")}]

    # --- the account ------------------------------------------------------------------------

    def _profile(self, member: Member, message: dict[str, Any], _: str) -> Replies:
        if "UpdateReqID" not in message:
            raise FatalError("Missing tag UpdateReqID")
        fields = message.get("Fields")
        if not isinstance(fields, dict):
            raise FatalError("Missing tag Fields")
        self._simulator.accounts[member.name].profile.update(fields)
        return [{"MsgType": "U39", "UpdateReqID": message["UpdateReqID"]}]

    def _list_keys(self, member: Member, message: dict[str, Any], _: str) -> Replies:
        req_id = integer(message, "APIKeyListReqID")
        rows = [key.row() for key in self._simulator.keys.of_member(member)]
        values, page = _page(rows, message, 100)
        table = {"Columns": KEY_COLUMNS, "ApiKeyListGrp": values}
        kind = self._simulator.quirks["key_list"]
        return [{"MsgType": kind, "APIKeyListReqID": req_id, **page, **table}]

    def _create_key(self, member: Member, message: dict[str, Any], _: str) -> Replies:
        req_id = integer(message, "APIKeyCreateReqID")
        try:
            permissions = _conditions(text(message, "PermissionList"))
            addresses = _addresses(text(message, "IPWhiteList"))
        except msgspec.MsgspecError:
            raise FatalError("Invalid Parameter") from None
        number = next(self._key_count)
        key = self._simulator.keys.create(
            member,
            ApiKey(
                member=member,
                key=f"made-key-{number}",
                password=f"made-password-{number}",
                secret=f"made-secret-{number}",
                label=text(message, "Label"),
                permissions=permissions,
                addresses=addresses,
                revocable=message.get("Revocable", True) is True,
                created_ns=self._simulator.market.now_ns(),
            ),
        )
        made = date_time(key.created_ns)
        return [
            {
                "MsgType": "U53",
                "APIKeyCreateReqID": req_id,
                "APIKey": key.key,
                "APIPassword": key.password,
                "APISecret": key.secret,
                "Label": key.label,
                "PermissionList": message["PermissionList"],
                "IPWhiteList": message["IPWhiteList"],
                "Revocable": key.revocable,
                "Created": made,
                "LastUsed": made,
                "Status": 1,
            }
        ]

    def _revoke_key(self, member: Member, message: dict[str, Any], _: str) -> Replies:
        req_id, name = integer(message, "APIKeyRevokeReqID"), text(message, "APIKey")
        self._simulator.keys.revoke(member, name)
        return [{"MsgType": "U55", "APIKeyRevokeReqID": req_id, "APIKey": name, "Status": 0}]


def _page(
    rows: list[list[Any]], message: Mapping[str, Any], size: int
) -> tuple[list[list[Any]], dict[str, int]]:
    """Return the rows of the page that a message asks for, and what is said of the page."""
    page = integer(message, "Page", above=-1) if "Page" in message else 0
    size = integer(message, "PageSize") if "PageSize" in message else size
    return rows[page * size : (page + 1) * size], {"Page": page, "PageSize": size}
