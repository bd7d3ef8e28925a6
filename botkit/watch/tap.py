"""A journal that lets those who watch see what passes by on its way to the journal."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

from botkit.clock import monotonic_ns
from botkit.ports import Journal, JournalEntry

__all__ = ["Listener", "Listeners", "Tap"]

Listener = Callable[[Any], object]
Listeners = Mapping[type, Listener]
"""Who wants to see entries of a type. Called in the middle of the engine's work, so it only takes
note: it neither raises nor waits."""


class Tap:
    """Passes everything on to `journal`, then shows it. Implements `botkit.ports.Journal`.

    `on_commit` is told how many nanoseconds each commit took, by whoever commits. Both methods are
    closures: they run many times for each order.
    """

    record: Callable[[JournalEntry], None]
    commit: Callable[[], None]

    def __init__(
        self,
        journal: Journal,
        listeners: Iterable[Listeners],
        on_commit: Callable[[int], object] | None = None,
    ) -> None:
        self.record = _recording(journal.record, _merged(listeners))
        self.commit = journal.commit if on_commit is None else _timed(journal.commit, on_commit)


def _merged(several: Iterable[Listeners]) -> dict[type, Listener]:
    by_kind: dict[type, list[Listener]] = {}
    for listeners in several:
        for kind, listener in listeners.items():
            by_kind.setdefault(kind, []).append(listener)
    return {kind: reduce(_both, listeners) for kind, listeners in by_kind.items()}


def _both(first: Listener, second: Listener) -> Listener:
    def listen(entry: object) -> None:
        first(entry)
        second(entry)

    return listen


def _recording(
    forward: Callable[[JournalEntry], None], listeners: dict[type, Listener]
) -> Callable[[JournalEntry], None]:
    listener_of = listeners.get

    def record(entry: JournalEntry) -> None:
        forward(entry)
        listener = listener_of(entry.__class__)
        if listener is not None:
            listener(entry)

    return record


def _timed(commit: Callable[[], None], on_commit: Callable[[int], object]) -> Callable[[], None]:
    def timed() -> None:
        began_ns = monotonic_ns()
        try:
            commit()
        finally:
            on_commit(monotonic_ns() - began_ns)

    return timed
