"""Alerts on their way to one URL: a queue, a thread at a time, and patience."""

import threading
from collections import deque
from typing import Final

import attrs
import trio

from botkit.watch.alert import Alert
from botkit.watch.channels import Channel
from botkit.watch.outage import Log, Outage

__all__ = ["Lane"]

MOST_WAITING: Final = 100
TIMEOUT_S: Final = 15.0
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 60.0


@attrs.define(eq=False)
class _Letter:
    alert: Alert
    sent: bool = False


class Lane:
    """Sends alerts to one channel, in order, without making anybody wait.

    One that is not taken, or not within `TIMEOUT_S`, is tried again, after ever longer pauses.
    With `MOST_WAITING` waiting the oldest is dropped, and counted in `dropped`. What sends is a
    thread, one at a time; a thread that hangs is left behind and waited for before the next.
    """

    def __init__(self, channel: Channel, *, sender: str, log: Log) -> None:
        self.dropped = 0
        self._channel = channel
        self._sender = sender
        self._waiting: deque[_Letter] = deque()
        self._came = trio.Event()
        self._limiter = trio.CapacityLimiter(1)
        self._sending = threading.Lock()
        self._log = log
        self._outage = Outage(channel.name, log)
        self._last_failure = ""

    @property
    def waiting(self) -> int:
        """How many alerts have not been sent."""
        return sum(not letter.sent for letter in self._waiting)

    def put(self, alert: Alert) -> None:
        """Have `alert` sent after those that wait."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(_Letter(alert))
        self._came.set()

    async def serve(self) -> None:
        """Send what comes, until canceled."""
        pause_s = FIRST_PAUSE_S
        while True:
            while not self._waiting:
                self._came = trio.Event()
                await self._came.wait()
            letter = self._waiting[0]
            why = await self._try(letter)
            if why:
                self._outage.failed(why)
                await trio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            self._outage.worked()
            pause_s = FIRST_PAUSE_S
            if self._waiting and self._waiting[0] is letter:
                self._waiting.popleft()

    async def _try(self, letter: _Letter) -> str:
        with trio.move_on_after(TIMEOUT_S):
            return await trio.to_thread.run_sync(
                self._deliver, letter, abandon_on_cancel=True, limiter=self._limiter
            )
        return f"no answer within {TIMEOUT_S:g} s"

    def _deliver(self, letter: _Letter) -> str:
        """Send one; in a thread. Return why it was not taken, or nothing."""
        with self._sending:
            if letter.sent:  # by a thread that was left behind
                return ""
            alert = letter.alert
            title = f"{self._sender}: {alert.headline}"
            why = self._channel.send(title, alert.body, alert.severity)
            letter.sent = not why
            return why

    def send_rest(self) -> threading.Thread:
        """Send all that waits in a thread of its own, each tried once; nothing else may serve."""

        def send() -> None:
            for letter in list(self._waiting):
                why = self._deliver(letter)
                if why:
                    self._last_failure = why

        self._last_failure = "no answer in time"
        thread = threading.Thread(target=send, name="botkit alerts", daemon=True)
        thread.start()
        return thread

    def tell_rest(self) -> None:
        """Say what `send_rest` has not brought about so far."""
        if self.waiting:
            fields = {"to": self._channel.name, "count": self.waiting, "error": self._last_failure}
            self._log("error", "alerts were not sent", fields)
