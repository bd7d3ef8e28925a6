"""`journal_synchronous = "FULL"`: a batch is on the disk, power loss included, before it is sent.

Forcing it there takes milliseconds, too long for the loop: a thread does it while events go on.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import trio

from botkit.engine.dispatch import Dispatcher, not_sent
from botkit.errors import JournalError
from botkit.model import Approved, CancelOrder, ClientOrderId, Command, Instrument
from botkit.ports import Journal, Venue

__all__ = ["DurableDispatcher"]

MOST_WAITING: Final = 1_000


class DurableDispatcher(Dispatcher):
    """Holds new orders and replaces back until a thread has committed them; `serve` must run.

    A cancel or a question goes at once, unless it names an order that is still held back: then
    it follows that order. With `MOST_WAITING` commands held back, further new orders and
    replaces are given back as not sent.
    """

    def __init__(
        self, journal: Journal, venues: Mapping[str, Venue], instruments: Mapping[str, Instrument]
    ) -> None:
        super().__init__(journal, venues, instruments)
        self._waiting: list[Command] = []
        self._held: dict[ClientOrderId, bool] = {}
        self._recalled: dict[ClientOrderId, str] = {}
        self._wake = trio.Event()

    def __call__(self, commands: Sequence[Command]) -> None:
        """Hold back what needs its record first, send the rest, and have `serve` commit."""
        for command in commands:
            if isinstance(command, Approved):
                if len(self._waiting) >= MOST_WAITING:
                    self._give_back(command, f"{MOST_WAITING} requests wait for the disk already")
                    continue
                self._held[command.request.client_order_id] = True
                self._waiting.append(command)
            elif isinstance(command, CancelOrder) and command.client_order_id in self._held:
                self._waiting.append(command)
            else:
                self._send(command)
        self._wake.set()

    @property
    def waiting(self) -> int:
        """How many commands wait for the disk to be asked for their record."""
        return len(self._waiting)

    def recall(self, reason: str) -> None:
        """Hand over none of what is held back: once the disk has it, it is given back."""
        self._recalled = dict.fromkeys(self._held, reason)

    async def serve(self) -> None:
        """Commit in a thread and send what was held back for it, until canceled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            waiting, self._waiting = self._waiting, []
            try:
                await trio.to_thread.run_sync(self._journal.commit)
            except JournalError as exc:
                self._let_go(waiting)
                self._fail(waiting, str(exc))
            else:
                self._let_go(waiting)
                self._send_recorded(self._without_recalled(waiting))

    def _without_recalled(self, commands: Sequence[Command]) -> list[Command]:
        """Give back what was recalled; a cancel of such an order has nothing to cancel."""
        kept: list[Command] = []
        recalled, self._recalled = self._recalled, {}
        for command in commands:
            if isinstance(command, Approved):
                name = command.request.client_order_id
                if name in recalled:
                    self._deliver(not_sent(command.request, recalled[name], self._now_ns()))
                    continue
            elif isinstance(command, CancelOrder) and command.client_order_id in recalled:
                continue
            kept.append(command)
        return kept

    def _let_go(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, Approved):
                del self._held[command.request.client_order_id]
