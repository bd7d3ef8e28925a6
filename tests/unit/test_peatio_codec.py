"""Peatio's codecs: frames of either generation in, events out."""

from collections.abc import Iterable
from decimal import Decimal

import msgspec
import pytest

from botkit.errors import VenueProtocolError
from botkit.model import (
    BookDelta,
    BookSnapshot,
    ClientOrderId,
    ExecType,
    ExecutionReport,
    FeedGap,
    Instrument,
    Liquidity,
    OrdStatus,
    Side,
    Trade,
)
from botkit.ports import FeeSchedule
from venues.peatio import wire
from venues.peatio.codec import Authenticated, Challenged, Codec, Refused, encode_authenticate
from venues.peatio.own import Own, OwnOrders
from venues.peatio.ranger_codec import (
    Broken,
    Orphaned,
    Pong,
    RangerCodec,
    Subscribed,
    encode_subscribe,
    public_trade,
)
from venues.peatio.reports import Reports

NOW_NS = 1_700_000_000_000_000_000
BTC = Instrument(
    symbol="peatio:btcusd",
    base="BTC",
    quote="USD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.0001"),
)


def reports(own: OwnOrders | None = None, taker: str = "20", fee_in: str = "received") -> Reports:
    return Reports(
        "peatio",
        {"btcusd": BTC},
        own or OwnOrders(),
        lambda: NOW_NS,
        fees=FeeSchedule(maker_bps=Decimal(20), taker_bps=Decimal(taker)),
        fee_in_received=fee_in == "received",
    )


def known(order_id: int = 9, qty: str = "1.0") -> OwnOrders:
    """Return our orders: one buy at 90."""
    own = OwnOrders()
    own.learn(
        Own(
            order_id=order_id,
            symbol="peatio:btcusd",
            side=Side.BUY,
            client_order_id=ClientOrderId("demo-r-1"),
            order_qty=Decimal(qty),
            price=Decimal(90),
        )
    )
    return own


def order_row(**changes: object) -> wire.OrderRow:
    plain: dict[str, object] = {
        "id": 9,
        "side": "buy",
        "state": "wait",
        "market": "btcusd",
        "price": Decimal(90),
        "volume": Decimal(1),
        "remaining_volume": Decimal(1),
        "executed_volume": Decimal(0),
    }
    return msgspec.convert({**plain, **changes}, wire.OrderRow)


def loaded(own: OwnOrders | None = None, *bids: wire.OrderRow) -> Codec:
    codec = Codec(reports(own))
    codec.books["btcusd"].load(wire.OrderBook(asks=[], bids=list(bids)))
    return codec


def book_frame(action: str, volume: str = "1.0", **changes: object) -> bytes:
    order = {"id": 9, "timestamp": 1795187650, "type": "bid", "volume": volume, "price": "90.0"}
    order |= {"market": "btcusd", "ord_type": "limit", **changes}
    return dump({"orderbook": {"action": action, "order": order, "locale": "en"}})


def dump(value: object) -> bytes:
    return msgspec.json.encode(value)


def report_of(events: Iterable[object]) -> ExecutionReport:
    (report,) = (each for each in events if isinstance(each, ExecutionReport))
    return report


TRADE = (
    b'{"trade":{"id":6,"price":"102.25","volume":"0.25","funds":"25.5625","market":"btcusd",'
    b'"created_at":"2026-01-01T15:14:10Z","side":"bid","bid":{"id":8,"side":"buy",'
    b'"ord_type":"market","price":null,"avg_price":"102.25","state":"done","market":"btcusd",'
    b'"created_at":"2026-01-01T15:14:10Z","volume":"0.25","remaining_volume":"0.0",'
    b'"executed_volume":"0.25","trades_count":1}}}'
)

# --- first generation: the session --------------------------------------------------------------


