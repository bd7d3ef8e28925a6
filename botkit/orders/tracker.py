"""All orders of a bot: what was sent, what came back, what may still fill."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from botkit.errors import IllegalTransitionError, InvariantError
from botkit.model import (
    AskListing,
    AskStatus,
    CancelOrder,
    ClientOrderId,
    ExecType,
    ExecutionReport,
    Instrument,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    ReplaceOrder,
    RequestKind,
    ResolveOrder,
    SendFailed,
    Side,
    VenueOrderId,
)
from botkit.orders.foreign import ForeignOrders, candidates, contested, paired, with_name
from botkit.orders.groups import Group, Tally, VenueBook, in_creation_order
from botkit.orders.pursuit import NEVER, OrderTiming, Pursuit, cancel_command
from botkit.orders.recovering import restore
from botkit.orders.resolving import vouched_fill, word_problem
from botkit.orders.resting import meeting, reserved
from botkit.orders.state import Desk, Order, Outcome, Replacing
from botkit.orders.transitions import CLOSED, WORKING

if TYPE_CHECKING:
    from botkit.ports import Capabilities, OrderRecord  # which `import botkit` need not load

__all__ = ["Orders"]

ZERO: Final = Decimal(0)
_UNKNOWN: Final = OrdStatus.UNKNOWN
_BUY: Final = Side.BUY
CANCELING: Final = frozenset({OrdStatus.PENDING_CANCEL, OrdStatus.UNKNOWN})


class Orders:
    """Every order of the bot, from before it is sent. Implements `botkit.ports.Workload`.

    Closed orders are remembered for late fills until `keep_closed` others have closed after
    them; a report that comes later still is foreign. A handle stays valid for as long as it is
    held.

    Parameters
    ----------
    capabilities
        By venue name: where fill quantities come from, whether client order ids are known.
    timing
        How long answers may take.
    keep_closed
        How many closed orders to remember, and how many closed foreign ones.
    exclusive
        Venues on whose account nobody else trades.
    """

    def __init__(
        self,
        *,
        capabilities: Mapping[str, "Capabilities"],
        timing: OrderTiming | None = None,
        keep_closed: int = 10_000,
        exclusive: Collection[str] = (),
    ) -> None:
        self._exclusive = exclusive
        self.desk: Desk | None = None  # set by the engine, before the first order
        self._timing = timing or OrderTiming()
        self.pursuit = Pursuit(self._timing, capabilities)
        self._foreign = ForeignOrders(keep_closed)
        self._venues = {name: VenueBook(name, caps) for name, caps in capabilities.items()}
        self._by_id: dict[ClientOrderId | None, Order] = {}
        self._groups: dict[tuple[str, str], Group] = {}
        self._tallies: dict[tuple[str, Side], Tally] = {}
        self._closed: deque[Order] = deque()
        self._keep_closed = keep_closed
        self._created = 0

    # --- what we send -------------------------------------------------------------------

    def add(self, request: NewOrder, instrument: Instrument, *, held: bool = False) -> Order:
        """Return the order that `request` is about to ask for; it counts from now on.

        One that is `held` is not sent until `release`: nobody is asked for it.
        """
        name = request.client_order_id
        if name in self._by_id:
            raise InvariantError(f"client order id {name} is taken: every order needs a new one")
        order = self._order_of(request, instrument)
        order.counted_qty = qty = request.order_qty
        group = self._groups.get((order.strategy, instrument.symbol)) or self._new_group(order)
        order.group = group
        group.orders[name] = order
        self._by_id[name] = order
        tally = group.buy if order.side is _BUY else group.sell
        tally.qty += qty
        order.is_held = held
        if not held:
            self.pursuit.expect_answer(order, request.transact_time_ns)
        return order

    @contextmanager
    def without(self, order: Order) -> Iterator[None]:
        """Leave a held order out of every count, so that its request can be judged anew."""
        group = _group(order)
        tally = group.buy if order.side is _BUY else group.sell
        tally.qty -= order.counted_qty
        order.counted_qty = ZERO
        del group.orders[order.client_order_id]
        yield
        self._count(order)

    def release(self, order: Order, now_ns: int) -> None:
        """Note that a held order is about to be sent."""
        order.is_held, order.text, order.transact_time_ns = False, "", now_ns
        self.pursuit.expect_answer(order, now_ns)

    def end_held(self, order: Order, ord_status: OrdStatus, text: str) -> None:
        """Close a held order: nobody was ever asked for it."""
        order.is_held, order.ord_status, order.text = False, ord_status, text
        self._count(order)

    def refused(self, request: NewOrder, instrument: Instrument, text: str) -> Order:
        """Return the handle of an order that never left: closed, and in no one's count."""
        order = self._order_of(request, instrument)
        order.ord_status, order.text = OrdStatus.REJECTED, text
        return order

    def _order_of(self, request: NewOrder, instrument: Instrument) -> Order:
        self._created += 1
        name = request.client_order_id
        return Order(
            client_order_id=name,
            current_client_order_id=name,
            instrument=instrument,
            strategy=request.strategy,
            side=request.side,
            ord_type=request.ord_type,
            order_qty=request.order_qty,
            price=request.price,
            stop_px=request.stop_px,
            time_in_force=request.time_in_force,
            post_only=request.post_only,
            reduce_only=request.reduce_only,
            keep=request.keep,
            cash_order_qty=request.cash_order_qty,
            transact_time_ns=request.transact_time_ns,
            sequence=self._created,
            desk=self.desk,
        )

    def recover(
        self,
        record: "OrderRecord",
        instrument: Instrument,
        now_ns: int,
        others: Iterable[VenueOrderId] = (),
    ) -> Order:
        """Return an order that an earlier run left open: UNKNOWN, its fills counted, asked for.

        `others` are the venue's ids of other orders of that run.
        """
        order = self.add(record.request, instrument)
        venue = _group(order).venue
        venue.others.update(others)
        restore(order, record, venue.capabilities, self._timing.ack_due_ns)
        self._by_id.update(dict.fromkeys(order.aliases, order))
        for venue_id in order.venue_order_ids:
            venue.by_venue_id[venue_id] = order
        for name in (*order.venue_order_ids, *record.client_order_ids):
            self._foreign.claim(venue.name, name)
        self._count(order)
        self._doubt(order, "left open by an earlier run", now_ns)
        return order

    def cancel_sent(self, order: Order, now_ns: int, reason: str = "") -> CancelOrder | None:
        """Return the cancel to send for `order`, noting it as sent.

        None if there is nothing to send: it is closed; a cancel is under way and not overdue; or
        the venue knows no client order ids and has not told its own yet (then the cancel
        follows from `due` when it has).
        """
        if order.ord_status in CLOSED:
            return None
        if order.cancel_due_ns > now_ns and order.ord_status in CANCELING:
            return None
        if not (order.venue_order_ids or _group(order).venue.capabilities.client_order_ids):
            order.mark_cancel()
            return None
        command = cancel_command(order, now_ns, reason)
        order.mark_cancel()
        self.pursuit.expect_cancel(order, now_ns)
        return command

    def replace_sent(self, order: Order, request: ReplaceOrder) -> None:
        """Note that `request` is about to be sent for `order`; old and new quantity count."""
        if order.is_closed or order.replacing is not None:
            state = order.ord_status.value if order.is_closed else "being replaced"
            raise InvariantError(
                f"order {order.client_order_id} is {state}: only an open order that is not "
                "being replaced can be replaced; wait for the venue's answer"
            )
        if request.client_order_id in self._by_id:
            raise InvariantError(f"client order id {request.client_order_id} is taken: make a new")
        due_ns = request.transact_time_ns + self._timing.ack_due_ns
        atomic = _group(order).venue.capabilities.replace_atomic
        order.mark_replace(
            Replacing(request=request, cum_qty=order.cum_qty, atomic=atomic, due_ns=due_ns)
        )
        order.aliases += (request.client_order_id,)
        self._by_id[request.client_order_id] = order
        self.pursuit.expect_answer(order, request.transact_time_ns)
        self._count(order)

    # --- what comes back ----------------------------------------------------------------

    def on_report(self, report: ExecutionReport) -> Outcome:
        """Apply `report` to its order; keep it as foreign if it has none."""
        order = self._by_id.get(report.client_order_id) or self._find(report)
        if order is None:
            return self._keep_foreign(report)
        group = order.group
        assert group is not None
        venue = group.venue
        venue_id = report.venue_order_id
        known = order if venue_id is None else venue.by_venue_id.get(venue_id)
        if known is not order and known is not None:
            why = f"venue order {venue_id} is {known.client_order_id}"
            return Outcome(order=order, contradiction=str(order.contradiction(report, why)))
        try:
            outcome = order.apply(report, venue.capabilities.fill_source)
        except IllegalTransitionError as exc:
            return Outcome(order=order, contradiction=str(exc))
        if outcome.changed:
            self._count(order)
            if order.cancel_requested and order.ord_status in WORKING:
                self.pursuit.cancel_soon(order, report.receive_time_ns)  # it came before the order
        if self.pursuit.doubts or order.ord_status is _UNKNOWN or order.replacing or order.ahead:
            self._pursue(order, report)
        if known is None and venue_id is not None:
            self._attach(order, venue, venue_id, report, outcome)
        return outcome

    def on_cancel_reject(self, reject: OrderCancelReject) -> Outcome:
        """Take back the cancel or replace that was declined.

        The order stands as before only if the venue says that it works; otherwise it is UNKNOWN
        and asked for: "too late" and "no such order" say nothing of its fills.
        """
        order = self._by_id.get(reject.client_order_id) or self.by_venue_id(
            reject.symbol, reject.venue_order_id
        )
        if order is None or order.is_closed:
            return Outcome(order=order)  # refused because it had ended, as we know
        before = order.ord_status
        was_done = reject.response_to is RequestKind.REPLACE and order.has_outgrown
        if reject.ord_status in WORKING and not (reject.unknown_order or was_done):
            self._take_back(order, reject.response_to, reject.text)
        else:
            if reject.response_to is RequestKind.REPLACE and not was_done:
                order.give_up_replace()
            if before is not _UNKNOWN or order not in self.pursuit.doubts:
                self._doubt(order, reject.text, reject.receive_time_ns)
            # Else it is asked for already: to begin anew at each "no such order" would never end.
        self._count(order)
        return Outcome(order=order, changed=order.ord_status is not before)

    def on_send_failed(self, failure: SendFailed) -> Outcome:
        """End a new order that surely never left; what may have arrived is UNKNOWN."""
        order = self._by_id.get(failure.client_order_id)
        if order is None or order.is_closed:
            return Outcome(order=order)
        before = order.ord_status
        if failure.reached_venue:
            # A cancel changes no exposure by having got lost; it is sent again when overdue.
            if failure.request is not RequestKind.CANCEL:
                self._doubt(order, failure.text, failure.receive_time_ns)
        elif failure.request is RequestKind.REPLACE and order.has_outgrown:
            self._doubt(order, failure.text, failure.receive_time_ns)
        elif failure.request is not RequestKind.NEW:
            self._take_back(order, failure.request, failure.text)
        elif order.acknowledged:
            text = (
                f"order {order.client_order_id}: told as never sent ({failure.text}), but the "
                "venue has acknowledged it; ask the venue before trading this instrument again"
            )
            return Outcome(order=order, contradiction=text)
        else:
            order.end(OrdStatus.REJECTED, failure.text)
            self.pursuit.settle(order)
        self._count(order)
        return Outcome(order=order, changed=order.ord_status is not before)

    def on_listing(self, listing: OrderListing) -> list[Outcome]:
        """Apply every report of `listing`; if it is complete, count who is absent from it.

        An unanswered submit is over after two complete listings `settle_ns` apart that lack it,
        both begun after its send deadline and after the link's end. One that appears later is
        ours again.
        """
        outcomes = []
        seen: set[Order] = set()
        nameless = (each for each in listing.reports if each.client_order_id is None)
        unknown = [(report, self._matches(report)) for report in nameless]
        pairs = paired(unknown) if listing.venue in self._exclusive else {}
        rivals = contested(unknown) - set(pairs)
        for report in listing.reports:
            is_contested = report.venue_order_id in rivals
            named = with_name(report, pairs)
            outcome = self._keep_foreign(report) if is_contested else self.on_report(named)
            outcomes.append(outcome)
            seen.update(self._by_id[name] for name in outcome.ambiguous)
            if outcome.order is not None:
                seen.add(outcome.order)
        if listing.complete:
            lacking = [order for order in self._in_doubt(listing.venue) if order not in seen]
            absent = [order for order in lacking if self.pursuit.is_absent(order, listing)]
            outcomes.extend(self._end_absent(order) for order in absent)
        return outcomes

    def resolve(self, order: Order, word: ResolveOrder) -> Outcome:
        """End an order in doubt by a person's word, not the venue's; `word_problem` is empty."""
        problem = word_problem(order, word)
        if problem:
            raise InvariantError(problem)
        fill = vouched_fill(order, word)
        if fill is not None:
            order.vouch(fill)
        order.end(word.ord_status, word.reason)
        self.pursuit.settle(order)
        self._count(order)
        return Outcome(order=order, fill=fill, changed=True)

    # --- doubt and pursuit --------------------------------------------------------------

    def link_lost(self, venue: str, now_ns: int) -> list[Order]:
        """Return the orders at `venue` that are UNKNOWN now, for nobody would have told us."""
        lost = [order for order in self.working(venue=venue) if not order.is_held]
        for order in lost:
            self._doubt(order, "the link to the venue was lost", now_ns)
        return lost

    def link_restored(self, venue: str, now_ns: int) -> None:
        """Ask again at once, without back-off, about every order at `venue` that is in doubt.

        Cancels sent over the link that was lost count as not sent.
        """
        for order in self._in_doubt(venue):
            order.cancel_due_ns = 0
            self.pursuit.doubt(order, now_ns, now_ns)

    def mark_unknown(self, ids: Iterable[ClientOrderId], now_ns: int) -> list[Order]:
        """Return those orders of `ids` that were open; they are UNKNOWN now."""
        named = [self._by_id.get(name) for name in ids]
        doubted = [each for each in named if each is not None and each.is_open and not each.is_held]
        for order in doubted:
            self._doubt(order, "no confirmation within the clean-up deadline", now_ns)
        return doubted

    def next_due_ns(self) -> int | None:
        """Return when to call `due` next; None if nothing is outstanding."""
        due_ns = self.pursuit.earliest_ns
        return None if due_ns == NEVER else due_ns

    def due(self, now_ns: int) -> list[AskStatus | AskListing | CancelOrder]:
        """Return the questions and repeated cancels to send by `now_ns`.

        Orders that have moved by it are in `take_changed`.
        """
        return self.pursuit.due(now_ns)

    def take_changed(self) -> list[Order]:
        """Return the orders that moved without a report since the last call."""
        return self.pursuit.take_changed()

    # --- looking ------------------------------------------------------------------------

    def get(self, client_order_id: ClientOrderId) -> Order | None:
        """Return the order of that name, by any name it ever had; None if it is not ours."""
        return self._by_id.get(client_order_id)

    def leaves(self, symbol: str, side: Side) -> Decimal:
        """Return the most that may still fill on `side`: replaces in flight counted worst-case."""
        tally = self._tallies.get((symbol, side))
        return ZERO if tally is None else tally.qty

    def open_orders(self, symbol: str | None = None) -> int:
        """Return how many orders may be working, of one instrument or in all."""
        count = 0
        for group in self._groups.values():
            if symbol is None or group.symbol == symbol:
                count += len(group.orders)
        return count

    def working(
        self, *, strategy: str | None = None, symbol: str | None = None, venue: str | None = None
    ) -> list[Order]:
        """Return the open orders asked for, pending and UNKNOWN included, in creation order."""
        if strategy is not None and symbol is not None:
            group = self._groups.get((strategy, symbol))
            return [] if group is None else list(group.orders.values())
        found = [
            order
            for group in self._groups.values()
            if strategy in (None, group.strategy)
            and symbol in (None, group.symbol)
            and venue in (None, group.venue.name)
            for order in group.orders.values()
        ]
        return in_creation_order(found)

    def meeting(self, symbol: str, side: Side, price: Decimal | None) -> list[Order]:
        """Return the open orders that an order of `side` at `price` (None: any) could trade with.

        An order without a limit meets any price, and one being replaced meets by either of its.
        """
        return meeting(self._groups.values(), symbol, side, price)

    def reserved(
        self, symbols: Iterable[str], worth_of: Callable[[Order], Decimal | None]
    ) -> Decimal | None:
        """Return the most the open buys in `symbols` may pay; None if `worth_of` cannot tell.

        `worth_of` is asked about the orders without a limit, and those being replaced.
        """
        return reserved(self._groups.values(), symbols, worth_of)

    def added_leaves(self, request: ReplaceOrder) -> Decimal:
        """Return by how much `request`, once sent, would raise what may fill."""
        order = self._by_id.get(request.orig_client_order_id)
        if order is None or order.is_closed:
            return request.order_qty
        if _group(order).venue.capabilities.replace_atomic:
            return max(ZERO, request.order_qty - order.order_qty)
        return max(ZERO, request.order_qty - order.cum_qty)

    @property
    def foreign(self) -> Mapping[tuple[str, str], ExecutionReport]:
        """The latest report of each order that is not ours, by venue and its id there."""
        return self._foreign.latest

    # --- inside -------------------------------------------------------------------------

    def _new_group(self, order: Order) -> Group:
        venue = self._venues.get(order.instrument.venue)
        if venue is None:
            raise InvariantError(
                f"order {order.client_order_id}: {order.symbol} is at no venue of this bot "
                f"({', '.join(self._venues)})"
            )
        symbol = order.symbol
        buy = self._tallies.setdefault((symbol, Side.BUY), Tally())
        sell = self._tallies.setdefault((symbol, Side.SELL), Tally())
        group = Group(order.strategy, symbol, venue, buy, sell)
        self._groups[order.strategy, symbol] = group
        return group

    def _count(self, order: Order) -> None:
        """Make `leaves`, the open orders and the memory of closed ones agree with `order`."""
        group = order.group
        assert group is not None
        is_closed = order.ord_status in CLOSED
        worst = ZERO if is_closed else order.worst_leaves()
        if worst != order.counted_qty:
            tally = group.buy if order.side is _BUY else group.sell
            tally.qty += worst - order.counted_qty
            order.counted_qty = worst
        if is_closed:
            if group.orders.pop(order.client_order_id, None) is not None:
                self._closed.append(order)
                if len(self._closed) > self._keep_closed:
                    self._forget(self._closed.popleft())
        elif order.client_order_id not in group.orders:  # ours again
            group.take_back(order)

    def _forget(self, order: Order) -> None:
        if order.ord_status not in CLOSED:
            return
        for name in (order.client_order_id, *order.aliases):
            self._by_id.pop(name, None)
        by_venue_id = _group(order).venue.by_venue_id
        for venue_id in order.venue_order_ids:
            by_venue_id.pop(venue_id, None)
        self.pursuit.doubts.pop(order, None)

    def _in_doubt(self, venue: str) -> list[Order]:
        return [order for order in self.pursuit.doubts if order.instrument.venue == venue]

    def _doubt(self, order: Order, text: str, now_ns: int) -> None:
        """Make `order` UNKNOWN and ask for it; no listing counts before its send deadline."""
        order.mark_unknown(text)
        deadline_ns = order.transact_time_ns + self._timing.ack_due_ns
        self.pursuit.doubt(order, now_ns, max(now_ns, deadline_ns))

    def _pursue(self, order: Order, report: ExecutionReport) -> None:
        """Begin or end asking about `order`, as its new state needs."""
        if order.replacing is not None and report.exec_type is ExecType.ORDER_STATUS:
            self._judge_replace(order, report.receive_time_ns)
        if not order.in_doubt:
            self.pursuit.settle(order)
        elif order not in self.pursuit.doubts:
            if order.ord_status is OrdStatus.UNKNOWN:
                self._doubt(order, order.text, report.receive_time_ns)
            else:
                self.pursuit.expect_fills(order, report.receive_time_ns)

    def _judge_replace(self, order: Order, now_ns: int) -> None:
        """Give a replace up if its order is found as it was, long after an answer was due."""
        assert order.replacing is not None
        if order.is_closed or now_ns < order.replacing.due_ns:
            return
        if now_ns >= order.replacing.due_ns + self._timing.settle_ns and not order.has_outgrown:
            self._take_back(order, RequestKind.REPLACE, "the venue has not done the replace")
        else:
            order.mark_unknown("the venue has not done the replace yet")
        self._count(order)

    def _take_back(self, order: Order, request: RequestKind, text: str) -> None:
        """Take back one pending request; what else is pending stays, and so does UNKNOWN."""
        pending = OrdStatus.PENDING_CANCEL
        if request is RequestKind.REPLACE:
            order.give_up_replace()
            pending = OrdStatus.PENDING_REPLACE
        if order.ord_status is pending or (order.is_full and order.replacing is None):
            order.restore(text)
        else:
            order.text = text

    def _attach(
        self,
        order: Order,
        venue: VenueBook,
        venue_id: VenueOrderId,
        report: ExecutionReport,
        outcome: Outcome,
    ) -> None:
        """Note the venue's id; send the cancel that waited for it, apply what it was told as."""
        venue.by_venue_id[venue_id] = order
        if order.cancel_requested and not order.cancels_sent and order.is_open:
            self.pursuit.cancel_soon(order, report.receive_time_ns)
        if self._foreign.latest:
            kept = self._foreign.claim(venue.name, venue_id)
            outcome.then = tuple(self.on_report(earlier) for earlier in kept)
            outcome.is_plain = False

    def _find(self, report: ExecutionReport) -> Order | None:
        """Return the order `report` is about, though it does not name it by a known client id."""
        order = self.by_venue_id(report.symbol, report.venue_order_id)
        if order is None and report.orig_client_order_id is not None:
            order = self._by_id.get(report.orig_client_order_id)
        if order is None and report.client_order_id is None:
            matches = self._matches(report)
            return matches[0] if len(matches) == 1 else None
        return order

    def by_venue_id(self, symbol: str, venue_id: VenueOrderId | None) -> Order | None:
        """Return the order that the venue of `symbol` knows by that id; None if it is not ours."""
        venue = self._venues.get(symbol.partition(":")[0])
        return None if venue is None or venue_id is None else venue.by_venue_id.get(venue_id)

    def _matches(self, report: ExecutionReport) -> list[Order]:
        """Return the orders `report` may be about, at a venue without client order ids."""
        venue = self._venues.get(report.symbol.partition(":")[0])
        if venue is None or venue.capabilities.client_order_ids or report.venue_order_id is None:
            return []
        if report.venue_order_id in venue.others or report.venue_order_id in venue.by_venue_id:
            return []
        working = (each for each in self.working(symbol=report.symbol) if not each.is_held)
        return candidates(report, working)

    def _keep_foreign(self, report: ExecutionReport) -> Outcome:
        self._foreign.keep(report.symbol.partition(":")[0], report)
        if report.client_order_id is not None:
            return Outcome()
        return Outcome(ambiguous=tuple(order.client_order_id for order in self._matches(report)))

    def _end_absent(self, order: Order) -> Outcome:
        order.end(OrdStatus.REJECTED, "absent from two complete listings: it never arrived")
        self.pursuit.settle(order)
        self._count(order)
        return Outcome(order=order, changed=True)


def _group(order: Order) -> Group:
    assert order.group is not None, f"{order.client_order_id} was not made by Orders.add"
    return order.group
