"""What live and backtest share: the life of a bot around its engine, and how it ends.

The strategies' nursery lies inside the links' life: whatever happens, orders are pulled while
the links still work, and only then are the links cut.
"""

import traceback
from collections.abc import Awaitable, Callable
from enum import IntEnum

import attrs
import trio

from botkit.clock import Clock
from botkit.engine import Engine, StrategySlot
from botkit.engine.dispatch import Dispatcher
from botkit.model import CleanUpExpired, RunStarted, StopRequested, StrategyEnded
from botkit.orders import Order
from botkit.scope import CleanUpBudget, pull_orders

__all__ = ["Bot", "ExitCode", "Stop", "run_bot"]


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


@attrs.define(kw_only=True, eq=False)
class Bot:
    """An engine with everything a run needs around it."""

    name: str
    run_id: str
    engine: Engine
    dispatcher: Dispatcher
    clock: Clock
    budget: CleanUpBudget
    stop: Stop = attrs.field(factory=Stop)

    def resting(self) -> list[Order]:
        """Return the orders that may rest at a venue and were not asked to."""
        return [order for order in self.engine.orders.working() if not order.keep]

    def kept(self) -> list[Order]:
        """Return the orders that rest because their strategy wanted them to."""
        return [order for order in self.engine.orders.working() if order.keep]

    def exit_code(self) -> ExitCode:
        """Return what the run's end says."""
        if self.resting():
            return ExitCode.ORDERS_MAY_REST
        failed = any(slot.error for slot in self.engine.slots.values())
        return ExitCode.ERROR if self.stop.error or failed else ExitCode.CLEAN


async def run_bot(bot: Bot, links: Callable[[], Awaitable[None]]) -> None:
    """Run strategies over links until `bot.stop`; however it ends, pull every order first.

    Parameters
    ----------
    links
        Serves every venue and the engine's timers until canceled; it delivers a `VenueStatus`
        per venue, and the run starts when all are up. If it raises, the bot stops, and since
        its links are gone its orders may be left in doubt.
    """
    link_scope = trio.CancelScope(shield=True)  # ended by us below, never from outside
    ready = trio.Event()

    async def hold_links() -> None:
        try:
            with link_scope:
                await links()
        except Exception as exc:  # noqa: BLE001  told as the reason of the stop
            bot.stop.request(
                f"the links failed: {exc!r}", error="".join(traceback.format_exception(exc))
            )

    def start() -> None:
        bot.engine.handle(RunStarted(run_id=bot.run_id, receive_time_ns=bot.clock.now_ns()))
        ready.set()

    bot.engine.lifecycle.on_ready = start
    bot.engine.lifecycle.on_stop_wanted = lambda: bot.stop.request(bot.engine.lifecycle.stop_wanted)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold_links)
        try:
            await _trade(bot, ready)
        finally:
            with trio.CancelScope(shield=True):
                await _clean_up(bot)
            link_scope.cancel()


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
            bot.budget.start()
            _tell_stop(bot)
            nursery.cancel_scope.cancel()


async def _run_strategy(bot: Bot, slot: StrategySlot) -> None:
    """Run one strategy's coroutine; its end, good or bad, enters the engine as an event."""
    engine = bot.engine
    with trio.CancelScope() as scope:
        slot.on_end = scope.cancel
        try:
            await slot.strategy.run()
        except Exception as exc:  # noqa: BLE001  a strategy's mistake ends that strategy alone
            error = f"{type(exc).__name__}: {exc}"
            engine.log(
                "error",
                "strategy failed",
                {"strategy": slot.name, "error": "".join(traceback.format_exception(exc))},
            )
        else:
            error = ""
        engine.handle(StrategyEnded(strategy=slot.name, error=error, receive_time_ns=slot.now_ns))


def _tell_stop(bot: Bot) -> None:
    reason = bot.stop.reason or "canceled from outside"
    bot.engine.handle(StopRequested(reason=reason, receive_time_ns=bot.clock.now_ns()))


async def _clean_up(bot: Bot) -> None:
    """Wait until the venues confirm that nothing rests, or the shared deadline passes."""
    in_doubt = await pull_orders(bot.resting(), bot.budget.start())
    now_ns = max(bot.clock.now_ns(), bot.engine.now_ns)
    if in_doubt:
        ids = tuple(order.client_order_id for order in in_doubt)
        bot.engine.handle(CleanUpExpired(client_order_ids=ids, receive_time_ns=now_ns))
    bot.engine.close_books(now_ns)
