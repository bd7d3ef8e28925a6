"""Rules on position, exposure, funds, rates, self-trade and data: exact margins, worst cases."""

from decimal import Decimal
from typing import Any

import attrs
import pytest

from botkit.assembly import build_rules
from botkit.errors import ConfigError
from botkit.model import (
    CleanUpExpired,
    ClientOrderId,
    OrderCancelReject,
    OrdStatus,
    RequestKind,
    TimeInForce,
)
from botkit.ports import Capabilities, Checked, FeeSchedule
from botkit.testing import (
    SYMBOL,
    build_context,
    build_instrument,
    build_new_order,
    build_quote,
    build_venue_status,
    time_ns,
)
from botkit.testing.engine_rig import CAPABLE
from risk.funds import Funds
from tests.unit.risk_bench import CROSS, ETH, RiskBench, config

IOC = TimeInForce.IOC

# --- position -------------------------------------------------------------------------------


def test_each_side_counts_all_that_may_fill_on_it_and_nothing_of_the_other() -> None:
    bench = RiskBench({"max_position": "5"})
    bench.hold("2")
    bench.sell("3", "102")
    bench.buy("1.5", "98")

    bench.buy("1.5", "98")
    assert bench.margin() == 0
    assert bench.buy("0.001", "98").text.startswith(
        f"holding 2 {SYMBOL} and with 3.001 that may be bought, this included, it could become "
        "5.001 long, above max_position 5"
    )
    assert bench.margin() == Decimal("-0.001")
    bench.sell("4", "102")
    assert bench.margin() == 0  # 2 - 3 - 4 is 5 short
    assert bench.sell("0.001", "102").ord_status is OrdStatus.REJECTED


def test_unknown_and_canceling_orders_count_and_closed_ones_do_not() -> None:
    bench = RiskBench({"max_position": "5"})
    first, second = bench.buy("2", "98"), bench.buy("2", "98")
    bench.ack(first)
    bench.ack(second)
    first.cancel()
    assert first.ord_status is OrdStatus.PENDING_CANCEL
    assert bench.buy("1.001", "98").ord_status is OrdStatus.REJECTED
    ids = (second.client_order_id,)
    bench.engine.handle(CleanUpExpired(client_order_ids=ids, receive_time_ns=time_ns(2)))
    assert second.ord_status is OrdStatus.UNKNOWN
    assert bench.buy("1.001", "98").ord_status is OrdStatus.REJECTED

    bench.report(first, OrdStatus.CANCELED, 3)
    bench.buy("3", "98")
    assert bench.margin() == 0


def test_a_stop_that_waits_counts() -> None:
    bench = RiskBench({"max_position": "5"})
    bench.buy("5", None, stop_px="110")

    assert bench.buy("0.001", "98").ord_status is OrdStatus.REJECTED


ATOMIC = attrs.evolve(CAPABLE, replace_atomic=True)


@pytest.mark.parametrize(("capabilities", "worst"), [(CAPABLE, "7"), (ATOMIC, "4")])
def test_a_replace_counts_old_plus_new_or_the_larger_where_it_is_atomic(
    capabilities: Capabilities, worst: str
) -> None:
    bench = RiskBench({"max_position": "7"}, capabilities=capabilities)
    order = bench.buy("3", "98")
    bench.ack(order)

    order.replace(qty=Decimal(4))
    assert bench.verdict().measured == Decimal(worst)
    bench.buy("0.001", "98")
    assert bench.verdict().measured == Decimal(worst) + Decimal("0.001")
    order.replace(qty=Decimal(9))
    bench.engine.handle(
        OrderCancelReject(
            symbol=SYMBOL,
            client_order_id=ClientOrderId(bench.replaces[0].client_order_id),
            response_to=RequestKind.REPLACE,
            ord_status=OrdStatus.NEW,
        )
    )
    bench.buy("0.001", "98")
    assert bench.verdict().passed


def test_a_position_beyond_its_limit_can_still_be_reduced() -> None:
    bench = RiskBench({"max_position": "5"})
    bench.hold("-3")
    bench.hold("-2")
    assert bench.sell("0.001").ord_status is OrdStatus.REJECTED
    bench.buy("5")
    assert bench.verdict().measured == 0


# --- scopes ---------------------------------------------------------------------------------


