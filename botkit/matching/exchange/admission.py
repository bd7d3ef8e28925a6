"""Which requests the exchange takes: numbers, limits, the book, money."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import attrs

from botkit.matching.exchange.checks import (
    Numbers,
    RefusedError,
    read_change,
    read_expiry,
    read_terms,
    refuse,
)
from botkit.matching.exchange.desk import Desk
from botkit.matching.exchange.messages import OrderTerms
from botkit.matching.exchange.orders import Account, Market, Order
from botkit.matching.exchange.words import CancelReason, FeeIn, RejectReason, SelfTradeRule
from botkit.model import OrdType, Side

__all__ = ["Admission", "ExchangeRules", "find"]

_LIMIT: Final = OrdType.LIMIT  # looking it up in its enum costs as much as a call


@attrs.frozen(kw_only=True)
class ExchangeRules:
    """How this exchange is set up.

    Parameters
    ----------
    fee_in
        The currency fees are taken in.
    fee_digits
        Fees are rounded towards 0 to this many digits after the point.
    self_trade
        What happens when an order meets another of its account and does not say so itself.
    max_notional
        Greatest price x quantity of an order in quote currency; None for no bound.
    max_open_orders
        Of one account on one side of one market; None for no bound.
    unique_client_order_ids
        Refuse a client order id that an open order of the account has.
    spend_what_is_there
        A market order that costs more than is free trades as far as the money goes; if False it
        is refused.
    counterparty_limits
        Keep net positions by pair of accounts, and limits on them.
    """

    fee_in: FeeIn = FeeIn.QUOTE
    fee_digits: int = 8
    self_trade: SelfTradeRule = SelfTradeRule.CANCEL_RESTING
    max_notional: Decimal | None = None
    max_open_orders: int | None = None
    unique_client_order_ids: bool = False
    spend_what_is_there: bool = False
    counterparty_limits: bool = False


class Admission:
    """Looks at requests and changes nothing; what it does not take it raises as `RefusedError`."""

    def __init__(self, rules: ExchangeRules, markets: Mapping[str, Market], desk: Desk) -> None:
        self._rules = rules
        self._markets = markets
        self._desk = desk

    def new_order(self, owner: Account, terms: OrderTerms, order_id: int, now_ns: int) -> Order:
        """Return the order that `terms` make; the money for it is there."""
        market = self._markets.get(terms.symbol)
        if market is None:
            known = ", ".join(self._markets)
            text = f"symbol {terms.symbol!r} is not traded here: {known} are"
            raise refuse(RejectReason.UNKNOWN_SYMBOL, text, "symbol")
        _check_open(market)
        numbers = read_terms(terms, market, self._rules.max_notional)
        expire_time_ns = read_expiry(terms, now_ns)
        self._check_client_order_id(owner, terms.client_order_id)
        self._check_count(owner, terms)
        order = Order(order_id, owner, market, terms, self._rules.fee_in)
        order.lots = order.leaves = numbers.lots
        order.cash = order.cash_left = numbers.cash
        order.ticks, order.stop_ticks = numbers.ticks, numbers.stop_ticks
        order.expire_time_ns = expire_time_ns
        if order.ord_type is _LIMIT:
            _check_taking(order, order.ticks)
        self._check_funds(order)
        return order

    def _check_count(self, owner: Account, terms: OrderTerms) -> None:
        most = self._rules.max_open_orders
        if most is None or terms.ord_type is OrdType.MARKET:
            return
        count = len(owner.select(terms.symbol, terms.side, None))
        if count >= most:
            text = (
                f"{count} {terms.side} orders are open in {terms.symbol}: at most {most} are "
                "taken; cancel one first"
            )
            raise refuse(
                RejectReason.TOO_MANY_ORDERS, text, "symbol", Decimal(count), Decimal(most)
            )

    def _check_client_order_id(self, owner: Account, client_order_id: str) -> None:
        if not (self._rules.unique_client_order_ids and client_order_id):
            return
        if owner.open_order_named(client_order_id) is not None:
            text = f"client_order_id {client_order_id!r} is that of an open order; use another"
            raise refuse(RejectReason.DUPLICATE_CLIENT_ORDER_ID, text, "client_order_id")

    def _check_funds(self, order: Order) -> None:
        """Check that a limit can be locked, or that a market order can be paid as things stand."""
        if order.ord_type is OrdType.STOP:
            return  # pays as far as it can, when triggered
        if order.ticks:
            _check_free(order, order.need(order.leaves, order.ticks))
            return
        if order.side is Side.SELL and not self._rules.spend_what_is_there:
            _check_free(order, order.need(order.leaves, 1))  # a sell locks the same at any price
        plan = self._desk.plan(order)
        if plan.end is CancelReason.INSUFFICIENT_FUNDS and not (
            self._rules.spend_what_is_there and plan.matches
        ):
            raise _no_funds(order, None)

    def changed(
        self,
        order: Order,
        order_qty: Decimal | None,
        price: Decimal | None,
        stop_px: Decimal | None,
        client_order_id: str | None,
    ) -> Numbers:
        """Return the numbers of `order` with what is not None changed; the money is there."""
        numbers = read_change(order, order_qty, price, stop_px, self._rules.max_notional)
        _check_open(order.market)
        if client_order_id is not None and client_order_id != order.client_order_id:
            self._check_client_order_id(order.account, client_order_id)
        if not order.is_waiting:
            _check_taking(order, numbers.ticks)
        need = order.need(numbers.lots - order.cum, numbers.ticks)
        _check_free(order, need, order.locked)
        return numbers


def find(owner: Account, order_id: int) -> Order:
    """Return the account's open order of that id; raise `RefusedError` if there is none."""
    order = owner.by_id.get(order_id)
    if order is None:
        text = f"order {order_id}: account {owner.name!r} has no such order"
        raise refuse(RejectReason.UNKNOWN_ORDER, text, "order_id")
    if order_id not in owner.open:
        text = f"order {order_id} is {order.status} already"
        raise refuse(RejectReason.ORDER_CLOSED, text, "order_id")
    return order


def _check_open(market: Market) -> None:
    if market.halted:
        text = f"{market.symbol} is halted: only cancels are taken"
        raise refuse(RejectReason.HALTED, text, "symbol")


def _check_taking(order: Order, ticks: int) -> None:
    other = order.market.other_side(order.side)
    if order.post_only and other.crosses(ticks):
        price, best = order.market.price(ticks), order.market.price(other.best)
        text = f"post-only {order.side} at {price} would trade with the best price {best}"
        raise refuse(RejectReason.WOULD_TAKE, text, "price", price, best)


def _check_free(order: Order, need: int, locked: int = 0) -> None:
    if need - locked > order.pays.free:
        raise _no_funds(order, need - locked)


def _no_funds(order: Order, need: int | None) -> RefusedError:
    currency = order.pays.currency
    free = currency.decimal(order.pays.free)
    found = None if need is None else currency.decimal(need)
    wants = "more" if found is None else str(found)
    text = f"the order needs {wants} {currency.name}; {free} is free"
    return refuse(RejectReason.INSUFFICIENT_FUNDS, text, "order_qty", found, free)
