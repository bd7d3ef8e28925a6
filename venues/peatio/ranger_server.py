"""The second generation of the simulated Peatio: its clients on the socket, and its REST."""

import itertools
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from botkit.adapter import Mailbox, Member
from botkit.errors import VenueError
from botkit.matching.exchange import (
    ExchangeEvent,
    Execution,
    Market,
    OrderAccepted,
    OrderCanceled,
    OrderState,
    PublicTrade,
    Rejection,
    RejectReason,
)
from botkit.model import Instrument, OrdStatus, OrdType, Side, TimeInForce
from botkit.transport import HttpReply, WsLink
from venues.peatio.rows import (
    RefusedError,
    digits,
    encode,
    iso,
    json_reply,
    levels,
    order_second,
    page_of,
    public_trade_second,
    state_of,
    text,
    trade_second,
)

if TYPE_CHECKING:
    from venues.peatio.simulator import PeatioSimulator

__all__ = ["RANGER", "RangerRest", "RangerSession"]

RANGER: Final = "/api/v2/ranger"
NS_PER_S: Final = 1_000_000_000
REFUSED_FROM: Final = 1_000_000_000  # ids of orders that never reached the matching engine
KEYS: Final[Mapping[RejectReason, str]] = {
    RejectReason.UNKNOWN_SYMBOL: "market.market.doesnt_exist_or_not_enabled",
    RejectReason.HALTED: "market.market.doesnt_exist_or_not_enabled",
    RejectReason.INSUFFICIENT_FUNDS: "market.account.insufficient_balance",
    RejectReason.BELOW_MIN_QTY: "market.order.invalid_volume_or_price",
    RejectReason.ABOVE_MAX_QTY: "market.order.invalid_volume_or_price",
    RejectReason.BELOW_MIN_NOTIONAL: "market.order.invalid_volume_or_price",
}

_message = msgspec.json.Decoder(dict[str, Any]).decode


class RangerSession:
    """One client's WebSocket; `member` None is anonymous."""

    def __init__(self, simulator: "PeatioSimulator", member: Member | None, query: str) -> None:
        self._simulator = simulator
        self._member = member
        self._mail = Mailbox()
        self._streams: list[str] = []
        self._sent = itertools.count(1)
        self._wanted = [value for name, value in urllib.parse.parse_qsl(query) if name == "stream"]

    async def serve(self, link: WsLink) -> None:
        """Serve until the client goes."""
        books = self._simulator.ranger_books
        books.listen(self._on_book)
        try:
            self._subscribe(self._wanted)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._mail.serve, link)
                await self._read(link)
        except* VenueError:
            pass  # gone
        finally:
            books.leave(self._on_book)

    async def _read(self, link: WsLink) -> None:
        while True:
            for frame in await link.receive_batch():
                if frame == b"ping":
                    self._mail.put(b"pong")
                    continue
                try:
                    message = _message(frame)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue  # silence
                streams = message.get("streams")
                names = [str(each) for each in streams] if isinstance(streams, list) else []
                if message.get("event") == "subscribe":
                    self._subscribe(names)
                elif message.get("event") == "unsubscribe":
                    self._streams = [each for each in self._streams if each not in names]
                    self._tell("unsubscribed")

    def _subscribe(self, names: list[str]) -> None:
        """Send stored books first, then the answer; unknown streams are accepted."""
        for name in names:
            market, _, kind = name.rpartition(".")
            if name in self._streams:
                continue
            self._streams.append(name)
            if kind == "ob-inc":
                for frame in self._simulator.ranger_books.stored(market):
                    self._mail.put(frame)
        self._tell("subscribed")

    def _tell(self, message: str) -> None:
        streams = list(self._streams)
        self._mail.put(encode({"success": {"message": message, "streams": streams}}))

    def _on_book(self, market: str, frame: bytes) -> None:
        if f"{market}.ob-inc" in self._streams:
            every = self._simulator.quirks["gap_every"]
            if not every or next(self._sent) % every:
                self._mail.put(frame)

    def on_events(self, events: Sequence[ExchangeEvent]) -> None:
        """Tell prints, and a member's own orders and trades."""
        for event in events:
            if isinstance(event, PublicTrade) and f"{event.symbol}.trades" in self._streams:
                row = public_trade_second(event)
                self._mail.put(encode({f"{event.symbol}.trades": {"trades": [row]}}))
        if self._member is None:
            return
        orders, trades = self._own(events, self._member)
        for frame in self._simulator.arranged(trades, orders):
            self._mail.put(frame)

    def _own(
        self, events: Sequence[ExchangeEvent], member: Member
    ) -> tuple[list[bytes], list[bytes]]:
        orders: list[bytes] = []
        trades: list[bytes] = []
        for event in events:
            match event:
                case OrderAccepted(order=order) | OrderCanceled(order=order):
                    if order.account == member.name:
                        orders += self._order(order)
                case Execution():
                    for leg in event.legs(member.name):
                        orders += self._order(leg.order)
                        if "trade" in self._streams:
                            trades.append(encode({"trade": trade_second(event, leg)}))
                case _:
                    pass
        return orders, trades

    def _order(self, order: OrderState) -> list[bytes]:
        """Return an order's event; a market order is announced only when it is done."""
        working = order.ord_status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)
        if "order" not in self._streams or (order.ord_type is OrdType.MARKET and working):
            return []
        executions = self._simulator.executions_of(order)
        return [encode({"order": order_second(order, executions)})]

    def tell_refused(self, order: OrderState) -> None:
        """Tell the member's own order that the matching engine has refused."""
        is_own = self._member is not None and order.account == self._member.name
        if is_own and "order" in self._streams:
            self._mail.put(encode({"order": order_second(order, state="reject")}))


