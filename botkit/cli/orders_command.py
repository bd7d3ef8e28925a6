"""`botkit orders`: the orders of a run and where each stands, also while it runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from botkit.cli.choosing import run_options
from botkit.cli.fills_command import run_line
from botkit.cli.lives import REFUSED, Life, Lives, time_of
from botkit.cli.logs import format_time
from botkit.cli.tables import Column, Form, form_options, number_column, print_rows
from botkit.cli.wording import plural, price
from botkit.journal import JournalReader, Run
from botkit.model import NewOrder

__all__ = ["command"]


def _time(time_ns: int) -> str | None:
    return format_time(time_ns) if time_ns else None


def _submitted(life: Life) -> NewOrder | None:
    return life.request if isinstance(life.request, NewOrder) else None


def _why(life: Life) -> str:
    return life.doubt or life.text


def _price(life: Life) -> str:
    request = _submitted(life)
    stop = f"stop {price(request.stop_px)}" if request is not None and request.stop_px else ""
    limit = "market" if life.price is None and not stop else price(life.price) if life.price else ""
    return " ".join(part for part in (stop, limit) if part)


COLUMNS: Final[tuple[Column[Life], ...]] = (
    Column(name="time", value=lambda life: _time(time_of(life.request))),
    Column(name="transact_time_ns", value=lambda life: time_of(life.request), heading=""),
    Column(name="strategy", value=lambda life: life.request.strategy),
    Column(name="symbol", value=lambda life: life.request.symbol),
    Column(name="side", value=lambda life: life.request.side),
    Column(name="ord_type", value=lambda life: life.request.ord_type, heading="type"),
    Column(
        name="time_in_force",
        value=lambda life: getattr(life.request, "time_in_force", None),
        heading="tif",
    ),
    Column(
        name="post_only", value=lambda life: getattr(life.request, "post_only", None), heading=""
    ),
    Column(
        name="reduce_only",
        value=lambda life: getattr(life.request, "reduce_only", None),
        heading="",
    ),
    Column(name="keep", value=lambda life: getattr(life.request, "keep", None), heading=""),
    Column(name="order_qty", value=lambda life: life.order_qty, heading="qty", right=True),
    Column(name="price", value=lambda life: life.price, text=_price, right=True),
    Column(name="stop_px", value=lambda life: getattr(life.request, "stop_px", None), heading=""),
    Column(name="cum_qty", value=lambda life: life.cum_qty, heading="filled", right=True),
    Column(name="leaves_qty", value=lambda life: life.leaves_qty, heading="leaves", right=True),
    number_column("avg_px", lambda life: life.avg_px, "avg px"),
    Column(name="ord_status", value=lambda life: life.status, heading="status"),
    Column(name="may_rest", value=lambda life: life.may_rest, heading=""),
    Column(name="updated", value=lambda life: _time(life.updated_ns)),
    Column(name="updated_ns", value=lambda life: life.updated_ns, heading=""),
    Column(name="client_order_id", value=lambda life: life.client_order_id, heading="order"),
    Column(
        name="venue_order_id",
        value=lambda life: life.venue_order_ids[-1] if life.venue_order_ids else None,
        heading="at the venue",
    ),
    Column(name="rule", value=lambda life: getattr(life.request, "rule", None), heading=""),
    Column(name="in_doubt", value=lambda life: life.doubt, heading=""),
    Column(name="text", value=lambda life: life.text, heading="why", text=_why),
)


@click.command("orders")
@run_options
@click.option("--open", "only_open", is_flag=True, help="Only those that may still rest.")
@click.option("--refused", is_flag=True, help="Those that risk refused, which never left.")
@click.option("--symbol", help="Only of this instrument, such as paper:BTC-EUR.")
@click.option("--strategy", help="Only of this strategy.")
@form_options
def command(
    *,
    path: Path,
    run: Run,
    only_open: bool,
    refused: bool,
    symbol: str | None,
    strategy: str | None,
    form: Form | None,
) -> None:
    """Print the orders of a run and where each stands: the last of CONFIG's bot, or of any bot.

    `botkit explain ORDER` tells one order's story; it takes either of its ids.
    """
    with JournalReader(path) as reader:
        lives = Lives(reader.entries(run.run_id)).all()
    within = [
        life
        for life in lives
        if symbol in (None, life.request.symbol) and strategy in (None, life.request.strategy)
    ]
    orders = [life for life in within if (life.status == REFUSED) is refused]
    shown = [life for life in orders if life.may_rest] if only_open else orders
    print_rows(
        shown,
        COLUMNS,
        form,
        what="the orders",
        head=run_line(path, run, _counted(within, shown, only_open=only_open, refused=refused)),
    )


def _counted(
    within: Sequence[Life], shown: Sequence[Life], *, only_open: bool, refused: bool
) -> str:
    if refused:
        return f"{plural(len(shown), 'refused order')}"
    also = sum(life.status == REFUSED for life in within)
    hint = f", and {also:,} refused: --refused lists them" if also and not only_open else ""
    return f"{plural(len(shown), 'order')}{' that may rest' if only_open else ''}{hint}"
