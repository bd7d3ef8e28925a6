"""Any stream of events, a lying venue's included: the engine never raises, and repeats itself."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from botkit import Order
from botkit.model import (
    Approved,
    BookDelta,
    CancelOrder,
    CleanUpExpired,
    ClientOrderId,
    Event,
    ExecId,
    ExecType,
    ExecutionReport,
    FeedEnded,
    FeedGap,
    Fill,
    FillSource,
    JournalStatus,
    NewOrder,
    Operation,
    OperatorCommand,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    Side,
    StopRequested,
    StrategyEnded,
    Tick,
    VenueOrderId,
)
from botkit.ports import Capabilities
from botkit.testing import (
    build_quote,
    build_snapshot,
    build_trade,
    build_venue_status,
    time_ns,
)
from botkit.testing.engine_rig import Actor, EngineRig

NEAR, FAR = "near:BTC-EUR", "far:BTC-EUR"
SYMBOLS = (NEAR, FAR)
ANY_SYMBOL = st.sampled_from([*SYMBOLS, "near:LIE-EUR", "nowhere:X-Y"])
NAMES = st.sampled_from([f"rig-run-{number}" for number in range(1, 9)] + ["stranger", None])
STEPS = st.floats(-2, 8)  # seconds between events; time may fall
QTY = st.sampled_from(["0", "0.5", "1", "1.5", "2", "3"])
PRICES = st.sampled_from([99.0, 100.0, 100.5])


@st.composite
def reports(draw: st.DrawFn, after_s: float) -> ExecutionReport:
    """Return a report that may be true, false, repeated or about nobody's order."""
    name = draw(NAMES)
    last_qty = Decimal(draw(QTY))
    told = draw(st.one_of(st.none(), QTY))
    return ExecutionReport(
        symbol=draw(ANY_SYMBOL),
        ord_status=draw(st.sampled_from(OrdStatus)),
        exec_type=draw(st.sampled_from(ExecType)),
        client_order_id=None if name is None else ClientOrderId(name),
        venue_order_id=draw(st.one_of(st.none(), st.sampled_from("UVW").map(VenueOrderId))),
        exec_id=ExecId(draw(st.sampled_from("abcdef"))),
        side=draw(st.one_of(st.none(), st.sampled_from(Side))),
        last_qty=last_qty,
        last_px=Decimal(100),
        cum_qty=None if told is None else Decimal(told),
        commission=draw(st.one_of(st.none(), st.just(Decimal("0.1")))),
        commission_currency="EUR",
        receive_time_ns=time_ns(after_s),
    )


@st.composite
def honest_reports(draw: st.DrawFn, ns: int) -> ExecutionReport:
    """Return an ack or a fill of one of the first orders, if it is where it says."""
    is_fill = draw(st.booleans())
    return ExecutionReport(
        symbol=draw(st.sampled_from(SYMBOLS)),
        ord_status=OrdStatus.PARTIALLY_FILLED if is_fill else OrdStatus.NEW,
        exec_type=ExecType.TRADE if is_fill else ExecType.NEW,
        client_order_id=ClientOrderId(f"rig-run-{draw(st.integers(1, 4))}"),
        exec_id=ExecId(f"{ns}"),
        last_qty=Decimal("0.5" if is_fill else 0),
        last_px=Decimal(100),
        cum_qty=draw(st.sampled_from([None, Decimal("0.5")])) if is_fill else None,
        receive_time_ns=ns,
    )


def id_of(name: str | None) -> ClientOrderId:
    return ClientOrderId(name or "rig-run-1")


MAKERS: list[Callable[[st.DrawFn, float, int], Event]] = [
    lambda draw, s, _: build_quote(s, draw(PRICES), 101, symbol=draw(ANY_SYMBOL)),
    lambda draw, s, _: build_trade(s, draw(PRICES), symbol=draw(ANY_SYMBOL)),
    lambda draw, s, _: build_snapshot(s, [(draw(PRICES), 1)], [(101, 1)], symbol=draw(ANY_SYMBOL)),
    lambda draw, _, ns: BookDelta(draw(ANY_SYMBOL), [(draw(PRICES), 0.0)], [], 0, ns),
    lambda draw, s, _: draw(reports(s)),
    *[lambda draw, _, ns: draw(honest_reports(ns))] * 4,
    lambda draw, _, ns: OrderCancelReject(
        symbol=draw(ANY_SYMBOL),
        client_order_id=id_of(draw(NAMES)),
        response_to=draw(st.sampled_from(RequestKind)),
        ord_status=draw(st.one_of(st.none(), st.sampled_from(OrdStatus))),
        unknown_order=draw(st.booleans()),
        receive_time_ns=ns,
    ),
    lambda draw, _, ns: SendFailed(
        symbol=draw(ANY_SYMBOL),
        client_order_id=id_of(draw(NAMES)),
        request=draw(st.sampled_from(RequestKind)),
        reached_venue=draw(st.booleans()),
        text="lost",
        receive_time_ns=ns,
    ),
    lambda draw, s, ns: OrderListing(
        venue=draw(st.sampled_from(["near", "far", "nowhere"])),
        listing_id=1,
        began_ns=ns,
        complete=draw(st.booleans()),
        reports=tuple(draw(st.lists(reports(s), max_size=3))),
        receive_time_ns=ns,
    ),
    lambda draw, s, _: build_venue_status(
        s, up=draw(st.booleans()), venue=draw(st.sampled_from(["near", "far", "nowhere"]))
    ),
    lambda draw, _, ns: OperatorCommand(
        operation=draw(st.sampled_from(Operation)),
        target=draw(st.sampled_from(["", "a", NEAR, "nobody"])),
        receive_time_ns=ns,
    ),
    lambda draw, _, ns: JournalStatus(ok=draw(st.booleans()), reason="full", receive_time_ns=ns),
    lambda draw, _, ns: CleanUpExpired(client_order_ids=(id_of(draw(NAMES)),), receive_time_ns=ns),
    lambda draw, _, ns: FeedGap(draw(st.sampled_from(["near", "nowhere"])), "lost", "", ns),
    lambda _, __, ns: FeedEnded("near", ns),
    lambda _, __, ns: Tick(ns),
]
LAST: list[Callable[[st.DrawFn, float, int], Event]] = [
    lambda draw, _, ns: StrategyEnded(
        strategy=draw(st.sampled_from("ab")),
        error=draw(st.sampled_from(["", "x"])),
        receive_time_ns=ns,
    ),
    lambda _, __, ns: StopRequested(reason="end", receive_time_ns=ns),
]


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """Return events of every kind; the end of a strategy or of the run comes in rarely."""
    after_s = 1.0
    events: list[Event] = []
    for _ in range(draw(st.integers(5, 40))):
        after_s = max(0.0, after_s + draw(STEPS))
        makers = LAST if draw(st.integers(0, 30)) == 30 else MAKERS
        events.append(draw(st.sampled_from(makers))(draw, after_s, time_ns(after_s)))
    return events


