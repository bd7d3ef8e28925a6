"""`botkit new strategy`: a strategy, its test and a config that runs it, to start from."""

import importlib.metadata
import keyword
import re
import shlex
import sys
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


@click.group("new")
def command() -> None:
    """Write a new strategy, its test and a config that runs it."""


@command.command("strategy")
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to write; the working directory if left out.",
)
def strategy(name: str, folder: Path) -> None:
    """Write NAME.py, test_NAME.py and NAME.toml: a small strategy that works at once.

    Nothing is ever overwritten.
    """
    _check_name(name)
    class_name = "".join(part.capitalize() for part in name.split("_"))
    written = {
        folder / pattern.format(name=name): _filled(template, name=name, class_name=class_name)
        for template, pattern in TEMPLATES.items()
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
    strategy_path, test_path, config_path = (shlex.quote(str(path)) for path in written)
    click.echo(f"Written: {strategy_path}, {test_path} and {config_path}. Now:\n")
    steps = {
        f"python -m pytest {test_path}": "its test",
        f"botkit run {config_path} --for 30s": "a made-up market, no money moves",
    }
    width = max(map(len, steps))
    for step, what in steps.items():
        click.echo(f"  {step:<{width}}   # {what}")
    click.echo(f"\nThen change {strategy_path}; the test tells you what it does.")


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
