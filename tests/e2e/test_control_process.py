"""The commands that act on a running paper bot, each against a real process."""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.control import StatusTold
from botkit.journal import JournalReader
from botkit.model import Adjustment, AdjustmentKind, OperatorCommand
from tests.e2e.control_bench import botkit, botkit_here, look, prepare, running, until

Cli = Callable[..., tuple[int, str]]
NS_PER_S = 1_000_000_000
ALL = 3  # orders that the strategy keeps open, one of them to be kept


def quotes(status: StatusTold) -> bool:
    return status.order_count == ALL and all(each.ord_status == "NEW" for each in status.orders)


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run one paper bot for all tests of this module; return its folder."""
    folder = tmp_path_factory.mktemp("control")
    with running(folder, prepare(folder)) as process:
        until(process, folder, quotes)
        yield folder
    assert process.returncode is not None


@pytest.fixture
def cli(bot: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call a command beside the running bot; return code and all that was said."""
    monkeypatch.chdir(bot)

    def call_cli(*words: str) -> tuple[int, str]:
        code = call(list(words), Session())
        out, err = capsys.readouterr()
        return int(code), out + err

    return call_cli


def told(folder: Path, kind: type) -> list[object]:
    with JournalReader(folder / "var" / "e2e.sqlite") as reader:
        run = reader.last_run()
        assert run is not None
        return list(reader.entries(run.run_id, (kind,)))


def test_status_shows_a_person_what_runs(cli: Cli) -> None:
    code, out = cli("status")

    assert code == 0
    assert out.startswith("PAPER  e2e: trading\nup 0:00:")
    assert re.search(r"^Venue +paper up$", out, re.MULTILINE)
    assert re.search(r"^Market +paper:BTC-EUR [\d,.]+ / [\d,.]+, heard \d", out, re.MULTILINE)
    assert re.search(r"^Strategy +quoter trading, 3 open, no P&L yet$", out, re.MULTILINE)
    assert re.search(r"^Orders +3 open; \d+ submitted", out, re.MULTILINE)
    assert (
        len(re.findall(r"^  e2e-\w+-\d+  buy 0.0\d paper:BTC-EUR at .*  NEW$", out, re.MULTILINE))
        == 3
    )


def test_status_as_json_is_one_object(cli: Cli) -> None:
    code, out = cli("status", "e2e.toml", "--json")

    status = json.loads(out)
    assert (code, status["running"], status["bot"]) == (0, True, "e2e")
    assert {each["symbol"] for each in status["orders"]} == {"paper:BTC-EUR"}


def test_a_paused_strategy_is_silent_until_it_is_resumed(bot: Path, cli: Cli) -> None:
    code, out = cli("pause", "quoter", "--reason", "lunch")
    assert code == 0, out
    assert out.startswith("e2e: quoter is paused: no new order and no replace of it passes\n")
    assert "2 orders over:\n" in out
    assert "Left, since their strategy wants them kept:\n" in out
    _, shown = cli("status")
    assert "quoter paused (quoter is paused: lunch), 1 open" in shown

    code, out = cli("resume", "quoter")
    assert (code, out) == (0, "e2e: quoter is resumed\n")
    status = look(bot)
    while status is not None and not quotes(status):
        status = look(bot)  # the next quote brings them
    command = told(bot, OperatorCommand)[-1]
    assert isinstance(command, OperatorCommand)
    assert re.fullmatch(r"uid \d+, pid \d+", command.by)


def test_cancel_all_says_what_is_gone_and_what_is_left(cli: Cli) -> None:
    for target in ("all", "paper:BTC-EUR"):
        cli("pause", target)
        code, out = cli("cancel-all", "--target", target)
        assert code == 0, out
        assert "e2e: canceled what rests of" in out
        assert "Left, since their strategy wants them kept:\n" in out
        assert cli("resume", target)[0] == 0

    code, out = cli("pause", "nobody")
    assert (code, out) == (
        1,
        "bot 'e2e': target: found 'nobody', allowed: quoter, paper:BTC-EUR, all\n",
    )


def test_adjustments_are_booked_and_journaled(bot: Path, cli: Cli) -> None:
    code, out = cli("adjust", "deposit", "paper", "EUR", "-250.5", "--reason", "withdrawn")
    assert (code, out) == (
        0,
        "e2e: booked -250.5 EUR at paper; it is no profit and no loss.\n",
    )
    trade = ("adjust", "trade", "paper:BTC-EUR", "0.5", "60000", "e2e.toml")
    code, out = cli(*trade, "--strategy", "quoter", "--reason", "by phone")
    assert "the position of quoter is 0.5 now" in out
    back = ("adjust", "trade", "paper:BTC-EUR", "-0.5", "60000", "--strategy", "quoter")
    assert cli(*back, "--reason", "x")[0] == 0
    deposit, *_ = told(bot, Adjustment)
    assert isinstance(deposit, Adjustment)
    assert (deposit.kind, deposit.reason) == (AdjustmentKind.DEPOSIT, "withdrawn")


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("deposit", "mars", "EUR", "5"), 1, "venue: found 'mars', allowed: paper"),
        (("deposit", "paper", "EUR", "0"), 1, "amount: found 0, allowed: what came"),
        (("deposit", "paper", "EUR", "much"), 2, "'much': allowed: a number"),
        (("deposit", "paper", "EUR", "NaN"), 2, "'NaN': allowed: a finite number"),
        (("trade", "paper:X", "1", "5"), 1, "symbol: found 'paper:X', allowed: paper:BTC-EUR"),
        (("trade", "paper:BTC-EUR", "1", "-5"), 1, "price: found -5, allowed: what it counts"),
        (("trade", "paper:BTC-EUR", "0", "5"), 1, "qty: found 0, allowed: what was bought"),
        (
            ("trade", "paper:BTC-EUR", "1", "5", "--strategy", "z"),
            1,
            "strategy: found 'z', allowed: quoter, or none",
        ),
    ],
)
def test_an_adjustment_that_cannot_be_is_refused_by_name(
    cli: Cli, words: tuple[str, ...], code: int, problem: str
) -> None:
    found, out = cli("adjust", *words, "--reason", "x")

    assert (found, problem in out) == (code, True), out


