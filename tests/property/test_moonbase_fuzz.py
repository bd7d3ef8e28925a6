"""Whatever comes over Moonbase's wire ends as events or as a `VenueProtocolError`."""

import contextlib
import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import VenueProtocolError
from botkit.model import ClientOrderId, Instrument, NewOrder, Side
from venues.moonbase.codec import Codec
from venues.moonbase.orders import Orders

NAMES = ["/ETH:BTC", "/ETH:BTC/", "", "/", "/NO:PAIR"]
KINDS = ["orderbooks", "trades", "orders", "balances", "tickers", "candles", "positions", "phoenix"]
NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.floats(),
    st.sampled_from(["1", "NaN", "1e999999", "", 10**400]),
)
TEXTS = st.sampled_from(["", "ETH:BTC", "2019-02-17T20:37:41.679118", "9999-99-99", "ok", "error"])
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
# fmt: off
FIELDS = st.sampled_from(
    [
        "id", "symbol", "requested_amount", "limit_price", "filled_amount", "fee",
        "is_active", "inserted_at", "updated_at", "filled_total", "cancelled_at",
        "external_id", "price", "amount", "timestamp", "asset", "available_amount",
        "data", "status", "response", "type", "details", "retry_after", "reason",
    ]
)
# fmt: on
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(FIELDS, inner)),
    max_leaves=30,
)
LEVELS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5)
ORDER = {
    "id": 10,
    "symbol": "ETH:BTC",
    "requested_amount": 1.0,
    "limit_price": 1.0,
    "filled_amount": 0.0,
    "filled_total": 0.0,
    "fee": 0.0,
    "is_active": True,
    "inserted_at": "2019-02-17T20:37:41.679118",
}
ROWS = st.dictionaries(FIELDS, LEAVES, max_size=3).map(lambda changes: {**ORDER, **changes})
INNER = st.one_of(TREES, LEVELS, st.lists(ROWS, max_size=2), ROWS)
PAYLOADS = st.one_of(
    TREES,
    st.fixed_dictionaries({"data": INNER}),
    st.fixed_dictionaries({"status": st.sampled_from(["ok", "error", "?"]), "response": INNER}),
)
FRAMES = st.fixed_dictionaries(
    {
        "topic": st.builds(
            lambda kind, name: f"/{kind}{name}", st.sampled_from(KINDS), st.sampled_from(NAMES)
        ),
        "event": st.sampled_from(["phx_reply", "phx_error", "phx_close", "upsert", "insert", ""]),
        "payload": PAYLOADS,
        "ref": st.sampled_from([None, "1", "2", "3", "4", "5", 6, "x"]),
    },
    optional={"join_ref": LEAVES, "status": LEAVES, "type": LEAVES, "details": TREES},
)


def decode_all(frames: list[bytes]) -> None:
    instrument = Instrument(
        symbol="moonbase:ETH:BTC",
        base="ETH",
        quote="BTC",
        tick_size=Decimal("1e-8"),
        lot_size=Decimal("1e-8"),
    )
    codec = Codec("moonbase", {"ETH:BTC": instrument}, Orders(0, external_ids=True), lambda: 1)
    codec.encode(
        NewOrder(
            client_order_id=ClientOrderId("demo-r-1"),
            symbol="moonbase:ETH:BTC",
            strategy="s",
            side=Side.BUY,
            order_qty=Decimal(1),
            price=Decimal(1),
        )
    )
    codec.join("/orderbooks/ETH:BTC", {})
    codec.join("/orders/ETH:BTC", {})
    codec.join("/balances", {})
    codec.ask("/deposits", "get_deposit_address", {})
    codec.join("/candles/ETH:BTC", {})
    for frame in frames:
        with contextlib.suppress(VenueProtocolError):
            list(codec.decode(frame))


def dump(tree: Any) -> bytes:
    return json.dumps(tree).encode()


@given(st.lists(st.one_of(FRAMES, TREES).map(dump), max_size=8))
def test_any_json_is_read_or_refused(frames: list[bytes]) -> None:
    decode_all(frames)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_read_or_refused(frames: list[bytes]) -> None:
    decode_all(frames)


@given(FRAMES.map(dump), st.data())
def test_truncated_frames_are_read_or_refused(frame: bytes, data: st.DataObject) -> None:
    decode_all([frame[: data.draw(st.integers(0, len(frame)))]])
