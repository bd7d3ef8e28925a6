"""What the shell offers where a bot, a run, an order or a target is asked for.

It is what the journals have.

It must be quick and must never fail: what cannot be read offers nothing.
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

from botkit.config import load
from botkit.errors import BotkitError
from botkit.journal import JournalReader
from botkit.journal.database import is_journal

__all__ = ["bots", "orders", "runs", "targets"]

_MOST: Final = 200
_BIGGEST: Final = 50_000_000  # bytes of a journal that is still read while somebody waits
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def _offering(words: Callable[[list[Path]], Iterable[str]]) -> Complete:
    """Return a completion by those of a journal's words that begin as what was typed."""

    def complete(
        ctx: click.Context, _: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        try:
            found = dict.fromkeys(words(_journals(ctx)))
        except (BotkitError, OSError, ValueError):
            return []
        return [CompletionItem(word) for word in found if word.startswith(incomplete)][:_MOST]

    return complete


def _journals(ctx: click.Context) -> list[Path]:
    """Return the journals of the bot that the words before speak of, or of all in its folder."""
    given = ctx.params.get("configs")
    bot = load(given).bot if given else None
    folder = Path(ctx.params.get("state_dir") or ("var" if bot is None else bot.state_dir))
    name = ctx.params.get("bot") or (None if bot is None else bot.name)
    paths = sorted(folder.glob("*.sqlite" if name is None else f"{name}.sqlite"))
    return [path for path in paths if is_journal(path)]


def _bots(journals: list[Path]) -> Iterator[str]:
    return (path.stem for path in journals)


def _runs(journals: list[Path]) -> Iterator[str]:
    """Yield the ids of the last runs, newest first."""
    for path in journals:
        with JournalReader(path) as reader:
            yield from [run.run_id for run in reader.runs(_MOST)]


def _orders(journals: list[Path]) -> Iterator[str]:
    """Yield the ids of the orders of each bot's last run, the latest first."""
    for path in journals:
        if path.stat().st_size > _BIGGEST:
            continue
        with JournalReader(path) as reader:
            run = reader.last_run()
            found = [] if run is None else reader.orders(run.run_id)
            yield from [order.client_order_ids[-1] for order in reversed(found)]


def _targets(journals: list[Path]) -> Iterator[str]:
    """Yield what can be paused: the strategies of each bot's last run, their instruments, all."""
    for path in journals:
        with JournalReader(path) as reader:
            run = reader.last_run()
        tables = [] if run is None else tomllib.loads(run.config).get("strategies", [])
        yield from [table["name"] for table in tables]
        for table in tables:
            yield from table.get("instruments", [table.get("instrument", "")])
    yield "all"


bots: Final = _offering(_bots)
runs: Final = _offering(_runs)
targets: Final = _offering(_targets)
orders: Final = _offering(_orders)
