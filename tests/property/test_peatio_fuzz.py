"""Whatever comes over Peatio's wire ends as events or as a `VenueProtocolError`."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import VenueProtocolError
from botkit.model import Instrument, Side
from botkit.ports import FeeSchedule
from venues.peatio import wire
from venues.peatio.codec import Codec
from venues.peatio.own import Own, OwnOrders
from venues.peatio.ranger_codec import RangerCodec
from venues.peatio.reports import Reports
from venues.peatio.tokens import BadTokenError, read_claims

NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.floats(),
    st.sampled_from(["", "0", "1.0", "NaN", "-1", "1e400", "1e-400", "Infinity", "9" * 400]),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=3))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


def rows(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return rows whose fields are right, wrong or missing."""
    return st.fixed_dictionaries({}, optional={k: v | TREES for k, v in fields.items()})


ORDERS = rows(
    id=st.integers(0, 3),
    side=st.sampled_from(["buy", "sell"]),
    type=st.sampled_from(["ask", "bid"]),
    state=st.sampled_from(["pending", "wait", "done", "cancel", "reject", "?"]),
    market=st.just("btcusd"),
    price=NUMBERS,
    volume=NUMBERS,
    origin_volume=NUMBERS,
    remaining_volume=NUMBERS,
    executed_volume=NUMBERS,
    created_at=NUMBERS,
)
TRADES = rows(
    id=st.integers(0, 3),
    price=NUMBERS,
    volume=NUMBERS,
    amount=NUMBERS,
    market=st.just("btcusd"),
    side=st.sampled_from(["ask", "bid", "both", "buy", "sell"]),
    taker_type=st.sampled_from(["buy", "sell"]),
    order_id=st.integers(0, 3),
    bid=ORDERS,
    ask=ORDERS,
    created_at=NUMBERS,
)
PAIR = st.lists(NUMBERS | st.text(max_size=2), max_size=3)
BOOKS = rows(
    sequence=st.integers(0, 4), asks=PAIR | st.lists(PAIR), bids=PAIR | st.lists(PAIR, max_size=3)
)
CHANGES = rows(action=st.sampled_from(["new", "add", "update", "remove", "?"]), order=ORDERS)
FRAMES = st.one_of(
    rows(orderbook=CHANGES, trade=TRADES, success=TREES, error=TREES, challenge=TREES),
    st.dictionaries(
        st.sampled_from(["btcusd.ob-snap", "btcusd.ob-inc", "btcusd.trades", "btcusd.kline-1m"]),
        BOOKS | st.fixed_dictionaries({"trades": st.lists(TRADES, max_size=2)}) | TREES,
        max_size=2,
    ),
    st.fixed_dictionaries({"order": ORDERS}),
    st.fixed_dictionaries({"trade": TRADES}),
    TREES,
)


def decode_all(frames: list[bytes]) -> None:
    instrument = Instrument(
        symbol="peatio:btcusd",
        base="BTC",
        quote="USD",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.0001"),
    )
    own = OwnOrders()
    own.learn(Own(order_id=1, symbol=instrument.symbol, side=Side.BUY, order_qty=Decimal(1)))
    reports = Reports("peatio", {"btcusd": instrument}, own, lambda: 1, fees=FeeSchedule())
    first, second = Codec(reports), RangerCodec(reports)
    first.books["btcusd"].load(wire.OrderBook(asks=[], bids=[]))
    second.decode(b'{"btcusd.ob-snap":{"asks":[["5","1"]],"bids":[["4","1"]],"sequence":1}}')
    for frame in frames:
        for codec in (first, second):
            with contextlib.suppress(VenueProtocolError):
                codec.decode(frame)


def dump(tree: Any) -> bytes:
    return json.dumps(tree).encode()


@given(st.lists(FRAMES.map(dump), max_size=8))
def test_any_json_is_read_or_refused(frames: list[bytes]) -> None:
    decode_all(frames)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_read_or_refused(frames: list[bytes]) -> None:
    decode_all(frames)


@given(FRAMES.map(dump), st.data())
def test_truncated_frames_are_read_or_refused(frame: bytes, data: st.DataObject) -> None:
    decode_all([frame[: data.draw(st.integers(0, len(frame)))]])


@given(st.text(max_size=60) | st.lists(st.text("AZaz09-_=é", max_size=12)).map(".".join))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    with contextlib.suppress(BadTokenError):
        read_claims(text)


@given(ORDERS)
def test_any_row_of_rest_is_read_or_refused(row: Any) -> None:
    with contextlib.suppress(VenueProtocolError):
        wire.parse(msgspec.json.Decoder(wire.OrderRow).decode, dump(row), "order")
