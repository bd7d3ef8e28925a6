"""The protocols a plug-in implements: Venue, RiskRule, and what the engine needs of a Journal.

Orders go out by plain calls (`submit`, `replace`, `cancel`, `ask`) that hand a request over and
return at once; whatever becomes of it comes back as an event through `deliver`. So one strategy
runs over a socket, over the paper venue in real time, and over the paper venue in a plain loop.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

import attrs
import msgspec

from botkit.clock import Clock, wall_time_ns
from botkit.errors import InvariantError
from botkit.model import (
    Adjustment,
    Approved,
    AskListing,
    AskStatus,
    CancelOrder,
    CleanUpExpired,
    ClientOrderId,
    EquityPoint,
    Event,
    ExecutionReport,
    FeeTold,
    Fill,
    FillSource,
    Flattened,
    Halted,
    Instrument,
    MarketEvent,
    NewOrder,
    OperatorCommand,
    OrderCancelReject,
    OrdType,
    Refused,
    ReplaceOrder,
    ResolveOrder,
    SendFailed,
    Side,
    StrategyEnded,
    TimeInForce,
    VenueStatus,
)

__all__ = [
    "Capabilities",
    "CarryingRule",
    "Checked",
    "Checker",
    "Deliver",
    "DiagnosableVenue",
    "Diagnosis",
    "FeeSchedule",
    "Finding",
    "Headroom",
    "Health",
    "Held",
    "Journal",
    "JournalEntry",
    "ListeningRule",
    "RiskAction",
    "RiskContext",
    "RiskRule",
    "RiskScope",
    "RiskView",
    "SimulatedVenue",
    "Traded",
    "Venue",
    "VenuePlugin",
    "VenueRule",
    "VenueSetup",
    "Verdict",
    "WatchingRule",
    "WorkingOrder",
    "Workload",
]

Deliver = Callable[[Event], None]
"""Hand one event to the engine: a plain call; the strategy has reacted when it returns."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a venue can do, as its documentation says and its adapter implements.

    `fill_source`
        Which reports tell fill quantities; the other kind only amends fee and liquidity.
    `replace_atomic`
        A replace never lets old and new quantity both fill, so risk counts the larger, not both.
    `cancel_on_disconnect`
        The venue itself cancels when the link ends (asked for, and verified after reconnecting).
    `rest_cancel`
        Orders can be canceled while the streaming link is down.
    `account_wide_cancel`
        Its cancel-all reaches orders that are not ours.
    `min_life_ns`
        How old an unfilled order has to be before its strategy's wish to cancel it is carried out:
        some venues ban who cancels sooner. Clean-up, risk and people never wait for it.
    `shows_own_orders`
        Its book contains our own orders, as exchanges' do; see `Book.without_own`.
    """

    client_order_ids: bool
    fill_source: FillSource
    replace: bool = False
    replace_atomic: bool = False
    cancel_on_disconnect: bool = False
    rest_cancel: bool = False
    account_wide_cancel: bool = False
    min_life_ns: int = 0
    shows_own_orders: bool = True
    post_only: bool = True
    ord_types: frozenset[OrdType] = frozenset({OrdType.LIMIT, OrdType.MARKET})
    times_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.GTC, TimeInForce.IOC})


@attrs.frozen(kw_only=True)
class FeeSchedule:
    """Fees in basis points of notional: maker for added liquidity, taker for removed."""

    maker_bps: Decimal = Decimal(0)
    taker_bps: Decimal = Decimal(0)


@attrs.frozen(kw_only=True)
class VenueSetup:
    """What a venue plug-in is built from.

    Parameters
    ----------
    name
        The key of its table in the config, the first half of its symbols.
    options
        That table, less `type`, secrets filled in. The plug-in structures it by its own class
        and raises `ConfigError` with every problem at once.
    symbols
        The full symbols (`venue:NAME`) the strategies use here.
    source
        What to call the table in messages, such as `configs/paper.toml: venues.paper`.
    base_dir
        Folder of the config file; relative paths in `options` start here.
    now_ns
        Tells the time that requests are signed with.
    """

    name: str
    options: Mapping[str, Any]
    symbols: tuple[str, ...]
    source: str
    base_dir: str = "."
    now_ns: Callable[[], int] = wall_time_ns


class VenuePlugin(Protocol):
    """What an entry point of `botkit.venues` names: a class that venues are built by.

    One whose venue is outside this process has a classmethod `market_data(setup)` as well, which
    returns a `botkit.adapter.MarketDataVenue`: all that a dry run may have of the venue.
    """

    @classmethod
    def from_setup(cls, setup: VenueSetup) -> "Venue":
        """Build from the config; opens nothing. Raises `ConfigError` with every problem."""
        ...


class Venue(Protocol):
    """A place that takes orders. Built by `VenuePlugin.from_setup`, closed by cancelling `run`."""

    name: str
    capabilities: Capabilities
    fees: FeeSchedule
    instruments: Mapping[str, Instrument]
    """By full symbol; complete once `prepare` has returned."""
    keeps_orders: bool
    """Whether orders and holdings outlive this process. False: they are matched in it and end with
    it, so that every run starts from the configured balances and no position is carried over."""

    async def prepare(self) -> None:
        """Fetch what must be known before anything runs: the instruments above all."""
        ...

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection until canceled; raise `VenueDisconnectedError` when it is lost.

        The first event delivered is a `FeedGap`, so starting and restarting are one path; a
        `VenueStatus` follows once orders can be sent, a `FeedEnded` if the feed has an end.
        Events carry `receive_time_ns`, never falling.
        """
        ...

    def submit(self, order: Approved[NewOrder]) -> None:
        """Hand a new order to the transport. An answer, or `SendFailed`, is delivered later."""
        ...

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        """Hand a replace to the transport; only called where `capabilities.replace`."""
        ...

    def cancel(self, order: CancelOrder) -> None:
        """Hand a cancel to the transport, ahead of anything that waits there."""
        ...

    def ask(self, question: AskStatus | AskListing) -> None:
        """Ask where one order stands, or for all of ours; the answer is delivered."""
        ...


