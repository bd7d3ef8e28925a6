"""What goes wrong between a bot and a venue: each breaks one venue of a running bot."""

import signal
from typing import Final

import trio

from botkit.testing.drill.stage import Stage

__all__ = [
    "LATE_S",
    "OUTAGE_S",
    "SILENT_S",
    "clock_jump",
    "cut",
    "cut_in_flight",
    "half_open",
    "late_fill",
    "lost_ack",
    "refused",
    "silent",
    "told_twice",
]

LATE_S: Final = 2.0
OUTAGE_S: Final = 4.0
SILENT_S: Final = 6.0
JUMP_S: Final = 3_600.0
TOLD_WITHIN_S: Final = 1.0


async def cut(stage: Stage) -> None:
    """Reset every connection; new ones pass."""
    await stage.working()
    stage.strike()
    stage.proxy.cut()
    await stage.comes_back_within(stage.bounds.ended_s)


async def cut_in_flight(stage: Stage) -> None:
    """Reset every connection when an order has been taken in and nobody told so yet."""
    await stage.working()
    await stage.at_next_order(stage.proxy.cut)
    await stage.comes_back_within(stage.bounds.ended_s)


async def half_open(stage: Stage) -> None:
    """Let the open connections carry nothing any more; new ones pass."""
    await stage.working()
    stage.strike()
    stage.proxy.half_open()
    stage.proxy.heal()
    await stage.comes_back_within(stage.bounds.noticed_s + stage.bounds.ended_s)


async def silent(stage: Stage) -> None:
    """Let all connections, new ones too, carry nothing for a while."""
    await stage.working()
    stage.strike()
    stage.proxy.half_open()
    await trio.sleep(SILENT_S)
    stage.proxy.heal()
    await stage.comes_back_within(stage.bounds.noticed_s + stage.bounds.ended_s)


async def lost_ack(stage: Stage) -> None:
    """Lose the answer to an order, and all that would come after it over these connections."""

    def lose() -> None:
        stage.proxy.swallow_answers()
        stage.proxy.heal()  # new connections are told everything

    await stage.working()
    await stage.at_next_order(lose)
    await stage.comes_back_within(stage.bounds.noticed_s + stage.bounds.ended_s)


async def refused(stage: Stage) -> None:
    """Reset every connection, and let nobody connect for a while."""
    await stage.working()
    stage.strike()
    stage.proxy.refuse()
    stage.proxy.cut()
    await trio.sleep(OUTAGE_S)
    stage.proxy.heal()
    await stage.comes_back_within(stage.bounds.ended_s)


async def late_fill(stage: Stage) -> None:
    """Fill an order, hold back what tells of it, and have the bot stop meanwhile."""
    await stage.working()
    stage.strike()
    stage.proxy.delay_answers(LATE_S)
    for order in stage.desk.resting()[:1]:
        stage.desk.trade_with(order)
    stage.bot.send(signal.SIGTERM)
    await stage.ends()


async def told_twice(stage: Stage) -> None:
    """Have every client told twice of a fill, and stop the bot a moment later."""
    await stage.working()
    stage.strike()
    for order in stage.desk.resting()[:1]:
        stage.desk.trade_with(order, told=2)
    await trio.sleep(TOLD_WITHIN_S)
    stage.bot.send(signal.SIGTERM)
    await stage.ends()


async def clock_jump(stage: Stage) -> None:
    """Let the venue's clock be an hour ahead all at once, and the bot stop some time later."""
    await stage.working()
    stage.strike()
    stage.desk.exchange.simulator.market.pause()  # else an hour's trade would happen at once
    stage.desk.clock.jump(JUMP_S)
    await trio.sleep(SILENT_S)
    stage.bot.send(signal.SIGTERM)
    await stage.ends()