def test_a_strategys_limit_counts_its_own_and_no_other() -> None:
    risk = {"max_position": "5", "strategies": {"a": {"max_position": "2", "max_open_orders": 2}}}
    bench = RiskBench(risk)
    bench.buy("4", "98", of=1)
    bench.sell("2", "102", of=1)

    assert bench.buy("1", "98").is_open
    checked = bench.recorded(Checked)[-1]
    assert [(each.rule, each.margin) for each in checked.verdicts] == [
        ("max_position", 0),
        ("strategies.a.max_position", 1),
        ("strategies.a.max_open_orders", 1),
    ]
    bench.sell("2", "102")
    refused = bench.sell("0.001", "102")
    assert refused.text.startswith("strategies.a.max_position: holding 0 ")
    assert bench.sell("0.001", "102", of=1).is_open


def test_a_venues_limit_counts_what_is_there() -> None:
    bench = RiskBench(
        {"venues": {"paper": {"max_open_orders": 1}}}, symbols=(SYMBOL, "far:BTC-EUR")
    )
    for _ in range(2):
        bench.buy("1", "98", symbol="far:BTC-EUR")
    assert bench.buy("1", "98").is_open
    assert bench.buy("1", "98").text.startswith("venues.paper.max_open_orders: 1 order may")


def test_what_is_wrong_with_scoped_rules_is_told_at_once() -> None:
    risk = {
        "strategies": {"c": {"max_position": "1"}, "a": {"max_position": "x"}, "b": 5},
        "venues": "paper",
    }
    with pytest.raises(ConfigError) as caught:
        build_rules(config(risk))
    assert sorted(each.partition(", allowed")[0] for each in caught.value.problems) == sorted(
        [
            'rig.toml: risk.strategies.a.max_position: found "x" (text)',
            "rig.toml: risk.strategies: found 'c'",
            "rig.toml: risk.strategies.b: found 5",
            "rig.toml: risk.venues: found 'paper'",
        ]
    )


# --- exposure -------------------------------------------------------------------------------

EXPOSURE = {"max_exposure": {"limit": "1000", "currency": "EUR"}}


def test_exposure_adds_the_worse_side_of_every_instrument_at_the_ask() -> None:
    bench = RiskBench(EXPOSURE, symbols=(SYMBOL, ETH))
    bench.buy("4", "98", symbol=ETH)
    bench.sell("3", "102")
    bench.buy("2", "98")
    # ETH 4 x 101, BTC max(2, 3) x 101
    assert bench.verdict().measured == 7 * 101
    bench.sell("2", "110")
    assert bench.verdict().measured == 4 * 101 + 5 * 110
    text = bench.sell("1", "110").text
    assert "worth 1064.00 EUR, above max_exposure 1000" in text
    assert bench.margin() == -64


def test_exposure_beyond_the_limit_lets_reducing_orders_pass() -> None:
    bench = RiskBench(EXPOSURE)
    bench.hold("9")
    bench.quote(1, 199, 201)
    assert bench.buy("0.001", "150").ord_status is OrdStatus.REJECTED
    assert bench.sell("9", "150").is_open
    assert bench.sell("0.001", "150").ord_status is OrdStatus.REJECTED


def test_exposure_that_cannot_be_told_lets_only_reducing_orders_pass() -> None:
    bench = RiskBench(EXPOSURE, symbols=(SYMBOL, CROSS), quoted=False)
    bench.quote(0, 99, 101)
    bench.hold("2")
    refused = bench.buy("1", "0.05", symbol=CROSS)
    assert refused.text.startswith(f"{CROSS} has no price, or none in EUR, so max_exposure cannot")
    bench.quote(1, 0.04, 0.05, symbol=CROSS)
    bench.buy("20", "0.05", symbol=CROSS)
    # 20 x 0.05 BTC at 101, and 2 BTC at 101
    assert bench.verdict().measured == 3 * 101
    bench.quote(2, 0, 0)
    assert bench.buy("1", "98").ord_status is OrdStatus.REJECTED
    assert bench.sell("2", "98").is_open


def test_a_stale_price_tells_no_exposure() -> None:
    bench = RiskBench(EXPOSURE, rate_stale_ns=10_000_000_000)
    bench.hold("2")
    bench.tick(10)
    assert bench.buy("1", "98").is_open
    bench.tick(10.5)
    assert f"{SYMBOL} has no price" in bench.buy("1", "98").text
    assert bench.sell("2").is_open


