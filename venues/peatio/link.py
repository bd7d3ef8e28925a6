"""One connection to Peatio, of either generation: sign in, books, heartbeat, and what is polled."""

import abc
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import trio

from botkit.adapter import Readiness, first_of
from botkit.clock import Clock
from botkit.errors import (
    FeedStaleError,
    VenueAuthenticationError,
    VenueDisconnectedError,
    VenueError,
    VenueProtocolError,
)
from botkit.model import BookSnapshot, Event, ExecutionReport, Instrument
from botkit.ports import Deliver
from botkit.transport import WsLink
from venues.peatio import wire
from venues.peatio.codec import (
    Authenticated,
    Challenged,
    Codec,
    Notice,
    Refused,
    encode_authenticate,
)
from venues.peatio.options import PeatioOptions
from venues.peatio.own import OwnOrders
from venues.peatio.ranger_codec import (
    PING,
    Broken,
    Orphaned,
    Pong,
    RangerCodec,
    Subscribed,
    encode_subscribe,
    public_trade,
)
from venues.peatio.reports import Reports
from venues.peatio.rest import Rest, TradingRest
from venues.peatio.tokens import TokenSource

if TYPE_CHECKING:
    from venues.peatio.desk import Desk

__all__ = ["Link", "RangerLink", "WebsocketApiLink"]

logger = logging.getLogger(__name__)
NS_PER_S: Final = 1_000_000_000
SETTLE_S: Final = 0.5  # so long after a report, balances are asked for
LEAST_S: Final = 1e-6  # less to sleep may be nothing to the clock, for ever


class _Decoder(Protocol):
    def decode(self, frame: bytes) -> list[Event | Notice]:
        """Return what a frame says."""
        ...


class Link(abc.ABC):
    """What both generations share. `desk` None: market data alone."""

    codec: _Decoder

    def __init__(
        self,
        name: str,
        options: PeatioOptions,
        instruments: Mapping[str, Instrument],
        *,
        rest: Rest,
        ws: WsLink,
        tokens: TokenSource | None,
        readiness: Readiness,
        deliver: Deliver,
        clock: Clock,
        desk: "Desk | None",
    ) -> None:
        self.rest = rest
        self.clock = clock
        self.traded = tuple(instruments)
        self.reports = Reports(
            name,
            instruments,
            OwnOrders() if desk is None else desk.own,
            clock.now_ns,
            fees=options.fees,
            fee_in_received=options.fee_in == "received",
        )
        self._ws = ws
        self._options = options
        self._tokens = tokens
        self._readiness = readiness
        self._deliver = deliver
        self._desk = desk
        self._moved = trio.Event()
        self._notices: Mapping[type, Callable[[Any], None]] = {}
        self._nursery: trio.Nursery | None = None

    @property
    def trading(self) -> TradingRest:
        """The calls that place and cancel; only there with a desk."""
        assert isinstance(self.rest, TradingRest), "a dry run places no orders"
        return self.rest

    async def serve(self) -> None:
        """Read, and do what else there is to do, until the connection ends."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._tend)
                await self._read()
        except* VenueError as group:
            raise first_of(group) from None
        finally:
            self._lose()

    @abc.abstractmethod
    async def _tend(self) -> None:
        """Sign in, bring everything up, keep it up."""

    async def _read(self) -> None:
        decode, deliver, notices = self.codec.decode, self.deliver, self._notices
        while True:
            for frame in await self._ws.receive_batch():
                for event in decode(frame):
                    if isinstance(event, Notice):
                        notices[event.__class__](event)
                    else:
                        deliver(event)

    def deliver(self, event: Event) -> None:
        """Deliver; after a report the balances are due."""
        if isinstance(event, ExecutionReport):
            self._moved.set()
        self._deliver(event)

    def taken_in(self, row: wire.OrderRow) -> list[Event]:
        """Return what the feed has told of an order before its POST was answered."""
        del row
        return []

    def _start(self, task: Callable[..., Any], *args: Any) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(task, *args)

    # --- the account ------------------------------------------------------------------------

    async def _open_desk(self, desk: "Desk") -> None:
        """Tell balances, what was missed and open orders, and take orders from then on."""
        await self._tell_balances()
        await desk.catch_up(self)
        self._start(self._keep_balances, desk)
        desk.line_up(self)
        self._readiness.tell("signed in", private=True, order_entry=True)

    def _lose(self) -> None:
        """Say that the connection has ended: before it is closed, which may take a while."""
        if self._desk is not None:
            heard_ns = self.clock.now_ns() - round(self._ws.idle_s * NS_PER_S)
            self._desk.line_down("the connection has ended", heard_ns)
        self._readiness.lost("the connection has ended")

    async def _tell_balances(self) -> None:
        for balance in self.reports.balances(await self.rest.accounts()):
            self._deliver(balance)

    async def _keep_balances(self, desk: "Desk") -> None:
        """Ask for balances soon after every report, and at intervals."""
        while True:
            with trio.move_on_after(self._options.poll_balances_every / NS_PER_S):
                await self._moved.wait()
            await trio.sleep(SETTLE_S)
            self._moved = trio.Event()
            await desk.budget.wait()
            await _tolerate("balances", self._tell_balances)


class WebsocketApiLink(Link):
    """The first generation: a challenge, a token, then everything for everyone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.codec: Codec = Codec(self.reports, private=self._desk is not None)
        self._is_in = trio.Event()
        self._last_trades: dict[str, int] = {}
        self._notices = {
            Challenged: lambda _: None,
            Authenticated: lambda _: self._is_in.set(),
            Refused: self._on_refused,
        }

    def taken_in(self, row: wire.OrderRow) -> list[Event]:
        """Return what the book has told of an order before its POST was answered."""
        return self.codec.taken_in(row)

    async def _tend(self) -> None:
        options = self._options
        if self._tokens is None:
            raise VenueAuthenticationError("peatio: no token: set token, token_file or signer")
        await self._ws.send(encode_authenticate(self._tokens.bearer()))
        with trio.move_on_after(options.connect_within / NS_PER_S):
            await self._is_in.wait()
        if not self._is_in.is_set():
            raise VenueDisconnectedError("peatio: no answer to the token in time")
        self._start(self._watch_silence)
        for market in self.traded:
            await self._load(market)
        self._readiness.tell("books loaded", market_data=True)
        if self._desk is not None:
            await self._open_desk(self._desk)
        self._start(self._poll_trades)
        while True:
            await trio.sleep(options.check_books_every / NS_PER_S)
            for market in self.traded:
                self.codec.books[market].record()
                await _tolerate("the book", self._load, market)

    def _on_refused(self, refused: Refused) -> None:
        if self._is_in.is_set():
            logger.warning("%s: the venue says: %s", self.reports.venue, refused.text)
            return
        raise VenueAuthenticationError(
            f"peatio: the token was answered {refused.text!r}: look at it and at its issuer"
        )

    async def _watch_silence(self) -> None:
        most_s = self._options.silent_for / NS_PER_S
        while True:
            left_s = most_s - self._ws.idle_s
            if left_s < LEAST_S:
                raise FeedStaleError(f"peatio: nothing heard for {most_s:g} s, not even a ping")
            await trio.sleep(left_s)

    async def _load(self, market: str) -> None:
        """Take a book from REST, to which everything since is added."""
        snapshot = self.codec.books[market].load(await self.rest.order_book(market))
        if snapshot is not None:
            self.deliver(snapshot)

    async def _poll_trades(self) -> None:
        """Tell the public's trades, which the feed has not; the first answer only says where."""
        while True:
            for market in self.traded:
                await _tolerate("trades", self._tell_trades, market)
            await trio.sleep(self._options.poll_trades_every / NS_PER_S)

    async def _tell_trades(self, market: str) -> None:
        rows = sorted(await self.rest.public_trades(market), key=lambda row: row.number)
        last = self._last_trades.get(market)
        symbol = self.reports.instruments[market].symbol
        for row in rows:
            if last is not None and row.number > last:
                self.deliver(public_trade(row, symbol, self.clock.now_ns()))
        self._last_trades[market] = max([last or 0, *(row.number for row in rows)])


