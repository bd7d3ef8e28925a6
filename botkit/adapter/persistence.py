"""Cancels that are tried again until the venue has answered them."""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import trio

from botkit.adapter.outbox import OrderKey, key_of, send_failed
from botkit.errors import BotkitError, ConfigError, VenueError, VenueUnreachableError
from botkit.model import CancelOrder
from botkit.ports import Deliver

__all__ = ["LONGEST_PAUSE_S", "Persistence"]

logger = logging.getLogger(__name__)
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 5.0


class Persistence:
    """Has each cancel tried until an attempt does not fail; the same one only once at a time.

    Between attempts it waits, 0.5 s and then up to 5 s, or until `wake`. What is still under way
    when it ends is told as perhaps sent, so that its sender repeats it.
    """

    def __init__(self, deliver: Deliver, now_ns: Callable[[], int]) -> None:
        self._deliver = deliver
        self._now_ns = now_ns
        self._under_way: set[OrderKey] = set()
        self._woken = trio.Event()

    def wake(self) -> None:
        """Try at once what waits for its next attempt: a road has come up."""
        self._woken.set()
        self._woken = trio.Event()

    async def see_through(
        self,
        cancels: Sequence[CancelOrder],
        attempt: Callable[[Sequence[CancelOrder]], Awaitable[object]],
    ) -> None:
        """Call `attempt` with those `cancels` not under way yet until it raises no more.

        Whatever `VenueError` it raises, and an unusable key, is logged and tried again.
        """
        with self._taken(cancels) as mine:
            pause_s, may_have_arrived = FIRST_PAUSE_S, False
            try:
                while mine:
                    woken = self._woken
                    try:
                        await attempt(mine)
                    except (VenueError, ConfigError) as exc:
                        may_have_arrived |= not isinstance(exc, VenueUnreachableError)
                        self._log(mine, exc)
                    else:
                        return
                    with trio.move_on_after(pause_s):
                        await woken.wait()
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            except trio.Cancelled:
                self._give_up(mine, reached_venue=may_have_arrived)
                raise

    @contextmanager
    def _taken(self, cancels: Sequence[CancelOrder]) -> Iterator[list[CancelOrder]]:
        mine = [each for each in cancels if key_of(each) not in self._under_way]
        keys = {key_of(each) for each in mine}
        self._under_way |= keys
        try:
            yield mine
        finally:
            self._under_way -= keys

    def _log(self, cancels: Sequence[CancelOrder], exc: BotkitError) -> None:
        names = ", ".join(each.client_order_id or str(each.venue_order_id) for each in cancels)
        logger.warning("cancel of %s: %s; it is tried again", names, exc)

    def _give_up(self, cancels: Sequence[CancelOrder], *, reached_venue: bool) -> None:
        for each in cancels:
            text = "the cancel had no answer when the venue's links ended"
            now_ns = self._now_ns()
            self._deliver(send_failed(each, text, reached_venue=reached_venue, now_ns=now_ns))
