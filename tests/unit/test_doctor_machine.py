"""What the doctor finds in Python, the config, folders, the disk and the clock."""

import os
import re
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

import attrs
import pytest
import trio

from botkit.cli.doctor import machine
from botkit.cli.doctor.subject import Subject
from botkit.cli.doctor.time_server import measure
from botkit.clock import wall_time_ns
from botkit.ports import Diagnosis
from tests.unit.doctor_bench import found, healths, write

TO_1970_S = 2_208_988_800


# Python and the config ----------------------------------------------------------------------------


def test_a_package_that_is_missing_or_too_old_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist = tmp_path / "botkit-9.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: botkit\nVersion: 9.0\n"
        "Requires-Dist: attrs>=999.1\nRequires-Dist: nowhere-to-be-found>=1\n"
        "Requires-Dist: click>=8.1\nRequires-Dist: odd; python_version < '3'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    (line,) = machine.python(Subject(files=[]))

    assert line.health == "fail"
    assert "attrs is " in line.text
    assert "allowed: 999.1 or newer" in line.text
    assert "nowhere-to-be-found is not installed" in line.text
    assert "click" not in line.text


def test_an_extra_that_is_not_installed_is_named_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist = tmp_path / "botkit-9.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: botkit\nVersion: 9.0\n"
        'Requires-Dist: nowhere>=1; extra == "dashboard"\n'
        'Requires-Dist: nowhere>=1; extra == "test"\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    (line,) = machine.python(Subject(files=[]))

    assert line.health == "pass"
    assert line.text.endswith("botkit 9.0, its packages; not installed: extra dashboard")


def test_every_mistake_of_the_config_is_a_line_and_the_rest_is_not_looked_at(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, ('name = "unit"', 'name = "unit"\nodd = 1\nclean_up = 3'))

    assert [health for health, *_ in found(path, "config")] == ["fail", "fail"]
    assert list(healths(path)) == ["python", "config"]
    ((_, text, _),) = found(tmp_path / "none.toml", "config")
    assert text.endswith("cannot be read: No such file or directory")


def test_a_plug_in_that_cannot_be_built_is_a_line_and_the_files_are_looked_at(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, ('qty = "0.02"', 'qyt = "0.02"'))

    ((one, text, _), (two, *_)) = found(path, "plug-ins")
    assert (one, two) == ("fail", "fail")
    assert "strategies.market_maker.params.qty: missing" in text
    assert "journal" in healths(path)
    assert "venues" not in healths(path)


def test_venues_at_different_speeds_are_a_line(tmp_path: Path) -> None:
    second = '[venues.slow]\ntype = "paper"\n\n[[strategies]]\n'
    path = write(tmp_path, ("[[strategies]]\n", second))

    assert "give all the same speed" in found(path, "plug-ins")[0][1]


def test_a_file_with_keys_that_others_may_open_is_found(tmp_path: Path) -> None:
    private = tmp_path / "private.toml"
    private.write_text('[alerts]\nurls = ["json://localhost/secret"]\n')
    private.chmod(0o644)
    path = write(tmp_path, ("[bot]", 'include = ["private.toml"]\n[bot]'))

    assert found(path, "key files") == [
        (
            "warn",
            (f"{private}: holds keys, and its permissions 0644 let others than its owner open it"),
            f"chmod 600 {private}",
        )
    ]
    private.chmod(0o600)
    assert found(path, "key files") == [("pass", f"{private}: for the owner's eyes alone", "")]


# The machine --------------------------------------------------------------------------------------


def test_a_state_dir_that_others_may_write_to_is_found(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "var").mkdir(mode=0o755)

    assert healths(path, ["state_dir"]) == {"state_dir": ["pass"]}
    for mode, expected in ((0o775, "fail"), (0o1777, "warn")):  # no bot starts in the first
        (tmp_path / "var").chmod(mode)
        ((health, text, todo),) = found(path, "state_dir")
        assert (health, todo) == (expected, f"chmod go-w {tmp_path}/var")
        assert f"permissions {mode:04o}" in text


