"""What a seed decides of the world before it begins: latencies, and what venues leave open."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from botkit.config import Config
from botkit.testing.world import simulator_of

__all__ = ["draw_latencies", "draw_quirks", "drawn_of", "eased"]

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
    return _beside(config, venue, "DRAWN")


def eased(config: Config) -> Config:
    """Return `config` with venues' limits that faults as dense as here would use up: `EASED`.

    In two minutes there are as many faults as in months; an hour's budget for connecting is not
    meant for that.
    """
    venues = {
        name: attrs.evolve(table, options={**table.options, **_beside(config, name, "EASED")})
        for name, table in config.venues.items()
    }
    return attrs.evolve(config, venues=venues)


def _beside(config: Config, venue: str, name: str) -> Mapping[str, Any]:
    module = sys.modules[simulator_of(config, venue).__module__]
    found: Mapping[str, Any] = getattr(module, name, {})
    return found
