"""`botkit logs`: what a run logged, and what it logs while one looks on."""

import contextlib
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import click
import msgspec
import trio

from botkit.cli.choosing import run_options
from botkit.cli.log_file import log_files
from botkit.cli.logs import LEVELS, render_line
from botkit.cli.tables import writing
from botkit.errors import JournalError
from botkit.journal import JournalReader, Run

__all__ = ["command"]

LOOK_EVERY_S: Final = 0.2
Line = Mapping[str, Any]
decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@attrs.frozen(kw_only=True)
class Wanted:
    """Which lines to show: those of a run, of `level` and above."""

    run_id: str
    level: str
    as_json: bool

    def shown(self, lines: Iterable[bytes]) -> Iterator[str]:
        """Yield the lines that are wanted, as they are to be printed."""
        for raw in lines:
            fields = _read(raw)
            if fields is not None and self._wants(fields):
                yield raw.decode().rstrip("\n") if self.as_json else _for_people(fields)

    def _wants(self, fields: Line) -> bool:
        level = fields["level"]
        return fields.get("run") == self.run_id and (
            level not in LEVELS or LEVELS.index(level) >= LEVELS.index(self.level)
        )


def _read(raw: bytes) -> Line | None:
    """Return a line's fields; None for what is none of ours, such as one that was cut short."""
    try:
        fields = decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return fields if {"time", "level", "event"} <= fields.keys() else None


def _for_people(fields: Line) -> str:
    return render_line({name: fields[name] for name in fields if name != "run"})


class Tail:
    """Reads a file's lines as they are added, also across its being moved away and begun anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: io.FileIO | None = None
        self._rest = b""

    def lines(self) -> list[bytes]:
        """Return the lines added since last asked, whole ones only."""
        found: list[bytes] = []
        while True:
            if self._file is None and not self._open():
                return found
            found += self._added()
            if not self._was_moved():
                return found
            self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> bool:
        try:
            self._file = io.FileIO(self._path)
        except FileNotFoundError:
            return False
        self._rest = b""
        return True

    def _added(self) -> list[bytes]:
        assert self._file is not None
        *lines, self._rest = (self._rest + self._file.readall()).split(b"\n")
        return lines

    def _was_moved(self) -> bool:
        assert self._file is not None
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False  # between two: the next look finds it
        here = os.fstat(self._file.fileno())
        return (found.st_dev, found.st_ino) != (here.st_dev, here.st_ino)


@click.command("logs")
@run_options
@click.option("--follow", "-f", is_flag=True, help="Go on until the run ends, or Ctrl-C.")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="debug",
    help="This level and above.",
)
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="How many of the last lines.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def command(*, path: Path, run: Run, follow: bool, level: str, lines: int, as_json: bool) -> None:
    """Print the last log lines of a run: the last of CONFIG's bot, or of any bot in var/.

    They lie in BOT.log beside the journal, at most 10 MB a file, the last five files kept.
    Replays at full speed write none.
    """
    log = path.with_suffix(".log")
    files = log_files(log)
    if not files:
        why = ": replays at full speed write none" if run.mode == "REPLAY" else ""
        raise JournalError(f"{log}: there is no log file of run {run.run_id} ({run.mode}){why}")
    wanted = Wanted(run_id=run.run_id, level=level, as_json=as_json)
    tail = Tail(log)
    older = (line for file in files if file != log for line in file.read_bytes().splitlines())
    with writing("the log lines"):
        last = deque(wanted.shown(older), maxlen=lines)
        last.extend(wanted.shown(tail.lines()))
        for line in last:
            click.echo(line)
    if not last and not follow:
        click.echo(f"{log}: no line of run {run.run_id} of level {level} or above", err=True)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            trio.run(_follow, tail, wanted, path)
    tail.close()


async def _follow(tail: Tail, wanted: Wanted, journal: Path) -> None:
    """Print lines as they come until the run is over."""
    while True:
        is_over = _is_over(journal, wanted.run_id)  # asked first: then all its lines are there
        with writing("the log lines"):
            for line in wanted.shown(tail.lines()):
                click.echo(line)
        if is_over:
            return
        await trio.sleep(LOOK_EVERY_S)


def _is_over(journal: Path, run_id: str) -> bool:
    with JournalReader(journal) as reader:
        return any(run.run_id == run_id and run.ended_ns is not None for run in reader.runs())
