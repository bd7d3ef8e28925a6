"""Finery's frames as our events, and our requests as its messages. No I/O.

One `Codec` lives as long as one connection: it keeps the books, which `~` cannot be read
without, and what was asked under which `reqId`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import msgspec

from botkit.model import (
    Balance,
    CancelOrder,
    ClientOrderId,
    Event,
    ExecId,
    ExecType,
    ExecutionReport,
    Instrument,
    Liquidity,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    RequestKind,
    TimeInForce,
    VenueOrderId,
)
from botkit.model import Side as OurSide
from venues.finery import wire
from venues.finery.books import Books, decode_snapshot
from venues.finery.chains import Chains
from venues.finery.ids import Numbers
from venues.finery.wire import CancelReason, ErrorCode, from_units, parse, to_units

__all__ = ["Answered", "Bound", "Codec", "Failed", "GatewayStatus", "Notice", "encode_bind"]

NS_PER_MS: Final = 1_000_000
DEALS_REMEMBERED: Final = 10_000
TYPES: Final[Mapping[tuple[OrdType, TimeInForce], str]] = {
    (OrdType.LIMIT, TimeInForce.GTC): "limit",
    (OrdType.LIMIT, TimeInForce.IOC): "limitIOC",
    (OrdType.LIMIT, TimeInForce.FOK): "limitFOK",
    (OrdType.MARKET, TimeInForce.GTC): "marketIOC",  # what is left of a market order is canceled
    (OrdType.MARKET, TimeInForce.IOC): "marketIOC",
    (OrdType.MARKET, TimeInForce.FOK): "marketFOK",
}
ENDS: Final[Mapping[int, str]] = {
    CancelReason.BY_CLIENT: "",
    CancelReason.NOT_FOR_BOOK: "the rest found nobody to trade with",
    CancelReason.SELF_TRADE: "it met an order of our own",
    CancelReason.DISCONNECTED: "canceled by the venue: its connection was lost",
}
"""Why an order was canceled, for people."""


class Notice(msgspec.Struct, frozen=True, gc=False):
    """What concerns the session and not the engine."""


class GatewayStatus(Notice, frozen=True, gc=False):
    """`X`: 0 while the gateway is connected to the exchange."""

    code: int


class Bound(Notice, frozen=True, gc=False):
    """A feed's snapshot has come."""

    feed: str
    feed_id: str


class Failed(Notice, frozen=True, gc=False):
    """A feed could not be bound or unbound."""

    feed: str
    feed_id: str
    code: int


class Answered(Notice, frozen=True, gc=False):
    """The reply to a question of the session's own: `value` as `METHODS` says, or an error."""

    req_id: int
    value: Any = None
    error: int = 0


_feed = msgspec.json.Decoder(wire.FeedFrame).decode
_reply = msgspec.json.Decoder(wire.Reply).decode
_code = msgspec.json.Decoder(int | list[int]).decode
_order = msgspec.json.Decoder(wire.OrderRow).decode
_orders = msgspec.json.Decoder(list[wire.OrderRow]).decode
_deal = msgspec.json.Decoder(wire.Deal).decode
_deals = msgspec.json.Decoder(list[wire.Deal]).decode
_positions = msgspec.json.Decoder(wire.Positions).decode
_held = msgspec.json.Decoder(list[wire.Position]).decode
_position = msgspec.json.Decoder(wire.Position).decode
_limits = msgspec.json.Decoder(list[wire.Limit]).decode
_instruments = msgspec.json.Decoder(wire.Instruments).decode
_add = msgspec.json.Decoder(wire.AddReply).decode
_del = msgspec.json.Decoder(wire.DelReply).decode
_del_all = msgspec.json.Decoder(wire.DelAllReply).decode
_mod = msgspec.json.Decoder(wire.ModReply).decode
_encode = msgspec.json.Encoder().encode

METHODS: Final[Mapping[str, Callable[[bytes | msgspec.Raw], Any]]] = {
    "positions": _positions,
    "dealHistory": _deals,
    "limits": _limits,
    "climits": _limits,
    "instruments": _instruments,
    "book": decode_snapshot,
    "delAll": _del_all,
}
"""What the session may ask, and how the replies are read."""


@attrs.define
class _Asked:
    """What a `reqId` stands for."""

    method: str
    request: NewOrder | CancelOrder | ReplaceOrder | None = None