@runtime_checkable
class SimulatedVenue(Protocol):
    """A venue whose whole life is in this process, so that a plain loop can drive it.

    Order of things at one instant: due requests and reports first, then the market event, then
    what the event caused.
    """

    name: str
    speed: float
    """How fast the feed is played: 1 is real time, `math.inf` as fast as it goes."""

    def start(self, deliver: Deliver, now_ns: int) -> None:
        """Deliver the `FeedGap`, balances and `VenueStatus` a connection begins with."""
        ...

    def first_time_ns(self) -> int | None:
        """Return the time stamp the feed starts with; None if it starts whenever it is run."""
        ...

    def feed_events(self, start_ns: int) -> Iterator[MarketEvent]:
        """Yield market data in order of `receive_time_ns`, a `FeedEnded` last.

        `start_ns` is where it starts if the feed has no times of its own.
        """
        ...

    def next_due_ns(self) -> int | None:
        """Return when the next request arrives or report is due; None if nothing is under way."""
        ...

    def advance(self, now_ns: int) -> None:
        """Bring everything due by `now_ns` about, in time order, delivering the reports."""
        ...

    def apply(self, event: MarketEvent) -> None:
        """Take one market event: deliver it, match against it, deliver the fills."""
        ...


@runtime_checkable
class RemarkingVenue(Protocol):
    """A venue with something to say when a run is over, such as data that it left out."""

    def remarks(self) -> Sequence[str]:
        """Return what a person has to know of the run besides the orders; a line each."""
        ...


class Health(StrEnum):
    """What an examination came to."""

    OK = "pass"
    WARN = "warn"  # may go on; a person should know
    FAIL = "fail"  # should not run like this


@attrs.frozen(kw_only=True)
class Diagnosis:
    """One thing that was looked at: how it is, and what to do about it if it is not well."""

    health: Health
    text: str
    todo: str = ""


@runtime_checkable
class DiagnosableVenue(Protocol):
    """A venue that can be examined before a run; `botkit doctor` asks."""

    async def examine(self) -> Sequence[Diagnosis]:
        """Look at market data and account without an order; called after `prepare`.

        It has deadlines of its own. Raises nothing but `BotkitError`.
        """
        ...


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
