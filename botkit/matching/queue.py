"""Where a resting order stands in its price level's queue, guessed from level sizes and prints.

Public books tell the size of a level, not who is first in it. An order joins behind all that is
shown. Prints at the price advance it under both models; they differ in what a level that
shrinks without a print, by cancels, does to the quantity ahead.
"""

from typing import Protocol

import attrs

__all__ = ["ProbabilisticQueue", "QueueModel", "RiskAverseQueue"]


class QueueModel(Protocol):
    """Tells how much is ahead of an order after its level has changed."""

    def after_change(self, ahead: float, shown: float, shown_now: float, traded: float) -> float:
        """Return the quantity ahead of us after the level went from `shown` to `shown_now`.

        Parameters
        ----------
        ahead
            Quantity ahead of us, prints already taken off, in base units (contracts).
        shown, shown_now
            Quantity displayed at our price and side before and now; ours is not in it.
        traded
            Quantity printed at our price since `shown` was told: part of the decrease.
        """
        ...


@attrs.frozen
class RiskAverseQueue:
    """Only trades advance us: every cancel is taken to have been behind us."""

    def after_change(
        self,
        ahead: float,
        shown: float,
        shown_now: float,
        traded: float,
    ) -> float:
        """Return `ahead`: what a level shows tells nothing about our place in it."""
        return ahead


@attrs.frozen
class ProbabilisticQueue:
    """Cancels ahead of us advance us too, with a probability that grows with what is ahead.

    A decrease of the level that no print explains came from ahead with probability
    f(front) / (f(front) + f(back)), where f(x) = x**power; the expected quantity is taken off.
    The greater the power, the surer the larger part is the one that shrank.

    Source: E. Rigtorp, "Estimating order queue position" (2013); as the power function
    (`PowerProbQueueFunc`) of hftbacktest's probability queue model.
    """

    power: float = attrs.field(default=3.0, validator=attrs.validators.gt(0.0))

    def after_change(self, ahead: float, shown: float, shown_now: float, traded: float) -> float:
        """Return `ahead` less the expected part of the unexplained decrease."""
        canceled = shown - shown_now - traded
        if canceled > 0:
            behind = max(shown - traded - ahead, 0.0)
            front, back = ahead**self.power, behind**self.power
            ahead -= canceled * front / (front + back) if front + back > 0 else canceled
        # No more can be ahead than is shown: what those behind could not lose was lost ahead.
        return min(max(ahead, 0.0), shown_now)
