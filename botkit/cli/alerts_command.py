"""`botkit alerts`: whether those who are to be told can be."""

from collections.abc import Sequence
from typing import Final

import click
import trio

from botkit.cli.session import Session, configs_argument, set_option
from botkit.errors import ConfigError
from botkit.shell import ExitCode
from botkit.watch.channels import Channel, open_channels

__all__ = ["command"]

TIMEOUT_S: Final = 15.0
BODY: Final = "This is a test. If you can read it, the alerts of this bot will reach you."


@click.group("alerts")
def command() -> None:
    """Try whether alerts arrive."""


@command.command("test", short_help="Send one test message to each URL.")
@configs_argument
@set_option
@click.pass_obj
def test(session: Session, *, configs: Sequence[str], overrides: Sequence[str]) -> int:
    """Send one test message to each URL of CONFIG's [alerts], and say which worked.

    The exit code is 0 if all did, else 1. The heartbeat is not tried: a beat is a sign of life.
    """
    loaded = session.load(configs, overrides)
    alerts = loaded.alerts
    if alerts is None or not alerts.urls:
        raise ConfigError(
            f"{loaded.source}: alerts.urls: missing, allowed: one URL or more, each as apprise "
            'understands it, such as "json://host/path"'
        )
    channels = open_channels(alerts.urls, loaded.source)
    title = f"{loaded.bot.name}: test"
    failures = 0
    for channel in channels:
        why = trio.run(_try, channel, title)
        failures += bool(why)
        click.echo(session.redact(f"{channel.name:<28} {f'FAILED: {why}' if why else 'sent'}"))
    return ExitCode.ERROR if failures else ExitCode.CLEAN


async def _try(channel: Channel, title: str) -> str:
    with trio.move_on_after(TIMEOUT_S):
        return await trio.to_thread.run_sync(
            channel.send, title, BODY, "info", abandon_on_cancel=True
        )
    return f"no answer within {TIMEOUT_S:g} s"
