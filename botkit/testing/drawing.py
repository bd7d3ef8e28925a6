"""What a seed decides of the world before it begins: latencies, and what venues leave open."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from botkit.config import Config
from botkit.testing.world import simulator_of

__all__ = ["draw_latencies", "draw_quirks", "drawn_of"]

LATENCIES_S = (0.001, 0.005, 0.02, 0.05)


def draw_latencies(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Return how long a byte takes to each venue, one way, in seconds."""
    return {
        name: round(float(rng.choice(LATENCIES_S) * rng.uniform(0.5, 1.5)), 6)
        for name in config.venues
    }


def draw_quirks(
    config: Config, rng: np.random.Generator, given: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return every quirk of every venue's simulator, drawn, but for those `given`."""
    found: dict[str, dict[str, Any]] = {}
    for name in config.venues:
        drawn = {
            quirk: values[int(rng.integers(len(values)))]
            for quirk, values in drawn_of(config, name).items()
        }
        found[name] = {**drawn, **given.get(name, {})}
    return found


def drawn_of(config: Config, venue: str) -> Mapping[str, Sequence[Any]]:
    """Return what may be drawn for each quirk: `DRAWN`, beside the simulator's class."""
    module = sys.modules[simulator_of(config, venue).__module__]
    drawn: Mapping[str, Sequence[Any]] = getattr(module, "DRAWN", {})
    return drawn
