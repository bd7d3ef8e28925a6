"""Our orders at DigiFinex: sent by REST, told of by WebSocket, looked up by REST."""

import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Final, TypeVar

import attrs
import msgspec
import trio

from botkit.adapter import Outbox, Persistence, send_failed
from botkit.clock import Clock
from botkit.errors import (
    InvariantError,
    VenueAuthenticationError,
    VenueError,
    VenueUnreachableError,
)
from botkit.model import (
    AskListing,
    AskStatus,
    CancelOrder,
    ClientOrderId,
    Event,
    ExecType,
    ExecutionReport,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    SendFailed,
    VenueOrderId,
)
from botkit.ports import Deliver
from botkit.transport import HttpLink
from venues.digifinex import wire
from venues.digifinex.codec import cancel_parameters, order_parameters
from venues.digifinex.conduct import Conduct
from venues.digifinex.fees import Fees
from venues.digifinex.lists import Lists
from venues.digifinex.options import DigiFinexOptions
from venues.digifinex.questions import Questions
from venues.digifinex.rest import MINUTE_S, DigiFinexCodeError, Rest
from venues.digifinex.wire import ErrorCode, OrderStatus

__all__ = ["OrderDesk", "Roads"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
REMEMBERED: Final = 100_000
LOST: Final = 100
CONFIRM_S: Final = 1.0
WINDOW_NS: Final = 600 * NS_PER_S
FILLS_BACK_NS: Final = 60 * NS_PER_S
SPACE_S: Final = 0.5  # between two questions, on average
FEW: Final = 2  # orders of a market that are asked for one by one
SPARE: Final = 30  # reads that looking up fees leaves
ZERO: Final = Decimal(0)
CANCELED: Final = frozenset({OrderStatus.CANCELED, OrderStatus.CANCELED_PARTIALLY_FILLED})
WORKING: Final = frozenset({OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.UNKNOWN})
K = TypeVar("K", bound=str)
V = TypeVar("V")

_placed = msgspec.json.Decoder(wire.Placed, strict=False).decode
_canceled = msgspec.json.Decoder(wire.Canceled, strict=False).decode


@attrs.frozen(kw_only=True)
class Roads:
    """The ways to REST; cancels have their own, so that they never wait."""

    calls: HttpLink
    cancels: HttpLink


class OrderDesk:
    """The way of orders to the venue, whichever connection there is: one for the venue's life.

    The venue takes no names of ours. What it calls an order is known from the answer to our own
    call; what is pushed of unknown orders while such an answer is awaited waits for it.
    """

    def __init__(self, options: DigiFinexOptions, rest: Rest) -> None:
        self.outbox = Outbox(self._deliver)
        self._options = options
        self._rest = rest
        self._to: Deliver | None = None
        self._clock: Clock | None = None
        self._names: OrderedDict[str, ClientOrderId] = OrderedDict()
        self._latest: OrderedDict[str, ExecutionReport] = OrderedDict()
        self._open: dict[str, str] = {}  # symbols of our own working orders, by the venue's id
        self._kept: set[ClientOrderId] = set()
        self._awaited: dict[ClientOrderId, NewOrder] = {}  # handed over and not answered
        self._in_flight: Counter[str] = Counter()  # calls under way, by symbol
        self._early: list[ExecutionReport] = []
        self._conducts: dict[str, Conduct] = {}
        self._sent: OrderedDict[ClientOrderId, None] = OrderedDict()  # by this process
        self._lost: deque[NewOrder] = deque(maxlen=LOST)  # whose answers never came
        self._fees = Fees()
        self._persistence: Persistence | None = None
        self._lists: Lists | None = None
        self._questions = Questions()
        self._knows_earlier = False  # what others have spent of the rate
        self._began_ns = 0
        self._priced_at: dict[str, int] = {}  # by symbol, when fills were last looked up

    # --- what the venue hands over ----------------------------------------------------------

    def begin(self, deliver: Deliver, clock: Clock) -> None:
        """Serve another connection."""
        self._to, self._clock = deliver, clock
        self._began_ns = self._began_ns or clock.now_ns()

    def _deliver(self, event: Event) -> None:
        assert self._to is not None, "no request comes before `run`"
        if self._persistence is not None:
            self._persistence.told(event)
        match event:
            case SendFailed():
                self._awaited.pop(event.client_order_id, None)
            case ExecutionReport() if event.venue_order_id is not None:
                self._told(event)
            case OrderListing():
                for report in event.reports:
                    self._told(report)
            case _:
                pass
        self._to(event)

    def _told(self, report: ExecutionReport) -> None:
        """Take note of what the engine is told of an order."""
        self._fees.told(report)
        name = self._names.get(str(report.venue_order_id))
        if name in self._sent or (name is None and self._may_be_lost(report)):
            self._fees.ours(str(report.venue_order_id))

    def _may_be_lost(self, report: ExecutionReport) -> bool:
        return any(_fits(report, order) for order in self._lost)

    def _now_ns(self) -> int:
        assert self._clock is not None, "no request comes before `run`"
        return self._clock.now_ns()

    def name_of(self, venue_order_id: str) -> ClientOrderId | None:
        """Return our own id of an order, if an answer of the venue's has told it."""
        return self._names.get(venue_order_id)

    def submit(self, order: NewOrder) -> None:
        """Take a new order, or say why it cannot go."""
        why = self._why_not(order)
        if why:
            self._fail(order, f"not sent: {why}", reached_venue=False)
            return
        self._rest.posts.take()
        _remember(self._sent, order.client_order_id, None)
        self._awaited[order.client_order_id] = order
        self.outbox.put(order)

    def _why_not(self, order: NewOrder) -> str:
        try:
            order_parameters(order)
        except ValueError as exc:
            return str(exc)
        # Every order that works could be canceled by a call of its own, this one too.
        most = self._options.posts_per_minute
        working = len(self._open) + len(self._awaited)
        left = self._rest.orders_left() - 1
        if left < working + 1:
            return (
                f"of {most} calls a minute {left + 1} are left, and {working} orders that may "
                "work need one each to be canceled"
            )
        # What surely trades, or gets rid of a position, does not wait: the last 20 % are for it.
        is_excused = order.ord_type is OrdType.MARKET or order.reduce_only
        if not self._options.conduct or is_excused:
            return ""
        under_way = [_value(each) for each in self._awaited.values() if each.symbol == order.symbol]
        conduct = self.conduct(order.symbol)
        return conduct.refusal(_value(order), order.transact_time_ns, under_way)

    def conduct(self, symbol: str) -> Conduct:
        """Return what a market has seen of the account."""
        return self._conducts.setdefault(symbol, Conduct())

    def cancel(self, order: CancelOrder) -> None:
        """Take a cancel, ahead of everything that waits."""
        self.outbox.put(order)

    # --- what the venue says ----------------------------------------------------------------

    def on_report(self, report: ExecutionReport) -> None:
        """Deliver what was pushed of an order; unless it may be one whose answer is awaited."""
        self._note(report)
        if report.client_order_id is None and self._in_flight[report.symbol]:
            self._early.append(report)
        else:
            self._deliver(report)

    def _note(self, report: ExecutionReport) -> None:
        """Remember where an order stands."""
        order_id = report.venue_order_id
        assert order_id is not None
        filled = report.cum_qty or ZERO
        before = self._latest.get(order_id)
        is_stale = before is not None and (
            filled < (before.cum_qty or ZERO) or before.ord_status not in WORKING
        )
        is_over = report.ord_status not in WORKING
        conduct = self.conduct(report.symbol)
        conduct.placed(order_id, report.receive_time_ns, _value(report))
        conduct.told(
            order_id,
            filled * (report.avg_px or ZERO),
            report.receive_time_ns,
            is_filled=bool(filled),
            is_over=is_over,
        )
        if is_over:
            self._open.pop(order_id, None)
        if not is_stale:
            _remember(self._latest, order_id, report)

    def _release(self, symbol: str) -> None:
        """Deliver what waited for an answer that has come, or that will not come any more."""
        waiting, self._early = self._early, []
        for report in waiting:
            name = self._names.get(report.venue_order_id or "")
            if report.symbol != symbol or (name is None and self._in_flight[symbol]):
                self._early.append(report)
            else:
                told = msgspec.structs.replace(
                    report, client_order_id=name, receive_time_ns=self._now_ns()
                )
                self._take(told)

    def _learn(self, order_id: str, name: ClientOrderId, symbol: str) -> None:
        """Take note that an order of the venue's is ours, if it has a name of ours."""
        if not name:
            return
        _remember(self._names, order_id, name)
        latest = self._latest.get(order_id)
        if name not in self._kept and (latest is None or latest.ord_status in WORKING):
            self._open[order_id] = symbol
        if name in self._sent:
            self._fees.ours(order_id)

    # --- sending ----------------------------------------------------------------------------

    async def serve(self, roads: Roads, lists: Lists) -> None:
        """Send what the outbox gives until canceled, connected or not."""
        self._lists = lists
        self._persistence = persistence = Persistence(self._deliver, self._now_ns)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._price_fills, lists)
            nursery.start_soon(self._answer_questions, lists)
            attempt = partial(self._cancel, roads, lists)
            while True:
                request = await self.outbox.take()
                match request:
                    case NewOrder():
                        # Counted before the task runs, so that no push slips by.
                        self._in_flight[request.symbol] += 1
                        nursery.start_soon(self._place, roads.calls, request)
                    case CancelOrder():
                        further = self.outbox.take_cancels(self._options.cancels_per_call - 1)
                        nursery.start_soon(persistence.see_through, [request, *further], attempt)
                    case AskStatus() | AskListing():
                        self._questions.put(request)
                    case ReplaceOrder():
                        raise InvariantError("a replace passed the gate of a venue without it")

    async def _place(self, http: HttpLink, order: NewOrder) -> None:
        try:
            answer = await self._rest.post(
                http, "/spot/order/new", _placed, order_parameters(order)
            )
        except (DigiFinexCodeError, VenueAuthenticationError) as exc:
            self._answer(order, OrdStatus.REJECTED, ExecType.REJECTED, text=str(exc))
        except VenueError as exc:
            is_sent = not isinstance(exc, VenueUnreachableError)
            if is_sent:
                self._lost.append(order)
            self._fail(order, str(exc), reached_venue=is_sent)
        else:
            if order.keep:
                self._kept.add(order.client_order_id)
            self._learn(answer.order_id, order.client_order_id, order.symbol)
            self.conduct(order.symbol).placed(answer.order_id, self._now_ns(), _value(order))
            self._answer(order, OrdStatus.NEW, ExecType.NEW, answer.order_id)
        finally:
            self._awaited.pop(order.client_order_id, None)
            self._in_flight[order.symbol] -= 1
            self._release(order.symbol)

    def _answer(
        self,
        order: NewOrder,
        status: OrdStatus,
        exec_type: ExecType,
        order_id: str | None = None,
        text: str = "",
    ) -> None:
        self._deliver(
            ExecutionReport(
                symbol=order.symbol,
                ord_status=status,
                exec_type=exec_type,
                client_order_id=order.client_order_id,
                venue_order_id=None if order_id is None else VenueOrderId(order_id),
                side=order.side,
                order_qty=order.order_qty,
                price=order.price,
                text=text,
                receive_time_ns=self._now_ns(),
            )
        )

    def _fail(self, request: NewOrder | CancelOrder, text: str, *, reached_venue: bool) -> None:
        now_ns = request.transact_time_ns if self._clock is None else self._now_ns()
        self._deliver(send_failed(request, text, reached_venue=reached_venue, now_ns=now_ns))

    # --- canceling --------------------------------------------------------------------------

    def line_up(self) -> None:
        """Send new orders from now on: there is a feed that tells of them."""
        self.outbox.open()
        if self._persistence is not None:
            self._persistence.wake()

    async def _cancel(self, roads: Roads, lists: Lists, orders: Sequence[CancelOrder]) -> None:
        """Cancel by one call; raise `VenueError` if nobody knows what became of it."""
        named: dict[str, CancelOrder] = {}
        for order in orders:
            if order.venue_order_id is None:
                self._decline(order, None, "the venue's id of it is not known", is_unknown=True)
            else:
                named[order.venue_order_id] = order
                self._learn(order.venue_order_id, order.client_order_id, order.symbol)
        if not named:
            return
        ended = {order_id for order_id in named if self._has_ended(order_id)}
        answer = await self._post_cancels(roads.cancels, named)
        accepted = [each for each in named if each in answer.success and each not in ended]
        for order_id in [each for each in named if each not in accepted]:
            await self._explain(lists, order_id, named[order_id])
        await trio.sleep(CONFIRM_S)
        for order_id in accepted:
            await self._confirm_cancel(lists, order_id, named[order_id])

    def _has_ended(self, order_id: str) -> bool:
        latest = self._latest.get(order_id)
        return latest is not None and latest.ord_status not in WORKING

    async def _post_cancels(
        self, http: HttpLink, named: Mapping[str, CancelOrder]
    ) -> wire.Canceled:
        """Return the venue's answer; raise `VenueError` if there is none.

        New orders leave a call for each order that works; where they are used up all the same, by
        cancels that were lost, it waits: one call too many, and none gets through for minutes.
        """
        posts = self._rest.posts
        await posts.wait(urgent=True)
        try:
            return await self._rest.post(
                http, "/spot/order/cancel", _canceled, cancel_parameters([*named])
            )
        except DigiFinexCodeError as exc:
            if exc.code == ErrorCode.NO_SUCH_ORDER:
                return wire.Canceled(code=exc.code, error=[*named])
            raise
        except VenueUnreachableError:
            posts.give_back()
            raise

    async def _explain(self, lists: Lists, order_id: str, order: CancelOrder) -> None:
        """Say where an order stands that the venue would not cancel."""
        try:
            report = await lists.detail(order_id)
        except DigiFinexCodeError as exc:
            is_unknown = exc.code == ErrorCode.NO_SUCH_ORDER
            self._decline(order, None, str(exc), is_unknown=is_unknown)
        except VenueError as exc:
            self._decline(order, None, f"not canceled, and not told why: {exc}")
        else:
            status = None
            if report is not None:
                self._take(report)
                status = report.ord_status
            self._decline(order, status, "the venue would not cancel it")

    def _decline(
        self,
        order: CancelOrder,
        status: OrdStatus | None,
        text: str,
        *,
        is_unknown: bool = False,
    ) -> None:
        self._deliver(
            OrderCancelReject(
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                ord_status=status,
                unknown_order=is_unknown,
                text=text,
                receive_time_ns=self._now_ns(),
            )
        )

    def _take(self, report: ExecutionReport) -> None:
        """Deliver what was looked up of an order."""
        self._note(report)
        self._deliver(report)

    async def _confirm_cancel(self, lists: Lists, order_id: str, order: CancelOrder) -> None:
        """See to it that what became of a cancel is told that was accepted; pushes may have."""
        if not self._has_ended(order_id) and not await self._confirm(lists, order_id):
            text = "accepted, and what became of the order cannot be told"
            self._fail(order, text, reached_venue=True)

    async def _confirm(self, lists: Lists, order_id: str) -> bool:
        """Tell where an order stands; False if the venue does not."""
        try:
            report = await lists.detail(order_id)
        except VenueError as exc:
            logger.warning("digifinex: cannot tell whether %s is canceled: %s", order_id, exc)
            return False
        if report is not None:
            self._take(report)
        return report is not None

    # --- questions --------------------------------------------------------------------------

    async def catch_up(self) -> None:
        """Deliver what happened before the connection: balances, and where our orders stand.

        Raises `VenueError` if it cannot be told.
        """
        lists = self._lists
        assert lists is not None, "somebody stands by"
        await self._recall_conduct(lists)
        for balance in await lists.balances():
            self._deliver(balance)
        listed: set[str] = set()
        for row in await lists.current():
            listed.add(row.order_id)
            report = lists.codec.order_report(row)
            if report is not None:
                self._take(report)
        for order_id in [*self._open]:
            if order_id not in listed:
                await self._confirm(lists, order_id)

    async def _recall_conduct(self, lists: Lists) -> None:
        """Count what the account has done lately, by whomever."""
        now_s = self._now_ns() / NS_PER_S
        for name in lists.names:
            rows, _ = await lists.history(name, self._now_ns() - WINDOW_NS)
            if not self._knows_earlier:
                self._rest.count_earlier(_ages_s(rows, now_s + self._rest.ahead_s))
            for row in sorted(rows, key=lambda each: each.created_date):
                report = lists.codec.order_report(row)
                if report is not None:
                    self._count(row, report)
        self._knows_earlier = True  # from now on all that this process sends is counted itself

    def _count(self, row: wire.OrderRow, report: ExecutionReport) -> None:
        """Count an order of before the connection in the conduct of its market."""
        conduct = self.conduct(report.symbol)
        filled = report.cum_qty or ZERO
        made_ns = round(row.created_date * NS_PER_S)
        ended_ns = round((row.finished_date or row.created_date) * NS_PER_S)
        conduct.placed(row.order_id, made_ns, _value(report))
        conduct.told(
            row.order_id,
            filled * (report.avg_px or ZERO),
            ended_ns,
            is_filled=bool(filled),
            is_over=report.ord_status not in WORKING,
        )

    async def _answer_questions(self, lists: Lists) -> None:
        """Answer all that is asked, in rounds; what is asked meanwhile waits for the next."""
        while True:
            orders, listings = await self._questions.take()
            asked = self._rest.asked
            await self._tell_orders(lists, orders)
            if listings:
                await self._tell_listings(lists, listings)
            await trio.sleep((self._rest.asked - asked) * SPACE_S)

    async def _tell_orders(self, lists: Lists, questions: Sequence[AskStatus]) -> None:
        """Say where orders stand that the venue has told its name of."""
        wanted: dict[str, None] = {}
        for question in questions:
            assert question.venue_order_id is not None
            self._learn(question.venue_order_id, question.client_order_id, question.symbol)
            wanted[question.venue_order_id] = None
        if len(wanted) > FEW:
            try:
                rows = await lists.current()
            except VenueError as exc:
                logger.warning("digifinex: cannot list open orders: %s", exc)
                return
            for row in rows:
                report = lists.codec.order_report(row)
                if row.order_id in wanted and report is not None:
                    del wanted[row.order_id]
                    self._take(report)
        async with trio.open_nursery() as nursery:
            for order_id in wanted:
                nursery.start_soon(self._confirm, lists, order_id)

    async def _tell_listings(self, lists: Lists, questions: Sequence[AskListing]) -> None:
        """Tell every open order, and every order and fill since a time; once, to all who ask."""
        began_ns = self._now_ns()
        try:
            since_ns = min(question.since_ns for question in questions)
            reports, complete = await lists.everything(since_ns)
        except VenueError as exc:
            logger.warning("digifinex: cannot list our orders: %s", exc)
            reports, complete = [], False
        for question in questions:
            self._deliver(
                OrderListing(
                    venue=question.venue,
                    listing_id=question.listing_id,
                    began_ns=began_ns,
                    complete=complete,
                    reports=tuple(reports),
                    receive_time_ns=self._now_ns(),
                )
            )

    # --- fees -------------------------------------------------------------------------------

    async def _price_fills(self, lists: Lists) -> None:
        """Tell what fills cost: pushes do not."""
        while True:
            await trio.sleep(self._options.fills_every / NS_PER_S)
            for symbol in sorted(self._fees.owing()):
                if self._rest.gets.left() < min(SPARE, self._rest.gets.limit // 6):
                    continue  # nothing hangs on it
                asked_ns = self._now_ns()
                since_ns = self._priced_at.get(symbol, self._began_ns) - FILLS_BACK_NS
                try:
                    rows, _ = await lists.fills(symbol.partition(":")[2], since_ns)
                    reports = self._fees.take(rows, symbol)
                except VenueError as exc:
                    logger.warning("digifinex: cannot look up what fills cost: %s", exc)
                    continue
                self._priced_at[symbol] = asked_ns
                for report in reports:
                    name = self._names.get(str(report.venue_order_id))
                    now_ns = self._now_ns()
                    self._deliver(
                        msgspec.structs.replace(
                            report, client_order_id=name, receive_time_ns=now_ns
                        )
                    )


def _ages_s(rows: Sequence[wire.OrderRow], now_s: float) -> list[float]:
    """Return how long ago each call of the last minute was that `rows` tell of."""
    moments = [row.created_date for row in rows]
    moments += [row.finished_date or now_s for row in rows if row.status in CANCELED]
    return [now_s - each for each in moments if now_s - each < MINUTE_S]


def _value(order: NewOrder | ExecutionReport) -> Decimal:
    """Return what an order is worth in quote currency; 0 where it has no price."""
    if isinstance(order, NewOrder) and order.cash_order_qty is not None:
        return order.cash_order_qty
    return (order.price or ZERO) * (order.order_qty or ZERO)


def _fits(report: ExecutionReport, order: NewOrder) -> bool:
    """Tell whether a report of an unknown order may be about one whose answer was lost."""
    return (
        report.symbol == order.symbol
        and report.side is order.side
        and report.price == order.price
        and report.order_qty in (None, order.order_qty)
    )


def _remember(memory: OrderedDict[K, V], key: K, value: V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
