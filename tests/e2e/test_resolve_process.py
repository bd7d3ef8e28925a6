"""Orders that nobody can tell of, ended by a person's word: of a running bot, of a killed one."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.control import StatusTold
from botkit.journal import JournalReader
from botkit.model import ResolveOrder
from tests.e2e.control_bench import botkit, prepare, running, until

Cli = Callable[..., tuple[int, str]]
SEEN = ("--reason", "seen on the page")


def is_in_doubt(status: StatusTold) -> bool:
    return status.in_doubt == status.order_count == 3


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call a command in the test's folder; return code and all that was said."""
    monkeypatch.chdir(tmp_path)

    def call_cli(*words: str) -> tuple[int, str]:
        code = call(list(words), Session())
        out, err = capsys.readouterr()
        return int(code), out + err

    return call_cli


def resolve_while_it_runs(folder: Path, config: str, cli: Cli) -> tuple[str, str]:
    """Run a bot all of whose orders are in doubt, resolve one, kill it; return the others."""
    (folder / "cut").touch()
    with running(folder, config, "--live") as process:
        kept, first, second = (
            each.client_order_id for each in until(process, folder, is_in_doubt).orders
        )
        told = cli("status")[1]
        assert "3 open, 3 IN DOUBT" in told
        assert "UNKNOWN (the venue has not answered in time)" in told

        code, out = cli("resolve", first, "--as", "filled", *SEEN)
        assert (code, "say all that it filled and the mean price" in out) == (1, True)
        whole = ("--cum-qty", "0.01", "--avg-px", "50000")
        code, out = cli("resolve", first, config, "--as", "filled", *whole, *SEEN)
        assert code == 0, out
        assert out.startswith("e2e: the order is over by your word; the journal keeps it\n")
        assert f"  {first}  buy 0.01 paper:BTC-EUR at " in out
        assert "0.01 paper:BTC-EUR of quoter, entered at 50,000.00" in cli("status")[1]
        until(process, folder, is_in_doubt)  # the strategy has placed another in its stead
        process.kill()
        process.wait()
    return kept, second


def test_orders_in_doubt_are_resolved_while_the_bot_runs_and_after_it_was_killed(
    tmp_path: Path, cli: Cli
) -> None:
    config = prepare(tmp_path, type_="silent", speed="20x")
    kept, second = resolve_while_it_runs(tmp_path, config, cli)
    code, out = cli("status")
    assert (code, "was killed: botkit orders --open lists what it left open" in out) == (1, True)
    code, out = cli("resolve", "e2e-no-1", "--as", "canceled", *SEEN)
    assert code == 1
    assert f"found 'e2e-no-1', allowed: {kept}, {second}" in out
    *_, placed_since = out.split(", ")
    code, out = cli("resolve", second, "--as", "filled", *SEEN)
    assert (code, "FILLED without quantities, and only 0 of 0.01 is counted" in out) == (1, True)

    code, out = botkit(tmp_path, "run", config, "--live", "--for", "1s")
    assert code == 3, "the venue says nothing of the orders that the run has taken over"
    assert "3 orders may rest and will be canceled before anything trades" in out
    assert kept in out
    code, out = cli("halt", "--reason", "not before I have looked")
    assert code == 3, "orders of the killed run may rest"
    assert "e2e is not running. Its kill switch has tripped" in out
    assert "3 orders of its last run MAY STILL REST:\n" in out
    assert cli("risk", "clear", config, "--reason", "looked")[0] == 0

    part = ("--cum-qty", "0.004", "--avg-px", "50000")
    code, out = cli("resolve", second, "--as", "canceled", *part, *SEEN)
    assert (code, "e2e is not running; of its run " in out) == (0, True)
    assert "2 orders of it may still rest:\n" in out
    assert cli("resolve", placed_since.strip(), "--as", "expired", *SEEN)[0] == 0
    code, out = cli("resolve", kept, "--as", "rejected", *SEEN)
    assert code == 0
    assert "the next start does not refuse because of it" in out
    with JournalReader(tmp_path / "var" / "e2e.sqlite") as reader:
        run = reader.last_run()
        assert run is not None
        words = list(reader.entries(run.run_id, (ResolveOrder,)))
        assert [fill.qty for fill in reader.fills(run.run_id)] == [Decimal("0.004")]
    assert len(words) == 3
    assert all(isinstance(word, ResolveOrder) and word.by for word in words)

    (tmp_path / "cut").unlink()
    code, out = botkit(tmp_path, "run", config, "--live", "--for", "1s")
    assert code == 0, out
    assert "ended with exit code 3." in out


def test_what_has_never_run_cannot_be_asked(tmp_path: Path, cli: Cli) -> None:
    config = prepare(tmp_path)
    gone = "bot 'e2e' is not running: nobody listens at var/e2e.sock; start it by botkit run"
    for words in (
        ("cancel-all", config),
        ("pause", "all", config),
        ("resume", "all", config),
        ("adjust", "deposit", "paper", "EUR", "5", config, "--reason", "x"),
        ("resolve", "x", config, "--as", "canceled", "--reason", "x"),
    ):
        code, out = cli(*words)
        assert (code, out.startswith(gone)) == (1, True), out
    assert cli("status", config)[0] == 2
    code, out = cli("halt", "--bot", "e2e", "--reason", "x")
    assert (code, "no bot 'e2e' has run here: give its CONFIG" in out) == (1, True)
    code, out = cli("halt", config, "--reason", "not yet")
    assert code == 0
    assert "Its kill switch has tripped (var/e2e.risk.json): not yet" in out
    code, out = cli("halt", config, "--reason", "again")
    assert (code, "was halted already by operator at" in out) == (0, True)
    assert f"botkit risk clear {config} --reason TEXT" in out
    assert botkit(tmp_path, "run", config, "--for", "1s")[0] == 4
