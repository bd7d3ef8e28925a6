"""Rows of text in columns, for people: no cell is ever broken, and nothing is cut off.

Where a table is wider than the terminal, times that are all of one day lose their date, which is
said once above the table; then the columns that have no room go below their row, each with its
heading: a screen of rows can be read down, and nothing has to be pieced together.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

__all__ = ["Heading", "lay_out"]

GAP: Final = "  "
INDENT: Final = "    "
LEAST_WIDTH: Final = 40
TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d.*)")


@attrs.frozen
class Heading:
    """What stands over a column, and whether its cells are flush right."""

    name: str
    right: bool = False


def lay_out(
    headings: Sequence[Heading], rows: Sequence[Sequence[str]], width: int | None = None
) -> tuple[list[str], list[str]]:
    """Return the lines above the rows and those of the rows; `width` None has room for all."""
    widths = _widths(headings, rows)
    if width is None or _needed(widths) <= width:
        return [_line(headings, [each.name for each in headings], widths)], [
            _line(headings, row, widths) for row in rows
        ]
    day, rows = _without_day(rows)
    widths = _widths(headings, rows)
    room = max(width, LEAST_WIDTH)
    count = _fitting(widths, room)
    above = [
        *([f"Times are of {day}, UTC."] if day else []),
        *_heads(headings, widths, count, room),
    ]
    return above, [line for row in rows for line in _folded(headings, row, widths, count, room)]


def _widths(headings: Sequence[Heading], rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(len(heading.name), *(len(row[at]) for row in rows), 0)
        for at, heading in enumerate(headings)
    ]


def _needed(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _fitting(widths: Sequence[int], room: int) -> int:
    """Return how many columns, from the first, fit into `room`: at least one."""
    count = 1
    while count < len(widths) and _needed(widths[: count + 1]) <= room:
        count += 1
    return count


def _without_day(rows: Sequence[Sequence[str]]) -> tuple[str, Sequence[Sequence[str]]]:
    """Return the day of every time in `rows`, and the rows without it; "" if there are several."""
    days = {found[1] for row in rows for cell in row if (found := TIME.fullmatch(cell))}
    if len(days) != 1:
        return "", rows
    return days.pop(), [[TIME.sub(r"\2", cell) for cell in row] for row in rows]


def _line(headings: Sequence[Heading], cells: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(
        cell.rjust(width) if heading.right else cell.ljust(width)
        for heading, cell, width in zip(headings, cells, widths, strict=False)
    ).rstrip()


def _heads(headings: Sequence[Heading], widths: Sequence[int], count: int, room: int) -> list[str]:
    return _wrapped(_line(headings, [each.name for each in headings], widths[:count]), room, "")


def _folded(
    headings: Sequence[Heading],
    row: Sequence[str],
    widths: Sequence[int],
    count: int,
    room: int,
) -> Iterator[str]:
    """Yield a row's lines: the columns that have room, and the others below it."""
    yield from _wrapped(_line(headings, row, widths[:count]), room, INDENT)
    below: list[str] = []
    for heading, cell in zip(headings[count:], row[count:], strict=True):
        if not cell:
            continue
        told = f"{heading.name}: {cell}"
        if below and len(INDENT) + len(GAP.join([*below, told])) > room:
            yield from _wrapped(INDENT + GAP.join(below), room, INDENT)
            below = []
        below.append(told)
    if below:
        yield from _wrapped(INDENT + GAP.join(below), room, INDENT)


def _wrapped(line: str, room: int, indent: str) -> list[str]:
    """Break a line between words; a word that is longer than a line is left whole."""
    if len(line) <= room:
        return [line]
    start = len(line) - len(line.lstrip())
    return textwrap.wrap(
        line[start:],
        room,
        initial_indent=line[:start],
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
