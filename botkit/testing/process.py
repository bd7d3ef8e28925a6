"""A process as its kernel knows it: links and a journal, and an end that asks nobody.

What runs in a simulated process are tasks of ours, which cannot be stopped dead. So the world is
taken from them instead: their links and their journal are no more, and what they do until they
have unwound has no effect.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import attrs
import numpy as np
import trio

from botkit.errors import JournalError
from botkit.journal import OpenRun
from botkit.ports import JournalEntry
from botkit.testing.links import Link
from botkit.testing.memory_journal import MemoryJournal
from botkit.testing.network import SimulatedNetwork

__all__ = ["Process", "ProcessJournal"]

MOST_ON_THE_WAY_S: Final = 0.6  # how much later than usual a dead process's last bytes are read


class ProcessJournal:
    """A process's own handle on a journal; once `let_go`, nothing that it does reaches the file.

    Implements `botkit.ports.Journal` and what starts and sweeps need.
    """

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal: MemoryJournal | None = journal
        self.on_entry: Callable[[JournalEntry], None] | None = None
        """Told each entry as it is recorded."""

    def let_go(self) -> None:
        """Lose the file; a batch that is open is lost too."""
        if self._journal is not None:
            self._journal.abandon()
        self._journal = None

    def record(self, entry: JournalEntry) -> None:
        """Take one entry into the open batch."""
        if self._journal is not None:
            self._journal.record(entry)
            if self.on_entry is not None:
                self.on_entry(entry)

    def commit(self) -> None:
        """Write the open batch."""
        if self._journal is not None:
            self._journal.commit()

    def begin_run(self, *, run_id: str, mode: str, config: str, started_ns: int) -> None:
        """Open a run."""
        self._held().begin_run(run_id=run_id, mode=mode, config=config, started_ns=started_ns)

    def end_run(
        self,
        *,
        ended_ns: int,
        exit_code: int,
        reason: str,
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """Close the run."""
        if self._journal is not None:
            self._journal.end_run(
                ended_ns=ended_ns, exit_code=exit_code, reason=reason, summary=summary
            )

    def unfinished(self) -> list[OpenRun]:
        """Return the runs whose orders may still rest."""
        return self._held().unfinished()

    def mark_swept(self, run_id: str, note: str) -> None:
        """Note what was found of an unfinished run."""
        if self._journal is not None:
            self._journal.mark_swept(run_id, note)

    def _held(self) -> MemoryJournal:
        if self._journal is None:
            raise JournalError("the process that had this journal open is no more")
        return self._journal


@attrs.define(kw_only=True, eq=False)
class Process:
    """One life of a bot or a guardian.

    Attributes
    ----------
    links
        Those it has made, by venue, oldest first; also ones that have ended.
    runs, exists
        Whether it does anything, and whether its links are open: a frozen process exists.
    """

    name: str
    journal: ProcessJournal
    rng: np.random.Generator
    links: list[tuple[str, Link]] = attrs.field(factory=list)
    runs: bool = True
    exists: bool = True

    def dial(
        self, venue: str, network: SimulatedNetwork, host: str, port: int
    ) -> Callable[[str, int], Awaitable[trio.abc.Stream]]:
        """Return what dials `venue` from here, whatever address is asked for."""

        async def dial(_: str, __: int) -> trio.abc.Stream:
            if not self.runs:
                raise ConnectionRefusedError(f"{self.name} is no more")
            stream = await network.dial(host, port)
            link = network.links[-1]
            assert link.client is stream  # nobody ran in between
            if self._is_over():  # since
                link.client.abort()
                raise ConnectionRefusedError(f"{self.name} is no more")
            self.links.append((venue, link))
            return stream

        return dial

    def _is_over(self) -> bool:
        return not self.runs

    def freeze(self) -> None:
        """Let it do nothing from now on, its links open: a hang, SIGSTOP, swap."""
        self.runs = False
        self.journal.let_go()
        for _, link in self.links:
            link.client.detach()

    def kill(self) -> None:
        """End it at once, as SIGKILL does; the kernel closes its links.

        Of what was sent before, the peer may read all, some of it late, or not all.
        """
        self.freeze()
        self.exists = False
        for _, link in self.links:
            if self._chance(0.3):
                link.upward.stall(self.rng.uniform(0.0, MOST_ON_THE_WAY_S))
            if self._chance(0.8):
                link.upward.finish()
            else:
                link.upward.reset(drop=self._chance(0.5))
            link.downward.leave()

    def _chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)
