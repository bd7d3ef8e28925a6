"""BlinkTrade's frames as our events, and our requests as its messages. No I/O.

One `Codec` lives as long as one connection: it keeps the books and what the login told of fees.
"""

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, get_args

import msgspec

from botkit.errors import VenueProtocolError
from botkit.model import (
    Balance,
    CancelOrder,
    ClientOrderId,
    Event,
    ExecId,
    ExecType,
    ExecutionReport,
    FeedGap,
    Instrument,
    Liquidity,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    Side,
    TimeInForce,
    Trade,
    VenueOrderId,
)
from venues.blinktrade import outbound, wire
from venues.blinktrade.books import Books, BrokenBookError
from venues.blinktrade.wire import UNITS, from_units, parse, parse_time_ns, to_units

__all__ = [
    "Answered",
    "Beaten",
    "Bound",
    "Broken",
    "Codec",
    "Fees",
    "Notice",
    "Refusal",
    "SecurityStatus",
]

logger = logging.getLogger(__name__)
FEE_PARTS: Final = 10_000
BOOK_AND_TRADES: Final = ["0", "1", "2"]
SIDES: Final[Mapping[Side, str]] = {Side.BUY: "1", Side.SELL: "2"}
SIDES_TOLD: Final[Mapping[str, Side]] = {text: side for side, text in SIDES.items()}
ORD_TYPES: Final[Mapping[OrdType, str]] = {
    OrdType.MARKET: "1",
    OrdType.LIMIT: "2",
    OrdType.STOP: "3",
    OrdType.STOP_LIMIT: "4",
}
TIMES_IN_FORCE: Final[Mapping[TimeInForce, str]] = {
    TimeInForce.DAY: "0",
    TimeInForce.GTC: "1",
    TimeInForce.FOK: "4",
}
POST_ONLY: Final = "6"
TRADE: Final = "2"  # MDEntryType
LOCKED: Final = "_locked"
KINDS_COUNTED: Final = 1_000
CURRENCIES_KEPT: Final = 10_000
STATUSES: Final[Mapping[str, tuple[OrdStatus, ExecType]]] = {
    "0": (OrdStatus.NEW, ExecType.NEW),
    "1": (OrdStatus.PARTIALLY_FILLED, ExecType.TRADE),
    "2": (OrdStatus.FILLED, ExecType.TRADE),
    "4": (OrdStatus.CANCELED, ExecType.CANCELED),
    "8": (OrdStatus.REJECTED, ExecType.REJECTED),
    "A": (OrdStatus.PENDING_NEW, ExecType.PENDING_NEW),
}
"""What an order's status is to us, and why a report of it was sent."""
REASONS: Final[Mapping[str, str]] = {
    "3": "not enough balance, open orders block it, or below the minimum size"
}


class Notice(msgspec.Struct, frozen=True, gc=False):
    """What concerns the session and not the engine."""


class Beaten(Notice, frozen=True, gc=False):
    """A heartbeat was answered."""

    test_req_id: int | str | None


class Refusal(Notice, frozen=True, gc=False):
    """ERROR: the venue closes the connection, and does not say what it was about."""

    description: str
    detail: str


class Bound(Notice, frozen=True, gc=False):
    """A book's snapshot has come."""

    name: str


class Broken(Notice, frozen=True, gc=False):
    """A book has to be fetched anew."""

    name: str
    req_id: wire.Tag
    reason: str


class SecurityStatus(Notice, frozen=True, gc=False):
    """A ticker."""

    ticker: wire.Ticker


class Answered(Notice, frozen=True, gc=False):
    """The reply to a question of the session's own."""

    req_id: wire.Tag
    reply: wire.Reply


class Fees(msgspec.Struct, frozen=True, gc=False):
    """Fees in 1/10000 of what is received, by side and liquidity; None where none was told."""

    rates: Mapping[tuple[Side, Liquidity], int | None]

    @classmethod
    def told_by(cls, login: wire.LoginReply) -> "Fees":
        """Return the account's own fees, the broker's where it has none."""
        own: Any = login
        broker: Any = login.broker or wire.BrokerFees()

        def first(*names: str) -> int | None:
            told = [getattr(source, name) for source in (own, broker) for name in names]
            return next((each for each in told if each is not None), None)

        rates: dict[tuple[Side, Liquidity], int | None] = {}
        for side, word in ((Side.BUY, "buy"), (Side.SELL, "sell")):
            maker, taker = f"transaction_fee_{word}", f"taker_transaction_fee_{word}"
            rates[side, Liquidity.ADDED] = first(maker)
            rates[side, Liquidity.REMOVED] = first(taker, maker)
        return cls(rates)

    def of(self, side: Side, liquidity: Liquidity, shares: int, price: int) -> Decimal | None:
        """Return the fee on what a fill brought in, rounded towards 0 to the venue's unit.

        All in units: a buy brings `shares` of base, a sell `shares` times `price` of quote.
        """
        rate = self.rates.get((side, liquidity))
        if rate is None:
            return None
        numerator, denominator = shares * rate, FEE_PARTS
        if side is Side.SELL:
            numerator, denominator = numerator * price, denominator * UNITS
        fee = abs(numerator) // denominator
        return from_units(fee if numerator >= 0 else -fee)


