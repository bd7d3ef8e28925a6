"""What the exchange refuses: each reason, with what a venue needs to word its own error."""

from decimal import Decimal
from typing import Any

import pytest

from botkit.matching.exchange import (
    Exchange,
    ExchangeRules,
    OrderReplaced,
    OrderTerms,
    RejectReason,
    RequestRejected,
)
from botkit.model import OrdStatus, OrdType, RequestKind, Side, TimeInForce
from botkit.ports import FeeSchedule
from tests.unit.exchange_bench import SYMBOL, Bench, instrument, only, rejection

LIMITS: dict[str, Any] = {
    "min_trade_vol": Decimal("0.5"),
    "max_trade_vol": Decimal(50),
    "min_notional": Decimal(60),
}
RULES = ExchangeRules(max_notional=Decimal(4_000), max_open_orders=2, unique_client_order_ids=True)

CASES: list[tuple[dict[str, Any], RejectReason, str, str | None, str | None]] = [
    ({"symbol": "DOGE-EUR"}, RejectReason.UNKNOWN_SYMBOL, "symbol", None, None),
    ({"price": None}, RejectReason.MISSING_FIELD, "price", None, None),
    ({"order_qty": None}, RejectReason.MISSING_FIELD, "order_qty", None, None),
    ({"ord_type": OrdType.STOP}, RejectReason.UNEXPECTED_FIELD, "price", None, None),
    ({"ord_type": OrdType.STOP_LIMIT}, RejectReason.MISSING_FIELD, "stop_px", None, None),
    ({"stop_px": Decimal(9)}, RejectReason.UNEXPECTED_FIELD, "stop_px", None, None),
    ({"cash_order_qty": Decimal(9)}, RejectReason.UNEXPECTED_FIELD, "cash_order_qty", None, None),
    ({"price": Decimal("nan")}, RejectReason.UNREADABLE, "price", "NaN", "0.5"),
    ({"price": Decimal("inf")}, RejectReason.UNREADABLE, "price", "Infinity", "0.5"),
    ({"price": Decimal("1e40")}, RejectReason.UNREADABLE, "price", "1E+40", "0.5"),
    ({"price": Decimal(0)}, RejectReason.NOT_POSITIVE, "price", "0", "0"),
    ({"order_qty": Decimal(-1)}, RejectReason.NOT_POSITIVE, "order_qty", "-1", "0"),
    ({"price": Decimal("100.3")}, RejectReason.OFF_GRID, "price", "100.3", "0.5"),
    ({"order_qty": Decimal("1.25")}, RejectReason.OFF_GRID, "order_qty", "1.25", "0.1"),
    ({"order_qty": Decimal("0.4")}, RejectReason.BELOW_MIN_QTY, "order_qty", "0.4", "0.5"),
    ({"order_qty": Decimal(51)}, RejectReason.ABOVE_MAX_QTY, "order_qty", "51.0", "50"),
    ({"order_qty": Decimal("0.5")}, RejectReason.BELOW_MIN_NOTIONAL, "order_qty", "50", "60"),
    ({"order_qty": Decimal(41)}, RejectReason.ABOVE_MAX_NOTIONAL, "order_qty", "4100", "4000"),
    (
        {"time_in_force": TimeInForce.GTD, "expire_time_ns": 2_000},
        RejectReason.EXPIRED,
        "expire_time_ns",
        "2000",
        "2000",
    ),
    (
        {"time_in_force": TimeInForce.IOC, "post_only": True},
        RejectReason.CANNOT_REST,
        "post_only",
        None,
        None,
    ),
]


@pytest.mark.parametrize(("changes", "reason", "field", "found", "limit"), CASES)
def test_an_order_is_refused_with_reason_field_found_and_limit(
    changes: dict[str, Any], reason: RejectReason, field: str, found: str | None, limit: str | None
) -> None:
    bench = Bench(RULES, **LIMITS)
    fields: dict[str, Any] = {"order_qty": Decimal(1), "price": Decimal(100), "symbol": SYMBOL}
    terms = OrderTerms(side=Side.BUY, **{**fields, **changes})
    (event,) = bench.exchange.submit("ann", terms, 2_000)
    assert isinstance(event, RequestRejected)
    told = event.rejection
    assert (event.request, event.terms, event.account) == (RequestKind.NEW, terms, "ann")
    assert (told.reason, told.field) == (reason, field)
    assert told.found is None if found is None else str(told.found) in (found, f"{found}.00000000")
    assert told.limit == (None if limit is None else Decimal(limit))
    assert told.text
    assert bench.exchange.report()["ann"] == {"orders": 1, "fills": 0, "resting": []}


