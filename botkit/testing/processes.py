"""Bots as real processes, trading at simulated exchanges of this process.

    with adopted_orphans():
        async with (
            open_exchange("finery", proxied=True) as exchange,
            start_bot("configs/finery.toml", {"finery": exchange}, folder) as bot,
        ):
            assert await exchange.until(lambda: bool(exchange.resting("alice")), 20.0)
            guardian = bot.guardian()
            died_ns = exchange.now_ns()
            await bot.kill()
            assert await guardian.ended(10.0) == 0

Whatever the bot has started, in a session of its own or not, is found by a mark in its environment
and is gone when the block is left. Linux only.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import attrs
import trio

from botkit.config import Config, load
from botkit.errors import ConfigError
from botkit.testing.loopback import SimulatedExchange, open_exchange
from botkit.testing.proxy import Proxy

__all__ = [
    "BotProcess",
    "Proxy",
    "Relative",
    "SimulatedExchange",
    "adopted_orphans",
    "open_exchange",
    "redirected",
    "start_bot",
]

ROOT: Final = Path(__file__).parents[2]
MARK: Final = "BOTKIT_STARTED_FOR"
URLS: Final = ("url", "rest_url")
PR_SET_CHILD_SUBREAPER: Final = 36
ENTRY: Final = "from botkit.cli import main; main()"


@attrs.frozen(kw_only=True)
class Relative:
    """A process that a bot has started, such as its guardian; `command` is its command line."""

    pid: int
    command: str

    def lives(self) -> bool:
        """Return whether it runs; one that has ended and was not waited for does not."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return stat.rpartition(")")[2].split()[0] not in "ZX"

    async def ended(self, within_s: float) -> int | None:
        """Wait for its end and return its exit code (minus a signal's number); None if it lives.

        Its parent must have ended and `adopted_orphans` hold, or else nobody can tell the code:
        `ChildProcessError`.
        """
        with trio.move_on_after(within_s):
            await self.gone()
            return _reaped(self.pid)
        return None

    async def gone(self) -> None:
        """Return once it has ended."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            await trio.lowlevel.wait_readable(pidfd)
        finally:
            trio.lowlevel.notify_closing(pidfd)
            os.close(pidfd)


class BotProcess:
    """A bot in a process of its own, in its own session; see `start_bot`.

    Attributes
    ----------
    process
        As trio has it.
    lines, errors
        What it has printed so far, to stdout and stderr.
    state_dir
        Where its journal lies, and its guardian's log.
    name
        The bot's, as its config has it.
    """

    def __init__(self, process: trio.Process, config: Config, state_dir: Path, mark: str) -> None:
        self.process = process
        self.config = config
        self.name = config.bot.name
        self.state_dir = state_dir
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._mark = f"{MARK}={mark}".encode()
        self._news = trio.Event()

    @property
    def pid(self) -> int:
        """Its process id, which is that of its process group as well."""
        return self.process.pid

    @property
    def guardian_log(self) -> str:
        """What its guardian has logged; empty without one."""
        with suppress(FileNotFoundError):
            return (self.state_dir / f"{self.name}.guardian.log").read_text()
        return ""

    def said(self) -> str:
        """Return all it has printed, for messages."""
        return "\n".join([*self.lines, *self.errors])

    def events(self) -> list[dict[str, Any]]:
        """Return its log lines as JSON has them; other lines are left out."""
        found = []
        for line in self.lines:
            with suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict):
                    found.append(told)
        return found

    async def until_said(self, text: str, within_s: float) -> str:
        """Return the first line of stdout with `text` in it; raise `trio.TooSlowError` without."""
        at = 0
        with trio.fail_after(within_s):
            while True:
                for line in self.lines[at:]:
                    at += 1
                    if text in line:
                        return line
                self._news = trio.Event()
                await self._news.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        self.process.send_signal(number)

    def send_group(self, number: signal.Signals) -> None:
        """Send a signal to its whole process group, as a terminal does."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def kill(self) -> None:
        """Kill it with SIGKILL and wait until it is dead; what it started goes on."""
        self.process.kill()
        await self.process.wait()

    async def ended(self, within_s: float) -> int | None:
        """Wait for its end and return its exit code; None if it goes on."""
        with trio.move_on_after(within_s):
            return await self.process.wait()
        return None

    def relatives(self) -> list[Relative]:
        """Return every living process that comes from it, less the bot itself."""
        found = [
            Relative(pid=int(each.name), command=_read(each / "cmdline").decode(errors="replace"))
            for each in Path("/proc").iterdir()
            if each.name.isdecimal()
            and int(each.name) not in (self.pid, os.getpid())
            and self._mark in _read(each / "environ").split(b"\0")
        ]
        return [each for each in found if each.lives()]

    def guardian(self) -> Relative | None:
        """Return the guardian that it has started; None if it has none."""
        return next((each for each in self.relatives() if "\0--child=" in each.command), None)

    async def collect(self, stream: trio.abc.ReceiveStream, lines: list[str]) -> None:
        """Add what comes down `stream` to `lines`, line by line, to its end."""
        rest = b""
        async for chunk in stream:
            *whole, rest = (rest + chunk).split(b"\n")
            lines += [each.decode(errors="replace") for each in whole]
            self._news.set()
        if rest:
            lines.append(rest.decode(errors="replace"))

    async def end_all(self) -> list[Relative]:
        """Kill it and all that comes from it; return what was still there, the bot apart."""
        await self.kill()
        left = self.relatives()
        while living := self.relatives():
            for each in living:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)
                await each.gone()
        for each in left:
            with suppress(ChildProcessError):  # it has another parent
                _reaped(each.pid)
        return left


