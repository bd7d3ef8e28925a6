"""An order at a simulated venue: what was asked, what was filled, where it stands in line."""

from decimal import Decimal
from math import inf

from botkit.model import (
    ClientOrderId,
    ExecId,
    ExecType,
    ExecutionReport,
    Liquidity,
    NewOrder,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    Side,
    TimeInForce,
    VenueOrderId,
)

__all__ = ["PaperOrder"]

ZERO = Decimal(0)
# Looking a member up in its enum costs as much as a call (Python 3.11).
_BUY = Side.BUY
_MARKET = OrdType.MARKET
WORKING = frozenset({OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED})
STOPS = frozenset({OrdType.STOP, OrdType.STOP_LIMIT})
TAKERS = frozenset({TimeInForce.IOC, TimeInForce.FOK})


class PaperOrder:
    """One order as the simulated venue holds it; changed by `PaperMatcher` alone.

    `ahead` is the market's quantity before us at our price (`inf` while the book does not tell
    of that price), `shown` what our price displayed when last seen, `traded` what was printed
    there since. `price_px` is the price as a float, for comparing with market data: exact on
    the tick grid, and infinitely good for a market order.
    """

    # What every order starts with; an order gets its own once it changes.
    ord_status = OrdStatus.PENDING_NEW
    cum_qty = turnover = reserved = ZERO
    exec_count = last_change_ns = 0
    shown = traded = 0.0
    ahead = inf
    price_px, priority, rank = 0.0, 0, (0.0, 0)  # until it is admitted
    fills: tuple[ExecutionReport, ...] = ()

    def __init__(self, request: NewOrder, number: int) -> None:
        self.client_order_id = request.client_order_id
        self.venue_order_id = VenueOrderId(f"P-{number}")
        self.symbol = request.symbol
        self.side = request.side
        self.is_buy = request.side is _BUY
        self.ord_type = request.ord_type
        self.time_in_force = request.time_in_force
        self.stop_px = request.stop_px
        self.post_only = request.post_only
        self.reduce_only = request.reduce_only
        self.expire_time_ns = request.expire_time_ns
        self.order_qty = self.leaves_qty = request.order_qty
        self.price = request.price
        self.is_stop = request.ord_type in STOPS  # it waits for its stop price

    def set_price(self, price: Decimal | None, priority: int) -> None:
        """Take a new price and, with it, a new place among our own orders."""
        self.price = price
        self.price_px = float(price) if price is not None else (inf if self.is_buy else -inf)
        self.priority = priority
        self.rank = (-self.price_px if self.is_buy else self.price_px, priority)

    def change(self, request: ReplaceOrder, priority: int) -> None:
        """Become what a replace asks for; less at the same price keeps the place in line."""
        price = self.price if request.price is None else request.price
        if price != self.price or request.order_qty > self.order_qty:
            self.set_price(price, priority)
        self.order_qty = request.order_qty
        self.leaves_qty = request.order_qty - self.cum_qty
        self.client_order_id = request.client_order_id
        self.post_only, self.reduce_only = request.post_only, request.reduce_only

    @property
    def is_working(self) -> bool:
        """True from the acknowledgement until the order is over."""
        return self.ord_status in WORKING

    @property
    def takes_only(self) -> bool:
        """True if what is not filled at once is canceled."""
        return self.time_in_force in TAKERS or self.ord_type is _MARKET

    def trigger(self) -> None:
        """Turn a stop into the order it was waiting to be."""
        self.is_stop = False
        self.ord_type = OrdType.MARKET if self.ord_type is OrdType.STOP else OrdType.LIMIT

    def book_fill(self, qty: Decimal, price: Decimal) -> None:
        """Count one fill; quantities add up again when this returns."""
        self.cum_qty += qty
        self.leaves_qty -= qty
        self.turnover += price * qty
        self.ord_status = OrdStatus.PARTIALLY_FILLED if self.leaves_qty else OrdStatus.FILLED

    def status_report(self, now_ns: int) -> ExecutionReport:
        """Return the answer to a question about this order; it counts as no execution."""
        return ExecutionReport(
            symbol=self.symbol,
            ord_status=self.ord_status,
            exec_type=ExecType.ORDER_STATUS,
            client_order_id=self.client_order_id,
            venue_order_id=self.venue_order_id,
            side=self.side,
            order_qty=self.order_qty,
            price=self.price,
            cum_qty=self.cum_qty,
            leaves_qty=self.leaves_qty,
            avg_px=self.turnover / self.cum_qty if self.cum_qty else None,
            transact_time_ns=self.last_change_ns,
            receive_time_ns=now_ns,
        )

    def report(
        self,
        exec_type: ExecType,
        now_ns: int,
        text: str = "",
        orig_client_order_id: ClientOrderId | None = None,
    ) -> ExecutionReport:
        """Return the report of a change that filled nothing."""
        self.exec_count += 1
        self.last_change_ns = now_ns
        return ExecutionReport(
            symbol=self.symbol,
            ord_status=self.ord_status,
            exec_type=exec_type,
            client_order_id=self.client_order_id,
            venue_order_id=self.venue_order_id,
            orig_client_order_id=orig_client_order_id,
            exec_id=ExecId(f"{self.venue_order_id}.{self.exec_count}"),
            side=self.side,
            order_qty=self.order_qty,
            price=self.price,
            cum_qty=self.cum_qty,
            leaves_qty=self.leaves_qty,
            text=text,
            transact_time_ns=now_ns,
            receive_time_ns=now_ns,
        )

    def fill_report(
        self,
        qty: Decimal,
        price: Decimal,
        *,
        commission: Decimal,
        currency: str,
        liquidity: Liquidity,
        now_ns: int,
    ) -> ExecutionReport:
        """Return the report of a fill that `book_fill` has counted, and remember it."""
        self.exec_count += 1
        self.last_change_ns = now_ns
        report = ExecutionReport(
            symbol=self.symbol,
            ord_status=self.ord_status,
            exec_type=ExecType.TRADE,
            client_order_id=self.client_order_id,
            venue_order_id=self.venue_order_id,
            exec_id=ExecId(f"{self.venue_order_id}.{self.exec_count}"),
            side=self.side,
            order_qty=self.order_qty,
            price=self.price,
            last_qty=qty,
            last_px=price,
            cum_qty=self.cum_qty,
            leaves_qty=self.leaves_qty,
            avg_px=self.turnover / self.cum_qty,
            commission=commission,
            commission_currency=currency,
            liquidity=liquidity,
            transact_time_ns=now_ns,
            receive_time_ns=now_ns,
        )
        self.fills = (*self.fills, report)
        return report
