"""A Moonbase codec, and frames of the venue's page, for tests."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from botkit.model import Event, ExecutionReport, Instrument
from venues.moonbase.codec import Codec, Notice
from venues.moonbase.orders import Orders

__all__ = [
    "BOOK",
    "ETC",
    "NOW_NS",
    "ORDERS",
    "ROW",
    "SYMBOL",
    "frame",
    "joined",
    "make",
    "only",
    "reply",
]

NOW_NS = 1_700_000_000_000_000_000
SYMBOL = "moonbase:ETC_D:BTC_D"
ETC = Instrument(
    symbol=SYMBOL,
    base="ETC_D",
    quote="BTC_D",
    tick_size=Decimal("0.00000001"),
    lot_size=Decimal("0.00000001"),
)
ORDERS, BOOK = "/orders/ETC_D:BTC_D", "/orderbooks/ETC_D:BTC_D"
ROW = {
    "updated_at": "2019-02-17T20:37:41.679118",
    "triggered_at": "2019-02-17T20:37:41.678723",
    "trigger_price": None,
    "symbol": "ETC_D:BTC_D",
    "requested_amount": 1.0,
    "limit_price": 1.0,
    "is_liquidation": False,
    "is_active": True,
    "inserted_at": "2019-02-17T20:37:41.679112",
    "id": 10,
    "filled_total": 0.0,
    "filled_amount": 0.0,
    "fee": 0.0,
    "external_id": None,
    "cancelled_at": None,
}


def make(*, since_ns: int = 0, external_ids: bool = False, **options: Any) -> Codec:
    orders = Orders(since_ns, external_ids=external_ids)
    return Codec("moonbase", {"ETC_D:BTC_D": ETC}, orders, lambda: NOW_NS, **options)


def frame(topic: str, event: str, payload: object, **refs: object) -> bytes:
    return json.dumps(
        {"ref": None, "join_ref": None, "topic": topic, "event": event, "payload": payload, **refs}
    ).encode()


def reply(ref: str, response: object, *, topic: str = ORDERS, status: str = "ok") -> bytes:
    payload = {"status": status, "response": response}
    return frame(topic, "phx_reply", payload, ref=ref, join_ref="1")


def joined(codec: Codec, topic: str, response: object) -> list[Event | Notice]:
    ref = json.loads(codec.join(topic, {}))["ref"]
    return list(codec.decode(reply(ref, response, topic=topic)))


def only(events: Iterable[Event | Notice]) -> ExecutionReport:
    (event,) = events
    assert isinstance(event, ExecutionReport)
    return event
