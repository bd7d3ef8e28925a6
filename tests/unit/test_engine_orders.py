"""The engine's order desk and what blocks it: venues, operators, the journal, the end."""

from decimal import Decimal
from typing import Any

import pytest

from botkit import Order
from botkit.model import (
    AskListing,
    AskStatus,
    Balance,
    CancelAction,
    CancelOrder,
    CleanUpExpired,
    ClientOrderId,
    ExecId,
    ExecutionReport,
    FeedEnded,
    Fill,
    JournalStatus,
    Operation,
    OperatorCommand,
    OrderCancelReject,
    OrderListing,
    OrdStatus,
    ReplaceAction,
    RequestKind,
    RunStarted,
    SendFailed,
    StopRequested,
    StrategyEnded,
    Tick,
    VenueOrderId,
    VenueStatus,
)
from botkit.testing import SYMBOL, build_report, build_venue_status, time_ns
from botkit.testing.engine_rig import Actor, EngineRig

OTHER = "paper:ETH-EUR"
FAR = "far:BTC-EUR"
ALL = (SYMBOL, OTHER, FAR)


class Bench:
    """A rig of two strategies, and an order of the first in each instrument."""

    def __init__(self, symbols: tuple[str, ...] = (SYMBOL,)) -> None:
        self.actor, self.other = Actor(), Actor()
        self.rig = EngineRig(self.actor, self.other, symbols=symbols)
        self.engine = self.rig.engine
        self.rig.start()
        self.orders = [self.place(number) for number in range(len(symbols))]
        self.order = self.orders[0]
        for order in self.orders:
            self.rig.report(order, OrdStatus.NEW, 0.1)
        self.actor.seen.clear()

    def place(self, number: int = 0, **terms: Any) -> Order:
        return self.actor.buy(self.actor.instruments[number], 2, price="99", **terms)

    def refusal(self, number: int = 0) -> str:
        """Return why a new order would be refused; empty if it would pass."""
        order = self.place(number)
        return order.text if order.is_closed else ""

    def operate(self, operation: Operation, target: str = "") -> None:
        self.engine.handle(
            OperatorCommand(
                operation=operation, target=target, reason="lunch", receive_time_ns=time_ns(1)
            )
        )

    def canceled(self) -> list[str]:
        return [cancel.client_order_id for cancel in self.rig.cancels]

    def statuses(self) -> list[OrdStatus]:
        return [entry[2] for entry in self.actor.of("on_order")]


# --- reports --------------------------------------------------------------------------------


def test_reports_about_other_orders_are_logged_and_counted_and_kept() -> None:
    bench = Bench()
    report = build_report("stranger", venue_order_id=VenueOrderId("V-9"))
    bench.engine.handle(report)
    bench.engine.handle(OrderCancelReject(symbol=SYMBOL, client_order_id=ClientOrderId("x")))
    assert bench.engine.desk.counts.foreign == 2
    lines = bench.rig.lines("report about an order that is not ours")
    assert lines[0]["may_be"] == []
    assert "V-9" in str(lines[0]["report"])
    assert bench.engine.orders.foreign["paper", "V-9"] is report
    assert report in bench.rig.journal.entries
    assert bench.actor.seen == []


def test_a_contradiction_suspends_the_order_s_instrument_and_asks_once_in_a_while() -> None:
    bench = Bench(ALL)
    for after_s in (1, 1.5, 4):
        bench.rig.report(bench.order, OrdStatus.NEW, after_s, symbol="paper:LIE-EUR")
    assert [question.transact_time_ns for question in bench.rig.of(AskStatus)] == [
        time_ns(1),
        time_ns(4),
    ]
    assert bench.refusal(0).startswith(f"{SYMBOL} is suspended: order rig-run-1 ({SYMBOL}): cannot")
    assert bench.refusal(1) == bench.refusal(2) == ""
    assert len(bench.rig.lines("contradiction")) == 3
    bench.order.cancel()  # a cancel still goes
    assert bench.canceled() == ["rig-run-1"]
    bench.rig.report(bench.order, OrdStatus.CANCELED, 4.25)
    bench.rig.report(bench.order, OrdStatus.NEW, 4.5, symbol="paper:LIE-EUR")
    assert len(bench.rig.of(AskStatus)) == 3  # when it closed, the question was forgotten
    bench.operate(Operation.RESUME, SYMBOL)
    assert bench.refusal(0) == ""


