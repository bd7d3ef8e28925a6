"""A journal that keeps everything in memory, over several runs: for tests."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from botkit.errors import JournalError
from botkit.journal import OpenRun, OrderFold, taken_over, told_ids
from botkit.ports import JournalEntry, Traded

__all__ = ["MemoryJournal", "MemoryRun"]

ORDERS_MAY_REST: Final = 3  # exit code


@attrs.define(kw_only=True)
class MemoryRun:
    """One run; `entries` are what it committed. Not ended, it was killed or still goes on."""

    run_id: str
    mode: str
    config: str
    started_ns: int
    ended_ns: int | None = None
    reason: str = ""
    summary: Mapping[str, Any] | None = None
    entries: list[JournalEntry] = attrs.field(factory=list)
    exit_code: int | None = None
    swept: str | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether its orders may still rest and nobody has looked."""
        return self.swept is None and self.exit_code in (None, ORDERS_MAY_REST)


class MemoryJournal:
    """Implements `botkit.ports.Journal`, and what a start and a sweep need of a journal.

    Attributes
    ----------
    entries
        What was committed, in order, of all runs.
    runs
        Those that were begun; without one, entries go to `entries` alone.
    fault
        While it is not empty, `commit` raises `JournalError` with it and keeps the batch open.
    failures
        How often that was.
    """

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.runs: list[MemoryRun] = []
        self.fault = ""
        self.failures = 0
        self._batch: list[JournalEntry] = []
        self._run: MemoryRun | None = None

    def record(self, entry: JournalEntry) -> None:
        """Take one entry into the open batch."""
        self._batch.append(entry)

    def commit(self) -> None:
        """Move the open batch to `entries`."""
        if self.fault:
            self.failures += 1
            raise JournalError(self.fault)
        self.entries += self._batch
        if self._run is not None:
            self._run.entries += self._batch
        self._batch.clear()

    def abandon(self) -> None:
        """Leave the run as its process does that is killed: what is not committed is lost."""
        self._batch.clear()
        self._run = None

    def begin_run(self, *, run_id: str, mode: str, config: str, started_ns: int) -> None:
        """Open a run; raise `JournalError` where `commit` would."""
        if self.fault:
            self.failures += 1
            raise JournalError(self.fault)
        self._run = MemoryRun(run_id=run_id, mode=mode, config=config, started_ns=started_ns)
        self.runs.append(self._run)

    def end_run(
        self,
        *,
        ended_ns: int,
        exit_code: int,
        reason: str,
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Commit what is open and close the run."""
        self.commit()
        run, self._run = self._run, None
        if run is not None:
            run.ended_ns, run.exit_code = ended_ns, exit_code
            run.reason, run.summary = reason, summary

    def unfinished(self) -> list[OpenRun]:
        """Return the runs whose orders may still rest, oldest first, until `mark_swept`."""
        return [
            OpenRun(
                run_id=run.run_id,
                mode=run.mode,
                started_ns=run.started_ns,
                exit_code=run.exit_code,
                orders=tuple(_folded(run.entries).orders()),
                told_ids=told_ids(run.entries),
                taken=taken_over(run.entries),
                traded=tuple(entry for entry in run.entries if isinstance(entry, Traded)),
            )
            for run in self.runs
            if run.is_unfinished and run is not self._run
        ]

    def mark_swept(self, run_id: str, note: str) -> None:
        """Note what was found of a run in `unfinished`, which then holds it no more."""
        for run in self.runs:
            if run.run_id == run_id:
                run.swept = note


def _folded(entries: Sequence[JournalEntry]) -> OrderFold:
    fold = OrderFold()
    for entry in entries:
        fold.apply(entry)
    return fold
