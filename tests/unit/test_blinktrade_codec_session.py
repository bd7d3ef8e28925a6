"""BlinkTrade's codec: signatures, books and the session, by frames of the venue's pages."""

import json
from typing import Any

import pytest

from botkit.errors import VenueProtocolError
from botkit.model import BookDelta, BookSnapshot, FeedGap, Trade
from tests.unit.blinktrade_codec_bench import ENTRY, NOW_NS, Desk, S, only
from venues.blinktrade import wire
from venues.blinktrade.codec import Beaten, Bound, Broken, Refusal, SecurityStatus


def entry(action: str, position: int, *order: int, kind: str = "0") -> dict[str, Any]:
    """Return a change: order is (id, price, size) as in `Desk.book`."""
    told = {"MDEntryType": kind, "MDUpdateAction": action, "MDEntryPositionNo": position}
    if order:
        order_id, price, size = order
        told |= {"OrderID": order_id, "MDEntryPx": price * 10**8, "MDEntrySize": size * 10**6}
    return {**ENTRY, "Symbol": "BTCUSD", **told}


# --- signing ------------------------------------------------------------------------------------


def test_rest_calls_are_signed_as_the_vector_says() -> None:
    assert wire.rest_headers("key", "test-secret", nonce=1_700_000_000_000) == {
        "APIKey": "key",
        "Nonce": "1700000000000",
        "Signature": "85b5366c365c4f9329d1e9d48dc1040220fa942d630b0b5521cb8b5d94d2a042",
        "Content-Type": "application/json",
    }


# --- the book -----------------------------------------------------------------------------------


def test_a_book_is_asked_for_whole_with_trades() -> None:
    assert json.loads(Desk().request) == {
        "MsgType": "V",
        "MDReqID": 1,
        "SubscriptionRequestType": "1",
        "MarketDepth": 0,
        "MDUpdateType": "1",
        "MDEntryTypes": ["0", "1", "2"],
        "Instruments": ["BTCUSD"],
    }


def test_a_snapshot_of_orders_becomes_price_levels() -> None:
    snapshot, bound = Desk().book([(1, 500, 100), (2, 500, 50), (3, 499, 10)], [(4, 510, 30)])
    assert snapshot == BookSnapshot(
        "blink:BTCUSD",
        bids=[(500.0, 1.5), (499.0, 0.1)],
        asks=[(510.0, 0.3)],
        receive_time_ns=NOW_NS,
    )
    assert bound == Bound("BTCUSD")


def test_a_snapshot_tells_no_old_trade_and_no_volume() -> None:
    desk = Desk()
    rows = [
        {**ENTRY, "MDEntryType": "2", "Symbol": "BTCUSD", "MDEntryPx": 5, "MDEntrySize": 4},
        {"MDEntryType": "4", "BTC": 40000000, "USD": 20000000000},
    ]
    snapshot, _ = desk.decode(
        {"MsgType": "W", "MDReqID": 1, "Symbol": "BTCUSD", "MarketDepth": 0, "MDFullGrp": rows}
    )
    assert (snapshot.bids, snapshot.asks) == ([], [])


@pytest.mark.parametrize(
    ("changes", "bids"),
    [
        ([entry("0", 1, 9, 501, 5)], [(501.0, 0.05)]),
        ([entry("0", 3, 9, 500, 5)], [(500.0, 1.55)]),  # behind two of its price
        ([entry("0", 4, 9, 498, 5)], [(498.0, 0.05)]),  # at the end
        ([entry("1", 2, 2, 500, 20)], [(500.0, 1.2)]),
        ([entry("2", 1)], [(500.0, 0.5)]),
        ([entry("2", 3)], [(499.0, 0.0)]),
        ([entry("3", 2)], [(500.0, 0.0)]),
        ([entry("3", 3)], [(500.0, 0.0), (499.0, 0.0)]),
        ([entry("2", 1), entry("1", 1, 2, 500, 40)], [(500.0, 0.4)]),  # in the order told
    ],
)
def test_changes_are_applied_by_position(
    changes: list[dict[str, Any]], bids: list[tuple[float, float]]
) -> None:
    desk = Desk()
    desk.book([(1, 500, 100), (2, 500, 50), (3, 499, 10)], [(4, 510, 30)])
    delta = only(desk.change(*changes))
    assert delta == BookDelta("blink:BTCUSD", bids=bids, asks=[], receive_time_ns=NOW_NS)