def test_a_rate_is_found_the_other_way_round_too() -> None:
    bench = RiskBench({"max_exposure": {"limit": "100", "currency": "ETH"}}, symbols=(CROSS,))
    bench.quote(0, 0.04, 0.05, symbol=CROSS)
    bench.buy("20", "0.05", symbol=CROSS)
    assert bench.verdict().measured == 25  # a debt of 1 BTC, paid by ETH sold at the bid
    bench.quote(1, 0, 0.05, symbol=CROSS)
    assert bench.buy("1", "0.05", symbol=CROSS).ord_status is OrdStatus.REJECTED


# --- funds ----------------------------------------------------------------------------------


def test_funds_are_the_total_less_all_that_open_orders_may_spend() -> None:
    bench = RiskBench({"funds": "prefunded"}, symbols=(SYMBOL, ETH))
    bench.balance("EUR", "1000")
    bench.buy("4", "100", symbol=ETH)
    bench.buy("6", "100")
    assert bench.margin() == 0
    assert "may spend 0.098 EUR, and paper has 0 EUR" in bench.buy("0.001", "98").text
    bench.balance("BTC", "2")
    bench.sell("1.5", "102")
    assert bench.margin() == Decimal("0.5")
    assert bench.sell("1", "102").ord_status is OrdStatus.REJECTED


def test_a_replace_in_flight_reserves_old_plus_new_at_the_higher_price() -> None:
    bench = RiskBench({"funds": "prefunded"})
    bench.balance("EUR", "1000")
    order = bench.buy("2", "90")
    bench.ack(order)
    order.replace(qty=Decimal(3), price=Decimal(100))
    assert bench.verdict().measured == 300
    bench.buy("1", "98")
    assert bench.verdict().limit == 1000 - 5 * 100


def test_what_a_fill_took_is_gone_until_the_venue_tells_the_balance() -> None:
    bench = RiskBench({"funds": "prefunded"})
    bench.balance("EUR", "1000")
    order = bench.buy("9", "100")
    bench.fills_at(order, "9", "100", commission=Decimal(5), commission_currency="EUR")
    bench.buy("0.95", "100")
    assert bench.margin() == 0
    bench.balance("EUR", "500", 1)
    bench.buy("4", "100")
    assert bench.margin() == Decimal(5)


def test_a_market_order_is_paid_for_at_the_ask_and_a_stop_at_its_price() -> None:
    bench = RiskBench({"funds": "prefunded"})
    bench.balance("EUR", "1000")
    bench.buy("2", None)
    assert bench.verdict().measured == 202
    bench.buy("2", None, stop_px="120")
    assert bench.verdict().measured == 240
    assert bench.verdict().limit == 798
    bench.buy("1", "100")
    assert bench.verdict().limit == 1000 - 202 - 240


def test_funds_nobody_told_let_only_reducing_orders_pass() -> None:
    bench = RiskBench({"strategies": {"a": {"funds": "prefunded"}}})
    bench.hold("1", of=1)
    assert "paper has told no balance or limit of EUR" in bench.buy("1").text
    assert bench.sell("1", of=1).is_open
    bench = RiskBench({"funds": "prefunded"})
    bench.balance("EUR", "1000")
    bench.hold("1")
    assert bench.sell("1").is_open  # reducing, though of BTC no balance is told
    assert bench.sell("0.001").ord_status is OrdStatus.REJECTED
    bench.quote(1, 0, 0)
    assert bench.buy("1", None).ord_status is OrdStatus.REJECTED


def test_contracts_and_instruments_without_a_limit_pass() -> None:
    (funds, position) = build_rules(config({"funds": "prefunded", "max_position": {SYMBOL: "1"}}))
    inverse = build_context(instrument=build_instrument(inverse=True))
    assert funds.check(build_new_order(qty=1000), inverse).passed
    other = build_new_order(qty=1000, symbol=ETH)
    assert position.check(other, build_context(instrument=build_instrument(ETH))).passed


def test_what_a_market_order_reserves_cannot_be_told_without_a_market() -> None:
    bench = RiskBench({"funds": "prefunded"})
    bench.balance("EUR", "1000")
    bench.buy("1", None)
    bench.quote(1, 0, 0)
    assert "an order has no price to tell its worth by" in bench.buy("1", "98").text


