"""The journal a bot writes and a person reads: what is kept, what is refused, what is said."""

import os
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from botkit.errors import AlreadyRunningError, ConfigError, InvariantError, JournalError
from botkit.journal import JournalReader, SqliteJournal, last_run_in
from botkit.journal.writer import BUFFERED_BATCH, CHECKPOINT_EVERY
from botkit.model import (
    CancelOrder,
    ClientOrderId,
    EquityPoint,
    ExecType,
    ExecutionReport,
    Fill,
    NewOrder,
    OrdStatus,
    Side,
    VenueOrderId,
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


def build_order(number: int, *, keep: bool = False) -> NewOrder:
    return NewOrder(
        client_order_id=ClientOrderId(f"demo-r1-{number}"),
        symbol=SYMBOL,
        strategy="maker",
        side=Side.BUY,
        order_qty=Decimal("0.5"),
        price=Decimal("100.10"),
        keep=keep,
    )


def build_report(number: int, status: OrdStatus) -> ExecutionReport:
    return ExecutionReport(
        symbol=SYMBOL,
        ord_status=status,
        exec_type=ExecType.ORDER_STATUS,
        client_order_id=ClientOrderId(f"demo-r1-{number}"),
        venue_order_id=VenueOrderId(f"v{number}"),
    )


def build_fill(number: int, price: str = "100.10") -> Fill:
    return Fill(
        client_order_id=ClientOrderId(f"demo-r1-{number}"),
        symbol=SYMBOL,
        strategy="maker",
        side=Side.BUY,
        qty=Decimal("0.5"),
        price=Decimal(price),
        commission=Decimal("0.05"),
        commission_currency="EUR",
    )


def begin(journal: SqliteJournal, run_id: str = "r1", started_ns: int = 1) -> None:
    journal.begin_run(run_id=run_id, mode="paper", config="[bot]", started_ns=started_ns)


def end(journal: SqliteJournal, exit_code: int = 0) -> None:
    journal.end_run(ended_ns=9, exit_code=exit_code, reason="done", summary={"orders": 1})


def write(journal: SqliteJournal, *entries: JournalEntry) -> None:
    for entry in entries:
        journal.record(entry)
    journal.commit()


def change(path: Path, statement: str) -> None:
    """Do to the file what we never would."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(statement)
    db.close()


def entries_of(path: Path, run_id: str = "r1") -> list[JournalEntry]:
    with JournalReader(path) as reader:
        return list(reader.entries(run_id))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal.open(tmp_path, "demo")
    yield opened
    opened.close()


def test_what_was_committed_reads_back_equal_and_in_order(journal: SqliteJournal) -> None:
    entries: list[JournalEntry] = [
        build_order(1),
        build_report(1, OrdStatus.NEW),
        build_fill(1),
        POINT,
    ]
    begin(journal)
    write(journal, *entries[:2])
    write(journal, *entries[2:])

    assert entries_of(journal.path) == entries


def test_nothing_is_in_the_file_before_commit(journal: SqliteJournal) -> None:
    begin(journal)
    journal.record(build_order(1))

    assert entries_of(journal.path) == []


def test_a_commit_of_nothing_writes_nothing(journal: SqliteJournal) -> None:
    begin(journal)
    journal.commit()

    db = sqlite3.connect(journal.path)
    assert db.execute("SELECT count(*) FROM batch").fetchone() == (0,)
    db.close()


def test_a_run_tells_how_it_began_and_ended(journal: SqliteJournal) -> None:
    begin(journal)
    write(journal, build_order(1))
    with JournalReader(journal.path) as reader:
        running = reader.last_run()
    end(journal)
    with JournalReader(journal.path) as reader:
        ended = reader.last_run()

    assert running is not None
    assert (running.ended_ns, running.exit_code, running.summary) == (None, None, None)
    assert ended is not None
    assert (ended.run_id, ended.mode, ended.config, ended.started_ns) == ("r1", "paper", "[bot]", 1)
    assert (ended.ended_ns, ended.exit_code, ended.reason) == (9, 0, "done")
    assert ended.summary == {"orders": 1}
    assert ended.run_hash == journal.run_hash()


def test_runs_keep_apart_and_are_listed_newest_first(journal: SqliteJournal) -> None:
    for run_id, numbers in (("r1", (1, 2)), ("empty", ()), ("r2", (3,))):
        begin(journal, run_id)
        write(journal, *(build_order(number) for number in numbers))
        end(journal)

    with JournalReader(journal.path) as reader:
        assert [run.run_id for run in reader.runs(2)] == ["r2", "empty"]
    assert entries_of(journal.path, "r1") == [build_order(1), build_order(2)]
    assert entries_of(journal.path, "empty") == []
    assert entries_of(journal.path, "r2") == [build_order(3)]


def test_a_reader_picks_kinds_fills_and_orders(journal: SqliteJournal) -> None:
    begin(journal)
    write(journal, build_order(1), build_order(2), build_report(1, OrdStatus.NEW))
    write(journal, build_fill(1), build_report(1, OrdStatus.FILLED))

    with JournalReader(journal.path) as reader:
        assert list(reader.entries("r1", (NewOrder,))) == [build_order(1), build_order(2)]
        assert reader.fills("r1") == [build_fill(1)]
        orders = reader.orders("r1")
    assert [(order.ord_status, order.cum_qty, order.may_rest) for order in orders] == [
        (OrdStatus.FILLED, Decimal("0.5"), False),
        (OrdStatus.PENDING_NEW, Decimal(0), True),
    ]


def test_a_run_of_many_batches_is_read_whole(journal: SqliteJournal) -> None:
    begin(journal)
    for number in range(600):  # more than two pages of the reader
        write(journal, build_order(number))

    assert entries_of(journal.path) == [build_order(number) for number in range(600)]


def test_any_sqlite_program_can_read_the_entries(journal: SqliteJournal) -> None:
    begin(journal)
    write(journal, build_order(1), build_fill(1), build_fill(2, "99"))

    db = sqlite3.connect(journal.path)
    rows = db.execute(
        "SELECT json_extract(body, '$.price') FROM entry WHERE run = 1 AND kind = 'fill'"
    ).fetchall()
    db.close()
    assert rows == [("100.10",), ("99",)]


def test_a_run_killed_before_its_end_is_unfinished_with_what_may_rest(tmp_path: Path) -> None:
    killed = SqliteJournal.open(tmp_path, "demo")
    begin(killed)
    write(killed, build_order(1), build_order(2), build_order(3, keep=True))
    write(killed, build_report(1, OrdStatus.CANCELED), build_report(2, OrdStatus.NEW))
    killed.close()  # without end_run: the file is as a kill leaves it

    again = SqliteJournal.open(tmp_path, "demo")
    (run,) = again.unfinished()
    assert (run.run_id, run.mode, run.started_ns, run.exit_code) == ("r1", "paper", 1, None)
    assert [(order.request, order.ord_status, order.keep) for order in run.orders] == [
        (build_order(2), OrdStatus.NEW, False),
        (build_order(3, keep=True), OrdStatus.PENDING_NEW, True),
    ]
    assert run.orders[0].venue_order_ids == {"v2": "demo-r1-2"}
    symbol = build_order(1).symbol
    assert run.told_ids == {(symbol, "v1"), (symbol, "v2")}, "of one we know no id"

    begin(again, "r2")
    assert [run.run_id for run in again.unfinished()] == ["r1"]
    again.mark_swept("r1", "2 canceled")
    assert again.unfinished() == []
    with JournalReader(again.path) as reader:
        assert [run.swept for run in reader.runs()] == [None, "2 canceled"]
    again.close()


@pytest.mark.parametrize(("exit_code", "unfinished"), [(0, []), (1, []), (3, ["r1"]), (4, [])])
def test_a_run_that_ended_in_doubt_is_still_to_be_swept(
    journal: SqliteJournal, exit_code: int, unfinished: list[str]
) -> None:
    begin(journal)
    write(journal, build_order(1))
    end(journal, exit_code)

    runs = journal.unfinished()
    assert [run.run_id for run in runs] == unfinished
    assert all([order.request for order in run.orders] == [build_order(1)] for run in runs)


def test_after_a_checkpoint_unfinished_needs_only_what_came_later(
    journal: SqliteJournal,
) -> None:
    begin(journal)
    write(journal, build_order(1), build_order(2), build_report(1, OrdStatus.NEW))
    write(journal, *[build_report(2, OrdStatus.CANCELED)] * CHECKPOINT_EVERY)
    write(journal, build_order(3), build_report(1, OrdStatus.PARTIALLY_FILLED))
    journal.close()
    change(journal.path, "UPDATE batch SET body = '[]' WHERE id <= 2")  # needed no more

    again = SqliteJournal.open(journal.path.parent, "demo")
    (run,) = again.unfinished()
    again.close()
    assert [(order.request.client_order_id, order.ord_status) for order in run.orders] == [
        ("demo-r1-1", OrdStatus.PARTIALLY_FILLED),
        ("demo-r1-3", OrdStatus.PENDING_NEW),
    ]


def test_buffered_entries_are_written_a_full_batch_at_a_time_and_at_the_end(
    tmp_path: Path,
) -> None:
    journal = SqliteJournal.open(tmp_path, "demo", buffered=True)
    size = BUFFERED_BATCH
    begin(journal)
    for number in range(size - 1):
        write(journal, build_order(number))
    assert entries_of(journal.path) == []

    write(journal, build_order(size - 1))
    assert len(entries_of(journal.path)) == size

    write(journal, build_fill(1))
    end(journal)
    assert entries_of(journal.path)[-1] == build_fill(1)
    assert len(entries_of(journal.path)) == size + 1
    journal.close()


def test_the_hash_is_the_same_buffered_or_not(tmp_path: Path) -> None:
    entries = [entry for n in range(700) for entry in (build_order(n), build_fill(n))]
    hashes = set()
    for buffered in (False, True):
        journal = SqliteJournal.open(tmp_path / str(buffered), "demo", buffered=buffered)
        begin(journal)
        for entry in entries:
            write(journal, entry)
        hashes.add(journal.run_hash())
        journal.close()

    assert len(hashes) == 1


def test_each_run_has_its_own_hash(journal: SqliteJournal) -> None:
    hashes = []
    for run_id in ("a", "b"):
        begin(journal, run_id)
        write(journal, build_order(1))
        hashes.append(journal.run_hash())
        end(journal)

    assert hashes[0] == hashes[1]


def test_recording_outside_a_run_is_our_own_mistake(journal: SqliteJournal) -> None:
    journal.record(build_order(1))

    with pytest.raises(InvariantError, match="begin a run before recording"):
        journal.commit()


def test_a_run_inside_a_run_is_our_own_mistake(journal: SqliteJournal) -> None:
    begin(journal)

    with pytest.raises(InvariantError, match="end the run before beginning 'r2'"):
        begin(journal, "r2")


def test_a_run_id_used_twice_is_refused(journal: SqliteJournal) -> None:
    begin(journal)
    end(journal)

    with pytest.raises(JournalError, match="cannot begin run 'r1'"):
        begin(journal)


def test_a_second_opener_learns_bot_pid_and_path(journal: SqliteJournal) -> None:
    lock = (journal.path.with_suffix(".lock")).read_text()

    with pytest.raises(AlreadyRunningError) as caught:
        SqliteJournal.open(journal.path.parent, "demo")

    message = str(caught.value)
    assert "'demo'" in message
    assert f"process {lock.strip()}" in message
    assert str(journal.path.with_suffix(".lock")) in message


def test_the_pid_of_a_dead_owner_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "demo.lock").write_text("999999999\n")
    journal = SqliteJournal.open(tmp_path, "demo")

    assert (tmp_path / "demo.lock").read_text() == f"{os.getpid()}\n"
    journal.close()


def test_bots_of_other_names_share_a_state_dir(journal: SqliteJournal) -> None:
    SqliteJournal.open(journal.path.parent, "other").close()


def test_closing_lets_the_next_one_in(tmp_path: Path) -> None:
    for _ in range(2):
        SqliteJournal.open(tmp_path / "made" / "here", "demo").close()


@pytest.mark.parametrize("bot", ["", "a/b"])
def test_a_bot_name_that_is_no_file_name_is_refused(tmp_path: Path, bot: str) -> None:
    with pytest.raises(ConfigError, match="must not be empty or hold a path separator"):
        SqliteJournal.open(tmp_path, bot)


def test_an_unknown_synchronous_is_refused_and_the_lock_let_go(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="synchronous 'OFF': it must be 'NORMAL' or 'FULL'"):
        SqliteJournal.open(tmp_path, "demo", synchronous="OFF")
    SqliteJournal.open(tmp_path, "demo", synchronous="FULL").close()


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite"
    path.write_bytes(b"no database, though it has a length" * 40)

    for _ in range(2):  # the lock is let go each time
        with pytest.raises(JournalError) as caught:
            SqliteJournal.open(tmp_path, "demo")
        assert str(path) in str(caught.value)
        assert "move the file away" in str(caught.value)
    with pytest.raises(JournalError, match="file is damaged"):
        JournalReader(path)


def test_a_file_damaged_inside_is_found_when_opened(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path, "demo")
    begin(journal)
    for number in range(100):
        write(journal, build_order(number))
    journal.close()
    content = bytearray(journal.path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    journal.path.write_bytes(content)

    with pytest.raises(JournalError, match="file is damaged"):
        SqliteJournal.open(tmp_path, "demo")


def test_a_state_dir_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file where the folder should be")

    with pytest.raises(JournalError, match=r"var/demo\.lock: cannot be written .* state_dir"):
        SqliteJournal.open(tmp_path / "var", "demo")


def test_a_journal_that_cannot_be_opened_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "demo.sqlite").mkdir()

    with pytest.raises(JournalError, match=r"demo\.sqlite: .*user may write there"):
        SqliteJournal.open(tmp_path, "demo")


def test_a_journal_of_a_newer_botkit_is_left_alone(tmp_path: Path) -> None:
    SqliteJournal.open(tmp_path, "demo").close()
    path = tmp_path / "demo.sqlite"
    change(path, "PRAGMA user_version = 99")

    for opening in (lambda: SqliteJournal.open(tmp_path, "demo"), lambda: JournalReader(path)):
        with pytest.raises(JournalError, match="newer botkit"):
            opening()


def test_reading_an_unmigrated_file_says_to_run_the_bot(tmp_path: Path) -> None:
    path = tmp_path / "demo.sqlite"
    change(path, "CREATE TABLE t (x)")

    with pytest.raises(JournalError, match="its version is 0"):
        JournalReader(path)


def test_reading_where_nothing_ran_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="there is no such file"):
        JournalReader(tmp_path / "demo.sqlite")


def test_asking_for_a_run_that_is_not_there_names_those_that_are(journal: SqliteJournal) -> None:
    with pytest.raises(JournalError, match="no run 'r9'; the last ones are: none"):
        entries_of(journal.path, "r9")
    begin(journal)
    with pytest.raises(JournalError, match="no run 'r9'; the last ones are: r1"):
        entries_of(journal.path, "r9")


def test_an_entry_of_an_unknown_kind_is_told_not_skipped(journal: SqliteJournal) -> None:
    begin(journal)
    write(journal, build_order(1))
    change(journal.path, """UPDATE batch SET body = '[{"type": "from_the_future"}]'""")

    with pytest.raises(JournalError, match="an entry cannot be read"):
        entries_of(journal.path)
    end(journal, 3)
    change(journal.path, "UPDATE run SET checkpoint = NULL, checkpoint_batch = NULL")
    with pytest.raises(JournalError, match="cannot tell what the last run left"):
        journal.unfinished()


def test_the_last_run_is_found_across_bots(tmp_path: Path) -> None:
    assert last_run_in(tmp_path) is None
    for bot, started_ns in (("early", 5), ("late", 7), ("middle", 6)):
        journal = SqliteJournal.open(tmp_path, bot)
        begin(journal, f"{bot}-run", started_ns)
        end(journal)
        journal.close()
    SqliteJournal.open(tmp_path, "never_ran").close()
    (tmp_path / "foreign.sqlite").write_bytes(b"")
    sqlite3.connect(tmp_path / "another.sqlite").close()

    found = last_run_in(tmp_path)

    assert found is not None
    path, run = found
    assert (path, run.run_id) == (tmp_path / "late.sqlite", "late-run")


def test_an_open_reader_does_not_hold_up_the_writer(journal: SqliteJournal) -> None:
    begin(journal)
    write(journal, build_order(1))
    with JournalReader(journal.path) as reader:
        reading = reader.entries("r1")
        assert next(reading) == build_order(1)
        write(journal, build_order(2))
        end(journal)
        assert msgspec.json.encode(list(reader.entries("r1"))) == msgspec.json.encode(
            [build_order(1), build_order(2)]
        )


def test_a_cancel_is_recorded_like_any_request(journal: SqliteJournal) -> None:
    cancel = CancelOrder(client_order_id=ClientOrderId("demo-r1-1"), symbol=SYMBOL)
    begin(journal)
    write(journal, cancel)

    assert entries_of(journal.path) == [cancel]