_inbound = msgspec.json.Decoder(wire.Inbound).decode
_head = msgspec.json.Decoder(wire.Head).decode
_fields = msgspec.json.Decoder(dict[str, Any]).decode
KINDS: Final = frozenset(kind.__struct_config__.tag for kind in get_args(wire.Inbound))


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
    broker_id
        Whose balances are ours, and where orders go.
    tells_fees
        Whether commissions are worked out of the rates that the login told.
    """

    def __init__(
        self,
        venue: str,
        instruments: Mapping[str, Instrument],
        now_ns: Callable[[], int],
        *,
        broker_id: int,
        tells_fees: bool = True,
        crossed_for_ns: int = 5_000_000_000,
    ) -> None:
        self._venue = venue
        self._instruments = instruments
        self._now_ns = now_ns
        self._broker_id = broker_id
        self._tells_fees = tells_fees
        self._books = Books(instruments, crossed_for_ns)
        self._fees = Fees({})
        self._user_id: wire.Tag = None
        self._held: dict[str, int] = {}  # units by currency, and by CURRENCY_locked
        self._last_id = 0
        self.unknown: dict[str, int] = {}  # how often messages came that we have no use for
        self._handlers: Mapping[type, Callable[[Any, bytes], list[Event | Notice]]] = {
            wire.MdIncremental: self._on_change,
            wire.MdSnapshot: self._on_snapshot,
            wire.Execution: self._on_execution,
            wire.BalanceHead: self._on_balances,
            wire.CancelRejected: self._on_cancel_rejected,
            wire.LoginReply: self._on_login,
        }

    # --- frames -----------------------------------------------------------------------------

    def decode(self, frame: bytes) -> list[Event | Notice]:
        """Return what `frame` says; nothing for what carries nothing for us.

        Raises
        ------
        VenueProtocolError
            It cannot be read.
        """
        try:
            message = _inbound(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._unread(frame)
        handler = self._handlers.get(message.__class__)
        return self._on_other(message) if handler is None else handler(message, frame)

    def _unread(self, frame: bytes) -> list[Event | Notice]:
        """Count a message of a kind we do not know; raise for one that we should have read."""
        kind = parse(_head, frame, "message").msg_type
        if kind in KINDS:
            parse(_inbound, frame, f"message {kind}")
        return self._left_out(f"message {kind}")

    def _left_out(self, what: str) -> list[Event | Notice]:
        what = wire.cut(what)
        if what not in self.unknown:
            if len(self.unknown) >= KINDS_COUNTED:
                what = "further kinds"
            logger.info("%s: no use for %s", self._venue, what)
        self.unknown[what] = self.unknown.get(what, 0) + 1
        return []

    def _on_other(self, message: wire.Message) -> list[Event | Notice]:
        match message:
            case wire.Heartbeat():
                return [Beaten(message.test_req_id)]
            case wire.Failure():
                return [Refusal(message.description or "", message.detail or "")]
            case wire.Ticker():
                return [SecurityStatus(message)]
            case wire.Reply():
                return [Answered(message.req_id, message)]
            case _:
                return []  # copies of e-mails

    def _on_login(self, login: wire.LoginReply, _: bytes) -> list[Event | Notice]:
        if login.user_status == 1:
            self._fees = Fees.told_by(login)
            self._user_id = login.user_id
        return [Answered(login.req_id, login)]

    # --- books ------------------------------------------------------------------------------

    def _on_snapshot(self, message: wire.MdSnapshot, _: bytes) -> list[Event | Notice]:
        name = self._books.name_of(message.md_req_id)
        if name is None or message.symbol != name:
            return self._left_out("snapshot of a book that is not wanted")
        now_ns = self._now_ns()
        snapshot = self._books.snapshot(message.md_req_id, message.md_full_grp, now_ns)
        return [snapshot, Bound(name)]

    def _on_change(self, message: wire.MdIncremental, _: bytes) -> list[Event | Notice]:
        req_id, entries = message.md_req_id, message.md_inc_grp
        name = self._books.name_of(req_id)
        if name is None:
            return self._left_out("change of a book that is not wanted")
        now_ns = self._now_ns()
        try:
            delta = self._books.change(req_id, entries, now_ns)
        except BrokenBookError as broken:
            self._books.forget(req_id)
            reason = f"the book of {name} is broken: {broken}"
            symbol = self._instruments[name].symbol
            gap = FeedGap(self._venue, reason=reason, symbol=symbol, receive_time_ns=now_ns)
            return [gap, Broken(name, req_id, reason)]
        events: list[Event | Notice] = [] if delta is None else [delta]
        trades = [entry for entry in entries if entry.md_entry_type == TRADE]
        events.extend(self._trade(name, entry, now_ns) for entry in trades)
        return events

    def _trade(self, name: str, entry: wire.MdEntry, now_ns: int) -> Trade:
        side = SIDES_TOLD.get(entry.side)
        return Trade(
            self._instruments[name].symbol,
            price=entry.md_entry_px / UNITS,
            qty=entry.md_entry_size / UNITS,
            aggressor="" if side is None else side.value,
            trade_id="" if entry.trade_id is None else str(entry.trade_id),
            exchange_time_ns=parse_time_ns(entry.md_entry_date, entry.md_entry_time),
            receive_time_ns=now_ns,
        )

    # --- money ------------------------------------------------------------------------------

    def _on_balances(self, head: wire.BalanceHead, frame: bytes) -> list[Event | Notice]:
        """Take what a message tells of balances: all of them, or only what changed."""
        if not (head.client_id is None or self._user_id is None) and (
            str(head.client_id) != str(self._user_id)
        ):
            return self._left_out("balances of another client")
        told = parse(_fields, frame, "balances").get(str(self._broker_id), {})
        try:
            amounts = msgspec.convert(told, dict[str, wire.Signed])
        except msgspec.ValidationError as exc:
            raise VenueProtocolError(f"blinktrade: cannot read balances: {exc}") from exc
        if len(self._held) + len(amounts) > CURRENCIES_KEPT:
            return self._left_out("balances of so many currencies")
        self._held.update(amounts)
        events: list[Event | Notice] = [
            self._balance(currency)
            for currency in dict.fromkeys(name.removesuffix(LOCKED) for name in amounts)
            if currency in self._held
        ]
        if head.req_id is not None:
            events.append(Answered(head.req_id, head))
        return events

    def _balance(self, currency: str) -> Balance:
        total = from_units(self._held[currency])
        return Balance(
            venue=self._venue,
            currency=currency,
            total=total,
            available=total - from_units(self._held.get(f"{currency}{LOCKED}", 0)),
            receive_time_ns=self._now_ns(),
        )

    # --- orders -----------------------------------------------------------------------------

    def _on_execution(self, message: wire.Execution, _: bytes) -> list[Event | Notice]:
        report = self.execution_report(message)
        return self._left_out(f"report of {message.symbol}") if report is None else [report]

    def execution_report(self, message: wire.Execution) -> ExecutionReport | None:
        """Return what an execution report says; None of a symbol that the venue did not list."""
        instrument = self._instruments.get(message.symbol)
        if instrument is None:
            return None
        status, exec_type = self._status(message.ord_status)
        side = SIDES_TOLD.get(message.side)
        trades = exec_type is ExecType.TRADE and bool(message.last_shares)
        return ExecutionReport(
            symbol=instrument.symbol,
            ord_status=status,
            exec_type=exec_type,
            client_order_id=_name(message.cl_ord_id),
            venue_order_id=_venue_id(message.order_id),
            exec_id=None if message.exec_id is None else ExecId(str(message.exec_id)),
            side=side,
            order_qty=_known(message.order_qty),
            price=_known(message.price or None),
            cum_qty=_known(message.cum_qty),
            leaves_qty=_known(message.leaves_qty),
            avg_px=_mean(message.avg_px),
            **(self._fill(message, side, instrument) if trades else {}),
            text=_reason(message),
            receive_time_ns=self._now_ns(),
        )

    def _status(self, told: str) -> tuple[OrdStatus, ExecType]:
        known = STATUSES.get(told)
        if known is None:
            self._left_out(f"OrdStatus {told!r}")
            return OrdStatus.UNKNOWN, ExecType.ORDER_STATUS  # so that the order is asked for
        return known

    def _fill(
        self, message: wire.Execution, side: Side | None, instrument: Instrument
    ) -> dict[str, Any]:
        shares, price = message.last_shares or 0, message.last_px or 0
        told: dict[str, Any] = {"last_qty": from_units(shares), "last_px": from_units(price)}
        if side is None or message.exec_side not in SIDES_TOLD:
            return told
        liquidity = Liquidity.REMOVED if message.exec_side == message.side else Liquidity.ADDED
        told["liquidity"] = liquidity
        fee = self._fees.of(side, liquidity, shares, price)
        if self._tells_fees and fee is not None:
            told["commission"] = fee
            told["commission_currency"] = instrument.base if side is Side.BUY else instrument.quote
        return told

    def row_report(self, row: wire.OrderRow) -> ExecutionReport | None:
        """Return where a row of the order list says that an order stands."""
        instrument = self._instruments.get(row.symbol)
        if instrument is None:
            self._left_out(f"order in {row.symbol}")
            return None
        status, _ = self._status(row.ord_status)
        return ExecutionReport(
            symbol=instrument.symbol,
            ord_status=status,
            exec_type=ExecType.ORDER_STATUS,
            client_order_id=_name(row.cl_ord_id),
            venue_order_id=_venue_id(row.order_id),
            side=SIDES_TOLD.get(row.side),
            order_qty=from_units(row.order_qty),
            price=_known(row.price or None),
            cum_qty=from_units(row.cum_qty),
            leaves_qty=_known(row.leaves_qty),
            avg_px=_mean(row.avg_px),
            transact_time_ns=parse_time_ns(row.order_date),
            receive_time_ns=self._now_ns(),
        )

    def _on_cancel_rejected(self, message: wire.CancelRejected, _: bytes) -> list[Event | Notice]:
        instrument = self._instruments.get(message.symbol or "")
        name = message.orig_cl_ord_id or message.cl_ord_id
        if instrument is None and len(self._instruments) == 1:
            instrument = next(iter(self._instruments.values()))
        if instrument is None:
            return self._left_out("cancel reject without a symbol")
        status = STATUSES.get(message.ord_status or "")
        return [
            OrderCancelReject(
                symbol=instrument.symbol,
                client_order_id=_name(name),
                venue_order_id=_venue_id(message.order_id),
                ord_status=None if status is None else status[0],
                unknown_order=status is None,
                text=message.text or f"reason {message.cxl_rej_reason}",
                receive_time_ns=self._now_ns(),
            )
        ]

    # --- requests ---------------------------------------------------------------------------

    def next_id(self) -> int:
        """Return an id that no request of this connection has had."""
        self._last_id += 1
        return self._last_id

    def subscribe(self, name: str) -> tuple[int, bytes]:
        """Return the id and the message that ask for a book; its frames are read from now on."""
        req_id = self.next_id()
        self._books.expect(name, req_id)
        message = outbound.MarketDataRequest(
            md_req_id=req_id,
            subscription_request_type="1",
            market_depth=0,
            md_update_type="1",
            md_entry_types=BOOK_AND_TRADES,
            instruments=[name],
        )
        return req_id, wire.encode(message)

    def encode(self, request: NewOrder | CancelOrder) -> bytes:
        """Return the message for `request`.

        Raises
        ------
        ValueError
            It cannot be said in the venue's words; it has not been sent then.
        """
        return wire.encode(order_message(request, self._broker_id))


def order_message(request: NewOrder | CancelOrder, broker_id: int) -> outbound.Request:
    """Return D or F, for the socket or the REST bridge; raise `ValueError` if there is no such."""
    if isinstance(request, CancelOrder):
        if request.venue_order_id is not None and request.venue_order_id.isdecimal():
            return outbound.Cancel(order_id=int(request.venue_order_id))
        return outbound.Cancel(cl_ord_id=request.client_order_id)
    if request.time_in_force not in TIMES_IN_FORCE:
        allowed = ", ".join(TIMES_IN_FORCE)
        raise ValueError(f"time in force {request.time_in_force}: the venue has {allowed}")
    return outbound.NewOrderMessage(
        cl_ord_id=request.client_order_id,
        symbol=request.symbol.partition(":")[2],
        side=SIDES[request.side],
        ord_type=ORD_TYPES[request.ord_type],
        price=None if request.price is None else to_units(request.price),
        stop_px=None if request.stop_px is None else to_units(request.stop_px),
        order_qty=to_units(request.order_qty),
        broker_id=broker_id,
        time_in_force=TIMES_IN_FORCE[request.time_in_force],
        exec_inst=POST_ONLY if request.post_only else None,
    )


def _name(told: int | str | None) -> ClientOrderId | None:
    """Return a client order id, which some answers have as a number."""
    return None if told in (None, "") else ClientOrderId(str(told))


def _venue_id(told: wire.Tag) -> VenueOrderId | None:
    return None if told is None else VenueOrderId(str(told))


def _known(units: int | None) -> Decimal | None:
    return None if units is None else from_units(units)


def _mean(told: float | None) -> Decimal | None:
    return Decimal(str(told)).scaleb(-8) if told else None


def _reason(message: wire.Execution) -> str:
    if message.ord_rej_reason is None:
        return message.text or ""
    code = str(message.ord_rej_reason)
    return message.text or REASONS.get(code, f"reason {code}")
