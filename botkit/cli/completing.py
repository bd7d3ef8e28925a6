"""What the shell offers where a config file is asked for."""

import os

import click
from click.shell_completion import CompletionItem

__all__ = ["config_files"]


def config_files(
    _: click.Context, __: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Return the TOML files that begin so; where folders do too, leave it to the shell."""
    folder, begun = os.path.split(incomplete)
    try:
        entries = [each for each in os.scandir(folder or ".") if each.name.startswith(begun)]
    except OSError:
        entries = []
    names = sorted(each.name for each in entries if each.name.endswith(".toml"))
    if not names or any(each.is_dir() for each in entries if not each.name.startswith(".")):
        return [CompletionItem(incomplete, type="file")]
    before = incomplete.removesuffix(begun)
    return [CompletionItem(f"{before}{name}") for name in names]
