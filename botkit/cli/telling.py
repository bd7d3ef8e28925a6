"""What a running bot answered, as people read it, and the exit code that it makes."""

from collections.abc import Iterable

import click

from botkit.cli.choosing import BotChoice
from botkit.cli.wording import plural
from botkit.control import Done, OrderTold
from botkit.model import OrdStatus
from botkit.ports import OrderRecord
from botkit.shell import ExitCode

__all__ = ["how_to_clear", "may_rest", "order_text", "print_orders", "record_text", "tell_done"]

CLOSED = frozenset({OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED, OrdStatus.EXPIRED})


def order_text(order: OrderTold) -> str:
    """Return what a person wants to know of one order."""
    price = " at market" if order.price is None else f" at {order.price}"
    filled = f", {order.cum_qty} filled" if order.cum_qty else ""
    why = f" ({order.text})" if order.in_doubt and order.text else ""
    return (
        f"{order.client_order_id}  {order.side.value.lower()} {order.order_qty} "
        f"{order.symbol}{price}  {order.ord_status.value}{filled}{why}"
    )


def record_text(record: OrderRecord) -> str:
    """Return what a person wants to know of an order that the journal left open."""
    request = record.request
    price = " at market" if request.price is None else f" at {request.price}"
    return (
        f"{record.client_order_ids[0]}  {request.side.value.lower()} {request.order_qty} "
        f"{request.symbol}{price}"
    )


def may_rest(orders: Iterable[OrderTold]) -> list[OrderTold]:
    """Return the orders among `orders` that the venue has not ended."""
    return [order for order in orders if order.ord_status not in CLOSED]


def print_orders(head: str, lines: Iterable[str]) -> None:
    """Print a heading with the lines under it; nothing where there are none."""
    lines = list(lines)
    if lines:
        click.echo("\n".join([head, *(f"  {line}" for line in lines)]))


def how_to_clear(choice: BotChoice, name: str) -> str:
    """Return the sentence that says how a halted bot is let trade again."""
    if choice.config is not None:
        which = choice.config.words
    else:
        which = f"--bot {name} --state-dir {choice.state_dir}"
    return f"It does not start again until: botkit risk clear {which} --reason TEXT"


def tell_done(done: Done) -> ExitCode:
    """Print which orders are gone and which may rest; return 3 if any of ours may.

    Orders that their strategy wants kept are told, and are no reason for a 3.
    """
    left = may_rest(done.orders)
    gone = [order for order in done.orders if order not in left]
    print_orders(f"{plural(len(gone), 'order')} over:", map(order_text, gone))
    print_orders(
        f"{plural(len(left), 'order')} MAY STILL REST, no word of the venue yet:",
        map(order_text, left),
    )
    passes = (
        "only orders that reduce a position pass"
        if done.halted
        else "strategies go on (botkit pause all stops them)"
    )
    print_orders(
        f"{plural(len(done.placed), 'order')} placed since, {passes}:",
        map(order_text, done.placed),
    )
    print_orders("Left, since their strategy wants them kept:", map(order_text, done.kept))
    print_orders("Not ours, left alone:", done.foreign)
    if not (done.orders or done.placed or done.kept):
        click.echo("No order of ours was open.")
    return ExitCode.ORDERS_MAY_REST if left or done.placed else ExitCode.CLEAN
