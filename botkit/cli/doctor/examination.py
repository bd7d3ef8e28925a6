"""The checks in their order, cheap ones first, and what they found, line by line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final

import attrs

from botkit.cli.doctor import guarding, limits, machine, records, setup, watching
from botkit.cli.doctor.subject import Subject, fail
from botkit.errors import BotkitError
from botkit.ports import Diagnosis

__all__ = ["CHECKS", "Check", "Line", "Needs", "examine"]


class Needs(IntEnum):
    """What a check can only do its work with; without it, why has been told before."""

    NOTHING = 0
    CONFIG = 1
    PLAN = 2
    INSTRUMENTS = 3


@attrs.frozen
class Check:
    """One thing to look at."""

    name: str
    look: Callable[[Subject], Iterable[Diagnosis]]
    needs: Needs


@attrs.frozen
class Line:
    """One thing that was found by the check `name`."""

    name: str
    found: Diagnosis


CHECKS: Final[Sequence[Check]] = (
    Check("python", machine.python, Needs.NOTHING),
    Check("config", setup.config, Needs.NOTHING),
    Check("key files", setup.key_files, Needs.CONFIG),
    Check("state_dir", machine.state_dir, Needs.CONFIG),
    Check("lock", records.lock, Needs.CONFIG),
    Check("kill switch", records.kill_switch, Needs.CONFIG),
    Check("disk", machine.disk, Needs.CONFIG),
    Check("plug-ins", setup.plug_ins, Needs.CONFIG),
    Check("alerts", watching.told, Needs.CONFIG),
    Check("journal", records.journal, Needs.CONFIG),
    Check("orders", records.resting, Needs.CONFIG),
    Check("venues", setup.venues, Needs.PLAN),
    Check("guardian", guarding.guardian, Needs.INSTRUMENTS),
    Check("quantities", limits.quantities, Needs.INSTRUMENTS),
    Check("limits", limits.risk_limits, Needs.INSTRUMENTS),
    Check("losses", limits.loss_limits, Needs.INSTRUMENTS),
    Check("rates", limits.rates, Needs.INSTRUMENTS),
    Check("clock", machine.clock, Needs.NOTHING),
)


def examine(subject: Subject, checks: Sequence[Check] = CHECKS) -> Iterator[Line]:
    """Yield what each check finds, as it finds it; one that raises has failed."""
    for check in checks:
        if check.needs <= _there_is(subject):
            for found in _looked(check, subject):
                yield Line(check.name, found)


def _there_is(subject: Subject) -> Needs:
    if subject.loaded is None:
        return Needs.NOTHING
    if subject.built is None:
        return Needs.CONFIG
    return Needs.INSTRUMENTS if subject.instruments else Needs.PLAN


def _looked(check: Check, subject: Subject) -> Iterator[Diagnosis]:
    try:
        yield from check.look(subject)
    except (BotkitError, OSError) as exc:
        yield fail(str(exc), "mend this, then examine again")
    except Exception as exc:  # noqa: BLE001  a check that raises, a plug-in's too, is a failed line
        told = f"the examination itself failed: {type(exc).__name__}: {exc}"
        yield fail(told, "this is a mistake in botkit or in a plug-in: report it")
