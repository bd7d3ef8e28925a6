"""Positions, profit and fees of a few fills whose sums can be done by hand."""

from decimal import Decimal
from math import nan

import msgspec
import pytest

from botkit.errors import InvariantError
from botkit.model import (
    Adjustment,
    AdjustmentKind,
    ClientOrderId,
    EquityPoint,
    ExecId,
    FeeTold,
    Fill,
    Instrument,
    Side,
)
from botkit.portfolio import Portfolio, carried_positions
from botkit.ports import FeeSchedule

SPOT = Instrument(
    symbol="paper:BTC-EUR",
    base="BTC",
    quote="EUR",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
)
TENTHS = Instrument(
    symbol="paper:ETH-F",
    base="ETH",
    quote="EUR",
    tick_size=Decimal("0.01"),
    lot_size=Decimal(1),
    contract_multiplier=Decimal("0.1"),
)
INVERSE = Instrument(
    symbol="paper:XBT-USD",
    base="BTC",
    quote="USD",
    tick_size=Decimal("0.5"),
    lot_size=Decimal(1),
    contract_multiplier=Decimal(100),
    inverse=True,
)
INSTRUMENTS = {instrument.symbol: instrument for instrument in (SPOT, TENTHS, INVERSE)}


def build_fill(
    signed_qty: str,
    price: str,
    *,
    instrument: Instrument = SPOT,
    strategy: str = "maker",
    commission: str | None = "0",
    currency: str = "EUR",
    exec_id: str = "e-1",
) -> Fill:
    qty = Decimal(signed_qty)
    return Fill(
        client_order_id=ClientOrderId("demo-r-1"),
        symbol=instrument.symbol,
        strategy=strategy,
        side=Side.BUY if qty > 0 else Side.SELL,
        qty=abs(qty),
        price=Decimal(price),
        exec_id=ExecId(exec_id),
        commission=None if commission is None else Decimal(commission),
        commission_currency="" if commission is None else currency,
    )


def booked(*fills: Fill) -> Portfolio:
    portfolio = Portfolio(INSTRUMENTS)
    for fill in fills:
        portfolio.apply(fill)
    return portfolio


def at(bid: float, ask: float) -> "dict[str, tuple[float, float]]":
    return dict.fromkeys(INSTRUMENTS, (bid, ask))


def test_a_position_grown_twice_has_the_mean_price_by_quantity() -> None:
    portfolio = booked(build_fill("1", "100"), build_fill("3", "104"))

    assert portfolio.position(SPOT.symbol) == 4
    assert portfolio.average_px(SPOT.symbol, "maker") == 103
    assert portfolio.realised("EUR") == 0


def test_a_partial_close_realises_its_share_and_keeps_the_average() -> None:
    portfolio = booked(build_fill("4", "103"), build_fill("-1", "110"))

    assert portfolio.position(SPOT.symbol) == 3
    assert portfolio.average_px(SPOT.symbol, "maker") == 103
    assert portfolio.realised("EUR") == 7


def test_a_short_gains_when_bought_back_lower() -> None:
    portfolio = booked(build_fill("-2", "100"), build_fill("2", "90"))

    assert portfolio.position(SPOT.symbol) == 0
    assert portfolio.average_px(SPOT.symbol, "maker") is None
    assert portfolio.realised("EUR") == 20


@pytest.mark.parametrize("sign", [1, -1])
def test_a_trade_through_zero_closes_all_and_opens_the_rest_at_its_price(sign: int) -> None:
    portfolio = booked(build_fill(str(2 * sign), "100"), build_fill(str(-5 * sign), "90"))

    assert portfolio.position(SPOT.symbol) == -3 * sign
    assert portfolio.average_px(SPOT.symbol, "maker") == 90
    assert portfolio.realised("EUR") == -20 * sign


def test_a_multiplier_scales_profit_but_not_the_average_price() -> None:
    portfolio = booked(
        build_fill("30", "2000", instrument=TENTHS), build_fill("-10", "2010", instrument=TENTHS)
    )

    assert portfolio.average_px(TENTHS.symbol, "maker") == 2000
    assert portfolio.realised("EUR") == 10


