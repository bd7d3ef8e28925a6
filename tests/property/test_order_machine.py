"""Orders against a hostile venue, one machine per source of fills."""

from decimal import Decimal
from typing import ClassVar

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from botkit.model import (
    AskListing,
    AskStatus,
    CancelOrder,
    ExecId,
    ExecType,
    ExecutionReport,
    FillSource,
    Instrument,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    Side,
    VenueOrderId,
)
from botkit.orders import ClientOrderIds, Order, Orders, OrderTiming, Outcome
from botkit.ports import Capabilities

S = 1_000_000_000
CLOSED = {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED}
INSTRUMENTS = {
    name: Instrument(
        symbol=f"kestrel:{name}",
        base=name[:3],
        quote="EUR",
        tick_size=Decimal("0.01"),
        lot_size=Decimal(1),
    )
    for name in ("BTC-EUR", "ETH-EUR")
}
TIMING = OrderTiming(
    ack_due_ns=5 * S, cancel_due_ns=5 * S, fills_due_ns=2 * S, settle_ns=5 * S, ask_every_ns=S
)
quantities = st.integers(0, 14).map(Decimal)
picks = st.integers(0, 7)
seconds = st.integers(0, 8)


class HostileVenue(RuleBasedStateMachine):
    """Feed arbitrary, repeated, reordered and contradictory answers to a handful of orders."""

    source: ClassVar[FillSource]
    atomic: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 1_000 * S
        self.ids = ClientOrderIds("demo", "run1")
        capabilities = Capabilities(
            client_order_ids=True, fill_source=self.source, replace=True, replace_atomic=self.atomic
        )
        self.orders = Orders(capabilities={"kestrel": capabilities}, timing=TIMING)
        self.all: list[Order] = []
        self.told: list[ExecutionReport] = []
        self.filled: dict[Order, Decimal] = {}
        self.spent: dict[Order, Decimal] = {}
        self.executions: dict[Order, dict[str, Decimal]] = {}
        self.totals: dict[Order, Decimal] = {}
        self.foreign: set[tuple[str, str]] = set()
        self.lowest: dict[Order, Decimal] = {}

    # What we do.

    @rule(
        name=st.sampled_from(sorted(INSTRUMENTS)),
        side=st.sampled_from(Side),
        strategy=st.sampled_from(["a", "b"]),
    )
    def submit(self, name: str, side: Side, strategy: str) -> None:
        if len(self.all) >= 8:
            return
        instrument = INSTRUMENTS[name]
        request = NewOrder(
            client_order_id=self.ids.next(),
            symbol=instrument.symbol,
            strategy=strategy,
            side=side,
            order_qty=Decimal(10),
            price=Decimal(100),
            transact_time_ns=self.now_ns,
        )
        order = self.orders.add(request, instrument)
        self.all.append(order)
        self.filled[order] = self.spent[order] = self.totals[order] = Decimal(0)
        self.lowest[order] = Decimal(0)
        self.executions[order] = {}

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        if (order := self.pick(pick)) is not None:
            before = order.is_closed
            command = self.orders.cancel_sent(order, self.now_ns)
            assert order.is_closed is before
            assert command is None or isinstance(command, CancelOrder)

    @rule(pick=picks, qty=st.integers(1, 14).map(Decimal))
    def replace(self, pick: int, qty: Decimal) -> None:
        order = self.pick(pick)
        if order is not None and order.is_open and order.replacing is None:
            request = ReplaceOrder(
                client_order_id=self.ids.next(),
                orig_client_order_id=order.current_client_order_id,
                symbol=order.symbol,
                strategy=order.strategy,
                side=order.side,
                order_qty=qty,
                price=Decimal(101),
                transact_time_ns=self.now_ns,
            )
            self.orders.replace_sent(order, request)
            assert order.worst_leaves() >= order.leaves_qty

    @rule(after_s=seconds)
    def wait(self, after_s: int) -> None:
        open_before = {order for order in self.all if order.is_open}
        self.now_ns += after_s * S
        for command in self.orders.due(self.now_ns):
            assert isinstance(command, CancelOrder | AskStatus | AskListing)
        next_ns = self.orders.next_due_ns()
        assert next_ns is None or next_ns > self.now_ns
        assert {order for order in self.all if order.is_open} == open_before
        for order in self.orders.take_changed():
            assert order.ord_status in {OrdStatus.UNKNOWN, OrdStatus.PENDING_CANCEL}

    @rule()
    def link_ends(self) -> None:
        lost = self.orders.link_lost("kestrel", self.now_ns)
        assert lost == [order for order in self.all if order.is_open]
        assert all(order.ord_status is OrdStatus.UNKNOWN for order in lost)

    @rule()
    def link_returns(self) -> None:
        self.orders.link_restored("kestrel", self.now_ns)
        in_doubt = any(order.ord_status is OrdStatus.UNKNOWN for order in self.all)
        due_ns = self.orders.next_due_ns()
        assert not in_doubt or (due_ns is not None and due_ns <= self.now_ns)

    @rule(pick=picks)
    def clean_up_expires(self, pick: int) -> None:
        if (order := self.pick(pick)) is not None:
            was_open = order.is_open
            marked = self.orders.mark_unknown([order.client_order_id], self.now_ns)
            assert marked == ([order] if was_open else [])

    # What the venue says.

    @rule(
        pick=picks,
        status=st.sampled_from(OrdStatus),
        exec_type=st.sampled_from(
            [ExecType.TRADE, ExecType.NEW, ExecType.ORDER_STATUS, ExecType.REPLACED]
        ),
        last_qty=quantities,
        cum_qty=st.none() | quantities,
        exec_id=st.none() | st.integers(0, 5).map(lambda n: ExecId(f"e{n}")),
        px=st.sampled_from([Decimal(99), Decimal(100)]),
        by=st.sampled_from(["first", "current", "replacing", "venue"]),
        age_s=seconds,
    )
    def report(
        self,
        *,
        pick: int,
        status: OrdStatus,
        exec_type: ExecType,
        last_qty: Decimal,
        cum_qty: Decimal | None,
        exec_id: ExecId | None,
        px: Decimal,
        by: str,
        age_s: int,
    ) -> None:
        order = self.pick(pick)
        if order is None:
            return
        name = {"first": order.client_order_id, "current": order.current_client_order_id}.get(by)
        if by == "replacing" and order.aliases:
            name = order.aliases[-1]
        venue_id = VenueOrderId(f"v-{order.client_order_id}") if by in ("venue", "first") else None
        report = ExecutionReport(
            symbol=order.symbol,
            ord_status=status,
            exec_type=exec_type,
            client_order_id=name,
            venue_order_id=venue_id,
            exec_id=exec_id,
            last_qty=last_qty,
            last_px=px,
            cum_qty=cum_qty,
            transact_time_ns=self.now_ns - age_s * S,
            receive_time_ns=self.now_ns,
        )
        if name is None and venue_id is None:
            return
        self.told.append(report)
        self.apply(report)

    @rule(pick=picks, last_qty=st.integers(1, 5).map(Decimal), number=st.integers(10, 10_000))
    def honest_fill(self, pick: int, last_qty: Decimal, number: int) -> None:
        order = self.pick(pick)
        if order is None or order.cum_qty + last_qty > order.order_qty:
            return
        cum_qty = order.cum_qty + last_qty
        is_full = cum_qty == order.order_qty
        report = ExecutionReport(
            symbol=order.symbol,
            ord_status=OrdStatus.FILLED if is_full else OrdStatus.PARTIALLY_FILLED,
            exec_type=ExecType.TRADE,
            client_order_id=order.current_client_order_id,
            exec_id=ExecId(f"e{number}"),
            last_qty=last_qty,
            last_px=Decimal(100),
            cum_qty=cum_qty,
            receive_time_ns=self.now_ns,
        )
        self.told.append(report)
        self.apply(report)

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        if self.told:
            self.apply(data.draw(st.sampled_from(self.told)))

    @rule(data=st.data())
    def say_twice(self, data: st.DataObject) -> None:
        """Whatever a report did, saying it again at once fills nothing."""
        if self.told:
            report = data.draw(st.sampled_from(self.told))
            self.apply(report)
            again = self.apply(report)
            assert again is None or again.fill is None

    @rule(number=st.integers(0, 3), status=st.sampled_from(OrdStatus))
    def strangers_report(self, number: int, status: OrdStatus) -> None:
        report = ExecutionReport(
            symbol="kestrel:BTC-EUR",
            ord_status=status,
            exec_type=ExecType.ORDER_STATUS,
            venue_order_id=VenueOrderId(f"x{number}"),
        )
        outcome = self.orders.on_report(report)
        assert outcome.order is None
        self.foreign.add(("kestrel", f"x{number}"))

    @rule(
        pick=picks,
        status=st.none() | st.sampled_from(OrdStatus),
        to=st.sampled_from([RequestKind.CANCEL, RequestKind.REPLACE]),
        unknown=st.booleans(),
    )
    def decline(
        self, pick: int, status: OrdStatus | None, to: RequestKind, *, unknown: bool
    ) -> None:
        if (order := self.pick(pick)) is None:
            return
        was_open = order.is_open
        self.orders.on_cancel_reject(
            OrderCancelReject(
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                response_to=to,
                ord_status=status,
                unknown_order=unknown,
                receive_time_ns=self.now_ns,
            )
        )
        assert order.is_open is was_open or order.ord_status is OrdStatus.FILLED
        if was_open and (unknown or status in CLOSED):
            assert order.ord_status is OrdStatus.UNKNOWN

    @rule(pick=picks, request=st.sampled_from(RequestKind), reached=st.booleans())
    def send_fails(self, pick: int, request: RequestKind, *, reached: bool) -> None:
        if (order := self.pick(pick)) is None:
            return
        before = self.photograph()
        was_open = order.is_open
        outcome = self.orders.on_send_failed(
            SendFailed(
                symbol=order.symbol,
                client_order_id=order.client_order_id,
                request=request,
                reached_venue=reached,
                text="no",
                receive_time_ns=self.now_ns,
            )
        )
        if outcome.contradiction:
            assert self.photograph() == before
        if was_open and order.is_closed and order.ord_status is not OrdStatus.FILLED:
            assert request is RequestKind.NEW
            assert not reached

    @rule(
        complete=st.booleans(),
        status=st.sampled_from([OrdStatus.NEW, OrdStatus.CANCELED, OrdStatus.UNKNOWN]),
        shown=st.sets(picks),
        age_s=seconds,
    )
    def listing(self, status: OrdStatus, shown: set[int], age_s: int, *, complete: bool) -> None:
        reports = tuple(
            ExecutionReport(
                symbol=order.symbol,
                ord_status=status,
                exec_type=ExecType.ORDER_STATUS,
                client_order_id=order.current_client_order_id,
                receive_time_ns=self.now_ns,
            )
            for number, order in enumerate(self.all)
            if number in shown
        )
        began_ns = self.now_ns - age_s * S
        open_before = [order for order in self.all if order.is_open]
        outcomes = self.orders.on_listing(
            OrderListing(
                venue="kestrel",
                listing_id=1,
                began_ns=began_ns,
                complete=complete,
                reports=reports,
                receive_time_ns=self.now_ns,
            )
        )
        assert len(outcomes) >= len(reports)
        named = {report.client_order_id for report in reports}
        for order in open_before:
            if order.is_closed and order.current_client_order_id not in named:
                assert complete
                assert not order.acknowledged
                assert began_ns > order.transact_time_ns + TIMING.ack_due_ns
                assert order.ord_status is OrdStatus.REJECTED

    # What must hold.

    @invariant()
    def quantities_add_up(self) -> None:
        for order in self.all:
            assert order.cum_qty == self.filled[order]
            assert order.notional == self.spent[order]
            assert order.cum_qty >= self.lowest[order], "cum_qty fell"
            self.lowest[order] = order.cum_qty
            if order.cum_qty:
                assert order.avg_px * order.cum_qty - order.notional < Decimal("1e-20")
            if order.is_open and order.replacing is None:
                assert order.cum_qty + order.leaves_qty == order.order_qty
            if order.is_closed:
                assert order.leaves_qty == order.worst_leaves() == 0
            if order.ord_status is OrdStatus.FILLED:
                assert order.cum_qty >= order.order_qty
            if order.ord_status in (OrdStatus.NEW, OrdStatus.PENDING_NEW, OrdStatus.REJECTED):
                assert order.cum_qty == 0

    @invariant()
    def every_fill_is_counted_once_by_its_source(self) -> None:
        for order in self.all:
            if self.source is FillSource.TOTALS:
                assert order.cum_qty == self.totals[order]
            else:
                assert order.cum_qty == sum(self.executions[order].values())

    @invariant()
    def exposure_equals_a_recount(self) -> None:
        still_open = [order for order in self.all if order.is_open]
        for instrument in INSTRUMENTS.values():
            for side in Side:
                recount = sum(
                    order.worst_leaves()
                    for order in still_open
                    if order.side is side and order.instrument is instrument
                )
                assert self.orders.leaves(instrument.symbol, side) == recount
            here = [order for order in still_open if order.instrument is instrument]
            assert self.orders.working(symbol=instrument.symbol) == here
            assert self.orders.open_orders(instrument.symbol) == len(here)
            ours = [order for order in here if order.strategy == "a"]
            assert self.orders.working(strategy="a", symbol=instrument.symbol) == ours
        assert self.orders.open_orders() == len(still_open)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert set(self.orders.foreign) >= self.foreign
        for order in self.all:
            assert all(
                self.orders.get(name) is order for name in (order.client_order_id, *order.aliases)
            )
            if order.ord_status is OrdStatus.UNKNOWN:
                assert self.orders.next_due_ns() is not None

    # How it is done.

    def pick(self, number: int) -> Order | None:
        return self.all[number % len(self.all)] if self.all else None

    def photograph(self) -> list[dict[str, object]]:
        """Return every field of every order."""
        hidden = attrs.filters.exclude("group", "desk", "instrument", "ledger")
        return [
            {
                **attrs.asdict(order, recurse=False, filter=hidden),
                "fills": dict(order.ledger.fills) if order.ledger else {},
                "leaves": self.orders.leaves(order.symbol, order.side),
            }
            for order in self.all
        ]

    def apply(self, report: ExecutionReport) -> Outcome | None:
        """Hand over one report; None if it was a contradiction, which must change nothing."""
        before = self.photograph()
        outcome = self.orders.on_report(report)
        if outcome.contradiction:
            assert self.photograph() == before
            assert "ask the venue" in outcome.contradiction
            return None
        if outcome.order is None:
            self.foreign.add(("kestrel", str(report.venue_order_id)))
            return None
        self.book(report, outcome)
        for later in outcome.then:
            self.foreign.discard(("kestrel", str(report.venue_order_id)))
            if later.order is not None and not later.contradiction:
                self.book(None, later)
        if report.venue_order_id is not None:
            self.foreign.discard(("kestrel", report.venue_order_id))
        return outcome

    def book(self, report: ExecutionReport | None, outcome: Outcome) -> None:
        order = outcome.order
        assert order is not None
        fill = outcome.fill
        if fill is not None:
            assert fill.qty > 0
            self.filled[order] += fill.qty
            self.spent[order] += fill.qty * fill.price
        if self.source is FillSource.TOTALS:
            told = report.cum_qty if report is not None else None
            if report is None:
                told = self.totals[order] + (fill.qty if fill else 0)
            self.totals[order] = max(self.totals[order], told or Decimal(0))
        elif fill is not None:
            name = fill.exec_id or f"unnamed-{len(self.executions[order])}"
            assert name not in self.executions[order], "counted twice"
            self.executions[order][name] = fill.qty
        elif report is not None and report.last_qty and report.exec_id is not None:
            assert report.exec_id in self.executions[order], "an execution was not counted"


class ExecutionsMachine(HostileVenue):
    """Executions count; a replace may fill old and new."""

    source = FillSource.EXECUTIONS
    atomic = False


class TotalsMachine(HostileVenue):
    """Totals count; a replace is atomic."""

    source = FillSource.TOTALS
    atomic = True


TestExecutions = ExecutionsMachine.TestCase
TestTotals = TotalsMachine.TestCase
TestExecutions.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestTotals.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
