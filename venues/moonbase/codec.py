"""Moonbase's frames as our events, and our requests as its messages. No I/O.

One `Codec` lives as long as one connection: it keeps the books, which channel is joined under
which `ref`, and what was asked under which.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import attrs
import msgspec

from botkit.model import (
    Balance,
    CancelOrder,
    Event,
    ExecType,
    ExecutionReport,
    Instrument,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    RequestKind,
    Trade,
)
from botkit.model import Side as OurSide
from venues.moonbase import wire
from venues.moonbase.books import Books
from venues.moonbase.orders import Orders
from venues.moonbase.wire import checked, encode, parse, time_ns

__all__ = [
    "Answered",
    "ChannelLost",
    "Codec",
    "Failure",
    "JoinFailed",
    "Joined",
    "Notice",
    "RateLimited",
    "Told",
    "balance_event",
    "cancel_reject",
    "read_failure",
    "split",
]

RATE_LIMITED: Final = "rate_limit_exceeded"
UNAUTHORIZED: Final = "unauthorized"
UNMATCHED: Final = "unmatched topic"
LONGEST_WAIT_S: Final = 3_600.0
UNTOLD_WAIT_S: Final = 30.0  # the page's example, where the venue does not say how long
SHOWN: Final = 200
KINDS_COUNTED: Final = 100
WITH_LIMIT: Final = frozenset({OrdType.LIMIT, OrdType.STOP_LIMIT})
STOPS: Final = frozenset({OrdType.STOP, OrdType.STOP_LIMIT})


class Notice(msgspec.Struct, frozen=True, gc=False):
    """What concerns the session and not the engine."""


class Failure(msgspec.Struct, frozen=True, gc=False):
    """What an error says; `retry_after_s` is 0 unless it is about the rate."""

    text: str
    kind: str = ""
    retry_after_s: float = 0.0

    @property
    def is_rate(self) -> bool:
        """Whether there were too many requests or joins."""
        return self.kind == RATE_LIMITED

    @property
    def is_no_answer(self) -> bool:
        """Whether it says nothing of what was asked about: rate, key, nonce, or no words at all."""
        return self.is_rate or self.kind in ("", UNAUTHORIZED)

    @property
    def is_unmatched(self) -> bool:
        """Whether the topic was spelt otherwise than the venue does."""
        return self.kind == UNMATCHED


class Joined(Notice, frozen=True, gc=False):
    """A channel is joined; `value` is its snapshot where that is nobody's event."""

    topic: str
    value: Any = None


class JoinFailed(Notice, frozen=True, gc=False):
    """A channel was not joined."""

    topic: str
    failure: Failure


class ChannelLost(Notice, frozen=True, gc=False):
    """A channel that was joined is no longer."""

    topic: str
    reason: str


class Answered(Notice, frozen=True, gc=False):
    """The reply to a question of the session's own."""

    ref: str
    value: Any = None
    failure: Failure | None = None


class RateLimited(Notice, frozen=True, gc=False):
    """The venue wants to be left alone; `topic` "" if it did not say what this is about."""

    topic: str
    failure: Failure


class Told(Notice, frozen=True, gc=False):
    """A push that is nobody's event: tickers, candles, positions, deposits, withdrawals."""

    topic: str
    value: Any


S = TypeVar("S", bound=msgspec.Struct)
Reader = Callable[[bytes | msgspec.Raw], Any]

_frame = msgspec.json.Decoder(wire.Frame).decode
_reply = msgspec.json.Decoder(wire.Reply).decode
_trouble = msgspec.json.Decoder(wire.Trouble).decode
_details = msgspec.json.Decoder(wire.Details).decode
_levels = msgspec.json.Decoder(list[wire.Level]).decode
_book_push = msgspec.json.Decoder(wire.BookPush).decode
_data = msgspec.json.Decoder(wire.Data).decode
_order = msgspec.json.Decoder(wire.OrderRow).decode
_orders = msgspec.json.Decoder(list[wire.OrderRow]).decode
_trades = msgspec.json.Decoder(list[wire.TradeRow]).decode


def _row_of(decode: Callable[[Any], S]) -> Reader:
    return lambda raw: checked(decode(raw))


