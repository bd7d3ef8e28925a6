"""How much a report fills, by the venue's one source of quantities, and what it adds in fees.

*Executions*: each report with `last_qty` counts once by its `exec_id`. *Totals*: `cum_qty` counts,
and never falls. The other kind of report only brings commission and liquidity.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Final

import attrs
import msgspec

from botkit.model import ExecId, ExecutionReport, Fill, FillSource

if TYPE_CHECKING:
    from botkit.orders.state import Order

__all__ = ["Ledger", "count"]

ZERO: Final = Decimal(0)
NOTHING: Final = (ZERO, ZERO)


@attrs.define
class Ledger:
    """The fills of one order by execution, and which of them still lack their commission.

    Where totals count, a commission is for the quantity of its execution, whichever totals that
    was counted by: it is told once that much waits for one.
    """

    fills: dict[ExecId, Fill] = attrs.field(factory=dict)
    uncharged_qty: Decimal = ZERO  # counted without a commission
    unnamed: list[Fill] = attrs.field(factory=list)  # counted with one, by no execution's name
    early: dict[ExecId, Fill] = attrs.field(factory=dict)  # totals: charged before counted

    def book(self, fill: Fill) -> None:
        """Take a fill that was counted now."""
        if fill.exec_id is not None:
            self.fills[fill.exec_id] = fill
        elif fill.commission is not None:
            self.unnamed.append(fill)
        if fill.commission is None:
            self.uncharged_qty += fill.qty
        elif fill.exec_id is not None:
            self.early.pop(fill.exec_id, None)

    def is_all_of(self, report: ExecutionReport, qty: Decimal) -> bool:
        """Tell whether the `qty` a total has added is the execution it names, or all it tells."""
        return report.last_qty in (0, qty) and report.exec_id not in self.fills

    def confirm(self, order: "Order", report: ExecutionReport) -> None:
        """Note an execution counted before by a person's word: a repeat of it is known as one.

        Its commission is not booked: the estimate made for the person's word stays.
        """
        assert report.exec_id is not None  # else it would not have been taken for one
        self.fills[report.exec_id] = msgspec.structs.replace(
            _fill(order, report), commission=report.commission or ZERO
        )

    def amend(
        self, order: "Order", report: ExecutionReport, source: FillSource
    ) -> tuple[Fill, ...]:
        """Return the counted fills whose missing commission is known now: each comes once."""
        told = self._told(order, report, source)
        if source is FillSource.EXECUTIONS:
            return () if told is None else (self._charge(told),)
        if told is not None:
            assert told.exec_id is not None  # else it would not be told
            self.early.setdefault(told.exec_id, told)
        return self._take_early()

    def _told(self, order: "Order", report: ExecutionReport, source: FillSource) -> Fill | None:
        """Return the execution that `report` brings a commission for; None if that is no news."""
        if report.exec_id is None or report.commission is None:
            return None
        counted = self.fills.get(report.exec_id)
        if counted is None:
            if source is FillSource.EXECUTIONS or report.last_qty <= 0:
                return None
            counted = _fill(order, report)
        elif counted.commission is not None:
            return None
        return msgspec.structs.replace(
            counted,
            commission=report.commission,
            commission_currency=report.commission_currency,
            liquidity=report.liquidity or counted.liquidity,
            receive_time_ns=report.receive_time_ns,
        )

    def _take_early(self) -> tuple[Fill, ...]:
        """Return the executions with a commission for which enough is counted now."""
        taken: list[Fill] = []
        for told in list(self.early.values()):
            if self._is_booked(told):
                self._drop_early(told)
            elif told.qty <= self.uncharged_qty:
                taken.append(self._charge(told))
        return tuple(taken)

    def _is_booked(self, told: Fill) -> bool:
        """Tell whether the commission came with a total that named no execution."""
        for fill in self.unnamed:
            same = fill.qty == told.qty and fill.commission == told.commission
            if same and fill.commission_currency == told.commission_currency:
                self.unnamed.remove(fill)
                return True
        return False

    def _charge(self, told: Fill) -> Fill:
        self._drop_early(told)
        self.uncharged_qty -= told.qty
        return told

    def _drop_early(self, told: Fill) -> None:
        assert told.exec_id is not None  # else it could not be told from a repeat
        self.early.pop(told.exec_id, None)
        self.fills[told.exec_id] = told


def _fill(order: "Order", report: ExecutionReport) -> Fill:
    """Return the execution `report` tells of as a fill of `order`."""
    return Fill(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        strategy=order.strategy,
        side=order.side,
        qty=report.last_qty,
        price=report.last_px,
        exec_id=report.exec_id,
        venue_order_id=report.venue_order_id or order.venue_order_id,
        transact_time_ns=report.transact_time_ns,
    )


def count(order: "Order", report: ExecutionReport, source: FillSource) -> tuple[Decimal, Decimal]:
    """Return the quantity `report` adds to what was counted, and its price; (0, 0) for none.

    Raises
    ------
    IllegalTransitionError
        The report cannot be counted: a changed repeat, or no way to tell it from a repeat.
    """
    if source is FillSource.TOTALS:
        total = report.cum_qty
        if total is None or total <= order.cum_qty:
            return NOTHING
        return _by_total(order, report, total - order.cum_qty)
    if not report.last_qty:
        return NOTHING
    return _by_execution(order, report)


def _by_execution(order: "Order", report: ExecutionReport) -> tuple[Decimal, Decimal]:
    if report.last_qty < 0 or report.last_px <= 0:
        raise order.contradiction(
            report, f"a fill of {report.last_qty} at {report.last_px} is none: both must be above 0"
        )
    if report.exec_id is None:
        if report.cum_qty is None:
            raise order.contradiction(
                report, "without exec_id and cum_qty a fill cannot be told from a repeat"
            )
        missing = report.cum_qty - order.cum_qty
        return (missing, report.last_px) if missing > 0 else NOTHING
    if order.ledger is None:
        return report.last_qty, report.last_px
    known = order.ledger.fills.get(report.exec_id)
    if known is None:
        return report.last_qty, report.last_px
    if known.qty != report.last_qty or known.price != report.last_px:
        raise order.contradiction(
            report, f"this execution was {known.qty} at {known.price} when it was counted"
        )
    return NOTHING


def _by_total(order: "Order", report: ExecutionReport, qty: Decimal) -> tuple[Decimal, Decimal]:
    """Price the quantity a total adds: told with it, or what makes the mean come out.

    Where the venue tells no price at all, a limit order is booked at its limit, the worst it can
    be; any other waits for a report that does.
    """
    if report.last_qty == qty and report.last_px > 0:
        return qty, report.last_px
    if report.avg_px is not None and report.avg_px > 0:
        price = (report.avg_px * (order.cum_qty + qty) - order.notional) / qty
        if price <= 0:
            raise order.contradiction(
                report, f"a mean price of {report.avg_px} would price the last {qty} at {price}"
            )
        return qty, price
    if report.last_px > 0:
        return qty, report.last_px
    if order.price is not None:
        return qty, order.price
    return NOTHING