def test_session_frames_are_notices() -> None:
    codec = loaded()
    challenge = b'{"challenge":"crj0zdL_4FLN3jdOHC6nKeIYW9-kDiiFQ83OM3qPu_5C9nHnwj2ghQ"}'
    assert codec.decode(challenge) == [Challenged()]
    assert codec.decode(b'{"success":{"message":"Authenticated."}}') == [Authenticated()]
    for text in ("Authentication failed.", "Token type is not provided or invalid."):
        assert codec.decode(dump({"error": {"message": text}})) == [Refused(text)]


def test_signing_in_is_one_frame_with_the_token() -> None:
    assert encode_authenticate("Bearer abc") == b'{"jwt":"Bearer abc"}'


def test_unknown_frames_are_counted() -> None:
    codec = loaded()
    assert codec.decode(b'{"news":1}') == []
    assert codec.decode(b"{}") == []
    assert codec.decode(book_frame("add", market="dashusd")) == []
    assert codec.decode(book_frame("swap")) == []
    assert codec.unknown == {
        "news": 1,
        "empty object": 1,
        "orderbook of dashusd": 1,
        "orderbook action swap": 1,
    }


@pytest.mark.parametrize("frame", [b"[]", b"null", b"3", b"", b"\xff", b'{"trade":{"id":1}}'])
def test_what_is_no_frame_breaks_the_protocol(frame: bytes) -> None:
    for codec in (loaded(), RangerCodec(reports())):
        with pytest.raises(VenueProtocolError):
            codec.decode(frame)


@pytest.mark.parametrize("volume", ["NaN", "-1", "1e19", "Infinity", ""])
def test_a_volume_that_is_none_breaks_the_protocol(volume: str) -> None:
    with pytest.raises(VenueProtocolError):
        loaded().decode(book_frame("add", volume))


# --- first generation: the book -----------------------------------------------------------------


def test_orders_of_the_book_become_levels() -> None:
    codec = loaded()
    assert codec.decode(book_frame("add")) == [
        BookDelta("peatio:btcusd", [(90.0, 1.0)], [], receive_time_ns=NOW_NS)
    ]
    second = codec.decode(book_frame("add", "0.5", id=10))
    assert second == [BookDelta("peatio:btcusd", [(90.0, 1.5)], [], receive_time_ns=NOW_NS)]
    less = codec.decode(book_frame("update", "0.25"))
    assert less == [BookDelta("peatio:btcusd", [(90.0, 0.75)], [], receive_time_ns=NOW_NS)]
    gone = codec.decode(book_frame("remove", "0.0"))
    assert gone == [BookDelta("peatio:btcusd", [(90.0, 0.5)], [], receive_time_ns=NOW_NS)]
    last = codec.decode(book_frame("remove", "0.5", id=10))
    assert last == [BookDelta("peatio:btcusd", [(90.0, 0.0)], [], receive_time_ns=NOW_NS)]


def test_changes_of_unknown_orders_and_repeated_adds_do_nothing() -> None:
    codec = loaded()
    assert codec.decode(book_frame("update", "0.25")) == []
    assert codec.decode(book_frame("remove", "0.0")) == []
    assert codec.decode(book_frame("add")) != []
    assert codec.decode(book_frame("add", "3.0")) == []


def test_new_empties_one_side() -> None:
    codec = loaded()
    codec.decode(book_frame("add"))
    codec.decode(book_frame("add", id=10, type="ask", price="91"))
    assert codec.decode(book_frame("new")) == [
        BookDelta("peatio:btcusd", [(90.0, 0.0)], [], receive_time_ns=NOW_NS)
    ]
    assert codec.books["btcusd"].left(10) == Decimal(1)


def test_what_came_before_the_snapshot_is_replayed_on_it() -> None:
    codec = Codec(reports())
    assert codec.decode(book_frame("add", id=1)) == []  # in the snapshot already
    assert codec.decode(book_frame("add", id=2)) == []
    assert codec.decode(book_frame("update", "0.5", id=1)) == []
    assert codec.decode(book_frame("remove", "0.0", id=3)) == []
    snapshot = codec.books["btcusd"].load(
        wire.OrderBook(
            asks=[order_row(id=5, side="sell", price=Decimal(95), remaining_volume=Decimal(2))],
            bids=[order_row(id=1), order_row(id=3, price=Decimal(89)), order_row(id=4, price=None)],
        )
    )
    assert snapshot == BookSnapshot(
        "peatio:btcusd", [(90.0, 1.5)], [(95.0, 2.0)], receive_time_ns=NOW_NS
    )


