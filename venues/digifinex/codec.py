"""DigiFinex's frames as our events, and our requests as its calls. No I/O.

One `Codec` lives as long as one connection: it knows which books are whole, and which trades have
been told.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from botkit.errors import VenueProtocolError
from botkit.model import (
    Balance,
    ClientOrderId,
    Event,
    ExecType,
    ExecutionReport,
    Instrument,
    NewOrder,
    OrdStatus,
    OrdType,
    Side,
    Trade,
    VenueOrderId,
)
from botkit.transport import inflate
from venues.digifinex import wire
from venues.digifinex.books import Books
from venues.digifinex.fees import total_id
from venues.digifinex.wire import OrderStatus, exact, parse

__all__ = [
    "AlgoOrders",
    "Codec",
    "Notice",
    "Replied",
    "Tickers",
    "WholeBook",
    "cancel_parameters",
    "encode_call",
    "order_parameters",
    "plain",
]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
US_PER_S: Final = 1_000_000
NS_PER_US: Final = 1_000
SIZE_MAX: Final = 16 * 2**20
TRADES_REMEMBERED: Final = 2_000
SPOT: Final = 1
ZERO: Final = Decimal(0)
STATUSES: Final[Mapping[int, tuple[OrdStatus, ExecType]]] = {
    OrderStatus.UNFILLED: (OrdStatus.NEW, ExecType.NEW),
    OrderStatus.PARTIALLY_FILLED: (OrdStatus.PARTIALLY_FILLED, ExecType.TRADE),
    OrderStatus.FILLED: (OrdStatus.FILLED, ExecType.TRADE),
    OrderStatus.CANCELED: (OrdStatus.CANCELED, ExecType.CANCELED),
    OrderStatus.CANCELED_PARTIALLY_FILLED: (OrdStatus.CANCELED, ExecType.CANCELED),
}
UNHEARD_OF: Final = (OrdStatus.UNKNOWN, ExecType.ORDER_STATUS)  # a status of which nobody told us
AGGRESSORS: Final = {"buy": "BUY", "sell": "SELL"}
SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}


class Notice(msgspec.Struct, frozen=True, gc=False):
    """What concerns the session and not the engine."""


class Replied(Notice, frozen=True, gc=False):
    """The reply to a request: `result` as it came, or the error's code and words."""

    id: int
    result: bytes = b"null"
    failed: bool = False
    code: int = 0
    message: str = ""


class WholeBook(Notice, frozen=True, gc=False):
    """The whole of a book has come."""

    symbol: str


class Tickers(Notice, frozen=True, gc=False):
    """Tickers. They are no quotes: they are not in step with the books."""

    rows: list[wire.TickerRow]


class AlgoOrders(Notice, frozen=True, gc=False):
    """Trigger orders of the account's: not ours, for we send none."""

    rows: list[wire.OrderAlgoRow]


_push = msgspec.json.Decoder(wire.Push, strict=False).decode
_reply = msgspec.json.Decoder(wire.Reply, strict=False).decode
_encode = msgspec.json.Encoder().encode
TAGS: Final = frozenset(
    each.__struct_config__.tag
    for each in (
        wire.DepthUpdate,
        wire.TradesUpdate,
        wire.OrderUpdate,
        wire.BalanceUpdate,
        wire.TickerUpdate,
        wire.AllTickerUpdate,
        wire.OrderAlgoUpdate,
    )
)


def plain(frame: bytes) -> bytes:
    """Return the JSON of a frame: as it is if it was text, else inflated.

    Raises
    ------
    VenueProtocolError
        It is neither.
    """
    return frame if frame[:1] == b"{" else inflate(frame, SIZE_MAX)