def test_flatten_closes_what_is_held_and_asks_before(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out = cli("flatten")
    assert code == 1
    assert "Cancel the orders of everything and close its positions by limit orders? [y/N]" in out
    cli(
        "adjust", "trade", "paper:BTC-EUR", "0.01", "60000", "--strategy", "quoter", "--reason", "x"
    )

    code, out = cli("flatten", "--target", "quoter", "--yes", "--reason", "going home")

    assert code == 0, out
    assert out.startswith("e2e: flat; quoter stays paused until it is resumed\n")
    assert "  paper:BTC-EUR of quoter  0.01 before, 0 left\n" in out
    assert re.search(r"^\d orders? over:$", out, re.MULTILINE)
    _, out = cli("flatten", "--yes")
    assert "e2e: nothing was held; everything stays paused" in out
    assert cli("resume", "all")[0] == 0


def test_resolve_refuses_an_order_that_is_not_in_doubt(bot: Path, cli: Cli) -> None:
    status = look(bot)
    assert status is not None
    while not quotes(status):
        status = look(bot)
        assert status is not None
    kept = next(each for each in status.orders if each.keep)

    code, out = cli("resolve", kept.client_order_id, "--as", "canceled", "--reason", "x")
    assert (code, "it is NEW, allowed: an UNKNOWN order; cancel it instead" in out) == (1, True)
    code, out = cli("resolve", "e2e-no-1", "--as", "canceled", "--reason", "x")
    assert (code, out) == (
        1,
        "bot 'e2e': order 'e2e-no-1': no order is UNKNOWN, so there is none to resolve\n",
    )


def test_commands_need_their_words(cli: Cli) -> None:
    assert cli("halt")[0] == 2
    assert cli("pause")[0] == 2
    assert cli("resolve", "x", "--as", "working", "--reason", "y")[0] == 2
    assert "more than 60s" in cli("cancel-all", "--wait", "2h")[1]
    assert "10s, for example" in cli("cancel-all", "--wait", "soon")[1]


def test_halt_stops_a_bot_within_a_second_until_a_person_clears_it(tmp_path: Path) -> None:
    config = prepare(tmp_path)
    with running(tmp_path, config) as process:
        until(process, tmp_path, quotes)

        code, out = botkit(tmp_path, "halt", "--reason", "enough is enough")

        assert code == 0, out
        assert process.wait(1.0) == 4, "the command has waited for the end of the process"
        said, _ = process.communicate()
    assert "e2e: the kill switch has tripped; it is halted by operator: enough is enough" in out
    assert "3 orders over:\n" in out
    assert "MAY STILL REST" not in out
    assert "exit code 4: halted by risk; nothing of ours rests at a venue." in out
    assert "botkit risk clear" in out
    assert re.search(r"operator command .*reason=enough is enough  by=uid \d+, pid \d+", said)
    assert re.search(r"^Ended +halted by operator: enough is enough", said, re.MULTILINE)
    with JournalReader(tmp_path / "var" / "e2e.sqlite") as reader:
        run = reader.last_run()
        assert run is not None
        (halt,) = reader.entries(run.run_id, (OperatorCommand,))
    assert isinstance(halt, OperatorCommand)
    assert run.ended_ns is not None
    assert 0 < run.ended_ns - halt.receive_time_ns < NS_PER_S
    assert not (tmp_path / "var" / "e2e.sock").exists()

    code, out = botkit(tmp_path, "run", config, "--for", "100ms")
    assert (code, "the bot was halted by operator at" in out) == (4, True)
    assert f"botkit risk clear {config} --reason TEXT" in out
    code, out = botkit_here(tmp_path, "status")
    assert code == 1
    assert out.startswith("e2e is not running. Its last run ")
    assert "with exit code 4, because of: halted by operator: enough is enough" in out
    assert "It does not start again until: botkit risk clear" in out
    assert botkit_here(tmp_path, "risk", "clear", config, "--reason", "looked at it")[0] == 0
    assert botkit(tmp_path, "run", config, "--for", "100ms")[0] == 0


def test_halt_on_a_venue_that_has_fallen_silent_ends_3_and_lists_what_may_rest(
    tmp_path: Path,
) -> None:
    config = prepare(tmp_path, type_="silent")
    with running(tmp_path, config, "--live") as process:
        status = until(process, tmp_path, quotes)
        (tmp_path / "cut").touch()

        code, out = botkit_here(tmp_path, "cancel-all", "--wait", "50ms")
        assert code == 3, out
        assert "2 orders MAY STILL REST, no word of the venue yet:\n" in out

        code, out = botkit(tmp_path, "halt", config, "--reason", "the venue is silent")

        assert (code, process.wait(1.0)) == (3, 3), out
        said, _ = process.communicate()
    assert "exit code 3: ORDERS MAY STILL REST" in out
    for order in status.orders:
        pattern = rf"^  {order.client_order_id}  buy .* {order.order_qty} paper:BTC-EUR"
        assert re.search(pattern.replace(" .* ", " "), out, re.MULTILINE), out
        assert order.client_order_id in said
    assert f"botkit risk clear {config} --reason TEXT" in out
