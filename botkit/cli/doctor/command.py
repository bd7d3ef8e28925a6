"""`botkit doctor`: each line pass, warn or fail, and what to do."""

from collections.abc import Sequence
from typing import Final

import click
import msgspec

from botkit.cli.doctor.examination import Line, examine
from botkit.cli.doctor.subject import Subject
from botkit.cli.session import Session, configs_argument, set_option
from botkit.cli.tables import writing
from botkit.cli.wording import plural
from botkit.ports import Health
from botkit.shell import ExitCode

__all__ = ["command"]

COLOURS: Final = {Health.OK: "green", Health.WARN: "yellow", Health.FAIL: "red"}
NAME_WIDTH: Final = 11


@click.command("doctor")
@configs_argument
@set_option
@click.option(
    "--ntp",
    "time_server",
    metavar="HOST",
    default="pool.ntp.org",
    show_default=True,
    help="The time server to hold the clock against, HOST or HOST:PORT.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_obj
def command(
    session: Session,
    *,
    configs: Sequence[str],
    overrides: Sequence[str],
    time_server: str,
    as_json: bool,
) -> int:
    """Examine what the bot of CONFIG needs: machine, files, journal, venues, limits.

    Sends no order and changes nothing. Each line is pass, warn or fail, with what to do; the exit
    code is 1 if any is fail.
    """
    subject = Subject(files=configs, overrides=overrides, time_server=time_server)
    counts = dict.fromkeys(Health, 0)
    with writing("what was found"):
        for line in examine(subject):
            if subject.loaded is not None:
                session.redact = subject.loaded.redact
            counts[line.found.health] += 1
            click.echo(session.redact(_as_json(line) if as_json else _as_text(line)))
        if not as_json:
            click.echo(f"\n{_summed_up(counts)}")
    return ExitCode.ERROR if counts[Health.FAIL] else ExitCode.CLEAN


def _as_text(line: Line) -> str:
    health = click.style(line.found.health, fg=COLOURS[line.found.health])
    text = f"{health}  {line.name:<{NAME_WIDTH}} {line.found.text}"
    return text + (f"\n{'':<6}{'':<{NAME_WIDTH}} -> {line.found.todo}" if line.found.todo else "")


def _as_json(line: Line) -> str:
    found = line.found
    row = {"check": line.name, "health": found.health, "text": found.text, "todo": found.todo}
    return msgspec.json.encode(row).decode()


def _summed_up(counts: dict[Health, int]) -> str:
    failed, warned = counts[Health.FAIL], counts[Health.WARN]
    if failed:
        return f"{plural(failed, 'failure')} and {plural(warned, 'warning')}: do not run it so"
    if warned:
        return f"Nothing failed; {plural(warned, 'warning')}: know what they mean before you run it"
    return "All is well"
