"""Tables as people read them, on terminals of any width."""

import string

from hypothesis import given
from hypothesis import strategies as st

from botkit.cli.check_command import rule_lines
from botkit.cli.layout import Heading, lay_out

HEADINGS = [Heading("time"), Heading("qty", right=True), Heading("order"), Heading("why")]
TIME = "2026-11-21T01:02:03.456Z"
WORD = st.text(string.ascii_letters + string.digits, max_size=30)


def test_what_has_room_is_a_plain_table() -> None:
    above, lines = lay_out(HEADINGS, [[TIME, "1", "x-1", ""], [TIME, "10.5", "x-10", "late"]], 80)

    assert above == ["time                       qty  order  why"]
    assert lines == [f"{TIME}     1  x-1", f"{TIME}  10.5  x-10   late"]
    _, lines = lay_out(HEADINGS, [[TIME, "1", "x-1", "y" * 500]])  # down a pipe
    assert lines == [f"{TIME}    1  x-1    {'y' * 500}"]


def test_where_there_is_no_room_the_day_is_said_once_and_columns_go_below_their_row() -> None:
    why = "it could trade with another order of the bot: cancel that one first, please"
    above, lines = lay_out(HEADINGS, [[TIME, "1", "x-1", why], [TIME, "2", "x-2", ""]], 50)

    assert above == ["Times are of 2026-11-21, UTC.", "time           qty  order"]
    assert lines == [
        "01:02:03.456Z    1  x-1",
        "    why: it could trade with another order of the",
        "    bot: cancel that one first, please",
        "01:02:03.456Z    2  x-2",
    ]


def test_times_of_several_days_keep_them() -> None:
    other = "2026-11-22T01:02:03.456Z"
    above, lines = lay_out(HEADINGS, [[TIME, "1", "x", "y" * 40], [other, "2", "x", ""]], 50)

    assert above == ["time                      qty  order"]
    assert lines[-1] == f"{other}    2  x"


def test_several_columns_share_a_line_below_and_empty_ones_are_left_out() -> None:
    headings = [Heading("first"), *(Heading(name) for name in "abcd")]
    _, lines = lay_out(headings, [["x" * 38, "1", "", "33", "y" * 30]], 40)

    assert lines == ["x" * 38, "    a: 1  c: 33", "    d: " + "y" * 30]


@given(
    rows=st.lists(st.lists(WORD, min_size=4, max_size=4), min_size=1, max_size=4),
    width=st.integers(1, 120),
)
def test_no_cell_is_broken_or_lost_and_no_line_longer_than_it_has_to_be(
    rows: list[list[str]], width: int
) -> None:
    _, lines = lay_out(HEADINGS, rows, width)

    words = " ".join(lines).split()
    for cell in (cell for row in rows for cell in row if cell):
        assert cell in words
    assert all(len(line) <= max(width, 40) for line in lines)


def test_check_tells_each_limit_on_a_line_of_its_own() -> None:
    value = {"a": {"max_position": "2", "max_order_qty": {"p:X": "1", "p:Y": "2"}}}

    assert rule_lines("strategies", value) == [
        "strategies.a.max_position = 2",
        "strategies.a.max_order_qty = p:X 1, p:Y 2",
    ]
