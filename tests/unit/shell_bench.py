"""A bot over a venue that answers at once, late or never, for tests of how things end."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import trio

from botkit.assembly import Plan, PlannedStrategy, assemble
from botkit.clock import Clock, LiveClock
from botkit.config import BotConfig, Config, StrategyConfig
from botkit.live import serve_links
from botkit.model import (
    Approved,
    AskListing,
    AskStatus,
    CancelOrder,
    CleanUpExpired,
    ClientOrderId,
    Event,
    ExecType,
    ExecutionReport,
    FeedGap,
    FillSource,
    Instrument,
    NewOrder,
    OrderListing,
    OrdStatus,
    ReplaceOrder,
    VenueOrderId,
    VenueStatus,
)
from botkit.orders import Order
from botkit.ports import Capabilities, Deliver, FeeSchedule, VenueSetup
from botkit.shell import Bot, ExitCode, run_bot
from botkit.strategy import Strategy
from botkit.testing import START_NS, MemoryJournal, build_instrument

DEAD = math.inf
Run = Callable[[Any], Awaitable[None]]


class SlowVenue:
    """Acknowledges at once and answers a cancel after `cancel_s`: never, if that is infinite."""

    def __init__(self, cancel_s: float = 0.0, name: str = "paper", *, up: bool = True) -> None:
        self.name = name
        self.cancel_s = cancel_s
        self.keeps_orders = True
        self.fees = FeeSchedule()
        self.instrument = build_instrument(f"{name}:BTC-EUR")
        self.instruments: Mapping[str, Instrument] = {self.instrument.symbol: self.instrument}
        self.capabilities = Capabilities(
            client_order_ids=True, fill_source=FillSource.EXECUTIONS, replace=True
        )
        self.up = up
        self.end: Exception | None = None
        self.breaks = trio.Event()
        self.cut_at = math.nan
        self.canceled: list[ClientOrderId] = []
        self.fills_instead = False
        self._nursery: trio.Nursery | None = None
        self._deliver: Deliver | None = None
        self._clock: Clock | None = None
        self._orders: dict[ClientOrderId, NewOrder] = {}
        self._listed = False

    @classmethod
    def from_setup(cls, setup: VenueSetup) -> "SlowVenue":
        raise NotImplementedError(setup.name)

    async def prepare(self) -> None:
        """Return."""

    async def run(self, deliver: Deliver, clock: Clock) -> None:
        self._deliver, self._clock = deliver, clock
        deliver(FeedGap(self.name, reason="connected", receive_time_ns=clock.now_ns()))
        deliver(
            VenueStatus(
                venue=self.name,
                market_data=self.up,
                private=self.up,
                order_entry=self.up,
                receive_time_ns=clock.now_ns(),
            )
        )
        try:
            async with trio.open_nursery() as self._nursery:
                await self.breaks.wait()
                if self.end is not None:
                    raise self.end
                self._nursery.cancel_scope.cancel()
        finally:
            self._nursery = None
            self.cut_at = trio.current_time()

    def report(self, name: ClientOrderId, status: OrdStatus, **fields: Any) -> None:
        assert self._deliver is not None
        assert self._clock is not None
        now_ns = self._clock.now_ns()
        self._deliver(
            ExecutionReport(
                symbol=self.instrument.symbol,
                ord_status=status,
                client_order_id=name,
                venue_order_id=VenueOrderId(f"v-{name}"),
                transact_time_ns=now_ns,
                receive_time_ns=now_ns,
                **{"exec_type": ExecType.ORDER_STATUS, **fields},
            )
        )

    def send(self, event: Event) -> None:
        """Deliver market data."""
        assert self._deliver is not None
        self._deliver(event)

    def gap(self) -> None:
        """Lose messages."""
        assert self._clock is not None
        self.send(FeedGap(self.name, reason="told to", receive_time_ns=self._clock.now_ns()))

    def submit(self, order: Approved[NewOrder]) -> None:
        name = order.request.client_order_id
        self._orders[name] = order.request
        if self._nursery is not None:
            self.report(name, OrdStatus.NEW)

    def replace(self, order: Approved[ReplaceOrder]) -> None:
        raise NotImplementedError(order)

    def cancel(self, order: CancelOrder) -> None:
        self.canceled.append(order.client_order_id)
        if self._nursery is not None and self.cancel_s < math.inf:
            self._nursery.start_soon(self._end, order.client_order_id)

    async def _end(self, name: ClientOrderId) -> None:
        await trio.sleep(self.cancel_s)
        order = self._orders.pop(name, None)
        if order is None:
            return
        if self.fills_instead:
            fill: dict[str, Any] = {"last_qty": order.order_qty, "last_px": order.price}
            self.report(name, OrdStatus.FILLED, exec_type=ExecType.TRADE, exec_id="e-1", **fill)
        else:
            self.report(name, OrdStatus.CANCELED)

    def ask(self, question: AskStatus | AskListing) -> None:
        """Answer the first question, for what rests at the start; no other."""
        if isinstance(question, AskListing) and self._deliver is not None and not self._listed:
            self._listed = True
            assert self._clock is not None
            now_ns = self._clock.now_ns()
            self._deliver(
                OrderListing(
                    venue=self.name,
                    listing_id=question.listing_id,
                    began_ns=now_ns,
                    complete=True,
                    receive_time_ns=now_ns,
                )
            )


def strategy_of(run: Run | None = None, **hooks: Callable[..., object]) -> type[Strategy]:
    return type("Made", (Strategy,), {**hooks, **({"run": run} if run else {})})


@attrs.define
class Ran:
    """What came of a run."""

    bot: Bot
    journal: MemoryJournal
    ended_at: float = math.nan

    def check(self) -> None:
        """Raise what a strategy of the test's asserted in vain: the bot takes it as a failure."""
        for slot in self.bot.engine.slots.values():
            assert not slot.error.startswith("AssertionError"), slot.error

    @property
    def exit_code(self) -> ExitCode:
        return self.bot.exit_code()

    @property
    def expired(self) -> list[CleanUpExpired]:
        return [each for each in self.journal.entries if isinstance(each, CleanUpExpired)]


