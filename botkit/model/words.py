"""The vocabulary: identifiers and the FIX code sets, as text enums.

The members' values are what the journal and the logs show. FIX tag numbers stand in brackets.
"""

from enum import StrEnum
from typing import NewType

__all__ = [
    "ClientOrderId",
    "ExecId",
    "ExecType",
    "FillSource",
    "Liquidity",
    "OrdStatus",
    "OrdType",
    "RequestKind",
    "Side",
    "TimeInForce",
    "VenueOrderId",
]

ClientOrderId = NewType("ClientOrderId", str)
"""Our id of an order [11], made before it is sent; carries the bot's tag."""
VenueOrderId = NewType("VenueOrderId", str)
"""The venue's id of an order [37]."""
ExecId = NewType("ExecId", str)
"""The venue's id of one execution report [17], unique within its order."""


class Side(StrEnum):
    """Which way an order trades [54]."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrdType(StrEnum):
    """How an order is priced [40]."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"


class TimeInForce(StrEnum):
    """How long an order works [59]."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class OrdStatus(StrEnum):
    """Where an order stands [39]. UNKNOWN is ours: nobody has told us."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_REPLACE = "PENDING_REPLACE"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"


class ExecType(StrEnum):
    """Why an execution report was sent [150]."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    TRADE = "TRADE"
    PENDING_CANCEL = "PENDING_CANCEL"
    CANCELED = "CANCELED"
    PENDING_REPLACE = "PENDING_REPLACE"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    ORDER_STATUS = "ORDER_STATUS"
    TRIGGERED = "TRIGGERED"


class Liquidity(StrEnum):
    """Whether a fill was maker (`ADDED`) or taker (`REMOVED`) [851]."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"


class RequestKind(StrEnum):
    """Which kind of request an answer is about."""

    NEW = "NEW"
    CANCEL = "CANCEL"
    REPLACE = "REPLACE"


class FillSource(StrEnum):
    """Where a venue's fill quantities come from: one source each, the other only amends."""

    EXECUTIONS = "EXECUTIONS"  # each report with last_qty > 0 counts once by its exec_id
    TOTALS = "TOTALS"  # cum_qty is the truth; it is monotone, a lower one is stale
