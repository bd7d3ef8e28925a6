"""Reading a journal, also while its bot runs.

Every query is read to its end at once: a reader that lingers keeps SQLite from emptying the
write-ahead log, which then grows with every order.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from botkit.errors import JournalError
from botkit.journal.database import connect_read_only, explain, is_journal
from botkit.journal.fold import OrderFold
from botkit.model import Fill
from botkit.ports import JournalEntry, OrderRecord

__all__ = ["JournalReader", "Run", "last_run_in", "read_batches", "read_runs"]

RUNS: Final = """
    SELECT run_id, mode, config, started_ns, ended_ns, exit_code, reason, summary, hash, swept
    FROM run ORDER BY id DESC LIMIT ?
"""
PAGE: Final = 256  # batches read at once
LAST: Final = 2**63 - 1

decode_batch: Final[Callable[[bytes], list[JournalEntry]]] = msgspec.json.Decoder(
    list[JournalEntry]
).decode


class Run(msgspec.Struct, kw_only=True, frozen=True):
    """One run as its row says. What is told at the end is None while it runs, or if killed."""

    run_id: str
    mode: str
    config: str  # as it ran, secrets masked
    started_ns: int
    ended_ns: int | None
    exit_code: int | None
    reason: str | None
    summary: dict[str, Any] | None
    run_hash: str | None
    swept: str | None  # what the next start or the guardian found of a run that was killed


def read_runs(db: sqlite3.Connection, limit: int) -> list[Run]:
    """Return the last runs, newest first."""
    rows = db.execute(RUNS, (limit,))
    return [_run(row) for row in rows.fetchall()]


def read_batches(
    db: sqlite3.Connection, first: int, last: int = LAST
) -> Iterator[list[JournalEntry]]:
    """Yield the batches with ids in [first, last], in order, a page at a time."""
    while True:
        rows = db.execute(
            "SELECT id, body FROM batch WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
            (first, last, PAGE),
        ).fetchall()
        for _, body in rows:
            yield decode_batch(body)
        if len(rows) < PAGE:
            return
        first = rows[-1][0] + 1


def _run(row: tuple[Any, ...]) -> Run:
    run_id, mode, config, started, ended, exit_code, reason, summary, run_hash, swept = row
    return Run(
        run_id=run_id,
        mode=mode,
        config=config,
        started_ns=started,
        ended_ns=ended,
        exit_code=exit_code,
        reason=reason,
        summary=None if summary is None else msgspec.json.decode(summary),
        run_hash=run_hash,
        swept=swept,
    )


class JournalReader:
    """A journal opened for looking at. Raises `JournalError` where the file cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = connect_read_only(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def runs(self, limit: int = 20) -> list[Run]:
        """Return the last runs, newest first."""
        try:
            return read_runs(self._db, limit)
        except sqlite3.Error as exc:
            raise JournalError(f"journal {self.path}: {explain(exc)}") from exc

    def last_run(self) -> Run | None:
        """Return the newest run; None if there was none."""
        runs = self.runs(1)
        return runs[0] if runs else None

    def entries(
        self, run_id: str, kinds: Collection[type[msgspec.Struct]] = ()
    ) -> Iterator[JournalEntry]:
        """Yield a run's entries in order: all, or those of the given kinds.

        Raises `JournalError` if there is no such run.
        """
        try:
            first, last = self._extent(run_id)
            for batch in read_batches(self._db, first, last):
                for entry in batch:
                    if not kinds or type(entry) in kinds:
                        yield entry
        except sqlite3.Error as exc:
            raise JournalError(f"journal {self.path}: {explain(exc)}") from exc
        except msgspec.MsgspecError as exc:
            raise JournalError(
                f"journal {self.path}, run {run_id}: an entry cannot be read ({exc}); was it "
                "written by another botkit?"
            ) from exc

    def fills(self, run_id: str) -> list[Fill]:
        """Return a run's fills in order."""
        return [entry for entry in self.entries(run_id, (Fill,)) if isinstance(entry, Fill)]

    def orders(self, run_id: str) -> list[OrderRecord]:
        """Return a run's orders as last known, first submitted first, those that ended too."""
        fold = OrderFold(keep_closed=True)
        for entry in self.entries(run_id):
            fold.apply(entry)
        return fold.orders()

    def mentions(self, run_id: str, text: str) -> bool:
        """Tell whether `text` occurs in a run's entries, as they are written: a quick look."""
        try:
            first, last = self._extent(run_id)
            found = self._db.execute(
                "SELECT 1 FROM batch WHERE id BETWEEN ? AND ? AND instr(body, CAST(? AS BLOB))"
                " LIMIT 1",
                (first, last, text),
            ).fetchone()
        except sqlite3.Error as exc:
            raise JournalError(f"journal {self.path}: {explain(exc)}") from exc
        return found is not None

    def _extent(self, run_id: str) -> tuple[int, int]:
        """Return the first and last batch id of a run."""
        row = self._db.execute(
            "SELECT first_batch, (SELECT min(later.first_batch) FROM run AS later"
            " WHERE later.id > run.id) FROM run WHERE run_id = ?",
            (run_id,),
        ).fetchone()
        if row is None:
            known = ", ".join(run.run_id for run in read_runs(self._db, 5)) or "none"
            raise JournalError(
                f"journal {self.path}: it has no run {run_id!r}; the last ones are: {known}"
            )
        return row[0], LAST if row[1] is None else row[1] - 1


def last_run_in(state_dir: Path) -> tuple[Path, Run] | None:
    """Return the journal and the run that started last, of all bots; None if none has run."""
    found: list[tuple[int, Path, Run]] = []
    for path in sorted(state_dir.glob("*.sqlite")):
        if not is_journal(path):
            continue
        with JournalReader(path) as reader:
            run = reader.last_run()
        if run is not None:
            found.append((run.started_ns, path, run))
    if not found:
        return None
    _, path, run = max(found, key=lambda item: item[0])
    return path, run
