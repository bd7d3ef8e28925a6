"""One client of the simulated BlinkTrade: its login, its subscriptions, and what it is told."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec
import trio
from wsproto.frame_protocol import CloseReason

from botkit.adapter import Mailbox, Member
from botkit.errors import VenueError
from botkit.matching.exchange import BookLevelChange, BookOrderChange, ExchangeEvent, PublicTrade
from botkit.transport import WsLink
from venues.blinktrade.rows import (
    FatalError,
    book_change,
    book_snapshot,
    integer,
    text,
    ticker,
    trade_entry,
    volume_entry,
)
from venues.blinktrade.wire import encode

if TYPE_CHECKING:
    from venues.blinktrade.keys import Login
    from venues.blinktrade.simulator import BlinkTradeSimulator

__all__ = ["Session"]

MOST_IN_WINDOW: Final = 16  # the sixteenth message of a second is one too many
WINDOW_S: Final = 1.0
NEVER_S: Final = float("inf")

_message = msgspec.json.Decoder(dict[str, Any]).decode


@attrs.frozen
class _Feed:
    """A subscription to books and trades."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    depth: int


class Session:
    """One client's WebSocket."""

    def __init__(self, simulator: "BlinkTradeSimulator", name: str) -> None:
        self.name = name
        self.login: Login | None = None
        self.cancels = False  # cancel-on-disconnect was asked for
        self._simulator = simulator
        self._mail = Mailbox()
        self._feeds: dict[int, _Feed] = {}
        self._tickers: dict[int, Mapping[str, Mapping[str, str]]] = {}  # by symbol: its market
        self._last_ticker: dict[str, dict[str, Any]] = {}
        self._arrivals: deque[float] = deque()
        self._kinds: Mapping[str, Callable[[dict[str, Any]], None]] = {
            "BE": self._user_request,
            "V": self._market_data,
            "e": self._security_status,
        }

    @property
    def member(self) -> Member | None:
        """Who is logged in."""
        return None if self.login is None else self.login.member

    async def serve(self, link: WsLink) -> None:
        """Serve until the client goes, or does what the venue does not forgive."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(self._mail.serve, link))
                try:
                    await self._read(link)
                except FatalError as fatal:
                    await self._end(link, fatal)
                nursery.cancel_scope.cancel()
        except* VenueError:
            pass  # gone

    async def _end(self, link: WsLink, fatal: FatalError) -> None:
        """Say why, and close without a code; drop the connection if there is nothing to say."""
        if fatal.detail:
            await link.send(encode(fatal.told()))
            await link.aclose(CloseReason.NO_STATUS_RCVD)
        else:
            await link.abort()

    async def _read(self, link: WsLink) -> None:
        patience_s = self._simulator.quirks["idle_timeout_s"] or NEVER_S
        while True:
            with trio.move_on_after(patience_s) as scope:
                frames = await link.receive_batch()
            if scope.cancelled_caught:
                raise FatalError("")
            for frame in frames:
                self._count_arrival()
                self._simulator.market.catch_up()
                self._perform(frame)

    def _count_arrival(self) -> None:
        now = trio.current_time()
        while self._arrivals and self._arrivals[0] + WINDOW_S <= now:
            self._arrivals.popleft()
        self._arrivals.append(now)
        if len(self._arrivals) >= MOST_IN_WINDOW:
            count = len(self._arrivals)
            raise FatalError(f"{count} messages in the last second", "Too many messages per second")

    def _perform(self, frame: bytes) -> None:
        try:
            message = _message(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise FatalError("") from None
        handler = self._kinds.get(str(message.get("MsgType")))
        if handler is not None:
            handler(message)
            return
        for reply in self._simulator.perform(self.login, message, self.name):
            self._put(reply)

    def _put(self, message: dict[str, Any]) -> None:
        self._mail.put(encode(message))

    # --- who it is --------------------------------------------------------------------------

    def _user_request(self, message: dict[str, Any]) -> None:
        req_id = integer(message, "UserReqID")
        kind = text(message, "UserReqTyp")
        if kind == "3":
            self._change_password(message, req_id)
            return
        if kind != "1":
            raise FatalError("Invalid message")  # also a logout
        if self.login is not None:
            raise FatalError("User is already logged in")
        broker_id = integer(message, "BrokerID")
        name, password = text(message, "Username"), text(message, "Password")
        if message.get("FingerPrint") in (None, ""):
            raise FatalError("Missing tag FingerPrint")
        keys = self._simulator.keys
        now_ns = self._simulator.market.now_ns()
        if broker_id != BROKER_ID:
            name = ""  # nobody there is called so
        try:
            login = keys.sign_in(name, password, message.get("SecondFactor"), now_ns)
        except KeyError as refused:
            self._put(_refusal(req_id, str(refused.args[0])))
            return
        self.login = login
        self.cancels = message.get("CancelOnDisconnect") == "1"
        self._put(self._simulator.login_row(login, req_id))

    def _change_password(self, message: dict[str, Any], req_id: int) -> None:
        if self.login is None or "*" not in self.login.permissions:
            raise FatalError("Not authorized")
        changed = self._simulator.keys.change_password(
            self.login.member.name, text(message, "Password"), text(message, "NewPassword")
        )
        words = "MSG_SUCCESS_PASSWORD_CHANGE" if changed else "MSG_LOGIN_ERROR_INVALID_PASSWORD"
        self._put({**_refusal(req_id, words), "UserReqTyp": 3})

    # --- subscriptions ----------------------------------------------------------------------

    def _market_data(self, message: dict[str, Any]) -> None:
        req_id, kind = integer(message, "MDReqID"), text(message, "SubscriptionRequestType")
        if kind == "2":
            self._feeds.pop(req_id, None)
            return
        types = tuple(message.get("MDEntryTypes") or ("0", "1", "2"))
        feed = _Feed(self._known(message), types, int(message.get("MarketDepth", 0)))
        markets = self._simulator.market.exchange.markets
        for name in feed.names:
            ids = self._simulator.user_ids
            entries = book_snapshot(markets[name], feed.depth, feed.types, ids)
            head = {"MsgType": "W", "MDReqID": req_id, "Symbol": name, "MarketDepth": feed.depth}
            self._put({**head, "MDFullGrp": entries})
        if kind == "1":
            self._feeds[req_id] = feed

    def _security_status(self, message: dict[str, Any]) -> None:
        req_id = integer(message, "SecurityStatusReqID")
        kind = text(message, "SubscriptionRequestType")
        if kind == "2":
            self._tickers.pop(req_id, None)
            return
        asked = dict(zip(self._known(message), _markets(message), strict=True))
        for name, market in asked.items():
            self._put({**self._ticker(name), **market, "SecurityStatusReqID": req_id})
        if kind == "1":
            self._tickers[req_id] = asked

    def _known(self, message: dict[str, Any]) -> tuple[str, ...]:
        """Return the symbols a message names; drop the connection for one that is not there."""
        names = tuple(str(each).rpartition(":")[2] for each in message.get("Instruments") or ())
        markets = self._simulator.market.exchange.markets
        if not names or any(name not in markets for name in names):
            raise FatalError("")
        return names

    def _ticker(self, name: str) -> dict[str, Any]:
        market = self._simulator.market
        told = ticker(market.exchange.markets[name], market.now_ns())
        self._last_ticker[name] = told
        return told

    # --- out --------------------------------------------------------------------------------

    def take(self, events: Sequence[ExchangeEvent], private: Sequence[dict[str, Any]]) -> None:
        """Tell what has happened: by kind in its own order, the kinds in no fixed one."""
        changes = [each for req_id in self._feeds for each in self._changes(events, req_id)]
        tickers = self._ticker_changes(events)
        if not self._simulator.quirks["interleave"]:
            told = [*private, *changes, *tickers]
        else:
            told = self._interleaved([*private, *changes, *tickers])
        for message in told:
            self._put(message)

    def _interleaved(self, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return messages drawn from the queues of their kinds, each of which keeps its order."""
        queues: dict[str, deque[dict[str, Any]]] = {}
        for message in told:
            queues.setdefault(message["MsgType"], deque()).append(message)
        order = [kind for kind, queue in queues.items() for _ in queue]
        self._simulator.market.rng.shuffle(order)
        return [queues[kind].popleft() for kind in order]

    def _changes(self, events: Sequence[ExchangeEvent], req_id: int) -> list[dict[str, Any]]:
        feed, told = self._feeds[req_id], []
        markets, ids = self._simulator.market.exchange.markets, self._simulator.user_ids
        for event in events:
            entries: list[dict[str, Any]] = []
            match event:
                case BookOrderChange() if event.symbol in feed.names:
                    entry = book_change(event, ids)
                    position = entry["MDEntryPositionNo"]
                    deep = feed.depth and position > feed.depth
                    if entry["MDEntryType"] in feed.types and not deep:
                        entries = [entry]
                case PublicTrade() if event.symbol in feed.names and "2" in feed.types:
                    market = markets[event.symbol]
                    entries = [trade_entry(event, ids), volume_entry(market, event.time_ns)]
                case _:
                    pass
            if entries:
                head = {"MsgType": "X", "MDReqID": req_id, "MDBkTyp": "3"}
                told.append({**head, "MDIncGrp": entries})
        return told

    def _ticker_changes(self, events: Sequence[ExchangeEvent]) -> list[dict[str, Any]]:
        kinds = BookLevelChange | PublicTrade
        moved = {event.symbol for event in events if isinstance(event, kinds)}
        watched = {name for asked in self._tickers.values() for name in asked}
        news = {
            name: self._last_ticker[name]
            for name in moved & watched
            if self._last_ticker.get(name) != self._ticker(name)
        }
        return [
            {**news[name], **market, "SecurityStatusReqID": req_id}
            for req_id, asked in self._tickers.items()
            for name, market in asked.items()
            if name in news
        ]


BROKER_ID: Final = 5


def _markets(message: dict[str, Any]) -> list[dict[str, str]]:
    """Return how a ticker names its market: only to who asked for it as BLINK:BTCUSD."""
    heads = (str(each).rpartition(":")[0] for each in message["Instruments"])
    return [{"Market": head} if head else {} for head in heads]


def _refusal(req_id: int, words: str) -> dict[str, Any]:
    return {
        "MsgType": "BF",
        "UserReqID": req_id,
        "UserStatus": 3,
        "Username": "",
        "NeedSecondFactor": words.endswith("SECOND_STEP"),
        "UserStatusText": words,
    }