class RangerRest:
    """`/api/v2/market`, `account` and `public`."""

    def __init__(self, simulator: "PeatioSimulator") -> None:
        self._simulator = simulator
        self._next_refused = itertools.count(REFUSED_FROM)
        self._private: Mapping[tuple[str, str], Callable[[Member, dict[str, Any]], HttpReply]] = {
            ("POST", "market/orders"): self._place,
            ("GET", "market/orders"): self._orders,
            ("POST", "market/orders/cancel"): self._cancel_all,
            ("GET", "market/trades"): self._trades,
            ("GET", "account/balances"): self._balances,
        }
        self._public_calls: Mapping[str, Callable[[Market, dict[str, Any]], HttpReply]] = {
            "depth": self._depth,
            "order-book": self._order_book,
            "trades": self._public_trades,
        }

    def answer(
        self, method: str, path: str, asked: dict[str, Any], headers: Mapping[str, str]
    ) -> HttpReply:
        """Answer a call; raise `RefusedError`."""
        if path.startswith("public/"):
            return self._public(method, path.removeprefix("public/"), asked)
        member, _ = self._simulator.member_of(
            headers, lambda: RefusedError.second(401, "jwt.decode_and_verify")
        )
        handler = self._private.get((method, path))
        if handler is not None:
            return handler(member, asked)
        parts = path.split("/")
        if parts[:2] == ["market", "orders"]:
            if (method, len(parts)) == ("GET", 3):
                return self._order(member, parts[2])
            if (method, len(parts), parts[-1]) == ("POST", 4, "cancel"):
                return self._cancel(member, parts[2])
        raise RefusedError.second(404, "record.not_found")

    # --- orders -----------------------------------------------------------------------------

    def _place(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        _check_order(asked)
        placed = self._simulator.place(member, asked)
        if isinstance(placed, OrderState):
            return json_reply(201, self._row(placed, state="pending"))
        is_late = self._simulator.draw("reject_late")
        if placed.reason is RejectReason.INSUFFICIENT_FUNDS and is_late:
            order = self._take_in(member, asked)
            self._simulator.refuse_later(order)
            return json_reply(201, self._row(order, state="pending"))
        raise RefusedError.second(422, _key(placed))

    def _take_in(self, member: Member, asked: dict[str, Any]) -> OrderState:
        """Return an order that the matching engine is about to refuse."""
        now_ns = self._simulator.market.now_ns()
        qty, price = Decimal(str(asked["volume"])), asked.get("price")
        return OrderState(
            order_id=next(self._next_refused),
            account=member.name,
            client_order_id="",
            session="",
            symbol=asked["market"],
            side=Side.BUY if asked["side"] == "buy" else Side.SELL,
            ord_type=OrdType.LIMIT if asked.get("ord_type") != "market" else OrdType.MARKET,
            time_in_force=TimeInForce.GTC,
            post_only=False,
            ord_status=OrdStatus.REJECTED,
            price=None if price is None else Decimal(str(price)),
            stop_px=None,
            order_qty=qty,
            cash_order_qty=None,
            cum_qty=Decimal(0),
            leaves_qty=qty,
            cum_notional=Decimal(0),
            fees=Decimal(0),
            fee_currency="",
            triggered=False,
            expire_time_ns=0,
            created_ns=now_ns,
            updated_ns=now_ns,
            cancel_reason=None,
        )

    def _row(self, order: OrderState, state: str = "") -> dict[str, Any]:
        """Return an order as REST shows one: times are text."""
        if order.ord_status is OrdStatus.REJECTED:
            state = state or "reject"
        row = order_second(order, self._simulator.executions_of(order), state)
        times = {"created_at": iso(order.created_ns), "updated_at": iso(order.updated_ns)}
        return {**row, **times, "uuid": f"00000000-0000-4000-8000-{order.order_id:012d}"}

    def _named(self, member: Member, name: str) -> OrderState:
        digits = name.rpartition("-")[2]
        order = self._simulator.order(member, int(digits)) if digits.isdigit() else None
        if order is None:
            raise RefusedError.second(404, "record.not_found")
        return order

    def _order(self, member: Member, name: str) -> HttpReply:
        order = self._named(member, name)
        trades = [
            trade_second(each, leg)
            for each in self._simulator.executions(member, order.order_id)
            for leg in each.legs(member.name)
            if leg.order.order_id == order.order_id
        ]
        return json_reply(200, {**self._row(order), "trades": trades})

    def _cancel(self, member: Member, name: str) -> HttpReply:
        order = self._named(member, name)
        before = self._simulator.cancel(member, order.order_id)
        assert before is not None
        return json_reply(201, self._row(before))

    def _cancel_all(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        chosen = [
            order
            for order in self._simulator.orders(member, asked.get("market"))
            if state_of(order) == "wait" and asked.get("side") in (None, _word(order))
        ]
        for order in chosen:
            self._simulator.cancel(member, order.order_id)
        return json_reply(201, [self._row(order) for order in chosen])

    # --- lists ------------------------------------------------------------------------------

    def _orders(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        rows = [
            row
            for order in self._simulator.orders(member, asked.get("market"))
            if asked.get("state") in (None, (row := self._row(order))["state"])
        ]
        if asked.get("order_by", "desc") == "desc":
            rows.reverse()
        return _page(rows, asked)

    def _trades(self, member: Member, asked: dict[str, Any]) -> HttpReply:
        rows = [
            {**trade_second(each, leg), "created_at": iso(each.time_ns)}
            for each in self._simulator.executions(member)
            if asked.get("market") in (None, each.symbol)
            for leg in each.legs(member.name)
        ]
        if asked.get("order_by", "desc") == "desc":
            rows.reverse()
        return _page(rows, asked)

    def _balances(self, member: Member, _: dict[str, Any]) -> HttpReply:
        account = self._simulator.market.exchange.accounts[member.name]
        rows = [
            {
                "currency": held.currency.lower(),
                "balance": text(held.available),
                "locked": text(held.locked),
            }
            for held in account.balances()
        ]
        return json_reply(200, rows)

    # --- public -----------------------------------------------------------------------------

    def _public(self, method: str, path: str, asked: dict[str, Any]) -> HttpReply:
        markets = self._simulator.market.exchange.markets
        if (method, path) == ("GET", "markets"):
            return json_reply(200, [_market_row(each.instrument) for each in markets.values()])
        head, _, rest = path.partition("/")
        name, _, what = rest.partition("/")
        market, handler = markets.get(name), self._public_calls.get(what)
        if method != "GET" or head != "markets" or market is None or handler is None:
            raise RefusedError.second(404, "record.not_found")
        return handler(market, asked)

    def _depth(self, market: Market, _: dict[str, Any]) -> HttpReply:
        sides = {"asks": levels(market, Side.SELL, 300), "bids": levels(market, Side.BUY, 300)}
        now_s = self._simulator.market.now_ns() // NS_PER_S
        return json_reply(200, {"timestamp": now_s, **sides})

    def _order_book(self, market: Market, _: dict[str, Any]) -> HttpReply:
        sides = (("asks", Side.SELL), ("bids", Side.BUY))
        rows = {
            name: [self._row(order) for order in market.orders(side, 20)] for name, side in sides
        }
        return json_reply(200, rows)

    def _public_trades(self, market: Market, asked: dict[str, Any]) -> HttpReply:
        rows = [
            {
                "id": each.trade_id,
                "price": text(each.price),
                "amount": text(each.qty),
                "total": text(each.price * each.qty),
                "market": each.symbol,
                "created_at": each.time_ns // NS_PER_S,
                "taker_type": "buy" if each.side is Side.BUY else "sell",
            }
            for each in reversed(market.trades)
        ]
        return _page(rows, asked)


def _market_row(instrument: Instrument) -> dict[str, Any]:
    return {
        "id": instrument.name,
        "name": f"{instrument.base}/{instrument.quote}",
        "base_unit": instrument.base.lower(),
        "quote_unit": instrument.quote.lower(),
        "min_price": text(instrument.tick_size),
        "max_price": "0.0",
        "min_amount": text(instrument.min_trade_vol),
        "amount_precision": digits(instrument.lot_size),
        "price_precision": digits(instrument.tick_size),
        "state": "enabled",
    }


def _word(order: OrderState) -> str:
    return "buy" if order.side is Side.BUY else "sell"


def _key(rejection: Rejection) -> str:
    """Return the venue's key for a refusal."""
    if rejection.reason is RejectReason.NOT_POSITIVE:
        return f"market.order.non_positive_{'price' if rejection.field == 'price' else 'volume'}"
    return KEYS.get(rejection.reason, "market.order.create_error")


def _check_order(asked: Mapping[str, Any]) -> None:
    """Raise for what the venue refuses before it looks at funds."""
    if asked.get("side") not in ("buy", "sell"):
        raise RefusedError.second(422, "market.order.invalid_side")
    if "market" not in asked or "volume" not in asked:
        raise RefusedError.second(422, "market.order.invalid_volume_or_price")
    is_market = asked.get("ord_type", "limit") == "market"
    if is_market and asked.get("price") is not None:
        raise RefusedError.second(422, "market.order.market_order_price")
    if not is_market and asked.get("price") is None:
        raise RefusedError.second(422, "market.order.invalid_volume_or_price")


def _page(rows: list[dict[str, Any]], asked: Mapping[str, Any]) -> HttpReply:
    """Return one page of a list, with the headers that lists have."""
    size, number = page_of(asked)
    headers = {"Total": str(len(rows)), "Per-Page": str(size), "Page": str(number)}
    return json_reply(200, rows[(number - 1) * size : number * size], headers)
