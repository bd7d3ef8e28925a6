"""A guardian that stands elsewhere: it waits at a socket for its bot, and then for the next."""

import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import trio

from botkit.cli.guarding import Guardian
from botkit.config import Config
from botkit.errors import AlreadyRunningError, ConfigError
from botkit.journal.lock import LockFile
from botkit.live import Process, Watch
from botkit.live.control import OWN_USERS, listen_at, peer_of
from botkit.shell import ExitCode

__all__ = ["stand", "standing_path", "standing_socket"]

NS_PER_S: Final = 1_000_000_000
BOTS: Final = 4  # that wait at the socket
LOOK_EVERY_S: Final = 2.0


def standing_path(config: Config) -> Path:
    """Return the socket at which a standing guardian waits for the bot of `config`."""
    return Path(config.bot.state_dir) / f"{config.bot.name}.guard.sock"


@contextlib.contextmanager
def standing_socket(config: Config) -> Iterator[socket.socket]:
    """Listen for the bot of `config`, as the only guardian that does.

    Raises
    ------
    ConfigError
        Another does, or the socket cannot be made.
    """
    path = standing_path(config)
    try:
        lock = LockFile(path.with_suffix(".lock"), config.bot.name)
    except AlreadyRunningError:
        raise ConfigError(
            f"{path}: a guardian of the bot {config.bot.name!r} stands there already: one is enough"
        ) from None
    with contextlib.closing(lock), contextlib.closing(listen_at(path, BOTS)) as listening:
        try:
            yield listening
        finally:
            path.unlink(missing_ok=True)


async def stand(
    guardian: Guardian, listening: socket.socket, stopped: Callable[[], Awaitable[None]]
) -> ExitCode:
    """Guard one bot after the other until `stopped` returns; a sweep that goes on is finished.

    Returns whether orders may rest, as of the last sweep.
    """
    code = ExitCode.CLEAN

    async def guard(sock: socket.socket) -> None:
        """Guard one bot to its end."""
        nonlocal code
        process = Process(peer_of(sock).pid or 0)
        with contextlib.closing(process), sock:
            hung_s = guardian.config.bot.guardian.hung_after / NS_PER_S
            code = await guardian.guard(Watch(sock, process, hung_s))

    async def look() -> None:
        """Sweep what a bot has left that died before it was seen here."""
        nonlocal code
        while True:
            with contextlib.suppress(AlreadyRunningError):
                if guardian.left_open():
                    code = await guardian.take_over("its journal was left open", patient=False)
            await trio.sleep(LOOK_EVERY_S)

    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            while True:
                await trio.lowlevel.wait_readable(listening)
                sock, _ = listening.accept()
                uid = peer_of(sock).uid
                if uid is None or uid in OWN_USERS:
                    nursery.start_soon(guard, sock)
                else:
                    sock.close()

        nursery.start_soon(accept)
        nursery.start_soon(look)
        await stopped()
        nursery.cancel_scope.cancel()
    return code
