"""docs/tutorial.md, followed to the letter: its files written, its commands run, in its order."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
# Those two lines are how this test's own environment came about: they are not run again.
SET_UP = ["python3 -m venv .venv && . .venv/bin/activate", "pip install -e '.[test]'"]
FENCE = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@attrs.frozen
class Block:
    """One fenced block: its language, the file it is to be saved as, its text."""

    language: str
    title: str
    text: str


def blocks() -> list[Block]:
    return [
        Block(*(group or "" for group in match.groups()))
        for match in FENCE.finditer(TUTORIAL.read_text(encoding="utf-8"))
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that looks like a clone: what the tutorial's reader stands in."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for name in ("run.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def environment() -> dict[str, str]:
    """Return ours as if the virtual environment were activated, less what steers this pytest."""
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    here.pop("PYTEST_ADDOPTS", None)  # it may ask for coverage, which would judge the tutorial's
    return here


def shell(command: str, folder: Path) -> str:
    """Run one command as a reader would type it; return what it prints. It has to exit 0."""
    ran = subprocess.run(  # noqa: S602  the tutorial's own words, for a shell
        command,
        shell=True,
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, f"$ {command}\n{ran.stdout}"
    return ran.stdout


def shown(line: str) -> re.Pattern[str]:
    """Return a pattern for a line of the tutorial: words as they stand, numbers of any value."""
    words = [r"\S*\d\S*" if re.search(r"\d", word) else re.escape(word) for word in line.split()]
    return re.compile(r"\s+".join(words))


def assert_shows(printed: str, expected: str) -> None:
    """Fail unless every line of `expected` is in `printed`, in that order, `...` left out."""
    lines = iter(printed.splitlines())
    for line in expected.splitlines():
        if line.strip() not in {"", "..."}:
            pattern = shown(line)
            assert any(pattern.search(each) for each in lines), (
                f"the tutorial shows this line, and it was not printed (in this order):\n{line}\n"
                f"printed was:\n{printed}"
            )


def steps() -> Iterator[tuple[Block, str]]:
    """Yield each block with the output shown after it ("" where none is)."""
    found = blocks()
    for block, following in zip(found, [*found[1:], Block("", "", "")], strict=True):
        yield block, following.text if following.language == "text" else ""


def test_the_tutorial_works_as_written(folder: Path) -> None:
    commands = []
    for block, expected in steps():
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        if block.language == "sh":
            lines = [line for line in block.text.splitlines() if line not in SET_UP]
            commands += lines
            printed = "".join(shell(line, folder) for line in lines)
            assert_shows(printed, expected)
    assert len(commands) >= 10


def test_the_set_up_is_the_only_thing_the_test_leaves_out() -> None:
    first = next(block for block in blocks() if block.language == "sh")

    assert first.text.splitlines() == SET_UP


def test_every_block_of_code_says_which_file_it_is() -> None:
    assert {block.language for block in blocks()} == {"sh", "text", "python", "toml"}
    assert all(block.title for block in blocks() if block.language in {"python", "toml"})


def test_ctrl_c_ends_the_tutorials_bot_with_nothing_resting(folder: Path) -> None:
    for block in blocks():
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "run.py", "dip.toml"],
        cwd=folder,
        env={**environment(), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as bot:
        assert bot.stdout is not None
        first = bot.stdout.readline()
        bot.send_signal(signal.SIGINT)
        try:
            bot.wait(timeout=30)  # what it prints is far less than a pipe holds
        finally:
            bot.kill()
        printed = first + bot.stdout.read()

    assert bot.returncode == 0, printed
    assert_shows(printed, "Ended signal SIGINT, after 0:00:07\nResting nothing\nExit code 0:")