def test_an_inverse_contract_averages_by_base_value_and_earns_base() -> None:
    """100 USD a contract: 2 contracts at 40000 and at 50000 hold 0.005 + 0.004 BTC."""
    portfolio = booked(
        build_fill("2", "40000", instrument=INVERSE), build_fill("2", "50000", instrument=INVERSE)
    )
    average = portfolio.average_px(INVERSE.symbol, "maker")
    assert average is not None
    assert round(average, 9) == Decimal("44444.444444444")

    portfolio.apply(build_fill("-4", "80000", instrument=INVERSE))
    assert portfolio.realised("BTC") == Decimal("0.004")  # 0.009 less 400 / 80000
    assert portfolio.realised("USD") == 0


def test_an_inverse_short_gains_when_the_price_falls() -> None:
    portfolio = booked(
        build_fill("-4", "50000", instrument=INVERSE), build_fill("4", "40000", instrument=INVERSE)
    )

    assert portfolio.realised("BTC") == Decimal("0.002")


def test_fees_stay_in_their_own_currency_and_come_out_of_a_spot_position() -> None:
    """What was taken in base is not there to be sold, but cost what it cost."""
    portfolio = booked(
        build_fill("1", "100", commission="0.001", currency="BTC"),
        build_fill("1", "100", commission="0.25"),
        build_fill("1", "100", commission="-0.05"),
    )

    assert portfolio.position(SPOT.symbol) == Decimal("2.999")
    assert portfolio.average_px(SPOT.symbol, "maker") == 100
    assert portfolio.fees("BTC") == Decimal("0.001")
    assert portfolio.fees("EUR") == Decimal("0.20")
    assert portfolio.fees("EUR", "other") == 0


def test_a_commission_told_later_is_booked_once() -> None:
    portfolio = booked(build_fill("1", "100", commission=None))
    assert portfolio.positions()[0].fees_untold == 1

    portfolio.amend(build_fill("1", "100", commission="0.25"))

    assert portfolio.fees("EUR") == Decimal("0.25")
    assert portfolio.positions()[0].fees_untold == 0
    with pytest.raises(InvariantError, match="demo-r-1, execution e-1: cannot book"):
        portfolio.amend(build_fill("1", "100", commission="0.25"))


def test_two_fills_under_one_exec_id_wait_for_two_commissions() -> None:
    untold = build_fill("1", "100", commission=None)
    portfolio = booked(untold, untold)

    for _ in range(2):
        portfolio.amend(build_fill("1", "100", commission="0.25"))

    assert portfolio.fees("EUR") == Decimal("0.50")
    with pytest.raises(InvariantError):
        portfolio.amend(build_fill("1", "100", commission="0.25"))


def test_commissions_of_executions_find_what_totals_have_counted() -> None:
    portfolio = Portfolio(INSTRUMENTS, {"paper": FeeSchedule(taker_bps=Decimal(20))})
    for qty in ("3", "2"):
        fill = build_fill(qty, "100", commission=None)
        portfolio.apply(msgspec.structs.replace(fill, exec_id=None))

    portfolio.amend(build_fill("1", "100", commission="0.5", exec_id="e-7"))
    (view,) = portfolio.positions()
    assert (view.fees_untold, view.fees_estimated) == (2, Decimal("0.8"))

    portfolio.amend(build_fill("3", "100", commission="0.25", exec_id="e-8"))
    (view,) = portfolio.positions()
    assert (view.fees_untold, view.fees_estimated) == (1, Decimal("0.2"))
    assert portfolio.fees("EUR") == Decimal("0.75")

    with pytest.raises(InvariantError, match="for 2, since 1 paper:BTC-EUR of this order wait"):
        portfolio.amend(build_fill("2", "100", commission="1", exec_id="e-9"))


def test_amending_without_a_commission_is_refused() -> None:
    untold = build_fill("1", "100", commission=None)
    portfolio = booked(untold)

    with pytest.raises(InvariantError):
        portfolio.amend(untold)
    assert portfolio.positions()[0].fees_untold == 1


def test_longs_mark_at_the_bid_and_shorts_at_the_ask() -> None:
    portfolio = booked(build_fill("1", "100"), build_fill("-2", "100", strategy="taker"))

    (point,) = portfolio.equity(at(98.0, 103.0).__getitem__, now_ns=7)

    assert point == EquityPoint(
        currency="EUR",
        realised=Decimal(0),
        unrealised=Decimal(-8),  # the long loses 2, the short 2 x 3
        fees=Decimal(0),
        equity=Decimal(-8),
        receive_time_ns=7,
    )


