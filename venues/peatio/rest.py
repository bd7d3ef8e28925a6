"""Peatio's REST calls, of both generations: typed answers, and errors told apart.

What may have been done though no answer came is `OrderOutcomeUnknownError`; what the venue refuses
is `RestRefusedError` with its codes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

import attrs
import msgspec

from botkit.errors import (
    OrderOutcomeUnknownError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
)
from botkit.model import NewOrder, OrdType, Side
from botkit.transport import HttpLink, HttpReply
from venues.peatio import wire
from venues.peatio.books import MOST_ROWS
from venues.peatio.tokens import TokenSource
from venues.peatio.wire import parse, time_ns

__all__ = ["GENERATIONS", "UNKNOWN_ORDER", "Dialect", "Rest", "RestRefusedError", "TradingRest"]

NS_PER_S: Final = 1_000_000_000
ROWS: Final = 1_000  # of one page
PAGES_MOST: Final = 100
SERVER_ERROR: Final = 500
UNAUTHORIZED: Final = 401
SHOWN: Final = 200
UNKNOWN_ORDER: Final = frozenset({"2003", "2004", "record.not_found"})
Params = Mapping[str, str | int]
T = TypeVar("T")


class RestRefusedError(VenueError):
    """The venue refuses a call. `codes` are numbers as text, or keys such as record.not_found."""

    def __init__(self, what: str, status: int, codes: Sequence[str], text: str) -> None:
        self.status = status
        self.codes = tuple(codes)
        told = ", ".join(filter(None, (*codes, text))) or "no reason given"
        super().__init__(f"{what} was answered {status}: {told}")


@attrs.frozen(kw_only=True)
class Dialect:
    """Where one generation has what; `{id}` and `{market}` stand for themselves."""

    orders: str
    order: str
    cancel: str
    cancel_all: str
    fills: str
    accounts: str
    markets: str
    trades: str
    open_states: tuple[str, ...]
    closed_states: tuple[str, ...]
    pages_fills_by_id: bool
    """Whether own trades are paged by their ids, not by page numbers."""


GENERATIONS: Final[Mapping[str, Dialect]] = {
    "websocket_api": Dialect(
        orders="orders",
        order="order?id={id}",
        cancel="order/delete",
        cancel_all="orders/clear",
        fills="trades/my",
        accounts="members/me",
        markets="markets",
        trades="trades",
        open_states=("wait",),
        closed_states=("done", "cancel"),
        pages_fills_by_id=True,
    ),
    "ranger": Dialect(
        orders="market/orders",
        order="market/orders/{id}",
        cancel="market/orders/{id}/cancel",
        cancel_all="market/orders/cancel",
        fills="market/trades",
        accounts="account/balances",
        markets="public/markets",
        trades="public/markets/{market}/trades",
        open_states=("pending", "wait"),  # as an order goes: asked in this order none is missed
        closed_states=("done", "cancel", "reject"),
        pages_fills_by_id=False,
    ),
}

_order = msgspec.json.Decoder(wire.OrderRow).decode
_orders = msgspec.json.Decoder(list[wire.OrderRow]).decode
_fills = msgspec.json.Decoder(list[wire.TradeRow]).decode
_member = msgspec.json.Decoder(wire.Member).decode
_accounts = msgspec.json.Decoder(list[wire.AccountRow]).decode
_markets = msgspec.json.Decoder(list[wire.MarketRow]).decode
_book = msgspec.json.Decoder(wire.OrderBook).decode
_public_trades = msgspec.json.Decoder(list[wire.PublicTrade]).decode
_errors = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class Rest:
    """The calls that only look.

    Parameters
    ----------
    tokens
        None: only public calls can be made.
    """

    def __init__(
        self,
        generation: Literal["websocket_api", "ranger"],
        link: HttpLink,
        tokens: TokenSource | None,
        *,
        deadline_s: float,
    ) -> None:
        self.dialect = GENERATIONS[generation]
        self._is_first = generation == "websocket_api"
        self._link = link
        self._tokens = tokens
        self._deadline_s = deadline_s

    # --- one order --------------------------------------------------------------------------

    async def order(self, order_id: int) -> wire.OrderRow:
        """Return an order, with its trades."""
        path, _, query = self.dialect.order.format(id=order_id).partition("?")
        raw = await self._get(path, dict([query.split("=")]) if query else {}, private=True)
        return parse(_order, raw, "order")

    # --- lists ------------------------------------------------------------------------------

    async def open_orders(self, market: str) -> tuple[list[wire.OrderRow], bool]:
        """Return the account's open orders, and whether that is surely all of them.

        It is not if they need a second page: in between an order may move from one to another.
        """
        rows: list[wire.OrderRow] = []
        is_all = True
        for state in self.dialect.open_states:
            page = await self._order_page(market, state, 1)
            rows += page
            is_all = is_all and len(page) < ROWS
        return rows, is_all

    async def closed_orders(self, market: str, since_ns: int) -> list[wire.OrderRow]:
        """Return the account's orders made since a time that have ended."""
        found: list[wire.OrderRow] = []
        for state in self.dialect.closed_states:
            for number in range(1, PAGES_MOST + 1):
                page = await self._order_page(market, state, number)
                found += [row for row in page if time_ns(row.created_at) >= since_ns]
                if len(page) < ROWS or time_ns(page[-1].created_at) < since_ns:
                    break
            else:
                raise VenueError(f"peatio: more than {PAGES_MOST * ROWS} orders in {market}")
        return found

    async def _order_page(self, market: str, state: str, page: int) -> list[wire.OrderRow]:
        params: Params = {
            "market": market,
            "state": state,
            "limit": ROWS,
            "page": page,
            "order_by": "desc",
        }
        return parse(_orders, await self._get(self.dialect.orders, params, private=True), "orders")

    async def fills(self, market: str, since_ns: int) -> list[wire.TradeRow]:
        """Return the account's trades since a time, the oldest first."""
        found: list[wire.TradeRow] = []
        further: dict[str, int] = {}
        for number in range(1, PAGES_MOST + 1):
            params: Params = {"market": market, "limit": ROWS, "order_by": "desc", **further}
            raw = await self._get(self.dialect.fills, params, private=True)
            page = parse(_fills, raw, "own trades")
            found += [row for row in page if time_ns(row.created_at) >= since_ns]
            if len(page) < ROWS or time_ns(page[-1].created_at) < since_ns:
                return sorted(found, key=lambda row: row.id)
            by_id = self.dialect.pages_fills_by_id
            further = {"to": page[-1].id} if by_id else {"page": number + 1}
        raise VenueError(f"peatio: more than {PAGES_MOST * ROWS} trades in {market}")

    async def accounts(self) -> list[wire.AccountRow]:
        """Return what is held."""
        raw = await self._get(self.dialect.accounts, {}, private=True)
        if self._is_first:
            return parse(_member, raw, "member").accounts
        return parse(_accounts, raw, "balances")

    # --- public -----------------------------------------------------------------------------

    async def markets(self) -> list[wire.MarketRow]:
        """Return what is traded."""
        return parse(_markets, await self._get(self.dialect.markets, {}), "markets")

    async def order_book(self, market: str) -> wire.OrderBook:
        """Return the first generation's book, order by order."""
        params: Params = {"market": market, "asks_limit": MOST_ROWS, "bids_limit": MOST_ROWS}
        return parse(_book, await self._get("order_book", params), "order book")

    async def public_trades(self, market: str, limit: int = 100) -> list[wire.PublicTrade]:
        """Return the last prints, the newest first."""
        path = self.dialect.trades.format(market=market)
        raw = await self._get(path, {"market": market, "limit": limit})
        return parse(_public_trades, raw, "public trades")

    # --- calling ----------------------------------------------------------------------------

    async def _get(self, path: str, params: Params, *, private: bool = False) -> bytes:
        reply = await self._link.request(
            "GET",
            path,
            params={name: str(value) for name, value in params.items()} or None,
            headers=self._headers() if private else None,
            deadline_s=self._deadline_s,
        )
        if reply.status >= SERVER_ERROR:
            raise VenueDisconnectedError(f"peatio: GET {path} was answered {reply.status}")
        return _body("GET", path, reply)

    def _headers(self) -> dict[str, str]:
        if self._tokens is None:
            raise VenueAuthenticationError("peatio: no token: set token, token_file or signer")
        return {"Authorization": self._tokens.bearer()}


