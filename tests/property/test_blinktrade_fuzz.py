"""Whatever comes over BlinkTrade's wire ends as events or as a `VenueProtocolError`."""

import contextlib
import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from botkit.errors import VenueProtocolError
from botkit.model import Instrument
from venues.blinktrade import wire
from venues.blinktrade.codec import KINDS, Answered, Codec

NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.sampled_from([10**18, 50_000_000_000]),
    st.floats(),
    st.text(max_size=3),
)
WORDS = st.sampled_from(
    ["0", "1", "2", "3", "4", "8", "A", "BTCUSD", "2026-01-01", "15:02:33", "b8"]
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=25), max_leaves=40)
FIELDS = st.sampled_from(
    [
        "Symbol", "OrdStatus", "ExecType", "OrderID", "ExecID", "ClOrdID", "Side", "ExecSide",
        "OrderQty", "Price", "CumQty", "LeavesQty", "LastShares", "LastPx", "AvgPx",
        "OrdRejReason", "5", "BTC", "ClientID", "BalanceReqID", "UserStatus", "UserID",
        "TransactionFeeBuy", "TakerTransactionFeeSell", "Broker", "Columns", "OrdListGrp",
        "OrdersReqID", "Instruments", "TestReqID", "Detail", "BestBid", "MDReqID",
    ]
)  # fmt: skip
ENTRIES = st.fixed_dictionaries(
    {"MDEntryType": st.one_of(st.sampled_from(["0", "1", "2", "4"]), LEAVES)},
    optional={
        "MDUpdateAction": st.one_of(st.sampled_from(["0", "1", "2", "3"]), LEAVES),
        "MDEntryPositionNo": st.one_of(st.integers(-1, 4), LEAVES),
        "MDEntryPx": st.one_of(st.integers(0, 9), LEAVES),
        "MDEntrySize": st.one_of(st.integers(0, 9), LEAVES),
        "OrderID": st.one_of(st.integers(0, 4), LEAVES),
        "Side": LEAVES,
        "MDEntryDate": LEAVES,
        "MDEntryTime": LEAVES,
    },
)
SOUND = st.fixed_dictionaries(
    {
        "MDEntryType": st.sampled_from(["0", "1"]),
        "MDUpdateAction": st.sampled_from(["0", "1", "2", "3"]),
        "MDEntryPositionNo": st.integers(1, 3),
        "MDEntryPx": st.integers(1, 9),
        "MDEntrySize": st.integers(1, 9),
        "OrderID": st.integers(1, 3),
    }
)
BOOKS = st.one_of(
    st.fixed_dictionaries(
        {
            "MsgType": st.just("W"),
            "MDReqID": st.just(1),
            "Symbol": st.just("BTCUSD"),
            "MDFullGrp": st.lists(st.one_of(ENTRIES, SOUND), max_size=6),
        }
    ),
    st.fixed_dictionaries(
        {
            "MsgType": st.just("X"),
            "MDReqID": st.just(1),
            "MDIncGrp": st.lists(st.one_of(ENTRIES, SOUND), max_size=4),
        }
    ),
)
REPORTS = st.fixed_dictionaries(
    {"MsgType": st.just("8"), "Symbol": st.just("BTCUSD"), "OrdStatus": WORDS},
    optional={
        "Side": st.sampled_from(["1", "2"]),
        "ExecSide": st.sampled_from(["1", "2"]),
        "LastShares": st.integers(0, 10**18),
        "LastPx": st.integers(0, 10**18),
        "AvgPx": st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers()),
        "CumQty": st.integers(0, 10**18),
    },
)
ANY_KIND = st.dictionaries(FIELDS, st.one_of(TREES, st.dictionaries(FIELDS, LEAVES))).flatmap(
    lambda fields: st.sampled_from([*sorted(KINDS), "ZZ"]).map(
        lambda kind: {"MsgType": kind, **fields}
    )
)


def decode_all(frames: list[bytes]) -> None:
    instrument = Instrument(
        symbol="blink:BTCUSD",
        base="BTC",
        quote="USD",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00000001"),
    )
    codec = Codec("blink", {"BTCUSD": instrument}, lambda: 1, broker_id=5)
    codec.subscribe("BTCUSD")
    codec.decode(b'{"MsgType":"BF","UserStatus":1,"TransactionFeeBuy":7,"TransactionFeeSell":-7}')
    codec.decode(b'{"MsgType":"W","MDReqID":1,"Symbol":"BTCUSD","MDFullGrp":[]}')
    for frame in frames:
        with contextlib.suppress(VenueProtocolError):
            for event in codec.decode(frame):
                if isinstance(event, Answered) and isinstance(event.reply, wire.OrderList):
                    for row in event.reply.read(wire.OrderRow):
                        codec.row_report(row)


def dump(tree: Any) -> bytes:
    return json.dumps(tree).encode()


@given(st.lists(st.one_of(BOOKS, REPORTS, ANY_KIND, TREES).map(dump), max_size=8))
def test_any_json_is_read_or_refused(frames: list[bytes]) -> None:
    decode_all(frames)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_are_read_or_refused(frames: list[bytes]) -> None:
    decode_all(frames)


@given(st.one_of(BOOKS, REPORTS, ANY_KIND).map(dump), st.data())
def test_truncated_frames_are_read_or_refused(frame: bytes, data: st.DataObject) -> None:
    decode_all([frame[: data.draw(st.integers(0, len(frame)))]])
