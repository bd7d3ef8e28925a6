"""The machine: Python and packages, clock, disk."""

import importlib.metadata
import os
import platform
import re
import shutil
import stat
import statistics
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import trio

from botkit.cli.doctor.subject import Subject, fail, ok, warn
from botkit.cli.doctor.time_server import measure
from botkit.clock import monotonic_ns
from botkit.ports import Diagnosis

__all__ = ["clock", "disk", "python", "state_dir"]

TIMEOUT_S: Final = 2.0
SKEW_WARN_NS: Final = 100_000_000
SKEW_FAIL_NS: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
FREE_WARN: Final = 1_000_000_000  # bytes
FREE_FAIL: Final = 100_000_000
SYNC_WARN_NS: Final = 50_000_000
SYNCS: Final = 5
REQUIREMENT: Final = re.compile(r"([A-Za-z0-9_.-]+)>=([0-9.]+)(?:; extra == ['\"](\w+)['\"])?")
WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def python(_: Subject) -> Iterator[Diagnosis]:
    """Look whether the packages botkit needs are there, new enough."""
    wrong, extras = [], set[str]()
    for line in importlib.metadata.requires("botkit") or ():
        match = REQUIREMENT.fullmatch(line)
        if match is None:
            continue
        name, least, extra = match.groups()
        lack = _lack(name, least)
        if lack and extra:
            extras.add(extra)
        elif lack:
            wrong.append(lack)
    if wrong:
        yield fail("; ".join(wrong), "install botkit anew: pip install botkit")
        return
    without = ", ".join(sorted(extras - {"test", "dev"}))
    told = f"; not installed: extra {without}" if without else ""
    version = importlib.metadata.version("botkit")
    yield ok(f"Python {platform.python_version()}, botkit {version}, its packages{told}")


def _lack(name: str, least: str) -> str:
    """Return what is wrong with a package; empty if it is there and new enough."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is not installed"
    return f"{name} is {version}, allowed: {least} or newer" if _older(version, least) else ""


def _older(version: str, least: str) -> bool:
    parts = [[int(part) for part in re.findall(r"\d+", text)[:3]] for text in (version, least)]
    return parts[0] < parts[1]


def clock(subject: Subject) -> Iterator[Diagnosis]:
    """Ask a time server how far the clock is off."""
    skew = trio.run(measure, subject.time_server, TIMEOUT_S)
    if skew is None:
        yield warn(
            f"could not be measured: no answer from {subject.time_server} within {TIMEOUT_S:g} s",
            "name a time server this machine can reach, --ntp HOST, and see that a time service "
            "(chrony, systemd-timesyncd) runs",
        )
        return
    where = "behind" if skew.behind_ns >= 0 else "ahead"
    told = (
        f"{abs(skew.behind_ns) / NS_PER_MS:.1f} ms {where} of {subject.time_server}, "
        f"give or take {skew.error_ns / NS_PER_MS:.1f} ms"
    )
    todo = "run a time service (chrony, systemd-timesyncd): venues refuse requests of another time"
    surely_ns = abs(skew.behind_ns) - skew.error_ns
    if surely_ns > SKEW_FAIL_NS:
        yield fail(told, todo)
    elif surely_ns > SKEW_WARN_NS:
        yield warn(told, todo)
    else:
        yield ok(told)


def _nearest(folder: Path) -> Path:
    """Return `folder`, or the nearest folder above it that is there."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return there


def state_dir(subject: Subject) -> Iterator[Diagnosis]:
    """Look whether the folder of the journal can be written to, and by whom else."""
    folder = subject.state_dir
    there = _nearest(folder)
    todo = "give the bot a state_dir that its user may write to"
    if not there.is_dir():
        yield fail(f"{folder}: {there} is a file, not a folder", todo)
    elif not os.access(there, os.W_OK | os.X_OK):
        yield fail(f"{folder}: {there} may not be written to", todo)
    elif there != folder.absolute():
        yield ok(f"{folder}: will be made at the first start")
    elif (mode := stat.S_IMODE(there.stat().st_mode)) & WRITABLE_BY_OTHERS:
        tell = warn if mode & stat.S_ISVTX else fail  # no bot starts in the latter
        yield tell(
            f"{folder}: its permissions {mode:04o} let others than its owner put files of theirs "
            "there, in place of journal, kill switch and control socket",
            f"chmod go-w {folder}",
        )
    else:
        yield ok(f"{folder}: can be written to, by its owner alone")


def disk(subject: Subject) -> Iterable[Diagnosis]:
    """Measure the free space, and how long forcing data to the disk takes."""
    there = _nearest(subject.state_dir)
    free = shutil.disk_usage(there).free
    told = f"{free / 1e9:,.2f} GB free for {subject.state_dir}"
    todo = "free space: a bot that cannot keep its journal sends no new order"
    if free < FREE_FAIL:
        yield fail(told, todo)
    elif free < FREE_WARN:
        yield warn(told, todo)
    else:
        yield ok(told)
    sync_ns = _sync_ns(there)
    told = f"forcing data to it takes {sync_ns / NS_PER_MS:.1f} ms"
    if sync_ns <= SYNC_WARN_NS:
        yield ok(told)
    else:
        todo = "use a faster disk: under journal_synchronous = FULL every new order waits this long"
        yield warn(told, todo)


def _sync_ns(folder: Path) -> int:
    """Return the median time of writing 4 kB through to the disk."""
    times_ns = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            started_ns = monotonic_ns()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times_ns.append(monotonic_ns() - started_ns)
    return round(statistics.median(times_ns))
