"""Orders of others in a simulated exchange's book: a bot has to leave them alone."""

from decimal import ROUND_FLOOR, Decimal
from typing import Final

from botkit.matching.exchange import OrderTerms
from botkit.model import Side
from botkit.testing.invariants import Books

__all__ = ["plant"]

ANOTHER_BOT: Final = str((77 << 47) + 1)  # of a venue whose ids are numbers, another bot's tag
FAR: Final = Decimal("0.1")  # of the price: nobody trades with it


def plant(books: Books) -> None:
    """Have others' orders rest far from the market, in every market of the exchange.

    On other accounts; on the bot's own as well, of a person and of another bot, where the venue
    tells orders by client order ids.
    """
    stranger = next(e.name for e in books.simulator.members if e.name != books.member)
    _place(books, stranger, "", "another account")
    if books.tells_orders_apart:
        _place(books, books.member, "", "a person")
        _place(books, books.member, ANOTHER_BOT, "another bot")


def _place(books: Books, account: str, client_order_id: str, whose: str) -> None:
    market = books.simulator.market
    now_ns = market.catch_up()
    for symbol, each in market.exchange.markets.items():
        instrument = each.instrument
        best = each.levels(Side.BUY, 1) or each.levels(Side.SELL, 1)
        if not best:
            continue
        steps = (best[0][0] * FAR / instrument.tick_size).to_integral_value(ROUND_FLOOR)
        terms = OrderTerms(
            symbol=symbol,
            side=Side.BUY,
            order_qty=instrument.min_trade_vol * 2 or instrument.lot_size,
            price=steps * instrument.tick_size,
            client_order_id=client_order_id,
        )
        books.planting = whose
        market.tell(market.exchange.submit(account, terms, now_ns))
        books.planting = ""
        if client_order_id:
            return  # an id is for one order
