"""FULL: what is sent is on the disk first, and the loop does not wait for the disk."""

import threading
from collections.abc import Callable
from decimal import Decimal

import trio

from botkit.errors import JournalError
from botkit.gate import Gate
from botkit.live import DurableDispatcher
from botkit.model import (
    CancelOrder,
    ClientOrderId,
    Event,
    FillSource,
    JournalStatus,
    NewOrder,
    SendFailed,
    Side,
)
from botkit.ports import Capabilities, RiskContext
from botkit.testing import build_instrument

SYMBOL = "paper:BTC-EUR"


class SlowJournal:
    """Commits when the test says so, and fails when the test says so."""

    def __init__(self) -> None:
        self.may_commit = threading.Event()
        self.commits = 0
        self.fault = ""

    def record(self, entry: object) -> None:
        """Take anything."""

    def commit(self) -> None:
        """Wait for the test."""
        assert self.may_commit.wait(timeout=10)
        if self.fault:
            raise JournalError(self.fault)
        self.commits += 1


class Venue:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def submit(self, order: object) -> None:
        """Note a new order."""
        self.sent.append("submit")

    def cancel(self, order: CancelOrder) -> None:
        """Note a cancel."""
        self.sent.append(f"cancel {order.client_order_id}")


class Desk:
    """A dispatcher with everything around it."""

    def __init__(self) -> None:
        self.journal, self.venue = SlowJournal(), Venue()
        instrument = build_instrument()
        self.dispatcher = DurableDispatcher(
            self.journal,
            {"paper": self.venue},  # type: ignore[dict-item]  # as much of a venue as is asked for
            {SYMBOL: instrument},
        )
        self.told: list[Event] = []
        self.dispatcher.connect(self.told.append, lambda: 7)
        can = Capabilities(client_order_ids=True, fill_source=FillSource.EXECUTIONS)
        self.gate = Gate((), {"paper": can})
        self.context = RiskContext(
            instrument=instrument,
            bid_px=99.0,
            ask_px=101.0,
            now_ns=0,
            workload=None,  # type: ignore[arg-type]  # no rule looks
            position=lambda _: Decimal(0),
        )

    def submit(self, name: str) -> None:
        """Send a new order."""
        request = NewOrder(
            client_order_id=ClientOrderId(name),
            symbol=SYMBOL,
            strategy="s",
            side=Side.BUY,
            order_qty=Decimal(1),
            price=Decimal(100),
        )
        approved = self.gate.approve_new(request, self.context)
        self.dispatcher([approved])  # type: ignore[list-item]  # nothing here is refused

    def cancel(self, name: str) -> None:
        """Send a cancel."""
        self.dispatcher([CancelOrder(client_order_id=ClientOrderId(name), symbol=SYMBOL)])


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until `holds`; the committing thread takes its own time."""
    with trio.fail_after(10):
        while not holds():
            await trio.lowlevel.checkpoint()


async def test_an_order_is_sent_only_after_its_commit_and_the_loop_goes_on_meanwhile() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.dispatcher.serve)
        desk.submit("a")
        for _ in range(20):
            await trio.lowlevel.checkpoint()  # the loop runs while the disk does not answer
        assert desk.venue.sent == []
        desk.journal.may_commit.set()
        await until(lambda: desk.venue.sent == ["submit"])
        nursery.cancel_scope.cancel()


async def test_a_cancel_goes_at_once_but_never_overtakes_the_order_it_names() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.dispatcher.serve)
        desk.submit("a")
        desk.cancel("older")
        desk.cancel("a")
        assert desk.venue.sent == ["cancel older"]
        desk.journal.may_commit.set()
        await until(lambda: desk.venue.sent == ["cancel older", "submit", "cancel a"])
        nursery.cancel_scope.cancel()


async def test_what_cannot_be_recorded_is_given_back_and_cancels_still_go() -> None:
    desk = Desk()
    desk.journal.fault = "disk full"
    desk.journal.may_commit.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.dispatcher.serve)
        desk.submit("a")
        desk.cancel("a")
        while not desk.told or not desk.venue.sent:
            await trio.lowlevel.checkpoint()
        failed, status = desk.told
        assert isinstance(failed, SendFailed)
        assert not failed.reached_venue
        assert "disk full" in failed.text
        assert isinstance(status, JournalStatus)
        assert not status.ok
        assert desk.venue.sent == ["cancel a"]
        desk.journal.fault = ""
        desk.submit("b")
        await until(lambda: desk.venue.sent == ["cancel a", "submit"])
        assert desk.told[-1] == JournalStatus(ok=True, reason="", receive_time_ns=7)
        nursery.cancel_scope.cancel()


async def test_a_thousand_held_back_are_enough() -> None:
    desk = Desk()
    for number in range(1_001):
        desk.submit(f"order-{number}")
    (failed,) = desk.told
    assert isinstance(failed, SendFailed)
    assert failed.client_order_id == "order-1000"
    assert "1000 requests wait for the disk" in failed.text


async def test_what_is_recalled_while_the_disk_works_is_given_back_and_its_cancel_with_it() -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.dispatcher.serve)
        desk.submit("a")
        desk.cancel("a")
        await trio.lowlevel.checkpoint()
        desk.dispatcher.recall("halted")
        desk.submit("b")
        desk.journal.may_commit.set()
        await until(lambda: "submit" in desk.venue.sent)
        nursery.cancel_scope.cancel()
    assert desk.venue.sent == ["submit"]  # b, which came after
    (told,) = desk.told
    assert isinstance(told, SendFailed)
    assert (told.client_order_id, told.reached_venue, told.text) == ("a", False, "halted")
