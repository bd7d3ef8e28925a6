"""Whatever comes over DigiFinex's wire ends as events or as a `VenueProtocolError`."""

import contextlib
import json
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import VenueProtocolError
from botkit.model import Instrument
from venues.digifinex import wire
from venues.digifinex.codec import Codec

NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.floats(),
    st.floats().map(str),
    st.decimals().map(str),
    st.sampled_from(["0", "0.00000000", "1e999999", "-1e-999999", "sNaN", "1.5", ""]),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.sampled_from(["ETH_USDT", "buy", "sell"]))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=20,
)
METHODS = st.sampled_from(
    [
        "depth.update",
        "trades.update",
        "order.update",
        "balance.update",
        "ticker.update",
        "all_ticker.update",
        "order_algo.update",
        "other.update",
    ]
)
LEVELS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5)
DEPTHS = st.tuples(
    st.booleans(),
    st.fixed_dictionaries({}, optional={"asks": LEVELS, "bids": LEVELS}),
    st.just("ETH_USDT"),
)
FIELDS = st.sampled_from(
    [
        "id",
        "symbol",
        "side",
        "type",
        "status",
        "filled",
        "price",
        "amount",
        "notional",
        "price_avg",
        "timestamp",
        "mode",
        "currency",
        "free",
        "total",
        "used",
        "time",
        "last",
    ]
)
ROWS = st.lists(st.dictionaries(FIELDS, LEAVES, max_size=12), max_size=3)
ORDERS = st.fixed_dictionaries(
    {
        "id": st.just("a"),
        "symbol": st.just("ETH_USDT"),
        "side": st.just("buy"),
        "status": st.integers(-1, 6),
        "filled": NUMBERS,
    },
    optional={"price": NUMBERS, "amount": NUMBERS, "notional": NUMBERS, "price_avg": NUMBERS},
)
PUSHES = st.fixed_dictionaries(
    {"method": METHODS, "params": st.one_of(TREES, DEPTHS, ROWS, st.lists(ORDERS, max_size=2))}
)
REPLIES = st.dictionaries(st.sampled_from(["id", "result", "error", "method"]), TREES)


def codec() -> Codec:
    instrument = Instrument(
        symbol="digifinex:ETH_USDT",
        base="ETH",
        quote="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.0001"),
    )
    return Codec("digifinex", {"ETH_USDT": instrument}, lambda: 1, lambda _: None)


def decode_all(frames: list[bytes]) -> None:
    reader = codec()
    reader.decode(
        b'{"method":"depth.update","params":[true,{"asks":[["6","1"]],"bids":[["5","1"]]},'
        b'"ETH_USDT"],"id":null}'
    )
    for frame in frames:
        with contextlib.suppress(VenueProtocolError):
            reader.decode(frame)
        reader.books.is_crossed("digifinex:ETH_USDT")


def dump(tree: Any) -> bytes:
    return json.dumps(tree).encode()


@given(
    st.lists(st.one_of(PUSHES, REPLIES, TREES).map(dump), max_size=8),
    st.sampled_from([bytes, zlib.compress]),
)
def test_any_json_is_read_or_refused(frames: list[bytes], pack: Callable[[bytes], bytes]) -> None:
    decode_all([pack(each) for each in frames])


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_read_or_refused(frames: list[bytes]) -> None:
    decode_all(frames)


@given(PUSHES.map(dump), st.sampled_from([bytes, zlib.compress]), st.data())
def test_truncated_frames_are_read_or_refused(
    frame: bytes, pack: Callable[[bytes], bytes], data: st.DataObject
) -> None:
    packed = pack(frame)
    decode_all([packed[: data.draw(st.integers(0, len(packed)))]])


@given(
    st.fixed_dictionaries(
        {
            "order_id": st.just("a"),
            "symbol": st.just("eth_usdt"),
            "status": NUMBERS,
            "executed_amount": NUMBERS,
            "type": st.sampled_from(["buy", "sell_market", "x"]),
        },
        optional={
            "price": NUMBERS,
            "amount": NUMBERS,
            "avg_price": NUMBERS,
            "created_date": NUMBERS,
            "detail": st.lists(
                st.fixed_dictionaries(
                    {"tid": st.just(1), "executed_amount": NUMBERS, "executed_price": NUMBERS}
                ),
                max_size=3,
            ),
        },
    ).map(dump)
)
def test_any_row_of_a_listing_is_read_or_refused(row: bytes) -> None:
    decode = msgspec.json.Decoder(wire.Detail, strict=False).decode
    with contextlib.suppress(VenueProtocolError):
        codec().order_report(wire.parse(decode, row, "order"))
