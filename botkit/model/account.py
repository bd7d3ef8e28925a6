"""Balances, what moves them besides our orders, profit and loss, and where a venue stands."""

from decimal import Decimal
from enum import StrEnum

import msgspec

__all__ = ["Adjustment", "AdjustmentKind", "Balance", "CreditLimit", "EquityPoint", "VenueStatus"]


class AdjustmentKind(StrEnum):
    """What an adjustment stands for, and so what it moves."""

    OPENING = "OPENING"  # held before the first run: the position alone
    CARRIED = "CARRIED"  # held when the run before ended: the position alone
    DEPOSIT = "DEPOSIT"  # money came, or went (amount below 0): the balance alone
    TRADE = "TRADE"  # bought or sold by hand: the position, and the balances it was paid from


class Adjustment(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="adjustment", omit_defaults=True
):
    """Inventory or money that came or went without an order of ours; never profit or loss.

    A DEPOSIT has `venue`, `currency` and `amount`. The others have `symbol`, a signed `qty` and
    the `price` at which it counts as bought; `strategy` is whose position it is, "" for nobody's.
    """

    kind: AdjustmentKind
    symbol: str = ""
    strategy: str = ""
    qty: Decimal = Decimal(0)
    price: Decimal | None = None
    venue: str = ""
    currency: str = ""
    amount: Decimal = Decimal(0)
    reason: str = ""
    by: str = ""  # who said so, as far as the machine knows
    receive_time_ns: int = 0


class Balance(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="balance"):
    """What an account holds of one currency: `total`, of which `available` is not reserved."""

    venue: str
    currency: str
    total: Decimal
    available: Decimal
    receive_time_ns: int = 0


class CreditLimit(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="credit_limit"):
    """How far a counterparty lets one currency be owed before it is settled, and what is used.

    `counterparty` "" is the limit over all of them. `net_used` below 0 is a profit, which adds
    to what may be used; `gross_used` counts bought and sold alike.
    """

    venue: str
    currency: str
    counterparty: str = ""
    net: Decimal
    gross: Decimal
    net_used: Decimal
    gross_used: Decimal
    receive_time_ns: int = 0

    @property
    def headroom(self) -> Decimal:
        """What may still be traded: the lesser of what is left net and gross."""
        return min(self.net - self.net_used, self.gross - self.gross_used)


class EquityPoint(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="equity"):
    """Profit and loss of the run so far in one currency: `equity` = realised + unrealised - fees.

    Exact Decimals; `unrealised` marks longs at the bid and shorts at the ask. `fees_estimated` is
    the part of `fees` that the venue has not told yet: what it would be at the taker rate.
    """

    currency: str
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    equity: Decimal
    fees_estimated: Decimal = Decimal(0)
    receive_time_ns: int = 0


class VenueStatus(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="venue_status"):
    """Which parts of a venue are ready; each is, or is not, on its own.

    `market_data`: books and trades flow. `private`: reports of our orders reach us.
    `order_entry`: requests can be sent. Not ready for orders means new ones are refused.
    """

    venue: str
    market_data: bool
    private: bool
    order_entry: bool
    reason: str = ""
    receive_time_ns: int = 0

    @property
    def up(self) -> bool:
        """True if all three are ready."""
        return self.market_data and self.private and self.order_entry
