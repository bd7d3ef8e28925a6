"""The hidden fair price behind a synthetic market."""

import math
from typing import Final

from venues.paper.feeds.draws import Draws

__all__ = ["YEAR_S", "FairPrice"]

YEAR_S: Final = 365 * 86_400.0
CALM_DOWN_S: Final = 120.0  # mean time in which volatility comes back to its usual level
HEAT_SD: Final = 0.4  # of log volatility about its usual level
TREND_MEAN_S: Final = 90.0
TREND_SHARES: Final = ((0.3, -1), (0.6, 1), (1.0, 0))  # cumulative chance, direction
DRIFT: Final = 0.15  # of a trend, in one-second standard deviations a second
SHOCK_EVERY_S: Final = 300.0
SHOCK_SIZE: Final = 6.0  # in one-second standard deviations; how large they are at least
SHOCK_HEAT: Final = 0.6
DIFFUSION: Final = 0.55  # part of the volatility that is not shocks, trends and impact; measured
EVEN: Final = 0.5


class FairPrice:
    """A random walk whose volatility wanders and reverts, with trends and now and then a shock.

    Parameters
    ----------
    price
        Where it starts, in quote currency.
    volatility
        Usual standard deviation of log returns over a year: 0.8 is 80 %.
    """

    __slots__ = (
        "_draws",
        "_heat",
        "_log",
        "_shock_due_s",
        "_trend_left_s",
        "_usual",
        "sigma",
        "trend",
    )

    def __init__(self, price: float, volatility: float, draws: Draws) -> None:
        self._draws = draws
        self._log = math.log(price)
        self._usual = DIFFUSION * volatility / math.sqrt(YEAR_S)
        self._heat = HEAT_SD * draws.normal()
        self._trend_left_s = 0.0
        self._shock_due_s = SHOCK_EVERY_S * draws.exponential()
        self.trend = 0
        """-1, 0 or 1: which way it drifts at present."""
        self.sigma = self._usual
        """Standard deviation of log returns over one second, at present."""

    @property
    def price(self) -> float:
        """The price now, in quote currency."""
        return math.exp(self._log)

    @property
    def heat(self) -> float:
        """Volatility now over usual volatility; 1 for a market without any."""
        return self.sigma / self._usual if self._usual else 1.0

    def push(self, log_return: float) -> None:
        """Move by what trades have told."""
        self._log += log_return

    def advance(self, elapsed_s: float) -> int:
        """Go on in time; return the direction of a shock that has happened, 0 if none has."""
        draws = self._draws
        pull = min(1.0, elapsed_s / CALM_DOWN_S)
        self._heat += HEAT_SD * math.sqrt(2 * pull) * draws.normal() - pull * self._heat
        self.sigma = self._usual * math.exp(self._heat - HEAT_SD * HEAT_SD)
        self._trend_left_s -= elapsed_s
        if self._trend_left_s <= 0:
            chance = draws.uniform()
            self.trend = next(way for share, way in TREND_SHARES if chance < share)
            self._trend_left_s = TREND_MEAN_S * draws.exponential()
        self._log += self.sigma * (
            math.sqrt(elapsed_s) * draws.normal() + DRIFT * self.trend * elapsed_s
        )
        self._shock_due_s -= elapsed_s
        return self._shock() if self._shock_due_s <= 0 else 0

    def _shock(self) -> int:
        draws = self._draws
        direction = 1 if draws.uniform() < EVEN else -1
        self._log += direction * self._usual * SHOCK_SIZE * (1 + draws.exponential())
        self._heat += SHOCK_HEAT
        self._shock_due_s = SHOCK_EVERY_S * draws.exponential()
        return direction
