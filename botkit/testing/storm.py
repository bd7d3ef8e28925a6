"""Many seeds of one simulation, in several processes.

    storm = Storm(configs=("configs/finery.toml",), seconds=120.0)
    await run_storm(storm, range(1, 1001), jobs=2, take=outcomes.append)

Each worker is given a seed, answers with its outcome as a line of JSON and is given the next. One
that dies, or does not come back, costs the seed it had: that has failed, and another takes over.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Final

import attrs
import msgspec
import trio

__all__ = ["SeedOutcome", "Storm", "replay_command", "run_storm"]

ENTRY: Final = "from botkit.testing.storm_worker import main; main()"
SECONDS: Final = 120.0
PIECE: Final = 65_536
LAST_WORDS: Final = 8_000  # bytes of what a worker has said that died
MARGIN_S: Final = 15.0  # for the worker to say itself where it hangs


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with every seed.

    Parameters
    ----------
    configs, overrides
        Files of one bot, and what `--set` takes.
    seconds
        Simulated, for each seed.
    limit_s
        How long one seed may take, here, before it is taken for hung.
    """

    configs: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    seconds: float = SECONDS
    limit_s: float = 2 * SECONDS


class SeedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one seed went; see `SimulationResult`.

    Parameters
    ----------
    error
        What was raised, or how the worker died, if the simulation did not come to its end.
    cpu_s
        What it took.
    """

    seed: int
    seconds: float
    exit_code: int = 0
    problems: tuple[str, ...] = ()
    error: str = ""
    orders: int = 0
    fills: int = 0
    restarts: int = 0
    faults: dict[str, int] = {}
    gone_after_s: tuple[float, ...] = ()
    cpu_s: float = 0.0
    trace: str = ""

    @property
    def failed(self) -> bool:
        """Whether anything did not hold."""
        return bool(self.problems or self.error)


def replay_command(storm: Storm, seed: int) -> str:
    """Return the command that shows what happens in `seed`, as a shell takes it."""
    words = ["botkit", "storm", *storm.configs, "--seed", str(seed), "--trace"]
    if storm.seconds != SECONDS:
        words += ["--seconds", f"{storm.seconds:g}"]
    for each in storm.overrides:
        words += ["--set", each]
    return shlex.join(words)


async def run_storm(
    storm: Storm, seeds: Iterable[int], *, jobs: int, take: Callable[[SeedOutcome], None]
) -> None:
    """Simulate each of `seeds`, `jobs` at a time; `take` is called as each ends, in any order."""
    left = iter(seeds)
    async with trio.open_nursery() as nursery:
        for _ in range(jobs):
            nursery.start_soon(_work, storm, left, take)


async def _work(storm: Storm, left: Iterator[int], take: Callable[[SeedOutcome], None]) -> None:
    """Give seeds to one worker, and to another after one that died, until none is left."""
    for first in left:
        async with _open_worker(storm) as worker:
            seed: int | None = first
            while seed is not None:
                outcome = await worker.simulate(seed)
                take(outcome)
                seed = next(left, None) if worker.answers else None


@asynccontextmanager
async def _open_worker(storm: Storm) -> AsyncIterator["_Worker"]:
    """Start a worker for the length of the block; whatever it does, it is gone afterwards."""
    with tempfile.TemporaryFile("a+b") as said:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-P", "-c", ENTRY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env={**os.environ, "PYTHONPATH": _paths()},
            start_new_session=True,  # Ctrl-C is ours to act on
        )
        try:
            yield _Worker(storm=storm, process=process, said=said)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    await pipe.aclose()


def _paths() -> str:
    """Return where this process finds its modules."""
    return os.pathsep.join(str(Path(each).absolute()) for each in sys.path)


@attrs.define(kw_only=True, eq=False)
class _Worker:
    """A process that simulates seed after seed; `answers` is False once it has died."""

    storm: Storm
    process: trio.Process
    said: IO[bytes]
    answers: bool = True
    _greeted: bool = False
    _read: bytearray = attrs.field(factory=bytearray)

    async def simulate(self, seed: int) -> SeedOutcome:
        """Return how a seed went; if the worker did not survive it, that it failed."""
        line = b""
        with trio.move_on_after(self.storm.limit_s + MARGIN_S):
            line = await self._ask(seed)
        if line:
            self.said.truncate(0)
            return msgspec.json.decode(line, type=SeedOutcome)
        self.answers = False
        return SeedOutcome(seed=seed, seconds=self.storm.seconds, error=await self._last_words())

    async def _ask(self, seed: int) -> bytes:
        """Return the line that answers a seed; nothing if none comes."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        words = b"%d\n" % seed
        if not self._greeted:
            words = msgspec.json.encode(self.storm) + b"\n" + words
            self._greeted = True
        with suppress(trio.BrokenResourceError):  # it has died, and its output ends
            await self.process.stdin.send_all(words)
        while b"\n" not in self._read:
            piece = await self.process.stdout.receive_some(PIECE)
            if not piece:
                return b""
            self._read += piece
        line, _, rest = bytes(self._read).partition(b"\n")
        self._read[:] = rest
        return line

    async def _last_words(self) -> str:
        """Return how a worker ended, and what it said before."""
        with trio.move_on_after(1.0):
            await self.process.wait()
        code = self.process.returncode
        how = "did not come back and was killed"
        if code is not None:
            how = f"died of signal {-code}" if code < 0 else f"ended with exit code {code}"
        self.said.seek(max(0, self.said.seek(0, os.SEEK_END) - LAST_WORDS))
        return f"its process {how}\n{self.said.read().decode(errors='replace')}".rstrip()
