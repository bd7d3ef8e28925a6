"""`botkit new`: a strategy with its test and a config, or a risk rule with its test."""

import importlib.metadata
import keyword
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from botkit.errors import ConfigError

__all__ = ["command"]

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
TAKEN: Final = frozenset({"botkit", "venues", "risk", "strategies", "run", "tests"})
# template -> the file it becomes
TEMPLATES: Final = {
    "strategy.py.tmpl": "{name}.py",
    "test_strategy.py.tmpl": "test_{name}.py",
    "strategy.toml.tmpl": "{name}.toml",
}
RULE_TEMPLATES: Final = {
    "rule.py.tmpl": "{name}.py",
    "test_rule.py.tmpl": "test_{name}.py",
}

folder_option = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to write; the working directory if left out.",
)


@click.group("new")
def command() -> None:
    """Write a new strategy or risk rule, and its test."""


@command.command("strategy", short_help="A strategy, its test and a config.")
@click.argument("name")
@folder_option
def strategy(name: str, folder: Path) -> None:
    """Write NAME.py, test_NAME.py and NAME.toml: a small strategy that works at once.

    Nothing is ever overwritten.
    """
    written = _write(name, folder, TEMPLATES)
    strategy_path, test_path, config_path = written
    steps = {
        f"python -m pytest {test_path}": "its test",
        f"botkit run {config_path} --for 30s": "a made-up market, no money moves",
    }
    _tell(written, steps, f"Then change {strategy_path}; the test tells you what it does.")


@command.command("rule", short_help="A risk rule and its test.")
@click.argument("name")
@folder_option
def rule(name: str, folder: Path) -> None:
    """Write NAME.py and test_NAME.py: a small risk rule that works at once.

    Nothing is ever overwritten.
    """
    written = _write(name, folder, RULE_TEMPLATES)
    rule_path, test_path = written
    entry = f'{name} = "{name}:{_class_name(name)}"'
    steps = {f"python -m pytest {test_path}": "its test"}
    _tell(
        written,
        steps,
        f"Then change {rule_path}. A config names it once your package is installed with\n\n"
        f'  [project.entry-points."botkit.risk"]\n  {entry}\n\n'
        f"in its pyproject.toml; botkit list risk shows it then.",
    )


def _write(name: str, folder: Path, templates: Mapping[str, str]) -> list[str]:
    """Write the files of `templates`; return their paths as a shell reads them.

    Raises
    ------
    ConfigError
        The name is taken or none, a file is there already, or the folder cannot be written to.
    """
    _check_name(name)
    class_name = _class_name(name)
    written = {
        folder / pattern.format(name=name): _filled(template, name=name, class_name=class_name)
        for template, pattern in templates.items()
    }
    there = [str(path) for path in written if path.exists()]
    if there:
        raise ConfigError(
            f"{', '.join(there)}: there already, and not overwritten; choose another NAME or --dir"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in written.items():
            path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{folder}: cannot be written to: {exc.strerror or exc}") from exc
    return [shlex.quote(str(path)) for path in written]


def _tell(written: Sequence[str], steps: Mapping[str, str], then: str) -> None:
    *first, last = written
    click.echo(f"Written: {', '.join(first)} and {last}. Now:\n")
    width = max(map(len, steps))
    for step, what in steps.items():
        click.echo(f"  {step:<{width}}   # {what}")
    click.echo(f"\n{then}")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _check_name(name: str) -> None:
    """Refuse what is no module name, or is one already."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"found the name {name!r}, allowed: a module name in lower case, such as my_maker: "
            "letters, digits and _, a letter first, at most 32"
        )
    taken = TAKEN | sys.stdlib_module_names | importlib.metadata.packages_distributions().keys()
    if keyword.iskeyword(name) or name in taken:
        raise ConfigError(
            f"found the name {name!r}, which Python, botkit or an installed package has a module "
            f"or word of; choose another, such as my_{name}"
        )


def _filled(template: str, *, name: str, class_name: str) -> str:
    text = files("botkit.cli").joinpath(template).read_text(encoding="utf-8")
    return text.replace("@NAME@", name).replace("@CLASS@", class_name)
