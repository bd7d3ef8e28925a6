"""The journal's file and lock: opening them, their shape, and what to say when they fail.

One row of `run` is one run. One row of `batch` is what was committed at once: a JSON array of
entries, each with its `type`. The view `entry` shows them one by one to any SQLite program::

    SELECT kind, body FROM entry WHERE run = 3 AND kind = 'fill';
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from botkit.errors import ConfigError, JournalError
from botkit.journal.lock import LockFile

__all__ = [
    "LockFile",
    "connect",
    "connect_read_only",
    "explain",
    "file_identity",
    "hold_lock",
    "is_journal",
    "journal_paths",
]

APPLICATION_ID: Final = 0x626F746B  # "botk", so that a journal is told from any other file

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE run (
            id INTEGER PRIMARY KEY,
            run_id TEXT NOT NULL UNIQUE,
            mode TEXT NOT NULL,
            config TEXT NOT NULL,
            started_ns INTEGER NOT NULL,
            first_batch INTEGER NOT NULL,
            ended_ns INTEGER,
            exit_code INTEGER,
            reason TEXT,
            summary TEXT,
            hash TEXT,
            swept TEXT,
            checkpoint_batch INTEGER,
            checkpoint BLOB
        )
        """,
        """
        CREATE TABLE batch (
            id INTEGER PRIMARY KEY,
            run INTEGER NOT NULL,
            body BLOB NOT NULL
        )
        """,
        """
        CREATE VIEW entry AS
        SELECT batch.run AS run, batch.id AS batch, item.key AS position,
               json_extract(item.value, '$.type') AS kind, item.value AS body
        FROM batch, json_each(CAST(batch.body AS TEXT)) AS item
        """,
        f"PRAGMA application_id = {APPLICATION_ID}",
    ),
)
"""Statements that bring a file from version n to n + 1; each runs once, in one transaction."""


def journal_paths(state_dir: Path, bot: str) -> tuple[Path, Path]:
    """Return the journal and the lock file of `bot`."""
    if not bot or Path(bot).name != bot:
        raise ConfigError(
            f"bot name {bot!r}: it names files in {state_dir}, so it must not be empty or hold a "
            "path separator"
        )
    return state_dir / f"{bot}.sqlite", state_dir / f"{bot}.lock"


def file_identity(path: Path) -> tuple[int, int]:
    """Return what tells the file at `path` from any other, also from a later one of its name."""
    found = os.stat(path)  # noqa: PTH116  half the time of Path.stat, at every commit
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def hold_lock(state_dir: Path, bot: str) -> Iterator[None]:
    """Hold the lock of `bot`: nobody runs it meanwhile. Raises `AlreadyRunningError`."""
    lock = LockFile(journal_paths(state_dir, bot)[1], bot)
    try:
        yield
    finally:
        lock.close()


def connect(path: Path, synchronous: str, *, alone: bool = False) -> sqlite3.Connection:
    """Open the journal for writing, made or brought up to date if need be.

    `alone` nobody can read it meanwhile, and opening it takes no room on the disk.
    """
    if synchronous not in {"NORMAL", "FULL"}:
        raise ConfigError(f"journal synchronous {synchronous!r}: it must be 'NORMAL' or 'FULL'")
    # No waiting for locks: nobody else writes, and if someone does, the loop must not freeze.
    # FULL commits in a thread, one commit at a time, so SQLite's own check would be wrong.
    with _opened(path, str(path), timeout_s=0.0) as db:
        if alone:  # what readers would share is kept in memory
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
        version = _check_version(path, db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        if version < len(MIGRATIONS):
            _migrate(db, version)
        # Find damage now, where a person looks, rather than at the first order.
        for query in ("SELECT max(id) FROM batch", "SELECT max(run_id) FROM run"):
            db.execute(query).fetchall()
        return db


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open the journal for looking at, also while its bot runs."""
    if not path.is_file():
        raise JournalError(f"journal {path}: there is no such file; has this bot run yet?")
    with _opened(path, f"{path.resolve().as_uri()}?mode=ro", timeout_s=1.0) as db:
        version = _check_version(path, db)
        if version < len(MIGRATIONS):
            raise JournalError(
                f"journal {path}: its version is {version} and this botkit reads version "
                f"{len(MIGRATIONS)}; run the bot once, which brings it up to date"
            )
        return db


@contextlib.contextmanager
def _opened(path: Path, target: str, timeout_s: float) -> Iterator[sqlite3.Connection]:
    """Open a database and hand it over; if that or the body fails, close it and say why."""
    with contextlib.ExitStack() as stack:
        try:
            db = sqlite3.connect(
                target,
                timeout=timeout_s,
                isolation_level=None,
                check_same_thread=False,
                uri=target.startswith("file:"),
            )
            stack.callback(db.close)
            yield db
        except sqlite3.Error as exc:
            raise JournalError(f"journal {path}: {explain(exc)}") from exc
        stack.pop_all()


def is_journal(path: Path) -> bool:
    """Tell whether a file is a journal (an empty or foreign one is not).

    Its first bytes say so, or, in a first run that goes on, what waits beside it in the log.
    """
    with path.open("rb") as file:
        head = file.read(72)
    if head[68:72] == APPLICATION_ID.to_bytes(4, "big"):
        return True
    if not path.with_name(f"{path.name}-wal").exists():
        return False
    target = f"{path.resolve().as_uri()}?mode=ro"
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(target, uri=True)) as db,
    ):
        (found,) = db.execute("PRAGMA application_id").fetchone()
        return bool(found == APPLICATION_ID)
    return False


def explain(exc: sqlite3.Error) -> str:
    """Return what went wrong and what a person can do about it."""
    name = getattr(exc, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"another program holds its write lock ({exc}); end that program"
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return f"it cannot be written ({exc}); free space on its disk, or mend the disk"
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return (
            f"the file is damaged ({exc}); look at the venue for orders of the last run, then "
            "move the file away and start again"
        )
    return f"{exc}; see that its folder exists and that the bot's user may write there"


def _check_version(path: Path, db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise JournalError(
            f"journal {path}: written by a newer botkit (version {version}, this one knows "
            f"{len(MIGRATIONS)}); use that botkit, or move the file away"
        )
    return int(version)


def _migrate(db: sqlite3.Connection, version: int) -> None:
    """Do what is missing in one transaction; closing the file after an error undoes it."""
    db.execute("BEGIN IMMEDIATE")
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    db.execute("COMMIT")
