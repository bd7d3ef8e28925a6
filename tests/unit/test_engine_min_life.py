"""Where a venue bans who cancels too soon, a strategy's wish waits, and nothing else does."""

from collections.abc import Callable

import attrs
import pytest

from botkit.model import CancelAction, HaltAction, OrdStatus, StopRequested, StrategyEnded, Tick
from botkit.testing import time_ns
from botkit.testing.engine_rig import CAPABLE, Actor, EngineRig

LIFE_NS = 5_000_000_000


class Bench:
    """A rig whose venue wants orders to live for five seconds, and an order placed at second 0."""

    def __init__(self) -> None:
        self.actor = Actor()
        capabilities = attrs.evolve(CAPABLE, min_life_ns=LIFE_NS)
        self.rig = EngineRig(self.actor, capabilities=capabilities)
        self.rig.start()
        self.order = self.actor.buy(self.actor.instrument, 2, price="99")
        self.rig.report(self.order, OrdStatus.NEW, 0.1)

    def wish(self, after_s: float, *, at_once: bool = False) -> None:
        name = self.order.client_order_id
        stamp = time_ns(after_s)
        self.rig.engine.handle(
            CancelAction(client_order_id=name, strategy="a", at_once=at_once, receive_time_ns=stamp)
        )

    def wait(self, until_s: float) -> None:
        self.rig.engine.handle(Tick(time_ns(until_s)))

    @property
    def canceled_at(self) -> list[int]:
        return [each.transact_time_ns for each in self.rig.cancels]


def test_wish_is_carried_out_once_when_the_order_is_old_enough() -> None:
    bench = Bench()
    bench.wish(1)
    bench.wish(2)
    bench.wait(4.9)
    assert bench.canceled_at == []
    assert bench.order.ord_status is OrdStatus.NEW
    bench.wait(5)
    assert bench.canceled_at == [time_ns(5)]


def test_wish_does_not_wait_for_an_order_that_is_old_or_has_filled() -> None:
    old, filled = Bench(), Bench()
    old.wish(5)
    filled.rig.fill(filled.order, "1", "99", 1, exec_id="e")
    filled.wish(2)
    assert old.canceled_at == [time_ns(5)]
    assert filled.canceled_at == [time_ns(2)]


def test_order_that_ends_meanwhile_is_not_canceled() -> None:
    bench = Bench()
    bench.wish(1)
    bench.rig.fill(bench.order, "2", "99", 2, exec_id="e")
    bench.wait(9)
    assert bench.canceled_at == []


@pytest.mark.parametrize(
    "pull",
    [
        lambda bench: bench.wish(2, at_once=True),
        lambda bench: bench.rig.engine.handle(
            StopRequested(reason="enough", receive_time_ns=time_ns(2))
        ),
        lambda bench: bench.rig.engine.handle(
            HaltAction(strategy="a", reason="enough", receive_time_ns=time_ns(2))
        ),
        lambda bench: bench.rig.engine.handle(
            StrategyEnded(strategy="a", error="", receive_time_ns=time_ns(2))
        ),
    ],
    ids=["clean-up", "the end", "halt", "a strategy's end"],
)
def test_whatever_else_cancels_does_not_wait_behind_a_wish(pull: Callable[[Bench], None]) -> None:
    bench = Bench()
    bench.wish(1)
    pull(bench)
    assert bench.canceled_at == [time_ns(2)]
