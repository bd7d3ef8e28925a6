"""How long orders take: from the event to the wire, from the wire to the venue's first word."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from botkit.engine.dispatch import Dispatcher
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    CancelOrder,
    ClientOrderId,
    ExecutionReport,
    NewOrder,
    ReplaceOrder,
)
from botkit.ports import Venue

if TYPE_CHECKING:
    from botkit.watch.tap import Listeners

__all__ = ["Histogram", "Latencies"]

NS_PER_S: Final = 1_000_000_000
UNANSWERED_MAX: Final = 10_000
TICK_TO_ORDER_S: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1.0)
ORDER_TO_ACK_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

JOURNAL_COMMIT_S: Final = (0.00001, 0.000025, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 1.0)


class Histogram:
    """Counts durations by upper bounds in seconds, one more for what is above them all."""

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._names = [*map(str, bounds_s), "+Inf"]
        self._bounds_ns = [round(bound_s * NS_PER_S) for bound_s in bounds_s]
        self._counts = [0] * len(self._names)
        self._sum_ns = 0

    def observe(self, duration_ns: int) -> None:
        """Count one."""
        self._sum_ns += duration_ns
        self._counts[bisect_left(self._bounds_ns, duration_ns)] += 1

    @property
    def sum_s(self) -> float:
        """All durations together."""
        return self._sum_ns / NS_PER_S

    def buckets(self) -> list[tuple[str, int]]:
        """Return (bound, how many took at most that long), the last of "+Inf"."""
        told: list[tuple[str, int]] = []
        total = 0
        for name, count in zip(self._names, self._counts, strict=True):
            total += count
            told.append((name, total))
        return told


class Latencies:
    """Measures new orders on their way out, the first report about each, and the journal.

    Of orders without a report the last `UNANSWERED_MAX` are waited for.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.tick_to_order = Histogram(TICK_TO_ORDER_S)
        self.order_to_ack = Histogram(ORDER_TO_ACK_S)
        self.journal_commit = Histogram(JOURNAL_COMMIT_S)
        self._now_ns = now_ns
        self._unanswered: dict[ClientOrderId, int] = {}
        self.listeners: Listeners = {ExecutionReport: self._on_report}

    def sent(self, request: NewOrder) -> None:
        """Note that `request` is being handed to its venue."""
        now_ns = self._now_ns()
        self.tick_to_order.observe(now_ns - request.transact_time_ns)
        unanswered = self._unanswered
        if len(unanswered) >= UNANSWERED_MAX:
            del unanswered[next(iter(unanswered))]
        unanswered[request.client_order_id] = now_ns

    def _on_report(self, report: ExecutionReport) -> None:
        name = report.client_order_id
        if name is not None and (sent_ns := self._unanswered.pop(name, None)) is not None:
            self.order_to_ack.observe(report.receive_time_ns - sent_ns)

    def measured(self, make_dispatcher: Callable[..., Dispatcher]) -> Callable[..., Dispatcher]:
        """Return a maker of dispatchers like `make_dispatcher` that are measured."""

        def make(journal: Any, venues: Any, instruments: Any) -> Dispatcher:
            measured = {name: _Measured(venue, self.sent) for name, venue in venues.items()}
            return make_dispatcher(journal, measured, instruments)

        return make


class _Measured:
    """The part of a venue that dispatchers use, its new orders noted."""

    def __init__(self, venue: Venue, note: Callable[[NewOrder], None]) -> None:
        self._submit = venue.submit
        self._note = note
        self.replace: Callable[[Approved[ReplaceOrder]], None] = venue.replace
        self.cancel: Callable[[CancelOrder], None] = venue.cancel
        self.ask: Callable[[AskStatus | AskListing], None] = venue.ask

    def submit(self, order: Approved[NewOrder]) -> None:
        """Note a new order, and hand it over."""
        self._note(order.request)
        self._submit(order)
