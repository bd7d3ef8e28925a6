"""`botkit serve VENUE`: a simulated exchange to try a bot against, over the venue's own wire."""

import json
import ssl
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click
import trio

from botkit.adapter import Simulator, SimulatorSetup
from botkit.cli.session import Session
from botkit.cli.signals import SignalWatch
from botkit.clock import Clock, LiveClock, wall_time_ns
from botkit.config import load_plugin
from botkit.errors import ConfigError
from botkit.shell import ExitCode, Stop
from botkit.transport import open_server

__all__ = ["command"]


@click.command("serve")
@click.argument("venue")
@click.option("--port", type=click.IntRange(0, 65535), default=9001, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the background traders.")
@click.option(
    "--tls",
    "tls",
    nargs=2,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="CERT KEY",
    help="Speak TLS, by this certificate and its key.",
)
@click.option(
    "--quirk",
    "quirks",
    multiple=True,
    metavar="NAME=VALUE",
    help="Decide something the venue's page leaves open; VALUE is JSON. May be repeated.",
)
@click.pass_obj
def command(
    session: Session,
    *,
    venue: str,
    port: int,
    host: str,
    seed: int,
    tls: tuple[Path, Path] | None,
    quirks: tuple[str, ...],
) -> None:
    """Run a simulated exchange that speaks VENUE's protocol, until Ctrl-C.

    WebSocket and REST are answered on one port. Its last line is a JSON object: by account, the
    orders it received, its fills, and what still rests.
    """
    plugin: Any = load_plugin("botkit.simulators", venue, "botkit serve")
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(*tls)
        except (OSError, ssl.SSLError) as exc:
            raise ConfigError(
                f"--tls {tls[0]} {tls[1]}: no certificate and key can be read there ({exc})"
            ) from exc
    session.watch.install()
    decided = _quirks(quirks)

    def build(clock: Clock) -> Simulator:
        simulator: Simulator = plugin(SimulatorSetup(clock=clock, seed=seed, quirks=decided))
        return simulator

    trio.run(_serve, build, session.watch, (host, port), context)


def _quirks(given: tuple[str, ...]) -> dict[str, Any]:
    """Return what `--quirk` says, by name."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            found[name] = json.loads(value)
        except ValueError:
            equals = ""
        if not (name and equals):
            raise ConfigError(
                f"--quirk {text}: found no NAME=VALUE with VALUE in JSON, such as ignores_cod=true"
            )
    return found


async def _serve(
    build: Callable[[Clock], Simulator],
    watch: SignalWatch,
    address: tuple[str, int],
    context: ssl.SSLContext | None,
) -> None:
    """Serve until a signal comes, then say what became of every account."""
    simulator = build(LiveClock(origin_ns=wall_time_ns()))
    stop = Stop()
    watch.attach(stop, list)
    host, port = address
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.run)
        async with AsyncExitStack() as stack:
            try:
                bound = await stack.enter_async_context(
                    open_server(simulator.server, port=port, host=host, ssl_context=context)
                )
            except OSError as exc:
                raise ConfigError(
                    f"--port {port}: nothing can be served at {host}:{port} ({exc.strerror}): "
                    "choose another, 0 takes a free one"
                ) from exc
            _announce(simulator, f"{host}:{bound}", secure=context is not None)
            await stop.wait()
        nursery.cancel_scope.cancel()
    click.echo(json.dumps(simulator.market.report(simulator.members)))
    watch.finish(ExitCode.CLEAN)


def _announce(simulator: Simulator, address: str, *, secure: bool) -> None:
    """Print where it is and who may trade there."""
    tls = "s" if secure else ""
    markets = ", ".join(simulator.market.exchange.markets)
    click.echo(f"Simulating {simulator.title} at ws{tls}://{address} and http{tls}://{address}")
    click.echo(f"Markets: {markets}. Test keys, public and worth nothing:")
    for member in simulator.members:
        held = ", ".join(f"{qty} {currency}" for currency, qty in member.balances.items())
        click.echo(f"  {member.name:<8} key {member.key}   secret {member.secret}   ({held})")
    click.echo("Ctrl-C ends it.")
    sys.stdout.flush()