def test_a_cash_order_is_held_to_the_least_and_greatest_notional() -> None:
    bench = Bench(RULES, **LIMITS)
    for cash, reason in (
        ("59", RejectReason.BELOW_MIN_NOTIONAL),
        ("4001", RejectReason.ABOVE_MAX_NOTIONAL),
        ("0.000000001", RejectReason.OFF_GRID),
    ):
        told = rejection(bench.buy("ann", None, cash_order_qty=Decimal(cash)))
        assert (told.reason, told.field) == (reason, "cash_order_qty")


def test_cash_and_quantity_together_are_refused() -> None:
    told = rejection(Bench().buy("ann", "1", cash_order_qty=Decimal(100)))
    assert told.reason is RejectReason.UNEXPECTED_FIELD


def test_a_post_only_order_that_would_trade_is_refused_with_the_best_price() -> None:
    bench = Bench()
    bench.sell("bob", "1", "100")
    told = rejection(bench.buy("ann", "1", "100.5", post_only=True))
    assert (told.reason, told.found, told.limit) == (
        RejectReason.WOULD_TAKE,
        Decimal("100.5"),
        Decimal(100),
    )
    assert only(RequestRejected, bench.buy("ann", "1", "99.5", post_only=True)) == []


def test_a_limit_that_cannot_be_locked_is_refused_with_need_and_free() -> None:
    bench = Bench(balances={"EUR": Decimal(100), "BTC": Decimal(1)})
    told = rejection(bench.buy("ann", "1", "100"))
    assert (told.reason, told.found, told.limit) == (
        RejectReason.INSUFFICIENT_FUNDS,
        Decimal("100.2"),  # the fee at the worse rate is locked too
        Decimal(100),
    )
    told = rejection(bench.sell("ann", "1.1", "100"))
    assert (told.found, told.limit) == (Decimal("1.1"), Decimal(1))


def test_a_market_order_that_costs_more_than_is_free_is_refused() -> None:
    bench = Bench(balances={"EUR": Decimal(100), "BTC": Decimal(1)})
    bench.sell("bob", "1", "100")
    assert rejection(bench.buy("ann", "1")).reason is RejectReason.INSUFFICIENT_FUNDS
    assert rejection(bench.sell("ann", "1.1")).reason is RejectReason.INSUFFICIENT_FUNDS
    assert bench.asks() == [("100.0", "1.0")]


def test_more_open_orders_than_allowed_are_refused_by_side() -> None:
    bench = Bench(ExchangeRules(max_open_orders=2))
    for _ in range(2):
        bench.buy("ann", "1", "90")
    told = rejection(bench.buy("ann", "1", "90"))
    assert (told.reason, told.found, told.limit) == (
        RejectReason.TOO_MANY_ORDERS,
        Decimal(2),
        Decimal(2),
    )
    assert only(RequestRejected, bench.sell("ann", "1", "110")) == []
    assert only(RequestRejected, bench.buy("bob", "1", "90")) == []
    assert only(RequestRejected, bench.buy("ann", "1")) == []  # a market order never rests


def test_a_client_order_id_may_be_used_again_once_its_order_is_closed() -> None:
    bench = Bench(ExchangeRules(unique_client_order_ids=True))
    bench.buy("ann", "1", "90", client_order_id="c1")
    told = rejection(bench.buy("ann", "1", "90", client_order_id="c1"))
    assert told.reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID
    bench.buy("ann", "1", "90", client_order_id="c2")
    told = rejection(bench.exchange.replace("ann", 2, bench.tick(), client_order_id="c1"))
    assert told.reason is RejectReason.DUPLICATE_CLIENT_ORDER_ID
    bench.exchange.cancel("ann", 1, bench.tick())
    assert only(RequestRejected, bench.buy("ann", "1", "90", client_order_id="c1")) == []


def test_a_client_order_id_used_twice_names_the_oldest_open_order() -> None:
    bench = Bench()
    for price in ("90", "91"):
        bench.buy("ann", "1", price, client_order_id="same")
    account = bench.exchange.accounts["ann"]
    found = account.open_order_named("same")
    assert found is not None
    assert found.order_id == 1
    assert account.open_order_named("other") is None


def test_a_halted_market_takes_cancels_only() -> None:
    bench = Bench()
    bench.buy("ann", "1", "90")
    bench.exchange.halt(SYMBOL)
    assert rejection(bench.buy("ann", "1", "90")).reason is RejectReason.HALTED
    change = bench.exchange.replace("ann", 1, bench.tick(), order_qty=Decimal(2))
    assert rejection(change).reason is RejectReason.HALTED
    bench.exchange.cancel("ann", 1, bench.tick())
    assert bench.bids() == []
    bench.exchange.halt(SYMBOL, halted=False)
    assert only(RequestRejected, bench.buy("ann", "1", "90")) == []


