"""The venue's rules of conduct, kept at 80 %; and what its REST errors mean."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec
import pytest
import trio
from trio.testing import MockClock

from botkit.config import Secret
from botkit.errors import (
    OrderOutcomeUnknownError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
)
from botkit.model import AskListing, AskStatus, ClientOrderId, VenueOrderId
from botkit.testing.network import open_network
from botkit.transport import HttpLink, HttpReply, HttpRequest, Server, open_http
from venues.digifinex import wire
from venues.digifinex.conduct import Conduct
from venues.digifinex.options import DigiFinexOptions
from venues.digifinex.questions import Questions
from venues.digifinex.rest import DigiFinexCodeError, Rest, explain

S = 1_000_000_000
WORTH = Decimal(100)


def placed(
    count: int, *, filled: int = 0, short: int = 0, filled_value: Decimal = WORTH
) -> Conduct:
    """Return the conduct of `count` orders at second 0, of which some filled or lived shortly."""
    conduct = Conduct()
    for number in range(count):
        name = str(number)
        conduct.placed(name, 0, WORTH)
        if number < filled:
            conduct.told(name, filled_value, S, is_filled=True, is_over=True)
        elif number < filled + short:
            conduct.told(name, Decimal(0), 5 * S - 1, is_filled=False, is_over=True)
        else:
            conduct.told(name, Decimal(0), 5 * S, is_filled=False, is_over=True)
    return conduct


@pytest.mark.parametrize(
    ("conduct", "words"),
    [
        (placed(38), ""),
        (placed(39), "0.00 of 4000.00 in value ordered"),
        (placed(39, filled=1), ""),
        (placed(39, filled=1, filled_value=Decimal(49)), "49.00 of 4000.00 in value"),
        (placed(39, filled=1, filled_value=Decimal(50)), ""),
        (placed(79, filled=1), ""),
        (placed(80, filled=1, filled_value=Decimal(900)), "1 of 81 orders .* have filled"),
        (placed(99, filled=2, short=76), ""),
        (placed(99, filled=2, short=77), "77 of 100 orders .* within five seconds"),
        (placed(78, filled=1, short=77), ""),
    ],
)
def test_order_is_refused_at_80_percent_of_what_is_banned(conduct: Conduct, words: str) -> None:
    refusal = conduct.refusal(WORTH, 9 * S)
    assert re.match(words, refusal) if words else refusal == ""


def test_orders_count_for_ten_minutes() -> None:
    conduct = placed(60)
    assert conduct.refusal(WORTH, 600 * S - 1)
    assert conduct.refusal(WORTH, 600 * S) == ""


def test_order_that_fills_late_was_not_short_lived_and_counts_once() -> None:
    conduct = placed(99, filled=2, short=77)
    conduct.placed("2", 0, Decimal(10**9))
    conduct.told("2", Decimal(1), 6 * S, is_filled=True, is_over=True)
    conduct.told("nobody", Decimal(1), 6 * S, is_filled=True, is_over=True)
    assert conduct.refusal(WORTH, 9 * S) == ""


def test_orders_under_way_count_as_placed() -> None:
    assert placed(30).refusal(WORTH, 9 * S, [WORTH] * 8) == ""
    assert placed(30).refusal(WORTH, 9 * S, [WORTH] * 9) != ""


# --- REST ---------------------------------------------------------------------------------------


class Answering:
    """A server that gives the answers it was told to, and remembers what it was asked."""

    def __init__(self, answers: Sequence[tuple[int, bytes]]) -> None:
        self.answers = list(answers)
        self.asked: list[HttpRequest] = []
        options = DigiFinexOptions(key=Secret("k"), secret=Secret("s"))
        self.rest = Rest(options, lambda: 1_000 * S)

    async def http(self, request: HttpRequest) -> HttpReply:
        await trio.lowlevel.checkpoint()
        self.asked.append(request)
        status, body = self.answers.pop(0)
        return HttpReply(status, {}, body)


@asynccontextmanager
async def answering(*answers: tuple[int, bytes]) -> AsyncIterator[tuple[Answering, HttpLink]]:
    venue = Answering(answers)
    async with open_network() as network:
        network.listen("d.test", 80, Server(http=venue.http).serve)
        async with open_http("http://d.test/v3", dial=network.dial) as http:
            yield venue, http


decode = msgspec.json.Decoder(wire.Placed, strict=False).decode
GOOD = (200, b'{"code":"0","order_id":"a"}')


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, b'{"code":50000}'), OrderOutcomeUnknownError),
        ((502, b"bad gateway"), OrderOutcomeUnknownError),
        ((200, b"<html>"), OrderOutcomeUnknownError),
        ((200, b'{"code":0}'), OrderOutcomeUnknownError),
        ((200, b'{"code":"20011"}'), DigiFinexCodeError),
        ((403, b'{"code":20003}'), DigiFinexCodeError),
        ((200, b'{"code":10005}'), DigiFinexCodeError),
        ((200, b'{"code":10002}'), VenueAuthenticationError),
    ],
)
async def test_order_call_is_sent_once_and_its_failure_says_whether_it_was_done(
    answer: tuple[int, bytes], error: type[VenueError], autojump_clock: MockClock
) -> None:
    async with answering(answer) as (venue, http):
        with pytest.raises(error):
            await venue.rest.post(http, "/spot/order/new", decode, {"symbol": "A"})
    assert len(venue.asked) == 1


LATE = (200, b'{"code":10008}')
TIME = (200, b'{"code":0,"server_time":1100}')


async def test_order_call_refused_because_our_clock_is_off_is_sent_once_more_by_the_right_time(
    autojump_clock: MockClock,
) -> None:
    async with answering(LATE, TIME, GOOD) as (venue, http):
        told = await venue.rest.post(http, "/spot/order/new", decode, {"symbol": "A"})
    assert told.order_id == "a"
    times = [each.headers.get("access-timestamp") for each in venue.asked]
    assert times == ["1000", None, "1100"]


async def test_order_call_refused_so_twice_is_given_up(autojump_clock: MockClock) -> None:
    async with answering(LATE, TIME, LATE) as (venue, http):
        with pytest.raises(DigiFinexCodeError):
            await venue.rest.post(http, "/spot/order/new", decode, {"symbol": "A"})
    assert len(venue.asked) == 3


@pytest.mark.parametrize(
    ("answers", "ahead_s"),
    [
        ([(200, b'{"code":50000}'), GOOD], 0),
        ([(200, b'{"code":10005}'), GOOD], 0),
        ([(200, b'{"code":10008}'), (200, b'{"code":0,"server_time":1100}'), GOOD], 100),
    ],
)
async def test_read_is_asked_again_where_that_helps(
    answers: list[tuple[int, bytes]], ahead_s: int, autojump_clock: MockClock
) -> None:
    async with answering(*answers) as (venue, http):
        told = await venue.rest.read(http, "/spot/order", decode, {"a": "b"})
    assert told.order_id == "a"
    assert venue.asked[-1].query == "a=b"
    assert venue.asked[-1].headers["access-timestamp"] == str(1_000 + ahead_s)


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([(200, b'{"code":20013}')], DigiFinexCodeError),
        ([(200, b'{"code":50000}')] * 2, DigiFinexCodeError),
        ([(500, b"")], VenueDisconnectedError),
        ([(200, b"[]")], VenueProtocolError),
        ([(200, b'{"code":10003}')], VenueAuthenticationError),
    ],
)
async def test_read_that_cannot_be_answered_says_why(
    answers: list[tuple[int, bytes]], error: type[VenueError], autojump_clock: MockClock
) -> None:
    async with answering(*answers) as (venue, http):
        with pytest.raises(error):
            await venue.rest.read(http, "/spot/order", decode)
    assert venue.answers == []


async def test_busy_venue_is_left_alone_for_a_while(autojump_clock: MockClock) -> None:
    async with answering((200, b'{"code":10005}')) as (venue, http):
        with pytest.raises(DigiFinexCodeError):
            await venue.rest.post(http, "/spot/order/new", decode, {})
        assert venue.rest.orders_left() == 0
        assert venue.rest.posts.left(urgent=True) == 60  # cancels do not wait
        await trio.sleep(2)
        assert venue.rest.orders_left() == 60


BUSY = (200, b'{"code":10005}')


async def test_reads_keep_away_for_longer_each_time_until_a_ban_is_over(
    autojump_clock: MockClock,
) -> None:
    async with answering(*[BUSY] * 4, GOOD, BUSY, GOOD) as (venue, http):
        for over_s in (0.5 + 1 + 2 + 4, 0.5):
            began = trio.current_time()
            await venue.rest.read(http, "/spot/order", decode)
            assert trio.current_time() - began == pytest.approx(over_s)


async def test_urgent_read_is_given_up_when_the_venue_is_busy_twice(
    autojump_clock: MockClock,
) -> None:
    async with answering(BUSY, BUSY) as (venue, http):
        with pytest.raises(DigiFinexCodeError):
            await venue.rest.read(http, "/spot/order", decode, urgent=True)


async def test_calls_of_others_before_the_start_leave_less_for_orders_and_all_for_cancels(
    autojump_clock: MockClock,
) -> None:
    rest = Answering([]).rest
    rest.count_earlier([60.0] * 4 + [1.0] * 16)
    assert (rest.orders_left(), rest.posts.left(urgent=True)) == (60 - 20 - 5, 60)
    await trio.sleep(3)
    assert rest.orders_left() == 60 - 16 - 4
    await trio.sleep(60)
    assert rest.orders_left() == 60


async def test_first_reads_leave_what_a_process_before_us_may_have_spent(
    autojump_clock: MockClock,
) -> None:
    async with answering(GOOD) as (venue, http):
        await venue.rest.read(http, "/spot/order", decode)
        assert (venue.rest.gets.left(), venue.rest.gets.left(urgent=True)) == (59, 119)


async def test_questions_for_the_same_order_are_one() -> None:
    questions = Questions()
    for number in range(20):
        questions.put(AskListing(venue="d", listing_id=number))
        for venue_order_id in (VenueOrderId("a"), VenueOrderId(f"b{number % 2}"), None):
            question = AskStatus(
                client_order_id=ClientOrderId("c"), symbol="d:A", venue_order_id=venue_order_id
            )
            questions.put(question)
    orders, listings = await questions.take()
    assert [each.venue_order_id for each in orders] == ["a", "b0", "b1"]
    assert [each.listing_id for each in listings] == [*range(12, 20)]


def test_codes_are_explained() -> None:
    assert explain(20013) == "digifinex error 20013 (no such order)"
    assert explain(7) == "digifinex error 7 (see the venue's list of errors)"
