"""Peatio's REST calls against a server that says what a test wants: pages, errors, nonsense."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import parse_qs

import pytest
from trio.testing import MockClock

from botkit.config import Secret
from botkit.errors import (
    OrderOutcomeUnknownError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
)
from botkit.model import Side
from botkit.testing.network import open_network
from botkit.transport import HttpReply, HttpRequest, Server, open_http
from tests.unit.peatio_bench import ISSUER
from venues.peatio.rest import RestRefusedError, TradingRest
from venues.peatio.tokens import FixedToken

NOW_S = 1_800_000_000
Answer = Callable[[HttpRequest], HttpReply]


def reply(value: Any, status: int = 200) -> HttpReply:
    return HttpReply(status, {}, value if isinstance(value, bytes) else json.dumps(value).encode())


@asynccontextmanager
async def calling(
    answer: Answer,
    generation: Literal["websocket_api", "ranger"] = "websocket_api",
    *,
    signed: bool = True,
) -> AsyncIterator[TradingRest]:
    async def http(request: HttpRequest) -> HttpReply:
        return answer(request)

    token = FixedToken(Secret(ISSUER.members[0].secret), lambda: NOW_S * 1_000_000_000)
    async with open_network() as network:
        network.listen("peatio.test", 80, Server(http=http).serve)
        async with open_http("http://peatio.test/api/v2", dial=network.dial) as link:
            yield TradingRest(generation, link, link, token if signed else None, deadline_s=5)


def query(request: HttpRequest) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.query).items()}


def order(number: int, created_s: int = NOW_S) -> dict[str, Any]:
    return {"id": number, "state": "done", "side": "buy", "created_at": created_s}


def trade(number: int, created_s: int = NOW_S) -> dict[str, Any]:
    row = {"id": number, "price": "1", "volume": "1", "created_at": created_s}
    return {**row, "order_id": 1, "side": "buy"}


# --- pages --------------------------------------------------------------------------------------


async def test_ended_orders_are_read_page_by_page_until_they_are_too_old(
    autojump_clock: MockClock,
) -> None:
    asked: list[dict[str, str]] = []

    def answer(request: HttpRequest) -> HttpReply:
        asked.append(query(request))
        page = int(asked[-1]["page"])
        if asked[-1]["state"] == "cancel":
            return reply([])
        return reply([order(page * 1_000 + each, NOW_S - page) for each in range(1_000)])

    async with calling(answer) as rest:
        rows = await rest.closed_orders("btcusd", (NOW_S - 2) * 1_000_000_000)
    assert len(rows) == 2_000
    assert [(each["state"], each["page"]) for each in asked] == [
        ("done", "1"),
        ("done", "2"),
        ("done", "3"),
        ("cancel", "1"),
    ]


@pytest.mark.parametrize(
    ("generation", "further"), [("websocket_api", {"to": "501"}), ("ranger", {"page": "2"})]
)
async def test_own_trades_are_paged_as_each_generation_does(
    generation: Literal["websocket_api", "ranger"],
    further: dict[str, str],
    autojump_clock: MockClock,
) -> None:
    asked: list[dict[str, str]] = []

    def answer(request: HttpRequest) -> HttpReply:
        asked.append(query(request))
        first = len(asked) == 1
        numbers = range(1_500, 500, -1) if first else range(500, 490, -1)
        return reply([trade(number) for number in numbers])

    async with calling(answer, generation) as rest:
        rows = await rest.fills("btcusd", 0)
    assert [row.id for row in rows] == list(range(491, 1_501))
    assert further.items() <= asked[1].items()


async def test_lists_without_end_are_given_up(autojump_clock: MockClock) -> None:
    full = json.dumps([order(each) for each in range(1_000)]).encode()
    async with calling(lambda _: reply(full)) as rest:
        with pytest.raises(VenueError, match="more than 100000 orders"):
            await rest.closed_orders("btcusd", 0)
    many = json.dumps([trade(each) for each in range(1_000)]).encode()
    async with calling(lambda _: reply(many)) as rest:
        with pytest.raises(VenueError, match="more than 100000 trades"):
            await rest.fills("btcusd", 0)


async def test_open_orders_that_need_two_pages_are_not_surely_all(
    autojump_clock: MockClock,
) -> None:
    async with calling(lambda _: reply([order(each) for each in range(1_000)])) as rest:
        rows, is_all = await rest.open_orders("btcusd")
    assert (len(rows), is_all) == (1_000, False)


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "codes", "text"),
    [
        ({"error": {"code": 2002, "message": "Failed to create order."}}, ("2002",), "Failed"),
        ({"errors": ["market.order.create_error"]}, ("market.order.create_error",), "create"),
        ({"error": "no"}, (), "no"),
        ({}, (), "no reason given"),
        (b"<html>", (), "no reason given"),
        (b"\xff", (), "no reason given"),
    ],
)
async def test_refusals_of_every_shape_are_read(
    body: Any, codes: tuple[str, ...], text: str, autojump_clock: MockClock
) -> None:
    async with calling(lambda _: reply(body, 422)) as rest:
        with pytest.raises(RestRefusedError, match=text) as refused:
            await rest.accounts()
    assert (refused.value.status, refused.value.codes) == (422, codes)


async def test_a_token_that_is_refused_or_missing_is_named(autojump_clock: MockClock) -> None:
    refused = {"error": {"code": 2001, "message": "Authorization failed"}}
    async with calling(lambda _: reply(refused, 401)) as rest:
        with pytest.raises(VenueAuthenticationError, match="look at the token"):
            await rest.accounts()
    level = {"error": {"code": 2000, "message": "Please, pass the verification steps"}}
    async with calling(lambda _: reply(level, 401)) as rest:
        with pytest.raises(RestRefusedError, match="Please"):
            await rest.cancel(1)
    async with calling(lambda _: reply([]), signed=False) as rest:
        with pytest.raises(VenueAuthenticationError, match="no token"):
            await rest.accounts()


async def test_a_failing_server_leaves_a_question_open_and_a_request_unknown(
    autojump_clock: MockClock,
) -> None:
    async with calling(lambda _: reply(b"", 503)) as rest:
        with pytest.raises(VenueDisconnectedError, match="answered 503"):
            await rest.markets()
        with pytest.raises(OrderOutcomeUnknownError, match="answered 503"):
            await rest.cancel(1)


async def test_an_answer_nobody_can_read_leaves_a_request_unknown(
    autojump_clock: MockClock,
) -> None:
    async with calling(lambda _: reply(b"[3", 201)) as rest:
        with pytest.raises(OrderOutcomeUnknownError, match="cannot read answer to a cancel"):
            await rest.cancel(1)
        with pytest.raises(VenueProtocolError, match="cannot read order"):
            await rest.order(1)


# --- requests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generation", "paths"),
    [
        ("websocket_api", ["order", "order/delete", "orders/clear"]),
        ("ranger", ["market/orders/7", "market/orders/7/cancel", "market/orders/cancel"]),
    ],
)
async def test_calls_go_where_each_generation_has_them(
    generation: Literal["websocket_api", "ranger"], paths: list[str], autojump_clock: MockClock
) -> None:
    seen: list[HttpRequest] = []

    def answer(request: HttpRequest) -> HttpReply:
        seen.append(request)
        is_list = request.path.endswith(("clear", "orders/cancel"))
        return reply([order(7)] if is_list else order(7))

    async with calling(answer, generation) as rest:
        assert (await rest.order(7)).id == 7
        assert (await rest.cancel(7)).id == 7
        assert [row.id for row in await rest.cancel_all(Side.SELL)] == [7]
        assert [row.id for row in await rest.cancel_all()] == [7]
    assert [each.path.removeprefix("/api/v2/") for each in seen[:3]] == paths
    assert json.loads(seen[2].body) == {"side": "sell"}
    assert seen[3].body == b"{}"
    assert all(each.headers["authorization"].startswith("Bearer ") for each in seen)
