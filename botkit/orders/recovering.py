"""An order that an earlier run left open, built again from what its journal knew."""

from typing import TYPE_CHECKING, Final

from botkit.model import OrdStatus
from botkit.orders.counting import Ledger
from botkit.orders.state import Order, Replacing

if TYPE_CHECKING:
    from botkit.ports import Capabilities, OrderRecord

__all__ = ["restore"]

SILENT: Final = frozenset({OrdStatus.PENDING_NEW, OrdStatus.UNKNOWN})


def restore(
    order: Order, record: "OrderRecord", capabilities: "Capabilities", ack_due_ns: int
) -> None:
    """Bring `order`, made from the record's request, to where `record` left it."""
    order.orphaned = not record.keep
    for fill in record.fills:
        order.ledger = order.ledger or Ledger()
        order.ledger.book(fill)
        order.cum_qty += fill.qty
        order.notional += fill.qty * fill.price
    order.venue_order_ids = tuple(record.venue_order_ids)
    order.acknowledged = bool(record.venue_order_ids or record.fills) or (
        record.ord_status not in SILENT
    )
    order.aliases = tuple(record.client_order_ids[1:])
    _restore_replace(order, record, capabilities, ack_due_ns)


def _restore_replace(
    order: Order, record: "OrderRecord", capabilities: "Capabilities", ack_due_ns: int
) -> None:
    """Take the terms of a replace that was done; one that was under way still is."""
    replace = record.replace
    if replace is None or replace.client_order_id not in record.resting_ids:
        return
    if len(record.resting_ids) > 1:
        order.current_client_order_id = record.resting_ids[0]
        order.replacing = Replacing(
            request=replace,
            cum_qty=order.cum_qty,
            atomic=capabilities.replace_atomic,
            due_ns=replace.transact_time_ns + ack_due_ns,
        )
        return
    order.order_qty, order.price = replace.order_qty, replace.price
    order.current_client_order_id = replace.client_order_id
