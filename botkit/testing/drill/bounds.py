"""How long orders may be unattended, from the figures that an adapter goes by itself."""

from collections.abc import Iterable
from typing import Final

import attrs

from botkit.ports import AttendedVenue, Term, Venue

__all__ = ["Bounds", "bounds_of"]

LONGEST_S: Final = 60.0
SLACK_S: Final = 3.0
"""What a machine that runs several bots at once may take besides."""
USUAL_S: Final = 30.0  # of a venue that tells no figures


@attrs.frozen(kw_only=True)
class Bounds:
    """Seconds of one venue.

    Parameters
    ----------
    noticed_s
        Until a link that is silent is given up.
    ended_s
        From then, or from a link's visible end, until what rests is gone.
    """

    noticed_s: float
    ended_s: float


def bounds_of(venue: Venue) -> Bounds:
    """Return the bounds of a venue, as configured."""
    if not isinstance(venue, AttendedVenue):
        return Bounds(noticed_s=USUAL_S, ended_s=USUAL_S)
    told = venue.liveness()
    down = told.cancel_while_down
    ended_s = _sum(told.connect) + _sum(told.cancel) if down is None else _sum(down)
    return Bounds(
        noticed_s=max((each.noticed_s for each in told.streams), default=0.0),
        ended_s=min(ended_s, LONGEST_S) + SLACK_S,
    )


def _sum(terms: Iterable[Term]) -> float:
    return sum(term.seconds for term in terms)
