"""From the engine to the venues: the journal first, then the wire; cancels in any case."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botkit.errors import JournalError
from botkit.model import (
    Approved,
    AskListing,
    CancelOrder,
    Command,
    Event,
    Instrument,
    JournalStatus,
    NewOrder,
    ReplaceOrder,
    RequestKind,
    SendFailed,
)
from botkit.ports import Journal, Venue

__all__ = ["Dispatcher", "not_sent"]


class Dispatcher:
    """Makes a batch durable, then hands it over, in the order it was made.

    A new order or replace that cannot be recorded is not sent: its owner is told so. A cancel
    or a question always goes.

    Attributes
    ----------
    lease
        Asked as the last thing before a new order or replace is handed over: why it may not be;
        empty if it may. A bot that nobody guards has none.
    """

    def __init__(
        self, journal: Journal, venues: Mapping[str, Venue], instruments: Mapping[str, Instrument]
    ) -> None:
        self._journal = journal
        self._venues = venues
        self._venue_of = {symbol: venues[it.venue] for symbol, it in instruments.items()}
        self._faulty = False
        self.lease: Callable[[], str] | None = None
        self._deliver: Callable[[Event], None] = _nowhere
        self._now_ns: Callable[[], int] = _never

    @property
    def waiting(self) -> int:
        """How many commands wait to be handed over; here none does."""
        return 0

    def connect(self, deliver: Callable[[Event], None], now_ns: Callable[[], int]) -> None:
        """Say where to tell what was not sent, and by which clock."""
        self._deliver, self._now_ns = deliver, now_ns

    def __call__(self, commands: Sequence[Command]) -> None:
        """Commit what was recorded, then send `commands`."""
        try:
            self._journal.commit()
        except JournalError as exc:
            self._fail(commands, str(exc))
        else:
            self._send_recorded(commands)

    def recall(self, reason: str) -> None:
        """Give back what was taken and not handed over; here nothing waits between the two."""

    def _send_recorded(self, commands: Sequence[Command]) -> None:
        if self._faulty:
            self._faulty = False
            self._deliver(JournalStatus(ok=True, reason="", receive_time_ns=self._now_ns()))
        for command in commands:
            self._send(command)

    def _send(self, command: Any) -> None:
        if isinstance(command, CancelOrder):
            self._venue_of[command.symbol].cancel(command)
        elif isinstance(command, Approved):
            if self.lease is not None and (why := self.lease()):
                self._deliver(not_sent(command.request, f"not sent: {why}", self._now_ns()))
                return
            venue = self._venue_of[command.request.symbol]
            if isinstance(command.request, NewOrder):
                venue.submit(command)
            else:
                venue.replace(command)
        elif isinstance(command, AskListing):
            self._venues[command.venue].ask(command)
        else:
            self._venue_of[command.symbol].ask(command)

    def _give_back(self, command: Approved[NewOrder | ReplaceOrder], reason: str) -> None:
        text = f"not sent, since it could not be recorded: {reason}"
        self._deliver(not_sent(command.request, text, self._now_ns()))

    def _fail(self, commands: Sequence[Command], reason: str) -> None:
        """Send what needs no record, give back what does."""
        for command in commands:
            if isinstance(command, Approved):
                self._give_back(command, reason)
            else:
                self._send(command)
        if not self._faulty:
            self._faulty = True
            self._deliver(JournalStatus(ok=False, reason=reason, receive_time_ns=self._now_ns()))


def not_sent(request: NewOrder | ReplaceOrder, text: str, now_ns: int) -> SendFailed:
    """Return the word that `request` surely never left, and why."""
    kind = RequestKind.NEW if isinstance(request, NewOrder) else RequestKind.REPLACE
    return SendFailed(
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        request=kind,
        reached_venue=False,
        text=text,
        receive_time_ns=now_ns,
    )


def _nowhere(_: Event) -> None:
    raise RuntimeError("the dispatcher is not connected to an engine")


def _never() -> int:
    return 0