@pytest.mark.parametrize("kind", ["cancel", "replace"])
def test_an_order_that_is_unknown_or_closed_or_of_another_is_refused(kind: str) -> None:
    bench = Bench()
    bench.buy("ann", "1", "90")
    ask = getattr(bench.exchange, kind)
    for account, number in (("ann", 7), ("bob", 1)):
        (event,) = ask(account, number, bench.tick())
        assert event.rejection.reason is RejectReason.UNKNOWN_ORDER
        assert (event.order, event.order_id) == (None, number)
    bench.exchange.cancel("ann", 1, bench.tick())
    (event,) = ask("ann", 1, bench.tick())
    assert event.rejection.reason is RejectReason.ORDER_CLOSED
    assert event.order.ord_status is OrdStatus.CANCELED
    assert event.request is (RequestKind.CANCEL if kind == "cancel" else RequestKind.REPLACE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"order_qty": Decimal(1)}, RejectReason.QTY_NOT_ABOVE_FILLED),
        ({"order_qty": Decimal("2.05")}, RejectReason.OFF_GRID),
        ({"price": Decimal("100.1")}, RejectReason.OFF_GRID),
        ({"price": Decimal(101)}, RejectReason.WOULD_TAKE),
        ({"stop_px": Decimal(99)}, RejectReason.UNEXPECTED_FIELD),
        ({"order_qty": Decimal(100_000)}, RejectReason.INSUFFICIENT_FUNDS),
    ],
)
def test_a_replace_that_is_refused_leaves_the_order_as_it_was(
    changes: dict[str, Any], reason: RejectReason
) -> None:
    bench = Bench()
    bench.sell("cat", "5", "101")
    bench.buy("ann", "3", "100", post_only=True)
    bench.sell("bob", "1", "100")
    before = bench.state("ann", 2), bench.bids(), bench.holds("ann", "EUR")
    told = rejection(bench.exchange.replace("ann", 2, bench.tick(), **changes))
    assert told.reason is reason
    assert (bench.state("ann", 2), bench.bids(), bench.holds("ann", "EUR")) == before


def test_a_stop_takes_a_new_stop_price_and_no_price() -> None:
    bench = Bench()
    bench.buy("ann", "1", None, ord_type=OrdType.STOP, stop_px=Decimal(110))
    told = rejection(bench.exchange.replace("ann", 1, bench.tick(), price=Decimal(100)))
    assert (told.reason, told.field) == (RejectReason.UNEXPECTED_FIELD, "price")
    events = bench.exchange.replace("ann", 1, bench.tick(), stop_px=Decimal(112))
    (replaced,) = only(OrderReplaced, events)
    assert replaced.order.stop_px == Decimal(112)
    assert replaced.previous.stop_px == Decimal(110)


def test_time_that_falls_is_our_own_mistake() -> None:
    bench = Bench()
    bench.buy("ann", "1", "90")
    with pytest.raises(ValueError, match="time never falls"):
        bench.exchange.advance(bench.now_ns - 1)


def test_accounts_and_deposits_are_checked() -> None:
    bench = Bench(balances={"EUR": Decimal(100)})
    exchange = bench.exchange
    with pytest.raises(ValueError, match="'ann' exists already"):
        exchange.open_account("ann")
    with pytest.raises(ValueError, match="'DOGE' is not traded here"):
        exchange.open_account("dog", {"DOGE": Decimal(1)})
    with pytest.raises(ValueError, match="at most 8 digits"):
        exchange.open_account("dot", {"EUR": Decimal("1e-9")})
    with pytest.raises(ValueError, match="must be a finite number"):
        exchange.deposit("ann", "EUR", Decimal("nan"), bench.tick())
    with pytest.raises(ValueError, match="can be counted exactly"):
        exchange.deposit("ann", "EUR", Decimal(10**20), bench.tick())
    bench.buy("ann", "0.5", "100")
    with pytest.raises(ValueError, match=r"cannot give 60 EUR: 49.9"):
        exchange.deposit("ann", "EUR", Decimal(-60), bench.tick())
    exchange.deposit("ann", "EUR", Decimal(-40), bench.tick())
    assert bench.holds("ann", "EUR")[0] == 60


def test_contracts_and_absurd_fees_are_not_listed() -> None:
    with pytest.raises(ValueError, match="only spot"):
        Exchange([instrument(inverse=True)])
    with pytest.raises(ValueError, match="fee of 10000 bps"):
        Bench(fees=FeeSchedule(maker_bps=Decimal(10_000)))
