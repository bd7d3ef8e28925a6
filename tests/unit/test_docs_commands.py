"""docs/commands.md against the code: a section for each command, no option that is not there."""

import re
from pathlib import Path

import click
import pytest

from botkit.cli.log_file import BYTES_MAX, KEPT
from botkit.cli.main import COMMANDS, SECTIONS, cli

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text("utf-8")
OPTION = re.compile(r"`(--[a-z-]+)")


def sections() -> dict[str, str]:
    """Return the text of each section by its heading."""
    _, *pieces = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(pieces[::2], pieces[1::2], strict=True))


def options_of(command: click.Command) -> set[str]:
    """Return the options of a command and of its subcommands."""
    own = {name for each in command.params for name in each.opts}
    if not isinstance(command, click.Group):
        return own
    return own.union(*(options_of(each) for each in command.commands.values()))


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert set(sections()) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_a_section_names_are_the_commands(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    # Another command that is shown in a section has options of its own.
    text = re.sub(r"`botkit [^`]*`", "", sections()[name])

    assert set(OPTION.findall(text)) <= options_of(command) | {"--live", "--log-level"}


def test_the_help_names_each_command_once() -> None:
    grouped = [name for names in SECTIONS.values() for name in names]

    assert len(grouped) == len(set(grouped))
    assert set(COMMANDS) - set(grouped) <= {"list", "show-config", "config", "completion", "alerts"}


def test_the_numbers_of_the_log_file_are_the_codes() -> None:
    assert f"reached {BYTES_MAX // 1_000_000} MB" in PAGE
    assert {5: "five older files"}[KEPT] in PAGE
