"""A market that lives: background traders, whatever others do to it."""

from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from botkit.matching.exchange import (
    BookLevelChange,
    Exchange,
    ExchangeEvent,
    ExchangeRules,
    OrderTerms,
    PublicTrade,
    RequestRejected,
    TraderParams,
    Traders,
)
from botkit.model import OrdType, Side, TimeInForce
from tests.unit.exchange_bench import SYMBOL, Replica, instrument, only

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def market(
    seed: int = 7, rules: ExchangeRules | None = None, **changes: Any
) -> tuple[Exchange, Traders]:
    exchange = Exchange([instrument()], rules=rules)
    params = TraderParams(**{"fair_px": Decimal(10_000), **changes})
    rng = np.random.default_rng(seed)
    return exchange, Traders(exchange, SYMBOL, rng, params, start_ns=START)


def is_two_sided(exchange: Exchange) -> bool:
    levels = [exchange.markets[SYMBOL].levels(side, 1) for side in Side]
    return all(levels) and levels[0][0][0] < levels[1][0][0]


def test_the_same_seed_makes_the_same_market_however_often_it_is_called() -> None:
    (_, one), (_, other) = market(), market()
    events = one.act(START + 60 * SECOND)
    split: list[ExchangeEvent] = []
    for step in range(0, 60 * SECOND + 1, SECOND // 8):
        split += other.act(START + step)
    assert split == events
    assert market(seed=8)[1].act(START + 60 * SECOND) != events


def test_a_minute_has_trades_moving_quotes_and_no_refusals() -> None:
    exchange, traders = market(takes_per_s=2.0)
    events = traders.act(START + 60 * SECOND)
    seen = Counter(type(event) for event in events)
    assert 60 < seen[PublicTrade] < 400
    assert seen[BookLevelChange] > 500
    assert not only(RequestRejected, events)
    assert {trade.side for trade in only(PublicTrade, events)} == set(Side)
    replica = Replica()
    replica.apply(events)
    for side in Side:
        levels = exchange.markets[SYMBOL].levels(side)
        assert replica.levels[side] == {px: (qty, count) for px, qty, count in levels}


@pytest.mark.parametrize("takes_per_s", [0.0, 20.0])
def test_both_sides_are_quoted_and_resting_orders_are_bounded(takes_per_s: float) -> None:
    exchange, traders = market(takes_per_s=takes_per_s, levels=3, size=Decimal("0.3"))
    for _ in range(500):
        traders.act(traders.next_due_ns)
        assert is_two_sided(exchange)
        assert len(exchange.accounts[traders.accounts[0]].open) <= 6
        assert not exchange.accounts[traders.accounts[1]].open


def test_spread_and_depth_are_those_of_the_parameters() -> None:
    exchange, traders = market(levels=4, half_spread_bps=20.0, takes_per_s=0.0)
    traders.act(START)
    bids, asks = (exchange.markets[SYMBOL].levels(side) for side in (Side.BUY, Side.SELL))
    assert len(bids) == len(asks) == 4
    for (px, _, _), sign in ((bids[0], -1), (asks[0], 1)):
        away_bps = (float(px) / traders.fair_px - 1) * 1e4 * sign
        assert 19.9 <= away_bps <= 23


def test_a_wild_market_near_nothing_stays_above_nothing() -> None:
    exchange, traders = market(fair_px=Decimal(2), volatility_bps=3_000.0, levels=5)
    for _ in range(400):
        traders.act(traders.next_due_ns)
        lowest = exchange.markets[SYMBOL].levels(Side.BUY)[-1][0]
        assert lowest > 0
        assert is_two_sided(exchange)


@pytest.mark.parametrize("side", list(Side))
def test_a_quote_of_anothers_beyond_the_fair_price_is_taken(side: Side) -> None:
    exchange, traders = market(takes_per_s=0.0)
    exchange.open_account("ann", {"BTC": Decimal(10**6), "EUR": Decimal(10**9)})
    traders.act(START)
    price = Decimal(11_000) if side is Side.BUY else Decimal(9_000)
    terms = OrderTerms(symbol=SYMBOL, side=side, order_qty=Decimal(900), price=price)
    exchange.submit("ann", terms, START)
    traders.act(START + SECOND)
    assert not exchange.accounts["ann"].open
    assert is_two_sided(exchange)


def test_a_bot_that_sweeps_a_side_finds_it_quoted_again() -> None:
    exchange, traders = market(takes_per_s=0.0)
    exchange.open_account("ann", {"BTC": Decimal(10**6), "EUR": Decimal(10**9)})
    traders.act(START)
    terms = OrderTerms(
        symbol=SYMBOL,
        side=Side.SELL,
        ord_type=OrdType.MARKET,
        order_qty=Decimal(900),
        time_in_force=TimeInForce.IOC,
    )
    exchange.submit("ann", terms, START + 1)
    assert not exchange.markets[SYMBOL].levels(Side.BUY)
    traders.act(START + SECOND)
    assert is_two_sided(exchange)


def test_orders_keep_within_the_limits_of_the_market() -> None:
    listed = instrument(
        min_trade_vol=Decimal("0.2"), max_trade_vol=Decimal("0.4"), min_notional=Decimal(3_000)
    )
    exchange = Exchange([listed], rules=ExchangeRules(max_notional=Decimal(5_000)))
    params = TraderParams(fair_px=Decimal(10_000), takes_per_s=5.0)
    rng = np.random.default_rng(1)
    traders = Traders(exchange, SYMBOL, rng, params, start_ns=START)
    assert not only(RequestRejected, traders.act(START + 60 * SECOND))


def test_a_halted_market_is_left_alone_and_taken_up_again() -> None:
    exchange, traders = market()
    traders.act(START)
    exchange.halt(SYMBOL)
    assert traders.act(START + 5 * SECOND) == []
    exchange.halt(SYMBOL, halted=False)
    assert traders.act(START + 10 * SECOND)


def test_late_calls_act_at_the_exchange_s_time() -> None:
    exchange, traders = market()
    exchange.advance(START + 3 * SECOND)
    events = traders.act(START + 3 * SECOND)
    assert {event.time_ns for event in events} == {START + 3 * SECOND}


def test_parameters_that_make_no_market_are_refused() -> None:
    with pytest.raises(ValueError, match="levels is 0: it must be above 0"):
        TraderParams(fair_px=Decimal(1), levels=0)
