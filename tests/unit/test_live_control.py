"""The control socket: who can open it, and what clients cannot do to it. Real sockets."""

import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from botkit.control import (
    NAME_MAX,
    QUESTION_MAX,
    Answer,
    Done,
    Look,
    Operate,
    Question,
    Refusal,
    decode_answer,
    encode_line,
    named,
    socket_path,
)
from botkit.errors import ConfigError
from botkit.live import ControlSocket
from botkit.live.control import Limits, Peer
from botkit.model import Operation

HASTY = Limits(read_s=0.2, write_s=0.2, finish_s=0.2, clients=2)


class Bot:
    """Answers everything, notes who asked, and takes its time if told so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Question, Peer]] = []
        self.gate = trio.Event()
        self.slow = False

    async def answer(self, question: Question, peer: Peer) -> Answer:
        self.asked.append((question, peer))
        if self.slow:
            await self.gate.wait()
        ends = isinstance(question, Operate) and question.operation is Operation.HALT
        return Done(run_id="r", text="done", ends=ends)


@contextlib.asynccontextmanager
async def serving(
    path: Path, *, allowed: frozenset[int] | None = None, limits: Limits = HASTY
) -> AsyncIterator[tuple[Bot, ControlSocket]]:
    """Serve a socket at `path`; fail if it does not end when it is told to."""
    bot, control = Bot(), ControlSocket.open(path, limits=limits, allowed=allowed)
    try:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(control.serve, bot.answer)
                yield bot, control
                control.finish()
    finally:
        control.close()


async def dial(path: Path) -> trio.SocketStream:
    with named(path) as name:
        return trio.SocketStream(await connected(name))


async def connected(name: str) -> trio.socket.SocketType:
    made = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await made.connect(name)
    return made


async def heard(stream: trio.SocketStream) -> bytes:
    """Return everything until the other end hangs up."""
    read = b""
    with contextlib.suppress(trio.BrokenResourceError):
        while chunk := await stream.receive_some():
            read += chunk
    await stream.aclose()
    return read


async def ask(path: Path, line: bytes) -> Answer:
    stream = await dial(path)
    await stream.send_all(line)
    return decode_answer(await heard(stream))


async def looked(path: Path) -> bool:
    return isinstance(await ask(path, encode_line(Look())), Done)


async def test_only_its_user_can_open_it_from_the_first_moment(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "demo")
    before = os.umask(0)
    try:
        control = ControlSocket.open(path)
    finally:
        os.umask(before)
    mode = path.lstat().st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    control.close()
    assert not path.exists()


async def test_the_umask_is_as_before(tmp_path: Path) -> None:
    ControlSocket.open(socket_path(tmp_path, "demo")).close()
    before = os.umask(0o27)
    os.umask(before)
    control = ControlSocket.open(socket_path(tmp_path, "demo"))
    control.close()
    assert os.umask(before) == before


async def test_a_question_is_answered_and_it_is_known_who_asks(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "demo")
    async with serving(path) as (bot, _):
        answer = await ask(path, encode_line(Look()))
    assert answer == Done(run_id="r", text="done")
    ((question, peer),) = bot.asked
    assert question == Look()
    assert (peer.uid, peer.pid) == (os.geteuid(), os.getpid())
    assert str(peer) == f"uid {os.geteuid()}, pid {os.getpid()}"
    assert str(Peer()) == "unknown"


async def test_another_user_gets_no_answer(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "demo")
    async with serving(path, allowed=frozenset({os.geteuid() + 1})) as (bot, _):
        stream = await dial(path)
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(encode_line(Look()))
        assert await heard(stream) == b""
    assert bot.asked == []


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"nonsense\n",
        b"\xff\xfe\x00\n",
        b"[]\n",
        b'{"type":"format_disk"}\n',
        b'{"type":"operate","operation":"EXPLODE"}\n',
        b"[" * (QUESTION_MAX - 2) + b"\n",
    ],
)
async def test_garbage_is_refused_and_the_next_client_is_served(
    tmp_path: Path, line: bytes
) -> None:
    path = socket_path(tmp_path, "demo")
    async with serving(path) as (bot, _):
        stream = await dial(path)
        await stream.send_all(line)
        told = await heard(stream)
        if told:
            answer = decode_answer(told)
            assert isinstance(answer, Refusal)
            assert "the question cannot be read" in answer.text
        else:
            assert line == b"\n"
        assert await looked(path)
    assert len(bot.asked) == 1


async def test_megabytes_are_cut_off(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "demo")
    async with serving(path) as (bot, _):
        stream = await dial(path)
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x" * 6_553_600)
        await stream.aclose()
        assert await looked(path)
    assert len(bot.asked) == 1


async def test_clients_that_say_nothing_are_hung_up_on_and_the_next_is_served(
    tmp_path: Path,
) -> None:
    path = socket_path(tmp_path, "demo")
    async with serving(path):
        silent = [await dial(path) for _ in range(2 * HASTY.clients)]
        await silent[0].send_all(b'{"type":"lo')
        assert await looked(path), "though all places were taken"
        assert [await heard(each) for each in silent] == [b""] * len(silent)


async def test_a_client_that_leaves_in_the_middle_disturbs_nobody(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "demo")
    async with serving(path) as (bot, _):
        bot.slow = True
        for line in (b"", b'{"type":', encode_line(Look())):
            stream = await dial(path)
            await stream.send_all(line)
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.05)
        bot.gate.set()
        bot.slow = False
        assert await looked(path)


async def test_a_client_that_does_not_read_its_answer_is_given_up(tmp_path: Path) -> None:
    class Talkative(Bot):
        async def answer(self, question: Question, peer: Peer) -> Answer:
            done = await super().answer(question, peer)
            return done if len(self.asked) > 1 else Refusal(text="x" * 4_000_000)

    path = socket_path(tmp_path, "demo")
    one = Limits(read_s=0.2, write_s=0.2, finish_s=0.2, clients=1)
    control, bot = ControlSocket.open(path, limits=one), Talkative()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control.serve, bot.answer)
            deaf = await dial(path)
            await deaf.send_all(encode_line(Look()))
            assert await looked(path)
            assert len(await heard(deaf)) < 4_000_000
            control.finish()
    control.close()


async def test_at_the_end_an_open_question_is_answered_and_nobody_is_let_in(
    tmp_path: Path,
) -> None:
    path = socket_path(tmp_path, "demo")
    async with serving(path) as (bot, control):
        bot.slow = True
        asking = await dial(path)
        await asking.send_all(encode_line(Look()))
        await trio.testing.wait_all_tasks_blocked(0.05)
        control.finish()
        late = await dial(path)
        await late.send_all(encode_line(Look()))
        bot.gate.set()
        assert decode_answer(await heard(asking)) == Done(run_id="r", text="done")
    assert await heard(late) == b""
    assert len(bot.asked) == 1


async def test_the_end_does_not_wait_for_an_answer_that_does_not_come(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "demo")
    async with serving(path) as (bot, _):
        bot.slow = True
        asking = await dial(path)
        await asking.send_all(encode_line(Look()))
        await trio.testing.wait_all_tasks_blocked(0.05)
    assert await heard(asking) == b""


async def test_who_halts_the_bot_is_connected_until_its_process_ends(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "demo")
    async with serving(path) as (_, control):
        stream = await dial(path)
        await stream.send_all(encode_line(Operate(operation=Operation.HALT)))
        assert isinstance(decode_answer(await stream.receive_some()), Done)
    with trio.move_on_after(0.1) as waiting:
        await stream.receive_some()
    assert waiting.cancelled_caught, "the server is closed, and the line is still there"
    for descriptor in control._held:
        os.close(descriptor)  # the end of the process does this
    assert await heard(stream) == b""


# --- the file -------------------------------------------------------------------------------


async def test_a_socket_that_a_killed_bot_left_is_replaced(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "demo")
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    async with serving(path):
        assert await looked(path)


def test_something_else_in_its_place_is_left_alone(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "demo")
    path.write_text("mine")
    with pytest.raises(ConfigError, match="this is something else: move it"):
        ControlSocket.open(path)
    assert path.read_text() == "mine"


def test_at_its_end_it_takes_away_its_own_file_and_no_other(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "demo")
    first = ControlSocket.open(path)
    second = ControlSocket.open(path)
    first.close()
    assert path.exists()
    second.close()
    assert not path.exists()
    gone = ControlSocket.open(path)
    path.unlink()
    gone.close()


@pytest.mark.parametrize(("mode", "refused"), [(0o770, True), (0o757, True), (0o1777, False)])
def test_a_folder_that_others_may_write_to_is_refused(
    tmp_path: Path, mode: int, *, refused: bool
) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    folder.chmod(mode)
    path = socket_path(folder, "demo")
    if not refused:
        ControlSocket.open(path).close()
        return
    with pytest.raises(ConfigError, match=f"mode {mode:04o}.*chmod go-w {folder}"):
        ControlSocket.open(path)
    assert not path.exists()


async def test_a_long_state_dir_works_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    path = socket_path(folder, "demo")
    assert len(os.fsencode(path)) > NAME_MAX
    async with serving(path):
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert await looked(path)
    assert not path.exists()


def test_where_no_short_name_is_to_be_had_the_length_is_told(tmp_path: Path) -> None:
    path = socket_path(tmp_path / ("x" * 100), "demo")
    length = len(os.fsencode(path))
    with (
        pytest.raises(
            ConfigError, match=f"may have {NAME_MAX} bytes here, and this one has {length}"
        ),
        named(path, descriptors=tmp_path / "nowhere"),
    ):
        pass
    with pytest.raises(ConfigError, match="shorter state_dir or name"):
        ControlSocket.open(socket_path(tmp_path, "n" * 120))


def test_a_disk_that_holds_no_socket_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"the control socket cannot be made \(.*\): give the bot"
    ):
        ControlSocket.open(socket_path(Path("/proc/self"), "demo"))
