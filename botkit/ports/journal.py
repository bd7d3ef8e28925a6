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
    OrdStatus,
    Refused,
    ReplaceOrder,
    ResolveOrder,
    SendFailed,
    StrategyEnded,
    VenueOrderId,
    VenueStatus,
)
from botkit.ports.risk import Verdict

__all__ = ["Checked", "Held", "Journal", "JournalEntry", "OrderRecord", "Recovered", "Traded"]


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


class OrderRecord(msgspec.Struct, kw_only=True):
    """One order as a journal last knew it.

    `client_order_ids` are all it has had, `resting_ids` those under which it may still rest,
    both oldest first; `venue_order_ids` are the venue's, each with the client order id it was
    told for; `replace` is the last replace asked for, whatever became of it.
    `ord_status` and `cum_qty` are the last told (PENDING_NEW and 0 if nothing was); `cum_qty` may
    be ahead of the `fills`.
    """

    request: NewOrder
    client_order_ids: list[ClientOrderId]
    resting_ids: list[ClientOrderId]
    venue_order_ids: dict[VenueOrderId, ClientOrderId] = msgspec.field(default_factory=dict)
    ord_status: OrdStatus = OrdStatus.PENDING_NEW
    cum_qty: Decimal = Decimal(0)
    fills: list[Fill] = msgspec.field(default_factory=list)
    replace: ReplaceOrder | None = None

    @property
    def filled_qty(self) -> Decimal:
        """The sum of its fills."""
        return sum((fill.qty for fill in self.fills), Decimal(0))

    @property
    def may_rest(self) -> bool:
        """True unless the venue said that it is over, or it surely never left us."""
        return bool(self.resting_ids)

    @property
    def is_settled(self) -> bool:
        """True if it is over and every fill that was told of it is counted."""
        return not self.resting_ids and self.filled_qty >= self.cum_qty

    @property
    def keep(self) -> bool:
        """True if a person wants it to rest after the bot has gone."""
        return self.request.keep


class Recovered(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="recovered"):
    """An order that this run has taken over from `run_id`, as that run's journal left it.

    It enters the engine as an event. `run_id` is empty where no journal knew it: the venue told
    of it under our tag. `others` are ids that the venue has given to other orders of ours: where
    it takes no client order ids this order could be taken for one of them.
    """

    record: OrderRecord
    run_id: str
    receive_time_ns: int
    others: tuple[VenueOrderId, ...] = ()


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
    | Recovered
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
