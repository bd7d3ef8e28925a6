"""Fees of DigiFinex's fills: executions told apart, summed up by the totals told before."""

from decimal import Decimal

import msgspec
import pytest

from botkit.model import ExecType, ExecutionReport, Liquidity, OrdStatus, Side, VenueOrderId
from venues.digifinex import wire
from venues.digifinex.fees import Fees, total_id

SYMBOL = "digifinex:BTC_USDT"


def report(total: str, order_id: str = "a") -> ExecutionReport:
    return ExecutionReport(
        symbol=SYMBOL,
        ord_status=OrdStatus.PARTIALLY_FILLED,
        exec_type=ExecType.TRADE,
        venue_order_id=VenueOrderId(order_id),
        exec_id=total_id(Decimal(total)),
        side=Side.BUY,
        cum_qty=Decimal(total),
        avg_px=Decimal(100),
    )


def row(number: int, amount: str, fee: str | None = "1", **fields: object) -> wire.MyTrade:
    given = {
        "symbol": "btc_usdt",
        "order_id": "a",
        "id": number,
        "price": "100",
        "amount": amount,
        "fee": fee,
        "fee_currency": "btc",
        "timestamp": number,
        "is_maker": True,
    }
    return msgspec.convert({**given, **fields}, wire.MyTrade, strict=False)


def fees_of(*totals: str, ours: bool = True) -> Fees:
    fees = Fees()
    for total in totals:
        fees.told(report(total))
        if ours:
            fees.ours("a")
    return fees


def told(fees: Fees, *rows: wire.MyTrade) -> list[tuple[object, Decimal, Decimal | None]]:
    return [(each.exec_id, each.last_qty, each.commission) for each in fees.take(rows, SYMBOL)]


@pytest.mark.parametrize(
    ("total", "name"),
    [("0", None), ("0.00", None), ("0.40", "total 0.4"), ("10", "total 10"), ("1E+1", "total 10")],
)
def test_fill_is_named_by_the_total_it_came_to(total: str, name: str | None) -> None:
    assert total_id(Decimal(total)) == name


def test_fees_of_several_executions_are_summed_up_for_the_total_they_came_to() -> None:
    fees = fees_of("0.3", "0.5")
    rows = [row(1, "0.1", "1"), row(2, "0.2", "2"), row(3, "0.2", "4")]
    assert told(fees, *reversed(rows)) == [
        ("total 0.3", Decimal("0.3"), Decimal(3)),
        ("total 0.5", Decimal("0.2"), Decimal(4)),
    ]
    assert told(fees, *rows) == []
    assert fees.owing() == set()


def test_fees_wait_for_executions_that_are_missing() -> None:
    fees = fees_of("0.3")
    assert told(fees, row(1, "0.1")) == []
    assert fees.owing() == {SYMBOL}
    assert told(fees, row(1, "0.1"), row(2, "0.2")) == [
        ("total 0.3", Decimal("0.3"), Decimal(2)),
    ]


def test_totals_that_no_execution_ends_at_are_charged_with_the_next() -> None:
    fees = fees_of("0.15", "0.3")
    assert told(fees, row(1, "0.1"), row(2, "0.2")) == [
        ("total 0.15", Decimal("0.15"), Decimal(0)),
        ("total 0.3", Decimal("0.15"), Decimal(2)),
    ]


def test_lower_and_repeated_totals_are_no_fills() -> None:
    fees = fees_of("0.3", "0.1", "0.3")
    assert told(fees, row(1, "0.3")) == [("total 0.3", Decimal("0.3"), Decimal(1))]


def test_later_totals_go_on_from_those_that_are_charged() -> None:
    fees = fees_of("0.1")
    assert told(fees, row(1, "0.1")) == [("total 0.1", Decimal("0.1"), Decimal(1))]
    fees.told(report("0.1"))
    fees.told(report("0.4"))
    assert told(fees, row(1, "0.1"), row(2, "0.3")) == [
        ("total 0.4", Decimal("0.3"), Decimal(1)),
    ]


def test_orders_of_others_are_not_looked_up() -> None:
    fees = fees_of("0.3", ours=False)
    assert fees.owing() == set()
    assert told(fees, row(1, "0.3")) == []


def test_looking_for_what_does_not_come_ends() -> None:
    fees = fees_of("0.3")
    for _ in range(5):
        assert fees.owing() == {SYMBOL}
        fees.take([], SYMBOL)
    assert fees.owing() == set()


def test_liquidity_is_told_where_all_executions_agree() -> None:
    maker, mixed = fees_of("0.2"), fees_of("0.2")
    (one,) = maker.take([row(1, "0.1"), row(2, "0.1")], SYMBOL)
    (two,) = mixed.take([row(1, "0.1"), row(2, "0.1", is_maker=False)], SYMBOL)
    assert (one.liquidity, two.liquidity) == (Liquidity.ADDED, None)


def test_execution_without_a_fee_leaves_it_untold() -> None:
    fees = fees_of("0.2")
    (fill,) = fees.take([row(1, "0.2", None)], SYMBOL)
    assert fill.commission is None


def test_bills_are_kept_within_bounds() -> None:
    fees = Fees()
    for number in range(10_050):
        fees.told(report("0.1", str(number)))
        fees.ours(str(number))
    assert len(fees._bills) == 10_000
    rows = [row(number, "0.1", order_id=str(number)) for number in range(10_050)]
    assert len(fees.take(rows, SYMBOL)) == 10_000
    assert len(fees._seen) == 10_000
