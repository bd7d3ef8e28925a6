"""What the exchange does with an order, case by case."""

import json
from decimal import Decimal

import pytest

from botkit.matching.exchange import (
    BalanceChanged,
    BookAction,
    BookLevelChange,
    BookOrderChange,
    CancelReason,
    ExchangeEvent,
    ExchangeRules,
    Execution,
    FeeIn,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderReduced,
    PublicTrade,
    RejectReason,
    SelfTradeRule,
    StopTriggered,
)
from botkit.matching.exchange.tape import DAY_NS, MINUTE_NS
from botkit.model import Liquidity, OrdStatus, OrdType, Side, TimeInForce
from botkit.ports import FeeSchedule
from tests.unit.exchange_bench import SYMBOL, Bench, only, rejection

D = Decimal
FREE = FeeSchedule()


def reasons(events: list[ExchangeEvent]) -> list[tuple[int, CancelReason, str]]:
    return [(e.order.order_id, e.reason, str(e.canceled_qty)) for e in only(OrderCanceled, events)]


def test_a_trade_is_told_in_order_with_both_sides_as_they_then_stand() -> None:
    bench = Bench()
    bench.sell("ann", "1", "100", client_order_id="a1", session="s1")
    events = bench.buy("bob", "1.5", "101", client_order_id="b1")
    assert [type(event) for event in events] == [
        OrderAccepted,
        Execution,
        BookOrderChange,
        BookLevelChange,
        PublicTrade,
        BookOrderChange,
        BookLevelChange,
        *[BalanceChanged] * 4,
    ]
    (traded,) = only(Execution, events)
    assert (traded.price, traded.qty, traded.notional) == (D(100), D(1), D(100))
    maker, taker = traded.maker, traded.taker
    assert (maker.order.ord_status, maker.liquidity) == (OrdStatus.FILLED, Liquidity.ADDED)
    assert (maker.order.client_order_id, maker.order.session) == ("a1", "s1")
    assert (taker.order.ord_status, taker.order.leaves_qty) == (
        OrdStatus.PARTIALLY_FILLED,
        D("0.5"),
    )
    assert (maker.fee, taker.fee) == (D("0.1"), D("0.2"))
    assert traded.legs("ann") == (maker,)
    assert taker.order.avg_px == D(100)
    assert bench.state("bob", 2).avg_px == D(100)
    assert bench.bids() == [("101.0", "0.5")]
    assert bench.exchange.accounts["ann"].history() == [bench.state("ann", 1)]
    assert list(bench.exchange.accounts["ann"].executions) == [traded]


@pytest.mark.parametrize(
    ("fee_in", "seller", "buyer"),
    [
        (FeeIn.QUOTE, ("-1", "99.9"), ("1", "-100.2")),
        (FeeIn.RECEIVED, ("-1", "99.9"), ("0.998", "-100")),
        (FeeIn.BASE, ("-1.001", "100"), ("0.998", "-100")),
    ],
)
def test_fees_are_taken_in_the_currency_of_the_rules(
    fee_in: FeeIn, seller: tuple[str, str], buyer: tuple[str, str]
) -> None:
    bench = Bench(ExchangeRules(fee_in=fee_in))
    before = {name: bench.holds("ann", name)[0] for name in ("BTC", "EUR")}
    bench.sell("ann", "1", "100")
    bench.buy("bob", "1", "100")
    for account, (base, quote) in (("ann", seller), ("bob", buyer)):
        assert bench.holds(account, "BTC")[0] - before["BTC"] == D(base)
        assert bench.holds(account, "EUR")[0] - before["EUR"] == D(quote)


def test_what_is_locked_covers_the_fee_where_it_comes_on_top() -> None:
    bench = Bench(ExchangeRules(fee_in=FeeIn.BASE))
    bench.sell("ann", "1", "100")
    bench.buy("ann", "1", "90")
    assert bench.holds("ann", "BTC")[1] == D("1.002")
    assert bench.holds("ann", "EUR")[1] == D(90)


