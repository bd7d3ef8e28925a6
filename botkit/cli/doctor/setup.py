"""The config: read, its files' permissions, its plug-ins built, its venues asked."""

from collections.abc import Iterator

import trio

from botkit.assembly import check
from botkit.cli.doctor.subject import Subject, fail, ok, warn
from botkit.cli.key_files import exposed_key_files
from botkit.cli.wording import plural
from botkit.config import examine
from botkit.errors import BotkitError, ConfigError
from botkit.ports import DiagnosableVenue, Diagnosis

__all__ = ["config", "key_files", "plug_ins", "venues"]

MEND = "mend the file: botkit check names every mistake, docs/config.md every key"


def config(subject: Subject) -> Iterator[Diagnosis]:
    """Read the files; every mistake in them is a line of its own."""
    try:
        reading = examine(subject.files, subject.overrides)
    except ConfigError as exc:
        yield from (fail(problem, MEND) for problem in exc.problems)
        return
    yield from (fail(problem, MEND) for problem in reading.problems)
    if reading.config is not None and not reading.problems:
        subject.loaded = reading.config
        files = ", ".join(file.source for file in reading.config.files)
        yield ok(f"{files}: the bot {reading.config.bot.name}")


def key_files(subject: Subject) -> Iterator[Diagnosis]:
    """Look who may open the files that hold keys."""
    exposed = exposed_key_files(subject.config)
    for told in exposed:
        what, _, todo = told.rpartition(": ")
        yield warn(what, todo)
    if not exposed:
        held = [file.source for file in subject.config.files if file.holds_keys]
        yield ok(f"{', '.join(held)}: for the owner's eyes alone" if held else "none holds keys")


def plug_ins(subject: Subject) -> Iterator[Diagnosis]:
    """Build everything that the config names."""
    try:
        plan = check(subject.config)
        plan.is_full_speed()
    except ConfigError as exc:
        yield from (fail(problem, MEND) for problem in exc.problems)
        return
    subject.built = plan
    names = ", ".join(each.config.name for each in plan.strategies)
    rules = plural(len(plan.rules), "risk rule")
    yield ok(f"all are built: {names} on {', '.join(plan.venues)}, under {rules}")


def venues(subject: Subject) -> Iterator[Diagnosis]:
    """Let every venue fetch its instruments, and say how it is."""
    try:
        subject.instruments = trio.run(subject.plan.prepare)
    except BotkitError as exc:
        yield fail(str(exc), "see that the venue can be reached and has what the strategies trade")
        return
    for name, venue in subject.plan.venues.items():
        if not isinstance(venue, DiagnosableVenue):
            yield warn(f"{name}: its plug-in cannot examine it", "look at the venue yourself")
            continue
        for found in trio.run(venue.examine):
            yield Diagnosis(health=found.health, text=f"{name}: {found.text}", todo=found.todo)
