"""The guardians of a run, as the bot sees them: started, beaten to, replaced when one dies."""

import contextlib
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import attrs
import trio

from botkit.cli.standing import standing_path
from botkit.clock import wall_time_ns
from botkit.config import Config
from botkit.control import named
from botkit.engine.core import Log
from botkit.errors import ConfigError
from botkit.live import GuardianLink, Lease, Word, beat_every_s
from botkit.shell import Bot
from botkit.watch.alert import Alert, guarding

__all__ = ["Guards", "guardian_log"]

NS_PER_S: Final = 1_000_000_000
READY_S: Final = 30.0  # that a guardian may take until it has all it needs
SILENT_S: Final = 10.0  # from which silence on it counts as hung, or thrice `hung_after`
LOOK_EVERY_S: Final = 1.0
DOUBTS: Final = 2
RESTARTS: Final = 3  # in
RESTARTS_WITHIN_S: Final = 60.0
GONE_WITHIN_S: Final = 2.0  # that it may take to end once the bot has


def guardian_log(config: Config) -> Path:
    """Return where the guardian of a bot writes what it does."""
    return Path(config.bot.state_dir) / f"{config.bot.name}.guardian.log"


@attrs.define(eq=False)
class _Child:
    """A guardian of our own, a process in a session of its own."""

    process: subprocess.Popen[bytes]
    link: GuardianLink

    @classmethod
    def start(cls, words: Sequence[str], log: Path, *, begun: bool = False) -> "_Child":
        """Start one by exec; `words` are those of `botkit guard`.

        It finds modules where we do now, before a strategy can have changed that. If the run has
        `begun`, it knows so from its first moment on, should we die before the next beat.
        """
        ours, theirs = socket.socketpair()
        link = GuardianLink(ours)
        if begun:
            link.say(Word.BEAT)
        log.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
        with theirs, log.open("ab") as file:
            try:
                process = subprocess.Popen(  # noqa: S603  our own interpreter and command
                    [
                        *(sys.executable, "-P", "-c", "from botkit.cli import main; main()"),
                        *("guard", *words, f"--child={theirs.fileno()}:{os.getpid()}"),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, "PYTHONPATH": paths},
                )
            except BaseException:
                ours.close()
                raise
        return cls(process, link)

    async def gone(self, silent_s: float) -> str:
        """Return why there is no guardian any more, once that is so."""
        async with trio.open_nursery() as nursery:
            why = ""

            async def listen() -> None:
                await self.link.listen()
                nursery.cancel_scope.cancel()

            nursery.start_soon(listen)
            began_s = trio.current_time()
            silence_s, doubts = 0.0, 0
            while (
                doubts < DOUBTS and not self.link.failure
            ):  # its word may lie there while we were held up ourselves
                await trio.sleep(LOOK_EVERY_S)
                heard_s = self.link.heard_s
                limit_s = READY_S if not self.link.ready.is_set() else silent_s
                silence_s = trio.current_time() - (began_s if heard_s is None else heard_s)
                doubts = doubts + 1 if silence_s > limit_s else 0
            why = self.link.failure or f"it has not answered for {silence_s:.0f} s"
            nursery.cancel_scope.cancel()
        return why or "it has ended"

    def end(self, within_s: float) -> int | None:
        """Let go of it; return its exit code once it has ended, None if it does not."""
        self.link.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(within_s)
        return None

    def kill(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.end(GONE_WITHIN_S)


class Guards:
    """Who cancels what the bot leaves when it is killed: a child of its own, and one elsewhere.

    A context manager, entered before the bot imports a strategy.

    Parameters
    ----------
    words
        The config files and options of the run, for the guardian.
    wanted
        Whether there is a child.
    """

    def __init__(self, config: Config, words: Sequence[str], *, wanted: bool) -> None:
        self.wanted = wanted
        self._name = config.bot.name
        self._policy = config.bot.guardian
        self._words = words
        self._log_path = guardian_log(config)
        self._standing_path = standing_path(config)
        self._child: _Child | None = None
        self._standing: GuardianLink | None = None
        self._rests = False
        self._deaths: deque[float] = deque(maxlen=RESTARTS)
        self._log: Log = _say_nothing
        self._tell: Callable[[Alert], None] = _tell_nobody

    def __enter__(self) -> Self:
        if self.wanted:
            self._child = self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Let go of them: what they do then is their affair."""
        if self._standing is not None:
            self._standing.close()
        # Where orders may rest it waits for our own end before it cancels them.
        within_s = 0.0 if self._rests else GONE_WITHIN_S
        if self._child is not None and self._child.end(within_s) is None:
            self._child.process.returncode = 0  # its process is nobody's to wait for

    @property
    def banner(self) -> str:
        """Who guards this run, in a line; empty if nobody does."""
        if self._child is None:
            return ""
        hung_s = self._policy.hung_after / NS_PER_S
        return (
            f"Guarded by process {self._child.process.pid}: should this bot be killed, or hang for "
            f"{hung_s:g} s, it cancels what rests. It writes to {self._log_path}."
        )

    async def ready(self) -> None:
        """Return once the guardian has all it needs to do its work without us.

        Raises
        ------
        ConfigError
            It never will, or not in time.
        """
        child = self._child
        if child is None:
            return
        with trio.move_on_after(READY_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child.link.listen)
                await child.link.ready.wait()
                nursery.cancel_scope.cancel()
        link = child.link
        if link.ready.is_set() and not link.failure and not link.gone:
            return
        why = "it has ended" if link.gone else f"it is not ready after {READY_S:g} s"
        why = link.failure or f"{why}, see {self._log_path}"
        raise ConfigError(
            f"the guardian of this run cannot guard it: {why}; mend that, or run without one: "
            "--set bot.guardian.enabled=false"
        )

    @contextlib.asynccontextmanager
    async def guarding(
        self, bot: Bot, log: Log, tell: Callable[[Alert], None]
    ) -> AsyncIterator[None]:
        """Beat for the length of the block, however it is ended; without a sign of life, stop."""
        self._log, self._tell = log, tell
        lease = Lease(self._policy.hung_after, on_loss=partial(_lose, bot, log))
        if self.wanted:
            bot.dispatcher.lease = lease.refusal
        scope = trio.CancelScope(shield=True)  # the bot beats while it cleans up, too

        async def serve() -> None:
            with scope:
                async with trio.open_nursery() as tasks:
                    tasks.start_soon(self._beat, lease)
                    tasks.start_soon(self._look_for_standing)
                    tasks.start_soon(self._keep_child, bot)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            try:
                yield
            finally:
                scope.cancel()
        self._say(Word.RESTS)

    def end(self, *, clean: bool) -> None:
        """Say that the books are closed; if `clean`, that nothing rests and nobody need look."""
        self._rests = not clean
        self._say(Word.CLEAN if clean else Word.RESTS)

    def _say(self, word: Word) -> bool:
        """Tell every guardian; return whether our own could be told, if there is one."""
        if self._standing is not None:
            self._standing.say(word)
        return self._child is None or self._child.link.say(word)

    def _start(self, *, begun: bool = False) -> _Child:
        return _Child.start(self._words, self._log_path, begun=begun)

    async def _beat(self, lease: Lease) -> None:
        every_s = beat_every_s(self._policy.hung_after)
        while True:
            if self._say(Word.BEAT):
                lease.renew()
            await trio.sleep(every_s)

    async def _keep_child(self, bot: Bot) -> None:
        """Replace a guardian that dies, as long as policy allows."""
        while self._child is not None:
            why = await self._child.gone(max(SILENT_S, 3 * self._policy.hung_after / NS_PER_S))
            self._child.kill()
            self._deaths.append(trio.current_time())
            if not self._may_restart():
                self._child = None
                reason = f"the guardian is gone ({why})"
                self._say_gone("error", reason, "the bot stops")
                bot.stop.request(reason, error=f"{reason}, and nobody would cancel what it leaves")
                return
            self._say_gone("error", f"the guardian is gone ({why})", "another is started")
            self._child = await trio.to_thread.run_sync(partial(self._start, begun=True))

    def _may_restart(self) -> bool:
        if self._policy.on_death == "stop":
            return False
        recent = [each for each in self._deaths if each > trio.current_time() - RESTARTS_WITHIN_S]
        return len(recent) < RESTARTS

    async def _look_for_standing(self) -> None:
        """Beat to a guardian elsewhere as well, while there is one."""
        while True:
            sock = _connected(self._standing_path)
            if sock is not None:
                self._standing = GuardianLink(sock)
                self._standing.say(Word.BEAT)
                self._log("info", "a guardian elsewhere guards too", {})
                await self._standing.listen()
                self._standing.close()
                self._standing = None
                self._say_gone("warning", "the guardian elsewhere is gone", "it is looked for")
            await trio.sleep(LOOK_EVERY_S)

    def _say_gone(self, level: str, what: str, then: str) -> None:
        self._log(level, what, {"then": then})
        self._tell(guarding(what, [then], wall_time_ns()))


def _connected(path: Path) -> socket.socket | None:
    """Return a socket to the guardian that listens at `path`, if one does."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(0)
    try:
        with named(path) as name:
            sock.connect(name)
    except OSError:
        sock.close()
        return None
    return sock


def _lose(bot: Bot, log: Log, why: str) -> None:
    log("critical", "the lease is gone", {"error": why})
    bot.stop.request("the lease is gone", error=why)


def _say_nothing(_: str, __: str, ___: object) -> None:
    """Say nothing."""


def _tell_nobody(_: Alert) -> None:
    """Tell nobody."""
