"""Balances and where a venue stands."""

from decimal import Decimal

import msgspec

__all__ = ["Balance", "EquityPoint", "VenueStatus"]


class Balance(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="balance"):
    """What an account holds of one currency: `total`, of which `available` is not reserved."""

    venue: str
    currency: str
    total: Decimal
    available: Decimal
    receive_time_ns: int = 0


class EquityPoint(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="equity"):
    """Profit and loss of the run so far in one currency: `equity` = realised + unrealised - fees.

    Exact Decimals; `unrealised` marks longs at the bid and shorts at the ask.
    """

    currency: str
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    equity: Decimal
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
