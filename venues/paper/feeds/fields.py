"""Which columns each kind of recording needs, and where a file has them."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import attrs

from botkit.config import Duration
from venues.paper.feeds.base import nearest

__all__ = ["Kind", "RecordedFile", "Source", "resolve"]

Kind = Literal["quotes", "trades", "depth", "bars"]

# Kind -> field -> is it needed? A field named *_time is written with its unit, as in
# receive_time_ns; without one it is ISO 8601 text or a time stamp type of Parquet.
FIELDS: Final[Mapping[Kind, Mapping[str, bool]]] = {
    "quotes": {
        "receive_time": True,
        "exchange_time": False,
        "symbol": False,
        "bid_px": True,
        "bid_qty": True,
        "ask_px": True,
        "ask_qty": True,
    },
    "trades": {
        "receive_time": True,
        "exchange_time": False,
        "symbol": False,
        "price": True,
        "qty": True,
        "aggressor": False,
        "buyer_is_maker": False,
        "trade_id": False,
    },
    "depth": {
        "receive_time": True,
        "exchange_time": False,
        "symbol": False,
        "side": True,
        "price": True,
        "qty": True,
        "kind": False,
        "group": False,
    },
    "bars": {
        "start_time": True,
        "receive_time": False,
        "symbol": False,
        "open": True,
        "high": True,
        "low": True,
        "close": True,
        "volume": False,
        "trade_count": False,
    },
}
UNITS_NS: Final[Mapping[str, int]] = {
    "_ns": 1,
    "_us": 1_000,
    "_ms": 1_000_000,
    "_s": 1_000_000_000,
    "": 0,
}


@attrs.frozen(kw_only=True)
class RecordedFile:
    """One file of a replay.

    Parameters
    ----------
    path
        Relative to the feed's `dir`, which is relative to the config.
    kind
        quotes, trades, depth (a row per price level) or bars.
    symbol
        The venue's name of the instrument, such as BTC-EUR; empty if a column says it.
    columns
        Field -> column, where the file does not use the field's own name.
    interval
        Of bars: how long one is. A bar without a receive time is received at its end.
    snapshots
        Of depth without a `kind` column: every event is a whole book, not a change.
    """

    path: str
    kind: Kind
    symbol: str = ""
    columns: Mapping[str, str] = attrs.field(factory=dict)
    interval: Duration | None = None
    snapshots: bool = False


@attrs.frozen
class Source:
    """The column a field is read from; `unit_ns` is for times, 0 where the values know it."""

    column: str
    unit_ns: int = 0


def resolve(
    entry: RecordedFile, columns: Sequence[str], problems: list[str], where: str
) -> dict[str, Source]:
    """Return where each field of `entry` is found; append a sentence for each that is not."""
    has = f"the file has {', '.join(columns)}"
    keys = {key: field for field in FIELDS[entry.kind] for key in _keys(field)}
    for key, column in entry.columns.items():
        if key not in keys:
            problems.append(
                f"{where}: columns.{key}: {entry.kind} have no such field; known are "
                f"{', '.join(FIELDS[entry.kind])} (times end in _ns, _us, _ms or _s)"
                f"{nearest(key, keys)}"
            )
        elif column not in columns:
            problems.append(
                f"{where}: columns.{key}: no column {column!r}; {has}{nearest(column, columns)}"
            )
    found: dict[str, Source] = {}
    for field, needed in FIELDS[entry.kind].items():
        source = _find(entry, field, columns)
        if source is not None:
            found[field] = source
        elif needed:
            key = f"{field}_ns" if field.endswith("_time") else field
            problems.append(
                f"{where}: {entry.kind} need {key}, and no column is called that; {has}; "
                f'say which it is: columns = {{ {key} = "..." }}{nearest(key, columns)}'
            )
    return found


def _keys(field: str) -> list[str]:
    return [field + unit for unit in UNITS_NS] if field.endswith("_time") else [field]


def _find(entry: RecordedFile, field: str, columns: Sequence[str]) -> Source | None:
    """Return the column that the config names, else the one that bears the field's own name."""
    keys = _keys(field)
    for key in keys:
        if key in entry.columns:
            return Source(entry.columns[key], UNITS_NS[key.removeprefix(field)])
    for key in keys:
        if key in columns:
            return Source(key, UNITS_NS[key.removeprefix(field)])
    return None
