"""What the commands that act say of bots that end badly, stay up, or are not what they seem."""

import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.control import Done, OrderTold, Refusal, encode_line
from botkit.journal import SqliteJournal, hold_lock
from botkit.killswitch import KillSwitch
from botkit.model import (
    ClientOrderId,
    EquityPoint,
    ExecType,
    ExecutionReport,
    Flattened,
    FlattenedPosition,
    NewOrder,
    OrdStatus,
    ReplaceOrder,
    Side,
)
from botkit.ports import JournalEntry
from tests.unit.asking_bench import answering

Cli = Callable[..., tuple[int, str]]
HALTED = "halted by operator: enough"
NAME = ClientOrderId("x-r-1")
TOLD = OrderTold(
    client_order_id=NAME,
    strategy="mm",
    symbol="far:BTC-EUR",
    side=Side.BUY,
    order_qty=Decimal(2),
    price=None,
    ord_status=OrdStatus.PENDING_CANCEL,
    cum_qty=Decimal(0),
)
ORDER = NewOrder(
    client_order_id=NAME,
    symbol="far:BTC-EUR",
    strategy="mm",
    side=Side.BUY,
    order_qty=Decimal(2),
)
CANCELED = ExecutionReport(
    symbol="far:BTC-EUR",
    ord_status=OrdStatus.CANCELED,
    exec_type=ExecType.CANCELED,
    client_order_id=NAME,
)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call a command where bot x has its state; return code and all that was said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()

    def call_cli(*words: str) -> tuple[int, str]:
        code = call(list(words), Session())
        out, err = capsys.readouterr()
        return int(code), out + err

    return call_cli


def write_run(exit_code: int | None, *entries: JournalEntry) -> None:
    """Write a run of bot x: killed if it has no exit code."""
    journal = SqliteJournal.open(Path("var"), "x")
    journal.begin_run(run_id="r", mode="LIVE", config="", started_ns=1)
    for entry in entries:
        journal.record(entry)
    journal.commit()
    if exit_code is not None:
        journal.end_run(ended_ns=2, exit_code=exit_code, reason="enough", summary=None)
    journal.close()


def halted(*, ends: bool = True, orders: tuple[OrderTold, ...] = ()) -> bytes:
    return encode_line(
        Done(
            run_id="r", text="the kill switch has tripped", halted=HALTED, ends=ends, orders=orders
        )
    )


@pytest.mark.parametrize(
    ("exit_code", "entries", "code", "told"),
    [
        (4, (ORDER, CANCELED), 0, "exit code 4: halted by risk; nothing of ours rests"),
        (3, (ORDER,), 3, "1 order MAY STILL REST:\n  x-r-1  buy 2 far:BTC-EUR at market\n"),
        (4, (ORDER,), 3, "1 order MAY STILL REST:\n"),  # to be kept, so the bot did not wait for it
        (None, (ORDER,), 3, "does not tell how: it may have been killed. ORDERS MAY STILL REST"),
    ],
)
def test_halt_believes_the_journal_on_how_it_ended(
    cli: Cli, exit_code: int | None, entries: tuple[JournalEntry, ...], code: int, told: str
) -> None:
    write_run(exit_code, *entries)

    with answering(Path("var"), "x", halted(orders=(TOLD,))):
        found, out = cli("halt", "--reason", "enough")

    assert (found, told in out) == (code, True), out


def test_halt_of_a_bot_that_stays_up_says_so(cli: Cli) -> None:
    with answering(Path("var"), "x", halted(ends=False)):
        code, out = cli("halt", "--reason", "enough")

    assert code == 0
    assert "No order of ours was open.\n" in out
    assert "--keep-running: it stays up, and nothing but reducing orders passes." in out


def test_halt_of_a_bot_that_ends_meanwhile_keeps_it_from_starting(cli: Cli) -> None:
    write_run(0)
    with answering(Path("var"), "x", None):
        code, out = cli("halt", "--reason", "enough")

    assert (code, "x: the bot ended before it answered." in out) == (0, True)
    assert "x is not running. Its kill switch has tripped" in out
    switch = KillSwitch.of(Path("var"), "x").halted
    assert switch is not None
    assert switch.reason == "enough"


