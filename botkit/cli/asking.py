"""Asking a running bot over its control socket: finding it, one question, one answer."""

import os
import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from botkit.cli.choosing import BotChoice
from botkit.control import (
    ANSWER_MAX,
    Answer,
    Done,
    Operate,
    Question,
    Refusal,
    decode_answer,
    encode_line,
    named,
    socket_path,
)
from botkit.errors import BotkitError, ConfigError
from botkit.journal.database import journal_paths

__all__ = ["Line", "ask", "dial", "lock_owner", "not_running", "refused"]

CONNECT_S: Final = 2.0
ANSWER_S: Final = 5.0
CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid
LOCKS: Final = Path("/proc/locks")


class Line:
    """A connection to the control socket of one running bot. Close it, or use it as a context."""

    def __init__(self, bot: str, path: Path, connected: socket.socket) -> None:
        self.bot = bot
        self.path = path
        self._socket = connected

    @classmethod
    def open(cls, bot: str, path: Path, own_uid: int | None = None) -> "Line | None":
        """Return a connection to `bot`; None if nobody listens there.

        Raises
        ------
        BotkitError
            Somebody else listens there, or the socket cannot be opened.
        """
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(CONNECT_S)
        try:
            with named(path) as name:
                connected.connect(name)
            _check_peer(path, connected, os.geteuid() if own_uid is None else own_uid)
        except (FileNotFoundError, ConnectionRefusedError):
            connected.close()
            return None
        except OSError as exc:
            connected.close()
            raise BotkitError(
                f"{path}: the control socket of bot {bot!r} cannot be opened "
                f"({exc.strerror or exc}): its own user alone can"
            ) from exc
        except BaseException:
            connected.close()
            raise
        return cls(bot, path, connected)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def ask(self, question: Question, patience_s: float = ANSWER_S) -> Answer | None:
        """Return the answer; None if the bot ended before it gave one.

        It may take `patience_s` besides what the question itself waits.

        Raises
        ------
        BotkitError
            It does not answer in time, or what it answers cannot be read.
        """
        within_s = patience_s + (question.wait_s if isinstance(question, Operate) else 0.0)
        self._socket.settimeout(within_s)
        try:
            self._socket.sendall(encode_line(question))
            line = self._read_line()
        except TimeoutError:
            raise BotkitError(
                f"bot {self.bot!r} has not answered within {within_s:g} s: it may hang; look at "
                f"it, or end it: kill -INT {lock_owner(self.path) or 'PID'}"
            ) from None
        except OSError:
            return None
        if not line:
            return None
        try:
            return decode_answer(line)
        except msgspec.MsgspecError as exc:
            raise BotkitError(
                f"bot {self.bot!r}: its answer cannot be read ({exc}); is it of another botkit?"
            ) from exc

    def ended(self, within_s: float) -> bool:
        """Wait until the bot's process has ended; return False if that takes longer."""
        self._socket.settimeout(within_s)
        try:
            return not self._socket.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True

    def _read_line(self) -> bytes:
        """Return the answer's line, empty if the bot hangs up before its end."""
        read = bytearray()
        while not read.endswith(b"\n") and len(read) < ANSWER_MAX:
            chunk = self._socket.recv(65_536)
            if not chunk:
                return b""
            read += chunk
        return bytes(read)


def _check_peer(path: Path, connected: socket.socket, own_uid: int) -> None:
    """Raise if another user listens; root may ask anybody's bot. Elsewhere the file has to do."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or own_uid == 0:
        return
    told = connected.getsockopt(socket.SOL_SOCKET, option, CREDENTIALS.size)
    _, uid, _ = CREDENTIALS.unpack(told)
    if uid not in (0, own_uid):
        raise BotkitError(
            f"{path}: user {uid} listens there, allowed: {own_uid}, you; this is not your bot"
        )


def dial(choice: BotChoice) -> tuple[str, Line | None]:
    """Return the bot meant and a connection to it, None if it does not run.

    Where neither CONFIG nor --bot says which, it is the only one that runs in the folder, or
    else the only one that has run there.

    Raises
    ------
    ConfigError
        Which is meant cannot be told: several run, or none runs and several have.
    """
    if choice.name is not None:
        return choice.name, Line.open(choice.name, socket_path(choice.state_dir, choice.name))
    lines: list[Line] = []
    for path in sorted(choice.state_dir.glob("*.sock")):
        line = Line.open(path.stem, path)
        if line is not None:
            lines.append(line)
    if len(lines) == 1:
        return lines[0].bot, lines[0]
    for line in lines:
        line.close()
    if lines:
        raise ConfigError(
            f"{choice.state_dir}: which bot is meant is not said, and several run there: "
            f"{', '.join(line.bot for line in lines)}; give its CONFIG, or --bot NAME"
        )
    return choice.the_name(), None


def ask(choice: BotChoice, question: Question) -> tuple[str, Done]:
    """Return the bot meant and what it did; it has to be running.

    Raises
    ------
    BotkitError
        It is not running, ended before it answered, or refused.
    """
    name, line = dial(choice)
    if line is None:
        raise not_running(choice, name)
    with line:
        answer = line.ask(question)
    if answer is None:
        raise BotkitError(
            f"bot {name!r} ended before it answered: see how by botkit status --bot {name}"
        )
    return name, refused(name, answer)


def refused(name: str, answer: Answer) -> Done:
    """Return `answer` if it was done; raise `BotkitError` with the reason if not."""
    if isinstance(answer, Refusal):
        raise BotkitError(f"bot {name!r}: {answer.text}")
    if not isinstance(answer, Done):
        raise BotkitError(f"bot {name!r} answered something else: is it of another botkit?")
    return answer


def not_running(choice: BotChoice, name: str) -> BotkitError:
    """Return the error that tells that `name` does not run, or why it cannot be asked."""
    path = socket_path(choice.state_dir, name)
    owner = lock_owner(path)
    if owner is not None:
        return BotkitError(
            f"bot {name!r} runs as process {owner}, but nobody listens at {path}: it begins or "
            f"ends just now, or replays at full speed; try again, or end it: kill -INT {owner}"
        )
    return BotkitError(
        f"bot {name!r} is not running: nobody listens at {path}; start it by "
        f"{choice.how_to_start}, or say where it runs with --state-dir"
    )


def lock_owner(path: Path, locks: Path = LOCKS) -> int | None:
    """Return the process that holds the lock of the bot whose socket is `path`; None if none.

    Looks without taking the lock, which would keep the bot from starting in that moment; where
    the system does not show locks, None.
    """
    lock_path = journal_paths(path.parent, path.stem)[1]
    try:
        inode = lock_path.stat().st_ino
        held = locks.read_text("ascii", "replace")
    except OSError:
        return None
    for line in held.splitlines():
        fields = line.split()
        if "POSIX" in fields and any(field.endswith(f":{inode}") for field in fields):
            pid = int(fields[fields.index("WRITE") + 1])
            return pid if pid == os.getpid() or _is_bots(lock_path) else None
    return None


def _is_bots(lock_path: Path) -> bool:
    """Tell whether the holder is no guardian; not asked in its process, which would let go."""
    return len(lock_path.read_text("ascii", "replace").split()) == 1
