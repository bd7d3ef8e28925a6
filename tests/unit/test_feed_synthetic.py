"""The synthetic market: seeded, consistent, and believable by its statistics."""

import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

import numpy as np
import pytest

from botkit.errors import ConfigError
from botkit.model import (
    Book,
    BookDelta,
    BookSnapshot,
    FeedGap,
    Instrument,
    MarketEvent,
    Quote,
    Side,
    Trade,
)
from venues.paper.feeds import Feed, build_feed
from venues.paper.feeds.draws import Draws
from venues.paper.feeds.fair_price import YEAR_S, FairPrice
from venues.paper.feeds.flow import MarketShape, _Market
from venues.paper.feeds.ladder import Ladder

START_NS = 1_700_000_000_000_000_000
S = 1_000_000_000
SOURCE = "configs/paper.toml: venues.paper.feed"


def build_instrument(name: str = "BTC-EUR", **changes: Any) -> Instrument:
    base, _, quote = name.partition("-")
    settings: dict[str, Any] = {"tick_size": Decimal("0.01"), "lot_size": Decimal("0.00001")}
    return Instrument(symbol=f"paper:{name}", base=base, quote=quote, **settings | changes)


def build_synthetic(*instruments: Instrument, **options: Any) -> Feed:
    traded = {each.symbol: each for each in instruments or (build_instrument(),)}
    return build_feed(
        {"type": "synthetic", "seed": 7, **options},
        symbols=tuple(traded),
        instruments=traded,
        source=SOURCE,
        base_dir=".",
    )


def take(feed: Feed, count: int) -> list[MarketEvent]:
    return list(islice(feed.events(START_NS), count))


@pytest.fixture(scope="module")
def hour() -> list[MarketEvent]:
    return list(build_synthetic(duration="1h").events(START_NS))


def test_it_begins_with_a_snapshot_and_a_quote_at_the_start_time() -> None:
    feed = build_synthetic()
    snapshot, quote = take(feed, 2)

    assert isinstance(snapshot, BookSnapshot)
    assert isinstance(quote, Quote)
    assert snapshot.receive_time_ns == quote.receive_time_ns == START_NS
    assert len(snapshot.bids) == len(snapshot.asks) == 10
    assert snapshot.bids[0] == (quote.bid_px, quote.bid_qty)
    assert snapshot.asks[0] == (quote.ask_px, quote.ask_qty)
    assert quote.mid == pytest.approx(60_000, rel=1e-3)
    assert feed.first_time_ns() is None
    assert feed.speed == 1.0


def _books(events: list[MarketEvent]) -> Iterator[tuple[Book, MarketEvent]]:
    """Yield every event with the book as of the depth before or at it."""
    book = Book("paper:BTC-EUR")
    for event in events:
        if isinstance(event, BookSnapshot | BookDelta):
            book.apply(event)
        yield book, event


def test_the_book_is_never_crossed_and_quotes_are_its_best(hour: list[MarketEvent]) -> None:
    for book, event in _books(hour):
        assert not book.is_crossed
        if isinstance(event, Quote):
            assert book.bids(1) == [(event.bid_px, event.bid_qty)]
            assert book.asks(1) == [(event.ask_px, event.ask_qty)]
            assert event.spread >= 0.01 - 1e-9


def test_every_change_of_the_best_is_quoted(hour: list[MarketEvent]) -> None:
    quoted: tuple[object, object] | None = None
    for (book, event), following in zip(_books(hour), hour[1:], strict=False):
        if isinstance(event, Quote):
            quoted = ((event.bid_px, event.bid_qty), (event.ask_px, event.ask_qty))
        elif isinstance(event, BookDelta) and not isinstance(following, Quote):
            assert quoted == (book.bids(1)[0], book.asks(1)[0])


def test_depth_is_kept_and_never_more_than_asked() -> None:
    sizes = Counter(
        len(book.bids())
        for book, event in _books(take(build_synthetic(depth=5), 5_000))
        if isinstance(event, Quote)
    )

    assert max(sizes) == 5
    assert sizes[5] > 0.8 * sizes.total()


def test_trades_take_displayed_liquidity_at_the_touch_or_through_it(
    hour: list[MarketEvent],
) -> None:
    trades = 0
    for book, event in _books(hour):
        if isinstance(event, Trade):
            trades += 1
            buy = event.aggressor == "BUY"
            assert buy or event.aggressor == "SELL"
            resting = Side.SELL if buy else Side.BUY
            assert event.price >= book.ask if buy else event.price <= book.bid
            assert event.qty <= book.qty_at(resting, event.price) + 1e-12
    assert trades > 3_000


