"""What a run prints: log lines, the status view, the summary, and the thread that writes."""

import io
import json
import os
import sys
import threading
from collections.abc import Sequence
from decimal import Decimal
from math import nan
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.console import Console

from botkit.cli.earlier_runs import settle_earlier_runs
from botkit.cli.logs import build_log
from botkit.cli.output import Output, StreamSink
from botkit.cli.screen import Screen
from botkit.cli.status import LogLine, MarketLine, Snapshot, StatusSink
from botkit.cli.wording import clock_time, money, number, plural, price
from botkit.errors import ConfigError
from botkit.journal import SqliteJournal
from botkit.model import EquityPoint
from botkit.portfolio import PositionView, Total
from botkit.testing import build_new_order

AT_NS = 1_704_067_200_123_000_000

# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0.00"),
        ("0.000", "0.00"),
        ("1234567.891", "1,234,567.89"),
        ("-0.0321094", "-0.0321"),
        ("0.00012345", "0.000123"),
        ("1e-15", "0.0000000000"),
    ],
)
def test_money_has_two_decimals_or_three_figures(value: str, text: str) -> None:
    assert money(Decimal(value)) == text


def test_other_numbers_read_as_people_write_them() -> None:
    assert price(Decimal("60032.58")) == "60,032.58"
    assert price(Decimal("0.0012345678")) == "0.001234568"
    assert (number(1234.5), number(1.234)) == ("1,234", "1.23")
    assert clock_time(3_723_000_000_000) == "1:02:03"
    assert clock_time(-5) == "0:00:00"
    assert (plural(1, "order"), plural(1200, "order")) == ("1 order", "1,200 orders")


# --- logs ---------------------------------------------------------------------------------------


def lines_of(form: Any, level: str = "info") -> tuple[list[str], Any]:
    lines: list[str] = []
    log = build_log(
        lambda _, line: lines.append(line),
        form=form,
        level=level,
        now_ns=lambda: AT_NS,
        redact=lambda text: text.replace("hunter2", "***"),
    )
    return lines, log


def test_a_log_line_has_time_level_message_and_fields() -> None:
    lines, log = lines_of("console")

    log("info", "100 % filled", {"qty": Decimal("0.1"), "ok": True})

    assert lines == ["00:00:00.123Z info     100 % filled  qty=0.1  ok=True"]


def test_text_of_several_lines_follows_below() -> None:
    lines, log = lines_of("console")

    log("error", "failed", {"strategy": "x", "error": "Traceback\n  here\n"})

    assert lines == ["00:00:00.123Z error    failed  strategy=x\nTraceback\n  here"]


def test_a_json_line_is_one_object_by_the_clock_of_the_bot() -> None:
    lines, log = lines_of("json")

    log("warning", "no\nnews", {"n": 1, "px": 1.5, "none": None, "qty": Decimal("0.10")})

    assert len(lines) == 1
    assert "\n" not in lines[0]
    assert list(json.loads(lines[0]).items()) == [
        ("time", "2024-01-01T00:00:00.123Z"),
        ("level", "warning"),
        ("event", "no\nnews"),
        ("n", 1),
        ("px", 1.5),
        ("none", None),
        ("qty", "0.10"),
    ]


def test_levels_below_the_one_asked_for_are_left_out() -> None:
    lines, log = lines_of("console", "warning")

    for level in ("debug", "info", "warning", "error", "critical"):
        log(level, "x", {})

    assert [line.split()[1] for line in lines] == ["warning", "error", "critical"]


@pytest.mark.parametrize("form", ["console", "json"])
def test_secrets_leave_by_no_field(form: str) -> None:
    lines, log = lines_of(form)

    log("info", "is hunter2", {"a": "hunter2", "event": "hunter2", "c": {"deep": ["hunter2"]}})

    assert "hunter2" not in lines[0]
    assert lines[0].count("***") == 4


# --- the writing thread -------------------------------------------------------------------------


