"""What the exchange refuses an order for before it looks at money or the book."""

from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from botkit.matching.exchange.messages import OrderTerms, Rejection
from botkit.matching.exchange.orders import Market, Order
from botkit.matching.exchange.tape import DAY_NS
from botkit.matching.exchange.words import RejectReason
from botkit.model import Instrument, OrdType, TimeInForce

__all__ = ["Numbers", "RefusedError", "read_change", "read_expiry", "read_terms"]

PRICED: Final = frozenset({OrdType.LIMIT, OrdType.STOP_LIMIT})
STOPS: Final = frozenset({OrdType.STOP, OrdType.STOP_LIMIT})
TAKERS: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})
ZERO: Final = Decimal(0)
_DAY: Final = TimeInForce.DAY
_GTD: Final = TimeInForce.GTD


class RefusedError(Exception):
    """Carries a `Rejection` up to the one place that makes the event of it."""

    def __init__(self, rejection: Rejection) -> None:
        self.rejection = rejection
        super().__init__(rejection.text)


class Numbers(NamedTuple):
    """An order's numbers on the grid; 0 for what it has not."""

    lots: int
    cash: int
    ticks: int
    stop_ticks: int


def refuse(
    reason: RejectReason,
    text: str,
    field: str = "",
    found: Decimal | None = None,
    limit: Decimal | None = None,
) -> RefusedError:
    """Return the error to raise."""
    return RefusedError(Rejection(reason=reason, text=text, field=field, found=found, limit=limit))


def read_terms(terms: OrderTerms, market: Market, max_notional: Decimal | None) -> Numbers:
    """Return the numbers of a new order.

    Raises
    ------
    RefusedError
        A number is missing, needless, off its grid or out of its limits.
    """
    _check_shape(terms)
    instrument = market.instrument
    ticks = _steps("price", terms.price, instrument.tick_size)
    stop_ticks = _steps("stop_px", terms.stop_px, instrument.tick_size)
    if terms.cash_order_qty is not None:
        step = market.quote.decimal(1)
        cash = _steps("cash_order_qty", terms.cash_order_qty, step)
        _check_notional("cash_order_qty", terms.cash_order_qty, instrument, max_notional)
        return Numbers(0, cash, 0, 0)
    lots = _steps("order_qty", terms.order_qty, instrument.lot_size)
    _check_sizes(lots, ticks or stop_ticks, market, max_notional)
    return Numbers(lots, 0, ticks, stop_ticks)


def read_change(
    order: Order,
    order_qty: Decimal | None,
    price: Decimal | None,
    stop_px: Decimal | None,
    max_notional: Decimal | None,
) -> Numbers:
    """Return the numbers an open order would have; what is None stays as it is.

    Raises
    ------
    RefusedError
        As for a new order; or no more is asked for than is filled.
    """
    market = order.market
    instrument = market.instrument
    if price is not None and order.ord_type not in PRICED:
        raise _unexpected("price", order.ord_type)
    if stop_px is not None and not order.is_waiting:
        raise _unexpected("stop_px", "triggered" if order.triggered else order.ord_type)
    lots = _steps("order_qty", order_qty, instrument.lot_size) or order.lots
    ticks = _steps("price", price, instrument.tick_size) or order.ticks
    stop_ticks = _steps("stop_px", stop_px, instrument.tick_size) or order.stop_ticks
    if lots <= order.cum:
        filled = market.qty(order.cum)
        raise refuse(
            RejectReason.QTY_NOT_ABOVE_FILLED,
            f"order_qty {order_qty} is not above the {filled} that is filled; cancel instead",
            "order_qty",
            order_qty,
            filled,
        )
    _check_sizes(lots, ticks or stop_ticks, market, max_notional)
    return Numbers(lots, 0, ticks, stop_ticks)