def test_offers_are_kept_apart_from_bids() -> None:
    desk = Desk()
    desk.book([(1, 500, 100)], [(4, 510, 30)])
    delta = only(desk.change(entry("1", 1, 4, 510, 10, kind="1")))
    assert (delta.bids, delta.asks) == ([], [(510.0, 0.1)])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (entry("2", 0), "position 0"),
        (entry("2", 3), "position 3"),
        (entry("0", 4, 9, 499, 1), "position 4"),
        (entry("1", 1, 2, 500, 20), "order 1 is"),
        (entry("1", 1, 1, 501, 20), "order 1 is"),
        (entry("7", 1), "action '7'"),
    ],
)
def test_a_change_that_does_not_fit_breaks_the_book(change: dict[str, Any], what: str) -> None:
    desk = Desk()
    desk.book([(1, 500, 100), (2, 500, 50)], [])
    gap, broken = desk.change(change)
    assert isinstance(gap, FeedGap)
    assert gap.symbol == "blink:BTCUSD"
    assert what in gap.reason
    assert broken == Broken("BTCUSD", 1, gap.reason)
    assert desk.change(entry("2", 1)) == []  # under its old id nothing more is read


def test_a_change_before_the_snapshot_breaks_the_book() -> None:
    gap, broken = Desk().change(entry("0", 1, 9, 501, 5))
    assert isinstance(gap, FeedGap)
    assert isinstance(broken, Broken)


def test_a_book_that_stays_crossed_is_broken() -> None:
    desk = Desk()
    desk.book([(1, 500, 100)], [(4, 510, 30)])
    assert len(desk.change(entry("0", 1, 9, 511, 5))) == 1
    desk.now_ns += 5 * S
    assert len(desk.change(entry("1", 1, 9, 511, 6))) == 1
    desk.now_ns += 1
    _, broken = desk.change(entry("1", 1, 9, 511, 7))
    assert "crossed" in broken.reason


def test_a_cross_that_passes_is_none() -> None:
    desk = Desk()
    desk.book([(1, 500, 100)], [(4, 510, 30)])
    desk.change(entry("0", 1, 9, 511, 5))
    desk.change(entry("2", 1))
    desk.now_ns += 60 * S
    assert len(desk.change(entry("0", 1, 9, 511, 5))) == 1


def test_a_new_subscription_outdates_the_old_one() -> None:
    desk = Desk()
    desk.book([(1, 500, 100)], [])
    desk.codec.subscribe("BTCUSD")
    assert desk.change(entry("2", 1)) == []
    assert desk.book([(1, 500, 100)], []) == []
    assert sum(desk.codec.unknown.values()) == 2


def test_a_trade_is_told_with_its_aggressor_and_time() -> None:
    desk = Desk()
    desk.book([], [])
    told = {
        **ENTRY, "MDUpdateAction": "0", "MDEntryType": "2", "TradeID": 1, "Symbol": "BTCUSD",
        "MDEntryPx": 50000000000, "MDEntrySize": 40000000, "Side": "2", "OrderID": 8,
        "SecondaryOrderID": 1, "MDEntryBuyerID": 90000003, "MDEntrySellerID": 90000002,
    }  # fmt: skip
    volume = {"MDEntryType": "4", "BTC": 40000000, "USD": 20000000000}
    assert desk.change(told, volume) == [
        Trade(
            "blink:BTCUSD",
            price=500.0,
            qty=0.4,
            aggressor="SELL",
            trade_id="1",
            exchange_time_ns=1_767_279_746 * S,
            receive_time_ns=NOW_NS,
        )
    ]
    assert desk.change({**told, "Side": "", "TradeID": None})[0].aggressor == ""
    with pytest.raises(VenueProtocolError, match="is no time"):
        desk.change({**told, "MDEntryDate": "yesterday"})


def test_a_ticker_is_a_notice() -> None:
    notice = only(
        Desk().decode({
            "MsgType": "f", "SecurityStatusReqID": 55, "Symbol": "BTCUSD", "BestBid": 50000000000,
            "BestAsk": None, "LastPx": 0, "HighPx": 0, "LowPx": 0, "BuyVolume": 1, "SellVolume": 2,
        })
    )  # fmt: skip
    assert isinstance(notice, SecurityStatus)
    assert (notice.ticker.best_bid, notice.ticker.best_ask) == (50000000000, None)


# --- the session --------------------------------------------------------------------------------


def test_heartbeats_are_told_by_their_id() -> None:
    desk = Desk()
    told = {"MsgType": "0", "TestReqID": 5, "SendTime": 1, "ServerTimestamp": 1473241957}
    assert desk.decode(told) == [Beaten(5)]
    assert desk.decode({**told, "TestReqID": "five"}) == [Beaten("five")]


