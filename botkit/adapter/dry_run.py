"""The dry run: a venue's live market data, our orders matched in this process.

`DryRunVenue` holds the half of an adapter that has market data and nothing else. There is no
call in it, and none in what it holds, that could place, change or cancel an order at the venue.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import attrs
import trio

from botkit.clock import Clock
from botkit.config import DryRunOptions
from botkit.matching import ConstantLatency, PaperMatcher, RiskAverseQueue
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    Bar,
    BookDelta,
    BookSnapshot,
    CancelOrder,
    Event,
    ExecutionReport,
    FeedGap,
    FillSource,
    Instrument,
    NewOrder,
    Quote,
    ReplaceOrder,
    Trade,
    VenueStatus,
)
from botkit.ports import Capabilities, Deliver, FeeSchedule

__all__ = ["DryRunVenue", "MarketDataVenue"]

MARKET: Final = (Quote, Trade, BookSnapshot, BookDelta, Bar, FeedGap)
NEVER_S: Final = float("inf")


class MarketDataVenue(Protocol):
    """The half of an adapter that a dry run may have: no order can leave by it."""

    name: str
    capabilities: Capabilities
    fees: FeeSchedule
    instruments: Mapping[str, Instrument]

    async def prepare(self) -> None:
        """Fetch the instruments."""
        ...

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection's market data until canceled; see `botkit.ports.Venue`."""
        ...


class DryRunVenue:
    """Market data of `source`, orders matched here under its fees, grids and abilities.

    Implements `botkit.ports.Venue`.
    """

    def __init__(self, source: MarketDataVenue, options: DryRunOptions) -> None:
        self.name = source.name
        self.fees = source.fees
        self.keeps_orders = False  # they are matched in this process and end with it
        self.capabilities = attrs.evolve(
            source.capabilities,
            client_order_ids=True,
            fill_source=FillSource.EXECUTIONS,
            replace_atomic=source.capabilities.replace,
            account_wide_cancel=False,
            shows_own_orders=False,
        )
        self.instruments: Mapping[str, Instrument] = {}
        self._source = source
        self._options = options
        self._matcher: PaperMatcher | None = None
        self._deliver: Deliver = _nowhere
        self._changed = trio.Event()

    async def prepare(self) -> None:
        """Fetch the venue's instruments and set the matching up."""
        await self._source.prepare()
        self.instruments = self._source.instruments
        self._matcher = PaperMatcher(
            venue=self.name,
            instruments=self.instruments,
            fees=self.fees,
            latency=ConstantLatency(delay_ns=self._options.latency),
            queue=RiskAverseQueue(),
            balances=self._options.balances,
            seed=self._options.seed,
        )

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Serve one connection of the venue's market data, and our own orders beside it.

        Orders and balances stay from one connection to the next; in between nothing fills.
        """
        self._deliver = deliver
        self._matching.start(deliver, clock.now_ns())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer, clock)
            await self._source.run(self._take, clock)

    def _take(self, event: Event) -> None:
        """Match market data; a status says of orders what it says of market data."""
        matcher = self._matching
        if isinstance(event, MARKET):
            matcher.apply(event)
        elif isinstance(event, VenueStatus):
            matcher.advance(event.receive_time_ns)
            if event.market_data:
                for balance in matcher.balances():
                    self._deliver(balance)
            self._deliver(
                VenueStatus(
                    venue=event.venue,
                    market_data=event.market_data,
                    private=event.market_data,
                    order_entry=event.market_data,
                    reason=event.reason,
                    receive_time_ns=event.receive_time_ns,
                )
            )

    @property
    def _matching(self) -> PaperMatcher:
        assert self._matcher is not None, "prepare() comes first"
        return self._matcher

    async def _answer(self, clock: Clock) -> None:
        """Bring requests about when they are due."""
        while True:
            due_ns = self._matching.next_due_ns()
            deadline = NEVER_S if due_ns is None else clock.trio_deadline(due_ns)
            self._changed = trio.Event()
            with trio.CancelScope(deadline=deadline):
                await self._changed.wait()
            if due_ns is not None and clock.now_ns() >= due_ns:
                self._matching.advance(clock.now_ns())

    # --- orders -----------------------------------------------------------------------------

    def submit(self, order: Approved[NewOrder]) -> None:
        """Send a new order on its way to the matcher."""
        self._matching.submit(order)
        self._changed.set()

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        """Send a replace on its way to the matcher."""
        self._matching.replace(order)
        self._changed.set()

    def cancel(self, order: CancelOrder) -> None:
        """Send a cancel on its way to the matcher."""
        self._matching.cancel(order)
        self._changed.set()

    def ask(self, question: AskStatus | AskListing) -> None:
        """Send a question on its way to the matcher."""
        self._matching.ask(question)
        self._changed.set()

    def resting(self) -> Sequence[ExecutionReport]:
        """Return the status of every order that works here, oldest first."""
        return self._matching.resting()


def _nowhere(_: Event) -> None:
    raise RuntimeError("no event comes before `run`")