def test_a_rebate_is_paid_and_an_account_may_have_fees_of_its_own() -> None:
    bench = Bench()
    fees = FeeSchedule(maker_bps=D(-5))
    bench.exchange.open_account("vip", {"BTC": D(1)}, fees=fees)
    bench.sell("vip", "1", "100")
    (traded,) = only(Execution, bench.buy("bob", "1", "100"))
    assert traded.maker.fee == D("-0.05")
    assert bench.holds("vip", "EUR")[0] == D("100.05")


def test_a_market_buy_by_cash_spends_it_to_the_last_lot() -> None:
    bench = Bench(fees=FREE)
    bench.sell("ann", "1", "100")
    bench.sell("ann", "1", "101")
    events = bench.buy("bob", None, cash_order_qty=D(155))
    assert [(str(e.price), str(e.qty)) for e in only(Execution, events)] == [
        ("100.0", "1.0"),
        ("101.0", "0.5"),
    ]
    last = only(Execution, events)[-1].taker.order
    assert (last.ord_status, last.cum_notional) == (OrdStatus.FILLED, D("150.5"))
    assert not only(OrderCanceled, events)


def test_a_market_order_that_finds_too_little_is_canceled_for_the_rest() -> None:
    bench = Bench(fees=FREE)
    assert reasons(bench.buy("bob", "1")) == [(1, CancelReason.NO_MATCH, "1.0")]
    bench.sell("ann", "1", "100")
    assert reasons(bench.buy("bob", "2")) == [(3, CancelReason.REMAINDER, "1.0")]
    bench.sell("ann", "1", "100")
    events = bench.buy("bob", None, cash_order_qty=D(150))
    assert reasons(events) == [(5, CancelReason.REMAINDER, "0.0")]
    assert bench.state("bob", 5).cum_notional == D(100)


def test_a_market_order_may_go_as_far_as_the_money_does() -> None:
    balances = {"EUR": D(151), "BTC": D(3)}
    bench = Bench(ExchangeRules(spend_what_is_there=True), balances=balances)
    bench.sell("ann", "2", "100")
    events = bench.buy("bob", "2")
    assert reasons(events) == [(2, CancelReason.INSUFFICIENT_FUNDS, "0.5")]
    assert bench.holds("bob", "EUR") == (D("0.7"), D(0))
    told = rejection(bench.buy("bob", "2"))
    assert told.reason is RejectReason.INSUFFICIENT_FUNDS


def test_fill_or_kill_trades_whole_or_not_at_all() -> None:
    bench = Bench(fees=FREE)
    bench.sell("ann", "1", "100")
    kill = bench.buy("bob", "2", "100", time_in_force=TimeInForce.FOK)
    assert reasons(kill) == [(2, CancelReason.NOT_ALL, "2.0")]
    assert not only(Execution, kill)
    fill = bench.buy("bob", "1", "100", time_in_force=TimeInForce.FOK)
    assert only(Execution, fill)[0].taker.order.ord_status is OrdStatus.FILLED


def test_immediate_or_cancel_never_rests() -> None:
    bench = Bench(fees=FREE)
    bench.sell("ann", "1", "100")
    events = bench.buy("bob", "3", "100", time_in_force=TimeInForce.IOC)
    assert reasons(events) == [(2, CancelReason.REMAINDER, "2.0")]
    assert bench.bids() == []


@pytest.mark.parametrize(
    ("rule", "canceled", "asks", "bids"),
    [
        (SelfTradeRule.NONE, [], [], [("101.0", "1.0")]),
        (
            SelfTradeRule.CANCEL_RESTING,
            [(1, CancelReason.SELF_TRADE, "1.0")],
            [],
            [("101.0", "2.0")],
        ),
        (
            SelfTradeRule.CANCEL_TAKING,
            [(2, CancelReason.SELF_TRADE, "2.0")],
            [("100.0", "1.0")],
            [],
        ),
        (SelfTradeRule.DECREMENT, [(1, CancelReason.SELF_TRADE, "1.0")], [], [("101.0", "1.0")]),
    ],
)
def test_an_order_that_meets_its_own_kind(
    rule: SelfTradeRule,
    canceled: list[tuple[int, CancelReason, str]],
    asks: list[tuple[str, str]],
    bids: list[tuple[str, str]],
) -> None:
    bench = Bench(ExchangeRules(self_trade=rule), FREE)
    bench.sell("ann", "1", "100")
    events = bench.buy("ann", "2", "101")
    assert reasons(events) == canceled
    assert (bench.asks(), bench.bids()) == (asks, bids)
    for traded in only(Execution, events):
        assert rule is SelfTradeRule.NONE
        assert len(traded.legs("ann")) == 2
        assert list(bench.exchange.accounts["ann"].executions) == [traded]


