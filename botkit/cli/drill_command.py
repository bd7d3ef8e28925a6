"""`botkit drill`: break the bot of a config in every way, against simulated exchanges."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs
import click
import trio

from botkit.cli.session import Session, configs_argument, set_option
from botkit.cli.signals import SignalWatch
from botkit.cli.tables import Column, Form, form_options, print_rows
from botkit.cli.wording import plural
from botkit.shell import ExitCode, Stop
from botkit.testing.drill import Drill, Outcome, Planned, Setting, plan, setting_of
from botkit.testing.processes import adopted_orphans

__all__ = ["command"]

INTERRUPTED: Final = 130


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _done(outcome: Outcome) -> str:
    case = outcome.planned.case
    return f"{case.done}*" if case.own else case.done


COLUMNS: Final[tuple[Column[Outcome], ...]] = (
    Column(name="case", value=lambda each: each.planned.case.name),
    Column(name="venue", value=lambda each: each.planned.venue or None),
    Column(name="orders", value=lambda each: each.orders, right=True),
    Column(
        name="unattended_s",
        value=lambda each: each.unattended_s,
        heading="alone",
        text=lambda each: _seconds(each.unattended_s),
        right=True,
    ),
    Column(
        name="within_s",
        value=lambda each: each.within_s,
        heading="at most",
        text=lambda each: _seconds(each.within_s),
        right=True,
    ),
    Column(name="exit_code", value=lambda each: each.exit_code, heading="exit", right=True),
    Column(
        name="held", value=lambda each: each.held, text=lambda each: "yes" if each.held else "NO"
    ),
    Column(name="done", value=lambda each: each.planned.case.done, heading="how", text=_done),
    Column(
        name="problems",
        value=lambda each: list(each.problems),
        heading="why not",
        text=lambda each: "; ".join(each.problems),
    ),
    Column(name="took_s", value=lambda each: round(each.took_s, 3), heading=""),
)


@click.command("drill")
@configs_argument
@set_option
@click.option("--only", multiple=True, metavar="CASE", help="Do this case alone; may be repeated.")
@click.option("--quoter", is_flag=True, help="Trade by the drill's own strategy in every case.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the exchanges' traders.")
@click.option(
    "--jobs", type=click.IntRange(1), default=3, show_default=True, help="How many cases at once."
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Keep journals and logs of cases that did not hold.",
)
@form_options
@click.pass_obj
def command(
    session: Session,
    *,
    configs: Sequence[str],
    overrides: Sequence[str],
    only: Sequence[str],
    quoter: bool,
    seed: int,
    jobs: int,
    keep: Path | None,
    form: Form | None,
) -> int:
    """Run the bot of CONFIG against simulated exchanges, break it, and look at their books.

    Each case starts a simulated exchange for each venue, on free ports, behind a proxy that breaks
    connections; others' orders are put into its book; and the bot runs there as a process of its
    own, with its guardian. It takes about two minutes. docs/drill.md has what each case does.

    The exit code is 0 if all held, else 1; 130 if it was interrupted.
    """
    session.load(configs, overrides)  # from here on its secrets are in no message
    setting = setting_of(configs, overrides, quotes=quoter)
    planned = plan(setting, only)
    drill = Drill(setting=setting, seed=seed, jobs=jobs, keep=keep)
    progress = _Progress(len(planned)) if sys.stderr.isatty() else None
    session.watch.install()
    with adopted_orphans():
        outcomes = trio.run(_run, drill, planned, progress or _tell_nobody, session.watch)
    if progress is not None:
        progress.clear()
    told = [
        attrs.evolve(each, problems=tuple(map(session.redact, each.problems))) for each in outcomes
    ]
    unneeded = {"venue"} if len(setting.bounds) == 1 else set()
    if all(each.held for each in told):
        unneeded.add("problems")
    columns = [each for each in COLUMNS if form or each.name not in unneeded]
    print_rows(told, columns, form, what="the outcomes", head=_head(setting))
    broken = sum(not each.held for each in outcomes)
    if form is None:
        click.echo(_summary(outcomes, broken))
    if len(outcomes) < len(planned):
        session.complain(f"interrupted: {len(planned) - len(outcomes)} of {len(planned)} not done")
        return INTERRUPTED
    return ExitCode.ERROR if broken else ExitCode.CLEAN


async def _run(
    drill: Drill,
    planned: Sequence[Planned],
    on_outcome: Callable[[Outcome], None],
    watch: SignalWatch,
) -> list[Outcome]:
    """Return the outcomes in the order of `planned`, up to a signal; no bot is left running."""
    outcomes: dict[int, Outcome] = {}
    stop = Stop()
    watch.attach(stop, list)

    def note(outcome: Outcome) -> None:
        outcomes[planned.index(outcome.planned)] = outcome
        on_outcome(outcome)

    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await drill.run(planned, note)
            nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        await stop.wait()
        nursery.cancel_scope.cancel()
    watch.finish(INTERRUPTED)
    return [outcomes[number] for number in sorted(outcomes)]


def _head(setting: Setting) -> str:
    """Return what has to be known to read the table."""
    config = setting.config
    lines = [
        (
            f"{config.words} against simulated {', '.join(setting.bounds)}; "
            f"bot.guardian.hung_after is {setting.hung_s:g} s here."
        )
    ]
    names = ", ".join(each.name for each in config.strategies)
    if setting.quotes:
        lines.append(f"The drill's own quoter trades in place of {names}.")
    else:
        lines.append(
            f"{names} trades; in cases with * the drill's own quoter does (--quoter: in all)."
        )
    lines.append("orders: working when it was broken. alone: seconds until the last was gone.")
    return "\n".join([*(click.wrap_text(line, 78) for line in lines), ""])


def _summary(outcomes: Sequence[Outcome], broken: int) -> str:
    orders = sum(each.orders for each in outcomes)
    idle = sum(not each.orders for each in outcomes)
    longest = max((each.unattended_s or 0.0 for each in outcomes), default=0.0)
    said = f"{len(outcomes) - broken} of {plural(len(outcomes), 'case')} held"
    without = f"; {idle} found no order working" if idle else ""
    return f"\n{said}; {plural(orders, 'order')} left alone, {longest:.1f} s at most{without}."


def _tell_nobody(_: Outcome) -> None:
    """Say nothing meanwhile."""


class _Progress:
    """A line that says how far the drill is."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._count = 0
        self._broken = 0

    def __call__(self, outcome: Outcome) -> None:
        self._count += 1
        self._broken += not outcome.held
        broken = f", {self._broken} not held" if self._broken else ""
        text = f"{self._count} of {self._total} cases{broken}"
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)

    def clear(self) -> None:
        """Take the line away."""
        click.echo("\r\x1b[K", err=True, nl=False)
