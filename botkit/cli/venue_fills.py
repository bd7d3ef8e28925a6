"""A venue's own list of fills, and how it differs from ours."""

import csv
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import attrs

from botkit.errors import ConfigError
from botkit.model import Fill

__all__ = ["Comparison", "VenueFill", "compare", "read_venue_fills"]

NEEDED: Final = ("symbol", "side", "qty", "price")
IDS: Final = ("exec_id", "venue_order_id")
SIDES: Final = ("BUY", "SELL")


@attrs.frozen(kw_only=True)
class VenueFill:
    """One fill as a venue tells it; what it leaves out is None (an id: "").

    `symbol` may be ours or the venue's own; `time_ns` None means that the file says no time.
    """

    exec_id: str = ""
    venue_order_id: str = ""
    client_order_id: str = ""
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    commission: Decimal | None = None
    commission_currency: str = ""
    time_ns: int | None = None


@attrs.frozen(kw_only=True)
class Comparison:
    """One fill in both lists or in one: `result` is matched, differing, missing here or there."""

    result: str
    ours: Fill | None
    theirs: VenueFill | None
    text: str = ""


def read_venue_fills(path: Path) -> list[VenueFill]:
    """Read a CSV file with the columns of `botkit fills --csv`, or the least of them.

    Raises
    ------
    ConfigError
        It cannot be read, lacks columns, or a row is not as it should be.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            missing = [name for name in NEEDED if name not in columns]
            if missing or not any(name in columns for name in IDS):
                lacks = [*missing, *([] if set(IDS) & set(columns) else [" or ".join(IDS)])]
                raise ConfigError(
                    f"{path}: found columns {', '.join(columns) or 'none'}, and it lacks "
                    f"{', '.join(lacks)}: give it the columns of botkit fills --csv"
                )
            return [_row(path, number, row) for number, row in enumerate(reader, 1)]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise ConfigError(f"{path}: the venue's fills cannot be read: {exc}") from exc


def _row(path: Path, number: int, row: Mapping[str, str | None]) -> VenueFill:
    where = f"{path}, row {number}"
    side = (row["side"] or "").strip().upper()
    if side not in SIDES:
        raise ConfigError(f"{where}, column side: found {row['side']!r}, allowed: BUY, SELL")
    ids = {name: (row.get(name) or "").strip() for name in IDS}
    if not any(ids.values()):
        raise ConfigError(
            f"{where}: found no {' and no '.join(IDS)}, allowed: one of them at least"
        )
    commission = (row.get("commission") or "").strip()
    time = (row.get("receive_time_ns") or "").strip()
    if time and not time.isdecimal():
        raise ConfigError(f"{where}, column receive_time_ns: found {time!r}, allowed: nanoseconds")
    return VenueFill(
        exec_id=ids["exec_id"],
        venue_order_id=ids["venue_order_id"],
        client_order_id=(row.get("client_order_id") or "").strip(),
        symbol=(row["symbol"] or "").strip(),
        side=side,
        qty=_number(where, "qty", row["qty"]),
        price=_number(where, "price", row["price"]),
        commission=_number(where, "commission", commission) if commission else None,
        commission_currency=(row.get("commission_currency") or "").strip(),
        time_ns=int(time) if time else None,
    )


def _number(where: str, column: str, text: str | None) -> Decimal:
    try:
        value = Decimal((text or "").strip())
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        raise ConfigError(f"{where}, column {column}: found {text!r}, allowed: a number")
    return value


def compare(ours: Sequence[Fill], theirs: Sequence[VenueFill]) -> list[Comparison]:
    """Match two lists of fills, ours first, then what only the venue has.

    Fills are the same if all the ids that both sides tell are. Where the venue tells no execution,
    equal ones of an order are matched first, and the rest in order.
    """
    by_id: dict[tuple[str, str], list[int]] = {}
    for index, each in enumerate(theirs):
        for key in _keys(each):
            by_id.setdefault(key, []).append(index)
    left = dict.fromkeys(range(len(theirs)))
    partners: dict[int, VenueFill] = {}
    for is_near in (_is_equal, _is_same):  # what is equal in all must not be taken by what is not
        for index, fill in enumerate(ours):
            near = (each for key in _keys(fill) for each in by_id.get(key, ()) if each in left)
            found = next((each for each in near if is_near(fill, theirs[each])), None)
            if index not in partners and found is not None:
                partners[index] = theirs[found]
                del left[found]
    told = [_told(fill, partners.get(index)) for index, fill in enumerate(ours)]
    only_there = [Comparison(result="missing here", ours=None, theirs=theirs[i]) for i in left]
    return [*told, *only_there]


def _keys(fill: Fill | VenueFill) -> list[tuple[str, str]]:
    return [(name, str(getattr(fill, name))) for name in IDS if getattr(fill, name)]


def _is_same(ours: Fill, theirs: VenueFill) -> bool:
    """Tell whether both are of one execution, as far as ids say."""
    if theirs.symbol not in (ours.symbol, ours.symbol.partition(":")[2]):
        return False
    pairs = [(getattr(ours, name), getattr(theirs, name)) for name in (*IDS, "client_order_id")]
    return all(here == there for here, there in pairs if here and there)


def _is_equal(ours: Fill, theirs: VenueFill) -> bool:
    return _is_same(ours, theirs) and not _differences(ours, theirs)


def _told(ours: Fill, theirs: VenueFill | None) -> Comparison:
    if theirs is None:
        return Comparison(result="missing there", ours=ours, theirs=None)
    differing = _differences(ours, theirs)
    result = "differing" if differing else "matched"
    return Comparison(result=result, ours=ours, theirs=theirs, text="; ".join(differing))


def _differences(ours: Fill, theirs: VenueFill) -> list[str]:
    """Return what the two say differently; a fee that one does not tell is no difference."""
    pairs: list[tuple[str, object, object]] = [
        ("side", ours.side.value, theirs.side),
        ("qty", ours.qty, theirs.qty),
        ("price", ours.price, theirs.price),
    ]
    if ours.commission is not None and theirs.commission is not None:
        pairs.append(("commission", ours.commission, theirs.commission))
        if theirs.commission_currency:
            pairs.append(
                ("commission currency", ours.commission_currency, theirs.commission_currency)
            )
    return [f"{name}: {here} here, {there} there" for name, here, there in pairs if here != there]
