"""Funds: no spot order that the account could not pay for, were all of them to fill."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import Any, ClassVar, Literal

import attrs

from botkit.config import found
from botkit.errors import ConfigError
from botkit.model import NewOrder, ReplaceOrder, Side
from botkit.ports import Headroom, RiskContext, Verdict

__all__ = ["Credit", "Funds", "Prefunded"]

ZERO = Decimal(0)


@attrs.frozen
class Prefunded:
    """The venue's total less foreign locks and the most our open orders may spend, fees included.

    Not what the venue calls free less our orders, which would take them off twice. A foreign lock
    is what the venue has locked beyond what our own orders reserve. Implements `Headroom`.
    """

    def left(self, context: RiskContext, currency: str) -> Decimal | None:
        """Return how much of `currency` new orders may still spend; None if nobody can tell."""
        venue, view = context.instrument.venue, context.view
        total, reserved = view.total(venue, currency), view.reserved(venue, currency)
        if total is None or reserved is None:
            return None
        return total - reserved - view.foreign_locks(venue, currency)


@attrs.frozen
class Credit:
    """The least headroom, net and gross, of all counterparties, less what our orders may spend.

    Any counterparty may take any order, so the one with the least room counts. Implements
    `Headroom`.
    """

    def left(self, context: RiskContext, currency: str) -> Decimal | None:
        """Return how much of `currency` new orders may still spend; None if nobody can tell."""
        venue, view = context.instrument.venue, context.view
        credit, reserved = view.credit(venue, currency), view.reserved(venue, currency)
        return None if credit is None or reserved is None else credit - reserved


Kind = Literal["prefunded", "credit"]
KINDS: Mapping[str, Headroom] = {"prefunded": Prefunded(), "credit": Credit()}


@attrs.frozen
class Funds:
    """`funds = "prefunded"`, `"credit"`, or by venue `{ paper = "prefunded", kestrel = "credit" }`.

    An order may spend what the account has (the credit it is given) and no other order may. A buy
    spends its worth and the dearer of the venue's fees in quote currency (without a price: at the
    ask or its stop price), a sell its quantity in base; its fee is paid from what it brings.
    Where the venue has told no balance (no limit) only reducing orders pass. Contracts with a
    multiplier, inverse ones and venues that the table leaves out are not looked at.
    """

    key: ClassVar[str] = "funds"
    Value: ClassVar[Any] = Kind | Mapping[str, Kind]
    headroom: Headroom | None
    by_venue: Mapping[str, Headroom] = attrs.field(factory=dict)

    @classmethod
    def from_config(cls, value: Any, source: str) -> "Funds":
        """Build from the config's value."""
        if not isinstance(value, Mapping):
            return cls(_kind(value, source, "or a table of these by venue"))
        problems: list[str] = []
        by_venue: dict[str, Headroom] = {}
        for venue, kind in value.items():
            try:
                by_venue[venue] = _kind(kind, f"{source}.{venue}")
            except ConfigError as exc:
                problems.extend(exc.problems)
        if problems:
            raise ConfigError(problems)
        return cls(None, by_venue)

    def venues(self) -> Sequence[str]:
        """Return the venues the table names."""
        return tuple(self.by_venue)

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Refuse what could not be paid for."""
        instrument = context.instrument
        headroom = self.by_venue.get(instrument.venue, self.headroom)
        if headroom is None or instrument.inverse or instrument.contract_multiplier != 1:
            return Verdict(self.key, passed=True)
        is_buy = request.side is Side.BUY
        currency = instrument.quote if is_buy else instrument.base
        left = headroom.left(context, currency)
        spends = _buys_for(request, context) if is_buy else context.added_leaves(request)
        if left is None or spends is None:
            return self._unknown(request, context, currency)
        if spends <= left:
            return Verdict(self.key, passed=True, limit=left, measured=spends)
        rate = context.view.fee_rate(instrument.venue) if is_buy else ZERO
        fees = f", fees of {rate.scaleb(4).normalize():f} bps included" if rate else ""
        text = (
            f"it may spend {spends} {currency}{fees}, and {instrument.venue} has {left} {currency} "
            "that no other order may spend: cancel some, make it smaller or fund the account"
        )
        return Verdict(self.key, passed=False, limit=left, measured=spends, text=text)

    def _unknown(
        self, request: NewOrder | ReplaceOrder, context: RiskContext, currency: str
    ) -> Verdict:
        if context.is_reducing(request):
            return Verdict(self.key, passed=True)
        text = (
            f"{context.instrument.venue} has told no balance or limit of {currency}, or an order "
            f"has no price to tell its worth by, so {self.key} cannot be checked: "
            "only orders that reduce a position pass until then"
        )
        return Verdict(self.key, passed=False, text=text)


def _buys_for(request: NewOrder | ReplaceOrder, context: RiskContext) -> Decimal | None:
    """Return the quote currency a buy may spend, fees included; None if unknown.

    It comes on top of what is reserved: a replace may fill at its new price as a whole, beside
    what the order as it is reserves.
    """
    price = request.price
    if price is None:
        if not 0 < context.ask_px < inf:
            return None
        ask = Decimal(repr(float(context.ask_px)))
        stop_px = request.stop_px if isinstance(request, NewOrder) else None
        price = ask if stop_px is None else max(ask, stop_px)
    worth = price * request.order_qty
    rate = context.view.fee_rate(context.instrument.venue)
    return worth + worth * rate if rate else worth


def _kind(value: Any, source: str, further: str = "") -> Headroom:
    if isinstance(value, str) and value in KINDS:
        return KINDS[value]
    allowed = '"prefunded" or "credit"' + (f", {further}" if further else "")
    raise ConfigError(f"{source}: found {found(value)}, allowed: {allowed}")