@pytest.mark.parametrize(
    "words",
    [
        ("halt", "--reason", "x"),
        ("resolve", NAME, "--as", "canceled", "--reason", "x"),
        ("pause", "all"),
        ("status",),
    ],
)
def test_a_bot_that_runs_and_does_not_listen_is_told_with_its_process(
    cli: Cli, words: tuple[str, ...]
) -> None:
    write_run(0)
    with hold_lock(Path("var"), "x"):
        code, out = cli(*words)

    assert code == 1
    assert "bot 'x' runs as process" in out
    assert "replays at full speed; try again, or end it: kill -INT" in out


@pytest.mark.parametrize(
    ("halt", "stopping", "code", "told"),
    [
        (HALTED, HALTED, 4, f"It is {HALTED}; resume does not clear that: nothing but reducing"),
        ("", "signal SIGINT", 1, "It is stopping all the same: signal SIGINT"),
        ("", "", 0, "x: all is resumed"),
    ],
)
def test_resume_never_clears_a_halt(
    cli: Cli, halt: str, stopping: str, code: int, told: str
) -> None:
    done = Done(run_id="r", text="all is resumed", halted=halt, stopping=stopping)
    with answering(Path("var"), "x", encode_line(done)):
        found, out = cli("resume", "all")

    assert (found, told in out) == (code, True), out


def left(qty: str, *, dust: bool = False, why: str = "") -> FlattenedPosition:
    return FlattenedPosition(
        strategy="",
        symbol="S",
        before=Decimal(2),
        left=Decimal(qty),
        is_dust=dust,
        why=why,
    )


@pytest.mark.parametrize(
    ("positions", "orders", "code", "told"),
    [
        (
            (left("0"),),
            (),
            0,
            "x: flat; all is paused\nPositions:\n  S of no strategy  2 before, 0 left\n",
        ),
        ((left("1", dust=True, why="too little"),), (), 0, "1 left: dust, too little\n"),
        (
            (left("1", why="no quote"),),
            (),
            1,
            "x: NOT FLAT; all is paused\nPositions:\n  S of no strategy",
        ),
        ((left("0"),), (TOLD,), 3, "1 order MAY STILL REST"),
        ((), (), 0, "x: nothing was held; all is paused\n"),
        (None, (), 1, "x: still closing positions, see botkit status"),
    ],
)
def test_flatten_tells_what_is_left(
    cli: Cli,
    positions: tuple[FlattenedPosition, ...] | None,
    orders: tuple[OrderTold, ...],
    code: int,
    told: str,
) -> None:
    flattened = None
    if positions is not None:
        flattened = Flattened(target="", positions=positions, orders=(), receive_time_ns=1)
    done = Done(run_id="r", text="all is paused", orders=orders, flattened=flattened)
    with answering(Path("var"), "x", encode_line(done)):
        found, out = cli("flatten", "--yes")

    assert (found, told in out) == (code, True), out


def build_status(**more: object) -> bytes:
    """Return the status of a bot x of nothing but `more`, as a line."""
    nothing: dict[str, object] = {
        **dict.fromkeys(["mode", "run_id", "stopping", "halted"], ""),
        **dict.fromkeys(["pid", "started_ns", "run_ns", "now_ns", "order_count", "in_doubt"], 0),
        **dict.fromkeys(["venues", "markets", "strategies", "positions", "orders"], ()),
        **dict.fromkeys(["foreign", "profit"], ()),
        "paused": {},
        "counts": {},
    }
    told = {"type": "status", **nothing, "bot": "x", "mode": "PAPER", **more}
    return msgspec.json.encode(told) + b"\n"


