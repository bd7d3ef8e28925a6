"""`botkit fills`: what a run traded, from its journal, also while it runs."""

from pathlib import Path
from typing import Final

import click

from botkit.cli.asking import lock_owner
from botkit.cli.booking import told_fills
from botkit.cli.choosing import run_options
from botkit.cli.logs import format_time
from botkit.cli.tables import Column, Form, form_options, number_column, print_rows
from botkit.cli.wording import plural, price
from botkit.journal import JournalReader, Run
from botkit.model import FeeTold, Fill

__all__ = ["COLUMNS", "command", "run_line"]


def _fee(fill: Fill) -> str:
    if fill.commission is None:
        return "untold"
    return f"{price(fill.commission)} {fill.commission_currency}".rstrip()


COLUMNS: Final[tuple[Column[Fill], ...]] = (
    Column(name="time", value=lambda fill: format_time(fill.receive_time_ns)),
    Column(name="receive_time_ns", value=lambda fill: fill.receive_time_ns, heading=""),
    Column(name="strategy", value=lambda fill: fill.strategy),
    Column(name="symbol", value=lambda fill: fill.symbol),
    Column(name="side", value=lambda fill: fill.side.value),
    Column(name="qty", value=lambda fill: fill.qty, right=True),
    number_column("price", lambda fill: fill.price),
    Column(
        name="commission",
        value=lambda fill: fill.commission,
        heading="fee",
        text=_fee,
        right=True,
    ),
    Column(
        name="commission_currency",
        value=lambda fill: fill.commission_currency,
        heading="",
    ),
    Column(
        name="liquidity",
        value=lambda fill: None if fill.liquidity is None else fill.liquidity.value,
    ),
    Column(name="client_order_id", value=lambda fill: fill.client_order_id, heading="order"),
    Column(name="venue_order_id", value=lambda fill: fill.venue_order_id, heading=""),
    Column(name="exec_id", value=lambda fill: fill.exec_id, heading=""),
)


@click.command("fills")
@run_options
@form_options
def command(*, path: Path, run: Run, form: Form | None) -> None:
    """Print the fills of a run: the last one of CONFIG's bot, or of any bot in var/.

    A fee that the venue told later is shown with its fill; one that it has not told is untold.
    """
    with JournalReader(path) as reader:
        fills = told_fills(reader.entries(run.run_id, (Fill, FeeTold)))
    print_rows(
        fills,
        COLUMNS,
        form,
        what="the fills",
        head=run_line(path, run, plural(len(fills), "fill")),
    )


def going_on(path: Path) -> str:
    """Return what is known of a run in the journal `path` that has told no end."""
    return "running" if lock_owner(path) is not None else "running, or killed"


def run_line(path: Path, run: Run, what: str) -> str:
    """Return the line that says of which run the rows below are."""
    ended = going_on(path) if run.exit_code is None else f"exit code {run.exit_code}"
    return (
        f"{run.mode}  run {run.run_id}, started {format_time(run.started_ns)}, {ended}: "
        f"{what} ({path})"
    )
