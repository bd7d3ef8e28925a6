"""Whatever is recorded, however it is batched and however often writing fails, is kept."""

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botkit.errors import JournalError
from botkit.journal import JournalReader, OrderFold, RunHash, SqliteJournal
from botkit.model import (
    ClientOrderId,
    ExecType,
    ExecutionReport,
    Fill,
    NewOrder,
    OrdStatus,
    ReplaceOrder,
    Side,
    VenueOrderId,
)
from botkit.ports import JournalEntry

SYMBOL = "paper:BTC-EUR"

ids = st.integers(1, 6).map(lambda number: ClientOrderId(f"demo-r1-{number}"))
money = st.decimals(min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False)
new_orders = st.builds(
    NewOrder,
    client_order_id=ids,
    symbol=st.just(SYMBOL),
    strategy=st.text(max_size=5),
    side=st.sampled_from(Side),
    order_qty=money,
    price=st.none() | money,
    keep=st.booleans(),
)
replaces = st.builds(
    ReplaceOrder,
    client_order_id=ids,
    orig_client_order_id=ids,
    symbol=st.just(SYMBOL),
    strategy=st.just("maker"),
    side=st.sampled_from(Side),
    order_qty=money,
    price=money,
)


@st.composite
def build_reports(draw: st.DrawFn) -> ExecutionReport:
    """Draw a report that names its order by client id, venue id (of the same number) or both."""
    number = draw(st.integers(1, 6))
    named_by_client, named_by_venue = draw(st.sampled_from([(1, 1), (1, 0), (0, 1)]))
    return ExecutionReport(
        symbol=SYMBOL,
        ord_status=draw(st.sampled_from(OrdStatus)),
        exec_type=draw(st.sampled_from(ExecType)),
        client_order_id=ClientOrderId(f"demo-r1-{number}") if named_by_client else None,
        venue_order_id=VenueOrderId(f"v{number}") if named_by_venue else None,
        cum_qty=draw(st.none() | money),
        text=draw(st.text(max_size=8)),
    )


reports = build_reports()
fills = st.builds(
    Fill,
    client_order_id=ids,
    symbol=st.just(SYMBOL),
    strategy=st.just("maker"),
    side=st.sampled_from(Side),
    qty=st.integers(1, 100).map(Decimal),
    price=money,
)
entries = new_orders | replaces | reports | fills
after_it = st.sampled_from(["wait", "commit", "fail"])


@contextlib.contextmanager
def write_locked(path: Path) -> Iterator[None]:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def write(journal: SqliteJournal, steps: list[tuple[JournalEntry, str]]) -> None:
    for entry, then in steps:
        journal.record(entry)
        if then == "commit":
            journal.commit()
        elif then == "fail":
            with write_locked(journal.path), pytest.raises(JournalError):
                journal.commit()
    journal.commit()


@settings(max_examples=30)
@given(st.lists(st.tuples(entries, after_it), max_size=20))
def test_all_that_was_recorded_reads_back_and_hashes_the_same(
    steps: list[tuple[JournalEntry, str]],
) -> None:
    recorded = [entry for entry, _ in steps]
    whole = RunHash()
    whole.update(recorded)
    fold = OrderFold()
    for entry in recorded:
        fold.apply(entry)

    with tempfile.TemporaryDirectory() as state_dir:
        journal = SqliteJournal.open(Path(state_dir), "demo")
        journal.begin_run(run_id="r1", mode="paper", config="", started_ns=1)
        write(journal, steps)
        assert journal.run_hash() == whole.hexdigest()
        with JournalReader(journal.path) as reader:
            assert list(reader.entries("r1")) == recorded
        journal.close()  # as a kill would

        again = SqliteJournal.open(Path(state_dir), "demo")
        (run,) = again.unfinished()
        again.close()
    assert list(run.orders) == fold.orders()


@settings(max_examples=50)
@given(st.lists(entries, max_size=40))
def test_an_order_is_forgotten_only_if_something_ended_it(recorded: list[JournalEntry]) -> None:
    """An order may rest unless a closing status named one of its ids."""
    fold = OrderFold()
    submitted: set[ClientOrderId] = set()
    closing = {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED}
    ended = False
    for entry in recorded:
        fold.apply(entry)
        ended |= isinstance(entry, ExecutionReport) and entry.ord_status in closing
        if isinstance(entry, NewOrder):
            submitted.add(entry.client_order_id)
        if not ended:
            kept = {order.request.client_order_id for order in fold.orders()}
            assert kept == submitted


def with_ids_used_once(recorded: list[JournalEntry]) -> list[JournalEntry]:
    """Drop requests whose id was used before: ours never are."""
    used: set[ClientOrderId] = set()
    kept = []
    for entry in recorded:
        if isinstance(entry, NewOrder | ReplaceOrder):
            if entry.client_order_id in used:
                continue
            used.add(entry.client_order_id)
        kept.append(entry)
    return kept


@settings(max_examples=50)
@given(st.lists(entries, max_size=40), st.integers(0, 40))
def test_a_checkpoint_anywhere_changes_nothing(drawn: list[JournalEntry], at: int) -> None:
    recorded = with_ids_used_once(drawn)
    whole, before = OrderFold(), OrderFold()
    for entry in recorded:
        whole.apply(entry)
    for entry in recorded[:at]:
        before.apply(entry)
    resumed = OrderFold(before.orders())
    for entry in recorded[at:]:
        resumed.apply(entry)

    assert resumed.orders() == whole.orders()
