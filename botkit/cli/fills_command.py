"""`botkit fills`: what a run traded, from its journal, also while it runs."""

import csv
import io
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from botkit.cli.logs import format_time
from botkit.cli.output import silence
from botkit.cli.session import Session
from botkit.cli.wording import plural, price
from botkit.errors import BotkitError, ConfigError, JournalError
from botkit.journal import JournalReader, Run, last_run_in
from botkit.journal.database import is_journal, journal_paths
from botkit.model import Fill

__all__ = ["command"]

ZERO: Final = Decimal(0)
WIDE: Final = 200

COLUMNS: Final[dict[str, Callable[[Fill], object]]] = {
    "time": lambda fill: format_time(fill.receive_time_ns),
    "receive_time_ns": lambda fill: fill.receive_time_ns,
    "strategy": lambda fill: fill.strategy,
    "symbol": lambda fill: fill.symbol,
    "side": lambda fill: fill.side.value,
    "qty": lambda fill: fill.qty,
    "price": lambda fill: fill.price,
    "commission": lambda fill: "" if fill.commission is None else fill.commission,
    "commission_currency": lambda fill: fill.commission_currency,
    "liquidity": lambda fill: "" if fill.liquidity is None else fill.liquidity.value,
    "client_order_id": lambda fill: fill.client_order_id,
    "venue_order_id": lambda fill: fill.venue_order_id or "",
    "exec_id": lambda fill: fill.exec_id or "",
}


@click.command("fills")
@click.argument("config", required=False, type=click.Path(dir_okay=False))
@click.option("--run", "run_id", help="A run by its id; the last one if left out.")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where journals lie; what CONFIG says, or var, if left out.",
)
@click.option("--csv", "form", flag_value="csv", help="One line per fill under a header line.")
@click.option("--json", "form", flag_value="json", help="One JSON object per line.")
@click.pass_obj
def command(
    session: Session, *, config: str | None, run_id: str | None, state_dir: Path | None, form: str
) -> None:
    """Print the fills of a run: the last one of CONFIG's bot, or of any bot in var/."""
    path, run = _find(session, config, run_id, state_dir)
    with JournalReader(path) as reader:
        fills = reader.fills(run.run_id)
    try:
        _show(path, run, fills, form)
        sys.stdout.flush()  # here, not at the interpreter's end, where nobody is told
    except BrokenPipeError:
        raise  # the reader has seen enough; click ends quietly
    except OSError as exc:
        silence(sys.stdout)
        raise BotkitError(
            f"the fills could not be written ({exc.strerror}): what was written is incomplete; "
            "make room, or write elsewhere"
        ) from exc


def _show(path: Path, run: Run, fills: Sequence[Fill], form: str) -> None:
    if form == "csv":
        click.echo(_as_csv(fills), nl=False)
    elif form == "json":
        for fill in fills:
            click.echo(msgspec.json.encode(fill))
    else:
        _print_table(path, run, fills)


def _find(
    session: Session, config: str | None, run_id: str | None, state_dir: Path | None
) -> tuple[Path, Run]:
    """Return the journal and the run that were meant."""
    bot = session.load(config).bot if config is not None else None
    folder = state_dir or Path(bot.state_dir if bot is not None else "var")
    if bot is not None:
        paths = [journal_paths(folder, bot.name)[0]]
    else:
        paths = sorted(path for path in folder.glob("*.sqlite") if is_journal(path))
    if run_id is not None:
        return _named_run(paths, run_id, folder)
    if bot is None:
        last = last_run_in(folder)
    else:
        last = next(((path, run) for path, run in _runs(paths, limit=1)), None)
    if last is None:
        who = "no bot has" if bot is None else f"bot {bot.name!r} has not"
        raise ConfigError(
            f"{folder}: {who} run here: start one with botkit run {config or 'CONFIG'}, or say "
            "where the journals lie with --state-dir"
        )
    return last


def _runs(paths: Sequence[Path], limit: int) -> list[tuple[Path, Run]]:
    found: list[tuple[Path, Run]] = []
    for path in paths:
        if path.exists():
            with JournalReader(path) as reader:
                found += [(path, run) for run in reader.runs(limit)]
    return found


def _named_run(paths: Sequence[Path], run_id: str, folder: Path) -> tuple[Path, Run]:
    runs = _runs(paths, limit=10_000)
    for path, run in runs:
        if run.run_id == run_id:
            return path, run
    newest = sorted(runs, key=lambda item: item[1].started_ns, reverse=True)[:5]
    known = ", ".join(run.run_id for _, run in newest) or "none"
    raise JournalError(f"{folder}: there is no run {run_id!r}; the last ones are: {known}")


def _as_csv(fills: Sequence[Fill]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([column(fill) for column in COLUMNS.values()] for fill in fills)
    return text.getvalue()


def _print_table(path: Path, run: Run, fills: Sequence[Fill]) -> None:
    """Print the run, its fills, and how to get at the rest."""
    ended = "still running, or killed" if run.exit_code is None else f"exit code {run.exit_code}"
    click.echo(
        f"{run.mode}  run {run.run_id}, started {format_time(run.started_ns)}, {ended}: "
        f"{plural(len(fills), 'fill')} ({path})"
    )
    if not fills:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("time", "strategy", "symbol", "side"):
        table.add_column(heading, no_wrap=True)
    for heading in ("qty", "price", "fee", "liquidity"):
        table.add_column(heading, no_wrap=True, justify="right")
    for fill in fills:
        untold = fill.commission is None
        table.add_row(
            format_time(fill.receive_time_ns),
            fill.strategy,
            fill.symbol,
            fill.side.value,
            str(fill.qty),
            price(fill.price),
            "untold" if untold else f"{price(fill.commission or ZERO)} {fill.commission_currency}",
            "" if fill.liquidity is None else fill.liquidity.value,
        )
    console = Console()
    # A pipe has no width: let nothing be cut off.
    Console(width=None if console.is_terminal else WIDE).print(table)
    click.echo("For other programs: --csv or --json.")
