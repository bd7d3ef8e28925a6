"""What live and backtest share: the life of a bot around its engine, and how it ends.

The strategies' nursery lies inside the links' life: whatever happens, orders are pulled while
the links still work, and only then are the links cut.
"""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from typing import Final

import attrs
import msgspec
import trio

from botkit.clock import Clock
from botkit.engine import MISTAKES, Engine, StrategySlot
from botkit.engine.dispatch import Dispatcher
from botkit.model import Adjustment, CleanUpExpired, RunStarted, StopRequested, StrategyEnded
from botkit.orders import Order
from botkit.ports import Recovered
from botkit.scope import CleanUpBudget, pull_orders

__all__ = ["Bot", "ExitCode", "Stop", "run_bot"]

# How long after the deadline a coroutine may still unwind.
UNWINDING_S: Final = 1.0


class ExitCode(IntEnum):
    """What a run's end says; a greater danger outranks: 3, then 4, then 1."""

    CLEAN = 0  # nothing of ours rests
    ERROR = 1
    USAGE = 2  # usage or configuration
    ORDERS_MAY_REST = 3
    STOPPED_BY_RISK = 4


class Stop:
    """The wish to end a run: the first reason given stays."""

    def __init__(self) -> None:
        self.reason = ""
        self.error = ""
        self._event = trio.Event()

    @property
    def requested(self) -> bool:
        """True once somebody wants the run to end."""
        return bool(self.reason)

    def note(self, reason: str) -> None:
        """Say from a signal handler that the run is to end; wakes nobody, `request` has to follow.

        A loop that does not await looks at `requested`.
        """
        if not self.reason:
            self.reason = reason

    def request(self, reason: str, *, error: str = "") -> None:
        """End the run, because of `reason`; `error` if something went wrong."""
        if not self.reason:
            self.reason = reason
        if error and not self.error:
            self.error = error
        self._event.set()

    async def wait(self) -> None:
        """Return once the run is to end."""
        await self._event.wait()


def _nothing() -> None:
    pass


@attrs.define(kw_only=True, eq=False)
class Bot:
    """An engine with everything a run needs around it.

    `opening` is what it holds at the start, `left_open` the orders it takes over from earlier
    runs; `taken_over` is called once both are in its journal.
    """

    name: str
    run_id: str
    engine: Engine
    dispatcher: Dispatcher
    clock: Clock
    budget: CleanUpBudget
    opening: Sequence[Adjustment] = ()
    left_open: Sequence[Recovered] = ()
    taken_over: Callable[[], None] = _nothing
    stop: Stop = attrs.field(factory=Stop)
    running: dict[str, None] = attrs.field(factory=dict)
    """The strategies whose `run` has not ended, in the order they began."""
    abandon: Callable[[], None] | None = None
    """Ends the process; called, with the books closed, when a `run` outlives the deadline.

    Without it the run waits.
    """

    def resting(self) -> list[Order]:
        """Return the orders that may rest at a venue and are not to: also those no longer kept."""
        return [order for order in self.engine.orders.working() if not order.is_kept]

    def kept(self) -> list[Order]:
        """Return the orders that rest because their strategy wants them to, and nobody else not."""
        return [order for order in self.engine.orders.working() if order.is_kept]

    def exit_code(self) -> ExitCode:
        """Return what the run's end says."""
        if self.resting():
            return ExitCode.ORDERS_MAY_REST
        if self.engine.guard.halted is not None:
            return ExitCode.STOPPED_BY_RISK
        failed = any(slot.error for slot in self.engine.slots.values())
        return ExitCode.ERROR if self.stop.error or failed else ExitCode.CLEAN


async def run_bot(bot: Bot, links: Callable[[], Awaitable[None]]) -> None:
    """Run strategies over links until `bot.stop`; however it ends, pull every order first.

    Parameters
    ----------
    links
        Serves every venue and the engine's timers until canceled; it delivers a `VenueStatus`
        per venue, and the run starts when all are up. If it raises, the bot stops, and since
        its links are gone its orders may be left in doubt; so it does if it returns.
    """
    link_scope = trio.CancelScope(shield=True)  # ended by us below, never from outside
    ready = trio.Event()

    async def hold_links() -> None:
        try:
            with link_scope:
                await links()
            if not link_scope.cancel_called:
                bot.stop.request("the links have ended", error="nothing serves the venues any more")
        except Exception as exc:  # noqa: BLE001  told as the reason of the stop
            bot.stop.request(
                f"the links failed: {exc!r}", error="".join(traceback.format_exception(exc))
            )

    def start() -> None:
        if bot.stop.requested:
            return  # the strategies never began, so there is nothing to end
        bot.engine.handle(RunStarted(run_id=bot.run_id, receive_time_ns=bot.clock.now_ns()))
        ready.set()

    _take_opening(bot)
    bot.engine.lifecycle.on_ready = start
    bot.engine.lifecycle.on_stop_wanted = lambda: bot.stop.request(bot.engine.lifecycle.stop_wanted)
    patience = trio.CancelScope(shield=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold_links)
        if bot.abandon is not None:
            nursery.start_soon(_abandon_stuck, bot, patience, bot.abandon)
        try:
            await _trade(bot, ready)
        finally:
            patience.cancel()
            try:
                with trio.CancelScope(shield=True):
                    await _clean_up(bot)
            finally:
                link_scope.cancel()


