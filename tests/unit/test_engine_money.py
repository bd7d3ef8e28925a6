"""Money inside the engine: adjustments, balances held against ours, late fees, totals."""

from decimal import Decimal
from typing import Any

import pytest

from botkit.model import Adjustment, AdjustmentKind, Balance, FeeTold, OrdStatus, Tick
from botkit.ports import FeeSchedule
from botkit.testing import SYMBOL, build_quote, time_ns
from botkit.testing.engine_rig import Actor, EngineRig

DIFFERS = "balance differs: a deposit, or a trade by hand? tell of it with botkit adjust"


class Bench:
    """A rig whose account holds 10 BTC and 1000 EUR."""

    def __init__(self, **settings: Any) -> None:
        self.actor = Actor()
        self.rig = EngineRig(
            self.actor, fees={"paper": FeeSchedule(taker_bps=Decimal(100))}, **settings
        )
        self.engine = self.rig.engine
        self.rig.start()
        self.tell("BTC", "10", 0)
        self.tell("EUR", "1000", 0)

    def tell(self, currency: str, total: str, after_s: float) -> None:
        amount = Decimal(total)
        self.engine.handle(
            Balance(
                venue="paper",
                currency=currency,
                total=amount,
                available=amount,
                receive_time_ns=time_ns(after_s),
            )
        )

    def buy(self, qty: str, price: str, after_s: float, fee: str | None = "0") -> None:
        order = self.actor.buy(self.actor.instrument, qty, price=price)
        terms: dict[str, Any] = (
            {} if fee is None else {"commission": Decimal(fee), "commission_currency": "EUR"}
        )
        self.rig.fill(order, qty, price, after_s, exec_id="e", **terms)

    def adjust(self, kind: str, after_s: float = 1, **fields: Any) -> None:
        self.engine.handle(
            Adjustment(kind=AdjustmentKind(kind), receive_time_ns=time_ns(after_s), **fields)
        )

    def wait(self, until_s: float) -> None:
        self.engine.handle(Tick(time_ns(until_s)))

    def warnings(self) -> list[tuple[object, object, object]]:
        return [
            (line["currency"], line["venue_says"], line["fills_and_fees_say"])
            for line in self.rig.lines(DIFFERS)
        ]


# --- balances ---------------------------------------------------------------------------------


def test_balances_that_follow_the_fills_are_not_mentioned() -> None:
    bench = Bench()
    bench.buy("2", "100", 1, fee="0.5")
    bench.tell("BTC", "12", 1)
    bench.tell("EUR", "799.5", 1)
    bench.wait(60)
    assert bench.warnings() == []


@pytest.mark.parametrize("first", ["balance", "fill"])
def test_balance_and_fill_may_come_one_before_the_other(first: str) -> None:
    bench = Bench()
    if first == "balance":
        bench.tell("EUR", "800", 1)
        bench.buy("2", "100", 4)
    else:
        bench.buy("2", "100", 1)
        bench.wait(3)
        bench.tell("EUR", "800", 4)
    bench.wait(60)
    assert bench.warnings() == []


def test_what_rounding_a_mean_price_leaves_is_no_difference() -> None:
    bench = Bench()
    order = bench.actor.buy(bench.actor.instrument, "2", price="100")
    terms: dict[str, Any] = {"commission": Decimal(0), "commission_currency": "EUR"}
    bench.rig.fill(order, "2", "99.9999999999999999999999997", 1, exec_id="e", **terms)
    bench.tell("EUR", "800", 1)
    bench.wait(60)
    assert bench.warnings() == []


def test_a_difference_is_told_once_for_each_change_with_both_numbers() -> None:
    bench = Bench()
    bench.tell("EUR", "1500", 1)
    bench.wait(5.9)
    assert bench.warnings() == []
    bench.wait(6)
    assert bench.warnings() == [("EUR", Decimal(1500), Decimal(1000))]
    bench.tell("EUR", "1500", 7)
    bench.wait(60)
    assert len(bench.warnings()) == 1
    bench.tell("EUR", "1400", 61)
    bench.wait(70)
    assert bench.warnings()[1:] == [("EUR", Decimal(1400), Decimal(1500))]


def test_a_difference_that_still_moves_is_waited_for() -> None:
    bench = Bench()
    bench.tell("EUR", "1500", 1)
    bench.buy("1", "100", 4)
    bench.wait(6)
    assert bench.warnings() == []
    bench.wait(11)
    assert bench.warnings() == [("EUR", Decimal(1500), Decimal(900))]


def test_a_deposit_that_is_recorded_is_no_difference_and_no_profit() -> None:
    bench = Bench()
    bench.tell("EUR", "1500", 1)
    bench.adjust(
        "DEPOSIT", 2, venue="paper", currency="EUR", amount=Decimal(500), reason="more to trade"
    )
    bench.wait(60)
    assert bench.warnings() == []
    assert bench.engine.portfolio.equity(bench.engine.touch_of, 0) == []
    assert bench.rig.lines("adjusted")[0]["amount"] == 500
    assert bench.rig.lines("adjusted")[0]["reason"] == "more to trade"


