"""Twenty seeds at each venue and of a bot at two, with faults: whatever happens, all holds.

`benchmarks/storm.py` runs thousands. A seed that fails is told with the command that replays it.
"""

import pytest

from botkit.testing.faults import EASY
from tests.simulation.storming import CONFIGS, told, weather

SLICES = [
    (config, first) for config in CONFIGS for first in (1, 6, 11, 16) if config != "two_venues"
]


@pytest.mark.parametrize(("config", "first"), [*SLICES, ("two_venues", 1)])
def test_whatever_goes_wrong_all_holds(config: str, first: int) -> None:
    seeds = range(first, first + 5)
    storm, outcomes = weather(config, seeds)

    assert [each.seed for each in outcomes] == list(seeds)
    assert not told(storm, outcomes), told(storm, outcomes)
    for each in outcomes:
        faults = sum(count for kind, count in each.faults.items() if kind not in EASY)
        assert faults >= 5, each.seed
        assert each.orders >= 20, each.seed
