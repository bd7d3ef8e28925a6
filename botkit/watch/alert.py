"""One alert, and the words of each kind."""

import datetime as dt
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from botkit.config import AlertKind
from botkit.model import Halted, StrategyEnded, VenueStatus
from botkit.orders import Order

__all__ = [
    "Alert",
    "Severity",
    "disconnected",
    "failed",
    "guarding",
    "halted",
    "in_doubt",
    "reconnected",
]

Severity = Literal["info", "success", "warning", "failure"]
NS_PER_S: Final = 1_000_000_000
ORDERS_NAMED: Final = 10


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is to know: a headline, and lines that say more."""

    kind: AlertKind
    severity: Severity
    headline: str
    lines: tuple[str, ...] = ()
    time_ns: int

    @property
    def body(self) -> str:
        """The lines, and when it happened."""
        time = dt.datetime.fromtimestamp(self.time_ns // NS_PER_S, tz=dt.UTC)
        return "\n".join((*self.lines, f"{time:%Y-%m-%d %H:%M:%S} UTC"))


def halted(event: Halted) -> Alert:
    """Return the alert that the kill switch has tripped."""
    told = ((event.limit, "limit"), (event.measured, "measured"))
    return Alert(
        kind=AlertKind.HALT,
        severity="failure",
        headline=f"HALTED by {event.rule}",
        lines=(event.reason, *(f"{name} {value}" for value, name in told if value)),
        time_ns=event.receive_time_ns,
    )


def disconnected(status: VenueStatus) -> Alert:
    """Return the alert that a venue is not ready."""
    parts = {
        "market data": status.market_data,
        "reports of our orders": status.private,
        "order entry": status.order_entry,
    }
    lacking = ", ".join(name for name, is_ready in parts.items() if not is_ready)
    return Alert(
        kind=AlertKind.DISCONNECT,
        severity="warning",
        headline=f"{status.venue} is not ready",
        lines=(status.reason or "no reason given", f"missing: {lacking}"),
        time_ns=status.receive_time_ns,
    )


def reconnected(status: VenueStatus) -> Alert:
    """Return the alert that a venue is ready again."""
    return Alert(
        kind=AlertKind.RECONNECT,
        severity="success",
        headline=f"{status.venue} is ready again",
        time_ns=status.receive_time_ns,
    )


def failed(event: StrategyEnded) -> Alert:
    """Return the alert that a strategy has failed."""
    return Alert(
        kind=AlertKind.STRATEGY_FAILURE,
        severity="failure",
        headline=f"strategy {event.strategy} failed",
        lines=(event.error, "its orders are canceled"),
        time_ns=event.receive_time_ns,
    )


def in_doubt(orders: Sequence[Order], time_ns: int) -> Alert:
    """Return the alert that it is not known where orders stand."""
    more = len(orders) - ORDERS_NAMED
    return Alert(
        kind=AlertKind.IN_DOUBT,
        severity="failure",
        headline=f"{len(orders)} order{'s' if len(orders) > 1 else ''} in doubt",
        lines=(
            "They may rest or fill; the venue is being asked.",
            *(_order_line(order) for order in orders[:ORDERS_NAMED]),
            *([f"... and {more} more"] if more > 0 else []),
        ),
        time_ns=time_ns,
    )


def guarding(
    headline: str, lines: Sequence[str], time_ns: int, *, severity: Severity = "failure"
) -> Alert:
    """Return an alert of a guardian, or that there is none any more."""
    return Alert(
        kind=AlertKind.GUARDIAN,
        severity=severity,
        headline=headline,
        lines=tuple(lines),
        time_ns=time_ns,
    )


def _order_line(order: Order) -> str:
    price = "at market" if order.price is None else f"at {order.price}"
    return (
        f"{order.client_order_id}  {order.side.value.lower()} {order.order_qty} {order.symbol} "
        f"{price}, {order.cum_qty} filled: {order.text or 'no reason told'}"
    )
