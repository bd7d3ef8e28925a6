"""The bot's figures for Prometheus, read from its state whenever they are asked for."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from botkit.engine import Engine
from botkit.model import Refused, VenueStatus
from botkit.shell import Bot
from botkit.watch.extras import import_extra
from botkit.watch.latencies import Histogram, Latencies

if TYPE_CHECKING:
    from botkit.watch.tap import Listeners

__all__ = ["METRICS", "Metric", "Metrics", "check_installed"]

NS_PER_S: Final = 1_000_000_000
Reading = Iterable[tuple[tuple[str, ...], float]]
"""(values of the labels, value) of each series."""


@attrs.frozen
class Metric:
    """One family of series, as Prometheus sees it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str


METRICS: Final = (
    Metric("botkit_info", "gauge", ("bot", "mode"), "Always 1; which bot this is."),
    Metric("botkit_events_total", "counter", (), "Events the engine has handled."),
    Metric(
        "botkit_feed_age_seconds",
        "gauge",
        ("symbol",),
        "Time since the last quote, trade or book; absent before the first.",
    ),
    Metric("botkit_venue_up", "gauge", ("venue",), "1 if market data, reports and orders flow."),
    Metric("botkit_reconnects_total", "counter", ("venue",), "Times it was up again after down."),
    Metric("botkit_orders", "gauge", ("state",), "Open orders by state."),
    Metric(
        "botkit_requests_total",
        "counter",
        ("kind",),
        "Requests recorded to be sent: new, replace, cancel.",
    ),
    Metric("botkit_refused_total", "counter", ("rule",), "Requests refused by the gate."),
    Metric("botkit_rejected_total", "counter", (), "Orders rejected by a venue."),
    Metric("botkit_fills_total", "counter", (), "Fills."),
    Metric(
        "botkit_position", "gauge", ("strategy", "symbol"), "Signed, in base units (contracts)."
    ),
    Metric(
        "botkit_profit",
        "gauge",
        ("currency", "part"),
        "Of this run: realised, unrealised, fees, and equity, which is all three together.",
    ),
    Metric(
        "botkit_profit_incomplete",
        "gauge",
        ("currency",),
        "1 for a currency left out of botkit_profit: a position has no price.",
    ),
    Metric(
        "botkit_report_profit",
        "gauge",
        ("currency",),
        "Equity of all currencies in report_currency; absent while incomplete.",
    ),
    Metric(
        "botkit_report_profit_incomplete",
        "gauge",
        ("currency",),
        "1 while a price or rate for botkit_report_profit is missing or stale.",
    ),
    Metric("botkit_halted", "gauge", (), "1 once the kill switch has tripped."),
    Metric("botkit_stopping", "gauge", (), "1 while the run is ending."),
    Metric("botkit_queue_depth", "gauge", ("queue",), "What waits: alerts, dispatcher, screen."),
    Metric(
        "botkit_tick_to_order_seconds",
        "histogram",
        (),
        "From the time of the event to the hand-over of a new order to its venue.",
    ),
    Metric(
        "botkit_order_to_ack_seconds",
        "histogram",
        (),
        "From that hand-over to the first report about the order.",
    ),
    Metric(
        "botkit_journal_commit_seconds",
        "histogram",
        (),
        "What the journal took to make a batch durable.",
    ),
)


def check_installed(source: str) -> tuple[Any, Any]:
    """Return prometheus-client's modules of families and of the text format.

    Raises
    ------
    ConfigError
        They are not installed; `source` is the config file, for the message.
    """
    modules = [
        import_extra(f"prometheus_client.{name}", extra="metrics", source=f"{source}: metrics")
        for name in ("core", "exposition")
    ]
    return modules[0], modules[1]


