"""`botkit account`: what it lists, what it refuses without --yes, and what it prints."""

import importlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from botkit.cli.main import call
from botkit.cli.session import Session

Cli = Callable[..., tuple[int, str, str]]
BANK = """
from contextlib import asynccontextmanager

from botkit.adapter.account import AccountCall, AccountDesk, AccountParameter, Kind
from botkit.errors import OrderOutcomeUnknownError, VenueError

DONE = []


@asynccontextmanager
async def open_account(key):
    DONE.append(f"signed in with {key}")
    yield key


async def balances(account, values):
    return [{"currency": "BTC", "held": "1.5"}, {"currency": "EUR", "note": "none"}]


async def send(account, values):
    DONE.append(values)
    if values["to"] == "nobody":
        raise VenueError("bank: there is no such address")
    if values["to"] == "void":
        raise OrderOutcomeUnknownError("bank: send was sent and not answered: look")


async def change(account, values):
    DONE.append(values["password"].reveal())


def account_calls(setup):
    key = setup.options["key"]
    return AccountDesk(
        lambda: open_account(key),
        [
            AccountCall(name="balances", help="What is held.", run=balances),
            AccountCall(
                name="send",
                help="Send money.",
                run=send,
                moves="sends {qty} to {to}",
                parameters=(
                    AccountParameter(name="to", help="Where to."),
                    AccountParameter(name="qty", kind=Kind.NUMBER, help="How much.", default=1),
                ),
            ),
            AccountCall(
                name="change",
                help="Change the password.",
                run=change,
                moves="changes the password",
                parameters=(AccountParameter(name="password", kind=Kind.HIDDEN, help="New."),),
            ),
        ],
    )
"""
CONFIG = """
[bot]
name = "unit"

[venues.bank]
type = "unit_bank"
key = "my-key"

[venues.bank.paper]
balances = { BTC = "1" }

[[strategies]]
type = "market_maker"
instrument = "bank:BTC-EUR"
params = { qty = "1" }
"""


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what the bank was told; it is a plug-in of somebody's, for this test."""
    dist = tmp_path / "somebodys-1.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys\nVersion: 1.0\n")
    (dist / "entry_points.txt").write_text(
        "[botkit.accounts]\nunit_bank = somebodys_bank:account_calls\n"
    )
    (tmp_path / "somebodys_bank.py").write_text(BANK)
    (tmp_path / "bot.toml").write_text(CONFIG)
    (tmp_path / "bot.toml").chmod(0o600)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "somebodys_bank", raising=False)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    found: list[object] = importlib.import_module("somebodys_bank").DONE
    return found


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Return a way to call the command line in this process."""

    def call_cli(*words: str) -> tuple[int, str, str]:
        code = call(list(words), Session())
        out, err = capfd.readouterr()
        return int(code), out, err

    return call_cli


def test_without_a_call_it_lists_them_and_connects_to_nobody(cli: Cli, done: list[object]) -> None:
    code, out, _ = cli("account", "bot.toml", "bank")
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["call", "parameters", "needs", "--yes", "what", "it", "does"],
        ["balances", "no", "What", "is", "held."],
        ["send", "to=", "[qty=]", "yes", "Send", "money."],
        ["change", "yes", "Change", "the", "password."],
    ]
    assert done == []
    code, out, _ = cli("account", "bot.toml", "bank", "--json")
    send = json.loads(out.splitlines()[1])
    assert send["parameters"][1] == {
        "name": "qty", "kind": "a number such as 0.1", "required": False, "help": "How much.",
    }  # fmt: skip
    assert [send["call"], send["moves"]] == ["send", True]


def test_a_call_that_only_looks_prints_rows(cli: Cli, done: list[object]) -> None:
    code, out, _ = cli("account", "bot.toml", "bank", "balances")
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["currency", "held", "note"],
        ["BTC", "1.5"],
        ["EUR", "none"],
    ]
    code, out, _ = cli("account", "bot.toml", "bank", "balances", "--json")
    assert json.loads(out.splitlines()[0]) == {"currency": "BTC", "held": "1.5", "note": None}
    assert done == ["signed in with my-key"] * 2


def test_what_moves_money_is_refused_without_yes_and_says_what_it_would_do(
    cli: Cli, done: list[object]
) -> None:
    code, _, err = cli("account", "bot.toml", "bank", "send", "to=me", "qty=2.50")
    assert code == 2
    assert "account bank send: it sends 2.50 to me; nothing was sent, add --yes" in err
    assert done == []
    code, out, _ = cli("account", "bot.toml", "bank", "send", "to=me", "--yes")
    assert (code, out) == (0, "Done.\n")
    assert done == ["signed in with my-key", {"to": "me", "qty": 1}]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("elsewhere",), "found venue 'elsewhere', allowed: bank"),
        (("bank", "steal"), "found call 'steal', allowed: balances, send, change"),
        (("bank", "send", "me"), "found 'me', allowed: NAME=VALUE"),
        (("bank", "send", "--yes"), "to is missing; give to=VALUE"),
        (("bank", "send", "to=me", "qty=x", "--yes"), "qty: found 'x', allowed: a number"),
        (("bank", "change", "password=p", "--yes"), "was given on the command line"),
    ],
)
def test_what_is_wrong_is_said_before_anything_connects(
    cli: Cli, done: list[object], words: tuple[str, ...], message: str
) -> None:
    code, _, err = cli("account", "bot.toml", *words)
    assert code == 2
    assert message in err
    assert done == []


def test_a_venue_without_calls_is_said_to_have_none(cli: Cli, done: list[object]) -> None:
    code, _, err = cli("account", "bot.toml", "bank", "--set", 'venues.bank.type="paper"')
    assert code == 2
    assert 'found "paper" (text), allowed: the plug-ins of botkit.accounts' in err


def test_what_the_venue_does_not_do_is_an_error(cli: Cli, done: list[object]) -> None:
    code, _, err = cli("account", "bot.toml", "bank", "send", "to=nobody", "--yes")
    assert (code, "bank: there is no such address" in err) == (1, True)
    code, _, err = cli("account", "bot.toml", "bank", "send", "to=void", "--yes")
    assert (code, "sent and not answered: look" in err) == (1, True)


def test_a_secret_is_read_and_never_shown(
    cli: Cli, done: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is piped in; nothing is read where nothing will be done."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("open sesame\n"))
    code, _, err = cli("account", "bot.toml", "bank", "change")
    assert (code, "it changes the password; nothing was sent" in err) == (2, True)
    code, out, err = cli("account", "bot.toml", "bank", "change", "--yes")
    assert code == 0
    assert "sesame" not in out + err
    assert done == ["signed in with my-key", "open sesame"]
