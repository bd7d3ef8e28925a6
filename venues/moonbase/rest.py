"""Moonbase's REST calls: signed, one at a time, cancels first."""

import urllib.parse
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import trio

from botkit.adapter import Network
from botkit.errors import VenueError, VenueProtocolError
from botkit.transport import Budget, HttpLink, open_http
from venues.moonbase import wire
from venues.moonbase.codec import Failure, read_failure
from venues.moonbase.options import MoonbaseOptions
from venues.moonbase.wire import Info, OrderRow, checked, parse, time_ns

__all__ = ["Nonces", "Rest", "fetch_info", "open_rest"]

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
MS_PER_S: Final = 1_000
PAGE: Final = 1_000

_info = msgspec.json.Decoder(Info).decode
_order = msgspec.json.Decoder(OrderRow).decode
_orders = msgspec.json.Decoder(list[OrderRow]).decode


LONGEST_WAIT_MS: Final = 1_000


class Nonces:
    """Numbers that never repeat and never fall: milliseconds.

    They wait for the clock and do not run ahead of it, so that another process of the same key,
    such as the guardian, is above the last one as soon as it starts. A clock that was set back by
    more than a second is not waited for.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._last = 0

    async def next(self) -> tuple[int, int]:
        """Return a nonce, and the time in Unix seconds that goes with it."""
        ahead_ms = self._last + 1 - self._now_ns() // NS_PER_MS
        if 0 < ahead_ms <= LONGEST_WAIT_MS:
            await trio.sleep(ahead_ms / MS_PER_S)
        now_ns = self._now_ns()
        self._last = max(self._last + 1, now_ns // NS_PER_MS)
        return self._last, now_ns // NS_PER_S


class _Turns:
    """One at a time, since a nonce below the last one is refused; the urgent ones first."""

    def __init__(self) -> None:
        self._waiting: tuple[deque[trio.Event], deque[trio.Event]] = (deque(), deque())
        self._busy = False

    @asynccontextmanager
    async def take(self, *, urgent: bool) -> AsyncIterator[None]:
        """Wait for a turn and keep it for the length of the block."""
        if self._busy:
            await self._queue(self._waiting[0 if urgent else 1])
        self._busy = True
        try:
            yield
        finally:
            self._pass_on()

    async def _queue(self, lane: deque[trio.Event]) -> None:
        mine = trio.Event()
        lane.append(mine)
        try:
            await mine.wait()
        except BaseException:
            if mine.is_set():
                self._pass_on()
            else:
                lane.remove(mine)
            raise

    def _pass_on(self) -> None:
        lane = self._waiting[0] or self._waiting[1]
        self._busy = bool(lane)
        if lane:
            lane.popleft().set()


class Rest:
    """Signed calls over one `HttpLink`. Made by `open_rest`."""

    def __init__(
        self, options: MoonbaseOptions, http: HttpLink, nonces: Nonces, requests: Budget
    ) -> None:
        self._options = options
        self._http = http
        self._nonces = nonces
        self._requests = requests
        self._root = urllib.parse.urlsplit(options.rest_url).path.rstrip("/")
        self._turns = _Turns()

    async def cancel(self, order_id: int) -> OrderRow | Failure:
        """End an order; return it, or why not. Cancels are not counted and wait for no question.

        Raises
        ------
        OrderOutcomeUnknownError
            It was sent and not answered.
        VenueError
            It was not sent.
        """
        path = f"/my/orders/{order_id}/cancel"
        found = await self._call("PUT", path, {}, urgent=True)
        if not isinstance(found, Failure):
            return parse(_order, found, "canceled order")
        if found.is_no_answer:
            raise VenueError(f"{found.text}, in answer to PUT {path}")
        return found

    async def order(self, symbol: str, order_id: int) -> OrderRow | None:
        """Return one order; None if the venue does not list it. Raises `VenueError`."""
        rows = await self._page(symbol, limit=1, to_id=order_id + 1)
        return next((row for row in rows if row.id == order_id), None)

    async def orders(self, symbol: str, since_ns: int) -> list[OrderRow]:
        """Return every order entered since a time, open or not, oldest first, from all pages.

        Raises
        ------
        VenueError
            A page did not come.
        """
        found: list[OrderRow] = []
        page = await self._page(symbol)
        while page:
            if found and page[0].id >= found[-1].id:
                raise VenueProtocolError(
                    f"moonbase: the page of orders before {found[-1].id} begins with {page[0].id}"
                )
            found += page
            if time_ns(page[-1].inserted_at) < since_ns:
                break
            page = await self._page(symbol, to_id=page[-1].id)
        return [row for row in reversed(found) if time_ns(row.inserted_at) >= since_ns]

    async def _page(
        self, symbol: str, *, limit: int = PAGE, to_id: int | None = None
    ) -> list[OrderRow]:
        terms = {"symbol": symbol, "limit": str(limit)}
        if to_id is not None:
            terms["to_id"] = str(to_id)
        return parse(_orders, await self.get("/my/orders", terms), "orders")

    async def get(self, path: str, terms: Mapping[str, str]) -> bytes:
        """Return the answer to a question; raise `VenueError` if there is none, or an error."""
        await self._requests.wait(urgent=True)
        found = await self._call("GET", path, terms, urgent=False)
        if isinstance(found, Failure):
            if found.is_rate:
                self._requests.hold(found.retry_after_s)
            raise VenueError(f"{found.text}, in answer to GET {path}")
        return found

    async def _call(
        self, method: str, path: str, terms: Mapping[str, str], *, urgent: bool
    ) -> bytes | Failure:
        async with self._turns.take(urgent=urgent):
            nonce_ms, timestamp_s = await self._nonces.next()
            headers = wire.rest_headers(
                self._options.key.reveal(),
                self._options.secret.reveal(),
                method=method,
                path=f"{self._root}{path}",
                parameters=terms,
                nonce_ms=nonce_ms,
                timestamp_s=timestamp_s,
            )
            request: dict[str, Any] = {"params": dict(terms)} if terms else {}
            reply = await self._http.request(
                method,
                path.lstrip("/"),
                headers=headers,
                deadline_s=self._options.answer_within / NS_PER_S,
                **request,
            )
        return reply.body if reply.ok else read_failure(reply.body)


async def fetch_info(options: MoonbaseOptions, network: Network) -> Info:
    """Return the venue's markets; needs no key. Raises `VenueError`."""
    async with open_http(
        options.rest_url, ssl_context=network.ssl_context, dial=network.dial
    ) as http:
        reply = await http.request("GET", "info", deadline_s=options.connect_within / NS_PER_S)
    if not reply.ok:
        raise VenueError(f"moonbase: GET /info was answered {reply.status}")
    found = parse(_info, reply.body, "list of markets")
    for market in found.markets.values():
        checked(market)
    return found


@asynccontextmanager
async def open_rest(
    options: MoonbaseOptions, network: Network, nonces: Nonces, requests: Budget
) -> AsyncIterator[Rest]:
    """Give REST calls for the length of the block."""
    async with open_http(
        options.rest_url, ssl_context=network.ssl_context, dial=network.dial
    ) as http:
        yield Rest(options, http, nonces, requests)
