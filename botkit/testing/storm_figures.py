"""What many seeds come to."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import attrs

from botkit.testing.storm import SeedOutcome

__all__ = ["StormFigures", "part"]

S_PER_HOUR: Final = 3600.0
HARNESS: Final = "harness: only"  # what a problem says of a seed in which too little happened


@attrs.define(kw_only=True, eq=False)
class StormFigures:
    """Sums over seeds, and the outcomes worth a look.

    Attributes
    ----------
    failed
        Seeds in which something did not hold, or that did not come to their end.
    faults
        How many took effect, by kind.
    gone_after_s
        How long each order that a guardian had to see gone was unattended.
    slowest
        The seeds in which one of them took longest, the longest first.
    """

    seeds: int = 0
    simulated_s: float = 0.0
    cpu_s: float = 0.0
    orders: int = 0
    fills: int = 0
    restarts: int = 0
    failed: list[SeedOutcome] = attrs.field(factory=list)
    faults: Counter[str] = attrs.field(factory=Counter)
    gone_after_s: list[float] = attrs.field(factory=list)
    slowest: list[SeedOutcome] = attrs.field(factory=list)

    def take(self, outcome: SeedOutcome) -> None:
        """Count one more seed."""
        self.seeds += 1
        self.simulated_s += outcome.seconds
        self.cpu_s += outcome.cpu_s
        self.orders += outcome.orders
        self.fills += outcome.fills
        self.restarts += outcome.restarts
        self.faults.update(outcome.faults)
        self.gone_after_s += outcome.gone_after_s
        if outcome.failed:
            self.failed.append(outcome)
        elif outcome.gone_after_s:
            ranked = sorted([*self.slowest, outcome], key=lambda each: -max(each.gone_after_s))
            self.slowest = ranked[:3]

    @property
    def hours(self) -> float:
        """How many were simulated."""
        return self.simulated_s / S_PER_HOUR

    @property
    def cpu_s_an_hour(self) -> float:
        """CPU seconds that one simulated hour took."""
        return self.cpu_s / self.hours if self.hours else 0.0

    @property
    def weak(self) -> list[SeedOutcome]:
        """The failed seeds in which nothing broke, and too little happened to show anything."""
        return [
            each
            for each in self.failed
            if not each.error and all(HARNESS in problem for problem in each.problems)
        ]

    def as_object(self) -> dict[str, Any]:
        """Return the figures for programs."""
        return {
            "seeds": self.seeds,
            "failed": sorted(each.seed for each in self.failed),
            "simulated_hours": round(self.hours, 4),
            "cpu_s": round(self.cpu_s, 3),
            "orders": self.orders,
            "fills": self.fills,
            "restarts": self.restarts,
            "faults": dict(sorted(self.faults.items())),
            "unattended": {
                "orders": len(self.gone_after_s),
                "median_s": part(self.gone_after_s, 0.5),
                "p95_s": part(self.gone_after_s, 0.95),
                "max_s": part(self.gone_after_s, 1.0),
            },
        }


def part(values: Sequence[float], share: float) -> float | None:
    """Return the value that `share` of them do not exceed; None of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
