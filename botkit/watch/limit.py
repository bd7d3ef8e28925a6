"""At most one alert of a kind within a time; what came meanwhile is told together."""

from math import inf
from typing import TYPE_CHECKING

import attrs
import msgspec

from botkit.watch.alert import Alert

if TYPE_CHECKING:
    from botkit.config import AlertKind

__all__ = ["RateLimit"]


@attrs.define
class _Quiet:
    """The time after an alert went out: until when, and what came meanwhile."""

    until_s: float
    held: Alert | None = None
    count: int = 0


class RateLimit:
    """Lets one alert of a kind pass in `every_s`. Times are in seconds, on any clock.

    Of those held back the latest goes out when the time is over, and says how many there were.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._quiet: dict[AlertKind, _Quiet] = {}

    def offer(self, alert: Alert, now_s: float) -> list[Alert]:
        """Return what goes out now because of `alert`."""
        quiet = self._quiet.get(alert.kind)
        if quiet is not None and (now_s < quiet.until_s or quiet.held is not None):
            quiet.held = alert
            quiet.count += 1
            return self.due(now_s)
        self._quiet[alert.kind] = _Quiet(now_s + self._every_s)
        return [alert]

    def due(self, now_s: float = inf) -> list[Alert]:
        """Return what was held back until now; all of it if there is no later."""
        released: list[Alert] = []
        for kind, quiet in self._quiet.items():
            if quiet.held is not None and now_s >= quiet.until_s:
                released.append(_summed(quiet.held, quiet.count - 1))
                self._quiet[kind] = _Quiet(now_s + self._every_s)
        return released


def _summed(alert: Alert, more: int) -> Alert:
    if not more:
        return alert
    return msgspec.structs.replace(alert, lines=(*alert.lines, f"and {more} more like it before"))
