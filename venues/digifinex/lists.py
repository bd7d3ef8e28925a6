"""What DigiFinex's REST tells of our account: where orders stand, fills, balances."""

from collections.abc import Awaitable, Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from botkit.model import Balance, ExecutionReport
from botkit.transport import HttpLink
from venues.digifinex import wire
from venues.digifinex.rest import Rest

if TYPE_CHECKING:
    from venues.digifinex.codec import Codec

__all__ = ["Lists"]

NS_PER_S: Final = 1_000_000_000
R = TypeVar("R")

_orders = msgspec.json.Decoder(wire.Orders, strict=False).decode
_detail = msgspec.json.Decoder(wire.DetailReply, strict=False).decode
_my_trades = msgspec.json.Decoder(wire.MyTrades, strict=False).decode
_assets = msgspec.json.Decoder(wire.Assets, strict=False).decode


class Lists:
    """Questions to REST over one link; each method raises `VenueError` if it gets no answer.

    Parameters
    ----------
    names
        The venue's names of the markets that are traded.
    page_size
        Rows to ask for at once. The venue may give fewer, so a short page is not taken for the
        last: a list is over when a page brings nothing new.
    """

    def __init__(
        self, rest: Rest, http: HttpLink, codec: "Codec", names: Sequence[str], page_size: int
    ) -> None:
        self.codec = codec
        self.names = tuple(names)
        self._rest = rest
        self._http = http
        self._page_size = page_size

    async def balances(self) -> list[Balance]:
        """Return what is held."""
        told = await self._rest.read(self._http, "/spot/assets", _assets)
        return [self.codec.balance(row) for row in told.rows]

    async def detail(self, order_id: str) -> ExecutionReport | None:
        """Return where an order stands, priced by its fills; None if its market is not traded."""
        told = await self._rest.read(
            self._http, "/spot/order/detail", _detail, {"order_id": order_id}, urgent=True
        )
        return self.codec.order_report(told.data)

    async def current(self) -> list[wire.OrderRow]:
        """Return our open orders."""
        rows: list[wire.OrderRow] = []
        for name in self.names:
            told = await self._rest.read(
                self._http, "/spot/order/current", _orders, {"symbol": name}
            )
            rows += told.data
        return rows

    async def history(self, name: str, since_ns: int) -> tuple[list[wire.OrderRow], bool]:
        """Return the orders of a market made since a time, and whether these are all."""

        async def page(from_s: int, to_s: int | None) -> list[wire.OrderRow]:
            span = {"start_time": str(from_s)} | ({} if to_s is None else {"end_time": str(to_s)})
            sent = {"symbol": name, "limit": str(self._page_size), **span}
            return (await self._rest.read(self._http, "/spot/order/history", _orders, sent)).data

        def key(row: wire.OrderRow) -> str:
            return row.order_id

        def at_s(row: wire.OrderRow) -> float:
            return row.created_date

        return await _all_pages(
            page, key, at_s, since_ns // NS_PER_S, size=self._page_size, has_end=True
        )

    async def fills(self, name: str, since_ns: int) -> tuple[list[wire.MyTrade], bool]:
        """Return our fills in a market since a time, and whether these are all."""

        async def page(from_s: int, _: int | None) -> list[wire.MyTrade]:
            sent = {"symbol": name, "limit": str(self._page_size), "start_time": str(from_s)}
            return (await self._rest.read(self._http, "/spot/mytrades", _my_trades, sent)).rows

        def key(row: wire.MyTrade) -> str:
            return str(row.id)

        def at_s(row: wire.MyTrade) -> float:
            return row.timestamp

        return await _all_pages(
            page, key, at_s, since_ns // NS_PER_S, size=self._page_size, has_end=False
        )

    async def everything(self, since_ns: int) -> tuple[list[ExecutionReport], bool]:
        """Return open orders, then orders since a time; and whether these are all.

        Fills need not be listed: each order tells its total.
        """
        rows, is_all = await self.current(), True
        for name in self.names:
            made, is_whole = await self.history(name, since_ns)
            rows, is_all = [*rows, *made], is_all and is_whole
        reports = [self.codec.order_report(row) for row in rows]
        return [each for each in reports if each is not None], is_all


async def _all_pages(
    page: Callable[[int, int | None], Awaitable[list[R]]],
    key: Callable[[R], str],
    at_s: Callable[[R], float],
    since_s: int,
    *,
    size: int,
    has_end: bool,
) -> tuple[list[R], bool]:
    """Return the rows of all pages, whichever way they are sorted, and whether none is missing.

    `page(from_s, to_s)` returns one, cut off at the end where `has_end`. Pages overlap by a second,
    since nobody says whether the ends belong to them. A second with more rows than a page cannot
    be read whole, nor can a list without an end that gives its newest rows first.
    """
    found: dict[str, R] = {}
    from_s, to_s = max(0, since_s - 1), None
    while True:
        rows = await page(from_s, to_s)
        news = {key(row): row for row in rows if key(row) not in found}
        found |= news
        if not news:
            return list(found.values()), len(rows) < size
        if at_s(rows[0]) < at_s(rows[-1]):
            from_s = int(max(map(at_s, rows))) - 1  # oldest first: go on behind the newest
        elif has_end:
            to_s = ceil(min(map(at_s, rows))) + 1
        else:
            return list(found.values()), len(rows) < size
