"""Whatever three bots do at once on Moonbase, they and the exchange know the same of it."""

import os

import pytest

from tests.simulation.agreement import MEMBERS, disagreements

ROUNDS = int(os.environ.get("AGREEMENT_ROUNDS", "1"))


@pytest.mark.parametrize("seed", [1, 2])
def test_bots_and_exchange_agree_to_the_last_digit(seed: int) -> None:
    options = {
        name: {
            "url": "ws://exchange.test/socket/api/websocket",
            "rest_url": "http://exchange.test/api/v1",
            "key": f"test-key-{name}",
            "secret": f"test-secret-{name}",
            "max_requests_per_minute": 10_000,
        }
        for name in MEMBERS
    }
    told, orders = disagreements(
        "moonbase",
        "moonbase:ETH_D:BTC_D",
        options,
        seed=seed,
        rounds=ROUNDS,
        qty="0.05",
        quirks={"requests_a_minute": 10_000},
    )
    assert told == []
    assert orders > 200 * ROUNDS
