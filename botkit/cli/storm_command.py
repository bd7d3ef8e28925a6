"""`botkit storm`: simulates a bot, its exchanges and everything that can go wrong, many times."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import attrs
import click
import msgspec
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from botkit.cli.logs import library_logs
from botkit.cli.session import Session, configs_argument, set_option
from botkit.cli.storm_telling import progress_line, summary_lines
from botkit.cli.tables import writing
from botkit.clock import monotonic_ns
from botkit.config import Config
from botkit.errors import BotkitError
from botkit.shell import ExitCode
from botkit.testing.sandbox import at_simulators
from botkit.testing.simulation import simulate
from botkit.testing.storm import SeedOutcome, Storm, run_storm
from botkit.testing.storm_figures import StormFigures

__all__ = ["INTERRUPTED", "command"]

INTERRUPTED: Final = 130
STOP_AFTER: Final = 10
PATIENCE_S: Final = 120.0  # for one seed, besides what is simulated of it
SAY_EVERY_S: Final = 10.0
Show = Callable[[], None]


@click.command("storm")
@configs_argument
@set_option
@click.option("--seeds", type=click.IntRange(1), default=100, show_default=True, help="How many.")
@click.option("--first-seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--seed", type=click.IntRange(0), help="This one alone.")
@click.option("--trace", is_flag=True, help="With --seed: print what happens, line by line.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option(
    "--seconds",
    type=click.FloatRange(10.0),
    default=120.0,
    show_default=True,
    help="How long to simulate, for each seed.",
)
@click.option(
    "--stop-after",
    type=click.IntRange(1),
    default=STOP_AFTER,
    show_default=True,
    help="End once so many seeds have failed.",
)
@click.option("--keep-going", is_flag=True, help="Run every seed, however many fail.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each seed, and a last.")
@click.option("--report", type=click.Path(dir_okay=False), help="Write those lines to this file.")
@click.pass_obj
def command(
    session: Session,
    *,
    configs: Sequence[str],
    overrides: Sequence[str],
    seeds: int,
    first_seed: int,
    seed: int | None,
    trace: bool,
    jobs: int,
    seconds: float,
    stop_after: int,
    keep_going: bool,
    as_json: bool,
    report: str | None,
) -> int:
    """Simulate the bot of CONFIG at simulated exchanges, with faults drawn from a seed each time.

    Nothing connects to anything. Links break, answers are lost, the bot is killed and started
    again; what must hold is checked by the exchanges' own books. docs/storm.md has more.

    The exit code is 0 if all held, 1 if not, 130 if it was interrupted before anything failed.
    """
    if trace and seed is None:
        raise click.UsageError("--trace shows one seed: name it, --seed 17")
    config = at_simulators(session.load(configs, overrides))
    storm = Storm(
        configs=tuple(configs),
        overrides=tuple(overrides),
        seconds=seconds,
        limit_s=PATIENCE_S + seconds,
    )
    if trace and seed is not None:
        return _trace(session, config, storm, seed, as_json=as_json)
    chosen = range(first_seed, first_seed + seeds) if seed is None else range(seed, seed + 1)
    with _opened(report) as file:
        run = _Run(
            storm=storm,
            seeds=chosen,
            jobs=min(jobs, len(chosen)),
            most_failed=len(chosen) if keep_going else stop_after,
            as_json=as_json,
            report=file,
        )
        return run.go()


@contextlib.contextmanager
def _opened(report: str | None) -> Iterator[IO[str] | None]:
    """Open the file to write to, if any, for the length of the block."""
    if report is None:
        yield None
        return
    try:
        with Path(report).open("w", encoding="utf-8") as file:
            yield file
    except OSError as exc:
        raise BotkitError(
            f"--report {report}: it cannot be written ({exc.strerror}): make room, or name another"
        ) from exc


@attrs.define(kw_only=True, eq=False)
class _Run:
    """One call of the command."""

    storm: Storm
    seeds: range
    jobs: int
    most_failed: int
    as_json: bool
    report: IO[str] | None
    _figures: StormFigures = attrs.field(factory=StormFigures)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _began_ns: int = attrs.field(factory=monotonic_ns)
    _interrupted: bool = False
    _show: Show = lambda: None

    def go(self) -> int:
        """Run all seeds, say what came out, and return the exit code."""
        trio.run(self._storm)
        told = msgspec.json.encode({"summary": self._figures.as_object()}).decode()
        self._write(told)
        if not self.as_json:
            with writing("what came out"):
                for line in summary_lines(self.storm, self._figures, self._took_ns()):
                    click.echo(line)
                self._say_end()
        if self._figures.failed:
            return ExitCode.ERROR
        return INTERRUPTED if self._interrupted else ExitCode.CLEAN

    async def _storm(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            with self._scope, self._progress(nursery):
                await run_storm(self.storm, self.seeds, jobs=self.jobs, take=self._take)
            nursery.cancel_scope.cancel()

    def _take(self, outcome: SeedOutcome) -> None:
        self._figures.take(outcome)
        self._write(msgspec.json.encode(outcome).decode())
        self._show()
        if len(self._figures.failed) >= self.most_failed:
            self._scope.cancel()

    async def _listen(self) -> None:
        """End at the first signal; what was done so far is said."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                self._interrupted = True
                self._scope.cancel()

    # --- saying -----------------------------------------------------------------------------

    def _write(self, line: str) -> None:
        if self.report is not None:
            self.report.write(f"{line}\n")
            self.report.flush()
        if self.as_json:
            with writing("the seeds"):
                click.echo(line)

    def _took_ns(self) -> int:
        return monotonic_ns() - self._began_ns

    def _say_end(self) -> None:
        left = len(self.seeds) - self._figures.seeds
        if left and self._interrupted:
            click.echo(f"\ninterrupted: {left:,} seeds were not run")
        elif left:
            click.echo(
                f"\n{left:,} seeds were not run: {len(self._figures.failed)} have failed; "
                "--keep-going runs all"
            )

    @contextlib.contextmanager
    def _progress(self, nursery: trio.Nursery) -> Iterator[None]:
        """Say on stderr how far it is: a bar on a terminal, else a line now and then."""
        if not sys.stderr.isatty():
            nursery.start_soon(self._say_now_and_then)
            yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("seeds", total=len(self.seeds))

            def show() -> None:
                failed = len(self._figures.failed)
                told = f"seeds, {failed} failed" if failed else "seeds"
                bar.update(task, completed=self._figures.seeds, description=told)

            self._show = show
            yield

    async def _say_now_and_then(self) -> None:
        while True:
            await trio.sleep(SAY_EVERY_S)
            click.echo(progress_line(self._figures, len(self.seeds), self._took_ns()), err=True)


