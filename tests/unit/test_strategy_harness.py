"""`botkit.testing`: one strategy over a market of the test's making."""

from decimal import Decimal
from math import isnan
from typing import Any

import attrs
import pytest

from botkit import OrdStatus, Quote, Strategy
from botkit.errors import ConfigError, JournalError
from botkit.model import ExecType, OrdType, Tick
from botkit.shell import ExitCode
from botkit.testing import (
    START_NS,
    MemoryJournal,
    RunResult,
    build_instrument,
    build_new_order,
    build_quote,
    build_report,
    build_snapshot,
    build_trade,
    run_strategy,
    time_ns,
)

TWO = ("paper:BTC-EUR", "paper:ETH-EUR")


class Buyer(Strategy):
    """Keeps a bid at the touch."""

    @attrs.frozen
    class Params:
        """How much."""

        qty: Decimal

    params: Params

    def on_quote(self, quote: Quote) -> None:
        """Bid, unless a bid rests."""
        if not self.orders():
            price = self.instrument.price(quote.bid_px)
            self.buy(self.instrument, self.params.qty, price=price, post_only=True)


class Broken(Strategy):
    """Fails at the second quote."""

    def on_quote(self, quote: Quote) -> None:
        """Fail where the bid is 98."""
        self.log("seen", bid=quote.bid_px)
        if quote.bid_px < 99:
            raise ZeroDivisionError("as planned")

    def on_stop(self) -> None:
        """Tell when."""
        self.log("stopped", at=self.now_ns)


def buy(**changes: Any) -> RunResult:
    """Run the buyer over two quotes and a trade through its price."""
    script = [build_quote(0, 99, 101), build_trade(1, 98, 5), build_quote(2, 98, 100)]
    return run_strategy(Buyer, **{"params": {"qty": "0.5"}, "events": script, **changes})


def test_tells_orders_fills_position_and_profit() -> None:
    """A bid that filled at 99 and is marked at 98 has lost half a unit's worth."""
    result = buy()
    assert [order.ord_status for order in result.orders] == [
        OrdStatus.FILLED,
        OrdStatus.CANCELED,
    ]
    assert [(fill.qty, fill.price) for fill in result.fills] == [(Decimal("0.5"), Decimal(99))]
    assert result.position() == Decimal("0.5")
    assert result.equity == {"EUR": Decimal("-0.5")}
    assert len(result.requests) == 2
    assert len(result.cancels) == 1
    assert result.exit_code is ExitCode.CLEAN
    assert not result.resting
    assert isinstance(result.strategy, Buyer)


def test_fees_and_balances_are_what_is_said() -> None:
    """10 bps of 49.50, and nothing to buy with."""
    fees = {"fees": {"maker_bps": "10"}}
    assert buy(venue_options=fees).equity == {"EUR": Decimal("-0.5") - Decimal("0.0495")}
    assert {order.ord_status for order in buy(balances={"EUR": "1"}).orders} == {OrdStatus.REJECTED}


def test_rules_are_asked() -> None:
    """The refusals are there to be looked at."""
    result = buy(risk={"max_order_notional": "10"})
    assert {refused.rule for refused in result.refused} == {"max_order_notional"}
    assert result.orders == ()


def test_a_script_runs_as_long_as_is_said() -> None:
    """With `for_s` 1.5 the third event is not seen; the run ends then, not before."""
    result = buy(for_s=1.5)
    assert len(result.requests) == 1
    assert max(getattr(entry, "receive_time_ns", 0) for entry in result.journal) == time_ns(1.5)


def test_a_script_ends_a_second_after_its_last_event() -> None:
    """Time enough for answers to come; an empty one ends a second after its start."""
    assert buy().cancels[0].transact_time_ns == time_ns(3)
    (line,) = (line for line in run_strategy(Broken, events=[]).log if line.message == "stopped")
    assert line.fields["at"] == time_ns(1)


def test_equal_runs_have_equal_hashes() -> None:
    """And other markets others."""
    first, same, other = (
        buy(events=None, feed={"type": "synthetic", "seed": seed, "duration": "20s"})
        for seed in (3, 3, 4)
    )
    assert first.fills
    assert first.hash == same.hash != other.hash


def test_without_a_market_it_makes_one_for_a_minute() -> None:
    """Synthetic, seed 1; `for_s` shortens it."""
    whole = run_strategy(Buyer, params={"qty": "0.01"})
    part = run_strategy(Buyer, params={"qty": "0.01"}, for_s=10)
    assert len(whole.requests) > len(part.requests) > 0


def test_a_strategy_may_have_several_instruments() -> None:
    """All at the paper venue; positions are told apart."""
    quotes = [build_quote(0, 99, 101, symbol=symbol) for symbol in TWO]
    trade = build_trade(1, 98, symbol="paper:BTC-EUR")
    result = buy(symbols=TWO, events=[*quotes, trade])
    assert [result.position(symbol) for symbol in TWO] == [Decimal("0.5"), 0]


