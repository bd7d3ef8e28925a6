"""How a guardian sees that its bot is over, by real sockets and processes; simulated time."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from botkit.live import End, GuardianLink, Process, Watch, Word, beat_every_s

HUNG_S = 5.0
FORKS = "import os, signal; pid = os.fork(); pid and print(pid, flush=True); signal.pause()"


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give the bot's end and the guardian's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def myself() -> Iterator[Process]:
    """Give a process that does not end."""
    with closing(Process(os.getpid())) as process:
        yield process


async def beat(link: GuardianLink, seconds: float) -> None:
    """Beat for so long, as a bot does."""
    with trio.move_on_after(seconds):
        while True:
            link.say(Word.BEAT)
            await trio.sleep(beat_every_s(round(HUNG_S * 1e9)))


async def test_a_bot_that_beats_is_left_alone_until_it_says_that_all_is_well(
    sockets: tuple[socket.socket, socket.socket], myself: Process, autojump_clock: MockClock
) -> None:
    link = GuardianLink(sockets[0])
    watch = Watch(sockets[1], myself, HUNG_S)

    async def live() -> None:
        await trio.sleep(100.0)  # importing what it needs, it says nothing
        await beat(link, 100.0)
        link.say(Word.RESTS)
        await trio.sleep(50.0)  # closing its books
        link.say(Word.CLEAN)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(live)
        assert await watch.run() is End.CLEAN
    assert trio.current_time() == pytest.approx(250.0)


@pytest.mark.parametrize(("last", "after_s"), [(Word.BEAT, 5.0), (Word.RESTS, 60.0)])
async def test_one_that_falls_silent_hangs(
    sockets: tuple[socket.socket, socket.socket],
    myself: Process,
    last: Word,
    after_s: float,
    autojump_clock: MockClock,
) -> None:
    link = GuardianLink(sockets[0])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(beat, link, 20.0)
        watch = Watch(sockets[1], myself, HUNG_S)

        async def fall_silent() -> None:
            await trio.sleep(20.0)
            link.say(last)

        nursery.start_soon(fall_silent)
        assert await watch.run() is End.HUNG
    assert trio.current_time() == pytest.approx(20.0 + after_s, abs=0.5)


async def test_a_guardian_that_was_held_up_itself_waits_anew(
    sockets: tuple[socket.socket, socket.socket], myself: Process, mock_clock: MockClock
) -> None:
    link = GuardianLink(sockets[0])
    ends: list[End] = []

    async def watch() -> None:
        ends.append(await Watch(sockets[1], myself, HUNG_S).run())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        link.say(Word.BEAT)
        for seconds, ended in ((60.0, False), (4.9, False), (0.2, True)):
            await wait_all_tasks_blocked(0.01)
            mock_clock.jump(seconds)  # in one go: nobody ran meanwhile, the bot neither
            await wait_all_tasks_blocked(0.01)
            assert bool(ends) is ended, seconds
    assert ends == [End.HUNG]


@pytest.mark.parametrize("word", [None, Word.BEAT, Word.CLEAN])
async def test_the_end_of_the_line_is_death_unless_all_was_well_or_nothing_had_begun(
    sockets: tuple[socket.socket, socket.socket],
    myself: Process,
    word: Word | None,
    autojump_clock: MockClock,
) -> None:
    link = GuardianLink(sockets[0])
    if word is not None:
        link.say(word)
    link.close()

    end = await Watch(sockets[1], myself, HUNG_S).run()

    assert end is {None: End.NEVER, Word.BEAT: End.DEAD, Word.CLEAN: End.CLEAN}[word]


async def test_a_death_is_seen_although_a_forked_child_holds_the_line_open(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    GuardianLink(sockets[0]).say(Word.BEAT)
    bot = await trio.lowlevel.open_process(
        [sys.executable, "-c", FORKS], stdout=subprocess.PIPE, pass_fds=[sockets[0].fileno()]
    )
    assert bot.stdout is not None
    child = int((await bot.stdout.receive_some()).split()[0])
    await bot.stdout.aclose()
    with closing(Process(bot.pid)) as process, trio.fail_after(5.0):
        bot.kill()
        assert await Watch(sockets[1], process, HUNG_S).run() is End.DEAD
    os.kill(child, signal.SIGKILL)
    await bot.wait()


async def test_a_process_is_killed_by_its_descriptor_and_its_end_seen() -> None:
    bot = await trio.lowlevel.open_process([sys.executable, "-c", "import signal; signal.pause()"])
    with closing(Process(bot.pid)) as process, trio.fail_after(5.0):
        assert not process.has_ended()
        process.kill()
        await process.ended()
        assert process.has_ended()
        process.kill()  # which is nobody now
    assert await bot.wait() == -signal.SIGKILL


async def test_a_parent_that_is_another_by_now_has_ended() -> None:
    with closing(Process(1, parent=True)) as process:
        assert process.has_ended()
        process.kill()  # it must not be the one that has its number now
        await process.ended()


async def test_without_descriptors_a_parent_is_looked_at_again_and_again(
    autojump_clock: MockClock,
) -> None:
    process = Process(os.getppid(), parent=True, open_=None)
    assert (process.known, process.has_ended()) == (True, False)
    with trio.move_on_after(10.0) as waiting:
        await process.ended()
    assert waiting.cancelled_caught
    assert Process(os.getpid(), parent=True, open_=None).has_ended()


async def test_who_cannot_be_seen_is_waited_for_in_vain(autojump_clock: MockClock) -> None:
    process = Process(0)
    assert (process.known, process.has_ended()) == (False, False)
    process.kill()
    with trio.move_on_after(1000.0) as waiting:
        await process.ended()
    assert waiting.cancelled_caught


async def test_a_bot_hears_that_its_guardian_is_ready_alive_and_gone(
    sockets: tuple[socket.socket, socket.socket], myself: Process, autojump_clock: MockClock
) -> None:
    link = GuardianLink(sockets[0])
    watch = Watch(sockets[1], myself, HUNG_S)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.listen)
        assert not link.ready.is_set()
        watch.tell_ready()
        await link.ready.wait()
        assert link.failure == ""
        nursery.start_soon(watch.run)
        await trio.sleep(3.0)
        link.say(Word.BEAT)
        await trio.sleep(1.0)
        assert link.heard_s == pytest.approx(3.0)
        nursery.cancel_scope.cancel()
    sockets[1].close()
    assert not link.say(Word.BEAT)


async def test_a_guardian_that_cannot_guard_says_why(
    sockets: tuple[socket.socket, socket.socket], myself: Process
) -> None:
    link = GuardianLink(sockets[0])
    watch = Watch(sockets[1], myself, HUNG_S)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.listen)
        watch.tell_failure("venues.x.guardian.key: Rubbish, and more.")
        await link.ready.wait()  # although it goes on watching
        nursery.cancel_scope.cancel()

    assert link.failure == "venues.x.guardian.key: Rubbish, and more."


async def test_one_that_goes_before_it_was_ready_is_not_waited_for(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    link = GuardianLink(sockets[0])
    sockets[1].close()
    await link.listen()
    assert (link.ready.is_set(), link.failure) == (True, "")


async def test_a_guardian_that_does_not_read_is_told_from_one_that_does(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    link = GuardianLink(sockets[0])
    sent = 0
    while link.say(Word.BEAT):  # it never waits, so it must end
        sent += 1
    assert sent > 100


def test_it_beats_often_enough_for_whoever_waits() -> None:
    assert [beat_every_s(s * 10**8) for s in (5, 20, 50, 900)] == [0.025, 0.1, 0.25, 0.25]
