"""Feeds a fixed stream of events to an engine and prints every command, one JSON line each.

Run by `test_determinism.py` in processes of their own, with different hash seeds.
"""

import sys
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from botkit import Order, Quote, Strategy
from botkit.model import (
    Approved,
    CleanUpExpired,
    Event,
    ExecType,
    ExecutionReport,
    Operation,
    OperatorCommand,
    OrderCancelReject,
    OrdStatus,
    RequestKind,
    SendFailed,
    StopRequested,
    Tick,
    VenueOrderId,
)
from botkit.testing import (
    build_quote,
    build_report,
    build_snapshot,
    build_trade,
    build_venue_status,
    time_ns,
)
from botkit.testing.engine_rig import EngineRig

SYMBOLS = ("near:BTC-EUR", "near:ETH-EUR", "far:BTC-EUR", "far:SOL-EUR")


class Busy(Strategy):
    """Quotes every instrument, replaces and cancels, is refused now and then, sets timers."""

    def on_start(self) -> None:
        """Ask for bars and a timer."""
        self.mine: set[Order] = set()  # looped over: its order would show the hash seed
        self.build_bars(5)
        self.set_timer("pull", 7, every_s=7)

    def on_quote(self, quote: Quote) -> None:
        """Place around the quote; some orders lie off the grid."""
        instrument = next(each for each in self.instruments if each.symbol == quote.symbol)
        if quote.bid_qty <= 0:
            return
        price = instrument.price(quote.bid_px)
        self.mine.add(self.buy(instrument, "0.5", price=price))
        self.sell(instrument, "0.0005", price=price)
        if len(self.orders(instrument)) > 4:
            self.orders(instrument)[0].replace(qty=Decimal("0.7"))

    def on_timer(self, name: str) -> None:
        """Cancel everything, in no particular order of ours."""
        for order in sorted(self.mine, key=lambda each: each.client_order_id):
            if order.is_open:
                order.cancel()
        self.mine.clear()

    def on_bar(self, bar: object) -> None:
        """Buy at the market."""
        self.buy(self.instrument, "0.1")


def answer(rig: EngineRig, draw: np.random.Generator, after_s: float) -> Event | None:
    """Return what a venue may say next about an open order."""
    orders = rig.engine.orders.working()
    if not orders:
        return None
    order = orders[int(draw.integers(len(orders)))]
    stamp, kind = time_ns(after_s), int(draw.integers(6))
    terms: dict[str, Any] = {"symbol": order.symbol, "receive_time_ns": stamp}
    if kind == 0:
        name = order.current_client_order_id
        return OrderCancelReject(client_order_id=name, ord_status=OrdStatus.NEW, **terms)
    if kind == 1 and not order.acknowledged:
        return SendFailed(
            client_order_id=order.client_order_id,
            request=RequestKind.NEW,
            reached_venue=bool(draw.integers(2)),
            text="no answer",
            **terms,
        )
    return report(order, kind, {"venue_order_id": VenueOrderId(f"V{order.sequence}"), **terms})


def report(order: Order, kind: int, terms: dict[str, Any]) -> ExecutionReport:
    """Return a cancel, a fill, the end of a replace or an ack."""
    name = order.current_client_order_id
    if kind == 2:
        return build_report(name, OrdStatus.CANCELED, **terms)
    if kind == 3 and order.replacing is None:
        fill: dict[str, Any] = {"last_qty": order.leaves_qty, "last_px": 100, "exec_id": f"E{name}"}
        return build_report(name, OrdStatus.FILLED, **fill, **terms)
    if kind == 4 and order.replacing is not None:
        replaced = order.replacing.request.client_order_id
        return build_report(replaced, OrdStatus.NEW, exec_type=ExecType.REPLACED, **terms)
    return build_report(name, OrdStatus.NEW, **terms)


def event(draw: np.random.Generator, after_s: float) -> Event:
    """Return market data, a venue going or coming, or an operator's word."""
    symbol = SYMBOLS[int(draw.integers(len(SYMBOLS)))]
    price = round(100 + float(draw.normal()), 2)
    kind = int(draw.integers(100))
    if kind < 60:
        return build_quote(after_s, price, price + 0.1, symbol=symbol)
    if kind < 80:
        return build_trade(after_s, price, symbol=symbol)
    if kind < 92:
        return build_snapshot(after_s, [(price, 1.0)], [(price + 0.2, 2.0)], symbol=symbol)
    if kind < 96:
        venue = symbol.partition(":")[0]
        return build_venue_status(after_s, up=bool(draw.integers(2)), venue=venue)
    operation = list(Operation)[int(draw.integers(3))]
    target = ["", "a", symbol][int(draw.integers(3))]
    return OperatorCommand(operation=operation, target=target, receive_time_ns=time_ns(after_s))


def main() -> None:
    """Play the events and print what left."""
    draw = np.random.default_rng(5)
    rig = EngineRig(Busy(), Busy(), Busy(), symbols=SYMBOLS)
    rig.start()
    after_s = 0.0
    for _ in range(3000):
        after_s += float(draw.exponential(0.05))
        rig.engine.handle(event(draw, after_s))
        told = answer(rig, draw, after_s)
        if told is not None:
            rig.engine.handle(told)
    rig.engine.handle(StopRequested(reason="end", receive_time_ns=time_ns(after_s)))
    left = tuple(order.client_order_id for order in rig.engine.orders.working())
    rig.engine.handle(CleanUpExpired(client_order_ids=left, receive_time_ns=time_ns(after_s + 1)))
    rig.engine.handle(Tick(time_ns(after_s + 30)))
    for command in rig.sent:
        request = command.request if isinstance(command, Approved) else command
        sys.stdout.buffer.write(msgspec.json.encode(request) + b"\n")
    counts = rig.engine.desk.counts
    errors = [slot.error for slot in rig.slots if slot.error]
    sys.stdout.write(f"{counts} errors={errors}\n")


if __name__ == "__main__":
    main()