def test_what_others_have_locked_cannot_be_spent_and_what_ours_lock_is_taken_off_once() -> None:
    bench = RiskBench({"funds": "prefunded"})
    bench.balance("EUR", "1000", locked="300")
    bench.buy("2", "100")
    assert bench.verdict().limit == 700
    bench.balance("EUR", "1000", locked="500")  # ours are 200 of it
    bench.buy("5", "100")
    assert bench.margin() == 0
    bench.balance("EUR", "1000", locked="100")  # less than ours reserve: the last is in flight
    assert bench.buy("3.001", "100").ord_status is OrdStatus.REJECTED
    assert bench.margin() == Decimal("-0.1")
    bench.buy("1", None)
    bench.quote(1, 0, 0)
    bench.balance("EUR", "5000", locked="700")  # what ours reserve cannot be told: all is others'
    bench.quote(1, 99, 101)
    assert bench.buy("1", "98").is_open
    assert bench.verdict().limit == 5000 - 700 - 700 - 101


FEES = {"paper": FeeSchedule(maker_bps=Decimal(10), taker_bps=Decimal(20))}


def test_a_buy_is_paid_for_with_its_fee_and_so_are_those_that_work() -> None:
    bench = RiskBench({"funds": "prefunded"}, fees=FEES)
    bench.balance("EUR", "1002")
    bench.balance("BTC", "1")
    bench.buy("5", "100")
    assert bench.verdict().measured == 501
    bench.buy("5", "100")
    assert bench.margin() == 0
    assert (
        "it may spend 0.100200 EUR, fees of 20 bps included, and paper has 0.000 EUR"
        in bench.buy("0.001", "100").text
    )
    assert bench.sell("1", "102").is_open  # its fee is paid from what it brings
    assert bench.margin() == 0


def test_a_fee_not_told_yet_is_taken_off_and_once_told_only_what_it_is_more() -> None:
    bench = RiskBench({"funds": "prefunded"}, fees=FEES)
    bench.balance("EUR", "1000")

    def left() -> Decimal | None:
        return bench.engine.guard.view.total("paper", "EUR")

    order = bench.buy("2", "100")
    bench.fills_at(order, "1", "100")
    assert left() == Decimal("899.8")
    told = {"last_qty": "1", "last_px": "100", "exec_id": "x1"}
    fee = {"commission": Decimal("0.5"), "commission_currency": "EUR"}
    bench.report(order, OrdStatus.PARTIALLY_FILLED, 1, **told, **fee)
    assert left() == Decimal("899.5")
    bench.balance("BNB", "3")
    bench.fills_at(order, "1", "100")
    other = {"commission": Decimal(1), "commission_currency": "BNB"}
    bench.report(order, OrdStatus.FILLED, 1, **{**told, "exec_id": "x2"}, **other)
    assert left() == Decimal("799.3")
    assert bench.engine.guard.view.total("paper", "BNB") == 2


def test_credit_is_the_least_of_net_and_gross_of_all_counterparties() -> None:
    bench = RiskBench({"funds": "credit"})
    assert "paper has told no balance or limit of EUR" in bench.buy("1", "98").text
    bench.credit("EUR", net="1000", gross="5000")
    bench.credit("EUR", "12", net="900", gross="1500", net_used="-300", gross_used="700")
    bench.buy("3", "100")
    assert bench.verdict().limit == 800  # gross of counterparty 12
    bench.credit("EUR", "13", net="700", gross="900", net_used="50")
    bench.buy("1", "100")
    assert bench.verdict().limit == 650 - 300
    assert "paper has 250 EUR that no other" in bench.buy("2.501", "100").text
    assert bench.margin() == Decimal("-0.1")
    assert bench.engine.lifecycle.credit["paper", "EUR", "13"].headroom == 650


def test_a_fill_uses_the_credit_of_each_until_its_own_next_word() -> None:
    bench = RiskBench({"funds": "credit"})
    bench.credit("EUR", "12", net="1000", gross="1000")
    bench.credit("EUR", "13", net="900", gross="1000")
    bench.fills_at(bench.buy("4", "100"), "4", "100")
    bench.credit("EUR", "13", net="900", gross="1000", net_used="100", gross_used="100")
    bench.buy("6", "100")
    assert bench.verdict().limit == 600  # of 12; 13 has told that it took 100
    bench.credit("EUR", "12", net="1000", gross="1000", net_used="0", gross_used="50")
    bench.buy("1", "100")
    assert bench.verdict().limit == 800 - 600


def test_funds_are_of_the_kind_each_venue_has_and_others_are_not_looked_at() -> None:
    (funds,) = build_rules(config({"funds": {"paper": "credit"}}))
    assert isinstance(funds, Funds)
    far = build_context(instrument=build_instrument("far:BTC-EUR"))
    assert funds.check(build_new_order(symbol="far:BTC-EUR"), far).passed
    bench = RiskBench({"funds": {"paper": "credit"}})
    bench.balance("EUR", "1000")
    assert bench.buy("1", "98").ord_status is OrdStatus.REJECTED


