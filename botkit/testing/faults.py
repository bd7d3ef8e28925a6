"""What goes wrong in a simulation, and when: drawn from its seed.

A fault counts once it has had an effect: a cut with no link to cut is drawn anew.
"""

from collections.abc import Mapping
from typing import Final

import attrs
import numpy as np
import trio

from botkit.testing.fault_kinds import Fault, Scene

__all__ = ["EASY", "FEWEST_FAULTS", "Faults"]

FEWEST_FAULTS: Final = 5
MOST_FAULTS: Final = 10
PER_S: Final = 120.0  # so many seconds have that many faults
FIRST_S: Final = 4.0
LAST_S: Final = 12.0  # before the end
LATE: Final = 0.8  # by this part of the time as many as there must be are made sure of
EASY: Final = frozenset({"market_pause"})
"""What is drawn as well, and does not count as a fault."""
# By kind: how often it is drawn, to all others.
WEIGHTS: Final[Mapping[str, float]] = {
    "cut": 2.0,
    "cut_mid_frame": 2.0,
    "half_open": 1.0,
    "stall": 1.5,
    "late_fill": 1.5,
    "lost_ack": 2.0,
    "duplicate": 1.5,
    "http_error": 2.0,
    "http_lost": 1.5,
    "refused_dials": 1.0,
    "unanswered_dials": 0.7,
    "journal": 1.0,
    "kill": 2.5,
    "hang": 0.7,
    "kill_both": 0.8,
    "market_pause": 0.5,
}


@attrs.define(kw_only=True, eq=False)
class Faults(Scene):
    """Draws faults and brings them about."""

    rng: np.random.Generator

    async def bring_about(self, seconds: float) -> None:
        """Let everything drawn for the next `seconds` happen; return when that is over."""
        share = seconds / PER_S
        count = int(self.rng.integers(FEWEST_FAULTS + 1, MOST_FAULTS + 1) * share) + 1
        kinds = list(WEIGHTS)
        weights = np.array(list(WEIGHTS.values()))
        drawn = self.rng.choice(len(kinds), size=count, p=weights / weights.sum())
        moments = np.sort(self.rng.uniform(FIRST_S, max(FIRST_S + 1, seconds - LAST_S), size=count))
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for kind, moment in zip(drawn, moments, strict=True):
                    nursery.start_soon(self._fault(kinds[int(kind)]).happen, float(moment))
                await trio.sleep(seconds * LATE)
                while self.so_many() < FEWEST_FAULTS * share:
                    nursery.start_soon(self._fault("cut").happen, 0.0)
                    await trio.sleep(self.rng.uniform(1.0, 3.0))
                await trio.sleep_forever()

    def so_many(self) -> int:
        """Return how many faults have taken effect, without the easy ones."""
        return sum(number for kind, number in self.counts.items() if kind not in EASY)

    def _fault(self, kind: str) -> Fault:
        seed = int(self.rng.integers(2**32))
        return Fault(faults=self, kind=kind, rng=np.random.default_rng(seed))
