"""Small things the model says of itself."""

from math import isnan, nan
from typing import get_args

import msgspec
import pytest

from botkit.model import Event, Quote, Side
from botkit.testing import build_quote, build_venue_status


def test_mid_and_spread_need_both_sides() -> None:
    quote = build_quote(0, 99, 101)
    assert (quote.mid, quote.spread) == (100, 2)
    half: Quote = build_quote(0, 99, nan)
    assert isnan(half.mid)
    assert isnan(half.spread)
    assert half.ask_qty == 0


def test_sides_have_a_sign_and_an_opposite() -> None:
    assert [side.sign for side in Side] == [1, -1]
    assert [side.opposite for side in Side] == [Side.SELL, Side.BUY]


@pytest.mark.parametrize("up", [True, False])
def test_a_venue_is_up_if_all_of_it_is(*, up: bool) -> None:
    assert build_venue_status(0, up=up).up is up


@pytest.mark.parametrize("event", get_args(Event))
def test_every_event_says_when_it_came(event: type[msgspec.Struct]) -> None:
    assert "receive_time_ns" in event.__struct_fields__