def test_a_commission_told_late_is_booked_and_the_fill_counts_once() -> None:
    bench = Bench()
    bench.rig.fill(bench.order, "1", "99", 1, exec_id="e")
    fee = {"commission": Decimal("0.1"), "commission_currency": "EUR"}
    bench.rig.report(
        bench.order, OrdStatus.PARTIALLY_FILLED, 2, last_qty="1", last_px="99", exec_id="e", **fee
    )
    assert bench.engine.portfolio.fees("EUR") == Decimal("0.1")
    assert len(bench.rig.recorded(Fill)) == 1
    assert bench.actor.position() == 1


def test_what_followed_from_an_answer_is_booked_before_any_hook_hears_of_it() -> None:
    """A fill came under the venue's id before the venue said whose it is."""
    bench = Bench()
    order = bench.place()
    early = ExecutionReport(
        symbol=SYMBOL,
        ord_status=OrdStatus.PARTIALLY_FILLED,
        exec_type=build_report(last_qty=1).exec_type,
        venue_order_id=VenueOrderId("V-early"),
        exec_id=ExecId("e"),
        last_qty=Decimal(1),
        last_px=Decimal(99),
    )
    bench.engine.handle(early)
    positions: list[Decimal] = []
    bench.actor.acts["on_order"] = lambda _: positions.append(bench.actor.position())
    bench.rig.report(order, OrdStatus.NEW, 1, venue_order_id=VenueOrderId("V-early"))
    assert order.cum_qty == bench.actor.position() == 1
    assert set(positions) == {1}
    assert bench.engine.desk.counts.fills == 1


def test_a_send_that_never_left_is_rejected_and_one_that_may_have_is_unknown() -> None:
    bench = Bench()
    for reached, status in ((False, OrdStatus.REJECTED), (True, OrdStatus.UNKNOWN)):
        order = bench.place()
        bench.engine.handle(
            SendFailed(
                symbol=SYMBOL,
                client_order_id=order.client_order_id,
                request=RequestKind.NEW,
                reached_venue=reached,
                text="wire cut",
                receive_time_ns=time_ns(1),
            )
        )
        assert (order.ord_status, order.text) == (status, "wire cut")
    assert bench.statuses() == [OrdStatus.REJECTED, OrdStatus.UNKNOWN]
    assert len(bench.rig.recorded(SendFailed)) == 2


def test_a_declined_cancel_leaves_the_order_and_is_journaled() -> None:
    bench = Bench()
    bench.order.cancel()
    bench.order.cancel()
    assert len(bench.rig.cancels) == 1
    reject = OrderCancelReject(
        symbol=SYMBOL,
        client_order_id=bench.order.client_order_id,
        ord_status=OrdStatus.NEW,
        receive_time_ns=time_ns(1),
    )
    bench.engine.handle(reject)
    assert bench.order.ord_status is OrdStatus.NEW
    assert bench.rig.recorded(OrderCancelReject) == [reject]


def listing(number: int, began_s: float, *reports: ExecutionReport) -> OrderListing:
    return OrderListing(
        venue="paper",
        listing_id=number,
        began_ns=time_ns(began_s),
        complete=True,
        reports=reports,
        receive_time_ns=time_ns(began_s + 0.1),
    )


def test_a_refusal_is_logged_without_fields_that_say_nothing() -> None:
    bench = Bench()
    bench.operate(Operation.PAUSE)
    bench.place()

    (line,) = bench.rig.lines("refused")
    assert (line["rule"], line["strategy"]) == ("ready", bench.order.strategy)
    assert not {"limit", "measured"} & set(line)
    assert "" not in line.values()


@pytest.mark.parametrize("how", ["filled", "canceled", "refused"])
def test_a_closed_order_is_left_alone(how: str) -> None:
    bench = Bench()
    order = bench.order
    if how == "refused":
        order = bench.actor.buy(bench.actor.instrument, 2, price="99.001")
    elif how == "filled":
        bench.rig.fill(order, "2", "99", 0.2, exec_id="e-1")
    else:
        bench.rig.report(order, OrdStatus.CANCELED, 0.2)
    sent, said = len(bench.rig.sent), len(bench.rig.log)
    assert order.is_closed

    order.replace(price=Decimal(98))
    order.cancel()
    bench.engine.handle(Tick(time_ns(60)))

    assert (len(bench.rig.sent), len(bench.rig.log)) == (sent, said)


