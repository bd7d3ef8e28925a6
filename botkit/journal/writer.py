"""The journal a running bot writes."""

import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from botkit.errors import InvariantError, JournalError
from botkit.journal.database import (
    LockFile,
    connect,
    explain,
    file_identity,
    journal_paths,
)
from botkit.journal.fold import OpenRun, OrderFold, taken_over, told_ids
from botkit.journal.reader import LAST, read_batches
from botkit.journal.run_hash import RunHash
from botkit.model import EquityPoint, Refused, VenueStatus
from botkit.ports import Checked, JournalEntry, OrderRecord, Traded

__all__ = ["SqliteJournal"]

BUFFERED_BATCH: Final = 512  # entries a transaction when buffered; more outgrow the CPU cache
CHECKPOINT_EVERY: Final = 4_096  # entries between two notes of what may rest
BUFFERED_WAL_PAGES: Final = 10_000  # 40 MB: fewer copies of what is written in bulk
OPENING: Final = 2  # batches after the first that may tell what a run took over
TAIL: Final = 20_000  # batches at the end of a run, looked through for ids of orders
KEPT_MAX: Final = 100_000
ORDERS_MAY_REST: Final = 3  # exit code

# Not about an order we have or money we moved, and able to come without end.
EXPENDABLE: Final = frozenset({Refused, Checked, EquityPoint, VenueStatus})

encode: Final = msgspec.json.Encoder().encode
decode_orders: Final = msgspec.json.Decoder(list[OrderRecord]).decode


@attrs.frozen
class _Batch:
    """Encoded and not yet in the file. Writing it a second time changes nothing."""

    batch_id: int
    entries: list[JournalEntry]
    body: bytes


