"""Moonbase's codec: signatures, numbers, books, and what else the venue's page has on channels."""

import json
from decimal import Decimal
from typing import Any

import pytest

from botkit.errors import VenueProtocolError
from botkit.model import Balance, BookDelta, BookSnapshot, Trade
from tests.unit.moonbase_codec_bench import (
    BOOK,
    NOW_NS,
    ORDERS,
    ROW,
    SYMBOL,
    frame,
    joined,
    make,
    only,
    reply,
)
from venues.moonbase import wire
from venues.moonbase.codec import Answered, ChannelLost, Joined, JoinFailed, Told

# --- signing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variant", "signature"),
    [
        ("seed", "745e6dd69a18473c18570acede720fb2efe578a8c60cf02f04e817ff1b21530e"),
        ("client", "72a0d6a323c76fb2248c3f5ea1c0a69a819127aa3437c27805c31dd437db8799"),
    ],
)
def test_handshake_is_signed_as_the_vectors_say(
    variant: wire.SignatureVariant, signature: str
) -> None:
    query = wire.handshake_query(
        "test-key", "test-secret", timestamp_s=1_700_000_000, variant=variant
    )
    assert query == f"key=test-key&timestamp=1700000000&signature={signature}"


def test_rest_calls_sign_the_sorted_union_of_all_parameters() -> None:
    headers = wire.rest_headers(
        "k",
        "s",
        method="POST",
        path="/api/v1/my/orders",
        parameters={"symbol": "ETH:BTC", "requested_amount": "-1.5"},
        nonce_ms=7,
        timestamp_s=1_700_000_000,
    )
    text = (
        "POST\n/api/v1/my/orders\nauth_key=k&auth_nonce=7&auth_timestamp=1700000000&"
        "auth_version=1.0&requested_amount=-1.5&symbol=ETH%3ABTC"
    )
    assert headers == {
        "X-Key": "k",
        "X-Nonce": "7",
        "X-Timestamp": "1700000000",
        "X-Signature": wire.sign("s", text),
    }


# --- numbers and times --------------------------------------------------------------------------


def test_numbers_are_read_from_their_text_and_not_through_floats() -> None:
    text = json.dumps(ROW).replace('"limit_price": 1.0', '"limit_price": 0.12345678901234567891')
    payload = f'{{"topic":"{ORDERS}","event":"upsert","payload":{{"data":[{text}]}}}}'
    assert only(make().decode(payload.encode())).price == Decimal("0.12345678901234567891")


@pytest.mark.parametrize("number", ['"NaN"', '"-Infinity"', "1e19", "1e-50", '"sNaN"', '"x"'])
def test_numbers_nobody_can_count_with_are_a_protocol_error(number: str) -> None:
    text = json.dumps(ROW).replace('"fee": 0.0', f'"fee": {number}')
    payload = f'{{"topic":"{ORDERS}","event":"upsert","payload":{{"data":[{text}]}}}}'
    with pytest.raises(VenueProtocolError, match="moonbase"):
        list(make().decode(payload.encode()))


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2019-02-17T20:37:41.679112", 1_550_435_861_679_112_000),
        ("2017-12-24T12:30:01.234Z", 1_514_118_601_234_000_000),
        ("2017-12-24T12:30:01+00:00", 1_514_118_601_000_000_000),
    ],
)
def test_times_are_utc_with_or_without_a_zone(text: str, ns: int) -> None:
    assert wire.time_ns(text) == ns


@pytest.mark.parametrize("text", ["", "soon", "2019-13-01"])
def test_time_that_is_none_is_a_protocol_error(text: str) -> None:
    with pytest.raises(VenueProtocolError, match="cannot read the time"):
        wire.time_ns(text)


# --- books and trades ---------------------------------------------------------------------------


def test_book_snapshot_is_sorted_and_split_by_sign() -> None:
    levels = [[0.5, 1.0], [1.0e-5, 2], [1.5, -3.0], [1.0, -1.0]]
    snapshot, told = joined(make(), BOOK, levels)
    assert snapshot == BookSnapshot(
        SYMBOL,
        bids=[(0.5, 1.0), (1.0e-5, 2.0)],
        asks=[(1.0, 1.0), (1.5, 3.0)],
        receive_time_ns=NOW_NS,
    )
    assert told == Joined(BOOK)


def test_book_push_sets_deletes_and_moves_levels_to_the_other_side() -> None:
    codec = make()
    joined(codec, BOOK, [[0.5, 1.0], [0.4, 1.0], [1.0, -1.0], [1.1, -1.0]])
    changes = [[0.5, -2.0], [0.4, 0], [1.0, 3.0], [1.1, 0.0], [0.3, 4.0], [9.0, 0.0]]
    (delta,) = codec.decode(frame(BOOK, "upsert", {"data": changes}))
    assert isinstance(delta, BookDelta)
    assert delta.bids == [(0.5, 0.0), (0.4, 0.0), (1.0, 3.0), (0.3, 4.0)]
    assert delta.asks == [(0.5, 2.0), (1.0, 0.0), (1.1, 0.0)]


