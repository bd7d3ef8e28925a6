"""Finding and asking a running bot, over real sockets: who answers, and who does not."""

import os
import socket
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from botkit.cli.asking import Line, ask, dial, lock_owner, not_running
from botkit.cli.choosing import BotChoice
from botkit.cli.telling import how_to_clear, order_text, tell_done
from botkit.control import Done, Look, OrderTold, Refusal, encode_line, socket_path
from botkit.errors import BotkitError, ConfigError
from botkit.journal import SqliteJournal, hold_lock
from botkit.model import ClientOrderId, OrdStatus, Side
from botkit.shell import ExitCode
from tests.unit.asking_bench import answering


def choice(folder: Path, name: str | None = None) -> BotChoice:
    return BotChoice(folder, name, None)


def test_the_only_bot_that_runs_is_the_one_meant(tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(socket_path(tmp_path, "dead")))
    stale.close()
    with answering(tmp_path, "live", encode_line(Done(run_id="r", text="it is so"))):
        assert ask(choice(tmp_path), Look()) == ("live", Done(run_id="r", text="it is so"))


def test_of_several_one_has_to_be_named(tmp_path: Path) -> None:
    with (
        answering(tmp_path, "a", None),
        answering(tmp_path, "b", None),
        pytest.raises(ConfigError, match="several run there: a, b; give its CONFIG, or --bot"),
    ):
        dial(choice(tmp_path))


def test_where_none_runs_it_is_the_only_one_that_has_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the folder has no bot's journal"):
        dial(choice(tmp_path))
    SqliteJournal.open(tmp_path, "once").close()
    assert dial(choice(tmp_path)) == ("once", None)
    with pytest.raises(BotkitError, match="bot 'once' is not running: nobody listens at"):
        ask(choice(tmp_path), Look())


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (encode_line(Refusal(text="it is Sunday")), "bot 'x': it is Sunday"),
        (b"nonsense\n", "its answer cannot be read"),
        (b'{"type":"done","run_id":"r"}\n', "its answer cannot be read"),
        (b'{"type":"done","run_', "bot 'x' ended before it answered"),
        (None, "bot 'x' ended before it answered"),
    ],
)
def test_what_is_no_answer_is_told(tmp_path: Path, answer: bytes | None, problem: str) -> None:
    with answering(tmp_path, "x", answer), pytest.raises(BotkitError, match=problem):
        ask(choice(tmp_path, "x"), Look())


def test_a_bot_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "x")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    line = Line.open("x", path)
    assert line is not None
    with line, listening:
        with pytest.raises(BotkitError, match=r"has not answered within 0\.05 s: it may hang"):
            line.ask(Look(), patience_s=0.05)
        assert not line.ended(0.05)
        client, _ = listening.accept()
        client.close()
        assert line.ended(0.05)


def test_somebody_else_s_bot_is_not_asked(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "x")
    own = os.geteuid()
    listens = own or 77
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        os.seteuid(listens)  # who listens is who is at this moment
        listening.listen()
        os.seteuid(own)
        with pytest.raises(BotkitError, match=f"user {listens} listens there, allowed: 78, you"):
            Line.open("x", path, own_uid=78)
        for asks in (listens, 0):  # root may ask anybody's
            line = Line.open("x", path, own_uid=asks)
            assert line is not None
            line.close()


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "x")
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(str(path))
    with datagrams, pytest.raises(BotkitError, match="the control socket of bot 'x' cannot be"):
        Line.open("x", path)


def test_who_holds_the_lock_is_known_without_taking_it(tmp_path: Path) -> None:
    path = socket_path(tmp_path, "x")
    assert lock_owner(path) is None
    with hold_lock(tmp_path, "x"):
        assert lock_owner(path) == os.getpid()
        assert lock_owner(path, locks=tmp_path / "nowhere") is None
        told = str(not_running(choice(tmp_path), "x"))
        assert f"runs as process {os.getpid()}, but nobody listens at" in told
        assert f"kill -INT {os.getpid()}" in told
    assert lock_owner(path) is None


# --- telling --------------------------------------------------------------------------------


def build_order(
    number: int, status: OrdStatus, *, price: Decimal | None = None, doubt: str = ""
) -> OrderTold:
    return OrderTold(
        client_order_id=ClientOrderId(f"o-{number}"),
        strategy="mm",
        symbol="paper:BTC-EUR",
        side=Side.SELL,
        order_qty=Decimal(5),
        price=price,
        ord_status=status,
        cum_qty=Decimal(number),
        in_doubt=bool(doubt),
        text=doubt,
    )


def test_an_order_in_doubt_says_why() -> None:
    plain = build_order(0, OrdStatus.NEW, price=Decimal("99.5"))
    doubted = build_order(2, OrdStatus.UNKNOWN, doubt="the link was lost")
    assert order_text(plain) == "o-0  sell 5 paper:BTC-EUR at 99.5  NEW"
    assert order_text(doubted) == (
        "o-2  sell 5 paper:BTC-EUR at market  UNKNOWN, 2 filled (the link was lost)"
    )


def test_what_is_gone_may_rest_was_placed_since_is_kept_or_foreign_is_told_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = Done(
        run_id="r",
        text="",
        orders=(build_order(1, OrdStatus.FILLED), build_order(2, OrdStatus.PENDING_CANCEL)),
        placed=(build_order(3, OrdStatus.NEW),),
        kept=(build_order(4, OrdStatus.NEW),),
        foreign=("V-9  buy 1 paper:BTC-EUR  NEW",),
    )

    assert tell_done(done) is ExitCode.ORDERS_MAY_REST

    out = capsys.readouterr().out
    told = [part.split("\0") for part in out.strip().replace("\n  ", "\0").split("\n")]
    assert [head for head, _ in told] == [
        "1 order over:",
        "1 order MAY STILL REST, no word of the venue yet:",
        "1 order placed since, strategies go on (botkit pause all stops them):",
        "Left, since their strategy wants them kept:",
        "Not ours, left alone:",
    ]
    assert [line[:3] for _, line in told] == ["o-1", "o-2", "o-3", "o-4", "V-9"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, ExitCode.CLEAN),
        ({"orders": (build_order(1, OrdStatus.CANCELED),)}, ExitCode.CLEAN),
        ({"orders": (build_order(1, OrdStatus.UNKNOWN),)}, ExitCode.ORDERS_MAY_REST),
        ({"placed": (build_order(1, OrdStatus.NEW),)}, ExitCode.ORDERS_MAY_REST),
        ({"kept": (build_order(1, OrdStatus.NEW),)}, ExitCode.CLEAN),
    ],
)
def test_the_exit_code_is_3_if_an_order_of_ours_may_rest(
    more: dict[str, tuple[OrderTold, ...]], code: ExitCode
) -> None:
    assert tell_done(msgspec.structs.replace(Done(run_id="r", text=""), **more)) is code


def test_how_to_clear_names_the_bot(tmp_path: Path) -> None:
    assert how_to_clear(choice(tmp_path), "demo").endswith(
        f"botkit risk clear --bot demo --state-dir {tmp_path} --reason TEXT"
    )
