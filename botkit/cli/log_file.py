"""The log file of a bot: one JSON object per line, in files of a bounded size.

A disk that is full, or cannot be written, is said once; the run goes on, and so do the lines as
soon as they can.
"""

import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from botkit.engine.core import Log

__all__ = ["LogFile", "log_files"]

BYTES_MAX: Final = 10_000_000
KEPT: Final = 5  # older files, `.1` the newest of them


class LogFile:
    """Takes finished lines. Implements `botkit.cli.output.Sink`, so a thread of its own writes.

    Parameters
    ----------
    complain
        Told of the first line that could not be written.
    """

    def __init__(self, path: Path, complain: Log, *, bytes_max: int = BYTES_MAX) -> None:
        self._path = path
        self._complain = complain
        self._bytes_max = bytes_max
        self._file: io.FileIO | None = None
        self._has_complained = False
        self._is_torn = False  # the last line was written in part

    def write(self, item: str) -> None:
        """Add one line."""
        try:
            self._append(item.encode() + b"\n")
        except OSError as exc:
            if not self._has_complained:
                self._has_complained = True
                fields = {
                    "path": str(self._path),
                    "error": exc.strerror or str(exc),
                    "then": "the run goes on, and its log lines are shown here only",
                }
                self._complain("error", "the log file cannot be written", fields)

    def idle(self) -> None:
        """Do nothing: every line is written at once."""

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, line: bytes) -> None:
        file = self._ready(len(line))
        if self._is_torn:
            line = b"\n" + line
        written = file.write(line)
        self._is_torn = written != len(line)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _ready(self, length: int) -> io.FileIO:
        """Return the file to write to: a new one where this one is full, or was taken away."""
        if self._file is not None:
            found = os.fstat(self._file.fileno())
            if not found.st_nlink:
                self.close()
            elif found.st_size and found.st_size + length > self._bytes_max:
                self._rotate()
        if self._file is None:
            self._file = io.FileIO(self._path, "ab")
        return self._file

    def _rotate(self) -> None:
        self.close()
        older = list(_numbered(self._path))
        for newer, name in zip([*older[1:], self._path], older, strict=True):
            if newer.exists():
                newer.replace(name)


def _numbered(path: Path) -> Iterator[Path]:
    """Yield the names of older files, oldest first."""
    for number in range(KEPT, 0, -1):
        yield path.with_name(f"{path.name}.{number}")


def log_files(path: Path) -> list[Path]:
    """Return the files of a log that are there, oldest first."""
    return [each for each in (*_numbered(path), path) if each.exists()]