def test_equity_is_realised_and_unrealised_less_fees_in_each_currency() -> None:
    portfolio = booked(
        build_fill("2", "100", commission="0.5"),
        build_fill("-1", "110", commission="0.01", currency="BNB"),
    )

    points = portfolio.equity(at(104.0, 105.0).__getitem__, now_ns=0)

    assert [(point.currency, point.equity) for point in points] == [
        ("EUR", Decimal("13.5")),
        ("BNB", Decimal("-0.01")),
    ]


def test_a_position_without_a_mark_leaves_its_currency_out_and_names_it() -> None:
    portfolio = booked(build_fill("1", "100"), build_fill("2", "40000", instrument=INVERSE))
    marks = at(nan, 50000.0) | {INVERSE.symbol: (50000.0, nan)}

    (point,) = portfolio.equity(marks.__getitem__, now_ns=0)

    assert (point.currency, point.unrealised) == ("BTC", Decimal("0.001"))
    assert portfolio.incomplete(marks.__getitem__) == {"EUR": (SPOT.symbol,)}


def test_a_flat_position_needs_no_mark() -> None:
    portfolio = booked(build_fill("1", "100"), build_fill("-1", "101"))

    assert portfolio.incomplete(at(nan, nan).__getitem__) == {}
    (point,) = portfolio.equity(at(nan, nan).__getitem__, now_ns=0)
    assert point.equity == 1


def test_positions_and_profit_are_told_per_strategy() -> None:
    portfolio = booked(
        build_fill("3", "100"),
        build_fill("-1", "104"),
        build_fill("-2", "100", strategy="taker"),
    )

    assert portfolio.position(SPOT.symbol, "maker") == 2
    assert portfolio.position(SPOT.symbol, "taker") == -2
    assert portfolio.position(SPOT.symbol) == 0
    assert portfolio.realised("EUR", "maker") == 4
    assert portfolio.realised("EUR", "taker") == 0
    assert [(view.strategy, view.qty, view.average_px) for view in portfolio.positions()] == [
        ("maker", Decimal(2), Decimal(100)),
        ("taker", Decimal(-2), Decimal(100)),
    ]


def test_what_was_never_traded_is_flat() -> None:
    portfolio = booked()

    assert portfolio.position(SPOT.symbol) == 0
    assert portfolio.position(SPOT.symbol, "maker") == 0
    assert portfolio.average_px(SPOT.symbol, "maker") is None
    assert portfolio.positions() == []
    assert portfolio.equity(at(1.0, 2.0).__getitem__, now_ns=0) == []


def test_a_fill_of_an_unknown_instrument_is_refused_by_name() -> None:
    stranger = build_fill("1", "100", instrument=SPOT)
    portfolio = Portfolio({TENTHS.symbol: TENTHS})

    with pytest.raises(InvariantError, match="paper:BTC-EUR is not among the instruments"):
        portfolio.apply(stranger)
    assert portfolio.positions() == []


def test_digits_beyond_the_default_precision_are_kept() -> None:
    """28 digits would lose the last of these."""
    portfolio = booked(
        build_fill("123456789.123456789", "98765.43210987654321"),
        build_fill("-123456789.123456789", "98765.43210987654322"),
    )

    assert portfolio.realised("EUR") == Decimal("123456789.123456789").scaleb(-14)


# --- fees not told yet ------------------------------------------------------------------------


def test_a_fee_not_told_yet_is_estimated_at_the_taker_rate_until_it_is() -> None:
    portfolio = Portfolio(INSTRUMENTS, {"paper": FeeSchedule(taker_bps=Decimal(20))})
    portfolio.apply(build_fill("2", "100", commission=None))

    (point,) = portfolio.equity(at(100.0, 100.0).__getitem__, now_ns=0)
    assert (point.fees, point.fees_estimated, point.equity) == (
        Decimal("0.4"),
        Decimal("0.4"),
        Decimal("-0.4"),
    )
    assert portfolio.positions()[0].fees_estimated == Decimal("0.4")
    assert portfolio.fees("EUR") == 0  # as told

    portfolio.amend(build_fill("2", "100", commission="0.1"))
    (point,) = portfolio.equity(at(100.0, 100.0).__getitem__, now_ns=0)
    assert (point.fees, point.fees_estimated) == (Decimal("0.1"), Decimal(0))


