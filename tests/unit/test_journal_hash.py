"""The run's hash moves with what happened, and not with when or under what run id it did."""

from decimal import Decimal

import msgspec
import pytest

from botkit.journal import RunHash
from botkit.journal.run_hash import KINDS
from botkit.model import (
    Adjustment,
    AdjustmentKind,
    CancelOrder,
    ClientOrderId,
    EquityPoint,
    ExecId,
    ExecType,
    ExecutionReport,
    Fill,
    Liquidity,
    NewOrder,
    OrderCancelReject,
    OrdStatus,
    OrdType,
    Refused,
    ReplaceOrder,
    RequestKind,
    SendFailed,
    Side,
    TimeInForce,
    VenueOrderId,
    VenueStatus,
)
from botkit.ports import JournalEntry

SYMBOL = "paper:BTC-EUR"


def build_entries(run: str = "demo-r1") -> list[JournalEntry]:
    """Return one entry of every kind that is hashed."""
    first, second = ClientOrderId(f"{run}-1"), ClientOrderId(f"{run}-2")
    return [
        NewOrder(
            client_order_id=first,
            symbol=SYMBOL,
            strategy="maker",
            side=Side.BUY,
            order_qty=Decimal("0.5"),
        ),
        ReplaceOrder(
            client_order_id=second,
            orig_client_order_id=first,
            symbol=SYMBOL,
            strategy="maker",
            side=Side.BUY,
            order_qty=Decimal("0.5"),
            price=Decimal(100),
        ),
        CancelOrder(client_order_id=second, symbol=SYMBOL),
        Refused(
            client_order_id=second,
            symbol=SYMBOL,
            strategy="maker",
            request=RequestKind.NEW,
            rule="grid",
            limit="1",
            measured="2",
            text=f"{second}: off the grid",
        ),
        ExecutionReport(
            symbol=SYMBOL,
            ord_status=OrdStatus.NEW,
            exec_type=ExecType.REPLACED,
            client_order_id=second,
            orig_client_order_id=first,
        ),
        OrderCancelReject(symbol=SYMBOL, client_order_id=second),
        SendFailed(
            symbol=SYMBOL,
            client_order_id=second,
            request=RequestKind.NEW,
            reached_venue=True,
            text="",
        ),
        Fill(
            client_order_id=second,
            symbol=SYMBOL,
            strategy="maker",
            side=Side.BUY,
            qty=Decimal("0.5"),
            price=Decimal(100),
            commission=Decimal("0.05"),
        ),
        Adjustment(kind=AdjustmentKind.TRADE, symbol=SYMBOL, qty=Decimal(1), price=Decimal(9)),
        EquityPoint(
            currency="EUR",
            realised=Decimal(0),
            unrealised=Decimal(0),
            fees=Decimal(0),
            equity=Decimal(0),
        ),
    ]


OTHER: dict[str, object] = {
    "client_order_id": ClientOrderId("demo-r1-9"),
    "orig_client_order_id": ClientOrderId("demo-r1-9"),
    "venue_order_id": VenueOrderId("v9"),
    "exec_id": ExecId("e9"),
    "kind": AdjustmentKind.OPENING,
    "side": Side.SELL,
    "ord_type": OrdType.STOP,
    "time_in_force": TimeInForce.FOK,
    "ord_status": OrdStatus.UNKNOWN,
    "exec_type": ExecType.TRADE,
    "request": RequestKind.CANCEL,
    "response_to": RequestKind.REPLACE,
    "liquidity": Liquidity.ADDED,
    "post_only": True,
    "reduce_only": True,
    "keep": True,
    "unknown_order": True,
    "reached_venue": False,
}
TEXTS = ("symbol", "strategy", "venue", "rule", "limit", "measured", "reason", "currency")


def other_value(field: str) -> object:
    if field in OTHER:
        return OTHER[field]
    return "another" if field in TEXTS or field.endswith("currency") else Decimal("7.7")


def hash_of(entries: list[JournalEntry]) -> str:
    run_hash = RunHash()
    run_hash.update(entries)
    return run_hash.hexdigest()


def changed(entry: JournalEntry, field: str, value: object) -> JournalEntry:
    return msgspec.structs.replace(entry, **{field: value})


FIELDS = [(at, field) for at, kind in enumerate(KINDS) for field in kind.__struct_fields__]


def is_left_out(field: str) -> bool:
    return field == "text" or field.endswith("_time_ns")


def test_every_kind_hashed_is_tried_here() -> None:
    assert [type(entry) for entry in build_entries()] == list(KINDS)


@pytest.mark.parametrize(("at", "field"), [pair for pair in FIELDS if not is_left_out(pair[1])])
def test_changing_anything_that_happened_changes_it(at: int, field: str) -> None:
    entries = build_entries()
    entries[at] = changed(entries[at], field, other_value(field))

    assert hash_of(entries) != hash_of(build_entries())


@pytest.mark.parametrize(("at", "field"), [pair for pair in FIELDS if is_left_out(pair[1])])
def test_neither_times_nor_wording_change_it(at: int, field: str) -> None:
    entries = build_entries()
    value: object = "other words" if field == "text" else 1_700_000_000_123_456_789
    entries[at] = changed(entries[at], field, value)

    assert hash_of(entries) == hash_of(build_entries())


def test_the_run_in_client_order_ids_does_not_count() -> None:
    assert hash_of(build_entries("demo-x7-q")) == hash_of(build_entries("demo-r1"))


def test_the_order_of_entries_counts() -> None:
    assert hash_of(build_entries()[::-1]) != hash_of(build_entries())


def test_one_entry_more_counts() -> None:
    assert hash_of([*build_entries(), build_entries()[-1]]) != hash_of(build_entries())


def test_batches_do_not_count() -> None:
    one_by_one = RunHash()
    for entry in build_entries():
        one_by_one.update([entry])
    one_by_one.update([])

    assert one_by_one.hexdigest() == hash_of(build_entries())


def test_what_is_no_request_answer_fill_or_money_does_not_count() -> None:
    status = VenueStatus(venue="paper", market_data=True, private=True, order_entry=True)

    assert hash_of([status, *build_entries(), status]) == hash_of(build_entries())