def test_a_deposit_may_be_in_what_the_venue_has_told_a_balance_in() -> None:
    bench = Bench()
    deposit: dict[str, Any] = {"venue": "paper", "currency": "GBP", "amount": Decimal(5)}
    bench.adjust("DEPOSIT", **deposit)
    (line,) = bench.rig.lines("adjustment refused")
    assert line["problem"] == "currency: found 'GBP', allowed: BTC, EUR"
    bench.tell("GBP", "5", 1)
    bench.adjust("DEPOSIT", 2, **deposit)
    assert bench.rig.lines("adjusted")[0]["currency"] == "GBP"


def test_a_deposit_recorded_but_not_seen_is_a_difference() -> None:
    bench = Bench()
    bench.adjust("DEPOSIT", venue="paper", currency="EUR", amount=Decimal(500))
    bench.wait(60)
    assert bench.warnings() == [("EUR", Decimal(1000), Decimal(1500))]


def test_while_a_fee_is_not_told_nothing_is_compared() -> None:
    bench = Bench()
    bench.buy("1", "100", 1, fee=None)
    bench.tell("EUR", "899", 2)
    bench.tell("GBP", "5", 2)
    bench.wait(60)
    assert bench.warnings() == []


# --- adjustments ------------------------------------------------------------------------------


def test_a_manual_trade_moves_position_and_balances_and_is_journaled() -> None:
    bench = Bench()
    bench.adjust("TRADE", symbol=SYMBOL, strategy="a", qty=Decimal(-2), price=Decimal(100))
    bench.tell("BTC", "8", 2)
    bench.tell("EUR", "1200", 2)
    bench.wait(60)
    assert bench.warnings() == []
    assert bench.actor.position() == -2
    assert [entry.qty for entry in bench.rig.recorded(Adjustment)] == [-2]
    assert bench.rig.lines("adjusted")[0]["kind"] is AdjustmentKind.TRADE


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"kind": "DEPOSIT", "venue": "bank"}, "venue: found 'bank', allowed: paper"),
        ({"kind": "DEPOSIT", "venue": "paper"}, "currency: missing"),
        ({"kind": "TRADE", "symbol": "paper:NO"}, f"symbol: found 'paper:NO', allowed: {SYMBOL}"),
        ({"kind": "OPENING", "symbol": SYMBOL, "qty": Decimal(1)}, "price: found None, allowed"),
        (
            {"kind": "TRADE", "symbol": SYMBOL, "qty": Decimal(1), "price": Decimal(0)},
            "price: found 0, allowed",
        ),
    ],
)
def test_an_adjustment_that_cannot_be_booked_is_refused_and_says_why(
    fields: dict[str, Any], problem: str
) -> None:
    bench = Bench()
    bench.adjust(**fields)
    assert str(bench.rig.lines("adjustment refused")[0]["problem"]).startswith(problem)
    assert bench.rig.recorded(Adjustment) == []


def test_what_no_strategy_trades_now_is_carried_on_in_the_journal() -> None:
    bench = Bench()
    bench.adjust("CARRIED", symbol="paper:ETH-EUR", qty=Decimal(3), price=Decimal(7))
    assert [entry.qty for entry in bench.rig.recorded(Adjustment)] == [3]
    assert bench.engine.portfolio.positions() == []
    assert len(bench.rig.lines("carried on: no strategy trades it now")) == 1


# --- fees and totals --------------------------------------------------------------------------


def test_a_fee_told_late_replaces_its_estimate_and_is_journaled() -> None:
    bench = Bench()
    bench.buy("1", "100", 1, fee=None)
    assert bench.engine.portfolio.positions()[0].fees_estimated == 1
    done = bench.engine.orders.get(bench.rig.new_orders[0].client_order_id)
    assert done is not None
    fee = {"commission": Decimal("0.25"), "commission_currency": "EUR"}
    bench.rig.report(
        done, OrdStatus.FILLED, 2, last_qty="1", last_px="100", exec_id="e", cum_qty=1, **fee
    )
    assert bench.engine.portfolio.positions()[0].fees_estimated == 0
    assert [told.commission for told in bench.rig.recorded(FeeTold)] == [Decimal("0.25")]


def test_there_is_a_total_only_in_a_currency_that_was_chosen() -> None:
    assert Bench().engine.money.total() is None


def test_a_total_is_complete_while_its_quotes_are_fresh() -> None:
    bench = Bench(report_currency="BTC", rate_stale_ns=10_000_000_000)
    bench.engine.handle(build_quote(1, 100, 100))
    bench.buy("1", "99", 1)

    total = bench.engine.money.total(strategy="a", symbol=SYMBOL, venue="paper")
    assert total is not None
    assert total.point is not None
    assert total.point.equity == Decimal("0.01")

    bench.wait(12)
    stale = bench.engine.money.total()
    assert stale is not None
    assert stale.point is None
    assert (
        "no price for paper:BTC-EUR (the quote of paper:BTC-EUR is 11.0 s old" in stale.missing[0]
    )
