"""A person's word on an order that nobody else can tell of: whether it holds, and what it fills."""

from decimal import Decimal
from typing import Final

import attrs

from botkit.model import ClientOrderId, ExecId, Fill, OrdStatus, ResolveOrder, Side
from botkit.orders.state import Order
from botkit.orders.transitions import CLOSED

__all__ = ["Standing", "standing_fill", "standing_problem", "vouched_fill", "word_problem"]

ZERO: Final = Decimal(0)
VOUCHED: Final = ExecId("resolved")
"""The execution id of a fill that a person told of."""


@attrs.frozen(kw_only=True)
class Standing:
    """What is known of an order's quantities: `cum_qty` counted so far for `notional`.

    `most_qty` is the greatest it may fill, a replace in flight included.
    """

    order_qty: Decimal
    most_qty: Decimal
    cum_qty: Decimal
    notional: Decimal


def word_problem(order: Order, word: ResolveOrder) -> str:
    """Return why `word` cannot end `order`; empty if it can."""
    if not order.in_doubt:
        text = f"it is {order.ord_status.value}, allowed: an UNKNOWN order; " + (
            "nothing is left to resolve" if order.is_closed else "cancel it instead"
        )
    else:
        text = standing_problem(_standing(order), word)
    return f"order {order.client_order_id}: {text}" if text else ""


def standing_problem(standing: Standing, word: ResolveOrder) -> str:
    """Return why `word` does not fit the quantities known; empty if it does."""
    status, cum_qty = word.ord_status, word.cum_qty
    if status not in CLOSED:
        ends = ", ".join(each.value for each in OrdStatus if each in CLOSED)
        return f"found {status.value}, allowed: {ends}"
    if cum_qty is None:
        if status is OrdStatus.FILLED and standing.cum_qty < standing.order_qty:
            return (
                f"FILLED without quantities, and only {standing.cum_qty} of {standing.order_qty} "
                "is counted: say all that it filled and the mean price, cum_qty and avg_px"
            )
        cum_qty = standing.cum_qty
    return _quantity_problem(standing, word, cum_qty)


def _quantity_problem(standing: Standing, word: ResolveOrder, cum_qty: Decimal) -> str:
    status = word.ord_status
    if status is OrdStatus.REJECTED and cum_qty:
        return f"REJECTED with {cum_qty} filled: what has traded was not refused; say CANCELED"
    if not standing.cum_qty <= cum_qty <= standing.most_qty:
        return f"found cum_qty {cum_qty}, allowed: {standing.cum_qty} to {standing.most_qty}"
    if status is OrdStatus.FILLED and cum_qty < standing.order_qty:
        return f"FILLED with cum_qty {cum_qty}, allowed: {standing.order_qty}, all of it"
    if status is not OrdStatus.FILLED and standing.cum_qty < cum_qty == standing.most_qty:
        return f"{status.value} with cum_qty {cum_qty}, which is all of it: say FILLED"
    return _price_problem(standing, word, cum_qty)


def _price_problem(standing: Standing, word: ResolveOrder, cum_qty: Decimal) -> str:
    if cum_qty == standing.cum_qty:
        return ""
    if word.avg_px is None:
        return f"avg_px: missing, allowed: the mean price of the {cum_qty} it filled"
    price = _last_price(standing, cum_qty, word.avg_px)
    if price <= 0:
        return (
            f"avg_px {word.avg_px}: it would price the last {cum_qty - standing.cum_qty} at "
            f"{price}, allowed: a mean price of all {cum_qty} that leaves it above 0"
        )
    return ""


def _last_price(standing: Standing, cum_qty: Decimal, avg_px: Decimal) -> Decimal:
    """Return the price of what is not counted yet, so that the mean of all comes out."""
    return (avg_px * cum_qty - standing.notional) / (cum_qty - standing.cum_qty)


def vouched_fill(order: Order, word: ResolveOrder) -> Fill | None:
    """Return the fill that `word` tells of besides those counted; None if there is none."""
    return standing_fill(
        _standing(order),
        word,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        strategy=order.strategy,
        side=order.side,
    )


def standing_fill(
    standing: Standing,
    word: ResolveOrder,
    *,
    client_order_id: ClientOrderId,
    symbol: str,
    strategy: str,
    side: Side,
) -> Fill | None:
    """Return what `word` adds to `standing` as a fill whose fee is not told; None for nothing."""
    cum_qty, avg_px = word.cum_qty, word.avg_px
    if cum_qty is None or avg_px is None or cum_qty == standing.cum_qty:
        return None
    return Fill(
        client_order_id=client_order_id,
        symbol=symbol,
        strategy=strategy,
        side=side,
        qty=cum_qty - standing.cum_qty,
        price=_last_price(standing, cum_qty, avg_px),
        exec_id=VOUCHED,
        receive_time_ns=word.receive_time_ns,
    )


def _standing(order: Order) -> Standing:
    return Standing(
        order_qty=order.order_qty,
        most_qty=max(order.most_qty(), order.cum_qty),
        cum_qty=order.cum_qty,
        notional=order.notional,
    )
