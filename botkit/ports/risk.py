"""What a risk rule implements, and what it may look at."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

import attrs
import msgspec

from botkit.errors import InvariantError
from botkit.model import (
    CancelOrder,
    ClientOrderId,
    Instrument,
    NewOrder,
    ReplaceOrder,
    Side,
)

__all__ = [
    "CarryingRule",
    "Checker",
    "Finding",
    "Headroom",
    "ListeningRule",
    "RiskAction",
    "RiskContext",
    "RiskRule",
    "RiskScope",
    "RiskView",
    "VenueRule",
    "Verdict",
    "WatchingRule",
    "WorkingOrder",
    "Workload",
]


class Verdict(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One rule's answer about one request, for passes too.

    `limit` and `measured` are in the rule's own unit; `margin` is what is left (negative when
    refused). `text` is filled for refusals: what was asked, the limit, what to do. `in_the_way`
    names resting orders that a refusal wants canceled; if it `waits`, a new order is held until
    they are gone, and then checked again.
    """

    rule: str
    passed: bool
    limit: Decimal | None = None
    measured: Decimal | None = None
    text: str = ""
    in_the_way: tuple[ClientOrderId, ...] = ()
    waits: bool = False

    @property
    def margin(self) -> Decimal | None:
        """Limit less measured; None where the rule has no number."""
        if self.limit is None or self.measured is None:
            return None
        return self.limit - self.measured


class Workload(Protocol):
    """The working side of one instrument as risk counts it: UNKNOWN and pending included."""

    def leaves(self, symbol: str, side: Side) -> Decimal:
        """Return the most that may still fill on `side`: replaces in flight counted worst-case."""
        ...

    def open_orders(self, symbol: str | None = None) -> int:
        """Return how many orders may be working, of one instrument or in all."""
        ...


@attrs.frozen
class RiskScope:
    """Which part of the bot a rule looks at: one strategy, one venue, or ("" both) all of it."""

    strategy: str = ""
    venue: str = ""

    def covers(self, symbol: str, strategy: str) -> bool:
        """Tell whether what `strategy` does in `symbol` belongs to this scope."""
        return self.strategy in ("", strategy) and (
            not self.venue or symbol.partition(":")[0] == self.venue
        )


class WorkingOrder(Protocol):
    """An open order as a rule sees it: pending, UNKNOWN and untriggered ones are open too."""

    @property
    def client_order_id(self) -> ClientOrderId:
        """Its name."""
        ...

    @property
    def strategy(self) -> str:
        """Whose it is."""
        ...


class RiskView(Workload, Protocol):
    """What one scope of the bot holds, owes and may still trade."""

    @property
    def now_ns(self) -> int:
        """The engine's time."""
        ...

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The scope's instruments by symbol."""
        ...

    def position(self, symbol: str) -> Decimal:
        """Return the signed position, in base units (contracts)."""
        ...

    def added_leaves(self, request: ReplaceOrder) -> Decimal:
        """Return by how much a replace raises what may fill, old plus new if not atomic."""
        ...

    def meeting(self, symbol: str, side: Side, price: Decimal | None) -> Sequence[WorkingOrder]:
        """Return the open orders that an order of `side` at `price` (None: any) could meet."""
        ...

    def touch(self, symbol: str) -> tuple[float, float]:
        """Return best bid and ask; nan where unknown."""
        ...

    def mark(self, symbol: str) -> tuple[float, float]:
        """Return best bid and ask to value a position at; nan where unknown or stale."""
        ...

    def age_ns(self, symbol: str) -> int | None:
        """Return how old the last quote or book is; None if there is none, or a gap since."""
        ...

    def total(self, venue: str, currency: str) -> Decimal | None:
        """Return what the account surely has: the venue's total less what fills took since."""
        ...

    def foreign_locks(self, venue: str, currency: str) -> Decimal:
        """Return what orders that are not ours lock of the total, as last told."""
        ...

    def reserved(self, venue: str, currency: str) -> Decimal | None:
        """Return the most our open spot orders may spend; None if one has no price to tell by.

        Fees of buys are included.
        """
        ...

    def credit(self, venue: str, currency: str) -> Decimal | None:
        """Return the least headroom any counterparty gives, less what fills took since it was told.

        None if no limit was told.
        """
        ...

    def fee_rate(self, venue: str) -> Decimal:
        """Return the most a trade may cost, as a share of its notional: the taker's, as a rule."""
        ...

    def is_flat(self) -> bool:
        """Tell whether no strategy of the scope holds anything: two that net out are not flat."""
        ...

    def profit(self, currency: str, *, settled: bool = False) -> Decimal | None:
        """Return realised + unrealised - fees of this run; None if a mark or rate is not fresh.

        With `settled`, what open positions are up or down is left out.
        """
        ...

    def convert(self, amount: Decimal, source: str, target: str) -> Decimal | None:
        """Return an amount in another currency, at the touch that makes it least; None unknown."""
        ...

    def narrowed(self, scope: RiskScope) -> "RiskView":
        """Return the view of a part of the bot."""
        ...

    def context(self, symbol: str) -> "RiskContext":
        """Return this scope's context for one instrument, brought up to date."""
        ...


