"""A journal that lets those who watch see what passes by on its way to the journal."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botkit.clock import monotonic_ns
from botkit.ports import Journal, JournalEntry

__all__ = ["Listeners", "Tap"]

Listeners = Mapping[type, Callable[[Any], object]]
"""Who wants to see entries of a type. Called in the middle of the engine's work, so it only takes
note: it neither raises nor waits."""


class Tap:
    """Passes everything on to `journal`, then shows it. Implements `botkit.ports.Journal`.

    `on_commit` is told how many nanoseconds each commit of something took, by whoever commits.
    """

    def __init__(
        self,
        journal: Journal,
        listeners: Iterable[Listeners],
        on_commit: Callable[[int], object] | None = None,
    ) -> None:
        self._record = journal.record
        self._commit = journal.commit
        self._on_commit = on_commit
        self._has_news = False
        self._listeners: dict[type, tuple[Callable[[Any], object], ...]] = {}
        for each in listeners:
            for kind, listener in each.items():
                self._listeners[kind] = (*self._listeners.get(kind, ()), listener)

    def record(self, entry: JournalEntry) -> None:
        """Pass one entry on, then show it."""
        self._record(entry)
        self._has_news = True
        for listener in self._listeners.get(entry.__class__, ()):
            listener(entry)

    def commit(self) -> None:
        """Pass it on, and tell how long it took."""
        if self._on_commit is None or not self._has_news:
            self._commit()
            return
        self._has_news = False
        began_ns = monotonic_ns()
        try:
            self._commit()
        finally:
            self._on_commit(monotonic_ns() - began_ns)
