"""The lock of a bot: one process holds it, and no child that it forks holds it on."""

import contextlib
import fcntl
import os
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from botkit.errors import AlreadyRunningError, BeingSweptError, JournalError

__all__ = ["LockFile"]

SWEEPER: Final = "guardian"

# What this process holds, and what it says of itself there. A record lock does not keep its own
# process out, and is gone as soon as that closes any descriptor of the file: so a file that is
# held is not opened again.
_held: Final[dict[tuple[int, int, int], str]] = {}


class LockFile:
    """Held by one process from opening until it closes or dies, however it dies.

    A record lock (POSIX) and no `flock`: a forked child would hold that on after its death.

    Parameters
    ----------
    sweeps
        The holder cancels what a dead bot left and ends: a start waits for it.

    Raises
    ------
    AlreadyRunningError
        Another holds it; `BeingSweptError` if that one sweeps.
    JournalError
        The file cannot be written.
    """

    def __init__(self, path: Path, bot: str, *, sweeps: bool = False) -> None:
        try:
            # Nobody else may write there, whatever the umask: the control socket lies there too.
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if path.exists() and (told := _held.get(_identity(path.stat()))):
                raise _refusal(path, bot, told)
            self._file = path.open("a+", encoding="ascii", errors="replace")
        except OSError as exc:
            raise JournalError(
                f"{path}: cannot be written ({exc.strerror}); the bot keeps its journal there: "
                "give it a state_dir that its user may write to"
            ) from exc
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # which of the two, systems do not agree on
            told = _holder(self._file)
            self._file.close()
            raise _refusal(path, bot, told) from None
        self._key = _identity(os.fstat(self._file.fileno()))
        _held[self._key] = f"{os.getpid()} {SWEEPER}" if sweeps else f"{os.getpid()}"
        with contextlib.suppress(OSError):  # no room: it is held all the same, and says nothing
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), f"{_held[self._key]}\n".encode())

    def close(self) -> None:
        """Let the next one in. The file stays: removing it could remove another's lock."""
        _held.pop(self._key, None)
        self._file.close()


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return os.getpid(), found.st_dev, found.st_ino


def _holder(file: TextIOWrapper) -> str:
    file.seek(0)
    return file.read(64).strip()


def _refusal(path: Path, bot: str, told: str) -> AlreadyRunningError:
    """Return why the lock cannot be had from whom `told` names, as the file does."""
    pid, _, role = told.partition(" ")
    if role == SWEEPER:
        return BeingSweptError(
            f"bot {bot!r}: its guardian, process {pid}, is canceling what the last run left, and "
            f"holds {path}: start again once it has ended"
        )
    return AlreadyRunningError(
        f"bot {bot!r} is running already, as process {pid or 'unknown'}, and holds {path}: stop "
        "it, or give this bot another name or state_dir"
    )
