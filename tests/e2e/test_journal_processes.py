"""The journal across real processes: killed, started twice, out of disk, another hash seed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from botkit.errors import AlreadyRunningError
from botkit.journal import JournalReader, SqliteJournal

COMMON = """
import sys
from decimal import Decimal
from pathlib import Path
from botkit.errors import JournalError
from botkit.journal import SqliteJournal
from botkit.model import *

def order(number):
    return NewOrder(client_order_id=f"demo-r1-{number}", symbol="paper:BTC-EUR",
                    strategy="maker", side=Side.BUY, order_qty=Decimal("0.5"))

def canceled(number):
    return ExecutionReport(symbol="paper:BTC-EUR", client_order_id=f"demo-r1-{number}",
                           ord_status=OrdStatus.CANCELED, exec_type=ExecType.CANCELED)

journal = SqliteJournal.open(Path(sys.argv[1]), "demo")
journal.begin_run(run_id="r1", mode="live", config="", started_ns=1)
"""

WRITE_FOR_EVER = (
    COMMON
    + """
number = 0
while True:
    number += 1
    journal.record(order(number))
    journal.commit()
    if number % 2 == 0:
        journal.record(canceled(number))
        journal.commit()
    print(number, flush=True)
"""
)

HIT_THE_FILE_SIZE_LIMIT = (
    COMMON
    + """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
failures = 0
for number in range(1, 401):
    journal.record(order(number))
    try:
        journal.commit()
    except JournalError as exc:
        failures += 1
        last = str(exc)
assert failures, "the limit was not reached"
assert "free space on its disk" in last, last
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
journal.commit()
journal.end_run(ended_ns=2, exit_code=0, reason="", summary=None)
print(failures)
"""
)

PRINT_THE_HASH = (
    COMMON
    + """
for number in range(50):
    journal.record(order(number))
    journal.record(canceled(number))
    journal.commit()
print(journal.run_hash())
"""
)


async def run(script: str, state_dir: Path, **environment: str) -> str:
    """Run `script` in a Python of its own and return what it printed."""
    with trio.fail_after(60):
        done = await trio.run_process(
            [sys.executable, "-c", script, str(state_dir)],
            capture_stdout=True,
            env=os.environ | environment,
        )
    return done.stdout.decode().strip()


async def read_numbers(child: trio.Process, least: int) -> list[int]:
    """Return the numbers `child` prints: `least` at least, or all until it is dead."""
    assert child.stdout is not None
    read = b""
    while read.count(b"\n") < least and (chunk := await child.stdout.receive_some()):
        read += chunk
    # A pipe may hand over half a line; the rest of it is not waited for.
    return [int(line) for line in read.split(b"\n")[:-1] if line]


async def test_after_kill_9_everything_committed_is_known_and_the_next_start_is_let_in(
    tmp_path: Path,
) -> None:
    child = await trio.lowlevel.open_process(
        [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        with trio.fail_after(60):
            seen = await read_numbers(child, 300)
        with pytest.raises(AlreadyRunningError, match=f"process {child.pid},"):
            SqliteJournal.open(tmp_path, "demo")
        with JournalReader(tmp_path / "demo.sqlite") as reader:  # while it writes
            assert len(reader.orders("r1")) >= len(seen)
    finally:
        child.kill()
        await child.wait()

    journal = SqliteJournal.open(tmp_path, "demo")
    (unfinished,) = journal.unfinished()
    journal.close()
    resting = {int(o.request.client_order_id.rpartition("-")[2]) for o in unfinished.orders}
    assert unfinished.mode == "live"
    assert max(resting) >= len(seen) - 1
    # Odd ones rest, even ones were canceled; of the last one the cancel may not have come.
    assert {n for n in resting if n < max(resting)} == set(range(1, max(resting), 2))


async def test_a_file_size_limit_is_a_journal_error_and_nothing_is_lost(tmp_path: Path) -> None:
    failures = int(await run(HIT_THE_FILE_SIZE_LIMIT, tmp_path))

    assert failures > 1
    with JournalReader(tmp_path / "demo.sqlite") as reader:
        numbers = [o.request.client_order_id.rpartition("-")[2] for o in reader.orders("r1")]
    assert numbers == [str(number) for number in range(1, 401)]


async def test_the_hash_is_the_same_under_every_hash_seed(tmp_path: Path) -> None:
    hashes = {
        await run(PRINT_THE_HASH, tmp_path / seed, PYTHONHASHSEED=seed)
        for seed in ("0", "1", "4242")
    }

    assert len(hashes) == 1
    assert len(hashes.pop()) == 64
