"""Whatever three bots do at once on Finery, they and the exchange know the same of it."""

import os

import pytest

from tests.simulation.agreement import MEMBERS, disagreements

ROUNDS = int(os.environ.get("AGREEMENT_ROUNDS", "1"))


@pytest.mark.parametrize("seed", [1, 2])
def test_bots_and_exchange_agree_to_the_last_digit(seed: int) -> None:
    options = {
        name: {
            "url": "ws://exchange.test/ws",
            "rest_url": "http://exchange.test/api",
            "key": f"test-key-{name}",
            "secret": f"test-secret-{name}",
            "max_requests_per_second": 100,
        }
        for name in MEMBERS
    }
    told, orders = disagreements(
        "finery", "finery:BTC-EUR", options, seed=seed, rounds=ROUNDS, qty="0.001"
    )
    assert told == []
    assert orders > 300 * ROUNDS
