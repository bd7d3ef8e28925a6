"""What is looked at once the faults are over: whether all records agree, to the last fill."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import trio

from botkit.model import Fill
from botkit.shell import Bot
from botkit.testing.comparing import differing_books
from botkit.testing.invariants import Books
from botkit.testing.lives import Lives
from botkit.testing.memory_journal import MemoryJournal
from botkit.testing.world import World

__all__ = ["settle", "sums_of"]

ZERO: Final = Decimal(0)
QUIET_S: Final = 5.0  # for what is under way to arrive
MOST_S: Final = 420.0  # some venues ban for five minutes
DEPTH: Final = 8  # levels of a book that are compared
LOOK_EVERY_S: Final = 1.0


async def settle(lives: Lives, world: World) -> list[str]:
    """Wait until the bot may trade again, then hold still and compare; return what differs.

    Markets live on until all is up, since a bot whose prices stand still does not trade.
    """
    deadline = trio.current_time() + MOST_S
    told = ""
    while True:
        await trio.sleep(LOOK_EVERY_S)
        blocked = _blocked(lives)
        is_late = trio.current_time() >= deadline
        if not blocked or is_late:
            _pause(world, paused=True)
            await trio.sleep(QUIET_S)
            differing = _blocked(lives) or _differing(lives, world)
            if not differing or is_late:
                return differing
            _pause(world, paused=False)
            blocked = differing
        if told != blocked[0]:
            told = blocked[0]
            lives.chronicle.tell("settling", told)


def _pause(world: World, *, paused: bool) -> None:
    for simulator in world.simulators.values():
        simulator.market.pause(paused=paused)


def _blocked(lives: Lives) -> list[str]:
    """Return why the bot cannot trade everything it is to trade."""
    life = lives.current
    if life is None or life.bot is None or life.is_guardian:
        return ["no bot is running"]
    return [
        f"{symbol}: no order can be sent: {why}"
        for symbol in life.bot.engine.channels
        if (why := life.bot.engine.lifecycle.hindrance(symbol))
    ]


def _differing(lives: Lives, world: World) -> list[str]:
    life = lives.current
    return (
        []
        if life is None or life.bot is None
        else differing_books(life.bot, world.simulators, depth=DEPTH)
    )


def sums_of(journal: MemoryJournal, books: Mapping[str, Books], bot: Bot | None) -> list[str]:
    """Return a line for each sum that does not come out: fills by order, positions, money."""
    fills = [entry for run in journal.runs for entry in run.entries if isinstance(entry, Fill)]
    told: list[str] = []
    for name, each in books.items():
        told += _differing_fills(name, each, fills)
        told += each.differing_money()
        if bot is not None:
            told += _differing_positions(name, each, bot)
    return told


def _differing_fills(venue: str, books: Books, fills: list[Fill]) -> list[str]:
    """Hold every order's fills, of all runs, against what the exchange filled of it."""
    counted: dict[str, Decimal] = {}
    net: dict[str, Decimal] = {}
    for fill in fills:
        if not fill.symbol.startswith(f"{venue}:"):
            continue
        key = str(fill.venue_order_id)
        counted[key] = counted.get(key, ZERO) + fill.qty
        symbol = fill.symbol.partition(":")[2]
        net[symbol] = net.get(symbol, ZERO) + fill.qty * fill.side.sign
    told = [
        f"{venue} {symbol}: fills of all runs come to {net.get(symbol, ZERO)}, "
        f"the exchange's to {books.net.get(symbol, ZERO)}"
        for symbol in {**net, **books.net}
        if net.get(symbol, ZERO) != books.net.get(symbol, ZERO)
    ]
    if not told:
        return []
    account = books.simulator.market.exchange.accounts[books.member]
    for order in [*account.history(), *account.open_orders()]:
        ours = counted.get(books.simulator.venue_order_id(order), ZERO)
        if order.order_id not in books.planted and ours != order.cum_qty:
            told.append(f"{venue} order {order.order_id}: {ours} counted, {order.cum_qty} filled")
    return told


def _differing_positions(venue: str, books: Books, bot: Bot) -> list[str]:
    held: dict[str, Decimal] = {}
    for view in bot.engine.portfolio.positions():
        name, _, symbol = view.symbol.partition(":")
        if name == venue:
            held[symbol] = held.get(symbol, ZERO) + view.qty
    told: list[str] = []
    for symbol in {**held, **books.net}:
        gross = books.net.get(symbol, ZERO)
        net = gross - books.fees.get(symbol, ZERO)
        ours = held.get(symbol, ZERO)
        if not min(gross, net) <= ours <= max(gross, net):  # some fees are never told
            told.append(f"{venue} {symbol}: the bot holds {ours}, by the exchange it is {net}")
    return told