def test_a_book_that_agrees_with_rest_is_not_told_again() -> None:
    codec = loaded(None, order_row(id=1))
    book = codec.books["btcusd"]
    book.record()
    assert codec.decode(book_frame("add", id=2, price="88")) != []  # told while it is recorded
    assert book.load(wire.OrderBook(asks=[], bids=[order_row(id=1)])) is None
    book.record()
    differs = book.load(wire.OrderBook(asks=[], bids=[order_row(id=7)]))
    assert differs is not None
    assert differs.bids == [(90.0, 1.0)]


def test_levels_behind_a_full_page_of_rest_stay_as_they_are_known() -> None:
    codec = loaded(None, order_row(id=1), order_row(id=2, price=Decimal(80)))
    book = codec.books["btcusd"]
    book.record()
    told = book.load(wire.OrderBook(asks=[], bids=[order_row(id=3)]), limit=1)
    assert told is not None
    assert told.bids == [(90.0, 1.0), (80.0, 1.0)]


# --- first generation: our orders ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "volume", "status", "exec_type", "cum_qty"),
    [
        ("add", "1.0", OrdStatus.NEW, ExecType.NEW, "0"),
        ("add", "0.4", OrdStatus.PARTIALLY_FILLED, ExecType.ORDER_STATUS, "0.6"),
        ("update", "0.25", OrdStatus.PARTIALLY_FILLED, ExecType.ORDER_STATUS, "0.75"),
        ("remove", "0.0", OrdStatus.FILLED, ExecType.ORDER_STATUS, "1"),
        ("remove", "1.0", OrdStatus.CANCELED, ExecType.CANCELED, "0"),
        ("remove", "0.4", OrdStatus.CANCELED, ExecType.CANCELED, "0.6"),
    ],
)
def test_our_order_in_the_book_is_reported(
    action: str, volume: str, status: OrdStatus, exec_type: ExecType, cum_qty: str
) -> None:
    report = report_of(loaded(known()).decode(book_frame(action, volume)))
    assert (report.ord_status, report.exec_type) == (status, exec_type)
    assert report.client_order_id == "demo-r-1"
    assert report.venue_order_id == "9"
    assert report.cum_qty == Decimal(cum_qty)


def test_others_orders_and_those_of_a_dry_run_are_not_reported() -> None:
    assert [type(each) for each in loaded().decode(book_frame("add"))] == [BookDelta]
    dry = Codec(reports(known()), private=False)
    assert dry.decode(book_frame("add")) == []
    assert dry.decode(TRADE) == []


def test_a_trade_is_an_execution_and_its_enclosed_order_a_status() -> None:
    fill, status = loaded().decode(TRADE)
    assert isinstance(fill, ExecutionReport)
    assert isinstance(status, ExecutionReport)
    assert (fill.exec_id, fill.last_qty, fill.last_px) == ("6", Decimal("0.25"), Decimal("102.25"))
    assert (fill.side, fill.ord_status) == (Side.BUY, OrdStatus.PARTIALLY_FILLED)
    assert (fill.commission, fill.commission_currency) == (Decimal("0.0005"), "BTC")
    assert fill.liquidity is None
    assert (status.ord_status, status.cum_qty) == (OrdStatus.FILLED, Decimal("0.25"))


def test_the_same_trade_is_told_once() -> None:
    codec = loaded()
    codec.decode(TRADE)
    assert [each.exec_id for each in codec.decode(TRADE) if isinstance(each, ExecutionReport)] == [
        None
    ]


def test_an_enclosed_order_ahead_of_its_trade_does_not_add_to_it() -> None:
    frame = TRADE.replace(b'"volume":"0.25","remaining', b'"volume":"2.0","remaining')
    frame = frame.replace(b'"executed_volume":"0.25"', b'"executed_volume":"2.0"')
    fill = loaded().decode(frame)[0]
    assert isinstance(fill, ExecutionReport)
    assert fill.last_qty == Decimal("0.25")
    assert fill.cum_qty is None


