"""What the tests of flatten share: a bench with an operator and a venue to fill its orders."""

from collections.abc import Mapping
from typing import Any

from botkit.model import (
    Flattened,
    FlattenedPosition,
    NewOrder,
    Operation,
    OperatorCommand,
    OrdStatus,
)
from botkit.orders import Order
from botkit.testing import time_ns
from tests.unit.risk_bench import RiskBench


class FlatBench(RiskBench):
    """A bench whose flatten reaches 50 bps through the touch, for 30 s, retrying each second."""

    def __init__(self, risk: Mapping[str, Any] | None = None, **terms: Any) -> None:
        super().__init__(risk or {}, **terms)

    def flatten(self, target: str = "", after_s: float = 1) -> None:
        """Let an operator flatten."""
        self.operate(Operation.FLATTEN, target, after_s)

    def operate(self, operation: Operation, target: str = "", after_s: float = 1) -> None:
        """Let an operator say so."""
        self.engine.handle(
            OperatorCommand(
                operation=operation,
                target=target,
                reason="enough",
                receive_time_ns=time_ns(after_s),
            )
        )

    def wait_for(self, until_s: int) -> None:
        """Let time pass, with a quote every second."""
        for second in range(2, until_s + 1):
            self.quote(second, 99, 101)

    def order(self, request: NewOrder) -> Order:
        """Return the order of a request."""
        order = self.engine.orders.get(request.client_order_id)
        assert order is not None
        return order

    def last(self) -> NewOrder:
        """Return the last new order that left."""
        request: NewOrder = self.new_orders[-1]
        return request

    def end(self, ord_status: OrdStatus, after_s: float = 1) -> None:
        """Let the venue end the last order."""
        self.report(self.order(self.last()), ord_status, after_s)

    def fill_last(self, qty: str | None = None, after_s: float = 1) -> None:
        """Fill the last order, or some of it, at its price."""
        order = self.order(self.last())
        self.fills_at(order, qty or str(order.leaves_qty), str(order.price), after_s)

    def flattened(self) -> Flattened:
        """Return the one report."""
        (report,) = self.recorded(Flattened)
        assert report == self.engine.flattener.last
        assert self.engine.flattener.target is None
        found: Flattened = report
        return found

    def rows(self) -> list[FlattenedPosition]:
        """Return its positions."""
        return list(self.flattened().positions)