def _take_opening(bot: Bot) -> None:
    """Book the opening inventory and take over orders, in one batch of the journal.

    The next run gets all of it, or none. Before the links, since a run that never became ready
    hands on what it was given as well.
    """
    now_ns = bot.clock.now_ns()
    opening: list[Adjustment | Recovered] = [*bot.opening, *bot.left_open]
    stamped = [msgspec.structs.replace(each, receive_time_ns=now_ns) for each in opening]
    for event in stamped[1:]:
        bot.engine.later(event)
    if stamped:
        bot.engine.handle(stamped[0])
    if bot.engine.lifecycle.journal_fault:
        bot.engine.lifecycle.on_journal_ok = bot.taken_over
    else:
        bot.taken_over()


async def _trade(bot: Bot, ready: trio.Event) -> None:
    """Run the strategies' coroutines until the bot is to stop, then let them unwind."""
    async with trio.open_nursery() as nursery:

        async def run_strategies() -> None:
            await ready.wait()
            for slot in bot.engine.slots.values():
                if slot.has_run and not slot.ended:
                    nursery.start_soon(_run_strategy, bot, slot)

        nursery.start_soon(run_strategies)
        try:
            await bot.stop.wait()
        finally:
            bot.stop.request("canceled from outside")  # unless there was a reason before
            bot.budget.start()
            _tell_stop(bot)
            nursery.cancel_scope.cancel()


async def _abandon_stuck(bot: Bot, patience: trio.CancelScope, abandon: Callable[[], None]) -> None:
    """End the run although a strategy's `run` does not: trio cannot leave a task behind."""
    with patience:
        await bot.stop.wait()
        await trio.sleep_until(bot.budget.start() + UNWINDING_S)
        names = ", ".join(bot.running)
        error = (
            f"the coroutine run() of {names} went on after it was canceled, past the deadline for "
            "clean-up: let trio.Cancelled pass, and shield nothing without a deadline"
        )
        bot.engine.log("critical", "a strategy did not end", {"strategy": names, "error": error})
        bot.stop.request(bot.stop.reason, error=error)
        await _clean_up(bot)
        abandon()


async def _run_strategy(bot: Bot, slot: StrategySlot) -> None:
    """Run one strategy's coroutine; its end, good or bad, enters the engine as an event.

    A strategy that is canceled and fails while it unwinds has failed as well.
    """
    engine = bot.engine
    with trio.CancelScope() as scope:

        def unwind() -> None:
            slot.budget.start()
            scope.cancel()

        slot.on_end = unwind
        error: str | None = None
        bot.running[slot.name] = None
        try:
            await slot.strategy.run()
            error = ""
        except* MISTAKES as group:
            exc = group.exceptions[0] if len(group.exceptions) == 1 else group
            error = f"{type(exc).__name__}: {exc}"
            details = "".join(traceback.format_exception(exc))
            engine.log("error", "strategy failed", {"strategy": slot.name, "error": details})
        finally:
            del bot.running[slot.name]
            if error is not None:
                engine.handle(
                    StrategyEnded(strategy=slot.name, error=error, receive_time_ns=slot.now_ns)
                )


def _tell_stop(bot: Bot) -> None:
    bot.engine.handle(StopRequested(reason=bot.stop.reason, receive_time_ns=bot.clock.now_ns()))


async def _clean_up(bot: Bot) -> None:
    """Wait until the venues confirm that nothing rests, or the shared deadline passes."""
    bot.budget.start()
    in_doubt: list[Order] = []
    while not in_doubt and (resting := bot.resting()):  # again: a late report may reopen one
        in_doubt = await pull_orders(resting, bot.budget)
    now_ns = max(bot.clock.now_ns(), bot.engine.now_ns)
    if in_doubt:
        ids = tuple(order.client_order_id for order in in_doubt)
        bot.engine.handle(CleanUpExpired(client_order_ids=ids, receive_time_ns=now_ns))
    bot.engine.close_books(now_ns)
