"""`botkit resolve`: end an order that nobody else can tell of, by a person's word."""

from decimal import Decimal
from typing import Final

import click

from botkit.cli.asking import dial, not_running, refused
from botkit.cli.choosing import BotChoice, bot_options
from botkit.cli.completing_names import orders
from botkit.cli.operating_options import NUMBER, who, why_option
from botkit.cli.telling import order_text, print_orders, record_text
from botkit.cli.wording import plural
from botkit.clock import wall_time_ns
from botkit.control import Resolve
from botkit.errors import AlreadyRunningError, BeingSweptError, BotkitError
from botkit.journal import JournalReader, OpenRun, SqliteJournal
from botkit.journal.database import journal_paths
from botkit.model import ClientOrderId, Fill, OrdStatus, ResolveOrder
from botkit.orders import Standing, standing_fill, standing_problem
from botkit.ports import JournalEntry, OrderRecord

__all__ = ["command"]

ZERO: Final = Decimal(0)
ENDS: Final = ("canceled", "filled", "rejected", "expired")


@click.command("resolve")
@click.argument("order", shell_complete=orders)
@bot_options
@click.option("--as", "end", type=click.Choice(ENDS), required=True, help="How it ended.")
@click.option("--cum-qty", type=NUMBER, help="All that it filled, if more than the bot counted.")
@click.option("--avg-px", type=NUMBER, help="The mean price of all that it filled.")
@why_option
def command(
    *,
    order: str,
    choice: BotChoice,
    end: str,
    cum_qty: Decimal | None,
    avg_px: Decimal | None,
    reason: str,
) -> int:
    """End ORDER, which is UNKNOWN, by your word: look at the venue first.

    ORDER is our client order id, as botkit status prints it. What you say has filled is booked,
    its fee estimated at the taker rate; should the venue tell of it later, it counts once. If
    the bot is not running, its last run is looked at: an order that it left open no longer keeps
    the next start from trading.
    """
    question = Resolve(
        client_order_id=ClientOrderId(order),
        ord_status=OrdStatus(end.upper()),
        cum_qty=cum_qty,
        avg_px=avg_px,
        reason=reason,
    )
    name, line = dial(choice)
    if line is None:
        return _resolve_stopped(choice, name, question)
    with line:
        answer = line.ask(question)
    if answer is None:
        raise BotkitError(f"bot {name!r} ended before it answered: say it again")
    done = refused(name, answer)
    click.echo(f"{name}: {done.text}")
    print_orders("Resolved:", map(order_text, done.orders))
    return 0


def _resolve_stopped(choice: BotChoice, name: str, question: Resolve) -> int:
    """Write the word into the journal, for the next start; nobody runs the bot meanwhile."""
    if not journal_paths(choice.state_dir, name)[0].exists():
        raise not_running(choice, name)
    try:
        journal = SqliteJournal.open(choice.state_dir, name)
    except BeingSweptError:
        raise  # nobody to ask: wait for the guardian
    except AlreadyRunningError:
        raise not_running(choice, name) from None
    try:
        run, record = _find(journal, name, question.client_order_id)
        entries = _entries(journal, run, record, question)
        journal.add_to(run.run_id, entries)
        left = [each for open_run in journal.unfinished() for each in open_run.orders]
    finally:
        journal.close()
    click.echo(
        f"{name} is not running; of its run {run.run_id}, {question.client_order_id} is "
        f"{question.ord_status.value} by your word; the journal keeps it."
    )
    if left:
        print_orders(
            f"{plural(len(left), 'order')} of it may still rest:",
            map(record_text, left),
        )
    else:
        click.echo("Nothing of it is open any more: the next start does not refuse because of it.")
    return 0


def _find(
    journal: SqliteJournal, name: str, client_order_id: ClientOrderId
) -> tuple[OpenRun, OrderRecord]:
    """Return the order meant, of those that earlier runs left open, and its run."""
    runs = journal.unfinished()
    for run in runs:
        for record in run.orders:
            if client_order_id in record.client_order_ids:
                return run, record
    known = ", ".join(record.client_order_ids[0] for run in runs for record in run.orders)
    raise BotkitError(
        f"bot {name!r} is not running, and of what its last run left open, found "
        f"{client_order_id!r}, allowed: {known or 'none, nothing was left open'}"
    )


def _entries(
    journal: SqliteJournal, run: OpenRun, record: OrderRecord, question: Resolve
) -> list[JournalEntry]:
    """Return what the journal keeps of the word: itself, and the fill that it tells of."""
    with JournalReader(journal.path) as reader:
        fills = [
            fill
            for fill in reader.fills(run.run_id)
            if fill.client_order_id in record.client_order_ids
        ]
    qtys = [record.request.order_qty]
    if record.replace is not None:
        qtys.append(record.replace.order_qty)
    standing = Standing(
        order_qty=min(qtys),
        most_qty=max(qtys),
        cum_qty=sum((fill.qty for fill in fills), ZERO),
        notional=sum((fill.qty * fill.price for fill in fills), ZERO),
    )
    word = ResolveOrder(
        client_order_id=question.client_order_id,
        ord_status=question.ord_status,
        cum_qty=question.cum_qty,
        avg_px=question.avg_px,
        reason=question.reason,
        by=who(),
        receive_time_ns=wall_time_ns(),
    )
    problem = standing_problem(standing, word)
    if problem:
        raise BotkitError(f"order {question.client_order_id}: {problem}")
    fill: Fill | None = standing_fill(
        standing,
        word,
        client_order_id=record.client_order_ids[0],
        symbol=record.request.symbol,
        strategy=record.request.strategy,
        side=record.request.side,
    )
    return [word] if fill is None else [word, fill]