def _rows_of(decode: Callable[[Any], list[S]]) -> Reader:
    return lambda raw: [checked(row) for row in decode(raw)]


_balances = _rows_of(msgspec.json.Decoder(list[wire.BalanceRow]).decode)
_positions = _rows_of(msgspec.json.Decoder(list[wire.PositionRow]).decode)
SNAPSHOTS: Final[Mapping[str, Reader]] = {
    "orderbooks": _levels,
    "trades": _trades,
    "orders": _orders,
    "balances": _balances,
    "tickers": _rows_of(msgspec.json.Decoder(list[wire.TickerRow]).decode),
    "candles": msgspec.json.Decoder(wire.CandleSnapshot).decode,
    "positions": _positions,
    "deposits": _rows_of(msgspec.json.Decoder(list[wire.DepositRow]).decode),
    "withdrawals": _rows_of(msgspec.json.Decoder(list[wire.WithdrawalRow]).decode),
}
"""By kind of channel: how the reply to a join is read."""
PUSHES: Final[Mapping[str, Reader]] = {
    "tickers": SNAPSHOTS["tickers"],
    "candles": msgspec.json.Decoder(list[wire.Candle]).decode,
    "positions": _positions,
}
"""By kind of channel: how the `data` of an `upsert` is read that is nobody's event."""
ANSWERS: Final[Mapping[tuple[str, str], Reader]] = {
    ("candles", "get_snapshot"): SNAPSHOTS["candles"],
    ("positions", "assign"): lambda raw: _positions(_data(raw).data),
    ("deposits", "get_deposit_address"): msgspec.json.Decoder(wire.DepositAddress).decode,
    ("withdrawals", "create_withdrawal"): _row_of(msgspec.json.Decoder(wire.WithdrawalRow).decode),
}
"""By kind of channel and event: how the replies to questions are read."""


