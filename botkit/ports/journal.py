"""What the engine needs of a journal, and what is written there besides the model's own."""

from decimal import Decimal
from typing import Protocol

import msgspec

from botkit.model import (
    Adjustment,
    CancelOrder,
    CleanUpExpired,
    ClientOrderId,
    EquityPoint,
    ExecutionReport,
    FeeTold,
    Fill,
    Flattened,
    Halted,
    Instrument,
    NewOrder,
    OperatorCommand,
    OrderCancelReject,
    Refused,
    ReplaceOrder,
    ResolveOrder,
    SendFailed,
    StrategyEnded,
    VenueStatus,
)
from botkit.ports.risk import Verdict

__all__ = ["Checked", "Held", "Journal", "JournalEntry", "Traded"]


class Checked(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="checked"):
    """Every verdict on one request, in the order the rules were asked; the last may refuse."""

    client_order_id: ClientOrderId
    verdicts: tuple[Verdict, ...]


class Held(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="held"):
    """A new order that is held back until others are gone: nothing of it has left.

    A `NewOrder` of the same id follows if it is sent, a `Refused` if it is not.
    """

    client_order_id: ClientOrderId
    request: NewOrder
    waits_for: tuple[ClientOrderId, ...]


class Traded(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="traded", omit_defaults=True):
    """An instrument of the run as its venue described it: what its fills are counted by."""

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_size: Decimal
    contract_multiplier: Decimal = Decimal(1)
    inverse: bool = False

    @classmethod
    def of(cls, instrument: Instrument) -> "Traded":
        """Return what a journal keeps of `instrument`."""
        return cls(**{name: getattr(instrument, name) for name in cls.__struct_fields__})

    def instrument(self) -> Instrument:
        """Return the instrument, without its least and greatest sizes."""
        return Instrument(**{name: getattr(self, name) for name in self.__struct_fields__})


JournalEntry = (
    NewOrder
    | ReplaceOrder
    | CancelOrder
    | Refused
    | ExecutionReport
    | OrderCancelReject
    | SendFailed
    | Fill
    | FeeTold
    | Adjustment
    | EquityPoint
    | VenueStatus
    | StrategyEnded
    | Halted
    | Flattened
    | Checked
    | Held
    | CleanUpExpired
    | OperatorCommand
    | ResolveOrder
    | Traded
)
"""What a journal keeps of a run, in the order it happened."""


class Journal(Protocol):
    """Where every request is recorded before it is sent, and everything that comes back."""

    def record(self, entry: JournalEntry) -> None:
        """Take one entry into the open batch; no I/O."""
        ...

    def commit(self) -> None:
        """Make the open batch durable. Raises `JournalError`; then nothing new may be sent."""
        ...