def test_the_fee_of_an_inverse_contract_is_estimated_in_base() -> None:
    portfolio = Portfolio(INSTRUMENTS, {"paper": FeeSchedule(taker_bps=Decimal(10))})
    portfolio.apply(build_fill("-4", "40000", instrument=INVERSE, commission=None))

    assert portfolio.positions()[0].fees_estimated == Decimal("0.00001")  # 0.1 % of 0.01 BTC


# --- parts ------------------------------------------------------------------------------------


def test_profit_is_told_by_strategy_instrument_and_venue() -> None:
    other = build_far()
    portfolio = Portfolio({**INSTRUMENTS, other.symbol: other})
    for fill in (
        build_fill("1", "100"),
        build_fill("1", "90", strategy="taker"),
        build_fill("10", "99", instrument=TENTHS),
        build_fill("1", "70", instrument=other),
    ):
        portfolio.apply(fill)

    def unrealised(**scope: str) -> Decimal:
        (point,) = portfolio.equity(lambda _: (100.0, 101.0), 0, **scope)
        return point.unrealised

    assert unrealised() == 41
    assert unrealised(strategy="taker") == 10
    assert unrealised(symbol=TENTHS.symbol) == 1
    assert unrealised(venue="far") == 30
    assert unrealised(venue="paper", strategy="maker") == 1
    assert portfolio.incomplete(lambda _: (nan, nan), venue="far") == {"EUR": (other.symbol,)}


def build_far() -> Instrument:
    return Instrument(
        symbol="far:BTC-EUR",
        base="BTC",
        quote="EUR",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.0001"),
    )


# --- adjustments ------------------------------------------------------------------------------


def adjust(
    portfolio: Portfolio,
    qty: str,
    price: str | None,
    kind: AdjustmentKind = AdjustmentKind.TRADE,
    symbol: str = SPOT.symbol,
) -> None:
    portfolio.adjust(
        Adjustment(
            kind=kind,
            symbol=symbol,
            strategy="maker",
            qty=Decimal(qty),
            price=None if price is None else Decimal(price),
        )
    )


def test_opening_inventory_is_a_position_at_its_price_and_no_profit() -> None:
    portfolio = booked()
    adjust(portfolio, "2", "100", AdjustmentKind.OPENING)

    assert portfolio.position(SPOT.symbol) == 2
    assert portfolio.average_px(SPOT.symbol, "maker") == 100
    (point,) = portfolio.equity(at(100.0, 101.0).__getitem__, now_ns=0)
    assert point.equity == 0

    portfolio.apply(build_fill("-2", "103"))
    assert portfolio.realised("EUR") == 6


@pytest.mark.parametrize(
    ("qty", "left", "average"),
    [("1", "3", "140"), ("-1", "1", "90"), ("-2", "0", None), ("-5", "-3", "240")],
)
def test_a_manual_trade_never_realises_anything(qty: str, left: str, average: str | None) -> None:
    """What leaves a position leaves at its average price, whatever it was sold at."""
    portfolio = booked(build_fill("2", "90"))
    adjust(portfolio, qty, "240")

    assert portfolio.realised("EUR") == 0
    assert portfolio.position(SPOT.symbol) == Decimal(left)
    expected = None if average is None else Decimal(average)
    assert portfolio.average_px(SPOT.symbol, "maker") == expected


def test_an_adjustment_without_price_or_instrument_is_refused() -> None:
    portfolio = booked()
    with pytest.raises(InvariantError, match="it has no price"):
        adjust(portfolio, "1", None)
    with pytest.raises(InvariantError, match="paper:NO-EUR is not among the instruments"):
        adjust(portfolio, "1", "1", symbol="paper:NO-EUR")


# --- balances ---------------------------------------------------------------------------------


