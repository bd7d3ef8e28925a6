"""Finding a bot and its runs, tables, `botkit risk show` and `botkit logs`."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from botkit.cli.choosing import BotChoice
from botkit.cli.log_file import LogFile, log_files
from botkit.cli.logs_command import Tail
from botkit.cli.main import call
from botkit.cli.screen import Screen
from botkit.cli.session import Session
from botkit.cli.tables import Column, figures, number_column, print_rows
from botkit.errors import ConfigError
from botkit.journal import SqliteJournal
from botkit.killswitch import KillSwitch
from botkit.model import Halted, Refused, RequestKind
from botkit.ports import Verdict
from tests.unit.journal_bench import (
    SYMBOL,
    T0,
    S,
    calling,
    checked,
    fill,
    name,
    new_order,
    write_run,
)

Cli = Callable[..., tuple[int, str, str]]
READING = ("history", "orders", "fills", "positions", "logs", "statement", "risk show", "explain 1")


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    return calling(capsys, tmp_path)


# --- which bot, which run -----------------------------------------------------------------------


@pytest.mark.parametrize("command", READING)
def test_a_folder_without_a_run_is_said_with_what_to_do(command: str, cli: Cli) -> None:
    code, out, err = cli(*command.split())

    assert (code, out) == (2, "")
    assert "--state-dir" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", READING)
def test_a_bot_that_has_not_run_is_named(command: str, cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, new_order(1))

    code, _, err = cli(*command.split(), "--bot", "nonesuch")

    assert code == 2
    assert "bot 'nonesuch' has not run here" in err


@pytest.mark.parametrize("command", READING)
def test_a_damaged_journal_is_said_in_one_line(command: str, cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, *[new_order(number) for number in range(1, 200)])
    path = tmp_path / "demo.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))

    code, out, err = cli(*command.split())

    assert (code, out) == (1, "")
    assert f"journal {path}: the file is damaged" in err
    assert len(err.splitlines()) == 1


def test_the_run_that_started_last_is_meant_unless_a_bot_or_a_run_is_named(
    cli: Cli, tmp_path: Path
) -> None:
    write_run(tmp_path, new_order(1), run_id="a1", bot="a")
    write_run(tmp_path, new_order(1), run_id="a2", bot="a", started_ns=T0 + 2 * S)
    write_run(tmp_path, new_order(1), run_id="b1", bot="b", started_ns=T0 + S)

    assert "run a2" in cli("orders")[1]
    assert "run b1" in cli("orders", "--bot", "b")[1]
    assert "run a1" in cli("orders", "--run", "a1")[1]
    code, _, err = cli("orders", "--run", "a1", "--bot", "b")
    assert code == 1
    assert "there is no run 'a1'; the last ones are: b1" in err


def test_a_config_names_the_bot_and_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = '[bot]\nname = "demo"\nstate_dir = "here"\n\n[venues.paper]\ntype = "paper"\n'
    text += '\n[[strategies]]\ntype = "market_maker"\ninstrument = "paper:BTC-EUR"\n'
    (tmp_path / "bot.toml").write_text(text)
    write_run(tmp_path / "here", new_order(1))
    write_run(tmp_path / "here", new_order(1), run_id="x1", bot="other")

    def out(*words: str) -> str:
        call(list(words), Session())
        told = capsys.readouterr()
        return told.out + told.err

    assert "run r1" in out("orders", "bot.toml")
    assert "run r1" in out("explain", "demo-r1-1", "bot.toml")
    assert "run x1" in out("orders", "bot.toml", "--set", "bot.name=other")
    assert "run x1" in out("orders", "bot.toml", "--bot", "other")
    assert "botkit run bot.toml" in out("orders", "bot.toml", "--state-dir", "elsewhere")
    assert "--set changes a CONFIG, and none was given" in out("orders", "--set", "a=b")


def test_the_only_bot_of_a_folder_need_not_be_named(tmp_path: Path) -> None:
    choice = BotChoice(tmp_path, None, None)
    with pytest.raises(ConfigError, match="has no bot's journal"):
        choice.the_name()
    write_run(tmp_path, bot="a")
    (tmp_path / "foreign.sqlite").write_bytes(b"")
    assert choice.the_name() == "a"
    write_run(tmp_path, bot="b")
    with pytest.raises(ConfigError, match="the folder has a, b: give its CONFIG, or --bot NAME"):
        choice.the_name()
    assert BotChoice(tmp_path, "c", None).the_name() == "c"


def test_a_first_run_that_goes_on_is_found(cli: Cli, tmp_path: Path) -> None:
    """All of it is in the write-ahead log yet, not even the file's kind is in the file."""
    foreign = sqlite3.connect(tmp_path / "foreign.sqlite")
    foreign.execute("PRAGMA journal_mode = WAL")
    foreign.execute("CREATE TABLE t (x)")
    (tmp_path / "rubbish.sqlite").write_bytes(b"rubbish" * 100)
    (tmp_path / "rubbish.sqlite-wal").write_bytes(b"rubbish")
    journal = SqliteJournal.open(tmp_path, "demo")
    try:
        journal.begin_run(run_id="r1", mode="PAPER", config="", started_ns=T0)
        assert "run r1" in cli("orders")[1]
    finally:
        journal.close()
        foreign.close()


