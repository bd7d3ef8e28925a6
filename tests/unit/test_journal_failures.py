"""A journal that cannot write says so at once, keeps everything, and writes it when it can."""

import contextlib
import resource
import shutil
import sqlite3
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import trio

from botkit.errors import JournalError
from botkit.journal import JournalReader, SqliteJournal
from botkit.journal.writer import CHECKPOINT_EVERY, KEPT_MAX
from botkit.model import (
    ClientOrderId,
    EquityPoint,
    Fill,
    NewOrder,
    Side,
    VenueStatus,
)
from botkit.ports import JournalEntry

SYMBOL = "paper:BTC-EUR"
POINT = EquityPoint(
    currency="EUR",
    realised=Decimal(1),
    unrealised=Decimal(0),
    fees=Decimal(0),
    equity=Decimal(1),
)
UP = VenueStatus(venue="paper", market_data=True, private=True, order_entry=True)


def build_order(number: int, reason: str = "maker") -> NewOrder:
    return NewOrder(
        client_order_id=ClientOrderId(f"demo-r1-{number}"),
        symbol=SYMBOL,
        strategy=reason,
        side=Side.BUY,
        order_qty=Decimal("0.5"),
    )


def build_fill(number: int) -> Fill:
    return Fill(
        client_order_id=ClientOrderId(f"demo-r1-{number}"),
        symbol=SYMBOL,
        strategy="maker",
        side=Side.BUY,
        qty=Decimal("0.5"),
        price=Decimal(100),
    )


def begin(journal: SqliteJournal) -> None:
    journal.begin_run(run_id="r1", mode="paper", config="", started_ns=1)


def end(journal: SqliteJournal) -> None:
    journal.end_run(ended_ns=2, exit_code=0, reason="", summary=None)


def entries_of(path: Path) -> list[JournalEntry]:
    with JournalReader(path) as reader:
        return list(reader.entries("r1"))