class Metrics:
    """A collector for prometheus-client.

    Nothing is counted that the bot does not know itself, but refusals by rule, reconnects and
    latencies; those cost something per order, and nothing per market event.
    """

    def __init__(self, latencies: Latencies, *, source: str, mode: str) -> None:
        self.latencies = latencies
        self._core, exposition = check_installed(source)
        self._render = exposition.generate_latest
        self.content_type: str = exposition.CONTENT_TYPE_LATEST
        self._mode = mode
        self._refused: Counter[str] = Counter()
        self._reconnects: Counter[str] = Counter()
        self._is_up: dict[str, bool] = {}
        self._bot: Bot | None = None
        self._counts: Callable[[], Mapping[str, int]] = dict
        self._queues: Mapping[str, Callable[[], int]] = {}
        self.listeners: Listeners = {Refused: self._on_refused, VenueStatus: self._on_venue}

    def show(
        self,
        bot: Bot,
        counts: Callable[[], Mapping[str, int]],
        queues: Mapping[str, Callable[[], int]],
    ) -> None:
        """From now on show `bot`, with what was counted and the queues by name."""
        self._bot, self._counts, self._queues = bot, counts, queues

    def _on_refused(self, refused: Refused) -> None:
        self._refused[refused.rule] += 1

    def _on_venue(self, status: VenueStatus) -> None:
        was_up = self._is_up.get(status.venue)
        if was_up is None and not status.up:
            return  # not connected yet
        self._reconnects[status.venue] += status.up and was_up is False
        self._is_up[status.venue] = status.up

    def exposition(self) -> bytes:
        """Return all figures as they are now, in Prometheus' text format."""
        body: bytes = self._render(self)
        return body

    def collect(self) -> Iterable[Any]:
        """Return the families that prometheus-client writes out."""
        if self._bot is None:
            return []
        readings = self._readings(self._bot)
        return [self._family(metric, readings[metric.name]) for metric in METRICS]

    def _family(self, metric: Metric, reading: Reading | Histogram) -> Any:
        if isinstance(reading, Histogram):
            family = self._core.HistogramMetricFamily(metric.name, metric.meaning)
            family.add_metric([], buckets=reading.buckets(), sum_value=reading.sum_s)
            return family
        make = (
            self._core.CounterMetricFamily
            if metric.kind == "counter"
            else self._core.GaugeMetricFamily
        )
        family = make(metric.name, metric.meaning, labels=metric.labels)
        for labels, value in reading:
            family.add_metric(labels, value)
        return family

    def _readings(self, bot: Bot) -> dict[str, Reading | Histogram]:
        engine, counts = bot.engine, self._counts()
        kinds = {"new": "submitted", "replace": "replaces", "cancel": "cancels"}
        status = engine.lifecycle.venue_status
        return {
            "botkit_info": [((bot.name, self._mode), 1)],
            "botkit_events_total": [((), engine.event_count)],
            "botkit_feed_age_seconds": _feed_ages(bot),
            "botkit_venue_up": [((name,), each.up) for name, each in status.items()],
            "botkit_reconnects_total": [((key,), n) for key, n in self._reconnects.items()],
            "botkit_orders": _orders(engine),
            "botkit_requests_total": [((kind,), counts[key]) for kind, key in kinds.items()],
            "botkit_refused_total": [((key,), n) for key, n in self._refused.items()],
            "botkit_rejected_total": [((), counts["rejected"])],
            "botkit_fills_total": [((), counts["fills"])],
            "botkit_position": [
                ((each.strategy, each.symbol), float(each.qty))
                for each in engine.portfolio.positions()
            ],
            **_money(engine),
            "botkit_halted": [((), engine.guard.halted is not None)],
            "botkit_stopping": [((), bool(engine.lifecycle.stopping))],
            "botkit_queue_depth": [((name,), depth()) for name, depth in self._queues.items()],
            "botkit_tick_to_order_seconds": self.latencies.tick_to_order,
            "botkit_order_to_ack_seconds": self.latencies.order_to_ack,
            "botkit_journal_commit_seconds": self.latencies.journal_commit,
        }


def _feed_ages(bot: Bot) -> Reading:
    now_ns = bot.clock.now_ns()
    for symbol, channel in bot.engine.channels.items():
        market = channel.market
        told = [
            event.receive_time_ns for event in (market.quote, market.trade) if event is not None
        ]
        last_ns = max([*told, channel.book_ns])
        if last_ns:
            yield (symbol,), (now_ns - last_ns) / NS_PER_S


def _orders(engine: Engine) -> Reading:
    states = Counter(order.ord_status.value for order in engine.orders.working())
    return [((state,), count) for state, count in states.items()]


def _money(engine: Engine) -> dict[str, Reading]:
    points = engine.portfolio.equity(engine.touch_of, engine.now_ns)
    lacking = engine.portfolio.incomplete(engine.touch_of)
    total = engine.money.total()
    known = total is not None and total.point is not None
    return {
        "botkit_profit": [
            ((point.currency, part), float(getattr(point, part)))
            for point in points
            for part in ("realised", "unrealised", "fees", "equity")
        ],
        "botkit_profit_incomplete": [
            *(((point.currency,), 0) for point in points),
            *(((currency,), 1) for currency in lacking),
        ],
        "botkit_report_profit": [
            ((total.currency,), float(total.point.equity))
            for total in [total]
            if total is not None and total.point is not None
        ],
        "botkit_report_profit_incomplete": (
            [] if total is None else [((total.currency,), not known)]
        ),
    }