class Codec:
    """Reads frames and writes requests for one connection.

    Parameters
    ----------
    venue
        Our name for the venue.
    instruments
        By the venue's own names.
    now_ns
        Tells the time that events are stamped with.
    fee_is_delta
        Whether a deal's `delta` is the commission, in quote currency.
    by_number
        Names by the venue's numbers: frames of books have the one or the other.
    """

    def __init__(
        self,
        venue: str,
        instruments: Mapping[str, Instrument],
        numbers: Numbers,
        chains: Chains,
        now_ns: Callable[[], int],
        *,
        fee_is_delta: bool = True,
        cod: bool = True,
        by_number: Mapping[str, str] | None = None,
    ) -> None:
        self._venue = venue
        self._instruments = instruments
        self._by_feed_id = {**(by_number or {}), **{name: name for name in instruments}}
        self._numbers = numbers
        self._chains = chains
        self._now_ns = now_ns
        self._fee_is_delta = fee_is_delta
        self._cod = cod
        self._books = Books(instruments, now_ns)
        self._asked: dict[int, _Asked] = {}
        self._last_req_id = 0
        self._told: dict[int, None] = {}  # deals, the oldest first
        self.unknown: dict[str, int] = {}  # how often frames came that we have no use for
        self._feeds: Mapping[str, Callable[[wire.FeedFrame], list[Event | Notice]]] = {
            "X": self._on_gateway,
            "F": self._on_book,
            "B": self._on_book,
            "P": self._on_positions,
            "O": self._on_order,
            "K": self._on_held,
        }

    # --- frames -----------------------------------------------------------------------------

    def decode(self, frame: bytes) -> list[Event | Notice]:
        """Return what `frame` says; nothing for what carries nothing for us.

        Raises
        ------
        VenueProtocolError
            It cannot be read.
        """
        if frame[:1] != b"[":
            return self._on_reply(parse(_reply, frame, "reply"))
        message = parse(_feed, frame, "feed frame")
        if message.action == "Z" and message.feed != "X":
            feed_id = "" if message.feed_id in (0, None) else str(message.feed_id)
            return [Failed(message.feed, feed_id, _first(parse(_code, message.payload, "code")))]
        if message.action == "U":
            return []
        handler = self._feeds.get(message.feed)
        return self._left_out(message.feed) if handler is None else handler(message)

    def _left_out(self, what: str) -> list[Event | Notice]:
        self.unknown[what] = self.unknown.get(what, 0) + 1
        return []

    def _on_gateway(self, message: wire.FeedFrame) -> list[Event | Notice]:
        return [GatewayStatus(_first(parse(_code, message.payload, "gateway status")))]

    # --- books ------------------------------------------------------------------------------

    def _on_book(self, message: wire.FeedFrame) -> list[Event | Notice]:
        name = self._by_feed_id.get(str(message.feed_id))
        if name is None:
            return self._left_out(f"{message.feed} {message.feed_id}")
        if message.action == "S":
            return [self._books.snapshot(name, message.payload), Bound(message.feed, name)]
        if message.action == "M":
            return [self._books.change(name, message.payload)]
        return self._left_out(f"{message.feed} action {message.action}")

    # --- orders -----------------------------------------------------------------------------

    def _on_positions(self, message: wire.FeedFrame) -> list[Event | Notice]:
        if message.action != "S":
            return self._left_out(f"P action {message.action}")
        snapshot = parse(_positions, message.payload, "positions")
        reports: list[Event | Notice] = [
            self.status_report(row) for row in snapshot.orders if self.trades(row.instrument)
        ]
        return [*self.balances(snapshot.positions), *reports, Bound("P", "")]

    def balances(self, rows: list[wire.Position]) -> list[Balance]:
        """Return what is held of each currency, over all counterparties."""
        totals: dict[str, int] = {}
        for row in rows:
            totals[row.currency] = totals.get(row.currency, 0) + row.size
        now_ns = self._now_ns()
        return [
            Balance(
                venue=self._venue,
                currency=currency,
                total=from_units(units),
                available=from_units(units),
                receive_time_ns=now_ns,
            )
            for currency, units in totals.items()
        ]

    def _on_held(self, message: wire.FeedFrame) -> list[Event | Notice]:
        if message.action == "S":
            return [*self.balances(parse(_held, message.payload, "positions in a currency"))]
        return self._left_out(f"K action {message.action}")

    def _on_order(self, message: wire.FeedFrame) -> list[Event | Notice]:
        if message.action == "D":
            deal = parse(_deal, message.payload, "deal")
            known = self.trades(deal.instrument)
            report = self.deal_report(deal) if known else None
            return [] if report is None or self._is_told(deal.deal_id) else [report]
        if message.action == "S":
            rows = parse(_orders, message.payload, "orders")
            return [self.status_report(row) for row in rows if self.trades(row.instrument)]
        if message.action not in ("+", "-"):
            return self._left_out(f"O action {message.action}")
        row = parse(_order, message.payload, "order")
        if not self.trades(row.instrument):
            return []
        if message.action == "-":
            by_client = row.cancel_reason == CancelReason.BY_CLIENT
            by_mod = by_client and self._chains.was_changed(row.order_id)
            return [] if by_mod else [self._end_report(row)]
        return [self.status_report(row, ExecType.NEW)]

    def _is_told(self, deal_id: int) -> bool:
        """Tell whether a deal was told before: feeds and replies both tell it; note that it was."""
        if deal_id in self._told:
            return True
        self._told[deal_id] = None
        if len(self._told) > DEALS_REMEMBERED:
            del self._told[next(iter(self._told))]
        return False

    def trades(self, name: str) -> bool:
        """Tell whether the venue lists an instrument; what is said of others is counted."""
        if name in self._instruments:
            return True
        self._left_out(f"order in {name}")
        return False

    def status_report(
        self, row: wire.OrderRow, exec_type: ExecType = ExecType.ORDER_STATUS
    ) -> ExecutionReport:
        """Return where an order in the book stands."""
        self._chains.see(row.client_order_id, row.order_id, row.initial)
        self._chains.fill(row.order_id, row.remaining)
        filled = row.initial - row.remaining
        status = OrdStatus.PARTIALLY_FILLED if filled else OrdStatus.NEW
        report = self._report(row, status, exec_type)
        return msgspec.structs.replace(report, transact_time_ns=row.created_ms * NS_PER_MS)

    def _end_report(self, row: wire.OrderRow) -> ExecutionReport:
        end = ENDS.get(row.cancel_reason)
        if end is not None:
            return self._report(row, OrdStatus.CANCELED, ExecType.CANCELED, text=end)
        if row.remaining:
            text = f"gone for a reason we do not know: {row.cancel_reason}"
            return self._report(row, OrdStatus.CANCELED, ExecType.CANCELED, text=text)
        return self._report(row, OrdStatus.FILLED, ExecType.TRADE)

    def _report(
        self, row: wire.OrderRow, status: OrdStatus, exec_type: ExecType, *, text: str = ""
    ) -> ExecutionReport:
        totals = None if row.by_volume else self._chains.totals(row.order_id, row.remaining)
        return ExecutionReport(
            symbol=self._instruments[row.instrument].symbol,
            ord_status=status,
            exec_type=exec_type,
            client_order_id=self._name(row.client_order_id),
            venue_order_id=VenueOrderId(str(row.order_id)),
            side=_side(row.side),
            order_qty=None if totals is None else from_units(totals[0]),
            price=from_units(row.price) if row.price else None,
            cum_qty=None if totals is None else from_units(totals[1]),
            text=text,
            receive_time_ns=self._now_ns(),
        )

    def deal_report(self, deal: wire.Deal) -> ExecutionReport:
        """Return one execution."""
        instrument = self._instruments[deal.instrument]
        done = not deal.remaining
        self._chains.see(deal.client_order_id, deal.order_id, deal.initial)
        self._chains.fill(deal.order_id, deal.remaining)
        return ExecutionReport(
            symbol=instrument.symbol,
            ord_status=OrdStatus.FILLED if done else OrdStatus.PARTIALLY_FILLED,
            exec_type=ExecType.TRADE,
            client_order_id=self._name(deal.client_order_id),
            venue_order_id=VenueOrderId(str(deal.order_id)),
            exec_id=ExecId(str(deal.deal_id)),
            side=_side(deal.side),
            last_qty=from_units(deal.size),
            last_px=from_units(deal.price),
            liquidity=Liquidity.REMOVED if deal.aggressor == deal.side else Liquidity.ADDED,
            **self._commission(deal.delta, instrument),
            transact_time_ns=deal.deal_ms * NS_PER_MS,
            receive_time_ns=self._now_ns(),
        )

    def _commission(self, delta: int, instrument: Instrument) -> dict[str, Any]:
        if not self._fee_is_delta:
            return {}
        return {"commission": from_units(delta), "commission_currency": instrument.quote}

    def _name(self, number: int) -> ClientOrderId | None:
        return self._numbers.name(number) if number else None

    # --- replies ----------------------------------------------------------------------------

    def _on_reply(self, reply: wire.Reply) -> list[Event | Notice]:
        if reply.req_id is None:
            what = reply.event or "object"
            return self._left_out(f"{what} without reqId, error {reply.error or 0}")
        asked = self._asked.pop(reply.req_id, None)
        if asked is None:
            return self._left_out("reply to nothing asked")
        match asked.request:
            case NewOrder() as order:
                return self._on_add(order, reply)
            case ReplaceOrder() as order:
                return self._on_mod(order, reply)
            case CancelOrder() as order:
                return self._on_del(order, reply)
            case None:
                return [_answer(asked.method, reply)]

    def _on_add(self, order: NewOrder, reply: wire.Reply) -> list[Event | Notice]:
        if reply.error:
            return [self._rejected(order, _explain(reply))]
        added = parse(_add, reply.reply, "reply to add")
        number = self._numbers.number(order.client_order_id)
        self._chains.see(number, added.id, to_units(order.order_qty))
        left = added.remaining_size
        cum_qty = None if left is None else order.order_qty - from_units(left)
        ack = ExecutionReport(
            symbol=order.symbol,
            ord_status=OrdStatus.NEW,
            exec_type=ExecType.NEW,
            client_order_id=order.client_order_id,
            venue_order_id=VenueOrderId(str(added.id)),
            side=order.side,
            receive_time_ns=self._now_ns(),
        )
        reports: list[Event | Notice] = [ack]
        reports += self._told_in_reply(ack, added.deals, full=left == 0)
        end = ENDS.get(added.cancel_reason)
        if end is not None:
            reports.append(
                msgspec.structs.replace(
                    ack,
                    ord_status=OrdStatus.CANCELED,
                    exec_type=ExecType.CANCELED,
                    text=end,
                    cum_qty=cum_qty,
                )
            )
        return reports

    def _told_in_reply(
        self, ack: ExecutionReport, deals: list[wire.DealInReply], *, full: bool
    ) -> list[ExecutionReport]:
        """Return the deals that the reply to our own order tells first: we were the aggressor."""
        instrument = self._instruments[ack.symbol.partition(":")[2]]
        reports = [
            msgspec.structs.replace(
                ack,
                ord_status=OrdStatus.PARTIALLY_FILLED,
                exec_type=ExecType.TRADE,
                exec_id=ExecId(str(deal.id)),
                last_qty=from_units(deal.size),
                last_px=from_units(deal.price),
                liquidity=Liquidity.REMOVED,
                **self._commission(deal.delta, instrument),
            )
            for deal in deals
            if not self._is_told(deal.id)
        ]
        if full and reports:
            reports[-1] = msgspec.structs.replace(reports[-1], ord_status=OrdStatus.FILLED)
        return reports

    def _rejected(self, order: NewOrder, text: str) -> ExecutionReport:
        return ExecutionReport(
            symbol=order.symbol,
            ord_status=OrdStatus.REJECTED,
            exec_type=ExecType.REJECTED,
            client_order_id=order.client_order_id,
            side=order.side,
            text=text,
            receive_time_ns=self._now_ns(),
        )

    def _on_mod(self, order: ReplaceOrder, reply: wire.Reply) -> list[Event | Notice]:
        if reply.error:
            self._chains.unchanged(int(order.venue_order_id or 0))
            return [self._declined(order, RequestKind.REPLACE, reply)]
        changed = parse(_mod, reply.reply, "reply to mod")
        self._chains.changed(
            changed.orig_id, changed.orig_remaining_size, changed.id, changed.initial_size
        )
        totals = self._chains.totals(changed.id, changed.remaining_size)
        ack = ExecutionReport(
            symbol=order.symbol,
            ord_status=OrdStatus.NEW,
            exec_type=ExecType.REPLACED,
            client_order_id=order.client_order_id,
            orig_client_order_id=order.orig_client_order_id,
            venue_order_id=VenueOrderId(str(changed.id)),
            side=order.side,
            order_qty=order.order_qty if totals is None else from_units(totals[0]),
            price=order.price,
            receive_time_ns=self._now_ns(),
        )
        full = not changed.remaining_size
        return [ack, *self._told_in_reply(ack, changed.deals, full=full)]

    def _on_del(self, order: CancelOrder, reply: wire.Reply) -> list[Event | Notice]:
        if reply.error:
            return [self._declined(order, RequestKind.CANCEL, reply)]
        gone = parse(_del, reply.reply, "reply to del")
        ours = self._numbers.is_placed(order.client_order_id)  # else its fills are asked for
        return [
            ExecutionReport(
                symbol=order.symbol,
                ord_status=OrdStatus.CANCELED if ours else OrdStatus.UNKNOWN,
                exec_type=ExecType.CANCELED if ours else ExecType.ORDER_STATUS,
                client_order_id=order.client_order_id,
                venue_order_id=VenueOrderId(str(gone.id)),
                receive_time_ns=self._now_ns(),
            )
        ]

    def _declined(
        self, order: CancelOrder | ReplaceOrder, kind: RequestKind, reply: wire.Reply
    ) -> OrderCancelReject:
        name = order.orig_client_order_id if isinstance(order, ReplaceOrder) else None
        return OrderCancelReject(
            symbol=order.symbol,
            client_order_id=name or order.client_order_id,
            venue_order_id=order.venue_order_id,
            response_to=kind,
            unknown_order=reply.error == ErrorCode.ORDER_NOT_FOUND,
            text=_explain(reply),
            receive_time_ns=self._now_ns(),
        )

    # --- requests ---------------------------------------------------------------------------

    def encode(self, request: NewOrder | ReplaceOrder | CancelOrder) -> bytes:
        """Return the message for `request`; its reply is known by its `reqId` from now on.

        Raises
        ------
        ValueError
            It cannot be said in the venue's words; it has not been sent then.
        """
        match request:
            case NewOrder():
                return self._request("add", self._add_content(request), request)
            case ReplaceOrder():
                return self._request("mod", self._mod_content(request), request)
            case CancelOrder():
                return self._request("del", self._del_content(request), request)

    def ask(self, method: str, content: Mapping[str, Any]) -> tuple[int, bytes]:
        """Return the `reqId` and the message of a question of our own."""
        frame = self._request(method, dict(content), None)
        return self._last_req_id, frame

    def unanswered(self) -> list[NewOrder | CancelOrder | ReplaceOrder]:
        """Return what was sent and has no reply yet."""
        return [each.request for each in self._asked.values() if each.request is not None]

    def _request(
        self,
        method: str,
        content: wire.Content,
        request: NewOrder | CancelOrder | ReplaceOrder | None,
    ) -> bytes:
        self._last_req_id += 1
        self._asked[self._last_req_id] = _Asked(method, request)
        message = wire.RequestMessage(req_id=self._last_req_id, method=method, content=content)
        return _encode(message)

    def _add_content(self, order: NewOrder) -> wire.AddContent:
        kind = TYPES[order.ord_type, order.time_in_force]
        number = self._numbers.place(order.client_order_id)
        self._chains.place(number)
        return wire.AddContent(
            instrument=order.symbol.partition(":")[2],
            client_order_id=number,
            price=None if order.price is None else to_units(order.price),
            size=to_units(order.order_qty),
            side="bid" if order.side is OurSide.BUY else "ask",
            type="postOnly" if order.post_only else kind,
            cod=self._cod and not order.keep,
        )

    def _mod_content(self, order: ReplaceOrder) -> dict[str, Any]:
        """Return what `mod` takes; its size is what is to work, without what has filled."""
        if order.venue_order_id is None or order.price is None:
            raise ValueError("a replace needs the venue's order id and a price")
        order_id = self._chains.now(int(order.venue_order_id))
        size = to_units(order.order_qty) - self._chains.filled(order_id)
        if size <= 0:
            raise ValueError("that much has filled already: nothing would be left of it")
        number = self._numbers.number(order.orig_client_order_id)
        self._numbers.call_also(order.client_order_id, number)
        self._chains.change(order_id)
        return {"orderId": order_id, "price": to_units(order.price), "size": size}

    def _del_content(self, order: CancelOrder) -> dict[str, Any]:
        if order.venue_order_id is not None:
            return {"orderId": self._chains.now(int(order.venue_order_id))}
        return {"clientOrderId": self._numbers.number(order.client_order_id)}


def encode_bind(feed: str, feed_id: str | None = None, *, event: str = "bind") -> bytes:
    """Return the message that binds (or unbinds) a feed."""
    return _encode(wire.Bind(event=event, feed=feed, feed_id=feed_id))


def _answer(method: str, reply: wire.Reply) -> Answered:
    assert reply.req_id is not None
    if reply.error:
        return Answered(reply.req_id, error=reply.error)
    return Answered(reply.req_id, parse(METHODS[method], reply.reply, f"reply to {method}"))


def _first(code: int | list[int]) -> int:
    """Return an error code, which some frames have inside an array."""
    if isinstance(code, int):
        return code
    return code[0] if code else 0


def _side(side: int) -> OurSide:
    return OurSide.SELL if side == wire.Side.ASK else OurSide.BUY


def _explain(reply: wire.Reply) -> str:
    """Return an error of the venue's as a person reads it."""
    assert reply.error is not None
    try:
        name = ErrorCode(reply.error).name.lower().replace("_", " ")
    except ValueError:
        name = "see the venue's list of errors"
    about = f", parameter {reply.param}" if reply.param else ""
    return f"finery error {reply.error} ({name}){about}"
