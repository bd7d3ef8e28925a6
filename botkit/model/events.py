"""What enters the engine besides market data and reports, and what leaves it.

Everything that enters is an `Event` and carries `receive_time_ns`; everything that leaves is a
`Command`. Same events in, same commands out.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

from botkit.model.account import Adjustment, Balance, CreditLimit, VenueStatus
from botkit.model.market import Bar, BookDelta, BookSnapshot, FeedEnded, FeedGap, Quote, Trade
from botkit.model.orders import (
    Approved,
    AskListing,
    AskStatus,
    CancelOrder,
    ExecutionReport,
    NewOrder,
    OrderCancelReject,
    OrderListing,
    ReplaceOrder,
    SendFailed,
)
from botkit.model.words import ClientOrderId, OrdStatus, OrdType, Side, TimeInForce

__all__ = [
    "Action",
    "CancelAction",
    "CleanUpExpired",
    "Command",
    "Event",
    "Flattened",
    "FlattenedPosition",
    "HaltAction",
    "Halted",
    "JournalStatus",
    "MarketEvent",
    "Operation",
    "OperatorCommand",
    "ReplaceAction",
    "ResolveOrder",
    "RunStarted",
    "StopRequested",
    "StrategyEnded",
    "SubmitAction",
    "Tick",
    "TimerAction",
]


class RunStarted(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="run_started"):
    """A run begins. `run_id` seeds the client order ids: random live, from the seed in replay."""

    run_id: str
    receive_time_ns: int


class StopRequested(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="stop_requested"):
    """The run is to end: `on_stop` is called, no new order passes, everything is canceled."""

    reason: str
    receive_time_ns: int


class Tick(msgspec.Struct, frozen=True, gc=False, tag="tick"):
    """Nothing happened but time; timers due by now fire."""

    receive_time_ns: int


class StrategyEnded(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="strategy_ended"):
    """A strategy's task returned (`error` empty) or raised: its orders are canceled."""

    strategy: str
    error: str
    receive_time_ns: int


class CleanUpExpired(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="clean_up_expired"):
    """A clean-up deadline passed with these orders unconfirmed: they are UNKNOWN now."""

    client_order_ids: tuple[ClientOrderId, ...]
    receive_time_ns: int


class JournalStatus(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="journal_status"):
    """The journal has stopped recording (`ok` False), or records again."""

    ok: bool
    reason: str
    receive_time_ns: int


class SubmitAction(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="submit_action"):
    """A strategy wants an order: what `buy` and `sell` make."""

    symbol: str
    side: Side
    order_qty: Decimal
    ord_type: OrdType
    price: Decimal | None
    stop_px: Decimal | None
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    keep: bool
    expire_time_ns: int
    strategy: str
    receive_time_ns: int


class CancelAction(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="cancel_action"):
    """A strategy wants an order gone; `client_order_id` None means all of its own.

    `at_once` is set by clean-up, which does not wait for the order's least life at its venue.
    """

    client_order_id: ClientOrderId | None
    at_once: bool = False
    strategy: str
    symbol: str = ""  # with client_order_id None: only this instrument
    receive_time_ns: int


class ReplaceAction(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="replace_action"):
    """A strategy wants an order changed; None keeps the value."""

    client_order_id: ClientOrderId
    price: Decimal | None
    order_qty: Decimal | None
    strategy: str
    receive_time_ns: int


class TimerAction(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="timer_action"):
    """A strategy sets a timer; `name` comes back to `on_timer`. Setting a name again moves it."""

    name: str
    due_ns: int
    every_ns: int
    strategy: str
    receive_time_ns: int


class HaltAction(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="halt_action"):
    """A strategy wants the whole bot halted: what `self.halt(reason)` makes."""

    reason: str
    strategy: str
    receive_time_ns: int


class Halted(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="halted"):
    """The kill switch has tripped: nothing but reducing orders passes until a person clears it.

    `rule` is the rule that tripped it, `operator`, or `strategies.NAME`; `limit` and `measured`
    are text as a person reads them, empty where there is no number.
    """

    rule: str
    reason: str
    limit: str = ""
    measured: str = ""
    receive_time_ns: int = 0


class FlattenedPosition(
    msgspec.Struct,
    frozen=True,
    gc=False,
    kw_only=True,
    tag="flattened_position",
    omit_defaults=True,
):
    """One strategy's position of an instrument before it was flattened, and what is left.

    `why` says why anything is; `is_dust` if that is less than the instrument trades.
    """

    strategy: str
    symbol: str
    before: Decimal
    left: Decimal
    is_dust: bool = False
    why: str = ""


class Flattened(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="flattened"):
    """What came of an operator's FLATTEN. `orders` are those of the target that may still rest."""

    target: str
    positions: tuple[FlattenedPosition, ...]
    orders: tuple[ClientOrderId, ...]
    receive_time_ns: int

    @property
    def is_flat(self) -> bool:
        """True if nothing is left, and no order could bring anything back."""
        return not self.orders and not any(each.left for each in self.positions)


Action = SubmitAction | CancelAction | ReplaceAction | TimerAction | HaltAction
"""What a strategy's coroutine does enters as one of these, so that a re-run can feed it back."""


class Operation(StrEnum):
    """What an operator can tell a running bot."""

    PAUSE = "PAUSE"
    RESUME = "RESUME"
    CANCEL_ALL = "CANCEL_ALL"
    HALT = "HALT"  # trips the kill switch
    FLATTEN = "FLATTEN"  # closes positions; the target stays paused


class OperatorCommand(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="operator_command"):
    """A person's order to the bot; `target` is a strategy, a symbol, or "" for all.

    `by` is who gave it, as far as the machine knows.
    """

    operation: Operation
    target: str = ""
    reason: str = ""
    by: str = ""
    receive_time_ns: int


class ResolveOrder(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, tag="resolve_order", omit_defaults=True
):
    """A person's word on how an order ended that nobody else can tell of.

    `cum_qty` is all that it filled and `avg_px` the mean price; None where no more filled than
    was counted already. `by` is who said it, as far as the machine knows.
    """

    client_order_id: ClientOrderId
    ord_status: OrdStatus
    cum_qty: Decimal | None = None
    avg_px: Decimal | None = None
    reason: str = ""
    by: str = ""
    receive_time_ns: int = 0


MarketEvent = Quote | Trade | BookSnapshot | BookDelta | Bar | FeedGap | FeedEnded
Event = (
    MarketEvent
    | ExecutionReport
    | OrderCancelReject
    | OrderListing
    | SendFailed
    | Adjustment
    | Balance
    | CreditLimit
    | VenueStatus
    | RunStarted
    | StopRequested
    | Tick
    | JournalStatus
    | StrategyEnded
    | CleanUpExpired
    | OperatorCommand
    | ResolveOrder
    | Action
)
Command = Approved[NewOrder] | Approved[ReplaceOrder] | CancelOrder | AskStatus | AskListing
