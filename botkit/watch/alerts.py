"""From what happens to who is told: kinds, rate limit, a lane for each URL."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from botkit.config import AlertKind, AlertsConfig
from botkit.engine import Engine
from botkit.model import ClientOrderId, Halted, OrdStatus, StrategyEnded, VenueStatus
from botkit.watch import alert as words
from botkit.watch.alert import Alert
from botkit.watch.channels import Channel
from botkit.watch.lane import Lane
from botkit.watch.limit import RateLimit
from botkit.watch.outage import Log

if TYPE_CHECKING:
    from botkit.watch.tap import Listeners

__all__ = ["Alerts"]

LOOK_EVERY_S: Final = 0.5
LAST_WORDS_S: Final = 5.0
ENTRIES_MAX: Final = 1_000
NS_PER_S: Final = 1_000_000_000
Entry = Halted | StrategyEnded | VenueStatus


class Alerts:
    """Tells people what happens to a bot.

    `listeners` put journal entries aside, the oldest of more than `ENTRIES_MAX` being lost; twice
    a second `serve` looks at them, and for orders in doubt. `last_words` is for the end.
    """

    def __init__(
        self,
        config: AlertsConfig,
        channels: Sequence[Channel],
        *,
        sender: str,
        redact: Callable[[str], str],
        log: Log,
    ) -> None:
        self._on = frozenset(config.on)
        self._limit = RateLimit(config.every / NS_PER_S)
        self._redact = redact
        self._lanes = [Lane(channel, sender=sender, log=log) for channel in channels]
        self._entries: deque[Entry] = deque(maxlen=ENTRIES_MAX)
        self._is_up: dict[str, bool] = {}
        self._doubted: frozenset[ClientOrderId] = frozenset()
        put_aside = self._entries.append
        self.listeners: Listeners = dict.fromkeys((Halted, StrategyEnded, VenueStatus), put_aside)

    @property
    def waiting(self) -> int:
        """How many alerts wait to be sent, over all URLs."""
        return sum(lane.waiting for lane in self._lanes)

    def tell(self, alert: Alert, now_s: float) -> None:
        """Have `alert` sent, unless nobody wants its kind or it is one too many for now.

        `now_s` is trio's time.
        """
        if alert.kind in self._on:
            self._send(self._limit.offer(alert, now_s))

    async def serve(self, engine: Engine) -> None:
        """Look and send, until canceled."""
        async with trio.open_nursery() as nursery:
            for lane in self._lanes:
                nursery.start_soon(lane.serve)
            while True:
                self.look(engine, trio.current_time())
                await trio.sleep(LOOK_EVERY_S)

    def look(self, engine: Engine, now_s: float) -> None:
        """Tell what has happened since the last look."""
        self._tell_entries(now_s)
        orders = engine.orders.working() if AlertKind.IN_DOUBT in self._on else []
        doubted = {o.client_order_id: o for o in orders if o.ord_status is OrdStatus.UNKNOWN}
        if doubted.keys() - self._doubted:
            self.tell(words.in_doubt(list(doubted.values()), engine.now_ns), now_s)
        self._doubted = frozenset(doubted)
        self._send(self._limit.due(now_s))

    def _tell_entries(self, now_s: float) -> None:
        while self._entries:
            alert = self._alert_of(self._entries.popleft())
            if alert is not None:
                self.tell(alert, now_s)

    def last_words(self, alert: Alert | None, *, wait_s: float = LAST_WORDS_S) -> None:
        """Send what is left, `alert` last, for `wait_s` at most; blocks, after the run."""
        self._tell_entries(inf)  # a halt may have ended the run before the next look
        self._send(self._limit.due())
        if alert is not None and alert.kind in self._on:
            self._send([alert])
        threads = [lane.send_rest() for lane in self._lanes]
        _join(threads, wait_s)
        for lane in self._lanes:
            lane.tell_rest()

    def _send(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            shown = msgspec.structs.replace(
                alert,
                headline=self._redact(alert.headline),
                lines=tuple(self._redact(line) for line in alert.lines),
            )
            for lane in self._lanes:
                lane.put(shown)

    def _alert_of(self, entry: Entry) -> Alert | None:
        match entry:
            case Halted():
                return words.halted(entry)
            case StrategyEnded():
                return words.failed(entry) if entry.error else None
            case VenueStatus():
                return self._alert_of_venue(entry)

    def _alert_of_venue(self, status: VenueStatus) -> Alert | None:
        """Return an alert where a venue that was up goes down, or one that was down is up again."""
        was_up = self._is_up.get(status.venue)
        if was_up is None and not status.up:
            return None  # it has never been up
        self._is_up[status.venue] = status.up
        if was_up is None or was_up is status.up:
            return None
        return words.reconnected(status) if status.up else words.disconnected(status)


def _join(threads: Sequence[threading.Thread], timeout_s: float) -> None:
    """Wait until every thread has ended, but no longer than `timeout_s` for all together."""
    over = threading.Event()

    def wait() -> None:
        for thread in threads:
            thread.join()
        over.set()

    threading.Thread(target=wait, name="botkit alerts", daemon=True).start()
    over.wait(timeout_s)
