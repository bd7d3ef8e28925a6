"""Cancels that are tried again until the venue has answered them."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeGuard

import trio

from botkit.adapter.outbox import OrderKey, key_of, send_failed
from botkit.errors import BotkitError, ConfigError, VenueError, VenueUnreachableError
from botkit.model import (
    CancelOrder,
    Event,
    ExecutionReport,
    OrderCancelReject,
    OrdStatus,
    RequestKind,
    SendFailed,
)
from botkit.ports import Deliver

__all__ = ["LONGEST_PAUSE_S", "Persistence"]

logger = logging.getLogger(__name__)
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 5.0
ENDED: Final = frozenset(
    {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED}
)
Answer = ExecutionReport | OrderCancelReject | SendFailed


class Persistence:
    """Has each cancel tried until an attempt does not fail; the same one only once at a time.

    Between attempts it waits, 0.5 s and then up to 5 s, or until `wake`. What is still under way
    when it ends is told as perhaps sent, so that its sender repeats it.

    What is repeated between attempts has its answer by the next one. What is repeated during the
    one that does not fail is tried once more: what that one brought may have been told before. It
    is not where `told` has seen an answer since.
    """

    def __init__(self, deliver: Deliver, now_ns: Callable[[], int]) -> None:
        self._deliver = deliver
        self._now_ns = now_ns
        self._under_way: dict[OrderKey, CancelOrder | None] = {}  # with what repeats it
        self._woken = trio.Event()

    def wake(self) -> None:
        """Try at once what waits for its next attempt: a road has come up."""
        self._woken.set()
        self._woken = trio.Event()

    def told(self, event: Event) -> None:
        """Take note of an event, before the engine does: it may answer what is repeated."""
        if not _is_answer(event):
            return
        for key in self._under_way:
            if _is_about(event, key):
                self._under_way[key] = None

    async def see_through(
        self,
        cancels: Sequence[CancelOrder],
        attempt: Callable[[Sequence[CancelOrder]], Awaitable[object]],
    ) -> None:
        """Call `attempt` with those `cancels` not under way yet until it raises no more.

        Whatever `VenueError` it raises, and an unusable key, is logged and tried again.
        """
        mine = [each for each in cancels if key_of(each) not in self._under_way]
        self._under_way |= {key_of(each): each for each in cancels}
        try:
            while mine:
                await self._try(mine, attempt)
                repeats = [self._under_way.pop(key_of(each)) for each in mine]
                mine = [each for each in repeats if each is not None]
                self._under_way |= {key_of(each): None for each in mine}
        finally:
            for each in mine:
                del self._under_way[key_of(each)]

    async def _try(
        self,
        mine: Sequence[CancelOrder],
        attempt: Callable[[Sequence[CancelOrder]], Awaitable[object]],
    ) -> None:
        """Call `attempt` until it raises no more."""
        pause_s, may_have_arrived = FIRST_PAUSE_S, False
        try:
            while True:
                woken = self._woken
                self._under_way |= {key_of(each): None for each in mine}
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

    def _log(self, cancels: Sequence[CancelOrder], exc: BotkitError) -> None:
        names = ", ".join(each.client_order_id or str(each.venue_order_id) for each in cancels)
        logger.warning("cancel of %s: %s; it is tried again", names, exc)

    def _give_up(self, cancels: Sequence[CancelOrder], *, reached_venue: bool) -> None:
        for each in cancels:
            text = "the cancel had no answer when the venue's links ended"
            now_ns = self._now_ns()
            self._deliver(send_failed(each, text, reached_venue=reached_venue, now_ns=now_ns))


def _is_answer(event: Event) -> TypeGuard[Answer]:
    """Tell whether an event answers a cancel of the order it is about."""
    match event:
        case ExecutionReport():
            return event.ord_status in ENDED
        case OrderCancelReject():
            return event.response_to is RequestKind.CANCEL
        case SendFailed():
            return event.request is RequestKind.CANCEL
        case _:
            return False


def _is_about(answer: Answer, key: OrderKey) -> bool:
    name, venue_id = key
    told = None if isinstance(answer, SendFailed) else answer.venue_order_id
    return bool(name and answer.client_order_id == name) or (
        venue_id is not None and told == venue_id
    )