# --- tables -------------------------------------------------------------------------------------

COLUMNS: Sequence[Column[Any]] = (
    Column(name="text", value=lambda row: row["text"]),
    number_column("number", lambda row: row["number"]),
    Column(name="flag", value=lambda row: row["flag"]),
    Column(name="nest", value=lambda row: row["nest"]),
    Column(name="hidden", value=lambda _: "out of sight", heading=""),
)
ROW = {"text": "x" * 500 + " [bold]y", "number": Decimal("1E+3"), "flag": True, "nest": ["a"]}
EMPTY: dict[str, Any] = {"text": None, "number": None, "flag": False, "nest": {}}


def test_a_table_down_a_pipe_is_whole_and_in_plain_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_rows([ROW, EMPTY], COLUMNS, None, what="it", head="the head")

    head, names, row, _ = capsys.readouterr().out.splitlines()
    assert head == "the head"
    assert names.split() == ["text", "number", "flag", "nest"]
    assert row.split() == ["x" * 500, "[bold]y", "1,000.000", "yes", '["a"]']


def test_programs_get_exact_numbers_and_every_column(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([ROW, EMPTY], COLUMNS, "json", what="it", head="not for programs")
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first["number"], first["hidden"], second["text"]) == ("1000", "out of sight", None)

    print_rows([EMPTY], COLUMNS, "csv", what="it", head="not for programs")
    assert capsys.readouterr().out == "text,number,flag,nest,hidden\n,,no,{},out of sight\n"


def test_a_terminal_folds_and_cuts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes the pipe for a terminal
    monkeypatch.setenv("COLUMNS", "60")
    assert Console().is_terminal
    print_rows([ROW], COLUMNS, None, what="it")

    assert capsys.readouterr().out.count("x") == 500 + 1


def test_an_empty_table_is_its_head_alone(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], COLUMNS, None, what="it", head="nothing")
    assert capsys.readouterr().out == "nothing\n"


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_a_full_disk_is_said_and_a_reader_that_leaves_is_not(
    form: list[str], tmp_path: Path
) -> None:
    write_run(tmp_path, *[fill(number) for number in range(3000)])
    words = ["fills", "--state-dir", str(tmp_path), *form]
    program = [sys.executable, "-c", "from botkit.cli import main; main()", *words]
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603  our own interpreter
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "the fills could not be written (No space left on device)" in ran.stderr

    piped = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603  our own interpreter
    assert piped.stdout is not None
    assert piped.stderr is not None
    piped.stdout.read(10)
    piped.stdout.close()
    assert piped.stderr.read() == b""
    piped.stderr.close()
    piped.wait(20)


def test_figures_are_seven_or_all_before_the_point_without_zeros_at_the_end() -> None:
    numbers = (
        "100.00",
        "0.010",
        "1234567.891234",
        "123456789",
        "-6.030361821702309558",
        "0",
        "1E+4",
    )
    assert [figures(Decimal(each)) for each in numbers] == [
        "100",
        "0.01",
        "1,234,568",
        "123,456,789",
        "-6.030362",
        "0",
        "10,000",
    ]


# --- risk ---------------------------------------------------------------------------------------


def verdict(rule: str, measured: str, limit: str = "10") -> Verdict:
    left = Decimal(limit) - Decimal(measured)
    return Verdict(rule, passed=left >= 0, limit=Decimal(limit), measured=Decimal(measured))


def refusal(number: int, text: str) -> Refused:
    return Refused(
        client_order_id=name(number),
        symbol=SYMBOL,
        strategy="maker",
        request=RequestKind.NEW,
        rule="max_order_qty",
        limit="10",
        measured="11",
        text=text,
        transact_time_ns=T0 + number * S,
    )