def test_a_venue_that_is_none_of_the_bots_is_an_error() -> None:
    risk = {"funds": {"kestrel": "credit", "paper": "prefunded"}}
    with pytest.raises(ConfigError) as caught:
        build_rules(config(risk))
    assert caught.value.problems == ("rig.toml: risk.funds: found 'kestrel', allowed: paper",)


# --- rates ----------------------------------------------------------------------------------


def test_the_order_rate_counts_what_was_sent_within_its_time_replaces_too() -> None:
    bench = RiskBench({"max_order_rate": "3/2s", "max_order_qty": "5"})
    order = bench.buy("1", "98")
    bench.ack(order)
    assert bench.buy("6", "98").ord_status is OrdStatus.REJECTED  # not sent: not counted
    order.replace(qty=Decimal(2))
    order.cancel()  # not counted
    bench.tick(1)
    bench.buy("1", "98")
    bench.buy("1", "98")
    assert bench.recorded(Checked)[-1].verdicts[0].margin == -1
    bench.tick(1.999)
    assert bench.buy("1", "98").ord_status is OrdStatus.REJECTED
    bench.tick(2)
    bench.buy("1", "98")
    assert bench.recorded(Checked)[-1].verdicts[0].margin == 1


def test_the_cancel_rate_refuses_orders_that_would_need_a_cancel_and_never_a_cancel() -> None:
    bench = RiskBench({"max_cancel_rate": "3/10s"})
    first = bench.buy("1", "98")
    bench.buy("1", "98")
    assert bench.margin() == 1
    bench.ack(first)
    first.cancel()
    bench.report(first, OrdStatus.CANCELED, 0)
    bench.buy("1", "98")
    assert bench.margin() == 0  # one canceled, one working, this one
    refused = bench.buy("1", "98")
    assert refused.text == (
        "1 cancel was sent within the time of max_cancel_rate 3/10s and 2 working orders may need "
        "one each: wait or keep fewer orders"
    )
    assert bench.buy("1", "98", time_in_force=IOC).is_open
    sent = len(bench.cancels)
    for actor in bench.actors:
        actor.cancel_all()
    assert len(bench.cancels) - sent == 3


# --- self-trade -----------------------------------------------------------------------------


def test_an_order_that_could_meet_one_of_another_strategy_is_refused() -> None:
    bench = RiskBench({"self_trade": "refuse"})
    resting = bench.sell("1", "102", of=1)
    assert bench.buy("1", "101.99").is_open
    assert bench.margin() == 0
    refused = bench.buy("1", "102")
    assert f"({resting.client_order_id} of b): cancel them first" in refused.text
    assert bench.margin() == -1
    assert bench.buy("1", None).ord_status is OrdStatus.REJECTED
    assert not bench.cancels


def test_self_trade_sees_unknown_and_pending_orders_stops_and_both_prices_of_a_replace() -> None:
    bench = RiskBench({"self_trade": "refuse"})
    order = bench.sell("1", "105")
    bench.ack(order)
    order.replace(price=Decimal(103))
    assert bench.buy("1", "103").ord_status is OrdStatus.REJECTED
    bench = RiskBench({"self_trade": "refuse"})
    order = bench.sell("1", "105")
    bench.ack(order)
    order.cancel()
    assert bench.buy("1", "105").ord_status is OrdStatus.REJECTED
    bench.engine.handle(build_venue_status(1, up=False))
    bench.engine.handle(build_venue_status(2, up=True))
    assert order.ord_status is OrdStatus.UNKNOWN
    assert bench.buy("1", "105").ord_status is OrdStatus.REJECTED
    bench = RiskBench({"self_trade": "refuse"})
    bench.sell("1", None, stop_px="90")
    assert bench.buy("1", "50").ord_status is OrdStatus.REJECTED


def test_by_setting_the_resting_order_is_canceled() -> None:
    bench = RiskBench({"self_trade": "cancel"})
    resting = bench.sell("1", "102", of=1)
    bench.sell("1", "103", of=1)
    bench.ack(resting)
    refused = bench.buy("1", "102")
    assert refused.text.endswith("they are being canceled, send it again when they are gone")
    assert [each.client_order_id for each in bench.cancels] == [resting.client_order_id]
    bench.report(resting, OrdStatus.CANCELED, 1)
    assert bench.buy("1", "102").is_open