def test_an_order_missing_from_two_listings_ends_and_the_journal_says_so() -> None:
    bench = Bench()
    lost = bench.place()
    lost.replace(price=Decimal(98))
    bench.engine.handle(Tick(time_ns(6)))
    assert bench.statuses() == [OrdStatus.UNKNOWN]
    assert bench.rig.of(AskListing)
    report = build_report("rig-run-1", last_qty=1, last_px=99, exec_id="e", receive_time_ns=1)
    for number, began_s in enumerate((20, 26)):
        bench.engine.handle(listing(number, began_s, report, build_report("stranger")))
    assert lost.ord_status is OrdStatus.REJECTED
    ended = [each for each in bench.rig.recorded(ExecutionReport) if each.text]
    assert {each.client_order_id for each in ended} >= {lost.client_order_id, *lost.aliases}
    assert {each.ord_status for each in ended} == {OrdStatus.REJECTED}
    assert bench.actor.position() == 1
    assert bench.engine.desk.counts.foreign == 2
    assert bench.statuses()[-1] is OrdStatus.REJECTED


def test_an_unanswered_order_is_unknown_in_time_and_asked_for() -> None:
    bench = Bench()
    order = bench.place()
    bench.engine.handle(Tick(time_ns(5.5)))
    assert order.ord_status is OrdStatus.UNKNOWN
    assert order.client_order_id in {
        question.client_order_id for question in bench.rig.of(AskStatus)
    }
    assert bench.statuses() == [OrdStatus.UNKNOWN]


# --- venues ---------------------------------------------------------------------------------


def test_a_lost_link_makes_orders_unknown_and_its_return_asks_at_once() -> None:
    bench = Bench(ALL)
    bench.engine.handle(build_venue_status(1, up=False, reason="cable"))
    assert [order.ord_status for order in bench.orders] == [
        OrdStatus.UNKNOWN,
        OrdStatus.UNKNOWN,
        OrdStatus.NEW,
    ]
    assert bench.refusal(0) == "paper is not ready for orders: cable"
    assert bench.refusal(2) == ""
    bench.engine.handle(Tick(time_ns(60)))
    asked = len(bench.rig.questions)
    assert asked
    bench.engine.handle(build_venue_status(61, up=True))
    assert bench.engine.next_due_ns <= time_ns(61)
    bench.engine.handle(Tick(time_ns(61)))
    again = {question.client_order_id for question in bench.rig.of(AskStatus)[-2:]}
    assert len(bench.rig.questions) > asked
    assert again == {"rig-run-1", "rig-run-2"}
    assert bench.refusal(0) == "paper is not ready for orders: 2 orders of before not settled yet"
    canceled = {command.client_order_id for command in bench.rig.of(CancelOrder)}
    assert canceled == {"rig-run-1", "rig-run-2"}
    for number, order in enumerate(bench.orders[:2]):
        assert bench.actor.of("on_venue")[-1] == ("on_venue", "paper", False)
        bench.rig.report(order, OrdStatus.CANCELED, 62 + number)
    assert bench.actor.of("on_venue")[-1] == ("on_venue", "paper", True)
    assert bench.refusal(0) == ""


def test_a_venue_that_only_lacks_market_data_takes_orders() -> None:
    bench = Bench()
    parts = {"private": True, "order_entry": True, "market_data": False}
    bench.engine.handle(VenueStatus(venue="paper", reason="quiet", **parts))
    assert bench.refusal() == ""
    parts["order_entry"] = False
    bench.engine.handle(VenueStatus(venue="paper", reason="closed", **parts))
    assert bench.refusal() == "paper is not ready for orders: closed"
    assert bench.order.ord_status is OrdStatus.NEW
    parts.update(order_entry=True, private=False)
    bench.engine.handle(VenueStatus(venue="paper", reason="deaf", **parts))
    assert bench.refusal() == "paper is not ready for orders: deaf"


def test_the_run_is_ready_once_when_every_venue_is_up() -> None:
    rig = EngineRig(Actor(), symbols=ALL)
    told: list[str] = []
    rig.engine.lifecycle.on_ready = lambda: told.append("ready")
    rig.engine.handle(build_venue_status(0, up=True))
    assert told == []
    for up in (True, False, True):
        rig.engine.handle(build_venue_status(0, up=up, venue="far"))
    assert told == ["ready"]


def test_the_run_is_to_end_when_every_feed_has() -> None:
    bench = Bench(ALL)
    bench.engine.handle(FeedEnded("paper"))
    assert bench.engine.lifecycle.stop_wanted == ""
    bench.engine.handle(FeedEnded("far"))
    assert bench.engine.lifecycle.stop_wanted == "end of the data"


def test_balances_are_kept_by_venue_and_currency() -> None:
    bench = Bench()
    balance = Balance(venue="paper", currency="EUR", total=Decimal(5), available=Decimal(3))
    bench.engine.handle(balance)
    assert bench.engine.lifecycle.balances == {("paper", "EUR"): balance}