def test_decrement_takes_from_the_larger_and_cancels_the_smaller() -> None:
    bench = Bench(fees=FREE)
    bench.sell("ann", "3", "100")
    events = bench.buy("ann", "2", "100", self_trade=SelfTradeRule.DECREMENT)
    assert reasons(events) == [(2, CancelReason.SELF_TRADE, "2.0")]
    (reduced,) = only(OrderReduced, events)
    assert (reduced.order.order_id, reduced.reduced_qty) == (1, D(2))
    assert (reduced.order.order_qty, reduced.order.leaves_qty) == (D(1), D(1))
    assert bench.asks() == [("100.0", "1.0")]
    assert bench.holds("ann", "BTC")[1] == 1


def test_decrement_of_an_order_by_cash_takes_from_its_cash() -> None:
    bench = Bench(ExchangeRules(self_trade=SelfTradeRule.DECREMENT), FREE)
    bench.sell("ann", "1", "100")
    bench.sell("bob", "1", "101")
    events = bench.buy("ann", None, cash_order_qty=D(201))
    (reduced,) = only(OrderReduced, events)
    assert reduced.order.cash_order_qty == D(101)
    (traded,) = only(Execution, events)
    assert traded.taker.order.ord_status is OrdStatus.FILLED
    assert bench.asks() == []


def test_cash_left_over_after_a_decrement_is_canceled() -> None:
    bench = Bench(ExchangeRules(self_trade=SelfTradeRule.DECREMENT), FREE)
    bench.sell("bob", "1", "100")
    bench.sell("ann", "1", "100")
    bench.sell("bob", "1", "1000")
    events = bench.buy("ann", None, cash_order_qty=D(250))
    assert reasons(events) == [
        (2, CancelReason.SELF_TRADE, "1.0"),
        (4, CancelReason.REMAINDER, "0.0"),
    ]
    left = bench.state("ann", 4)
    assert (left.cash_order_qty, left.cum_notional) == (D(150), D(100))


def test_fill_or_kill_that_would_shrink_against_its_own_kind_is_killed() -> None:
    bench = Bench(ExchangeRules(self_trade=SelfTradeRule.DECREMENT), FREE)
    bench.sell("ann", "1", "100")
    bench.sell("bob", "1", "100")
    events = bench.buy("ann", "2", "100", time_in_force=TimeInForce.FOK)
    assert reasons(events) == [(3, CancelReason.NOT_ALL, "2.0")]
    assert bench.asks() == [("100.0", "2.0")]


def test_a_market_order_pays_the_fees_of_every_price_it_meets() -> None:
    balances = {"EUR": D("200.3"), "BTC": D(3)}
    bench = Bench(ExchangeRules(spend_what_is_there=True), balances=balances)
    bench.sell("ann", "1", "100")
    bench.sell("cat", "1", "100")
    bench.buy("bob", "2")
    assert bench.state("bob", 3).cum_qty == D("1.9")
    assert bench.holds("bob", "EUR") == (D("9.92"), D(0))


def test_fees_are_rounded_towards_nothing() -> None:
    fees = FeeSchedule(maker_bps=D(-3), taker_bps=D(20))
    bench = Bench(ExchangeRules(fee_digits=2), fees)
    bench.sell("ann", "0.1", "104.5")
    (traded,) = only(Execution, bench.buy("bob", "0.1", "104.5"))
    assert (traded.taker.fee, traded.maker.fee) == (D("0.02"), D(0))