@attrs.frozen
class _Asked:
    """What a `ref` stands for."""

    topic: str
    event: str
    request: NewOrder | CancelOrder | None = None


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
    taker_signs
        Whether the sign of a public trade is its taker's side.

    Attributes
    ----------
    unknown
        How often frames came that we have no use for, by what they were.
    """

    def __init__(
        self,
        venue: str,
        instruments: Mapping[str, Instrument],
        orders: Orders,
        now_ns: Callable[[], int],
        *,
        taker_signs: bool = True,
    ) -> None:
        self._venue = venue
        self._instruments = instruments
        self._orders = orders
        self._now_ns = now_ns
        self._taker_signs = taker_signs
        self._books = Books(instruments, now_ns)
        self._asked: dict[str, _Asked] = {}
        self._joins: dict[str, str] = {}  # by topic: the ref of its join
        self._last_ref = 0
        self.unknown: dict[str, int] = {}
        self._pushes: Mapping[
            tuple[str, str], Callable[[str, msgspec.Raw], Iterable[Event | Notice]]
        ] = {
            ("orderbooks", "upsert"): self._on_book,
            ("trades", "insert"): self._on_trades,
            ("orders", "upsert"): self._on_orders,
            ("balances", "upsert"): self._on_balances,
            **{(kind, "upsert"): partial(self._on_told, kind) for kind in PUSHES},
        }
        self._routes: dict[tuple[str, str], Callable[[msgspec.Raw], Iterable[Event | Notice]]] = {}

    # --- frames -----------------------------------------------------------------------------

    def decode(self, frame: bytes) -> Iterable[Event | Notice]:
        """Return what `frame` says; nothing for what carries nothing for us.

        Raises
        ------
        VenueProtocolError
            It cannot be read.
        """
        message = parse(_frame, frame, "frame")
        if message.event == "phx_reply":
            return self._on_reply(message)
        key = (message.topic, message.event)
        route = self._routes.get(key)
        if route is None:
            route = self._route(message)
            if route is None:
                return self._on_other(message)
            self._routes[key] = route
        return route(message.payload)

    def _route(
        self, message: wire.Frame
    ) -> Callable[[msgspec.Raw], Iterable[Event | Notice]] | None:
        """Return what reads the pushes of one event on one topic; None if they are none."""
        kind, name = split(message.topic)
        handler = self._pushes.get((kind, message.event))
        if handler is None or (name and name not in self._instruments):
            return None
        if kind in ("orderbooks", "trades", "orders") and not name:
            return None
        return partial(handler, name)

    def _on_other(self, message: wire.Frame) -> list[Event | Notice]:
        topic = message.topic.rstrip("/")
        if message.event in ("phx_error", "phx_close"):
            return self._on_channel_end(topic, message)
        if not message.event and message.status == "error":
            trouble = wire.Trouble(message.status, "", message.type, message.details)
            failure = _failure(trouble)
            if failure.is_rate:
                return [RateLimited("", failure)]
        return self._left_out(f"{split(topic)[0] or 'no topic'} {message.event}".strip())

    def _on_channel_end(self, topic: str, message: wire.Frame) -> list[Event | Notice]:
        join = self._joins.get(topic)
        named = message.join_ref if message.join_ref is not None else message.ref
        if join is None or (named is not None and str(named) != join):
            return self._left_out(f"{message.event} of an earlier join")
        del self._joins[topic]
        kind, name = split(topic)
        if kind == "orderbooks":
            self._books.drop(name)
        died = message.event == "phx_error"
        return [ChannelLost(topic, "its process died" if died else "the venue closed it")]

    def _left_out(self, what: str) -> list[Event | Notice]:
        if len(self.unknown) < KINDS_COUNTED or what in self.unknown:
            self.unknown[what] = self.unknown.get(what, 0) + 1
        return []

    # --- pushes -----------------------------------------------------------------------------

    def _on_book(self, name: str, payload: msgspec.Raw) -> list[Event | Notice]:
        return [self._books.change(name, parse(_book_push, payload, "book change").data)]

    def _on_trades(self, name: str, payload: msgspec.Raw) -> list[Event | Notice]:
        symbol, now_ns = self._instruments[name].symbol, self._now_ns()
        return [
            Trade(
                symbol,
                row.price,
                abs(row.amount),
                _aggressor(row.amount) if self._taker_signs else "",
                str(row.id),
                exchange_time_ns=time_ns(row.timestamp),
                receive_time_ns=now_ns,
            )
            for row in parse(_trades, _unwrap(payload), "trades")
        ]

    def _on_orders(self, name: str, payload: msgspec.Raw) -> list[Event | Notice]:
        return self._reports(parse(_orders, _unwrap(payload), "orders"))

    def _reports(
        self, rows: list[wire.OrderRow], exec_type: ExecType | None = None
    ) -> list[Event | Notice]:
        report, instruments, now_ns = self._orders.report, self._instruments, self._now_ns()
        known = (row for row in rows if self._trades(row.symbol))
        return [report(row, instruments[row.symbol], now_ns, exec_type) for row in known]

    def _trades(self, name: str) -> bool:
        if name in self._instruments:
            return True
        self._left_out("order in an instrument that is not listed")
        return False

    def _on_balances(self, _: str, payload: msgspec.Raw) -> list[Event | Notice]:
        rows = parse(_balances, _unwrap(payload), "balances")
        return [balance_event(row, self._venue, self._now_ns()) for row in rows]

    def _on_told(self, kind: str, name: str, payload: msgspec.Raw) -> list[Event | Notice]:
        topic = f"/{kind}/{name}" if name else f"/{kind}"
        return [Told(topic, parse(PUSHES[kind], _unwrap(payload), kind))]

    # --- replies ----------------------------------------------------------------------------

    def _on_reply(self, message: wire.Frame) -> Iterable[Event | Notice]:
        asked = None if message.ref is None else self._asked.pop(str(message.ref), None)
        if asked is None:
            return self._left_out("reply to nothing asked")
        reply = parse(_reply, message.payload, "reply")
        failure = None if reply.status == "ok" else _failure_in(reply)
        match asked.request:
            case NewOrder() as order:
                return self._on_place(order, reply, failure)
            case CancelOrder() as cancel:
                return self._on_cancel(cancel, reply, failure)
            case None if asked.event == "phx_join":
                return self._on_join(asked.topic.rstrip("/"), reply, failure)
            case None:
                return [_answer(str(message.ref), asked, reply, failure)]

    def _on_join(
        self, topic: str, reply: wire.Reply, failure: Failure | None
    ) -> list[Event | Notice]:
        if failure is not None:
            self._joins.pop(topic, None)
            return [JoinFailed(topic, failure)]
        kind, name = split(topic)
        value = parse(SNAPSHOTS[kind], reply.response, f"snapshot of {kind}")
        match kind:
            case "orderbooks":
                return [self._books.snapshot(name, value), Joined(topic)]
            case "orders":
                return [*self._reports(value, ExecType.ORDER_STATUS), Joined(topic)]
            case "balances":
                now_ns = self._now_ns()
                told = [balance_event(row, self._venue, now_ns) for row in value]
                return [*told, Joined(topic)]
            case _:
                return [Joined(topic, value)]

    def _on_place(
        self, order: NewOrder, reply: wire.Reply, failure: Failure | None
    ) -> list[Event | Notice]:
        if failure is not None:
            rejected = ExecutionReport(
                symbol=order.symbol,
                ord_status=OrdStatus.REJECTED,
                exec_type=ExecType.REJECTED,
                client_order_id=order.client_order_id,
                side=order.side,
                order_qty=order.order_qty,
                price=order.price,
                text=failure.text,
                receive_time_ns=self._now_ns(),
            )
            return [rejected, *_rate_notice(f"/orders/{_name(order.symbol)}", failure)]
        row = parse(_order, reply.response, "reply to place")
        self._orders.name(row.id, order.client_order_id)
        if self._orders.external_ids and row.external_id == order.client_order_id:
            self._orders.echoes = True
        instrument = self._instruments[_name(order.symbol)]
        return [self._orders.report(row, instrument, self._now_ns())]

    def _on_cancel(
        self, cancel: CancelOrder, reply: wire.Reply, failure: Failure | None
    ) -> list[Event | Notice]:
        if failure is None:
            row = parse(_order, reply.response, "reply to cancel")
            self._orders.name(row.id, cancel.client_order_id)
            instrument = self._instruments[_name(cancel.symbol)]
            return [self._orders.report(row, instrument, self._now_ns())]
        reject = cancel_reject(cancel, failure, self._now_ns())
        return [reject, *_rate_notice(f"/orders/{_name(cancel.symbol)}", failure)]

    # --- requests ---------------------------------------------------------------------------

    def join(self, topic: str, payload: Mapping[str, Any] | wire.CandleRequest) -> bytes:
        """Return the message that joins a channel, spelt as the venue does it."""
        ref = self._next_ref()
        plain = topic.rstrip("/")
        self._asked[ref] = _Asked(topic, "phx_join")
        self._joins[plain] = ref
        return encode(wire.Push(ref, ref, topic, "phx_join", payload))

    def ask(
        self, topic: str, event: str, payload: Mapping[str, Any] | wire.CandleRequest
    ) -> tuple[str, bytes]:
        """Return the `ref` and the message of a question of the session's own."""
        ref = self._next_ref()
        self._asked[ref] = _Asked(topic, event)
        join_ref = self._joins.get(topic.rstrip("/"))
        return ref, encode(wire.Push(ref, join_ref, topic, event, payload))

    def encode(self, request: NewOrder | CancelOrder) -> bytes:
        """Return the message for `request`; its reply is known by its `ref` from now on.

        Raises
        ------
        ValueError
            It cannot be said in the venue's words; it has not been sent then.
        """
        event, payload = (
            ("place", self._place(request))
            if isinstance(request, NewOrder)
            else ("cancel", self._cancel(request))
        )
        topic = f"/orders/{_name(request.symbol)}"
        ref = self._next_ref()
        self._asked[ref] = _Asked(topic, event, request)
        return encode(wire.Push(ref, self._joins.get(topic), topic, event, payload))

    def give_up(self, topic: str | None = None) -> list[NewOrder | CancelOrder]:
        """Return what was sent on a channel (None: any) and has no reply; wait for none more."""
        lost = {ref: each for ref, each in self._asked.items() if topic in (None, each.topic)}
        for ref in lost:
            del self._asked[ref]
        return [each.request for each in lost.values() if each.request is not None]

    def _next_ref(self) -> str:
        self._last_ref += 1
        return str(self._last_ref)

    def _place(self, order: NewOrder) -> wire.Place:
        if order.post_only:
            raise ValueError("the venue has no post-only orders")
        if order.ord_type in WITH_LIMIT and order.price is None:
            raise ValueError(f"a {order.ord_type} order needs a price")
        return wire.Place(
            requested_amount=order.order_qty * order.side.sign,
            limit_price=order.price if order.ord_type in WITH_LIMIT else None,
            trigger_price=order.stop_px if order.ord_type in STOPS else None,
            external_id=order.client_order_id if self._orders.external_ids else None,
        )

    def _cancel(self, cancel: CancelOrder) -> dict[str, int]:
        order_id = self._orders.order_id(cancel.client_order_id, cancel.venue_order_id)
        if order_id is None:
            raise ValueError("the venue has not told its id of this order")
        return {"id": order_id}


