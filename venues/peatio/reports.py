"""Rows of orders, trades and accounts, from wherever they come, as reports to the engine."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from botkit.model import (
    Balance,
    ExecId,
    ExecType,
    ExecutionReport,
    Instrument,
    Liquidity,
    OrdStatus,
    Side,
    VenueOrderId,
)
from botkit.ports import FeeSchedule
from venues.peatio import wire
from venues.peatio.own import Own, OwnOrders
from venues.peatio.wire import time_ns

__all__ = ["CLOSED", "Reports"]

ZERO: Final = Decimal(0)
BPS: Final = Decimal(10_000)
HELD_MOST: Final = 1_000
SIDES: Final[Mapping[str, Side]] = {
    "buy": Side.BUY,
    "bid": Side.BUY,
    "sell": Side.SELL,
    "ask": Side.SELL,
}
CLOSED: Final = frozenset({OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED})
EXEC_TYPES: Final[Mapping[OrdStatus, ExecType]] = {
    OrdStatus.PENDING_NEW: ExecType.PENDING_NEW,
    OrdStatus.NEW: ExecType.NEW,
    OrdStatus.CANCELED: ExecType.CANCELED,
    OrdStatus.REJECTED: ExecType.REJECTED,
}


class Reports:
    """Makes reports of one venue's rows, and notes in `own` what they say.

    Parameters
    ----------
    instruments
        By the venue's own names. Rows of other markets make no report.
    fees
        What the commission is computed from: the venue tells none with a trade.
    fee_in_received
        Whether fees are taken from what is received; if not, no commission is told.
    """

    def __init__(
        self,
        venue: str,
        instruments: Mapping[str, Instrument],
        own: OwnOrders,
        now_ns: Callable[[], int],
        *,
        fees: FeeSchedule,
        fee_in_received: bool = True,
    ) -> None:
        self.venue = venue
        self.instruments = instruments
        self.own = own
        self.now_ns = now_ns
        self._fees = fees
        self._held: dict[int, list[wire.TradeRow]] = {}
        self._fee_in_received = fee_in_received

    def learn(self, row: wire.OrderRow) -> Own | None:
        """Note that an order is ours; None if its market is not traded."""
        instrument = self.instruments.get(row.symbol)
        if instrument is None:
            return None
        return self.own.learn(
            Own(
                order_id=row.id,
                symbol=instrument.symbol,
                side=SIDES[row.side],
                order_qty=row.qty,
                price=row.price,
            )
        )

    def order(self, row: wire.OrderRow, *, taken_in: bool = False) -> ExecutionReport | None:
        """Return where an order of ours stands.

        `taken_in`: the row answers the order's own POST, which says `wait` before anybody has
        looked at it; so it is pending still.
        """
        own = self.learn(row)
        if own is None:
            return None
        status = _status(row)
        if taken_in and status in (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED):
            status = OrdStatus.PENDING_NEW
        if status is not OrdStatus.PENDING_NEW:
            self.own.saw(row.id, ended=status in CLOSED)
        return ExecutionReport(
            symbol=own.symbol,
            ord_status=status,
            exec_type=EXEC_TYPES.get(status, ExecType.ORDER_STATUS),
            client_order_id=own.client_order_id,
            venue_order_id=VenueOrderId(str(row.id)),
            side=own.side,
            order_qty=row.qty,
            price=row.price,
            cum_qty=None if taken_in else row.filled,
            text="refused by the matching engine" if status is OrdStatus.REJECTED else "",
            transact_time_ns=time_ns(row.at if row.created_at is None else row.created_at),
            receive_time_ns=self.now_ns(),
        )

    def resting(self, own: Own, left: Decimal, *, gone: bool = False) -> ExecutionReport:
        """Return what the public book says of an order of ours: `left` rests, or rested."""
        qty = own.order_qty
        cum_qty = None if qty is None else max(ZERO, qty - left)
        if gone:
            status = OrdStatus.CANCELED if left else OrdStatus.FILLED
        else:
            status = OrdStatus.PARTIALLY_FILLED if cum_qty else OrdStatus.NEW
        self.own.saw(own.order_id, ended=gone)
        return ExecutionReport(
            symbol=own.symbol,
            ord_status=status,
            exec_type=EXEC_TYPES.get(status, ExecType.ORDER_STATUS),
            client_order_id=own.client_order_id,
            venue_order_id=VenueOrderId(str(own.order_id)),
            side=own.side,
            order_qty=qty,
            price=own.price,
            cum_qty=cum_qty,
            receive_time_ns=self.now_ns(),
        )

    def trades(self, row: wire.TradeRow) -> list[ExecutionReport]:
        """Return our executions in a trade that the socket tells: two if both orders are ours.

        One of an order that is not known yet is held back until it is: by its side alone the
        tracker could take it for another's.
        """
        enclosed = [each for each in (row.bid, row.ask) if each is not None]
        if enclosed:
            return [report for order in enclosed for report in self._enclosed(row, order)]
        side = SIDES.get(row.side or "")
        if side is None or row.order_id is None or row.market not in self.instruments:
            return []
        if self.own.get(row.order_id) is None:
            self._held.setdefault(row.order_id, []).append(row)
            if len(self._held) > HELD_MOST:
                del self._held[next(iter(self._held))]
            return []
        return self._told(row, row.market, row.order_id, side)

    def is_held(self, order_id: int | None) -> bool:
        """Tell whether trades of an order wait until it is known."""
        return order_id in self._held

    def release(self, order_id: int) -> list[ExecutionReport]:
        """Return the trades that were held back until their order was known."""
        rows = self._held.pop(order_id, []) if self.own.get(order_id) else []
        return [
            report
            for row in rows
            for report in self._told(row, row.market, order_id, SIDES[row.side or ""])
        ]

    def of_order(self, row: wire.OrderRow) -> list[ExecutionReport]:
        """Return an order as REST shows it: those of its trades not told yet, then its status."""
        status = self.order(row)
        if status is None:
            return []
        trades = sorted(row.trades or [], key=lambda trade: trade.id)
        side = SIDES[row.side]
        return [
            *(report for each in trades for report in self._told(each, row.symbol, row.id, side)),
            *self.release(row.id),
            status,
        ]

    def _told(
        self, row: wire.TradeRow, market: str, order_id: int, side: Side
    ) -> list[ExecutionReport]:
        """Return an execution unless it was told before."""
        report = self.execution(row, market, order_id, side)
        return [] if report is None or not self.own.tell(order_id, row.id) else [report]

    def _enclosed(self, row: wire.TradeRow, order: wire.OrderRow) -> list[ExecutionReport]:
        """Return a trade with the order as it stood when the frame was built.

        That may be later than the trade: fills are counted by trade, and how far the order is
        said to be only makes the tracker wait for the trades that lack.
        """
        if not order.symbol:
            order = msgspec.structs.replace(order, market=row.market)
        status = self.order(order)
        if status is None:
            return []
        told = self._told(row, order.symbol, order.id, SIDES[order.side])
        return [*told, status] if status.ord_status in CLOSED else told

    def listed(self, row: wire.TradeRow) -> list[ExecutionReport]:
        """Return our executions in a row of REST's list of own trades, told before or not."""
        side = SIDES.get(row.side or "")
        if side is None or row.order_id is None:
            return []
        report = self.execution(row, row.market, row.order_id, side)
        return [] if report is None else [report]

    def execution(
        self, row: wire.TradeRow, market: str, order_id: int, side: Side
    ) -> ExecutionReport | None:
        """Return one execution of an order of ours."""
        instrument = self.instruments.get(market)
        if instrument is None:
            return None
        own = self.own.get(order_id)
        self.own.saw(order_id, ended=False)
        liquidity = None
        taker = SIDES.get(row.taker_type or "")
        if taker is not None:
            liquidity = Liquidity.REMOVED if taker is side else Liquidity.ADDED
        return ExecutionReport(
            symbol=instrument.symbol,
            ord_status=OrdStatus.PARTIALLY_FILLED,
            exec_type=ExecType.TRADE,
            client_order_id=None if own is None else own.client_order_id,
            venue_order_id=VenueOrderId(str(order_id)),
            exec_id=ExecId(str(row.id)),
            side=side,
            order_qty=None if own is None else own.order_qty,
            price=None if own is None else own.price,
            last_qty=row.qty,
            last_px=row.price,
            liquidity=liquidity,
            **self._commission(instrument, side, row, liquidity),
            transact_time_ns=time_ns(row.created_at),
            receive_time_ns=self.now_ns(),
        )

    def _commission(
        self, instrument: Instrument, side: Side, row: wire.TradeRow, liquidity: Liquidity | None
    ) -> dict[str, Any]:
        """Return what the trade has cost, where that can be said: the rate must be known."""
        fees = self._fees
        known = liquidity is not None or fees.maker_bps == fees.taker_bps
        if not (self._fee_in_received and known):
            return {}
        rate = fees.maker_bps if liquidity is Liquidity.ADDED else fees.taker_bps
        received = row.qty if side is Side.BUY else row.qty * row.price
        currency = instrument.base if side is Side.BUY else instrument.quote
        return {"commission": received * rate / BPS, "commission_currency": currency}

    def balances(self, rows: Iterable[wire.AccountRow]) -> list[Balance]:
        """Return what is held."""
        now_ns = self.now_ns()
        return [
            Balance(
                venue=self.venue,
                currency=row.currency.upper(),
                total=row.balance + row.locked,
                available=row.balance,
                receive_time_ns=now_ns,
            )
            for row in rows
        ]


def _status(row: wire.OrderRow) -> OrdStatus:
    """Return our word for an order's state; UNKNOWN for one that we do not know."""
    match row.state:
        case "pending":
            return OrdStatus.PENDING_NEW
        case "wait":
            return OrdStatus.PARTIALLY_FILLED if row.filled else OrdStatus.NEW
        case "done":  # less than whole: what a market order found nobody for
            is_whole = row.filled is None or row.qty is None or row.filled >= row.qty
            return OrdStatus.FILLED if is_whole else OrdStatus.CANCELED
        case "cancel":
            return OrdStatus.CANCELED
        case "reject":
            return OrdStatus.REJECTED
        case _:
            return OrdStatus.UNKNOWN
