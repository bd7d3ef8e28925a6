"""The matching core of paper venues, dry runs and backtests: orders of ours against market data.

Time moves by `advance` and `apply` only. A request arrives its latency after it was made; the
answer is delivered at that same instant, so `latency` stands for the whole way there and back.

Reports are delivered as things happen. Balances follow each fill; what orders reserve is told with
the next market event, or once no request is under way: it changes with every request.

Who overtakes whom: new orders, replaces and questions arrive in the order they were sent, as on
one connection, however the draws fall. Cancels have a line of their own, with their own latency,
and may overtake those, but never each other nor the order they name.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any, Final

from botkit.matching.checks import new_order_fault, replace_fault
from botkit.matching.desk import Desk
from botkit.matching.floor import Floor, SelfTrade
from botkit.matching.latency import Latency
from botkit.matching.market import Market
from botkit.matching.queue import QueueModel
from botkit.matching.working import PaperOrder
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    Balance,
    Bar,
    BookDelta,
    BookSnapshot,
    CancelOrder,
    ClientOrderId,
    ExecutionReport,
    FeedEnded,
    FeedGap,
    Instrument,
    MarketEvent,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    Quote,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    TimeInForce,
    Trade,
    VenueOrderId,
)
from botkit.ports import Deliver, FeeSchedule

__all__ = ["PaperMatcher"]

NS_PER_DAY: Final = 86_400_000_000_000
ENTRY, CANCEL = 0, 1  # the lines requests travel by
EXPIRING: Final = frozenset({TimeInForce.GTD, TimeInForce.DAY})


class PaperMatcher:
    """Match our orders against one venue's market data; everything it does is delivered.

    Deterministic: the same calls give the same events, whatever the hash seed. Call `start`
    first. `deliver` may call `submit`, `replace`, `cancel` and `ask`, but nothing else.

    Parameters
    ----------
    venue
        The first half of the instruments' symbols.
    instruments
        By full symbol; events of other symbols are delivered and not matched.
    latency, cancel_latency
        Of orders, replaces and questions; of cancels (as `latency` if None).
    balances
        What the account holds at the start, by currency.
    seed
        Of the latency draws.
    cancel_on_disconnect
        A `FeedGap` of the whole venue cancels every order, as a venue would that sees the link
        end.
    keep_closed
        How many closed orders are remembered at least. A listing from before one that is
        forgotten is not complete.
    """

    def __init__(
        self,
        *,
        venue: str,
        instruments: Mapping[str, Instrument],
        fees: FeeSchedule,
        latency: Latency,
        queue: QueueModel,
        balances: Mapping[str, Decimal],
        seed: int,
        cancel_latency: Latency | None = None,
        self_trade: SelfTrade = SelfTrade.CANCEL_RESTING,
        cancel_on_disconnect: bool = False,
        keep_closed: int = 10_000,
    ) -> None:
        self.venue = venue
        self._keep_closed = keep_closed
        self._desk = Desk(venue, fees, balances)
        self._markets = {symbol: Market(instrument) for symbol, instrument in instruments.items()}
        self._floor = Floor(self._desk, self._markets, queue, self_trade)
        self._cancel_on_disconnect = cancel_on_disconnect
        self._delay_ns = (
            latency.sampler((seed, ENTRY)),
            (cancel_latency or latency).sampler((seed, CANCEL)),
        )
        self._last_due_ns = [0, 0]
        self._under_way: dict[ClientOrderId, int] = {}  # new orders and replaces, by arrival
        self._agenda: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._agenda_count = 0
        self._expiry = self._expire  # one bound method, so that it can be told by identity
        self._order_count = 0
        self._forgotten_ns = 0  # the latest change of an order no longer kept
        self._by_client_id: dict[ClientOrderId, PaperOrder] = {}
        self._by_venue_id: dict[VenueOrderId, PaperOrder] = {}
        self._matching: dict[type[MarketEvent], Callable[[Any], None]] = {
            Quote: self._floor.match_quote,
            Trade: self._floor.match_trade,
            BookSnapshot: self._floor.match_depth,
            BookDelta: self._floor.match_depth,
            Bar: lambda _: None,  # a bar says nothing the trades in it did not
            FeedGap: self._go_dark,
            FeedEnded: lambda _: None,  # what rests goes on resting
        }

    # -- what the owner calls ---------------------------------------------------------------

    def start(self, deliver: Deliver, now_ns: int) -> None:
        """Send every later event to `deliver`. Orders and balances from before stay."""
        self._desk.deliver = deliver
        self._desk.now_ns = max(self._desk.now_ns, now_ns)

    def balances(self) -> list[Balance]:
        """Return where every currency stands now."""
        return self._desk.account.balances(self._desk.now_ns)

    def resting(self) -> list[ExecutionReport]:
        """Return the status of every order that works, oldest first; orders on their way not."""
        now_ns = self._desk.now_ns
        return [order.status_report(now_ns) for order in self._working()]

    def submit(self, order: Approved[NewOrder]) -> None:
        """Send a new order on its way."""
        request = order.request
        self._under_way[request.client_order_id] = self._send(
            ENTRY, request.transact_time_ns, self._take_new, request
        )

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        """Send a replace on its way."""
        request = order.request
        self._under_way[request.client_order_id] = self._send(
            ENTRY, request.transact_time_ns, self._take_replace, request
        )

    def cancel(self, order: CancelOrder) -> None:
        """Send a cancel on its way; it arrives no sooner than the order it names."""
        not_before = self._under_way.get(order.client_order_id, 0)
        self._send(CANCEL, order.transact_time_ns, self._take_cancel, order, not_before)

    def ask(self, question: AskStatus | AskListing) -> None:
        """Send a question on its way."""
        take = self._tell_status if isinstance(question, AskStatus) else self._tell_listing
        self._send(ENTRY, question.transact_time_ns, take, question)

    def next_due_ns(self) -> int | None:
        """Return when the next request arrives or order expires; None if nothing is to come."""
        agenda = self._agenda
        while agenda:
            due_ns, _, act, subject = agenda[0]
            if act is not self._expiry or subject.is_working:
                return due_ns
            heappop(agenda)  # it has ended otherwise
        return None

    def advance(self, now_ns: int) -> None:
        """Bring everything due by `now_ns` about, in time order."""
        agenda, desk = self._agenda, self._desk
        while agenda and agenda[0][0] <= now_ns:
            due_ns, _, act, subject = heappop(agenda)
            desk.now_ns = max(desk.now_ns, due_ns)
            act(subject)
        desk.now_ns = max(desk.now_ns, now_ns)
        if not agenda or agenda[0][2] is self._expiry:
            desk.tell_balances()

    def apply(self, event: MarketEvent) -> None:
        """Deliver one market event, then match against it; what was due before comes before."""
        desk, now_ns = self._desk, event.receive_time_ns
        if self._agenda and self._agenda[0][0] <= now_ns:
            self.advance(now_ns)
        desk.now_ns = max(desk.now_ns, now_ns)
        desk.deliver(event)
        self._matching[type(event)](event)
        if desk.has_moved:
            desk.tell_balances()

    # -- requests arriving --------------------------------------------------------------------

    def _send(
        self,
        line: int,
        sent_ns: int,
        act: Callable[[Any], None],
        subject: object,
        not_before: int = 0,
    ) -> int:
        due_ns = max(sent_ns + self._delay_ns[line](), self._last_due_ns[line], not_before)
        self._last_due_ns[line] = due_ns
        self._agenda_count += 1
        heappush(self._agenda, (due_ns, self._agenda_count, act, subject))
        return due_ns

    def _take_new(self, request: NewOrder) -> None:
        self._under_way.pop(request.client_order_id, None)
        market = self._markets.get(request.symbol)
        if market is not None and market.dark:
            self._lose(request, RequestKind.NEW)
            return
        self._order_count += 1
        order = PaperOrder(request, self._order_count)
        if request.client_order_id in self._by_client_id:  # the order of that name lives on
            text = f"client_order_id {request.client_order_id} was used before: make a new one"
            self._desk.reject(order, text)
            return
        self._by_client_id[request.client_order_id] = order
        self._by_venue_id[order.venue_order_id] = order
        if len(self._by_venue_id) > 2 * self._keep_closed:
            self._forget_oldest()
        if market is None:
            fault = f"{request.symbol} is not traded here; {self.venue} has " + (
                ", ".join(self._markets) or "no instruments"
            )
        else:
            fault = new_order_fault(
                request, market.instrument, self._desk.now_ns
            ) or self._floor.admit(order, market)
        if fault:
            self._desk.reject(order, fault)
        elif order.time_in_force in EXPIRING and order.is_working:
            self._schedule_expiry(order)

    def _forget_oldest(self) -> None:
        """Drop the older closed orders: a bot runs for weeks."""
        older = list(self._by_venue_id.values())[: -self._keep_closed]
        for order in older:
            if not order.is_working:
                del self._by_venue_id[order.venue_order_id]
                self._forgotten_ns = max(self._forgotten_ns, order.last_change_ns)
        self._by_client_id = {
            name: order
            for name, order in self._by_client_id.items()
            if order.venue_order_id in self._by_venue_id
        }

    def _schedule_expiry(self, order: PaperOrder) -> None:
        due_ns = order.expire_time_ns
        if order.time_in_force is TimeInForce.DAY:
            due_ns = (self._desk.now_ns // NS_PER_DAY + 1) * NS_PER_DAY  # midnight
        self._agenda_count += 1
        heappush(self._agenda, (due_ns, self._agenda_count, self._expiry, order))

    def _expire(self, order: PaperOrder) -> None:
        if order.is_working:
            market = self._markets[order.symbol]
            self._desk.end(order, market, OrdStatus.EXPIRED, f"{order.time_in_force} ran out")

    def _take_cancel(self, request: CancelOrder) -> None:
        order = self._find(request.client_order_id, request.venue_order_id)
        if order is not None and order.is_working:
            market = self._markets[order.symbol]
            self._desk.end(order, market, OrdStatus.CANCELED, request.reason)
        else:
            self._decline(request, RequestKind.CANCEL, order)

    def _take_replace(self, request: ReplaceOrder) -> None:
        self._under_way.pop(request.client_order_id, None)
        order = self._find(request.orig_client_order_id, request.venue_order_id)
        if order is None or not order.is_working:
            self._decline(request, RequestKind.REPLACE, order)
            return
        market = self._markets[order.symbol]
        if market.dark:
            self._lose(request, RequestKind.REPLACE)
            return
        fault = replace_fault(request, order.ord_type, order.cum_qty, market.instrument)
        if not fault and request.client_order_id in self._by_client_id:
            fault = f"client_order_id {request.client_order_id} was used before: make a new one"
        fault = fault or self._floor.change(order, market, request)
        if fault:
            self._decline(request, RequestKind.REPLACE, order, fault)
        else:  # the name it had stays good as well
            self._by_client_id[request.client_order_id] = order

    # -- questions and refusals ---------------------------------------------------------------

    def _find(
        self, client_order_id: ClientOrderId, venue_order_id: VenueOrderId | None
    ) -> PaperOrder | None:
        order = self._by_client_id.get(client_order_id)
        if order is None and venue_order_id is not None:
            order = self._by_venue_id.get(venue_order_id)
        return order

    def _tell_status(self, question: AskStatus) -> None:
        order = self._find(question.client_order_id, question.venue_order_id)
        if order is None:
            self._decline(question, RequestKind.NEW, None)
        else:
            self._desk.deliver(order.status_report(self._desk.now_ns))

    def _tell_listing(self, question: AskListing) -> None:
        now_ns = self._desk.now_ns
        reports: list[ExecutionReport] = []
        for order in self._by_venue_id.values():
            if order.is_working or order.last_change_ns >= question.since_ns:
                reports += [
                    fill for fill in order.fills if fill.transact_time_ns >= question.since_ns
                ]
                reports.append(order.status_report(now_ns))
        self._desk.deliver(
            OrderListing(
                venue=self.venue,
                listing_id=question.listing_id,
                began_ns=question.transact_time_ns,
                complete=question.since_ns > self._forgotten_ns or not self._forgotten_ns,
                reports=tuple(reports),
                receive_time_ns=now_ns,
            )
        )

    def _decline(
        self,
        request: CancelOrder | ReplaceOrder | AskStatus,
        kind: RequestKind,
        order: PaperOrder | None,
        text: str = "",
    ) -> None:
        if not text:
            text = "unknown order" if order is None else f"the order is {order.ord_status}"
        self._desk.deliver(
            OrderCancelReject(
                symbol=request.symbol,
                client_order_id=request.client_order_id,
                venue_order_id=request.venue_order_id if order is None else order.venue_order_id,
                response_to=kind,
                ord_status=None if order is None else order.ord_status,
                unknown_order=order is None,
                text=text,
                receive_time_ns=self._desk.now_ns,
            )
        )

    def _lose(self, request: NewOrder | ReplaceOrder, kind: RequestKind) -> None:
        """Answer like a link that broke: the sender cannot know that nothing was done."""
        self._desk.deliver(
            SendFailed(
                symbol=request.symbol,
                client_order_id=request.client_order_id,
                request=kind,
                reached_venue=True,
                text=f"{self.venue} does not answer during a gap in its data; ask for the order",
                receive_time_ns=self._desk.now_ns,
            )
        )

    # -- gaps -----------------------------------------------------------------------------------

    def _go_dark(self, gap: FeedGap) -> None:
        if gap.venue != self.venue:
            return
        for symbol, market in self._markets.items():
            if not gap.symbol or gap.symbol == symbol:
                market.go_dark()
        if self._cancel_on_disconnect and not gap.symbol:
            for order in self._working():
                self._desk.end(
                    order, self._markets[order.symbol], OrdStatus.CANCELED, "cancel on disconnect"
                )

    def _working(self) -> list[PaperOrder]:
        return [order for order in self._by_venue_id.values() if order.is_working]