def test_stops_follow_the_last_trade_and_run_one_after_another() -> None:
    bench = Bench(fees=FREE)
    for price in ("100", "99", "98"):
        bench.buy("ann", "1", price)
    bench.sell("bob", "1", None, ord_type=OrdType.STOP, stop_px=D(100))
    bench.sell("cat", "1", "97", ord_type=OrdType.STOP_LIMIT, stop_px=D("99.5"))
    bench.buy("cat", "1", None, ord_type=OrdType.STOP, stop_px=D(105))
    assert bench.holds("bob", "BTC")[1] == 0
    assert bench.holds("cat", "BTC")[1] == 1
    events = bench.sell("bob", "1", "100")
    story = [
        (type(e).__name__, e.trade_id) for e in events if isinstance(e, PublicTrade | StopTriggered)
    ]
    assert story == [
        ("PublicTrade", 1),
        ("StopTriggered", 1),
        ("PublicTrade", 2),
        ("StopTriggered", 2),
        ("PublicTrade", 3),
    ]
    assert [str(e.price) for e in only(PublicTrade, events)] == ["100.0", "99.0", "98.0"]
    (waiting,) = bench.exchange.accounts["cat"].open_orders()
    assert (waiting.order_id, waiting.triggered) == (6, False)


def test_a_stop_behind_the_last_trade_is_triggered_at_once() -> None:
    bench = Bench(fees=FREE)
    bench.sell("ann", "2", "100")
    bench.buy("bob", "1", "100")
    events = bench.buy("bob", "1", None, ord_type=OrdType.STOP, stop_px=D(100))
    assert [type(event).__name__ for event in events[:3]] == [
        "OrderAccepted",
        "StopTriggered",
        "Execution",
    ]


def test_a_post_only_stop_limit_is_canceled_where_it_would_take() -> None:
    bench = Bench(fees=FREE)
    bench.sell("ann", "2", "100")
    stop = {"ord_type": OrdType.STOP_LIMIT, "stop_px": D(100), "post_only": True}
    bench.buy("cat", "1", "101", **stop)
    assert reasons(bench.buy("bob", "1", "100")) == [(2, CancelReason.WOULD_TAKE, "1.0")]


def test_a_canceled_stop_is_never_triggered() -> None:
    bench = Bench(fees=FREE)
    bench.buy("cat", "1", None, ord_type=OrdType.STOP, stop_px=D(100))
    assert [type(e) for e in bench.exchange.cancel("cat", 1, bench.tick())] == [OrderCanceled]
    bench.sell("ann", "1", "100")
    assert not only(StopTriggered, bench.buy("bob", "1", "100"))


def test_orders_end_at_their_own_time_whatever_call_comes_next() -> None:
    bench = Bench(fees=FREE)
    bench.buy("ann", "1", "90", time_in_force=TimeInForce.DAY)
    bench.buy("ann", "1", "91", time_in_force=TimeInForce.GTD, expire_time_ns=6_000)
    bench.buy("ann", "1", "92", time_in_force=TimeInForce.GTD, expire_time_ns=5_000)
    assert bench.exchange.next_due_ns == 5_000
    bench.exchange.cancel("ann", 3, bench.now_ns)
    assert bench.exchange.next_due_ns == 6_000
    bench.now_ns = 6_000
    events = bench.sell("bob", "1", "91")
    (expired,) = only(OrderExpired, events)
    assert (expired.order.order_id, expired.time_ns, expired.expired_qty) == (2, 6_000, D(1))
    assert expired.order.ord_status is OrdStatus.EXPIRED
    assert not only(Execution, events)
    (day,) = only(OrderExpired, bench.exchange.advance(3 * DAY_NS))
    assert day.time_ns == DAY_NS
    assert not bench.exchange.next_due_ns
    assert bench.holds("ann", "EUR")[1] == 0


def test_cancel_all_ends_what_is_named() -> None:
    bench = Bench()
    bench.buy("ann", "1", "90", session="s1")
    bench.sell("ann", "1", "110", session="s2")
    bench.buy("bob", "1", "90", session="s1")
    exchange = bench.exchange
    events = exchange.cancel_all(
        "ann", bench.tick(), session="s1", reason=CancelReason.DISCONNECTED
    )
    assert reasons(events) == [(1, CancelReason.DISCONNECTED, "1.0")]
    assert not exchange.cancel_all("ann", bench.tick(), side=Side.BUY)
    assert not exchange.cancel_all("ann", bench.tick(), symbol="DOGE-EUR")
    assert len(only(OrderCanceled, exchange.cancel_all("ann", bench.tick(), symbol=SYMBOL))) == 1
    assert len(exchange.accounts["bob"].open_orders(session="s1")) == 1