POINT = EquityPoint(
    currency="EUR",
    realised=Decimal(3),
    unrealised=Decimal(-1),
    fees=Decimal(1),
    equity=Decimal(1),
)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"stopping": "signal SIGINT", "halted": HALTED}, "PAPER  x: stopping: signal SIGINT"),
        ({"halted": HALTED}, f"PAPER  x: {HALTED}"),
        ({"paused": {"": "everything is paused: lunch"}}, "PAPER  x: everything is paused: lunch"),
        (
            {"venues": [{"name": "far", "up": False, "reason": "the link was lost"}]},
            "Venue        far NOT READY: the link was lost",
        ),
        (
            {
                "markets": [
                    {"symbol": "S", "bid_px": None, "ask_px": 2.5, "age_s": None, "blocked": "no"}
                ]
            },
            "Market       S - / 2.5, never heard, no new orders: no",
        ),
        (
            {
                "profit": [POINT],
                "total": {"currency": "USD", "point": None, "missing": ["no rate"]},
            },
            "Total        incomplete in USD: no rate",
        ),
        (
            {"total": {"currency": "EUR", "point": POINT}},
            "Total        1.00 EUR (realised 3.00, unrealised -1.00, fees 1.00)",
        ),
        ({"order_count": 9, "orders": [TOLD], "in_doubt": 2}, "Orders       9 open, 2 IN DOUBT"),
        ({"order_count": 9, "orders": [TOLD]}, "The first 1:"),
        ({"foreign": ["V-9  buy 1 S  NEW"]}, "  V-9  buy 1 S  NEW"),
        (
            {"positions": [{"strategy": "", "symbol": "S", "qty": "1", "average_px": None}]},
            "Position     1 S of no strategy",
        ),
    ],
)
def test_status_tells(cli: Cli, more: dict[str, object], line: str) -> None:
    with answering(Path("var"), "x", build_status(**more)):
        code, out = cli("status")

    assert code == 0
    assert line in out.splitlines(), out


def test_status_of_what_is_not_a_bot_of_this_kind_is_an_error(cli: Cli) -> None:
    with answering(Path("var"), "x", encode_line(Refusal(text="no"))):
        assert cli("status") == (1, "bot 'x' does not tell its status: no\n")
    Path("var/x.sock").unlink()
    with answering(Path("var"), "x", encode_line(Done(run_id="r", text="done"))):
        assert cli("status")[0] == 1


def test_a_status_that_does_not_act_is_no_answer_to_an_act(cli: Cli) -> None:
    with answering(Path("var"), "x", build_status()):
        assert cli("pause", "all") == (
            1,
            "bot 'x' answered something else: is it of another botkit?\n",
        )


def test_status_of_a_bot_that_is_not_running_as_json(cli: Cli) -> None:
    write_run(3, ORDER)
    with answering(Path("var"), "x", None):
        code, out = cli("status", "--json")

    told = json.loads(out)
    assert code == 1
    assert (told["running"], told["exit_code"], told["reason"]) == (False, 3, "enough")
    assert told["halted"] == ""


def test_a_word_on_an_order_that_was_being_replaced_may_be_on_either(cli: Cli) -> None:
    replace = ReplaceOrder(
        client_order_id=ClientOrderId("x-r-2"),
        orig_client_order_id=NAME,
        symbol="far:BTC-EUR",
        strategy="mm",
        side=Side.BUY,
        order_qty=Decimal(5),
        price=None,
    )
    write_run(None, ORDER, replace)
    word = ("--as", "filled", "--avg-px", "9", "--reason", "seen")
    code, out = cli("resolve", "x-r-2", "--cum-qty", "6", *word)
    assert (code, "found cum_qty 6, allowed: 0 to 5" in out) == (1, True)
    code, out = cli("resolve", "x-r-2", "--cum-qty", "5", *word)
    assert (code, "Nothing of it is open any more" in out) == (0, True)


def test_a_bot_that_ends_before_it_takes_the_word_is_told(cli: Cli) -> None:
    with answering(Path("var"), "x", None):
        code, out = cli("resolve", NAME, "--as", "canceled", "--reason", "x")
    assert (code, out) == (1, "bot 'x' ended before it answered: say it again\n")


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_flatten_that_is_not_agreed_to_does_nothing_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, answer: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    code = call(["flatten", "--bot", "x", "--state-dir", str(tmp_path)], Session())

    assert (code, capsys.readouterr().err.endswith("Nothing was done.\n")) == (1, True)


@pytest.mark.parametrize(
    "words",
    [
        ["halt"],
        ["risk", "clear"],
        ["adjust", "deposit", "paper", "EUR", "1"],
        ["resolve", "x-1", "--as", "canceled"],
    ],
)
def test_a_blank_reason_is_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    code = call([*words, "--reason", " ", "--bot", "x", "--state-dir", str(tmp_path)], Session())

    assert (code, "allowed: a few words on why" in capsys.readouterr().err) == (2, True)
    assert list(tmp_path.iterdir()) == []