def test_a_trade_with_ourselves_is_two_executions() -> None:
    both = TRADE.replace(b'"side":"bid"', b'"side":"both"')
    ask = (
        b',"ask":{"id":7,"side":"sell","ord_type":"limit","price":"102.25","state":"wait",'
        b'"market_id":"btcusd","origin_volume":"1.0","remaining_volume":"0.75"}}}'
    )
    events = loaded().decode(both[:-2] + ask)
    sides = [each.side for each in events if isinstance(each, ExecutionReport) and each.last_qty]
    assert sides == [Side.BUY, Side.SELL]


def test_an_order_the_book_told_before_its_answer_is_found_there() -> None:
    codec = loaded()
    codec.decode(book_frame("add"))
    assert report_of(codec.taken_in(order_row())).ord_status is OrdStatus.NEW
    codec.decode(book_frame("remove", "1.0", id=9))
    assert report_of(codec.taken_in(order_row())).ord_status is OrdStatus.CANCELED
    assert codec.taken_in(order_row(id=77)) == []
    assert codec.taken_in(order_row(market="dashusd")) == []


# --- second generation --------------------------------------------------------------------------

SNAP = (
    b'{"btcusd.ob-snap":{"asks":[["101.0","1.5"],["102.25","0.75"]],'
    b'"bids":[["100.0","1.0"],["99.5","2.0"]],"sequence":1}}'
)


def test_ranger_snapshot_and_increments_become_levels() -> None:
    codec = RangerCodec(reports())
    assert codec.decode(SNAP) == [
        BookSnapshot(
            "peatio:btcusd",
            [(100.0, 1.0), (99.5, 2.0)],
            [(101.0, 1.5), (102.25, 0.75)],
            receive_time_ns=NOW_NS,
        )
    ]
    assert codec.decode(b'{"btcusd.ob-inc":{"bids":["100.0","0.6"],"sequence":2}}') == [
        BookDelta("peatio:btcusd", [(100.0, 0.6)], [], receive_time_ns=NOW_NS)
    ]
    assert codec.decode(b'{"btcusd.ob-inc":{"asks":["101.0",""],"sequence":3}}') == [
        BookDelta("peatio:btcusd", [], [(101.0, 0.0)], receive_time_ns=NOW_NS)
    ]
    listed = b'{"btcusd.ob-inc":{"asks":[["101.0","1"],["103","2"]],"sequence":4}}'
    assert codec.decode(listed) == [
        BookDelta("peatio:btcusd", [], [(101.0, 1.0), (103.0, 2.0)], receive_time_ns=NOW_NS)
    ]


@pytest.mark.parametrize("sequence", [1, 3, 40])
def test_ranger_sequence_that_does_not_rise_by_one_is_a_gap(sequence: int) -> None:
    codec = RangerCodec(reports())
    codec.decode(SNAP)
    frame = b'{"btcusd.ob-inc":{"bids":["100.0","0.6"],"sequence":%d}}' % sequence
    gap, broken = codec.decode(frame)
    assert isinstance(gap, FeedGap)
    assert gap.symbol == "peatio:btcusd"
    assert broken == Broken("btcusd")
    assert codec.decode(frame) == []  # until the next snapshot
    assert not codec.books["btcusd"].is_known


@pytest.mark.parametrize(
    "side", ['["100.0"]', '["100.0","x"]', '["1","2","3"]', '[["1","2"],"3"]', '["-1","2"]']
)
def test_ranger_increment_that_is_none_breaks_the_protocol(side: str) -> None:
    codec = RangerCodec(reports())
    codec.decode(SNAP)
    with pytest.raises(VenueProtocolError):
        codec.decode(f'{{"btcusd.ob-inc":{{"bids":{side},"sequence":2}}}}'.encode())