def test_a_replace_into_the_market_trades_and_a_smaller_one_keeps_its_place() -> None:
    bench = Bench(fees=FREE)
    bench.buy("ann", "3", "100")
    bench.buy("bob", "1", "100")
    events = bench.exchange.replace("ann", 1, bench.tick(), order_qty=D(2))
    assert [(e.action, e.index, str(e.qty)) for e in only(BookOrderChange, events)] == [
        (BookAction.UPDATE, 0, "2.0")
    ]
    bench.sell("cat", "1", "101")
    events = bench.exchange.replace("ann", 1, bench.tick(), price=D(101))
    assert len(only(Execution, events)) == 1
    assert [(e.order_id, e.action, e.index) for e in only(BookOrderChange, events)] == [
        (1, BookAction.REMOVE, 0),
        (3, BookAction.REMOVE, 0),
        (1, BookAction.ADD, 0),
    ]
    renamed = bench.exchange.replace("ann", 1, bench.tick(), client_order_id="new")
    assert not only(BookOrderChange, renamed)
    assert bench.state("ann", 1).client_order_id == "new"


def test_credit_lets_an_account_go_below_nothing_and_no_further() -> None:
    bench = Bench(fees=FREE)
    bench.exchange.open_account("fund", credit={"BTC": D(2)})
    bench.sell("fund", "2", "100")
    assert rejection(bench.sell("fund", "0.1", "100")).reason is RejectReason.INSUFFICIENT_FUNDS
    bench.buy("bob", "2", "100")
    balances = {b.currency: b for b in bench.exchange.accounts["fund"].balances()}
    assert (balances["BTC"].total, balances["BTC"].credit) == (D(-2), D(2))
    assert balances["EUR"].available == 200


class TestCounterparties:
    """Limits on net positions by pair of accounts."""

    def bench(self) -> Bench:
        bench = Bench(ExchangeRules(counterparty_limits=True), FREE)
        limits = bench.exchange.counterparties
        assert limits is not None
        btc = bench.exchange.currencies["BTC"]
        eur = bench.exchange.currencies["EUR"]
        limits.set_limit("ann", "bob", btc, D(1))
        limits.set_limit("ann", "cat", eur, D(250))
        bench.sell("ann", "2", "100")
        return bench

    def test_a_taker_passes_over_those_it_may_not_trade_with(self) -> None:
        bench = self.bench()
        bench.sell("cat", "1", "101")
        events = bench.buy("bob", "3", "101", time_in_force=TimeInForce.IOC)
        assert [(e.maker.order.account, str(e.qty)) for e in only(Execution, events)] == [
            ("ann", "1.0"),
            ("cat", "1.0"),
        ]
        assert reasons(events) == [(3, CancelReason.COUNTERPARTY_LIMIT, "1.0")]

    def test_the_rest_of_a_limit_does_not_cross_the_book(self) -> None:
        bench = self.bench()
        assert reasons(bench.buy("bob", "3", "100")) == [
            (2, CancelReason.COUNTERPARTY_LIMIT, "2.0")
        ]
        assert bench.bids() == []

    def test_positions_mirror_one_another_and_trading_back_makes_room(self) -> None:
        bench = self.bench()
        bench.buy("bob", "1", "100")
        limits = bench.exchange.counterparties
        assert limits is not None
        found = {(p.counterparty, p.currency): (p.net, p.limit) for p in limits.positions("bob")}
        assert found == {("ann", "BTC"): (D(1), D(1)), ("ann", "EUR"): (D(-100), None)}
        assert limits.reachable("bob", bench.market, Side.SELL) == []
        bench.exchange.cancel_all("ann", bench.tick())
        bench.buy("ann", "1", "99")
        assert len(only(Execution, bench.sell("bob", "1", "99"))) == 1
        eur = bench.exchange.currencies["EUR"]
        limits.set_limit("ann", "cat", eur, None)
        assert limits.positions("cat") == []

    def test_the_reachable_book_counts_limits_off_from_the_best_price(self) -> None:
        bench = self.bench()
        limits = bench.exchange.counterparties
        assert limits is not None
        bench.sell("ann", "2", "101")
        assert limits.reachable("cat", bench.market, Side.SELL) == [(200, 20), (202, 4)]
        assert limits.reachable("ann", bench.market, Side.SELL) == [(200, 20), (202, 20)]