def _trace(session: Session, config: Config, storm: Storm, seed: int, *, as_json: bool) -> int:
    """Simulate one seed and print what happens in it, what adapters log included."""
    said: list[tuple[float, str]] = []

    def log(level: str, message: str, _: Mapping[str, object]) -> None:
        now_s = trio.current_time()
        said.append((now_s, f"{now_s:12.6f}  {level:<8}  {message}"))

    with library_logs(log):
        result = simulate(config, seed, seconds=storm.seconds, record=True)
    told = [(float(line.split(None, 1)[0]), line) for line in result.timeline]
    lines = [line for _, line in sorted([*told, *said], key=lambda each: each[0])]
    with writing("the timeline"):
        if as_json:
            fields = attrs.asdict(attrs.evolve(result, timeline=tuple(lines)), recurse=False)
            click.echo(session.redact(msgspec.json.encode(fields).decode()))
        else:
            for line in lines:
                click.echo(session.redact(line))
            click.echo()
            for problem in result.problems:
                click.echo(session.redact(f"problem: {problem}"))
            held = "did not hold" if result.problems else "held"
            click.echo(
                f"seed {seed} {held}: {result.orders} orders, {result.fills} fills, "
                f"{result.restarts} restarts, {sum(result.faults.values())} faults; "
                f"trace {result.trace}"
            )
    return ExitCode.ERROR if result.problems else ExitCode.CLEAN
