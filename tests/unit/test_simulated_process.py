"""A simulated process: what its end by force does to its links and its journal."""

import numpy as np
import pytest
import trio

from botkit.errors import JournalError
from botkit.testing import MemoryJournal, build_new_order
from botkit.testing.network import SimulatedNetwork, open_network
from botkit.testing.process import Process, ProcessJournal

HOST, PORT = "exchange.test", 80


class Peer:
    """Notes what it reads, and how each link ended."""

    def __init__(self) -> None:
        self.read = b""
        self.ended = ""

    async def serve(self, stream: trio.abc.Stream) -> None:
        try:
            while received := await stream.receive_some():
                self.read += received
            self.ended = "closed"
        except trio.BrokenResourceError:
            self.ended = "reset"


def a_process(seed: int = 1, journal: MemoryJournal | None = None) -> Process:
    handle = ProcessJournal(journal or MemoryJournal())
    return Process(name="bot 1", journal=handle, rng=np.random.default_rng(seed))


async def linked(process: Process, network: SimulatedNetwork) -> trio.abc.Stream:
    return await process.dial("v", network, HOST, PORT)("any", 1)


async def test_what_was_sent_before_a_kill_may_arrive_and_nothing_after_it_does(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ends, reads = set(), set()
    for seed in range(12):
        peer, process = Peer(), a_process(seed)
        async with open_network(latency_s=0.02) as network:
            network.listen(HOST, PORT, peer.serve)
            stream = await linked(process, network)
            await stream.send_all(b"before")
            process.kill()
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"after")
            await trio.sleep(2)
        ends.add(peer.ended)
        reads.add(peer.read)
    assert ends == {"closed", "reset"}
    assert reads == {b"before", b""}


async def test_a_frozen_process_says_nothing_and_keeps_its_links_open(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer, process = Peer(), a_process()
    async with open_network() as network:
        network.listen(HOST, PORT, peer.serve)
        stream = await linked(process, network)

        async def wait() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(1)
            process.freeze()
        await stream.aclose()
        await trio.sleep(5)
        assert (peer.read, peer.ended) == (b"", "")
        process.kill()
        await trio.sleep(1)
        assert peer.ended


async def test_a_process_that_has_ended_dials_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer, process, slow = Peer(), a_process(), a_process()
    async with open_network(latency_s=0.5) as network, trio.open_nursery() as nursery:
        network.listen(HOST, PORT, peer.serve)
        process.kill()
        with pytest.raises(ConnectionRefusedError, match="bot 1 is no more"):
            await linked(process, network)
        assert network.dials == []

        async def dial_slowly() -> None:
            with pytest.raises(ConnectionRefusedError):
                await linked(slow, network)

        nursery.start_soon(dial_slowly)
        await trio.sleep(0.1)
        slow.kill()
        await trio.sleep(3)
        assert peer.ended == "reset"


def test_a_killed_run_stays_open_in_the_journal_without_what_it_had_not_committed() -> None:
    journal = MemoryJournal()
    process = a_process(journal=journal)
    process.journal.begin_run(run_id="a", mode="LIVE", config="", started_ns=1)
    process.journal.record(build_new_order("demo-a-1"))
    process.journal.commit()
    process.journal.record(build_new_order("demo-a-2"))
    assert journal.unfinished() == []  # it goes on
    process.kill()
    process.journal.record(build_new_order("demo-a-3"))
    process.journal.commit()
    process.journal.end_run(ended_ns=2, exit_code=0, reason="")
    process.journal.mark_swept("a", "not by the dead")
    with pytest.raises(JournalError, match="no more"):
        process.journal.unfinished()
    after = ProcessJournal(journal)
    (run,) = after.unfinished()
    assert (run.run_id, run.exit_code) == ("a", None)
    assert [each.client_order_ids for each in run.orders] == [["demo-a-1"]]
    after.begin_run(run_id="b", mode="LIVE", config="", started_ns=3)
    after.mark_swept("a", "taken over")
    after.end_run(ended_ns=4, exit_code=3, reason="in doubt")
    assert [each.run_id for each in after.unfinished()] == ["b"]