def test_ticker_candles_and_trades_tell_what_was_traded() -> None:
    bench = Bench(fees=FREE)
    empty = bench.market.ticker(bench.now_ns)
    assert (empty.last, empty.open, empty.bid_px) == (None, None, None)
    assert (empty.volume, empty.last_qty) == (D(0), D(0))
    bench.now_ns = 10 * DAY_NS
    for price, pause in (("100", 0), ("103", MINUTE_NS), ("99", DAY_NS)):
        bench.now_ns += pause
        bench.sell("ann", "1", price)
        bench.buy("bob", "1", price)
    bench.buy("ann", "1", "99")
    bench.sell("bob", "0.5", "99")
    ticker = bench.market.ticker(bench.now_ns)
    assert (ticker.open, ticker.high, ticker.low, ticker.last) == (D(99), D(99), D(99), D(99))
    assert (ticker.bought, ticker.sold, ticker.volume) == (D(1), D("0.5"), D("1.5"))
    assert (ticker.notional, ticker.trades) == (D("148.5"), 2)
    assert (ticker.bid_px, ticker.bid_qty, ticker.ask_px) == (D(99), D("0.5"), None)
    (first, *_, last) = bench.market.candles(DAY_NS, 0, 12 * DAY_NS)
    assert (first.open, first.high, first.low, first.close, first.trades) == (200, 206, 200, 206, 2)
    assert (last.start_ns, last.quote_sold) == (11 * DAY_NS, 4_950_000_000)
    assert len(bench.market.candles(DAY_NS, 0, 11 * DAY_NS)) == 1
    assert [str(trade.price) for trade in bench.market.trades] == ["100.0", "103.0", "99.0", "99.0"]


def test_the_order_book_is_served_by_order_and_by_level_to_any_depth() -> None:
    bench = Bench()
    for account, price in (("ann", "90"), ("bob", "90"), ("cat", "91")):
        bench.buy(account, "1", price)
    assert [o.order_id for o in bench.market.orders(Side.BUY)] == [3, 1, 2]
    assert [o.order_id for o in bench.market.orders(Side.BUY, 2)] == [3, 1]
    assert bench.market.levels(Side.BUY, 1) == [(D(91), D(1), 1)]
    assert bench.market.levels(Side.BUY)[1] == (D(90), D(2), 2)


def test_the_report_is_plain_json() -> None:
    bench = Bench()
    bench.sell("ann", "1", "100", client_order_id="c9")
    bench.buy("bob", "0.5", "100")
    bench.buy("cat", "1", None, ord_type=OrdType.STOP, stop_px=D(120))
    report = json.loads(json.dumps(bench.exchange.report()))
    assert report["bob"] == {"orders": 1, "fills": 1, "resting": []}
    (row,) = report["ann"]["resting"]
    assert (row["order_id"], row["client_order_id"], row["price"]) == (1, "c9", "100.0")
    assert (row["leaves_qty"], row["cum_qty"], row["side"]) == ("0.5", "0.5", "SELL")
    assert report["cat"]["resting"][0]["stop_px"] == "120.0"


def test_only_the_last_closed_orders_are_kept() -> None:
    bench = Bench()
    account = bench.exchange.open_account("dan", {"EUR": D(1_000)}, history_limit=2)
    for _ in range(3):
        bench.buy("dan", "1", "90", time_in_force=TimeInForce.IOC)
    assert [order.order_id for order in account.history()] == [2, 3]
    assert account.order(1) is None
    assert account.orders_received == 3


def test_a_deposit_is_told_as_a_balance() -> None:
    bench = Bench(balances={"EUR": D(5)})
    (told,) = bench.exchange.deposit("ann", "EUR", D(2), bench.tick())
    assert isinstance(told, BalanceChanged)
    assert (told.total, told.available, told.account) == (D(7), D(7), "ann")