@pytest.mark.parametrize("level", ['["nan","1"]', '["1","-1"]', '["1","inf"]', '["x","1"]'])
def test_ranger_snapshot_with_a_level_that_is_none_breaks_the_protocol(level: str) -> None:
    frame = f'{{"btcusd.ob-snap":{{"asks":[["5","1"],{level}],"sequence":1}}}}'.encode()
    with pytest.raises(VenueProtocolError):
        RangerCodec(reports()).decode(frame)


def test_ranger_snapshot_is_sorted_and_has_no_empty_levels() -> None:
    frame = b'{"btcusd.ob-snap":{"asks":[["6","1"],["5","1"],["7","0"]],"sequence":1}}'
    (snapshot,) = RangerCodec(reports()).decode(frame)
    assert isinstance(snapshot, BookSnapshot)
    assert snapshot.asks == [(5.0, 1.0), (6.0, 1.0)]


def test_ranger_prints_and_session_frames() -> None:
    codec = RangerCodec(reports())
    frame = (
        b'{"btcusd.trades":{"trades":[{"tid":1,"taker_type":"sell","date":1605880000,'
        b'"price":"100.0","amount":"0.4"}]}}'
    )
    assert codec.decode(frame) == [
        Trade(
            "peatio:btcusd",
            price=100.0,
            qty=0.4,
            aggressor="SELL",
            trade_id="1",
            exchange_time_ns=1_605_880_000_000_000_000,
            receive_time_ns=NOW_NS,
        )
    ]
    assert codec.decode(b"pong") == [Pong()]
    subscribed = b'{"success":{"message":"subscribed","streams":["btcusd.trades"]}}'
    assert codec.decode(subscribed) == [Subscribed("subscribed", ["btcusd.trades"])]
    assert encode_subscribe(["btcusd.trades"]) == (
        b'{"event":"subscribe","streams":["btcusd.trades"]}'
    )
    assert encode_subscribe(["a"], "unsubscribe") == b'{"event":"unsubscribe","streams":["a"]}'


def test_ranger_streams_without_use_are_read_and_counted() -> None:
    codec = RangerCodec(reports())
    ticker = b'{"low":"1","high":"2","open":"1","last":"2","volume":"3","amount":"3","at":1}'
    assert codec.decode(b'{"global.tickers":{"btcusd":%s}}' % ticker) == []
    assert codec.decode(b'{"btcusd.kline-1m":[1,"1","2","1","2","5"]}') == []
    assert codec.decode(b'{"dashusd.trades":{}}') == []
    assert codec.decode(b'{"hello":1}') == []
    assert set(codec.unknown) == {"global.tickers", "btcusd.kline-1m", "dashusd.trades", "hello"}
    with pytest.raises(VenueProtocolError):
        codec.decode(b'{"btcusd.kline-1m":[1]}')


ORDER = (
    b'{"order":{"id":1,"market":"btcusd","kind":"bid","side":"buy","ord_type":"limit",'
    b'"price":"100.0","avg_price":"100.0","state":"STATE","origin_volume":"1.0",'
    b'"remaining_volume":"0.6","executed_volume":"DONE","at":1605880000,"created_at":1605880000,'
    b'"updated_at":1605880000,"trades_count":1}}'
)
FILL = (
    b'{"trade":{"id":1,"price":"100.0","amount":"0.4","total":"40.0","market":"btcusd",'
    b'"side":"buy","taker_type":"sell","created_at":1605880000,"order_id":1}}'
)


@pytest.mark.parametrize(
    ("state", "done", "status"),
    [
        ("pending", "0", OrdStatus.PENDING_NEW),
        ("wait", "0", OrdStatus.NEW),
        ("wait", "0.4", OrdStatus.PARTIALLY_FILLED),
        ("done", "1.0", OrdStatus.FILLED),
        ("done", "0.4", OrdStatus.CANCELED),
        ("cancel", "0.4", OrdStatus.CANCELED),
        ("reject", "0", OrdStatus.REJECTED),
        ("slow", "0", OrdStatus.UNKNOWN),
    ],
)
def test_every_state_of_an_order_has_its_word(state: str, done: str, status: OrdStatus) -> None:
    frame = ORDER.replace(b"STATE", state.encode()).replace(b"DONE", done.encode())
    report = report_of(RangerCodec(reports()).decode(frame))
    assert (report.ord_status, report.cum_qty) == (status, Decimal(done))
    assert report.order_qty == Decimal(1)


