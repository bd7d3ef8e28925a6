"""A journal that keeps everything in a list: for tests."""

from botkit.errors import JournalError
from botkit.ports import JournalEntry

__all__ = ["MemoryJournal"]


class MemoryJournal:
    """Implements `botkit.ports.Journal`.

    Attributes
    ----------
    entries
        What was committed, in order.
    fault
        While it is not empty, `commit` raises `JournalError` with it and keeps the batch open.
    """

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.fault = ""
        self._batch: list[JournalEntry] = []

    def record(self, entry: JournalEntry) -> None:
        """Take one entry into the open batch."""
        self._batch.append(entry)

    def commit(self) -> None:
        """Move the open batch to `entries`."""
        if self.fault:
            raise JournalError(self.fault)
        self.entries += self._batch
        self._batch.clear()
