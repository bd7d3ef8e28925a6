"""Shell completion, as a shell asks for it: in a process, by click's protocol, and by bash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
[bot]
name = "{name}"

[venues.paper]
type = "paper"
feed = {{ type = "synthetic", seed = 7, speed = "max" }}
balances = {{ BTC = "1", EUR = "100000" }}

[[strategies]]
type = "market_maker"
instrument = "paper:BTC-EUR"
params = {{ qty = "0.01", half_spread_bps = "2" }}
"""
MAIN = "from botkit.cli import main; main()"


def botkit(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", MAIN, *words],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def completed(folder: Path, line: str) -> list[str]:
    """Return what is offered for the last word of `line`."""
    words = line.split(" ")
    done = botkit(
        folder, _BOTKIT_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two configs, one of which has run."""
    folder = tmp_path_factory.mktemp("completion")
    for name in ("first", "second"):
        (folder / f"{name}.toml").write_text(CONFIG.format(name=name))
    (folder / "notes.txt").write_text("")
    done = botkit(folder, "run", "first.toml", "--for", "2s")
    assert done.returncode == 0, done.stderr
    return folder


def test_commands_and_options_are_completed(folder: Path) -> None:
    assert completed(folder, "botkit ch") == ["plain,check"]
    assert {"plain,run", "plain,completion"} <= set(completed(folder, "botkit "))
    assert completed(folder, "botkit run --keep") == ["plain,--keep-running"]
    assert completed(folder, "botkit config s") == ["plain,schema", "plain,show"]
    assert completed(folder, "botkit completion z") == ["plain,zsh"]
    assert "plain,--version" in completed(folder, "botkit --")


def test_config_files_are_completed_one_after_another(folder: Path) -> None:
    assert completed(folder, "botkit check fi") == ["plain,first.toml"]
    assert completed(folder, "botkit check first.toml s") == ["plain,second.toml"]
    assert completed(folder, f"botkit check {folder}/") == ["file," + f"{folder}/"]
    assert completed(folder, f"botkit check {folder}/se") == [f"plain,{folder}/second.toml"]


def test_where_folders_begin_so_too_or_nothing_does_the_shell_shows_what_there_is(
    folder: Path,
) -> None:
    (folder / "sub").mkdir(exist_ok=True)

    assert completed(folder, "botkit check s") == ["file,s"]
    assert completed(folder, "botkit check n") == ["file,n"]
    assert completed(folder, "botkit check nowhere/x") == ["file,nowhere/x"]


def test_completing_a_command_imports_none() -> None:
    probe = (
        "import os, sys; os.environ.update(_BOTKIT_COMPLETE='bash_complete', "
        "COMP_WORDS='botkit ', COMP_CWORD='1');"
        "import atexit; atexit.register(lambda: print(sorted("
        "name for name in sys.modules if name.endswith('_command'))));"
        "from botkit.cli import main; main()"
    )
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.splitlines()[-1] == "[]"


def test_runs_and_orders_of_the_journal_are_completed(folder: Path) -> None:
    (run,) = completed(folder, "botkit fills --run ")
    kind, run_id = run.split(",")
    assert kind == "plain"
    assert "-" in run_id
    assert completed(folder, f"botkit fills --run {run_id[:3]}") == [run]
    assert completed(folder, "botkit fills --run nonesuch") == []
    assert completed(folder, "botkit fills --bot f") == ["plain,first"]
    orders = completed(folder, "botkit explain ")
    assert len(orders) > 1
    assert all(order.startswith("plain,first") for order in orders)


def test_strategies_and_instruments_of_the_last_run_are_completed(folder: Path) -> None:
    assert completed(folder, "botkit pause ") == [
        "plain,market_maker",
        "plain,paper:BTC-EUR",
        "plain,all",
    ]
    assert completed(folder, "botkit resume m") == ["plain,market_maker"]
    assert completed(folder, "botkit resolve first")[0].startswith("plain,first-")


def test_what_cannot_be_read_offers_nothing(folder: Path) -> None:
    (folder / "broken").mkdir(exist_ok=True)
    (folder / "broken/first.sqlite").write_bytes(
        (folder / "var/first.sqlite").read_bytes()[:200].ljust(5000, b"x")
    )

    assert completed(folder, "botkit fills --state-dir broken --run ") == []
    assert completed(folder, "botkit fills --state-dir nowhere --run ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(folder: Path, shell: str) -> None:
    done = botkit(folder, "completion", shell)

    assert done.returncode == 0
    assert "_BOTKIT_COMPLETE" in done.stdout
    assert f"{shell}_complete" in done.stdout


def test_another_shell_is_wrong_usage(folder: Path) -> None:
    done = botkit(folder, "completion", "csh")

    assert done.returncode == 2
    assert "'bash', 'zsh', 'fish'" in done.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_with_the_script(folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "botkit"
    program.write_text(f"#!{sys.executable}\n{MAIN}\n")
    program.chmod(0o755)
    ask = (
        'eval "$(botkit completion bash)"; COMP_WORDS=(botkit check fi); COMP_CWORD=2; '
        '_botkit_completion botkit fi check; echo "${COMPREPLY[@]}"; complete -p botkit'
    )
    done = subprocess.run(  # noqa: S603  the shell that is there
        [str(shutil.which("bash")), "--norc", "-c", ask],
        cwd=folder,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "first.toml"
    assert "_botkit_completion botkit" in done.stdout
