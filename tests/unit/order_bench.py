"""Orders on a bench: two venues, calls made short, and the time in seconds."""

from decimal import Decimal
from typing import Any

import attrs

from botkit.model import (
    ClientOrderId,
    ExecType,
    ExecutionReport,
    FillSource,
    Instrument,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    Side,
    VenueOrderId,
)
from botkit.orders import Order, Orders, OrderTiming, Outcome
from botkit.ports import Capabilities

S = 1_000_000_000
TIMING = OrderTiming(ask_every_ns=2 * S)
NAMED = Capabilities(client_order_ids=True, fill_source=FillSource.EXECUTIONS, replace=True)
NAMELESS = Capabilities(client_order_ids=False, fill_source=FillSource.EXECUTIONS)


def instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol, base="BTC", quote="EUR", tick_size=Decimal("0.01"), lot_size=Decimal(1)
    )


BTC, ETH = instrument("kestrel:BTC-EUR"), instrument("kestrel:ETH-EUR")
DIM = instrument("dim:BTC-EUR")


@attrs.define
class Bench:
    """Orders at two venues, one of which knows no client order ids, and the time."""

    orders: Orders = attrs.field(
        factory=lambda: Orders(capabilities={"kestrel": NAMED, "dim": NAMELESS}, timing=TIMING)
    )
    made: int = 0

    def add(self, where: Instrument = BTC, at_s: int = 0, **changes: Any) -> Order:
        self.made += 1
        fields: dict[str, Any] = {
            "client_order_id": ClientOrderId(f"c-{self.made}"),
            "symbol": where.symbol,
            "strategy": "maker",
            "side": Side.BUY,
            "order_qty": Decimal(10),
            "price": Decimal(100),
            "transact_time_ns": at_s * S,
        }
        return self.orders.add(NewOrder(**{**fields, **changes}), where)

    def say(self, order: Order, status: OrdStatus, at_s: int = 0, **changes: Any) -> Outcome:
        fields: dict[str, Any] = {
            "symbol": order.symbol,
            "ord_status": status,
            "exec_type": ExecType.NEW,
            "client_order_id": order.current_client_order_id,
            "receive_time_ns": at_s * S,
        }
        return self.orders.on_report(ExecutionReport(**{**fields, **changes}))

    def replace(self, order: Order, qty: int, at_s: int = 0) -> ClientOrderId:
        self.made += 1
        name = ClientOrderId(f"r-{self.made}")
        request = ReplaceOrder(
            client_order_id=name,
            orig_client_order_id=order.current_client_order_id,
            symbol=order.symbol,
            strategy=order.strategy,
            side=order.side,
            order_qty=Decimal(qty),
            price=Decimal(101),
            transact_time_ns=at_s * S,
        )
        self.orders.replace_sent(order, request)
        return name

    def decline(self, order: Order, **changes: Any) -> Outcome:
        fields = {"symbol": order.symbol, "client_order_id": order.client_order_id}
        return self.orders.on_cancel_reject(OrderCancelReject(**{**fields, **changes}))

    def fail(self, order: Order, request: RequestKind, *, reached: bool) -> Outcome:
        return self.orders.on_send_failed(
            SendFailed(
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                request=request,
                reached_venue=reached,
                text="no socket",
            )
        )

    def listed(
        self, began_s: int, *reports: ExecutionReport, venue: str = "kestrel", complete: bool = True
    ) -> list[Outcome]:
        listing = OrderListing(
            venue=venue,
            listing_id=1,
            began_ns=began_s * S,
            complete=complete,
            reports=reports,
            receive_time_ns=began_s * S,
        )
        return self.orders.on_listing(listing)

    def due(self, at_s: int) -> list[Any]:
        return list(self.orders.due(at_s * S))


def status_of(order: Order) -> OrdStatus:
    return order.ord_status


def stranger(where: Instrument = DIM, venue_id: str = "v1", **changes: Any) -> ExecutionReport:
    """Return a report that names no client order id, with the terms of `Bench.add`."""
    fields: dict[str, Any] = {
        "symbol": where.symbol,
        "ord_status": OrdStatus.NEW,
        "exec_type": ExecType.ORDER_STATUS,
        "venue_order_id": VenueOrderId(venue_id),
        "side": Side.BUY,
        "order_qty": Decimal(10),
        "price": Decimal(100),
    }
    return ExecutionReport(**{**fields, **changes})
