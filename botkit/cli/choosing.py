"""Which bot, and which of its runs, a command is about.

Every command takes its subject first and CONFIG, which may be left out, last:
`botkit explain ORDER [CONFIG]`, `botkit fills [CONFIG]`.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import click

from botkit.cli.completing import config_files
from botkit.cli.completing_names import bots, runs
from botkit.cli.session import Session, set_option
from botkit.config import Config
from botkit.errors import ConfigError, JournalError
from botkit.journal import JournalReader, Run, last_run_in
from botkit.journal.database import is_journal, journal_paths

__all__ = ["BotChoice", "bot_options", "journals", "newest_run", "run_options", "runs_of"]

DEFAULT_STATE_DIR: Final = "var"
MOST_RUNS: Final = 10_000
Command = Callable[..., Any]


@attrs.frozen
class BotChoice:
    """The bot that is meant: `name` is None where neither CONFIG nor --bot was given."""

    state_dir: Path
    name: str | None
    config: Config | None

    @property
    def how_to_start(self) -> str:
        """The command that starts the bot."""
        return f"botkit run {self.config.words if self.config is not None else 'CONFIG'}"

    def the_name(self) -> str:
        """Return the bot's name; the only one with a journal in the folder if none was given.

        Raises
        ------
        ConfigError
            None was given, and there are none or several; they are named.
        """
        if self.name is not None:
            return self.name
        names = [path.stem for path in journals(self)]
        if len(names) == 1:
            return names[0]
        known = f"has {', '.join(names)}" if names else "has no bot's journal"
        raise ConfigError(
            f"{self.state_dir}: which bot is meant is not said, and the folder {known}: "
            "give its CONFIG, or --bot NAME, or another --state-dir"
        )


def bot_options(function: Command) -> Command:
    """Add CONFIG, --bot, --state-dir and --set; the command gets `choice`, a `BotChoice`.

    Stands below the command's own arguments, so that CONFIG comes last.
    """

    @functools.wraps(function)
    def wrapped(
        *args: Any,
        configs: Sequence[str],
        bot: str | None,
        state_dir: Path | None,
        overrides: Sequence[str],
        **kwargs: Any,
    ) -> Any:
        choice = _choose(configs, overrides, name=bot, state_dir=state_dir)
        return function(*args, choice=choice, **kwargs)

    for add in (
        set_option,
        click.option(
            "--state-dir",
            type=click.Path(file_okay=False, path_type=Path),
            help="Where journals lie; what CONFIG says, or var, if left out.",
        ),
        click.option(
            "--bot",
            metavar="NAME",
            shell_complete=bots,
            help="A bot by its name; CONFIG's if left out.",
        ),
        click.argument(
            "configs",
            metavar="[CONFIG]...",
            nargs=-1,
            type=click.Path(dir_okay=False),
            shell_complete=config_files,
        ),
    ):
        wrapped = add(wrapped)
    return wrapped


def run_options(function: Command) -> Command:
    """Add what `bot_options` does and --run; the command gets `path`, the journal, and `run`."""

    @functools.wraps(function)
    def wrapped(*args: Any, choice: BotChoice, run_id: str | None, **kwargs: Any) -> Any:
        path, run = newest_run(choice) if run_id is None else _named_run(choice, run_id)
        return function(*args, path=path, run=run, **kwargs)

    add = click.option(
        "--run",
        "run_id",
        metavar="ID",
        shell_complete=runs,
        help="A run by its id; the last one if left out.",
    )
    return bot_options(add(wrapped))


def _choose(
    configs: Sequence[str], overrides: Sequence[str], *, name: str | None, state_dir: Path | None
) -> BotChoice:
    if not configs:
        if overrides:
            raise ConfigError("--set changes a CONFIG, and none was given: give it, or --bot NAME")
        return BotChoice(state_dir or Path(DEFAULT_STATE_DIR), name, None)
    session = click.get_current_context().ensure_object(Session)
    loaded = session.load(configs, overrides)
    return BotChoice(state_dir or Path(loaded.bot.state_dir), name or loaded.bot.name, loaded)


def journals(choice: BotChoice) -> list[Path]:
    """Return the journals that are there: of the bot meant, or of every bot in the folder."""
    if choice.name is not None:
        path = journal_paths(choice.state_dir, choice.name)[0]
        return [path] if path.exists() else []
    return sorted(path for path in choice.state_dir.glob("*.sqlite") if is_journal(path))


def runs_of(choice: BotChoice, limit: int = MOST_RUNS) -> list[tuple[Path, Run]]:
    """Return the last runs of the bot meant, or of every bot in the folder, newest first."""
    found: list[tuple[Path, Run]] = []
    for path in journals(choice):
        with JournalReader(path) as reader:
            found += [(path, run) for run in reader.runs(limit)]
    return sorted(found, key=lambda item: item[1].started_ns, reverse=True)[:limit]


def newest_run(choice: BotChoice) -> tuple[Path, Run]:
    """Return the journal and the run that started last.

    Raises
    ------
    ConfigError
        There is none.
    """
    if choice.name is None:
        last = last_run_in(choice.state_dir)
    else:
        last = next(iter(runs_of(choice, limit=1)), None)
    if last is None:
        who = "no bot has" if choice.name is None else f"bot {choice.name!r} has not"
        raise ConfigError(
            f"{choice.state_dir}: {who} run here: start one with {choice.how_to_start}, or say "
            "where the journals lie with --state-dir"
        )
    return last


def _named_run(choice: BotChoice, run_id: str) -> tuple[Path, Run]:
    runs = runs_of(choice)
    for path, run in runs:
        if run.run_id == run_id:
            return path, run
    known = ", ".join(run.run_id for _, run in runs[:5]) or "none"
    raise JournalError(
        f"{choice.state_dir}: there is no run {run_id!r}; the last ones are: {known}"
    )
