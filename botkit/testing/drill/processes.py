"""What happens to a bot's processes, and to the disk they write to."""

import os
import resource
import signal
from contextlib import suppress
from typing import Final

import trio

from botkit.testing.drill.links import OUTAGE_S
from botkit.testing.drill.quoting import FORK, FORKED, HANG, HANGING
from botkit.testing.drill.stage import Stage

__all__ = [
    "FULL_S",
    "STALL_S",
    "fill_disk",
    "hang",
    "hang_up",
    "interrupt",
    "interrupt_twice",
    "kill",
    "kill_both",
    "kill_forked",
    "kill_guardian_first",
    "kill_on_full_disk",
    "kill_without_link",
    "lose_lease",
    "stop_long",
    "stop_shortly",
    "terminate",
    "terminate_in_silence",
]

FULL_S: Final = 3.0
NOTICED_S: Final = 1.0  # that a journal may take to find the disk full
STALL_S: Final = 3.0
BETWEEN_SIGNALS_S: Final = 0.3
DIES_WITHIN_S: Final = 30.0


async def interrupt(stage: Stage) -> None:
    """Send SIGINT."""
    await _stopped_by(stage, signal.SIGINT)


async def terminate(stage: Stage) -> None:
    """Send SIGTERM."""
    await _stopped_by(stage, signal.SIGTERM)


async def hang_up(stage: Stage) -> None:
    """Send SIGHUP."""
    await _stopped_by(stage, signal.SIGHUP)


async def _stopped_by(stage: Stage, number: signal.Signals) -> None:
    await stage.working()
    stage.strike()
    stage.bot.send(number)
    await stage.ends()


async def interrupt_twice(stage: Stage) -> None:
    """Send two SIGINT while no answer comes: the second ends the bot at once."""
    await stage.working()
    stage.strike()
    for proxy in stage.proxies:
        proxy.stall(STALL_S)
    stage.bot.send(signal.SIGINT)
    await trio.sleep(BETWEEN_SIGNALS_S)
    stage.bot.send(signal.SIGINT)
    await stage.ends(STALL_S)


async def terminate_in_silence(stage: Stage) -> None:
    """Send SIGTERM while no venue answers, and let them answer once the bot has given up."""
    await stage.working()
    stage.strike()
    for proxy in stage.proxies:
        proxy.half_open()
    stage.bot.send(signal.SIGTERM)
    await stage.ends()
    for proxy in stage.proxies:
        proxy.heal()


async def hang(stage: Stage) -> None:
    """Let a hook never return."""
    await stage.working()
    stage.strike()
    (stage.folder / HANG).touch()
    await stage.until_exists(HANGING)
    await stage.ends(DIES_WITHIN_S)


async def stop_shortly(stage: Stage) -> None:
    """Stop the bot for half as long as it takes to count as hung, then end it in good order."""
    await stage.working()
    stage.strike()
    stage.bot.send(signal.SIGSTOP)
    await trio.sleep(stage.setting.hung_s / 2)
    stage.bot.send(signal.SIGCONT)
    await trio.sleep(stage.setting.hung_s / 2)
    stage.bot.send(signal.SIGTERM)
    await stage.ends()


async def stop_long(stage: Stage) -> None:
    """Stop the bot and leave it so."""
    await stage.working()
    stage.strike()
    stage.bot.send(signal.SIGSTOP)
    await stage.ends(DIES_WITHIN_S)


async def lose_lease(stage: Stage) -> None:
    """Stop the guardian and the bot, and let the bot go on first: nobody has killed it."""
    await stage.working()
    guardian = await stage.guardian_pid()
    os.kill(guardian, signal.SIGSTOP)
    stage.strike()
    stage.bot.send(signal.SIGSTOP)
    await trio.sleep(1.5 * stage.setting.hung_s)
    woken_ns = stage.desk.exchange.now_ns()
    stage.bot.send(signal.SIGCONT)
    await stage.ends()
    with suppress(ProcessLookupError):
        os.kill(guardian, signal.SIGCONT)
    _refuse_orders_since(stage, woken_ns, "with its lease gone")


async def kill(stage: Stage) -> None:
    """Send SIGKILL."""
    await stage.working()
    stage.strike()
    await stage.bot.kill()


async def kill_forked(stage: Stage) -> None:
    """Send SIGKILL when a child of the bot holds every descriptor that the bot had."""
    await stage.working()
    (stage.folder / FORK).touch()
    await stage.until_exists(FORKED)
    guardian = await stage.guardian_pid()
    stage.strike()
    await stage.bot.kill()
    await stage.without_strays(guardian)


async def kill_without_link(stage: Stage) -> None:
    """Send SIGKILL while no venue can be reached."""
    await stage.working()
    stage.strike()
    for proxy in stage.proxies:
        proxy.refuse()
    await stage.bot.kill()
    await trio.sleep(OUTAGE_S)
    for proxy in stage.proxies:
        proxy.heal()


async def kill_guardian_first(stage: Stage) -> None:
    """Kill the guardian, and the bot as soon as it has another."""
    await stage.working()
    guardian = await stage.guardian_pid()
    os.kill(guardian, signal.SIGKILL)
    await stage.another_guardian(guardian)
    stage.strike()
    await stage.bot.kill()


async def kill_both(stage: Stage) -> None:
    """Kill bot and guardian, and start the bot again: it sweeps before it trades."""
    await stage.working()
    guardian = await stage.guardian_pid()
    stage.strike()
    stage.bot.process.kill()
    os.kill(guardian, signal.SIGKILL)
    await stage.bot.process.wait()
    await stage.start()
    stage.comes_back = True


async def kill_on_full_disk(stage: Stage) -> None:
    """Send SIGKILL when neither bot nor guardian can write, and start again with room."""
    await stage.working()
    guardian = await stage.guardian_pid()
    stage.strike()
    for pid in (stage.bot.pid, guardian):
        _let_nothing_grow(pid)
    await stage.bot.kill()
    await stage.without_strays(guardian)
    await stage.start()
    stage.comes_back = True


async def fill_disk(stage: Stage) -> None:
    """Let no file of the bot's grow any more, and end it in good order a while later."""
    await stage.working()
    stage.strike()
    _let_nothing_grow(stage.bot.pid)
    await trio.sleep(NOTICED_S)
    full_ns = stage.desk.exchange.now_ns()
    await trio.sleep(FULL_S - NOTICED_S)
    stage.bot.send(signal.SIGTERM)
    await stage.ends()
    _refuse_orders_since(stage, full_ns, "with no room for its journal")


def _let_nothing_grow(pid: int) -> None:
    """Let every write of a process to a file fail, as on a full disk."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def _refuse_orders_since(stage: Stage, since_ns: int, why: str) -> None:
    placed = [e for e in stage.desk.exchange.orders(stage.desk.account) if e.reached_ns > since_ns]
    stage.problems += [f"sent {why}: {each.line()}" for each in placed]
