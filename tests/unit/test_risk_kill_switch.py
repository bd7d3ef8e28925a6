"""Loss rules and the kill switch: what trips it, what it does, and what it leaves possible."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from botkit import Quote, Strategy
from botkit.assembly import build_rules
from botkit.errors import ConfigError, JournalError
from botkit.killswitch import KillSwitch
from botkit.model import (
    Fill,
    Halted,
    Operation,
    OperatorCommand,
    OrdStatus,
    Refused,
    SendFailed,
    StopRequested,
)
from botkit.shell import ExitCode
from botkit.testing import (
    SYMBOL,
    build_context,
    build_new_order,
    build_quote,
    build_snapshot,
    build_trade,
    run_strategy,
    time_ns,
)
from tests.unit.risk_bench import CROSS, ETH, RiskBench, config

DAY_S = 86_400.0
HALT = Halted(rule="max_daily_loss", reason="lost", limit="5", measured="6", receive_time_ns=7)


def halt(bench: RiskBench, after_s: float = 1) -> None:
    """Let an operator halt the bot."""
    command = OperatorCommand(
        operation=Operation.HALT, reason="enough", receive_time_ns=time_ns(after_s)
    )
    bench.engine.handle(command)


# --- loss rules -----------------------------------------------------------------------------


def test_a_position_that_bleeds_trips_without_any_order() -> None:
    bench = RiskBench({"max_daily_loss": "20"})
    bench.hold("10", "100")
    resting = bench.sell("1", "105")
    assert bench.verdict().margin == 10  # marked at the bid, 99
    bench.quote(0.5, 98.001, 101)
    bench.tick(1)
    assert bench.halted() is None
    bench.quote(1.5, 98, 101)
    bench.tick(1.9)
    assert bench.halted() is None
    bench.tick(2)
    halted = bench.halted()
    assert halted is not None
    assert (halted.rule, halted.limit, Decimal(halted.measured)) == (
        "max_daily_loss",
        "20",
        Decimal(20),
    )
    assert halted.reason == "a loss of 20.00 EUR has reached max_daily_loss 20"
    assert [each.client_order_id for each in bench.cancels] == [resting.client_order_id]
    assert bench.recorded(Halted) == [halted]


def test_a_fill_and_its_fee_trip_at_once() -> None:
    bench = RiskBench({"max_daily_loss": "20"})
    order = bench.buy("1", "100")
    fee = {"commission": Decimal(19), "commission_currency": "EUR"}
    bench.fills_at(order, "1", "100", 0.25, **fee)
    assert bench.halted() is not None  # 1 to the bid and 19


def test_shorts_are_marked_at_the_ask_and_fees_in_base_at_the_rate() -> None:
    bench = RiskBench({"max_drawdown": "1000"})
    order = bench.sell("2", "100")
    fee = {"commission": Decimal(1), "commission_currency": "BTC"}
    bench.fills_at(order, "2", "100", 0.25, **fee)
    bench.buy("1", "98")
    assert bench.verdict().measured == 2 + 101  # a BTC owed is bought at the ask


def test_each_day_starts_anew_at_midnight_utc() -> None:
    bench = RiskBench({"max_daily_loss": "20"}, rate_stale_ns=time_ns(2 * DAY_S))
    bench.hold("10", "100")
    bench.tick(DAY_S - 1)
    assert Decimal(bench.engine.guard.carried()["max_daily_loss"]["loss"]) == 10
    bench.tick(DAY_S + 1)
    bench.quote(DAY_S + 1.5, 97.5, 101)
    bench.tick(DAY_S + 2)
    assert bench.halted() is None
    bench.quote(DAY_S + 2.5, 97, 101)
    bench.tick(DAY_S + 3)
    assert bench.halted() is not None


def test_drawdown_is_from_the_highest() -> None:
    bench = RiskBench({"max_drawdown": "20"})
    bench.hold("10", "100")
    bench.quote(1, 104, 105)
    bench.tick(2)
    bench.quote(2.5, 102.001, 105)
    bench.tick(3)
    assert bench.halted() is None
    bench.quote(3.5, 102, 105)
    bench.tick(4)
    assert bench.halted() is not None


@pytest.mark.parametrize("rule", ["max_daily_loss", "max_drawdown"])
def test_what_earlier_runs_lost_counts_on(rule: str) -> None:
    first = RiskBench({rule: "20"})
    first.hold("8", "100")
    first.tick(1)
    carried = first.engine.guard.carried()

    again = RiskBench({rule: "20"}, carried=carried)
    again.hold("11", "100")
    assert again.halted() is None
    again.hold("1", "100")
    assert again.halted() is not None


@pytest.mark.parametrize("carried", [{}, {"day": "x", "loss": "y"}, {"day": "5", "loss": "nan"}])
def test_what_cannot_be_read_or_is_of_another_day_does_not_count(
    carried: Mapping[str, str],
) -> None:
    bench = RiskBench({"max_daily_loss": "20"}, carried={"max_daily_loss": carried})
    bench.hold("19", "100")
    assert bench.halted() is None


def test_a_stale_mark_or_rate_cannot_tell_a_loss_and_halts_after_a_while() -> None:
    risk = {"max_daily_loss": {"limit": "2000", "currency": "EUR", "mark_stale": "5s"}}
    bench = RiskBench(risk, symbols=(SYMBOL, CROSS), rate_stale_ns=10_000_000_000)
    bench.quote(0, 0.04, 0.05, symbol=CROSS)
    bench.hold("10", "0.05", symbol=CROSS)
    bench.quote(6, 0.04, 0.05, symbol=CROSS)
    bench.tick(10)
    assert bench.buy("1", "0.04", symbol=CROSS).is_open
    bench.tick(11)  # the rate of BTC is 11 s old, the mark is not
    assert "or no rate to EUR, that is fresh" in bench.buy("1", "0.04", symbol=CROSS).text
    assert bench.sell("1", "0.05", symbol=CROSS).is_open
    bench.quote(15.5, 99, 101)
    bench.tick(16)
    assert bench.halted() is None
    bench.tick(17)  # now it is the mark
    bench.tick(21)
    assert bench.halted() is None
    bench.tick(22)
    halted = bench.halted()
    assert halted is not None
    assert halted.reason.endswith("only reducing orders pass, for 5s")
    assert bench.engine.portfolio.position(CROSS) == 10  # halted, not flattened


def test_depth_that_moves_keeps_a_quote_it_does_not_change_fresh() -> None:
    bench = RiskBench({"max_daily_loss": "20"}, quoted=False)
    levels = [(99.0, 1.0), (98.0, 1.0)], [(101.0, 1.0)]
    bench.engine.handle(build_snapshot(0, *levels))
    bench.hold("1")
    for after_s in (50, 100):
        bench.engine.handle(build_snapshot(after_s, [*levels[0], (97.0, after_s)], levels[1]))
    bench.tick(150)
    assert bench.buy("1", "98").is_open
    bench.tick(161)
    assert bench.buy("1", "98").ord_status is OrdStatus.REJECTED


def test_a_loss_that_cannot_be_told_lets_reducing_orders_pass_and_then_halts() -> None:
    bench = RiskBench({"max_daily_loss": {"limit": "20", "mark_stale": "5s"}})
    bench.hold("10", "100")
    bench.quote(0.5, 0, 0)
    bench.engine.handle(build_quote(0.5))
    bench.tick(1)
    assert "a position has no mark, or no rate to EUR" in bench.buy("1").text
    assert bench.sell("10").is_open
    bench.tick(5.5)
    assert bench.halted() is None
    bench.tick(6)
    halted = bench.halted()
    assert halted is not None
    assert halted.reason.endswith("only reducing orders pass, for 5s")
    assert len(bench.new_orders) == 2  # nothing was flattened


def test_instruments_that_settle_apart_need_a_currency() -> None:
    bench = RiskBench({"max_drawdown": "20"}, symbols=(SYMBOL, CROSS))
    assert "the instruments settle in several currencies" in bench.buy("1").text
    named = {"max_drawdown": {"limit": "2000", "currency": "EUR"}}
    bench = RiskBench(named, symbols=(ETH, CROSS, SYMBOL))
    bench.hold("1", "101", symbol=CROSS)
    bench.buy("1")
    assert bench.verdict().measured == 2 * 101  # 2 BTC lost, at the ask


def test_a_strategys_loss_is_its_own() -> None:
    bench = RiskBench({"strategies": {"a": {"max_daily_loss": "20"}}})
    bench.hold("30", "100", of=1)
    assert bench.halted() is None
    bench.hold("20", "100")
    halted = bench.halted()
    assert halted is not None
    assert halted.rule == "strategies.a.max_daily_loss"


def test_before_the_first_look_only_reducing_orders_pass() -> None:
    (rule,) = build_rules(config({"max_daily_loss": "20"}))
    assert not rule.check(build_new_order(), build_context()).passed
    assert rule.check(build_new_order(), build_context(position=-1)).passed


# --- what a trip does -----------------------------------------------------------------------


def test_a_halted_bot_lets_only_reducing_orders_pass_and_every_cancel() -> None:
    bench = RiskBench({}, keep_running=True)
    bench.hold("3")
    order = bench.buy("1", "98")
    halt(bench)
    assert [each.client_order_id for each in bench.cancels] == [order.client_order_id]
    refused = bench.buy("1")
    assert refused.text == (
        "the bot is halted by operator: enough; only orders that reduce a position pass"
    )
    assert bench.recorded(Refused)[-1].rule == "kill_switch"
    first = bench.sell("2")
    assert first.is_open
    assert bench.sell("1.001").ord_status is OrdStatus.REJECTED
    assert bench.sell("1").is_open
    bench.ack(first)
    first.cancel()
    assert bench.cancels[-1].client_order_id == first.client_order_id
    assert not bench.engine.lifecycle.stop_wanted


def test_a_replace_that_only_reduces_passes_and_no_other() -> None:
    bench = RiskBench({}, keep_running=True)
    bench.hold("3")
    halt(bench)
    order = bench.sell("1")
    bench.ack(order)
    order.replace(qty=Decimal("2.001"))
    assert not bench.replaces  # old plus new may fill: 3.001
    order.replace(qty=Decimal(2))
    assert len(bench.replaces) == 1


def test_requests_of_the_hook_that_halts_are_dropped_and_their_strategy_is_told() -> None:
    bench = RiskBench({})
    actor = bench.actors[0]
    before = bench.buy("1", "98")
    bench.ack(before)
    placed = []

    def act(_: Quote) -> None:
        placed.append(actor.buy(actor.instrument, "1", price="98"))
        before.replace(qty=Decimal(2))
        actor.halt("too odd")
        placed.append(actor.buy(actor.instrument, "1", price="98"))

    actor.acts["on_quote"] = act
    bench.quote(1, 99, 101)
    assert [order.ord_status for order in placed] == [OrdStatus.REJECTED] * 2
    assert len(bench.new_orders) == 1
    assert not bench.replaces
    assert [each.client_order_id for each in bench.cancels] == [before.client_order_id]
    failed = bench.recorded(SendFailed)
    assert {each.text for each in failed} == {"dropped, not sent: the bot was halted before"}
    assert len(failed) == 2
    assert ("on_order", placed[0].client_order_id, OrdStatus.REJECTED) in actor.seen
    halted = bench.halted()
    assert halted is not None
    assert (halted.rule, halted.reason) == ("strategies.a", "too odd")
    assert bench.engine.lifecycle.stop_wanted == "halted by strategies.a: too odd"


def test_a_kept_stop_that_reduces_stays_and_everything_else_kept_goes() -> None:
    bench = RiskBench({})
    bench.hold("3")
    stop = bench.sell("3", None, stop_px="90", keep=True)
    entry = bench.buy("1", None, stop_px="110", keep=True)
    kept = bench.buy("1", "98", keep=True)
    halt(bench)
    gone = {each.client_order_id for each in bench.cancels}
    assert gone == {entry.client_order_id, kept.client_order_id}
    assert stop.is_open


def test_kept_stops_that_together_cross_zero_go() -> None:
    bench = RiskBench({})
    bench.hold("3")
    for _ in range(2):
        bench.sell("2", None, stop_px="90", keep=True)
    halt(bench)
    assert len(bench.cancels) == 2


def test_the_first_trip_stays_and_cancels_leave_before_anybody_is_told() -> None:
    told: list[int] = []

    def tell(_: Halted) -> None:
        told.append(len(bench.cancels))

    bench: RiskBench = RiskBench({}, on_halt=tell)
    bench.buy("1", "98")
    halt(bench)
    halt(bench, 2)
    assert told == [1]
    assert len(bench.recorded(Halted)) == 1


def test_a_strategys_halt_ends_its_run_with_4_and_pulls_what_rests() -> None:
    orders = []

    class Holder(Strategy):
        def on_trade(self, _: object) -> None:
            orders.append(self.buy(self.instrument, "1", price="50"))

        def on_timer(self, name: str) -> None:
            self.halt(name)

        def on_start(self) -> None:
            self.set_timer("late", 1.5)

    result = run_strategy(Holder, events=[build_quote(0, 99, 101), build_trade(1, 100)])
    assert result.exit_code is ExitCode.STOPPED_BY_RISK
    assert not result.resting
    (order,) = orders
    assert order.ord_status is OrdStatus.CANCELED


# --- whole runs -----------------------------------------------------------------------------


class Falling(Strategy):
    """Buys at once; the market falls."""

    def on_quote(self, quote: Quote) -> None:
        if not self.position() and not self.orders():
            self.buy(self.instrument, "1", price=self.instrument.price(quote.ask_px))


def test_a_run_that_loses_too_much_ends_with_4_and_nothing_resting() -> None:
    quotes = [build_quote(each, 99 - each, 101 - each, ask_qty=5) for each in range(30)]

    result = run_strategy(
        Falling, events=quotes, risk={"max_daily_loss": "10", "max_position": "2"}
    )

    assert result.exit_code is ExitCode.STOPPED_BY_RISK
    assert result.halted is not None
    assert result.halted.rule == "max_daily_loss"
    assert not result.resting
    assert result.position() == 1  # halted, not flattened
    lost = [entry for entry in result.journal if isinstance(entry, Fill)]
    assert len(lost) == 1
    assert [[each.rule for each in checked] for checked in result.verdicts] == [
        ["max_daily_loss", "max_position"]
    ]


def test_a_halt_while_the_bot_stops_still_counts() -> None:
    bench = RiskBench({})
    bench.engine.handle(StopRequested(reason="done", receive_time_ns=time_ns(1)))
    halt(bench, 2)
    assert bench.halted() is not None


# --- the file -------------------------------------------------------------------------------


def test_a_trip_outlives_the_object_and_a_clearance_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    switch = KillSwitch.of(folder, "bot")
    assert (switch.halted, switch.halted_ns, switch.history) == (None, 0, [])
    switch.carry({"max_daily_loss": {"day": "5", "loss": "6"}})
    switch.trip(HALT, 11)
    switch.trip(Halted(rule="operator", reason="later"), 12)

    switch = KillSwitch.of(folder, "bot")
    assert (switch.halted, switch.halted_ns) == (HALT, 11)
    assert switch.carried == {"max_daily_loss": {"day": "5", "loss": "6"}}
    with pytest.raises(ConfigError, match="empty reason"):
        switch.clear(" ", 13)
    switch.clear("looked at", 13)

    switch = KillSwitch.of(folder, "bot")
    assert switch.halted is None
    assert switch.carried == {}
    (cleared,) = switch.history
    assert (cleared.halted, cleared.halted_ns, cleared.cleared_ns) == (HALT, 11, 13)
    assert cleared.reason == "looked at"
    with pytest.raises(ConfigError, match="has not tripped"):
        switch.clear("again", 14)
    switch.trip(HALT, 15)
    switch.clear("once more", 16)
    assert len(KillSwitch.of(folder, "bot").history) == 2
    assert [path.name for path in folder.iterdir()] == ["bot.risk.json"]


def test_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    switch = KillSwitch.of(tmp_path, "bot")
    switch.carry({})
    assert not switch.path.exists()


def test_a_damaged_file_is_an_error_and_no_leave_to_trade(tmp_path: Path) -> None:
    (tmp_path / "bot.risk.json").write_text('{"halted": 5}')
    with pytest.raises(JournalError, match=r"bot\.risk\.json: cannot be read .* mend it"):
        KillSwitch.of(tmp_path, "bot")


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file, not a folder")
    switch = KillSwitch(tmp_path / "free" / "bot.risk.json")
    switch.path.parent.write_text("in the way")
    with pytest.raises(JournalError, match="cannot be written"):
        switch.trip(HALT, 1)


def test_what_was_carried_is_forced_to_the_disk_once_and_again_where_that_failed(
    tmp_path: Path,
) -> None:
    switch = KillSwitch.of(tmp_path, "bot")
    switch.sync()  # nothing was written: nothing is looked for
    switch.carry({"max_daily_loss": {"loss": "6"}})
    hidden = switch.path.rename(tmp_path / "aside")
    for _ in range(2):
        with pytest.raises(JournalError, match=r"bot\.risk\.json: cannot be forced to the disk"):
            switch.sync()
    hidden.rename(switch.path)
    switch.sync()
    switch.path.unlink()
    switch.sync()  # done, and not done again


def test_what_is_carried_after_a_trip_or_at_the_end_is_on_the_disk_at_once(tmp_path: Path) -> None:
    switch = KillSwitch.of(tmp_path, "bot")
    switch.carry({"max_daily_loss": {"loss": "6"}})
    switch.carry({"max_daily_loss": {"loss": "6"}}, durable=True)  # the same: forced nevertheless
    switch.path.unlink()
    switch.sync()
    switch.carry({"max_daily_loss": {"loss": "7"}}, durable=True)
    switch.path.unlink()
    switch.sync()
    switch.trip(HALT, 11)
    switch.carry({"max_daily_loss": {"loss": "8"}})
    assert KillSwitch.of(tmp_path, "bot").carried == {"max_daily_loss": {"loss": "8"}}
    switch.path.unlink()
    switch.sync()


def test_what_could_not_be_written_is_written_once_it_can_be(tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path / "x.risk.json")
    in_the_way = tmp_path / "x.risk.tmp"  # where the file is written before it counts
    in_the_way.mkdir()
    carried = {"max_daily_loss": {"loss": "7"}}
    for _ in range(2):
        with pytest.raises(JournalError, match="cannot be written"):
            switch.carry(carried)
    with pytest.raises(JournalError, match="cannot be written"):
        switch.trip(HALT, 9)

    in_the_way.rmdir()
    switch.carry(carried)

    kept = KillSwitch(switch.path)
    assert (kept.carried, kept.halted) == (carried, HALT)
