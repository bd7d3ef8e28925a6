"""The doctor: each check passes a healthy bot and finds its own illness, with what to do."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import create_server
from typing import Any

import attrs
import pytest
import trio

from botkit.cli.doctor.examination import Check, Needs, examine
from botkit.cli.doctor.guarding import guardian
from botkit.cli.doctor.subject import Subject, ok
from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.config import load
from botkit.errors import InvariantError
from botkit.journal import SqliteJournal, hold_lock
from botkit.killswitch import KillSwitch
from botkit.model import Halted
from botkit.ports import Diagnosis
from botkit.testing import build_new_order
from tests.unit.doctor_bench import CONFIG, NOT_THE_CLOCK, found, healths, write

Cli = Callable[..., tuple[int, str, str]]
ADDED = '[venues.paper.instruments.ETH-USD]\nlot_size = "1"\n[[strategies]]\ntype = "grid"\n'


def test_a_healthy_bot_passes_everything_but_that_nobody_is_told(tmp_path: Path) -> None:
    told = healths(write(tmp_path))

    assert {name: set(each) for name, each in told.items() if set(each) != {"pass"}} == {
        "alerts": {"warn"}
    }
    assert list(told) == [check.name for check in NOT_THE_CLOCK]
    assert not (tmp_path / "var").exists()


def test_a_bot_whose_orders_end_with_it_needs_no_guardian(tmp_path: Path) -> None:
    not_needed = "not needed: orders at these venues end with the bot"

    assert found(write(tmp_path), "guardian") == [("pass", not_needed, "")]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", "a run with --live could not be guarded: "),
        ("key = 'k'\nsecret = 's'\n[bot.guardian]\nenabled = false\n", "switched off: the orders"),
        ("key = 'k'\nsecret = 's'\n[venues.x.guardian]\nkey = 'g'\n", "x: "),
    ],
)
def test_what_stands_in_a_guardians_way_is_told(tmp_path: Path, more: str, told: str) -> None:
    at = "url = 'ws://127.0.0.1:9'\nrest_url = 'http://127.0.0.1:9'\n"
    path = tmp_path / "unit.toml"
    path.write_text(
        "[bot]\nname = 'x'\n[[strategies]]\ntype = 'grid'\ninstrument = 'x:BTC-EUR'\n"
        f"[venues.x]\ntype = 'finery'\n{at}{more}"
    )
    subject = Subject(files=[str(path)], loaded=load(path))

    lines = list(guardian(subject))

    assert lines[0].text.startswith(told)
    assert not [line for line in lines if line.health.value == "pass"]


# What earlier runs left ---------------------------------------------------------------------------


def begin(folder: Path, *, mode: str = "PAPER") -> SqliteJournal:
    journal = SqliteJournal.open(folder / "var", "unit")
    journal.begin_run(run_id="r1", mode=mode, config="", started_ns=10**18)
    return journal


def test_a_bot_that_runs_is_told_and_its_journal_is_its_own(tmp_path: Path) -> None:
    path = write(tmp_path)
    journal = begin(tmp_path)

    ((health, text, todo),) = found(path, "lock")
    assert health == "warn"
    assert f"as process {os.getpid()}" in text
    assert "stop it" in todo
    assert [text for _, text, _ in found(path, "journal")][1].endswith("is running")
    assert found(path, "orders") == [("pass", "of the run now", "")]
    journal.close()


def test_a_killed_run_is_told(tmp_path: Path) -> None:
    path = write(tmp_path)
    begin(tmp_path).close()

    (whole, (health, text, _)) = found(path, "journal")
    assert whole[0] == "pass"
    assert health == "warn"
    assert "the last run r1 (PAPER, 2001-09-09T01:46:40.000Z) was killed" in text
    assert healths(path, ["orders"]) == {"orders": ["pass"]}


@pytest.mark.parametrize(("code", "health"), [(0, "pass"), (1, "warn"), (3, "warn")])
def test_how_the_last_run_ended_is_told(tmp_path: Path, code: int, health: str) -> None:
    path = write(tmp_path)
    journal = begin(tmp_path)
    journal.end_run(ended_ns=2 * 10**18, exit_code=code, reason="so it was", summary={})
    journal.close()

    assert found(path, "journal")[1][0] == health


@pytest.mark.parametrize("ended", [True, False])
def test_orders_that_may_rest_at_a_real_venue_are_a_failure(tmp_path: Path, *, ended: bool) -> None:
    path = write(tmp_path)
    journal = begin(tmp_path, mode="LIVE")
    order = build_new_order()
    journal.record(order)
    journal.commit()
    if ended:
        journal.end_run(ended_ns=2 * 10**18, exit_code=3, reason="in doubt", summary={})
    journal.close()

    ((health, text, todo),) = found(path, "orders")
    assert health == "fail"
    assert f"1 order of earlier runs may rest: {order.client_order_id} in " in text
    assert "cancel them there" in todo
    journal = SqliteJournal.open(tmp_path / "var", "unit")
    journal.mark_swept("r1", "looked")
    journal.close()
    assert healths(path, ["orders"]) == {"orders": ["pass"]}


def test_a_damaged_journal_is_a_failure(tmp_path: Path) -> None:
    path = write(tmp_path)
    journal = begin(tmp_path)
    journal.close()
    with sqlite3.connect(tmp_path / "var/unit.sqlite") as db:
        db.executemany("INSERT INTO batch VALUES (?, 1, ?)", [(i, "x" * 900) for i in range(99)])
    db.close()
    file = tmp_path / "var/unit.sqlite"
    raw = bytearray(file.read_bytes())
    raw[4096 * 8 : 4096 * 9] = b"\xff" * 4096
    file.write_bytes(raw)

    assert found(path, "journal")[0][0] == "fail"
    file.write_bytes(b"nothing of the kind" * 500)
    ((health, text, _),) = found(path, "journal")
    assert health == "fail"
    assert "damaged" in text


def test_a_long_write_ahead_log_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botkit.cli.doctor.records.WAL_WARN", 10)
    path = write(tmp_path)
    journal = begin(tmp_path)

    assert [health for health, *_ in found(path, "journal")] == ["pass", "warn", "pass"]
    journal.close()


def test_a_kill_switch_that_has_tripped_is_a_failure(tmp_path: Path) -> None:
    path = write(tmp_path)
    halted = Halted(rule="max_daily_loss", reason="lost 500", receive_time_ns=1)
    KillSwitch.of(tmp_path / "var", "unit").trip(halted, 10**18)

    ((health, text, todo),) = found(path, "kill switch")
    assert health == "fail"
    assert "tripped by max_daily_loss" in text
    assert todo == f"once you know why: botkit risk clear {path} --reason TEXT"
    (tmp_path / "var/unit.risk.json").write_text("{")
    assert "cannot be read" in found(path, "kill switch")[0][1]


def test_nothing_is_changed(tmp_path: Path) -> None:
    path = write(tmp_path)
    begin(tmp_path).close()
    before = {each.name: each.read_bytes() for each in (tmp_path / "var").iterdir()}

    healths(path)

    after = {each.name: each.read_bytes() for each in (tmp_path / "var").iterdir()}
    assert {name: after[name] for name in before if not name.endswith(".lock")} == {
        name: raw for name, raw in before.items() if not name.endswith(".lock")
    }
    with hold_lock(tmp_path / "var", "unit"):
        pass


# Limits and rates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "change", "expected"),
    [
        (
            "limits",
            ('_qty = "1"', '_qty = "0.01"'),
            ("fail", "risk.max_order_qty is 0.01, but an "),
        ),
        ("limits", ('_qty = "1"', '_qty = "0.02"'), ("pass", "every limit leaves room")),
        (
            "limits",
            ('= "2" }', '= "0.019" }'),
            ("fail", "risk.max_position is 0.019, but an order"),
        ),
        ("limits", ('= "5000"', '= "49"'), ("fail", "risk.max_order_notional is 49, but an order")),
        ("limits", ('= "5000"', '= "50"'), ("pass", "every limit leaves room")),
        (
            "limits",
            ('"0.02", half', '"1.01", half'),
            ("fail", "risk.max_order_qty is 1, but market"),
        ),
        (
            "quantities",
            ('"0.02", half', '"0.01", half'),
            ("fail", "qty is 0.01, but paper:BTC-EUR"),
        ),
        ("quantities", ('"0.02", half', '"0.025", half'), ("warn", "qty is 0.025, off the grid")),
        (
            "quantities",
            ('"0.02", half', '"6", half'),
            ("warn", "qty is 6, but paper:BTC-EUR takes 5"),
        ),
        ("losses", ("max_daily_loss", "max_open_orders"), ("warn", "no loss halts it")),
        (
            "losses",
            ('max_position = { "paper:BTC-EUR" = "2" }\n', ""),
            ("warn", "nothing bounds its position"),
        ),
        (
            "rates",
            ('name = "unit"', 'name = "unit"\nreport_currency = "EUR"'),
            ("pass", "EUR: can"),
        ),
        (
            "rates",
            ('name = "unit"', 'name = "unit"\nreport_currency = "BTC"'),
            ("pass", "BTC: can"),
        ),
        (
            "rates",
            ('name = "unit"', 'name = "unit"\nreport_currency = "USD"'),
            ("fail", "EUR into USD"),
        ),
        (
            "rates",
            ('max_daily_loss = "500"', 'max_daily_loss = { limit = "5", currency = "USD" }'),
            ("fail", "EUR into USD"),
        ),
    ],
)
def test_numbers_that_do_not_go_together_are_found(
    tmp_path: Path, check: str, change: tuple[str, str], expected: tuple[str, str]
) -> None:
    path = write(tmp_path, change)

    lines = found(path, check)

    health, told = expected
    assert (health, True) in [(each[0], told in each[1]) for each in lines], lines


def test_limits_of_a_strategy_and_of_a_venue_are_looked_at_too(tmp_path: Path) -> None:
    narrow = 'max_daily_loss = "500"\n[risk.strategies.market_maker]\nmax_position = "0.01"\n'
    path = write(tmp_path, ('max_daily_loss = "500"\n', narrow))

    texts = [text for _, text, _ in found(path, "limits")]
    assert texts == [
        (
            "risk.strategies.market_maker.max_position is 0.01, but an order in paper:BTC-EUR is "
            "at least 0.02"
        ),
        (
            "risk.strategies.market_maker.max_position is 0.01, but market_maker orders 0.02 of "
            "paper:BTC-EUR"
        ),
    ]


# Venues, alerts, metrics --------------------------------------------------------------------------


REPLAY = (
    'feed = { type = "replay", speed = "max", files = [{ path = "q.csv", kind = "quotes", '
    'symbol = "BTC-EUR" }] }'
)
SYNTHETIC = 'feed = { type = "synthetic", seed = 7, speed = "max" }'
HEAD = "receive_time_ns,bid_px,bid_qty,ask_px,ask_qty\n"


@pytest.mark.parametrize(
    ("rows", "health", "told"),
    [
        (f"{HEAD}1,1,1,2,1\n", "pass", "paper: its market data can be read"),
        (HEAD, "warn", "paper: its feed holds no event"),
        (f"{HEAD}1,one,1,2,1\n", "fail", "row 1"),
    ],
)
def test_the_files_of_a_recording_are_read(
    tmp_path: Path, rows: str, health: str, told: str
) -> None:
    (tmp_path / "q.csv").write_text(rows)

    ((found_health, text, _),) = found(write(tmp_path, (SYNTHETIC, REPLAY)), "venues")
    assert found_health == health
    assert told in text


def test_an_instrument_the_venue_does_not_have_is_a_failure_of_the_venue(tmp_path: Path) -> None:
    subject = Subject(files=[str(write(tmp_path))])
    list(examine(subject, NOT_THE_CLOCK))
    plan = subject.plan
    venue = plan.venues["paper"]
    venue.instruments = {}
    check = next(each for each in NOT_THE_CLOCK if each.name == "venues")

    (line,) = check.look(subject)

    assert line.health == "fail"
    assert "found 'paper:BTC-EUR', allowed: nothing" in line.text


def test_a_venue_that_cannot_be_examined_is_told(tmp_path: Path) -> None:
    subject = Subject(files=[str(write(tmp_path))])
    list(examine(subject, NOT_THE_CLOCK))

    class Plain:
        instruments = subject.plan.venues["paper"].instruments

        async def prepare(self) -> None:
            await trio.lowlevel.checkpoint()

    plain: Any = {"paper": Plain()}
    subject.built = attrs.evolve(subject.plan, venues=plain)
    check = next(each for each in NOT_THE_CLOCK if each.name == "venues")

    (line,) = check.look(subject)

    assert (line.health, line.text) == ("warn", "paper: its plug-in cannot examine it")


def test_alerts_that_cannot_be_sent_and_a_port_that_is_taken_are_failures(tmp_path: Path) -> None:
    with create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        alerts = '[alerts]\nurls = ["json://localhost/a"]\n[metrics]\nport = '
        path = write(tmp_path, ("[risk]", f"{alerts}{port}\n[risk]"))

        ((one, text, _), (two, told, _)) = found(path, "alerts")
        assert (one, text) == ("pass", "1 receiver of alerts, without a heartbeat")
        assert two == "fail"
        assert f"127.0.0.1 port {port}: cannot be had (Address already in use)" in told
        journal = begin(tmp_path)
        assert [health for health, *_ in found(path, "alerts")] == ["pass", "pass"]
        journal.close()
    assert found(path, "alerts")[1][1].endswith("free")
    odd = write(tmp_path, ("[risk]", '[alerts]\nurls = ["nonsense"]\n[risk]'))
    assert found(odd, "alerts")[0][0] == "fail"


# The examination and the command ------------------------------------------------------------------


def test_a_check_that_raises_is_a_line_that_failed_and_the_next_goes_on() -> None:
    def boom(_: Subject) -> Iterator[Diagnosis]:
        yield ok("so far")
        raise ZeroDivisionError("by nothing")

    def disk(_: Subject) -> Iterator[Diagnosis]:
        raise OSError(5, "the disk is gone")

    checks = [Check("a", boom, Needs.NOTHING), Check("b", disk, Needs.NOTHING)]
    checks += [Check("c", boom, Needs.CONFIG)]

    lines = [
        (line.name, line.found.health.value, line.found.text)
        for line in examine(Subject(files=[]), checks)
    ]

    assert lines == [
        ("a", "pass", "so far"),
        ("a", "fail", "the examination itself failed: ZeroDivisionError: by nothing"),
        ("b", "fail", "[Errno 5] the disk is gone"),
    ]


def test_a_check_that_comes_too_early_is_our_mistake() -> None:
    subject = Subject(files=[])

    with pytest.raises(InvariantError, match="too early"):
        _ = subject.config
    with pytest.raises(InvariantError, match="too early"):
        _ = subject.plan


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unit.toml").write_text(CONFIG)

    def call_cli(*words: str) -> tuple[int, str, str]:
        code = call(["doctor", *words, "--ntp", "127.0.0.1:9"], Session())
        out, err = capsys.readouterr()
        return int(code), out, err

    return call_cli


def test_the_command_says_each_line_and_what_to_do_and_sums_up(cli: Cli) -> None:
    code, out, err = cli("unit.toml")

    assert (code, err) == (0, "")
    assert "pass  config      unit.toml: the bot unit\n" in out
    assert "warn  alerts      nobody is told when the bot halts or fails\n" in out
    assert "\n                  -> say in [alerts] who is\n" in out
    assert out.endswith("\nNothing failed; 2 warnings: know what they mean before you run it\n")


def test_a_failure_makes_the_exit_code_1(cli: Cli) -> None:
    code, out, _ = cli("unit.toml", "--set", "risk.max_order_qty=0.001")

    assert code == 1
    assert out.endswith("\n2 failures and 2 warnings: do not run it so\n")
    assert cli("none.toml")[0] == 1


def test_json_is_an_object_a_line(cli: Cli) -> None:
    code, out, _ = cli("unit.toml", "--json")

    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert rows[1] == {
        "check": "config",
        "health": "pass",
        "text": "unit.toml: the bot unit",
        "todo": "",
    }
    assert {row["health"] for row in rows} == {"pass", "warn"}


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_secrets_are_masked(cli: Cli, monkeypatch: pytest.MonkeyPatch, form: list[str]) -> None:
    monkeypatch.setenv("WHO", "swordfish")

    code, out, _ = cli("unit.toml", "--set", "bot.name=${WHO}", *form)

    assert code == 0
    assert "unit.toml: the bot ***" in out
    assert "swordfish" not in out


def test_several_files_are_one_config(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "second.toml").write_text('[bot]\nname = "second"\n')

    _, out, _ = cli("unit.toml", "second.toml")

    assert "unit.toml, second.toml: the bot second" in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_what_cannot_be_written_ends_with_one_line(cli: Cli, tmp_path: Path) -> None:
    assert callable(cli)
    words = ["doctor", "unit.toml", "--ntp", "127.0.0.1:9"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: S603  our own interpreter
            [sys.executable, "-c", "from botkit.cli import main; main()", *words],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