@pytest.fixture(params=[False, True], ids=["unbuffered", "buffered"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal.open(tmp_path, "demo", buffered=request.param)
    begin(opened)
    yield opened
    opened.close()


@pytest.fixture
def unbuffered(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal.open(tmp_path, "demo")
    begin(opened)
    yield opened
    opened.close()


@contextlib.contextmanager
def write_locked(path: Path) -> Iterator[None]:
    """Hold the write lock as a foreign program would."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def limit_pages(journal: SqliteJournal, more: int) -> None:
    """Let the file grow by `more` pages and then be as full as a disk can be."""
    (count,) = journal._db.execute("PRAGMA page_count").fetchone()
    journal._db.execute(f"PRAGMA max_page_count = {count + more}")


def test_a_foreign_write_lock_is_an_error_at_once_and_nothing_is_lost(
    unbuffered: SqliteJournal,
) -> None:
    unbuffered.record(build_order(1))
    with write_locked(unbuffered.path):
        began = time.perf_counter()
        for number in (2, 3):
            with pytest.raises(JournalError, match=r"write lock .*end that program"):
                unbuffered.commit()
            unbuffered.record(build_order(number))
        assert time.perf_counter() - began < 1.0  # SQLite's default would wait 5 s, twice
        assert entries_of(unbuffered.path) == []

    unbuffered.commit()
    assert entries_of(unbuffered.path) == [build_order(number) for number in (1, 2, 3)]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_was_removed_is_an_error_until_it_is_back(
    unbuffered: SqliteJournal, *, replaced: bool
) -> None:
    journal = unbuffered
    journal.record(build_order(1))
    journal.commit()
    aside = journal.path.with_name("aside")
    journal.path.rename(aside)
    if replaced:
        journal.path.touch()

    journal.record(build_order(2))
    with pytest.raises(JournalError, match=r"removed or replaced .*; 1 entries are kept"):
        journal.commit()
    aside.rename(journal.path)
    journal.commit()

    assert entries_of(journal.path) == [build_order(1), build_order(2)]


def test_the_error_names_the_file_and_what_is_kept(unbuffered: SqliteJournal) -> None:
    unbuffered.record(build_order(1))
    unbuffered.record(build_order(2))
    with write_locked(unbuffered.path), pytest.raises(JournalError) as caught:
        unbuffered.commit()

    assert str(unbuffered.path) in str(caught.value)
    assert "2 entries are kept and will be tried again" in str(caught.value)


def test_a_commit_that_failed_and_yet_reached_the_file_is_not_written_twice(
    unbuffered: SqliteJournal,
) -> None:
    unbuffered.record(build_order(1))
    with write_locked(unbuffered.path), pytest.raises(JournalError):
        unbuffered.commit()
    db = sqlite3.connect(unbuffered.path, isolation_level=None)
    db.execute("INSERT INTO batch (id, run, body) VALUES (1, 1, '[]')")
    db.close()
    unbuffered.commit()

    assert entries_of(unbuffered.path) == [build_order(1)]


def test_a_full_disk_is_an_error_and_nothing_is_lost_once_there_is_room(
    journal: SqliteJournal,
) -> None:
    limit_pages(journal, 8)
    written: list[JournalEntry] = []
    errors: list[str] = []
    for number in range(3_000):
        written.append(build_order(number, "x" * 200))
        journal.record(written[-1])
        try:
            journal.commit()
        except JournalError as exc:
            errors.append(str(exc))
            if len(errors) == 20:
                limit_pages(journal, 100_000)
    assert len(errors) == 20
    assert all("free space on its disk" in error for error in errors)
    end(journal)

    assert entries_of(journal.path) == written
    assert journal.dropped == 0


def test_who_sweeps_opens_what_a_killed_bot_left_also_where_no_file_can_grow(
    tmp_path: Path,
) -> None:
    alive, dead = tmp_path / "alive", tmp_path / "dead"
    with contextlib.closing(SqliteJournal.open(alive, "demo")) as journal:
        begin(journal)
        journal.record(build_order(1))
        journal.commit()
        shutil.copytree(alive, dead)  # as it is on the disk when the bot is killed

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(JournalError, match="cannot be written"):
            SqliteJournal.open(dead, "demo")
        with contextlib.closing(SqliteJournal.open(dead, "demo", sweeps=True)) as journal:
            (run,) = journal.unfinished()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [each.request for each in run.orders] == [build_order(1)]


def test_the_hash_is_the_same_as_if_nothing_had_failed(
    unbuffered: SqliteJournal, tmp_path: Path
) -> None:
    unbuffered.record(build_order(1))
    with write_locked(unbuffered.path), pytest.raises(JournalError):
        unbuffered.commit()
    unbuffered.record(build_fill(1))
    unbuffered.commit()
    smooth = SqliteJournal.open(tmp_path, "smooth")
    begin(smooth)
    smooth.record(build_order(1))
    smooth.record(build_fill(1))

    assert unbuffered.run_hash() == smooth.run_hash()
    smooth.close()


def test_beyond_the_bound_only_orders_and_money_are_kept(unbuffered: SqliteJournal) -> None:
    with write_locked(unbuffered.path):
        for _ in range(KEPT_MAX):
            unbuffered.record(UP)
        with pytest.raises(JournalError):
            unbuffered.commit()
        for entry in (POINT, build_fill(1), UP):
            unbuffered.record(entry)
        with pytest.raises(JournalError, match=f"{KEPT_MAX + 1} entries are kept"):
            unbuffered.commit()
    unbuffered.commit()

    kept = entries_of(unbuffered.path)
    assert unbuffered.dropped == 2
    assert len(kept) == KEPT_MAX + 1
    assert kept[-1] == build_fill(1)

    unbuffered.record(POINT)  # the journal writes again, so all is kept again
    unbuffered.commit()
    assert entries_of(unbuffered.path)[-1] == POINT


async def test_committing_in_a_thread_loses_nothing_recorded_meanwhile(
    unbuffered: SqliteJournal,
) -> None:
    def commit_often() -> None:
        for _ in range(300):
            unbuffered.commit()

    orders = [build_order(number) for number in range(3_000)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, commit_often)
        for order in orders:
            unbuffered.record(order)
            if order.client_order_id.endswith("0"):
                await trio.lowlevel.checkpoint()
    unbuffered.commit()

    assert entries_of(unbuffered.path) == orders


def test_a_run_can_be_ended_once_the_lock_is_gone(journal: SqliteJournal) -> None:
    journal.record(build_order(1))
    with write_locked(journal.path), pytest.raises(JournalError):
        end(journal)
    end(journal)

    assert entries_of(journal.path) == [build_order(1)]
    with JournalReader(journal.path) as reader:
        run = reader.last_run()
    assert run is not None
    assert run.exit_code == 0


def test_a_run_without_entries_cannot_be_ended_under_a_lock_either(
    journal: SqliteJournal,
) -> None:
    with write_locked(journal.path), pytest.raises(JournalError, match="cannot end the run"):
        end(journal)


def test_a_checkpoint_that_fails_is_made_later(unbuffered: SqliteJournal) -> None:
    """The entries before it are in the file all the same, once each."""
    orders = [build_order(number) for number in range(CHECKPOINT_EVERY)]
    for order in orders:
        unbuffered.record(order)
    unbuffered._db.execute(
        "CREATE TEMP TRIGGER full BEFORE UPDATE ON run BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    with pytest.raises(JournalError, match="0 entries are kept"):
        unbuffered.commit()
    unbuffered._db.execute("DROP TRIGGER full")
    unbuffered.record(build_fill(1))
    unbuffered.commit()

    assert entries_of(unbuffered.path) == [*orders, build_fill(1)]
    (noted,) = unbuffered._db.execute("SELECT checkpoint_batch FROM run").fetchone()
    assert noted == 2


def test_sweeping_and_beginning_under_a_lock_are_errors(tmp_path: Path) -> None:
    opened = SqliteJournal.open(tmp_path, "demo")
    with write_locked(opened.path):
        with pytest.raises(JournalError, match="cannot note that run 'r0' was swept"):
            opened.mark_swept("r0", "")
        with pytest.raises(JournalError, match="cannot begin run 'r1'"):
            begin(opened)
    begin(opened)
    opened.close()


def test_a_new_journal_under_a_lock_is_an_error_and_is_made_later(tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite"
    sqlite3.connect(path).close()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    with write_locked(path), pytest.raises(JournalError, match="write lock"):
        SqliteJournal.open(tmp_path, "demo")

    SqliteJournal.open(tmp_path, "demo").close()


def test_a_reader_reports_a_file_damaged_under_it(unbuffered: SqliteJournal) -> None:
    unbuffered.record(build_order(1))
    unbuffered.commit()
    with JournalReader(unbuffered.path) as reader:
        unbuffered._db.execute("DROP VIEW entry")
        unbuffered._db.execute("DROP TABLE run")
        for ask in (reader.runs, lambda: list(reader.entries("r1"))):
            with pytest.raises(JournalError, match="no such table"):
                ask()
    with pytest.raises(JournalError, match="cannot tell what the last run left"):
        unbuffered.unfinished()
