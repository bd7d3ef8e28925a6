"""Every rule at several scopes at once, against a plain model, over whatever may happen to a bot.

No order or replace leaves that carries a worst case past a limit, and every refusal names a rule
that the model finds breached. CONTRIBUTING.md says how to run it for longer.
"""

import os

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.property.risk_operated import OperatedWorld
from tests.property.risk_walks import MOVES, Move, walk

WALKS = int(os.environ.get("RISK_WALKS", "60"))
STEPS = 60
RULES = (
    "funds",
    "max_cancel_rate",
    "max_daily_loss",
    "max_drawdown",
    "max_exposure",
    "max_open_orders",
    "max_order_notional",
    "max_order_qty",
    "max_order_rate",
    "max_position",
    "price_collar_bps",
    "self_trade",
    "stale_data",
)
HAPPENINGS = (
    "appeared late",
    "cancel",
    "dropped unsent",
    "end before its fills",
    "ended by absence",
    "fee told later",
    "fill after cancel",
    "flatten",
    "flatten order refused",
    "halt",
    "held",
    "held order dropped",
    "held order refused",
    "held order released",
    "halted by max_daily_loss",
    "halted by max_drawdown",
    "kill_switch refused",
    "link lost",
    "order passed",
    "order to flatten",
    "pause",
    "pulled for stale_data",
    "ready refused",
    "reducing order passed",
    "replace passed",
    "replaced",
    "restart",
    "resume",
)


class RiskMachine(RuleBasedStateMachine):
    """Do to a bot whatever may happen to it; the world holds each word of a rule to the model."""

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.world = OperatedWorld(lambda below: data.draw(st.integers(0, below - 1)))

    @rule(data=st.data(), move=st.sampled_from(MOVES))
    def go_on(self, data: st.DataObject, move: Move) -> None:
        move(self.world, lambda below: data.draw(st.integers(0, below - 1)))


TestRiskGate = RiskMachine.TestCase
if settings.get_current_profile_name() != "long":
    TestRiskGate.settings = settings(max_examples=30, stateful_step_count=30)


@pytest.mark.parametrize("focus", RULES)
def test_walks_about_one_rule_agree_with_the_model(focus: str) -> None:
    for seed in range(WALKS // 10):
        walk(np.random.default_rng(seed), STEPS, focus=focus)


@pytest.fixture(scope="module")
def counts() -> dict[str, int]:
    """Return how often what happened in a number of walks, the same every time."""
    total: dict[str, int] = {}
    for seed in range(WALKS):
        for what, count in walk(np.random.default_rng(seed), STEPS).counts.items():
            total[what] = total.get(what, 0) + count
    return total


@pytest.mark.parametrize("key", RULES)
def test_each_rule_is_the_one_that_refuses_now_and_then(counts: dict[str, int], key: str) -> None:
    assert counts.get(f"{key} refused", 0) >= 3


@pytest.mark.parametrize("what", HAPPENINGS)
def test_whatever_may_happen_does(counts: dict[str, int], what: str) -> None:
    assert counts.get(what, 0) >= 1
