"""The back office of a simulated venue: funds, fills and fees, and the reports about them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from botkit.errors import InvariantError
from botkit.matching.accounts import Account, Holding
from botkit.matching.market import Market, Step
from botkit.matching.working import PaperOrder
from botkit.model import Event, ExecType, Liquidity, OrdStatus, OrdType
from botkit.ports import Deliver, FeeSchedule

__all__ = ["Desk"]

ZERO: Final = Decimal(0)
# Looking a member up in its enum costs as much as a call (Python 3.11).
_MARKET: Final = OrdType.MARKET
_EXPIRED: Final = OrdStatus.EXPIRED
_CANCELED: Final = ExecType.CANCELED
BPS: Final = Decimal(10_000)


def _nobody(event: Event) -> None:
    raise InvariantError(f"nobody listens to {event!r}: call `start` before any request or event")


class Desk:
    """Books what happens to orders and tells it: reports at once, balances by `tell_balances`.

    Commissions are basis points of the notional, in quote currency, for every kind of
    instrument; a negative maker fee is a rebate. A buy reserves its notional at its price and
    the dearer of the two fees, a sell its base quantity; a waiting STOP reserves at `stop_px`.
    """

    __slots__ = (
        "_buy_rate", "_maker_rate", "_taker_rate", "account", "deliver", "has_moved", "now_ns",
    )  # fmt: skip

    def __init__(self, venue: str, fees: FeeSchedule, balances: Mapping[str, Decimal]) -> None:
        self.account = Account(venue, balances)
        self.deliver: Deliver = _nobody
        self.now_ns = 0
        self.has_moved = False  # a holding has changed since balances were told
        self._maker_rate = fees.maker_bps / BPS
        self._taker_rate = fees.taker_bps / BPS
        self._buy_rate = 1 + max(self._maker_rate, self._taker_rate, ZERO)

    def tell_balances(self) -> None:
        """Deliver every balance that is other than when it was last told."""
        if self.has_moved:
            self.has_moved = False
            for balance in self.account.take_changes(self.now_ns):
                self.deliver(balance)

    def secure(self, order: PaperOrder, market: Market, steps: Sequence[Step]) -> str:
        """Reserve what `order` needs and return ""; or only return which funds it lacks."""
        if not market.is_spot:
            return ""
        holding = self._holding(order, market)
        available = holding.available + order.reserved
        needed = to_reserve = self._to_reserve(order, market)
        if order.ord_type is _MARKET:
            needed = self._market_needs(order, market, steps)
        if needed > available:
            return f"insufficient {holding.currency}: needed {needed}, available {available}"
        holding.available = available - to_reserve
        order.reserved = to_reserve
        self.has_moved = True
        return ""

    def _holding(self, order: PaperOrder, market: Market) -> Holding:
        """Return the currency that `order` spends."""
        instrument = market.instrument
        return self.account.holding(instrument.quote if order.is_buy else instrument.base)

    def _market_needs(self, order: PaperOrder, market: Market, steps: Sequence[Step]) -> Decimal:
        if not order.is_buy:
            return order.leaves_qty
        notional = market.instrument.notional
        cost = sum((notional(Decimal(repr(price)), qty) for price, _, qty in steps), ZERO)
        return cost * (1 + max(self._taker_rate, ZERO))

    def _to_reserve(self, order: PaperOrder, market: Market) -> Decimal:
        if not market.is_spot or order.ord_type is _MARKET:
            return ZERO
        if not order.is_buy:
            return order.leaves_qty
        price = order.stop_px if order.price is None else order.price
        assert price is not None  # only a market order has neither
        return market.instrument.notional(price, order.leaves_qty) * self._buy_rate

    def reserve(self, order: PaperOrder, market: Market) -> None:
        """Make what is held back for `order` fit what is left of it."""
        needed = self._to_reserve(order, market)
        if needed != order.reserved:
            self._holding(order, market).available += order.reserved - needed
            order.reserved = needed
            self.has_moved = True

    def reducible(self, order: PaperOrder) -> Decimal:
        """Return how much `order` can trade before it would open a position or turn it round.

        The position is the net of our fills here; what the account held before is not in it.
        """
        position = self.account.positions.get(order.symbol, ZERO)
        return max(-position if order.is_buy else position, ZERO)

    def fill(
        self,
        order: PaperOrder,
        market: Market,
        qty: Decimal,
        price: Decimal,
        liquidity: Liquidity,
    ) -> None:
        """Book one fill and tell it, then the balances; an order that is full leaves the line."""
        instrument, account = market.instrument, self.account
        notional = instrument.notional(price, qty)
        added = liquidity is Liquidity.ADDED
        commission = notional * (self._maker_rate if added else self._taker_rate)
        signed_qty = qty if order.is_buy else -qty
        order.book_fill(qty, price)
        if market.is_spot:
            account.holding(instrument.base).settle(signed_qty)
            paid = notional if order.is_buy else -notional
            account.holding(instrument.quote).settle(-paid - commission)
        else:
            account.holding(instrument.quote).settle(-commission)
        account.move_position(order.symbol, signed_qty)
        self.reserve(order, market)
        if not order.leaves_qty:
            market.remove(order)
        report = order.fill_report(
            qty,
            price,
            commission=commission,
            currency=instrument.quote,
            liquidity=liquidity,
            now_ns=self.now_ns,
        )
        self.has_moved = True
        self.deliver(report)
        self.tell_balances()

    def end(self, order: PaperOrder, market: Market, status: OrdStatus, text: str) -> None:
        """Close what is left of an accepted order, give back what it reserved, and tell it."""
        market.remove(order)
        order.ord_status, order.leaves_qty = status, ZERO
        if order.reserved:
            self._holding(order, market).available += order.reserved
            order.reserved = ZERO
            self.has_moved = True
        exec_type = ExecType.EXPIRED if status is _EXPIRED else _CANCELED
        self.deliver(order.report(exec_type, self.now_ns, text))

    def reject(self, order: PaperOrder, text: str) -> None:
        """Tell that a new order was not accepted, and why."""
        order.ord_status, order.leaves_qty = OrdStatus.REJECTED, ZERO
        self.deliver(order.report(ExecType.REJECTED, self.now_ns, text))
