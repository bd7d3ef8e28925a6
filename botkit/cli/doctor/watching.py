"""Who is told of a run: the packages for it, the port of the metrics."""

import os
import socket
from collections.abc import Iterator

from botkit.cli.doctor.subject import Subject, fail, ok, warn
from botkit.cli.wording import plural
from botkit.ports import Diagnosis
from botkit.watch import problems_of

__all__ = ["told"]


def told(subject: Subject) -> Iterator[Diagnosis]:
    """Look whether alerts can be sent and metrics be read; nothing is sent."""
    config = subject.config
    problems = problems_of(config)
    yield from (fail(problem, "mend the section, or leave it out") for problem in problems)
    if problems:
        return
    if config.alerts is None:
        yield warn("nobody is told when the bot halts or fails", "say in [alerts] who is")
    else:
        beat = "with" if config.alerts.heartbeat is not None else "without"
        yield ok(f"{plural(len(config.alerts.urls), 'receiver')} of alerts, {beat} a heartbeat")
    if config.metrics is not None:
        yield _port(config.metrics.host, config.metrics.port, running=subject.running)


def _port(host: str, port: int, *, running: bool) -> Diagnosis:
    place = f"{host} port {port}"
    if running:
        return ok(f"metrics at {place}: the bot has it now")
    try:
        with socket.create_server((host, port)):
            return ok(f"metrics at {place}: free")
    except OSError as exc:
        todo = "choose another port in [metrics], or end what holds it"
        return fail(f"metrics at {place}: cannot be had ({os.strerror(exc.errno or 0)})", todo)
