"""Requests on their way from the engine to one venue's transport: cancels first."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

from botkit.model import (
    AskListing,
    AskStatus,
    CancelOrder,
    ClientOrderId,
    NewOrder,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    VenueOrderId,
)
from botkit.ports import Deliver

__all__ = ["OrderKey", "Outbox", "Outgoing", "key_of", "kind_of", "send_failed"]

Outgoing = NewOrder | ReplaceOrder | CancelOrder | AskStatus | AskListing
OrderKey = tuple[ClientOrderId, VenueOrderId | None]
DOWN: Final = "not sent: the link is down"


class Outbox:
    """Takes requests by plain calls and hands them to the one task that sends.

    While it is closed, as it is before the link is up and after its loss, a request comes back
    at once as not sent and a question gets no answer. Cancels overtake everything; a second
    cancel of an order that waits here still is left out. A new order that is canceled while it
    waits here is given back as not sent, and its cancel dropped: it would find no order.

    Under `standing_by` cancels and questions pass though it is closed: there is a road for them.
    They wait here before either has begun, for a run that has only to cancel does so at once.

    A cancel that is repeated in the moment it was given back is dropped: it would come back again
    for ever. The engine repeats it when it is overdue.
    """

    def __init__(self, deliver: Deliver, *, reason: str = DOWN) -> None:
        self._deliver = deliver
        self._reason = reason
        self._is_open = False
        self._is_standing = False
        self._has_begun = False
        self._cancels: dict[OrderKey, CancelOrder] = {}
        self._others: deque[Outgoing] = deque()
        self._news = trio.Event()
        self._returned: dict[OrderKey, int] = {}  # cancels, by when they were sent

    def __len__(self) -> int:
        return len(self._cancels) + len(self._others)

    def open(self) -> None:
        """Let requests pass."""
        self._is_open = self._has_begun = True

    @contextmanager
    def standing_by(self) -> Iterator[None]:
        """Let cancels and questions pass for the length of the block, closed or not."""
        self._is_standing = self._has_begun = True
        try:
            yield
        finally:
            self._is_standing = False
            self.close(self._reason)

    @property
    def is_standing(self) -> bool:
        """Whether somebody stands by."""
        return self._is_standing

    def close(self, reason: str = DOWN) -> None:
        """Let no order pass any more; give back what had not been taken, for `reason`."""
        self._is_open, self._has_begun, self._reason = False, True, reason
        waiting = [*self._cancels.values(), *self._others]
        self._cancels.clear()
        self._others.clear()
        for request in waiting:
            self.put(request)

    def put(self, request: Outgoing) -> None:
        """Take a request; it is sent, or given back, later."""
        has_road = self._is_standing or not self._has_begun
        may_wait = has_road and not isinstance(request, NewOrder | ReplaceOrder)
        if not (self._is_open or may_wait):
            self._give_back(request)
            return
        if isinstance(request, CancelOrder):
            if self._take_back(request):
                return
            self._cancels.setdefault(key_of(request), request)
        else:
            self._others.append(request)
        self._news.set()

    async def take(self) -> Outgoing:
        """Return the next request to send, once there is one."""
        while not len(self):
            self._news = trio.Event()
            await self._news.wait()
        if self._cancels:
            return self._cancels.pop(next(iter(self._cancels)))
        return self._others.popleft()

    def take_cancels(self, most: int) -> list[CancelOrder]:
        """Return up to `most` cancels that wait: for one call that ends several."""
        names = [*self._cancels][:most]
        return [self._cancels.pop(name) for name in names]

    def _take_back(self, cancel: CancelOrder) -> bool:
        """Drop the new order that `cancel` names, if it waits here; True if it did."""
        for order in self._others:
            if isinstance(order, NewOrder) and order.client_order_id == cancel.client_order_id:
                self._others.remove(order)
                self._give_back(order, "not sent: canceled before")
                return True
        return False

    def _give_back(self, request: Outgoing, why: str = "") -> None:
        if isinstance(request, AskStatus | AskListing):
            return
        text, now_ns = why or self._reason, request.transact_time_ns
        if isinstance(request, CancelOrder):
            if self._returned.get(key_of(request)) == now_ns:
                return
            self._returned = {k: at_ns for k, at_ns in self._returned.items() if at_ns == now_ns}
            self._returned[key_of(request)] = now_ns
        self._deliver(send_failed(request, text, reached_venue=False, now_ns=now_ns))


def key_of(cancel: CancelOrder) -> OrderKey:
    """Return which order a cancel ends: by both ids, for others' orders have none of ours."""
    return cancel.client_order_id, cancel.venue_order_id


def kind_of(request: NewOrder | ReplaceOrder | CancelOrder) -> RequestKind:
    """Return which kind of request it is."""
    match request:
        case NewOrder():
            return RequestKind.NEW
        case ReplaceOrder():
            return RequestKind.REPLACE
        case CancelOrder():
            return RequestKind.CANCEL


def send_failed(
    request: NewOrder | ReplaceOrder | CancelOrder, text: str, *, reached_venue: bool, now_ns: int
) -> SendFailed:
    """Return the word that `request` got no answer of the transport's."""
    return SendFailed(
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        request=kind_of(request),
        reached_venue=reached_venue,
        text=text,
        receive_time_ns=now_ns,
    )
