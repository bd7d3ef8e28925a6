"""One client of the simulated DigiFinex's WebSocket: what it subscribed to, and what it is told."""

import heapq
import hmac
import itertools
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

from botkit.adapter import Mailbox, Member
from botkit.errors import VenueError
from botkit.matching.exchange import (
    BalanceChanged,
    BookLevelChange,
    ExchangeEvent,
    Execution,
    OrderAccepted,
    OrderCanceled,
    OrderState,
    PublicTrade,
)
from botkit.transport import WsLink
from venues.digifinex import wire
from venues.digifinex.rows import DepthFeed, encode, order_push, text, ticker_row, trade_row

if TYPE_CHECKING:
    from venues.digifinex.simulator import DigiFinexSimulator

__all__ = ["Session"]

NS_PER_S: Final = 1_000_000_000
HISTORY: Final = 20
LATE_S: Final = 0.05
OUT_OF_ORDER_S: Final = 0.1
CLOCK_MS: Final = 60_000
INVALID_ARGUMENT: Final = 1
METHOD_NOT_FOUND: Final = 4
PRIVATE: Final = frozenset({"order", "order_algo", "balance"})
CHANNELS: Final = frozenset({"trades", "depth", "ticker", "all_ticker"}) | PRIVATE
ZEROS: Final = ("0", "0.0", "0.00000000")

_request = msgspec.json.Decoder(wire.Request).decode


