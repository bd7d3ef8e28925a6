"""A journal that lets those who watch see what passes by on its way to the journal."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botkit.ports import Journal, JournalEntry

__all__ = ["Listeners", "Tap"]

Listeners = Mapping[type, Callable[[Any], object]]
"""Who wants to see entries of a type. Called in the middle of the engine's work, so it only takes
note: it neither raises nor waits."""


class Tap:
    """Passes everything on to `journal`, then shows it. Implements `botkit.ports.Journal`."""

    def __init__(self, journal: Journal, listeners: Iterable[Listeners]) -> None:
        self._record = journal.record
        self.commit = journal.commit
        self._listeners: dict[type, tuple[Callable[[Any], object], ...]] = {}
        for each in listeners:
            for kind, listener in each.items():
                self._listeners[kind] = (*self._listeners.get(kind, ()), listener)

    def record(self, entry: JournalEntry) -> None:
        """Pass one entry on, then show it."""
        self._record(entry)
        for listener in self._listeners.get(entry.__class__, ()):
            listener(entry)