def _answer(ref: str, asked: _Asked, reply: wire.Reply, failure: Failure | None) -> Answered:
    read = ANSWERS.get((split(asked.topic)[0], asked.event))
    if failure is not None or read is None:
        return Answered(ref, failure=failure)
    return Answered(ref, parse(read, reply.response, f"reply to {asked.event}"))


def split(topic: str) -> tuple[str, str]:
    """Return a topic's kind and what it is of; "" for nothing."""
    kind, _, name = topic.strip("/").partition("/")
    return kind, name


def balance_event(row: wire.BalanceRow, venue: str, now_ns: int) -> Balance:
    """Return what is held of an asset: free, in orders, and on its way out."""
    return Balance(
        venue=venue,
        currency=row.asset,
        total=row.available_amount + row.placed_amount + row.withdrawn_amount,
        available=row.available_amount,
        receive_time_ns=now_ns,
    )


def cancel_reject(cancel: CancelOrder, failure: Failure, now_ns: int) -> OrderCancelReject:
    """Return the word that a cancel was declined."""
    return OrderCancelReject(
        symbol=cancel.symbol,
        client_order_id=cancel.client_order_id,
        venue_order_id=cancel.venue_order_id,
        response_to=RequestKind.CANCEL,
        unknown_order="not_found" in failure.kind,
        text=failure.text,
        receive_time_ns=now_ns,
    )


