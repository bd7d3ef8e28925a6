"""The replay feed over real recorded data: Binance spot BTCUSDT, 8-9 August 2024."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from botkit.model import Book, BookDelta, BookSnapshot, Instrument, MarketEvent, Quote, Trade
from venues.paper.feeds import Feed, build_feed

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT.parent / "shared" / "data" / "binance_frames_20240808"
SYMBOL: Final = "paper:BTCUSDT"
RECEIVED: Final = {"receive_time_ns": "recv_ns", "exchange_time_ms": "event_ms"}
FILES: Final = {
    "quotes": {"path": "spot_btcusdt_bookticker.parquet", "columns": RECEIVED},
    "trades": {"path": "spot_btcusdt_trades.parquet", "columns": RECEIVED},
    "depth": {"path": "spot_btcusdt_depth.parquet", "columns": {**RECEIVED, "group": "last_id"}},
}

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="the recorded data are not there: ../shared/data"
)


def build(*kinds: str) -> Feed:
    return build_feed(
        {
            "type": "replay",
            "speed": "max",
            "dir": "shared/data/binance_frames_20240808",
            "files": [{"kind": kind, "symbol": "BTCUSDT", **FILES[kind]} for kind in kinds],
        },
        symbols=(SYMBOL,),
        instruments={
            SYMBOL: Instrument(
                symbol=SYMBOL,
                base="BTC",
                quote="USDT",
                tick_size=Decimal("0.01"),
                lot_size=Decimal("0.00001"),
            )
        },
        source="test: venues.paper.feed",
        base_dir=str(ROOT.parent),
    )


@pytest.fixture(scope="module")
def recorded() -> list[MarketEvent]:
    return list(build("quotes", "trades", "depth").events(0))


def test_every_row_becomes_its_event(recorded: list[MarketEvent]) -> None:
    kinds = Counter(type(event) for event in recorded)

    assert kinds[Quote] == 73_174
    assert kinds[Trade] == 19_904
    assert kinds[BookSnapshot] == 1
    # 6,496 messages less the snapshot and the two deltas that it already contains.
    assert kinds[BookDelta] == 6_493
    snapshot = next(event for event in recorded if isinstance(event, BookSnapshot))
    assert len(snapshot.bids) == len(snapshot.asks) == 1_000


def test_events_come_in_order_of_receive_time(recorded: list[MarketEvent]) -> None:
    times = [event.receive_time_ns for event in recorded]

    assert times == sorted(times)
    assert build("quotes", "trades", "depth").first_time_ns() == times[0]


def test_takers_of_the_first_trades_sold(recorded: list[MarketEvent]) -> None:
    trade = next(event for event in recorded if isinstance(event, Trade))

    assert (trade.price, trade.qty, trade.aggressor) == (61837.63, 0.02, "SELL")
    assert trade.trade_id == "3735683259"
    assert trade.exchange_time_ns == 1723161255343 * 1_000_000
    assert trade.receive_time_ns == 1723161254087896568


def test_the_book_of_depth_alone_is_never_crossed() -> None:
    book = Book(SYMBOL)

    for event in build("depth").events(0):
        assert isinstance(event, BookSnapshot | BookDelta)
        book.apply(event)
        assert not book.is_crossed
        assert book.bid > 0


def test_the_book_of_depth_and_quotes_is_never_crossed_and_agrees_with_the_quotes(
    recorded: list[MarketEvent],
) -> None:
    book = Book(SYMBOL)
    for event in recorded:
        if isinstance(event, Quote | BookSnapshot | BookDelta):
            book.apply(event)
            assert not book.is_crossed
        if isinstance(event, Quote):
            assert book.bids(1) == [(event.bid_px, event.bid_qty)]
            assert book.asks(1) == [(event.ask_px, event.ask_qty)]


def test_the_best_of_the_depth_is_the_quote_of_its_moment(recorded: list[MarketEvent]) -> None:
    """Depth is sent every 100 ms: its best prices are those of a quote around that time."""
    book = Book(SYMBOL)
    agreed = sampled = 0
    for place, event in enumerate(recorded):
        if not isinstance(event, BookSnapshot | BookDelta):
            continue
        book.apply(event)
        if isinstance(event, BookDelta) and sampled < place // 1_000:
            sampled += 1
            near = recorded[max(0, place - 60) : place + 60]
            best = (*book.bids(1)[0], *book.asks(1)[0])
            agreed += any(
                best == (quote.bid_px, quote.bid_qty, quote.ask_px, quote.ask_qty)
                for quote in near
                if isinstance(quote, Quote)
            )
    assert sampled > 80
    assert agreed >= 0.97 * sampled  # a quote of the very moment may lie further away