def _reaped(pid: int) -> int:
    """Return the exit code of a child that has ended, minus a signal's number."""
    _, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended, or is another user's
        return b""


def redirected(config: Config, exchanges: Mapping[str, SimulatedExchange]) -> list[str]:
    """Return what `--set` takes to send every venue of `config` to its exchange here, by name.

    Raises
    ------
    ConfigError
        A venue has no exchange here, or no address in its table: it would reach the real one.
    """
    words: list[str] = []
    for name, table in config.venues.items():
        if table.type == "paper":
            continue
        addresses = {key: str(table.options[key]) for key in URLS if key in table.options}
        if name not in exchanges or len(addresses) < len(URLS):
            raise ConfigError(
                f"{config.source}: venues.{name}: found no {' and '.join(URLS)} or no simulated "
                "exchange for it; give both addresses, or the bot would trade at the real venue"
            )
        for key, address in addresses.items():
            moved = _moved(address, exchanges[name].port)
            words.append(f'venues.{name}.{key}="{moved}"')
            if key in table.options.get("guardian", {}):
                words.append(f'venues.{name}.guardian.{key}="{moved}"')
    return words


def _moved(address: str, port: int) -> str:
    parts = urlsplit(address)
    scheme = "ws" if parts.scheme.startswith("ws") else "http"
    return urlunsplit(parts._replace(scheme=scheme, netloc=f"127.0.0.1:{port}"))


@asynccontextmanager
async def start_bot(
    config: str | Path | Sequence[str | Path],
    exchanges: Mapping[str, SimulatedExchange],
    folder: Path,
    *words: str,
    sets: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[BotProcess]:
    """Run the bot of `config` with `--live` against `exchanges`, by venue name, for the block.

    Leaving the block kills it and whatever it has started.

    Parameters
    ----------
    config
        A file, or several, later ones over earlier ones.
    folder
        Its state is kept below, in `state`: the same folder is a restart.
    words
        Further words of its command line, such as `"--for", "5s"`.
    sets
        What `--set` takes, such as "strategies.market_maker.params.qty=1".
    env
        What its environment has besides this process's.
    """
    files = [config] if isinstance(config, str | Path) else config
    loaded = load(files, sets)
    state_dir = folder / "state"
    run_py = ROOT / "run.py"
    command = [
        sys.executable,
        *([str(run_py)] if run_py.exists() else ["-c", ENTRY, "run"]),
        *map(str, files),
        "--live",
        "--log",
        "json",
        *words,
    ]
    for override in (
        *sets,
        f'bot.state_dir="{state_dir}"',
        *redirected(loaded, exchanges),
    ):
        command += ["--set", override]
    mark = uuid.uuid4().hex
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, **(env or {}), MARK: mark},
    )
    bot = BotProcess(process, loaded, state_dir, mark)
    assert process.stdout is not None
    assert process.stderr is not None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bot.collect, process.stdout, bot.lines)
        nursery.start_soon(bot.collect, process.stderr, bot.errors)
        try:
            yield bot
        finally:
            with trio.CancelScope(shield=True):
                await bot.end_all()


@contextmanager
def adopted_orphans() -> Iterator[None]:
    """Be the parent of every process below whose own has died, so that its end can be told.

    For the whole process: hold it once around everything.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _be_subreaper(libc.prctl, 1)
    try:
        yield
    finally:
        _be_subreaper(libc.prctl, 0)


def _be_subreaper(prctl: Callable[..., int], value: int) -> None:
    if prctl(PR_SET_CHILD_SUBREAPER, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this process cannot adopt orphans")
