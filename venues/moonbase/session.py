"""One client of the simulated Moonbase: its channels, and what it is told on them."""

from collections.abc import Callable, Collection, Mapping, Sequence
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
    StopTriggered,
)
from botkit.transport import WsLink
from venues.moonbase.rows import BookFeed, RefusedError, encode, ticker_row, trade_row

if TYPE_CHECKING:
    from venues.moonbase.simulator import MoonbaseSimulator

__all__ = ["Session"]

UNMATCHED: Final = {"reason": "unmatched topic"}
ACCOUNT_KINDS: Final = frozenset({"tickers", "balances", "positions", "deposits", "withdrawals"})
SLASHED: Final = ACCOUNT_KINDS - {"tickers"}
MARKET_KINDS: Final = frozenset({"trades", "candles", "orderbooks", "orders"})
TRADES_SHOWN: Final = 100
RESOLUTION_S: Final = 60

Handler = Callable[[str, dict[str, Any]], Any]
LEAST_S: Final = 1e-6  # less to sleep may be nothing to the clock, for ever


class ClientFrame(msgspec.Struct, frozen=True, gc=False):
    """Whatever a client says."""

    topic: str
    event: str
    payload: dict[str, Any]
    ref: str | int | None = None
    join_ref: str | int | None = None


_read = msgspec.json.Decoder(ClientFrame, float_hook=str).decode


