"""Whatever comes over Finery's wire ends as events or as a `VenueProtocolError`."""

import contextlib
import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import VenueProtocolError
from botkit.model import ClientOrderId, Instrument, NewOrder, Side
from venues.finery.chains import Chains
from venues.finery.codec import Codec
from venues.finery.ids import Numbers

NUMBERS = st.one_of(
    st.integers(-5, 5), st.integers(), st.just(2_500_000_000_000), st.floats(), st.text(max_size=3)
)
LEAVES = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.sampled_from(["+", "-", "M", "~", "BTC-EUR"])
)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=25), max_leaves=40)
LEVELS = st.lists(
    st.tuples(st.sampled_from(["+", "-", "M", "~", "x"]), st.integers(0, 9), st.integers(0, 9))
)
FEED_FRAMES = st.tuples(
    st.sampled_from(["X", "I", "P", "F", "B", "K", "O", "S", "G", "?"]),
    st.sampled_from(["BTC-EUR", 0, 42, None]),
    st.sampled_from(["S", "+", "M", "-", "D", "U", "Z", "~"]),
    st.one_of(TREES, st.tuples(LEVELS, LEVELS)),
)
REPLIES = st.dictionaries(
    st.sampled_from(["event", "reqId", "reply", "error", "param"]),
    st.one_of(st.just(1), TREES, st.dictionaries(st.text(max_size=4), LEAVES)),
)


def decode_all(frames: list[bytes]) -> None:
    instrument = Instrument(
        symbol="finery:BTC-EUR",
        base="BTC",
        quote="EUR",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
    )
    codec = Codec("finery", {"BTC-EUR": instrument}, Numbers(), Chains(), lambda: 1)
    codec.encode(
        NewOrder(
            client_order_id=ClientOrderId("demo-r-1"),
            symbol="finery:BTC-EUR",
            strategy="s",
            side=Side.BUY,
            order_qty=Decimal(1),
            price=Decimal(1),
        )
    )
    codec.decode(b'["F","BTC-EUR","S",[[[5,1],[4,1]],[[6,1]]]]')
    for frame in frames:
        with contextlib.suppress(VenueProtocolError):
            codec.decode(frame)


def dump(tree: Any) -> bytes:
    return json.dumps(tree).encode()


@given(st.lists(st.one_of(FEED_FRAMES, REPLIES, TREES).map(dump), max_size=8))
def test_any_json_is_read_or_refused(frames: list[bytes]) -> None:
    decode_all(frames)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_read_or_refused(frames: list[bytes]) -> None:
    decode_all(frames)


@given(FEED_FRAMES.map(dump), st.data())
def test_truncated_frames_are_read_or_refused(frame: bytes, data: st.DataObject) -> None:
    decode_all([frame[: data.draw(st.integers(0, len(frame)))]])
