"""How long a request travels to a simulated venue: a constant, or a seeded log-normal draw."""

from collections.abc import Callable
from typing import Final, Protocol

import attrs

__all__ = ["ConstantLatency", "Latency", "LogNormalLatency"]

BLOCK: Final = 256  # draws made at once; one at a time would cost 3 µs each


class Latency(Protocol):
    """A distribution of one-way delays in nanoseconds, never negative."""

    def sampler(self, seed: tuple[int, int]) -> Callable[[], int]:
        """Return a function that draws the next delay; the same seed gives the same delays."""
        ...


@attrs.frozen(kw_only=True)
class ConstantLatency:
    """Every request takes `delay_ns`."""

    delay_ns: int = attrs.field(validator=attrs.validators.ge(0))

    def sampler(self, seed: tuple[int, int]) -> Callable[[], int]:
        """Return a function that always answers `delay_ns`."""
        delay_ns = self.delay_ns
        return lambda: delay_ns


@attrs.frozen(kw_only=True)
class LogNormalLatency:
    """Delays whose logarithm is normal: half are below `median_ns`, and some are far above.

    `sigma` is the standard deviation of the natural logarithm: at 0.5 one request in twenty
    takes more than 2.3 medians.
    """

    median_ns: int = attrs.field(validator=attrs.validators.gt(0))
    sigma: float = attrs.field(validator=attrs.validators.ge(0.0))

    def sampler(self, seed: tuple[int, int]) -> Callable[[], int]:
        """Return a function that draws from numpy's PCG64 seeded by `seed`."""
        import numpy as np  # noqa: PLC0415 - a run with constant latency does without numpy

        draw = np.random.Generator(np.random.PCG64(seed)).standard_normal
        waiting: list[int] = []

        def sample() -> int:
            if not waiting:
                delays = self.median_ns * np.exp(self.sigma * draw(BLOCK))
                waiting.extend(int(delay) for delay in delays[::-1])
            return waiting.pop()

        return sample
