"""README and docs: the two commands, every link, every command shown."""

import re
import shlex
from pathlib import Path

import click
import pytest

from botkit.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
RUN = (
    "python3 -m venv .venv && .venv/bin/pip install -e . && "
    ".venv/bin/python run.py configs/paper.toml"
)
TEST = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:\$ )?((?:\S*bin/)?(?:botkit|python3? run\.py) .+)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands() -> list[tuple[str, str]]:
    """Return (page, command) for every botkit command shown: a fence's line or inline code."""
    shown = []
    for page in PAGES:
        text = page.read_text("utf-8")
        fenced = [line for fence in FENCE.findall(text) for line in fence.splitlines()]
        pieces = [*fenced, *INLINE.findall(FENCE.sub("", text))]
        matches = [COMMAND.fullmatch(piece) for piece in pieces]
        shown += [(name_of(page), match[1]) for match in matches if match]
    return shown


def words_of(command: str) -> list[str]:
    """Return the words after `botkit`; `run.py` stands for `botkit run`."""
    words = shlex.split(re.split(r" \|\| | && |; ", command)[0], comments=True)
    program = Path(words[0]).name
    return words[1:] if program == "botkit" else ["run", *words[2:]]


def test_the_two_commands_stand_alone_on_their_lines_word_for_word() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()

    assert [line for line in lines if "venv .venv" in line] == [RUN, TEST]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert not anchor or anchor in anchors(target), f"{name_of(page)}: {link}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = LINK.findall(FENCE.sub("", page.read_text("utf-8")))
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in links]
        waiting += [each for each in targets if each.suffix == ".md" and each not in reached]

    assert not {page for page in PAGES if "docs" in page.parts} - reached


def test_commands_are_found() -> None:
    shown = {page for page, _ in commands()}

    assert {"README.md", "CONTRIBUTING.md", "docs/tutorial.md", "docs/config.md"} <= shown


@pytest.mark.parametrize(("page", "command"), commands())
def test_every_command_shown_is_one(page: str, command: str) -> None:
    """It names a command and only options that the command has."""
    words = words_of(command)
    found: click.Command = cli
    context = click.Context(found)
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        word = words.pop(0)
        chosen = found.get_command(context, word)
        assert chosen is not None, f"{page}: no command {word!r} in {command!r}"
        found = chosen
        context = click.Context(found)
    known = {option for parameter in found.params for option in parameter.opts}
    known |= {"--help", "--version"}
    assert {word for word in words if word.startswith("-")} <= known, f"{page}: {command}"


def test_every_config_named_is_there() -> None:
    for page in PAGES:
        for name in re.findall(r"configs/\w+\.toml", page.read_text("utf-8")):
            assert (ROOT / name).is_file(), f"{name_of(page)}: {name}"
