"""What a person says of a run after its end goes into its journal, and the next start knows."""

import os
from decimal import Decimal
from pathlib import Path

import pytest

from botkit.errors import JournalError
from botkit.journal import JournalReader, SqliteJournal
from botkit.journal.database import is_journal
from botkit.model import ClientOrderId, Fill, NewOrder, OrdStatus, ResolveOrder, Side
from botkit.ports import JournalEntry


def build_order(number: int) -> NewOrder:
    return NewOrder(
        client_order_id=ClientOrderId(f"demo-r1-{number}"),
        symbol="far:BTC-EUR",
        strategy="maker",
        side=Side.BUY,
        order_qty=Decimal(1),
        price=Decimal(100),
    )


def build_word(number: int) -> ResolveOrder:
    return ResolveOrder(
        client_order_id=ClientOrderId(f"demo-r1-{number}"),
        ord_status=OrdStatus.CANCELED,
        cum_qty=Decimal("0.25"),
        avg_px=Decimal(99),
        reason="seen",
    )


def write(journal: SqliteJournal, *entries: JournalEntry) -> None:
    for entry in entries:
        journal.record(entry)
        journal.commit()


def leave(folder: Path, exit_code: int | None) -> SqliteJournal:
    """Return a journal whose run r1 left two orders open: killed, or ended in doubt."""
    journal = SqliteJournal.open(folder, "demo")
    journal.begin_run(run_id="r1", mode="LIVE", config="", started_ns=1)
    write(journal, build_order(1), build_order(2))
    if exit_code is not None:
        journal.end_run(ended_ns=2, exit_code=exit_code, reason="", summary=None)
    journal.close()
    return SqliteJournal.open(folder, "demo")


@pytest.mark.parametrize("exit_code", [None, 3])
def test_a_word_ends_an_order_for_the_next_start(tmp_path: Path, exit_code: int | None) -> None:
    journal = leave(tmp_path, exit_code)
    fill = Fill(
        client_order_id=ClientOrderId("demo-r1-1"),
        symbol="far:BTC-EUR",
        strategy="maker",
        side=Side.BUY,
        qty=Decimal("0.25"),
        price=Decimal(99),
    )

    journal.add_to("r1", [build_word(1), fill])

    (run,) = journal.unfinished()
    assert [each.client_order_ids[0] for each in run.orders] == ["demo-r1-2"]
    journal.add_to("r1", [build_word(2)])
    assert [run.orders for run in journal.unfinished()] == [()]
    with JournalReader(journal.path) as reader:
        assert list(reader.entries("r1"))[-3:] == [build_word(1), fill, build_word(2)]
        assert reader.fills("r1") == [fill], "what the next run's position is carried from"
    journal.begin_run(run_id="r2", mode="LIVE", config="", started_ns=3)
    write(journal, build_order(3))
    journal.end_run(ended_ns=4, exit_code=0, reason="", summary=None)
    with JournalReader(journal.path) as reader:
        assert len(list(reader.entries("r2"))) == 1
        assert len(list(reader.entries("r1"))) == 5
    journal.close()


def test_a_run_without_entries_takes_a_word_too(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path, "demo")
    journal.begin_run(run_id="r1", mode="LIVE", config="", started_ns=1)
    journal.end_run(ended_ns=2, exit_code=0, reason="", summary=None)
    journal.add_to("r1", [build_word(1)])
    with JournalReader(journal.path) as reader:
        assert list(reader.entries("r1")) == [build_word(1)]
    journal.close()


def test_only_the_last_run_can_be_added_to(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path, "demo")
    with pytest.raises(JournalError, match="found run 'r1', allowed: the last one, none"):
        journal.add_to("r1", [build_word(1)])
    journal.close()
    journal = leave(tmp_path, 0)
    with pytest.raises(JournalError, match="found run 'r0', allowed: the last one, r1"):
        journal.add_to("r0", [build_word(1)])
    journal._db.close()
    with pytest.raises(JournalError, match="cannot add to run 'r1'"):
        journal.add_to("r1", [build_word(1)])
    journal.close()


def test_a_journal_is_known_as_one_while_its_first_run_goes_on(tmp_path: Path) -> None:
    """A bot that is killed in its first run leaves what it wrote in the write-ahead log."""
    journal = SqliteJournal.open(tmp_path, "demo")
    assert is_journal(journal.path)
    journal.close()


def test_a_state_dir_that_is_made_is_nobody_else_s_to_write_to(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        SqliteJournal.open(tmp_path / "var", "demo").close()
    finally:
        os.umask(before)
    assert (tmp_path / "var").stat().st_mode & 0o022 == 0
