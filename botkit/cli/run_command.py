"""`botkit run`: its options, and what they refuse."""

from collections.abc import Sequence
from typing import Any, get_args

import click

from botkit.assembly import Plan
from botkit.cli.guarded import Guards
from botkit.cli.key_files import exposed_key_files
from botkit.cli.logs import LEVELS, LogForm
from botkit.cli.planning import plan_of, read
from botkit.cli.running import RunOptions, run
from botkit.cli.session import Session, configs_argument, set_option
from botkit.config import Reading, parse_duration
from botkit.errors import ConfigError

__all__ = ["command"]


class DurationType(click.ParamType[int]):
    """A length of time such as 60s."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return nanoseconds."""
        try:
            length_ns = parse_duration(str(value))
        except ValueError as exc:
            self.fail(f"{value!r}: {exc}; 60s, for example", param, ctx)
        if not length_ns:
            self.fail(
                f"{value!r}: the run would end before it starts; 60s, for example", param, ctx
            )
        return length_ns


@click.command("run")
@configs_argument
@click.option(
    "--for",
    "for_ns",
    type=DurationType(),
    metavar="TIME",
    help="End after this much of the bot's time: 60s, 5m, 1h.",
)
@click.option("--live", is_flag=True, help="Send real orders. Without it nothing leaves here.")
@set_option
@click.option(
    "--log",
    "form",
    type=click.Choice(get_args(LogForm)),
    default="console",
    show_default=True,
    help="How log lines look; json also takes the status view away.",
)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
@click.option(
    "--keep-running",
    is_flag=True,
    help="Once halted by risk, stay up for reducing orders instead of ending.",
)
@click.option("--no-status", is_flag=True, help="Log lines instead of the status view.")
@click.pass_obj
def command(
    session: Session,
    *,
    configs: Sequence[str],
    for_ns: int | None,
    live: bool,
    overrides: Sequence[str],
    form: LogForm,
    log_level: str,
    keep_running: bool,
    no_status: bool,
) -> int:
    """Run the bot of CONFIG until its data end, --for has passed, or Ctrl-C.

    Orders are matched in this process against live, recorded or synthetic market data (PAPER),
    unless --live is given. The exit code says how it ended: 0 nothing of ours rests at a venue,
    1 error, 2 usage or configuration, 3 orders may rest, 4 stopped by risk.
    """
    options = RunOptions(
        for_ns=for_ns,
        form=form,
        log_level=log_level,
        status=not no_status,
        keep_running=keep_running,
    )
    reading = read(session, configs, overrides)
    with _guards(reading, configs, overrides, live=live) as guards:  # before strategies are there
        plan = plan_of(reading, live=live)
        _refuse_mode(plan)
        for told in exposed_key_files(plan.config) if live else ():
            session.complain(f"warning: {told}")
        return int(run(plan, session, options, guards))


def _guards(
    reading: Reading, configs: Sequence[str], overrides: Sequence[str], *, live: bool
) -> Guards:
    """Return who cancels what the run leaves if it is killed."""
    config = reading.config
    assert config is not None
    enabled = config.bot.guardian.enabled
    words = [*configs, *(f"--set={each}" for each in overrides), *([] if live else ["--paper"])]
    wanted = not reading.problems and (live if enabled is None else enabled)
    return Guards(config, words, wanted=wanted)


def _refuse_mode(plan: Plan) -> None:
    """Raise if the run is to be live and there is nothing to be live on."""
    if plan.live and not any(venue.keeps_orders for venue in plan.venues.values()):
        raise ConfigError(
            f"{plan.config.source}: --live, but the venues are all matched in this process "
            f"({', '.join(plan.venues)}): there is nothing to be live on; leave --live out, or "
            "configure a real venue"
        )