def test_risk_show_tells_refusals_and_the_tightest_margin_of_each_rule(
    cli: Cli, tmp_path: Path
) -> None:
    write_run(
        tmp_path,
        checked(1, verdict("max_order_qty", "7"), verdict("max_position", "90", "100")),
        checked(2, verdict("max_order_qty", "11"), Verdict("self_trade", passed=True)),
        refusal(2, "too much"),
        refusal(3, "still too much"),
        checked(4, verdict("max_order_qty", "8"), verdict("max_position", "1", "2")),
        checked(5, verdict("max_spread", "0", "0")),
    )

    switch, *rules = [json.loads(line) for line in cli("risk", "show", "--json")[1].splitlines()]

    assert (switch["bot"], switch["halted"]) == ("demo", None)
    assert [(each["rule"], each["asked"], each["refused"]) for each in rules] == [
        ("max_order_qty", 3, 2),
        ("max_position", 2, 0),
        ("self_trade", 0, 0),
        ("max_spread", 1, 0),
    ]
    assert (rules[0]["margin"], rules[0]["client_order_id"]) == ("-1", "demo-r1-2")
    # A tenth of 100 left is nearer than half of 2.
    assert (rules[1]["margin"], rules[1]["limit"]) == ("10", "100")
    assert (rules[0]["last_refused_id"], rules[0]["last_refusal"]) == (
        "demo-r1-3",
        "still too much",
    )
    table = cli("risk", "show")[1]
    assert "Kill switch  not tripped: bot demo may trade" in table
    assert "2 refusals" in table


def test_risk_show_tells_a_trip_how_to_clear_it_and_what_was_cleared(
    cli: Cli, tmp_path: Path
) -> None:
    write_run(tmp_path, new_order(1))
    switch = KillSwitch.of(tmp_path, "demo")
    switch.trip(Halted(rule="operator", reason="a drill"), T0)
    assert cli("risk", "clear", "--reason", "it was a drill")[0] == 0
    switch = KillSwitch.of(tmp_path, "demo")
    switch.carry({"max_daily_loss": {"day": "1", "loss": "50"}})
    switch.trip(
        Halted(rule="max_daily_loss", reason="lost", limit="500", measured="501"), T0 + 60 * S
    )

    _, told, _ = cli("risk", "show")

    assert "TRIPPED at 2024-01-01T00:01:00.000Z by max_daily_loss: lost" in told
    assert "(limit 500, measured 501)" in told
    assert f"botkit risk clear --bot demo --state-dir {tmp_path} --reason TEXT" in told
    assert "it was a drill (had been halted by operator at 2024-01-01T00:00:00.000Z" in told
    assert "Carried      max_daily_loss: day 1970-01-02, loss 50" in told


def test_risk_show_of_a_bot_that_was_halted_and_has_no_journal(cli: Cli, tmp_path: Path) -> None:
    KillSwitch.of(tmp_path, "gone").trip(Halted(rule="operator", reason="x"), T0)

    code, told, _ = cli("risk", "show", "--bot", "gone")
    assert code == 0
    assert "TRIPPED" in told
    assert "It has not run here yet." in told


# --- logs ---------------------------------------------------------------------------------------


def line(text: str, level: str = "info", run: str = "r1") -> str:
    time = "2024-01-01T00:00:00.000Z"
    return json.dumps({"time": time, "level": level, "run": run, "event": text, "field": 7})


def write_log(folder: Path, *lines: str, name: str = "demo.log") -> None:
    (folder / name).write_text("".join(f"{each}\n" for each in lines))


def test_logs_are_those_of_the_run_of_a_level_and_the_last(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, new_order(1))
    write_log(tmp_path, line("oldest"), line("old", run="r0"), name="demo.log.1")
    write_log(
        tmp_path,
        line("one"),
        line("two", "warning"),
        '{"cut',
        "7",
        '{"event": "no time"}',
        line("three\nwith more", "odd"),
    )

    _, told, _ = cli("logs")
    assert [each for each in ("oldest", "one", "two", "three") if each in told] == [
        "oldest",
        "one",
        "two",
        "three",
    ]
    assert "2024-01-01T00:00:00.000Z info     one  field=7" in told
    assert "old " not in told
    assert "cut" not in told
    assert "one" not in cli("logs", "--level", "warning")[1]
    assert "two" not in cli("logs", "-n", "1")[1]
    (only,) = cli("logs", "--lines", "1", "--json")[1].splitlines()
    assert json.loads(only)["event"] == "three\nwith more"
    assert "two" in cli("logs", "--follow")[1]  # the run is over, so it ends
    write_log(tmp_path, line("other", run="r9"))
    (tmp_path / "demo.log.1").unlink()
    _, out, err = cli("logs", "--level", "error")
    assert (out, "no line of run r1 of level error or above" in err) == ("", True)


