"""The dispatcher: the journal first, then the wire; cancels and questions in any case."""

from decimal import Decimal
from typing import Any, cast

import pytest

from botkit.engine import Engine, EngineSettings
from botkit.engine.dispatch import Dispatcher
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    CancelOrder,
    FillSource,
    JournalStatus,
    NewOrder,
    OrdStatus,
    ReplaceOrder,
    RunStarted,
    SendFailed,
    Tick,
)
from botkit.ports import Capabilities, Venue
from botkit.scope import CleanUpBudget
from botkit.testing import MemoryJournal, build_instrument, build_venue_status, time_ns
from botkit.testing.engine_rig import CAPABLE, Actor

SYMBOLS = ("near:BTC-EUR", "far:BTC-EUR")


class Wire:
    """The sending half of a venue: notes what was handed over, and the journal's length then."""

    def __init__(self, journal: MemoryJournal, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.handed: list[object] = []
        self.journaled: list[int] = []
        self._journal = journal

    def _take(self, request: object) -> None:
        self.handed.append(request)
        self.journaled.append(len(self._journal.entries))

    def submit(self, order: Approved[NewOrder]) -> None:
        self._take(order.request)

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        self._take(order.request)

    def cancel(self, order: CancelOrder) -> None:
        self._take(order)

    def ask(self, question: AskStatus | AskListing) -> None:
        self._take(question)


class Desk:
    """An engine over two wires, with one strategy."""

    def __init__(self, capabilities: Capabilities = CAPABLE) -> None:
        self.journal = MemoryJournal()
        self.wires = {name: Wire(self.journal, capabilities) for name in ("near", "far")}
        instruments = {symbol: build_instrument(symbol) for symbol in SYMBOLS}
        self.actor = Actor()
        venues = cast("dict[str, Venue]", self.wires)
        self.dispatcher = dispatcher = Dispatcher(self.journal, venues, instruments)
        self.engine = Engine(
            EngineSettings(
                bot="desk",
                instruments=instruments,
                capabilities=dict.fromkeys(self.wires, capabilities),
                rules=[],
                journal=self.journal,
                dispatch=dispatcher,
                stamp=lambda: 0,
                log=lambda *_: None,
                equity_every_ns=0,
            )
        )
        dispatcher.connect(self.engine.handle, lambda: self.engine.now_ns)
        self.engine.add_strategy(
            self.actor, name="a", symbols=SYMBOLS, params=None, budget=CleanUpBudget(1.0)
        )
        for name in self.wires:
            self.engine.handle(build_venue_status(0, up=True, venue=name))
        self.engine.handle(RunStarted(run_id="run", receive_time_ns=time_ns(0)))

    def handed(self, venue: str = "near") -> list[str]:
        return [type(request).__name__ for request in self.wires[venue].handed]

    def recorded(self, kind: type) -> list[Any]:
        return [entry for entry in self.journal.entries if isinstance(entry, kind)]


def test_requests_reach_their_venue_after_they_are_durable() -> None:
    desk = Desk()
    near, far = desk.actor.instruments
    order = desk.actor.buy(near, 1, price="99")
    desk.actor.buy(far, 1, price="99")
    order.replace(price=Decimal(98))
    order.cancel()
    assert desk.handed("near") == ["NewOrder", "ReplaceOrder", "CancelOrder"]
    assert desk.handed("far") == ["NewOrder"]
    wire = desk.wires["near"]
    for request, length in zip(wire.handed, wire.journaled, strict=True):
        assert request in desk.journal.entries[:length]


@pytest.mark.parametrize("named", [True, False])
def test_questions_reach_their_venue(*, named: bool) -> None:
    desk = Desk(Capabilities(client_order_ids=named, fill_source=FillSource.EXECUTIONS))
    desk.actor.buy(desk.actor.instruments[1], 1, price="99")
    desk.engine.handle(Tick(time_ns(6)))
    assert desk.handed("near") == []
    asked = desk.handed("far")[1:]
    assert asked == (["AskStatus", "AskListing"] if named else ["AskListing"])


def test_without_a_journal_submits_come_back_unsent_and_cancels_go() -> None:
    desk = Desk()
    actor, near = desk.actor, desk.actor.instruments[0]
    resting = actor.buy(near, 1, price="99")
    other = actor.buy(near, 2, price="98")
    actor.seen.clear()
    desk.journal.fault = "disk full"

    def act(_: object) -> None:
        actor.acts.clear()
        actor.buy(near, 3, price="97")
        resting.replace(qty=Decimal(5))
        other.cancel()

    actor.acts["on_timer"] = act
    actor.set_timer("go", 1)
    desk.engine.handle(Tick(time_ns(1)))
    assert desk.handed() == ["NewOrder", "NewOrder", "CancelOrder", "CancelOrder"]
    assert resting.ord_status is OrdStatus.PENDING_CANCEL
    assert resting.replacing is None
    order = actor.of("on_order")[0]
    assert order == ("on_order", "desk-run-3", OrdStatus.REJECTED)
    refused = actor.buy(near, 1, price="97")
    assert refused.text == "the journal cannot record: disk full"
    assert desk.recorded(SendFailed) == []  # nothing can be recorded now


def test_without_a_lease_new_orders_and_replaces_come_back_unsent_and_cancels_go() -> None:
    desk = Desk()
    actor, near = desk.actor, desk.actor.instruments[0]
    resting = actor.buy(near, 1, price="99")
    other = actor.buy(near, 2, price="98")
    desk.dispatcher.lease = lambda: "hung for 6 s"
    order = actor.buy(near, 3, price="97")
    resting.replace(qty=Decimal(5))
    other.cancel()

    assert desk.handed() == ["NewOrder", "NewOrder", "CancelOrder"]
    assert (order.ord_status, order.text) == (OrdStatus.REJECTED, "not sent: hung for 6 s")
    assert resting.replacing is None
    assert [each.reached_venue for each in desk.recorded(SendFailed)] == [False, False]


def test_once_the_journal_records_again_nothing_is_lost_and_orders_pass() -> None:
    desk = Desk()
    near = desk.actor.instruments[0]
    desk.journal.fault = "locked"
    lost = desk.actor.buy(near, 1, price="99")
    assert lost.text == "not sent, since it could not be recorded: locked"
    assert lost.ord_status is OrdStatus.REJECTED
    desk.journal.fault = ""
    refused = desk.actor.buy(near, 1, price="99")  # refused, and with it all is recorded
    assert "cannot record" in refused.text
    (failure,) = desk.recorded(SendFailed)
    assert not failure.reached_venue
    assert failure.client_order_id == lost.client_order_id
    assert failure.receive_time_ns == desk.engine.now_ns
    assert desk.actor.buy(near, 1, price="99").is_open
    assert desk.handed() == ["NewOrder"]


def test_a_fault_is_told_once() -> None:
    journal = MemoryJournal()
    told: list[object] = []
    dispatcher = Dispatcher(journal, {}, {})
    dispatcher.connect(told.append, lambda: 7)
    journal.fault = "full"
    dispatcher([])
    dispatcher([])
    journal.fault = ""
    dispatcher([])
    dispatcher([])
    assert told == [
        JournalStatus(ok=False, reason="full", receive_time_ns=7),
        JournalStatus(ok=True, reason="", receive_time_ns=7),
    ]


def test_a_dispatcher_without_an_engine_says_so() -> None:
    journal = MemoryJournal()
    journal.fault = "full"
    with pytest.raises(RuntimeError, match="not connected to an engine"):
        Dispatcher(journal, {}, {})([])