class Codec:
    """Reads frames for one connection.

    Parameters
    ----------
    venue
        Our name for the venue.
    instruments
        By the venue's own names, in upper case.
    now_ns
        Tells the time that events are stamped with.
    name_of
        Returns our own id of an order by the venue's, if that is surely known.
    """

    def __init__(
        self,
        venue: str,
        instruments: Mapping[str, Instrument],
        now_ns: Callable[[], int],
        name_of: Callable[[str], ClientOrderId | None],
    ) -> None:
        self._venue = venue
        self._instruments = instruments
        self._now_ns = now_ns
        self._name_of = name_of
        self.books = Books()
        self._trades: dict[str, dict[int | str, None]] = {}  # told, the oldest first
        self.unknown: dict[str, int] = {}  # how often frames came that we have no use for
        self._pushes: Mapping[type, Callable[[Any], list[Event | Notice]]] = {
            wire.DepthUpdate: self._on_depth,
            wire.TradesUpdate: self._on_trades,
            wire.OrderUpdate: self._on_orders,
            wire.BalanceUpdate: self._on_balances,
            wire.TickerUpdate: lambda push: [Tickers(push.params)],
            wire.AllTickerUpdate: lambda push: [Tickers(push.params)],
            wire.OrderAlgoUpdate: lambda push: [AlgoOrders(push.params)],
        }

    # --- frames -----------------------------------------------------------------------------

    def decode(self, frame: bytes) -> list[Event | Notice]:
        """Return what `frame` says; nothing for what carries nothing for us.

        Raises
        ------
        VenueProtocolError
            It cannot be read.
        """
        text = plain(frame)
        try:
            push = _push(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._on_other(text)
        return self._pushes[push.__class__](push)

    def _on_other(self, text: bytes) -> list[Event | Notice]:
        reply = parse(_reply, text, "frame")
        if reply.method in TAGS:
            parse(_push, text, reply.method or "push")
        if reply.method is not None or reply.id is None:
            return self._left_out(reply.method or "object without method and id")
        if reply.error is None:
            return [Replied(reply.id, bytes(reply.result))]
        return [Replied(reply.id, failed=True, code=reply.error.code, message=reply.error.message)]

    def _left_out(self, what: str) -> list[Event | Notice]:
        if what not in self.unknown:
            logger.info("%s: left out: %s", self._venue, what)
        self.unknown[what] = self.unknown.get(what, 0) + 1
        return []

    def instrument(self, name: str) -> Instrument | None:
        """Return the instrument of that name, in whichever case; None if it is not traded."""
        return self._instruments.get(name) or self._instruments.get(name.upper())

    # --- market data ------------------------------------------------------------------------

    def _on_depth(self, push: wire.DepthUpdate) -> list[Event | Notice]:
        clean, depth, name = push.params
        instrument = self.instrument(name)
        if instrument is None:
            return self._left_out(f"depth of {name}")
        if clean:
            snapshot = self.books.replace(instrument, depth, self._now_ns())
            return [snapshot, WholeBook(instrument.symbol)]
        change = self.books.change(instrument, depth, self._now_ns())
        return [] if change is None else [change]

    def _on_trades(self, push: wire.TradesUpdate) -> list[Event | Notice]:
        """Return the trades not told before, the oldest first.

        The first push tells what was traded before we came, which is no news: it is remembered.
        """
        clean, rows, name = push.params
        instrument = self.instrument(name)
        if instrument is None:
            return self._left_out(f"trades of {name}")
        told = self._trades.get(instrument.symbol)
        if told is None:
            told = self._trades[instrument.symbol] = {}
            if clean:
                told.update(dict.fromkeys(row.id for row in reversed(rows)))
                return []
        now_ns = self._now_ns()
        events: list[Event | Notice] = []
        for row in reversed(rows):
            if row.id not in told:
                told[row.id] = None
                events.append(_trade(row, instrument.symbol, now_ns))
        while len(told) > TRADES_REMEMBERED:
            del told[next(iter(told))]
        return events

    # --- our account ------------------------------------------------------------------------

    def _on_balances(self, push: wire.BalanceUpdate) -> list[Event | Notice]:
        return [self.balance(row) for row in push.params]

    def balance(self, row: wire.BalanceRow | wire.AssetRow) -> Balance:
        """Return what is held of a currency."""
        return Balance(
            venue=self._venue,
            currency=row.currency.upper(),
            total=exact(row.total, "total"),
            available=exact(row.free, "free"),
            receive_time_ns=self._now_ns(),
        )

    def _on_orders(self, push: wire.OrderUpdate) -> list[Event | Notice]:
        events: list[Event | Notice] = []
        for row in push.params:
            instrument = self.instrument(row.symbol)
            if row.mode != SPOT or instrument is None:
                self._left_out(f"order in {row.symbol}, mode {row.mode}")
            else:
                events.append(self._pushed(row, instrument))
        return events

    def _pushed(self, row: wire.OrderPush, instrument: Instrument) -> ExecutionReport:
        status, exec_type = STATUSES.get(row.status, UNHEARD_OF)
        filled = exact(row.filled, "filled")
        return ExecutionReport(
            symbol=instrument.symbol,
            ord_status=status,
            exec_type=exec_type,
            client_order_id=self._name_of(row.id),
            venue_order_id=VenueOrderId(row.id),
            exec_id=total_id(filled),
            side=_side(row.side),
            order_qty=_unless_zero(row.amount, "amount"),
            price=_unless_zero(row.price, "price"),
            cum_qty=filled,
            avg_px=_mean(filled, row.notional, row.price_avg),
            transact_time_ns=row.timestamp * NS_PER_MS,
            receive_time_ns=self._now_ns(),
        )

    # --- answers to questions ---------------------------------------------------------------

    def order_report(self, row: wire.OrderRow) -> ExecutionReport | None:
        """Return where an order of a listing stands; None if its instrument is not traded."""
        instrument = self.instrument(row.symbol)
        if instrument is None:
            return None
        status, _ = STATUSES.get(row.status, UNHEARD_OF)
        filled = exact(row.executed_amount, "executed_amount")
        deals = row.detail if isinstance(row, wire.Detail) else []
        notional = _notional(deals, filled)
        return ExecutionReport(
            symbol=instrument.symbol,
            ord_status=status,
            exec_type=ExecType.ORDER_STATUS,
            client_order_id=self._name_of(row.order_id),
            venue_order_id=VenueOrderId(row.order_id),
            exec_id=total_id(filled),
            side=_side(row.type.partition("_")[0]),
            order_qty=_unless_zero(row.amount, "amount"),
            price=_unless_zero(row.price, "price"),
            cum_qty=filled,
            avg_px=_mean(filled, notional, row.avg_price),
            transact_time_ns=self._row_time_ns(row, status),
            receive_time_ns=self._now_ns(),
        )

    def _row_time_ns(self, row: wire.OrderRow, status: OrdStatus) -> int:
        """Return when an order was made or, if it is over, a time no push about it is later than.

        Dates are whole seconds, so an order has ended by the end of that second.
        """
        if status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED):
            return round(row.created_date * US_PER_S) * NS_PER_US
        if not row.finished_date:
            return self._now_ns()
        return round(row.finished_date * US_PER_S) * NS_PER_US + NS_PER_S - 1