class Session:
    """One client's WebSocket."""

    def __init__(self, simulator: "MoonbaseSimulator", member: Member) -> None:
        self.member = member
        self._simulator = simulator
        self._mail = Mailbox()
        self._joined: dict[str, str | int | None] = {}  # by topic, as the client spells it
        self._books: dict[str, BookFeed] = {}
        self._quoted: Collection[str] = ()  # the markets whose tickers were asked for
        self._snapshots: Mapping[str, Handler] = {
            "tickers": self._tickers,
            "trades": self._trades,
            "candles": simulator.candles,
            "orderbooks": self._book,
            "orders": lambda name, terms: simulator.order_rows(member, name, terms),
            "balances": lambda *_: simulator.balance_rows(member),
            "positions": lambda *_: simulator.bank.positions(member.name),
            "deposits": lambda _, terms: simulator.bank.deposits(member.name, *_page(terms)),
            "withdrawals": lambda _, terms: simulator.bank.withdrawals(member.name, *_page(terms)),
        }
        self._requests: Mapping[tuple[str, str], Handler] = {
            ("orders", "place"): lambda name, terms: simulator.place(member, name, terms),
            ("orders", "cancel"): lambda _, terms: simulator.cancel(member, terms.get("id")),
            ("candles", "get_snapshot"): simulator.candles,
            ("positions", "assign"): self._assign,
            ("deposits", "get_deposit_address"): self._address,
            ("withdrawals", "create_withdrawal"): self._withdraw,
        }

    async def serve(self, link: WsLink) -> None:
        """Serve until the client goes, or is silent for too long."""
        market = self._simulator.market
        market.listen(self._on_events)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(self._mail.serve, link))
                nursery.start_soon(self._watch, link, nursery.cancel_scope)
                await self._read_all(link)
        except* VenueError:
            pass  # gone
        finally:
            market.leave(self._on_events)

    async def _watch(self, link: WsLink, scope: trio.CancelScope) -> None:
        while True:
            left_s = self._simulator.quirks["idle_s"] - link.idle_s
            if left_s < LEAST_S:
                scope.cancel()
                return
            await trio.sleep(left_s)

    async def _read_all(self, link: WsLink) -> None:
        while True:
            for frame in await link.receive_batch():
                try:
                    message = _read(frame)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    return  # Phoenix's socket dies of a frame that it cannot read
                self._simulator.market.catch_up()
                self._take(message)

    # --- in ---------------------------------------------------------------------------------

    def _take(self, message: ClientFrame) -> None:
        if message.topic == "phoenix":
            if message.event == "heartbeat":
                self._reply(message, {})
        elif message.event == "phx_join":
            self._join(message)
        elif message.topic not in self._joined:
            self._refuse(message, UNMATCHED)
        elif message.event == "phx_leave":
            self._reply(message, {})
            self.end(message.topic, "phx_close")
        else:
            self._perform(message)

    def _join(self, message: ClientFrame) -> None:
        topic = message.topic
        kind, name = _split(topic)
        if not self._is_known(topic, kind, name):
            self._refuse(message, UNMATCHED)
            return
        if topic in self._joined:
            self.end(topic, "phx_close")
        try:
            self._simulator.count_join(self.member)
            snapshot = self._snapshots[kind](name, message.payload)
        except RefusedError as refused:
            self._refuse(message, refused.told())
            return
        self._joined[topic] = message.join_ref if message.join_ref is not None else message.ref
        self._reply(message, snapshot)

    def _is_known(self, topic: str, kind: str, name: str) -> bool:
        if kind in MARKET_KINDS:
            return topic == f"/{kind}/{name}" and name in self._simulator.market.exchange.markets
        slash = "/" if kind in SLASHED and self._simulator.quirks["trailing_slash"] else ""
        return kind in ACCOUNT_KINDS and topic == f"/{kind}{slash}"

    def _perform(self, message: ClientFrame) -> None:
        simulator = self._simulator
        kind, name = _split(message.topic)
        handler = self._requests.get((kind, message.event))
        if handler is None:
            self.end(message.topic, "phx_error")  # no clause matches: the process dies of it
            return
        first = simulator.draw("reply_first")
        waiting: list[ExchangeEvent] = []
        try:
            if message.event != "cancel":
                simulator.count_request(self.member)
            result = handler(name, message.payload)
            if kind == "orders":
                result, waiting = result
        except RefusedError as refused:
            self._refuse(message, refused.told())
            return
        if not first:
            simulator.market.tell(waiting)
        self._reply(message, result)
        if first:
            simulator.market.tell(waiting)

    def _assign(self, _: str, payload: dict[str, Any]) -> dict[str, Any]:
        rows = self._simulator.bank.assign(self.member.name, payload)
        self._push("/positions", "upsert", rows)
        return {"data": rows}

    def _address(self, _: str, payload: dict[str, Any]) -> dict[str, str]:
        return self._simulator.bank.address(self.member.name, payload.get("asset"))

    def _withdraw(self, _: str, payload: dict[str, Any]) -> dict[str, Any]:
        return self._simulator.bank.withdraw(self.member.name, payload)

    # --- snapshots --------------------------------------------------------------------------

    def _tickers(self, _: str, payload: dict[str, Any]) -> list[dict[str, Any]]:
        market = self._simulator.market
        self._quoted = payload.get("symbols") or list(market.exchange.markets)
        now_ns = market.now_ns()
        markets = (each for name, each in market.exchange.markets.items() if name in self._quoted)
        return [ticker_row(each, now_ns, pushed=False) for each in markets]

    def _trades(self, name: str, _: dict[str, Any]) -> list[dict[str, Any]]:
        prints = list(self._simulator.market.exchange.markets[name].trades)[-TRADES_SHOWN:]
        signed = bool(self._simulator.quirks["trade_sign"])
        return [trade_row(each, signed=signed, pushed=False) for each in reversed(prints)]

    def _book(self, name: str, payload: dict[str, Any]) -> Any:
        limit = payload.get("limit")
        market = self._simulator.market.exchange.markets[name]
        feed = self._books[name] = BookFeed(market, limit if isinstance(limit, int) else None)
        return feed.snapshot()

    # --- out --------------------------------------------------------------------------------

    def end(self, topic: str, event: str) -> None:
        """Say that a channel has ended: in order (`phx_close`), or by a failure (`phx_error`)."""
        if topic in self._joined:
            ref = self._joined.pop(topic)
            self._books.pop(_split(topic)[1], None) if topic.startswith("/orderbooks") else None
            self._send(topic, event, {}, ref=ref, join_ref=ref)

    @property
    def topics(self) -> list[str]:
        """What is joined."""
        return list(self._joined)

    def _reply(self, message: ClientFrame, response: Any) -> None:
        payload = {"status": "ok", "response": response}
        self._answer(message, payload)

    def _refuse(self, message: ClientFrame, told: Mapping[str, Any]) -> None:
        place = self._simulator.quirks["error_place"]
        if told is UNMATCHED or place == "response":
            self._answer(message, {"status": "error", "response": told})
        elif place == "bare" and told["type"] == "rate_limit_exceeded":
            self._mail.put(encode(told))
        else:
            self._answer(message, told)

    def _answer(self, message: ClientFrame, payload: Any) -> None:
        join_ref = self._joined.get(message.topic, message.join_ref)
        self._send(message.topic, "phx_reply", payload, ref=message.ref, join_ref=join_ref)

    def _push(self, topic: str, event: str, rows: Any) -> None:
        """Send rows on a channel, if it is joined and there are any."""
        for spelt in (topic, f"{topic}/"):
            if spelt in self._joined and rows:
                self._send(spelt, event, {"data": rows}, ref=None, join_ref=None)

    def _send(self, topic: str, event: str, payload: Any, **refs: str | int | None) -> None:
        if not self._simulator.draw("join_ref"):
            del refs["join_ref"]
        self._mail.put(encode({**refs, "topic": topic, "event": event, "payload": payload}))

    def _on_events(self, events: Sequence[ExchangeEvent]) -> None:
        moved: dict[str, None] = {}
        for event in events:
            self._tell_order(event)
            if isinstance(event, PublicTrade):
                signed = bool(self._simulator.quirks["trade_sign"])
                row = trade_row(event, signed=signed, pushed=True)
                self._push(f"/trades/{event.symbol}", "insert", [row])
                self._tell_candle(event)
            if isinstance(event, BookLevelChange | PublicTrade):
                moved[event.symbol] = None
        for name in moved:
            self._tell_market(name)
        self._tell_balances(events)

    def _tell_order(self, event: ExchangeEvent) -> None:
        states: list[OrderState] = []
        match event:
            case Execution():
                states = [leg.order for leg in event.legs(self.member.name)]
            case OrderAccepted() | OrderCanceled() | StopTriggered():
                states = [event.order] if event.order.account == self.member.name else []
            case _:
                return
        for state in states:
            row = {**self._simulator.order_row(state), "user_id": 5}
            self._push(f"/orders/{state.symbol}", "upsert", [row])

    def _tell_candle(self, trade: PublicTrade) -> None:
        topic = f"/candles/{trade.symbol}"
        if topic in self._joined:
            now_s = trade.time_ns // 1_000_000_000
            terms = {"from": now_s - RESOLUTION_S, "to": now_s + 1, "resolution": RESOLUTION_S}
            rows = self._simulator.candles(trade.symbol, terms)["data"][0]
            self._push(topic, "upsert", rows[-1:])

    def _tell_market(self, name: str) -> None:
        market = self._simulator.market
        if name in self._books:
            self._push(f"/orderbooks/{name}", "upsert", self._books[name].change())
        if "/tickers" in self._joined and name in self._quoted:
            row = ticker_row(market.exchange.markets[name], market.exchange.now_ns, pushed=True)
            self._push("/tickers", "upsert", [row])

    def _tell_balances(self, events: Sequence[ExchangeEvent]) -> None:
        assets = {
            event.currency
            for event in events
            if isinstance(event, BalanceChanged) and event.account == self.member.name
        }
        if assets:
            rows = self._simulator.balance_rows(self.member)
            self._push("/balances", "upsert", [row for row in rows if row["asset"] in assets])


def _split(topic: str) -> tuple[str, str]:
    kind, _, name = topic.strip("/").partition("/")
    return kind, name


def _page(terms: Mapping[str, Any]) -> tuple[str | None, int]:
    limit = terms.get("limit")
    return terms.get("asset"), limit if isinstance(limit, int) else 1_000
