"""Run one strategy over a market of your making, in a moment, from an ordinary test.

    from botkit.testing import build_quote, run_strategy

    def test_it_buys_at_the_bid() -> None:
        result = run_strategy(Buyer, params={"qty": "0.1"}, events=[build_quote(0, 99, 101)])
        assert [order.price for order in result.orders] == [Decimal(99)]

The strategy runs through the real engine, gate and order code on the real paper venue; only
time and market are made up. The same arguments give the same result, hash included.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final, cast

import attrs
import trio

from botkit.assembly import Plan, PlannedStrategy, assemble, build_rules
from botkit.backtest import drive
from botkit.clock import BacktestClock
from botkit.config import (
    BotConfig,
    Config,
    StrategyConfig,
    VenueConfig,
    load_plugin,
    load_strategy_class,
    structure,
)
from botkit.journal import RunHash
from botkit.model import (
    CancelOrder,
    EquityPoint,
    FeedEnded,
    FeedGap,
    Fill,
    Halted,
    MarketEvent,
    NewOrder,
    Refused,
    VenueStatus,
)
from botkit.orders import Order
from botkit.ports import Checked, Deliver, JournalEntry, SimulatedVenue, Venue, VenueSetup, Verdict
from botkit.shell import Bot, ExitCode, run_bot
from botkit.strategy import Strategy
from botkit.testing.builders import START_NS, SYMBOL
from botkit.testing.memory_journal import MemoryJournal

__all__ = ["LogLine", "RunResult", "Scripted", "run_strategy"]

NS_PER_S: Final = 1_000_000_000
SOURCE: Final = "run_strategy"
ENDOWMENT: Final = Decimal(1_000_000)  # of every currency, where a test does not care

Scripted = MarketEvent | VenueStatus
"""What a script may hold: market data, and a venue's word that it is ready or not."""


@attrs.frozen
class LogLine:
    """One line that engine or strategy logged."""

    level: str
    message: str
    fields: Mapping[str, object]


@attrs.frozen(kw_only=True)
class RunResult:
    """What a run did.

    Parameters
    ----------
    strategy
        The strategy object, as the run left it.
    orders
        The orders that passed the gate, oldest first, as the run left them; of very many, the
        latest 10,000.
    journal
        Every request, answer, fill and equity point, in order.
    log
        What was logged.
    hash
        Of the run; equal for equal runs.
    exit_code
        What the process would have ended with.
    error
        What the strategy raised, as text; empty if it did not.
    """

    strategy: Strategy
    orders: tuple[Order, ...]
    journal: tuple[JournalEntry, ...]
    log: tuple[LogLine, ...]
    hash: str
    exit_code: ExitCode
    error: str = ""

    @property
    def requests(self) -> list[NewOrder]:
        """The new orders that passed the gate."""
        return [entry for entry in self.journal if isinstance(entry, NewOrder)]

    @property
    def cancels(self) -> list[CancelOrder]:
        """The cancels that were sent, those at the end of the run included."""
        return [entry for entry in self.journal if isinstance(entry, CancelOrder)]

    @property
    def refused(self) -> list[Refused]:
        """What the gate refused."""
        return [entry for entry in self.journal if isinstance(entry, Refused)]

    @property
    def verdicts(self) -> list[tuple[Verdict, ...]]:
        """What the rules with a limit said of each request, passes too, oldest request first."""
        return [entry.verdicts for entry in self.journal if isinstance(entry, Checked)]

    @property
    def halted(self) -> Halted | None:
        """What tripped the kill switch; None if nothing did."""
        return next((entry for entry in self.journal if isinstance(entry, Halted)), None)

    @property
    def fills(self) -> list[Fill]:
        """The fills, oldest first."""
        return [entry for entry in self.journal if isinstance(entry, Fill)]

    @property
    def resting(self) -> list[Order]:
        """Orders that may still rest: none, if the strategy behaved."""
        return [order for order in self.orders if order.is_open]

    @property
    def equity(self) -> dict[str, Decimal]:
        """Profit and loss at the end, fees paid, by currency."""
        points = (entry for entry in self.journal if isinstance(entry, EquityPoint))
        return {point.currency: point.equity for point in points}

    def position(self, symbol: str = SYMBOL) -> Decimal:
        """Return the signed position at the end."""
        fills = (fill for fill in self.fills if fill.symbol == symbol)
        return sum((fill.side.sign * fill.qty for fill in fills), Decimal(0))


