"""Whatever three bots do at once on Peatio, they and the exchange know the same of it."""

import os

import pytest

from tests.simulation.agreement import MEMBERS, disagreements
from venues.peatio.issuer import Issuer

ROUNDS = int(os.environ.get("AGREEMENT_ROUNDS", "1"))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("generation", ["websocket_api", "ranger"])
def test_bots_and_exchange_agree_to_the_last_digit(generation: str, seed: int) -> None:
    issuer = Issuer()
    path = "" if generation == "websocket_api" else "api/v2/ranger"
    options = {
        name: {
            "generation": generation,
            "url": f"ws://exchange.test/{path}",
            "rest_url": "http://exchange.test/api/v2",
            "token": issuer.issue(name),
            "fees": {"maker_bps": "20", "taker_bps": "20"},
            "instruments": {"btcusd": {"tick_size": "0.01", "lot_size": "0.0001"}},
            "max_requests_per_second": 200,
            "cancel_reserve": 50,
        }
        for name in MEMBERS
    }
    told, orders = disagreements(
        "peatio",
        "peatio:btcusd",
        options,
        seed=seed,
        rounds=ROUNDS,
        qty="0.001",
        fees_in_base=True,
    )
    assert told == []
    assert orders > 200 * ROUNDS
