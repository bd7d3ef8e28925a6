"""Funds: no spot order that the account could not pay for, were all of them to fill."""

from decimal import Decimal
from math import inf
from typing import Any, ClassVar, Literal

import attrs

from botkit.errors import ConfigError
from botkit.model import NewOrder, ReplaceOrder, Side
from botkit.ports import Headroom, RiskContext, Verdict

__all__ = ["Funds", "Prefunded"]

KINDS = ("prefunded",)


@attrs.frozen
class Prefunded:
    """The venue's total less the most our open orders may spend. Implements `Headroom`.

    Not what the venue calls free less our orders, which would take them off twice.
    """

    def left(self, context: RiskContext, currency: str) -> Decimal | None:
        """Return how much of `currency` new orders may still spend; None if nobody can tell."""
        venue, view = context.instrument.venue, context.view
        total, reserved = view.total(venue, currency), view.reserved(venue, currency)
        return None if total is None or reserved is None else total - reserved


@attrs.frozen
class Funds:
    """`funds = "prefunded"`: an order may spend what the account has and no other order may.

    A buy spends its worth in quote currency (without a price: at the ask or its stop price), a
    sell its quantity in base; fees are not counted. Where the venue has told no balance only
    reducing orders pass. Contracts with a multiplier and inverse ones are not looked at.
    """

    key: ClassVar[str] = "funds"
    Value: ClassVar[Any] = Literal["prefunded"]
    headroom: Headroom

    @classmethod
    def from_config(cls, value: Any, source: str) -> "Funds":
        """Build from the config's value."""
        if value not in KINDS:
            raise ConfigError(f'{source}: found {value!r}, allowed: "prefunded"')
        return cls(Prefunded())

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse what could not be paid for."""
        instrument = context.instrument
        if instrument.inverse or instrument.contract_multiplier != 1:
            return Verdict(self.key, passed=True)
        is_buy = request.side is Side.BUY
        currency = instrument.quote if is_buy else instrument.base
        left = self.headroom.left(context, currency)
        spends = _buys_for(request, context) if is_buy else context.added_leaves(request)
        if left is None or spends is None:
            return self._unknown(request, context, currency)
        if spends <= left:
            return Verdict(self.key, passed=True, limit=left, measured=spends)
        text = (
            f"it may spend {spends} {currency}, and {instrument.venue} has {left} {currency} that "
            "no other order may spend: cancel some, make it smaller or fund the account"
        )
        return Verdict(self.key, passed=False, limit=left, measured=spends, text=text)

    def _unknown(
        self, request: NewOrder | ReplaceOrder, context: RiskContext, currency: str
    ) -> Verdict:
        if context.is_reducing(request):
            return Verdict(self.key, passed=True)
        text = (
            f"{context.instrument.venue} has told no balance of {currency}, or an order has no "
            f"price to tell its worth by, so {self.key} cannot be checked: "
            "only orders that reduce a position pass until then"
        )
        return Verdict(self.key, passed=False, text=text)


def _buys_for(request: NewOrder | ReplaceOrder, context: RiskContext) -> Decimal | None:
    """Return the quote currency a buy may spend beyond what is reserved; None if unknown.

    A replace may fill at its new price as a whole, beside what the order as it is reserves.
    """
    qty = request.order_qty
    if request.price is not None:
        return request.price * qty
    if not 0 < context.ask_px < inf:
        return None
    price = Decimal(repr(float(context.ask_px)))
    stop_px = request.stop_px if isinstance(request, NewOrder) else None
    return qty * (price if stop_px is None else max(price, stop_px))
