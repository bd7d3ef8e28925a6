"""Refused requests in the log: equal ones once in a while, each of them in the journal."""

from botkit.model import Refused, StopRequested
from botkit.testing import SYMBOL, time_ns
from tests.unit.risk_bench import ETH, RiskBench

TOO_LARGE = {"max_order_qty": "5"}


def test_equal_refusals_are_logged_once_in_10_s_with_a_count_of_the_rest() -> None:
    bench = RiskBench(TOO_LARGE, symbols=(SYMBOL, ETH))
    for _ in range(3):
        bench.buy("6", "98")
    assert len(bench.lines("refused")) == 1
    bench.buy("6", "98", of=1)
    bench.buy("6", "98", symbol=ETH)
    bench.buy("0.0001", "98")
    lines = bench.lines("refused")
    assert [(line["rule"], line["symbol"], line["strategy"]) for line in lines] == [
        ("max_order_qty", SYMBOL, "a"),
        ("max_order_qty", SYMBOL, "b"),
        ("max_order_qty", ETH, "a"),
        ("grid", SYMBOL, "a"),
    ]
    assert len(bench.recorded(Refused)) == 6

    bench.tick(9.9)
    assert len(bench.lines("refused")) == 4
    bench.tick(10)
    assert bench.lines("refused")[4:] == [
        {"rule": "max_order_qty", "symbol": SYMBOL, "strategy": "a", "more_in_10_s": 2}
    ]


def test_a_refusal_after_10_quiet_seconds_is_told_whole_again() -> None:
    bench = RiskBench(TOO_LARGE)
    bench.buy("6", "98")
    bench.tick(10)
    bench.buy("6", "98")
    bench.buy("6", "98")
    assert [line.get("measured") for line in bench.lines("refused")] == ["6", "6"]
    bench.tick(20)  # the line with the count begins 10 s of its own
    bench.buy("6", "98")
    assert [line.get("more_in_10_s") for line in bench.lines("refused")] == [None, None, 1]
    bench.tick(30)
    bench.tick(40)
    assert [line.get("more_in_10_s") for line in bench.lines("refused")] == [None, None, 1, 1]


def test_while_the_bot_stops_a_refusal_is_a_debug_line() -> None:
    bench = RiskBench(TOO_LARGE)
    bench.engine.handle(StopRequested(reason="done", receive_time_ns=time_ns(1)))
    bench.buy("6", "98")
    assert [level for level, text, _ in bench.log if text == "refused"] == ["debug"]
