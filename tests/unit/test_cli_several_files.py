"""The commands that take several config files, and what they say of files that hold keys."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from botkit.cli.key_files import exposed_key_files
from botkit.cli.main import call
from botkit.cli.session import Session
from botkit.config import load

ROOT = Path(__file__).resolve().parents[2]
MAIN = """
[bot]
name = "unit"

[venues.paper]
type = "paper"
feed = { type = "synthetic", seed = 7, speed = "max" }
balances = { BTC = "1", EUR = "100000" }

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = { qty = "0.01", half_spread_bps = "2" }
"""
SECOND = '[bot]\nname = "second"\n[risk]\nmax_order_notional = "5000"\n'

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call a command in a folder that holds main.toml and second.toml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.toml").write_text(MAIN)
    (tmp_path / "second.toml").write_text(SECOND)

    def call_cli(*words: str) -> tuple[int, str, str]:
        code = call(list(words), Session())
        out, err = capsys.readouterr()
        return int(code), out, err

    return call_cli


def test_check_builds_what_the_files_say_together(cli: Cli) -> None:
    code, out, _ = cli("check", "main.toml", "second.toml")

    assert code == 0
    assert "bot        second" in out
    assert "risk       max_order_notional = 5000" in out
    assert "main.toml second.toml are in order. Run it:  botkit run main.toml second.toml" in out


def test_show_config_shows_the_files_merged(cli: Cli) -> None:
    code, out, _ = cli("show-config", "main.toml", "second.toml", "--set", "bot.clean_up=1s")

    assert code == 0
    assert 'name = "second"' in out
    assert 'clean_up = "1s"' in out
    assert 'max_order_notional = "5000"' in out


def test_run_runs_what_the_files_say_together(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("run", "main.toml", "second.toml", "--for", "5s")

    assert code == 0
    assert "second: market_maker" in out
    assert (tmp_path / "var/second.sqlite").exists()


def test_run_py_takes_several_files_too(cli: Cli, tmp_path: Path) -> None:
    assert callable(cli)
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, str(ROOT / "run.py"), "main.toml", "second.toml", "--for", "5s"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "var/second.sqlite").exists()


def test_what_to_do_next_names_every_file_that_was_given(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "main.toml").write_text(MAIN.replace(', speed = "max"', ""))
    assert cli("halt", "main.toml", "second.toml", "--reason", "a drill")[0] == 0

    code, _, err = cli("run", "main.toml", "second.toml", "--for", "5s")

    assert code == 4
    assert "botkit risk clear main.toml second.toml --reason TEXT" in err


def test_no_file_is_wrong_usage(cli: Cli) -> None:
    for command in ("run", "check", "show-config"):
        code, _, err = cli(command)

        assert code == 2
        assert "Missing argument 'CONFIG...'" in err


def test_a_problem_names_the_file_and_the_strategy_by_its_name(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "third.toml").write_text("[risk]\nmax_order_notional = -1\n")
    (tmp_path / "main.toml").write_text(MAIN.replace('"0.01"', '"x"'))

    code, _, err = cli("check", "main.toml", "second.toml", "third.toml")

    assert code == 2
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        ["main.toml", "strategies.market_maker.params.qty"],
        ["third.toml", "risk.max_order_notional"],
    ]


def test_only_a_file_with_keys_that_others_may_open_is_exposed(tmp_path: Path) -> None:
    main, private = tmp_path / "main.toml", tmp_path / "private.toml"
    main.write_text(MAIN)
    private.write_text('[venues.paper]\napi_key = "hunter22"\n')
    private.chmod(0o600)
    main.chmod(0o644)
    config = load([main, private])

    assert exposed_key_files(config) == []
    private.chmod(0o640)
    assert exposed_key_files(config) == [
        (
            f"{private}: holds keys, and its permissions 0640 let others than its owner open it: "
            f"chmod 600 {private}"
        )
    ]
    private.chmod(0o604)
    assert len(exposed_key_files(config)) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "risk"],
        ["check", "main.toml"],
        ["config", "check", "main.toml"],
        ["show-config", "main.toml"],
        ["config", "show", "main.toml"],
        ["config", "schema"],
    ],
)
def test_what_cannot_be_written_is_one_line_and_exit_code_1(
    cli: Cli, tmp_path: Path, words: list[str]
) -> None:
    assert callable(cli)
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
    (line,) = done.stderr.splitlines()
    assert "could not be written (No space left on device)" in line


def test_the_schema_is_json_and_a_partial_one_asks_for_nothing(cli: Cli) -> None:
    code, out, _ = cli("config", "schema")
    _, partial, _ = cli("config", "schema", "--partial")

    assert code == 0
    assert json.loads(out)["anyOf"][0]["required"] == ["bot", "venues", "strategies"]
    assert "anyOf" not in json.loads(partial)
