"""Metrics say what the bot knows, in the words of docs/metrics.md, and cost nothing when off."""

import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from botkit.clock import BacktestClock
from botkit.engine.dispatch import Dispatcher
from botkit.errors import JournalError
from botkit.model import (
    Halted,
    OrdStatus,
    Refused,
    RequestKind,
    StopRequested,
)
from botkit.model.words import ClientOrderId
from botkit.testing.builders import (
    START_NS,
    build_quote,
    build_report,
    build_snapshot,
    build_venue_status,
    time_ns,
)
from botkit.testing.engine_rig import Actor, EngineRig
from botkit.testing.memory_journal import MemoryJournal
from botkit.watch.latencies import UNANSWERED_MAX, Histogram, Latencies
from botkit.watch.metrics import METRICS, Metrics
from botkit.watch.tap import Tap
from tests.unit.watch_bench import bot_of

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text("utf-8")
MS = 1_000_000
COUNTS = {
    "submitted": 3,
    "replaces": 2,
    "cancels": 1,
    "refused": 1,
    "rejected": 4,
    "fills": 5,
}
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Bench:
    """A rig that is measured, and what a reader would see."""

    def __init__(self, report_currency: str | None = None) -> None:
        self.clock = BacktestClock(origin_ns=START_NS, current_ns=START_NS)
        self.metrics = Metrics(Latencies(self.clock.now_ns), source="bot.toml", mode="PAPER")
        self.actor = Actor()
        self.rig = EngineRig(self.actor, report_currency=report_currency)
        listeners = [self.metrics.listeners, self.metrics.latencies.listeners]
        self.rig.engine.journal = Tap(self.rig.engine.journal, listeners)
        self.rig.start()
        self.metrics.show(bot_of(self.rig, self.clock), lambda: COUNTS, {"screen": lambda: 7})

    @property
    def series(self) -> Series:
        text = self.metrics.exposition().decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.series.get((name, tuple(sorted(labels.items()))))


def refused(rule: str) -> Refused:
    return Refused(
        client_order_id=ClientOrderId("c-1"),
        symbol="paper:BTC-EUR",
        strategy="a",
        request=RequestKind.NEW,
        rule=rule,
        limit="1",
        measured="2",
        text="too much",
    )


def test_every_metric_is_documented_as_it_is_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    documented = [
        (name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows
    ]

    assert documented == [(each.name, each.kind, each.labels) for each in METRICS]


def test_what_is_served_is_what_is_documented() -> None:
    text = Bench().metrics.exposition().decode()
    served = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)

    assert served == [(each.name, each.kind) for each in METRICS]


def test_before_there_is_a_bot_there_is_nothing_to_see() -> None:
    metrics = Metrics(Latencies(lambda: 0), source="bot.toml", mode="PAPER")

    assert metrics.exposition() == b""


def test_the_engine_and_the_venues_are_seen() -> None:
    bench = Bench()
    bench.rig.engine.handle(build_quote(1, 100.0, 101.0))
    bench.clock.current_ns = time_ns(3.5)

    assert bench.value("botkit_info", bot="rig", mode="PAPER") == 1
    assert bench.value("botkit_events_total") == bench.rig.engine.event_count
    assert bench.value("botkit_feed_age_seconds", symbol="paper:BTC-EUR") == 2.5
    assert bench.value("botkit_venue_up", venue="paper") == 1
    assert bench.value("botkit_halted") == 0
    assert bench.value("botkit_stopping") == 0
    assert bench.value("botkit_queue_depth", queue="screen") == 7
    assert bench.value("botkit_requests_total", kind="new") == 3
    assert bench.value("botkit_requests_total", kind="replace") == 2
    assert bench.value("botkit_requests_total", kind="cancel") == 1
    assert bench.value("botkit_rejected_total") == 4
    assert bench.value("botkit_fills_total") == 5


