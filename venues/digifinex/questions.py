"""Questions about our orders on their way to REST: merged, and asked at the pace of its rate."""

from collections import deque
from typing import Final

import trio

from botkit.model import AskListing, AskStatus

__all__ = ["Questions"]

MOST_LISTINGS: Final = 8  # the newest; who has asked longer ago has asked again


class Questions:
    """Keeps what is asked until somebody takes it; the same order is asked for once.

    The engine asks again and again until it is answered. Without this, what was asked while the
    venue did not answer would be asked as often as that afterwards, and spend its rate.
    """

    def __init__(self) -> None:
        self._orders: dict[str, AskStatus] = {}
        self._listings: deque[AskListing] = deque(maxlen=MOST_LISTINGS)
        self._news = trio.Event()

    def put(self, question: AskStatus | AskListing) -> None:
        """Take a question; one for an order that the venue has not named is left out."""
        match question:
            case AskListing():
                self._listings.append(question)
            case AskStatus(venue_order_id=str() as order_id):
                self._orders[order_id] = question
            case _:
                return
        self._news.set()

    async def take(self) -> tuple[list[AskStatus], list[AskListing]]:
        """Return all that waits, once there is something."""
        await self._news.wait()
        self._news = trio.Event()
        taken = [*self._orders.values()], [*self._listings]
        self._orders.clear()
        self._listings.clear()
        return taken
