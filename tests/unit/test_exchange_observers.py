"""Whoever observes an exchange knows of every change at the moment it is made."""

from decimal import Decimal

from botkit.matching.exchange import Exchange, ExchangeEvent, OrderTerms
from botkit.model import Side
from botkit.testing import build_instrument


def test_an_observer_has_the_events_of_a_call_before_its_caller() -> None:
    instrument = build_instrument()
    exchange = Exchange([instrument])
    exchange.open_account("alice", {instrument.quote: Decimal(10_000)})
    seen: list[list[ExchangeEvent]] = []
    exchange.observe(lambda events: seen.append(list(events)))
    price = instrument.price(Decimal(100))
    terms = OrderTerms(symbol=instrument.name, side=Side.BUY, order_qty=Decimal(1), price=price)

    placed = exchange.submit("alice", terms, 1)
    canceled = exchange.cancel_all("alice", 2)

    assert seen == [placed, canceled]
