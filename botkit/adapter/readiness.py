"""Which parts of a venue are ready, told when one changes."""

from collections.abc import Callable

from botkit.model import VenueStatus
from botkit.ports import Deliver

__all__ = ["Readiness"]


class Readiness:
    """Keeps the three parts of a `VenueStatus` and delivers one for every change.

    Parameters
    ----------
    venue
        Our name for the venue.
    """

    def __init__(self, venue: str, deliver: Deliver, now_ns: Callable[[], int]) -> None:
        self._venue = venue
        self._deliver = deliver
        self._now_ns = now_ns
        self._told: tuple[bool, bool, bool] | None = None
        self.market_data = False
        self.private = False
        self.order_entry = False

    def tell(
        self,
        reason: str,
        *,
        market_data: bool | None = None,
        private: bool | None = None,
        order_entry: bool | None = None,
    ) -> None:
        """Set the parts given; say so if that changed anything, or nothing was said yet."""
        if market_data is not None:
            self.market_data = market_data
        if private is not None:
            self.private = private
        if order_entry is not None:
            self.order_entry = order_entry
        now = (self.market_data, self.private, self.order_entry)
        if now == self._told:
            return
        self._told = now
        self._deliver(
            VenueStatus(
                venue=self._venue,
                market_data=self.market_data,
                private=self.private,
                order_entry=self.order_entry,
                reason=reason,
                receive_time_ns=self._now_ns(),
            )
        )

    def lost(self, reason: str) -> None:
        """Say that nothing is ready, if something was."""
        if self._told not in (None, (False, False, False)):
            self.tell(reason, market_data=False, private=False, order_entry=False)
