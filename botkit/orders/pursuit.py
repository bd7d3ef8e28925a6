"""What has to be asked or sent again, and when: no answer is left outstanding.

Each kind of deadline has one constant delay, so each is a deque in time order and costs O(1).
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import attrs

from botkit.model import AskListing, AskStatus, CancelOrder, OrderListing, OrdStatus
from botkit.orders.state import Order
from botkit.orders.transitions import CLOSED

if TYPE_CHECKING:
    from botkit.ports import Capabilities  # costs time that `import botkit` need not take

__all__ = ["Doubt", "OrderTiming", "Pursuit", "ask_status", "cancel_command"]

S: Final = 1_000_000_000
NEVER: Final = (1 << 63) - 1
_POSITIVE: Final = attrs.validators.gt(0)
SINCE_NS: Final = 60 * S  # the venue's clock may be behind ours when a listing asks "since"


@attrs.frozen(kw_only=True)
class OrderTiming:
    """How long an answer may take, in nanoseconds.

    Parameters
    ----------
    ack_due_ns
        From sending a new order or replace until it is UNKNOWN.
    cancel_due_ns
        From sending a cancel until it is sent again.
    fills_due_ns
        From a status ahead of its fills until the venue is asked for them.
    settle_ns
        Between two listings that lack an order before it counts as absent.
    ask_every_ns
        Between questions about an order in doubt.
    back_off
        How many times a repeated cancel or question doubles its interval.
    """

    ack_due_ns: int = attrs.field(default=5 * S, validator=_POSITIVE)
    cancel_due_ns: int = attrs.field(default=5 * S, validator=_POSITIVE)
    fills_due_ns: int = attrs.field(default=2 * S, validator=_POSITIVE)
    settle_ns: int = attrs.field(default=5 * S, validator=_POSITIVE)
    ask_every_ns: int = attrs.field(default=2 * S, validator=_POSITIVE)
    back_off: int = attrs.field(default=5, validator=_POSITIVE)


@attrs.define
class Doubt:
    """One order the venue is asked about."""

    ask_due_ns: int
    asks: int = 0
    settled_ns: int = 0  # only listings begun after this can show that it is absent
    absent_ns: int | None = None  # when the first listing that lacked it began


class _Lane:
    """Orders by due time, each waiting the same delay; `is_live` tells those that still wait."""

    __slots__ = ("_is_live", "delay_ns", "queue")

    def __init__(self, delay_ns: int, is_live: Callable[[Order, int], bool]) -> None:
        self.delay_ns = delay_ns
        self.queue: deque[tuple[int, Order]] = deque()
        self._is_live = is_live

    def pop_due(self, now_ns: int) -> Iterator[Order]:
        """Take out the orders whose time has come, those excepted that need nothing any more."""
        queue = self.queue
        while queue and queue[0][0] <= now_ns:
            due_ns, order = queue.popleft()
            if self._is_live(order, due_ns):
                yield order

    def head_ns(self) -> int:
        """Return when the first order is due that still waits; drop those before it."""
        queue = self.queue
        while queue:
            due_ns, order = queue[0]
            if self._is_live(order, due_ns):
                return due_ns
            queue.popleft()
        return NEVER


def cancel_command(order: Order, now_ns: int, reason: str) -> CancelOrder:
    """Return the cancel of `order` as the venue knows it.

    With a replace in flight, every second one names the order as it will be.
    """
    name = order.current_client_order_id
    if order.replacing is not None and order.cancels_sent % 2:
        name = order.replacing.request.client_order_id
    return CancelOrder(
        client_order_id=name,
        symbol=order.instrument.symbol,
        venue_order_id=order.venue_order_ids[-1] if order.venue_order_ids else None,
        side=order.side,
        reason=reason,
        transact_time_ns=now_ns,
    )


class Pursuit:
    """The deadlines of all orders. `Orders` tells it what was sent and what is in doubt."""

    def __init__(self, timing: OrderTiming, capabilities: Mapping[str, "Capabilities"]) -> None:
        self.timing = timing
        self._capabilities = capabilities
        self.doubts: dict[Order, Doubt] = {}
        self.changed: list[Order] = []  # moved without a report, until somebody takes them
        levels = range(timing.back_off + 1)
        self._acks = _Lane(timing.ack_due_ns, _is_unanswered)
        # The first lane of each is for what is due at once, the others double their delay.
        cancels = [0, *(timing.cancel_due_ns << level for level in levels)]
        asks = [0, *(timing.ask_every_ns << level for level in levels)]
        self._cancels = [_Lane(delay_ns, _is_unconfirmed) for delay_ns in cancels]
        self._asks = [_Lane(delay_ns, self._is_asked) for delay_ns in asks]
        self._fills = _Lane(timing.fills_due_ns, self._is_asked)
        self._lanes = [self._acks, *self._cancels, self._fills, *self._asks]
        self.earliest_ns = NEVER  # when to call `due`; now and then nothing is due then after all
        self._listings = 0

    def expect_answer(self, order: Order, now_ns: int) -> None:
        """Expect a new order or a replace to be answered."""
        queue = self._acks.queue
        due_ns = now_ns + self._acks.delay_ns
        if not queue and due_ns < self.earliest_ns:  # one that waits already is due no later
            self.earliest_ns = due_ns
        queue.append((due_ns, order))

    def expect_cancel(self, order: Order, now_ns: int) -> None:
        """Expect a cancel to be confirmed; it is sent again if it is not."""
        order.cancels_sent += 1
        lane = self._cancels[min(order.cancels_sent, self.timing.back_off + 1)]
        order.cancel_due_ns = self._push(lane, order, now_ns)

    def cancel_soon(self, order: Order, now_ns: int) -> None:
        """Send at once the cancel that waited for the venue's order id."""
        order.cancel_due_ns = self._push(self._cancels[0], order, now_ns)

    def expect_fills(self, order: Order, now_ns: int) -> None:
        """Wait for the fills that a status is ahead of, then ask."""
        if order not in self.doubts:
            self.doubts[order] = Doubt(self._push(self._fills, order, now_ns))

    def doubt(self, order: Order, now_ns: int, settled_ns: int) -> None:
        """Ask about an UNKNOWN order at once; no listing begun before `settled_ns` ends it."""
        doubt = self.doubts.get(order)
        if doubt is None:
            doubt = self.doubts[order] = Doubt(0)
        doubt.asks, doubt.absent_ns = 0, None
        doubt.settled_ns = max(doubt.settled_ns, settled_ns)
        doubt.ask_due_ns = self._push(self._asks[0], order, now_ns)

    def settle(self, order: Order) -> None:
        """Stop asking about `order` if it is in doubt no longer."""
        if not order.in_doubt:
            self.doubts.pop(order, None)

    def is_absent(self, order: Order, listing: OrderListing) -> bool:
        """Note that a complete `listing` lacks `order`; True if that ends it.

        Only an unanswered submit ends so: an order the venue has spoken of is somewhere.
        """
        doubt = self.doubts[order]
        if order.acknowledged or listing.began_ns <= doubt.settled_ns:
            return False
        if doubt.absent_ns is None or listing.began_ns < doubt.absent_ns:
            doubt.absent_ns = listing.began_ns
        return listing.began_ns - doubt.absent_ns >= self.timing.settle_ns

    def due(self, now_ns: int) -> list[AskStatus | AskListing | CancelOrder]:
        """Return what to send by `now_ns`."""
        commands: list[AskStatus | AskListing | CancelOrder] = []
        if now_ns < self.earliest_ns:
            return commands
        for order in self._acks.pop_due(now_ns):
            order.mark_unknown("the venue has not answered in time")
            self.changed.append(order)
            self.doubt(order, now_ns, now_ns)
        for lane in self._cancels:
            commands.extend(self._cancel_again(order, now_ns) for order in lane.pop_due(now_ns))
        commands.extend(self._questions(now_ns))
        self.earliest_ns = min(lane.head_ns() for lane in self._lanes)
        return commands

    def take_changed(self) -> list[Order]:
        """Return the orders that moved without a report since last asked."""
        changed, self.changed = self.changed, []
        return changed

    def _push(self, lane: _Lane, order: Order, now_ns: int) -> int:
        due_ns = now_ns + lane.delay_ns
        if not lane.queue and due_ns < self.earliest_ns:
            self.earliest_ns = due_ns
        lane.queue.append((due_ns, order))
        return due_ns

    def _is_asked(self, order: Order, due_ns: int) -> bool:
        doubt = self.doubts.get(order)
        return doubt is not None and doubt.ask_due_ns == due_ns

    def _cancel_again(self, order: Order, now_ns: int) -> CancelOrder:
        """Return the cancel of `order`, sent first or again: a cancel may always be repeated."""
        command = cancel_command(order, now_ns, "unconfirmed" if order.cancels_sent else "")
        before = order.ord_status
        order.mark_cancel()
        if order.ord_status is not before:
            self.changed.append(order)
        self.expect_cancel(order, now_ns)
        return command

    def _questions(self, now_ns: int) -> list[AskStatus | AskListing]:
        questions: list[AskStatus | AskListing] = []
        since_ns: dict[str, int] = {}  # by venue to be asked for a listing
        for lane in (self._fills, *self._asks):
            for order in lane.pop_due(now_ns):
                doubt = self.doubts[order]
                doubt.asks += 1
                next_lane = self._asks[min(doubt.asks, self.timing.back_off + 1)]
                doubt.ask_due_ns = self._push(next_lane, order, now_ns)
                venue = order.instrument.venue
                is_named = self._capabilities[venue].client_order_ids or order.venue_order_ids
                if is_named:
                    questions.append(ask_status(order, now_ns))
                if not (is_named and order.acknowledged) or order.ahead is not None:
                    earliest = since_ns.get(venue, NEVER)
                    since_ns[venue] = min(earliest, order.transact_time_ns - SINCE_NS)
        for venue, since in since_ns.items():
            questions.append(self.ask_listing(venue, since, now_ns))
        return questions

    def ask_listing(self, venue: str, since_ns: int, now_ns: int) -> AskListing:
        """Return the question for all our orders and fills at `venue` since `since_ns`."""
        self._listings += 1
        return AskListing(
            venue=venue,
            listing_id=self._listings,
            since_ns=max(0, since_ns),
            transact_time_ns=now_ns,
        )


def _is_unanswered(order: Order, due_ns: int) -> bool:
    if order.ord_status in CLOSED or order.ord_status is OrdStatus.UNKNOWN:
        return False
    replacing = order.replacing
    return not order.acknowledged or (replacing is not None and replacing.due_ns <= due_ns)


def _is_unconfirmed(order: Order, due_ns: int) -> bool:
    return order.cancel_due_ns == due_ns and order.ord_status not in CLOSED


def ask_status(order: Order, now_ns: int) -> AskStatus:
    """Return the question where `order` stands, by every name it has had."""
    return AskStatus(
        client_order_id=order.current_client_order_id,
        symbol=order.instrument.symbol,
        venue_order_id=order.venue_order_id,
        client_order_ids=(order.client_order_id, *order.aliases) if order.aliases else (),
        transact_time_ns=now_ns,
    )
