"""The control socket of a running bot: only its user can open it, and nobody can hold it up."""

import errno
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import attrs
import msgspec
import trio

from botkit.control import (
    QUESTION_MAX,
    Answer,
    Done,
    Question,
    Refusal,
    decode_question,
    encode_line,
    named,
)
from botkit.errors import ConfigError

__all__ = ["OWN_USERS", "ControlSocket", "Limits", "Peer", "listen_at", "peer_of"]

OWNER_ONLY: Final = 0o600
OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid
OWN_USERS: Final = frozenset({0, os.geteuid()})


@attrs.frozen(kw_only=True)
class Limits:
    """How long a client may take, and how many are served at once; more wait to be accepted."""

    read_s: float = 2.0
    write_s: float = 2.0
    finish_s: float = 0.5
    clients: int = 16


@attrs.frozen(kw_only=True)
class Peer:
    """Who asks, as far as the system knows."""

    pid: int | None = None
    uid: int | None = None

    def __str__(self) -> str:
        return "unknown" if self.uid is None else f"uid {self.uid}, pid {self.pid}"


Answerer = Callable[[Question, Peer], Awaitable[Answer]]


class ControlSocket:
    """Listens from `open` on; questions wait until `serve` runs. Whoever opens holds the lock.

    Parameters
    ----------
    allowed
        The users who may ask; by default the bot's own, and root, whom nothing keeps out.
    """

    def __init__(
        self,
        path: Path,
        listening: socket.socket,
        *,
        limits: Limits,
        allowed: frozenset[int],
    ) -> None:
        self.path = path
        self._listening = listening
        self._identity = _identity(path)
        self._limits = limits
        self._allowed = allowed
        self._accepting = trio.CancelScope()
        self._held: list[int] = []

    @classmethod
    def open(
        cls, path: Path, *, limits: Limits | None = None, allowed: frozenset[int] | None = None
    ) -> "ControlSocket":
        """Make the socket, in place of one that a killed bot left.

        Raises
        ------
        ConfigError
            Others may write to its folder, its name is too long, or something else has it.
        """
        limits = limits or Limits()
        listening = listen_at(path, limits.clients)
        own = OWN_USERS if allowed is None else allowed
        return cls(path, listening, limits=limits, allowed=own)

    async def serve(self, answer: Answerer) -> None:
        """Answer questions until `finish`, then those that are open, for a moment."""
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(self._listening))
        room = trio.Semaphore(self._limits.clients)
        async with trio.open_nursery() as nursery:
            with self._accepting:
                while True:
                    await room.acquire()
                    nursery.start_soon(self._serve_one, await _accept(listener), answer, room)
            nursery.cancel_scope.deadline = trio.current_time() + self._limits.finish_s

    def finish(self) -> None:
        """Accept nobody any more, and let `serve` end."""
        self._accepting.cancel()

    def close(self) -> None:
        """Take the socket away, unless another has its place."""
        self._listening.close()
        try:
            if _identity(self.path) == self._identity:
                self.path.unlink()
        except OSError:
            pass  # somebody took it away before

    async def _serve_one(
        self, stream: trio.SocketStream, answer: Answerer, room: trio.Semaphore
    ) -> None:
        """Serve one client; whatever it does or leaves undone ends with its connection."""
        try:
            await self._converse(stream, answer)
        except (trio.BrokenResourceError, OSError):
            pass  # the client has gone
        finally:
            room.release()
            await trio.aclose_forcefully(stream)

    async def _converse(self, stream: trio.SocketStream, answer: Answerer) -> None:
        peer = peer_of(stream.socket)
        if peer.uid is not None and peer.uid not in self._allowed:
            return
        line = b""
        with trio.move_on_after(self._limits.read_s):
            line = await _read_line(stream)
        if not line:
            return
        told = await _answered(line, peer, answer)
        with trio.move_on_after(self._limits.write_s):
            await stream.send_all(encode_line(told))
        if isinstance(told, Done) and told.ends:
            # Never closed by us: the client sees its end when the process has ended.
            self._held.append(os.dup(stream.socket.fileno()))


async def _answered(line: bytes, peer: Peer, answer: Answerer) -> Answer:
    try:
        question = decode_question(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        return Refusal(text=f"the question cannot be read ({exc}): is it of the same botkit?")
    return await answer(question, peer)


async def _accept(listener: trio.SocketListener) -> trio.SocketStream:
    """Return the next client; out of descriptors, wait until there are some."""
    while True:
        try:
            return await listener.accept()
        except OSError as exc:
            if exc.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            await trio.sleep(0.1)


async def _read_line(stream: trio.SocketStream) -> bytes:
    """Return the first line; nothing if it does not end, or is too long."""
    read = bytearray()
    while b"\n" not in read:
        chunk = await stream.receive_some()
        read += chunk
        if not chunk or len(read) > QUESTION_MAX:
            return b""
    return bytes(read.partition(b"\n")[0])


def listen_at(path: Path, clients: int) -> socket.socket:
    """Return a socket that listens at `path`, in place of one that a killed process left.

    Only its user can connect, and `clients` may wait to be accepted. Whoever calls holds a lock
    that keeps others from doing the same.

    Raises
    ------
    ConfigError
        Others may write to its folder, its name is too long, or something else has it.
    """
    _check_folder(path.parent)
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Nobody can connect before `listen`, and what `bind` makes is the owner's alone.
        with named(path) as name:
            before = os.umask(0o777 & ~OWNER_ONLY)
            try:
                listening.bind(name)
            finally:
                os.umask(before)
        listening.listen(clients)
    except OSError as exc:
        listening.close()
        raise ConfigError(
            f"{path}: the control socket cannot be made ({exc.strerror or exc}): give the bot "
            "a state_dir on a disk that can hold a socket"
        ) from exc
    except BaseException:
        listening.close()
        raise
    return listening


def peer_of(sock: socket.socket | trio.socket.SocketType) -> Peer:
    """Return who is at the other end; elsewhere than on Linux the file's mode has to do."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return Peer()
    told = sock.getsockopt(socket.SOL_SOCKET, option, CREDENTIALS.size)
    pid, uid, _ = CREDENTIALS.unpack(told)
    return Peer(pid=pid, uid=uid)


def _check_folder(folder: Path) -> None:
    mode = folder.stat().st_mode
    if mode & OTHERS_WRITE and not mode & stat.S_ISVTX:
        raise ConfigError(
            f"{folder}: others may write to it (mode {stat.S_IMODE(mode):04o}), and so put a "
            f"control socket of theirs in place of the bot's: chmod go-w {folder}"
        )


def _remove_stale(path: Path) -> None:
    """Remove the socket of a bot that was killed: who holds its lock knows that it is gone."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(
            f"{path}: the bot's control socket belongs here, and this is something else: move it"
        )
    path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
