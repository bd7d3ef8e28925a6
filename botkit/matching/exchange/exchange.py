"""A price-time exchange for simulators: accounts, orders in, events out."""

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from botkit.matching.exchange.admission import Admission, ExchangeRules, find
from botkit.matching.exchange.checks import Numbers, RefusedError
from botkit.matching.exchange.counterparties import Counterparties
from botkit.matching.exchange.desk import Desk
from botkit.matching.exchange.messages import (
    ExchangeEvent,
    OrderReplaced,
    OrderState,
    OrderTerms,
    RequestRejected,
)
from botkit.matching.exchange.money import Currency, Fees, Holding
from botkit.matching.exchange.orders import Account, Market, Order
from botkit.matching.exchange.words import CancelReason
from botkit.model import Instrument, RequestKind, Side
from botkit.ports import FeeSchedule

__all__ = ["Exchange"]

HISTORY: Final = 100_000


class Exchange:
    """Spot markets with price-time priority, over accounts with locked balances.

    Every call that may change something takes the time it happens at, which never falls, and
    returns what happened, in order. Orders whose time is over by then end first, at their own
    time, so it makes no difference how often `advance` is called. Markets and accounts are looked
    up and read through `markets` and `accounts`.

    Symbols are the instruments' `name`, the exchange's own. Ids are counted from 1: orders, trades
    and executions (one for each side of a trade) each on their own.

    Parameters
    ----------
    instruments
        Spot only: no contract multiplier, not inverse.
    fees
        Of accounts that have none of their own.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        fees: FeeSchedule | None = None,
        rules: ExchangeRules | None = None,
    ) -> None:
        self.rules = rules or ExchangeRules()
        listed = tuple(instruments)
        self._fees = fees or FeeSchedule()
        self.currencies: Mapping[str, Currency] = _currencies(listed, self.rules.fee_digits)
        self.markets: Mapping[str, Market] = {
            each.name: Market(each, self.currencies[each.base], self.currencies[each.quote])
            for each in listed
        }
        self.accounts: dict[str, Account] = {}
        self.counterparties = Counterparties() if self.rules.counterparty_limits else None
        self._desk = Desk(self.rules.self_trade, self.counterparties)
        self._admission = Admission(self.rules, self.markets, self._desk)
        self._expiring: list[tuple[int, int, Order]] = []  # soonest first
        self._last_order_id = 0

    @property
    def now_ns(self) -> int:
        """The time of the last call."""
        return self._desk.now_ns

    @property
    def next_due_ns(self) -> int | None:
        """When the next open order ends by itself; None if none does."""
        self._forget_closed()
        return self._expiring[0][0] if self._expiring else None

    def observe(self, observer: Callable[[Sequence[ExchangeEvent]], None]) -> None:
        """Have `observer` called with the events of every call from now on, before it returns.

        For whoever must know what is true: a simulator may tell its clients later, or never.
        """
        self._desk.observers.append(observer)

    def open_account(
        self,
        name: str,
        balances: Mapping[str, Decimal] | None = None,
        *,
        credit: Mapping[str, Decimal] | None = None,
        fees: FeeSchedule | None = None,
        history_limit: int = HISTORY,
    ) -> Account:
        """Add an account. With `credit` its free balance of a currency may go that far below 0.

        Raises
        ------
        ValueError
            The name is taken, a currency is not traded here, or a number cannot be counted.
        """
        if name in self.accounts:
            raise ValueError(f"account {name!r} exists already; deposit to it instead")
        credit = credit or {}
        account = Account(name, Fees(fees or self._fees), history_limit)
        for unknown in {*(balances or {}), *credit} - {*self.currencies}:
            raise ValueError(f"{unknown!r} is not traded here: {', '.join(self.currencies)} are")
        for currency in self.currencies.values():
            granted = currency.units(credit.get(currency.name, Decimal(0)))
            account.holdings[currency.name] = Holding(name, currency, granted)
        for currency_name, opening in (balances or {}).items():
            self._move(account.holdings[currency_name], opening)
        for held in account.holdings.values():
            held.is_news()  # what it opens with has been told
        self.accounts[name] = account
        return account

    def deposit(
        self, account: str, currency: str, change: Decimal, now_ns: int
    ) -> list[ExchangeEvent]:
        """Add money from outside; below 0 takes money out.

        Raises
        ------
        ValueError
            Not that much is free, or the number cannot be counted.
        """
        self._begin(now_ns)
        held = self.accounts[account].holdings[currency]
        self._move(held, change)
        self._desk.touch(held)
        return self._desk.take_events()

    def advance(self, now_ns: int) -> list[ExchangeEvent]:
        """Let time pass: end the orders whose time is over."""
        self._begin(now_ns)
        return self._desk.take_events()

    def submit(self, account: str, terms: OrderTerms, now_ns: int) -> list[ExchangeEvent]:
        """Take a new order, and trade it."""
        self._begin(now_ns)
        desk, owner = self._desk, self.accounts[account]
        owner.orders_received += 1
        try:
            order = self._admission.new_order(owner, terms, self._last_order_id + 1, now_ns)
        except RefusedError as refused:
            self._reject(account, RequestKind.NEW, refused, terms=terms)
        else:
            self._last_order_id = order.order_id
            desk.accept(order)
            if order.expire_time_ns:
                insort(self._expiring, (order.expire_time_ns, order.order_id, order))
            desk.start(order)
        return desk.take_events()

    def cancel(
        self,
        account: str,
        order_id: int,
        now_ns: int,
        reason: CancelReason = CancelReason.CLIENT,
    ) -> list[ExchangeEvent]:
        """End an open order of the account."""
        self._begin(now_ns)
        try:
            order = find(self.accounts[account], order_id)
        except RefusedError as refused:
            self._reject(account, RequestKind.CANCEL, refused, order_id=order_id)
        else:
            self._desk.cancel(order, reason)
        return self._desk.take_events()

    def cancel_all(
        self,
        account: str,
        now_ns: int,
        *,
        symbol: str | None = None,
        side: Side | None = None,
        session: str | None = None,
        reason: CancelReason = CancelReason.CLIENT,
    ) -> list[ExchangeEvent]:
        """End every open order of the account, or those of a symbol, side or session."""
        self._begin(now_ns)
        for order in self.accounts[account].select(symbol, side, session):
            self._desk.cancel(order, reason)
        return self._desk.take_events()

    def replace(
        self,
        account: str,
        order_id: int,
        now_ns: int,
        *,
        order_qty: Decimal | None = None,
        price: Decimal | None = None,
        stop_px: Decimal | None = None,
        client_order_id: str | None = None,
    ) -> list[ExchangeEvent]:
        """Change an open order in place; if that is refused it stands as it was.

        `order_qty` counts what is filled. What is None stays. The order keeps its place only if
        its price stays and its quantity does not grow; else it queues, and trades, as if new.
        """
        self._begin(now_ns)
        owner = self.accounts[account]
        try:
            order = find(owner, order_id)
            numbers = self._admission.changed(order, order_qty, price, stop_px, client_order_id)
        except RefusedError as refused:
            self._reject(account, RequestKind.REPLACE, refused, order_id=order_id)
            return self._desk.take_events()
        previous = order.state()
        if client_order_id is not None:
            order.client_order_id = client_order_id
        self._change(order, previous, numbers)
        return self._desk.take_events()

    def halt(self, symbol: str, *, halted: bool = True) -> None:
        """Refuse new orders and replaces in a market, or take them again."""
        self.markets[symbol].halted = halted

    def report(self) -> dict[str, Any]:
        """Return, by account, orders received, fills and what rests; plain values for JSON."""
        return {
            name: {
                "orders": account.orders_received,
                "fills": account.fills,
                "resting": [_row(order) for order in account.open_orders()],
            }
            for name, account in self.accounts.items()
        }

    def _begin(self, now_ns: int) -> None:
        """Move time on, through the end of every order on the way."""
        desk = self._desk
        if now_ns < desk.now_ns:
            raise ValueError(f"now_ns {now_ns} is before {desk.now_ns}: time never falls here")
        while self._expiring and self._expiring[0][0] <= now_ns:
            expire_ns, _, order = self._expiring.pop(0)
            if order.order_id in order.account.open:
                desk.now_ns = expire_ns
                desk.expire(order)
                desk.tell_balances()
        desk.now_ns = now_ns

    def _forget_closed(self) -> None:
        while self._expiring and self._expiring[0][1] not in self._expiring[0][2].account.open:
            self._expiring.pop(0)

    def _move(self, held: Holding, change: Decimal) -> None:
        currency = held.currency
        units = currency.units(change)
        if units < 0 and held.total - held.locked < -units:
            free = currency.decimal(held.total - held.locked)
            raise ValueError(
                f"account {held.account!r} cannot give {-change} {currency.name}: {free} is free"
            )
        currency.units(currency.decimal(currency.brought_in + units))  # still countable
        held.total += units
        currency.brought_in += units

    def _reject(
        self,
        account: str,
        request: RequestKind,
        refused: RefusedError,
        *,
        terms: OrderTerms | None = None,
        order_id: int | None = None,
    ) -> None:
        self._desk.tell(
            RequestRejected(
                time_ns=self._desk.now_ns,
                account=account,
                request=request,
                rejection=refused.rejection,
                terms=terms,
                order_id=order_id,
                order=None if order_id is None else self.accounts[account].order(order_id),
            )
        )

    def _change(self, order: Order, previous: OrderState, numbers: Numbers) -> None:
        desk = self._desk
        keeps = order.resting and numbers.ticks == order.ticks and numbers.lots <= order.lots
        if keeps:
            desk.lower(order, order.lots - numbers.lots)
        else:
            desk.pull(order)
            desk.change(order, numbers)
        desk.tell(
            OrderReplaced(
                time_ns=desk.now_ns, order=order.state(), previous=previous, kept_priority=keeps
            )
        )
        if not keeps:
            desk.start(order)


def _row(order: OrderState) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side.value,
        "ord_type": order.ord_type.value,
        "price": None if order.price is None else str(order.price),
        "stop_px": None if order.stop_px is None else str(order.stop_px),
        "leaves_qty": str(order.leaves_qty),
        "cum_qty": str(order.cum_qty),
    }


def _currencies(instruments: Iterable[Instrument], fee_digits: int) -> dict[str, Currency]:
    """Return the currencies of `instruments`, fine enough for every trade to be exact."""
    digits: dict[str, int] = {}
    for each in instruments:
        if each.inverse or each.contract_multiplier != 1:
            raise ValueError(f"{each.symbol}: only spot is traded here, not contracts")
        steps = ((each.base, each.lot_size), (each.quote, each.tick_size * each.lot_size))
        for name, step in steps:
            digits[name] = max(digits.get(name, 0), _digits(step))
    return {name: Currency(name, most, fee_digits) for name, most in digits.items()}


def _digits(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    assert isinstance(exponent, int)  # the instrument has checked that its steps are finite
    return max(0, -exponent)