def run_strategy(
    strategy: type[Strategy] | str,
    *,
    params: Mapping[str, Any] | None = None,
    events: Iterable[Scripted] | None = None,
    feed: Mapping[str, Any] | None = None,
    for_s: float | None = None,
    symbols: tuple[str, ...] = (SYMBOL,),
    balances: Mapping[str, Any] | None = None,
    venue_options: Mapping[str, Any] | None = None,
    risk: Mapping[str, Any] | None = None,
    may_fail: bool = False,
) -> RunResult:
    """Run `strategy` on the paper venue until the market ends, and return what it did.

    Parameters
    ----------
    strategy
        A class, or a name as in a config: `market_maker`, `./my_strategy.py:Mine`.
    params
        As in the config: money as text.
    events
        A script: market data and venue statuses, by rising `receive_time_ns`, as the builders
        of `botkit.testing` make them. It ends a second after its last event, or after `for_s`.
    feed
        Instead of a script, the paper venue's `feed` table; the default is
        `{ type = "synthetic", seed = 1 }` for `for_s` (60) seconds.
    for_s
        When to stop, in simulated seconds after the start.
    symbols
        What it trades. Each venue they name is a paper venue with its own account.
    balances
        What each account holds; a million of everything if left out.
    venue_options
        Other options of the paper venue, such as `{"latency": "20ms", "fees": {...}}`; of several
        venues, a table of them by name. The latency is 1 ms if left out, the lot 0.001.
    risk
        Rules as in the config's `[risk]`; none if left out.
    may_fail
        Return what happened when the strategy raised, rather than raise.

    Raises
    ------
    AssertionError
        The strategy raised; its traceback is in the message.
    ConfigError
        Parameters, feed, options or rules are wrong.
    """
    if events is not None and feed is not None:
        raise ValueError("give run_strategy either events or a feed, not both")
    names = tuple(dict.fromkeys(map(_venue, symbols)))
    given = venue_options or {}
    plan = _plan(
        strategy,
        params=params or {},
        options={
            name: {
                "feed": dict(feed or {"type": "synthetic", "seed": 1}),
                "latency": "1ms",
                "instruments": {
                    _name(each): {"lot_size": "0.001"} for each in symbols if _venue(each) == name
                },
                "balances": _endowment(symbols) if balances is None else balances,
                **(given if len(names) == 1 else given.get(name, {})),
            }
            for name in names
        },
        symbols=symbols,
        risk=risk or {},
    )
    venues = plan.simulated()
    if events is not None:
        script = tuple(events)
        venues = [_Script(venue, _part(script, venue.name, names), for_s) for venue in venues]
    elif for_s is None and feed is None:
        for_s = 60.0
    result = _run(plan, venues, for_s)
    if result.error and not may_fail:
        details = [line.fields["error"] for line in result.log if line.message == "strategy failed"]
        raise AssertionError("\n".join(["the strategy failed:", *map(str, details)]))
    return result


def _name(symbol: str) -> str:
    return symbol.partition(":")[2]


def _venue(symbol: str) -> str:
    return symbol.partition(":")[0]


def _endowment(symbols: tuple[str, ...]) -> dict[str, Decimal]:
    return {currency: ENDOWMENT for each in symbols for currency in _name(each).split("-")}


def _plan(
    strategy: type[Strategy] | str,
    *,
    params: Mapping[str, Any],
    options: Mapping[str, Mapping[str, Any]],
    symbols: tuple[str, ...],
    risk: Mapping[str, Any],
) -> Plan:
    """Do what `botkit.assembly.check` does, for a class that may have no name to import.

    `options` are those of each paper venue, by its name.
    """
    found = (
        load_strategy_class(strategy, f"{SOURCE}: strategy", ".")
        if isinstance(strategy, str)
        else strategy
    )
    strategy_class = cast("type[Strategy]", found)
    table = StrategyConfig(
        type=strategy_class.__qualname__,
        name=strategy_class.__name__,
        instruments=symbols,
        params=params,
        clean_up=10 * NS_PER_S,
    )
    config = Config(
        bot=BotConfig(name="test"),
        venues={
            name: VenueConfig(name=name, type="paper", options=each)
            for name, each in options.items()
        },
        strategies=(table,),
        risk=risk,
        source=SOURCE,
        base_dir=".",
    )
    plugin: Any = load_plugin("botkit.venues", "paper", SOURCE)
    venues: dict[str, Venue] = {}
    for name, each in options.items():
        setup = VenueSetup(
            name=name,
            options=each,
            symbols=tuple(symbol for symbol in symbols if _venue(symbol) == name),
            source=f"{SOURCE}: venues.{name}",
        )
        venues[name] = plugin.from_setup(setup)
    planned = PlannedStrategy(
        config=table,
        strategy_class=strategy_class,
        params=structure(strategy_class.Params, params, SOURCE, key="params"),
    )
    return Plan(config=config, venues=venues, strategies=(planned,), rules=build_rules(config))