def test_a_strategy_is_found_by_its_name_too() -> None:
    """As in a config; what is wrong with its parameters is said as there."""
    assert run_strategy("market_maker", params={"qty": "0.1"}, for_s=5).requests
    with pytest.raises(ConfigError, match=r"params\.qty"):
        run_strategy("market_maker", params={"qty": "nothing"})


def test_a_failing_strategy_fails_the_test() -> None:
    """The traceback leads to the line; `may_fail` returns the result instead."""
    script = [build_quote(0, 99, 101), build_quote(1, 98, 100)]
    with pytest.raises(AssertionError, match=r"(?s)the strategy failed:.*on_quote.*as planned"):
        run_strategy(Broken, events=script)
    result = run_strategy(Broken, events=script, may_fail=True)
    assert result.error == "ZeroDivisionError: as planned"
    assert result.exit_code is ExitCode.ERROR
    seen = [line.fields["bid"] for line in result.log if line.message == "seen"]
    assert seen == [99, 98]


def test_a_script_that_goes_back_in_time_is_refused() -> None:
    """Where it does is said."""
    with pytest.raises(AssertionError, match="goes back in time at Quote"):
        buy(events=[build_quote(1, 99, 101), build_quote(0.5, 99, 101)])


def test_events_and_feed_exclude_each_other() -> None:
    """Nobody could tell which is meant."""
    with pytest.raises(ValueError, match="not both"):
        buy(feed={"type": "synthetic"})


def test_the_memory_journal_keeps_its_batch_while_it_is_at_fault() -> None:
    """What was recorded is committed once the fault is gone."""
    journal = MemoryJournal()
    order = build_new_order()
    journal.record(order)
    journal.fault = "the disk is full"
    with pytest.raises(JournalError, match="full"):
        journal.commit()
    assert journal.entries == []
    journal.fault = ""
    journal.commit()
    journal.commit()
    assert journal.entries == [order]


def test_builders_fill_in_what_a_test_does_not_care_about() -> None:
    """Each default is something an exchange could say."""
    instrument = build_instrument("paper:ETH-USD", tick_size="0.5", min_notional=5, inverse=True)
    assert (instrument.base, instrument.quote) == ("ETH", "USD")
    assert (instrument.tick_size, instrument.min_notional) == (Decimal("0.5"), Decimal(5))
    assert build_instrument("paper:X").quote == "EUR"
    empty = build_quote(0, ask_px=101)
    assert isnan(empty.bid_px)
    assert (empty.bid_qty, empty.ask_qty) == (0, 1)
    assert build_snapshot(2, [(99, 1)], [(101, 1)]).receive_time_ns == START_NS + 2 * 10**9
    assert build_new_order(price=None).ord_type is OrdType.MARKET
    assert build_new_order(price=0.1, qty=0.3).price == Decimal("0.1")
    assert Tick(receive_time_ns=time_ns(0)).receive_time_ns == START_NS


@pytest.mark.parametrize(
    ("report", "exec_type"),
    [
        (build_report(), ExecType.NEW),
        (build_report(ord_status=OrdStatus.FILLED, last_qty=1, last_px=100), ExecType.TRADE),
        (build_report(ord_status=OrdStatus.CANCELED), ExecType.CANCELED),
        (build_report(ord_status=OrdStatus.PENDING_CANCEL), ExecType.ORDER_STATUS),
        (build_report(exec_type=ExecType.REPLACED), ExecType.REPLACED),
    ],
)
def test_a_reports_exec_type_follows_from_what_it_tells(report: Any, exec_type: ExecType) -> None:
    """Unless it is said."""
    assert report.exec_type is exec_type


def test_several_venues_have_accounts_and_options_of_their_own() -> None:
    """Each quote goes to its own; the second's answers take half a second."""

    class Everywhere(Strategy):
        """Buys once at each venue."""

        def on_quote(self, quote: Quote) -> None:
            """Buy where the quote comes from."""
            (instrument,) = (each for each in self.instruments if each.symbol == quote.symbol)
            if not self.position(instrument) and not self.orders(instrument):
                self.buy(instrument, "0.1")

    result = run_strategy(
        Everywhere,
        events=[build_quote(0, 99, 101, symbol="a:X-EUR"), build_quote(1, 9, 11, symbol="b:X-EUR")],
        symbols=("a:X-EUR", "b:X-EUR"),
        venue_options={"b": {"latency": "500ms"}},
    )
    near, far = result.fills
    assert [near.symbol, far.symbol] == ["a:X-EUR", "b:X-EUR"]
    assert far.receive_time_ns == time_ns(1.5)
    with pytest.raises(ValueError, match="events of c; it is for a, b"):
        run_strategy(
            Everywhere,
            events=[build_quote(0, 1, 2, symbol="c:X-EUR")],
            symbols=("a:X-EUR", "b:X-EUR"),
        )
