"""A venue inside this process: market data from a feed, our orders matched against them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import trio

from botkit.clock import Clock
from botkit.config import structure
from botkit.errors import ConfigError
from botkit.matching import PaperMatcher
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    CancelOrder,
    ExecutionReport,
    FeedEnded,
    FeedGap,
    FillSource,
    Instrument,
    MarketEvent,
    NewOrder,
    OrdType,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    TimeInForce,
    VenueStatus,
)
from botkit.ports import Capabilities, Deliver, Diagnosis, FeeSchedule, Health, VenueSetup
from venues.paper.feeds import Feed, build_feed, check_feed
from venues.paper.options import PaperOptions

__all__ = ["PaperVenue"]

EVENTS_PER_CHECKPOINT: Final = 64  # while behind: others run, and a cancellation is seen


class PaperVenue:
    """Implements `botkit.ports.Venue` and `SimulatedVenue`; `from_setup` builds it.

    Under `run` and under a plain loop the same events are delivered in the same order, each
    stamped with its simulated time, not with the time the clock shows when its turn comes.
    """

    Options = PaperOptions

    def __init__(
        self,
        *,
        name: str,
        feed: Feed,
        matcher: PaperMatcher,
        instruments: Mapping[str, Instrument],
        fees: FeeSchedule,
        cancel_on_disconnect: bool = False,
    ) -> None:
        self.name = name
        self.fees = fees
        self.instruments = instruments
        self.speed = feed.speed
        self.keeps_orders = False  # they are matched in this process and end with it
        self.capabilities = Capabilities(
            client_order_ids=True,
            fill_source=FillSource.EXECUTIONS,
            replace=True,
            replace_atomic=True,
            cancel_on_disconnect=cancel_on_disconnect,
            shows_own_orders=False,
            post_only=True,
            ord_types=frozenset(OrdType),
            times_in_force=frozenset(TimeInForce),
        )
        self.next_due_ns: Callable[[], int | None] = matcher.next_due_ns
        """Return when the next request arrives or order expires; None if nothing is to come."""
        self.advance: Callable[[int], None] = matcher.advance
        """Bring everything due by a time about, in time order, delivering the reports."""
        self.apply: Callable[[MarketEvent], None] = matcher.apply
        """Take one market event: deliver it, match against it, deliver the fills."""
        self._feed = feed
        self._matcher = matcher
        self._deliver: Deliver | None = None  # where to tell what cannot be sent: the link is down
        self._sleeper: trio.Event | None = None  # set to wake `run` for an earlier due time

    @classmethod
    def from_setup(cls, setup: VenueSetup) -> "PaperVenue":
        """Build the venue, its matcher and its feed from the config."""
        options, instruments = _options(setup)
        feed = build_feed(
            options.feed,
            symbols=setup.symbols,
            instruments=instruments,
            source=f"{setup.source}.feed",
            base_dir=setup.base_dir,
        )
        cancel_on_disconnect = options.on_disconnect == "cancel"
        matcher = PaperMatcher(
            venue=setup.name,
            instruments=instruments,
            fees=options.fees,
            latency=options.build_latency(),
            cancel_latency=options.build_cancel_latency(),
            queue=options.build_queue(),
            balances=options.balances,
            seed=options.seed,
            self_trade=options.self_trade,
            cancel_on_disconnect=cancel_on_disconnect,
        )
        return cls(
            name=setup.name,
            feed=feed,
            matcher=matcher,
            instruments=instruments,
            fees=options.fees,
            cancel_on_disconnect=cancel_on_disconnect,
        )

    # -- Venue --------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Return: the instruments were in the config."""
        await trio.lowlevel.checkpoint()

    async def examine(self) -> Sequence[Diagnosis]:
        """Read the first event of the feed: a recording's files must be there and whole so far."""
        await trio.lowlevel.checkpoint()
        first = next(self._feed.events(0), None)
        if first is None:
            todo = "name recordings that hold events of what the strategies trade"
            return [Diagnosis(health=Health.WARN, text="its feed holds no event", todo=todo)]
        return [Diagnosis(health=Health.OK, text="its market data can be read; orders stay here")]

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        """Play the feed by `clock`, then answer requests without market data until canceled.

        May be run again; orders and balances stay. Between runs requests are answered as not sent.
        """
        self._deliver = None
        try:
            await self._play(deliver, clock)
        finally:
            self._deliver = deliver

    async def _play(self, deliver: Deliver, clock: Clock) -> None:
        now_ns = clock.now_ns()
        self.start(deliver, now_ns)
        behind = 0
        for event in self.feed_events(now_ns):
            if await self._reach(clock, event.receive_time_ns):
                behind = 0
            else:
                behind += 1
                if behind % EVENTS_PER_CHECKPOINT == 0:
                    await trio.lowlevel.checkpoint()
            self._matcher.apply(event)
        while True:
            due_ns = self._matcher.next_due_ns()
            if due_ns is None:
                await self._sleep(clock, None)
            else:
                await trio.lowlevel.checkpoint()
                await self._reach(clock, due_ns)

    def submit(self, order: Approved[NewOrder]) -> None:
        """Send a new order on its way to the matcher."""
        if self._deliver is not None:
            self._deliver(_not_sent(order.request, RequestKind.NEW))
            return
        self._matcher.submit(order)
        self._wake()

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        """Send a replace on its way to the matcher."""
        if self._deliver is not None:
            self._deliver(_not_sent(order.request, RequestKind.REPLACE))
            return
        self._matcher.replace(order)
        self._wake()

    def cancel(self, order: CancelOrder) -> None:
        """Send a cancel on its way to the matcher."""
        if self._deliver is not None:
            self._deliver(_not_sent(order, RequestKind.CANCEL))
            return
        self._matcher.cancel(order)
        self._wake()

    def ask(self, question: AskStatus | AskListing) -> None:
        """Send a question on its way to the matcher; while the link is down it gets no answer."""
        if self._deliver is None:
            self._matcher.ask(question)
            self._wake()

    # -- SimulatedVenue -----------------------------------------------------------------------

    def start(self, deliver: Deliver, now_ns: int) -> None:
        """Deliver the `FeedGap`, balances and `VenueStatus` a connection begins with."""
        self._matcher.start(deliver, now_ns)
        deliver(FeedGap(self.name, reason="connected", receive_time_ns=now_ns))
        for balance in self._matcher.balances():
            deliver(balance)
        deliver(
            VenueStatus(
                venue=self.name,
                market_data=True,
                private=True,
                order_entry=True,
                reason="connected",
                receive_time_ns=now_ns,
            )
        )

    def first_time_ns(self) -> int | None:
        """Return the time stamp the feed starts with; None if it starts whenever it is run."""
        return self._feed.first_time_ns()

    def remarks(self) -> Sequence[str]:
        """Return what was out of order in the feed."""
        return self._feed.remarks()

    def feed_events(self, start_ns: int) -> Iterator[MarketEvent]:
        """Yield the feed's market data in order of `receive_time_ns`, then a `FeedEnded`."""
        now_ns = start_ns
        for event in self._feed.events(start_ns):
            now_ns = event.receive_time_ns
            yield event
        yield FeedEnded(self.name, receive_time_ns=now_ns)

    def resting(self) -> list[ExecutionReport]:
        """Return the status of every order that works here, oldest first."""
        return self._matcher.resting()

    # -- waiting ------------------------------------------------------------------------------

    async def _reach(self, clock: Clock, until_ns: int) -> bool:
        """Bring about what is due before `until_ns`, and wait for it; True if we had to wait."""
        waited = False
        while True:
            due_ns = self._matcher.next_due_ns()
            target_ns = until_ns if due_ns is None else min(due_ns, until_ns)
            if clock.now_ns() < target_ns:
                waited = True
                await self._sleep(clock, target_ns)
            elif target_ns == until_ns:
                self._matcher.advance(until_ns)
                return waited
            else:
                self._matcher.advance(target_ns)

    async def _sleep(self, clock: Clock, until_ns: int | None) -> None:
        """Sleep until `until_ns`, or until a request may have made something due sooner."""
        self._sleeper = trio.Event()
        deadline = float("inf") if until_ns is None else clock.trio_deadline(until_ns)
        with trio.CancelScope(deadline=deadline):
            await self._sleeper.wait()
        self._sleeper = None

    def _wake(self) -> None:
        if self._sleeper is not None:
            self._sleeper.set()


def _options(setup: VenueSetup) -> tuple[PaperOptions, dict[str, Instrument]]:
    """Return the options and the instruments, or raise all that is wrong, with the feed's too."""
    try:
        options = structure(PaperOptions, setup.options, setup.source)
        return options, options.build_instruments(setup.name, setup.symbols, setup.source)
    except ConfigError as error:
        problems = error.problems
    feed = setup.options.get("feed")
    if isinstance(feed, Mapping):
        try:
            check_feed(feed, f"{setup.source}.feed")
        except ConfigError as error:
            problems += error.problems
    raise ConfigError(problems)


def _not_sent(request: NewOrder | ReplaceOrder | CancelOrder, kind: RequestKind) -> SendFailed:
    return SendFailed(
        symbol=request.symbol,
        client_order_id=request.client_order_id,
        request=kind,
        reached_venue=False,
        text="not sent: the link is down",
        receive_time_ns=request.transact_time_ns,
    )
