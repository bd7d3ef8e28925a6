"""`botkit check`: everything short of running."""

import shlex
from collections.abc import Mapping, Sequence

import attrs
import click
import trio

from botkit.assembly import Plan
from botkit.cli.planning import make_plan
from botkit.cli.session import Session, configs_argument, set_option
from botkit.cli.tables import writing
from botkit.model import Instrument

__all__ = ["command", "rule_lines"]


@click.command("check", short_help="Load CONFIG and build everything in it, without running.")
@configs_argument
@set_option
@click.pass_obj
def command(session: Session, *, configs: Sequence[str], overrides: Sequence[str]) -> None:
    """Load CONFIG, build everything in it, and print what was found; nothing runs.

    Of several files the later override the earlier.

    The exit code is 0 if it would run, 2 if not; then every problem is listed.
    """
    plan = make_plan(session, configs, overrides)
    instruments = trio.run(plan.prepare)
    plan.is_full_speed()
    with writing("what was found"):
        _tell(session, plan, instruments, configs)


def _tell(
    session: Session, plan: Plan, instruments: dict[str, Instrument], configs: Sequence[str]
) -> None:
    for line in (
        *_bot_lines(plan),
        *_venue_lines(plan, instruments),
        *_strategy_lines(plan),
        *_risk_lines(plan),
    ):
        click.echo(session.redact(line))
    given, are = shlex.join(configs), "is" if len(configs) == 1 else "are"
    click.echo(f"\n{given} {are} in order. Run it:  botkit run {given} --for 60s")


def _bot_lines(plan: Plan) -> list[str]:
    bot = plan.config.bot
    return [f"bot        {bot.name}, its journal in {bot.state_dir}/{bot.name}.sqlite"]


def _venue_lines(plan: Plan, instruments: dict[str, Instrument]) -> list[str]:
    lines: list[str] = []
    for name, venue in plan.venues.items():
        kind = plan.config.venues[name].type
        fees = venue.fees
        lines.append(
            f"venue      {name} ({kind}), fees {fees.maker_bps} bps maker, {fees.taker_bps} taker"
        )
        lines += [
            f"           {symbol}: tick {each.tick_size}, lot {each.lot_size} {each.base}, "
            f"in {each.quote}"
            for symbol, each in instruments.items()
            if each.venue == name
        ]
    return lines


def _strategy_lines(plan: Plan) -> list[str]:
    lines: list[str] = []
    for planned in plan.strategies:
        cls, config = planned.strategy_class, planned.config
        lines.append(
            f"strategy   {config.name} ({cls.__module__}:{cls.__qualname__}) "
            f"on {', '.join(config.symbols)}"
        )
        for field in attrs.fields(type(planned.params)):
            value = getattr(planned.params, field.name)
            lines.append(f"           {field.name} = {value}")
    return lines


def _risk_lines(plan: Plan) -> list[str]:
    told = [line for key, value in plan.config.risk.items() for line in rule_lines(key, value)]
    told = told or ["no rules: any order on the grid may go"]
    return [f"{'' if at else 'risk':<10} {line}" for at, line in enumerate(told)]


def rule_lines(key: str, value: object) -> list[str]:
    """Return the lines of one key of [risk]; what holds for a part of the bot is named in full."""
    if not isinstance(value, Mapping):
        return [f"{key} = {value}"]
    if key.partition(".")[0] in ("strategies", "venues"):
        return [line for name, inner in value.items() for line in _below(f"{key}.{name}", inner)]
    return [f"{key} = {', '.join(f'{name} {inner}' for name, inner in value.items())}"]


def _below(key: str, value: object) -> list[str]:
    """Return the lines of one strategy's or venue's limits, and of one limit by instrument."""
    if isinstance(value, Mapping) and key.count(".") == 1:
        return [line for name, inner in value.items() for line in _below(f"{key}.{name}", inner)]
    if isinstance(value, Mapping):
        return [f"{key} = {', '.join(f'{name} {inner}' for name, inner in value.items())}"]
    return [f"{key} = {value}"]
