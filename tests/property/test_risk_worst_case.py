"""Position limit and kill switch against plain models, over orders that go every way they can."""

from decimal import Decimal
from itertools import product

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from botkit.model import (
    CleanUpExpired,
    Halted,
    Operation,
    OperatorCommand,
    OrderCancelReject,
    OrdStatus,
    RequestKind,
    Side,
)
from botkit.orders import Order
from botkit.testing import SYMBOL, time_ns
from botkit.testing.engine_rig import CAPABLE
from tests.unit.risk_bench import RiskBench

LIMIT = 4
LOTS = st.integers(1, 4)
SIDES = st.sampled_from(Side)


@attrs.define
class Model:
    """One order as a plain list of what may still fill of it: each leg by itself."""

    side: Side
    qty: int
    cum: int = 0
    asked: int | None = None  # by a replace in flight
    cum_when_asked: int = 0

    def most(self) -> int:
        """Return the most that may still fill: the old leg to its end, then all of the new."""
        if self.asked is None:
            return self.qty - self.cum
        return self.qty + max(0, self.asked - self.cum_when_asked) - self.cum


class PositionMachine(RuleBasedStateMachine):
    """Two strategies send, fill, cancel, replace and lose orders; no road leads past the limit."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = RiskBench({"max_position": str(LIMIT)}, keep_running=True)
        self.open: dict[str, tuple[Order, Model]] = {}
        self.position = 0
        self.seconds = 0.0

    def pick(self, data: st.DataObject) -> tuple[Order, Model]:
        order, model = self.open[data.draw(st.sampled_from(sorted(self.open)))]
        return order, model

    def side_after(self, side: Side, added: int) -> int:
        """Return the worst position on a side by trying every outcome of every open order."""
        legs = [range(model.most() + 1) for _, model in self.open.values() if model.side is side]
        sums = {sum(outcome) for outcome in product(*legs)} if len(legs) < 5 else set()
        most = max(sums, default=0) if sums else sum(each[-1] for each in legs)
        return most + added + self.position * side.sign

    @rule(side=SIDES, qty=LOTS, of=st.integers(0, 1))
    def send(self, side: Side, qty: int, of: int) -> None:
        price = "98" if side is Side.BUY else "102"
        worst = self.side_after(side, qty)
        order = self.bench.place(side, str(qty), price, of=of)
        assert order.is_open is (worst <= LIMIT), (worst, order.text)
        assert self.bench.verdict().measured == worst
        if order.is_open:
            self.bench.ack(order)
            self.open[order.client_order_id] = (order, Model(side, qty))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def fill(self, data: st.DataObject) -> None:
        order, model = self.pick(data)
        room = model.qty - model.cum
        if room <= 0:
            return
        qty = data.draw(st.integers(1, room))
        self.bench.fills_at(order, str(qty), str(order.price), self.seconds)
        model.cum += qty
        self.position += qty * model.side.sign
        if order.is_closed:
            del self.open[order.client_order_id]

    @precondition(lambda self: self.open)
    @rule(data=st.data(), confirmed=st.booleans())
    def cancel(self, data: st.DataObject, *, confirmed: bool) -> None:
        order, model = self.pick(data)
        order.cancel()
        if confirmed and model.asked is None:
            self.bench.report(order, OrdStatus.CANCELED, self.seconds)
            del self.open[order.client_order_id]

    @precondition(lambda self: self.open)
    @rule(data=st.data(), qty=LOTS)
    def replace(self, data: st.DataObject, qty: int) -> None:
        order, model = self.pick(data)
        if model.asked is not None or order.ord_status is OrdStatus.UNKNOWN or qty <= model.cum:
            return
        before = len(self.bench.replaces)
        after = attrs.evolve(model, asked=qty, cum_when_asked=model.cum)
        worst = self.side_after(model.side, after.most() - model.most())
        order.replace(qty=Decimal(qty))
        assert (len(self.bench.replaces) > before) is (worst <= LIMIT), worst
        if len(self.bench.replaces) > before:
            self.open[order.client_order_id] = (order, after)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def decline_the_replace(self, data: st.DataObject) -> None:
        order, model = self.pick(data)
        if order.replacing is None:
            return
        self.bench.engine.handle(
            OrderCancelReject(
                symbol=SYMBOL,
                client_order_id=order.replacing.request.client_order_id,
                response_to=RequestKind.REPLACE,
                ord_status=OrdStatus.NEW,
                receive_time_ns=time_ns(self.seconds),
            )
        )
        model.asked = None
        if order.is_closed:
            del self.open[order.client_order_id]

    @rule()
    def lose_sight(self) -> None:
        self.seconds += 0.001
        orders = self.bench.engine.orders.working()
        ids = tuple(order.client_order_id for order in orders)
        stamp = time_ns(self.seconds)
        self.bench.engine.handle(CleanUpExpired(client_order_ids=ids, receive_time_ns=stamp))
        assert all(order.ord_status is OrdStatus.UNKNOWN for order in orders)

    @invariant()
    def no_road_leads_past_the_limit(self) -> None:
        assert self.bench.engine.portfolio.position(SYMBOL) == self.position
        for side in Side:
            assert self.side_after(side, 0) <= LIMIT
            worst = self.bench.engine.orders.leaves(SYMBOL, side) + self.position * side.sign
            assert worst == self.side_after(side, 0)


class HaltMachine(RuleBasedStateMachine):
    """Once halted, by whomever, only what reduces leaves; cancels always do; it stays halted."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Halted] = []
        self.bench = RiskBench({"max_drawdown": "50"}, keep_running=True, on_halt=self.told.append)
        self.orders: list[Order] = []
        self.seconds = 0.0

    @property
    def is_halted(self) -> bool:
        return self.bench.engine.guard.halted is not None

    @rule(side=SIDES, qty=LOTS, of=st.integers(0, 1))
    def send(self, side: Side, qty: int, of: int) -> None:
        held = self.bench.engine.portfolio.position(SYMBOL)
        leaves = sum(
            (each.worst_leaves() for each in self.orders if each.side is side), Decimal(qty)
        )
        reduces = held * side.sign < 0 and leaves <= abs(held)
        order = self.bench.place(side, str(qty), "100", of=of)
        assert order.is_open is (reduces or not self.is_halted)
        if order.is_open:
            self.bench.ack(order)
            self.orders.append(order)

    @precondition(lambda self: any(each.is_open for each in self.orders))
    @rule(data=st.data())
    def fill(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from([each for each in self.orders if each.is_open]))
        self.bench.fills_at(order, str(order.leaves_qty), "100", self.seconds)

    @precondition(lambda self: any(each.is_open for each in self.orders))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from([each for each in self.orders if each.is_open]))
        is_new = not order.cancel_requested
        before = len(self.bench.cancels)
        order.cancel()
        assert len(self.bench.cancels) - before == is_new

    @rule(how=st.sampled_from(["operator", "strategy", "market"]))
    def halt(self, how: str) -> None:
        self.seconds += 1.5
        rig, before, was_halted = self.bench, len(self.bench.cancels), self.is_halted
        fresh = [each for each in self.orders if each.is_open and not each.cancel_requested]
        if how == "operator":
            stamp = time_ns(self.seconds)
            rig.engine.handle(OperatorCommand(operation=Operation.HALT, receive_time_ns=stamp))
        elif how == "strategy":
            rig.actors[0].halt("odd")
        else:
            rig.quote(self.seconds, 1, 999)
            rig.tick(self.seconds + 1)
        held = rig.engine.portfolio.position(SYMBOL)
        if how != "market":
            assert self.is_halted
        elif held:
            assert self.is_halted  # each unit held is marked at a loss beyond the limit
        if self.is_halted and not was_halted:
            sent = [each.client_order_id for each in rig.cancels[before:]]
            first = [each.client_order_id for each in fresh]
            assert [each for each in sent if each in first] == first  # an overdue one is repeated

    @invariant()
    def it_trips_once_and_stays(self) -> None:
        assert self.told == self.bench.recorded(Halted)
        assert len(self.told) == self.is_halted


TestPositionLimit = PositionMachine.TestCase
TestKillSwitch = HaltMachine.TestCase
for case in (TestPositionLimit, TestKillSwitch):
    case.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
assert not CAPABLE.replace_atomic  # the model counts old plus new
