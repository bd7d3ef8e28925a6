"""Bugs planted in how orders are held back: walks against the plain model find every one."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import pytest

from botkit.engine import Engine
from botkit.gate import Gate
from botkit.model import Approved
from tests.property.risk_played import Bend, DisagreementError
from tests.property.risk_walks import walk

WALKS = 300
STEPS = 60


def release(engine: Engine, waiting: Any) -> None:
    """Send what waits as it stands: no rule is asked."""
    view, request = engine.guard.view, waiting.request
    request = msgspec.structs.replace(request, transact_time_ns=engine.now_ns)
    gate = Gate((), engine.settings.capabilities)
    approved = gate.approve_new(request, view.context(request.symbol))
    assert isinstance(approved, Approved)
    del engine.desk.holding._waiting[waiting.order]
    engine.orders.release(waiting.order, engine.now_ns)
    engine.desk.hand_over(approved)


def releases_unchecked(engine: Engine) -> None:
    holding: Any = engine.desk.holding
    holding._try = lambda waiting, _: release(engine, waiting)


def takes_an_order_being_canceled_for_gone(engine: Engine) -> None:
    holding: Any = engine.desk.holding
    look = holding.look

    def look_early() -> None:
        for waiting in list(holding._waiting.values()):
            if all(each.cancel_requested or not each.is_open for each in waiting.ahead):
                release(engine, waiting)
        look()

    holding.look = look_early


def waits_for_ever(engine: Engine) -> None:
    holding: Any = engine.desk.holding
    holding.look = lambda: None


def does_not_count_what_is_held(engine: Engine) -> None:
    orders: Any = engine.orders
    add = orders.add

    def add_uncounted(request: Any, instrument: Any, *, held: bool = False) -> Any:
        order = add(request, instrument, held=held)
        if held:
            tally = order.group.buy if order.side.sign > 0 else order.group.sell
            tally.qty -= order.counted_qty
            order.counted_qty -= order.counted_qty
        return order

    orders.add = add_uncounted


BUGS: Final[Mapping[str, Bend]] = {
    "released without being checked again": releases_unchecked,
    "released before the cancel is confirmed": takes_an_order_being_canceled_for_gone,
    "not released when its way is free": waits_for_ever,
    "not counted while it is held": does_not_count_what_is_held,
}


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_in_holding_orders_back_is_found(name: str) -> None:
    for seed in range(WALKS):
        try:
            walk(np.random.default_rng(seed), STEPS, focus="held", bend=BUGS[name])
        except DisagreementError:
            walk(np.random.default_rng(seed), STEPS, focus="held")
            return
    pytest.fail(f"{WALKS} walks show nothing of it")