def test_an_error_is_a_refusal() -> None:
    told = {"MsgType": "ERROR", "Description": "Invalid message", "Detail": "Not authorized"}
    assert Desk().decode(told) == [Refusal("Invalid message", "Not authorized")]
    assert Desk().decode({"MsgType": "ERROR"}) == [Refusal("", "")]


def test_a_failed_login_is_an_answer() -> None:
    failed = {
        "MsgType": "BF", "UserReqID": 7, "UserStatus": 3, "Username": "", "NeedSecondFactor": False,
        "UserStatusText": "MSG_LOGIN_ERROR_INVALID_USERNAME_OR_PASSWORD",
    }  # fmt: skip
    answered = only(Desk().decode(failed))
    assert answered.reply.user_status == 3
    assert "INVALID_USERNAME" in answered.reply.user_status_text


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"MsgType": "y", "SecurityReqID": 3, "Instruments": []}, wire.Securities),
        ({"MsgType": "U33", "TradeHistoryReqID": 3, "Columns": [], "TradeHistoryGrp": []},
         wire.TradeHistory),
        ({"MsgType": "U29", "BrokerListReqID": 3, "Columns": [], "BrokerListGrp": []},
         wire.Brokers),
        ({"MsgType": "U51", "APIKeyListReqID": 3, "Columns": [], "ApiKeyListGrp": []},
         wire.ApiKeys),
        ({"MsgType": "U50", "APIKeyListReqID": 3, "Columns": [], "ApiKeyListGrp": []},
         wire.ApiKeys),
        ({"MsgType": "U53", "APIKeyCreateReqID": 3, "APIKey": "k", "APIPassword": "p",
          "APISecret": "s"}, wire.ApiKeyCreated),
        ({"MsgType": "U55", "APIKeyRevokeReqID": 3, "APIKey": "k", "Status": 0},
         wire.ApiKeyRevoked),
        ({"MsgType": "U39", "UpdateReqID": 3}, wire.ProfileUpdated),
        ({"MsgType": "U40", "UpdateReqID": 3}, wire.ProfileRefreshed),
        ({"MsgType": "U43", "PositionReqID": 3}, wire.PositionsReply),
    ],
)  # fmt: skip
def test_every_answer_is_known_by_its_request(message: dict[str, Any], kind: type) -> None:
    answered = only(Desk().decode(message))
    assert answered.req_id == 3
    assert isinstance(answered.reply, kind)


def test_copies_of_emails_and_kinds_we_do_not_know_are_no_events() -> None:
    desk = Desk()
    assert desk.decode({"MsgType": "C", "To": 1, "Subject": "OE"}) == []
    assert desk.decode({"MsgType": "ZZ"}) == []
    assert desk.decode({"MsgType": "ZZ", "A": 1}) == []
    assert desk.codec.unknown == {"message ZZ": 2}


def test_the_kinds_counted_are_bounded() -> None:
    desk = Desk()
    for number in range(1_100):
        desk.decode({"MsgType": f"Z{number}"})
    assert len(desk.codec.unknown) == 1_001
    assert sum(desk.codec.unknown.values()) == 1_100


@pytest.mark.parametrize(
    "frame",
    [
        b"[]", b"null", b"3", b"", b"{", b'{"MsgType":8}', b"{}", b"[" * 100_000, b'"\xff"',
        b'{"MsgType":"8","Symbol":"BTCUSD","OrdStatus":"0","OrderQty":"1"}',
        b'{"MsgType":"8","Symbol":"BTCUSD","OrdStatus":"0","OrderQty":NaN}',
        b'{"MsgType":"8","Symbol":"BTCUSD","OrdStatus":"0","OrderQty":-1}',
        b'{"MsgType":"8","Symbol":"BTCUSD","OrdStatus":"0","OrderQty":1000000000000000001}',
        b'{"MsgType":"W","MDReqID":1,"Symbol":"BTCUSD","MDFullGrp":[{"MDEntryType":0}]}',
        b'{"MsgType":"U3","5":{"BTC":"1"}}', b'{"MsgType":"U3","5":[]}',
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_protocol_error(frame: bytes) -> None:
    with pytest.raises(VenueProtocolError, match="blinktrade: cannot read"):
        Desk().codec.decode(frame)


def test_a_long_frame_is_shown_in_part() -> None:
    with pytest.raises(VenueProtocolError) as caught:
        Desk().codec.decode(b"[" + b"1," * 10_000 + b"1]")
    assert len(str(caught.value)) < 400