class Session:
    """One client's WebSocket."""

    def __init__(self, simulator: "DigiFinexSimulator") -> None:
        self._simulator = simulator
        self._mail = Mailbox()
        self._member: Member | None = None
        self._channels: dict[str, list[str]] = {}
        self._books: dict[str, DepthFeed] = {}
        self._changes_sent = self._wholes_asked = 0
        # Ends the link when the client has sent nothing for a while, whatever it is sent.
        self._patience = trio.CancelScope(deadline=trio.current_time() + simulator.quirks["idle_s"])
        self._late: list[tuple[float, int, bytes]] = []  # private pushes, a heap by when they go
        self._late_number = itertools.count()
        self._balance_at = 0.0  # when the last push of balances goes
        self._news = trio.Event()
        self._asked: Mapping[str, Callable[[wire.Request], Any]] = {
            "server.ping": lambda _: "pong",
            "server.time": lambda _: simulator.market.now_ns() // NS_PER_S,
            "server.auth": self._auth,
        }

    async def serve(self, link: WsLink) -> None:
        """Serve until the client goes, is silent for too long, or has been here for too long."""
        market, quirks = self._simulator.market, self._simulator.quirks
        market.listen(self._on_events)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(self._mail.serve, link, binary=None))
                nursery.start_soon(self._send_late)
                nursery.start_soon(self._read, link, quirks["idle_s"])
                with trio.move_on_after(quirks["lifetime_s"]), self._patience:
                    await trio.sleep_forever()
                await link.abort()
                nursery.cancel_scope.cancel()
        except* VenueError:
            pass  # gone
        finally:
            market.leave(self._on_events)

    async def _read(self, link: WsLink, idle_s: float) -> None:
        while True:
            for frame in await link.receive_batch():
                self._patience.deadline = trio.current_time() + idle_s
                self._simulator.market.catch_up()
                self._answer(frame)

    def _answer(self, frame: bytes) -> None:
        try:
            request = _request(frame)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return  # what the venue answers to that is not known
        handler = self._asked.get(request.method) or self._channel_handler(request.method)
        if handler is None:
            answer: Any = _Failure(METHOD_NOT_FOUND, "method not found")
        else:
            answer = handler(request)
        if isinstance(answer, _Failure):
            error = {"code": answer.code, "message": answer.message}
            self._reply({"error": error, "result": None, "id": request.id})
            return
        result = {"status": "success"} if isinstance(answer, _Success) else answer
        self._reply({"error": None, "result": result, "id": request.id})
        if isinstance(answer, _Success):
            answer.then()

    # --- requests ---------------------------------------------------------------------------

    def _auth(self, request: wire.Request) -> Any:
        simulator, denied = self._simulator, int(self._simulator.quirks["ws_denied_code"])
        match request.params:
            case [str(key), str(timestamp), str(sign)]:
                pass
            case _:
                return _Failure(INVALID_ARGUMENT, "invalid argument")
        member = simulator.by_key.get(key)
        if member is None or not hmac.compare_digest(
            wire.auth_sign(member.secret, timestamp).encode(), sign.encode()
        ):
            return _Failure(denied, "wrong key or sign")
        now_ms = simulator.market.now_ns() // 1_000_000
        if not timestamp.isdecimal() or abs(int(timestamp) - now_ms) > CLOCK_MS:
            return _Failure(denied, "timestamp out of range")
        self._member = member
        return _Success()

    def _channel_handler(self, method: str) -> Callable[[wire.Request], Any] | None:
        channel, _, verb = method.rpartition(".")
        if channel not in CHANNELS or verb not in ("subscribe", "unsubscribe"):
            return None
        return partial(self._subscribe if verb == "subscribe" else self._unsubscribe, channel)

    def _subscribe(self, channel: str, request: wire.Request) -> Any:
        if channel in PRIVATE and self._member is None:
            code = int(self._simulator.quirks["ws_denied_code"])
            return _Failure(code, "authentication needed")
        names = [str(name).upper() for name in request.params]
        exchange = self._simulator.market.exchange
        known = exchange.currencies if channel == "balance" else exchange.markets
        if not all(name in known for name in names):
            return _Failure(INVALID_ARGUMENT, "invalid argument")
        before = self._channels.get(channel, []) if self._simulator.quirks["adds_up"] else []
        self._channels[channel] = list(dict.fromkeys([*before, *names]))
        begin = {"trades": self._begin_trades, "depth": self._begin_depth}.get(channel)
        return _Success() if begin is None else _Success(partial(begin, names))

    def _unsubscribe(self, channel: str, request: wire.Request) -> Any:
        names = {str(name).upper() for name in request.params}
        left = [name for name in self._channels.get(channel, []) if names and name not in names]
        self._channels[channel] = left
        return _Success()

    def _begin_trades(self, names: Sequence[str]) -> None:
        for name in names:
            trades = list(self._simulator.market.exchange.markets[name].trades)[-HISTORY:]
            rows = [
                trade_row(each.trade_id, each.time_ns, each.price, each.qty, each.side)
                for each in reversed(trades)
            ]
            self._push("trades.update", [True, rows, self._shown(name)])

    def _begin_depth(self, names: Sequence[str]) -> None:
        simulator = self._simulator
        self._wholes_asked += 1
        if self._wholes_asked <= simulator.quirks["lost_wholes"]:
            return
        for name in names:
            market = simulator.market.exchange.markets[name]
            feed = DepthFeed(market, simulator.quirks["depth"], lingers=simulator.quirks["lingers"])
            self._books[name] = feed
            self._push("depth.update", [True, feed.whole(), self._shown(name)])

    # --- pushes -----------------------------------------------------------------------------

    def _on_events(self, events: Sequence[ExchangeEvent]) -> None:
        moved = {event.symbol for event in events if isinstance(event, BookLevelChange)}
        self._tell_trades(events)
        for name in self._books:
            if name in moved and name in self._channels.get("depth", []):
                self._tell_depth(name)
        self._tell_tickers(moved)
        if self._member is not None:
            self._tell_orders(events, self._member.name)
            self._tell_balances(events, self._member.name)

    def _tell_trades(self, events: Sequence[ExchangeEvent]) -> None:
        rows: dict[str, list[Any]] = {}
        for event in events:
            if isinstance(event, PublicTrade) and event.symbol in self._channels.get("trades", []):
                row = trade_row(event.trade_id, event.time_ns, event.price, event.qty, event.side)
                rows.setdefault(event.symbol, []).insert(0, row)
        for name, newest_first in rows.items():
            self._push("trades.update", [False, newest_first, self._shown(name)])

    def _tell_depth(self, name: str) -> None:
        feed, rng = self._books[name], self._simulator.market.rng
        every = self._simulator.quirks["whole_every"]
        self._changes_sent += 1
        if every and self._changes_sent % every == 0:
            self._push("depth.update", [True, feed.whole(), self._shown(name)])
            return
        change = feed.change(ZEROS[int(rng.integers(len(ZEROS)))])
        if change is not None and not self._simulator.happens("lost_changes"):
            self._push("depth.update", [False, change, self._shown(name)])

    def _tell_tickers(self, moved: set[str]) -> None:
        market = self._simulator.market
        for channel in ("ticker", "all_ticker"):
            if channel not in self._channels:
                continue
            names = moved if channel == "all_ticker" else moved & {*self._channels[channel]}
            markets, now_ns = market.exchange.markets, market.now_ns()
            rows = [ticker_row(markets[name], self._shown(name), now_ns) for name in sorted(names)]
            if rows:
                self._push(f"{channel}.update", rows)

    def _tell_orders(self, events: Sequence[ExchangeEvent], account: str) -> None:
        for event in events:
            for order in _orders_in(event, account):
                self.tell_order(order)

    def tell_order(self, order: OrderState) -> None:
        """Push where an order stands: perhaps twice, perhaps behind what comes after it."""
        member, quirks = self._member, self._simulator.quirks
        wanted = order.symbol in self._channels.get("order", [])
        if member is None or member.name != order.account or not wanted:
            return
        row = order_push(order, self._shown(order.symbol))
        frame = encode({"method": "order.update", "params": [row], "id": None})
        rng = self._simulator.market.rng
        late_s = OUT_OF_ORDER_S if rng.random() < quirks["disorder"] else 0.0
        times = 2 if rng.random() < quirks["repeats"] else 1
        for _ in range(times):
            self._put_late(frame, late_s)

    def _tell_balances(self, events: Sequence[ExchangeEvent], account: str) -> None:
        wanted = self._channels.get("balance", [])
        rows = [
            {
                "currency": event.currency,
                "free": text(event.available),
                "total": text(event.total),
                "used": text(event.locked),
            }
            for event in events
            if isinstance(event, BalanceChanged)
            and event.account == account
            and event.currency in wanted
        ]
        if rows:
            # Balances are totals without a time: out of order they would be wrong for good.
            self._balance_at = max(self._balance_at, self._late_at())
            frame = encode({"method": "balance.update", "params": rows, "id": None})
            heapq.heappush(self._late, (self._balance_at, next(self._late_number), frame))
            self._news.set()

    # --- out --------------------------------------------------------------------------------

    def _shown(self, name: str) -> str:
        return name.lower() if self._simulator.quirks["lower_case"] else name

    def _reply(self, reply: dict[str, Any]) -> None:
        if self._simulator.draw("text_replies"):
            self._mail.put(encode(reply))
        else:
            self._put(encode(reply))

    def _push(self, method: str, params: list[Any]) -> None:
        self._put(encode({"method": method, "params": params, "id": None}))

    def _put(self, frame: bytes) -> None:
        level = self._simulator.quirks["level"]
        if level is None:
            level = int(self._simulator.market.rng.integers(1, 10))
        self._mail.put(zlib.compress(frame, level))

    def _late_at(self) -> float:
        """Return when a private push goes: after the answer to its request, if that is first."""
        return trio.current_time() + (0.0 if self._simulator.pushes_first else LATE_S)

    def _put_late(self, frame: bytes, further_s: float) -> None:
        due_at = self._late_at() + further_s
        heapq.heappush(self._late, (due_at, next(self._late_number), frame))
        self._news.set()

    async def _send_late(self) -> None:
        while True:
            self._news = trio.Event()
            due_at = self._late[0][0] if self._late else float("inf")
            with trio.move_on_at(due_at):
                await self._news.wait()
            while self._late and self._late[0][0] <= trio.current_time():
                self._put(heapq.heappop(self._late)[2])


class _Success:
    """A request that succeeded, and what follows its reply."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.then = then


class _Failure:
    """A request that failed."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message


def _orders_in(event: ExchangeEvent, account: str) -> list[OrderState]:
    """Return the account's orders as `event` leaves them."""
    match event:
        case Execution():
            return [leg.order for leg in event.legs(account)]
        case OrderAccepted() | OrderCanceled():
            return [event.order] if event.order.account == account else []
        case _:
            return []
