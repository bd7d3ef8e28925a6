"""Turn raw columns into numbers, times and words, and find the rows that are none."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from botkit.errors import DataError
from venues.paper.feeds.tables import BoolArray, Column, Rows

__all__ = ["Batch", "FloatArray", "IntArray"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
TIME_MAX_NS: Final = 2**63 - 1
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Batch:
    """Some rows of one file, and which of them are bad.

    Every method returns one array with a value per row; what it holds for bad rows means nothing.
    """

    def __init__(self, rows: Rows, path: str, first_row: int) -> None:
        self._columns = rows.columns
        self._path = path
        self._first_row = first_row
        self.rows = len(next(iter(rows.columns.values())).values)
        self.bad: BoolArray = np.zeros(self.rows, dtype=np.bool_)
        self._faults: list[tuple[int, str]] = []  # first row, what is wrong with it
        self.bad[list(rows.cells)] = True
        for row, cells in islice(rows.cells.items(), 1):
            self._faults.append((row, f": {cells} cells, the header has {rows.width}"))

    def fault(self, column: str, bad: BoolArray, must: str) -> None:
        """Note rows whose `column` is not what it `must` be; a row's first fault is its fault."""
        if bad.any():
            row = int(bad.argmax())
            found = self._columns[column].shown(row)
            self._faults.append((row, f", column {column!r}: {found} found; it must be {must}"))
            self.bad |= bad

    def raise_first(self) -> None:
        """Raise `DataError` for the first bad row, if there is one."""
        if not self._faults:
            return
        row, wrong = min(self._faults, key=lambda fault: fault[0])
        raise DataError(
            f"{self._path}: row {self._first_row + row}{wrong} "
            '(on_bad_row = "skip" leaves such rows out and counts them)'
        )

    def number(self, column: str, *, zero_allowed: bool = False) -> FloatArray:
        """Return finite numbers above 0, or at least 0."""
        raw = self._columns[column]
        numbers = _floats(raw)
        with np.errstate(invalid="ignore"):
            enough = numbers >= 0 if zero_allowed else numbers > 0
        must = f"a number {'at least' if zero_allowed else 'above'} 0"
        self.fault(column, raw.missing | ~np.isfinite(numbers) | ~enough, must)
        return numbers

    def time_ns(self, column: str, unit_ns: int, *, optional: bool = False) -> IntArray:
        """Return times since 1970 UTC; `unit_ns` 0 is for ISO 8601 text. 0 where one is missing.

        A time stamp type of Parquet knows its own unit. Floating point seconds are kept to the
        microsecond, which is what they can tell.
        """
        raw = self._columns[column]
        times, bad = _times(raw, unit_ns)
        self.fault(column, bad | raw.missing & (not optional), "a time after 1970")
        times[raw.missing] = 0
        return times

    def order(self, column: str, times: IntArray, last_ns: int) -> None:
        """Mark rows whose time is before that of a good row ahead of them."""
        times = np.where(self.bad, last_ns, times)
        latest = np.maximum.accumulate(np.concatenate(([last_ns], times)))[:-1]
        self.fault(column, times < latest, "no earlier than the row before it")

    def count(self, column: str) -> IntArray:
        """Return whole numbers above 0."""
        raw = self._columns[column]
        counts, bad = _times(raw, 1)
        self.fault(column, bad | raw.missing, "a whole number above 0")
        return counts

    def word(self, column: str, words: Mapping[str, int], missing: int | None = None) -> IntArray:
        """Return the code of each word, whatever its case; `missing` is that of a missing one."""
        raw = self._columns[column]
        found = np.array([words.get(word, -1) for word in _words(raw)], dtype=np.int64)
        found[raw.missing] = -1 if missing is None else missing
        self.fault(column, found < 0, f"one of {', '.join(words)}")
        return found

    def text(self, column: str) -> list[str]:
        """Return the values as text; empty where missing."""
        raw = self._columns[column]
        texts = [str(value) for value in raw.values.tolist()]
        for row in np.flatnonzero(raw.missing).tolist():
            texts[row] = ""
        return texts


def _words(raw: Column) -> list[str]:
    values = raw.values.tolist()
    seen = {value: str(value).strip().lower() for value in set(values)}
    return [seen[value] for value in values]


def _floats(raw: Column) -> FloatArray:
    values = raw.values
    if values.dtype.kind in "fiu":
        return values.astype(np.float64)
    if values.dtype.kind != "O":
        return np.full(len(values), np.nan)  # truth values and dates are no numbers
    return _each(values, raw.missing, float, np.nan, np.dtype(np.float64))


def _times(raw: Column, unit_ns: int) -> tuple[IntArray, BoolArray]:
    values, kind = raw.values, raw.values.dtype.kind
    if kind == "M":
        times = values.astype("datetime64[ns]").astype(np.int64)
    elif kind in "iu" and unit_ns:
        fits = (values > 0) & (values <= TIME_MAX_NS // unit_ns)
        times = np.where(fits, values, -1).astype(np.int64) * unit_ns
    elif kind == "f" and unit_ns:
        times = _from_fractions(values.astype(np.float64), unit_ns)
    elif kind == "O":
        parse = _parse_count(unit_ns) if unit_ns else _parse_iso
        times = _each(values, raw.missing, parse, -1, np.dtype(np.int64))
    else:
        times = np.full(len(values), -1, dtype=np.int64)
    return times, (times <= 0) & ~raw.missing


def _from_fractions(values: FloatArray, unit_ns: int) -> IntArray:
    with np.errstate(invalid="ignore", over="ignore"):
        fits = (values > 0) & (values < TIME_MAX_NS // unit_ns)
    good = np.where(fits, values, 0.0)
    whole = np.floor(good)
    grain_ns = min(unit_ns, 1_000)
    part = np.round((good - whole) * (unit_ns / grain_ns)).astype(np.int64) * grain_ns
    return np.where(fits, whole.astype(np.int64) * unit_ns + part, -1)


def _each(
    values: npt.NDArray[Any],
    missing: BoolArray,
    parse: Callable[[Any], Any],
    otherwise: float,
    dtype: "np.dtype[Any]",
) -> npt.NDArray[Any]:
    """Return `parse` of each value, and `otherwise` where it cannot be parsed or is missing."""
    try:
        return np.array(list(map(parse, values.tolist())), dtype=dtype)
    except (ValueError, TypeError, ArithmeticError):
        result = np.full(len(values), otherwise, dtype=dtype)
    for row, value in enumerate(values.tolist()):
        if not missing[row]:
            try:
                result[row] = parse(value)
            except (ValueError, TypeError, ArithmeticError):
                continue
    return result


def _parse_count(unit_ns: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        try:
            return int(value) * unit_ns
        except ValueError:
            pass
        try:
            return int(Decimal(value) * unit_ns)
        except InvalidOperation as exc:
            raise ValueError(value) from exc

    return parse


def _parse_iso(value: Any) -> int:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1) * 1_000
