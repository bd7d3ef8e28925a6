"""Read columns of a recorded file, Parquet or CSV, in batches; knows nothing of markets."""

import csv
import gzip
import importlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import attrs
import numpy as np
import numpy.typing as npt

from botkit.errors import ConfigError, DataError

__all__ = ["BATCH_ROWS", "BoolArray", "Column", "Rows", "Table", "open_table"]

BATCH_ROWS: Final = 65_536
BoolArray = npt.NDArray[np.bool_]
SUFFIXES: Final = (".parquet", ".csv", ".csv.gz")


@attrs.frozen
class Column:
    """One column of a batch: `values` of any dtype (text as object), and where there are none."""

    values: npt.NDArray[Any]
    missing: BoolArray

    def shown(self, row: int) -> str:
        """Return the value found at `row` (0-based), for a message."""
        return "nothing" if self.missing[row] else repr(self.values[row : row + 1].tolist()[0])


@attrs.frozen
class Rows:
    """Some rows by column, and how many cells those have (by 0-based row) that are no full row."""

    columns: Mapping[str, Column]
    width: int  # cells of a full row
    cells: Mapping[int, int] = attrs.field(factory=dict)


class Table(Protocol):
    """A file of named columns."""

    path: Path
    columns: tuple[str, ...]

    def batches(self, names: Sequence[str]) -> Iterator[Rows]:
        """Yield the named columns, at most `BATCH_ROWS` rows at a time.

        Raises
        ------
        DataError
            The file is cut short or damaged.
        """
        ...


def open_table(path: Path) -> Table:
    """Open the file and read its header.

    Raises
    ------
    ConfigError
        Its suffix is not one we read, or pyarrow is needed and not installed.
    DataError
        It is damaged.
    """
    name = path.name.lower()
    if name.endswith(".parquet"):
        return ParquetTable(path)
    if name.endswith((".csv", ".csv.gz")):
        return CsvTable(path)
    raise ConfigError(f"{path}: cannot tell its format; name it *{', *'.join(SUFFIXES)}")


@contextmanager
def _damage_named(path: Path, *damage: type[Exception]) -> Iterator[None]:
    try:
        yield
    except damage as exc:
        raise DataError(
            f"{path}: damaged or cut short ({type(exc).__name__}: {exc}); fetch the file again"
        ) from exc


class ParquetTable:
    """A Parquet file, read by pyarrow a batch at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pyarrow = _import_pyarrow(path)
        with self._open() as file:
            self.columns: tuple[str, ...] = tuple(file.schema_arrow.names)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        parquet = importlib.import_module("pyarrow.parquet")
        with (
            _damage_named(self.path, self._pyarrow.ArrowException, OSError),
            parquet.ParquetFile(self.path) as file,
        ):
            yield file

    def batches(self, names: Sequence[str]) -> Iterator[Rows]:
        """Yield the named columns, at most `BATCH_ROWS` rows at a time."""
        with self._open() as file:
            groups = file.iter_batches(batch_size=BATCH_ROWS, columns=list(names))
            while True:
                with _damage_named(self.path, self._pyarrow.ArrowException, OSError):
                    batch = next(groups, None)
                if batch is None:
                    return
                columns = {name: self._column(batch.column(name)) for name in names}
                yield Rows(columns, len(self.columns))

    def _column(self, array: Any) -> Column:
        types = self._pyarrow.types
        size = len(array)
        if types.is_null(array.type):
            return Column(np.zeros(size), np.ones(size, dtype=np.bool_))
        if types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if types.is_timestamp(array.type) or types.is_date(array.type):
            array = array.cast(self._pyarrow.timestamp("ns"), safe=True)
        if array.null_count == 0:
            values = array.to_numpy(zero_copy_only=False)
            return Column(values, np.zeros(size, dtype=np.bool_))
        missing = array.is_null().to_numpy(zero_copy_only=False)
        # A null would turn integers into floats, and nanoseconds do not survive that.
        filler = array.drop_null()[:1] if array.null_count < size else None
        values = (
            np.zeros(size)
            if filler is None
            else array.fill_null(filler[0]).to_numpy(zero_copy_only=False)
        )
        return Column(values, missing)


def _import_pyarrow(path: Path) -> Any:
    try:
        return importlib.import_module("pyarrow")
    except ImportError as exc:
        raise ConfigError(
            f"{path}: reading Parquet needs pyarrow; pip install 'botkit[data]', "
            "or give the file as .csv or .csv.gz"
        ) from exc


ENCODING: Final = "utf-8-sig"  # UTF-8, with or without a byte order mark
CSV_DAMAGE: Final = (EOFError, OSError, zlib.error, UnicodeDecodeError, csv.Error)


class CsvTable:
    """A CSV file with a header line, plain or gzipped, UTF-8.

    An empty cell is a missing value. A row with more or fewer cells than the header is all missing
    and named in `Rows.cells`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _damage_named(path, *CSV_DAMAGE):
            self.columns: tuple[str, ...] = tuple(name.strip() for name in next(self._rows(), []))
        if not self.columns:
            raise DataError(f"{path}: empty; the first line must name the columns")

    def _rows(self) -> Iterator[list[str]]:
        with ExitStack() as stack:
            if self.path.name.lower().endswith(".gz"):
                text = stack.enter_context(
                    gzip.open(self.path, "rt", encoding=ENCODING, newline="")
                )
            else:
                text = stack.enter_context(self.path.open(encoding=ENCODING, newline=""))
            yield from filter(None, csv.reader(text, strict=True))

    def batches(self, names: Sequence[str]) -> Iterator[Rows]:
        """Yield the named columns, at most `BATCH_ROWS` rows at a time."""
        width = len(self.columns)
        empty = [""] * width
        places = {name: self.columns.index(name) for name in names}
        rows = islice(self._rows(), 1, None)
        while True:
            with _damage_named(self.path, *CSV_DAMAGE):
                chunk = list(islice(rows, BATCH_ROWS))
            if not chunk:
                return
            cells = {place: len(row) for place, row in enumerate(chunk) if len(row) != width}
            for place in cells:
                chunk[place] = empty
            columns = {name: _text_column(chunk, place) for name, place in places.items()}
            yield Rows(columns, width, cells)


def _text_column(rows: list[list[str]], place: int) -> Column:
    values = np.array([row[place].strip() for row in rows], dtype=object)
    return Column(values, values == "")
