"""A journal that counts what it is told, for the status view and the summary."""

from collections import Counter
from collections.abc import Callable

import msgspec

from botkit.model import (
    CancelOrder,
    ExecType,
    ExecutionReport,
    Fill,
    NewOrder,
    Refused,
    ReplaceOrder,
    StrategyEnded,
)
from botkit.ports import Journal, JournalEntry

__all__ = ["Tally"]


class Tally:
    """Passes everything on to `journal` and counts it. Implements `botkit.ports.Journal`.

    `redact` takes secrets out of the one entry that holds words of a strategy: why it failed.
    """

    def __init__(self, journal: Journal, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._record = journal.record
        self.commit = journal.commit
        self._counts: Counter[type] = Counter()
        self.rejected = 0

    def record(self, entry: JournalEntry) -> None:
        """Count one entry and pass it on."""
        kind = type(entry)
        self._counts[kind] += 1
        if isinstance(entry, ExecutionReport):
            self.rejected += entry.exec_type is ExecType.REJECTED
        elif isinstance(entry, StrategyEnded):
            entry = msgspec.structs.replace(entry, error=self._redact(entry.error))
        self._record(entry)

    @property
    def counts(self) -> dict[str, int]:
        """How many orders, replaces, cancels, fills and refusals there were so far."""
        counts = self._counts
        return {
            "submitted": counts[NewOrder],
            "replaces": counts[ReplaceOrder],
            "cancels": counts[CancelOrder],
            "refused": counts[Refused],
            "rejected": self.rejected,
            "fills": counts[Fill],
        }
