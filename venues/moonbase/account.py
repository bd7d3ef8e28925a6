"""What can be done with a Moonbase account besides trading: never called by the engine.

Every channel costs one of the hour's twenty joins of the key, which a bot that trades with it
needs as well.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Final

import msgspec
import trio

from botkit.adapter import Network
from botkit.config import structure
from botkit.errors import (
    FeedStaleError,
    HandshakeRefusedError,
    OrderOutcomeUnknownError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
)
from botkit.ports import VenueSetup
from botkit.transport import WsLink, open_ws
from venues.moonbase import wire
from venues.moonbase.codec import Answered, Codec, Joined, JoinFailed, RateLimited
from venues.moonbase.options import MoonbaseOptions
from venues.moonbase.orders import Orders

__all__ = ["Account", "Candles", "open_account"]

NS_PER_S: Final = 1_000_000_000
PAGE: Final = 1_000
Terms = Mapping[str, Any] | wire.CandleRequest


class Candles(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What was asked for, oldest first as the venue sends it, and when the nearest before began.

    Times are Unix seconds.
    """

    candles: list[wire.Candle]
    nearest_before: int | None


class Account:
    """The calls. Made by `open_account`; each raises `VenueError` if the venue does not do it.

    Symbols are the venue's own names, such as "ETH:BTC".
    """

    def __init__(self, ws: WsLink, codec: Codec, options: MoonbaseOptions) -> None:
        self._ws = ws
        self._codec = codec
        self._answer_s = options.answer_within / NS_PER_S
        self._joined: dict[str, str] = {}  # topic: as it is spelt here

    # --- looking ----------------------------------------------------------------------------

    async def tickers(self, symbols: Sequence[str] = ()) -> list[wire.TickerRow]:
        """Return the state of markets, of all if none is named."""
        found: list[wire.TickerRow] = await self._join("/tickers", {"symbols": list(symbols)})
        return found

    async def candles(self, symbol: str, since_s: int, to_s: int, resolution_s: int) -> Candles:
        """Return candles of `resolution_s` seconds from `since_s` to `to_s`, Unix seconds."""
        topic = f"/candles/{symbol}"
        terms = wire.CandleRequest(since=since_s, to=to_s, resolution=resolution_s)
        found: wire.CandleSnapshot = (
            await self._ask(topic, "get_snapshot", terms)
            if topic in self._joined
            else await self._join(topic, terms)
        )
        candles, nearest_before = found.data
        return Candles(candles=candles, nearest_before=nearest_before)

    async def positions(self) -> list[wire.PositionRow]:
        """Return the margin positions."""
        found: list[wire.PositionRow] = await self._join("/positions", {})
        return found

    async def deposits(self, asset: str | None = None, limit: int = PAGE) -> list[wire.DepositRow]:
        """Return deposits, of one asset or of all."""
        found: list[wire.DepositRow] = await self._join("/deposits", _page(asset, limit))
        return found

    async def withdrawals(
        self, asset: str | None = None, limit: int = PAGE
    ) -> list[wire.WithdrawalRow]:
        """Return withdrawals, of one asset or of all."""
        found: list[wire.WithdrawalRow] = await self._join("/withdrawals", _page(asset, limit))
        return found

    async def deposit_address(self, asset: str) -> str:
        """Return where an asset can be deposited; the venue may make a new address for it."""
        await self._be_in("/deposits", _page(asset, 1))
        found: wire.DepositAddress = await self._ask(
            "/deposits", "get_deposit_address", {"asset": asset}
        )
        if found.asset != asset:
            raise VenueError(f"moonbase: asked for an address of {asset}, got one of {found.asset}")
        return found.address

    # --- changing ---------------------------------------------------------------------------

    async def create_withdrawal(
        self, asset: str, address: str, amount: Decimal
    ) -> wire.WithdrawalRow:
        """Send `amount` of `asset` to `address`.

        Raises
        ------
        OrderOutcomeUnknownError
            It was sent and not answered: look at `withdrawals` before trying again.
        """
        await self._be_in("/withdrawals", _page(asset, 1))
        terms = {"asset": asset, "address": address, "amount": f"{amount:f}"}
        made: wire.WithdrawalRow = await self._change("/withdrawals", "create_withdrawal", terms)
        return made

    async def assign_margin(self, margins: Mapping[str, Decimal]) -> list[wire.PositionRow]:
        """Put margin aside, by market; return their positions.

        Raises
        ------
        OrderOutcomeUnknownError
            It was sent and not answered: look at `positions`.
        """
        await self._be_in("/positions", {})
        terms = {symbol: f"{margin:f}" for symbol, margin in margins.items()}
        made: list[wire.PositionRow] = await self._change("/positions", "assign", terms)
        return made

    # --- inside -----------------------------------------------------------------------------

    async def _be_in(self, topic: str, terms: Terms) -> None:
        if topic not in self._joined:
            await self._join(topic, terms)

    async def _join(self, topic: str, terms: Terms) -> Any:
        """Return a channel's snapshot, joining by the one spelling or the other."""
        spelt = self._joined.get(topic, topic)
        answer = await self._joining(spelt, terms)
        if isinstance(answer, JoinFailed) and answer.failure.is_unmatched:
            spelt = f"{topic}/"
            answer = await self._joining(spelt, terms)
        if isinstance(answer, Joined):
            self._joined[topic] = spelt
            return answer.value
        raise VenueError(f"{answer.failure.text}, in answer to joining {topic}")

    async def _joining(self, spelt: str, terms: Terms) -> Joined | JoinFailed | RateLimited:
        await self._ws.send(self._codec.join(spelt, terms))
        with trio.move_on_after(self._answer_s):
            while True:
                for notice in await self._received():
                    if isinstance(notice, Joined | JoinFailed | RateLimited):
                        return notice
        raise VenueError(f"moonbase: joining {spelt} was not answered in time")

    async def _change(self, topic: str, event: str, terms: Terms) -> Any:
        """Return the answer to what moves money; without one, nobody knows whether it did."""
        try:
            return await self._ask(topic, event, terms)
        except VenueDisconnectedError as exc:
            raise OrderOutcomeUnknownError(
                f"moonbase: {event} was sent and not answered ({exc}): do not repeat it before "
                "you have looked whether it was done"
            ) from exc

    async def _ask(self, topic: str, event: str, terms: Terms) -> Any:
        ref, frame = self._codec.ask(self._joined[topic], event, terms)
        await self._ws.send(frame)
        with trio.move_on_after(self._answer_s):
            while True:
                for notice in await self._received():
                    if isinstance(notice, RateLimited):
                        raise VenueError(notice.failure.text)
                    if isinstance(notice, Answered) and notice.ref == ref:
                        if notice.failure is not None:
                            raise VenueError(notice.failure.text)
                        return notice.value
        raise FeedStaleError(f"moonbase: no answer to {event} within {self._answer_s:g} s")

    async def _received(self) -> list[Any]:
        frames = await self._ws.receive_batch()
        return [each for frame in frames for each in self._codec.decode(frame)]


@asynccontextmanager
async def open_account(setup: VenueSetup, network: Network | None = None) -> AsyncIterator[Account]:
    """Sign in with the venue's table of the config, for the length of the block.

    Raises `VenueAuthenticationError` for a key that does not hold.
    """
    options = structure(MoonbaseOptions, setup.options, setup.source)
    network = network or Network()
    query = wire.handshake_query(
        options.key.reveal(),
        options.secret.reveal(),
        timestamp_s=setup.now_ns() // NS_PER_S,
        variant=options.signature,
    )
    try:
        async with open_ws(
            f"{options.url}?{query}",
            connect_timeout_s=options.connect_within / NS_PER_S,
            ssl_context=network.ssl_context,
            dial=network.dial,
        ) as ws:
            yield Account(ws, Codec(setup.name, {}, Orders(0), setup.now_ns), options)
    except HandshakeRefusedError as exc:
        raise VenueAuthenticationError(f"{exc}: look at key, secret, clock and signature") from exc


def _page(asset: str | None, limit: int) -> dict[str, Any]:
    return {"limit": limit} if asset is None else {"asset": asset, "limit": limit}
