"""The entry point: commands that are imported when called, and errors turned into exit codes."""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

import click
from click.shell_completion import CompletionItem

from botkit.cli.output import is_stuck
from botkit.cli.session import Session
from botkit.cli.signals import STDERR, STDOUT, SignalWatch
from botkit.errors import BotkitError, ConfigError
from botkit.shell import ExitCode

__all__ = ["cli", "main", "run_main"]

# name -> (module, what `botkit --help` says); the module has a command of the name `command`.
COMMANDS: Final = {
    "run": ("run_command", "Run a bot on paper (or, with --live, for real)."),
    "check": ("check_command", "Load a config and build everything in it, without running."),
    "guard": ("guard_command", "Cancel what a bot leaves that was killed or hangs."),
    "serve": ("serve_command", "Run a simulated exchange that speaks a venue's protocol."),
    "drill": ("drill_command", "Break the bot in every way, against simulated exchanges."),
    "storm": ("storm_command", "Simulate a bot with faults, from many seeds."),
    "new": ("new_command", "Write a new strategy or risk rule, and its test."),
    "list": ("list_command", "List the plug-ins: venues, strategies, risk rules."),
    "show-config": ("show_config_command", "Print a config as it takes effect, secrets masked."),
    "config": ("config_command", "Show or check a config; print its JSON Schema for editors."),
    "completion": ("completion_command", "Print the script that completes words in your shell."),
    "status": ("status_command", "Look at the running bot, or at how its last run ended."),
    "halt": ("halt_command", "Trip the kill switch: cancel everything, end, do not start again."),
    "pause": ("pause_command", "Let a strategy, an instrument or everything send no new orders."),
    "resume": ("resume_command", "Take a pause back."),
    "cancel-all": ("cancel_all_command", "Cancel the orders of the running bot."),
    "flatten": ("flatten_command", "Cancel our orders and close our positions."),
    "resolve": ("resolve_command", "End an order that is UNKNOWN by your word."),
    "adjust": ("adjust_command", "Tell of a deposit or a trade made by hand."),
    "doctor": ("doctor.command", "Examine config, machine, journal and venues before a run."),
    "exposure": ("exposure_command", "Tell how long an order can be unattended, at worst."),
    "risk": ("risk_command", "Show what risk says, and clear a tripped kill switch."),
    "history": ("history_command", "Print past runs: how each ended and what it earned."),
    "positions": ("positions_command", "Print what a run holds, has earned and paid."),
    "account": ("account_command", "Look at an account at a venue, or have something done."),
    "alerts": ("alerts_command", "Send a test message to everyone who is told of the bot."),
    "fills": ("fills_command", "Print the fills of a run."),
    "orders": ("orders_command", "Print the orders of a run and where each stands."),
    "statement": ("statement_command", "Print a day's trading; compare it with the venue's fills."),
    "logs": ("logs_command", "Print the log lines of a run, or follow them."),
    "explain": ("explain_command", "Tell what became of one order, and why."),
}

# How `botkit --help` groups them; a command that is not here stands under "More".
SECTIONS: Final = {
    "Start": ("new", "check", "doctor", "exposure", "run", "serve", "drill", "storm"),
    "Look at a run, also while it goes on": (
        "status",
        "history",
        "positions",
        "orders",
        "fills",
        "explain",
        "logs",
        "statement",
        "risk",
    ),
    "At a venue": ("account", "guard"),
    "Tell a running bot": (
        "halt",
        "pause",
        "resume",
        "cancel-all",
        "flatten",
        "resolve",
        "adjust",
    ),
}

USAGE: Final = """\
Usage: python run.py CONFIG [OPTIONS]

Give the config of the bot to run, for example:

  python run.py configs/paper.toml --for 60s

Ctrl-C ends it and cancels its orders. More: botkit run --help, botkit --help
"""


class _LazyGroup(click.Group):
    """Imports a command's module when the command is called, so that `--help` is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"botkit.cli.{COMMANDS[cmd_name][0]}").command
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the commands that begin so, without importing any of them, and the options."""
        commands = [
            CompletionItem(name, help=line)
            for name, (_, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        grouped = {name for names in SECTIONS.values() for name in names}
        more = tuple(name for name in COMMANDS if name not in grouped)
        for section, names in {**SECTIONS, "More": more}.items():
            rows = [(name, COMMANDS[name][1]) for name in names if name in COMMANDS]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)


@click.group(
    cls=_LazyGroup,
    name="botkit",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start here: botkit run configs/paper.toml --for 60s",
)
@click.version_option(package_name="botkit")
def cli() -> None:
    """Trading bots that can be left alone: no order outlives its owner."""


def main(arguments: Sequence[str] | None = None, received: list[int] | None = None) -> NoReturn:
    """Run the command line and exit; `received` are signals that have come already."""
    _open_closed()
    words = list(sys.argv[1:] if arguments is None else arguments)
    watch = SignalWatch(received)
    if words[:1] == ["run"]:
        watch.install()
    code = call(words, Session(watch=watch))
    if is_stuck():
        os._exit(code)  # the interpreter would wait for the terminal, or die of not waiting
    sys.exit(code)


def _open_closed() -> None:
    """Let what is said on a stream that was closed before the start go nowhere.

    Not into the journal either, which would be opened under its number.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(STDOUT, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(STDERR, "w")


def run_main(received: list[int]) -> NoReturn:
    """Run what `run.py` was given; the same as `botkit run`."""
    words = sys.argv[1:]
    if not words:
        click.echo(USAGE, nl=False, err=True)
        sys.exit(ExitCode.USAGE)
    main(["run", *words], received)


def call(words: list[str], session: Session) -> int:
    """Call a command; return the exit code, having said what went wrong."""
    try:
        result: Any = cli.main(words, prog_name="botkit", standalone_mode=False, obj=session)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except click.Abort:
        return ExitCode.ERROR
    except ConfigError as exc:
        for problem in exc.problems:
            session.complain(problem)
        return ExitCode.USAGE
    except BotkitError as exc:
        session.complain(str(exc))
        return ExitCode.ERROR
    except Exception as exc:  # noqa: BLE001  the last place: shown without secrets, and told by the exit code
        session.complain("".join(traceback.format_exception(exc)).rstrip())
        return ExitCode.ERROR
    return result if isinstance(result, int) else ExitCode.CLEAN
