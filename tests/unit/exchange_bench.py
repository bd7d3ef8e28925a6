"""An exchange with three accounts, and books kept from its events alone."""

from decimal import Decimal
from typing import Any, TypeVar

from botkit.matching.exchange import (
    BookAction,
    BookLevelChange,
    BookOrderChange,
    Exchange,
    ExchangeEvent,
    ExchangeRules,
    OrderState,
    OrderTerms,
    Rejection,
    RequestRejected,
)
from botkit.model import Instrument, OrdType, Side
from botkit.ports import FeeSchedule

SYMBOL = "BTC-EUR"
ACCOUNTS = ("ann", "bob", "cat")
FEES = FeeSchedule(maker_bps=Decimal(10), taker_bps=Decimal(20))
E = TypeVar("E")


def instrument(**changes: Any) -> Instrument:
    fields: dict[str, Any] = {
        "symbol": f"sim:{SYMBOL}",
        "base": "BTC",
        "quote": "EUR",
        "tick_size": Decimal("0.5"),
        "lot_size": Decimal("0.1"),
    }
    return Instrument(**{**fields, **changes})


def only(kind: type[E], events: list[ExchangeEvent]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


class Bench:
    """Calls with short names; time goes on by a microsecond with each."""

    def __init__(
        self,
        rules: ExchangeRules | None = None,
        fees: FeeSchedule = FEES,
        balances: dict[str, Decimal] | None = None,
        **changes: Any,
    ) -> None:
        self.exchange = Exchange([instrument(**changes)], fees, rules)
        self.market = self.exchange.markets[SYMBOL]
        self.now_ns = 1_000
        self.events: list[ExchangeEvent] = []
        opening = balances or {"BTC": Decimal(1_000), "EUR": Decimal(1_000_000)}
        for name in ACCOUNTS:
            self.exchange.open_account(name, opening)

    def tick(self) -> int:
        self.now_ns += 1_000
        return self.now_ns

    def order(
        self, account: str, side: Side, qty: str | None, price: str | None, **fields: Any
    ) -> list[ExchangeEvent]:
        fields.setdefault("symbol", SYMBOL)
        if price is None:
            fields.setdefault("ord_type", OrdType.MARKET)
        terms = OrderTerms(
            side=side,
            order_qty=None if qty is None else Decimal(qty),
            price=None if price is None else Decimal(price),
            **fields,
        )
        return self.exchange.submit(account, terms, self.tick())

    def buy(
        self, account: str, qty: str | None, price: str | None = None, **fields: Any
    ) -> list[ExchangeEvent]:
        return self.order(account, Side.BUY, qty, price, **fields)

    def sell(
        self, account: str, qty: str | None, price: str | None = None, **fields: Any
    ) -> list[ExchangeEvent]:
        return self.order(account, Side.SELL, qty, price, **fields)

    def state(self, account: str, order_id: int) -> OrderState:
        found = self.exchange.accounts[account].order(order_id)
        assert found is not None
        return found

    def holds(self, account: str, currency: str) -> tuple[Decimal, Decimal]:
        """Return total and locked."""
        for balance in self.exchange.accounts[account].balances():
            if balance.currency == currency:
                return balance.total, balance.locked
        raise AssertionError(currency)

    def bids(self) -> list[tuple[str, str]]:
        return [(str(px), str(qty)) for px, qty, _ in self.market.levels(Side.BUY)]

    def asks(self) -> list[tuple[str, str]]:
        return [(str(px), str(qty)) for px, qty, _ in self.market.levels(Side.SELL)]


def rejection(events: list[ExchangeEvent]) -> Rejection:
    """Return why the only event refused."""
    (event,) = events
    assert isinstance(event, RequestRejected)
    return event.rejection


class Replica:
    """Both books as a client keeps them: orders by place, levels by price."""

    def __init__(self) -> None:
        self.orders: dict[Side, list[tuple[int, Decimal, Decimal]]] = {s: [] for s in Side}
        self.levels: dict[Side, dict[Decimal, tuple[Decimal, int]]] = {s: {} for s in Side}

    def apply(self, events: list[ExchangeEvent]) -> None:
        for event in events:
            if isinstance(event, BookOrderChange):
                self._apply_order(event)
            elif isinstance(event, BookLevelChange):
                self._apply_level(event)

    def _apply_order(self, event: BookOrderChange) -> None:
        side = self.orders[event.side]
        entry = (event.order_id, event.price, event.qty)
        if event.action is BookAction.ADD:
            assert 0 <= event.index <= len(side)
            side.insert(event.index, entry)
            return
        assert side[event.index][:2] == entry[:2]
        if event.action is BookAction.UPDATE:
            side[event.index] = entry
        else:
            del side[event.index]

    def _apply_level(self, event: BookLevelChange) -> None:
        if event.orders:
            self.levels[event.side][event.price] = (event.qty, event.orders)
        else:
            assert event.qty == 0
            del self.levels[event.side][event.price]
