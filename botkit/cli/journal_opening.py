"""Opening the journal of a bot that is to start."""

from pathlib import Path
from threading import Event
from typing import Final

from botkit.cli.session import Session
from botkit.config import BotConfig
from botkit.errors import BeingSweptError
from botkit.journal import SqliteJournal

__all__ = ["open_journal"]

LOOK_EVERY_S: Final = 0.1


def open_journal(bot: BotConfig, session: Session, *, full_speed: bool) -> SqliteJournal:
    """Open the journal of `bot`; wait for its guardian, if that is canceling what a run left.

    Raises
    ------
    AlreadyRunningError
        The bot runs; or a signal came while its guardian was waited for.
    JournalError
        See `SqliteJournal.open`.
    """
    told = False
    while True:
        try:
            return SqliteJournal.open(
                Path(bot.state_dir),
                bot.name,
                buffered=full_speed,
                synchronous=bot.journal_synchronous,
            )
        except BeingSweptError as exc:
            if session.watch.asked:
                raise
            if not told:
                session.complain(f"{exc.problems[0].rpartition(':')[0]}: waiting for it")
                told = True
        Event().wait(LOOK_EVERY_S)