def test_an_instrument_nobody_has_told_of_has_no_age_and_a_book_is_news_as_well() -> None:
    bench = Bench()
    before = bench.value("botkit_feed_age_seconds", symbol="paper:BTC-EUR")
    for after_s in (1, 2):  # the second leaves the quote as it is
        bench.rig.engine.handle(build_snapshot(after_s, bids=[(100.0, 1.0)], asks=[(101.0, 1.0)]))
    bench.clock.current_ns = time_ns(3)

    assert before is None
    assert bench.value("botkit_feed_age_seconds", symbol="paper:BTC-EUR") == 1


def test_a_halt_and_a_stop_are_seen() -> None:
    bench = Bench()
    bench.rig.engine.guard.trip(Halted(rule="x", reason="y"))
    bench.rig.engine.handle(StopRequested(reason="enough", receive_time_ns=time_ns(1)))

    assert bench.value("botkit_halted") == 1
    assert bench.value("botkit_stopping") == 1


def test_a_reconnect_is_an_up_after_a_down_after_an_up() -> None:
    bench = Bench()
    seen = []
    for after_s, up in ((1, True), (2, False), (3, False), (4, True), (5, True)):
        bench.rig.engine.handle(build_venue_status(after_s, up=up))
        seen.append(bench.value("botkit_reconnects_total", venue="paper"))

    assert seen == [0, 0, 0, 1, 1]


def test_a_venue_that_comes_up_late_has_not_reconnected() -> None:
    metrics = Metrics(Latencies(lambda: 0), source="bot.toml", mode="PAPER")
    rig = EngineRig(Actor())
    rig.engine.journal = Tap(rig.engine.journal, [metrics.listeners])
    metrics.show(bot_of(rig), lambda: COUNTS, {})
    for up in (False, True):
        rig.engine.handle(build_venue_status(0, up=up))

    assert b'botkit_reconnects_total{venue="paper"} 0.0' in metrics.exposition()


def test_orders_are_seen_by_state_and_refusals_by_rule() -> None:
    bench = Bench()
    orders = [bench.actor.buy(bench.actor.instrument, "1", price="100") for _ in range(3)]
    bench.rig.report(orders[0], OrdStatus.NEW, 1)
    for rule in ("max_position", "grid", "max_position"):
        bench.rig.engine.journal.record(refused(rule))

    assert bench.value("botkit_orders", state="NEW") == 1
    assert bench.value("botkit_orders", state="PENDING_NEW") == 2
    assert bench.value("botkit_refused_total", rule="max_position") == 2
    assert bench.value("botkit_refused_total", rule="grid") == 1


def test_positions_and_profit_are_seen_and_an_incomplete_one_is_flagged_not_guessed() -> None:
    bench = Bench(report_currency="EUR")
    order = bench.actor.buy(bench.actor.instrument, "2", price="100")
    fee = {"commission": Decimal(1), "commission_currency": "EUR"}
    bench.rig.fill(order, "2", "100", 1, exec_id="e-1", **fee)
    unpriced = bench.series
    bench.rig.engine.handle(build_quote(2, 110.0, 111.0))

    assert unpriced["botkit_profit_incomplete", (("currency", "EUR"),)] == 1
    assert unpriced["botkit_report_profit_incomplete", (("currency", "EUR"),)] == 1
    assert not any(name in ("botkit_profit", "botkit_report_profit") for name, _ in unpriced)
    assert bench.value("botkit_position", strategy="a", symbol="paper:BTC-EUR") == 2
    parts = ("realised", "unrealised", "fees", "equity")
    told = [bench.value("botkit_profit", currency="EUR", part=part) for part in parts]
    assert told == [0, 20, 1, 19]
    assert bench.value("botkit_profit_incomplete", currency="EUR") == 0
    assert bench.value("botkit_report_profit", currency="EUR") == 19
    assert bench.value("botkit_report_profit_incomplete", currency="EUR") == 0


def test_without_a_report_currency_there_is_no_total() -> None:
    assert not any("report_profit" in name for name, _ in Bench().series)


# --- latencies ------------------------------------------------------------------------------------


class Sink:
    """The part of a venue that a dispatcher uses; notes what it is handed."""

    def __init__(self) -> None:
        self.handed: list[str] = []
        self.on_submit: Callable[[], object] = lambda: None

    def submit(self, order: object) -> None:
        self.handed.append("submit")
        self.on_submit()

    def replace(self, order: object) -> None:
        self.handed.append("replace")

    def cancel(self, order: object) -> None:
        self.handed.append("cancel")

    def ask(self, question: object) -> None:
        self.handed.append("ask")