def _failure_in(reply: wire.Reply) -> Failure:
    """Return what an error says: its `type` and `details` are in the payload or the response."""
    if reply.type:
        return _failure(wire.Trouble(reply.status, "", reply.type, reply.details))
    return read_failure(reply.response)


def read_failure(raw: bytes | msgspec.Raw) -> Failure:
    """Return the error in a response, or the whole of what cannot be read as one."""
    try:
        return _failure(_trouble(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Failure(f"moonbase: {_shown(raw)}")


def _failure(trouble: wire.Trouble) -> Failure:
    kind = trouble.type or trouble.reason
    said = _shown(trouble.details)
    text = f"moonbase: {kind or 'error'}" + (f" {said}" if said != "null" else "")
    try:
        retry_after = _details(trouble.details).retry_after or 0.0
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        retry_after = 0.0
    if kind == RATE_LIMITED and retry_after <= 0:
        retry_after = UNTOLD_WAIT_S
    return Failure(text, kind, min(max(0.0, retry_after), LONGEST_WAIT_S))


def _shown(raw: bytes | msgspec.Raw) -> str:
    return bytes(raw)[:SHOWN].decode("utf-8", "replace")


def _rate_notice(topic: str, failure: Failure) -> list[Notice]:
    return [RateLimited(topic, failure)] if failure.is_rate else []


def _unwrap(payload: msgspec.Raw) -> msgspec.Raw:
    return parse(_data, payload, "push").data


def _aggressor(amount: float) -> str:
    return OurSide.BUY.value if amount > 0 else OurSide.SELL.value


def _name(symbol: str) -> str:
    return symbol.partition(":")[2]
