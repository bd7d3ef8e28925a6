"""Whatever three bots do at once on BlinkTrade, they and the exchange know the same of it."""

import os
from collections.abc import Mapping
from typing import Any

import pytest

from tests.simulation.agreement import MEMBERS, disagreements

ROUNDS = int(os.environ.get("AGREEMENT_ROUNDS", "1"))


@pytest.mark.parametrize(
    ("seed", "quirks"),
    [
        (1, {}),
        (2, {"locked": False, "no_funds": "cancel", "taker_fees": False, "number_as_id": True}),
    ],
)
def test_bots_and_exchange_agree_to_the_last_digit(seed: int, quirks: Mapping[str, Any]) -> None:
    options = {
        name: {
            "url": "ws://exchange.test/trade/",
            "broker_id": 5,
            "key": f"test-key-{name}",
            "password": f"test-password-{name}",
            "instruments": {"BTCUSD": {"lot_size": "0.000001"}},
            "ord_types": ["LIMIT", "MARKET"],
            "max_messages_per_second": 15,
        }
        for name in MEMBERS
    }
    told, orders = disagreements(
        "blinktrade", "blinktrade:BTCUSD", options, seed=seed, rounds=ROUNDS, qty="0.001",
        quirks=quirks,
        fees_in_base=True,
    )  # fmt: skip
    assert told == []
    assert orders > 150 * ROUNDS  # the venue takes 16 messages a second, cancels among them