class Wild(Actor):
    """Does at each hook what comes next in its list of acts."""

    def __init__(self, plan: list[int]) -> None:
        super().__init__()
        self.plan = plan
        self.acted = 0

    def _note(self, hook: str, noted: tuple[Any, ...], *arguments: object) -> None:
        super()._note(hook, noted, *arguments)
        if self.acted < 60:  # it would answer its own refusals for ever
            self.acted += 1
            self.act(self.plan[self.acted % len(self.plan)])

    def act(self, choice: int) -> None:
        """Place, replace, cancel, set timers, build bars, or fail."""
        which, instrument = choice // 2, self.instruments[choice % 2]
        acts: list[Callable[[], object]] = [
            lambda: self.buy(instrument, 2, price="100"),
            lambda: self.sell(instrument, 1, price="100.5", keep=True),
            lambda: self.buy(instrument, "0.00001"),
            lambda: self.set_timer(f"t{choice}", 1, every_s=3 if choice % 2 else None),
            lambda: change(self.orders()[:1]),
            lambda: end(self.orders()[-1:]),
            lambda: self.cancel_all(instrument),
            lambda: self.build_bars(1 + choice % 2),
            lambda: 1 // (self.acted < 20),  # fails, later on
        ]
        acts[which]()


def end(orders: list[Order]) -> None:
    for order in orders:
        order.cancel()


def change(orders: list[Order]) -> None:
    for order in orders:
        order.replace(qty=Decimal(3))


PLANS = st.lists(st.integers(0, 17), min_size=1, max_size=12)


def play(
    events: list[Event], plans: list[list[int]], source: FillSource, *, named: bool
) -> EngineRig:
    """Play the events; what must always hold is checked after each."""
    capabilities = Capabilities(client_order_ids=named, fill_source=source, replace=True)
    strategies = [Wild(plan) for plan in plans]
    rig = EngineRig(*strategies, symbols=SYMBOLS, capabilities=capabilities, equity_every_ns=10**10)
    rig.start()
    for event in events:
        stopping, sent = rig.engine.lifecycle.stopping, len(rig.new_orders) + len(rig.replaces)
        rig.engine.handle(event)
        assert not rig.engine.busy
        assert not stopping or len(rig.new_orders) + len(rig.replaces) == sent
        check_tallies(rig)
    rig.engine.close_books(time_ns(1000))
    return rig


def check_tallies(rig: EngineRig) -> None:
    """Check that what may still fill and what has filled agree wherever they are kept."""
    engine = rig.engine
    fills: list[Fill] = rig.recorded(Fill)
    assert engine.desk.counts.fills == len(fills)
    for symbol in SYMBOLS:
        for side in Side:
            working = [each for each in engine.orders.working(symbol=symbol) if each.side is side]
            worst = sum((each.worst_leaves() for each in working), Decimal(0))
            assert engine.orders.leaves(symbol, side) == worst
        filled = sum((f.side.sign * f.qty for f in fills if f.symbol == symbol), Decimal(0))
        assert engine.portfolio.position(symbol) == filled


def encoded(rig: EngineRig) -> list[bytes]:
    requests = [each.request if isinstance(each, Approved) else each for each in rig.sent]
    return [msgspec.json.encode(request) for request in requests]


@settings(max_examples=150)
@given(
    events=streams(),
    plans=st.lists(PLANS, min_size=2, max_size=2),
    source=st.sampled_from(FillSource),
    named=st.sampled_from([True, True, False]),
)
def test_any_events_leave_the_engine_whole_and_the_same_ones_give_the_same_commands(
    events: list[Event], plans: list[list[int]], source: FillSource, *, named: bool
) -> None:
    first, second = (play(events, plans, source, named=named) for _ in range(2))
    assert encoded(first) == encoded(second)
    assert first.journal.entries == second.journal.entries
    recorded = [*first.recorded(NewOrder), *first.recorded(ReplaceOrder)]
    assert sorted(map(id, recorded)) == sorted(map(id, first.of(NewOrder, ReplaceOrder)))
    known = {request.client_order_id for request in recorded}
    assert {cancel.client_order_id for cancel in first.of(CancelOrder)} <= known