# --- operators ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "gone", "refused"),
    [
        ("", [1, 2, 3], [True, True, True]),
        (OTHER, [2], [False, True, False]),
        ("a", [1, 2, 3], [True, True, True]),
        ("b", [], [False, False, False]),
    ],
)
def test_a_pause_cancels_and_refuses_what_it_names(
    target: str, gone: list[int], refused: list[bool]
) -> None:
    bench = Bench(ALL)
    bench.operate(Operation.PAUSE, target)
    assert bench.canceled() == [f"rig-run-{number}" for number in gone]
    texts = [bench.refusal(number) for number in range(3)]
    assert [bool(text) for text in texts] == refused
    assert all(f"{target or 'everything'} is paused: lunch" in text for text in texts if text)
    bench.operate(Operation.RESUME, target)
    assert [bench.refusal(number) for number in range(3)] == ["", "", ""]
    assert len(bench.rig.recorded(OperatorCommand)) == 2


def test_resuming_everything_takes_back_every_pause_and_suspension() -> None:
    bench = Bench(ALL)
    for target in ("a", SYMBOL, ""):
        bench.operate(Operation.PAUSE, target)
    bench.engine.lifecycle.suspend(OTHER, "it contradicts itself")
    bench.operate(Operation.RESUME)
    assert [bench.refusal(number) for number in range(3)] == ["", "", ""]


def test_cancel_all_cancels_all_but_what_is_kept_and_refuses_nothing() -> None:
    bench = Bench(ALL)
    bench.place(keep=True)
    bench.operate(Operation.CANCEL_ALL)
    assert bench.canceled() == ["rig-run-1", "rig-run-2", "rig-run-3"]
    assert bench.refusal() == ""


def test_a_target_nobody_has_is_said_so() -> None:
    bench = Bench()
    bench.operate(Operation.PAUSE, "paper:BTC-EURO")
    assert bench.rig.lines("no such target") == [
        {"target": "paper:BTC-EURO", "allowed": f"a, b, {SYMBOL}"}
    ]
    assert bench.canceled() == []


def test_a_strategy_cancels_its_own_orders_of_one_instrument_or_all() -> None:
    bench = Bench(ALL)
    bench.other.buy(bench.other.instrument, 1, price="98")
    bench.actor.cancel_all(bench.actor.instruments[1])
    assert bench.canceled() == ["rig-run-2"]
    bench.actor.cancel_all()
    assert bench.canceled() == ["rig-run-2", "rig-run-1", "rig-run-3"]


def test_wishes_about_orders_nobody_has_do_nothing() -> None:
    bench = Bench()
    name, stamp = ClientOrderId("nobody's"), time_ns(1)
    sent = len(bench.rig.sent)
    bench.engine.handle(CancelAction(client_order_id=name, strategy="a", receive_time_ns=stamp))
    bench.engine.handle(
        ReplaceAction(
            client_order_id=name,
            price=None,
            order_qty=Decimal(1),
            strategy="a",
            receive_time_ns=stamp,
        )
    )
    assert len(bench.rig.sent) == sent


# --- the journal ----------------------------------------------------------------------------


def test_a_journal_that_fails_stops_new_orders_and_cancels_what_rests() -> None:
    bench = Bench()
    kept = bench.place(keep=True)
    bench.engine.handle(JournalStatus(ok=False, reason="disk full", receive_time_ns=time_ns(1)))
    assert bench.canceled() == ["rig-run-1"]
    assert bench.refusal() == "the journal cannot record: disk full"
    bench.engine.handle(JournalStatus(ok=True, reason="", receive_time_ns=time_ns(2)))
    assert bench.refusal() == ""
    assert kept.is_open
    levels = [level for level, message, _ in bench.rig.log if "journal" in message]
    assert levels == ["critical", "warning"]


# --- the end --------------------------------------------------------------------------------


def stop(bench: Bench, after_s: float = 1) -> None:
    bench.engine.handle(StopRequested(reason="enough", receive_time_ns=time_ns(after_s)))


def test_a_strategy_that_quotes_again_where_an_order_ended_hears_no_refusals_while_stopping() -> (
    None
):
    bench = Bench(ALL)
    bench.actor.acts["on_order"] = lambda order: bench.place() if order.is_closed else None
    stop(bench)
    bench.rig.report(bench.order, OrdStatus.CANCELED, 2)
    assert bench.engine.desk.counts.refused == 1
    assert not bench.engine.slots["a"].ended
    assert [line for line in bench.rig.log if line[0] == "warning" and line[1] == "refused"] == []