def test_a_trade_of_an_order_not_known_waits_for_the_order() -> None:
    codec = RangerCodec(reports())
    assert codec.decode(FILL) == [Orphaned(1)]
    status, fill = codec.decode(ORDER.replace(b"STATE", b"wait").replace(b"DONE", b"0.4"))
    assert isinstance(status, ExecutionReport)
    assert isinstance(fill, ExecutionReport)
    assert (status.ord_status, fill.exec_id) == (OrdStatus.PARTIALLY_FILLED, "1")
    assert (fill.order_qty, fill.price) == (Decimal(1), Decimal(100))


@pytest.mark.parametrize(
    ("taker", "liquidity"), [("buy", Liquidity.REMOVED), ("sell", Liquidity.ADDED)]
)
def test_who_took_tells_the_liquidity_and_the_fee(taker: str, liquidity: Liquidity) -> None:
    codec = RangerCodec(reports(known(1), taker="40"))
    fill = report_of(codec.decode(FILL.replace(b'"sell"', f'"{taker}"'.encode())))
    assert fill.liquidity is liquidity
    rate = Decimal("0.002") if liquidity is Liquidity.ADDED else Decimal("0.004")
    assert fill.commission == rate * Decimal("0.4")


def test_a_fee_nobody_can_compute_is_not_told() -> None:
    unsure = Codec(reports(taker="40"))
    fill = unsure.decode(TRADE)[0]
    assert isinstance(fill, ExecutionReport)
    assert fill.commission is None
    codec = RangerCodec(reports(known(1), fee_in="unknown"))
    assert report_of(codec.decode(FILL)).commission is None


def test_the_seller_pays_in_quote_currency() -> None:
    sold = FILL.replace(b'"side":"buy"', b'"side":"sell"')
    fill = report_of(RangerCodec(reports(known(1))).decode(sold))
    assert (fill.commission, fill.commission_currency) == (Decimal("0.08"), "USD")


def test_private_streams_of_a_dry_run_are_left_out() -> None:
    codec = RangerCodec(reports(), private=False)
    assert codec.decode(FILL) == []
    assert codec.unknown == {"trade": 1}


# --- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "ns"),
    [
        (None, 0),
        (1_605_880_000, 1_605_880_000_000_000_000),
        ("2026-01-01T15:14:10Z", 1_767_280_450_000_000_000),
        ("2026-01-01T17:14:10+02:00", 1_767_280_450_000_000_000),
        ("2026-01-01T15:14:10", 1_767_280_450_000_000_000),
    ],
)
def test_times_are_read_in_every_form(told: wire.Time, ns: int) -> None:
    assert wire.time_ns(told) == ns


@pytest.mark.parametrize("told", [-1, 1e300, "soon", 10**30, ""])
def test_a_time_that_is_none_breaks_the_protocol(told: wire.Time) -> None:
    with pytest.raises(VenueProtocolError, match="found the time"):
        wire.time_ns(told)


def test_a_print_without_amount_breaks_the_protocol() -> None:
    with pytest.raises(VenueProtocolError, match="no amount"):
        public_trade(wire.PublicTrade(price=Decimal(1)), "peatio:btcusd", NOW_NS)


def test_ended_orders_are_forgotten_in_their_order() -> None:
    own = OwnOrders()
    for number in range(10_002):
        name = ClientOrderId(f"demo-r-{number}")
        own.learn(Own(order_id=number, symbol="peatio:btcusd", side=Side.BUY, client_order_id=name))
        own.saw(number, ended=number != 5)
    assert own.get(0) is None
    assert own.id_of(ClientOrderId("demo-r-0")) is None
    assert own.get(1) is not None
    assert [each.order_id for each in own.ours()] == [5]
