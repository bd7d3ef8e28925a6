"""All that looks at one run, as the run's owner handles it."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import trio

from botkit.clock import Clock
from botkit.config import AlertKind, AlertsConfig, Config
from botkit.engine.dispatch import Dispatcher
from botkit.errors import ConfigError
from botkit.ports import Journal
from botkit.shell import Bot, ExitCode
from botkit.watch.alert import Alert
from botkit.watch.alerts import Alerts
from botkit.watch.channels import Channel, open_channels
from botkit.watch.heartbeat import Heartbeat
from botkit.watch.latencies import Latencies
from botkit.watch.metrics import Metrics, check_installed
from botkit.watch.outage import Log
from botkit.watch.serving import Page, is_loopback
from botkit.watch.tap import Tap

__all__ = ["Lookout", "problems_of"]


class Lookout:
    """Alerts, heartbeat and metrics of one run, whichever its config asks for.

    A context manager: when it is left, the last words go out, for a few seconds at most, and the
    port is given back. `config` None looks at nothing and tells nobody.

    Attributes
    ----------
    counts, queues
        What metrics show besides the engine's state: see `Tally.counts`; lengths by name.
    """

    def __init__(
        self, config: Config | None, *, mode: str, redact: Callable[[str], str], log: Log
    ) -> None:
        self._config = config
        self._mode = mode
        self._log = log
        self.counts: Callable[[], Mapping[str, int]] = dict
        self.queues: dict[str, Callable[[], int]] = {}
        self._alerts: Alerts | None = None
        self._heartbeat: Heartbeat | None = None
        self._metrics: Metrics | None = None
        self._page: Page | None = None
        self._bot: Bot | None = None
        self._last_words: Alert | None = None
        if config is not None and config.alerts is not None:
            self._set_up_alerts(config, config.alerts, redact)

    def _set_up_alerts(
        self, config: Config, alerts: AlertsConfig, redact: Callable[[str], str]
    ) -> None:
        self._alerts = Alerts(
            alerts, _channels(config), sender=config.bot.name, redact=redact, log=self._log
        )
        if alerts.heartbeat is not None:
            self._heartbeat = Heartbeat(alerts.heartbeat, redact=redact, log=self._log)

    async def open(self, clock: Clock) -> None:
        """Take the port of the metrics, if any; before anything trades.

        Raises
        ------
        ConfigError
            The port is taken.
        """
        config = self._config
        if config is None or config.metrics is None:
            return
        source = config.source
        self._metrics = Metrics(Latencies(clock.now_ns), source=source, mode=self._mode)
        self._page = Page(self._metrics.exposition, self._metrics.content_type)
        address = await self._page.listen(config.metrics, source)
        self._log("info", "metrics", {"at": address})
        if not is_loopback(config.metrics.host):
            self._log("warning", "other machines can read the metrics", {"at": address})

    def tap(self, journal: Journal) -> Journal:
        """Return `journal`, seen by whoever looks; itself if nobody does."""
        listeners = [] if self._alerts is None else [self._alerts.listeners]
        if self._metrics is None:
            return Tap(journal, listeners) if listeners else journal
        latencies = self._metrics.latencies
        listeners += [self._metrics.listeners, latencies.listeners]
        return Tap(journal, listeners, on_commit=latencies.journal_commit.observe)

    def measured(self, make_dispatcher: Callable[..., Dispatcher]) -> Callable[..., Dispatcher]:
        """Return a maker of dispatchers that are measured; `make_dispatcher` if nobody measures."""
        if self._metrics is None:
            return make_dispatcher
        return self._metrics.latencies.measured(make_dispatcher)

    async def serve(self, bot: Bot, banner: str) -> None:
        """Look at `bot` and tell others, until canceled; `banner` says what it runs."""
        self._bot = bot
        if self._metrics is not None:
            self._metrics.show(bot, self.counts, {**self.queues, "alerts": self._waiting})
        async with trio.open_nursery() as nursery:
            if self._alerts is not None:
                started = Alert(
                    kind=AlertKind.START,
                    severity="info",
                    headline="started",
                    lines=(banner,),
                    time_ns=bot.clock.now_ns(),
                )
                self._alerts.tell(started, trio.current_time())
                nursery.start_soon(self._alerts.serve, bot.engine)
            if self._heartbeat is not None:
                nursery.start_soon(self._heartbeat.serve, bot)
            if self._page is not None:
                nursery.start_soon(self._page.serve)

    def tell(self, alert: Alert) -> None:
        """Have `alert` sent, if there is anybody to be told."""
        if self._alerts is not None:
            self._alerts.tell(alert, trio.current_time())

    def ended(self, code: ExitCode, lines: Sequence[str]) -> None:
        """Take note of how the run has ended: the last words."""
        self._last_words = self._stop_alert(f"ended with exit code {int(code)}", lines, code=code)

    def close(self) -> None:
        """Send what is left, for a few seconds at most; once."""
        if self._page is not None:
            self._page.close()
        alerts, self._alerts = self._alerts, None
        if alerts is not None and self._bot is not None:
            alerts.last_words(self._last_words)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if exc is not None and self._last_words is None:
            lines = (f"{type(exc).__name__}: {exc}", "ORDERS MAY REST: look at the venue")
            self._last_words = self._stop_alert("broke down", lines, code=ExitCode.ORDERS_MAY_REST)
        self.close()

    def _stop_alert(self, headline: str, lines: Sequence[str], *, code: ExitCode) -> Alert:
        return Alert(
            kind=AlertKind.STOP,
            severity="failure" if code else "success",
            headline=headline,
            lines=tuple(lines),
            time_ns=0 if self._bot is None else self._bot.engine.now_ns,
        )

    def _waiting(self) -> int:
        return 0 if self._alerts is None else self._alerts.waiting


def _channels(config: Config) -> Sequence[Channel]:
    if config.alerts is None or not config.alerts.urls:
        return ()
    return open_channels(config.alerts.urls, config.source)


def problems_of(config: Config) -> tuple[str, ...]:
    """Return what keeps the sections `[alerts]` and `[metrics]` of `config` from working.

    Nothing connects: a package that is not installed, or a URL that apprise cannot read.
    """
    problems: list[str] = []
    checks: list[Callable[[], object]] = [lambda: _channels(config)]
    if config.metrics is not None:
        checks.append(lambda: check_installed(config.source))
    for check in checks:
        try:
            check()
        except ConfigError as exc:
            problems += exc.problems
    return tuple(problems)
