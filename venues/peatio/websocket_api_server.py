"""The first generation of the simulated Peatio: its clients on the socket, and its REST."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from botkit.adapter import Mailbox, Member
from botkit.errors import VenueError
from botkit.matching.exchange import (
    BookAction,
    BookOrderChange,
    ExchangeEvent,
    Execution,
    Leg,
    Market,
    OrderState,
    Rejection,
)
from botkit.model import Side
from botkit.transport import HttpReply, WsLink
from venues.peatio.rows import (
    RefusedError,
    book_side,
    encode,
    json_reply,
    levels,
    order_first,
    page_of,
    public_trade_first,
    side_word,
    state_of,
    text,
    trade_first,
)
from venues.peatio.tokens import BadTokenError

if TYPE_CHECKING:
    from venues.peatio.simulator import PeatioSimulator

__all__ = ["FirstRest", "FirstSession"]

NS_PER_S: Final = 1_000_000_000
LEVEL_TO_TRADE: Final = 3
BOOK_DEFAULT: Final = 20
BOOK_MOST: Final = 200
DEPTH_DEFAULT: Final = 300
CHALLENGE_BYTES: Final = 40
ACTIONS: Final = {
    BookAction.ADD: "add",
    BookAction.UPDATE: "update",
    BookAction.REMOVE: "remove",
}

_message = msgspec.json.Decoder(dict[str, Any]).decode


class FirstSession:
    """One client's WebSocket. Who signs in twice is told everything twice."""

    def __init__(self, simulator: "PeatioSimulator") -> None:
        self._simulator = simulator
        self._mail = Mailbox()
        self._signed_in: list[Member] = []

    async def serve(self, link: WsLink) -> None:
        """Serve until the client goes."""
        challenge = self._simulator.market.rng.bytes(CHALLENGE_BYTES)
        text_ = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        self._mail.put(encode({"challenge": text_}))
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._mail.serve, link)
                nursery.start_soon(self._ping, link)
                while True:
                    for frame in await link.receive_batch():
                        self._on_frame(frame)
        except* VenueError:
            pass  # gone

    async def _ping(self, link: WsLink) -> None:
        """Send pings; a client that does not answer one is cut."""
        every_s = self._simulator.quirks["ping_every_s"]
        while every_s:
            await trio.sleep(every_s)
            await link.ping(every_s)

    def _on_frame(self, frame: bytes) -> None:
        try:
            message = _message(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # to the log alone
        if "jwt" not in message:
            return
        try:
            member, _ = self._simulator.check(str(message["jwt"]))
        except BadTokenError:
            self._mail.put(encode({"error": {"message": "Authentication failed."}}))
            return
        self._signed_in.append(member)
        self._mail.put(encode({"success": {"message": "Authenticated."}}))

    def on_events(self, events: Sequence[ExchangeEvent]) -> None:
        """Tell every order of the book, and the member's trades."""
        for member in self._signed_in:
            book: list[bytes] = []
            trades: list[bytes] = []
            for event in events:
                if isinstance(event, BookOrderChange):
                    book.append(_book_frame(event))
                elif isinstance(event, Execution) and (legs := event.legs(member.name)):
                    trades.append(self._trade(event, legs))
            for frame in self._simulator.arranged(trades, book):
                self._mail.put(frame)

    def _trade(self, execution: Execution, legs: Sequence[Leg]) -> bytes:
        """Return a trade with the member's own orders, which may be ahead of it."""
        row = trade_first(execution, legs)
        for leg in legs:
            order = leg.order
            if self._simulator.quirks["enclosed_ahead"]:
                account = self._simulator.market.exchange.accounts[order.account]
                order = account.order(order.order_id) or order
            row[side_word(order.side)] = order_first(order, self._simulator.executions_of(order))
        return encode({"trade": row})

    def tell_refused(self, order: OrderState) -> None:
        """Tell nothing: this generation refuses at once."""


def _book_frame(change: BookOrderChange) -> bytes:
    order = {
        "id": change.order_id,
        "timestamp": change.created_ns // NS_PER_S,
        "type": side_word(change.side),
        "volume": text(change.qty),
        "price": text(change.price),
        "market": change.symbol,
        "ord_type": "limit",
    }
    action = ACTIONS[change.action]
    return encode({"orderbook": {"action": action, "order": order, "locale": "en"}})


class FirstRest:
    """`/api/v2/...` of the first generation."""

    def __init__(self, simulator: "PeatioSimulator") -> None:
        self._simulator = simulator
        self._private: Mapping[tuple[str, str], Callable[[Member, dict[str, Any]], HttpReply]] = {
            ("POST", "orders"): self._place,
            ("POST", "orders/multi"): self._place_many,
            ("POST", "order/delete"): self._cancel,
            ("POST", "orders/clear"): self._clear,
            ("GET", "orders"): self._orders,
            ("GET", "order"): self._order,
            ("GET", "trades/my"): self._my_trades,
            ("GET", "members/me"): self._me,
        }
        self._public: Mapping[str, Callable[[Market, dict[str, Any]], HttpReply]] = {
            "order_book": self._order_book,
            "depth": self._depth,
            "trades": self._trades,
        }

    def answer(
        self, method: str, path: str, asked: dict[str, Any], headers: Mapping[str, str]
    ) -> HttpReply:
        """Answer a call; raise `RefusedError`."""
        markets = self._simulator.market.exchange.markets
        handler = self._private.get((method, path))
        if handler is not None:
            member, claims = self._simulator.member_of(
                headers, lambda: RefusedError.first(401, 2001, "Authorization failed")
            )
            level = claims.get("level")
            if method == "POST" and not (isinstance(level, int) and level >= LEVEL_TO_TRADE):
                text_ = "Please, pass the corresponding verification steps to enable trading."
                raise RefusedError.first(401, 2000, text_)
            return handler(member, asked)
        if (method, path) == ("GET", "markets"):
            rows = [{"id": name, "name": _pair(each)} for name, each in markets.items()]
            return json_reply(200, rows)
        if (method, path) == ("GET", "timestamp"):
            return json_reply(200, self._simulator.market.now_ns() // NS_PER_S)
        public = self._public.get(path)
        if method != "GET" or public is None:
            raise RefusedError.first(404, 1000, "no such call")
        return public(self._market(asked), asked)

    def _market(self, asked: Mapping[str, Any]) -> Market:
        market = self._simulator.market.exchange.markets.get(str(asked.get("market")))
        if market is None:
            raise RefusedError.first(422, 1001, "market does not have a valid value")
        return market

    # --- orders -----------------------------------------------------------------------------

    def _place(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        return json_reply(201, self._placed(member, asked))

    def _placed(self, member: Member, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._market(asked)
        if asked.get("side") not in ("buy", "sell"):
            raise RefusedError.first(422, 1001, "side does not have a valid value")
        is_market = asked.get("ord_type", "limit") == "market"
        if "volume" not in asked or (not is_market and "price" not in asked):
            raise RefusedError.first(422, 1001, "volume or price is missing")
        placed = self._simulator.place(member, asked)
        if isinstance(placed, Rejection):
            raise RefusedError.first(422, 2002, "Failed to create order.")  # the reason is not told
        return order_first(placed)

    def _place_many(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        orders = asked.get("orders")
        if not isinstance(orders, list) or not all(isinstance(each, dict) for each in orders):
            raise RefusedError.first(422, 1001, "orders is invalid")
        market = asked.get("market")
        return json_reply(
            201, [self._placed(member, {"market": market, **each}) for each in orders]
        )

    def _cancel(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        before = self._simulator.cancel(member, _id(asked))
        if before is None:
            raise RefusedError.first(422, 2003, "Failed to cancel order.")
        return json_reply(201, self._row(before))

    def _clear(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        chosen = [
            order
            for order in self._simulator.orders(member, None)
            if state_of(order) == "wait" and asked.get("side") in (None, _word(order))
        ]
        for order in chosen:
            self._simulator.cancel(member, order.order_id)
        return json_reply(201, [self._row(order) for order in chosen])

    def _row(self, order: OrderState) -> dict[str, Any]:
        return order_first(order, self._simulator.executions_of(order))

    # --- lists ------------------------------------------------------------------------------

    def _orders(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        self._market(asked)
        state = asked.get("state", "wait")
        rows = [
            self._row(order)
            for order in self._simulator.orders(member, str(asked["market"]))
            if state_of(order) == state
        ]
        if asked.get("order_by", "asc") == "desc":
            rows.reverse()
        size, number = page_of(asked)
        return json_reply(200, rows[(number - 1) * size : number * size])

    def _order(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        order = self._simulator.order(member, _id(asked))
        if order is None:
            raise RefusedError.first(404, 2004, f"Order#{_id(asked)} doesn't exist.")
        trades = [
            {**trade_first(each, each.legs(member.name)), "order_id": order.order_id}
            for each in self._simulator.executions(member, order.order_id)
        ]
        return json_reply(200, {**self._row(order), "trades": trades})

    def _my_trades(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        market = self._market(asked)
        before, after = _number(asked, "to", 2**62), _number(asked, "from", 0)
        rows = [
            {
                **trade_first(each, each.legs(member.name)),
                "side": side_word(leg.order.side),
                "order_id": leg.order.order_id,
            }
            for each in self._simulator.executions(member)
            if each.symbol == market.symbol and after < each.trade_id < before
            for leg in each.legs(member.name)
        ]
        if asked.get("order_by", "desc") == "desc":
            rows.reverse()
        return json_reply(200, rows[: page_of(asked)[0]])

    def _me(self, member: Member, _: dict[str, Any]) -> HttpReply:
        account = self._simulator.market.exchange.accounts[member.name]
        rows = [
            {
                "currency": held.currency.lower(),
                "balance": text(held.available),
                "locked": text(held.locked),
            }
            for held in account.balances()
        ]
        return json_reply(200, {"sn": member.key, "email": member.name, "accounts": rows})

    # --- public -----------------------------------------------------------------------------

    def _order_book(self, market: Market, asked: dict[str, Any]) -> HttpReply:
        asks = min(_number(asked, "asks_limit", BOOK_DEFAULT), BOOK_MOST)
        bids = min(_number(asked, "bids_limit", BOOK_DEFAULT), BOOK_MOST)
        sides = {
            "asks": book_side(market, Side.SELL, asks),
            "bids": book_side(market, Side.BUY, bids),
        }
        return json_reply(200, sides)

    def _depth(self, market: Market, asked: dict[str, Any]) -> HttpReply:
        """Return levels, both sides from the highest price down: the best ask is last."""
        limit = _number(asked, "limit", DEPTH_DEFAULT)
        asks, bids = levels(market, Side.SELL, limit), levels(market, Side.BUY, limit)
        now_s = self._simulator.market.now_ns() // NS_PER_S
        return json_reply(200, {"timestamp": now_s, "asks": asks[::-1], "bids": bids})

    def _trades(self, market: Market, asked: dict[str, Any]) -> HttpReply:
        rows = [public_trade_first(each) for each in reversed(market.trades)]
        return json_reply(200, rows[: page_of(asked)[0]])


def _pair(market: Market) -> str:
    return f"{market.instrument.base}/{market.instrument.quote}"


def _word(order: OrderState) -> str:
    return "buy" if order.side is Side.BUY else "sell"


def _number(asked: Mapping[str, Any], name: str, otherwise: int) -> int:
    told = str(asked.get(name, otherwise))
    if not told.isdigit():
        raise RefusedError.first(422, 1001, f"{name} is invalid")
    return int(told)


def _id(asked: Mapping[str, Any]) -> int:
    if "id" not in asked:
        raise RefusedError.first(422, 1001, "id is missing")
    return _number(asked, "id", 0)
