"""What loss and rate rules hand on to the next run, and what fills and fees take from the funds."""

from collections.abc import Mapping
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from botkit.model import Adjustment, AdjustmentKind, OrdStatus, Side
from botkit.testing import SYMBOL
from risk.rates import Window
from tests.property.risk_terms import BTC_USD, INVERSE
from tests.property.risk_world import World
from tests.unit.risk_bench import RiskBench

LOSSES = ("max_daily_loss", "max_drawdown")


def ended(key: str, *held: tuple[str, int]) -> Mapping[str, Mapping[str, str]]:
    """Return what a run leaves that bought or sold at 100, with a market of 80 to 82 since."""
    bench = RiskBench({key: "1000"})
    for qty, of in held:
        bench.hold(qty, "100", of=of)
    bench.quote(1, 80, 82)
    bench.tick(3)
    return bench.engine.guard.carried()


class Given(RiskBench):
    """A bench whose run is given positions, bought at 100, before it starts."""

    def __init__(
        self, risk: Mapping[str, Any], *held: tuple[str, str], carried: Mapping[str, Any]
    ) -> None:
        self.held = held
        super().__init__(risk, carried=carried, quoted=False)

    def start(self) -> None:
        """Book them, then start."""
        for strategy, qty in self.held:
            self.engine.handle(
                Adjustment(
                    kind=AdjustmentKind.CARRIED,
                    symbol=SYMBOL,
                    strategy=strategy,
                    qty=Decimal(qty),
                    price=Decimal(100),
                )
            )
        super().start()


def begun(
    key: str, carried: Mapping[str, Mapping[str, str]], *held: tuple[str, str], bid: float = 80
) -> Decimal | None:
    """Return the loss of a run with these positions, looked at when it has a market."""
    bench = Given({key: "1000"}, *held, carried=carried)
    bench.quote(4, bid, bid + 2)
    bench.tick(6)
    bench.buy("1", "60")
    return bench.verdict().measured


@pytest.mark.parametrize("key", LOSSES)
def test_what_an_open_position_is_down_counts_once_after_a_restart(key: str) -> None:
    carried = ended(key, ("1", 0))
    assert begun(key, carried, ("a", "1")) == 20
    assert begun(key, carried, ("a", "1"), bid=75) == 25  # what it lost while nobody looked


@pytest.mark.parametrize("key", LOSSES)
def test_what_an_open_position_is_up_hides_no_loss_after_a_restart(key: str) -> None:
    carried = ended(key, ("-1", 0))  # 18 up
    again = begun(key, carried, ("a", "-1"))
    assert again == (-18 if key == "max_daily_loss" else 0)
    assert begun(key, carried, ("a", "-1"), bid=108) == (10 if key == "max_daily_loss" else 28)


@pytest.mark.parametrize("key", LOSSES)
def test_positions_of_two_strategies_that_net_out_are_handed_on_as_well(key: str) -> None:
    carried = ended(key, ("1", 0), ("-1", 1))
    assert begun(key, carried, ("a", "1"), ("b", "-1")) == 2


@pytest.mark.parametrize("key", LOSSES)
def test_a_loss_stays_where_the_position_ended_with_its_venue(key: str) -> None:
    assert begun(key, ended(key, ("1", 0))) == 20


@pytest.mark.parametrize("bid", [0.0, -1.0, nan, inf])
def test_a_bid_that_is_no_price_is_no_mark(bid: float) -> None:
    bench = RiskBench({"max_daily_loss": "1000"})
    bench.hold("1", "100")
    bench.quote(1, bid, 101)
    bench.tick(3)
    assert "cannot be checked" in bench.buy("1", "60").text
    assert bench.engine.portfolio.incomplete(bench.engine.touch_of) == {"EUR": (SYMBOL,)}


def test_a_fee_told_after_its_fill_is_taken_from_the_funds() -> None:
    bench = RiskBench({"funds": "prefunded"})
    bench.balance("EUR", "1000")
    order = bench.buy("9", "100")
    told = {"last_qty": "9", "last_px": "100", "exec_id": "x"}
    bench.report(order, OrdStatus.FILLED, 0, **told)
    fee = {"commission": Decimal(5), "commission_currency": "EUR"}
    bench.report(order, OrdStatus.FILLED, 0, **told, **fee)
    bench.report(order, OrdStatus.FILLED, 0, **told, **fee)
    bench.buy("0.1", "100")
    assert bench.verdict().limit == 95


def test_a_fill_of_a_contract_takes_nothing_from_the_funds_of_spot_orders() -> None:
    world = World(lambda below: below - 1)  # the loosest limits
    world.set_balance("two", "USD", 100)
    world.set_credit("two", "USD", "", 900)
    world.quote_all(lambda _: 1)
    contract = world.place(INVERSE, "a", Side.BUY, Decimal(4), Decimal(25))
    assert contract.is_open
    world.fill(lambda below: below - 1)
    assert world.engine.portfolio.position(INVERSE) == 4
    assert world.place(BTC_USD, "a", Side.BUY, Decimal(4), Decimal(25)).is_open
    assert not world.place(BTC_USD, "a", Side.BUY, Decimal(1), Decimal(25)).is_open


def test_a_rate_counts_what_the_last_run_sent_until_it_leaves_the_window() -> None:
    first = RiskBench({"max_order_rate": "3/1h"})
    for number in range(3):
        first.tick(60 * number)
        first.buy("1", "98")
    carried = first.engine.guard.carried()
    assert carried["max_order_rate"]["sent"].count("x1") == 3

    again = RiskBench({"max_order_rate": "3/1h"}, carried=carried)
    again.tick(3_599)
    assert again.buy("1", "98").is_closed
    again.tick(3_600)
    assert again.buy("1", "98").is_open
    assert again.buy("1", "98").is_closed


def test_what_is_carried_of_a_rate_is_little_and_leaves_no_sooner_than_it_should() -> None:
    window, again = Window(per_ns=1_000), Window(per_ns=1_000)
    for at_ns in range(1, 2_001):
        window.add(at_ns)
    carried = window.carried()
    assert len(carried["sent"].split()) <= 100
    again.carry_on(carried)
    for now_ns in range(2_000, 3_100):
        late = again.count(now_ns) - window.count(now_ns)
        assert 0 <= late < 10
    assert again.count(3_100) == 0


def test_what_cannot_be_read_of_a_rate_is_left_out() -> None:
    window = Window(per_ns=1_000)
    window.carry_on({"sent": "5 x2 ax3 7x2 -1x9 3x1.5"})
    assert window.count(8) == 2
    window.carry_on({})
    assert window.count(8) == 2
