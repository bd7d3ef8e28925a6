"""Rows for people and for programs, from one description of their columns."""

import contextlib
import csv
import io
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, Generic, Literal, TypeVar

import attrs
import click
import msgspec

from botkit.cli.layout import Heading, lay_out
from botkit.cli.output import silence
from botkit.cli.wording import exact_text, price
from botkit.errors import BotkitError

__all__ = ["Column", "Form", "figures", "form_options", "number_column", "print_rows", "writing"]

T = TypeVar("T")
Command = Callable[..., Any]
Form = Literal["table", "csv", "json"]
FIGURES: Final = 7


@attrs.frozen(kw_only=True)
class Column(Generic[T]):
    """One column.

    Parameters
    ----------
    name
        Its name for programs, and its heading for people unless `heading` says otherwise.
    value
        What programs get: text, a number (Decimals as text, exact), a list, a mapping, or None
        for "not known", which is null in JSON and an empty cell in CSV.
    heading
        "" leaves the column out of the table for people.
    text
        What people get, if not `value` as text.
    """

    name: str
    value: Callable[[T], object]
    heading: str | None = None
    text: Callable[[T], str] | None = None
    right: bool = False

    def told(self, row: T) -> str:
        """Return the cell for people."""
        if self.text is not None:
            return self.text(row)
        value = self.value(row)
        return exact_text(value) if isinstance(value, Decimal) else _plain(value)


def number_column(
    name: str,
    value: Callable[[T], Decimal | None],
    heading: str | None = None,
    *,
    show: Callable[[Decimal], str] = price,
) -> Column[T]:
    """Return a column of exact numbers; people get them as `show` writes them."""

    def told(row: T) -> str:
        number = value(row)
        return "" if number is None else show(number)

    return Column(name=name, value=value, heading=heading, text=told, right=True)


def figures(value: Decimal) -> str:
    """Return a number for people: seven figures, every one before the point, no zeros at its end.

    Margins are told apart from their limits by a column of their own, so none is lost.
    """
    places = max(0, FIGURES - 1 - value.adjusted())
    return exact_text(round(value, places), thousands=True)


def form_options(function: Command) -> Command:
    """Add --csv and --json; the command gets `form`."""
    function = click.option(
        "--csv", "form", flag_value="csv", help="A header line, then one line each."
    )(function)
    return click.option("--json", "form", flag_value="json", help="One JSON object per line.")(
        function
    )


def print_rows(
    rows: Sequence[T], columns: Sequence[Column[T]], form: Form | None, *, what: str, head: str = ""
) -> None:
    """Print `rows` as `form` says; `head` stands above the table for people.

    Raises
    ------
    BotkitError
        They could not be written; `what` names them, such as "the fills".
    """
    with writing(what):
        if form == "csv":
            click.echo(_as_csv(rows, columns), nl=False)
        elif form == "json":
            for line in _as_json(rows, columns):
                click.echo(line)
        else:
            if head:
                click.echo(head)
            if rows:
                _print_table(rows, [each for each in columns if each.heading != ""])


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """Write to stdout inside this; what does not arrive there, on a full disk, is an error."""
    try:
        yield
        sys.stdout.flush()  # here, not at the interpreter's end, where nobody is told
    except BrokenPipeError:
        raise  # the reader has seen enough; click ends quietly
    except OSError as exc:
        silence(sys.stdout)
        raise BotkitError(
            f"{what} could not be written ({exc.strerror}): what was written is incomplete; "
            "make room, or write elsewhere"
        ) from exc


def _plain(value: object) -> str:
    """Return a value as one cell of text."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | dict):
        return msgspec.json.encode(value).decode()
    return str(value)


def _as_csv(rows: Iterable[T], columns: Sequence[Column[T]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    writer.writerows([_plain(column.value(row)) for column in columns] for row in rows)
    return text.getvalue()


def _as_json(rows: Iterable[T], columns: Sequence[Column[T]]) -> Iterator[bytes]:
    for row in rows:
        yield msgspec.json.encode({column.name: _exact(column.value(row)) for column in columns})


def _exact(value: object) -> object:
    """Return Decimals as text without an exponent, as CSV has them."""
    return f"{value:f}" if isinstance(value, Decimal) else value


def _print_table(rows: Iterable[T], columns: Sequence[Column[T]]) -> None:
    """Print a table, as wide as the terminal at most; down a pipe as wide as it has to be."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    headings = [
        Heading(column.name if column.heading is None else column.heading, right=column.right)
        for column in columns
    ]
    cells = [[_one_line(column.told(row)) for column in columns] for row in rows]
    above, lines = lay_out(headings, cells, width)
    for line in above:
        click.secho(line, bold=True)
    for line in lines:
        click.echo(line)


def _one_line(text: str) -> str:
    """Return text without line breaks or control characters, which would spoil the table."""
    return "".join(each if each.isprintable() else " " for each in text)