def test_what_a_trade_takes_is_gone_from_the_next_delta(hour: list[MarketEvent]) -> None:
    taken: dict[tuple[Side, float], float] = {}
    for book, event in _books(hour):
        if isinstance(event, Trade):
            side = Side.SELL if event.aggressor == "BUY" else Side.BUY
            taken[side, event.price] = book.qty_at(side, event.price) - event.qty
        elif isinstance(event, BookDelta):
            for (side, price), left in taken.items():
                assert book.qty_at(side, price) == pytest.approx(left, abs=1e-9)
            taken.clear()


def test_prices_and_quantities_lie_on_the_grids_exactly() -> None:
    instrument = build_instrument(tick_size=Decimal("0.05"), lot_size=Decimal("0.003"))
    for event in take(build_synthetic(instrument), 3_000):
        levels = (
            event.bids + event.asks
            if isinstance(event, BookSnapshot | BookDelta)
            else [(event.price, event.qty)]
            if isinstance(event, Trade)
            else []
        )
        for price, qty in levels:
            ticks, lots = round(price / 0.05), round(qty / 0.003)
            assert price == float(str(ticks * Decimal("0.05")))
            assert qty == float(str(lots * Decimal("0.003")))


def test_times_rise_and_the_venue_is_earlier_than_we(hour: list[MarketEvent]) -> None:
    last_ns = START_NS
    for event in hour:
        assert not isinstance(event, FeedGap)
        assert event.receive_time_ns >= last_ns
        if not isinstance(event, Trade | Quote | BookDelta | BookSnapshot):
            pytest.fail(f"unexpected {event}")
        assert event.exchange_time_ns < event.receive_time_ns
        last_ns = event.receive_time_ns
    assert last_ns < START_NS + 3_600 * S


def test_the_rate_of_events_is_about_what_was_asked_for(hour: list[MarketEvent]) -> None:
    assert len(hour) / 3_600 == pytest.approx(25, rel=0.2)
    slow = list(build_synthetic(duration="1h", rate=1.0).events(START_NS))
    assert len(slow) / 3_600 == pytest.approx(1, rel=0.4)


