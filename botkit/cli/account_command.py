"""`botkit account`: what a venue lets one do with an account besides trading."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click
import trio

from botkit.adapter.account import AccountCall, AccountDesk, AccountParameter, Kind
from botkit.cli.session import Session, config_argument, set_option
from botkit.cli.tables import Column, Form, form_options, print_rows
from botkit.clock import wall_time_ns
from botkit.config import Config, load_plugin
from botkit.errors import ConfigError
from botkit.ports import VenueSetup

__all__ = ["command"]

Row = dict[str, Any]
GROUP: Final = "botkit.accounts"


@click.command("account")
@config_argument
@click.argument("venue")
@click.argument("call", required=False)
@click.argument("given", nargs=-1, metavar="[NAME=VALUE]...")
@set_option
@click.option("--yes", is_flag=True, help="Do it, though it moves money or rights.")
@form_options
@click.pass_obj
def command(
    session: Session,
    *,
    config: str,
    venue: str,
    call: str | None,
    given: tuple[str, ...],
    overrides: Sequence[str],
    yes: bool,
    form: Form | None,
) -> None:
    """Look at the account that CONFIG has at VENUE, or have something done with it.

    Without CALL it lists the calls there are. A call that moves money or rights does nothing
    without --yes but say what it would do. Secrets are asked for, never given on the line.
    """
    desk, source = _desk(session.load(config, overrides), venue)
    if call is None:
        print_rows(list(desk.calls.values()), LISTED, form, what="the calls")
        return
    chosen = desk.calls.get(call)
    if chosen is None:
        raise ConfigError(f"{source}: found call {call!r}, allowed: {', '.join(desk.calls)}")
    source = f"{source} {call}"
    may_go = yes or not chosen.moves
    values = chosen.read(_given(given, chosen, source, ask=_asked if may_go else str), source)
    if not may_go:
        what = chosen.consequence(values)
        raise ConfigError(f"{source}: it {what}; nothing was sent, add --yes to have it done")
    rows = trio.run(desk.call, call, values)
    head = "" if rows else ("Done." if chosen.moves else "There is none.")
    print_rows(rows, _columns(rows), form, what="the answer", head=head)


def _desk(config: Config, venue: str) -> tuple[AccountDesk[Any], str]:
    """Return the calls of one of the config's venues, and what to call it in messages."""
    table = config.venues.get(venue)
    if table is None:
        raise ConfigError(
            f"{config.source}: found venue {venue!r}, allowed: {', '.join(config.venues)}"
        )
    options = dict(table.options)
    for key in ("paper", "guardian"):  # of the dry run; of a second process
        options.pop(key, None)
    setup = VenueSetup(
        name=venue,
        options=options,
        symbols=(),
        source=f"{config.source}: venues.{venue}",
        base_dir=config.base_dir_of(f"venues.{venue}"),
        now_ns=wall_time_ns,
    )
    build: Any = load_plugin(GROUP, table.type, f"{setup.source}.type")
    return build(setup), f"account {venue}"


def _given(
    words: Sequence[str], call: AccountCall[Any], source: str, *, ask: Callable[[str], str]
) -> dict[str, str]:
    """Return what was given by name, and what has to be asked for."""
    found: dict[str, str] = {}
    secrets = [each.name for each in call.parameters if each.kind is Kind.HIDDEN]
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{source}: found {word!r}, allowed: NAME=VALUE")
        if name in secrets:
            raise ConfigError(
                f"{source}: {name} was given on the command line, where others can read it: "
                "leave it out, it is asked for; and choose another"
            )
        found[name] = value
    return {**found, **{name: ask(name) for name in secrets}}


def _asked(name: str) -> str:
    """Return a secret, typed without being shown, or a line of what is piped in."""
    if sys.stdin.isatty():
        answer: str = click.prompt(name, hide_input=True, confirmation_prompt=True)
        return answer
    return sys.stdin.readline().rstrip("\n")


def _columns(rows: Sequence[Row]) -> list[Column[Row]]:
    names = dict.fromkeys(name for row in rows for name in row)

    def cell(name: str) -> Callable[[Row], object]:
        return lambda row: row.get(name)

    return [Column(name=name, value=cell(name)) for name in names]


def _parameter(parameter: AccountParameter) -> Mapping[str, object]:
    return {
        "name": parameter.name,
        "kind": parameter.kind.value,
        "required": parameter.is_required,
        "help": parameter.help,
    }


def _usage(call: AccountCall[Any]) -> str:
    """Return the parameters as they are written, those that may be left out in brackets."""
    return " ".join(
        f"{each.name}=" if each.is_required else f"[{each.name}=]"
        for each in call.parameters
        if each.kind is not Kind.HIDDEN
    )


LISTED: Final[tuple[Column[AccountCall[Any]], ...]] = (
    Column(name="call", value=lambda call: call.name),
    Column(
        name="parameters",
        value=lambda call: [_parameter(each) for each in call.parameters],
        text=_usage,
    ),
    Column(name="moves", value=lambda call: bool(call.moves), heading="needs --yes"),
    Column(name="help", value=lambda call: call.help, heading="what it does"),
)