# --- requests -----------------------------------------------------------------------------------


def encode_call(request_id: int, method: str, params: Sequence[Any] = ()) -> bytes:
    """Return a request for the WebSocket."""
    return _encode(wire.Request(request_id, method, list(params)))


def order_parameters(order: NewOrder) -> dict[str, str]:
    """Return what `/spot/order/new` is told of `order`.

    Raises
    ------
    ValueError
        It cannot be said in the venue's words; it has not been sent then.
    """
    side = order.side.value.lower()
    parameters = {"market": "spot", "symbol": order.symbol.partition(":")[2]}
    if order.ord_type is OrdType.LIMIT:
        parameters |= {"type": side, "amount": _text(order.order_qty), "price": _text(order.price)}
        if order.post_only:
            parameters["post_only"] = "1"
        return parameters
    if order.ord_type is not OrdType.MARKET:
        raise ValueError(f"{order.ord_type} orders are not offered; LIMIT and MARKET are")
    spent = order.order_qty
    if order.side is Side.BUY:
        if order.cash_order_qty is None:
            raise ValueError(
                "a market buy is told here in the money to spend: give it cash_order_qty, or send "
                "a limit order at the price you would go up to"
            )
        spent = order.cash_order_qty
    return parameters | {"type": f"{side}_market", "amount": _text(spent)}


def cancel_parameters(order_ids: Sequence[str]) -> dict[str, str]:
    """Return what `/spot/order/cancel` is told."""
    return {"order_id": ",".join(order_ids)}


# --- parts --------------------------------------------------------------------------------------


def _trade(row: wire.TradeRow, symbol: str, now_ns: int) -> Trade:
    return Trade(
        symbol,
        price=row.price,
        qty=row.amount,
        aggressor=AGGRESSORS.get(row.type, ""),
        trade_id=str(row.id),
        exchange_time_ns=round(row.time * US_PER_S) * NS_PER_US,
        receive_time_ns=now_ns,
    )


def _side(text: str) -> Side:
    side = SIDES.get(text)
    if side is None:
        raise VenueProtocolError(f"digifinex: found the side {text!r}, allowed: buy, sell")
    return side


def _text(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"


def _unless_zero(value: Decimal | None, what: str) -> Decimal | None:
    """Return what an order was asked for; None where a market order has none, told as 0."""
    return exact(value, what) or None if value is not None else None


def _notional(deals: Sequence[wire.Deal], filled: Decimal) -> Decimal | None:
    """Return what the fills of an order came to; None if they are not all of `filled`."""
    amounts = [exact(deal.executed_amount, "executed_amount") for deal in deals]
    if sum(amounts, ZERO) != filled:
        return None
    prices = [exact(deal.executed_price, "executed_price") for deal in deals]
    return sum((qty * price for qty, price in zip(amounts, prices, strict=True)), ZERO)


def _mean(filled: Decimal, notional: Decimal | None, told: Decimal | None) -> Decimal | None:
    """Return the mean price: the money over the quantity, or as told where no money is."""
    if not filled:
        return None
    if notional is not None and exact(notional, "notional") > 0:
        return notional / filled
    return None if told is None else exact(told, "price_avg")
