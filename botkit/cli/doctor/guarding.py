"""The guardian: what it may use of each venue, and whether it starts."""

from collections.abc import Iterator

import trio

from botkit.assembly import check
from botkit.cli.doctor.setup import MEND
from botkit.cli.doctor.subject import Subject, fail, ok, warn
from botkit.cli.guarded import Guards
from botkit.errors import BotkitError, ConfigError
from botkit.ports import DiagnosableVenue, Diagnosis, Health, Venue

__all__ = ["guardian"]


def guardian(subject: Subject) -> Iterator[Diagnosis]:
    """Look at the guardian of a run with --live: its keys, and whether it gets ready."""
    try:
        plan = check(subject.config, live=True, guardian=True)
    except ConfigError as exc:
        told = "a run with --live could not be guarded: "
        yield from (warn(f"{told}{problem}", MEND) for problem in exc.problems)
        return
    kept = {name: venue for name, venue in plan.venues.items() if venue.keeps_orders}
    if not kept:
        yield ok("not needed: orders at these venues end with the bot")
    elif subject.config.bot.guardian.enabled is False:
        yield warn(
            "switched off: the orders of a bot that is killed or hangs rest until somebody looks",
            "take bot.guardian.enabled out, or have botkit guard run beside the bot",
        )
    else:
        found = [each for name, venue in kept.items() for each in _at(subject, name, venue)]
        yield from found
        if all(each.health is not Health.FAIL for each in found):  # else it would not get ready
            yield _started(subject)


def _at(subject: Subject, name: str, venue: Venue) -> Iterator[Diagnosis]:
    """Look at what the guardian has of its own at one venue."""
    if "guardian" not in subject.config.venues[name].options:
        yield warn(
            f"{name}: it uses the bot's own API key, and so its limits",
            f"give it a key of its own, in [venues.{name}.guardian]",
        )
        return
    try:
        trio.run(venue.prepare)
    except BotkitError as exc:
        yield fail(f"{name}: {exc}", "see that the venue can be reached")
        return
    found = trio.run(venue.examine) if isinstance(venue, DiagnosableVenue) else []
    yield ok(f"{name}: it has settings of its own")
    for each in found:
        yield Diagnosis(health=each.health, text=f"{name}: {each.text}", todo=each.todo)


def _started(subject: Subject) -> Diagnosis:
    words = [*subject.files, *(f"--set={each}" for each in subject.overrides)]
    with Guards(subject.config, words, wanted=True) as guards:
        try:
            trio.run(guards.ready)
        except BotkitError as exc:
            return fail(str(exc), "mend that: without it no run with --live starts")
        finally:
            guards.end(clean=True)
    return ok("it starts and gets ready")
