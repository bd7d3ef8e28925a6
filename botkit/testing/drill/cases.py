"""The cases of a drill: what is done to a bot, and what must hold then."""

from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from botkit.shell import ExitCode
from botkit.testing.drill import links, processes
from botkit.testing.drill.stage import Stage

__all__ = ["CASES", "Case"]

KILLED_S: Final = 5.0
"""From a bot's death until its guardian has ended what rested, on a machine that runs several."""
RESTART_S: Final = 20.0
"""What a new process takes, the sweep included."""


def _clean_up(stage: Stage) -> float:
    return stage.setting.clean_up_s


def _killed(stage: Stage) -> float:
    return KILLED_S


def _hung(stage: Stage) -> float:
    return stage.setting.hung_s + KILLED_S


def _restarted(stage: Stage) -> float:
    return RESTART_S


def _lost(stage: Stage) -> float:
    return stage.bounds.ended_s


def _noticed(stage: Stage) -> float:
    return stage.bounds.noticed_s + stage.bounds.ended_s


def _silent(stage: Stage) -> float:
    return links.SILENT_S + _noticed(stage)


def _outage(stage: Stage) -> float:
    return links.OUTAGE_S + _lost(stage)


def _twice(stage: Stage) -> float:
    return processes.STALL_S + KILLED_S + _lost(stage)


def _silent_stop(stage: Stage) -> float:
    return stage.setting.clean_up_s + 2 * KILLED_S + _lost(stage)


@attrs.frozen(kw_only=True)
class Case:
    """One way to break a bot.

    Parameters
    ----------
    name
        What `--only` takes.
    done
        What is done, for people.
    carry_out
        Does it, from a bot that is started on.
    within_s
        How long orders may be unattended in it, in seconds.
    codes
        What the bot may end with; minus a signal's number if it is killed.
    is_link
        It breaks one venue, so it is done for each of a config.
    own
        The drill's quoter trades in it, in place of the config's strategies.
    weight
        About how long it takes, in seconds: the longest begin first.
    """

    name: str
    done: str
    carry_out: Callable[[Stage], Awaitable[None]]
    within_s: Callable[[Stage], float]
    codes: tuple[int, ...] = (ExitCode.CLEAN,)
    is_link: bool = False
    own: bool = False
    weight: float = 5.0


KILLED: Final = (-9,)
MAY_REST: Final = (ExitCode.ORDERS_MAY_REST,)

CASES: Final = {
    case.name: case
    for case in (
        Case(
            name="link cut",
            done="every connection is reset",
            carry_out=links.cut,
            within_s=_lost,
            is_link=True,
        ),
        Case(
            name="cut in flight",
            done="reset between an order and its answer",
            carry_out=links.cut_in_flight,
            within_s=_lost,
            is_link=True,
        ),
        Case(
            name="half-open link",
            done="connections carry nothing, and are not closed",
            carry_out=links.half_open,
            within_s=_noticed,
            is_link=True,
            weight=40,
        ),
        Case(
            name="silent venue",
            done=f"accepts connections and answers nothing for {links.SILENT_S:g} s",
            carry_out=links.silent,
            within_s=_silent,
            is_link=True,
            weight=50,
        ),
        Case(
            name="lost ack",
            done="an order arrives, its answer does not",
            carry_out=links.lost_ack,
            within_s=_noticed,
            is_link=True,
            weight=40,
        ),
        Case(
            name="refused",
            done=f"reset, and connections refused for {links.OUTAGE_S:g} s",
            carry_out=links.refused,
            within_s=_outage,
            is_link=True,
            weight=15,
        ),
        Case(
            name="late fill",
            done=f"a fill told {links.LATE_S:g} s late, SIGTERM meanwhile",
            carry_out=links.late_fill,
            within_s=_clean_up,
            is_link=True,
        ),
        Case(
            name="told twice",
            done="a fill is told twice",
            carry_out=links.told_twice,
            within_s=_clean_up,
            is_link=True,
        ),
        Case(
            name="clock jump",
            done="the venue's clock jumps ahead by an hour",
            carry_out=links.clock_jump,
            within_s=_noticed,
            is_link=True,
            weight=15,
        ),
        Case(
            name="SIGINT",
            done="as Ctrl-C sends it",
            carry_out=processes.interrupt,
            within_s=_clean_up,
        ),
        Case(
            name="SIGTERM",
            done="as a service manager sends it",
            carry_out=processes.terminate,
            within_s=_clean_up,
        ),
        Case(
            name="SIGHUP",
            done="as a closed terminal sends it",
            carry_out=processes.hang_up,
            within_s=_clean_up,
        ),
        Case(
            name="second SIGINT",
            done="two SIGINT while no venue answers",
            carry_out=processes.interrupt_twice,
            within_s=_twice,
            codes=MAY_REST,
        ),
        Case(
            name="SIGTERM, silent",
            done="SIGTERM while no venue answers, past the deadline",
            carry_out=processes.terminate_in_silence,
            within_s=_silent_stop,
            codes=MAY_REST,
            weight=25,
        ),
        Case(
            name="hung hook",
            done="a hook never returns",
            carry_out=processes.hang,
            within_s=_hung,
            codes=KILLED,
            own=True,
        ),
        Case(
            name="short stop",
            done="SIGSTOP, and SIGCONT before it counts as hung",
            carry_out=processes.stop_shortly,
            within_s=_clean_up,
        ),
        Case(
            name="long stop",
            done="SIGSTOP for good",
            carry_out=processes.stop_long,
            within_s=_hung,
            codes=KILLED,
        ),
        Case(
            name="lease gone",
            done="bot and guardian stopped; the bot wakes first, too late",
            carry_out=processes.lose_lease,
            within_s=lambda stage: 2 * stage.setting.hung_s + stage.setting.clean_up_s,
            codes=(ExitCode.CLEAN, ExitCode.ERROR),
        ),
        Case(
            name="kill -9",
            done="SIGKILL",
            carry_out=processes.kill,
            within_s=_killed,
            codes=KILLED,
        ),
        Case(
            name="kill -9, forked",
            done="SIGKILL; a child keeps all of its descriptors",
            carry_out=processes.kill_forked,
            within_s=_killed,
            codes=KILLED,
            own=True,
        ),
        Case(
            name="kill -9, no link",
            done=f"SIGKILL while the venue refuses connections for {links.OUTAGE_S:g} s",
            carry_out=processes.kill_without_link,
            within_s=lambda stage: links.OUTAGE_S + KILLED_S + _lost(stage),
            codes=KILLED,
            weight=15,
        ),
        Case(
            name="guardian dies",
            done="SIGKILL of the guardian, then of the bot",
            carry_out=processes.kill_guardian_first,
            within_s=_restarted,
            codes=KILLED,
            weight=10,
        ),
        Case(
            name="both die",
            done="SIGKILL of bot and guardian, then a restart",
            carry_out=processes.kill_both,
            within_s=_restarted,
            weight=12,
        ),
        Case(
            name="full disk",
            done="the bot can write nothing more; SIGTERM after a while",
            carry_out=processes.fill_disk,
            within_s=lambda stage: processes.FULL_S + stage.setting.clean_up_s,
            codes=(ExitCode.ERROR,),
            weight=8,
        ),
        Case(
            name="kill -9, full disk",
            done="SIGKILL; the guardian cannot write either; then a restart",
            carry_out=processes.kill_on_full_disk,
            within_s=_killed,
            weight=12,
        ),
    )
}