def test_a_run_without_a_log_says_why(cli: Cli, tmp_path: Path) -> None:
    write_run(tmp_path, new_order(1), mode="REPLAY")

    code, _, err = cli("logs")
    assert code == 1
    assert "no log file of run r1 (REPLAY): replays at full speed write none" in err


def test_a_tail_sees_whole_lines_across_files_that_are_moved_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "demo.log"
    tail = Tail(path)
    assert tail.lines() == []
    with path.open("wb") as file:
        file.write(b"one\ntw")
        file.flush()
        assert tail.lines() == [b"one"]
        file.write(b"o\nthree\n")
    path.rename(tmp_path / "demo.log.1")
    assert tail.lines() == [b"two", b"three"]
    path.write_bytes(b"four\n")
    assert tail.lines() == [b"four"]
    tail.close()
    tail.close()


def test_the_log_file_is_begun_anew_when_full_and_keeps_the_last(tmp_path: Path) -> None:
    path = tmp_path / "demo.log"
    log = LogFile(path, lambda *_: None, bytes_max=100)
    for number in range(40):
        log.write(f"{number:02}" + "x" * 37)
    log.idle()
    log.close()
    log.close()

    files = log_files(path)
    assert [each.name for each in files] == [f"demo.log.{n}" for n in (5, 4, 3, 2, 1)] + [
        "demo.log"
    ]
    told = [text[:2] for each in files for text in each.read_text().splitlines()]
    assert told == [f"{number:02}" for number in range(28, 40)]
    assert all(each.stat().st_size <= 100 for each in files)


def test_a_log_file_that_was_taken_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "demo.log"
    log = LogFile(path, lambda *_: None)
    log.write("one")
    path.unlink()
    log.write("two")
    log.close()
    assert path.read_text() == "two\n"


def test_a_full_disk_is_said_once_and_the_log_goes_on_when_it_can(tmp_path: Path) -> None:
    path = tmp_path / "demo.log"
    path.symlink_to("/dev/full")
    told: list[Any] = []
    log = LogFile(path, lambda *words: told.append(words))

    log.write("lost")
    log.write("lost too")

    ((level, event, fields),) = told
    assert (level, event) == ("error", "the log file cannot be written")
    assert fields["path"] == str(path)
    assert fields["error"] == "No space left on device"
    log.close()
    path.unlink()
    log.write("found")
    assert path.read_text() == "found\n"
    log.close()


def test_a_line_that_was_cut_short_does_not_spoil_the_next(tmp_path: Path) -> None:
    """A file may grow to 8 bytes: the kernel then takes a part of a line, as a full disk does."""
    code = """
import resource, signal, sys
from pathlib import Path
from botkit.cli.log_file import LogFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8, resource.RLIM_INFINITY))
told = []
log = LogFile(Path(sys.argv[1]), lambda *words: told.append(words[2]["error"]))
log.write("0123456789")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.write("whole")
print(told)
"""
    path = tmp_path / "demo.log"
    ran = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert path.read_text() == "01234567\nwhole\n"
    assert ran.stdout == "['No space left on device']\n"


def screen_in(folder: Path, level: str) -> Screen:
    return Screen(
        form="console",
        level=level,
        status=False,
        patient=False,
        redact=lambda text: text.replace("hunter2", "***"),
        log_file=folder / "demo.log",
    )


@pytest.mark.parametrize(("level", "kept"), [("warning", 2), ("info", 2), ("debug", 3)])
def test_the_screens_lines_are_in_the_file_too_from_info_on_without_secrets(
    level: str, kept: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = screen_in(tmp_path, level)
    log = screen.log_by(lambda: T0, "r7")
    log("debug", "quiet", {})
    log("info", "key hunter2", {"run": "a strategy's own"})
    log("error", "loud", {"path": Path("x")})
    screen.close()

    lines = [json.loads(each) for each in (tmp_path / "demo.log").read_text().splitlines()]
    assert len(lines) == kept
    assert lines[-2] == {
        "time": "2024-01-01T00:00:00.000Z",
        "level": "info",
        "run": "r7",
        "event": "key ***",
        "run_": "a strategy's own",
    }
    assert ("quiet" in capsys.readouterr().out) is (level == "debug")


def test_a_log_file_that_cannot_be_made_does_not_hold_the_screen_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = screen_in(tmp_path / "nowhere", "info")
    log = screen.log_by(lambda: T0, "r7")
    log("info", "first", {})
    log("info", "second", {})
    screen.close()

    out = capsys.readouterr().out
    assert "first" in out
    assert "second" in out
    assert out.count("the log file cannot be written") == 1