@attrs.define(kw_only=True)
class RiskContext:
    """What a rule may look at. One object, its market part brought up to date per request."""

    instrument: Instrument
    bid_px: float  # nan where unknown
    ask_px: float
    now_ns: int
    workload: Workload
    position: Callable[[str], Decimal]  # symbol -> signed base quantity (contracts)
    _view: RiskView | None = attrs.field(default=None, repr=False)

    @property
    def view(self) -> RiskView:
        """The rest of what the rule's scope holds; an engine's context has it."""
        if self._view is None:
            raise InvariantError("this risk context was made without a view: give it one")
        return self._view

    def added_leaves(self, request: NewOrder | ReplaceOrder) -> Decimal:
        """Return by how much `request` raises what may fill on its side, at worst."""
        if isinstance(request, NewOrder):
            return request.order_qty
        return self.view.added_leaves(request)

    def is_reducing(self, request: NewOrder | ReplaceOrder) -> bool:
        """Tell whether all that may fill on its side, with `request`, stops short of zero."""
        held = self.position(request.symbol)
        if not held or (held > 0) is (request.side is Side.BUY):
            return False
        leaves = self.workload.leaves(request.symbol, request.side)
        return leaves + self.added_leaves(request) <= abs(held)


class Checker(Protocol):
    """What the gate asks."""

    def check(self, request: NewOrder | ReplaceOrder, context: RiskContext) -> Verdict:
        """Say whether `request` may go. Reads only; never raises for a bad request."""
        ...


class RiskRule(Checker, Protocol):
    """One limit. Configured by `[risk] <key> = value`, where `key` is its entry-point name."""

    key: ClassVar[str]

    @classmethod
    def from_config(cls, value: Any, source: str) -> "RiskRule":
        """Build from the value in the config; raise `ConfigError` naming `source` if it is bad."""
        ...


class RiskAction(StrEnum):
    """What a rule that watches can have done."""

    HALT = "HALT"  # trip the kill switch
    PULL = "PULL"  # cancel what rests in some instruments


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What `watch` found and wants done; `symbols` are those to pull."""

    verdict: Verdict
    action: RiskAction
    symbols: tuple[str, ...] = ()


@runtime_checkable
class WatchingRule(Protocol):
    """A rule that also looks when no order comes."""

    def watch(self, context: RiskView) -> Sequence[Finding]:
        """Look at every start, fill, balance, and once a second; return what is to be done."""
        ...


@runtime_checkable
class ListeningRule(Protocol):
    """A rule that counts what was sent."""

    def sent(self, request: NewOrder | ReplaceOrder | CancelOrder, now_ns: int) -> None:
        """Take note of a request on its way out, after every rule had passed it."""
        ...


@runtime_checkable
class CarryingRule(Protocol):
    """A rule whose measure outlives the process."""

    def carried(self) -> Mapping[str, str]:
        """Return what the next start must know."""
        ...

    def carry_on(self, carried: Mapping[str, str]) -> None:
        """Take what `carried` returned before, as it was read from the file."""
        ...


@runtime_checkable
class VenueRule(Protocol):
    """A rule whose setting names venues; each has to be one of the bot's."""

    def venues(self) -> Sequence[str]:
        """Return the venues it names."""
        ...


class Headroom(Protocol):
    """What pays for orders: prefunded balances, or the credit a venue gives."""

    def left(self, context: RiskContext, currency: str) -> Decimal | None:
        """Return how much of `currency` new orders may still spend; None if nobody can tell."""
        ...
