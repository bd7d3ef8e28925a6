"""`botkit adjust`: tell a running bot of money or inventory that came or went without it."""

from decimal import Decimal

import click

from botkit.cli.asking import ask
from botkit.cli.choosing import BotChoice, bot_options
from botkit.cli.operating_options import NUMBER, why_option
from botkit.control import Adjust
from botkit.model import Adjustment, AdjustmentKind

__all__ = ["command"]

# A number below 0 begins like an option.
SIGNED = {"ignore_unknown_options": True}


@click.group("adjust")
def command() -> None:
    """Tell the running bot of a deposit or a trade by hand; it is never profit or loss.

    The bot has to be running. One that is not needs no word of a deposit, since it starts from
    the balance that the venue tells; a trade made meanwhile is told once it runs.
    """


@command.command("deposit", short_help="Tell of money that came or went.", context_settings=SIGNED)
@click.argument("venue")
@click.argument("currency")
@click.argument("amount", type=NUMBER)
@bot_options
@why_option
def deposit(*, venue: str, currency: str, amount: Decimal, choice: BotChoice, reason: str) -> None:
    """Tell that AMOUNT of CURRENCY came to VENUE; below 0, that it went."""
    _send(
        choice,
        Adjustment(
            kind=AdjustmentKind.DEPOSIT,
            venue=venue,
            currency=currency,
            amount=amount,
            reason=reason,
        ),
    )


@command.command("trade", short_help="Tell of a trade made by hand.", context_settings=SIGNED)
@click.argument("symbol")
@click.argument("qty", type=NUMBER)
@click.argument("price", type=NUMBER)
@bot_options
@click.option("--strategy", default="", help="Whose position it is; no strategy's if left out.")
@why_option
def trade(
    *, symbol: str, qty: Decimal, price: Decimal, choice: BotChoice, strategy: str, reason: str
) -> None:
    """Tell that QTY of SYMBOL was bought by hand at PRICE; below 0, that it was sold."""
    _send(
        choice,
        Adjustment(
            kind=AdjustmentKind.TRADE,
            symbol=symbol,
            strategy=strategy,
            qty=qty,
            price=price,
            reason=reason,
        ),
    )


def _send(choice: BotChoice, adjustment: Adjustment) -> None:
    name, done = ask(choice, Adjust(adjustment=adjustment))
    click.echo(f"{name}: {done.text}.")
