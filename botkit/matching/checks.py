"""What a simulated venue refuses an order for before it looks at money or the book."""

from decimal import Decimal

from botkit.model import Instrument, NewOrder, OrdType, ReplaceOrder, TimeInForce

__all__ = ["new_order_fault", "replace_fault"]

# Looking a member up in its enum costs as much as a call (Python 3.11).
_LIMIT = OrdType.LIMIT
_GTC = TimeInForce.GTC
PRICED = frozenset({OrdType.LIMIT, OrdType.STOP_LIMIT})
STOPS = frozenset({OrdType.STOP, OrdType.STOP_LIMIT})
TAKERS = frozenset({TimeInForce.IOC, TimeInForce.FOK})


def new_order_fault(order: NewOrder, instrument: Instrument, now_ns: int) -> str:
    """Return why `order` cannot be accepted; "" if nothing is wrong with it."""
    if _is_plain(order, instrument):
        return ""
    return (
        _shape_fault(order, now_ns)
        or _qty_fault(order.order_qty, instrument)
        or _price_fault("price", order.price, instrument)
        or _price_fault("stop_px", order.stop_px, instrument)
        or _notional_fault(order.order_qty, order.price or order.stop_px, instrument)
    )


def _is_plain(order: NewOrder, instrument: Instrument) -> bool:
    """Return True for most orders, at once: a limit till canceled, on both grids, large enough."""
    return (
        order.ord_type is _LIMIT
        and order.time_in_force is _GTC
        and order.price is not None
        and order.stop_px is None
        and order.cash_order_qty is None
        and instrument.takes(order.price, order.order_qty)
    )


def replace_fault(
    request: ReplaceOrder, ord_type: OrdType, cum_qty: Decimal, instrument: Instrument
) -> str:
    """Return why an `ord_type` order with `cum_qty` filled cannot be changed so; "" if it can."""
    if request.price is not None and ord_type not in PRICED:
        return f"a {ord_type} order has no price to change (asked for {request.price})"
    if request.order_qty <= cum_qty:
        return (
            f"order_qty {request.order_qty} is not above the {cum_qty} that is filled already; "
            "cancel the order instead"
        )
    return (
        _qty_fault(request.order_qty, instrument)
        or _price_fault("price", request.price, instrument)
        or _notional_fault(request.order_qty, request.price, instrument)
    )


def _shape_fault(order: NewOrder, now_ns: int) -> str:
    for name, value, takers in (
        ("price", order.price, PRICED),
        ("stop_px", order.stop_px, STOPS),
    ):
        if (value is None) is (order.ord_type in takers):
            wants = "needs a" if order.ord_type in takers else "takes no"
            return f"a {order.ord_type} order {wants} {name}; it has {value}"
    if order.cash_order_qty is not None:
        return f"cash_order_qty {order.cash_order_qty}: only order_qty is taken here"
    if order.time_in_force is TimeInForce.GTD and order.expire_time_ns <= now_ns:
        return f"expire_time_ns {order.expire_time_ns} is not after {now_ns}, when it arrived"
    if order.post_only and (order.ord_type not in PRICED or order.time_in_force in TAKERS):
        return f"post_only with {order.ord_type} {order.time_in_force}: such an order cannot rest"
    return ""


def _qty_fault(qty: Decimal, instrument: Instrument) -> str:
    if qty <= 0:
        return f"order_qty {qty} must be above 0"
    if qty % instrument.lot_size:
        low, high = instrument.neighbours(qty, instrument.lot_size)
        return f"order_qty {qty} is off the lot grid of {instrument.lot_size}: use {low} or {high}"
    if qty < instrument.min_trade_vol:
        return f"order_qty {qty} is below the least quantity {instrument.min_trade_vol}"
    if instrument.max_trade_vol is not None and qty > instrument.max_trade_vol:
        return f"order_qty {qty} is above the greatest quantity {instrument.max_trade_vol}"
    return ""


def _price_fault(name: str, price: Decimal | None, instrument: Instrument) -> str:
    if price is None:
        return ""
    if price <= 0:
        return f"{name} {price} must be above 0"
    if price % instrument.tick_size:
        low, high = instrument.neighbours(price, instrument.tick_size)
        return f"{name} {price} is off the tick grid of {instrument.tick_size}: use {low} or {high}"
    return ""


def _notional_fault(qty: Decimal, price: Decimal | None, instrument: Instrument) -> str:
    if price is None or not instrument.min_notional:
        return ""
    notional = instrument.notional(price, qty)
    if notional < instrument.min_notional:
        return (
            f"notional {notional} {instrument.quote} is below the least of "
            f"{instrument.min_notional} {instrument.quote}"
        )
    return ""
