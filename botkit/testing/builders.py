"""Short ways to make what tests are full of; what a test does not care about has a default.

Times are seconds after `START_NS`, money is text or a number, symbols are full names.
"""

from decimal import Decimal
from math import nan
from typing import Any, Final

from botkit.model import (
    BookSnapshot,
    ClientOrderId,
    ExecType,
    ExecutionReport,
    FillSource,
    Instrument,
    Level,
    NewOrder,
    Number,
    OrdStatus,
    OrdType,
    Quote,
    Side,
    Trade,
    VenueStatus,
)
from botkit.orders import Orders
from botkit.ports import Capabilities, RiskContext

__all__ = [
    "START_NS",
    "SYMBOL",
    "build_context",
    "build_instrument",
    "build_new_order",
    "build_quote",
    "build_report",
    "build_snapshot",
    "build_trade",
    "build_venue_status",
    "time_ns",
]

SYMBOL: Final = "paper:BTC-EUR"
START_NS: Final = 1_704_067_200_000_000_000
"""Where simulated time starts: 2024-01-01 00:00:00 UTC, a minute's and a day's beginning."""


def time_ns(after_s: float) -> int:
    """Return the instant `after_s` seconds after `START_NS`, in ns since 1970 UTC."""
    return START_NS + round(after_s * 1e9)


def build_instrument(symbol: str = SYMBOL, **terms: Any) -> Instrument:
    """Return an instrument with a tick of 0.01 and a lot of 0.001; `terms` are its other fields.

    Base and quote currency are read from a name such as BTC-EUR; numbers may be text.
    """
    base, _, quote = symbol.partition(":")[2].partition("-")
    fields: dict[str, Any] = {"tick_size": "0.01", "lot_size": "0.001", **terms}
    for key in _MONEY & fields.keys():
        fields[key] = _decimal(fields[key])
    return Instrument(symbol=symbol, **{"base": base, "quote": quote or "EUR", **fields})


def build_context(
    bid_px: float = 99.0,
    ask_px: float = 101.0,
    *,
    position: Number = 0,
    now_ns: int = START_NS,
    instrument: Instrument | None = None,
) -> RiskContext:
    """Return what a rule may look at: a market, a position, and no open orders."""
    instrument = instrument or build_instrument()
    capabilities = Capabilities(client_order_ids=True, fill_source=FillSource.EXECUTIONS)
    held = _decimal(position)
    return RiskContext(
        instrument=instrument,
        bid_px=bid_px,
        ask_px=ask_px,
        now_ns=now_ns,
        workload=Orders(capabilities={instrument.venue: capabilities}),
        position=lambda _: held,
    )


def build_quote(
    after_s: float,
    bid_px: float = nan,
    ask_px: float = nan,
    *,
    bid_qty: float = 1.0,
    ask_qty: float = 1.0,
    symbol: str = SYMBOL,
) -> Quote:
    """Return a quote; a side whose price is left out is empty."""
    return Quote(
        symbol=symbol,
        bid_px=bid_px,
        bid_qty=bid_qty if bid_px == bid_px else 0.0,  # noqa: PLR0124  nan differs from itself
        ask_px=ask_px,
        ask_qty=ask_qty if ask_px == ask_px else 0.0,  # noqa: PLR0124
        exchange_time_ns=time_ns(after_s),
        receive_time_ns=time_ns(after_s),
    )


def build_trade(
    after_s: float,
    price: float,
    qty: float = 1.0,
    *,
    aggressor: str = "",
    symbol: str = SYMBOL,
) -> Trade:
    """Return a trade of the public's; `aggressor` is "BUY", "SELL" or not told."""
    return Trade(
        symbol=symbol,
        price=price,
        qty=qty,
        aggressor=aggressor,
        exchange_time_ns=time_ns(after_s),
        receive_time_ns=time_ns(after_s),
    )


def build_snapshot(
    after_s: float, bids: list[Level], asks: list[Level], *, symbol: str = SYMBOL
) -> BookSnapshot:
    """Return a whole book, best level first on both sides."""
    return BookSnapshot(
        symbol=symbol,
        bids=bids,
        asks=asks,
        exchange_time_ns=time_ns(after_s),
        receive_time_ns=time_ns(after_s),
    )


def build_venue_status(
    after_s: float, *, up: bool, venue: str = "paper", reason: str = "told by a test"
) -> VenueStatus:
    """Return the word that `venue` is ready for everything, or for nothing."""
    return VenueStatus(
        venue=venue,
        market_data=up,
        private=up,
        order_entry=up,
        reason=reason,
        receive_time_ns=time_ns(after_s),
    )


def build_new_order(
    client_order_id: str = "test-1",
    side: Side = Side.BUY,
    qty: Number = 1,
    price: Number | None = 100,
    **terms: Any,
) -> NewOrder:
    """Return a request for a limit order, or for a market order if `price` is None."""
    fields: dict[str, Any] = {"symbol": SYMBOL, "strategy": "test", **terms}
    return NewOrder(
        client_order_id=ClientOrderId(client_order_id),
        side=side,
        order_qty=_decimal(qty),
        price=None if price is None else _decimal(price),
        **{"ord_type": OrdType.MARKET if price is None else OrdType.LIMIT, **fields},
    )


def build_report(
    client_order_id: str = "test-1",
    ord_status: OrdStatus = OrdStatus.NEW,
    *,
    last_qty: Number = 0,
    last_px: Number = 0,
    **fields: Any,
) -> ExecutionReport:
    """Return what a venue says of an order; with `last_qty` above 0 it tells a fill.

    `exec_type` follows from status and fill if not among `fields`.
    """
    fallback = ExecType.TRADE if last_qty else _EXEC_TYPES.get(ord_status, ExecType.ORDER_STATUS)
    return ExecutionReport(
        client_order_id=ClientOrderId(client_order_id),
        ord_status=ord_status,
        last_qty=_decimal(last_qty),
        last_px=_decimal(last_px),
        **{"symbol": SYMBOL, "exec_type": fallback, **fields},
    )


_EXEC_TYPES: Final = {
    OrdStatus.NEW: ExecType.NEW,
    OrdStatus.CANCELED: ExecType.CANCELED,
    OrdStatus.REJECTED: ExecType.REJECTED,
    OrdStatus.EXPIRED: ExecType.EXPIRED,
}


_MONEY: Final = frozenset(
    {
        "contract_multiplier",
        "lot_size",
        "max_trade_vol",
        "min_notional",
        "min_trade_vol",
        "tick_size",
    }
)


def _decimal(value: Number) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