class Slow:
    """A sink that stands still until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.written: list[str] = []
        self.idled = threading.Event()

    def write(self, item: str) -> None:
        self.go.wait(10)
        self.written.append(item)

    def idle(self) -> None:
        self.idled.set()

    def close(self) -> None:
        self.written.append("closed")


def test_a_terminal_that_stands_still_holds_nobody_up() -> None:
    sink = Slow()
    output: Output[str] = Output(sink)

    for index in range(10_100):
        output.put(str(index))
    sink.go.set()
    output.close()

    assert 99 - 2 <= output.dropped <= 100
    assert sink.written[:2] == ["0", "1"]
    assert sink.written[-1] == "closed"


def test_at_full_speed_nothing_is_dropped() -> None:
    sink = Slow()
    sink.go.set()
    output: Output[str] = Output(sink, patient=True)

    for index in range(12_000):
        output.put(str(index))
    output.close()

    assert output.dropped == 0
    assert sink.written[:-1] == [str(index) for index in range(12_000)]


def test_a_sink_hears_that_time_passes() -> None:
    sink = Slow()
    output: Output[str] = Output(sink, idle_s=0.001)

    assert sink.idled.wait(10)
    output.close()


def test_a_stream_tells_progress_if_there_is_any() -> None:
    stream = io.StringIO()
    told = iter(["", "half-way"])
    sink = StreamSink(stream, lambda: next(told))

    sink.idle()
    sink.idle()
    StreamSink(stream).idle()

    assert stream.getvalue() == "half-way\n"


def test_a_reader_that_has_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        output: Output[str] = Output(StreamSink(stream))
        for _ in range(3):
            output.put("into the void")
        output.close()
        stream.write("and at the end")
        stream.flush()


# --- the screen ---------------------------------------------------------------------------------


def build_screen(form: Any = "console") -> Screen:
    return Screen(form=form, level="info", status=False, patient=False, redact=lambda text: text)


def test_as_json_every_line_for_people_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    screen = build_screen("json")
    screen.announce("LIVE  demo", mode="LIVE")
    screen.say("a word")
    screen.end("Traceback")
    screen.say_last("c0ffee")
    screen.close()

    *lines, last = capsys.readouterr().out.splitlines()
    told = [json.loads(line) for line in lines]
    assert [line["event"] for line in told] == [
        "LIVE  demo",
        "a word",
        "the run was ended by an error",
    ]
    assert told[0]["mode"] == "LIVE"
    assert last == "c0ffee"


@pytest.mark.parametrize("form", ["console", "json"])
def test_progress_is_told_by_time_and_events(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    screen = build_screen(form)
    assert screen.tell_progress() == ""
    screen.progress = lambda: (AT_NS, 120_000)
    line = screen.tell_progress()
    screen.close()

    out = capsys.readouterr().out
    if form == "json":
        assert (json.loads(out)["events"], line) == (120_000, "")
    else:
        assert (out, line) == ("", "2024-01-01T00:00:00.123Z  120,000 events")


# --- the status view ----------------------------------------------------------------------------

VIEW = Snapshot(
    mode="PAPER",
    bot="demo",
    stopping="",
    now_ns=AT_NS,
    run_ns=61_000_000_000,
    event_count=100,
    venues={"paper": "", "other": "link lost"},
    markets=[
        MarketLine(symbol="paper:BTC-EUR", bid_px=99.5, ask_px=100.5, age_s=0.2, blocked=""),
        MarketLine(symbol="other:ETH-EUR", bid_px=nan, ask_px=nan, age_s=nan, blocked=""),
    ],
    positions=[
        PositionView(
            strategy="maker",
            symbol="paper:BTC-EUR",
            qty=Decimal("-0.5"),
            average_px=Decimal("99.125"),
            realised=Decimal(1),
            currency="EUR",
            fees={},
            fees_untold=0,
        )
    ],
    orders=[f"demo-1-{n}  buy 1 paper:BTC-EUR at 99  NEW" for n in range(8)],
    order_count=11,
    equity=[
        EquityPoint(
            currency="EUR",
            realised=Decimal("1.5"),
            unrealised=Decimal("-2.25"),
            fees=Decimal("0.1"),
            equity=Decimal("-0.85"),
        )
    ],
    counts={"submitted": 20, "fills": 3, "refused": 0},
)


def drawn(items: Sequence[LogLine | Snapshot]) -> str:
    console = Console(
        file=io.StringIO(), force_terminal=True, width=120, height=60, color_system=None
    )
    sink = StatusSink(console)
    for item in items:
        sink.write(item)
    sink.idle()
    sink.close()
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def test_the_view_shows_all_a_person_asks_for() -> None:
    text = drawn([LogLine("info", "hello"), VIEW])

    for word in (
        " PAPER  demo  0:01:01",
        "99.5",
        "0.2 s ago",
        "never",
        "link lost",
        "-0.5",
        "99.125",
        "-2.25",
        "-0.85",
        "working orders 11",
        "and 3 more",
        "submitted 20  fills 3",
        "hello",
        "twice ends at once",
    ):
        assert word in text, word
    assert "refused" not in text


def test_the_view_tells_the_total_or_what_it_lacks() -> None:
    point = EquityPoint(
        currency="USD",
        realised=Decimal("1.5"),
        unrealised=Decimal("-2.25"),
        fees=Decimal("0.1"),
        fees_estimated=Decimal("0.05"),
        equity=Decimal("-7.77"),
    )
    whole = drawn([attrs.evolve(VIEW, total=Total(currency="USD", point=point))])
    for word in ("total USD", "-7.77", "0.100 (0.0500 of it estimated)"):
        assert word in whole, word

    lacking = Total(currency="USD", point=None, missing=("no rate for EUR",))
    assert "total incomplete in USD: no rate for EUR" in drawn([attrs.evolve(VIEW, total=lacking)])


def test_the_view_tells_the_rate_and_the_stop() -> None:
    later = attrs.evolve(VIEW, run_ns=63_000_000_000, event_count=4_100, stopping="signal SIGINT")

    text = drawn([VIEW, later])

    assert "2,000 events/s" in text
    assert "stopping: signal SIGINT" in text


def test_before_the_first_trade_there_is_no_table_of_money() -> None:
    text = drawn([attrs.evolve(VIEW, positions=[], equity=[], orders=[], order_count=0)])

    assert "P&L" not in text
    assert "working orders 0" in text


def test_errors_stay_above_the_view_and_the_cursor_comes_back() -> None:
    text = drawn([VIEW, LogLine("error", "it broke")])

    assert "it broke" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


# --- earlier runs -------------------------------------------------------------------------------


def killed(folder: Path, mode: str, *, with_order: bool = True) -> SqliteJournal:
    journal = SqliteJournal.open(folder, "bot")
    journal.begin_run(run_id="first", mode=mode, config="", started_ns=AT_NS)
    if with_order:
        journal.record(build_new_order(client_order_id="bot-first-1"))
        journal.commit()
    journal.close()
    return SqliteJournal.open(folder, "bot")


def test_a_killed_paper_run_took_its_orders_along(tmp_path: Path) -> None:
    journal = killed(tmp_path, "PAPER")
    told: list[str] = []

    settle_earlier_runs(journal, {}, told.append)

    assert "first (PAPER, started 2024-01-01T00:00:00.123Z) was killed; its 1 open order" in told[0]
    assert journal.unfinished() == []
    journal.close()


def test_a_killed_run_without_orders_is_told_too(tmp_path: Path) -> None:
    journal = killed(tmp_path, "PAPER", with_order=False)
    told: list[str] = []

    settle_earlier_runs(journal, {}, told.append)

    assert told[0].endswith("was killed.")
    journal.close()


def test_orders_of_a_killed_live_run_forbid_the_next(tmp_path: Path) -> None:
    journal = killed(tmp_path, "LIVE")

    with pytest.raises(ConfigError, match="1 order may still rest at a venue") as refusal:
        settle_earlier_runs(journal, {}, print)

    assert "bot-first-1" in str(refusal.value)
    assert len(journal.unfinished()) == 1
    journal.close()
