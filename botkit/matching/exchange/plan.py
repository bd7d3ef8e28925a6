"""Whom an order would trade with, worked out before anything is changed."""

from enum import Enum, auto
from typing import Final, NamedTuple

from botkit.matching.exchange.counterparties import Counterparties
from botkit.matching.exchange.orders import Order
from botkit.matching.exchange.words import CancelReason, SelfTradeRule
from botkit.model import Side

__all__ = ["Match", "MatchKind", "Plan", "make_plan"]

_BUY: Final = Side.BUY
_NONE: Final = SelfTradeRule.NONE


class MatchKind(Enum):
    """What is to happen between the taker and a resting order."""

    TRADE = auto()
    CANCEL = auto()  # the resting one, which is the taker's own
    DECREMENT = auto()  # both by `lots`


_TRADE: Final = MatchKind.TRADE


class Match(NamedTuple):
    """One step of a plan."""

    kind: MatchKind
    maker: Order
    lots: int


class Plan:
    """The steps in order, and why they end where they do.

    `end` is None if the order was used up or nothing more crosses. `used_up`: nothing of it is
    left then; `last_trade` is the step that fills it. `unreachable`: orders that cross were
    passed over for want of a counterparty limit.
    """

    __slots__ = ("end", "last_trade", "matches", "unreachable", "used_up")

    def __init__(self) -> None:
        self.matches: list[Match] = []
        self.end: CancelReason | None = None
        self.used_up = False
        self.unreachable = False
        self.last_trade: Match | None = None

    @property
    def is_whole(self) -> bool:
        """True if all of the order trades."""
        return self.used_up and all(each.kind is not MatchKind.DECREMENT for each in self.matches)


class _Purse:
    """What a market order may still spend of what is free, fee included."""

    __slots__ = ("_left", "_order", "_rate", "_step", "_unit")

    def __init__(self, order: Order) -> None:
        self._order = order
        self._left = order.pays.free
        on_top = order.fee_holding is order.pays
        self._rate = order.account.fees.taker if on_top else None
        self._step = order.pays.currency.fee_step

    def afford(self, lots: int, ticks: int) -> int:
        """Return how many of `lots` at `ticks` there is money for, and count them as spent."""
        market = self._order.market
        unit = ticks * market.quote_unit if self._order.side is _BUY else market.base_unit
        most = self._left if self._rate is None else self._rate.most(self._left)
        lots = min(lots, max(0, most) // unit)
        paid = lots * unit
        fee = 0 if self._rate is None else max(0, self._rate.charge(paid, self._step))
        self._left -= paid + fee
        return lots


class _Planner:
    """Walks the other side of the book, best first, until the order wants or may no more."""

    __slots__ = (
        "_cash_left",
        "_counterparties",
        "_left",
        "_order",
        "_plan",
        "_purse",
        "_rule",
        "_unit_px",
        "_used",
    )

    def __init__(
        self, order: Order, rule: SelfTradeRule, counterparties: Counterparties | None
    ) -> None:
        self._plan = Plan()
        self._order = order
        self._rule = rule
        self._counterparties = counterparties
        self._used: dict[str, tuple[int, int]] = {}
        # An order with a limit has locked its money; others pay out of what is free.
        self._purse = None if order.ticks else _Purse(order)
        self._left = order.leaves
        self._cash_left = order.cash_left
        self._unit_px = 0  # of the maker met last: one lot in quote units

    def run(self) -> Plan:
        """Return the plan."""
        order, plan = self._order, self._plan
        for maker in order.market.other_side(order.side):
            self._unit_px = maker.ticks * order.market.quote_unit
            lots = min(self._wanted(maker), maker.leaves)
            if not lots or not self._meet(maker, lots):
                break
        # Cash is used up when what is left of it does not buy a lot at the price met last.
        nothing_left = self._cash_left < self._unit_px if order.cash else not self._left
        plan.used_up = nothing_left and plan.end is None
        return plan

    def _wanted(self, maker: Order) -> int:
        """Return how many lots the order still wants at `maker`'s price."""
        order = self._order
        if order.ticks and (maker.ticks - order.ticks) * order.side.sign > 0:
            return 0
        return self._cash_left // self._unit_px if order.cash else self._left

    def _meet(self, maker: Order, lots: int) -> bool:
        """Plan what happens with `maker`; return False if the order goes no further."""
        if maker.account is self._order.account and self._rule is not _NONE:
            return self._meet_own(maker, lots)
        plan = self._plan
        if self._counterparties is not None:
            name = self._order.account.name
            reachable = self._counterparties.cap(name, maker, lots, self._used)
            plan.unreachable |= reachable < lots
            lots = reachable
        wanted = lots
        if self._purse is not None:
            lots = self._purse.afford(lots, maker.ticks)
        if lots:
            self._use(_TRADE, maker, lots)
        if lots < wanted:
            plan.end = CancelReason.INSUFFICIENT_FUNDS
        return plan.end is None

    def _meet_own(self, maker: Order, lots: int) -> bool:
        plan = self._plan
        if self._rule is SelfTradeRule.CANCEL_RESTING:
            plan.matches.append(Match(MatchKind.CANCEL, maker, 0))
            return True
        if self._rule is SelfTradeRule.DECREMENT:
            self._use(MatchKind.DECREMENT, maker, lots)
            if self._cash_left >= self._unit_px if self._order.cash else self._left:
                return True
        plan.end = CancelReason.SELF_TRADE
        return False

    def _use(self, kind: MatchKind, maker: Order, lots: int) -> None:
        match = Match(kind, maker, lots)
        self._plan.matches.append(match)
        self._plan.last_trade = match if kind is _TRADE else None
        if self._order.cash:
            self._cash_left -= lots * self._unit_px
        else:
            self._left -= lots


def make_plan(order: Order, rule: SelfTradeRule, counterparties: Counterparties | None) -> Plan:
    """Return what `order` does to the book now; nothing is changed."""
    return _Planner(order, rule, counterparties).run()