def test_a_reducing_order_has_what_is_in_its_way_canceled_unless_that_is_kept() -> None:
    bench = RiskBench({"self_trade": "refuse"})
    bench.hold("1")
    resting, kept = bench.buy("1", "98", of=1), bench.buy("1", "98", of=1, keep=True)
    assert bench.sell("1", "98").ord_status is OrdStatus.REJECTED
    assert [each.client_order_id for each in bench.cancels] == [resting.client_order_id]
    assert kept.ord_status is OrdStatus.PENDING_NEW


# --- stale data -----------------------------------------------------------------------------


def test_data_are_stale_beyond_their_age_and_what_rests_is_pulled() -> None:
    bench = RiskBench({"stale_data": {SYMBOL: "2s"}}, symbols=(SYMBOL, ETH))
    order, kept = bench.buy("1", "98"), bench.buy("1", "98", keep=True)
    other = bench.buy("1", "98", symbol=ETH)
    bench.tick(2)
    assert not bench.cancels
    bench.buy("1", "98")
    assert bench.margin() == 0
    bench.tick(2.5)
    assert (
        "the last word on paper:BTC-EUR is 2.5 s old, and stale_data is 2s" in bench.buy("1").text
    )
    assert bench.margin() == Decimal("-0.5")
    bench.tick(3)
    assert order.client_order_id in {each.client_order_id for each in bench.cancels}
    assert {kept.client_order_id, other.client_order_id}.isdisjoint(
        each.client_order_id for each in bench.cancels
    )
    assert len(bench.lines("pulled what rested")) == 1
    bench.tick(4)
    assert len(bench.lines("pulled what rested")) == 1
    bench.quote(5, 99, 101)
    assert bench.buy("1", "98").is_open


def test_a_crossed_market_and_a_gap_are_stale() -> None:
    bench = RiskBench({"stale_data": "60s"})
    order = bench.buy("1", "98")
    bench.quote(0.5, 101.5, 101)
    assert "is crossed, bid 101.5 above ask 101" in bench.buy("1", "98").text
    bench.tick(1)
    assert [each.client_order_id for each in bench.cancels] == [order.client_order_id]
    bench = RiskBench({"stale_data": "60s"}, quoted=False)
    assert "paper:BTC-EUR has no market data" in bench.buy("1", "98").text


@pytest.mark.parametrize("rule", [{"stale_data": "5s"}, {"price_collar_bps": "200"}])
def test_a_way_out_at_a_price_stays_open_where_nobody_sees_a_market(rule: dict[str, Any]) -> None:
    bench = RiskBench(rule)
    bench.hold("2")
    bench.engine.handle(build_quote(1))
    bench.tick(10)
    assert "only orders that reduce a position at a limit price pass" in bench.buy("1").text
    assert bench.sell("1", None).ord_status is OrdStatus.REJECTED  # at any price
    assert bench.sell("2", "1").is_open
    assert bench.verdict().passed
    assert bench.sell("0.001", "1").ord_status is OrdStatus.REJECTED  # beyond the position


# --- configs --------------------------------------------------------------------------------

BAD: list[tuple[str, Any]] = [
    ("max_exposure", "1000"),
    ("max_exposure", {"limit": "0", "currency": "EUR"}),
    ("max_exposure", {"limit": "5"}),
    ("max_order_rate", "20"),
    ("max_order_rate", "0/1s"),
    ("max_order_rate", "20/soon"),
    ("max_order_rate", "20/0s"),
    ("max_cancel_rate", 5),
    ("self_trade", "allow"),
    ("stale_data", "0s"),
    ("stale_data", 5),
    ("stale_data", {"BTC-EUR": "5s"}),
    ("stale_data", {SYMBOL: "soon"}),
    ("funds", "free"),
    ("funds", {"paper": "free"}),
    ("funds", 5),
    ("max_daily_loss", "0"),
    ("max_daily_loss", {"limit": "5", "mark_stale": "0s"}),
    ("max_drawdown", {"limt": "5"}),
]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_a_bad_value_is_an_error_that_names_the_key(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"rig\.toml: risk\.{key}"):
        build_rules(config({key: value}))


def test_time_of_the_rules_is_the_engines() -> None:
    bench = RiskBench({"max_position": "5"})
    assert bench.engine.guard.view.context(SYMBOL).now_ns == time_ns(0)