def test_an_order_is_timed_from_its_event_to_its_venue_and_to_its_first_report() -> None:
    bench = Bench()
    sink = Sink()
    make = bench.metrics.latencies.measured(Dispatcher)
    instruments = bench.rig.engine.settings.instruments
    dispatch = make(bench.rig.journal, {"paper": sink}, instruments)
    bench.rig.engine.handle(build_quote(1, 100.0, 101.0))
    order = bench.actor.buy(bench.actor.instrument, "1", price="100")
    order.cancel()
    bench.clock.current_ns = time_ns(1) + 3 * MS
    dispatch(bench.rig.engine.desk.take_outbox() or bench.rig.sent)
    for after_s in (1.020, 1.5):
        bench.clock.current_ns = time_ns(after_s)
        bench.rig.report(order, OrdStatus.NEW, after_s)

    assert sink.handed == ["submit", "cancel"]
    assert bench.value("botkit_tick_to_order_seconds_count") == 1
    assert bench.value("botkit_tick_to_order_seconds_sum") == pytest.approx(0.003)
    assert bench.value("botkit_order_to_ack_seconds_count") == 1
    assert bench.value("botkit_order_to_ack_seconds_sum") == pytest.approx(0.017)
    assert bench.value("botkit_order_to_ack_seconds_bucket", le="0.01") == 0
    assert bench.value("botkit_order_to_ack_seconds_bucket", le="0.025") == 1


def test_an_answer_that_comes_while_the_order_is_handed_over_counts() -> None:
    latencies = Latencies(lambda: START_NS)
    sink = Sink()
    rig = EngineRig(actor := Actor())
    rig.start()
    actor.buy(actor.instrument, "1", price="100")
    (request,) = rig.new_orders
    (listener,) = latencies.listeners.values()
    report = build_report(request.client_order_id, OrdStatus.NEW)
    sink.on_submit = lambda: listener(report)
    dispatch = latencies.measured(Dispatcher)(
        MemoryJournal(), {"paper": sink}, rig.engine.settings.instruments
    )
    dispatch(rig.sent)

    assert latencies.order_to_ack.buckets()[-1] == ("+Inf", 1)


def test_reports_of_others_and_orders_never_answered_are_not_timed_and_not_kept_for_ever() -> None:
    latencies = Latencies(lambda: START_NS)
    rig = EngineRig(actor := Actor())
    rig.start()
    actor.buy(actor.instrument, "1", price="100")
    (request,) = rig.new_orders
    (listener,) = latencies.listeners.values()
    for number in range(UNANSWERED_MAX + 1):
        name = ClientOrderId(f"c-{number}")
        latencies.sent(msgspec.structs.replace(request, client_order_id=name))
    for told in (None, ClientOrderId("foreign"), ClientOrderId("c-0"), ClientOrderId("c-1")):
        report = build_report("x", OrdStatus.NEW)
        listener(msgspec.structs.replace(report, client_order_id=told))

    assert latencies.order_to_ack.buckets()[-1] == ("+Inf", 1)


def test_a_histogram_counts_up_to_its_bounds_which_belong_to_them() -> None:
    histogram = Histogram((0.001, 0.01))
    for duration_ns in (-5, 1 * MS, 1 * MS + 1, 10 * MS, 11 * MS):
        histogram.observe(duration_ns)

    assert histogram.buckets() == [("0.001", 2), ("0.01", 4), ("+Inf", 5)]
    assert histogram.sum_s == pytest.approx(0.023, abs=1e-6)


def test_commits_are_timed_also_those_that_fail() -> None:
    took: list[int] = []
    journal = MemoryJournal()
    tap = Tap(journal, [], on_commit=took.append)
    tap.record(refused("x"))
    tap.commit()
    tap.record(refused("y"))
    journal.fault = "the disk is full"
    with pytest.raises(JournalError):
        tap.commit()

    assert len(took) == 2
    assert all(ns > 0 for ns in took)
    assert len(journal.entries) == 1