def test_a_stop_lets_strategies_take_leave_cancels_and_lets_nothing_new_pass() -> None:
    bench = Bench(ALL)
    kept: list[Order] = []
    bench.actor.acts["on_stop"] = lambda: kept.append(bench.place(keep=True))
    stop(bench)
    stop(bench, 2)
    assert bench.actor.of("on_stop") == [("on_stop",)]
    assert bench.canceled() == ["rig-run-1", "rig-run-2", "rig-run-3"]
    assert bench.refusal() == "the bot is stopping: enough"
    assert kept[0].ord_status is OrdStatus.PENDING_NEW
    bench.rig.fill(bench.order, "2", "99", 3, exec_id="e")  # it still hears of its orders
    assert bench.actor.of("on_fill")


def test_an_order_that_changes_during_the_stop_is_canceled_again_when_due() -> None:
    bench = Bench()
    stop(bench)
    bench.rig.fill(bench.order, "1", "99", 2, exec_id="e")
    assert len(bench.rig.cancels) == 1  # under way
    bench.engine.handle(Tick(time_ns(6.5)))
    assert len(bench.rig.cancels) == 2


def test_an_order_that_appears_during_the_stop_is_canceled() -> None:
    bench = Bench()
    lost = bench.place()
    bench.engine.handle(
        SendFailed(
            symbol=SYMBOL,
            client_order_id=lost.client_order_id,
            request=RequestKind.NEW,
            reached_venue=False,
            text="no link",
            receive_time_ns=time_ns(1),
        )
    )
    stop(bench)
    assert lost.client_order_id not in bench.canceled()
    bench.rig.report(lost, OrdStatus.NEW, 2)
    assert bench.canceled() == [bench.order.client_order_id, lost.client_order_id]


def test_a_run_that_never_started_is_not_told_of_its_stop_and_cannot_start_after_it() -> None:
    actor = Actor()
    rig = EngineRig(actor)
    rig.engine.handle(StopRequested(reason="enough", receive_time_ns=time_ns(1)))
    rig.engine.handle(RunStarted(run_id="run", receive_time_ns=time_ns(2)))
    rig.engine.handle(build_venue_status(3, up=True))
    assert actor.seen == []


def test_clean_up_that_expires_leaves_orders_unknown_and_pursued() -> None:
    bench = Bench()
    stop(bench)
    done = CleanUpExpired(
        client_order_ids=(bench.order.client_order_id, ClientOrderId("nobody's")),
        receive_time_ns=time_ns(2),
    )
    bench.engine.handle(done)
    assert bench.order.ord_status is OrdStatus.UNKNOWN
    assert bench.statuses()[-1] is OrdStatus.UNKNOWN
    assert bench.rig.lines("order may still rest") == [{"order": "rig-run-1"}]
    assert bench.rig.recorded(CleanUpExpired) == [done]
    bench.engine.handle(Tick(time_ns(3)))
    assert bench.rig.questions
    bench.rig.report(bench.order, OrdStatus.CANCELED, 4)
    assert bench.order.is_closed


def test_a_strategy_may_give_up_its_orders() -> None:
    bench = Bench()
    bench.rig.slots[0].give_up([bench.order.client_order_id])
    assert bench.order.ord_status is OrdStatus.UNKNOWN
    assert bench.rig.slots[0].working(SYMBOL) == [bench.order]


def test_the_end_of_a_strategy_wakes_its_task() -> None:
    bench = Bench()
    woken: list[str] = []
    bench.rig.slots[0].on_end = lambda: woken.append("a")
    bench.engine.handle(StrategyEnded(strategy="a", error="x", receive_time_ns=time_ns(1)))
    assert woken == ["a"]
    assert bench.canceled() == ["rig-run-1"]


def test_an_order_before_the_run_started_is_a_mistake_told_plainly() -> None:
    actor = Actor()
    rig = EngineRig(actor)
    with pytest.raises(Exception, match="placed before the run started"):
        actor.buy(actor.instrument, 1, price="99")
    assert rig.sent == []


async def test_waiting_for_an_order_s_end_goes_through_its_owner() -> None:
    bench = Bench()
    bench.rig.fill(bench.order, "2", "99", 1, exec_id="e")
    await bench.order.closed()
    assert bench.order.is_closed


def test_strategies_write_to_the_log_under_their_name() -> None:
    bench = Bench()
    bench.actor.log("hello", price=5)
    assert bench.rig.log[-1] == ("info", "hello", {"strategy": "a", "price": 5})
