"""`botkit guard`: cancels what a bot leaves that was killed or hangs."""

import contextlib
import signal
import socket
from collections.abc import Iterator, Sequence
from typing import Final

import click
import trio

from botkit.cli.guarded import guardian_log
from botkit.cli.guarding import Guardian
from botkit.cli.log_file import LogFile
from botkit.cli.logs import build_log, library_logs
from botkit.cli.session import Session, configs_argument, set_option
from botkit.cli.signals import SIGNALS
from botkit.cli.standing import stand, standing_path, standing_socket
from botkit.clock import wall_time_ns
from botkit.config import Config
from botkit.engine.core import Log
from botkit.live import Process, Watch
from botkit.shell import ExitCode, Stop

__all__ = ["command"]

NS_PER_S: Final = 1_000_000_000


class ChildType(click.ParamType[tuple[int, int]]):
    """A descriptor and a process id: 5:1234."""

    name = "child"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return both."""
        descriptor, _, pid = str(value).partition(":")
        if not (descriptor.isdecimal() and pid.isdecimal()):
            self.fail(f"{value!r}: a bot gives its guardian DESCRIPTOR:PID", param, ctx)
        return int(descriptor), int(pid)


@click.command("guard")
@configs_argument
@set_option
@click.option("--now", is_flag=True, help="Cancel what a dead bot has left, if any, and end.")
@click.option("--child", type=ChildType(), hidden=True, help="Who started this.")
@click.option("--paper", is_flag=True, hidden=True, help="That bot sends no real orders.")
@click.pass_obj
def command(
    session: Session,
    *,
    configs: Sequence[str],
    overrides: Sequence[str],
    now: bool,
    child: tuple[int, int] | None,
    paper: bool,
) -> int:
    """Guard the bot of CONFIG from elsewhere: another terminal, container or service.

    It shares the bot's state_dir. It waits for the bot, cancels what it leaves when it is killed or
    hangs, and waits for the next, until Ctrl-C. Runs with --live have a guardian of their own
    anyway: this one is for when both could be taken at once. It never touches other orders.

    The exit code is 0 if nothing rests and 3 if orders may.
    """
    if child is not None:
        for number in SIGNALS:  # it ends when its bot does
            signal.signal(number, signal.SIG_IGN)
        config = session.load(configs, overrides)
        with _file_log(config) as log, library_logs(log):
            guardian = Guardian(config=config, live=not paper, log=log)
            return trio.run(_guard_child, guardian, *child)
    session.watch.install()
    config = session.load(configs, overrides)
    log = build_log(
        lambda _, line: click.echo(line),
        form="console",
        level="info",
        now_ns=wall_time_ns,
        redact=config.redact,
    )
    guardian = Guardian(config=config, live=True, log=log)
    with library_logs(log):
        return trio.run(_sweep_now if now else _stand, guardian, session)


@contextlib.contextmanager
def _file_log(config: Config) -> Iterator[Log]:
    """Log to the guardian's file; what cannot be written there is lost."""
    file = LogFile(guardian_log(config), lambda *_: None)
    with contextlib.closing(file):
        yield build_log(
            lambda _, line: file.write(line),
            form="json",
            level="info",
            now_ns=wall_time_ns,
            redact=config.redact,
        )


async def _guard_child(guardian: Guardian, descriptor: int, pid: int) -> ExitCode:
    """Guard the bot that has started us."""
    process = Process(pid, parent=True)
    with contextlib.closing(process), socket.socket(fileno=descriptor) as sock:
        hung_s = guardian.config.bot.guardian.hung_after / NS_PER_S
        return await guardian.guard(Watch(sock, process, hung_s))


async def _sweep_now(guardian: Guardian, _: Session) -> ExitCode:
    """Cancel what was left open, if anything was."""
    if not guardian.left_open():
        guardian.log("info", "nothing was left open", {})
        return ExitCode.CLEAN
    return await guardian.take_over("asked to by --now", patient=False)


async def _stand(guardian: Guardian, session: Session) -> ExitCode:
    """Guard one bot after the other, until a signal comes."""
    stop = Stop()
    session.watch.attach(stop, list)
    with standing_socket(guardian.config) as listening:
        guardian.log("info", "waiting for the bot", {"at": str(standing_path(guardian.config))})
        code = await stand(guardian, listening, stop.wait)
    session.watch.finish(code)
    return code