def _mids(events: list[MarketEvent]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return the mid price at every full second."""
    mids: list[float] = []
    due_ns = START_NS
    mid = math.nan
    for event in events:
        while event.receive_time_ns > due_ns:
            mids.append(mid)
            due_ns += S
        if isinstance(event, Quote):
            mid = event.mid
    return np.array(mids)


@pytest.mark.parametrize("volatility", [0.3, 0.8, 1.5])
def test_volatility_is_about_what_was_asked_for(volatility: float) -> None:
    feed = build_synthetic(duration="1h", volatility=volatility, rate=10.0)
    returns = np.diff(np.log(_mids(list(feed.events(START_NS)))[::60]))

    assert returns.std() * math.sqrt(YEAR_S / 60) == pytest.approx(volatility, rel=0.4)


def test_volatility_comes_in_spells(hour: list[MarketEvent]) -> None:
    returns = np.abs(np.diff(np.log(_mids(hour))))
    by_minute = returns[: len(returns) // 60 * 60].reshape(-1, 60).mean(axis=1)

    # Of independent returns the minutes' means would differ by about 0.1 of their mean.
    assert by_minute.std() / by_minute.mean() > 0.2


def test_trades_come_in_clusters(hour: list[MarketEvent]) -> None:
    orders = sorted({e.receive_time_ns for e in hour if isinstance(e, Trade)})
    counts = np.bincount([(time_ns - START_NS) // S for time_ns in orders], minlength=3_600)

    assert counts.var() / counts.mean() > 1.6  # 1 for orders that know nothing of one another


def test_makers_ask_for_a_wider_spread_when_volatility_is_high() -> None:
    shape = MarketShape(
        price=60_000.0, volatility=0.8, spread_bps=2.0, rate=25.0, depth=10, level_notional=1e4
    )

    def settled_ticks(times_usual: float) -> int:
        market = _Market(build_instrument(), shape, Draws(1, "spread"))
        market._fair.sigma *= times_usual / market._fair.heat
        for _ in range(100):
            market._follow()
        return market._asks.best + market._bids.best

    assert settled_ticks(4.0) == pytest.approx(4.0**0.7 * settled_ticks(1.0), rel=0.02)


def test_the_spread_widens_with_volatility() -> None:
    def mean_spread(volatility: float, seed: int) -> float:
        feed = build_synthetic(duration="20m", volatility=volatility, seed=seed)
        return float(np.mean([e.spread for e in feed.events(START_NS) if isinstance(e, Quote)]))

    assert mean_spread(3.0, 1) > 1.2 * mean_spread(0.1, 1)


def test_within_a_run_spreads_are_wider_where_prices_move_more(hour: list[MarketEvent]) -> None:
    spreads: list[list[float]] = [[] for _ in range(60)]
    for event in hour:
        if isinstance(event, Quote):
            spreads[(event.receive_time_ns - START_NS) // (60 * S)].append(event.spread)
    moves = np.abs(np.diff(np.log(_mids(hour))))
    minutes = len(moves) // 60
    restless = moves[: minutes * 60].reshape(-1, 60).mean(axis=1)

    tied = np.corrcoef(restless, [np.mean(each) for each in spreads[:minutes]])[0, 1]
    assert tied > 0.4


def test_the_fair_price_trends_both_ways_and_rests() -> None:
    fair = FairPrice(100.0, 0.8, Draws(3, "trend"))
    moved: dict[int, list[float]] = {-1: [], 0: [], 1: []}
    for _ in range(20_000):
        before, trend = fair.price, fair.trend
        if not fair.advance(1.0) and trend == fair.trend:
            moved[trend].append(math.log(fair.price / before) / fair.sigma)

    assert all(len(moves) > 2_000 for moves in moved.values())
    assert np.mean(moved[1]) == pytest.approx(0.15, abs=0.05)
    assert np.mean(moved[-1]) == pytest.approx(-0.15, abs=0.05)
    assert np.mean(moved[0]) == pytest.approx(0.0, abs=0.05)


def test_shocks_happen_now_and_then_and_raise_volatility() -> None:
    fair = FairPrice(100.0, 0.8, Draws(3, "shock"))
    shocks: list[float] = []
    for _ in range(30_000):
        before = fair.price
        if direction := fair.advance(1.0):
            shocks.append(direction * math.log(fair.price / before))

    assert 60 < len(shocks) < 150
    assert np.median(shocks) > 3 * 0.8 / math.sqrt(YEAR_S)


def test_takers_lean_with_the_trend() -> None:
    def imbalance(seed: int) -> tuple[float, float]:
        events = list(build_synthetic(duration="6m", seed=seed).events(START_NS))
        signs = [1 if e.aggressor == "BUY" else -1 for e in events if isinstance(e, Trade)]
        mids = _mids(events)
        return math.log(mids[-1] / mids[1]), float(np.mean(signs))

    pairs = np.array([imbalance(seed) for seed in range(12)])
    assert np.corrcoef(pairs.T)[0, 1] > 0.3


def test_a_market_without_volatility_stays_where_it_is() -> None:
    events = list(build_synthetic(duration="5m", volatility=0.0).events(START_NS))

    mids = [event.mid for event in events if isinstance(event, Quote)]
    assert max(mids) / min(mids) < 1.02


def test_a_price_near_the_least_tick_stays_above_zero() -> None:
    instrument = build_instrument("DUST-EUR", lot_size=Decimal(1))
    feed = build_synthetic(instrument, prices={"DUST-EUR": "0.03"}, volatility=5.0, rate=100.0)
    least = min(
        price
        for event in take(feed, 20_000)
        if isinstance(event, BookSnapshot | BookDelta)
        for price, _ in event.bids
    )

    assert least == 0.01


def test_contracts_are_sized_by_their_multiplier() -> None:
    def median_level(instrument: Instrument) -> float:
        snapshot = take(build_synthetic(instrument, prices={"X-USD": "50000"}, depth=200), 1)[0]
        assert isinstance(snapshot, BookSnapshot)
        return float(np.median([qty for _, qty in snapshot.bids[:20]]))

    plain = build_instrument("X-USD", tick_size=Decimal("0.5"))
    inverse = build_instrument(
        "X-USD",
        tick_size=Decimal("0.5"),
        lot_size=Decimal(1),
        contract_multiplier=Decimal(100),
        inverse=True,
    )
    assert median_level(plain) * 50_000 == pytest.approx(24_000, rel=0.7)
    assert median_level(inverse) * 100 == pytest.approx(24_000, rel=0.7)


def test_the_same_seed_is_the_same_market_and_another_is_not() -> None:
    assert take(build_synthetic(), 2_000) == take(build_synthetic(), 2_000)
    assert take(build_synthetic(), 50) != take(build_synthetic(seed=8), 50)


def test_a_feed_can_be_played_again() -> None:
    feed = build_synthetic()

    assert take(feed, 500) == take(feed, 500)


def test_several_instruments_are_merged_by_time_and_do_not_disturb_one_another() -> None:
    btc, eth, odd = (build_instrument(name) for name in ("BTC-EUR", "ETH-EUR", "ODD-EUR"))
    events = take(build_synthetic(btc, eth, odd), 6_000)
    times = [event.receive_time_ns for event in events]
    alone = take(build_synthetic(eth), 1_000)

    assert times == sorted(times)
    assert [e for e in events if isinstance(e, Quote) and e.symbol == eth.symbol][:200] == [
        e for e in alone if isinstance(e, Quote)
    ][:200]
    first = {e.symbol: e.mid for e in reversed(events) if isinstance(e, Quote)}
    assert first[btc.symbol] == pytest.approx(60_000, rel=0.01)
    assert first[eth.symbol] == pytest.approx(2_500, rel=0.01)
    assert first[odd.symbol] == pytest.approx(100, rel=0.01)


PRINT_DIGEST = """
import hashlib, sys
from decimal import Decimal
from itertools import islice
from botkit.model import Instrument
from venues.paper.feeds import build_feed
names = ("BTC-EUR", "ETH-EUR")
instruments = {
    f"paper:{name}": Instrument(
        symbol=f"paper:{name}", base=name[:3], quote="EUR",
        tick_size=Decimal("0.01"), lot_size=Decimal("0.0001"),
    )
    for name in names
}
feed = build_feed(
    {"type": "synthetic", "seed": 7}, symbols=tuple(instruments), instruments=instruments,
    source="test: feed", base_dir=".",
)
events = islice(feed.events(1_700_000_000_000_000_000), 5_000)
print(hashlib.sha256(repr(list(events)).encode()).hexdigest())
"""


def test_processes_with_different_hash_seeds_make_the_same_events() -> None:
    digests = {
        subprocess.run(  # noqa: S603  our own interpreter and the text above
            [sys.executable, "-c", PRINT_DIGEST],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prices": {"BTC-EUX": "1"}}, "did you mean 'BTC-EUR'?"),
        ({"prices": {"BTC-EUR": "-5"}}, "-5 found; a price must be a number above 0"),
        ({"sped": "max"}, "sped"),
        ({"seed": -1}, "seed"),
        ({"depth": 1}, "depth"),
        ({"rate": 0.0}, "rate"),
        ({"speed": "fast"}, "speed is 'fast'"),
        ({"speed": "0x"}, "speed is '0x'"),
        ({"type": "syntetic"}, "did you mean 'synthetic'?"),
        ({"type": 3}, "type is 3; it must be one of replay, synthetic"),
    ],
)
def test_a_bad_option_is_named(options: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build_synthetic(**options)

    assert said in str(raised.value)
    assert "venues.paper.feed" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "speed"),
    [("realtime", 1.0), ("max", math.inf), ("10x", 10.0), ("0.5x", 0.5), (" 2 X ", 2.0)],
)
def test_speeds_are_words_or_multiples(text: str, speed: float) -> None:
    assert build_synthetic(speed=text).speed == speed


def test_a_ladder_never_trades_away_its_last_lot() -> None:
    ladder = Ladder()
    ladder.put(5, 2)
    ladder.put(6, 1)

    assert ladder.take(10, levels=2) == [(5, 2)]
    assert ladder.take(10, levels=2) == []
    assert ladder.lots == {6: 1}
    assert ladder.changed == {5: 0, 6: 1}


def test_a_taker_takes_no_more_than_it_wants() -> None:
    ladder = Ladder()
    for key in (1, 2, 3):
        ladder.put(key, 4)

    assert ladder.take(6, levels=3) == [(1, 4), (2, 2)]
    assert ladder.keys == [2, 3]
    assert ladder.take(3, levels=1) == [(2, 2)]
    assert ladder.lots == {3: 4}