class TradingRest(Rest):
    """The calls that place and cancel: a dry run has none of these.

    Cancels go over `urgent`, which nothing else can hold up.
    """

    def __init__(
        self,
        generation: Literal["websocket_api", "ranger"],
        link: HttpLink,
        urgent: HttpLink,
        tokens: TokenSource | None,
        *,
        deadline_s: float,
    ) -> None:
        super().__init__(generation, link, tokens, deadline_s=deadline_s)
        self._urgent = urgent

    async def place(self, order: NewOrder) -> wire.OrderRow:
        """Send a new order; return what the venue made of it, which has traded nothing yet."""
        body = {
            "market": order.symbol.partition(":")[2],
            "side": "buy" if order.side is Side.BUY else "sell",
            "volume": format(order.order_qty, "f"),
            "ord_type": "market" if order.ord_type is OrdType.MARKET else "limit",
        }
        if order.price is not None:
            body["price"] = format(order.price, "f")
        raw = await self._post(self.dialect.orders, body)
        return self._done(_order, raw, "answer to a new order")

    async def cancel(self, order_id: int) -> wire.OrderRow:
        """Ask for the end of an order; return how it is now: the cancel itself is only queued."""
        path = self.dialect.cancel.format(id=order_id)
        body = {"id": order_id} if self._is_first else {}
        raw = await self._post(path, body, urgent=True)
        return self._done(_order, raw, "answer to a cancel")

    async def cancel_all(self, side: Side | None = None) -> list[wire.OrderRow]:
        """Ask for the end of every order of the account, whoever sent it; they are queued.

        The engine never calls this: it ends orders that are not ours.
        """
        body = {} if side is None else {"side": "buy" if side is Side.BUY else "sell"}
        raw = await self._post(self.dialect.cancel_all, body, urgent=True)
        return self._done(_orders, raw, "answer to a cancel of all orders")

    async def _post(self, path: str, body: Mapping[str, Any], *, urgent: bool = False) -> bytes:
        link = self._urgent if urgent else self._link
        reply = await link.request(
            "POST",
            path,
            headers={**self._headers(), "Content-Type": "application/json"},
            content=_encode(body),
            deadline_s=self._deadline_s,
        )
        if reply.status >= SERVER_ERROR:
            raise OrderOutcomeUnknownError(
                f"peatio: POST {path} was answered {reply.status}: it may have been done"
            )
        return _body("POST", path, reply)

    def _done(self, decoder: Callable[[bytes], T], raw: bytes, what: str) -> T:
        """Return the answer to what surely was done; if it cannot be read, nobody can say how."""
        try:
            return parse(decoder, raw, what)
        except VenueProtocolError as exc:
            raise OrderOutcomeUnknownError(str(exc)) from exc


def _body(method: str, path: str, reply: HttpReply) -> bytes:
    """Return the body of a success; raise for a refusal."""
    if reply.ok:
        return reply.body
    codes, text = _told(reply.body)
    refused = RestRefusedError(f"peatio: {method} {path}", reply.status, codes, text)
    if reply.status == UNAUTHORIZED and "2000" not in codes:
        raise VenueAuthenticationError(f"{refused}; look at the token and its issuer") from refused
    raise refused


def _told(body: bytes) -> tuple[list[str], str]:
    """Return an error's codes and its text, in the shape of either generation."""
    try:
        told = _errors(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [], ""
    errors, error = told.get("errors"), told.get("error")
    if isinstance(errors, list):
        return [str(each)[:SHOWN] for each in errors[:8]], ""
    if isinstance(error, dict):
        return [str(error.get("code", ""))[:SHOWN]], str(error.get("message", ""))[:SHOWN]
    return [], "" if error is None else str(error)[:SHOWN]
