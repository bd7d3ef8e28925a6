"""Whatever three bots do at once on DigiFinex, they and the exchange know the same of it."""

import os

import pytest

from tests.simulation.agreement import MEMBERS, disagreements

ROUNDS = int(os.environ.get("AGREEMENT_ROUNDS", "1"))
PER_MINUTE = 1_000_000


PLAIN: dict[str, object] = {}
UNRELIABLE = {
    "lost_answers": 0.05,
    "busy": 0.03,
    "failing_reads": 0.03,
    "lifetime_s": 17.0,
    "repeats": 0.3,
    "disorder": 0.3,
}


@pytest.mark.parametrize(("seed", "quirks"), [(1, PLAIN), (2, PLAIN), (7, UNRELIABLE)])
def test_bots_and_exchange_agree_to_the_last_digit(seed: int, quirks: dict[str, object]) -> None:
    options = {
        name: {
            "url": "ws://exchange.test/ws/v1/",
            "rest_url": "http://exchange.test/v3",
            "key": f"test-key-{name}",
            "secret": f"test-secret-{name}",
            "posts_per_minute": PER_MINUTE,
            "gets_per_minute": PER_MINUTE,
            "conduct": False,
            "min_life": "0s",
        }
        for name in MEMBERS
    }
    told, orders = disagreements(
        "digifinex",
        "digifinex:BTC_USDT",
        options,
        seed=seed,
        rounds=ROUNDS,
        qty="0.001",
        fees_in_base=True,
        quirks={"rate_limits": False, "conduct": False, **quirks},
    )
    assert told == []
    assert orders > 100 * ROUNDS