class SqliteJournal:
    """Records a bot's runs. Implements `botkit.ports.Journal`; made by `open`.

    What cannot be written is kept in memory, in order, and tried again by the next `commit`.
    New orders have stopped by then, so this ends by itself; beyond 100,000 entries kept,
    refusals, equity points and venue states are dropped and counted in `dropped`. Requests,
    reports and fills never are.
    """

    def __init__(
        self, *, path: Path, db: sqlite3.Connection, lock: LockFile, buffered: bool
    ) -> None:
        self.path = path
        self.dropped = 0
        self._db = db
        self._lock = lock
        self._identity = file_identity(path)
        self._batch_size = BUFFERED_BATCH if buffered else 1
        self._run: int | None = None
        self._next_batch = 1
        self._pending: list[JournalEntry] = []
        self.record: Callable[[JournalEntry], None] = self._pending.append
        """Take one entry into the open batch; no I/O."""
        self._unwritten: deque[_Batch] = deque()
        self._kept = 0  # entries in them
        self._hash = RunHash()
        self._fold: OrderFold | None = None  # None when buffered: no orders of a replay rest
        self._buffered = buffered
        self._since_checkpoint = 0

    @classmethod
    def open(
        cls,
        state_dir: Path,
        bot: str,
        *,
        buffered: bool = False,
        synchronous: str = "NORMAL",
        sweeps: bool = False,
    ) -> "SqliteJournal":
        """Take the bot's lock and open its journal, making what is not there.

        `buffered` writes 512 entries at a time, for replays at full speed: `commit` then does
        nothing in between. `synchronous` "FULL" waits for the disk at every commit. `sweeps` is for
        who cancels what a dead bot left: a start that is refused waits for it.

        Raises
        ------
        AlreadyRunningError
            Another process runs this bot.
        JournalError
            The file is damaged, locked, newer than this botkit, or cannot be written.
        """
        path, lock_path = journal_paths(state_dir, bot)
        lock = LockFile(lock_path, bot, sweeps=sweeps)
        try:
            db = _connected(path, synchronous) if sweeps else connect(path, synchronous)
        except BaseException:
            lock.close()
            raise
        if buffered:
            db.execute(f"PRAGMA wal_autocheckpoint = {BUFFERED_WAL_PAGES}")
        return cls(path=path, db=db, lock=lock, buffered=buffered)

    def unfinished(self) -> list[OpenRun]:
        """Return the runs whose orders may still rest, oldest first, until `mark_swept`.

        These were killed, or ended with exit code 3. The present run is not among them.
        """
        try:
            rows = self._db.execute(
                "SELECT run_id, mode, started_ns, exit_code, checkpoint,"
                " coalesce(checkpoint_batch + 1, first_batch), (SELECT min(later.first_batch) - 1"
                " FROM run AS later WHERE later.id > run.id), first_batch FROM run"
                " WHERE swept IS NULL AND (ended_ns IS NULL OR exit_code = ?)"
                " AND id IS NOT ? ORDER BY id",
                (ORDERS_MAY_REST, self._run),
            ).fetchall()
            return [self._open_run(row) for row in rows]
        except (sqlite3.Error, msgspec.MsgspecError) as exc:
            raise self._failure("cannot tell what the last run left", exc) from exc

    def begin_run(self, *, run_id: str, mode: str, config: str, started_ns: int) -> None:
        """Open a run. `config` is the text it runs on, secrets masked."""
        if self._run is not None:
            raise InvariantError(f"journal {self.path}: end the run before beginning {run_id!r}")
        try:
            (last,) = self._db.execute(
                "SELECT max(coalesce((SELECT max(id) FROM batch), 0),"
                " coalesce((SELECT max(first_batch) FROM run), 1) - 1)"
            ).fetchone()
            cursor = self._db.execute(
                "INSERT INTO run (run_id, mode, config, started_ns, first_batch)"
                " VALUES (?, ?, ?, ?, ?)",
                (run_id, mode, config, started_ns, last + 1),
            )
        except sqlite3.Error as exc:
            raise self._failure(f"cannot begin run {run_id!r}", exc) from exc
        self._run = cursor.lastrowid
        self._next_batch = last + 1
        self._hash = RunHash()
        self._fold = None if self._buffered else OrderFold()
        self._since_checkpoint = 0

    def commit(self) -> None:
        """Write the open batch in one transaction (when buffered, once it is full).

        Never waits for a lock. Raises `JournalError` if it cannot be written; the batch is kept
        and written by the next commit that can. It may run in another thread, one at a time,
        while `record` goes on here.
        """
        if len(self._pending) >= self._batch_size or self._unwritten:
            self._flush()

    def end_run(
        self,
        *,
        ended_ns: int,
        exit_code: int,
        reason: str,
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Write all that is open and close the run. Raises `JournalError`; may be repeated."""
        self._flush()
        try:
            self._checkpoint()
            self._db.execute(
                "UPDATE run SET ended_ns = ?, exit_code = ?, reason = ?, summary = ?, hash = ?"
                " WHERE id = ?",
                (
                    ended_ns,
                    exit_code,
                    reason,
                    None if summary is None else encode(summary).decode(),
                    self.run_hash(),
                    self._run,
                ),
            )
        except sqlite3.Error as exc:
            raise self._failure("cannot end the run", exc) from exc
        self._run = None

    def mark_swept(self, run_id: str, note: str) -> None:
        """Note what was found of a run in `unfinished`, which then holds it no more."""
        try:
            self._db.execute("UPDATE run SET swept = ? WHERE run_id = ?", (note, run_id))
        except sqlite3.Error as exc:
            raise self._failure(f"cannot note that run {run_id!r} was swept", exc) from exc

    def add_to(self, run_id: str, entries: Sequence[JournalEntry]) -> None:
        """Record what a person said of the last run after its end, or after it was killed.

        Raises
        ------
        JournalError
            It is not the last run, or this cannot be written.
        """
        try:
            newest = self._db.execute(
                "SELECT id, run_id, max(coalesce((SELECT max(batch.id) FROM batch), 0),"
                " first_batch - 1) FROM run ORDER BY id DESC LIMIT 1"
            ).fetchone()
            if newest is None or newest[1] != run_id:
                last = "none" if newest is None else newest[1]
                raise JournalError(
                    f"journal {self.path}: found run {run_id!r}, allowed: the last one, {last}"
                )
            self._db.execute(
                "INSERT INTO batch (id, run, body) VALUES (?, ?, ?)",
                (newest[2] + 1, newest[0], encode(entries)),
            )
        except sqlite3.Error as exc:
            raise self._failure(f"cannot add to run {run_id!r}", exc) from exc

    def run_hash(self) -> str:
        """Return the hash of the run, of all recorded so far, in hex; see `RunHash`."""
        self._encode_pending()
        return self._hash.hexdigest()

    def close(self) -> None:
        """Close the file and let go of the lock. A run not ended stays open, as if killed."""
        self._db.close()
        self._lock.close()

    def _flush(self) -> None:
        self._encode_pending()
        if self._unwritten and not self._buffered:
            self._check_there()
        while self._unwritten:
            batch = self._unwritten[0]
            try:
                # A commit that failed may have reached the disk all the same, hence OR REPLACE.
                self._db.execute(
                    "INSERT OR REPLACE INTO batch (id, run, body) VALUES (?, ?, ?)",
                    (batch.batch_id, self._run, batch.body),
                )
                self._unwritten.popleft()
                self._kept -= len(batch.entries)
                self._note(batch)
            except sqlite3.Error as exc:
                what = f"cannot record; {self._kept} entries are kept and will be tried again"
                raise self._failure(what, exc) from exc

    def _check_there(self) -> None:
        """Raise if the file was removed or replaced: SQLite would go on writing into nothing."""
        try:
            there = file_identity(self.path)
        except FileNotFoundError:
            there = None
        if there != self._identity:
            raise JournalError(
                f"journal {self.path}: the file was removed or replaced while the bot runs; "
                f"{self._kept} entries are kept in memory: put the file back, or stop the bot"
            )

    def _encode_pending(self) -> None:
        """Make the open batch ready for the file. It is hashed here, once."""
        taken = len(self._pending)  # more may be recorded while this runs in a thread
        if not taken:
            return
        if self._run is None:
            raise InvariantError(f"journal {self.path}: begin a run before recording")
        entries = self._pending[:taken]
        if self._unwritten:
            entries = self._within_bound(entries)
        self._hash.update(entries)
        self._unwritten.append(_Batch(self._next_batch, entries, encode(entries)))
        self._next_batch += 1
        self._kept += len(entries)
        del self._pending[:taken]

    def _within_bound(self, entries: list[JournalEntry]) -> list[JournalEntry]:
        if self._kept + len(entries) <= KEPT_MAX:
            return entries
        needed = [entry for entry in entries if type(entry) not in EXPENDABLE]
        self.dropped += len(entries) - len(needed)
        return needed

    def _note(self, batch: _Batch) -> None:
        """Follow what may rest, so that after a kill only the last entries need be read."""
        fold = self._fold
        if fold is None:
            return
        for entry in batch.entries:
            fold.apply(entry)
        self._since_checkpoint += len(batch.entries)
        if self._since_checkpoint >= CHECKPOINT_EVERY:
            self._checkpoint(batch.batch_id)

    def _checkpoint(self, batch_id: int | None = None) -> None:
        if self._fold is None:
            return
        self._db.execute(
            "UPDATE run SET checkpoint_batch = ?, checkpoint = ? WHERE id = ?",
            (batch_id or self._next_batch - 1, encode(self._fold.orders()), self._run),
        )
        self._since_checkpoint = 0

    def _open_run(self, row: tuple[Any, ...]) -> OpenRun:
        run_id, mode, started_ns, exit_code, checkpoint, first, last, begin = row
        fold = OrderFold(() if checkpoint is None else decode_orders(checkpoint))
        last = LAST if last is None else last
        for batch in read_batches(self._db, first, last):
            for entry in batch:
                fold.apply(entry)
        first_batches = read_batches(self._db, begin, min(begin + OPENING, last))
        opening = [entry for batch in first_batches for entry in batch]
        run = OpenRun(
            run_id=run_id,
            mode=mode,
            started_ns=started_ns,
            exit_code=exit_code,
            orders=tuple(fold.orders()),
            taken=taken_over(opening),
            traded=tuple(entry for entry in opening if isinstance(entry, Traded)),
        )
        return self._with_ids(run, begin, last) if run.has_nameless else run

    def _with_ids(self, run: OpenRun, first: int, last: int) -> OpenRun:
        """Add the ids that the run's latest batches tell, by which others are told from its own."""
        (end,) = self._db.execute("SELECT max(id) FROM batch WHERE id <= ?", (last,)).fetchone()
        batches = read_batches(self._db, max(first, (end or 0) - TAIL), last)
        ids = told_ids(entry for batch in batches for entry in batch)
        return msgspec.structs.replace(run, told_ids=ids)

    def _failure(self, what: str, exc: Exception) -> JournalError:
        why = explain(exc) if isinstance(exc, sqlite3.Error) else str(exc)
        return JournalError(f"journal {self.path}: {what}: {why}")


def _connected(path: Path, synchronous: str) -> sqlite3.Connection:
    """Open the journal for a sweep, which needs what stands there also where nothing can be added.

    A second attempt, on a disk that is full, needs no room.
    """
    try:
        return connect(path, synchronous)
    except JournalError:
        return connect(path, synchronous, alone=True)