def test_book_push_before_its_snapshot_is_a_protocol_error() -> None:
    with pytest.raises(VenueProtocolError, match="before its snapshot"):
        make().decode(frame(BOOK, "upsert", {"data": [[1.0, 1.0]]}))


@pytest.mark.parametrize(
    ("amount", "signs", "aggressor"), [(1, True, "BUY"), (-1, True, "SELL"), (-1, False, "")]
)
def test_trade_push_becomes_a_trade_with_its_takers_side(
    amount: int, *, signs: bool, aggressor: str
) -> None:
    row = {
        "timestamp": "2019-02-17T20:37:41.682639",
        "taker_order_id": 10,
        "symbol": "ETC_D:BTC_D",
        "price": 1,
        "maker_order_id": 9,
        "id": 3,
        "amount": amount,
    }
    topic = "/trades/ETC_D:BTC_D"
    (trade,) = make(taker_signs=signs).decode(frame(topic, "insert", {"data": [row]}))
    assert trade == Trade(
        SYMBOL,
        1.0,
        1.0,
        aggressor,
        "3",
        exchange_time_ns=1_550_435_861_682_639_000,
        receive_time_ns=NOW_NS,
    )


def test_trades_from_before_the_join_are_nobodys_news() -> None:
    row = {"timestamp": "2019-02-14T22:46:56.639608", "symbol": "ETC_D:BTC_D", "price": 1.0}
    topic = "/trades/ETC_D:BTC_D"
    (told,) = joined(make(), topic, [{**row, "id": 10, "amount": 1.0}])
    assert isinstance(told, Joined)


# --- channels -----------------------------------------------------------------------------------


def test_reply_is_known_by_its_ref_with_and_without_join_ref() -> None:
    for join_ref in ({"join_ref": "1"}, {}):
        codec = make()
        codec.join(BOOK, {})
        payload = {"status": "ok", "response": []}
        message = {"topic": BOOK, "event": "phx_reply", "payload": payload, "ref": "1", **join_ref}
        assert list(codec.decode(json.dumps(message).encode()))[1] == Joined(BOOK)


def test_topic_may_be_spelt_with_a_slash_at_the_end() -> None:
    codec = make()
    codec.join("/balances/", {})
    row = {"asset": "BTC_D", "available_amount": 90, "placed_amount": 7, "withdrawn_amount": 3}
    told = list(codec.decode(reply("1", [row], topic="/balances/")))
    balance = Balance(
        venue="moonbase",
        currency="BTC_D",
        total=Decimal(100),
        available=Decimal(90),
        receive_time_ns=NOW_NS,
    )
    assert told == [balance, Joined("/balances")]
    assert list(codec.decode(frame("/balances/", "upsert", {"data": [row]}))) == [balance]


def test_refused_join_says_why() -> None:
    codec = make()
    codec.join(BOOK, {})
    (failed,) = codec.decode(reply("1", {"reason": "unmatched topic"}, topic=BOOK, status="error"))
    assert isinstance(failed, JoinFailed)
    assert failed.failure.is_unmatched
    assert failed.topic == BOOK


@pytest.mark.parametrize(("event", "died"), [("phx_error", "died"), ("phx_close", "closed")])
@pytest.mark.parametrize("refs", [{"ref": "1"}, {"ref": "1", "join_ref": "1"}, {}])
def test_channel_that_ends_is_lost_and_its_book_void(
    event: str, died: str, refs: dict[str, str]
) -> None:
    codec = make()
    joined(codec, BOOK, [])
    (lost,) = codec.decode(frame(BOOK, event, {}, **refs))
    assert isinstance(lost, ChannelLost)
    assert died in lost.reason
    with pytest.raises(VenueProtocolError, match="before its snapshot"):
        codec.decode(frame(BOOK, "upsert", {"data": [[1.0, 1.0]]}))


def test_end_of_an_earlier_join_is_left_out() -> None:
    codec = make()
    joined(codec, BOOK, [])
    joined(codec, BOOK, [])
    assert list(codec.decode(frame(BOOK, "phx_close", {}, ref="1"))) == []
    assert codec.unknown == {"phx_close of an earlier join": 1}


# --- the rest of the page -----------------------------------------------------------------------


TICKER = {
    "symbol": "ETC_D:BTC_D",
    "quote_amount": 3.82,
    "mark_price": 1.0,
    "bid_price": 1.0,
    "base_amount": 3.82,
    "ask_price": None,
}
CANDLE = {
    "volume": 1.0,
    "timestamp": 1550184300,
    "symbol": "ETC_D:BTC_D",
    "sells": 0.0,
    "resolution": 60,
    "open": 1.0,
    "low": 1.0,
    "id": 69,
    "high": 1.0,
    "close": 1.0,
    "buys": 1.0,
}
POSITION = {"total": -1, "symbol": "A:B", "price": 1, "margin": 10, "id": 1, "fee": -0.001}
DEPOSIT = {
    "updated_at": "2019-02-17T20:36:30.299646",
    "transaction_hash": "BONUS",
    "is_processed": True,
    "inserted_at": "2019-02-17T20:36:30.299632",
    "id": 15,
    "confirmation_count": 3,
    "asset": "BTC_D",
    "amount": 100,
    "address": "0a421c84",
}
WITHDRAWAL = {
    "inserted_at": "2017-12-24T12:30:01.234Z",
    "id": 123,
    "asset": "ETH",
    "amount": 10.25,
    "address": "3Ff",
}