def _run(plan: Plan, venues: Sequence[SimulatedVenue], for_s: float | None) -> RunResult:
    starts = [each for venue in venues if (each := venue.first_time_ns()) is not None]
    start_ns = min(starts, default=START_NS)
    until_ns = None if for_s is None else start_ns + round(for_s * NS_PER_S)
    clock = BacktestClock(origin_ns=start_ns, current_ns=start_ns)
    journal = MemoryJournal()
    log: list[LogLine] = []

    def write(level: str, message: str, fields: Mapping[str, object]) -> None:
        log.append(LogLine(level, message, dict(fields)))

    async def main() -> Bot:
        bot = assemble(
            plan, await plan.prepare(), journal=journal, clock=clock, run_id="test", log=write
        )
        await run_bot(bot, partial(drive, bot.engine, venues, clock, bot.stop, until_ns))
        return bot

    bot = trio.run(main, clock=clock)
    if bot.stop.error:
        raise AssertionError(f"the run failed:\n{bot.stop.error}")
    run_hash = RunHash()
    run_hash.update(journal.entries)
    slot = next(iter(bot.engine.slots.values()))
    return RunResult(
        strategy=slot.strategy,
        orders=tuple(_orders(bot, journal)),
        journal=tuple(journal.entries),
        log=tuple(log),
        hash=run_hash.hexdigest(),
        exit_code=bot.exit_code(),
        error=slot.error,
    )


def _orders(bot: Bot, journal: MemoryJournal) -> Iterator[Order]:
    for entry in journal.entries:
        if isinstance(entry, NewOrder):
            order = bot.engine.orders.get(entry.client_order_id)
            if order is not None:
                yield order


def _part(events: tuple[Scripted, ...], name: str, names: Sequence[str]) -> tuple[Scripted, ...]:
    """Return what a script holds for one venue of several; of one, it is all."""
    if len(names) == 1:
        return events
    venues = [
        each.venue if isinstance(each, VenueStatus | FeedGap | FeedEnded) else _venue(each.symbol)
        for each in events
    ]
    if strange := sorted({*venues} - {*names}):
        raise ValueError(
            f"the script has events of {', '.join(strange)}; it is for {', '.join(names)}"
        )
    return tuple(event for event, venue in zip(events, venues, strict=True) if venue == name)


class _Script:
    """A paper venue whose market data are a list; implements `SimulatedVenue`.

    Requests reach the paper venue itself, so only what the loop asks for is passed on here.
    """

    speed = math.inf

    def __init__(
        self, venue: SimulatedVenue, events: tuple[Scripted, ...], for_s: float | None
    ) -> None:
        self.name = venue.name
        self._venue = venue
        self._events = events
        last_ns = events[-1].receive_time_ns if events else START_NS
        self._end_ns = last_ns + NS_PER_S if for_s is None else START_NS + round(for_s * NS_PER_S)
        self._deliver: Deliver = _nowhere

    def start(self, deliver: Deliver, now_ns: int) -> None:
        """Start the paper venue."""
        self._deliver = deliver
        self._venue.start(deliver, now_ns)

    def first_time_ns(self) -> int:
        """Return where scripts start."""
        return START_NS

    def feed_events(self, start_ns: int) -> Iterator[MarketEvent]:
        """Yield the script, then its end.

        Raises
        ------
        ValueError
            An event is earlier than the one before it.
        """
        latest_ns = start_ns
        for event in self._events:
            if event.receive_time_ns < latest_ns:
                raise ValueError(
                    f"the script goes back in time at {event!r}: its events come by rising "
                    f"receive_time_ns, from {start_ns} on"
                )
            latest_ns = event.receive_time_ns
            if latest_ns <= self._end_ns:
                yield cast("MarketEvent", event)  # the loop hands it back to `apply`, as it is
        yield FeedEnded(self.name, receive_time_ns=self._end_ns)

    def next_due_ns(self) -> int | None:
        """Return when the paper venue has something to do."""
        return self._venue.next_due_ns()

    def advance(self, now_ns: int) -> None:
        """Let the paper venue do it."""
        self._venue.advance(now_ns)

    def apply(self, event: Scripted) -> None:
        """Hand market data to the paper venue, anything else to the engine alone."""
        if isinstance(event, VenueStatus | FeedEnded):
            self._venue.advance(event.receive_time_ns)
            self._deliver(event)
        else:
            self._venue.apply(event)


def _nowhere(_: object) -> None:
    raise RuntimeError("a script delivers nothing before it has started")
