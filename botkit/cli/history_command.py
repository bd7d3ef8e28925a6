"""`botkit history`: the runs so far, how each ended and what it earned."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click

from botkit.cli.choosing import BotChoice, bot_options, newest_run, runs_of
from botkit.cli.fills_command import going_on
from botkit.cli.logs import format_time
from botkit.cli.tables import Column, Form, form_options, print_rows
from botkit.cli.wording import clock_time, money
from botkit.journal import Run

__all__ = ["command"]

Item = tuple[Path, Run]
NS_PER_S: Final = 1_000_000_000
HASH_SHOWN: Final = 12


def _told(item: Item) -> Mapping[str, Any]:
    return item[1].summary or {}


def _count(item: Item, name: str) -> int | None:
    count: int | None = _told(item).get("orders", {}).get(name)
    return count


def _seconds(item: Item) -> float | None:
    run = item[1]
    return None if run.ended_ns is None else (run.ended_ns - run.started_ns) / NS_PER_S


def _duration(item: Item) -> str:
    seconds = _seconds(item)
    return "" if seconds is None else clock_time(round(seconds * NS_PER_S))


def _exit_text(item: Item) -> str:
    run = item[1]
    if run.exit_code is not None:
        return str(run.exit_code)
    return "killed" if run.swept is not None else going_on(item[0])


def _profit(item: Item) -> list[dict[str, str]]:
    profit: list[dict[str, str]] = _told(item).get("profit", [])
    return profit


def _profit_text(item: Item) -> str:
    points = [f"{money(Decimal(point['total']))} {point['currency']}" for point in _profit(item)]
    unknown = [f"unknown in {currency}" for currency in _told(item).get("unpriced", {})]
    return ", ".join([*points, *unknown])


def _total(item: Item) -> Mapping[str, Any]:
    return _told(item).get("total") or {}


def _total_text(item: Item) -> str:
    total = _total(item)
    if not total:
        return ""
    if total["equity"] is None:
        return f"incomplete in {total['currency']}"
    return f"{money(Decimal(total['equity']))} {total['currency']}"


def _reason(item: Item) -> str:
    run = item[1]
    return run.reason or run.swept or ""


COLUMNS: Final[tuple[Column[Item], ...]] = (
    Column(name="bot", value=lambda item: item[0].stem),
    Column(name="run", value=lambda item: item[1].run_id),
    Column(name="mode", value=lambda item: item[1].mode),
    Column(name="started", value=lambda item: format_time(item[1].started_ns)),
    Column(name="started_ns", value=lambda item: item[1].started_ns, heading=""),
    Column(name="ended_ns", value=lambda item: item[1].ended_ns, heading=""),
    Column(name="seconds", value=_seconds, heading="took", text=_duration, right=True),
    Column(name="exit_code", value=lambda item: item[1].exit_code, heading="exit", text=_exit_text),
    Column(
        name="orders",
        value=lambda item: _count(item, "submitted"),
        right=True,
    ),
    Column(name="refused", value=lambda item: _count(item, "refused"), right=True),
    Column(name="fills", value=lambda item: _count(item, "fills"), right=True),
    Column(name="profit", value=_profit, heading="P&L", text=_profit_text, right=True),
    Column(
        name="total",
        value=lambda item: _total(item).get("equity"),
        text=_total_text,
        right=True,
    ),
    Column(name="total_currency", value=lambda item: _total(item).get("currency"), heading=""),
    Column(
        name="run_hash",
        value=lambda item: item[1].run_hash,
        heading="hash",
        text=lambda item: (item[1].run_hash or "")[:HASH_SHOWN],
    ),
    Column(name="reason", value=_reason, heading="why it ended"),
)


@click.command("history")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many runs, newest first.",
)
@bot_options
@form_options
def command(*, limit: int, choice: BotChoice, form: Form | None) -> None:
    """Print past runs, newest first: of CONFIG's bot, or of every bot in var/.

    Orders, fills and P&L are what a run said when it ended; a run that goes on, or was killed,
    has said nothing yet: look at `botkit positions`.
    """
    newest_run(choice)  # says what to do where there is none
    runs = runs_of(choice, limit)
    print_rows(runs, COLUMNS, form, what="the history")