def test_a_state_dir_that_is_a_file_is_a_failure(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "var").write_text("")

    assert found(path, "state_dir")[0][:2] == (
        "fail",
        f"{tmp_path}/var: {tmp_path}/var is a file, not a folder",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_dir_that_may_not_be_written_to_is_a_failure(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "var").mkdir(mode=0o500)

    assert found(path, "state_dir")[0][0] == "fail"
    assert "fail" in healths(path, ["disk"])["disk"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("FREE_WARN", 2**70, ["warn", "pass"]),
        ("FREE_FAIL", 2**70, ["fail", "pass"]),
        ("SYNC_WARN_NS", -1, ["pass", "warn"]),
    ],
)
def test_a_full_and_a_slow_disk_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int, expected: list[str]
) -> None:
    monkeypatch.setattr(machine, name, value)  # disks of this kind are not at hand

    assert healths(write(tmp_path), ["disk"])["disk"] == expected


# The clock ----------------------------------------------------------------------------------------


@attrs.frozen
class TimeServer:
    """An SNTP server on this machine whose time is `ahead_ns` ahead of ours."""

    ahead_ns: int
    spoil: Callable[[bytes], list[bytes]] = lambda answer: [answer]

    def serve(self, sock: socket) -> None:
        ask, address = sock.recvfrom(512)
        now_ns = wall_time_ns() + self.ahead_ns
        stamp = (now_ns // 10**9 + TO_1970_S << 32) + (now_ns % 10**9 << 32) // 10**9
        answer = bytes([0x24, 2]) + bytes(22) + ask[40:48] + struct.pack(">QQ", stamp, stamp)
        for each in self.spoil(answer):
            sock.sendto(each, address)

    def address(self, sock: socket) -> str:
        threading.Thread(target=self.serve, args=(sock,), daemon=True).start()
        host, port = sock.getsockname()
        return f"{host}:{port}"


@pytest.fixture
def udp() -> Iterator[socket]:
    with socket(AF_INET, SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


def clock_line(server: str) -> Diagnosis:
    (line,) = machine.clock(Subject(files=[], time_server=server))
    return line


@pytest.mark.parametrize(
    ("ahead_ns", "health", "where"),
    [
        (0, "pass", ""),
        (550_000_000, "warn", "behind"),
        (-550_000_000, "warn", "ahead"),
        (3_600_000_000_000, "fail", "behind"),
        (-(10**9) * 3600 * 24 * 365 * 30, "fail", "ahead"),
    ],
)
def test_a_clock_that_is_off_is_found(udp: socket, ahead_ns: int, health: str, where: str) -> None:
    line = clock_line(TimeServer(ahead_ns).address(udp))

    assert line.health == health
    told = re.match(r"([0-9.]+) ms (behind|ahead) of .*, give or take ([0-9.]+) ms", line.text)
    assert told is not None
    assert where in {"", told[2]}
    off_ms, error_ms = float(told[1]), float(told[3])
    assert abs(off_ms - abs(ahead_ns) / 1e6) <= error_ms + 1


def test_answers_to_other_questions_and_from_servers_without_the_time_do_not_count(
    udp: socket,
) -> None:
    def spoil(answer: bytes) -> list[bytes]:
        odd = answer[:32] + 2 * bytes([1] * 8)  # of another time
        return [
            b"short",
            bytes([0x23]) + odd[1:],  # not an answer
            odd[:1] + bytes([0]) + odd[2:],  # unsynchronised
            odd[:24] + bytes(8) + odd[32:],  # to nobody's question
            odd[:40] + bytes(8),  # without a time
            answer,
        ]

    skew = trio.run(measure, TimeServer(5_000_000_000, spoil).address(udp), 5.0)

    assert skew is not None
    assert abs(skew.behind_ns - 5_000_000_000) <= skew.error_ns + 50_000_000


def test_a_time_server_that_is_none_is_no_failure() -> None:
    with socket(AF_INET, SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    line = clock_line(f"127.0.0.1:{port}")

    assert line.health == "warn"
    assert f"no answer from 127.0.0.1:{port} within 2 s" in line.text
    assert "--ntp HOST" in line.todo
    assert clock_line("127.0.0.1:port").health == "warn"


async def test_a_time_server_that_says_nothing_is_waited_for_two_seconds(
    udp: socket,
) -> None:
    with trio.fail_after(5):
        assert await measure(f"127.0.0.1:{udp.getsockname()[1]}", 0.05) is None