class RangerLink(Link):
    """The second generation: named streams, levels with a sequence, private events."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.codec: RangerCodec = RangerCodec(self.reports, private=self._desk is not None)
        self._pong = trio.Event()
        self._notices = {
            Subscribed: lambda _: None,
            Pong: lambda _: self._pong.set(),
            Broken: lambda broken: self._start(self._renew, broken.market),
            Orphaned: lambda orphaned: self._start(self._adopt, orphaned.order_id),
        }

    def deliver(self, event: Event) -> None:
        """Deliver; a snapshot may be the last that market data were waiting for."""
        super().deliver(event)
        if isinstance(event, BookSnapshot):
            self._tell_books()

    def _tell_books(self) -> None:
        are_known = all(book.is_known for book in self.codec.books.values())
        self._readiness.tell("books", market_data=are_known)

    async def _tend(self) -> None:
        self._start(self._beat)
        kinds = ("ob-inc", "trades")
        streams = [f"{market}.{kind}" for market in self.traded for kind in kinds]
        await self._ws.send(encode_subscribe(streams))
        if self._desk is not None:
            await self._open_desk(self._desk)

    async def _renew(self, market: str) -> None:
        """Have the snapshot sent again."""
        self._tell_books()
        await self._ws.send(encode_subscribe([f"{market}.ob-inc"], "unsubscribe"))
        await self._ws.send(encode_subscribe([f"{market}.ob-inc"]))

    async def _adopt(self, order_id: int) -> None:
        """Ask about an order that has traded, if nothing has named it by then."""
        await trio.sleep(self._options.check_after / NS_PER_S)
        if self._desk is not None and self.reports.is_held(order_id):
            await self._desk.tell_status(self, order_id)

    async def _beat(self) -> None:
        options = self._options
        while True:
            await trio.sleep(options.ping_every / NS_PER_S)
            self._pong = trio.Event()
            with trio.move_on_after(options.pong_within / NS_PER_S):
                await self._ws.send(PING)
                await self._pong.wait()
            if not self._pong.is_set():
                within_s = options.pong_within / NS_PER_S
                raise FeedStaleError(f"peatio: no pong within {within_s:g} s")


async def _tolerate(what: str, ask: Callable[..., Any], *args: Any) -> None:
    """Ask; log what went wrong unless asking again would not help."""
    try:
        await ask(*args)
    except (VenueAuthenticationError, VenueProtocolError):
        raise
    except VenueError as exc:
        logger.warning("peatio: cannot ask for %s: %s", what, exc)
