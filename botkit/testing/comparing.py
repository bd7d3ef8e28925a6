"""What a bot thinks, held against what the exchanges know."""

from collections.abc import Collection, Mapping

from botkit.adapter import Simulator
from botkit.matching.exchange import OrderState
from botkit.model import Side, VenueOrderId
from botkit.shell import Bot

__all__ = ["differing_books", "differing_orders"]


def differing_books(
    bot: Bot, simulators: Mapping[str, Simulator], *, depth: int | None = None
) -> list[str]:
    """Return a line for each side of a book that is not as the exchange has it.

    Only as deep as the bot's own book is; where the venue shows fewer levels it has fewer.
    With `depth` no deeper than that: below what a venue shows it may forget to delete.
    """
    told: list[str] = []
    for symbol, channel in bot.engine.channels.items():
        venue, _, name = symbol.partition(":")
        market = simulators[venue].market.exchange.markets[name]
        for side in Side:
            ours = channel.market.book.levels(side)[:depth]
            theirs = [(float(px), float(qty)) for px, qty, _ in market.levels(side, len(ours))]
            if ours != theirs or not ours:
                pairs = enumerate(zip(ours, theirs, strict=False))
                first = next((n for n, (mine, its) in pairs if mine != its), 0)
                told.append(
                    f"{symbol} {side} book from level {first} of {len(ours)}: the bot has "
                    f"{ours[first:][:2]}, it is {theirs[first:][:2]}"
                )
    return told


def differing_orders(
    bot: Bot,
    simulators: Mapping[str, Simulator],
    member_of: Mapping[str, str],
    *,
    but: Mapping[str, Collection[int]] | None = None,
) -> list[str]:
    """Return a line for each order, fill or balance that the two sides do not agree on.

    `but` are the exchange's ids of orders, by venue, that the bot need not know.
    """
    told: list[str] = []
    for name, simulator in simulators.items():
        account = simulator.market.exchange.accounts[member_of[name]]
        left_out = (but or {}).get(name, ())
        for order in [*account.history(), *account.open_orders()]:
            if order.order_id not in left_out:
                told += _differing(bot, name, simulator.venue_order_id(order), order)
        for balance in account.balances():
            ours = bot.engine.lifecycle.balances.get((name, balance.currency))
            if ours is not None and ours.total != balance.total:
                told.append(
                    f"{name} {balance.currency}: the bot was told {ours.total}, "
                    f"the exchange has {balance.total}"
                )
    return told


def _differing(bot: Bot, venue: str, venue_id: str, order: OrderState) -> list[str]:
    ours = bot.engine.orders.by_venue_id(f"{venue}:{order.symbol}", VenueOrderId(venue_id))
    if ours is None:
        told = f"({order.order_id} in the book: {order.side} {order.symbol})"
        return [f"{venue} order {venue_id} {told}: the bot knows none"]
    if ours.cum_qty != order.cum_qty:
        return [f"{venue} order {venue_id}: {ours.cum_qty} filled for the bot, {order.cum_qty} so"]
    if ours.is_open is (order.cancel_reason is not None or not order.leaves_qty):
        return [f"{venue} order {venue_id}: {ours.ord_status} for the bot, {order.ord_status} so"]
    return []
