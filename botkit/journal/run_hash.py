"""The hash of a run: what was asked, answered, filled and earned, but not when or under what id."""

import hashlib
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from botkit.model import (
    Adjustment,
    CancelOrder,
    EquityPoint,
    ExecutionReport,
    Fill,
    NewOrder,
    OrderCancelReject,
    Refused,
    ReplaceOrder,
    SendFailed,
)
from botkit.ports import JournalEntry

__all__ = ["RunHash"]

KINDS: Final[tuple[type[msgspec.Struct], ...]] = (
    NewOrder,
    ReplaceOrder,
    CancelOrder,
    Refused,
    ExecutionReport,
    OrderCancelReject,
    SendFailed,
    Fill,
    Adjustment,
    EquityPoint,
)
IDS: Final = ("client_order_id", "orig_client_order_id")

Row = tuple[Any, ...]


def _row_of(kind: type[msgspec.Struct]) -> Callable[[Any], Row]:
    """Return the function that makes of an entry what is hashed of it.

    Of an id `<tag>-<run>-<n>` that is `<n>`, and the whole where there is no dash.
    """
    tag = kind.__struct_config__.tag
    fields = kind.__struct_fields__
    rest = attrgetter(
        *(f for f in fields if f not in IDS and f != "text" and not f.endswith("_time_ns"))
    )
    if "orig_client_order_id" in fields:
        return lambda entry: (
            tag,
            (entry.client_order_id or "").rpartition("-")[2],
            (entry.orig_client_order_id or "").rpartition("-")[2],
            rest(entry),
        )
    if "client_order_id" in fields:
        return lambda entry: (tag, (entry.client_order_id or "").rpartition("-")[2], rest(entry))
    return lambda entry: (tag, rest(entry))


ROW_OF: Final = {kind: _row_of(kind) for kind in KINDS}


class RunHash:
    """SHA-256 over a run's requests, answers, fills and equity points, in order.

    Left out: every `*_time_ns`, `text` (wording for people, which may name a run), and of a
    client order id `<tag>-<run>-<n>` all but the number. How the entries were split into
    batches makes no difference.
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._encode = msgspec.json.Encoder().encode_lines

    def update(self, entries: Sequence[JournalEntry]) -> None:
        """Take the next entries."""
        row_of = ROW_OF
        rows = [row_of[type(entry)](entry) for entry in entries if type(entry) in row_of]
        self._sha256.update(self._encode(rows))

    def hexdigest(self) -> str:
        """Return the hash so far."""
        return self._sha256.hexdigest()
