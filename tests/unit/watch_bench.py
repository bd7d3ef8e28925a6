"""Those who are told of a bot: channels that fail or hang, a real HTTP server, a bot to look at."""

import http.server
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs

from botkit.clock import BacktestClock
from botkit.config import AlertKind
from botkit.engine.dispatch import Dispatcher
from botkit.scope import CleanUpBudget
from botkit.shell import Bot
from botkit.testing.builders import START_NS
from botkit.testing.engine_rig import EngineRig
from botkit.watch.alert import Alert, Severity

Lines = list[tuple[str, str, Mapping[str, object]]]


def build_alert(headline: str, kind: AlertKind = AlertKind.HALT, *lines: str) -> Alert:
    return Alert(kind=kind, severity="info", headline=headline, lines=lines, time_ns=START_NS)


@attrs.define(eq=False)
class Taker:
    """A channel that takes everything, refuses while `refusing` says why, or hangs until told."""

    name: str = "taker"
    refusing: str = ""
    tried: list[str] = attrs.field(factory=list)
    taken: list[tuple[str, str]] = attrs.field(factory=list)
    hangs: bool = False
    released: threading.Event = attrs.field(factory=threading.Event)

    def send(self, title: str, body: str, severity: Severity) -> str:
        self.tried.append(f"{title} ({severity})")
        if self.hangs:
            self.released.wait(20)
        if self.refusing:
            return self.refusing
        self.taken.append((title, body))
        return ""

    @property
    def titles(self) -> list[str]:
        return [title for title, _ in self.taken]


@attrs.define(eq=False)
class Hook:
    """A server on loopback that notes what it is asked and answers `status`, or late."""

    status: int = 200
    port: int = 0
    asked: list[tuple[str, str]] = attrs.field(factory=list)
    hangs: bool = False
    released: threading.Event = attrs.field(factory=threading.Event)


@contextmanager
def serving(hook: Hook) -> Iterator[Hook]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            hook.asked.append((self.path, self.rfile.read(length).decode()))
            if hook.hangs:
                hook.released.wait(20)
                return
            self.send_response(hook.status)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", hook.port), Handler)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def bot_of(rig: EngineRig, clock: BacktestClock | None = None) -> Bot:
    return Bot(
        name="rig",
        run_id="run",
        engine=rig.engine,
        dispatcher=Dispatcher(rig.journal, {}, {}),
        clock=clock or BacktestClock(origin_ns=START_NS, current_ns=START_NS),
        budget=CleanUpBudget(10.0),
    )
