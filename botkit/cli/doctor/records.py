"""What earlier runs left: lock, kill switch, journal, orders that may rest."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from botkit.cli.doctor.subject import Subject, fail, ok, warn
from botkit.cli.earlier_runs import IN_PROCESS
from botkit.cli.logs import format_time
from botkit.cli.wording import plural
from botkit.errors import AlreadyRunningError
from botkit.journal import JournalReader, Run, hold_lock
from botkit.journal.database import connect_read_only, journal_paths
from botkit.killswitch import KillSwitch
from botkit.ports import Diagnosis
from botkit.shell import ExitCode

__all__ = ["journal", "kill_switch", "lock", "resting"]

WAL_WARN: Final = 64_000_000  # bytes
RUNS: Final = 50


def lock(subject: Subject) -> Iterator[Diagnosis]:
    """Look whether the bot runs now."""
    name = subject.config.bot.name
    if not journal_paths(subject.state_dir, name)[1].exists():
        yield ok(f"nobody else runs the bot {name}: it has not run yet")
        return
    try:
        with hold_lock(subject.state_dir, name):
            yield ok(f"nobody else runs the bot {name}")
    except AlreadyRunningError as exc:
        subject.running = True
        told, _, todo = str(exc).rpartition(": ")
        yield warn(told, todo)


def kill_switch(subject: Subject) -> Iterator[Diagnosis]:
    """Look whether the kill switch has tripped."""
    switch = KillSwitch.of(subject.state_dir, subject.config.bot.name)
    halted = switch.halted
    if halted is None:
        yield ok("has not tripped")
        return
    yield fail(
        f"tripped by {halted.rule} at {format_time(switch.halted_ns)}: {halted.reason}; "
        "no start trades",
        f"once you know why: botkit risk clear {subject.config.words} --reason TEXT",
    )


def _journal(subject: Subject) -> Path:
    return journal_paths(subject.state_dir, subject.config.bot.name)[0]


def journal(subject: Subject) -> Iterator[Diagnosis]:
    """Look whether the journal is whole, and how the last run ended."""
    path = _journal(subject)
    if not path.exists():
        yield ok("none yet: this bot has not run")
        return
    with closing(connect_read_only(path)) as db:
        damage = _damage(db)
    if damage:
        yield fail(
            f"{path}: damaged: {damage}",
            "look at the venue for orders of the last run, then move the file away",
        )
        return
    yield ok(f"{path}: whole, {path.stat().st_size / 1e6:,.2f} MB")
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists() and wal.stat().st_size > WAL_WARN:
        todo = "end what reads the journal for long; the next clean end of the bot empties it"
        yield warn(f"{wal}: {wal.stat().st_size / 1e6:.0f} MB wait to be moved into it", todo)
    with JournalReader(path) as reader:
        last = reader.last_run()
    if last is not None:
        yield _how_it_ended(last, running=subject.running)


def _damage(db: sqlite3.Connection) -> str:
    try:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as exc:
        return str(exc)
    return "" if found == "ok" else str(found)


def _how_it_ended(run: Run, *, running: bool) -> Diagnosis:
    told = f"the last run {run.run_id} ({run.mode}, {format_time(run.started_ns)})"
    if run.ended_ns is None:
        if running:
            return ok(f"{told} is running")
        return warn(f"{told} was killed", "the next start looks after what it left")
    if run.exit_code in {ExitCode.CLEAN, None}:
        return ok(f"{told} ended well")
    todo = "read why: botkit history, botkit logs"
    return warn(f"{told} ended with exit code {run.exit_code}: {run.reason}", todo)


def resting(subject: Subject) -> Iterator[Diagnosis]:
    """Look for orders of earlier runs that may rest at a venue."""
    path = _journal(subject)
    if not path.exists() or subject.running:
        yield ok("of the run now" if subject.running else "none: this bot has not run")
        return
    found: list[str] = []
    with JournalReader(path) as reader:
        for run in reader.runs(RUNS):
            left_open = run.ended_ns is None or run.exit_code == ExitCode.ORDERS_MAY_REST
            if not left_open or run.swept is not None or run.mode in IN_PROCESS:
                continue
            found += [
                f"{'/'.join(order.resting_ids)} in {order.request.symbol}"
                for order in reader.orders(run.run_id)
                if order.may_rest
            ]
    if found:
        yield fail(
            f"{plural(len(found), 'order')} of earlier runs may rest: {', '.join(found)}",
            "look at the venue and cancel them there: until they are gone no start is let through",
        )
    else:
        yield ok("no order of an earlier run may rest")
