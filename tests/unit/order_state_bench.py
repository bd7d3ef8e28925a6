"""What the tests of one order share: an order, and reports about it."""

from decimal import Decimal
from operator import attrgetter
from typing import Any

from botkit.model import (
    ClientOrderId,
    ExecId,
    ExecType,
    ExecutionReport,
    FillSource,
    Instrument,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    Side,
)
from botkit.orders import Order
from botkit.orders.state import Replacing

EXECUTIONS, TOTALS = FillSource.EXECUTIONS, FillSource.TOTALS
BTC = Instrument(
    symbol="kestrel:BTC-EUR",
    base="BTC",
    quote="EUR",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.1"),
)


def build_order(cls: type[Order] = Order, **changes: Any) -> Order:
    """Return a buy of 10 at 100, with some of its fields changed."""
    fields: dict[str, Any] = {
        "client_order_id": ClientOrderId("c-1"),
        "current_client_order_id": ClientOrderId("c-1"),
        "instrument": BTC,
        "strategy": "maker",
        "side": Side.BUY,
        "ord_type": OrdType.LIMIT,
        "order_qty": Decimal(10),
        "price": Decimal(100),
    }
    return cls(**{**fields, **changes})


def build_report(status: OrdStatus = OrdStatus.NEW, **changes: Any) -> ExecutionReport:
    """Return a report about it; numbers may be given as text."""
    fields: dict[str, Any] = {
        "symbol": BTC.symbol,
        "ord_status": status,
        "exec_type": ExecType.TRADE if "last_qty" in changes else ExecType.NEW,
        "client_order_id": ClientOrderId("c-1"),
    }
    for name in ("last_qty", "last_px", "cum_qty", "avg_px", "order_qty", "price", "commission"):
        if changes.get(name) is not None:
            changes[name] = Decimal(changes[name])
    return ExecutionReport(**{**fields, **changes})


def fill(exec_id: str, qty: str, px: str = "100", **changes: Any) -> ExecutionReport:
    """Return the report of one execution."""
    status = changes.pop("status", OrdStatus.PARTIALLY_FILLED)
    return build_report(status, exec_id=ExecId(exec_id), last_qty=qty, last_px=px, **changes)


def replacing(qty: str, *, atomic: bool = False, cum_qty: str = "0") -> Replacing:
    """Return a replace in flight, to `qty` in all."""
    request = ReplaceOrder(
        client_order_id=ClientOrderId("c-2"),
        orig_client_order_id=ClientOrderId("c-1"),
        symbol=BTC.symbol,
        strategy="maker",
        side=Side.BUY,
        order_qty=Decimal(qty),
        price=Decimal(101),
    )
    return Replacing(request=request, cum_qty=Decimal(cum_qty), atomic=atomic, due_ns=5)


def look(entity: object, *names: str) -> tuple[Any, ...]:
    """Return what `entity` shows now; mypy would remember what it showed before."""
    return tuple(attrgetter(name)(entity) for name in names)


def status_of(order: Order) -> OrdStatus:
    """Return its status; mypy would remember an earlier one."""
    return order.ord_status