def test_fills_and_fees_say_what_a_balance_has_become() -> None:
    portfolio = booked(
        build_fill("2", "100", commission="0.01", currency="BTC"),
        build_fill("-1", "110", commission="0.5"),
        build_fill("1", "50", commission="3", currency="BNB", strategy="taker"),
    )

    assert portfolio.balance_change("paper", "BTC") == Decimal("1.99")
    assert portfolio.balance_change("paper", "EUR") == Decimal("-140.5")
    assert portfolio.balance_change("paper", "BNB") == -3
    assert portfolio.balance_change("far", "BTC") == 0


def test_each_kind_of_adjustment_moves_the_balances_it_should() -> None:
    portfolio = booked(build_fill("2", "100"))
    adjust(portfolio, "3", "70", AdjustmentKind.OPENING)
    adjust(portfolio, "1", "80", AdjustmentKind.CARRIED)
    assert portfolio.balance_change("paper", "BTC") == 2
    assert portfolio.balance_change("paper", "EUR") == -200

    adjust(portfolio, "-4", "120")
    assert portfolio.balance_change("paper", "BTC") == -2
    assert portfolio.balance_change("paper", "EUR") == 280

    for amount in ("50", "-20"):
        portfolio.adjust(
            Adjustment(
                kind=AdjustmentKind.DEPOSIT, venue="paper", currency="EUR", amount=Decimal(amount)
            )
        )
    assert portfolio.balance_change("paper", "EUR") == 310
    assert portfolio.position(SPOT.symbol) == 2


def test_a_balance_that_cannot_be_known_is_not_guessed() -> None:
    """Contracts settle in ways that fills do not tell, and a fee may be missing."""
    portfolio = booked(build_fill("1", "2000", instrument=TENTHS, commission="1", currency="BNB"))
    assert portfolio.balance_change("paper", "EUR") is None
    assert portfolio.balance_change("paper", "BNB") == -1
    adjust(portfolio, "1", "2000", AdjustmentKind.OPENING, symbol=TENTHS.symbol)
    assert portfolio.balance_change("paper", "ETH") == 0

    portfolio.apply(build_fill("1", "2000", commission=None))
    assert portfolio.balance_change("paper", "BNB") is None


# --- from run to run --------------------------------------------------------------------------


def test_positions_are_carried_at_their_average_price_flat_ones_too() -> None:
    entries: list[Adjustment | Fill] = [
        Adjustment(
            kind=AdjustmentKind.OPENING,
            symbol=SPOT.symbol,
            strategy="maker",
            qty=Decimal(1),
            price=Decimal(90),
        ),
        Adjustment(kind=AdjustmentKind.DEPOSIT, venue="paper", currency="EUR", amount=Decimal(1)),
        build_fill("1", "110", commission="0.01", currency="BTC"),
        build_fill("2", "100", strategy="taker"),
        build_fill("-2", "105", strategy="taker"),
        build_fill("1", "1", instrument=build_far()),
    ]

    first, second = carried_positions(entries, INSTRUMENTS)

    assert (first.strategy, first.qty, first.price) == ("maker", Decimal("1.99"), Decimal(100))
    assert (second.strategy, second.qty) == ("taker", Decimal(0))
    assert {first.kind, second.kind} == {AdjustmentKind.CARRIED}
    # and on: what is carried is carried again
    again = carried_positions([first, second], INSTRUMENTS)
    assert [(each.qty, each.price) for each in again] == [
        (Decimal("1.99"), Decimal(100)),
        (Decimal(0), None),
    ]


def test_a_fee_told_late_is_carried_as_well() -> None:
    untold = build_fill("1", "100", commission=None)
    told = FeeTold(
        client_order_id=untold.client_order_id,
        symbol=untold.symbol,
        strategy=untold.strategy,
        exec_id=untold.exec_id,
        commission=Decimal("0.01"),
        commission_currency="BTC",
    )

    (carried,) = carried_positions([untold, told], INSTRUMENTS)

    assert carried.qty == Decimal("0.99")


def test_what_a_fee_in_base_left_is_carried_at_the_last_price() -> None:
    fills = [
        build_fill("1", "100", commission="0.01", currency="BTC"),
        build_fill("-1", "105"),
    ]

    (left,) = carried_positions(fills, INSTRUMENTS)

    assert (left.qty, left.price) == (Decimal("-0.01"), Decimal(105))
