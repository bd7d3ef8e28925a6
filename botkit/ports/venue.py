"""What a venue plug-in implements, and what it is built from.

Orders go out by plain calls (`submit`, `replace`, `cancel`, `ask`) that hand a request over and
return at once; whatever becomes of it comes back as an event through `deliver`. So one strategy
runs over a socket, over the paper venue in real time, and over the paper venue in a plain loop.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

import attrs

from botkit.clock import Clock, wall_time_ns
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    CancelOrder,
    Event,
    FillSource,
    Instrument,
    MarketEvent,
    NewOrder,
    OrdType,
    ReplaceOrder,
    TimeInForce,
)

__all__ = [
    "Capabilities",
    "Deliver",
    "DiagnosableVenue",
    "Diagnosis",
    "FeeSchedule",
    "Health",
    "RemarkingVenue",
    "SimulatedVenue",
    "StandbyVenue",
    "Venue",
    "VenuePlugin",
    "VenueSetup",
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
    on_disconnect
        Whether a venue that can is asked to cancel by itself when the link ends.
    """

    name: str
    options: Mapping[str, Any]
    symbols: tuple[str, ...]
    source: str
    base_dir: str = "."
    now_ns: Callable[[], int] = wall_time_ns
    on_disconnect: Literal["cancel", "keep"] = "cancel"


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
class StandbyVenue(Protocol):
    """A venue that can do something while it is not connected: cancel, and ask, by REST."""

    async def stand_by(self, deliver: Deliver, clock: Clock) -> None:
        """Until canceled, see to it that cancels and questions go, whether `run` is on or not.

        Served beside all the runs of a venue; a `run` without it does it for its own length.
        Raises no `VenueError`: what cannot be done is tried again.
        """
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
