"""What our fills cost: told by the venue's list of fills, for totals that were told before.

Pushes say how much of an order has filled in all; each increase is a fill by the name of the total
it came to. The list names executions of its own, so their fees are summed up by those totals.
"""

from collections import OrderedDict
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import attrs
import msgspec

from botkit.model import ExecId, ExecutionReport, Liquidity
from venues.digifinex import wire

__all__ = ["Fees", "total_id"]

ZERO: Final = Decimal(0)
REMEMBERED: Final = 10_000  # orders
LOOK_UPS: Final = 5  # of a fill that the venue's list does not have yet


def total_id(filled: Decimal) -> ExecId | None:
    """Return the name of the fill that brought an order to `filled` in all; None for nothing."""
    if not filled:
        return None
    text = f"{filled:f}"
    return ExecId("total " + (text.rstrip("0").rstrip(".") if "." in text else text))


@attrs.define
class _Bill:
    """One order: totals told, the oldest first, and executions whose fees are not told."""

    latest: ExecutionReport
    totals: list[Decimal] = attrs.field(factory=list)
    charged: Decimal = ZERO  # the total up to which fees are told
    look_ups: int = 0
    rows: dict[str, wire.MyTrade] = attrs.field(factory=dict)
    is_ours: bool = False

    @property
    def owes(self) -> bool:
        """Tell whether fees are missing, and are worth another look."""
        return self.is_ours and bool(self.totals) and self.look_ups < LOOK_UPS


class Fees:
    """Bills by the venue's ids of orders."""

    def __init__(self) -> None:
        self._bills: OrderedDict[str, _Bill] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()

    def told(self, report: ExecutionReport) -> None:
        """Take note of a report that goes to the engine; each new total is a fill there."""
        order_id, total = str(report.venue_order_id), report.cum_qty or ZERO
        bill = self._bills.get(order_id)
        if bill is None:
            bill = self._bills[order_id] = _Bill(report)
            if len(self._bills) > REMEMBERED:
                self._bills.popitem(last=False)
        if total > max(bill.totals, default=bill.charged):
            bill.totals.append(total)
            bill.latest, bill.look_ups = report, 0

    def ours(self, order_id: str) -> None:
        """Take note that an order is one this process has sent: all its fills are known here."""
        bill = self._bills.get(order_id)
        if bill is not None:
            bill.is_ours = True

    def owing(self) -> set[str]:
        """Return the symbols whose list of fills is to be looked at."""
        return {bill.latest.symbol for bill in self._bills.values() if bill.owes}

    def take(self, rows: Iterable[wire.MyTrade], symbol: str) -> list[ExecutionReport]:
        """Return reports that bring fills their fees, as far as `rows` and those before go."""
        for row in rows:
            bill = self._bills.get(row.order_id)
            key = f"{symbol} {row.id}"
            if bill is not None and key not in self._seen:
                bill.rows[str(row.id)] = row
                self._seen[key] = None
                if len(self._seen) > REMEMBERED:
                    self._seen.popitem(last=False)
        reports: list[ExecutionReport] = []
        for bill in self._bills.values():
            if bill.owes and bill.latest.symbol == symbol:
                bill.look_ups += 1
                reports += _charged(bill)
        return reports


def _charged(bill: _Bill) -> list[ExecutionReport]:
    """Return the fees of the totals that the executions known come to, and strike them out."""
    reports: list[ExecutionReport] = []
    group: list[wire.MyTrade] = []
    reached = bill.charged
    for row in sorted(bill.rows.values(), key=lambda each: each.timestamp):
        group.append(row)
        reached += row.amount
        if reached not in bill.totals:
            continue
        while bill.totals and bill.totals[0] <= reached:
            total = bill.totals.pop(0)
            # Of several totals that no execution ends at, the last has the fees of all.
            charge = group if total == reached else []
            reports.append(_report(bill, total, charge))
            bill.charged = total
        for each in group:
            del bill.rows[str(each.id)]
        group = []
    return reports


def _report(bill: _Bill, total: Decimal, rows: list[wire.MyTrade]) -> ExecutionReport:
    fees = [row for row in rows if row.fee is not None]
    makers = {row.is_maker for row in rows}
    liquidity = None
    if len(makers) == 1 and None not in makers:
        liquidity = Liquidity.ADDED if makers.pop() else Liquidity.REMOVED
    qty = total - bill.charged
    return msgspec.structs.replace(
        bill.latest,
        exec_id=total_id(total),
        last_qty=qty,
        last_px=sum((row.price * row.amount for row in rows), ZERO) / qty,
        cum_qty=None,
        avg_px=None,
        commission=sum((row.fee or ZERO for row in fees), ZERO) if fees or not rows else None,
        commission_currency=fees[0].fee_currency.upper() if fees else "",
        liquidity=liquidity,
    )