def build(
    *strategies: type[Strategy],
    venues: tuple[SlowVenue, ...],
    clean_up_s: float = 10.0,
    strategy_s: float = 10.0,
    on_error: Any = "end",
) -> Ran:
    tables = [
        StrategyConfig(
            type="made",
            name=f"made{number}",
            instruments=tuple(venue.instrument.symbol for venue in venues),
            on_error=on_error,
            clean_up=round(strategy_s * 1e9),
        )
        for number, _ in enumerate(strategies)
    ]
    config = Config(
        bot=BotConfig(name="test", clean_up=round(clean_up_s * 1e9)),
        venues={},
        strategies=tuple(tables),
        risk={},
        source="test",
        base_dir=".",
    )
    plan = Plan(
        config=config,
        venues={venue.name: venue for venue in venues},
        strategies=tuple(
            PlannedStrategy(config=table, strategy_class=each, params=None)
            for table, each in zip(tables, strategies, strict=True)
        ),
        rules=(),
    )
    journal = MemoryJournal()
    bot = assemble(
        plan,
        {symbol: it for venue in venues for symbol, it in venue.instruments.items()},
        journal=journal,
        clock=LiveClock(origin_ns=START_NS),
        run_id="r1",
        log=lambda *_: None,
    )
    bot.engine.settings = attrs.evolve(bot.engine.settings, equity_every_ns=0)
    return Ran(bot, journal)


async def play(
    *strategies: type[Strategy], venues: tuple[SlowVenue, ...], stop_at: float = 100.0, **terms: Any
) -> Ran:
    """Run until every strategy has ended, or until a stop is asked for at `stop_at`."""
    ran = build(*strategies, venues=venues, **terms)

    async def stop() -> None:
        await trio.sleep_until(stop_at)
        ran.bot.stop.request("told by the test")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        await run_bot(ran.bot, lambda: serve_links(ran.bot.engine, venues, ran.bot.clock))
        nursery.cancel_scope.cancel()
    ran.ended_at = trio.current_time()
    ran.check()
    return ran


async def run_alone(run: Run, cancel_s: float = 0.0, **terms: Any) -> Ran:
    return await play(strategy_of(run), venues=(SlowVenue(cancel_s),), **terms)


def buy(owner: Any, strategy: Strategy, **terms: Any) -> Order:
    order: Order = owner.buy(strategy.instrument, "1", price="100", **terms)
    return order


async def idle(_: Strategy) -> None:
    """Be a strategy's `run` that waits to be canceled."""
    await trio.sleep_forever()
