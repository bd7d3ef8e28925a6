"""`botkit completion`: the script that lets a shell complete the words of this command line."""

from typing import Final

import click
from click.shell_completion import get_completion_class

__all__ = ["command"]

SHELLS: Final = ("bash", "zsh", "fish")
HELP: Final = """\
Print the script that completes commands, options, config files and names in SHELL.

\b
  bash  eval "$(botkit completion bash)"  in ~/.bashrc
  zsh   eval "$(botkit completion zsh)"   in ~/.zshrc, after compinit
  fish  botkit completion fish | source   in ~/.config/fish/config.fish
"""


@click.command("completion", help=HELP)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, *, shell: str) -> None:
    """Print the script of `shell`."""
    found = get_completion_class(shell)
    assert found is not None  # click has all three
    cli = ctx.find_root().command
    click.echo(found(cli, {}, "botkit", "_BOTKIT_COMPLETE").source())