def read_expiry(terms: OrderTerms, now_ns: int) -> int:
    """Return when an order ends by itself: for DAY the end of the UTC day, 0 for never.

    Raises
    ------
    RefusedError
        A GTD order is over already.
    """
    if terms.time_in_force is _DAY:
        return (now_ns // DAY_NS + 1) * DAY_NS
    if terms.time_in_force is not _GTD:
        return 0
    if terms.expire_time_ns <= now_ns:
        raise refuse(
            RejectReason.EXPIRED,
            f"expire_time_ns {terms.expire_time_ns} is not after {now_ns}, when it arrived",
            "expire_time_ns",
            Decimal(terms.expire_time_ns),
            Decimal(now_ns),
        )
    return terms.expire_time_ns


def _unexpected(field: str, kind: str) -> RefusedError:
    text = f"a {kind} order takes no {field}"
    return refuse(RejectReason.UNEXPECTED_FIELD, text, field)


def _check_shape(terms: OrderTerms) -> None:
    kind = terms.ord_type
    for field, value, wanted in (
        ("price", terms.price, kind in PRICED),
        ("stop_px", terms.stop_px, kind in STOPS),
    ):
        if wanted and value is None:
            raise refuse(RejectReason.MISSING_FIELD, f"a {kind} order needs a {field}", field)
        if value is not None and not wanted:
            raise _unexpected(field, kind)
    if terms.cash_order_qty is not None:
        if kind is not OrdType.MARKET or terms.order_qty is not None:
            text = f"cash_order_qty is for a MARKET order without order_qty, not this {kind} order"
            raise refuse(RejectReason.UNEXPECTED_FIELD, text, "cash_order_qty")
    elif terms.order_qty is None:
        raise refuse(RejectReason.MISSING_FIELD, f"a {kind} order needs an order_qty", "order_qty")
    if terms.post_only and (kind not in PRICED or terms.time_in_force in TAKERS):
        text = f"post-only on a {kind} {terms.time_in_force} order, which never rests"
        raise refuse(RejectReason.CANNOT_REST, text, "post_only")


def _steps(field: str, value: Decimal | None, step: Decimal) -> int:
    """Return how many steps `value` is, above 0; 0 for None."""
    if value is None:
        return 0
    try:
        steps, rest = divmod(value, step)
        if value > 0 and not rest:
            return int(steps)
    except InvalidOperation:
        text = f"{field} {value}: it must be a number of at most 28 digits on a grid of {step}"
        raise refuse(RejectReason.UNREADABLE, text, field, value, step) from None
    if value <= 0:
        raise refuse(
            RejectReason.NOT_POSITIVE, f"{field} {value} must be above 0", field, value, ZERO
        )
    text = f"{field} {value} is off the grid of {step}: use {steps * step} or {(steps + 1) * step}"
    raise refuse(RejectReason.OFF_GRID, text, field, value, step)


def _check_sizes(lots: int, ticks: int, market: Market, max_notional: Decimal | None) -> None:
    """Check a quantity, and its value at `ticks`; a market order by quantity (0) has none."""
    instrument = market.instrument
    qty = market.qty(lots)
    if qty < instrument.min_trade_vol:
        least = instrument.min_trade_vol
        text = f"order_qty {qty} is below the least quantity {least}"
        raise refuse(RejectReason.BELOW_MIN_QTY, text, "order_qty", qty, least)
    most = instrument.max_trade_vol
    if most is not None and qty > most:
        text = f"order_qty {qty} is above the greatest quantity {most}"
        raise refuse(RejectReason.ABOVE_MAX_QTY, text, "order_qty", qty, most)
    if ticks:
        notional = market.quote.decimal(lots * ticks * market.quote_unit)
        _check_notional("order_qty", notional, instrument, max_notional)


def _check_notional(
    field: str, notional: Decimal, instrument: Instrument, most: Decimal | None
) -> None:
    least, quote = instrument.min_notional, instrument.quote
    if notional < least:
        text = f"notional {notional} {quote} is below the least of {least} {quote}"
        raise refuse(RejectReason.BELOW_MIN_NOTIONAL, text, field, notional, least)
    if most is not None and notional > most:
        text = f"notional {notional} {quote} is above the greatest of {most} {quote}"
        raise refuse(RejectReason.ABOVE_MAX_NOTIONAL, text, field, notional, most)
