"""Flatten and held orders against a venue that answers as it likes, and never guesses."""

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from botkit.config import FlattenConfig
from botkit.model import (
    CleanUpExpired,
    Flattened,
    NewOrder,
    Operation,
    OperatorCommand,
    OrdStatus,
    Side,
)
from botkit.orders import Order
from botkit.ports import Checked, Held
from botkit.testing import SYMBOL, time_ns
from tests.unit.risk_bench import RiskBench

SIDES = st.sampled_from(Side)
PRICES = {Side.BUY: ("98", "100", "103"), Side.SELL: ("97", "100", "102")}
TARGETS = st.sampled_from(["", SYMBOL, "a", "b"])
COLLAR = Decimal("0.005")


class FlattenMachine(RuleBasedStateMachine):
    """Two strategies trade, an operator flattens now and then; time passes a second a step."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = RiskBench(
            {"self_trade": "refuse", "max_position": "20"}, flatten=FlattenConfig()
        )
        self.now_s = 0
        self.seen = 0  # of the new orders that left
        self.mid = 100

    @property
    def engine_orders(self) -> list[Order]:
        return [each for each in self.bench.engine.orders.working() if not each.is_held]

    def pick(self, data: st.DataObject) -> Order:
        return data.draw(st.sampled_from(self.engine_orders))

    @rule(side=SIDES, qty=st.integers(1, 3), of=st.integers(0, 1), data=st.data())
    def send(self, side: Side, qty: int, of: int, data: st.DataObject) -> None:
        price = data.draw(st.sampled_from(PRICES[side]))
        order = self.bench.place(side, str(qty), price, of=of)
        if self.bench.engine.flattener.target in ("", SYMBOL, "ab"[of]):
            assert order.is_closed
            assert "flattened" in order.text
        self.look()

    @precondition(lambda self: self.engine_orders)
    @rule(data=st.data(), part=st.booleans())
    def fill(self, data: st.DataObject, *, part: bool) -> None:
        order = self.pick(data)
        qty = min(order.leaves_qty, Decimal(1)) if part else order.leaves_qty
        self.bench.fills_at(order, str(qty), str(order.price), self.now_s)
        self.look()

    @precondition(lambda self: self.engine_orders)
    @rule(data=st.data(), status=st.sampled_from([OrdStatus.NEW, OrdStatus.CANCELED]))
    def answer(self, data: st.DataObject, status: OrdStatus) -> None:
        order = self.pick(data)
        terms = {"cum_qty": order.cum_qty} if order.cum_qty else {}
        if status is OrdStatus.NEW and order.cum_qty:
            status = OrdStatus.PARTIALLY_FILLED
        self.bench.report(order, status, self.now_s, **terms)
        self.look()

    @precondition(lambda self: self.engine_orders)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        ids = (self.pick(data).client_order_id,)
        event = CleanUpExpired(client_order_ids=ids, receive_time_ns=time_ns(self.now_s))
        self.bench.engine.handle(event)
        self.look()

    @rule(steps=st.integers(1, 8), move=st.integers(-5, 5), quoted=st.booleans())
    def wait(self, steps: int, move: int, *, quoted: bool) -> None:
        if quoted:
            self.mid = max(50, self.mid + move)
        for _ in range(steps):
            self.now_s += 1
            if quoted:
                self.bench.quote(self.now_s, self.mid - 1, self.mid + 1)
            else:
                self.bench.tick(self.now_s)
            self.look()

    @rule(whom=TARGETS, operation=st.sampled_from([Operation.FLATTEN, Operation.RESUME]))
    def operate(self, whom: str, operation: Operation) -> None:
        stamp = time_ns(self.now_s)
        command = OperatorCommand(operation=operation, target=whom, receive_time_ns=stamp)
        self.bench.engine.handle(command)
        self.look()

    def look(self) -> None:
        """Hold every order that flatten has sent since against what it may send."""
        held = {each.client_order_id for each in self.bench.recorded(Held)}
        requests, self.seen = self.bench.new_orders[self.seen :], len(self.bench.new_orders)
        for request in requests:
            # What waited was checked again on its way out.
            checked = [
                each
                for each in self.bench.recorded(Checked)
                if each.client_order_id == request.client_order_id
            ]
            assert all(verdict.passed for verdict in checked[-1].verdicts)
            assert len(checked) > 1 or request.client_order_id not in held
            if request.time_in_force == "IOC":
                self.judge(request)

    def judge(self, request: NewOrder) -> None:
        held = self.bench.engine.portfolio.position(SYMBOL, request.strategy)
        order = self.bench.engine.orders.get(request.client_order_id)
        assert order is not None
        if order.cum_qty:
            return
        assert held * request.side.sign < 0
        assert request.order_qty <= abs(held)
        assert request.price is not None
        touch = Decimal(self.mid - 1 if request.side is Side.SELL else self.mid + 1)
        beyond = (request.price - touch) * request.side.sign / touch
        assert 0 <= beyond <= COLLAR

    @invariant()
    def no_held_order_is_at_a_venue_and_counts_are_whole(self) -> None:
        orders = self.bench.engine.orders
        sent = {each.client_order_id for each in self.bench.new_orders}
        for order in orders.working():
            assert order.is_held is (order.client_order_id not in sent)
        for side in Side:
            whole = sum(each.worst_leaves() for each in orders.working() if each.side is side)
            assert orders.leaves(SYMBOL, side) == whole

    @invariant()
    def reports_tell_what_is_left(self) -> None:
        for report in self.bench.recorded(Flattened)[-1:]:
            for row in report.positions:
                assert bool(row.why) is bool(row.left)
        if self.bench.engine.flattener.target is None:
            commands = self.bench.recorded(OperatorCommand)
            flattens = [each for each in commands if each.operation is Operation.FLATTEN]
            assert len(self.bench.recorded(Flattened)) <= len(flattens)

    def teardown(self) -> None:
        """Whatever happened, it ends by its deadline."""
        self.bench.tick(self.now_s + 31)
        assert self.bench.engine.flattener.target is None


TestFlatten = FlattenMachine.TestCase
TestFlatten.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