@pytest.mark.parametrize(
    ("topic", "response", "read"),
    [
        ("/tickers", [TICKER], [wire.TickerRow]),
        ("/positions", [{**POSITION, "amount": 1, "user_id": 5}], [wire.PositionRow]),
        ("/deposits", [DEPOSIT], [wire.DepositRow]),
        ("/withdrawals", [WITHDRAWAL], [wire.WithdrawalRow]),
    ],
)
def test_snapshots_of_account_channels_are_typed(
    topic: str, response: list[Any], read: list[type]
) -> None:
    (told,) = joined(make(), topic, response)
    assert isinstance(told, Joined)
    assert [each.__class__ for each in told.value] == read


def test_candles_come_with_the_nearest_before_them() -> None:
    response = {"data": [[CANDLE], 1550089080]}
    (told,) = joined(make(), "/candles/ETC_D:BTC_D", response)
    assert isinstance(told, Joined)
    candles, before = told.value.data
    assert (candles[0].close, before) == (1.0, 1550089080)


@pytest.mark.parametrize(
    ("topic", "row"),
    [
        ("/tickers", {**TICKER, "updated_at": "2019-02-17T20:37:41.689411"}),
        ("/candles/ETC_D:BTC_D", CANDLE),
        ("/positions", {**POSITION, "amount": 0.0}),
    ],
)
def test_pushes_that_are_nobodys_event_are_told_typed(topic: str, row: dict[str, Any]) -> None:
    (told,) = make().decode(frame(topic, "upsert", {"data": [row]}))
    assert isinstance(told, Told)
    assert told.topic == topic
    assert told.value[0].symbol == row["symbol"]


@pytest.mark.parametrize(
    ("topic", "event", "payload", "response", "kind"),
    [
        ("phoenix", "heartbeat", {}, {}, type(None)),
        (
            "/candles/ETC_D:BTC_D",
            "get_snapshot",
            wire.CandleRequest(since=1, to=2, resolution=60),
            {"data": [[], None]},
            wire.CandleSnapshot,
        ),
        (
            "/positions",
            "assign",
            {"A:B": "10"},
            {"data": [{**POSITION, "amount": 0}]},
            list,
        ),
        (
            "/deposits",
            "get_deposit_address",
            {"asset": "BTC_T"},
            {"asset": "BTC_T", "address": "some"},
            wire.DepositAddress,
        ),
        (
            "/withdrawals",
            "create_withdrawal",
            {"asset": "ETH", "address": "3Ff", "amount": "1.0"},
            WITHDRAWAL,
            wire.WithdrawalRow,
        ),
    ],
)
def test_questions_are_answered_typed(
    topic: str, event: str, payload: Any, response: object, kind: type
) -> None:
    codec = make()
    ref, sent = codec.ask(topic, event, payload)
    assert (json.loads(sent)["event"], json.loads(sent)["ref"]) == (event, ref)
    (answered,) = codec.decode(reply(ref, response, topic=topic))
    assert isinstance(answered, Answered)
    assert isinstance(answered.value, kind)
    again, _ = codec.ask(topic, event, payload)
    (failed,) = codec.decode(reply(again, {"type": "no"}, topic=topic, status="error"))
    assert isinstance(failed, Answered)
    assert failed.failure is not None
    assert failed.failure.kind == "no"


def test_candle_request_says_from_where() -> None:
    sent = make().join("/candles/A:B", wire.CandleRequest(since=1, to=2, resolution=60))
    assert json.loads(sent)["payload"] == {"from": 1, "to": 2, "resolution": 60}


def test_frames_without_use_are_counted_and_left_out() -> None:
    codec = make()
    frames = [
        frame("/news", "insert", {}),
        frame("/orderbooks/NO:PAIR", "upsert", {"data": []}),
        frame("/orders", "upsert", {"data": []}),
        b'{"status":"error","type":"other"}',
        frame(ORDERS, "phx_reply", {"status": "ok"}, ref="77"),
        frame(ORDERS, "phx_reply", {"status": "ok"}),
    ]
    assert [list(codec.decode(each)) for each in frames] == [[]] * len(frames)
    assert codec.unknown == {
        "news insert": 1,
        "orderbooks upsert": 1,
        "orders upsert": 1,
        "no topic": 1,
        "reply to nothing asked": 2,
    }
    for number in range(200):
        codec.decode(frame(f"/kind{number}", "x", {}))
    assert len(codec.unknown) <= 100


@pytest.mark.parametrize(
    "junk", [b"", b"[]", b"null", b"3", b'{"topic":5}', b"\xff", b"[" * 100_000, b'{"payload":']
)
def test_what_is_no_frame_is_a_protocol_error(junk: bytes) -> None:
    with pytest.raises(VenueProtocolError, match="moonbase: cannot read frame"):
        make().decode(junk)
